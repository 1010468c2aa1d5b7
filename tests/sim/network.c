/* network.c: what lies between the nodes: UDP that loses and reorders, streams that are cut at any octet, a NAT. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static uint8_t *copied(const uint8_t *octets, size_t length) {
    uint8_t *copy = malloc(length ? length : 1);
    if (!copy)
        abort();
    if (length)
        memcpy(copy, octets, length);
    return copy;
}

static uint64_t delay(struct world *world) {
    return world->delay_min + world_random(world, (uint32_t)world->delay_spread + 1);
}

static struct node *node_at(struct world *world, const struct address *address) {
    for (size_t i = 0; i < world->nodes; i++)
        if (address_same_host(&world->node[i].outer, address))
            return &world->node[i];
    return NULL;
}

/* --- UDP --- */

/* Behind the NAT every local port gets an outside port that changes with each rebinding. */
static struct address outside(const struct world *world, const struct node *node, uint16_t port) {
    struct address seen = node->seen_as;
    seen.port = address_equal(&node->seen_as, &node->outer) || node->seen_as.port == 0
                    ? port
                    : (uint16_t)(node->seen_as.port + world->nat_ports * 4 + (port == 500 ? 0 : 1));
    return seen;
}

void network_udp(struct world *world, struct node *from, const struct carrier *carrier, struct span payload) {
    struct address stranger = network_stranger();
    if (address_same_host(&carrier->remote, &stranger))
        watch_stranger(world, from, payload);
    world->hole.probed |= world->hole.client == from;
    from->nat_until = world->now + NAT_MEMORY;
    bool nat_port = carrier->local.port == 4500 || carrier->remote.port == 4500;
    bool gone = !address_is_any(&carrier->local) && !address_same_host(&carrier->local, &from->outer);
    if (world->udp_blocked || world->udp_dead || from->udp_blocked || (world->nat_port_blocked && nat_port) || gone)
        return;
    int copies = world_chance(world, world->duplicate_permille) ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        if (world_chance(world, world->loss_permille))
            continue;
        uint64_t slow = world->now < WARM_UP / 2 ? world->udp_slow : 0;
        struct event *event = world_schedule(world, delay(world) + slow, EVENT_UDP);
        event->octets = copied(payload.at, payload.length);
        event->length = payload.length;
        event->from = outside(world, from, carrier->local.port);
        event->to = carrier->remote;
    }
}

/* Which node, and which of its ports, an outside address leads to now; old bindings lead nowhere. */
static struct node *behind(struct world *world, const struct address *to, struct address *local) {
    struct node *node = node_at(world, to);
    *local = *to;
    if (node)
        return address_same_host(&node->seen_as, &node->outer) ? node : NULL;
    for (size_t i = 0; i < world->nodes; i++) {
        node = &world->node[i];
        for (uint16_t port = 500; port <= 4500; port = (uint16_t)(port + 4000)) {
            struct address seen = outside(world, node, port);
            if (address_equal(&seen, to)) {
                *local = node->outer;
                local->port = port;
                return world->now <= node->nat_until ? node : NULL;
            }
        }
    }
    return NULL;
}

void network_udp_arrives(struct world *world, struct event *event) {
    struct carrier carrier = {.transport = TRANSPORT_UDP, .remote = event->from};
    struct node *node = behind(world, &event->to, &carrier.local);
    if (!node || world->udp_dead || node->udp_blocked || (carrier.local.port != 500 && carrier.local.port != 4500))
        return;
    bool corrupt = false;
    node_payloads(node, &carrier, carrier.local.port == 4500, NULL, event->octets, event->length, &corrupt);
}

/* --- streams --- */

static struct stream_end *end_of(
    struct world *world, const struct node *node, uint32_t stream, struct link **found, int *side) {
    for (struct link *link = world->links; link; link = link->next)
        for (int i = 0; i < 2; i++)
            if (link->end[i].node == node && link->end[i].id == stream && !link->end[i].gone) {
                *found = link;
                *side = i;
                return &link->end[i];
            }
    return NULL;
}

static struct link *link_new(struct world *world) {
    struct link *link = calloc(1, sizeof *link);
    if (!link)
        abort();
    link->next = world->links;
    world->links = link;
    return link;
}

