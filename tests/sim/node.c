/* node.c: one engine of the simulation: peers and traffic, and all that the daemon would do for them. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static void begin_engine(struct node *node) {
    struct peers_limits limits;
    peers_limits_defaults(&limits);
    node->wake_at = NEVER;
    node->peers = peers_new(&limits, 0, node->world->random, node->world->now);
    node->traffic = traffic_new(0);
    if (!node->peers || !node->traffic)
        abort();
}

bool node_begin(
    struct world *world, struct node *node, int number, const struct peer_config *config, struct address outer) {
    static const char *const names[NODES_MAX] = {"east", "west", "north"};
    node->world = world;
    node->number = number;
    node->name = names[number];
    node->outer = node->seen_as = outer;
    node->next_stream = 1;
    begin_engine(node);
    node->config = malloc(sizeof *config);
    if (!node->config)
        return false;
    *node->config = *config;
    return true;
}

void node_end(struct node *node) {
    peers_free(node->peers);
    traffic_free(node->traffic);
    free(node->config);
    node->peers = NULL;
    node->traffic = NULL;
    node->config = NULL;
}

static void forget(struct event *event, const struct node *node) {
    if (event->node != node || event->kind == EVENT_INNER || event->kind == EVENT_INNER_ONCE)
        return;
    if (event->kind == EVENT_TRAFFIC_REPORT && event->report.kind == TRAFFIC_RETIRED)
        esp_sa_free(event->report.sa);
    event->kind = EVENT_NOTHING;
}

void node_restart(struct node *node) {
    struct world *world = node->world;
    for (size_t i = 0; i < world->events; i++)
        forget(&world->heap[i], node);
    network_reset(world, node);
    peers_free(node->peers);
    traffic_free(node->traffic);
    begin_engine(node);
    node->first_spi = 0;
    node->up = false;
    node->esp_stream_at = 0;
    node_take(node, peers_configure(node->peers, world->now, node->config, 1));
}

static void reports_later(struct node *node, const struct traffic_reports *reports) {
    for (size_t i = 0; i < reports->count; i++) {
        struct event *event = world_schedule(node->world, 0, EVENT_TRAFFIC_REPORT);
        event->node = node;
        event->report = reports->report[i];
    }
}

static void send_ike(struct node *node, const struct carrier *carrier, struct span message, bool bare) {
    if (!bare)
        watch_ike(node->world, node, carrier, message);
    else if (carrier->transport != TRANSPORT_UDP)
        world_fail(node->world, "%s sends a NAT keepalive on a stream (S6)", node->name);
    bool marker = !bare && (carrier->transport != TRANSPORT_UDP || carrier->local.port == 4500);
    size_t extra = marker ? NON_ESP_MARKER_LENGTH : 0;
    uint8_t *payload = calloc(1, extra + message.length);
    if (!payload)
        abort();
    memcpy(payload + extra, message.at, message.length);
    struct span whole = span_of(payload, extra + message.length);
    if (carrier->transport == TRANSPORT_UDP)
        network_udp(node->world, node, carrier, whole);
    else
        network_stream_send(node->world, node, carrier->stream, whole);
    free(payload);
}

/* What the monitor does: both AUTH values from the key that both sides share. */
static void auth_later(struct node *node, const struct peer_action *action) {
    struct world *world = node->world;
    struct event *event = world_schedule(world, 1 + world_random(world, 20), EVENT_AUTH);
    event->node = node;
    event->peer = action->peer;
    struct span psk = span_of(node->psk, sizeof node->psk);
    if (!psk_auth(action->auth.prf, psk, action->auth.local_octets, event->auth.local_auth))
        abort();
    if (action->auth.remote_octets.length > 0 &&
        !psk_auth(action->auth.prf, psk, action->auth.remote_octets, event->auth.expected))
        abort();
}

static struct event *later(struct node *node, const struct peer_action *action, uint64_t delay, enum event_kind kind) {
    struct event *event = world_schedule(node->world, delay, kind);
    event->node = node;
    event->peer = action->peer;
    event->attempt = action->attempt;
    event->carrier = action->carrier;
    return event;
}

/* While a Child SA takes the place of another, packets show whether both sides have what the other uses. */
static void traffic_soon(struct node *node, const struct traffic_command *command) {
    struct world *world = node->world;
    if (world->ending || (command->verb != TRAFFIC_INSTALL && command->verb != TRAFFIC_DRAIN))
        return;
    for (size_t i = 0; i < world->nodes; i++) {
        struct event *event = world_schedule(world, world_random(world, (uint32_t)world->delay_min), EVENT_INNER_ONCE);
        event->node = &world->node[i];
    }
}

