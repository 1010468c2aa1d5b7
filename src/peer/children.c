/* children.c: Child SAs on their way from ike/ to the worker: keys go into an ESP SA and are wiped, the rest is kept for
 * status and liveness. */
#include "peer/internal.h"

#include <stdlib.h>

#define DRAIN_MS (5 * SECOND) /* what was sent before a DELETE may come behind it, over UDP */
#define DRAINED_MAX ((size_t)8) /* of a peer at once: then the oldest ends early */

static struct esp_sa *make_esp(const struct ike_child *ike, const struct peer_config *peer, struct error *err) {
    struct esp_config config = {
        .spi_in = ike->spi_in,
        .spi_out = ike->spi_out,
        .suite = ike->suite,
        .key_in = span_of(ike->key_in, cipher_key_length(ike->suite)),
        .key_out = span_of(ike->key_out, cipher_key_length(ike->suite)),
        .integ_in = span_of(ike->integ_in, cipher_integ_length(ike->suite)),
        .integ_out = span_of(ike->integ_out, cipher_integ_length(ike->suite)),
        .esn = ike->esn,
        .transport = ike->transport,
        .aggfrag = ike->aggfrag,
        .whole_only = ike->aggfrag_whole_only,
        .aggfrag_mtu = peer->mtu,
        .replay_window = ike->config ? ike->config->replay_window : ESP_REPLAY_MIN,
        .local = ike->local,
        .remote = ike->remote,
        .peer_local = ike->peer_local,
        .peer_remote = ike->peer_remote,
        .keep_keys = peer->kernel_esp,
    };
    return esp_sa_new(&config, err);
}

static void wipe_keys(struct ike_child *ike) {
    wipe(ike->key_in, sizeof ike->key_in);
    wipe(ike->key_out, sizeof ike->key_out);
    wipe(ike->integ_in, sizeof ike->integ_in);
    wipe(ike->integ_out, sizeof ike->integ_out);
}

static void say_child(struct peers *peers, const struct peer *peer, const struct ike_child *ike) {
    char local[SELECTORS_TEXT_MAX], remote[SELECTORS_TEXT_MAX];
    bool udp = peer->carrier.transport == TRANSPORT_UDP, tcp = peer->carrier.transport == TRANSPORT_TCP;
    action_say(peers, peer, ike->replaces ? STEP_CHILD_REKEYED : STEP_CHILD_UP, "Child SA %s: %s <-> %s, %s%sESP in %s",
        ike->replaces ? "rekeyed" : "installed", selectors_text(&ike->local, local),
        selectors_text(&ike->remote, remote), ike->transport ? "transport mode, " : "", ike->aggfrag ? "AGGFRAG, " : "",
        udp   ? "UDP"
        : tcp ? "TCP"
              : "TLS");
}

static void child_forget(struct child *child) {
    if (child == NULL)
        return;
    selectors_forget(child->ike.local);
    selectors_forget(child->ike.remote);
    free(child);
}

static bool keep(struct child *child, const struct ike_child *ike) {
    child->ike = (struct peer_child){.config = ike->config,
        .spi_in = ike->spi_in,
        .spi_out = ike->spi_out,
        .replaces = ike->replaces,
        .suite = ike->suite,
        .ke = ike->ke,
        .esn = ike->esn,
        .transport = ike->transport,
        .aggfrag = ike->aggfrag,
        .local = selectors_keep(&ike->local),
        .remote = selectors_keep(&ike->remote)};
    return child->ike.local != NULL && child->ike.remote != NULL;
}

void install_child(struct peers *peers, struct peer *peer, struct ike_child *ike) {
    struct error err = {0};
    if (peer->phase != PHASE_UP || peer->losing || peer->child_count >= IKE_CHILDREN_MAX + IKE_CHILDREN_REKEYED_MAX) {
        wipe_keys(ike);
        return;
    }
    bool taken = table_get(&peers->by_child, ike->spi_in) != NULL; /* chosen twice in the same round trip */
    struct child *child = taken ? NULL : calloc(1, sizeof *child);
    struct esp_sa *esp =
        child && table_put(&peers->by_child, ike->spi_in, child) ? make_esp(ike, &peer->conn->config, &err) : NULL;
    if (esp)
        secrets_tell_child(peers, peer, ike);
    wipe_keys(ike);
    if (!esp || !keep(child, ike)) {
        if (!taken)
            table_remove(&peers->by_child, ike->spi_in);
        esp_sa_free(esp);
        child_forget(child);
        action_say(
            peers, peer, STEP_CHILD_FAILED, "no Child SA: %s", err.text[0] ? err.text : "there is no memory for it");
        return;
    }
    child->next = peer->children;
    child->counters = esp_sa_counters(esp);
    child->since = peers->now;
    child->overhead = esp_seal_offset(esp) + (ike->aggfrag ? AGGFRAG_HEADER_LENGTH : 0) + esp_seal_trailer_max(esp);
    peer->children = child;
    peer->child_count++;
    claim_enter(peers, peer, child);
    struct traffic_command *install = action_traffic(peers, peer, TRAFFIC_INSTALL);
    install->sa = esp;
    install->device = peer->conn->config.device;
    install->spi_in = ike->spi_in;
    install->replaces = ike->replaces;
    install->outbound_now = ike->initiator || ike->replaces == 0;
    say_child(peers, peer, ike);
    if (ike->config && ike->config->transport && !ike->transport && !ike->replaces)
        action_say(peers, peer, STEP_CHILD_UP, "the other side does not do transport mode: it is a tunnel");
    host_check(peers, peer);
}

