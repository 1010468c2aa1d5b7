/* guests.c: who speaks no IKETCP at a listener with a web server behind it. The server here is the test itself. Rows S2,
 * L12. */
#include "support.h"

#include "transport/tls_internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct event_base *base;
    struct tls_server *server;
    struct tls_client *client;
    struct tcp_listener *listener;
    struct address at, web_at;
    int web; /* listening */
    int streams;
};

static void on_stream(void *context, const struct accepted_stream *stream) {
    struct fixture *f = context;
    f->streams++;
    tls_free(stream->tls);
    close(stream->fd);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct error err;
    f->base = event_base_new();
    f->server = tls_server_new(NULL, NULL, &err);
    f->client = tls_client_new(&err);
    f->web = listening_socket(4, 64, &f->web_at);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    if (f->listener != NULL)
        tcp_listener_free(f->listener);
    if (f->web >= 0)
        close(f->web);
    tls_server_free(f->server);
    tls_client_free(f->client);
    event_base_free(f->base);
    free(f);
    return 0;
}

static void start(struct fixture *f, uint32_t guests, uint32_t per_source, uint64_t idle_ms) {
    struct accept_limits limits = {.streams_max = 16,
        .streams_per_source = per_source,
        .first_message_ms = 5000,
        .guests_max = guests,
        .guest_idle_ms = idle_ms};
    struct error err;
    f->listener = tcp_listener_new(f->base, listening_socket(4, 64, &f->at), &limits, on_stream, f, &err);
    assert_non_null(f->listener);
    struct listener_services services = {.plain = true, .tls = f->server, .web = f->web_at};
    tcp_listener_serve(f->listener, &services);
}

static int unblocked(int fd) {
    assert_int_equal(evutil_make_socket_nonblocking(fd), 0);
    return fd;
}

static void wait_guests(struct fixture *f, size_t want) {
    for (int i = 0; tcp_listener_guests(f->listener) != want && i < 1000; i++)
        loop_for(f->base, 2);
    assert_int_equal(tcp_listener_guests(f->listener), want);
}

/* Reads exactly so many octets while the loop runs. */
static void expect_octets(struct fixture *f, int fd, const void *octets, size_t length) {
    uint8_t *came = malloc(length + 1);
    size_t got = 0;
    for (int i = 0; got < length && i < 4000; i++) {
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, came + got, length - got, MSG_DONTWAIT);
        if (n > 0)
            got += (size_t)n;
        else
            sleep_ms(1);
    }
    assert_int_equal(got, length);
    assert_memory_equal(came, octets, length);
    free(came);
}

static void expect_end(struct fixture *f, int fd) {
    uint8_t octet;
    for (int i = 0; i < 2000; i++) {
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, &octet, 1, MSG_DONTWAIT);
        assert_true(n <= 0);
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return;
        sleep_ms(1);
    }
    fail_msg("it was not ended");
}

static int take(struct fixture *f) {
    int fd = -1;
    assert_int_equal(evutil_make_socket_nonblocking(f->web), 0);
    for (int i = 0; fd < 0 && i < 2000; i++) {
        loop_for(f->base, 2);
        fd = accept4(f->web, NULL, NULL, SOCK_CLOEXEC);
    }
    assert_true(fd >= 0);
    return unblocked(fd);
}

static void S2_other_octets_reach_the_web_server_and_its_answer_comes_back(void **state) {
    struct fixture *f = *state;
    start(f, 8, 8, 5000);
    static const char *const first[] = {"GET / HTTP/1.0\r\n\r\n", "IKETCx", "\x16hello", "x"};
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        int fd = unblocked(tcp_dial(&f->at));
        send_all(fd, first[i], strlen(first[i]));
        int web = take(f);
        expect_octets(f, web, first[i], strlen(first[i]));
        send_all(web, "200 OK", 6);
        expect_octets(f, fd, "200 OK", 6);
        send_all(fd, "more", 4);
        expect_octets(f, web, "more", 4);
        /* its end goes one way, what was still to come goes the other */
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
        expect_end(f, web);
        send_all(web, "bye", 3);
        close(web);
        expect_octets(f, fd, "bye", 3);
        expect_end(f, fd);
        wait_guests(f, 0);
        close(fd);
    }
    assert_int_equal(f->streams, 0);
}

static void S2_a_stream_is_no_guest_and_a_bad_length_behind_the_prefix_neither(void **state) {
    struct fixture *f = *state;
    start(f, 8, 8, 5000);
    uint8_t octets[200] = "IKETCP";
    int fd = tcp_dial(&f->at);
    send_all(fd, octets, 6 + ike_frame(octets + 6, 1, 0, IKE_FLAG_INITIATOR, 100));
    loop_until(f->base, &f->streams, 1, 2000);
    close(fd);
    fd = unblocked(tcp_dial(&f->at));
    send_all(fd, "IKETCP\0\1", 8);
    expect_end(f, fd);
    close(fd);
    assert_int_equal(tcp_listener_guests(f->listener), 0);
}

