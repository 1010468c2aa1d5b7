/* policy.c: what may come out of an SA and what goes into it: addresses, protocols, ports, ICMP, both families. */
#include "helper.h"

static struct flow flow_of(const char *source, const char *destination, uint8_t protocol) {
    struct flow flow = {.protocol = protocol};
    struct error err;
    assert_true(address_parse(source, &flow.source, &err));
    assert_true(address_parse(destination, &flow.destination, &err));
    return flow;
}

static struct flow with_ports(struct flow flow, uint16_t source, uint16_t destination) {
    flow.has_ports = true;
    flow.source.port = source;
    flow.destination.port = destination;
    return flow;
}

static struct flow reversed(struct flow flow) {
    struct address keep = flow.source;
    flow.source = flow.destination;
    flow.destination = keep;
    return flow;
}

/* An SA with one selector a side. */
static struct esp_sa *sa_with(struct selector local, struct selector remote) {
    struct esp_config config = config_of(every_suite[0], true, 64, true);
    config.local.count = config.remote.count = 1;
    config.local.selector[0] = local;
    config.remote.selector[0] = remote;
    return sa_of(&config);
}

static struct selector narrowed(const char *prefix, uint8_t protocol, uint16_t first, uint16_t last) {
    struct selector s = selector_of(prefix);
    s.protocol = protocol;
    s.port_first = first;
    s.port_last = last;
    return s;
}

/* Outbound takes the flow, and inbound allows the answer to it; or neither. */
static void both_ways(const struct esp_sa *sa, struct flow flow, bool expected) {
    struct flow answer = reversed(flow);
    assert_int_equal(esp_sa_takes(sa, &flow), expected);
    assert_int_equal(esp_sa_allows_in(sa, &answer), expected);
}

static void addresses_at_both_ends_of_the_range_are_inside_and_their_neighbours_are_not(void **state) {
    (void)state;
    struct esp_sa *sa = sa_with(selector_of("10.0.1.0/24"), selector_of("2001:db8:2::/64"));
    struct esp_sa *v4 = sa_with(selector_of("10.0.1.0/24"), selector_of("192.168.7.8/30"));
    both_ways(v4, flow_of("10.0.1.0", "192.168.7.8", UDP), true);
    both_ways(v4, flow_of("10.0.1.255", "192.168.7.11", UDP), true);
    both_ways(v4, flow_of("10.0.0.255", "192.168.7.8", UDP), false);
    both_ways(v4, flow_of("10.0.2.0", "192.168.7.8", UDP), false);
    both_ways(v4, flow_of("10.0.1.1", "192.168.7.7", UDP), false);
    both_ways(v4, flow_of("10.0.1.1", "192.168.7.12", UDP), false);
    both_ways(v4, flow_of("192.168.7.8", "10.0.1.1", UDP), false); /* the wrong way round */
    both_ways(sa, flow_of("10.0.1.1", "10.0.1.2", UDP), false);
    esp_sa_free(sa);
    esp_sa_free(v4);
    struct esp_sa *v6 = sa_with(selector_of("2001:db8:1::/64"), selector_of("2001:db8:2::/64"));
    both_ways(v6, flow_of("2001:db8:1::", "2001:db8:2::ffff:ffff:ffff:ffff", UDP), true);
    both_ways(v6, flow_of("2001:db8:1::1", "2001:db8:2:1::", UDP), false);
    both_ways(v6, flow_of("2001:db8:0:ffff:ffff:ffff:ffff:ffff", "2001:db8:2::1", UDP), false);
    both_ways(v6, flow_of("10.0.1.1", "10.0.2.1", UDP), false);
    esp_sa_free(v6);
}

static void an_ipv4_address_is_not_in_an_ipv6_range_that_begins_alike(void **state) {
    (void)state;
    struct esp_sa *sa = sa_with(selector_of("::/0"), selector_of("::/0"));
    both_ways(sa, flow_of("10.0.1.1", "10.0.2.1", UDP), false);
    both_ways(sa, flow_of("fe80::1", "::1", UDP), true);
    esp_sa_free(sa);
}

static void protocols_and_ports_are_looked_at_on_their_own_side(void **state) {
    (void)state;
    struct esp_sa *sa = sa_with(narrowed("10.0.1.0/24", UDP, 1000, 1999), narrowed("10.0.2.0/24", UDP, 53, 53));
    struct flow flow = flow_of("10.0.1.1", "10.0.2.1", UDP);
    both_ways(sa, with_ports(flow, 1000, 53), true);
    both_ways(sa, with_ports(flow, 1999, 53), true);
    both_ways(sa, with_ports(flow, 999, 53), false);
    both_ways(sa, with_ports(flow, 2000, 53), false);
    both_ways(sa, with_ports(flow, 1000, 52), false);
    both_ways(sa, with_ports(flow, 1000, 54), false);
    both_ways(sa, with_ports(flow, 53, 1000), false);
    both_ways(sa, flow, false); /* a fragment that shows no ports */
    flow.protocol = 6;
    both_ways(sa, with_ports(flow, 1000, 53), false);
    esp_sa_free(sa);
}

