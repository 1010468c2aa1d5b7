/* The control socket against clients of every kind: patient, hasty, mute, gone. The engine is real; the monitor is a socket
 * that never answers. */
#include "daemon/engine/internal.h"
#undef fail /* cmocka has one of its own */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fixture {
    struct engine engine;
    int monitor[2];
    struct sockaddr_un address;
    char directory[32];
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    struct engine *engine = &f->engine;
    struct peers_limits limits;
    struct error error = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, f->monitor), 0);
    engine->base = event_base_new();
    engine->monitor = monitor_client_new(engine->base, f->monitor[0], &error);
    peers_limits_defaults(&limits);
    engine->peers = peers_new(&limits, 0, random_system(), engine_now());
    assert_true(engine->monitor != NULL && engine->peers != NULL && deadline_open(engine));
    engine->connections = 2;
    engine->connection = calloc(engine->connections, sizeof *engine->connection);
    assert_non_null(engine->connection);
    for (size_t i = 0; i < engine->connections; i++) {
        struct peer_config *connection = &engine->connection[i];
        snprintf(connection->name, sizeof connection->name, "%s", i == 0 ? "tunnel" : "road");
        connection->ike.name = connection->name;
        path_config_defaults(&connection->path);
        connection->path.attempt_timeout_ms = 60 * SECOND;
        connection->may_initiate = i == 0;
        snprintf(connection->remote_host, sizeof connection->remote_host, "%s", i == 0 ? "192.0.2.1" : "");
    }
    engine_apply(engine, peers_configure(engine->peers, engine_now(), engine->connection, engine->connections));

    snprintf(f->directory, sizeof f->directory, "/tmp/engine-test.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->address.sun_family = AF_UNIX;
    snprintf(f->address.sun_path, sizeof f->address.sun_path, "%s/control", f->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&f->address, sizeof f->address), 0);
    assert_int_equal(listen(fd, 128), 0);
    assert_true(control_open(engine, fd, &error));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    struct engine *engine = &f->engine;
    monitor_client_free(engine->monitor);
    control_close(engine);
    resolve_free(engine);
    deadline_close(engine);
    peers_free(engine->peers);
    free(engine->connection);
    event_base_free(engine->base);
    close(f->monitor[0]);
    close(f->monitor[1]);
    unlink(f->address.sun_path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static int client(struct fixture *f) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&f->address, sizeof f->address), 0);
    return fd;
}

static void turn(struct fixture *f, int times) {
    for (int i = 0; i < times; i++)
        event_base_loop(f->engine.base, EVLOOP_NONBLOCK);
}

