/* packets.h: inner packets made by chance, and a plain reference for what cutting must give: octet by octet, slow, and
 * written without a look at cut.c. */
#ifndef TEST_DATAPLANE_PACKETS_H
#define TEST_DATAPLANE_PACKETS_H

#include "base/base.h"

struct packet {
    uint8_t octets[66000];
    size_t length;
};

struct burst_spec {
    uint8_t version, protocol; /* 6 TCP, 17 UDP */
    size_t segment, payload; /* octets per packet, in all */
    size_t options; /* TCP options' octets, a multiple of 4 */
    uint8_t flags; /* TCP's */
    uint16_t source_port;
    uint32_t sequence;
    uint16_t id;
    uint8_t tos, ttl;
    bool dont_fragment;
};

uint32_t chance(struct random_source *, uint32_t below);
struct burst_spec spec_by_chance(struct random_source *);
/* The burst as the kernel hands it over: header for the TUN in front, the pseudo header's sum in the checksum field. */
void burst_build(struct random_source *, const struct burst_spec *, struct packet *out);
size_t burst_packets(const struct burst_spec *);
/* The n-th packet on the wire of a burst that burst_build made (header for the TUN in front of it). */
void reference_packet(const struct burst_spec *, const struct packet *burst, size_t n, struct packet *out);

bool checksums_valid(const uint8_t *packet, size_t length);
void checksums_set(uint8_t *packet, size_t length); /* writes the right ones */
void reference_ttl_less(uint8_t *packet); /* as a router does, IPv4's checksum too */

#endif
