/* loss.c: how a peer comes up and how it ends: an IKE SA that closes, an attempt that fails, a polite deletion; and who
 * begins again (keyingtries, dpdaction, auto=start). */
#include "peer/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static bool take_anchor(struct peers *peers, struct peer *peer) {
    uint32_t anchor;
    do {
        peers->next_anchor = (peers->next_anchor + 1) & 0xffffff;
        anchor = (uint32_t)peers->worker << 24 | peers->next_anchor;
    } while (peers->next_anchor == 0 || table_get(&peers->by_anchor, anchor));
    if (!table_put(&peers->by_anchor, anchor, peer))
        return false;
    peer->anchor = anchor;
    return true;
}

/* Attempts of ours that wait for their time are not needed any more. */
static void end_waiting(struct peers *peers, const struct peer *up) {
    if (!up->conn->config.may_initiate)
        return;
    for (struct peer *peer = peers->peer_list, *next; peer; peer = next) {
        next = peer->next;
        if (peer->conn == up->conn && peer->phase == PHASE_WAITING)
            peer_superseded(peers, peer);
    }
}

void established(struct peers *peers, struct peer *peer) {
    if (peer->phase != PHASE_INIT && peer->phase != PHASE_AUTH)
        return;
    struct sa *sa = peer_sa(peer);
    peer_not_half_open(peers, peer);
    peer->phase = PHASE_UP;
    peer->due_at = NEVER;
    peer->up_since = peer->heard_at = peers->now;
    peer->tries = 0;
    pulse_begin(peers, peer);
    doubt_begin(peer);
    silence_begin(peers, peer);
    peer->mobike = ike_sa_mobike(sa->ike);
    roam_begin(peers, peer);
    renew_done(peers, peer);
    if (peer->initiator)
        path_established(peer->path, peers->now);
    struct stream *stream = peer->carrier.stream ? stream_find(peers, &peer->carrier) : NULL;
    if (stream)
        stream_proved(peers, stream, peer);
    struct ike_info info;
    char remote[IDENTITY_TEXT_MAX], suite[SUITE_TEXT_MAX];
    ike_sa_info(sa->ike, &info);
    resume_keep(peer, sa->ike);
    action_say(peers, peer, STEP_IKE_UP, "IKE SA %s with %s (%s)", info.resumed ? "resumed" : "established",
        identity_text(&info.remote_id, remote), suite_text(&info, suite));
    unique_check(peers, peer);
    if (peer->losing)
        return;
    if (!take_anchor(peers, peer)) {
        peer->losing = true;
        return;
    }
    peer->conn->up++;
    unique_enter(peers, peer);
    end_waiting(peers, peer);
    anchor_command(peers, peer, TRAFFIC_ANCHOR_ADD);
    renew_leave(peers, peer);
}

void peer_take_back(struct peers *peers, struct peer *peer) {
    host_down(peers, peer);
    children_forget(peers, peer);
    if (!peer->anchor)
        return;
    action_traffic(peers, peer, TRAFFIC_ANCHOR_REMOVE);
    table_remove(&peers->by_anchor, peer->anchor);
    peer->anchor = 0;
    peer->conn->up--;
    unique_leave(peers, peer);
}

static void tell_down(struct peers *peers, const struct peer *peer, const struct error *why, const char *text) {
    struct peer_action *action = action_add(peers, PEER_DOWN, peer);
    if (why)
        action->error = *why;
    snprintf(action->text, sizeof action->text, "%s", text);
}

void peer_down(struct peers *peers, struct peer *peer, const struct error *why, const char *text) {
    peer_take_back(peers, peer);
    if (!peer->quiet)
        tell_down(peers, peer, why, text);
    peer_over(peers, peer);
}

void peer_superseded(struct peers *peers, struct peer *peer) {
    if (!peer->told_up)
        action_add(peers, PEER_UP, peer); /* who waits for the connection has it, by another IKE SA */
    peer->told_up = peer->quiet = true;
    peer_delete(peers, peer, "another IKE SA with the same peer took its place");
}

void peer_delete(struct peers *peers, struct peer *peer, const char *why) {
    if (peer->phase == PHASE_CLOSING || peer->phase == PHASE_OVER || peer->races_for)
        return; /* a try ends with the attempt that it belongs to */
    peer_touch(peers, peer);
    if (peer->half_open) {
        peer_over(peers, peer);
        return;
    }
    bool polite = peer->phase == PHASE_UP && peer->carrier.transport != TRANSPORT_NONE;
    if (!polite) {
        peer_down(peers, peer, &peer->why, why);
        return;
    }
    action_say(peers, peer, STEP_DELETED, "deleting the IKE SA: %s", why);
    resume_over(peer);
    peer_take_back(peers, peer);
    peer->phase = PHASE_CLOSING;
    peer->due_at = peers->now + PEER_CLOSING_MS;
    peer->delete_due = true;
}

