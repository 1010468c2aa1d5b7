/* ring.h: a bounded queue of fixed-size slots between two threads, one producer and one consumer, without locks. An
 * eventfd is written only when the consumer sleeps, so that a busy pair makes no system calls. */
#ifndef IKETCP_DATAPLANE_RING_H
#define IKETCP_DATAPLANE_RING_H

#include <stdatomic.h>

#include "base/base.h"

struct ring {
    uint8_t *slots;
    size_t slot; /* octets */
    uint32_t mask; /* slots - 1 */
    int wake; /* eventfd: readable while slots wait for a consumer that sleeps */
    _Alignas(64) _Atomic uint32_t head; /* consumer's: slots taken since the start */
    uint32_t tail_seen;
    _Alignas(64) _Atomic uint32_t tail; /* producer's: slots filled since the start */
    uint32_t head_seen;
    _Alignas(64) atomic_bool sleeping;
};

/* `slots` is a power of two. False and *err: no memory or descriptors. */
MUST_USE bool ring_open(struct ring *, size_t slot, uint32_t slots, struct error *);
void ring_close(struct ring *); /* what is in it is the caller's to take before */

/* --- producer --- */
size_t ring_room(struct ring *); /* slots that ring_push will surely take */
bool ring_push(struct ring *, const void *); /* copies one slot; false: full */
/* --- consumer --- */
bool ring_pop(struct ring *, void *); /* copies one slot; false: empty */
/* After ring_pop said empty: from now on the eventfd tells of the next one. */
void ring_sleep(struct ring *);

#endif
