/* redirect.c: clients that are sent to another gateway (RFC 5685): north is east's twin, west is sent there. */
#include "net.h"
#include "peer/internal.h"

/* West accepts, north takes what east would. */
static void prepare(struct net *net) {
    net->end[WEST].config->ike.accept_redirect = true;
    net_config(net->end[NORTH].config, EAST);
    for (int end = 0; end < ENDS; end++)
        net_configure(net, end);
}

static void assert_up_at(struct net *net, int gateway, enum transport transport) {
    if (net_totals(net, WEST).ike_sas != 1)
        net_print(net);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    struct peer_status *status = net_status(net, WEST);
    assert_int_equal(status->state, PEER_STATE_UP);
    assert_int_equal(status->transport, transport);
    assert_true(address_same_host(&status->remote, &net->end[gateway].outer));
    assert_int_equal(status->children, 1);
    assert_int_equal(net_totals(net, gateway).child_sas, 1);
    assert_int_equal(net_totals(net, gateway == EAST ? NORTH : EAST).ike_sas, 0);
}

static void K9_a_gateway_redirects_before_it_keeps_anything(void **state) {
    struct net *net = *state;
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3");
    net_up(net, WEST);
    net_run(net, 1);
    net_run(net, NET_DELAY);
    assert_int_equal(net_totals(net, EAST).half_open, 0);
    net_run(net, SECOND);
    assert_non_null(net_said(net, WEST, "192.0.2.2 redirects us to 192.0.2.3"));
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_up_at(net, NORTH, TRANSPORT_UDP);
}

static void K9_gateways_of_a_list_take_turns(void **state) {
    struct net *net = *state;
    char one[GATEWAY_MAX];
    size_t at = 0;
    assert_true(gateway_next("192.0.2.3,north.example", &at, one));
    assert_string_equal(one, "192.0.2.3");
    assert_true(gateway_next("192.0.2.3,north.example", &at, one));
    assert_string_equal(one, "north.example");
    assert_false(gateway_next("192.0.2.3,north.example", &at, one));
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3,north.example");
    for (int i = 0; i < 2; i++) {
        size_t found;
        net_up(net, WEST);
        net_run(net, SECOND);
        assert_up_at(net, NORTH, TRANSPORT_UDP);
        net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
        net_run(net, SECOND);
    }
    assert_non_null(net_said(net, WEST, "redirects us to 192.0.2.3"));
    assert_non_null(net_said(net, WEST, "redirects us to north.example"));
    assert_non_null(net_said(net, WEST, "looking up north.example"));
}

static void K9_ike_auth_redirects_who_proved_itself(void **state) {
    struct net *net = *state;
    strcpy(net->end[EAST].config->ike.redirect_to, "north.example");
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_non_null(net_said(net, EAST, "sent UDP 192.0.2.1:4500 to north.example"));
    assert_null(net_said(net, EAST, "failed"));
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_up_at(net, NORTH, TRANSPORT_UDP);
}

static void K9_an_established_sa_carries_until_the_new_one_is_there(void **state) {
    struct net *net = *state;
    size_t found;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    net_take(net, EAST, peers_redirect(net->end[EAST].peers, net->now, "office", "192.0.2.3", &found));
    assert_int_equal(found, 1);
    net_run(net, 2 * NET_DELAY);
    assert_int_equal(net_totals(net, WEST).ike_sas, 2);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0); /* nobody's news */
    assert_up_at(net, NORTH, TRANSPORT_UDP);
    net_take(net, NORTH, peers_redirect(net->end[NORTH].peers, net->now, "office", "192.0.2.2", &found)); /* and back */
    net_run(net, SECOND);
    assert_up_at(net, EAST, TRANSPORT_UDP);
}

static void K9_where_the_new_gateway_does_not_answer_the_old_sa_stays(void **state) {
    struct net *net = *state;
    size_t found;
    prepare(net);
    net_up(net, WEST);
    net_run(net, SECOND);
    net_take(net, EAST, peers_redirect(net->end[EAST].peers, net->now, "office", "192.0.2.77", &found));
    net_run(net, 70 * SECOND);
    assert_non_null(net_said(net, WEST, "the old IKE SA stays"));
    assert_up_at(net, EAST, TRANSPORT_UDP);
    assert_true(net_ping(net, WEST, EAST));
}

static void K9_udp_is_first_again_at_the_new_gateway(void **state) {
    struct net *net = *state;
    size_t found;
    prepare(net);
    net->udp_blocked = true;
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_up_at(net, EAST, TRANSPORT_TCP);
    net->udp_blocked = false;
    net_take(net, EAST, peers_redirect(net->end[EAST].peers, net->now, "office", "192.0.2.3", &found));
    net_run(net, 8 * SECOND);
    assert_non_null(net_said(net, WEST, "trying UDP 192.0.2.3:500"));
    assert_up_at(net, NORTH, TRANSPORT_UDP);
}

static void K9_tcp_alone_stays_tcp_alone(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3");
    net_up(net, WEST);
    net_run(net, 8 * SECOND);
    assert_null(net_said(net, WEST, "trying UDP"));
    assert_up_at(net, NORTH, TRANSPORT_TCP);
    assert_int_equal(net_open_streams(net, EAST), 0);
}

static void K9_the_sixth_redirect_in_300_s_is_a_loop(void **state) {
    struct net *net = *state;
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3");
    peers_set_redirect(net->end[NORTH].peers, PEER_REDIRECT_YES, "192.0.2.2");
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_STEP, STEP_REDIRECTED), 5);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_non_null(net_said(net, WEST, "that is a loop"));
    net_run(net, 300 * SECOND);
    peers_set_redirect(net->end[NORTH].peers, PEER_REDIRECT_NO, "");
    net_up(net, WEST); /* it is forgotten, and where it is configured it begins */
    net_run(net, SECOND);
    assert_up_at(net, NORTH, TRANSPORT_UDP);
}

static void K9_only_to_gateways_that_are_allowed(void **state) {
    struct net *net = *state;
    strcpy(net->end[WEST].config->accept_redirect_to, "198.51.100.9,vpn.example");
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3");
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_non_null(net_said(net, WEST, "192.0.2.3, which accept-redirect-to does not allow"));
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_int_equal(net_totals(net, NORTH).half_open, 0);
}

static void K9_under_load_alone_when_told_so(void **state) {
    struct net *net = *state;
    prepare(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_UNDER_LOAD, "192.0.2.3");
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_up_at(net, EAST, TRANSPORT_UDP);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(K9_a_gateway_redirects_before_it_keeps_anything),
        T(K9_gateways_of_a_list_take_turns),
        T(K9_ike_auth_redirects_who_proved_itself),
        T(K9_an_established_sa_carries_until_the_new_one_is_there),
        T(K9_where_the_new_gateway_does_not_answer_the_old_sa_stays),
        T(K9_udp_is_first_again_at_the_new_gateway),
        T(K9_tcp_alone_stays_tcp_alone),
        T(K9_the_sixth_redirect_in_300_s_is_a_loop),
        T(K9_only_to_gateways_that_are_allowed),
        T(K9_under_load_alone_when_told_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
