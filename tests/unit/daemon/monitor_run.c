/* The monitor's whole life with an engine of our own, which does what a test says: ready, stop, reload, being killed, being
 * wrong. In a network namespace; needs root. What both processes log is what the tests read. */
#include "support.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/monitor.h"

#define NEEDS_ROOT \
    if (geteuid() != 0) \
    skip()

static enum scenario {
    SERVE,
    DIE_AT_ONCE,
    ASK_TWICE_TO_BE_READY,
    IGNORE_STOP,
    CRASH_WHEN_READY,
    ROUTES_THEN_SERVE,
    ASK_FOR_TOO_MUCH,
} scenario;

/* ---------------------------------------------------------------- the engine ---- */

static struct monitor_client *client;
static struct event_base *base;
static int answers;

static void on_routes(void *context, const struct monitor_answer *a) {
    (void)context;
    log_info("routes: %s", a->error.origin == ORIGIN_NONE ? "set" : a->error.text);
}

static void on_tun(void *context, const struct monitor_answer *a) {
    struct host_route_set set = {
        .owner = 1, .remotes = 1, .remote = {prefix("10.2.0.0/16")}, .source = address("10.1.0.1")};
    (void)context;
    log_info("tun %s, descriptor %s", a->name, a->fd >= 0 ? "here" : "missing"); /* left open: the device lives */
    monitor_routes_set(client, &set, on_routes, NULL);
}

static void on_ready(void *context, const struct monitor_answer *a) {
    (void)context;
    log_info("ready: %s, descriptor %s", a->error.origin == ORIGIN_NONE ? "yes" : a->error.text,
        a->fd >= 0 ? "here" : "missing");
    if (scenario == CRASH_WHEN_READY) {
        (void)signal(SIGABRT, SIG_DFL);
        abort();
    }
    if (scenario == ROUTES_THEN_SERVE)
        monitor_tun(client, "", 1400, on_tun, NULL);
}

static void on_reloaded(void *context, const struct monitor_answer *a) {
    (void)context;
    if (a->error.origin == ORIGIN_NONE)
        log_info("reloaded: %zu octets", a->length);
    else
        log_info("not reloaded: %s: %s", a->error.text, a->text);
}

static void on_notice(void *context, enum monitor_notice notice) {
    (void)context;
    if (notice == NOTICE_RELOAD)
        monitor_reload(client, on_reloaded, NULL);
    if (notice == NOTICE_GONE || (notice == NOTICE_STOP && scenario != IGNORE_STOP))
        event_base_loopexit(base, NULL);
}

static void on_too_much(void *context, const struct monitor_answer *a) {
    (void)context;
    answers++;
    if (a->error.origin != ORIGIN_NONE && strstr(a->error.text, "does not fit") != NULL)
        log_info("answer %d: too long", answers);
}

static void ask_for_too_much(void) {
    static uint8_t octets[MONITOR_RECORD_MAX];
    struct peer_auth_wanted wanted = {.connection = "office",
        .prf = PRF_HMAC_SHA2_256,
        .local_id = fqdn("west"),
        .remote_id = fqdn("east"),
        .local_octets = span_of(octets, sizeof octets)};
    struct address any = {.family = 4};
    monitor_address(client, &any, on_too_much, NULL);
    monitor_auth(client, &wanted, on_too_much, NULL);
    monitor_address(client, &any, on_too_much, NULL);
    monitor_ready(client, on_ready, NULL);
    assert_int_equal(answers, 0); /* never from inside the call */
}

int engine_main(int fd, const uint8_t *source, size_t length, int log_level) {
    struct error err;
    (void)source;
    (void)log_level;
    log_info("engine runs as %s, %zu octets of configuration", geteuid() == 0 ? "root" : "somebody", length);
    if (scenario == DIE_AT_ONCE)
        return 3;
    base = event_base_new();
    client = monitor_client_new(base, fd, &err);
    monitor_client_on_notice(client, on_notice, NULL);
    if (scenario == ASK_FOR_TOO_MUCH)
        ask_for_too_much();
    else
        monitor_ready(client, on_ready, NULL);
    if (scenario == ASK_TWICE_TO_BE_READY)
        monitor_ready(client, on_ready, NULL);
    event_base_dispatch(base);
    monitor_client_free(client);
    event_base_free(base);
    return 0;
}

/* ---------------------------------------------------------------- the ground ---- */

