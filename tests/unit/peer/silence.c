/* silence.c: a connection that takes everything and brings nothing is noticed by traffic without an answer, and replaced
 * beside itself; one that comes back in time stays. */
#include "net.h"

static void over_tcp(struct net *net) {
    net->end[WEST].config->path.tcp = PATH_YES;
    net->end[WEST].config->ike.dpd_delay_ms = net->end[EAST].config->ike.dpd_delay_ms = 0;
    net_bring_up(net);
    net_run(net, 10 * SECOND);
}

/* A packet now and each half second, until it arrives or the time is up; says when it did. */
static uint64_t ping_until(struct net *net, uint64_t most) {
    uint64_t began = net->now;
    while (net->now - began < most) {
        if (net_ping(net, WEST, EAST))
            return net->now - began;
        net_run(net, 500 - 2 * NET_DELAY);
    }
    return NEVER;
}

static void L1_L6_a_black_hole_is_noticed_by_traffic_in_five_seconds_and_the_same_sas_go_on(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct peer_status before = *net_status(net, WEST);
    uint32_t spi = before.child[0].child->spi_in;
    uint64_t broke_at = net->now;
    net_break_silently(net);
    uint64_t back = ping_until(net, 20 * SECOND);
    const struct net_line *line = net_said(net, WEST, "does not answer any more");
    if (!line || back == NEVER)
        net_print(net);
    assert_non_null(line);
    assert_in_range(line->at - broke_at, 4 * SECOND, 5 * SECOND); /* 2 to 3 s of traffic, and 2 s for the answer */
    const struct net_line *again = net_said(net, WEST, "connected again");
    assert_non_null(again);
    assert_int_equal(again->at - line->at, 4 * NET_DELAY); /* a round trip for the connection, one for the answer */
    assert_true(back <= line->at - broke_at + SECOND);
    struct peer_status *after = net_status(net, WEST);
    assert_true(after->ike.spi_i == before.ike.spi_i && after->ike.spi_r == before.ike.spi_r);
    assert_int_equal(after->child[0].child->spi_in, spi);
    assert_int_equal(after->reconnects, 1);
    assert_true(net_ping(net, EAST, WEST));
    net_run(net, 3 * SECOND);
    assert_int_equal(net_open_streams(net, WEST), 1); /* the old one is closed */
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
}

/* The peer rekeyed the IKE SA, and our answer was swallowed: it knows the predecessor alone. */
static void L6_a_black_hole_amid_the_peers_rekey_is_left_with_the_predecessor(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct error err;
    net_take(net, EAST, peers_rekey(net->end[EAST].peers, net->now, "office", true, &err));
    net_break_silently(net); /* what is under way arrives, the answer does not */
    uint64_t spi = net_status(net, EAST)->ike.spi_i;
    uint64_t back = ping_until(net, 20 * SECOND);
    if (back > 6 * SECOND)
        net_print(net);
    assert_true(back <= 6 * SECOND);
    assert_null(net_said(net, WEST, "beginning a new IKE SA"));
    net_run(net, 90 * SECOND); /* longer than a question waits */
    assert_true(net_status(net, EAST)->ike.spi_i != spi);
    assert_true(net_status(net, EAST)->ike.spi_i == net_status(net, WEST)->ike.spi_i);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_true(net_ping(net, EAST, WEST));
}

/* While packets flow both ways, and then none comes any more. */
static void L6_running_traffic_notices_a_black_hole_as_soon(void **state) {
    struct net *net = *state;
    for (uint64_t phase = 0; phase < SECOND; phase += 90) {
        over_tcp(net);
        for (int i = 0; i < 20; i++) {
            assert_true(net_ping(net, WEST, EAST) && net_ping(net, EAST, WEST));
            net_run(net, 250);
        }
        net_run(net, phase % 250);
        net_break_silently(net);
        uint64_t broke_at = net->now;
        assert_int_not_equal(ping_until(net, 20 * SECOND), NEVER);
        const struct net_line *line = net_said(net, WEST, "does not answer any more");
        assert_non_null(line);
        assert_in_range(line->at - broke_at, 4 * SECOND - 300, 5 * SECOND);
        net_teardown(state);
        net_setup(state);
        net = *state;
    }
}

