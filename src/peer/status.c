/* status.c: what `iketcp status` shows: each live peer, then each connection without one. */
#include "peer/internal.h"

static enum peer_state state_of(const struct peer *peer) {
    switch (peer->phase) {
    case PHASE_UP:
        return peer->carrier.transport == TRANSPORT_NONE ? PEER_STATE_RECONNECTING : PEER_STATE_UP;
    case PHASE_CLOSING:
    case PHASE_OVER:
        return PEER_STATE_DOWN;
    default:
        return PEER_STATE_CONNECTING;
    }
}

static void fill(const struct peer *peer, struct peer_status *out) {
    out->peer = peer->id;
    out->name = peer->conn->config.name;
    out->state = state_of(peer);
    out->transport = peer->carrier.transport;
    out->local = peer->carrier.local;
    out->remote = peer->carrier.remote;
    out->rekeys = peer->rekeys;
    out->reconnects = peer->reconnects;
    out->anchor = peer->anchor;
    out->device = peer->conn->config.device;
    const struct sa *sa = peer->phase == PHASE_UP ? peer_sa(peer) : NULL;
    out->has_ike = sa != NULL;
    if (sa) {
        ike_sa_info(sa->ike, &out->ike);
        ike_sa_fingerprint(sa->ike, out->fingerprint);
    }
    for (struct child *child = peer->children; child && out->children < IKE_CHILDREN_MAX; child = child->next)
        out->child[out->children++] =
            (struct peer_child_status){.child = &child->ike, .counters = child->counters, .since = child->since};
}

static bool is_shown(const struct peer *peer) {
    return !peer->half_open && peer->phase != PHASE_CLOSING && !peer->renews && !peer->races_for;
}

static void begin(const struct peers *peers, struct peers_cursor *cursor) {
    *cursor = (struct peers_cursor){.next = peers->peer_list, .begun = true};
    for (struct conn *conn = peers->conns; conn; conn = conn->next)
        conn->shown = false;
}

/* The next connection without a peer that is shown. */
static bool next_idle(struct peers_cursor *cursor, struct peer_status *out) {
    const struct conn *conn = cursor->next;
    while (conn && (conn->gone || conn->shown))
        conn = conn->next;
    cursor->next = conn ? conn->next : NULL;
    if (conn) {
        out->name = conn->config.name;
        out->device = conn->config.device;
    }
    return conn != NULL;
}

bool peers_status_next(const struct peers *peers, struct peers_cursor *cursor, struct peer_status *out) {
    *out = (struct peer_status){0};
    if (!cursor->begun)
        begin(peers, cursor);
    if (cursor->idle)
        return next_idle(cursor, out);
    const struct peer *peer = cursor->next;
    while (peer && !is_shown(peer))
        peer = peer->next;
    if (!peer) {
        cursor->idle = true;
        cursor->next = peers->conns;
        return next_idle(cursor, out);
    }
    cursor->next = peer->next;
    peer->conn->shown = true;
    fill(peer, out);
    return true;
}

bool peers_status(const struct peers *peers, size_t n, struct peer_status *out) {
    struct peers_cursor cursor = {0};
    while (peers_status_next(peers, &cursor, out))
        if (n-- == 0)
            return true;
    return false;
}

void peers_totals(const struct peers *peers, struct peers_totals *out) {
    *out = (struct peers_totals){
        .peers = peers->peer_count, .streams = peers->stream_count, .half_open = peers->half_open};
    for (const struct peer *peer = peers->peer_list; peer; peer = peer->next) {
        out->child_sas += peer->child_count;
        for (const struct sa *sa = peer->sas; sa; sa = sa->next)
            out->ike_sas++;
    }
}
