/* internal_inner.h: private to wire/: numbers of IP headers. */
#ifndef IKETCP_WIRE_INTERNAL_INNER_H
#define IKETCP_WIRE_INTERNAL_INNER_H

#define INNER_V4_HEADER ((size_t)20)
#define INNER_V6_HEADER ((size_t)40)
#define INNER_ICMP_HEADER ((size_t)8)
#define INNER_V4_OFFSET 0x1fff /* of the fragment field */
#define INNER_V6_OFFSET 0xfff8

enum { /* IANA's protocol numbers */
    INNER_HOP_BY_HOP = 0,
    INNER_ICMP = 1,
    INNER_TCP = 6,
    INNER_UDP = 17,
    INNER_ROUTING = 43,
    INNER_FRAGMENT = 44,
    INNER_ICMPV6 = 58,
    INNER_DESTINATION_OPTIONS = 60,
    INNER_SCTP = 132,
};

#endif
