/* child_rekey.c: CREATE_CHILD_SA with REKEY_SA, RFC 7296 sections 1.3.3 and 2.8; both sides at once: 2.8.1, 2.25.1. The
 * exchange with the lowest nonce loses; who began it deletes what it made, the other deletes the old Child SA. */
#include <string.h>

#include "ike/internal.h"

/* Also one that can't be read: it is refused, and not taken for a new Child SA. */
static bool rekey_takes(const struct payload_list *list) {
    const struct payload *payload;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_NOTIFY, n)) != NULL; n++) {
        struct notify notify;
        struct error ignored;
        (void)!notify_read(payload->body, &notify, &ignored); /* the type comes before what may be wrong */
        if (notify.type == NOTIFY_REKEY_SA)
            return true;
    }
    return false;
}

static enum asked rekey_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    struct child *old = child_by_spi_in(sa, sa->request.task.spi_in);
    if (sa->state != IKE_STATE_ESTABLISHED || old == NULL || old->state != CHILD_LIVE)
        return NOTHING_TO_ASK;
    if (!child_has_room(sa, true)) {
        old->rekey_at = retry_at(turn->now, old->expire_at);
        return NOTHING_TO_ASK;
    }
    uint8_t spi[4];
    struct writer w = writer_over(spi, sizeof spi);
    writer_u32(&w, old->about.spi_in); /* what we expect in ESP that comes in */
    payload_begin(m, PAYLOAD_NOTIFY);
    notify_write(
        m->out, &(struct notify){.type = NOTIFY_REKEY_SA, .protocol = PROTOCOL_ESP, .spi = span_of(spi, sizeof spi)});
    payload_end(m);
    struct error why = {0};
    if (child_write_request(sa, turn, old->about.config, old, false, m, &why))
        return ASKED;
    (void)err; /* the IKE SA lives on, and the Child SA until its hard lifetime */
    child_failed(sa, turn, old->about.config, &why);
    return NOTHING_TO_ASK;
}

/* --- answering --- */

static struct child *find_old(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct error *err) {
    struct notify notify;
    uint32_t spi = 0;
    if (!notify_find(list, NOTIFY_REKEY_SA, &notify) || notify.spi.length != sizeof spi) {
        fail(err, PEER, NOTIFY_INVALID_SYNTAX, "REKEY_SA without an SPI of 4 octets");
        return NULL;
    }
    struct reader r = reader_over(notify.spi.at, notify.spi.length);
    struct child *old = reader_u32(&r, &spi) ? child_by_spi_out(sa, spi) : NULL;
    if (old == NULL) {
        memcpy(turn->notify_spi, notify.spi.at, sizeof turn->notify_spi);
        turn->notify_spi_length = sizeof turn->notify_spi;
        fail(err, PEER, NOTIFY_CHILD_SA_NOT_FOUND, "the peer rekeys a Child SA %08x that is not there", spi);
    } else if (old->state != CHILD_LIVE) {
        fail(err, PEER, NOTIFY_TEMPORARY_FAILURE, "the Child SA %08x is being closed", spi);
        old = NULL;
    }
    return old;
}

/* Our own rekey of the same Child SA is out: whose wins is known when its response comes. */
static void note_rival(struct ike_sa *sa, const struct child *old, const struct deal *deal) {
    struct rival *rival = &sa->request.rival;
    struct span lower = nonce_lower(deal->ni, deal->nr);
    if (!request_is(sa, &child_rekey_exchange) || sa->request.task.spi_in != old->about.spi_in)
        return;
    rival->there = true;
    rival->spi_in = deal->spi_in;
    rival->lowest_length = lower.length;
    memcpy(rival->lowest, lower.at, lower.length);
}

static enum answered rekey_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct child *old = child_allowed(sa, true, err) ? find_old(sa, turn, list, err) : NULL;
    struct deal deal = {0};
    struct key_exchange *ke = NULL;
    uint8_t nonce[OUR_NONCE_LENGTH];
    if (old == NULL)
        return ANSWER_REFUSED;
    bool ok = child_accept(sa, turn, list, old, false, &deal, err) &&
              child_accept_keys(sa, turn, list, &deal, nonce, &ke, err) && child_install(sa, turn, &deal, NULL, err);
    if (ok) {
        child_write_response(&deal, ke, m);
        note_rival(sa, old, &deal);
        child_replaced(old);
        if (old->expire_at > turn->now + REKEYED_LINGER) /* the peer deletes it; if not, we do */
            old->expire_at = turn->now + REKEYED_LINGER;
    }
    key_exchange_free(ke);
    wipe(deal.secret, sizeof deal.secret);
    return ok ? ANSWERED : ANSWER_REFUSED;
}

