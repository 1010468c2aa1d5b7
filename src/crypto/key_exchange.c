/* key_exchange.c: the face of the key exchanges: the table of groups, and a private half's life. */
#include <stdlib.h>

#include <openssl/err.h>

#include "crypto/internal.h"

/* ECP seeds are 8 octets longer than the order, so that reducing them leaves no bias worth the name (FIPS 186-4 B.4.1).
 * MODP exponents are at least twice as long as the group is strong (112, 128 and 152 bits; SP 800-56A). */
static const struct ke_kind kinds[] = {
    {KE_CURVE25519, "X25519", 0, 32, 32, 32, montgomery_make, montgomery_shared},
    {KE_CURVE448, "X448", 0, 56, 56, 56, montgomery_make, montgomery_shared},
    {KE_ECP_256, "P-256", 0, 64, 32, 40, ecp_make, ecp_shared},
    {KE_ECP_384, "P-384", 1, 96, 48, 56, ecp_make, ecp_shared},
    {KE_ECP_521, "P-521", 2, 132, 66, 74, ecp_make, ecp_shared},
    {KE_MODP_2048, "MODP-2048", 0, 256, 256, 32, modp_make, modp_shared},
    {KE_MODP_3072, "MODP-3072", 1, 384, 384, 40, modp_make, modp_shared},
    {KE_MODP_4096, "MODP-4096", 2, 512, 512, 48, modp_make, modp_shared},
};

static const struct ke_kind *kind_of(uint16_t group) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].group == group)
            return &kinds[i];
    }
    return NULL;
}

bool key_exchange_supported(uint16_t group) {
    return kind_of(group) != NULL;
}

size_t key_exchange_public_length(uint16_t group) {
    const struct ke_kind *kind = kind_of(group);
    return kind != NULL ? kind->public_length : 0;
}

size_t key_exchange_secret_length(uint16_t group) {
    const struct ke_kind *kind = kind_of(group);
    return kind != NULL ? kind->secret_length : 0;
}

size_t key_exchange_seed_length(uint16_t group) {
    const struct ke_kind *kind = kind_of(group);
    return kind != NULL ? kind->seed_length : 0;
}

struct key_exchange *key_exchange_new(uint16_t group, const uint8_t *seed, struct error *err) {
    const struct ke_kind *kind = kind_of(group);
    if (kind == NULL) {
        fail(err, OURS, NOTIFY_NONE, "key exchange group %u is not supported", (unsigned)group);
        return NULL;
    }
    struct key_exchange *ke = calloc(1, sizeof *ke);
    if (ke == NULL) {
        fail(err, OURS, NOTIFY_NONE, "no memory for a key exchange");
        return NULL;
    }
    ke->kind = kind;
    if (algorithms() != NULL && kind->make(ke, seed))
        return ke;
    key_exchange_free(ke);
    ERR_clear_error();
    fail(err, OURS, NOTIFY_NONE, "libcrypto can't make a private half for %s", kind->name);
    return NULL;
}

void key_exchange_free(struct key_exchange *ke) {
    if (ke == NULL)
        return;
    EVP_PKEY_free(ke->pkey);
    BN_clear_free(ke->scalar);
    free(ke);
}

uint16_t key_exchange_group(const struct key_exchange *ke) {
    return ke->kind->group;
}

struct span key_exchange_public(const struct key_exchange *ke) {
    return span_of(ke->public_value, ke->kind->public_length);
}

bool key_exchange_shared(const struct key_exchange *ke, struct span peer_public, uint8_t *out, struct error *err) {
    const struct ke_kind *kind = ke->kind;
    if (peer_public.length != kind->public_length)
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "KE data is %zu bytes; %s needs %zu", peer_public.length,
            kind->name, kind->public_length);
    if (kind->shared(ke, peer_public, out, err))
        return true;
    wipe(out, kind->secret_length);
    ERR_clear_error(); /* whoever looks at libcrypto's queue next (TLS) must not find ours */
    return false;
}
