/* packets.c: see packets.h. */
#include "packets.h"

#include <linux/virtio_net.h>
#include <string.h>

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#define HEADER (sizeof(struct virtio_net_hdr))

uint32_t chance(struct random_source *random, uint32_t below) {
    return random_u32(random) % below;
}

static void set16(uint8_t *at, size_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)(value & 255);
}

/* RFC 1071 by the book: 16-bit words, carries brought round. */
static uint32_t words(uint32_t sum, const uint8_t *at, size_t length) {
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

static size_t transport_of(const uint8_t *packet) {
    return packet[0] >> 4 == 4 ? (size_t)(packet[0] & 15) * 4 : 40;
}

static uint8_t protocol_of(const uint8_t *packet) {
    return packet[0] >> 4 == 4 ? packet[9] : packet[6];
}

static uint32_t pseudo(const uint8_t *packet, size_t length) {
    uint8_t rest[4] = {0, protocol_of(packet), 0, 0};
    set16(rest + 2, length - transport_of(packet));
    uint32_t sum = packet[0] >> 4 == 4 ? words(0, packet + 12, 8) : words(0, packet + 8, 32);
    return words(sum, rest, 4);
}

static uint8_t *check_of(uint8_t *packet) {
    return packet + transport_of(packet) + (protocol_of(packet) == 6 ? 16 : 6);
}

void checksums_set(uint8_t *packet, size_t length) {
    size_t transport = transport_of(packet);
    if (packet[0] >> 4 == 4) {
        set16(packet + 10, 0);
        set16(packet + 10, 0xffff - words(0, packet, transport));
    }
    set16(check_of(packet), 0);
    uint32_t sum = 0xffff - words(pseudo(packet, length), packet + transport, length - transport);
    set16(check_of(packet), sum == 0 && protocol_of(packet) == 17 ? 0xffff : sum);
}

bool checksums_valid(const uint8_t *packet, size_t length) {
    size_t transport = transport_of(packet);
    if (packet[0] >> 4 == 4 && words(0, packet, transport) != 0xffff)
        return false;
    return words(pseudo(packet, length), packet + transport, length - transport) == 0xffff;
}

void reference_ttl_less(uint8_t *packet) {
    if (packet[0] >> 4 == 6) {
        packet[7]--;
        return;
    }
    packet[8]--;
    set16(packet + 10, 0);
    set16(packet + 10, 0xffff - words(0, packet, transport_of(packet)));
}

struct burst_spec spec_by_chance(struct random_source *random) {
    static const uint8_t more[] = {0, 0x01, 0x08, 0x09, 0x80, 0x40, 0xc8, 0x88, 0x49};
    struct burst_spec spec = {.version = chance(random, 2) ? 4 : 6,
        .protocol = chance(random, 3) ? 6 : 17,
        .segment = 1 + chance(random, chance(random, 2) ? 1460 : 9000),
        .options = 4 * chance(random, 11),
        .flags = (uint8_t)(0x10 | more[chance(random, sizeof more)]),
        .source_port = (uint16_t)(1024 + chance(random, 60000)),
        .sequence = random_u32(random),
        .id = (uint16_t)random_u32(random),
        .tos = (uint8_t)random_u32(random),
        .ttl = (uint8_t)(2 + chance(random, 200)),
        .dont_fragment = chance(random, 2)};
    if (spec.protocol == 17)
        spec.options = 0;
    size_t most = spec.segment * (spec.protocol == 6 ? 120 : 60);
    spec.payload = spec.segment + 1 + chance(random, (uint32_t)(most > 64000 ? 64000 : most));
    if (spec.payload > 65000)
        spec.payload = 65000;
    return spec;
}

static size_t headers_of(const struct burst_spec *spec) {
    return (spec->version == 4 ? 20 : 40) + (spec->protocol == 6 ? 20 + spec->options : 8);
}

size_t burst_packets(const struct burst_spec *spec) {
    return (spec->payload + spec->segment - 1) / spec->segment;
}

static void network_header(const struct burst_spec *spec, uint8_t *at, size_t length) {
    if (spec->version == 4) {
        static const uint8_t addresses[8] = {10, 1, 0, 2, 10, 2, 0, 2};
        at[0] = 0x45;
        at[1] = spec->tos;
        set16(at + 2, length);
        set16(at + 4, spec->id);
        set16(at + 6, spec->dont_fragment ? 0x4000 : 0);
        at[8] = spec->ttl;
        at[9] = spec->protocol;
        set16(at + 10, 0);
        memcpy(at + 12, addresses, 8);
        set16(at + 10, 0xffff - words(0, at, 20));
        return;
    }
    memset(at, 0, 40);
    at[0] = (uint8_t)(0x60 | spec->tos >> 4);
    at[1] = (uint8_t)(spec->tos << 4);
    set16(at + 4, length - 40);
    at[6] = spec->protocol;
    at[7] = spec->ttl;
    at[8] = 0xfd;
    at[9] = 0x01;
    at[23] = 2;
    at[24] = 0xfd;
    at[25] = 0x02;
    at[39] = 2;
}

void burst_build(struct random_source *random, const struct burst_spec *spec, struct packet *out) {
    size_t headers = headers_of(spec), transport = spec->version == 4 ? 20 : 40, length = headers + spec->payload;
    bool tcp = spec->protocol == 6;
    struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = !tcp                 ? VIRTIO_NET_HDR_GSO_UDP_L4
                    : spec->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                         : VIRTIO_NET_HDR_GSO_TCPV6,
        .hdr_len = (uint16_t)headers,
        .gso_size = (uint16_t)spec->segment,
        .csum_start = (uint16_t)transport,
        .csum_offset = tcp ? 16 : 6};
    if (tcp && (spec->flags & 0x80))
        header.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    memcpy(out->octets, &header, HEADER);
    uint8_t *at = out->octets + HEADER, *body = at + transport;
    random->fill(random->context, at, length);
    network_header(spec, at, length);
    set16(body, spec->source_port);
    set16(body + 2, 5201);
    if (tcp) {
        set16(body + 4, spec->sequence >> 16);
        set16(body + 6, spec->sequence & 0xffff);
        body[12] = (uint8_t)((20 + spec->options) / 4 << 4);
        body[13] = spec->flags;
        memset(body + 20, 1, spec->options); /* NOPs, for the sake of who parses them */
    } else {
        set16(body + 4, length - transport);
    }
    set16(check_of(at), pseudo(at, length));
    out->length = HEADER + length;
}

void reference_packet(const struct burst_spec *spec, const struct packet *burst, size_t n, struct packet *out) {
    size_t headers = headers_of(spec), transport = spec->version == 4 ? 20 : 40, begin = n * spec->segment;
    size_t payload = spec->payload - begin < spec->segment ? spec->payload - begin : spec->segment;
    bool first = n == 0, last = n + 1 == burst_packets(spec);
    struct burst_spec mine = *spec;
    mine.id = (uint16_t)(spec->id + n);
    memset(out->octets, 0, HEADER);
    uint8_t *at = out->octets + HEADER, *body = at + transport;
    memcpy(at, burst->octets + HEADER, headers);
    memcpy(at + headers, burst->octets + HEADER + headers + begin, payload);
    network_header(&mine, at, headers + payload);
    if (spec->protocol == 6) {
        uint32_t sequence = spec->sequence + (uint32_t)begin;
        set16(body + 4, sequence >> 16);
        set16(body + 6, sequence & 0xffff);
        if (!first)
            body[13] &= 0x7f;
        if (!last)
            body[13] &= 0xf6;
    } else {
        set16(body + 4, 8 + payload);
    }
    checksums_set(at, headers + payload);
    out->length = HEADER + headers + payload;
}
