/* stream_write.c: writing a stream. One sendmsg takes the prefix, what waits and what is new; IKE goes ahead of ESP, but
 * never into the middle of a frame. Octets are copied only when the socket is full. Over TLS the same goes into records of
 * 16 KiB; what comes in small pieces is put together first, so that prefix and first message are one record. */
#include "transport/stream_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#define PIECES 6

struct pieces {
    struct iovec piece[PIECES];
    size_t count, length;
};

static void add(struct pieces *p, const void *octets, size_t length) {
    if (length == 0)
        return;
    p->piece[p->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)octets, .iov_len = length};
    p->length += length;
}

static void add_prefix(struct pieces *p, const struct stream *s) {
    add(p, &STREAM_PREFIX[STREAM_PREFIX_LENGTH - s->prefix_left], s->prefix_left);
}

static enum stream_result stream_result_of(enum tls_result result) {
    switch (result) {
    case TLS_DONE:
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return STREAM_OK;
    case TLS_CLOSED:
        return STREAM_CLOSED;
    case TLS_FAILED:
        break;
    }
    return STREAM_FAILED;
}

/* Pieces that would each make a small record, in one; *used of them, or 0 when the first one is large. */
static size_t put_together(const struct pieces *p, size_t first, uint8_t *record, size_t *used) {
    size_t length = 0;
    for (*used = 0; first + *used < p->count; ++*used) {
        const struct iovec *piece = &p->piece[first + *used];
        if (piece->iov_len > TLS_RECORD_MAX - length)
            break;
        memcpy(record + length, piece->iov_base, piece->iov_len);
        length += piece->iov_len;
    }
    return length;
}

static enum stream_result send_tls(const struct stream *s, struct pieces *p, size_t *sent, struct error *err) {
    uint8_t record[TLS_RECORD_MAX];
    enum tls_result result = TLS_DONE;
    *sent = 0;
    for (size_t i = 0; i < p->count && result == TLS_DONE;) {
        size_t used = 0, taken = 0, length = 0;
        const uint8_t *octets = record;
        if (i + 1 < p->count)
            length = put_together(p, i, record, &used);
        if (used < 2) {
            octets = p->piece[i].iov_base;
            length = p->piece[i].iov_len;
            used = 1;
        }
        result = tls_write(s->tls, octets, length, &taken, err);
        *sent += taken;
        i += used;
    }
    return stream_result_of(result);
}

