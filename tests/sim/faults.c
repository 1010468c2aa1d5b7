/* faults.c: what goes wrong in a run, and when: at least three cuts, rekeys from both sides, attacks, dead
 * times. Each says how long it may be felt; at all other times every packet must arrive. */
#include "sim.h"

enum fault {
    FAULT_CUT,
    FAULT_HOLE,
    FAULT_REKEY_BOTH,
    FAULT_REKEY_ONE,
    FAULT_REBIND,
    FAULT_UDP_DEAD,
    FAULT_UDP_BACK,
    FAULT_ATTACK,
    FAULT_TCP_DEAD,
    FAULT_TCP_BACK,
    FAULT_ROAM,
    FAULT_ROAM_NOTICED,
    FAULT_UDP_OPENS,
    FAULT_UDP_SHUTS,
    FAULT_REDIRECT,
    FAULT_RESTART,
    FAULT_AFTER_RESTART
};

static void plan(struct world *world, enum fault fault, uint64_t at) {
    struct event *event = world_schedule(world, at > world->now ? at - world->now : 0, EVENT_FAULT);
    event->fault = (int)fault;
}

/* From two minutes after the start to five minutes before the end; then it is calm, so that all must come back. */
static uint64_t some_time(struct world *world) {
    uint64_t from = 120 * SECOND, until = world->end - 300 * SECOND;
    return from + random_u32(&world->random) % (until - from);
}

void faults_plan(struct world *world) {
    for (int i = 0; i < 3; i++)
        plan(world, FAULT_CUT, some_time(world));
    for (uint32_t i = world_random(world, 4); i > 0; i--)
        plan(world, FAULT_CUT, some_time(world));
    for (int i = 0; i < 3; i++)
        plan(world, FAULT_REKEY_BOTH, some_time(world));
    for (uint32_t i = world_random(world, 4); i > 0; i--)
        plan(world, FAULT_REKEY_ONE, some_time(world));
    for (int i = 0; i < 8; i++)
        plan(world, FAULT_ATTACK, some_time(world));
    for (uint32_t i = world_random(world, 3); i > 0; i--)
        plan(world, FAULT_RESTART, some_time(world));
    for (uint32_t i = world_random(world, 4); i > 0; i--)
        plan(world, FAULT_ROAM, some_time(world));
    for (uint32_t i = world_random(world, 3); world->mobike && i > 0; i--) {
        plan(world, FAULT_UDP_OPENS, some_time(world));
        plan(world, FAULT_UDP_SHUTS, some_time(world));
    }
    if (world->nat)
        for (int i = 0; i < 2; i++)
            plan(world, FAULT_REBIND, some_time(world));
    for (uint32_t i = world_random(world, 3); i > 0; i--) {
        /* With losses besides, all seven sends of an exchange can be lost, and giving up would be right. */
        if (world->loss_permille == 0 && world->options.lifetime == 0)
            plan(world, FAULT_UDP_DEAD, some_time(world));
        /* Nor is a short lifetime that ends meanwhile anybody's fault. */
        if (world->options.lifetime == 0)
            plan(world, FAULT_TCP_DEAD, some_time(world));
    }
    for (int i = 0; i < 2 && world->seed % 3 == 0; i++)
        plan(world, FAULT_REDIRECT, some_time(world));
    for (uint32_t i = world_random(world, 3); i > 0 && world->options.lifetime == 0; i--)
        plan(world, FAULT_HOLE, some_time(world));
}

/* Packets each second, so that who runs over UDP has a reason to notice; then all must be up again. */
static void after_restart(struct world *world, uint64_t until) {
    for (size_t i = 1; i < world->nodes; i++) {
        inner_send(world, &world->node[i], &world->node[0]);
        inner_send(world, &world->node[0], &world->node[i]);
    }
    if (world->now < until)
        plan(world, FAULT_AFTER_RESTART, world->now + SECOND);
    else if (world->disturbances == world->restart_disturbances && !checks_after_restart(world, until + 2 * SECOND))
        plan(world, FAULT_AFTER_RESTART, world->now + SECOND); /* a rekey may be on its way in this very moment */
}

/* One thing at a time: while something else is wrong, 30 s may not be enough. */
static void restart(struct world *world) {
    if (disturbed(world, world->now) || world->now + 60 * SECOND > world->end - 120 * SECOND)
        return;
    uint32_t which = world_random(world, (uint32_t)world->nodes);
    world_say(world, "----- %s restarts", world->node[which].name);
    disturb(world, SECOND, RESTART_MS);
    world->restart_over = world->now + RESTART_MS;
    world->restart_disturbances = world->disturbances;
    world->restarts++;
    node_restart(&world->node[which]);
    plan(world, FAULT_AFTER_RESTART, world->now + SECOND);
}

