/* ke_montgomery.c: X25519 and X448 (RFC 7748, RFC 8031). The seed is the private key; libcrypto clamps it. */
#include "crypto/internal.h"

bool montgomery_make(struct key_exchange *ke, const uint8_t *seed) {
    size_t length = sizeof ke->public_value;
    ke->pkey = EVP_PKEY_new_raw_private_key_ex(NULL, ke->kind->name, NULL, seed, ke->kind->seed_length);
    return ke->pkey != NULL && EVP_PKEY_get_raw_public_key(ke->pkey, ke->public_value, &length) == 1 &&
           length == ke->kind->public_length;
}

static bool derive(const struct key_exchange *ke, EVP_PKEY *peer, uint8_t *out) {
    size_t length = ke->kind->secret_length;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, ke->pkey, NULL);
    bool ok = context != NULL && EVP_PKEY_derive_init(context) == 1 &&
              EVP_PKEY_derive_set_peer_ex(context, peer, 0) == 1 && EVP_PKEY_derive(context, out, &length) == 1 &&
              length == ke->kind->secret_length;
    EVP_PKEY_CTX_free(context);
    return ok;
}

bool montgomery_shared(const struct key_exchange *ke, struct span peer_public, uint8_t *out, struct error *err) {
    static const uint8_t zero[56];
    const struct ke_kind *kind = ke->kind;
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key_ex(NULL, kind->name, NULL, peer_public.at, peer_public.length);
    if (peer == NULL)
        return fail(err, OURS, NOTIFY_NONE, "libcrypto can't take a public value of %s", kind->name);
    bool derived = derive(ke, peer, out);
    EVP_PKEY_free(peer);
    /* A point of small order gives zero, which libcrypto refuses as well (RFC 7748 section 6). */
    if (!derived || span_equal_secret(span_of(out, kind->secret_length), span_of(zero, kind->secret_length)))
        return fail(err, PEER, NOTIFY_INVALID_SYNTAX, "the peer's %s public value gives no shared secret", kind->name);
    return true;
}
