/* Real routes, rules, addresses and devices, in a network namespace that ends with this process. Needs root and `ip`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* base/ has one of its own */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"

/* cmocka's fail_msg, whose inside base/'s `fail` hides */
#define stop_test(...) \
    do { \
        print_error("ERROR: " __VA_ARGS__); \
        print_error("\n"); \
        _fail(__FILE__, __LINE__); \
    } while (0)
#define MARK UINT32_C(0x494b4554)
#define EVERYTHING \
    "ip -o addr show; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all; ip -o link show"

static char state[128], other_state[128];

/* ---- the ground that tests stand on ---- */

static char *output_of(const char *command) {
    static char text[8][65536];
    static unsigned turn;
    char *out = text[turn++ % 8];
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t length = fread(out, 1, sizeof text[0] - 1, pipe);
    out[length] = 0;
    pclose(pipe);
    return out;
}

static void run(const char *command) {
    if (system(command) != 0)
        stop_test("%s failed", command);
}

static struct address address(const char *text) {
    struct address a;
    struct error err;
    assert_true(address_parse(text, &a, &err));
    return a;
}

static struct prefix prefix(const char *text) {
    struct prefix p;
    struct error err;
    assert_true(prefix_parse(text, &p, &err));
    return p;
}

static struct host *host(void) {
    struct error err = {0};
    struct host *h = host_open(state, MARK, &err);
    if (h == NULL)
        stop_test("%s", err.text);
    return h;
}

static int tun(struct host *h) {
    struct error err = {0};
    char name[16];
    bool offload;
    int fd;
    if (!host_tun_open(h, "iketcp0", 1400, &fd, name, &offload, &err))
        stop_test("%s", err.text);
    assert_string_equal(name, "iketcp0");
    assert_true(offload);
    return fd;
}

static struct host_route_set set_of(uint32_t owner, const char *first, const char *second) {
    struct host_route_set set = {.owner = owner, .outer_remote = address("198.51.100.9")};
    set.remote[set.remotes++] = prefix(first);
    if (second != NULL)
        set.remote[set.remotes++] = prefix(second);
    return set;
}

static void must_set(struct host *h, const struct host_route_set *set) {
    struct error err = {0};
    if (!host_routes_set(h, set, &err))
        stop_test("%s", err.text);
}

static int own_device(struct host *h, const char *name, const char *ip) {
    struct host_device wanted = {.mtu = 1400};
    struct error err = {0};
    bool offload;
    int fd;
    snprintf(wanted.name, sizeof wanted.name, "%s", name);
    if (ip != NULL) {
        wanted.address = address(ip);
        wanted.address_bits = 30;
    }
    if (!host_device_open(h, &wanted, &fd, &offload, &err))
        stop_test("%s", err.text);
    assert_true(offload);
    return fd;
}

/* Packets with `mark` (in `mask`) are routed by `table`; mask 0: it has a table alone. */
static int marked_device(struct host *h, const char *name, uint32_t table, uint32_t mark, uint32_t mask) {
    struct host_device wanted = {.mtu = 1400, .table = table, .mark = mark, .mark_mask = mask};
    struct error err = {0};
    bool offload;
    int fd;
    snprintf(wanted.name, sizeof wanted.name, "%s", name);
    if (!host_device_open(h, &wanted, &fd, &offload, &err))
        stop_test("%s", err.text);
    return fd;
}

static struct host_route_set set_on(const char *device, uint32_t owner, const char *first, const char *second) {
    struct host_route_set set = set_of(owner, first, second);
    snprintf(set.device, sizeof set.device, "%s", device);
    return set;
}

static void expect_device(const char *question, const char *device) {
    char command[256], wanted[64];
    snprintf(command, sizeof command, "ip route get %s 2>&1", question);
    snprintf(wanted, sizeof wanted, "dev %s ", device);
    const char *said = output_of(command);
    if (strstr(said, wanted) == NULL)
        stop_test("%s: not through %s: %s", question, device, said);
}

/* A LAN 192.0.2.0/24 and 2001:db8:1::/64 on host-lan, the default gateway on it. */
static int setup_namespace(void **context) {
    (void)context;
    if (geteuid() != 0)
        return 0;
    if (unshare(CLONE_NEWNET) != 0)
        return -1;
    run("ip link set lo up && ip link add host-lan type veth peer name host-out && ip link set host-lan up && "
        "ip link set host-out up && ip addr add 192.0.2.5/24 dev host-lan && ip route add default via 192.0.2.1 && "
        "ip -6 addr add 2001:db8:1::5/64 dev host-lan nodad && ip -6 route add default via 2001:db8:1::1");
    sleep(2); /* link-local addresses become final */
    snprintf(state, sizeof state, "/tmp/host-test-%d.state", (int)getpid());
    snprintf(other_state, sizeof other_state, "/tmp/host-test-%d.other", (int)getpid());
    return 0;
}

