/* resolve.c: what a peer is called becomes addresses: evdns for names (A and AAAA), then the monitor says for each which
 * address of ours goes there; where none does, the address is left out. resolv.conf and hosts are read anew each time. */
#include "daemon/engine/internal.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#define RESOLUTIONS_MAX 64

struct resolution {
    LIST_ENTRY(resolution) next;
    struct engine *engine;
    peer_id peer;
    char host[256];
    struct address local; /* as configured; unspecified: any */
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request;
    struct event *later; /* goes on from the event loop */
    struct path_target target[PATH_TARGETS_MAX];
    size_t found, asked, targets; /* addresses found; asked about; with a way to them */
    struct error error;
};

static void resolution_end(struct resolution *resolution) {
    LIST_REMOVE(resolution, next);
    if (resolution->request != NULL)
        evdns_getaddrinfo_cancel(resolution->request);
    if (resolution->dns != NULL)
        evdns_base_free(resolution->dns, 0);
    if (resolution->later != NULL)
        event_free(resolution->later);
    free(resolution);
}

static void answer(struct resolution *resolution) {
    struct engine *engine = resolution->engine;
    struct path_target target[PATH_TARGETS_MAX];
    memcpy(target, resolution->target, sizeof target);
    size_t targets = resolution->targets;
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
    while (resolution->asked < resolution->found && resolution->local.family != 0 &&
           resolution->target[resolution->asked].remote.family != resolution->local.family)
        resolution->asked++;
    if (resolution->asked == resolution->found) {
        if (resolution->targets == 0 && resolution->error.origin == ORIGIN_NONE)
            fail(&resolution->error, CONFIG, 0, "%s has no IPv%d address, which our end of the connection is",
                resolution->host, resolution->local.family);
        answer(resolution);
        return;
    }
    monitor_source(resolution->engine->monitor, &resolution->target[resolution->asked].remote, on_source, resolution);
}

static void on_later(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct resolution *resolution = context;
    if (resolution->found == 0)
        answer(resolution);
    else
        ask_source(resolution);
}

static void go_on(struct resolution *resolution) {
    struct timeval at_once = {0};
    evtimer_add(resolution->later, &at_once);
}

static const char *reason(int code) {
    switch (code) {
    case 0:
    case EVUTIL_EAI_NODATA:
        return "it has no address";
    case EVUTIL_EAI_NONAME:
        return "there is no such name";
    case EVUTIL_EAI_AGAIN:
    case EVUTIL_EAI_FAIL:
        return "no name server of /etc/resolv.conf answers";
    default:
        return evutil_gai_strerror(code);
    }
}

/* May be called from inside evdns_getaddrinfo, so it only takes notes. */
static void on_names(int code, struct evutil_addrinfo *list, void *context) {
    struct resolution *resolution = context;
    resolution->request = NULL;
    if (code == EVUTIL_EAI_CANCEL)
        return;
    for (struct evutil_addrinfo *at = list; at != NULL && resolution->found < PATH_TARGETS_MAX; at = at->ai_next) {
        struct sockaddr_storage storage = {0};
        if (at->ai_addrlen > sizeof storage)
            continue;
        memcpy(&storage, at->ai_addr, at->ai_addrlen);
        struct path_target target = {.local = resolution->local};
        address_from_sockaddr(&storage, &target.remote);
        target.remote.port = 0;
        if (target.remote.family != 0)
            resolution->target[resolution->found++] = target;
    }
    if (list != NULL)
        evutil_freeaddrinfo(list);
    if (resolution->found == 0)
        fail(&resolution->error, HOST, 0, "the name %s could not be resolved: %s", resolution->host, reason(code));
    go_on(resolution);
}

static void look_up(struct resolution *resolution) {
    struct event_base *base = resolution->engine->base;
    resolution->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (resolution->dns == NULL) {
        fail(&resolution->error, OURS, 0, "memory is short");
        go_on(resolution);
        return;
    }
    /* A file that is missing leaves 127.0.0.1 and no hosts, as libc has it. */
    (void)evdns_base_resolv_conf_parse(resolution->dns, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, "/etc/resolv.conf");
    (void)evdns_base_load_hosts(resolution->dns, "/etc/hosts");
    struct evutil_addrinfo hints = {
        .ai_family = resolution->local.family == 4   ? AF_INET
                     : resolution->local.family == 6 ? AF_INET6
                                                     : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
    };
    resolution->request = evdns_getaddrinfo(resolution->dns, resolution->host, NULL, &hints, on_names, resolution);
}

void resolve_begin(struct engine *engine, const struct peer_action *action) {
    size_t count = 0;
    struct resolution *resolution;
    LIST_FOREACH(resolution, &engine->resolutions, next)
    count++;
    resolution = count < RESOLUTIONS_MAX ? calloc(1, sizeof *resolution) : NULL;
    struct event *later = resolution == NULL ? NULL : evtimer_new(engine->base, on_later, resolution);
    if (later == NULL) {
        free(resolution);
        log_error("too many names are being resolved: %s is not", action->host); /* the path gives up in time */
        return;
    }
    *resolution = (struct resolution){.engine = engine, .peer = action->peer, .later = later};
    snprintf(resolution->host, sizeof resolution->host, "%s", action->host);
    LIST_INSERT_HEAD(&engine->resolutions, resolution, next);
    const struct peer_config *config = engine_connection(engine, action->connection);
    if (config != NULL)
        resolution->local = config->local;

    struct error not_numeric;
    if (address_parse(action->host, &resolution->target[0].remote, &not_numeric)) {
        resolution->target[0].local = resolution->local;
        resolution->found = 1;
        go_on(resolution);
        return;
    }
    look_up(resolution);
}

void resolve_free(struct engine *engine) {
    struct resolution *resolution, *following;
    for (resolution = LIST_FIRST(&engine->resolutions); resolution != NULL; resolution = following) {
        following = LIST_NEXT(resolution, next);
        resolution_end(resolution);
    }
}
