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
    size_t wanted; /* while it is parked: of the next buffer; 0: whatever is there */
    bool parked; /* `in` has no room for more */
    bool fresh; /* octets came with the stream: the first read takes them */
    bool to_border; /* reads no further than to the end of the frame that was begun */
    bool rests; /* writes nothing: what is queued are whole IKE messages */
    bool kernel; /* the kernel frames: one read gives one IKE message with its marker, one write takes one */

    /* Not yet written. Order on the wire: prefix, the rest of the ESP frame that was begun, IKE, other ESP. */
    size_t prefix_left; /* last octets of STREAM_PREFIX */
    size_t esp_begun; /* octets at the front of `esp` that end a frame whose beginning was written */
    struct stream_queue ike, esp;
};

/* ---- stream_kernel.c ---- */
size_t stream_border_room(const struct stream *, size_t room); /* so much may be read, with `to_border` */
enum stream_result stream_kernel_read(struct stream *, struct error *);
enum stream_result stream_kernel_send(struct stream *, struct span message, struct error *);
enum stream_result stream_kernel_flush(struct stream *, struct error *);

#endif
