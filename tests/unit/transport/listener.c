/* listener.c: streams that strangers open, until their first message names an SPI. Rows S2, L12, O2. */
#include "support.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TAKEN_MAX 16
#define FLAG_I IKE_FLAG_INITIATOR

struct fixture {
    struct event_base *base;
    struct tcp_listener *listener;
    struct address at;
    int taken;
    struct accepted_stream stream[TAKEN_MAX];
    uint8_t octets[TAKEN_MAX][1024];
};

static void on_stream(void *context, const struct accepted_stream *stream) {
    struct fixture *f = context;
    assert_in_range(f->taken, 0, TAKEN_MAX - 1);
    f->stream[f->taken] = *stream;
    memcpy(f->octets[f->taken], stream->octets, stream->length);
    f->taken++;
}

static struct fixture *start(uint8_t family, struct accept_limits limits) {
    static struct fixture f;
    struct error err;
    f = (struct fixture){.base = event_base_new()};
    int fd = listening_socket(family, 64, &f.at);
    f.listener = tcp_listener_new(f.base, fd, &limits, on_stream, &f, &err);
    assert_non_null(f.listener);
    return &f;
}

static struct accept_limits limits_of(uint32_t most, uint32_t per_source, uint64_t ms) {
    return (struct accept_limits){.streams_max = most, .streams_per_source = per_source, .first_message_ms = ms};
}

static void stop(struct fixture *f) {
    tcp_listener_free(f->listener);
    for (int i = 0; i < f->taken; i++)
        close(f->stream[i].fd);
    event_base_free(f->base);
}

/* Runs the loop until so many streams wait; machines may be slow. */
static void wait_pending(struct fixture *f, size_t want) {
    for (int i = 0; tcp_listener_pending(f->listener) != want && i < 1000; i++)
        loop_for(f->base, 2);
    assert_int_equal(tcp_listener_pending(f->listener), want);
}

/* Runs the loop until the other side closed. */
static bool is_closed(struct fixture *f, int fd) {
    uint8_t octet;
    loop_for(f->base, 2);
    ssize_t n = recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void wait_closed(struct fixture *f, int fd) {
    for (int i = 0; !is_closed(f, fd) && i < 1000; i++)
        ;
    assert_true(is_closed(f, fd));
}

/* The other side closed and sent nothing. */
static void assert_closed_silently(int fd) {
    uint8_t octets[16];
    assert_true(read_to_end(fd, octets, sizeof octets) <= 0);
    close(fd);
}

static size_t opening(uint8_t *out, uint64_t spi_i, uint64_t spi_r, uint8_t flags) {
    memcpy(out, STREAM_PREFIX, STREAM_PREFIX_LENGTH);
    return STREAM_PREFIX_LENGTH + ike_frame(out + STREAM_PREFIX_LENGTH, spi_i, spi_r, flags, 200);
}

static void O2_a_stream_is_handed_over_with_all_that_was_read(void **state) {
    (void)state;
    for (uint8_t family = 4; family <= 6; family += 2) {
        struct fixture *f = start(family, limits_of(8, 8, 2000));
        uint8_t octets[512];
        size_t length = opening(octets, 0x1122334455667788, 0, FLAG_I);
        int fd = tcp_dial(&f->at);
        send_all(fd, octets, length);
        loop_until(f->base, &f->taken, 1, 2000);
        assert_int_equal(f->stream[0].length, length);
        assert_memory_equal(f->octets[0], octets, length);
        assert_int_equal(f->stream[0].worker, 0);
        assert_int_equal(f->stream[0].transport, TRANSPORT_TCP);
        assert_int_equal(f->stream[0].local.family, family);
        assert_true(address_equal(&f->stream[0].local, &f->at));
        assert_int_equal(tcp_listener_pending(f->listener), 0);
        close(fd);
        stop(f);
    }
}

static void S2_six_octets_are_waited_for_however_they_are_split(void **state) {
    (void)state;
    uint8_t octets[512];
    size_t length = opening(octets, 1, 0, FLAG_I);
    for (size_t cut = 1; cut < 12; cut++) {
        struct fixture *f = start(4, limits_of(8, 8, 2000));
        int fd = tcp_dial(&f->at);
        send_all(fd, octets, cut);
        wait_pending(f, 1);
        loop_for(f->base, 10);
        assert_int_equal(f->taken, 0);
        send_all(fd, octets + cut, length - cut);
        loop_until(f->base, &f->taken, 1, 2000);
        assert_memory_equal(f->octets[0], octets, f->stream[0].length);
        close(fd);
        stop(f);
    }
}

static void S2_wrong_first_octets_close_silently(void **state) {
    (void)state;
    static const char *const wrong[] = {"GET / HTTP/1.1\r\n\r\n", "IKETCQ", "iketcp", "IKETCx\0\x20", "\x16\x03\x01"};
    struct fixture *f = start(4, limits_of(8, 8, 5000));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int fd = tcp_dial(&f->at);
        send_all(fd, wrong[i], strlen(wrong[i]));
        wait_closed(f, fd);
        assert_int_equal(tcp_listener_pending(f->listener), 0);
        assert_closed_silently(fd);
    }
    assert_int_equal(f->taken, 0);
    stop(f);
}