/* Child SAs that are configured and not there: the Initiator asks for them again. */
void children_want(struct peers *peers, struct peer *peer) {
    const struct ike_config *ike = &peer->conn->config.ike;
    uint32_t there = 0, all = ike->children >= 32 ? UINT32_MAX : (1u << ike->children) - 1;
    for (const struct child *child = peer->children; child; child = child->next)
        for (size_t i = 0; i < ike->children; i++)
            if (&ike->child[i] == child->ike.config)
                there |= 1u << i;
    if (!peer->initiator || peer->phase != PHASE_UP || there == all)
        return;
    peer->asked = there;
    peer->told_up = false;
    exchange_next_child(peers, peer);
}

static void retire(struct peers *peers, struct peer *peer, struct child *child) {
    uint32_t spi_in = child->ike.spi_in;
    table_remove(&peers->by_child, spi_in);
    child_forget(child);
    action_traffic(peers, peer, TRAFFIC_RETIRE)->spi_in = spi_in;
}

static void retire_oldest(struct peers *peers, struct peer *peer) {
    struct child **at = &peer->drained;
    while (*at && (*at)->next)
        at = &(*at)->next;
    struct child *oldest = *at;
    *at = NULL;
    if (oldest)
        retire(peers, peer, oldest);
}

static void drain(struct peers *peers, struct peer *peer, struct child *child) {
    size_t count = 0;
    for (const struct child *other = peer->drained; other; other = other->next)
        count++;
    if (count >= DRAINED_MAX)
        retire_oldest(peers, peer);
    child->retire_at = peers->now + DRAIN_MS;
    child->next = peer->drained;
    peer->drained = child;
    action_traffic(peers, peer, TRAFFIC_DRAIN)->spi_in = child->ike.spi_in;
}

uint64_t drained_deadline(const struct peer *peer) {
    const struct child *oldest = peer->drained;
    while (oldest && oldest->next)
        oldest = oldest->next;
    return oldest ? oldest->retire_at : NEVER;
}

void drained_wake(struct peers *peers, struct peer *peer) {
    while (peer->drained && drained_deadline(peer) <= peers->now)
        retire_oldest(peers, peer);
}

static bool remove_child(struct peers *peers, struct peer *peer, uint32_t spi_in, bool replaced) {
    for (struct child **at = &peer->children; *at; at = &(*at)->next) {
        struct child *child = *at;
        if (child->ike.spi_in != spi_in)
            continue;
        *at = child->next;
        peer->child_count--;
        claim_leave(peers, child);
        if (replaced)
            drain(peers, peer, child);
        else
            retire(peers, peer, child);
        return true;
    }
    return false;
}

/* The peer deleted one that nothing replaces. With auto=start it is asked for again, but not at once: it may mean it. */
static void child_deleted(struct peers *peers, struct peer *peer, const struct peer_child *ike) {
    char local[SELECTORS_TEXT_MAX], remote[SELECTORS_TEXT_MAX];
    if (peer->phase != PHASE_UP || peer->losing)
        return;
    action_say(peers, peer, STEP_DELETED, "the peer deleted the Child SA %s <-> %s", selectors_text(ike->local, local),
        selectors_text(ike->remote, remote));
    if (peer->initiator && peer->conn->config.start == PEER_START_AUTO)
        peer->due_at = peers->now + PEER_RETRY_FIRST_MS;
}

/* By a rekey, or as one of two that rekeys at the same time made. */
static bool is_replaced(const struct peer *peer, const struct peer_child *ike) {
    for (const struct child *child = peer->children; child; child = child->next)
        if (child->ike.replaces == ike->spi_in || (child->ike.config == ike->config && &child->ike != ike))
            return true;
    return false;
}

void retire_child(struct peers *peers, struct sa *sa, const struct ike_event *event) {
    struct peer *peer = sa->peer;
    const struct ike_child_config *config = NULL;
    bool replaced = false;
    for (const struct child *child = peer->children; child; child = child->next)
        if (child->ike.spi_in == event->spi_in) {
            config = child->ike.config;
            replaced = is_replaced(peer, &child->ike);
            if (event->by_peer && !replaced)
                child_deleted(peers, peer, &child->ike);
        }
    if (!remove_child(peers, peer, event->spi_in, replaced))
        return;
    peer_touch(peers, peer);
    if (event->rekey_again && config && peer->phase == PHASE_UP) {
        const struct ike_config *ike = &peer->conn->config.ike;
        for (size_t i = 0; i < ike->children; i++)
            if (&ike->child[i] == config)
                peer->asked &= ~(1u << i); /* the Initiator asks for it again */
    }
    host_check(peers, peer);
}

static void forget(struct peers *peers, struct child **list) {
    while (*list) {
        struct child *child = *list;
        *list = child->next;
        table_remove(&peers->by_child, child->ike.spi_in);
        child_forget(child);
    }
}

void children_forget(struct peers *peers, struct peer *peer) {
    for (struct child *child = peer->children; child; child = child->next)
        claim_leave(peers, child);
    forget(peers, &peer->children);
    forget(peers, &peer->drained);
    peer->child_count = 0;
}
