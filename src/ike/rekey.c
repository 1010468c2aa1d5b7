/* rekey.c: CREATE_CHILD_SA that rekeys the IKE SA, RFC 7296 sections 1.3.2, 2.8 and 2.18; both sides at once: 2.8.2 and
 * 2.25.2. The Child SAs go over to the IKE SA that stays; the lowest nonce loses. */
#include <string.h>

#include "ike/internal.h"

static bool rekey_takes(const struct payload_list *list) {
    const struct payload *sa = payload_find(list, PAYLOAD_SA, 0);
    uint8_t protocol = PROTOCOL_NONE;
    if (sa == NULL)
        return false;
    struct reader r = reader_over(sa->body.at, sa->body.length);
    return reader_skip(&r, 5) && reader_u8(&r, &protocol) && protocol == PROTOCOL_IKE; /* of the first proposal */
}

static void ours(const struct ike_sa *sa, uint64_t spi, struct proposal_list *out) {
    proposals_ours(&sa->config->proposals, PROTOCOL_IKE, KE_REQUIRED, KE_NONE, spi, out);
}

uint64_t ike_new_spi(struct ike_sa *sa) {
    uint64_t spi = 0;
    while (spi == 0) {
        random_fill(&sa->random, &spi, sizeof spi);
        spi &= UINT64_C(0x00ffffffffffffff);
    }
    return spi | (uint64_t)sa->worker << 56;
}

/* --- the successor --- */

static struct ike_sa *successor_new(struct ike_sa *sa, struct turn *turn, enum ike_role role,
    const struct chosen *chosen, struct key_inputs *in, struct error *err) {
    struct ike_sa *next = sa_new(sa->config, role, &sa->local, &sa->remote, sa->reliable, turn->now, sa->random);
    if (next == NULL) {
        fail(err, OURS, NOTIFY_TEMPORARY_FAILURE, "no memory for another IKE SA");
        return NULL;
    }
    handshake_free(next);
    next->spi_i = in->spi_i;
    next->spi_r = in->spi_r;
    next->worker = sa->worker;
    next->spi_taken = sa->spi_taken;
    next->spi_context = sa->spi_context;
    next->selectors_taken = sa->selectors_taken;
    next->mobike = sa->mobike;
    next->mobile = sa->mobile;
    next->nat_local = sa->nat_local;
    next->nat_remote = sa->nat_remote;
    next->peer_addresses = sa->peer_addresses;
    memcpy(next->peer_address, sa->peer_address, sizeof next->peer_address);
    next->own_addresses = sa->own_addresses;
    memcpy(next->own_address, sa->own_address, sizeof next->own_address);
    next->fragmentation = sa->fragmentation;
    next->redirectable = sa->redirectable;
    next->tickets = sa->tickets;
    next->ticket_serial = sa->ticket_serial;
    next->remote_id = sa->remote_id;
    next->keys.prf = chosen->prf;
    next->keys.ke = chosen->ke;
    next->keys.suite = chosen->suite;
    in->disclose = secrets_wanted(sa, turn);
    next->has_keys = keys_derive(&next->keys, in, &sa->keys, role == IKE_INITIATOR, err);
    if (!next->has_keys) {
        ike_sa_free(next);
        return NULL;
    }
    sa_begin_life(next, turn->now);
    return next;
}

/* Child SAs, and what is still to be done about them, go to the successor; this one only waits for its end. What the
 * successor has to ask waits for its first ike_sa_wake: over a stream the peer sees our DELETE of the old one first. */
static void hand_over(struct ike_sa *sa, struct turn *turn, struct ike_sa *next) {
    for (struct child **at = &sa->children; *at != NULL;) {
        struct child *child = *at;
        if (child->down) {
            at = &child->next;
            continue;
        }
        *at = child->next;
        child->next = next->children;
        next->children = child;
    }
    for (size_t i = 0; i < sa->queued; i++) {
        const struct exchange *x = sa->queue[i].exchange;
        if (x != &liveness_exchange && x != &ike_rekey_exchange && (x != &delete_exchange || sa->queue[i].spi_in != 0))
            queue_add(next, &sa->queue[i], false);
    }
    queue_clear(sa);
    bool going = sa->state == IKE_STATE_DELETING;
    sa->state = IKE_STATE_REKEYED;
    sa->rekey_at = sa->expire_at = NEVER;
    sa->drop_at = turn->now + REKEYED_LINGER;
    next->heard_at = sa->heard_at;
    emit(turn, IKE_EVENT_REKEYED)->successor = next;
    if (going) /* all was to be deleted: that is the successor's business now */
        sa_delete(next);
}

