/* checks.c: what must hold at the end: both sides agree, no SA was lost on the way, every packet arrived that was sent while
 * nothing was wrong, the replay window has its size, and after the end nothing is left. */
#include "sim.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static bool twin(const struct world *world, const struct peer_status *of, struct peer_status *out) {
    for (size_t n = 0; peers_status(world->node[0].peers, n, out); n++)
        if (out->has_ike && memcmp(out->fingerprint, of->fingerprint, sizeof of->fingerprint) == 0)
            return true;
    return false;
}

static void check_children(
    struct world *world, const struct node *node, const struct peer_status *here, const struct peer_status *there) {
    if (here->children != 1 || there->children != 1) {
        world_fail(world, "%s has %zu Child SAs, east %zu of the same; one is configured", node->name, here->children,
            there->children);
        return;
    }
    const struct peer_child *a = here->child[0].child, *b = there->child[0].child;
    if (a->spi_in != b->spi_out || a->spi_out != b->spi_in)
        world_fail(world, "%s and east disagree on SPIs: %08x/%08x and %08x/%08x", node->name, a->spi_in, a->spi_out,
            b->spi_in, b->spi_out);
}

/* Nothing outlives its lifetime: a rekey comes before, or the end. */
static void check_ages(struct world *world, const struct node *node, const struct peer_status *status) {
    uint64_t child = status->children ? status->child[0].since + world->child_lifetime : NEVER;
    if (status->ike.established_at + world->ike_lifetime < world->now)
        world_fail(world, "%s has an IKE SA that is older than its lifetime", node->name);
    else if (child < world->now)
        world_fail(world, "%s has a Child SA that is older than its lifetime", node->name);
}

static bool over_udp(const struct node *node) {
    struct peer_status *status = malloc(sizeof *status);
    bool udp = status && node_status(node, "tunnel", status) && status->transport == TRANSPORT_UDP;
    free(status);
    return udp;
}

/* Streams that carry nothing are gone after a while (L6, L9, L12), also after a move to UDP (K15). */
static void check_streams(struct world *world) {
    for (size_t i = 0; i < world->nodes; i++) {
        struct node *node = &world->node[i];
        struct peers_totals totals;
        peers_totals(node->peers, &totals);
        size_t most = i == 0 ? world->nodes - 1 : over_udp(node) ? 0 : 1;
        if (totals.streams > most || totals.streams != network_streams(world, node))
            world_fail(world, "%s has %zu streams, the network knows %zu, and %zu are enough", node->name,
                totals.streams, network_streams(world, node), most);
    }
}

/* Both sides agree on keys and SAs; no SA was lost on the way: what came up first is still the same peer. */
static void check_agreement(struct world *world) {
    struct peer_status *here = malloc(sizeof *here), *there = malloc(sizeof *there);
    if (!here || !there)
        abort();
    for (size_t i = 1; i < world->nodes && !world->failure[0]; i++) {
        struct node *node = &world->node[i];
        if (!node_status(node, "tunnel", here) || here->state != PEER_STATE_UP)
            world_fail(world, "%s is not up at the end", node->name);
        else if (!twin(world, here, there))
            world_fail(world, "%s and east do not agree on the keys of the IKE SA", node->name);
        else
            check_children(world, node, here, there);
        if (!world->failure[0])
            check_ages(world, node, here);
        if (!world->failure[0] && here->transport == TRANSPORT_NONE)
            world_fail(world, "%s is up over nothing", node->name);
        /* After a restart an attempt may meet the next fault and be made again; without one nothing ever goes down. */
        uint64_t again = world->restarts + (world->mobike ? 0 : world->roams + world->udp_deaths);
        if (node->seen_downs > again || node->seen_ups < 1 || node->seen_ups > 1 + world->redirects + 2 * again)
            world_fail(world, "%s lost its IKE SA: it came up %" PRIu64 " times, went down %" PRIu64, node->name,
                node->seen_ups, node->seen_downs);
    }
    struct peers_totals totals;
    peers_totals(world->node[0].peers, &totals);
    if (!world->failure[0] && (totals.ike_sas != world->nodes - 1 || totals.half_open != 0))
        world_fail(world, "east has %zu IKE SAs and %zu half-open ones for %zu clients", totals.ike_sas,
            totals.half_open, world->nodes - 1);
    check_streams(world);
    free(here);
    free(there);
}

bool checks_after_restart(struct world *world, uint64_t until) {
    struct peer_status *here = malloc(sizeof *here), *there = malloc(sizeof *there);
    const struct node *alone = NULL;
    if (!here || !there)
        abort();
    for (size_t i = 1; i < world->nodes; i++) {
        const struct node *node = &world->node[i];
        if (!node_status(node, "tunnel", here) || here->state != PEER_STATE_UP || !twin(world, here, there))
            alone = node;
    }
    free(here);
    free(there);
    if (alone && world->now >= until)
        world_fail(world, "%s is not up again %d s after the restart", alone->name, (int)(RESTART_MS / SECOND));
    return !alone;
}

