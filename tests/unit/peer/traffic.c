/* traffic.c: the worker's half alone: what moves an anchor and what must not, corruption, which SA a packet takes. */
#include "peer/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOLERANCE 3

static struct carrier tcp(uint32_t stream) {
    return (struct carrier){.transport = TRANSPORT_TCP, .stream = stream};
}

static struct carrier udp(uint8_t last, uint16_t port) {
    return (struct carrier){.transport = TRANSPORT_UDP,
        .local = {.family = 4, .octets = {192, 0, 2, 1}, .port = 4500},
        .remote = {.family = 4, .octets = {203, 0, 113, last}, .port = port}};
}

static void add_selector(struct selector_list *list, const char *text) {
    struct prefix prefix;
    struct error err;
    assert_true(prefix_parse(text, &prefix, &err));
    list->selector[list->count++] = selector_of_prefix(&prefix);
}

/* An SA with its mirror: what one seals the other opens. */
static struct esp_sa *make_sa(uint32_t in, uint32_t out, const char *local, const char *remote) {
    static uint8_t key[CIPHER_KEY_MAX];
    struct esp_config config = {
        .spi_in = in, .spi_out = out, .suite = {.encr = ENCR_AES_GCM_16, .key_bits = 128}, .replay_window = 64};
    config.key_in = config.key_out = span_of(key, cipher_key_length(config.suite));
    add_selector(&config.local, local);
    add_selector(&config.remote, remote);
    struct error err;
    struct esp_sa *sa = esp_sa_new(&config, &err);
    assert_non_null(sa);
    return sa;
}

static size_t inner_packet(uint8_t *out, const char *from, const char *to) {
    struct address source, destination;
    struct error err;
    assert_true(address_parse(from, &source, &err));
    assert_true(address_parse(to, &destination, &err));
    memset(out, 0, 28);
    out[0] = 0x45;
    out[3] = 28;
    out[8] = 64;
    out[9] = 17;
    memcpy(out + 12, source.octets, 4);
    memcpy(out + 16, destination.octets, 4);
    out[25] = 8;
    return 28;
}

struct fixture {
    struct traffic *traffic;
    struct esp_sa *far; /* the other side's: seals what `traffic` opens */
    struct traffic_reports reports;
    uint32_t strikes;
};

static void apply(struct fixture *f, struct traffic_command command) {
    f->reports.count = 0;
    traffic_apply(f->traffic, 0, &command, &f->reports);
    for (size_t i = 0; i < f->reports.count; i++)
        if (f->reports.report[i].kind == TRAFFIC_RETIRED)
            esp_sa_free(f->reports.report[i].sa);
}

static void anchor_add(struct fixture *f, uint32_t anchor, struct carrier carrier) {
    apply(f, (struct traffic_command){.verb = TRAFFIC_ANCHOR_ADD, .anchor = anchor, .carrier = carrier});
}

static void install(struct fixture *f, uint32_t anchor, struct esp_sa *sa, bool now, uint32_t replaces) {
    apply(f, (struct traffic_command){.verb = TRAFFIC_INSTALL,
                 .anchor = anchor,
                 .sa = sa,
                 .spi_in = esp_sa_spi_in(sa),
                 .outbound_now = now,
                 .replaces = replaces});
}

static void retire(struct fixture *f, uint32_t anchor, uint32_t spi_in) {
    apply(f, (struct traffic_command){.verb = TRAFFIC_RETIRE, .anchor = anchor, .spi_in = spi_in});
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    f->traffic = traffic_new(0);
    anchor_add(f, 1, tcp(10));
    install(f, 1, make_sa(0x1000, 0x2000, "10.1.0.0/16", "10.2.0.0/16"), true, 0);
    f->far = make_sa(0x2000, 0x1000, "10.2.0.0/16", "10.1.0.0/16");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    esp_sa_free(f->far);
    traffic_free(f->traffic);
    free(f);
    return 0;
}

static size_t sealed_by(struct esp_sa *sa, uint8_t *out, const char *from, const char *to) {
    size_t inner = inner_packet(out + esp_seal_offset(sa), from, to);
    struct esp_seal_job job = {.packet = out, .inner = inner, .next_header = 4};
    assert_int_equal(esp_seal(sa, &job, 1), 1);
    return job.length;
}

static size_t sealed(struct fixture *f, uint8_t *out) {
    return sealed_by(f->far, out, "10.2.0.1", "10.1.0.1");
}

