/* hole.c: a black hole for one connection: its segments are swallowed, both ways or one, others pass, and nobody is told.
 * Packets that want an answer run before and meanwhile. They get one again within the time that doc/architecture.md promises,
 * over another connection of the same IKE SA (L1, L6). */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>

#define PING_MS UINT64_C(400)
#define PINGS_BEFORE 25 /* so that the connection is known to be well, and no question was asked a moment ago */
#define ASKED_MS (3 * SECOND) /* at the latest, after the last that came */
#define BESIDE_MS (2 * SECOND) /* after that */
#define CALM_MS (6 * SECOND) /* something came after all: no question for 5 s, and until the next look */
#define PROBE_MS (6 * SECOND) /* UDP was asked about meanwhile: 3 s, and what was seen before counts no more */
#define FELT_MS (30 * SECOND)

static bool status_of(const struct hole *hole, struct peer_status *out) {
    return node_status(hole->client, "tunnel", out) && out->state == PEER_STATE_UP && out->has_ike;
}

static void next(struct world *world, uint64_t after) {
    world_schedule(world, after, EVENT_HOLE)->node = world->hole.client;
}

static void ping(struct world *world) {
    size_t number = world->inners;
    inner_send(world, world->hole.client, &world->node[0]);
    if (world->inners > number)
        world->inner[number].asks = true;
}

void hole_begin(struct world *world) {
    if (world->hole.client || disturbed(world, world->now))
        return;
    struct node *client = &world->node[1 + world_random(world, (uint32_t)world->nodes - 1)];
    world->hole = (struct hole){.client = client, .began = NEVER, .disturbances = world->disturbances};
    next(world, PING_MS);
}

/* The rekeys count: with another IKE SA after a rekey the SPIs are others. */
static void opens(struct world *world, const struct peer_status *status) {
    struct hole *hole = &world->hole;
    enum way way = (enum way)world_random(world, WAYS);
    if (!network_swallow(world, hole->client, way))
        return;
    static const char *const words[WAYS] = {"both ways", "towards east", "towards the client"};
    world_say(world, "----- a black hole for the connection of %s, %s", hole->client->name, words[way]);
    disturb(world, SECOND, FELT_MS);
    hole->disturbances = world->disturbances;
    hole->began = world->now;
    hole->rekeys = status->rekeys;
    hole->spi_i = status->ike.spi_i;
    hole->spi_r = status->ike.spi_r;
    hole->reconnects = status->reconnects;
    world->holes++;
}

/* A connection, a question and its answer, another one that moves east, the next ping and its answer. */
static uint64_t deadline(const struct world *world) {
    const struct hole *hole = &world->hole;
    uint64_t there = world->delay_min + world->delay_spread;
    uint64_t since = hole->heard_at > hole->began ? hole->heard_at : hole->began;
    bool late = since > hole->began + there;
    return since + ASKED_MS + BESIDE_MS + 2 * (world->delay_min + 20) + 6 * there + PING_MS + (late ? CALM_MS : 0) +
           (hole->probed ? PROBE_MS : 0);
}

/* Something else went wrong, or the SAs went to UDP: nothing is promised then. */
static bool is_spoilt(const struct world *world, const struct peer_status *status, bool up) {
    const struct hole *hole = &world->hole;
    return world->ending || world->disturbances != hole->disturbances ||
           (hole->began == NEVER && (!up || world->udp_dead || world->tcp_blocked)) ||
           (up && status->transport != TRANSPORT_TCP);
}

static void look(struct world *world, const struct peer_status *status, bool up) {
    struct hole *hole = &world->hole;
    if (is_spoilt(world, status, up)) {
        hole->client = NULL;
        return;
    }
    if (hole->began != NEVER && world->now > deadline(world)) {
        world_fail(world, "%s: a black hole at %" PRIu64 ".%03" PRIu64 " s still swallows its traffic (L6)",
            hole->client->name, hole->began / 1000, hole->began % 1000);
        return;
    }
    if (hole->began == NEVER && ++hole->pings > PINGS_BEFORE) {
        opens(world, status);
        if (hole->began == NEVER) {
            hole->client = NULL;
            return;
        }
    }
    ping(world);
    next(world, PING_MS);
}

void hole_event(struct world *world, struct event *event) {
    struct peer_status *status = malloc(sizeof *status);
    if (!status)
        abort();
    if (event->kind == EVENT_HOLE_ANSWER) {
        size_t number = world->inners;
        inner_send(world, &world->node[0], event->node);
        if (world->inners > number)
            world->inner[number].answers_at = world->inner[event->length].sent_at;
    } else if (world->hole.client == event->node) {
        look(world, status, status_of(&world->hole, status));
    }
    free(status);
}

/* Traffic is back. */
static void over(struct world *world) {
    struct hole *hole = &world->hole;
    struct peer_status *status = malloc(sizeof *status);
    if (!status)
        abort();
    bool up = status_of(hole, status);
    if (!up || status->reconnects != hole->reconnects + 1)
        world_fail(world, "%s has traffic again, but no other connection after a black hole", hole->client->name);
    else if (world->now > deadline(world))
        world_fail(world, "%s came out of a black hole after %" PRIu64 " ms (L6)", hole->client->name,
            world->now - hole->began);
    else if (status->rekeys == hole->rekeys && (status->ike.spi_i != hole->spi_i || status->ike.spi_r != hole->spi_r))
        world_fail(world, "%s has another IKE SA after a black hole (L1)", hole->client->name);
    hole->client = NULL;
    free(status);
}

void hole_sees(struct world *world, const struct node *at, uint32_t number) {
    const struct inner_packet *inner = &world->inner[number];
    const struct hole *hole = &world->hole;
    if (inner->asks && at->number == 0) {
        struct event *event = world_schedule(world, 0, EVENT_HOLE_ANSWER);
        event->node = &world->node[inner->from];
        event->length = number;
    }
    bool proves = hole->client == at && hole->began != NEVER && inner->answers_at >= hole->began && inner->answers_at;
    if (!proves)
        return;
    if (world->disturbances == hole->disturbances)
        over(world);
    else
        world->hole.client = NULL;
}
