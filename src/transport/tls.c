/* tls.c: one TLS connection: handshake, reading, writing, the end. What OpenSSL wants next becomes a result, what went
 * wrong a sentence. A record that the socket took in part keeps its plain text, since OpenSSL asks for it again. */
#include "transport/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_AHEAD ((size_t)65536)

struct tls *tls_new(SSL_CTX *context, int fd, struct span before, struct error *err) {
    struct tls *tls = calloc(1, sizeof *tls);
    if (tls != NULL && before.length > 0)
        tls->before = malloc(before.length);
    SSL *ssl = tls != NULL && (before.length == 0 || tls->before != NULL) ? SSL_new(context) : NULL;
    BIO *bio = ssl != NULL ? tls_bio_new(tls) : NULL;
    if (bio == NULL) {
        fail(err, OURS, 0, "memory is short for a TLS connection");
        SSL_free(ssl);
        if (tls != NULL)
            free(tls->before);
        free(tls);
        return NULL;
    }
    if (before.length > 0)
        memcpy(tls->before, before.at, before.length);
    tls->before_length = before.length;
    tls->ssl = ssl;
    tls->fd = fd;
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, tls);
    return tls;
}

void tls_free(struct tls *tls) {
    if (tls == NULL)
        return;
    /* A connection that was cut is just what its session shall be resumed for: OpenSSL would forbid it. */
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    free(tls->before);
    free(tls->record);
    free(tls);
}

const char *tls_text(const struct tls *tls, char out[TLS_TEXT_MAX]) {
    const char *version = SSL_get_version(tls->ssl), *cipher = SSL_get_cipher_name(tls->ssl);
    snprintf(out, TLS_TEXT_MAX, "TLS %s, %s%s", strncmp(version, "TLSv", 4) == 0 ? version + 4 : version, cipher,
        SSL_session_reused(tls->ssl) ? ", resumed" : "");
    return out;
}

/* What `returned` of an SSL_* function means. */
static enum tls_result verdict(struct tls *tls, int returned) {
    int code = SSL_get_error(tls->ssl, returned);
    switch (code) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_CLOSED;
    default:
        tls->failed = true;
        return code == SSL_ERROR_SYSCALL && tls->ended && tls->broken == 0 ? TLS_CLOSED : TLS_FAILED;
    }
}

static enum tls_result result_of(struct tls *tls, int returned, struct error *err) {
    char reason[120];
    enum tls_result result = verdict(tls, returned);
    if (result == TLS_FAILED && tls->broken != 0)
        fail(err, PEER, 0, "the connection broke: %s", strerror(tls->broken));
    else if (result == TLS_FAILED)
        fail(err, PEER, 0, "the TLS connection broke: %s", tls_reason(reason, sizeof reason));
    return result;
}

/* What came is no record, or no handshake, of any TLS. */
static bool is_no_tls(int reason) {
    static const int reasons[] = {SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST,
        SSL_R_BAD_RECORD_TYPE, SSL_R_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_RECORD, SSL_R_PACKET_LENGTH_TOO_LONG,
        SSL_R_ENCRYPTED_LENGTH_TOO_LONG, SSL_R_RECORD_LENGTH_MISMATCH};
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reason == reasons[i])
            return true;
    return false;
}

