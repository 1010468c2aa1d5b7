/* monitor_client.c: the engine's side of the talk with the monitor. Requests wait in one list, in order: not sent yet,
 * or waiting for their answer. Whatever goes wrong is told from the event loop, never from inside a call. */
#include "daemon/monitor.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor_channel.h"
#include "daemon/monitor_wire.h"

#define PENDING_MAX 4096 /* a lost network has the kernel give back all its Child SAs at once */
#define SOURCE_MAX ((size_t)16 << 20) /* octets of a packed configuration */

struct pending {
    struct pending *next;
    enum monitor_request_kind kind;
    uint32_t serial;
    monitor_done done;
    void *context;
    uint8_t *record; /* NULL once sent */
    size_t length;
    bool failed; /* in place of an answer: */
    struct error error;
};

struct monitor_client {
    struct event_base *base;
    int fd;
    struct event *readable, *writable, *later;
    void (*on_notice)(void *context, enum monitor_notice);
    void *notice_context;
    struct pending *first, **last;
    size_t count;
    uint32_t serial;
    bool gone;
    uint8_t buffer[MONITOR_RECORD_MAX];
    char text[MONITOR_RECORD_MAX];
};

/* ---------------------------------------------------------------- the list ---- */

static void pending_free(struct pending *p) {
    if (p->record != NULL)
        wipe(p->record, p->length);
    free(p->record);
    free(p);
}

static struct pending *take_first(struct monitor_client *c) {
    struct pending *p = c->first;
    c->first = p->next;
    if (c->first == NULL)
        c->last = &c->first;
    c->count--;
    return p;
}

/* Says an answer and forgets the request; the last thing that a caller does, since the client may be freed in there. */
static void answer(struct pending *p, const struct monitor_answer *a) {
    monitor_done done = p->done;
    void *context = p->context;
    pending_free(p);
    if (done != NULL)
        done(context, a);
    else if (a->fd >= 0)
        close(a->fd);
}

static void be_gone(struct monitor_client *c) {
    if (c->gone)
        return;
    c->gone = true;
    event_del(c->readable);
    event_del(c->writable);
    event_active(c->later, EV_TIMEOUT, 0);
}

/* ---------------------------------------------------------------- events ---- */

