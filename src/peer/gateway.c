/* gateway.c: a gateway that is known by its name may have moved to another address. While it can't be reached its name is
 * asked about again, and where it has another address now the SAs go there (L1). As long as it still has the one that does
 * not answer, nothing changes: several addresses may be several gateways, and SAs are one gateway's. */
#include "peer/internal.h"

#define ASK_AGAIN_MS (5 * SECOND)

void gateway_doubted(struct peers *peers, struct peer *peer) {
    struct address numeric;
    struct error ignored;
    const char *host = redirect_host(peer);
    bool soon = peer->gateway_asked_at != NEVER && peers->now - peer->gateway_asked_at < ASK_AGAIN_MS;
    if (peer->phase != PHASE_UP || !peer->initiator || peer->roam.asked || soon ||
        address_parse(host, &numeric, &ignored))
        return;
    peer->gateway_asked_at = peers->now;
    action_add(peers, PEER_RESOLVE, peer)->host = host;
}

static bool is_among(const struct address *address, const struct path_target *target, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (address_same_host(&target[i].remote, address))
            return true;
    return false;
}

/* A move tries addresses that the peer told of as well: those are no other gateway's. */
static bool still_has(const struct path *path, const struct path_target *target, size_t count) {
    size_t first = path->moving ? 0 : path->current, end = path->moving ? path->targets : path->current + 1;
    for (size_t i = first; i < end; i++)
        if (is_among(&path->target[i].remote, target, count))
            return true;
    return false;
}

void gateway_resolved(struct peers *peers, struct peer *peer, const struct path_target *target, size_t count) {
    if (count == 0 || peer->path->targets == 0 || !(peer->path->reconnecting || peer->path->moving))
        return; /* no answer, or it is reached again */
    const struct address *present = &peer->path->target[peer->path->current].remote;
    if (address_is_any(present) || address_is_any(&target->remote) || still_has(peer->path, target, count))
        return;
    char text[ADDRESS_TEXT_MAX];
    peer_touch(peers, peer);
    action_say(peers, peer, STEP_RESOLVING, "%s is %s now; the SAs are kept", redirect_host(peer),
        address_text(&target->remote, text));
    if (peer->mobike) {
        roam_move(peers, peer, target);
        return;
    }
    path_to(peer->path, target);
    struct path_step step = path_hurry(peer->path, peers->now);
    initiate_step(peers, peer, &step);
}
