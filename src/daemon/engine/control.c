/* control.c: the control socket: one JSON object a line from `iketcp`, answers a line each: progress {"step", "text"}, then
 * one {"result": "ok" or "error", "text"}. Many clients at once; a slow one, or one that goes away, holds up nobody. */
#include "daemon/engine/control.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <event2/util.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS_MAX ((size_t)64)
#define LINE_MAX_OCTETS ((size_t)4096)
#define BEHIND_MAX ((size_t)262144) /* who lets so much progress lie is dropped */
#define WRITE_MOST_S 10

/* The client is freed by the reaper: somebody up the stack may still look at it. */
void client_drop(struct client *client) {
    if (client->gone)
        return;
    client->gone = true;
    struct timeval at_once = {0};
    evtimer_add(client->engine->control.reaper, &at_once);
}

static void client_free(struct client *client) {
    LIST_REMOVE(client, next);
    client->engine->control.count--;
    if (client->timer != NULL)
        event_free(client->timer);
    bufferevent_free(client->stream);
    free(client);
}

static void on_reap(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct engine *engine = context;
    struct client *client, *following;
    for (client = LIST_FIRST(&engine->control.clients); client != NULL; client = following) {
        following = LIST_NEXT(client, next);
        if (client->gone)
            client_free(client);
    }
}

static size_t behind(struct client *client) {
    return evbuffer_get_length(bufferevent_get_output(client->stream));
}

void client_write(struct client *client, json_t *object) {
    char *text = object == NULL || client->gone ? NULL : json_dumps(object, JSON_COMPACT);
    if (text == NULL || bufferevent_write(client->stream, text, strlen(text)) != 0 ||
        bufferevent_write(client->stream, "\n", 1) != 0)
        client_drop(client);
    free(text);
    json_decref(object);
}

void client_step(struct client *client, const char *step, const char *text) {
    if (behind(client) > BEHIND_MAX)
        client_drop(client);
    else
        client_write(client, json_pack("{s:s, s:o}", "step", step, "text", json_text(text)));
}

void client_finish(struct client *client, bool ok, const char *text) {
    client->wait = WAIT_NOTHING;
    if (client->timer != NULL)
        evtimer_del(client->timer);
    client_write(client, json_pack("{s:s, s:o}", "result", ok ? "ok" : "error", "text", json_text(text)));
    bufferevent_trigger(client->stream, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
}

static void take_line(struct client *client, const char *line, size_t length) {
    json_error_t where;
    json_t *request = json_loadb(line, length, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(request))
        client_finish(client, false, "a request is one JSON object on one line");
    else
        command_run(client, request);
    json_decref(request);
}

/* One request at a time, the next one when its answer was read. */
static void on_read(struct bufferevent *stream, void *context) {
    struct client *client = context;
    struct evbuffer *input = bufferevent_get_input(stream);
    while (!client->gone && client->wait == WAIT_NOTHING && behind(client) == 0) {
        size_t length = 0;
        char *line = evbuffer_readln(input, &length, EVBUFFER_EOL_LF);
        if (line == NULL)
            break;
        take_line(client, line, length);
        free(line);
    }
    if (!client->gone && client->wait == WAIT_NOTHING && behind(client) == 0 &&
        evbuffer_get_length(input) >= LINE_MAX_OCTETS) {
        client->closing = true;
        client_write(client, json_pack("{s:s, s:s}", "result", "error", "text", "the request is too long"));
    }
}

static void on_written(struct bufferevent *stream, void *context) {
    struct client *client = context;
    if (client->closing && client->wait == WAIT_NOTHING)
        client_drop(client);
    else
        on_read(stream, context);
}

static void on_event(struct bufferevent *stream, short what, void *context) {
    (void)stream;
    struct client *client = context;
    bool ended = (what & BEV_EVENT_EOF) != 0 && (what & BEV_EVENT_ERROR) == 0;
    if (ended && client->wait == WAIT_NOTHING && behind(client) > 0)
        client->closing = true; /* it has asked and said that this was all: the answer is still on its way */
    else
        client_drop(client);
}

static void on_accept(
    struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length, void *context) {
    (void)listener;
    (void)address;
    (void)length;
    struct engine *engine = context;
    struct client *client = engine->control.count < CLIENTS_MAX ? calloc(1, sizeof *client) : NULL;
    evutil_make_socket_nonblocking(fd);
    struct bufferevent *stream =
        client == NULL ? NULL : bufferevent_socket_new(engine->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (stream == NULL) {
        static const char full[] = "{\"result\":\"error\",\"text\":\"too many control clients are connected\"}\n";
        if (write(fd, full, sizeof full - 1) < 0)
            log_debug("a control client is turned away unheard");
        close(fd);
        free(client);
        return;
    }
    *client = (struct client){.engine = engine, .stream = stream};
    LIST_INSERT_HEAD(&engine->control.clients, client, next);
    engine->control.count++;
    struct timeval most = {.tv_sec = WRITE_MOST_S};
    bufferevent_set_timeouts(stream, NULL, &most);
    bufferevent_setwatermark(stream, EV_READ, 0, LINE_MAX_OCTETS);
    bufferevent_setcb(stream, on_read, on_written, on_event, client);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

bool control_open(struct engine *engine, int fd, struct error *err) {
    evutil_make_socket_nonblocking(fd);
    evutil_make_socket_closeonexec(fd);
    engine->control.reaper = evtimer_new(engine->base, on_reap, engine);
    if (engine->control.reaper != NULL)
        engine->control.listener =
            evconnlistener_new(engine->base, on_accept, engine, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (engine->control.listener != NULL)
        return true;
    close(fd);
    return fail(err, OURS, 0, "the control socket can't be served: memory is short");
}

void control_close(struct engine *engine) {
    struct control *control = &engine->control;
    struct client *client, *following;
    for (client = LIST_FIRST(&control->clients); client != NULL; client = following) {
        following = LIST_NEXT(client, next);
        client_free(client);
    }
    if (control->listener != NULL)
        evconnlistener_free(control->listener);
    if (control->reaper != NULL)
        event_free(control->reaper);
    *control = (struct control){0};
}
