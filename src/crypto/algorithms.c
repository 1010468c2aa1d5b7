/* algorithms.c: libcrypto's algorithm objects, looked up once per process and only read from then on. */
#include <pthread.h>

#include "crypto/internal.h"

static struct algorithms loaded;
static bool complete;

static bool load_modp(struct modp *modp, BIGNUM *(*prime)(BIGNUM *)) {
    BN_CTX *context = BN_CTX_new();
    modp->prime = prime(NULL);
    modp->prime_minus_1 = modp->prime != NULL ? BN_dup(modp->prime) : NULL;
    modp->two = BN_new();
    modp->montgomery = BN_MONT_CTX_new();
    bool ok = context != NULL && modp->prime_minus_1 != NULL && modp->two != NULL && modp->montgomery != NULL &&
              BN_sub_word(modp->prime_minus_1, 1) == 1 && BN_set_word(modp->two, 2) == 1 &&
              BN_MONT_CTX_set(modp->montgomery, modp->prime, context) == 1;
    BN_CTX_free(context);
    return ok;
}

static void load(void) {
    static const int curve[3] = {NID_X9_62_prime256v1, NID_secp384r1, NID_secp521r1};
    loaded.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    loaded.sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    loaded.aes_gcm[0] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
    loaded.aes_gcm[1] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    loaded.aes_cbc[0] = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    loaded.aes_cbc[1] = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
    loaded.chacha20_poly1305 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    loaded.aes_ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
    bool ok = true;
    for (size_t i = 0; i < 3; i++) {
        loaded.ecp[i] = EC_GROUP_new_by_curve_name(curve[i]);
        ok = ok && loaded.ecp[i] != NULL;
    }
    ok = load_modp(&loaded.modp[0], BN_get_rfc3526_prime_2048) && ok;
    ok = load_modp(&loaded.modp[1], BN_get_rfc3526_prime_3072) && ok;
    ok = load_modp(&loaded.modp[2], BN_get_rfc3526_prime_4096) && ok;
    complete = ok && loaded.hmac != NULL && loaded.sha1 != NULL && loaded.aes_gcm[0] != NULL &&
               loaded.aes_gcm[1] != NULL && loaded.aes_cbc[0] != NULL && loaded.aes_cbc[1] != NULL &&
               loaded.chacha20_poly1305 != NULL && loaded.aes_ecb != NULL;
}

const struct algorithms *algorithms(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    return pthread_once(&once, load) == 0 && complete ? &loaded : NULL;
}
