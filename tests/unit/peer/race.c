/* race.c: a staggered attempt (C8): the transports begin one beside the other, and the first that answers IKE goes on. UDP is
 * sent at 0 and 500 ms; TCP begins 1 ms later, is open at 511 and brings its answer at 521. */
#include "net.h"
#include "peer/internal.h"

static void prepare(struct net *net) {
    net->end[WEST].config->path.staggered = true;
    net_configure(net, EAST);
    net_configure(net, WEST);
}

static void assert_said_at(struct net *net, uint64_t at, const char *part) {
    const struct net_line *line = net_said(net, WEST, part);
    if (!line || line->at != at)
        net_print(net);
    assert_non_null(line);
    assert_int_equal(line->at, at);
}

/* One IKE SA and what carries it, at both ends, also when all that is late has come. */
static void assert_up_alone(struct net *net, enum transport transport) {
    size_t streams = transport == TRANSPORT_UDP ? 0 : 1;
    if (net_count(net, WEST, PEER_UP, 0) != 1)
        net_print(net);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_int_equal(net_status(net, WEST)->transport, transport);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    assert_int_equal(net_totals(net, WEST).streams, streams);
    assert_int_equal(net_open_streams(net, WEST), streams);
    net_run(net, 35 * SECOND);
    net->udp_delay = 0;
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_int_equal(net_totals(net, EAST).half_open, 0);
    assert_int_equal(net_totals(net, EAST).streams, streams);
    assert_null(net_said(net, EAST, "was not authenticated in time"));
    assert_null(net_said(net, EAST, "failed"));
    assert_int_equal(net_count(net, EAST, PEER_STEP, STEP_DELETED), 0);
}

static void C8_where_udp_is_dropped_tcp_carries_the_tunnel_535_ms_later(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_said_at(net, from, "trying UDP 192.0.2.2:500");
    assert_said_at(net, from + 501, "trying TCP 192.0.2.2:4500 as well");
    assert_said_at(net, from + 511, "connected to TCP 192.0.2.2:4500");
    assert_said_at(net, from + 521, "UDP 192.0.2.2:500 did not answer 2 times in 0.5 s and is dropped");
    assert_said_at(net, from + 521, "TCP 192.0.2.2:4500 answered; authenticating");
    assert_said_at(net, from + 533, "IKE SA established");
    for (size_t i = 0; i < net->lines; i++)
        if (net->line[i].kind == PEER_UP && net->line[i].end == WEST)
            assert_int_equal(net->line[i].at, from + 535);
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_udp_that_answers_within_its_head_start_is_all_there_is(void **state) {
    struct net *net = *state;
    net->udp_delay = 240; /* the answer comes at 490 ms */
    prepare(net);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net->connects, 0);
    assert_up_alone(net, TRANSPORT_UDP);
}

static void C8_slow_udp_that_answers_first_wins_and_the_stream_is_closed(void **state) {
    struct net *net = *state;
    net->udp_delay = 255; /* 520 ms */
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net->connects, 1);
    assert_said_at(net, from + 520, "TCP 192.0.2.2:4500 took the connection but did not answer in 0 s and is dropped");
    assert_up_alone(net, TRANSPORT_UDP);
}

static void C8_a_connection_that_is_still_being_opened_is_cancelled(void **state) {
    struct net *net = *state;
    net->udp_delay = 255;
    net->connect_delay = 5 * SECOND;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_said_at(net, from + 520, "TCP 192.0.2.2:4500 did not take the connection in 0 s and is dropped");
    net_run(net, 3 * SECOND);
    assert_int_equal(net->streams, 0);
    assert_up_alone(net, TRANSPORT_UDP);
}

