/* connection.c: one conn from the settings in force: Libreswan's defaults (but enable-tcp=fallback), values, and what
 * must fit together. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>

#define LIFETIME_MOST_S UINT64_C(86400) /* Libreswan's */

static void set_defaults(struct config_connection *c, const char *name) {
    *c = (struct config_connection){
        .start = AUTO_IGNORE,
        .us = -1,
        .pfs = true,
        .esn_yes = true,
        .esn_no = true,
        .fragmentation = true,
        .nat_keepalive = true,
        .mobike_nat = true,
        .udp_retry_s = 60,
        .encapsulation = ENCAPSULATION_AUTO,
        .ike_lifetime_s = 8 * 3600,
        .sa_lifetime_s = 8 * 3600,
        .rekey_margin_s = 9 * 60,
        .rekey_fuzz_percent = 100,
        .rekey = true,
        .dpd_action = DPD_HOLD,
        .retransmit_interval_ms = 500,
        .retransmit_timeout_ms = 60000,
        .enable_tcp = CHOICE_FALLBACK,
        .tcp_remote_port = 4500,
        .enable_tls = CHOICE_NO,
        .tls_remote_port = 443,
        .replay_window = 128,
    };
    snprintf(c->name, sizeof c->name, "%s", name);
    c->left.protoport.last = c->right.protoport.last = UINT16_MAX;
    proposals_default(PROTOCOL_IKE, &c->ike);
    proposals_default(PROTOCOL_ESP, &c->esp);
}

static void *target_of(const struct setting *setting, struct config_connection *c) {
    struct config_end *end = setting->side == SIDE_RIGHT ? &c->right : &c->left;
    uint8_t *base = setting->keyword->scope == SCOPE_END ? (uint8_t *)end : (uint8_t *)c;
    return base + setting->keyword->offset;
}

/* Quiet: every value was looked at once already, where it stands. */
static void apply(const struct setting *setting, struct config_connection *c) {
    struct reading reading = {.setting = setting, .value = setting->value};
    (void)setting->keyword->read(&reading, setting->keyword, target_of(setting, c));
}

static void apply_all(struct builder *b) {
    for (size_t i = 0; i < keywords_done_count; i++)
        for (int side = 0; side < 2; side++)
            if (b->chosen.setting[i][side] && !keywords_done[i].repeats)
                apply(b->chosen.setting[i][side], b->connection);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < b->chosen.mores[side]; i++)
            apply(b->chosen.more[side][i], b->connection);
}

static const struct setting *said(const struct builder *b, const char *name) {
    return chosen_by_name(&b->chosen, name, SIDE_LEFT);
}

static struct place place_of(const struct builder *b, const struct setting *setting) {
    return setting ? setting->value_place : b->section->place;
}

static void check_host_pair(struct builder *b) {
    struct config_connection *c = b->connection;
    const struct setting *left = chosen_by_name(&b->chosen, "", SIDE_LEFT);
    const struct setting *right = chosen_by_name(&b->chosen, "", SIDE_RIGHT);
    for (int side = 0; side < 2; side++)
        if (!(side == SIDE_LEFT ? left : right))
            complain(b->diagnostics, b->section->place,
                "conn %s has no %s=; write an address, a name, %%defaultroute or %%any", c->name,
                side == SIDE_LEFT ? "left" : "right");
    if (!left || !right)
        return;
    if (c->left.kind == HOST_ANY && c->right.kind == HOST_ANY)
        complain(b->diagnostics, place_of(b, right), "conn %s has %%any at both ends; one of them must be this host",
            c->name);
    if (c->left.kind == HOST_DEFAULT_ROUTE && c->right.kind == HOST_DEFAULT_ROUTE)
        complain(b->diagnostics, place_of(b, right),
            "conn %s has %%defaultroute at both ends; one of them is the other host", c->name);
    if (c->left.address.family && c->right.address.family && c->left.address.family != c->right.address.family)
        complain(b->diagnostics, place_of(b, right),
            "conn %s has an IPv4 address at one end and an IPv6 address at the other", c->name);
}

