/* mobike.c: an IKE SA that moves: to another network, from UDP to TCP and back, and what must not move it. */
#include "net.h"

#include "wire/wire.h"

static void with_mobike(struct net *net) {
    for (int end = 0; end < ENDS; end++)
        net->end[end].config->ike.mobike = true;
}

static struct peer_status up(struct net *net) {
    with_mobike(net);
    net_bring_up(net);
    net_run(net, 5 * SECOND);
    return *net_status(net, WEST);
}

static void assert_same_sa(struct net *net, const struct peer_status *before) {
    const struct peer_status *after = net_status(net, WEST);
    if (after->ike.spi_i != before->ike.spi_i || !net_ping(net, WEST, EAST) || !net_ping(net, EAST, WEST))
        net_print(net);
    after = net_status(net, WEST);
    assert_int_equal(after->state, PEER_STATE_UP);
    assert_true(after->ike.spi_i == before->ike.spi_i && after->ike.spi_r == before->ike.spi_r);
    assert_int_equal(after->child[0].child->spi_in, before->child[0].child->spi_in);
    assert_int_equal(after->anchor, before->anchor);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
    assert_int_equal(net_count(net, WEST, PEER_UP, 0), 1);
}

static void K8_udp_to_udp_on_another_network_takes_a_round_trip_or_two(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    assert_true(before.ike.mobike);
    net_move(net, WEST, 77);
    net_run(net, 5 * NET_DELAY);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    assert_int_equal(net_status(net, WEST)->local.octets[3], 77);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 77);
    assert_same_sa(net, &before);
}

static void K8_O6_udp_to_tcp_where_the_new_network_lets_no_udp_pass(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    net->udp_blocked = true;
    net_move(net, WEST, 77);
    net_run(net, 1400);
    assert_int_equal(net->connects, 0); /* UDP first, sent at least twice */
    net_run(net, 300);
    assert_int_equal(net->connects, 1);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_TCP);
    assert_same_sa(net, &before);
    net->udp_blocked = false;
}

static void K8_K15_tcp_to_udp_on_another_network_and_the_old_connection_is_closed(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    with_mobike(net);
    net_bring_up(net);
    struct peer_status before = *net_status(net, WEST);
    assert_int_equal(before.transport, TRANSPORT_TCP);
    net->udp_blocked = false;
    net_move(net, WEST, 77);
    net_run(net, 50);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_UDP);
    assert_same_sa(net, &before);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_open_streams(net, WEST), 0);
    net_run(net, 40 * SECOND);
    assert_same_sa(net, &before);
}

static void K8_tcp_to_tcp_on_another_network(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    struct peer_status before = up(net);
    net_move(net, WEST, 77);
    net_run(net, 200);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 77);
    assert_same_sa(net, &before);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_open_streams(net, WEST), 1);
}

/* Message IDs of what reached east since the frames were cleared. */
static size_t ike_ids(struct net *net, uint32_t *out, enum transport *over, size_t most) {
    size_t count = 0;
    for (size_t i = 0; i < net->frames && i < NET_FRAMES && count < most; i++) {
        const struct net_frame *frame = &net->frame[i];
        struct ike_header header;
        struct error ignored;
        if (frame->to != EAST || !frame->ike ||
            !ike_header_read(span_of(frame->octets + 4, frame->length - 4), &header, &ignored) ||
            (header.flags & IKE_FLAG_RESPONSE))
            continue;
        over[count] = frame->carrier.transport;
        out[count++] = header.message_id;
    }
    return count;
}

/* UDP reaches east, its answers are lost: the same request comes over TCP, then another one, so that both agree. */
static void K8_K14_the_same_request_comes_over_tcp_and_another_follows(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    net->frames = 0;
    net->deaf = WEST + 1;
    net_move(net, WEST, 77);
    net_run(net, 2 * SECOND);
    uint32_t id[16];
    enum transport over[16];
    size_t count = ike_ids(net, id, over, 16);
    assert_true(count >= 4);
    size_t first_tcp = 0;
    while (first_tcp < count && over[first_tcp] == TRANSPORT_UDP)
        first_tcp++;
    assert_true(first_tcp >= 2 && first_tcp + 1 < count);
    for (size_t i = 0; i <= first_tcp; i++)
        assert_int_equal(id[i], id[0]);
    assert_int_equal(id[first_tcp + 1], id[0] + 1);
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_TCP);
    assert_same_sa(net, &before);
    net->deaf = 0;
}

