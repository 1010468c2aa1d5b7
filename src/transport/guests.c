/* guests.c: who comes to a listener and speaks no IKETCP may be a web server's: octets pass both ways, through TLS on the
 * guest's side where he came with it. So a probe sees a web site. Bounded in number, in memory and in time. */
#include "transport/listener_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAY_OCTETS ((size_t)16384)
#define ROUNDS_A_WAKE 16
_Static_assert(PENDING_OCTETS <= WAY_OCTETS, "what was read of a guest has room");

struct way { /* one way */
    size_t done, filled;
    bool ended; /* its source says no more */
    bool passed_on; /* and its destination knows */
    uint8_t octets[WAY_OCTETS];
};

struct guest {
    TAILQ_ENTRY(guest) next;
    struct guests *guests;
    struct address remote;
    int fd, web;
    struct tls *tls; /* over fd; NULL: plain */
    bool connected; /* to the web server */
    struct event *at_fd, *at_web, *idle;
    struct way in, out; /* to the web server, from it */
};

struct guests {
    struct event_base *base;
    uint32_t most, per_source;
    uint64_t idle_ms;
    size_t count;
    TAILQ_HEAD(, guest) list;
};

struct guests *guests_new(struct event_base *base, uint32_t most, uint32_t per_source, uint64_t idle_ms) {
    struct guests *guests = calloc(1, sizeof *guests);
    if (guests == NULL)
        return NULL;
    *guests = (struct guests){.base = base, .most = most, .per_source = per_source, .idle_ms = idle_ms};
    TAILQ_INIT(&guests->list);
    return guests;
}

size_t guests_count(const struct guests *guests) {
    return guests->count;
}

static void leave(struct guest *g) {
    TAILQ_REMOVE(&g->guests->list, g, next);
    g->guests->count--;
    struct event *events[] = {g->at_fd, g->at_web, g->idle};
    for (size_t i = 0; i < 3; i++)
        if (events[i] != NULL)
            event_free(events[i]);
    if (g->tls != NULL)
        tls_close(g->tls);
    tls_free(g->tls);
    close(g->fd);
    if (g->web >= 0)
        close(g->web);
    free(g);
}

void guests_free(struct guests *guests) {
    struct guest *g;
    if (guests == NULL)
        return;
    while ((g = TAILQ_FIRST(&guests->list)) != NULL)
        leave(g); /* takes it off the list: NOLINT(clang-analyzer-unix.Malloc) */
    free(guests);
}

/* ---- octets ---- */

enum passing { PASSING, PASSED_NOTHING, BROKEN };

static enum passing plain_read(int fd, struct way *way) {
    ssize_t got = recv(fd, way->octets, sizeof way->octets, MSG_DONTWAIT);
    way->filled = got > 0 ? (size_t)got : 0;
    way->ended = got == 0;
    if (got >= 0)
        return PASSING;
    return errno == EAGAIN || errno == EINTR ? PASSED_NOTHING : BROKEN;
}

static enum passing tls_fill(struct tls *tls, struct way *way) {
    struct error ignored;
    switch (tls_read(tls, way->octets, sizeof way->octets, &way->filled, &ignored)) {
    case TLS_DONE:
        return PASSING;
    case TLS_CLOSED:
        way->ended = true;
        return PASSING;
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return PASSED_NOTHING;
    case TLS_FAILED:
        break;
    }
    return BROKEN;
}

/* Only when all that was read before has gone. */
static enum passing fill(int fd, struct tls *tls, struct way *way) {
    if (way->ended || way->done < way->filled)
        return PASSED_NOTHING;
    way->done = way->filled = 0;
    return tls != NULL ? tls_fill(tls, way) : plain_read(fd, way);
}

static enum passing tls_empty(struct tls *tls, struct way *way) {
    struct error ignored;
    size_t sent = 0;
    bool waited = tls_waits(tls);
    enum tls_result result = tls_write(tls, way->octets + way->done, way->filled - way->done, &sent, &ignored);
    way->done += sent;
    if (result == TLS_CLOSED || result == TLS_FAILED)
        return BROKEN;
    return sent > 0 || (waited && !tls_waits(tls)) ? PASSING : PASSED_NOTHING;
}

