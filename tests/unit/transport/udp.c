/* udp.c: UDP in batches over loopback: both families, local addresses, joined datagrams, ICMP errors. */
#include "support.h"

#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct ends {
    struct udp_socket *a, *b;
    struct address at_a, at_b;
};

static struct udp_socket *open_at(const struct address *address, struct address *bound) {
    struct error err;
    int fd = udp_bound(address, bound);
    struct udp_socket *udp = udp_socket_new(fd, bound->port, &err);
    assert_non_null(udp);
    assert_int_equal(udp_socket_fd(udp), fd);
    return udp;
}

static struct ends open_ends(uint8_t family) {
    struct address host = loopback(family);
    struct ends ends;
    ends.a = open_at(&host, &ends.at_a);
    ends.b = open_at(&host, &ends.at_b);
    return ends;
}

static void close_ends(struct ends ends) {
    udp_socket_free(ends.a);
    udp_socket_free(ends.b);
}

static struct udp_datagram datagram(uint8_t *octets, size_t length, struct address remote) {
    return (struct udp_datagram){.octets = octets, .length = length, .remote = remote};
}

/* Waits for datagrams; each is seen by `see`. Returns how many came until `want` or two seconds. */
static size_t receive(struct udp_socket *udp, size_t want,
    void (*see)(const struct udp_datagram *, size_t n, void *context), void *context) {
    size_t count = 0;
    struct pollfd wait = {.fd = udp_socket_fd(udp), .events = POLLIN};
    while (count < want && poll(&wait, 1, 2000) == 1) {
        struct udp_datagram *came;
        struct error err;
        int n = udp_receive(udp, &came, &err);
        assert_in_range(n, 0, UDP_RECEIVE_MAX);
        for (int i = 0; i < n; i++)
            see(&came[i], count + (size_t)i, context);
        count += (size_t)n;
    }
    return count;
}

struct expected {
    const size_t *length;
    struct address local, remote;
};

/* Datagram n is filled with n and has the n-th length. */
static void see_expected(const struct udp_datagram *d, size_t n, void *context) {
    const struct expected *e = context;
    assert_int_equal(d->length, e->length[n]);
    for (size_t i = 0; i < d->length; i++)
        assert_int_equal(d->octets[i], (uint8_t)n);
    assert_true(address_equal(&d->remote, &e->remote));
    assert_true(address_equal(&d->local, &e->local));
}

static void see_nothing(const struct udp_datagram *d, size_t n, void *context) {
    const size_t *length = context;
    assert_in_range(n, 0, 4);
    assert_int_equal(d->length, length[n]);
}

static void send_and_see(struct ends ends, const size_t *length, size_t count) {
    struct udp_datagram *list = calloc(count, sizeof *list);
    struct error err;
    for (size_t i = 0; i < count; i++) {
        list[i] = datagram(malloc(length[i] + 1), length[i], ends.at_b);
        memset(list[i].octets, (int)i, length[i]);
        if (i % 2 == 0)
            list[i].local = ends.at_a;
        if (count > 100) /* equal neighbours, so that they may leave together */
            list[i].local = ends.at_a;
    }
    assert_int_equal(udp_send(ends.a, list, count, &err), (int)count);
    struct expected e = {.length = length, .local = ends.at_b, .remote = ends.at_a};
    assert_int_equal(receive(ends.b, count, see_expected, &e), count);
    for (size_t i = 0; i < count; i++)
        free(list[i].octets);
    free(list);
}

static void datagrams_of_any_length_pass_in_both_families(void **state) {
    (void)state;
    static const size_t length[] = {1, 0, 4, 1400, 9000, 1400, 65000, 28, 0, 3};
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct ends ends = open_ends(family);
        send_and_see(ends, length, sizeof length / sizeof length[0]);
        close_ends(ends);
    }
}

static void a_burst_of_equal_ones_comes_out_apart_and_in_order(void **state) {
    (void)state;
    size_t length[120];
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct ends ends = open_ends(family);
        for (size_t i = 0; i < 120; i++) /* runs of 1,000 that end with a shorter one */
            length[i] = i % 37 == 36 ? 300 : 1000;
        send_and_see(ends, length, 120);
        close_ends(ends);
    }
}

/* A loopback device of our own whose MTU is small; false: not allowed here. */
static bool own_network(int mtu) {
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    struct ifreq request = {.ifr_name = "lo", .ifr_mtu = mtu};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(ioctl(fd, SIOCSIFMTU, &request), 0);
    request.ifr_flags = IFF_UP;
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
    close(fd);
    return true;
}

static void a_run_longer_than_the_link_takes_leaves_one_by_one_in_fragments(void **state) {
    (void)state;
    if (!own_network(1300))
        skip();
    struct ends ends = open_ends(4);
    size_t length[101];
    for (size_t i = 0; i < 101; i++)
        length[i] = i < 60 ? 1400 : 1000; /* the first ones need IP's fragments */
    send_and_see(ends, length, 101);
    close_ends(ends);
}

static void equal_neighbours_to_two_remotes_arrive_where_they_should(void **state) {
    (void)state;
    struct ends ends = open_ends(4);
    struct address host = loopback(4), at_c;
    struct udp_socket *c = open_at(&host, &at_c);
    uint8_t octets[500];
    size_t length[5] = {500, 500, 500, 500, 500};
    struct udp_datagram list[10];
    struct error err;
    memset(octets, 0, sizeof octets);
    for (size_t i = 0; i < 10; i++) /* b b c c b b c c b c */
        list[i] = datagram(octets, sizeof octets, i % 4 < 2 && i < 9 ? ends.at_b : at_c);
    assert_int_equal(udp_send(ends.a, list, 10, &err), 10);
    size_t at_b_count = receive(ends.b, 5, see_nothing, length), at_c_count = receive(c, 5, see_nothing, length);
    assert_int_equal(at_b_count + at_c_count, 10);
    udp_socket_free(c);
    close_ends(ends);
}