static enum traffic_verdict receive(struct fixture *f, struct carrier carrier, const uint8_t *octets, size_t length) {
    uint8_t copy[512];
    memcpy(copy, octets, length);
    struct traffic_frame frame = {.payload = copy, .length = length};
    f->reports.count = 0;
    uint32_t *strikes = carrier.transport == TRANSPORT_UDP ? NULL : &f->strikes;
    traffic_receive(f->traffic, 5, &carrier, true, TOLERANCE, strikes, &frame, 1, &f->reports);
    return frame.verdict;
}

static const struct traffic_report *report_of(const struct fixture *f, enum traffic_report_kind kind) {
    for (size_t i = 0; i < f->reports.count; i++)
        if (f->reports.report[i].kind == kind)
            return &f->reports.report[i];
    return NULL;
}

static struct traffic_route route(struct fixture *f, const char *from, const char *to) {
    uint8_t packet[64];
    struct traffic_route found = {0};
    size_t length = inner_packet(packet, from, to);
    if (!traffic_route(f->traffic, 0, packet, length, &found))
        return (struct traffic_route){0};
    return found;
}

static uint32_t stream_of(struct fixture *f) {
    return route(f, "10.1.0.1", "10.2.0.1").carrier->stream;
}

static uint32_t spi_to(struct fixture *f, const char *from, const char *to) {
    struct traffic_route found = route(f, from, to);
    return found.sa ? esp_sa_spi_in(found.sa) : 0;
}

static void L5_fresh_esp_on_another_stream_moves_the_anchor_and_reports_it(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(11), packet, length), TRAFFIC_IS_INNER);
    const struct traffic_report *moved = report_of(f, TRAFFIC_MOVED);
    assert_non_null(moved);
    assert_int_equal(moved->anchor, 1);
    assert_int_equal(moved->carrier.stream, 11);
    assert_int_equal(stream_of(f), 11);
}

static void L5_a_replayed_packet_on_another_stream_moves_nothing(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_INNER);
    assert_int_equal(receive(f, tcp(66), packet, length), TRAFFIC_IS_NOTHING);
    assert_null(report_of(f, TRAFFIC_MOVED));
    assert_int_equal(stream_of(f), 10);
}

static void L5_a_forged_packet_on_another_stream_moves_nothing(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    packet[length - 1] ^= 1;
    assert_int_equal(receive(f, tcp(66), packet, length), TRAFFIC_IS_CORRUPT);
    assert_int_equal(stream_of(f), 10);
}

static void drain(struct fixture *f, uint32_t anchor, uint32_t spi_in) {
    apply(f, (struct traffic_command){.verb = TRAFFIC_DRAIN, .anchor = anchor, .spi_in = spi_in});
}

/* Its successor sends at once; a predecessor's end does not bring it back, nor does a packet move or use it. */
static void K11_what_drains_takes_what_was_under_way_and_nothing_more(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    install(f, 1, make_sa(0x1001, 0x2001, "10.1.0.0/16", "10.2.0.0/16"), false, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1000);
    drain(f, 1, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1001);
    size_t length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_INNER);
    length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(11), packet, length), TRAFFIC_IS_INNER);
    assert_null(report_of(f, TRAFFIC_MOVED));
    assert_int_equal(stream_of(f), 10);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1001);
    install(f, 1, make_sa(0x1002, 0x2002, "10.1.0.0/16", "10.2.0.0/16"), true, 0x1001);
    drain(f, 1, 0x1001);
    retire(f, 1, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1002);
    assert_int_equal(traffic_sas(f->traffic), 2);
    length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_NOTHING);
    retire(f, 1, 0x1001);
    assert_int_equal(traffic_sas(f->traffic), 1);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1002);
}

static void C5_esp_over_udp_does_not_move_an_anchor_that_runs_over_tcp(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    receive(f, udp(1, 4500), packet, length);
    assert_null(report_of(f, TRAFFIC_MOVED));
    assert_int_equal(stream_of(f), 10);
    apply(f, (struct traffic_command){.verb = TRAFFIC_ANCHOR_MOVE, .anchor = 1});
    length = sealed(f, packet);
    receive(f, udp(1, 4500), packet, length);
    assert_int_equal(route(f, "10.1.0.1", "10.2.0.1").carrier->transport, TRANSPORT_NONE);
}

