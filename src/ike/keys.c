/* keys.c: from shared secrets and nonces to keys: SKEYSEED and SK_* (RFC 7296 section 2.14), their rekey form (2.18),
 * KEYMAT of Child SAs (2.17) and the MACed identity (2.15). */
#include <string.h>

#include "ike/internal.h"

static size_t material_length(uint16_t prf, struct cipher_suite suite) {
    return 3 * prf_length(prf) + 2 * cipher_integ_length(suite) + 2 * cipher_key_length(suite);
}

/* The first octets of the nonces key a prf with a fixed key size; HMAC takes any length (section 2.14), so Ni | Nr is the
 * key. In a rekey it is the old SK_d and the old prf: the exchange belongs to the old IKE SA. */
static bool skeyseed_compute(
    uint16_t prf, const struct key_inputs *in, const struct ike_keys *old, uint8_t out[PRF_MAX]) {
    if (old != NULL) {
        struct span part[] = {in->shared, in->ni, in->nr};
        return prf_compute(old->prf, span_of(old->sk_d, prf_length(old->prf)), part, 3, out);
    }
    uint8_t key[2 * NONCE_MAX];
    struct writer w = writer_over(key, sizeof key);
    writer_span(&w, in->ni);
    writer_span(&w, in->nr);
    return writer_ok(&w) && prf_compute(prf, span_of(key, w.length), &in->shared, 1, out);
}

size_t keys_material(uint16_t prf, struct cipher_suite suite, const struct key_inputs *in, const struct ike_keys *old,
    uint8_t skeyseed[PRF_MAX], uint8_t out[SK_MAX]) {
    size_t length = material_length(prf, suite);
    uint8_t spis[16];
    struct writer w = writer_over(spis, sizeof spis);
    writer_u64(&w, in->spi_i);
    writer_u64(&w, in->spi_r);
    struct span seed[] = {in->ni, in->nr, span_of(spis, w.length)};
    if (length > SK_MAX || !skeyseed_compute(prf, in, old, skeyseed))
        return 0;
    size_t seed_length = prf_length(old != NULL ? old->prf : prf);
    return prf_plus(prf, span_of(skeyseed, seed_length), seed, 3, out, length) ? length : 0;
}

static bool take(struct reader *r, uint8_t *out, size_t length) {
    return length == 0 || reader_copy(r, length, out);
}

static void disclose(struct ike_secrets *out, const struct key_inputs *in, struct cipher_suite suite,
    struct span encr_i, struct span encr_r, struct span integ_i, struct span integ_r) {
    *out = (struct ike_secrets){.spi_i = in->spi_i, .spi_r = in->spi_r, .suite = suite};
    memcpy(out->encr_i, encr_i.at, encr_i.length);
    memcpy(out->encr_r, encr_r.at, encr_r.length);
    if (integ_i.length > 0) {
        memcpy(out->integ_i, integ_i.at, integ_i.length);
        memcpy(out->integ_r, integ_r.at, integ_r.length);
    }
}

struct cipher *keys_cipher(const struct ike_keys *keys, bool seal) {
    struct error ignored;
    const uint8_t *encr = seal ? keys->ours.encr : keys->theirs.encr;
    const uint8_t *integ = seal ? keys->ours.integ : keys->theirs.integ;
    return cipher_new(keys->suite, seal, span_of(encr, cipher_key_length(keys->suite)),
        span_of(integ, cipher_integ_length(keys->suite)), &ignored);
}

/* libcrypto may lack the cipher, which is to be known now. */
static bool usable(const struct ike_keys *keys, struct error *err) {
    struct cipher *cipher = keys_cipher(keys, true);
    if (cipher == NULL)
        return fail(
            err, OURS, NOTIFY_NONE, "the cipher of the IKE SA can't be set up: memory is short, or libcrypto lacks it");
    cipher_free(cipher);
    return true;
}

