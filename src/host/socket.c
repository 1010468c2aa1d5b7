/* socket.c: outer sockets, made here because their mark, their buffers and ports below 1024 take privilege. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/internal.h"

#define BUFFER_OCTETS (4 << 20)
#define BACKLOG 1024

static socklen_t socket_address(const struct address *local, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (local->family == 6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(local->port);
        v6->sin6_scope_id = local->scope;
        memcpy(&v6->sin6_addr, local->octets, 16);
        return sizeof *v6;
    }
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    v4->sin_family = AF_INET;
    v4->sin_port = htons(local->port);
    memcpy(&v4->sin_addr, local->octets, 4);
    return sizeof *v4;
}

static bool set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

/* Datagrams of any size leave, in fragments if need be; what ICMP says about them is kept. */
static bool set_udp(int fd, bool v6) {
    (void)set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_OCTETS);
    (void)set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_OCTETS);
    if (v6)
        return set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) && set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) &&
               set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
    return set(fd, IPPROTO_IP, IP_PKTINFO, 1) && set(fd, IPPROTO_IP, IP_RECVERR, 1) &&
           set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

static bool set_up(int fd, enum host_socket_kind kind, const struct address *local, uint32_t mark) {
    bool v6 = local->family == 6;
    struct sockaddr_storage at;
    socklen_t length = socket_address(local, &at);
    if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0 || (v6 && !set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)))
        return false;
    if (kind == HOST_UDP && !set_udp(fd, v6))
        return false;
    /* For a listener that restarts. Two on one UDP port would steal from each other, so not there. */
    if (kind == HOST_TCP_LISTEN && !set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
        return false;
    if (kind == HOST_TCP && local->port == 0) {
        if (address_is_any(local))
            return true;
        (void)set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); /* connect chooses, with more ports to choose from */
    }
    return bind(fd, (const struct sockaddr *)&at, length) == 0 && (kind != HOST_TCP_LISTEN || listen(fd, BACKLOG) == 0);
}

bool host_socket(struct host *h, enum host_socket_kind kind, const struct address *local, int *fd, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    int type = (kind == HOST_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    *fd = socket(local->family == 6 ? AF_INET6 : AF_INET, type, 0);
    if (*fd >= 0 && set_up(*fd, kind, local, h->mark)) {
        if (h->xfrm != NULL) /* policies of the kernel's ESP may be wide enough for what carries it */
            (void)xfrm_pass(*fd, local->family == 6);
        return true;
    }
    int why = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return fail(err, HOST, 0, "%s %s: %s%s", kind == HOST_UDP ? "UDP" : "TCP", address_port_text(local, text),
        strerror(why), why == EADDRINUSE ? "; another program, perhaps an IKE daemon, has this port" : "");
}

bool host_socket_congestion(int fd, const char *name, struct error *err) {
    if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0)
        return true;
    return fail(err, HOST, 0, "the congestion control '%s': %s%s", name, strerror(errno),
        errno == ENOENT ? "; this kernel does not have it" : "");
}
