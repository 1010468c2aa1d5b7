/* tls_context.c: what all TLS connections of a side share: versions, ciphers, sessions; and how each one begins. */
#include "transport/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What TLS carries is sealed already: the cheapest of the sound ones comes first. None without a cipher (T7). */
#define CIPHERS_12 "ECDHE+AESGCM:ECDHE+CHACHA20"
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SESSION_S (24L * 3600) /* a stream may have lived for long when it is cut */

struct tls_server {
    SSL_CTX *context;
};

struct tls_client {
    SSL_CTX *context;
    struct tls_sessions *sessions;
};

static SSL_CTX *context_new(const SSL_METHOD *method) {
    SSL_CTX *context = SSL_CTX_new(method);
    if (context == NULL)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Octets that SSL_write did not take wait in a queue that may move; buffers of streams that are idle are given back. */
    SSL_CTX_set_mode(
        context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_timeout(context, SESSION_S);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(context, CIPHERS_12) == 1 && SSL_CTX_set_ciphersuites(context, CIPHERS_13) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* ---- server ---- */

/* Browsers offer h2 as well, which the web server behind us might not be asked in. Nothing in common is no fault. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *length, const unsigned char *in,
    unsigned in_length, void *context) {
    static const unsigned char http[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, length, http, sizeof http - 1, in, in_length) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

struct tls_server *tls_server_new(const char *certificate, const char *key, struct error *err) {
    struct tls_server *server = calloc(1, sizeof *server);
    SSL_CTX *context = server != NULL ? context_new(TLS_server_method()) : NULL;
    bool ready = context != NULL;
    if (!ready)
        fail(err, OURS, 0, "OpenSSL can't be set up for TLS");
    if (ready && certificate != NULL && key != NULL)
        ready = tls_certificate_use(context, certificate, key, err);
    else if (ready)
        ready = tls_certificate_make(context, err);
    if (!ready) {
        SSL_CTX_free(context);
        free(server);
        return NULL;
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* no certificate of the client's is asked for (T6) */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets: the clients keep what is remembered */
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    server->context = context;
    return server;
}

void tls_server_free(struct tls_server *server) {
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    free(server);
}

struct tls *tls_accept(const struct tls_server *server, int fd, struct span before, struct error *err) {
    struct tls *tls = tls_new(server->context, fd, before, err);
    if (tls != NULL)
        SSL_set_accept_state(tls->ssl);
    return tls;
}

/* ---- client ---- */

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    const struct tls *tls = SSL_get_app_data(ssl);
    tls_sessions_put(tls->sessions, tls->session_key, session);
    return 1; /* the reference is ours now */
}

struct tls_client *tls_client_new(struct error *err) {
    struct tls_client *client = calloc(1, sizeof *client);
    if (client != NULL) {
        client->context = context_new(TLS_client_method());
        client->sessions = tls_sessions_new();
    }
    if (client == NULL || client->context == NULL || client->sessions == NULL) {
        fail(err, OURS, 0, "OpenSSL can't be set up for TLS");
        tls_client_free(client);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(client->context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(client->context, keep_session);
    return client;
}

void tls_client_free(struct tls_client *client) {
    if (client == NULL)
        return;
    SSL_CTX_free(client->context);
    tls_sessions_free(client->sessions);
    free(client);
}

/* "a,b" as octets with their lengths before them. */
static bool offer_protocols(SSL *ssl, const char *list) {
    uint8_t wire[sizeof((struct tls_wanted *)0)->alpn + 1];
    size_t used = 0;
    for (const char *at = list; *at != 0 && used + 1 + strlen(at) <= sizeof wire;) {
        size_t length = strcspn(at, ",");
        if (length > 0) {
            wire[used++] = (uint8_t)length;
            memcpy(wire + used, at, length);
            used += length;
        }
        at += length + (at[length] == ',');
    }
    return used == 0 || SSL_set_alpn_protos(ssl, wire, (unsigned)used) == 0;
}

/* A session whose certificate was checked otherwise must not be resumed in place of a check. */
static void name_session(struct tls *tls, const struct tls_wanted *wanted, const struct address *remote) {
    char text[ADDRESS_TEXT_MAX];
    uint64_t hash = 0;
    for (const char *at = wanted->verify && wanted->ca != NULL ? wanted->ca : ""; *at != 0; at++)
        hash = (hash ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
    snprintf(tls->session_key, sizeof tls->session_key, "%s %s %d %llx", address_port_text(remote, text),
        wanted->server_name, wanted->verify, (unsigned long long)hash);
}

static bool want_certificate(SSL *ssl, const struct tls_wanted *wanted, bool is_address, struct error *err) {
    SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (wanted->server_name[0] == 0)
        return fail(err, CONFIG, 0, "tls-verify needs a name to look for; set tls-servername");
    if (is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), wanted->server_name) != 1
                   : SSL_set1_host(ssl, wanted->server_name) != 1)
        return fail(err, CONFIG, 0, "'%s' is no name that a certificate can have", wanted->server_name);
    return tls_authorities_use(ssl, wanted->ca, err);
}

static bool client_ready(struct tls *tls, const struct tls_wanted *wanted, struct error *err) {
    struct address numeric;
    struct error not_numeric;
    bool is_address = address_parse(wanted->server_name, &numeric, &not_numeric);
    if (wanted->server_name[0] != 0 && !is_address && SSL_set_tlsext_host_name(tls->ssl, wanted->server_name) != 1)
        return fail(err, CONFIG, 0, "'%s' is no name that TLS can ask for", wanted->server_name);
    if (!offer_protocols(tls->ssl, wanted->alpn))
        return fail(err, OURS, 0, "memory is short for a TLS connection");
    return !wanted->verify || want_certificate(tls->ssl, wanted, is_address, err);
}

struct tls *tls_connect(struct tls_client *client, int fd, const struct tls_wanted *wanted,
    const struct address *remote, struct span before, struct error *err) {
    struct tls *tls = tls_new(client->context, fd, before, err);
    if (tls == NULL)
        return NULL;
    SSL_set_connect_state(tls->ssl);
    tls->sessions = client->sessions;
    name_session(tls, wanted, remote);
    if (!client_ready(tls, wanted, err)) {
        tls_free(tls);
        return NULL;
    }
    SSL_SESSION *session = tls_sessions_get(client->sessions, tls->session_key);
    if (session != NULL) {
        (void)SSL_set_session(tls->ssl, session); /* refused: a whole handshake, then */
        SSL_SESSION_free(session);
    }
    return tls;
}
