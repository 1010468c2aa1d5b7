/* lives.c: rekeys that keep the stream, reloads, replacements, endings, and which connection a Responder takes. */
#include "net.h"

static void over_tcp(struct net *net) {
    net->end[WEST].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 2 * SECOND);
}

static void rekey(struct net *net, int end, bool ike) {
    struct error err;
    net_take(net, end, peers_rekey(net->end[end].peers, net->now, "office", ike, &err));
    assert_int_equal(err.origin, ORIGIN_NONE);
}

static void assert_agree(struct net *net) {
    struct peer_status west = *net_status(net, WEST), *east = net_status(net, EAST);
    assert_true(west.has_ike && east->has_ike);
    assert_memory_equal(west.fingerprint, east->fingerprint, 32);
    assert_int_equal(west.children, 1);
    assert_int_equal(east->children, 1);
    assert_int_equal(west.child[0].child->spi_in, east->child[0].child->spi_out);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void rekeys_of_both_kinds(struct net *net, int end) {
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    uint32_t child = net_status(net, WEST)->child[0].child->spi_in, anchor = net_status(net, EAST)->anchor;
    rekey(net, end, true);
    net_run(net, SECOND);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_int_equal(net_status(net, WEST)->child[0].child->spi_in, child);
    assert_int_equal(net_status(net, WEST)->rekeys, 1);
    assert_int_equal(net_status(net, EAST)->rekeys, 1);
    assert_agree(net);
    rekey(net, end, false);
    net_run(net, SECOND);
    assert_int_not_equal(net_status(net, WEST)->child[0].child->spi_in, child);
    assert_agree(net);
    assert_int_equal(net_status(net, EAST)->anchor, anchor);
    assert_int_equal(net->connects, 1);
    assert_int_equal(net_open_streams(net, EAST), 1);
    net_run(net, 70 * SECOND);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_int_equal(net->connects, 1);
}

static void clients_of_one_connection_can_not_claim_each_others_addresses(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    struct selector_list *claims = &net->end[NORTH].config->ike.child[0].local;
    const struct selector its_own = claims->selector[0];
    claims->selector[0] = net->end[WEST].config->ike.child[0].local.selector[0];
    claims->selector[0].last = claims->selector[0].first; /* a part of it is enough */
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, 3 * SECOND);
    assert_non_null(net_said(net, EAST, "belongs to another peer that is up"));
    assert_int_equal(net_totals(net, NORTH).child_sas, 0);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    claims->selector[0] = its_own;
    net->end[NORTH].config->revision++;
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, 3 * SECOND);
    assert_true(net_ping(net, NORTH, EAST));
}

static void go_down(struct net *net, int end) {
    size_t found = 0;
    net_take(net, end, peers_down(net->end[end].peers, net->now, "office", &found));
    assert_int_equal(found, 1);
    net_run(net, 3 * SECOND);
}

static void is_refused_what_west_has(struct net *net, bool west_has_one, bool north_wants_one) {
    struct selector *has = &net->end[WEST].config->ike.child[0].local.selector[0],
                    *wants = &net->end[NORTH].config->ike.child[0].local.selector[0];
    struct selector all = *has;
    if (west_has_one)
        has->last = has->first;
    net_configure(net, WEST);
    net_bring_up(net);
    *wants = all;
    if (north_wants_one)
        wants->last = wants->first;
    net->end[NORTH].config->revision++;
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, 3 * SECOND);
    assert_non_null(net_said(net, EAST, "belongs to another peer that is up"));
    assert_int_equal(net_totals(net, NORTH).child_sas, 0);
    go_down(net, WEST); /* then they are nobody's */
    net_up(net, NORTH);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_totals(net, NORTH).child_sas, 1);
}

static void one_address_is_not_claimed_twice(void **state) {
    is_refused_what_west_has(*state, true, true);
}

static void a_network_is_not_claimed_that_has_anothers_address(void **state) {
    is_refused_what_west_has(*state, true, false);
}

static void an_address_is_not_claimed_out_of_anothers_network(void **state) {
    is_refused_what_west_has(*state, false, true);
}

