/* timer.c: who wakes next, as a binary heap of timers that know their place in it. */
#include "peer/internal.h"

#include <stdlib.h>

static void place(struct timers *timers, size_t at, struct timer *timer) {
    timers->heap[at] = timer;
    timer->index = at;
}

static void rise(struct timers *timers, size_t at) {
    struct timer *timer = timers->heap[at];
    while (at > 0 && timers->heap[(at - 1) / 2]->at > timer->at) {
        place(timers, at, timers->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(timers, at, timer);
}

static void sink(struct timers *timers, size_t at) {
    struct timer *timer = timers->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= timers->count)
            break;
        if (child + 1 < timers->count && timers->heap[child + 1]->at < timers->heap[child]->at)
            child++;
        if (timers->heap[child]->at >= timer->at)
            break;
        place(timers, at, timers->heap[child]);
        at = child;
    }
    place(timers, at, timer);
}

static void take_out(struct timers *timers, struct timer *timer) {
    size_t at = timer->index;
    struct timer *last = timers->heap[--timers->count];
    timer->at = NEVER;
    if (last == timer)
        return;
    place(timers, at, last);
    rise(timers, at);
    sink(timers, last->index);
}

bool timer_set(struct timers *timers, struct timer *timer, uint64_t at) {
    if (timer->at != NEVER)
        take_out(timers, timer);
    if (at == NEVER)
        return true;
    if (timers->count == timers->capacity) {
        size_t capacity = timers->capacity ? timers->capacity * 2 : 64;
        struct timer **heap = realloc(timers->heap, capacity * sizeof(struct timer *));
        if (!heap)
            return false;
        timers->heap = heap;
        timers->capacity = capacity;
    }
    timer->at = at;
    place(timers, timers->count++, timer);
    rise(timers, timer->index);
    return true;
}

struct timer *timer_first(const struct timers *timers) {
    return timers->count ? timers->heap[0] : NULL;
}

void timers_free(struct timers *timers) {
    free(timers->heap);
    *timers = (struct timers){0};
}
