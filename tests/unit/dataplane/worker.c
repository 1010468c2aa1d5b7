/* worker.c: two whole workers in one process, from TUN to TUN. */
#include "pair.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "transport/transport.h"

#define ROUNDS 60

static uint64_t seed;

static struct random_source fresh(void) {
    seed = 42;
    return random_seeded(&seed);
}

static void both_ways(struct pair *pair, int rounds) {
    struct random_source random = fresh();
    for (int i = 0; i < rounds; i++) {
        burst_passes(&random, &pair->west, &pair->east);
        burst_passes(&random, &pair->east, &pair->west);
    }
}

static void assert_ike(struct side *side, uint32_t stream, const void *message, size_t length) {
    struct worker_report report = report_of(side, WORKER_IKE);
    assert_int_equal(report.carrier.stream, stream);
    assert_int_equal(report.length, length);
    assert_memory_equal(report.octets, message, length);
    free(report.octets);
}

static void packets_and_bursts_arrive_both_ways_over_a_stream(void **state) {
    (void)state;
    struct pair pair = pair_open();
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, ROUNDS);
    const struct worker_counters *counters = worker_counters(pair.west.worker);
    assert_int_equal(atomic_load(&counters->drops_no_sa) + atomic_load(&counters->drops_queue), 0);
    assert_true(atomic_load(&counters->stream_writes) >= ROUNDS);
    pair_close(&pair);
}

static void ike_goes_out_and_comes_up_beside_traffic(void **state) {
    (void)state;
    struct pair pair = pair_open();
    uint8_t message[3000];
    struct random_source random = fresh();
    random.fill(random.context, message, sizeof message);
    pair_stream(&pair, 1);
    send_ike(&pair.west, stream_carrier(1), message, sizeof message);
    assert_ike(&pair.east, 1, message, sizeof message);
    send_ike(&pair.east, stream_carrier(1), message, 28);
    assert_ike(&pair.west, 1, message, 28);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, 3);
    send_ike(&pair.west, stream_carrier(1), message, 100);
    assert_ike(&pair.east, 1, message, 100);
    pair_close(&pair);
}

static void octets_that_were_read_before_are_not_lost(void **state) {
    (void)state;
    struct pair pair = pair_open();
    int originator, responder;
    tcp_pair(&originator, &responder);
    static const uint8_t early[] = "IKETCP\0\x0a\0\0\0\0MESS\0\x09\0\0";
    size_t length = sizeof early - 1;
    uint8_t *octets = malloc(length);
    memcpy(octets, early, length);
    post(&pair.east, (struct worker_command){.kind = WORKER_STREAM_ADD,
                         .carrier = stream_carrier(3),
                         .fd = responder,
                         .octets = octets,
                         .length = length});
    assert_ike(&pair.east, 3, "MESS", 4);
    assert_int_equal(write(originator, "\0\0ABC", 5), 5);
    assert_ike(&pair.east, 3, "ABC", 3);
    close(originator);
    struct worker_report report = report_of(&pair.east, WORKER_STREAM_GONE);
    assert_int_equal(report.carrier.stream, 3);
    assert_int_equal(report.error.origin, ORIGIN_NONE);
    pair_close(&pair);
}

static void L5_authentic_esp_moves_the_anchor_to_the_stream_it_came_on(void **state) {
    (void)state;
    struct pair pair = pair_open();
    struct random_source random = fresh();
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, 2);
    pair_stream(&pair, 2);
    side_move(&pair.west, stream_carrier(2));
    burst_passes(&random, &pair.west, &pair.east);
    struct worker_report report = traffic_report_of(&pair.east, TRAFFIC_MOVED);
    assert_int_equal(report.traffic.anchor, ANCHOR);
    assert_int_equal(report.traffic.carrier.stream, 2);
    post(&pair.west, (struct worker_command){.kind = WORKER_STREAM_CLOSE, .carrier = stream_carrier(1), .fd = -1});
    report = report_of(&pair.east, WORKER_STREAM_GONE);
    assert_int_equal(report.carrier.stream, 1);
    both_ways(&pair, 5);
    pair_close(&pair);
}