static char directory[64], config_path[96], secrets_path[96], control_path[96], log_path[96];
static pid_t daemon_pid;

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static const char *log_text(void) {
    static char text[65536];
    int fd = open(log_path, O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[got > 0 ? got : 0] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

static void pause_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

static bool comes(const char *sentence) {
    for (int i = 0; i < 300; i++) {
        if (strstr(log_text(), sentence) != NULL)
            return true;
        pause_a_little();
    }
    print_error("'%s' is not in:\n%s", sentence, log_text());
    return false;
}

static bool exists(const char *suffix) {
    char path[128];
    snprintf(path, sizeof path, "%s%s", control_path, suffix);
    return access(path, F_OK) == 0;
}

static int setup_files(void **context) {
    (void)context;
    if (geteuid() != 0)
        return 0;
    strcpy(directory, "/tmp/monitor-run-XXXXXX");
    if (unshare(CLONE_NEWNET) != 0 || mkdtemp(directory) == NULL)
        return -1;
    snprintf(config_path, sizeof config_path, "%s/ipsec.conf", directory);
    snprintf(secrets_path, sizeof secrets_path, "%s/ipsec.secrets", directory);
    snprintf(control_path, sizeof control_path, "%s/run/control", directory);
    snprintf(log_path, sizeof log_path, "%s/log", directory);
    return 0;
}

static int setup_good_files(void **context) {
    (void)context;
    if (geteuid() != 0)
        return 0;
    write_file(config_path, "conn office\n left=192.0.2.1\n leftid=@west\n leftsubnet=10.1.0.0/16\n"
                            " leftsourceip=10.1.0.1\n right=192.0.2.2\n rightid=@east\n rightsubnet=10.2.0.0/16\n"
                            " authby=secret\n auto=add\n");
    write_file(secrets_path, "@west @east : PSK \"a key\"\n");
    return chmod(secrets_path, 0600);
}

static int teardown_files(void **context) {
    char command[128];
    (void)context;
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return geteuid() != 0 || system(command) == 0 ? 0 : -1;
}

static pid_t start(enum scenario what, bool foreground) {
    struct monitor_options options = {.config_path = config_path,
        .secrets_path = secrets_path,
        .control_path = control_path,
        .foreground = foreground,
        .log_level = LOG_LEVEL_INFO,
        .mark = 4711};
    scenario = what;
    write_file(log_path, "");
    pid_t child = fork();
    if (child == 0) {
        int fd = open(log_path, O_WRONLY | O_APPEND);
        dup2(fd, STDERR_FILENO);
        dup2(fd, STDOUT_FILENO);
        close(fd);
        exit(monitor_run(&options));
    }
    return child;
}

static int end_of(pid_t pid) {
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void expect_nothing_left(void) {
    static const char *const suffixes[] = {"", ".pid", ".lock", ".state", ".new", ".pid.new"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (exists(suffixes[i]))
            stop_test("control%s is left", suffixes[i]);
}

static pid_t start_ready(enum scenario what) {
    pid_t pid = start(what, true);
    assert_true(comes("ready: yes, descriptor here"));
    return pid;
}

/* ---------------------------------------------------------------- tests ---- */

static void ready_makes_the_socket_and_SIGTERM_takes_it_all_back(void **context) {
    struct stat status;
    (void)context;
    NEEDS_ROOT;
    pid_t pid = start_ready(SERVE);
    assert_true(comes("engine runs as somebody"));
    assert_int_equal(stat(control_path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_true(S_ISSOCK(status.st_mode) && status.st_uid == 0);
    assert_true(exists(".pid") && exists(".lock"));
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 0);
    expect_nothing_left();
}

static void an_engine_that_dies_early_is_said_and_ends_the_daemon(void **context) {
    (void)context;
    NEEDS_ROOT;
    assert_int_equal(end_of(start(DIE_AT_ONCE, true)), 1);
    assert_true(comes("the engine ended unasked, with status 3"));
    expect_nothing_left();
}

static void an_engine_that_crashes_later_is_said_too(void **context) {
    (void)context;
    NEEDS_ROOT;
    assert_int_equal(end_of(start(CRASH_WHEN_READY, true)), 1);
    assert_true(comes("the engine died of signal 6"));
    expect_nothing_left();
}

static void an_engine_that_asks_what_it_must_not_is_killed(void **context) {
    (void)context;
    NEEDS_ROOT;
    assert_int_equal(end_of(start(ASK_TWICE_TO_BE_READY, true)), 1);
    assert_true(comes("engine killed: READY is not allowed now"));
    expect_nothing_left();
}

static void an_engine_that_does_not_stop_is_killed_within_two_seconds(void **context) {
    struct timespec begin, end;
    (void)context;
    NEEDS_ROOT;
    pid_t pid = start_ready(IGNORE_STOP);
    clock_gettime(CLOCK_MONOTONIC, &begin);
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 < 2300);
    assert_true(comes("did not end in time"));
    expect_nothing_left();
}

static void a_second_one_on_the_same_socket_says_so(void **context) {
    char text[256];
    (void)context;
    NEEDS_ROOT;
    pid_t pid = start_ready(SERVE);
    assert_int_equal(end_of(start(SERVE, true)), 1);
    snprintf(text, sizeof text, "another iketcpd (pid %d) serves %s already", (int)pid, control_path);
    assert_true(comes(text));
    assert_true(exists(""));
    kill(pid, SIGINT);
    assert_int_equal(end_of(pid), 0);
}

static void routes_are_set_and_taken_back_even_after_a_kill(void **context) {
    (void)context;
    NEEDS_ROOT;
    static const char nothing[] = "test -z \"$(ip route show table all | grep 'proto 198')$(ip rule | grep 220:)\"";
    pid_t pid = start_ready(ROUTES_THEN_SERVE);
    assert_true(comes("routes: set"));
    assert_int_not_equal(system(nothing), 0);
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 0);
    assert_int_equal(system(nothing), 0);
    pid = start_ready(ROUTES_THEN_SERVE);
    assert_true(comes("routes: set"));
    kill(pid, SIGKILL);
    assert_int_equal(end_of(pid), 1000 + SIGKILL);
    assert_true(exists(".state"));
    pid = start_ready(SERVE);
    assert_int_equal(system(nothing), 0);
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 0);
    expect_nothing_left();
}

static void a_reload_brings_new_texts_or_says_what_is_wrong(void **context) {
    (void)context;
    NEEDS_ROOT;
    pid_t pid = start_ready(SERVE);
    kill(pid, SIGHUP);
    assert_true(comes("reloaded: "));
    write_file(config_path, "conn office\n nonsense=1\n");
    kill(pid, SIGHUP);
    assert_true(comes("not reloaded: the new configuration has errors; the old one stays: "));
    assert_true(comes("ipsec.conf:2:"));
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 0);
}

static void files_with_errors_are_said_before_anything_happens(void **context) {
    (void)context;
    NEEDS_ROOT;
    chmod(secrets_path, 0644);
    assert_int_equal(end_of(start(SERVE, true)), 1);
    assert_true(comes("ipsec.secrets"));
    expect_nothing_left();
    write_file(config_path, "conn office\n nonsense=1\n");
    assert_int_equal(end_of(start(SERVE, true)), 1);
    assert_true(comes("ipsec.conf:2:"));
    expect_nothing_left();
}

static void in_the_background_the_command_returns_when_it_is_ready(void **context) {
    (void)context;
    NEEDS_ROOT;
    char path[128], text[16] = "";
    assert_int_equal(end_of(start(SERVE, false)), 0);
    assert_true(exists(""));
    snprintf(path, sizeof path, "%s.pid", control_path);
    int fd = open(path, O_RDONLY);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    daemon_pid = (pid_t)strtol(text, NULL, 10);
    assert_int_equal(end_of(start(SERVE, false)), 1);
    snprintf(path, sizeof path, "another iketcpd (pid %d)", (int)daemon_pid);
    assert_true(comes(path));
    kill(daemon_pid, SIGTERM);
    for (int i = 0; i < 300 && exists(".lock"); i++)
        pause_a_little();
    expect_nothing_left();
    assert_int_equal(end_of(start(DIE_AT_ONCE, false)), 1);
    assert_true(comes("the engine ended unasked, with status 3"));
    expect_nothing_left();
}

static void a_request_that_can_not_be_sent_is_answered_in_its_turn(void **context) {
    (void)context;
    NEEDS_ROOT;
    pid_t pid = start_ready(ASK_FOR_TOO_MUCH);
    assert_true(comes("answer 2: too long"));
    kill(pid, SIGTERM);
    assert_int_equal(end_of(pid), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ready_makes_the_socket_and_SIGTERM_takes_it_all_back, setup_good_files),
        cmocka_unit_test_setup(an_engine_that_dies_early_is_said_and_ends_the_daemon, setup_good_files),
        cmocka_unit_test_setup(an_engine_that_crashes_later_is_said_too, setup_good_files),
        cmocka_unit_test_setup(an_engine_that_asks_what_it_must_not_is_killed, setup_good_files),
        cmocka_unit_test_setup(an_engine_that_does_not_stop_is_killed_within_two_seconds, setup_good_files),
        cmocka_unit_test_setup(a_second_one_on_the_same_socket_says_so, setup_good_files),
        cmocka_unit_test_setup(routes_are_set_and_taken_back_even_after_a_kill, setup_good_files),
        cmocka_unit_test_setup(a_reload_brings_new_texts_or_says_what_is_wrong, setup_good_files),
        cmocka_unit_test_setup(files_with_errors_are_said_before_anything_happens, setup_good_files),
        cmocka_unit_test_setup(in_the_background_the_command_returns_when_it_is_ready, setup_good_files),
        cmocka_unit_test_setup(a_request_that_can_not_be_sent_is_answered_in_its_turn, setup_good_files),
    };
    return cmocka_run_group_tests(tests, setup_files, teardown_files);
}
