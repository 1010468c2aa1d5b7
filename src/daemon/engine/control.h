/* control.h: a client of the control socket, between control.c (its octets) and commands.c (what it wants). */
#ifndef IKETCP_DAEMON_ENGINE_CONTROL_H
#define IKETCP_DAEMON_ENGINE_CONTROL_H

#include "daemon/engine/internal.h"

struct bufferevent;

enum client_wait { WAIT_NOTHING, WAIT_UP, WAIT_DOWN, WAIT_RELOAD, WAIT_STOP };

struct client {
    LIST_ENTRY(client) next;
    struct engine *engine;
    struct bufferevent *stream;
    struct event *timer; /* bounds a wait; NULL until there is one */
    enum client_wait wait;
    peer_id peer; /* WAIT_UP */
    char name[64]; /* of the connection */
    bool was_up; /* WAIT_UP: before it was asked for */
    size_t downs; /* WAIT_DOWN: so many peers go */
    bool closing; /* after what is still to be written */
    bool gone; /* the reaper frees it */
};

void client_write(struct client *, json_t *object); /* takes the reference; a line */
void client_step(struct client *, const char *step, const char *text);
void client_finish(struct client *, bool ok, const char *text); /* the answer; the next request may come */
void client_drop(struct client *);

/* commands.c */
void command_run(struct client *, const json_t *request);

#endif
