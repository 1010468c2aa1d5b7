/* inner.c: inner packets: what they are, checksums, ICMP errors about them. RFC 791, 8200, 1071, 1122, 4443, 4301. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TCP 6
#define UDP 17
#define ICMP 1
#define ICMPV6 58

static struct address address(const char *text) {
    struct address out;
    struct error err;
    assert_true(address_parse(text, &out, &err));
    return out;
}

/* 20 octets of header and `length` octets behind it; flags and offset as in the header. */
static size_t packet_v4(uint8_t *out, const char *from, const char *to, uint8_t protocol, uint16_t fragment,
    const void *upper, size_t length) {
    struct writer w = writer_over(out, 20 + length);
    writer_u16(&w, 0x4500);
    writer_u16(&w, (uint16_t)(20 + length));
    writer_u16(&w, 0);
    writer_u16(&w, fragment);
    writer_u8(&w, 64);
    writer_u8(&w, protocol);
    writer_u16(&w, 0);
    writer_octets(&w, address(from).octets, 4);
    writer_octets(&w, address(to).octets, 4);
    writer_octets(&w, upper, length);
    assert_true(writer_ok(&w));
    return w.length;
}

static size_t packet_v6(
    uint8_t *out, const char *from, const char *to, uint8_t next, const void *payload, size_t length) {
    struct writer w = writer_over(out, 40 + length);
    writer_u32(&w, 0x60000000);
    writer_u16(&w, (uint16_t)length);
    writer_u8(&w, next);
    writer_u8(&w, 64);
    writer_octets(&w, address(from).octets, 16);
    writer_octets(&w, address(to).octets, 16);
    writer_octets(&w, payload, length);
    assert_true(writer_ok(&w));
    return w.length;
}

static void ports_stand_in_the_flow_of_TCP_UDP_and_SCTP(void **state) {
    (void)state;
    static const uint8_t with_ports[] = {TCP, UDP, 132};
    for (size_t i = 0; i < sizeof with_ports; i++) {
        uint8_t packet[64];
        struct flow flow;
        size_t total;
        size_t length = packet_v4(packet, "10.0.0.1", "10.0.0.2", with_ports[i], 0x4000, "\0\x50\x01\xbb....", 8);
        assert_true(inner_parse(packet, length, &flow, &total));
        assert_int_equal(total, 28);
        assert_int_equal(flow.protocol, with_ports[i]);
        assert_true(flow.has_ports);
        assert_int_equal(flow.source.port, 80);
        assert_int_equal(flow.destination.port, 443);
        assert_int_equal(flow.header_length, 20);
        struct address from = address("10.0.0.1"), to = address("10.0.0.2");
        assert_true(address_same_host(&flow.source, &from) && address_same_host(&flow.destination, &to));
        length = packet_v6(packet, "2001:db8::1", "2001:db8::2", with_ports[i], "\0\x50\x01\xbb....", 8);
        assert_true(inner_parse(packet, length, &flow, &total));
        assert_int_equal(total, 48);
        assert_true(flow.has_ports && flow.source.port == 80 && flow.destination.port == 443);
        from = address("2001:db8::1");
        assert_true(address_same_host(&flow.source, &from));
    }
}

static void ICMP_type_and_code_count_as_source_port(void **state) {
    (void)state;
    uint8_t packet[64];
    struct flow flow;
    size_t total, length = packet_v4(packet, "10.0.0.1", "10.0.0.2", ICMP, 0, "\x08\x01..", 4);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_true(flow.has_ports && flow.source.port == 0x0801 && flow.destination.port == 0);
    length = packet_v4(packet, "10.0.0.1", "10.0.0.2", 47, 0, "\x08\x01..", 4);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_false(flow.has_ports);
}

static void later_fragments_have_no_ports_and_first_ones_do(void **state) {
    (void)state;
    uint8_t packet[80];
    struct flow flow;
    size_t total, length = packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0x0001, "\0\x50\x01\xbb", 4);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_true(!flow.has_ports && flow.protocol == UDP && flow.source.port == 0);
    length = packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0x2000, "\0\x50\x01\xbb", 4);
    assert_true(inner_parse(packet, length, &flow, &total) && flow.has_ports);
    length = packet_v6(packet, "::1", "::2", 44, "\x11\0\0\x09....\0\x50\x01\xbb", 12);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_true(!flow.has_ports && flow.protocol == UDP);
    /* What follows a later fragment's header is the middle of something, whatever the field says. */
    length = packet_v6(packet, "::1", "::2", 44, "\x3c\0\0\x09....\x11\xff", 10);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_true(!flow.has_ports && flow.protocol == 60 && flow.header_length == 48);
    length = packet_v6(packet, "::1", "::2", 44, "\x11\0\0\x01....\0\x50\x01\xbb", 12);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_true(flow.has_ports && flow.source.port == 80 && flow.header_length == 48);
}

