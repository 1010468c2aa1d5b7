/* address.h: IP addresses, ports, prefixes and ranges as plain values, without the sockets' structs. */
#ifndef IKETCP_BASE_ADDRESS_H
#define IKETCP_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* family 0: unspecified. Octets in network order, an IPv4 address in the first four and the rest zero, so that
 * comparing the struct field by field is right. */
struct address {
    uint8_t family; /* 0, 4 or 6 */
    uint8_t octets[16];
    uint16_t port; /* host order, 0: none */
    uint32_t scope; /* interface index of a link-local IPv6 address, else 0 */
};

struct prefix {
    struct address address; /* port and scope 0 */
    uint8_t length; /* bits */
};

#define ADDRESS_TEXT_MAX 80 /* with brackets, scope, port and the final NUL */

static inline size_t address_octets(const struct address *address) {
    return address->family == 4 ? 4 : address->family == 6 ? 16 : 0;
}

bool address_equal(const struct address *a, const struct address *b); /* with port */
bool address_same_host(const struct address *a, const struct address *b); /* without port */
bool address_is_any(const struct address *address); /* 0.0.0.0, :: or unspecified */

/* Numeric only, no port. MUST end at the NUL. */
MUST_USE bool address_parse(const char *text, struct address *out, struct error *err);
/* "10.0.0.0/8", "2001:db8::/32", or an address alone (a host); host bits must be zero. */
MUST_USE bool prefix_parse(const char *text, struct prefix *out, struct error *err);

/* These write at most ADDRESS_TEXT_MAX octets into `out` and return it. */
const char *address_text(const struct address *address, char *out); /* no port */
const char *address_port_text(const struct address *address, char *out); /* 10.0.0.1:4500, [::1]:4500 */
const char *prefix_text(const struct prefix *prefix, char *out);

bool prefix_contains(const struct prefix *prefix, const struct address *address);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* The first and last address of a prefix. */
void prefix_range(const struct prefix *prefix, struct address *first, struct address *last);
/* Splits first..last (same family) into the fewest prefixes; writes at most `max`, returns how many are needed. */
size_t range_prefixes(const struct address *first, const struct address *last, struct prefix *out, size_t max);
/* Order of two addresses of one family as numbers: <0, 0, >0. */
int address_compare(const struct address *a, const struct address *b);

#endif