static void emit_extra(struct turn *turn, struct ike_sa *extra) {
    emit(turn, IKE_EVENT_EXTRA)->successor = extra;
}

static struct ike_sa *take_rival(struct ike_sa *sa) {
    struct ike_sa *rival = sa->request.rival.sa;
    sa->request.rival.sa = NULL;
    return rival;
}

void ike_rekey_lost(struct ike_sa *sa, struct turn *turn) {
    struct ike_sa *rival = take_rival(sa);
    request_end(sa);
    if (rival != NULL)
        hand_over(sa, turn, rival);
}

/* --- asking --- */

static enum asked rekey_ask(struct ike_sa *sa, struct turn *turn, struct message_writer *m, struct error *err) {
    struct request *r = &sa->request;
    struct proposal_list offered;
    (void)turn;
    if (sa->state != IKE_STATE_ESTABLISHED)
        return NOTHING_TO_ASK;
    r->spi = ike_new_spi(sa);
    ours(sa, r->spi, &offered);
    uint16_t group = r->task.group != KE_NONE                   ? r->task.group
                     : proposals_have_ke(&offered, sa->keys.ke) ? sa->keys.ke
                                                                : proposals_first_ke(&offered);
    r->ke = ke_make(sa, group, err);
    if (r->ke == NULL)
        return CANNOT_ASK;
    random_fill(&sa->random, r->nonce, sizeof r->nonce);
    sa_add(m, &offered);
    payload_add(m, PAYLOAD_NONCE, span_of(r->nonce, sizeof r->nonce));
    ke_add(m, r->ke);
    return ASKED;
}

/* --- answering --- */

static bool allowed(const struct ike_sa *sa, struct error *err) {
    const struct request *r = &sa->request;
    bool child = request_is(sa, &child_new_exchange) || request_is(sa, &child_rekey_exchange) ||
                 (request_is(sa, &delete_exchange) && r->task.spi_in != 0);
    if (child)
        return fail(err, PEER, NOTIFY_TEMPORARY_FAILURE, "a Child SA of this IKE SA is being made, rekeyed or deleted");
    if (r->active && r->rival.there)
        return fail(err, PEER, NOTIFY_TEMPORARY_FAILURE, "this IKE SA is being rekeyed twice already");
    return true;
}

struct answer_keys { /* what the Responder of a rekey has at hand */
    struct key_exchange *ke;
    uint8_t nonce[OUR_NONCE_LENGTH], secret[KE_SECRET_MAX];
    struct chosen chosen;
    struct key_inputs in;
};

static bool accept(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct answer_keys *k, struct error *err) {
    struct proposal_list theirs, accepted;
    struct span public_value;
    uint16_t group;
    if (!sa_read(payload_find(list, PAYLOAD_SA, 0)->body, &theirs, err) ||
        !ke_read(payload_find(list, PAYLOAD_KE, 0)->body, &group, &public_value, err) ||
        !nonce_read(payload_find(list, PAYLOAD_NONCE, 0)->body, &k->in.ni, err))
        return false;
    ours(sa, 0, &accepted);
    if (!proposal_choose(&accepted, &theirs, false, group, &k->chosen, err))
        return fail_context(err, "rekey of the IKE SA: ");
    if (k->chosen.spi == 0)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer rekeys the IKE SA with an SPI of zero");
    if (group != k->chosen.ke)
        return group_refuse(turn, group, k->chosen.ke, err);
    random_fill(&sa->random, k->nonce, sizeof k->nonce);
    k->ke = ke_make(sa, group, err);
    if (k->ke == NULL || !key_exchange_shared(k->ke, public_value, k->secret, err))
        return false;
    k->in.nr = span_of(k->nonce, sizeof k->nonce);
    k->in.shared = span_of(k->secret, key_exchange_secret_length(group));
    k->in.spi_i = k->chosen.spi;
    k->in.spi_r = ike_new_spi(sa);
    return true;
}

static void note_rival(struct ike_sa *sa, struct ike_sa *next, const struct key_inputs *in) {
    struct rival *rival = &sa->request.rival;
    struct span lower = nonce_lower(in->ni, in->nr);
    rival->there = true;
    rival->sa = next;
    rival->lowest_length = lower.length;
    memcpy(rival->lowest, lower.at, lower.length);
}

