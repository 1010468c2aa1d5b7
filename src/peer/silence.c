/* silence.c: a black hole is found by traffic without an answer, in seconds (L1, C7): when packets went out for a while and
 * nothing authentic came back the peer is asked early, and what carries it is called silent when that is not answered
 * either. Costs a packet nothing: the counters that the worker keeps are looked at now and then. */
#include "peer/internal.h"

#define LOOK_MS (1 * SECOND) /* between two looks while something goes out ... */
#define LOOK_IDLE_MS (2 * SECOND) /* ... and while nothing does */
#define UNANSWERED_MS \
    (2 * SECOND) /* since what came last, in traffic that went on; found by the next look: 2 to 3 s ... */
#define BEGUN_MS (3 * SECOND) /* ... and since the look before the first packet, in traffic that began then */
#define PATIENCE_MS (2 * SECOND) /* for the answer to the early question */
#define CALM_MS (5 * SECOND) /* after an answer: traffic that goes one way only asks no more often */

void silence_begin(struct peers *peers, struct peer *peer) {
    uint64_t looked = peers->now;
    peer->silence = (struct silence){.look_at = looked + LOOK_IDLE_MS,
        .looked_at = looked,
        .heard_at = looked ? looked - 1 : 0,
        .since = NEVER,
        .asked_at = NEVER,
        .packets = peer->silence.packets};
}

void silence_heard(struct peers *peers, struct peer *peer, uint64_t at) {
    struct silence *silence = &peer->silence;
    if (at <= silence->heard_at)
        return;
    silence->heard_at = at;
    silence->since = NEVER;
    if (silence->asked_at == NEVER || at < silence->asked_at)
        return;
    silence->asked_at = NEVER;
    silence->calm_until = peers->now + CALM_MS;
    reconnect_not_needed(peers, peer);
}

/* Whether anything that wants an answer went out since the last look, or would have: a stream that takes nothing has what is to
 * go wait where no packet is counted. */
static bool something_left(struct peer *peer) {
    uint64_t packets = 0;
    for (const struct child *child = peer->children; child; child = child->next)
        packets += atomic_load_explicit(&child->counters->packets_out, memory_order_relaxed) +
                   atomic_load_explicit(&child->counters->bursts_wanted, memory_order_relaxed);
    bool left = packets != peer->silence.packets;
    peer->silence.packets = packets;
    const struct sa *sa = peer_sa(peer);
    return left || (sa && ike_sa_awaits_answer(sa->ike));
}

/* Over a stream the question, or one before it, is on its way (K1). */
static void ask(struct peers *peers, struct peer *peer) {
    const struct sa *sa = peer_sa(peer);
    if (!sa)
        return;
    peer->silence.asked_at = peers->now;
    if (!ike_sa_awaits_answer(sa->ike))
        exchange_liveness(peers, peer);
    else if (peer->carrier.transport == TRANSPORT_UDP && ike_sa_sends(sa->ike) < 2)
        exchange_carried(peers, peer, NULL);
}

/* Asked, and still nothing: over UDP roam.c counts the sends and moves the SA, a Responder waits (L14). */
static void carrier_silent(struct peers *peers, struct peer *peer) {
    peer->silence.told = true;
    if (peer->initiator && peer->carrier.transport != TRANSPORT_UDP)
        reconnect_beside(peers, peer);
}

static void look(struct peers *peers, struct peer *peer) {
    struct silence *silence = &peer->silence;
    bool left = something_left(peer);
    if (left && silence->since == NEVER && silence->heard_at < silence->looked_at) {
        silence->since = silence->left ? silence->heard_at : silence->looked_at;
        silence->due_at = silence->since + (silence->left ? UNANSWERED_MS : BEGUN_MS);
    }
    silence->left = left;
    silence->looked_at = peers->now;
    silence->look_at = peers->now + (left || silence->since != NEVER ? LOOK_MS : LOOK_IDLE_MS);
    bool due = silence->since != NEVER && peers->now >= silence->due_at;
    if (due && silence->asked_at == NEVER && peers->now >= silence->calm_until)
        ask(peers, peer);
}

void silence_wake(struct peers *peers, struct peer *peer) {
    struct silence *silence = &peer->silence;
    bool elsewhere = peer->path->moving || peer->roam.probing; /* the question went another way */
    if (peer->carrier.transport == TRANSPORT_NONE || peer->losing || elsewhere) {
        if (peers->now >= silence->look_at || silence->asked_at != NEVER)
            silence_begin(peers, peer);
        return;
    }
    if (peers->now >= silence->look_at)
        look(peers, peer);
    if (silence->asked_at != NEVER && !silence->told && peers->now >= silence->asked_at + PATIENCE_MS)
        carrier_silent(peers, peer);
}

uint64_t silence_deadline(const struct peer *peer) {
    const struct silence *silence = &peer->silence;
    if (peer->phase != PHASE_UP)
        return NEVER;
    uint64_t silent = silence->asked_at == NEVER || silence->told ? NEVER : silence->asked_at + PATIENCE_MS;
    return silent < silence->look_at ? silent : silence->look_at;
}
