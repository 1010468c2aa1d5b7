/* monitor.c: the daemon's life from the first line to the last: files read, lock taken, leftovers cleaned, engine forked,
 * requests served, signals passed on, everything taken back. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/monitor_internal.h"

#define STOP_MS UINT64_C(1900) /* for the engine; taking routes back fits into what is left of two seconds */
#define SETTLE_MS 250 /* after a change of the network, for those that come with it */
#define DESCRIPTORS_WANTED ((rlim_t)131072)
#define REQUESTS_A_TURN 64 /* then signals have a look in */

uint64_t monitor_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- signals ---- */

static bool signals_open(struct monitor *m, struct error *err) {
    static const int taken[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        sigaddset(&set, taken[i]);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would reap the engine unseen */
    if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
        m->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return m->signal_fd >= 0 || fail(err, HOST, 0, "signals: %s", strerror(errno));
}

static void stop(struct monitor *m) {
    if (m->phase == PHASE_STOPPING) { /* asked twice: at once, then */
        m->stop_by_ms = monitor_now();
        return;
    }
    log_info("stopping");
    m->phase = PHASE_STOPPING;
    m->stop_by_ms = monitor_now() + STOP_MS;
    monitor_engine_tell(m, NOTICE_STOP);
}

static void take_signals(struct monitor *m) {
    struct signalfd_siginfo info;
    while (read(m->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGHUP && m->phase == PHASE_SERVING)
            monitor_engine_tell(m, NOTICE_RELOAD);
        else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            stop(m);
    }
}

/* ---------------------------------------------------------------- the loop ---- */

/* How the engine ended, if it did: 0 as it should, 1 with a sentence; -1: it lives. */
static int engine_end(struct monitor *m) {
    int status;
    if (waitpid(m->engine, &status, WNOHANG) != m->engine)
        return -1;
    m->engine = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && m->phase == PHASE_STOPPING)
        return 0;
    if (WIFSIGNALED(status))
        log_error("the engine died of signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        log_error("the engine ended unasked, with status %d", WEXITSTATUS(status));
    return 1;
}

static int time_left(const struct monitor *m) {
    uint64_t now = monitor_now();
    uint64_t at = m->stop_by_ms < m->network_at_ms ? m->stop_by_ms : m->network_at_ms;
    if (at == NEVER)
        return -1;
    return at <= now ? 0 : (int)(at - now);
}

/* An interface that comes up makes a dozen changes; the engine hears of all of them once. */
static void take_changes(struct monitor *m) {
    if (m->watch_fd >= 0 && host_watch_changed(m->host) && m->network_at_ms == NEVER && m->phase == PHASE_SERVING)
        m->network_at_ms = monitor_now() + SETTLE_MS;
    if (monitor_now() < m->network_at_ms)
        return;
    m->network_at_ms = NEVER;
    if (m->phase != PHASE_SERVING)
        return;
    host_routes_renew(m->host);
    monitor_engine_tell(m, NOTICE_NETWORK);
}

static void watch(struct monitor *m) {
    struct error err;
    if (host_watch_open(m->host, &m->watch_fd, &err))
        return;
    m->watch_fd = -1;
    log_warning("%s", err.text);
}

/* Answers what waits. False: the engine did what ends it. */
static bool take_requests(struct monitor *m) {
    struct pollfd more = {.fd = m->engine_fd, .events = POLLIN};
    struct error err = {0};
    for (int i = 0; i < REQUESTS_A_TURN && poll(&more, 1, 0) == 1; i++) {
        if (monitor_serve(m, &err))
            continue;
        if (err.origin != ORIGIN_HOST) {
            log_error("engine killed: %s", err.text);
            return false;
        }
        /* It is ending; its status will say how. */
        close(m->engine_fd);
        m->engine_fd = -1;
        if (m->stop_by_ms > monitor_now() + STOP_MS)
            m->stop_by_ms = monitor_now() + STOP_MS;
        return true;
    }
    return true;
}

/* Until the engine's end, which it is told of, decides upon, or deserves. */
static int serve(struct monitor *m) {
    for (;;) {
        struct pollfd wait[] = {{.fd = m->signal_fd, .events = POLLIN}, {.fd = m->engine_fd, .events = POLLIN},
            {.fd = m->watch_fd, .events = POLLIN}};
        if (poll(wait, 3, time_left(m)) < 0 && errno != EINTR) {
            log_error("poll: %s", strerror(errno));
            return 1;
        }
        take_signals(m);
        take_changes(m);
        if (m->engine_fd >= 0 && !take_requests(m))
            return 1;
        int ended = engine_end(m);
        if (ended >= 0)
            return ended;
        if (m->stop_by_ms <= monitor_now()) {
            log_warning("the engine did not end in time and is killed");
            return m->phase == PHASE_STOPPING ? 0 : 1;
        }
    }
}

/* ---------------------------------------------------------------- start and end ---- */

/* In the child: a session of its own; standard error stays until the daemon is ready, for what goes wrong. In the
 * parent: waits, and says how it went (0 or 1); -1 in the child. */
static int to_background(struct monitor *m, struct error *err) {
    int ends[2];
    char octet;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail(err, HOST, 0, "a pipe: %s", strerror(errno));
        return 1;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        m->ready_pipe = ends[1];
        (void)setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || chdir("/") != 0) {
            fail(err, HOST, 0, "the background: %s", strerror(errno));
            log_error("%s", err->text);
            _exit(1);
        }
        close(null);
        log_open((enum log_level)m->options->log_level, false, "monitor");
        return -1;
    }
    close(ends[1]);
    ssize_t got = 0;
    if (child > 0)
        do
            got = read(ends[0], &octet, 1);
        while (got < 0 && errno == EINTR);
    else
        fail(err, HOST, 0, "fork: %s", strerror(errno));
    close(ends[0]);
    return got == 1 ? 0 : 1;
}

