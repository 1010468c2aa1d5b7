/* monitor.h: what the engine may ask of the monitor, and nothing else. One table: a request, its size, when it is allowed.
 * Both run the same program; they talk over a SOCK_SEQPACKET socket pair in records of at most MONITOR_RECORD_MAX, with
 * descriptors passed along. The monitor trusts nothing in a request: lengths, enums and permissions are checked, and
 * whatever is not allowed ends the engine. */
#ifndef IKETCP_DAEMON_MONITOR_H
#define IKETCP_DAEMON_MONITOR_H

#include "base/base.h"
#include "host/host.h"
#include "peer/peer.h"

#define MONITOR_RECORD_MAX ((size_t)131072)

enum monitor_request_kind {
    REQUEST_AUTH = 1, /* compute both AUTH values of a PSK */
    REQUEST_SOCKET, /* UDP, TCP listener or TCP client: a descriptor comes back */
    REQUEST_TUN, /* the common TUN device, or that of one connection: a descriptor comes back */
    REQUEST_TUN_CLOSE, /* of one connection; no reply */
    REQUEST_ROUTES_SET,
    REQUEST_ROUTES_DROP, /* no reply */
    REQUEST_SOURCE, /* which address of ours goes towards a remote */
    REQUEST_ADDRESSES, /* is this address ours; %defaultroute */
    REQUEST_LOCALS, /* all addresses of ours at which others may reach us */
    REQUEST_RELOAD, /* read files again: their texts come back, or what is wrong with them */
    REQUEST_READY, /* listeners are open: make the control socket, notify who waits; its descriptor comes back */
    REQUEST_KEYLOG, /* where keylog= says so: one of its files, for appending; a descriptor comes back */
    REQUEST_ESP_PROBE, /* whether the kernel has ESP in TCP */
    REQUEST_ESP_SET, /* a Child SA of a connection with kernel-esp=yes is the kernel's now */
    REQUEST_ESP_READ, /* how far one of these is; and, if wanted, no further */
    REQUEST_STOPPING, /* no reply: SAs are deleted, the engine ends */
};

/* ---- engine's side: asynchronous, in order; every request has one answer unless it says "no reply" ----
 * Spans and pointers in arguments are copied at once. A request that can't be sent is answered with an error from the
 * event loop, never from inside the call. */
struct monitor_client;
struct event_base;
struct monitor_client *monitor_client_new(struct event_base *, int fd, struct error *);
void monitor_client_free(struct monitor_client *); /* outstanding answers never come */

/* What the monitor says by itself. */
enum monitor_notice {
    NOTICE_STOP = 1, /* SIGTERM, SIGINT: delete the SAs politely, monitor_stopping, return; killed after 2 s */
    NOTICE_RELOAD, /* SIGHUP: call monitor_reload */
    NOTICE_NETWORK, /* addresses, links or routes of this host changed: peers_network_changed */
    NOTICE_GONE, /* the monitor is dead or talks nonsense: end at once; outstanding answers never come */
};
/* Never called from inside another monitor_* function. Without one, NOTICE_GONE ends the event loop. */
void monitor_client_on_notice(
    struct monitor_client *, void (*on_notice)(void *context, enum monitor_notice), void *context);

struct monitor_answer {
    struct error error; /* ORIGIN_NONE: it worked */
    int fd; /* the reader's; -1: none */
    struct address address, address2; /* SOURCE; ADDRESSES: local and next hop */
    bool yes; /* ADDRESSES; TUN: offload */
    struct address local[PEERS_ADDRESSES_MAX]; /* LOCALS */
    size_t locals;
    uint64_t network; /* SOURCE, ADDRESSES: host_network, for peers_set_network */
    char name[16]; /* TUN */
    uint8_t local_auth[PRF_MAX], remote_auth[PRF_MAX];
    const uint8_t *octets; /* RELOAD: a packed config_source; valid during the callback */
    size_t length;
    struct host_esp_state esp; /* ESP_READ */
    const char *text; /* RELOAD failed: all diagnostics, a line each; valid during the callback */
};
typedef void (*monitor_done)(void *context, const struct monitor_answer *);

void monitor_auth(struct monitor_client *, const struct peer_auth_wanted *, monitor_done, void *context);
/* A HOST_TCP is for a name server, whom no connection is for. */
void monitor_socket(
    struct monitor_client *, enum host_socket_kind, const struct address *local, monitor_done, void *context);
/* A HOST_TCP for a connection of that name, whose tcp-congestion= the monitor reads itself. */
void monitor_client_socket(
    struct monitor_client *, const char *connection, const struct address *local, monitor_done, void *context);
void monitor_tun(struct monitor_client *, const char *name, uint32_t mtu, monitor_done, void *context);
void monitor_tun_close(struct monitor_client *, const char *name);
void monitor_routes_set(struct monitor_client *, const struct host_route_set *, monitor_done, void *context);
void monitor_routes_drop(struct monitor_client *, uint32_t owner);
void monitor_source(struct monitor_client *, const struct address *remote, monitor_done, void *context);
/* address unspecified with family f: %defaultroute of that family; else whether it is ours. */
void monitor_address(struct monitor_client *, const struct address *, monitor_done, void *context);
void monitor_locals(struct monitor_client *, monitor_done, void *context);
void monitor_reload(struct monitor_client *, monitor_done, void *context);
void monitor_ready(struct monitor_client *, monitor_done, void *context);
/* Files as Wireshark names and reads them: what protects IKE, what protects ESP. */
enum monitor_keylog { KEYLOG_IKE, KEYLOG_ESP };
void monitor_keylog(struct monitor_client *, enum monitor_keylog, monitor_done, void *context);
/* ESP by the kernel, see host_esp_probe, host_esp_set, host_esp_read. */
void monitor_esp_probe(struct monitor_client *, monitor_done, void *context);
void monitor_esp_set(
    struct monitor_client *, const char *connection, const struct host_esp *, monitor_done, void *context);
void monitor_esp_read(struct monitor_client *, uint32_t spi_in, bool remove, monitor_done, void *context);
void monitor_stopping(struct monitor_client *);

/* ---- monitor's side ---- */
struct monitor_options {
    const char *config_path, *secrets_path, *control_path;
    bool foreground;
    int log_level;
    const char *engine_user; /* iketcp, else nobody */
    uint32_t mark; /* of outer sockets */
};
/* Runs the whole daemon: reads files, takes the lock, cleans what was left behind, forks the engine (engine_main), serves
 * its requests, passes on SIGTERM, SIGINT and SIGHUP, takes everything back. Returns the exit status. */
int monitor_run(const struct monitor_options *);

/* The engine: runs until it is told to stop; `fd` to the monitor, `source` packed texts of the configuration. Called in
 * the child after privileges are gone and log_open was called ("engine"); SIGINT, SIGTERM, SIGHUP and SIGPIPE are
 * ignored. No descriptor is open but 0, 1, 2 and `fd`. Returns its exit status: 0 after NOTICE_STOP or `stop`. */
int engine_main(int fd, const uint8_t *source, size_t length, int log_level);

/* Drops to `user`, all capabilities, no new privileges; false and *err. In the child, before engine_main. */
MUST_USE bool privileges_drop(const char *user, struct error *);

#endif
