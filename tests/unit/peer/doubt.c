/* doubt.c: a peer that restarted is noticed by what it says, which proves nothing: a new IKE SA is begun beside the old one,
 * and forged notices change nothing. RFC 7296, sections 1.5 and 2.21.4. */
#include "net.h"

static void over_tcp(struct net *net) {
    net->end[WEST].config->path.tcp = PATH_YES;
    net_bring_up(net);
    net_run(net, 10 * SECOND);
}

static void restart(struct net *net, int end) {
    net_restart(net, end);
    net_configure(net, end);
}

static void assert_new_sa(struct net *net, uint64_t old_spi) {
    struct peer_status *status = net_status(net, WEST);
    if (status->state != PEER_STATE_UP || status->ike.spi_i == old_spi)
        net_print(net);
    assert_int_equal(status->state, PEER_STATE_UP);
    assert_true(status->ike.spi_i != old_spi);
    uint8_t west[32];
    memcpy(west, status->fingerprint, 32);
    assert_memory_equal(west, net_status(net, EAST)->fingerprint, 32);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void after_a_restart_a_new_ike_sa_comes_over_tcp_within_seconds(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    restart(net, EAST);
    net_run(net, 4 * SECOND);
    assert_non_null(net_said(net, WEST, "does not know us"));
    assert_new_sa(net, spi);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0); /* nobody has to hear of it */
}

static void after_a_restart_a_new_ike_sa_comes_over_udp_while_packets_flow(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    restart(net, EAST);
    for (int i = 0; i < 5; i++) {
        net_ping(net, WEST, EAST);
        net_run(net, SECOND);
    }
    assert_new_sa(net, spi);
}

static void after_a_restart_an_idle_peer_notices_with_its_next_liveness_check(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    restart(net, EAST);
    net_run(net, 34 * SECOND); /* dpddelay is 30 s */
    assert_new_sa(net, spi);
}

static void a_gateway_that_stays_away_is_asked_again_and_a_new_ike_sa_comes_when_it_is_back(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    net->tcp_refused = true;
    restart(net, EAST);
    net_run(net, 20 * SECOND);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_RECONNECTING);
    net->tcp_refused = false;
    net_run(net, 25 * SECOND); /* the backoff */
    assert_new_sa(net, spi);
}

/* --- what strangers say --- */

static size_t notice(uint8_t *out, const struct ike_header *header, uint16_t type, struct span data) {
    struct writer writer = writer_over(out, 200);
    struct message_writer message = message_begin(&writer, header);
    payload_begin(&message, PAYLOAD_NOTIFY);
    notify_write(&writer, &(struct notify){.type = type, .data = data});
    payload_end(&message);
    message_end(&message);
    return writer.length;
}

static void inject_notice(
    struct net *net, const struct carrier *carrier, const struct ike_header *header, uint16_t type, uint32_t spi) {
    uint8_t octets[204] = {0}, data[4];
    struct writer writer = writer_over(data, sizeof data);
    writer_u32(&writer, spi);
    size_t length = notice(octets + 4, header, type, span_of(data, spi ? 4 : 0));
    net_inject(net, WEST, carrier, octets, 4 + length);
}

static struct ike_header no_ike_spi(struct net *net, uint8_t exchange) {
    const struct ike_info *ike = &net_status(net, WEST)->ike;
    return (struct ike_header){.spi_i = ike->spi_i,
        .spi_r = ike->spi_r,
        .version = IKE_VERSION,
        .exchange = exchange,
        .flags = IKE_FLAG_RESPONSE};
}

static struct carrier carrier_of(struct net *net) {
    struct peer_status *status = net_status(net, WEST);
    return (struct carrier){.transport = status->transport, .local = status->local, .remote = status->remote};
}

