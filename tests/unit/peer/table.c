/* table.c: the hash table and the heap of timers against what a plain list would say. */
#include "peer/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS 300u

static void a_table_holds_what_was_put_and_nothing_that_was_removed(void **state) {
    (void)state;
    static bool there[KEYS];
    static char values[KEYS];
    uint64_t seed = 5;
    struct random_source random = random_seeded(&seed);
    struct table table;
    table_init(&table, (const uint64_t[2]){1, 2});
    size_t count = 0;
    for (int i = 0; i < 20000; i++) {
        uint32_t key = random_u32(&random) % KEYS;
        if (random_u32(&random) % 2) {
            assert_true(table_put(&table, key, &values[key]));
            count += !there[key];
            there[key] = true;
        } else {
            table_remove(&table, key);
            count -= there[key];
            there[key] = false;
        }
        uint32_t other = random_u32(&random) % KEYS;
        assert_ptr_equal(table_get(&table, other), there[other] ? &values[other] : NULL);
        assert_int_equal(table.count, count);
    }
    for (uint32_t key = 0; key < KEYS; key++)
        assert_ptr_equal(table_get(&table, key), there[key] ? &values[key] : NULL);
    table_free(&table);
}

/* Who replaces relies on it: nothing can fail. */
static void replacing_in_a_table_that_is_full_needs_no_memory(void **state) {
    (void)state;
    struct table table;
    static char first, second;
    table_init(&table, (const uint64_t[2]){1, 2});
    assert_true(table_put(&table, 0, &first));
    size_t capacity = table.capacity;
    for (uint64_t key = 1; key < capacity / 2; key++)
        assert_true(table_put(&table, key, &first));
    assert_int_equal(table.capacity, capacity); /* one more would not fit */
    assert_true(table_put(&table, 0, &second));
    assert_int_equal(table.capacity, capacity);
    assert_ptr_equal(table_get(&table, 0), &second);
    assert_true(table_put(&table, capacity, &first));
    assert_true(table.capacity > capacity);
    table_free(&table);
}

static void a_table_hash_depends_on_its_secret_and_on_every_octet(void **state) {
    (void)state;
    const uint64_t one[2] = {1, 2}, two[2] = {1, 3};
    uint8_t octets[20] = {0};
    uint64_t hash = table_hash(one, octets, sizeof octets);
    assert_true(hash != table_hash(two, octets, sizeof octets));
    assert_true(hash != table_hash(one, octets, sizeof octets - 1));
    for (size_t i = 0; i < sizeof octets; i++) {
        octets[i] = 1;
        assert_true(hash != table_hash(one, octets, sizeof octets));
        octets[i] = 0;
    }
}

static void the_earliest_timer_is_always_first(void **state) {
    (void)state;
    static struct timer timer[64];
    uint64_t seed = 6;
    struct random_source random = random_seeded(&seed);
    struct timers timers = {0};
    for (size_t i = 0; i < 64; i++)
        timer[i].at = NEVER;
    for (int i = 0; i < 20000; i++) {
        uint64_t at = random_u32(&random) % 4 ? random_u32(&random) % 1000 : NEVER, earliest = NEVER;
        assert_true(timer_set(&timers, &timer[random_u32(&random) % 64], at));
        for (size_t n = 0; n < 64; n++)
            earliest = timer[n].at < earliest ? timer[n].at : earliest;
        const struct timer *first = timer_first(&timers);
        assert_true((first ? first->at : NEVER) == earliest);
    }
    timers_free(&timers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_holds_what_was_put_and_nothing_that_was_removed),
        cmocka_unit_test(replacing_in_a_table_that_is_full_needs_no_memory),
        cmocka_unit_test(a_table_hash_depends_on_its_secret_and_on_every_octet),
        cmocka_unit_test(the_earliest_timer_is_always_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
