/* lookup.c: a name becomes addresses, by evdns (A and AAAA), or is one already. resolv.conf and hosts are read anew each
 * time, since a laptop's change. Name servers are asked past all tunnels (name_relay.c). */
#include "daemon/engine/internal.h"

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVERS_MAX 4
#define RESOLVED "/run/systemd/resolve/resolv.conf"
#define STUB_OF_RESOLVED 53 /* 127.0.0.53 */

struct lookup {
    char host[256];
    struct engine *engine;
    uint8_t family;
    struct name_relay *relay[SERVERS_MAX];
    size_t relays, ready; /* opened; that said how it went */
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
    for (size_t i = 0; i < lookup->relays; i++)
        name_relay_close(lookup->relay[i]);
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

static void ask(struct lookup *lookup) {
    struct evutil_addrinfo hints = {
        .ai_family = lookup->family == 4   ? AF_INET
                     : lookup->family == 6 ? AF_INET6
                                           : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
    };
    evdns_base_resume(lookup->dns);
    struct evdns_getaddrinfo_request *request =
        evdns_getaddrinfo(lookup->dns, lookup->host, NULL, &hints, on_names, lookup);
    if (!evtimer_pending(lookup->later, NULL)) /* else it was answered in there */
        lookup->request = request;
}

/* Where none can be asked there is still /etc/hosts. */
static void on_relay(void *context, const struct sockaddr *at, unsigned length, const struct error *error) {
    struct lookup *lookup = context;
    if (at == NULL)
        log_warning("%s", error->text);
    else
        (void)evdns_base_nameserver_sockaddr_add(lookup->dns, at, (ev_socklen_t)length, 0);
    if (++lookup->ready == lookup->relays)
        ask(lookup);
}

static bool server_at(struct evdns_base *dns, int n, struct address *server) {
    struct sockaddr_storage at = {0};
    if (evdns_base_get_nameserver_addr(dns, n, (struct sockaddr *)&at, sizeof at) <= 0)
        return false;
    address_from_sockaddr(&at, server);
    return server->family != 0;
}

/* systemd-resolved's stub asks on as any program does, into the tunnel; whom it asks, it writes down. */
static bool is_stub(const struct address *server) {
    const uint8_t stub[] = {127, 0, 0, STUB_OF_RESOLVED};
    return server->family == 4 && memcmp(server->octets, stub, sizeof stub) == 0;
}

static void read_files(struct evdns_base *dns) {
    const int settings = DNS_OPTIONS_ALL & ~DNS_OPTION_HOSTSFILE;
    struct address server;
    /* A file that is missing leaves 127.0.0.1 and no hosts, as libc has it. */
    (void)evdns_base_resolv_conf_parse(dns, settings, "/etc/resolv.conf");
    (void)evdns_base_load_hosts(dns, "/etc/hosts");
    if (evdns_base_count_nameservers(dns) != 1 || !server_at(dns, 0, &server) || !is_stub(&server) ||
        access(RESOLVED, R_OK) != 0)
        return;
    (void)evdns_base_clear_nameservers_and_suspend(dns);
    (void)evdns_base_resolv_conf_parse(dns, DNS_OPTION_NAMESERVERS, RESOLVED);
}

static bool open_relays(struct lookup *lookup) {
    struct address server;
    int servers = evdns_base_count_nameservers(lookup->dns);
    for (int i = 0; i < servers && lookup->relays < SERVERS_MAX; i++) {
        if (!server_at(lookup->dns, i, &server))
            continue;
        lookup->relay[lookup->relays] = name_relay_open(lookup->engine, &server, on_relay, lookup);
        lookup->relays += lookup->relay[lookup->relays] != NULL;
    }
    return evdns_base_clear_nameservers_and_suspend(lookup->dns) == 0 && lookup->relays > 0;
}

static void begin(struct lookup *lookup) {
    lookup->dns = evdns_base_new(lookup->engine->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (lookup->dns != NULL)
        read_files(lookup->dns);
    if (lookup->dns != NULL && open_relays(lookup))
        return; /* goes on in on_relay */
    fail(&lookup->error, HOST, 0, "the name %s could not be resolved: there is no name server", lookup->host);
    go_on(lookup);
}

struct lookup *lookup_begin(struct engine *engine, const char *host, uint8_t family, lookup_done done, void *context) {
    struct lookup *lookup = calloc(1, sizeof *lookup);
    struct event *later = lookup == NULL ? NULL : evtimer_new(engine->base, on_later, lookup);
    if (later == NULL) {
        free(lookup);
        return NULL;
    }
    *lookup = (struct lookup){.engine = engine, .family = family, .later = later, .done = done, .context = context};
    snprintf(lookup->host, sizeof lookup->host, "%s", host);
    struct error not_numeric;
    if (address_parse(host, &lookup->found[0], &not_numeric)) {
        lookup->count = 1;
        go_on(lookup);
    } else {
        begin(lookup);
    }
    return lookup;
}
