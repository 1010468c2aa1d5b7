/* watch.c: the kernel says when links, addresses or routes change; what this daemon did itself is passed over. */
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <sys/socket.h>

#include "host/internal.h"

#define MESSAGES_A_READ 256 /* then others have a look in */

bool host_watch_open(struct host *h, int *fd, struct error *err) {
    static const int groups[] = {
        RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
    if (h->watch == NULL && !netlink_open(&h->watch, NETLINK_ROUTE, err))
        return false;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        int failed = nl_socket_add_membership(h->watch, groups[i]);
        if (failed != 0)
            return fail(err, HOST, 0, "changes of the network are not noticed: %s", nl_geterror(failed));
    }
    int failed = nl_socket_set_nonblocking(h->watch);
    if (failed != 0)
        return fail(err, HOST, 0, "changes of the network are not noticed: %s", nl_geterror(failed));
    *fd = nl_socket_get_fd(h->watch);
    return true;
}

static bool route_matters(const struct host *h, struct nlmsghdr *header) {
    struct nlattr *attribute[RTA_MAX + 1];
    const struct rtmsg *route = nlmsg_data(header);
    if (nlmsg_parse(header, sizeof *route, attribute, RTA_MAX, NULL) != 0)
        return false;
    uint32_t table = attribute[RTA_TABLE] != NULL ? nla_get_u32(attribute[RTA_TABLE]) : route->rtm_table;
    int index = attribute[RTA_OIF] != NULL ? (int)nla_get_u32(attribute[RTA_OIF]) : 0;
    bool ours = is_our_device(h, index) || (h->table != 0 && (table == h->table || table == h->table_default));
    return !ours && table != RT_TABLE_LOCAL && (route->rtm_flags & RTM_F_CLONED) == 0;
}

struct seen {
    struct host *host;
    bool matters;
};

static int see_change(struct nl_msg *message, void *context) {
    struct seen *seen = context;
    struct nlmsghdr *header = nlmsg_hdr(message);
    switch (header->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        if (nlmsg_valid_hdr(header, sizeof(struct ifinfomsg)))
            seen->matters |= !is_our_device(seen->host, ((struct ifinfomsg *)nlmsg_data(header))->ifi_index);
        break;
    case RTM_NEWADDR:
    case RTM_DELADDR:
        if (nlmsg_valid_hdr(header, sizeof(struct ifaddrmsg)))
            seen->matters |= !is_our_device(seen->host, (int)((struct ifaddrmsg *)nlmsg_data(header))->ifa_index);
        break;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        seen->matters |= route_matters(seen->host, header);
        break;
    default:
        break;
    }
    return NL_OK;
}

/* They answer nothing, so their numbers follow nothing. */
static int in_any_order(struct nl_msg *message, void *context) {
    (void)message;
    (void)context;
    return NL_OK;
}

bool host_watch_changed(struct host *h) {
    struct seen seen = {.host = h};
    struct nl_cb *callbacks = h->watch != NULL ? nl_cb_alloc(NL_CB_DEFAULT) : NULL;
    if (callbacks == NULL)
        return false;
    nl_cb_set(callbacks, NL_CB_VALID, NL_CB_CUSTOM, see_change, &seen);
    nl_cb_set(callbacks, NL_CB_SEQ_CHECK, NL_CB_CUSTOM, in_any_order, NULL);
    for (int i = 0; i < MESSAGES_A_READ; i++) {
        int result = nl_recvmsgs(h->watch, callbacks);
        if (result == -NLE_AGAIN)
            break;
        if (result < 0)
            seen.matters = true; /* some were lost: who knows which */
    }
    nl_cb_put(callbacks);
    return seen.matters;
}
