/* host.h: the face of host/: this host's TUN devices, addresses, routes and rules, by netlink (libnl); and the sockets
 * that need privilege. Used by the monitor alone. Everything that was set is written to a clean-up file first, so that
 * the next start can take back what a killed one left. */
#ifndef IKETCP_HOST_HOST_H
#define IKETCP_HOST_HOST_H

#include "base/base.h"
#include "wire/wire.h"

struct host;
/* `state_path`: the clean-up file (beside the control socket); what an earlier run left there is undone at once.
 * `mark`: of outer sockets (SO_MARK), which the routing rules let pass by. NULL and *err. */
struct host *host_open(const char *state_path, uint32_t mark, struct error *);
/* A sentence about what works but may surprise (strict rp_filter), from the last host_*_open or host_routes_set; empty:
 * nothing to say. */
const char *host_warning(const struct host *);
/* Takes back all routes, rules, addresses, devices; removes the clean-up file. */
void host_close(struct host *);

/* A TUN device with IFF_VNET_HDR, up, offloads asked for. *fd non-blocking, the caller's. */
MUST_USE bool host_tun_open(
    struct host *, const char *wanted_name, uint32_t mtu, int *fd, char name[16], bool *offload, struct error *);

/* A device for one connection alone, besides that one: gone with host_device_close or with its descriptor. */
#define HOST_DEVICES_MAX 256
struct host_device {
    char name[16]; /* just this one: a device of that name that is there is an error */
    uint32_t mtu;
    struct address address; /* put on it; unspecified: none */
    uint8_t address_bits; /* of the network that is reached through it */
    uint32_t table; /* where routes to it are, and no rule of ours leads but for the mark; 0: with all others */
    uint32_t mark,
        mark_mask; /* packets with it are routed by `table`, unless they come out of the device; mask 0: none */
    uint32_t mark_in, mark_in_mask; /* packets that come out of it get this mark; mask 0: none */
};
/* Up, with offloads asked for, and not filtered by reverse path: what comes out of the tunnel may answer what other rules
 * led there. *fd non-blocking, the caller's. */
MUST_USE bool host_device_open(struct host *, const struct host_device *, int *fd, bool *offload, struct error *);
bool host_device_close(struct host *, const char *name); /* with all sets of routes that lead there; false: no such */

#define HOST_PREFIXES_MAX 64
struct host_route_set { /* all that one peer needs */
    uint32_t owner; /* the peer_id: names the set for host_routes_drop */
    char device[16]; /* they lead there; empty: to the device of host_tun_open */
    struct prefix remote[HOST_PREFIXES_MAX];
    size_t remotes;
    struct address source; /* put on that device as /32 or /128 unless it is on another one; preferred source */
    struct address source6; /* the same for the other family; unspecified: none */
    /* Where a family has no source above: an address of this host inside one of these becomes the preferred source
     * (host_address_inside); none there: the kernel chooses. */
    struct prefix local[HOST_PREFIXES_MAX];
    size_t locals;
    uint32_t mtu, advmss4, advmss6; /* 0: the device's */
    struct address outer_remote;
};
/* Setting a set that exists replaces it, without a gap. Never half: on failure what was set of it is taken back, also
 * what an older set of this owner had. Loopback, link-local and multicast prefixes are refused. A prefix wins over all
 * other routes but networks inside it that this host is directly connected to; 0.0.0.0/0 and ::/0 win over default
 * routes only. Of sets that share a prefix those of the common device win, then of the device that was made first. A set of a
 * connection's own device whose two sides are the same networks is no route at all: which way is meant, others know. Sockets
 * with the mark see none of them. */
MUST_USE bool host_routes_set(struct host *, const struct host_route_set *, struct error *);
void host_routes_drop(struct host *, uint32_t owner);
/* After a change of the network: what the kernel took away with an address is set again, and networks that came are
 * reachable beside wider selectors. */
void host_routes_renew(struct host *);