static uint64_t retry_delay(struct peers *peers, uint32_t tries) {
    uint32_t doublings = tries > 5 ? 4 : tries > 0 ? tries - 1 : 0;
    uint64_t delay = PEER_RETRY_FIRST_MS << doublings;
    delay = delay < PEER_RETRY_MOST_MS ? delay : PEER_RETRY_MOST_MS;
    return delay - delay / 4 + random_u32(&peers->random) % (delay / 2 + 1);
}

static bool may_try_again(const struct peers *peers, const struct peer *peer) {
    return !peer->conn->gone && !peers->shutting_down && peer->conn->config.may_initiate;
}

static void wait_to_retry(struct peers *peers, struct peer *peer) {
    redirect_forget(peer);
    peer->phase = PHASE_WAITING;
    peer->due_at = peers->now + retry_delay(peers, peer->tries);
    peer_touch(peers, peer);
}

void attempt_failed(struct peers *peers, struct peer *peer, const struct error *why) {
    struct error kept = *why;
    if (renew_failed(peers, peer, &kept))
        return;
    race_over(peers, peer);
    peer_sas_drop(peers, peer);
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    peer->tries++;
    uint32_t most = peer->conn->config.keying_tries;
    if (!peer->persistent && most == 0)
        most = 1;
    if (!may_try_again(peers, peer) || (most > 0 && peer->tries >= most)) {
        peer_down(peers, peer, &kept, kept.text);
        return;
    }
    wait_to_retry(peers, peer);
    uint64_t seconds = (peer->due_at - peers->now + 500) / 1000;
    action_say(peers, peer, STEP_GIVING_UP, "%.250s; trying again in %" PRIu64 " s", kept.text, seconds);
    if (peer->persistent)
        tell_down(peers, peer, &kept, kept.text);
}

static bool wants_restart(const struct peer *peer, const struct ike_event *event) {
    const struct peer_config *config = &peer->conn->config;
    bool automatic = config->start == PEER_START_AUTO;
    if (peer->quiet)
        return false;
    if (event->by_peer)
        return automatic;
    if (config->after_loss == PEER_AFTER_RESTART)
        return true;
    return automatic && config->after_loss == PEER_AFTER_HOLD;
}

static void begin_again(struct peers *peers, struct peer *peer, bool at_once) {
    peer->initiator = peer->persistent = true;
    peer->tries = 0;
    redirect_forget(peer);
    connect_cancel(peers, peer);
    streams_release(peers, peer);
    if (at_once)
        initiate_attempt(peers, peer);
    else
        wait_to_retry(peers, peer);
}

/* An established IKE SA ended by itself: the peer deleted it, stopped answering, or broke the protocol. */
static void lost(struct peers *peers, struct peer *peer, const struct ike_event *event) {
    bool was_initiator = peer->initiator;
    const char *text =
        event->by_peer && event->error.text[0] == '\0' ? "the peer deleted the IKE SA" : event->error.text;
    peer_take_back(peers, peer);
    if (event->by_peer)
        resume_over(peer);
    action_say(peers, peer, event->by_peer ? STEP_DELETED : STEP_LOST, "%s", text);
    if (peer->conn->config.after_loss == PEER_AFTER_HOLD && peer->conn->config.may_initiate && !event->by_peer)
        peer->conn->on_demand = true;
    if (peer->conn->up > 0 && peer->conn->config.may_initiate)
        peer->quiet = true; /* another IKE SA with the same peer stays */
    if (renew_takes_over(peers, peer, wants_restart(peer, event))) {
        peer_down(peers, peer, &event->error, text);
        return;
    }
    if (!wants_restart(peer, event) || !may_try_again(peers, peer) || peer->conn->up > 0 ||
        !peer_own_path(peers, peer)) {
        peer_down(peers, peer, &event->error, text);
        return;
    }
    tell_down(peers, peer, &event->error, text);
    begin_again(peers, peer, was_initiator && event->timed_out);
}

bool ends_attempt(const struct ike_event *event) {
    return event->by_peer || (event->error.notify != NOTIFY_NONE && !event->timed_out);
}

static void attempt_ended(struct peers *peers, struct peer *peer, const struct ike_event *event) {
    if (redirect_follow(peers, peer))
        return;
    bool final = ends_attempt(event);
    if (final && !event->by_peer && resume_refused(peers, peer, &event->error))
        return;
    if (final)
        resume_forget(peer->conn);
    if (!final) {
        struct path_step step = path_failed(peer->path, peers->now, &event->error);
        if (step.verb != PATH_WAIT) {
            initiate_step(peers, peer, &step);
            return;
        }
        if (race_goes_on(peers, peer, &event->error))
            return;
    }
    attempt_failed(peers, peer, &event->error);
}

static bool any_lives(const struct peer *peer) {
    for (const struct sa *sa = peer->sas; sa; sa = sa->next) {
        enum ike_state state = ike_sa_state(sa->ike);
        if (!sa->extra && state != IKE_STATE_REKEYED && state != IKE_STATE_CLOSED)
            return true;
    }
    return false;
}

