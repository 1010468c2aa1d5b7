/* kernel.c: row O5: over a plain TCP stream the kernel does the ESP of a connection with kernel-esp=yes, where it can; else our
 * own ESP goes on. What peers command about anchors and SAs passes here on its way to the worker, so that what carries an
 * anchor, and its SAs, are known.
 *
 *   OURS     the worker does it
 *   ENDING   a TCP stream carries the anchor: the worker was asked to come to rest at a border of two frames
 *   SETTING  it rests: the SAs with their numbers are on their way to the kernel, by the monitor
 *   KERNEL   the stream is the kernel's; new SAs go there at once
 *   TAKING   something else carries the anchor, or nothing: the SAs come back, with the numbers that the kernel reached
 *
 * A key seals here or in the kernel, never in both: the kernel's IVs begin at random, ours at 1, and with the same key they
 * must never meet (RFC 4106 section 3.1). So the kernel gets only SAs that sent nothing yet, what came back receives but
 * sends no more, and both are rekeyed. A successor that is to go to the kernel is mute until it is there. */
#include "daemon/engine/kernel_internal.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MUTE_MS (5 * SECOND) /* then it is used here after all, and rekeyed later */

static struct kernel_bucket *bucket_of(struct engine *engine, uint32_t number) {
    return &engine->kernel.bucket[number % KERNEL_BUCKETS];
}

struct kernel_anchor *kernel_find(struct engine *engine, uint32_t number) {
    struct kernel_anchor *a;
    LIST_FOREACH(a, bucket_of(engine, number), next) {
        if (a->number == number)
            return a;
    }
    return NULL;
}

struct kernel_sa *kernel_find_sa(const struct kernel_anchor *a, uint32_t spi_in) {
    struct kernel_sa *sa;
    SLIST_FOREACH(sa, &a->sas, next) {
        if (sa->spi_in == spi_in)
            return sa;
    }
    return NULL;
}

/* Of a request that does not get as far as that nothing will be heard: memory is short, and the SA then stays where it is. */
struct kernel_asked *kernel_asked_new(
    struct engine *engine, const struct kernel_anchor *a, uint32_t spi_in, peer_id peer) {
    struct kernel_asked *asked = malloc(sizeof *asked);
    if (asked == NULL) {
        engine_fail(engine, "memory is short");
        return NULL;
    }
    *asked =
        (struct kernel_asked){.engine = engine, .anchor = a->number, .round = a->round, .spi_in = spi_in, .peer = peer};
    return asked;
}

/* The anchor of an answer, if it is still in the round in which it was asked. */
struct kernel_anchor *kernel_answered(const struct kernel_asked *asked) {
    struct kernel_anchor *a = kernel_find(asked->engine, asked->anchor);
    return a != NULL && a->round == asked->round ? a : NULL;
}

/* ---------------------------------------------------------------- what the kernel can have ---- */

static bool fits(const struct esp_kept *config, struct error *err) {
    if (config->local->count != 1 || config->remote->count != 1)
        return fail(err, HOST, 0, "a Child SA has more than one pair of traffic selectors");
    if (config->transport)
        return fail(err, HOST, 0, "a Child SA is in transport mode");
    if (config->aggfrag)
        return fail(err, HOST, 0, "a Child SA carries many packets in one (aggfrag)");
    return true;
}

static void host_esp_of(const struct kernel_anchor *a, const struct kernel_sa *sa, const struct esp_numbers *numbers,
    struct host_esp *out) {
    const struct esp_kept *config = esp_sa_config(sa->sa);
    const struct esp_key_spans keys = esp_sa_keys(sa->sa);
    *out = (struct host_esp){.spi_in = config->spi_in,
        .spi_out = config->spi_out,
        .local = a->carrier.local,
        .remote = a->carrier.remote,
        .inner_local = config->local->selector[0],
        .inner_remote = config->remote->selector[0],
        .encr = config->suite.encr,
        .key_bits = config->suite.key_bits,
        .integ = config->suite.integ,
        .key_length = keys.key_in.length,
        .integ_length = keys.integ_in.length,
        .esn = config->esn,
        .replay_window = config->replay_window,
        .outbound = sa->outbound,
        .out = numbers->out,
        .in = numbers->in};
    memcpy(out->key_in, keys.key_in.at, keys.key_in.length);
    memcpy(out->key_out, keys.key_out.at, keys.key_out.length);
    if (keys.integ_in.length == 0)
        return;
    memcpy(out->integ_in, keys.integ_in.at, keys.integ_in.length);
    memcpy(out->integ_out, keys.integ_out.at, keys.integ_out.length);
}

