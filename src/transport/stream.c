/* stream.c: a stream from its making to its end, and reading. Payloads are handed out where they were read; what is left
 * of the last one moves to the front of a buffer that grows only when a read has filled it. Ten thousand idle streams must
 * cost little: who parks has no buffer, but remembers how large the next one should be, and the next one to read takes it. */
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
        .memory = options->memory,
        .ike.most = IKE_QUEUE_MOST,
        .esp.most = options->write_queue_max > FRAME_MAX ? options->write_queue_max : FRAME_MAX};
    if (options->octets.length == 0)
        return s;
    s->in = malloc(options->octets.length);
    if (s->in == NULL) {
        free(s);
        return NULL;
    }
    memcpy(s->in, options->octets.at, options->octets.length);
    s->in_size = s->filled = options->octets.length;
    s->parked = s->fresh = true;
    return s;
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
    return s;
}

/* Closing with octets unread would make the kernel send RST, which may destroy what we have just written. */
static void drain(const struct stream *s) {
    for (int i = 0; i < DRAIN_ROUNDS; i++)
        if (recv(s->fd, NULL, IN_FIRST, MSG_DONTWAIT | MSG_TRUNC) <= 0) /* tcp(7): thrown away */
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

/* ---- memory ---- */

void stream_memory_free(struct stream_memory *memory) {
    free(memory->spare);
    *memory = (struct stream_memory){0};
}

/* The larger one stays for the next stream. */
static void give_back(struct stream_memory *memory, uint8_t *in, size_t size) {
    if (memory == NULL || memory->size >= size) {
        free(in);
        return;
    }
    free(memory->spare);
    *memory = (struct stream_memory){.spare = in, .size = size};
}

static size_t larger(size_t size) {
    return size > IN_MOST / 4 ? IN_MOST : size * 4;
}

void stream_park(struct stream *s) {
    size_t left = s->filled - s->done;
    if (s->in == NULL || (s->parked && s->done == 0))
        return;
    if (!s->parked)
        s->wanted = s->filled == s->in_size ? larger(s->in_size) : 0;
    uint8_t *rest = left > 0 ? malloc(left) : NULL;
    if (left > 0 && rest == NULL)
        return;
    if (left > 0)
        memcpy(rest, s->in + s->done, left);
    give_back(s->memory, s->in, s->in_size);
    s->in = rest;
    s->in_size = s->filled = left;
    s->done = 0;
    s->parked = true;
}

/* A buffer to read into, with what is left at its front. */
static bool unpark(struct stream *s) {
    size_t left = s->filled - s->done,
           size = s->kernel ? IN_MOST : IN_FIRST; /* what a message has no room for is lost */
    while (size < IN_MOST && (size / 4 < left || size < s->wanted))
        size = larger(size);
    uint8_t *in = NULL;
    if (s->memory != NULL && s->memory->size >= size) {
        in = s->memory->spare;
        size = s->memory->size;
        *s->memory = (struct stream_memory){0};
    } else {
        in = malloc(size);
    }
    if (in == NULL)
        return false;
    if (s->in != NULL && left > 0)
        memcpy(in, s->in + s->done, left);
    free(s->in);
    s->in = in;
    s->in_size = size;
    s->filled = left;
    s->done = 0;
    s->parked = false;
    return true;
}

/* Room for another read behind what is left. A buffer that the last read filled grows, four times at a time. */
static bool make_room(struct stream *s) {
    if (s->in == NULL || s->parked)
        return unpark(s);
    bool was_full = s->filled == s->in_size;
    if (s->done > 0) {
        memmove(s->in, s->in + s->done, s->filled - s->done);
        s->filled -= s->done;
        s->done = 0;
    }
    if (!was_full || s->in_size == IN_MOST)
        return true;
    size_t size = larger(s->in_size);
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
    if (s->kernel)
        return stream_kernel_read(s, err);
    if (s->to_border && (room = stream_border_room(s, room)) == 0)
        return STREAM_AGAIN;
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
