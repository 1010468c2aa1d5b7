/* follow.c: with MOBIKE the Responder goes where an UPDATE_SA_ADDRESSES came from: over a stream at once, over UDP from
 * another host when somebody there has said our cookie back (K15), so that nobody's traffic can be sent to a stranger. */
#include "peer/internal.h"

#define PROOF_MS (10 * SECOND)

void follow_not(struct peers *peers, struct peer *peer) {
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_NO_ANSWER, "nobody answers at %s, where the peer said it is",
        carrier_text(&peer->roam.trial, text));
    roam_drop_trial(peers, peer);
    exchange_carried(peers, peer, NULL);
}

static bool needs_proof(const struct peer *peer, const struct carrier *to) {
    return to->transport == TRANSPORT_UDP && !address_same_host(&peer->carrier.remote, &to->remote);
}

static void go(struct peers *peers, struct peer *peer, const struct carrier *to) {
    struct stream *stream = to->stream ? stream_find(peers, to) : NULL;
    roam_drop_trial(peers, peer);
    if (stream)
        stream_proved(peers, stream, peer);
    if (!carrier_equal(&peer->carrier, to))
        move_to(peers, peer, to, NULL);
    else
        tell_anchor(peers, peer);
}

void follow_update(struct peers *peers, struct sa *sa, const struct ike_event *event, const struct carrier *from) {
    struct peer *peer = sa->peer;
    if (peer->phase != PHASE_UP || peer->initiator || !from)
        return;
    peer->behind_nat = event->init.nat_local;
    if (!needs_proof(peer, from)) {
        go(peers, peer, from);
        return;
    }
    if (peer->roam.proving && carrier_equal(&peer->roam.trial, from))
        return;
    peer->roam.trial = *from;
    peer->roam.proving = true;
    peer->roam.probe_ends = peers->now + PROOF_MS;
    exchange_try(peers, peer);
    exchange_routability(peers, peer);
}

void follow_proved(struct peers *peers, struct sa *sa, const struct carrier *from) {
    struct peer *peer = sa->peer;
    if (peer->phase != PHASE_UP || !peer->roam.proving || !from || !carrier_equal(&peer->roam.trial, from))
        return;
    go(peers, peer, from);
}