static void refuse(struct kernel_anchor *a, const struct error *why) {
    if (!a->refused)
        log_warning("%s: kernel-esp=yes, but %s: our own ESP does it", a->connection, why->text);
    a->refused = true;
}

static bool wanted(struct engine *engine, struct kernel_anchor *a) {
    const struct kernel_sa *sa;
    struct error why;
    if (!engine->kernel.usable || a->refused || a->differs || a->carrier.transport != TRANSPORT_TCP ||
        SLIST_EMPTY(&a->sas))
        return false;
    SLIST_FOREACH(sa, &a->sas, next) {
        if (sa->been)
            return false; /* after its rekey */
        if (!fits(esp_sa_config(sa->sa), &why)) {
            refuse(a, &why);
            return false;
        }
    }
    return true;
}

/* ---------------------------------------------------------------- steps ---- */

static void give_back(struct engine *engine, uint32_t stream, const struct esp_numbers *numbers, size_t count) {
    struct worker_command command = {.kind = WORKER_RETURN, .carrier = {.stream = stream}, .fd = -1};
    command.length = count * sizeof *numbers;
    command.octets = count > 0 ? malloc(command.length) : NULL;
    if (count > 0 && command.octets == NULL) {
        engine_fail(engine, "memory is short");
        return;
    }
    if (count > 0)
        memcpy(command.octets, numbers, command.length);
    outbox_post(engine, &command);
}

static void taken(struct engine *engine, struct kernel_anchor *a) {
    if (a->asked > 0)
        return;
    a->state = KERNEL_OURS;
    give_back(engine, a->lent.stream, NULL, 0);
    kernel_decide(engine, a);
}

void kernel_count_up(struct kernel_sa *sa, const struct host_esp_state *now) {
    struct esp_counters *counters = esp_sa_counters(sa->sa);
    struct host_esp_state *seen = &sa->seen;
    if (now->packets_in > seen->packets_in)
        atomic_store_explicit(&counters->last_in_ms, engine_now(), memory_order_relaxed);
#define COUNT(counter, field) \
    atomic_fetch_add_explicit(&counters->counter, now->field - seen->field, memory_order_relaxed)
    COUNT(packets_in, packets_in);
    COUNT(bytes_in, octets_in);
    COUNT(packets_out, packets_out);
    COUNT(bytes_out, octets_out);
    COUNT(bursts_wanted, packets_out);
#undef COUNT
    *seen = *now;
}

static void return_one(struct engine *engine, struct kernel_sa *sa, const struct esp_numbers *numbers) {
    sa->lent = sa->mute = false;
    give_back(engine, 0, numbers, 1);
}

void kernel_unmute(struct engine *engine, struct kernel_sa *sa) {
    return_one(engine, sa, &(struct esp_numbers){.spi_in = sa->spi_in});
}

/* The kernel may come to have its SAs. */
static bool is_hopeful(const struct kernel_anchor *a) {
    return !a->refused && (a->carrier.transport == TRANSPORT_TCP || a->carrier.transport == TRANSPORT_NONE);
}

/* What the worker was asked for is not wanted any more, or must be asked for anew: nothing of it has reached the kernel. */
void kernel_cancel(struct engine *engine, struct kernel_anchor *a) {
    struct kernel_sa *sa;
    SLIST_FOREACH(sa, &a->sas, next) {
        kernel_unmute(engine, sa);
    }
    give_back(engine, a->lent.stream, NULL, 0);
    a->state = KERNEL_OURS;
}

