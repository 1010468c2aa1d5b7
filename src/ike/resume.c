/* resume.c: session resumption (RFC 5723). IKE_AUTH hands out a ticket; IKE_SESSION_RESUME with it takes the place of
 * IKE_SA_INIT, and the keys come from the old SK_d: no Diffie-Hellman, and AUTH proves that both know that SK_d, so that no
 * credential is needed again. A ticket that is not taken costs nothing but IKE_SA_INIT after all. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

#define TICKET_LIFETIME_MOST (24 * 3600 * SECOND)

/* --- tickets --- */

void resume_request_ticket(const struct ike_sa *sa, struct message_writer *m) {
    if (sa->config->session_resumption)
        notify_add(m, NOTIFY_TICKET_REQUEST, span_of(NULL, 0));
}

static void fill(const struct ike_sa *sa, struct ike_ticket *ticket, uint64_t until) {
    *ticket = (struct ike_ticket){
        .until = until, .prf = sa->keys.prf, .ke = sa->keys.ke, .suite = sa->keys.suite, .remote_id = sa->remote_id};
    memcpy(ticket->sk_d, sa->keys.sk_d, prf_length(sa->keys.prf));
    auth_local_identity(sa, &ticket->local_id);
}

/* Lifetime in seconds | the ticket (section 7.1). */
void resume_give_ticket(
    struct ike_sa *sa, const struct turn *turn, const struct payload_list *list, struct message_writer *m) {
    struct notify notify;
    struct ike_ticket ticket;
    uint8_t octets[IKE_TICKET_MAX], data[4 + IKE_TICKET_MAX];
    if (sa->tickets == NULL || !sa->config->session_resumption || !notify_find(list, NOTIFY_TICKET_REQUEST, &notify))
        return;
    uint64_t lifetime = sa->config->lifetime_ms;
    if (lifetime == 0 || lifetime > TICKET_LIFETIME_MOST)
        lifetime = TICKET_LIFETIME_MOST;
    fill(sa, &ticket, turn->now + lifetime);
    size_t length = ticket_seal(sa->tickets, &ticket, &sa->ticket_serial, octets);
    wipe(&ticket, sizeof ticket);
    if (length == 0) {
        notify_add(m, NOTIFY_TICKET_NACK, span_of(NULL, 0));
        return;
    }
    struct writer w = writer_over(data, sizeof data);
    writer_u32(&w, (uint32_t)(lifetime / SECOND));
    writer_octets(&w, octets, length);
    notify_add(m, NOTIFY_TICKET_LT_OPAQUE, span_of(data, w.length));
}

void resume_take_ticket(struct ike_sa *sa, const struct turn *turn, const struct payload_list *list) {
    struct notify notify;
    uint32_t lifetime;
    if (!sa->config->session_resumption || !notify_find(list, NOTIFY_TICKET_LT_OPAQUE, &notify))
        return;
    struct reader r = reader_over(notify.data.at, notify.data.length);
    if (!reader_u32(&r, &lifetime) || lifetime == 0 || r.left == 0 || r.left > IKE_TICKET_MAX)
        return;
    uint64_t ms = lifetime * SECOND;
    struct ike_ticket *ticket = calloc(1, sizeof *ticket);
    if (ticket == NULL)
        return;
    fill(sa, ticket, turn->now + (ms < TICKET_LIFETIME_MOST ? ms : TICKET_LIFETIME_MOST));
    memcpy(ticket->octets, r.at, r.left);
    ticket->length = r.left;
    free(sa->ticket);
    sa->ticket = ticket;
}

bool ike_sa_ticket(const struct ike_sa *sa, struct ike_ticket *out) {
    if (sa->ticket == NULL)
        return false;
    *out = *sa->ticket;
    return true;
}

void ike_sa_set_tickets(struct ike_sa *sa, struct ike_ticket_jar *tickets) {
    sa->tickets = tickets;
}

bool ike_sa_resume(struct ike_sa *sa, const struct ike_ticket *ticket) {
    struct handshake *hs = sa->handshake;
    if (hs == NULL || hs->resume != NULL || (hs->resume = malloc(sizeof *hs->resume)) == NULL)
        return false;
    *hs->resume = *ticket;
    return true;
}

/* --- keys and AUTH --- */

