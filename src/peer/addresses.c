/* addresses.c: with MOBIKE either side tells the other where else it can be reached: in IKE_AUTH, and again when that changes
 * (RFC 4555 sections 3.4 and 3.6). What the Initiator learns so it tries when the address in use is dead (roam.c). */
#include "peer/internal.h"

#include <string.h>

/* Which reach nobody outside of a site: 10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7. */
static bool is_private(const struct address *a) {
    const uint8_t *o = a->octets;
    if (a->family == 6)
        return (o[0] & 0xfe) == 0xfc;
    return o[0] == 10 || (o[0] == 172 && (o[1] & 0xf0) == 16) || (o[0] == 192 && o[1] == 168) ||
           (o[0] == 100 && (o[1] & 0xc0) == 64);
}

static bool selected(const struct selector_list *list, const struct address *address) {
    for (size_t i = 0; i < list->count; i++) {
        const struct selector *s = &list->selector[i];
        if (s->first.family == address->family && address_compare(&s->first, address) <= 0 &&
            address_compare(address, &s->last) <= 0)
            return true;
    }
    return false;
}

static const struct peer_config *config_of(const struct peer *peer) {
    return &(peer->chosen ? peer->chosen : peer->conn)->config;
}

/* Over UDP the kernel may have chosen it; then the host has said which one. */
static const struct address *in_use(const struct peer *peer) {
    bool known = !address_is_any(&peer->carrier.local) || peer->path->targets == 0;
    return known ? &peer->carrier.local : &peer->path->target[peer->path->current].local;
}

/* What the tunnel itself leads to, and the address in use is not part of. */
static bool is_inside(const struct peer *peer, const struct address *address) {
    const struct ike_config *ike = &config_of(peer)->ike;
    for (size_t i = 0; i < ike->children; i++)
        if (selected(&ike->child[i].local, address) && !selected(&ike->child[i].local, in_use(peer)))
            return true;
    return false;
}

static bool is_of_use(const struct peer *peer, const struct address *address) {
    if (address_same_host(address, in_use(peer)) || is_inside(peer, address))
        return false;
    return !is_private(address) || is_private(&peer->carrier.remote);
}

/* Those of the family in use first, in the host's order. With left=ADDRESS that one alone is ours. */
static size_t additional(const struct peers *peers, const struct peer *peer, struct address out[IKE_ADDRESSES_MAX]) {
    const struct peer_config *config = config_of(peer);
    size_t count = 0;
    if (!config->ike.mobike || (!address_is_any(&config->local) && !config->local_may_change))
        return 0;
    for (int other = 0; other < 2; other++)
        for (size_t i = 0; i < peers->addresses && count < IKE_ADDRESSES_MAX; i++) {
            const struct address *address = &peers->address[i];
            bool same_family = address->family == peer->carrier.remote.family;
            if (same_family == (other == 0) && is_of_use(peer, address))
                out[count++] = *address;
        }
    return count;
}

void addresses_tell(struct peers *peers, struct peer *peer, struct sa *sa) {
    struct address list[IKE_ADDRESSES_MAX];
    struct ike_output *out = output_take(peers);
    if (!out)
        return;
    peer->addresses_due = false;
    size_t count = additional(peers, peer, list);
    ike_sa_addresses(sa->ike, peers->now, list, count, out);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
}

static bool are_known(const struct peers *peers, const struct address *list, size_t count) {
    bool same = count == peers->addresses;
    for (size_t i = 0; same && i < count; i++)
        same = address_same_host(&list[i], &peers->address[i]);
    return same;
}

struct peer_output peers_set_addresses(struct peers *peers, uint64_t now, const struct address *list, size_t count) {
    peers_begin(peers, now);
    count = count < PEERS_ADDRESSES_MAX ? count : PEERS_ADDRESSES_MAX;
    if (are_known(peers, list, count))
        return peers_finish(peers);
    peers->addresses = count;
    if (count > 0)
        memcpy(peers->address, list, count * sizeof list[0]);
    for (struct peer *peer = peers->peer_list, *next; peer && !peers->shutting_down; peer = next) {
        next = peer->next;
        peer->addresses_due = peer->mobike;
        exchange_next_child(peers, peer);
    }
    return peers_finish(peers);
}
