/* stream_connector.c: opens a stream, one step behind the other: TCP, a proxy's consent, a TLS handshake. Each step has its
 * time, and what goes wrong in it its sentence; on_done is called once. */
#include "transport/proxy.h"
#include "transport/tls_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_AT_ONCE 1024 /* octets of a proxy's answer */
#define WHOM_MAX 400

struct stream_connector {
    struct event_base *base;
    struct connect_wanted wanted;
    char *ca; /* ours: wanted.tls_wanted.ca */
    struct tcp_connector *tcp; /* NULL: connected */
    struct event *event;
    int fd; /* -1: not connected yet, or the taker's */
    struct address local, remote;
    uint64_t deadline; /* of the present step, by monotonic_ms */
    struct proxy_talk talk;
    struct tls *tls; /* NULL: not begun yet */
    uint8_t rest[READ_AT_ONCE]; /* what came behind the proxy's consent */
    size_t rest_length;
    void (*on_done)(void *context, const struct connected_stream *, const struct error *);
    void *context;
};

static const char *first_word(const struct connect_wanted *wanted) {
    switch (wanted->proxy.kind) {
    case PROXY_HTTP:
        return "HTTP proxy";
    case PROXY_SOCKS5:
        return "SOCKS proxy";
    case PROXY_NONE:
        break;
    }
    return wanted->tls != NULL ? "TLS" : "TCP";
}

/* Whom the present step is about: "HTTP proxy 192.0.2.1:3128", "TLS 198.51.100.1:443", or one behind the other. */
static const char *whom(const struct stream_connector *c, char out[WHOM_MAX]) {
    char text[ADDRESS_TEXT_MAX];
    address_port_text(&c->wanted.remote, text);
    if (c->tls != NULL && c->wanted.proxy.kind != PROXY_NONE)
        snprintf(out, WHOM_MAX, "TLS %.100s port %u behind %s %s", c->wanted.proxy.host, c->wanted.proxy.port,
            first_word(&c->wanted), text);
    else
        snprintf(out, WHOM_MAX, "%s %s", first_word(&c->wanted), text);
    return out;
}

static void failed(struct stream_connector *c, struct error *err) {
    struct connected_stream none = {.fd = -1, .local = c->local, .remote = c->remote};
    c->on_done(c->context, &none, err); /* may free the connector */
}

/* `err` is the rest of a sentence. */
static void failed_there(struct stream_connector *c, struct error *err) {
    char text[WHOM_MAX];
    (void)fail_context(err, "%.200s ", whom(c, text));
    failed(c, err);
}

static void opened(struct stream_connector *c) {
    struct connected_stream stream = {.fd = c->fd,
        .tls = c->tls,
        .local = c->local,
        .remote = c->remote,
        .octets = c->rest,
        .length = c->rest_length};
    c->fd = -1; /* the taker's */
    c->tls = NULL;
    if (stream.tls != NULL)
        stream.length = 0; /* TLS has them */
    c->on_done(c->context, &stream, &(struct error){0}); /* may free the connector */
}

static void on_event(evutil_socket_t fd, short what, void *context);

static void wait_for(struct stream_connector *c, short what) {
    uint64_t now = monotonic_ms();
    uint64_t left = c->deadline > now ? c->deadline - now : 0;
    struct timeval timeout = {.tv_sec = (time_t)(left / SECOND), .tv_usec = (suseconds_t)(left % SECOND * 1000)};
    struct error err;
    if (event_assign(c->event, c->base, c->fd, what, on_event, c) == 0 && event_add(c->event, &timeout) == 0)
        return;
    fail(&err, HOST, 0, "a connection can't be put into the event loop");
    failed(c, &err);
}

static void begin_step(struct stream_connector *c) {
    c->deadline = monotonic_ms() + c->wanted.step_timeout_ms;
}

/* ---- TLS ---- */

static void shake_hands(struct stream_connector *c) {
    struct error err = {0};
    switch (tls_handshake(c->tls, &err)) {
    case TLS_DONE:
        opened(c);
        break;
    case TLS_WANTS_READ:
        wait_for(c, EV_READ);
        break;
    case TLS_WANTS_WRITE:
        wait_for(c, EV_WRITE);
        break;
    case TLS_CLOSED:
    case TLS_FAILED:
        failed_there(c, &err);
        break;
    }
}

static void begin_tls(struct stream_connector *c) {
    struct error err;
    if (c->wanted.tls == NULL) {
        opened(c);
        return;
    }
    c->tls = tls_connect(
        c->wanted.tls, c->fd, &c->wanted.tls_wanted, &c->wanted.remote, span_of(c->rest, c->rest_length), &err);
    if (c->tls == NULL) {
        failed(c, &err);
        return;
    }
    begin_step(c);
    shake_hands(c);
}

/* ---- a proxy ---- */