static void L5_fresh_esp_from_another_udp_address_follows_a_nat(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    anchor_add(f, 2, udp(1, 4500));
    install(f, 2, make_sa(0x3000, 0x4000, "10.1.0.0/16", "10.3.0.0/16"), true, 0);
    struct esp_sa *far = make_sa(0x4000, 0x3000, "10.3.0.0/16", "10.1.0.0/16");
    size_t length = sealed_by(far, packet, "10.3.0.1", "10.1.0.1");
    assert_int_equal(receive(f, udp(1, 61234), packet, length), TRAFFIC_IS_INNER);
    assert_non_null(report_of(f, TRAFFIC_MOVED));
    assert_int_equal(route(f, "10.1.0.1", "10.3.0.1").carrier->remote.port, 61234);
    esp_sa_free(far);
}

static void L7_a_stream_that_carries_one_anchor_takes_no_other(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    anchor_add(f, 2, tcp(20));
    size_t length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(20), packet, length), TRAFFIC_IS_INNER);
    assert_null(report_of(f, TRAFFIC_MOVED));
    assert_int_equal(stream_of(f), 10);
}

static void L10_one_failed_authentication_closes_the_stream_and_says_why(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    packet[length / 2] ^= 0x40;
    assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_CORRUPT);
    const struct traffic_report *corrupt = report_of(f, TRAFFIC_CORRUPT);
    assert_non_null(corrupt);
    assert_int_equal(corrupt->carrier.stream, 10);
    assert_int_equal(traffic_sas(f->traffic), 1); /* never the SA */
}

static void L10_over_udp_a_forged_packet_is_dropped_and_closes_nothing(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    packet[length - 2] ^= 1;
    assert_int_equal(receive(f, udp(1, 4500), packet, length), TRAFFIC_IS_NOTHING);
    assert_null(report_of(f, TRAFFIC_CORRUPT));
}

static void L10_unknown_spis_in_a_row_are_tolerated_up_to_a_limit(void **state) {
    struct fixture *f = *state;
    const uint8_t unknown[40] = {0xde, 0xad, 0xbe, 0xef};
    uint8_t packet[256];
    for (int i = 0; i < TOLERANCE; i++)
        assert_int_equal(receive(f, tcp(10), unknown, sizeof unknown), TRAFFIC_IS_NOTHING);
    size_t length = sealed(f, packet);
    assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_INNER); /* not in a row any more */
    for (int i = 0; i < TOLERANCE; i++)
        assert_int_equal(receive(f, tcp(10), unknown, sizeof unknown), TRAFFIC_IS_NOTHING);
    assert_int_equal(receive(f, tcp(10), unknown, sizeof unknown), TRAFFIC_IS_CORRUPT);
}

static void L10_replays_are_no_corruption_however_many(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    size_t length = sealed(f, packet);
    receive(f, tcp(10), packet, length);
    for (int i = 0; i < 50; i++)
        assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_NOTHING);
    assert_int_equal(f->strikes, 0);
}

static void L10_what_follows_the_corrupt_frame_is_not_looked_at(void **state) {
    struct fixture *f = *state;
    uint8_t octets[3][256];
    struct traffic_frame frame[3];
    for (int i = 0; i < 3; i++)
        frame[i] = (struct traffic_frame){.payload = octets[i], .length = sealed(f, octets[i])};
    octets[1][frame[1].length - 1] ^= 1;
    struct carrier carrier = tcp(10);
    f->reports.count = 0;
    traffic_receive(f->traffic, 5, &carrier, true, TOLERANCE, &f->strikes, frame, 3, &f->reports);
    assert_int_equal(frame[0].verdict, TRAFFIC_IS_INNER);
    assert_int_equal(frame[1].verdict, TRAFFIC_IS_CORRUPT);
    assert_int_equal(frame[2].verdict, TRAFFIC_IS_NOTHING);
}

static void S12_runts_are_dropped_and_counted_and_keepalives_are_not(void **state) {
    struct fixture *f = *state;
    const uint8_t runt[2] = {1, 2}, keepalive[1] = {0xff};
    for (int i = 0; i < 20; i++)
        assert_int_equal(receive(f, tcp(10), keepalive, 1), TRAFFIC_IS_NOTHING);
    for (int i = 0; i < TOLERANCE; i++)
        assert_int_equal(receive(f, tcp(10), runt, 2), TRAFFIC_IS_NOTHING);
    assert_int_equal(receive(f, tcp(10), runt, 2), TRAFFIC_IS_CORRUPT);
}

