/* resolve.c: what a peer is called becomes addresses (lookup.c), then the monitor says for each which address of ours goes
 * there; where none does, the address is left out. Behind a proxy nobody here needs to know any. */
#include "daemon/engine/internal.h"

#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 64 /* that are looked up at once, each over sockets of its own; an address needs none */

struct resolution {
    LIST_ENTRY(resolution) next;
    struct engine *engine;
    peer_id peer;
    char host[256];
    struct address local; /* as configured; unspecified: any */
    uint8_t family; /* of ours; 0: any */
    struct lookup *lookup; /* NULL: done */
    bool is_name;
    bool by_proxy; /* without an address there is still its proxy */
    struct path_target target[PATH_TARGETS_MAX];
    size_t found, asked, targets; /* addresses found; asked about; with a way to them */
    struct error error;
};

static void resolution_end(struct resolution *resolution) {
    LIST_REMOVE(resolution, next);
    lookup_cancel(resolution->lookup);
    free(resolution);
}

static void answer(struct resolution *resolution) {
    struct engine *engine = resolution->engine;
    struct path_target target[PATH_TARGETS_MAX];
    memcpy(target, resolution->target, sizeof target);
    size_t targets = resolution->targets;
    if (targets == 0 && resolution->by_proxy) /* no address of theirs: streams alone, and the proxy knows */
        target[targets++] = (struct path_target){.remote = {.family = 4}};
    struct error error = resolution->error;
    peer_id peer = resolution->peer;
    resolution_end(resolution);
    engine_apply(
        engine, peers_resolved(engine->peers, engine_now(), peer, target, targets, targets == 0 ? &error : NULL));
}

static void ask_source(struct resolution *);

static void on_source(void *context, const struct monitor_answer *answered) {
    struct resolution *resolution = context;
    struct path_target target = resolution->target[resolution->asked++];
    if (answered->error.origin == ORIGIN_NONE) {
        if (resolution->local.family == 0)
            target.local = answered->address;
        target.local.port = 0;
        resolution->target[resolution->targets++] = target;
        if (answered->network != 0)
            peers_set_network(resolution->engine->peers, answered->network);
    } else {
        resolution->error = answered->error;
    }
    ask_source(resolution);
}

/* Never earlier in the list than what was asked: targets are kept in place as they turn out well. */
static void ask_source(struct resolution *resolution) {
    while (resolution->asked < resolution->found && resolution->family != 0 &&
           resolution->target[resolution->asked].remote.family != resolution->family)
        resolution->asked++;
    if (resolution->asked == resolution->found) {
        if (resolution->targets == 0 && resolution->error.origin == ORIGIN_NONE)
            fail(&resolution->error, CONFIG, 0, "%s has no IPv%d address, which our end of the connection is",
                resolution->host, resolution->family);
        answer(resolution);
        return;
    }
    monitor_source(resolution->engine->monitor, &resolution->target[resolution->asked].remote, on_source, resolution);
}

static void on_found(void *context, const struct address *list, size_t count, const struct error *error) {
    struct resolution *resolution = context;
    resolution->lookup = NULL;
    resolution->error = *error;
    for (size_t i = 0; i < count && i < PATH_TARGETS_MAX; i++)
        resolution->target[resolution->found++] = (struct path_target){.local = resolution->local, .remote = list[i]};
    if (resolution->found == 0)
        answer(resolution);
    else
        ask_source(resolution);
}

static bool is_name(const char *host) {
    struct address address;
    struct error ignored;
    return !address_parse(host, &address, &ignored);
}

void resolve_begin(struct engine *engine, const struct peer_action *action) {
    size_t names = 0;
    bool name = is_name(action->host);
    struct resolution *resolution;
    LIST_FOREACH(resolution, &engine->resolutions, next) {
        names += resolution->is_name;
    }
    resolution = !name || names < NAMES_MAX ? calloc(1, sizeof *resolution) : NULL;
    if (resolution == NULL) {
        log_error("too many names are being resolved: %s is not", action->host); /* the path gives up in time */
        return;
    }
    *resolution = (struct resolution){.engine = engine, .peer = action->peer, .is_name = name};
    snprintf(resolution->host, sizeof resolution->host, "%s", action->host);
    const struct peer_config *config = engine_connection(engine, action->connection);
    if (config != NULL && !config->local_may_change)
        resolution->local = config->local;
    resolution->family = config != NULL ? config->local.family : 0;
    resolution->by_proxy = proxy_knows_names(engine, action->connection);
    struct lookup *lookup =
        lookup_begin(engine, resolution->host, resolution->family, on_found, resolution); /* answers later */
    if (lookup == NULL) {
        log_error("memory is short: %s is not looked up", action->host);
        free(resolution);
        return;
    }
    resolution->lookup = lookup;
    LIST_INSERT_HEAD(&engine->resolutions, resolution, next);
}

void resolve_free(struct engine *engine) {
    struct resolution *resolution, *following;
    for (resolution = LIST_FIRST(&engine->resolutions); resolution != NULL; resolution = following) {
        following = LIST_NEXT(resolution, next);
        resolution_end(resolution);
    }
}
