/* sa.c: the life of an IKE SA: begun, told the time and what it is to do, closed. Every public call ends in sa_settle. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

/* --- birth and death --- */

struct ike_sa *sa_new(const struct ike_config *config, enum ike_role role, const struct address *local,
    const struct address *remote, bool reliable, uint64_t now, struct random_source random) {
    struct ike_sa *sa = calloc(1, sizeof *sa);
    if (sa == NULL)
        return NULL;
    sa->handshake = calloc(1, sizeof *sa->handshake);
    if (sa->handshake == NULL) {
        free(sa);
        return NULL;
    }
    task_queue_init(sa);
    sa->config = config;
    sa->role = role;
    sa->mobile = role == IKE_INITIATOR;
    sa->state = IKE_STATE_INIT;
    sa->local = *local;
    sa->remote = *remote;
    sa->reliable = reliable;
    sa->random = random;
    sa->heard_at = now;
    sa->rekey_at = sa->expire_at = sa->drop_at = NEVER;
    return sa;
}

struct ike_sa *ike_sa_new_initiator(const struct ike_config *config, uint64_t spi_i, const struct address *local,
    const struct address *remote, bool reliable, uint64_t now, struct random_source random) {
    struct ike_sa *sa = sa_new(config, IKE_INITIATOR, local, remote, reliable, now, random);
    if (sa != NULL)
        sa->spi_i = spi_i;
    return sa;
}

struct ike_sa *ike_sa_new_responder(const struct ike_config *config, uint64_t spi_r, const struct address *local,
    const struct address *remote, bool reliable, uint64_t now, struct random_source random) {
    struct ike_sa *sa = sa_new(config, IKE_RESPONDER, local, remote, reliable, now, random);
    if (sa != NULL) {
        sa->spi_r = spi_r;
        sa->handshake->give_up_at = now + config->retransmit_timeout_ms;
    }
    return sa;
}

bool octets_keep(struct octets *octets, struct span span) {
    uint8_t *copy = malloc(span.length + 1);
    if (copy == NULL)
        return false;
    if (span.length > 0)
        memcpy(copy, span.at, span.length);
    free(octets->at);
    *octets = (struct octets){.at = copy, .length = span.length};
    return true;
}

void handshake_free(struct ike_sa *sa) {
    struct handshake *hs = sa->handshake;
    if (hs == NULL)
        return;
    free(hs->message_i.at);
    free(hs->message_r.at);
    free(hs->octets_local.at);
    free(hs->octets_remote.at);
    key_exchange_free(hs->ke);
    if (hs->resume != NULL)
        wipe(hs->resume, sizeof *hs->resume);
    free(hs->resume);
    wipe(hs, sizeof *hs);
    free(hs);
    sa->handshake = NULL;
}

void ike_sa_free(struct ike_sa *sa) {
    if (sa == NULL)
        return;
    request_end(sa);
    task_queue_free(sa);
    handshake_free(sa);
    sealed_free(&sa->response);
    inbound_free(sa->held);
    assembly_free(&sa->assembly);
    children_free(sa);
    if (sa->ticket != NULL)
        wipe(sa->ticket, sizeof *sa->ticket);
    free(sa->ticket);
    keys_wipe(&sa->keys);
    wipe(sa, sizeof *sa);
    free(sa);
}

/* --- one call --- */

struct turn turn_of(const struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    return (struct turn){.now = now, .out = out, .local = sa->local, .remote = sa->remote, .reliable = sa->reliable};
}

/* There is always room: the caller emptied *out, and CHILD_DOWN leaves EVENTS_KEPT_FREE. */
struct ike_event *emit(struct turn *turn, enum ike_event_kind kind) {
    struct ike_output *out = turn->out;
    size_t at = out->events < IKE_EVENTS_MAX ? out->events++ : IKE_EVENTS_MAX - 1;
    memset(&out->event[at], 0, sizeof out->event[at]);
    out->event[at].kind = kind;
    return &out->event[at];
}

struct ike_secrets *secrets_wanted(const struct ike_sa *sa, struct turn *turn) {
    return sa->config->keylog ? &emit(turn, IKE_EVENT_SECRETS)->secrets : NULL;
}

void ike_output_wipe(struct ike_output *out) {
    for (size_t i = 0; i < out->events; i++) {
        wipe(&out->event[i].child, sizeof out->event[i].child);
        wipe(&out->event[i].secrets, sizeof out->event[i].secrets);
    }
    out->used = out->datagrams = out->events = 0;
    out->fresh = out->authentic = out->corrupt = false;
}

void sa_close(struct ike_sa *sa, const struct error *why, bool by_peer, bool timed_out) {
    if (sa->over)
        return;
    sa->over = true;
    sa->over_by_peer = by_peer;
    sa->over_timed_out = timed_out;
    if (why != NULL)
        sa->over_error = *why;
    if (why == NULL && sa->expired) {
        fail(&sa->over_error, OURS, NOTIFY_NONE, "the lifetime of the IKE SA ended before a rekey worked");
        sa->over_timed_out = true;
    }
    for (struct child *c = sa->children; c != NULL; c = c->next)
        child_down(c, by_peer, false);
    request_end(sa);
    queue_clear(sa);
    sa->state = IKE_STATE_DELETING;
}

