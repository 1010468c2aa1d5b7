/* client.c: the engine's side of the talk with the monitor, where strangers have taken all descriptors. */
#include <event2/event.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/monitor_channel.h"
#include "daemon/monitor_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#undef fail
#include <cmocka.h>

static int answers, got;
static struct error said;
static bool gone;

static void on_answer(void *context, const struct monitor_answer *answer) {
    (void)context;
    answers++;
    said = answer->error;
    got = answer->fd;
}

static void on_notice(void *context, enum monitor_notice notice) {
    (void)context;
    gone = notice == NOTICE_GONE;
}

/* The monitor's part: answers the request that waits with a descriptor. */
static void answer_with(int monitor, int passed) {
    static uint8_t record[MONITOR_RECORD_MAX];
    struct monitor_request q;
    struct monitor_answer a = {.fd = passed};
    struct error err;
    size_t length;
    assert_int_equal(channel_receive(monitor, record, sizeof record, &length, NULL), CHANNEL_DONE);
    if (!monitor_request_read(span_of(record, length), &q, &err))
        fail_msg("%s", err.text);
    struct writer w = writer_over(record, sizeof record);
    monitor_answer_write(&w, q.kind, q.serial, &a);
    assert_int_equal(channel_send(monitor, span_of(record, w.length), passed), CHANNEL_DONE);
}

static void a_descriptor_that_finds_no_room_fails_its_request_alone(void **state) {
    (void)state;
    int pair[2];
    struct error err;
    struct rlimit before, none;
    const struct address any = {.family = 4};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    struct event_base *base = event_base_new();
    struct monitor_client *client = monitor_client_new(base, pair[0], &err);
    monitor_client_on_notice(client, on_notice, NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    int next = dup(pair[1]);
    close(next);
    none.rlim_cur = (rlim_t)next; /* the lowest free one, and so all above it */
    for (int round = 1; round <= 2; round++) {
        monitor_socket(client, HOST_TCP, &any, on_answer, NULL);
        answer_with(pair[1], pair[1]);
        if (round == 1)
            assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
        event_base_loop(base, EVLOOP_ONCE);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_false(gone);
        assert_int_equal(answers, round);
        assert_int_equal(said.origin, round == 1 ? ORIGIN_HOST : ORIGIN_NONE);
        assert_int_equal(got < 0, round == 1);
        if (round == 1)
            assert_non_null(strstr(said.text, "no descriptor left"));
    }
    close(got);
    monitor_client_free(client);
    event_base_free(base);
    close(pair[0]);
    close(pair[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_that_finds_no_room_fails_its_request_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
