/* begin.c: how an IKE SA begins: which transport, in which order, at which time, and what people are told. */
#include "net.h"

static void assert_said_at(struct net *net, int end, uint64_t at, const char *part) {
    const struct net_line *line = net_said(net, end, part);
    if (!line)
        net_print(net);
    assert_non_null(line);
    assert_int_equal(line->at, at);
}

static void C1_udp_that_stays_silent_gives_way_to_tcp_at_exactly_1500_ms(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    uint64_t from = net->now;
    net_bring_up(net);
    assert_said_at(net, WEST, from, "trying UDP 192.0.2.2:500");
    assert_said_at(
        net, WEST, from + 1500, "UDP 192.0.2.2:500 did not answer 2 times in 1.5 s; trying TCP 192.0.2.2:4500");
    assert_said_at(net, WEST, from + 1510, "connected to TCP 192.0.2.2:4500");
    assert_non_null(net_said(net, WEST, "IKE SA established with @east (AES_GCM_16-256, HMAC_SHA2_256, CURVE25519)"));
    assert_non_null(net_said(net, WEST, "Child SA installed: 10.1.0.0/24 <-> 10.2.0.0/24, ESP in TCP"));
    assert_non_null(net_said(net, WEST, "routes are set"));
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void C1_udp_that_answers_stays_udp_and_floats_to_port_4500(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    struct peer_status *status = net_status(net, WEST);
    assert_int_equal(status->transport, TRANSPORT_UDP);
    assert_int_equal(status->remote.port, 4500);
    assert_int_equal(status->local.port, 4500);
    assert_int_equal(net->connects, 0);
    assert_int_equal(net_status(net, EAST)->remote.port, 4500);
    assert_non_null(net_said(net, WEST, "ESP in UDP"));
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void C7_where_port_4500_is_blocked_tcp_carries_a_new_ike_sa_1500_ms_after_ike_auth(void **state) {
    struct net *net = *state;
    net->port_blocked = 4500;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_non_null(net_said(net, WEST, "UDP 192.0.2.2:500 answered"));
    net_run(net, SECOND);
    const struct net_line *answered = net_said(net, WEST, "UDP 192.0.2.2:500 answered");
    assert_said_at(net, WEST, answered->at + 1 + 1500, "UDP 192.0.2.2:4500 did not answer IKE_AUTH");
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    net->port_blocked = 0;
    assert_true(net_ping(net, WEST, EAST));
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
}

/* Some Responders close after INVALID_KE_PAYLOAD (K12 asks them not to). */
static void K3_a_stream_that_closes_after_another_group_was_wanted_is_opened_again_for_the_same_ike_sa(void **state) {
    struct net *net = *state;
    struct proposal *east = &net->end[EAST].config->ike.proposals.proposal[0];
    struct proposal *west = &net->end[WEST].config->ike.proposals.proposal[0];
    assert_int_equal(east->transform[2].id, KE_CURVE25519);
    east->transform[2].id = KE_ECP_256;
    west->transform[west->transforms++] = east->transform[2];
    net->end[WEST].config->path.tcp = PATH_YES;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    for (int i = 0; i < 1000 && !net_said(net, WEST, "IKE_SA_INIT again"); i++)
        net_run(net, 1);
    uint64_t spi = 0;
    for (size_t i = 0; i < 8; i++)
        spi = spi << 8 | net->last_ike[i];
    net_cut(net);
    net_run(net, SECOND);
    struct peer_status *status = net_status(net, WEST);
    assert_int_equal(status->state, PEER_STATE_UP);
    assert_true(status->ike.spi_i == spi);
    assert_int_equal(net->connects, 2);
    assert_true(net_ping(net, WEST, EAST));
}

static void C1_one_lost_datagram_does_not_make_it_fall_back(void **state) {
    struct net *net = *state;
    net->drop_next_udp = 1;
    net_bring_up(net);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
}

static void C2_the_fallback_is_a_new_ike_sa_and_late_answers_to_the_old_one_are_ignored(void **state) {
    struct net *net = *state;
    net->udp_delay = 2 * SECOND;
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_run(net, 10 * SECOND); /* the answers over UDP come at 4,010 ms */
    struct peer_status *status = net_status(net, WEST);
    assert_int_equal(status->transport, TRANSPORT_TCP);
    assert_true(status->ike.spi_i == spi);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    const struct net_frame *first = NULL;
    for (size_t i = 0; i < net->frames && !first; i++)
        if (net->frame[i].to == EAST && net->frame[i].carrier.transport == TRANSPORT_UDP)
            first = &net->frame[i];
    assert_non_null(first);
    uint64_t old = 0;
    for (int i = 0; i < 8; i++)
        old = old << 8 | first->octets[i];
    assert_true(old != spi);
    net_run(net, 40 * SECOND);
    assert_int_equal(net_totals(net, EAST).half_open, 0);
}

static void C3_tcp_only_sends_nothing_over_udp(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net->end[WEST].config->path.tcp_port = 443;
    net_bring_up(net);
    for (size_t i = 0; i < net->frames; i++)
        assert_int_equal(net->frame[i].carrier.transport, TRANSPORT_TCP);
    assert_int_equal(net_status(net, WEST)->remote.port, 443);
}

static void C3_udp_only_gives_up_after_the_attempt_timeout_with_a_sentence(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    net->end[WEST].config->path.tcp = PATH_NO;
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 61 * SECOND);
    assert_int_equal(net->connects, 0);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_non_null(net_said(net, WEST, "UDP 192.0.2.2:500 did not answer"));
    assert_int_equal(net_totals(net, WEST).peers, 0);
}

static void C3_a_responder_without_tcp_takes_no_sa_over_it(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    net->end[EAST].config->accept_tcp = false;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 70 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 0);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
}