static void send_what_waits(struct monitor_client *c) {
    for (struct pending **at = &c->first; *at != NULL && !c->gone;) {
        struct pending *p = *at;
        if (p->record == NULL) {
            at = &p->next;
            continue;
        }
        enum channel_result result = channel_send(c->fd, span_of(p->record, p->length), -1);
        if (result == CHANNEL_GONE) {
            be_gone(c);
            return;
        }
        if (result == CHANNEL_LATER) {
            event_add(c->writable, NULL);
            return;
        }
        wipe(p->record, p->length);
        free(p->record);
        p->record = NULL;
        if (monitor_request_has_answer(p->kind)) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        if (*at == NULL)
            c->last = at;
        c->count--;
        pending_free(p);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    send_what_waits(context);
}

/* Requests that failed here, one a turn; and the notice that the monitor is gone. */
static void on_later(evutil_socket_t fd, short what, void *context) {
    struct monitor_client *c = context;
    (void)fd;
    (void)what;
    if (c->gone) {
        if (c->on_notice != NULL)
            c->on_notice(c->notice_context, NOTICE_GONE);
        else
            event_base_loopbreak(c->base);
        return;
    }
    if (c->first == NULL || !c->first->failed)
        return; /* those before it are answered first */
    struct pending *p = take_first(c);
    if (c->first != NULL && c->first->failed)
        event_active(c->later, EV_TIMEOUT, 0);
    struct monitor_answer a = {.fd = -1, .error = p->error};
    answer(p, &a);
}

/* The texts of a RELOAD come in a memory file, since they may be longer than a record. */
static uint8_t *read_source(struct monitor_answer *a) {
    uint8_t *octets = a->length > 0 && a->length <= SOURCE_MAX ? malloc(a->length) : NULL;
    size_t have = 0;
    while (octets != NULL && have < a->length) {
        ssize_t got = pread(a->fd, octets + have, a->length - have, (off_t)have);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    close(a->fd);
    a->fd = -1;
    if (octets == NULL || have < a->length) {
        fail(&a->error, HOST, 0, "the configuration could not be taken over from the monitor");
        free(octets);
        return NULL;
    }
    a->octets = octets;
    return octets;
}

static bool brings_descriptor(enum monitor_request_kind kind) {
    return kind == REQUEST_SOCKET || kind == REQUEST_TUN || kind == REQUEST_READY || kind == REQUEST_KEYLOG ||
           kind == REQUEST_RELOAD;
}

static void take_answer(struct monitor_client *c, size_t length, int passed) {
    enum monitor_request_kind kind;
    uint32_t serial;
    struct monitor_answer a;
    struct pending *p = c->first;
    if (!monitor_answer_read(span_of(c->buffer, length), &kind, &serial, &a, c->text) || p == NULL || p->failed ||
        p->record != NULL || p->kind != kind || p->serial != serial) {
        if (passed >= 0)
            close(passed);
        be_gone(c);
        return;
    }
    wipe(c->buffer, length);
    a.fd = passed;
    if (passed < 0 && a.error.origin == ORIGIN_NONE && brings_descriptor(kind))
        fail(&a.error, HOST, 0, "the engine has no descriptor left for what it asked the monitor for");
    take_first(c);
    if (c->first != NULL && c->first->failed)
        event_active(c->later, EV_TIMEOUT, 0);
    if (kind == REQUEST_READY && a.error.origin == ORIGIN_NONE)
        log_detach();
    uint8_t *source = kind == REQUEST_RELOAD && passed >= 0 ? read_source(&a) : NULL;
    answer(p, &a);
    free(source);
    wipe(&a, sizeof a);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    struct monitor_client *c = context;
    enum monitor_notice notice;
    size_t length = 0;
    int passed = -1;
    (void)what;
    switch (channel_receive((int)fd, c->buffer, sizeof c->buffer, &length, &passed)) {
    case CHANNEL_LATER:
        return;
    case CHANNEL_GONE:
        be_gone(c);
        return;
    case CHANNEL_DONE:
        break;
    }
    if (!monitor_notice_read(span_of(c->buffer, length), &notice)) {
        take_answer(c, length, passed);
        return;
    }
    if (passed >= 0)
        close(passed);
    if (c->on_notice != NULL)
        c->on_notice(c->notice_context, notice);
}

/* ---------------------------------------------------------------- life ---- */

struct monitor_client *monitor_client_new(struct event_base *base, int fd, struct error *err) {
    struct monitor_client *c = calloc(1, sizeof *c);
    if (c == NULL) {
        fail(err, OURS, 0, "no memory for the talk with the monitor");
        return NULL;
    }
    c->base = base;
    c->fd = fd;
    c->last = &c->first;
    c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
    c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
    c->later = event_new(base, -1, 0, on_later, c);
    if (c->readable == NULL || c->writable == NULL || c->later == NULL || event_add(c->readable, NULL) != 0) {
        fail(err, OURS, 0, "no events for the talk with the monitor");
        monitor_client_free(c);
        return NULL;
    }
    return c;
}

void monitor_client_free(struct monitor_client *c) {
    if (c == NULL)
        return;
    while (c->first != NULL)
        pending_free(take_first(c));
    if (c->readable != NULL)
        event_free(c->readable);
    if (c->writable != NULL)
        event_free(c->writable);
    if (c->later != NULL)
        event_free(c->later);
    free(c);
}

void monitor_client_on_notice(
    struct monitor_client *c, void (*on_notice)(void *context, enum monitor_notice), void *context) {
    c->on_notice = on_notice;
    c->notice_context = context;
}

/* ---------------------------------------------------------------- requests ---- */

static bool make_record(struct monitor_client *c, struct pending *p, const struct monitor_request *q) {
    if (c->count >= PENDING_MAX)
        return fail(&p->error, OURS, 0, "the monitor has not answered %d requests yet", PENDING_MAX);
    struct writer w = writer_over(c->buffer, sizeof c->buffer);
    monitor_request_write(&w, q);
    if (!writer_ok(&w))
        return fail(&p->error, OURS, 0, "a %s request does not fit into %zu octets", monitor_request_name(q->kind),
            MONITOR_RECORD_MAX);
    p->record = malloc(w.length);
    if (p->record == NULL)
        return fail(&p->error, OURS, 0, "no memory for a request to the monitor");
    memcpy(p->record, w.start, w.length);
    p->length = w.length;
    return true;
}

static void ask(struct monitor_client *c, struct monitor_request *q, monitor_done done, void *context) {
    struct pending *p = calloc(1, sizeof *p);
    if (p == NULL) {
        be_gone(c); /* nothing is left to answer with */
        return;
    }
    q->serial = ++c->serial;
    p->kind = q->kind;
    p->serial = q->serial;
    p->done = done;
    p->context = context;
    p->failed = !make_record(c, p, q);
    *c->last = p;
    c->last = &p->next;
    c->count++;
    if (p->failed)
        event_active(c->later, EV_TIMEOUT, 0);
    else
        send_what_waits(c);
}

void monitor_auth(struct monitor_client *c, const struct peer_auth_wanted *wanted, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_AUTH};
    size_t length = strnlen(wanted->connection, sizeof q.auth.connection - 1);
    memcpy(q.auth.connection, wanted->connection, length);
    q.auth.prf = wanted->prf;
    q.auth.local_id = wanted->local_id;
    q.auth.remote_id = wanted->remote_id;
    q.auth.local_octets = wanted->local_octets;
    q.auth.remote_octets = wanted->remote_octets;
    ask(c, &q, done, context);
}

void monitor_socket(struct monitor_client *c, enum host_socket_kind kind, const struct address *local,
    monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_SOCKET, .socket = kind, .address = *local};
    ask(c, &q, done, context);
}

