/* renew.c: a new IKE SA beside one that is doubted. Nothing happens to the old one before the new one is authenticated,
 * so that nobody can take an SA away by what anybody can say. */
#include "peer/internal.h"

struct peer *renewal_of(const struct peers *peers, const struct peer *peer) {
    return peer->renewal ? table_get(&peers->by_id, peer->renewal) : NULL;
}

static struct peer *renewed_by(const struct peers *peers, const struct peer *renewal) {
    return renewal->renews ? table_get(&peers->by_id, renewal->renews) : NULL;
}

static bool another_begins(const struct peers *peers, const struct conn *conn) {
    for (const struct peer *peer = peers->peer_list; peer; peer = peer->next)
        if (peer->conn == conn && peer->initiator && peer->phase < PHASE_UP)
            return true;
    return false;
}

void renew(struct peers *peers, struct peer *peer, const char *why) {
    struct conn *conn = peer->conn;
    if (peers->shutting_down || conn->gone || !conn->config.may_initiate ||
        conn->config.after_loss == PEER_AFTER_CLEAR || another_begins(peers, conn))
        return;
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_LOST, "%s: %s; beginning a new IKE SA beside the old one",
        carrier_text(&peer->carrier, text), why);
    struct peer *renewal = initiate(peers, conn, false);
    if (!renewal)
        return;
    renewal->renews = peer->id;
    renewal->quiet = true;
    peer->renewal = renewal->id;
}

/* The old one was heard of. Once IKE_AUTH is out the peer may have put the new one in its place, so that goes on. */
void renew_not_needed(struct peers *peers, struct peer *peer) {
    struct peer *renewal = renewal_of(peers, peer);
    if (!renewal || renewal->phase >= PHASE_AUTH)
        return;
    action_say(peers, peer, STEP_RECONNECTED, "the old IKE SA answers after all and stays");
    peer->renewal = 0;
    peer_over(peers, renewal);
}

void renew_done(struct peers *peers, struct peer *renewal) {
    struct peer *old = renewed_by(peers, renewal);
    if (old)
        old->quiet = true;
    if (renewal->renews)
        renewal->quiet = false;
    renewal->renews = 0;
}

/* Behind unique_check, which has ended the old one where the new one calls itself the same. */
void renew_leave(struct peers *peers, struct peer *renewal) {
    struct peer *old = renewal->leaves ? table_get(&peers->by_id, renewal->leaves) : NULL;
    renewal->leaves = 0;
    if (old && old->phase == PHASE_UP)
        peer_delete(peers, old, "its gateway redirected us");
}

bool renew_failed(struct peers *peers, struct peer *renewal, const struct error *why) {
    struct peer *old = renewed_by(peers, renewal);
    if (!old || old->phase != PHASE_UP)
        return false;
    action_say(peers, old, STEP_GIVING_UP, "%.250s; the old IKE SA stays for now", why->text);
    old->renewal = 0;
    doubt_again(peers, old);
    peer_over(peers, renewal);
    return true;
}

bool renew_takes_over(struct peers *peers, struct peer *old, bool for_good) {
    struct peer *renewal = renewal_of(peers, old);
    if (!renewal)
        return false;
    renewal->renews = 0;
    renewal->quiet = false;
    renewal->persistent = for_good;
    return true;
}
