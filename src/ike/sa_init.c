/* sa_init.c: IKE_SA_INIT (RFC 7296 section 1.2): algorithms, Diffie-Hellman, nonces, NAT detection; begun again with a
 * cookie (section 2.6) or another group (INVALID_KE_PAYLOAD), with the same SPI and nonce. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

/* --- shared --- */

static void write_common(
    struct ike_sa *sa, const struct key_exchange *ke, struct span nonce, struct message_writer *m) {
    ke_add(m, ke);
    payload_add(m, PAYLOAD_NONCE, nonce);
    if (sa->config->fragmentation) /* over TCP too, so that a move to UDP has it (K7) */
        notify_add(m, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, span_of(NULL, 0));
}

/* Keys from what both sides said; the handshake's nonces are there. */
static bool derive(
    struct ike_sa *sa, struct turn *turn, const struct chosen *chosen, struct span peer_public, struct error *err) {
    struct handshake *hs = sa->handshake;
    uint8_t secret[KE_SECRET_MAX];
    if (!key_exchange_shared(hs->ke, peer_public, secret, err))
        return false;
    struct key_inputs in = {.ni = span_of(hs->ni, hs->ni_length),
        .nr = span_of(hs->nr, hs->nr_length),
        .shared = span_of(secret, key_exchange_secret_length(chosen->ke)),
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .disclose = secrets_wanted(sa, turn)};
    sa->keys.prf = chosen->prf;
    sa->keys.ke = chosen->ke;
    sa->keys.suite = chosen->suite;
    bool ok = keys_derive(&sa->keys, &in, NULL, sa_is_initiator(sa), err);
    wipe(secret, sizeof secret);
    if (ok)
        sa->has_keys = true;
    else
        keys_wipe(&sa->keys);
    return ok;
}

void sa_init_have_keys(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint64_t hashed_spi_r) {
    struct notify notify;
    sa->state = IKE_STATE_AUTH;
    sa->heard_at = turn->now;
    sa->fragmentation = sa->config->fragmentation && notify_find(list, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, &notify);
    key_exchange_free(sa->handshake->ke);
    sa->handshake->ke = NULL;
    struct ike_event *event = emit(turn, IKE_EVENT_KEYS);
    nat_read(sa, turn, list, hashed_spi_r, &sa->nat_local, &sa->nat_remote);
    event->init.nat_local = sa->nat_local;
    event->init.nat_remote = sa->nat_remote;
}

static void ours(const struct ike_sa *sa, struct proposal_list *out) {
    proposals_ours(&sa->config->proposals, PROTOCOL_IKE, KE_REQUIRED, KE_NONE, 0, out);
}

/* --- Initiator asks --- */

static bool prepare(struct ike_sa *sa, const struct proposal_list *offered, struct error *err) {
    struct handshake *hs = sa->handshake;
    if (hs->group == KE_NONE)
        hs->group = proposals_first_ke(offered);
    if (hs->ke != NULL && key_exchange_group(hs->ke) != hs->group) {
        key_exchange_free(hs->ke);
        hs->ke = NULL;
    }
    if (hs->ke == NULL && (hs->ke = ke_make(sa, hs->group, err)) == NULL)
        return false;
    if (hs->ni_length == 0) {
        random_fill(&sa->random, hs->ni, OUR_NONCE_LENGTH);
        hs->ni_length = OUR_NONCE_LENGTH;
    }
    return true;
}

static enum asked sa_init_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct proposal_list offered;
    ours(sa, &offered);
    if (!prepare(sa, &offered, err))
        return CANNOT_ASK;
    sa->next_id = 0; /* also when it begins again */
    if (hs->cookie_length > 0)
        notify_add(m, NOTIFY_COOKIE, span_of(hs->cookie, hs->cookie_length));
    sa_add(m, &offered);
    write_common(sa, hs->ke, span_of(hs->ni, hs->ni_length), m);
    redirect_offer(sa, m);
    if (nat_write(sa, turn, 0, m))
        return ASKED;
    fail(err, OURS, NOTIFY_NONE, "the NAT detection hashes could not be computed");
    return CANNOT_ASK;
}

/* --- Responder answers --- */

