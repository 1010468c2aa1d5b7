/* sequence.c: sequence numbers end to end: replays, reordering, ESN across 2^32 with losses, exhaustion. K11, L10. */
#include "helper.h"

#define EPOCH (UINT64_C(1) << 32)

/* As if `sequence` packets had gone from left to right. */
static void fast_forward(struct ends ends, uint64_t sequence) {
    ends.left->sequence_out = ends.left->iv_counter = sequence;
    ends.right->window.top = sequence;
}

static void K11_numbers_begin_at_1_and_count_up(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], false, 64);
    uint8_t packet[ROOM];
    for (uint8_t n = 1; n < 20; n++) {
        (void)seal_next(ends.left, packet);
        const uint8_t header[8] = {1, 2, 3, 4, 0, 0, 0, n};
        assert_memory_equal(packet, header, 8);
    }
    ends_free(ends);
}

static void K11_a_packet_that_comes_twice_is_a_replay_in_a_later_batch_and_in_the_same(void **state) {
    (void)state;
    for (int esn = 0; esn < 2; esn++) {
        struct ends ends = ends_of(every_suite[0], esn, 64);
        uint8_t first[ROOM], copy[ROOM], again[ROOM];
        size_t length = seal_next(ends.left, first);
        memcpy(copy, first, length);
        memcpy(again, first, length);
        struct esp_open_job job[] = {{.packet = first, .length = length}, {.packet = copy, .length = length}};
        assert_int_equal(esp_open(ends.right, 5, job, 2), 1);
        assert_int_equal(job[0].verdict, ESP_INNER);
        assert_int_equal(job[1].verdict, ESP_REPLAYED);
        assert_int_equal(open_one(ends.right, again, length), ESP_REPLAYED);
        assert_int_equal(esp_sa_counters(ends.right)->replay_drops, 2);
        assert_int_equal(esp_sa_counters(ends.right)->auth_drops, 0);
        ends_free(ends);
    }
}

static void K11_a_forged_packet_does_not_move_the_window(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], false, 64);
    uint8_t packet[ROOM], forged[ROOM];
    size_t length = seal_next(ends.left, packet);
    memcpy(forged, packet, length);
    forged[5] = 0x7f; /* far ahead */
    assert_int_equal(open_one(ends.right, forged, length), ESP_FORGED);
    assert_int_equal(open_one(ends.right, packet, length), ESP_INNER);
    assert_int_equal(esp_sa_counters(ends.right)->auth_drops, 1);
    ends_free(ends);
}

#define STORE 512
struct store {
    uint8_t packet[STORE][256];
    size_t length[STORE];
    size_t order[STORE];
};

static void seal_many(struct store *store, struct esp_sa *sa, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint8_t packet[ROOM];
        store->length[i] = seal_next(sa, packet);
        memcpy(store->packet[i], packet, store->length[i]);
        store->order[i] = i;
    }
}

/* Moves each packet by less than `distance` places. */
static void shuffle(struct store *store, size_t count, size_t distance, struct random_source *random) {
    for (size_t start = 0; start < count; start += distance) {
        size_t n = count - start < distance ? count - start : distance;
        for (size_t i = n; i > 1; i--) {
            size_t j = random_u32(random) % i, keep = store->order[start + i - 1];
            store->order[start + i - 1] = store->order[start + j];
            store->order[start + j] = keep;
        }
    }
}

/* Opens the packets in their order in batches of changing size; `lost` of 100 never arrive. Returns how many did. */
static size_t deliver(
    struct store *store, struct esp_sa *sa, size_t count, uint32_t lost, struct random_source *random) {
    size_t arrived = 0;
    struct esp_open_job job[ESP_BATCH_MAX];
    for (size_t at = 0; at < count;) {
        size_t batch = 1 + random_u32(random) % ESP_BATCH_MAX, jobs = 0;
        for (; jobs < batch && at < count; at++) {
            if (random_u32(random) % 100 >= lost) {
                size_t i = store->order[at];
                job[jobs++] = (struct esp_open_job){.packet = store->packet[i], .length = store->length[i]};
            }
        }
        assert_int_equal(esp_open(sa, 1, job, jobs), jobs);
        for (size_t i = 0; i < jobs; i++)
            assert_int_equal(job[i].verdict, ESP_INNER);
        arrived += jobs;
    }
    return arrived;
}

