/* support.h: loopback sockets on ephemeral ports, and a loop that runs until something is true. */
#ifndef IKETCP_TESTS_TRANSPORT_SUPPORT_H
#define IKETCP_TESTS_TRANSPORT_SUPPORT_H

#include "transport/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

struct address loopback(uint8_t family); /* 127.0.0.1 or ::1, port 0 */
int listening_socket(uint8_t family, int backlog, struct address *bound);
int udp_bound(const struct address *address, struct address *bound);
/* Two ends of one TCP connection; the first one connected. */
void tcp_pair(uint8_t family, int fd[2]);
int tcp_dial(const struct address *to); /* blocking */
void send_all(int fd, const void *octets, size_t length);
/* Reads until the other side closes, a timeout of two seconds, or `size`; -1: reset. */
ssize_t read_to_end(int fd, uint8_t *out, size_t size);
void sleep_ms(unsigned ms);
/* Runs the loop until *value >= at_least; fails the test after `ms`. */
void loop_until(struct event_base *base, const int *value, int at_least, unsigned ms);
void loop_for(struct event_base *base, unsigned ms);
/* A whole frame with an IKE message of `length` octets and these SPIs; returns the frame's length. */
size_t ike_frame(uint8_t *out, uint64_t spi_i, uint64_t spi_r, uint8_t flags, size_t length);
/* A whole frame with an ESP packet of `length` octets, filled with `fill`. */
size_t esp_frame(uint8_t *out, uint32_t spi, size_t length, uint8_t fill);

#endif
