/* join.c: packets that came out of the tunnel, joined into bursts for the TUN by the rules of the kernel's own receive
 * offload: consecutive segments of one flow that differ in nothing but sequence, length and checksum. Checksums are
 * verified first, since the kernel takes a burst for verified. Nothing is copied: a burst is a list of payloads in place. */
#include "dataplane/octets.h"
#include "dataplane/offload.h"
#include "wire/wire.h"

/* One packet that may be joined, its headers checked against its length. */
struct candidate {
    uint8_t *packet;
    size_t length;
    uint8_t version, protocol;
    size_t transport, headers, payload;
    uint16_t id;
    uint8_t flags; /* TCP's */
    uint32_t sequence;
};

enum look {
    LOOK_OTHER, /* no TCP or UDP: order against those does not matter */
    LOOK_ODD, /* TCP or UDP in a form that is not joined; which flow it is of is not found out */
    LOOK_FLOW, /* of a flow, but it must go alone */
    LOOK_JOINABLE,
};

void joiner_init(
    struct joiner *joiner, bool offload, bool udp, void (*emit)(void *, const struct iovec *, size_t), void *context) {
    *joiner = (struct joiner){.emit = emit, .context = context, .offload = offload, .udp = udp};
}

static bool is_tcp_or_udp(uint8_t protocol) {
    return protocol == IP_TCP || protocol == IP_UDP;
}

/* IPv4 with options and IPv6 with extension headers are not worth joining. */
static enum look look_network(struct candidate *c) {
    if (c->length < IPV4_HEADER)
        return LOOK_OTHER;
    c->version = c->packet[0] >> 4;
    if (c->version == 4) {
        c->protocol = c->packet[9];
        c->transport = IPV4_HEADER;
        if (!is_tcp_or_udp(c->protocol))
            return LOOK_OTHER;
        bool fragment = (get_u16(c->packet + 6) & 0x3fff) != 0;
        if ((c->packet[0] & 15) != 5 || fragment || get_u16(c->packet + 2) != c->length ||
            checksum_fold(sum_of(c->packet, IPV4_HEADER)) != 0)
            return LOOK_ODD;
        c->id = get_u16(c->packet + 4);
        return LOOK_JOINABLE;
    }
    if (c->version != 6 || c->length < IPV6_HEADER)
        return LOOK_OTHER;
    c->protocol = c->packet[6];
    c->transport = IPV6_HEADER;
    if (c->protocol == 58) /* ICMPv6 */
        return LOOK_OTHER;
    if (!is_tcp_or_udp(c->protocol) || get_u16(c->packet + 4) + (size_t)IPV6_HEADER != c->length)
        return LOOK_ODD;
    return LOOK_JOINABLE;
}

static enum look look_tcp(struct candidate *c) {
    const uint8_t *tcp = c->packet + c->transport;
    if (c->transport + TCP_HEADER > c->length)
        return LOOK_ODD;
    size_t own = (size_t)(tcp[12] >> 4) * 4;
    c->headers = c->transport + own;
    if (own < TCP_HEADER || c->headers > c->length)
        return LOOK_ODD;
    c->payload = c->length - c->headers;
    c->sequence = get_u32(tcp + 4);
    c->flags = tcp[13];
    bool plain = (c->flags & (TCP_ACK | TCP_SYN | TCP_RST | TCP_URG)) == TCP_ACK;
    return plain && c->payload > 0 ? LOOK_JOINABLE : LOOK_FLOW;
}

static enum look look_udp(struct candidate *c, bool wanted) {
    const uint8_t *udp = c->packet + c->transport;
    c->headers = c->transport + UDP_HEADER;
    if (c->headers > c->length)
        return LOOK_ODD;
    c->payload = c->length - c->headers;
    bool plain = get_u16(udp + 4) == c->length - c->transport && get_u16(udp + UDP_CHECK) != 0;
    return wanted && plain && c->payload > 0 ? LOOK_JOINABLE : LOOK_FLOW;
}

/* The pseudo header's sum for a TCP segment or UDP datagram of `length` octets. */
static uint64_t pseudo_sum(const uint8_t *packet, uint8_t version, uint8_t protocol, size_t length) {
    uint64_t sum = summand_u16(protocol) + summand_u16(length);
    return sum + (version == 4 ? sum_of(packet + 12, 8) : sum_of(packet + 8, 32));
}

