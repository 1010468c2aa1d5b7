/* path.c: one attempt from its beginning to an IKE SA that is up: send, wait, fall back, give up. */
#include "path/internal.h"

#include <string.h>

void path_config_defaults(struct path_config *config) {
    *config = (struct path_config){
        .tcp = PATH_FALLBACK,
        .udp_port = 500,
        .udp_nat_port = 4500,
        .tcp_port = 4500,
        .tls_port = 443,
        .sends_before_fallback = 2,
        .fallback_after_ms = 1500,
        .attempt_timeout_ms = 60 * SECOND,
        .connect_timeout_ms = 10 * SECOND,
        .try_tls_after_ms = 4 * SECOND, /* three SYNs */
        .reconnect_first_ms = 1 * SECOND,
        .reconnect_most_ms = 30 * SECOND,
        .better_after_ms = 60 * SECOND,
        .udp_again_after_ms = 3600 * SECOND,
        .stagger_ms = 250,
    };
}

void path_init(struct path *path, const struct path_config *config, struct path_memory *memory, uint64_t network,
    struct random_source random) {
    *path = (struct path){
        .config = config,
        .memory = memory,
        .network = network,
        .deadline = NEVER,
        .first_sent_at = NEVER,
        .random = random,
    };
}

uint64_t path_later(uint64_t now, uint64_t ms) {
    return ms >= NEVER - now ? NEVER : now + ms;
}

uint64_t path_jitter(const struct path *path, uint64_t ms) {
    uint64_t quarter = ms / 4;
    if (quarter == 0)
        return ms;
    return ms - quarter + random_u32(&path->random) % (2 * quarter + 1);
}

struct path_step path_wait(void) {
    return (struct path_step){.verb = PATH_WAIT};
}

struct path_step path_step_to(const struct path *path, enum path_verb verb) {
    struct path_step step = {
        .verb = verb,
        .transport = path->transport,
        .local = path->target[path->current].local,
        .remote = path->target[path->current].remote,
    };
    step.local.port = 0;
    step.remote.port = path_port(path);
    return step;
}

static uint64_t attempt_end(const struct path *path) {
    return path_later(path->began_at, path->config->attempt_timeout_ms);
}