/* SKEYSEED = prf(SK_d (old), "Resumption" | Ni | Nr), section 5.1: a rekey's derivation with a word for the secret. */
static bool derive(struct ike_sa *sa, struct turn *turn, struct error *err) {
    struct handshake *hs = sa->handshake;
    const struct ike_ticket *ticket = hs->resume;
    struct ike_keys old = {.prf = ticket->prf};
    struct key_inputs in = {.ni = span_of(hs->ni, hs->ni_length),
        .nr = span_of(hs->nr, hs->nr_length),
        .shared = span_of("Resumption", 10),
        .spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .disclose = secrets_wanted(sa, turn)};
    memcpy(old.sk_d, ticket->sk_d, sizeof old.sk_d);
    sa->keys.prf = ticket->prf;
    sa->keys.ke = ticket->ke;
    sa->keys.suite = ticket->suite;
    sa->has_keys = keys_derive(&sa->keys, &in, &old, sa_is_initiator(sa), err);
    wipe(&old, sizeof old);
    if (!sa->has_keys)
        keys_wipe(&sa->keys);
    return sa->has_keys;
}

/* prf(SK_pi or SK_pr, octets of RFC 7296 section 2.15). */
void resume_auth(struct ike_sa *sa) {
    struct handshake *hs = sa->handshake;
    struct span key_i = span_of(sa->keys.sk_pi, prf_length(sa->keys.prf));
    struct span key_r = span_of(sa->keys.sk_pr, prf_length(sa->keys.prf));
    struct span remote = octets_span(&hs->octets_remote);
    struct identity local;
    bool initiator = sa_is_initiator(sa);
    size_t room = hs->octets_local.length + PRF_MAX;
    uint8_t *octets = malloc(room);
    auth_local_identity(sa, &local);
    struct span own = span_of(octets, octets != NULL ? ike_sa_local_octets(sa, &local, octets, room) : 0);
    hs->have_expected = own.length > 0 && remote.length > 0 &&
                        prf_compute(sa->keys.prf, initiator ? key_i : key_r, &own, 1, hs->local_auth) &&
                        prf_compute(sa->keys.prf, initiator ? key_r : key_i, &remote, 1, hs->expected);
    free(octets);
}

static bool nonce_keep(const struct payload_list *list, uint8_t *out, size_t *length, struct error *err) {
    struct span nonce;
    if (!nonce_read(payload_find(list, PAYLOAD_NONCE, 0)->body, &nonce, err))
        return false;
    memcpy(out, nonce.at, nonce.length);
    *length = nonce.length;
    return true;
}

/* --- Initiator asks --- */

static enum asked resume_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    struct handshake *hs = sa->handshake;
    sa->next_id = 0;
    if (hs->ni_length == 0) {
        random_fill(&sa->random, hs->ni, OUR_NONCE_LENGTH);
        hs->ni_length = OUR_NONCE_LENGTH;
    }
    if (hs->cookie_length > 0)
        notify_add(m, NOTIFY_COOKIE, span_of(hs->cookie, hs->cookie_length));
    payload_add(m, PAYLOAD_NONCE, span_of(hs->ni, hs->ni_length));
    notify_add(m, NOTIFY_TICKET_OPAQUE, span_of(hs->resume->octets, hs->resume->length));
    if (sa->config->fragmentation)
        notify_add(m, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, span_of(NULL, 0));
    redirect_offer(sa, m);
    if (nat_write(sa, turn, 0, m))
        return ASKED;
    fail(err, OURS, NOTIFY_NONE, "the NAT detection hashes could not be computed");
    return CANNOT_ASK;
}

/* --- Responder answers --- */

static bool accept(struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct notify notify;
    struct ike_ticket *ticket = hs->resume = calloc(1, sizeof *ticket);
    if (ticket == NULL || sa->tickets == NULL || !notify_find(list, NOTIFY_TICKET_OPAQUE, &notify) ||
        !ticket_open(sa->tickets, turn->now, notify.data, ticket, &hs->resumed_serial))
        return fail(err, PEER, NOTIFY_TICKET_NACK, "a ticket that is not ours, was used, or is too old");
    if (!nonce_keep(list, hs->ni, &hs->ni_length, err))
        return false;
    if (!octets_keep(&hs->message_i, turn->message))
        return fail(err, OURS, NOTIFY_TICKET_NACK, "no memory for the first message");
    random_fill(&sa->random, hs->nr, OUR_NONCE_LENGTH);
    hs->nr_length = OUR_NONCE_LENGTH;
    return derive(sa, turn, err);
}

