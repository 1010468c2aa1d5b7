/* streams.c: whose a stream is, what makes it current, what closes it. */
#include "net.h"

static void over_tcp(struct net *net) {
    net->end[WEST].config->path.tcp = PATH_YES;
    net->end[NORTH].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 6 * SECOND);
}

static void rekey_all(struct net *net) {
    struct error err;
    for (int ike = 0; ike < 2; ike++) {
        net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", ike, &err));
        net_run(net, SECOND);
    }
}

static struct carrier east_side(struct net *net) {
    return net_stream(net)->carrier[1];
}

static void L5_replayed_esp_and_ike_on_another_connection_move_nothing(void **state) {
    struct net *net = *state;
    over_tcp(net);
    assert_true(net_ping(net, WEST, EAST));
    struct net_frame esp = *net_last(net, EAST, false), ike = *net_last(net, EAST, true);
    uint16_t port = net_status(net, EAST)->remote.port;
    struct carrier attacker = net_attack(net, EAST);
    for (int i = 0; i < 3; i++) {
        net_inject(net, EAST, &attacker, esp.octets, esp.length);
        net_inject(net, EAST, &attacker, ike.octets, ike.length);
    }
    net_run(net, 100);
    assert_int_equal(net_status(net, EAST)->remote.port, port);
    assert_int_equal(net_count(net, EAST, PEER_STEP, STEP_MOVED), 0);
    assert_true(net_ping(net, EAST, WEST));
    assert_int_equal(net_open_streams(net, EAST), 2);
    net_run(net, 20 * SECOND);
    assert_int_equal(net_open_streams(net, EAST), 1); /* L12: nothing valid came over it */
    assert_true(net_ping(net, EAST, WEST));
}

static void L4_an_old_sa_is_known_on_a_new_connection_by_its_esp_spi(void **state) {
    struct net *net = *state;
    over_tcp(net);
    /* West's side of the old connection is gone, east does not know it yet. */
    net_lose(net, net_stream(net), 0);
    net_run(net, 100);
    assert_true(net_ping(net, WEST, EAST));
    assert_int_equal(net_status(net, EAST)->remote.port, net_stream(net)->carrier[1].remote.port);
    assert_true(net_ping(net, EAST, WEST));
}

static void L6_a_superseded_connection_stays_readable_and_is_closed_when_it_stays_idle(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_lose(net, net_stream(net), 0);
    net_run(net, 100);
    assert_int_equal(net_open_streams(net, EAST), 2);
    net_run(net, 19 * SECOND);
    assert_int_equal(net_open_streams(net, EAST), 2);
    net_run(net, 2 * SECOND);
    assert_int_equal(net_open_streams(net, EAST), 1);
    assert_true(net_ping(net, EAST, WEST));
}

static void L7_a_second_ike_sa_init_on_a_connection_in_use_is_refused(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct net_frame first = {0};
    for (size_t i = 0; i < net->frames && !first.length; i++)
        if (net->frame[i].to == EAST && net->frame[i].ike && net->frame[i].octets[4 + 18] == IKE_SA_INIT)
            first = net->frame[i];
    assert_true(first.length > 0);
    first.octets[6] ^= 0x5a; /* another SPI */
    struct carrier carrier = east_side(net);
    uint64_t sent = net->end[EAST].ike_sent;
    assert_false(net_inject(net, EAST, &carrier, first.octets, first.length));
    assert_int_equal(net_totals(net, EAST).half_open, 0);
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_int_equal(net->end[EAST].ike_sent, sent + 1); /* an error, and no state */
    net_run(net, SECOND);
    assert_true(net_ping(net, WEST, EAST));
}

static void L7_messages_of_another_ike_sa_on_a_connection_in_use_are_not_taken(void **state) {
    struct net *net = *state;
    over_tcp(net);
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, NORTH, PEER_UP, 0), 1);
    assert_true(net_ping(net, NORTH, EAST));
    uint16_t before[2] = {net->stream[0].carrier[1].remote.port, net->stream[1].carrier[1].remote.port};
    struct net_stream *north = &net->stream[1];
    /* A fresh message of west's comes over north's connection, as if north had stolen it. */
    net_break_silently(net);
    struct error err;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", false, &err));
    (void)err;
    for (size_t i = 0; i < net->streams; i++)
        net->stream[i].carries = true;
    const struct net_frame *ike = net_last(net, EAST, true);
    struct carrier carrier = north->carrier[1];
    for (size_t i = 0; i < net->frames; i++)
        if (net->frame[i].to == EAST && net->frame[i].ike &&
            net->frame[i].carrier.stream == net->stream[0].carrier[1].stream)
            ike = &net->frame[i];
    uint64_t sent = net->end[EAST].ike_sent;
    net_inject(net, EAST, &carrier, ike->octets, ike->length);
    assert_int_equal(net->end[EAST].ike_sent, sent);
    assert_int_equal(net->stream[0].carrier[1].remote.port, before[0]);
    assert_int_equal(net->stream[1].carrier[1].remote.port, before[1]);
    assert_true(net_ping(net, EAST, WEST));
    assert_true(net_ping(net, EAST, NORTH));
}

