/* commands.c: what people and packets ask for: up, down, rekey, a first packet, the end of all. */
#include "peer/internal.h"

static struct peer *first_of(const struct peers *peers, const struct conn *conn) {
    struct peer *found = NULL;
    for (struct peer *peer = peers->peer_list; peer; peer = peer->next) {
        if (peer->conn != conn || peer->half_open || peer->races_for || peer->phase == PHASE_CLOSING)
            continue;
        if (peer->phase == PHASE_UP)
            return peer;
        found = peer;
    }
    return found;
}

static struct peer *bring_up(struct peers *peers, struct conn *conn, struct error *err) {
    struct peer *peer = first_of(peers, conn);
    if (peer)
        children_want(peers, peer);
    if (peer && peer->phase == PHASE_UP && peer->told_up)
        action_add(peers, PEER_UP, peer);
    else if (peer && peer->phase == PHASE_WAITING)
        initiate_attempt(peers, peer);
    if (peer)
        return peer;
    if (!conn->config.may_initiate) {
        (void)fail(err, CONFIG, 0, "%s can only be called by the other side: no remote address is configured",
            conn->config.name);
        return NULL;
    }
    peer = initiate(peers, conn, false);
    if (!peer)
        (void)fail(err, OURS, 0, "there is no memory for another peer");
    return peer;
}

struct peer_output peers_up(struct peers *peers, uint64_t now, const char *name, peer_id *id, struct error *err) {
    peers_begin(peers, now);
    *id = 0;
    *err = (struct error){0};
    struct conn *conn = conn_find(peers, name);
    struct peer *peer = NULL;
    if (!conn)
        (void)fail(err, CONFIG, 0, "there is no connection %.63s", name);
    else if (peers->shutting_down)
        (void)fail(err, OURS, 0, "the daemon is stopping");
    else
        peer = bring_up(peers, conn, err);
    if (peer)
        *id = peer->id;
    return peers_finish(peers);
}

struct peer_output peers_down(struct peers *peers, uint64_t now, const char *name, size_t *found) {
    peers_begin(peers, now);
    *found = 0;
    struct conn *conn = conn_find(peers, name);
    for (struct peer *peer = peers->peer_list, *next; conn && peer; peer = next) {
        next = peer->next;
        if (peer->conn != conn || peer->half_open || peer->races_for)
            continue;
        ++*found;
        peer_delete(peers, peer, "down was asked for");
    }
    return peers_finish(peers);
}

struct peer_output peers_shutdown(struct peers *peers, uint64_t now) {
    peers_begin(peers, now);
    peers->shutting_down = true;
    for (struct peer *peer = peers->peer_list, *next; peer; peer = next) {
        next = peer->next;
        peer_delete(peers, peer, "the daemon is stopping");
    }
    for (struct stream *stream = peers->stream_list, *next; stream; stream = next) {
        next = stream->next;
        if (!stream->owner)
            stream_close(peers, stream, "the daemon is stopping");
    }
    return peers_finish(peers);
}

bool peers_idle(const struct peers *peers) {
    return peers->peer_count == 0;
}

static bool conn_takes(const struct conn *conn, const struct flow *flow) {
    for (size_t i = 0; i < conn->config.ike.children; i++) {
        const struct ike_child_config *child = &conn->config.ike.child[i];
        if (selectors_take(&child->local, flow, &flow->source) &&
            selectors_take(&child->remote, flow, &flow->destination))
            return true;
    }
    return false;
}

struct peer_output peers_ondemand(
    struct peers *peers, uint64_t now, uint32_t device, const uint8_t *inner, size_t length) {
    peers_begin(peers, now);
    struct flow flow;
    size_t total;
    if (peers->shutting_down || !inner_parse(inner, length, &flow, &total))
        return peers_finish(peers);
    for (struct conn *conn = peers->conns; conn; conn = conn->next) {
        if (conn->gone || !conn->on_demand || !conn->config.may_initiate || conn->up > 0 || now < conn->demand_after ||
            conn->config.device != device || !conn_takes(conn, &flow))
            continue;
        conn->demand_after = now + PEER_RETRY_FIRST_MS;
        if (!first_of(peers, conn))
            initiate(peers, conn, false);
        break;
    }
    return peers_finish(peers);
}

static void rekey_children(struct peers *peers, struct peer *peer) {
    uint32_t spi[IKE_CHILDREN_MAX];
    size_t count = 0;
    for (const struct child *child = peer->children; child && count < IKE_CHILDREN_MAX; child = child->next)
        spi[count++] = child->ike.spi_in;
    for (size_t i = 0; i < count && peer->phase == PHASE_UP; i++)
        exchange_rekey_child(peers, peer, spi[i]);
}

struct peer_output peers_rekey(struct peers *peers, uint64_t now, const char *name, bool ike, struct error *err) {
    peers_begin(peers, now);
    *err = (struct error){0};
    struct conn *conn = conn_find(peers, name);
    if (!conn || conn->up == 0) {
        (void)fail(err, CONFIG, 0, conn ? "%.63s is not up" : "there is no connection %.63s", name);
        return peers_finish(peers);
    }
    for (struct peer *peer = peers->peer_list, *next; peer; peer = next) {
        next = peer->next;
        if (peer->conn != conn || peer->phase != PHASE_UP)
            continue;
        if (ike)
            exchange_rekey(peers, peer);
        else
            rekey_children(peers, peer);
    }
    return peers_finish(peers);
}
