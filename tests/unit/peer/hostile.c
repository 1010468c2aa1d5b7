/* hostile.c: what strangers who saw everything, and peers who are odd, may not do to an engine. */
#include "net.h"

#include "peer/internal.h"

static void over_tcp(struct net *net) {
    net->end[WEST].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 6 * SECOND);
}

static const struct net_frame *first_request(const struct net *net) {
    for (size_t i = 0; i < net->frames && i < NET_FRAMES; i++) {
        const struct net_frame *frame = &net->frame[i];
        size_t header = frame->marker ? NON_ESP_MARKER_LENGTH : 0;
        if (frame->to == EAST && frame->ike && frame->octets[header + 18] == IKE_SA_INIT)
            return frame;
    }
    return NULL;
}

/* West's IKE_SA_INIT as it goes on a stream. */
static size_t framed_request(const struct net *net, uint8_t out[1600]) {
    const struct net_frame *frame = first_request(net);
    assert_non_null(frame);
    size_t used = frame->marker ? 0 : NON_ESP_MARKER_LENGTH;
    memset(out, 0, used);
    memcpy(out + used, frame->octets, frame->length);
    return used + frame->length;
}

/* A packet of an end's that never leaves it: fresh wherever it turns up. */
static size_t kept_back(struct net *net, int from, int to, uint8_t out[512]) {
    uint8_t inner[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, (uint8_t)(1 + from), 0, 1, 10, (uint8_t)(1 + to),
        0, 1, 0, 9, 0, 9, 0, 8, 0, 0};
    struct traffic_route route;
    assert_true(traffic_route(net->end[from].traffic, 0, inner, sizeof inner, &route));
    memcpy(out + esp_seal_offset(route.sa), inner, sizeof inner);
    struct esp_seal_job job = {.packet = out, .inner = sizeof inner, .next_header = 4};
    assert_int_equal(esp_seal(route.sa, &job, 1), 1);
    return job.length;
}

static void C2_a_packet_that_got_lost_over_udp_takes_no_sa_to_a_strangers_stream(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_UDP);
    struct carrier attacker = net_attack(net, EAST);
    uint8_t packet[512];
    size_t length = kept_back(net, WEST, EAST, packet);
    assert_false(net_inject(net, EAST, &attacker, packet, length));
    net_run(net, 100);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_UDP);
    assert_true(net_ping(net, EAST, WEST));
    net_run(net, 20 * SECOND);
    assert_int_equal(net_totals(net, EAST).streams, 0); /* it proved nothing (L12) */
    assert_true(net_ping(net, WEST, EAST));
}

static void C2_nor_does_an_ike_message(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    struct carrier attacker = net_attack(net, EAST);
    struct error err;
    uint8_t kept[1600] = {0};
    size_t length = 0;
    struct peer_output out = peers_rekey(net->end[WEST].peers, net->now, "office", false, &err);
    for (size_t i = 0; i < out.actions; i++)
        if (out.action[i].kind == PEER_SEND) {
            length = NON_ESP_MARKER_LENGTH + out.action[i].octets.length;
            memcpy(kept + NON_ESP_MARKER_LENGTH, out.action[i].octets.at, out.action[i].octets.length);
        }
    assert_true(length > 0);
    net_inject(net, EAST, &attacker, kept, length);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_UDP);
    assert_true(net_ping(net, EAST, WEST));
    net_run(net, 5 * SECOND); /* west asks again, and has its answer */
    assert_int_equal(net_status(net, WEST)->children, 1);
    assert_int_equal(net_count(net, WEST, PEER_STEP, STEP_CHILD_REKEYED), 1);
    assert_true(net_ping(net, EAST, WEST));
    net_run(net, 20 * SECOND);
    assert_int_equal(net_totals(net, EAST).streams, 0);
}

