/* writer.c: appending to the caller's memory; too much is remembered, never written. */
#include "wire/writer.h"

#include <string.h>

struct writer writer_over(void *memory, size_t capacity) {
    return (struct writer){.start = memory, .capacity = capacity};
}

uint8_t *writer_reserve(struct writer *w, size_t length) {
    if (w->overflow || length > w->capacity - w->length) {
        w->overflow = true;
        return NULL;
    }
    uint8_t *at = w->start + w->length;
    w->length += length;
    return at;
}

static void put(struct writer *w, size_t octets, uint64_t value) {
    uint8_t *at = writer_reserve(w, octets);
    if (at == NULL)
        return;
    for (size_t i = octets; i-- > 0; value >>= 8)
        at[i] = (uint8_t)value;
}

void writer_u8(struct writer *w, uint8_t value) {
    put(w, sizeof value, value);
}

void writer_u16(struct writer *w, uint16_t value) {
    put(w, sizeof value, value);
}

void writer_u32(struct writer *w, uint32_t value) {
    put(w, sizeof value, value);
}

void writer_u64(struct writer *w, uint64_t value) {
    put(w, sizeof value, value);
}

void writer_octets(struct writer *w, const void *octets, size_t length) {
    if (length == 0)
        return;
    uint8_t *at = writer_reserve(w, length);
    if (at != NULL)
        memcpy(at, octets, length);
}

void writer_span(struct writer *w, struct span span) {
    writer_octets(w, span.at, span.length);
}

void writer_zero(struct writer *w, size_t length) {
    if (length == 0)
        return;
    uint8_t *at = writer_reserve(w, length);
    if (at != NULL)
        memset(at, 0, length);
}

struct mark writer_open_u16(struct writer *w, size_t before) {
    struct mark mark = {.at = w->length};
    if (before > w->length)
        w->overflow = true; /* our mistake: nothing stands there to count */
    else
        mark.from = w->length - before;
    writer_u16(w, 0);
    return mark;
}

void writer_close(struct writer *w, struct mark mark) {
    if (w->overflow)
        return;
    size_t length = w->length - mark.from;
    if (length > UINT16_MAX) {
        w->overflow = true;
        return;
    }
    w->start[mark.at] = (uint8_t)(length >> 8);
    w->start[mark.at + 1] = (uint8_t)length;
}
