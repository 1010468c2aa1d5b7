/* translate.c: a connection as the configuration says it (left, right, defaults left open) becomes one as peer/ wants it
 * (us, them, all filled in). Pure: what the host is like comes in as facts. */
#include "daemon/engine/internal.h"

#include <stdio.h>
#include <string.h>

#define NAT_KEEPALIVE_MS (20 * SECOND) /* RFC 3948, section 4: the default */

static bool is_local(void *context, const struct address *address) {
    return facts_is_ours(context, address);
}

/* Our outer address, as far as it is known: unspecified for %any and for names. */
static struct address local_address(const struct config_end *us, uint8_t family, const struct facts *facts) {
    if (us->kind == HOST_ADDRESS)
        return us->address;
    if (us->kind != HOST_DEFAULT_ROUTE)
        return (struct address){0};
    if (family == 6 || (family == 0 && facts->default4.family == 0))
        return facts->default6;
    return facts->default4;
}

static struct identity identity_of_address(const struct address *address) {
    struct identity id = {0};
    if (address->family == 0)
        return id;
    id.type = address->family == 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR;
    id.length = address_octets(address);
    memcpy(id.data, address->octets, id.length);
    return id;
}

static struct identity identity_of(const struct config_end *end, const struct address *address) {
    if (end->id.type != ID_NONE || !end->id_from_address)
        return end->id;
    return identity_of_address(address);
}

/* The prefixes of an end: its subnets, or its own address alone. 0: not known. */
static size_t end_prefixes(const struct config_end *end, const struct address *address, struct prefix *out) {
    if (end->subnets > 0) {
        memcpy(out, end->subnet, end->subnets * sizeof *out);
        return end->subnets;
    }
    struct address host = end->source_ip_set ? end->source_ip : *address;
    if (host.family == 0)
        return 0;
    host.port = 0;
    host.scope = 0;
    out[0] = (struct prefix){.address = host, .length = host.family == 4 ? 32 : 128};
    return 1;
}

static void child_common(const struct config_connection *c, struct ike_child_config *child) {
    child->transport = c->transport;
    child->pfs = c->pfs;
    child->replay_window = c->replay_window;
    child->lifetime_ms = c->sa_lifetime_s * SECOND;
}

static bool add_child(const struct config_connection *c, const struct prefix *local, const struct prefix *remote,
    struct ike_config *ike, struct error *err) {
    if (ike->children == IKE_CHILD_CONFIGS_MAX)
        return fail(err, CONFIG, 0, "its subnets make more than %d pairs; split it into several connections",
            IKE_CHILD_CONFIGS_MAX);
    struct ike_child_config *child = &ike->child[ike->children++];
    child_common(c, child);
    if (local != NULL)
        child->local.selector[child->local.count++] = selector_of_prefix(local);
    if (remote != NULL)
        child->remote.selector[child->remote.count++] = selector_of_prefix(remote);
    return true;
}

/* One Child SA per pair of subnets of one family, as Libreswan makes them. An end whose address is not known yet
 * (%any without a subnet) has an empty list: peer/ puts the address in that it sees. */
static bool children(const struct config_connection *c, const struct address *local, const struct address *remote,
    struct ike_config *ike, struct error *err) {
    struct prefix ours[CONFIG_SUBNETS_MAX], theirs[CONFIG_SUBNETS_MAX];
    size_t our_count = end_prefixes(config_us(c), local, ours);
    size_t their_count = end_prefixes(config_them(c), remote, theirs);
    for (size_t i = 0; i < (our_count == 0 ? 1 : our_count); i++) {
        for (size_t j = 0; j < (their_count == 0 ? 1 : their_count); j++) {
            const struct prefix *a = our_count == 0 ? NULL : &ours[i], *b = their_count == 0 ? NULL : &theirs[j];
            if (a != NULL && b != NULL && a->address.family != b->address.family)
                continue;
            if (!add_child(c, a, b, ike, err))
                return false;
        }
    }
    if (ike->children == 0)
        return fail(err, CONFIG, 0, "no subnet of ours has the family (IPv4 or IPv6) of a subnet of theirs");
    return true;
}

static void child_names(const struct config_connection *c, struct name_list *names, struct ike_config *ike) {
    for (size_t i = 0; i < ike->children; i++) {
        char text[96];
        if (ike->children == 1)
            snprintf(text, sizeof text, "%s", c->name);
        else
            snprintf(text, sizeof text, "%s/%zu", c->name, i + 1);
        ike->child[i].name = name_keep(names, text);
    }
}

static void fill_ike(const struct config_connection *c, struct ike_config *ike) {
    ike->proposals = c->ike;
    ike->child_proposals = c->esp;
    ike->lifetime_ms = c->ike_lifetime_s * SECOND;
    ike->rekey_margin_ms = c->rekey ? c->rekey_margin_s * SECOND : 0;
    ike->rekey_fuzz_percent = c->rekey ? c->rekey_fuzz_percent : 0;
    ike->dpd_delay_ms = c->dpd_delay_s * SECOND;
    ike->retransmit_interval_ms = c->retransmit_interval_ms;
    ike->retransmit_timeout_ms = c->retransmit_timeout_ms;
    ike->mobike = c->mobike;
    ike->fragmentation = c->fragmentation;
    ike->force_encapsulation = true; /* ESP in user space can't take protocol 50 */
}

