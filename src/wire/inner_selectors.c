/* inner_selectors.c: whether traffic selectors take a side of a packet (RFC 4301 section 4.4.1.1, RFC 7296 3.13.1). */
#include <string.h>

#include "wire/inner.h"

static bool in_range(const struct selector *s, const struct address *address) {
    size_t length = address_octets(address);
    return s->first.family == address->family && memcmp(s->first.octets, address->octets, length) <= 0 &&
           memcmp(s->last.octets, address->octets, length) >= 0;
}

/* `port` is the side's own port, or an ICMP message's type and code, which both sides' selectors look at. */
static bool port_matches(const struct selector *s, bool has_ports, uint16_t port) {
    if (s->port_first == 0 && s->port_last == UINT16_MAX)
        return true;
    if (s->port_first > s->port_last) /* OPAQUE: only packets that show no ports */
        return !has_ports;
    return has_ports && s->port_first <= port && port <= s->port_last;
}

static bool is_icmp(uint8_t protocol) {
    return protocol == 1 || protocol == 58;
}

bool selectors_take(const struct selector_list *list, const struct flow *flow, const struct address *address) {
    uint16_t port = is_icmp(flow->protocol) ? flow->source.port : address->port;
    bool has_ports = flow->has_ports;
    for (size_t i = 0; i < list->count; i++) {
        const struct selector *s = &list->selector[i];
        if ((s->protocol == 0 || s->protocol == flow->protocol) && in_range(s, address) &&
            port_matches(s, has_ports, port))
            return true;
    }
    return false;
}
