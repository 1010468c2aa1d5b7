/* values.c: errors, names of numbers, spans and randomness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* cmocka's */

#include "base/base.h"

static void an_error_is_a_sentence_with_its_place(void **state) {
    (void)state;
    struct error err;
    assert_false(fail(&err, PEER, NOTIFY_INVALID_SYNTAX, "KE data is %d bytes; group %d needs %d", 3, 19, 64));
    assert_int_equal(err.origin, ORIGIN_PEER);
    assert_int_equal(err.notify, NOTIFY_INVALID_SYNTAX);
    assert_string_equal(err.text, "KE data is 3 bytes; group 19 needs 64");
    assert_non_null(strstr(err.where, "values.c:"));
}

static void words_go_in_front_on_the_way_up(void **state) {
    (void)state;
    struct error err;
    (void)fail(&err, HOST, 0, "no route");
    assert_false(fail_context(&err, "conn %s: ", "office"));
    assert_string_equal(err.text, "conn office: no route");
    assert_int_equal(err.origin, ORIGIN_HOST);
    (void)fail(&err, OURS, 0, "again: %s", err.text); /* from its own text */
    assert_string_equal(err.text, "again: conn office: no route");
}

static void a_sentence_is_one_line_whatever_the_peer_sent(void **state) {
    (void)state;
    struct error err;
    (void)fail(&err, PEER, 0, "id %s", "a\nb\r\x1b[31m\x7f");
    assert_string_equal(err.text, "id a?b??[31m?");
}

static void long_sentences_are_cut_and_stay_strings(void **state) {
    (void)state;
    struct error *err = malloc(sizeof *err); /* the sanitizer watches its end */
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    (void)fail(err, PEER, 0, "%s", text);
    assert_int_equal(strlen(err->text), sizeof err->text - 1);
    (void)fail_context(err, "before ");
    assert_int_equal(strlen(err->text), sizeof err->text - 1);
    assert_memory_equal(err->text, "before xxx", 10);
    (void)fail_context(err, "%s", text);
    assert_int_equal(strlen(err->text), sizeof err->text - 1);
    free(err);
}

static void assert_transform(uint8_t type, uint16_t id, uint16_t bits, const char *expected) {
    char out[IANA_NAME_MAX];
    assert_string_equal(transform_text(type, id, bits, out), expected);
}

static void numbers_have_IANAs_names(void **state) {
    (void)state;
    char out[IANA_NAME_MAX];
    assert_transform(TRANSFORM_ENCR, ENCR_AES_GCM_16, 128, "ENCR_AES_GCM_16-128");
    assert_transform(TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, 0, "ENCR_CHACHA20_POLY1305");
    assert_transform(TRANSFORM_ENCR, 3, 0, "ENCR_3");
    assert_transform(TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0, "PRF_HMAC_SHA2_256");
    assert_transform(TRANSFORM_INTEG, AUTH_HMAC_SHA2_512_256, 0, "AUTH_HMAC_SHA2_512_256");
    assert_transform(TRANSFORM_KE, KE_CURVE25519, 0, "KE_CURVE25519");
    assert_transform(TRANSFORM_KE, 2, 0, "KE_2");
    assert_transform(TRANSFORM_ESN, ESN_YES, 0, "ESN_YES");
    assert_transform(6, 35, 0, "TRANSFORM_6_35");
    assert_transform(0, 65535, 65535, "TRANSFORM_0_65535-65535");
    assert_string_equal(notify_text(NOTIFY_NO_PROPOSAL_CHOSEN, out), "NO_PROPOSAL_CHOSEN");
    assert_string_equal(notify_text(NOTIFY_NAT_DETECTION_DESTINATION_IP, out), "NAT_DETECTION_DESTINATION_IP");
    assert_string_equal(notify_text(40000, out), "40000");
    assert_string_equal(exchange_text(IKE_SA_INIT, out), "IKE_SA_INIT");
    assert_string_equal(exchange_text(33, out), "33");
}

static void spans_are_equal_in_length_and_octets(void **state) {
    (void)state;
    const uint8_t a[] = {1, 2, 3}, b[] = {1, 2, 4};
    assert_true(span_equal(span_of(a, 3), span_of(a, 3)) && span_equal_secret(span_of(a, 3), span_of(a, 3)));
    assert_false(span_equal(span_of(a, 3), span_of(b, 3)) || span_equal_secret(span_of(a, 3), span_of(b, 3)));
    assert_false(span_equal(span_of(a, 3), span_of(a, 2)) || span_equal_secret(span_of(a, 3), span_of(a, 2)));
    assert_true(span_equal(span_of(NULL, 0), span_of(a, 0)) && span_equal_secret(span_of(NULL, 0), span_of(a, 0)));
    uint8_t all[2] = {7, 7}; /* a difference in any bit of any octet counts */
    for (int bit = 0; bit < 16; bit++) {
        uint8_t other[2] = {7, 7};
        other[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(span_equal_secret(span_of(all, 2), span_of(other, 2)));
    }
}

static void wiping_leaves_zeros(void **state) {
    (void)state;
    uint8_t secret[4] = {1, 2, 3, 4};
    wipe(secret, 3);
    assert_memory_equal(secret, "\0\0\0\4", 4);
    wipe(NULL, 0);
}

static void a_seed_replays_and_another_does_not(void **state) {
    (void)state;
    uint64_t one = 1, same = 1, other = 2;
    struct random_source a = random_seeded(&one), b = random_seeded(&same), c = random_seeded(&other);
    uint8_t from_a[33], from_b[33], from_c[33];
    random_fill(&a, from_a, sizeof from_a);
    random_fill(&b, from_b, sizeof from_b);
    random_fill(&c, from_c, sizeof from_c);
    assert_memory_equal(from_a, from_b, sizeof from_a);
    assert_memory_not_equal(from_a, from_c, sizeof from_a);
    uint64_t zero = 0; /* SplitMix64's published first value for 0 is e220a8397b1dcdaf */
    struct random_source z = random_seeded(&zero);
    uint8_t first[8];
    random_fill(&z, first, sizeof first);
    assert_memory_equal(first, "\xaf\xcd\x1d\x7b\x39\xa8\x20\xe2", 8);
}

static void the_system_gives_other_octets_every_time(void **state) {
    (void)state;
    struct random_source system = random_system();
    uint8_t a[1000] = {0}, b[1000] = {0};
    random_fill(&system, a, sizeof a);
    random_fill(&system, b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + 980, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20); /* to the end */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_is_a_sentence_with_its_place),
        cmocka_unit_test(words_go_in_front_on_the_way_up),
        cmocka_unit_test(a_sentence_is_one_line_whatever_the_peer_sent),
        cmocka_unit_test(long_sentences_are_cut_and_stay_strings),
        cmocka_unit_test(numbers_have_IANAs_names),
        cmocka_unit_test(spans_are_equal_in_length_and_octets),
        cmocka_unit_test(wiping_leaves_zeros),
        cmocka_unit_test(a_seed_replays_and_another_does_not),
        cmocka_unit_test(the_system_gives_other_octets_every_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