static void a_retired_sa_comes_back_and_its_packets_are_answered_with_icmp(void **state) {
    (void)state;
    struct pair pair = pair_open();
    static struct packet packet, answer;
    struct random_source random = fresh();
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    both_ways(&pair, 1);
    post(&pair.west, (struct worker_command){.kind = WORKER_TRAFFIC,
                         .fd = -1,
                         .traffic = {.verb = TRAFFIC_RETIRE, .anchor = ANCHOR, .spi_in = SPI_WEST}});
    struct worker_report report = traffic_report_of(&pair.west, TRAFFIC_RETIRED);
    assert_ptr_equal(report.traffic.sa, pair.west.sa);
    esp_sa_free(report.traffic.sa);
    struct burst_spec spec = {.version = 4, .protocol = 17, .segment = 100, .payload = 50, .ttl = 9};
    burst_build(&random, &spec, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    tun_put(&pair.west, &packet);
    tun_get(&pair.west, &answer);
    assert_int_equal(answer.octets[TUN_HEADER_LENGTH + 9], 1);
    assert_int_equal(answer.octets[TUN_HEADER_LENGTH + 20], 3);
    assert_int_equal(atomic_load(&worker_counters(pair.west.worker)->drops_no_sa), 1);
    for (int i = 0; i < 1000; i++)
        tun_put(&pair.west, &packet);
    int answers = 0;
    while (!tun_silent(&pair.west, 50)) {
        tun_get(&pair.west, &answer);
        answers++;
    }
    assert_in_range(answers, 1, 300); /* the rate is limited */
    pair_close(&pair);
}

static void a_packet_on_demand_is_reported_whole_and_not_answered(void **state) {
    (void)state;
    struct pair pair = pair_open();
    static struct packet packet;
    struct random_source random = fresh();
    post(&pair.west, (struct worker_command){.kind = WORKER_TRAFFIC,
                         .fd = -1,
                         .traffic = {.verb = TRAFFIC_RETIRE, .anchor = ANCHOR, .spi_in = SPI_WEST}});
    struct worker_report report = traffic_report_of(&pair.west, TRAFFIC_RETIRED);
    esp_sa_free(report.traffic.sa);
    struct burst_spec spec = {.version = 4, .protocol = 17, .segment = 1300, .payload = 1300, .ttl = 9};
    burst_build(&random, &spec, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    struct worker_demand *demand = calloc(1, sizeof *demand); /* 0.0.0.0/0 */
    demand->to.address.family = 4;
    post(&pair.west, (struct worker_command){
                         .kind = WORKER_DEMAND, .fd = -1, .octets = (uint8_t *)demand, .length = sizeof *demand});
    tun_put(&pair.west, &packet);
    report = report_of(&pair.west, WORKER_ONDEMAND);
    assert_int_equal(report.length, 20 + 8 + 1300);
    assert_memory_equal(report.octets, packet.octets + TUN_HEADER_LENGTH, report.length);
    free(report.octets);
    assert_true(tun_silent(&pair.west, 100));
    pair_close(&pair);
}

static void removing_an_anchor_gives_back_all_that_is_on_it(void **state) {
    (void)state;
    struct pair pair = pair_open();
    post(&pair.west,
        (struct worker_command){
            .kind = WORKER_TRAFFIC, .fd = -1, .traffic = {.verb = TRAFFIC_ANCHOR_REMOVE, .anchor = ANCHOR}});
    struct worker_report report = traffic_report_of(&pair.west, TRAFFIC_RETIRED);
    assert_ptr_equal(report.traffic.sa, pair.west.sa);
    esp_sa_free(report.traffic.sa);
    pair_close(&pair);
}

static void L10_a_corrupt_stream_is_closed_and_no_other(void **state) {
    (void)state;
    struct pair pair = pair_open();
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, 1);
    int originator, responder;
    tcp_pair(&originator, &responder);
    post(&pair.east, (struct worker_command){.kind = WORKER_STREAM_ADD, .carrier = stream_carrier(9), .fd = responder});
    uint8_t forged[6 + 2 + 60] =
        "IKETCP\0\x3e\0\0\x20\0\0\0\1\0"; /* SPI and sequence number could be, the rest can't */
    assert_int_equal(write(originator, forged, sizeof forged), sizeof forged);
    struct worker_report report = report_of(&pair.east, WORKER_STREAM_GONE);
    assert_int_equal(report.carrier.stream, 9);
    assert_int_equal(report.error.origin, ORIGIN_PEER);
    char octet;
    assert_int_equal(read(originator, &octet, 1) <= 0, 1);
    close(originator);
    both_ways(&pair, 3);
    pair_close(&pair);
}

static void a_full_ring_of_reports_holds_a_stream_and_loses_no_ike(void **state) {
    (void)state;
    struct pair pair = pair_open();
    pair_stream(&pair, 1);
    uint32_t number;
    for (number = 0; number < 5000; number++)
        send_ike(&pair.west, stream_carrier(1), &number, sizeof number);
    usleep(100000); /* the ring is full, and the stream stands still */
    for (number = 0; number < 5000; number++)
        assert_ike(&pair.east, 1, &number, sizeof number);
    assert_int_equal(atomic_load(&worker_counters(pair.east.worker)->ike_dropped), 0);
    pair_close(&pair);
}

/* Reads until `wanted` octets are there, less what was lost of them beside (counted by the packet). Returns how many came. */
static size_t all_that_comes(int responder, size_t wanted, _Atomic uint64_t *lost, size_t before, size_t packet) {
    static uint8_t octets[1 << 20];
    size_t got = 0;
    for (int idle = 0; got + (atomic_load(lost) - before) * packet < wanted && idle < 10000; idle++) {
        ssize_t n = read(responder, octets, sizeof octets);
        assert_true(n != 0);
        if (n <= 0) {
            usleep(1000);
            continue;
        }
        got += (size_t)n;
        idle = 0;
    }
    return got;
}

static void assert_reads(const struct worker_counters *counters, size_t reads) {
    for (int i = 0; i < 10000 && atomic_load(&counters->tun_reads) < reads; i++)
        usleep(1000);
    assert_int_equal(atomic_load(&counters->tun_reads), reads);
}

/* The far end reads nothing: the TUN is read on, or a flow that sends little would wait in it behind the one that sends
 * much; what is too much is dropped, but of the latter only, and whole packets arrive of what is not. */
static void behind_a_stream_that_stands_still_only_the_flow_that_has_most_loses(void **state) {
    (void)state;
    struct pair pair = pair_open();
    static struct packet packet;
    struct random_source random = fresh();
    int originator, responder;
    tcp_pair(&originator, &responder);
    post(
        &pair.west, (struct worker_command){
                        .kind = WORKER_STREAM_ADD, .carrier = stream_carrier(1), .fd = originator, .originator = true});
    side_move(&pair.west, stream_carrier(1));
    struct burst_spec spec = {.version = 4, .protocol = 6, .segment = 1300, .payload = 52000, .flags = 0x10};
    struct worker_counters *counters = (struct worker_counters *)(uintptr_t)worker_counters(pair.west.worker);
    size_t put = 0;
    burst_build(&random, &spec, &packet);
    for (int i = 0; i < 5000 && atomic_load(&counters->drops_queue) == 0; i++)
        if (write(pair.west.tun, packet.octets, packet.length) > 0)
            put++;
        else
            usleep(1000);
    assert_reads(counters, put);
    struct burst_spec little = {.version = 4, .protocol = 17, .segment = 333, .payload = 333};
    burst_build(&random, &little, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    tun_put(&pair.west, &packet);
    assert_reads(counters, put + 1); /* so what those before it cost is counted */
    size_t lost = atomic_load(&counters->drops_queue);
    assert_true(lost > 0);
    for (int i = 0; i < 50; i++) { /* it was read, although nothing moves */
        usleep(1000);
        assert_int_equal(atomic_load(&counters->drops_queue), lost);
    }
    size_t wanted = 6 + (put * 40 - lost) * (2 + 8 + 8 + 1344 + 16) + (2 + 8 + 8 + 364 + 16);
    size_t got =
        all_that_comes(responder, wanted, &counters->drops_queue, lost, 1378); /* CoDel may take some that wait */
    assert_int_equal(got + (atomic_load(&counters->drops_queue) - lost) * 1378, wanted);
    close(responder);
    pair_close(&pair);
}

/* ---- UDP ---- */

static void udp_carries_ike_and_traffic(void **state) {
    (void)state;
    struct pair pair = pair_open();
    struct address west, east;
    int west_fd = udp_bound(&west), east_fd = udp_bound(&east);
    post(&pair.west, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = west_fd, .port = west.port});
    post(&pair.east, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = east_fd, .port = east.port});
    uint8_t message[200] = "any octets";
    send_ike(&pair.west, udp_carrier(&west, &east), message, sizeof message);
    struct worker_report report = report_of(&pair.east, WORKER_IKE);
    assert_int_equal(report.length, sizeof message);
    assert_memory_equal(report.octets, message, sizeof message);
    assert_true(address_equal(&report.carrier.remote, &west) && address_equal(&report.carrier.local, &east));
    free(report.octets);
    side_move(&pair.west, udp_carrier(&west, &east));
    side_move(&pair.east, udp_carrier(&east, &west));
    both_ways(&pair, ROUNDS);
    pair_close(&pair);
}

