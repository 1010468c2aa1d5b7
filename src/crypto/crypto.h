/* crypto.h: the face of crypto/: libcrypto and ipsec-mb behind a handful of nouns. The only room that includes them for
 * IKE and ESP. Every random octet comes from the caller. Algorithms are IANA's numbers (base/iana.h); what is not listed there
 * is not supported. Secrets that these objects hold are wiped when they are freed; secrets in the caller's buffers are
 * the caller's to wipe. Objects are not thread-safe; different objects may be used by different threads. */
#ifndef IKETCP_CRYPTO_CRYPTO_H
#define IKETCP_CRYPTO_CRYPTO_H

#include "base/base.h"

#define PRF_MAX ((size_t)64) /* octets of the longest prf output (SHA2-512) */
#define KE_SECRET_MAX ((size_t)512) /* MODP-4096 */
#define KE_PUBLIC_MAX ((size_t)512) /* MODP-4096; ECP-521 has 132 */
#define KE_SEED_MAX ((size_t)512)
#define CIPHER_KEY_MAX ((size_t)36) /* AES-256 or ChaCha20 with salt */
#define INTEG_KEY_MAX ((size_t)64)
#define CIPHER_IV_MAX ((size_t)16)
#define CIPHER_ICV_MAX ((size_t)32)

/* --- prf, RFC 7296 section 2.13, RFC 4868 --- */
bool prf_supported(uint16_t prf);
size_t prf_length(uint16_t prf); /* output and preferred key, octets; 0: not supported */
/* prf(key, part[0] | part[1] | ...) into out[0..prf_length). False only when libcrypto fails. */
MUST_USE bool prf_compute(uint16_t prf, struct span key, const struct span *part, size_t parts, uint8_t *out);
/* prf+(key, seed[0] | seed[1] | ...), `length` octets (<= 255 * prf_length). */
MUST_USE bool prf_plus(
    uint16_t prf, struct span key, const struct span *seed, size_t seeds, uint8_t *out, size_t length);
/* prf(prf(psk, "Key Pad for IKEv2"), octets), RFC 7296 section 2.15, into out[0..prf_length). */
MUST_USE bool psk_auth(uint16_t prf, struct span psk, struct span octets, uint8_t *out);
/* SHA-1 for NAT_DETECTION_*_IP only (RFC 7296 section 2.23), 20 octets out. */
MUST_USE bool nat_hash(const struct span *part, size_t parts, uint8_t out[20]);

/* --- key exchange, RFC 7296 section 3.4, RFC 5903 (ECP: x | y without 0x04; shared secret is x), RFC 8031 --- */
struct key_exchange; /* our private half */
bool key_exchange_supported(uint16_t group);
size_t key_exchange_public_length(uint16_t group); /* octets in the KE payload */
size_t key_exchange_secret_length(uint16_t group); /* octets of the shared secret, leading zeros kept */
size_t key_exchange_seed_length(uint16_t group); /* random octets that make a private half */
/* A private half from a seed: the same seed gives the same half. NULL and *err on failure. Owned by the caller. */
struct key_exchange *key_exchange_new(uint16_t group, const uint8_t *seed, struct error *err);
void key_exchange_free(struct key_exchange *); /* wipes; NULL is fine */
uint16_t key_exchange_group(const struct key_exchange *);
struct span key_exchange_public(const struct key_exchange *); /* a view, valid as long as the object */
/* The shared secret, key_exchange_secret_length octets. A public value of wrong length, not on the curve, out of range
 * (RFC 6989), or an all-zero X25519/X448 result: false, ORIGIN_PEER, NOTIFY_INVALID_SYNTAX. */
MUST_USE bool key_exchange_shared(
    const struct key_exchange *, struct span peer_public, uint8_t *out, struct error *err);

/* --- ciphers: AEADs and encrypt-then-MAC behind one face, for IKE's SK payload and ESP --- */
struct cipher_suite {
    uint16_t encr; /* ENCR_* */
    uint16_t key_bits; /* 128 or 256; ChaCha20: 0 */
    uint16_t integ; /* AUTH_*, AUTH_NONE for AEADs */
};
bool cipher_supported(struct cipher_suite);
bool cipher_is_aead(uint16_t encr);
size_t cipher_key_length(struct cipher_suite); /* with salt: KEYMAT taken per direction, RFC 5282, 4106, 7634 */
size_t cipher_integ_length(struct cipher_suite); /* integrity key, 0 for AEADs */
size_t cipher_iv_length(struct cipher_suite); /* explicit IV on the wire: 8 AEADs, 16 CBC */
size_t cipher_icv_length(struct cipher_suite); /* on the wire */
size_t cipher_block(struct cipher_suite); /* text must be a multiple of this: 16 CBC, 1 AEADs */

/* One message to seal or open in place. AEAD: authenticates aad, encrypts text. Encrypt-then-MAC: encrypts text, then
 * ICV = HMAC(aad | iv | text | tail), truncated. `tail` (ESN's upper half, RFC 4303) is for encrypt-then-MAC only; an
 * AEAD's caller puts the upper half into aad (RFC 4106 section 5). */
struct cipher_job {
    const uint8_t *aad;
    size_t aad_length;
    const uint8_t *iv; /* explicit IV, cipher_iv_length octets; never used twice under a key for AEADs */
    uint8_t *text; /* in place */
    size_t length; /* of text, a multiple of cipher_block */
    const uint8_t *tail;
    size_t tail_length;
    uint8_t *icv; /* written by seal, checked (in constant time) by open */
    bool ok; /* out */
};
struct cipher; /* key schedules and reused contexts of one direction */
struct cipher *cipher_new(struct cipher_suite, bool seal, struct span key, struct span integ_key, struct error *);
void cipher_free(struct cipher *); /* wipes; NULL is fine */
/* Both run all jobs, set each .ok and return how many are ok. After a failed open the text is to be thrown away. No
 * allocation, no key set-up per job (but libcrypto's HMAC copies two small contexts inside, which measures cheaper than
 * starting from the pads). CBC's IVs must be unpredictable: the caller's business. Many jobs in one call are cheaper than
 * many calls. Jobs of one call may be worked on at the same time, so that they must not overlap; encrypt-then-MAC is
 * fastest when aad, iv, text and icv lie one behind the other. */
size_t cipher_seal(struct cipher *, struct cipher_job *, size_t jobs);
size_t cipher_open(struct cipher *, struct cipher_job *, size_t jobs);

/* What does the work: Intel's ipsec-mb where it was there to build with and this processor makes it the faster one, else
 * libcrypto. Tests and measurements choose; what is not there or not for that suite falls back to libcrypto. For
 * ciphers made from now on; at any time, by any thread. */
enum cipher_library {
    CIPHER_FASTEST = 0,
    CIPHER_LIBCRYPTO,
    CIPHER_IPSEC_MB,
    CIPHER_IPSEC_MB_AVX2, /* as on processors without AVX-512 */
};
void cipher_library_choose(enum cipher_library);
enum cipher_library cipher_library_of(const struct cipher *);
bool cipher_library_runs(enum cipher_library, struct cipher_suite); /* here, in this build, on this processor */

/* One block of AES under a key: turns a counter into an unpredictable CBC IV without a random octet per packet
 * (NIST SP 800-38A appendix C, first method). `key` 16 octets. */
struct iv_maker;
struct iv_maker *iv_maker_new(const uint8_t key[16]);
void iv_maker_free(struct iv_maker *);
void iv_maker_next(struct iv_maker *, uint64_t counter, uint8_t out[16]);

#endif