static void ike_is_told_from_esp_by_the_marker_and_needs_none_on_port_500(void **state) {
    struct fixture *f = *state;
    uint8_t octets[40] = {0};
    struct traffic_frame frame = {.payload = octets, .length = 32};
    struct carrier carrier = udp(1, 500);
    assert_int_equal(receive(f, tcp(10), octets, 40), TRAFFIC_IS_IKE);
    traffic_receive(f->traffic, 5, &carrier, false, TOLERANCE, NULL, &frame, 1, &f->reports);
    assert_int_equal(frame.verdict, TRAFFIC_IS_IKE);
    assert_int_equal(frame.message.length, 32);
}

static void a_responder_sends_on_the_new_sa_from_the_first_packet_that_came_on_it(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    install(f, 1, make_sa(0x1001, 0x2001, "10.1.0.0/16", "10.2.0.0/16"), false, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1000);
    struct esp_sa *far = make_sa(0x2001, 0x1001, "10.2.0.0/16", "10.1.0.0/16");
    size_t length = sealed_by(far, packet, "10.2.0.1", "10.1.0.1");
    receive(f, tcp(10), packet, length);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1001);
    esp_sa_free(far);
}

static void a_responder_sends_on_the_new_sa_when_the_old_one_is_retired(void **state) {
    struct fixture *f = *state;
    install(f, 1, make_sa(0x1001, 0x2001, "10.1.0.0/16", "10.2.0.0/16"), false, 0x1000);
    retire(f, 1, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1001);
    assert_int_equal(traffic_sas(f->traffic), 1);
}

static void the_loser_of_a_collision_goes_and_the_old_sa_takes_over_again(void **state) {
    struct fixture *f = *state;
    install(f, 1, make_sa(0x1001, 0x2001, "10.1.0.0/16", "10.2.0.0/16"), true, 0x1000);
    install(f, 1, make_sa(0x1002, 0x2002, "10.1.0.0/16", "10.2.0.0/16"), false, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1001);
    retire(f, 1, 0x1001);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1000);
    retire(f, 1, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1002);
}

static void narrower_selectors_win_whatever_came_first(void **state) {
    struct fixture *f = *state;
    anchor_add(f, 2, tcp(20));
    install(f, 2, make_sa(0x3000, 0x4000, "10.1.0.0/16", "10.2.3.0/24"), true, 0);
    install(f, 2, make_sa(0x3001, 0x4001, "0.0.0.0/0", "0.0.0.0/0"), true, 0);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.3.4"), 0x3000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.4.4"), 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "192.0.2.77"), 0x3001);
    assert_int_equal(spi_to(f, "172.16.0.1", "10.2.3.4"), 0x3001); /* outside the narrow one's local side */
    retire(f, 2, 0x3000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.3.4"), 0x1000);
}

/* The same networks behind two gateways, a device each. */
static void a_packet_takes_the_sa_of_the_device_that_it_came_out_of(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    struct traffic_route found;
    anchor_add(f, 2, tcp(20));
    struct esp_sa *far = make_sa(0x6000, 0x5000, "10.2.0.0/16", "10.1.0.0/16");
    apply(f, (struct traffic_command){.verb = TRAFFIC_INSTALL,
                 .anchor = 2,
                 .sa = make_sa(0x5000, 0x6000, "10.1.0.0/16", "10.2.0.0/16"),
                 .spi_in = 0x5000,
                 .device = 7,
                 .outbound_now = true});
    size_t length = inner_packet(packet, "10.1.0.1", "10.2.0.1");
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1000);
    assert_true(traffic_route(f->traffic, 7, packet, length, &found));
    assert_int_equal(esp_sa_spi_in(found.sa), 0x5000);
    assert_int_equal(found.anchor, 2);
    assert_false(traffic_route(f->traffic, 8, packet, length, &found));

    struct carrier from = tcp(20);
    struct traffic_frame frame = {.payload = packet, .length = sealed_by(far, packet, "10.2.0.1", "10.1.0.1")};
    traffic_receive(f->traffic, 5, &from, true, TOLERANCE, &f->strikes, &frame, 1, &f->reports);
    assert_int_equal(frame.verdict, TRAFFIC_IS_INNER);
    assert_int_equal(frame.device, 7);
    esp_sa_free(far);
}

