/* configure.c: texts of a configuration become connections that are served. At the start and at a reload the same steps:
 * parse, ask what this host is like, translate, open the TUN device (once) and those of single connections, open and close
 * sockets, say that we are ready (once), tell peers. */
#include "daemon/engine/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(struct configuring *configuring, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct configuring *configuring, const char *format, ...) {
    size_t used = strlen(configuring->warnings), room = sizeof configuring->warnings - used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(configuring->warnings + used, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length + 2 > room) {
        configuring->warnings[used] = 0; /* whole lines only */
        return;
    }
    configuring->warnings[used + (size_t)length] = '\n';
    configuring->warnings[used + (size_t)length + 1] = 0;
}

const char *configure_last_line(const char *text) {
    const char *newline = strrchr(text, '\n');
    return newline == NULL ? text : newline + 1;
}

/* Lines have newlines between them, none at the end. */
static void finish(struct engine *engine, bool ok, const char *lines) {
    char text[sizeof engine->configuring.warnings + 64];
    size_t length = strnlen(lines, sizeof text - 1);
    while (length > 0 && lines[length - 1] == '\n')
        length--;
    memcpy(text, lines, length);
    text[length] = 0;
    struct configuring old = engine->configuring;
    engine->configuring = (struct configuring){0};
    config_free(old.config);
    free(old.connection);
    free(old.left_out);
    if (old.done != NULL)
        old.done(engine, ok, text);
}

static void set_redirect(struct engine *engine) {
    static const enum peer_redirect when[] = {[REDIRECT_NO] = PEER_REDIRECT_NO,
        [REDIRECT_YES] = PEER_REDIRECT_YES,
        [REDIRECT_UNDER_LOAD] = PEER_REDIRECT_UNDER_LOAD};
    peers_set_redirect(engine->peers, when[engine->config->global_redirect], engine->config->global_redirect_to);
}

static void serve(struct engine *engine) {
    struct configuring *configuring = &engine->configuring;
    demand_clear(engine);
    config_free(engine->config);
    free(engine->connection);
    free(engine->left_out);
    engine->config = configuring->config;
    engine->connection = configuring->connection;
    engine->connections = configuring->connections;
    engine->left_out = configuring->left_out;
    engine->left_outs = configuring->left_outs;
    configuring->config = NULL;
    configuring->connection = NULL;
    configuring->left_out = NULL;
    set_redirect(engine);
    engine_apply(engine, peers_configure(engine->peers, engine_now(), engine->connection, engine->connections));
    devices_trim(engine);
    demand_set(engine);
    char text[sizeof configuring->warnings + 64];
    snprintf(text, sizeof text, "%sserving %zu connection%s", configuring->warnings, engine->connections,
        engine->connections == 1 ? "" : "s");
    finish(engine, true, text);
}

/* Nothing is begun before the monitor knows that we serve: it grants no AUTH and no routes earlier. */
static void on_ready(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    struct error error = answer->error;
    if (error.origin == ORIGIN_NONE && control_open(engine, answer->fd, &error)) {
        engine->ready = true;
        serve(engine);
    } else {
        finish(engine, false, error.text);
    }
}

static void on_listening(struct engine *engine, const struct error *error) {
    if (error->origin == ORIGIN_NONE && engine->ready) {
        serve(engine);
    } else if (error->origin == ORIGIN_NONE) {
        monitor_ready(engine->monitor, on_ready, engine);
    } else if (!engine->ready) {
        finish(engine, false, error->text);
    } else { /* what can be served is */
        log_error("%s", error->text);
        say(&engine->configuring, "%s", error->text);
        serve(engine);
    }
}

static void on_devices(struct engine *engine) {
    listeners_apply(engine, engine->configuring.config, on_listening);
}

static void on_tun(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    if (answer->error.origin != ORIGIN_NONE) {
        finish(engine, false, answer->error.text);
        return;
    }
    snprintf(engine->tun, sizeof engine->tun, "%s", answer->name);
    struct peers_limits limits;
    peers_limits_defaults(&limits);
    struct worker_options options = {.tun_fd = answer->fd,
        .tun_mtu = engine->tun_mtu,
        .tun_offload = answer->yes,
        .corrupt_tolerance = limits.corrupt_tolerance};
    struct error error = {0};
    engine->worker = worker_new(&options, &error);
    if (engine->worker == NULL || !reports_open(engine)) {
        finish(engine, false, error.origin != ORIGIN_NONE ? error.text : "the worker thread could not be started");
        return;
    }
    devices_open(engine, on_devices);
}

/* One device for all others: as large as the largest tunnel that is configured; routes say what each peer takes. */
static uint32_t common_mtu(const struct config *config) {
    uint32_t mtu = TUN_MTU_DEFAULT;
    for (size_t i = 0; i < config->connections; i++)
        if (config->connection[i].mtu > mtu)
            mtu = config->connection[i].mtu;
    return mtu > 65535 ? 65535 : mtu;
}

