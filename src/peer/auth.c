/* auth.c: AUTH values are computed where the keys are: the question goes out as an action, the answer comes back. */
#include "peer/internal.h"

#include <stdio.h>

static void refuse(struct peers *peers, struct sa *sa, const char *why, const struct carrier *from) {
    struct ike_output *out = output_take(peers);
    if (!out)
        return;
    struct ike_auth_values values = {.refusal = why};
    ike_sa_auth(sa->ike, peers->now, &values, out);
    exchange_follow(peers, sa, out, from);
    output_give(peers, out);
}

/* The ticket says who the peer is, and SK_d proves it: nobody's key is needed (RFC 5723). */
static void resumed(struct peers *peers, struct sa *sa, const struct carrier *from) {
    struct peer *peer = sa->peer;
    struct conn *conn = peer->chosen ? peer->chosen : peer->conn;
    if (!conn->config.ike.session_resumption) {
        refuse(peers, sa, "its connection resumes no sessions", from);
        return;
    }
    struct ike_output *out = output_take(peers);
    if (!out)
        return;
    struct ike_auth_values values = {.config = peer->initiator ? NULL : &conn->config.ike};
    peer_take_chosen(peer);
    addresses_tell(peers, peer, sa);
    ike_sa_auth(sa->ike, peers->now, &values, out);
    exchange_follow(peers, sa, out, from);
    output_give(peers, out);
}

static bool responder_chooses(
    struct peers *peers, struct sa *sa, const struct ike_event *event, const struct carrier *from) {
    struct peer *peer = sa->peer;
    const struct carrier *carrier = from ? from : &peer->carrier;
    struct conn *conn = choose_by_identity(peers, peer, carrier, &event->auth.local_id, &event->auth.remote_id);
    if (conn) {
        peer_choose(peer, conn);
        return true;
    }
    char theirs[IDENTITY_TEXT_MAX], why[120];
    snprintf(why, sizeof why, "no connection is configured for %.80s", identity_text(&event->auth.remote_id, theirs));
    refuse(peers, sa, why, from);
    return false;
}

void auth_wanted(struct peers *peers, struct sa *sa, const struct ike_event *event, const struct carrier *from) {
    struct peer *peer = sa->peer;
    if (!peer->initiator && !responder_chooses(peers, sa, event, from))
        return;
    if (event->auth.resumed) {
        resumed(peers, sa, from);
        return;
    }
    const struct peer_config *config = &(peer->chosen ? peer->chosen : peer->conn)->config;
    size_t room = event->auth.local_octets_without_id.length + PRF_MAX;
    struct span local = keep_octets(peers, NULL, room);
    struct span remote = keep_octets(peers, event->auth.remote_octets.at, event->auth.remote_octets.length);
    if (local.length == 0 || remote.length != event->auth.remote_octets.length) {
        refuse(peers, sa, "there is no memory for its AUTH value", from);
        return;
    }
    local.length = ike_sa_local_octets(sa->ike, &config->ike.local_id, kept_octets(peers, local), room);
    struct peer_action *action = action_add(peers, PEER_AUTH, peer);
    action->auth.connection = config->name;
    action->connection = config->name;
    action->auth.prf = event->auth.prf;
    action->auth.local_id = config->ike.local_id;
    action->auth.remote_id = event->auth.remote_id.type != ID_NONE ? event->auth.remote_id : config->ike.remote_id;
    action->auth.local_octets = local;
    action->auth.remote_octets = remote;
    peer->auth_sa = sa;
    peer->auths++;
}

struct peer_output peers_auth(struct peers *peers, uint64_t now, peer_id id, const struct ike_auth_values *given) {
    peers_begin(peers, now);
    struct peer *peer = table_get(&peers->by_id, id);
    if (!peer)
        return peers_finish(peers);
    if (peer->auths_stale > 0) { /* answers come in order: this one is for an SA that is gone */
        peer->auths_stale--;
        return peers_finish(peers);
    }
    struct sa *sa = peer->auth_sa;
    if (!sa || peer->auths == 0)
        return peers_finish(peers);
    peer->auths--;
    if (peer->auths > 0) { /* an earlier question of the same SA that was asked again */
        return peers_finish(peers);
    }
    addresses_tell(peers, peer, sa);
    struct ike_output *out = output_take(peers);
    if (!out)
        return peers_finish(peers);
    struct ike_auth_values values = *given;
    values.config = peer->chosen ? &peer->chosen->config.ike : NULL;
    if (peer->chosen && peer->chosen->gone)
        values.refusal = "its connection is no longer configured";
    ike_sa_auth(sa->ike, now, &values, out);
    wipe(&values, sizeof values);
    peer->auth_sa = NULL;
    peer_take_chosen(peer);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
    exchange_next_child(peers, peer);
    return peers_finish(peers);
}
