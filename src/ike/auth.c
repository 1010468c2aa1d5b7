/* auth.c: IKE_AUTH (RFC 7296 section 1.2) with a pre-shared key (section 2.15), and the first Child SA inside it. The
 * AUTH values are computed elsewhere: an event asks for them, ike_sa_auth brings them (ike.h says when). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ike/internal.h"

/* --- identities and the octets that AUTH covers --- */

void auth_local_identity(const struct ike_sa *sa, struct identity *out) {
    *out = sa->config->local_id;
    if (sa->handshake != NULL && sa->handshake->resume != NULL)
        *out = sa->handshake->resume->local_id; /* under which the ticket was given, whatever our address is now */
    if (out->type != ID_NONE)
        return;
    out->type = sa->local.family == 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR;
    out->length = address_octets(&sa->local);
    memcpy(out->data, sa->local.octets, out->length);
}

/* RealMessage of one side | nonce of the other. */
static bool octets_without_id(struct ike_sa *sa, bool initiators, struct octets *out) {
    struct handshake *hs = sa->handshake;
    struct span message = octets_span(initiators ? &hs->message_i : &hs->message_r);
    struct span nonce = initiators ? span_of(hs->nr, hs->nr_length) : span_of(hs->ni, hs->ni_length);
    uint8_t *joined = malloc(message.length + nonce.length + PRF_MAX);
    if (joined == NULL)
        return false;
    struct writer w = writer_over(joined, message.length + nonce.length);
    writer_span(&w, message);
    writer_span(&w, nonce);
    free(out->at);
    *out = (struct octets){.at = joined, .length = w.length};
    return true;
}

static bool add_mac(struct ike_sa *sa, bool initiators, struct span id_body, struct octets *out) {
    uint8_t mac[PRF_MAX];
    if (!keys_id_mac(&sa->keys, initiators, id_body, mac))
        return false;
    struct writer w = writer_over(out->at + out->length, PRF_MAX); /* octets_without_id left the room */
    writer_octets(&w, mac, prf_length(sa->keys.prf));
    out->length += w.length;
    return true;
}

size_t ike_sa_local_octets(const struct ike_sa *sa, const struct identity *local_id, uint8_t *out, size_t capacity) {
    uint8_t body[IDENTITY_MAX + 4], mac[PRF_MAX];
    struct writer id = writer_over(body, sizeof body), w = writer_over(out, capacity);
    if (sa->handshake == NULL || !sa->has_keys)
        return 0;
    identity_write(&id, local_id);
    if (!writer_ok(&id) || !keys_id_mac(&sa->keys, sa_is_initiator(sa), span_of(body, id.length), mac))
        return 0;
    writer_span(&w, octets_span(&sa->handshake->octets_local));
    writer_octets(&w, mac, prf_length(sa->keys.prf));
    return writer_ok(&w) ? w.length : 0;
}

void auth_want(struct ike_sa *sa, struct turn *turn, const struct payload *remote_id, const struct payload *wanted_id,
    uint8_t method) {
    struct handshake *hs = sa->handshake;
    struct ike_event *event = emit(turn, IKE_EVENT_AUTH_WANTED);
    struct error ignored;
    uint8_t body[IDENTITY_MAX + 4];
    struct writer w = writer_over(body, sizeof body);
    bool initiator = sa_is_initiator(sa);
    event->auth.prf = sa->keys.prf;
    event->auth.remote_method = method;
    const struct ike_ticket *ticket = hs->resume;
    event->auth.resumed = ticket != NULL;
    if (initiator || ticket != NULL)
        auth_local_identity(sa, &event->auth.local_id);
    else if (wanted_id != NULL && !identity_read(wanted_id->body, &event->auth.local_id, &ignored))
        event->auth.local_id = (struct identity){0};
    struct span remote_body = span_of(body, 0);
    if (remote_id != NULL && identity_read(remote_id->body, &event->auth.remote_id, &ignored)) {
        remote_body = remote_id->body; /* as it came: its reserved octets are covered too */
    } else if (ticket != NULL || sa->config->remote_id.type != ID_NONE) {
        event->auth.remote_id = ticket != NULL ? ticket->remote_id : sa->config->remote_id;
        identity_write(&w, &event->auth.remote_id);
        remote_body = span_of(body, w.length);
    }
    bool ok = octets_without_id(sa, initiator, &hs->octets_local);
    hs->octets_remote.length = 0;
    if (ok && remote_body.length > 0)
        ok = octets_without_id(sa, !initiator, &hs->octets_remote) &&
             add_mac(sa, !initiator, remote_body, &hs->octets_remote);
    event->auth.local_octets_without_id = octets_span(&hs->octets_local);
    event->auth.remote_octets = ok ? octets_span(&hs->octets_remote) : span_of(NULL, 0);
    hs->asked = true;
}

