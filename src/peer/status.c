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
    return !peer->half_open && peer->phase != PHASE_CLOSING && !peer->renews;
}

static bool has_peer(const struct peers *peers, const struct conn *conn) {
    for (const struct peer *peer = peers->peer_list; peer && conn->peers > 0; peer = peer->next)
        if (peer->conn == conn && is_shown(peer))
            return true;
    return false;
}

bool peers_status(const struct peers *peers, size_t n, struct peer_status *out) {
    *out = (struct peer_status){0};
    for (const struct peer *peer = peers->peer_list; peer; peer = peer->next)
        if (is_shown(peer) && n-- == 0) {
            fill(peer, out);
            return true;
        }
    for (const struct conn *conn = peers->conns; conn; conn = conn->next)
        if (!conn->gone && !has_peer(peers, conn) && n-- == 0) {
            out->name = conn->config.name;
            return true;
        }
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
