/* sockaddr.c: addresses as values, and as the sockets want them. */
#include "transport/internal.h"

#include <netinet/in.h>
#include <string.h>

unsigned address_to_sockaddr(const struct address *address, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (address->family == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(address->port);
        in6->sin6_scope_id = address->scope;
        memcpy(&in6->sin6_addr, address->octets, 16);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = address->family == 4 ? AF_INET : AF_UNSPEC;
    in->sin_port = htons(address->port);
    memcpy(&in->sin_addr, address->octets, 4);
    return sizeof *in;
}

void address_from_v6(const uint8_t octets[16], uint32_t scope, struct address *out) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    *out = (struct address){.family = 6};
    if (memcmp(octets, mapped, sizeof mapped) == 0) {
        out->family = 4;
        memcpy(out->octets, octets + sizeof mapped, 4);
        return;
    }
    memcpy(out->octets, octets, 16);
    if (octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80)
        out->scope = scope; /* elsewhere it says nothing and would spoil comparing */
}

void address_from_sockaddr(const struct sockaddr_storage *from, struct address *out) {
    *out = (struct address){0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)from;
        out->family = 4;
        memcpy(out->octets, &in->sin_addr, 4);
        out->port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
        address_from_v6(in6->sin6_addr.s6_addr, in6->sin6_scope_id, out);
        out->port = ntohs(in6->sin6_port);
    }
}

bool socket_addresses(int fd, struct address *local, struct address *remote) {
    struct sockaddr_storage storage = {0};
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0)
        return false;
    address_from_sockaddr(&storage, local);
    if (remote == NULL)
        return true;
    length = sizeof storage;
    if (getpeername(fd, (struct sockaddr *)&storage, &length) < 0)
        return false;
    address_from_sockaddr(&storage, remote);
    return true;
}