#define NEEDS_ROOT \
    if (geteuid() != 0) \
    skip()

/* ---- routes ---- */

static void a_set_that_is_dropped_leaves_exactly_nothing(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    const char *before = output_of(EVERYTHING);
    struct host_route_set set = set_of(7, "10.2.0.0/16", "2001:db8:77::/48");
    set.source = address("10.1.0.77");
    set.source6 = address("2001:db8:66::1");
    set.mtu = 1390;
    set.advmss4 = 1350;
    set.advmss6 = 1330;
    must_set(h, &set);
    assert_non_null(strstr(output_of("ip route show table all"), "src 10.1.0.77 mtu 1390 advmss 1350"));
    assert_non_null(strstr(output_of("ip -6 route show table all"), "src 2001:db8:66::1"));
    assert_non_null(strstr(output_of("ip addr show dev iketcp0"), "inet 10.1.0.77/32"));
    assert_non_null(strstr(output_of("ip addr show dev iketcp0"), "inet6 2001:db8:66::1/128"));
    expect_device("10.2.3.4", "iketcp0");
    expect_device("2001:db8:77::1", "iketcp0");
    host_routes_drop(h, 7);
    assert_string_equal(output_of(EVERYTHING), before);
    host_close(h);
    close(fd);
}

static void closing_leaves_exactly_nothing_even_while_the_device_is_open(void **context) {
    (void)context;
    NEEDS_ROOT;
    const char *before = output_of(EVERYTHING);
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set set = set_of(1, "0.0.0.0/0", "::/0");
    must_set(h, &set);
    assert_int_equal(access(state, F_OK), 0);
    host_close(h);
    assert_string_equal(output_of(EVERYTHING), before);
    assert_int_equal(access(state, F_OK), -1);
    close(fd);
}

static void the_device_ends_with_its_descriptor(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    assert_non_null(strstr(output_of("ip -o link show dev iketcp0"), "mtu 1400"));
    assert_null(strstr(output_of("ip addr show dev iketcp0"), "fe80"));
    assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    close(fd);
    assert_string_equal(output_of("ip -o link show dev iketcp0 2>/dev/null"), "");
    host_close(h);
}

static void a_name_that_is_taken_gives_another(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    struct error err = {0};
    char name[16];
    bool offload;
    int first = tun(h), second;
    assert_true(host_tun_open(h, "iketcp0", 1400, &second, name, &offload, &err));
    assert_string_equal(name, "iketcp1");
    close(first);
    close(second);
    host_close(h);
}

/* The kernel asks whoever holds the descriptor for no privilege. */
static void a_device_that_its_holder_made_persistent_is_taken_back(void **context) {
    (void)context;
    NEEDS_ROOT;
    const char *before = output_of(EVERYTHING);
    struct host *h = host();
    int fd = tun(h);
    assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
    close(fd);
    assert_non_null(strstr(output_of(EVERYTHING), "iketcp0"));
    host_close(h);
    assert_string_equal(output_of(EVERYTHING), before);
}

static void a_set_that_is_replaced_has_what_the_new_one_says(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set first = set_of(1, "10.2.0.0/16", "10.3.0.0/16"),
                          second = set_of(1, "10.3.0.0/16", "10.4.0.0/16");
    first.mtu = 1300;
    first.source = address("10.9.0.1");
    second.mtu = 1200;
    second.source = address("10.9.0.2");
    must_set(h, &second);
    const char *wanted = output_of(EVERYTHING);
    host_routes_drop(h, 1);
    must_set(h, &first);
    must_set(h, &second);
    assert_string_equal(output_of(EVERYTHING), wanted);
    host_close(h);
    close(fd);
}

static void two_peers_with_one_prefix_share_its_route(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    const char *before = output_of(EVERYTHING);
    struct host_route_set one = set_of(1, "10.2.0.0/16", NULL), two = set_of(2, "10.2.0.0/16", NULL);
    one.mtu = 1300;
    two.mtu = 1200;
    must_set(h, &one);
    must_set(h, &two);
    host_routes_drop(h, 2);
    assert_non_null(strstr(output_of("ip route get 10.2.0.1"), "iketcp0"));
    assert_non_null(strstr(output_of("ip route show table all"), "mtu 1300"));
    host_routes_drop(h, 1);
    assert_string_equal(output_of(EVERYTHING), before);
    host_close(h);
    close(fd);
}