static void towards(
    struct world *world, struct link *link, int side, enum event_kind kind, const uint8_t *octets, size_t length) {
    uint64_t at = world->now + delay(world);
    if (link->swallowed[side])
        return;
    if (at < link->last[side])
        at = link->last[side];
    link->last[side] = at;
    struct event *event = world_schedule(world, at - world->now, kind);
    event->link = link;
    event->side = side;
    event->octets = octets ? copied(octets, length) : NULL;
    event->length = length;
}

/* Octets leave in segments of any length. */
static void send_octets(struct world *world, struct link *link, int from, const uint8_t *octets, size_t length) {
    while (length > 0) {
        size_t part = 1 + world_random(world, (uint32_t)length);
        if (world_chance(world, 700))
            part = length;
        towards(world, link, !from, EVENT_STREAM, octets, part);
        octets += part;
        length -= part;
    }
}

void network_stream_send(struct world *world, struct node *node, uint32_t stream, struct span payload) {
    struct link *link;
    int side;
    struct stream_end *end = end_of(world, node, stream, &link, &side);
    if (!end || payload.length > FRAME_PAYLOAD_MAX)
        return;
    if (!link->end[!side].node)
        watch_stranger(world, node, payload);
    uint8_t *octets = malloc(STREAM_PREFIX_LENGTH + FRAME_LENGTH_FIELD + payload.length);
    if (!octets)
        abort();
    size_t used = 0;
    if (end->originator && !end->prefix_sent) {
        memcpy(octets, STREAM_PREFIX, STREAM_PREFIX_LENGTH);
        used = STREAM_PREFIX_LENGTH;
        end->prefix_sent = true;
    }
    frame_header(octets + used, payload.length);
    memcpy(octets + used + FRAME_LENGTH_FIELD, payload.at, payload.length);
    send_octets(world, link, side, octets, used + FRAME_LENGTH_FIELD + payload.length);
    free(octets);
}

void network_connect(struct world *world, struct event *event) {
    struct node *node = event->node;
    struct node *other = node_at(world, &event->carrier.remote);
    if (event->attempt == 0)
        return; /* cancelled */
    if (world->tcp_blocked || !other) {
        struct error refused = {0};
        char text[ADDRESS_TEXT_MAX];
        (void)fail(&refused, HOST, 0, "TCP %s refused the connection: nothing listens there",
            address_port_text(&event->carrier.remote, text));
        node_take(node, peers_connect_failed(node->peers, world->now, event->attempt, &refused));
        return;
    }
    struct link *link = link_new(world);
    struct carrier here = event->carrier;
    here.stream = node->next_stream++;
    here.local = node->outer;
    here.local.port = (uint16_t)(20000 + here.stream % 40000);
    struct carrier there = {.transport = here.transport, .stream = other->next_stream++, .local = here.remote};
    there.remote = node->seen_as;
    there.remote.port = here.local.port;
    link->end[0] = (struct stream_end){
        .node = node, .id = here.stream, .originator = true, .framer = framer_start(false), .carrier = here};
    link->end[1] =
        (struct stream_end){.node = other, .id = there.stream, .framer = framer_start(true), .carrier = there};
    node_take(node, peers_connected(node->peers, world->now, event->attempt, &here));
}

static void end_gone(struct stream_end *end) {
    end->gone = true;
    free(end->received);
    end->received = NULL;
    end->length = 0;
}

/* The stream is corrupt at that end: its owner closes it and tells peers. */
static void end_corrupt(struct world *world, struct link *link, int side) {
    struct stream_end *end = &link->end[side];
    uint32_t id = end->id;
    bool accepted = end->accepted || end->originator;
    end_gone(end);
    towards(world, link, !side, EVENT_STREAM_END, NULL, 0);
    struct error error = {0};
    (void)fail(&error, PEER, 0, "the stream is corrupt");
    if (accepted)
        node_take(end->node, peers_stream_lost(end->node->peers, world->now, id, &error));
}

