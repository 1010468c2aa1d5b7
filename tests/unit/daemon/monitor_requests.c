/* What the monitor grants and refuses: keys, sockets, routes, by the configuration; and what ends the engine. In a network
 * namespace of its own where root runs it, so that random requests may do what they like. */
#include "support.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/monitor_internal.h"

static const char config_text[] = "config setup\n"
                                  "    listen-tcp=443,4500\n"
                                  "    listen-tcp-congestion=reno\n"
                                  "conn office\n"
                                  "    left=192.0.2.1\n"
                                  "    leftid=@west\n"
                                  "    leftsubnet=10.1.0.0/16\n"
                                  "    right=192.0.2.2\n"
                                  "    rightid=@east\n"
                                  "    rightsubnet=10.2.0.0/16\n"
                                  "    leftsourceip=10.1.0.1\n"
                                  "    authby=secret\n"
                                  "    auto=add\n"
                                  "conn roads\n"
                                  "    left=192.0.2.1\n"
                                  "    right=%any\n"
                                  "    tcp-congestion=reno\n"
                                  "    authby=secret\n"
                                  "    auto=add\n"
                                  "conn kernel\n"
                                  "    left=192.0.2.1\n"
                                  "    leftsubnet=10.3.0.0/16\n"
                                  "    right=192.0.2.3\n"
                                  "    rightsubnet=10.4.0.0/16\n"
                                  "    kernel-esp=yes\n"
                                  "    authby=secret\n"
                                  "    auto=add\n";
static const char secrets_text[] = "@west @east : PSK \"between the two\"\n";

static struct monitor *monitor;
static int tun = -1;
static struct monitor_options options = {
    .config_path = "c", .secrets_path = "ipsec.secrets", .control_path = "/nowhere/c"};

static int setup_monitor(void **context) {
    struct diagnostics d = {0};
    struct error err = {0};
    char state[64];
    (void)context;
    if (geteuid() == 0 && unshare(CLONE_NEWNET) != 0)
        return -1;
    monitor = calloc(1, sizeof *monitor);
    struct config_source *source = config_source_from_text("ipsec.conf", config_text);
    monitor->options = &options;
    monitor->config = config_parse(source, &d);
    monitor->secrets = secrets_parse("ipsec.secrets", secrets_text, &d);
    for (size_t i = 0; i < d.count; i++)
        print_message("%s:%d: %s\n", d.list[i].file, d.list[i].line, d.list[i].text);
    diagnostics_free(&d);
    config_source_free(source);
    snprintf(state, sizeof state, "/tmp/monitor-test-%d.state", (int)getpid());
    monitor->host = host_open(state, 1234, &err);
    monitor->lock_fd = monitor->engine_fd = monitor->signal_fd = monitor->ready_pipe = -1;
    monitor->stop_by_ms = NEVER;
    log_open((enum log_level) - 1, true, "monitor"); /* nothing: refusals are many here */
    return monitor->config != NULL && monitor->secrets != NULL && monitor->host != NULL ? 0 : -1;
}

static int teardown_monitor(void **context) {
    (void)context;
    host_close(monitor->host);
    if (tun >= 0)
        close(tun);
    secrets_free(monitor->secrets);
    config_free(monitor->config);
    free(monitor);
    return 0;
}

static int setup_serving(void **context) {
    (void)context;
    struct error err;
    char name[16];
    bool offload;
    monitor->phase = PHASE_SERVING;
    monitor->bucket = (struct monitor_bucket){0};
    if (tun < 0 && geteuid() == 0)
        return host_tun_open(monitor->host, "", 1400, &tun, name, &offload, &err) ? 0 : -1;
    return 0;
}

/* The engine lives: the answer. */
static struct monitor_answer ask(const struct monitor_request *q) {
    struct monitor_answer a;
    enum monitor_request_kind kind;
    uint32_t serial;
    bool has_answer;
    struct error err = {0};
    struct writer w = writer_over(monitor->record, sizeof monitor->record);
    monitor_request_write(&w, q);
    if (!monitor_serve_record(monitor, w.length, &a, &kind, &serial, &has_answer, &err))
        stop_test("%s", err.text);
    return a;
}

