/* pending.c: what a stream goes through until its first message says whose it is: strangers' octets are told apart, a TLS
 * handshake is made, and all of it within one deadline (L12). */
#include "transport/listener_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TLS_HANDSHAKE 0x16 /* the first two octets of a ClientHello's record */
#define TLS_MAJOR 0x03

static void detach(struct pending *p) {
    TAILQ_REMOVE(&p->listener->pending, p, next);
    p->listener->pendings--;
    if (p->event != NULL)
        event_free(p->event);
    p->event = NULL;
}

void pending_close(struct pending *p) {
    detach(p);
    if (p->tls != NULL)
        tls_close(p->tls);
    tls_free(p->tls);
    close(p->fd);
    free(p);
}

static void hand_over(struct pending *p, uint8_t worker) {
    struct tcp_listener *listener = p->listener;
    struct accepted_stream accepted = {.fd = p->fd,
        .transport = p->tls != NULL ? TRANSPORT_TLS : TRANSPORT_TCP,
        .tls = p->tls,
        .local = p->local,
        .remote = p->remote,
        .octets = p->octets,
        .length = p->length,
        .worker = worker};
    detach(p);
    listener->on_stream(listener->context, &accepted); /* may free the listener */
    free(p);
}

/* A web server's, if there is one; else it is closed without a word. */
static void hand_on(struct pending *p) {
    struct tcp_listener *listener = p->listener;
    if (listener->services.web.port == 0) {
        pending_close(p);
        return;
    }
    detach(p);
    guests_add(listener->guests, p->fd, p->tls, span_of(p->octets, p->length), &p->remote, &listener->services.web);
    free(p);
}

static void on_event(evutil_socket_t fd, short what, void *context);

/* For what is left of the time, never all of it again: single octets must not buy any. */
static void wait_for(struct pending *p, short what) {
    uint64_t now = monotonic_ms();
    uint64_t left = p->deadline > now ? p->deadline - now : 0;
    struct timeval timeout = {.tv_sec = (time_t)(left / SECOND), .tv_usec = (suseconds_t)(left % SECOND * 1000)};
    if (event_assign(p->event, p->listener->base, p->fd, what, on_event, p) != 0 || event_add(p->event, &timeout) != 0)
        pending_close(p);
}

/* Reads what is there; false: it is closed, or waits. */
static bool read_more(struct pending *p) {
    size_t got = 0, room = sizeof p->octets - p->length;
    bool again = false;
    if (p->tls != NULL) {
        struct error ignored;
        enum tls_result result = tls_read(p->tls, p->octets + p->length, room, &got, &ignored);
        again = result == TLS_WANTS_READ;
    } else {
        ssize_t n = recv(p->fd, p->octets + p->length, room, MSG_DONTWAIT);
        again = n < 0 && (errno == EAGAIN || errno == EINTR);
        got = n > 0 ? (size_t)n : 0;
    }
    p->length += got;
    if (got > 0)
        return true;
    if (again)
        wait_for(p, EV_READ);
    else
        pending_close(p);
    return false;
}

/* False: it is closed, or waits. */
static bool shake_hands(struct pending *p) {
    struct error ignored;
    switch (tls_handshake(p->tls, &ignored)) {
    case TLS_DONE:
        p->shaken = true;
        return true;
    case TLS_WANTS_READ:
        wait_for(p, EV_READ);
        return false;
    case TLS_WANTS_WRITE:
        wait_for(p, EV_WRITE);
        return false;
    case TLS_CLOSED:
    case TLS_FAILED:
        break;
    }
    pending_close(p);
    return false;
}

/* What was read is the beginning of TLS's octets. */
static bool begin_tls(struct pending *p) {
    struct error ignored;
    p->tls = tls_accept(p->listener->services.tls, p->fd, span_of(p->octets, p->length), &ignored);
    p->length = 0;
    if (p->tls != NULL)
        return true;
    pending_close(p);
    return false;
}

enum opening { OPENING_STREAM, OPENING_TLS, OPENING_UNCLEAR, OPENING_OTHER };

static enum opening opening_of(const struct pending *p) {
    const struct listener_services *services = &p->listener->services;
    if (p->tls != NULL)
        return OPENING_STREAM;
    if (services->tls != NULL && p->octets[0] == TLS_HANDSHAKE) {
        if (p->length < 2)
            return OPENING_UNCLEAR;
        return p->octets[1] == TLS_MAJOR ? OPENING_TLS : OPENING_OTHER;
    }
    return services->plain ? OPENING_STREAM : OPENING_OTHER;
}

static void judge_stream(struct pending *p) {
    uint8_t worker = 0;
    switch (first_message(p->octets, p->length, &worker)) {
    case FIRST_NAMED:
        hand_over(p, worker);
        break;
    case FIRST_OTHER:
        hand_on(p);
        break;
    case FIRST_MORE:
        if (p->length < sizeof p->octets) {
            wait_for(p, EV_READ);
            break;
        }
        pending_close(p); /* so much, and nothing said */
        break;
    case FIRST_BAD:
        pending_close(p);
        break;
    }
}

static void on_event(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    struct pending *p = context;
    if ((what & (EV_READ | EV_WRITE)) == 0) { /* the time is over: close without a word */
        pending_close(p);
        return;
    }
    for (;;) { /* a second time when what was read is TLS */
        if (p->tls != NULL && !p->shaken && !shake_hands(p))
            return;
        if (!read_more(p))
            return;
        switch (opening_of(p)) {
        case OPENING_STREAM:
            judge_stream(p);
            return;
        case OPENING_OTHER:
            hand_on(p);
            return;
        case OPENING_UNCLEAR:
            wait_for(p, EV_READ);
            return;
        case OPENING_TLS:
            if (!begin_tls(p))
                return;
        }
    }
}

bool same_source(const struct address *a, const struct address *b) {
    return a->family == b->family && memcmp(a->octets, b->octets, a->family == 4 ? 4 : 8) == 0;
}

static bool source_is_full(const struct tcp_listener *listener, const struct address *remote) {
    size_t same = 0;
    struct pending *p;
    TAILQ_FOREACH(p, &listener->pending, next) {
        same += same_source(&p->remote, remote);
    }
    return same >= listener->limits.streams_per_source;
}

void pending_add(struct tcp_listener *listener, int fd, const struct address *local, const struct address *remote) {
    struct pending *p = source_is_full(listener, remote) ? NULL : calloc(1, sizeof *p);
    struct event *event = p != NULL ? event_new(listener->base, fd, EV_READ, on_event, p) : NULL;
    if (event == NULL) {
        free(p);
        close(fd);
        return;
    }
    /* A flood pushes out the oldest, so that who comes and speaks at once gets through. */
    if (listener->pendings >= listener->limits.streams_max && !TAILQ_EMPTY(&listener->pending))
        pending_close(TAILQ_FIRST(&listener->pending));
    p->listener = listener;
    p->event = event;
    p->fd = fd;
    p->local = *local;
    p->remote = *remote;
    p->deadline = monotonic_ms() + listener->limits.first_message_ms;
    TAILQ_INSERT_TAIL(&listener->pending, p, next);
    listener->pendings++;
    wait_for(p, EV_READ);
}
