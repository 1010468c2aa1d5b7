/* tcp_listener.c: accepts streams (O2) and keeps each one until its first message says whose it is. Strangers come here:
 * every stream has little memory, a deadline, and there are only so many, in all and per source (L12). */
#include "transport/listener_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DESCRIPTORS_LEFT 64
#define ACCEPT_AGAIN_MS 500 /* after the system refused a descriptor */
#define TROUBLE_AGAIN_MS (60 * SECOND)

/* Half of the limit where that is small. 0: nobody knows a limit. */
static int descriptor_most(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT_MAX)
        return 0;
    int most = (int)limit.rlim_cur;
    return most > 2 * DESCRIPTORS_LEFT ? most - DESCRIPTORS_LEFT : most / 2;
}

void accept_limits_defaults(struct accept_limits *limits) {
    *limits = (struct accept_limits){.streams_max = 1024,
        .streams_per_source = 32,
        .descriptor_most = descriptor_most(),
        .first_message_ms = 20 * SECOND,
        .guests_max = 256,
        .guest_idle_ms = 60 * SECOND};
}

/* Who came first and says nothing makes room; where all say something, who comes last is turned away. */
static bool descriptor_is_for_us(struct tcp_listener *listener, int fd) {
    int most = listener->limits.descriptor_most;
    if (most == 0 || fd < most)
        return false;
    if (TAILQ_EMPTY(&listener->pending))
        return true;
    pending_close(TAILQ_FIRST(&listener->pending));
    return false;
}

static void on_accept(
    struct evconnlistener *accept, evutil_socket_t fd, struct sockaddr *from, int length, void *context) {
    (void)accept, (void)from, (void)length;
    struct tcp_listener *listener = context;
    struct error ignored;
    struct address local, remote;
    if (!descriptor_is_for_us(listener, fd) && socket_addresses(fd, &local, &remote) && tcp_prepare(fd, &ignored))
        pending_add(listener, fd, &local, &remote);
    else
        close(fd);
}

static void tell_trouble(struct tcp_listener *listener, int number) {
    struct error why;
    struct rlimit files = {0};
    uint64_t now = monotonic_ms();
    if (listener->on_trouble == NULL || now < listener->trouble_after)
        return;
    listener->trouble_after = now + TROUBLE_AGAIN_MS;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    if (number == EMFILE)
        fail(&why, HOST, 0,
            "clients have to wait: all %llu descriptors that this process may have are in use; a higher limit "
            "(LimitNOFILE= of "
            "the service, or ulimit -n) lets more in",
            (unsigned long long)files.rlim_cur);
    else
        fail(&why, HOST, 0, "clients have to wait: the system accepts no connection: %s", strerror(number));
    listener->on_trouble(listener->context, &why);
}

void tcp_listener_on_trouble(
    struct tcp_listener *listener, void (*on_trouble)(void *context, const struct error *why)) {
    listener->on_trouble = on_trouble;
}

/* No descriptor or memory is left: a level-triggered loop would spin on the waiting connection. */
static void on_accept_error(struct evconnlistener *accept, void *context) {
    struct tcp_listener *listener = context;
    struct timeval wait = {.tv_usec = ACCEPT_AGAIN_MS * 1000};
    tell_trouble(listener, EVUTIL_SOCKET_ERROR());
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
    listener->services.plain = true;
    TAILQ_INIT(&listener->pending);
    listener->guests = guests_new(base, limits->guests_max, limits->streams_per_source, limits->guest_idle_ms);
    listener->again = evtimer_new(base, on_again, listener);
    /* Backlog 0: it listens already. */
    listener->accept =
        evconnlistener_new(base, on_accept, listener, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (listener->again == NULL || listener->accept == NULL || listener->guests == NULL) {
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
        pending_close(p); /* takes it off the list: NOLINT(clang-analyzer-unix.Malloc) */
    guests_free(listener->guests);
    if (listener->accept != NULL)
        evconnlistener_free(listener->accept);
    if (listener->again != NULL)
        event_free(listener->again);
    free(listener);
}

void tcp_listener_serve(struct tcp_listener *listener, const struct listener_services *services) {
    listener->services = *services;
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

size_t tcp_listener_guests(const struct tcp_listener *listener) {
    return guests_count(listener->guests);
}