static void finish_end(struct builder *b, struct config_end *end, int side) {
    const struct setting *id = chosen_by_name(&b->chosen, "id", side);
    if (end->source_ip_set && end->subnets == 0) { /* as Libreswan: it is the tunnel's address then */
        end->subnet[0] =
            (struct prefix){.address = end->source_ip, .length = (uint8_t)(8 * address_octets(&end->source_ip))};
        end->subnet_protoport[0] = end->protoport;
        end->subnets = 1;
    }
    for (size_t i = 0; i < end->subnets; i++)
        if (end->subnet_protoport[i].protocol == 0)
            end->subnet_protoport[i] = end->protoport;
    if (id && !end->id_from_address)
        return;
    end->id_from_address = end->kind == HOST_NAME || end->kind == HOST_DEFAULT_ROUTE;
    if (end->kind == HOST_ADDRESS)
        identity_of_address(&end->address, &end->id);
}

static bool has_family(const struct config_end *end, uint8_t family) {
    for (size_t i = 0; i < end->subnets; i++)
        if (end->subnet[i].address.family == family)
            return true;
    return end->subnets == 0 && (end->address.family == family || end->address.family == 0);
}

/* A connection of both ends is of one protocol: as Libreswan, the end that says nothing takes the other's. */
static void check_protoports(struct builder *b) {
    struct config_connection *c = b->connection;
    const struct setting *right = chosen_by_name(&b->chosen, "protoport", SIDE_RIGHT);
    if (c->left.protoport.protocol == 0)
        c->left.protoport.protocol = c->right.protoport.protocol;
    if (c->right.protoport.protocol == 0)
        c->right.protoport.protocol = c->left.protoport.protocol;
    if (c->left.protoport.protocol != c->right.protoport.protocol)
        complain(b->diagnostics, place_of(b, right), "leftprotoport and rightprotoport name different protocols");
}

/* The first of each group stands for it. */
static bool is_first_of_group(const struct config_end *end, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (end->subnet_group[i] == end->subnet_group[n])
            return false;
    return true;
}

static bool group_has(const struct config_end *end, uint8_t group, uint8_t family) {
    for (size_t i = 0; i < end->subnets; i++)
        if (end->subnet_group[i] == group && end->subnet[i].address.family == family)
            return true;
    return false;
}

/* Each pair of subnets of one family is a Child SA of its own. */
static size_t count_pairs(const struct config_connection *c) {
    size_t pairs = 0;
    for (size_t i = 0; i < c->left.subnets; i++)
        for (size_t j = 0; j < c->right.subnets; j++) {
            uint8_t left = c->left.subnet_group[i], right = c->right.subnet_group[j];
            if (!is_first_of_group(&c->left, i) || !is_first_of_group(&c->right, j))
                continue;
            pairs += (group_has(&c->left, left, 4) && group_has(&c->right, right, 4)) ||
                     (group_has(&c->left, left, 6) && group_has(&c->right, right, 6));
        }
    return pairs;
}

static void check_subnets(struct builder *b) {
    struct config_connection *c = b->connection;
    const struct setting *right = chosen_by_name(&b->chosen, "subnet", SIDE_RIGHT);
    bool common =
        (has_family(&c->left, 4) && has_family(&c->right, 4)) || (has_family(&c->left, 6) && has_family(&c->right, 6));
    if (!common)
        complain(b->diagnostics, place_of(b, right),
            "conn %s has IPv4 at one end of the tunnel and IPv6 at the other: nothing could pass", c->name);
    if (count_pairs(c) > PAIRS_MAX)
        complain(b->diagnostics, b->section->place,
            "conn %s has %zu pairs of subnets, %zu at most; make several conns of it", c->name, count_pairs(c),
            PAIRS_MAX);
    if (c->transport && (c->left.subnets || c->right.subnets))
        complain(b->diagnostics, place_of(b, said(b, "type")),
            "conn %s: type=transport protects the two hosts themselves; drop subnets and source addresses or write "
            "type=tunnel",
            c->name);
}

