/* address.c: addresses, prefixes and ranges, from text and to text. RFC 4291, RFC 5952. */
#include "base/base.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct error err;

static struct address address(const char *text) {
    struct address out;
    if (!address_parse(text, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static struct prefix prefix(const char *text) {
    struct prefix out;
    if (!prefix_parse(text, &out, &err))
        fail_msg("%s", err.text);
    return out;
}

static void addresses_are_shown_as_RFC_5952_says(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"192.0.2.1", "192.0.2.1"}, {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"}, {"::", "::"}, {"::1", "::1"}, {"1::", "1::"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"}, {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"}, {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1"}, {"::ffff:c000:201", "::ffff:192.0.2.1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"}, {"fe80::1%3", "fe80::1%3"}, {"0:0:0:0:0:0:0:0", "::"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"}, {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct address a = address(pairs[i][0]), again;
        char out[ADDRESS_TEXT_MAX];
        assert_string_equal(address_text(&a, out), pairs[i][1]);
        again = address(out);
        assert_true(address_equal(&a, &again));
    }
}

static void what_is_no_address_is_refused_with_the_words(void **state) {
    (void)state;
    static const char *const wrong[] = {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4",
        "1.2.3.-4", "1..2.3", "1.2.3.4:80", "a.b.c.d", ":", ":::", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::", "1::2::3", "12345::", "::g", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "::1%", "::1%eth0",
        "::1%4294967296", "1.2.3.4%1", "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "[::1]", "east"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct address out;
        if (address_parse(wrong[i], &out, &err))
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(err.origin, ORIGIN_CONFIG);
        assert_non_null(strstr(err.text, wrong[i]));
        assert_int_equal(out.family, 0);
    }
}

/* The C library is the judge, on random addresses and random damage. */
static void the_C_library_agrees_about_random_addresses(void **state) {
    (void)state;
    uint64_t seed = 5;
    struct random_source random = random_seeded(&seed);
    for (int i = 0; i < 40000; i++) {
        struct address a = {.family = i % 2 == 0 ? 4 : 6}, b;
        int family = a.family == 4 ? AF_INET : AF_INET6;
        random_fill(&random, a.octets, address_octets(&a));
        for (size_t zeros = random_u32(&random) % 12; a.family == 6 && zeros > 0; zeros--)
            a.octets[random_u32(&random) % 16] = 0;
        char theirs[64], ours[ADDRESS_TEXT_MAX];
        uint8_t octets[16] = {0};
        inet_ntop(family, a.octets, theirs, sizeof theirs);
        b = address(theirs);
        assert_true(address_equal(&a, &b));
        assert_int_equal(inet_pton(family, address_text(&a, ours), octets), 1);
        assert_memory_equal(octets, a.octets, 16);
        theirs[random_u32(&random) % strlen(theirs)] = "0f:.g"[random_u32(&random) % 5];
        bool v4 = inet_pton(AF_INET, theirs, octets) == 1, v6 = inet_pton(AF_INET6, theirs, octets) == 1;
        if (address_parse(theirs, &b, &err) != (v4 || v6))
            fail_msg("%s: ours and the C library's opinions differ", theirs);
        if (v4 || v6)
            assert_memory_equal(octets, b.octets, v4 ? 4 : 16);
    }
}

static void ports_and_brackets(void **state) {
    (void)state;
    char out[ADDRESS_TEXT_MAX];
    struct address a = address("10.0.0.1");
    a.port = 4500;
    assert_string_equal(address_port_text(&a, out), "10.0.0.1:4500");
    a = address("fe80::1%12");
    a.port = 65535;
    assert_string_equal(address_port_text(&a, out), "[fe80::1%12]:65535");
    a = address("1111:2222:3333:4444:5555:6666:7777:8888%4294967295");
    a.port = 65535;
    assert_string_equal(address_port_text(&a, out), "[1111:2222:3333:4444:5555:6666:7777:8888%4294967295]:65535");
    assert_string_equal(address_text(&(struct address){0}, out), "unspecified");
}

static void equality_looks_at_port_and_scope(void **state) {
    (void)state;
    struct address a = address("fe80::1%2"), b = a;
    b.port = 1;
    assert_false(address_equal(&a, &b));
    assert_true(address_same_host(&a, &b));
    b = a;
    b.scope = 3;
    assert_false(address_same_host(&a, &b));
    struct address v4 = address("0.0.0.0"), v6 = address("::");
    assert_false(address_same_host(&v4, &v6));
    assert_true(address_is_any(&v4) && address_is_any(&v6) && address_is_any(&(struct address){0}));
    v6.octets[15] = 1;
    assert_false(address_is_any(&v6));
    struct address low = address("9.255.255.255"), high = address("10.0.0.0");
    assert_true(address_compare(&low, &high) < 0 && address_compare(&high, &low) > 0);
    assert_int_equal(address_compare(&low, &low), 0);
}

static void prefixes_are_read_and_host_bits_refused(void **state) {
    (void)state;
    char out[ADDRESS_TEXT_MAX];
    static const char *const good[][2] = {{"10.0.0.0/8", "10.0.0.0/8"}, {"10.1.2.3", "10.1.2.3/32"},
        {"0.0.0.0/0", "0.0.0.0/0"}, {"2001:db8::/32", "2001:db8::/32"}, {"::1", "::1/128"}, {"::/0", "::/0"},
        {"10.128.0.0/9", "10.128.0.0/9"}, {"255.255.255.254/31", "255.255.255.254/31"}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct prefix p = prefix(good[i][0]);
        assert_string_equal(prefix_text(&p, out), good[i][1]);
    }
    struct prefix p;
    assert_false(prefix_parse("10.0.0.1/8", &p, &err));
    assert_string_equal(err.text, "'10.0.0.1/8' has host bits set; the network is 10.0.0.0/8");
    static const char *const wrong[] = {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/8x", "/8", "x/8",
        "10.0.0.0/-1", "10.0.0.0/8/8", "2001:db8::1/64", "10.0.0.0/255.0.0.0", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(prefix_parse(wrong[i], &p, &err));
}

static void a_prefix_contains_its_range_and_nothing_else(void **state) {
    (void)state;
    struct prefix p = prefix("10.1.16.0/20");
    struct address first, last;
    prefix_range(&p, &first, &last);
    struct address expected_first = address("10.1.16.0"), expected_last = address("10.1.31.255");
    assert_true(address_equal(&first, &expected_first) && address_equal(&last, &expected_last));
    struct address outside[] = {address("10.1.15.255"), address("10.1.32.0"), address("::"), {0}};
    assert_true(prefix_contains(&p, &first) && prefix_contains(&p, &last));
    for (size_t i = 0; i < 4; i++)
        assert_false(prefix_contains(&p, &outside[i]));
    struct prefix all = prefix("0.0.0.0/0"), same = prefix("10.1.16.0/20"), longer = prefix("10.1.16.0/21");
    assert_true(prefix_contains(&all, &first));
    assert_false(prefix_contains(&all, &outside[2]));
    assert_true(prefix_equal(&p, &same));
    assert_false(prefix_equal(&p, &longer));
    assert_false(prefix_contains(&(struct prefix){0}, &first));
}

static void assert_prefixes(const char *from, const char *to, const char *expected) {
    struct address first = address(from), last = address(to);
    struct prefix list[256];
    char got[4096] = "", text[ADDRESS_TEXT_MAX];
    size_t n = range_prefixes(&first, &last, list, 256);
    for (size_t i = 0; i < n; i++) {
        strcat(got, i == 0 ? "" : " ");
        strcat(got, prefix_text(&list[i], text));
    }
    assert_string_equal(got, expected);
}

static void a_range_is_split_into_the_fewest_prefixes(void **state) {
    (void)state;
    assert_prefixes("10.0.0.0", "10.255.255.255", "10.0.0.0/8");
    assert_prefixes("10.0.0.5", "10.0.0.5", "10.0.0.5/32");
    assert_prefixes("0.0.0.0", "255.255.255.255", "0.0.0.0/0");
    assert_prefixes("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0");
    assert_prefixes("10.0.0.1", "10.0.0.6", "10.0.0.1/32 10.0.0.2/31 10.0.0.4/31 10.0.0.6/32");
    assert_prefixes("255.255.255.253", "255.255.255.255", "255.255.255.253/32 255.255.255.254/31");
    assert_prefixes("2001:db8::", "2001:db9:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/31");
    struct address a = address("0.0.0.1"), b = address("255.255.255.254"), c = address("::1"),
                   d = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe");
    struct prefix one;
    assert_int_equal(range_prefixes(&a, &b, &one, 1), 62); /* the worst, and only one is written */
    assert_int_equal(range_prefixes(&c, &d, NULL, 0), 254);
    assert_int_equal(range_prefixes(&b, &a, &one, 1), 0);
    assert_int_equal(range_prefixes(&a, &c, &one, 1), 0);
    assert_int_equal(range_prefixes(&(struct address){0}, &(struct address){0}, &one, 1), 0);
}

static uint32_t as_number(const struct address *a) {
    return (uint32_t)a->octets[0] << 24 | (uint32_t)a->octets[1] << 16 | (uint32_t)a->octets[2] << 8 | a->octets[3];
}

static void random_ranges_are_covered_exactly_without_a_gap(void **state) {
    (void)state;
    uint64_t seed = 9;
    struct random_source random = random_seeded(&seed);
    for (int i = 0; i < 5000; i++) {
        struct address first = {.family = 4}, last = {.family = 4};
        random_fill(&random, first.octets, 4);
        last = first;
        random_fill(&random, last.octets + i % 4, 4 - (size_t)i % 4);
        if (address_compare(&first, &last) > 0) {
            struct address swap = first;
            first = last;
            last = swap;
        }
        struct prefix list[64];
        size_t n = range_prefixes(&first, &last, list, 64);
        uint32_t next = as_number(&first);
        for (size_t k = 0; k < n; k++) {
            struct address from, to;
            prefix_range(&list[k], &from, &to);
            assert_true(address_same_host(&from, &list[k].address)); /* no host bits */
            assert_int_equal(as_number(&from), next);
            next = as_number(&to) + 1;
            bool joined = k > 0 && list[k].length == list[k - 1].length && list[k].length > 0 &&
                          ((as_number(&list[k - 1].address) >> (32 - list[k].length)) & 1) == 0;
            assert_false(joined); /* two neighbours that one shorter prefix would cover */
        }
        assert_int_equal(next, as_number(&last) + 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_shown_as_RFC_5952_says),
        cmocka_unit_test(what_is_no_address_is_refused_with_the_words),
        cmocka_unit_test(the_C_library_agrees_about_random_addresses),
        cmocka_unit_test(ports_and_brackets),
        cmocka_unit_test(equality_looks_at_port_and_scope),
        cmocka_unit_test(prefixes_are_read_and_host_bits_refused),
        cmocka_unit_test(a_prefix_contains_its_range_and_nothing_else),
        cmocka_unit_test(a_range_is_split_into_the_fewest_prefixes),
        cmocka_unit_test(random_ranges_are_covered_exactly_without_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
