/* offload.h: what the kernel's segmentation offload asks of a TUN device opened with IFF_VNET_HDR: bursts that come from
 * it are cut into packets (cut.c), packets that go to it are joined into bursts (join.c). Pure: octets in, octets out. */
#ifndef IKETCP_DATAPLANE_OFFLOAD_H
#define IKETCP_DATAPLANE_OFFLOAD_H

#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "base/base.h"

/* Newer than Debian 12's headers (Linux 6.2). */
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define TUN_HEADER_LENGTH (sizeof(struct virtio_net_hdr)) /* 10 octets, in host order */
#define TUN_READ_MAX (TUN_HEADER_LENGTH + (size_t)65536)
#define TUN_WRITE_MAX ((size_t)65535) /* inner octets of a joined packet */

/* ---- sum.c: RFC 1071's sum over long spans; running sums as checksum_fold of wire/ takes them ---- */
uint64_t sum_of(const uint8_t *octets, size_t length);
uint64_t sum_copy(uint8_t *to, const uint8_t *from, size_t length); /* copies as well: the fast path's one copy */

/* ---- cut.c ---- */
enum cut_kind { CUT_WHOLE, CUT_TCP, CUT_UDP };
struct cut {
    const uint8_t *packet; /* one inner packet, or a burst with the headers of one */
    size_t length;
    enum cut_kind kind;
    uint8_t version; /* 4 or 6 */
    size_t transport; /* offset of the TCP or UDP header */
    size_t headers; /* octets in front of the payload */
    size_t segment; /* payload octets of each packet but the last; WHOLE: all */
    size_t done; /* payload octets cut off so far */
    bool ended;
    size_t sum_start, sum_at; /* WHOLE: the checksum to complete; sum_at 0: none */
    uint64_t network_sum, transport_sum; /* of what is equal in all packets' headers */
    uint32_t sequence;
    uint16_t id, flags; /* TCP's 4th word begins with data offset and flags */
};
/* Begins with what one read of the TUN gave, header in front, which must stay as it is until the last packet is cut
 * off. False: malformed, drop it. */
MUST_USE bool cut_begin(struct cut *, const uint8_t *octets, size_t length);
size_t cut_longest(const struct cut *); /* octets of its longest packet */
size_t cut_next_length(const struct cut *); /* octets of the next packet, 0: no more */
void cut_next(struct cut *, uint8_t *out); /* writes it; room for cut_next_length */
void cut_skip(struct cut *); /* the next packet is lost */
size_t cut_packets(const struct cut *); /* that are still to come */
/* Sets CE (RFC 3168) in all packets, none of which was cut off yet; `octets` is cut->packet, to be written. False: their
 * ends know no ECN. */
MUST_USE bool cut_mark(struct cut *, uint8_t *octets);

/* ---- join.c ---- */
#define JOIN_FLOWS 8 /* that are open at once */
#define JOIN_SEGMENTS_MAX 128u
#define JOIN_UDP_SEGMENTS_MAX 64u /* the kernel refuses more (UDP_MAX_SEGMENTS) */

struct join_flow {
    uint8_t *first; /* the first packet, in place: its headers become those of the burst */
    uint8_t version, protocol;
    size_t transport, headers;
    size_t segment; /* payload octets of the first */
    size_t payload; /* payload octets in all */
    unsigned segments; /* 0: this one is free */
    uint32_t next_sequence;
    uint16_t first_id;
    bool ids_stand_still; /* all packets carry one IP identification (DF set) */
    uint8_t late_flags; /* FIN and PSH of the last */
    uint64_t order; /* when it was opened */
    struct iovec part[1 + JOIN_SEGMENTS_MAX]; /* [0]: the header for the TUN */
};
struct joiner {
    /* Takes part[0..count): header for the TUN, then one packet; gone after the call. */
    void (*emit)(void *context, const struct iovec *part, size_t count);
    void *context;
    bool offload; /* the TUN takes bursts; else packets pass one by one */
    bool udp; /* USO too */
    uint64_t opened;
    size_t open;
    struct join_flow flow[JOIN_FLOWS];
};
void joiner_init(
    struct joiner *, bool offload, bool udp, void (*emit)(void *, const struct iovec *, size_t), void *context);
/* Adds one inner packet, exactly `length` octets, which must stay where it is (and may be changed) until it was emitted:
 * at once, or by join_flush at the latest. Order within a flow is kept. */
void join_add(struct joiner *, uint8_t *packet, size_t length);
void join_flush(struct joiner *);

#endif
