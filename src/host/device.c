/* device.c: devices of one connection each. They end with their descriptor, as the common one does, so that a kill leaves
 * nothing; a reload takes them away by name. */
#include <errno.h>
#include <netlink/errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/internal.h"

#define LOOSE 2 /* the way back may be another device's, but there must be one */

void link_remove(struct host *h, int index) {
    struct ifinfomsg info = {.ifi_family = AF_UNSPEC, .ifi_index = index};
    (void)netlink_send(h, netlink_message(RTM_DELLINK, 0, &info, sizeof info));
}

bool is_our_device(const struct host *h, int index) {
    if (index == 0 || index == h->tun_index)
        return index != 0;
    for (size_t i = 0; i < h->devices; i++)
        if (h->device[i].index == index)
            return true;
    for (size_t i = 0; i < sizeof h->gone / sizeof h->gone[0]; i++)
        if (h->gone[i] == index)
            return true;
    return false;
}

static size_t find(const struct host *h, const char *name) {
    size_t i = 0;
    while (i < h->devices && strncmp(h->device[i].wanted.name, name, sizeof h->device[i].wanted.name) != 0)
        i++;
    return i;
}

int device_index(const struct host *h, const char *name) {
    if (name[0] == 0)
        return h->tun_index;
    size_t at = find(h, name);
    return at < h->devices ? h->device[at].index : 0;
}

/* Whence a packet may come the selectors say, and the way back may be another device's, which marks or rules tell apart.
 * But the larger of the device's value and that of all devices counts, and on a device without an address a loose filter (2)
 * is as good as a strict one. */
static void filter_nothing(struct host *h, const struct host_device *wanted) {
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter", wanted->name);
    FILE *file = fopen(path, "we");
    if (file != NULL) {
        (void)fputs("0\n", file);
        (void)fclose(file);
    }
    int all = rp_filter("all");
    if (all != 0 && (all != LOOSE || wanted->address.family != 4))
        snprintf(h->warning, sizeof h->warning,
            "net.ipv4.conf.all.rp_filter is %d, so the kernel may drop what comes out of %s where the way back is "
            "another "
            "one; set it to %s",
            all, wanted->name,
            wanted->address.family == 4 ? "0 or 2" : "0, or to 2 and give the device an address (leftinterface-ip)");
}

uint32_t device_table(const struct host *h, const char *name) {
    size_t at = name[0] != 0 ? find(h, name) : h->devices;
    return at < h->devices ? h->device[at].wanted.table : 0;
}

struct mark_rules mark_rules_of(const struct host_device *wanted) {
    struct mark_rules rules = {.table = wanted->table, .mark = wanted->mark, .mask = wanted->mark_mask};
    memcpy(rules.name, wanted->name, sizeof rules.name);
    return rules;
}

size_t devices_with_marks(const struct host *h) {
    size_t count = 0;
    for (size_t i = 0; i < h->devices; i++)
        count += h->device[i].wanted.mark_mask != 0;
    return count;
}

/* The file knows them before the kernel does. */
static bool add_rules(struct host *h, const struct host_device *wanted, struct error *err) {
    struct mark_rules rules = mark_rules_of(wanted);
    return rules.mask == 0 || (state_write(h, err) && mark_rules_add(h, &rules, devices_with_marks(h) == 1, err));
}

/* While it is among the devices. */
static void remove_rules(struct host *h, const struct host_device *wanted) {
    struct mark_rules rules = mark_rules_of(wanted);
    if (rules.mask != 0)
        mark_rules_remove(h, h->mark, &rules, devices_with_marks(h) == 1);
}

static bool set_up(struct host *h, const struct host_device *wanted, int index, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    h->warning[0] = 0;
    filter_nothing(h, wanted);
    if (!tun_bring_up(h, index, wanted->mtu, err))
        return fail_context(err, "%s: ", wanted->name);
    if (!add_rules(h, wanted, err))
        return false;
    if (!incoming_mark(h, wanted, index, err))
        return fail_context(err, "%s: ", wanted->name);
    if (address_is_any(&wanted->address))
        return true;
    int result = address_change(h, index, &wanted->address, wanted->address_bits, true);
    return result == 0 || fail(err, HOST, 0, "the address %s/%u for %s: %s", address_text(&wanted->address, text),
                              wanted->address_bits, wanted->name, nl_geterror(result));
}

bool host_device_open(struct host *h, const struct host_device *wanted, int *fd, bool *offload, struct error *err) {
    const char *const names[] = {wanted->name};
    char name[16];
    *fd = -1;
    if (find(h, wanted->name) < h->devices)
        return fail(err, OURS, 0, "%s is open already", wanted->name);
    if (h->devices == HOST_DEVICES_MAX)
        return fail(err, OURS, 0, "more than %d devices of connections", HOST_DEVICES_MAX);
    if (if_nametoindex(wanted->name) != 0)
        return fail(err, HOST, 0, "there is a device %s already, which is not ours", wanted->name);
    if (!tun_open(names, 1, fd, name, offload, err))
        return fail_context(err, "%s: ", wanted->name);
    struct own_device *device = &h->device[h->devices++];
    *device = (struct own_device){.wanted = *wanted, .index = (int)if_nametoindex(name)};
    if (set_up(h, wanted, device->index, err))
        return true;
    incoming_unmark(h, wanted);
    remove_rules(h, wanted);
    h->devices--;
    close(*fd);
    *fd = -1;
    return false;
}

/* What another set needs of what went with it is set again, elsewhere. */
bool host_device_close(struct host *h, const char *name) {
    size_t at = find(h, name);
    if (at == h->devices)
        return false;
    int index = h->device[at].index;
    bool marked = h->device[at].wanted.mark_mask != 0;
    struct error ignored; /* a line too much does no harm */
    incoming_unmark(h, &h->device[at].wanted);
    remove_rules(h, &h->device[at].wanted);
    link_remove(h, index);
    h->gone[h->gones++ % (sizeof h->gone / sizeof h->gone[0])] = index;
    memmove(&h->device[at], &h->device[at + 1], (--h->devices - at) * sizeof h->device[0]);
    if (marked)
        (void)!state_write(h, &ignored);
    own_addresses_forget(h, index);
    routes_forget(h, index);
    host_routes_renew(h);
    return true;
}

void devices_remove(struct host *h) {
    for (; h->devices > 0; h->devices--) {
        remove_rules(h, &h->device[h->devices - 1].wanted);
        link_remove(h, h->device[h->devices - 1].index);
    }
}