static enum answered resume_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct handshake *hs = sa->handshake;
    if (!accept(sa, turn, list, err))
        return ANSWER_REFUSED;
    payload_add(m, PAYLOAD_NONCE, span_of(hs->nr, hs->nr_length));
    if (sa->config->fragmentation)
        notify_add(m, NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, span_of(NULL, 0));
    if (!nat_write(sa, turn, sa->spi_r, m)) {
        fail(err, OURS, NOTIFY_TICKET_NACK, "the NAT detection hashes could not be computed");
        return ANSWER_REFUSED;
    }
    sa->resumed = true;
    sa->redirectable = redirect_offered(list);
    sa_init_have_keys(sa, turn, list, 0);
    return ANSWERED;
}

/* --- Initiator reads the response --- */

/* Before anything is taken of the ticket the peer may send us elsewhere, with our nonce (RFC 5685 section 3). */
static enum finished redirected(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, bool *any, struct error *err) {
    const struct handshake *hs = sa->handshake;
    enum redirected said = redirect_take(sa, turn, list, span_of(hs->ni, hs->ni_length), err);
    *any = said != REDIRECT_NONE;
    if (said == REDIRECT_NONE)
        return FINISHED;
    if (said == REDIRECT_TAKEN)
        return FINISH_FATAL;
    return said == REDIRECT_FORGED ? FINISH_IGNORED : sa_init_doubt(sa, err);
}

/* Anybody could say so; it costs a full handshake, which is what there would be without a ticket. */
static enum finished without_ticket(struct ike_sa *sa, struct turn *turn) {
    struct handshake *hs = sa->handshake;
    struct ike_event *event = emit(turn, IKE_EVENT_RETRY);
    fail(&event->error, PEER, NOTIFY_TICKET_NACK, "the peer does not take our ticket");
    wipe(hs->resume, sizeof *hs->resume);
    free(hs->resume);
    hs->resume = NULL;
    hs->cookie_length = 0;
    queue_add(sa, &(struct task){.exchange = &sa_init_exchange}, true);
    return FINISHED;
}

static enum finished resume_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct handshake *hs = sa->handshake;
    struct notify notify;
    uint64_t spi_i;
    bool answered = refusal == NOTIFY_NONE && payload_find(list, PAYLOAD_NONCE, 0) != NULL;
    if (!answered && refusal == NOTIFY_NONE && notify_find(list, NOTIFY_COOKIE, &notify))
        return sa_init_cookie(sa, turn, notify.data, err);
    bool elsewhere = false;
    enum finished then = answered || refusal != NOTIFY_NONE ? FINISHED : redirected(sa, turn, list, &elsewhere, err);
    if (elsewhere)
        return then;
    if (!answered)
        return without_ticket(sa, turn);
    if (!nonce_keep(list, hs->nr, &hs->nr_length, err))
        return sa_init_doubt(sa, err);
    if (!ike_spis_peek(turn->message, &spi_i, &sa->spi_r) || sa->spi_r == 0) {
        fail(err, PEER, NOTIFY_NONE, "the response to IKE_SESSION_RESUME has a Responder's SPI of zero");
        return sa_init_doubt(sa, err);
    }
    if (!octets_keep(&hs->message_r, turn->message) || !derive(sa, turn, err)) {
        sa->spi_r = 0;
        return sa_init_doubt(sa, err);
    }
    sa->resumed = true;
    hs->give_up_at = turn->now + sa->config->retransmit_timeout_ms;
    sa_init_have_keys(sa, turn, list, sa->spi_r);
    auth_want(sa, turn, NULL, NULL, AUTH_METHOD_PSK);
    return FINISHED;
}

const struct exchange resume_exchange = {
    .name = "IKE_SESSION_RESUME",
    .type = IKE_SESSION_RESUME,
    .states = IN(IKE_STATE_INIT),
    .must = P(PAYLOAD_NONCE),
    .may_back = P(PAYLOAD_NONCE), /* or a refusal, or a cookie */
    .ask = resume_ask,
    .answer = resume_answer,
    .finish = resume_finish,
};