void sa_settle(struct ike_sa *sa, struct turn *turn) {
    queue_run(sa, turn);
    children_report(sa, turn);
    if (!sa->over || sa->state == IKE_STATE_CLOSED || sa->children != NULL)
        return;
    struct ike_event *event = emit(turn, IKE_EVENT_CLOSED);
    event->by_peer = sa->over_by_peer;
    event->timed_out = sa->over_timed_out;
    event->error = sa->over_error;
    sa->state = IKE_STATE_CLOSED;
}

/* --- lifetimes --- */

uint64_t sa_random_below(struct ike_sa *sa, uint64_t bound) {
    uint64_t value;
    random_fill(&sa->random, &value, sizeof value);
    return bound == 0 ? 0 : value % bound;
}

/* Rekeyed early enough, and not by both sides at the same moment. */
uint64_t soft_lifetime(struct ike_sa *sa, uint64_t lifetime) {
    uint64_t margin = sa->config->rekey_margin_ms;
    uint64_t fuzz = margin * sa->config->rekey_fuzz_percent / 100;
    uint64_t early = margin + (fuzz > 0 ? sa_random_below(sa, fuzz + 1) : 0);
    if (lifetime == 0)
        return NEVER;
    return early < lifetime ? lifetime - early : lifetime / 2;
}

uint64_t retry_at(uint64_t now, uint64_t expire_at) {
    if (expire_at == NEVER)
        return NEVER;
    uint64_t quarter = expire_at > now ? (expire_at - now) / 4 : 0;
    return now + (quarter > RETRY_AFTER ? quarter : RETRY_AFTER);
}

void sa_begin_life(struct ike_sa *sa, uint64_t now) {
    uint64_t lifetime = sa->config->lifetime_ms, soft = soft_lifetime(sa, lifetime);
    sa->state = IKE_STATE_ESTABLISHED;
    sa->established_at = sa->heard_at = now;
    if (lifetime != 0) {
        sa->rekey_at = now + soft;
        sa->expire_at = now + lifetime;
    }
}

void sa_established(struct ike_sa *sa, struct turn *turn) {
    sa_begin_life(sa, turn->now);
    emit(turn, IKE_EVENT_ESTABLISHED);
}

static bool dpd_applies(const struct ike_sa *sa) {
    return sa->state == IKE_STATE_ESTABLISHED && sa->config->dpd_delay_ms != 0 && !sa->request.active &&
           !queue_has(sa, &liveness_exchange);
}

/* The Responder waits for IKE_AUTH, the Initiator for its AUTH value; else the request's own timer counts. */
static uint64_t handshake_deadline(const struct ike_sa *sa) {
    bool counts = sa->handshake != NULL && (!sa_is_initiator(sa) || (sa->has_keys && !sa->request.active));
    return counts ? sa->handshake->give_up_at : NEVER;
}

static void handshake_timer(struct ike_sa *sa, const struct turn *turn) {
    struct error err;
    if (turn->now < handshake_deadline(sa))
        return;
    fail(&err, PEER, NOTIFY_NONE, "the handshake did not end in %llu ms: %s",
        (unsigned long long)sa->config->retransmit_timeout_ms,
        sa->handshake->asked ? "nobody computed the AUTH value" : "the peer did not go on with IKE_AUTH");
    sa_close(sa, &err, false, true);
}

