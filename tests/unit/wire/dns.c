/* dns.c: answers of name servers are told from questions, and get shorter without losing their sense. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RECORD_OCTETS 16u /* a pointer to the name, A, IN, TTL, 4 octets */
#define QUESTION_OCTETS (DNS_HEADER_OCTETS + 14 + 4)

/* gate.example A?, answered by `answers` addresses, an authority record and an additional one. */
static size_t make(uint8_t *out, size_t room, unsigned answers) {
    struct writer w = writer_over(out, room);
    writer_u16(&w, 0x1234);
    writer_u16(&w, 0x8380); /* answer, truncated, recursion desired and available */
    writer_u16(&w, 1);
    writer_u16(&w, (uint16_t)answers);
    writer_u16(&w, 1);
    writer_u16(&w, 1);
    writer_octets(&w, "\4gate\7example", 14);
    writer_u16(&w, 1);
    writer_u16(&w, 1);
    for (unsigned i = 0; i < answers + 2; i++) {
        writer_u16(&w, 0xc00c);
        writer_u16(&w, 1);
        writer_u16(&w, 1);
        writer_u32(&w, 60);
        writer_u16(&w, 4);
        writer_u32(&w, 0xc6336400 + i);
    }
    assert_true(writer_ok(&w));
    return w.length;
}

static unsigned number_at(const uint8_t *message, size_t at) {
    return (unsigned)message[at] << 8 | message[at + 1];
}

static void questions_are_no_answers(void **state) {
    (void)state;
    uint8_t message[512];
    uint16_t id = 0;
    bool truncated = false;
    size_t length = make(message, sizeof message, 2);
    assert_true(dns_is_answer(span_of(message, length), &id, &truncated));
    assert_true(truncated && id == 0x1234);
    assert_false(dns_is_question(span_of(message, length), &id));
    message[2] &= 0x7d;
    assert_true(dns_is_question(span_of(message, length), &id));
    assert_false(dns_is_answer(span_of(message, length), &id, &truncated));
    assert_false(dns_is_question(span_of(message, DNS_HEADER_OCTETS - 1), &id));
    dns_refuse(message);
    assert_true(dns_is_answer(span_of(message, length), &id, &truncated));
    assert_false(truncated);
    assert_int_equal(message[3] & 0xf, 5);
}

static void as_many_whole_records_stay_as_fit(void **state) {
    (void)state;
    static uint8_t message[8192];
    for (unsigned most = 0; most < 2000; most++) {
        size_t length = make(message, sizeof message, 200), left = dns_shorten(message, length, most);
        if (most < QUESTION_OCTETS) {
            assert_int_equal(left, 0);
            continue;
        }
        unsigned records = (most - QUESTION_OCTETS) / RECORD_OCTETS;
        assert_int_equal(left, QUESTION_OCTETS + records * RECORD_OCTETS);
        assert_int_equal(number_at(message, 6), records);
        assert_int_equal(number_at(message, 8), 0);
        assert_int_equal(number_at(message, 10), 0);
        assert_int_equal(number_at(message, 2), 0x8180); /* it is whole now */
    }
}

static void an_answer_that_ends_too_early_keeps_what_is_whole(void **state) {
    (void)state;
    uint8_t whole[512];
    size_t length = make(whole, sizeof whole, 3);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *message = malloc(cut + 1); /* so that a read behind it is found */
        memcpy(message + 1, whole, cut);
        size_t left = dns_shorten(message + 1, cut, 1400);
        assert_true(left <= cut);
        if (cut < QUESTION_OCTETS)
            assert_int_equal(left, 0);
        else
            assert_int_equal(left, QUESTION_OCTETS + RECORD_OCTETS * number_at(message + 1, 6));
        free(message);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_no_answers),
        cmocka_unit_test(as_many_whole_records_stay_as_fit),
        cmocka_unit_test(an_answer_that_ends_too_early_keeps_what_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