static void forged_notices_change_nothing_while_the_peer_answers(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i, sent = net->end[WEST].ike_sent;
    struct carrier carrier = carrier_of(net);
    struct ike_header esp = {.version = IKE_VERSION, .exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
    for (int i = 0; i < 300; i++) {
        inject_notice(net, &carrier, &esp, NOTIFY_INVALID_SPI, net_status(net, WEST)->child[0].child->spi_out);
        struct ike_header header = no_ike_spi(net, INFORMATIONAL);
        inject_notice(net, &carrier, &header, NOTIFY_INVALID_IKE_SPI, 0);
        net_run(net, 100);
    }
    assert_true(net_status(net, WEST)->ike.spi_i == spi);
    assert_int_equal(net_count(net, WEST, PEER_DOWN, 0), 0);
    assert_int_equal(net_count(net, WEST, PEER_STEP, STEP_LOST), 0);
    assert_in_range(net->end[WEST].ike_sent - sent, 1, 4); /* a test each 10 s at most */
    assert_true(net_ping(net, WEST, EAST));
}

static void a_notice_about_what_is_not_there_or_from_elsewhere_is_not_even_a_hint(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    uint64_t sent = net->end[WEST].ike_sent;
    uint32_t spi_out = net_status(net, WEST)->child[0].child->spi_out;
    struct carrier carrier = carrier_of(net), elsewhere = carrier;
    elsewhere.remote.octets[3] ^= 64;
    struct ike_header esp = {.version = IKE_VERSION, .exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
    struct ike_header ike = no_ike_spi(net, INFORMATIONAL);
    inject_notice(net, &elsewhere, &esp, NOTIFY_INVALID_SPI, spi_out);
    inject_notice(net, &carrier, &esp, NOTIFY_INVALID_SPI, spi_out ^ 1);
    inject_notice(net, &carrier, &esp, NOTIFY_INVALID_SPI, 0);
    inject_notice(net, &carrier, &ike, NOTIFY_INVALID_IKE_SPI, 0); /* nothing was asked */
    net_run(net, SECOND);
    assert_int_equal(net->end[WEST].ike_sent, sent);
    assert_null(net_said(net, WEST, "does not know us"));
}

/* The worst that notices and a dead network can do together: a new IKE SA is begun, and the old one goes on. */
static void the_old_ike_sa_stays_when_the_new_one_does_not_come(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_NO;
    net_bring_up(net);
    uint64_t spi = net_status(net, WEST)->ike.spi_i;
    struct carrier carrier = carrier_of(net);
    net->udp_blocked = true;
    struct ike_header esp = {.version = IKE_VERSION, .exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
    for (int i = 0; i < 5; i++) {
        inject_notice(net, &carrier, &esp, NOTIFY_INVALID_SPI, net_status(net, WEST)->child[0].child->spi_out);
        net_run(net, SECOND);
    }
    assert_non_null(net_said(net, WEST, "beginning a new IKE SA"));
    assert_int_equal(net_totals(net, WEST).peers, 2);
    net->udp_blocked = false;
    net_run(net, 10 * SECOND);
    assert_true(net_status(net, WEST)->ike.spi_i == spi || net_count(net, WEST, PEER_UP, 0) == 2);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_int_equal(net_totals(net, EAST).peers, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void one_attempt_goes_on_when_the_old_ike_sa_ends_meanwhile(void **state) {
    struct net *net = *state;
    net->end[WEST].config->path.tcp = PATH_NO;
    net->end[WEST].config->ike.retransmit_timeout_ms = 6 * SECOND;
    net->end[WEST].config->path.attempt_timeout_ms = 60 * SECOND;
    net_bring_up(net);
    struct carrier carrier = carrier_of(net);
    net->udp_blocked = true;
    struct ike_header esp = {.version = IKE_VERSION, .exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
    for (int i = 0; i < 10; i++) {
        if (net_status(net, WEST)->children)
            inject_notice(net, &carrier, &esp, NOTIFY_INVALID_SPI, net_status(net, WEST)->child[0].child->spi_out);
        net_run(net, SECOND);
    }
    assert_in_range(net_count(net, WEST, PEER_DOWN, 0), 1, 2); /* the old one, and perhaps a first attempt */
    assert_int_equal(net_totals(net, WEST).peers, 1);
    net->udp_blocked = false;
    net_run(net, 60 * SECOND);
    assert_int_equal(net_status(net, WEST)->state, PEER_STATE_UP);
    assert_int_equal(net_totals(net, WEST).peers, 1);
    assert_true(net_ping(net, WEST, EAST));
}

/* --- what we say to strangers --- */

static uint64_t answers(struct net *net, const uint8_t *message, size_t length, uint16_t port) {
    uint8_t octets[404] = {0};
    struct carrier carrier = {.transport = TRANSPORT_UDP,
        .local = {.family = 4, .octets = {192, 0, 2, 2}, .port = 4500},
        .remote = {.family = 4, .octets = {203, 0, 113, 9}, .port = port}};
    uint64_t sent = net->end[EAST].ike_sent;
    memcpy(octets + 4, message, length);
    net_inject(net, EAST, &carrier, octets, 4 + length);
    return net->end[EAST].ike_sent - sent;
}

static size_t request(uint8_t *out, uint8_t first, uint8_t flags, size_t body) {
    struct ike_header header = {.spi_i = 0x1234, .spi_r = 0x5678, .version = IKE_VERSION, .exchange = INFORMATIONAL};
    header.flags = flags;
    header.message_id = 77;
    struct writer writer = writer_over(out, 400);
    struct message_writer message = message_begin(&writer, &header);
    payload_begin(&message, first);
    for (size_t i = 0; i < body; i++)
        writer_u8(&writer, 0);
    payload_end(&message);
    message_end(&message);
    return writer.length;
}

static void a_protected_request_of_an_unknown_ike_sa_is_answered_with_INVALID_IKE_SPI(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    uint8_t message[400];
    size_t length = request(message, PAYLOAD_SK, IKE_FLAG_INITIATOR, 40);
    assert_int_equal(answers(net, message, length, 4500), 1);
    struct ike_header header;
    struct error err;
    struct span sent = span_of(net->last_ike, net->last_ike_length);
    assert_true(ike_header_read(sent, &header, &err));
    assert_true(header.spi_i == 0x1234 && header.spi_r == 0x5678 && header.message_id == 77);
    assert_int_equal(header.exchange, INFORMATIONAL);
    assert_int_equal(header.flags, IKE_FLAG_RESPONSE);
    assert_true(sent.length <= length);
    static const uint8_t notify[8] = {0, 0, 0, 8, 0, 0, 0, NOTIFY_INVALID_IKE_SPI};
    assert_memory_equal(sent.at + IKE_HEADER_LENGTH, notify, sizeof notify);
}

static void nothing_else_is_answered_and_nobody_more_than_once_a_second(void **state) {
    struct net *net = *state;
    net_configure(net, EAST);
    uint8_t message[400];
    size_t length = request(message, PAYLOAD_SK, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE, 40);
    assert_int_equal(answers(net, message, length, 1), 0); /* a response */
    length = request(message, PAYLOAD_NOTIFY, IKE_FLAG_INITIATOR, 40);
    assert_int_equal(answers(net, message, length, 2), 0); /* not protected: it may be a notice itself */
    length = request(message, PAYLOAD_SK, IKE_FLAG_INITIATOR, 3);
    assert_int_equal(answers(net, message, length, 3), 0); /* shorter than the answer */
    length = request(message, PAYLOAD_SK, IKE_FLAG_INITIATOR, 40);
    assert_int_equal(answers(net, message, length, 4), 1);
    assert_int_equal(answers(net, message, length, 4), 0);
    net_run(net, SECOND);
    assert_int_equal(answers(net, message, length, 4), 1);
    uint64_t all = 0;
    for (uint16_t port = 1000; port < 3000; port++)
        all += answers(net, message, length, port);
    assert_in_range(all, 100, 500);
}

static void unknown_esp_is_answered_over_udp_only_and_never_with_more(void **state) {
    struct net *net = *state;
    over_tcp(net);
    uint8_t packet[80] = {1, 2, 3, 4};
    struct carrier udp = {.transport = TRANSPORT_UDP,
        .local = {.family = 4, .octets = {192, 0, 2, 2}, .port = 4500},
        .remote = {.family = 4, .octets = {203, 0, 113, 9}, .port = 4500}};
    uint64_t sent = net->end[EAST].ike_sent;
    net_inject(net, EAST, &udp, packet, 30);
    net_run(net, 1);
    assert_int_equal(net->end[EAST].ike_sent, sent);
    struct carrier stream = net_attack(net, EAST);
    net_inject(net, EAST, &stream, packet, sizeof packet);
    net_run(net, 1);
    assert_int_equal(net->end[EAST].ike_sent, sent);
    net_inject(net, EAST, &udp, packet, sizeof packet);
    net_run(net, 1);
    assert_int_equal(net->end[EAST].ike_sent, sent + 1);
    static const uint8_t notify[12] = {0, 0, 0, 12, 0, 0, 0, NOTIFY_INVALID_SPI, 1, 2, 3, 4};
    assert_int_equal(net->last_ike_length, IKE_HEADER_LENGTH + sizeof notify);
    assert_memory_equal(net->last_ike + IKE_HEADER_LENGTH, notify, sizeof notify);
    assert_int_equal(net->last_ike[19], IKE_FLAG_INITIATOR);
}

/* Late packets of a Child SA that was rekeyed are no reason: there is an IKE SA to speak in. */
static void unknown_esp_of_a_known_peer_is_passed_over(void **state) {
    struct net *net = *state;
    net_bring_up(net);
    struct peer_status *east = net_status(net, EAST);
    struct carrier carrier = {.transport = TRANSPORT_UDP, .local = east->local, .remote = east->remote};
    uint8_t packet[80] = {1, 2, 3, 4};
    uint64_t sent = net->end[EAST].ike_sent;
    net_inject(net, EAST, &carrier, packet, sizeof packet);
    net_run(net, 1);
    assert_int_equal(net->end[EAST].ike_sent, sent);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        T(after_a_restart_a_new_ike_sa_comes_over_tcp_within_seconds),
        T(after_a_restart_a_new_ike_sa_comes_over_udp_while_packets_flow),
        T(after_a_restart_an_idle_peer_notices_with_its_next_liveness_check),
        T(a_gateway_that_stays_away_is_asked_again_and_a_new_ike_sa_comes_when_it_is_back),
        T(forged_notices_change_nothing_while_the_peer_answers),
        T(a_notice_about_what_is_not_there_or_from_elsewhere_is_not_even_a_hint),
        T(the_old_ike_sa_stays_when_the_new_one_does_not_come),
        T(one_attempt_goes_on_when_the_old_ike_sa_ends_meanwhile),
        T(a_protected_request_of_an_unknown_ike_sa_is_answered_with_INVALID_IKE_SPI),
        T(nothing_else_is_answered_and_nobody_more_than_once_a_second),
        T(unknown_esp_is_answered_over_udp_only_and_never_with_more),
        T(unknown_esp_of_a_known_peer_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
