/* status.c: what `iketcp status --json` prints. Scripts rely on it: fields may be added, none changes its meaning. */
#include "daemon/engine/internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

const char *peer_state_text(enum peer_state state) {
    switch (state) {
    case PEER_STATE_CONNECTING:
        return "connecting";
    case PEER_STATE_UP:
        return "up";
    case PEER_STATE_RECONNECTING:
        return "reconnecting";
    case PEER_STATE_DOWN:
        break;
    }
    return "down";
}

json_t *json_text(const char *text) {
    json_t *string = json_string(text);
    if (string != NULL)
        return string;
    char ascii[1024];
    size_t length = strnlen(text, sizeof ascii - 1);
    for (size_t i = 0; i < length; i++)
        ascii[i] = (unsigned char)text[i] < 0x80 ? text[i] : '?';
    return json_stringn(ascii, length);
}

static json_t *transport_json(enum transport transport) {
    return transport == TRANSPORT_NONE ? json_null() : json_string(transport_text(transport));
}

static json_t *algorithm(uint8_t type, uint16_t id, uint16_t key_bits) {
    char text[IANA_NAME_MAX];
    return json_string(transform_text(type, id, key_bits, text));
}

static json_t *integrity(const struct cipher_suite *suite) {
    return suite->integ == AUTH_NONE ? json_null() : algorithm(TRANSFORM_INTEG, suite->integ, 0);
}

static json_t *hex(uint64_t value, int digits) {
    char text[24];
    snprintf(text, sizeof text, "%0*llx", digits, (unsigned long long)value);
    return json_string(text);
}

static json_t *address_json(const struct address *address) {
    char text[ADDRESS_TEXT_MAX];
    return json_string(address_port_text(address, text));
}

static json_t *identity_json(const struct identity *id) {
    char text[IDENTITY_TEXT_MAX];
    return id->type == ID_NONE ? json_null() : json_text(identity_text(id, text));
}

static json_t *seconds_since(uint64_t then, uint64_t now) {
    return json_integer(then < now ? (json_int_t)((now - then) / SECOND) : 0);
}

static json_t *seconds_until(uint64_t then, uint64_t now) {
    if (then == NEVER || then == 0)
        return json_null();
    return json_integer(then > now ? (json_int_t)((then - now) / SECOND) : 0);
}

static json_t *selectors_json(const struct selector_list *list) {
    enum { MOST = 64 };
    json_t *array = json_array();
    for (size_t i = 0; i < list->count; i++) {
        struct prefix prefix[MOST];
        size_t count = range_prefixes(&list->selector[i].first, &list->selector[i].last, prefix, MOST);
        for (size_t j = 0; j < count && j < MOST; j++) {
            char text[ADDRESS_TEXT_MAX];
            json_array_append_new(array, json_string(prefix_text(&prefix[j], text)));
        }
    }
    return array;
}

/* Beside the addresses: null where all packets between them go, else "tcp/443" and the like, one a selector. */
static json_t *protoports_json(const struct selector_list *list) {
    json_t *array = json_array();
    bool any = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct selector *s = &list->selector[i];
        char text[32];
        any = any || s->protocol != 0 || s->port_first != 0 || s->port_last != UINT16_MAX;
        if (s->port_first == 0 && s->port_last == UINT16_MAX)
            snprintf(text, sizeof text, "%u", s->protocol);
        else if (s->port_first > s->port_last)
            snprintf(text, sizeof text, "%u/opaque", s->protocol);
        else if (s->port_first == s->port_last)
            snprintf(text, sizeof text, "%u/%u", s->protocol, s->port_first);
        else
            snprintf(text, sizeof text, "%u/%u-%u", s->protocol, s->port_first, s->port_last);
        json_array_append_new(array, json_string(text));
    }
    if (any)
        return array;
    json_decref(array);
    return json_null();
}

static json_t *addresses_json(const struct address *list, size_t count) {
    json_t *array = json_array();
    char text[ADDRESS_TEXT_MAX];
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, json_string(address_text(&list[i], text)));
    return array;
}

static json_t *ike_json(const struct peer_status *status, uint64_t now) {
    if (!status->has_ike)
        return json_null();
    const struct ike_info *ike = &status->ike;
    json_t *out = json_object();
    json_object_set_new(out, "spi_i", hex(ike->spi_i, 16));
    json_object_set_new(out, "spi_r", hex(ike->spi_r, 16));
    json_object_set_new(out, "role", json_string(ike->role == IKE_INITIATOR ? "initiator" : "responder"));
    json_object_set_new(out, "local", address_json(&status->local));
    json_object_set_new(out, "remote", address_json(&status->remote));
    json_object_set_new(out, "local_id", identity_json(&ike->local_id));
    json_object_set_new(out, "remote_id", identity_json(&ike->remote_id));
    json_object_set_new(out, "encryption", algorithm(TRANSFORM_ENCR, ike->suite.encr, ike->suite.key_bits));
    json_object_set_new(out, "integrity", integrity(&ike->suite));
    json_object_set_new(out, "prf", algorithm(TRANSFORM_PRF, ike->prf, 0));
    json_object_set_new(out, "key_exchange", algorithm(TRANSFORM_KE, ike->ke, 0));
    json_object_set_new(out, "age_s", seconds_since(ike->established_at, now));
    json_object_set_new(out, "rekey_in_s", seconds_until(ike->rekey_at, now));
    json_object_set_new(out, "rekeys", json_integer((json_int_t)status->rekeys));
    json_object_set_new(out, "reconnects", json_integer((json_int_t)status->reconnects));
    json_object_set_new(out, "mobike", json_boolean(ike->mobike));
    json_object_set_new(out, "peer_addresses", addresses_json(ike->peer_address, ike->peer_addresses));
    return out;
}

