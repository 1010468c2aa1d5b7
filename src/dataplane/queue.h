/* queue.h: what left the TUN and waits for its carrier: before it is sealed, since what is sealed can be neither dropped nor
 * overtaken. Flows take turns by octets and one that had nothing waiting goes first (deficit round robin as in RFC 8290);
 * a flow whose packets wait too long is told by an ECN mark, or by the loss of one packet (CoDel, RFC 8289).
 *
 * Pure: octets and a time come in. All memory is taken once; nothing is copied but the first octets of long bursts. */
#ifndef IKETCP_DATAPLANE_QUEUE_H
#define IKETCP_DATAPLANE_QUEUE_H

#include <sys/queue.h>
#include <sys/uio.h>

#include "dataplane/offload.h"
#include "peer/peer.h"

#define QUEUE_SHORT ((size_t)2048) /* octets: what one read may give without taking the room of a long burst */
#define QUEUE_SHORTS 1024u
#define QUEUE_LONGS 64u
#define QUEUE_FLOWS 1024u
#define QUEUE_WAYS 8u /* a flow may be in so many places */
#define QUEUE_TARGET_MS 5u /* RFC 8289 section 4.4 */
#define QUEUE_INTERVAL_MS 100u
#define QUEUE_QUANTUM_MAX ((size_t)65536)

/* What one read of the TUN gave. */
struct queue_burst {
    STAILQ_ENTRY(queue_burst) next;
    struct queue_flow *flow;
    struct cut cut;
    uint32_t device; /* the owner's, as are `route` and `generation` */
    struct traffic_route route;
    uint64_t generation;
    uint64_t since; /* ms: when it came */
    size_t length; /* octets, header for the TUN included */
    bool is_long, judged;
    uint8_t *octets;
};
STAILQ_HEAD(queue_burst_list, queue_burst);

struct queue_flow {
    TAILQ_ENTRY(queue_flow) next;
    struct queue_line *line; /* NULL: idle */
    struct queue_burst_list bursts;
    uint32_t tag;
    bool fresh; /* among those that go first */
    int64_t deficit; /* octets that it may still send in its turn */
    size_t octets; /* that wait */
    bool dropping; /* CoDel's, with the three that follow */
    uint32_t count;
    uint64_t above_at, next_at; /* ms; above_at 0: it does not wait too long */
};
TAILQ_HEAD(queue_flow_list, queue_flow);

/* All that waits for one carrier. */
struct queue_line {
    struct queue_flow_list fresh, others;
    uint32_t number; /* tells its flows from those of other lines */
    size_t quantum; /* octets of a turn: so much delays all others */
};
void queue_line_init(struct queue_line *, uint32_t number, size_t quantum);
static inline bool queue_line_empty(const struct queue_line *line) {
    return TAILQ_EMPTY(&line->fresh) && TAILQ_EMPTY(&line->others);
}

/* Whether there is a burst; flows that have just sent their last one stay in the line until it would be their turn. */
bool queue_line_waits(const struct queue_line *);

struct queue_counters {
    uint64_t marked, dropped; /* bursts that were marked, packets that CoDel took */
    uint64_t shed; /* packets that had to go because the queue was full */
};
struct queue;
struct queue *queue_new(
    uint64_t seed); /* NULL: memory is short. The seed keeps strangers from choosing their neighbours */
void queue_free(struct queue *);
const struct queue_counters *queue_counters(const struct queue *);

/* Where the next read of the TUN goes, in two pieces. A queue that is full makes room: the flow that has most loses its
 * oldest. */
void queue_room(struct queue *, struct iovec part[2]);
/* What was read there, `length` octets, header in front. NULL: no packet, it is dropped; else the caller looks at `cut`
 * and then calls queue_enter or queue_forget. */
struct queue_burst *queue_read(struct queue *, size_t length);
void queue_forget(struct queue *, struct queue_burst *);
void queue_enter(struct queue *, struct queue_line *, struct queue_burst *, uint64_t now);

/* The burst whose turn it is, and how many octets of it may go before it is another's; NULL: nothing waits. */
struct queue_burst *queue_next(struct queue *, struct queue_line *, uint64_t now, size_t *most);
/* After `octets` of packets were cut off it. One that has ended is gone. */
void queue_took(struct queue *, struct queue_burst *, size_t octets);
/* Takes it out; counts nothing. Returns how many packets it still had. */
size_t queue_drop(struct queue *, struct queue_burst *);
size_t queue_line_clear(struct queue *, struct queue_line *); /* drops all; returns how many packets */

#endif
