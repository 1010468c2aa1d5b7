/* cipher_suite.c: which ciphers there are, and their lengths (RFC 5282, 4106, 7634, 3602, 4868). */
#include "crypto/internal.h"

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
