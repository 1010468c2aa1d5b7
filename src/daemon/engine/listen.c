/* listen.c: which sockets the configuration wants: UDP 500 and 4500 and every TCP port, in both families. What is open and
 * still wanted stays; UDP sockets are the worker's and are replaced all together. */
#include "daemon/engine/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct opening {
    struct engine *engine;
    uint32_t round;
    struct listening wanted;
};

static void want(
    struct listeners *listeners, enum transport transport, uint8_t family, const struct config *config, uint16_t port) {
    if (listeners->wanteds == LISTENING_MAX)
        return;
    struct address address = config->listen;
    if (address.family == 0)
        address.family = family;
    else if (address.family != family)
        return;
    address.port = port;
    listeners->wanted[listeners->wanteds++] = (struct listening){.transport = transport, .address = address};
}

static void want_all(struct listeners *listeners, const struct config *config) {
    listeners->wanteds = 0;
    bool has_ipv6 = access("/proc/net/if_inet6", F_OK) == 0;
    for (uint8_t family = 4; family == 4 || (family == 6 && has_ipv6); family += 2) {
        if (config->listen_udp) {
            want(listeners, TRANSPORT_UDP, family, config, config->udp_port);
            want(listeners, TRANSPORT_UDP, family, config, config->udp_nat_port);
        }
        for (size_t i = 0; i < config->listen_tcps; i++)
            want(listeners, TRANSPORT_TCP, family, config, config->listen_tcp[i]);
    }
}

static bool same(const struct listening *a, const struct listening *b) {
    return a->transport == b->transport && address_equal(&a->address, &b->address);
}

static bool among(const struct listening *one, const struct listening *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (same(one, &list[i]))
            return true;
    return false;
}

static bool udp_changed(const struct listeners *listeners) {
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->list[i].transport == TRANSPORT_UDP &&
            !among(&listeners->list[i], listeners->wanted, listeners->wanteds))
            return true;
    for (size_t i = 0; i < listeners->wanteds; i++)
        if (listeners->wanted[i].transport == TRANSPORT_UDP &&
            !among(&listeners->wanted[i], listeners->list, listeners->count))
            return true;
    return false;
}

static void close_unwanted(struct engine *engine, bool replace_udp) {
    struct listeners *listeners = &engine->listeners;
    size_t kept = 0;
    bool closed_udp = false;
    for (size_t i = 0; i < listeners->count; i++) {
        struct listening *one = &listeners->list[i];
        bool udp = one->transport == TRANSPORT_UDP;
        if (udp ? !replace_udp : among(one, listeners->wanted, listeners->wanteds)) {
            listeners->list[kept++] = *one;
            continue;
        }
        closed_udp |= udp;
        if (!udp)
            tcp_listener_free(one->tcp);
    }
    listeners->count = kept;
    if (closed_udp) {
        struct worker_command command = {.kind = WORKER_UDP_CLEAR, .fd = -1};
        outbox_post(engine, &command);
    }
}

static void finish(struct engine *engine, const struct error *error) {
    listen_done done = engine->listeners.done;
    engine->listeners.done = NULL;
    engine->listeners.round++;
    if (done != NULL)
        done(engine, error);
}

static bool opened(struct engine *engine, const struct listening *wanted, int fd, struct error *err) {
    struct listening one = *wanted;
    if (one.transport == TRANSPORT_UDP) {
        struct worker_command command = {.kind = WORKER_UDP_ADD, .fd = fd, .port = one.address.port};
        outbox_post(engine, &command);
    } else {
        struct accept_limits limits;
        accept_limits_defaults(&limits);
        one.tcp = tcp_listener_new(engine->base, fd, &limits, streams_accept, engine, err);
        if (one.tcp == NULL)
            return false;
    }
    engine->listeners.list[engine->listeners.count++] = one;
    return true;
}

static void on_socket(void *context, const struct monitor_answer *answer) {
    struct opening *opening = context;
    struct engine *engine = opening->engine;
    struct listening wanted = opening->wanted;
    bool outdated = opening->round != engine->listeners.round;
    free(opening);
    if (outdated) { /* an earlier one failed, and all with it */
        if (answer->fd >= 0)
            close(answer->fd);
        return;
    }
    engine->listeners.asked--;
    struct error error = answer->error;
    if (error.origin == ORIGIN_NONE && opened(engine, &wanted, answer->fd, &error))
        error = (struct error){0};
    if (error.origin != ORIGIN_NONE || engine->listeners.asked == 0)
        finish(engine, &error);
}

void listeners_apply(struct engine *engine, const struct config *config, listen_done done) {
    struct listeners *listeners = &engine->listeners;
    want_all(listeners, config);
    bool replace_udp = udp_changed(listeners);
    close_unwanted(engine, replace_udp);
    listeners->done = done;
    listeners->asked = 0;
    for (size_t i = 0; i < listeners->wanteds; i++) {
        const struct listening *wanted = &listeners->wanted[i];
        if (among(wanted, listeners->list, listeners->count))
            continue;
        struct opening *opening = malloc(sizeof *opening);
        if (opening == NULL) {
            struct error error;
            fail(&error, OURS, 0, "memory is short");
            finish(engine, &error);
            return;
        }
        *opening = (struct opening){.engine = engine, .round = listeners->round, .wanted = *wanted};
        listeners->asked++;
        monitor_socket(engine->monitor, wanted->transport == TRANSPORT_UDP ? HOST_UDP : HOST_TCP_LISTEN,
            &wanted->address, on_socket, opening);
    }
    if (listeners->asked == 0)
        finish(engine, &(struct error){0});
}

void listeners_free(struct engine *engine) {
    struct listeners *listeners = &engine->listeners;
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->list[i].tcp != NULL)
            tcp_listener_free(listeners->list[i].tcp);
    listeners->count = 0;
    listeners->done = NULL;
}
