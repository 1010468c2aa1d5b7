/* transport.c: transport mode leaves the IP header behind and makes it again, with checksums that hold through a NAT. RFC 4303
 * section 3.1.1, RFC 7296 section 2.23.1, RFC 3948 section 3.1.2. */
#include "helper.h"

static struct address at(const char *text) {
    struct address address;
    struct error err;
    assert_true(address_parse(text, &address, &err));
    return address;
}

/* One end, as it sees itself and the other, and as the other sees both. */
static struct esp_sa *end_of(
    bool left, const char *local, const char *remote, const char *peer_local, const char *peer_remote) {
    struct esp_config config = config_of(every_suite[0], true, 64, left);
    config.transport = true;
    config.local.count = config.remote.count = 1;
    config.local.selector[0] = selector_of(local);
    config.remote.selector[0] = selector_of(remote);
    config.peer_local = at(peer_local);
    config.peer_remote = at(peer_remote);
    return sa_of(&config);
}

/* The checksum over pseudo header and payload; 0: it is right. */
static uint16_t sum_of(const uint8_t *packet, size_t length, uint8_t protocol) {
    bool v4 = packet[0] >> 4 == 4;
    size_t header = v4 ? 20 : 40, payload = length - header;
    uint8_t rest[4] = {0, protocol, (uint8_t)(payload >> 8), (uint8_t)payload};
    uint64_t sum = checksum_add(0, packet + (v4 ? 12 : 8), v4 ? 8 : 32);
    return checksum_fold(checksum_add(checksum_add(sum, rest, 4), packet + header, payload));
}

static size_t checksum_field(uint8_t protocol) {
    return protocol == 6 ? 16 : protocol == 58 ? 2 : 6;
}

/* A packet of `length` octets with a right checksum from one address to the other. */
static void make(uint8_t *out, size_t length, const char *from, const char *to, uint8_t protocol) {
    struct address source = at(from), destination = at(to);
    bool v4 = source.family == 4;
    size_t header = v4 ? 20 : 40, field = header + checksum_field(protocol);
    for (size_t i = 0; i < length; i++)
        out[i] = (uint8_t)(i * 7 + length);
    memset(out, 0, header);
    out[0] = v4 ? 0x45 : 0x60;
    size_t field_length = v4 ? length : length - header;
    out[v4 ? 2 : 4] = (uint8_t)(field_length >> 8);
    out[v4 ? 3 : 5] = (uint8_t)field_length;
    out[v4 ? 9 : 6] = protocol;
    out[v4 ? 8 : 7] = 64;
    memcpy(out + (v4 ? 12 : 8), source.octets, v4 ? 4 : 16);
    memcpy(out + (v4 ? 16 : 24), destination.octets, v4 ? 4 : 16);
    memset(out + field, 0, 2);
    uint16_t sum = sum_of(out, length, protocol);
    memcpy(out + field, &sum, 2);
    assert_int_equal(sum_of(out, length, protocol), 0);
}

/* Through the tunnel; returns the length of what came out at `to`, 0: refused. */
static size_t through(struct esp_sa *from, struct esp_sa *to, const uint8_t *packet, size_t length, uint8_t *out) {
    static uint8_t sealed[ROOM];
    size_t strip;
    uint8_t next;
    assert_true(esp_transport_strip(packet, length, &strip, &next));
    size_t octets = seal_one(from, sealed, packet + strip, length - strip, next);
    struct esp_open_job job = {.packet = sealed, .length = octets};
    esp_open(to, 1, &job, 1);
    if (job.verdict != ESP_INNER)
        return 0;
    return esp_transport_rebuild(to, job.inner, job.inner_length, job.next_header, out, ROOM);
}