static void K11_reordering_inside_the_window_loses_nothing(void **state) {
    (void)state;
    static struct store store;
    uint64_t seed = 7;
    struct random_source random = random_seeded(&seed);
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_of(every_suite[i], i % 2 == 0, 64);
        seal_many(&store, ends.left, STORE);
        shuffle(&store, STORE, 64, &random);
        assert_int_equal(deliver(&store, ends.right, STORE, 0, &random), STORE);
        assert_int_equal(esp_sa_counters(ends.right)->packets_in, STORE);
        assert_int_equal(esp_sa_counters(ends.right)->replay_drops, 0);
        ends_free(ends);
    }
}

static void K11_esn_crosses_2_to_the_32_with_losses_and_reordering(void **state) {
    (void)state;
    static struct store store;
    uint64_t seed = 8;
    struct random_source random = random_seeded(&seed);
    for (size_t i = 0; i < 40; i++) {
        struct ends ends = ends_of(every_suite[i % SUITES], true, i % 3 == 0 ? 64 : 1024);
        fast_forward(ends, (i + 1) * EPOCH - 1 - 12 * i);
        seal_many(&store, ends.left, STORE);
        shuffle(&store, STORE, 64, &random);
        size_t arrived = deliver(&store, ends.right, STORE, (uint32_t)i, &random);
        assert_true(arrived > STORE / 3);
        assert_int_equal(esp_sa_counters(ends.right)->packets_in, arrived);
        ends_free(ends);
    }
}

static void K11_esn_survives_the_loss_of_a_billion_packets(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], true, 64);
    uint8_t packet[ROOM];
    for (uint64_t n = 0; n < 12; n++) {
        size_t length = seal_next(ends.left, packet);
        assert_int_equal(open_one(ends.right, packet, length), ESP_INNER);
        ends.left->sequence_out += UINT64_C(3600000000);
    }
    ends_free(ends);
}

static void K11_the_oldest_packet_in_the_window_opens_and_the_one_before_does_not(void **state) {
    (void)state;
    for (int esn = 0; esn < 2; esn++) {
        struct ends ends = ends_of(every_suite[0], esn, 100);
        static struct store store;
        seal_many(&store, ends.left, 102);
        assert_int_equal(open_one(ends.right, store.packet[101], store.length[101]), ESP_INNER);
        assert_int_equal(open_one(ends.right, store.packet[1], store.length[1]), ESP_REPLAYED);
        assert_int_equal(open_one(ends.right, store.packet[0], store.length[0]), ESP_REPLAYED);
        assert_int_equal(open_one(ends.right, store.packet[2], store.length[2]), ESP_INNER);
        ends_free(ends);
    }
}

static void K11_within_a_batch_an_earlier_packet_moves_the_window_past_a_later_one(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], false, 64);
    static struct store store;
    seal_many(&store, ends.left, 65);
    struct esp_open_job job[] = {{.packet = store.packet[64], .length = store.length[64]},
        {.packet = store.packet[0], .length = store.length[0]}, {.packet = store.packet[1], .length = store.length[1]}};
    assert_int_equal(esp_open(ends.right, 1, job, 3), 2);
    assert_int_equal(job[1].verdict, ESP_REPLAYED);
    assert_int_equal(job[2].verdict, ESP_INNER);
    ends_free(ends);
}

static void L10_a_late_packet_is_a_replay_and_not_a_forgery_with_esn_as_without(void **state) {
    (void)state;
    for (int esn = 0; esn < 2; esn++) {
        for (uint64_t epoch = 0; epoch < 3; epoch++) {
            struct ends ends = ends_of(every_suite[0], esn, 64);
            static struct store store;
            if (esn)
                fast_forward(ends, epoch == 0 ? 0 : epoch * EPOCH - 2);
            seal_many(&store, ends.left, STORE);
            assert_int_equal(open_one(ends.right, store.packet[STORE - 1], store.length[STORE - 1]), ESP_INNER);
            for (size_t i = 0; i < STORE - 64; i++)
                assert_int_equal(open_one(ends.right, store.packet[i], store.length[i]), ESP_REPLAYED);
            assert_int_equal(esp_sa_counters(ends.right)->auth_drops, 0);
            ends_free(ends);
        }
    }
}

