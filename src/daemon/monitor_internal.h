/* monitor_internal.h: the monitor's own state, a section per file; private to daemon/. */
#ifndef IKETCP_DAEMON_MONITOR_INTERNAL_H
#define IKETCP_DAEMON_MONITOR_INTERNAL_H

#include <sys/types.h>

#include "config/config.h"
#include "daemon/log.h"
#include "daemon/monitor.h"
#include "daemon/monitor_wire.h"

enum monitor_phase { /* bits, for the table of requests */
    PHASE_STARTING = 1, /* before READY */
    PHASE_SERVING = 2,
    PHASE_STOPPING = 4, /* it was told to stop, or said so */
};

struct monitor_bucket { /* so many requests a second, a burst at first */
    uint64_t tokens, at_ms;
};

struct monitor {
    const struct monitor_options *options;
    struct host *host;
    struct config *config;
    struct secrets *secrets;
    enum monitor_phase phase;
    int lock_fd, engine_fd, signal_fd;
    int ready_pipe; /* who started us waits at its other end; -1: nobody */
    pid_t engine;
    unsigned tuns; /* common ones that were handed out */
    struct monitor_bucket bucket;
    int watch_fd; /* host_watch; -1: none */
    uint64_t network_at_ms; /* the engine hears of a change then; NEVER */
    uint64_t stop_by_ms; /* the engine is killed then; NEVER */
    uint8_t record[MONITOR_RECORD_MAX]; /* what came, then what goes */
};

uint64_t monitor_now(void); /* ms, monotonic */

/* monitor_config.c: what the files say. All texts are a line per diagnostic, malloc'd or NULL (none). */
struct monitor_loaded {
    struct config *config;
    uint8_t *packed; /* the texts, for the engine */
    size_t length;
};
bool monitor_config_load(const char *path, struct monitor_loaded *, char **text);
void monitor_loaded_free(struct monitor_loaded *);
struct secrets *monitor_secrets_load(const char *path, char **text);
void monitor_log_text(enum log_level, const char *text); /* each of its lines */
/* Both files again. True: m has the new ones and *loaded the texts for the engine; else nothing changed. */
bool monitor_config_reload(struct monitor *m, struct monitor_loaded *loaded, char **text, struct error *);

/* monitor_files.c: what lies beside the control socket */
bool monitor_lock(struct monitor *, struct error *); /* and makes the directory */
void monitor_unlock(struct monitor *);
bool monitor_pid_write(const struct monitor *, struct error *);
/* A listening socket at the control path; it appears there complete, with owner and mode. */
bool monitor_control_open(const struct monitor *, int *fd, struct error *);
void monitor_files_remove(const struct monitor *); /* control socket and pid file */
void monitor_path_beside(const struct monitor *, const char *suffix, char *out, size_t size);

/* monitor_engine.c: the other process */
bool monitor_engine_start(struct monitor *, const struct monitor_loaded *, struct error *);
void monitor_engine_kill(struct monitor *); /* and waits for its end */
void monitor_engine_tell(struct monitor *, enum monitor_notice);

/* monitor_requests.c: the table. False: the engine asked for what it must not, and is to be killed; ORIGIN_HOST: it closed
 * its socket. */
bool monitor_serve(struct monitor *, struct error *);
bool monitor_serve_record(struct monitor *, size_t length, struct monitor_answer *, enum monitor_request_kind *,
    uint32_t *serial, bool *has_answer, struct error *);
void monitor_answer_drop(struct monitor_answer *); /* closes, frees, wipes */

/* monitor_ready.c: telling the world */
bool monitor_announce(struct monitor *, struct error *);

/* monitor_auth.c, monitor_permits.c, monitor_host.c, monitor_keylog.c: what requests do. On failure answer->error is the answer. */
bool monitor_identities_fit(
    const struct config_connection *, const struct identity *local, const struct identity *remote);
void monitor_serve_auth(struct monitor *, const struct monitor_request *, struct monitor_answer *);
bool monitor_may_open_socket(const struct config *, enum host_socket_kind, const struct address *, struct error *);
/* *name: what TCP_CONGESTION of such a socket is to be, in the configuration; NULL: the host's default. False: no such connection. */
bool monitor_congestion_of(const struct config *, const struct monitor_request *, const char **name, struct error *);
bool monitor_may_open_tun(const struct monitor *, const char *name, struct error *);
/* The connection whose own device that is; NULL: nobody's. */
struct config_connection *monitor_device_owner(const struct config *, const char *name);
bool monitor_may_set_esp(const struct monitor *, const char *connection, const struct host_esp *, struct error *);
bool monitor_may_route(const struct monitor *, const struct host_route_set *, struct error *);
void monitor_serve_socket(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_tun(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_tun_close(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_routes_set(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_routes_drop(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_source(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_locals(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_addresses(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_reload(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_ready(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_keylog(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_esp_probe(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_esp_set(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_esp_read(struct monitor *, const struct monitor_request *, struct monitor_answer *);
void monitor_serve_stopping(struct monitor *, const struct monitor_request *, struct monitor_answer *);

#endif