static void parse(struct world *world, struct link *link, int side) {
    struct stream_end *end = &link->end[side];
    size_t done = 0;
    while (!end->gone) {
        struct span payload;
        size_t consumed = 0;
        enum framer_verdict verdict =
            framer_next(&end->framer, end->received + done, end->length - done, &consumed, &payload);
        done += consumed;
        if (verdict == FRAMER_CORRUPT) {
            end_corrupt(world, link, side);
            return;
        }
        if (verdict == FRAMER_MORE)
            break;
        if (!end->accepted && !end->originator) {
            end->accepted = true;
            node_take(end->node, peers_accepted(end->node->peers, world->now, &end->carrier));
            if (end->gone)
                return;
        }
        uint8_t *copy = copied(payload.at, payload.length);
        bool corrupt = false;
        node_payloads(end->node, &end->carrier, true, &end->strikes, copy, payload.length, &corrupt);
        free(copy);
        if (corrupt && !end->gone) {
            end_corrupt(world, link, side);
            return;
        }
    }
    if (end->gone)
        return;
    memmove(end->received, end->received + done, end->length - done);
    end->length -= done;
}

void network_stream_arrives(struct world *world, struct event *event) {
    struct stream_end *end = &event->link->end[event->side];
    if (end->gone || event->link->cut || !end->node)
        return;
    if (end->node == world->hole.client && (event->link->swallowed[0] || event->link->swallowed[1]))
        world->hole.heard_at = world->now;
    end->received = realloc(end->received, end->length + event->length);
    if (!end->received)
        abort();
    memcpy(end->received + end->length, event->octets, event->length);
    end->length += event->length;
    parse(world, event->link, event->side);
}

void network_stream_ends(struct world *world, struct event *event) {
    struct stream_end *end = &event->link->end[event->side];
    if (end->gone || !end->node)
        return;
    bool told = end->accepted || end->originator;
    end_gone(end);
    struct error error = {0};
    (void)fail(&error, HOST, 0, "the connection was closed by the other side");
    if (told)
        node_take(end->node, peers_stream_lost(end->node->peers, world->now, end->id, &error));
}

void network_stream_close(struct world *world, struct node *node, uint32_t stream) {
    struct link *link;
    int side;
    struct stream_end *end = end_of(world, node, stream, &link, &side);
    if (!end)
        return;
    if (!link->cut && link->end[!side].node && !link->end[!side].gone)
        watch_close(world, node);
    end_gone(end);
    if (!link->cut)
        towards(world, link, !side, EVENT_STREAM_END, NULL, 0);
}

/* What is on its way is lost from some octet on: the next segment to arrive may still come in part. */
static void lose_in_flight(struct world *world, struct link *link) {
    for (size_t i = 0; i < world->events; i++) {
        struct event *event = &world->heap[i];
        if (event->kind != EVENT_STREAM || event->link != link || event->length == 0)
            continue;
        event->length = world_chance(world, 300) ? world_random(world, (uint32_t)event->length) : 0;
    }
}

static void cut_link(struct world *world, struct link *link, enum cut kind) {
    lose_in_flight(world, link);
    link->cut = true;
    uint64_t late = kind == CUT_RESET ? 0 : 5 * SECOND + world_random(world, 20000);
    for (int side = 0; side < 2; side++) {
        if (link->end[side].gone || !link->end[side].node)
            continue;
        /* The originator of a black hole notices after its TCP_USER_TIMEOUT, the other side much later or never. */
        uint64_t wait = kind == CUT_BLACK_HOLE && side == 1 ? 60 * SECOND + late : late;
        if (kind == CUT_ONE_SIDE_LATE && side == (int)world_random(world, 2))
            wait = 0;
        struct event *event = world_schedule(world, wait, EVENT_STREAM_END);
        event->link = link;
        event->side = side;
    }
}

void network_cut(struct world *world, enum cut kind) {
    for (struct link *link = world->links; link; link = link->next)
        if (!link->cut && !(link->end[0].gone && link->end[1].gone))
            cut_link(world, link, kind);
}

