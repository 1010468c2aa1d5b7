/* initiate.c: the Initiator's side of an attempt: resolve, try what the path says, IKE_SA_INIT, float to UDP 4500. */
#include "peer/internal.h"

struct peer *initiate(struct peers *peers, struct conn *conn, bool persistent) {
    return initiate_to(peers, conn, persistent, NULL);
}

struct peer *initiate_to(struct peers *peers, struct conn *conn, bool persistent, const struct redirect *redirect) {
    struct peer *peer = peer_new(peers, conn, true);
    if (!peer)
        return NULL;
    if (redirect)
        peer->redirect = *redirect;
    path_init(peer->path, &conn->config.path, &conn->memory, peers->network, peers->random);
    peer->persistent = persistent;
    initiate_attempt(peers, peer);
    return peer;
}

void initiate_attempt(struct peers *peers, struct peer *peer) {
    const struct peer_config *config = &peer->conn->config;
    peer->initiator = true;
    peer->phase = PHASE_RESOLVING;
    peer->due_at = peers->now + config->path.attempt_timeout_ms;
    peer->asked = 0;
    peer->mobike = peer->over_stream = peer->initial_contact = peer->hello_due = peer->losing = peer->behind_nat =
        false;
    peer->told_up = peer->beside = false;
    peer->unheard = 0;
    peer->carrier = (struct carrier){0};
    peer->path->network = peers->network;
    if (resume_ticket(peers, peer)) /* C4, K16: resumed as if nothing were known of the network */
        peer->conn->memory = (struct path_memory){0};
    peer_touch(peers, peer);
    struct address numeric;
    struct error ignored;
    const char *host = redirect_host(peer);
    if (!address_parse(host, &numeric, &ignored))
        action_say(peers, peer, STEP_RESOLVING, "looking up %s", host);
    action_add(peers, PEER_RESOLVE, peer)->host = host;
}

struct peer_output peers_resolved(struct peers *peers, uint64_t now, peer_id id, const struct path_target *target,
    size_t count, const struct error *failed) {
    peers_begin(peers, now);
    struct peer *peer = table_get(&peers->by_id, id);
    if (peer && peer->phase == PHASE_UP && peer->roam.asked)
        network_resolved(peers, peer, target, count, failed);
    else if (peer && peer->phase == PHASE_UP)
        gateway_resolved(peers, peer, target, failed && failed->origin != ORIGIN_NONE ? 0 : count);
    if (!peer || peer->phase != PHASE_RESOLVING)
        return peers_finish(peers);
    peer_touch(peers, peer);
    peer->due_at = NEVER;
    if (failed && failed->origin != ORIGIN_NONE) {
        attempt_failed(peers, peer, failed);
        return peers_finish(peers);
    }
    peer->phase = PHASE_CONNECTING;
    struct path_step step = path_begin(peer->path, now, target, count);
    initiate_step(peers, peer, &step);
    return peers_finish(peers);
}

/* A new IKE SA, with a new SPI, over what carries the peer now (C2). */
static void begin_sa(struct peers *peers, struct peer *peer) {
    uint64_t spi = peers_new_spi(peers);
    bool reliable = peer->carrier.transport != TRANSPORT_UDP;
    struct ike_sa *ike = ike_sa_new_initiator(
        &peer->conn->config.ike, spi, &peer->carrier.local, &peer->carrier.remote, reliable, peers->now, peers->random);
    if (ike)
        ike_sa_set_worker(ike, peers->worker);
    if (ike && peer->redirect.to[0])
        ike_sa_redirected_from(ike, peer->redirect.from);
    const struct ike_ticket *ticket = ike ? resume_ticket(peers, peer) : NULL;
    if (ticket)
        (void)ike_sa_resume(ike, ticket); /* no memory: by IKE_SA_INIT then */
    if (!peer_sa_add(peers, peer, ike, spi)) {
        struct error err;
        (void)fail(&err, OURS, 0, "there is no memory for an IKE SA");
        if (!race_goes_on(peers, peer, &err))
            attempt_failed(peers, peer, &err);
        return;
    }
    peer->phase = PHASE_INIT;
    exchange_start(peers, peer->sas);
}

static void say_trying(struct peers *peers, const struct peer *peer, const struct path_step *step) {
    struct carrier to = {.transport = step->transport, .remote = step->remote};
    char text[CARRIER_TEXT_MAX];
    carrier_text(&to, text);
    if (step->why.origin == ORIGIN_NONE)
        action_say(peers, peer, STEP_TRYING, "trying %s%s", text, peer->races_for ? " as well" : "");
    else
        action_say(peers, peer, step->why.origin == ORIGIN_PEER ? STEP_NO_ANSWER : STEP_REFUSED, "%.200s; trying %s",
            step->why.text, text);
}

