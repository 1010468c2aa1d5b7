/* tls_bio.c: the socket as OpenSSL sees it. Its own would raise SIGPIPE, and could not give out what was read before
 * anybody knew that it was TLS. */
#include "transport/tls_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int take_before(struct tls *tls, char *out, int room) {
    size_t left = tls->before_length - tls->before_done;
    size_t part = left < (size_t)room ? left : (size_t)room;
    memcpy(out, tls->before + tls->before_done, part);
    tls->before_done += part;
    if (tls->before_done == tls->before_length) {
        free(tls->before);
        tls->before = NULL;
    }
    return (int)part;
}

static int bio_read(BIO *bio, char *out, int room) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (room <= 0)
        return 0;
    if (tls->before != NULL)
        return take_before(tls, out, room);
    ssize_t got = recv(tls->fd, out, (size_t)room, MSG_DONTWAIT);
    if (got == 0)
        tls->ended = true;
    else if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    else if (got < 0)
        tls->broken = errno;
    return (int)got;
}

static int bio_write(BIO *bio, const char *octets, int length) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(tls->fd, octets, length > 0 ? (size_t)length : 0, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
        BIO_set_retry_write(bio);
    else if (sent < 0)
        tls->broken = errno;
    return (int)sent;
}

static long bio_control(BIO *bio, int what, long number, void *at) {
    const struct tls *tls = BIO_get_data(bio);
    (void)number;
    (void)at;
    switch (what) {
    case BIO_CTRL_FLUSH:
    case BIO_CTRL_DUP:
        return 1;
    case BIO_CTRL_EOF:
        return tls->ended;
    default:
        return 0;
    }
}

static int bio_create(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
static BIO_METHOD *method; /* one for the process's life, as OpenSSL's own are */

static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR, "iketcp stream");
    if (method == NULL)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_create(method, bio_create);
}

BIO *tls_bio_new(struct tls *tls) {
    if (CRYPTO_THREAD_run_once(&once, make_method) != 1 || method == NULL)
        return NULL;
    BIO *bio = BIO_new(method);
    if (bio != NULL)
        BIO_set_data(bio, tls);
    return bio;
}
