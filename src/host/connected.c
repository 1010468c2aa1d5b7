/* connected.c: networks that this host is directly connected to and that lie inside a wider selector (10.1.0.0/24 at home in
 * 10.0.0.0/8) stay reachable: a `throw` route in T sends them on to the other tables. */
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <string.h>

#include "host/internal.h"

struct found {
    struct host *host;
    struct prefix network[HOST_THROWS_MAX];
    size_t count;
};

/* Some set is wider, and none names just this network. */
static bool lies_inside_a_selector(const struct host *h, const struct prefix *network) {
    bool inside = false;
    for (size_t i = 0; i < h->entries; i++)
        for (size_t j = 0; j < h->entry[i]->remotes && h->entry[i]->table == 0; j++) {
            const struct prefix *remote = &h->entry[i]->remote[j].prefix;
            if (prefix_equal(remote, network))
                return false;
            inside = inside || (remote->length > 0 && prefix_inside(network, remote));
        }
    return inside;
}

static bool knows(const struct prefix *list, size_t count, const struct prefix *prefix) {
    for (size_t i = 0; i < count; i++)
        if (prefix_equal(&list[i], prefix))
            return true;
    return false;
}

/* A route without a next hop, in the main table, not through our own device. */
static void see_route(struct nlmsghdr *header, void *context) {
    struct found *found = context;
    struct nlattr *attribute[RTA_MAX + 1];
    const struct rtmsg *route = nlmsg_data(header);
    if (nlmsg_parse(header, sizeof *route, attribute, RTA_MAX, NULL) != 0 || route->rtm_table != RT_TABLE_MAIN ||
        route->rtm_type != RTN_UNICAST || (route->rtm_flags & RTM_F_CLONED) != 0 || attribute[RTA_GATEWAY] != NULL ||
        attribute[RTA_VIA] != NULL || attribute[RTA_MULTIPATH] != NULL || attribute[RTA_OIF] == NULL ||
        nla_get_u32(attribute[RTA_OIF]) == (uint32_t)found->host->tun_index)
        return;
    struct prefix network = {
        .address = get_address(attribute[RTA_DST], route->rtm_family), .length = route->rtm_dst_len};
    if (network.address.family != 0 && found->count < HOST_THROWS_MAX &&
        !knows(found->network, found->count, &network) && lies_inside_a_selector(found->host, &network))
        found->network[found->count++] = network;
}

static bool throw_change(struct host *h, const struct prefix *network, bool add, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    struct rtmsg header = {.rtm_family = (unsigned char)family_of(&network->address),
        .rtm_dst_len = network->length,
        .rtm_protocol = 198,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_THROW};
    struct nl_msg *m = netlink_message(
        add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header, sizeof header);
    if (m == NULL || !put_address(m, RTA_DST, &network->address) || nla_put_u32(m, RTA_TABLE, h->table) != 0) {
        nlmsg_free(m);
        return fail(err, OURS, 0, "no memory for a route");
    }
    int result = netlink_send(h, m);
    return result == 0 ||
           fail(err, HOST, 0, "an exception for %s: %s", prefix_text(network, text), nl_geterror(result));
}

/* Host routes have no network inside them: with those alone the tables need not be looked at. */
bool throws_sync(struct host *h, struct error *err) {
    struct found found = {.host = h};
    for (int v6 = 0; v6 < 2 && h->wide > 0; v6++) {
        struct rtmsg route = {.rtm_family = v6 ? AF_INET6 : AF_INET};
        int failed = netlink_dump(h, RTM_GETROUTE, &route, sizeof route, see_route, &found);
        if (failed != 0 && !v6)
            return fail(err, HOST, 0, "routes can't be listed: %s", nl_geterror(failed));
    }
    for (size_t i = h->throw_count; i-- > 0;)
        if (!knows(found.network, found.count, &h->throws[i])) {
            struct error ignored;
            (void)!throw_change(h, &h->throws[i], false, &ignored);
            h->throws[i] = h->throws[--h->throw_count];
        }
    for (size_t i = 0; i < found.count; i++) {
        if (knows(h->throws, h->throw_count, &found.network[i]) || h->throw_count == HOST_THROWS_MAX)
            continue;
        if (!throw_change(h, &found.network[i], true, err))
            return false;
        h->throws[h->throw_count++] = found.network[i];
    }
    return true;
}
