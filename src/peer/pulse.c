/* pulse.c: whether what carries a peer still does. Over UDP behind a NAT an octet goes out after a while of silence, so that
 * the NAT keeps its binding (RFC 3948, section 2.3); over a stream never (S6). */
#include "peer/internal.h"

/* Whether ESP left since this was asked last. The worker only counts; when it left is not known. */
static bool esp_left(struct peer *peer) {
    bool left = false;
    for (struct child *child = peer->children; child; child = child->next) {
        uint64_t packets = atomic_load_explicit(&child->counters->packets_out, memory_order_relaxed);
        left |= packets != child->packets_seen;
        child->packets_seen = packets;
    }
    return left;
}

/* Those that are behind a NAT keep it awake, not those in front of it. */
static uint64_t keepalive_after(const struct peer *peer) {
    bool applies = peer->behind_nat && peer->carrier.transport == TRANSPORT_UDP && peer->phase == PHASE_UP;
    return applies ? peer->conn->config.nat_keepalive_ms : 0;
}

static void send_keepalive(struct peers *peers, struct peer *peer) {
    static const uint8_t octet = 0xff;
    struct peer_action *action = action_send(peers, peer, &peer->carrier, span_of(&octet, 1));
    if (action)
        action->bare = true;
    peer->pulse.sent_at = peers->now;
}

void pulse_begin(struct peers *peers, struct peer *peer) {
    struct pulse *pulse = &peer->pulse;
    uint64_t after = keepalive_after(peer);
    pulse->looked_at = pulse->sent_at = peers->now;
    pulse->at = after ? peers->now + after / 2 : NEVER;
}

void pulse_sent(struct peers *peers, struct peer *peer) {
    peer->pulse.sent_at = peers->now;
}

/* While ESP flows it is looked at twice as often: what left since the last look may have left just after it, so that a NAT
 * never waits longer than it should. */
void pulse_wake(struct peers *peers, struct peer *peer) {
    struct pulse *pulse = &peer->pulse;
    if (peers->now < pulse->at)
        return;
    uint64_t after = keepalive_after(peer);
    pulse->at = NEVER;
    if (!after)
        return;
    bool left = esp_left(peer);
    if (left && pulse->looked_at > pulse->sent_at)
        pulse->sent_at = pulse->looked_at;
    pulse->looked_at = peers->now;
    if (peers->now - pulse->sent_at >= after)
        send_keepalive(peers, peer);
    uint64_t due = pulse->sent_at + after, look = peers->now + after / 2;
    pulse->at = left && look < due ? look : due;
}

uint64_t pulse_deadline(const struct peer *peer) {
    return peer->phase == PHASE_UP ? peer->pulse.at : NEVER;
}
