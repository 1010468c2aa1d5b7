/* writer.h: appends to the caller's memory. Overflow is remembered, later writes do nothing, and it is checked once:
 * `if (!writer_ok(&w)) return fail(...)`. Lengths that come before their content are reserved and filled on closing. */
#ifndef IKETCP_WIRE_WRITER_H
#define IKETCP_WIRE_WRITER_H

#include "base/base.h"

struct writer {
    uint8_t *start;
    size_t length; /* octets written so far */
    size_t capacity; /* octets */
    bool overflow;
};

/* Where a length field waits to be filled. */
struct mark {
    size_t at; /* offset of the field */
    size_t from; /* offset from which octets are counted */
};

struct writer writer_over(void *memory, size_t capacity);
void writer_u8(struct writer *, uint8_t);
void writer_u16(struct writer *, uint16_t);
void writer_u32(struct writer *, uint32_t);
void writer_u64(struct writer *, uint64_t);
void writer_octets(struct writer *, const void *, size_t length);
void writer_span(struct writer *, struct span);
void writer_zero(struct writer *, size_t length);
/* `length` octets to be filled by the caller, NULL on overflow. */
MUST_USE uint8_t *writer_reserve(struct writer *, size_t length);
/* Puts a 16-bit length there later; the count starts `before` octets before the field itself. */
struct mark writer_open_u16(struct writer *, size_t before);
void writer_close(struct writer *, struct mark);
static inline bool writer_ok(const struct writer *w) {
    return !w->overflow;
}

#endif
