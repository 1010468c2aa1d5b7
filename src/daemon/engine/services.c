/* services.c: what listeners do with those who come: the certificate that TLS shows, and the web server that those get who
 * speak no IKETCP. A reload that changes neither leaves both alone. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <string.h>

#define LOOK_AGAIN_S 60

static uint64_t hash_of(const char *text, uint64_t hash) {
    for (; text != NULL && *text != 0; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static bool apply_tls(struct engine *engine, const struct config *config, struct error *err) {
    struct services *services = &engine->services;
    struct tls_server *old = services->tls;
    const char *certificate = NULL, *key = NULL;
    if (config->listen_tlss == 0) {
        services->tls = NULL;
        listeners_serve(engine);
        tls_server_free(old);
        return true;
    }
    if (config->tls_cert[0] != 0) {
        certificate = config_file_text(config, config->tls_cert);
        key = config_file_text(config, config->tls_key);
        if (certificate == NULL || key == NULL)
            return fail(err, CONFIG, 0, "%s was not read", certificate == NULL ? config->tls_cert : config->tls_key);
    }
    uint64_t hash = hash_of(key, hash_of(certificate, UINT64_C(0xcbf29ce484222325)));
    if (old != NULL && hash == services->tls_hash)
        return true;
    struct tls_server *made = tls_server_new(certificate, key, err);
    if (made == NULL)
        return false;
    services->tls = made;
    services->tls_hash = hash;
    listeners_serve(engine);
    tls_server_free(old);
    return true;
}

static void look_up(struct engine *);

static void on_again(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    look_up(context);
}

static void look_again(struct engine *engine) {
    struct services *services = &engine->services;
    struct timeval after = {.tv_sec = LOOK_AGAIN_S};
    if (services->again == NULL)
        services->again = evtimer_new(engine->base, on_again, engine);
    if (services->again != NULL)
        evtimer_add(services->again, &after);
}

static void on_found(void *context, const struct address *list, size_t count, const struct error *error) {
    struct engine *engine = context;
    struct services *services = &engine->services;
    services->lookup = NULL;
    if (count == 0) {
        log_warning("web-fallback: %s; who speaks no IKETCP is turned away until it can be", error->text);
        look_again(engine);
        return;
    }
    services->web = list[0];
    services->web.port = services->web_port;
    listeners_serve(engine);
}

static void look_up(struct engine *engine) {
    struct services *services = &engine->services;
    services->lookup = lookup_begin(engine, services->web_host, 0, on_found, engine);
    if (services->lookup == NULL)
        look_again(engine);
}

static void forget_web(struct services *services) {
    lookup_cancel(services->lookup);
    services->lookup = NULL;
    services->web = (struct address){0};
    if (services->again != NULL)
        evtimer_del(services->again);
}

static void apply_web(struct engine *engine, const struct config *config) {
    struct services *services = &engine->services;
    bool same = strcmp(services->web_host, config->web_host) == 0 && services->web_port == config->web_port;
    if (same && services->web.port != 0)
        return;
    forget_web(services);
    memcpy(services->web_host, config->web_host, sizeof services->web_host);
    services->web_port = config->web_port;
    if (services->web_port != 0)
        look_up(engine);
}

bool services_apply(struct engine *engine, const struct config *config, struct error *err) {
    if (!apply_tls(engine, config, err))
        return false;
    apply_web(engine, config);
    return true;
}

void services_free(struct engine *engine) {
    struct services *services = &engine->services;
    forget_web(services);
    if (services->again != NULL)
        event_free(services->again);
    tls_server_free(services->tls);
    *services = (struct services){0};
}
