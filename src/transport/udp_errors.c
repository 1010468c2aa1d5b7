/* udp_errors.c: ICMP errors about what we sent, as sentences. Anybody can forge them: they are hints (C1). */
#include "transport/udp_internal.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

#define QUEUED_MAX 64 /* entries looked at in one call */

static const char *reason(int code) {
    switch (code) {
    case ECONNREFUSED:
        return "the port is unreachable: nothing listens there";
    case EHOSTUNREACH:
        return "the host is unreachable";
    case ENETUNREACH:
        return "the network is unreachable";
    case EACCES:
        return "a firewall prohibits it";
    case EMSGSIZE:
        return "the packet is too big for the path";
    default:
        return strerror(code);
    }
}

/* The extended error of a message of the queue; false: it is about something else. */
static bool find_error(struct msghdr *header, struct sock_extended_err *out) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        bool v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        if (!v4 && !v6)
            continue;
        memcpy(out, CMSG_DATA(c), sizeof *out);
        return out->ee_errno != 0 && (out->ee_origin == SO_EE_ORIGIN_ICMP || out->ee_origin == SO_EE_ORIGIN_ICMP6 ||
                                         out->ee_origin == SO_EE_ORIGIN_LOCAL);
    }
    return false;
}

bool udp_take_error(struct udp_socket *udp, struct address *remote, struct error *err) {
    for (int i = 0; i < QUEUED_MAX; i++) {
        struct sockaddr_storage to = {0};
        uint8_t octets[64]; /* of our datagram; nobody needs them */
        struct iovec iov = {.iov_base = octets, .iov_len = sizeof octets};
        _Alignas(struct cmsghdr) uint8_t control[512];
        struct msghdr header = {.msg_name = &to,
            .msg_namelen = sizeof to,
            .msg_iov = &iov,
            .msg_iovlen = 1,
            .msg_control = control,
            .msg_controllen = sizeof control};
        if (recvmsg(udp->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return false;
        struct sock_extended_err error;
        if (!find_error(&header, &error))
            continue;
        char text[ADDRESS_TEXT_MAX];
        address_from_sockaddr(&to, remote);
        fail(err, HOST, 0, "UDP %s: %s", address_port_text(remote, text), reason((int)error.ee_errno));
        return true;
    }
    return false;
}
