/* framing.h: the stream of RFC 9329, section 3, cut into messages and back. Rows S1 to S12 of doc/conformance.md.
 *
 * No copy: the framer looks at octets where they lie and says where the next message is. The caller owns the buffer,
 * drops what was consumed and appends what was read. Any split of octets gives the same messages (S9). */
#ifndef IKETCP_WIRE_FRAMING_H
#define IKETCP_WIRE_FRAMING_H

#include "base/base.h"

#define STREAM_PREFIX "IKETCP"
#define STREAM_PREFIX_LENGTH ((size_t)6)
#define FRAME_LENGTH_FIELD ((size_t)2)
#define FRAME_MAX ((size_t)65535) /* with its length field */
#define FRAME_PAYLOAD_MAX (FRAME_MAX - FRAME_LENGTH_FIELD) /* 65,533 (S7) */
#define NON_ESP_MARKER_LENGTH ((size_t)4)

/* What a payload is: the same for a frame of a stream and a datagram of UDP 4500 (RFC 3948). */
enum payload_kind {
    PAYLOAD_IS_IKE, /* after the four zero octets */
    PAYLOAD_IS_ESP, /* SPI first, never zero */
    PAYLOAD_IS_KEEPALIVE, /* one octet 0xFF (S6) */
    PAYLOAD_IS_EMPTY, /* S5 */
    PAYLOAD_IS_RUNT, /* 1 to 3 octets that are no keepalive (S12) */
};
/* For PAYLOAD_IS_IKE *message is what follows the marker (it may be empty), else all of the payload. */
enum payload_kind payload_classify(struct span payload, struct span *message);

enum framer_verdict {
    FRAMER_MESSAGE, /* *payload is set, its octets are consumed */
    FRAMER_MORE, /* read more and call again */
    FRAMER_CORRUPT, /* wrong prefix (S2) or length 0 or 1 (S5): close the stream; every later call says the same */
};

struct framer {
    bool expect_prefix; /* true on the TCP Responder's side until the six octets came (S1, S11) */
    bool corrupt;
};

struct framer framer_start(bool expect_prefix);
/* Looks at octets[0..length); adds to *consumed how many are done with (prefix included). */
enum framer_verdict framer_next(
    struct framer *, const uint8_t *octets, size_t length, size_t *consumed, struct span *payload);

/* Writes the length field for a payload of `length` octets (<= FRAME_PAYLOAD_MAX) at out[0..2). */
void frame_header(uint8_t *out, size_t length);

#endif
