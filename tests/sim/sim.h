/* sim.h: a simulated network with complete engines in one process: virtual clock, seeded randomness, UDP that loses,
 * duplicates, reorders and delays, streams that are cut at any octet and opened again. Everything that happens comes from
 * the seed, so a run can be repeated from it.
 *
 * world.c: clock, queue of events, randomness      network.c: UDP, streams, NATs, cuts
 * node.c: one engine: peers and traffic, and what the daemon would do for them      inner.c: inner packets and their toll
 * faults.c: what goes wrong, and when      hole.c: one connection swallows all      attacker.c: a stranger who saw everything and says it again
 * watch.c: what must hold at every moment      checks.c: what must hold at the end
 * sim.c: one seed from start to end      main.c: many seeds */
#ifndef IKETCP_TESTS_SIM_H
#define IKETCP_TESTS_SIM_H

#include "peer/peer.h"

#define NODES_MAX 3
#define INNER_MAX 4096
#define DISTURBANCES_MAX 64
#define SEEN_MAX 4 /* messages of a kind that the attacker remembers */
#define SEEN_OCTETS ((size_t)2048)
#define CONNECTS_MAX 12 /* in 20 s: more is a storm (L1) */
#define RESTART_MS (30 * SECOND) /* within this, all are up again */
#define NAT_MEMORY (30 * SECOND) /* how long a NAT keeps a UDP flow in which nothing was sent */
#define WARM_UP (120 * SECOND) /* until then all is allowed: falling back, beginning again */

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
    EVENT_INNER_ONCE, /* node */
    EVENT_FAULT, /* fault */
    EVENT_HOLE, /* node: the next ping */
    EVENT_HOLE_ANSWER, /* node: that asked; length: the number of its packet */
    EVENT_NOTHING, /* its node is gone */
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
    bool swallowed[2]; /* what is sent towards that end, silently */
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
    uint64_t seen_downs, seen_ups;
    bool up;
    uint8_t psk[32];
    /* watch.c */
    uint64_t first_spi; /* of the last IKE_SA_INIT request, and what carried it (C2) */
    enum transport first_transport;
    uint64_t connects[CONNECTS_MAX]; /* when the last ones were asked for, a ring */
    size_t connect_count;
    uint64_t nat_until; /* behind a NAT: when it forgets where UDP for us goes */
    uint64_t esp_stream_at; /* when a client's ESP was seen on a stream last, 0: never (C5) */
    uint64_t udp_init_at; /* its last IKE_SA_INIT over UDP: a new IKE SA may run over that */
    bool udp_blocked; /* on its network */
};

/* What one inner packet met. */
struct inner_packet {
    int from, to;
    uint64_t sent_at;
    bool delivered;
    bool excused; /* it need not arrive: somebody kept it back */
    bool asks; /* wants an answer */
    uint64_t answers_at; /* when the packet was sent that this one answers; 0: none */
};

/* A black hole that is being watched. */
struct hole {
    struct node *client; /* whose connection; NULL: none is watched */
    uint64_t began; /* NEVER: soon */
    uint64_t heard_at; /* something came over it to the client last, since then */
    bool probed; /* the client asked about UDP meanwhile */
    uint32_t pings;
    size_t disturbances; /* there were then */
    uint64_t rekeys, reconnects, spi_i, spi_r; /* before */
};

/* An inner packet that was sealed and kept back. */
struct held_inner {
    struct node *from;
    uint32_t number, spi;
    struct carrier carrier;
    uint8_t first[256], octets[256]; /* first: AGGFRAG, the beginning of what goes in pieces */
    size_t first_length, length; /* first_length 0: it goes whole */
};

/* What the attacker saw arrive somewhere: whole payloads, with the marker, as on a stream or on UDP 4500. */
struct seen {
    uint8_t octets[SEEN_OCTETS];
    size_t length;
};
enum seen_kind { SEEN_FIRST, SEEN_IKE, SEEN_ESP, SEEN_KINDS };

/* What was wrong with the network, and for how long it may be felt. */
struct disturbance {
    uint64_t from, until;
};

