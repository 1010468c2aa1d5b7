/* cursors.c: the reader never passes the end, the writer never its memory. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void numbers_come_in_network_order(void **state) {
    (void)state;
    const uint8_t octets[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    struct reader r = reader_over(octets, sizeof octets);
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    assert_true(reader_u8(&r, &u8) && reader_u16(&r, &u16) && reader_u32(&r, &u32) && reader_u64(&r, &u64));
    assert_int_equal(u8, 1);
    assert_int_equal(u16, 0x0203);
    assert_int_equal(u32, 0x04050607);
    assert_true(u64 == UINT64_C(0x08090a0b0c0d0e0f));
    assert_true(reader_end(&r));
}

static void a_read_past_the_end_fails_and_moves_nothing(void **state) {
    (void)state;
    for (size_t length = 0; length <= 8; length++) {
        uint8_t *octets = malloc(length + 1), out[16];
        struct reader r = reader_over(octets + 1, length), child;
        uint8_t u8;
        uint16_t u16;
        uint32_t u32;
        uint64_t u64;
        struct span span;
        assert_false(length < 1 && reader_u8(&r, &u8));
        assert_false(length < 2 && reader_u16(&r, &u16));
        assert_false(length < 4 && reader_u32(&r, &u32));
        assert_false(length < 8 && reader_u64(&r, &u64));
        assert_false(reader_span(&r, length + 1, &span));
        assert_false(reader_copy(&r, length + 1, out));
        assert_false(reader_skip(&r, SIZE_MAX));
        assert_false(reader_sub(&r, length + 1, &child));
        assert_int_equal(r.left, length);
        assert_ptr_equal(r.at, octets + 1);
        assert_true(reader_skip(&r, length));
        assert_true(reader_end(&r));
        free(octets);
    }
}

static void nothing_can_be_read_from_nothing(void **state) {
    (void)state;
    struct reader r = reader_over(NULL, 0);
    struct span span;
    uint8_t u8;
    assert_true(reader_end(&r));
    assert_true(reader_span(&r, 0, &span));
    assert_true(reader_copy(&r, 0, &u8));
    assert_false(reader_u8(&r, &u8));
}

static void a_child_cannot_outrun_its_parent(void **state) {
    (void)state;
    const uint8_t octets[] = {1, 2, 3, 4};
    struct reader r = reader_over(octets, sizeof octets), child;
    uint8_t u8;
    assert_true(reader_sub(&r, 2, &child));
    assert_true(reader_u8(&child, &u8) && reader_u8(&child, &u8));
    assert_false(reader_u8(&child, &u8));
    assert_true(reader_u8(&r, &u8));
    assert_int_equal(u8, 3);
    assert_false(reader_end(&r));
    assert_int_equal(reader_rest(&r).length, 1);
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    uint8_t memory[32], copy[3];
    struct writer w = writer_over(memory, sizeof memory);
    writer_u8(&w, 0xab);
    writer_u16(&w, 0xcdef);
    writer_u32(&w, 0x01234567);
    writer_u64(&w, UINT64_C(0x89abcdef01234567));
    writer_octets(&w, "xyz", 3);
    writer_zero(&w, 2);
    writer_span(&w, span_of(NULL, 0));
    assert_true(writer_ok(&w));
    assert_int_equal(w.length, 20);
    struct reader r = reader_over(memory, w.length);
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    assert_true(reader_u8(&r, &u8) && reader_u16(&r, &u16) && reader_u32(&r, &u32) && reader_u64(&r, &u64) &&
                reader_copy(&r, 3, copy) && reader_u16(&r, &u16));
    assert_int_equal(u32, 0x01234567);
    assert_true(u64 == UINT64_C(0x89abcdef01234567));
    assert_memory_equal(copy, "xyz", 3);
    assert_int_equal(u16, 0);
}

static void overflow_is_remembered_and_writes_nothing(void **state) {
    (void)state;
    for (size_t capacity = 0; capacity < 16; capacity++) {
        uint8_t *memory = malloc(capacity + 1); /* exactly, for the sanitizer */
        memory[capacity] = 0x5a;
        struct writer w = writer_over(memory, capacity);
        writer_u64(&w, 1);
        struct mark mark = writer_open_u16(&w, 0);
        writer_u32(&w, 2);
        writer_octets(&w, "ab", 2);
        writer_close(&w, mark);
        assert_int_equal(writer_ok(&w), capacity >= 16);
        size_t length = w.length;
        writer_zero(&w, 0);
        writer_u8(&w, 1); /* would fit */
        assert_true(writer_ok(&w) || w.length == length);
        assert_null(writer_reserve(&w, 1));
        assert_int_equal(memory[capacity], 0x5a);
        free(memory);
    }
}

static void a_length_is_filled_when_its_content_is_done(void **state) {
    (void)state;
    uint8_t memory[32];
    struct writer w = writer_over(memory, sizeof memory);
    writer_u16(&w, 0);
    struct mark outer = writer_open_u16(&w, 2);
    struct mark inner = writer_open_u16(&w, 0);
    writer_zero(&w, 5);
    writer_close(&w, inner);
    writer_close(&w, outer);
    assert_int_equal(memory[3], 2 + 2 + 2 + 5); /* counts two octets before itself */
    assert_int_equal(memory[5], 2 + 5); /* counts itself */
}

static void a_length_beyond_16_bits_is_an_overflow(void **state) {
    (void)state;
    uint8_t *memory = malloc(70000);
    for (size_t content = 65533; content <= 65534; content++) {
        struct writer w = writer_over(memory, 70000);
        struct mark mark = writer_open_u16(&w, 0);
        writer_zero(&w, content);
        writer_close(&w, mark);
        assert_int_equal(writer_ok(&w), content == 65533);
    }
    struct writer w = writer_over(memory, 70000);
    writer_open_u16(&w, 1); /* nothing stands there to count */
    assert_false(writer_ok(&w));
    free(memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_come_in_network_order),
        cmocka_unit_test(a_read_past_the_end_fails_and_moves_nothing),
        cmocka_unit_test(nothing_can_be_read_from_nothing),
        cmocka_unit_test(a_child_cannot_outrun_its_parent),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(overflow_is_remembered_and_writes_nothing),
        cmocka_unit_test(a_length_is_filled_when_its_content_is_done),
        cmocka_unit_test(a_length_beyond_16_bits_is_an_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
