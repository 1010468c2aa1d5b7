/* monitor_auth.c: AUTH values from pre-shared keys (RFC 7296 section 2.15), for connections and identities that the
 * configuration has. The remote chooses what it calls itself, so a wrong identity is an answer, not the engine's end. */
#include <string.h>

#include "daemon/monitor_internal.h"

static bool is_address_of(const struct identity *id, const struct address *address) {
    size_t length = address_octets(address);
    return id->type == (address->family == 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR) && id->length == length &&
           memcmp(id->data, address->octets, length) == 0;
}

static bool end_fits(const struct config_end *end, const struct identity *id) {
    if (end->id.type != ID_NONE)
        return identity_equal(&end->id, id);
    if (!end->id_from_address || end->kind == HOST_ANY)
        return id->type != ID_NONE;
    if (end->kind == HOST_ADDRESS)
        return is_address_of(id, &end->address);
    return id->type == ID_IPV4_ADDR || id->type == ID_IPV6_ADDR;
}

bool monitor_identities_fit(
    const struct config_connection *c, const struct identity *local, const struct identity *remote) {
    if (c->us != 1 && end_fits(&c->left, local) && end_fits(&c->right, remote))
        return true;
    return c->us != 0 && end_fits(&c->right, local) && end_fits(&c->left, remote);
}

static const struct config_connection *connection_named(const struct config *config, const char *name) {
    for (size_t i = 0; i < config->connections; i++)
        if (strcmp(config->connection[i].name, name) == 0)
            return &config->connection[i];
    return NULL;
}

void monitor_serve_auth(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    const struct config_connection *c = connection_named(m->config, q->auth.connection);
    char local[IDENTITY_TEXT_MAX], remote[IDENTITY_TEXT_MAX];
    struct span psk;
    if (c == NULL) {
        fail(&a->error, CONFIG, NOTIFY_AUTHENTICATION_FAILED, "there is no conn '%s'", q->auth.connection);
        return;
    }
    identity_text(&q->auth.local_id, local);
    identity_text(&q->auth.remote_id, remote);
    if (!monitor_identities_fit(c, &q->auth.local_id, &q->auth.remote_id)) {
        fail(&a->error, CONFIG, NOTIFY_AUTHENTICATION_FAILED, "conn %s is not for us as %.120s and the peer as %.120s",
            c->name, local, remote);
        return;
    }
    if (!secrets_psk(m->secrets, &q->auth.local_id, &q->auth.remote_id, &psk)) {
        fail(&a->error, CONFIG, NOTIFY_AUTHENTICATION_FAILED, "%.60s has no PSK for %.100s and %.100s",
            m->options->secrets_path, local, remote);
        return;
    }
    if (!psk_auth(q->auth.prf, psk, q->auth.local_octets, a->local_auth) ||
        (q->auth.remote_octets.length > 0 && !psk_auth(q->auth.prf, psk, q->auth.remote_octets, a->remote_auth)))
        fail(&a->error, OURS, NOTIFY_AUTHENTICATION_FAILED, "libcrypto could not compute an AUTH value");
}
