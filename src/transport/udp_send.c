/* udp_send.c: one sendmmsg for a batch; neighbours of equal length to the same remote leave as one message that the kernel
 * or the device cuts (UDP_SEGMENT). A datagram that is refused costs the others nothing. */
#include "transport/udp_internal.h"

#include <errno.h>
#include <string.h>

/* PKTINFO for a local address that is set, UDP_SEGMENT for more than one datagram. */
static void write_control(struct udp_socket *udp, size_t m, const struct address *local, uint16_t segment) {
    struct msghdr *header = &udp->out[m].msg_hdr;
    header->msg_control = udp->out_control[m].octets;
    header->msg_controllen = UDP_CONTROL_SIZE;
    memset(udp->out_control[m].octets, 0, UDP_CONTROL_SIZE);
    struct cmsghdr *c = CMSG_FIRSTHDR(header);
    size_t used = 0;
    if (local->family == udp->family && !address_is_any(local)) {
        c->cmsg_level = udp->family == 4 ? IPPROTO_IP : IPPROTO_IPV6;
        c->cmsg_type = udp->family == 4 ? IP_PKTINFO : IPV6_PKTINFO;
        if (udp->family == 4) {
            struct in_pktinfo info = {0};
            memcpy(&info.ipi_spec_dst, local->octets, 4);
            c->cmsg_len = CMSG_LEN(sizeof info);
            memcpy(CMSG_DATA(c), &info, sizeof info);
            used += CMSG_SPACE(sizeof info);
        } else {
            struct in6_pktinfo info = {.ipi6_ifindex = local->scope};
            memcpy(&info.ipi6_addr, local->octets, 16);
            c->cmsg_len = CMSG_LEN(sizeof info);
            memcpy(CMSG_DATA(c), &info, sizeof info);
            used += CMSG_SPACE(sizeof info);
        }
        c = CMSG_NXTHDR(header, c);
    }
    if (segment != 0 && c != NULL) {
        c->cmsg_level = IPPROTO_UDP;
        c->cmsg_type = UDP_SEGMENT;
        c->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(c), &segment, sizeof segment);
        used += CMSG_SPACE(sizeof segment);
    }
    header->msg_controllen = used;
    if (used == 0)
        header->msg_control = NULL;
}

/* How many from the front may leave as one message: all as long as the first, but the last may be shorter. */
static size_t run_length(const struct udp_socket *udp, const struct udp_datagram *list, size_t count) {
    size_t segment = list[0].length, octets = segment, n = 1;
    if (segment == 0 || segment > udp->segment_most)
        return 1;
    while (n < count && n < UDP_SEGMENTS_MAX && list[n].length > 0 && list[n].length <= segment &&
           octets + list[n].length <= UDP_GATHER_MAX && address_equal(&list[n].remote, &list[0].remote) &&
           address_same_host(&list[n].local, &list[0].local)) {
        octets += list[n].length;
        n++;
        if (list[n - 1].length < segment)
            break;
    }
    return n;
}

/* Fills messages for list[0..count), count <= UDP_BATCH_MAX; returns how many. */
static size_t prepare(struct udp_socket *udp, const struct udp_datagram *list, size_t count) {
    size_t messages = 0;
    for (size_t at = 0; at < count; messages++) {
        size_t run = run_length(udp, list + at, count - at);
        for (size_t i = at; i < at + run; i++)
            udp->out_iov[i] = (struct iovec){.iov_base = list[i].octets, .iov_len = list[i].length};
        struct msghdr *header = &udp->out[messages].msg_hdr;
        header->msg_namelen = address_to_sockaddr(&list[at].remote, &udp->out_to[messages]);
        header->msg_iov = &udp->out_iov[at];
        header->msg_iovlen = run;
        write_control(udp, messages, &list[at].local, run > 1 ? (uint16_t)list[at].length : 0);
        udp->out_datagrams[messages] = (uint8_t)run;
        at += run;
    }
    return messages;
}

/* What the kernel says when it can't cut: no checksums by the device, or longer than the link takes in one piece. */
static bool can_not_segment(int code) {
    return code == EIO || code == EINVAL || code == EMSGSIZE || code == EOPNOTSUPP || code == ENOPROTOOPT;
}

/* Sends list[0..count); *done: how many are dealt with, sent or refused. False: the socket takes no more now. */
static bool send_some(
    struct udp_socket *udp, const struct udp_datagram *list, size_t count, size_t *done, size_t *sent, int *code) {
    size_t messages = prepare(udp, list, count);
    int n = sendmmsg(udp->fd, udp->out, (unsigned)messages, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != ENOBUFS) /* perhaps an earlier datagram's error, which is gone now */
        n = sendmmsg(udp->fd, udp->out, (unsigned)messages, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EBADF)) {
        *code = errno;
        return false;
    }
    if (n < 0 && udp->out_datagrams[0] > 1 && can_not_segment(errno)) {
        udp->segment_most = errno == EIO ? 0 : list[0].length - 1;
        return true; /* again, without */
    }
    if (n < 0) {
        *code = errno;
        *done += udp->out_datagrams[0];
        return true;
    }
    for (int i = 0; i < n; i++) {
        *done += udp->out_datagrams[i];
        *sent += udp->out_datagrams[i];
    }
    return true;
}

int udp_send(struct udp_socket *udp, const struct udp_datagram *list, size_t count, struct error *err) {
    size_t done = 0, sent = 0;
    int code = 0;
    while (done < count) {
        size_t batch = count - done < UDP_BATCH_MAX ? count - done : UDP_BATCH_MAX;
        if (!send_some(udp, list + done, batch, &done, &sent, &code))
            break;
    }
    if (sent == 0 && code != 0 && code != EAGAIN && code != ENOBUFS) {
        char to[ADDRESS_TEXT_MAX];
        fail(err, HOST, 0, "UDP to %s can't be sent: %s", address_port_text(&list[0].remote, to), strerror(code));
        return -1;
    }
    return (int)sent;
}
