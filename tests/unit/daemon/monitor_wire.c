/* Records between monitor and engine: what is written comes back, and nothing else is taken. */
#include "support.h"

#include "daemon/monitor_wire.h"

#define SAMPLES 17

static uint8_t record[MONITOR_RECORD_MAX];

static struct monitor_request auth_request(void) {
    struct monitor_request q = {.kind = REQUEST_AUTH, .serial = 7};
    strcpy(q.auth.connection, "office");
    q.auth.prf = PRF_HMAC_SHA2_256;
    q.auth.local_id = fqdn("west");
    q.auth.remote_id = fqdn("east");
    q.auth.local_octets = span_of("local octets", 12);
    q.auth.remote_octets = span_of("remote", 6);
    return q;
}

static struct monitor_request routes_request(void) {
    struct monitor_request q = {.kind = REQUEST_ROUTES_SET, .serial = 8};
    q.routes.owner = 3;
    memcpy(q.routes.device, "ipsec5", 7);
    q.routes.remote[q.routes.remotes++] = prefix("10.2.0.0/16");
    q.routes.remote[q.routes.remotes++] = prefix("2001:db8::/32");
    q.routes.local[q.routes.locals++] = prefix("10.1.0.0/16");
    q.routes.source = address("10.1.0.1");
    q.routes.source6 = address("2001:db8:1::1");
    q.routes.mtu = 1400;
    q.routes.advmss4 = 1360;
    q.routes.advmss6 = 1340;
    q.routes.outer_remote = address("198.51.100.1");
    return q;
}

static struct monitor_request tun_request(const char *name, uint32_t mtu) {
    struct monitor_request q = {.kind = REQUEST_TUN, .mtu = mtu};
    strncpy(q.name, name, sizeof q.name - 1);
    return q;
}

static struct monitor_request client_request(const char *connection) {
    struct monitor_request q = {.kind = REQUEST_SOCKET, .socket = HOST_TCP, .address = {.family = 4}};
    strncpy(q.connection, connection, sizeof q.connection - 1);
    return q;
}

static struct monitor_request esp_request(void) {
    struct monitor_request q = {.kind = REQUEST_ESP_SET, .serial = 9};
    struct prefix ours = prefix("10.1.0.0/16"), theirs = prefix("10.2.0.0/16");
    strcpy(q.esp.connection, "office");
    q.esp.sa = (struct host_esp){.spi_in = 1,
        .spi_out = 2,
        .local = address("192.0.2.1"),
        .remote = address("198.51.100.1"),
        .inner_local = selector_of_prefix(&ours),
        .inner_remote = selector_of_prefix(&theirs),
        .encr = ENCR_AES_CBC,
        .key_bits = 256,
        .integ = AUTH_HMAC_SHA2_256_128,
        .key_in = {1, 2, 3},
        .integ_out = {4, 5},
        .esn = true,
        .replay_window = 128,
        .outbound = true,
        .out = UINT64_C(1) << 33,
        .in = 7};
    q.esp.sa.local.port = 4500;
    q.esp.sa.remote.port = 40000;
    return q;
}

static size_t samples(struct monitor_request out[SAMPLES]) {
    size_t n = 0;
    out[n++] = auth_request();
    out[n++] = routes_request();
    out[n++] = tun_request("iketcp0", 1400);
    out[n] = (struct monitor_request){.kind = REQUEST_SOCKET, .socket = HOST_TCP_LISTEN, .address = address("::")};
    out[n++].address.port = 4500;
    out[n++] = client_request("office");
    out[n++] = (struct monitor_request){.kind = REQUEST_TUN_CLOSE, .name = "ipsec5"};
    out[n++] = (struct monitor_request){.kind = REQUEST_ROUTES_DROP, .owner = 9};
    out[n++] = (struct monitor_request){.kind = REQUEST_SOURCE, .address = address("192.0.2.1")};
    out[n++] = (struct monitor_request){.kind = REQUEST_ADDRESSES, .address = {.family = 6}};
    out[n++] = (struct monitor_request){.kind = REQUEST_LOCALS};
    out[n++] = (struct monitor_request){.kind = REQUEST_RELOAD};
    out[n++] = (struct monitor_request){.kind = REQUEST_READY};
    out[n++] = (struct monitor_request){.kind = REQUEST_KEYLOG, .keylog = KEYLOG_ESP};
    out[n++] = (struct monitor_request){.kind = REQUEST_STOPPING};
    out[n++] = esp_request();
    out[n++] = (struct monitor_request){.kind = REQUEST_ESP_PROBE};
    out[n++] = (struct monitor_request){.kind = REQUEST_ESP_READ, .spi_in = 5, .remove = true};
    return n;
}