static void K13_checksums_are_right_behind_a_nat_at_both_ends(void **state) {
    (void)state;
    static const uint8_t protocols[] = {6, 17, 136};
    struct esp_sa *a = end_of(true, "10.0.0.5", "203.0.113.9", "198.51.100.7", "192.168.1.2");
    struct esp_sa *b = end_of(false, "192.168.1.2", "198.51.100.7", "203.0.113.9", "10.0.0.5");
    uint8_t packet[ROOM], out[ROOM];
    for (size_t i = 0; i < 3; i++)
        for (size_t length = 60; length < 400; length++) {
            make(packet, length, "10.0.0.5", "203.0.113.9", protocols[i]);
            assert_int_equal(through(a, b, packet, length, out), length);
            assert_int_equal(sum_of(out, length, protocols[i]), 0);
            assert_int_equal(checksum_fold(checksum_add(0, out, 20)), 0);
            struct address source = {.family = 4}, expected = at("198.51.100.7");
            memcpy(source.octets, out + 12, 4);
            assert_true(address_same_host(&source, &expected));
            make(packet, length, "192.168.1.2", "198.51.100.7", protocols[i]);
            assert_int_equal(through(b, a, packet, length, out), length);
            assert_int_equal(sum_of(out, length, protocols[i]), 0);
        }
    ends_free((struct ends){a, b});
}

static void K13_checksums_over_ipv6_too_and_icmpv6(void **state) {
    (void)state;
    static const uint8_t protocols[] = {6, 17, 58};
    struct esp_sa *a = end_of(true, "fd00::5", "2001:db8::9", "2001:db8:1::7", "fd01::2");
    struct esp_sa *b = end_of(false, "fd01::2", "2001:db8:1::7", "2001:db8::9", "fd00::5");
    uint8_t packet[ROOM], out[ROOM];
    for (size_t i = 0; i < 3; i++)
        for (size_t length = 80; length < 200; length++) {
            make(packet, length, "fd00::5", "2001:db8::9", protocols[i]);
            assert_int_equal(through(a, b, packet, length, out), length);
            assert_int_equal(sum_of(out, length, protocols[i]), 0);
        }
    ends_free((struct ends){a, b});
}

static void K13_a_wrong_checksum_stays_wrong_and_none_stays_none(void **state) {
    (void)state;
    struct esp_sa *a = end_of(true, "10.0.0.5", "203.0.113.9", "198.51.100.7", "192.168.1.2");
    struct esp_sa *b = end_of(false, "192.168.1.2", "198.51.100.7", "203.0.113.9", "10.0.0.5");
    uint8_t packet[ROOM], out[ROOM];
    make(packet, 100, "10.0.0.5", "203.0.113.9", 6);
    packet[70] ^= 1;
    assert_int_equal(through(a, b, packet, 100, out), 100);
    assert_int_not_equal(sum_of(out, 100, 6), 0);
    make(packet, 100, "10.0.0.5", "203.0.113.9", 17);
    packet[26] = packet[27] = 0;
    assert_int_equal(through(a, b, packet, 100, out), 100);
    assert_int_equal(out[26] | out[27], 0);
    ends_free((struct ends){a, b});
}

static void without_a_nat_payloads_pass_as_they_are(void **state) {
    (void)state;
    struct esp_sa *a = end_of(true, "10.0.0.5", "203.0.113.9", "10.0.0.5", "203.0.113.9");
    struct esp_sa *b = end_of(false, "203.0.113.9", "10.0.0.5", "203.0.113.9", "10.0.0.5");
    uint8_t packet[ROOM], out[ROOM];
    make(packet, 500, "10.0.0.5", "203.0.113.9", 17);
    assert_int_equal(through(a, b, packet, 500, out), 500);
    assert_memory_equal(packet + 20, out + 20, 480);
    assert_memory_equal(packet + 12, out + 12, 8);
    ends_free((struct ends){a, b});
}

