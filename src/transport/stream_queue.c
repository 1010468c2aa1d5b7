/* stream_queue.c: what waits behind a full socket, and where frames begin in it. */
#include "transport/stream_queue.h"

#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

bool stream_queue_open(struct stream_queue *queue, size_t most) {
    *queue = (struct stream_queue){.octets = malloc(2 * most), .most = most};
    return queue->octets != NULL;
}

void stream_queue_close(struct stream_queue *queue) {
    free(queue->octets);
    queue->octets = NULL;
}

uint8_t *stream_queue_add(struct stream_queue *queue, size_t length) {
    if (length > queue->most - queue->length)
        return NULL;
    if (length > 2 * queue->most - queue->head - queue->length) {
        memmove(queue->octets, queue->octets + queue->head, queue->length);
        queue->head = 0;
    }
    uint8_t *at = queue->octets + queue->head + queue->length;
    queue->length += length;
    return at;
}

void stream_queue_take(struct stream_queue *queue, size_t length) {
    queue->head += length;
    queue->length -= length;
    if (queue->length == 0)
        queue->head = 0;
}

struct frame_cut frame_cut_at(const uint8_t *octets, size_t length, size_t at) {
    struct reader r = reader_over(octets, length);
    size_t border = 0;
    while (border < at) {
        uint16_t frame;
        if (!reader_u16(&r, &frame) || frame < FRAME_LENGTH_FIELD || !reader_skip(&r, frame - FRAME_LENGTH_FIELD))
            return (struct frame_cut){.whole = border, .missing = length - at}; /* not frames: keep it together */
        if (border + frame > at)
            return (struct frame_cut){.whole = border, .missing = border + frame - at};
        border += frame;
    }
    return (struct frame_cut){.whole = border};
}
