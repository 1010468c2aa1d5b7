/* roam.c: with MOBIKE the Initiator's IKE SA goes where the network lets it (K8): after a change of network, when UDP died
 * (C7), and back to UDP when that passes again. What carries the SA stays what it is until an UPDATE_SA_ADDRESSES is
 * answered; meanwhile requests take `trial`. Whatever brings the answer carries IKE and ESP from then on. */
#include "peer/internal.h"

#define SENDS_BEFORE_MOVE 4u /* of any request over UDP, at 0, 0.5, 1.5 and 3.5 s: it died (C7) */
#define PROBE_MS (3 * SECOND) /* for an answer to a question over UDP */
#define LINGER_MS (2 * SECOND) /* for what is still on its way over the old connection */
#define RECONNECTS_BEFORE_MOVE 2u
#define MORE_MOST 2u /* other addresses of the peer that a move tries: each costs the time of an answer */

const struct carrier *peer_way(const struct peer *peer, const struct sa *sa) {
    /* A predecessor may be all that the peer knows: what it says goes the same way, and tells it of the
     * successor. */
    bool with_it = peer->path->moving || peer->beside;
    bool moves = sa == peer_sa(peer) || (with_it && ike_sa_state(sa->ike) == IKE_STATE_REKEYED);
    bool tries = peer->roam.trial.transport != TRANSPORT_NONE && moves;
    return tries ? &peer->roam.trial : &peer->carrier;
}

void roam_begin(struct peers *peers, struct peer *peer) {
    uint64_t after = peer->conn->config.path.better_after_ms;
    bool probes = peer->initiator && peer->mobike && after != 0 && after != NEVER;
    peer->roam.at = probes ? peers->now + after : NEVER;
}

/* A connection that was only tried and did not become what carries the SA. */
void roam_drop_trial(struct peers *peers, struct peer *peer) {
    struct carrier trial = peer->roam.trial;
    peer->roam.trial = (struct carrier){0};
    peer->roam.probing = peer->roam.proving = false;
    if (trial.stream == 0 || trial.stream == peer->carrier.stream)
        return;
    struct stream *stream = stream_find(peers, &trial);
    if (!stream)
        return;
    action_add(peers, PEER_CLOSE, peer)->carrier = trial;
    stream_forget(peers, stream);
}

/* What is outstanding goes out over the trial at once, and the UPDATE_SA_ADDRESSES behind it, or is it. */
static void update_over(struct peers *peers, struct peer *peer, struct carrier carrier) {
    peer->roam.trial = carrier;
    exchange_try(peers, peer);
    exchange_update(peers, peer);
}

/* The connection that is there does as well as another one: when it was only UDP that was tried beside it. */
static bool is_current(const struct peer *peer, const struct path_step *step) {
    const struct carrier *carrier = &peer->carrier;
    return carrier->transport == step->transport && address_equal(&carrier->remote, &step->remote) &&
           (step->local.family == 0 || address_same_host(&carrier->local, &step->local));
}

void roam_step(struct peers *peers, struct peer *peer, const struct path_step *step) {
    char text[CARRIER_TEXT_MAX];
    struct carrier to = {.transport = step->transport, .local = step->local, .remote = step->remote};
    connect_cancel(peers, peer);
    roam_drop_trial(peers, peer);
    if (step->why.origin != ORIGIN_NONE)
        action_say(peers, peer, STEP_NO_ANSWER, "%.200s; the SAs try %s", step->why.text, carrier_text(&to, text));
    if (is_current(peer, step) && to.transport != TRANSPORT_UDP) {
        to = peer->carrier;
    } else if (to.transport != TRANSPORT_UDP) {
        connect_ask_beside(peers, peer, step);
        return;
    } else {
        to.local.port = peer->conn->config.path.udp_nat_port;
        if (to.local.family == 0)
            to.local.family = to.remote.family;
        peer->roam.udp = to;
    }
    update_over(peers, peer, to);
}

void roam_connected(struct peers *peers, struct peer *peer, const struct carrier *carrier) {
    update_over(peers, peer, *carrier);
}

/* --- why --- */

