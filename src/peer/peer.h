/* peer.h: the face of peer/: all peers of one engine, each with its IKE SAs (ike/), its path (path/) and its Child SAs
 * (esp/), joined. Pure. Two halves that share no memory but ESP counters and talk in values:
 *
 *   peers    control thread: IKE, paths, tables of SPIs, streams' lives (L1 to L15, C2 to C7, K1, K2)
 *   traffic  worker thread: which SA a packet belongs to, what carries an SA now (L5, L10), policy lookup
 *
 * The daemon drives both over rings and sockets, tests/sim/ in one process over a simulated network.
 *
 * An *anchor* is what keeps its place while carriers come and go: one remote's IKE SA, its successors and all their Child
 * SAs. Its number carries the worker's in the top 8 bits. A *carrier* is what carries a message: a stream, or a UDP flow
 * named by its two addresses. */
#ifndef IKETCP_PEER_PEER_H
#define IKETCP_PEER_PEER_H

#include "esp/esp.h"
#include "ike/ike.h"
#include "path/path.h"

struct carrier {
    enum transport transport;
    uint32_t stream; /* number of the stream, given by the daemon, never reused soon; 0 for UDP */
    struct address local, remote;
};
bool carrier_equal(const struct carrier *, const struct carrier *);

/* ---------------------------------------------------------------- configuration ---- */

enum peer_start { PEER_START_MANUAL, PEER_START_AUTO, PEER_START_ONDEMAND };
enum peer_after_loss { PEER_AFTER_HOLD, PEER_AFTER_CLEAR, PEER_AFTER_RESTART }; /* dpdaction */

struct peer_config {
    char name[64];
    uint64_t revision; /* a hash of all that was configured: equal means unchanged by a reload */
    struct ike_config ike;
    struct path_config path;
    bool may_initiate; /* false: the remote is %any */
    char remote_host[256]; /* name or address to dial; empty: %any */
    struct prefix remote_any; /* a Responder takes it for remotes inside; length 0: every address */
    struct address local; /* only over this address; unspecified: any */
    bool local_may_change; /* %defaultroute: `local` is what that was when the file was read */
    uint16_t local_port; /* where we listen for UDP (500), for carriers' local side */
    struct address source_ip; /* leftsourceip, unspecified: none */
    uint32_t mtu; /* of the tunnel, 0: automatic */
    uint32_t device; /* whose inner packets alone are this connection's, and where they go; 0: the common one */
    enum peer_start start;
    enum peer_after_loss after_loss;
    uint32_t keying_tries; /* 0: for ever */
    uint64_t nat_keepalive_ms; /* of silence over UDP behind a NAT (RFC 3948, section 2.3); 0: none are sent */
    char accept_redirect_to[512]; /* gateways with commas between them, where ike.accept_redirect; empty: any */
    bool accept_tcp; /* enable-tcp=no takes no SA over TCP either */
    bool accept_udp; /* enable-tcp=yes, tcponly: TCP alone */
    bool kernel_esp; /* its Child SAs keep their keys, so that the kernel can have them over TCP (O5) */
};

struct peers_limits {
    uint32_t half_open_max; /* IKE SAs as Responder that are not authenticated, in all */
    uint32_t half_open_cookies; /* from this many on, cookies are asked for over UDP (K3) */
    uint32_t half_open_per_source;
    uint64_t half_open_ms; /* how long one may stay so */
    uint64_t silent_stream_ms; /* L12: 20,000 */
    uint64_t orphan_stream_ms; /* L9: a stream without an IKE SA, a few seconds */
    uint32_t corrupt_tolerance; /* L10: unparsable messages or unknown SPIs in a row on a stream */
};
void peers_limits_defaults(struct peers_limits *);

/* ---------------------------------------------------------------- peers: control half ---- */

struct peers;
typedef uint32_t peer_id; /* one live peer or a connection that is down; 0: none */

