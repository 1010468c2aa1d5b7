/* race.c: a staggered attempt (C8, after RFC 8305): what is next begins while those before may still answer, and the first
 * that is answered goes on alone. UDP keeps what RFC 9329 gives it: IKE_SA_INIT was sent over it twice before the first
 * stream is opened (C1), which with ike/'s timers is half a second. */
#include "path/internal.h"

#include <string.h>

uint32_t path_way(size_t nth, size_t target) {
    return UINT32_C(1) << (nth * PATH_TARGETS_MAX + target);
}
_Static_assert(PATH_TRANSPORTS *PATH_TARGETS_MAX <= 32, "each way has a bit");

bool path_races(const struct path *path) {
    return path->config->staggered && !path->established;
}

bool path_race_is_lost(const struct path *path) {
    uint32_t own = path_way(path->nth, path->current);
    bool alone = !path->beside && !path_order_has_next(path) && (path->begun & ~path->failed & ~own) == 0;
    return alone && path->transports > 1;
}

uint64_t path_beside_at(const struct path *path) {
    enum transport next = path_order_next_transport(path);
    if (!path_races(path) || path->answered || next == TRANSPORT_NONE)
        return NEVER;
    bool udp_first = path->transport == TRANSPORT_UDP && next != TRANSPORT_UDP;
    return udp_first && path->sends < path->config->sends_before_fallback ? NEVER : path->beside_from;
}

struct path_step path_beside(struct path *path, uint64_t now, struct path *beside) {
    *beside = *path;
    beside->last = (struct error){0};
    memset(beside->last_over, 0, sizeof beside->last_over);
    if (!path_order_next(beside))
        return path_wait();
    path->begun = beside->begun;
    path->beside_from = path_later(now, path->config->stagger_ms);
    path_set_deadline(path, now);
    beside->beside = true;
    return path_try_this(beside, now, NULL);
}

struct path_step path_beside_failed(
    struct path *path, uint64_t now, const struct path *beside, const struct error *why) {
    path->failed |= path_way(beside->nth, beside->current);
    path->last_over[beside->transport] = *why;
    if (!path_races(path) || path->answered)
        return path_wait();
    path->beside_from = now;
    path_set_deadline(path, now);
    return path_beside_at(path) <= now ? (struct path_step){.verb = PATH_BESIDE} : path_wait();
}

void path_take(struct path *path, uint64_t now, const struct path *beside) {
    struct path before = *path;
    *path = *beside;
    path->beside = false;
    path->begun = before.begun;
    path->failed = before.failed;
    path->beside_from = before.beside_from;
    memcpy(path->last_over, before.last_over, sizeof path->last_over);
    path_set_deadline(path, now);
}
