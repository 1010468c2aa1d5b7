/* order.c: in which order transports and targets are tried: every target over the first transport, then every target over
 * the next. UDP, TCP, TLS, as far as each is wanted (C1, C3, T4); what worked on this network last comes first (C4). Staggered, a
 * transport's first target does not wait for the last one of another (C8). */
#include "path/internal.h"

static bool same_network(const struct path_worked *worked, uint64_t network) {
    return worked->worked != TRANSPORT_NONE && (worked->network == network || worked->network == 0 || network == 0);
}

static struct path_worked *worked_here(struct path *path) {
    struct path_worked *found = NULL;
    for (size_t i = 0; i < PATH_NETWORKS_MAX; i++) {
        struct path_worked *one = &path->memory->at[i];
        if (same_network(one, path->network) && (found == NULL || one->since > found->since))
            found = one;
    }
    return found;
}

/* What carried the last IKE SA on this network, if it was no UDP and that is not too long ago. */
static enum transport remembered(struct path *path, uint64_t now) {
    struct path_worked *here = worked_here(path);
    if (here == NULL || here->worked == TRANSPORT_UDP)
        return TRANSPORT_NONE;
    if (now >= path_later(here->since, path->config->udp_again_after_ms))
        *here = (struct path_worked){0};
    return here->worked;
}

static struct path_worked *oldest(struct path_memory *memory) {
    struct path_worked *found = &memory->at[0];
    for (size_t i = 1; i < PATH_NETWORKS_MAX; i++)
        if (memory->at[i].since < found->since)
            found = &memory->at[i];
    return found;
}

void path_remember(struct path *path, uint64_t now) {
    struct path_worked *here = worked_here(path);
    if (path->transports < 2 || (here && here->worked == path->transport && here->network == path->network))
        return; /* `since` stays, so that UDP is tried again some time */
    if (here == NULL)
        here = oldest(path->memory);
    *here = (struct path_worked){.network = path->network, .worked = path->transport, .since = now};
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
    path->begun = path_way(0, 0);
    path->failed = 0;
    path->transport = path->transports > 0 ? path->order[0] : TRANSPORT_NONE;
}

bool path_order_move(struct path *path, uint64_t now, bool udp_died) {
    bool elsewhere = udp_died && path->targets > 1; /* perhaps it was that address alone */
    take_wanted(path);
    if (udp_died && !elsewhere && path->transports > 1 && path->order[0] == TRANSPORT_UDP) {
        for (size_t i = 0; i + 1 < path->transports; i++)
            path->order[i] = path->order[i + 1];
        path->order[path->transports - 1] = TRANSPORT_UDP;
    }
    path->nth = 0;
    path->current = elsewhere ? 1 : 0;
    path->transport = path->transports > 0 ? path->order[0] : TRANSPORT_NONE;
    return remembered(path, now) != TRANSPORT_NONE;
}

static bool next_in_order(const struct path *path, size_t *nth, size_t *target) {
    bool same = path->current + 1 < path->targets;
    *nth = same ? path->nth : path->nth + 1;
    *target = same ? path->current + 1 : 0;
    return same || *nth < path->transports;
}

/* By diagonals: the first transport's first target, its second one, the second transport's first, ... */
static bool next_in_race(const struct path *path, size_t *nth, size_t *target) {
    for (size_t sum = 0; !path->beside && sum + 1 < path->transports + path->targets; sum++)
        for (*nth = 0; *nth <= sum && *nth < path->transports; ++*nth) {
            *target = sum - *nth;
            if (*target < path->targets && !(path->begun & path_way(*nth, *target)))
                return true;
        }
    return false;
}

static bool next_way(const struct path *path, size_t *nth, size_t *target) {
    return path_races(path) ? next_in_race(path, nth, target) : next_in_order(path, nth, target);
}

bool path_order_has_next(const struct path *path) {
    return path_order_next_transport(path) != TRANSPORT_NONE;
}

enum transport path_order_next_transport(const struct path *path) {
    size_t nth, target;
    return next_way(path, &nth, &target) ? path->order[nth] : TRANSPORT_NONE;
}

bool path_order_next(struct path *path) {
    size_t nth, target;
    if (!next_way(path, &nth, &target))
        return false;
    path->nth = nth;
    path->current = target;
    path->transport = path->order[nth];
    path->begun |= path_way(nth, target);
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
