/* redirect.c: another gateway (RFC 5685). The Initiator says that it may be sent away, and takes REDIRECT in the answers
 * to IKE_SA_INIT or IKE_SESSION_RESUME (which nothing authenticates: the nonce proves that our request was seen) and to IKE_AUTH, and in an
 * INFORMATIONAL; the Responder sends away before it keeps a state, in IKE_AUTH, or later. */
#include <stdio.h>
#include <string.h>

#include "ike/internal.h"

/* --- saying that one can --- */

void redirect_add(struct message_writer *m, uint16_t type, const char *gateway, struct span nonce) {
    uint8_t data[GATEWAY_MAX + 2 + NONCE_MAX];
    struct writer w = writer_over(data, sizeof data);
    redirect_write(&w, gateway, nonce);
    notify_add(m, type, span_of(data, w.length));
}

void ike_sa_redirected_from(struct ike_sa *sa, const char *gateway) {
    if (sa->handshake != NULL)
        snprintf(sa->handshake->redirected_from, sizeof sa->handshake->redirected_from, "%s", gateway);
}

/* Who was redirected says by whom, which says as well that it could be again (section 4). */
void redirect_offer(const struct ike_sa *sa, struct message_writer *m) {
    const char *from = sa->handshake->redirected_from;
    if (!sa->config->accept_redirect)
        return;
    if (from[0] != 0)
        redirect_add(m, NOTIFY_REDIRECTED_FROM, from, span_of(NULL, 0));
    else
        notify_add(m, NOTIFY_REDIRECT_SUPPORTED, span_of(NULL, 0));
}

bool redirect_offered(const struct payload_list *list) {
    struct notify notify;
    return notify_find(list, NOTIFY_REDIRECT_SUPPORTED, &notify) || notify_find(list, NOTIFY_REDIRECTED_FROM, &notify);
}

/* --- Initiator --- */

static void announce(struct turn *turn, const char *gateway) {
    struct ike_event *event = emit(turn, IKE_EVENT_REDIRECT);
    snprintf(event->gateway, sizeof event->gateway, "%s", gateway);
}

enum redirected redirect_take(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct span nonce, struct error *err) {
    struct notify notify;
    struct span proof;
    char gateway[GATEWAY_MAX];
    if (!notify_find(list, NOTIFY_REDIRECT, &notify))
        return REDIRECT_NONE;
    if (!redirect_read(notify.data, gateway, &proof, err))
        return REDIRECT_REFUSED;
    if (nonce.length > 0 && !span_equal(proof, nonce))
        return REDIRECT_FORGED;
    if (!sa->config->accept_redirect) {
        fail(err, PEER, NOTIFY_NONE, "the peer redirects us to %.200s; accept-redirect=no", gateway);
        return REDIRECT_REFUSED;
    }
    announce(turn, gateway);
    fail(err, PEER, NOTIFY_NONE, "the peer redirects us to %.200s", gateway);
    return REDIRECT_TAKEN;
}

/* --- Responder --- */

bool ike_redirect_first(struct span message, const char *gateway, struct ike_output *out) {
    struct ike_header header;
    struct payload_list list = {0};
    struct span nonce;
    struct error ignored;
    uint8_t data[GATEWAY_MAX + 2 + NONCE_MAX];
    struct writer w = writer_over(data, sizeof data);
    if (!ike_header_read(message, &header, &ignored) ||
        (header.exchange != IKE_SA_INIT && header.exchange != IKE_SESSION_RESUME) ||
        !payload_chain_read(header.next_payload,
            span_of(message.at + IKE_HEADER_LENGTH, message.length - IKE_HEADER_LENGTH), &list, NULL, &ignored))
        return false;
    const struct payload *payload = payload_find(&list, PAYLOAD_NONCE, 0);
    if (!redirect_offered(&list) || payload == NULL || !nonce_read(payload->body, &nonce, &ignored))
        return false;
    redirect_write(&w, gateway, nonce);
    size_t before = out->datagrams;
    answer_bare(&header, NOTIFY_REDIRECT, span_of(data, w.length), out);
    return out->datagrams > before;
}

/* The peer is proved, and gets no Child SA. It leaves with a DELETE, or is forgotten. */
void redirect_away(struct ike_sa *sa, struct turn *turn, struct message_writer *m) {
    redirect_add(m, NOTIFY_REDIRECT, sa->config->redirect_to, span_of(NULL, 0));
    announce(turn, sa->config->redirect_to);
    sa->state = IKE_STATE_DELETING;
    sa->drop_at = turn->now + REDIRECTED_LINGER;
    handshake_free(sa);
}

/* --- INFORMATIONAL, of an established IKE SA --- */

static bool redirect_takes(const struct payload_list *list) {
    struct notify notify;
    return notify_find(list, NOTIFY_REDIRECT, &notify);
}

static enum asked redirect_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    (void)turn;
    (void)err;
    if (sa->state != IKE_STATE_ESTABLISHED || sa->redirect_to[0] == 0)
        return NOTHING_TO_ASK;
    redirect_add(m, NOTIFY_REDIRECT, sa->redirect_to, span_of(NULL, 0));
    return ASKED;
}

/* Answered with nothing in any case (section 5); where it is not wanted, that is all. */
static enum answered redirect_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct error ignored;
    (void)m;
    (void)err;
    if (sa_is_initiator(sa))
        (void)redirect_take(sa, turn, list, span_of(NULL, 0), &ignored);
    return ANSWERED;
}

static enum finished redirect_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    (void)turn;
    (void)list;
    (void)refusal;
    (void)err;
    sa->redirect_to[0] = 0; /* it was heard; the peer leaves when it has the other */
    return FINISHED;
}

void ike_sa_redirect(struct ike_sa *sa, uint64_t now, const char *gateway, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    if (sa->over || sa->state != IKE_STATE_ESTABLISHED || !sa->redirectable)
        return;
    snprintf(sa->redirect_to, sizeof sa->redirect_to, "%s", gateway);
    queue_add(sa, &(struct task){.exchange = &redirect_exchange}, false);
    sa_settle(sa, &turn);
}

const struct exchange redirect_exchange = {
    .name = "INFORMATIONAL (redirect)",
    .type = INFORMATIONAL,
    .states = IN(IKE_STATE_ESTABLISHED),
    .takes = redirect_takes,
    .ask = redirect_ask,
    .answer = redirect_answer,
    .finish = redirect_finish,
};
