/* ring.c: the ring between two threads: order, fullness, and no wake-up lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include "dataplane/ring.h"

#define VALUES UINT64_C(300000)

static void a_full_ring_refuses_and_loses_nothing(void **state) {
    (void)state;
    struct ring ring;
    struct error error;
    assert_true(ring_open(&ring, sizeof(uint64_t), 8, &error));
    uint64_t value;
    for (uint64_t round = 0; round < 100; round++) {
        for (uint64_t i = 0; i < 8; i++) {
            value = round * 8 + i;
            assert_int_equal(ring_room(&ring), 8 - i);
            assert_true(ring_push(&ring, &value));
        }
        assert_false(ring_push(&ring, &value));
        for (uint64_t i = 0; i < 8; i++) {
            assert_true(ring_pop(&ring, &value));
            assert_int_equal(value, round * 8 + i);
        }
        assert_false(ring_pop(&ring, &value));
    }
    ring_close(&ring);
}

static bool readable(const struct ring *ring) {
    struct pollfd poll_fd = {.fd = ring->wake, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

static void the_eventfd_tells_as_long_as_something_waits(void **state) {
    (void)state;
    struct ring ring;
    struct error error;
    assert_true(ring_open(&ring, sizeof(uint64_t), 8, &error));
    uint64_t value = 1;
    assert_false(readable(&ring));
    for (int i = 0; i < 3; i++)
        assert_true(ring_push(&ring, &value));
    assert_true(readable(&ring));
    assert_true(ring_pop(&ring, &value));
    assert_true(readable(&ring));
    ring_sleep(&ring); /* with two still there: it must not fall asleep */
    assert_true(readable(&ring));
    assert_true(ring_pop(&ring, &value) && ring_pop(&ring, &value));
    ring_sleep(&ring);
    assert_false(readable(&ring));
    assert_true(ring_push(&ring, &value));
    assert_true(readable(&ring));
    ring_close(&ring);
}

static void *produce(void *context) {
    struct ring *ring = context;
    for (uint64_t i = 0; i < VALUES;) {
        if (ring_push(ring, &i))
            i++;
        else
            sched_yield();
        if (i % 977 == 0)
            sched_yield();
    }
    return NULL;
}

static void two_threads_see_every_value_in_order_and_no_wake_up_is_lost(void **state) {
    (void)state;
    struct ring ring;
    struct error error;
    pthread_t thread;
    assert_true(ring_open(&ring, sizeof(uint64_t), 64, &error));
    assert_int_equal(pthread_create(&thread, NULL, produce, &ring), 0);
    for (uint64_t expected = 0; expected < VALUES;) {
        uint64_t value;
        if (ring_pop(&ring, &value)) {
            assert_int_equal(value, expected);
            expected++;
            continue;
        }
        ring_sleep(&ring);
        struct pollfd poll_fd = {.fd = ring.wake, .events = POLLIN};
        assert_int_equal(poll(&poll_fd, 1, 10000), 1);
    }
    pthread_join(thread, NULL);
    ring_close(&ring);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_refuses_and_loses_nothing),
        cmocka_unit_test(the_eventfd_tells_as_long_as_something_waits),
        cmocka_unit_test(two_threads_see_every_value_in_order_and_no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