static void K8_it_moves_after_a_rekey_by_either_side(void **state) {
    struct net *net = *state;
    up(net);
    struct error err;
    for (int end = WEST; end <= EAST; end++) {
        net_take(net, end, peers_rekey(net->end[end].peers, net->now, "office", true, &err));
        net_run(net, SECOND);
        struct peer_status before = *net_status(net, WEST);
        assert_int_equal(before.rekeys, end + 1);
        net_move(net, WEST, (uint8_t)(80 + end));
        net_run(net, SECOND);
        assert_int_equal(net_status(net, EAST)->remote.octets[3], 80 + end);
        assert_same_sa(net, &before);
    }
}

static void C7_an_established_sa_whose_udp_dies_goes_to_tcp(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    net->udp_blocked = true;
    net_run(net, 40 * SECOND); /* the liveness check is 30 s away */
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_same_sa(net, &before);
    net->udp_blocked = false;
}

static void C7_without_mobike_a_new_ike_sa_is_made_over_tcp(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net->udp_blocked = true;
    net_run(net, 45 * SECOND);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_true(net_ping(net, WEST, EAST));
    net_run(net, 70 * SECOND);
    assert_true(net_ping(net, EAST, WEST));
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    net->udp_blocked = false;
}

static void L1_without_mobike_a_stream_is_opened_again_from_the_new_address(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 5 * SECOND);
    struct peer_status before = *net_status(net, WEST);
    net_move(net, WEST, 77);
    net_run(net, 200);
    assert_same_sa(net, &before);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 77);
}

static void without_mobike_a_flow_over_udp_is_followed(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    struct peer_status before = *net_status(net, WEST);
    net_move(net, WEST, 77);
    net_run(net, 200);
    assert_same_sa(net, &before);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 77);
}

static void L2_the_first_message_of_a_new_connection_says_where_we_are(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_YES;
    struct peer_status before = up(net);
    net_cut(net);
    net->frames = 0;
    net_run(net, SECOND);
    assert_true(net->frames > 0 && net->frame[0].ike);
    assert_int_equal(net->frame[0].octets[4 + 18], INFORMATIONAL);
    assert_true(net->frame[0].length > 4 + 28 + 70); /* an empty one has no NAT detection */
    assert_same_sa(net, &before);
}

static void a_connection_that_cannot_be_opened_again_gives_way_to_udp(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    with_mobike(net);
    net_bring_up(net);
    struct peer_status before = *net_status(net, WEST);
    net->udp_blocked = false;
    net->tcp_refused = true;
    net_run(net, 5 * SECOND);
    net_cut(net);
    net_run(net, 10 * SECOND);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    assert_same_sa(net, &before);
    net->tcp_refused = false;
}

static void C4_udp_is_asked_again_while_tcp_carries_and_taken_when_it_answers(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    with_mobike(net);
    net_bring_up(net);
    struct peer_status before = *net_status(net, WEST);
    net_run(net, 70 * SECOND); /* asked once, in vain */
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_same_sa(net, &before);
    assert_int_equal(net->connects, 1);
    net->udp_blocked = false;
    for (int i = 0; i < 65; i++) { /* and nothing is lost meanwhile */
        net_run(net, SECOND - 4 * NET_DELAY);
        assert_true(net_ping(net, WEST, EAST));
        assert_true(net_ping(net, EAST, WEST));
    }
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_UDP);
    assert_same_sa(net, &before);
    net_run(net, 5 * SECOND);
    assert_int_equal(net_open_streams(net, WEST), 0);
}