/* MSG_NOSIGNAL is why it is not writev. */
static enum stream_result send_pieces(const struct stream *s, struct pieces *p, size_t *sent, struct error *err) {
    if (s->tls != NULL)
        return send_tls(s, p, sent, err);
    struct msghdr message = {.msg_iov = p->piece, .msg_iovlen = p->count};
    ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    *sent = n > 0 ? (size_t)n : 0;
    if (n >= 0 || errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        return STREAM_OK;
    fail(err, PEER, 0, "the connection broke: %s", strerror(errno));
    return STREAM_FAILED;
}

/* Counts off the prefix; returns what is left of `sent`. */
static size_t prefix_sent(struct stream *s, size_t sent) {
    size_t part = sent < s->prefix_left ? sent : s->prefix_left;
    s->prefix_left -= part;
    return sent - part;
}

static bool idle(const struct stream *s) {
    return s->ike.length == 0 && s->esp.length == 0;
}

/* A record that waits is TLS's, but it goes before all else. */
static bool waits(const struct stream *s) {
    return !idle(s) || (s->tls != NULL && tls_waits(s->tls));
}

bool stream_wants_write(const struct stream *s) {
    return waits(s);
}

/* Takes `sent` octets off the queues, in the order in which they were offered. */
static void queues_sent(struct stream *s, size_t sent) {
    size_t part = sent < s->esp_begun ? sent : s->esp_begun;
    stream_queue_take(&s->esp, part);
    s->esp_begun -= part;
    sent -= part;
    part = sent < s->ike.length ? sent : s->ike.length;
    stream_queue_take(&s->ike, part);
    sent -= part;
    if (sent == 0)
        return;
    s->esp_begun = frame_cut_at(stream_queue_front(&s->esp), s->esp.length, sent).missing;
    stream_queue_take(&s->esp, sent);
}

enum stream_result stream_flush(struct stream *s, struct error *err) {
    if (!waits(s) || s->rests)
        return STREAM_OK;
    if (s->kernel)
        return stream_kernel_flush(s, err);
    if (s->tls != NULL) {
        enum tls_result result = tls_flush(s->tls, err);
        if (result != TLS_DONE || idle(s))
            return stream_result_of(result);
    }
    struct pieces p = {.count = 0};
    add_prefix(&p, s);
    add(&p, stream_queue_front(&s->esp), s->esp_begun);
    add(&p, stream_queue_front(&s->ike), s->ike.length);
    add(&p, stream_queue_front(&s->esp) + s->esp_begun, s->esp.length - s->esp_begun);
    size_t sent;
    enum stream_result result = send_pieces(s, &p, &sent, err);
    queues_sent(s, prefix_sent(s, sent));
    return result;
}

/* Keeps frames[sent..]: what ends the frame that was begun, and as many whole ones as there is room for. False: a frame was
 * begun, and there is no memory for its end: nothing can follow it. */
static bool keep_frames(struct stream *s, const uint8_t *frames, size_t length, size_t sent) {
    size_t end = length, missing = frame_cut_at(frames, length, sent).missing;
    if (length - sent > s->esp.most)
        end = frame_cut_at(frames, length, sent + s->esp.most).whole;
    if (end <= sent)
        return true;
    uint8_t *at = stream_queue_add(&s->esp, end - sent);
    if (at == NULL)
        return missing == 0;
    memcpy(at, frames + sent, end - sent);
    s->esp_begun = missing;
    return true;
}

enum stream_result stream_write_frames(struct stream *s, const uint8_t *frames, size_t length, struct error *err) {
    if (s->kernel || s->rests)
        return STREAM_AGAIN;
    if (waits(s)) { /* the socket is full: it says when it is not */
        uint8_t *at = stream_queue_add(&s->esp, length);
        if (at == NULL)
            return STREAM_AGAIN;
        memcpy(at, frames, length);
        return STREAM_OK;
    }
    struct pieces p = {.count = 0};
    add_prefix(&p, s);
    add(&p, frames, length);
    size_t sent;
    enum stream_result result = send_pieces(s, &p, &sent, err);
    bool whole = sent == p.length;
    sent = prefix_sent(s, sent);
    if (result != STREAM_OK || whole || keep_frames(s, frames, length, sent))
        return result;
    fail(err, OURS, 0, "memory is short for the rest of a frame that was begun");
    return STREAM_FAILED;
}

/* Length and non-ESP marker. */
#define IKE_LEAD (FRAME_LENGTH_FIELD + NON_ESP_MARKER_LENGTH)

static bool queue_ike(struct stream *s, const uint8_t *lead, struct span message, size_t sent) {
    uint8_t *at = stream_queue_add(&s->ike, IKE_LEAD + message.length - sent);
    if (at == NULL)
        return false;
    size_t lead_left = sent < IKE_LEAD ? IKE_LEAD - sent : 0;
    memcpy(at, lead + IKE_LEAD - lead_left, lead_left);
    size_t from = sent < IKE_LEAD ? 0 : sent - IKE_LEAD;
    if (message.length > from)
        memcpy(at + lead_left, message.at + from, message.length - from);
    return true;
}

enum stream_result stream_send_ike(struct stream *s, struct span message, struct error *err) {
    if (message.length > FRAME_PAYLOAD_MAX - NON_ESP_MARKER_LENGTH) {
        fail(err, OURS, 0, "an IKE message of %zu octets does not fit into a frame, which takes %zu", message.length,
            FRAME_PAYLOAD_MAX - NON_ESP_MARKER_LENGTH);
        return STREAM_AGAIN;
    }
    if (s->kernel)
        return stream_kernel_send(s, message, err);
    uint8_t lead[IKE_LEAD] = {0};
    frame_header(lead, NON_ESP_MARKER_LENGTH + message.length);
    if (waits(s) || s->rests) {
        if (!queue_ike(s, lead, message, 0)) {
            fail(err, PEER, 0, "the peer does not read: %zu octets of IKE messages wait", s->ike.length);
            return STREAM_AGAIN;
        }
        return stream_flush(s, err);
    }
    struct pieces p = {.count = 0};
    add_prefix(&p, s);
    add(&p, lead, sizeof lead);
    add(&p, message.at, message.length);
    size_t sent;
    enum stream_result result = send_pieces(s, &p, &sent, err);
    bool whole = sent == p.length;
    sent = prefix_sent(s, sent);
    if (result != STREAM_OK || whole || queue_ike(s, lead, message, sent))
        return result;
    fail(err, OURS, 0, "memory is short for the rest of an IKE message that was begun");
    return STREAM_FAILED;
}