void monitor_client_socket(
    struct monitor_client *c, const char *connection, const struct address *local, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_SOCKET, .socket = HOST_TCP, .address = *local};
    memcpy(q.connection, connection, strnlen(connection, sizeof q.connection - 1));
    ask(c, &q, done, context);
}

void monitor_tun(struct monitor_client *c, const char *name, uint32_t mtu, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_TUN, .mtu = mtu};
    memcpy(q.name, name, strnlen(name, sizeof q.name - 1));
    ask(c, &q, done, context);
}

void monitor_tun_close(struct monitor_client *c, const char *name) {
    struct monitor_request q = {.kind = REQUEST_TUN_CLOSE};
    memcpy(q.name, name, strnlen(name, sizeof q.name - 1));
    ask(c, &q, NULL, NULL);
}

void monitor_routes_set(struct monitor_client *c, const struct host_route_set *set, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_ROUTES_SET, .routes = *set};
    ask(c, &q, done, context);
}

void monitor_routes_drop(struct monitor_client *c, uint32_t owner) {
    struct monitor_request q = {.kind = REQUEST_ROUTES_DROP, .owner = owner};
    ask(c, &q, NULL, NULL);
}

void monitor_source(struct monitor_client *c, const struct address *remote, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_SOURCE, .address = *remote};
    ask(c, &q, done, context);
}

void monitor_address(struct monitor_client *c, const struct address *address, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_ADDRESSES, .address = *address};
    ask(c, &q, done, context);
}

void monitor_locals(struct monitor_client *c, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_LOCALS};
    ask(c, &q, done, context);
}

void monitor_reload(struct monitor_client *c, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_RELOAD};
    ask(c, &q, done, context);
}

void monitor_ready(struct monitor_client *c, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_READY};
    ask(c, &q, done, context);
}

void monitor_keylog(struct monitor_client *c, enum monitor_keylog which, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_KEYLOG, .keylog = which};
    ask(c, &q, done, context);
}

void monitor_esp_probe(struct monitor_client *c, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_ESP_PROBE};
    ask(c, &q, done, context);
}

void monitor_esp_set(
    struct monitor_client *c, const char *connection, const struct host_esp *esp, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_ESP_SET, .esp.sa = *esp};
    memcpy(q.esp.connection, connection, strnlen(connection, sizeof q.esp.connection - 1));
    ask(c, &q, done, context);
    wipe(&q, sizeof q);
}

void monitor_esp_read(struct monitor_client *c, uint32_t spi_in, bool remove, monitor_done done, void *context) {
    struct monitor_request q = {.kind = REQUEST_ESP_READ, .spi_in = spi_in, .remove = remove};
    ask(c, &q, done, context);
}

void monitor_stopping(struct monitor_client *c) {
    struct monitor_request q = {.kind = REQUEST_STOPPING};
    ask(c, &q, NULL, NULL);
}