static bool checksum_right(const struct candidate *c) {
    size_t length = c->length - c->transport;
    uint64_t sum = pseudo_sum(c->packet, c->version, c->protocol, length);
    return checksum_fold(sum + sum_of(c->packet + c->transport, length)) == 0;
}

static bool same_flow(const struct join_flow *flow, const struct candidate *c) {
    if (flow->segments == 0 || flow->version != c->version || flow->protocol != c->protocol ||
        memcmp(flow->first + flow->transport, c->packet + c->transport, 4) != 0)
        return false;
    return c->version == 4 ? memcmp(flow->first + 12, c->packet + 12, 8) == 0
                           : memcmp(flow->first + 8, c->packet + 8, 32) == 0;
}

static struct join_flow *find(struct joiner *joiner, const struct candidate *c) {
    for (size_t i = 0; joiner->open > 0 && i < JOIN_FLOWS; i++)
        if (same_flow(&joiner->flow[i], c))
            return &joiner->flow[i];
    return NULL;
}

/* --- a burst on its way out --- */

static void set_network(struct join_flow *flow, size_t length) {
    uint8_t *network = flow->first;
    if (flow->version == 6) {
        put_u16(network + 4, length - IPV6_HEADER);
        return;
    }
    put_u16(network + 2, length);
    memset(network + 10, 0, 2);
    put_checksum(network + 10, checksum_fold(sum_of(network, IPV4_HEADER)));
}

/* The checksum is left to the kernel, which wants the pseudo header's part in its field. */
static void set_transport(struct join_flow *flow, size_t length, struct virtio_net_hdr *header) {
    uint8_t *transport = flow->first + flow->transport;
    size_t own = length - flow->transport;
    bool tcp = flow->protocol == IP_TCP;
    if (tcp)
        transport[13] |= flow->late_flags;
    else
        put_u16(transport + 4, own);
    uint64_t sum = pseudo_sum(flow->first, flow->version, flow->protocol, own);
    *header = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = !tcp                 ? VIRTIO_NET_HDR_GSO_UDP_L4
                    : flow->version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4
                                         : VIRTIO_NET_HDR_GSO_TCPV6,
        .hdr_len = (uint16_t)flow->headers,
        .gso_size = (uint16_t)flow->segment,
        .csum_start = (uint16_t)flow->transport,
        .csum_offset = tcp ? TCP_CHECK : UDP_CHECK};
    if (tcp && (transport[13] & TCP_CWR))
        header->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    put_checksum(transport + header->csum_offset, (uint16_t)~checksum_fold(sum));
}

static void flush_flow(struct joiner *joiner, struct join_flow *flow) {
    struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
    if (flow->segments > 1) {
        size_t length = flow->headers + flow->payload;
        set_network(flow, length);
        set_transport(flow, length, &header);
    }
    flow->part[0] = (struct iovec){.iov_base = &header, .iov_len = sizeof header};
    joiner->emit(joiner->context, flow->part, 1 + flow->segments);
    flow->segments = 0;
    joiner->open--;
}

void join_flush(struct joiner *joiner) {
    while (joiner->open > 0) { /* in the order in which they were opened */
        struct join_flow *oldest = NULL;
        for (size_t i = 0; i < JOIN_FLOWS; i++) {
            struct join_flow *flow = &joiner->flow[i];
            if (flow->segments > 0 && (oldest == NULL || flow->order < oldest->order))
                oldest = flow;
        }
        flush_flow(joiner, oldest);
    }
}

static void alone(struct joiner *joiner, uint8_t *packet, size_t length) {
    struct virtio_net_hdr header = {0};
    struct iovec part[2] = {{.iov_base = &header, .iov_len = sizeof header}, {.iov_base = packet, .iov_len = length}};
    joiner->emit(joiner->context, part, 2);
}

/* --- joining --- */

/* TOS and TTL, or traffic class, flow label and hop limit. An identification must count on, as cutting makes it; with DF
 * set it means nothing (RFC 6864), and some senders let it stand still. */
static bool network_agrees(struct join_flow *flow, const struct candidate *c) {
    const uint8_t *a = flow->first, *b = c->packet;
    if (c->version == 6)
        return memcmp(a, b, 4) == 0 && a[7] == b[7];
    if (a[1] != b[1] || a[8] != b[8] || memcmp(a + 6, b + 6, 2) != 0)
        return false;
    bool may_stand_still = (a[6] & 0x40) != 0;
    if (flow->segments == 1)
        flow->ids_stand_still = may_stand_still && c->id == flow->first_id;
    uint16_t expected = flow->ids_stand_still ? flow->first_id : (uint16_t)(flow->first_id + flow->segments);
    return c->id == expected;
}

