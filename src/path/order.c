/* order.c: in which order transports and targets are tried: every target over the first transport, then every target over
 * the second. UDP comes first unless TCP is the only one or is remembered for this network (C1, C3, C4). */
#include "path/internal.h"

static bool remembers_tcp(struct path *path, uint64_t now) {
    struct path_memory *memory = path->memory;
    if (memory->worked != TRANSPORT_TCP && memory->worked != TRANSPORT_TLS)
        return false;
    bool stale = now >= path_later(memory->since, path->config->udp_again_after_ms);
    bool moved = memory->network != 0 && path->network != 0 && memory->network != path->network;
    if (stale || moved)
        *memory = (struct path_memory){0};
    return !stale && !moved;
}

void path_order_first(struct path *path, uint64_t now) {
    path->current = 0;
    path->tcp_first = path->config->tcp == PATH_YES || (path->config->tcp == PATH_FALLBACK && remembers_tcp(path, now));
    path->transport = path->tcp_first ? TRANSPORT_TCP : TRANSPORT_UDP;
}

static bool on_second_transport(const struct path *path) {
    return path->tcp_first == (path->transport == TRANSPORT_UDP);
}

bool path_order_has_next(const struct path *path) {
    if (path->current + 1 < path->targets)
        return true;
    return path->config->tcp == PATH_FALLBACK && !on_second_transport(path);
}

bool path_order_next(struct path *path) {
    if (!path_order_has_next(path))
        return false;
    if (path->current + 1 < path->targets) {
        path->current++;
        return true;
    }
    path->current = 0;
    path->transport = path->transport == TRANSPORT_UDP ? TRANSPORT_TCP : TRANSPORT_UDP;
    return true;
}