/* By hand, for all seeds; zero: drawn from the seed. */
struct sim_options {
    uint32_t nodes, duplicates, loss; /* permille */
    uint64_t lifetime; /* s: of IKE and Child SAs, to one and a half of it */
    bool staggered; /* all, not every fourth seed */
    bool verbose;
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
    bool udp_blocked, udp_dead; /* until it is opened; for a while */
    bool udp_was_open; /* some time */
    bool mobike; /* of all */
    bool staggered; /* of all (C8) */
    uint64_t udp_slow; /* ms that a datagram takes longer while all come up, so that TCP may be first */
    uint64_t began_at;
    uint64_t roams, udp_deaths;
    bool nat_port_blocked; /* UDP 4500, always: IKE_SA_INIT passes and nothing else does (C7) */
    bool tcp_blocked;
    uint32_t loss_permille, duplicate_permille;
    uint64_t delay_min, delay_spread;
    uint32_t nat_ports; /* rebinds so far */
    bool nat;
    bool transport; /* transport mode: between the outer addresses */
    bool ending; /* all are to delete their SAs */
    uint64_t ike_lifetime, child_lifetime; /* ms */
    struct inner_packet inner[INNER_MAX];
    size_t inners;
    struct disturbance disturbance[DISTURBANCES_MAX];
    size_t disturbances;
    uint64_t restart_over; /* when the last restart must be forgotten */
    size_t restart_disturbances; /* how many there were then: more means that something else went wrong too */
    struct hole hole;
    uint64_t holes;
    uint64_t redirects;
    uint64_t restarts;
    struct seen seen[NODES_MAX][SEEN_KINDS][SEEN_MAX]; /* rings */
    uint32_t seen_count[NODES_MAX][SEEN_KINDS];
    uint64_t trace; /* a hash of all that happened: equal for equal seeds */
    struct sim_options options;
    char failure[512]; /* empty: all held */
    uint64_t cuts, rekeys_asked, delivered, lost, attacks;
};

/* world.c */
void world_begin(struct world *, uint64_t seed, const struct sim_options *);
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
/* The client's connection, if it has one alone, swallows from now on; false: it has not. */
enum way { WAY_BOTH, WAY_TO_EAST, WAY_TO_CLIENT, WAYS };
bool network_swallow(struct world *, const struct node *client, enum way);
void network_reset(struct world *, struct node *); /* all streams of a node that is gone */
void network_roam(struct world *, struct node *); /* to another network: its address and its streams are gone */
void network_rebind(struct world *); /* the NAT forgets: new ports, streams through it die */
size_t network_streams(struct world *, const struct node *); /* ends that live at a node */
/* The attacker's: a stream of its own to a node with one payload on it, and a datagram to a node's port 4500. */
void network_stranger_stream(struct world *, struct node *victim, struct span payload);
void network_stranger_udp(struct world *, struct node *victim, struct span payload);
struct address network_stranger(void);
void network_free(struct world *);

/* node.c */
bool node_begin(struct world *, struct node *, int number, const struct peer_config *, struct address outer);
void node_end(struct node *);
void node_restart(struct node *); /* as after a crash: it knows nothing any more, and its streams are reset */
void node_take(struct node *, struct peer_output);
void node_event(struct world *, struct event *); /* wake, resolved, auth, host, report */
void node_payloads(struct node *, const struct carrier *, bool marker, uint32_t *strikes, uint8_t *payload,
    size_t length, bool *corrupt);
bool node_status(const struct node *, const char *connection, struct peer_status *);

/* inner.c */
void inner_send(struct world *, struct node *from, struct node *to);
bool inner_hold(struct world *, struct node *from, struct node *to, struct held_inner *); /* false: nobody's packet */
void inner_release(struct world *, const struct held_inner *); /* on the carrier it would have taken */
void inner_arrive(struct world *, struct node *at, struct aggfrag_walk *); /* all that an AGGFRAG payload brought */
void inner_arrives(struct world *, struct node *at, const uint8_t *packet, size_t length);
void inner_event(struct world *, struct event *);

/* faults.c */
void faults_plan(struct world *);
void faults_event(struct world *, struct event *);

/* hole.c */
void hole_begin(struct world *);
void hole_event(struct world *, struct event *);
void hole_sees(struct world *, const struct node *at, uint32_t number); /* an inner packet that came out there */

/* attacker.c */
void attacker_sees(struct world *, const struct node *, bool marker, struct span payload);
void attacker_strikes(struct world *);
void attacker_was_heard(struct world *, struct node *, const struct carrier *); /* whose message was just dealt with */

/* watch.c */
void disturb(struct world *, uint64_t before, uint64_t after); /* ms around now */
bool disturbed(const struct world *, uint64_t at);
void watch_ike(struct world *, struct node *, const struct carrier *, struct span message); /* being sent */
void watch_esp(struct world *, const struct node *from, const struct node *to, const struct carrier *);
void watch_connect(struct world *, struct node *);
void watch_up(struct world *, const struct node *); /* for the first time */
void watch_close(struct world *, const struct node *);
void watch_stranger(struct world *, const struct node *from, struct span payload); /* sent to the attacker */

/* checks.c */
bool checks_after_restart(struct world *, uint64_t until); /* all are up, and agree; a failure only from then on */
void checks_at_the_end(struct world *); /* all is well, and then nothing is left */

/* sim.c */
struct sim_result {
    bool failed;
    char failure[512];
    uint64_t trace;
    uint64_t cuts, holes, rekeys, delivered, lost, reconnects, attacks;
};
void sim_run(uint64_t seed, const struct sim_options *, struct sim_result *);

#endif
