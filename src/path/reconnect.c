/* reconnect.c: a lost stream is opened again with its SAs kept (L1): at once, then after a backoff that doubles up to its
 * bound, with jitter, so that a gateway's restart brings no storm. The SAs' own timeouts end it, never the path. */
#include "path/internal.h"

struct path_step path_reconnect_now(struct path *path, uint64_t now) {
    path->connected = false;
    path->tried_at = now;
    path->deadline = path_later(now, path->config->connect_timeout_ms);
    struct path_step step = path_step_to(path, PATH_RECONNECT);
    step.why = path->last;
    return step;
}

struct path_step path_back_off(struct path *path, uint64_t now) {
    uint64_t most = path->config->reconnect_most_ms;
    if (path->backoff_ms == 0)
        path->backoff_ms = path->config->reconnect_first_ms;
    uint64_t wait = path->backoff_ms < most ? path->backoff_ms : most;
    path->backoff_ms = wait > most / 2 ? most : wait * 2;
    path->connected = false;
    path->waiting = true;
    path->deadline = path_later(now, path_jitter(path, wait));
    return path_wait();
}

struct path_step path_lost(struct path *path, uint64_t now, const struct error *why) {
    if (!path->established)
        return path_failed(path, now, why);
    if (path->moving)
        return path_move_failed(path, now, why);
    if (path->transport == TRANSPORT_UDP)
        return path_wait();
    path->last = *why;
    if (path->reconnecting)
        return path_reconnect_failed(path, now, why);
    path->reconnecting = true;
    path->failures = 0;
    path->waiting = false;
    /* One that is cut as soon as it works must not be opened as fast as the network allows. */
    if (now - path->tried_at < path->config->reconnect_first_ms)
        return path_back_off(path, now);
    return path_reconnect_now(path, now);
}

struct path_step path_reconnect_failed(struct path *path, uint64_t now, const struct error *why) {
    if (!path->reconnecting || path->waiting)
        return path_wait();
    path->last = *why;
    path->failures++;
    return path_back_off(path, now);
}

struct path_step path_reconnect_wake(struct path *path, uint64_t now) {
    if (!path->reconnecting) {
        path->deadline = NEVER;
        return path_wait();
    }
    if (path->waiting) {
        path->waiting = false;
        return path_reconnect_now(path, now);
    }
    struct error why;
    path_say_silence(path, now, &why);
    return path_reconnect_failed(path, now, &why);
}

void path_recovered(struct path *path, uint64_t now) {
    (void)now;
    if (!path->reconnecting)
        return;
    path->reconnecting = path->waiting = false;
    path->reconnects++;
    path->failures = 0;
    path->backoff_ms = 0;
    path->deadline = NEVER;
}

void path_kept(struct path *path) {
    if (!path->reconnecting)
        return;
    path->reconnecting = path->waiting = false;
    path->failures = 0;
    path->backoff_ms = 0;
    path->deadline = NEVER;
}

void path_from(struct path *path, const struct address *local, uint64_t network) {
    path->target[path->current].local = *local;
    path->network = network;
}

void path_to(struct path *path, const struct path_target *target) {
    path->target[path->current] = *target;
}

struct path_step path_hurry(struct path *path, uint64_t now) {
    if (!path->reconnecting || !path->waiting)
        return path_wait();
    path->waiting = false;
    path->backoff_ms = 0;
    return path_reconnect_now(path, now);
}
