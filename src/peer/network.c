/* network.c: this host's addresses or routes changed. For each IKE SA that we began, the host says which address of ours
 * leads to the peer now; where that is another one the SA moves: with MOBIKE to whatever works there (K8), without it over
 * a new connection (L1), or over UDP from the new address, where the peer may follow. */
#include "peer/internal.h"

#include <stdio.h>

static void ask(struct peers *peers, struct peer *peer) {
    const struct address *remote = &peer->path->target[peer->path->current].remote;
    struct peer_action *action = action_add(peers, PEER_RESOLVE, peer);
    peer->roam.asked = true;
    action->host = redirect_host(peer);
    if (peer->path->targets == 0 || address_is_any(remote))
        return;
    address_text(remote, peer->roam.host);
    action->host = peer->roam.host;
}

/* Why the last one failed may be gone. */
static void next_attempt_now(struct peers *peers, struct peer *peer) {
    peer->due_at = peers->now;
    peer_touch(peers, peer);
}

struct peer_output peers_network_changed(struct peers *peers, uint64_t now) {
    peers_begin(peers, now);
    for (struct peer *peer = peers->peer_list, *next; peer && !peers->shutting_down; peer = next) {
        next = peer->next;
        if (peer->initiator && peer->phase == PHASE_UP && !peer->losing)
            ask(peers, peer);
        else if (peer->initiator && peer->phase == PHASE_WAITING)
            next_attempt_now(peers, peer);
    }
    return peers_finish(peers);
}

/* Over UDP the peer follows to where a message comes from, if it does; else nothing answers and a new IKE SA is begun. */
static void over_udp(struct peers *peers, struct peer *peer, const struct address *local) {
    uint16_t port = peer->carrier.local.port;
    peer->carrier.local = *local;
    peer->carrier.local.port = port;
    peer->behind_nat = true; /* nobody says that we are not */
    pulse_begin(peers, peer);
    tell_anchor(peers, peer);
    exchange_carried(peers, peer, NULL);
    exchange_liveness(peers, peer);
}

static void without_mobike(struct peers *peers, struct peer *peer, const struct path_target *target) {
    bool same = address_same_host(&peer->carrier.local, &target->local) && peer->carrier.transport != TRANSPORT_NONE;
    path_from(peer->path, &target->local, peers->network);
    if (same) { /* another gateway at most: whether that does is worth a question, and no more */
        exchange_liveness(peers, peer);
        return;
    }
    if (peer->carrier.transport == TRANSPORT_UDP) {
        over_udp(peers, peer, &target->local);
        return;
    }
    struct stream *stream = peer->carrier.stream ? stream_find(peers, &peer->carrier) : NULL;
    if (stream) {
        stream_close(peers, stream, "this host has another address now");
        return;
    }
    struct path_step step = path_hurry(peer->path, peers->now);
    initiate_step(peers, peer, &step);
}

/* Nothing to do for who goes out as before, or is being moved there already; who waits to try again need not wait longer. */
static bool as_before(const struct peers *peers, const struct peer *peer, const struct path_target *target) {
    if (peer->path->network != peers->network || peer->path->waiting)
        return false;
    if (peer->path->moving)
        return address_same_host(&peer->path->target[0].local, &target->local);
    return peer->carrier.transport != TRANSPORT_NONE && address_same_host(&peer->carrier.local, &target->local);
}

void network_resolved(struct peers *peers, struct peer *peer, const struct path_target *target, size_t count,
    const struct error *failed) {
    peer->roam.asked = false;
    if (count == 0 || (failed && failed->origin != ORIGIN_NONE) || as_before(peers, peer, target))
        return; /* where there is no way now, the host will say when there is one */
    char from[ADDRESS_TEXT_MAX];
    peer_touch(peers, peer);
    action_say(peers, peer, STEP_LOST, "the network changed: we are %s now; the SAs are kept",
        address_text(&target->local, from));
    if (peer->mobike)
        roam_move(peers, peer, target);
    else
        without_mobike(peers, peer, target);
}
