/* framing.c: the stream of RFC 9329 cut into messages. Rows S1 to S12. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAYLOADS_MAX 64

/* What a stream gives, whatever the pieces it comes in. */
struct outcome {
    uint8_t octets[8192]; /* of all payloads, one behind the other */
    size_t length[PAYLOADS_MAX];
    size_t payloads, used;
    bool corrupt;
    size_t left; /* octets that were no whole message at the end */
};

/* Feeds octets[0..length) so that `piece` says how many come next (0: all the rest). */
static void feed(bool expect_prefix, const uint8_t *octets, size_t length, size_t (*piece)(void *), void *context,
    struct outcome *out) {
    struct framer framer = framer_start(expect_prefix);
    memset(out, 0, sizeof *out);
    size_t come = 0, done = 0;
    while (come < length && !out->corrupt) {
        size_t step = piece(context);
        come = step == 0 || step > length - come ? length : come + step;
        /* Exactly what came, at the end of its own memory, so that a sanitizer sees every octet too far. */
        uint8_t *buffer = malloc(come - done + 1);
        memcpy(buffer + 1, octets + done, come - done);
        size_t consumed = 0;
        for (;;) {
            struct span payload;
            enum framer_verdict verdict =
                framer_next(&framer, buffer + 1 + consumed, come - done - consumed, &consumed, &payload);
            out->corrupt = verdict == FRAMER_CORRUPT;
            if (verdict != FRAMER_MESSAGE)
                break;
            assert_in_range(out->payloads, 0, PAYLOADS_MAX - 1);
            out->length[out->payloads++] = payload.length;
            memcpy(out->octets + out->used, payload.at, payload.length);
            out->used += payload.length;
        }
        done += consumed;
        free(buffer);
    }
    out->left = length - done;
}

static size_t all_at_once(void *context) {
    (void)context;
    return 0;
}

static size_t fixed(void *context) {
    return *(size_t *)context;
}

static size_t at_random(void *context) {
    struct random_source random = random_seeded(context);
    return 1 + random_u32(&random) % 9;
}

struct two_cuts {
    size_t first, second;
    int n;
};
static size_t cut_twice(void *context) {
    struct two_cuts *c = context;
    c->n++;
    return c->n == 1 ? c->first : c->n == 2 ? c->second - c->first : 0;
}

static void assert_same(const struct outcome *a, const struct outcome *b) {
    assert_int_equal(a->payloads, b->payloads);
    assert_int_equal(a->corrupt, b->corrupt);
    assert_int_equal(a->used, b->used);
    assert_memory_equal(a->length, b->length, sizeof a->length);
    assert_memory_equal(a->octets, b->octets, a->used);
}

/* Prefix, IKE of 28, ESP of 20, empty, keepalive, runt, ESP of 8. */
static const uint8_t sample[] = "IKETCP"
                                "\0\042\0\0\0\0abcdefghijklmnopqrstuvwxyz12"
                                "\0\026\0\0\1\2ABCDEFGHIJKLMNOP"
                                "\0\2"
                                "\0\3\xff"
                                "\0\5xyz"
                                "\0\012\0\0\0\1\0\2\0\1";
#define SAMPLE_LENGTH (sizeof sample - 1)
static const size_t sample_payload[] = {32, 20, 0, 1, 3, 8};

static void S1_S3_S4_a_stream_is_prefix_and_messages_whose_length_counts_itself(void **state) {
    (void)state;
    struct outcome out;
    feed(true, sample, SAMPLE_LENGTH, all_at_once, NULL, &out);
    assert_false(out.corrupt);
    assert_int_equal(out.payloads, 6);
    assert_memory_equal(out.length, sample_payload, sizeof sample_payload);
    assert_int_equal(out.left, 0);
}

static void S9_every_split_in_three_gives_the_same_messages(void **state) {
    (void)state;
    struct outcome whole, split;
    feed(true, sample, SAMPLE_LENGTH, all_at_once, NULL, &whole);
    for (size_t first = 1; first < SAMPLE_LENGTH; first++)
        for (size_t second = first; second < SAMPLE_LENGTH; second++) {
            struct two_cuts cuts = {.first = first, .second = second == first ? SAMPLE_LENGTH : second};
            feed(true, sample, SAMPLE_LENGTH, cut_twice, &cuts, &split);
            assert_same(&whole, &split);
        }
}

