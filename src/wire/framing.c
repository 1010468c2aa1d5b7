/* framing.c: where the next message of a stream lies, and what a payload is. RFC 9329 sections 3 and 4. */
#include "wire/framing.h"

#include <string.h>

#include "wire/reader.h"

enum payload_kind payload_classify(struct span payload, struct span *message) {
    *message = payload;
    if (payload.length == 0)
        return PAYLOAD_IS_EMPTY;
    if (payload.length == 1 && payload.at[0] == 0xff)
        return PAYLOAD_IS_KEEPALIVE;
    struct reader r = reader_over(payload.at, payload.length);
    uint32_t first;
    if (!reader_u32(&r, &first))
        return PAYLOAD_IS_RUNT;
    if (first != 0)
        return PAYLOAD_IS_ESP; /* an SPI */
    *message = reader_rest(&r);
    return PAYLOAD_IS_IKE;
}

struct framer framer_start(bool expect_prefix) {
    return (struct framer){.expect_prefix = expect_prefix};
}

static enum framer_verdict corrupt(struct framer *framer) {
    framer->corrupt = true;
    return FRAMER_CORRUPT;
}

enum framer_verdict framer_next(
    struct framer *framer, const uint8_t *octets, size_t length, size_t *consumed, struct span *payload) {
    if (framer->corrupt)
        return FRAMER_CORRUPT;
    struct reader r = reader_over(octets, length);
    if (framer->expect_prefix) {
        size_t come = r.left < STREAM_PREFIX_LENGTH ? r.left : STREAM_PREFIX_LENGTH;
        if (come > 0 && memcmp(r.at, STREAM_PREFIX, come) != 0)
            return corrupt(framer);
        if (!reader_skip(&r, STREAM_PREFIX_LENGTH))
            return FRAMER_MORE;
        framer->expect_prefix = false;
        *consumed += STREAM_PREFIX_LENGTH;
    }
    uint16_t frame;
    if (!reader_u16(&r, &frame))
        return FRAMER_MORE;
    if (frame < FRAME_LENGTH_FIELD)
        return corrupt(framer);
    if (!reader_span(&r, frame - FRAME_LENGTH_FIELD, payload))
        return FRAMER_MORE;
    *consumed += frame;
    return FRAMER_MESSAGE;
}

void frame_header(uint8_t *out, size_t length) {
    size_t frame = length + FRAME_LENGTH_FIELD;
    out[0] = (uint8_t)(frame >> 8);
    out[1] = (uint8_t)frame;
}