static void L9_the_originator_closes_after_the_last_delete(void **state) {
    struct net *net = *state;
    over_tcp(net);
    size_t found;
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, 4 * NET_DELAY);
    assert_int_equal(net_open_streams(net, WEST), 0);
    assert_int_equal(net_open_streams(net, EAST), 0);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 1);
    assert_false(net->end[WEST].host || net->end[EAST].host);
}

static void L9_the_responder_closes_a_connection_whose_ike_sa_is_gone_after_a_few_seconds(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net->end[EAST].psk = 'x';
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 25);
    net->stream[0].carries = false; /* the close is not seen */
    net_run(net, 4 * SECOND);
    assert_int_equal(net_open_streams(net, EAST), 1);
    net_run(net, 30 * SECOND + 2 * SECOND);
    assert_int_equal(net_open_streams(net, EAST), 0);
}

static void L10_a_mangled_ike_message_closes_the_connection_that_brought_it_and_keeps_the_sa(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct net_frame ike = *net_last(net, EAST, true);
    struct carrier attacker = net_attack(net, EAST);
    ike.octets[ike.length - 1] ^= 1;
    net_inject(net, EAST, &attacker, ike.octets, ike.length);
    assert_int_equal(net_open_streams(net, EAST), 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    assert_int_equal(net->connects, 1);
}

static void L10_a_mangled_message_on_the_current_connection_makes_the_originator_connect_again(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    struct net_frame ike = *net_last(net, EAST, true);
    struct carrier carrier = east_side(net);
    ike.octets[ike.length - 3] ^= 1;
    net_inject(net, EAST, &carrier, ike.octets, ike.length);
    net_run(net, SECOND);
    assert_int_equal(net->connects, 2);
    assert_true(net_status(net, WEST)->ike.spi_i == spi);
    assert_true(net_ping(net, EAST, WEST));
}

static void L10_unknown_ike_spis_close_a_connection_beyond_the_tolerance(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct net_frame ike = *net_last(net, EAST, true);
    struct carrier attacker = net_attack(net, EAST);
    for (int i = 0; i < 8; i++) /* both SPIs; only their worker stays */
        ike.octets[4 + i] = ike.octets[12 + i] = (uint8_t)(i * 37);
    for (int i = 0; i < 8; i++)
        net_inject(net, EAST, &attacker, ike.octets, ike.length);
    assert_int_equal(net_open_streams(net, EAST), 2);
    net_inject(net, EAST, &attacker, ike.octets, ike.length);
    assert_int_equal(net_open_streams(net, EAST), 1);
}

static void L12_a_connection_that_says_nothing_valid_is_closed_after_exactly_20_seconds(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    net_attack(net, EAST);
    net_run(net, 20 * SECOND - 1);
    assert_int_equal(net_open_streams(net, EAST), 1);
    net_run(net, 1);
    assert_int_equal(net_open_streams(net, EAST), 0);
    assert_int_equal(net_totals(net, EAST).streams, 0);
}

static void L12_connections_without_a_valid_word_are_bounded_per_source(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    for (int i = 0; i < 60; i++)
        net_attack(net, EAST);
    assert_int_equal(net_open_streams(net, EAST), 50);
    assert_int_equal(net_totals(net, EAST).streams, 50);
    net_run(net, 21 * SECOND);
    assert_int_equal(net_totals(net, EAST).streams, 0);
}

static void half_open_ike_sas_are_bounded_and_end_in_time(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, NET_DELAY);
    struct net_frame first = *net_last(net, EAST, true);
    struct carrier carrier = first.carrier;
    for (int i = 0; i < 400; i++) {
        first.octets[1] = (uint8_t)i;
        first.octets[2] = (uint8_t)(i >> 8);
        carrier.remote.octets[3] = (uint8_t)(100 + i / 40);
        net_inject(net, EAST, &carrier, first.octets, first.length);
    }
    struct peers_totals totals = net_totals(net, EAST);
    assert_int_equal(totals.half_open, 100); /* from there on cookies are asked for, and no state is made (K3) */
    net_run(net, 40 * SECOND);
    assert_int_equal(net_totals(net, EAST).half_open, 0);
}

static void half_open_ike_sas_are_bounded_per_source(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, NET_DELAY);
    struct net_frame first = *net_last(net, EAST, true);
    struct carrier carrier = first.carrier;
    carrier.remote.octets[3] = 200;
    for (int i = 0; i < 90; i++) {
        first.octets[1] = (uint8_t)i;
        net_inject(net, EAST, &carrier, first.octets, first.length);
    }
    assert_int_equal(net_totals(net, EAST).half_open, 12 + 1); /* more only with a cookie; the one is west's */
    for (int i = 0; i < 60; i++) {
        first.octets[1] = (uint8_t)(100 + i);
        first.octets[2] = 1;
        uint8_t framed[sizeof first.octets + NON_ESP_MARKER_LENGTH] = {0};
        memcpy(framed + NON_ESP_MARKER_LENGTH, first.octets, first.length);
        struct carrier stream = net_attack(net, EAST);
        net_inject(net, EAST, &stream, framed, NON_ESP_MARKER_LENGTH + first.length);
    }
    assert_int_equal(net_totals(net, EAST).half_open, 50 + 12 + 1); /* over TCP nobody is asked for one */
    net_run(net, 40 * SECOND);
}

