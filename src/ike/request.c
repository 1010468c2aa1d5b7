/* request.c: exchanges that we begin: a bounded queue, one outstanding at a time (a window of 1), retransmission. Over an
 * unreliable carrier it doubles its interval; over a reliable one a request is sent again only on a new carrier (K1). */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

/* --- the queue --- */

static bool same_task(const struct task *a, const struct task *b) {
    return a->exchange == b->exchange && a->config == b->config && a->spi_in == b->spi_in;
}

void task_queue_init(struct ike_sa *sa) {
    sa->queue = sa->few;
    sa->queue_room = QUEUE_FEW;
}

void task_queue_free(struct ike_sa *sa) {
    if (sa->queue != sa->few)
        free(sa->queue);
}

/* For one more; from what QUEUE_FEW holds at once to all. */
static bool make_room(struct ike_sa *sa) {
    if (sa->queued < sa->queue_room)
        return true;
    struct task *all = sa->queue == sa->few ? malloc(QUEUE_MAX * sizeof *all) : NULL;
    if (all == NULL)
        return false;
    memcpy(all, sa->queue, sa->queued * sizeof *all);
    sa->queue = all;
    sa->queue_room = QUEUE_MAX;
    return true;
}

/* Tasks that are there already are not added twice, so QUEUE_MAX holds all that can be asked for. */
void queue_add(struct ike_sa *sa, const struct task *task, bool first) {
    for (size_t i = 0; i < sa->queued; i++)
        if (same_task(&sa->queue[i], task))
            return;
    if (!make_room(sa))
        return;
    if (first) {
        memmove(sa->queue + 1, sa->queue, sa->queued * sizeof sa->queue[0]);
        sa->queue[0] = *task;
    } else {
        sa->queue[sa->queued] = *task;
    }
    sa->queued++;
}

void queue_clear(struct ike_sa *sa) {
    sa->queued = 0;
}

bool queue_has(const struct ike_sa *sa, const struct exchange *exchange) {
    for (size_t i = 0; i < sa->queued; i++)
        if (sa->queue[i].exchange == exchange)
            return true;
    return false;
}

uint64_t queue_deadline(const struct ike_sa *sa) {
    uint64_t soonest = NEVER;
    if (sa->request.active)
        return NEVER;
    for (size_t i = 0; i < sa->queued; i++)
        if (sa->queue[i].not_before < soonest)
            soonest = sa->queue[i].not_before;
    return soonest;
}

void queue_hurry(struct ike_sa *sa, const struct exchange *exchange) {
    for (size_t i = 0; i < sa->queued; i++)
        if (sa->queue[i].exchange == exchange)
            sa->queue[i].not_before = 0;
}

static bool queue_take(struct ike_sa *sa, uint64_t now, struct task *out) {
    for (size_t i = 0; i < sa->queued; i++) {
        if (sa->queue[i].not_before > now)
            continue;
        *out = sa->queue[i];
        sa->queued--;
        memmove(sa->queue + i, sa->queue + i + 1, (sa->queued - i) * sizeof sa->queue[0]);
        return true;
    }
    return false;
}

/* --- the request --- */

bool request_is(const struct ike_sa *sa, const struct exchange *exchange) {
    return sa->request.active && sa->request.task.exchange == exchange;
}

void request_end(struct ike_sa *sa) {
    sealed_free(&sa->request.sealed);
    key_exchange_free(sa->request.ke);
    ike_sa_free(sa->request.rival.sa);
    memset(&sa->request, 0, sizeof sa->request);
}

static void transmit(struct ike_sa *sa, struct turn *turn) {
    sealed_send(sa, &sa->request.sealed, turn->out, false);
    sa->request.sends++;
}

static struct ike_header request_header(const struct ike_sa *sa, uint8_t type, uint32_t id) {
    return (struct ike_header){.spi_i = sa->spi_i,
        .spi_r = exchange_is_first(type) ? 0 : sa->spi_r,
        .version = IKE_VERSION,
        .exchange = type,
        .flags = sa_is_initiator(sa) ? IKE_FLAG_INITIATOR : 0,
        .message_id = id};
}

static uint64_t first_interval(const struct ike_sa *sa) {
    return sa->config->retransmit_interval_ms > 0 ? sa->config->retransmit_interval_ms : SECOND / 2;
}

static void set_timers(struct ike_sa *sa, const struct turn *turn) {
    struct request *r = &sa->request;
    bool init = exchange_is_first(r->task.exchange->type);
    r->interval = first_interval(sa);
    r->resend_at = sa->reliable ? NEVER : turn->now + r->interval;
    r->give_up_at = turn->now + sa->config->retransmit_timeout_ms;
    bool farewell = r->task.exchange == &delete_exchange && sa->state == IKE_STATE_REKEYED;
    if (farewell &&
        r->give_up_at > turn->now + FAREWELL_PATIENCE) /* a successor is there, and its answer may be lost */
        r->give_up_at = turn->now + FAREWELL_PATIENCE;
    if (init && sa->handshake->give_up_at != 0) /* cookies and other groups don't prolong it */
        r->give_up_at = sa->handshake->give_up_at;
    if (init)
        sa->handshake->give_up_at = r->give_up_at;
}

