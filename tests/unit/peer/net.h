/* net.h: two engines in one process (peers and traffic each) joined by a network in memory, with a virtual clock. UDP
 * takes 5 ms and loses what it is told to; a stream keeps its messages in order and can be cut. What a daemon would do
 * for each action is done here, and every sentence is kept with its time. */
#ifndef IKETCP_TESTS_PEER_NET_H
#define IKETCP_TESTS_PEER_NET_H

#include "peer/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NET_DELAY UINT64_C(5)
#define NET_LINES 400
#define NET_FRAMES 64

enum { WEST = 0, EAST = 1, NORTH = 2, ENDS = 3 }; /* west and north are clients of east */

struct net_line {
    uint64_t at;
    int end;
    enum peer_action_kind kind; /* STEP, UP, DOWN */
    enum peer_step step;
    peer_id peer;
    char text[320];
};

struct net_frame { /* a payload that was delivered, for replaying */
    int to;
    bool marker, ike;
    struct carrier carrier; /* as `to` saw it */
    uint8_t octets[1500];
    size_t length;
};

struct net_stream {
    bool open[2]; /* as each side believes; 0: originator */
    bool carries; /* false: what is written goes nowhere */
    bool accepted;
    int end[2];
    struct carrier carrier[2];
    uint32_t strikes[2];
};

struct net_event;

struct net_end {
    struct peers *peers;
    struct traffic *traffic;
    struct peer_config *config;
    struct address outer, second; /* second: unspecified: none */
    bool outer_gone; /* only the second one is left */
    uint32_t next_stream;
    bool host;
    uint64_t ike_sent; /* messages */
    uint8_t psk;
};

struct net {
    uint64_t now, rng;
    struct net_end end[ENDS];
    struct net_event *events;
    struct net_stream stream[128];
    size_t streams;
    bool udp_blocked, tcp_refused, tcp_dropped, auth_refused;
    int deaf; /* 1 + the end that gets nothing over UDP; 0: none */
    bool catch_udp; /* what west sends over UDP is lost, and kept here: */
    struct {
        uint8_t octets[1500];
        size_t length;
    } catch[8];
    size_t caught;
    int drop_next_udp; /* so many datagrams from now on */
    uint16_t port_blocked; /* UDP to or from it is lost; 0: none */
    uint64_t udp_delay; /* more than NET_DELAY */
    uint64_t connect_delay; /* more than there and back */
    bool two_addresses; /* of a name: 192.0.2.99, where nobody is, comes first */
    uint16_t nat_port; /* west's 4500 is seen as this port, its 500 as the one after it; 0: no NAT */
    uint64_t nat_until; /* when its binding ends: 30 s after west sent anything over UDP */
    uint64_t nat_silence; /* the longest so far, of west over UDP */
    uint64_t keepalives[ENDS], kept_at; /* NAT keepalives that were sent, and when the last one was */
    struct net_line line[NET_LINES];
    size_t lines;
    struct net_frame frame[NET_FRAMES]; /* the last ones, in a ring */
    size_t frames;
    uint8_t last_ike[400]; /* the message that was sent last, if it was no longer, without a marker */
    size_t last_ike_length;
    uint64_t inner_sent, inner_came[ENDS];
    size_t connects; /* PEER_CONNECT so far */
    uint32_t flow_label; /* of the last one */
};

int net_setup(void **state); /* all three ends, configured as net_config says, nothing begun */
int net_teardown(void **state); /* also checks that nothing is left */
void net_config(struct peer_config *, int end);
void net_restart(struct net *, int end); /* as after a crash: nothing is remembered, nobody was told */
void net_configure(struct net *, int end); /* hands its config to peers_configure */
void net_take(struct net *, int end, struct peer_output);
void net_run(struct net *, uint64_t ms);
peer_id net_up(struct net *, int end);
void net_bring_up(struct net *); /* west up, or the test fails */
bool net_ping(struct net *, int from, int to); /* an inner packet arrives in time */
struct peer_status *net_status(struct net *, int end); /* of the only live peer or the first; static */
struct peers_totals net_totals(struct net *, int end);

const struct net_line *net_said(const struct net *, int end, const char *part); /* first line that holds it, or NULL */
size_t net_count(const struct net *, int end, enum peer_action_kind, enum peer_step);

struct net_stream *net_stream(struct net *); /* the newest that is open on both sides, or NULL */
size_t net_open_streams(const struct net *, int end);
void net_cut(struct net *); /* every stream breaks; both sides notice at once */
void net_break_silently(struct net *); /* what is written goes nowhere and nobody is told */
/* It has another address now, on another network: what was is gone, and the host says so. */
void net_move(struct net *, int end, uint8_t last_octet);
void net_lose(struct net *, struct net_stream *, int side);
/* A stream of an attacker to `end`, prefix sent. */
struct carrier net_attack(struct net *, int end);
bool net_inject(
    struct net *, int end, const struct carrier *, const uint8_t *octets, size_t length); /* true: corrupt */
const struct net_frame *net_last(const struct net *, int to, bool ike);
void net_print(const struct net *); /* all sentences, for who reads a failure */

#endif