static void K11_without_a_window_a_packet_may_come_twice(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], true, 0);
    uint8_t packet[ROOM], copy[ROOM];
    size_t length = seal_next(ends.left, packet);
    memcpy(copy, packet, length);
    assert_int_equal(open_one(ends.right, packet, length), ESP_INNER);
    assert_int_equal(open_one(ends.right, copy, length), ESP_INNER);
    ends_free(ends);
}

static void the_last_number_is_used_and_none_after_it(void **state) {
    (void)state;
    for (int esn = 0; esn < 2; esn++) {
        struct ends ends = ends_of(every_suite[0], esn, 64);
        uint64_t last = esn ? UINT64_MAX : UINT32_MAX;
        fast_forward(ends, last - 3);
        struct esp_seal_job job[5];
        static uint8_t packet[5][ROOM];
        for (size_t i = 0; i < 5; i++) {
            make_v4(packet[i] + esp_seal_offset(ends.left), 100, 1, 2, UDP, 1, 2);
            job[i] =
                (struct esp_seal_job){.packet = packet[i], .inner = 100, .next_header = ESP_NEXT_IPV4, .length = 77};
        }
        assert_int_equal(esp_seal(ends.left, job, 5), 3);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(open_one(ends.right, packet[i], job[i].length), ESP_INNER);
        assert_int_equal(job[3].length, 0);
        assert_int_equal(job[4].length, 0);
        assert_int_equal(esp_seal(ends.left, job, 5), 0);
        assert_int_equal(esp_sa_counters(ends.left)->packets_out, 3);
        assert_true(esp_sa_wants_rekey(ends.left));
        ends_free(ends);
    }
}

static void a_rekey_is_due_at_the_soft_limit_and_by_default_well_before_the_end(void **state) {
    (void)state;
    struct esp_config config = config_of(every_suite[0], false, 64, true);
    uint8_t packet[ROOM];
    config.soft_packets = 3;
    struct esp_sa *sa = sa_of(&config);
    for (int i = 0; i < 3; i++) {
        assert_false(esp_sa_wants_rekey(sa));
        (void)seal_next(sa, packet);
    }
    assert_true(esp_sa_wants_rekey(sa));
    esp_sa_free(sa);
    config.soft_packets = 0;
    sa = sa_of(&config);
    sa->sequence_out = UINT64_C(0xc0000000);
    assert_false(esp_sa_wants_rekey(sa));
    sa->sequence_out = UINT64_C(0xf0000000);
    assert_true(esp_sa_wants_rekey(sa));
    esp_sa_free(sa);
}

static void O5_an_sa_that_another_sent_with_seals_no_more_and_takes_no_replays(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_of(every_suite[i], i % 2, 64);
        uint8_t before[3][ROOM], packet[ROOM];
        size_t length = 0;
        for (int n = 0; n < 3; n++)
            length = seal_next(ends.left, before[n]);
        assert_int_equal(open_one(ends.right, before[1], length), ESP_INNER);
        struct esp_numbers numbers = esp_sa_numbers(ends.left);
        assert_int_equal(numbers.out, 3);
        assert_int_equal(numbers.in, 0);
        assert_int_equal(esp_sa_numbers(ends.right).in, 2);
        esp_sa_go_on(ends.left, &numbers); /* its own change nothing */
        assert_int_equal(esp_sa_numbers(ends.left).out, 3);
        assert_false(esp_sa_wants_rekey(ends.left));
        numbers.in = 1000; /* somebody else has received so many meanwhile */
        esp_sa_go_on(ends.right, &numbers);
        assert_int_equal(open_one(ends.right, before[2], length), ESP_REPLAYED);
        fast_forward(ends, 1000);
        length = seal_next(ends.left, packet);
        assert_int_equal(open_one(ends.right, packet, length), ESP_INNER);
        assert_int_equal(esp_sa_numbers(ends.right).in, 1001);
        numbers = (struct esp_numbers){.out = 1002}; /* ... and sent one: with which IV? */
        esp_sa_go_on(ends.left, &numbers);
        struct esp_seal_job job = {.packet = packet, .inner = 40, .next_header = 4};
        assert_int_equal(esp_seal(ends.left, &job, 1), 0);
        assert_true(esp_sa_wants_rekey(ends.left));
        ends_free(ends);
    }
}

