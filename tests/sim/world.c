/* world.c: the clock, the queue of events, and the randomness of one simulated run. */
#include "sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void world_begin(struct world *world, uint64_t seed, const struct sim_options *options) {
    memset(world, 0, sizeof *world);
    world->seed = seed;
    world->rng = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    world->random = random_seeded(&world->rng);
    world->options = *options;
    world->now = 1000;
    world->trace = UINT64_C(0xcbf29ce484222325);
}

void world_end(struct world *world) {
    for (size_t i = 0; i < world->nodes; i++)
        node_end(&world->node[i]);
    network_free(world);
    for (size_t i = 0; i < world->events; i++) {
        free(world->heap[i].octets);
        if (world->heap[i].kind == EVENT_TRAFFIC_REPORT && world->heap[i].report.kind == TRAFFIC_RETIRED)
            esp_sa_free(world->heap[i].report.sa);
    }
    free(world->heap);
}

uint32_t world_random(struct world *world, uint32_t below) {
    return below == 0 ? 0 : random_u32(&world->random) % below;
}

bool world_chance(struct world *world, uint32_t permille) {
    return world_random(world, 1000) < permille;
}

static bool before(const struct event *a, const struct event *b) {
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void swap(struct event *a, struct event *b) {
    struct event held = *a;
    *a = *b;
    *b = held;
}

/* The event is returned where it lies in the heap: `at` and `order` are final, the rest does not decide the order. */
struct event *world_schedule(struct world *world, uint64_t delay, enum event_kind kind) {
    if (world->events == world->capacity) {
        world->capacity = world->capacity ? world->capacity * 2 : 64;
        world->heap = realloc(world->heap, world->capacity * sizeof *world->heap);
        if (!world->heap)
            abort();
    }
    size_t at = world->events++;
    world->heap[at] = (struct event){.at = world->now + delay, .order = world->order++, .kind = kind};
    while (at > 0 && before(&world->heap[at], &world->heap[(at - 1) / 2])) {
        swap(&world->heap[at], &world->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    return &world->heap[at];
}

static struct event take_first(struct world *world) {
    struct event first = world->heap[0];
    world->heap[0] = world->heap[--world->events];
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= world->events)
            break;
        if (child + 1 < world->events && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &world->heap[at]))
            break;
        swap(&world->heap[at], &world->heap[child]);
        at = child;
    }
    return first;
}

static void happen(struct world *world, struct event *event) {
    switch (event->kind) {
    case EVENT_UDP:
        network_udp_arrives(world, event);
        break;
    case EVENT_STREAM:
        network_stream_arrives(world, event);
        break;
    case EVENT_STREAM_END:
        network_stream_ends(world, event);
        break;
    case EVENT_CONNECT:
        network_connect(world, event);
        break;
    case EVENT_INNER:
    case EVENT_INNER_ONCE:
        inner_event(world, event);
        break;
    case EVENT_HOLE:
    case EVENT_HOLE_ANSWER:
        hole_event(world, event);
        break;
    case EVENT_FAULT:
        faults_event(world, event);
        break;
    default:
        node_event(world, event);
    }
}

void world_run_until(struct world *world, uint64_t until) {
    while (world->events > 0 && world->heap[0].at <= until && !world->failure[0]) {
        struct event event = take_first(world);
        world->now = event.at;
        world_trace(world, &event.at, sizeof event.at);
        world_trace(world, &event.kind, sizeof event.kind);
        world_trace(world, event.octets, event.octets ? event.length : 0);
        happen(world, &event);
        free(event.octets);
    }
    if (world->now < until)
        world->now = until;
}

void world_fail(struct world *world, const char *format, ...) {
    if (world->failure[0])
        return;
    int used = snprintf(world->failure, sizeof world->failure, "at %" PRIu64 ".%03" PRIu64 " s: ", world->now / 1000,
        world->now % 1000);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(world->failure + used, sizeof world->failure - (size_t)used, format, arguments);
    va_end(arguments);
}

void world_say(struct world *world, const char *format, ...) {
    if (!world->options.verbose)
        return;
    printf("%6" PRIu64 ".%03" PRIu64 " ", world->now / 1000, world->now % 1000);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void world_trace(struct world *world, const void *octets, size_t length) {
    const uint8_t *at = octets;
    for (size_t i = 0; i < length; i++)
        world->trace = (world->trace ^ at[i]) * UINT64_C(0x100000001b3);
}