void ike_sa_auth(struct ike_sa *sa, uint64_t now, const struct ike_auth_values *values, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    struct handshake *hs = sa->handshake;
    if (sa->over || hs == NULL || !hs->asked)
        return;
    size_t length = prf_length(sa->keys.prf);
    bool first = !hs->answered;
    hs->asked = false;
    hs->answered = true;
    hs->have_expected = hs->octets_remote.length > 0;
    memcpy(hs->expected, values->expected, length);
    if (first)
        memcpy(hs->local_auth, values->local_auth, length);
    if (values->refusal != NULL)
        snprintf(hs->refusal, sizeof hs->refusal, "%s", values->refusal);
    if (values->config != NULL && !sa_is_initiator(sa))
        sa->config = values->config;
    if (hs->resume != NULL)
        resume_auth(sa);
    struct error err;
    if (sa->held != NULL) {
        message_continue(sa, &turn);
    } else if (hs->refusal[0] != 0) {
        fail(&err, CONFIG, NOTIFY_AUTHENTICATION_FAILED, "authentication failed: %s", hs->refusal);
        sa_close(sa, &err, false, false);
    } else {
        queue_add(sa, &(struct task){.exchange = &auth_exchange}, true);
    }
    sa_settle(sa, &turn);
}

/* --- checks of both sides --- */

static bool failed(struct error *err, const char *why) {
    return fail(err, PEER, NOTIFY_AUTHENTICATION_FAILED, "authentication failed: %s", why);
}

static bool check_identity(const struct identity *said, const struct identity *configured, struct error *err) {
    char a[IDENTITY_TEXT_MAX], b[IDENTITY_TEXT_MAX];
    if (configured->type == ID_NONE || identity_equal(said, configured))
        return true;
    return fail(err, PEER, NOTIFY_AUTHENTICATION_FAILED,
        "authentication failed: the peer says it is %.80s; the configuration expects %.80s", identity_text(said, a),
        identity_text(configured, b));
}

static bool is_name(const struct identity *id, const char *name) {
    return id->type == ID_FQDN && id->length == strlen(name) &&
           strncasecmp((const char *)id->data, name, id->length) == 0;
}

static bool is_address(const struct identity *id, const struct address *address) {
    return id->type == (address->family == 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR) && id->length == address_octets(address) &&
           memcmp(id->data, address->octets, id->length) == 0;
}

/* right=NAME without rightid: as Libreswan, the address that the name has; its name does too. */
static bool check_named(const struct ike_sa *sa, struct error *err) {
    const char *name = sa->config->remote_name;
    char text[IDENTITY_TEXT_MAX];
    if (sa->config->remote_id.type != ID_NONE || name == NULL || is_name(&sa->remote_id, name) ||
        is_address(&sa->remote_id, &sa->remote))
        return true;
    return fail(err, PEER, NOTIFY_AUTHENTICATION_FAILED,
        "authentication failed: the peer says it is %.60s, not %.60s or its address; write its id, or %%any for all",
        identity_text(&sa->remote_id, text), name);
}

static bool check_method(const struct payload *payload, uint8_t *method, struct span *data, struct error *err) {
    if (payload == NULL)
        return failed(err, "the peer wants EAP (it sends no AUTH); only pre-shared keys are here");
    if (!auth_read(payload->body, method, data, err))
        return false;
    if (*method == AUTH_METHOD_PSK)
        return true;
    return fail(err, PEER, NOTIFY_AUTHENTICATION_FAILED,
        "authentication failed: the peer authenticates by method %u; only pre-shared keys (%u) are here", *method,
        AUTH_METHOD_PSK);
}

static bool check_value(const struct ike_sa *sa, struct span data, struct error *err) {
    if (!sa->handshake->have_expected) /* zeros would do, else */
        return failed(err, "there was no memory for what the peer has to prove");
    if (span_equal_secret(data, span_of(sa->handshake->expected, prf_length(sa->keys.prf))))
        return true;
    return failed(err, "the pre-shared key differs from the peer's");
}

static void add_identity(struct message_writer *m, uint8_t type, const struct identity *id) {
    payload_begin(m, type);
    identity_write(m->out, id);
    payload_end(m);
}

static void add_own_proof(struct ike_sa *sa, struct message_writer *m) {
    payload_begin(m, PAYLOAD_AUTH);
    auth_write(m->out, AUTH_METHOD_PSK, span_of(sa->handshake->local_auth, prf_length(sa->keys.prf)));
    payload_end(m);
}

/* --- Initiator asks --- */

