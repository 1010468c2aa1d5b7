/* monitor_requests.c: the fixed table of what the engine may ask, and when. Whatever is not in it, comes malformed, at the
 * wrong time or with descriptors ends the engine; too much at once is refused. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/monitor_channel.h"
#include "daemon/monitor_internal.h"

#define REQUESTS_PER_SECOND UINT64_C(10000) /* two for each client that comes */
#define REQUESTS_BURST UINT64_C(10000)
#define ANSWER_WAIT_MS 1000 /* an engine that does not read its answers for so long is broken */

#define ANY_TIME (PHASE_STARTING | PHASE_SERVING | PHASE_STOPPING)

static const struct permit {
    enum monitor_request_kind kind;
    unsigned phases;
    bool rationed; /* counts against REQUESTS_PER_SECOND */
    void (*serve)(struct monitor *, const struct monitor_request *, struct monitor_answer *);
} permits[] = {
    {REQUEST_AUTH, PHASE_SERVING | PHASE_STOPPING, true, monitor_serve_auth},
    {REQUEST_SOCKET, ANY_TIME, true, monitor_serve_socket},
    {REQUEST_TUN, ANY_TIME, true, monitor_serve_tun},
    {REQUEST_TUN_CLOSE, ANY_TIME, false, monitor_serve_tun_close},
    {REQUEST_ROUTES_SET, PHASE_SERVING | PHASE_STOPPING, true, monitor_serve_routes_set},
    {REQUEST_ROUTES_DROP, ANY_TIME, false, monitor_serve_routes_drop},
    {REQUEST_SOURCE, ANY_TIME, true, monitor_serve_source},
    {REQUEST_ADDRESSES, ANY_TIME, true, monitor_serve_addresses},
    {REQUEST_LOCALS, ANY_TIME, true, monitor_serve_locals},
    {REQUEST_RELOAD, PHASE_SERVING | PHASE_STOPPING, true, monitor_serve_reload},
    {REQUEST_READY, PHASE_STARTING | PHASE_STOPPING, true, monitor_serve_ready},
    {REQUEST_KEYLOG, ANY_TIME, true, monitor_serve_keylog},
    {REQUEST_ESP_PROBE, ANY_TIME, true, monitor_serve_esp_probe},
    {REQUEST_ESP_SET, PHASE_SERVING | PHASE_STOPPING, true, monitor_serve_esp_set},
    {REQUEST_ESP_READ, PHASE_SERVING | PHASE_STOPPING, false, monitor_serve_esp_read},
    {REQUEST_STOPPING, ANY_TIME, true, monitor_serve_stopping},
};

static const struct permit *permit_of(enum monitor_request_kind kind) {
    for (size_t i = 0; i < sizeof permits / sizeof permits[0]; i++)
        if (permits[i].kind == kind)
            return &permits[i];
    return NULL;
}

static bool take_token(struct monitor_bucket *bucket, uint64_t now) {
    uint64_t passed = now - bucket->at_ms;
    if (bucket->at_ms == 0 || passed > 60 * SECOND)
        bucket->tokens = REQUESTS_BURST;
    else
        bucket->tokens += passed * REQUESTS_PER_SECOND / SECOND;
    if (bucket->tokens > REQUESTS_BURST)
        bucket->tokens = REQUESTS_BURST;
    bucket->at_ms = now;
    if (bucket->tokens == 0)
        return false;
    bucket->tokens--;
    return true;
}

bool monitor_serve_record(struct monitor *m, size_t length, struct monitor_answer *a, enum monitor_request_kind *kind,
    uint32_t *serial, bool *has_answer, struct error *err) {
    struct monitor_request q;
    *a = (struct monitor_answer){.fd = -1};
    if (!monitor_request_read(span_of(m->record, length), &q, err))
        return false;
    const struct permit *permit = permit_of(q.kind);
    if (permit == NULL || (permit->phases & m->phase) == 0)
        return fail(err, OURS, 0, "%s is not allowed now", monitor_request_name(q.kind));
    *kind = q.kind;
    *serial = q.serial;
    *has_answer = monitor_request_has_answer(q.kind);
    if (permit->rationed && !take_token(&m->bucket, monitor_now()))
        fail(&a->error, OURS, 0, "more than %u requests a second to the monitor", (unsigned)REQUESTS_PER_SECOND);
    else
        permit->serve(m, &q, a);
    if (q.kind == REQUEST_ESP_SET) {
        wipe(&q.esp, sizeof q.esp);
        wipe(m->record, length);
    }
    return true;
}

void monitor_answer_drop(struct monitor_answer *a) {
    if (a->fd >= 0)
        close(a->fd);
    free((char *)(uintptr_t)a->text);
    wipe(a, sizeof *a);
    a->fd = -1;
}

static bool send_answer(struct monitor *m, enum monitor_request_kind kind, uint32_t serial,
    const struct monitor_answer *a, struct error *err) {
    struct writer w = writer_over(m->record, sizeof m->record);
    struct pollfd wait = {.fd = m->engine_fd, .events = POLLOUT};
    monitor_answer_write(&w, kind, serial, a);
    if (!writer_ok(&w))
        return fail(err, OURS, 0, "an answer to %s is too long", monitor_request_name(kind));
    int passed = a->error.origin == ORIGIN_NONE ? a->fd : -1;
    enum channel_result result = channel_send(m->engine_fd, span_of(w.start, w.length), passed);
    if (result == CHANNEL_LATER && poll(&wait, 1, ANSWER_WAIT_MS) == 1)
        result = channel_send(m->engine_fd, span_of(w.start, w.length), passed);
    wipe(m->record, w.length);
    if (result == CHANNEL_LATER)
        return fail(err, OURS, 0, "the engine does not read its answers");
    return result == CHANNEL_DONE || fail(err, HOST, 0, "the engine closed its socket");
}

bool monitor_serve(struct monitor *m, struct error *err) {
    enum monitor_request_kind kind = 0;
    struct monitor_answer a;
    uint32_t serial = 0;
    size_t length = 0;
    bool has_answer = false;
    switch (channel_receive(m->engine_fd, m->record, sizeof m->record, &length, NULL)) {
    case CHANNEL_LATER:
        return true;
    case CHANNEL_GONE:
        return fail(err, HOST, 0, "the engine closed its socket");
    case CHANNEL_DONE:
        break;
    }
    if (!monitor_serve_record(m, length, &a, &kind, &serial, &has_answer, err))
        return false;
    bool sent = !has_answer || send_answer(m, kind, serial, &a, err);
    monitor_answer_drop(&a);
    return sent;
}
