/* exchange.c: each call into ike/ and what follows from it. What must be ready before a message goes out comes first
 * (a Child SA is installed before the answer that lets the peer use it), then the messages, then what ends. */
#include "peer/internal.h"

void exchange_follow(struct peers *peers, struct sa *sa, struct ike_output *out, const struct carrier *from) {
    struct peer *peer = sa->peer;
    peer_touch(peers, peer);
    for (size_t i = 0; i < out->events; i++) /* which comes behind ESTABLISHED, and decides what that replaces */
        peer->initial_contact = peer->initial_contact || out->event[i].kind == IKE_EVENT_INITIAL_CONTACT;
    for (size_t i = 0; i < out->events; i++)
        event_first(peers, sa, &out->event[i]);
    for (size_t i = 0; i < out->events; i++)
        event_before(peers, sa, &out->event[i], from);
    bool tries = false;
    for (size_t i = 0; i < out->datagrams; i++) {
        const struct ike_datagram *datagram = &out->datagram[i];
        tries |= !datagram->reply && peer_way(peer, sa) == &peer->roam.trial;
        action_send(peers, peer, datagram->reply && from ? from : peer_way(peer, sa),
            span_of(out->octets + datagram->at, datagram->length));
    }
    if (out->datagrams > 0 && (!from || carrier_equal(from, &peer->carrier)))
        pulse_sent(peers, peer);
    if (tries && peer->path->moving)
        path_sent(peer->path, peers->now);
    if (peer->initiator && (peer->phase == PHASE_INIT || peer->phase == PHASE_AUTH) && out->datagrams > 0)
        path_sent(peer->path, peers->now);
    for (size_t i = 0; i < out->events; i++)
        event_after(peers, sa, &out->event[i]);
    if (peer->losing && peer->phase == PHASE_UP)
        peer_delete(peers, peer, "another IKE SA with the same peer stays instead");
}

void exchange_start(struct peers *peers, struct sa *sa) {
    struct ike_output *out = output_take(peers);
    if (!out)
        return;
    ike_sa_start(sa->ike, peers->now, out);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
}

/* What the message says of its carrier: L5, L10, L12. */
static void judge_carrier(struct peers *peers, struct sa *sa, const struct carrier *from, struct stream *stream,
    const struct ike_output *out) {
    struct peer *peer = sa->peer;
    if (stream && out->authentic)
        stream->strikes = 0;
    if (out->authentic)
        (void)reconnect_answered(peers, peer, from);
    if (!out->fresh)
        return;
    bool moves = may_move(peer, from, MOVE_BY_IKE);
    if (stream && (moves || carrier_equal(from, &peer->carrier)))
        stream_proved(peers, stream, peer);
    if (moves)
        move_to(peers, peer, from, NULL);
}

/* What the present IKE SA said on this connection may have come too early: the peer's rekey, which makes it, is over only with
 * our answer, which went out a moment ago. */
static void predecessor_heard(struct peers *peers, struct peer *peer) {
    if (!peer->greeted)
        return;
    peer->greeted = false;
    exchange_carried(peers, peer, NULL);
}

void exchange_receive(
    struct peers *peers, struct sa *sa, const struct carrier *from, struct stream *stream, struct span message) {
    struct ike_output *out = output_take(peers);
    if (!out)
        return;
    bool had_keys = ike_sa_state(sa->ike) != IKE_STATE_INIT;
    ike_sa_receive(sa->ike, peers->now, message, &from->local, &from->remote, from->transport != TRANSPORT_UDP, out);
    race_decide(peers, sa, out);
    struct peer *peer = sa->peer;
    bool corrupt = out->corrupt && !out->authentic, authentic = out->authentic;
    if (out->fresh)
        doubt_heard(peers, peer, peers->now);
    if (out->fresh && (!peer->beside || carrier_equal(from, &peer->carrier)))
        silence_heard(peers, peer, peers->now);
    judge_carrier(peers, sa, from, stream, out);
    exchange_follow(peers, sa, out, from);
    output_give(peers, out);
    if (corrupt && stream && had_keys)
        stream_close(peers, stream, "an IKE message failed its integrity check");
    else if (corrupt && stream)
        stream_strike(peers, stream, "messages that cannot be parsed");
    if (authentic && peer->phase == PHASE_UP && carrier_equal(from, &peer->carrier))
        reconnect_heard(peers, peer);
    if (authentic && peer->phase == PHASE_UP)
        roam_heard(peers, peer, from);
    if (authentic && sa != peer_sa(peer) && carrier_equal(from, &peer->carrier))
        predecessor_heard(peers, peer);
    exchange_next_child(peers, peer);
}

/* The newest authentic ESP of all Child SAs: the worker only counts it, liveness is judged here. */
static void take_heard(struct peers *peers, struct peer *peer) {
    uint64_t newest = 0;
    for (const struct child *child = peer->children; child; child = child->next) {
        uint64_t last = atomic_load_explicit(&child->counters->last_in_ms, memory_order_relaxed);
        newest = last > newest ? last : newest;
    }
    if (newest > peers->now)
        newest = peers->now;
    struct sa *sa = peer_sa(peer);
    if (newest <= peer->heard_at || !sa)
        return;
    peer->heard_at = newest;
    doubt_heard(peers, peer, newest);
    silence_heard(peers, peer, newest);
    ike_sa_heard(sa->ike, newest);
}

void exchange_wake(struct peers *peers, struct peer *peer) {
    struct sa *due[PEER_SAS_MAX];
    size_t count = 0;
    take_heard(peers, peer);
    for (struct sa *sa = peer->sas; sa && count < PEER_SAS_MAX; sa = sa->next)
        if (ike_sa_deadline(sa->ike) <= peers->now)
            due[count++] = sa;
    for (size_t i = 0; i < count && peer->phase != PHASE_OVER; i++) {
        struct ike_output *out = due[i]->closed ? NULL : output_take(peers);
        if (!out)
            continue;
        ike_sa_wake(due[i]->ike, peers->now, out);
        exchange_follow(peers, due[i], out, NULL);
        output_give(peers, out);
    }
    exchange_next_child(peers, peer);
}

