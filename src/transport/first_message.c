/* first_message.c: who owns a young stream: the worker whose number is in the top 8 bits of the SPI of ours that the first
 * message names. Nothing is believed but that; whole messages are the owner's business. */
#include "transport/internal.h"

#include <string.h>

/* The IKE header's first 20 octets: both SPIs, next payload, version, exchange, flags. False: read more. */
static bool name_ike(struct reader r, uint8_t *worker) {
    uint64_t spi_i, spi_r;
    uint8_t flags;
    if (!reader_u64(&r, &spi_i) || !reader_u64(&r, &spi_r) || !reader_skip(&r, 3) || !reader_u8(&r, &flags))
        return false;
    uint64_t ours = (flags & IKE_FLAG_INITIATOR) != 0 ? spi_r : spi_i; /* the sender's flag */
    *worker = (uint8_t)(ours >> 56);
    return true;
}

/* One frame; FIRST_NAMED with *skipped set: it names nothing, look at the next. */
static enum first_verdict look(struct reader *r, bool *skipped, uint8_t *worker) {
    uint16_t frame;
    *skipped = false;
    if (!reader_u16(r, &frame))
        return FIRST_MORE;
    if (frame < FRAME_LENGTH_FIELD)
        return FIRST_BAD;
    size_t length = frame - FRAME_LENGTH_FIELD;
    if (length < NON_ESP_MARKER_LENGTH) { /* empty, a keepalive or a runt: S5, S6, S12 */
        *skipped = true;
        return reader_skip(r, length) ? FIRST_NAMED : FIRST_MORE;
    }
    uint32_t first;
    if (!reader_u32(r, &first))
        return FIRST_MORE;
    if (first != 0) {
        *worker = (uint8_t)(first >> 24);
        return FIRST_NAMED;
    }
    if (length < NON_ESP_MARKER_LENGTH + IKE_HEADER_LENGTH)
        return FIRST_BAD; /* can't be IKE */
    return name_ike(*r, worker) ? FIRST_NAMED : FIRST_MORE;
}

enum first_verdict first_message(const uint8_t *octets, size_t length, uint8_t *worker) {
    size_t come = length < STREAM_PREFIX_LENGTH ? length : STREAM_PREFIX_LENGTH;
    struct reader r = reader_over(octets, length);
    if (memcmp(octets, STREAM_PREFIX, come) != 0)
        return FIRST_OTHER;
    if (!reader_skip(&r, STREAM_PREFIX_LENGTH))
        return FIRST_MORE;
    for (;;) { /* each round takes at least two octets, or ends */
        bool skipped;
        enum first_verdict verdict = look(&r, &skipped, worker);
        if (verdict != FIRST_NAMED || !skipped)
            return verdict;
    }
}