enum peer_action_kind {
    PEER_RESOLVE, /* (peer, host): look it up, and our address towards it; answer peers_resolved */
    PEER_SEND, /* (carrier, octets, bare): an IKE message; on UDP 4500 and streams its carrier adds the marker */
    PEER_CONNECT, /* (peer, attempt, carrier, host): open a stream, answer peers_connected or peers_connect_failed */
    PEER_CANCEL, /* (attempt): no longer wanted; no answer */
    PEER_CLOSE, /* (carrier.stream): close it, after what was queued for it; no answer */
    PEER_AUTH, /* (peer, auth): compute AUTH values where the keys are; answer peers_auth */
    PEER_SECRETS, /* (secrets): keys of an IKE SA or a Child SA, where config.ike.keylog says so; wiped by the next call */
    PEER_TRAFFIC, /* (traffic): a command for the worker's half, in order with PEER_SEND */
    PEER_HOST_UP, /* (peer, host_setup): addresses, routes; answer peers_host_done */
    PEER_HOST_DOWN, /* (peer): take them back; no answer */
    PEER_STEP, /* (peer, step, text): progress, for who waits and for the log */
    PEER_UP, /* (peer): IKE SA, Child SA and host are there: `up` may return */
    PEER_DOWN, /* (peer, text, error): over, or the attempt failed: `up` and `down` may return */
};

enum peer_step {
    STEP_RESOLVING,
    STEP_TRYING,
    STEP_NO_ANSWER,
    STEP_CONNECTED,
    STEP_REFUSED,
    STEP_RETRY,
    STEP_IKE_KEYS,
    STEP_IKE_UP,
    STEP_CHILD_UP,
    STEP_CHILD_REKEYED,
    STEP_CHILD_FAILED,
    STEP_IKE_REKEYED,
    STEP_HOST_UP,
    STEP_LOST,
    STEP_RECONNECTING,
    STEP_RECONNECTED,
    STEP_MOVED,
    STEP_REDIRECTED,
    STEP_GIVING_UP,
    STEP_DELETED,
};

enum traffic_verb {
    TRAFFIC_ANCHOR_ADD, /* (anchor, carrier, pinned, roams) */
    TRAFFIC_ANCHOR_MOVE, /* (anchor, carrier, pinned, roams): a fresh authentic IKE message came over it (L5) or we chose it;
                            * transport NONE: nothing carries it at the moment, drop */
    TRAFFIC_ANCHOR_REMOVE, /* (anchor): with all that is still installed */
    TRAFFIC_INSTALL, /* (anchor, sa, device, outbound_now, replaces): the worker's from now on */
    TRAFFIC_DRAIN, /* (anchor, spi_in): nothing goes out on it any more; what was under way is taken until RETIRE */
    TRAFFIC_RETIRE, /* (anchor, spi_in): comes back in TRAFFIC_RETIRED for freeing */
};
struct traffic_command {
    enum traffic_verb verb;
    uint32_t anchor;
    struct carrier carrier;
    bool pinned; /* ESP from another UDP address does not move it: we are behind a NAT, the peer is not */
    bool roams; /* MOBIKE says where it is: ESP over UDP follows to another port of the same host at most */
    struct esp_sa *sa;
    uint32_t device;
    bool outbound_now; /* else from the first authentic packet that came in on it, or when `replaces` is retired */
    uint32_t replaces; /* spi_in, 0: none */
    uint32_t spi_in;
    bool lent; /* INSTALL: the kernel has it from the beginning, see traffic_lend */
    bool mute; /* INSTALL: ... or will, and nothing is sealed with it until traffic_return: no key is used by both */
};

struct peer_host_setup { /* what the host must have while the peer is up */
    struct selector_list local, remote;
    struct address source_ip; /* put on the TUN device and used as the routes' source; unspecified: an address of
                                   * ours inside `local`, if there is one */
    uint32_t mtu; /* of the routes, 0: automatic, from esp overhead and transport */
    uint32_t device; /* 0: the common one */
    bool host_to_host; /* transport mode, which carries no fragments: packets must come whole */
    enum transport transport;
    size_t overhead; /* octets that ESP adds to an inner packet at most */
    struct address outer_remote; /* must never be routed into the tunnel */
};

