/* monitor_host.c: requests about sockets, the TUN device, routes and addresses: asks the configuration whether the engine
 * may (monitor_permits.c), then host/. */
#include <string.h>

#include "daemon/monitor_internal.h"

/* A warning that the host has about what was just done. */
static void log_warnings(const struct monitor *m) {
    const char *warning = host_warning(m->host);
    if (warning[0] != 0)
        log_warning("%s", warning);
}

void monitor_serve_socket(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    const char *congestion;
    struct error error;
    if (!monitor_may_open_socket(m->config, q->socket, &q->address, &a->error) ||
        !monitor_congestion_of(m->config, q, &congestion, &a->error))
        return;
    if (!host_socket(m->host, q->socket, &q->address, &a->fd, &a->error))
        a->fd = -1;
    else if (congestion != NULL && !host_socket_congestion(a->fd, congestion, &error))
        log_warning("%s; the host's default is used", error.text); /* a slower tunnel is better than none */
}

static bool is_ours(void *host, const struct address *address) {
    return host_has_address(host, address);
}

/* Which side is us the engine finds out for itself, at its own time. */
static bool our_interface_ip(
    struct monitor *m, struct config_connection *c, struct host_device *device, struct error *err) {
    int before = c->us;
    bool known = c->us >= 0 || config_orient(c, is_ours, m->host, err);
    device->address = config_us(c)->interface_ip;
    device->address_bits = config_us(c)->interface_bits;
    c->us = before;
    return known;
}

static void serve_own_tun(
    struct monitor *m, struct config_connection *c, const struct monitor_request *q, struct monitor_answer *a) {
    struct host_device device = {.mtu = q->mtu,
        .table = c->route_table,
        .mark = c->mark_out.value,
        .mark_mask = c->mark_out.mask,
        .mark_in = c->mark_in.value,
        .mark_in_mask = c->mark_in.mask};
    memcpy(device.name, q->name, sizeof device.name);
    if (!our_interface_ip(m, c, &device, &a->error))
        return;
    if (!host_device_open(m->host, &device, &a->fd, &a->yes, &a->error)) {
        log_error("conn %s: %s", c->name, a->error.text);
        return;
    }
    memcpy(a->name, q->name, sizeof a->name);
    log_warnings(m);
    log_info("TUN device %s is up for conn %s, MTU %u%s", q->name, c->name, q->mtu, a->yes ? ", with offloads" : "");
}

void monitor_serve_tun_close(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    (void)a;
    if (host_device_close(m->host, q->name))
        log_info("TUN device %s is gone", q->name);
}

void monitor_serve_tun(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    struct config_connection *owner = monitor_device_owner(m->config, q->name);
    if (owner != NULL) {
        serve_own_tun(m, owner, q, a);
        return;
    }
    if (!monitor_may_open_tun(m, q->name, &a->error))
        return;
    if (!host_tun_open(
            m->host, q->name[0] != 0 ? q->name : m->config->tun_name, q->mtu, &a->fd, a->name, &a->yes, &a->error)) {
        a->fd = -1;
        return;
    }
    m->tuns++;
    log_warnings(m);
    log_info("TUN device %s is up, MTU %u%s", a->name, q->mtu, a->yes ? ", with offloads" : "");
}

void monitor_serve_routes_set(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    if (!monitor_may_route(m, &q->routes, &a->error) || !host_routes_set(m->host, &q->routes, &a->error)) {
        log_error("routes: %s", a->error.text);
        return;
    }
    log_warnings(m);
}

void monitor_serve_routes_drop(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    (void)a;
    host_routes_drop(m->host, q->owner);
}

void monitor_serve_esp_probe(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    (void)q;
    a->yes = host_esp_probe(m->host, &a->error);
}

void monitor_serve_esp_set(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    a->yes = monitor_may_set_esp(m, q->esp.connection, &q->esp.sa, &a->error) &&
             host_esp_set(m->host, &q->esp.sa, &a->error);
}

void monitor_serve_esp_read(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    if (!host_esp_read(m->host, q->spi_in, q->remove, &a->esp, &a->error))
        a->esp = (struct host_esp_state){0};
}

void monitor_serve_source(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    a->network = host_network(m->host);
    if (!host_source_for(m->host, &q->address, &a->address, &a->error))
        a->address = (struct address){0};
}

void monitor_serve_locals(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    (void)q;
    a->locals = host_addresses(m->host, a->local, PEERS_ADDRESSES_MAX);
}

void monitor_serve_addresses(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    a->network = host_network(m->host);
    if (!address_is_any(&q->address)) {
        a->yes = host_has_address(m->host, &q->address);
        return;
    }
    a->yes = host_default_route(m->host, q->address.family, &a->address, &a->address2, &a->error);
    if (!a->yes)
        a->address = a->address2 = (struct address){0};
}
