/* inner.c: inner packets: small UDP packets with a number inside, so that each is known again when it comes out. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define INNER_LENGTH ((size_t)48)

static void build(uint8_t *packet, const struct address *from, const struct address *to, uint32_t number) {
    const uint8_t pseudo[4] = {0, 17, 0, INNER_LENGTH - 20};
    memset(packet, 0, INNER_LENGTH);
    packet[0] = 0x45;
    packet[3] = (uint8_t)INNER_LENGTH;
    packet[6] = 0x40;
    packet[8] = 64;
    packet[9] = 17;
    memcpy(packet + 12, from->octets, 4);
    memcpy(packet + 16, to->octets, 4);
    uint16_t sum = checksum_fold(checksum_add(0, packet, 20));
    memcpy(packet + 10, &sum, 2);
    packet[21] = packet[23] = 99;
    packet[25] = (uint8_t)(INNER_LENGTH - 20);
    memcpy(packet + 28, &number, sizeof number);
    memset(packet + 32, (int)(number & 0xff), INNER_LENGTH - 32);
    sum = checksum_fold(checksum_add(checksum_add(0, pseudo, 4), packet + 12, INNER_LENGTH - 12));
    if (sum == 0)
        sum = UINT16_MAX;
    memcpy(packet + 26, &sum, 2);
}

/* The two as the sender knows them: in transport mode by the selectors of its Child SA. False: there is none. */
static bool view_of(const struct node *from, const struct node *to, struct address view[2]) {
    view[0] = from->inner;
    view[1] = to->inner;
    if (!from->world->transport)
        return true;
    struct peer_status *status = malloc(sizeof *status);
    if (!status)
        abort();
    bool there = node_status(from, "tunnel", status) && status->children > 0;
    if (there) {
        view[0] = status->child[0].child->local->selector[0].first;
        view[1] = status->child[0].child->remote->selector[0].first;
    }
    free(status);
    return there;
}

/* One ESP packet; returns its length, 0: the SA has no more numbers. `rest`: AGGFRAG's BLOCK-OFFSET. */
static size_t seal_octets(
    const struct traffic_route *route, uint8_t *out, const uint8_t *octets, size_t length, size_t rest) {
    uint8_t *at = out + esp_seal_offset(route->sa);
    struct esp_seal_job job = {.packet = out, .next_header = route->strip ? route->next_header : 4};
    if (esp_sa_config(route->sa)->aggfrag) {
        struct aggfrag_fill fill;
        aggfrag_begin(&fill, at, AGGFRAG_HEADER_LENGTH + length, rest);
        aggfrag_part(&fill, octets, length, 0);
        job.inner = fill.used;
        job.packets = rest == 0;
        job.next_header = ESP_NEXT_AGGFRAG;
    } else {
        memcpy(at, octets, length);
        job.inner = length;
    }
    return esp_seal(route->sa, &job, 1) == 1 ? job.length : 0;
}

/* Where AGGFRAG is agreed on, some go in two pieces. */
static size_t beginning_of(const struct world *world, const struct traffic_route *route, uint32_t number) {
    return esp_sa_config(route->sa)->aggfrag && (number + world->seed) % 3 == 0 ? 1 + number % (INNER_LENGTH - 1) : 0;
}

/* The packet as it leaves: sealed, and what it would take. */
static bool seal(struct world *world, struct node *from, struct node *to, bool pieces, struct held_inner *out) {
    if (world->inners == INNER_MAX)
        return false;
    uint32_t number = (uint32_t)world->inners++;
    world->inner[number] = (struct inner_packet){.from = from->number, .to = to->number, .sent_at = world->now};
    uint8_t packet[INNER_LENGTH];
    struct address view[2];
    if (!view_of(from, to, view))
        return false;
    build(packet, &view[0], &view[1], number);
    struct traffic_route route;
    if (!traffic_route(from->traffic, 0, packet, sizeof packet, &route) || route.carrier->transport == TRANSPORT_NONE)
        return false;
    size_t front = pieces ? beginning_of(world, &route, number) : 0, skip = route.strip + front;
    out->first_length = front > 0 ? seal_octets(&route, out->first, packet, front, 0) : 0;
    out->length =
        seal_octets(&route, out->octets, packet + skip, sizeof packet - skip, front > 0 ? sizeof packet - front : 0);
    if (out->length == 0)
        return false;
    out->from = from;
    out->number = number;
    out->spi = esp_sa_spi_out(route.sa);
    out->carrier = *route.carrier;
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
    bool sealed = seal(world, from, to, false, held);
    if (number < world->inners)
        world->inner[number].excused = true;
    from->nat_until = world->now + NAT_MEMORY; /* it left, and was kept back behind the NAT */
    return sealed;
}

static void release(struct world *world, const struct held_inner *held, const uint8_t *octets, size_t length) {
    if (held->carrier.transport == TRANSPORT_UDP)
        network_udp(world, held->from, &held->carrier, span_of(octets, length));
    else
        network_stream_send(world, held->from, held->carrier.stream, span_of(octets, length));
}

void inner_release(struct world *world, const struct held_inner *held) {
    if (held->first_length > 0)
        release(world, held, held->first, held->first_length);
    release(world, held, held->octets, held->length);
}

void inner_send(struct world *world, struct node *from, struct node *to) {
    struct held_inner held;
    if (!seal(world, from, to, true, &held))
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
    struct address source = {.family = 4}, destination = source; /* in transport mode a NAT may have changed them */
    memcpy(source.octets, packet + 12, 4);
    memcpy(destination.octets, packet + 16, 4);
    const struct node *from = &world->node[world->inner[number].from];
    build(expected, world->transport ? &source : &from->inner, world->transport ? &destination : &at->inner, number);
    if (memcmp(expected, packet, INNER_LENGTH) != 0)
        world_fail(world, "%s: inner packet %u came out changed", at->name, number);
    if (world->inner[number].delivered)
        world_fail(world, "%s: inner packet %u came out twice", at->name, number);
    world->inner[number].delivered = true;
    world->delivered++;
    hole_sees(world, at, number);
}

void inner_arrive(struct world *world, struct node *at, struct aggfrag_walk *walk) {
    uint8_t *packet;
    size_t length;
    bool pieced;
    while (aggfrag_next(walk, &packet, &length, &pieced))
        inner_arrives(world, at, packet, length);
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