static void C4_the_next_attempt_begins_with_tcp_until_a_reload(void **state) {
    struct net *net = *state;
    size_t found;
    net->udp_blocked = true;
    net_bring_up(net);
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, SECOND);
    size_t lines = net->lines;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    assert_string_equal(net->line[lines].text, "trying TCP 192.0.2.2:4500");
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, SECOND);
    net_configure(net, WEST);
    lines = net->lines;
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_non_null(strstr(net->line[lines].text, "trying UDP"));
    net_run(net, 5 * SECOND);
}

static void where_nothing_listens_the_sentence_says_so(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_refused = true;
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    const struct net_line *line = net_said(net, WEST,
        "UDP 192.0.2.2:500 did not answer 2 times in 1.5 s; TCP 192.0.2.2:4500 refused the connection: nothing listens "
        "there");
    assert_non_null(line);
    assert_int_equal(line->kind, PEER_DOWN);
    assert_int_equal(net_totals(net, WEST).peers, 0);
}

static void an_icmp_error_is_believed_after_the_second_send(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    struct error err = {.origin = ORIGIN_PEER, .text = "UDP 192.0.2.2:500 is unreachable"};
    struct carrier carrier = {.transport = TRANSPORT_UDP, .remote = net->end[EAST].outer};
    carrier.remote.port = 500;
    net_run(net, 10);
    net_take(net, WEST, peers_udp_failed(net->end[WEST].peers, net->now, &carrier, &err));
    assert_null(net_said(net, WEST, "unreachable"));
    net_run(net, 500);
    net_take(net, WEST, peers_udp_failed(net->end[WEST].peers, net->now, &carrier, &err));
    assert_non_null(net_said(net, WEST, "is unreachable; trying TCP 192.0.2.2:4500"));
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void a_wrong_psk_has_a_sentence_on_both_sides_and_the_daemon_goes_on(void **state) {
    struct net *net = *state;
    net->end[EAST].psk = 'x';
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 0);
    assert_non_null(net_said(net, EAST, "IKE SA with UDP 192.0.2.1:4500 failed: "));
    assert_int_equal(net_totals(net, EAST).peers, 0);
    net->end[EAST].psk = 'k';
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void a_missing_key_ends_the_attempt_with_its_own_sentence(void **state) {
    struct net *net = *state;
    net->auth_refused = true;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    const struct net_line *down = net_said(net, WEST, "no PSK for it");
    assert_non_null(down);
    assert_int_equal(net_totals(net, WEST).peers, 0);
    net_run(net, 40 * SECOND);
    assert_int_equal(net_totals(net, EAST).peers, 0);
}

static void proposals_without_anything_in_common_end_with_a_sentence_over_tcp_at_once(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net->end[EAST].config->ike.proposals.proposal[0].transform[0].id = ENCR_CHACHA20_POLY1305;
    net->end[EAST].config->ike.proposals.proposal[0].transform[0].key_bits = 0;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_non_null(net_said(net, EAST, "failed: "));
    assert_int_equal(net_totals(net, EAST).half_open, 0);
}

static void an_automatic_connection_tries_again_for_ever_with_growing_pauses(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_refused = true;
    net->end[WEST].config->start = PEER_START_AUTO;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_run(net, 300 * SECOND);
    assert_in_range(net->connects, 5, 12);
    net->tcp_refused = false;
    net_run(net, 100 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void keyingtries_bounds_the_attempts(void **state) {
    struct net *net = *state;
    net->udp_blocked = net->tcp_refused = true;
    net->end[WEST].config->keying_tries = 3;
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 300 * SECOND);
    assert_int_equal(net->connects, 3);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, WEST).peers, 0);
}

