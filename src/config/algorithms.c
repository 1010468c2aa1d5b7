/* algorithms.c: the names of algorithms in ike= and esp=, Libreswan's spellings and strongSwan's, in one table; those
 * that are too weak or not done are in it too, so that the error can say so. RFC 8221, RFC 8247. */
#include "config/internal.h"

#include <ctype.h>
#include <string.h>

#define ENCR(name, id, bits) \
    { name, ALGORITHM_ENCR, id, bits, NULL }
#define HASH(name, id) \
    { name, ALGORITHM_HASH, id, 0, NULL }
#define INTEG(name, id) \
    { name, ALGORITHM_INTEG, id, 0, NULL }
#define PRF(name, id) \
    { name, ALGORITHM_PRF, id, 0, NULL }
#define KE(name, id) \
    { name, ALGORITHM_KE, id, 0, NULL }
#define WEAK(name, why) \
    { name, ALGORITHM_WEAK, 0, 0, why }
#define MISSING(name, why) \
    { name, ALGORITHM_MISSING, 0, 0, why }

#define USE_CIPHER "write aes_gcm256, aes_gcm128, chacha20_poly1305, aes256 or aes128"
#define USE_HASH "write sha2_256, sha2_384 or sha2_512"
#define USE_GROUP "write dh31, dh19, dh20, dh21, dh32, dh14, dh15 or dh16"

static const struct algorithm table[] = {
    ENCR("aes", ENCR_AES_CBC, 0),
    ENCR("aes_cbc", ENCR_AES_CBC, 0),
    ENCR("aescbc", ENCR_AES_CBC, 0),
    ENCR("aes_gcm", ENCR_AES_GCM_16, 0),
    ENCR("aes_gcm_16", ENCR_AES_GCM_16, 0),
    ENCR("aes_gcm_c", ENCR_AES_GCM_16, 0),
    ENCR("aesgcm", ENCR_AES_GCM_16, 0),
    ENCR("aesgcm16", ENCR_AES_GCM_16, 0),
    ENCR("aes128gcm16", ENCR_AES_GCM_16, 128),
    ENCR("aes256gcm16", ENCR_AES_GCM_16, 256),
    ENCR("aes128gcm128", ENCR_AES_GCM_16, 128),
    ENCR("aes256gcm128", ENCR_AES_GCM_16, 256),
    ENCR("aes128gcm", ENCR_AES_GCM_16, 128),
    ENCR("aes256gcm", ENCR_AES_GCM_16, 256),
    ENCR("chacha20_poly1305", ENCR_CHACHA20_POLY1305, 1),
    ENCR("chacha20poly1305", ENCR_CHACHA20_POLY1305, 1),
    ENCR("chacha20poly1305compat", ENCR_CHACHA20_POLY1305, 1),

    HASH("sha2", 256),
    HASH("sha256", 256),
    HASH("sha2_256", 256),
    HASH("hmac_sha2_256", 256),
    HASH("hmac_sha256", 256),
    HASH("sha384", 384),
    HASH("sha2_384", 384),
    HASH("hmac_sha2_384", 384),
    HASH("hmac_sha384", 384),
    HASH("sha512", 512),
    HASH("sha2_512", 512),
    HASH("hmac_sha2_512", 512),
    HASH("hmac_sha512", 512),
    INTEG("sha2_256_128", 256),
    INTEG("hmac_sha2_256_128", 256),
    INTEG("sha2_384_192", 384),
    INTEG("hmac_sha2_384_192", 384),
    INTEG("sha2_512_256", 512),
    INTEG("hmac_sha2_512_256", 512),
    PRF("prfsha256", 256),
    PRF("prfsha384", 384),
    PRF("prfsha512", 512),

    KE("dh14", KE_MODP_2048),
    KE("modp2048", KE_MODP_2048),
    KE("dh15", KE_MODP_3072),
    KE("modp3072", KE_MODP_3072),
    KE("dh16", KE_MODP_4096),
    KE("modp4096", KE_MODP_4096),
    KE("dh19", KE_ECP_256),
    KE("ecp256", KE_ECP_256),
    KE("ecp_256", KE_ECP_256),
    KE("dh20", KE_ECP_384),
    KE("ecp384", KE_ECP_384),
    KE("ecp_384", KE_ECP_384),
    KE("dh21", KE_ECP_521),
    KE("ecp521", KE_ECP_521),
    KE("ecp_521", KE_ECP_521),
    KE("dh31", KE_CURVE25519),
    KE("curve25519", KE_CURVE25519),
    KE("x25519", KE_CURVE25519),
    KE("dh32", KE_CURVE448),
    KE("curve448", KE_CURVE448),
    KE("x448", KE_CURVE448),

    {"none", ALGORITHM_NONE, 0, 0, NULL},
    {"null", ALGORITHM_NONE, 0, 0, NULL},
    {"dh0", ALGORITHM_NO_KE, 0, 0, NULL},
    {"modpnone", ALGORITHM_NO_KE, 0, 0, NULL},

    WEAK("3des", USE_CIPHER),
    WEAK("3des_cbc", USE_CIPHER),
    WEAK("des", USE_CIPHER),
    WEAK("cast128", USE_CIPHER),
    WEAK("blowfish", USE_CIPHER),
    WEAK("aes_gcm_8", USE_CIPHER),
    WEAK("aes_gcm_a", USE_CIPHER),
    WEAK("aes_gcm_12", USE_CIPHER),
    WEAK("aes_gcm_b", USE_CIPHER),
    WEAK("aes128gcm8", USE_CIPHER),
    WEAK("aes256gcm8", USE_CIPHER),
    WEAK("aes128gcm12", USE_CIPHER),
    WEAK("aes256gcm12", USE_CIPHER),
    WEAK("aes128gcm64", USE_CIPHER),
    WEAK("aes256gcm64", USE_CIPHER),
    WEAK("aes128gcm96", USE_CIPHER),
    WEAK("aes256gcm96", USE_CIPHER),
    WEAK("null_auth_aes_gmac", USE_CIPHER),
    WEAK("aes_gmac", USE_CIPHER),
    WEAK("md5", USE_HASH),
    WEAK("hmac_md5", USE_HASH),
    WEAK("hmac_md5_96", USE_HASH),
    WEAK("prfmd5", USE_HASH),
    WEAK("sha", USE_HASH),
    WEAK("sha1", USE_HASH),
    WEAK("sha1_96", USE_HASH),
    WEAK("hmac_sha1", USE_HASH),
    WEAK("hmac_sha1_96", USE_HASH),
    WEAK("sha1_160", USE_HASH),
    WEAK("prfsha1", USE_HASH),
    WEAK("sha256_96", USE_HASH),
    WEAK("hmac_sha2_256_truncbug", USE_HASH),
    WEAK("modp768", USE_GROUP),
    WEAK("dh1", USE_GROUP),
    WEAK("modp1024", USE_GROUP),
    WEAK("dh2", USE_GROUP),
    WEAK("modp1536", USE_GROUP),
    WEAK("dh5", USE_GROUP),
    WEAK("dh22", USE_GROUP),
    WEAK("dh23", USE_GROUP),
    WEAK("dh24", USE_GROUP),
    WEAK("modp1024s160", USE_GROUP),
    WEAK("modp2048s224", USE_GROUP),
    WEAK("modp2048s256", USE_GROUP),
    WEAK("ecp192", USE_GROUP),
    WEAK("dh25", USE_GROUP),
    WEAK("ecp224", USE_GROUP),
    WEAK("dh26", USE_GROUP),

    MISSING("aes_ctr", USE_CIPHER),
    MISSING("aesctr", USE_CIPHER),
    MISSING("aes128ctr", USE_CIPHER),
    MISSING("aes256ctr", USE_CIPHER),
    MISSING("aes_ccm", USE_CIPHER),
    MISSING("aes_ccm_8", USE_CIPHER),
    MISSING("aes_ccm_a", USE_CIPHER),
    MISSING("aes_ccm_12", USE_CIPHER),
    MISSING("aes_ccm_b", USE_CIPHER),
    MISSING("aes_ccm_16", USE_CIPHER),
    MISSING("aes_ccm_c", USE_CIPHER),
    MISSING("aes128ccm16", USE_CIPHER),
    MISSING("aes256ccm16", USE_CIPHER),
    MISSING("aes192gcm16", USE_CIPHER),
    MISSING("camellia", USE_CIPHER),
    MISSING("camellia_cbc", USE_CIPHER),
    MISSING("camellia_ctr", USE_CIPHER),
    MISSING("twofish", USE_CIPHER),
    MISSING("serpent", USE_CIPHER),
    MISSING("aes_xcbc", USE_HASH),
    MISSING("aes128_xcbc", USE_HASH),
    MISSING("aesxcbc", USE_HASH),
    MISSING("aes_xcbc_96", USE_HASH),
    MISSING("aes128_xcbc_96", USE_HASH),
    MISSING("prfaesxcbc", USE_HASH),
    MISSING("aes_cmac", USE_HASH),
    MISSING("aes_cmac_96", USE_HASH),
    MISSING("aescmac", USE_HASH),
    MISSING("prfaescmac", USE_HASH),
    MISSING("identity", USE_HASH),
    MISSING("modp6144", USE_GROUP),
    MISSING("dh17", USE_GROUP),
    MISSING("modp8192", USE_GROUP),
    MISSING("dh18", USE_GROUP),
    MISSING("ecp224bp", USE_GROUP),
    MISSING("ecp256bp", USE_GROUP),
    MISSING("ecp384bp", USE_GROUP),
    MISSING("ecp512bp", USE_GROUP),
    MISSING("newhope128", USE_GROUP),
    MISSING("esn", "write esn=yes on a line of its own"),
    MISSING("noesn", "write esn=no on a line of its own"),
};