static void S9_pieces_of_one_octet_and_of_any_size_give_the_same_messages(void **state) {
    (void)state;
    struct outcome whole, split;
    feed(true, sample, SAMPLE_LENGTH, all_at_once, NULL, &whole);
    for (size_t step = 1; step <= SAMPLE_LENGTH; step++) {
        feed(true, sample, SAMPLE_LENGTH, fixed, &step, &split);
        assert_same(&whole, &split);
    }
}

/* A stream of random messages, sometimes damaged: the same outcome for any split. */
static void S9_random_streams_give_the_same_in_random_pieces(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        uint64_t rng = seed, pieces = seed + 1000000;
        struct random_source random = random_seeded(&rng);
        uint8_t stream[4096];
        bool prefix = random_u32(&random) % 2 == 0;
        size_t length = 0;
        if (prefix) {
            memcpy(stream, STREAM_PREFIX, 6);
            length = 6;
        }
        for (uint32_t n = random_u32(&random) % 20; n > 0; n--) {
            size_t payload = random_u32(&random) % 4 == 0 ? random_u32(&random) % 5 : random_u32(&random) % 180;
            frame_header(stream + length, payload);
            random_fill(&random, stream + length + 2, payload);
            length += 2 + payload;
        }
        if (length > 0 && random_u32(&random) % 3 == 0)
            stream[random_u32(&random) % length] ^= (uint8_t)(1 << random_u32(&random) % 8);
        struct outcome whole, split;
        feed(prefix, stream, length, all_at_once, NULL, &whole);
        feed(prefix, stream, length, at_random, &pieces, &split);
        assert_same(&whole, &split);
    }
}

static void S2_S11_nothing_passes_before_all_six_octets_of_the_prefix(void **state) {
    (void)state;
    for (size_t length = 0; length < 6; length++) {
        struct framer framer = framer_start(true);
        size_t consumed = 0;
        struct span payload;
        assert_int_equal(framer_next(&framer, sample, length, &consumed, &payload), FRAMER_MORE);
        assert_int_equal(consumed, 0);
    }
    for (size_t wrong = 0; wrong < 6; wrong++) {
        uint8_t octets[SAMPLE_LENGTH];
        memcpy(octets, sample, sizeof octets);
        octets[wrong] ^= 0x20;
        struct outcome out;
        feed(true, octets, sizeof octets, all_at_once, NULL, &out);
        assert_true(out.corrupt);
        assert_int_equal(out.payloads, 0);
    }
    struct outcome out; /* a good message alone is no prefix */
    feed(true, sample + 6, SAMPLE_LENGTH - 6, all_at_once, NULL, &out);
    assert_true(out.corrupt);
    assert_int_equal(out.payloads, 0);
}

static void S1_the_prefix_comes_once(void **state) {
    (void)state;
    uint8_t twice[12 + 16] = "IKETCPIKETCP";
    struct outcome out; /* the second is the beginning of a message of 0x494b octets */
    feed(true, twice, sizeof twice, all_at_once, NULL, &out);
    assert_int_equal(out.payloads, 0);
    assert_false(out.corrupt);
    feed(false, twice, sizeof twice, all_at_once, NULL, &out); /* the Originator expects none */
    assert_int_equal(out.payloads, 0);
    assert_int_equal(out.left, sizeof twice);
}

static void S5_L15_lengths_zero_and_one_are_corrupt_for_good(void **state) {
    (void)state;
    for (uint8_t bad = 0; bad < 2; bad++) {
        uint8_t octets[] = {0, 4, 'a', 'b', 0, bad, 0, 4, 'c', 'd'};
        struct framer framer = framer_start(false);
        size_t consumed = 0;
        struct span payload;
        assert_int_equal(framer_next(&framer, octets, sizeof octets, &consumed, &payload), FRAMER_MESSAGE);
        assert_int_equal(consumed, 4);
        for (int again = 0; again < 3; again++) { /* also when a good one is shown to it (L15) */
            const uint8_t *at = again == 2 ? octets + 6 : octets + 4;
            assert_int_equal(framer_next(&framer, at, 4, &consumed, &payload), FRAMER_CORRUPT);
            assert_int_equal(consumed, 4);
        }
    }
}

static void S5_length_two_is_an_empty_message(void **state) {
    (void)state;
    struct framer framer = framer_start(false);
    size_t consumed = 0;
    struct span payload = span_of(sample, 99), message;
    assert_int_equal(framer_next(&framer, (const uint8_t *)"\0\2", 2, &consumed, &payload), FRAMER_MESSAGE);
    assert_int_equal(payload.length, 0);
    assert_int_equal(payload_classify(payload, &message), PAYLOAD_IS_EMPTY);
}

