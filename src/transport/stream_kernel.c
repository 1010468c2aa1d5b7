/* stream_kernel.c: a stream whose frames the kernel reads (the upper layer protocol "espintcp"): ESP never comes here, an IKE
 * message comes and goes with one call, marker in front, without its length. What came in the socket before the hand-over
 * the kernel reads; what we had read of it must have ended at a frame's border. */
#include "transport/stream_internal.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/uio.h>

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

bool stream_at_border(struct stream *s) {
    s->to_border = true;
    return s->done == s->filled && !s->fresh && !s->framer.expect_prefix;
}

void stream_rest(struct stream *s) {
    s->rests = true;
}

void stream_read_on(struct stream *s) {
    s->to_border = s->rests = false;
}

/* The length first, then what it says. */
size_t stream_border_room(const struct stream *s, size_t room) {
    size_t have = s->filled - s->done, wanted = FRAME_LENGTH_FIELD;
    if (s->framer.expect_prefix)
        return room;
    if (have >= FRAME_LENGTH_FIELD)
        wanted = (size_t)s->in[s->done] << 8 | s->in[s->done + 1];
    size_t missing = wanted > have ? wanted - have : 0;
    if (have == 0)
        return 0;
    return missing < room ? missing : room;
}

bool stream_to_kernel(struct stream *s, struct error *err) {
    static const char name[] = "espintcp";
    const unsigned no_limit = UINT_MAX; /* how far it may run ahead of the network was our queue's choice */
    const uint64_t no_rate = UINT64_MAX;
    if (s->tls != NULL || !s->rests || s->esp.length > 0 || !stream_at_border(s))
        return fail(err, OURS, 0, "the stream can't go to the kernel in the middle of a frame, or over TLS");
    stream_park(s); /* the next read takes a buffer in which a whole message finds room */
    if (setsockopt(s->fd, IPPROTO_TCP, TCP_ULP, name, sizeof name - 1) != 0)
        return fail(err, HOST, 0, "the kernel does not take the stream (espintcp): %s", strerror(errno));
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &no_limit, sizeof no_limit);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_MAX_PACING_RATE, &no_rate, sizeof no_rate);
    s->to_border = s->rests = false;
    s->kernel = true;
    return true;
}

/* Puts the length back that the kernel took, so that the same framer reads on. */
enum stream_result stream_kernel_read(struct stream *s, struct error *err) {
    uint8_t *at = s->in + s->filled;
    size_t room = s->in_size - s->filled;
    if (room < FRAME_MAX)
        return STREAM_OK; /* messages are waiting */
    ssize_t got = recv(s->fd, at + FRAME_LENGTH_FIELD, FRAME_PAYLOAD_MAX, MSG_DONTWAIT);
    if (got > 0) {
        frame_header(at, (size_t)got);
        s->filled += FRAME_LENGTH_FIELD + (size_t)got;
        return STREAM_OK;
    }
    if (got == 0)
        return STREAM_CLOSED;
    if (errno == EAGAIN || errno == EINTR)
        return STREAM_AGAIN;
    fail(err, PEER, 0, "the connection broke: %s", strerror(errno));
    return STREAM_FAILED;
}

/* Its sendmsg takes no flag but this one; SIGPIPE is ignored by the whole process. ENOBUFS: what came before is still half
 * on its way. */
static enum stream_result send_one(const struct stream *s, struct iovec *piece, size_t count, struct error *err) {
    struct msghdr message = {.msg_iov = piece, .msg_iovlen = count};
    if (sendmsg(s->fd, &message, MSG_DONTWAIT) >= 0)
        return STREAM_OK;
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
        return STREAM_AGAIN;
    fail(err, PEER, 0, "the connection broke: %s", strerror(errno));
    return STREAM_FAILED;
}

enum stream_result stream_kernel_flush(struct stream *s, struct error *err) {
    while (s->ike.length > 0) {
        const uint8_t *frame = stream_queue_front(&s->ike);
        size_t length = (size_t)frame[0] << 8 | frame[1];
        struct iovec piece = {
            .iov_base = (void *)(uintptr_t)(frame + FRAME_LENGTH_FIELD), .iov_len = length - FRAME_LENGTH_FIELD};
        enum stream_result result = send_one(s, &piece, 1, err);
        if (result != STREAM_OK)
            return result == STREAM_AGAIN ? STREAM_OK : result;
        stream_queue_take(&s->ike, length);
    }
    return STREAM_OK;
}

enum stream_result stream_kernel_send(struct stream *s, struct span message, struct error *err) {
    uint8_t lead[FRAME_LENGTH_FIELD + NON_ESP_MARKER_LENGTH] = {0};
    frame_header(lead, NON_ESP_MARKER_LENGTH + message.length);
    if (s->ike.length == 0) {
        struct iovec piece[] = {{.iov_base = lead + FRAME_LENGTH_FIELD, .iov_len = NON_ESP_MARKER_LENGTH},
            {.iov_base = (void *)(uintptr_t)message.at, .iov_len = message.length}};
        enum stream_result result = send_one(s, piece, 2, err);
        if (result != STREAM_AGAIN)
            return result;
    }
    uint8_t *at = stream_queue_add(&s->ike, sizeof lead + message.length);
    if (at == NULL) {
        fail(err, PEER, 0, "the peer does not read: %zu octets of IKE messages wait", s->ike.length);
        return STREAM_AGAIN;
    }
    memcpy(at, lead, sizeof lead);
    memcpy(at + sizeof lead, message.at, message.length);
    return stream_kernel_flush(s, err);
}
