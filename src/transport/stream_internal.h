/* stream_internal.h: private to transport/: a stream that has an owner. */
#ifndef IKETCP_TRANSPORT_STREAM_INTERNAL_H
#define IKETCP_TRANSPORT_STREAM_INTERNAL_H

#include "transport/stream_queue.h"
#include "transport/tls_internal.h"

struct stream {
    int fd;
    enum transport transport;
    struct tls *tls; /* NULL: plain TCP */
    struct framer framer;

    /* Read and not yet a whole message, or not yet asked for: in[done..filled). */
    struct stream_memory *memory; /* NULL: not shared */
    uint8_t *in; /* NULL: nothing is there */
    size_t in_size, done, filled;
    bool parked; /* `in` has no room for more */
    bool fresh; /* octets came with the stream: the first read takes them */

    /* Not yet written. Order on the wire: prefix, the rest of the ESP frame that was begun, IKE, other ESP. */
    size_t prefix_left; /* last octets of STREAM_PREFIX */
    size_t esp_begun; /* octets at the front of `esp` that end a frame whose beginning was written */
    struct stream_queue ike, esp;
};

#endif
