/* window.c: the replay window at every edge, against a model that remembers everything; ESN's upper half. Row K11. */
#include "helper.h"

static const uint32_t sizes[] = {64, 65, 100, 127, 128, 129, 1024, 4095, 4096};
#define SIZES (sizeof sizes / sizeof sizes[0])
#define EPOCH (UINT64_C(1) << 32)
#define LATE (UINT64_C(1) << 28) /* what window.c takes for late */

static struct replay_window window_at(uint32_t size, uint64_t top) {
    static uint64_t words[2][128]; /* no test has more than two */
    static unsigned turn;
    struct replay_window window;
    assert_true(window_open(&window, size));
    free(window.word);
    assert_true(window.words <= 128);
    window.word = words[turn++ % 2];
    memset(window.word, 0, sizeof words[0]);
    if (top > 0)
        window_mark(&window, top);
    return window;
}

static void K11_a_number_is_fresh_once(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct replay_window window = window_at(sizes[i], 0);
        for (uint64_t n = 1; n < 20000; n++) {
            assert_true(window_fresh(&window, n));
            window_mark(&window, n);
            assert_false(window_fresh(&window, n));
        }
    }
}

static void K11_the_oldest_number_in_the_window_is_fresh_and_the_one_before_is_not(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        for (uint64_t top = sizes[i] + 1; top < sizes[i] + 300; top++) {
            struct replay_window window = window_at(sizes[i], top);
            assert_true(window_fresh(&window, top - sizes[i] + 1));
            assert_false(window_fresh(&window, top - sizes[i]));
            assert_false(window_fresh(&window, top - sizes[i] - 1));
            assert_false(window_fresh(&window, top));
            assert_true(window_fresh(&window, top + 1));
            window_mark(&window, top - sizes[i] + 1);
            assert_false(window_fresh(&window, top - sizes[i] + 1));
            assert_true(window_fresh(&window, top - sizes[i] + 2));
        }
    }
}

static void K11_a_window_that_moves_by_one_forgets_one(void **state) {
    (void)state;
    for (size_t i = 0; i < SIZES; i++) {
        struct replay_window window = window_at(sizes[i], 10000);
        for (uint64_t top = 10001; top < 10063; top++) { /* 10,000 is still inside, all before it are unseen */
            assert_true(window_fresh(&window, top - sizes[i]));
            window_mark(&window, top);
            assert_false(window_fresh(&window, top - sizes[i]));
            assert_true(window_fresh(&window, top - sizes[i] + 1));
        }
    }
}

static void K11_zero_is_never_fresh(void **state) {
    (void)state;
    struct replay_window window = window_at(64, 0), off = window_at(0, 0);
    assert_false(window_fresh(&window, 0));
    assert_false(window_fresh(&off, 0));
    window_mark(&window, 5);
    assert_false(window_fresh(&window, 0));
    assert_true(window_fresh(&window, 1));
}

static void K11_without_protection_everything_is_fresh(void **state) {
    (void)state;
    struct replay_window window = window_at(0, 100000);
    assert_true(window_fresh(&window, 1));
    assert_true(window_fresh(&window, 100000));
    window_mark(&window, 7);
    assert_true(window_fresh(&window, 7));
    assert_int_equal(window.top, 100000);
}

#define MODEL 60000u
struct model {
    bool seen[MODEL];
    uint64_t top;
};

static uint64_t pick(struct random_source *random, uint64_t top, uint32_t size) {
    uint32_t r = random_u32(random), back = random_u32(random) % (size + 70);
    if (r % 100 == 0)
        return top + random_u32(random) % 9000;
    if (r % 3 == 0)
        return top + 1 + random_u32(random) % 5;
    return top > back ? top - back : 1;
}

static void K11_the_window_agrees_with_a_model_that_remembers_everything(void **state) {
    (void)state;
    uint64_t seed = 42;
    struct random_source random = random_seeded(&seed);
    static struct model model;
    for (size_t i = 0; i < SIZES; i++) {
        struct replay_window window = window_at(sizes[i], 0);
        memset(&model, 0, sizeof model);
        for (;;) {
            uint64_t n = pick(&random, model.top, sizes[i]);
            if (n >= MODEL)
                break;
            bool fresh = n != 0 && !model.seen[n] && n + sizes[i] > model.top;
            assert_int_equal(window_fresh(&window, n), fresh);
            if (!fresh)
                continue;
            window_mark(&window, n);
            model.seen[n] = true;
            model.top = n > model.top ? n : model.top;
            assert_int_equal(window.top, model.top);
        }
        assert_true(model.top > MODEL / 2);
    }
}

