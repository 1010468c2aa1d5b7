/* aggregate.c: workers whose SA is in AGGFRAG mode (RFC 9347): how many packets are in how many of ESP, on a stream and over
 * UDP, whole and in pieces; and that all come out as they went in. */
#include "pair.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 60
#define AROUND ((size_t)(8 + 8 + 4 + 2 + 16)) /* ESP header, IV, AGGFRAG header, trailer, ICV: without padding */
#define DATAGRAM_MAX ((size_t)1472)

static const struct pair_mode usual = {.tun_mtu = 1400, .aggfrag = true};
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

static void over_udp(struct pair *pair) {
    struct address west, east;
    int west_fd = udp_bound(&west), east_fd = udp_bound(&east);
    post(&pair->west, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = west_fd, .port = west.port});
    post(&pair->east, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = east_fd, .port = east.port});
    side_move(&pair->west, udp_carrier(&west, &east));
    side_move(&pair->east, udp_carrier(&east, &west));
}

static void assert_nothing_dropped(struct side *side) {
    const struct worker_counters *counters = worker_counters(side->worker);
    assert_int_equal(atomic_load(&counters->drops_no_sa) + atomic_load(&counters->drops_queue) +
                         atomic_load(&counters->drops_policy),
        0);
    assert_int_equal(atomic_load(&esp_sa_counters(side->sa)->policy_drops), 0);
}

static void assert_counters_agree(struct pair *pair) {
    struct esp_counters *west = esp_sa_counters(pair->west.sa), *east = esp_sa_counters(pair->east.sa);
    assert_int_equal(atomic_load(&west->packets_out), atomic_load(&east->packets_in));
    assert_int_equal(atomic_load(&west->bytes_out), atomic_load(&east->bytes_in));
    assert_int_equal(atomic_load(&east->packets_out), atomic_load(&west->packets_in));
    assert_nothing_dropped(&pair->west);
    assert_nothing_dropped(&pair->east);
}

static void packets_and_bursts_arrive_both_ways_over_a_stream_and_over_udp(void **state) {
    (void)state;
    struct pair pair = pair_open_as(usual);
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, ROUNDS);
    over_udp(&pair); /* the same SA: its room is another one now */
    both_ways(&pair, ROUNDS);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    both_ways(&pair, ROUNDS);
    assert_counters_agree(&pair);
    pair_close(&pair);
}

/* What west sends comes to a bare socket. */
static int bare_stream(struct pair *pair) {
    int originator, responder;
    tcp_pair(&originator, &responder);
    post(&pair->west,
        (struct worker_command){
            .kind = WORKER_STREAM_ADD, .carrier = stream_carrier(1), .fd = originator, .originator = true});
    side_move(&pair->west, stream_carrier(1));
    return responder;
}

static size_t read_all(int fd, uint8_t *octets, size_t wanted) {
    size_t got = 0;
    for (int idle = 0; got < wanted && idle < 3000; idle++, usleep(1000)) {
        ssize_t n = read(fd, octets + got, wanted - got);
        if (n > 0)
            got += (size_t)n;
    }
    return got;
}

static void on_a_stream_a_burst_is_two_esp_packets(void **state) {
    (void)state;
    struct pair pair = pair_open_as(usual);
    static struct packet packet;
    static uint8_t came[70000];
    struct random_source random = fresh();
    int responder = bare_stream(&pair);
    struct burst_spec spec = {.version = 4, .protocol = 6, .segment = 1300, .payload = 52000, .flags = 0x10};
    burst_build(&random, &spec, &packet);
    tun_put(&pair.west, &packet);
    const size_t packets[] = {24, 16}; /* of 1,340 octets: 32,768 are the most of a payload */
    size_t inner = 40 * 1340, at = 6;
    assert_true(read_all(responder, came, at + 2 * (2 + AROUND) + inner) > inner);
    for (size_t i = 0; i < 2; i++) {
        size_t frame = (size_t)came[at] << 8 | came[at + 1], least = 2 + AROUND + packets[i] * 1340;
        assert_in_range(frame, least, least + 3);
        assert_int_equal(came[at + 9], i + 1); /* the sequence number's last octet */
        at += frame;
    }
    assert_int_equal(atomic_load(&esp_sa_counters(pair.west.sa)->packets_out), 40);
    assert_int_equal(atomic_load(&esp_sa_counters(pair.west.sa)->bytes_out), inner);
    close(responder);
    pair_close(&pair);
}

/* Datagrams that come to a bare socket; returns how many, and the octets of all together. */
static size_t datagrams(int fd, size_t least_octets, size_t *octets, size_t *longest) {
    static uint8_t came[70000];
    size_t count = 0;
    *octets = *longest = 0;
    for (int idle = 0; *octets < least_octets && idle < 3000; idle++, usleep(1000)) {
        ssize_t n = read(fd, came, sizeof came);
        if (n <= 0)
            continue;
        count++;
        *octets += (size_t)n;
        *longest = (size_t)n > *longest ? (size_t)n : *longest;
    }
    return count;
}

static int bare_udp(struct pair *pair) {
    struct address west, east;
    int west_fd = udp_bound(&west), east_fd = udp_bound(&east);
    post(&pair->west, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = west_fd, .port = west.port});
    side_move(&pair->west, udp_carrier(&west, &east));
    return east_fd;
}

