/* cipher_mb_jobs.c: ChaCha20-Poly1305 and AES-CBC with HMAC-SHA2 by ipsec-mb's jobs. CBC's encryption and the hashes are
 * chains, so that one packet keeps a fraction of the processor busy: the library works on up to 16 at once. */
#include <pthread.h>
#include <string.h>

#include <openssl/crypto.h>

#include "crypto/internal_mb.h"

#define FLIGHT ((size_t)64) /* jobs in the manager at once, a batch of esp/ */
#define CHAIN_MAX ((size_t)65534) /* octets: the library's lengths of chains are 16 bits */
#define CHAIN_JOBS_LEAST \
    ((size_t)4) /* fewer are faster through libcrypto: the library would fill its lanes with nothing */

/* What a job needs beside struct cipher_job while the library works on it. */
struct flight {
    struct cipher_job *job;
    bool completed;
    uint8_t nonce[AEAD_NONCE_LENGTH];
    uint8_t received[CIPHER_ICV_MAX], computed[CIPHER_ICV_MAX];
};

/* --- a manager for each thread, made when it is needed, gone with the thread --- */

static void end_manager(void *manager) {
    mb_manager_free(manager);
}

bool mb_jobs_prepare(struct mb_library *library) {
    return pthread_key_create(&library->manager, end_manager) == 0;
}

static IMB_MGR *manager_get(const struct cipher *c) {
    const struct mb_library *library = c->mb->library;
    IMB_MGR *manager = pthread_getspecific(library->manager);
    if (manager != NULL)
        return manager;
    manager = mb_manager_new(library->init);
    if (manager != NULL && pthread_setspecific(library->manager, manager) != 0) {
        mb_manager_free(manager);
        manager = NULL;
    }
    return manager;
}

/* --- jobs there and back --- */

static void land(const IMB_JOB *done) {
    struct flight *flight = done->user_data;
    flight->completed = done->status == IMB_STATUS_COMPLETED;
}

/* A job that the library finds invalid is not taken and stays "not completed". */
static void submit(IMB_MGR *manager) {
    for (IMB_JOB *done = IMB_SUBMIT_JOB(manager); done != NULL; done = IMB_GET_COMPLETED_JOB(manager))
        land(done);
}

static void finish(IMB_MGR *manager) {
    for (IMB_JOB *done = IMB_FLUSH_JOB(manager); done != NULL; done = IMB_FLUSH_JOB(manager))
        land(done);
}

static IMB_JOB *new_job(IMB_MGR *manager, const struct cipher *c, struct flight *flight, struct cipher_job *job) {
    IMB_JOB *to = IMB_GET_NEXT_JOB(manager);
    *flight = (struct flight){.job = job};
    to->user_data = flight;
    to->cipher_direction = c->seals ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    to->chain_order = c->seals ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    to->dst = job->text;
    to->msg_len_to_cipher_in_bytes = job->length;
    to->auth_tag_output = c->seals ? job->icv : flight->computed;
    to->auth_tag_output_len_in_bytes = c->icv_length;
    return to;
}

/* In constant time. A sealed job is right when it is complete. */
static bool is_right(const struct cipher *c, const struct flight *flight, const uint8_t *received) {
    return flight->completed && (c->seals || CRYPTO_memcmp(flight->computed, received, c->icv_length) == 0);
}

static void by_libcrypto(struct cipher *c, struct cipher_job *job, size_t jobs) {
    if (c->seals)
        cipher_evp.seal(c, job, jobs);
    else
        cipher_evp.open(c, job, jobs);
}

static void forget_keys(struct cipher *c) {
    cipher_evp.forget_keys(c);
    mb_forget_keys(c);
}

/* --- ChaCha20-Poly1305 --- */

static bool chacha_set_keys(struct cipher *c, struct span key, struct span integ_key) {
    if (!mb_keys_new(c))
        return false;
    memcpy(c->mb->chacha20, key.at, sizeof c->mb->chacha20);
    return cipher_evp.set_keys(c, key, integ_key);
}

static void chacha_submit(IMB_MGR *manager, const struct cipher *c, struct flight *flight, struct cipher_job *job) {
    IMB_JOB *to = new_job(manager, c, flight, job);
    memcpy(flight->nonce, c->nonce, SALT_LENGTH);
    memcpy(flight->nonce + SALT_LENGTH, job->iv, AEAD_IV_LENGTH);
    to->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
    to->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
    to->enc_keys = to->dec_keys = c->mb->chacha20;
    to->key_len_in_bytes = sizeof c->mb->chacha20;
    to->src = job->text;
    to->cipher_start_src_offset_in_bytes = to->hash_start_src_offset_in_bytes = 0;
    to->msg_len_to_hash_in_bytes = job->length;
    to->iv = flight->nonce;
    to->iv_len_in_bytes = sizeof flight->nonce;
    to->u.CHACHA20_POLY1305.aad = job->aad;
    to->u.CHACHA20_POLY1305.aad_len_in_bytes = job->aad_length;
    to->u.CHACHA20_POLY1305.ctx = NULL;
    submit(manager);
}

static void chacha_run(struct cipher *c, struct cipher_job *job, size_t jobs) {
    IMB_MGR *manager = manager_get(c);
    if (manager == NULL) {
        by_libcrypto(c, job, jobs);
        return;
    }
    for (size_t i = 0; i < jobs; i++) { /* one is done when it is submitted: nothing is gained by many */
        struct flight flight;
        if (!cipher_job_fits(c, &job[i]) || job[i].length == 0) {
            by_libcrypto(c, &job[i], 1);
            continue;
        }
        chacha_submit(manager, c, &flight, &job[i]);
        finish(manager);
        job[i].ok = is_right(c, &flight, job[i].icv);
        if (!c->seals)
            wipe(flight.computed, AEAD_TAG_LENGTH); /* of a forgery it is the right one */
    }
}

