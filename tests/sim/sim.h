/* sim.h: a simulated network with complete engines in one process: virtual clock, seeded randomness, UDP that loses,
 * duplicates, reorders and delays, streams that are cut at any octet and opened again. Everything that happens comes from
 * the seed, so a run can be repeated from it.
 *
 * world.c: clock, queue of events, randomness      network.c: UDP, streams, NATs, cuts
 * node.c: one engine: peers and traffic, and what the daemon would do for them      inner.c: inner packets and their toll
 * faults.c: what goes wrong, and when      sim.c: one seed from start to end, and what must hold      main.c: many seeds */
#ifndef IKETCP_TESTS_SIM_H
#define IKETCP_TESTS_SIM_H

#include "peer/peer.h"

#define NODES_MAX 3
#define STREAMS_MAX 64
#define INNER_MAX 4096

struct world;
struct node;
struct link;

enum event_kind {
    EVENT_WAKE, /* node: its peers' deadline */
    EVENT_UDP, /* node, octets, from, to */
    EVENT_STREAM, /* link, side, octets: arrive at end[side] */
    EVENT_STREAM_END, /* link, side: FIN or RST arrives at end[side] */
    EVENT_CONNECT, /* node, attempt, carrier */
    EVENT_RESOLVED, /* node, peer */
    EVENT_AUTH, /* node, peer, auth */
    EVENT_HOST, /* node, peer */
    EVENT_TRAFFIC_REPORT, /* node, report */
    EVENT_INNER, /* node: sends an inner packet, and again later */
    EVENT_FAULT, /* fault */
};

struct event {
    uint64_t at, order;
    enum event_kind kind;
    struct node *node;
    struct link *link;
    int side;
    uint8_t *octets; /* malloc'd, freed when the event is done */
    size_t length;
    struct address from, to;
    struct carrier carrier;
    uint32_t attempt;
    peer_id peer;
    struct ike_auth_values auth;
    struct traffic_report report;
    int fault;
};

/* One end of a stream, at a node (or nobody's: an attacker's). */
struct stream_end {
    struct node *node;
    uint32_t id;
    bool originator, prefix_sent, accepted, gone;
    struct framer framer;
    uint8_t *received; /* what came and is not yet a whole message */
    size_t length;
    uint32_t strikes;
    struct carrier carrier;
};
struct link {
    struct stream_end end[2]; /* 0: originator */
    bool cut;
    uint64_t last[2]; /* latest delivery scheduled towards that end: order is kept */
    struct link *next;
};

struct node {
    struct world *world;
    int number;
    const char *name;
    struct peers *peers;
    struct traffic *traffic;
    struct peer_config *config;
    struct address outer; /* its own */
    struct address seen_as; /* what others see of it: a NAT's, with port base; else outer */
    struct address inner;
    uint32_t next_stream;
    uint64_t wake_at; /* the EVENT_WAKE that is queued; NEVER */
    uint64_t seen_downs, seen_ups, reconnects_seen;
    bool up, restarted;
    uint8_t psk[32];
};

/* What one inner packet met. */
struct inner_packet {
    int from, to;
    uint64_t sent_at;
    bool delivered;
};

struct world {
    uint64_t seed, now, end;
    uint64_t rng; /* state of random_seeded */
    struct random_source random;
    struct event *heap;
    size_t events, capacity;
    uint64_t order;
    struct node node[NODES_MAX];
    size_t nodes;
    struct link *links;
    /* the network's temper */
    bool udp_blocked, udp_dead; /* always; for a while */
    bool tcp_blocked;
    uint32_t loss_permille, duplicate_permille;
    uint64_t delay_min, delay_spread;
    uint32_t nat_ports; /* rebinds so far */
    bool nat;
    bool calm; /* faults are over: everything must come back */
    struct inner_packet inner[INNER_MAX];
    size_t inners;
    uint64_t trace; /* a hash of all that happened: equal for equal seeds */
    bool verbose;
    char failure[512]; /* empty: all held */
    uint64_t cuts, rekeys_asked, delivered, lost, replays_tried;
};

/* world.c */
void world_begin(struct world *, uint64_t seed, bool verbose);
void world_end(struct world *);
uint32_t world_random(struct world *, uint32_t below);
bool world_chance(struct world *, uint32_t permille);
struct event *world_schedule(struct world *, uint64_t delay, enum event_kind); /* filled by the caller at once */
void world_run_until(struct world *, uint64_t until);
void world_fail(struct world *, const char *format, ...) PRINTF_LIKE(2, 3);
void world_say(struct world *, const char *format, ...) PRINTF_LIKE(2, 3);
void world_trace(struct world *, const void *, size_t);

/* network.c */
void network_udp(struct world *, struct node *from, const struct carrier *, struct span payload);
void network_udp_arrives(struct world *, struct event *);
void network_connect(struct world *, struct event *);
void network_stream_send(struct world *, struct node *, uint32_t stream, struct span payload);
void network_stream_arrives(struct world *, struct event *);
void network_stream_ends(struct world *, struct event *);
void network_stream_close(struct world *, struct node *, uint32_t stream);
enum cut { CUT_RESET, CUT_ONE_SIDE_LATE, CUT_BLACK_HOLE, CUTS };
void network_cut(struct world *, enum cut); /* all streams that live */
void network_rebind(struct world *); /* the NAT forgets: new ports, streams through it die */
void network_replay(struct world *); /* an attacker's stream with an old frame of ours on it */
size_t network_streams(struct world *, const struct node *); /* ends that live at a node */
void network_free(struct world *);

/* node.c */
bool node_begin(struct world *, struct node *, int number, const struct peer_config *, struct address outer);
void node_end(struct node *);
void node_take(struct node *, struct peer_output);
void node_event(struct world *, struct event *); /* wake, resolved, auth, host, report */
void node_payloads(struct node *, const struct carrier *, bool marker, uint32_t *strikes, uint8_t *payload,
    size_t length, bool *corrupt);
bool node_status(const struct node *, const char *connection, struct peer_status *);

/* inner.c */
void inner_send(struct world *, struct node *from, struct node *to);
void inner_arrives(struct world *, struct node *at, const uint8_t *packet, size_t length);
void inner_event(struct world *, struct event *);

/* faults.c */
void faults_plan(struct world *);
void faults_event(struct world *, struct event *);

/* sim.c */
struct sim_result {
    bool failed;
    char failure[512];
    uint64_t trace;
    uint64_t cuts, rekeys, delivered, lost, reconnects;
};
void sim_run(uint64_t seed, bool verbose, struct sim_result *);

#endif