static enum tls_result handshake_failed(struct tls *tls, int returned, struct error *err) {
    char words[120];
    enum tls_result result = verdict(tls, returned);
    if (result == TLS_WANTS_READ || result == TLS_WANTS_WRITE)
        return result;
    int reason = ERR_GET_REASON(ERR_peek_error());
    tls_reason(words, sizeof words);
    if (tls->broken != 0)
        fail(err, PEER, 0, "broke the connection in the TLS handshake: %s", strerror(tls->broken));
    else if (result == TLS_CLOSED || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
        fail(err, PEER, 0, "closed the connection in the TLS handshake");
    else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        fail(err, PEER, 0, "shows a certificate that does not verify: %s",
            X509_verify_cert_error_string(SSL_get_verify_result(tls->ssl)));
    else if (is_no_tls(reason))
        fail(err, PEER, 0, "does not speak TLS (%s)", words);
    else if (reason > SSL_AD_REASON_OFFSET)
        fail(err, PEER, 0, "refuses our TLS: %s", words);
    else
        fail(err, PEER, 0, "and we do not agree upon TLS: %s", words);
    return result;
}

enum tls_result tls_handshake(struct tls *tls, struct error *err) {
    ERR_clear_error();
    int returned = SSL_do_handshake(tls->ssl);
    if (returned == 1)
        return TLS_DONE;
    return handshake_failed(tls, returned, err);
}

enum tls_result tls_read(struct tls *tls, uint8_t *out, size_t room, size_t *got, struct error *err) {
    *got = 0;
    tls->more = true;
    while (*got < room) {
        size_t part = 0;
        ERR_clear_error();
        int returned = SSL_read_ex(tls->ssl, out + *got, room - *got, &part);
        if (returned == 1) {
            *got += part;
            continue;
        }
        if (*got > 0 && SSL_get_error(tls->ssl, returned) != SSL_ERROR_WANT_READ)
            return TLS_DONE; /* the next call says it again */
        enum tls_result result = result_of(tls, returned, err);
        tls->more = false;
        if (result == TLS_WANTS_WRITE) { /* renegotiation alone would, and it is off */
            tls->failed = true;
            fail(err, PEER, 0, "the peer wants to renegotiate TLS");
            return TLS_FAILED;
        }
        return *got > 0 ? TLS_DONE : result;
    }
    return TLS_DONE;
}

bool tls_waits(const struct tls *tls) {
    return tls->record != NULL;
}

enum tls_result tls_flush(struct tls *tls, struct error *err) {
    while (tls->record != NULL) {
        size_t part = 0;
        ERR_clear_error();
        int returned =
            SSL_write_ex(tls->ssl, tls->record + tls->record_done, tls->record_length - tls->record_done, &part);
        if (returned != 1)
            return result_of(tls, returned, err);
        tls->record_done += part;
        if (tls->record_done < tls->record_length)
            continue;
        free(tls->record);
        tls->record = NULL;
    }
    return TLS_DONE;
}

static bool keep_record(struct tls *tls, const uint8_t *octets, size_t length) {
    tls->record = malloc(length);
    if (tls->record == NULL)
        return false;
    memcpy(tls->record, octets, length);
    tls->record_length = length;
    tls->record_done = 0;
    return true;
}

enum tls_result tls_write(struct tls *tls, const uint8_t *octets, size_t length, size_t *sent, struct error *err) {
    *sent = 0;
    enum tls_result result = tls_flush(tls, err);
    while (result == TLS_DONE && *sent < length) {
        size_t left = length - *sent, part = 0;
        if (left > TLS_RECORD_MAX)
            left = TLS_RECORD_MAX;
        ERR_clear_error();
        int returned = SSL_write_ex(tls->ssl, octets + *sent, left, &part);
        if (returned == 1) {
            *sent += part;
            continue;
        }
        result = result_of(tls, returned, err);
        if (result != TLS_WANTS_WRITE)
            break;
        if (!keep_record(tls, octets + *sent, left)) {
            tls->failed = true;
            fail(err, OURS, 0, "memory is short for a TLS record");
            return TLS_FAILED;
        }
        *sent += left;
    }
    if (result != TLS_WANTS_READ)
        return result;
    tls->failed = true; /* as in tls_read */
    fail(err, PEER, 0, "the peer wants to renegotiate TLS");
    return TLS_FAILED;
}

void tls_close(struct tls *tls) {
    if (tls->failed || tls->broken != 0 || tls_waits(tls) || !SSL_is_init_finished(tls->ssl))
        return;
    ERR_clear_error();
    (void)SSL_shutdown(tls->ssl); /* the other side's is not waited for */
}

void tls_reads_ahead(struct tls *tls) {
    SSL_set_read_ahead(tls->ssl, 1);
    SSL_set_default_read_buffer_len(tls->ssl, READ_AHEAD);
    tls->more = true; /* OpenSSL may have some of it already */
}