static void say(int fd, const char *text) {
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What came so far, as text; "" for nothing. `closed`: the end of the stream came too. */
static const char *heard(struct fixture *f, int fd, bool *closed) {
    static char text[65536];
    size_t length = 0;
    *closed = false;
    for (int i = 0; i < 20 && !*closed; i++) {
        turn(f, 3);
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        *closed = got == 0;
        length += got > 0 ? (size_t)got : 0;
    }
    text[length] = 0;
    return text;
}

static void expect(struct fixture *f, int fd, const char *part) {
    bool closed;
    const char *text = heard(f, fd, &closed);
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

static void a_mistyped_name_is_answered_with_the_nearest(void **state) {
    struct fixture *f = *state;
    int fd = client(f);
    say(fd, "{\"command\":\"up\",\"name\":\"tunel\"}\n");
    expect(f, fd, "there is no connection 'tunel'; did you mean 'tunnel'?");
    say(fd, "{\"command\":\"status\",\"name\":\"tunnle\"}\n");
    expect(f, fd, "did you mean 'tunnel'?");
    close(fd);
}

static void a_request_in_pieces_is_one_and_two_in_one_piece_are_two(void **state) {
    struct fixture *f = *state;
    int fd = client(f);
    bool closed;
    say(fd, "{\"command\":");
    assert_string_equal(heard(f, fd, &closed), "");
    say(fd, "\"status\"}\n{\"command\":\"nonsense\"}\n");
    const char *text = heard(f, fd, &closed);
    const char *first = strstr(text, "\"connections\":[");
    assert_non_null(first);
    assert_non_null(strstr(first, "there is no such command"));
    close(fd);
}

static void what_is_no_request_gets_a_sentence_and_the_stream_goes_on(void **state) {
    static const char *const wrong[] = {"\n", "up\n", "[]\n", "{}\n", "{\"command\":7}\n", "{\"command\":\"up\"}\n",
        "{\"command\":\"up\",\"name\":[]}\n", "{\"command\":\"up\",\"command\":\"stop\"}\n", "\xff\xfe\n", "{\"a\":\n"};
    struct fixture *f = *state;
    int fd = client(f);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        say(fd, wrong[i]);
        expect(f, fd, "\"result\":\"error\"");
    }
    say(fd, "{\"command\":\"status\"}\n");
    expect(f, fd, "\"result\":\"ok\"");
    close(fd);
}

static void a_line_without_end_is_refused_and_its_client_dropped(void **state) {
    struct fixture *f = *state;
    int fd = client(f);
    char line[8192];
    memset(line, 'a', sizeof line);
    assert_true(send(fd, line, sizeof line, MSG_NOSIGNAL) > 4096);
    bool closed;
    const char *text = heard(f, fd, &closed);
    assert_non_null(strstr(text, "too long"));
    turn(f, 20);
    assert_int_equal(f->engine.control.count, 0);
    close(fd);
}

static void who_goes_away_while_waiting_is_forgotten(void **state) {
    struct fixture *f = *state;
    int fd = client(f);
    say(fd, "{\"command\":\"up\",\"name\":\"tunnel\"}\n");
    turn(f, 10);
    assert_int_equal(f->engine.control.count, 1);
    close(fd);
    turn(f, 10);
    assert_int_equal(f->engine.control.count, 0);
    int again = client(f);
    say(again, "{\"command\":\"status\"}\n");
    expect(f, again, "\"state\":\"connecting\"");
    say(again, "{\"command\":\"down\",\"name\":\"tunnel\"}\n");
    expect(f, again, "tunnel is down");
    say(again, "{\"command\":\"down\",\"name\":\"tunnel\"}\n");
    expect(f, again, "tunnel is down already");
    close(again);
}

static void a_connection_that_only_waits_for_its_peer_says_so(void **state) {
    struct fixture *f = *state;
    int fd = client(f);
    say(fd, "{\"command\":\"up\",\"name\":\"road\"}\n");
    expect(f, fd, "only that side can begin");
    say(fd, "{\"command\":\"rekey\",\"name\":\"road\"}\n");
    expect(f, fd, "road is not up");
    close(fd);
}

static void a_client_that_does_not_read_holds_up_nobody(void **state) {
    struct fixture *f = *state;
    int mute = client(f), other = client(f);
    static const char request[] = "{\"command\":\"status\"}\n";
    for (int i = 0; i < 20000; i++) {
        if (send(mute, request, sizeof request - 1, MSG_NOSIGNAL) < 0)
            break;
        turn(f, 1);
    }
    say(other, request);
    expect(f, other, "\"result\":\"ok\"");
    close(mute);
    close(other);
}

static void an_answer_reaches_who_has_shut_its_side(void **state) {
    struct fixture *f = *state;
    int fd = client(f);
    say(fd, "{\"command\":\"status\"}\n");
    shutdown(fd, SHUT_WR);
    expect(f, fd, "\"result\":\"ok\"");
    turn(f, 10);
    assert_int_equal(f->engine.control.count, 0);
    close(fd);
}

static void clients_are_bounded(void **state) {
    struct fixture *f = *state;
    int fd[80];
    for (int i = 0; i < 80; i++)
        fd[i] = client(f);
    turn(f, 100);
    assert_int_equal(f->engine.control.count, 64);
    expect(f, fd[79], "too many control clients");
    for (int i = 0; i < 80; i++)
        close(fd[i]);
    turn(f, 100);
    assert_int_equal(f->engine.control.count, 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_mistyped_name_is_answered_with_the_nearest),
        T(a_request_in_pieces_is_one_and_two_in_one_piece_are_two),
        T(what_is_no_request_gets_a_sentence_and_the_stream_goes_on),
        T(a_line_without_end_is_refused_and_its_client_dropped),
        T(who_goes_away_while_waiting_is_forgotten),
        T(a_connection_that_only_waits_for_its_peer_says_so),
        T(a_client_that_does_not_read_holds_up_nobody),
        T(an_answer_reaches_who_has_shut_its_side),
        T(clients_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