static enum asked auth_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    struct identity local;
    if (sa->config->children == 0) {
        fail(err, CONFIG, NOTIFY_NONE, "there is no Child SA to ask for");
        return CANNOT_ASK;
    }
    auth_local_identity(sa, &local);
    add_identity(m, PAYLOAD_IDI, &local);
    if (sa->config->initial_contact)
        notify_add(m, NOTIFY_INITIAL_CONTACT, span_of(NULL, 0));
    if (sa->config->remote_id.type != ID_NONE)
        add_identity(m, PAYLOAD_IDR, &sa->config->remote_id);
    add_own_proof(sa, m);
    mobike_offer(sa, m);
    resume_request_ticket(sa, m);
    return child_write_request(sa, turn, &sa->config->child[0], NULL, true, m, err) ? ASKED : CANNOT_ASK;
}

/* --- Responder answers, in two steps --- */

static enum answered want_values(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct error *err) {
    uint8_t method = 0;
    struct span data = {0};
    struct identity id;
    const struct payload *idi = payload_find(list, PAYLOAD_IDI, 0), *idr = payload_find(list, PAYLOAD_IDR, 0);
    if (!check_method(payload_find(list, PAYLOAD_AUTH, 0), &method, &data, err) ||
        !identity_read(idi->body, &id, err) || (idr != NULL && !identity_read(idr->body, &id, err)))
        return ANSWER_REFUSED;
    auth_want(sa, turn, idi, idr, method);
    return ANSWER_LATER;
}

static bool check_peer(struct ike_sa *sa, const struct payload_list *list, struct identity *local, struct error *err) {
    uint8_t method = 0;
    struct span data = {0};
    struct identity wanted;
    const struct payload *idr = payload_find(list, PAYLOAD_IDR, 0);
    char a[IDENTITY_TEXT_MAX], b[IDENTITY_TEXT_MAX];
    if (sa->handshake->refusal[0] != 0)
        return failed(err, sa->handshake->refusal);
    if (!check_method(payload_find(list, PAYLOAD_AUTH, 0), &method, &data, err) ||
        !identity_read(payload_find(list, PAYLOAD_IDI, 0)->body, &sa->remote_id, err) ||
        !check_identity(&sa->remote_id, &sa->config->remote_id, err) || !check_named(sa, err))
        return false;
    if (sa->handshake->resume != NULL && !identity_equal(&sa->remote_id, &sa->handshake->resume->remote_id))
        return failed(err, "the ticket was given to somebody else");
    auth_local_identity(sa, local);
    if (idr != NULL && !identity_read(idr->body, &wanted, err))
        return false;
    if (idr != NULL && !identity_equal(&wanted, local))
        return fail(err, PEER, NOTIFY_AUTHENTICATION_FAILED,
            "authentication failed: the peer asks for %.80s; we are %.80s", identity_text(&wanted, a),
            identity_text(local, b));
    return check_value(sa, data, err);
}

/* The Child SA may be refused without harm to the IKE SA (section 1.2). */
static void answer_child(
    struct ike_sa *sa, struct turn *turn, struct deal *deal, struct message_writer *m, struct error *err) {
    struct handshake *hs = sa->handshake;
    deal->ni = span_of(hs->ni, hs->ni_length);
    deal->nr = span_of(hs->nr, hs->nr_length);
    if (err->origin == ORIGIN_NONE && child_install(sa, turn, deal, NULL, err)) {
        child_write_response(deal, NULL, m);
        return;
    }
    notify_add(m, err->notify != NOTIFY_NONE ? err->notify : NOTIFY_NO_ADDITIONAL_SAS, span_of(NULL, 0));
    child_failed(sa, turn, deal->config, err);
}

static enum answered auth_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct identity local;
    struct notify notify;
    struct deal deal;
    struct error child_error = {0};
    if (!sa->handshake->answered)
        return want_values(sa, turn, list, err);
    if (!check_peer(sa, list, &local, err))
        return ANSWER_REFUSED;
    if (sa->redirectable && sa->config->redirect_to[0] != 0) {
        add_identity(m, PAYLOAD_IDR, &local);
        add_own_proof(sa, m);
        redirect_away(sa, turn, m);
        return ANSWERED;
    }
    if (sa->handshake->resume != NULL && !ticket_spend(sa->tickets, sa->handshake->resumed_serial)) {
        (void)failed(err, "the ticket was used already");
        return ANSWER_REFUSED;
    }
    if (!child_accept(sa, turn, list, NULL, true, &deal, &child_error) &&
        child_error.notify == NOTIFY_INVALID_SYNTAX) { /* L11 */
        *err = child_error;
        return ANSWER_REFUSED;
    }
    mobike_accept(sa, list);
    sa_established(sa, turn);
    if (notify_find(list, NOTIFY_INITIAL_CONTACT, &notify))
        emit(turn, IKE_EVENT_INITIAL_CONTACT);
    add_identity(m, PAYLOAD_IDR, &local);
    add_own_proof(sa, m);
    if (sa->mobike)
        mobike_offer(sa, m);
    resume_give_ticket(sa, turn, list, m);
    answer_child(sa, turn, &deal, m, &child_error);
    handshake_free(sa);
    return ANSWERED;
}

