/* transport.c: transport mode. The inner IP header does not travel: the outer one, which the kernel writes, stands for it, and
 * behind the other end it is made again. A NAT between changes addresses under checksums: they are mended here. */
#include <string.h>

#include "esp/internal.h"

enum { NEXT_TCP = 6, NEXT_UDP = 17, NEXT_FRAGMENT = 44, NEXT_ICMPV6 = 58, NEXT_SCTP = 132, NEXT_UDPLITE = 136 };
enum { V4_HEADER = 20, V6_HEADER = 40, HOPS = 64 };

/* ---------------------------------------------------------------- outbound ---- */

bool esp_transport_strip(const uint8_t *inner, size_t length, size_t *strip, uint8_t *next_header) {
    if (length >= V4_HEADER && inner[0] >> 4 == 4) {
        bool fragment = (inner[6] & 0x3f) != 0 || inner[7] != 0;
        *strip = 4 * (size_t)(inner[0] & 15); /* options are the outer header's business, and not carried */
        *next_header = inner[9];
        return !fragment && *strip >= V4_HEADER && *strip <= length;
    }
    *strip = V6_HEADER; /* extension headers travel */
    if (length < V6_HEADER || inner[0] >> 4 != 6)
        return false;
    *next_header = inner[6];
    return inner[6] != NEXT_FRAGMENT;
}

/* ---------------------------------------------------------------- inbound ---- */

static const struct address *ours(const struct esp_sa *sa) {
    return &sa->config.local->selector[0].first;
}

static const struct address *theirs(const struct esp_sa *sa) {
    return &sa->config.remote->selector[0].first;
}

static bool is_host(const struct selector_list *list) {
    for (size_t i = 0; i < list->count; i++)
        if (!address_same_host(&list->selector[i].first, &list->selector[i].last) ||
            !address_same_host(&list->selector[i].first, &list->selector[0].first))
            return false;
    return list->count > 0;
}

/* RFC 1624: what the peer summed is taken out, what we see put in. */
static uint64_t shift_of(const struct address *peers, const struct address *own) {
    uint8_t inverted[16];
    size_t length = address_octets(own);
    if (peers->family != own->family || address_same_host(peers, own))
        return 0;
    for (size_t i = 0; i < length; i++)
        inverted[i] = (uint8_t)~peers->octets[i];
    return checksum_add(checksum_add(0, inverted, length), own->octets, length);
}

bool transport_set(struct esp_sa *sa, struct error *err) {
    if (!is_host(sa->config.local) || !is_host(sa->config.remote) || ours(sa)->family != theirs(sa)->family)
        return fail(err, OURS, NOTIFY_NONE, "transport mode is for one host and another");
    sa->checksum_shift = shift_of(&sa->config.peer_local, ours(sa)) + shift_of(&sa->config.peer_remote, theirs(sa));
    return true;
}

static bool has_ports(uint8_t protocol) {
    return protocol == NEXT_TCP || protocol == NEXT_UDP || protocol == NEXT_SCTP;
}

bool transport_allows_in(const struct esp_sa *sa, const struct esp_open_job *job) {
    struct flow flow = {.source = *theirs(sa), .destination = *ours(sa), .protocol = job->next_header};
    struct reader r = reader_over(job->inner, job->inner_length);
    uint16_t first, second;
    bool is_icmp = job->next_header == 1 || job->next_header == NEXT_ICMPV6;
    if (is_icmp && reader_u16(&r, &first)) {
        flow.source.port = first;
        flow.has_ports = true;
    } else if (has_ports(job->next_header) && reader_u16(&r, &first) && reader_u16(&r, &second)) {
        flow.source.port = first;
        flow.destination.port = second;
        flow.has_ports = true;
    }
    return job->next_header != NEXT_FRAGMENT && esp_sa_allows_in(sa, &flow);
}

static void write_v4(const struct esp_sa *sa, size_t total, uint8_t next_header, uint8_t *out) {
    const uint8_t header[V4_HEADER] = {[0] = 0x45,
        [2] = (uint8_t)(total >> 8),
        [3] = (uint8_t)total,
        [6] = 0x40, /* never cut on its way, so it needs no identification (RFC 6864) */
        [8] = HOPS,
        [9] = next_header};
    memcpy(out, header, sizeof header);
    memcpy(out + 12, theirs(sa)->octets, 4);
    memcpy(out + 16, ours(sa)->octets, 4);
    uint16_t sum = checksum_fold(checksum_add(0, out, V4_HEADER));
    memcpy(out + 10, &sum, sizeof sum);
}

static void write_v6(const struct esp_sa *sa, size_t payload, uint8_t next_header, uint8_t *out) {
    const uint8_t header[8] = {
        [0] = 0x60, [4] = (uint8_t)(payload >> 8), [5] = (uint8_t)payload, [6] = next_header, [7] = HOPS};
    memcpy(out, header, sizeof header);
    memcpy(out + 8, theirs(sa)->octets, 16);
    memcpy(out + 24, ours(sa)->octets, 16);
}

/* Where the checksum over addresses stands; 0: the protocol has none. */
static size_t checksum_at(uint8_t protocol) {
    switch (protocol) {
    case NEXT_TCP:
        return 16;
    case NEXT_UDP:
    case NEXT_UDPLITE:
        return 6;
    case NEXT_ICMPV6:
        return 2;
    default:
        return 0;
    }
}

static void mend_checksum(const struct esp_sa *sa, uint8_t protocol, uint8_t *payload, size_t length) {
    size_t at = checksum_at(protocol);
    uint16_t sum;
    if (sa->checksum_shift == 0 || at == 0 || at + sizeof sum > length)
        return;
    memcpy(&sum, payload + at, sizeof sum);
    if (sum == 0 && protocol == NEXT_UDP)
        return; /* none was made */
    sum = checksum_fold(sa->checksum_shift + (uint16_t)~sum);
    if (sum == 0 && (protocol == NEXT_UDP || protocol == NEXT_UDPLITE))
        sum = UINT16_MAX;
    memcpy(payload + at, &sum, sizeof sum);
}

size_t esp_transport_rebuild(
    const struct esp_sa *sa, const uint8_t *inner, size_t length, uint8_t next_header, uint8_t *out, size_t capacity) {
    bool v4 = ours(sa)->family == 4;
    size_t header = v4 ? V4_HEADER : V6_HEADER, total = header + length;
    if (total > capacity || (v4 ? total : length) > UINT16_MAX)
        return 0;
    if (v4)
        write_v4(sa, total, next_header, out);
    else
        write_v6(sa, length, next_header, out);
    memcpy(out + header, inner, length);
    mend_checksum(sa, next_header, out + header, length);
    return total;
}
