/* message.c: the dispatcher. Whose turn a message is: authenticity, Message IDs in a window of 1, the exchange it belongs
 * to, the payloads it must have, the stored response for one that comes again. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

static const struct exchange *const exchanges[] = {&sa_init_exchange, &resume_exchange, &auth_exchange,
    &ike_rekey_exchange, &child_rekey_exchange, &child_new_exchange, &delete_exchange, &redirect_exchange,
    &update_exchange, &liveness_exchange};

/* --- payloads as the table wants them --- */

static bool known(uint8_t type) {
    return (type >= PAYLOAD_SA && type <= PAYLOAD_EAP) || type == PAYLOAD_SKF;
}

static bool critical_known(const struct payload_list *list, struct turn *turn, struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        uint8_t type = list->payload[i].type;
        if (known(type) || !list->payload[i].critical)
            continue;
        turn->notify_data[0] = type;
        turn->notify_length = 1;
        return fail(err, PEER, NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD,
            "a payload of type %u is critical to the peer and unknown to us", type);
    }
    return true;
}

/* Keeps what the table allows, in any order; refuses what is missing or there twice. */
static bool admit(struct payload_list *list, const char *name, uint32_t must, uint32_t may, struct error *err) {
    uint32_t seen = 0, often = P(PAYLOAD_NOTIFY) | P(PAYLOAD_VENDOR) | P(PAYLOAD_DELETE);
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint8_t type = list->payload[i].type;
        if (!known(type) || ((must | may | P(PAYLOAD_NOTIFY) | P(PAYLOAD_VENDOR)) & P(type)) == 0)
            continue;
        if ((seen & P(type) & ~often) != 0)
            return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "%s with two payloads of type %u", name, type);
        seen |= P(type);
        list->payload[kept++] = list->payload[i];
    }
    list->count = kept;
    for (unsigned type = PAYLOAD_SA; type <= PAYLOAD_SKF; type++)
        if ((must & ~seen & P(type)) != 0)
            return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "%s without a payload of type %u", name, type);
    return true;
}

static bool is_bare(const struct inbound *in) {
    return exchange_is_first(in->header.exchange);
}

/* The list of all payloads: those of a bare message, or those inside SK behind those before it. */
static bool parse(struct inbound *in, struct error *err) {
    if (!is_bare(in))
        return payload_chain_read(in->first, in->inner, &in->list, NULL, err);
    struct span chain = span_of(in->octets + IKE_HEADER_LENGTH, in->length - IKE_HEADER_LENGTH);
    return payload_chain_read(in->header.next_payload, chain, &in->list, NULL, err);
}

static const struct exchange *exchange_for(const struct inbound *in) {
    for (size_t i = 0; i < sizeof exchanges / sizeof exchanges[0]; i++)
        if (exchanges[i]->type == in->header.exchange &&
            (exchanges[i]->takes == NULL || exchanges[i]->takes(&in->list)))
            return exchanges[i];
    return NULL;
}

/* --- requests of the peer's --- */

static bool respond(struct ike_sa *sa, struct turn *turn, const struct inbound *in, uint8_t first, struct span chain,
    bool refused, struct error *err) {
    struct ike_header header = {.spi_i = sa->spi_i,
        .spi_r = is_bare(in) && refused ? 0 : sa->spi_r,
        .version = IKE_VERSION,
        .exchange = in->header.exchange,
        .flags = (uint8_t)(IKE_FLAG_RESPONSE | (sa_is_initiator(sa) ? IKE_FLAG_INITIATOR : 0)),
        .message_id = in->header.message_id};
    sealed_free(&sa->response);
    if (!seal(sa, &header, first, chain, &sa->response, err))
        return false;
    if (is_bare(in) && sa->handshake != NULL &&
        !octets_keep(&sa->handshake->message_r, span_of(sa->response.octets, sa->response.whole)))
        return fail(err, OURS, NOTIFY_NONE, "no memory for the first message");
    sa->expected_id = in->header.message_id + 1;
    if (!is_bare(in) || !refused || sa->response.whole <= in->length) /* nobody proved to be where it would go */
        sealed_send(sa, &sa->response, turn->out, true);
    return true;
}