/* --- Initiator reads the response --- */

static bool check_responder(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, bool *later, struct error *err) {
    uint8_t method = 0;
    struct span data = {0};
    const struct payload *idr = payload_find(list, PAYLOAD_IDR, 0);
    if (!identity_read(idr->body, &sa->remote_id, err) ||
        !check_identity(&sa->remote_id, &sa->config->remote_id, err) || !check_named(sa, err) ||
        !check_method(payload_find(list, PAYLOAD_AUTH, 0), &method, &data, err))
        return false;
    if (sa->handshake->resume != NULL && !identity_equal(&sa->remote_id, &sa->handshake->resume->remote_id))
        return failed(err, "the peer that resumes has another identity than the one that gave the ticket");
    if (sa->handshake->refusal[0] != 0)
        return failed(err, sa->handshake->refusal);
    *later = !sa->handshake->have_expected;
    if (*later) {
        auth_want(sa, turn, idr, NULL, method);
        return true;
    }
    return check_value(sa, data, err);
}

/* False: the response is not even well-formed (L11). */
static bool finish_child(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct handshake *hs = sa->handshake;
    const struct ike_child_config *config = &sa->config->child[0];
    struct deal deal = {.ni = span_of(hs->ni, hs->ni_length), .nr = span_of(hs->nr, hs->nr_length)};
    if (refusal != NOTIFY_NONE || payload_find(list, PAYLOAD_SA, 0) == NULL ||
        payload_find(list, PAYLOAD_TSI, 0) == NULL || payload_find(list, PAYLOAD_TSR, 0) == NULL) {
        child_refused(sa, config, refusal, err);
        child_failed(sa, turn, config, err);
        return true;
    }
    if (child_read_response(sa, turn, list, true, &deal, err) && child_install(sa, turn, &deal, NULL, err))
        return true;
    child_failed(sa, turn, config, err);
    if (err->notify == NOTIFY_INVALID_SYNTAX)
        return false;
    child_disown(sa, &deal);
    return true;
}

static enum finished auth_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    char name[IANA_NAME_MAX];
    bool later = false, delete_after = sa->handshake->delete_after;
    if (refusal == NOTIFY_AUTHENTICATION_FAILED) {
        failed(
            err, "the peer refuses us (AUTHENTICATION_FAILED): our identity or pre-shared key is not what it expects");
        return FINISH_FATAL;
    }
    if (payload_find(list, PAYLOAD_IDR, 0) == NULL) {
        fail(err, PEER, NOTIFY_NONE, "the peer refuses IKE_AUTH (%s)", notify_text(refusal, name));
        return FINISH_FATAL;
    }
    if (!check_responder(sa, turn, list, &later, err)) {
        request_farewell(sa, turn, err->notify); /* section 2.21.2 */
        return FINISH_FATAL;
    }
    if (later)
        return FINISH_LATER;
    if (redirect_take(sa, turn, list, span_of(NULL, 0), err) == REDIRECT_TAKEN) {
        request_leave(sa, turn);
        return FINISH_FATAL;
    }
    mobike_accept(sa, list);
    resume_take_ticket(sa, turn, list);
    sa_established(sa, turn);
    if (!finish_child(sa, turn, list, refusal, err)) {
        request_farewell(sa, turn, NOTIFY_INVALID_SYNTAX);
        return FINISH_FATAL;
    }
    for (size_t i = 1; i < sa->config->children; i++)
        queue_add(sa, &(struct task){.exchange = &child_new_exchange, .config = &sa->config->child[i]}, false);
    handshake_free(sa);
    if (delete_after)
        sa_delete(sa);
    return FINISHED;
}

const struct exchange auth_exchange = {
    .name = "IKE_AUTH",
    .type = IKE_AUTH,
    .states = IN(IKE_STATE_AUTH),
    .must = P(PAYLOAD_IDI) | P(PAYLOAD_SA) | P(PAYLOAD_TSI) | P(PAYLOAD_TSR),
    .may = P(PAYLOAD_IDR) | P(PAYLOAD_AUTH),
    .must_back = P(PAYLOAD_IDR) | P(PAYLOAD_AUTH),
    .may_back = P(PAYLOAD_SA) | P(PAYLOAD_TSI) | P(PAYLOAD_TSR), /* not when the Child SA is refused */
    .ask = auth_ask,
    .answer = auth_answer,
    .finish = auth_finish,
};
