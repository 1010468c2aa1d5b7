/* life.c: peers and their SAs: made, entered into the tables, taken out again. */
#include "peer/internal.h"

#include <stdlib.h>
#include <string.h>

/* Sources are counted per IPv4 address and per IPv6 /64, which is what one subscriber has. */
uint64_t source_key(const struct peers *peers, const struct address *address) {
    uint8_t octets[9] = {address->family};
    memcpy(octets + 1, address->octets, address->family == 4 ? 4 : 8);
    uint64_t key = table_hash(peers->sources.secret, octets, sizeof octets);
    return key ? key : 1;
}

void peer_free(struct peers *peers, struct peer *peer) {
    if (peer->path != &peers->no_path)
        free(peer->path);
    free(peer);
}

struct peer *peer_new(struct peers *peers, struct conn *conn, bool initiator) {
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return NULL;
    peer->path = initiator ? calloc(1, sizeof *peer->path) : &peers->no_path;
    if (!peer->path) {
        free(peer);
        return NULL;
    }
    do
        peer->id = ++peers->next_peer;
    while (peer->id == 0 || table_get(&peers->by_id, peer->id));
    if (!table_put(&peers->by_id, peer->id, peer)) {
        peer_free(peers, peer);
        return NULL;
    }
    peer->conn = conn;
    conn->peers++;
    peer->initiator = initiator;
    peer->due_at = peer->pulse.at = peer->roam.at = peer->gateway_asked_at = NEVER;
    doubt_begin(peer);
    peer->timer = (struct timer){.at = NEVER, .owner = peer};
    peer->next = peers->peer_list;
    if (peer->next)
        peer->next->previous = peer;
    peers->peer_list = peer;
    peers->peer_count++;
    peer_touch(peers, peer);
    return peer;
}

bool peer_own_path(struct peers *peers, struct peer *peer) {
    if (peer->path != &peers->no_path)
        return true;
    struct path *path = calloc(1, sizeof *path);
    if (!path)
        return false;
    path_init(path, &peer->conn->config.path, &peer->conn->memory, peers->network, peers->random);
    peer->path = path;
    return true;
}

void peer_touch(struct peers *peers, struct peer *peer) {
    if (peer->dirty)
        return;
    peer->dirty = true;
    peer->dirty_next = peers->dirty;
    peers->dirty = peer;
}

void peer_choose(struct peer *peer, struct conn *conn) {
    if (peer->chosen)
        peer->chosen->peers--;
    peer->chosen = conn;
    if (conn)
        conn->peers++;
}

void peer_take_chosen(struct peer *peer) {
    if (!peer->chosen)
        return;
    peer->conn->peers--;
    peer->conn = peer->chosen;
    peer->chosen = NULL;
}

void peer_not_half_open(struct peers *peers, struct peer *peer) {
    if (!peer->half_open)
        return;
    peer->half_open = false;
    peers->half_open--;
    uintptr_t count = (uintptr_t)table_get(&peers->sources, peer->source);
    if (count <= 1)
        table_remove(&peers->sources, peer->source);
    else if (!table_put(&peers->sources, peer->source, (void *)(count - 1)))
        return; /* replacing needs no memory */
}

void peer_over(struct peers *peers, struct peer *peer) {
    if (peer->phase == PHASE_OVER)
        return;
    race_over(peers, peer);
    peer_not_half_open(peers, peer);
    peer_sas_drop(peers, peer);
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    peer_choose(peer, NULL);
    peer->phase = PHASE_OVER;
    (void)timer_set(&peers->timers, &peer->timer, NEVER);
    table_remove(&peers->by_id, peer->id);
    if (peer->previous)
        peer->previous->next = peer->next;
    else
        peers->peer_list = peer->next;
    if (peer->next)
        peer->next->previous = peer->previous;
    peers->peer_count--;
    peer->next = peers->dead_peers;
    peers->dead_peers = peer;
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* A deadline that has passed comes at once, but never within this very call. */
void peer_settle(struct peers *peers, struct peer *peer) {
    uint64_t at = peer->due_at;
    if (peer->initiator && peer->phase != PHASE_WAITING && peer->phase != PHASE_CLOSING)
        at = sooner(at, path_deadline(peer->path));
    for (const struct sa *sa = peer->sas; sa; sa = sa->next)
        if (!sa->closed)
            at = sooner(at, ike_sa_deadline(sa->ike));
    at = sooner(at, sooner(pulse_deadline(peer), doubt_deadline(peers, peer)));
    at = sooner(at, drained_deadline(peer));
    at = sooner(at, sooner(roam_deadline(peer), silence_deadline(peer)));
    if (at <= peers->now)
        at = peers->now + 1;
    (void)timer_set(&peers->timers, &peer->timer, at);
}

/* The top octet is the worker's, the rest is random: not to be guessed, and never one that is in use. */
uint64_t peers_new_spi(struct peers *peers) {
    for (;;) {
        uint64_t spi;
        random_fill(&peers->random, &spi, sizeof spi);
        spi = (spi & UINT64_C(0x00ffffffffffffff)) | (uint64_t)peers->worker << 56;
        if (spi != 0 && !table_get(&peers->by_spi, spi))
            return spi;
    }
}

static bool child_spi_taken(const void *context, uint32_t spi_in) {
    const struct peers *peers = context;
    return table_get(&peers->by_child, spi_in) != NULL;
}

bool peer_sa_add(struct peers *peers, struct peer *peer, struct ike_sa *ike, uint64_t spi) {
    size_t count = 0;
    for (const struct sa *sa = peer->sas; sa; sa = sa->next)
        count += !sa->closed;
    struct sa *sa = ike && count < PEER_SAS_MAX ? calloc(1, sizeof *sa) : NULL;
    if (!sa || !table_put(&peers->by_spi, spi, sa)) {
        free(sa);
        ike_sa_free(ike);
        return false;
    }
    *sa = (struct sa){.next = peer->sas, .ike = ike, .peer = peer, .spi = spi};
    peer->sas = sa;
    ike_sa_set_spi_check(ike, child_spi_taken, peers);
    ike_sa_set_selector_check(ike, claim_taken);
    return true;
}

void peer_sa_close(struct peers *peers, struct sa *sa) {
    if (sa->closed)
        return;
    sa->closed = true;
    table_remove(&peers->by_spi, sa->spi);
    if (sa->init_key)
        table_remove(&peers->by_init, sa->init_key);
    struct peer *peer = sa->peer;
    if (peer->auth_sa == sa) {
        peer->auth_sa = NULL;
        peer->auths_stale += peer->auths;
        peer->auths = 0;
    }
    struct sa **at = &peer->sas;
    while (*at && *at != sa)
        at = &(*at)->next;
    if (*at)
        *at = sa->next;
    sa->next = peers->dead_sas;
    peers->dead_sas = sa;
    peer_touch(peers, peer);
}

void peer_sas_drop(struct peers *peers, struct peer *peer) {
    while (peer->sas)
        peer_sa_close(peers, peer->sas);
}

struct sa *peer_sa(const struct peer *peer) {
    struct sa *second = NULL;
    for (struct sa *sa = peer->sas; sa; sa = sa->next) {
        enum ike_state state = ike_sa_state(sa->ike);
        if (sa->extra)
            continue;
        if (state == IKE_STATE_ESTABLISHED)
            return sa;
        if (!second && state != IKE_STATE_REKEYED && state != IKE_STATE_CLOSED)
            second = sa;
    }
    return second ? second : peer->sas;
}