static struct span written(const struct monitor_request *q) {
    struct writer w = writer_over(record, sizeof record);
    monitor_request_write(&w, q);
    assert_true(writer_ok(&w));
    return span_of(record, w.length);
}

static bool is_taken(struct span octets) {
    struct monitor_request q;
    struct error err = {0};
    bool taken = monitor_request_read(octets, &q, &err);
    assert_true(taken || err.text[0] != 0);
    return taken;
}

/* ---- */

static void every_request_comes_back_as_it_went(void **context) {
    (void)context;
    struct monitor_request list[SAMPLES], back;
    struct error err;
    size_t count = samples(list);
    for (size_t i = 0; i < count; i++) {
        uint8_t first[4096];
        struct span octets = written(&list[i]);
        size_t length = octets.length;
        memcpy(first, octets.at, length);
        assert_true(monitor_request_read(span_of(first, length), &back, &err));
        assert_int_equal(back.kind, list[i].kind);
        assert_int_equal(back.serial, list[i].serial);
        octets = written(&back);
        assert_int_equal(octets.length, length);
        assert_memory_equal(octets.at, first, length);
    }
}

static void every_truncation_and_every_longer_record_is_refused(void **context) {
    (void)context;
    struct monitor_request list[SAMPLES];
    size_t count = samples(list);
    for (size_t i = 0; i < count; i++) {
        struct span octets = written(&list[i]);
        for (size_t length = 0; length < octets.length; length++) {
            uint8_t *exact = malloc(length + 1); /* so that a read behind the end is seen */
            memcpy(exact, octets.at, length);
            assert_false(is_taken(span_of(exact, length)));
            free(exact);
        }
        record[octets.length] = 0;
        assert_false(is_taken(span_of(record, octets.length + 1)));
    }
}

static void kinds_that_are_no_request_are_refused(void **context) {
    (void)context;
    for (unsigned kind = 0; kind < 300; kind++) {
        uint8_t octets[6] = {(uint8_t)(kind >> 8), (uint8_t)kind};
        bool no_body = kind == REQUEST_LOCALS || kind == REQUEST_RELOAD || kind == REQUEST_READY ||
                       kind == REQUEST_STOPPING || kind == REQUEST_ESP_PROBE;
        assert_int_equal(is_taken(span_of(octets, sizeof octets)), no_body);
    }
}

static void random_octets_never_crash_and_what_is_taken_is_sound(void **context) {
    (void)context;
    uint64_t seed = 1;
    struct random_source random = random_seeded(&seed);
    struct monitor_request list[SAMPLES], q;
    struct error err;
    size_t count = samples(list);
    for (int i = 0; i < 200000; i++) {
        struct span octets = written(&list[random_u32(&random) % count]);
        for (uint32_t changes = 1 + random_u32(&random) % 3; changes > 0; changes--)
            record[random_u32(&random) % octets.length] = (uint8_t)random_u32(&random);
        if (!monitor_request_read(octets, &q, &err))
            continue;
        assert_true(q.routes.remotes <= HOST_PREFIXES_MAX && q.routes.locals <= HOST_PREFIXES_MAX);
        assert_true(q.socket <= HOST_TCP);
        assert_null(strchr(q.name, '/'));
        assert_true(memchr(q.auth.connection, 0, sizeof q.auth.connection) != NULL);
        assert_true(q.auth.local_id.length <= IDENTITY_MAX && q.auth.remote_id.length <= IDENTITY_MAX);
        assert_true(q.esp.sa.key_length <= HOST_ESP_KEY_MAX && q.esp.sa.integ_length <= HOST_INTEG_KEY_MAX);
        assert_true(q.esp.sa.replay_window <= ESP_REPLAY_MAX);
        assert_true(memchr(q.esp.connection, 0, sizeof q.esp.connection) != NULL);
        assert_true(q.auth.local_octets.length + q.auth.remote_octets.length <= octets.length);
    }
}