/* Its host says so a moment later. */
static void roam(struct world *world) {
    struct node *node = &world->node[1 + world_random(world, (uint32_t)world->nodes - 1)];
    if (disturbed(world, world->now))
        return;
    world->roams++;
    network_roam(world, node);
    world_say(world, "----- %s is on another network%s", node->name, node->udp_blocked ? ", without UDP" : "");
    disturb(world, SECOND, (world->mobike ? 20 : 80) * SECOND);
    struct event *event = world_schedule(world, world_random(world, 1500), EVENT_FAULT);
    event->fault = FAULT_ROAM_NOTICED;
    event->node = node;
}

static void udp_opens(struct world *world, bool opens) {
    if (world->udp_blocked != opens || disturbed(world, world->now))
        return;
    world_say(world, "----- UDP %s", opens ? "passes from now on" : "does not pass any more");
    world->udp_blocked = !opens;
    world->udp_was_open |= opens;
    if (!opens)
        disturb(world, SECOND, 60 * SECOND); /* until somebody asks */
}

/* East sends all who can to where they are: each makes a new IKE SA there and leaves the old one. */
static void redirect(struct world *world) {
    size_t asked;
    if (disturbed(world, world->now))
        return;
    world->redirects++;
    world_say(world, "----- east redirects");
    disturb(world, SECOND, 60 * SECOND);
    node_take(&world->node[0], peers_redirect(world->node[0].peers, world->now, "tunnel", "192.0.2.1", &asked));
}

static void rekey(struct world *world, struct node *node) {
    struct error error = {0};
    world->rekeys_asked++;
    node_take(node, peers_rekey(node->peers, world->now, "tunnel", world_chance(world, 500), &error));
}

void faults_event(struct world *world, struct event *event) {
    switch ((enum fault)event->fault) {
    case FAULT_CUT:
        world->cuts++;
        world_say(world, "----- cut");
        /* Amid something else it may be the last answer of a handshake that is lost, and its time is 60 s. */
        disturb(world, SECOND, (disturbed(world, world->now) ? 75 : 30) * SECOND);
        network_cut(world, world->options.lifetime ? CUT_RESET : (enum cut)world_random(world, CUTS));
        break;
    case FAULT_HOLE:
        hole_begin(world);
        break;
    case FAULT_REKEY_BOTH: /* so close together that the requests cross */
        world_say(world, "----- both rekey");
        for (size_t i = 0; i < world->nodes; i++)
            rekey(world, &world->node[i]);
        break;
    case FAULT_REKEY_ONE:
        rekey(world, &world->node[world_random(world, (uint32_t)world->nodes)]);
        break;
    case FAULT_REDIRECT:
        redirect(world);
        break;
    case FAULT_REBIND:
        world_say(world, "----- the NAT forgets");
        disturb(world, SECOND, 70 * SECOND); /* until the client says something again */
        network_rebind(world);
        break;
    case FAULT_UDP_DEAD:
        if (disturbed(world, world->now))
            break; /* two in a row may last longer than an exchange, and giving up would be right */
        world_say(world, "----- no UDP for a while");
        world->udp_dead = true;
        world->udp_deaths++;
        disturb(world, SECOND, 21 * SECOND);
        plan(world, FAULT_UDP_BACK, world->now + 1 * SECOND + world_random(world, 19000));
        break;
    case FAULT_UDP_BACK:
        world->udp_dead = false;
        break;
    case FAULT_TCP_DEAD:
        if (disturbed(world, world->now))
            break;
        world_say(world, "----- no TCP for a while");
        world->tcp_blocked = true;
        disturb(world, SECOND, 45 * SECOND); /* and the backoff */
        network_cut(world, CUT_RESET);
        plan(world, FAULT_TCP_BACK, world->now + 1 * SECOND + world_random(world, 19000));
        break;
    case FAULT_TCP_BACK:
        world->tcp_blocked = false;
        break;
    case FAULT_ATTACK:
        attacker_strikes(world);
        break;
    case FAULT_ROAM:
        roam(world);
        break;
    case FAULT_ROAM_NOTICED:
        peers_set_network(event->node->peers, event->node->outer.octets[3]);
        node_take(event->node, peers_network_changed(event->node->peers, world->now));
        break;
    case FAULT_UDP_OPENS:
    case FAULT_UDP_SHUTS:
        udp_opens(world, event->fault == FAULT_UDP_OPENS);
        break;
    case FAULT_RESTART:
        restart(world);
        break;
    case FAULT_AFTER_RESTART:
        after_restart(world, world->restart_over);
        break;
    }
}
