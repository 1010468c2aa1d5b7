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

static void select_protoport(const struct config_protoport *protoport, struct selector *selector) {
    selector->protocol = protoport->protocol;
    selector->port_first = protoport->first;
    selector->port_last = protoport->last;
}

/* The end's own address alone. Not known yet (%any), it is left empty, or of no family where a protocol is named. */
static void own_address(const struct config_end *end, const struct address *address, struct selector_list *out) {
    struct address host = end->source_ip_set ? end->source_ip : *address;
    host.port = 0;
    host.scope = 0;
    if (host.family != 0) {
        struct prefix prefix = {.address = host, .length = host.family == 4 ? 32 : 128};
        out->selector[out->count++] = selector_of_prefix(&prefix);
    } else if (end->protoport.protocol != 0) {
        out->selector[out->count++] = (struct selector){0};
    }
    if (out->count > 0)
        select_protoport(&end->protoport, &out->selector[0]);
}

struct groups { /* what one Child SA has of an end, each */
    struct selector_list list[CONFIG_SUBNETS_MAX];
    size_t count;
};

static void end_groups(const struct config_end *end, const struct address *address, struct groups *out) {
    uint8_t name[CONFIG_SUBNETS_MAX];
    *out = (struct groups){0};
    if (end->subnets == 0)
        own_address(end, address, &out->list[out->count++]);
    for (size_t i = 0; i < end->subnets; i++) {
        size_t at = 0;
        while (at < out->count && name[at] != end->subnet_group[i])
            at++;
        if (at == out->count)
            name[out->count++] = end->subnet_group[i];
        struct selector_list *list = &out->list[at];
        list->selector[list->count] = selector_of_prefix(&end->subnet[i]);
        select_protoport(&end->subnet_protoport[i], &list->selector[list->count++]);
    }
}

/* Those of the families that the other end has too: nothing could pass between the rest. */
static void keep_common(
    const struct selector_list *from, const struct selector_list *other, struct selector_list *out) {
    out->count = 0;
    for (size_t i = 0; i < from->count; i++)
        for (size_t j = 0; j < (other->count == 0 ? 1 : other->count); j++) {
            uint8_t ours = from->selector[i].first.family, theirs = other->count ? other->selector[j].first.family : 0;
            if (ours != 0 && theirs != 0 && ours != theirs)
                continue;
            out->selector[out->count++] = from->selector[i];
            break;
        }
}

static void child_common(const struct config_connection *c, struct ike_child_config *child) {
    child->transport = c->transport;
    child->aggfrag = c->aggfrag;
    child->pfs = c->pfs;
    child->replay_window = c->replay_window;
    child->lifetime_ms = c->sa_lifetime_s * SECOND;
}

static bool add_child(const struct config_connection *c, const struct selector_list *local,
    const struct selector_list *remote, struct ike_config *ike, struct error *err) {
    struct ike_child_config child = {0};
    keep_common(local, remote, &child.local);
    keep_common(remote, local, &child.remote);
    if ((local->count > 0 && child.local.count == 0) || (remote->count > 0 && child.remote.count == 0))
        return true;
    if (ike->children == IKE_CHILD_CONFIGS_MAX)
        return fail(err, CONFIG, 0, "its subnets make more than %d pairs; split it into several connections",
            IKE_CHILD_CONFIGS_MAX);
    child_common(c, &child);
    ike->child[ike->children++] = child;
    return true;
}

/* One Child SA per pair of subnets of one family, as Libreswan makes them; what strongSwan lists behind leftsubnet= is in one.
 * An end whose address is not known yet (%any without a subnet) has an empty list: peer/ puts the address in that it sees. */
static bool children(const struct config_connection *c, const struct address *local, const struct address *remote,
    struct ike_config *ike, struct error *err) {
    struct groups ours, theirs;
    end_groups(config_us(c), local, &ours);
    end_groups(config_them(c), remote, &theirs);
    for (size_t i = 0; i < ours.count; i++)
        for (size_t j = 0; j < theirs.count; j++)
            if (!add_child(c, &ours.list[i], &theirs.list[j], ike, err))
                return false;
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
    ike->refuse_nats = !c->mobike_nat;
    ike->refuse_reliable = c->enable_tcp == CHOICE_NO && c->enable_tls == CHOICE_NO;
    ike->fragmentation = c->fragmentation;
    ike->session_resumption = c->session_resumption;
    ike->accept_redirect = c->accept_redirect;
    if (c->send_redirect)
        memcpy(ike->redirect_to, c->redirect_to, sizeof ike->redirect_to);
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
    path->staggered = c->staggered;
    path->better_after_ms = c->udp_retry_s == 0 ? NEVER : c->udp_retry_s * SECOND;
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
    hash = (hash ^ out->local_port) * UINT64_C(0x100000001b3);
    return hash ^ out->ike.keylog; /* the keys of SAs that are there are known to nobody any more */
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
    if (them->kind == HOST_NAME && them->id.type == ID_NONE && them->id_from_address)
        out->ike.remote_name = name_keep(names, them->name);
    fill_ike(c, &out->ike);
    out->ike.keylog = config->keylog[0] != 0;
    if (!children(c, &local, &remote, &out->ike, err))
        return fail_context(err, "conn %s: ", c->name);
    child_names(c, names, &out->ike);
    fill_path(c, &out->path);
    fill_remote(them, out);
    out->ike.initial_contact = out->may_initiate;
    out->local = local;
    out->local.port = 0;
    out->local_may_change = us->kind == HOST_DEFAULT_ROUTE;
    out->local_port = config->udp_port;
    out->source_ip = us->source_ip_set ? us->source_ip : (struct address){0};
    out->mtu = c->mtu;
    out->device = c->device;
    out->start = c->start == AUTO_START      ? PEER_START_AUTO
                 : c->start == AUTO_ONDEMAND ? PEER_START_ONDEMAND
                                             : PEER_START_MANUAL;
    out->after_loss = c->dpd_action == DPD_RESTART ? PEER_AFTER_RESTART
                      : c->dpd_action == DPD_CLEAR ? PEER_AFTER_CLEAR
                                                   : PEER_AFTER_HOLD;
    out->keying_tries = c->keying_tries;
    out->nat_keepalive_ms = c->nat_keepalive ? NAT_KEEPALIVE_MS : 0;
    memcpy(out->accept_redirect_to, c->accept_redirect_to, sizeof out->accept_redirect_to);
    out->kernel_esp = c->kernel_esp && !c->transport && c->device == 0;
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
