/* tls_internal.h: private to transport/: one TLS connection over a socket that does not block, and what such connections
 * share. OpenSSL does no more here than records and handshakes: waiting and time-outs are the caller's. */
#ifndef IKETCP_TRANSPORT_TLS_INTERNAL_H
#define IKETCP_TRANSPORT_TLS_INTERNAL_H

#include "transport/internal.h"

#include <openssl/ssl.h>

#define TLS_RECORD_MAX ((size_t)16384) /* octets of plain text in one record */
#define TLS_KEY_MAX 512 /* of a session: server name, address, how it was verified */

struct tls {
    SSL *ssl;
    int fd; /* its stream's */
    uint8_t *before; /* octets that were read before TLS was begun; NULL: all are used */
    size_t before_length, before_done;
    bool ended; /* the other side's FIN came */
    int broken; /* errno of the socket; 0: none */
    uint8_t *record; /* plain text of a record that the socket has not taken whole; NULL: there is none */
    size_t record_length, record_done;
    bool more; /* the last read stopped for lack of room, not of octets */
    bool failed; /* OpenSSL forbids any further call, close_notify too */
    struct tls_sessions *sessions; /* NULL: we are the server */
    char session_key[TLS_KEY_MAX];
};

enum tls_result { TLS_DONE, TLS_WANTS_READ, TLS_WANTS_WRITE, TLS_CLOSED, TLS_FAILED };

/* ---- tls.c ---- */
/* `before`: octets that were read from fd already, copied. NULL and *err: no memory. */
struct tls *tls_new(SSL_CTX *, int fd, struct span before, struct error *);
/* TLS_CLOSED, TLS_FAILED: *err is the rest of a sentence, "does not speak TLS: ...", that begins with whom it is about. */
enum tls_result tls_handshake(struct tls *, struct error *);
/* TLS_DONE: *got > 0. */
enum tls_result tls_read(struct tls *, uint8_t *out, size_t room, size_t *got, struct error *);
/* TLS_WANTS_WRITE: *sent may be less than `length`. What is *sent is TLS's from then on, though some of it may still wait
 * for the socket (tls_waits). */
enum tls_result tls_write(struct tls *, const uint8_t *octets, size_t length, size_t *sent, struct error *);
bool tls_waits(const struct tls *);
enum tls_result tls_flush(struct tls *, struct error *);
void tls_close(struct tls *); /* close_notify, if the socket takes it now (T6) */
/* Large reads of the socket: for who has an owner, not for a thousand strangers. */
void tls_reads_ahead(struct tls *);

/* ---- tls_bio.c: the socket as OpenSSL sees it: no SIGPIPE, and octets from before TLS come first. ---- */
BIO *tls_bio_new(struct tls *);

/* ---- tls_context.c ---- */
struct tls *tls_accept(const struct tls_server *, int fd, struct span before, struct error *);
struct tls *tls_connect(struct tls_client *, int fd, const struct tls_wanted *, const struct address *remote,
    struct span before, struct error *);

/* ---- tls_certificate.c ---- */
MUST_USE bool tls_certificate_use(SSL_CTX *, const char *certificate, const char *key, struct error *); /* PEM */
MUST_USE bool tls_certificate_make(SSL_CTX *, struct error *); /* self-signed */
MUST_USE bool tls_authorities_use(SSL *, const char *ca, struct error *); /* PEM; NULL: the system's */
/* The oldest entry of OpenSSL's queue of errors, which is where it began, as words; the queue is empty then. */
const char *tls_reason(char *out, size_t size);

/* ---- tls_sessions.c: sessions by key, from any thread ---- */
struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *);
void tls_sessions_put(struct tls_sessions *, const char *key, SSL_SESSION *); /* takes the reference over */
/* A reference; NULL: there is none. TLS 1.3 gives each out once (RFC 8446, appendix C.4). */
SSL_SESSION *tls_sessions_get(struct tls_sessions *, const char *key);

#endif
