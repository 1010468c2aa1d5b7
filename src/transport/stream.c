/* stream.c: a stream from its making to its end, and reading. Payloads are handed out where they were read; what is left
 * of the last one moves to the front of a buffer that grows only when a read has filled it. */
#include "transport/stream_internal.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define IN_FIRST ((size_t)16384) /* octets: a stranger gets no more before he sends more */
#define IN_MOST (STREAM_READ_MAX + FRAME_MAX)
#define IKE_QUEUE_MOST (4 * FRAME_MAX)
#define DRAIN_ROUNDS 16

static struct stream *stream_make(int fd, const struct stream_options *options) {
    struct stream *s = calloc(1, sizeof *s);
    if (s == NULL)
        return NULL;
    *s = (struct stream){.fd = fd,
        .transport = options->transport,
        .tls = options->tls,
        .framer = framer_start(!options->originator),
        .prefix_left = options->originator ? STREAM_PREFIX_LENGTH : 0,
        .in_size = options->octets.length > IN_FIRST ? options->octets.length : IN_FIRST};
    s->in = malloc(s->in_size);
    size_t esp_most = options->write_queue_max > FRAME_MAX ? options->write_queue_max : FRAME_MAX;
    if (s->in != NULL && stream_queue_open(&s->ike, IKE_QUEUE_MOST) && stream_queue_open(&s->esp, esp_most))
        return s;
    stream_queue_close(&s->ike);
    free(s->in);
    free(s);
    return NULL;
}

struct stream *stream_new(int fd, const struct stream_options *options, struct error *err) {
    if (!tcp_prepare(fd, err)) {
        tls_free(options->tls);
        close(fd);
        return NULL;
    }
    struct stream *s = options->octets.length > IN_MOST ? NULL : stream_make(fd, options);
    if (s == NULL) {
        fail(err, OURS, 0, "memory is short for a stream");
        tls_free(options->tls);
        close(fd);
        return NULL;
    }
    if (s->tls != NULL)
        tls_reads_ahead(s->tls);
    if (options->octets.length > 0) {
        memcpy(s->in, options->octets.at, options->octets.length);
        s->filled = options->octets.length;
        s->fresh = true;
    }
    return s;
}

/* Closing with octets unread would make the kernel send RST, which may destroy what we have just written. */
static void drain(const struct stream *s) {
    for (int i = 0; i < DRAIN_ROUNDS; i++)
        if (recv(s->fd, s->in, s->in_size, MSG_DONTWAIT) <= 0)
            return;
}

void stream_free(struct stream *s) {
    if (s == NULL)
        return;
    struct error ignored;
    if (!s->framer.corrupt && stream_wants_write(s))
        (void)stream_flush(s, &ignored);
    if (s->tls != NULL)
        tls_close(s->tls);
    shutdown(s->fd, SHUT_WR);
    drain(s);
    close(s->fd);
    tls_free(s->tls);
    stream_queue_close(&s->ike);
    stream_queue_close(&s->esp);
    free(s->in);
    free(s);
}

int stream_fd(const struct stream *s) {
    return s->fd;
}

/* Room for another read behind what is left. A buffer that the last read filled grows, four times at a time. */
static bool make_room(struct stream *s) {
    bool was_full = s->filled == s->in_size;
    if (s->done > 0) {
        memmove(s->in, s->in + s->done, s->filled - s->done);
        s->filled -= s->done;
        s->done = 0;
    }
    if (!was_full || s->in_size == IN_MOST)
        return true;
    size_t size = s->in_size > IN_MOST / 4 ? IN_MOST : s->in_size * 4;
    uint8_t *in = realloc(s->in, size);
    if (in == NULL)
        return s->filled < s->in_size;
    s->in = in;
    s->in_size = size;
    return true;
}

static enum stream_result read_tls(struct stream *s, size_t room, struct error *err) {
    size_t got = 0;
    enum tls_result result = tls_read(s->tls, s->in + s->filled, room, &got, err);
    s->filled += got;
    switch (result) {
    case TLS_DONE:
        return STREAM_OK;
    case TLS_CLOSED:
        return STREAM_CLOSED;
    case TLS_FAILED:
        return STREAM_FAILED;
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        break;
    }
    return STREAM_AGAIN;
}

static enum stream_result read_plain(struct stream *s, size_t room, struct error *err) {
    ssize_t got = recv(s->fd, s->in + s->filled, room, MSG_DONTWAIT);
    if (got > 0) {
        s->filled += (size_t)got;
        return STREAM_OK;
    }
    if (got == 0)
        return STREAM_CLOSED; /* a message that was cut off is gone with it (S8) */
    if (errno == EAGAIN || errno == EINTR)
        return STREAM_AGAIN;
    fail(err, PEER, 0, "the connection broke: %s", strerror(errno));
    return STREAM_FAILED;
}

enum stream_result stream_read(struct stream *s, struct error *err) {
    if (s->fresh) {
        s->fresh = false;
        return STREAM_OK;
    }
    if (!make_room(s)) {
        fail(err, OURS, 0, "memory is short for reading a stream");
        return STREAM_FAILED;
    }
    size_t room = s->in_size - s->filled;
    if (room == 0)
        return STREAM_OK; /* payloads are waiting: a frame is smaller than the buffer */
    if (room > STREAM_READ_MAX)
        room = STREAM_READ_MAX;
    return s->tls != NULL ? read_tls(s, room, err) : read_plain(s, room, err);
}

bool stream_pending(const struct stream *s) {
    return s->tls != NULL && s->tls->more;
}

enum stream_result stream_payloads(
    struct stream *s, struct span *payload, size_t max, size_t *count, struct error *err) {
    *count = 0;
    while (*count < max) {
        enum framer_verdict verdict =
            framer_next(&s->framer, s->in + s->done, s->filled - s->done, &s->done, &payload[*count]);
        if (verdict == FRAMER_MORE)
            break;
        if (verdict == FRAMER_CORRUPT) {
            if (*count > 0)
                break; /* those before it are good; the framer says it again */
            fail(err, PEER, 0, "the stream is corrupt: %s",
                s->framer.expect_prefix ? "it does not begin with IKETCP" : "a length is 0 or 1");
            return STREAM_CORRUPT;
        }
        ++*count;
    }
    return STREAM_OK;
}

size_t stream_queued(const struct stream *s) {
    int unsent = 0;
    if (ioctl(s->fd, SIOCOUTQNSD, &unsent) < 0 || unsent < 0)
        unsent = 0;
    size_t record = s->tls != NULL && tls_waits(s->tls) ? s->tls->record_length - s->tls->record_done : 0;
    return s->ike.length + s->esp.length + record + (size_t)unsent;
}