static void device_names_are_names(void **context) {
    (void)context;
    static const char *const good[] = {"", "iketcp0", "a.b-c_D9"}, *const bad[] = {"../x", "a/b", ".", "..", "a b",
                                                                       "%d", "a\n", "\xff"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct monitor_request q = tun_request(good[i], 1400);
        assert_true(is_taken(written(&q)));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct monitor_request q = tun_request(bad[i], 1400);
        assert_false(is_taken(written(&q)));
    }
}

static void numbers_out_of_range_are_refused(void **context) {
    (void)context;
    struct monitor_request q = tun_request("t", 575);
    assert_false(is_taken(written(&q)));
    q.mtu = 65536;
    assert_false(is_taken(written(&q)));
    q = auth_request();
    q.auth.prf = 99;
    assert_false(is_taken(written(&q)));
    q = auth_request();
    q.auth.local_octets.length = 0;
    assert_false(is_taken(written(&q)));
    q = auth_request();
    q.auth.connection[0] = 0;
    assert_false(is_taken(written(&q)));
    q = (struct monitor_request){.kind = REQUEST_SOCKET, .socket = (enum host_socket_kind)3, .address = address("::")};
    assert_false(is_taken(written(&q)));
    q = client_request(""); /* for a name server */
    assert_true(is_taken(written(&q)));
    q = client_request("office");
    assert_true(is_taken(written(&q)));
    q.socket = HOST_TCP_LISTEN; /* a listener belongs to no connection */
    assert_false(is_taken(written(&q)));
    q = (struct monitor_request){.kind = REQUEST_SOCKET, .socket = HOST_UDP, .address = address("::")};
    assert_true(is_taken(written(&q)));
    q.address.family = 5;
    assert_false(is_taken(written(&q)));
    q = (struct monitor_request){.kind = REQUEST_ROUTES_DROP};
    assert_false(is_taken(written(&q)));
}

static void route_sets_are_checked_field_by_field(void **context) {
    (void)context;
    struct monitor_request q = routes_request();
    q.routes.remotes = 0; /* nothing to route is no fault */
    assert_true(is_taken(written(&q)));
    q = routes_request();
    q.routes.remotes = HOST_PREFIXES_MAX;
    for (size_t i = 0; i < HOST_PREFIXES_MAX; i++)
        q.routes.remote[i] = prefix("10.2.0.0/16");
    assert_true(is_taken(written(&q)));
    q = routes_request();
    q.routes.remote[0].length = 33;
    assert_false(is_taken(written(&q)));
    q.routes.remote[0].length = 15; /* 10.2.0.0/15 is fine, /14 has host bits */
    assert_true(is_taken(written(&q)));
    q.routes.remote[0].length = 14;
    assert_false(is_taken(written(&q)));
    q = routes_request();
    q.routes.source6 = address("10.9.9.9"); /* the same family twice */
    assert_false(is_taken(written(&q)));
    q = routes_request();
    q.routes.source.octets[9] = 1; /* octets that an IPv4 address does not have */
    assert_false(is_taken(written(&q)));
    q = routes_request();
    q.routes.device[2] = '/';
    assert_false(is_taken(written(&q)));
    q = (struct monitor_request){.kind = REQUEST_TUN_CLOSE};
    assert_false(is_taken(written(&q)));
    q = routes_request();
    q.routes.mtu = 65536;
    assert_false(is_taken(written(&q)));
}