static void C8_C2_an_answer_over_udp_just_after_that_over_tcp_finds_nobody(void **state) {
    struct net *net = *state;
    net->udp_delay = 256; /* 522 ms */
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_said_at(net, from + 521, "TCP 192.0.2.2:4500 answered");
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_two_answers_in_one_moment_make_one_ike_sa(void **state) {
    struct net *net = *state;
    net->udp_delay = 256;
    net->connect_delay = 1;
    prepare(net);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_STEP, STEP_IKE_KEYS), 1);
    assert_up_alone(net, net_status(net, WEST)->transport);
}

static void C8_C7_where_udp_answers_but_ike_auth_is_lost_tcp_follows_1500_ms_later(void **state) {
    struct net *net = *state;
    net->port_blocked = 4500;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_said_at(net, from + 10, "UDP 192.0.2.2:500 answered");
    assert_said_at(net, from + 11 + 1500,
        "UDP 192.0.2.2:4500 did not answer IKE_AUTH 2 times in 1.5 s; trying TCP 192.0.2.2:4500");
    net->port_blocked = 0;
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_C4_what_won_here_begins_the_next_time(void **state) {
    struct net *net = *state;
    size_t found;
    net->udp_blocked = true;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, SECOND);
    net->lines = 0;
    uint64_t from = net->now, sent = net->end[WEST].ike_sent;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_said_at(net, from, "trying TCP 192.0.2.2:4500");
    assert_null(net_said(net, WEST, "UDP"));
    assert_int_equal(net->end[WEST].ike_sent, sent + 2); /* nothing beside the two of the one that was answered */
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_where_nobody_listens_at_the_first_address_the_second_is_not_waited_for(void **state) {
    struct net *net = *state;
    net->two_addresses = true;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_said_at(net, from + 250, "trying UDP 192.0.2.2:500 as well");
    assert_said_at(net, from + 260, "UDP 192.0.2.99:500 did not answer 1 time in 0.3 s and is dropped");
    assert_said_at(net, from + 260, "UDP 192.0.2.2:500 answered");
    assert_int_equal(net->connects, 0);
    assert_up_alone(net, TRANSPORT_UDP);
}

static void C8_who_is_refused_gives_its_turn_to_the_next_at_once(void **state) {
    struct net *net = *state;
    net->two_addresses = net->udp_blocked = true; /* TCP to the first address is refused */
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_said_at(net, from + 501, "trying TCP 192.0.2.99:4500 as well");
    assert_said_at(net, from + 511, "TCP 192.0.2.99:4500 refused the connection");
    assert_said_at(net, from + 511, "trying TCP 192.0.2.2:4500 as well");
    assert_said_at(net, from + 531, "TCP 192.0.2.2:4500 answered");
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_down_while_all_is_pending_leaves_nothing_and_says_nothing(void **state) {
    struct net *net = *state;
    size_t found;
    net->udp_blocked = net->tcp_dropped = true;
    net->end[WEST].config->path.tls = PATH_FALLBACK;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net->connects, 2);
    assert_int_equal(net_totals(net, WEST).peers, 3);
    uint64_t sent = net->end[WEST].ike_sent;
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    assert_int_equal(found, 1);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, WEST).peers, 0);
    assert_int_equal(peers_deadline(net->end[WEST].peers), NEVER);
    net_run(net, 60 * SECOND);
    assert_int_equal(net->end[WEST].ike_sent, sent);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
}

static void C8_a_second_up_while_all_is_pending_waits_for_the_same_peer(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_dropped = true;
    prepare(net);
    peer_id first = net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_up(net, WEST), first);
    assert_int_equal(net_totals(net, WEST).peers, 2);
    struct peer_status status;
    assert_true(peers_status(net->end[WEST].peers, 0, &status));
    assert_int_equal(status.peer, first);
    assert_false(peers_status(net->end[WEST].peers, 1, &status)); /* nobody sees a try */
}