static bool accept(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct chosen *chosen, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct proposal_list theirs, accepted;
    struct span nonce, public_value;
    uint16_t group;
    if (!sa_read(payload_find(list, PAYLOAD_SA, 0)->body, &theirs, err) ||
        !ke_read(payload_find(list, PAYLOAD_KE, 0)->body, &group, &public_value, err) ||
        !nonce_read(payload_find(list, PAYLOAD_NONCE, 0)->body, &nonce, err))
        return false;
    ours(sa, &accepted);
    if (!proposal_choose(&accepted, &theirs, false, group, chosen, err))
        return fail_context(err, "IKE SA: ");
    if (group != chosen->ke)
        return group_refuse(turn, group, chosen->ke, err);
    if (!octets_keep(&hs->message_i, turn->message))
        return fail(err, OURS, NOTIFY_NONE, "no memory for the first message");
    memcpy(hs->ni, nonce.at, nonce.length);
    hs->ni_length = nonce.length;
    random_fill(&sa->random, hs->nr, OUR_NONCE_LENGTH);
    hs->nr_length = OUR_NONCE_LENGTH;
    hs->ke = ke_make(sa, group, err);
    return hs->ke != NULL && derive(sa, turn, chosen, public_value, err);
}

static enum answered sa_init_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct chosen chosen;
    if (!accept(sa, turn, list, &chosen, err))
        return ANSWER_REFUSED;
    chosen_add(m, &chosen, 0);
    write_common(sa, hs->ke, span_of(hs->nr, hs->nr_length), m);
    if (!nat_write(sa, turn, sa->spi_r, m)) {
        fail(err, OURS, NOTIFY_NONE, "the NAT detection hashes could not be computed");
        return ANSWER_REFUSED;
    }
    sa_init_have_keys(sa, turn, list, 0);
    sa->redirectable = redirect_offered(list);
    return ANSWERED;
}

/* --- Initiator reads the response --- */

enum finished sa_init_doubt(struct ike_sa *sa, const struct error *err) {
    if (sa->reliable)
        return FINISH_FATAL;
    sa->handshake->doubt = *err;
    return FINISH_IGNORED;
}

bool ike_sa_doubt(const struct ike_sa *sa, struct error *why) {
    if (sa->handshake == NULL || sa->handshake->doubt.origin == ORIGIN_NONE)
        return false;
    *why = sa->handshake->doubt;
    return true;
}

/* Same SPI, same nonce, once more; how often is bounded, and so is the time of all together. */
static enum finished again(struct ike_sa *sa, struct turn *turn, struct error *err) {
    struct handshake *hs = sa->handshake;
    if (++hs->retries > INIT_RETRIES_MAX) {
        fail(err, PEER, NOTIFY_NONE, "the peer made us begin %u times and wants yet another IKE_SA_INIT", hs->retries);
        return sa_init_doubt(sa, err);
    }
    struct ike_event *event = emit(turn, IKE_EVENT_RETRY);
    event->error = *err;
    queue_add(sa, &(struct task){.exchange = hs->resume != NULL ? &resume_exchange : &sa_init_exchange}, true);
    return FINISHED;
}

enum finished sa_init_cookie(struct ike_sa *sa, struct turn *turn, struct span cookie, struct error *err) {
    struct handshake *hs = sa->handshake;
    if (cookie.length == 0 || cookie.length > COOKIE_MAX) {
        fail(err, PEER, NOTIFY_NONE, "a cookie of %zu octets; 1 to %zu are allowed", cookie.length, COOKIE_MAX);
        return sa_init_doubt(sa, err);
    }
    memcpy(hs->cookie, cookie.at, cookie.length);
    hs->cookie_length = cookie.length;
    fail(err, PEER, NOTIFY_COOKIE, "the peer asks for a cookie");
    return again(sa, turn, err);
}

static enum finished take_group(struct ike_sa *sa, struct turn *turn, const struct notify *notify, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct reader r = reader_over(notify->data.at, notify->data.length);
    struct proposal_list offered;
    char name[IANA_NAME_MAX], before[IANA_NAME_MAX];
    uint16_t group;
    ours(sa, &offered);
    if (!reader_u16(&r, &group) || group == hs->group || !proposals_have_ke(&offered, group)) {
        fail(err, PEER, NOTIFY_NONE,
            "the peer refuses our KE (%s) and wants a group that we did not offer: we offer %s",
            transform_text(TRANSFORM_KE, hs->group, 0, before),
            proposals_text(&offered, (char[PROPOSALS_TEXT_MAX]){0}));
        return sa_init_doubt(sa, err);
    }
    fail(err, PEER, NOTIFY_INVALID_KE_PAYLOAD, "the peer wants %s instead of %s",
        transform_text(TRANSFORM_KE, group, 0, name), transform_text(TRANSFORM_KE, hs->group, 0, before));
    hs->group = group;
    return again(sa, turn, err);
}

