/* streams.c: every stream has a number, which peers and worker know it by. Accepted and connected ones are handed to the
 * worker, which owns the socket from then on; here remains who is alive, and what is still being connected. */
#include "daemon/engine/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAMS_MAX ((size_t)8192) /* at the worker, in all */
#define CONNECT_MOST_MS (60 * SECOND) /* the path gives up earlier, and cancels */

struct stream_entry {
    LIST_ENTRY(stream_entry) next;
    uint32_t number;
};

struct connecting {
    LIST_ENTRY(connecting) next;
    struct engine *engine;
    uint32_t attempt;
    struct carrier carrier;
    struct tcp_connector *connector; /* NULL: the monitor was asked for a socket */
    bool cancelled;
};

static struct stream_bucket *bucket_of(struct streams *streams, uint32_t number) {
    return &streams->bucket[number % STREAM_BUCKETS];
}

static struct stream_entry *stream_find(struct streams *streams, uint32_t number) {
    struct stream_entry *entry;
    LIST_FOREACH(entry, bucket_of(streams, number), next) {
        if (entry->number == number)
            return entry;
    }
    return NULL;
}

/* A number for a stream that now lives; 0: too many, or no memory. */
static uint32_t stream_add(struct streams *streams) {
    if (streams->count >= STREAMS_MAX)
        return 0;
    struct stream_entry *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return 0;
    do
        streams->last++;
    while (streams->last == 0 || stream_find(streams, streams->last) != NULL);
    entry->number = streams->last;
    LIST_INSERT_HEAD(bucket_of(streams, entry->number), entry, next);
    streams->count++;
    return entry->number;
}

static bool stream_remove(struct streams *streams, uint32_t number) {
    struct stream_entry *entry = stream_find(streams, number);
    if (entry == NULL)
        return false;
    LIST_REMOVE(entry, next);
    free(entry);
    streams->count--;
    return true;
}

static void hand_over(
    struct engine *engine, const struct carrier *carrier, int fd, bool originator, uint8_t *octets, size_t length) {
    struct worker_command command = {.kind = WORKER_STREAM_ADD,
        .carrier = *carrier,
        .fd = fd,
        .originator = originator,
        .octets = octets,
        .length = length};
    outbox_post(engine, &command);
}

void streams_accept(void *context, const struct accepted_stream *accepted) {
    struct engine *engine = context;
    uint8_t *octets = malloc(accepted->length == 0 ? 1 : accepted->length);
    uint32_t number = octets == NULL || engine->stopping ? 0 : stream_add(&engine->streams);
    char text[ADDRESS_TEXT_MAX];
    if (number == 0) {
        log_debug("no room for a stream from %s", address_port_text(&accepted->remote, text));
        free(octets);
        close(accepted->fd);
        return;
    }
    if (accepted->length > 0)
        memcpy(octets, accepted->octets, accepted->length);
    struct carrier carrier = {
        .transport = accepted->transport, .stream = number, .local = accepted->local, .remote = accepted->remote};
    log_debug("stream %u accepted from %s", number, address_port_text(&accepted->remote, text));
    /* Its messages come through the event loop, so after peers know of it. */
    hand_over(engine, &carrier, accepted->fd, false, octets, accepted->length);
    engine_apply(engine, peers_accepted(engine->peers, engine_now(), &carrier));
}

static void connect_end(struct connecting *connecting) {
    LIST_REMOVE(connecting, next);
    if (connecting->connector != NULL)
        tcp_connector_free(connecting->connector);
    free(connecting);
}

static void connect_failed(struct connecting *connecting, const struct error *error) {
    struct engine *engine = connecting->engine;
    uint32_t attempt = connecting->attempt;
    struct error copy = *error; /* it may live in what ends here */
    connect_end(connecting);
    engine_apply(engine, peers_connect_failed(engine->peers, engine_now(), attempt, &copy));
}

static void on_connected(
    void *context, int fd, const struct address *local, const struct address *remote, const struct error *error) {
    struct connecting *connecting = context;
    struct engine *engine = connecting->engine;
    if (fd < 0) {
        connect_failed(connecting, error);
        return;
    }
    struct carrier carrier = {.transport = connecting->carrier.transport, .local = *local, .remote = *remote};
    carrier.stream = stream_add(&engine->streams);
    if (carrier.stream == 0) {
        close(fd);
        struct error full;
        fail(&full, OURS, 0, "%zu streams are open, which is the most", STREAMS_MAX);
        connect_failed(connecting, &full);
        return;
    }
    uint32_t attempt = connecting->attempt;
    connect_end(connecting);
    hand_over(engine, &carrier, fd, true, NULL, 0);
    engine_apply(engine, peers_connected(engine->peers, engine_now(), attempt, &carrier));
}

static void on_socket(void *context, const struct monitor_answer *answer) {
    struct connecting *connecting = context;
    if (connecting->cancelled) {
        if (answer->fd >= 0)
            close(answer->fd);
        connect_end(connecting);
        return;
    }
    if (answer->error.origin != ORIGIN_NONE) {
        connect_failed(connecting, &answer->error);
        return;
    }
    struct error error = {0};
    connecting->connector = tcp_connector_new(connecting->engine->base, answer->fd, &connecting->carrier.remote,
        CONNECT_MOST_MS, on_connected, connecting, &error);
    if (connecting->connector == NULL)
        connect_failed(connecting, &error);
}

void streams_connect(struct engine *engine, const struct peer_action *action) {
    struct connecting *connecting = calloc(1, sizeof *connecting);
    if (connecting == NULL) {
        log_error("memory is short: no connection is attempted"); /* the path's own deadline goes on */
        return;
    }
    *connecting = (struct connecting){.engine = engine, .attempt = action->attempt, .carrier = action->carrier};
    LIST_INSERT_HEAD(&engine->streams.connecting, connecting, next);
    struct address local = action->carrier.local;
    if (local.family == 0)
        local.family = action->carrier.remote.family;
    local.port = 0; /* C6: any local port */
    monitor_socket(engine->monitor, HOST_TCP, &local, on_socket, connecting);
}

void streams_cancel(struct engine *engine, uint32_t attempt) {
    struct connecting *connecting, *following;
    for (connecting = LIST_FIRST(&engine->streams.connecting); connecting != NULL; connecting = following) {
        following = LIST_NEXT(connecting, next);
        if (connecting->attempt != attempt || connecting->cancelled)
            continue;
        if (connecting->connector != NULL)
            connect_end(connecting);
        else
            connecting->cancelled = true; /* the monitor's answer still comes */
    }
}

void streams_close(struct engine *engine, uint32_t stream) {
    if (!stream_remove(&engine->streams, stream))
        return;
    struct worker_command command = {.kind = WORKER_STREAM_CLOSE, .carrier = {.stream = stream}, .fd = -1};
    outbox_post(engine, &command);
}

bool streams_gone(struct engine *engine, uint32_t stream) {
    return stream_remove(&engine->streams, stream);
}

void streams_free(struct engine *engine) {
    struct streams *streams = &engine->streams;
    struct connecting *connecting, *later;
    for (connecting = LIST_FIRST(&streams->connecting); connecting != NULL; connecting = later) {
        later = LIST_NEXT(connecting, next);
        connect_end(connecting);
    }
    for (size_t i = 0; i < STREAM_BUCKETS; i++) {
        struct stream_entry *entry, *following;
        for (entry = LIST_FIRST(&streams->bucket[i]); entry != NULL; entry = following) {
            following = LIST_NEXT(entry, next);
            free(entry);
        }
    }
    *streams = (struct streams){0};
}