static void C8_where_nothing_answers_the_end_says_it_of_each(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_dropped = true;
    net->end[WEST].config->path.tls = PATH_FALLBACK;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 61 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, WEST).peers, 0);
    const struct net_line *line = &net->line[net->lines - 1];
    assert_int_equal(line->kind, PEER_DOWN);
    assert_in_range(line->at, from + 10751, from + 10754); /* as soon as TLS, the last one, is given up */
    assert_non_null(
        strstr(line->text, "TCP 192.0.2.2:4500 did not take the connection in 10 s; TLS 192.0.2.2:443 did not "
                           "take the connection in 10 s; UDP 192.0.2.2:500 did not answer"));
}

/* As one by one: another transport might not give it, but there is none, and UDP was silent for long enough. */
static void C8_K4_a_refusal_over_tcp_ends_the_attempt_where_udp_is_silent(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    net->end[EAST].config->ike.proposals.proposal[0].transform[0].key_bits = 128;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 2 * SECOND);
    assert_said_at(net, from + 521, "no proposal in common");
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    const struct net_line *line = &net->line[net->lines - 1];
    assert_int_equal(line->kind, PEER_DOWN);
    assert_int_equal(line->at, from + 1500);
    assert_non_null(strstr(line->text, "NO_PROPOSAL_CHOSEN"));
    assert_non_null(strstr(line->text, "UDP 192.0.2.2:500 did not answer"));
    assert_int_equal(net_totals(net, WEST).peers, 0);
    assert_int_equal(net_totals(net, WEST).streams, 0);
}

static void C8_another_group_over_tcp_is_one_more_turn_of_that_try(void **state) {
    struct net *net = *state;
    struct proposal *east = &net->end[EAST].config->ike.proposals.proposal[0];
    struct proposal *west = &net->end[WEST].config->ike.proposals.proposal[0];
    east->transform[2].id = KE_ECP_256;
    west->transform[west->transforms++] = east->transform[2];
    net->udp_blocked = true;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_said_at(net, from + 521, "IKE_SA_INIT again");
    assert_said_at(net, from + 531, "TCP 192.0.2.2:4500 answered");
    assert_up_alone(net, TRANSPORT_TCP);
}

/* K3 on a try: it closes instead of answering. */
static void C8_K3_a_stream_that_closes_after_another_group_was_wanted_is_opened_again(void **state) {
    struct net *net = *state;
    struct proposal *east = &net->end[EAST].config->ike.proposals.proposal[0];
    struct proposal *west = &net->end[WEST].config->ike.proposals.proposal[0];
    east->transform[2].id = KE_ECP_256;
    west->transform[west->transforms++] = east->transform[2];
    net->udp_blocked = true;
    prepare(net);
    net_up(net, WEST);
    for (int i = 0; i < 1000 && !net_said(net, WEST, "IKE_SA_INIT again"); i++)
        net_run(net, 1);
    net_cut(net);
    net_run(net, SECOND);
    assert_int_equal(net->connects, 2);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    assert_int_equal(net_totals(net, WEST).streams, 1);
}

static void C8_K9_a_redirect_over_one_of_them_takes_the_attempt_along(void **state) {
    struct net *net = *state;
    net->end[WEST].config->ike.accept_redirect = true;
    net_config(net->end[NORTH].config, EAST);
    net_configure(net, NORTH);
    net->udp_blocked = true;
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3");
    peer_id first = net_up(net, WEST);
    net_run(net, 2 * SECOND);
    assert_non_null(net_said(net, WEST, "192.0.2.2 redirects us to 192.0.2.3"));
    struct peer_status *status = net_status(net, WEST);
    assert_int_equal(status->peer, first);
    assert_int_equal(status->state, PEER_STATE_UP);
    assert_int_equal(status->remote.octets[3], 3);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_int_equal(net_totals(net, WEST).streams, 1);
    assert_int_equal(net_totals(net, EAST).ike_sas, 0);
}

