/* prf.c: the pseudo-random functions against RFC 4231 and values computed independently. */
#include "helper.h"

struct hmac_case { /* RFC 4231, section 4; case 5 is about truncation and not used */
    uint8_t key_octet; /* 0: key_text; 1: 1, 2, 3, ... */
    size_t key_length;
    const char *key_text;
    uint8_t data_octet; /* 0: data_text */
    size_t data_length;
    const char *data_text;
    const char *sha256, *sha384, *sha512;
};

static const struct hmac_case rfc4231[] = {
    {0x0b, 20, NULL, 0, 0, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
    {0, 0, "Jefe", 0, 0, "what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
    {0xaa, 20, NULL, 0xdd, 50, NULL, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
        "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
        "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
    {1, 25, NULL, 0xcd, 50, NULL, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
        "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
        "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
    {0xaa, 131, NULL, 0, 0, "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
    {0xaa, 131, NULL, 0, 0,
        "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
        "hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
        "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
};

static struct span filled(uint8_t octet, size_t length, const char *text, uint8_t *buffer) {
    if (octet == 0)
        return span_of(text, strlen(text));
    for (size_t i = 0; i < length; i++)
        buffer[i] = octet == 1 ? (uint8_t)(i + 1) : octet;
    return span_of(buffer, length);
}

static void prf_gives_rfc4231_values_however_the_data_is_cut(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof rfc4231 / sizeof rfc4231[0]; i++) {
        const struct hmac_case *c = &rfc4231[i];
        uint8_t key_buffer[131], data_buffer[64], out[PRF_MAX];
        struct span key = filled(c->key_octet, c->key_length, c->key_text, key_buffer);
        struct span data = filled(c->data_octet, c->data_length, c->data_text, data_buffer);
        for (size_t cut = 0; cut <= data.length; cut += 3) {
            struct span part[] = {span_of(data.at, cut), {0}, span_of(data.at + cut, data.length - cut)};
            assert_true(prf_compute(PRF_HMAC_SHA2_256, key, part, 3, out));
            assert_octets(out, prf_length(PRF_HMAC_SHA2_256), c->sha256);
            assert_true(prf_compute(PRF_HMAC_SHA2_384, key, part, 3, out));
            assert_octets(out, prf_length(PRF_HMAC_SHA2_384), c->sha384);
            assert_true(prf_compute(PRF_HMAC_SHA2_512, key, part, 3, out));
            assert_octets(out, prf_length(PRF_HMAC_SHA2_512), c->sha512);
        }
    }
}

/* Computed with another implementation: key 0, 1, 2, ...; seed "NiNr" eight times, then f0 to ff. */
struct plus_case {
    uint16_t prf;
    const char *first_100, *last_8; /* of 255 blocks */
};

static const struct plus_case plus[] = {
    {PRF_HMAC_SHA2_256,
        "4cad8f4ae44ac45b7fddeb3948a5442ed0852e6f1658e94bd2344579db27782d13cb534caced44f6aedc718bea577cc8d1b8"
        "c52dede29d04680d718bc47beafe1edb3d3c746a0de11228fd490d70c719cc6faee8158674d036aa1ab7626a82abd50f60f3",
        "55f6502872b32dcf"},
    {PRF_HMAC_SHA2_384,
        "397bb5692e14761b75d8bba89d1d8e0ebe3b823fe173c986da3f6f105fb999fab8ffd0ec649703930157a29ddb1168cae427"
        "d790d23d1f6fccd203b64b8fcd4dcf1ce2fdb3db812f9278ed7e44f7912e11cfdc6265a9162597ba2c47cf17e39e07e5c8d3",
        "c8658c7462c53d5d"},
    {PRF_HMAC_SHA2_512,
        "72e6771340daa4e5efdae298450cc0d2cc2f90e547d998290b2c3aefae2b7fea3e1bfef2fdda35014f3d33e5e0858cb46af9"
        "94d650091c5cd4735aa0df768e60f1bbc36f6a0d5df6f9306fcadf4f200276a0e4e11663351b6635c79dcc88332b68f97bd6",
        "aa7d041ff564124b"},
};

static void prf_plus_gives_up_to_255_blocks_of_rfc7296_section_2_13(void **state) {
    (void)state;
    uint8_t key[PRF_MAX], seed_tail[16], out[255 * PRF_MAX];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof seed_tail; i++)
        seed_tail[i] = (uint8_t)(0xf0 + i);
    struct span seed[] = {
        span_of("NiNrNiNrNiNrNiNr", 16), span_of("NiNrNiNrNiNrNiNr", 16), span_of(seed_tail, sizeof seed_tail)};
    for (size_t i = 0; i < sizeof plus / sizeof plus[0]; i++) {
        size_t step = prf_length(plus[i].prf);
        assert_true(prf_plus(plus[i].prf, span_of(key, step), seed, 3, out, 255 * step));
        assert_octets(out, 100, plus[i].first_100);
        assert_octets(out + 255 * step - 8, 8, plus[i].last_8);
        assert_false(prf_plus(plus[i].prf, span_of(key, step), seed, 3, out, 255 * step + 1));
    }
}

static void prf_plus_of_any_length_is_a_prefix_and_writes_no_more(void **state) {
    (void)state;
    uint8_t whole[200], out[201];
    struct span key = span_of("key", 3), seed = span_of("seed", 4);
    assert_true(prf_plus(PRF_HMAC_SHA2_384, key, &seed, 1, whole, sizeof whole));
    for (size_t length = 0; length <= sizeof whole; length++) {
        memset(out, 0xee, sizeof out);
        assert_true(prf_plus(PRF_HMAC_SHA2_384, key, &seed, 1, out, length));
        assert_memory_equal(out, whole, length);
        assert_int_equal(out[length], 0xee);
    }
}

static void psk_auth_uses_the_key_pad_without_its_final_zero(void **state) {
    (void)state;
    uint8_t out[PRF_MAX];
    assert_true(psk_auth(PRF_HMAC_SHA2_256, span_of("foobar", 6), span_of("octets", 6), out));
    assert_octets(out, 32, "604480852786f0c9453b57c9027036af03b27268038be9830d521d3ebabde897");
}

static void nat_hash_is_sha1_of_all_parts(void **state) {
    (void)state;
    uint8_t out[20];
    struct span part[] = {
        span_of("abcdbcdecdefdefgefghfghighijhijkijkl", 36), {0}, span_of("jklmklmnlmnomnopnopq", 20)};
    assert_true(nat_hash(part, 3, out));
    assert_octets(out, 20, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"); /* FIPS 180 */
}

static void an_unknown_prf_is_refused(void **state) {
    (void)state;
    uint8_t out[PRF_MAX];
    struct span part = span_of("x", 1);
    static const uint16_t unknown[] = {0, 1, 2, 3, 4, 8, 65535}; /* MD5, SHA-1, XCBC, CMAC among them */
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        assert_false(prf_supported(unknown[i]));
        assert_int_equal(prf_length(unknown[i]), 0);
        assert_false(prf_compute(unknown[i], part, &part, 1, out));
        assert_false(prf_plus(unknown[i], part, &part, 1, out, 1));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prf_gives_rfc4231_values_however_the_data_is_cut),
        cmocka_unit_test(prf_plus_gives_up_to_255_blocks_of_rfc7296_section_2_13),
        cmocka_unit_test(prf_plus_of_any_length_is_a_prefix_and_writes_no_more),
        cmocka_unit_test(psk_auth_uses_the_key_pad_without_its_final_zero),
        cmocka_unit_test(nat_hash_is_sha1_of_all_parts),
        cmocka_unit_test(an_unknown_prf_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
