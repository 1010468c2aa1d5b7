/* actions.c: carries out what peers want done, each action in its order. What the host, the monitor or the network answer
 * comes back from the event loop. */
#include "daemon/engine/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct asked { /* a request to the monitor about a peer */
    struct engine *engine;
    peer_id peer;
};

static struct asked *asked_new(struct engine *engine, peer_id peer) {
    struct asked *asked = malloc(sizeof *asked);
    if (asked == NULL) {
        engine_fail(engine, "memory is short");
        return NULL;
    }
    *asked = (struct asked){.engine = engine, .peer = peer};
    return asked;
}

/* A message that lets the peer use what the host does not route yet. */
struct late_send {
    STAILQ_ENTRY(late_send) next;
    peer_id peer;
    struct worker_command command;
};

static bool keep_for_later(struct engine *engine, peer_id peer, const struct worker_command *command) {
    struct late_send *late = engine->late_sends < LATE_SENDS_MAX ? malloc(sizeof *late) : NULL;
    if (late == NULL)
        return false;
    *late = (struct late_send){.peer = peer, .command = *command};
    STAILQ_INSERT_TAIL(&engine->late_send, late, next);
    engine->late_sends++;
    return true;
}

/* `peer` 0: all that are left, thrown away. */
static void send_late(struct engine *engine, peer_id peer) {
    struct late_send *late, *following;
    for (late = STAILQ_FIRST(&engine->late_send); late != NULL; late = following) {
        following = STAILQ_NEXT(late, next);
        if (peer != 0 && late->peer != peer)
            continue;
        STAILQ_REMOVE(&engine->late_send, late, late_send, next);
        engine->late_sends--;
        if (peer != 0)
            outbox_post(engine, &late->command);
        else
            free(late->command.octets);
        free(late);
    }
}

void actions_send_late(struct engine *engine, peer_id peer) {
    if (peer != 0)
        send_late(engine, peer);
}

void actions_free(struct engine *engine) {
    send_late(engine, 0);
}

static void send_ike(struct engine *engine, const struct peer_action *action) {
    struct worker_command command = {
        .kind = WORKER_SEND_IKE, .carrier = action->carrier, .fd = -1, .bare = action->bare};
    command.octets = malloc(action->octets.length);
    if (command.octets == NULL)
        return; /* as if it was lost on the way */
    memcpy(command.octets, action->octets.at, action->octets.length);
    command.length = action->octets.length;
    bool waits = action->peer != 0 && action->peer == engine->routing;
    if (!waits || !keep_for_later(engine, action->peer, &command))
        outbox_post(engine, &command);
}

static void on_auth(void *context, const struct monitor_answer *answer) {
    struct asked asked = *(struct asked *)context;
    free(context);
    struct ike_auth_values values = {0};
    if (answer->error.origin != ORIGIN_NONE) {
        values.refusal = answer->error.text;
    } else {
        memcpy(values.local_auth, answer->local_auth, sizeof values.local_auth);
        memcpy(values.expected, answer->remote_auth, sizeof values.expected);
    }
    engine_apply(asked.engine, peers_auth(asked.engine->peers, engine_now(), asked.peer, &values));
    wipe(&values, sizeof values);
}

static void auth(struct engine *engine, const struct peer_action *action) {
    struct asked *asked = asked_new(engine, action->peer);
    if (asked != NULL)
        monitor_auth(engine->monitor, &action->auth, on_auth, asked);
}

static void on_host(void *context, const struct monitor_answer *answer) {
    struct asked asked = *(struct asked *)context;
    free(context);
    const struct error *failed = answer->error.origin == ORIGIN_NONE ? NULL : &answer->error;
    if (failed != NULL)
        log_error("routes: %s", failed->text);
    send_late(asked.engine, asked.peer);
    engine_apply(asked.engine, peers_host_done(asked.engine->peers, engine_now(), asked.peer, failed));
}

static void host_up(struct engine *engine, const struct peer_action *action) {
    struct host_route_set routes;
    struct error error;
    struct asked *asked = asked_new(engine, action->peer);
    if (asked == NULL)
        return;
    if (!route_set_of(
            action->peer, &action->host_setup, device_mtu(engine, action->host_setup.device), &routes, &error)) {
        log_error("%s", error.text); /* what fits is set: some of the networks are better than none */
    }
    demand_yield(engine, action->connection);
    engine->routing = action->peer;
    monitor_routes_set(engine->monitor, &routes, on_host, asked);
}

static void traffic(struct engine *engine, const struct peer_action *action) {
    struct worker_command command = {
        .kind = WORKER_TRAFFIC, .traffic = action->traffic, .carrier = action->traffic.carrier, .fd = -1};
    kernel_before(engine, action, &command.traffic);
    outbox_post(engine, &command);
    kernel_after(engine, &command.traffic);
}

static void tell(struct engine *engine, const struct peer_action *action) {
    const char *text = action->text;
    if (text[0] == 0)
        text = action->kind == PEER_UP ? "up" : "down";
    if (action->connection[0] == 0)
        log_info("%s", text); /* of a stranger */
    else
        log_info("%s: %s", action->connection, text);
    control_event(engine, action);
}

static void carry_out(struct engine *engine, const struct peer_action *action) {
    switch (action->kind) {
    case PEER_RESOLVE:
        resolve_begin(engine, action);
        break;
    case PEER_SEND:
        send_ike(engine, action);
        break;
    case PEER_CONNECT:
        streams_connect(engine, action);
        break;
    case PEER_CANCEL:
        streams_cancel(engine, action->attempt);
        break;
    case PEER_CLOSE:
        streams_close(engine, action->carrier.stream);
        break;
    case PEER_AUTH:
        auth(engine, action);
        break;
    case PEER_SECRETS:
        keylog_write(engine, &action->secrets);
        break;
    case PEER_TRAFFIC:
        traffic(engine, action);
        break;
    case PEER_HOST_UP:
        host_up(engine, action);
        break;
    case PEER_HOST_DOWN:
        monitor_routes_drop(engine->monitor, action->peer);
        demand_return(engine, action->connection);
        break;
    case PEER_STEP:
    case PEER_UP:
    case PEER_DOWN:
        tell(engine, action);
        break;
    }
}

void engine_apply(struct engine *engine, struct peer_output output) {
    assert(!engine->applying); /* an answer from inside an action would make `output` invalid */
    engine->applying = true;
    for (size_t i = 0; i < output.actions; i++)
        carry_out(engine, &output.action[i]);
    engine->applying = false;
    engine->routing = 0;
    deadline_set(engine);
    engine_settle(engine);
}
