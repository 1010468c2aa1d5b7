/* revision.c: a hash of what a connection means: equal means unchanged by a reload, however it was written. FNV-1a over
 * every field; not for anything that an enemy chooses. */
#include "config/internal.h"

#include <string.h>

static void octets(uint64_t *hash, const void *at, size_t length) {
    const uint8_t *octet = at;
    for (size_t i = 0; i < length; i++)
        *hash = (*hash ^ octet[i]) * UINT64_C(1099511628211);
}

static void number(uint64_t *hash, uint64_t value) {
    uint8_t out[8];
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (uint8_t)(value >> (8 * i));
    octets(hash, out, sizeof out);
}

static void text(uint64_t *hash, const char *value) {
    number(hash, strlen(value));
    octets(hash, value, strlen(value));
}

static void address(uint64_t *hash, const struct address *value) {
    number(hash, value->family);
    octets(hash, value->octets, sizeof value->octets);
    number(hash, value->port);
    number(hash, value->scope);
}

static void protoport(uint64_t *hash, const struct config_protoport *value) {
    number(hash, (uint64_t)value->protocol << 32 | (uint64_t)value->first << 16 | value->last);
}

static void end(uint64_t *hash, const struct config_end *value) {
    number(hash, value->kind);
    address(hash, &value->address);
    text(hash, value->name);
    number(hash, value->id.type);
    number(hash, value->id.length);
    octets(hash, value->id.data, value->id.length);
    number(hash, value->id_from_address);
    number(hash, value->subnets);
    for (size_t i = 0; i < value->subnets; i++) {
        address(hash, &value->subnet[i].address);
        number(hash, value->subnet[i].length);
        size_t first = 0;
        while (value->subnet_group[first] != value->subnet_group[i])
            first++;
        number(hash, first);
        protoport(hash, &value->subnet_protoport[i]);
    }
    protoport(hash, &value->protoport);
    address(hash, &value->interface_ip);
    number(hash, value->interface_bits);
    number(hash, value->source_ip_set);
    address(hash, &value->source_ip);
}

static void proposals(uint64_t *hash, const struct proposal_list *list) {
    number(hash, list->count);
    for (size_t i = 0; i < list->count; i++) {
        number(hash, list->proposal[i].transforms);
        for (size_t j = 0; j < list->proposal[i].transforms; j++) {
            const struct transform *transform = &list->proposal[i].transform[j];
            number(hash, (uint64_t)transform->type << 32 | (uint64_t)transform->id << 16 | transform->key_bits);
        }
    }
}

uint64_t connection_revision(const struct config_connection *c) {
    uint64_t hash = UINT64_C(14695981039346656037);
    text(&hash, c->name);
    number(&hash, c->start);
    end(&hash, &c->left);
    end(&hash, &c->right);
    number(&hash, c->us < 0 ? 2 : (uint64_t)c->us);
    proposals(&hash, &c->ike);
    proposals(&hash, &c->esp);
    const uint64_t flags[] = {c->pfs, c->transport, c->mobike, c->esn_yes, c->esn_no, c->fragmentation,
        c->encapsulation, c->rekey, c->dpd_action, c->enable_tcp, c->nat_keepalive, c->mobike_nat, c->aggfrag,
        c->kernel_esp};
    const uint64_t numbers[] = {c->ike_lifetime_s, c->sa_lifetime_s, c->rekey_margin_s, c->rekey_fuzz_percent,
        c->dpd_delay_s, c->dpd_timeout_s, c->retransmit_interval_ms, c->retransmit_timeout_ms, c->keying_tries,
        c->tcp_remote_port, c->replay_window, c->mtu, c->udp_retry_s, c->device, c->route_table,
        (uint64_t)c->mark_out.mask << 32 | c->mark_out.value, (uint64_t)c->mark_in.mask << 32 | c->mark_in.value};
    number(&hash, (uint64_t)c->enable_tls << 32 | (uint64_t)c->tls_remote_port << 1 | c->tls_verify);
    number(&hash, (uint64_t)c->staggered << 3 | (uint64_t)c->session_resumption << 2 |
                      (uint64_t)c->accept_redirect << 1 | c->send_redirect);
    text(&hash, c->accept_redirect_to);
    text(&hash, c->redirect_to);
    text(&hash, c->tls_server_name);
    text(&hash, c->tls_alpn);
    text(&hash, c->tls_ca);
    text(&hash, c->tcp_congestion);
    number(&hash, (uint64_t)c->proxy.kind << 16 | c->proxy.port);
    text(&hash, c->proxy.user);
    text(&hash, c->proxy.password);
    text(&hash, c->proxy.host);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        number(&hash, flags[i]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        number(&hash, numbers[i]);
    return hash;
}