static void an_empty_set_takes_back_the_older_one(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    const char *before = output_of(EVERYTHING);
    struct host_route_set set = set_of(1, "10.2.0.0/16", NULL), empty = {.owner = 1};
    must_set(h, &set);
    must_set(h, &empty);
    assert_string_equal(output_of(EVERYTHING), before);
    host_close(h);
    close(fd);
}

static void what_cannot_be_set_leaves_nothing_and_says_why(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    struct error err = {0};
    struct host_route_set set = set_of(1, "10.2.0.0/16", "127.0.0.0/8");
    assert_false(host_routes_set(h, &set, &err));
    assert_non_null(strstr(err.text, "no TUN device"));
    int fd = tun(h);
    const char *before = output_of(EVERYTHING);
    assert_false(host_routes_set(h, &set, &err));
    assert_non_null(strstr(err.text, "127.0.0.0/8 is loopback"));
    set = set_of(1, "10.2.0.0/16", "ff02::/16");
    assert_false(host_routes_set(h, &set, &err));
    /* The kernel refuses a source that no device has; here one that it won't put on a device. */
    set = set_of(1, "10.2.0.0/16", NULL);
    set.source = address("224.0.0.1");
    assert_false(host_routes_set(h, &set, &err));
    assert_string_equal(output_of(EVERYTHING), before);
    host_close(h);
    close(fd);
}

