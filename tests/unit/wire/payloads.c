/* payloads.c: what single payloads must not say, and what their values mean. RFC 7296 sections 3.3 to 3.13. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OCTETS(...) \
    (const uint8_t[]) { \
        __VA_ARGS__ \
    }
#define BODY(...) span_of(OCTETS(__VA_ARGS__), sizeof OCTETS(__VA_ARGS__))

static struct proposal_list proposals; /* large */
static struct error err;

static void a_transform_with_an_unknown_attribute_is_marked(void **state) {
    (void)state;
    /* One ESP proposal, one ENCR transform: key length 128 and an attribute of type 99. */
    assert_true(
        sa_read(BODY(0, 0, 0, 28, 1, 3, 4, 1, 1, 2, 3, 4, 0, 0, 0, 16, 1, 0, 0, 12, 0x80, 14, 0, 128, 0x80, 99, 0, 0),
            &proposals, &err));
    assert_int_equal(proposals.proposal[0].transform[0].key_bits, 128);
    assert_true(proposals.proposal[0].transform[0].unknown);
    /* The same with one whose value comes behind its length. */
    assert_true(sa_read(
        BODY(0, 0, 0, 26, 1, 3, 4, 1, 1, 2, 3, 4, 0, 0, 0, 14, 1, 0, 0, 12, 0, 14, 0, 2, 0, 128), &proposals, &err));
    assert_true(proposals.proposal[0].transform[0].unknown);
}

