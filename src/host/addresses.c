/* addresses.c: addresses that this host has, and those that it gets for a tunnel, on the TUN device. */
#include <linux/if_addr.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <string.h>

#include "host/internal.h"

/* ---------------------------------------------------------------- what is there ---- */

struct search {
    const struct host *host;
    const struct address *wanted; /* this one, or: */
    const struct prefix *prefix;
    size_t prefixes;
    struct address found; /* the first; one on another device beats one on ours */
    bool on_our_device;
};

static bool fits(const struct search *search, const struct address *address) {
    if (search->wanted != NULL)
        return address_same_host(address, search->wanted);
    for (size_t i = 0; i < search->prefixes; i++)
        if (search->prefix[i].address.family == address->family && prefix_contains(&search->prefix[i], address))
            return true;
    return false;
}

static void see_address(struct nlmsghdr *header, void *context) {
    struct search *search = context;
    struct nlattr *attribute[IFA_MAX + 1];
    const struct ifaddrmsg *info = nlmsg_data(header);
    if (nlmsg_parse(header, sizeof *info, attribute, IFA_MAX, NULL) != 0 ||
        (info->ifa_family != AF_INET && info->ifa_family != AF_INET6))
        return;
    if (search->wanted == NULL && info->ifa_scope >= RT_SCOPE_LINK)
        return;
    struct address address =
        get_address(attribute[attribute[IFA_LOCAL] != NULL ? IFA_LOCAL : IFA_ADDRESS], info->ifa_family);
    bool ours = is_our_device(search->host, (int)info->ifa_index);
    if (address.family == 0 || !fits(search, &address))
        return;
    if (search->found.family == 0 || (search->on_our_device && !ours)) {
        search->found = address;
        search->on_our_device = ours;
    }
}

static bool search_addresses(struct host *h, struct search *search) {
    struct ifaddrmsg all = {.ifa_family = AF_UNSPEC};
    search->host = h;
    (void)netlink_dump(h, RTM_GETADDR, &all, sizeof all, see_address, search);
    return search->found.family != 0;
}

bool host_has_address(struct host *h, const struct address *address) {
    struct search search = {.wanted = address};
    return !address_is_any(address) && search_addresses(h, &search);
}

bool host_address_inside(struct host *h, const struct prefix *prefix, size_t count, struct address *out) {
    struct search search = {.prefix = prefix, .prefixes = count};
    if (!search_addresses(h, &search))
        return false;
    *out = search.found;
    return true;
}

/* ---------------------------------------------------------------- what others may use ---- */

struct collection {
    const struct host *host;
    struct address *out;
    size_t most, count;
    int loopback;
};

static uint32_t flags_of(const struct ifaddrmsg *info, struct nlattr *attribute) {
    return attribute != NULL ? nla_get_u32(attribute) : info->ifa_flags;
}

static void see_usable(struct nlmsghdr *header, void *context) {
    struct collection *all = context;
    struct nlattr *attribute[IFA_MAX + 1];
    const struct ifaddrmsg *info = nlmsg_data(header);
    const uint32_t passing = IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED;
    if (nlmsg_parse(header, sizeof *info, attribute, IFA_MAX, NULL) != 0 ||
        (info->ifa_family != AF_INET && info->ifa_family != AF_INET6) || info->ifa_scope != RT_SCOPE_UNIVERSE ||
        is_our_device(all->host, (int)info->ifa_index) || (int)info->ifa_index == all->loopback)
        return;
    uint32_t flags = flags_of(info, attribute[IFA_FLAGS]);
    bool temporary = info->ifa_family == AF_INET6 && (flags & IFA_F_TEMPORARY) != 0;
    struct address address =
        get_address(attribute[attribute[IFA_LOCAL] != NULL ? IFA_LOCAL : IFA_ADDRESS], info->ifa_family);
    if (address.family == 0 || (flags & passing) != 0 || temporary || all->count == all->most)
        return;
    all->out[all->count++] = address;
}

size_t host_addresses(struct host *h, struct address *out, size_t most) {
    struct collection all = {.host = h, .out = out, .most = most, .loopback = (int)if_nametoindex("lo")};
    struct ifaddrmsg every = {.ifa_family = AF_UNSPEC};
    (void)netlink_dump(h, RTM_GETADDR, &every, sizeof every, see_usable, &all);
    return all.count;
}

/* ---------------------------------------------------------------- what we put there ---- */

int address_change(struct host *h, int index, const struct address *address, uint8_t bits, bool add) {
    bool v6 = address->family == 6, alone = bits == 8 * address_octets(address);
    struct ifaddrmsg info = {.ifa_family = (uint8_t)family_of(address),
        .ifa_prefixlen = bits,
        .ifa_flags = v6 ? IFA_F_NODAD : 0,
        .ifa_scope = RT_SCOPE_UNIVERSE,
        .ifa_index = (uint32_t)index};
    struct nl_msg *m =
        netlink_message(add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &info, sizeof info);
    bool room = m != NULL && put_address(m, IFA_LOCAL, address) && put_address(m, IFA_ADDRESS, address) &&
                (!add || nla_put_u32(m, IFA_FLAGS, (v6 ? IFA_F_NODAD : 0) | (alone ? IFA_F_NOPREFIXROUTE : 0)) == 0);
    if (!room) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send(h, m);
}

/* A /32 or /128. */
static int change(struct host *h, const struct own_address *own, bool add) {
    return address_change(h, own->index, &own->address, (uint8_t)(8 * address_octets(&own->address)), add);
}

static size_t find_own(const struct host *h, const struct address *address) {
    size_t i = 0;
    while (i < h->own_count && !address_same_host(&h->own[i].address, address))
        i++;
    return i;
}

bool own_address_add(struct host *h, int index, const struct address *address, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    if (find_own(h, address) < h->own_count || host_has_address(h, address))
        return true;
    if (h->own_count == HOST_OWN_ADDRESSES_MAX)
        return fail(err, OURS, 0, "more than %d addresses on TUN devices", HOST_OWN_ADDRESSES_MAX);
    struct own_address own = {.address = *address, .index = index};
    int result = change(h, &own, true);
    if (result != 0)
        return fail(
            err, HOST, 0, "the address %s for the TUN device: %s", address_text(address, text), nl_geterror(result));
    h->own[h->own_count++] = own;
    return true;
}

static bool is_named(const struct host *h, const struct address *address) {
    for (size_t i = 0; i < h->entries; i++)
        if (address_same_host(&h->entry[i]->source, address) || address_same_host(&h->entry[i]->source6, address))
            return true;
    return false;
}

void own_addresses_trim(struct host *h) {
    for (size_t i = h->own_count; i-- > 0;)
        if (!is_named(h, &h->own[i].address)) {
            (void)change(h, &h->own[i], false);
            h->own[i] = h->own[--h->own_count];
        }
}

void own_addresses_remove(struct host *h) {
    while (h->own_count > 0)
        (void)change(h, &h->own[--h->own_count], false);
}

void own_addresses_forget(struct host *h, int index) {
    for (size_t i = h->own_count; i-- > 0;)
        if (h->own[i].index == index)
            h->own[i] = h->own[--h->own_count];
}