static void try_transport(struct peers *peers, struct peer *peer, const struct path_step *step) {
    peer_sas_drop(peers, peer);
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    say_trying(peers, peer, step);
    peer->carrier = (struct carrier){0};
    peer->over_stream = peer->behind_nat = false;
    if (step->transport != TRANSPORT_UDP) {
        peer->phase = PHASE_CONNECTING;
        connect_ask(peers, peer, step);
        return;
    }
    peer->carrier = (struct carrier){.transport = TRANSPORT_UDP, .local = step->local, .remote = step->remote};
    peer->carrier.local.port = peer->conn->config.local_port;
    begin_sa(peers, peer);
}

void initiate_step(struct peers *peers, struct peer *peer, const struct path_step *step) {
    char text[CARRIER_TEXT_MAX];
    struct carrier to = {.transport = step->transport, .remote = step->remote};
    peer_touch(peers, peer);
    switch (step->verb) {
    case PATH_WAIT:
        break;
    case PATH_TRY:
        try_transport(peers, peer, step);
        break;
    case PATH_BESIDE:
        race_begin(peers, peer);
        break;
    case PATH_MOVE:
        if (step->why.origin != ORIGIN_NONE)
            gateway_doubted(peers, peer);
        roam_step(peers, peer, step);
        break;
    case PATH_RECONNECT:
        action_say(peers, peer, STEP_RECONNECTING, "connecting again to %s", carrier_text(&to, text));
        if (peer->path->failures > 0)
            gateway_doubted(peers, peer);
        connect_ask(peers, peer, step);
        break;
    case PATH_GIVE_UP:
        if (!race_goes_on(peers, peer, &step->why))
            attempt_failed(peers, peer, &step->why);
        break;
    }
}

/* RFC 7296, section 2.23: from IKE_AUTH on over port 4500, where ESP goes as well. */
void initiate_float(struct peers *peers, struct peer *peer, const struct carrier *from) {
    if (from && from->transport == TRANSPORT_UDP)
        peer->carrier.local = from->local;
    peer->carrier.local.port = peer->carrier.remote.port = peer->conn->config.path.udp_nat_port;
    peer_touch(peers, peer);
    struct sa *sa = peer_sa(peer);
    struct ike_output *out = sa ? output_take(peers) : NULL;
    if (!out)
        return;
    ike_sa_carried(sa->ike, peers->now, &peer->carrier.local, &peer->carrier.remote, false, false, out);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
}

struct peer_output peers_connected(struct peers *peers, uint64_t now, uint32_t attempt, const struct carrier *carrier) {
    peers_begin(peers, now);
    struct peer *peer = table_get(&peers->by_attempt, attempt);
    if (!peer || !stream_add(peers, carrier, true, peer)) {
        action_add(peers, PEER_CLOSE, peer)->carrier = *carrier;
        return peers_finish(peers);
    }
    table_remove(&peers->by_attempt, attempt);
    peer->attempt = 0;
    peer_touch(peers, peer);
    path_connected(peer->path, now);
    if (peer->phase != PHASE_CONNECTING) {
        if (peer->phase == PHASE_UP && peer->path->moving)
            roam_connected(peers, peer, carrier);
        else
            reconnect_connected(peers, peer, carrier);
        return peers_finish(peers);
    }
    char text[CARRIER_TEXT_MAX];
    peer->carrier = *carrier;
    peer->over_stream = true;
    action_say(peers, peer, STEP_CONNECTED, "connected to %s", carrier_text(carrier, text));
    begin_sa(peers, peer);
    return peers_finish(peers);
}

struct peer_output peers_connect_failed(struct peers *peers, uint64_t now, uint32_t attempt, const struct error *why) {
    peers_begin(peers, now);
    struct peer *peer = table_get(&peers->by_attempt, attempt);
    if (!peer)
        return peers_finish(peers);
    table_remove(&peers->by_attempt, attempt);
    peer->attempt = 0;
    struct path_step step = path_failed(peer->path, now, why);
    if (peer->phase == PHASE_UP)
        action_say(peers, peer, STEP_REFUSED, "%s", why->text);
    if (peer->phase != PHASE_UP || !roam_instead(peers, peer))
        initiate_step(peers, peer, &step);
    return peers_finish(peers);
}

/* ICMP says that nobody is there. It may be forged, so it ends nothing that is established. */
struct peer_output peers_udp_failed(
    struct peers *peers, uint64_t now, const struct carrier *carrier, const struct error *why) {
    peers_begin(peers, now);
    for (struct peer *peer = peers->peer_list, *next; peer; peer = next) {
        next = peer->next;
        if (!peer->initiator || peer->phase != PHASE_INIT || peer->carrier.transport != TRANSPORT_UDP ||
            !address_equal(&peer->carrier.remote, &carrier->remote))
            continue;
        struct path_step step = path_failed(peer->path, now, why);
        initiate_step(peers, peer, &step);
    }
    return peers_finish(peers);
}
