/* listener_internal.h: private to transport/: a listener, the young streams that it accepted, and the guests that it handed
 * on to a web server. */
#ifndef IKETCP_TRANSPORT_LISTENER_INTERNAL_H
#define IKETCP_TRANSPORT_LISTENER_INTERNAL_H

#include "transport/tls_internal.h"

#include <sys/queue.h>

#define PENDING_OCTETS ((size_t)1024) /* prefix, and enough of a first message; or of a request to a web server */

struct event;
struct evconnlistener;

/* ---- pending.c: a stream from its first octet to the one that says whose it is ---- */
struct pending {
    TAILQ_ENTRY(pending) next; /* the oldest first */
    struct tcp_listener *listener;
    struct event *event;
    int fd;
    uint64_t deadline; /* of monotonic_ms */
    struct address local, remote;
    struct tls *tls; /* NULL: plain, or nobody knows yet */
    bool shaken; /* the handshake is done */
    size_t length;
    uint8_t octets[PENDING_OCTETS]; /* inside TLS, if there is any */
};
TAILQ_HEAD(pending_list, pending);
/* Takes over fd. */
void pending_add(struct tcp_listener *, int fd, const struct address *local, const struct address *remote);
void pending_close(struct pending *);
/* The same host: IPv6 hosts have a /64 each. */
bool same_source(const struct address *, const struct address *);

/* ---- guests.c: connections that a web server has, octets passed on both ways ---- */
struct guests;
struct guests *guests_new(struct event_base *, uint32_t most, uint32_t per_source, uint64_t idle_ms);
void guests_free(struct guests *);
size_t guests_count(const struct guests *);
/* Takes over fd and tls; `octets` were read already and are copied. Full: it is closed. */
void guests_add(
    struct guests *, int fd, struct tls *, struct span octets, const struct address *remote, const struct address *web);

struct tcp_listener {
    struct event_base *base;
    struct evconnlistener *accept;
    struct event *again;
    struct accept_limits limits;
    struct listener_services services;
    struct pending_list pending;
    size_t pendings;
    struct guests *guests;
    bool paused;
    void (*on_stream)(void *context, const struct accepted_stream *);
    void (*on_trouble)(void *context, const struct error *); /* NULL: nobody wants to know */
    uint64_t trouble_after; /* of monotonic_ms: not told again before */
    void *context;
};

#endif