static void fill_path(const struct config_connection *c, struct path_config *path) {
    static const enum path_choice choices[] = {
        [CHOICE_NO] = PATH_NO, [CHOICE_YES] = PATH_YES, [CHOICE_FALLBACK] = PATH_FALLBACK};
    path_config_defaults(path);
    path->tcp = choices[c->enable_tcp];
    path->tls = choices[c->enable_tls];
    if (c->tcp_remote_port != 0)
        path->tcp_port = c->tcp_remote_port;
    if (c->tls_remote_port != 0)
        path->tls_port = c->tls_remote_port;
    path->attempt_timeout_ms = c->retransmit_timeout_ms;
}

static void fill_remote(const struct config_end *them, struct peer_config *out) {
    out->may_initiate = them->kind == HOST_ADDRESS || them->kind == HOST_NAME;
    if (them->kind == HOST_ADDRESS) {
        out->remote_any = (struct prefix){.address = them->address, .length = them->address.family == 4 ? 32 : 128};
        out->remote_any.address.port = 0;
        out->remote_any.address.scope = 0;
        char text[ADDRESS_TEXT_MAX];
        snprintf(out->remote_host, sizeof out->remote_host, "%s", address_text(&them->address, text));
    } else if (them->kind == HOST_NAME) {
        snprintf(out->remote_host, sizeof out->remote_host, "%s", them->name);
    }
}

/* Besides the configuration, what it was completed with: a changed address of ours is a changed connection. */
static uint64_t revision_of(const struct config_connection *c, const struct peer_config *out) {
    uint64_t hash = c->revision ^ (uint64_t)(c->us + 1);
    const struct address *local = &out->local;
    for (size_t i = 0; i < sizeof local->octets; i++)
        hash = (hash ^ local->octets[i]) * UINT64_C(0x100000001b3);
    return (hash ^ out->local_port) * UINT64_C(0x100000001b3);
}

bool translate_connection(const struct config *config, struct config_connection *c, const struct facts *facts,
    struct name_list *names, struct peer_config *out, struct error *err) {
    memset(out, 0, sizeof *out);
    if (!config_orient(c, is_local, (void *)(uintptr_t)facts, err))
        return fail_context(err, "conn %s: ", c->name);
    const struct config_end *us = config_us(c), *them = config_them(c);
    struct address remote = them->kind == HOST_ADDRESS ? them->address : (struct address){0};
    struct address local = local_address(us, remote.family, facts);
    if (us->kind == HOST_DEFAULT_ROUTE && local.family == 0)
        return fail(err, CONFIG, 0, "conn %s: our end is %%defaultroute, but there is no default route", c->name);

    snprintf(out->name, sizeof out->name, "%s", c->name);
    out->ike.name = name_keep(names, c->name);
    out->ike.local_id = identity_of(us, &local);
    out->ike.remote_id = identity_of(them, &remote);
    fill_ike(c, &out->ike);
    if (!children(c, &local, &remote, &out->ike, err))
        return fail_context(err, "conn %s: ", c->name);
    child_names(c, names, &out->ike);
    fill_path(c, &out->path);
    fill_remote(them, out);
    out->ike.initial_contact = out->may_initiate;
    out->local = local;
    out->local.port = 0;
    out->local_port = config->udp_port;
    out->source_ip = us->source_ip_set ? us->source_ip : (struct address){0};
    out->mtu = c->mtu;
    out->start = c->start == AUTO_START      ? PEER_START_AUTO
                 : c->start == AUTO_ONDEMAND ? PEER_START_ONDEMAND
                                             : PEER_START_MANUAL;
    out->after_loss = c->dpd_action == DPD_RESTART ? PEER_AFTER_RESTART
                      : c->dpd_action == DPD_CLEAR ? PEER_AFTER_CLEAR
                                                   : PEER_AFTER_HOLD;
    out->keying_tries = c->keying_tries;
    out->nat_keepalive_ms = c->nat_keepalive ? NAT_KEEPALIVE_MS : 0;
    out->accept_tcp = c->enable_tcp != CHOICE_NO;
    out->accept_udp = true; /* enable-tcp=yes speaks of what we begin; listen-udp and listen-tcp of the rest */
    out->revision = revision_of(c, out);
    return true;
}

void translate_initial_contact(struct peer_config *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            if (i != j && identity_equal(&list[i].ike.local_id, &list[j].ike.local_id) &&
                identity_equal(&list[i].ike.remote_id, &list[j].ike.remote_id))
                list[i].ike.initial_contact = false;
        }
    }
}
