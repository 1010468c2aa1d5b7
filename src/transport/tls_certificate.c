/* tls_certificate.c: what a server shows: certificate and key from PEM texts, or made here; and who may have signed what it
 * shows. Nothing here proves who a peer is (T2). */
#include "transport/tls_internal.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#define DAY_S (24L * 3600)
#define MADE_FOR_DAYS 3650
#define CHAIN_MAX 16
#define AUTHORITIES_MAX 1024

const char *tls_reason(char *out, size_t size) {
    unsigned long code = ERR_get_error();
    const char *words = ERR_reason_error_string(code);
    if (words != NULL)
        snprintf(out, size, "%s", words);
    else if (ERR_SYSTEM_ERROR(code))
        snprintf(out, size, "%s", strerror(ERR_GET_REASON(code)));
    else
        snprintf(out, size, "OpenSSL gives no reason");
    ERR_clear_error();
    return out;
}

static bool because(struct error *err, const char *what) {
    char reason[120];
    return fail(err, CONFIG, 0, "%s: %s", what, tls_reason(reason, sizeof reason));
}

/* Without it OpenSSL would ask on the terminal. */
static int no_password(char *out, int room, int writing, void *context) {
    (void)out;
    (void)room;
    (void)writing;
    (void)context;
    return -1;
}

static bool use_chain(SSL_CTX *context, BIO *text, struct error *err) {
    X509 *leaf = PEM_read_bio_X509(text, NULL, no_password, NULL);
    if (leaf == NULL)
        return because(err, "tls-cert has no certificate in PEM form");
    int used = SSL_CTX_use_certificate(context, leaf);
    X509_free(leaf);
    if (used != 1)
        return because(err, "the certificate of tls-cert can't be used");
    for (int i = 0; i < CHAIN_MAX; i++) {
        X509 *issuer = PEM_read_bio_X509(text, NULL, no_password, NULL);
        if (issuer == NULL) {
            ERR_clear_error(); /* the end */
            return true;
        }
        if (SSL_CTX_add0_chain_cert(context, issuer) == 1)
            continue;
        X509_free(issuer);
        return because(err, "a certificate behind the first one of tls-cert can't be used");
    }
    return fail(err, CONFIG, 0, "tls-cert has more than %d certificates", CHAIN_MAX);
}

static bool use_key(SSL_CTX *context, BIO *text, struct error *err) {
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, no_password, NULL);
    if (key == NULL)
        return because(err, "tls-key has no private key in PEM form (without a password)");
    int used = SSL_CTX_use_PrivateKey(context, key);
    EVP_PKEY_free(key);
    if (used != 1)
        return because(err, "tls-key is not the key of the certificate of tls-cert");
    return SSL_CTX_check_private_key(context) == 1 || because(err, "tls-key is not the key of tls-cert");
}

bool tls_certificate_use(SSL_CTX *context, const char *certificate, const char *key, struct error *err) {
    BIO *chain = BIO_new_mem_buf(certificate, -1), *secret = BIO_new_mem_buf(key, -1);
    ERR_clear_error();
    bool used = chain != NULL && secret != NULL;
    if (!used)
        fail(err, OURS, 0, "memory is short for a certificate");
    used = used && use_chain(context, chain, err) && use_key(context, secret, err);
    BIO_free(chain);
    BIO_free(secret);
    return used;
}

/* A name that says nothing: a probe shall not see what is behind it. */
static bool fill(X509 *made, EVP_PKEY *key) {
    uint64_t serial;
    X509_NAME *name = X509_NAME_new();
    bool filled =
        name != NULL && RAND_bytes((unsigned char *)&serial, sizeof serial) == 1 &&
        X509_set_version(made, X509_VERSION_3) == 1 &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), serial >> 1) == 1 &&
        X509_gmtime_adj(X509_getm_notBefore(made), -DAY_S) != NULL &&
        X509_gmtime_adj(X509_getm_notAfter(made), MADE_FOR_DAYS * DAY_S) != NULL &&
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1, 0) == 1 &&
        X509_set_subject_name(made, name) == 1 && X509_set_issuer_name(made, name) == 1 &&
        X509_set_pubkey(made, key) == 1 && X509_sign(made, key, EVP_sha256()) > 0;
    X509_NAME_free(name);
    return filled;
}

bool tls_certificate_make(SSL_CTX *context, struct error *err) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = X509_new();
    bool done = key != NULL && made != NULL && fill(made, key) && SSL_CTX_use_certificate(context, made) == 1 &&
                SSL_CTX_use_PrivateKey(context, key) == 1;
    if (!done)
        because(err, "no certificate could be made");
    X509_free(made);
    EVP_PKEY_free(key);
    return done;
}

static bool read_authorities(X509_STORE *store, BIO *text, struct error *err) {
    for (int count = 0; count < AUTHORITIES_MAX; count++) {
        X509 *one = PEM_read_bio_X509(text, NULL, no_password, NULL);
        if (one == NULL) {
            if (count == 0)
                return because(err, "tls-ca has no certificate in PEM form");
            ERR_clear_error();
            return true;
        }
        int added = X509_STORE_add_cert(store, one);
        X509_free(one);
        if (added != 1)
            return because(err, "a certificate of tls-ca can't be used");
    }
    return fail(err, CONFIG, 0, "tls-ca has more than %d certificates", AUTHORITIES_MAX);
}

bool tls_authorities_use(SSL *ssl, const char *ca, struct error *err) {
    X509_STORE *store = X509_STORE_new();
    BIO *text = ca != NULL ? BIO_new_mem_buf(ca, -1) : NULL;
    ERR_clear_error();
    bool used = store != NULL && (ca == NULL || text != NULL);
    if (!used)
        fail(err, OURS, 0, "memory is short for certificates");
    else if (ca != NULL)
        used = read_authorities(store, text, err);
    else if (X509_STORE_set_default_paths(store) != 1)
        used = because(err, "the system's certificate authorities can't be read");
    used = used && SSL_set1_verify_cert_store(ssl, store) == 1;
    BIO_free(text);
    X509_STORE_free(store);
    return used;
}
