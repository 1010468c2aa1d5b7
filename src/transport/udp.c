/* udp.c: making and ending a UDP socket: its options, and its memory, which is allocated once. */
#include "transport/udp_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* Which of our addresses a datagram came to, ICMP errors; and IP may fragment what is too long (the inner packets' own
 * DF is not copied, K10). */
static bool set_options(struct udp_socket *udp) {
    int flags = fcntl(udp->fd, F_GETFL);
    if (flags < 0 || fcntl(udp->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return false;
    if (udp->family == 4)
        return set(udp->fd, IPPROTO_IP, IP_PKTINFO, 1) && set(udp->fd, IPPROTO_IP, IP_RECVERR, 1) &&
               set(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
    return set(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && set(udp->fd, IPPROTO_IPV6, IPV6_RECVERR, 1) &&
           set(udp->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
}

static void prepare_memory(struct udp_socket *udp) {
    for (size_t i = 0; i < UDP_SLOTS; i++) {
        udp->in_iov[i] = (struct iovec){.iov_base = udp->octets + i * UDP_DATAGRAM_MAX, .iov_len = UDP_DATAGRAM_MAX};
        udp->in[i].msg_hdr = (struct msghdr){.msg_name = &udp->in_from[i],
            .msg_iov = &udp->in_iov[i],
            .msg_iovlen = 1,
            .msg_control = udp->in_control[i].octets};
    }
    for (size_t i = 0; i < UDP_BATCH_MAX; i++)
        udp->out[i].msg_hdr = (struct msghdr){.msg_name = &udp->out_to[i]};
}

struct udp_socket *udp_socket_new(int fd, uint16_t port, struct error *err) {
    struct address local;
    struct udp_socket *udp = calloc(1, sizeof *udp);
    if (udp != NULL)
        udp->octets = malloc(UDP_SLOTS * UDP_DATAGRAM_MAX);
    if (udp == NULL || udp->octets == NULL) {
        fail(err, OURS, 0, "memory is short for a UDP socket");
        close(fd);
        if (udp != NULL)
            free(udp->octets);
        free(udp);
        return NULL;
    }
    udp->fd = fd;
    udp->port = port;
    struct sockaddr_storage name = {0};
    socklen_t length = sizeof name;
    bool good =
        getsockname(fd, (struct sockaddr *)&name, &length) == 0; /* not address_from: :: may be mapped-looking */
    udp->family = good && name.ss_family == AF_INET6 ? 6 : 4;
    if (!good || !socket_addresses(fd, &local, NULL) || !set_options(udp)) {
        fail(err, HOST, 0, "a UDP socket does not take its options: %s", strerror(errno));
        udp_socket_free(udp);
        return NULL;
    }
    if (port == 0)
        udp->port = local.port;
    /* Both are only faster: kernels without do the same, one by one. */
    (void)set(fd, IPPROTO_UDP, UDP_GRO, 1);
    udp->segment_most = set(fd, IPPROTO_UDP, UDP_SEGMENT, 0) ? UDP_GATHER_MAX : 0;
    prepare_memory(udp);
    return udp;
}

void udp_socket_free(struct udp_socket *udp) {
    if (udp == NULL)
        return;
    close(udp->fd);
    free(udp->octets);
    free(udp);
}

int udp_socket_fd(const struct udp_socket *udp) {
    return udp->fd;
}