static void on_taken(void *context, const struct monitor_answer *answer) {
    struct kernel_asked asked = *(struct kernel_asked *)context;
    struct kernel_anchor *a = kernel_answered(&asked);
    free(context);
    if (a == NULL)
        return;
    struct kernel_sa *sa = kernel_find_sa(a, asked.spi_in);
    struct esp_numbers numbers = {.spi_in = asked.spi_in};
    bool known = answer->error.origin == ORIGIN_NONE;
    if (known && sa != NULL) {
        kernel_count_up(sa, &answer->esp);
        numbers.in = answer->esp.in;
        numbers.out = answer->esp.out + 1; /* one may be on its way */
    } else if (sa != NULL && !sa->failed) { /* with our own the peer would drop what we send, and we take what it had */
        log_warning("%s: %s: the Child SA rests until it is rekeyed", a->connection, answer->error.text);
        sa->lost = true;
    }
    if (sa != NULL && !sa->lost) {
        sa->spent = known;
        return_one(asked.engine, sa, &numbers);
    }
    a->asked--;
    taken(asked.engine, a);
}

static void take(struct engine *engine, struct kernel_anchor *a) {
    struct kernel_sa *sa;
    a->state = KERNEL_TAKING;
    a->round = ++engine->kernel.round;
    a->asked = 0;
    log_debug("%s: ESP comes back from the kernel", a->connection);
    SLIST_FOREACH(sa, &a->sas, next) {
        if (!sa->in_kernel) { /* it never came as far as that */
            if (sa->lent && !sa->lost)
                kernel_unmute(engine, sa);
            continue;
        }
        struct kernel_asked *asked = kernel_asked_new(engine, a, sa->spi_in, 0);
        if (asked == NULL)
            return;
        sa->in_kernel = false;
        sa->been = true;
        a->asked++;
        monitor_esp_read(engine->monitor, sa->spi_in, true, on_taken, asked);
    }
    taken(engine, a);
}

void kernel_close_stream(struct engine *engine, uint32_t stream, const struct error *why) {
    streams_close(engine, stream);
    engine_apply(engine, peers_stream_lost(engine->peers, engine_now(), stream, why));
}

/* The kernel can't have all of it. A stream that it reads already can't carry what is left: the peer comes again, or we do. */
void kernel_give_up(struct engine *engine, struct kernel_anchor *a) {
    struct error why = a->error;
    uint32_t stream = a->lent.stream;
    refuse(a, &why);
    take(engine, a);
    if (streams_is_kernel(engine, stream))
        kernel_close_stream(engine, stream, &why);
}

static void on_set(void *context, const struct monitor_answer *answer) {
    struct kernel_asked asked = *(struct kernel_asked *)context;
    struct engine *engine = asked.engine;
    struct kernel_anchor *a = kernel_answered(&asked), *later = kernel_find(engine, asked.anchor);
    struct kernel_sa *sa = later != NULL ? kernel_find_sa(later, asked.spi_in) : NULL;
    free(context);
    actions_send_late(engine, asked.peer);
    if (sa != NULL && answer->error.origin != ORIGIN_NONE) {
        sa->failed = true;
        sa->in_kernel = false;
    }
    if (a == NULL)
        return;
    if (answer->error.origin != ORIGIN_NONE && a->error.origin == ORIGIN_NONE)
        a->error = answer->error;
    if (--a->asked > 0)
        return;
    if (a->error.origin != ORIGIN_NONE) {
        kernel_give_up(engine, a);
    } else if (a->state == KERNEL_SETTING) {
        struct worker_command command = {.kind = WORKER_KERNEL, .carrier = a->lent, .fd = -1};
        a->state = KERNEL_KERNEL;
        streams_set_kernel(engine, a->lent.stream);
        outbox_post(engine, &command);
        log_info("%s: the kernel does its ESP in TCP", a->connection);
    }
}

