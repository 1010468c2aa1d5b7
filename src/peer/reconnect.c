/* reconnect.c: the Originator's lost stream comes back with its SAs (L1); first what was outstanding, then a greeting
 * (L2, K2), then ESP. */
#include "peer/internal.h"

#include <inttypes.h>

void connect_cancel(struct peers *peers, struct peer *peer) {
    if (!peer->attempt)
        return;
    action_add(peers, PEER_CANCEL, peer)->attempt = peer->attempt;
    table_remove(&peers->by_attempt, peer->attempt);
    peer->attempt = 0;
}

void connect_ask(struct peers *peers, struct peer *peer, const struct path_step *step) {
    connect_cancel(peers, peer);
    streams_release(peers, peer); /* one that was opened and stayed silent */
    connect_ask_beside(peers, peer, step);
}

void connect_ask_beside(struct peers *peers, struct peer *peer, const struct path_step *step) {
    do
        peers->next_attempt++;
    while (peers->next_attempt == 0 || table_get(&peers->by_attempt, peers->next_attempt));
    peer->attempt = peers->next_attempt;
    if (!table_put(&peers->by_attempt, peer->attempt, peer)) {
        peer->attempt = 0;
        return; /* the path's deadline tries again */
    }
    struct peer_action *action = action_add(peers, PEER_CONNECT, peer);
    action->attempt = peer->attempt;
    action->host = redirect_host(peer);
    if (step->remote.family == 6 && peer->flow_label == 0)
        peer->flow_label = 1 + random_u32(&peers->random) % 0xfffff;
    if (step->remote.family == 6)
        action->flow_label = peer->flow_label;
    action->carrier = (struct carrier){.transport = step->transport, .local = step->local, .remote = step->remote};
}

void reconnect_lost(struct peers *peers, struct peer *peer, const struct error *why) {
    tell_anchor(peers, peer);
    action_say(peers, peer, STEP_LOST, "%s; the SAs are kept", why->text);
    if (peer->path.moving) { /* on its way to another one, unless this was that */
        if (peer->roam.trial.stream && !stream_find(peers, &peer->roam.trial))
            roam_lost(peers, peer, why);
        return;
    }
    roam_drop_trial(peers, peer);
    struct path_step step = path_lost(&peer->path, peers->now, why);
    initiate_step(peers, peer, &step);
}

void reconnect_connected(struct peers *peers, struct peer *peer, const struct carrier *carrier) {
    if (peer->phase != PHASE_UP && peer->phase != PHASE_INIT) {
        streams_release(peers, peer);
        return;
    }
    peer->carrier = *carrier;
    if (peer->phase == PHASE_INIT) { /* it closed after it wanted IKE_SA_INIT again (K3) */
        exchange_carried(peers, peer, NULL);
        return;
    }
    peer->hello_due = true;
    exchange_carried(peers, peer, NULL);
    exchange_greet_predecessors(peers, peer);
    exchange_next_child(peers, peer);
    if (peer->phase == PHASE_UP)
        tell_anchor(peers, peer);
}

/* Something authentic came over the current carrier. */
void reconnect_heard(struct peers *peers, struct peer *peer) {
    if (!peer->initiator || !peer->path.reconnecting || peer->carrier.transport == TRANSPORT_NONE)
        return;
    path_recovered(&peer->path, peers->now);
    peer->reconnects++;
    peer_touch(peers, peer);
    uint64_t tenths = (peers->now - peer->lost_at + 50) / 100;
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_RECONNECTED,
        "connected again to %s after %" PRIu64 ".%" PRIu64 " s, with the same SAs", carrier_text(&peer->carrier, text),
        tenths / 10, tenths % 10);
}
