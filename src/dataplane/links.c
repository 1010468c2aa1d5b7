/* links.c: the streams of a worker, by number: how they come, wait for writability, and go. */
#include "dataplane/internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

static struct link_list *bucket_of(struct worker *worker, uint32_t stream) {
    return &worker->bucket[stream % LINK_BUCKETS];
}

struct link *link_find(struct worker *worker, uint32_t stream) {
    struct link *link;
    LIST_FOREACH(link, bucket_of(worker, stream), next) {
        if (link->carrier.stream == stream)
            return link;
    }
    return NULL;
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct link *link = context;
    struct worker *worker = link->worker;
    struct error error = {0};
    enum stream_result result = stream_flush(link->stream, &error);
    if (result == STREAM_OK || result == STREAM_AGAIN) {
        link_after_write(link);
        (void)lend_on(link);
    } else {
        link_lost(link, result, &error);
    }
    outbound_serve(worker);
}

void link_after_write(struct link *link) {
    bool full = stream_wants_write(link->stream);
    if (link->lending == LEND_RESTS) /* writability would say the same until it is decided */
        return;
    if (link->lending ==
        LEND_KERNEL) { /* the socket says that it takes more while the kernel's own half message waits */
        link->full = full;
        if (full)
            lend_retry(link);
        return;
    }
    if (full == link->full)
        return;
    link->full = full;
    if (full) {
        event_add(link->writable, NULL);
        outlet_rest(link->worker, &link->outlet);
        return;
    }
    event_del(link->writable);
    outlet_ready(link->worker, &link->outlet);
}

/* Nobody finds it any more. */
static void unlist(struct link *link) {
    LIST_REMOVE(link, next);
    if (link->held)
        LIST_REMOVE(link, held_next);
    link->held = false;
    if (link->retried)
        LIST_REMOVE(link, retry_next);
    link->retried = false;
    outlet_clear(link->worker, &link->outlet);
}

/* Takes it out of the loop and closes it; the struct stays. */
static void end(struct link *link) {
    if (link->readable != NULL)
        event_free(link->readable);
    if (link->writable != NULL)
        event_free(link->writable);
    link->readable = link->writable = NULL;
    if (link->stream != NULL)
        stream_free(link->stream);
    link->stream = NULL;
}

void link_close(struct link *link) {
    unlist(link);
    end(link);
    free(link);
}

static void end_soon(struct worker *worker) {
    struct timeval after = {.tv_usec = ENDINGS_MS * 1000};
    if (!evtimer_pending(worker->on_ending, NULL))
        evtimer_add(worker->on_ending, &after);
}

void link_lost(struct link *link, enum stream_result result, const struct error *error) {
    struct worker *worker = link->worker;
    unlist(link);
    link->error = *error;
    if (result == STREAM_CLOSED)
        link->error.origin = ORIGIN_NONE;
    else if (link->error.origin == ORIGIN_NONE)
        fail(&link->error, PEER, 0, "the stream is corrupt");
    if (link->readable != NULL)
        event_del(link->readable);
    if (link->writable != NULL)
        event_del(link->writable);
    LIST_INSERT_HEAD(&worker->ending, link, next);
    end_soon(worker);
}

/* Thousands may be lost at once, as when a network goes away: others' packets do not wait for all of them. */
void links_end(struct worker *worker) {
    struct link *link;
    for (int i = 0; i < ENDINGS_AT_ONCE && (link = LIST_FIRST(&worker->ending)) != NULL; i++) {
        LIST_REMOVE(link, next);
        end(link);
        report_gone(worker, link);
    }
    if (!LIST_EMPTY(&worker->ending))
        end_soon(worker);
}

static bool watch(struct link *link, int fd) {
    struct event_base *base = link->worker->base;
    link->readable = event_new(base, fd, EV_READ | EV_PERSIST, inbound_readable, link);
    link->writable = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    return link->readable != NULL && link->writable != NULL && event_add(link->readable, NULL) == 0;
}

void link_add(struct worker *worker, const struct worker_command *command) {
    struct link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        tls_free(command->tls);
        close(command->fd);
        return; /* nothing to report with; the peer's liveness will find out */
    }
    link->worker = worker;
    link->carrier = command->carrier;
    outlet_init(&link->outlet, link, link->carrier.stream);
    LIST_INSERT_HEAD(bucket_of(worker, link->carrier.stream), link, next);
    int fd = command->fd;
    struct stream_options options = {.originator = command->originator,
        .transport = command->carrier.transport,
        .tls = command->tls,
        .octets = span_of(command->octets, command->length),
        .memory = &worker->stream_memory,
        .write_queue_max = WRITE_QUEUE_MAX};
    struct error error = {0};
    link->stream = stream_new(fd, &options, &error);
    if (link->stream == NULL) {
        link_lost(link, STREAM_FAILED, &error);
        return;
    }
    link_pace_begin(link);
    if (!watch(link, fd)) {
        fail(&error, OURS, 0, "memory is short: the stream is closed");
        link_lost(link, STREAM_FAILED, &error);
        return;
    }
    if (command->length > 0 || stream_pending(link->stream)) /* here already: no readability tells of them */
        event_active(link->readable, EV_READ, 0);
}

static void go_on(struct link *link) {
    if (!reports_have_room(link->worker, ESP_BATCH_MAX)) {
        worker_retry_soon(link->worker);
        return;
    }
    link->held = false;
    LIST_REMOVE(link, held_next);
    if (!inbound_link(link) || !lend_on(link) || link->lending == LEND_RESTS)
        return;
    event_add(link->readable, NULL);
    if (stream_pending(link->stream))
        event_active(link->readable, EV_READ, 0);
}

void links_retry(struct worker *worker) {
    struct link *link, *following;
    while ((link = LIST_FIRST(&worker->gone)) != NULL && ring_room(&worker->reports) > REPORT_ROOM) {
        LIST_REMOVE(link, next);
        report_gone(worker, link);
    }
    if (link != NULL)
        worker_retry_soon(worker);
    for (link = LIST_FIRST(&worker->held_links); link != NULL; link = following) {
        following = LIST_NEXT(link, held_next); /* one that is held again goes to the front: not now */
        go_on(link);
    }
    lends_retry(worker);
}

void link_hold(struct link *link) {
    link->held = true;
    LIST_INSERT_HEAD(&link->worker->held_links, link, held_next);
    event_del(link->readable);
    worker_retry_soon(link->worker);
}

void links_free(struct worker *worker) {
    struct link *link, *following;
    for (link = LIST_FIRST(&worker->gone); link != NULL; link = following) {
        following = LIST_NEXT(link, next);
        free(link);
    }
    LIST_INIT(&worker->gone);
    while ((link = LIST_FIRST(&worker->ending)) != NULL)
        link_close(link); /* takes it off the list: NOLINT(clang-analyzer-unix.Malloc) */
    for (size_t i = 0; i < LINK_BUCKETS; i++)
        for (link = LIST_FIRST(&worker->bucket[i]); link != NULL; link = following) {
            following = LIST_NEXT(link, next);
            link_close(link);
        }
    stream_memory_free(&worker->stream_memory);
}
