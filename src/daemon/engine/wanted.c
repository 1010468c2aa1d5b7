/* wanted.c: what a connection says about the streams that it opens: TLS and its name, a proxy. The configuration in force
 * is asked each time, since peers know nothing of either. */
#include "daemon/engine/internal.h"

#include <stdio.h>
#include <string.h>

#define TCP_MOST_MS (60 * SECOND) /* the path gives up earlier, and cancels */
#define STEP_MOST_MS \
    (5 * SECOND) /* of a proxy, and of TLS: shorter than the path's patience, which knows less of why */

static const struct config_connection *connection_named(const struct engine *engine, const char *name) {
    for (size_t i = 0; engine->config != NULL && i < engine->config->connections; i++)
        if (strcmp(engine->config->connection[i].name, name) == 0)
            return &engine->config->connection[i];
    return NULL;
}

bool proxy_knows_names(const struct engine *engine, const char *connection) {
    const struct config_connection *c = connection_named(engine, connection);
    return c != NULL && c->proxy.kind != CONFIG_PROXY_NONE &&
           (c->enable_tcp != CHOICE_NO || c->enable_tls != CHOICE_NO);
}

/* As it was dialled, by its name if it has one: the configured one, or the one to which it redirected us. */
static void name_of_them(const char *host, const struct address *remote, char out[256]) {
    struct address numeric;
    struct error ignored;
    char text[ADDRESS_TEXT_MAX];
    bool named = host != NULL && host[0] != 0 && !address_parse(host, &numeric, &ignored);
    snprintf(out, 256, "%s", named ? host : address_text(remote, text));
}

static void want_proxy(
    const struct config_connection *c, const struct peer_action *action, struct connect_wanted *out) {
    const struct address *remote = &action->carrier.remote;
    out->proxy.kind = c->proxy.kind == CONFIG_PROXY_HTTP ? PROXY_HTTP : PROXY_SOCKS5;
    memcpy(out->proxy.user, c->proxy.user, sizeof out->proxy.user);
    memcpy(out->proxy.password, c->proxy.password, sizeof out->proxy.password);
    name_of_them(action->host, remote, out->proxy.host);
    out->proxy.port = remote->port;
    out->remote = (struct address){.port = c->proxy.port};
    out->flow_label = 0; /* it ends at the proxy */
}

static bool want_tls(struct engine *engine, const struct config_connection *c, const struct peer_action *action,
    struct connect_wanted *out, struct error *err) {
    struct tls_wanted *wanted = &out->tls_wanted;
    if (engine->tls_client == NULL)
        engine->tls_client = tls_client_new(err);
    if (engine->tls_client == NULL)
        return false;
    out->tls = engine->tls_client;
    if (c->tls_server_name[0] != 0)
        memcpy(wanted->server_name, c->tls_server_name, sizeof wanted->server_name);
    else
        name_of_them(action->host, &action->carrier.remote, wanted->server_name);
    memcpy(wanted->alpn, c->tls_alpn, sizeof wanted->alpn);
    wanted->verify = c->tls_verify;
    if (c->tls_ca[0] == 0)
        return true;
    wanted->ca = config_file_text(engine->config, c->tls_ca);
    return wanted->ca != NULL || fail(err, CONFIG, 0, "%s was not read", c->tls_ca);
}

bool connect_wanted_of(struct engine *engine, const struct peer_action *action, struct connect_wanted *out,
    const char **proxy_host, struct error *err) {
    const struct config_connection *c = connection_named(engine, action->connection);
    const struct address *remote = &action->carrier.remote;
    *out = (struct connect_wanted){.remote = *remote,
        .flow_label = action->flow_label,
        .timeout_ms = TCP_MOST_MS,
        .step_timeout_ms = STEP_MOST_MS};
    *proxy_host = NULL;
    if (c == NULL) /* a reload has just dropped it */
        return fail(err, CONFIG, 0, "there is no conn %s any more", action->connection);
    if (action->carrier.transport == TRANSPORT_TLS && !want_tls(engine, c, action, out, err))
        return false;
    if (c->proxy.kind == CONFIG_PROXY_NONE)
        return true;
    want_proxy(c, action, out);
    *proxy_host = c->proxy.host;
    return true;
}
