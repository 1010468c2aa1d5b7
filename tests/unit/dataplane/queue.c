/* queue.c: flows in turns, sparse ones first, nobody's packets out of order, and a word to those that wait too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail
#include <stdlib.h>
#include <string.h>

#include "dataplane/octets.h"
#include "dataplane/queue.h"
#include "packets.h"

#define QUANTUM ((size_t)8192)

static struct random_source fresh(void) {
    static uint64_t seed;
    seed = 42;
    return random_seeded(&seed);
}

/* ---- putting bursts in and taking packets out ---- */

static struct packet burst;

static struct burst_spec flow_spec(uint16_t port, size_t payload) {
    return (struct burst_spec){
        .version = 4, .protocol = 6, .segment = 1300, .payload = payload, .flags = 0x10, .source_port = port, .ttl = 9};
}

static void put(struct queue *queue, struct queue_line *line, const struct packet *packet, uint64_t now) {
    struct iovec part[2];
    queue_room(queue, part);
    size_t front = packet->length < part[0].iov_len ? packet->length : part[0].iov_len;
    memcpy(part[0].iov_base, packet->octets, front);
    memcpy(part[1].iov_base, packet->octets + front, packet->length - front);
    struct queue_burst *in = queue_read(queue, packet->length);
    assert_non_null(in);
    queue_enter(queue, line, in, now);
}

static void put_flow(struct queue *queue, struct queue_line *line, uint16_t port, size_t payload, uint64_t now) {
    struct random_source random = fresh();
    struct burst_spec spec = flow_spec(port, payload);
    burst_build(&random, &spec, &burst);
    put(queue, line, &burst, now);
}

static uint16_t port_of(const struct queue_burst *taken) {
    return get_u16(taken->cut.packet + IPV4_HEADER);
}

/* Cuts off what may go in this turn; returns how many octets. */
static size_t take(struct queue *queue, struct queue_line *line, uint64_t now, uint16_t *port) {
    static uint8_t out[66000];
    size_t most, octets = 0, length;
    struct queue_burst *taken = queue_next(queue, line, now, &most);
    if (taken == NULL)
        return 0;
    *port = port_of(taken);
    while (octets < most && (length = cut_next_length(&taken->cut)) > 0) {
        cut_next(&taken->cut, out);
        octets += length;
    }
    queue_took(queue, taken, octets);
    return octets;
}

/* ---- turns ---- */

static void a_flow_that_had_nothing_waiting_goes_first(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    uint16_t port = 0;
    queue_line_init(&line, 1, QUANTUM);
    for (int i = 0; i < 20; i++)
        put_flow(queue, &line, 1000, 50000, 0);
    for (int i = 0; i < 5; i++)
        assert_true(take(queue, &line, 0, &port) > 0);
    put_flow(queue, &line, 2000, 100, 0);
    assert_true(take(queue, &line, 0, &port) > 0);
    assert_int_equal(port, 2000);
    queue_free(queue);
}

static void a_line_waits_while_a_burst_does_and_not_for_a_flow_that_sent_its_last(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    uint16_t port = 0;
    queue_line_init(&line, 1, QUANTUM);
    assert_false(queue_line_waits(&line));
    put_flow(queue, &line, 1000, 100, 0);
    put_flow(queue, &line, 2000, 100, 0);
    assert_true(queue_line_waits(&line));
    assert_true(take(queue, &line, 0, &port) > 0);
    assert_true(queue_line_waits(&line));
    assert_true(take(queue, &line, 0, &port) > 0);
    assert_false(queue_line_waits(&line));
    assert_false(queue_line_empty(&line)); /* their turn tells */
    queue_free(queue);
}

static void flows_share_by_octets_whatever_their_packets(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    size_t sent[3] = {0}, octets;
    uint16_t port = 0;
    queue_line_init(&line, 1, QUANTUM);
    for (int i = 0; i < 20; i++)
        put_flow(queue, &line, 0, 60000, 0);
    for (int i = 0; i < 200; i++) {
        put_flow(queue, &line, 1, 1300, 0);
        put_flow(queue, &line, 2, 900, 0);
    }
    for (int i = 0; i < 300; i++) {
        octets = take(queue, &line, 0, &port);
        assert_true(octets > 0);
        sent[port] += octets;
        for (int a = 0; i > 20 && sent[2] < 120000 && a < 3; a++)
            for (int b = 0; b < 3; b++)
                assert_true(sent[a] <= sent[b] + 2 * QUANTUM + 1340);
    }
    queue_free(queue);
}

static void what_is_full_loses_the_oldest_of_the_flow_that_has_most(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    uint16_t port = 0;
    size_t seen = 0;
    queue_line_init(&line, 1, QUANTUM);
    for (uint16_t i = 0; i < 10; i++)
        put_flow(queue, &line, 2000 + i, 100, 0);
    for (int i = 0; i < 300; i++)
        put_flow(queue, &line, 1000, 60000, 0);
    for (int i = 0; i < 3000; i++)
        put_flow(queue, &line, 1001, 100, 0);
    assert_true(queue_counters(queue)->shed >= 2000);
    while (take(queue, &line, 0, &port) > 0)
        seen += port >= 2000;
    assert_int_equal(seen, 10);
    assert_true(queue_line_empty(&line));
    queue_free(queue);
}