/* True: all is said. */
static bool say(struct stream_connector *c) {
    struct error err;
    struct proxy_talk *talk = &c->talk;
    if (talk->said == 0)
        return true;
    ssize_t sent = send(c->fd, talk->say, talk->said, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        fail(&err, PEER, 0, "broke the connection: %s", strerror(errno));
        failed_there(c, &err);
        return false;
    }
    size_t taken = sent > 0 ? (size_t)sent : 0;
    memmove(talk->say, talk->say + taken, talk->said - taken);
    talk->said -= taken;
    if (talk->said == 0)
        return true;
    wait_for(c, EV_WRITE); /* may free the connector */
    return false;
}

/* True: there is an answer, of *length octets in c->rest. */
static bool hear(struct stream_connector *c, size_t *length) {
    struct error err;
    ssize_t got = recv(c->fd, c->rest, sizeof c->rest, MSG_DONTWAIT);
    *length = got > 0 ? (size_t)got : 0;
    if (got > 0)
        return true;
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        wait_for(c, EV_READ);
        return false;
    }
    if (got == 0)
        fail(&err, PEER, 0, "closed the connection before it let us through");
    else
        fail(&err, PEER, 0, "broke the connection: %s", strerror(errno));
    failed_there(c, &err);
    return false;
}

static void talk_to_proxy(struct stream_connector *c) {
    size_t length, used;
    struct error err;
    while (say(c) && hear(c, &length)) {
        switch (proxy_take(&c->talk, c->rest, length, &used, &err)) {
        case PROXY_MORE:
            break;
        case PROXY_REFUSED:
            failed_there(c, &err);
            return;
        case PROXY_OPEN:
            memmove(c->rest, c->rest + used, length - used);
            c->rest_length = length - used;
            begin_tls(c);
            return;
        }
    }
}

static void begin_proxy(struct stream_connector *c) {
    struct error err;
    if (c->wanted.proxy.kind == PROXY_NONE) {
        begin_tls(c);
    } else if (!proxy_begin(&c->talk, &c->wanted.proxy, &err)) {
        failed(c, &err);
    } else {
        begin_step(c);
        talk_to_proxy(c);
    }
}

/* ---- events ---- */

static void took_too_long(struct stream_connector *c) {
    struct error err;
    uint64_t ms = c->wanted.step_timeout_ms;
    const char *what = c->tls != NULL ? "did not finish the TLS handshake" : "did not answer";
    fail(
        &err, PEER, 0, "took the connection but %s in %" PRIu64 ".%" PRIu64 " s", what, ms / SECOND, ms % SECOND / 100);
    failed_there(c, &err);
}

static void on_event(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    struct stream_connector *c = context;
    if ((what & (EV_READ | EV_WRITE)) == 0)
        took_too_long(c);
    else if (c->tls != NULL)
        shake_hands(c);
    else
        talk_to_proxy(c);
}

static void on_tcp(
    void *context, int fd, const struct address *local, const struct address *remote, const struct error *error) {
    struct stream_connector *c = context;
    struct error err = *error; /* it may be gone with the connector */
    c->fd = fd;
    c->local = *local;
    c->remote = *remote;
    tcp_connector_free(c->tcp);
    c->tcp = NULL;
    if (fd < 0)
        failed(c, &err);
    else
        begin_proxy(c);
}

static bool copy_wanted(struct stream_connector *c, const struct connect_wanted *wanted) {
    c->wanted = *wanted;
    if (wanted->tls_wanted.ca == NULL)
        return true;
    c->ca = strdup(wanted->tls_wanted.ca);
    c->wanted.tls_wanted.ca = c->ca;
    return c->ca != NULL;
}

struct stream_connector *stream_connector_new(struct event_base *base, int fd, const struct connect_wanted *wanted,
    void (*on_done)(void *context, const struct connected_stream *, const struct error *), void *context,
    struct error *err) {
    struct stream_connector *c = calloc(1, sizeof *c);
    struct event *event = c != NULL ? event_new(base, -1, 0, on_event, c) : NULL;
    if (event == NULL || !copy_wanted(c, wanted)) {
        fail(err, OURS, 0, "memory is short for a connection");
        if (event != NULL)
            event_free(event);
        free(c);
        close(fd);
        return NULL;
    }
    c->base = base;
    c->event = event;
    c->fd = -1;
    c->on_done = on_done;
    c->context = context;
    c->tcp = tcp_connector_named(first_word(wanted), base, fd, &wanted->remote, wanted->flow_label, wanted->timeout_ms,
        on_tcp, c, err); /* takes fd over */
    if (c->tcp != NULL)
        return c;
    stream_connector_free(c);
    return NULL;
}

void stream_connector_free(struct stream_connector *c) {
    if (c == NULL)
        return;
    event_free(c->event);
    tcp_connector_free(c->tcp);
    if (c->tls != NULL)
        tls_close(c->tls);
    tls_free(c->tls);
    if (c->fd >= 0)
        close(c->fd);
    free(c->ca);
    wipe(c, sizeof *c); /* a proxy's password */
    free(c);
}
