/* listen.c: which sockets the configuration wants: UDP 500 and 4500 and every port of TCP and TLS, in both families. What is
 * open and still wanted stays; UDP sockets are the worker's and are replaced all together. */
#include "daemon/engine/internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct opening {
    struct engine *engine;
    uint32_t round;
    struct listening wanted;
};

static void want(struct listeners *listeners, const struct listening *kind, uint8_t family, const struct config *config,
    uint16_t port) {
    struct listening one = *kind;
    one.address = config->listen;
    if (one.address.family == 0)
        one.address.family = family;
    else if (one.address.family != family)
        return;
    one.address.port = port;
    if (one.transport == TRANSPORT_TCP)
        memcpy(one.congestion, config->listen_tcp_congestion, sizeof one.congestion);
    for (size_t i = 0; i < listeners->wanteds; i++) { /* one socket for TCP and TLS */
        struct listening *other = &listeners->wanted[i];
        if (other->transport != one.transport || !address_equal(&other->address, &one.address))
            continue;
        other->plain |= one.plain;
        other->tls |= one.tls;
        return;
    }
    if (listeners->wanteds < LISTENING_MAX)
        listeners->wanted[listeners->wanteds++] = one;
}

static void want_all(struct listeners *listeners, const struct config *config) {
    static const struct listening udp = {.transport = TRANSPORT_UDP},
                                  plain = {.transport = TRANSPORT_TCP, .plain = true},
                                  tls = {.transport = TRANSPORT_TCP, .tls = true};
    listeners->wanteds = 0;
    bool has_ipv6 = access("/proc/net/if_inet6", F_OK) == 0;
    const uint8_t last = has_ipv6 ? 6 : 4;
    for (uint8_t family = 4; family <= last; family += 2) {
        if (config->listen_udp) {
            want(listeners, &udp, family, config, config->udp_port);
            want(listeners, &udp, family, config, config->udp_nat_port);
        }
        for (size_t i = 0; i < config->listen_tcps; i++)
            want(listeners, &plain, family, config, config->listen_tcp[i]);
        for (size_t i = 0; i < config->listen_tlss; i++)
            want(listeners, &tls, family, config, config->listen_tls[i]);
    }
}

static bool same(const struct listening *a, const struct listening *b) {
    return a->transport == b->transport && address_equal(&a->address, &b->address) &&
           strcmp(a->congestion, b->congestion) == 0;
}

static const struct listening *among(const struct listening *one, const struct listening *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (same(one, &list[i]))
            return &list[i];
    return NULL;
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
        const struct listening *wanted = among(one, listeners->wanted, listeners->wanteds);
        if (udp ? !replace_udp : wanted != NULL) {
            if (!udp) {
                one->plain = wanted->plain;
                one->tls = wanted->tls;
            }
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

static void serve(const struct engine *engine, const struct listening *one) {
    struct listener_services services = {
        .plain = one->plain, .tls = one->tls ? engine->services.tls : NULL, .web = engine->services.web};
    tcp_listener_serve(one->tcp, &services);
}

void listeners_serve(struct engine *engine) {
    for (size_t i = 0; i < engine->listeners.count; i++)
        if (engine->listeners.list[i].tcp != NULL)
            serve(engine, &engine->listeners.list[i]);
}

static void on_trouble(void *context, const struct error *why) {
    (void)context;
    log_warning("%s", why->text);
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
        tcp_listener_on_trouble(one.tcp, on_trouble);
        serve(engine, &one);
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
    struct error error = {0};
    listeners->done = done;
    listeners->asked = 0;
    want_all(listeners, config);
    bool replace_udp = udp_changed(listeners);
    if (!services_apply(engine, config, &error)) {
        finish(engine, &error);
        return;
    }
    close_unwanted(engine, replace_udp);
    listeners_serve(engine);
    for (size_t i = 0; i < listeners->wanteds; i++) {
        const struct listening *wanted = &listeners->wanted[i];
        if (among(wanted, listeners->list, listeners->count))
            continue;
        struct opening *opening = malloc(sizeof *opening);
        if (opening == NULL) {
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
        finish(engine, &error);
}

void listeners_free(struct engine *engine) {
    struct listeners *listeners = &engine->listeners;
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->list[i].tcp != NULL)
            tcp_listener_free(listeners->list[i].tcp);
    listeners->count = 0;
    listeners->done = NULL;
}