static void what_nobody_takes_has_no_route(void **state) {
    struct fixture *f = *state;
    assert_null(route(f, "10.1.0.1", "10.9.0.1").sa);
    assert_null(route(f, "10.9.0.1", "10.2.0.1").sa);
}

static void thousands_of_clients_with_an_address_each_are_found_by_it(void **state) {
    struct fixture *f = *state;
    char text[64];
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(text, sizeof text, "10.50.%u.%u/32", i / 250, 1 + i % 250);
        anchor_add(f, 100 + i, tcp(1000 + i));
        install(f, 100 + i, make_sa(0x10000 + i, 0x20000 + i, "10.1.0.0/16", text), true, 0);
    }
    for (uint32_t i = 0; i < 3000; i += 7) {
        snprintf(text, sizeof text, "10.50.%u.%u", i / 250, 1 + i % 250);
        struct traffic_route found = route(f, "10.1.0.1", text);
        assert_int_equal(found.anchor, 100 + i);
        assert_int_equal(found.carrier->stream, 1000 + i);
    }
    for (uint32_t i = 0; i < 3000; i++)
        apply(f, (struct traffic_command){.verb = TRAFFIC_ANCHOR_REMOVE, .anchor = 100 + i});
    assert_int_equal(traffic_anchors(f->traffic), 1);
    assert_int_equal(traffic_sas(f->traffic), 1);
    assert_null(route(f, "10.1.0.1", "10.50.0.1").sa);
    assert_int_equal(stream_of(f), 10);
}

static void an_anchor_goes_with_all_that_is_installed_even_when_reports_are_full(void **state) {
    struct fixture *f = *state;
    anchor_add(f, 2, tcp(20));
    for (uint32_t i = 0; i < 60; i++)
        install(f, 2, make_sa(0x5000 + i, 0x6000 + i, "10.1.0.0/16", "10.7.0.0/16"), true, 0);
    apply(f, (struct traffic_command){.verb = TRAFFIC_ANCHOR_REMOVE, .anchor = 2});
    assert_int_equal(traffic_sas(f->traffic), 1);
}

static void O5_what_the_kernel_has_is_neither_opened_nor_sealed_here_and_moves_nothing(void **state) {
    struct fixture *f = *state;
    struct esp_numbers numbers[2];
    uint8_t first[256], second[256], third[256];
    size_t length = sealed(f, first);
    sealed(f, second);
    assert_int_equal(receive(f, tcp(10), first, length), TRAFFIC_IS_INNER);
    assert_int_equal(traffic_lend(f->traffic, 9, numbers, 2), 0); /* there is none */
    assert_int_equal(traffic_lend(f->traffic, 1, numbers, 0), 0); /* more than there is room for */
    assert_int_equal(receive(f, tcp(10), second, length), TRAFFIC_IS_INNER); /* so that nothing has changed */
    assert_int_equal(traffic_lend(f->traffic, 1, numbers, 2), 1);
    assert_int_equal(numbers[0].spi_in, 0x1000);
    assert_int_equal(numbers[0].in, 2);
    sealed(f, third); /* another stream than the kernel's: it may be a copy of what the kernel had (L5) */
    for (uint32_t stream = 10; stream < 13; stream++)
        assert_int_equal(receive(f, tcp(stream), third, length), TRAFFIC_IS_NOTHING);
    assert_null(report_of(f, TRAFFIC_MOVED));
    assert_int_equal(f->strikes, 0);
    assert_int_equal(route(f, "10.1.0.1", "10.2.0.1").carrier->transport, TRANSPORT_NONE);

    numbers[0].in = 3; /* the kernel had it */
    numbers[0].out = 70;
    traffic_return(f->traffic, &numbers[0]);
    assert_int_equal(stream_of(f), 10);
    assert_int_equal(receive(f, tcp(11), third, length), TRAFFIC_IS_NOTHING);
    sealed(f, third);
    assert_int_equal(receive(f, tcp(11), third, length), TRAFFIC_IS_INNER);
    assert_int_equal(stream_of(f), 11);
    numbers[0].spi_in = 0x7777;
    traffic_return(f->traffic, &numbers[0]); /* retired meanwhile */
}

