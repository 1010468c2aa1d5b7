/* lookup.c: questions to the kernel's routing: which address goes towards a remote, what the default route is, and a number
 * that names the network we are on. */
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <string.h>

#include "host/internal.h"

/* ---------------------------------------------------------------- towards one remote ---- */

static void see_answer(struct nlmsghdr *header, void *context) {
    struct route_found *found = context;
    struct nlattr *attribute[RTA_MAX + 1];
    const struct rtmsg *route = nlmsg_data(header);
    if (nlmsg_parse(header, sizeof *route, attribute, RTA_MAX, NULL) != 0 ||
        (route->rtm_type != RTN_UNICAST && route->rtm_type != RTN_LOCAL))
        return;
    found->source = get_address(attribute[RTA_PREFSRC], route->rtm_family);
    found->gateway = get_address(attribute[RTA_GATEWAY], route->rtm_family);
    if (attribute[RTA_OIF] != NULL)
        found->interface = (int)nla_get_u32(attribute[RTA_OIF]);
}

bool route_lookup(struct host *h, const struct address *remote, struct route_found *found, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    struct rtmsg header = {
        .rtm_family = (unsigned char)family_of(remote), .rtm_dst_len = (unsigned char)(8 * address_octets(remote))};
    struct nl_msg *m = netlink_message(RTM_GETROUTE, 0, &header, sizeof header);
    *found = (struct route_found){0};
    if (m == NULL || !put_address(m, RTA_DST, remote) || nla_put_u32(m, RTA_MARK, h->mark) != 0 ||
        (remote->scope != 0 && nla_put_u32(m, RTA_OIF, remote->scope) != 0)) {
        nlmsg_free(m);
        return fail(err, OURS, 0, "no memory for a question to the kernel");
    }
    int result = netlink_ask(h, m, see_answer, found);
    if (result < 0)
        return fail(err, HOST, 0, "no route to %s: %s", address_text(remote, text), nl_geterror(result));
    if (found->source.family == 0)
        return fail(err, HOST, 0, "no route to %s", address_text(remote, text));
    return true;
}

bool host_source_for(struct host *h, const struct address *remote, struct address *out, struct error *err) {
    struct route_found found;
    if (!route_lookup(h, remote, &found, err))
        return false;
    *out = found.source;
    /* A link-local one is worth nothing without its interface. */
    if (out->family == 6 && out->octets[0] == 0xfe && (out->octets[1] & 0xc0) == 0x80)
        out->scope = (uint32_t)found.interface;
    return true;
}

/* ---------------------------------------------------------------- the default route ---- */

struct default_route {
    bool found;
    uint32_t metric;
    struct address gateway, preferred;
    int interface;
};

static uint32_t number(struct nlattr *attribute) {
    return attribute != NULL ? nla_get_u32(attribute) : 0;
}

/* The first of several next hops stands for all. */
static void first_hop(struct nlattr *multipath, int family, struct address *gateway, int *interface) {
    const struct rtnexthop *hop = nla_data(multipath);
    struct nlattr *attribute[RTA_MAX + 1];
    if ((size_t)nla_len(multipath) < sizeof *hop || hop->rtnh_len < sizeof *hop || hop->rtnh_len > nla_len(multipath))
        return;
    *interface = hop->rtnh_ifindex;
    if (nla_parse(
            attribute, RTA_MAX, (struct nlattr *)(uintptr_t)(hop + 1), (int)(hop->rtnh_len - sizeof *hop), NULL) == 0)
        *gateway = get_address(attribute[RTA_GATEWAY], family);
}

static bool is_main_route(const struct rtmsg *route) {
    return route->rtm_table == RT_TABLE_MAIN && route->rtm_type == RTN_UNICAST &&
           (route->rtm_flags & RTM_F_CLONED) == 0;
}

static void see_default(struct nlmsghdr *header, void *context) {
    struct default_route *best = context;
    struct nlattr *attribute[RTA_MAX + 1];
    const struct rtmsg *route = nlmsg_data(header);
    if (nlmsg_parse(header, sizeof *route, attribute, RTA_MAX, NULL) != 0 || !is_main_route(route) ||
        route->rtm_dst_len != 0)
        return;
    struct default_route here = {.found = true,
        .metric = number(attribute[RTA_PRIORITY]),
        .gateway = get_address(attribute[RTA_GATEWAY], route->rtm_family),
        .preferred = get_address(attribute[RTA_PREFSRC], route->rtm_family),
        .interface = (int)number(attribute[RTA_OIF])};
    if (attribute[RTA_MULTIPATH] != NULL)
        first_hop(attribute[RTA_MULTIPATH], route->rtm_family, &here.gateway, &here.interface);
    if (here.interface != 0 && (!best->found || here.metric < best->metric))
        *best = here;
}