static void a_client_that_comes_again_takes_its_own_addresses(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    net_restart(net, WEST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_null(net_said(net, EAST, "belongs to another peer"));
    assert_true(net_ping(net, EAST, WEST));
}

static void the_walk_of_status_names_each_once(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, 2 * SECOND);
    static struct peer_status status;
    struct peers_cursor cursor = {0};
    assert_true(peers_status_next(net->end[EAST].peers, &cursor, &status));
    peer_id first = status.peer;
    assert_true(peers_status_next(net->end[EAST].peers, &cursor, &status));
    assert_true(status.peer != 0 && status.peer != first);
    assert_false(peers_status_next(net->end[EAST].peers, &cursor, &status)); /* the connection has peers */
    assert_false(peers_status_next(net->end[EAST].peers, &cursor, &status));
    size_t found;
    net_take(net, NORTH, peers_down(net->end[NORTH].peers, net->now, "office", &found));
    net_run(net, 2 * SECOND);
    cursor = (struct peers_cursor){0};
    assert_true(peers_status_next(net->end[NORTH].peers, &cursor, &status)); /* this one has none */
    assert_int_equal(status.peer, 0);
    assert_string_equal(status.name, "office");
    assert_false(peers_status_next(net->end[NORTH].peers, &cursor, &status));
}

static void L8_a_rekey_by_the_originator_keeps_the_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    rekeys_of_both_kinds(net, WEST);
}

static void L8_a_rekey_by_the_responder_keeps_the_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    rekeys_of_both_kinds(net, EAST);
}

static void O7_after_a_rekey_by_the_responder_the_originator_still_connects_again(void **state) {
    struct net *net = *state;
    over_tcp(net);
    rekey(net, EAST, true);
    net_run(net, SECOND);
    net_cut(net);
    net_run(net, SECOND);
    assert_int_equal(net->connects, 2);
    assert_agree(net);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void L8_rekeys_that_cross_leave_one_ike_sa_and_one_child_sa(void **state) {
    struct net *net = *state;
    over_tcp(net);
    rekey(net, WEST, true);
    rekey(net, EAST, true);
    net_run(net, 10 * SECOND);
    assert_agree(net);
    rekey(net, WEST, false);
    rekey(net, EAST, false);
    net_run(net, 20 * SECOND);
    assert_agree(net);
    net_run(net, 70 * SECOND);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_int_equal(net->connects, 1);
}

static void a_cut_in_the_middle_of_a_rekey_loses_nothing(void **state) {
    struct net *net = *state;
    over_tcp(net);
    for (uint64_t after = 0; after < 30; after += 3) {
        rekey(net, after % 2 ? EAST : WEST, after % 4 < 2);
        net_run(net, after);
        net_cut(net);
        net_run(net, 20 * SECOND);
        assert_agree(net);
    }
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
}

static void a_reload_keeps_what_is_unchanged(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_configure(net, WEST);
    net_configure(net, EAST);
    net_run(net, SECOND);
    assert_true(net_status(net, WEST)->ike.spi_i == spi);
    assert_int_equal(net->connects, 1);
    assert_agree(net);
}

static void a_reload_deletes_what_changed_and_begins_what_is_automatic(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net->end[WEST].config->revision = 2;
    net->end[WEST].config->start = PEER_START_AUTO;
    net_configure(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_agree(net);
}

static void a_reload_without_the_connection_takes_it_down(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_take(net, WEST, peers_configure(net->end[WEST].peers, net->now, NULL, 0));
    net_run(net, SECOND);
    struct peer_status status;
    assert_false(peers_status(net->end[WEST].peers, 0, &status));
    assert_int_equal(net_totals(net, EAST).peers, 0);
    assert_false(net->end[WEST].host);
}

static void when_the_gateway_deletes_an_automatic_client_comes_back(void **state) {
    struct net *net = *state;
    net->end[WEST].config->start = PEER_START_AUTO;
    net->end[WEST].config->path.tcp = PATH_YES;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_run(net, SECOND);
    size_t found;
    net_take(net, EAST, peers_down(net->end[EAST].peers, net->now, "office", &found));
    assert_int_equal(found, 1);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, EAST).peers, 0);
    net_run(net, 8 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    assert_agree(net);
}

static void a_shutdown_deletes_politely_and_within_two_seconds_even_when_nobody_answers(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_take(net, WEST, peers_shutdown(net->end[WEST].peers, net->now));
    assert_false(net->end[WEST].host); /* at once */
    net_run(net, 30);
    assert_true(peers_idle(net->end[WEST].peers));
    assert_int_equal(net_totals(net, EAST).peers, 0);
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, 3 * SECOND);
    net_break_silently(net);
    net->udp_blocked = true;
    net_take(net, NORTH, peers_shutdown(net->end[NORTH].peers, net->now));
    net_run(net, 1999);
    assert_true(peers_idle(net->end[NORTH].peers));
    assert_int_equal(traffic_anchors(net->end[NORTH].traffic), 0);
    net->udp_blocked = false;
}

