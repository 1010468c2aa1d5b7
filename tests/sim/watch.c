/* watch.c: what must hold at every moment, seen from the network: where things go, how often, and that nothing is lost
 * while nothing is wrong. */
#include "sim.h"

#include <string.h>

void disturb(struct world *world, uint64_t before, uint64_t after) {
    if (world->disturbances == DISTURBANCES_MAX) {
        world_fail(world, "the simulation has more faults than it can remember");
        return;
    }
    world->disturbance[world->disturbances++] =
        (struct disturbance){.from = world->now > before ? world->now - before : 0, .until = world->now + after};
}

bool disturbed(const struct world *world, uint64_t at) {
    for (size_t i = 0; i < world->disturbances; i++)
        if (world->disturbance[i].from <= at && at <= world->disturbance[i].until)
            return true;
    return at < WARM_UP;
}

/* C2: falling back begins a new IKE SA. */
void watch_ike(struct world *world, struct node *node, const struct carrier *carrier, struct span message) {
    struct ike_header header;
    struct error ignored;
    if (!ike_header_read(message, &header, &ignored) ||
        (header.exchange != IKE_SA_INIT && header.exchange != IKE_SESSION_RESUME) || header.spi_r != 0 ||
        (header.flags & IKE_FLAG_RESPONSE) != 0)
        return;
    if (header.spi_i == node->first_spi && carrier->transport != node->first_transport)
        world_fail(world, "%s begins over another transport with the SPI it had before (C2)", node->name);
    if (carrier->transport == TRANSPORT_UDP)
        node->udp_init_at = world->now;
    node->first_spi = header.spi_i;
    node->first_transport = carrier->transport;
}

/* C5: what runs over a stream never runs over UDP again, but by MOBIKE or with a new IKE SA. */
void watch_esp(struct world *world, const struct node *from, const struct node *to, const struct carrier *carrier) {
    struct node *client = &world->node[from->number ? from->number : to->number];
    if (carrier->transport != TRANSPORT_UDP)
        client->esp_stream_at = world->now;
    else if (client->esp_stream_at && !world->mobike &&
             (client->udp_init_at == 0 || client->esp_stream_at > client->udp_init_at + 70 * SECOND))
        world_fail(world, "%s sends ESP over UDP after it ran over TCP (C5)", from->name);
}

/* L1, L14: who never connects, and how often the other may. */
void watch_connect(struct world *world, struct node *node) {
    if (node->number == 0) {
        world_fail(world, "%s, a Responder, connects (L14)", node->name);
        return;
    }
    uint64_t *oldest = &node->connects[node->connect_count++ % CONNECTS_MAX];
    if (node->connect_count > CONNECTS_MAX && world->now - *oldest < 20 * SECOND)
        world_fail(world, "%s connected %d times in 20 s", node->name, CONNECTS_MAX);
    *oldest = world->now;
}

/* C8: what UDP that is dropped costs, at most. Names take up to 30 ms, a connection two ways and 20, what the monitor answers
 * 20 on each side, routes 10. Streams lose nothing. Who fell back one by one, or after IKE_AUTH (C7), takes 1.5 s longer. */
static uint64_t up_within(const struct world *world) {
    uint64_t there_and_back = 2 * (world->delay_min + world->delay_spread);
    uint64_t connect = 2 * (world->delay_min + 20), rest = 30 + 20 + 20 + 10 + 2 * there_and_back;
    if (world->udp_blocked)
        return (world->staggered ? 500 : 1500) + 2 + connect + rest;
    if (world->loss_permille > 0)
        return NEVER;
    if (world->udp_slow > 0) /* whoever is first, and IKE_AUTH after it; or again over TCP */
        rest += 500 + 2 + connect + 4 * world->udp_slow;
    return world->nat_port_blocked ? there_and_back + 1500 + 2 + connect + rest : rest;
}

/* C8: nothing is left of what was tried beside it. */
void watch_up(struct world *world, const struct node *node) {
    struct peers_totals totals;
    if (node->number == 0)
        return;
    uint64_t took = world->now - world->began_at, most = up_within(world);
    if (took > most)
        world_fail(world, "%s is up after %u ms, %u are enough (C8, C1)", node->name, (unsigned)took, (unsigned)most);
    peers_totals(node->peers, &totals);
    if (totals.peers != 1 || totals.ike_sas != 1 || totals.streams > 1)
        world_fail(world, "%s is up with %zu tries, %zu IKE SAs and %zu streams (C8)", node->name, totals.peers,
            totals.ike_sas, totals.streams);
}

void watch_close(struct world *world, const struct node *node) {
    bool moved = world->mobike && node->number != 0; /* K15: the Originator closes what it does not need any more */
    if (!world->ending && !moved && !disturbed(world, world->now))
        world_fail(world, "%s closed a stream that nothing was wrong with", node->name);
}

/* "I know no such SPI", outside of any IKE SA (RFC 7296, section 1.5). */
static bool is_notice(const struct ike_header *header) {
    return header->spi_i == 0 && header->spi_r == 0 && header->next_payload == PAYLOAD_NOTIFY;
}

/* K2, L5: who says an old message again may be answered, and learns nothing else. */
void watch_stranger(struct world *world, const struct node *from, struct span payload) {
    struct ike_header header;
    struct error ignored;
    struct span message;
    switch (payload_classify(payload, &message)) {
    case PAYLOAD_IS_IKE:
        if (ike_header_read(message, &header, &ignored) && !(header.flags & IKE_FLAG_RESPONSE) && !is_notice(&header))
            world_fail(world, "%s sends a request to an attacker (L5)", from->name);
        break;
    case PAYLOAD_IS_ESP:
        world_fail(world, "%s sends ESP to an attacker (L5)", from->name);
        break;
    default:
        break;
    }
}
