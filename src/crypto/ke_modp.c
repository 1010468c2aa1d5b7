/* ke_modp.c: Diffie-Hellman modulo RFC 3526's primes with generator 2: groups 14, 15 and 16. */
#include "crypto/internal.h"

static const struct modp *group_of(const struct key_exchange *ke) {
    return &algorithms()->modp[ke->kind->index];
}

/* base ^ scalar mod p, padded to the length of p. */
static bool power(const struct key_exchange *ke, const BIGNUM *base, uint8_t *out, size_t length) {
    const struct modp *group = group_of(ke);
    BN_CTX *context = BN_CTX_new();
    BIGNUM *result = BN_new();
    bool ok = context != NULL && result != NULL &&
              BN_mod_exp_mont_consttime(result, base, ke->scalar, group->prime, context, group->montgomery) == 1 &&
              BN_bn2binpad(result, out, (int)length) == (int)length;
    BN_clear_free(result);
    BN_CTX_free(context);
    return ok;
}

bool modp_make(struct key_exchange *ke, const uint8_t *seed) {
    ke->scalar = BN_bin2bn(seed, (int)ke->kind->seed_length, NULL);
    if (ke->scalar == NULL)
        return false;
    BN_set_flags(ke->scalar, BN_FLG_CONSTTIME);
    /* The highest bit is always set: no seed gives a trivial exponent, and all exponents are equally long. */
    return BN_set_bit(ke->scalar, (int)ke->kind->seed_length * 8 - 1) == 1 &&
           power(ke, group_of(ke)->two, ke->public_value, ke->kind->public_length);
}

/* RFC 6989 section 2.1: 1 < y < p-1 is all that a safe prime asks for. */
static bool in_range(const struct modp *group, const BIGNUM *y) {
    return BN_cmp(y, BN_value_one()) > 0 && BN_cmp(y, group->prime_minus_1) < 0;
}

bool modp_shared(const struct key_exchange *ke, struct span peer_public, uint8_t *out, struct error *err) {
    BIGNUM *y = BN_bin2bn(peer_public.at, (int)peer_public.length, NULL);
    bool valid = y != NULL && in_range(group_of(ke), y);
    bool ok = valid && power(ke, y, out, ke->kind->secret_length);
    bool ready = y != NULL;
    BN_free(y);
    if (ok)
        return true;
    if (ready && !valid)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer's public value is out of %s's range", ke->kind->name);
    return fail(err, OURS, NOTIFY_NONE, "libcrypto can't compute a shared secret in %s", ke->kind->name);
}