bool keys_derive(
    struct ike_keys *keys, const struct key_inputs *in, const struct ike_keys *old, bool initiator, struct error *err) {
    uint8_t skeyseed[PRF_MAX], material[SK_MAX];
    uint8_t integ_i[INTEG_KEY_MAX], integ_r[INTEG_KEY_MAX], encr_i[CIPHER_KEY_MAX], encr_r[CIPHER_KEY_MAX];
    size_t length = keys_material(keys->prf, keys->suite, in, old, skeyseed, material);
    struct reader r = reader_over(material, length);
    size_t prf = prf_length(keys->prf), integ = cipher_integ_length(keys->suite), encr = cipher_key_length(keys->suite);
    bool ok = length != 0 && take(&r, keys->sk_d, prf) && take(&r, integ_i, integ) && take(&r, integ_r, integ) &&
              take(&r, encr_i, encr) && take(&r, encr_r, encr) && take(&r, keys->sk_pi, prf) &&
              take(&r, keys->sk_pr, prf) && reader_end(&r);
    if (ok) {
        struct span key_i = span_of(encr_i, encr), key_r = span_of(encr_r, encr);
        struct span mac_i = span_of(integ_i, integ), mac_r = span_of(integ_r, integ);
        memcpy(keys->ours.encr, initiator ? encr_i : encr_r, encr);
        memcpy(keys->theirs.encr, initiator ? encr_r : encr_i, encr);
        memcpy(keys->ours.integ, initiator ? integ_i : integ_r, integ);
        memcpy(keys->theirs.integ, initiator ? integ_r : integ_i, integ);
        ok = usable(keys, err);
        if (ok && in->disclose != NULL)
            disclose(in->disclose, in, keys->suite, key_i, key_r, mac_i, mac_r);
    } else {
        fail(err, OURS, NOTIFY_NONE, "the keys of the IKE SA could not be derived");
    }
    wipe(skeyseed, sizeof skeyseed);
    wipe(material, sizeof material);
    wipe(integ_i, sizeof integ_i);
    wipe(integ_r, sizeof integ_r);
    wipe(encr_i, sizeof encr_i);
    wipe(encr_r, sizeof encr_r);
    return ok;
}

bool keys_child(const struct ike_keys *keys, struct span ni, struct span nr, struct span shared,
    struct ike_child *child, struct error *err) {
    uint8_t material[2 * (CIPHER_KEY_MAX + INTEG_KEY_MAX)];
    size_t encr = cipher_key_length(child->suite), integ = cipher_integ_length(child->suite);
    size_t length = 2 * (encr + integ);
    struct span seed[] = {shared, ni, nr};
    size_t skip = shared.length == 0 ? 1 : 0;
    bool ok = prf_plus(keys->prf, span_of(keys->sk_d, prf_length(keys->prf)), seed + skip, 3 - skip, material, length);
    struct reader r = reader_over(material, ok ? length : 0);
    /* Towards the exchange's Responder first, encryption before integrity. */
    uint8_t *first[] = {
        child->initiator ? child->key_out : child->key_in, child->initiator ? child->integ_out : child->integ_in};
    uint8_t *second[] = {
        child->initiator ? child->key_in : child->key_out, child->initiator ? child->integ_in : child->integ_out};
    ok = ok && take(&r, first[0], encr) && take(&r, first[1], integ) && take(&r, second[0], encr) &&
         take(&r, second[1], integ);
    wipe(material, sizeof material);
    return ok || fail(err, OURS, NOTIFY_NONE, "the keys of the Child SA could not be derived");
}

bool keys_id_mac(const struct ike_keys *keys, bool initiators, struct span id_body, uint8_t out[PRF_MAX]) {
    const uint8_t *key = initiators ? keys->sk_pi : keys->sk_pr;
    return prf_compute(keys->prf, span_of(key, prf_length(keys->prf)), &id_body, 1, out);
}

void keys_wipe(struct ike_keys *keys) {
    wipe(keys, sizeof *keys);
}

struct key_exchange *ke_make(struct ike_sa *sa, uint16_t group, struct error *err) {
    uint8_t seed[KE_SEED_MAX];
    size_t length = key_exchange_seed_length(group);
    random_fill(&sa->random, seed, length);
    struct key_exchange *ke = key_exchange_new(group, seed, err);
    wipe(seed, sizeof seed);
    return ke;
}