static void IPv6_extension_headers_are_passed_over(void **state) {
    (void)state;
    /* Hop-by-hop of 8, routing of 16, destination options of 8, TCP. */
    static const char chain[] = "\x2b\0......\x3c\1..............\6\0......\0\x50\x01\xbb";
    uint8_t packet[128];
    struct flow flow;
    size_t total, length = packet_v6(packet, "::1", "::2", 0, chain, sizeof chain - 1);
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_int_equal(flow.protocol, TCP);
    assert_int_equal(flow.header_length, 40 + 32);
    assert_true(flow.has_ports && flow.source.port == 80);
    for (size_t cut = 1; cut <= 36; cut++) { /* a chain that does not end inside is no packet */
        packet[5] = (uint8_t)(36 - cut);
        bool whole = cut <= 4;
        assert_int_equal(inner_parse(packet, length - cut, &flow, &total), whole);
        assert_true(!whole || flow.has_ports == false);
    }
}

static void TFC_padding_is_not_part_of_the_packet(void **state) {
    (void)state;
    uint8_t packet[128] = {0};
    struct flow flow;
    size_t total, length = packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0, "\0\x50\x01\xbb", 4);
    assert_true(inner_parse(packet, length + 60, &flow, &total));
    assert_int_equal(total, length);
    length = packet_v6(packet, "::1", "::2", UDP, "\0\x50\x01\xbb", 4);
    assert_true(inner_parse(packet, length + 60, &flow, &total));
    assert_int_equal(total, length);
}

static void what_is_no_whole_packet_is_refused(void **state) {
    (void)state;
    uint8_t packet[64];
    struct flow flow;
    size_t total, length = packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0, "\0\x50\x01\xbb", 4);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy + 1, packet, cut);
        assert_false(inner_parse(copy + 1, cut, &flow, &total));
        free(copy);
    }
    packet[0] = 0x44; /* a header of 16 octets */
    assert_false(inner_parse(packet, length, &flow, &total));
    packet[0] = 0x4f; /* options beyond the total length */
    assert_false(inner_parse(packet, length, &flow, &total));
    packet[0] = 0x55;
    assert_false(inner_parse(packet, length, &flow, &total));
    length = packet_v6(packet, "::1", "::2", UDP, "\0\x50\x01\xbb", 4);
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy + 1, packet, cut);
        assert_false(inner_parse(copy + 1, cut, &flow, &total));
        free(copy);
    }
    packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0, "", 0);
    packet[3] = 19; /* a total length below the header's */
    assert_false(inner_parse(packet, 20, &flow, &total));
}

static void IPv4_options_are_header(void **state) {
    (void)state;
    uint8_t packet[64];
    struct flow flow;
    size_t total, length = packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0, "\1\1\1\1\0\x50\x01\xbb", 8);
    packet[0] = 0x46;
    assert_true(inner_parse(packet, length, &flow, &total));
    assert_true(flow.header_length == 24 && flow.source.port == 80);
}

