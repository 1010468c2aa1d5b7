/* monitor_engine.c: the other process: forked before the secrets are read, with one descriptor and no privilege. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/monitor_channel.h"
#include "daemon/monitor_internal.h"

#define ENGINE_FD 3
#define ENGINE_CANNOT_START 70

/* Ctrl-C reaches the whole group of processes; the monitor alone decides what it means. */
static void signals_of_engine(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    sigset_t none;
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        (void)signal(ignored[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool only_descriptor(int fd) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0)
        return false;
    if (fd != ENGINE_FD && dup2(fd, ENGINE_FD) < 0)
        return false;
    return fcntl(ENGINE_FD, F_SETFD, FD_CLOEXEC) == 0 && close_range(ENGINE_FD + 1, ~0U, 0) == 0;
}

static int be_engine(struct monitor *m, int fd, pid_t monitor, const struct monitor_loaded *loaded) {
    const struct monitor_options *options = m->options;
    struct error err = {0};
    signals_of_engine();
    log_open((enum log_level)options->log_level, options->foreground, "engine");
    bool ready = only_descriptor(fd) || fail(&err, HOST, 0, "descriptors can't be closed: %s", strerror(errno));
    ready = ready && privileges_drop(options->engine_user, &err);
    /* The signal at the monitor's death is set from now on only: was it before? */
    if (ready && getppid() != monitor)
        ready = fail(&err, HOST, 0, "the monitor is gone");
    if (!ready) {
        log_error("%s", err.text);
        return ENGINE_CANNOT_START;
    }
    return engine_main(ENGINE_FD, loaded->packed, loaded->length, options->log_level);
}

bool monitor_engine_start(struct monitor *m, const struct monitor_loaded *loaded, struct error *err) {
    int pair[2];
    const int room = 1 << 20;
    pid_t monitor = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return fail(err, HOST, 0, "a socket pair for the engine: %s", strerror(errno));
    for (int i = 0; i < 2; i++)
        (void)setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    m->engine = fork();
    if (m->engine == 0)
        exit(be_engine(m, pair[1], monitor, loaded));
    close(pair[1]);
    if (m->engine < 0) {
        close(pair[0]);
        return fail(err, HOST, 0, "the engine can't be forked: %s", strerror(errno));
    }
    m->engine_fd = pair[0];
    return true;
}

void monitor_engine_kill(struct monitor *m) {
    if (m->engine_fd >= 0)
        close(m->engine_fd);
    m->engine_fd = -1;
    if (m->engine <= 0)
        return;
    (void)kill(m->engine, SIGKILL);
    while (waitpid(m->engine, NULL, 0) < 0 && errno == EINTR)
        ;
    m->engine = 0;
}

void monitor_engine_tell(struct monitor *m, enum monitor_notice notice) {
    uint8_t record[8];
    struct writer w = writer_over(record, sizeof record);
    monitor_notice_write(&w, notice);
    if (m->engine_fd < 0 || channel_send(m->engine_fd, span_of(record, w.length), -1) != CHANNEL_DONE)
        log_warning("the engine can't be told %s", notice == NOTICE_STOP     ? "to stop"
                                                   : notice == NOTICE_RELOAD ? "to reload"
                                                                             : "that the network changed");
}
