/* routes.c: sets of routes into the TUN device, one per peer. Peers may share prefixes: a route goes when the last set that
 * has it does. Prefixes of length 0 are in table T2, all others in T (rules.c). */
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/internal.h"

#define PROTOCOL 198 /* `ip route` shows it as proto 198 */
/* Sets of several devices may have a prefix in common: then each has a route, which the priority tells apart. That of the
 * common device's is the kernel's default, 0 and 1024. */
#define PRIORITY_OF_OWN UINT32_C(2000)

/* ---------------------------------------------------------------- what may be routed ---- */

struct refused {
    struct prefix prefix;
    const char *what;
};

static const struct refused refused[] = {
    {{{.family = 4, .octets = {127}}, 8}, "loopback"},
    {{{.family = 4, .octets = {169, 254}}, 16}, "link-local"},
    {{{.family = 4, .octets = {224}}, 4}, "multicast"},
    {{{.family = 6, .octets = {[15] = 1}}, 128}, "loopback"},
    {{{.family = 6, .octets = {0xfe, 0x80}}, 10}, "link-local"},
    {{{.family = 6, .octets = {0xff}}, 8}, "multicast"},
};

bool prefix_inside(const struct prefix *inner, const struct prefix *outer) {
    return inner->address.family == outer->address.family && inner->length >= outer->length &&
           prefix_contains(outer, &inner->address);
}

static bool check_set(const struct host *h, const struct host_route_set *set, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    if (device_index(h, set->device) == 0)
        return fail(
            err, HOST, 0, "there is no TUN device%s%s yet for routes", set->device[0] != 0 ? " " : "", set->device);
    if (set->remotes > HOST_PREFIXES_MAX || set->locals > HOST_PREFIXES_MAX)
        return fail(err, OURS, 0, "more than %d prefixes in a set of routes", HOST_PREFIXES_MAX);
    for (size_t i = 0; i < set->remotes; i++)
        for (size_t j = 0; j < sizeof refused / sizeof refused[0]; j++)
            if (prefix_inside(&set->remote[i], &refused[j].prefix))
                return fail(err, CONFIG, 0, "%s is %s and can't be routed into a tunnel",
                    prefix_text(&set->remote[i], text), refused[j].what);
    return true;
}

/* ---------------------------------------------------------------- one route ---- */

static bool put_metrics(struct nl_msg *m, uint32_t mtu, uint32_t advmss) {
    if (mtu == 0 && advmss == 0)
        return true;
    struct nlattr *nest = nla_nest_start(m, RTA_METRICS);
    if (nest == NULL || (mtu != 0 && nla_put_u32(m, RTAX_MTU, mtu) != 0) ||
        (advmss != 0 && nla_put_u32(m, RTAX_ADVMSS, advmss) != 0))
        return false;
    nla_nest_end(m, nest);
    return true;
}

/* That of `of`, whose device and table it is, with what `entry` says; NULL: takes it away. */
static int route_change(
    struct host *h, const struct prefix *prefix, const struct route_entry *of, const struct route_entry *entry) {
    bool v6 = prefix->address.family == 6, add = entry != NULL;
    uint32_t table = of->table != 0 ? of->table : prefix->length == 0 ? h->table_default : h->table;
    struct rtmsg header = {.rtm_family = (unsigned char)family_of(&prefix->address),
        .rtm_dst_len = prefix->length,
        .rtm_protocol = PROTOCOL,
        .rtm_scope = v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
        .rtm_type = RTN_UNICAST};
    struct nl_msg *m = netlink_message(
        add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &header, sizeof header);
    bool room = m != NULL && put_address(m, RTA_DST, &prefix->address) && nla_put_u32(m, RTA_TABLE, table) == 0 &&
                nla_put_u32(m, RTA_OIF, (uint32_t)of->index) == 0 &&
                (of->index == h->tun_index || nla_put_u32(m, RTA_PRIORITY, PRIORITY_OF_OWN + (uint32_t)of->index) == 0);
    if (room && add) {
        const struct address *preferred = v6 ? &entry->preferred6 : &entry->preferred4;
        room = (preferred->family == 0 || put_address(m, RTA_PREFSRC, preferred)) &&
               put_metrics(m, entry->mtu, v6 ? entry->advmss6 : entry->advmss4);
    }
    if (!room) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send(h, m);
}

/* ---------------------------------------------------------------- sets ---- */