static void on_port_500_ike_has_no_marker(void **state) {
    (void)state;
    struct pair pair = pair_open();
    struct address west, raw;
    int west_fd = udp_bound(&west), raw_fd = udp_bound(&raw);
    struct sockaddr_storage to;
    socklen_t length = address_to_sockaddr(&west, &to);
    /* Its real port is another one: what counts is the one that the control thread names. */
    post(&pair.west, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = west_fd, .port = 500});
    uint8_t message[40] = "forty octets that begin without zeros", came[100];
    assert_int_equal(sendto(raw_fd, message, sizeof message, 0, (struct sockaddr *)&to, length), sizeof message);
    struct worker_report report = report_of(&pair.west, WORKER_IKE);
    assert_int_equal(report.length, sizeof message);
    assert_memory_equal(report.octets, message, sizeof message);
    free(report.octets);
    struct carrier carrier = report.carrier;
    assert_int_equal(carrier.local.port, 500);
    send_ike(&pair.west, carrier, message, sizeof message);
    ssize_t got = -1;
    for (int i = 0; i < 1000 && got < 0; i++, usleep(1000))
        got = read(raw_fd, came, sizeof came);
    assert_int_equal(got, sizeof message);
    assert_memory_equal(came, message, sizeof message);
    close(raw_fd);
    pair_close(&pair);
}