static enum asked begin(struct ike_sa *sa, struct turn *turn, const struct task *task, struct error *err) {
    uint8_t chain[MESSAGE_MAX], first;
    struct writer w = writer_over(chain, sizeof chain);
    struct message_writer m = chain_begin(&w, &first);
    struct request *r = &sa->request;
    memset(r, 0, sizeof *r);
    r->task = *task;
    enum asked asked = task->exchange->ask(sa, turn, &m, err);
    if (asked != ASKED)
        return asked;
    if (!writer_ok(&w) || sa->next_id == UINT32_MAX) {
        fail(err, OURS, NOTIFY_NONE, "the %s request is too long, or Message IDs are used up", task->exchange->name);
        return CANNOT_ASK;
    }
    struct ike_header header = request_header(sa, task->exchange->type, sa->next_id);
    if (!seal(sa, &header, first, span_of(chain, w.length), &r->sealed, err))
        return CANNOT_ASK;
    r->active = true;
    r->message_id = sa->next_id++;
    set_timers(sa, turn);
    if (exchange_is_first(task->exchange->type) &&
        !octets_keep(&sa->handshake->message_i, span_of(r->sealed.octets, r->sealed.whole))) {
        fail(err, OURS, NOTIFY_NONE, "no memory for the first message");
        return CANNOT_ASK;
    }
    transmit(sa, turn);
    return ASKED;
}

void queue_run(struct ike_sa *sa, struct turn *turn) {
    struct task task;
    for (size_t i = 0; i < QUEUE_MAX && !sa->over && !sa->request.active && queue_take(sa, turn->now, &task); i++) {
        struct error err = {0};
        enum asked asked = begin(sa, turn, &task, &err);
        if (asked != ASKED)
            request_end(sa);
        if (asked == CANNOT_ASK)
            sa_close(sa, &err, false, false);
    }
}

void request_resend(struct ike_sa *sa, struct turn *turn) {
    struct request *r = &sa->request;
    if (!r->active || r->answered)
        return;
    transmit(sa, turn);
    r->interval = first_interval(sa);
    r->resend_at = sa->reliable ? NEVER : turn->now + r->interval;
}

void request_anew(struct ike_sa *sa, struct turn *turn) {
    struct task task = sa->request.task;
    request_end(sa);
    queue_add(sa, &task, true);
    queue_run(sa, turn);
}

void request_carried(struct ike_sa *sa, uint64_t now) {
    if (sa->request.active)
        sa->request.resend_at = sa->reliable ? NEVER : now + sa->request.interval;
}

static void gave_up(struct ike_sa *sa, struct turn *turn) {
    struct request *r = &sa->request;
    struct error err = {0};
    if (r->rival.sa != NULL) { /* the peer rekeyed as well, and its exchange came to an end */
        ike_rekey_lost(sa, turn);
        return;
    }
    if (sa->state == IKE_STATE_DELETING || sa->state == IKE_STATE_REKEYED) {
        sa_close(sa, NULL, false, false); /* wanted, answered or not */
        return;
    }
    if (sa->handshake != NULL && sa->handshake->doubt.origin != ORIGIN_NONE) {
        err = sa->handshake->doubt;
        sa_close(sa, &err, false, false);
        return;
    }
    if (r->answered)
        fail(&err, OURS, NOTIFY_NONE, "nobody computed the AUTH value in %llu ms",
            (unsigned long long)sa->config->retransmit_timeout_ms);
    else
        fail(&err, PEER, NOTIFY_NONE, "no answer to %s in %llu ms (sent %u times)", r->task.exchange->name,
            (unsigned long long)sa->config->retransmit_timeout_ms, r->sends);
    sa_close(sa, &err, false, true);
}

void request_timers(struct ike_sa *sa, struct turn *turn) {
    struct request *r = &sa->request;
    if (!r->active)
        return;
    if (turn->now >= r->give_up_at) {
        gave_up(sa, turn);
        return;
    }
    if (r->answered || turn->now < r->resend_at)
        return;
    transmit(sa, turn);
    r->interval *= 2;
    r->resend_at = turn->now + r->interval;
}

static void say_last(struct ike_sa *sa, struct turn *turn, uint8_t first, struct span chain) {
    struct ike_header header = request_header(sa, INFORMATIONAL, sa->next_id);
    struct sealed sealed;
    struct error ignored;
    if (!seal(sa, &header, first, chain, &sealed, &ignored))
        return;
    sa->next_id++;
    sealed_send(sa, &sealed, turn->out, false);
    sealed_free(&sealed);
}

void request_farewell(struct ike_sa *sa, struct turn *turn, uint16_t notify) {
    uint8_t chain[64], first;
    struct writer w = writer_over(chain, sizeof chain);
    struct message_writer m = chain_begin(&w, &first);
    notify_add(&m, notify, span_of(NULL, 0));
    say_last(sa, turn, first, span_of(chain, w.length));
}

void request_leave(struct ike_sa *sa, struct turn *turn) {
    uint8_t chain[64], first;
    struct writer w = writer_over(chain, sizeof chain);
    struct message_writer m = chain_begin(&w, &first);
    payload_begin(&m, PAYLOAD_DELETE);
    delete_write(&w, &(struct delete_payload){.protocol = PROTOCOL_IKE});
    payload_end(&m);
    say_last(sa, turn, first, span_of(chain, w.length));
}