void peer_sa_ended(struct peers *peers, struct sa *sa, const struct ike_event *event) {
    struct peer *peer = sa->peer;
    char text[CARRIER_TEXT_MAX];
    peer_sa_close(peers, sa);
    if (any_lives(peer))
        return; /* a predecessor, or the loser of a collision */
    peer_sas_drop(peers, peer);
    switch (peer->phase) {
    case PHASE_INIT:
    case PHASE_AUTH:
        if (peer->initiator) {
            attempt_ended(peers, peer, event);
            break;
        }
        /* Not where the peer begins again with another group (K12) or without a ticket, or left as we asked it to. */
        if (event->error.notify != NOTIFY_INVALID_KE_PAYLOAD && event->error.notify != NOTIFY_TICKET_NACK &&
            event->error.origin != ORIGIN_NONE)
            complain_of(
                peers, peer, "IKE SA with %s failed: %s", carrier_text(&peer->carrier, text), event->error.text);
        peer_over(peers, peer);
        break;
    case PHASE_UP:
        lost(peers, peer, event);
        break;
    case PHASE_CLOSING:
        peer_down(peers, peer, &peer->why, peer->why.text[0] ? peer->why.text : "deleted");
        break;
    default:
        break;
    }
}

void complain_of(struct peers *peers, const struct peer *peer, const char *format, ...) {
    if (peers->now - peers->complaints_since >= SECOND) {
        peers->complaints_since = peers->now;
        peers->complaints = 0;
    }
    if (peers->complaints++ >= 10)
        return;
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    action_say(peers, peer, STEP_GIVING_UP, "%s", text);
}

/* It came another way as well, and was authenticated there: somebody who falls back, or tries several transports at once, and
 * whose datagrams are late. */
static bool came_another_way(const struct peers *peers, const struct peer *half_open) {
    uint64_t most = 2 * peers->limits.half_open_ms, began = peers->now > most ? peers->now - most : 0;
    for (const struct peer *peer = peers->peer_list; peer; peer = peer->next)
        if (peer->phase == PHASE_UP && !peer->initiator && peer->up_since >= began &&
            source_key(peers, &peer->carrier.remote) == half_open->source)
            return true;
    return false;
}

static void phase_is_due(struct peers *peers, struct peer *peer) {
    struct error err;
    char text[CARRIER_TEXT_MAX];
    switch (peer->phase) {
    case PHASE_CLOSING:
        peer_down(peers, peer, &peer->why, peer->why.text[0] ? peer->why.text : "deleted; the peer did not confirm it");
        break;
    case PHASE_RESOLVING:
        peer->due_at = NEVER;
        (void)fail(&err, HOST, 0, "looking up %s took too long", redirect_host(peer));
        attempt_failed(peers, peer, &err);
        break;
    case PHASE_WAITING:
        peer->due_at = NEVER;
        if (peer->conn->up > 0)
            peer_superseded(peers, peer);
        else
            initiate_attempt(peers, peer);
        break;
    case PHASE_INIT:
    case PHASE_AUTH:
        if (!came_another_way(peers, peer))
            complain_of(
                peers, peer, "IKE SA with %s was not authenticated in time", carrier_text(&peer->carrier, text));
        peer_over(peers, peer);
        break;
    case PHASE_UP:
        peer->due_at = NEVER;
        children_want(peers, peer);
        break;
    default:
        peer->due_at = NEVER;
        break;
    }
}

void peer_wake(struct peers *peers, struct peer *peer) {
    peer_touch(peers, peer);
    drained_wake(peers, peer);
    if (peer->due_at <= peers->now) {
        phase_is_due(peers, peer);
        return;
    }
    bool has_path = peer->initiator && peer->phase != PHASE_WAITING && peer->phase != PHASE_CLOSING;
    if (peer->rivals > 0)
        race_wake(peers, peer);
    if (has_path && path_deadline(peer->path) <= peers->now) {
        struct error doubt;
        if (peer->phase == PHASE_INIT && peer->sas && ike_sa_doubt(peer->sas->ike, &doubt))
            path_doubted(peer->path, &doubt);
        struct path_step step = path_wake(peer->path, peers->now);
        if (peer->phase != PHASE_UP || !roam_instead(peers, peer))
            initiate_step(peers, peer, &step);
    }
    if (peer->phase != PHASE_OVER)
        exchange_wake(peers, peer);
    if (peer->phase == PHASE_UP)
        pulse_wake(peers, peer);
    if (peer->phase == PHASE_UP)
        doubt_wake(peers, peer);
    if (peer->phase == PHASE_UP)
        silence_wake(peers, peer);
    if (peer->phase == PHASE_UP)
        roam_wake(peers, peer);
    if (peer->phase == PHASE_UP)
        roam_watch(peers, peer);
}
