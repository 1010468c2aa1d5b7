/* queue.c: what waits for a carrier: whose turn it is (RFC 8290's deficit round robin), and where bursts are kept. When one
 * has waited too long is in codel.c, which flow a packet is of in queue_flow.c. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/queue_internal.h"

#define SHED_SHORTS 8u /* at once, since looking for the flow that has most takes a while */

static struct queue_burst *take_free(struct queue_burst_list *list) {
    struct queue_burst *burst = STAILQ_FIRST(list);
    if (burst != NULL)
        STAILQ_REMOVE_HEAD(list, next);
    return burst;
}

static void give_free(struct queue *queue, struct queue_burst *burst) {
    STAILQ_INSERT_HEAD(burst->is_long ? &queue->free_longs : &queue->free_shorts, burst, next);
}

struct queue *queue_new(uint64_t seed) {
    struct queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return NULL;
    queue->seed = seed;
    /* Never touched where nothing waits: only what is used is real. */
    queue->octets = malloc(QUEUE_SHORTS * QUEUE_SHORT + QUEUE_LONGS * TUN_READ_MAX);
    if (queue->octets == NULL) {
        free(queue);
        return NULL;
    }
    STAILQ_INIT(&queue->free_shorts);
    STAILQ_INIT(&queue->free_longs);
    for (size_t i = QUEUE_SHORTS + QUEUE_LONGS; i-- > 0;) {
        struct queue_burst *burst = &queue->burst[i];
        burst->is_long = i >= QUEUE_SHORTS;
        burst->octets = burst->is_long ? queue->octets + QUEUE_SHORTS * QUEUE_SHORT + (i - QUEUE_SHORTS) * TUN_READ_MAX
                                       : queue->octets + i * QUEUE_SHORT;
        give_free(queue, burst);
    }
    return queue;
}

void queue_free(struct queue *queue) {
    if (queue != NULL)
        free(queue->octets);
    free(queue);
}

const struct queue_counters *queue_counters(const struct queue *queue) {
    return &queue->counters;
}

void queue_line_init(struct queue_line *line, uint32_t number, size_t quantum) {
    TAILQ_INIT(&line->fresh);
    TAILQ_INIT(&line->others);
    line->number = number;
    line->quantum = quantum;
}

bool queue_line_waits(const struct queue_line *line) {
    const struct queue_flow *flow;
    TAILQ_FOREACH(flow, &line->fresh, next) {
        if (!STAILQ_EMPTY(&flow->bursts))
            return true;
    }
    TAILQ_FOREACH(flow, &line->others, next) {
        if (!STAILQ_EMPTY(&flow->bursts))
            return true;
    }
    return false;
}

/* ---- in ---- */

static void shed(struct queue *queue, size_t most) {
    struct queue_flow *fattest = &queue->flow[0];
    for (size_t i = 1; i < QUEUE_FLOWS; i++)
        if (queue->flow[i].octets > fattest->octets)
            fattest = &queue->flow[i];
    for (size_t i = 0; i < most && !STAILQ_EMPTY(&fattest->bursts); i++)
        queue->counters.shed += queue_drop(queue, STAILQ_FIRST(&fattest->bursts));
}

void queue_room(struct queue *queue, struct iovec part[2]) {
    while (STAILQ_EMPTY(&queue->free_longs)) /* few flows of many octets, or one has them */
        shed(queue, 1);
    while (STAILQ_EMPTY(&queue->free_shorts))
        shed(queue, SHED_SHORTS);
    struct queue_burst *small = STAILQ_FIRST(&queue->free_shorts), *large = STAILQ_FIRST(&queue->free_longs);
    part[0] = (struct iovec){.iov_base = small->octets, .iov_len = QUEUE_SHORT};
    part[1] = (struct iovec){.iov_base = large->octets + QUEUE_SHORT, .iov_len = TUN_READ_MAX - QUEUE_SHORT};
}