static void move(struct peers *peers, struct peer *peer, const struct path_target *target, bool udp_died) {
    struct path_target all[1 + MORE_MOST];
    struct address more[IKE_ADDRESSES_MAX];
    size_t count = 1;
    const struct sa *sa = peer_sa(peer);
    all[0] = *target;
    size_t told = sa ? ike_sa_peer_addresses(sa->ike, more) : 0;
    for (size_t i = 0; i < told && count <= MORE_MOST; i++)
        if (more[i].family == target->remote.family && !address_same_host(&more[i], &target->remote))
            all[count++] = (struct path_target){.remote = more[i]};
    peer->roam.udp = (struct carrier){0};
    peer->beside = false;
    struct path_step step = path_move(peer->path, peers->now, all, count, peers->network, udp_died);
    initiate_step(peers, peer, &step);
}

/* The peer's address that is in use comes first, with ours towards it. */
static struct path_target present(const struct peer *peer) {
    struct path_target target = peer->path->target[peer->path->current];
    target.local.port = target.remote.port = 0;
    return target;
}

static bool go_away(struct peers *peers, struct peer *peer, const char *why) {
    if (peer->phase != PHASE_UP || !peer->initiator || !peer->mobike || peer->losing)
        return false;
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_LOST, "%s: %s; the SAs are kept and look for another way",
        carrier_text(&peer->carrier, text), why);
    struct path_target target = present(peer);
    move(peers, peer, &target, true);
    return peer->path->moving;
}

void roam_move(struct peers *peers, struct peer *peer, const struct path_target *target) {
    move(peers, peer, target, false);
}

void roam_lost(struct peers *peers, struct peer *peer, const struct error *why) {
    peer->roam.trial = (struct carrier){0};
    reconnect_unheard(peers, peer);
    struct path_step step = path_failed(peer->path, peers->now, why);
    initiate_step(peers, peer, &step);
}

static bool has_another_way(const struct peer *peer, const struct sa *sa) {
    struct address told[IKE_ADDRESSES_MAX];
    return path_has_streams(&peer->conn->config.path) || (peer->mobike && ike_sa_peer_addresses(sa->ike, told) > 0);
}

/* C7: a request that was sent so often over UDP and not answered. Without MOBIKE only a new IKE SA can go over TCP. */
void roam_watch(struct peers *peers, struct peer *peer) {
    const struct sa *sa = peer_sa(peer);
    if (!sa || peer->phase != PHASE_UP || !peer->initiator || peer->path->moving ||
        peer->carrier.transport != TRANSPORT_UDP || !has_another_way(peer, sa) || !ike_sa_awaits_answer(sa->ike) ||
        ike_sa_sends(sa->ike) < SENDS_BEFORE_MOVE)
        return;
    if (peer->mobike)
        (void)go_away(peers, peer, "no answer any more");
    else if (!renewal_of(peers, peer) && peers->now >= peer->doubt.no_test_before)
        renew(peers, peer, "no answer any more, and the peer can't follow us to TCP (no MOBIKE)");
}

/* A stream that can't be opened again: perhaps something else can. */
bool roam_instead(struct peers *peers, struct peer *peer) {
    if (!peer->path->reconnecting || peer->path->failures < RECONNECTS_BEFORE_MOVE)
        return false;
    return go_away(peers, peer, "it can't be connected again");
}

/* --- the answer --- */

/* Only what we sent over since the last change: what comes from elsewhere may be somebody's who passes it on, what comes to
 * an address that we had before says nothing of the one that we have. */
static bool is_ours(const struct peer *peer, const struct carrier *from) {
    if (from->transport != TRANSPORT_UDP)
        return true; /* exchange.c has looked whose stream it is */
    const struct carrier *udp = &peer->roam.udp;
    return address_equal(&from->remote, &udp->remote) &&
           (address_is_any(&udp->local) || address_same_host(&from->local, &udp->local));
}

/* K15: after a while for what is still on its way. */
static void close_others(struct peers *peers, struct peer *peer) {
    for (struct stream *stream = peer->streams; stream; stream = stream->owner_next)
        if (stream->carrier.stream != peer->carrier.stream)
            (void)timer_set(&peers->timers, &stream->timer, peers->now + LINGER_MS);
}

