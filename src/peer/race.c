/* race.c: several tries of one attempt at once (C8). The first whose IKE_SA_INIT is answered so that authentication can begin
 * goes on as the attempt itself; the others are forgotten: their streams are closed, and nobody is told, since there is
 * no IKE SA to delete before IKE_AUTH. Answers that come later find no SPI. An answer that ends the attempt (a redirect, a
 * refusal that is believed) decides as well: it would be the same over any transport. */
#include "peer/internal.h"

#define TRIES_MAX (PATH_TARGETS_MAX * PATH_TRANSPORTS)

static struct peer *attempt_of(const struct peers *peers, const struct peer *try) {
    return try->races_for ? table_get(&peers->by_id, try->races_for) : NULL;
}

/* The one that began first is the last one. */
static size_t tries_of(const struct peers *peers, const struct peer *peer, struct peer *out[TRIES_MAX]) {
    size_t count = 0;
    for (struct peer *try = peers->peer_list; try && count < peer->rivals && count < TRIES_MAX; try = try->next)
        if (try->races_for == peer->id)
            out[count++] = try;
    return count;
}

static void end_try(struct peers *peers, struct peer *peer, struct peer *try) {
    peer->rivals--;
    peer_over(peers, try);
}

void race_begin(struct peers *peers, struct peer *peer) {
    struct path path;
    struct path_step step = path_beside(peer->path, peers->now, &path);
    struct peer *try = step.verb == PATH_TRY ? peer_new(peers, peer->conn, true) : NULL;
    if (!try)
        return; /* no memory: the others go on */
    *try->path = path;
    try->phase = PHASE_CONNECTING;
    try->redirect = peer->redirect;
    try->tries = peer->tries;
    try->races_for = peer->id;
    try->quiet = true;
    peer->rivals++;
    initiate_step(peers, try, &step);
}

static void say_dropped(struct peers *peers, const struct peer *loser) {
    struct error why;
    path_say_silence(loser->path, peers->now, &why);
    action_say(peers, loser, STEP_NO_ANSWER, "%s and is dropped", why.text);
}

/* What the peer tried itself ends, and the try takes its place. */
static void take_place(struct peers *peers, struct peer *peer, struct peer *try) {
    peer_sas_drop(peers, peer);
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    path_take(peer->path, peers->now, try->path);
    peer->phase = try->phase;
    peer->carrier = try->carrier;
    peer->over_stream = try->over_stream;
    peer->behind_nat = try->behind_nat;
    peer->flow_label = try->flow_label;
    peer->sas = try->sas;
    for (struct sa *sa = peer->sas; sa; sa = sa->next)
        sa->peer = peer;
    try->sas = NULL;
    peer->attempt = try->attempt;
    try->attempt = 0;
    if (peer->attempt && !table_put(&peers->by_attempt, peer->attempt, peer))
        peer->attempt = 0; /* replacing needs no memory */
    while (try->streams)
        stream_own(try->streams, peer);
    end_try(peers, peer, try);
    peer_touch(peers, peer);
}

void race_over(struct peers *peers, struct peer *peer) {
    struct peer *try[TRIES_MAX];
    size_t count = peer->rivals > 0 ? tries_of(peers, peer, try) : 0;
    for (size_t i = count; i-- > 0;)
        end_try(peers, peer, try[i]);
}

static bool decides(const struct ike_output *out) {
    for (size_t i = 0; i < out->events; i++) {
        enum ike_event_kind kind = out->event[i].kind;
        if (kind == IKE_EVENT_KEYS || kind == IKE_EVENT_REDIRECT ||
            (kind == IKE_EVENT_CLOSED && ends_attempt(&out->event[i])))
            return true;
    }
    return false;
}

void race_decide(struct peers *peers, struct sa *sa, const struct ike_output *out) {
    struct peer *winner = sa->peer, *peer = winner->races_for ? attempt_of(peers, winner) : winner;
    struct peer *try[TRIES_MAX];
    if (!peer || peer->rivals == 0 || !decides(out))
        return;
    size_t count = tries_of(peers, peer, try);
    if (winner != peer) {
        say_dropped(peers, peer);
        take_place(peers, peer, winner);
    }
    for (size_t i = count; i-- > 0;) {
        if (try[i] == winner)
            continue;
        say_dropped(peers, try[i]);
        end_try(peers, peer, try[i]);
    }
}

static void say_failed(struct peers *peers, const struct peer *peer, const struct error *why) {
    action_say(peers, peer, why->origin == ORIGIN_PEER ? STEP_NO_ANSWER : STEP_REFUSED, "%.300s", why->text);
}

static void try_failed(struct peers *peers, struct peer *peer, struct peer *try, const struct error *why) {
    struct path_step step = path_beside_failed(peer->path, peers->now, try->path, why);
    say_failed(peers, try, why);
    end_try(peers, peer, try);
    initiate_step(peers, peer, &step);
}

bool race_goes_on(struct peers *peers, struct peer *peer, const struct error *why) {
    struct error kept = *why;
    struct peer *of = attempt_of(peers, peer), *try[TRIES_MAX];
    if (of) {
        try_failed(peers, of, peer, &kept);
        return true;
    }
    size_t count = peer->rivals > 0 ? tries_of(peers, peer, try) : 0;
    if (count == 0)
        return false;
    say_failed(peers, peer, &kept);
    take_place(peers, peer, try[count - 1]);
    return true;
}

void race_wake(struct peers *peers, struct peer *peer) {
    struct peer *try[TRIES_MAX];
    if (path_deadline(peer->path) > peers->now)
        return;
    for (size_t i = tries_of(peers, peer, try); i-- > 0;)
        if (try[i]->phase != PHASE_OVER && path_deadline(try[i]->path) <= peers->now)
            peer_wake(peers, try[i]);
}
