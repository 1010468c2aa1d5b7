/* events.c: what an IKE SA says happened, and who has to know. */
#include "peer/internal.h"

static void mark_asked(struct peer *peer, const struct ike_child_config *child) {
    const struct ike_config *config = &peer->conn->config.ike;
    for (size_t i = 0; i < config->children; i++)
        if (&config->child[i] == child)
            peer->asked |= 1u << i;
}

static void keys_are_there(
    struct peers *peers, struct peer *peer, const struct ike_event *event, const struct carrier *from) {
    if (peer->phase == PHASE_INIT)
        peer->phase = PHASE_AUTH;
    peer->behind_nat = event->init.nat_local;
    if (!peer->initiator)
        return;
    path_answered(peer->path, peers->now);
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_IKE_KEYS, "%s answered; authenticating", carrier_text(&peer->carrier, text));
    if (peer->carrier.transport == TRANSPORT_UDP)
        initiate_float(peers, peer, from);
}

static void begins_again(struct peers *peers, struct peer *peer, const struct ike_event *event) {
    if (!peer->initiator)
        return;
    path_retried(peer->path, peers->now);
    if (event->error.notify == NOTIFY_TICKET_NACK)
        resume_forget(peer->conn);
    action_say(peers, peer, STEP_RETRY, "IKE_SA_INIT again: %s", event->error.text);
}

/* Both keep the anchor, the stream and the Child SAs where they are (L8). */
static void succeeded(struct peers *peers, struct peer *peer, struct ike_event *event) {
    struct ike_sa *successor = event->successor;
    event->successor = NULL;
    if (!successor)
        return;
    if (peer->phase == PHASE_OVER) {
        ike_sa_free(successor);
        return;
    }
    ike_sa_set_worker(successor, peers->worker);
    if (!peer_sa_add(peers, peer, successor, ike_sa_spi_local(successor)))
        return;
    peer->sas->extra = event->kind == IKE_EVENT_EXTRA;
    if (peer->sas->extra)
        return;
    peer->rekeys++;
    action_say(peers, peer, STEP_IKE_REKEYED, "IKE SA rekeyed");
}

void event_first(struct peers *peers, struct sa *sa, const struct ike_event *event) {
    if (event->kind == IKE_EVENT_ESTABLISHED)
        established(peers, sa->peer);
}

void event_before(struct peers *peers, struct sa *sa, struct ike_event *event, const struct carrier *from) {
    struct peer *peer = sa->peer;
    switch (event->kind) {
    case IKE_EVENT_KEYS:
        keys_are_there(peers, peer, event, from);
        break;
    case IKE_EVENT_SECRETS:
        secrets_tell(peers, peer, &event->secrets);
        break;
    case IKE_EVENT_RETRY:
        begins_again(peers, peer, event);
        break;
    case IKE_EVENT_AUTH_WANTED:
        auth_wanted(peers, sa, event, from);
        break;
    case IKE_EVENT_CHILD_UP:
        mark_asked(peer, event->child.config);
        install_child(peers, peer, &event->child);
        break;
    case IKE_EVENT_REKEYED:
    case IKE_EVENT_EXTRA:
        succeeded(peers, peer, event);
        break;
    case IKE_EVENT_UPDATED:
        roam_updated(peers, sa, event, from);
        break;
    case IKE_EVENT_PEER_MOVED:
        follow_update(peers, sa, event, from);
        break;
    case IKE_EVENT_ROUTABLE:
        follow_proved(peers, sa, from);
        break;
    case IKE_EVENT_REDIRECT:
        redirect_taken(peers, peer, event);
        break;
    case IKE_EVENT_ESTABLISHED:
    case IKE_EVENT_INITIAL_CONTACT:
        break; /* first */
    case IKE_EVENT_CHILD_DOWN:
    case IKE_EVENT_CHILD_FAILED:
    case IKE_EVENT_CLOSED:
        break; /* after the messages */
    }
}

/* Without any Child SA the IKE SA is of no use to who asked for it. */
static void child_failed(struct peers *peers, struct peer *peer, const struct ike_event *event) {
    mark_asked(peer, event->child_config);
    if (peer->phase != PHASE_UP)
        return;
    action_say(peers, peer, STEP_CHILD_FAILED, "no Child SA: %s", event->error.text);
    size_t configured = peer->conn->config.ike.children;
    bool all_asked = peer->asked == (configured >= 32 ? UINT32_MAX : (1u << configured) - 1);
    if (!peer->initiator || peer->child_count > 0 || !all_asked)
        return;
    peer->why = event->error;
    peer_delete(peers, peer, "no Child SA could be made");
}

void event_after(struct peers *peers, struct sa *sa, struct ike_event *event) {
    struct peer *peer = sa->peer;
    if (peer->phase == PHASE_OVER)
        return;
    if (event->kind == IKE_EVENT_CHILD_DOWN)
        retire_child(peers, sa, event);
    else if (event->kind == IKE_EVENT_CHILD_FAILED)
        child_failed(peers, peer, event);
    else if (event->kind == IKE_EVENT_CLOSED && !sa->closed)
        peer_sa_ended(peers, sa, event);
}
