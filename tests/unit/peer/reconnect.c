/* reconnect.c: a stream that breaks comes back with its SAs; a peer that is gone does not hang. */
#include "net.h"

static void over_tcp(struct net *net) {
    net->end[WEST].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 10 * SECOND);
}

static void assert_same_keys(struct net *net) {
    uint8_t west[32];
    memcpy(west, net_status(net, WEST)->fingerprint, 32);
    assert_memory_equal(west, net_status(net, EAST)->fingerprint, 32);
}

static void L1_a_lost_connection_comes_back_with_the_same_sas(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct peer_status before = *net_status(net, WEST);
    uint32_t spi = before.child[0].child->spi_in;
    net_cut(net);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_RECONNECTING);
    assert_int_equal(net_status(net, EAST)->state, PEER_STATE_RECONNECTING);
    assert_false(net_ping(net, WEST, EAST));
    net_run(net, SECOND);
    struct peer_status *after = net_status(net, WEST);
    assert_int_equal(after->state, PEER_STATE_UP);
    assert_true(after->ike.spi_i == before.ike.spi_i && after->ike.spi_r == before.ike.spi_r);
    assert_int_equal(after->child[0].child->spi_in, spi);
    assert_int_equal(after->reconnects, 1);
    assert_int_equal(after->anchor, before.anchor);
    assert_same_keys(net);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
}

static void L13_all_connections_of_a_peer_have_one_flow_label_over_ipv6(void **state) {
    struct net *net = *state;
    over_tcp(net);
    assert_int_equal(net->flow_label, 0);
    size_t found;
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, SECOND);
    for (int end = 0; end < ENDS; end++)
        net->end[end].outer = (struct address){.family = 6, .octets = {0x20, 1, 0xd, 0xb8, [15] = (uint8_t)(1 + end)}};
    strcpy(net->end[WEST].config->remote_host, "2001:db8::2");
    net->end[WEST].config->revision++;
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, SECOND);
    uint32_t label = net->flow_label;
    assert_in_range(label, 1, 0xfffff);
    for (int i = 0; i < 3; i++) {
        net->flow_label = 0;
        net_cut(net);
        net_run(net, 5 * SECOND);
        assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
        assert_int_equal(net->flow_label, label);
    }
}

static void L2_an_informational_is_the_first_message_of_the_new_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_cut(net);
    net->frames = 0;
    net_run(net, 30);
    assert_true(net->frames > 0);
    for (size_t i = 0; i < net->frames; i++)
        if (net->frame[i].to == EAST) {
            assert_true(net->frame[i].ike);
            assert_int_equal(net->frame[i].octets[4 + 18], INFORMATIONAL);
            break;
        }
    assert_true(net_ping(net, EAST, WEST));
}

static void L1_a_gateway_that_is_away_is_called_with_backoff_and_no_storm(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net->tcp_refused = true;
    size_t before = net->connects;
    net_cut(net);
    net_run(net, 25 * SECOND);
    assert_in_range(net->connects - before, 3, 7);
    net->tcp_refused = false;
    net_run(net, 31 * SECOND);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_true(net_ping(net, WEST, EAST));
}

static void L1_a_gateway_whose_name_has_another_address_gets_its_sas_there(void **state) {
    struct net *net = *state;
    strcpy(net->end[WEST].config->remote_host, "east.example");
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net->end[EAST].outer.octets[3] = 77;
    net_cut(net);
    net_run(net, 30 * SECOND);
    const struct peer_status *after = net_status(net, WEST);
    assert_int_equal(after->state, PEER_STATE_UP);
    assert_true(after->ike.spi_i == spi);
    assert_int_equal(after->remote.octets[3], 77);
    assert_true(net_ping(net, WEST, EAST));
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
}

