/* tcp_listener.c: accepts streams (O2) and keeps each one until its first message says whose it is. Strangers come here:
 * every stream has little memory, a deadline, and there are only so many, in all and per source (L12). */
#include "transport/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define PENDING_OCTETS ((size_t)1024) /* prefix, and enough of a first message */
#define ACCEPT_AGAIN_MS 500 /* after the system refused a descriptor */

struct pending {
    TAILQ_ENTRY(pending) next; /* the oldest first */
    struct tcp_listener *listener;
    struct event *event;
    int fd;
    uint64_t deadline; /* of monotonic_ms */
    struct address local, remote;
    size_t length;
    uint8_t octets[PENDING_OCTETS];
};
TAILQ_HEAD(pending_list, pending);

struct tcp_listener {
    struct event_base *base;
    struct evconnlistener *accept;
    struct event *again;
    struct accept_limits limits;
    struct pending_list pending;
    size_t pendings;
    bool paused;
    void (*on_stream)(void *context, const struct accepted_stream *);
    void *context;
};

void accept_limits_defaults(struct accept_limits *limits) {
    *limits = (struct accept_limits){.streams_max = 1024, .streams_per_source = 32, .first_message_ms = 20 * SECOND};
}

/* Takes it off the list; fd stays open. */
static void pending_detach(struct tcp_listener *listener, struct pending *p) {
    TAILQ_REMOVE(&listener->pending, p, next);
    listener->pendings--;
    if (p->event != NULL)
        event_free(p->event);
    p->event = NULL;
}

static void pending_close(struct tcp_listener *listener, struct pending *p) {
    pending_detach(listener, p);
    close(p->fd);
    free(p);
}

static void hand_over(struct pending *p, uint8_t worker) {
    struct tcp_listener *listener = p->listener;
    struct accepted_stream accepted = {.fd = p->fd,
        .transport = TRANSPORT_TCP,
        .local = p->local,
        .remote = p->remote,
        .octets = p->octets,
        .length = p->length,
        .worker = worker};
    pending_detach(listener, p);
    listener->on_stream(listener->context, &accepted); /* may free the listener */
    free(p);
}

/* What is left of the time, never all of it again: single octets must not buy any. */
static bool pending_wait(struct pending *p) {
    uint64_t now = monotonic_ms();
    uint64_t left = p->deadline > now ? p->deadline - now : 0;
    struct timeval timeout = {.tv_sec = (time_t)(left / SECOND), .tv_usec = (suseconds_t)(left % SECOND * 1000)};
    return event_add(p->event, &timeout) == 0;
}

static void on_event(evutil_socket_t fd, short what, void *context) {
    struct pending *p = context;
    if ((what & EV_READ) == 0) { /* the time is over: close without a word */
        pending_close(p->listener, p);
        return;
    }
    ssize_t got = recv(fd, p->octets + p->length, sizeof p->octets - p->length, 0);
    bool again = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (got <= 0 && !again) {
        pending_close(p->listener, p);
        return;
    }
    p->length += again ? 0 : (size_t)got;
    uint8_t worker = 0;
    enum first_verdict verdict = first_message(p->octets, p->length, &worker);
    if (verdict == FIRST_NAMED)
        hand_over(p, worker);
    else if (verdict == FIRST_BAD || p->length == sizeof p->octets || !pending_wait(p))
        pending_close(p->listener, p);
}

/* IPv6 hosts have a /64 each. */
static bool same_source(const struct address *a, const struct address *b) {
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

static void on_accept(
    struct evconnlistener *accept, evutil_socket_t fd, struct sockaddr *from, int length, void *context) {
    (void)accept, (void)from, (void)length;
    struct tcp_listener *listener = context;
    struct error ignored;
    struct pending *p = calloc(1, sizeof *p);
    if (p == NULL || !socket_addresses(fd, &p->local, &p->remote) || source_is_full(listener, &p->remote) ||
        !tcp_prepare(fd, &ignored)) {
        free(p);
        close(fd);
        return;
    }
    /* A flood pushes out the oldest, so that who comes and speaks at once gets through. */
    if (listener->pendings >= listener->limits.streams_max && !TAILQ_EMPTY(&listener->pending))
        pending_close(listener, TAILQ_FIRST(&listener->pending));
    p->listener = listener;
    p->fd = fd;
    p->deadline = monotonic_ms() + listener->limits.first_message_ms;
    TAILQ_INSERT_TAIL(&listener->pending, p, next);
    listener->pendings++;
    p->event = event_new(listener->base, fd, EV_READ, on_event, p);
    if (p->event == NULL || !pending_wait(p))
        pending_close(listener, p);
}

/* No descriptor or memory is left: a level-triggered loop would spin on the waiting connection. */
static void on_accept_error(struct evconnlistener *accept, void *context) {
    struct tcp_listener *listener = context;
    struct timeval wait = {.tv_usec = ACCEPT_AGAIN_MS * 1000};
    if (event_add(listener->again, &wait) == 0)
        evconnlistener_disable(accept);
}

static void on_again(evutil_socket_t fd, short what, void *context) {
    (void)fd, (void)what;
    struct tcp_listener *listener = context;
    if (!listener->paused)
        evconnlistener_enable(listener->accept);
}

struct tcp_listener *tcp_listener_new(struct event_base *base, int fd, const struct accept_limits *limits,
    void (*on_stream)(void *context, const struct accepted_stream *), void *context, struct error *err) {
    struct tcp_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL || evutil_make_socket_nonblocking(fd) < 0) {
        fail(err, HOST, 0, "a TCP listener can't be set up: %s", strerror(errno));
        free(listener);
        close(fd);
        return NULL;
    }
    listener->base = base;
    listener->limits = *limits;
    listener->on_stream = on_stream;
    listener->context = context;
    TAILQ_INIT(&listener->pending);
    listener->again = evtimer_new(base, on_again, listener);
    /* Backlog 0: it listens already. */
    listener->accept =
        evconnlistener_new(base, on_accept, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (listener->again == NULL || listener->accept == NULL) {
        fail(err, HOST, 0, "a TCP listener can't be put into the event loop");
        if (listener->accept == NULL)
            close(fd);
        tcp_listener_free(listener);
        return NULL;
    }
    evconnlistener_set_error_cb(listener->accept, on_accept_error);
    return listener;
}

void tcp_listener_free(struct tcp_listener *listener) {
    if (listener == NULL)
        return;
    struct pending *p;
    while ((p = TAILQ_FIRST(&listener->pending)) != NULL)
        pending_close(listener, p); /* takes it off the list: NOLINT(clang-analyzer-unix.Malloc) */
    if (listener->accept != NULL)
        evconnlistener_free(listener->accept);
    if (listener->again != NULL)
        event_free(listener->again);
    free(listener);
}

void tcp_listener_pause(struct tcp_listener *listener, bool paused) {
    listener->paused = paused;
    if (paused)
        evconnlistener_disable(listener->accept);
    else
        evconnlistener_enable(listener->accept);
}

size_t tcp_listener_pending(const struct tcp_listener *listener) {
    return listener->pendings;
}