static void C5_an_attempt_that_goes_on_over_udp_after_tcp_takes_answers_over_udp(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    net_bring_up(net);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    size_t found;
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, 5 * SECOND);
    /* TCP is remembered (C4), is taken, and nobody answers; UDP works again. */
    net->udp_blocked = false;
    net_up(net, WEST);
    net_run(net, 10 + 2);
    net_break_silently(net);
    net_run(net, 25 * SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 2);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void L12_a_key_exchange_alone_proves_nothing_of_a_connection(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net->end[EAST].psk = 'x';
    net_configure(net, EAST);
    net_configure(net, WEST);
    const struct peers *east = net->end[EAST].peers;
    for (int i = 0; i < 5; i++) {
        size_t found;
        net_up(net, WEST);
        net_run(net, 25);
        net_break_silently(net); /* neither the refusal nor the close arrives */
        net_run(net, SECOND / 5);
        net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
        assert_int_equal(net_totals(net, EAST).half_open, 0);
        assert_int_equal(net_totals(net, EAST).streams, i + 1);
        assert_int_equal(east->unproven_streams, i + 1);
    }
    net_run(net, 6 * SECOND); /* L9 */
    assert_int_equal(net_totals(net, EAST).streams, 0);
    assert_int_equal(east->unproven_streams, 0);
    assert_int_equal(east->sources.count, 0);
}

static void L12_a_connection_counts_again_when_its_ike_sa_is_gone(void **state) {
    struct net *net = *state;
    over_tcp(net);
    const struct peers *east = net->end[EAST].peers;
    assert_int_equal(east->unproven_streams, 0);
    net_break_silently(net);
    size_t found;
    net_take(net, EAST, peers_down(net->end[EAST].peers, net->now, "office", &found));
    net_run(net, 2 * SECOND);
    assert_int_equal(net_totals(net, EAST).streams, 1);
    assert_int_equal(east->unproven_streams, 1);
    net_run(net, 5 * SECOND);
    assert_int_equal(net_totals(net, EAST).streams, 0);
    assert_int_equal(east->sources.count, 0);
    net_cut(net);
}

/* Who overhears IKE_SA_INIT and says it again from behind the same NAT is answered, and carries nothing away. */
static void K2_a_first_request_said_again_elsewhere_takes_no_half_open_sa_along(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 25 - NET_DELAY); /* east has answered; IKE_AUTH is on its way */
    assert_int_equal(net_totals(net, EAST).half_open, 1);
    uint8_t octets[1600];
    size_t length = framed_request(net, octets);
    struct carrier attacker = net_attack(net, EAST);
    struct peers *east = net->end[EAST].peers;
    stream_find(east, &attacker)->carrier.remote = net->end[WEST].outer; /* the same NAT's */
    uint64_t sent = net->end[EAST].ike_sent;
    net_inject(net, EAST, &attacker, octets, length);
    assert_int_equal(net->end[EAST].ike_sent, sent + 1); /* the stored response (K2) */
    assert_ptr_equal(stream_find(east, &attacker)->owner, NULL);
    assert_int_not_equal(east->peer_list->carrier.stream, attacker.stream);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
    assert_true(net_ping(net, EAST, WEST));
}

/* RFC 7296 section 2.1: two hosts behind one NAT may choose the same SPI. */
static void the_spi_of_another_behind_the_same_nat_shuts_nobody_out(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net->drop_next_udp = 0;
    net_up(net, WEST);
    net_run(net, NET_DELAY);
    struct net_frame first = *first_request(net);
    net_restart(net, EAST);
    net_configure(net, EAST);
    /* The same SPI in another message comes first. */
    struct net_frame other = first;
    other.octets[other.length - 1] ^= 1; /* of a NAT detection hash */
    net_inject(net, EAST, &other.carrier, other.octets, other.length);
    assert_int_equal(net_totals(net, EAST).half_open, 1);
    net_inject(net, EAST, &first.carrier, first.octets, first.length);
    assert_int_equal(net_totals(net, EAST).half_open, 2);
    net_inject(net, EAST, &first.carrier, first.octets, first.length);
    assert_int_equal(net_totals(net, EAST).half_open, 2);
    net_run(net, 40 * SECOND);
}

