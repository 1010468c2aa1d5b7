/* udp_internal.h: private to transport/: a UDP socket with all the memory that its batches need. */
#ifndef IKETCP_TRANSPORT_UDP_INTERNAL_H
#define IKETCP_TRANSPORT_UDP_INTERNAL_H

#include "transport/internal.h"

#include <netinet/in.h>
#include <netinet/udp.h>

#define UDP_SLOTS 32 /* buffers of one recvmmsg; with UDP_GRO each may hold many datagrams */
#define UDP_SEGMENTS_MAX 64 /* the kernel's bound for UDP_SEGMENT */
#define UDP_GATHER_MAX ((size_t)65000) /* octets in one UDP_SEGMENT message, headers fit beside them */
#define UDP_CONTROL_SIZE (CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(int)))

struct udp_control {
    _Alignas(struct cmsghdr) uint8_t octets[UDP_CONTROL_SIZE];
};

struct udp_socket {
    int fd;
    uint16_t port;
    uint8_t family; /* 4 or 6 */
    size_t segment_most; /* octets; longer datagrams go one by one; 0: the kernel or a device does not segment */

    /* Receiving. */
    uint8_t *octets; /* UDP_SLOTS * UDP_DATAGRAM_MAX; pages are there once they were used */
    struct mmsghdr in[UDP_SLOTS];
    struct iovec in_iov[UDP_SLOTS];
    struct sockaddr_storage in_from[UDP_SLOTS];
    struct udp_control in_control[UDP_SLOTS];
    struct udp_datagram came[UDP_RECEIVE_MAX];

    /* Sending. */
    struct mmsghdr out[UDP_BATCH_MAX];
    struct iovec out_iov[UDP_BATCH_MAX];
    struct sockaddr_storage out_to[UDP_BATCH_MAX];
    struct udp_control out_control[UDP_BATCH_MAX];
    uint8_t out_datagrams[UDP_BATCH_MAX]; /* in each message */
};

#endif
