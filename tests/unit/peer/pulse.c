/* pulse.c: whether what carries a peer still does: NAT keepalives. */
#include "net.h"

static void behind_a_nat(struct net *net) {
    net->nat_port = 41000;
    net->end[WEST].config->ike.dpd_delay_ms = net->end[EAST].config->ike.dpd_delay_ms = 0;
    net_bring_up(net);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
}

static void S6_an_octet_goes_out_after_20_s_of_silence_behind_a_nat(void **state) {
    struct net *net = *state;
    behind_a_nat(net);
    assert_int_equal(net->keepalives[WEST], 0);
    uint64_t sent_at = net->now;
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    net_run(net, 45 * SECOND);
    assert_in_range(net->keepalives[WEST], 2, 3);
    assert_true(net->kept_at - sent_at <= 40 * SECOND + 1);
    assert_int_equal(net->keepalives[EAST], 0);
    /* the binding that lasts 30 s is still there an hour later */
    net_run(net, 3600 * SECOND);
    assert_in_range(net->keepalives[WEST], 180, 184);
    assert_true(net_ping(net, EAST, WEST));
}

static void S6_no_keepalive_while_packets_keep_the_binding(void **state) {
    struct net *net = *state;
    behind_a_nat(net);
    for (int i = 0; i < 60; i++) {
        assert_true(net_ping(net, WEST, EAST));
        net_run(net, 2 * SECOND);
    }
    assert_int_equal(net->keepalives[WEST], 0);
}

/* However the packets fall between two looks, 20 s of silence are never exceeded. */
static void S6_no_binding_waits_longer_than_20_s(void **state) {
    struct net *net = *state;
    behind_a_nat(net);
    for (int i = 0; i < 200; i++) {
        net_run(net, 100 + (uint64_t)(i * 7919) % 43000);
        assert_true(net_ping(net, EAST, WEST));
        assert_true(net_ping(net, WEST, EAST));
    }
    assert_in_range(net->nat_silence, 15 * SECOND, 20 * SECOND + 1);
}

static void S6_no_keepalive_without_a_nat_and_none_on_a_stream(void **state) {
    struct net *net = *state;
    net->end[WEST].config->ike.dpd_delay_ms = 0;
    net_bring_up(net);
    net_run(net, 200 * SECOND);
    assert_int_equal(net->keepalives[WEST] + net->keepalives[EAST], 0);
}

static void S6_behind_a_nat_a_stream_gets_none(void **state) {
    struct net *net = *state;
    net->nat_port = 41000;
    net->end[WEST].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 200 * SECOND);
    assert_int_equal(net->keepalives[WEST] + net->keepalives[EAST], 0);
}

static void nat_keepalive_no_is_obeyed(void **state) {
    struct net *net = *state;
    net->end[WEST].config->nat_keepalive_ms = 0;
    behind_a_nat(net);
    net_run(net, 200 * SECOND);
    assert_int_equal(net->keepalives[WEST], 0);
    assert_false(net_ping(net, EAST, WEST)); /* which is what it costs */
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(S6_an_octet_goes_out_after_20_s_of_silence_behind_a_nat),
        T(S6_no_keepalive_while_packets_keep_the_binding),
        T(S6_no_binding_waits_longer_than_20_s),
        T(S6_no_keepalive_without_a_nat_and_none_on_a_stream),
        T(S6_behind_a_nat_a_stream_gets_none),
        T(nat_keepalive_no_is_obeyed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
