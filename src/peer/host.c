/* host.c: addresses and routes: there from the first Child SA to the last, and renewed when selectors are added. */
#include "peer/internal.h"

static bool has_selector(const struct selector_list *list, const struct selector *selector) {
    for (size_t i = 0; i < list->count; i++)
        if (selector_equal(&list->selector[i], selector))
            return true;
    return false;
}

static void add_selectors(struct selector_list *all, const struct selector_list *some) {
    for (size_t i = 0; i < some->count && all->count < SELECTORS_MAX; i++)
        if (!has_selector(all, &some->selector[i]))
            all->selector[all->count++] = some->selector[i];
}

/* Whether the newest Child SA, which is the first of the list, has selectors that no other has. */
static bool newest_adds(const struct peer *peer) {
    struct selector_list local = {0}, remote = {0};
    for (const struct child *child = peer->children->next; child; child = child->next) {
        add_selectors(&local, child->ike.local);
        add_selectors(&remote, child->ike.remote);
    }
    const struct peer_child *newest = &peer->children->ike;
    for (size_t i = 0; i < newest->local->count; i++)
        if (!has_selector(&local, &newest->local->selector[i]))
            return true;
    for (size_t i = 0; i < newest->remote->count; i++)
        if (!has_selector(&remote, &newest->remote->selector[i]))
            return true;
    return false;
}

static void host_up(struct peers *peers, struct peer *peer) {
    struct peer_action *action = action_add(peers, PEER_HOST_UP, peer);
    struct peer_host_setup *setup = &action->host_setup;
    for (const struct child *child = peer->children; child; child = child->next) {
        add_selectors(&setup->local, child->ike.local);
        add_selectors(&setup->remote, child->ike.remote);
        setup->host_to_host = setup->host_to_host || child->ike.transport;
        if (child->overhead > setup->overhead)
            setup->overhead = child->overhead;
    }
    setup->source_ip = peer->conn->config.source_ip;
    setup->mtu = peer->conn->config.mtu;
    setup->device = peer->conn->config.device;
    setup->transport = peer->carrier.transport;
    setup->outer_remote = peer->carrier.remote;
    setup->outer_remote.port = 0;
    peer->host_wanted = true;
    peer->host_asked++;
}

void host_down(struct peers *peers, struct peer *peer) {
    if (!peer->host_wanted)
        return;
    peer->host_wanted = peer->host_done = false;
    action_add(peers, PEER_HOST_DOWN, peer);
}

void host_check(struct peers *peers, struct peer *peer) {
    if (peer->phase != PHASE_UP)
        return;
    if (peer->child_count == 0)
        host_down(peers, peer);
    else if (!peer->host_wanted || newest_adds(peer))
        host_up(peers, peer);
}

/* Who waits for `up` waits for all Child SAs that are configured: made or refused, with their routes. */
void host_tell_up(struct peers *peers, struct peer *peer) {
    const struct sa *sa = peer_sa(peer);
    size_t configured = peer->conn->config.ike.children;
    uint32_t all = configured >= 32 ? UINT32_MAX : (1u << configured) - 1;
    if (peer->phase != PHASE_UP || !peer->host_done || peer->host_asked > 0 || peer->told_up)
        return;
    if (peer->initiator && (peer->asked != all || !sa || ike_sa_awaits_answer(sa->ike)))
        return;
    char text[ADDRESS_TEXT_MAX];
    if (peer->conn->config.source_ip.family)
        action_say(peers, peer, STEP_HOST_UP, "address %s and routes are set",
            address_text(&peer->conn->config.source_ip, text));
    else
        action_say(peers, peer, STEP_HOST_UP, "routes are set");
    peer->told_up = true;
    action_add(peers, PEER_UP, peer);
}

struct peer_output peers_host_done(struct peers *peers, uint64_t now, peer_id id, const struct error *failed) {
    peers_begin(peers, now);
    struct peer *peer = table_get(&peers->by_id, id);
    if (peer && peer->host_asked > 0)
        peer->host_asked--;
    if (!peer || !peer->host_wanted || peer->phase != PHASE_UP)
        return peers_finish(peers);
    if (failed && failed->origin != ORIGIN_NONE) {
        action_say(peers, peer, STEP_GIVING_UP, "%s", failed->text);
        peer->why = *failed;
        peer_delete(peers, peer, failed->text);
        return peers_finish(peers);
    }
    peer->host_done = true;
    host_tell_up(peers, peer);
    return peers_finish(peers);
}