static void C5_where_udp_stays_blocked_tcp_goes_on_and_no_question_is_lost(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    with_mobike(net);
    net_bring_up(net);
    struct peer_status before = *net_status(net, WEST);
    net_run(net, 600 * SECOND);
    assert_same_sa(net, &before);
    assert_int_equal(net->connects, 1);
    net->udp_blocked = false;
}

/* RFC 4555, section 3.8: only UPDATE_SA_ADDRESSES moves a flow, not any message from another address. */
static void L5_no_other_ike_message_and_no_esp_from_another_host_moves_a_flow_over_udp(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    struct carrier away = {.transport = TRANSPORT_UDP, .local = net->end[EAST].outer};
    away.local.port = 4500;
    away.remote = (struct address){.family = 4, .octets = {203, 0, 113, 9}, .port = 4500};
    net->catch_udp = true; /* what west sends is lost, and somebody else has it */
    struct error err;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", false, &err));
    assert_false(net_ping(net, WEST, EAST));
    net->catch_udp = false;
    assert_true(net->caught > 1);
    for (size_t i = 0; i < net->caught; i++)
        net_inject(net, EAST, &away, net->catch[i].octets, net->catch[i].length);
    net_run(net, 100);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 1);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_status(net, WEST)->anchor, before.anchor);
    assert_true(net_ping(net, EAST, WEST));
}

/* A NAT that forgot: ESP shows the new port; IKE says so with UPDATE_SA_ADDRESSES or not at all. */
static void L5_from_another_port_of_the_same_host_esp_moves_a_flow_and_ike_does_not(void **state) {
    struct net *net = *state;
    up(net);
    struct carrier other = {.transport = TRANSPORT_UDP, .local = net->end[EAST].outer, .remote = net->end[WEST].outer};
    other.local.port = 4500;
    other.remote.port = 61000;
    struct error err;
    net->catch_udp = true;
    net_take(net, WEST, peers_rekey(net->end[WEST].peers, net->now, "office", false, &err));
    assert_false(net_ping(net, WEST, EAST));
    net->catch_udp = false;
    assert_int_equal(net->caught, 2);
    net_inject(net, EAST, &other, net->catch[0].octets, net->catch[0].length);
    net_run(net, 20);
    assert_int_equal(net_status(net, EAST)->remote.port, 4500);
    net_inject(net, EAST, &other, net->catch[1].octets, net->catch[1].length);
    net_run(net, 20);
    assert_int_equal(net_status(net, EAST)->remote.port, 61000);
}

/* The request was caught on its way and comes from somebody who can't answer for west: no ESP goes there. */
static void K15_no_esp_goes_where_nobody_says_the_cookie_back(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    struct carrier away = {.transport = TRANSPORT_UDP, .local = net->end[EAST].outer};
    away.local.port = 4500;
    away.remote = (struct address){.family = 4, .octets = {203, 0, 113, 9}, .port = 4500};
    net->catch_udp = true;
    net_move(net, WEST, 77);
    net_run(net, 20);
    net->catch_udp = false;
    net->udp_blocked = true;
    assert_int_equal(net->caught, 1);
    net_inject(net, EAST, &away, net->catch[0].octets, net->catch[0].length);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 1);
    net_run(net, 4 * SECOND); /* west goes over TCP meanwhile */
    assert_int_equal(net_status(net, EAST)->transport, TRANSPORT_TCP);
    assert_same_sa(net, &before);
    net->udp_blocked = false;
}

static void a_refused_transport_is_passed_over(void **state) {
    struct net *net = *state;
    net->end[EAST].config->ike.refuse_unreliable = true;
    net->udp_blocked = true;
    with_mobike(net);
    net_bring_up(net);
    struct peer_status before = *net_status(net, WEST);
    net->udp_blocked = false;
    net_move(net, WEST, 77);
    net_run(net, SECOND);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    assert_non_null(net_said(net, WEST, "UNACCEPTABLE_ADDRESSES"));
    assert_same_sa(net, &before);
}

