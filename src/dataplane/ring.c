/* ring.c: the two rings between the control thread and a worker. Each side owns one counter and keeps a copy of the
 * other's, which it reads again only when the copy says that it must wait. */
#include "dataplane/ring.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

bool ring_open(struct ring *ring, size_t slot, uint32_t slots, struct error *err) {
    memset(ring, 0, sizeof *ring);
    ring->slot = slot;
    ring->mask = slots - 1;
    ring->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (ring->wake < 0)
        return fail(err, HOST, 0, "an eventfd could not be made");
    ring->slots = calloc(slots, slot);
    if (ring->slots == NULL) {
        close(ring->wake);
        ring->wake = -1;
        return fail(err, OURS, 0, "memory is short");
    }
    atomic_init(&ring->sleeping, true);
    return true;
}

void ring_close(struct ring *ring) {
    if (ring->slots == NULL)
        return;
    free(ring->slots);
    ring->slots = NULL;
    close(ring->wake);
}

size_t ring_room(struct ring *ring) {
    ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    return (size_t)ring->mask + 1 - (tail - ring->head_seen);
}

static void wake(struct ring *ring) {
    uint64_t one = 1;
    ssize_t written = write(ring->wake, &one, sizeof one); /* full would mean readable, which is all that is wanted */
    (void)written;
}

bool ring_push(struct ring *ring, const void *value) {
    uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    if (tail - ring->head_seen > ring->mask && ring_room(ring) == 0)
        return false;
    memcpy(ring->slots + (size_t)(tail & ring->mask) * ring->slot, value, ring->slot);
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
    /* The slot must be seen before `sleeping` is looked at, as ring_sleep sets that before it looks for slots. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ring->sleeping, memory_order_relaxed) && atomic_exchange(&ring->sleeping, false))
        wake(ring);
    return true;
}

bool ring_pop(struct ring *ring, void *value) {
    uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (head == ring->tail_seen) {
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen)
            return false;
    }
    memcpy(value, ring->slots + (size_t)(head & ring->mask) * ring->slot, ring->slot);
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    return true;
}

void ring_sleep(struct ring *ring) {
    uint64_t count;
    ssize_t got = read(ring->wake, &count, sizeof count);
    (void)got;
    atomic_store(&ring->sleeping, true);
    atomic_thread_fence(memory_order_seq_cst);
    ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
    bool waits = ring->tail_seen != atomic_load_explicit(&ring->head, memory_order_relaxed);
    if (waits && atomic_exchange(&ring->sleeping, false))
        wake(ring); /* one came meanwhile */
}