/* The obvious way, octet by octet. */
static uint16_t plain_checksum(const uint8_t *octets, size_t length) {
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum += i % 2 == 0 ? (uint32_t)octets[i] << 8 : octets[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void assert_checksum(const uint8_t *octets, size_t length, uint64_t sum, uint16_t expected) {
    uint16_t folded = checksum_fold(checksum_add(sum, octets, length));
    uint8_t as_written[2];
    memcpy(as_written, &folded, 2);
    assert_int_equal(as_written[0] << 8 | as_written[1], expected);
}

static void a_checksum_is_RFC_1071s(void **state) {
    (void)state;
    /* RFC 1071 section 3: 00 01 f2 03 f4 f5 f6 f7 sum up to ddf2. */
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_checksum(example, sizeof example, 0, (uint16_t)~0xddf2);
    uint64_t seed = 3;
    struct random_source random = random_seeded(&seed);
    uint8_t octets[512];
    for (int i = 0; i < 2000; i++) {
        size_t length = random_u32(&random) % sizeof octets;
        random_fill(&random, octets, length);
        if (i % 5 == 0)
            memset(octets, 0xff, length);
        assert_checksum(octets, length, 0, plain_checksum(octets, length));
        size_t even = length == 0 ? 0 : random_u32(&random) % length & ~(size_t)1; /* in two pieces */
        assert_checksum(octets + even, length - even, checksum_add(0, octets, even), plain_checksum(octets, length));
    }
}

/* Sums that are filled in add up to nothing. */
static void assert_sums(const uint8_t *packet, size_t length) {
    uint8_t pseudo[40 + 1280] = {0};
    if (packet[0] >> 4 == 4) {
        assert_int_equal(plain_checksum(packet, 20), 0);
        assert_int_equal(plain_checksum(packet + 20, length - 20), 0);
        return;
    }
    memcpy(pseudo, packet + 8, 32);
    pseudo[34] = (uint8_t)((length - 40) >> 8);
    pseudo[35] = (uint8_t)(length - 40);
    pseudo[39] = ICMPV6;
    memcpy(pseudo + 40, packet + 40, length - 40);
    assert_int_equal(plain_checksum(pseudo, length), 0);
}

static void an_IPv4_sender_learns_that_its_packet_went_nowhere(void **state) {
    (void)state;
    uint8_t packet[64], out[1280];
    struct address from = address("10.9.9.9");
    size_t length = packet_v4(packet, "10.0.0.1", "10.0.0.2", UDP, 0, "\0\x50\x01\xbb....", 8);
    size_t n = inner_icmp_error(packet, length, &from, 0, out, sizeof out);
    assert_int_equal(n, 20 + 8 + length);
    assert_sums(out, n);
    struct flow flow;
    size_t total;
    assert_true(inner_parse(out, n, &flow, &total));
    struct address to = address("10.0.0.1");
    assert_true(address_same_host(&flow.source, &from) && address_same_host(&flow.destination, &to));
    assert_int_equal(flow.source.port, 3 << 8 | 13); /* administratively prohibited */
    assert_memory_equal(out + 28, packet, length);
    n = inner_icmp_error(packet, length, &(struct address){0}, 0, out, sizeof out);
    assert_true(inner_parse(out, n, &flow, &total));
    to = address("10.0.0.2"); /* nobody else to speak for it */
    assert_true(address_same_host(&flow.source, &to));
}

static void an_IPv4_sender_learns_the_MTU(void **state) {
    (void)state;
    uint8_t *packet = calloc(1, 20 + 1480), out[1280];
    struct address from = address("10.9.9.9");
    uint8_t *upper = calloc(1, 1480);
    size_t length = packet_v4(packet, "10.0.0.1", "10.0.0.2", TCP, 0x4000, upper, 1480);
    size_t n = inner_icmp_error(packet, length, &from, 1400, out, sizeof out);
    assert_int_equal(n, 576); /* RFC 1812 */
    assert_sums(out, n);
    assert_memory_equal(out + 20, "\3\4", 2);
    assert_int_equal(out[26] << 8 | out[27], 1400);
    free(packet);
    free(upper);
}

static void an_IPv6_sender_learns_both(void **state) {
    (void)state;
    uint8_t *packet = calloc(1, 40 + 1460), *upper = calloc(1, 1460), out[1280];
    struct address from = address("2001:db8::9");
    size_t length = packet_v6(packet, "2001:db8::1", "2001:db8::2", TCP, upper, 1460);
    size_t n = inner_icmp_error(packet, length, &from, 1300, out, sizeof out);
    assert_int_equal(n, 1280);
    assert_sums(out, n);
    assert_memory_equal(out + 40, "\2\0", 2);
    assert_int_equal(out[46] << 8 | out[47], 1300);
    n = inner_icmp_error(packet, length, &from, 0, out, sizeof out);
    assert_memory_equal(out + 40, "\1\1", 2);
    assert_sums(out, n);
    assert_int_equal(inner_icmp_error(packet, length, &from, 0, out, 1279), 0); /* no room */
    free(packet);
    free(upper);
}

static size_t answer_v4(const char *from, const char *to, uint8_t protocol, uint16_t fragment, const char *upper) {
    uint8_t packet[64], out[1280];
    size_t length = packet_v4(packet, from, to, protocol, fragment, upper, 8);
    return inner_icmp_error(packet, length, &(struct address){0}, 0, out, sizeof out);
}

static void nothing_is_answered_where_RFC_1122_forbids_it(void **state) {
    (void)state;
    assert_true(answer_v4("10.0.0.1", "10.0.0.2", ICMP, 0, "\x08\0......") > 0); /* an echo request is a query */
    assert_int_equal(answer_v4("10.0.0.1", "10.0.0.2", ICMP, 0, "\3\1......"), 0); /* an error */
    assert_int_equal(answer_v4("10.0.0.1", "10.0.0.2", ICMP, 0, "\x0b\0......"), 0);
    assert_int_equal(answer_v4("10.0.0.1", "10.0.0.2", ICMP, 0, "\5\0......"), 0);
    assert_int_equal(answer_v4("10.0.0.1", "10.0.0.2", UDP, 1, "........"), 0); /* a later fragment */
    assert_int_equal(answer_v4("10.0.0.1", "224.0.0.1", UDP, 0, "........"), 0);
    assert_int_equal(answer_v4("10.0.0.1", "255.255.255.255", UDP, 0, "........"), 0);
    assert_int_equal(answer_v4("0.0.0.0", "10.0.0.2", UDP, 0, "........"), 0);
    assert_int_equal(answer_v4("127.0.0.1", "10.0.0.2", UDP, 0, "........"), 0);
    assert_int_equal(answer_v4("224.0.0.1", "10.0.0.2", UDP, 0, "........"), 0);
    uint8_t out[1280];
    assert_int_equal(inner_icmp_error((const uint8_t *)"junk", 4, &(struct address){0}, 0, out, sizeof out), 0);
}

static size_t answer_v6(const char *from, const char *to, uint8_t next, const char *upper, uint32_t mtu) {
    uint8_t packet[64], out[1280];
    struct address us = address("2001:db8::9");
    size_t length = packet_v6(packet, from, to, next, upper, 8);
    return inner_icmp_error(packet, length, &us, mtu, out, sizeof out);
}

static void nothing_is_answered_where_RFC_4443_forbids_it(void **state) {
    (void)state;
    assert_true(answer_v6("2001:db8::1", "2001:db8::2", ICMPV6, "\x80\0......", 0) > 0);
    assert_int_equal(answer_v6("2001:db8::1", "2001:db8::2", ICMPV6, "\1\0......", 0), 0);
    assert_int_equal(answer_v6("2001:db8::1", "2001:db8::2", ICMPV6, "\x89\0......", 0), 0);
    assert_int_equal(answer_v6("2001:db8::1", "ff02::1", UDP, "........", 0), 0);
    assert_true(answer_v6("2001:db8::1", "ff02::1", UDP, "........", 1300) > 0); /* too big may be said */
    assert_int_equal(answer_v6("::", "2001:db8::2", UDP, "........", 0), 0);
    assert_int_equal(answer_v6("::1", "2001:db8::2", UDP, "........", 0), 0);
    assert_int_equal(answer_v6("ff02::1", "2001:db8::2", UDP, "........", 0), 0);
}

static void random_octets_never_lead_outside(void **state) {
    (void)state;
    uint64_t seed = 11;
    struct random_source random = random_seeded(&seed);
    size_t parsed = 0;
    for (int i = 0; i < 50000; i++) {
        size_t length = 1 + random_u32(&random) % 120, total = 0;
        uint8_t *packet = malloc(length), out[1280];
        random_fill(&random, packet, length);
        packet[0] = i % 2 == 0 ? 0x45 : 0x60;
        if (length > 6)
            packet[2] = packet[4] = 0;
        if (length > 6 && i % 4 == 1)
            packet[6] = (uint8_t[]){0, 43, 44, 60}[i / 4 % 4];
        struct flow flow;
        if (inner_parse(packet, length, &flow, &total)) {
            parsed++;
            assert_true(total <= length && flow.header_length <= total);
        }
        size_t n = inner_icmp_error(packet, length, &(struct address){0}, i % 3 ? 0 : 1280, out, sizeof out);
        if (n > 0)
            assert_sums(out, n);
        free(packet);
    }
    assert_true(parsed > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_stand_in_the_flow_of_TCP_UDP_and_SCTP),
        cmocka_unit_test(ICMP_type_and_code_count_as_source_port),
        cmocka_unit_test(later_fragments_have_no_ports_and_first_ones_do),
        cmocka_unit_test(IPv6_extension_headers_are_passed_over),
        cmocka_unit_test(TFC_padding_is_not_part_of_the_packet),
        cmocka_unit_test(what_is_no_whole_packet_is_refused),
        cmocka_unit_test(IPv4_options_are_header),
        cmocka_unit_test(a_checksum_is_RFC_1071s),
        cmocka_unit_test(an_IPv4_sender_learns_that_its_packet_went_nowhere),
        cmocka_unit_test(an_IPv4_sender_learns_the_MTU),
        cmocka_unit_test(an_IPv6_sender_learns_both),
        cmocka_unit_test(nothing_is_answered_where_RFC_1122_forbids_it),
        cmocka_unit_test(nothing_is_answered_where_RFC_4443_forbids_it),
        cmocka_unit_test(random_octets_never_lead_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