struct queue_burst *queue_read(struct queue *queue, size_t length) {
    struct queue_burst *burst = STAILQ_FIRST(&queue->free_shorts);
    if (length > QUEUE_SHORT) {
        const uint8_t *front = burst->octets;
        burst = take_free(&queue->free_longs);
        memcpy(burst->octets, front, QUEUE_SHORT);
    } else {
        take_free(&queue->free_shorts);
    }
    burst->length = length;
    burst->judged = false;
    if (cut_begin(&burst->cut, burst->octets, length))
        return burst;
    give_free(queue, burst);
    return NULL;
}

void queue_forget(struct queue *queue, struct queue_burst *burst) {
    give_free(queue, burst);
}

void queue_enter(struct queue *queue, struct queue_line *line, struct queue_burst *burst, uint64_t now) {
    struct queue_flow *flow = queue_flow_of(queue, line, &burst->cut);
    if (flow == NULL) { /* others' flows have all the places that it could have */
        queue->counters.shed++;
        give_free(queue, burst);
        return;
    }
    burst->since = now;
    burst->flow = flow;
    STAILQ_INSERT_TAIL(&flow->bursts, burst, next);
    flow->octets += burst->length;
    if (flow->line != NULL)
        return;
    flow->line = line;
    flow->deficit = (int64_t)line->quantum;
    flow->fresh = true;
    TAILQ_INSERT_TAIL(&line->fresh, flow, next);
}

/* ---- out ---- */

static void leave(struct queue_flow *flow) {
    TAILQ_REMOVE(flow->fresh ? &flow->line->fresh : &flow->line->others, flow, next);
}

static void to_the_others(struct queue_flow *flow) {
    leave(flow);
    flow->fresh = false;
    TAILQ_INSERT_TAIL(&flow->line->others, flow, next);
}

/* One that went first and has nothing more waits once with the others, or it could keep them waiting for ever. */
static void is_empty(struct queue_flow *flow) {
    if (flow->fresh && !TAILQ_EMPTY(&flow->line->others)) {
        to_the_others(flow);
        return;
    }
    leave(flow);
    flow->line = NULL;
}

struct queue_burst *queue_next(struct queue *queue, struct queue_line *line, uint64_t now, size_t *most) {
    for (;;) { /* each round empties a flow, drops a burst, or brings a deficit nearer to what is allowed */
        struct queue_flow *flow = TAILQ_FIRST(&line->fresh);
        if (flow == NULL)
            flow = TAILQ_FIRST(&line->others);
        if (flow == NULL)
            return NULL;
        struct queue_burst *burst = STAILQ_FIRST(&flow->bursts);
        if (burst == NULL) {
            is_empty(flow);
            continue;
        }
        if (flow->deficit <= 0) {
            flow->deficit += (int64_t)line->quantum;
            to_the_others(flow);
            continue;
        }
        if (!burst->judged && codel_signals(flow, burst, now) && !codel_signal(queue, burst)) {
            queue_drop(queue, burst);
            continue;
        }
        burst->judged = true;
        *most = (size_t)flow->deficit;
        return burst;
    }
}

void queue_took(struct queue *queue, struct queue_burst *burst, size_t octets) {
    burst->flow->deficit -= (int64_t)octets;
    if (cut_next_length(&burst->cut) == 0)
        queue_drop(queue, burst);
}

size_t queue_drop(struct queue *queue, struct queue_burst *burst) {
    struct queue_flow *flow = burst->flow;
    size_t packets = cut_packets(&burst->cut);
    STAILQ_REMOVE(&flow->bursts, burst, queue_burst, next); /* the first, but where a line is cleared */
    flow->octets -= burst->length;
    give_free(queue, burst);
    return packets;
}

size_t queue_line_clear(struct queue *queue, struct queue_line *line) {
    size_t packets = 0;
    for (;;) {
        struct queue_flow *flow = TAILQ_FIRST(&line->fresh);
        if (flow == NULL)
            flow = TAILQ_FIRST(&line->others);
        if (flow == NULL)
            return packets;
        while (!STAILQ_EMPTY(&flow->bursts))
            packets += queue_drop(queue, STAILQ_FIRST(&flow->bursts));
        leave(flow);
        flow->line = NULL;
    }
}
