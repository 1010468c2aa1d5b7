/* inner.c: what an inner packet is: its addresses, its upper layer, its ports. RFC 791, RFC 8200, RFC 4301. */
#include "wire/inner.h"

#include "wire/internal_inner.h"
#include "wire/reader.h"

static bool has_type_and_code(uint8_t protocol) {
    return protocol == INNER_ICMP || protocol == INNER_ICMPV6;
}

static bool has_two_ports(uint8_t protocol) {
    return protocol == INNER_TCP || protocol == INNER_UDP || protocol == INNER_SCTP;
}

/* Ports stand at the same place in TCP, UDP and SCTP; ICMP's type and code count as one. */
static void read_ports(struct reader r, struct flow *flow) {
    uint16_t first, second;
    if (!reader_u16(&r, &first))
        return;
    if (has_type_and_code(flow->protocol)) {
        flow->source.port = first;
        flow->has_ports = true;
    } else if (has_two_ports(flow->protocol) && reader_u16(&r, &second)) {
        flow->source.port = first;
        flow->destination.port = second;
        flow->has_ports = true;
    }
}

static bool parse_v4(struct reader r, struct flow *flow, size_t *total) {
    const size_t length = r.left;
    uint8_t first;
    uint16_t total_length, fragment;
    if (!reader_u8(&r, &first) || !reader_skip(&r, 1) || !reader_u16(&r, &total_length) || !reader_skip(&r, 2) ||
        !reader_u16(&r, &fragment) || !reader_skip(&r, 1) || !reader_u8(&r, &flow->protocol) || !reader_skip(&r, 2) ||
        !reader_copy(&r, 4, flow->source.octets) || !reader_copy(&r, 4, flow->destination.octets))
        return false;
    flow->source.family = flow->destination.family = 4;
    flow->header_length = 4 * (size_t)(first & 15);
    if (flow->header_length < INNER_V4_HEADER || total_length < flow->header_length || total_length > length)
        return false;
    *total = total_length;
    struct reader upper;
    if (!reader_skip(&r, flow->header_length - INNER_V4_HEADER) ||
        !reader_sub(&r, total_length - flow->header_length, &upper))
        return false;
    if ((fragment & INNER_V4_OFFSET) == 0)
        read_ports(upper, flow);
    return true;
}

/* Passes over the extension headers of RFC 4301 section 4.4.1.1; *later: a fragment that is not the first. */
static bool pass_extensions(struct reader *r, struct flow *flow, bool *later) {
    for (;;) { /* each round takes at least 8 octets */
        uint8_t next, length;
        uint16_t offset;
        size_t rest = 0;
        switch (flow->protocol) {
        case INNER_HOP_BY_HOP:
        case INNER_ROUTING:
        case INNER_DESTINATION_OPTIONS:
            if (!reader_u8(r, &next) || !reader_u8(r, &length))
                return false;
            rest = 6 + 8 * (size_t)length;
            break;
        case INNER_FRAGMENT:
            if (!reader_u8(r, &next) || !reader_skip(r, 1) || !reader_u16(r, &offset))
                return false;
            rest = 4;
            *later = (offset & INNER_V6_OFFSET) != 0;
            break;
        default:
            return true;
        }
        if (!reader_skip(r, rest))
            return false;
        flow->protocol = next;
        if (*later)
            return true;
    }
}

static bool parse_v6(struct reader r, struct flow *flow, size_t *total) {
    uint16_t payload;
    struct reader rest;
    if (!reader_skip(&r, 4) || !reader_u16(&r, &payload) || !reader_u8(&r, &flow->protocol) || !reader_skip(&r, 1) ||
        !reader_copy(&r, 16, flow->source.octets) || !reader_copy(&r, 16, flow->destination.octets) ||
        !reader_sub(&r, payload, &rest))
        return false;
    flow->source.family = flow->destination.family = 6;
    bool later = false;
    if (!pass_extensions(&rest, flow, &later))
        return false;
    *total = INNER_V6_HEADER + payload;
    flow->header_length = *total - rest.left;
    if (!later)
        read_ports(rest, flow);
    return true;
}

bool inner_parse(const uint8_t *packet, size_t length, struct flow *flow, size_t *total) {
    struct reader r = reader_over(packet, length), peek = r;
    uint8_t first;
    *flow = (struct flow){0};
    if (!reader_u8(&peek, &first))
        return false;
    if (first >> 4 == 4)
        return parse_v4(r, flow, total);
    if (first >> 4 == 6)
        return parse_v6(r, flow, total);
    return false;
}