static enum answered refuse_state(const struct ike_sa *sa, const struct exchange *x, uint8_t type, struct error *err) {
    char name[IANA_NAME_MAX];
    bool going = sa->state == IKE_STATE_REKEYED || sa->state == IKE_STATE_DELETING;
    if (x != NULL && type == CREATE_CHILD_SA && going) /* section 2.25: it is being closed */
        fail(err, PEER, NOTIFY_TEMPORARY_FAILURE, "this IKE SA is being closed");
    else
        fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer asks for %s out of turn", exchange_text(type, name));
    return ANSWER_REFUSED;
}

static enum answered answer(struct ike_sa *sa, struct turn *turn, struct inbound *in, const struct exchange *x,
    struct message_writer *m, struct error *err) {
    if (x == NULL || (x->states & IN(sa->state)) == 0)
        return refuse_state(sa, x, in->header.exchange, err);
    if (!admit(&in->list, x->name, x->must, x->may, err))
        return ANSWER_REFUSED;
    return x->answer(sa, turn, &in->list, m, err);
}

/* Nothing that the peer asked for may be left without an answer; what is our own fault has a name that fits. */
static uint16_t refusal_of(const struct inbound *in, const struct error *err) {
    if (err->notify != NOTIFY_NONE)
        return err->notify;
    return in->header.exchange == IKE_AUTH ? NOTIFY_AUTHENTICATION_FAILED : NOTIFY_TEMPORARY_FAILURE;
}

static void write_refusal(struct message_writer *m, const struct turn *turn, uint16_t type) {
    struct notify notify = {.type = type,
        .protocol = turn->notify_spi_length != 0 ? PROTOCOL_ESP : PROTOCOL_NONE,
        .spi = span_of(turn->notify_spi, turn->notify_spi_length),
        .data = span_of(turn->notify_data, turn->notify_length)};
    payload_begin(m, PAYLOAD_NOTIFY);
    notify_write(m->out, &notify);
    payload_end(m);
}

static void answer_request(struct ike_sa *sa, struct turn *turn, struct inbound *in, bool parsed, struct error *err) {
    uint8_t chain[MESSAGE_MAX], first;
    struct writer w = writer_over(chain, sizeof chain);
    struct message_writer m = chain_begin(&w, &first);
    enum answered answered = ANSWER_REFUSED;
    if (parsed)
        answered = answer(sa, turn, in, exchange_for(in), &m, err);
    if (answered == ANSWER_LATER) {
        sa->held = in;
        return;
    }
    if (answered == ANSWERED && !writer_ok(&w)) {
        fail(err, OURS, NOTIFY_NONE, "the response is too long");
        answered = ANSWER_REFUSED;
    }
    if (answered == ANSWER_REFUSED) {
        w = writer_over(chain, sizeof chain);
        m = chain_begin(&w, &first);
        write_refusal(&m, turn, refusal_of(in, err));
    }
    struct error sealing;
    if (!respond(sa, turn, in, first, span_of(chain, w.length), answered == ANSWER_REFUSED, &sealing))
        sa_close(sa, &sealing, false, false);
    else if (answered == ANSWER_REFUSED &&
             (err->notify == NOTIFY_INVALID_SYNTAX || sa->state == IKE_STATE_INIT || sa->state == IKE_STATE_AUTH))
        sa_close(sa, err, false, false);
    wipe(chain, w.length);
    inbound_free(in);
}

static void take_request(struct ike_sa *sa, struct turn *turn, struct inbound *in) {
    struct error err = {0};
    bool parsed = parse(in, &err) && critical_known(&in->list, turn, &err);
    answer_request(sa, turn, in, parsed, &err);
}