static void the_whole_internet_swallows_neither_marked_sockets_nor_the_lan(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set set = set_of(1, "0.0.0.0/0", "::/0");
    must_set(h, &set);
    expect_device("203.0.113.1", "iketcp0");
    expect_device("198.51.100.9", "iketcp0");
    expect_device("198.51.100.9 mark 0x494b4554", "host-lan");
    expect_device("192.0.2.99", "host-lan");
    expect_device("2001:db8:9::1", "iketcp0");
    expect_device("2001:db8:9::1 mark 0x494b4554", "host-lan");
    expect_device("2001:db8:1::99", "host-lan");
    struct address local = address("0.0.0.0"), source;
    struct error err = {0};
    int outer;
    assert_true(host_socket(h, HOST_UDP, &local, &outer, &err));
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(4500)}, from = {0};
    socklen_t length = sizeof from;
    inet_pton(AF_INET, "198.51.100.9", &to.sin_addr);
    assert_int_equal(connect(outer, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(getsockname(outer, (struct sockaddr *)&from, &length), 0);
    assert_int_equal(from.sin_addr.s_addr, inet_addr("192.0.2.5"));
    assert_true(host_source_for(h, &set.outer_remote, &source, &err));
    assert_memory_equal(source.octets, address("192.0.2.5").octets, 4);
    close(outer);
    host_close(h);
    close(fd);
}

static void a_selector_that_covers_the_peer_itself_leaves_the_outer_connection_alone(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set set = set_of(1, "198.51.100.9/32", NULL);
    must_set(h, &set);
    expect_device("198.51.100.9", "iketcp0");
    expect_device("198.51.100.9 mark 0x494b4554", "host-lan");
    host_close(h);
    close(fd);
}

static void a_connected_network_inside_a_wide_selector_stays_reachable(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    const char *before = output_of(EVERYTHING);
    struct host_route_set set = set_of(1, "192.0.0.0/16", NULL), exact = set_of(2, "192.0.2.0/24", NULL);
    must_set(h, &set);
    expect_device("192.0.3.1", "iketcp0");
    expect_device("192.0.2.99", "host-lan");
    must_set(h, &exact); /* asked for by name, it is routed */
    expect_device("192.0.2.99", "iketcp0");
    host_routes_drop(h, 2);
    expect_device("192.0.2.99", "host-lan");
    host_routes_drop(h, 1);
    assert_string_equal(output_of(EVERYTHING), before);
    host_close(h);
    close(fd);
}

static void a_strict_filter_that_would_drop_the_peer_is_said(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set whole = set_of(1, "0.0.0.0/0", NULL), narrow = set_of(1, "10.2.0.0/16", NULL);
    must_set(h, &whole);
    assert_string_equal(host_warning(h), "");
    run("echo 1 > /proc/sys/net/ipv4/conf/host-lan/rp_filter");
    must_set(h, &whole);
    assert_non_null(strstr(host_warning(h), "net.ipv4.conf.host-lan.rp_filter=2"));
    must_set(h, &narrow);
    assert_string_equal(host_warning(h), "");
    run("echo 0 > /proc/sys/net/ipv4/conf/host-lan/rp_filter");
    host_close(h);
    close(fd);
}

static void a_source_is_found_among_the_local_prefixes(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set set = set_of(1, "10.2.0.0/16", "2001:db8:77::/48");
    set.local[set.locals++] = prefix("192.0.2.0/25");
    set.local[set.locals++] = prefix("2001:db8:1::/64");
    must_set(h, &set);
    assert_non_null(strstr(output_of("ip route get 10.2.0.1"), "src 192.0.2.5"));
    assert_non_null(strstr(output_of("ip route get 2001:db8:77::1"), "src 2001:db8:1::5"));
    assert_null(strstr(output_of("ip addr show dev iketcp0"), "inet"));
    host_close(h);
    close(fd);
}

static void an_address_that_the_host_has_stays_where_it_is(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    const char *before = output_of(EVERYTHING);
    struct host_route_set set = set_of(1, "10.2.0.0/16", NULL);
    set.source = address("192.0.2.5");
    must_set(h, &set);
    assert_null(strstr(output_of("ip addr show dev iketcp0"), "inet"));
    assert_non_null(strstr(output_of("ip route get 10.2.0.1"), "src 192.0.2.5"));
    host_routes_drop(h, 1);
    assert_string_equal(output_of(EVERYTHING), before);
    host_close(h);
    close(fd);
}

/* ---- being killed, and living together ---- */

/* Packets with the mark go by the table of the device, all others do not. 0x54/0xff is in the mark of what carries tunnels. */
static void a_mark_leads_to_the_table_of_its_device_and_nothing_else_does(void **context) {
    (void)context;
    NEEDS_ROOT;
    char *before = strdup(output_of(EVERYTHING));
    struct host *h = host();
    int five = marked_device(h, "ipsec5", 105, 5, UINT32_MAX), six = marked_device(h, "ipsec6", 106, 0x54, 0xff);
    int seven = marked_device(h, "ipsec7", 107, 0, 0);
    struct host_route_set set = set_on("ipsec5", 5, "10.2.0.0/16", "2001:db8:77::/48");
    struct host_route_set all = set_on("ipsec6", 6, "0.0.0.0/0", "::/0"),
                          table = set_on("ipsec7", 7, "10.2.0.0/16", NULL);
    all.local[all.locals++] = prefix("0.0.0.0/0");
    all.local[all.locals++] = prefix("::/0");
    must_set(h, &set);
    must_set(h, &all);
    must_set(h, &table);
    assert_null(strstr(output_of("ip route show table main; ip -6 route show table main"), "ipsec"));
    assert_null(strstr(output_of("ip rule; ip -6 rule"), "52000"));
    expect_device("10.2.3.4", "host-lan");
    expect_device("10.2.3.4 mark 5", "ipsec5");
    expect_device("2001:db8:77::1 mark 5", "ipsec5");
    expect_device("10.3.3.4 mark 5", "host-lan");
    expect_device("10.2.3.4 mark 0x154", "ipsec6");
    expect_device("2001:db8:88::1 mark 0x54", "ipsec6");
    expect_device("203.0.113.1 mark 0x494b4554", "host-lan"); /* MARK, which ends in 54 */
    run("sysctl -qw net.ipv4.ip_forward=1");
    expect_device("10.2.3.4 from 10.7.0.1 iif host-lan mark 0x54", "ipsec6");
    expect_device("10.2.3.4 from 10.7.0.1 iif ipsec6 mark 0x54", "host-lan"); /* came out of the tunnel */
    run("sysctl -qw net.ipv4.ip_forward=0");
    assert_non_null(strstr(output_of("ip route show table 107"), "10.2.0.0/16 dev ipsec7"));
    host_device_close(h, "ipsec6");
    expect_device("10.2.3.4 mark 5", "ipsec5");
    expect_device("10.2.3.4 mark 0x54", "host-lan");
    assert_true(host_device_close(h, "ipsec5"));
    assert_false(host_device_close(h, "ipsec5"));
    assert_null(strstr(output_of("ip rule; ip -6 rule"), "nop"));
    host_close(h);
    assert_string_equal(output_of(EVERYTHING), before);
    assert_int_equal(access(state, F_OK), -1);
    free(before);
    close(five);
    close(six);
    close(seven);
}

static int marking_device(struct host *h, const char *name, uint32_t mark, uint32_t mask) {
    struct host_device wanted = {.mtu = 1400, .mark_in = mark, .mark_in_mask = mask};
    struct error err = {0};
    bool offload;
    int fd;
    snprintf(wanted.name, sizeof wanted.name, "%s", name);
    if (!host_device_open(h, &wanted, &fd, &offload, &err))
        stop_test("%s", err.text);
    return fd;
}

/* An ICMP echo request as the worker would write it to the TUN. */
static void comes_out(int fd) {
    static const uint8_t packet[10 + 28] = {[10] = 0x45,
        [10 + 3] = 28,
        [10 + 8] = 64,
        [10 + 9] = 1,
        [10 + 10] = 0xae,
        [10 + 11] = 0xd9,
        [10 + 12] = 10,
        2,
        0,
        1,
        [10 + 16] = 192,
        0,
        2,
        5,
        [10 + 20] = 8,
        0,
        0xf7,
        0xff};
    assert_int_equal(write(fd, packet, sizeof packet), sizeof packet);
}

static void what_comes_out_of_a_device_gets_its_mark_and_the_filter_ends_with_us(void **context) {
    (void)context;
    NEEDS_ROOT;
    if (system("nft list ruleset >/dev/null 2>&1") != 0)
        skip();
    struct host *h = host();
    int five = marking_device(h, "ipsec5", 0x50, 0xf0), six = marking_device(h, "ipsec6", 6, UINT32_MAX);
    run("nft 'add table ip seen; add counter ip seen five; add counter ip seen six; add counter ip seen none; "
        "add chain ip seen c { type filter hook prerouting priority mangle; }; add rule ip seen c meta mark 0x50 "
        "counter name five; "
        "add rule ip seen c meta mark 6 counter name six; add rule ip seen c iifname ipsec5 meta mark 0 counter name "
        "none'");
    comes_out(five);
    comes_out(five);
    comes_out(six);
    assert_non_null(strstr(output_of("nft list counter ip seen five"), "packets 2 "));
    assert_non_null(strstr(output_of("nft list counter ip seen six"), "packets 1 "));
    assert_non_null(strstr(output_of("nft list counter ip seen none"), "packets 0 "));
    run("nft delete table ip seen");
    run("nft flush ruleset"); /* is for those of others */
    assert_non_null(strstr(output_of("nft list ruleset"), "ipsec6"));
    host_device_close(h, "ipsec6");
    const char *ruleset = output_of("nft list ruleset");
    assert_null(strstr(ruleset, "ipsec6"));
    assert_non_null(strstr(ruleset, "ipsec5"));
    int again = marking_device(h, "ipsec6", 7, 7);
    assert_non_null(strstr(output_of("nft list ruleset"), "ipsec6"));
    host_close(h);
    assert_string_equal(output_of("nft list ruleset"), "");
    close(five);
    close(six);
    close(again);
}

static pid_t run_that_is_killed(void) {
    int ends[2];
    char octet;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct host *h = host();
        (void)tun(h);
        struct host_route_set set = set_of(1, "0.0.0.0/0", "10.2.0.0/16"), wide = set_of(2, "192.0.0.0/16", "::/0");
        set.source = address("10.1.0.77");
        must_set(h, &set);
        must_set(h, &wide);
        (void)marked_device(h, "ipsec5", 105, 5, UINT32_MAX);
        (void)marked_device(h, "ipsec6", 106, 0x54, 0xff);
        (void)marking_device(h, "ipsec7", 7, 7);
        if (write(ends[1], "1", 1) == 1)
            pause();
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &octet, 1), 1);
    close(ends[0]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return child;
}

