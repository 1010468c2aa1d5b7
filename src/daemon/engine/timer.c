/* timer.c: the clock, and one timer for all that peers have due. */
#include "daemon/engine/internal.h"

#include <event2/event.h>

#define SLEEP_MOST (60 * SECOND) /* libevent's clock stands still while the machine sleeps; ours does not */

uint64_t engine_now(void) {
    return dataplane_now();
}

static void on_timer(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct engine *engine = context;
    uint64_t now = engine_now();
    if (peers_deadline(engine->peers) <= now)
        engine_apply(engine, peers_wake(engine->peers, now));
    else
        deadline_set(engine);
}

bool deadline_open(struct engine *engine) {
    engine->timer = evtimer_new(engine->base, on_timer, engine);
    return engine->timer != NULL;
}

void deadline_set(struct engine *engine) {
    uint64_t deadline = peers_deadline(engine->peers), now = engine_now();
    uint64_t wait = deadline <= now ? 0 : deadline - now;
    if (wait > SLEEP_MOST)
        wait = SLEEP_MOST;
    struct timeval after = {.tv_sec = (time_t)(wait / SECOND), .tv_usec = (suseconds_t)(wait % SECOND * 1000)};
    evtimer_add(engine->timer, &after);
}

void deadline_close(struct engine *engine) {
    if (engine->timer != NULL)
        event_free(engine->timer);
    engine->timer = NULL;
}