static void L3_a_closed_connection_deletes_no_sa_on_either_side(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net->tcp_dropped = true;
    net_cut(net);
    net_run(net, 20 * SECOND);
    assert_int_equal(net_totals(net, WEST).child_sas, 1);
    assert_int_equal(net_totals(net, EAST).child_sas, 1);
    assert_int_equal(traffic_sas(net->end[EAST].traffic), 1);
    net->tcp_dropped = false;
    net_run(net, 40 * SECOND);
    assert_true(net_ping(net, EAST, WEST));
}

static void L14_the_responders_request_waits_for_the_originators_next_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint32_t spi = net_status(net, EAST)->child[0].child->spi_in;
    net->tcp_refused = true;
    net_cut(net);
    net_run(net, SECOND);
    size_t connects = net->connects;
    struct error err;
    net_take(net, EAST, peers_rekey(net->end[EAST].peers, net->now, "office", false, &err));
    net->tcp_refused = false;
    net_run(net, 15 * SECOND);
    assert_true(net->connects > connects); /* all of them west's: east is never asked to connect */
    assert_int_not_equal(net_status(net, EAST)->child[0].child->spi_in, spi);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    assert_same_keys(net);
}

static void K2_an_outstanding_request_goes_first_and_the_greeting_after_its_answer(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_break_silently(net);
    struct error err;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", false, &err));
    net_cut(net);
    net->frames = 0;
    net_run(net, 200);
    uint8_t exchanges[8] = {0};
    size_t count = 0;
    for (size_t i = 0; i < net->frames && count < 8; i++)
        if (net->frame[i].to == EAST && net->frame[i].ike)
            exchanges[count++] = net->frame[i].octets[4 + 18];
    assert_true(count >= 2);
    assert_int_equal(exchanges[0], CREATE_CHILD_SA);
    assert_int_equal(exchanges[count - 1], INFORMATIONAL);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_true(net_ping(net, EAST, WEST));
}

static void K2_a_lost_answer_is_given_again_on_the_new_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct error err;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", false, &err));
    net_run(net, NET_DELAY); /* east has it and answered */
    net_cut(net);
    net_run(net, SECOND);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_int_equal(net_totals(net, WEST).child_sas, 1);
    assert_int_equal(net_totals(net, EAST).child_sas, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

/* The peer knows the predecessor alone, and asks again when that has told it of the connection. */
static void L14_the_peers_rekey_whose_answer_was_lost_is_ended_on_the_new_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct error err;
    uint64_t spi = net_status(net, EAST)->ike.spi_i;
    net_take(net, EAST, peers_rekey(net->end[EAST].peers, net->now, "office", true, &err));
    net_run(net, NET_DELAY); /* west has it and answered */
    net_cut(net);
    net_run(net, SECOND);
    assert_true(net_status(net, EAST)->ike.spi_i != spi);
    assert_true(net_status(net, EAST)->ike.spi_i == net_status(net, WEST)->ike.spi_i);
    for (int i = 0; i < 90; i++) {
        assert_true(net_ping(net, WEST, EAST) && net_ping(net, EAST, WEST));
        net_run(net, SECOND);
    }
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
}

static void K1_nothing_is_sent_again_on_a_live_connection(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_break_silently(net);
    net->tcp_dropped = true;
    struct error err;
    uint64_t before = net->end[WEST].ike_sent;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", true, &err));
    net_run(net, 40 * SECOND);
    assert_int_equal(net->end[WEST].ike_sent, before + 1);
}

static void L9_a_delete_that_is_outstanding_when_the_connection_breaks_is_done_locally(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_break_silently(net);
    size_t found, connects = net->connects;
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    assert_int_equal(found, 1);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    net_cut(net);
    assert_int_equal(net_totals(net, WEST).peers, 0);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    net_run(net, 5 * SECOND);
    assert_int_equal(net->connects, connects);
}

