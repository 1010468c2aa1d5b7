/* cipher.c: AEADs (RFC 5282, 4106, 7634) and AES-CBC with HMAC-SHA2 (RFC 3602, 4868) behind one face, for IKE's SK
 * payload and for ESP. Contexts are keyed once; a job costs neither an allocation of ours nor a key schedule. */
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "crypto/internal.h"

#define SALT_LENGTH ((size_t)4)
#define AEAD_IV_LENGTH ((size_t)8)
#define AEAD_TAG_LENGTH ((size_t)16)
#define JOB_MAX ((size_t)1 << 20) /* octets; nothing of ours comes near, and libcrypto's lengths are ints */

struct cipher {
    EVP_CIPHER_CTX *context;
    EVP_MAC_CTX *mac; /* encrypt-then-MAC only */
    size_t icv_length, block;
    uint8_t nonce[SALT_LENGTH + AEAD_IV_LENGTH]; /* the salt stays, the IV changes */
    OSSL_PARAM tag[2]; /* where the AEAD's tag is read or written; .data is set per job */
};

bool cipher_is_aead(uint16_t encr) {
    return encr == ENCR_AES_GCM_16 || encr == ENCR_CHACHA20_POLY1305;
}

bool cipher_supported(struct cipher_suite suite) {
    bool aes_key = suite.key_bits == 128 || suite.key_bits == 256;
    switch (suite.encr) {
    case ENCR_AES_GCM_16:
        return aes_key && suite.integ == AUTH_NONE;
    case ENCR_CHACHA20_POLY1305:
        return suite.key_bits == 0 && suite.integ == AUTH_NONE;
    case ENCR_AES_CBC:
        return aes_key && integ_hash_name(suite.integ) != NULL;
    default:
        return false;
    }
}

const char *integ_hash_name(uint16_t integ) {
    switch (integ) {
    case AUTH_HMAC_SHA2_256_128:
        return "SHA256";
    case AUTH_HMAC_SHA2_384_192:
        return "SHA384";
    case AUTH_HMAC_SHA2_512_256:
        return "SHA512";
    default:
        return NULL;
    }
}

size_t cipher_key_length(struct cipher_suite suite) {
    if (!cipher_supported(suite))
        return 0;
    if (suite.encr == ENCR_CHACHA20_POLY1305)
        return 32 + SALT_LENGTH;
    return suite.key_bits / 8 + (suite.encr == ENCR_AES_GCM_16 ? SALT_LENGTH : 0);
}

size_t cipher_integ_length(struct cipher_suite suite) {
    switch (suite.integ) {
    case AUTH_HMAC_SHA2_256_128:
        return 32;
    case AUTH_HMAC_SHA2_384_192:
        return 48;
    case AUTH_HMAC_SHA2_512_256:
        return 64;
    default:
        return 0;
    }
}

size_t cipher_iv_length(struct cipher_suite suite) {
    return cipher_is_aead(suite.encr) ? AEAD_IV_LENGTH : 16;
}

size_t cipher_icv_length(struct cipher_suite suite) {
    return cipher_is_aead(suite.encr) ? AEAD_TAG_LENGTH : cipher_integ_length(suite) / 2;
}

size_t cipher_block(struct cipher_suite suite) {
    return cipher_is_aead(suite.encr) ? 1 : 16;
}

static const EVP_CIPHER *algorithm_of(const struct algorithms *a, struct cipher_suite suite) {
    size_t size = suite.key_bits == 256 ? 1 : 0;
    if (suite.encr == ENCR_CHACHA20_POLY1305)
        return a->chacha20_poly1305;
    return suite.encr == ENCR_AES_GCM_16 ? a->aes_gcm[size] : a->aes_cbc[size];
}

static bool set_keys(struct cipher *c, struct cipher_suite suite, bool seal, struct span key, struct span integ_key) {
    const struct algorithms *a = algorithms();
    c->context = a != NULL ? EVP_CIPHER_CTX_new() : NULL;
    if (c->context == NULL || EVP_CipherInit_ex2(c->context, algorithm_of(a, suite), key.at, NULL, seal, NULL) != 1)
        return false;
    if (cipher_is_aead(suite.encr)) {
        memcpy(c->nonce, key.at + key.length - SALT_LENGTH, SALT_LENGTH);
        return true;
    }
    c->mac = hmac_new(integ_hash_name(suite.integ), integ_key);
    return c->mac != NULL && EVP_CIPHER_CTX_set_padding(c->context, 0) == 1;
}

