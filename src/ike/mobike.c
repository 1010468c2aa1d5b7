/* mobike.c: MOBIKE (RFC 4555). Who began the first IKE SA of a line moves it with UPDATE_SA_ADDRESSES; the other side follows
 * to where that came from, and may ask there with COOKIE2 whether somebody hears. What carries an SA is its owner's to
 * decide (ike.h); here are only the messages. */
#include <string.h>

#include "ike/internal.h"

#define COOKIE2_MIN ((size_t)8)
#define COOKIE2_MAX ((size_t)64)
#define NO_NATS_MAX ((size_t)36) /* two addresses and two ports */
#define STALE_MOST 3u /* updates in a row whose answer came another way than they went */

/* --- IKE_AUTH --- */

static void add_addresses(const struct ike_sa *sa, struct message_writer *m) {
    for (size_t i = 0; i < sa->own_addresses; i++) {
        const struct address *address = &sa->own_address[i];
        notify_add(m, address->family == 6 ? NOTIFY_ADDITIONAL_IP6_ADDRESS : NOTIFY_ADDITIONAL_IP4_ADDRESS,
            span_of(address->octets, address_octets(address)));
    }
}

void mobike_offer(const struct ike_sa *sa, struct message_writer *m) {
    if (!sa->config->mobike)
        return;
    notify_add(m, NOTIFY_MOBIKE_SUPPORTED, span_of(NULL, 0));
    add_addresses(sa, m);
}

static uint8_t family_of(uint16_t type) {
    return type == NOTIFY_ADDITIONAL_IP4_ADDRESS ? 4 : type == NOTIFY_ADDITIONAL_IP6_ADDRESS ? 6 : 0;
}

/* A list replaces the one before it (section 3.6); those beyond IKE_ADDRESSES_MAX are passed over. */
static void take_addresses(struct ike_sa *sa, const struct payload_list *list) {
    const struct payload *payload;
    struct notify notify;
    struct error ignored;
    bool first = true;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_NOTIFY, n)) != NULL; n++) {
        if (!notify_read(payload->body, &notify, &ignored))
            continue;
        struct address address = {.family = family_of(notify.type)};
        if (address.family == 0 && notify.type != NOTIFY_NO_ADDITIONAL_ADDRESSES)
            continue;
        if (first)
            sa->peer_addresses = 0;
        first = false;
        if (address.family == 0 || notify.data.length != address_octets(&address) ||
            sa->peer_addresses == IKE_ADDRESSES_MAX)
            continue;
        memcpy(address.octets, notify.data.at, notify.data.length);
        sa->peer_address[sa->peer_addresses++] = address;
    }
}

void mobike_accept(struct ike_sa *sa, const struct payload_list *list) {
    struct notify notify;
    sa->mobike = sa->config->mobike && notify_find(list, NOTIFY_MOBIKE_SUPPORTED, &notify);
    if (sa->mobike)
        take_addresses(sa, list);
}

/* --- NO_NATS_ALLOWED: addresses and ports as the sender knows them, section 4.2.6 --- */

static size_t no_nats(const struct address *source, const struct address *destination, uint8_t out[NO_NATS_MAX]) {
    struct writer w = writer_over(out, NO_NATS_MAX);
    writer_octets(&w, source->octets, address_octets(source));
    writer_octets(&w, destination->octets, address_octets(destination));
    writer_u16(&w, source->port);
    writer_u16(&w, destination->port);
    return w.length;
}

/* Over TCP it is ignored: TCP has no trouble with NATs (K15). */
static bool nat_forbidden(const struct turn *turn, const struct payload_list *list) {
    struct notify notify;
    uint8_t seen[NO_NATS_MAX];
    if (turn->reliable || !notify_find(list, NOTIFY_NO_NATS_ALLOWED, &notify))
        return false;
    return !span_equal(notify.data, span_of(seen, no_nats(&turn->remote, &turn->local, seen)));
}

/* --- UPDATE_SA_ADDRESSES: who may move asks --- */

static enum asked update_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    struct turn here = *turn; /* what carries it from now on, not what the message of this turn came on */
    uint8_t data[NO_NATS_MAX];
    if (!sa->mobike || !sa->mobile || sa->state != IKE_STATE_ESTABLISHED)
        return NOTHING_TO_ASK;
    here.local = sa->asked.local = sa->local;
    here.remote = sa->asked.remote = sa->remote;
    sa->asked.reliable = sa->reliable;
    sa->asked.elsewhere = false;
    notify_add(m, NOTIFY_UPDATE_SA_ADDRESSES, span_of(NULL, 0));
    if (sa->config->refuse_nats && !sa->reliable)
        notify_add(m, NOTIFY_NO_NATS_ALLOWED, span_of(data, no_nats(&sa->local, &sa->remote, data)));
    if (nat_write(sa, &here, sa->spi_r, m))
        return ASKED;
    fail(err, OURS, NOTIFY_NONE, "no memory for NAT detection");
    return CANNOT_ASK;
}