static void L6_a_connection_that_comes_back_before_the_new_one_is_open_stays(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct net_stream *stream = net_stream(net);
    stream->carries = false;
    net->tcp_dropped = true; /* the new one does not open */
    assert_int_equal(ping_until(net, 6 * SECOND), NEVER);
    assert_non_null(net_said(net, WEST, "does not answer any more"));
    assert_int_equal(net_open_streams(net, WEST), 1);
    stream->carries = true;
    net->tcp_dropped = false;
    for (int i = 0; i < 20; i++) {
        assert_true(net_ping(net, WEST, EAST));
        assert_true(net_ping(net, EAST, WEST));
        net_run(net, 500);
    }
    assert_non_null(net_said(net, WEST, "answers again"));
    assert_ptr_equal(net_stream(net), stream);
    assert_int_equal(net_open_streams(net, WEST), 1);
    assert_int_equal(net_status(net, WEST)->reconnects, 0);
}

static void L1_traffic_one_way_alone_replaces_nothing(void **state) {
    struct net *net = *state;
    over_tcp(net);
    size_t connects = net->connects;
    uint64_t sent = net->end[WEST].ike_sent;
    for (int i = 0; i < 60; i++) {
        assert_true(net_ping(net, WEST, EAST));
        net_run(net, SECOND);
    }
    assert_int_equal(net->connects, connects);
    assert_in_range(net->end[WEST].ike_sent - sent, 5, 15); /* a question each few seconds, no more */
}

static void L12_connecting_again_does_not_prolong_the_timeout_of_liveness(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_break_silently(net);
    net->tcp_dropped = true;
    uint64_t broke_at = net->now;
    (void)ping_until(net, 70 * SECOND);
    const struct net_line *line = net_said(net, WEST, "no answer to INFORMATIONAL");
    if (!line)
        net_print(net);
    assert_non_null(line);
    assert_in_range(line->at - broke_at, 62 * SECOND, 63 * SECOND);
    net->tcp_dropped = false;
    net_run(net, 30 * SECOND);
}

static void L14_a_responder_asks_and_connects_nowhere(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_break_silently(net);
    size_t connects = net->connects;
    uint64_t sent = net->end[EAST].ike_sent;
    for (int i = 0; i < 10; i++) {
        (void)net_ping(net, EAST, WEST);
        net_run(net, SECOND);
    }
    assert_int_equal(net->end[EAST].ike_sent - sent, 1);
    assert_int_equal(net->connects, connects);
    assert_true(ping_until(net, 20 * SECOND) != NEVER); /* as soon as the Originator has something to say */
}

static void L1_a_peer_that_ends_each_new_connection_gets_a_new_ike_sa(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_cut(net);
    for (int i = 0; i < 3000 && !net_said(net, WEST, "ends our connections"); i++) {
        net_run(net, NET_DELAY);
        struct net_stream *stream = net_stream(net);
        if (stream)
            net_lose(net, stream, 0);
    }
    if (!net_said(net, WEST, "ends our connections"))
        net_print(net);
    assert_non_null(net_said(net, WEST, "ends our connections"));
    net_run(net, 10 * SECOND);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(L1_L6_a_black_hole_is_noticed_by_traffic_in_five_seconds_and_the_same_sas_go_on),
        T(L6_a_black_hole_amid_the_peers_rekey_is_left_with_the_predecessor),
        T(L6_running_traffic_notices_a_black_hole_as_soon),
        T(L6_a_connection_that_comes_back_before_the_new_one_is_open_stays),
        T(L1_traffic_one_way_alone_replaces_nothing),
        T(L12_connecting_again_does_not_prolong_the_timeout_of_liveness),
        T(L14_a_responder_asks_and_connects_nowhere),
        T(L1_a_peer_that_ends_each_new_connection_gets_a_new_ike_sa),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