static void over_udp_a_packet_above_the_mtu_is_answered_with_packet_too_big(void **state) {
    (void)state;
    struct pair pair = pair_open();
    static struct packet packet, answer;
    struct random_source random = fresh();
    struct address west, east;
    int west_fd = udp_bound(&west), east_fd = udp_bound(&east);
    post(&pair.west, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = west_fd, .port = west.port});
    side_move(&pair.west, udp_carrier(&west, &east));
    struct burst_spec spec = {.version = 6, .protocol = 17, .segment = 1500, .payload = 1400, .ttl = 9};
    burst_build(&random, &spec, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    tun_put(&pair.west, &packet);
    tun_get(&pair.west, &answer);
    const uint8_t *icmp = answer.octets + TUN_HEADER_LENGTH + 40;
    assert_int_equal(icmp[0], 2);
    assert_int_equal(icmp[6] << 8 | icmp[7], 1400);
    close(east_fd);
    pair_close(&pair);
}

/* Both SAs take everything: only the device tells whose a packet is. */
static void what_comes_out_of_a_device_goes_into_the_same_one_at_the_other_end(void **state) {
    (void)state;
    struct pair pair = pair_open();
    struct random_source random = fresh();
    pair_stream(&pair, 1);
    pair_stream(&pair, 2);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    struct pair own = pair_device(&pair, 7, ANCHOR + 1, stream_carrier(2));
    for (int i = 0; i < ROUNDS / 2; i++) {
        burst_passes(&random, &own.west, &own.east);
        burst_passes(&random, &pair.west, &pair.east);
        burst_passes(&random, &own.east, &own.west);
        assert_true(tun_silent(&pair.west, 0) && tun_silent(&pair.east, 0) && tun_silent(&own.east, 0));
    }
    post(&own.west, (struct worker_command){.kind = WORKER_TUN, .device = 7, .fd = -1});
    static struct packet packet;
    struct burst_spec spec = {.version = 4, .protocol = 17, .segment = 100, .payload = 50, .ttl = 9};
    burst_build(&random, &spec, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    tun_put(&own.east, &packet); /* reaches nobody */
    both_ways(&pair, 3);
    assert_true(tun_silent(&pair.west, 50));
    pair_close(&pair);
    close(own.west.tun);
    close(own.east.tun);
}

/* Nobody's packet is answered where it came from. */
static void an_icmp_answer_goes_to_the_device_that_asked(void **state) {
    (void)state;
    struct pair pair = pair_open();
    static struct packet packet, answer;
    struct random_source random = fresh();
    struct pair own = pair_device(&pair, 7, ANCHOR + 1, (struct carrier){0});
    struct burst_spec spec = {.version = 4, .protocol = 17, .segment = 100, .payload = 50, .ttl = 9};
    burst_build(&random, &spec, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    post(&own.west, (struct worker_command){.kind = WORKER_TRAFFIC,
                        .fd = -1,
                        .traffic = {.verb = TRAFFIC_RETIRE, .anchor = ANCHOR + 1, .spi_in = SPI_WEST + 7}});
    esp_sa_free(traffic_report_of(&own.west, TRAFFIC_RETIRED).traffic.sa);
    tun_put(&own.west, &packet);
    tun_get(&own.west, &answer);
    assert_int_equal(answer.octets[TUN_HEADER_LENGTH + 9], 1);
    assert_true(tun_silent(&pair.west, 50));
    pair_close(&pair);
    close(own.west.tun);
    close(own.east.tun);
}

static void what_was_never_carried_out_is_freed(void **state) {
    (void)state;
    struct pair pair = pair_open();
    for (int i = 0; i < 100; i++)
        send_ike(&pair.west, stream_carrier(77), "x", 1);
    pair_stream(&pair, 5);
    post(&pair.west, (struct worker_command){.kind = WORKER_TUN, .fd = -1});
    pair_close(&pair); /* the sanitizers look for leaks */
}

/* Nobody reads reports any more when a worker is to end: one whose command waits for room among them must hear of it. */
static void a_worker_that_waits_for_room_among_its_reports_ends_when_it_is_told_to(void **state) {
    (void)state;
    struct pair pair = pair_open();
    struct worker_command ask = {.kind = WORKER_TRAFFIC, .fd = -1};
    for (int refused = 0; refused < 50;) { /* each command brings a report, until neither ring takes one more */
        ask.traffic =
            (struct traffic_command){.verb = TRAFFIC_INSTALL, .anchor = ANCHOR + 1, .sa = pair_sa(0x3000, 0x4000)};
        if (worker_post(pair.west.worker, &ask))
            continue;
        esp_sa_free(ask.traffic.sa);
        refused++;
        usleep(1000);
    }
    pair_close(&pair); /* the test's deadline sees whether it does */
}

/* Both workers have nothing to do. */
static void assert_idle(void) {
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    usleep(300000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t ns = (int64_t)(after.tv_sec - before.tv_sec) * 1000000000 + (after.tv_nsec - before.tv_nsec);
    assert_in_range(ns, 0, 100000000);
}

static void return_lent(struct side *side, struct esp_numbers numbers) {
    struct worker_command back = {.kind = WORKER_RETURN, .carrier = stream_carrier(1), .fd = -1};
    back.octets = malloc(sizeof numbers);
    memcpy(back.octets, &numbers, sizeof numbers);
    back.length = sizeof numbers;
    post(side, back);
}

/* To the monitor and back, without the kernel: packets wait in the socket, the numbers are right, IKE waits as well. */
static void O5_a_stream_that_is_lent_rests_with_its_numbers_and_goes_on_when_it_comes_back(void **state) {
    (void)state;
    struct pair pair = pair_open();
    struct random_source random = fresh();
    struct esp_numbers numbers;
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, 3);
    post(&pair.east, (struct worker_command){
                         .kind = WORKER_LEND, .carrier = stream_carrier(1), .traffic = {.anchor = ANCHOR}, .fd = -1});
    struct worker_report report = report_of(&pair.east, WORKER_LENT);
    assert_int_equal(report.carrier.stream, 1);
    assert_int_equal(report.traffic.anchor, ANCHOR);
    assert_int_equal(report.length, sizeof numbers);
    memcpy(&numbers, report.octets, sizeof numbers);
    free(report.octets);
    assert_int_equal(numbers.spi_in, SPI_EAST);
    assert_int_equal(numbers.out, atomic_load(&esp_sa_counters(pair.east.sa)->packets_out));
    assert_int_equal(numbers.in, atomic_load(&esp_sa_counters(pair.east.sa)->packets_in));
    static struct packet packet;
    struct burst_spec spec = {.version = 4, .protocol = 17, .segment = 100, .payload = 50, .ttl = 9};
    burst_build(&random, &spec, &packet);
    memset(packet.octets, 0, TUN_HEADER_LENGTH);
    tun_put(&pair.east, &packet); /* the kernel's policy takes it, where there is one */
    assert_true(tun_silent(&pair.west, 100));
    send_ike(&pair.east, stream_carrier(1), "MESS", 4);
    tun_put(&pair.west, &packet);
    send_ike(&pair.west, stream_carrier(1), "BACK", 4);
    assert_true(tun_silent(&pair.east, 100));

    return_lent(&pair.east, (struct esp_numbers){.spi_in = SPI_EAST}); /* the kernel has not sent with it */
    assert_ike(&pair.west, 1, "MESS", 4);
    assert_ike(&pair.east, 1, "BACK", 4);
    assert_false(tun_silent(&pair.east, 5000));
    tun_get(&pair.east, &packet);
    both_ways(&pair, 3);
    assert_true(esp_sa_numbers(pair.east.sa).out > numbers.out);
    assert_idle();
    return_lent(&pair.east, (struct esp_numbers){.spi_in = SPI_EAST, .out = esp_sa_numbers(pair.east.sa).out + 1});
    tun_put(&pair.east, &packet); /* it has: with the same key nothing is sealed here any more */
    report = traffic_report_of(&pair.east, TRAFFIC_SOFT_EXPIRY);
    assert_int_equal(report.traffic.spi_in, SPI_EAST);
    assert_true(tun_silent(&pair.west, 100));
    burst_passes(&random, &pair.west, &pair.east);
    pair_close(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(O5_a_stream_that_is_lent_rests_with_its_numbers_and_goes_on_when_it_comes_back),
        cmocka_unit_test(packets_and_bursts_arrive_both_ways_over_a_stream),
        cmocka_unit_test(ike_goes_out_and_comes_up_beside_traffic),
        cmocka_unit_test(octets_that_were_read_before_are_not_lost),
        cmocka_unit_test(L5_authentic_esp_moves_the_anchor_to_the_stream_it_came_on),
        cmocka_unit_test(a_retired_sa_comes_back_and_its_packets_are_answered_with_icmp),
        cmocka_unit_test(a_packet_on_demand_is_reported_whole_and_not_answered),
        cmocka_unit_test(removing_an_anchor_gives_back_all_that_is_on_it),
        cmocka_unit_test(L10_a_corrupt_stream_is_closed_and_no_other),
        cmocka_unit_test(a_full_ring_of_reports_holds_a_stream_and_loses_no_ike),
        cmocka_unit_test(behind_a_stream_that_stands_still_only_the_flow_that_has_most_loses),
        cmocka_unit_test(udp_carries_ike_and_traffic),
        cmocka_unit_test(on_port_500_ike_has_no_marker),
        cmocka_unit_test(over_udp_a_packet_above_the_mtu_is_answered_with_packet_too_big),
        cmocka_unit_test(what_comes_out_of_a_device_goes_into_the_same_one_at_the_other_end),
        cmocka_unit_test(an_icmp_answer_goes_to_the_device_that_asked),
        cmocka_unit_test(what_was_never_carried_out_is_freed),
        cmocka_unit_test(a_worker_that_waits_for_room_among_its_reports_ends_when_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
