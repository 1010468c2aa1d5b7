/* codel.c: when a flow whose packets wait is told to slow down (RFC 8289, section 5): one that has waited longer than the
 * target for a whole interval loses a packet, and then more and more often until its wait is short again. */
#include "dataplane/queue_internal.h"

/* QUEUE_INTERVAL_MS / sqrt(count), in whole ms. */
static uint64_t interval_of(uint32_t count) {
    uint32_t root = 1;
    while ((uint64_t)(root + 1) * (root + 1) <= (uint64_t)count * 16) /* four times the root, rounded down */
        root++;
    uint64_t interval = QUEUE_INTERVAL_MS * 4 / root;
    return interval > 0 ? interval : 1;
}

/* Longer than the target, and so all through the last interval. A flow with nothing behind this burst has no queue. */
static bool stands(struct queue_flow *flow, const struct queue_burst *burst, uint64_t now) {
    if (now - burst->since < QUEUE_TARGET_MS || STAILQ_NEXT(burst, next) == NULL) {
        flow->above_at = 0;
        return false;
    }
    if (flow->above_at == 0) {
        flow->above_at = now + QUEUE_INTERVAL_MS;
        return false;
    }
    return now >= flow->above_at;
}

bool codel_signals(struct queue_flow *flow, const struct queue_burst *burst, uint64_t now) {
    bool stands_still = stands(flow, burst, now);
    if (flow->dropping) {
        flow->dropping = stands_still;
        if (!stands_still || now < flow->next_at)
            return false;
        flow->count++;
        flow->next_at += interval_of(flow->count);
        return true;
    }
    if (!stands_still)
        return false;
    flow->dropping = true;
    /* Soon again after the last time: go on where it helped. */
    bool soon = flow->count > 2 && now - flow->next_at < 16 * (uint64_t)QUEUE_INTERVAL_MS;
    flow->count = soon ? flow->count - 2 : 1;
    flow->next_at = now + interval_of(flow->count);
    return true;
}

bool codel_signal(struct queue *queue, struct queue_burst *burst) {
    if (cut_mark(&burst->cut, burst->octets + TUN_HEADER_LENGTH)) {
        queue->counters.marked++;
        return true;
    }
    queue->counters.dropped++;
    cut_skip(&burst->cut);
    return cut_next_length(&burst->cut) > 0;
}