/* The engine is killed: why. */
static const char *kills(const struct monitor_request *q) {
    static struct error err;
    struct monitor_answer a;
    enum monitor_request_kind kind;
    uint32_t serial;
    bool has_answer;
    struct writer w = writer_over(monitor->record, sizeof monitor->record);
    monitor_request_write(&w, q);
    assert_false(monitor_serve_record(monitor, w.length, &a, &kind, &serial, &has_answer, &err));
    return err.text;
}

static struct monitor_request auth(const char *connection, const char *local, const char *remote) {
    struct monitor_request q = {.kind = REQUEST_AUTH, .serial = 1};
    strcpy(q.auth.connection, connection);
    q.auth.prf = PRF_HMAC_SHA2_256;
    q.auth.local_id = fqdn(local);
    q.auth.remote_id = fqdn(remote);
    q.auth.local_octets = span_of("ours", 4);
    q.auth.remote_octets = span_of("theirs", 6);
    return q;
}

/* ---- keys ---- */

static void both_auth_values_come_from_the_key_of_the_pair(void **context) {
    (void)context;
    struct monitor_request q = auth("office", "west", "east");
    uint8_t local[PRF_MAX], remote[PRF_MAX];
    assert_true(psk_auth(PRF_HMAC_SHA2_256, span_of("between the two", 15), q.auth.local_octets, local));
    assert_true(psk_auth(PRF_HMAC_SHA2_256, span_of("between the two", 15), q.auth.remote_octets, remote));
    struct monitor_answer a = ask(&q);
    assert_int_equal(a.error.origin, ORIGIN_NONE);
    assert_memory_equal(a.local_auth, local, 32);
    assert_memory_equal(a.remote_auth, remote, 32);
    /* the Responder's first half of the job, too */
    q.auth.remote_octets = span_of(NULL, 0);
    a = ask(&q);
    assert_int_equal(a.error.origin, ORIGIN_NONE);
    assert_memory_equal(a.local_auth, local, 32);
    /* and as the other end, which the file may be read by */
    q = auth("office", "east", "west");
    a = ask(&q);
    assert_int_equal(a.error.origin, ORIGIN_NONE);
}

static void a_wrong_identity_is_an_answer_and_not_the_engines_end(void **context) {
    (void)context;
    struct monitor_request q = auth("office", "west", "stranger");
    struct monitor_answer a = ask(&q);
    assert_int_equal(a.error.notify, NOTIFY_AUTHENTICATION_FAILED);
    assert_non_null(strstr(a.error.text, "conn office is not for us as @west and the peer as @stranger"));
    q = auth("nothing", "west", "east");
    a = ask(&q);
    assert_non_null(strstr(a.error.text, "there is no conn 'nothing'"));
    for (size_t i = 0; i < sizeof a.local_auth; i++)
        assert_int_equal(a.local_auth[i] | a.remote_auth[i], 0);
}

static void a_pair_without_a_key_is_said(void **context) {
    (void)context;
    struct monitor_request q = auth("roads", "x", "somebody");
    q.auth.local_id = (struct identity){.type = ID_IPV4_ADDR, .data = {192, 0, 2, 1}, .length = 4};
    struct monitor_answer a = ask(&q);
    assert_int_equal(a.error.notify, NOTIFY_AUTHENTICATION_FAILED);
    assert_non_null(strstr(a.error.text, "has no PSK for 192.0.2.1 and @somebody"));
}

/* ---- the host ---- */

static const char *refusal_of_socket(enum host_socket_kind kind, const char *local, uint16_t port) {
    static struct error err;
    struct address at = address(local);
    at.port = port;
    err = (struct error){0};
    return monitor_may_open_socket(monitor->config, kind, &at, &err) ? "" : err.text;
}