static void over_udp_as_many_packets_go_together_as_fit_the_path(void **state) {
    (void)state;
    const struct pair_mode narrow = {.tun_mtu = 1400, .aggfrag = true, .aggfrag_mtu = 700};
    const struct pair_mode modes[] = {usual, narrow};
    const size_t wanted[] = {2, 4}, most[] = {DATAGRAM_MAX, 700 + AROUND + 3};
    for (size_t i = 0; i < 2; i++) {
        struct pair pair = pair_open_as(modes[i]);
        static struct packet packet;
        struct random_source random = fresh();
        int east = bare_udp(&pair);
        struct burst_spec spec = {.version = 4, .protocol = 17, .segment = 100, .payload = 2000};
        burst_build(&random, &spec, &packet); /* 20 packets of 128 octets */
        tun_put(&pair.west, &packet);
        size_t octets, longest, count = datagrams(east, 20 * 128 + wanted[i] * AROUND, &octets, &longest);
        assert_int_equal(count, wanted[i]);
        assert_true(longest <= most[i]);
        close(east);
        pair_close(&pair);
    }
}

static void one_packet(struct random_source *random, size_t payload, struct packet *packet) {
    struct burst_spec spec = {.version = 4, .protocol = 17, .segment = payload, .payload = payload};
    burst_build(random, &spec, packet);
    memset(packet->octets, 0, TUN_HEADER_LENGTH);
    checksums_set(packet->octets + TUN_HEADER_LENGTH, packet->length - TUN_HEADER_LENGTH);
}

static void over_udp_a_long_packet_goes_in_pieces_and_comes_out_whole(void **state) {
    (void)state;
    struct pair pair = pair_open_as((struct pair_mode){.tun_mtu = 65000, .aggfrag = true});
    static struct packet packet, came;
    struct random_source random = fresh();
    over_udp(&pair);
    for (size_t payload = 1300; payload < 64000; payload += payload / 3) {
        one_packet(&random, payload, &packet);
        tun_put(&pair.west, &packet);
        tun_get(&pair.east, &came);
        assert_int_equal(came.length, packet.length);
        assert_memory_equal(
            came.octets + TUN_HEADER_LENGTH, packet.octets + TUN_HEADER_LENGTH, packet.length - TUN_HEADER_LENGTH);
    }
    assert_counters_agree(&pair);
    pair_close(&pair);
}

static void pieces_fit_the_path_but_for_a_peer_that_takes_none(void **state) {
    (void)state;
    for (int whole = 0; whole < 2; whole++) {
        struct pair pair = pair_open_as((struct pair_mode){.tun_mtu = 9000, .aggfrag = true, .whole_only = whole});
        static struct packet packet;
        struct random_source random = fresh();
        int east = bare_udp(&pair);
        one_packet(&random, 8000, &packet);
        tun_put(&pair.west, &packet);
        size_t pieces = whole ? 1 : 6, octets, longest;
        assert_int_equal(datagrams(east, 8028 + pieces * AROUND, &octets, &longest), pieces);
        if (whole)
            assert_true(longest >= 8028);
        else
            assert_true(longest <= DATAGRAM_MAX);
        close(east);
        pair_close(&pair);
    }
}

/* 65,535 octets with its length field is the longest frame (S7): four octets less are left for a packet. */
static void S7_the_longest_packet_fits_a_frame_and_a_longer_one_is_answered(void **state) {
    (void)state;
    struct pair pair = pair_open_as((struct pair_mode){.tun_mtu = 65535, .aggfrag = true});
    static struct packet packet, came;
    struct random_source random = fresh();
    pair_stream(&pair, 1);
    side_move(&pair.west, stream_carrier(1));
    side_move(&pair.east, stream_carrier(1));
    size_t most = esp_inner_max(pair.west.sa, 65533) - AGGFRAG_HEADER_LENGTH;
    one_packet(&random, most - 28, &packet);
    tun_put(&pair.west, &packet);
    tun_get(&pair.east, &came);
    assert_int_equal(came.length, TUN_HEADER_LENGTH + most);
    one_packet(&random, most - 27, &packet);
    packet.octets[TUN_HEADER_LENGTH + 6] = 0x40; /* DF */
    checksums_set(packet.octets + TUN_HEADER_LENGTH, packet.length - TUN_HEADER_LENGTH);
    tun_put(&pair.west, &packet);
    tun_get(&pair.west, &came);
    assert_int_equal(came.octets[TUN_HEADER_LENGTH + 9], 1);
    assert_int_equal(came.octets[TUN_HEADER_LENGTH + 20], 3);
    pair_close(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets_and_bursts_arrive_both_ways_over_a_stream_and_over_udp),
        cmocka_unit_test(on_a_stream_a_burst_is_two_esp_packets),
        cmocka_unit_test(over_udp_as_many_packets_go_together_as_fit_the_path),
        cmocka_unit_test(over_udp_a_long_packet_goes_in_pieces_and_comes_out_whole),
        cmocka_unit_test(pieces_fit_the_path_but_for_a_peer_that_takes_none),
        cmocka_unit_test(S7_the_longest_packet_fits_a_frame_and_a_longer_one_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