static void an_answer_comes_back_as_it_went(void **context) {
    (void)context;
    static char text[MONITOR_RECORD_MAX];
    struct monitor_answer a = {
        .fd = -1, .yes = true, .network = UINT64_C(0x123456789abcdef0), .text = "two\nlines", .length = 77};
    struct monitor_answer back;
    enum monitor_request_kind kind;
    uint32_t serial;
    a.address = address("192.0.2.1");
    a.address2 = address("2001:db8::1");
    a.local[0] = a.address;
    a.local[1] = a.address2;
    a.locals = 2;
    strcpy(a.name, "iketcp0");
    memset(a.local_auth, 1, sizeof a.local_auth);
    memset(a.remote_auth, 2, sizeof a.remote_auth);
    fail(&a.error, PEER, NOTIFY_AUTHENTICATION_FAILED, "a sentence");
    struct writer w = writer_over(record, sizeof record);
    monitor_answer_write(&w, REQUEST_AUTH, 5, &a);
    assert_true(monitor_answer_read(span_of(record, w.length), &kind, &serial, &back, text));
    assert_int_equal(kind, REQUEST_AUTH);
    assert_int_equal(serial, 5);
    assert_int_equal(back.error.origin, ORIGIN_PEER);
    assert_int_equal(back.error.notify, NOTIFY_AUTHENTICATION_FAILED);
    assert_string_equal(back.error.text, "a sentence");
    assert_true(address_equal(&back.address, &a.address) && address_equal(&back.address2, &a.address2));
    assert_true(back.yes && back.network == a.network && back.length == 77);
    assert_true(back.locals == 2 && address_equal(&back.local[1], &a.local[1]));
    assert_string_equal(back.name, "iketcp0");
    assert_memory_equal(back.local_auth, a.local_auth, sizeof a.local_auth);
    assert_memory_equal(back.remote_auth, a.remote_auth, sizeof a.remote_auth);
    assert_string_equal(back.text, "two\nlines");
    size_t fixed = w.length - strlen(a.text);
    for (size_t length = 0; length < fixed; length++)
        assert_false(monitor_answer_read(span_of(record, length), &kind, &serial, &back, text));
}

static void a_notice_is_no_answer_and_an_answer_no_notice(void **context) {
    (void)context;
    static char text[MONITOR_RECORD_MAX];
    struct monitor_answer a = {.fd = -1};
    enum monitor_request_kind kind;
    enum monitor_notice notice;
    uint32_t serial;
    struct writer w = writer_over(record, sizeof record);
    monitor_notice_write(&w, NOTICE_STOP);
    assert_true(monitor_notice_read(span_of(record, w.length), &notice));
    assert_int_equal(notice, NOTICE_STOP);
    assert_false(monitor_answer_read(span_of(record, w.length), &kind, &serial, &a, text));
    w = writer_over(record, sizeof record);
    monitor_notice_write(&w, NOTICE_NETWORK);
    assert_true(monitor_notice_read(span_of(record, w.length), &notice));
    assert_int_equal(notice, NOTICE_NETWORK);
    w = writer_over(record, sizeof record);
    monitor_notice_write(&w, NOTICE_GONE); /* nobody says that: it is seen */
    assert_false(monitor_notice_read(span_of(record, w.length), &notice));
    w = writer_over(record, sizeof record);
    monitor_answer_write(&w, REQUEST_READY, 1, &a);
    assert_false(monitor_notice_read(span_of(record, w.length), &notice));
}

static void O5_what_the_kernel_counted_comes_back(void **context) {
    (void)context;
    static char text[MONITOR_RECORD_MAX];
    struct monitor_answer a = {.esp = {.out = 1,
                                   .in = UINT64_C(1) << 40,
                                   .packets_out = 3,
                                   .octets_out = 4,
                                   .packets_in = 5,
                                   .octets_in = 6}},
                          back;
    struct writer w = writer_over(record, sizeof record);
    enum monitor_request_kind kind;
    uint32_t serial;
    monitor_answer_write(&w, REQUEST_ESP_READ, 3, &a);
    assert_true(monitor_answer_read(span_of(record, w.length), &kind, &serial, &back, text));
    assert_int_equal(kind, REQUEST_ESP_READ);
    assert_memory_equal(&back.esp, &a.esp, sizeof a.esp);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_comes_back_as_it_went),
        cmocka_unit_test(O5_what_the_kernel_counted_comes_back),
        cmocka_unit_test(every_truncation_and_every_longer_record_is_refused),
        cmocka_unit_test(kinds_that_are_no_request_are_refused),
        cmocka_unit_test(random_octets_never_crash_and_what_is_taken_is_sound),
        cmocka_unit_test(device_names_are_names),
        cmocka_unit_test(numbers_out_of_range_are_refused),
        cmocka_unit_test(route_sets_are_checked_field_by_field),
        cmocka_unit_test(an_answer_comes_back_as_it_went),
        cmocka_unit_test(a_notice_is_no_answer_and_an_answer_no_notice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