/* An address of this host inside one of the prefixes (for `source`); false: none. */
bool host_address_inside(struct host *, const struct prefix *, size_t count, struct address *out);
bool host_has_address(struct host *, const struct address *);
/* Addresses at which others may reach this host: of global scope, not on the loopback or our own device, and neither
 * tentative, deprecated nor temporary; at most `most`. Returns how many. */
size_t host_addresses(struct host *, struct address *out, size_t most);
/* Which address the host would use towards `remote`, past our own rules. */
MUST_USE bool host_source_for(struct host *, const struct address *remote, struct address *out, struct error *);
/* %defaultroute: our address on the interface of the default route, and the next hop (unspecified if on link). */
MUST_USE bool host_default_route(
    struct host *, uint8_t family, struct address *local, struct address *next_hop, struct error *);
uint64_t host_network(struct host *); /* names the network we are on: hash of default gateways and prefixes; 0: none */

/* A descriptor, non-blocking and the host's, that is readable when links, addresses or routes may have changed ... */
MUST_USE bool host_watch_open(struct host *, int *fd, struct error *);
/* ... reads all that is there. True: something changed that this daemon did not do itself. */
bool host_watch_changed(struct host *);

/* ---- ESP by the kernel, over a stream that it reads itself (row O5) ---- */

/* Whether this kernel has ESP in TCP. False and *err says what is missing. The first success lets the sockets that are made
 * from then on pass all IPsec policies. */
MUST_USE bool host_esp_probe(struct host *, struct error *);

#define HOST_ESP_KEY_MAX ((size_t)36)
#define HOST_INTEG_KEY_MAX ((size_t)64)
struct host_esp { /* a Child SA in tunnel mode, both directions */
    uint32_t spi_in, spi_out;
    struct address local, remote; /* of the stream, with its ports */
    struct selector inner_local, inner_remote; /* each a network, of one protocol and port or of all */
    uint16_t encr, key_bits, integ; /* IANA's numbers */
    size_t key_length, integ_length; /* octets of each */
    uint8_t key_in[HOST_ESP_KEY_MAX], key_out[HOST_ESP_KEY_MAX];
    uint8_t integ_in[HOST_INTEG_KEY_MAX], integ_out[HOST_INTEG_KEY_MAX];
    bool esn;
    uint32_t replay_window; /* 0: off */
    bool outbound; /* packets leave by it from now on; else when what had its selectors before is gone */
    uint64_t out, in; /* the last number used, the highest seen */
};
#define HOST_ESP_MAX 1024 /* at once */
/* Never half: on failure *err says what the kernel does not have. Keys are not kept. */
MUST_USE bool host_esp_set(struct host *, const struct host_esp *, struct error *);

struct host_esp_state {
    uint64_t out, in; /* numbers, as above */
    uint64_t packets_out, octets_out, packets_in, octets_in;
};
/* How far it is; and, with `remove`, no further: policies first, so that the numbers are the last ones. One that was never
 * set, or is gone: false. */
MUST_USE bool host_esp_read(struct host *, uint32_t spi_in, bool remove, struct host_esp_state *, struct error *);

enum host_socket_kind { HOST_UDP, HOST_TCP_LISTEN, HOST_TCP };
/* A socket with SO_MARK, non-blocking, close-on-exec, bound to `local` (any address: family decides; a v6 any-socket is
 * v6 only). HOST_UDP: PKTINFO on, large buffers, IP_RECVERR, no fragmentation bit (DF off). HOST_TCP_LISTEN: listening.
 * HOST_TCP: to be connected by who gets it. */
MUST_USE bool host_socket(struct host *, enum host_socket_kind, const struct address *local, int *fd, struct error *);
/* TCP_CONGESTION: `name` for a TCP socket, or for all that a listener accepts from now on. The kernel loads the module. */
MUST_USE bool host_socket_congestion(int fd, const char *name, struct error *);

#endif
