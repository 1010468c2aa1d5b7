/* The contract of `iketcp status --json`: every field that scripts may rely on, with its type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/engine/internal.h"
#undef fail /* cmocka has one of its own */
#include <cmocka.h>

#define NOW (100 * SECOND)

static struct peer_status a_peer(void) {
    struct peer_status status = {.peer = 1, .name = "office", .state = PEER_STATE_UP, .transport = TRANSPORT_TCP};
    struct error error;
    status.has_ike = true;
    status.ike.spi_i = 0x0123456789abcdef;
    status.ike.spi_r = 0x1;
    status.ike.role = IKE_INITIATOR;
    status.ike.suite = (struct cipher_suite){.encr = ENCR_AES_GCM_16, .key_bits = 128};
    status.ike.prf = PRF_HMAC_SHA2_256;
    status.ike.ke = KE_CURVE25519;
    status.ike.established_at = 40 * SECOND;
    status.ike.rekey_at = 160 * SECOND;
    assert_true(address_parse("192.0.2.10", &status.local, &error));
    assert_true(address_parse("2001:db8::1", &status.remote, &error));
    status.local.port = 41234;
    status.remote.port = 4500;
    status.ike.local_id = (struct identity){.type = ID_FQDN, .data = "west", .length = 4};
    status.ike.remote_id = (struct identity){.type = ID_FQDN, .data = "east", .length = 4};
    status.rekeys = 3;
    status.reconnects = 2;
    assert_true(address_parse("192.0.2.99", &status.ike.peer_address[0], &error));
    status.ike.peer_addresses = 1;
    return status;
}

static void add_child(struct peer_status *status, struct peer_child *child, struct esp_counters *counters) {
    static struct selector_list local, remote;
    struct prefix prefix;
    struct error error;
    child->spi_in = 0xab;
    child->spi_out = 0xdeadbeef;
    child->suite = (struct cipher_suite){.encr = ENCR_AES_CBC, .key_bits = 256, .integ = AUTH_HMAC_SHA2_256_128};
    assert_true(prefix_parse("10.1.0.0/24", &prefix, &error));
    local = (struct selector_list){.count = 1, .selector = {selector_of_prefix(&prefix)}};
    assert_true(prefix_parse("fd00:2::/64", &prefix, &error));
    remote = (struct selector_list){.count = 1, .selector = {selector_of_prefix(&prefix)}};
    child->local = &local;
    child->remote = &remote;
    counters->bytes_in = 10;
    counters->bytes_out = 20;
    counters->packets_in = 1;
    counters->packets_out = 2;
    counters->replay_drops = 5;
    status->child[status->children++] =
        (struct peer_child_status){.child = child, .counters = counters, .since = 90 * SECOND};
}

static void expect_text(const json_t *object, const char *key, const char *text) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        fail_msg("%s is no string", key);
    assert_string_equal(json_string_value(value), text);
}

static void expect_number(const json_t *object, const char *key, json_int_t number) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        fail_msg("%s is no integer", key);
    assert_int_equal(json_integer_value(value), number);
}

static void the_ike_sa_has_every_field_of_the_contract(void **state) {
    (void)state;
    struct peer_status status = a_peer();
    json_t *out = status_connection(&status, "iketcp0", NOW);
    expect_text(out, "name", "office");
    expect_text(out, "state", "up");
    expect_text(out, "transport", "tcp");
    const json_t *ike = json_object_get(out, "ike_sa");
    expect_text(ike, "spi_i", "0123456789abcdef");
    expect_text(ike, "spi_r", "0000000000000001");
    expect_text(ike, "role", "initiator");
    expect_text(ike, "local", "192.0.2.10:41234");
    expect_text(ike, "remote", "[2001:db8::1]:4500");
    expect_text(ike, "local_id", "@west");
    expect_text(ike, "remote_id", "@east");
    expect_text(ike, "encryption", "ENCR_AES_GCM_16-128");
    assert_true(json_is_null(json_object_get(ike, "integrity")));
    expect_text(ike, "prf", "PRF_HMAC_SHA2_256");
    expect_text(ike, "key_exchange", "KE_CURVE25519");
    expect_number(ike, "age_s", 60);
    expect_number(ike, "rekey_in_s", 60);
    expect_number(ike, "rekeys", 3);
    expect_number(ike, "reconnects", 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(ike, "peer_addresses"), 0)), "192.0.2.99");
    json_decref(out);
}

static void a_child_sa_has_every_field_of_the_contract(void **state) {
    (void)state;
    struct peer_status status = a_peer();
    struct peer_child child = {0};
    struct esp_counters counters = {0};
    add_child(&status, &child, &counters);
    json_t *out = status_connection(&status, "iketcp0", NOW);
    const json_t *sa = json_array_get(json_object_get(out, "child_sas"), 0);
    expect_text(sa, "spi_in", "000000ab");
    expect_text(sa, "spi_out", "deadbeef");
    expect_text(sa, "encryption", "ENCR_AES_CBC-256");
    expect_text(sa, "integrity", "AUTH_HMAC_SHA2_256_128");
    expect_text(sa, "mode", "tunnel");
    expect_text(sa, "tun", "iketcp0");
    assert_true(json_is_boolean(json_object_get(sa, "esn")));
    assert_true(json_is_false(json_object_get(sa, "aggfrag")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(sa, "ts_local"), 0)), "10.1.0.0/24");
    assert_string_equal(json_string_value(json_array_get(json_object_get(sa, "ts_remote"), 0)), "fd00:2::/64");
    expect_number(sa, "bytes_in", 10);
    expect_number(sa, "bytes_out", 20);
    expect_number(sa, "packets_in", 1);
    expect_number(sa, "packets_out", 2);
    expect_number(sa, "replay_drops", 5);
    expect_number(sa, "age_s", 10);
    json_decref(out);
}

static void an_idle_connection_is_down_with_nulls(void **state) {
    (void)state;
    struct peer_status status = {.name = "office", .state = PEER_STATE_DOWN};
    json_t *out = status_connection(&status, "iketcp0", NOW);
    expect_text(out, "state", "down");
    assert_true(json_is_null(json_object_get(out, "transport")));
    assert_true(json_is_null(json_object_get(out, "ike_sa")));
    assert_int_equal(json_array_size(json_object_get(out, "child_sas")), 0);
    json_decref(out);
}

static void states_have_their_four_names(void **state) {
    (void)state;
    assert_string_equal(peer_state_text(PEER_STATE_DOWN), "down");
    assert_string_equal(peer_state_text(PEER_STATE_CONNECTING), "connecting");
    assert_string_equal(peer_state_text(PEER_STATE_UP), "up");
    assert_string_equal(peer_state_text(PEER_STATE_RECONNECTING), "reconnecting");
}

static void octets_that_are_no_utf8_never_break_the_json(void **state) {
    (void)state;
    struct peer_status status = a_peer();
    status.name = "b\xfcro";
    json_t *out = status_connection(&status, "iketcp0", NOW);
    expect_text(out, "name", "b?ro");
    json_decref(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ike_sa_has_every_field_of_the_contract),
        cmocka_unit_test(a_child_sa_has_every_field_of_the_contract),
        cmocka_unit_test(an_idle_connection_is_down_with_nulls),
        cmocka_unit_test(states_have_their_four_names),
        cmocka_unit_test(octets_that_are_no_utf8_never_break_the_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
