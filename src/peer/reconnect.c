/* reconnect.c: the Originator's lost stream comes back with its SAs (L1); first what was outstanding, then a greeting
 * (L2, K2), then ESP. */
#include "peer/internal.h"

#include <inttypes.h>

#define LINGER_MS (2 * SECOND) /* for what is still on its way over the old connection */
#define UNHEARD_MOST 3u

void connect_cancel(struct peers *peers, struct peer *peer) {
    if (!peer->attempt)
        return;
    action_add(peers, PEER_CANCEL, peer)->attempt = peer->attempt;
    table_remove(&peers->by_attempt, peer->attempt);
    peer->attempt = 0;
}

void connect_ask(struct peers *peers, struct peer *peer, const struct path_step *step) {
    connect_cancel(peers, peer);
    if (peer->beside)
        roam_drop_trial(peers, peer);
    else
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

/* The old stream is gone after all: the one that is being asked carries the peer, if it is open. */
static void lost_while_beside(struct peers *peers, struct peer *peer) {
    peer->beside = false;
    peer->carrier = peer->roam.trial;
    peer->roam.trial = (struct carrier){0};
    peer->hello_due = peer->carrier.transport != TRANSPORT_NONE;
    tell_anchor(peers, peer);
}

/* The peer takes our connections and closes them, or answers elsewhere: it may have lost what we have (and a peer that
 * answers on a connection of before never says so). After a few in a row a new IKE SA is begun beside the old one. */
void reconnect_unheard(struct peers *peers, struct peer *peer) {
    if (peer->phase != PHASE_UP || !peer->path->reconnecting || !peer->path->connected)
        return;
    peer->path->connected = false;
    if (++peer->unheard >= UNHEARD_MOST && !renewal_of(peers, peer) && peers->now >= peer->doubt.no_test_before)
        renew(peers, peer, "it ends our connections without an answer");
}

void reconnect_lost(struct peers *peers, struct peer *peer, const struct error *why) {
    action_say(peers, peer, STEP_LOST, "%s; the SAs are kept", why->text);
    if (peer->beside && peer->path->reconnecting && !peer->path->moving) {
        lost_while_beside(peers, peer);
        return;
    }
    tell_anchor(peers, peer);
    if (peer->path->moving) { /* on its way to another one, unless this was that */
        if (peer->roam.trial.stream && !stream_find(peers, &peer->roam.trial))
            roam_lost(peers, peer, why);
        return;
    }
    roam_drop_trial(peers, peer);
    reconnect_unheard(peers, peer);
    struct path_step step = path_lost(peer->path, peers->now, why);
    initiate_step(peers, peer, &step);
}

void reconnect_beside(struct peers *peers, struct peer *peer) {
    if (peer->path->moving || peer->path->reconnecting || peer->beside)
        return;
    struct error why;
    char text[CARRIER_TEXT_MAX];
    (void)fail(&why, PEER, 0, "%s does not answer any more", carrier_text(&peer->carrier, text));
    action_say(peers, peer, STEP_NO_ANSWER, "%s; the SAs are kept, and another connection is opened beside", why.text);
    roam_drop_trial(peers, peer);
    peer->beside = true;
    peer->lost_at = peer->silence.since != NEVER ? peer->silence.since : peers->now;
    struct path_step step = path_lost(peer->path, peers->now, &why);
    initiate_step(peers, peer, &step);
}

/* Heard of before the new one was open, or while it waits for its next try: everything stays as it was. */
void reconnect_not_needed(struct peers *peers, struct peer *peer) {
    peer->silence.told = false;
    if (!peer->beside || (peer->roam.trial.stream && !peer->path->waiting))
        return;
    peer->beside = false;
    connect_cancel(peers, peer);
    roam_drop_trial(peers, peer);
    path_kept(peer->path);
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_RECONNECTED, "%s answers again", carrier_text(&peer->carrier, text));
}

/* L6: what is on its way over the old one is still taken for a while; then it is closed. */
bool reconnect_answered(struct peers *peers, struct peer *peer, const struct carrier *from) {
    if (!peer->beside || from->stream == 0 || from->stream != peer->roam.trial.stream)
        return false;
    struct stream *old = stream_find(peers, &peer->carrier);
    peer->beside = false;
    peer->roam.trial = (struct carrier){0};
    peer->carrier = *from;
    peer->hello_due = true;
    if (old)
        (void)timer_set(&peers->timers, &old->timer, peers->now + LINGER_MS);
    silence_begin(peers, peer);
    tell_anchor(peers, peer);
    exchange_greet_predecessors(peers, peer);
    return true;
}

void reconnect_connected(struct peers *peers, struct peer *peer, const struct carrier *carrier) {
    if (peer->phase != PHASE_UP && peer->phase != PHASE_INIT) {
        streams_release(peers, peer);
        return;
    }
    if (peer->beside && peer->phase == PHASE_UP) {
        const struct sa *sa = peer_sa(peer);
        peer->roam.trial = *carrier;
        exchange_try(peers, peer);
        exchange_greet_predecessors(peers, peer);
        if (sa && !ike_sa_awaits_answer(sa->ike))
            exchange_liveness(peers, peer);
        return;
    }
    peer->carrier = *carrier;
    if (peer->phase == PHASE_INIT) { /* it closed after it wanted IKE_SA_INIT again (K3) */
        exchange_carried(peers, peer, NULL);
        return;
    }
    peer->hello_due = true;
    silence_begin(peers, peer);
    exchange_carried(peers, peer, NULL);
    exchange_greet_predecessors(peers, peer);
    exchange_next_child(peers, peer);
    if (peer->phase == PHASE_UP)
        tell_anchor(peers, peer);
}

/* Something authentic came over the current carrier. */
void reconnect_heard(struct peers *peers, struct peer *peer) {
    if (!peer->initiator || !peer->path->reconnecting || peer->carrier.transport == TRANSPORT_NONE)
        return;
    path_recovered(peer->path, peers->now);
    peer->unheard = 0;
    peer->reconnects++;
    peer_touch(peers, peer);
    uint64_t tenths = (peers->now - peer->lost_at + 50) / 100;
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_RECONNECTED,
        "connected again to %s after %" PRIu64 ".%" PRIu64 " s, with the same SAs", carrier_text(&peer->carrier, text),
        tenths / 10, tenths % 10);
}
