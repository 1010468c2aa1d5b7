/* cut.c: one read of the TUN, cut into the packets that go onto the wire, headers and checksums made right for each. What
 * is equal in all of them is summed once; a payload is summed while it is copied to where it will be sealed. */
#include "dataplane/octets.h"
#include "dataplane/offload.h"
#include "wire/wire.h"

/* A packet as it is, perhaps with a checksum that the kernel left to its device. */
static bool begin_whole(struct cut *cut, const struct virtio_net_hdr *header) {
    cut->kind = CUT_WHOLE;
    cut->segment = cut->length;
    if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
        cut->sum_start = header->csum_start;
        cut->sum_at = (size_t)header->csum_start + header->csum_offset;
        if (cut->sum_start == 0 || cut->sum_at + 2 > cut->length)
            return false;
    }
    return true;
}

/* Addresses, protocol and length: TCP's and UDP's pseudo header, without the length. */
static uint64_t pseudo_sum(const struct cut *cut) {
    size_t addresses = cut->version == 4 ? 12 : 8, octets = cut->version == 4 ? 8 : 32;
    return sum_of(cut->packet + addresses, octets) + summand_u16(cut->kind == CUT_TCP ? IP_TCP : IP_UDP);
}

static void sum_headers(struct cut *cut) {
    const uint8_t *network = cut->packet, *transport = cut->packet + cut->transport;
    if (cut->version == 4) { /* all but length, identification and checksum */
        cut->network_sum = sum_of(network, 2) + sum_of(network + 6, 4) + sum_of(network + 12, cut->transport - 12);
        cut->id = get_u16(network + 4);
    }
    cut->transport_sum = pseudo_sum(cut) + sum_of(transport, 4);
    if (cut->kind == CUT_UDP)
        return;
    cut->sequence = get_u32(transport + 4);
    cut->flags = get_u16(transport + 12);
    size_t options = cut->headers - cut->transport - TCP_HEADER;
    cut->transport_sum += sum_of(transport + 8, 4) + sum_of(transport + 14, 2) + sum_of(transport + 18, 2 + options);
}

