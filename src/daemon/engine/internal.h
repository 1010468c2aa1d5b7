/* internal.h: what the files of the engine share. One thread, one event loop; everything hangs off struct engine.
 *
 * The rule that keeps it simple: a call into peers_* returns actions, and engine_apply carries them out at once and in
 * order, before the next call. Nothing that an action starts may answer before engine_apply is done: answers come from
 * the event loop. */
#ifndef IKETCP_DAEMON_ENGINE_INTERNAL_H
#define IKETCP_DAEMON_ENGINE_INTERNAL_H

#include <jansson.h>
#include <sys/queue.h>

#include "config/config.h"
#include "daemon/daemon.h"
#include "dataplane/dataplane.h"
#include "transport/transport.h"

struct event;
struct event_base;
struct engine;

#define TUN_MTU_DEFAULT 1400u /* fits UDP encapsulation in 1,500 octets, and S7 over TCP */
#define STOP_MOST_MS 1500u /* how long deleting politely may take */

/* ---- names.c: strings that live as long as the engine, and likely meanings of a mistyped one ---- */
struct name {
    SLIST_ENTRY(name) next;
    char text[];
};
SLIST_HEAD(name_list, name);
/* The same text again, for ever; bounded by the distinct names of all configurations. "" when memory is short. */
const char *name_keep(struct name_list *, const char *text);
void names_free(struct name_list *);
/* How many letters differ (insert, delete, replace); at most 64 letters are looked at. */
size_t name_distance(const char *a, const char *b);

/* ---- facts.c: what the monitor knows of this host and a configuration asks about ---- */
struct fact {
    struct address address;
    bool ours;
};
struct facts {
    struct fact *list;
    size_t count;
    struct address default4, default6; /* %defaultroute of each family; unspecified: there is none */
};
typedef void (*facts_done)(struct engine *, struct facts *); /* the taker frees */
/* Asks about every address of `config`; `done` comes from the event loop, once. False: no memory. */
MUST_USE bool facts_gather(struct engine *, const struct config *, facts_done done);
bool facts_is_ours(const struct facts *, const struct address *);
void facts_free(struct facts *);

/* ---- translate.c: a connection of the configuration as peer/ wants it ---- */
/* Finds out which side is us, fills every default that depends on this host. *err names the connection. */
MUST_USE bool translate_connection(const struct config *, struct config_connection *, const struct facts *,
    struct name_list *, struct peer_config *out, struct error *err);
/* INITIAL_CONTACT only where no other connection has the same pair of identities. Call when all are translated. */
void translate_initial_contact(struct peer_config *, size_t count);

/* ---- route.c: what a peer needs of the host, as the monitor wants it; `tun_mtu` of its device ---- */
MUST_USE bool route_set_of(
    peer_id, const struct peer_host_setup *, uint32_t tun_mtu, struct host_route_set *, struct error *);

/* ---- keylog.c: keys in files that Wireshark reads, where keylog= says so ---- */
struct keylog {
    int fd[2]; /* by enum monitor_keylog; -1: not open */
    enum monitor_keylog asked;
    void (*done)(struct engine *, const struct error *);
};
/* Opens the files as `config` wants, or closes them; `done` comes from inside or from the event loop, once. */
void keylog_apply(struct engine *, const struct config *, void (*done)(struct engine *, const struct error *));
void keylog_write(struct engine *, const struct peer_secrets *);
void keylog_close(struct engine *);
#define KEYLOG_LINES_MAX ((size_t)2048)
/* The lines for one SA, with newlines; empty for what Wireshark can't decrypt. */
void keylog_lines(const struct peer_secrets *, char out[KEYLOG_LINES_MAX]);

/* ---- devices.c: connections' own devices: there from the load of their connection to its end ---- */
struct device {
    uint32_t device; /* as peer_config has it */
    uint32_t mtu;
    uint64_t made_of; /* a hash of what else it has: another one is made when that changes */
};
typedef void (*devices_done)(struct engine *);
struct devices {
    struct device *list; /* open ones */
    size_t count, capacity;
    size_t asked; /* number of the connection whose device is being opened */
    devices_done done;
};
/* Opens those that configuring.connection wants and that are not open; a connection whose device can't be had is left out.
 * `done` comes from inside or from the event loop, once. */
void devices_open(struct engine *, devices_done);
void devices_trim(struct engine *); /* closes those that no connection in force has */
void devices_free(struct engine *);
/* Of device 0 or another one. */
const char *device_name(const struct engine *, uint32_t device, char text[CONFIG_DEVICE_NAME_MAX]);
uint32_t device_mtu(const struct engine *, uint32_t device);

/* ---- demand.c: routes of auto=ondemand connections while they are down ---- */
void demand_clear(struct engine *); /* before engine->connection changes ... */
void demand_set(struct engine *); /* ... and after */
void demand_yield(struct engine *, const char *connection); /* the peer's own come */
void demand_return(struct engine *, const char *connection); /* the peer's own are gone */