/* --- responses --- */

static uint16_t refusal_in(const struct payload_list *list) {
    const struct payload *payload;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_NOTIFY, n)) != NULL; n++) {
        struct notify notify;
        struct error ignored;
        if (notify_read(payload->body, &notify, &ignored) && notify.type != 0 && notify.type <= NOTIFY_ERROR_LAST)
            return notify.type;
    }
    return NOTIFY_NONE;
}

static enum finished finish(struct ike_sa *sa, struct turn *turn, struct inbound *in, bool parsed, struct error *err) {
    const struct exchange *x = sa->request.task.exchange;
    uint16_t refusal = parsed ? refusal_in(&in->list) : NOTIFY_NONE;
    uint32_t must = refusal == NOTIFY_NONE ? x->must_back : 0;
    if (!parsed || !critical_known(&in->list, turn, err) ||
        !admit(&in->list, x->name, must, x->must_back | x->may_back, err)) {
        if (is_bare(in))
            return sa_init_doubt(sa, err);
        request_farewell(sa, turn, NOTIFY_INVALID_SYNTAX); /* L11 */
        return FINISH_FATAL;
    }
    if (refusal == NOTIFY_INVALID_SYNTAX && !is_bare(in)) {
        fail(err, PEER, NOTIFY_NONE, "the peer could not read our %s and ended the IKE SA (INVALID_SYNTAX)", x->name);
        return FINISH_FATAL;
    }
    return x->finish(sa, turn, &in->list, refusal, err);
}

static void finish_response(struct ike_sa *sa, struct turn *turn, struct inbound *in, bool parsed, struct error *err) {
    switch (finish(sa, turn, in, parsed, err)) {
    case FINISHED:
        request_end(sa);
        break;
    case FINISH_LATER:
        sa->request.answered = true;
        sa->held = in;
        return;
    case FINISH_IGNORED:
        break;
    case FINISH_FATAL:
        sa_close(sa, err, false, false);
        break;
    }
    inbound_free(in);
}

static void take_response(struct ike_sa *sa, struct turn *turn, struct inbound *in) {
    struct error err = {0};
    bool parsed = parse(in, &err);
    if (!parsed && is_bare(in))
        turn->out->corrupt = true;
    finish_response(sa, turn, in, parsed, &err);
}

void message_continue(struct ike_sa *sa, struct turn *turn) {
    struct inbound *in = sa->held;
    struct error err = {0};
    if (in == NULL)
        return;
    sa->held = NULL;
    if ((in->header.flags & IKE_FLAG_RESPONSE) != 0)
        finish_response(sa, turn, in, true, &err);
    else
        answer_request(sa, turn, in, true, &err);
}

/* --- IKE_SA_INIT: nothing proves who sent it --- */

static void receive_bare(struct ike_sa *sa, struct turn *turn, struct inbound *in) {
    const struct ike_header *h = &in->header;
    bool response = (h->flags & IKE_FLAG_RESPONSE) != 0;
    if (sa_is_initiator(sa)) {
        if (response && h->message_id == 0 && sa->request.active && h->exchange == sa->request.task.exchange->type) {
            take_response(sa, turn, in);
            return;
        }
    } else if (!response && h->message_id == 0 && h->spi_r == 0) {
        if (sa->state == IKE_STATE_INIT) {
            sa->spi_i = h->spi_i;
            take_request(sa, turn, in);
            return;
        }
        /* Once more, as long as IKE_AUTH did not come: octet for octet the one that we answered. */
        if (sa->handshake != NULL && sa->expected_id == 1 &&
            span_equal(octets_span(&sa->handshake->message_i), turn->message))
            sealed_send(sa, &sa->response, turn->out, true);
    }
    inbound_free(in);
}

/* --- all others --- */

/* The Responder may ask as soon as it has answered, and overtake itself over UDP: it will ask again. */
static bool too_early(const struct ike_sa *sa) {
    return sa_is_initiator(sa) && sa->state == IKE_STATE_AUTH;
}

