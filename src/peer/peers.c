/* peers.c: the control half as a whole: made, woken, freed. */
#include "peer/internal.h"

#include <stdlib.h>

#define ACTIONS_FIRST ((size_t)16)

void peers_limits_defaults(struct peers_limits *limits) {
    *limits = (struct peers_limits){
        .half_open_max = 2000,
        .half_open_cookies = 100,
        .half_open_per_source = 50,
        .half_open_ms = 30 * SECOND,
        .silent_stream_ms = 20 * SECOND,
        .orphan_stream_ms = 5 * SECOND,
        .corrupt_tolerance = 8,
    };
}

struct peers *peers_new(const struct peers_limits *limits, uint8_t worker, struct random_source random, uint64_t now) {
    struct peers *peers = calloc(1, sizeof *peers);
    struct peer_action *action = calloc(ACTIONS_FIRST, sizeof *action);
    if (!peers || !action) {
        free(peers);
        free(action);
        return NULL;
    }
    peers->limits = *limits;
    peers->worker = worker;
    peers->random = random;
    peers->now = now;
    peers->action = action;
    peers->action_capacity = ACTIONS_FIRST;
    uint64_t secret[2];
    random_fill(&random, secret, sizeof secret);
    struct table *tables[] = {&peers->by_id, &peers->by_spi, &peers->by_init, &peers->by_anchor, &peers->by_stream,
        &peers->by_attempt, &peers->by_identity, &peers->by_child, &peers->by_address, &peers->sources};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        table_init(tables[i], secret);
    ike_cookie_jar_init(&peers->jar, now, &random);
    return peers;
}

void peers_free(struct peers *peers) {
    if (!peers)
        return;
    while (peers->peer_list) {
        children_forget(peers, peers->peer_list);
        peer_over(peers, peers->peer_list);
    }
    while (peers->stream_list)
        stream_forget(peers, peers->stream_list);
    for (struct conn *conn = peers->conns; conn; conn = conn->next)
        conn->gone = true;
    peers_begin(peers, peers->now);
    struct table *tables[] = {&peers->by_id, &peers->by_spi, &peers->by_init, &peers->by_anchor, &peers->by_stream,
        &peers->by_attempt, &peers->by_identity, &peers->by_child, &peers->by_address, &peers->sources};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        table_free(tables[i]);
    for (size_t i = 0; i < PEER_OUTPUTS_MAX; i++) {
        if (peers->output[i])
            free(peers->output[i]->octets);
        free(peers->output[i]);
    }
    timers_free(&peers->timers);
    free(peers->action);
    free(peers->arena);
    ike_ticket_jar_free(peers->tickets);
    wipe(&peers->jar, sizeof peers->jar);
    free(peers);
}

/* Each timer wakes at most once a call: one that sets itself again is due a millisecond later at the earliest. */
struct peer_output peers_wake(struct peers *peers, uint64_t now) {
    peers_begin(peers, now);
    for (size_t most = peers->timers.count; most > 0; most--) {
        struct timer *timer = timer_first(&peers->timers);
        if (!timer || timer->at > now)
            break;
        if (timer->of_stream) {
            stream_wake(peers, timer->owner);
            continue;
        }
        (void)timer_set(&peers->timers, timer, NEVER);
        peer_wake(peers, timer->owner);
    }
    return peers_finish(peers);
}

uint64_t peers_deadline(const struct peers *peers) {
    const struct timer *first = timer_first(&peers->timers);
    return first ? first->at : NEVER;
}