static void two_clients_at_once_have_their_own_sas(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_totals(net, EAST).peers, 2);
    assert_true(net_ping(net, NORTH, EAST));
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    assert_true(net_ping(net, EAST, NORTH));
}

/* Both ends are configured to begin. */
static void both_sides(struct net *net) {
    for (int end = WEST; end <= EAST; end++) {
        struct peer_config *config = net->end[end].config;
        config->start = PEER_START_AUTO;
        config->may_initiate = true;
        snprintf(config->remote_host, sizeof config->remote_host, "peer");
        config->ike.remote_id = net->end[end == WEST ? EAST : WEST].config->ike.local_id;
        config->after_loss = PEER_AFTER_RESTART;
    }
    net->end[EAST].config->ike.child[0].remote = net->end[WEST].config->ike.child[0].local;
}

/* East begins a little later than west: at every moment of west's own handshake. */
static void when_both_sides_begin_one_ike_sa_stays_and_both_agree_on_it(void **state) {
    struct net *net = *state;
    both_sides(net);
    for (uint64_t offset = 0; offset < 60; offset += 3) {
        bool udp = offset % 2 == 1;
        for (int end = WEST; end <= EAST; end++) {
            net->end[end].config->path.tcp = udp ? PATH_NO : PATH_YES;
            net->end[end].config->revision++;
            net_take(net, end, peers_configure(net->end[end].peers, net->now, NULL, 0));
        }
        net_run(net, 10 * SECOND);
        net->lines = 0;
        net_configure(net, WEST);
        net_run(net, offset);
        net_configure(net, EAST);
        net_run(net, 2 * SECOND); /* nobody had to begin again: that takes longer */
        assert_int_equal(net_totals(net, WEST).peers, 1);
        assert_int_equal(net_totals(net, EAST).peers, 1);
        assert_agree(net);
        assert_true(net->end[WEST].host && net->end[EAST].host);
        assert_true(net_count(net, WEST, PEER_UP, 0) > 0 && net_count(net, EAST, PEER_UP, 0) > 0);
    }
}

static void name_after(struct peer_config *config, const struct net_end *other, const char *host) {
    net_config(config, EAST);
    snprintf(config->name, sizeof config->name, "%s", host);
    snprintf(config->remote_host, sizeof config->remote_host, "%s", host);
    config->may_initiate = true;
    config->start = PEER_START_AUTO;
    config->path.tcp = PATH_YES;
    config->ike.remote_id = other->config->ike.local_id;
    config->ike.child[0].remote = other->config->ike.child[0].local;
}

/* East was called by both, hears from both that it is over, and calls both: what one does is nothing to the other. */
static void responders_that_begin_anew_have_a_path_each(void **state) {
    struct net *net = *state;
    static struct peer_config config[2];
    static const int clients[] = {WEST, NORTH};
    size_t found;
    name_after(&config[0], &net->end[WEST], "west");
    name_after(&config[1], &net->end[NORTH], "north");
    net->tcp_refused = true; /* east's own first attempts fail */
    net_take(net, EAST, peers_configure(net->end[EAST].peers, net->now, config, 2));
    net_run(net, SECOND);
    net->tcp_refused = false;
    for (int i = 0; i < 2; i++) {
        net->end[clients[i]].config->path.tcp = PATH_YES;
        net_configure(net, clients[i]);
        net_up(net, clients[i]);
    }
    net_run(net, SECOND);
    assert_int_equal(net_totals(net, EAST).child_sas, 2);
    for (int i = 0; i < 2; i++)
        net_take(net, clients[i], peers_down(net->end[clients[i]].peers, net->now, "office", &found));
    net_run(net, 15 * SECOND);
    assert_int_equal(net_totals(net, EAST).child_sas, 2);
    net_cut(net); /* east opens both again, each to where it was */
    net_run(net, 3 * SECOND);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(net_status(net, clients[i])->reconnects, 1);
        assert_true(net_ping(net, EAST, clients[i]));
        assert_true(net_ping(net, clients[i], EAST));
    }
}