/* Over UDP 10 ms later, over TCP at once: both begin again, and each answers for itself. */
static void C8_another_group_is_wanted_over_both(void **state) {
    struct net *net = *state;
    struct proposal *east = &net->end[EAST].config->ike.proposals.proposal[0];
    struct proposal *west = &net->end[WEST].config->ike.proposals.proposal[0];
    east->transform[2].id = KE_ECP_256;
    west->transform[west->transforms++] = east->transform[2];
    net->udp_delay = 255; /* wanted at 520 and 521 ms, answered at 1,040 and 531 */
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_STEP, STEP_RETRY), 2);
    assert_said_at(net, from + 531, "TCP 192.0.2.2:4500 answered");
    assert_up_alone(net, TRANSPORT_TCP);
}

/* The gateway is full of strangers and wants a cookie over UDP (K3): it lives, so it has its half second again. */
static void C8_K3_a_cookie_over_udp_keeps_the_stream_away(void **state) {
    struct net *net = *state;
    prepare(net);
    net_up(net, WEST);
    net_run(net, NET_DELAY);
    struct net_frame first = *net_last(net, EAST, true);
    struct carrier carrier = first.carrier;
    for (int i = 0; i < 200; i++) {
        first.octets[1] = (uint8_t)i;
        carrier.remote.octets[3] = (uint8_t)(100 + i / 10);
        net_inject(net, EAST, &carrier, first.octets, first.length);
    }
    net->udp_delay = 150; /* the cookie comes at 310 ms, the answer at 620 */
    net->end[NORTH].config->path.staggered = true;
    net_configure(net, NORTH);
    net_up(net, NORTH);
    size_t connects = net->connects;
    net_run(net, 2 * SECOND);
    assert_int_equal(net_count(net, NORTH, PEER_STEP, STEP_RETRY), 1);
    assert_int_equal(net_count(net, NORTH, PEER_UP, 0), 1);
    assert_int_equal(net->connects, connects);
    net_run(net, 40 * SECOND);
}

static void C8_C4_udp_beside_a_remembered_tcp_that_is_dead_takes_the_tunnel(void **state) {
    struct net *net = *state;
    size_t found;
    net->udp_blocked = true;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, 40 * SECOND);
    net->udp_blocked = false;
    net->tcp_dropped = true;
    net->lines = 0;
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_said_at(net, from + 250, "trying UDP 192.0.2.2:500 as well");
    assert_said_at(net, from + 260, "TCP 192.0.2.2:4500 did not take the connection in 0.3 s and is dropped");
    assert_up_alone(net, TRANSPORT_UDP);
}

static void C8_a_reload_that_drops_the_connection_ends_all_tries(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_dropped = true;
    net->end[WEST].config->path.tls = PATH_FALLBACK;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_totals(net, WEST).peers, 3);
    net_take(net, WEST, peers_configure(net->end[WEST].peers, net->now, NULL, 0));
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, WEST).peers, 0);
    assert_int_equal(peers_deadline(net->end[WEST].peers), NEVER);
}

static void C8_the_end_of_the_daemon_ends_all_tries(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_dropped = true;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_totals(net, WEST).peers, 2);
    net_take(net, WEST, peers_shutdown(net->end[WEST].peers, net->now));
    assert_true(peers_idle(net->end[WEST].peers));
}

/* Nobody can know its SPI; whoever answers the wrong one changes nothing. */
static void C8_an_answer_with_the_wrong_spi_decides_nothing(void **state) {
    struct net *net = *state;
    net->udp_delay = 400;
    prepare(net);
    net_up(net, WEST);
    net_run(net, 515); /* east has IKE_SA_INIT over both, and has answered TCP */
    net_run(net, 300);
    struct net_frame answer = *net_last(net, WEST, true);
    answer.octets[3] ^= 1;
    struct carrier udp = {.transport = TRANSPORT_UDP, .local = net->end[WEST].outer, .remote = net->end[EAST].outer};
    udp.local.port = udp.remote.port = 4500;
    net_inject(net, WEST, &udp, answer.octets, answer.length);
    net_run(net, 2 * SECOND);
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_a_stream_that_closes_before_the_answer_leaves_the_rest_to_udp(void **state) {
    struct net *net = *state;
    net->udp_delay = 400; /* 810 ms */
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 512);
    net_cut(net);
    net_run(net, 3 * SECOND);
    assert_said_at(net, from + 512, "the connection was reset");
    assert_said_at(net, from + 810, "UDP 192.0.2.2:500 answered");
    assert_up_alone(net, TRANSPORT_UDP);
}

