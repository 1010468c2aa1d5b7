/* ke_ecp.c: the prime curves P-256, P-384 and P-521 (RFC 5903): x | y on the wire, the shared secret is x. */
#include <string.h>

#include "crypto/internal.h"

#define POINT_MAX ((size_t)133) /* 0x04, x and y of P-521 */

static const EC_GROUP *group_of(const struct key_exchange *ke) {
    return algorithms()->ecp[ke->kind->index];
}

/* 1 <= scalar <= n-1, by reducing a seed that is longer than n. */
static BIGNUM *scalar_from_seed(const EC_GROUP *group, const uint8_t *seed, size_t length, BN_CTX *context) {
    BIGNUM *wide = BN_bin2bn(seed, (int)length, NULL);
    BIGNUM *bound = BN_dup(EC_GROUP_get0_order(group));
    BIGNUM *scalar = BN_new();
    bool ok = wide != NULL && bound != NULL && scalar != NULL && BN_sub_word(bound, 1) == 1;
    if (ok)
        BN_set_flags(wide, BN_FLG_CONSTTIME);
    ok = ok && BN_mod(scalar, wide, bound, context) == 1 && BN_add_word(scalar, 1) == 1;
    BN_clear_free(wide);
    BN_free(bound);
    if (ok) {
        BN_set_flags(scalar, BN_FLG_CONSTTIME);
        return scalar;
    }
    BN_clear_free(scalar);
    return NULL;
}

bool ecp_make(struct key_exchange *ke, const uint8_t *seed) {
    const EC_GROUP *group = group_of(ke);
    BN_CTX *context = BN_CTX_new();
    EC_POINT *point = EC_POINT_new(group);
    uint8_t octets[POINT_MAX];
    size_t length = ke->kind->public_length + 1;
    bool ok = context != NULL && point != NULL;
    if (ok)
        ke->scalar = scalar_from_seed(group, seed, ke->kind->seed_length, context);
    ok = ok && ke->scalar != NULL && EC_POINT_mul(group, point, ke->scalar, NULL, NULL, context) == 1 &&
         EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, octets, sizeof octets, context) == length;
    if (ok)
        memcpy(ke->public_value, octets + 1, length - 1);
    EC_POINT_clear_free(point);
    BN_CTX_free(context);
    return ok;
}

/* RFC 6989 section 2.3: coordinates below p and on the curve, both of which EC_POINT_oct2point checks; the cofactor is
 * 1, so that this is all there is to check. */
static bool read_point(const EC_GROUP *group, struct span wire, EC_POINT *point, BN_CTX *context) {
    uint8_t octets[POINT_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    memcpy(octets + 1, wire.at, wire.length);
    return EC_POINT_oct2point(group, point, octets, wire.length + 1, context) == 1;
}

static bool multiply(
    const struct key_exchange *ke, const EC_POINT *peer, EC_POINT *result, uint8_t *out, BN_CTX *context) {
    const EC_GROUP *group = group_of(ke);
    BIGNUM *x = BN_new();
    bool ok = x != NULL && EC_POINT_mul(group, result, NULL, peer, ke->scalar, context) == 1 &&
              EC_POINT_get_affine_coordinates(group, result, x, NULL, context) == 1 &&
              BN_bn2binpad(x, out, (int)ke->kind->secret_length) == (int)ke->kind->secret_length;
    BN_clear_free(x);
    return ok;
}

bool ecp_shared(const struct key_exchange *ke, struct span peer_public, uint8_t *out, struct error *err) {
    const EC_GROUP *group = group_of(ke);
    BN_CTX *context = BN_CTX_new();
    EC_POINT *peer = EC_POINT_new(group), *result = EC_POINT_new(group);
    bool ready = context != NULL && peer != NULL && result != NULL;
    bool valid = ready && read_point(group, peer_public, peer, context);
    bool ok = valid && multiply(ke, peer, result, out, context);
    EC_POINT_clear_free(result);
    EC_POINT_free(peer);
    BN_CTX_free(context);
    if (ok)
        return true;
    if (ready && !valid)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer's public value is not on %s", ke->kind->name);
    return fail(err, OURS, NOTIFY_NONE, "libcrypto can't compute a shared secret on %s", ke->kind->name);
}