static void K3_datagrams_in_a_clients_name_do_not_shut_it_out(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    net_configure(net, WEST);
    net_configure(net, NORTH);
    net_up(net, WEST);
    net_run(net, NET_DELAY);
    struct net_frame forged = *first_request(net);
    struct carrier carrier = forged.carrier;
    carrier.remote = net->end[NORTH].outer;
    for (int i = 0; i < 90; i++) {
        carrier.remote.port = (uint16_t)(1000 + i);
        forged.octets[1] = (uint8_t)i;
        net_inject(net, EAST, &carrier, forged.octets, forged.length);
    }
    net_up(net, NORTH);
    net_run(net, SECOND);
    assert_int_equal(net_count(net, NORTH, PEER_UP, 0), 1);
    assert_int_equal(net_count(net, NORTH, PEER_STEP, STEP_RETRY), 1); /* a cookie */
    assert_true(net_ping(net, NORTH, EAST));
    net_run(net, 40 * SECOND);
    assert_int_equal(net_totals(net, EAST).half_open, 0);
}

/* RFC 7296 section 2.23: behind a NAT the peer's address is not followed. */
static void an_initiator_behind_a_nat_keeps_the_peers_address(void **state) {
    struct net *net = *state;
    net->nat_port = 40000;
    net_bring_up(net);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    struct carrier elsewhere = {.transport = TRANSPORT_UDP, .local = net->end[WEST].outer};
    elsewhere.local.port = 4500;
    elsewhere.remote = (struct address){.family = 4, .octets = {203, 0, 113, 66}, .port = 4500};
    uint8_t packet[512];
    size_t length = kept_back(net, EAST, WEST, packet);
    uint64_t came = net->inner_came[WEST];
    net_inject(net, WEST, &elsewhere, packet, length);
    net_run(net, 100);
    assert_int_equal(net->inner_came[WEST], came + 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_int_equal(net_status(net, WEST)->remote.octets[0], 192);
}

/* ... and where there is none, it is. */
static void an_initiator_without_a_nat_follows_the_peer(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    struct carrier elsewhere = {.transport = TRANSPORT_UDP, .local = net->end[WEST].outer};
    elsewhere.local.port = 4500;
    elsewhere.remote = (struct address){.family = 4, .octets = {203, 0, 113, 2}, .port = 4500};
    uint8_t packet[512];
    size_t length = kept_back(net, EAST, WEST, packet);
    net_inject(net, WEST, &elsewhere, packet, length);
    net_run(net, 100);
    assert_int_equal(net_status(net, WEST)->remote.octets[0], 203);
    length = kept_back(net, EAST, WEST, packet);
    elsewhere.remote = net->end[EAST].outer;
    elsewhere.remote.port = 4500;
    net_inject(net, WEST, &elsewhere, packet, length);
    net_run(net, 100);
    assert_true(net_ping(net, WEST, EAST));
}

static void INITIAL_CONTACT_ends_the_old_ike_sa_without_a_word_to_who_forgot_it(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    net_restart(net, WEST);
    net_configure(net, WEST);
    net_up(net, WEST);
    net_run(net, 3 * SECOND);
    assert_non_null(net_said(net, EAST, "the peer began anew"));
    assert_null(net_said(net, EAST, "deleting the IKE SA"));
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_true(net_ping(net, EAST, WEST));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(C2_a_packet_that_got_lost_over_udp_takes_no_sa_to_a_strangers_stream),
        T(C2_nor_does_an_ike_message),
        T(C5_an_attempt_that_goes_on_over_udp_after_tcp_takes_answers_over_udp),
        T(L12_a_key_exchange_alone_proves_nothing_of_a_connection),
        T(L12_a_connection_counts_again_when_its_ike_sa_is_gone),
        T(K2_a_first_request_said_again_elsewhere_takes_no_half_open_sa_along),
        T(the_spi_of_another_behind_the_same_nat_shuts_nobody_out),
        T(K3_datagrams_in_a_clients_name_do_not_shut_it_out),
        T(an_initiator_behind_a_nat_keeps_the_peers_address),
        T(an_initiator_without_a_nat_follows_the_peer),
        T(INITIAL_CONTACT_ends_the_old_ike_sa_without_a_word_to_who_forgot_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