static json_t *counter_json(_Atomic uint64_t *counter) {
    return json_integer(counter == NULL ? 0 : (json_int_t)atomic_load_explicit(counter, memory_order_relaxed));
}

static json_t *child_json(const struct peer_child_status *status, const char *tun, uint64_t now) {
    const struct peer_child *child = status->child;
    struct esp_counters *counters = status->counters;
    json_t *out = json_object();
    json_object_set_new(out, "spi_in", hex(child->spi_in, 8));
    json_object_set_new(out, "spi_out", hex(child->spi_out, 8));
    json_object_set_new(out, "mode", json_string(child->transport ? "transport" : "tunnel"));
    json_object_set_new(out, "aggfrag", json_boolean(child->aggfrag));
    json_object_set_new(out, "ts_local", selectors_json(child->local));
    json_object_set_new(out, "ts_remote", selectors_json(child->remote));
    json_object_set_new(out, "protoport_local", protoports_json(child->local));
    json_object_set_new(out, "protoport_remote", protoports_json(child->remote));
    json_object_set_new(out, "encryption", algorithm(TRANSFORM_ENCR, child->suite.encr, child->suite.key_bits));
    json_object_set_new(out, "integrity", integrity(&child->suite));
    json_object_set_new(
        out, "key_exchange", child->ke == KE_NONE ? json_null() : algorithm(TRANSFORM_KE, child->ke, 0));
    json_object_set_new(out, "esn", json_boolean(child->esn));
    json_object_set_new(out, "tun", json_string(tun));
#define COUNTER(field) json_object_set_new(out, #field, counter_json(counters == NULL ? NULL : &counters->field))
    COUNTER(bytes_in);
    COUNTER(bytes_out);
    COUNTER(packets_in);
    COUNTER(packets_out);
    COUNTER(replay_drops);
    COUNTER(auth_drops);
    COUNTER(policy_drops);
#undef COUNTER
    json_object_set_new(out, "age_s", seconds_since(status->since, now));
    return out;
}

json_t *status_connection(const struct peer_status *status, const char *tun, uint64_t now) {
    json_t *out = json_object(), *children = json_array();
    json_object_set_new(out, "name", json_text(status->name));
    json_object_set_new(out, "state", json_string(peer_state_text(status->state)));
    json_object_set_new(out, "transport", transport_json(status->transport));
    json_object_set_new(out, "tun", json_string(tun));
    json_object_set_new(out, "ike_sa", ike_json(status, now));
    for (size_t i = 0; i < status->children; i++)
        json_array_append_new(children, child_json(&status->child[i], tun, now));
    json_object_set_new(out, "child_sas", children);
    return out;
}

/* What packet filters and routing rules of others need to know. */
static void add_routing(json_t *out, const struct engine *engine, const char *name) {
    const struct config *config = engine->config;
    const struct config_connection *c = NULL;
    char text[CONFIG_MARK_TEXT_MAX];
    for (size_t i = 0; config != NULL && i < config->connections && c == NULL; i++)
        if (strcmp(config->connection[i].name, name) == 0)
            c = &config->connection[i];
    json_object_set_new(
        out, "route_table", c != NULL && c->route_table != 0 ? json_integer(c->route_table) : json_null());
    json_object_set_new(out, "mark_in",
        c != NULL && c->mark_in.mask != 0 ? json_string(config_mark_text(&c->mark_in, text)) : json_null());
    json_object_set_new(out, "mark_out",
        c != NULL && c->mark_out.mask != 0 ? json_string(config_mark_text(&c->mark_out, text)) : json_null());
}

static void add_listener(json_t *array, const struct listening *one, enum transport transport) {
    char text[ADDRESS_TEXT_MAX];
    json_t *out = json_object();
    json_object_set_new(out, "proto", json_string(transport_text(transport)));
    json_object_set_new(out, "address", json_string(address_text(&one->address, text)));
    json_object_set_new(out, "port", json_integer(one->address.port));
    json_array_append_new(array, out);
}

/* A socket that takes both TCP and TLS is there twice. */
static json_t *listen_json(const struct listeners *listeners) {
    json_t *array = json_array();
    for (size_t i = 0; i < listeners->count; i++) {
        const struct listening *one = &listeners->list[i];
        if (one->transport == TRANSPORT_UDP)
            add_listener(array, one, TRANSPORT_UDP);
        if (one->plain)
            add_listener(array, one, TRANSPORT_TCP);
        if (one->tls)
            add_listener(array, one, TRANSPORT_TLS);
    }
    return array;
}

json_t *status_all(const struct engine *engine, const char *name) {
    json_t *out = json_object(), *connections = json_array();
    struct peer_status status;
    struct peers_cursor cursor = {0};
    char text[CONFIG_DEVICE_NAME_MAX];
    uint64_t now = engine_now();
    while (peers_status_next(engine->peers, &cursor, &status))
        if (name == NULL || strcmp(status.name, name) == 0) {
            json_t *one = status_connection(&status, device_name(engine, status.device, text), now);
            add_routing(one, engine, status.name);
            bool kernel = kernel_has((struct engine *)(uintptr_t)engine, status.anchor);
            json_object_set_new(one, "esp", json_string(kernel ? "kernel" : "user"));
            json_array_append_new(connections, one);
        }
    json_object_set_new(out, "version", json_string(IKETCP_VERSION));
    json_object_set_new(out, "listen", listen_json(&engine->listeners));
    json_object_set_new(out, "connections", connections);
    return out;
}