struct peer_auth_wanted {
    const char *connection; /* name of the peer_config chosen by address and identities */
    uint16_t prf;
    struct identity local_id, remote_id;
    struct span local_octets, remote_octets; /* valid until the next call */
};

struct peer_secrets {
    bool esp; /* then spi_i and encr_i, integ_i are those of what comes in, spi_r, encr_r, integ_r of what goes out */
    struct ike_secrets keys;
};

struct peer_action {
    enum peer_action_kind kind;
    peer_id peer;
    const char *connection; /* name of the peer's connection, for logs and who waits; as valid
                             * as the output */
    uint32_t attempt;
    uint32_t flow_label; /* CONNECT over IPv6: 20 bits, the same for all streams of a peer (L13); 0: the kernel's */
    struct carrier carrier;
    struct span octets; /* in the output's buffer */
    bool bare; /* SEND: the datagram as a whole, a NAT keepalive: no marker (UDP only) */
    const char *host;
    struct peer_auth_wanted auth;
    struct traffic_command traffic;
    struct peer_host_setup host_setup;
    struct peer_secrets secrets;
    enum peer_step step;
    char text[320]; /* a sentence: "UDP 192.0.2.1:500 did not answer 2 times in 1.5 s; trying TCP 4500" */
    struct error error;
};

/* Actions in order, owned by `peers`; valid until the next call into it. Take them all before the next call. */
struct peer_output {
    const struct peer_action *action;
    size_t actions;
};

/* `worker`: number of the worker that owns what is made here. NULL: no memory. */
struct peers *peers_new(const struct peers_limits *, uint8_t worker, struct random_source random, uint64_t now);
/* Frees all; tells nobody. Installed SAs are the worker's: apply TRAFFIC_ANCHOR_REMOVE or free the traffic too. */
void peers_free(struct peers *);

/* Sets all connections, copied. Those whose revision is unchanged keep their SAs; changed or missing ones are deleted
 * politely; new ones with PEER_START_AUTO begin. */
struct peer_output peers_configure(struct peers *, uint64_t now, const struct peer_config *, size_t count);
void peers_set_network(struct peers *, uint64_t network); /* see path_memory */
/* Addresses or routes of this host changed: whose way out is another one now moves, or connects again. */
struct peer_output peers_network_changed(struct peers *, uint64_t now);
/* All addresses at which this host may be reached; those beyond PEERS_ADDRESSES_MAX are passed over. Peers with MOBIKE are told
 * of those that could be of use to them, and of changes. */
#define PEERS_ADDRESSES_MAX 16
struct peer_output peers_set_addresses(struct peers *, uint64_t now, const struct address *, size_t count);
/* Whoever begins and can be redirected is sent to one of `gateways` (with commas between them) in turn, before any state is
 * kept for it (RFC 5685 section 4). */
enum peer_redirect { PEER_REDIRECT_NO, PEER_REDIRECT_YES, PEER_REDIRECT_UNDER_LOAD };
void peers_set_redirect(struct peers *, enum peer_redirect, const char *gateways);

struct peer_output peers_up(struct peers *, uint64_t now, const char *connection, peer_id *peer, struct error *);
struct peer_output peers_down(struct peers *, uint64_t now, const char *connection, size_t *found);
struct peer_output peers_shutdown(struct peers *, uint64_t now); /* deletes all politely; peers_idle when done */
bool peers_idle(const struct peers *);
struct peer_output peers_ondemand(
    struct peers *, uint64_t now, uint32_t device, const uint8_t *inner, size_t length); /* a first packet */
struct peer_output peers_rekey(
    struct peers *, uint64_t now, const char *connection, bool ike, struct error *); /* by hand */

