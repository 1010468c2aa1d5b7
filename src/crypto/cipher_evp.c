/* cipher_evp.c: ciphers by libcrypto, one job after the other. Contexts are keyed once; a job costs neither an allocation
 * of ours nor a key schedule. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "crypto/internal.h"

static const EVP_CIPHER *algorithm_of(const struct algorithms *a, struct cipher_suite suite) {
    size_t size = suite.key_bits == 256 ? 1 : 0;
    if (suite.encr == ENCR_CHACHA20_POLY1305)
        return a->chacha20_poly1305;
    return suite.encr == ENCR_AES_GCM_16 ? a->aes_gcm[size] : a->aes_cbc[size];
}

static bool set_keys(struct cipher *c, struct span key, struct span integ_key) {
    const struct algorithms *a = algorithms();
    c->tag[0] = OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, AEAD_TAG_LENGTH);
    c->tag[1] = OSSL_PARAM_construct_end();
    c->context = a != NULL ? EVP_CIPHER_CTX_new() : NULL;
    if (c->context == NULL ||
        EVP_CipherInit_ex2(c->context, algorithm_of(a, c->suite), key.at, NULL, c->seals, NULL) != 1)
        return false;
    if (cipher_is_aead(c->suite.encr))
        return true;
    c->mac = hmac_new(integ_hash_name(c->suite.integ), integ_key);
    return c->mac != NULL && EVP_CIPHER_CTX_set_padding(c->context, 0) == 1;
}

static void forget_keys(struct cipher *c) { /* libcrypto wipes */
    EVP_CIPHER_CTX_free(c->context);
    EVP_MAC_CTX_free(c->mac);
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

static void run(
    struct cipher *c, struct cipher_job *job, size_t jobs, bool (*one)(struct cipher *, const struct cipher_job *)) {
    bool all = true;
    for (size_t i = 0; i < jobs; i++) {
        job[i].ok = cipher_job_fits(c, &job[i]) && one(c, &job[i]);
        all = all && job[i].ok;
    }
    if (!all)
        ERR_clear_error(); /* whoever looks at libcrypto's queue next (TLS) must not find ours */
}

static void seal(struct cipher *c, struct cipher_job *job, size_t jobs) {
    run(c, job, jobs, c->mac != NULL ? cbc_seal : aead_seal);
}

static void open(struct cipher *c, struct cipher_job *job, size_t jobs) {
    run(c, job, jobs, c->mac != NULL ? cbc_open : aead_open);
}

const struct cipher_engine cipher_evp = {.set_keys = set_keys, .forget_keys = forget_keys, .seal = seal, .open = open};
