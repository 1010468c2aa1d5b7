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
 * What came back is rekeyed before the kernel has the anchor again: nobody makes IVs under a key whose IVs another made,
 * but once. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define TICK_MS 1000 /* counters are read, and who waits for a rekey asks for it */
#define REKEY_AGAIN_MS (10 * SECOND)
#define REKEYS_MAX 32 /* that one tick asks for */
#define READS_MAX 512 /* of counters */
#define NUMBERS_APART 64 /* a packet on its way out may have taken a number after we asked for the last one */

enum kernel_state { KERNEL_OURS, KERNEL_ENDING, KERNEL_SETTING, KERNEL_KERNEL, KERNEL_TAKING };

struct kernel_sa {
    SLIST_ENTRY(kernel_sa) next;
    struct esp_sa *sa; /* the worker's; alive until it is retired, which is seen here first */
    uint32_t spi_in;
    bool outbound; /* to be used at once */
    bool in_kernel, been; /* now; or once, and came back */
    struct host_esp_state seen; /* what was counted */
    uint64_t rekey_at; /* ms: asked for not before */
};
SLIST_HEAD(kernel_sa_list, kernel_sa);

struct kernel_anchor {
    LIST_ENTRY(kernel_anchor) next;
    uint32_t number, round; /* answers of an earlier round are nobody's */
    char connection[64];
    struct carrier carrier, lent; /* now; and which the kernel has */
    enum kernel_state state;
    bool refused; /* the kernel can't, or nobody wants it: it is not asked again */
    bool stranded; /* in the tick before, the kernel had its stream and not its SAs */
    unsigned asked; /* answers of the monitor to come, in this round */
    struct error error; /* why the kernel can't */
    struct kernel_sa_list sas;
};

struct kernel_asked {
    struct engine *engine;
    uint32_t anchor, round, spi_in;
    peer_id peer;
};

static struct kernel_bucket *bucket_of(struct engine *engine, uint32_t number) {
    return &engine->kernel.bucket[number % KERNEL_BUCKETS];
}

static struct kernel_anchor *find(struct engine *engine, uint32_t number) {
    struct kernel_anchor *a;
    LIST_FOREACH(a, bucket_of(engine, number), next) {
        if (a->number == number)
            return a;
    }
    return NULL;
}

static struct kernel_sa *find_sa(const struct kernel_anchor *a, uint32_t spi_in) {
    struct kernel_sa *sa;
    SLIST_FOREACH(sa, &a->sas, next) {
        if (sa->spi_in == spi_in)
            return sa;
    }
    return NULL;
}