static void fragments_can_not_go_and_do_not_come_in(void **state) {
    (void)state;
    uint8_t packet[ROOM];
    size_t strip;
    uint8_t next;
    make(packet, 100, "10.0.0.5", "203.0.113.9", 17);
    assert_true(esp_transport_strip(packet, 100, &strip, &next));
    assert_int_equal(strip, 20);
    assert_int_equal(next, 17);
    packet[6] = 0x40; /* don't fragment */
    assert_true(esp_transport_strip(packet, 100, &strip, &next));
    packet[6] = 0x20; /* more fragments */
    assert_false(esp_transport_strip(packet, 100, &strip, &next));
    packet[6] = 0;
    packet[7] = 1;
    assert_false(esp_transport_strip(packet, 100, &strip, &next));
    make(packet, 100, "fd00::5", "2001:db8::9", 17);
    assert_true(esp_transport_strip(packet, 100, &strip, &next));
    packet[6] = 44;
    assert_false(esp_transport_strip(packet, 100, &strip, &next));
    for (size_t length = 0; length < 20; length++) {
        packet[0] = 0x45;
        assert_false(esp_transport_strip(packet, length, &strip, &next));
    }
    struct esp_sa *a = end_of(true, "10.0.0.5", "203.0.113.9", "10.0.0.5", "203.0.113.9");
    struct esp_sa *b = end_of(false, "203.0.113.9", "10.0.0.5", "203.0.113.9", "10.0.0.5");
    static uint8_t sealed[ROOM];
    size_t octets = seal_one(a, sealed, packet, 60, 44);
    assert_int_equal(open_one(b, sealed, octets), ESP_POLICY);
    ends_free((struct ends){a, b});
}

static void protocols_and_ports_outside_the_selectors_do_not_come_out(void **state) {
    (void)state;
    struct esp_config config = config_of(every_suite[0], true, 64, false);
    config.transport = true;
    config.local.count = config.remote.count = 1;
    config.local.selector[0] = selector_of("203.0.113.9");
    config.remote.selector[0] = selector_of("10.0.0.5");
    config.local.selector[0].protocol = config.remote.selector[0].protocol = 17;
    config.local.selector[0].port_first = config.local.selector[0].port_last = 1701;
    struct esp_sa *a = end_of(true, "10.0.0.5", "203.0.113.9", "10.0.0.5", "203.0.113.9"), *b = sa_of(&config);
    uint8_t packet[ROOM], out[ROOM];
    make(packet, 100, "10.0.0.5", "203.0.113.9", 17);
    assert_int_equal(through(a, b, packet, 100, out), 0);
    packet[22] = 1701 >> 8;
    packet[23] = 1701 & 0xff;
    assert_int_equal(through(a, b, packet, 100, out), 100);
    packet[9] = 6;
    assert_int_equal(through(a, b, packet, 100, out), 0);
    packet[9] = 17;
    assert_int_equal(through(a, b, packet, 22, out), 0); /* too short to show a port */
    ends_free((struct ends){a, b});
}

static void what_is_too_long_for_ip_is_not_rebuilt(void **state) {
    (void)state;
    struct esp_sa *a = end_of(true, "10.0.0.5", "203.0.113.9", "10.0.0.5", "203.0.113.9");
    uint8_t *octets = calloc(2, 65600);
    assert_non_null(octets);
    assert_int_equal(esp_transport_rebuild(a, octets, 65515, 17, octets + 65600, 65600), 65535);
    assert_int_equal(esp_transport_rebuild(a, octets, 65516, 17, octets + 65600, 65600), 0);
    assert_int_equal(esp_transport_rebuild(a, octets, 100, 17, octets + 65600, 119), 0);
    free(octets);
    esp_sa_free(a);
}

static void networks_are_refused(void **state) {
    (void)state;
    struct error err;
    struct esp_config config = config_of(every_suite[0], true, 64, true);
    config.transport = true;
    assert_null(esp_sa_new(&config, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K13_checksums_are_right_behind_a_nat_at_both_ends),
        cmocka_unit_test(K13_checksums_over_ipv6_too_and_icmpv6),
        cmocka_unit_test(K13_a_wrong_checksum_stays_wrong_and_none_stays_none),
        cmocka_unit_test(without_a_nat_payloads_pass_as_they_are),
        cmocka_unit_test(fragments_can_not_go_and_do_not_come_in),
        cmocka_unit_test(protocols_and_ports_outside_the_selectors_do_not_come_out),
        cmocka_unit_test(what_is_too_long_for_ip_is_not_rebuilt),
        cmocka_unit_test(networks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
