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

/* first_message.c */
enum first_verdict {
    FIRST_NAMED, /* an SPI of ours came, or an IKE_SA_INIT: *worker is set */
    FIRST_MORE,
    FIRST_BAD, /* close, say nothing (S2) */
};
/* Looks at all octets of a young stream, prefix included. */
enum first_verdict first_message(const uint8_t *octets, size_t length, uint8_t *worker);

#endif
