/* Selectors of a peer that is up become routes whose MTU black-holes nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/engine/internal.h"
#undef fail /* cmocka has one of its own */
#include <cmocka.h>

static void add(struct selector_list *list, const char *prefix_words) {
    struct prefix prefix;
    struct error error;
    assert_true(prefix_parse(prefix_words, &prefix, &error));
    list->selector[list->count++] = selector_of_prefix(&prefix);
}

static struct peer_host_setup setup_of(enum transport transport, const char *outer, size_t overhead) {
    struct peer_host_setup setup = {.transport = transport, .overhead = overhead};
    struct error error;
    assert_true(address_parse(outer, &setup.outer_remote, &error));
    add(&setup.local, "10.1.0.0/24");
    add(&setup.remote, "10.2.0.0/24");
    return setup;
}

static struct host_route_set routes_of(const struct peer_host_setup *setup, uint32_t tun_mtu) {
    struct host_route_set routes;
    struct error error;
    assert_true(route_set_of(7, setup, tun_mtu, &routes, &error));
    return routes;
}

static void each_network_is_one_route_and_doubles_are_dropped(void **state) {
    (void)state;
    struct peer_host_setup setup = setup_of(TRANSPORT_TCP, "198.51.100.10", 38);
    add(&setup.remote, "fd00:2::/64");
    add(&setup.remote, "10.2.0.0/24");
    struct host_route_set routes = routes_of(&setup, 1400);
    char text[ADDRESS_TEXT_MAX];
    assert_int_equal(routes.owner, 7);
    assert_int_equal(routes.remotes, 2);
    assert_string_equal(prefix_text(&routes.remote[0], text), "10.2.0.0/24");
    assert_string_equal(prefix_text(&routes.remote[1], text), "fd00:2::/64");
    assert_int_equal(routes.locals, 1);
}

static void a_device_of_its_own_is_named_as_the_configuration_does(void **state) {
    (void)state;
    struct peer_host_setup setup = setup_of(TRANSPORT_TCP, "198.51.100.10", 38);
    assert_string_equal(routes_of(&setup, 1400).device, "");
    setup.device = 6;
    assert_string_equal(routes_of(&setup, 1400).device, "ipsec5");
}

static void S7_over_tcp_the_mtu_stays_what_udp_would_take(void **state) {
    (void)state;
    struct peer_host_setup setup = setup_of(TRANSPORT_TCP, "198.51.100.10", 38);
    struct host_route_set routes = routes_of(&setup, 1400);
    assert_int_equal(routes.mtu, 1400);
    assert_int_equal(routes.advmss4, 1360);
    assert_int_equal(routes.advmss6, 1340);
}

static void a_large_overhead_over_ipv6_shrinks_the_mtu(void **state) {
    (void)state;
    struct peer_host_setup setup = setup_of(TRANSPORT_UDP, "2001:db8::1", 74);
    struct host_route_set routes = routes_of(&setup, 1400);
    assert_int_equal(routes.mtu, 1500 - 48 - 74);
}

static void a_configured_mtu_is_taken_as_it_is(void **state) {
    (void)state;
    struct peer_host_setup setup = setup_of(TRANSPORT_UDP, "198.51.100.10", 38);
    setup.mtu = 1000;
    assert_int_equal(routes_of(&setup, 1400).mtu, 1000);
    setup.mtu = 9000;
    assert_int_equal(routes_of(&setup, 9000).mtu, 9000);
}

static void a_range_that_needs_too_many_routes_is_said(void **state) {
    (void)state;
    struct peer_host_setup setup = setup_of(TRANSPORT_UDP, "2001:db8::1", 38);
    struct selector *odd = &setup.remote.selector[setup.remote.count++];
    *odd = setup.remote.selector[0];
    memset(odd, 0, sizeof *odd);
    odd->first.family = odd->last.family = 6;
    odd->first.octets[15] = 1;
    memset(odd->last.octets, 0xff, 16);
    odd->last.octets[15] = 0xfe;
    struct host_route_set routes;
    struct error error = {0};
    assert_false(route_set_of(7, &setup, 1400, &routes, &error));
    assert_non_null(strstr(error.text, "routes"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_network_is_one_route_and_doubles_are_dropped),
        cmocka_unit_test(a_device_of_its_own_is_named_as_the_configuration_does),
        cmocka_unit_test(S7_over_tcp_the_mtu_stays_what_udp_would_take),
        cmocka_unit_test(a_large_overhead_over_ipv6_shrinks_the_mtu),
        cmocka_unit_test(a_configured_mtu_is_taken_as_it_is),
        cmocka_unit_test(a_range_that_needs_too_many_routes_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