static void O5_a_new_sa_of_an_anchor_that_the_kernel_has_is_the_kernels_from_the_beginning(void **state) {
    struct fixture *f = *state;
    struct esp_numbers numbers[2];
    assert_int_equal(traffic_lend(f->traffic, 1, numbers, 2), 1);
    struct esp_sa *sa = make_sa(0x3000, 0x4000, "10.1.0.0/16", "10.2.0.0/16");
    apply(f, (struct traffic_command){.verb = TRAFFIC_INSTALL,
                 .anchor = 1,
                 .sa = sa,
                 .spi_in = 0x3000,
                 .outbound_now = true,
                 .replaces = 0x1000,
                 .lent = true});
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x3000);
    assert_int_equal(route(f, "10.1.0.1", "10.2.0.1").carrier->transport, TRANSPORT_NONE);
    retire(f, 1, 0x1000);
    numbers[0] = (struct esp_numbers){.spi_in = 0x3000, .out = 5};
    traffic_return(f->traffic, &numbers[0]);
    assert_int_equal(stream_of(f), 10);
    assert_true(esp_sa_wants_rekey(sa)); /* the kernel sent with it: we do no more */
}

static void O5_what_the_kernel_will_have_receives_here_and_does_not_send(void **state) {
    struct fixture *f = *state;
    uint8_t packet[256];
    struct esp_sa *sa = make_sa(0x3000, 0x4000, "10.1.0.0/16", "10.2.0.0/16");
    struct esp_sa *far = make_sa(0x4000, 0x3000, "10.2.0.0/16", "10.1.0.0/16");
    apply(f, (struct traffic_command){
                 .verb = TRAFFIC_INSTALL, .anchor = 1, .sa = sa, .spi_in = 0x3000, .replaces = 0x1000, .mute = true});
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x1000); /* until the old one goes */
    assert_int_equal(stream_of(f), 10);
    retire(f, 1, 0x1000);
    assert_int_equal(spi_to(f, "10.1.0.1", "10.2.0.1"), 0x3000);
    assert_int_equal(route(f, "10.1.0.1", "10.2.0.1").carrier->transport, TRANSPORT_NONE);
    size_t length = sealed_by(far, packet, "10.2.0.1", "10.1.0.1");
    assert_int_equal(receive(f, tcp(10), packet, length), TRAFFIC_IS_INNER);
    traffic_return(f->traffic, &(struct esp_numbers){.spi_in = 0x3000});
    assert_int_equal(stream_of(f), 10);
    assert_false(esp_sa_wants_rekey(sa));
    esp_sa_free(far);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(O5_what_the_kernel_has_is_neither_opened_nor_sealed_here_and_moves_nothing),
        T(O5_what_the_kernel_will_have_receives_here_and_does_not_send),
        T(O5_a_new_sa_of_an_anchor_that_the_kernel_has_is_the_kernels_from_the_beginning),
        T(L5_fresh_esp_on_another_stream_moves_the_anchor_and_reports_it),
        T(L5_a_replayed_packet_on_another_stream_moves_nothing),
        T(K11_what_drains_takes_what_was_under_way_and_nothing_more),
        T(L5_a_forged_packet_on_another_stream_moves_nothing),
        T(C5_esp_over_udp_does_not_move_an_anchor_that_runs_over_tcp),
        T(L5_fresh_esp_from_another_udp_address_follows_a_nat),
        T(L7_a_stream_that_carries_one_anchor_takes_no_other),
        T(L10_one_failed_authentication_closes_the_stream_and_says_why),
        T(L10_over_udp_a_forged_packet_is_dropped_and_closes_nothing),
        T(L10_unknown_spis_in_a_row_are_tolerated_up_to_a_limit),
        T(L10_replays_are_no_corruption_however_many),
        T(L10_what_follows_the_corrupt_frame_is_not_looked_at),
        T(S12_runts_are_dropped_and_counted_and_keepalives_are_not),
        T(ike_is_told_from_esp_by_the_marker_and_needs_none_on_port_500),
        T(a_responder_sends_on_the_new_sa_from_the_first_packet_that_came_on_it),
        T(a_responder_sends_on_the_new_sa_when_the_old_one_is_retired),
        T(the_loser_of_a_collision_goes_and_the_old_sa_takes_over_again),
        T(narrower_selectors_win_whatever_came_first),
        T(a_packet_takes_the_sa_of_the_device_that_it_came_out_of),
        T(what_nobody_takes_has_no_route),
        T(thousands_of_clients_with_an_address_each_are_found_by_it),
        T(an_anchor_goes_with_all_that_is_installed_even_when_reports_are_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
