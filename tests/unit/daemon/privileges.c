/* A child that dropped its privileges, as the kernel sees it, and what it can't do any more. Needs root. */
#include "support.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/monitor.h"

#define NEEDS_ROOT \
    if (geteuid() != 0) \
    skip()

/* Runs `what` in a child after privileges_drop(user); its result. */
static int in_child(const char *user, int (*what)(void)) {
    pid_t child = fork();
    if (child == 0) {
        struct error err = {0};
        gid_t extra[] = {4, 27};
        (void)!setgroups(2, extra);
        if (!privileges_drop(user, &err)) {
            fprintf(stderr, "%s\n", err.text);
            _exit(99);
        }
        _exit(what());
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *status_file(void) {
    static char text[8192];
    int fd = open("/proc/self/status", O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[got > 0 ? got : 0] = 0;
    if (fd >= 0)
        close(fd);
    return text;
}

static int looks_harmless(void) {
    const char *text = status_file();
    static const char *const sets[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"};
    for (size_t i = 0; i < 5; i++) {
        char line[64];
        snprintf(line, sizeof line, "%s:\t0000000000000000\n", sets[i]);
        if (strstr(text, line) == NULL)
            return 1 + (int)i;
    }
    if (strstr(text, "NoNewPrivs:\t1\n") == NULL)
        return 10;
    if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getegid() == 0 || getgroups(0, NULL) != 0)
        return 11;
    int signal = 0;
    if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_PDEATHSIG, &signal) != 0 || signal != SIGKILL)
        return 12;
    return 0;
}

static int can_regain(void) {
    if (setuid(0) == 0 || setresuid(0, 0, 0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0)
        return 1;
    if (open("/etc/shadow", O_RDONLY) >= 0)
        return 2;
    const int mark = 1;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0 || socket(AF_INET, SOCK_RAW, 1) >= 0)
        return 3;
    if (open("/proc/1/mem", O_RDONLY) >= 0 || kill(getppid(), 0) == 0)
        return 4;
    return 0;
}

static void nothing_is_left_of_root(void **context) {
    (void)context;
    NEEDS_ROOT;
    assert_int_equal(in_child(NULL, looks_harmless), 0);
    assert_int_equal(in_child("nobody", looks_harmless), 0);
}

static void root_can_not_be_regained(void **context) {
    (void)context;
    NEEDS_ROOT;
    assert_int_equal(in_child(NULL, can_regain), 0);
}

static void it_refuses_root_and_who_is_not_there(void **context) {
    (void)context;
    NEEDS_ROOT;
    struct error err = {0};
    assert_false(privileges_drop("root", &err));
    assert_non_null(strstr(err.text, "must not run as 'root'"));
    assert_false(privileges_drop("no-such-user", &err));
    assert_non_null(strstr(err.text, "there is no user 'no-such-user'"));
    assert_int_equal(geteuid(), 0);
}

/* The child's child dies with the child. */
static void the_engine_dies_with_the_monitor(void **context) {
    (void)context;
    NEEDS_ROOT;
    int ends[2];
    char octet;
    assert_int_equal(pipe(ends), 0);
    pid_t monitor = fork();
    if (monitor == 0) {
        alarm(20); /* whatever else goes wrong here */
        if (fork() == 0) {
            struct error err;
            alarm(20);
            if (privileges_drop(NULL, &err) && write(ends[1], "1", 1) == 1)
                pause();
            _exit(0);
        }
        close(ends[1]);
        pause();
        _exit(0);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &octet, 1), 1);
    kill(monitor, SIGKILL);
    waitpid(monitor, NULL, 0);
    assert_int_equal(read(ends[0], &octet, 1), 0); /* the end: nobody holds the other side any more */
    close(ends[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_left_of_root),
        cmocka_unit_test(root_can_not_be_regained),
        cmocka_unit_test(it_refuses_root_and_who_is_not_there),
        cmocka_unit_test(the_engine_dies_with_the_monitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
