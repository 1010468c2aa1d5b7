/* sim.c: one seed from start to end: set up, then an hour of traffic, rekeys and faults. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct proposal *proposal, uint8_t type, uint16_t id, uint16_t bits) {
    proposal->transform[proposal->transforms++] = (struct transform){.type = type, .id = id, .key_bits = bits};
}

/* Mostly the fast suites, sometimes the others; both sides draw from the same list, so there is always one in common. */
static void draw_proposals(struct world *world, struct ike_config *ike) {
    static const struct {
        uint16_t encr, bits, integ;
    } suites[] = {{ENCR_AES_GCM_16, 128, 0}, {ENCR_AES_GCM_16, 256, 0}, {ENCR_CHACHA20_POLY1305, 0, 0},
        {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128}, {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_512_256}};
    static const uint16_t groups[] = {KE_CURVE25519, KE_CURVE25519, KE_CURVE25519, KE_ECP_256};
    struct proposal *first = &ike->proposals.proposal[0], *child = &ike->child_proposals.proposal[0];
    uint32_t which = world_random(world, 5), other = world_random(world, 5);
    *first = (struct proposal){.number = 1, .protocol = PROTOCOL_IKE};
    *child = (struct proposal){.number = 1, .protocol = PROTOCOL_ESP};
    add(first, TRANSFORM_ENCR, suites[which].encr, suites[which].bits);
    if (suites[which].integ)
        add(first, TRANSFORM_INTEG, suites[which].integ, 0);
    add(first, TRANSFORM_PRF, (uint16_t)(PRF_HMAC_SHA2_256 + world_random(world, 3)), 0);
    add(first, TRANSFORM_KE, groups[world_random(world, 4)], 0);
    add(child, TRANSFORM_ENCR, suites[other].encr, suites[other].bits);
    if (suites[other].integ)
        add(child, TRANSFORM_INTEG, suites[other].integ, 0);
    add(child, TRANSFORM_ESN, (uint16_t)world_random(world, 2), 0);
    ike->proposals.count = ike->child_proposals.count = 1;
}

static struct selector host_selector(const struct address *address, uint8_t length) {
    struct prefix prefix = {.address = *address, .length = length};
    if (length == 16)
        prefix.address.octets[2] = prefix.address.octets[3] = 0;
    return selector_of_prefix(&prefix);
}

static void set_identity(struct identity *identity, const char *name) {
    identity->type = ID_FQDN;
    identity->length = strlen(name);
    memcpy(identity->data, name, identity->length);
}

static void configure_common(struct world *world, struct peer_config *config) {
    snprintf(config->name, sizeof config->name, "tunnel");
    config->revision = 1;
    struct ike_config *ike = &config->ike;
    ike->name = "tunnel";
    ike->children = 1;
    ike->child[0].name = "tunnel";
    ike->child[0].pfs = world_chance(world, 500);
    ike->child[0].transport = world->transport;
    ike->child[0].replay_window = 128;
    ike->child[0].lifetime_ms = 480 * SECOND + world_random(world, 600000);
    ike->lifetime_ms = 900 * SECOND + world_random(world, 900000);
    ike->rekey_margin_ms = 120 * SECOND;
    if (world->options.lifetime) {
        uint64_t shortest = world->options.lifetime * SECOND;
        ike->child[0].lifetime_ms = shortest + world_random(world, (uint32_t)shortest / 2);
        ike->lifetime_ms = shortest + world_random(world, (uint32_t)shortest / 2);
        ike->rekey_margin_ms = shortest / 4;
    }
    world->ike_lifetime = ike->lifetime_ms;
    world->child_lifetime = ike->child[0].lifetime_ms;
    ike->rekey_fuzz_percent = 100;
    ike->dpd_delay_ms = 20 * SECOND + world_random(world, 20000);
    ike->retransmit_interval_ms = 500;
    ike->retransmit_timeout_ms = 60 * SECOND;
    ike->force_encapsulation = true;
    config->nat_keepalive_ms = 20 * SECOND;
    ike->fragmentation = true;
    ike->session_resumption = world->seed % 2; /* nothing is drawn for it: other seeds stay what they were */
    ike->accept_redirect = world->seed % 3 == 0;
    ike->mobike = world->mobike;
    ike->initial_contact = true;
    path_config_defaults(&config->path);
    config->path.staggered = world->staggered;
    config->path.tls = world->staggered && world->seed % 8 == 1 ? PATH_FALLBACK : PATH_NO;
    config->local_port = 500;
    config->accept_tcp = config->accept_udp = true;
    config->after_loss = PEER_AFTER_RESTART;
}