/* Both ends are told by TCP in the end, if they are still there: that nothing was taken for so long. */
bool network_swallow(struct world *world, const struct node *client, enum way way) {
    struct link *found = NULL;
    for (struct link *link = world->links; link; link = link->next) {
        if (link->end[0].node != client || link->end[0].gone || link->cut)
            continue;
        if (found)
            return false;
        found = link;
    }
    if (!found || found->end[1].gone)
        return false;
    found->swallowed[0] = way != WAY_TO_EAST;
    found->swallowed[1] = way != WAY_TO_CLIENT;
    for (int side = 0; side < 2; side++) {
        struct event *event = world_schedule(world, 60 * SECOND + world_random(world, 20000), EVENT_STREAM_END);
        event->link = found;
        event->side = side;
    }
    return true;
}

void network_reset(struct world *world, struct node *node) {
    for (struct link *link = world->links; link; link = link->next)
        for (int side = 0; side < 2; side++) {
            if (link->end[side].node != node || link->end[side].gone)
                continue;
            end_gone(&link->end[side]);
            if (!link->cut)
                towards(world, link, !side, EVENT_STREAM_END, NULL, 0);
        }
}

/* Behind a NAT there, or not; where UDP passes, or not. */
void network_roam(struct world *world, struct node *node) {
    uint8_t number = (uint8_t)(10 + 3 * world->roams + (uint64_t)node->number);
    node->outer = (struct address){.family = 4, .octets = {198, 51, 100, number}};
    node->seen_as = node->outer;
    if (world_chance(world, 400)) {
        node->seen_as = (struct address){.family = 4, .octets = {203, 0, 113, number}};
        node->seen_as.port = (uint16_t)(10000 * node->number + 100 * number);
    }
    node->udp_blocked = world_chance(world, 400);
    world->udp_was_open |= !node->udp_blocked && !world->udp_blocked && !world->nat_port_blocked;
    node->nat_until = 0;
    for (struct link *link = world->links; link; link = link->next)
        if (link->end[0].node == node && !link->end[0].gone && !link->cut)
            cut_link(world, link, CUT_BLACK_HOLE);
}

void network_rebind(struct world *world) {
    world->nat_ports++;
    for (struct link *link = world->links; link; link = link->next)
        if (link->end[0].node && !link->end[0].gone &&
            !address_same_host(&link->end[0].node->seen_as, &link->end[0].node->outer))
            cut_link(world, link, world->options.lifetime ? CUT_RESET : CUT_ONE_SIDE_LATE);
}

/* --- the attacker --- */

struct address network_stranger(void) {
    return (struct address){.family = 4, .octets = {203, 0, 113, 66}, .port = 6666};
}

void network_stranger_stream(struct world *world, struct node *victim, struct span payload) {
    struct link *link = link_new(world);
    struct carrier there = {.transport = TRANSPORT_TCP, .stream = victim->next_stream++, .local = victim->outer};
    there.local.port = 4500;
    there.remote = network_stranger();
    link->end[0] = (struct stream_end){.originator = true, .prefix_sent = true};
    link->end[1] =
        (struct stream_end){.node = victim, .id = there.stream, .framer = framer_start(true), .carrier = there};
    uint8_t octets[STREAM_PREFIX_LENGTH + FRAME_LENGTH_FIELD + SEEN_OCTETS];
    size_t used = STREAM_PREFIX_LENGTH + FRAME_LENGTH_FIELD;
    memcpy(octets, STREAM_PREFIX, STREAM_PREFIX_LENGTH);
    frame_header(octets + STREAM_PREFIX_LENGTH, payload.length);
    memcpy(octets + used, payload.at, payload.length);
    send_octets(world, link, 0, octets, used + payload.length);
}

void network_stranger_udp(struct world *world, struct node *victim, struct span payload) {
    struct event *event = world_schedule(world, delay(world), EVENT_UDP);
    event->octets = copied(payload.at, payload.length);
    event->length = payload.length;
    event->from = network_stranger();
    event->to = outside(world, victim, 4500);
}

size_t network_streams(struct world *world, const struct node *node) {
    size_t count = 0;
    for (struct link *link = world->links; link; link = link->next)
        for (int side = 0; side < 2; side++)
            count += link->end[side].node == node && !link->end[side].gone && !link->cut;
    return count;
}

void network_free(struct world *world) {
    while (world->links) {
        struct link *link = world->links;
        world->links = link->next;
        free(link->end[0].received);
        free(link->end[1].received);
        free(link);
    }
}