/* %defaultroute: east's own address is another one than when its configuration was read. */
static void a_gateway_whose_own_address_changed_is_called_at_the_new_one(void **state) {
    struct net *net = *state;
    struct peer_config *config = net->end[EAST].config;
    snprintf(net->end[WEST].config->remote_host, sizeof config->remote_host, "gateway");
    config->local = net->end[EAST].outer;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net->end[EAST].outer.octets[3] = 7;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 0); /* left=192.0.2.2 means that address */
    config->local_may_change = true;
    config->revision++;
    net_configure(net, EAST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_true(net_ping(net, WEST, EAST));
}

/* Of two that would do, the one that is meant for the address at which we are called. */
static void a_connection_for_this_very_address_goes_before_one_that_may_change(void **state) {
    struct net *net = *state;
    static struct peer_config config[2];
    for (int i = 0; i < 2; i++) {
        net_config(&config[i], EAST);
        config[i].local = net->end[EAST].outer;
    }
    snprintf(config[0].name, sizeof config[0].name, "roams");
    config[0].local.octets[3] = 9;
    config[0].local_may_change = true;
    net_take(net, EAST, peers_configure(net->end[EAST].peers, net->now, config, 2));
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_string_equal(net_status(net, EAST)->name, "office");
}

static void a_responder_goes_on_with_the_old_child_sa_until_the_new_one_is_used(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct peer_child old = *net_status(net, EAST)->child[0].child;
    rekey(net, WEST, false);
    net_run(net, NET_DELAY); /* east has answered, west does not know it yet */
    assert_int_equal(net_totals(net, EAST).child_sas, 2);
    net->frames = 0;
    uint8_t inner[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 2, 0, 1, 10, 1, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0};
    struct traffic_route route;
    assert_true(traffic_route(net->end[EAST].traffic, 0, inner, sizeof inner, &route));
    assert_int_equal(esp_sa_spi_out(route.sa), old.spi_out);
    net_run(net, SECOND);
    assert_true(traffic_route(net->end[EAST].traffic, 0, inner, sizeof inner, &route));
    assert_int_not_equal(esp_sa_spi_out(route.sa), old.spi_out);
    assert_agree(net);
}

static void authentic_esp_is_life_enough_and_spares_the_liveness_check(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t west = net->end[WEST].ike_sent, east = net->end[EAST].ike_sent;
    for (int i = 0; i < 20; i++) {
        assert_true(net_ping(net, WEST, EAST));
        assert_true(net_ping(net, EAST, WEST));
        net_run(net, 10 * SECOND);
    }
    /* but for a packet just after a look at the counters, which nobody answers */
    assert_in_range(net->end[WEST].ike_sent - west + net->end[EAST].ike_sent - east, 0, 4);
    west = net->end[WEST].ike_sent;
    east = net->end[EAST].ike_sent;
    net_run(net, 40 * SECOND);
    assert_true(net->end[WEST].ike_sent > west);
}

static void the_most_specific_connection_is_taken_by_the_identity(void **state) {
    struct net *net = *state;
    static struct peer_config config[3];
    for (int i = 0; i < 3; i++)
        net_config(&config[i], EAST);
    snprintf(config[0].name, sizeof config[0].name, "any");
    snprintf(config[1].name, sizeof config[1].name, "others");
    snprintf(config[2].name, sizeof config[2].name, "named");
    config[1].ike.remote_id = net->end[NORTH].config->ike.local_id;
    config[2].ike.remote_id = net->end[WEST].config->ike.local_id;
    net_take(net, EAST, peers_configure(net->end[EAST].peers, net->now, config, 3));
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_string_equal(net_status(net, EAST)->name, "named");
    assert_true(net_ping(net, WEST, EAST));
}

static void an_identity_that_nobody_knows_is_refused(void **state) {
    struct net *net = *state;
    net->end[EAST].config->ike.remote_id = net->end[NORTH].config->ike.local_id;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_non_null(net_said(net, EAST, "no connection is configured for @west"));
}

static void a_second_child_configuration_is_asked_for_after_the_first(void **state) {
    struct net *net = *state;
    struct ike_config *ike = &net->end[WEST].config->ike;
    ike->children = 2;
    ike->child[1] = ike->child[0];
    ike->child[1].name = "second";
    ike->child[1].local.selector[0].first.octets[1] = ike->child[1].local.selector[0].last.octets[1] = 9;
    net_bring_up(net);
    net_run(net, SECOND);
    assert_int_equal(net_totals(net, WEST).child_sas, 2);
    assert_int_equal(net_totals(net, EAST).child_sas, 2);
    assert_non_null(net_said(net, WEST, "Child SA installed: 10.9.0.0/24 <-> 10.2.0.0/24"));
}