static void leave_out(struct configuring *configuring, const char *name, const char *why) {
    struct left_out *left = &configuring->left_out[configuring->left_outs++];
    snprintf(left->name, sizeof left->name, "%s", name);
    snprintf(left->why, sizeof left->why, "%s", why);
    log_warning("%s; it is left out", why);
    say(configuring, "%s; it is left out", why);
}

void configure_leave_out(struct engine *engine, size_t number, const char *why) {
    struct configuring *configuring = &engine->configuring;
    struct peer_config *connection = &configuring->connection[number];
    leave_out(configuring, connection->name, why);
    memmove(connection, connection + 1, (--configuring->connections - number) * sizeof *connection);
}

static void translate_all(struct engine *engine, const struct facts *facts) {
    struct configuring *configuring = &engine->configuring;
    struct config *config = configuring->config;
    for (size_t i = 0; i < config->connections; i++) {
        struct error error = {0};
        if (translate_connection(config, &config->connection[i], facts, &engine->names,
                &configuring->connection[configuring->connections], &error)) {
            configuring->connections++;
            continue;
        }
        leave_out(configuring, config->connection[i].name, error.text);
    }
    translate_initial_contact(configuring->connection, configuring->connections);
}

/* At the start it is an error, since nothing else was asked for so plainly; later the tunnels weigh more. */
static void on_keylog(struct engine *engine, const struct error *error) {
    if (error->origin != ORIGIN_NONE && !engine->ready) {
        finish(engine, false, error->text);
        return;
    }
    if (error->origin != ORIGIN_NONE) {
        log_error("%s", error->text);
        say(&engine->configuring, "%s", error->text);
    }
    kernel_configure(engine, engine->configuring.config);
    if (engine->worker != NULL) {
        devices_open(engine, on_devices);
        return;
    }
    engine->tun_mtu = common_mtu(engine->configuring.config);
    monitor_tun(engine->monitor, engine->configuring.config->tun_name, engine->tun_mtu, on_tun, engine);
}

static void on_facts(struct engine *engine, struct facts *facts) {
    translate_all(engine, facts);
    facts_free(facts);
    keylog_apply(engine, engine->configuring.config, on_keylog);
}

static void say_diagnostics(struct configuring *configuring, const struct diagnostics *diagnostics) {
    for (size_t i = 0; i < diagnostics->count; i++) {
        char line[1024];
        diagnostic_text(&diagnostics->list[i], line, sizeof line);
        say(configuring, "%s", line);
    }
}

static bool parse(struct configuring *configuring, const uint8_t *packed, size_t length) {
    struct config_source *source = config_source_unpack(packed, length);
    if (source == NULL) {
        say(configuring, "the configuration came in pieces");
        return false;
    }
    struct diagnostics diagnostics = {0};
    configuring->config = config_parse(source, &diagnostics);
    say_diagnostics(configuring, &diagnostics);
    diagnostics_free(&diagnostics);
    config_source_free(source);
    if (configuring->config == NULL)
        return false;
    size_t count = configuring->config->connections + 1;
    configuring->connection = calloc(count, sizeof *configuring->connection);
    configuring->left_out = calloc(count, sizeof *configuring->left_out);
    return configuring->connection != NULL && configuring->left_out != NULL;
}

static void begin(struct engine *engine, const uint8_t *packed, size_t length) {
    struct configuring *configuring = &engine->configuring;
    if (parse(configuring, packed, length) && facts_gather(engine, configuring->config, on_facts))
        return;
    char text[sizeof configuring->warnings];
    snprintf(text, sizeof text, "%s",
        configuring->warnings[0] != 0 ? configuring->warnings : "memory is short for the configuration");
    finish(engine, false, text);
}

void configure_begin(struct engine *engine, const uint8_t *packed, size_t length, configure_done done) {
    engine->configuring = (struct configuring){.busy = true, .done = done};
    begin(engine, packed, length);
}

static void on_texts(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    if (answer->error.origin == ORIGIN_NONE && answer->octets != NULL)
        begin(engine, answer->octets, answer->length);
    else
        finish(engine, false, answer->text != NULL && answer->text[0] != 0 ? answer->text : answer->error.text);
}

void configure_reload(struct engine *engine, configure_done done) {
    engine->configuring = (struct configuring){.busy = true, .done = done};
    monitor_reload(engine->monitor, on_texts, engine);
}

void configure_free(struct engine *engine) {
    engine->configuring.done = NULL;
    finish(engine, false, "");
    config_free(engine->config);
    free(engine->connection);
    free(engine->left_out);
}