static enum finished refused(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct notify notify;
    struct proposal_list offered;
    char name[IANA_NAME_MAX], text[PROPOSALS_TEXT_MAX];
    if (refusal == NOTIFY_INVALID_KE_PAYLOAD && notify_find(list, refusal, &notify))
        return take_group(sa, turn, &notify, err);
    if (refusal == NOTIFY_NONE && notify_find(list, NOTIFY_COOKIE, &notify))
        return sa_init_cookie(sa, turn, notify.data, err);
    ours(sa, &offered);
    if (refusal == NOTIFY_NO_PROPOSAL_CHOSEN)
        fail(err, PEER, NOTIFY_NONE, "no proposal in common: the peer refuses ours (NO_PROPOSAL_CHOSEN); we offer %s",
            proposals_text(&offered, text));
    else if (refusal == NOTIFY_INVALID_MAJOR_VERSION)
        fail(err, PEER, NOTIFY_NONE, "the peer does not speak IKEv2 (INVALID_MAJOR_VERSION)");
    else if (refusal != NOTIFY_NONE)
        fail(err, PEER, NOTIFY_NONE, "the peer refuses IKE_SA_INIT (%s)", notify_text(refusal, name));
    else
        fail(err, PEER, NOTIFY_NONE, "the response to IKE_SA_INIT lacks SA, KE or nonce");
    return sa_init_doubt(sa, err);
}

static bool confirm(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct chosen *chosen,
    struct span *public_value, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct proposal_list offered, theirs;
    struct span nonce;
    uint16_t group;
    uint64_t spi_i;
    if (!sa_read(payload_find(list, PAYLOAD_SA, 0)->body, &theirs, err) ||
        !ke_read(payload_find(list, PAYLOAD_KE, 0)->body, &group, public_value, err) ||
        !nonce_read(payload_find(list, PAYLOAD_NONCE, 0)->body, &nonce, err))
        return false;
    ours(sa, &offered);
    if (!proposal_confirm(&offered, &theirs, chosen, err))
        return fail_context(err, "IKE SA: ");
    if (group != hs->group || group != chosen->ke)
        return fail(
            err, PEER, NOTIFY_NONE, "the response to IKE_SA_INIT has a KE of group %u; ours is %u", group, hs->group);
    if (!ike_spis_peek(turn->message, &spi_i, &sa->spi_r) || sa->spi_r == 0)
        return fail(err, PEER, NOTIFY_NONE, "the response to IKE_SA_INIT has a Responder's SPI of zero");
    if (!octets_keep(&hs->message_r, turn->message))
        return fail(err, OURS, NOTIFY_NONE, "no memory for the response");
    memcpy(hs->nr, nonce.at, nonce.length);
    hs->nr_length = nonce.length;
    return true;
}

static enum finished sa_init_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct chosen chosen;
    struct span public_value;
    if (payload_find(list, PAYLOAD_SA, 0) == NULL && refusal == NOTIFY_NONE) {
        switch (redirect_take(sa, turn, list, span_of(sa->handshake->ni, sa->handshake->ni_length), err)) {
        case REDIRECT_TAKEN:
            return FINISH_FATAL;
        case REDIRECT_FORGED:
            return FINISH_IGNORED;
        case REDIRECT_REFUSED:
            return sa_init_doubt(sa, err);
        case REDIRECT_NONE:
            break;
        }
    }
    if (refusal != NOTIFY_NONE || payload_find(list, PAYLOAD_SA, 0) == NULL ||
        payload_find(list, PAYLOAD_KE, 0) == NULL || payload_find(list, PAYLOAD_NONCE, 0) == NULL)
        return refused(sa, turn, list, refusal, err);
    if (!confirm(sa, turn, list, &chosen, &public_value, err) || !derive(sa, turn, &chosen, public_value, err)) {
        sa->spi_r = 0;
        return sa_init_doubt(sa, err);
    }
    sa->handshake->give_up_at = turn->now + sa->config->retransmit_timeout_ms; /* for the AUTH value */
    sa_init_have_keys(sa, turn, list, sa->spi_r);
    auth_want(sa, turn, NULL, NULL, AUTH_METHOD_PSK);
    return FINISHED;
}

void sa_init_other_version(struct ike_sa *sa, const struct ike_header *header) {
    struct error err;
    if (!sa_is_initiator(sa) || !request_is(sa, &sa_init_exchange) || (header->flags & IKE_FLAG_RESPONSE) == 0)
        return;
    fail(&err, PEER, NOTIFY_NONE, "the peer answers with IKE version %u.%u; we speak 2.0", header->version >> 4,
        header->version & 0xf);
    if (sa_init_doubt(sa, &err) == FINISH_FATAL)
        sa_close(sa, &err, false, false);
}

const struct exchange sa_init_exchange = {
    .name = "IKE_SA_INIT",
    .type = IKE_SA_INIT,
    .states = IN(IKE_STATE_INIT),
    .must = P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_NONCE),
    .may_back = P(PAYLOAD_SA) | P(PAYLOAD_KE) | P(PAYLOAD_NONCE), /* or a refusal, or a cookie */
    .ask = sa_init_ask,
    .answer = sa_init_answer,
    .finish = sa_init_finish,
};