static void an_any_socket_says_which_address_it_came_to_and_answers_from_it(void **state) {
    (void)state;
    struct address any = {.family = 4}, bound, host = loopback(4), at_a;
    struct udp_socket *gateway = open_at(&any, &bound), *a = open_at(&host, &at_a);
    struct address second;
    struct error err;
    assert_true(address_parse("127.0.0.77", &second, &err));
    second.port = bound.port;
    uint8_t octets[8] = {0};
    size_t length = sizeof octets;
    struct udp_datagram one = datagram(octets, length, second);
    assert_int_equal(udp_send(a, &one, 1, &err), 1);
    struct expected e = {.length = &length, .local = second, .remote = at_a};
    assert_int_equal(receive(gateway, 1, see_expected, &e), 1);
    one = (struct udp_datagram){.octets = octets, .length = length, .local = second, .remote = at_a};
    assert_int_equal(udp_send(gateway, &one, 1, &err), 1);
    e = (struct expected){.length = &length, .local = at_a, .remote = second};
    assert_int_equal(receive(a, 1, see_expected, &e), 1);
    udp_socket_free(gateway);
    udp_socket_free(a);
}

static void a_port_where_nobody_listens_is_one_error_and_the_others_still_get_theirs(void **state) {
    (void)state;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct ends ends = open_ends(family);
        struct address nobody, host = loopback(family), remote;
        struct error err;
        close(udp_bound(&host, &nobody));
        uint8_t octets[4] = {0};
        size_t length = sizeof octets;
        struct udp_datagram list[] = {datagram(octets, length, nobody)};
        assert_false(udp_take_error(ends.a, &remote, &err));
        assert_int_equal(udp_send(ends.a, list, 1, &err), 1);
        sleep_ms(10);
        list[0].remote = ends.at_b; /* the error of the other one must not swallow it */
        assert_int_equal(udp_send(ends.a, list, 1, &err), 1);
        struct expected e = {.length = &length, .local = ends.at_b, .remote = ends.at_a};
        assert_int_equal(receive(ends.b, 1, see_expected, &e), 1);
        assert_true(udp_take_error(ends.a, &remote, &err));
        assert_true(address_equal(&remote, &nobody));
        char expected[160], text[ADDRESS_TEXT_MAX];
        snprintf(expected, sizeof expected, "UDP %s: the port is unreachable: nothing listens there",
            address_port_text(&nobody, text));
        assert_string_equal(err.text, expected);
        assert_false(udp_take_error(ends.a, &remote, &err));
        struct udp_datagram *came;
        assert_int_equal(udp_receive(ends.a, &came, &err), 0);
        close_ends(ends);
    }
}

static void what_can_not_be_sent_is_skipped_or_said(void **state) {
    (void)state;
    struct ends ends = open_ends(4);
    struct error err;
    uint8_t octets[70000] = {0};
    size_t length = 5;
    struct udp_datagram list[] = {datagram(octets, 66000, ends.at_b), datagram(octets, length, ends.at_b)};
    assert_int_equal(udp_send(ends.a, list, 2, &err), 1); /* too long for IP; the other one goes */
    struct expected e = {.length = &length, .local = ends.at_b, .remote = ends.at_a};
    assert_int_equal(receive(ends.b, 1, see_expected, &e), 1);
    assert_int_equal(udp_send(ends.a, list, 1, &err), -1);
    assert_non_null(strstr(err.text, "can't be sent"));
    close_ends(ends);
}

static void addresses_survive_the_sockets_structs(void **state) {
    (void)state;
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "fe80::1%7", "::"};
    for (size_t i = 0; i < 4; i++) {
        struct address in, out;
        struct error err;
        struct sockaddr_storage storage;
        assert_true(address_parse(texts[i], &in, &err));
        in.port = 4500;
        address_to_sockaddr(&in, &storage);
        address_from_sockaddr(&storage, &out);
        assert_true(address_equal(&in, &out));
    }
    struct address mapped, v4;
    struct error err;
    struct sockaddr_storage storage;
    assert_true(address_parse("::ffff:192.0.2.1", &mapped, &err));
    assert_true(address_parse("192.0.2.1", &v4, &err));
    address_to_sockaddr(&mapped, &storage);
    address_from_sockaddr(&storage, &mapped);
    assert_true(address_equal(&mapped, &v4));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_of_any_length_pass_in_both_families),
        cmocka_unit_test(a_burst_of_equal_ones_comes_out_apart_and_in_order),
        cmocka_unit_test(equal_neighbours_to_two_remotes_arrive_where_they_should),
        cmocka_unit_test(an_any_socket_says_which_address_it_came_to_and_answers_from_it),
        cmocka_unit_test(a_port_where_nobody_listens_is_one_error_and_the_others_still_get_theirs),
        cmocka_unit_test(what_can_not_be_sent_is_skipped_or_said),
        cmocka_unit_test(addresses_survive_the_sockets_structs),
        cmocka_unit_test(a_run_longer_than_the_link_takes_leaves_one_by_one_in_fragments), /* the last: it moves us */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