static bool answered_before(const struct ike_sa *sa, const struct ike_header *h) {
    struct ike_header response;
    struct error ignored;
    return h->message_id + 1 == sa->expected_id && sa->response.octets != NULL &&
           ike_header_read(span_of(sa->response.octets, sa->response.whole), &response, &ignored) &&
           response.exchange == h->exchange;
}

static void receive_protected(struct ike_sa *sa, struct turn *turn, struct inbound *in) {
    const struct ike_header *h = &in->header;
    struct ike_output *out = turn->out;
    enum opened opened = sa->has_keys ? inbound_open(sa, in) : OPEN_UNPROTECTED;
    out->authentic = opened == OPENED;
    out->corrupt = opened == OPEN_CORRUPT;
    bool response = (h->flags & IKE_FLAG_RESPONSE) != 0;
    bool expected = response ? sa->request.active && !sa->request.answered && h->message_id == sa->request.message_id &&
                                   h->exchange == sa->request.task.exchange->type
                             : h->message_id == sa->expected_id && sa->held == NULL && !too_early(sa);
    if (opened == OPENED && expected) {
        if (in->fragments == 0 || assembly_add(&sa->assembly, in)) {
            out->fresh = true; /* of fragments the last one: those before may come twice */
            sa->heard_at = turn->now;
            if (response)
                take_response(sa, turn, in);
            else
                take_request(sa, turn, in);
            return;
        }
    } else if (opened == OPENED && !response && in->fragment <= 1 && answered_before(sa, h)) {
        sealed_send(sa, &sa->response, out, true); /* K2; of fragments the first asks for all (RFC 7383) */
    }
    inbound_free(in);
}

void ike_sa_receive(struct ike_sa *sa, uint64_t now, struct span message, const struct address *local,
    const struct address *remote, bool reliable, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    struct ike_header header;
    struct error ignored;
    turn.local = *local;
    turn.remote = *remote;
    turn.reliable = reliable;
    turn.message = message;
    if (sa->over)
        return;
    if (!ike_header_read(message, &header, &ignored)) {
        out->corrupt = true;
        return;
    }
    bool ours = header.spi_i == sa->spi_i || (sa->state == IKE_STATE_INIT && !sa_is_initiator(sa));
    bool bare = exchange_is_first(header.exchange);
    if (!ours || (!bare && header.spi_r != sa->spi_r))
        return;
    if (((header.flags & IKE_FLAG_INITIATOR) != 0) == sa_is_initiator(sa))
        return; /* our own, sent back */
    struct inbound *in = header.version >> 4 == IKE_VERSION >> 4 ? inbound_new(message) : NULL;
    if (in != NULL) {
        in->header = header;
        if (bare)
            receive_bare(sa, &turn, in);
        else
            receive_protected(sa, &turn, in);
    } else if (header.version >> 4 != IKE_VERSION >> 4) {
        sa_init_other_version(sa, &header);
    }
    sa_settle(sa, &turn);
}

/* --- small writers --- */

void notify_add(struct message_writer *m, uint16_t type, struct span data) {
    payload_begin(m, PAYLOAD_NOTIFY);
    notify_write(m->out, &(struct notify){.type = type, .data = data});
    payload_end(m);
}

void payload_add(struct message_writer *m, uint8_t type, struct span body) {
    payload_begin(m, type);
    writer_span(m->out, body);
    payload_end(m);
}

void sa_add(struct message_writer *m, const struct proposal_list *list) {
    payload_begin(m, PAYLOAD_SA);
    sa_write(m->out, list);
    payload_end(m);
}

void ke_add(struct message_writer *m, const struct key_exchange *ke) {
    payload_begin(m, PAYLOAD_KE);
    ke_write(m->out, key_exchange_group(ke), key_exchange_public(ke));
    payload_end(m);
}
