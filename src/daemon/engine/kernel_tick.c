/* kernel_tick.c: once a second: what the kernel counted, who waits for a rekey, and what can't go on as it is. */
#include <event2/event.h>
#include <stdlib.h>

#include "daemon/engine/kernel_internal.h"

#define TICK_MS 1000 /* counters are read, and who waits for a rekey asks for it */
#define REKEY_AGAIN_MS (10 * SECOND)
#define REKEYS_MAX 32 /* that one tick asks for */
#define READS_MAX 512 /* of counters */

static void soft_expiry(struct engine *engine, uint32_t anchor, uint32_t spi_in) {
    struct traffic_report report = {.kind = TRAFFIC_SOFT_EXPIRY, .anchor = anchor, .spi_in = spi_in};
    engine_apply(engine, peers_traffic(engine->peers, engine_now(), &report));
}

static void on_read(void *context, const struct monitor_answer *answer) {
    struct kernel_asked asked = *(struct kernel_asked *)context;
    struct kernel_anchor *a = kernel_answered(&asked);
    struct kernel_sa *sa = a != NULL ? kernel_find_sa(a, asked.spi_in) : NULL;
    free(context);
    asked.engine->kernel.reading--;
    if (sa == NULL || answer->error.origin != ORIGIN_NONE)
        return;
    kernel_count_up(sa, &answer->esp);
    if (answer->esp.out < esp_sa_config(sa->sa)->soft_packets || engine_now() < sa->rekey_at)
        return;
    sa->rekey_at = engine_now() + REKEY_AGAIN_MS;
    soft_expiry(asked.engine, asked.anchor, asked.spi_in);
}

/* Of a new IKE SA on the connection of one before (L7), or one that came back to its connection: it can't stay there. */
static bool is_stranded(struct engine *engine, struct kernel_anchor *a) {
    bool before = a->stranded;
    a->stranded = a->state == KERNEL_OURS && streams_is_kernel(engine, a->carrier.stream);
    return before && a->stranded;
}

/* What waits in vain for the kernel is used here; while it is on its way there all of it comes back. */
static void end_mute(struct engine *engine, struct kernel_anchor *a, uint64_t now) {
    struct kernel_sa *sa;
    SLIST_FOREACH(sa, &a->sas, next) {
        if (!sa->mute || now < sa->mute_until)
            continue;
        if (a->state == KERNEL_ENDING) {
            kernel_cancel(engine, a);
            a->differs = true;
        } else {
            kernel_unmute(engine, sa);
        }
    }
}

struct due { /* of one tick */
    size_t rekeys;
    struct kernel_asked rekey[REKEYS_MAX];
};

/* True: the anchor can't go on as it is. */
static bool look(struct engine *engine, struct kernel_anchor *a, struct due *due) {
    struct kernel_sa *sa;
    uint64_t now = engine_now();
    bool has = a->state == KERNEL_KERNEL;
    bool waits = a->state == KERNEL_OURS && !a->refused && a->carrier.transport == TRANSPORT_TCP;
    bool carried = a->carrier.transport != TRANSPORT_NONE;
    size_t *reading = &engine->kernel.reading; /* a monitor that is busy with others is not asked for more and more */
    if (a->differs) {
        a->differs = false;
        kernel_decide(engine, a);
    }
    end_mute(engine, a, now);
    if (is_stranded(engine, a) || (has && a->asked == 0 && a->error.origin != ORIGIN_NONE))
        return true;
    SLIST_FOREACH(sa, &a->sas, next) {
        struct kernel_asked *asked;
        if (has && sa->in_kernel && *reading < READS_MAX &&
            (asked = kernel_asked_new(engine, a, sa->spi_in, 0)) != NULL) {
            ++*reading;
            monitor_esp_read(engine->monitor, sa->spi_in, false, on_read, asked);
        }
        bool due_now = ((sa->lost || sa->spent) && carried) || (sa->been && waits);
        if (!due_now || now < sa->rekey_at || due->rekeys == REKEYS_MAX)
            continue;
        sa->rekey_at = now + REKEY_AGAIN_MS;
        due->rekey[due->rekeys++] = (struct kernel_asked){.anchor = a->number, .spi_in = sa->spi_in};
    }
    return false;
}

static void end_of(struct engine *engine, struct kernel_anchor *a) {
    struct error why;
    if (a->state == KERNEL_KERNEL) {
        kernel_give_up(engine, a);
        return;
    }
    fail(&why, HOST, 0, "the kernel reads ESP on this connection, and this IKE SA's is ours");
    kernel_close_stream(engine, a->carrier.stream, &why);
}

static void on_tick(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct engine *engine = context;
    struct due due = {0};
    struct kernel_anchor *a, *failed = NULL;
    size_t first = engine->kernel.first;
    for (size_t i = 0; i < KERNEL_BUCKETS; i++) { /* whoever finds no room is the first next time */
        size_t at = (first + i) % KERNEL_BUCKETS;
        if (engine->kernel.reading < READS_MAX)
            engine->kernel.first = at;
        LIST_FOREACH(a, &engine->kernel.bucket[at], next) {
            if (look(engine, a, &due))
                failed = a;
        }
    }
    if (failed != NULL) /* before peers are called, which may take it away */
        end_of(engine, failed);
    for (size_t i = 0; i < due.rekeys; i++)
        soft_expiry(engine, due.rekey[i].anchor, due.rekey[i].spi_in);
}

static void on_probed(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    struct timeval every = {.tv_sec = TICK_MS / 1000};
    if (answer->error.origin != ORIGIN_NONE) {
        log_warning("kernel-esp=yes: %s; our own ESP does it", answer->error.text);
        return;
    }
    engine->kernel.tick = event_new(engine->base, -1, EV_PERSIST, on_tick, engine);
    engine->kernel.usable = engine->kernel.tick != NULL && event_add(engine->kernel.tick, &every) == 0;
}

/* The monitor answers in order: it is known before anything is served. Later is too late: listeners and the UDP sockets that
 * are open would not pass the policies, and what the kernel sends over a stream would go into itself. */
void kernel_configure(struct engine *engine, const struct config *config) {
    for (size_t i = 0; i < config->connections; i++) {
        if (!config->connection[i].kernel_esp || engine->kernel.usable)
            continue;
        if (engine->worker != NULL) {
            log_warning(
                "kernel-esp=yes: sockets are open that were made without it: our own ESP does it until iketcpd is "
                "started anew");
            return;
        }
        monitor_esp_probe(engine->monitor, on_probed, engine);
        return;
    }
}

void kernel_free(struct engine *engine) {
    for (size_t i = 0; i < KERNEL_BUCKETS; i++)
        while (!LIST_EMPTY(&engine->kernel.bucket[i])) {
            struct kernel_anchor *a = LIST_FIRST(&engine->kernel.bucket[i]);
            struct kernel_sa *sa;
            while ((sa = SLIST_FIRST(&a->sas)) != NULL) {
                SLIST_REMOVE_HEAD(&a->sas, next);
                free(sa);
            }
            LIST_REMOVE(a, next);
            free(a);
        }
    if (engine->kernel.tick != NULL)
        event_free(engine->kernel.tick);
    engine->kernel = (struct kernel){0};
}
