/* reader.h: a bounds-checked cursor over octets from outside. A read that would pass the end fails and moves nothing. */
#ifndef IKETCP_WIRE_READER_H
#define IKETCP_WIRE_READER_H

#include "base/base.h"

struct reader {
    const uint8_t *at;
    size_t left; /* octets */
};

struct reader reader_over(const void *octets, size_t length);
MUST_USE bool reader_u8(struct reader *, uint8_t *);
MUST_USE bool reader_u16(struct reader *, uint16_t *); /* network order in, host order out */
MUST_USE bool reader_u32(struct reader *, uint32_t *);
MUST_USE bool reader_u64(struct reader *, uint64_t *);
MUST_USE bool reader_span(struct reader *, size_t length, struct span *); /* a view, nothing is copied */
MUST_USE bool reader_copy(struct reader *, size_t length, uint8_t *out);
MUST_USE bool reader_skip(struct reader *, size_t length);
MUST_USE bool reader_sub(struct reader *, size_t length, struct reader *child);
MUST_USE bool reader_end(const struct reader *); /* refuses leftovers */
static inline struct span reader_rest(const struct reader *r) {
    return span_of(r->at, r->left);
}

#endif
