/* inner_icmp.c: telling a sender inside that its packet went nowhere, or was too big. RFC 792, 1122, 1191, 4443, 8201. */
#include "wire/inner.h"

#include <string.h>

#include "wire/internal_inner.h"
#include "wire/writer.h"

#define V4_ERROR_MAX ((size_t)576) /* RFC 1812 section 4.3.2.3 */
#define V6_ERROR_MAX ((size_t)1280)

static bool is_multicast(const struct address *a) {
    return a->family == 4 ? a->octets[0] >= 224 : a->octets[0] == 0xff; /* 240/4 and broadcast too */
}

static bool is_loopback(const struct address *a) {
    static const uint8_t v6[16] = {[15] = 1};
    return a->family == 4 ? a->octets[0] == 127 : memcmp(a->octets, v6, 16) == 0;
}

/* ICMP errors are never answered with an error; queries are. */
static bool is_icmp_error(const struct flow *flow) {
    if (flow->protocol != INNER_ICMP && flow->protocol != INNER_ICMPV6)
        return false;
    if (!flow->has_ports)
        return true; /* can't be told */
    uint8_t type = (uint8_t)(flow->source.port >> 8);
    if (flow->protocol == INNER_ICMPV6)
        return type < 128 || type == 137; /* 137: redirect */
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

static bool may_answer(const uint8_t *packet, const struct flow *flow, bool too_big) {
    if (address_is_any(&flow->source) || is_multicast(&flow->source) || is_loopback(&flow->source))
        return false;
    if (is_multicast(&flow->destination) && !(too_big && flow->destination.family == 6))
        return false;
    if (flow->source.family == 4 && (((packet[6] << 8) | packet[7]) & INNER_V4_OFFSET) != 0)
        return false; /* not the first fragment */
    return !is_icmp_error(flow);
}

static void write_v4(struct writer *w, const struct flow *flow, const struct address *from, size_t quoted) {
    writer_u8(w, 0x45);
    writer_u8(w, 0xc0); /* internetwork control, RFC 1812 section 4.3.2.5 */
    writer_u16(w, (uint16_t)(INNER_V4_HEADER + INNER_ICMP_HEADER + quoted));
    writer_u32(w, 0x4000); /* no identification; don't fragment */
    writer_u8(w, 64);
    writer_u8(w, INNER_ICMP);
    writer_u16(w, 0);
    writer_octets(w, from->octets, 4);
    writer_octets(w, flow->source.octets, 4);
}

static void write_v6(struct writer *w, const struct flow *flow, const struct address *from, size_t quoted) {
    writer_u32(w, 0x60000000);
    writer_u16(w, (uint16_t)(INNER_ICMP_HEADER + quoted));
    writer_u8(w, INNER_ICMPV6);
    writer_u8(w, 64);
    writer_octets(w, from->octets, 16);
    writer_octets(w, flow->source.octets, 16);
}

static void write_icmp(struct writer *w, bool v4, uint32_t mtu) {
    if (v4) {
        writer_u8(w, 3);
        writer_u8(w, mtu == 0 ? 13 : 4);
        writer_u16(w, 0);
        writer_u32(w, mtu > UINT16_MAX ? UINT16_MAX : mtu);
        return;
    }
    writer_u8(w, mtu == 0 ? 1 : 2);
    writer_u8(w, mtu == 0 ? 1 : 0);
    writer_u16(w, 0);
    writer_u32(w, mtu);
}

static void put_checksum(uint8_t *at, uint64_t sum) {
    uint16_t folded = checksum_fold(sum);
    memcpy(at, &folded, sizeof folded);
}

static void fill_checksums(uint8_t *out, size_t length, bool v4) {
    if (v4) {
        put_checksum(out + 10, checksum_add(0, out, INNER_V4_HEADER));
        put_checksum(out + INNER_V4_HEADER + 2, checksum_add(0, out + INNER_V4_HEADER, length - INNER_V4_HEADER));
        return;
    }
    size_t upper = length - INNER_V6_HEADER;
    uint8_t pseudo[8] = {0, 0, (uint8_t)(upper >> 8), (uint8_t)upper, 0, 0, 0, INNER_ICMPV6};
    uint64_t sum = checksum_add(0, out + 8, 32); /* both addresses */
    sum = checksum_add(sum, pseudo, sizeof pseudo);
    put_checksum(out + INNER_V6_HEADER + 2, checksum_add(sum, out + INNER_V6_HEADER, upper));
}

size_t inner_icmp_error(
    const uint8_t *packet, size_t length, const struct address *from, uint32_t mtu, uint8_t *out, size_t capacity) {
    struct flow flow;
    size_t total;
    if (!inner_parse(packet, length, &flow, &total) || !may_answer(packet, &flow, mtu != 0))
        return 0;
    if (from->family == 0)
        from = &flow.destination;
    if (from->family != flow.source.family || is_multicast(from))
        return 0;
    bool v4 = flow.source.family == 4;
    size_t headers = (v4 ? INNER_V4_HEADER : INNER_V6_HEADER) + INNER_ICMP_HEADER;
    size_t most = (v4 ? V4_ERROR_MAX : V6_ERROR_MAX) - headers;
    size_t quoted = total < most ? total : most;
    struct writer w = writer_over(out, capacity);
    if (v4)
        write_v4(&w, &flow, from, quoted);
    else
        write_v6(&w, &flow, from, quoted);
    write_icmp(&w, v4, mtu);
    writer_octets(&w, packet, quoted);
    if (!writer_ok(&w))
        return 0;
    fill_checksums(out, w.length, v4);
    return w.length;
}