static enum answered rekey_answer(struct ike_sa *sa, struct turn *turn, const struct payload_list *list,
    struct message_writer *m, struct error *err) {
    struct answer_keys k = {0};
    struct ike_sa *next = NULL;
    if (allowed(sa, err) && accept(sa, turn, list, &k, err))
        next = successor_new(sa, turn, IKE_RESPONDER, &k.chosen, &k.in, err);
    if (next != NULL) {
        chosen_add(m, &k.chosen, k.in.spi_r);
        payload_add(m, PAYLOAD_NONCE, k.in.nr);
        ke_add(m, k.ke);
        if (request_is(sa, &ike_rekey_exchange))
            note_rival(sa, next, &k.in);
        else
            hand_over(sa, turn, next);
    }
    key_exchange_free(k.ke);
    wipe(k.secret, sizeof k.secret);
    return next != NULL ? ANSWERED : ANSWER_REFUSED;
}

/* --- reading the response --- */

static enum finished refused(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct proposal_list offered;
    if (sa->request.rival.sa != NULL) {
        ike_rekey_lost(sa, turn);
        return FINISHED;
    }
    ours(sa, 0, &offered);
    switch (task_again(sa, turn, list, refusal, &offered, err)) {
    case AGAIN_HOPELESS:
        return FINISH_FATAL;
    case AGAIN_NO:
        sa->rekey_at = retry_at(turn->now, sa->expire_at);
        break;
    case AGAIN_QUEUED:
        break;
    }
    return FINISHED;
}

static struct ike_sa *confirm(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, struct span *lowest, struct error *err) {
    struct request *r = &sa->request;
    struct proposal_list offered, theirs;
    struct chosen chosen;
    struct span nonce, public_value;
    uint8_t secret[KE_SECRET_MAX];
    uint16_t group;
    if (!sa_read(payload_find(list, PAYLOAD_SA, 0)->body, &theirs, err) ||
        !ke_read(payload_find(list, PAYLOAD_KE, 0)->body, &group, &public_value, err) ||
        !nonce_read(payload_find(list, PAYLOAD_NONCE, 0)->body, &nonce, err))
        return NULL;
    ours(sa, r->spi, &offered);
    if (!proposal_confirm(&offered, &theirs, &chosen, err))
        return NULL;
    if (group != chosen.ke || group != key_exchange_group(r->ke) || chosen.spi == 0) {
        fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the response to the rekey has KE group %u or an SPI of zero", group);
        return NULL;
    }
    if (!key_exchange_shared(r->ke, public_value, secret, err))
        return NULL;
    struct key_inputs in = {.ni = span_of(r->nonce, sizeof r->nonce),
        .nr = nonce,
        .shared = span_of(secret, key_exchange_secret_length(group)),
        .spi_i = r->spi,
        .spi_r = chosen.spi};
    *lowest = nonce_lower(in.ni, in.nr);
    struct ike_sa *next = successor_new(sa, turn, IKE_INITIATOR, &chosen, &in, err);
    wipe(secret, sizeof secret);
    return next;
}

static enum finished rekey_finish(
    struct ike_sa *sa, struct turn *turn, const struct payload_list *list, uint16_t refusal, struct error *err) {
    struct span lowest;
    if (refusal != NOTIFY_NONE)
        return refused(sa, turn, list, refusal, err);
    struct ike_sa *next = confirm(sa, turn, list, &lowest, err);
    if (next == NULL) { /* L11; what the peer made of it has no Child SAs and nobody who knows it */
        request_farewell(sa, turn, NOTIFY_INVALID_SYNTAX);
        return FINISH_FATAL;
    }
    struct rival *rival = &sa->request.rival;
    struct ike_sa *other = take_rival(sa);
    if (other != NULL && nonce_is_lower(lowest, span_of(rival->lowest, rival->lowest_length))) {
        hand_over(sa, turn, other); /* lost: the peer deletes the old one, we what we made */
        emit_extra(turn, next);
        sa_delete(next);
        sa_settle(next, turn);
        return FINISHED;
    }
    hand_over(sa, turn, next);
    sa_delete(sa);
    if (other != NULL) { /* the peer deletes it */
        other->state = IKE_STATE_REKEYED;
        other->rekey_at = other->expire_at = NEVER;
        other->drop_at = turn->now + REKEYED_LINGER;
        emit_extra(turn, other);
    }
    return FINISHED;
}

const struct exchange ike_rekey_exchange = {
    .name = "CREATE_CHILD_SA (rekey of the IKE SA)",
    .type = CREATE_CHILD_SA,
    .states = IN(IKE_STATE_ESTABLISHED),
    .must = P(PAYLOAD_SA) | P(PAYLOAD_NONCE) | P(PAYLOAD_KE),
    .must_back = P(PAYLOAD_SA) | P(PAYLOAD_NONCE) | P(PAYLOAD_KE),
    .takes = rekey_takes,
    .ask = rekey_ask,
    .answer = rekey_answer,
    .finish = rekey_finish,
};