static void C5_an_ike_sa_over_tcp_takes_no_ike_over_udp(void **state) {
    struct net *net = *state;
    over_tcp(net);
    struct error err;
    net_break_silently(net);
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", true, &err));
    struct net_frame ike = *net_last(net, EAST, true);
    struct carrier udp = {.transport = TRANSPORT_UDP, .local = net->end[EAST].outer, .remote = net->end[WEST].outer};
    udp.local.port = udp.remote.port = 4500;
    uint64_t sent = net->end[EAST].ike_sent;
    net_inject(net, EAST, &udp, ike.octets, ike.length);
    assert_int_equal(net->end[EAST].ike_sent, sent);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_TCP);
    net_cut(net);
    net_run(net, 5 * SECOND);
}

static void K3_a_client_gets_through_with_a_cookie_while_strangers_fill_the_gateway(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, NET_DELAY);
    struct net_frame first = *net_last(net, EAST, true);
    struct carrier carrier = first.carrier;
    for (int i = 0; i < 200; i++) {
        first.octets[1] = (uint8_t)i;
        carrier.remote.octets[3] = (uint8_t)(100 + i / 10);
        net_inject(net, EAST, &carrier, first.octets, first.length);
    }
    assert_in_range(net_totals(net, EAST).half_open, 99, 101);
    net_configure(net, NORTH);
    net_up(net, NORTH);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, NORTH, PEER_UP, 0), 1);
    assert_int_equal(net_count(net, NORTH, PEER_STEP, STEP_RETRY), 1);
    assert_true(net_ping(net, NORTH, EAST));
    net_run(net, 40 * SECOND);
}

/* Everything that was ever said to east, damaged at random, from strangers' connections and over UDP. */
static void L10_nothing_that_strangers_send_ends_what_is_established(void **state) {
    struct net *net = *state;
    over_tcp(net);
    rekey_all(net);
    uint64_t seed = 99, spi = net_status(net, WEST)->ike.spi_i;
    struct random_source random = random_seeded(&seed);
    struct net_frame *frames = malloc(sizeof net->frame);
    memcpy(frames, net->frame, sizeof net->frame);
    struct carrier udp = {.transport = TRANSPORT_UDP, .local = net->end[EAST].outer, .remote = net->end[NORTH].outer};
    udp.local.port = udp.remote.port = 4500;
    for (int i = 0; i < 6000; i++) {
        struct net_frame *frame = &frames[random_u32(&random) % NET_FRAMES];
        if (frame->length == 0 || frame->to != EAST)
            continue;
        uint8_t octets[1500];
        size_t length = frame->length;
        memcpy(octets, frame->octets, length);
        for (uint32_t flips = random_u32(&random) % 4; flips > 0; flips--)
            octets[random_u32(&random) % length] ^= (uint8_t)(1u << random_u32(&random) % 8);
        if (random_u32(&random) % 8 == 0)
            length = 1 + random_u32(&random) % length;
        struct carrier carrier = udp;
        if (i % 2 && net->streams < 120)
            carrier = net_attack(net, EAST);
        net_inject(net, EAST, &carrier, octets, length);
        if (i % 20 == 0)
            net_run(net, SECOND);
    }
    free(frames);
    net_run(net, 60 * SECOND);
    assert_true(net_status(net, WEST)->ike.spi_i == spi);
    assert_int_equal(net->connects, 1);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_int_equal(net_totals(net, EAST).streams, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(L5_replayed_esp_and_ike_on_another_connection_move_nothing),
        T(L4_an_old_sa_is_known_on_a_new_connection_by_its_esp_spi),
        T(L6_a_superseded_connection_stays_readable_and_is_closed_when_it_stays_idle),
        T(L7_a_second_ike_sa_init_on_a_connection_in_use_is_refused),
        T(L7_messages_of_another_ike_sa_on_a_connection_in_use_are_not_taken),
        T(L9_the_originator_closes_after_the_last_delete),
        T(L9_the_responder_closes_a_connection_whose_ike_sa_is_gone_after_a_few_seconds),
        T(L10_a_mangled_ike_message_closes_the_connection_that_brought_it_and_keeps_the_sa),
        T(L10_a_mangled_message_on_the_current_connection_makes_the_originator_connect_again),
        T(L10_unknown_ike_spis_close_a_connection_beyond_the_tolerance),
        T(L12_a_connection_that_says_nothing_valid_is_closed_after_exactly_20_seconds),
        T(L12_connections_without_a_valid_word_are_bounded_per_source),
        T(half_open_ike_sas_are_bounded_and_end_in_time),
        T(half_open_ike_sas_are_bounded_per_source),
        T(K3_a_client_gets_through_with_a_cookie_while_strangers_fill_the_gateway),
        T(L10_nothing_that_strangers_send_ends_what_is_established),
        T(C5_an_ike_sa_over_tcp_takes_no_ike_over_udp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
