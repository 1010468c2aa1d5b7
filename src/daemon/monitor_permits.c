/* monitor_permits.c: what the configuration lets the engine have: ports, devices by name, prefixes. Refusals are
 * sentences, not the engine's end, since a reload may cross a request that was right when it was sent. */
#include <string.h>

#include "daemon/monitor_internal.h"

/* Workers to come share it, a queue each. Who holds its descriptor can make it outlive that; the one that host/ knows is taken back. */
#define TUNS_MAX 1

bool monitor_may_open_socket(
    const struct config *config, enum host_socket_kind kind, const struct address *local, struct error *err) {
    uint16_t port = local->port;
    if (port == 0)
        return kind != HOST_TCP_LISTEN || fail(err, OURS, 0, "a listener needs a port");
    if (kind == HOST_UDP && config->listen_udp && (port == config->udp_port || port == config->udp_nat_port))
        return true;
    for (size_t i = 0; kind == HOST_TCP_LISTEN && i < config->listen_tcps; i++)
        if (port == config->listen_tcp[i])
            return true;
    for (size_t i = 0; kind == HOST_TCP_LISTEN && i < config->listen_tlss; i++)
        if (port == config->listen_tls[i])
            return true;
    return fail(err, CONFIG, 0, "the configuration does not listen on %s port %u", kind == HOST_UDP ? "UDP" : "TCP",
        (unsigned)port);
}

bool monitor_congestion_of(
    const struct config *config, const struct monitor_request *q, const char **name, struct error *err) {
    *name = NULL;
    if (q->socket == HOST_TCP_LISTEN && config->listen_tcp_congestion[0] != 0)
        *name = config->listen_tcp_congestion;
    if (q->socket != HOST_TCP || q->connection[0] == 0)
        return true;
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_connection *c = &config->connection[i];
        if (strcmp(c->name, q->connection) != 0)
            continue;
        *name = c->tcp_congestion[0] != 0 ? c->tcp_congestion : NULL;
        return true;
    }
    return fail(err, CONFIG, 0, "there is no conn '%s'", q->connection);
}

bool monitor_may_open_tun(const struct monitor *m, const char *name, struct error *err) {
    if (m->tuns >= TUNS_MAX)
        return fail(err, OURS, 0, "the engine has its TUN device already");
    if (name[0] != 0 && strcmp(name, m->config->tun_name) != 0)
        return fail(err, CONFIG, 0, "the configuration's TUN device is '%s', not '%s'", m->config->tun_name, name);
    return true;
}

struct config_connection *monitor_device_owner(const struct config *config, const char *name) {
    char text[CONFIG_DEVICE_NAME_MAX];
    for (size_t i = 0; i < config->connections; i++)
        if (config->connection[i].device != 0 &&
            strcmp(config_device_name(config->connection[i].device, text), name) == 0)
            return &config->connection[i];
    return NULL;
}

static bool inside(const struct prefix *inner, const struct prefix *outer) {
    return inner->address.family == outer->address.family && inner->length >= outer->length &&
           prefix_contains(outer, &inner->address);
}

static bool end_allows(const struct config_end *end, const struct prefix *wanted) {
    for (size_t i = 0; i < end->subnets; i++)
        if (inside(wanted, &end->subnet[i]))
            return true;
    if (end->source_ip_set && address_same_host(&end->source_ip, &wanted->address) &&
        wanted->length == 8 * address_octets(&wanted->address))
        return true;
    if (end->subnets > 0 || wanted->length < 8 * address_octets(&wanted->address))
        return false;
    /* No subnet: the end's own address, which only the file's numbers pin down. */
    return end->kind != HOST_ADDRESS || address_same_host(&end->address, &wanted->address);
}

/* `device`: 0 is the common one. */
static bool config_allows(const struct config *config, uint32_t device, const struct prefix *wanted) {
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_connection *c = &config->connection[i];
        if (c->device != device)
            continue;
        if ((c->us != 0 && end_allows(&c->left, wanted)) || (c->us != 1 && end_allows(&c->right, wanted)))
            return true;
    }
    return false;
}

/* A selector that is one network, inside one of the end's. */
static bool selector_inside(const struct config_end *end, const struct selector *selector) {
    struct prefix network;
    return range_prefixes(&selector->first, &selector->last, &network, 1) == 1 && end_allows(end, &network);
}

bool monitor_may_set_esp(
    const struct monitor *m, const char *connection, const struct host_esp *esp, struct error *err) {
    const struct config *config = m->config;
    const struct selector *ours = &esp->inner_local, *theirs = &esp->inner_remote;
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_connection *c = &config->connection[i];
        if (strcmp(c->name, connection) != 0)
            continue;
        if (!c->kernel_esp)
            return fail(err, CONFIG, 0, "%s has no kernel-esp=yes", connection);
        if (c->device != 0)
            return fail(err, CONFIG, 0, "%s has a device of its own", connection);
        if ((c->us != 1 && selector_inside(&c->left, ours) && selector_inside(&c->right, theirs)) ||
            (c->us != 0 && selector_inside(&c->right, ours) && selector_inside(&c->left, theirs)))
            return true;
        return fail(err, CONFIG, 0, "%s has no network like that of this Child SA", connection);
    }
    return fail(err, CONFIG, 0, "there is no connection '%s'", connection);
}

static bool is_source_ip(const struct config *config, const struct address *source) {
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_end *ends[] = {&config->connection[i].left, &config->connection[i].right};
        for (size_t j = 0; j < 2; j++)
            if (ends[j]->source_ip_set && address_same_host(&ends[j]->source_ip, source))
                return true;
    }
    return false;
}

bool monitor_may_route(const struct monitor *m, const struct host_route_set *set, struct error *err) {
    char text[ADDRESS_TEXT_MAX];
    const struct address *sources[] = {&set->source, &set->source6};
    const struct config_connection *owner = set->device[0] != 0 ? monitor_device_owner(m->config, set->device) : NULL;
    if (set->device[0] != 0 && owner == NULL)
        return fail(err, CONFIG, 0, "no connection has the device %s", set->device);
    for (size_t i = 0; i < set->remotes; i++)
        if (!config_allows(m->config, owner != NULL ? owner->device : 0, &set->remote[i]))
            return fail(
                err, CONFIG, 0, "no connection has %s behind its remote end", prefix_text(&set->remote[i], text));
    for (size_t i = 0; i < 2; i++)
        if (!address_is_any(sources[i]) && !is_source_ip(m->config, sources[i]) &&
            !host_has_address(m->host, sources[i]))
            return fail(err, CONFIG, 0, "%s is no connection's source address", address_text(sources[i], text));
    return true;
}