/* Called before sa->local, remote and reliable become these. */
void mobike_carried(struct ike_sa *sa, const struct address *local, const struct address *remote, bool reliable) {
    if (sa->reliable == reliable && address_equal(&sa->local, local) && address_equal(&sa->remote, remote))
        return;
    sa->asked.elsewhere = true;
    sa->has_seen_as = false; /* a NAT on the other way shows us as another */
}

static bool went_another_way(const struct ike_sa *sa, const struct turn *turn) {
    return sa->asked.elsewhere || sa->asked.reliable != turn->reliable ||
           !address_equal(&sa->asked.local, &turn->local) || !address_equal(&sa->asked.remote, &turn->remote);
}

/* The answer says what carries the SA from now on. Where the request was written for another way, its NAT detection said
 * nothing true; where it went two ways, the peer may have seen the other one first. Then another exchange follows at once
 * (K14). */
static enum finished update_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    char name[IANA_NAME_MAX];
    struct ike_event *event = emit(turn, IKE_EVENT_UPDATED);
    (void)err;
    if (refusal != NOTIFY_NONE) {
        fail(&event->error, PEER, refusal, "the peer refuses to follow us (%s)", notify_text(refusal, name));
        return FINISHED;
    }
    event->stale = went_another_way(sa, turn);
    sa->local = turn->local;
    sa->remote = turn->remote;
    sa->reliable = turn->reliable;
    if (event->stale && ++sa->stale < STALE_MOST)
        queue_add(sa, &(struct task){.exchange = &update_exchange}, true);
    else
        sa->stale = 0;
    if (!event->stale) {
        nat_read(sa, turn, list, sa->spi_r, &sa->nat_local, &sa->nat_remote);
        (void)nat_seen(sa, list);
    }
    event->init.nat_local = sa->nat_local;
    event->init.nat_remote = sa->nat_remote;
    return FINISHED;
}

/* --- the other side --- */

static bool update_takes(const struct payload_list *list) {
    static const uint16_t ours[] = {NOTIFY_UPDATE_SA_ADDRESSES, NOTIFY_COOKIE2, NOTIFY_ADDITIONAL_IP4_ADDRESS,
        NOTIFY_ADDITIONAL_IP6_ADDRESS, NOTIFY_NO_ADDITIONAL_ADDRESSES};
    struct notify notify;
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (notify_find(list, ours[i], &notify))
            return true;
    return false;
}

static bool follow(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    if (turn->reliable ? sa->config->refuse_reliable : sa->config->refuse_unreliable)
        return fail(err, CONFIG, NOTIFY_UNACCEPTABLE_ADDRESSES, "the peer may not move to %s over %s",
            address_text(&turn->remote, text), turn->reliable ? "TCP" : "UDP");
    if (nat_forbidden(turn, list))
        return fail(err, PEER, NOTIFY_UNEXPECTED_NAT_DETECTED, "the peer allows no NAT, and there is one before %s",
            address_text(&turn->remote, text));
    nat_read(sa, turn, list, sa->spi_r, &sa->nat_local, &sa->nat_remote);
    struct ike_event *event = emit(turn, IKE_EVENT_PEER_MOVED);
    event->init.nat_local = sa->nat_local;
    event->init.nat_remote = sa->nat_remote;
    return true;
}

static enum answered update_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct notify notify;
    enum answered answered = liveness_exchange.answer(sa, turn, list, m, err);
    if (answered != ANSWERED || sa->over || !sa->mobike)
        return answered;
    if (notify_find(list, NOTIFY_COOKIE2, &notify)) {
        if (notify.data.length < COOKIE2_MIN || notify.data.length > COOKIE2_MAX) {
            fail(err, PEER, NOTIFY_INVALID_SYNTAX, "a COOKIE2 has %zu octets; 8 to 64 are allowed", notify.data.length);
            return ANSWER_REFUSED;
        }
        notify_add(m, NOTIFY_COOKIE2, notify.data);
    }
    take_addresses(sa, list);
    bool moves = !sa->mobile && notify_find(list, NOTIFY_UPDATE_SA_ADDRESSES, &notify);
    return !moves || follow(sa, turn, list, err) ? ANSWERED : ANSWER_REFUSED;
}