static void what_a_killed_run_left_is_gone_after_the_next_open(void **context) {
    (void)context;
    NEEDS_ROOT;
    const char *before = output_of(EVERYTHING);
    run_that_is_killed();
    assert_string_not_equal(output_of(EVERYTHING), before);
    assert_int_equal(access(state, F_OK), 0);
    assert_string_equal(output_of("nft list ruleset 2>/dev/null"), "");
    struct host *h = host();
    assert_string_equal(output_of(EVERYTHING), before);
    assert_int_equal(access(state, F_OK), -1);
    host_close(h);
    assert_string_equal(output_of(EVERYTHING), before);
}

static void two_instances_share_a_host_and_leave_each_other_alone(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct error err = {0};
    char name[16];
    bool offload;
    struct host *one = host(), *two = host_open(other_state, MARK, &err);
    assert_non_null(two);
    int first = tun(one), second;
    struct host_route_set whole = set_of(1, "0.0.0.0/0", NULL), part = set_of(1, "10.2.0.0/16", "::/0");
    must_set(one, &whole);
    const char *alone = output_of(EVERYTHING);
    assert_true(host_tun_open(two, "iketcp0", 1400, &second, name, &offload, &err));
    must_set(two, &part);
    expect_device("10.2.0.1", "iketcp1"); /* a selector of one beats the whole of the other */
    expect_device("10.3.0.1", "iketcp0");
    host_close(two);
    assert_string_equal(output_of(EVERYTHING), alone);
    close(second);
    host_close(one);
    close(first);
}