static void set(struct engine *engine, struct kernel_anchor *a, struct kernel_sa *sa, const struct esp_numbers *numbers,
    peer_id peer) {
    struct host_esp esp;
    struct kernel_asked *asked = kernel_asked_new(engine, a, sa->spi_in, peer);
    if (asked == NULL)
        return;
    host_esp_of(a, sa, numbers, &esp);
    sa->lent = sa->in_kernel = true;
    sa->mute = false;
    a->asked++;
    monitor_esp_set(engine->monitor, a->connection, &esp, on_set, asked);
    wipe(&esp, sizeof esp);
}

void kernel_decide(struct engine *engine, struct kernel_anchor *a) {
    bool moved = !carrier_equal(&a->carrier, &a->lent);
    if (a->state == KERNEL_ENDING && (moved || SLIST_EMPTY(&a->sas)))
        kernel_cancel(engine, a);
    else if ((a->state == KERNEL_SETTING || a->state == KERNEL_KERNEL) && moved)
        take(engine, a);
    if (a->state != KERNEL_OURS || !wanted(engine, a)) {
        struct kernel_sa *sa;
        SLIST_FOREACH(sa, &a->sas, next) {
            if (sa->mute && !is_hopeful(a))
                kernel_unmute(engine, sa);
        }
        return;
    }
    struct worker_command command = {.kind = WORKER_LEND,
        .carrier = a->carrier,
        .traffic = {.anchor = a->number},
        .round = ++engine->kernel.round,
        .fd = -1};
    a->state = KERNEL_ENDING;
    a->round = command.round;
    a->lent = a->carrier;
    a->error = (struct error){0};
    outbox_post(engine, &command);
}

static bool same_sas(const struct kernel_anchor *a, const struct esp_numbers *numbers, size_t count) {
    const struct kernel_sa *sa;
    size_t known = 0;
    SLIST_FOREACH(sa, &a->sas, next) {
        known++;
    }
    for (size_t i = 0; i < count; i++)
        if (kernel_find_sa(a, numbers[i].spi_in) == NULL)
            return false;
    return known == count && count > 0;
}

void kernel_lent(struct engine *engine, const struct worker_report *report) {
    struct kernel_anchor *a = kernel_find(engine, report->traffic.anchor);
    struct esp_numbers numbers[WORKER_LENT_MAX];
    size_t count = report->length / sizeof numbers[0];
    if (a == NULL || a->state != KERNEL_ENDING || a->round != report->round || count > WORKER_LENT_MAX)
        return; /* it was told otherwise meanwhile */
    memcpy(numbers, report->octets, count * sizeof numbers[0]);
    if (!same_sas(a, numbers, count)) {
        kernel_cancel(engine, a);
        a->differs = true; /* not at once: the stream rests every time */
        return;
    }
    bool fresh = true;
    for (size_t i = 0; i < count; i++) {
        struct kernel_sa *sa = kernel_find_sa(a, numbers[i].spi_in);
        sa->been = sa->been || numbers[i].out > 0;
        fresh = fresh && !sa->been;
    }
    if (!fresh) {
        kernel_cancel(engine, a); /* until they are rekeyed */
        return;
    }
    a->state = KERNEL_SETTING;
    a->round = ++engine->kernel.round;
    a->asked = 0;
    for (size_t i = 0; i < count; i++)
        set(engine, a, kernel_find_sa(a, numbers[i].spi_in), &numbers[i], 0);
}

/* ---------------------------------------------------------------- what peers command ---- */

static void add(struct engine *engine, const struct peer_action *action) {
    const struct peer_config *config = engine_connection(engine, action->connection);
    bool asks = config != NULL && config->kernel_esp;
    if (!asks && !streams_is_kernel(engine, action->traffic.carrier.stream))
        return;
    struct kernel_anchor *a = calloc(1, sizeof *a);
    if (a == NULL)
        return; /* it stays ours */
    a->number = action->traffic.anchor;
    a->carrier = action->traffic.carrier;
    a->refused = !asks;
    memcpy(a->connection, action->connection, strnlen(action->connection, sizeof a->connection - 1));
    SLIST_INIT(&a->sas);
    LIST_INSERT_HEAD(bucket_of(engine, a->number), a, next);
}

