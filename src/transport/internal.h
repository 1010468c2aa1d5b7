/* internal.h: private to transport/. */
#ifndef IKETCP_TRANSPORT_INTERNAL_H
#define IKETCP_TRANSPORT_INTERNAL_H

#include "transport/transport.h"
#include <sys/socket.h>

/* sockaddr.c */
/* An IPv4-mapped address becomes IPv4; the scope is kept for link-local ones. No port. */
void address_from_v6(const uint8_t octets[16], uint32_t scope, struct address *out);
/* `remote` may be NULL. */
bool socket_addresses(int fd, struct address *local, struct address *remote);

/* tcp_options.c: non-blocking, close-on-exec, TCP_NODELAY, keepalive after 60 s (K6). */
bool tcp_prepare(int fd, struct error *err);
uint64_t monotonic_ms(void);

/* flow_label.c: the label with which connect() to *to is to be called; without it where the kernel does not grant it. */
void flow_label_want(int fd, uint32_t label, struct sockaddr_storage *to);

/* tcp_connector.c: `what` in place of "TCP" in what it says; static storage. */
typedef void tcp_connected(
    void *context, int fd, const struct address *local, const struct address *remote, const struct error *);
struct tcp_connector *tcp_connector_named(const char *what, struct event_base *, int fd, const struct address *remote,
    uint32_t flow_label, uint64_t timeout_ms, tcp_connected *, void *context, struct error *);

/* first_message.c */
enum first_verdict {
    FIRST_NAMED, /* an SPI of ours came, or an IKE_SA_INIT: *worker is set */
    FIRST_MORE,
    FIRST_BAD, /* close, say nothing */
    FIRST_OTHER, /* the same, unless a web server takes it: it does not begin with the prefix (S2) */
};
/* Looks at all octets of a young stream, prefix included. */
enum first_verdict first_message(const uint8_t *octets, size_t length, uint8_t *worker);

#endif
