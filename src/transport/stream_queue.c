/* stream_queue.c: what waits behind a full socket, and where frames begin in it. */
#include "transport/stream_queue.h"

#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

#define ROOM_STEP ((size_t)4096) /* octets */

void stream_queue_close(struct stream_queue *queue) {
    free(queue->octets);
    queue->octets = NULL;
    queue->size = queue->head = queue->length = 0;
}

/* For `length` octets more. */
static bool make_room(struct stream_queue *queue, size_t length) {
    size_t need = queue->length + length;
    if (need + queue->head <= queue->size)
        return true;
    if (2 * need <= queue->size) {
        memmove(queue->octets, queue->octets + queue->head, queue->length);
        queue->head = 0;
        return true;
    }
    size_t size = (2 * need + ROOM_STEP - 1) / ROOM_STEP * ROOM_STEP;
    uint8_t *octets = malloc(size);
    if (octets == NULL)
        return false;
    if (queue->length > 0)
        memcpy(octets, queue->octets + queue->head, queue->length);
    free(queue->octets);
    queue->octets = octets;
    queue->size = size;
    queue->head = 0;
    return true;
}

uint8_t *stream_queue_add(struct stream_queue *queue, size_t length) {
    if (length > queue->most - queue->length || !make_room(queue, length))
        return NULL;
    uint8_t *at = queue->octets + queue->head + queue->length;
    queue->length += length;
    return at;
}

void stream_queue_take(struct stream_queue *queue, size_t length) {
    queue->head += length;
    queue->length -= length;
    if (queue->length == 0)
        stream_queue_close(queue);
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