static void sockets_only_for_the_ports_of_the_configuration(void **context) {
    (void)context;
    assert_string_equal(refusal_of_socket(HOST_UDP, "0.0.0.0", 500), "");
    assert_string_equal(refusal_of_socket(HOST_UDP, "::", 4500), "");
    assert_string_equal(refusal_of_socket(HOST_UDP, "::", 0), "");
    assert_string_equal(refusal_of_socket(HOST_TCP_LISTEN, "::", 443), "");
    assert_string_equal(refusal_of_socket(HOST_TCP_LISTEN, "0.0.0.0", 4500), "");
    assert_string_equal(refusal_of_socket(HOST_TCP, "0.0.0.0", 0), "");
    assert_string_equal(
        refusal_of_socket(HOST_TCP_LISTEN, "0.0.0.0", 22), "the configuration does not listen on TCP port 22");
    assert_string_equal(
        refusal_of_socket(HOST_UDP, "0.0.0.0", 443), "the configuration does not listen on UDP port 443");
    assert_string_not_equal(refusal_of_socket(HOST_TCP, "0.0.0.0", 443), "");
    assert_string_not_equal(refusal_of_socket(HOST_TCP_LISTEN, "0.0.0.0", 0), "");
}

static struct monitor_answer ask_socket(enum host_socket_kind kind, const char *connection, uint16_t port) {
    struct monitor_request q = {.kind = REQUEST_SOCKET, .socket = kind, .address = address("127.0.0.1")};
    strcpy(q.connection, connection);
    q.address.port = port;
    return ask(&q);
}

