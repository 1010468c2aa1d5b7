/* udp_receive.c: one recvmmsg takes what waits; what the kernel had joined (UDP_GRO) is cut apart where it lies. */
#include "transport/udp_internal.h"

#include <errno.h>
#include <string.h>

#define SOCKET_ERRORS_MAX 8 /* of earlier datagrams, said by this call; they are in the error queue as well */

/* The local address of PKTINFO, and the length of the joined ones (0: it is one). */
static void read_control(struct msghdr *header, struct address *local, size_t *segment) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            *local = (struct address){.family = 4};
            memcpy(local->octets, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            address_from_v6(info.ipi6_addr.s6_addr, info.ipi6_ifindex, local);
        } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
            int size;
            memcpy(&size, CMSG_DATA(c), sizeof size);
            *segment = size > 0 ? (size_t)size : 0;
        }
    }
}

static size_t take_slot(struct udp_socket *udp, size_t slot, size_t count) {
    struct mmsghdr *message = &udp->in[slot];
    struct udp_datagram one = {.octets = udp->in_iov[slot].iov_base};
    size_t segment = 0, length = message->msg_len;
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0)
        return count;
    address_from_sockaddr(&udp->in_from[slot], &one.remote);
    read_control(&message->msg_hdr, &one.local, &segment);
    one.local.port = udp->port;
    if (segment == 0 || segment > length)
        segment = length;
    do { /* once for an empty datagram */
        if (count == UDP_RECEIVE_MAX)
            return count;
        one.length = segment < length ? segment : length;
        udp->came[count++] = one;
        one.octets += one.length;
        length -= one.length;
    } while (length > 0);
    return count;
}

static int receive(struct udp_socket *udp) {
    for (size_t i = 0; i < UDP_SLOTS; i++) {
        udp->in[i].msg_hdr.msg_namelen = sizeof udp->in_from[i];
        udp->in[i].msg_hdr.msg_controllen = UDP_CONTROL_SIZE;
    }
    int got = -1;
    for (int i = 0; got < 0 && i < SOCKET_ERRORS_MAX; i++) {
        got = recvmmsg(udp->fd, udp->in, UDP_SLOTS, MSG_DONTWAIT, NULL);
        if (got < 0 && (errno == EAGAIN || errno == EBADF || errno == ENOTSOCK))
            break;
    }
    return got;
}

int udp_receive(struct udp_socket *udp, struct udp_datagram **out, struct error *err) {
    *out = udp->came;
    int got = receive(udp);
    if (got < 0) {
        if (errno != EBADF && errno != ENOTSOCK)
            return 0; /* nothing, or errors that udp_take_error explains */
        fail(err, HOST, 0, "receiving over UDP failed: %s", strerror(errno));
        return -1;
    }
    size_t count = 0;
    for (int i = 0; i < got; i++)
        count = take_slot(udp, (size_t)i, count);
    return (int)count;
}
