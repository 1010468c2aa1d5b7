/* vectors.c: key derivation against known answers. NIST's published vector is for HMAC-SHA-1 alone; vectors.py proves
 * itself by it and then says what the same inputs give with our prfs. */
#include <string.h>

#include "pair.h"

static const struct vector {
    uint16_t prf, integ;
    const char *skeyseed, *dkm, *child, *child_pfs, *rekey;
} vectors[] = {
#include "vectors.inc"
};
#define VECTORS (sizeof vectors / sizeof vectors[0])

static uint8_t ni[8], nr[8], gir[32], gir_new[32];
#define SPI_I UINT64_C(0x34c9e7c188868785)
#define SPI_R UINT64_C(0x3ff77d760d2b2199)

static size_t unhex(const char *text, uint8_t *out) {
    size_t length = strlen(text) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned octet = 0;
        for (int half = 0; half < 2; half++) {
            char c = text[2 * i + (size_t)half];
            octet = octet << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        }
        out[i] = (uint8_t)octet;
    }
    return length;
}

static struct key_inputs inputs(void) {
    unhex("32b50d5f4a3763f3", ni);
    unhex("9206a04b26564cb1", nr);
    unhex("4b2c1f971981a8ad8d0abeafabf38cf75fc8349c148142465ed9c8b516b8be52", gir);
    unhex("863f3c9d06efd39d2b907b97f8699e5dd5251ef64a2a176f36ee40c87d4f9330", gir_new);
    return (struct key_inputs){.ni = span_of(ni, sizeof ni),
        .nr = span_of(nr, sizeof nr),
        .shared = span_of(gir, sizeof gir),
        .spi_i = SPI_I,
        .spi_r = SPI_R};
}

static void SKEYSEED_and_the_seven_SK_keys_are_as_computed_elsewhere(void **state) {
    (void)state;
    struct key_inputs in = inputs();
    for (size_t i = 0; i < VECTORS; i++) {
        struct cipher_suite suite = {.encr = ENCR_AES_CBC, .key_bits = 256, .integ = vectors[i].integ};
        uint8_t skeyseed[PRF_MAX], material[SK_MAX], expected[SK_MAX];
        size_t length = keys_material(vectors[i].prf, suite, &in, NULL, skeyseed, material);
        assert_int_equal(length, unhex(vectors[i].dkm, expected));
        assert_memory_equal(material, expected, length);
        assert_memory_equal(skeyseed, expected, unhex(vectors[i].skeyseed, expected));
    }
}

static void old_keys(struct ike_keys *keys, const struct vector *v) {
    uint8_t dkm[SK_MAX];
    memset(keys, 0, sizeof *keys);
    keys->prf = v->prf;
    unhex(v->dkm, dkm);
    memcpy(keys->sk_d, dkm, prf_length(v->prf));
}

static void KEYMAT_goes_initiator_to_responder_first_with_and_without_pfs(void **state) {
    (void)state;
    struct key_inputs in = inputs();
    for (size_t i = 0; i < VECTORS; i++)
        for (int pfs = 0; pfs < 2; pfs++) {
            struct ike_keys keys;
            struct error err;
            uint8_t expected[128];
            struct ike_child asker = {.initiator = true}, answerer = {.initiator = false};
            old_keys(&keys, &vectors[i]);
            asker.suite = answerer.suite = (struct cipher_suite){ENCR_AES_GCM_16, 256, AUTH_NONE};
            struct span shared = span_of(gir_new, pfs ? sizeof gir_new : 0);
            assert_true(keys_child(&keys, in.ni, in.nr, shared, &asker, &err));
            assert_true(keys_child(&keys, in.ni, in.nr, shared, &answerer, &err));
            assert_int_equal(unhex(pfs ? vectors[i].child_pfs : vectors[i].child, expected), 72);
            assert_memory_equal(asker.key_out, expected, 36);
            assert_memory_equal(asker.key_in, expected + 36, 36);
            assert_memory_equal(answerer.key_in, expected, 36);
            assert_memory_equal(answerer.key_out, expected + 36, 36);
        }
}

static void a_rekey_uses_the_old_SK_d_and_the_old_prf_for_SKEYSEED(void **state) {
    (void)state;
    for (size_t i = 0; i < VECTORS; i++)
        for (size_t j = 0; j < VECTORS; j++) { /* from any prf to any other */
            struct key_inputs in = inputs();
            struct cipher_suite suite = {ENCR_AES_GCM_16, 256, AUTH_NONE};
            struct ike_keys old;
            uint8_t skeyseed[PRF_MAX], material[SK_MAX], expected[SK_MAX], spis[16];
            old_keys(&old, &vectors[i]);
            in.shared = span_of(gir_new, sizeof gir_new);
            size_t length = keys_material(vectors[j].prf, suite, &in, &old, skeyseed, material);
            size_t seed = unhex(vectors[i].rekey, expected);
            assert_int_equal(seed, prf_length(vectors[i].prf));
            assert_memory_equal(skeyseed, expected, seed);
            struct writer w = writer_over(spis, sizeof spis); /* prf+ with the new prf */
            writer_u64(&w, SPI_I);
            writer_u64(&w, SPI_R);
            struct span part[] = {in.ni, in.nr, span_of(spis, sizeof spis)};
            assert_true(prf_plus(vectors[j].prf, span_of(skeyseed, seed), part, 3, expected, length));
            assert_memory_equal(material, expected, length);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(SKEYSEED_and_the_seven_SK_keys_are_as_computed_elsewhere),
        cmocka_unit_test(KEYMAT_goes_initiator_to_responder_first_with_and_without_pfs),
        cmocka_unit_test(a_rekey_uses_the_old_SK_d_and_the_old_prf_for_SKEYSEED),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
