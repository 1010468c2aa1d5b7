/* commands.c: what the commands of `iketcp` do, and who waits for what peers report. */
#include "daemon/engine/control.h"

#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#define DOWN_MOST_S 3 /* peers wait less for the answer to a DELETE */

/* "there is no connection 'tunel'; did you mean 'tunnel'?", or why it was left out. */
static void unknown(struct client *client, const char *name) {
    const struct engine *engine = client->engine;
    char text[512];
    for (size_t i = 0; i < engine->left_outs; i++) {
        if (strcmp(engine->left_out[i].name, name) == 0) {
            snprintf(text, sizeof text, "it is in the configuration but left out: %s", engine->left_out[i].why);
            client_finish(client, false, text);
            return;
        }
    }
    const char *nearest = NULL;
    size_t least = 0;
    for (size_t i = 0; i < engine->connections; i++) {
        size_t distance = name_distance(name, engine->connection[i].name);
        if (nearest == NULL || distance < least) {
            nearest = engine->connection[i].name;
            least = distance;
        }
    }
    if (nearest == NULL)
        snprintf(text, sizeof text, "there is no connection '%.64s': the configuration has none", name);
    else if (least <= strlen(name) / 2 + 1)
        snprintf(text, sizeof text, "there is no connection '%.64s'; did you mean '%s'?", name, nearest);
    else
        snprintf(text, sizeof text, "there is no connection '%.64s'", name);
    client_finish(client, false, text);
}

/* The first live entry of a connection in a state; false: there is none. */
static bool has_state(const struct engine *engine, const char *name, bool (*wanted)(enum peer_state)) {
    struct peer_status status;
    struct peers_cursor cursor = {0};
    while (peers_status_next(engine->peers, &cursor, &status))
        if (strcmp(status.name, name) == 0 && wanted(status.state))
            return true;
    return false;
}

static bool is_up(enum peer_state state) {
    return state == PEER_STATE_UP;
}

static bool is_live(enum peer_state state) {
    return state != PEER_STATE_DOWN;
}

static void up(struct client *client, const char *name, const json_t *request) {
    (void)request;
    struct engine *engine = client->engine;
    const struct peer_config *connection = engine_connection(engine, name);
    client->was_up = has_state(engine, name, is_up);
    if (!client->was_up && !connection->may_initiate) {
        char text[160];
        snprintf(text, sizeof text, "%s waits for its peer: the other end is %%any, so only that side can begin", name);
        client_finish(client, false, text);
        return;
    }
    struct error error = {0};
    peer_id peer = 0;
    struct peer_output output = peers_up(engine->peers, engine_now(), name, &peer, &error);
    if (error.origin != ORIGIN_NONE) {
        client_finish(client, false, error.text);
    } else {
        client->wait = WAIT_UP;
        client->peer = peer;
    }
    engine_apply(engine, output);
}

static void is_down(struct client *client) {
    char text[96];
    snprintf(text, sizeof text, "%s is down", client->name);
    client_finish(client, true, text);
}

static void on_down_late(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    is_down(context); /* for us it is; the peer was told and did not answer */
}

static void down(struct client *client, const char *name, const json_t *request) {
    (void)request;
    struct engine *engine = client->engine;
    struct peer_output output = peers_down(engine->peers, engine_now(), name, &client->downs);
    if (client->downs == 0) {
        char text[96];
        snprintf(text, sizeof text, "%s is down already", name);
        client_finish(client, true, text);
    } else {
        client->wait = WAIT_DOWN;
        struct timeval most = {.tv_sec = DOWN_MOST_S};
        if (client->timer == NULL)
            client->timer = evtimer_new(engine->base, on_down_late, client);
        if (client->timer != NULL)
            evtimer_add(client->timer, &most);
    }
    engine_apply(engine, output);
}

static void rekey(struct client *client, const char *name, const json_t *request) {
    struct engine *engine = client->engine;
    struct error error = {0};
    bool ike = json_is_true(json_object_get(request, "ike"));
    struct peer_output output = peers_rekey(engine->peers, engine_now(), name, ike, &error);
    char text[160];
    snprintf(text, sizeof text, "%s: rekeying the %s began", name, ike ? "IKE SA" : "Child SAs");
    if (error.origin != ORIGIN_NONE)
        client_finish(client, false, error.text);
    else
        client_finish(client, true, text);
    engine_apply(engine, output);
}

static void redirect(struct client *client, const char *name, const json_t *request) {
    struct engine *engine = client->engine;
    const char *gateway = json_string_value(json_object_get(request, "gateway"));
    struct address address;
    struct error ignored;
    char text[400];
    if (gateway == NULL || (!address_parse(gateway, &address, &ignored) && !gateway_name_ok(gateway))) {
        client_finish(client, false, "the gateway is neither an address nor a name");
        return;
    }
    size_t asked;
    struct peer_output output = peers_redirect(engine->peers, engine_now(), name, gateway, &asked);
    if (asked > 0)
        snprintf(text, sizeof text, "%zu of its peers asked to go to %.255s", asked, gateway);
    else
        snprintf(text, sizeof text, "%.64s has no peer that called us and can be redirected", name);
    client_finish(client, asked > 0, text);
    engine_apply(engine, output);
}

static void status(struct client *client, const char *name) {
    if (name != NULL && engine_connection(client->engine, name) == NULL && !has_state(client->engine, name, is_live)) {
        unknown(client, name);
        return;
    }
    json_t *all = status_all(client->engine, name);
    client_write(client, json_pack("{s:s, s:s, s:o}", "result", "ok", "text", "", "status", all));
}

