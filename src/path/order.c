/* order.c: in which order transports and targets are tried: every target over the first transport, then every target over
 * the next. UDP, TCP, TLS, as far as each is wanted (C1, C3, T4); what worked on this network last comes first (C4). */
#include "path/internal.h"

/* What carried the last IKE SA on this network, if it was no UDP and that is not too long ago. */
static enum transport remembered(struct path *path, uint64_t now) {
    struct path_memory *memory = path->memory;
    if (memory->worked != TRANSPORT_TCP && memory->worked != TRANSPORT_TLS)
        return TRANSPORT_NONE;
    bool stale = now >= path_later(memory->since, path->config->udp_again_after_ms);
    bool moved = memory->network != 0 && path->network != 0 && memory->network != path->network;
    if (stale || moved)
        *memory = (struct path_memory){0};
    return memory->worked;
}

/* Who knows no address of the peer has a proxy that does: nothing for UDP. */
static void take_wanted(struct path *path) {
    const struct path_config *config = path->config;
    bool knows_address = path->targets == 0 || !address_is_any(&path->target[0].remote);
    path->transports = 0;
    if (knows_address && config->tcp != PATH_YES && config->tls != PATH_YES)
        path->order[path->transports++] = TRANSPORT_UDP;
    if (config->tcp != PATH_NO && config->tls != PATH_YES)
        path->order[path->transports++] = TRANSPORT_TCP;
    if (config->tls != PATH_NO)
        path->order[path->transports++] = TRANSPORT_TLS;
}

/* The others keep their order behind it. */
static void put_first(struct path *path, enum transport transport) {
    size_t at = 0;
    while (at < path->transports && path->order[at] != transport)
        at++;
    if (at == path->transports)
        return;
    for (; at > 0; at--)
        path->order[at] = path->order[at - 1];
    path->order[0] = transport;
}

void path_order_first(struct path *path, uint64_t now) {
    take_wanted(path);
    if (path->transports > 1)
        put_first(path, remembered(path, now));
    path->current = path->nth = 0;
    path->transport = path->transports > 0 ? path->order[0] : TRANSPORT_NONE;
}

bool path_order_move(struct path *path, uint64_t now, bool udp_died) {
    take_wanted(path);
    if (udp_died && path->transports > 1 && path->order[0] == TRANSPORT_UDP) {
        for (size_t i = 0; i + 1 < path->transports; i++)
            path->order[i] = path->order[i + 1];
        path->order[path->transports - 1] = TRANSPORT_UDP;
    }
    path->current = path->nth = 0;
    path->transport = path->transports > 0 ? path->order[0] : TRANSPORT_NONE;
    return remembered(path, now) != TRANSPORT_NONE;
}

bool path_order_has_next(const struct path *path) {
    return path->current + 1 < path->targets || path->nth + 1 < path->transports;
}

bool path_order_next(struct path *path) {
    if (!path_order_has_next(path))
        return false;
    if (path->current + 1 < path->targets) {
        path->current++;
        return true;
    }
    path->current = 0;
    path->transport = path->order[++path->nth];
    return true;
}

uint16_t path_port(const struct path *path) {
    switch (path->transport) {
    case TRANSPORT_TCP:
        return path->config->tcp_port;
    case TRANSPORT_TLS:
        return path->config->tls_port;
    case TRANSPORT_UDP:
    case TRANSPORT_NONE:
        break;
    }
    return path->established ? path->config->udp_nat_port : path->config->udp_port;
}