static void a_connection_without_life_ends_by_ike_and_begins_anew(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_break_silently(net);
    net->tcp_dropped = true;
    net_run(net, 95 * SECOND);
    net->tcp_dropped = false;
    net_run(net, 60 * SECOND);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void dpdaction_clear_ends_and_stays_down(void **state) {
    struct net *net = *state;
    net->end[WEST].config->after_loss = PEER_AFTER_CLEAR;
    over_tcp(net);
    net_break_silently(net);
    net->tcp_dropped = true;
    net_run(net, 100 * SECOND);
    assert_int_equal(net_totals(net, WEST).peers, 0);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_false(net->end[WEST].host);
}

static void dpdaction_hold_waits_for_a_packet(void **state) {
    struct net *net = *state;
    net->end[WEST].config->after_loss = PEER_AFTER_HOLD;
    over_tcp(net);
    net_break_silently(net);
    net->tcp_dropped = true;
    net_run(net, 100 * SECOND);
    net->tcp_dropped = false;
    assert_int_equal(net_totals(net, WEST).peers, 0);
    uint8_t inner[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1, 0, 9, 0, 9, 0, 8, 0, 0};
    net_take(net, WEST, peers_ondemand(net->end[WEST].peers, net->now, 0, inner, sizeof inner));
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
}

static void a_gateway_that_restarts_gets_a_new_ike_sa(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_restart(net, EAST);
    net_configure(net, EAST);
    net_run(net, 100 * SECOND);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_same_keys(net);
    assert_true(net_ping(net, WEST, EAST));
}

static void a_client_that_restarts_replaces_what_the_gateway_had(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_restart(net, WEST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_int_equal(net_totals(net, EAST).child_sas, 1);
    assert_int_equal(traffic_anchors(net->end[EAST].traffic), 1);
    assert_same_keys(net);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void a_client_that_restarts_in_silence_is_known_again_by_its_identity(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net->end[WEST].config->ike.initial_contact = false;
    net_restart(net, WEST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_same_keys(net);
    assert_true(net_ping(net, EAST, WEST));
}

static void a_connection_that_breaks_during_ike_sa_init_fails_the_try(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 12);
    net_cut(net);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, WEST).peers, 0);
}

static void a_nat_that_rebinds_over_udp_is_followed_by_ike_and_by_esp(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    net->nat_port = 41000;
    assert_true(net_ping(net, WEST, EAST));
    assert_int_equal(net_status(net, EAST)->remote.port, 41000);
    assert_true(net_ping(net, EAST, WEST));
    net->nat_port = 42000;
    struct error err;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", false, &err));
    net_run(net, SECOND);
    assert_int_equal(net_status(net, EAST)->remote.port, 42000);
    assert_true(net_ping(net, EAST, WEST));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(L1_a_lost_connection_comes_back_with_the_same_sas),
        T(L13_all_connections_of_a_peer_have_one_flow_label_over_ipv6),
        T(L2_an_informational_is_the_first_message_of_the_new_connection),
        T(L1_a_gateway_that_is_away_is_called_with_backoff_and_no_storm),
        T(L1_a_gateway_whose_name_has_another_address_gets_its_sas_there),
        T(L3_a_closed_connection_deletes_no_sa_on_either_side),
        T(L14_the_responders_request_waits_for_the_originators_next_connection),
        T(K2_an_outstanding_request_goes_first_and_the_greeting_after_its_answer),
        T(K2_a_lost_answer_is_given_again_on_the_new_connection),
        T(L14_the_peers_rekey_whose_answer_was_lost_is_ended_on_the_new_connection),
        T(K1_nothing_is_sent_again_on_a_live_connection),
        T(L9_a_delete_that_is_outstanding_when_the_connection_breaks_is_done_locally),
        T(a_connection_without_life_ends_by_ike_and_begins_anew),
        T(dpdaction_clear_ends_and_stays_down),
        T(dpdaction_hold_waits_for_a_packet),
        T(a_gateway_that_restarts_gets_a_new_ike_sa),
        T(a_client_that_restarts_replaces_what_the_gateway_had),
        T(a_client_that_restarts_in_silence_is_known_again_by_its_identity),
        T(a_connection_that_breaks_during_ike_sa_init_fails_the_try),
        T(a_nat_that_rebinds_over_udp_is_followed_by_ike_and_by_esp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