static void on_reloaded(struct engine *engine, bool ok, const char *text) {
    if (ok)
        log_info("reloaded: %s", configure_last_line(text));
    else
        log_error("not reloaded: %s", configure_last_line(text));
    struct client *client;
    LIST_FOREACH(client, &engine->control.clients, next) {
        if (client->wait == WAIT_RELOAD && !client->gone)
            client_finish(client, ok, text);
    }
}

void control_reload(struct engine *engine) {
    if (!engine->configuring.busy)
        configure_reload(engine, on_reloaded);
}

/* Who comes while it goes on waits for the same end. */
static void reload(struct client *client) {
    client->wait = WAIT_RELOAD;
    control_reload(client->engine);
}

static void stop(struct client *client) {
    client->wait = WAIT_STOP; /* its answer is the end of the stream */
    client_step(client, "stopping", "deleting all SAs");
    engine_stop(client->engine);
}

struct named_command {
    const char *command;
    void (*run)(struct client *, const char *name, const json_t *request);
};
static const struct named_command named_commands[] = {
    {"up", up}, {"down", down}, {"rekey", rekey}, {"redirect", redirect}};

static void run_named(struct client *client, const struct named_command *command, const json_t *request) {
    const char *name = json_string_value(json_object_get(request, "name"));
    if (name == NULL) {
        client_finish(client, false, "the name of a connection is missing");
        return;
    }
    if (engine_connection(client->engine, name) == NULL) {
        unknown(client, name);
        return;
    }
    snprintf(client->name, sizeof client->name, "%s", name);
    command->run(client, name, request);
}

void command_run(struct client *client, const json_t *request) {
    const char *command = json_string_value(json_object_get(request, "command"));
    if (command == NULL) {
        client_finish(client, false, "the request has no command");
        return;
    }
    if (client->engine->stopping) {
        client_finish(client, false, "the daemon is stopping");
        return;
    }
    for (size_t i = 0; i < sizeof named_commands / sizeof named_commands[0]; i++) {
        if (strcmp(command, named_commands[i].command) == 0) {
            run_named(client, &named_commands[i], request);
            return;
        }
    }
    if (strcmp(command, "status") == 0)
        status(client, json_string_value(json_object_get(request, "name")));
    else if (strcmp(command, "reload") == 0)
        reload(client);
    else if (strcmp(command, "stop") == 0)
        stop(client);
    else
        client_finish(client, false, "there is no such command: up, down, rekey, redirect, status, reload, stop");
}

static const char *step_name(const struct peer_action *action) {
    static const char *const names[] = {
        [STEP_RESOLVING] = "resolving",
        [STEP_TRYING] = "trying",
        [STEP_NO_ANSWER] = "no-answer",
        [STEP_CONNECTED] = "connected",
        [STEP_REFUSED] = "refused",
        [STEP_RETRY] = "retry",
        [STEP_IKE_KEYS] = "ike-keys",
        [STEP_IKE_UP] = "ike-up",
        [STEP_CHILD_UP] = "child-up",
        [STEP_CHILD_REKEYED] = "child-rekeyed",
        [STEP_CHILD_FAILED] = "child-failed",
        [STEP_IKE_REKEYED] = "ike-rekeyed",
        [STEP_HOST_UP] = "host-up",
        [STEP_LOST] = "lost",
        [STEP_RECONNECTING] = "reconnecting",
        [STEP_RECONNECTED] = "reconnected",
        [STEP_MOVED] = "moved",
        [STEP_REDIRECTED] = "redirected",
        [STEP_GIVING_UP] = "giving-up",
        [STEP_DELETED] = "deleted",
    };
    size_t step = (size_t)action->step;
    return step < sizeof names / sizeof names[0] && names[step] != NULL ? names[step] : "step";
}

/* "tunnel is up over TCP to 192.0.2.1:4500" */
static void is_up_now(struct client *client, peer_id peer) {
    struct peer_status status;
    struct peers_cursor cursor = {0};
    while (peers_status_next(client->engine->peers, &cursor, &status) && status.peer != peer)
        ;
    char text[256], remote[ADDRESS_TEXT_MAX];
    const char *already = client->was_up ? " already" : "";
    if (status.peer != peer || status.transport == TRANSPORT_NONE)
        snprintf(text, sizeof text, "%s is up%s", client->name, already);
    else
        snprintf(text, sizeof text, "%s is up%s, over %s to %s", client->name, already,
            status.transport == TRANSPORT_UDP   ? "UDP"
            : status.transport == TRANSPORT_TCP ? "TCP"
                                                : "TLS",
            address_port_text(&status.remote, remote));
    client_finish(client, true, text);
}

static void tell_up(struct client *client, const struct peer_action *action) {
    if (action->kind == PEER_STEP)
        client_step(client, step_name(action), action->text);
    else if (action->kind == PEER_UP)
        is_up_now(client, action->peer);
    else
        client_finish(client, false, action->text[0] != 0 ? action->text : "it went down");
}

static void tell_down(struct client *client, const struct peer_action *action) {
    if (action->kind == PEER_STEP)
        client_step(client, step_name(action), action->text);
    else if (action->kind == PEER_DOWN && --client->downs == 0)
        is_down(client);
}

void control_event(struct engine *engine, const struct peer_action *action) {
    struct client *client;
    LIST_FOREACH(client, &engine->control.clients, next) {
        if (client->gone)
            continue;
        if (client->wait == WAIT_UP && client->peer == action->peer)
            tell_up(client, action);
        else if (client->wait == WAIT_DOWN && strcmp(client->name, action->connection) == 0)
            tell_down(client, action);
    }
}