static void C8_when_udp_is_refused_the_stream_that_was_begun_goes_on(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    net->connect_delay = 200;
    prepare(net);
    uint64_t from = net->now;
    net_up(net, WEST);
    net_run(net, 600);
    struct carrier carrier = {.transport = TRANSPORT_UDP, .remote = net->end[EAST].outer};
    struct error why = {.origin = ORIGIN_HOST, .text = "UDP 192.0.2.2:500 is refused: nothing listens there"};
    carrier.remote.port = 500;
    net_take(net, WEST, peers_udp_failed(net->end[WEST].peers, net->now, &carrier, &why));
    assert_said_at(net, from + 600, "UDP 192.0.2.2:500 is refused");
    assert_int_equal(net_totals(net, WEST).peers, 1);
    net_run(net, SECOND);
    assert_int_equal(net->connects, 1);
    assert_up_alone(net, TRANSPORT_TCP);
}

static void C8_K16_a_lost_session_is_resumed_over_whichever_answers(void **state) {
    struct net *net = *state;
    net->end[WEST].config->ike.session_resumption = net->end[EAST].config->ike.session_resumption = true;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    net->udp_blocked = net->tcp_dropped = true;
    for (int i = 0; i < 400 && (!net_said(net, WEST, "trying again in") || net_totals(net, EAST).ike_sas > 0); i++)
        net_run(net, SECOND / 2);
    net->udp_blocked = net->tcp_dropped = false;
    net->udp_delay = 256; /* both are answered */
    net_run(net, 80 * SECOND);
    assert_non_null(net_said(net, WEST, "TCP 192.0.2.2:4500 answered"));
    assert_non_null(net_said(net, WEST, "IKE SA resumed"));
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    assert_int_equal(net_totals(net, WEST).streams, 1);
    net->udp_delay = 0;
    assert_true(net_ping(net, WEST, EAST));
}

/* --- by chance: a network of any temper, which changes while all is pending --- */

static uint32_t draw(struct net *net, uint32_t below) {
    struct random_source random = random_seeded(&net->rng);
    return random_u32(&random) % below;
}

static void draw_temper(struct net *net) {
    net->udp_blocked = draw(net, 3) == 0;
    net->udp_delay = draw(net, 2) ? draw(net, 700) : 0;
    net->connect_delay = draw(net, 2) ? draw(net, 700) : 0;
    net->tcp_refused = draw(net, 4) == 0;
    net->tcp_dropped = draw(net, 4) == 0;
    net->two_addresses = draw(net, 3) == 0;
    net->port_blocked = draw(net, 4) == 0 ? 4500 : 0;
    net->drop_next_udp = (int)draw(net, 3);
    net->end[WEST].config->path.tls = draw(net, 2) ? PATH_FALLBACK : PATH_NO;
}

static void something_happens(struct net *net) {
    struct error icmp = {.origin = ORIGIN_HOST, .text = "nobody listens there"};
    struct carrier carrier = {.transport = TRANSPORT_UDP, .remote = net->end[EAST].outer};
    size_t found;
    carrier.remote.port = 500;
    switch (draw(net, 6)) {
    case 0:
        net_cut(net);
        break;
    case 1:
        net_take(net, WEST, peers_udp_failed(net->end[WEST].peers, net->now, &carrier, &icmp));
        break;
    case 2:
        net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
        break;
    case 3:
        net_up(net, WEST);
        break;
    case 4:
        net->udp_blocked = !net->udp_blocked;
        break;
    default:
        net->tcp_dropped = !net->tcp_dropped;
    }
}

