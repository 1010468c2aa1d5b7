/* output.c: the list of actions that a call returns, the octets they point at, and the outputs of ike/ in between. */
#include "peer/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void reap(struct peers *peers) {
    while (peers->dead_sas) {
        struct sa *sa = peers->dead_sas;
        peers->dead_sas = sa->next;
        ike_sa_free(sa->ike);
        free(sa);
    }
    while (peers->dead_streams) {
        struct stream *stream = peers->dead_streams;
        peers->dead_streams = stream->next;
        free(stream);
    }
    while (peers->dead_peers) {
        struct peer *peer = peers->dead_peers;
        peers->dead_peers = peer->next;
        peer->conn->peers--;
        peer_free(peers, peer);
    }
    conn_reap(peers);
}

void peers_begin(struct peers *peers, uint64_t now) {
    reap(peers);
    for (size_t i = 0; i < peers->actions; i++)
        if (peers->action[i].kind == PEER_SECRETS)
            wipe(&peers->action[i].secrets, sizeof peers->action[i].secrets);
    peers->now = now;
    peers->actions = 0;
    peers->arena_used = 0;
}

/* While the arena grows its octets move: actions hold offsets, and learn here where they are. */
static void fix(struct peers *peers, struct span *span) {
    if (span->length > 0)
        span->at = peers->arena + (uintptr_t)span->at;
}

struct peer_output peers_finish(struct peers *peers) {
    while (peers->dirty) {
        struct peer *peer = peers->dirty;
        peers->dirty = peer->dirty_next;
        peer->dirty = false;
        if (peer->delete_due && peer->phase == PHASE_CLOSING) {
            peer->delete_due = false;
            exchange_delete(peers, peer);
        }
        if (peer->phase != PHASE_OVER)
            peer_settle(peers, peer);
    }
    for (size_t i = 0; i < peers->actions; i++) {
        fix(peers, &peers->action[i].octets);
        fix(peers, &peers->action[i].auth.local_octets);
        fix(peers, &peers->action[i].auth.remote_octets);
    }
    return (struct peer_output){.action = peers->action, .actions = peers->actions};
}

struct peer_action *action_add(struct peers *peers, enum peer_action_kind kind, const struct peer *peer) {
    /* One more than is counted is always there: what is lost for want of memory is written into it. */
    if (peers->actions + 1 >= peers->action_capacity) {
        size_t capacity = peers->action_capacity * 2;
        struct peer_action *action = realloc(peers->action, capacity * sizeof *action);
        if (action) {
            peers->action = action;
            peers->action_capacity = capacity;
        }
    }
    struct peer_action *action = &peers->action[peers->actions];
    if (peers->actions + 1 < peers->action_capacity)
        peers->actions++;
    memset(action, 0, sizeof *action);
    action->kind = kind;
    action->peer = !peer ? 0 : peer->races_for ? peer->races_for : peer->id;
    action->connection = peer ? peer->conn->config.name : "";
    return action;
}

struct span keep_octets(struct peers *peers, const void *octets, size_t length) {
    if (peers->arena_used + length > peers->arena_capacity) {
        size_t capacity = 2 * (peers->arena_used + length);
        uint8_t *arena = realloc(peers->arena, capacity);
        if (!arena)
            return (struct span){0};
        peers->arena = arena;
        peers->arena_capacity = capacity;
    }
    struct span kept = {.at = (const uint8_t *)(uintptr_t)peers->arena_used, .length = length};
    if (octets && length > 0)
        memcpy(peers->arena + peers->arena_used, octets, length);
    peers->arena_used += length;
    return kept;
}

uint8_t *kept_octets(struct peers *peers, struct span kept) {
    return peers->arena + (uintptr_t)kept.at;
}

struct ike_output *output_take(struct peers *peers) {
    if (peers->outputs == PEER_OUTPUTS_MAX)
        return NULL;
    struct ike_output **output = &peers->output[peers->outputs];
    if (!*output) {
        *output = calloc(1, sizeof **output);
        uint8_t *octets = *output ? malloc(IKE_OUTPUT_OCTETS) : NULL;
        if (!octets) {
            free(*output);
            *output = NULL;
            return NULL;
        }
        (*output)->octets = octets;
    }
    peers->outputs++;
    return *output;
}

void output_give(struct peers *peers, struct ike_output *output) {
    ike_output_wipe(output);
    peers->outputs--;
}

void action_say(struct peers *peers, const struct peer *peer, enum peer_step step, const char *format, ...) {
    struct peer_action *action = action_add(peers, PEER_STEP, peer);
    action->step = step;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(action->text, sizeof action->text, format, arguments);
    va_end(arguments);
}

struct peer_action *action_send(
    struct peers *peers, const struct peer *peer, const struct carrier *carrier, struct span message) {
    if (carrier->transport == TRANSPORT_NONE || message.length == 0)
        return NULL; /* nothing carries it now; it goes out again on the next connection (K1, L14) */
    struct span kept = keep_octets(peers, message.at, message.length);
    if (kept.length == 0)
        return NULL;
    struct peer_action *action = action_add(peers, PEER_SEND, peer);
    action->carrier = *carrier;
    action->octets = kept;
    return action;
}

struct traffic_command *action_traffic(struct peers *peers, const struct peer *peer, enum traffic_verb verb) {
    struct peer_action *action = action_add(peers, PEER_TRAFFIC, peer);
    action->traffic.verb = verb;
    action->traffic.anchor = peer->anchor;
    return &action->traffic;
}
