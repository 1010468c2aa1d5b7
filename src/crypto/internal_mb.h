/* internal_mb.h: what the files over Intel's ipsec-mb share. Its functions on keys and its AES-GCM may be called by any
 * thread; jobs go through a manager, of which each thread has its own. */
#ifndef IKETCP_CRYPTO_INTERNAL_MB_H
#define IKETCP_CRYPTO_INTERNAL_MB_H

#include <intel-ipsec-mb.h>
#include <pthread.h>

#include "crypto/internal.h"

#define MB_ALIGN ((size_t)64)
#define MB_STATE_MAX ((size_t)64) /* octets of SHA-512's state */

/* The library's functions for this processor. */
struct mb_library {
    bool usable;
    bool wide; /* AVX-512, with VAES */
    void (*init)(IMB_MGR *);
    pthread_key_t manager; /* each thread's own */
    aes_gcm_pre_t gcm_keys[2]; /* 128 and 256 bits */
    aes_gcm_enc_dec_t gcm_seal[2], gcm_open[2];
    keyexp_t aes_keys[2];
    hash_one_block_t sha256_block, sha384_block, sha512_block;
};
/* NULL: the processor has not even AVX2, or the library failed its own test. */
const struct mb_library *mb_library(enum cipher_library wish);

/* Keys of one cipher, as the library wants them. */
struct mb_keys {
    union {
        _Alignas(64) struct gcm_key_data gcm;
        struct {
            _Alignas(16) uint8_t aes_encrypt[15 * 16], aes_decrypt[15 * 16]; /* round keys */
            _Alignas(16) uint8_t inner[MB_STATE_MAX], outer[MB_STATE_MAX]; /* HMAC's pads, hashed */
        };
        _Alignas(16) uint8_t chacha20[32];
    };
    struct gcm_context_data gcm_context;
    aes_gcm_enc_dec_t gcm_run;
    IMB_HASH_ALG hash;
    const struct mb_library *library;
};
MUST_USE bool mb_keys_new(struct cipher *);
void mb_forget_keys(struct cipher *);

/* 200 kB; NULL: memory is short. */
IMB_MGR *mb_manager_new(void (*init)(IMB_MGR *));
void mb_manager_free(IMB_MGR *); /* wipes */

/* ---- cipher_mb_jobs.c ---- */
MUST_USE bool mb_jobs_prepare(struct mb_library *); /* once per process */
extern const struct cipher_engine mb_chacha20_poly1305, mb_cbc_hmac;

#endif
