/* iv_maker.c: unpredictable CBC IVs from a counter: the counter enciphered under a key of its own (NIST SP 800-38A
 * appendix C, first method). */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "crypto/internal.h"

struct iv_maker {
    EVP_CIPHER_CTX *context;
};

struct iv_maker *iv_maker_new(const uint8_t key[16]) {
    const struct algorithms *a = algorithms();
    struct iv_maker *maker = a != NULL ? calloc(1, sizeof *maker) : NULL;
    if (maker == NULL)
        return NULL;
    maker->context = EVP_CIPHER_CTX_new();
    if (maker->context != NULL && EVP_EncryptInit_ex2(maker->context, a->aes_ecb, key, NULL, NULL) == 1 &&
        EVP_CIPHER_CTX_set_padding(maker->context, 0) == 1)
        return maker;
    iv_maker_free(maker);
    return NULL;
}

void iv_maker_free(struct iv_maker *maker) {
    if (maker == NULL)
        return;
    EVP_CIPHER_CTX_free(maker->context);
    free(maker);
}

void iv_maker_next(struct iv_maker *maker, uint64_t counter, uint8_t out[16]) {
    int n;
    uint8_t block[16] = {0};
    for (size_t i = 0; i < 8; i++)
        block[15 - i] = (uint8_t)(counter >> (8 * i));
    /* Whole blocks under a key that is set can't fail; a predictable IV must never leave silently. */
    if (EVP_EncryptUpdate(maker->context, out, &n, block, (int)sizeof block) != 1 || n != (int)sizeof block)
        abort();
}