/* --- AES-CBC with HMAC-SHA2 --- */

static void hash_pad(hash_one_block_t hash, struct span key, size_t block, uint8_t with, uint8_t *state) {
    uint8_t pad[128] = {0};
    memcpy(pad, key.at, key.length);
    for (size_t i = 0; i < block; i++)
        pad[i] ^= with;
    hash(pad, state);
    wipe(pad, sizeof pad);
}

static bool cbc_set_keys(struct cipher *c, struct span key, struct span integ_key) {
    if (!mb_keys_new(c))
        return false;
    struct mb_keys *mb = c->mb;
    bool sha256 = c->suite.integ == AUTH_HMAC_SHA2_256_128, sha384 = c->suite.integ == AUTH_HMAC_SHA2_384_192;
    hash_one_block_t hash = sha256   ? mb->library->sha256_block
                            : sha384 ? mb->library->sha384_block
                                     : mb->library->sha512_block;
    mb->hash = sha256 ? IMB_AUTH_HMAC_SHA_256 : sha384 ? IMB_AUTH_HMAC_SHA_384 : IMB_AUTH_HMAC_SHA_512;
    hash_pad(hash, integ_key, sha256 ? 64 : 128, 0x36, mb->inner);
    hash_pad(hash, integ_key, sha256 ? 64 : 128, 0x5c, mb->outer);
    mb->library->aes_keys[c->suite.key_bits == 256 ? 1 : 0](key.at, mb->aes_encrypt, mb->aes_decrypt);
    return cipher_evp.set_keys(c, key, integ_key);
}

/* The library hashes one span: AAD, IV, text and, in the place of the ICV, the tail. */
static bool is_one_span(const struct cipher *c, const struct cipher_job *job) {
    return job->length > 0 && job->length + job->aad_length + 16 + job->tail_length <= CHAIN_MAX &&
           job->aad_length > 0 && job->aad + job->aad_length == job->iv && job->iv + 16 == job->text &&
           job->text + job->length == job->icv && job->tail_length <= c->icv_length;
}

static void cbc_submit(IMB_MGR *manager, const struct cipher *c, struct flight *flight, struct cipher_job *job) {
    IMB_JOB *to = new_job(manager, c, flight, job);
    const struct mb_keys *mb = c->mb;
    to->cipher_mode = IMB_CIPHER_CBC;
    to->hash_alg = mb->hash;
    to->enc_keys = mb->aes_encrypt;
    to->dec_keys = mb->aes_decrypt;
    to->key_len_in_bytes = c->suite.key_bits / 8;
    to->src = job->aad;
    to->cipher_start_src_offset_in_bytes = job->aad_length + 16;
    to->hash_start_src_offset_in_bytes = 0;
    to->msg_len_to_hash_in_bytes = job->aad_length + 16 + job->length + job->tail_length;
    to->iv = job->iv;
    to->iv_len_in_bytes = 16;
    to->u.HMAC._hashed_auth_key_xor_ipad = mb->inner;
    to->u.HMAC._hashed_auth_key_xor_opad = mb->outer;
    if (!c->seals)
        memcpy(flight->received, job->icv, c->icv_length);
    if (job->tail_length > 0)
        memcpy(job->icv, job->tail, job->tail_length);
    submit(manager);
}

static void cbc_land(const struct cipher *c, struct flight *flight) {
    struct cipher_job *job = flight->job;
    if (!c->seals && job->tail_length > 0)
        memcpy(job->icv, flight->received, c->icv_length);
    job->ok = is_right(c, flight, flight->received);
}

/* At most FLIGHT jobs. */
static void cbc_flight(IMB_MGR *manager, struct cipher *c, struct cipher_job *job, size_t jobs) {
    struct flight flight[FLIGHT];
    size_t count = 0;
    for (size_t i = 0; i < jobs; i++) {
        if (cipher_job_fits(c, &job[i]) && is_one_span(c, &job[i]))
            cbc_submit(manager, c, &flight[count++], &job[i]);
        else
            by_libcrypto(c, &job[i], 1);
    }
    finish(manager);
    for (size_t i = 0; i < count; i++)
        cbc_land(c, &flight[i]);
    if (!c->seals)
        wipe(flight, count * sizeof flight[0]); /* of a forgery there is the right ICV in it */
}

static void cbc_run(struct cipher *c, struct cipher_job *job, size_t jobs) {
    IMB_MGR *manager = jobs < CHAIN_JOBS_LEAST ? NULL : manager_get(c);
    if (manager == NULL) {
        by_libcrypto(c, job, jobs);
        return;
    }
    for (size_t i = 0; i < jobs; i += FLIGHT)
        cbc_flight(manager, c, job + i, jobs - i < FLIGHT ? jobs - i : FLIGHT);
}

const struct cipher_engine mb_chacha20_poly1305 = {
    .set_keys = chacha_set_keys, .forget_keys = forget_keys, .seal = chacha_run, .open = chacha_run};

const struct cipher_engine mb_cbc_hmac = {
    .set_keys = cbc_set_keys, .forget_keys = forget_keys, .seal = cbc_run, .open = cbc_run};
