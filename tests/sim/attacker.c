/* attacker.c: a stranger who saw everything that arrived, and says it again from elsewhere: as it was, damaged, or over the
 * other transport. It gets the stored response at most (K2), moves nothing (L5, C5) and closes nothing (L10). */
#include "sim.h"

#include <string.h>

enum attack {
    REPLAY_ON_A_STREAM,
    REPLAY_OVER_UDP,
    DAMAGE_ON_A_STREAM,
    DAMAGE_OVER_UDP,
    ANOTHER_TRANSPORT,
    BEGINNINGS,
    ATTACKS
};

static enum seen_kind kind_of(struct span message) {
    struct ike_header header;
    struct error ignored;
    return ike_header_read(message, &header, &ignored) && header.exchange == IKE_SA_INIT ? SEEN_FIRST : SEEN_IKE;
}

void attacker_sees(struct world *world, const struct node *node, bool marker, struct span payload) {
    struct span message = payload;
    enum seen_kind kind;
    if (payload.length + NON_ESP_MARKER_LENGTH > SEEN_OCTETS)
        return;
    switch (marker ? payload_classify(payload, &message) : PAYLOAD_IS_IKE) {
    case PAYLOAD_IS_IKE:
        kind = kind_of(message);
        break;
    case PAYLOAD_IS_ESP:
        kind = SEEN_ESP;
        break;
    default:
        return;
    }
    uint32_t *count = &world->seen_count[node->number][kind];
    struct seen *seen = &world->seen[node->number][kind][(*count)++ % SEEN_MAX];
    size_t used = kind == SEEN_ESP ? 0 : NON_ESP_MARKER_LENGTH;
    memset(seen->octets, 0, used);
    memcpy(seen->octets + used, message.at, message.length);
    seen->length = used + message.length;
}

/* One of the last few of a kind; NULL: none yet. */
static const struct seen *recall(struct world *world, const struct node *node, enum seen_kind kind) {
    uint32_t count = world->seen_count[node->number][kind];
    if (count == 0)
        return NULL;
    return &world->seen[node->number][kind][world_random(world, count < SEEN_MAX ? count : SEEN_MAX)];
}

static void say(struct world *world, struct node *victim, const struct seen *what, bool stream) {
    struct span payload = span_of(what->octets, what->length);
    if (stream)
        network_stranger_stream(world, victim, payload);
    else
        network_stranger_udp(world, victim, payload);
}

/* The SPIs stay, so that it is known whose it claims to be. */
static void damage(struct world *world, struct seen *what) {
    size_t kept = what->octets[0] || what->octets[1] || what->octets[2] ? 4 : NON_ESP_MARKER_LENGTH + 16;
    size_t at = kept + world_random(world, (uint32_t)(what->length - kept));
    what->octets[at] = (uint8_t)(what->octets[at] ^ (1 << world_random(world, 8)));
}

/* A packet that never arrived, and so is fresh, over what does not carry the SA: TCP is for good (C5), and from UDP to TCP
 * only IKE moves an SA. While one may move, it could come just when the other transport carries it. */
static void another_transport(struct world *world, struct node *client) {
    struct held_inner held;
    if (disturbed(world, world->now) || !inner_hold(world, client, &world->node[0], &held))
        return;
    struct span payload = span_of(held.octets, held.length);
    if (held.carrier.transport == TRANSPORT_UDP)
        network_stranger_stream(world, &world->node[0], payload);
    else
        network_stranger_udp(world, &world->node[0], payload);
}

/* IKE SAs that nobody goes on with. */
static void beginnings(struct world *world, const struct seen *first) {
    for (uint32_t i = 1 + world_random(world, 3); first && i > 0; i--) {
        struct seen other = *first;
        other.octets[NON_ESP_MARKER_LENGTH] = (uint8_t)world_random(world, 256);
        say(world, &world->node[0], &other, world_chance(world, 500));
    }
}

static void again(struct world *world, struct node *victim, bool stream, bool damaged) {
    const struct seen *seen = recall(world, victim, world_chance(world, 500) ? SEEN_IKE : SEEN_ESP);
    if (!seen)
        return;
    struct seen what = *seen;
    if (damaged)
        damage(world, &what);
    say(world, victim, &what, stream);
}

/* Before anybody can put right what went wrong. */
void attacker_was_heard(struct world *world, struct node *node, const struct carrier *carrier) {
    struct address stranger = network_stranger();
    if (world->ending || !address_same_host(&carrier->remote, &stranger))
        return;
    for (size_t i = 1; i < world->nodes; i++)
        if (node->number == 0 || node->number == (int)i)
            inner_send(world, node, &world->node[node->number == 0 ? i : 0]);
}

void attacker_strikes(struct world *world) {
    struct node *east = &world->node[0], *client = &world->node[1 + world_random(world, (uint32_t)world->nodes - 1)];
    struct node *anybody = world_chance(world, 500) ? east : client;
    world->attacks++;
    switch ((enum attack)world_random(world, ATTACKS)) {
    case REPLAY_ON_A_STREAM:
        again(world, east, true, false);
        break;
    case REPLAY_OVER_UDP:
        again(world, anybody, false, false);
        break;
    case DAMAGE_ON_A_STREAM:
        again(world, east, true, true);
        break;
    case DAMAGE_OVER_UDP:
        again(world, anybody, false, true);
        break;
    case ANOTHER_TRANSPORT:
        another_transport(world, client);
        break;
    case BEGINNINGS:
        beginnings(world, recall(world, east, SEEN_FIRST));
        break;
    case ATTACKS:
        break;
    }
}
