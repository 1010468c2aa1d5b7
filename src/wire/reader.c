/* reader.c: what is rarely read. */
#include "wire/reader.h"

bool reader_u64(struct reader *r, uint64_t *out) {
    uint32_t high, low;
    struct reader copy = *r;
    if (!reader_u32(&copy, &high) || !reader_u32(&copy, &low))
        return false;
    *out = (uint64_t)high << 32 | low;
    *r = copy;
    return true;
}

bool reader_end(const struct reader *r) {
    return r->left == 0;
}