static void assert_one_ike_sa(struct net *net, uint64_t seed) {
    struct peers_totals totals = net_totals(net, WEST);
    if (totals.peers != 1 || net_status(net, WEST)->state != PEER_STATE_UP) {
        print_message("seed %u\n", (unsigned)seed);
        net_print(net);
    }
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_int_equal(totals.peers, 1);
    assert_int_equal(totals.ike_sas, 1);
    assert_int_equal(totals.streams, net_open_streams(net, WEST));
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_int_equal(net_totals(net, EAST).half_open, 0);
    assert_true(net_ping(net, WEST, EAST));
}

static void one_race(uint64_t seed) {
    void *state = NULL;
    assert_int_equal(net_setup(&state), 0);
    struct net *net = state;
    net->rng = seed;
    draw_temper(net);
    prepare(net);
    net_up(net, WEST);
    for (uint32_t steps = draw(net, 6); steps > 0; steps--) {
        net_run(net, draw(net, 900));
        something_happens(net);
    }
    net_run(net, 70 * SECOND);
    net->udp_blocked = net->tcp_dropped = net->tcp_refused = false;
    net->udp_delay = net->connect_delay = net->port_blocked = 0;
    net_up(net, WEST);
    net_run(net, 100 * SECOND);
    assert_one_ike_sa(net, seed);
    assert_int_equal(net_teardown(&state), 0);
}

static void C8_whatever_happens_amid_a_race_one_ike_sa_comes_of_it(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++)
        one_race(seed);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(C8_where_udp_is_dropped_tcp_carries_the_tunnel_535_ms_later),
        T(C8_udp_that_answers_within_its_head_start_is_all_there_is),
        T(C8_slow_udp_that_answers_first_wins_and_the_stream_is_closed),
        T(C8_a_connection_that_is_still_being_opened_is_cancelled),
        T(C8_C2_an_answer_over_udp_just_after_that_over_tcp_finds_nobody),
        T(C8_two_answers_in_one_moment_make_one_ike_sa),
        T(C8_C7_where_udp_answers_but_ike_auth_is_lost_tcp_follows_1500_ms_later),
        T(C8_C4_what_won_here_begins_the_next_time),
        T(C8_where_nobody_listens_at_the_first_address_the_second_is_not_waited_for),
        T(C8_who_is_refused_gives_its_turn_to_the_next_at_once),
        T(C8_down_while_all_is_pending_leaves_nothing_and_says_nothing),
        T(C8_a_second_up_while_all_is_pending_waits_for_the_same_peer),
        T(C8_where_nothing_answers_the_end_says_it_of_each),
        T(C8_K4_a_refusal_over_tcp_ends_the_attempt_where_udp_is_silent),
        T(C8_another_group_over_tcp_is_one_more_turn_of_that_try),
        T(C8_K3_a_stream_that_closes_after_another_group_was_wanted_is_opened_again),
        T(C8_K9_a_redirect_over_one_of_them_takes_the_attempt_along),
        T(C8_another_group_is_wanted_over_both),
        T(C8_K3_a_cookie_over_udp_keeps_the_stream_away),
        T(C8_C4_udp_beside_a_remembered_tcp_that_is_dead_takes_the_tunnel),
        T(C8_a_reload_that_drops_the_connection_ends_all_tries),
        T(C8_the_end_of_the_daemon_ends_all_tries),
        T(C8_an_answer_with_the_wrong_spi_decides_nothing),
        T(C8_a_stream_that_closes_before_the_answer_leaves_the_rest_to_udp),
        T(C8_when_udp_is_refused_the_stream_that_was_begun_goes_on),
        cmocka_unit_test(C8_whatever_happens_amid_a_race_one_ike_sa_comes_of_it),
        T(C8_K16_a_lost_session_is_resumed_over_whichever_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