/* --- reading the response --- */

static enum finished refused(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct child *old = child_by_spi_in(sa, sa->request.task.spi_in);
    if (old == NULL || old->state != CHILD_LIVE)
        return FINISHED; /* the peer rekeyed or deleted it meanwhile */
    enum again again = task_again(sa, turn, list, refusal, &sa->config->child_proposals, err);
    if (again == AGAIN_HOPELESS)
        return FINISH_FATAL;
    if (again == AGAIN_QUEUED)
        return FINISHED;
    child_refused(sa, old->about.config, refusal, err);
    if (refusal == NOTIFY_CHILD_SA_NOT_FOUND) { /* section 2.25: forget it, make a new one */
        child_down(old, true, true);
        return FINISHED;
    }
    child_failed(sa, turn, old->about.config, err);
    old->rekey_at = retry_at(turn->now, old->expire_at);
    return FINISHED;
}

static bool lost(const struct ike_sa *sa, const struct deal *deal) {
    const struct rival *rival = &sa->request.rival;
    return rival->there &&
           nonce_is_lower(nonce_lower(deal->ni, deal->nr), span_of(rival->lowest, rival->lowest_length));
}

/* Ours is the one that stays: the old Child SA goes, the rival's is deleted by the peer. The old one waits a little for
 * that DELETE, so that neither side falls back to the rival's in between. */
static void won(struct ike_sa *sa, struct turn *turn, struct child *old) {
    struct child *redundant = sa->request.rival.there ? child_by_spi_in(sa, sa->request.rival.spi_in) : NULL;
    struct task task = {.exchange = &delete_exchange, .spi_in = sa->request.task.spi_in};
    if (redundant != NULL) {
        redundant->redundant = true;
        redundant->rekey_at = NEVER;
        task.not_before = turn->now + REDUNDANT_LINGER;
    }
    if (old == NULL)
        return;
    child_replaced(old);
    queue_add(sa, &task, false);
}

static enum finished rekey_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct child *old = child_by_spi_in(sa, sa->request.task.spi_in);
    struct deal deal = {.old = old};
    if (refusal != NOTIFY_NONE)
        return refused(sa, turn, list, refusal, err);
    if (old == NULL) { /* deleted under our hands, yet the peer made a new one: it can't be matched with anything */
        deal.spi_in = (uint32_t)sa->request.spi;
        child_disown(sa, &deal);
        return FINISHED;
    }
    bool ok = child_read_response(sa, turn, list, false, &deal, err);
    if (ok && lost(sa, &deal)) {
        wipe(deal.secret, sizeof deal.secret);
        child_disown(sa, &deal);
        return FINISHED;
    }
    ok = ok && child_install(sa, turn, &deal, NULL, err);
    wipe(deal.secret, sizeof deal.secret);
    if (ok) {
        won(sa, turn, old);
        return FINISHED;
    }
    child_failed(sa, turn, old->about.config, err);
    if (err->notify == NOTIFY_INVALID_SYNTAX) {
        request_farewell(sa, turn, NOTIFY_INVALID_SYNTAX); /* L11 */
        return FINISH_FATAL;
    }
    child_disown(sa, &deal);
    old->rekey_at = retry_at(turn->now, old->expire_at);
    return FINISHED;
}

/* --- nonces --- */

bool nonce_is_lower(struct span a, struct span b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = memcmp(a.at, b.at, common);
    return order < 0 || (order == 0 && a.length < b.length);
}

struct span nonce_lower(struct span a, struct span b) {
    return nonce_is_lower(a, b) ? a : b;
}

const struct exchange child_rekey_exchange = {
    .name = "CREATE_CHILD_SA (rekey of a Child SA)",
    .type = CREATE_CHILD_SA,
    .states = IN(IKE_STATE_ESTABLISHED),
    .must = P(PAYLOAD_SA) | P(PAYLOAD_NONCE) | P(PAYLOAD_TSI) | P(PAYLOAD_TSR),
    .may = P(PAYLOAD_KE),
    .must_back = P(PAYLOAD_SA) | P(PAYLOAD_NONCE) | P(PAYLOAD_TSI) | P(PAYLOAD_TSR),
    .may_back = P(PAYLOAD_KE),
    .takes = rekey_takes,
    .ask = rekey_ask,
    .answer = rekey_answer,
    .finish = rekey_finish,
};
