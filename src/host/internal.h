/* internal.h: private to host/. What was set lives in struct host; what must be undone after a kill, in the clean-up file. */
#ifndef IKETCP_HOST_INTERNAL_H
#define IKETCP_HOST_INTERNAL_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include <sys/queue.h>

#include "host/host.h"

#define HOST_SETS_MAX 65536
#define HOST_BUCKETS 8192
#define HOST_THROWS_MAX 128
#define HOST_OWN_ADDRESSES_MAX 256
#define HOST_PATH_MAX 256

enum rule_kind {
    RULE_SPECIFIC, /* 220: not fwmark MARK lookup T: selectors, over everything */
    RULE_MAIN, /* 221: lookup main suppress_prefixlength 0: every other route but the default one ... */
    RULE_DEFAULT, /* 222: not fwmark MARK lookup T2: ... which is the tunnel's */
    RULE_KINDS
};

/* Before those, while there are devices with marks: 217: what carries tunnels, and what came out of such a device, goes on at
 * 219; 218: fwmark MARK/MASK lookup TABLE, one a device; 219: nothing, to be gone on at. */
struct mark_rules {
    char name[16];
    uint32_t table, mark, mask;
};

struct route_prefix {
    LIST_ENTRY(route_prefix) next; /* of its bucket */
    struct prefix prefix;
    struct route_entry *entry;
};
LIST_HEAD(route_prefix_list, route_prefix);

/* What is kept of a struct host_route_set, with as much memory as it has prefixes. */
struct route_entry {
    LIST_ENTRY(route_entry) next; /* of its owner's bucket */
    size_t at; /* in host.entry */
    uint32_t owner;
    int index; /* of its device */
    uint32_t table; /* of its own; 0: T and T2 */
    struct address source, source6; /* as in the set */
    struct address preferred4, preferred6; /* unspecified: the kernel's choice */
    uint32_t mtu, advmss4, advmss6;
    struct prefix *local; /* behind the last of `remote` */
    size_t locals, remotes;
    struct route_prefix remote[];
};
LIST_HEAD(route_list, route_entry);

struct own_device {
    struct host_device wanted;
    int index;
};

struct own_address {
    struct address address;
    int index; /* of the device that it was put on */
};

/* A Child SA that the kernel has. */
struct esp_entry {
    uint32_t spi_in, spi_out;
    struct address local, remote;
    struct selector inner_local, inner_remote;
    bool outbound; /* the policy out names it */
};

struct host {
    struct nl_sock *netlink, *watch, *filter; /* the last two are NULL until they are needed */
    struct nl_sock *xfrm; /* NULL: no kernel with ESP in TCP, or nobody asked */
    struct esp_entry *esp; /* oldest first */
    size_t esps, esp_capacity;
    uint32_t reqid; /* on all states and policies of ours; 0: there were none yet */
    char state_path[HOST_PATH_MAX];
    uint32_t mark;
    uint32_t table, table_default; /* T and T2; 0: not chosen yet */
    bool rules[2][RULE_KINDS]; /* [is IPv6] */
    int tun_index; /* of the common device; 0: there is none */
    struct own_device device[HOST_DEVICES_MAX];
    size_t devices;
    int gone[8]; /* that were ours lately: the kernel still tells of their end */
    size_t gones;
    struct route_entry **entry;
    size_t entries, capacity;
    struct route_list by_owner[HOST_BUCKETS];
    struct route_prefix_list by_prefix[HOST_BUCKETS];
    size_t specific[2], whole[2]; /* [is IPv6] prefixes in T, and in T2 */
    size_t wide; /* of those in T, that have networks inside them */
    struct prefix throws[HOST_THROWS_MAX]; /* connected networks inside a selector */
    size_t throw_count;
    struct own_address own[HOST_OWN_ADDRESSES_MAX];
    size_t own_count;
    char warning[320];
};

/* ---- netlink.c ---- */
bool netlink_open(struct nl_sock **, int protocol, struct error *);
/* A message of this type with `header` copied in; NULL: no memory. */
struct nl_msg *netlink_message(int type, int flags, const void *header, size_t length);
int netlink_send(struct host *, struct nl_msg *); /* takes the message; 0 or -NLE_* after the kernel's answer */
int netlink_send_on(struct nl_sock *, struct nl_msg *);
typedef void netlink_each(struct nlmsghdr *, void *context);
int netlink_dump(struct host *, int type, const void *header, size_t length, netlink_each *, void *context);
int netlink_ask(struct host *, struct nl_msg *, netlink_each *, void *context); /* one answer */
int netlink_ask_on(struct nl_sock *, struct nl_msg *, netlink_each *, void *context);
int netlink_dump_on(struct nl_sock *, int type, const void *header, size_t length, netlink_each *, void *context);
int family_of(const struct address *); /* AF_INET or AF_INET6 */
bool put_address(struct nl_msg *, int attribute, const struct address *); /* false: no room */
/* From an attribute of that family; unspecified when it is NULL or has another length. */
struct address get_address(const struct nlattr *, int family);