static uint64_t sooner(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* How long the present one may stay silent: doubles with each attempt that failed and with each round, for slow
 * networks. */
static uint64_t patience(const struct path *path, uint64_t ms) {
    uint32_t doublings = path->attempts + path->rounds;
    if (doublings > PATH_PATIENCE_DOUBLINGS)
        doublings = PATH_PATIENCE_DOUBLINGS;
    return ms << doublings;
}

/* A stream, from its first SYN to the answer to IKE_SA_INIT, while something else could be tried. */
static uint64_t stream_patience(const struct path *path) {
    const struct path_config *config = path->config;
    if (config->tls == PATH_NO || path->nth + 1 == path->transports || config->staggered)
        return config->connect_timeout_ms;
    return sooner(patience(path, config->try_tls_after_ms), config->connect_timeout_ms);
}

static bool another_round(const struct path *path) {
    return path->transports == 1 && path->order[0] == TRANSPORT_UDP && path->targets > 1;
}

/* In a race nobody has to go for the sake of others, before IKE_AUTH, which goes one way (C7). UDP that is silent goes when
 * every stream has failed, as it would have gone before them. */
static bool gives_way(const struct path *path) {
    if (!path_races(path))
        return path_order_has_next(path) || another_round(path);
    if (path->answered)
        return path_order_has_next(path);
    return path->transport == TRANSPORT_UDP && path_race_is_lost(path);
}

/* When the present try has been silent for too long; NEVER: only the end of the attempt ends it. */
static uint64_t silence_due(const struct path *path) {
    if (path->transport != TRANSPORT_UDP) {
        bool waits = !path->answered && (!path->connected || gives_way(path));
        return waits ? path_later(path->tried_at, stream_patience(path)) : NEVER;
    }
    if (!gives_way(path) || path->sends < path->config->sends_before_fallback)
        return NEVER;
    uint64_t wait = patience(path, path->config->fallback_after_ms), slow = path->answered ? 2 * path->answer_ms : 0;
    return path_later(path->first_sent_at, wait > slow ? wait : slow);
}

void path_set_deadline(struct path *path, uint64_t now) {
    uint64_t due = sooner(silence_due(path), path_beside_at(path));
    path->deadline = sooner(attempt_end(path), due > now ? due : now);
}

struct path_step path_try_this(struct path *path, uint64_t now, const struct error *why) {
    path->connected = path->answered = path->refused = path->retried = false;
    path->doubt = (struct error){0};
    path->sends = 0;
    path->first_sent_at = NEVER;
    path->tried_at = now;
    path->beside_from = path_later(now, path->config->stagger_ms);
    path_set_deadline(path, now);
    struct path_step step = path_step_to(path, PATH_TRY);
    if (why)
        step.why = *why;
    return step;
}

struct path_step path_begin(struct path *path, uint64_t now, const struct path_target *target, size_t targets) {
    path->targets = targets < PATH_TARGETS_MAX ? targets : PATH_TARGETS_MAX;
    for (size_t i = 0; i < path->targets; i++)
        path->target[i] = target[i];
    path->began_at = now;
    path->rounds = 0;
    path->established = path->answered = path->moving = path->reconnecting = path->silent = false;
    path->last = (struct error){0};
    memset(path->last_over, 0, sizeof path->last_over);
    path->beside = false;
    path_order_first(path, now);
    if (path->targets > 0 && path->transports > 0)
        return path_try_this(path, now, NULL);
    struct path_step step = {.verb = PATH_GIVE_UP};
    path->deadline = NEVER;
    path_say_end(path, now, &step.why);
    return step;
}

static struct path_step give_up(struct path *path, uint64_t now) {
    struct path_step step = {.verb = PATH_GIVE_UP, .transport = path->transport};
    path_say_end(path, now, &step.why);
    path->deadline = NEVER;
    path->attempts++;
    return step;
}

/* The present try is over; path->last says why. */
static struct path_step move_on(struct path *path, uint64_t now) {
    path->last_over[path->transport] = path->last;
    path->failed |= path_way(path->nth, path->current);
    struct error why = path->last;
    if (now >= attempt_end(path))
        return give_up(path, now);
    if (path_order_next(path)) {
        path->answered = false;
        return path_try_this(path, now, &why);
    }
    if (!another_round(path) || !path->silent)
        return give_up(path, now);
    path->rounds++;
    path->current = 0;
    path->silent = false;
    return path_try_this(path, now, &why);
}

void path_sent(struct path *path, uint64_t now) {
    bool counts = !path->answered || path->transport == TRANSPORT_UDP;
    if (path->established)
        path_move_sent(path, now);
    if (path->established || !counts)
        return;
    path->sends++;
    if (path->first_sent_at == NEVER)
        path->first_sent_at = now;
    path_set_deadline(path, now);
}

void path_retried(struct path *path, uint64_t now) {
    if (path->answered || path->established)
        return;
    path->retried = path->transport != TRANSPORT_UDP;
    path->sends = 0;
    path->first_sent_at = NEVER;
    path_set_deadline(path, now);
}

void path_doubted(struct path *path, const struct error *why) {
    path->doubt = *why;
}

void path_connected(struct path *path, uint64_t now) {
    path->connected = true;
    if (path->established)
        path->deadline = path_later(now, path->config->connect_timeout_ms);
    else
        path_set_deadline(path, now);
}

void path_answered(struct path *path, uint64_t now) {
    path->answered = true;
    path->answer_ms = path_races(path) && path->first_sent_at != NEVER ? now - path->first_sent_at : 0;
    path->sends = 0; /* of IKE_AUTH from here on */
    path->first_sent_at = NEVER;
    path->begun = path->failed | path_way(path->nth, path->current); /* who has lost a race may be asked again */
    if (!path->established)
        path_set_deadline(path, now);
}

void path_established(struct path *path, uint64_t now) {
    path->established = true;
    path->reconnecting = false;
    path->attempts = 0;
    path->failures = 0;
    path->backoff_ms = 0;
    path->tried_at = now;
    path->deadline = NEVER;
    path_remember(path, now);
}

struct path_step path_failed(struct path *path, uint64_t now, const struct error *why) {
    if (path->established)
        return path->moving ? path_move_failed(path, now, why) : path_reconnect_failed(path, now, why);
    if (path->deadline == NEVER && path->targets == 0)
        return path_wait();
    path->last = *why;
    if (path->retried && !path->answered) {
        path->retried = false;
        struct path_step step = path_reconnect_now(path, now);
        path->deadline = sooner(path->deadline, path_beside_at(path)); /* others do not wait for that */
        return step;
    }
    bool next_is_udp = path_order_next_transport(path) == TRANSPORT_UDP;
    if (path->transport == TRANSPORT_UDP && !path->answered && !next_is_udp &&
        path->sends < path->config->sends_before_fallback) {
        path->refused = true;
        return path_wait();
    }
    return move_on(path, now);
}

struct path_step path_wake(struct path *path, uint64_t now) {
    if (now < path->deadline)
        return path_wait();
    if (path->established)
        return path->moving ? path_move_wake(path, now) : path_reconnect_wake(path, now);
    if (path_beside_at(path) <= now && now < attempt_end(path))
        return (struct path_step){.verb = PATH_BESIDE};
    if (!path->refused) {
        path_say_silence(path, now, &path->last);
        path->silent = true;
    }
    return move_on(path, now);
}

uint64_t path_deadline(const struct path *path) {
    return path->deadline;
}