/* As gateway: asks all peers of a connection to go to another one (a name or an address); *found: so many can. */
struct peer_output peers_redirect(
    struct peers *, uint64_t now, const char *connection, const char *gateway, size_t *found);

struct peer_output peers_receive(struct peers *, uint64_t now, const struct carrier *, struct span message);
struct peer_output peers_resolved(
    struct peers *, uint64_t now, peer_id, const struct path_target *, size_t count, const struct error *failed);
struct peer_output peers_connected(struct peers *, uint64_t now, uint32_t attempt, const struct carrier *);
struct peer_output peers_connect_failed(struct peers *, uint64_t now, uint32_t attempt, const struct error *);
struct peer_output peers_udp_failed(
    struct peers *, uint64_t now, const struct carrier *, const struct error *); /* ICMP */
/* A stream was accepted and its prefix came; messages follow through peers_receive. */
struct peer_output peers_accepted(struct peers *, uint64_t now, const struct carrier *);
/* A stream is gone: closed by the other side, broken, or corrupt (closed by its owner). Not after PEER_CLOSE. */
struct peer_output peers_stream_lost(struct peers *, uint64_t now, uint32_t stream, const struct error *);
struct peer_output peers_auth(
    struct peers *, uint64_t now, peer_id, const struct ike_auth_values *); /* .config unused */
struct peer_output peers_host_done(struct peers *, uint64_t now, peer_id, const struct error *failed); /* NULL: done */

/* What the worker's half reports. */
enum traffic_report_kind {
    TRAFFIC_MOVED, /* (anchor, carrier): authentic fresh ESP came over it; it is current now (L5) */
    TRAFFIC_SOFT_EXPIRY, /* (anchor, spi_in): sequence numbers run out */
    TRAFFIC_RETIRED, /* (sa): free it (the daemon does; never reaches peers) */
    TRAFFIC_CORRUPT, /* (carrier): close that stream (L10); error says why */
    TRAFFIC_UNKNOWN_SPI, /* (carrier, spi_in): ESP over UDP that is nobody's; so many a second at most */
    TRAFFIC_NO_SA, /* (packet head): an inner packet that only an on-demand connection might take */
};
struct traffic_report {
    enum traffic_report_kind kind;
    uint32_t anchor, spi_in;
    struct carrier carrier;
    struct esp_sa *sa;
    struct error error;
};
struct peer_output peers_traffic(struct peers *, uint64_t now, const struct traffic_report *);

struct peer_output peers_wake(struct peers *, uint64_t now); /* all that is due at `now` */
uint64_t peers_deadline(const struct peers *);

/* For status: one entry per live peer, and one for each idle connection. */
enum peer_state { PEER_STATE_DOWN, PEER_STATE_CONNECTING, PEER_STATE_UP, PEER_STATE_RECONNECTING };
/* What is kept of struct ike_child: all but keys. */
struct peer_child {
    const struct ike_child_config *config;
    uint32_t spi_in, spi_out, replaces;
    struct cipher_suite suite;
    uint16_t ke;
    bool esn, transport, aggfrag;
    const struct selector_list *local, *remote;
};

struct peer_child_status {
    const struct peer_child *child;
    struct esp_counters *counters;
    uint64_t since;
};
struct peer_status {
    peer_id peer;
    const char *name;
    enum peer_state state;
    enum transport transport;
    bool has_ike;
    struct ike_info ike;
    struct address local, remote;
    uint64_t rekeys, reconnects;
    struct peer_child_status child[IKE_CHILDREN_MAX];
    size_t children;
    uint32_t anchor;
    uint32_t device; /* the connection's */
    uint8_t fingerprint[32]; /* see ike_sa_fingerprint */
};
/* One after the other, in time that grows with their number alone: {0} begins. Not across another call into peers, and one
 * walk at a time. False behind the last. */
