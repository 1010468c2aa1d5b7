/* queue_internal.h: what queue.c, queue_flow.c and codel.c share. */
#ifndef IKETCP_DATAPLANE_QUEUE_INTERNAL_H
#define IKETCP_DATAPLANE_QUEUE_INTERNAL_H

#include "dataplane/queue.h"

struct queue {
    uint64_t seed;
    uint8_t *octets; /* of all bursts */
    struct queue_burst_list free_shorts, free_longs; /* the last one used is the first to be used again */
    struct queue_counters counters;
    struct queue_flow flow[QUEUE_FLOWS];
    struct queue_burst burst[QUEUE_SHORTS + QUEUE_LONGS];
};

/* ---- queue_flow.c ---- */
/* The flow of that line that the packet is of, or an idle one for it; NULL: there is none. */
struct queue_flow *queue_flow_of(struct queue *, const struct queue_line *, const struct cut *);

/* ---- codel.c ---- */
/* Whether the flow must slow down, now that this burst, its first, is about to leave. */
bool codel_signals(struct queue_flow *, const struct queue_burst *, uint64_t now);
/* Tells it so: by a mark, else by one packet less. False: that was the last packet of the burst. */
bool codel_signal(struct queue *, struct queue_burst *);

#endif