struct cipher *cipher_new(
    struct cipher_suite suite, bool seal, struct span key, struct span integ_key, struct error *err) {
    if (!cipher_supported(suite)) {
        fail(err, OURS, NOTIFY_NONE, "cipher %u with %u-bit keys and integrity %u is not supported",
            (unsigned)suite.encr, (unsigned)suite.key_bits, (unsigned)suite.integ);
        return NULL;
    }
    if (key.length != cipher_key_length(suite) || integ_key.length != cipher_integ_length(suite)) {
        fail(err, OURS, NOTIFY_NONE, "keys are %zu and %zu octets; the cipher needs %zu and %zu", key.length,
            integ_key.length, cipher_key_length(suite), cipher_integ_length(suite));
        return NULL;
    }
    struct cipher *c = calloc(1, sizeof *c);
    if (c != NULL && set_keys(c, suite, seal, key, integ_key)) {
        c->icv_length = cipher_icv_length(suite);
        c->block = cipher_block(suite);
        c->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, AEAD_TAG_LENGTH);
        c->tag[1] = OSSL_PARAM_construct_end();
        return c;
    }
    cipher_free(c);
    ERR_clear_error();
    fail(err, OURS, NOTIFY_NONE, "libcrypto can't set up the cipher");
    return NULL;
}

void cipher_free(struct cipher *c) {
    if (c == NULL)
        return;
    EVP_CIPHER_CTX_free(c->context);
    EVP_MAC_CTX_free(c->mac);
    wipe(c, sizeof *c);
    free(c);
}

static bool job_fits(const struct cipher *c, const struct cipher_job *job) {
    return job->length <= JOB_MAX && job->aad_length <= JOB_MAX && job->length % c->block == 0;
}

/* Nonce, AAD and text; the same for both directions, which the context knows. */
static bool aead_run(struct cipher *c, const struct cipher_job *job) {
    int n;
    memcpy(c->nonce + SALT_LENGTH, job->iv, AEAD_IV_LENGTH);
    return EVP_CipherInit_ex2(c->context, NULL, NULL, c->nonce, -1, NULL) == 1 &&
           (job->aad_length == 0 || EVP_CipherUpdate(c->context, NULL, &n, job->aad, (int)job->aad_length) == 1) &&
           (job->length == 0 || EVP_CipherUpdate(c->context, job->text, &n, job->text, (int)job->length) == 1);
}

static bool aead_seal(struct cipher *c, const struct cipher_job *job) {
    int n;
    uint8_t none[AEAD_TAG_LENGTH];
    c->tag[0].data = job->icv;
    return aead_run(c, job) && EVP_CipherFinal_ex(c->context, none, &n) == 1 &&
           EVP_CIPHER_CTX_get_params(c->context, c->tag) == 1;
}

static bool aead_open(struct cipher *c, const struct cipher_job *job) {
    int n;
    uint8_t none[AEAD_TAG_LENGTH];
    c->tag[0].data = job->icv;
    return aead_run(c, job) && EVP_CIPHER_CTX_set_params(c->context, c->tag) == 1 &&
           EVP_CipherFinal_ex(c->context, none, &n) == 1;
}

static bool cbc_run(struct cipher *c, const struct cipher_job *job) {
    int n;
    return EVP_CipherInit_ex2(c->context, NULL, NULL, job->iv, -1, NULL) == 1 &&
           (job->length == 0 || EVP_CipherUpdate(c->context, job->text, &n, job->text, (int)job->length) == 1);
}

/* HMAC(aad | iv | text | tail), whole. */
static bool mac_run(struct cipher *c, const struct cipher_job *job, uint8_t out[PRF_MAX]) {
    size_t length = 0;
    return EVP_MAC_init(c->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(c->mac, job->aad, job->aad_length) == 1 &&
           EVP_MAC_update(c->mac, job->iv, 16) == 1 && EVP_MAC_update(c->mac, job->text, job->length) == 1 &&
           (job->tail_length == 0 || EVP_MAC_update(c->mac, job->tail, job->tail_length) == 1) &&
           EVP_MAC_final(c->mac, out, &length, PRF_MAX) == 1;
}

static bool cbc_seal(struct cipher *c, const struct cipher_job *job) {
    uint8_t mac[PRF_MAX];
    if (!cbc_run(c, job) || !mac_run(c, job, mac))
        return false;
    memcpy(job->icv, mac, c->icv_length);
    return true;
}

static bool cbc_open(struct cipher *c, const struct cipher_job *job) {
    uint8_t mac[PRF_MAX];
    return mac_run(c, job, mac) && CRYPTO_memcmp(mac, job->icv, c->icv_length) == 0 && cbc_run(c, job);
}

static size_t run(
    struct cipher *c, struct cipher_job *job, size_t jobs, bool (*one)(struct cipher *, const struct cipher_job *)) {
    size_t done = 0;
    for (size_t i = 0; i < jobs; i++) {
        job[i].ok = job_fits(c, &job[i]) && one(c, &job[i]);
        done += job[i].ok;
    }
    if (done < jobs)
        ERR_clear_error(); /* whoever looks at libcrypto's queue next (TLS) must not find ours */
    return done;
}

size_t cipher_seal(struct cipher *c, struct cipher_job *job, size_t jobs) {
    return run(c, job, jobs, c->mac != NULL ? cbc_seal : aead_seal);
}

size_t cipher_open(struct cipher *c, struct cipher_job *job, size_t jobs) {
    return run(c, job, jobs, c->mac != NULL ? cbc_open : aead_open);
}
