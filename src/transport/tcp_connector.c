/* tcp_connector.c: opens one TCP connection and says how it went, once. The event loop does the waiting. */
#include "transport/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tcp_connector {
    int fd;
    int failed; /* errno of connect itself */
    const char *what; /* "TCP": whom the sentences are about; static storage */
    struct address remote;
    uint64_t timeout_ms;
    struct event *event;
    tcp_connected *on_done;
    void *context;
};

/* One sentence for a person; false. */
static bool explain(const struct tcp_connector *c, int code, struct error *err) {
    char to[ADDRESS_TEXT_MAX];
    address_port_text(&c->remote, to);
    switch (code) {
    case ECONNREFUSED:
        return fail(err, PEER, 0, "%s %s refused the connection: nothing listens there", c->what, to);
    case ETIMEDOUT:
        return fail(err, PEER, 0, "%s %s did not answer", c->what, to);
    case ENETUNREACH:
        return fail(err, HOST, 0, "%s %s can't be reached: there is no route to that network", c->what, to);
    case EHOSTUNREACH:
        return fail(err, HOST, 0, "%s %s can't be reached: a router says that the host is not there", c->what, to);
    case ECONNRESET:
        return fail(err, PEER, 0, "%s %s reset the connection", c->what, to);
    default:
        return fail(err, HOST, 0, "%s %s: %s", c->what, to, strerror(code));
    }
}

static bool finished(const struct tcp_connector *c, short what, struct address *local, struct error *err) {
    char to[ADDRESS_TEXT_MAX];
    if (c->failed != 0)
        return explain(c, c->failed, err);
    if ((what & EV_WRITE) == 0)
        return fail(err, PEER, 0, "%s %s did not answer within %" PRIu64 ".%" PRIu64 " s", c->what,
            address_port_text(&c->remote, to), c->timeout_ms / SECOND, c->timeout_ms % SECOND / 100);
    int code = 0;
    socklen_t length = sizeof code;
    struct address remote;
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
        code = errno;
    if (code != 0)
        return explain(c, code, err);
    return socket_addresses(c->fd, local, &remote) || explain(c, errno, err);
}

static void on_event(evutil_socket_t fd, short what, void *context) {
    struct tcp_connector *c = context;
    struct address local = {0};
    const struct address remote = c->remote;
    struct error err = {0};
    bool good = finished(c, what, &local, &err);
    if (!good)
        close(fd);
    c->fd = -1; /* the taker's, or closed */
    c->on_done(c->context, good ? fd : -1, &local, &remote, &err); /* may free the connector */
}

struct tcp_connector *tcp_connector_new(struct event_base *base, int fd, const struct address *remote,
    uint64_t timeout_ms, tcp_connected *on_done, void *context, struct error *err) {
    return tcp_connector_named("TCP", base, fd, remote, 0, timeout_ms, on_done, context, err);
}

struct tcp_connector *tcp_connector_named(const char *what, struct event_base *base, int fd,
    const struct address *remote, uint32_t flow_label, uint64_t timeout_ms, tcp_connected *on_done, void *context,
    struct error *err) {
    struct tcp_connector *c = calloc(1, sizeof *c);
    struct sockaddr_storage to;
    unsigned length = address_to_sockaddr(remote, &to);
    if (c != NULL)
        c->event = event_new(base, fd, EV_WRITE, on_event, c);
    if (c == NULL || c->event == NULL || !tcp_prepare(fd, err)) {
        if (c == NULL || c->event == NULL)
            fail(err, OURS, 0, "memory is short for a connection");
        close(fd);
        if (c != NULL && c->event != NULL)
            event_free(c->event);
        free(c);
        return NULL;
    }
    c->fd = fd;
    c->what = what;
    c->remote = *remote;
    c->timeout_ms = timeout_ms;
    c->on_done = on_done;
    c->context = context;
    flow_label_want(fd, flow_label, &to);
    if (connect(fd, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS && errno != EINTR)
        c->failed = errno; /* said from the event loop, as everything */
    struct timeval timeout = {
        .tv_sec = (time_t)(timeout_ms / SECOND), .tv_usec = (suseconds_t)(timeout_ms % SECOND * 1000)};
    bool added = event_add(c->event, &timeout) == 0;
    if (c->failed != 0 && added)
        event_active(c->event, EV_TIMEOUT, 0);
    if (!added) {
        fail(err, HOST, 0, "a connection can't be put into the event loop");
        tcp_connector_free(c);
        return NULL;
    }
    return c;
}

void tcp_connector_free(struct tcp_connector *c) {
    if (c == NULL)
        return;
    event_free(c->event);
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}