static void limit_lifetime(struct builder *b, uint64_t *seconds, const char *name) {
    if (*seconds <= LIFETIME_MOST_S)
        return;
    warn_at(b->diagnostics, place_of(b, said(b, name)), "%s is at most 24h (as in Libreswan): 24h is taken", name);
    *seconds = LIFETIME_MOST_S;
}

/* The margin with its random part must leave time before it: else a rekey would be due at once, for ever. */
static void fit_margin(struct builder *b) {
    struct config_connection *c = b->connection;
    uint64_t life = c->ike_lifetime_s < c->sa_lifetime_s ? c->ike_lifetime_s : c->sa_lifetime_s;
    const char *which = c->ike_lifetime_s < c->sa_lifetime_s ? "ikelifetime" : "salifetime";
    if (c->rekey_margin_s * (100 + c->rekey_fuzz_percent) / 100 < life)
        return;
    uint64_t margin = life * 50 / (100 + c->rekey_fuzz_percent);
    const struct setting *at = said(b, "rekeymargin");
    warn_at(b->diagnostics, place_of(b, at ? at : said(b, which)),
        "rekeymargin=%llus and rekeyfuzz=%u%% do not fit into %s=%llus: a margin of %llus is taken",
        (unsigned long long)c->rekey_margin_s, c->rekey_fuzz_percent, which, (unsigned long long)life,
        (unsigned long long)margin);
    c->rekey_margin_s = margin;
}

static void check_times(struct builder *b) {
    struct config_connection *c = b->connection;
    limit_lifetime(b, &c->ike_lifetime_s, "ikelifetime");
    limit_lifetime(b, &c->sa_lifetime_s, "salifetime");
    if (c->rekey)
        fit_margin(b);
    if (c->retransmit_timeout_ms <= c->retransmit_interval_ms)
        complain(b->diagnostics, place_of(b, said(b, "retransmit-timeout")),
            "retransmit-timeout=%llums must be longer than retransmit-interval=%llums",
            (unsigned long long)c->retransmit_timeout_ms, (unsigned long long)c->retransmit_interval_ms);
    if (said(b, "dpdtimeout") && c->dpd_timeout_s)
        warn_at(b->diagnostics, place_of(b, said(b, "dpdtimeout")),
            "dpdtimeout is not used: with IKEv2 a peer is dead after retransmit-timeout, as in Libreswan");
    if (said(b, "dpdaction") && c->dpd_delay_s == 0)
        warn_at(b->diagnostics, place_of(b, said(b, "dpdaction")), "dpdaction does nothing without dpddelay");
}

static void finish_tcp(struct builder *b) {
    struct config_connection *c = b->connection;
    const struct setting *only = said(b, "tcponly"), *enable = said(b, "enable-tcp");
    bool tcponly = false;
    if (!only || !bool_parse(only->value, &tcponly) || !tcponly)
        return;
    if (enable && c->enable_tcp == CHOICE_NO)
        complain(
            b->diagnostics, place_of(b, only), "tcponly=yes and enable-tcp=no contradict each other; drop one of them");
    c->enable_tcp = CHOICE_YES;
}

static void check_tls(struct builder *b) {
    const struct config_connection *c = b->connection;
    const struct setting *ca = said(b, "tls-ca");
    if (c->enable_tcp == CHOICE_YES && c->enable_tls == CHOICE_YES)
        complain(b->diagnostics, place_of(b, said(b, "enable-tls")),
            "enable-tls=yes and enable-tcp=yes (or tcponly) contradict each other: each asks for its own alone; write "
            "enable-tls=fallback to try TLS when TCP fails");
    if (ca && !c->tls_verify)
        warn_at(b->diagnostics, place_of(b, ca), "tls-ca does nothing without tls-verify=yes");
}

