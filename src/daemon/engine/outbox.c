/* outbox.c: commands on their way to the worker. They go to its ring at once; when that is full they wait here, in order,
 * and are offered again every few milliseconds. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <unistd.h>

#define OUTBOX_IKE_MAX ((size_t)4096) /* behind so many, IKE messages are dropped: their senders repeat them */
#define OUTBOX_MAX ((size_t)65536) /* the worker is stuck: our own fault, and nothing to go on with */

static void discard(const struct worker_command *command) {
    free(command->octets);
    if (command->kind == WORKER_STREAM_ADD)
        tls_free(command->tls);
    if ((command->kind == WORKER_STREAM_ADD || command->kind == WORKER_UDP_ADD || command->kind == WORKER_TUN) &&
        command->fd >= 0)
        close(command->fd);
    if (command->kind == WORKER_TRAFFIC && command->traffic.verb == TRAFFIC_INSTALL)
        esp_sa_free(command->traffic.sa);
}

static void retry_soon(struct engine *engine) {
    struct timeval after = {.tv_usec = 2000};
    if (!evtimer_pending(engine->outbox.retry, NULL))
        evtimer_add(engine->outbox.retry, &after);
}

static void on_retry(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct engine *engine = context;
    struct outbox *outbox = &engine->outbox;
    while (outbox->count > 0 && worker_post(engine->worker, &outbox->list[outbox->head])) {
        outbox->head = (outbox->head + 1) % outbox->capacity;
        outbox->count--;
    }
    if (outbox->count > 0)
        retry_soon(engine);
}

bool outbox_open(struct engine *engine) {
    engine->outbox.retry = evtimer_new(engine->base, on_retry, engine);
    return engine->outbox.retry != NULL;
}

static bool grow(struct outbox *outbox) {
    size_t capacity = outbox->capacity == 0 ? 64 : outbox->capacity * 2;
    if (capacity > OUTBOX_MAX)
        return false;
    struct worker_command *list = calloc(capacity, sizeof *list);
    if (list == NULL)
        return false;
    for (size_t i = 0; i < outbox->count; i++)
        list[i] = outbox->list[(outbox->head + i) % outbox->capacity];
    free(outbox->list);
    outbox->list = list;
    outbox->head = 0;
    outbox->capacity = capacity;
    return true;
}

void outbox_post(struct engine *engine, const struct worker_command *command) {
    struct outbox *outbox = &engine->outbox;
    if (outbox->count == 0 && worker_post(engine->worker, command))
        return;
    if (command->kind == WORKER_SEND_IKE && outbox->count >= OUTBOX_IKE_MAX) {
        discard(command);
        return;
    }
    if (outbox->count == outbox->capacity && !grow(outbox)) {
        discard(command);
        engine_fail(engine, "the worker thread takes no commands, or memory is short");
        return;
    }
    outbox->list[(outbox->head + outbox->count) % outbox->capacity] = *command;
    outbox->count++;
    retry_soon(engine);
}

void outbox_close(struct engine *engine) {
    struct outbox *outbox = &engine->outbox;
    for (size_t i = 0; i < outbox->count; i++)
        discard(&outbox->list[(outbox->head + i) % outbox->capacity]);
    free(outbox->list);
    if (outbox->retry != NULL)
        event_free(outbox->retry);
    *outbox = (struct outbox){0};
}
