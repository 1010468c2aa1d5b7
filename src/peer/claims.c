/* claims.c: who has which addresses behind it. Clients that share a connection can't take each other's. Most have one address: those
 * are found by it, however many there are; the few that have more are looked through. */
#include "peer/internal.h"

/* 0: not one address. */
static uint64_t key_of(const struct peers *peers, const struct selector_list *remote) {
    const struct selector *only = &remote->selector[0];
    if (remote->count != 1 || !address_same_host(&only->first, &only->last))
        return 0;
    struct {
        uint64_t family;
        uint8_t octets[16];
    } what = {.family = only->first.family};
    for (size_t i = 0; i < address_octets(&only->first); i++)
        what.octets[i] = only->first.octets[i];
    uint64_t key = table_hash(peers->by_address.secret, &what, sizeof what);
    return key ? key : 1;
}

static struct child *first_of(const struct peers *peers, uint64_t key) {
    return key ? table_get(&peers->by_address, key) : peers->claims_wide;
}

/* Replacing needs no memory; false: there was none for another. */
static bool set_first(struct peers *peers, uint64_t key, struct child *first) {
    if (key && first)
        return table_put(&peers->by_address, key, first);
    if (key)
        table_remove(&peers->by_address, key);
    else
        peers->claims_wide = first;
    return true;
}

void claim_enter(struct peers *peers, struct peer *peer, struct child *child) {
    child->peer = peer;
    child->claim_key = key_of(peers, child->ike.remote);
    struct child *first = first_of(peers, child->claim_key);
    if (!set_first(peers, child->claim_key, child)) { /* no memory: it is looked through */
        child->claim_key = 0;
        first = peers->claims_wide;
        peers->claims_wide = child;
    }
    child->claim_previous = NULL;
    child->claim_next = first;
    if (first)
        first->claim_previous = child;
}

void claim_leave(struct peers *peers, struct child *child) {
    if (child->claim_next)
        child->claim_next->claim_previous = child->claim_previous;
    if (child->claim_previous)
        child->claim_previous->claim_next = child->claim_next;
    else
        (void)set_first(peers, child->claim_key, child->claim_next);
}

static bool overlap(const struct selector_list *a, const struct selector_list *b) {
    struct selector both;
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            if (selector_intersect(&a->selector[i], &b->selector[j], &both))
                return true;
    return false;
}

struct claim {
    const struct ike_config *config;
    const struct identity *by;
    const struct selector_list *remote;
};

/* The same client that comes again takes its own. */
static bool is_against(const struct claim *claim, const struct child *child) {
    const struct peer *peer = child->peer;
    struct ike_info info;
    if (&peer->conn->config.ike != claim->config || peer->phase != PHASE_UP ||
        !overlap(child->ike.remote, claim->remote))
        return false;
    ike_sa_info(peer_sa(peer)->ike, &info);
    return !identity_equal(&info.remote_id, claim->by);
}

static bool any_against(const struct claim *claim, const struct child *first) {
    for (const struct child *child = first; child; child = child->claim_next)
        if (is_against(claim, child))
            return true;
    return false;
}

bool claim_taken(const void *context, const struct ike_config *config, const struct identity *remote_id,
    const struct selector_list *remote) {
    const struct peers *peers = context;
    const struct claim claim = {.config = config, .by = remote_id, .remote = remote};
    uint64_t key = key_of(peers, remote);
    if (key)
        return any_against(&claim, first_of(peers, key)) || any_against(&claim, peers->claims_wide);
    for (const struct peer *peer = peers->peer_list; peer; peer = peer->next)
        for (const struct child *child = peer->children; child; child = child->next)
            if (is_against(&claim, child))
                return true;
    return false;
}