static void S5_a_bad_length_behind_the_prefix_closes_silently(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 5000));
    /* Length 1; an IKE message that is shorter than its header. */
    static const char *const wrong[] = {"IKETCP\0\1", "IKETCP\0\10\0\0\0\0ab"};
    static const size_t length[] = {8, 14};
    for (size_t i = 0; i < 2; i++) {
        int fd = tcp_dial(&f->at);
        send_all(fd, wrong[i], length[i]);
        wait_closed(f, fd);
        assert_int_equal(tcp_listener_pending(f->listener), 0);
        assert_closed_silently(fd);
    }
    stop(f);
}

static void S6_keepalives_and_empty_messages_name_nobody_and_are_bounded(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 5000));
    uint8_t octets[512] = "IKETCP\0\2\0\3\xff\0\4ab";
    size_t length = 6 + 2 + 3 + 4;
    int fd = tcp_dial(&f->at);
    send_all(fd, octets, length);
    loop_for(f->base, 20);
    assert_int_equal(f->taken, 0);
    length += esp_frame(octets + length, 0x05000001, 60, 1);
    send_all(fd, octets + 15, length - 15);
    loop_until(f->base, &f->taken, 1, 2000);
    assert_int_equal(f->stream[0].worker, 5);
    close(fd);

    fd = tcp_dial(&f->at);
    send_all(fd, "IKETCP", 6);
    for (int i = 0; i < 400; i++)
        send_all(fd, "\0\3\xff", 3);
    wait_closed(f, fd); /* enough is enough */
    assert_int_equal(tcp_listener_pending(f->listener), 0);
    assert_closed_silently(fd);
    stop(f);
}

static void L4_the_worker_is_named_by_the_SPI_that_we_chose(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 2000));
    uint8_t octets[512];
    int a = tcp_dial(&f->at), b = tcp_dial(&f->at);
    send_all(a, octets, opening(octets, 0x0300000000000001, 0x0700000000000001, FLAG_I));
    loop_until(f->base, &f->taken, 1, 2000);
    send_all(b, octets, opening(octets, 0x0300000000000001, 0x0700000000000001, 0)); /* we rekeyed it */
    loop_until(f->base, &f->taken, 2, 2000);
    assert_int_equal(f->stream[0].worker, 7);
    assert_int_equal(f->stream[1].worker, 3);
    close(a);
    close(b);
    stop(f);
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void L12_a_silent_stream_is_closed_in_time_and_octets_buy_none(void **state) {
    (void)state;
    const uint64_t limit = 200;
    struct fixture *f = start(4, limits_of(8, 8, limit));
    uint8_t octets[512];
    opening(octets, 1, 0, FLAG_I);
    uint64_t began = now_ms();
    int silent = tcp_dial(&f->at), slow = tcp_dial(&f->at);
    wait_pending(f, 2);
    size_t sent = 0; /* 31 octets name nobody yet */
    for (; sent < 31 && !is_closed(f, slow); sent++) {
        send_all(slow, octets + sent, 1);
        loop_for(f->base, limit / 5);
    }
    assert_true(sent < 31);
    assert_true(now_ms() - began >= limit);
    wait_closed(f, silent);
    assert_int_equal(f->taken, 0);
    assert_closed_silently(silent);
    assert_closed_silently(slow);
    stop(f);
}

static void L12_one_source_has_only_so_many(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 2, 5000));
    int fd[3];
    for (int i = 0; i < 2; i++) {
        fd[i] = tcp_dial(&f->at);
        wait_pending(f, (size_t)i + 1);
    }
    fd[2] = tcp_dial(&f->at);
    wait_closed(f, fd[2]);
    assert_int_equal(tcp_listener_pending(f->listener), 2);
    assert_closed_silently(fd[2]);
    uint8_t octets[512];
    send_all(fd[0], octets, opening(octets, 1, 0, FLAG_I)); /* who speaks makes room */
    loop_until(f->base, &f->taken, 1, 2000);
    fd[2] = tcp_dial(&f->at);
    wait_pending(f, 2);
    for (int i = 0; i < 3; i++)
        close(fd[i]);
    stop(f);
}

