/* inner.h: just enough of the IP headers of inner packets to choose an SA, check a selector and answer with ICMP.
 * RFC 791, 8200, 4301 section 4.4.1. */
#ifndef IKETCP_WIRE_INNER_H
#define IKETCP_WIRE_INNER_H

#include "wire/message.h"

/* What selectors look at. */
struct flow {
    struct address source, destination; /* ports set for TCP, UDP, SCTP; ICMP type/code: source.port = type<<8|code */
    uint8_t protocol; /* the upper layer's, IPv6 extension headers passed over */
    bool has_ports; /* false for later fragments and protocols without */
    size_t header_length; /* octets up to the upper layer */
};

/* False for what is no whole IPv4 or IPv6 packet of exactly `length` octets of header and payload (a longer buffer is
 * TFC padding: *total gets the packet's own length, which is <= length). */
MUST_USE bool inner_parse(const uint8_t *packet, size_t length, struct flow *, size_t *total);

/* Whether one side of a packet, `address` with its port, is what a list selects. */
bool selectors_take(const struct selector_list *, const struct flow *, const struct address *);

/* Writes an ICMP(v6) "destination unreachable" (administratively prohibited: no tunnel for it) or "packet too big" with
 * `mtu` (0: unreachable) about `packet` from `from` (family as the packet; unspecified: the packet's destination) into
 * `out`; returns its length, 0 when RFC 1122 or 4443 forbid an answer or `capacity` (1,280 is always enough) is short. */
size_t inner_icmp_error(
    const uint8_t *packet, size_t length, const struct address *from, uint32_t mtu, uint8_t *out, size_t capacity);

/* RFC 1071's sum: adds `length` octets to a running sum (start at 0, chunks of even length); fold gives the checksum in
 * the order in which it goes into the packet (already network order: memcpy it). */
uint64_t checksum_add(uint64_t sum, const void *octets, size_t length);
uint16_t checksum_fold(uint64_t sum);

#endif