static void a_selector_for_any_port_takes_fragments_and_opaque_takes_nothing_else(void **state) {
    (void)state;
    struct esp_sa *any = sa_with(narrowed("10.0.1.0/24", UDP, 0, 65535), narrowed("10.0.2.0/24", UDP, 0, 65535));
    struct esp_sa *opaque = sa_with(narrowed("10.0.1.0/24", UDP, 65535, 0), narrowed("10.0.2.0/24", UDP, 65535, 0));
    struct flow flow = flow_of("10.0.1.1", "10.0.2.1", UDP);
    both_ways(any, flow, true);
    both_ways(any, with_ports(flow, 7, 8), true);
    both_ways(opaque, flow, true);
    both_ways(opaque, with_ports(flow, 7, 8), false);
    esp_sa_free(any);
    esp_sa_free(opaque);
}

static void an_icmp_selector_is_about_type_and_code_whichever_way_the_message_goes(void **state) {
    (void)state;
    struct esp_sa *sa = sa_with(narrowed("10.0.1.0/24", 1, 0x0800, 0x08ff), narrowed("10.0.2.0/24", 1, 0, 65535));
    struct flow flow = with_ports(flow_of("10.0.1.1", "10.0.2.1", 1), 0x0800, 0);
    struct flow in = with_ports(flow_of("10.0.2.1", "10.0.1.1", 1), 0x0800, 0);
    assert_true(esp_sa_takes(sa, &flow));
    assert_true(esp_sa_allows_in(sa, &in));
    flow.source.port = in.source.port = 0x0000; /* echo reply */
    assert_false(esp_sa_takes(sa, &flow));
    assert_false(esp_sa_allows_in(sa, &in));
    esp_sa_free(sa);
}

static void any_of_several_selectors_will_do_and_none_means_nothing(void **state) {
    (void)state;
    struct esp_config config = config_of(every_suite[0], true, 64, true);
    struct esp_sa *sa = sa_of(&config);
    both_ways(sa, flow_of("10.0.1.1", "10.0.2.1", 6), true);
    both_ways(sa, flow_of("2001:db8:1::1", "2001:db8:2::1", 6), true);
    both_ways(sa, flow_of("10.0.1.1", "10.0.3.1", 6), false);
    esp_sa_free(sa);
    config.local.count = 0;
    sa = sa_of(&config);
    both_ways(sa, flow_of("10.0.1.1", "10.0.2.1", 6), false);
    esp_sa_free(sa);
}

static enum esp_verdict arrives(struct ends ends, const uint8_t *inner, size_t length, uint8_t next_header) {
    uint8_t packet[ROOM];
    size_t sealed = seal_one(ends.left, packet, inner, length, next_header);
    return open_one(ends.right, packet, sealed);
}

static void what_comes_out_is_an_ip_packet_inside_the_selectors_or_nothing(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], true, 64);
    uint8_t inner[200];
    make_v4(inner, 100, 1, 2, UDP, 1, 2);
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV4), ESP_INNER);
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV6), ESP_POLICY); /* says IPv6, is IPv4 */
    assert_int_equal(arrives(ends, inner, 100, UDP), ESP_POLICY);
    assert_int_equal(arrives(ends, inner, 99, ESP_NEXT_IPV4), ESP_POLICY); /* shorter than it says */
    assert_int_equal(arrives(ends, inner, 19, ESP_NEXT_IPV4), ESP_POLICY);
    assert_int_equal(arrives(ends, inner, 0, ESP_NEXT_IPV4), ESP_POLICY);
    make_v4(inner, 100, 3, 2, UDP, 1, 2); /* from elsewhere */
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV4), ESP_POLICY);
    make_v4(inner, 100, 1, 3, UDP, 1, 2); /* to elsewhere */
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV4), ESP_POLICY);
    make_v4(inner, 100, 2, 1, UDP, 1, 2); /* our own address comes back */
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV4), ESP_POLICY);
    make_v6(inner, 100, 1, 2);
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV6), ESP_INNER);
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV4), ESP_POLICY);
    make_v6(inner, 100, 2, 1);
    assert_int_equal(arrives(ends, inner, 100, ESP_NEXT_IPV6), ESP_POLICY);
    assert_int_equal(esp_sa_counters(ends.right)->packets_in, 2);
    assert_int_equal(esp_sa_counters(ends.right)->policy_drops, 10);
    ends_free(ends);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_at_both_ends_of_the_range_are_inside_and_their_neighbours_are_not),
        cmocka_unit_test(an_ipv4_address_is_not_in_an_ipv6_range_that_begins_alike),
        cmocka_unit_test(protocols_and_ports_are_looked_at_on_their_own_side),
        cmocka_unit_test(a_selector_for_any_port_takes_fragments_and_opaque_takes_nothing_else),
        cmocka_unit_test(an_icmp_selector_is_about_type_and_code_whichever_way_the_message_goes),
        cmocka_unit_test(any_of_several_selectors_will_do_and_none_means_nothing),
        cmocka_unit_test(what_comes_out_is_an_ip_packet_inside_the_selectors_or_nothing),
    };
    return over_every_library(tests);
}