static void act(struct node *node, const struct peer_action *action) {
    struct world *world = node->world;
    struct traffic_reports reports = {0};
    switch (action->kind) {
    case PEER_RESOLVE:
        later(node, action, world_random(world, 30), EVENT_RESOLVED);
        break;
    case PEER_SEND:
        send_ike(node, &action->carrier, action->octets, action->bare);
        break;
    case PEER_CONNECT:
        watch_connect(world, node);
        later(node, action, 2 * (world->delay_min + world_random(world, 20)), EVENT_CONNECT);
        break;
    case PEER_CANCEL:
        for (size_t i = 0; i < world->events; i++)
            if (world->heap[i].kind == EVENT_CONNECT && world->heap[i].node == node &&
                world->heap[i].attempt == action->attempt)
                world->heap[i].attempt = 0;
        break;
    case PEER_CLOSE:
        network_stream_close(world, node, action->carrier.stream);
        break;
    case PEER_AUTH:
        auth_later(node, action);
        break;
    case PEER_TRAFFIC:
        traffic_apply(node->traffic, world->now, &action->traffic, &reports);
        reports_later(node, &reports);
        traffic_soon(node, &action->traffic);
        break;
    case PEER_HOST_UP:
        later(node, action, world_random(world, 10), EVENT_HOST);
        break;
    case PEER_HOST_DOWN:
    case PEER_SECRETS:
        break;
    case PEER_UP:
        node->up = true;
        if (node->seen_ups == 0)
            watch_up(world, node);
        node->seen_ups++;
        world_say(world, "%-5s up", node->name);
        break;
    case PEER_DOWN:
        node->up = false;
        node->seen_downs++;
        world_say(world, "%-5s down: %s %s", node->name, action->text, action->error.text);
        break;
    case PEER_STEP:
        world_say(world, "%-5s %s", node->name, action->text);
        break;
    }
}

/* Actions are copied out first: carrying them out may call into peers again only through events, never at once. */
void node_take(struct node *node, struct peer_output output) {
    for (size_t i = 0; i < output.actions; i++)
        act(node, &output.action[i]);
    uint64_t deadline = peers_deadline(node->peers);
    if (deadline < node->wake_at) {
        uint64_t now = node->world->now;
        struct event *event = world_schedule(node->world, deadline > now ? deadline - now : 0, EVENT_WAKE);
        event->node = node;
        node->wake_at = event->at;
    }
}

void node_payloads(struct node *node, const struct carrier *carrier, bool marker, uint32_t *strikes, uint8_t *payload,
    size_t length, bool *corrupt) {
    struct world *world = node->world;
    struct traffic_frame frame = {.payload = payload, .length = length};
    struct traffic_reports reports = {0};
    struct peers_limits limits;
    peers_limits_defaults(&limits);
    attacker_sees(world, node, marker, span_of(payload, length));
    traffic_receive(node->traffic, world->now, carrier, marker, limits.corrupt_tolerance, strikes, &frame, 1, &reports);
    reports_later(node, &reports);
    if (frame.verdict == TRAFFIC_IS_CORRUPT)
        *corrupt = true;
    else if (frame.verdict == TRAFFIC_IS_INNER)
        inner_arrives(world, node, frame.inner, frame.inner_length);
    else if (frame.verdict == TRAFFIC_IS_AGGREGATE)
        inner_arrive(world, node, &frame.walk);
    else if (frame.verdict == TRAFFIC_IS_IKE)
        node_take(node, peers_receive(node->peers, world->now, carrier, frame.message));
    attacker_was_heard(world, node, carrier);
}

static void resolved(struct world *world, struct event *event) {
    struct path_target target = {.local = event->node->outer, .remote = world->node[0].outer};
    node_take(event->node, peers_resolved(event->node->peers, world->now, event->peer, &target, 1, NULL));
}

static void reported(struct world *world, struct event *event) {
    if (event->report.kind == TRAFFIC_RETIRED) {
        esp_sa_free(event->report.sa);
        event->report.sa = NULL;
        return;
    }
    node_take(event->node, peers_traffic(event->node->peers, world->now, &event->report));
}

void node_event(struct world *world, struct event *event) {
    struct node *node = event->node;
    switch (event->kind) {
    case EVENT_WAKE:
        if (node->wake_at != event->at)
            return; /* an earlier one was queued after it */
        node->wake_at = NEVER;
        node_take(node, peers_wake(node->peers, world->now));
        break;
    case EVENT_RESOLVED:
        resolved(world, event);
        break;
    case EVENT_AUTH:
        node_take(node, peers_auth(node->peers, world->now, event->peer, &event->auth));
        break;
    case EVENT_HOST:
        node_take(node, peers_host_done(node->peers, world->now, event->peer, NULL));
        break;
    case EVENT_TRAFFIC_REPORT:
        reported(world, event);
        break;
    default:
        break;
    }
}

bool node_status(const struct node *node, const char *connection, struct peer_status *out) {
    for (size_t n = 0; peers_status(node->peers, n, out); n++)
        if (out->has_ike && strcmp(out->name, connection) == 0)
            return true;
    return false;
}