static bool begin_burst(struct cut *cut, const struct virtio_net_hdr *header) {
    uint8_t gso = header->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    bool tcp = gso == VIRTIO_NET_HDR_GSO_TCPV4 || gso == VIRTIO_NET_HDR_GSO_TCPV6;
    if (!tcp && gso != VIRTIO_NET_HDR_GSO_UDP_L4)
        return false;
    cut->kind = tcp ? CUT_TCP : CUT_UDP;
    cut->transport = header->csum_start;
    cut->segment = header->gso_size;
    size_t network = cut->version == 4 ? IPV4_HEADER : IPV6_HEADER, least = tcp ? TCP_HEADER : UDP_HEADER;
    if (!(header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || cut->segment == 0 || cut->transport < network ||
        cut->transport + least > cut->length || cut->length > TUN_WRITE_MAX + IPV6_HEADER)
        return false;
    if (cut->version == 4 && cut->transport != (size_t)(cut->packet[0] & 15) * 4)
        return false;
    size_t own = tcp ? (size_t)(cut->packet[cut->transport + 12] >> 4) * 4 : UDP_HEADER;
    cut->headers = cut->transport + own;
    if (own < least || cut->headers >= cut->length)
        return false;
    sum_headers(cut);
    return true;
}

bool cut_begin(struct cut *cut, const uint8_t *octets, size_t length) {
    struct virtio_net_hdr header;
    *cut = (struct cut){0};
    if (length < TUN_HEADER_LENGTH + IPV4_HEADER)
        return false;
    memcpy(&header, octets, sizeof header);
    cut->packet = octets + TUN_HEADER_LENGTH;
    cut->length = length - TUN_HEADER_LENGTH;
    cut->version = cut->packet[0] >> 4;
    if ((cut->version != 4 && cut->version != 6) || (cut->version == 6 && cut->length < IPV6_HEADER))
        return false;
    if (header.gso_type == VIRTIO_NET_HDR_GSO_NONE)
        return begin_whole(cut, &header);
    return begin_burst(cut, &header);
}

size_t cut_longest(const struct cut *cut) {
    size_t payload = cut->length - cut->headers;
    return cut->headers + (payload < cut->segment ? payload : cut->segment);
}

size_t cut_next_length(const struct cut *cut) {
    if (cut->ended)
        return 0;
    size_t left = cut->length - cut->headers - cut->done;
    return cut->headers + (left < cut->segment ? left : cut->segment);
}

size_t cut_packets(const struct cut *cut) {
    if (cut->ended)
        return 0;
    size_t left = cut->length - cut->headers - cut->done;
    return cut->kind == CUT_WHOLE ? 1 : (left + cut->segment - 1) / cut->segment;
}

void cut_skip(struct cut *cut) {
    size_t length = cut_next_length(cut);
    if (length == 0)
        return;
    cut->done += length - cut->headers;
    cut->id++;
    cut->ended = cut->headers + cut->done == cut->length;
}

bool cut_mark(struct cut *cut, uint8_t *octets) {
    uint16_t first = get_u16(octets);
    uint16_t bits = cut->version == 4 ? first & 3 : first >> 4 & 3;
    if (bits == 0)
        return false;
    put_u16(octets, first | (cut->version == 4 ? 3u : 3u << 4));
    if (cut->version == 6)
        return true;
    if (cut->kind != CUT_WHOLE) {
        cut->network_sum += summand_u16(first | 3u) + (uint16_t)~summand_u16(first); /* minus, in ones' complement */
        return true;
    }
    size_t header = (size_t)(octets[0] & 15) * 4;
    if (header < IPV4_HEADER || header > cut->length)
        return true;
    put_u16(octets + 10, 0);
    put_checksum(octets + 10, checksum_fold(sum_of(octets, header)));
    return true;
}

static void whole(struct cut *cut, uint8_t *out) {
    cut->ended = true;
    if (cut->sum_at == 0) {
        memcpy(out, cut->packet, cut->length);
        return;
    }
    /* What stands in the field is the pseudo header's part of the sum. */
    memcpy(out, cut->packet, cut->sum_start);
    uint64_t sum = sum_copy(out + cut->sum_start, cut->packet + cut->sum_start, cut->length - cut->sum_start);
    uint16_t checksum = checksum_fold(sum);
    put_checksum(out + cut->sum_at, checksum == 0 ? 0xffff : checksum); /* UDP's 0 means none; for others both are 0 */
}

static void set_network(struct cut *cut, uint8_t *out, size_t length) {
    if (cut->version == 6) {
        put_u16(out + 4, length - IPV6_HEADER);
        return;
    }
    put_u16(out + 2, length);
    put_u16(out + 4, cut->id);
    uint64_t sum = cut->network_sum + summand_u16(length) + summand_u16(cut->id);
    put_checksum(out + 10, checksum_fold(sum));
    cut->id++;
}

/* CWR belongs to the first packet alone, FIN and PSH to the last. */
static uint64_t set_tcp(const struct cut *cut, uint8_t *tcp, bool last) {
    uint32_t sequence = cut->sequence + (uint32_t)cut->done;
    uint16_t flags = cut->flags;
    if (cut->done > 0)
        flags &= (uint16_t)~TCP_CWR;
    if (!last)
        flags &= (uint16_t) ~(TCP_FIN | TCP_PSH);
    put_u32(tcp + 4, sequence);
    put_u16(tcp + 12, flags);
    return summand_u32(sequence) + summand_u16(flags);
}

void cut_next(struct cut *cut, uint8_t *out) {
    if (cut->kind == CUT_WHOLE) {
        whole(cut, out);
        return;
    }
    size_t length = cut_next_length(cut), payload = length - cut->headers;
    bool last = cut->headers + cut->done + payload == cut->length;
    memcpy(out, cut->packet, cut->headers);
    set_network(cut, out, length);
    uint8_t *transport = out + cut->transport;
    uint64_t sum = cut->transport_sum + summand_u16(length - cut->transport);
    sum += sum_copy(out + cut->headers, cut->packet + cut->headers + cut->done, payload);
    if (cut->kind == CUT_TCP) {
        sum += set_tcp(cut, transport, last);
        put_checksum(transport + TCP_CHECK, checksum_fold(sum));
    } else {
        put_u16(transport + 4, length - cut->transport);
        uint16_t checksum = checksum_fold(sum + summand_u16(length - cut->transport));
        put_checksum(transport + UDP_CHECK, checksum == 0 ? 0xffff : checksum);
    }
    cut->done += payload;
    cut->ended = last;
}