static void O5_what_the_window_has_behind_it_counts_as_seen(void **state) {
    (void)state;
    for (uint64_t top = 1; top < 400; top++) {
        struct replay_window window;
        assert_true(window_open(&window, 64));
        window_skip(&window, top);
        assert_int_equal(window.top, top);
        for (uint64_t n = 0; n <= top; n++)
            assert_false(window_fresh(&window, n));
        for (uint64_t n = top + 1; n < top + 200; n++)
            assert_true(window_fresh(&window, n));
        window_mark(&window, top + 70);
        assert_true(window_fresh(&window, top + 69) && window_fresh(&window, top + 7));
        assert_false(window_fresh(&window, top) || window_fresh(&window, top + 6));
        window_skip(&window, top); /* behind */
        assert_int_equal(window.top, top + 70);
        free(window.word);
    }
}

static void O5_keys_are_kept_where_the_kernel_may_want_them_and_nowhere_else(void **state) {
    (void)state;
    struct esp_config config = config_of(every_suite[3], false, 64, true);
    struct esp_sa *sa = sa_of(&config);
    assert_int_equal(esp_sa_keys(sa).key_in.length + esp_sa_keys(sa).integ_out.length, 0);
    esp_sa_free(sa);
    config.keep_keys = true;
    sa = sa_of(&config);
    uint8_t packet[ROOM], other[64] = {0};
    (void)seal_next(sa, packet); /* both directions have their ciphers: the keys stay all the same */
    (void)open_one(sa, other, sizeof other);
    const struct esp_key_spans kept = esp_sa_keys(sa);
    assert_memory_equal(kept.key_in.at, config.key_in.at, config.key_in.length);
    assert_memory_equal(kept.key_out.at, config.key_out.at, config.key_out.length);
    assert_memory_equal(kept.integ_in.at, config.integ_in.at, config.integ_in.length);
    assert_memory_equal(kept.integ_out.at, config.integ_out.at, config.integ_out.length);
    assert_ptr_not_equal(kept.key_in.at, config.key_in.at);
    esp_sa_free(sa);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(O5_an_sa_that_another_sent_with_seals_no_more_and_takes_no_replays),
        cmocka_unit_test(O5_what_the_window_has_behind_it_counts_as_seen),
        cmocka_unit_test(O5_keys_are_kept_where_the_kernel_may_want_them_and_nowhere_else),
        cmocka_unit_test(K11_numbers_begin_at_1_and_count_up),
        cmocka_unit_test(K11_a_packet_that_comes_twice_is_a_replay_in_a_later_batch_and_in_the_same),
        cmocka_unit_test(K11_a_forged_packet_does_not_move_the_window),
        cmocka_unit_test(K11_reordering_inside_the_window_loses_nothing),
        cmocka_unit_test(K11_esn_crosses_2_to_the_32_with_losses_and_reordering),
        cmocka_unit_test(K11_esn_survives_the_loss_of_a_billion_packets),
        cmocka_unit_test(K11_the_oldest_packet_in_the_window_opens_and_the_one_before_does_not),
        cmocka_unit_test(K11_within_a_batch_an_earlier_packet_moves_the_window_past_a_later_one),
        cmocka_unit_test(L10_a_late_packet_is_a_replay_and_not_a_forgery_with_esn_as_without),
        cmocka_unit_test(K11_without_a_window_a_packet_may_come_twice),
        cmocka_unit_test(the_last_number_is_used_and_none_after_it),
        cmocka_unit_test(a_rekey_is_due_at_the_soft_limit_and_by_default_well_before_the_end),
    };
    return over_every_library(tests);
}