static void nothing_passes_for_a_while_and_then_the_same_sa_goes_on(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    net->udp_blocked = net->tcp_dropped = true;
    net_move(net, WEST, 77);
    net_run(net, 25 * SECOND);
    net->udp_blocked = net->tcp_dropped = false;
    net_run(net, 20 * SECOND);
    assert_same_sa(net, &before);
}

static void two_moves_in_a_row_end_at_the_last_one(void **state) {
    struct net *net = *state;
    struct peer_status before = up(net);
    net_move(net, WEST, 77);
    net_run(net, 3);
    net_move(net, WEST, 78);
    net_run(net, 7);
    net_move(net, WEST, 79);
    net_run(net, 3 * SECOND);
    assert_int_equal(net_status(net, EAST)->remote.octets[3], 79);
    assert_same_sa(net, &before);
}

/* Where else an end can be reached: `last` 0: nowhere. */
static void set_addresses(struct net *net, int end, uint8_t last) {
    struct address list[2] = {net->end[end].outer, net->end[end].outer};
    list[1].octets[3] = last;
    net->end[end].second = last ? list[1] : (struct address){0};
    net_take(net, end, peers_set_addresses(net->end[end].peers, net->now, list, last ? 2 : 1));
}

static void lose_first_address(struct net *net, int end) {
    net->end[end].outer_gone = true;
    net_break_silently(net);
}

/* The name still has the address that is dead: what the peer told of is no other gateway's, and is tried in its turn. */
static void a_name_that_has_not_changed_does_not_hold_up_the_search_for_another_way(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_NO;
    snprintf(net->end[WEST].config->remote_host, sizeof net->end[WEST].config->remote_host, "gateway");
    set_addresses(net, EAST, 99);
    struct peer_status before = up(net);
    lose_first_address(net, EAST);
    net_move(net, WEST, 77);
    net_run(net, 2 * SECOND); /* the dead one has 1.5 s */
    assert_null(net_said(net, WEST, "gateway is 192.0.2.2 now"));
    assert_int_equal(net_status(net, WEST)->remote.octets[3], 99);
    assert_same_sa(net, &before);
}

static void a_gateway_that_restarted_is_noticed_while_the_sas_look_for_another_way(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    with_mobike(net);
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net_run(net, 5 * SECOND);
    net->udp_blocked = false;
    net->tcp_refused = true;
    net_restart(net, EAST);
    net_configure(net, EAST);
    net_run(net, 20 * SECOND);
    if (net_status(net, WEST)->ike.spi_i == spi)
        net_print(net);
    assert_true(net_status(net, WEST)->ike.spi_i != spi);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
    net->tcp_refused = false;
}

static void the_gateway_loses_its_first_address_and_the_same_sa_goes_on_at_another_one(void **state) {
    struct net *net = *state;
    for (int told_later = 0; told_later < 2; told_later++)
        for (int tcp = 0; tcp < 2; tcp++) {
            net->end[WEST].config->path.tcp = tcp ? PATH_YES : PATH_NO;
            if (!told_later)
                set_addresses(net, EAST, 99);
            struct peer_status before = up(net);
            uint64_t sent = net->end[EAST].ike_sent;
            if (told_later)
                set_addresses(net, EAST, 99);
            net_run(net, SECOND);
            assert_int_equal(net->end[EAST].ike_sent - sent, told_later);
            lose_first_address(net, EAST);
            uint64_t broke_at = net->now;
            while (net->now < broke_at + 60 * SECOND && !net_ping(net, WEST, EAST))
                net_run(net, 500);
            if (net->now - broke_at > (tcp ? 25 : 12) * SECOND)
                net_print(net);
            assert_true(net->now - broke_at <= (tcp ? 25 : 12) * SECOND);
            assert_int_equal(net_status(net, WEST)->remote.octets[3], 99);
            assert_same_sa(net, &before);
            net_teardown(state);
            net_setup(state);
            net = *state;
        }
}