/* A TLS client of the listener's, after its handshake. */
static struct tls *dial_tls(struct fixture *f, int *fd) {
    struct error err;
    struct tls_wanted wanted = {.server_name = "www.example", .alpn = "h2,http/1.1"};
    *fd = unblocked(tcp_dial(&f->at));
    struct tls *tls = tls_connect(f->client, *fd, &wanted, &f->at, span_of(NULL, 0), &err);
    enum tls_result result = TLS_WANTS_READ;
    for (int i = 0; result != TLS_DONE && i < 2000; i++) {
        result = tls_handshake(tls, &err);
        assert_true(result <= TLS_WANTS_WRITE);
        loop_for(f->base, 2);
    }
    assert_int_equal(result, TLS_DONE);
    return tls;
}

static void S2_a_guest_inside_tls_is_served_without_it_behind_us(void **state) {
    struct fixture *f = *state;
    start(f, 8, 8, 5000);
    int fd;
    struct error err;
    struct tls *tls = dial_tls(f, &fd);
    const unsigned char *protocol;
    unsigned length;
    SSL_get0_alpn_selected(tls->ssl, &protocol, &length);
    assert_int_equal(length, 8);
    assert_memory_equal(protocol, "http/1.1", 8);
    size_t sent, large = 700000, got = 0;
    uint8_t *octets = malloc(large), *came = malloc(large);
    for (size_t i = 0; i < large; i++)
        octets[i] = (uint8_t)(i * 7 + i / 251);
    assert_int_equal(tls_write(tls, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18, &sent, &err), TLS_DONE);
    int web = take(f);
    expect_octets(f, web, "GET / HTTP/1.1\r\n\r\n", 18);
    /* much of it, whatever the sockets take; then its end */
    size_t said = 0;
    enum tls_result result = TLS_DONE;
    for (int i = 0; i < 20000 && result <= TLS_WANTS_WRITE; i++) {
        if (said < large) {
            ssize_t n = send(web, octets + said, large - said, MSG_DONTWAIT | MSG_NOSIGNAL);
            said += n > 0 ? (size_t)n : 0;
            if (said == large)
                close(web);
        }
        event_base_loop(f->base, EVLOOP_NONBLOCK);
        size_t part = 0;
        uint8_t spare[1];
        result = got < large ? tls_read(tls, came + got, large - got < 5000 ? large - got : 5000, &part, &err)
                             : tls_read(tls, spare, 1, &part, &err);
        assert_true(got < large || part == 0);
        got += part;
        if (i % 64 == 0)
            sleep_ms(1);
    }
    assert_int_equal(result, TLS_CLOSED);
    assert_int_equal(got, large);
    assert_memory_equal(came, octets, large);
    free(octets);
    free(came);
    tls_free(tls);
    close(fd);
    wait_guests(f, 0);
}

static void L12_guests_are_bounded_in_all_and_per_source_and_idle_ones_go(void **state) {
    struct fixture *f = *state;
    start(f, 2, 8, 300);
    int fd[3];
    for (int i = 0; i < 3; i++) {
        fd[i] = unblocked(tcp_dial(&f->at));
        send_all(fd[i], "GET ", 4);
        if (i < 2)
            wait_guests(f, (size_t)i + 1);
    }
    expect_end(f, fd[2]);
    wait_guests(f, 0); /* nobody said anything */
    expect_end(f, fd[0]);
    expect_end(f, fd[1]);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    tcp_listener_free(f->listener);
    start(f, 8, 1, 5000);
    fd[0] = tcp_dial(&f->at);
    send_all(fd[0], "GET ", 4);
    wait_guests(f, 1);
    fd[1] = unblocked(tcp_dial(&f->at));
    send_all(fd[1], "GET ", 4);
    expect_end(f, fd[1]);
    assert_int_equal(tcp_listener_guests(f->listener), 1);
    close(fd[0]);
    close(fd[1]);
}

static void a_web_server_that_refuses_or_breaks_ends_its_guest(void **state) {
    struct fixture *f = *state;
    start(f, 8, 8, 5000);
    int fd = unblocked(tcp_dial(&f->at));
    send_all(fd, "GET ", 4);
    int web = take(f);
    struct linger hard = {.l_onoff = 1};
    assert_int_equal(setsockopt(web, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(web);
    expect_end(f, fd);
    wait_guests(f, 0);
    close(fd);
    close(f->web);
    f->web = -1;
    fd = unblocked(tcp_dial(&f->at));
    send_all(fd, "GET ", 4);
    expect_end(f, fd);
    wait_guests(f, 0);
    close(fd);
}

static void a_listener_that_ends_takes_its_guests_along(void **state) {
    struct fixture *f = *state;
    start(f, 8, 8, 5000);
    int fd = unblocked(tcp_dial(&f->at)), tls_fd;
    send_all(fd, "GET ", 4);
    wait_guests(f, 1);
    struct tls *tls = dial_tls(f, &tls_fd);
    tcp_listener_free(f->listener);
    f->listener = NULL;
    expect_end(f, fd);
    tls_free(tls);
    close(tls_fd);
    close(fd);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(S2_other_octets_reach_the_web_server_and_its_answer_comes_back),
        T(S2_a_stream_is_no_guest_and_a_bad_length_behind_the_prefix_neither),
        T(S2_a_guest_inside_tls_is_served_without_it_behind_us),
        T(L12_guests_are_bounded_in_all_and_per_source_and_idle_ones_go),
        T(a_web_server_that_refuses_or_breaks_ends_its_guest),
        T(a_listener_that_ends_takes_its_guests_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