static void lines_are_apart_and_one_is_cleared_alone(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line east, west;
    uint16_t port = 0;
    queue_line_init(&east, 1, QUANTUM);
    queue_line_init(&west, 2, QUANTUM);
    for (uint16_t i = 0; i < 300; i++) {
        put_flow(queue, &east, i, 5200, 0);
        put_flow(queue, &west, i, 100, 0);
        if (i % 50 == 49) {
            assert_int_equal(queue_line_clear(queue, &east), 50 * 4);
            for (int k = 0; k < 50; k++)
                assert_int_equal(take(queue, &west, 0, &port), 140);
            assert_int_equal(take(queue, &west, 0, &port), 0);
        }
    }
    assert_true(queue_line_empty(&east) && queue_line_empty(&west));
    queue_free(queue);
}

/* ---- nothing lost, nothing out of order ---- */

#define FLOWS 40
#define ROUNDS 20000

static void packets_of_a_flow_stay_in_order_and_none_is_lost(void **state) {
    (void)state;
    struct queue *queue = queue_new(7);
    struct random_source random = fresh();
    struct queue_line line[2];
    uint32_t next_in[2][FLOWS] = {0}, next_out[2][FLOWS] = {0};
    size_t waiting = 0;
    uint16_t port;
    queue_line_init(&line[0], 1, 1500);
    queue_line_init(&line[1], 2, QUANTUM);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t l = chance(&random, 2);
        if (chance(&random, 2) == 0 && waiting < 50) {
            struct burst_spec spec = flow_spec((uint16_t)chance(&random, FLOWS), 1 + chance(&random, 9000));
            spec.sequence = next_in[l][spec.source_port];
            next_in[l][spec.source_port] += (uint32_t)spec.payload;
            burst_build(&random, &spec, &burst);
            put(queue, &line[l], &burst, 0);
            waiting++;
            continue;
        }
        size_t most;
        struct queue_burst *taken = queue_next(queue, &line[l], 0, &most);
        if (taken == NULL)
            continue;
        uint8_t out[1400];
        size_t octets = 0, length;
        port = port_of(taken);
        while (octets < most && (length = cut_next_length(&taken->cut)) > 0) {
            cut_next(&taken->cut, out);
            assert_true(checksums_valid(out, length));
            assert_int_equal(get_u16(out + 20), port);
            assert_int_equal(get_u32(out + 24), next_out[l][port]);
            next_out[l][port] += (uint32_t)(length - 40);
            octets += length;
        }
        waiting -= cut_next_length(&taken->cut) == 0;
        queue_took(queue, taken, octets);
    }
    for (int l = 0; l < 2; l++)
        queue_line_clear(queue, &line[l]);
    assert_int_equal(queue_counters(queue)->shed + queue_counters(queue)->dropped, 0);
    queue_free(queue);
}

/* ---- those that wait too long ---- */

/* `ms` during which more comes than goes: a packet of 1,300 octets each, and one leaves. */
static void crowd(struct queue *queue, struct queue_line *line, uint8_t tos, uint64_t from, uint64_t ms) {
    struct random_source random = fresh();
    uint16_t port;
    for (uint64_t now = from; now < from + ms; now++) {
        struct burst_spec spec = flow_spec(1000, 1300);
        spec.tos = tos;
        burst_build(&random, &spec, &burst);
        put(queue, line, &burst, now);
        if (now >= from + 20) /* so much waits, always */
            take(queue, line, now, &port);
    }
}

static void who_waits_too_long_loses_a_packet_after_an_interval_and_more_later(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    queue_line_init(&line, 1, 1340);
    crowd(queue, &line, 0, 1000, 20 + QUEUE_TARGET_MS + QUEUE_INTERVAL_MS - 10);
    assert_int_equal(queue_counters(queue)->dropped, 0);
    crowd(queue, &line, 0, 1115, 45);
    assert_int_equal(queue_counters(queue)->dropped, 1);
    crowd(queue, &line, 0, 1160, 1000);
    assert_in_range(queue_counters(queue)->dropped, 10, 60);
    assert_int_equal(queue_counters(queue)->marked, 0);
    queue_free(queue);
}

static void who_knows_ecn_is_marked_and_loses_nothing(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    queue_line_init(&line, 1, 1340);
    crowd(queue, &line, 2, 1000, 1000);
    assert_int_equal(queue_counters(queue)->dropped, 0);
    assert_true(queue_counters(queue)->marked > 5);
    queue_free(queue);
}

static void a_short_wait_or_a_single_burst_is_left_alone(void **state) {
    (void)state;
    struct queue *queue = queue_new(1);
    struct queue_line line;
    uint16_t port;
    queue_line_init(&line, 1, 65536);
    for (uint64_t now = 1000; now < 3000; now += 50) { /* each waits 50 ms, but none is behind it */
        put_flow(queue, &line, 1000, 60000, now);
        while (take(queue, &line, now + 50, &port) > 0)
            ;
    }
    for (uint64_t now = 3000; now < 5000; now += QUEUE_TARGET_MS - 1) {
        put_flow(queue, &line, 1000, 600, now);
        if (now > 3000)
            assert_true(take(queue, &line, now, &port) > 0);
    }
    assert_int_equal(queue_counters(queue)->dropped, 0);
    queue_free(queue);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flow_that_had_nothing_waiting_goes_first),
        cmocka_unit_test(a_line_waits_while_a_burst_does_and_not_for_a_flow_that_sent_its_last),
        cmocka_unit_test(flows_share_by_octets_whatever_their_packets),
        cmocka_unit_test(what_is_full_loses_the_oldest_of_the_flow_that_has_most),
        cmocka_unit_test(lines_are_apart_and_one_is_cleared_alone),
        cmocka_unit_test(packets_of_a_flow_stay_in_order_and_none_is_lost),
        cmocka_unit_test(who_waits_too_long_loses_a_packet_after_an_interval_and_more_later),
        cmocka_unit_test(who_knows_ecn_is_marked_and_loses_nothing),
        cmocka_unit_test(a_short_wait_or_a_single_burst_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