/* An exchange may be on its way when the hour is over: within 70 s both sides agree. So long, because who answers a DELETE
 * forgets the IKE SA, and when that answer is lost the other side asks until its time is up. */
static void settle(struct world *world) {
    for (int i = 0; i < 70; i++) {
        world->failure[0] = 0;
        check_agreement(world);
        if (!world->failure[0])
            return;
        char failure[sizeof world->failure];
        memcpy(failure, world->failure, sizeof failure);
        world->failure[0] = 0;
        world_run_until(world, world->now + SECOND);
        if (world->failure[0])
            return; /* something worse happened meanwhile */
        memcpy(world->failure, failure, sizeof failure);
    }
}

/* A packet each way arrives within two round trips. */
static void check_traffic(struct world *world) {
    for (size_t i = 1; i < world->nodes; i++) {
        size_t first = world->inners;
        inner_send(world, &world->node[i], &world->node[0]);
        inner_send(world, &world->node[0], &world->node[i]);
        world_run_until(world, world->now + 2 * (world->delay_min + world->delay_spread) + 1);
        for (size_t n = first; n < first + 2 && n < world->inners; n++)
            if (!world->inner[n].delivered)
                world_fail(world, "a packet from %s to %s did not arrive", world->node[world->inner[n].from].name,
                    world->node[world->inner[n].to].name);
    }
}

/* A packet as late as the window allows, or just later. */
static void check_window(struct world *world, struct node *from, struct node *to) {
    uint32_t size = from->config->ike.child[0].replay_window;
    bool too_late = world_chance(world, 500);
    uint64_t patience = 2 * (world->delay_min + world->delay_spread) + 1;
    struct held_inner held, last;
    if (!inner_hold(world, from, to, &held))
        return;
    for (uint32_t i = 1; i < size; i++) /* one ESP packet each */
        if (inner_hold(world, from, to, &last))
            inner_release(world, &last);
    if (too_late) {
        if (!inner_hold(world, from, to, &last))
            return;
        inner_release(world, &last);
        world_run_until(world, world->now + patience);
        if (!world->inner[last.number].delivered || last.spi != held.spi)
            return; /* rekeyed in this very moment */
    }
    inner_release(world, &held);
    size_t sent = world->inners;
    world_run_until(world, world->now + patience);
    if (world->inners != sent)
        return; /* another packet went by meanwhile, and moved the window */
    if (world->inner[held.number].delivered == too_late)
        world_fail(world, "%s: a packet that was %u behind the newest %s; the window has %u", to->name,
            too_late ? size : size - 1, too_late ? "came out" : "did not come out", size);
}

/* What was sent while nothing was wrong arrives, whatever is being rekeyed, also where a DELETE overtakes it. */
static void check_losses(struct world *world) {
    if (world->loss_permille > 0 && world->udp_was_open)
        return;
    for (size_t i = 0; i < world->inners; i++) {
        const struct inner_packet *inner = &world->inner[i];
        if (inner->delivered || inner->excused || disturbed(world, inner->sent_at) ||
            inner->sent_at + SECOND > world->now)
            continue;
        world_fail(world,
            "packet %zu from %s to %s, sent at %" PRIu64 ".%03" PRIu64 " s, was lost although nothing was wrong", i,
            world->node[inner->from].name, world->node[inner->to].name, inner->sent_at / 1000, inner->sent_at % 1000);
        return;
    }
}

static void check_nothing_left(struct world *world) {
    world->ending = true;
    for (size_t i = 0; i < world->nodes; i++)
        node_take(&world->node[i], peers_shutdown(world->node[i].peers, world->now));
    world_run_until(world, world->now + 10 * SECOND);
    for (size_t i = 0; i < world->nodes && !world->failure[0]; i++) {
        struct node *node = &world->node[i];
        struct peers_totals totals;
        peers_totals(node->peers, &totals);
        size_t anchors = traffic_anchors(node->traffic), sas = traffic_sas(node->traffic);
        if (!peers_idle(node->peers) || totals.ike_sas || totals.child_sas || totals.streams || anchors || sas)
            world_fail(world,
                "%s is not empty after its end: %zu IKE SAs, %zu Child SAs, %zu streams, %zu anchors, "
                "%zu ESP SAs%s",
                node->name, totals.ike_sas, totals.child_sas, totals.streams, anchors, sas,
                peers_idle(node->peers) ? "" : ", not idle");
    }
}

void checks_at_the_end(struct world *world) {
    if (!world->failure[0])
        settle(world);
    if (!world->failure[0])
        check_losses(world);
    world->loss_permille = 0;
    if (!world->failure[0])
        check_traffic(world);
    if (!world->failure[0] && world_chance(world, 500))
        check_window(world, &world->node[1], &world->node[0]);
    else if (!world->failure[0])
        check_window(world, &world->node[0], &world->node[1]);
    if (!world->failure[0])
        check_nothing_left(world);
}
