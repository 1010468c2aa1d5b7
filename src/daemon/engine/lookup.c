/* lookup.c: a name becomes addresses, by evdns (A and AAAA), or is one already. resolv.conf and hosts are read anew each
 * time, since a laptop's change. */
#include "daemon/engine/internal.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

struct lookup {
    char host[256];
    struct evdns_base *dns;
    struct evdns_getaddrinfo_request *request;
    struct event *later; /* says it from the event loop */
    struct address found[LOOKUP_MAX];
    size_t count;
    struct error error;
    lookup_done done;
    void *context;
};

void lookup_cancel(struct lookup *lookup) {
    if (lookup == NULL)
        return;
    if (lookup->request != NULL)
        evdns_getaddrinfo_cancel(lookup->request);
    if (lookup->dns != NULL)
        evdns_base_free(lookup->dns, 0);
    if (lookup->later != NULL)
        event_free(lookup->later);
    free(lookup);
}

static void on_later(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct lookup *lookup = context;
    struct lookup said = *lookup;
    lookup->request = NULL;
    lookup_cancel(lookup);
    said.done(said.context, said.found, said.count, &said.error);
}

static void go_on(struct lookup *lookup) {
    struct timeval at_once = {0};
    evtimer_add(lookup->later, &at_once);
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
    if (code == EVUTIL_EAI_CANCEL)
        return; /* the lookup is gone */
    struct lookup *lookup = context;
    lookup->request = NULL;
    for (struct evutil_addrinfo *at = list; at != NULL && lookup->count < LOOKUP_MAX; at = at->ai_next) {
        struct sockaddr_storage storage = {0};
        if (at->ai_addrlen > sizeof storage)
            continue;
        memcpy(&storage, at->ai_addr, at->ai_addrlen);
        struct address *found = &lookup->found[lookup->count];
        address_from_sockaddr(&storage, found);
        found->port = 0;
        if (found->family != 0)
            lookup->count++;
    }
    if (list != NULL)
        evutil_freeaddrinfo(list);
    if (lookup->count == 0)
        fail(&lookup->error, HOST, 0, "the name %s could not be resolved: %s", lookup->host, reason(code));
    go_on(lookup);
}

static void ask(struct lookup *lookup, struct event_base *base, uint8_t family) {
    lookup->dns = evdns_base_new(base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (lookup->dns == NULL) {
        fail(&lookup->error, OURS, 0, "memory is short");
        go_on(lookup);
        return;
    }
    /* A file that is missing leaves 127.0.0.1 and no hosts, as libc has it. */
    (void)evdns_base_resolv_conf_parse(lookup->dns, DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE, "/etc/resolv.conf");
    (void)evdns_base_load_hosts(lookup->dns, "/etc/hosts");
    struct evutil_addrinfo hints = {
        .ai_family = family == 4   ? AF_INET
                     : family == 6 ? AF_INET6
                                   : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
    };
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(lookup->dns, lookup->host, NULL, &hints, on_names, lookup);
    if (!evtimer_pending(lookup->later, NULL)) /* else it was answered in there */
        lookup->request = request;
}

struct lookup *lookup_begin(struct engine *engine, const char *host, uint8_t family, lookup_done done, void *context) {
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct event *later = lookup == NULL ? NULL : evtimer_new(engine->base, on_later, lookup);
    if (later == NULL) {
        free(lookup);
        return NULL;
    }
    *lookup = (struct lookup){.later = later, .done = done, .context = context};
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    struct error not_numeric;
    if (address_parse(host, &lookup->found[0], &not_numeric)) {
        lookup->count = 1;
        go_on(lookup);
    } else {
        ask(lookup, engine->base, family);
    }
    return lookup;
}
