/* reader.c: the one way in for octets from outside. Nothing passes the end, and a read that fails moves nothing. */
#include "wire/reader.h"

#include <string.h>

struct reader reader_over(const void *octets, size_t length) {
    return (struct reader){.at = octets, .left = length};
}

bool reader_span(struct reader *r, size_t length, struct span *out) {
    if (length > r->left)
        return false;
    *out = span_of(r->at, length);
    if (length > 0) { /* r->at may be NULL when nothing is left */
        r->at += length;
        r->left -= length;
    }
    return true;
}

/* A number of `octets` octets, the first one the highest. */
static bool take(struct reader *r, size_t octets, uint64_t *out) {
    struct span span;
    if (!reader_span(r, octets, &span))
        return false;
    uint64_t value = 0;
    for (size_t i = 0; i < octets; i++)
        value = value << 8 | span.at[i];
    *out = value;
    return true;
}

bool reader_u8(struct reader *r, uint8_t *out) {
    uint64_t value;
    if (!take(r, sizeof *out, &value))
        return false;
    *out = (uint8_t)value;
    return true;
}

bool reader_u16(struct reader *r, uint16_t *out) {
    uint64_t value;
    if (!take(r, sizeof *out, &value))
        return false;
    *out = (uint16_t)value;
    return true;
}

bool reader_u32(struct reader *r, uint32_t *out) {
    uint64_t value;
    if (!take(r, sizeof *out, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

bool reader_u64(struct reader *r, uint64_t *out) {
    return take(r, sizeof *out, out);
}

bool reader_copy(struct reader *r, size_t length, uint8_t *out) {
    struct span span;
    if (!reader_span(r, length, &span))
        return false;
    if (length > 0)
        memcpy(out, span.at, length);
    return true;
}

bool reader_skip(struct reader *r, size_t length) {
    struct span span;
    return reader_span(r, length, &span);
}

bool reader_sub(struct reader *r, size_t length, struct reader *child) {
    struct span span;
    if (!reader_span(r, length, &span))
        return false;
    *child = reader_over(span.at, span.length);
    return true;
}

bool reader_end(const struct reader *r) {
    return r->left == 0;
}