static void malformed_proposals_are_refused(void **state) {
    (void)state;
    const struct {
        struct span body;
        const char *why;
    } bad[] = {
        {BODY(0), "cut off"},
        {BODY(1, 0, 0, 8, 1, 1, 0, 0), "marked 1"},
        {BODY(0, 0, 0, 7, 1, 1, 0, 0), "says 7 octets"},
        {BODY(0, 0, 0, 9, 1, 1, 0, 0), "says 9 octets"},
        {BODY(2, 0, 0, 8, 1, 1, 0, 0), "cut off"}, /* says that another follows */
        {BODY(0, 0, 0, 8, 1, 1, 0, 0, 0), "left over"},
        {BODY(0, 0, 0, 9, 1, 1, 0, 0, 7), "left over in proposal"},
        {BODY(0, 0, 0, 8, 1, 3, 0, 0), "SPI of 0 octets"}, /* ESP without one */
        {BODY(0, 0, 0, 12, 1, 1, 4, 0, 0, 0, 0, 1), "SPI of 4 octets"}, /* IKE with a short one */
        {BODY(0, 0, 0, 10, 1, 3, 4, 0, 0, 0), "cut off"},
        {BODY(0, 0, 0, 8, 1, 1, 0, 1), "cut off"},
        {BODY(0, 0, 0, 16, 1, 1, 0, 1, 3, 0, 0, 8, 2, 0, 0, 5), "cut off"}, /* says that another follows */
        {BODY(0, 0, 0, 16, 1, 1, 0, 2, 0, 0, 0, 8, 2, 0, 0, 5), "announces 2 transforms and has 1"},
        {BODY(0, 0, 0, 16, 1, 1, 0, 1, 1, 0, 0, 8, 2, 0, 0, 5), "marked 1"},
        {BODY(0, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 7, 2, 0, 0, 5), "says 7 octets"},
        {BODY(0, 0, 0, 18, 1, 1, 0, 1, 0, 0, 0, 10, 2, 0, 0, 5, 0, 1), "attribute is cut off"},
        {BODY(0, 0, 0, 20, 1, 1, 0, 1, 0, 0, 0, 12, 2, 0, 0, 5, 0, 1, 0, 1), "attribute says 1 octets"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (sa_read(bad[i].body, &proposals, &err) || strstr(err.text, bad[i].why) == NULL)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(err.notify, NOTIFY_INVALID_SYNTAX);
    }
}

static void lists_beyond_their_bounds_are_errors(void **state) {
    (void)state;
    size_t size = 8 + 8 * (TRANSFORMS_MAX + 1), n = TRANSFORMS_MAX + 1;
    uint8_t *body = calloc(1, size);
    struct writer w = writer_over(body, size);
    writer_u16(&w, 0);
    writer_u16(&w, (uint16_t)size);
    writer_u32(&w, 0x01010000 | (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        writer_u32(&w, (i + 1 < n ? 0x03000000u : 0) | 8);
        writer_u32(&w, 0x02000005);
    }
    assert_true(writer_ok(&w));
    assert_false(sa_read(span_of(body, size), &proposals, &err));
    assert_non_null(strstr(err.text, "more than 96 transforms"));
    free(body);
    uint8_t many[8 * (PROPOSALS_MAX + 1)] = {0};
    for (size_t i = 0; i <= PROPOSALS_MAX; i++)
        memcpy(many + 8 * i, OCTETS(i < PROPOSALS_MAX ? 2 : 0, 0, 0, 8, 1, 1, 0, 0), 8);
    assert_false(sa_read(span_of(many, sizeof many), &proposals, &err));
    assert_true(sa_read(span_of(many + 8, sizeof many - 8), &proposals, &err));
    assert_int_equal(proposals.count, PROPOSALS_MAX);
}

static void identities_are_checked_for_their_lengths(void **state) {
    (void)state;
    struct identity id;
    assert_true(identity_read(BODY(1, 0, 0, 0, 192, 0, 2, 1), &id, &err));
    assert_false(identity_read(BODY(1, 0, 0, 0, 192, 0, 2), &id, &err));
    assert_false(identity_read(BODY(5, 0, 0, 0, 192, 0, 2, 1), &id, &err));
    assert_false(identity_read(BODY(2, 0, 0, 0), &id, &err));
    assert_false(identity_read(BODY(2, 0, 0), &id, &err));
    assert_false(identity_read(BODY(0, 0, 0, 0, 'a'), &id, &err));
    assert_int_equal(err.notify, NOTIFY_INVALID_SYNTAX);
    /* RFC 7619: well-formed with nothing in it, and with what is to be ignored; only not for us */
    assert_false(identity_read(BODY(13, 0, 0, 0), &id, &err));
    assert_int_equal(err.notify, NOTIFY_AUTHENTICATION_FAILED);
    assert_false(identity_read(BODY(13, 0, 0, 0, 'a'), &id, &err));
    assert_int_equal(err.notify, NOTIFY_AUTHENTICATION_FAILED);
    uint8_t body[4 + IDENTITY_MAX + 1] = {ID_KEY_ID};
    assert_true(identity_read(span_of(body, 4 + IDENTITY_MAX), &id, &err));
    assert_int_equal(id.length, IDENTITY_MAX);
    assert_false(identity_read(span_of(body, sizeof body), &id, &err));
}

static void identities_are_equal_in_type_and_octets(void **state) {
    (void)state;
    struct identity a = {.type = ID_FQDN, .data = "east", .length = 4}, b = a;
    assert_true(identity_equal(&a, &b));
    b.type = ID_KEY_ID;
    assert_false(identity_equal(&a, &b));
    b = a;
    b.length = 3;
    assert_false(identity_equal(&a, &b));
    b = a;
    b.data[3] = 'u';
    assert_false(identity_equal(&a, &b));
}

static void assert_text(uint8_t type, const char *data, size_t length, const char *expected) {
    struct identity id = {.type = type, .length = length};
    char out[IDENTITY_TEXT_MAX];
    memcpy(id.data, data, length);
    assert_string_equal(identity_text(&id, out), expected);
}

static void identities_are_shown_as_ipsec_conf_writes_them(void **state) {
    (void)state;
    assert_text(ID_NONE, "", 0, "%any");
    assert_text(ID_IPV4_ADDR, "\xc0\0\2\1", 4, "192.0.2.1");
    assert_text(ID_IPV6_ADDR, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, "2001:db8::1");
    assert_text(ID_FQDN, "east.example", 12, "@east.example");
    assert_text(ID_RFC822_ADDR, "user@example", 12, "user@example");
    assert_text(ID_KEY_ID, "key", 3, "@#6b6579");
    assert_text(ID_DER_ASN1_DN, "\x30\0", 2, "@~3000");
    assert_text(10, "\1\2", 2, "type 10: 0102");
    assert_text(ID_FQDN, "a\nb\x1b[c\xff", 7, "@a?b?[c?"); /* nothing that a terminal obeys */
}

static void the_longest_identity_fits_its_text(void **state) {
    (void)state;
    struct identity id = {.length = IDENTITY_MAX};
    char *out = malloc(IDENTITY_TEXT_MAX); /* the sanitizer watches its end */
    memset(id.data, 'a', sizeof id.data);
    static const uint8_t types[] = {ID_FQDN, ID_RFC822_ADDR, ID_KEY_ID, ID_DER_ASN1_DN, 255};
    for (size_t i = 0; i < sizeof types; i++) {
        id.type = types[i];
        size_t length = strlen(identity_text(&id, out));
        assert_true(length >= IDENTITY_MAX && length < IDENTITY_TEXT_MAX);
        if (types[i] == ID_KEY_ID)
            assert_string_equal(out + length - 3, "..."); /* cut, and says so */
    }
    free(out);
}

static void key_exchanges_and_nonces_have_lengths(void **state) {
    (void)state;
    uint16_t group;
    struct span span;
    uint8_t nonce[NONCE_MAX + 1] = {0}, method;
    assert_true(ke_read(BODY(0, 31, 0, 0, 1, 2), &group, &span, &err));
    assert_int_equal(group, 31);
    assert_int_equal(span.length, 2);
    assert_false(ke_read(BODY(0, 31, 0, 0), &group, &span, &err));
    assert_false(ke_read(BODY(0, 31, 0), &group, &span, &err));
    assert_false(nonce_read(span_of(nonce, 15), &span, &err));
    assert_true(nonce_read(span_of(nonce, 16), &span, &err));
    assert_true(nonce_read(span_of(nonce, 256), &span, &err));
    assert_false(nonce_read(span_of(nonce, 257), &span, &err));
    assert_string_equal(err.text, "a nonce of 257 octets; 16 to 256 are allowed");
    assert_true(auth_read(BODY(2, 0, 0, 0, 9), &method, &span, &err));
    assert_true(method == AUTH_METHOD_PSK && span.length == 1);
    assert_false(auth_read(BODY(2, 0, 0), &method, &span, &err));
}

static void notifications_are_found_past_malformed_ones(void **state) {
    (void)state;
    struct notify notify;
    assert_false(notify_read(BODY(0, 0, 64), &notify, &err));
    assert_false(notify_read(BODY(0, 4, 64, 0, 1, 2, 3), &notify, &err));
    assert_false(notify_read(BODY(0, 5, 64, 0, 1, 2, 3, 4, 5), &notify, &err));
    struct payload_list list = {.count = 3};
    list.payload[0] = (struct payload){.type = PAYLOAD_NOTIFY, .body = BODY(0, 4, 0x40, 0x06)};
    list.payload[1] = (struct payload){.type = PAYLOAD_VENDOR, .body = BODY(0, 0, 0x40, 0x06)};
    list.payload[2] = (struct payload){.type = PAYLOAD_NOTIFY, .body = BODY(0, 0, 0x40, 0x06, 'c')};
    assert_true(notify_find(&list, NOTIFY_COOKIE, &notify));
    assert_int_equal(notify.data.length, 1);
    list.count = 2;
    assert_false(notify_find(&list, NOTIFY_COOKIE, &notify));
}

static void deletes_say_how_many_and_have_them(void **state) {
    (void)state;
    struct delete_payload deleted;
    assert_true(delete_read(BODY(1, 0, 0, 0), &deleted, &err));
    assert_int_equal(deleted.count, 0);
    assert_false(delete_read(BODY(1, 4, 0, 0), &deleted, &err));
    assert_false(delete_read(BODY(3, 0, 0, 0), &deleted, &err));
    assert_false(delete_read(BODY(3, 4, 0, 2, 0, 0, 0, 1), &deleted, &err));
    assert_false(delete_read(BODY(3, 4, 0, 1, 0, 0, 0, 1, 0), &deleted, &err));
    assert_false(delete_read(BODY(3, 4, 0), &deleted, &err));
    uint8_t many[4 + 4 * 65] = {3, 4, 0, 65};
    assert_false(delete_read(span_of(many, sizeof many), &deleted, &err));
    many[3] = 64;
    assert_true(delete_read(span_of(many, sizeof many - 4), &deleted, &err));
    assert_int_equal(deleted.count, 64);
    uint8_t octets[8];
    struct writer w = writer_over(octets, sizeof octets);
    delete_write(&w, &(struct delete_payload){.protocol = PROTOCOL_IKE, .count = 1});
    assert_true(span_equal(span_of(octets, w.length), BODY(1, 0, 0, 0)));
}

static void selectors_that_contradict_themselves_are_refused(void **state) {
    (void)state;
    struct selector_list list;
    assert_false(selectors_read(BODY(0, 0, 0), &list, &err));
    assert_false(selectors_read(BODY(1, 0, 0, 0), &list, &err));
    assert_false(selectors_read(BODY(0, 0, 0, 0, 1), &list, &err));
    assert_false(selectors_read(BODY(1, 0, 0, 0, 7, 0, 0, 3), &list, &err));
    assert_false(
        selectors_read(BODY(1, 0, 0, 0, 7, 0, 0, 17, 0, 0, 255, 255, 10, 0, 0, 0, 10, 0, 0, 9, 0), &list, &err));
    assert_false(selectors_read(BODY(1, 0, 0, 0, 8, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 0, 10, 0, 0, 9), &list, &err));
    assert_false(selectors_read(BODY(1, 0, 0, 0, 7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 9, 10, 0, 0, 0), &list, &err));
    assert_non_null(strstr(err.text, "ends before it begins"));
    assert_false(selectors_read(BODY(1, 0, 0, 0, 7, 6, 0, 16, 0, 9, 0, 8, 10, 0, 0, 0, 10, 0, 0, 9), &list, &err));
    assert_true(selectors_read(BODY(1, 0, 0, 0, 7, 6, 0, 16, 255, 255, 0, 0, 10, 0, 0, 0, 10, 0, 0, 9), &list, &err));
    assert_int_equal(list.count, 1);
}

static void selectors_of_unknown_types_are_passed_over(void **state) {
    (void)state;
    struct selector_list list;
    assert_true(selectors_read(
        BODY(2, 0, 0, 0, 9, 0, 0, 6, 1, 2, 7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 0, 10, 0, 0, 9), &list, &err));
    assert_int_equal(list.count, 1);
    assert_true(selectors_read(BODY(1, 0, 0, 0, 9, 0, 0, 4), &list, &err));
    assert_int_equal(list.count, 0);
    uint8_t many[4 + 16 * (SELECTORS_MAX + 1)] = {SELECTORS_MAX + 1};
    for (size_t i = 0; i <= SELECTORS_MAX; i++)
        memcpy(many + 4 + 16 * i, OCTETS(7, 0, 0, 16, 0, 0, 255, 255, 10, 0, 0, 0, 10, 0, 0, 9), 16);
    assert_false(selectors_read(span_of(many, sizeof many), &list, &err));
}

static struct selector selector_of(const char *prefix_of, uint8_t protocol, uint16_t first, uint16_t last) {
    struct prefix prefix;
    assert_true(prefix_parse(prefix_of, &prefix, &err));
    struct selector selector = selector_of_prefix(&prefix);
    selector.protocol = protocol;
    selector.port_first = first;
    selector.port_last = last;
    return selector;
}

static void an_intersection_is_what_both_contain(void **state) {
    (void)state;
    struct selector wide = selector_of("10.0.0.0/8", 0, 0, 65535), narrow = selector_of("10.1.2.0/24", 6, 80, 90), out;
    assert_true(selector_intersect(&wide, &narrow, &out));
    assert_true(selector_equal(&out, &narrow));
    assert_true(selector_intersect(&narrow, &wide, &out));
    assert_true(selector_equal(&out, &narrow));
    struct selector ports = selector_of("10.1.0.0/16", 6, 85, 100);
    assert_true(selector_intersect(&narrow, &ports, &out));
    assert_true(out.port_first == 85 && out.port_last == 90);
    struct selector other[] = {selector_of("10.1.3.0/24", 6, 80, 90), selector_of("10.1.2.0/24", 17, 80, 90),
        selector_of("10.1.2.0/24", 6, 91, 99), selector_of("2001:db8::/32", 6, 80, 90)};
    for (size_t i = 0; i < 4; i++)
        assert_false(selector_intersect(&narrow, &other[i], &out));
    struct selector left = selector_of("10.0.0.0/24", 0, 0, 65535), right = left;
    left.last.octets[3] = 100; /* ranges that overlap without one containing the other */
    right.first.octets[3] = 50;
    assert_true(selector_intersect(&left, &right, &out));
    assert_true(out.first.octets[3] == 50 && out.last.octets[3] == 100);
}

static void opaque_ports_meet_any_and_opaque_only(void **state) {
    (void)state;
    struct selector opaque = selector_of("10.0.0.0/8", 6, 65535, 0), any = selector_of("10.0.0.0/8", 0, 0, 65535),
                    some = selector_of("10.0.0.0/8", 6, 0, 80), out;
    assert_true(selector_intersect(&opaque, &any, &out));
    assert_true(out.port_first == 65535 && out.port_last == 0);
    assert_true(selector_intersect(&opaque, &opaque, &out));
    assert_false(selector_intersect(&opaque, &some, &out));
    assert_false(selector_intersect(&some, &opaque, &out));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transform_with_an_unknown_attribute_is_marked),
        cmocka_unit_test(malformed_proposals_are_refused),
        cmocka_unit_test(lists_beyond_their_bounds_are_errors),
        cmocka_unit_test(identities_are_checked_for_their_lengths),
        cmocka_unit_test(identities_are_equal_in_type_and_octets),
        cmocka_unit_test(identities_are_shown_as_ipsec_conf_writes_them),
        cmocka_unit_test(the_longest_identity_fits_its_text),
        cmocka_unit_test(key_exchanges_and_nonces_have_lengths),
        cmocka_unit_test(notifications_are_found_past_malformed_ones),
        cmocka_unit_test(deletes_say_how_many_and_have_them),
        cmocka_unit_test(selectors_that_contradict_themselves_are_refused),
        cmocka_unit_test(selectors_of_unknown_types_are_passed_over),
        cmocka_unit_test(an_intersection_is_what_both_contain),
        cmocka_unit_test(opaque_ports_meet_any_and_opaque_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