static void arrived(struct peers *peers, struct peer *peer, struct sa *sa, const struct carrier *from) {
    connect_cancel(peers, peer);
    struct stream *stream = from->stream ? stream_find(peers, from) : NULL;
    if (peer->roam.trial.stream == from->stream)
        peer->roam.trial = (struct carrier){0};
    roam_drop_trial(peers, peer);
    if (stream)
        stream_proved(peers, stream, peer);
    path_moved(peer->path, peers->now, from->transport, &from->remote);
    if (carrier_equal(&peer->carrier, from))
        exchange_carried(peers, peer, sa);
    else
        move_to(peers, peer, from, sa);
    roam_begin(peers, peer);
    pulse_begin(peers, peer);
}

void roam_updated(struct peers *peers, struct sa *sa, const struct ike_event *event, const struct carrier *from) {
    struct peer *peer = sa->peer;
    if (peer->phase != PHASE_UP || !from)
        return;
    if (event->error.origin != ORIGIN_NONE) {
        if (!peer->path->moving) {
            action_say(peers, peer, STEP_REFUSED, "%s", event->error.text);
            return;
        }
        struct path_step step = path_failed(peer->path, peers->now, &event->error);
        initiate_step(peers, peer, &step);
        return;
    }
    bool behind_nat = event->init.nat_local, changed = behind_nat != peer->behind_nat;
    peer->behind_nat = behind_nat;
    if (peer->path->moving && is_ours(peer, from))
        arrived(peers, peer, sa, from);
    else if (peer->path->moving && peer->roam.trial.transport != TRANSPORT_NONE)
        update_over(peers, peer, peer->roam.trial);
    else if (changed)
        tell_anchor(peers, peer);
    if (!event->stale)
        close_others(peers, peer);
}

/* --- UDP again: asked about, while everything stays where it is --- */

static void end_probe(struct peers *peers, struct peer *peer) {
    roam_drop_trial(peers, peer);
    exchange_carried(peers, peer, NULL); /* the question goes on over the stream */
}

static void probe(struct peers *peers, struct peer *peer) {
    struct path_step step;
    const struct sa *sa = peer_sa(peer);
    if (!sa || !path_better(peer->path, &step) || ike_sa_awaits_answer(sa->ike) ||
        peer->roam.trial.transport != TRANSPORT_NONE)
        return;
    peer->roam.trial = (struct carrier){.transport = TRANSPORT_UDP, .local = step.local, .remote = step.remote};
    peer->roam.trial.local.port = peer->conn->config.path.udp_nat_port;
    if (peer->roam.trial.local.family == 0)
        peer->roam.trial.local.family = step.remote.family;
    peer->roam.probing = true;
    peer->roam.probe_ends = peers->now + PROBE_MS;
    exchange_try(peers, peer);
    exchange_liveness(peers, peer);
}

void roam_heard(struct peers *peers, struct peer *peer, const struct carrier *from) {
    if (!peer->roam.probing || from->transport != TRANSPORT_UDP ||
        !address_equal(&from->remote, &peer->roam.trial.remote))
        return;
    char text[CARRIER_TEXT_MAX];
    action_say(peers, peer, STEP_TRYING, "%s answers again; the SAs move there", carrier_text(from, text));
    struct path_target target = present(peer);
    target.local = from->local;
    target.local.port = 0;
    peer->roam.probing = false;
    move(peers, peer, &target, false);
}

uint64_t roam_deadline(const struct peer *peer) {
    if (peer->phase != PHASE_UP)
        return NEVER;
    return peer->roam.probing || peer->roam.proving ? peer->roam.probe_ends : peer->roam.at;
}

void roam_wake(struct peers *peers, struct peer *peer) {
    if (peers->now < roam_deadline(peer))
        return;
    if (peer->roam.probing) {
        end_probe(peers, peer);
        return;
    }
    if (peer->roam.proving) {
        follow_not(peers, peer);
        return;
    }
    roam_begin(peers, peer); /* the next time */
    probe(peers, peer);
}