static void lifetimes_rekey_by_themselves_and_traffic_never_stops(void **state) {
    struct net *net = *state;
    for (int end = WEST; end <= EAST; end++) {
        net->end[end].config->ike.lifetime_ms = 900 * SECOND;
        net->end[end].config->ike.child[0].lifetime_ms = 400 * SECOND;
        net->end[end].config->ike.rekey_margin_ms = 60 * SECOND;
    }
    over_tcp(net);
    for (int i = 0; i < 400; i++) {
        assert_true(net_ping(net, WEST, EAST));
        assert_true(net_ping(net, EAST, WEST));
        net_run(net, 10 * SECOND);
    }
    assert_true(net_status(net, WEST)->rekeys >= 3);
    assert_int_equal(net->connects, 1);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_agree(net);
}

/* East lets its Child SA end after 20 s and does not rekey it. */
static void east_deletes_the_child_sa(struct net *net) {
    net->end[EAST].config->ike.child[0].lifetime_ms = 20 * SECOND;
    net->end[EAST].config->ike.rekey_margin_ms = 0;
    over_tcp(net);
    net_run(net, 20 * SECOND);
    assert_non_null(net_said(net, WEST, "the peer deleted the Child SA 10.1.0.0/24 <-> 10.2.0.0/24"));
    assert_int_equal(net_status(net, WEST)->children, 0);
    assert_false(net->end[WEST].host);
}

static void up_makes_the_child_sa_again_that_the_peer_deleted(void **state) {
    struct net *net = *state;
    east_deletes_the_child_sa(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_run(net, 10 * SECOND);
    assert_int_equal(net_status(net, WEST)->children, 0);
    assert_int_not_equal(net_up(net, WEST), 0);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1); /* who asks waits until it is there */
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    assert_true(net->end[WEST].host);
    assert_true(net_status(net, WEST)->ike.spi_i == spi);
    assert_agree(net);
}

static void a_child_sa_that_the_peer_deleted_comes_back_when_automatic(void **state) {
    struct net *net = *state;
    net->end[WEST].config->start = PEER_START_AUTO;
    east_deletes_the_child_sa(net);
    net_run(net, 6 * SECOND);
    assert_agree(net);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(L8_a_rekey_by_the_originator_keeps_the_connection),
        T(one_address_is_not_claimed_twice),
        T(a_network_is_not_claimed_that_has_anothers_address),
        T(an_address_is_not_claimed_out_of_anothers_network),
        T(clients_of_one_connection_can_not_claim_each_others_addresses),
        T(a_client_that_comes_again_takes_its_own_addresses),
        T(the_walk_of_status_names_each_once),
        T(L8_a_rekey_by_the_responder_keeps_the_connection),
        T(O7_after_a_rekey_by_the_responder_the_originator_still_connects_again),
        T(L8_rekeys_that_cross_leave_one_ike_sa_and_one_child_sa),
        T(a_cut_in_the_middle_of_a_rekey_loses_nothing),
        T(a_reload_keeps_what_is_unchanged),
        T(a_reload_deletes_what_changed_and_begins_what_is_automatic),
        T(a_reload_without_the_connection_takes_it_down),
        T(when_the_gateway_deletes_an_automatic_client_comes_back),
        T(a_shutdown_deletes_politely_and_within_two_seconds_even_when_nobody_answers),
        T(two_clients_at_once_have_their_own_sas),
        T(when_both_sides_begin_one_ike_sa_stays_and_both_agree_on_it),
        T(responders_that_begin_anew_have_a_path_each),
        T(a_gateway_whose_own_address_changed_is_called_at_the_new_one),
        T(a_connection_for_this_very_address_goes_before_one_that_may_change),
        T(a_responder_goes_on_with_the_old_child_sa_until_the_new_one_is_used),
        T(authentic_esp_is_life_enough_and_spares_the_liveness_check),
        T(the_most_specific_connection_is_taken_by_the_identity),
        T(an_identity_that_nobody_knows_is_refused),
        T(a_second_child_configuration_is_asked_for_after_the_first),
        T(up_makes_the_child_sa_again_that_the_peer_deleted),
        T(a_child_sa_that_the_peer_deleted_comes_back_when_automatic),
        T(lifetimes_rekey_by_themselves_and_traffic_never_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
