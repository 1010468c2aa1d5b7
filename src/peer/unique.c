/* unique.c: one IKE SA for two identities and a connection. The newest replaces older ones of the same direction, which
 * its own Initiator gave up. When both sides began one at about the same time, both must end the same one: the SPIs
 * decide, not the order in which each saw them. RFC 7296, section 2.4. */
#include "peer/internal.h"

static uint64_t key_of(const struct peers *peers, const struct peer *peer) {
    struct ike_info info;
    struct sa *sa = peer_sa(peer);
    if (!sa)
        return 0;
    ike_sa_info(sa->ike, &info);
    uint64_t parts[3] = {
        table_hash(peers->by_identity.secret, info.local_id.data, info.local_id.length) + info.local_id.type,
        table_hash(peers->by_identity.secret, info.remote_id.data, info.remote_id.length) + info.remote_id.type,
        (uint64_t)(uintptr_t)peer->conn,
    };
    uint64_t key = table_hash(peers->by_identity.secret, parts, sizeof parts);
    return key ? key : 1;
}

void unique_enter(struct peers *peers, struct peer *peer) {
    peer->identity_key = key_of(peers, peer);
    peer->same = table_get(&peers->by_identity, peer->identity_key);
    if (!table_put(&peers->by_identity, peer->identity_key, peer))
        peer->identity_key = 0;
}

void unique_leave(struct peers *peers, struct peer *peer) {
    if (!peer->identity_key)
        return;
    struct peer *first = table_get(&peers->by_identity, peer->identity_key);
    if (first == peer && !peer->same)
        table_remove(&peers->by_identity, peer->identity_key);
    else if (first == peer && !table_put(&peers->by_identity, peer->identity_key, peer->same))
        return; /* replacing needs no memory */
    for (struct peer *other = first; other && other != peer; other = other->same)
        if (other->same == peer)
            other->same = peer->same;
    peer->identity_key = 0;
    peer->same = NULL;
}

static bool has_lower_spi(const struct peer *a, const struct peer *b) {
    return ike_sa_spi_i(peer_sa(a)->ike) < ike_sa_spi_i(peer_sa(b)->ike);
}

static bool is_young(const struct peers *peers, const struct peer *peer) {
    return peers->now - peer->up_since < PEER_YOUNG_MS;
}

/* In a collision the peer has both, whatever its INITIAL_CONTACT says. */
static void replace(struct peers *peers, struct peer *old, const struct peer *by, bool collision) {
    if (old->initiator != by->initiator && !old->told_up) {
        peer_superseded(peers, old);
        return;
    }
    if (by->initial_contact && !collision)
        peer_down(peers, old, NULL, "the peer began anew and knows it no longer");
    else
        peer_delete(peers, old, "a newer IKE SA of the same peer took its place");
}

void unique_check(struct peers *peers, struct peer *peer) {
    struct peer *next;
    for (struct peer *old = table_get(&peers->by_identity, key_of(peers, peer)); old; old = next) {
        next = old->same;
        if (old == peer || !peer_sa(old))
            continue;
        bool collision = old->renewal != peer->id && old->initiator != peer->initiator && is_young(peers, old);
        if (collision && has_lower_spi(old, peer)) {
            peer->losing = peer->quiet = true;
            if (!peer->told_up)
                action_add(peers, PEER_UP, peer);
            peer->told_up = true;
        } else {
            replace(peers, old, peer, collision);
        }
    }
}
