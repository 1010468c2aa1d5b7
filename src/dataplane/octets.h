/* octets.h: fields of headers whose whole length was checked before; network order outside, host order here. */
#ifndef IKETCP_DATAPLANE_OCTETS_H
#define IKETCP_DATAPLANE_OCTETS_H

#include <stdint.h>
#include <string.h>

static inline uint16_t get_u16(const uint8_t *at) {
    return (uint16_t)(at[0] << 8 | at[1]);
}
static inline uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}
static inline void put_u16(uint8_t *at, size_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void put_u32(uint8_t *at, uint32_t value) {
    put_u16(at, value >> 16);
    put_u16(at + 2, value & 0xffff);
}
/* A value as it adds to a checksum's running sum, whose words are in network order. */
static inline uint64_t summand_u16(size_t value) {
    uint8_t octets[2];
    put_u16(octets, value);
    uint16_t word;
    memcpy(&word, octets, 2);
    return word;
}
static inline uint64_t summand_u32(uint32_t value) {
    return summand_u16(value >> 16) + summand_u16(value & 0xffff);
}
/* Stores a folded checksum, which is in network order already. */
static inline void put_checksum(uint8_t *at, uint16_t checksum) {
    memcpy(at, &checksum, 2);
}

enum { IP_TCP = 6, IP_UDP = 17 };
enum { TCP_FIN = 0x01, TCP_SYN = 0x02, TCP_RST = 0x04, TCP_PSH = 0x08, TCP_ACK = 0x10, TCP_URG = 0x20, TCP_CWR = 0x80 };
enum { TCP_HEADER = 20, UDP_HEADER = 8, IPV4_HEADER = 20, IPV6_HEADER = 40, TCP_CHECK = 16, UDP_CHECK = 6 };

#endif
