/* streams.c: every stream has a number, which peers and worker know it by. Accepted and connected ones are handed to the
 * worker, which owns the socket from then on; here remains who is alive, and what is still being connected. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STREAMS_MAX ((size_t)65536) /* at the worker, in all; the system's limit of descriptors may come first */

struct stream_entry {
    LIST_ENTRY(stream_entry) next;
    uint32_t number;
    bool kernel;
};

struct connecting {
    LIST_ENTRY(connecting) next;
    struct engine *engine;
    uint32_t attempt;
    char name[64]; /* of the connection */
    struct carrier carrier;
    struct connect_wanted wanted;
    char *ca; /* ours: wanted.tls_wanted.ca */
    struct lookup *lookup; /* of the proxy */
    struct stream_connector *connector;
    struct event *wrong; /* says `error` */
    struct error error;
    bool asked; /* the monitor, for a socket: its answer will come */
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
    entry->kernel = false;
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

static void hand_over(struct engine *engine, const struct carrier *carrier, int fd, struct tls *tls, bool originator,
    uint8_t *octets, size_t length) {
    struct worker_command command = {.kind = WORKER_STREAM_ADD,
        .carrier = *carrier,
        .fd = fd,
        .tls = tls,
        .originator = originator,
        .octets = octets,
        .length = length};
    outbox_post(engine, &command);
}

/* malloc'd; NULL: no memory. */
static uint8_t *copy_octets(const uint8_t *octets, size_t length) {
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    if (copy != NULL && length > 0)
        memcpy(copy, octets, length);
    return copy;
}

void streams_accept(void *context, const struct accepted_stream *accepted) {
    struct engine *engine = context;
    uint8_t *octets = copy_octets(accepted->octets, accepted->length);
    uint32_t number = octets == NULL || engine->stopping ? 0 : stream_add(&engine->streams);
    char text[ADDRESS_TEXT_MAX];
    if (number == 0) {
        log_debug("no room for a stream from %s", address_port_text(&accepted->remote, text));
        free(octets);
        tls_free(accepted->tls);
        close(accepted->fd);
        return;
    }
    struct carrier carrier = {
        .transport = accepted->transport, .stream = number, .local = accepted->local, .remote = accepted->remote};
    char tls[TLS_TEXT_MAX];
    log_debug("stream %u accepted from %s%s%s", number, address_port_text(&accepted->remote, text),
        accepted->tls != NULL ? ", " : "", accepted->tls != NULL ? tls_text(accepted->tls, tls) : "");
    /* Its messages come through the event loop, so after peers know of it. */
    hand_over(engine, &carrier, accepted->fd, accepted->tls, false, octets, accepted->length);
    engine_apply(engine, peers_accepted(engine->peers, engine_now(), &carrier));
}

static void connect_end(struct connecting *connecting) {
    LIST_REMOVE(connecting, next);
    event_free(connecting->wrong);
    lookup_cancel(connecting->lookup);
    stream_connector_free(connecting->connector);
    free(connecting->ca);
    wipe(connecting, sizeof *connecting); /* a proxy's password */
    free(connecting);
}

static void connect_failed(struct connecting *connecting, const struct error *error) {
    struct engine *engine = connecting->engine;
    uint32_t attempt = connecting->attempt;
    struct error copy = *error; /* it may live in what ends here */
    connect_end(connecting);
    engine_apply(engine, peers_connect_failed(engine->peers, engine_now(), attempt, &copy));
}

static void on_connected(void *context, const struct connected_stream *stream, const struct error *error) {
    struct connecting *connecting = context;
    struct engine *engine = connecting->engine;
    if (stream->fd < 0) {
        connect_failed(connecting, error);
        return;
    }
    struct carrier carrier = {
        .transport = connecting->carrier.transport, .local = stream->local, .remote = stream->remote};
    uint8_t *octets = copy_octets(stream->octets, stream->length);
    carrier.stream = octets == NULL ? 0 : stream_add(&engine->streams);
    struct connected_stream taken = *stream; /* it lives in the connector */
    if (carrier.stream == 0) {
        free(octets);
        tls_free(taken.tls);
        close(taken.fd);
        struct error full;
        fail(&full, OURS, 0, "%zu streams are open, which is the most", STREAMS_MAX);
        connect_failed(connecting, &full);
        return;
    }
    char text[TLS_TEXT_MAX];
    if (taken.tls != NULL)
        log_info("%s: %s", connecting->name, tls_text(taken.tls, text));
    uint32_t attempt = connecting->attempt;
    connect_end(connecting);
    hand_over(engine, &carrier, taken.fd, taken.tls, true, octets, taken.length);
    engine_apply(engine, peers_connected(engine->peers, engine_now(), attempt, &carrier));
}

static void on_socket(void *context, const struct monitor_answer *answer) {
    struct connecting *connecting = context;
    connecting->asked = false;
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
    connecting->connector = stream_connector_new(
        connecting->engine->base, answer->fd, &connecting->wanted, on_connected, connecting, &error);
    if (connecting->connector == NULL)
        connect_failed(connecting, &error);
}

/* With what the carrier wants for ours, or anything to a proxy, which may be on another way. */
static void ask_socket(struct connecting *connecting, struct address local) {
    if (local.family == 0)
        local = (struct address){.family = connecting->wanted.remote.family};
    local.port = 0; /* C6: any local port */
    connecting->asked = true;
    monitor_client_socket(connecting->engine->monitor, connecting->name, &local, on_socket, connecting);
}

static void on_proxy_found(void *context, const struct address *list, size_t count, const struct error *error) {
    struct connecting *connecting = context;
    struct error why = *error;
    connecting->lookup = NULL;
    if (count == 0) {
        (void)fail_context(&why, "the proxy: ");
        connect_failed(connecting, &why);
        return;
    }
    uint16_t port = connecting->wanted.remote.port;
    connecting->wanted.remote = list[0];
    connecting->wanted.remote.port = port;
    ask_socket(connecting, (struct address){0});
}

/* A reload may free the configuration before the socket comes. */
static bool keep_ca(struct connecting *connecting) {
    struct tls_wanted *wanted = &connecting->wanted.tls_wanted;
    if (wanted->ca == NULL)
        return true;
    wanted->ca = connecting->ca = strdup(wanted->ca);
    return wanted->ca != NULL;
}

/* What can't even begin fails from the event loop, as everything else. */
static void on_wrong(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct connecting *connecting = context;
    connect_failed(connecting, &connecting->error);
}

static bool begin_connect(struct connecting *connecting, const struct peer_action *action) {
    struct engine *engine = connecting->engine;
    const char *proxy_host = NULL;
    if (!connect_wanted_of(engine, action, &connecting->wanted, &proxy_host, &connecting->error))
        return false;
    if (!keep_ca(connecting))
        return fail(&connecting->error, OURS, 0, "memory is short for a connection");
    if (proxy_host == NULL) {
        ask_socket(connecting, action->carrier.local);
        return true;
    }
    connecting->lookup = lookup_begin(engine, proxy_host, 0, on_proxy_found, connecting);
    return connecting->lookup != NULL || fail(&connecting->error, OURS, 0, "memory is short for a connection");
}

void streams_connect(struct engine *engine, const struct peer_action *action) {
    struct connecting *connecting = calloc(1, sizeof *connecting);
    struct event *wrong = connecting == NULL ? NULL : evtimer_new(engine->base, on_wrong, connecting);
    if (wrong == NULL) {
        free(connecting);
        log_error("memory is short: no connection is attempted"); /* the path's own deadline goes on */
        return;
    }
    *connecting =
        (struct connecting){.engine = engine, .attempt = action->attempt, .carrier = action->carrier, .wrong = wrong};
    snprintf(connecting->name, sizeof connecting->name, "%s", action->connection);
    LIST_INSERT_HEAD(&engine->streams.connecting, connecting, next);
    struct timeval at_once = {0};
    if (!begin_connect(connecting, action))
        evtimer_add(connecting->wrong, &at_once);
}

void streams_cancel(struct engine *engine, uint32_t attempt) {
    struct connecting *connecting, *following;
    for (connecting = LIST_FIRST(&engine->streams.connecting); connecting != NULL; connecting = following) {
        following = LIST_NEXT(connecting, next);
        if (connecting->attempt != attempt || connecting->cancelled)
            continue;
        if (connecting->asked)
            connecting->cancelled = true;
        else
            connect_end(connecting);
    }
}

void streams_close(struct engine *engine, uint32_t stream) {
    if (!stream_remove(&engine->streams, stream))
        return;
    struct worker_command command = {.kind = WORKER_STREAM_CLOSE, .carrier = {.stream = stream}, .fd = -1};
    outbox_post(engine, &command);
}

void streams_set_kernel(struct engine *engine, uint32_t stream) {
    struct stream_entry *entry = stream_find(&engine->streams, stream);
    if (entry != NULL)
        entry->kernel = true;
}

bool streams_is_kernel(struct engine *engine, uint32_t stream) {
    const struct stream_entry *entry = stream_find(&engine->streams, stream);
    return entry != NULL && entry->kernel;
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