struct peers_cursor {
    const void *next;
    bool begun, idle; /* among the idle connections */
};
bool peers_status_next(const struct peers *, struct peers_cursor *, struct peer_status *out);
/* Fills *out for the n-th entry; false behind the last. */
bool peers_status(const struct peers *, size_t n, struct peer_status *out);
struct peers_totals {
    size_t peers, ike_sas, child_sas, streams, half_open;
};
void peers_totals(const struct peers *, struct peers_totals *); /* for leak checks and metrics */

/* ---------------------------------------------------------------- traffic: worker half ---- */

struct traffic;
struct traffic *traffic_new(uint8_t worker); /* NULL: no memory */
void traffic_free(struct traffic *); /* frees the SAs installed too */

struct traffic_reports {
    struct traffic_report report[32];
    size_t
        count; /* a full list drops MOVED, SOFT_EXPIRY and UNKNOWN_SPI (they come again), never RETIRED (callers leave room) */
};
void traffic_apply(struct traffic *, uint64_t now, const struct traffic_command *, struct traffic_reports *);

enum traffic_verdict {
    TRAFFIC_IS_INNER,
    TRAFFIC_IS_AGGREGATE, /* any number of inner packets */
    TRAFFIC_IS_IKE,
    TRAFFIC_IS_NOTHING,
    TRAFFIC_IS_CORRUPT
};
struct traffic_frame {
    uint8_t *payload; /* as framing gives it: after the length field; opened in place */
    size_t length;
    enum traffic_verdict verdict; /* out */
    struct span message; /* out, IKE: without the marker */
    uint8_t *
        inner; /* out, INNER: in the payload, or (rebuilt: transport mode) in memory of `traffic` until its next call */
    bool rebuilt; /* out */
    size_t inner_length;
    uint32_t anchor, device; /* out, INNER and AGGREGATE */
    struct aggfrag_walk
        walk; /* out, AGGREGATE: aggfrag_next gives what is inside, until the next call of traffic_apply */
};
/* Frames of one read of one carrier, in order. Batches those of one SA. On CORRUPT the rest is not looked at and the
 * stream is to be closed. *strikes is the stream's own memory for L10 and S12 (start at 0; NULL over UDP). `marker`:
 * false on UDP 500, where payloads are IKE without the four octets. */
void traffic_receive(struct traffic *, uint64_t now, const struct carrier *, bool marker, uint32_t tolerance,
    uint32_t *strikes, struct traffic_frame *, size_t frames, struct traffic_reports *);

struct traffic_route {
    struct esp_sa *sa;
    uint32_t anchor;
    const struct carrier *carrier; /* transport NONE: nothing there now, drop */
    size_t strip; /* transport mode: so many octets of each packet's IP header are not sealed; 0: tunnel mode */
    uint8_t next_header; /* transport mode: for esp_seal */
};
/* Whose an inner packet is that came out of `device`; false: nobody's. Narrower selectors win; looked up once per burst of one
 * flow. */
bool traffic_route(struct traffic *, uint32_t device, const uint8_t *inner, size_t length, struct traffic_route *);
/* After sealing on a route: reports soft expiry when it is due. */
void traffic_sealed(struct traffic *, const struct traffic_route *, struct traffic_reports *);
/* The kernel is to do the ESP of all SAs of an anchor: how far each is, at most `most` of them. From now on ESP for them that
 * comes here is passed over (it did not come over the stream that the kernel reads, and only the kernel knows what is
 * fresh), and nothing is sealed with them. Returns how many; 0: there is no such anchor, it has none or too many. */
size_t traffic_lend(struct traffic *, uint32_t anchor, struct esp_numbers *, size_t most);
/* One comes back with these numbers, or may be used although it never went (out 0). If the kernel sent with it nothing more is
 * sealed: the next packet asks for a rekey. */
void traffic_return(struct traffic *, const struct esp_numbers *);
size_t traffic_anchors(const struct traffic *); /* for leak checks */
size_t traffic_sas(const struct traffic *);

#endif