static void configure_client(struct world *world, struct node *node, const struct peer_config *common) {
    struct peer_config config = *common;
    char name[16];
    snprintf(name, sizeof name, "client%d", node->number);
    set_identity(&config.ike.local_id, name);
    set_identity(&config.ike.remote_id, "east");
    config.may_initiate = true;
    snprintf(config.remote_host, sizeof config.remote_host, "192.0.2.1");
    config.ike.child[0].local.selector[0] = host_selector(&node->inner, 32);
    config.ike.child[0].remote.selector[0] = host_selector(&world->node[0].inner, 32);
    config.ike.child[0].local.count = config.ike.child[0].remote.count = world->transport ? 0 : 1;
    config.start = PEER_START_AUTO;
    config.ike.child[0].aggfrag = (world->seed + (uint64_t)node->number) % 5 != 0; /* nothing is drawn for it */
    *node->config = config;
}

static void configure_east(struct world *world, struct node *node, const struct peer_config *common) {
    struct peer_config config = *common;
    set_identity(&config.ike.local_id, "east");
    config.may_initiate = false;
    config.after_loss = PEER_AFTER_CLEAR;
    config.ike.child[0].aggfrag = world->seed % 4 != 0;
    config.ike.child[0].local.selector[0] = host_selector(&node->inner, 32);
    config.ike.child[0].remote.selector[0] = host_selector(&world->node[1].inner, 16);
    config.ike.child[0].local.count = config.ike.child[0].remote.count = world->transport ? 0 : 1;
    *node->config = config;
}

static struct address outer_of(const struct world *world, size_t number) {
    (void)world;
    return (struct address){.family = 4, .octets = {192, 0, 2, (uint8_t)(1 + number)}};
}

static void draw_network(struct world *world) {
    world->udp_blocked = world_chance(world, 600);
    world->nat_port_blocked = !world->udp_blocked && world_chance(world, 250);
    world->udp_was_open = !world->udp_blocked && !world->nat_port_blocked;
    world->mobike = world_chance(world, 700);
    world->staggered = world->options.staggered || world->seed % 4 == 1; /* drawn by nobody: see session_resumption */
    world->delay_min = 1 + world_random(world, 40);
    world->delay_spread = world_chance(world, 500) ? world_random(world, 30) : 0;
    world->loss_permille = world_chance(world, 500) ? world_random(world, 40) : 0;
    world->duplicate_permille = world_chance(world, 500) ? world_random(world, 100) : 0;
    world->nat = world_chance(world, 400);
    world->nodes = world_chance(world, 250) ? 3 : 2;
    if (world->options.nodes)
        world->nodes = world->options.nodes;
    if (world->options.duplicates)
        world->duplicate_permille = world->options.duplicates;
    if (world->options.loss)
        world->loss_permille = world->options.loss;
    world->transport = world->nodes == 2 && world_chance(world, 250); /* two behind one NAT can't both have it */
    if (world->staggered && world->seed % 8 >= 4)
        world->udp_slow = 150 + world->seed * 37 % 400;
    world->began_at = world->now;
    world->end = world->now + 3600 * SECOND;
}

static void set_up(struct world *world) {
    draw_network(world);
    struct peer_config *common = calloc(1, sizeof *common);
    if (!common)
        abort();
    configure_common(world, common);
    draw_proposals(world, &common->ike);
    for (size_t i = 0; i < world->nodes; i++) {
        struct node *node = &world->node[i];
        node->inner = (struct address){.family = 4, .octets = {10, i == 0 ? 2 : 1, 0, (uint8_t)(1 + i)}};
        if (!node_begin(world, node, (int)i, common, outer_of(world, i)))
            abort();
        memset(node->psk, 'k', sizeof node->psk);
    }
    for (size_t i = 0; i < world->nodes; i++) {
        struct node *node = &world->node[i];
        if (world->nat && i > 0) {
            node->seen_as = (struct address){.family = 4, .octets = {203, 0, 113, 1}};
            node->seen_as.port = (uint16_t)(10000 * i);
        }
        if (i == 0)
            configure_east(world, node, common);
        else
            configure_client(world, node, common);
        node_take(node, peers_configure(node->peers, world->now, node->config, 1));
        struct event *event = world_schedule(world, 5 * SECOND + world_random(world, 5000), EVENT_INNER);
        event->node = node;
    }
    free(common);
}

void sim_run(uint64_t seed, const struct sim_options *options, struct sim_result *result) {
    struct world *world = malloc(sizeof *world);
    if (!world)
        abort();
    world_begin(world, seed, options);
    set_up(world);
    faults_plan(world);
    world_run_until(world, world->end);
    struct peer_status *status = malloc(sizeof *status);
    if (status && node_status(&world->node[1], "tunnel", status)) {
        result->rekeys = status->rekeys;
        result->reconnects = status->reconnects;
    }
    free(status);
    checks_at_the_end(world);
    for (size_t i = 0; i < world->inners; i++)
        world->lost += !world->inner[i].delivered;
    result->cuts = world->cuts;
    result->holes = world->holes;
    result->attacks = world->attacks;
    result->delivered = world->delivered;
    result->lost = world->lost;
    result->trace = world->trace;
    result->failed = world->failure[0] != 0;
    memcpy(result->failure, world->failure, sizeof result->failure);
    world_end(world);
    free(world);
}