struct first_address {
    int interface;
    struct address address;
};

static void see_first_address(struct nlmsghdr *header, void *context) {
    struct first_address *first = context;
    struct nlattr *attribute[IFA_MAX + 1];
    const struct ifaddrmsg *info = nlmsg_data(header);
    if (first->address.family == 0 && nlmsg_parse(header, sizeof *info, attribute, IFA_MAX, NULL) == 0 &&
        (int)info->ifa_index == first->interface && info->ifa_scope < RT_SCOPE_LINK)
        first->address =
            get_address(attribute[attribute[IFA_LOCAL] != NULL ? IFA_LOCAL : IFA_ADDRESS], info->ifa_family);
}

bool host_default_route(
    struct host *h, uint8_t family, struct address *local, struct address *next_hop, struct error *err) {
    struct address any = {.family = family};
    struct rtmsg all = {.rtm_family = (unsigned char)family_of(&any)};
    struct default_route best = {0};
    struct route_found found;
    int failed = netlink_dump(h, RTM_GETROUTE, &all, sizeof all, see_default, &best);
    if (failed != 0 || !best.found)
        return fail(err, HOST, 0, "there is no default route for IPv%d%s%s", family == 6 ? 6 : 4,
            failed != 0 ? ": " : "", failed != 0 ? nl_geterror(failed) : "");
    *next_hop = best.gateway;
    *local = best.preferred;
    if (local->family == 0 && best.gateway.family != 0 && !(family == 6 && best.gateway.octets[0] == 0xfe) &&
        route_lookup(h, &best.gateway, &found, err))
        *local = found.source;
    if (local->family == 0) {
        struct first_address first = {.interface = best.interface};
        struct ifaddrmsg addresses = {.ifa_family = (uint8_t)family_of(&any)};
        (void)netlink_dump(h, RTM_GETADDR, &addresses, sizeof addresses, see_first_address, &first);
        *local = first.address;
    }
    if (local->family == 0)
        return fail(err, HOST, 0, "the interface of the IPv%d default route has no address", family == 6 ? 6 : 4);
    *err = (struct error){0};
    return true;
}

/* ---------------------------------------------------------------- the network's name ---- */

struct network_hash {
    const struct host *host;
    uint64_t sum; /* of the hashes of its parts: their order does not matter */
};

static uint64_t fnv(const void *octets, size_t length, uint64_t hash) {
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const uint8_t *)octets)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Default gateways and connected networks; not what is link-local everywhere, nor what goes through tunnels of ours. */
static void see_network(struct nlmsghdr *header, void *context) {
    struct network_hash *network = context;
    struct nlattr *attribute[RTA_MAX + 1];
    const struct rtmsg *route = nlmsg_data(header);
    if (nlmsg_parse(header, sizeof *route, attribute, RTA_MAX, NULL) != 0 || !is_main_route(route) ||
        is_our_device(network->host, (int)number(attribute[RTA_OIF])))
        return;
    struct address to = get_address(attribute[RTA_DST], route->rtm_family);
    struct address gateway = get_address(attribute[RTA_GATEWAY], route->rtm_family);
    if (to.family == 6 && to.octets[0] == 0xfe)
        return;
    if (route->rtm_dst_len == 0 ? gateway.family == 0 : gateway.family != 0)
        return;
    uint64_t hash = fnv(&route->rtm_dst_len, 1, UINT64_C(0xcbf29ce484222325));
    hash = fnv(&route->rtm_family, 1, hash);
    hash = fnv(to.octets, sizeof to.octets, hash);
    network->sum += fnv(gateway.octets, sizeof gateway.octets, hash);
}

uint64_t host_network(struct host *h) {
    struct network_hash network = {.host = h};
    for (int v6 = 0; v6 < 2; v6++) {
        struct rtmsg all = {.rtm_family = v6 ? AF_INET6 : AF_INET};
        (void)netlink_dump(h, RTM_GETROUTE, &all, sizeof all, see_network, &network);
    }
    return network.sum;
}
