/* pace.c: a stream through a simulated line with a queue in front: it fills the line, and not the queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail

#include "dataplane/pace.h"

#define STEP_US 10000u
#define UNPACED 3.0 /* times the line's rate: what congestion control alone tries, until the queue is full */
#define QUEUE_FULL_US 50000.0

struct line {
    double rate, rtt_min; /* octets a second; us */
    double queue, delivered; /* octets */
    uint32_t segment, segments; /* octets of one, 0: 1; how many arrived */
    double extra; /* us that others' queue adds */
    double sender; /* octets a second that the sender can do at most; 0: any */
    uint64_t now;
};

/* One step of the line, then a sample of it. */
static void step(struct line *line, struct pace *pace) {
    double sent = pace->rate == 0 ? line->rate * UNPACED : (double)pace->rate, seconds = STEP_US / 1e6;
    bool limited = line->sender > 0 && sent > line->sender;
    if (limited)
        sent = line->sender;
    double there = line->queue + sent * seconds, leaves = there < line->rate * seconds ? there : line->rate * seconds;
    line->queue = there - leaves;
    if (line->queue > line->rate * QUEUE_FULL_US / 1e6)
        line->queue = line->rate * QUEUE_FULL_US / 1e6;
    uint32_t segment = line->segment > 0 ? line->segment : 1;
    line->delivered += leaves;
    line->segments += (uint32_t)(leaves / segment);
    line->now += STEP_US;
    struct pace_sample sample = {.now = line->now,
        .rtt = (uint32_t)(line->rtt_min + line->extra + line->queue / line->rate * 1e6),
        .rtt_min = (uint32_t)line->rtt_min,
        .waits = !limited,
        .delivered = line->segments,
        .segment = segment};
    pace_update(pace, &sample);
}

static void run(struct line *line, struct pace *pace, unsigned ms) {
    for (unsigned i = 0; i < ms * 1000 / STEP_US; i++)
        step(line, pace);
}

static void fills_the_line_and_not_the_queue(struct line *line, struct pace *pace) {
    run(line, pace, 4000);
    double before = line->delivered, worst = 0;
    for (int i = 0; i < 500; i++) {
        step(line, pace);
        double wait = line->queue / line->rate * 1e6;
        worst = wait > worst ? wait : worst;
    }
    assert_true(line->delivered - before > 0.97 * 5 * line->rate);
    assert_true(worst < 8000 + line->rtt_min / 4);
}

static void a_line_of_any_rate_and_length_is_full_and_its_queue_is_not(void **state) {
    (void)state;
    for (double rate = 250e3; rate < 200e6; rate *= 3)
        for (double rtt = 20; rtt < 200000; rtt *= 10) {
            struct line line = {.rate = rate, .rtt_min = rtt, .now = 1};
            struct pace pace;
            pace_init(&pace);
            fills_the_line_and_not_the_queue(&line, &pace);
        }
}

static void a_line_that_gets_slower_or_faster_is_followed(void **state) {
    (void)state;
    struct line line = {.rate = 12.5e6, .rtt_min = 500, .now = 1};
    struct pace pace;
    pace_init(&pace);
    fills_the_line_and_not_the_queue(&line, &pace);
    line.rate = 2e6;
    fills_the_line_and_not_the_queue(&line, &pace);
    line.rate = 60e6;
    fills_the_line_and_not_the_queue(&line, &pace);
}

static void without_a_queue_nothing_is_paced_nor_bounded_more_than_at_first(void **state) {
    (void)state;
    struct line line = {.rate = 500e6, .rtt_min = 50, .sender = 400e6, .now = 1};
    struct pace pace;
    pace_init(&pace);
    run(&line, &pace, 3000);
    assert_int_equal(pace.rate, 0);
    assert_int_equal(pace.notsent, PACE_NOTSENT_MAX);
    assert_int_equal(pace.quantum, PACE_QUANTUM_MAX);
}

static void what_waits_in_the_socket_is_some_milliseconds_of_the_line(void **state) {
    (void)state;
    struct line line = {.rate = 12.5e6, .rtt_min = 500, .now = 1};
    struct pace pace;
    pace_init(&pace);
    run(&line, &pace, 4000);
    assert_in_range(pace.notsent, 12500, 50000);
    assert_in_range(pace.quantum, 6000, 25000);
}

static void a_sender_that_is_busy_elsewhere_is_not_paced_down_to_what_it_did(void **state) {
    (void)state;
    struct line line = {.rate = 12.5e6, .rtt_min = 500, .now = 1};
    struct pace pace;
    pace_init(&pace);
    run(&line, &pace, 4000);
    line.sender = 1e6;
    run(&line, &pace, 4000);
    assert_true(pace.rate == 0 || pace.rate > 12000000);
}

/* The path takes less, or more: what arrived before was not so many octets fewer. The count of segments begins anew, too. */
static void segments_of_another_length_and_many_of_them_say_nothing_of_the_line(void **state) {
    (void)state;
    static const uint32_t segments[] = {1448, 1348, 1448, 536};
    struct line line = {.rate = 12.5e6, .rtt_min = 500, .segments = UINT32_MAX - 45000, .now = 1};
    struct pace pace;
    pace_init(&pace);
    for (size_t i = 0; i < sizeof segments / sizeof segments[0]; i++) {
        line.segment = segments[i];
        run(&line, &pace, i == 0 ? 4000 : 500);
        for (int step_at = 0; step_at < 300; step_at++) {
            step(&line, &pace);
            assert_in_range(pace.rate, 6000000, 25000000);
        }
    }
}

/* A few pings, some of which wait because the peer's processor is busy, and then a download. */
static void round_trips_that_a_busy_host_makes_long_do_not_pace_what_was_never_full(void **state) {
    (void)state;
    struct line line = {.rate = 500e6, .rtt_min = 50, .sender = 5000, .now = 1};
    struct pace pace;
    pace_init(&pace);
    for (int i = 0; i < 200; i++) {
        line.extra = i % 10 < 3 ? 6000 : 0;
        step(&line, &pace);
        assert_int_equal(pace.rate, 0);
        assert_int_equal(pace.notsent, PACE_NOTSENT_MAX);
    }
}

/* Their queue does not go away when we hold back: we would only give them our share. */
static void a_queue_that_is_others_is_met_with_congestion_control_alone(void **state) {
    (void)state;
    struct line line = {.rate = 12.5e6, .rtt_min = 500, .now = 1};
    struct pace pace;
    unsigned unpaced = 0;
    pace_init(&pace);
    run(&line, &pace, 4000);
    line.extra = 40000;
    for (int i = 0; i < 1000; i++) {
        step(&line, &pace);
        unpaced += pace.rate == 0;
    }
    assert_true(unpaced > 800);
    line.extra = 0;
    run(&line, &pace, 6000);
    fills_the_line_and_not_the_queue(&line, &pace);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_any_rate_and_length_is_full_and_its_queue_is_not),
        cmocka_unit_test(a_line_that_gets_slower_or_faster_is_followed),
        cmocka_unit_test(without_a_queue_nothing_is_paced_nor_bounded_more_than_at_first),
        cmocka_unit_test(what_waits_in_the_socket_is_some_milliseconds_of_the_line),
        cmocka_unit_test(a_sender_that_is_busy_elsewhere_is_not_paced_down_to_what_it_did),
        cmocka_unit_test(segments_of_another_length_and_many_of_them_say_nothing_of_the_line),
        cmocka_unit_test(round_trips_that_a_busy_host_makes_long_do_not_pace_what_was_never_full),
        cmocka_unit_test(a_queue_that_is_others_is_met_with_congestion_control_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