static void life_timers(struct ike_sa *sa, const struct turn *turn) {
    if ((sa->state == IKE_STATE_REKEYED || sa->state == IKE_STATE_DELETING) && turn->now >= sa->drop_at)
        sa_close(sa, NULL, false, false);
    if (sa->state != IKE_STATE_ESTABLISHED)
        return;
    if (turn->now >= sa->expire_at) {
        sa->expired = true;
        sa_delete(sa);
        return;
    }
    if (turn->now >= sa->rekey_at) {
        sa->rekey_at = NEVER;
        queue_add(sa, &(struct task){.exchange = &ike_rekey_exchange}, false);
    }
    if (dpd_applies(sa) && turn->now >= sa->heard_at + sa->config->dpd_delay_ms)
        queue_add(sa, &(struct task){.exchange = &liveness_exchange}, false);
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t ike_sa_deadline(const struct ike_sa *sa) {
    if (sa->over)
        return sa->state == IKE_STATE_CLOSED ? NEVER : 0;
    uint64_t at = sooner(queue_deadline(sa), handshake_deadline(sa));
    if (sa->request.active) {
        at = sooner(at, sa->request.give_up_at);
        if (!sa->request.answered)
            at = sooner(at, sa->request.resend_at);
    }
    at = sooner(at, children_deadline(sa));
    if (sa->state == IKE_STATE_REKEYED || sa->state == IKE_STATE_DELETING)
        at = sooner(at, sa->drop_at);
    if (sa->state == IKE_STATE_ESTABLISHED)
        at = sooner(at, sooner(sa->rekey_at, sa->expire_at));
    return dpd_applies(sa) ? sooner(at, sa->heard_at + sa->config->dpd_delay_ms) : at;
}

void ike_sa_wake(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    if (!sa->over)
        request_timers(sa, &turn);
    if (!sa->over)
        handshake_timer(sa, &turn);
    if (!sa->over)
        life_timers(sa, &turn);
    if (!sa->over && sa->state == IKE_STATE_ESTABLISHED)
        children_timers(sa, &turn);
    sa_settle(sa, &turn);
}

/* --- commands --- */

static void ask(struct ike_sa *sa, uint64_t now, const struct task *task, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    if (sa->over)
        return;
    queue_add(sa, task, false);
    sa_settle(sa, &turn);
}

void ike_sa_start(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    if (sa->state == IKE_STATE_INIT && sa_is_initiator(sa) && !sa->request.active)
        ask(sa, now, &(struct task){.exchange = sa->handshake->resume != NULL ? &resume_exchange : &sa_init_exchange},
            out);
}

void ike_sa_liveness(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    bool may = sa->state == IKE_STATE_ESTABLISHED || sa->state == IKE_STATE_REKEYED;
    if (may && !sa->request.active)
        ask(sa, now, &(struct task){.exchange = &liveness_exchange}, out);
}

void ike_sa_heard(struct ike_sa *sa, uint64_t now) {
    if (now > sa->heard_at)
        sa->heard_at = now;
}

void ike_sa_rekey(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    if (sa->state == IKE_STATE_ESTABLISHED && !request_is(sa, &ike_rekey_exchange))
        ask(sa, now, &(struct task){.exchange = &ike_rekey_exchange}, out);
}

void ike_sa_rekey_child(struct ike_sa *sa, uint64_t now, uint32_t spi_in, struct ike_output *out) {
    const struct child *child = child_by_spi_in(sa, spi_in);
    if (sa->state == IKE_STATE_ESTABLISHED && child != NULL && child->state == CHILD_LIVE)
        ask(sa, now, &(struct task){.exchange = &child_rekey_exchange, .spi_in = spi_in}, out);
}

void ike_sa_new_child(struct ike_sa *sa, uint64_t now, const struct ike_child_config *config, struct ike_output *out) {
    if (sa->state == IKE_STATE_ESTABLISHED)
        ask(sa, now, &(struct task){.exchange = &child_new_exchange, .config = config}, out);
}

void ike_sa_delete_child(struct ike_sa *sa, uint64_t now, uint32_t spi_in, struct ike_output *out) {
    if (sa->state == IKE_STATE_ESTABLISHED && child_by_spi_in(sa, spi_in) != NULL)
        ask(sa, now, &(struct task){.exchange = &delete_exchange, .spi_in = spi_in}, out);
}

void sa_delete(struct ike_sa *sa) {
    if (sa->state != IKE_STATE_REKEYED)
        sa->state = IKE_STATE_DELETING;
    queue_clear(sa);
    if (!request_is(sa, &delete_exchange) || sa->request.task.spi_in != 0)
        queue_add(sa, &(struct task){.exchange = &delete_exchange}, true);
}

void ike_sa_delete(struct ike_sa *sa, uint64_t now, struct ike_output *out) {
    struct turn turn = turn_of(sa, now, out);
    if (sa->over)
        return;
    if (sa->state == IKE_STATE_AUTH && request_is(sa, &auth_exchange))
        sa->handshake->delete_after = true; /* what the peer is about to make must be deleted there */
    else if (sa->state == IKE_STATE_INIT || sa->state == IKE_STATE_AUTH)
        sa_close(sa, NULL, false, false);
    else
        sa_delete(sa);
    sa_settle(sa, &turn);
}

void ike_sa_carried(struct ike_sa *sa, uint64_t now, const struct address *local, const struct address *remote,
    bool reliable, bool replaced, struct ike_output *out) {
    bool before = sa->reliable;
    mobike_carried(sa, local, remote, reliable);
    sa->local = *local;
    sa->remote = *remote;
    sa->reliable = reliable;
    struct turn turn = turn_of(sa, now, out);
    if (sa->over)
        return;
    if (replaced && (request_is(sa, &sa_init_exchange) || request_is(sa, &resume_exchange)))
        request_anew(sa, &turn);
    else if (replaced)
        request_resend(sa, &turn);
    else if (before != reliable)
        request_carried(sa, now);
    sa_settle(sa, &turn);
}

void ike_sa_set_worker(struct ike_sa *sa, uint8_t worker) {
    sa->worker = worker;
}

void ike_sa_set_spi_check(struct ike_sa *sa, bool (*taken)(const void *context, uint32_t spi_in), const void *context) {
    sa->spi_taken = taken;
    sa->spi_context = context;
}

void ike_sa_set_selector_check(struct ike_sa *sa, ike_selectors_taken *taken) {
    sa->selectors_taken = taken;
}
