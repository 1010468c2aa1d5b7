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
               put_metrics(m, entry->set.mtu, v6 ? entry->set.advmss6 : entry->set.advmss4);
    }
    if (!room) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send(h, m);
}

/* ---------------------------------------------------------------- sets ---- */

static size_t find(const struct host *h, uint32_t owner) {
    size_t i = 0;
    while (i < h->entries && h->entry[i]->set.owner != owner)
        i++;
    return i;
}

static bool has_prefix(const struct route_entry *entry, const struct prefix *prefix, int index) {
    for (size_t i = 0; i < entry->set.remotes && entry->index == index; i++)
        if (prefix_equal(&entry->set.remote[i], prefix))
            return true;
    return false;
}

/* Of the prefixes of a set that is no longer there, those that nobody else has; what another has gets its metrics. */
static void withdraw(struct host *h, const struct route_entry *old) {
    for (size_t i = 0; i < old->set.remotes; i++) {
        const struct prefix *prefix = &old->set.remote[i];
        const struct route_entry *other = NULL;
        for (size_t j = 0; j < h->entries && other == NULL; j++)
            if (has_prefix(h->entry[j], prefix, old->index))
                other = h->entry[j];
        (void)route_change(h, prefix, old, other);
    }
}

struct wanted_rules {
    bool specific[2], whole[2]; /* [is IPv6] */
};

static struct wanted_rules wanted_rules(const struct host *h) {
    struct wanted_rules w = {0};
    for (size_t i = 0; i < h->entries; i++)
        for (size_t j = 0; j < h->entry[i]->set.remotes && h->entry[i]->table == 0; j++) {
            const struct prefix *p = &h->entry[i]->set.remote[j];
            *(p->length == 0 ? &w.whole[p->address.family == 6] : &w.specific[p->address.family == 6]) = true;
        }
    return w;
}

/* After a set went or changed: what only it needed. */
static void trim(struct host *h) {
    struct wanted_rules w = wanted_rules(h);
    struct error ignored;
    for (int v6 = 0; v6 < 2; v6++)
        rules_trim(h, v6, w.specific[v6], w.whole[v6]);
    (void)throws_sync(h, &ignored);
    own_addresses_trim(h);
}

static bool apply(struct host *h, struct route_entry *entry, struct error *err) {
    const struct address *sources[] = {&entry->set.source, &entry->set.source6};
    struct wanted_rules w = wanted_rules(h);
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
        for (size_t i = 0; i < entry->set.locals && preferred->family == 0; i++)
            if ((entry->set.local[i].address.family == 6) == v6)
                local[locals++] = entry->set.local[i];
        if (locals > 0 && !host_address_inside(h, local, locals, preferred))
            *preferred = (struct address){0};
        if (!rules_add(h, v6, w.specific[v6], w.whole[v6], err))
            return false;
    }
    if (!throws_sync(h, err))
        return false;
    for (size_t i = 0; i < entry->set.remotes; i++) {
        int result = route_change(h, &entry->set.remote[i], entry, entry);
        if (result != 0)
            return fail(
                err, HOST, 0, "a route to %s: %s", prefix_text(&entry->set.remote[i], text), nl_geterror(result));
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

static bool make_room(struct host *h) {
    if (h->entries < h->capacity)
        return true;
    size_t capacity = h->capacity != 0 ? 2 * h->capacity : 16;
    struct route_entry **longer = realloc(h->entry, capacity * sizeof(struct route_entry *));
    if (longer == NULL)
        return false;
    h->entry = longer;
    h->capacity = capacity;
    return true;
}

static void remove_at(struct host *h, size_t i) {
    h->entry[i] = h->entry[--h->entries];
}

bool host_routes_set(struct host *h, const struct host_route_set *set, struct error *err) {
    h->warning[0] = 0;
    if (!check_set(h, set, err) || !tables_choose(h, err)) {
        host_routes_drop(h, set->owner);
        return false;
    }
    size_t at = find(h, set->owner);
    if (at == HOST_SETS_MAX)
        return fail(err, OURS, 0, "more than %d sets of routes", HOST_SETS_MAX);
    struct route_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL || !make_room(h)) {
        free(entry);
        return fail(err, OURS, 0, "no memory for routes");
    }
    struct route_entry *old = at < h->entries ? h->entry[at] : NULL;
    entry->set = *set;
    entry->index = device_index(h, set->device);
    entry->table = device_table(h, set->device);
    if (entry->table == 0 && leads_nowhere(set))
        entry->set.remotes = 0;
    h->entry[at] = entry;
    h->entries += old == NULL;
    bool done = apply(h, entry, err);
    if (!done) {
        remove_at(h, at);
        withdraw(h, entry);
        free(entry);
    }
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
    size_t at = find(h, owner);
    if (at == h->entries)
        return;
    struct route_entry *old = h->entry[at];
    remove_at(h, at);
    withdraw(h, old);
    free(old);
    trim(h);
}

void routes_forget(struct host *h, int index) {
    for (size_t i = h->entries; i-- > 0;)
        if (h->entry[i]->index == index) {
            free(h->entry[i]);
            remove_at(h, i);
        }
    trim(h);
}
