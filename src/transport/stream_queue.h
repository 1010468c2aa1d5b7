/* stream_queue.h: private to transport/: octets that wait behind a full socket, in order. Memory only while some do: twice the
 * room that they need, so that moving them to the front costs less than appending. */
#ifndef IKETCP_TRANSPORT_STREAM_QUEUE_H
#define IKETCP_TRANSPORT_STREAM_QUEUE_H

#include "base/base.h"

struct stream_queue {
    uint8_t *octets; /* NULL: nothing waits */
    size_t most; /* octets that may wait */
    size_t size, head, length;
};

void stream_queue_close(struct stream_queue *);
/* `length` octets at the end for the caller to fill; NULL: it is full, or memory is short. */
MUST_USE uint8_t *stream_queue_add(struct stream_queue *, size_t length);
void stream_queue_take(struct stream_queue *, size_t length); /* from the front */
static inline const uint8_t *stream_queue_front(const struct stream_queue *queue) {
    static const uint8_t nothing;
    return queue->octets == NULL ? &nothing : queue->octets + queue->head;
}

/* How much of octets[0..length), which begins at a frame's border, is whole frames within the first `at` octets, and
 * what the frame that `at` cuts is still short of. */
struct frame_cut {
    size_t whole; /* octets of whole frames before `at` */
    size_t missing; /* octets of the frame begun before `at` that lie behind it; 0: `at` is a border */
};
struct frame_cut frame_cut_at(const uint8_t *octets, size_t length, size_t at);

#endif