const struct algorithm *algorithm_at(size_t n) {
    return n < sizeof table / sizeof table[0] ? &table[n] : NULL;
}

bool algorithm_is_aead(uint16_t encr) {
    return encr == ENCR_AES_GCM_16 || encr == ENCR_CHACHA20_POLY1305;
}

static const struct algorithm *find_whole(struct piece name) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (piece_is(name, table[i].name))
            return &table[i];
    return NULL;
}

/* The whole name first ("aes_gcm_16", "sha2_256"), then without digits at its end, which are a key size: aes256,
 * aes_256, aes_gcm_16_256. */
const struct algorithm *algorithm_find(struct piece name, uint16_t *bits) {
    const struct algorithm *found = find_whole(name);
    *bits = found ? found->bits : 0;
    if (found)
        return found;
    size_t stem = name.length;
    while (stem && isdigit((unsigned char)name.at[stem - 1]))
        stem--;
    size_t digits = name.length - stem;
    if (digits == 0 || digits > 4)
        return NULL;
    unsigned size = 0;
    for (size_t i = stem; i < name.length; i++)
        size = size * 10 + (unsigned)(name.at[i] - '0');
    if (stem && name.at[stem - 1] == '_')
        stem--;
    found = find_whole((struct piece){name.at, stem});
    if (!found)
        return NULL;
    *bits = (uint16_t)size;
    bool cipher = found->kind == ALGORITHM_ENCR ? found->bits == 0 : found->why && strcmp(found->why, USE_CIPHER) == 0;
    return cipher ? found : NULL;
}