/* Of the prefixes of a set that is no longer there, those that nobody else has; what another has gets its metrics. */
static void withdraw(struct host *h, const struct route_entry *old) {
    for (size_t i = 0; i < old->remotes; i++) {
        const struct prefix *prefix = &old->remote[i].prefix;
        (void)route_change(h, prefix, old, route_with_prefix(h, prefix, old->index));
    }
}

/* After a set went or changed: what only it needed. */
static void trim(struct host *h) {
    struct error ignored;
    for (int v6 = 0; v6 < 2; v6++)
        rules_trim(h, v6, h->specific[v6] > 0, h->whole[v6] > 0);
    (void)throws_sync(h, &ignored);
    own_addresses_trim(h);
}

static bool apply(struct host *h, struct route_entry *entry, struct error *err) {
    const struct address *sources[] = {&entry->source, &entry->source6};
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < 2; i++)
        if (!address_is_any(sources[i])) {
            if (!own_address_add(h, entry->index, sources[i], err))
                return false;
            *(sources[i]->family == 6 ? &entry->preferred6 : &entry->preferred4) = *sources[i];
        }
    for (int v6 = 0; v6 < 2; v6++) {
        struct address *preferred = v6 ? &entry->preferred6 : &entry->preferred4;
        struct prefix local[HOST_PREFIXES_MAX];
        size_t locals = 0;
        for (size_t i = 0; i < entry->locals && preferred->family == 0; i++)
            if ((entry->local[i].address.family == 6) == v6)
                local[locals++] = entry->local[i];
        if (locals > 0 && !host_address_inside(h, local, locals, preferred))
            *preferred = (struct address){0};
        if (!rules_add(h, v6, h->specific[v6] > 0, h->whole[v6] > 0, err))
            return false;
    }
    if (!throws_sync(h, err))
        return false;
    for (size_t i = 0; i < entry->remotes; i++) {
        int result = route_change(h, &entry->remote[i].prefix, entry, entry);
        if (result != 0)
            return fail(
                err, HOST, 0, "a route to %s: %s", prefix_text(&entry->remote[i].prefix, text), nl_geterror(result));
    }
    return true;
}

/* Both sides of a connection with a device of its own are the same networks (0.0.0.0/0, mostly). */
static bool leads_nowhere(const struct host_route_set *set) {
    bool same = set->device[0] != 0 && set->remotes == set->locals;
    for (size_t i = 0; same && i < set->remotes; i++) {
        size_t j = 0;
        while (j < set->locals && !prefix_equal(&set->remote[i], &set->local[j]))
            j++;
        same = j < set->locals;
    }
    return same;
}

bool host_routes_set(struct host *h, const struct host_route_set *set, struct error *err) {
    h->warning[0] = 0;
    if (!check_set(h, set, err) || !tables_choose(h, err)) {
        host_routes_drop(h, set->owner);
        return false;
    }
    struct route_entry *old = route_find(h, set->owner);
    if (old == NULL && h->entries == HOST_SETS_MAX)
        return fail(err, OURS, 0, "more than %d sets of routes", HOST_SETS_MAX);
    uint32_t table = device_table(h, set->device);
    struct route_entry *entry = route_new(set, table == 0 && leads_nowhere(set));
    if (entry == NULL)
        return fail(err, OURS, 0, "no memory for routes");
    entry->index = device_index(h, set->device);
    entry->table = table;
    if (old != NULL)
        route_leave(h, old);
    bool done = route_enter(h, entry) || fail(err, OURS, 0, "no memory for routes");
    if (done && !apply(h, entry, err)) {
        done = false;
        route_leave(h, entry);
        withdraw(h, entry);
    }
    if (!done)
        free(entry);
    if (old != NULL)
        withdraw(h, old);
    free(old);
    trim(h);
    if (done)
        warn_of_strict_filter(h, set);
    return done;
}

void host_routes_renew(struct host *h) {
    struct error ignored; /* there is another change to come, if something is not there yet */
    for (size_t i = 0; i < h->entries; i++) {
        h->entry[i]->preferred4 = h->entry[i]->preferred6 = (struct address){0};
        (void)apply(h, h->entry[i], &ignored);
    }
}

void host_routes_drop(struct host *h, uint32_t owner) {
    struct route_entry *old = route_find(h, owner);
    if (old == NULL)
        return;
    route_leave(h, old);
    withdraw(h, old);
    free(old);
    trim(h);
}

void routes_forget(struct host *h, int index) {
    for (size_t i = h->entries; i-- > 0;)
        if (h->entry[i]->index == index) {
            struct route_entry *entry = h->entry[i];
            route_leave(h, entry);
            free(entry);
        }
    trim(h);
}
