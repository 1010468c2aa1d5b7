/* move.c: an established IKE SA looks for another way (MOBIKE, K8): after a change of network UDP first, then TCP, then TLS,
 * as configured; after UDP died (C7) UDP last. When nothing answers, all again after a backoff: the exchange's own
 * timeout ends it, never the path. */
#include "path/internal.h"

#define HURRY 3u /* where UDP did not pass the last time it gets so much less */

static uint64_t patience_with_stream(const struct path *path) {
    const struct path_config *config = path->config;
    return path_order_has_next(path) ? config->try_tls_after_ms : config->connect_timeout_ms;
}

static struct path_step try_way(struct path *path, uint64_t now, const struct error *why) {
    bool udp = path->transport == TRANSPORT_UDP;
    path->connected = path->waiting = false;
    path->sends = 0;
    path->first_sent_at = NEVER;
    path->tried_at = now;
    path->deadline = path_later(now, udp ? path->config->connect_timeout_ms : patience_with_stream(path));
    struct path_step step = path_step_to(path, PATH_MOVE);
    step.why = *why;
    return step;
}

struct path_step path_move(struct path *path, uint64_t now, const struct path_target *target, size_t targets,
    uint64_t network, bool udp_died) {
    path->targets = targets < PATH_TARGETS_MAX ? targets : PATH_TARGETS_MAX;
    for (size_t i = 0; i < path->targets; i++)
        path->target[i] = target[i];
    path->network = network;
    path->reconnecting = path->waiting = path->moving = false;
    path->backoff_ms = 0;
    path->failures = 0;
    path->last = (struct error){0};
    path->hurried = path_order_move(path, now, udp_died);
    if (path->targets == 0 || path->transports == 0)
        return path_wait();
    path->moving = true;
    return try_way(path, now, &path->last);
}

void path_move_sent(struct path *path, uint64_t now) {
    const struct path_config *config = path->config;
    if (!path->moving || path->waiting || path->transport != TRANSPORT_UDP)
        return;
    path->sends++;
    if (path->first_sent_at == NEVER)
        path->first_sent_at = now;
    if (!path_order_has_next(path) || path->sends < (path->hurried ? 1 : config->sends_before_fallback))
        return;
    uint64_t after = path->hurried ? config->fallback_after_ms / HURRY : config->fallback_after_ms;
    uint64_t due = path_later(path->first_sent_at, after);
    path->deadline = due > now ? due : now;
}

struct path_step path_move_failed(struct path *path, uint64_t now, const struct error *why) {
    if (path->waiting)
        return path_wait();
    path->last = *why;
    if (path_order_next(path))
        return try_way(path, now, why);
    return path_back_off(path, now);
}

struct path_step path_move_wake(struct path *path, uint64_t now) {
    if (path->waiting) {
        path->current = path->nth = 0;
        path->transport = path->order[0];
        return try_way(path, now, &path->last);
    }
    struct error why;
    path_say_silence(path, now, &why);
    return path_move_failed(path, now, &why);
}

void path_moved(struct path *path, uint64_t now, enum transport transport, const struct address *remote) {
    path->moving = path->waiting = path->reconnecting = false;
    path->backoff_ms = 0;
    path->failures = 0;
    path->transport = transport;
    path->tried_at = now;
    path->deadline = NEVER;
    for (size_t i = 0; i < path->targets; i++)
        if (address_same_host(&path->target[i].remote, remote)) {
            path->current = i;
            break;
        }
    path_remember(path, now);
}

bool path_has_streams(const struct path_config *config) {
    return config->tcp != PATH_NO || config->tls != PATH_NO;
}

bool path_better(const struct path *path, struct path_step *out) {
    bool udp_wanted = path->config->tcp != PATH_YES && path->config->tls != PATH_YES;
    const struct path_target *target = &path->target[path->current];
    if (!path->established || path->moving || path->reconnecting || path->transport == TRANSPORT_UDP || !udp_wanted ||
        path->targets == 0 || address_is_any(&target->remote))
        return false;
    *out = (struct path_step){
        .verb = PATH_MOVE, .transport = TRANSPORT_UDP, .local = target->local, .remote = target->remote};
    out->remote.port = path->config->udp_nat_port;
    return true;
}
