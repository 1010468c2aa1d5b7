/* inner.c: inner packets: small UDP packets with a number inside, so that each is known again when it comes out. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define INNER_LENGTH ((size_t)48)

static void build(uint8_t *packet, const struct node *from, const struct node *to, uint32_t number) {
    memset(packet, 0, INNER_LENGTH);
    packet[0] = 0x45;
    packet[3] = (uint8_t)INNER_LENGTH;
    packet[8] = 64;
    packet[9] = 17;
    memcpy(packet + 12, from->inner.octets, 4);
    memcpy(packet + 16, to->inner.octets, 4);
    uint16_t sum = checksum_fold(checksum_add(0, packet, 20));
    memcpy(packet + 10, &sum, 2);
    packet[21] = packet[23] = 99;
    packet[25] = (uint8_t)(INNER_LENGTH - 20);
    memcpy(packet + 28, &number, sizeof number);
    memset(packet + 32, (int)(number & 0xff), INNER_LENGTH - 32);
}

/* The packet as it leaves: sealed, and what it would take. */
static bool seal(struct world *world, struct node *from, struct node *to, struct held_inner *out) {
    if (world->inners == INNER_MAX)
        return false;
    uint32_t number = (uint32_t)world->inners++;
    world->inner[number] = (struct inner_packet){.from = from->number, .to = to->number, .sent_at = world->now};
    uint8_t packet[INNER_LENGTH];
    build(packet, from, to, number);
    struct traffic_route route;
    if (!traffic_route(from->traffic, packet, sizeof packet, &route) || route.carrier->transport == TRANSPORT_NONE)
        return false;
    size_t offset = esp_seal_offset(route.sa);
    memcpy(out->octets + offset, packet, sizeof packet);
    struct esp_seal_job job = {.packet = out->octets, .inner = sizeof packet, .next_header = 4};
    if (esp_seal(route.sa, &job, 1) != 1)
        return false;
    out->from = from;
    out->number = number;
    out->spi = esp_sa_spi_out(route.sa);
    out->carrier = *route.carrier;
    out->length = job.length;
    struct traffic_reports reports = {0};
    traffic_sealed(from->traffic, &route, &reports);
    for (size_t i = 0; i < reports.count; i++) {
        struct event *event = world_schedule(world, 0, EVENT_TRAFFIC_REPORT);
        event->node = from;
        event->report = reports.report[i];
    }
    return true;
}

bool inner_hold(struct world *world, struct node *from, struct node *to, struct held_inner *held) {
    size_t number = world->inners;
    bool sealed = seal(world, from, to, held);
    if (number < world->inners)
        world->inner[number].excused = true;
    from->nat_until = world->now + NAT_MEMORY; /* it left, and was kept back behind the NAT */
    return sealed;
}

void inner_release(struct world *world, const struct held_inner *held) {
    if (held->carrier.transport == TRANSPORT_UDP)
        network_udp(world, held->from, &held->carrier, span_of(held->octets, held->length));
    else
        network_stream_send(world, held->from, held->carrier.stream, span_of(held->octets, held->length));
}

void inner_send(struct world *world, struct node *from, struct node *to) {
    struct held_inner held;
    if (!seal(world, from, to, &held))
        return;
    watch_esp(world, from, to, &held.carrier);
    inner_release(world, &held);
}

void inner_arrives(struct world *world, struct node *at, const uint8_t *packet, size_t length) {
    uint32_t number;
    if (length != INNER_LENGTH) {
        world_fail(world, "%s: an inner packet of %zu octets came out; %zu went in", at->name, length, INNER_LENGTH);
        return;
    }
    memcpy(&number, packet + 28, sizeof number);
    if (number >= world->inners || world->inner[number].to != at->number) {
        world_fail(world, "%s: an inner packet came out that nobody sent to it", at->name);
        return;
    }
    uint8_t expected[INNER_LENGTH];
    build(expected, &world->node[world->inner[number].from], at, number);
    if (memcmp(expected, packet, INNER_LENGTH) != 0)
        world_fail(world, "%s: inner packet %u came out changed", at->name, number);
    if (world->inner[number].delivered)
        world_fail(world, "%s: inner packet %u came out twice", at->name, number);
    world->inner[number].delivered = true;
    world->delivered++;
}

/* Traffic now and then, sometimes in bursts, for as long as the run lasts; and just when something changes. */
void inner_event(struct world *world, struct event *event) {
    struct node *from = event->node;
    struct node *to =
        from->number == 0 ? &world->node[1 + world_random(world, (uint32_t)world->nodes - 1)] : &world->node[0];
    uint32_t burst = world_chance(world, 200) ? 1 + world_random(world, 6) : 1;
    if (event->kind == EVENT_INNER_ONCE)
        burst = 1;
    for (uint32_t i = 0; i < burst; i++)
        inner_send(world, from, to);
    if (event->kind == EVENT_INNER_ONCE)
        return;
    struct event *again = world_schedule(world, 5 * SECOND + world_random(world, 60000), EVENT_INNER);
    again->node = from;
}