static void L12_a_flood_pushes_out_the_oldest_and_who_speaks_gets_through(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(3, 100, 5000));
    int fd[6];
    for (int i = 0; i < 5; i++) {
        fd[i] = tcp_dial(&f->at);
        if (i < 3)
            wait_pending(f, (size_t)i + 1);
        else
            wait_closed(f, fd[i - 3]);
        assert_true(tcp_listener_pending(f->listener) <= 3);
    }
    assert_closed_silently(fd[0]);
    assert_closed_silently(fd[1]);
    uint8_t octets[512];
    fd[5] = tcp_dial(&f->at);
    send_all(fd[5], octets, opening(octets, 1, 0, FLAG_I));
    loop_until(f->base, &f->taken, 1, 2000);
    for (int i = 2; i < 6; i++)
        close(fd[i]);
    stop(f);
}

static void a_stream_that_closes_early_is_forgotten(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 5000));
    int fd = tcp_dial(&f->at);
    send_all(fd, "IKET", 4);
    wait_pending(f, 1);
    close(fd);
    wait_pending(f, 0);
    stop(f);
}

static void pausing_leaves_connections_in_the_backlog(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 5000));
    tcp_listener_pause(f->listener, true);
    uint8_t octets[512];
    int fd = tcp_dial(&f->at);
    send_all(fd, octets, opening(octets, 1, 0, FLAG_I));
    loop_for(f->base, 20);
    assert_int_equal(f->taken, 0);
    tcp_listener_pause(f->listener, false);
    loop_until(f->base, &f->taken, 1, 2000);
    close(fd);
    stop(f);
}

static void freeing_closes_those_that_wait(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 5000));
    int fd = tcp_dial(&f->at);
    wait_pending(f, 1);
    stop(f);
    assert_closed_silently(fd);
}

static int troubles;

static void count_trouble(void *context, const struct error *why) {
    (void)context;
    troubles++;
    assert_non_null(strstr(why->text, "descriptors"));
}

static void a_client_for_whom_there_is_no_descriptor_waits_and_it_is_said_once(void **state) {
    (void)state;
    struct fixture *f = start(4, limits_of(8, 8, 20000));
    struct rlimit before, none;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), next = dup(fd);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = (rlim_t)next; /* the next one would be beyond */
    tcp_listener_on_trouble(f->listener, count_trouble);
    loop_for(f->base, 1); /* whatever the loop opens */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct sockaddr_storage to;
    unsigned length = address_to_sockaddr(&f->at, &to);
    (void)connect(fd, (struct sockaddr *)&to, length);
    for (int i = 0; troubles == 0 && i < 1000; i++)
        loop_for(f->base, 2);
    assert_int_equal(troubles, 1);
    loop_for(f->base, 100);
    assert_int_equal(tcp_listener_pending(f->listener), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    wait_pending(f, 1);
    assert_int_equal(troubles, 1);
    close(fd);
    stop(f);
}

static void L12_descriptors_are_left_for_what_we_open_ourselves(void **state) {
    (void)state;
    struct accept_limits limits = limits_of(64, 64, 5000);
    int lowest = open("/dev/null", O_RDONLY), fd[24];
    close(lowest);
    limits.descriptor_most = lowest + 24; /* the loop, the listener and the dialling side have some of them */
    struct fixture *f = start(4, limits);
    for (int i = 0; i < 24; i++) {
        fd[i] = tcp_dial(&f->at);
        loop_for(f->base, 5);
    }
    int next = open("/dev/null", O_RDONLY);
    assert_true(next < limits.descriptor_most + 24); /* the dialling side's, no accepted one's */
    close(next);
    wait_closed(f, fd[0]); /* the oldest makes room */
    uint8_t octets[512];
    size_t length = opening(octets, 0x0300000000000001, 0x0700000000000001, FLAG_I);
    for (int i = 0; i < 24; i++)
        close(fd[i]);
    wait_pending(f, 0);
    int last = tcp_dial(&f->at);
    send_all(last, octets, length);
    loop_until(f->base, &f->taken, 1, 2000);
    close(last);
    stop(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_for_whom_there_is_no_descriptor_waits_and_it_is_said_once),
        cmocka_unit_test(L12_descriptors_are_left_for_what_we_open_ourselves),
        cmocka_unit_test(O2_a_stream_is_handed_over_with_all_that_was_read),
        cmocka_unit_test(S2_six_octets_are_waited_for_however_they_are_split),
        cmocka_unit_test(S2_wrong_first_octets_close_silently),
        cmocka_unit_test(S5_a_bad_length_behind_the_prefix_closes_silently),
        cmocka_unit_test(S6_keepalives_and_empty_messages_name_nobody_and_are_bounded),
        cmocka_unit_test(L4_the_worker_is_named_by_the_SPI_that_we_chose),
        cmocka_unit_test(L12_a_silent_stream_is_closed_in_time_and_octets_buy_none),
        cmocka_unit_test(L12_one_source_has_only_so_many),
        cmocka_unit_test(L12_a_flood_pushes_out_the_oldest_and_who_speaks_gets_through),
        cmocka_unit_test(a_stream_that_closes_early_is_forgotten),
        cmocka_unit_test(pausing_leaves_connections_in_the_backlog),
        cmocka_unit_test(freeing_closes_those_that_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