static void addresses_that_are_of_no_use_to_the_peer_are_not_told(void **state) {
    struct net *net = *state;
    up(net);
    struct address list[20];
    uint64_t sent = net->end[EAST].ike_sent;
    for (size_t i = 0; i < 20; i++)
        list[i] = (struct address){.family = 4, .octets = {192, 168, 3, (uint8_t)(1 + i)}};
    list[0] = net->end[EAST].outer; /* which it knows */
    list[1] = (struct address){.family = 4, .octets = {10, 2, 0, 1}}; /* in the tunnel */
    net_take(net, EAST, peers_set_addresses(net->end[EAST].peers, net->now, list, 20));
    net_run(net, SECOND);
    assert_int_equal(net->end[EAST].ike_sent, sent);
    list[2] = (struct address){.family = 4, .octets = {203, 0, 113, 9}};
    net_take(net, EAST, peers_set_addresses(net->end[EAST].peers, net->now, list, 20));
    net_run(net, SECOND);
    assert_int_equal(net->end[EAST].ike_sent, sent + 1);
    net_take(net, EAST, peers_set_addresses(net->end[EAST].peers, net->now, list, 20)); /* nothing new */
    net_run(net, SECOND);
    assert_int_equal(net->end[EAST].ike_sent, sent + 1);
}

static void an_address_that_was_taken_back_is_not_tried(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_NO;
    set_addresses(net, EAST, 99);
    up(net);
    set_addresses(net, EAST, 0);
    net_run(net, SECOND);
    set_addresses(net, WEST, 88); /* the Initiator says its own as well */
    uint64_t sent = net->end[WEST].ike_sent;
    set_addresses(net, WEST, 89);
    net_run(net, SECOND);
    assert_int_equal(net->end[WEST].ike_sent, sent + 1);
    lose_first_address(net, EAST);
    for (int i = 0; i < 40; i++) {
        (void)net_ping(net, WEST, EAST);
        net_run(net, 500);
    }
    assert_null(net_said(net, WEST, "the SAs try"));
    net->end[EAST].outer_gone = false;
    net_run(net, 60 * SECOND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_name_that_has_not_changed_does_not_hold_up_the_search_for_another_way, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            a_gateway_that_restarted_is_noticed_while_the_sas_look_for_another_way, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            the_gateway_loses_its_first_address_and_the_same_sa_goes_on_at_another_one, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(addresses_that_are_of_no_use_to_the_peer_are_not_told, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(an_address_that_was_taken_back_is_not_tried, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            K8_udp_to_udp_on_another_network_takes_a_round_trip_or_two, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            K8_O6_udp_to_tcp_where_the_new_network_lets_no_udp_pass, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            K8_K15_tcp_to_udp_on_another_network_and_the_old_connection_is_closed, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(K8_tcp_to_tcp_on_another_network, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            K8_K14_the_same_request_comes_over_tcp_and_another_follows, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(K8_it_moves_after_a_rekey_by_either_side, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(C7_an_established_sa_whose_udp_dies_goes_to_tcp, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(C7_without_mobike_a_new_ike_sa_is_made_over_tcp, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            L1_without_mobike_a_stream_is_opened_again_from_the_new_address, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(without_mobike_a_flow_over_udp_is_followed, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            L2_the_first_message_of_a_new_connection_says_where_we_are, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            a_connection_that_cannot_be_opened_again_gives_way_to_udp, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            C4_udp_is_asked_again_while_tcp_carries_and_taken_when_it_answers, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            C5_where_udp_stays_blocked_tcp_goes_on_and_no_question_is_lost, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            L5_no_other_ike_message_and_no_esp_from_another_host_moves_a_flow_over_udp, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            L5_from_another_port_of_the_same_host_esp_moves_a_flow_and_ike_does_not, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(K15_no_esp_goes_where_nobody_says_the_cookie_back, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(a_refused_transport_is_passed_over, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(
            nothing_passes_for_a_while_and_then_the_same_sa_goes_on, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(two_moves_in_a_row_end_at_the_last_one, net_setup, net_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
