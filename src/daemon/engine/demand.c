/* demand.c: routes that lead first packets of auto=ondemand connections to us while nothing is up. They give way to the
 * peer's own routes and come back when those go. */
#include "daemon/engine/internal.h"

#include <stdlib.h>
#include <string.h>

#define DEMAND_OWNER UINT32_C(0x80000000) /* plus the connection's number; peers count from 1 */

static void on_set(void *context, const struct monitor_answer *answer) {
    (void)context;
    if (answer->error.origin != ORIGIN_NONE)
        log_error("on-demand routes: %s", answer->error.text);
}

/* Selectors whose address is not known yet can't be routed. */
static void add_known(const struct selector_list *from, struct selector_list *to) {
    for (size_t i = 0; i < from->count && to->count < SELECTORS_MAX; i++)
        if (from->selector[i].first.family != 0)
            to->selector[to->count++] = from->selector[i];
}

static void set(struct engine *engine, size_t number) {
    const struct peer_config *connection = &engine->connection[number];
    struct peer_host_setup setup = {
        .source_ip = connection->source_ip, .mtu = connection->mtu, .device = connection->device};
    struct error error;
    for (size_t i = 0; i < connection->ike.children; i++) {
        const struct ike_child_config *child = &connection->ike.child[i];
        setup.host_to_host = setup.host_to_host || child->transport;
        add_known(&child->remote, &setup.remote);
        add_known(&child->local, &setup.local);
    }
    if (!address_parse(connection->remote_host, &setup.outer_remote, &error))
        setup.outer_remote = (struct address){0}; /* a name: not known before it is asked for */
    struct host_route_set routes;
    if (!route_set_of(DEMAND_OWNER + (uint32_t)number, &setup, device_mtu(engine, connection->device), &routes, &error))
        log_error("%s: %s", connection->name, error.text);
    monitor_routes_set(engine->monitor, &routes, on_set, engine);
}

static bool wants(const struct peer_config *connection) {
    return connection->start == PEER_START_ONDEMAND && connection->may_initiate;
}

static bool has_routes(const struct engine *engine, const char *name) {
    struct peer_status status;
    struct peers_cursor cursor = {0};
    while (peers_status_next(engine->peers, &cursor, &status))
        if (strcmp(status.name, name) == 0 &&
            (status.state == PEER_STATE_UP || status.state == PEER_STATE_RECONNECTING))
            return true;
    return false;
}

/* What lies behind a connection, at most HOST_PREFIXES_MAX prefixes of it. */
static size_t remote_prefixes(const struct peer_config *connection, struct worker_demand *out) {
    struct prefix list[HOST_PREFIXES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < connection->ike.children; i++) {
        const struct selector_list *remote = &connection->ike.child[i].remote;
        for (size_t j = 0; j < remote->count && count < HOST_PREFIXES_MAX; j++)
            count += range_prefixes(
                &remote->selector[j].first, &remote->selector[j].last, list + count, HOST_PREFIXES_MAX - count);
    }
    if (count > HOST_PREFIXES_MAX) /* more would be needed, no more were written */
        count = HOST_PREFIXES_MAX;
    for (size_t i = 0; i < count; i++)
        out[i] = (struct worker_demand){.to = list[i], .device = connection->device};
    return count;
}

/* The worker reports packets to these, instead of answering that nobody takes them. */
static void tell_worker(struct engine *engine) {
    size_t demanded = 0, count = 0;
    for (size_t i = 0; i < engine->connections; i++)
        demanded += wants(&engine->connection[i]);
    struct worker_demand *list = calloc(demanded * HOST_PREFIXES_MAX + 1, sizeof *list);
    if (list == NULL)
        return;
    for (size_t i = 0; i < engine->connections; i++)
        if (wants(&engine->connection[i]))
            count += remote_prefixes(&engine->connection[i], list + count);
    struct worker_command command = {
        .kind = WORKER_DEMAND, .fd = -1, .octets = (uint8_t *)list, .length = count * sizeof *list};
    outbox_post(engine, &command);
}

void demand_clear(struct engine *engine) {
    for (size_t i = 0; i < engine->connections; i++)
        if (wants(&engine->connection[i]))
            monitor_routes_drop(engine->monitor, DEMAND_OWNER + (uint32_t)i);
}

void demand_set(struct engine *engine) {
    tell_worker(engine);
    for (size_t i = 0; i < engine->connections; i++)
        if (wants(&engine->connection[i]) && !has_routes(engine, engine->connection[i].name))
            set(engine, i);
}

void demand_yield(struct engine *engine, const char *name) {
    const struct peer_config *connection = engine_connection(engine, name);
    if (connection != NULL && wants(connection))
        monitor_routes_drop(engine->monitor, DEMAND_OWNER + (uint32_t)(connection - engine->connection));
}

void demand_return(struct engine *engine, const char *name) {
    const struct peer_config *connection = engine->stopping ? NULL : engine_connection(engine, name);
    if (connection != NULL && wants(connection))
        set(engine, (size_t)(connection - engine->connection));
}