static void remove_sa(struct engine *engine, struct kernel_anchor *a, struct kernel_sa *sa) {
    if (sa->in_kernel)
        monitor_esp_read(engine->monitor, sa->spi_in, true, NULL, NULL);
    SLIST_REMOVE(&a->sas, sa, kernel_sa, next);
    free(sa);
}

static void remove_anchor(struct engine *engine, struct kernel_anchor *a) {
    while (!SLIST_EMPTY(&a->sas))
        remove_sa(engine, a, SLIST_FIRST(&a->sas));
    if (a->state != KERNEL_OURS)
        give_back(engine, a->lent.stream, NULL, 0); /* a stream that rests is read again */
    LIST_REMOVE(a, next);
    free(a);
}

static void install(
    struct engine *engine, struct kernel_anchor *a, const struct peer_action *action, struct traffic_command *command) {
    struct kernel_sa *sa = calloc(1, sizeof *sa);
    if (sa == NULL || !esp_sa_config(command->sa)->keep_keys) {
        free(sa);
        return; /* a set that differs from the worker's is never lent */
    }
    *sa =
        (struct kernel_sa){.sa = command->sa, .spi_in = esp_sa_spi_in(command->sa), .outbound = command->outbound_now};
    SLIST_INSERT_HEAD(&a->sas, sa, next);
    if (a->state != KERNEL_SETTING && a->state != KERNEL_KERNEL) {
        command->mute = sa->mute = command->replaces != 0 && is_hopeful(a);
        command->outbound_now = command->outbound_now && !sa->mute; /* the one before sends until it is deleted */
        sa->mute_until = engine_now() + MUTE_MS;
        return;
    }
    command->lent = sa->lent = true;
    if (fits(esp_sa_config(command->sa), &a->error)) {
        const struct esp_numbers none = {0};
        engine->routing = action->peer; /* what lets the peer send waits until the kernel has it */
        set(engine, a, sa, &none, action->peer);
    }
}

void kernel_before(struct engine *engine, const struct peer_action *action, struct traffic_command *command) {
    if (!engine->kernel.usable)
        return;
    struct kernel_anchor *a = kernel_find(engine, command->anchor);
    if (command->verb == TRAFFIC_ANCHOR_ADD && a == NULL)
        add(engine, action);
    else if (command->verb == TRAFFIC_INSTALL && a != NULL)
        install(engine, a, action, command);
}

void kernel_after(struct engine *engine, const struct traffic_command *command) {
    struct kernel_anchor *a = engine->kernel.usable ? kernel_find(engine, command->anchor) : NULL;
    if (a == NULL)
        return;
    bool ends = command->verb == TRAFFIC_RETIRE || command->verb == TRAFFIC_DRAIN; /* nothing goes out on it any more */
    struct kernel_sa *sa = ends ? kernel_find_sa(a, command->spi_in) : NULL;
    if (command->verb == TRAFFIC_ANCHOR_REMOVE) {
        remove_anchor(engine, a);
        return;
    }
    if (command->verb == TRAFFIC_ANCHOR_ADD || command->verb == TRAFFIC_ANCHOR_MOVE)
        a->carrier = command->carrier;
    if (sa != NULL)
        remove_sa(engine, a, sa);
    kernel_decide(engine, a);
}

void kernel_forget(struct engine *engine, const struct esp_sa *esp) {
    for (size_t i = 0; i < KERNEL_BUCKETS && engine->kernel.usable; i++) {
        struct kernel_anchor *a;
        LIST_FOREACH(a, &engine->kernel.bucket[i], next) {
            struct kernel_sa *sa = kernel_find_sa(a, esp_sa_spi_in(esp));
            if (sa != NULL && sa->sa == esp)
                remove_sa(engine, a, sa);
        }
    }
}

bool kernel_has(struct engine *engine, uint32_t anchor) {
    const struct kernel_anchor *a = engine->kernel.usable ? kernel_find(engine, anchor) : NULL;
    return a != NULL && a->state == KERNEL_KERNEL;
}
