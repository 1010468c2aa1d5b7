/* redirect.c: another gateway (RFC 5685): where the peer sends us, and whom we send away. To a new gateway the path begins
 * as if nothing were known of it: UDP first, unless TCP alone is configured (K9, C4). */
#include "peer/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REDIRECTS_MAX 5u /* in ... */
#define REDIRECT_LOOP_MS (300 * SECOND) /* RFC 5685 section 3 */

/* --- lists of gateways --- */

bool gateway_next(const char *list, size_t *at, char out[GATEWAY_MAX]) {
    while (list[*at] == ',' || list[*at] == ' ')
        ++*at;
    size_t length = strcspn(list + *at, ", ");
    if (length == 0 || length >= GATEWAY_MAX)
        return false;
    memcpy(out, list + *at, length);
    out[length] = '\0';
    *at += length;
    return true;
}

static bool same_gateway(const char *a, const char *b) {
    struct address one, other;
    struct error ignored;
    if (address_parse(a, &one, &ignored) && address_parse(b, &other, &ignored))
        return address_same_host(&one, &other);
    return strcasecmp(a, b) == 0;
}

static bool may_go_to(const struct peer_config *config, const char *gateway) {
    char one[GATEWAY_MAX];
    bool any = true;
    for (size_t at = 0; gateway_next(config->accept_redirect_to, &at, one); any = false)
        if (same_gateway(one, gateway) || strcmp(one, "%any") == 0)
            return true;
    return any;
}

/* --- Initiator --- */

const char *redirect_host(const struct peer *peer) {
    return peer->redirect.to[0] ? peer->redirect.to : peer->conn->config.remote_host;
}

void redirect_forget(struct peer *peer) {
    peer->redirect = (struct redirect){0};
}

static bool counted(struct peers *peers, struct conn *conn) {
    if (conn->redirects == 0 || peers->now - conn->redirected_since >= REDIRECT_LOOP_MS) {
        conn->redirects = 0;
        conn->redirected_since = peers->now;
    }
    return conn->redirects++ < REDIRECTS_MAX;
}

static bool acceptable(struct peers *peers, struct peer *peer, const char *gateway, struct error *why) {
    struct conn *conn = peer->conn;
    if (!may_go_to(&conn->config, gateway))
        return fail(why, PEER, 0, "the peer redirects us to %.200s, which accept-redirect-to does not allow", gateway);
    if (!counted(peers, conn))
        return fail(why, PEER, 0, "redirected for the %uth time in %u s, to %.200s: that is a loop", REDIRECTS_MAX + 1,
            (unsigned)(REDIRECT_LOOP_MS / SECOND), gateway);
    return true;
}

static void where_we_were(const struct peer *peer, char out[GATEWAY_MAX]) {
    char text[ADDRESS_TEXT_MAX];
    bool known = !address_is_any(&peer->carrier.remote); /* behind a proxy it is not */
    snprintf(out, GATEWAY_MAX, "%s", known ? address_text(&peer->carrier.remote, text) : redirect_host(peer));
}

/* The old IKE SA carries until the new one is there. */
static void leave_established(struct peers *peers, struct peer *peer, const struct redirect *redirect) {
    if (peers->shutting_down || peer->conn->gone || !peer->conn->config.may_initiate || peer->renewal)
        return;
    struct peer *next = initiate_to(peers, peer->conn, false, redirect);
    if (!next)
        return;
    next->renews = next->leaves = peer->id;
    next->quiet = true;
    peer->renewal = next->id;
}

void redirect_taken(struct peers *peers, struct peer *peer, const struct ike_event *event) {
    struct redirect redirect = {.pending = true};
    struct error why = {0};
    if (!peer->initiator) {
        char text[CARRIER_TEXT_MAX];
        action_say(
            peers, peer, STEP_REDIRECTED, "sent %s to %.200s", carrier_text(&peer->carrier, text), event->gateway);
        return;
    }
    if (!acceptable(peers, peer, event->gateway, &why)) {
        action_say(peers, peer, STEP_REFUSED, "%s", why.text);
        if (peer->phase != PHASE_UP)
            peer->redirect.refused = why;
        return;
    }
    snprintf(redirect.to, sizeof redirect.to, "%s", event->gateway);
    where_we_were(peer, redirect.from);
    action_say(peers, peer, STEP_REDIRECTED, "%.80s redirects us to %.200s", redirect.from, redirect.to);
    peer->conn->memory = (struct path_memory){0}; /* K9: what worked there says nothing of the other */
    if (peer->phase != PHASE_UP) {
        peer->redirect = redirect;
        return;
    }
    redirect.pending = false;
    leave_established(peers, peer, &redirect);
}

bool redirect_follow(struct peers *peers, struct peer *peer) {
    struct error refused = peer->redirect.refused;
    if (refused.origin != ORIGIN_NONE) {
        attempt_failed(peers, peer, &refused);
        return true;
    }
    if (!peer->redirect.pending)
        return false;
    peer->redirect.pending = false;
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    path_init(peer->path, &peer->conn->config.path, &peer->conn->memory, peers->network, peers->random);
    initiate_attempt(peers, peer);
    return true;
}

/* --- Responder --- */

void peers_set_redirect(struct peers *peers, enum peer_redirect when, const char *gateways) {
    peers->redirect = when;
    peers->redirect_next = 0;
    snprintf(peers->redirect_to, sizeof peers->redirect_to, "%s", gateways);
}

bool redirect_first(struct peers *peers, const struct carrier *carrier, bool under_load, struct span message) {
    char gateway[GATEWAY_MAX];
    if (peers->redirect == PEER_REDIRECT_NO || (peers->redirect == PEER_REDIRECT_UNDER_LOAD && !under_load))
        return false;
    if (!gateway_next(peers->redirect_to, &peers->redirect_next, gateway)) {
        peers->redirect_next = 0;
        if (!gateway_next(peers->redirect_to, &peers->redirect_next, gateway))
            return false;
    }
    struct ike_output *out = output_take(peers);
    if (!out)
        return false;
    bool sent = ike_redirect_first(message, gateway, out);
    for (size_t i = 0; sent && i < out->datagrams; i++)
        action_send(peers, NULL, carrier, span_of(out->octets + out->datagram[i].at, out->datagram[i].length));
    output_give(peers, out);
    return sent;
}

static bool ask_to_leave(struct peers *peers, struct peer *peer, const char *gateway) {
    struct sa *sa = peer->phase == PHASE_UP && !peer->initiator ? peer_sa(peer) : NULL;
    struct ike_output *out = sa ? output_take(peers) : NULL;
    if (!out)
        return false;
    ike_sa_redirect(sa->ike, peers->now, gateway, out);
    bool asked = out->datagrams > 0 || ike_sa_awaits_answer(sa->ike);
    exchange_follow(peers, sa, out, NULL);
    output_give(peers, out);
    return asked;
}

struct peer_output peers_redirect(
    struct peers *peers, uint64_t now, const char *name, const char *gateway, size_t *found) {
    peers_begin(peers, now);
    struct conn *conn = conn_find(peers, name);
    *found = 0;
    for (struct peer *peer = peers->peer_list, *next; conn && peer; peer = next) {
        next = peer->next;
        if (peer->conn == conn && ask_to_leave(peers, peer, gateway))
            ++*found;
    }
    return peers_finish(peers);
}
