/* internal.h: what the files of crypto/ share: libcrypto's algorithm objects, the kinds of key exchange, and the two
 * libraries that ciphers run on. */
#ifndef IKETCP_CRYPTO_INTERNAL_H
#define IKETCP_CRYPTO_INTERNAL_H

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include "crypto/crypto.h"

/* Fetching by name takes locks and look-ups in libcrypto, so that it happens once per process; nobody writes to these
 * objects afterwards, and any thread may use them. */
struct algorithms {
    EVP_MAC *hmac;
    EVP_MD *sha1;
    EVP_CIPHER *aes_gcm[2], *aes_cbc[2]; /* 128 and 256 bits */
    EVP_CIPHER *chacha20_poly1305;
    EVP_CIPHER *aes_ecb;
    EC_GROUP *ecp[3]; /* 256, 384, 521 */
    struct modp {
        BIGNUM *prime, *prime_minus_1, *two;
        BN_MONT_CTX *montgomery;
    } modp[3]; /* 2048, 3072, 4096 */
};
/* NULL when libcrypto lacks one of them: then nothing in this room works. */
const struct algorithms *algorithms(void);

/* The name of the hash of an integrity algorithm or prf, as libcrypto spells it; NULL: not supported. */
const char *prf_hash_name(uint16_t prf);
const char *integ_hash_name(uint16_t integ);
/* A new HMAC context under a key, ready for updates; NULL when libcrypto fails. EVP_MAC_init(ctx, NULL, 0, NULL) starts
 * the next message under the same key without another key schedule. */
EVP_MAC_CTX *hmac_new(const char *hash, struct span key);

#define SALT_LENGTH ((size_t)4)
#define AEAD_IV_LENGTH ((size_t)8)
#define AEAD_NONCE_LENGTH (SALT_LENGTH + AEAD_IV_LENGTH)
#define AEAD_TAG_LENGTH ((size_t)16)

/* What a library does for ciphers of one suite. */
struct cipher_engine {
    MUST_USE bool (*set_keys)(struct cipher *, struct span key, struct span integ_key);
    void (*forget_keys)(struct cipher *); /* wipes and frees; set_keys may have failed half-way */
    /* Jobs that fit (cipher_job_fits); each sets .ok. */
    void (*seal)(struct cipher *, struct cipher_job *, size_t jobs);
    void (*open)(struct cipher *, struct cipher_job *, size_t jobs);
};

struct cipher {
    const struct cipher_engine *engine;
    enum cipher_library library;
    struct cipher_suite suite;
    bool seals;
    size_t icv_length, block;
    uint8_t nonce[AEAD_NONCE_LENGTH]; /* the salt stays, the IV changes */
    /* libcrypto's */
    EVP_CIPHER_CTX *context;
    EVP_MAC_CTX *mac; /* encrypt-then-MAC only */
    OSSL_PARAM tag[2]; /* where the AEAD's tag is read or written; .data is set per job */
    /* ipsec-mb's; encrypt-then-MAC and ChaCha20 have libcrypto's as well, for jobs that suit it better */
    struct mb_keys *mb;
};

/* Lengths that every library can take. */
bool cipher_job_fits(const struct cipher *, const struct cipher_job *);

/* ---- cipher_evp.c: libcrypto, any suite ---- */
extern const struct cipher_engine cipher_evp;

/* ---- cipher_mb.c: ipsec-mb; NULL when it is not there, or no faster on this processor and nobody asks ---- */
#ifdef IKETCP_IPSEC_MB
const struct cipher_engine *cipher_mb(struct cipher_suite, enum cipher_library wish);
#else
static inline const struct cipher_engine *cipher_mb(struct cipher_suite suite, enum cipher_library wish) {
    (void)suite;
    (void)wish;
    return NULL;
}
#endif

struct ke_kind {
    uint16_t group;
    const char *name; /* for libcrypto, where it goes by name */
    unsigned index; /* into algorithms().ecp or .modp */
    size_t public_length, secret_length, seed_length;
    bool (*make)(struct key_exchange *, const uint8_t *seed); /* the private half and its public value */
    bool (*shared)(const struct key_exchange *, struct span peer_public, uint8_t *out, struct error *);
};

struct key_exchange {
    const struct ke_kind *kind;
    EVP_PKEY *pkey; /* X25519 and X448 */
    BIGNUM *scalar; /* ECP and MODP */
    uint8_t public_value[KE_PUBLIC_MAX];
};

bool montgomery_make(struct key_exchange *, const uint8_t *seed);
bool montgomery_shared(const struct key_exchange *, struct span peer_public, uint8_t *out, struct error *);
bool ecp_make(struct key_exchange *, const uint8_t *seed);
bool ecp_shared(const struct key_exchange *, struct span peer_public, uint8_t *out, struct error *);
bool modp_make(struct key_exchange *, const uint8_t *seed);
bool modp_shared(const struct key_exchange *, struct span peer_public, uint8_t *out, struct error *);

#endif