/* Of a request that does not get as far as that nothing will be heard: memory is short, and the SA then stays where it is. */
static struct kernel_asked *asked_new(
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
static struct kernel_anchor *answered(const struct kernel_asked *asked) {
    struct kernel_anchor *a = find(asked->engine, asked->anchor);
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
    if (!engine->kernel.usable || a->refused || a->carrier.transport != TRANSPORT_TCP || SLIST_EMPTY(&a->sas))
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

static void decide(struct engine *engine, struct kernel_anchor *a);

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

/* What the worker was asked for is not wanted any more, or must be asked for anew: nothing of it has reached the kernel. */
static void cancel(struct engine *engine, struct kernel_anchor *a) {
    struct esp_numbers numbers[WORKER_LENT_MAX];
    const struct kernel_sa *sa;
    size_t count = 0;
    SLIST_FOREACH(sa, &a->sas, next) {
        if (count < WORKER_LENT_MAX)
            numbers[count++] = (struct esp_numbers){.spi_in = sa->spi_in}; /* goes on where it was */
    }
    give_back(engine, a->lent.stream, numbers, count);
    a->state = KERNEL_OURS;
}

static void taken(struct engine *engine, struct kernel_anchor *a) {
    if (a->asked > 0)
        return;
    a->state = KERNEL_OURS;
    give_back(engine, a->lent.stream, NULL, 0);
    decide(engine, a);
}

static void count_up(struct kernel_sa *sa, const struct host_esp_state *now) {
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

static void on_taken(void *context, const struct monitor_answer *answer) {
    struct kernel_asked asked = *(struct kernel_asked *)context;
    struct kernel_anchor *a = answered(&asked);
    free(context);
    if (a == NULL)
        return;
    struct kernel_sa *sa = find_sa(a, asked.spi_in);
    struct esp_numbers numbers = {.spi_in = asked.spi_in};
    if (answer->error.origin == ORIGIN_NONE && sa != NULL) {
        count_up(sa, &answer->esp);
        numbers.in = answer->esp.in;
        numbers.out = answer->esp.out + NUMBERS_APART;
    }
    if (sa != NULL)
        give_back(asked.engine, 0, &numbers, 1);
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
        if (!sa->in_kernel)
            continue;
        struct kernel_asked *asked = asked_new(engine, a, sa->spi_in, 0);
        if (asked == NULL)
            return;
        sa->in_kernel = false;
        sa->been = true;
        a->asked++;
        monitor_esp_read(engine->monitor, sa->spi_in, true, on_taken, asked);
    }
    taken(engine, a);
}

static void close_stream(struct engine *engine, uint32_t stream, const struct error *why) {
    streams_close(engine, stream);
    engine_apply(engine, peers_stream_lost(engine->peers, engine_now(), stream, why));
}

/* The kernel can't have all of it. A stream that it reads already can't carry what is left: the peer comes again, or we do. */
static void give_up(struct engine *engine, struct kernel_anchor *a) {
    struct error why = a->error;
    uint32_t stream = a->lent.stream;
    refuse(a, &why);
    take(engine, a);
    if (streams_is_kernel(engine, stream))
        close_stream(engine, stream, &why);
}

static void on_set(void *context, const struct monitor_answer *answer) {
    struct kernel_asked asked = *(struct kernel_asked *)context;
    struct engine *engine = asked.engine;
    struct kernel_anchor *a = answered(&asked);
    free(context);
    actions_send_late(engine, asked.peer);
    if (a == NULL)
        return;
    if (answer->error.origin != ORIGIN_NONE && a->error.origin == ORIGIN_NONE)
        a->error = answer->error;
    if (--a->asked > 0)
        return;
    if (a->error.origin != ORIGIN_NONE) {
        give_up(engine, a);
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
    struct kernel_asked *asked = asked_new(engine, a, sa->spi_in, peer);
    if (asked == NULL)
        return;
    host_esp_of(a, sa, numbers, &esp);
    sa->in_kernel = true;
    a->asked++;
    monitor_esp_set(engine->monitor, a->connection, &esp, on_set, asked);
    wipe(&esp, sizeof esp);
}

static void decide(struct engine *engine, struct kernel_anchor *a) {
    bool moved = !carrier_equal(&a->carrier, &a->lent);
    if (a->state == KERNEL_ENDING && (moved || SLIST_EMPTY(&a->sas)))
        cancel(engine, a);
    else if ((a->state == KERNEL_SETTING || a->state == KERNEL_KERNEL) && moved)
        take(engine, a);
    if (a->state != KERNEL_OURS || !wanted(engine, a))
        return;
    struct worker_command command = {
        .kind = WORKER_LEND, .carrier = a->carrier, .traffic = {.anchor = a->number}, .fd = -1};
    a->state = KERNEL_ENDING;
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
        if (find_sa(a, numbers[i].spi_in) == NULL)
            return false;
    return known == count && count > 0;
}

void kernel_lent(struct engine *engine, const struct worker_report *report) {
    struct kernel_anchor *a = find(engine, report->traffic.anchor);
    struct esp_numbers numbers[WORKER_LENT_MAX];
    size_t count = report->length / sizeof numbers[0];
    if (a == NULL || a->state != KERNEL_ENDING || a->lent.stream != report->carrier.stream || count > WORKER_LENT_MAX)
        return; /* it was told otherwise meanwhile */
    memcpy(numbers, report->octets, count * sizeof numbers[0]);
    if (!same_sas(a, numbers, count)) {
        cancel(engine, a);
        decide(engine, a);
        return;
    }
    a->state = KERNEL_SETTING;
    a->round = ++engine->kernel.round;
    a->asked = 0;
    for (size_t i = 0; i < count; i++)
        set(engine, a, find_sa(a, numbers[i].spi_in), &numbers[i], 0);
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
    if (a->state != KERNEL_SETTING && a->state != KERNEL_KERNEL)
        return;
    command->lent = true;
    if (fits(esp_sa_config(command->sa), &a->error)) {
        const struct esp_numbers none = {0};
        engine->routing = action->peer; /* what lets the peer send waits until the kernel has it */
        set(engine, a, sa, &none, action->peer);
    }
}

void kernel_before(struct engine *engine, const struct peer_action *action, struct traffic_command *command) {
    if (!engine->kernel.usable)
        return;
    struct kernel_anchor *a = find(engine, command->anchor);
    if (command->verb == TRAFFIC_ANCHOR_ADD && a == NULL)
        add(engine, action);
    else if (command->verb == TRAFFIC_INSTALL && a != NULL)
        install(engine, a, action, command);
}

void kernel_after(struct engine *engine, const struct traffic_command *command) {
    struct kernel_anchor *a = engine->kernel.usable ? find(engine, command->anchor) : NULL;
    if (a == NULL)
        return;
    bool ends = command->verb == TRAFFIC_RETIRE || command->verb == TRAFFIC_DRAIN; /* nothing goes out on it any more */
    struct kernel_sa *sa = ends ? find_sa(a, command->spi_in) : NULL;
    if (command->verb == TRAFFIC_ANCHOR_REMOVE) {
        remove_anchor(engine, a);
        return;
    }
    if (command->verb == TRAFFIC_ANCHOR_ADD || command->verb == TRAFFIC_ANCHOR_MOVE)
        a->carrier = command->carrier;
    if (sa != NULL)
        remove_sa(engine, a, sa);
    decide(engine, a);
}

void kernel_forget(struct engine *engine, const struct esp_sa *esp) {
    for (size_t i = 0; i < KERNEL_BUCKETS && engine->kernel.usable; i++) {
        struct kernel_anchor *a;
        LIST_FOREACH(a, &engine->kernel.bucket[i], next) {
            struct kernel_sa *sa = find_sa(a, esp_sa_spi_in(esp));
            if (sa != NULL && sa->sa == esp)
                remove_sa(engine, a, sa);
        }
    }
}

bool kernel_has(struct engine *engine, uint32_t anchor) {
    const struct kernel_anchor *a = engine->kernel.usable ? find(engine, anchor) : NULL;
    return a != NULL && a->state == KERNEL_KERNEL;
}

/* ---------------------------------------------------------------- now and then ---- */

static void soft_expiry(struct engine *engine, uint32_t anchor, uint32_t spi_in) {
    struct traffic_report report = {.kind = TRAFFIC_SOFT_EXPIRY, .anchor = anchor, .spi_in = spi_in};
    engine_apply(engine, peers_traffic(engine->peers, engine_now(), &report));
}

static void on_read(void *context, const struct monitor_answer *answer) {
    struct kernel_asked asked = *(struct kernel_asked *)context;
    struct kernel_anchor *a = answered(&asked);
    struct kernel_sa *sa = a != NULL ? find_sa(a, asked.spi_in) : NULL;
    free(context);
    if (sa == NULL || answer->error.origin != ORIGIN_NONE)
        return;
    count_up(sa, &answer->esp);
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

struct due { /* of one tick */
    size_t reads, rekeys;
    struct kernel_asked rekey[REKEYS_MAX];
};

/* True: the anchor can't go on as it is. */
static bool look(struct engine *engine, struct kernel_anchor *a, struct due *due) {
    struct kernel_sa *sa;
    uint64_t now = engine_now();
    bool has = a->state == KERNEL_KERNEL;
    bool waits = a->state == KERNEL_OURS && !a->refused && a->carrier.transport == TRANSPORT_TCP;
    if (is_stranded(engine, a) || (has && a->asked == 0 && a->error.origin != ORIGIN_NONE))
        return true;
    SLIST_FOREACH(sa, &a->sas, next) {
        struct kernel_asked *asked;
        if (has && sa->in_kernel && due->reads < READS_MAX && (asked = asked_new(engine, a, sa->spi_in, 0)) != NULL) {
            due->reads++;
            monitor_esp_read(engine->monitor, sa->spi_in, false, on_read, asked);
        }
        if (!waits || !sa->been || now < sa->rekey_at || due->rekeys == REKEYS_MAX)
            continue;
        sa->rekey_at = now + REKEY_AGAIN_MS;
        due->rekey[due->rekeys++] = (struct kernel_asked){.anchor = a->number, .spi_in = sa->spi_in};
    }
    return false;
}

static void end_of(struct engine *engine, struct kernel_anchor *a) {
    struct error why;
    if (a->state == KERNEL_KERNEL) {
        give_up(engine, a);
        return;
    }
    fail(&why, HOST, 0, "the kernel reads ESP on this connection, and this IKE SA's is ours");
    close_stream(engine, a->carrier.stream, &why);
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
        if (due.reads < READS_MAX)
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

/* The monitor answers in order: it is known before anything is served. */
void kernel_configure(struct engine *engine, const struct config *config) {
    for (size_t i = 0; i < config->connections; i++) {
        if (!config->connection[i].kernel_esp || engine->kernel.usable)
            continue;
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
