/* protoport.c: which protocol and ports go through a tunnel: leftprotoport= as Libreswan writes it, and what strongSwan puts
 * between brackets behind a subnet. Names are few and fixed: /etc/protocols and /etc/services may differ between hosts. */
#include "config/internal.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *name;
    uint16_t number;
} protocols[] = {{"icmp", 1}, {"ipip", 4}, {"ipencap", 4}, {"tcp", 6}, {"udp", 17}, {"gre", 47}, {"ipv6-icmp", 58},
    {"icmpv6", 58}, {"ospf", 89}, {"l2tp", 115}, {"sctp", 132}},
  ports[] = {{"ssh", 22}, {"smtp", 25}, {"domain", 53}, {"http", 80}, {"ntp", 123}, {"snmp", 161}, {"ldap", 389},
      {"https", 443}, {"syslog", 514}, {"nfs", 2049}, {"l2f", 1701}, {"l2tp", 1701}};

/* All digits, at most `most`. */
static bool number(struct piece piece, uint32_t most, uint16_t *out) {
    uint32_t value = 0;
    for (size_t i = 0; i < piece.length; i++) {
        if (!isdigit((unsigned char)piece.at[i]))
            return false;
        value = value * 10 + (uint32_t)(piece.at[i] - '0');
        if (value > most)
            return false;
    }
    *out = (uint16_t)value;
    return piece.length > 0;
}

static bool read_protocol(struct piece piece, uint8_t *out) {
    uint16_t value = 0;
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (piece_is(piece, protocols[i].name)) {
            *out = (uint8_t)protocols[i].number;
            return true;
        }
    if (!piece_is(piece, "%any") && !number(piece, 255, &value))
        return false;
    *out = (uint8_t)value;
    return true;
}

static bool read_port(struct piece piece, uint16_t *out) {
    for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
        if (piece_is(piece, ports[i].name)) {
            *out = ports[i].number;
            return true;
        }
    return number(piece, UINT16_MAX, out);
}

static bool read_ports_of(struct piece piece, struct config_protoport *out) {
    const char *dash = memchr(piece.at, '-', piece.length);
    if (piece_is(piece, "%any") || piece.length == 0)
        return true;
    if (!dash) {
        if (!read_port(piece, &out->first))
            return false;
        out->last = out->first;
        if (out->first == 0 && out->protocol != 1 && out->protocol != 58) /* as Libreswan: all ports */
            out->last = UINT16_MAX;
        return true;
    }
    struct piece first = {piece.at, (size_t)(dash - piece.at)}, last = {dash + 1, piece.length - first.length - 1};
    return number(first, UINT16_MAX, &out->first) && number(last, UINT16_MAX, &out->last) && out->first <= out->last;
}

const char *protoport_parse(struct piece text, struct config_protoport *out) {
    const char *slash = memchr(text.at, '/', text.length);
    struct piece protocol = {text.at, slash ? (size_t)(slash - text.at) : text.length};
    struct piece rest = {slash ? slash + 1 : text.at, slash ? text.length - protocol.length - 1 : 0};
    *out = (struct config_protoport){.last = UINT16_MAX};
    if (protocol.length > 0 && !read_protocol(protocol, &out->protocol))
        return "write a protocol's number, tcp, udp, icmp, ipv6-icmp, sctp, gre or %any, such as tcp/443 or 17/1701";
    if (!read_ports_of(rest, out))
        return "write a port's number, two with - between them, or %any, such as tcp/443 or udp/1024-65535";
    bool all = out->first == 0 && out->last == UINT16_MAX;
    return all || out->protocol ? NULL : "ports need a protocol before them, such as tcp/443";
}

bool protoport_equal(const struct config_protoport *a, const struct config_protoport *b) {
    return a->protocol == b->protocol && a->first == b->first && a->last == b->last;
}