/* Requests that are outstanding go out again over what carries the peer now (K1, K2, L14). */
void exchange_carried(struct peers *peers, struct peer *peer, const struct sa *knows) {
    struct sa *all[PEER_SAS_MAX];
    size_t count = 0;
    for (struct sa *sa = peer->sas; sa && count < PEER_SAS_MAX; sa = sa->next)
        all[count++] = sa;
    for (size_t i = 0; i < count; i++) {
        struct ike_output *out = all[i]->closed ? NULL : output_take(peers);
        if (!out)
            continue;
        bool reliable = peer->carrier.transport != TRANSPORT_UDP;
        ike_sa_carried(
            all[i]->ike, peers->now, &peer->carrier.local, &peer->carrier.remote, reliable, all[i] != knows, out);
        exchange_follow(peers, all[i], out, NULL);
        output_give(peers, out);
    }
}

/* A predecessor whose rekey the peer may not have seen the end of: on a new connection only the old SPIs tell the peer
 * that the old IKE SA has moved, so that it asks again (L14). */
void exchange_greet_predecessors(struct peers *peers, struct peer *peer) {
    struct sa *all[PEER_SAS_MAX];
    size_t count = 0;
    for (struct sa *sa = peer->sas; sa && count < PEER_SAS_MAX; sa = sa->next)
        if (ike_sa_state(sa->ike) == IKE_STATE_REKEYED)
            all[count++] = sa;
    for (size_t i = 0; i < count; i++) {
        struct ike_output *out = all[i]->closed ? NULL : output_take(peers);
        if (!out)
            continue;
        ike_sa_liveness(all[i]->ike, peers->now, out);
        peer->greeted |= out->datagrams > 0;
        exchange_follow(peers, all[i], out, NULL);
        output_give(peers, out);
    }
}

/* One call on the present IKE SA that takes no more than itself. */
static void on_present(
    struct peers *peers, struct peer *peer, void (*call)(struct ike_sa *, uint64_t now, struct ike_output *)) {
    struct sa *sa = peer_sa(peer);
    struct ike_output *out = sa ? output_take(peers) : NULL;
    if (!out)
        return;
    call(sa->ike, peers->now, out);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
}

void exchange_liveness(struct peers *peers, struct peer *peer) {
    on_present(peers, peer, ike_sa_liveness);
}

void exchange_update(struct peers *peers, struct peer *peer) {
    on_present(peers, peer, ike_sa_update);
}

void exchange_routability(struct peers *peers, struct peer *peer) {
    on_present(peers, peer, ike_sa_routability);
}

/* The present one's request, and those of predecessors that go the same way. */
void exchange_try(struct peers *peers, struct peer *peer) {
    struct sa *all[PEER_SAS_MAX];
    size_t count = 0;
    for (struct sa *sa = peer->sas; sa && count < PEER_SAS_MAX; sa = sa->next)
        if (!sa->closed && peer_way(peer, sa) == &peer->roam.trial)
            all[count++] = sa;
    for (size_t i = 0; i < count; i++) {
        const struct carrier *trial = &peer->roam.trial;
        struct ike_output *out = all[i]->closed ? NULL : output_take(peers);
        if (!out)
            continue;
        bool reliable = trial->transport != TRANSPORT_UDP;
        ike_sa_carried(all[i]->ike, peers->now, &trial->local, &trial->remote, reliable, true, out);
        exchange_follow(peers, all[i], out, NULL);
        output_give(peers, out);
    }
}

void exchange_delete(struct peers *peers, struct peer *peer) {
    on_present(peers, peer, ike_sa_delete);
}

void exchange_rekey(struct peers *peers, struct peer *peer) {
    on_present(peers, peer, ike_sa_rekey);
}

void exchange_rekey_child(struct peers *peers, struct peer *peer, uint32_t spi_in) {
    struct sa *sa = peer_sa(peer);
    struct ike_output *out = sa ? output_take(peers) : NULL;
    if (!out)
        return;
    ike_sa_rekey_child(sa->ike, peers->now, spi_in, out);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
}

/* What waits for a free window: L2's greeting first, then our addresses, then Child SAs that are configured and not asked for
 * yet. */
void exchange_next_child(struct peers *peers, struct peer *peer) {
    struct sa *sa = peer->phase == PHASE_UP ? peer_sa(peer) : NULL;
    if (!sa || peer->carrier.transport == TRANSPORT_NONE || ike_sa_state(sa->ike) != IKE_STATE_ESTABLISHED ||
        ike_sa_awaits_answer(sa->ike))
        return;
    if (peer->hello_due) {
        peer->hello_due = false;
        if (peer->mobike)
            exchange_update(peers, peer);
        else
            exchange_liveness(peers, peer);
        return;
    }
    if (peer->addresses_due) {
        addresses_tell(peers, peer, sa);
        if (ike_sa_awaits_answer(sa->ike))
            return;
    }
    const struct ike_config *config = &peer->conn->config.ike;
    for (size_t i = 0; peer->initiator && i < config->children; i++) {
        if (peer->asked & 1u << i)
            continue;
        struct ike_output *out = output_take(peers);
        if (!out)
            return;
        peer->asked |= 1u << i;
        ike_sa_new_child(sa->ike, peers->now, &config->child[i], out);
        exchange_follow(peers, sa, out, NULL);
        output_give(peers, out);
        return;
    }
    host_tell_up(peers, peer);
}