/* A descriptor for each client, for the engine too, which can't raise it; else what this process may have. */
static void raise_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS_WANTED)
        return;
    struct rlimit more = {.rlim_cur = DESCRIPTORS_WANTED,
        .rlim_max = limit.rlim_max > DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED};
    if (setrlimit(RLIMIT_NOFILE, &more) == 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int run_engine(struct monitor *m, const struct monitor_loaded *loaded, struct error *err) {
    char state[256], *text = NULL;
    monitor_path_beside(m, ".state", state, sizeof state);
    monitor_files_remove(m); /* a killed run's: nobody listens there */
    raise_descriptors();
    if (!signals_open(m, err))
        return 1;
    m->host = host_open(state, m->options->mark, err);
    if (m->host == NULL || !monitor_engine_start(m, loaded, err))
        return 1;
    m->secrets = monitor_secrets_load(m->options->secrets_path, &text);
    monitor_log_text(m->secrets == NULL ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, text);
    free(text);
    if (m->secrets == NULL) {
        fail(err, CONFIG, 0, "%s has errors", m->options->secrets_path);
        return 1;
    }
    watch(m);
    return serve(m);
}

static void take_back(struct monitor *m) {
    monitor_engine_kill(m);
    monitor_files_remove(m);
    if (m->host != NULL)
        host_close(m->host);
    if (m->signal_fd >= 0)
        close(m->signal_fd);
    secrets_free(m->secrets);
    config_free(m->config);
}

static int run_locked(struct monitor *m, struct monitor_loaded *loaded) {
    struct error err = {0};
    int status = -1;
    if (!m->options->foreground)
        status = to_background(m, &err);
    if (status == -1) {
        status = run_engine(m, loaded, &err);
        take_back(m);
        monitor_unlock(m);
    } else {
        config_free(m->config);
    }
    if (err.text[0] != 0)
        log_error("%s", err.text);
    return status;
}

int monitor_run(const struct monitor_options *options) {
    struct monitor *m = calloc(1, sizeof *m);
    struct monitor_loaded loaded;
    struct error err = {0};
    char *text = NULL;
    int status = 1;
    log_open((enum log_level)options->log_level, true, "monitor");
    if (m == NULL)
        return status;
    m->options = options;
    m->phase = PHASE_STARTING;
    m->lock_fd = m->engine_fd = m->signal_fd = m->ready_pipe = -1;
    m->watch_fd = -1;
    m->stop_by_ms = m->network_at_ms = NEVER;
    bool good = monitor_config_load(options->config_path, &loaded, &text);
    if (text != NULL)
        fputs(text, stderr);
    free(text);
    if (!good) {
        log_error("%s has errors", options->config_path);
    } else if (!monitor_lock(m, &err)) {
        log_error("%s", err.text);
        monitor_loaded_free(&loaded);
    } else {
        m->config = loaded.config;
        loaded.config = NULL;
        status = run_locked(m, &loaded);
        monitor_loaded_free(&loaded);
    }
    if (m->lock_fd >= 0)
        close(m->lock_fd);
    free(m);
    return status;
}
