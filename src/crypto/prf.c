/* prf.c: the pseudo-random functions of IKEv2 and what is made of them (RFC 7296 sections 2.13, 2.15; RFC 4868), and
 * the SHA-1 of NAT detection. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>

#include "crypto/internal.h"

const char *prf_hash_name(uint16_t prf) {
    switch (prf) {
    case PRF_HMAC_SHA2_256:
        return "SHA256";
    case PRF_HMAC_SHA2_384:
        return "SHA384";
    case PRF_HMAC_SHA2_512:
        return "SHA512";
    default:
        return NULL;
    }
}

bool prf_supported(uint16_t prf) {
    return prf_hash_name(prf) != NULL;
}

size_t prf_length(uint16_t prf) {
    switch (prf) {
    case PRF_HMAC_SHA2_256:
        return 32;
    case PRF_HMAC_SHA2_384:
        return 48;
    case PRF_HMAC_SHA2_512:
        return 64;
    default:
        return 0;
    }
}

EVP_MAC_CTX *hmac_new(const char *hash, struct span key) {
    static const uint8_t empty[1] = {0}; /* a key pointer of NULL would mean "keep the last key" */
    const struct algorithms *a = algorithms();
    if (a == NULL || hash == NULL)
        return NULL;
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(a->hmac);
    if (context == NULL)
        return NULL;
    OSSL_PARAM parameter[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)hash, 0),
        OSSL_PARAM_construct_end(),
    };
    if (EVP_MAC_init(context, key.length > 0 ? key.at : empty, key.length, parameter) == 1)
        return context;
    EVP_MAC_CTX_free(context);
    return NULL;
}

static bool add_parts(EVP_MAC_CTX *context, const struct span *part, size_t parts) {
    for (size_t i = 0; i < parts; i++) {
        if (part[i].length > 0 && EVP_MAC_update(context, part[i].at, part[i].length) != 1)
            return false;
    }
    return true;
}

bool prf_compute(uint16_t prf, struct span key, const struct span *part, size_t parts, uint8_t *out) {
    EVP_MAC_CTX *context = hmac_new(prf_hash_name(prf), key);
    size_t length = 0;
    bool ok = context != NULL && add_parts(context, part, parts) &&
              EVP_MAC_final(context, out, &length, prf_length(prf)) == 1 && length == prf_length(prf);
    EVP_MAC_CTX_free(context);
    if (!ok)
        ERR_clear_error();
    return ok;
}

/* T(n) = prf(key, T(n-1) | seed | n), with no T(n-1) for the first. */
static bool prf_plus_block(
    EVP_MAC_CTX *context, struct span before, const struct span *seed, size_t seeds, uint8_t number, uint8_t *block) {
    size_t length = 0;
    return add_parts(context, &before, 1) && add_parts(context, seed, seeds) &&
           EVP_MAC_update(context, &number, 1) == 1 && EVP_MAC_final(context, block, &length, PRF_MAX) == 1;
}

bool prf_plus(uint16_t prf, struct span key, const struct span *seed, size_t seeds, uint8_t *out, size_t length) {
    size_t step = prf_length(prf);
    if (step == 0 || length > 255 * step)
        return false;
    EVP_MAC_CTX *context = hmac_new(prf_hash_name(prf), key);
    uint8_t block[PRF_MAX];
    bool ok = context != NULL;
    uint8_t number = 1;
    for (size_t done = 0; ok && done < length; number++) {
        if (number > 1)
            ok = EVP_MAC_init(context, NULL, 0, NULL) == 1;
        ok = ok && prf_plus_block(context, span_of(block, number > 1 ? step : 0), seed, seeds, number, block);
        size_t take = length - done < step ? length - done : step;
        if (ok)
            memcpy(out + done, block, take);
        done += take;
    }
    EVP_MAC_CTX_free(context);
    wipe(block, sizeof block);
    if (!ok)
        ERR_clear_error();
    return ok;
}

bool psk_auth(uint16_t prf, struct span psk, struct span octets, uint8_t *out) {
    static const char pad_text[] = "Key Pad for IKEv2";
    const struct span text = span_of(pad_text, sizeof pad_text - 1);
    uint8_t pad[PRF_MAX];
    bool ok = prf_compute(prf, psk, &text, 1, pad) && prf_compute(prf, span_of(pad, prf_length(prf)), &octets, 1, out);
    wipe(pad, sizeof pad);
    return ok;
}

bool nat_hash(const struct span *part, size_t parts, uint8_t out[20]) {
    const struct algorithms *a = algorithms();
    EVP_MD_CTX *context = a != NULL ? EVP_MD_CTX_new() : NULL;
    bool ok = context != NULL && EVP_DigestInit_ex2(context, a->sha1, NULL) == 1;
    for (size_t i = 0; ok && i < parts; i++)
        ok = part[i].length == 0 || EVP_DigestUpdate(context, part[i].at, part[i].length) == 1;
    ok = ok && EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!ok)
        ERR_clear_error();
    return ok;
}
