/* connector.c: opening a connection ends in exactly one call, with addresses or with a sentence. */
#include "support.h"

#include <event2/event.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct outcome {
    int done, fd;
    struct address local, remote;
    struct error err;
    struct tcp_connector *free_inside; /* by the call itself */
};

static void on_done(
    void *context, int fd, const struct address *local, const struct address *remote, const struct error *err) {
    struct outcome *o = context;
    o->done++;
    o->fd = fd;
    o->local = *local;
    o->remote = *remote;
    o->err = *err;
    if (o->free_inside != NULL)
        tcp_connector_free(o->free_inside);
}

static struct tcp_connector *dial(struct event_base *base, const struct address *to, uint64_t ms, struct outcome *o) {
    struct error err;
    int fd = socket(to->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    *o = (struct outcome){.fd = -2};
    struct tcp_connector *c = tcp_connector_new(base, fd, to, ms, on_done, o, &err);
    assert_non_null(c);
    assert_int_equal(o->done, 0); /* never from inside */
    return c;
}

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t length = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &length), 0);
    return value;
}

static void connects_and_says_both_addresses(void **state) {
    (void)state;
    struct event_base *base = event_base_new();
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct address at;
        struct outcome o;
        int listener = listening_socket(family, 4, &at);
        o.free_inside = NULL;
        struct tcp_connector *c = dial(base, &at, 2000, &o);
        o.free_inside = c;
        loop_until(base, &o.done, 1, 2000);
        loop_for(base, 10);
        assert_int_equal(o.done, 1);
        assert_true(o.fd >= 0);
        assert_true(address_equal(&o.remote, &at));
        assert_int_equal(o.local.family, family);
        assert_true(o.local.port != 0);
        assert_int_equal(option(o.fd, IPPROTO_TCP, TCP_NODELAY), 1);
        assert_int_equal(option(o.fd, IPPROTO_TCP, TCP_KEEPIDLE), 60); /* K6 */
        assert_int_equal(option(o.fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 15000);
        close(o.fd);
        close(listener);
    }
    event_base_free(base);
}

static void a_refusal_is_a_sentence(void **state) {
    (void)state;
    struct event_base *base = event_base_new();
    struct address at;
    struct outcome o;
    close(listening_socket(4, 1, &at)); /* a port where nobody listens */
    struct tcp_connector *c = dial(base, &at, 2000, &o);
    loop_until(base, &o.done, 1, 2000);
    assert_int_equal(o.fd, -1);
    char expected[160], text[ADDRESS_TEXT_MAX];
    snprintf(expected, sizeof expected, "TCP %s refused the connection: nothing listens there",
        address_port_text(&at, text));
    assert_string_equal(o.err.text, expected);
    assert_int_equal(o.err.origin, ORIGIN_PEER);
    tcp_connector_free(c);
    event_base_free(base);
}

static void silence_ends_with_the_time(void **state) {
    (void)state;
    struct event_base *base = event_base_new();
    struct address at;
    struct outcome filler[4], o;
    struct tcp_connector *c[5];
    int listener = listening_socket(4, 0, &at);
    for (int i = 0; i < 4; i++) /* the backlog is full after the first ones: SYNs are dropped */
        c[i] = dial(base, &at, 5000, &filler[i]);
    loop_for(base, 30);
    c[4] = dial(base, &at, 150, &o);
    loop_until(base, &o.done, 1, 2000);
    assert_int_equal(o.fd, -1);
    assert_non_null(strstr(o.err.text, "did not answer within 0.1 s"));
    for (int i = 0; i < 5; i++)
        tcp_connector_free(c[i]);
    for (int i = 0; i < 4; i++)
        if (filler[i].done && filler[i].fd >= 0)
            close(filler[i].fd);
    close(listener);
    event_base_free(base);
}

static void what_fails_at_once_is_said_later(void **state) {
    (void)state;
    struct event_base *base = event_base_new();
    struct address to;
    struct error err;
    struct outcome o;
    assert_true(address_parse("255.255.255.255", &to, &err));
    to.port = 4500;
    struct tcp_connector *c = dial(base, &to, 60000, &o);
    loop_until(base, &o.done, 1, 2000);
    loop_for(base, 10);
    assert_int_equal(o.done, 1);
    assert_int_equal(o.fd, -1);
    assert_true(strlen(o.err.text) > 0);
    tcp_connector_free(c);
    event_base_free(base);
}

static void freeing_it_first_means_no_call(void **state) {
    (void)state;
    struct event_base *base = event_base_new();
    struct address at;
    struct outcome o;
    int listener = listening_socket(4, 4, &at);
    tcp_connector_free(dial(base, &at, 2000, &o));
    loop_for(base, 30);
    assert_int_equal(o.done, 0);
    close(listener);
    event_base_free(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_and_says_both_addresses),
        cmocka_unit_test(a_refusal_is_a_sentence),
        cmocka_unit_test(silence_ends_with_the_time),
        cmocka_unit_test(what_fails_at_once_is_said_later),
        cmocka_unit_test(freeing_it_first_means_no_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
