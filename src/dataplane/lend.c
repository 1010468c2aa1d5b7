/* lend.c: a stream on its way to the kernel, which then does the ESP of its anchor (row O5). Reading stops where a frame ends,
 * so that the kernel misses nothing; stream and SAs rest from there, and what the SAs send meanwhile is dropped (a millisecond
 * or two). The control thread gives their numbers and keys to the kernel by the monitor, and decides. */
#include "dataplane/internal.h"

#include <event2/event.h>

/* Says how far they are. No memory for it: they stay ours. */
static void lend_sas(struct link *link) {
    struct worker *worker = link->worker;
    struct esp_numbers numbers[WORKER_LENT_MAX];
    worker->generation++; /* what waits for these SAs finds out that they are lent */
    size_t count = traffic_lend(worker->traffic, link->anchor, numbers, WORKER_LENT_MAX);
    if (report_lent(worker, link, numbers, count))
        return;
    for (size_t i = 0; i < count; i++)
        traffic_return(worker->traffic, &numbers[i]);
    lend_over(link);
}

/* A new IKE SA on a connection whose last one is gone (L7): its stream rests no more. */
static void lend_to_kernel(struct link *link) {
    link->asked = !reports_have_room(link->worker, 1);
    if (link->asked)
        lend_retry(link);
    else
        lend_sas(link);
}

void lend_begin(struct link *link, uint32_t anchor, uint32_t round) {
    link->anchor = anchor;
    link->round = round;
    if (link->lending == LEND_KERNEL)
        lend_to_kernel(link);
    if (link->lending != LEND_OURS)
        return;
    link->lending = LEND_ENDING;
    (void)lend_on(link);
}

static void rest(struct link *link) {
    link->lending = LEND_RESTS;
    event_del(link->readable);
    stream_rest(link->stream);
    lend_sas(link);
}

/* False: it is gone. */
static bool flush(struct link *link) {
    struct error error = {0};
    enum stream_result result = stream_flush(link->stream, &error);
    if (result == STREAM_OK || result == STREAM_AGAIN) {
        link_after_write(link);
        return true;
    }
    link_lost(link, result, &error);
    return false;
}

/* The border is looked for when nothing waits to be written: two sides that wait for that and don't read would wait for each
 * other. */
bool lend_on(struct link *link) {
    if (link->lending != LEND_ENDING || link->held)
        return true;
    if (stream_wants_write(link->stream))
        stream_read_on(link->stream);
    else if (!reports_have_room(link->worker, 1))
        lend_retry(link);
    else if (stream_at_border(link->stream))
        rest(link);
    return true;
}

void lend_decided(struct link *link) {
    struct error error = {0};
    if (link->lending != LEND_RESTS)
        return;
    if (!stream_to_kernel(link->stream, &error)) {
        link_lost(link, STREAM_FAILED, &error);
        return;
    }
    link->lending = LEND_KERNEL;
    event_del(link->writable);
    event_add(link->readable, NULL);
    event_active(link->readable, EV_READ, 0); /* an IKE message that came first makes no noise twice */
    (void)flush(link);
}

void lend_over(struct link *link) {
    bool rested = link->lending == LEND_RESTS;
    link->asked = false;
    if (link->stream == NULL || (!rested && link->lending != LEND_ENDING))
        return;
    link->lending = LEND_OURS;
    stream_read_on(link->stream);
    if (rested && !link->held)
        event_add(link->readable, NULL);
    if (!flush(link))
        return;
    outlet_ready(link->worker, &link->outlet);
    /* Not from here: others may be lost by it, while somebody looks through links. */
    event_active(link->worker->on_serve, EV_TIMEOUT, 0);
}

void lend_retry(struct link *link) {
    if (!link->retried)
        LIST_INSERT_HEAD(&link->worker->retried_links, link, retry_next);
    link->retried = true;
    worker_retry_soon(link->worker);
}

void lends_retry(struct worker *worker) {
    struct link *link = LIST_FIRST(&worker->retried_links), *following;
    for (; link != NULL; link = following) {
        following = LIST_NEXT(link, retry_next); /* one that waits again goes to the front: not now */
        LIST_REMOVE(link, retry_next);
        link->retried = false;
        if (link->lending != LEND_KERNEL)
            (void)lend_on(link);
        else if (flush(link) && link->asked)
            lend_to_kernel(link);
    }
}