static enum passing plain_empty(int fd, struct way *way) {
    ssize_t sent = send(fd, way->octets + way->done, way->filled - way->done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? PASSED_NOTHING : BROKEN;
    way->done += (size_t)sent;
    return PASSING;
}

/* The end is passed on when all before it was. */
static enum passing empty(int fd, struct tls *tls, struct way *way) {
    bool left = way->done < way->filled || (tls != NULL && tls_waits(tls));
    if (left)
        return tls != NULL ? tls_empty(tls, way) : plain_empty(fd, way);
    if (!way->ended || way->passed_on)
        return PASSED_NOTHING;
    way->passed_on = true;
    if (tls != NULL)
        tls_close(tls);
    shutdown(fd, SHUT_WR);
    return PASSING;
}

/* ---- events ---- */

static void on_event(evutil_socket_t fd, short what, void *context);

static bool wait_for(struct guest *g, struct event *event, int fd, bool to_read, bool to_write) {
    event_del(event);
    short what = (short)((to_read ? EV_READ : 0) | (to_write ? EV_WRITE : 0));
    return what == 0 ||
           (event_assign(event, g->guests->base, fd, what, on_event, g) == 0 && event_add(event, NULL) == 0);
}

static bool wait_again(struct guest *g) {
    struct timeval idle = {
        .tv_sec = (time_t)(g->guests->idle_ms / SECOND), .tv_usec = (suseconds_t)(g->guests->idle_ms % SECOND * 1000)};
    bool in_waits = g->in.done < g->in.filled, out_waits = g->out.done < g->out.filled;
    bool tls_has_more = g->tls != NULL && g->tls->more && !in_waits && !g->in.ended;
    if (!wait_for(g, g->at_fd, g->fd, !in_waits && !g->in.ended, out_waits || (g->tls != NULL && tls_waits(g->tls))) ||
        !wait_for(g, g->at_web, g->web, g->connected && !out_waits && !g->out.ended, !g->connected || in_waits) ||
        event_add(g->idle, &idle) != 0)
        return false;
    if (tls_has_more) /* the socket may have nothing */
        event_active(g->at_fd, EV_READ, 0);
    return true;
}

static bool is_connected(struct guest *g) {
    int code = 0;
    socklen_t length = sizeof code;
    g->connected = getsockopt(g->web, SOL_SOCKET, SO_ERROR, &code, &length) == 0 && code == 0;
    return g->connected;
}

/* One turn of all four. */
static enum passing pass_once(struct guest *g) {
    enum passing passed[] = {PASSED_NOTHING, PASSED_NOTHING, PASSED_NOTHING, PASSED_NOTHING};
    passed[0] = fill(g->fd, g->tls, &g->in);
    if (g->connected)
        passed[1] = empty(g->web, NULL, &g->in);
    if (g->connected)
        passed[2] = fill(g->web, NULL, &g->out);
    passed[3] = empty(g->fd, g->tls, &g->out);
    enum passing all = PASSED_NOTHING;
    for (size_t i = 0; i < 4; i++) {
        if (passed[i] == BROKEN)
            return BROKEN;
        if (passed[i] == PASSING)
            all = PASSING;
    }
    return all;
}

/* False: it is over. */
static bool pass(struct guest *g) {
    for (int i = 0; i < ROUNDS_A_WAKE; i++) {
        enum passing passed = pass_once(g);
        if (passed == BROKEN || (g->in.passed_on && g->out.passed_on))
            return false;
        if (passed == PASSED_NOTHING)
            break;
    }
    return true;
}

static void on_event(evutil_socket_t fd, short what, void *context) {
    struct guest *g = context;
    if (!g->connected && fd == g->web && (what & EV_WRITE) != 0 && !is_connected(g)) {
        leave(g);
        return;
    }
    if (!pass(g) || !wait_again(g))
        leave(g);
}

static void on_idle(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    leave(context);
}

/* ---- coming ---- */

static bool is_full(const struct guests *guests, const struct address *remote) {
    size_t same = 0;
    const struct guest *g;
    TAILQ_FOREACH(g, &guests->list, next) {
        same += same_source(&g->remote, remote);
    }
    return guests->count >= guests->most || same >= guests->per_source;
}

static bool call_web(struct guest *g, const struct address *web) {
    struct sockaddr_storage to;
    unsigned length = address_to_sockaddr(web, &to);
    struct event_base *base = g->guests->base;
    g->web = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (g->web < 0 || (connect(g->web, (struct sockaddr *)&to, length) < 0 && errno != EINPROGRESS && errno != EINTR))
        return false;
    g->at_fd = event_new(base, g->fd, EV_READ, on_event, g);
    g->at_web = event_new(base, g->web, EV_WRITE, on_event, g);
    g->idle = evtimer_new(base, on_idle, g);
    return g->at_fd != NULL && g->at_web != NULL && g->idle != NULL;
}

void guests_add(struct guests *guests, int fd, struct tls *tls, struct span octets, const struct address *remote,
    const struct address *web) {
    struct guest *g = is_full(guests, remote) ? NULL : calloc(1, sizeof *g);
    if (g == NULL) {
        tls_free(tls);
        close(fd);
        return;
    }
    g->guests = guests;
    g->remote = *remote;
    g->fd = fd;
    g->tls = tls;
    g->web = -1;
    memcpy(g->in.octets, octets.at, octets.length);
    g->in.filled = octets.length;
    TAILQ_INSERT_TAIL(&guests->list, g, next);
    guests->count++;
    if (!call_web(g, web) || !wait_again(g))
        leave(g);
}