const struct exchange update_exchange = {
    .name = "INFORMATIONAL (UPDATE_SA_ADDRESSES)",
    .type = INFORMATIONAL,
    .states = IN(IKE_STATE_ESTABLISHED) | IN(IKE_STATE_REKEYED) | IN(IKE_STATE_DELETING),
    .takes = update_takes,
    .ask = update_ask,
    .answer = update_answer,
    .finish = update_finish,
};

/* --- our addresses changed, section 3.6 --- */

static enum asked addresses_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    (void)turn;
    (void)err;
    if (!sa->mobike || sa->state != IKE_STATE_ESTABLISHED)
        return NOTHING_TO_ASK;
    add_addresses(sa, m);
    if (sa->own_addresses == 0)
        notify_add(m, NOTIFY_NO_ADDITIONAL_ADDRESSES, span_of(NULL, 0));
    return ASKED;
}

static enum finished addresses_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    (void)sa;
    (void)turn;
    (void)list;
    (void)refusal; /* a peer that does not want to know them never asks for one */
    (void)err;
    return FINISHED;
}

const struct exchange addresses_exchange = {
    .name = "INFORMATIONAL (ADDITIONAL_*_ADDRESS)",
    .type = INFORMATIONAL,
    .ask = addresses_ask,
    .finish = addresses_finish,
};

/* --- return routability, section 3.7: whether who said so is there --- */

static enum asked routability_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    (void)turn;
    (void)err;
    if (!sa->mobike || sa->state != IKE_STATE_ESTABLISHED)
        return NOTHING_TO_ASK;
    random_fill(&sa->random, sa->cookie2, sizeof sa->cookie2);
    notify_add(m, NOTIFY_COOKIE2, span_of(sa->cookie2, sizeof sa->cookie2));
    return ASKED;
}

static enum finished routability_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct notify notify;
    (void)refusal;
    if (!notify_find(list, NOTIFY_COOKIE2, &notify) ||
        !span_equal_secret(notify.data, span_of(sa->cookie2, sizeof sa->cookie2))) {
        fail(err, PEER, NOTIFY_NONE, "the peer does not say our COOKIE2 back from its new address");
        return FINISH_FATAL;
    }
    emit(turn, IKE_EVENT_ROUTABLE);
    return FINISHED;
}

const struct exchange routability_exchange = {
    .name = "INFORMATIONAL (COOKIE2)",
    .type = INFORMATIONAL,
    .ask = routability_ask,
    .finish = routability_finish,
};

/* --- commands --- */

void ike_sa_update(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    if (sa->over || !sa->mobike || !sa->mobile || sa->state != IKE_STATE_ESTABLISHED ||
        request_is(sa, &update_exchange))
        return;
    queue_add(sa, &(struct task){.exchange = &update_exchange}, true);
    sa_settle(sa, &turn);
}

void ike_sa_routability(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    if (sa->over || !sa->mobike || sa->state != IKE_STATE_ESTABLISHED)
        return;
    queue_add(sa, &(struct task){.exchange = &routability_exchange}, true);
    sa_settle(sa, &turn);
}

static bool are_own_addresses(const struct ike_sa *sa, const struct address *list, size_t count) {
    bool same = count == sa->own_addresses;
    for (size_t i = 0; same && i < count; i++)
        same = address_same_host(&list[i], &sa->own_address[i]);
    return same;
}

void ike_sa_addresses(
    struct ike_sa *sa, uint64_t now, const struct address *list, size_t count, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    bool begins = sa->state == IKE_STATE_INIT || sa->state == IKE_STATE_AUTH;
    count = count < IKE_ADDRESSES_MAX ? count : IKE_ADDRESSES_MAX;
    if (sa->over || are_own_addresses(sa, list, count) || (!begins && !sa->mobike))
        return;
    sa->own_addresses = count;
    for (size_t i = 0; i < count; i++)
        sa->own_address[i] = list[i];
    if (begins)
        return;
    if (!queue_has(sa, &addresses_exchange))
        queue_add(sa, &(struct task){.exchange = &addresses_exchange}, false);
    sa_settle(sa, &turn);
}

bool ike_sa_may_move(const struct ike_sa *sa) {
    return sa->mobike && sa->mobile;
}

bool ike_sa_mobike(const struct ike_sa *sa) {
    return sa->mobike;
}

bool ike_sa_updates(const struct ike_sa *sa) {
    return request_is(sa, &update_exchange) || queue_has(sa, &update_exchange);
}

size_t ike_sa_peer_addresses(const struct ike_sa *sa, struct address out[IKE_ADDRESSES_MAX]) {
    memcpy(out, sa->peer_address, sa->peer_addresses * sizeof out[0]);
    return sa->peer_addresses;
}