/* Several addresses of a name are staggered as well. */
static void check_transports(struct builder *b) {
    const struct config_connection *c = b->connection;
    bool only_tcp = c->enable_tcp == CHOICE_YES && c->enable_tls == CHOICE_NO;
    bool only_udp = c->enable_tcp == CHOICE_NO && c->enable_tls == CHOICE_NO, only_tls = c->enable_tls == CHOICE_YES;
    bool name = c->left.kind == HOST_NAME || c->right.kind == HOST_NAME;
    if (c->staggered && !name && (only_udp || only_tcp || only_tls))
        warn_at(b->diagnostics, place_of(b, said(b, "transports")),
            "transports=staggered does nothing: %s to one address is all that may be tried",
            only_tls   ? "TLS"
            : only_tcp ? "TCP"
                       : "UDP");
}

static void check_redirect(struct builder *b) {
    const struct config_connection *c = b->connection;
    if (c->send_redirect && c->redirect_to[0] == 0)
        complain(b->diagnostics, place_of(b, said(b, "send-redirect")),
            "send-redirect=yes needs redirect-to=, the gateway to which peers are sent");
    if (!c->send_redirect && said(b, "redirect-to"))
        warn_at(
            b->diagnostics, place_of(b, said(b, "redirect-to")), "redirect-to does nothing without send-redirect=yes");
    if (!c->accept_redirect && said(b, "accept-redirect-to"))
        warn_at(b->diagnostics, place_of(b, said(b, "accept-redirect-to")),
            "accept-redirect-to does nothing without accept-redirect=yes");
}

static void finish_algorithms(struct builder *b) {
    struct config_connection *c = b->connection;
    if (proposals_finish_esp(&c->esp, c->esn_yes, c->esn_no, c->pfs))
        warn_at(b->diagnostics, place_of(b, said(b, "esp")), "the groups in esp= are ignored, since pfs=no");
    if (!said(b, "authby"))
        warn_at(b->diagnostics, b->section->place,
            "conn %s has no authby=: secret is taken (Libreswan's default are RSA and ECDSA keys)", c->name);
}

static void guess_us(struct config_connection *c) {
    bool left = c->left.kind == HOST_DEFAULT_ROUTE, right = c->right.kind == HOST_DEFAULT_ROUTE;
    if (left != right)
        c->us = right;
    else if (c->left.kind == HOST_ANY || c->right.kind == HOST_ANY)
        c->us = c->left.kind == HOST_ANY;
}

static void check_kernel_esp(struct builder *b) {
    const struct config_connection *c = b->connection;
    if (c->kernel_esp && (c->transport || c->device != 0))
        warn_at(b->diagnostics, place_of(b, said(b, "kernel-esp")),
            "kernel-esp=yes does nothing with %s: the kernel's ESP is for tunnels of the common device",
            c->transport ? "type=transport" : "ipsec-interface");
}

bool connection_build(struct builder *b) {
    size_t errors = b->diagnostics->errors;
    struct config_connection *c = b->connection;
    set_defaults(c, b->section->name);
    settings_choose(b->sections, b->section, &b->chosen, b->diagnostics);
    apply_all(b);
    if (c->start == AUTO_IGNORE)
        return false;
    check_host_pair(b);
    check_protoports(b);
    finish_end(b, &c->left, SIDE_LEFT);
    finish_end(b, &c->right, SIDE_RIGHT);
    if (b->diagnostics->errors == errors)
        check_subnets(b);
    check_times(b);
    finish_tcp(b);
    check_tls(b);
    check_transports(b);
    check_redirect(b);
    check_device(b);
    check_kernel_esp(b);
    finish_algorithms(b);
    guess_us(c);
    c->revision = connection_revision(c);
    return b->diagnostics->errors == errors;
}