/* ---- outbox.c: commands for the worker, in order, when its ring is full as well ---- */
struct outbox {
    struct worker_command *list; /* a ring */
    size_t head, count, capacity;
    struct event *retry;
};
MUST_USE bool outbox_open(struct engine *);
/* Takes over the command's octets, fd and SA. IKE messages are dropped when very many wait: they are sent again. */
void outbox_post(struct engine *, const struct worker_command *);
void outbox_close(struct engine *);

/* ---- lookup.c: a host's addresses ---- */
#define LOOKUP_MAX PATH_TARGETS_MAX
struct lookup;
typedef void (*lookup_done)(void *context, const struct address *, size_t count, const struct error *);
/* An address is its own. `family` 0: both. `done` comes from the event loop, once, with at least one address or an error,
 * and ends it; not after lookup_cancel (which takes NULL too). NULL: no memory. */
struct lookup *lookup_begin(struct engine *, const char *host, uint8_t family, lookup_done done, void *context);
void lookup_cancel(struct lookup *);

/* ---- name_relay.c: a name server as evdns can ask it past the tunnels: at an address on loopback ---- */
struct name_relay;
struct sockaddr;
LIST_HEAD(name_relay_list, name_relay);
/* From the event loop, once; `at` NULL: it can't be asked, and why. */
typedef void (*name_relay_ready)(void *context, const struct sockaddr *at, unsigned length, const struct error *);
struct name_relay *name_relay_open(struct engine *, const struct address *server, name_relay_ready, void *context);
void name_relay_close(struct name_relay *); /* not from inside `ready` */
void name_relays_free(struct engine *); /* after the monitor's client; what nobody closed */

/* ---- services.c: what listeners do with whom: the certificate they show, the web server behind them ---- */
struct services {
    struct tls_server *tls; /* NULL: no listener wants it */
    uint64_t tls_hash; /* of what it was made of */
    struct address web; /* port 0: none, or not found yet */
    char web_host[256];
    uint16_t web_port;
    struct lookup *lookup;
    struct event *again; /* looks it up once more */
};
/* As `config` has it; what has not changed stays (tickets of TLS too). False: nothing was changed. */
MUST_USE bool services_apply(struct engine *, const struct config *, struct error *);
void services_free(struct engine *); /* after all listeners */

/* ---- streams.c: streams by number, and connections on their way ---- */
struct stream_entry;
struct connecting;
LIST_HEAD(stream_bucket, stream_entry);
LIST_HEAD(connecting_list, connecting);
#define STREAM_BUCKETS 8192
struct streams {
    struct stream_bucket bucket[STREAM_BUCKETS];
    size_t count;
    uint32_t last; /* number given last */
    struct connecting_list connecting;
};
void streams_accept(void *engine, const struct accepted_stream *); /* tcp_listener's on_stream */
void streams_connect(struct engine *, const struct peer_action *);
void streams_cancel(struct engine *, uint32_t attempt);
void streams_close(struct engine *, uint32_t stream);
/* The worker says that it is gone; false: it was closed by us, nobody wants to know. */
bool streams_gone(struct engine *, uint32_t stream);
/* The kernel reads its ESP: it can carry no other's. */
void streams_set_kernel(struct engine *, uint32_t stream);
bool streams_is_kernel(struct engine *, uint32_t stream);
void streams_free(struct engine *);

/* ---- wanted.c: what a connection says about the streams that it opens ---- */
/* All but the proxy's address: with a proxy, `out->remote` has a port only and *proxy_host is to be looked up. */
MUST_USE bool connect_wanted_of(
    struct engine *, const struct peer_action *, struct connect_wanted *out, const char **proxy_host, struct error *);
/* Its proxy can be told a name: that nobody else knows the address is no fault. */
bool proxy_knows_names(const struct engine *, const char *connection);

/* ---- listen.c: UDP sockets and TCP listeners ---- */
#define LISTENING_MAX 40
struct listening {
    enum transport transport; /* UDP or TCP */
    bool plain, tls; /* TCP: which of them is taken there, by the first octets */
    char congestion[CONFIG_CONGESTION_MAX]; /* TCP: what the monitor has set */
    struct address address; /* with port */
    struct tcp_listener *tcp;
};
typedef void (*listen_done)(struct engine *, const struct error *); /* ORIGIN_NONE: all are open */
struct listeners {
    struct listening list[LISTENING_MAX]; /* open ones */
    size_t count;
    struct listening wanted[LISTENING_MAX];
    size_t wanteds, asked;
    uint32_t round; /* of listeners_apply: answers to an earlier one are thrown away */
    listen_done done;
};
/* Opens what `config` wants and is not open, closes what it no longer wants. */
void listeners_apply(struct engine *, const struct config *, listen_done done);
void listeners_serve(struct engine *); /* tells all of them engine->services */
void listeners_free(struct engine *);

/* ---- resolve.c: names to addresses of theirs and ours ---- */
struct resolution;
LIST_HEAD(resolution_list, resolution);
void resolve_begin(struct engine *, const struct peer_action *);
void resolve_free(struct engine *);

/* ---- actions.c ----
 * A message that comes after PEER_HOST_UP in the same output (the answer that lets the peer send) waits for the routes: what
 * the peer sends at once would be answered past the tunnel. */