static void S7_every_length_that_16_bits_carry_is_accepted(void **state) {
    (void)state;
    uint8_t *octets = calloc(1, FRAME_MAX);
    for (size_t length = 0; length <= FRAME_PAYLOAD_MAX; length++) {
        struct framer framer = framer_start(false);
        size_t consumed = 0;
        struct span payload;
        frame_header(octets, length);
        assert_int_equal(framer_next(&framer, octets, length + 1, &consumed, &payload), FRAMER_MORE);
        assert_int_equal(framer_next(&framer, octets, length + 2, &consumed, &payload), FRAMER_MESSAGE);
        assert_int_equal(payload.length, length);
        assert_int_equal(consumed, length + 2);
    }
    free(octets);
}

static void S8_a_message_cut_off_by_the_end_never_comes_out(void **state) {
    (void)state;
    static const size_t ends[] = {40, 62, 64, 67, 72, 82}; /* where messages end */
    for (size_t length = 0; length <= SAMPLE_LENGTH; length++) {
        struct outcome out;
        size_t expected = 0;
        while (expected < 6 && ends[expected] <= length)
            expected++;
        feed(true, sample, length, all_at_once, NULL, &out);
        assert_int_equal(out.payloads, expected);
        assert_false(out.corrupt);
    }
}

static enum payload_kind kind_of(const char *octets, size_t length, struct span *message) {
    return payload_classify(span_of(octets, length), message);
}

static void S4_four_zero_octets_mean_IKE_and_anything_else_ESP(void **state) {
    (void)state;
    struct span message;
    assert_int_equal(kind_of("\0\0\0\0IKE", 7, &message), PAYLOAD_IS_IKE);
    assert_int_equal(message.length, 3);
    assert_memory_equal(message.at, "IKE", 3);
    assert_int_equal(kind_of("\0\0\0\0", 4, &message), PAYLOAD_IS_IKE);
    assert_int_equal(message.length, 0);
    for (size_t i = 0; i < 4; i++) {
        char esp[8] = {0};
        esp[i] = 1;
        assert_int_equal(kind_of(esp, 8, &message), PAYLOAD_IS_ESP);
        assert_int_equal(message.length, 8); /* SPI included */
    }
}

static void S6_one_octet_of_ones_is_a_keepalive(void **state) {
    (void)state;
    struct span message;
    assert_int_equal(kind_of("\xff", 1, &message), PAYLOAD_IS_KEEPALIVE);
    assert_int_equal(kind_of("\xff\xff\xff\xff", 4, &message), PAYLOAD_IS_ESP);
}

static void S12_one_to_three_octets_that_are_no_keepalive_are_runts(void **state) {
    (void)state;
    struct span message;
    assert_int_equal(kind_of("\xfe", 1, &message), PAYLOAD_IS_RUNT);
    assert_int_equal(kind_of("\0", 1, &message), PAYLOAD_IS_RUNT);
    assert_int_equal(kind_of("\xff\xff", 2, &message), PAYLOAD_IS_RUNT);
    assert_int_equal(kind_of("\0\0\0", 3, &message), PAYLOAD_IS_RUNT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(S1_S3_S4_a_stream_is_prefix_and_messages_whose_length_counts_itself),
        cmocka_unit_test(S1_the_prefix_comes_once),
        cmocka_unit_test(S2_S11_nothing_passes_before_all_six_octets_of_the_prefix),
        cmocka_unit_test(S4_four_zero_octets_mean_IKE_and_anything_else_ESP),
        cmocka_unit_test(S5_L15_lengths_zero_and_one_are_corrupt_for_good),
        cmocka_unit_test(S5_length_two_is_an_empty_message),
        cmocka_unit_test(S6_one_octet_of_ones_is_a_keepalive),
        cmocka_unit_test(S7_every_length_that_16_bits_carry_is_accepted),
        cmocka_unit_test(S8_a_message_cut_off_by_the_end_never_comes_out),
        cmocka_unit_test(S9_every_split_in_three_gives_the_same_messages),
        cmocka_unit_test(S9_pieces_of_one_octet_and_of_any_size_give_the_same_messages),
        cmocka_unit_test(S9_random_streams_give_the_same_in_random_pieces),
        cmocka_unit_test(S12_one_to_three_octets_that_are_no_keepalive_are_runts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