/* ---- state.c: the clean-up file ---- */
struct state {
    uint32_t mark, table, table_default;
    struct mark_rules rules[HOST_DEVICES_MAX];
    size_t rule_count;
};
bool state_write(const struct host *, struct error *); /* before each change of what is in it */
bool state_read(const char *path, struct state *); /* false: none */
void state_remove(const struct host *);

/* ---- tun.c: opening; device.c: connections' own ones ---- */
bool tun_open(const char *const names[], size_t count, int *fd, char name[16], bool *offload, struct error *);
bool tun_bring_up(struct host *, int index, uint32_t mtu, struct error *);
void link_remove(struct host *, int index);
bool is_our_device(const struct host *, int index);
int device_index(const struct host *, const char *name); /* empty: the common one; 0: there is none */
uint32_t device_table(const struct host *, const char *name); /* of its own; 0: none */
struct mark_rules mark_rules_of(const struct host_device *); /* mask 0: none */
size_t devices_with_marks(const struct host *);
void devices_remove(struct host *);
/* ---- xfrm.c: messages about states and policies of IPsec; 0 or -NLE_* ---- */
/* Selectors as the kernel has them: a network, and one port or all. False and *err: it is neither. */
bool xfrm_expressible(const struct selector *, struct error *);
int xfrm_state_add(struct host *, const struct host_esp *, bool out); /* one direction */
int xfrm_state_delete(struct host *, const struct esp_entry *, bool out);
int xfrm_state_read(struct host *, const struct esp_entry *, bool out, struct host_esp_state *);
int xfrm_policies_in(struct host *, const struct esp_entry *, bool add); /* to this host, and through it */
int xfrm_policy_out(struct host *, const struct esp_entry *, bool add);
void xfrm_undo(struct nl_sock *, uint32_t reqid); /* all states and policies that bear it */
bool xfrm_pass(int fd, bool v6); /* a socket that no policy holds; false: the kernel knows none */
/* Tells what is ours from what is others': the routing table is ours alone. */
static inline uint32_t xfrm_reqid(uint32_t table) {
    return UINT32_C(0x69000000) | table;
}

/* ---- esp.c ---- */
void esp_undo(uint32_t table); /* what a killed run left */
void esp_remove_all(struct host *);

/* ---- rules.c ---- */
bool tables_choose(struct host *, struct error *);
bool rules_add(struct host *, bool v6, bool specific, bool whole, struct error *); /* those that are missing */
void rules_trim(struct host *, bool v6, bool specific, bool whole); /* those that are not wanted */
void rules_undo(struct host *, uint32_t mark, uint32_t table, uint32_t table_default); /* and empties the tables */

/* ---- marks.c ---- */
bool mark_rules_add(struct host *, const struct mark_rules *, bool first, struct error *);
void mark_rules_remove(struct host *, uint32_t outer_mark, const struct mark_rules *, bool last);

/* ---- incoming.c: nothing where there is no mark_in ---- */
bool incoming_mark(struct host *, const struct host_device *, int index, struct error *);
void incoming_unmark(struct host *, const struct host_device *);

/* ---- route_table.c ---- */
struct route_entry *route_new(const struct host_route_set *, bool leads_nowhere); /* NULL: no memory; freed by free */
struct route_entry *route_find(struct host *, uint32_t owner);
const struct route_entry *route_with_prefix(struct host *, const struct prefix *, int index); /* any; NULL: none */
MUST_USE bool route_enter(struct host *, struct route_entry *); /* index and table are set; false: no memory */
void route_leave(struct host *, struct route_entry *);

/* ---- routes.c ---- */
bool prefix_inside(const struct prefix *inner, const struct prefix *outer);
void routes_forget(struct host *, int index); /* all sets of that device, which is gone */

/* ---- connected.c: networks that this host is directly connected to stay so, inside a wider selector ---- */
bool throws_sync(struct host *, struct error *);

/* ---- addresses.c ---- */
int address_change(struct host *, int index, const struct address *, uint8_t bits, bool add);
bool own_address_add(struct host *, int index, const struct address *, struct error *); /* unless the host has it */
void own_addresses_trim(struct host *); /* those that no set names */
void own_addresses_remove(struct host *);
void own_addresses_forget(struct host *, int index); /* they went with their device */

/* ---- lookup.c ---- */
struct route_found {
    struct address source, gateway;
    int interface;
};
bool route_lookup(struct host *, const struct address *remote, struct route_found *, struct error *);

/* ---- filter.c ---- */
int rp_filter(const char *device); /* 0: off, 1: strict, 2: loose */
void warn_of_strict_filter(struct host *, const struct host_route_set *);

#endif
