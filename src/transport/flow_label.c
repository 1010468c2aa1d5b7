/* flow_label.c: an IPv6 flow label of our own choosing (L13), so that what balances load by it sends a connection that
 * comes back the way of the one that was lost. A label is leased from the kernel first, which needs no privilege. */
#include "transport/internal.h"

#include <netinet/in.h>

#include <linux/in6.h>

#define LINGER_S 120 /* longer than the pause between a lost connection and the next try */

void flow_label_want(int fd, uint32_t label, struct sockaddr_storage *to) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
    int yes = 1;
    if (label == 0 || in6->sin6_family != AF_INET6)
        return;
    struct in6_flowlabel_req lease = {.flr_dst = in6->sin6_addr,
        .flr_label = htonl(label),
        .flr_action = IPV6_FL_A_GET,
        .flr_share = IPV6_FL_S_ANY,
        .flr_flags = IPV6_FL_F_CREATE,
        .flr_linger = LINGER_S};
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &lease, sizeof lease) == 0 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_FLOWINFO_SEND, &yes, sizeof yes) == 0)
        in6->sin6_flowinfo = htonl(label);
}
