/* engine.c: the engine's process from its first to its last moment: make what hangs off struct engine, configure, say that
 * we are ready, serve, delete all politely, end. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_US 50000 /* for the worker to send the last messages */

const struct peer_config *engine_connection(const struct engine *engine, const char *name) {
    for (size_t i = 0; i < engine->connections; i++)
        if (strcmp(engine->connection[i].name, name) == 0)
            return &engine->connection[i];
    return NULL;
}

void engine_fail(struct engine *engine, const char *why) {
    log_error("%s", why);
    engine->status = 1;
    event_base_loopexit(engine->base, NULL);
}

static void on_stop_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct engine *engine = context;
    event_base_loopexit(engine->base, NULL);
}

static void end_after(struct engine *engine, suseconds_t microseconds) {
    struct timeval after = {.tv_sec = microseconds / 1000000, .tv_usec = microseconds % 1000000};
    evtimer_add(engine->stop_timer, &after);
}

void engine_stop(struct engine *engine) {
    monitor_stopping(engine->monitor);
    if (engine->stopping || engine->worker == NULL) {
        event_base_loopexit(engine->base, NULL);
        return;
    }
    engine->stopping = true;
    log_info("stopping: deleting all SAs");
    end_after(engine, STOP_MOST_MS * 1000);
    engine_apply(engine, peers_shutdown(engine->peers, engine_now()));
}

void engine_settle(struct engine *engine) {
    if (!engine->stopping || engine->settled || !peers_idle(engine->peers))
        return;
    engine->settled = true;
    end_after(engine, FLUSH_US);
}

/* Where else peers can reach us (MOBIKE). */
static void on_locals(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    if (answer->error.origin == ORIGIN_NONE && engine->peers != NULL)
        engine_apply(engine, peers_set_addresses(engine->peers, engine_now(), answer->local, answer->locals));
}

static void on_notice(void *context, enum monitor_notice notice) {
    struct engine *engine = context;
    switch (notice) {
    case NOTICE_STOP:
        engine_stop(engine);
        break;
    case NOTICE_RELOAD:
        control_reload(engine);
        break;
    case NOTICE_NETWORK:
        if (engine->peers != NULL)
            engine_apply(engine, peers_network_changed(engine->peers, engine_now()));
        monitor_locals(engine->monitor, on_locals, engine);
        break;
    case NOTICE_GONE:
        engine_fail(engine, "the monitor is gone");
        break;
    }
}

static void on_configured(struct engine *engine, bool ok, const char *text) {
    if (!ok)
        engine_fail(engine, text);
    else
        log_info("%s", configure_last_line(text)); /* what comes before was logged as it was found */
}

/* The terminal's Ctrl-C reaches us as well; the monitor decides. */
static void ignore_signals(void) {
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2};
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
}

static bool engine_open(struct engine *engine, int fd, struct error *err) {
    STAILQ_INIT(&engine->late_send);
    engine->keylog = (struct keylog){.fd = {-1, -1}};
    engine->base = event_base_new();
    if (engine->base == NULL)
        return fail(err, OURS, 0, "the event loop could not be made");
    engine->monitor = monitor_client_new(engine->base, fd, err);
    if (engine->monitor == NULL)
        return false;
    monitor_client_on_notice(engine->monitor, on_notice, engine);
    struct peers_limits limits;
    peers_limits_defaults(&limits);
    engine->peers = peers_new(&limits, 0, random_system(), engine_now());
    engine->stop_timer = evtimer_new(engine->base, on_stop_timer, engine);
    if (engine->peers == NULL || engine->stop_timer == NULL || !deadline_open(engine) || !outbox_open(engine))
        return fail(err, OURS, 0, "memory is short");
    return true;
}

/* The monitor's client first: answers that are outstanding must find nobody. */
static void engine_close(struct engine *engine) {
    if (engine->monitor != NULL)
        monitor_client_free(engine->monitor);
    reports_close(engine);
    control_close(engine);
    keylog_close(engine);
    listeners_free(engine);
    services_free(engine);
    streams_free(engine);
    resolve_free(engine);
    name_relays_free(engine);
    deadline_close(engine);
    actions_free(engine);
    outbox_close(engine);
    kernel_free(engine);
    if (engine->worker != NULL)
        worker_free(engine->worker);
    tls_client_free(engine->tls_client); /* after the worker's streams */
    if (engine->peers != NULL)
        peers_free(engine->peers);
    configure_free(engine);
    devices_free(engine);
    names_free(&engine->names);
    if (engine->stop_timer != NULL)
        event_free(engine->stop_timer);
    if (engine->base != NULL)
        event_base_free(engine->base);
}

int engine_main(int fd, const uint8_t *source, size_t length, int log_level) {
    (void)log_level; /* log_open was called with it before the processes parted */
    ignore_signals();
    struct engine *engine = calloc(1, sizeof *engine);
    struct error error = {0};
    if (engine == NULL || !engine_open(engine, fd, &error)) {
        log_error("the engine does not start: %s", error.text);
        free(engine);
        return 1;
    }
    monitor_locals(engine->monitor, on_locals, engine); /* the first IKE_AUTH says them */
    configure_begin(engine, source, length, on_configured);
    event_base_loop(engine->base, 0);
    int status = engine->status;
    engine_close(engine);
    free(engine);
    return status;
}