static bool tcp_agrees(const struct join_flow *flow, const struct candidate *c) {
    const uint8_t *a = flow->first + flow->transport, *b = c->packet + c->transport;
    const uint8_t may_differ = TCP_FIN | TCP_PSH | TCP_CWR;
    if (c->sequence != flow->next_sequence || (c->flags & TCP_CWR) || c->headers != flow->headers)
        return false;
    return memcmp(a + 8, b + 8, 5) == 0 && ((a[13] ^ b[13]) & ~may_differ) == 0 && memcmp(a + 14, b + 14, 2) == 0 &&
           memcmp(a + 18, b + 18, flow->headers - flow->transport - 18) == 0;
}

static bool append(struct join_flow *flow, const struct candidate *c) {
    unsigned most = c->protocol == IP_TCP ? JOIN_SEGMENTS_MAX : JOIN_UDP_SEGMENTS_MAX;
    if (c->payload > flow->segment || flow->segments >= most ||
        flow->headers + flow->payload + c->payload > TUN_WRITE_MAX)
        return false;
    if (c->protocol == IP_TCP && !tcp_agrees(flow, c))
        return false;
    if (!network_agrees(flow, c))
        return false;
    flow->segments++;
    flow->part[flow->segments] = (struct iovec){.iov_base = c->packet + c->headers, .iov_len = c->payload};
    flow->payload += c->payload;
    flow->next_sequence += (uint32_t)c->payload;
    return true;
}

static struct join_flow *open_flow(struct joiner *joiner, const struct candidate *c) {
    struct join_flow *chosen = &joiner->flow[0];
    for (size_t i = 0; i < JOIN_FLOWS && chosen->segments > 0; i++) {
        struct join_flow *flow = &joiner->flow[i];
        if (flow->segments == 0 || flow->order < chosen->order)
            chosen = flow;
    }
    if (chosen->segments > 0)
        flush_flow(joiner, chosen);
    chosen->first = c->packet;
    chosen->version = c->version;
    chosen->protocol = c->protocol;
    chosen->transport = c->transport;
    chosen->headers = c->headers;
    chosen->segment = chosen->payload = c->payload;
    chosen->segments = 1;
    chosen->next_sequence = c->sequence + (uint32_t)c->payload;
    chosen->first_id = c->id;
    chosen->ids_stand_still = false;
    chosen->late_flags = 0;
    chosen->order = joiner->opened++;
    chosen->part[1] = (struct iovec){.iov_base = c->packet, .iov_len = c->length};
    joiner->open++;
    return chosen;
}

/* Nothing may follow a short one, or one that says "deliver now". */
static void join(struct joiner *joiner, struct join_flow *flow, const struct candidate *c) {
    if (flow != NULL && !append(flow, c)) {
        flush_flow(joiner, flow);
        flow = NULL;
    }
    if (flow == NULL)
        flow = open_flow(joiner, c);
    bool last = c->payload < flow->segment;
    if (c->protocol == IP_TCP) {
        flow->late_flags |= c->flags & (TCP_FIN | TCP_PSH);
        last |= (c->flags & (TCP_FIN | TCP_PSH)) != 0;
    }
    if (last)
        flush_flow(joiner, flow);
}

void join_add(struct joiner *joiner, uint8_t *packet, size_t length) {
    struct candidate c = {.packet = packet, .length = length};
    enum look look = joiner->offload ? look_network(&c) : LOOK_OTHER;
    if (look == LOOK_JOINABLE)
        look = c.protocol == IP_TCP ? look_tcp(&c) : look_udp(&c, joiner->udp);
    if (look == LOOK_JOINABLE && !checksum_right(&c))
        look = LOOK_FLOW; /* the kernel will see, and count it */
    if (look == LOOK_ODD)
        join_flush(joiner);
    struct join_flow *flow = look == LOOK_FLOW || look == LOOK_JOINABLE ? find(joiner, &c) : NULL;
    if (look == LOOK_JOINABLE) {
        join(joiner, flow, &c);
        return;
    }
    if (flow != NULL)
        flush_flow(joiner, flow);
    alone(joiner, packet, length);
}