static void K11_a_jump_of_any_length_leaves_no_old_marks(void **state) {
    (void)state;
    static const uint64_t jumps[] = {1, 63, 64, 65, 4095, 4096, 4097, 8127, 8128, 8191, 8192, 8193, 16384, 1 << 20,
        UINT64_C(1) << 32, UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
        struct replay_window window = window_at(4096, 0);
        for (uint64_t n = 1; n <= 9000; n++)
            window_mark(&window, n);
        uint64_t top = 9000 + jumps[i];
        window_mark(&window, top);
        for (uint64_t n = top - 4095; n <= top; n++)
            assert_int_equal(window_fresh(&window, n), n > 9000 && n != top);
    }
}

static void extends_to(const struct replay_window *window, uint64_t sequence) {
    uint64_t out = 0;
    assert_true(window_extend(window, (uint32_t)sequence, &out));
    assert_true(out == sequence);
}

static void is_late(const struct replay_window *window, uint64_t sequence) {
    uint64_t out;
    assert_false(window_extend(window, (uint32_t)sequence, &out));
}

static void K11_the_upper_half_is_right_from_the_window_to_almost_2_to_the_32_beyond(void **state) {
    (void)state;
    static const uint64_t epochs[] = {0, 1, 2, 7, 0x80000000, 0xfffffffe};
    static const uint64_t offsets[] = {
        1, 62, 63, 64, 65, 4094, 4095, 4096, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff};
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t e = 0; e < sizeof epochs / sizeof epochs[0]; e++) {
            for (size_t o = 0; o < sizeof offsets / sizeof offsets[0]; o++) {
                uint64_t top = epochs[e] * EPOCH + offsets[o];
                struct replay_window window = window_at(sizes[i], top);
                for (uint64_t back = 0; back < sizes[i] && back < top; back++)
                    extends_to(&window, top - back);
                for (uint64_t ahead = 1; ahead < 5000; ahead++)
                    extends_to(&window, top + ahead);
                extends_to(&window, top + (UINT64_C(1) << 31));
                extends_to(&window, top + EPOCH - sizes[i] - LATE);
            }
        }
    }
}

static void L10_esn_takes_a_packet_little_left_of_the_window_for_late_not_for_the_next_epoch(void **state) {
    (void)state;
    static const uint64_t tops[] = {
        2 * EPOCH + 5, 2 * EPOCH + 63, 2 * EPOCH + 64, 3 * EPOCH - 1, 9 * EPOCH + 0x12345678};
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t t = 0; t < sizeof tops / sizeof tops[0]; t++) {
            struct replay_window window = window_at(sizes[i], tops[t]);
            is_late(&window, tops[t] - sizes[i]);
            is_late(&window, tops[t] - sizes[i] - 1000);
            is_late(&window, tops[t] - sizes[i] - LATE + 1);
            extends_to(&window, tops[t] - sizes[i] - LATE + EPOCH);
        }
    }
}

static void K11_esn_knows_nothing_before_the_first_number_nor_after_the_last(void **state) {
    (void)state;
    struct replay_window fresh = window_at(64, 0), last = window_at(64, UINT64_MAX - 3);
    uint64_t out;
    extends_to(&fresh, 1);
    extends_to(&fresh, 0xffffffc0);
    is_late(&fresh, 0xffffffc1);
    is_late(&fresh, 0xffffffff);
    extends_to(&last, UINT64_MAX);
    extends_to(&last, UINT64_MAX - 66);
    assert_false(window_extend(&last, 0, &out));
    assert_false(window_extend(&last, 5, &out));
}

static void K11_esn_without_protection_looks_half_an_epoch_back_and_ahead(void **state) {
    (void)state;
    struct replay_window window = window_at(0, 5 * EPOCH + 10);
    extends_to(&window, 5 * EPOCH + 11);
    extends_to(&window, 5 * EPOCH - 100000);
    extends_to(&window, 5 * EPOCH + 10 - EPOCH / 2 + 1);
    extends_to(&window, 5 * EPOCH + 10 + EPOCH / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K11_a_number_is_fresh_once),
        cmocka_unit_test(K11_the_oldest_number_in_the_window_is_fresh_and_the_one_before_is_not),
        cmocka_unit_test(K11_a_window_that_moves_by_one_forgets_one),
        cmocka_unit_test(K11_zero_is_never_fresh),
        cmocka_unit_test(K11_without_protection_everything_is_fresh),
        cmocka_unit_test(K11_the_window_agrees_with_a_model_that_remembers_everything),
        cmocka_unit_test(K11_a_jump_of_any_length_leaves_no_old_marks),
        cmocka_unit_test(K11_the_upper_half_is_right_from_the_window_to_almost_2_to_the_32_beyond),
        cmocka_unit_test(L10_esn_takes_a_packet_little_left_of_the_window_for_late_not_for_the_next_epoch),
        cmocka_unit_test(K11_esn_knows_nothing_before_the_first_number_nor_after_the_last),
        cmocka_unit_test(K11_esn_without_protection_looks_half_an_epoch_back_and_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