#define LATE_SENDS_MAX ((size_t)256)
struct late_send;
STAILQ_HEAD(late_send_list, late_send);
void engine_apply(struct engine *, struct peer_output);
void actions_free(struct engine *);

void actions_send_late(struct engine *, peer_id); /* what it would answer can be dealt with now */

/* ---- kernel.c: ESP by the kernel, over TCP (O5) ---- */
#define KERNEL_BUCKETS 256
struct kernel_anchor;
LIST_HEAD(kernel_bucket, kernel_anchor);
struct kernel {
    bool usable; /* a connection wants it, and the kernel can */
    struct kernel_bucket bucket[KERNEL_BUCKETS];
    struct event *tick;
    uint32_t round;
    size_t first; /* bucket of the next tick */
    size_t reading; /* counters that the monitor was asked for */
};
void kernel_configure(struct engine *, const struct config *); /* asks the monitor, if a connection wants it */
/* A command of peers, before it goes to the worker, and after. */
void kernel_before(struct engine *, const struct peer_action *, struct traffic_command *);
void kernel_after(struct engine *, const struct traffic_command *);
void kernel_lent(struct engine *, const struct worker_report *); /* WORKER_LENT */
void kernel_forget(struct engine *, const struct esp_sa *); /* it is about to be freed */
bool kernel_has(struct engine *, uint32_t anchor);
void kernel_free(struct engine *);

/* ---- reports.c: what the worker says ---- */
MUST_USE bool reports_open(struct engine *);
void reports_close(struct engine *);

/* ---- timer.c ---- */
uint64_t engine_now(void); /* ms; never goes back, and counts while the machine sleeps */
MUST_USE bool deadline_open(struct engine *);
void deadline_set(struct engine *); /* by peers_deadline; after every call into peers */
void deadline_close(struct engine *);

/* ---- configure.c: from texts to connections that are served, at the start and by reload ---- */
/* `text`: a sentence, or lines of warnings or diagnostics before it. */
typedef void (*configure_done)(struct engine *, bool ok, const char *text);
/* Neither may be called while the other goes on (configuring.busy). `done` comes from inside or from the event loop. */
void configure_begin(struct engine *, const uint8_t *packed, size_t length, configure_done done);
void configure_reload(struct engine *, configure_done done);
const char *configure_last_line(const char *text);
struct left_out { /* a connection that can't be served, and why */
    char name[64];
    char why[320];
};
struct configuring {
    bool busy;
    struct config *config;
    struct peer_config *connection;
    struct left_out *left_out;
    size_t connections, left_outs;
    char warnings[4096]; /* lines */
    configure_done done;
};
/* A connection of those that are being configured can't be served. */
void configure_leave_out(struct engine *, size_t number, const char *why);
void configure_free(struct engine *);

/* ---- control.c: people's commands over the control socket ---- */
struct client;
LIST_HEAD(client_list, client);
struct evconnlistener;
struct control {
    struct client_list clients;
    size_t count;
    struct evconnlistener *listener;
    struct event *reaper; /* frees clients that are gone, when nobody looks at them */
};
MUST_USE bool control_open(struct engine *, int fd, struct error *);
void control_close(struct engine *);
/* PEER_STEP, PEER_UP and PEER_DOWN for those who wait. They only write; nobody calls into peers here. */
void control_event(struct engine *, const struct peer_action *);
void control_reload(struct engine *); /* SIGHUP */

/* ---- status.c: the contract of `iketcp status --json` ---- */
/* `name` NULL: all connections. NULL: no memory. */
json_t *status_all(const struct engine *, const char *name);
json_t *status_connection(const struct peer_status *, const char *tun, uint64_t now); /* `tun`: its device */
const char *peer_state_text(enum peer_state);
json_t *json_text(const char *); /* a JSON string; octets beyond ASCII become ? where they are no UTF-8 */

struct engine {
    struct event_base *base;
    struct monitor_client *monitor;
    struct peers *peers;
    struct worker *worker;
    struct config *config; /* in force */
    struct peer_config *connection; /* translated, in force */
    struct left_out *left_out;
    size_t connections, left_outs;
    struct name_list names;
    char tun[16];
    uint32_t tun_mtu;
    bool ready, stopping, settled, applying;
    peer_id routing; /* during engine_apply: whose routes were asked for in it */
    struct late_send_list late_send;
    size_t late_sends;
    int status; /* exit status */

    struct event *timer, *reports, *stop_timer;
    struct outbox outbox;
    struct streams streams;
    struct tls_client *tls_client; /* NULL: nothing was opened over TLS yet */
    struct listeners listeners;
    struct services services;
    struct keylog keylog;
    struct kernel kernel;
    struct resolution_list resolutions;
    struct name_relay_list name_relays;
    struct configuring configuring;
    struct devices devices;
    struct control control;
};

/* engine.c */
void engine_settle(struct engine *); /* after all actions of one call: stopping may be over */
void engine_stop(struct engine *); /* deletes all SAs politely, then ends the loop; the second time at once */
void engine_fail(struct engine *, const char *why); /* ends with status 1 */
const struct peer_config *engine_connection(const struct engine *, const char *name); /* NULL: none */

#endif
