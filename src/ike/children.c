/* children.c: the Child SAs that an IKE SA has: found by SPI, told about once at birth and once at death, rekeyed by their
 * soft lifetime and deleted by their hard one. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

struct child *child_by_spi_in(const struct ike_sa *sa, uint32_t spi_in) {
    for (struct child *c = sa->children; c != NULL; c = c->next)
        if (c->about.spi_in == spi_in && !c->down)
            return c;
    return NULL;
}

struct child *child_by_spi_out(const struct ike_sa *sa, uint32_t spi_out) {
    for (struct child *c = sa->children; c != NULL; c = c->next)
        if (c->about.spi_out == spi_out && !c->down)
            return c;
    return NULL;
}

static bool spi_taken(const struct ike_sa *sa, uint32_t spi) {
    for (struct child *c = sa->children; c != NULL; c = c->next)
        if (c->about.spi_in == spi)
            return true;
    if (sa->request.active && sa->request.spi == spi)
        return true;
    return sa->spi_taken != NULL && sa->spi_taken(sa->spi_context, spi);
}

/* The worker's number on top, random below; worker 0 gets bit 23, since 0 to 255 are reserved (RFC 4303 section 2.1). */
uint32_t child_new_spi(struct ike_sa *sa) {
    uint32_t spi;
    do {
        spi = (uint32_t)sa->worker << 24 | (random_u32(&sa->random) & 0xffffff);
        if (sa->worker == 0)
            spi |= 0x800000;
    } while (spi_taken(sa, spi)); /* few of 2^23 are taken */
    return spi;
}

void child_free(struct child *child) {
    selectors_forget(child->about.local);
    selectors_forget(child->about.remote);
    free(child);
}

size_t children_count(const struct ike_sa *sa) {
    size_t count = 0;
    for (struct child *c = sa->children; c != NULL; c = c->next)
        count++;
    return count;
}

void child_replaced(struct child *old) {
    old->state = CHILD_REPLACED;
    old->again = false; /* its lifetime may have ended while the rekey was on its way */
}

void child_down(struct child *child, bool by_peer, bool again) {
    if (child->down)
        return;
    child->down = true;
    child->down_by_peer = by_peer;
    child->again = child->again || (again && child->state == CHILD_LIVE);
}

void children_report(struct ike_sa *sa, struct turn *turn) {
    for (struct child **at = &sa->children; *at != NULL;) {
        struct child *child = *at;
        bool room = turn->out->events + EVENTS_KEPT_FREE < IKE_EVENTS_MAX;
        if (!child->down || (child->announced && !room)) {
            at = &child->next;
            continue;
        }
        if (child->announced) {
            struct ike_event *event = emit(turn, IKE_EVENT_CHILD_DOWN);
            event->spi_in = child->about.spi_in;
            event->by_peer = child->down_by_peer;
            event->rekey_again = child->again;
            event->child_config = child->about.config;
        }
        *at = child->next;
        child_free(child);
    }
}

void children_timers(struct ike_sa *sa, struct turn *turn) {
    for (struct child *c = sa->children; c != NULL; c = c->next) {
        struct task task = {.spi_in = c->about.spi_in};
        if (c->down || c->state == CHILD_DELETING)
            continue;
        if (turn->now >= c->expire_at) {
            c->expire_at = NEVER;
            c->again = c->state == CHILD_LIVE && !c->redundant;
            task.exchange = &delete_exchange;
            queue_add(sa, &task, false);
        } else if (c->state == CHILD_LIVE && turn->now >= c->rekey_at) {
            c->rekey_at = NEVER;
            task.exchange = &child_rekey_exchange;
            queue_add(sa, &task, false);
        }
    }
}

uint64_t children_deadline(const struct ike_sa *sa) {
    uint64_t soonest = NEVER;
    for (struct child *c = sa->children; c != NULL; c = c->next) {
        if (c->down)
            return 0; /* still to be reported */
        if (c->state == CHILD_DELETING || sa->state != IKE_STATE_ESTABLISHED)
            continue;
        if (c->expire_at < soonest)
            soonest = c->expire_at;
        if (c->state == CHILD_LIVE && c->rekey_at < soonest)
            soonest = c->rekey_at;
    }
    return soonest;
}

void children_free(struct ike_sa *sa) {
    while (sa->children != NULL) {
        struct child *next = sa->children->next;
        child_free(sa->children);
        sa->children = next;
    }
}
