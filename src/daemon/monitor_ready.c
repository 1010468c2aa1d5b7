/* monitor_ready.c: the moment when the engine listens: the control socket appears, the pid file is written, systemd and who
 * started us are told; and the moment when it says that it ends. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#ifdef HAVE_LIBSYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "daemon/monitor_internal.h"

#define STOPPING_MS UINT64_C(2000)

static void tell_systemd(const char *what) {
#ifdef HAVE_LIBSYSTEMD
    (void)sd_notify(0, what);
#else
    (void)what;
#endif
}

/* One octet down the pipe lets the command return. */
static void release_starter(struct monitor *m) {
    if (m->ready_pipe < 0)
        return;
    log_detach();
    if (write(m->ready_pipe, "1", 1) != 1)
        log_warning("who started the daemon is gone: %s", strerror(errno));
    close(m->ready_pipe);
    m->ready_pipe = -1;
}

void monitor_serve_ready(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    (void)q;
    if (m->phase != PHASE_STARTING) {
        fail(&a->error, OURS, 0, "the daemon is stopping");
        return;
    }
    if (!monitor_pid_write(m, &a->error) || !monitor_control_open(m, &a->fd, &a->error)) {
        log_error("%s", a->error.text);
        return;
    }
    m->phase = PHASE_SERVING;
    log_info("ready; control socket %s", m->options->control_path);
    tell_systemd("READY=1");
    release_starter(m);
}

void monitor_serve_stopping(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    (void)q;
    (void)a;
    tell_systemd("STOPPING=1");
    if (m->phase != PHASE_STOPPING)
        m->stop_by_ms = monitor_now() + STOPPING_MS;
    m->phase = PHASE_STOPPING;
}