/* What a socket got, which is closed; "": no socket. */
static const char *congestion_of(struct monitor_answer answer) {
    static char name[16];
    socklen_t size = sizeof name;
    memset(name, 0, sizeof name);
    if (answer.fd < 0)
        return "";
    assert_int_equal(getsockopt(answer.fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
    close(answer.fd);
    return name;
}

static void a_stream_has_the_congestion_control_of_its_connection_and_a_listener_that_of_the_setup(void **context) {
    (void)context;
    if (geteuid() != 0)
        skip();
    assert_string_equal(congestion_of(ask_socket(HOST_TCP_LISTEN, "", 4500)), "reno");
    assert_string_equal(congestion_of(ask_socket(HOST_TCP, "roads", 0)), "reno");
    int plain = socket(AF_INET, SOCK_STREAM, 0);
    char usual[16];
    snprintf(usual, sizeof usual, "%s", congestion_of((struct monitor_answer){.fd = plain}));
    assert_string_equal(congestion_of(ask_socket(HOST_TCP, "office", 0)), usual);
    struct monitor_answer a = ask_socket(HOST_TCP, "nothing", 0);
    assert_int_equal(a.fd, -1);
    assert_string_equal(a.error.text, "there is no conn 'nothing'");
    /* what the kernel does not have: a stream with the host's default, and a warning */
    strcpy(monitor->config->connection[1].tcp_congestion, "no-such");
    assert_string_equal(congestion_of(ask_socket(HOST_TCP, "roads", 0)), usual);
    strcpy(monitor->config->connection[1].tcp_congestion, "reno");
}

static const char *refusal_of_route(const char *remote, const char *source) {
    static struct error err;
    struct host_route_set set = {.owner = 1, .remotes = 1, .remote = {prefix(remote)}};
    if (source != NULL)
        set.source = address(source);
    err = (struct error){0};
    return monitor_may_route(monitor, &set, &err) ? "" : err.text;
}

static void routes_only_for_what_connections_have_behind_them(void **context) {
    (void)context;
    assert_string_equal(refusal_of_route("10.2.0.0/16", NULL), "");
    assert_string_equal(refusal_of_route("10.2.7.0/24", "10.1.0.1"), "");
    assert_string_equal(refusal_of_route("203.0.113.7/32", NULL), ""); /* conn roads: any peer's own address */
    assert_string_equal(refusal_of_route("10.0.0.0/8", NULL), "no connection has 10.0.0.0/8 behind its remote end");
    assert_string_not_equal(refusal_of_route("0.0.0.0/0", NULL), "");
    assert_string_not_equal(refusal_of_route("203.0.113.0/24", NULL), "");
    assert_string_not_equal(refusal_of_route("2001:db8::/32", NULL), "");
    assert_string_equal(refusal_of_route("10.2.0.0/16", "10.1.0.9"), "10.1.0.9 is no connection's source address");
}

static void a_device_of_its_own_is_for_what_its_connection_has_behind_it(void **context) {
    (void)context;
    struct host_route_set set = {.owner = 1, .remotes = 1, .remote = {prefix("10.2.0.0/16")}, .device = "ipsec8"};
    struct error err = {0};
    assert_false(monitor_may_route(monitor, &set, &err));
    assert_string_equal(err.text, "no connection has the device ipsec8");
    monitor->config->connection[0].device = 9;
    assert_true(monitor_may_route(monitor, &set, &err));
    set.remote[0] = prefix("203.0.113.7/32"); /* the other connection's */
    assert_false(monitor_may_route(monitor, &set, &err));
    set.device[0] = 0;
    assert_true(monitor_may_route(monitor, &set, &err));
    set.remote[0] = prefix("10.2.0.0/16");
    assert_false(monitor_may_route(monitor, &set, &err));
    monitor->config->connection[0].device = 0;
}

static void own_devices_are_opened_by_name_and_closed(void **context) {
    (void)context;
    if (geteuid() != 0)
        skip();
    struct monitor_request open = {.kind = REQUEST_TUN, .name = "ipsec8", .mtu = 1400};
    struct monitor_request end = {.kind = REQUEST_TUN_CLOSE, .name = "ipsec8"};
    struct monitor_answer a = ask(&open);
    assert_non_null(strstr(a.error.text, "TUN device is 'iketcp0', not 'ipsec8'"));
    struct config_connection *c = &monitor->config->connection[0];
    c->device = 9;
    a = ask(&open);
    assert_non_null(strstr(a.error.text, "neither left (192.0.2.1) nor right"));
    assert_int_equal(system("ip addr add 192.0.2.1/24 dev lo && ip link set lo up"), 0);
    c->left.interface_ip = address("10.9.0.1");
    c->left.interface_bits = 30;
    a = ask(&open);
    assert_string_equal(a.error.text, "");
    assert_string_equal(a.name, "ipsec8");
    assert_int_equal(c->us, -1);
    assert_int_equal(system("ip -o addr show dev ipsec8 | grep -q 'inet 10.9.0.1/30 '"), 0);
    struct monitor_answer again = ask(&open);
    assert_string_equal(again.error.text, "ipsec8 is open already");
    (void)ask(&end);
    assert_int_not_equal(system("ip link show ipsec8 >/dev/null 2>&1"), 0);
    close(a.fd);
    (void)ask(&end); /* nothing is there, and nothing happens */
    c->device = 0;
    c->left.interface_ip = (struct address){0};
    assert_int_equal(system("ip addr del 192.0.2.1/24 dev lo"), 0);
}

static void one_device_name_is_allowed(void **context) {
    (void)context;
    struct error err = {0};
    assert_true(monitor_may_open_tun(monitor, "", &err));
    assert_true(monitor_may_open_tun(monitor, monitor->config->tun_name, &err));
    assert_false(monitor_may_open_tun(monitor, "eth0", &err));
    assert_non_null(strstr(err.text, "not 'eth0'"));
}

static void there_is_one_common_device_and_no_second(void **context) {
    (void)context;
    struct error err = {0};
    unsigned before = monitor->tuns;
    monitor->tuns = 1;
    assert_false(monitor_may_open_tun(monitor, monitor->config->tun_name, &err));
    assert_non_null(strstr(err.text, "has its TUN device already"));
    monitor->tuns = before;
}

/* ---- the table ---- */

static void a_request_at_the_wrong_time_ends_the_engine(void **context) {
    (void)context;
    struct monitor_request q = auth("office", "west", "east"), ready = {.kind = REQUEST_READY},
                           reload = {.kind = REQUEST_RELOAD};
    monitor->phase = PHASE_STARTING;
    assert_string_equal(kills(&q), "AUTH is not allowed now");
    assert_string_equal(kills(&reload), "RELOAD is not allowed now");
    monitor->phase = PHASE_SERVING;
    assert_string_equal(kills(&ready), "READY is not allowed now");
}

static void what_is_malformed_ends_the_engine(void **context) {
    (void)context;
    struct monitor_request q = {.kind = REQUEST_TUN, .name = "../../x", .mtu = 1400};
    assert_string_equal(kills(&q), "malformed TUN");
    q = (struct monitor_request){.kind = (enum monitor_request_kind)77};
    assert_string_equal(kills(&q), "there is no request 77");
}

static void no_file_for_keys_is_opened_that_the_configuration_does_not_name(void **context) {
    (void)context;
    struct monitor_request q = {.kind = REQUEST_KEYLOG, .keylog = KEYLOG_IKE};
    struct monitor_answer a = ask(&q);
    assert_int_equal(a.error.origin, ORIGIN_CONFIG);
    assert_int_equal(a.fd, -1);
    snprintf(monitor->config->keylog, sizeof monitor->config->keylog, "/tmp/monitor-test-%d.keys", (int)getpid());
    char name[CONFIG_PATH_MAX + 40];
    struct stat is;
    a = ask(&q);
    assert_true(a.fd >= 0);
    assert_int_equal(fcntl(a.fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_WRONLY | O_APPEND);
    assert_int_equal(fstat(a.fd, &is), 0);
    assert_int_equal(is.st_mode & 07777, 0600);
    close(a.fd);
    snprintf(name, sizeof name, "%s/ikev2_decryption_table", monitor->config->keylog);
    assert_int_equal(chmod(name, 0640), 0); /* others read along */
    a = ask(&q);
    assert_int_equal(a.error.origin, ORIGIN_CONFIG);
    assert_int_equal(a.fd, -1);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(chmod(monitor->config->keylog, 0777), 0);
    assert_int_equal(ask(&q).error.origin, ORIGIN_CONFIG);
    assert_int_equal(rmdir(monitor->config->keylog), 0);
    monitor->config->keylog[0] = 0;
}

static void too_many_requests_are_refused_and_later_ones_served(void **context) {
    (void)context;
    struct monitor_request q = auth("office", "west", "east");
    unsigned refused = 0;
    for (int i = 0; i < 40000 && refused == 0; i++)
        refused += ask(&q).error.origin != ORIGIN_NONE;
    assert_int_equal(refused, 1);
    monitor->bucket.at_ms -= 100;
    assert_int_equal(ask(&q).error.origin, ORIGIN_NONE);
}

static void random_records_never_crash_the_monitor(void **context) {
    (void)context;
    uint64_t seed = 3;
    struct random_source random = random_seeded(&seed);
    struct monitor_request list[] = {auth("office", "west", "east"),
        {.kind = REQUEST_SOCKET, .socket = HOST_UDP, .address = address("127.0.0.1")},
        {.kind = REQUEST_SOURCE, .address = address("127.0.0.1")},
        {.kind = REQUEST_ADDRESSES, .address = address("127.0.0.1")}, {.kind = REQUEST_ROUTES_DROP, .owner = 1},
        {.kind = REQUEST_ROUTES_SET, .routes = {.owner = 1, .remotes = 1, .remote = {prefix("10.2.0.0/16")}}}};
    for (int i = 0; i < 20000; i++) {
        struct writer w = writer_over(monitor->record, sizeof monitor->record);
        struct monitor_answer a;
        enum monitor_request_kind kind;
        uint32_t serial;
        bool has_answer;
        struct error err = {0};
        monitor_request_write(&w, &list[random_u32(&random) % (sizeof list / sizeof list[0])]);
        for (uint32_t changes = random_u32(&random) % 3; changes > 0; changes--)
            monitor->record[2 + random_u32(&random) % (w.length - 2)] ^= (uint8_t)(1u << (random_u32(&random) % 8));
        if (!monitor_serve_record(monitor, w.length, &a, &kind, &serial, &has_answer, &err)) {
            assert_true(err.text[0] != 0);
            continue;
        }
        monitor_answer_drop(&a);
        if (monitor->bucket.tokens < 100)
            monitor->bucket.at_ms = 0;
    }
}

static const char *refusal_of_esp(const char *connection, const char *ours, const char *theirs) {
    static struct error err;
    struct prefix local = prefix(ours), remote = prefix(theirs);
    struct host_esp esp = {.inner_local = selector_of_prefix(&local), .inner_remote = selector_of_prefix(&remote)};
    err = (struct error){0};
    return monitor_may_set_esp(monitor, connection, &esp, &err) ? "" : err.text;
}

static void O5_the_kernel_gets_only_child_sas_of_connections_that_say_so(void **context) {
    (void)context;
    assert_string_equal(refusal_of_esp("kernel", "10.3.0.0/16", "10.4.0.0/16"), "");
    assert_string_equal(refusal_of_esp("kernel", "10.4.7.0/24", "10.3.1.1/32"), ""); /* read by the other end */
    assert_string_equal(refusal_of_esp("office", "10.1.0.0/16", "10.2.0.0/16"), "office has no kernel-esp=yes");
    assert_string_equal(refusal_of_esp("nothing", "10.3.0.0/16", "10.4.0.0/16"), "there is no connection 'nothing'");
    const char *others[][2] = {
        {"10.3.0.0/16", "10.3.0.0/16"}, {"10.3.0.0/16", "0.0.0.0/0"}, {"10.2.0.0/15", "10.4.0.0/16"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_string_equal(
            refusal_of_esp("kernel", others[i][0], others[i][1]), "kernel has no network like that of this Child SA");
}

static void O5_what_the_kernel_does_not_have_cannot_be_read(void **context) {
    (void)context;
    struct monitor_request q = {.kind = REQUEST_ESP_READ, .serial = 1, .spi_in = 0xabcd, .remove = true};
    struct monitor_answer a = ask(&q);
    assert_string_equal(a.error.text, "the kernel does not have the SPI 0000abcd");
    q = (struct monitor_request){.kind = REQUEST_ESP_PROBE, .serial = 2};
    a = ask(&q); /* as this kernel is */
    assert_true(a.yes ? a.error.origin == ORIGIN_NONE : strstr(a.error.text, "this kernel ") == a.error.text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(both_auth_values_come_from_the_key_of_the_pair, setup_serving),
        cmocka_unit_test_setup(a_wrong_identity_is_an_answer_and_not_the_engines_end, setup_serving),
        cmocka_unit_test_setup(a_pair_without_a_key_is_said, setup_serving),
        cmocka_unit_test_setup(sockets_only_for_the_ports_of_the_configuration, setup_serving),
        cmocka_unit_test_setup(
            a_stream_has_the_congestion_control_of_its_connection_and_a_listener_that_of_the_setup, setup_serving),
        cmocka_unit_test_setup(routes_only_for_what_connections_have_behind_them, setup_serving),
        cmocka_unit_test_setup(a_device_of_its_own_is_for_what_its_connection_has_behind_it, setup_serving),
        cmocka_unit_test_setup(own_devices_are_opened_by_name_and_closed, setup_serving),
        cmocka_unit_test_setup(one_device_name_is_allowed, setup_serving),
        cmocka_unit_test_setup(there_is_one_common_device_and_no_second, setup_serving),
        cmocka_unit_test_setup(O5_the_kernel_gets_only_child_sas_of_connections_that_say_so, setup_serving),
        cmocka_unit_test_setup(O5_what_the_kernel_does_not_have_cannot_be_read, setup_serving),
        cmocka_unit_test_setup(a_request_at_the_wrong_time_ends_the_engine, setup_serving),
        cmocka_unit_test_setup(what_is_malformed_ends_the_engine, setup_serving),
        cmocka_unit_test_setup(no_file_for_keys_is_opened_that_the_configuration_does_not_name, setup_serving),
        cmocka_unit_test_setup(too_many_requests_are_refused_and_later_ones_served, setup_serving),
        cmocka_unit_test_setup(random_records_never_crash_the_monitor, setup_serving),
    };
    return cmocka_run_group_tests(tests, setup_monitor, teardown_monitor);
}