static void a_first_packet_begins_an_on_demand_connection_once(void **state) {
    struct net *net = *state;
    net->end[WEST].config->start = PEER_START_ONDEMAND;
    net_configure(net, EAST);
    net_configure(net, WEST);
    uint8_t inner[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 9, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0};
    net_take(net, WEST, peers_ondemand(net->end[WEST].peers, net->now, 0, inner, sizeof inner));
    assert_int_equal(net_totals(net, WEST).peers, 0); /* not its destination */
    inner[17] = 2;
    for (int i = 0; i < 5; i++)
        net_take(net, WEST, peers_ondemand(net->end[WEST].peers, net->now, 0, inner, sizeof inner));
    assert_int_equal(net_totals(net, WEST).peers, 1);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void up_for_what_is_up_answers_at_once_and_unknown_names_are_refused(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    peer_id first = net_status(net, WEST)->peer, again = net_up(net, WEST);
    assert_int_equal(first, again);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    struct error err = {0};
    net_take(net, WEST, peers_up(net->end[WEST].peers, net->now, "nowhere", &again, &err));
    assert_int_equal(again, 0);
    assert_non_null(strstr(err.text, "nowhere"));
    net_take(net, EAST, peers_up(net->end[NORTH].peers, net->now, "office", &again, &err));
    assert_int_equal(again, 0);
}

static void shift(struct selector *selector) {
    selector->first.octets[1] = (uint8_t)(selector->first.octets[1] + 100);
    selector->last.octets[1] = (uint8_t)(selector->last.octets[1] + 100);
}

static void up_waits_for_every_child_sa_that_is_configured(void **state) {
    struct net *net = *state;
    for (int end = WEST; end <= EAST; end++) {
        struct ike_config *ike = &net->end[end].config->ike;
        ike->child[1] = ike->child[0];
        shift(end == WEST ? &ike->child[1].remote.selector[0] : &ike->child[1].local.selector[0]);
        ike->children = 2;
    }
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    size_t children = 0;
    for (size_t i = 0; i < net->lines; i++) {
        if (net->line[i].end != WEST)
            continue;
        children += net->line[i].kind == PEER_STEP && net->line[i].step == STEP_CHILD_UP;
        if (net->line[i].kind == PEER_UP)
            assert_int_equal(children, 2);
    }
    assert_int_equal(children, 2);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void K4_what_udp_refused_is_said_when_nothing_better_came(void **state) {
    struct net *net = *state;
    net->tcp_refused = true;
    net->end[WEST].config->ike.proposals.proposal[0].transform[0].key_bits = 128;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    const struct net_line *line = net_said(net, WEST, "NO_PROPOSAL_CHOSEN");
    assert_non_null(line);
    assert_non_null(strstr(line->text, "UDP 192.0.2.2:500: no proposal in common"));
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(C1_udp_that_stays_silent_gives_way_to_tcp_at_exactly_1500_ms),
        T(C1_udp_that_answers_stays_udp_and_floats_to_port_4500),
        T(C7_where_port_4500_is_blocked_tcp_carries_a_new_ike_sa_1500_ms_after_ike_auth),
        T(K3_a_stream_that_closes_after_another_group_was_wanted_is_opened_again_for_the_same_ike_sa),
        T(C1_one_lost_datagram_does_not_make_it_fall_back),
        T(C2_the_fallback_is_a_new_ike_sa_and_late_answers_to_the_old_one_are_ignored),
        T(C3_tcp_only_sends_nothing_over_udp),
        T(C3_udp_only_gives_up_after_the_attempt_timeout_with_a_sentence),
        T(C3_a_responder_without_tcp_takes_no_sa_over_it),
        T(C4_the_next_attempt_begins_with_tcp_until_a_reload),
        T(where_nothing_listens_the_sentence_says_so),
        T(an_icmp_error_is_believed_after_the_second_send),
        T(a_wrong_psk_has_a_sentence_on_both_sides_and_the_daemon_goes_on),
        T(a_missing_key_ends_the_attempt_with_its_own_sentence),
        T(proposals_without_anything_in_common_end_with_a_sentence_over_tcp_at_once),
        T(an_automatic_connection_tries_again_for_ever_with_growing_pauses),
        T(keyingtries_bounds_the_attempts),
        T(a_first_packet_begins_an_on_demand_connection_once),
        T(up_waits_for_every_child_sa_that_is_configured),
        T(up_for_what_is_up_answers_at_once_and_unknown_names_are_refused),
        T(K4_what_udp_refused_is_said_when_nothing_better_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