static void nonsense_in_the_clean_up_file_harms_nobody(void **context) {
    (void)context;
    NEEDS_ROOT;
    static const char *const texts[] = {"", "nonsense\n", "iketcp clean-up 1\nmark 1\ntables 254 255\n",
        "iketcp clean-up 1\nmark 1\ntables 254", "iketcp clean-up 1\nmark 99999999999999999999\ntables 0 1\n"};
    const char *before = output_of(EVERYTHING);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        FILE *file = fopen(state, "w");
        assert_non_null(file);
        fputs(texts[i], file);
        fclose(file);
        host_close(host());
        assert_string_equal(output_of(EVERYTHING), before);
    }
}

/* ---- sockets and questions ---- */

static int option_of(int fd, int level, int option) {
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, option, &value, &length), 0);
    return value;
}

static void sockets_are_marked_and_do_not_block(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    struct error err = {0};
    const char *const locals[] = {"0.0.0.0", "::", "192.0.2.5"};
    for (int kind = HOST_UDP; kind <= HOST_TCP; kind++)
        for (size_t i = 0; i < 3; i++) {
            struct address local = address(locals[i]);
            int fd;
            local.port = kind == HOST_TCP ? 0 : 4500;
            if (!host_socket(h, (enum host_socket_kind)kind, &local, &fd, &err))
                stop_test("%s", err.text);
            assert_int_equal(option_of(fd, SOL_SOCKET, SO_MARK), (int)MARK);
            assert_int_equal(option_of(fd, SOL_SOCKET, SO_ACCEPTCONN), kind == HOST_TCP_LISTEN);
            assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
            assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
            if (kind == HOST_UDP) {
                assert_true(option_of(fd, SOL_SOCKET, SO_RCVBUF) >= 4 << 20);
                if (local.family == 4)
                    assert_int_equal(option_of(fd, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
            }
            if (local.family == 6)
                assert_int_equal(option_of(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
            close(fd);
        }
    host_close(h);
}

static void a_port_that_is_taken_is_said(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    struct error err = {0};
    struct address local = address("0.0.0.0");
    int first, second;
    local.port = 4500;
    for (int kind = HOST_UDP; kind <= HOST_TCP_LISTEN; kind++) {
        assert_true(host_socket(h, (enum host_socket_kind)kind, &local, &first, &err));
        assert_false(host_socket(h, (enum host_socket_kind)kind, &local, &second, &err));
        assert_int_equal(second, -1);
        assert_non_null(strstr(err.text, "0.0.0.0:4500: Address already in use"));
        close(first);
    }
    host_close(h);
}

static void the_host_knows_its_addresses_and_its_default_route(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    struct error err = {0};
    struct address local, hop, a = address("192.0.2.5"), b = address("192.0.2.6"), c = address("2001:db8:1::5");
    assert_true(host_has_address(h, &a));
    assert_false(host_has_address(h, &b));
    assert_true(host_has_address(h, &c));
    struct address all[8];
    size_t count = host_addresses(h, all, 8);
    bool has_a = false, has_c = false;
    for (size_t i = 0; i < count; i++) {
        assert_false(all[i].family == 4 ? all[i].octets[0] == 127 : all[i].octets[0] == 0xfe || all[i].octets[0] == 0);
        has_a |= address_same_host(&all[i], &a);
        has_c |= address_same_host(&all[i], &c);
    }
    assert_true(has_a && has_c);
    assert_int_equal(host_addresses(h, all, 1), 1);
    assert_true(host_default_route(h, 4, &local, &hop, &err));
    assert_memory_equal(local.octets, a.octets, 4);
    assert_memory_equal(hop.octets, address("192.0.2.1").octets, 4);
    assert_true(host_default_route(h, 6, &local, &hop, &err));
    assert_memory_equal(local.octets, c.octets, 16);
    struct prefix inside[] = {prefix("10.0.0.0/8"), prefix("192.0.2.0/30"), prefix("192.0.2.4/30")};
    assert_true(host_address_inside(h, inside, 3, &local));
    assert_memory_equal(local.octets, a.octets, 4);
    assert_false(host_address_inside(h, inside, 2, &local));
    host_close(h);
}

static void the_networks_name_changes_with_the_network_and_not_with_tunnels(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    uint64_t here = host_network(h);
    struct host_route_set set = set_of(1, "0.0.0.0/0", "10.2.0.0/16");
    set.source = address("10.1.0.77");
    assert_true(here != 0);
    must_set(h, &set);
    assert_true(host_network(h) == here);
    run("ip route replace default via 192.0.2.2");
    assert_true(host_network(h) != here);
    run("ip route replace default via 192.0.2.1");
    assert_true(host_network(h) == here);
    host_close(h);
    close(fd);
}

static bool changed_within(struct host *h, int fd, int ms) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    while (poll(&wait, 1, ms) == 1)
        if (host_watch_changed(h))
            return true;
    return false;
}

static void changes_of_the_network_are_noticed_and_those_of_ours_are_not(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    struct error err;
    int watch = -1;
    assert_true(host_watch_open(h, &watch, &err));
    run("ip route replace default via 192.0.2.2");
    assert_true(changed_within(h, watch, 1000));
    run("ip route replace default via 192.0.2.1");
    assert_true(changed_within(h, watch, 1000));
    while (changed_within(h, watch, 100))
        ;
    int fd = tun(h);
    while (changed_within(h, watch, 100)) /* the device itself is there before it is known as ours */
        ;
    struct host_route_set set = set_of(1, "0.0.0.0/0", "10.2.0.0/16");
    set.source = address("10.1.0.77");
    must_set(h, &set);
    host_routes_drop(h, 1);
    assert_false(changed_within(h, watch, 200));
    int own = own_device(h, "ipsec5", "10.9.0.1");
    struct host_route_set on_own = set_on("ipsec5", 5, "10.3.0.0/16", NULL);
    must_set(h, &on_own);
    host_device_close(h, "ipsec5");
    assert_false(changed_within(h, watch, 200));
    close(own);
    run("ip link add new0 type veth peer name new1 && ip addr add 198.51.100.9/24 dev new0");
    assert_true(changed_within(h, watch, 1000));
    run("ip link del new0");
    assert_true(changed_within(h, watch, 1000));
    host_close(h);
    close(fd);
}

static void a_network_that_comes_later_is_reachable_beside_a_wide_selector(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int fd = tun(h);
    struct host_route_set set = set_of(1, "10.0.0.0/8", "10.2.0.0/16");
    must_set(h, &set);
    run("ip link add new0 type veth peer name new1 && ip addr add 10.99.0.1/24 dev new0 && ip link set new0 up");
    host_routes_renew(h);
    assert_non_null(strstr(output_of("ip route get 10.99.0.7"), "new0"));
    assert_null(strstr(output_of("ip route get 10.98.0.7"), "new0"));
    run("ip link del new0");
    host_routes_renew(h);
    assert_null(strstr(output_of("ip route get 10.99.0.7"), "new0"));
    host_close(h);
    close(fd);
}

/* ---- devices of single connections ---- */

static void devices_share_a_prefix_and_the_next_one_takes_over(void **context) {
    (void)context;
    NEEDS_ROOT;
    char *before = strdup(output_of(EVERYTHING));
    struct host *h = host();
    int common = tun(h), five = own_device(h, "ipsec5", "10.9.0.1"), six = own_device(h, "ipsec6", NULL);
    assert_non_null(strstr(output_of("ip addr show dev ipsec5"), "inet 10.9.0.1/30"));
    assert_non_null(strstr(output_of("ip route show table main"), "10.9.0.0/30 dev ipsec5"));
    assert_string_equal(output_of("cat /proc/sys/net/ipv4/conf/ipsec6/rp_filter"), "0\n");
    struct host_route_set on_six = set_on("ipsec6", 6, "10.2.0.0/16", "2001:db8:77::/48");
    struct host_route_set on_five = set_on("ipsec5", 5, "10.2.0.0/16", "2001:db8:77::/48");
    struct host_route_set on_common = set_of(1, "10.2.0.0/16", NULL);
    on_five.source = address("10.1.0.77");
    on_six.source = address("10.1.0.77");
    must_set(h, &on_six);
    must_set(h, &on_five);
    must_set(h, &on_common);
    expect_device("10.2.3.4", "iketcp0");
    expect_device("2001:db8:77::1", "ipsec5");
    expect_device("10.2.3.4 mark 0x494b4554", "host-lan");
    host_routes_drop(h, 1);
    expect_device("10.2.3.4", "ipsec5");
    assert_non_null(strstr(output_of("ip addr show dev ipsec6"), "inet 10.1.0.77/32"));
    assert_true(host_device_close(h, "ipsec6")); /* with an address that the other needs as well */
    expect_device("10.2.3.4", "ipsec5");
    assert_non_null(strstr(output_of("ip addr show dev ipsec5"), "inet 10.1.0.77/32"));
    host_routes_drop(h, 6);
    host_routes_drop(h, 5);
    close(six);
    six = own_device(h, "ipsec6", NULL);
    assert_null(strstr(output_of("ip route show table all"), "10.2.0.0/16 dev ipsec6"));
    host_close(h);
    assert_string_equal(output_of(EVERYTHING), before);
    free(before);
    close(common);
    close(five);
    close(six);
}

static void the_same_networks_on_both_sides_are_no_route(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    int common = tun(h), five = own_device(h, "ipsec5", NULL);
    struct host_route_set set = set_on("ipsec5", 5, "0.0.0.0/0", "::/0");
    set.local[set.locals++] = prefix("::/0");
    set.local[set.locals++] = prefix("0.0.0.0/0");
    must_set(h, &set);
    expect_device("10.2.3.4", "host-lan");
    set.local[0] = prefix("2001:db8:9::/48");
    must_set(h, &set);
    expect_device("10.2.3.4", "ipsec5");
    host_close(h);
    close(common);
    close(five);
}

static void a_device_that_is_there_is_nobody_elses_to_take(void **context) {
    (void)context;
    NEEDS_ROOT;
    const char *before = output_of(EVERYTHING);
    struct host *h = host();
    struct host_device wanted = {.name = "ipsec5", .mtu = 1400};
    struct error err = {0};
    bool offload;
    int fd;
    run("ip link add ipsec5 type veth peer name other");
    assert_false(host_device_open(h, &wanted, &fd, &offload, &err));
    assert_string_equal(err.text, "there is a device ipsec5 already, which is not ours");
    assert_int_equal(fd, -1);
    run("ip link del ipsec5");
    struct host_route_set set = set_on("ipsec5", 5, "10.2.0.0/16", NULL);
    assert_false(host_routes_set(h, &set, &err));
    assert_string_equal(err.text, "there is no TUN device ipsec5 yet for routes");
    host_close(h);
    assert_string_equal(output_of(EVERYTHING), before);
}

static void a_filter_that_no_device_can_undo_is_said(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct host *h = host();
    run("echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter");
    int five = own_device(h, "ipsec5", "10.9.0.1");
    assert_string_equal(host_warning(h), "");
    int six = own_device(h, "ipsec6", NULL);
    assert_non_null(strstr(host_warning(h), "net.ipv4.conf.all.rp_filter is 2"));
    run("echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter");
    host_close(h);
    close(five);
    close(six);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_that_is_dropped_leaves_exactly_nothing),
        cmocka_unit_test(closing_leaves_exactly_nothing_even_while_the_device_is_open),
        cmocka_unit_test(the_device_ends_with_its_descriptor),
        cmocka_unit_test(a_name_that_is_taken_gives_another),
        cmocka_unit_test(a_set_that_is_replaced_has_what_the_new_one_says),
        cmocka_unit_test(a_device_that_its_holder_made_persistent_is_taken_back),
        cmocka_unit_test(two_peers_with_one_prefix_share_its_route),
        cmocka_unit_test(an_empty_set_takes_back_the_older_one),
        cmocka_unit_test(what_cannot_be_set_leaves_nothing_and_says_why),
        cmocka_unit_test(the_whole_internet_swallows_neither_marked_sockets_nor_the_lan),
        cmocka_unit_test(a_selector_that_covers_the_peer_itself_leaves_the_outer_connection_alone),
        cmocka_unit_test(a_connected_network_inside_a_wide_selector_stays_reachable),
        cmocka_unit_test(devices_share_a_prefix_and_the_next_one_takes_over),
        cmocka_unit_test(a_mark_leads_to_the_table_of_its_device_and_nothing_else_does),
        cmocka_unit_test(what_comes_out_of_a_device_gets_its_mark_and_the_filter_ends_with_us),
        cmocka_unit_test(the_same_networks_on_both_sides_are_no_route),
        cmocka_unit_test(a_device_that_is_there_is_nobody_elses_to_take),
        cmocka_unit_test(a_filter_that_no_device_can_undo_is_said),
        cmocka_unit_test(a_strict_filter_that_would_drop_the_peer_is_said),
        cmocka_unit_test(a_source_is_found_among_the_local_prefixes),
        cmocka_unit_test(an_address_that_the_host_has_stays_where_it_is),
        cmocka_unit_test(what_a_killed_run_left_is_gone_after_the_next_open),
        cmocka_unit_test(two_instances_share_a_host_and_leave_each_other_alone),
        cmocka_unit_test(nonsense_in_the_clean_up_file_harms_nobody),
        cmocka_unit_test(sockets_are_marked_and_do_not_block),
        cmocka_unit_test(a_port_that_is_taken_is_said),
        cmocka_unit_test(the_host_knows_its_addresses_and_its_default_route),
        cmocka_unit_test(the_networks_name_changes_with_the_network_and_not_with_tunnels),
        cmocka_unit_test(a_network_that_comes_later_is_reachable_beside_a_wide_selector),
        cmocka_unit_test(changes_of_the_network_are_noticed_and_those_of_ours_are_not),
    };
    return cmocka_run_group_tests(tests, setup_namespace, NULL);
}
