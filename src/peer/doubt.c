/* doubt.c: whether a peer that is up still knows us. A notice that proves nothing makes us ask at once (RFC 7296, section
 * 2.21.4); when nobody answers and notices keep coming, a new IKE SA is begun beside the old one, which ends only when the
 * new one is authenticated. */
#include "peer/internal.h"

#define PATIENCE_MS (2 * SECOND) /* for an answer; over UDP the question goes out three times meanwhile */
#define HINT_TEST_MS (5 * SECOND) /* then too few hints came to mean anything */
#define HINT_AGAIN_MS (10 * SECOND) /* from one test to the next */
#define HINTS_OVER_UDP 2u /* nobody says it just once */

/* What a question takes: not what carries the peer, while the SAs look for another way. */
static const struct carrier *way_of(const struct peer *peer) {
    const struct sa *sa = peer_sa(peer);
    return sa ? peer_way(peer, sa) : &peer->carrier;
}

/* A question to the peer, or the one that waits already goes out again; over a stream it is on its way (K1), and a move sends
 * its own again. */
static void ask(struct peers *peers, struct peer *peer) {
    const struct sa *sa = peer_sa(peer);
    const struct carrier *way = way_of(peer);
    if (!sa)
        return;
    if (!ike_sa_awaits_answer(sa->ike))
        exchange_liveness(peers, peer);
    else if (way->transport == TRANSPORT_UDP && way == &peer->carrier)
        exchange_carried(peers, peer, NULL);
}

void doubt_begin(struct peer *peer) {
    peer->doubt = (struct doubt){.hinted_at = NEVER};
}

static void end_test(struct peers *peers, struct doubt *doubt) {
    if (doubt->hinted_at == NEVER)
        return;
    doubt->hinted_at = NEVER;
    doubt->no_test_before = peers->now + HINT_AGAIN_MS;
}

void doubt_hint(struct peers *peers, struct peer *peer) {
    struct doubt *doubt = &peer->doubt;
    if (peer->phase != PHASE_UP || peer->losing || way_of(peer)->transport == TRANSPORT_NONE ||
        peers->now < doubt->no_test_before || renewal_of(peers, peer))
        return;
    peer_touch(peers, peer);
    doubt->hints++;
    if (doubt->hinted_at != NEVER)
        return;
    doubt->hinted_at = peers->now;
    doubt->hints = 1;
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_NO_ANSWER, "%s says that it does not know us; that may be forged, so it is asked",
        carrier_text(way_of(peer), text));
    ask(peers, peer);
}

/* Something authentic and fresh came at `at`. */
void doubt_heard(struct peers *peers, struct peer *peer, uint64_t at) {
    if (peer->doubt.hinted_at != NEVER && at >= peer->doubt.hinted_at)
        end_test(peers, &peer->doubt);
    renew_not_needed(peers, peer);
}

/* The new IKE SA did not come up: not at once again. */
void doubt_again(struct peers *peers, struct peer *peer) {
    peer->doubt.no_test_before = peers->now + HINT_AGAIN_MS;
}

static bool insistent(const struct peer *peer) {
    return peer->doubt.hints >= (way_of(peer)->transport == TRANSPORT_UDP ? HINTS_OVER_UDP : 1);
}

void doubt_wake(struct peers *peers, struct peer *peer) {
    struct doubt *doubt = &peer->doubt;
    if (doubt->hinted_at == NEVER || peers->now < doubt->hinted_at + PATIENCE_MS)
        return;
    if (insistent(peer)) {
        end_test(peers, doubt);
        renew(peers, peer, "it does not answer, and says that it does not know us");
    } else if (peers->now >= doubt->hinted_at + HINT_TEST_MS) {
        end_test(peers, doubt);
    }
}

uint64_t doubt_deadline(const struct peers *peers, const struct peer *peer) {
    const struct doubt *doubt = &peer->doubt;
    if (peer->phase != PHASE_UP || doubt->hinted_at == NEVER)
        return NEVER;
    uint64_t first = doubt->hinted_at + PATIENCE_MS;
    return peers->now < first || insistent(peer) ? first : doubt->hinted_at + HINT_TEST_MS;
}
