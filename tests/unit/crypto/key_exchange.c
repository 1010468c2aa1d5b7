/* key_exchange.c: key exchanges against RFC 5903, 7748 and values computed independently; bad public values refused. */
#include "helper.h"
#include "modp_vectors.h"

struct exchange_case {
    uint16_t group;
    const char *private_a, *public_a, *private_b, *public_b, *secret;
};

static const struct exchange_case published[] = {
    /* RFC 7748, section 6.1 */
    {KE_CURVE25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
    /* RFC 7748, section 6.2 */
    {KE_CURVE448,
        "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a59872"
        "6b",
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41f"
        "a0",
        "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b6517399"
        "2d",
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b43027d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf336"
        "09",
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a87"
        "9d"},
    /* RFC 5903, section 8.1 */
    {KE_ECP_256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
        "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
        "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3",
        "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
        "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
        "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab",
        "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"},
    /* RFC 5903, section 8.2 */
    {KE_ECP_384, "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
        "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa"
        "9482ed1fc0eeb9cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
        "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
        "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571"
        "dcfbec7aacf3196472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
        "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746"},
    /* RFC 5903, section 8.3 */
    {KE_ECP_521,
        "0037ade9319a89f4dabdb3ef411aaccca5123c61acab57b5393dce47608172a095aa85a30fe1c2952c6771d937ba9777f5957b2639ba"
        "b072462f68c27a57382d4a52",
        "0015417e84dbf28c0ad3c278713349dc7df153c897a1891bd98bab4357c9ecbee1e3bf42e00b8e380aeae57c2d107564941885942af5"
        "a7f4601723c4195d176ced3e"
        "017cae20b6641d2eeb695786d8c946146239d099e18e1d5a514c739d7cb4a10ad8a788015ac405d7799dc75e7b7d5b6cf2261a6a7f15"
        "07438bf01beb6ca3926f9582",
        "0145ba99a847af43793fdd0e872e7cdfa16be30fdc780f97bccc3f078380201e9c677d600b343757a3bdbf2a3163e4c2f869cca7458a"
        "a4a4effc311f5cb151685eb9",
        "00d0b3975ac4b799f5bea16d5e13e9af971d5e9b984c9f39728b5e5739735a219b97c356436adc6e95bb0352f6be64a6c2912d4ef2d0"
        "433ced2b6171640012d9460f"
        "015c68226383956e3bd066e797b623c27ce0eac2f551a10c2c724d9852077b87220b6536c5c408a1d2aebb8e86d678ae49cb57091f47"
        "32296579ab44fcd17f0fc56a",
        "01144c7d79ae6956bc8edb8e7c787c4521cb086fa64407f97894e5e6b2d79b04d1427e73ca4baa240a34786859810c06b3c715a3a8cc"
        "3151f2bee417996d19f3ddea"},
};

static bool is_ecp(uint16_t group) {
    return group == KE_ECP_256 || group == KE_ECP_384 || group == KE_ECP_521;
}

/* The seed that gives a published private key: for ECP that is the number minus 1, padded on the left. */
static struct key_exchange *from_private(uint16_t group, const char *text) {
    uint8_t octets[HEX_MAX], seed[KE_SEED_MAX] = {0};
    size_t length = unhex(text, octets), seed_length = key_exchange_seed_length(group);
    if (is_ecp(group)) {
        size_t i = length - 1;
        while (octets[i]-- == 0)
            i--;
    }
    assert_true(length <= seed_length);
    memcpy(seed + seed_length - length, octets, length);
    struct error err;
    struct key_exchange *ke = key_exchange_new(group, seed, &err);
    assert_non_null(ke);
    return ke;
}

static void check_secret(const struct key_exchange *ours, const struct key_exchange *theirs, const char *secret) {
    uint8_t out[KE_SECRET_MAX];
    struct error err;
    assert_true(key_exchange_shared(ours, key_exchange_public(theirs), out, &err));
    assert_octets(out, key_exchange_secret_length(key_exchange_group(ours)), secret);
}

static void published_exchanges_come_out_as_published(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const struct exchange_case *c = &published[i];
        struct key_exchange *a = from_private(c->group, c->private_a), *b = from_private(c->group, c->private_b);
        assert_octets(key_exchange_public(a).at, key_exchange_public_length(c->group), c->public_a);
        assert_octets(key_exchange_public(b).at, key_exchange_public_length(c->group), c->public_b);
        check_secret(a, b, c->secret);
        check_secret(b, a, c->secret);
        key_exchange_free(a);
        key_exchange_free(b);
    }
}

static void seed_count_up(uint8_t first, uint8_t *seed, size_t length) {
    for (size_t i = 0; i < length; i++)
        seed[i] = (uint8_t)(first + i);
}

static void modp_exchanges_use_rfc3526_primes(void **state) {
    (void)state;
    static const struct exchange_case modp[] = {
        {KE_MODP_2048, NULL, MODP_2048_A, NULL, MODP_2048_B, MODP_2048_SECRET},
        {KE_MODP_3072, NULL, MODP_3072_A, NULL, MODP_3072_B, MODP_3072_SECRET},
        {KE_MODP_4096, NULL, MODP_4096_A, NULL, MODP_4096_B, MODP_4096_SECRET},
    };
    for (size_t i = 0; i < sizeof modp / sizeof modp[0]; i++) {
        const struct exchange_case *c = &modp[i];
        uint8_t seed[KE_SEED_MAX];
        struct error err;
        seed_count_up(1, seed, sizeof seed);
        struct key_exchange *a = key_exchange_new(c->group, seed, &err);
        seed_count_up(0x81, seed, sizeof seed);
        struct key_exchange *b = key_exchange_new(c->group, seed, &err);
        assert_octets(key_exchange_public(a).at, key_exchange_public_length(c->group), c->public_a);
        assert_octets(key_exchange_public(b).at, key_exchange_public_length(c->group), c->public_b);
        check_secret(a, b, c->secret);
        check_secret(b, a, c->secret);
        key_exchange_free(a);
        key_exchange_free(b);
    }
}

static void a_secret_keeps_its_leading_zeros(void **state) {
    (void)state;
    uint8_t seed[KE_SEED_MAX] = {0}, out[KE_SECRET_MAX];
    struct error err;
    seed[30] = 289 >> 8;
    seed[31] = 289 & 255;
    struct key_exchange *a = key_exchange_new(KE_MODP_2048, seed, &err);
    uint8_t peer[HEX_MAX];
    size_t length = unhex(MODP_2048_B, peer);
    assert_true(key_exchange_shared(a, span_of(peer, length), out, &err));
    assert_octets(out, 20, "00b325bd16be2a34c091e11131c950b4b880e05a");
    key_exchange_free(a);
    bool found = false;
    struct key_exchange *b = from_private(KE_ECP_256, published[2].private_b);
    for (unsigned i = 0; i < 4000 && !found; i++) {
        seed[38] = (uint8_t)(i >> 8);
        seed[39] = (uint8_t)i;
        a = key_exchange_new(KE_ECP_256, seed, &err);
        uint8_t other[KE_SECRET_MAX];
        assert_true(key_exchange_shared(a, key_exchange_public(b), out, &err));
        assert_true(key_exchange_shared(b, key_exchange_public(a), other, &err));
        assert_memory_equal(out, other, 32);
        found = out[0] == 0;
        key_exchange_free(a);
    }
    assert_true(found);
    key_exchange_free(b);
}

static void any_seed_makes_a_valid_half_even_one_beyond_the_order(void **state) {
    (void)state;
    static const uint16_t group[] = {
        KE_MODP_2048, KE_MODP_3072, KE_MODP_4096, KE_ECP_256, KE_ECP_384, KE_ECP_521, KE_CURVE25519, KE_CURVE448};
    static const uint8_t fill[] = {0x00, 0xff, 0x5a};
    for (size_t i = 0; i < sizeof group / sizeof group[0]; i++) {
        assert_true(key_exchange_supported(group[i]));
        assert_true(key_exchange_seed_length(group[i]) <= KE_SEED_MAX);
        for (size_t j = 0; j < sizeof fill; j++) {
            uint8_t seed[KE_SEED_MAX], out[KE_SECRET_MAX], again[KE_SECRET_MAX];
            struct error err;
            memset(seed, fill[j], sizeof seed);
            struct key_exchange *a = key_exchange_new(group[i], seed, &err),
                                *same = key_exchange_new(group[i], seed, &err);
            assert_memory_equal(key_exchange_public(a).at, key_exchange_public(same).at, key_exchange_public(a).length);
            seed[7] ^= 0x10;
            struct key_exchange *b = key_exchange_new(group[i], seed, &err);
            assert_memory_not_equal(
                key_exchange_public(a).at, key_exchange_public(b).at, key_exchange_public(a).length);
            assert_true(key_exchange_shared(a, key_exchange_public(b), out, &err));
            assert_true(key_exchange_shared(b, key_exchange_public(a), again, &err));
            assert_memory_equal(out, again, key_exchange_secret_length(group[i]));
            key_exchange_free(a);
            key_exchange_free(same);
            key_exchange_free(b);
        }
    }
}

static void refused(uint16_t group, const uint8_t *peer, size_t length) {
    uint8_t seed[KE_SEED_MAX] = {9, 9, 9}, out[KE_SECRET_MAX];
    struct error err = {0};
    struct key_exchange *ke = key_exchange_new(group, seed, &err);
    assert_non_null(ke);
    assert_false(key_exchange_shared(ke, span_of(peer, length), out, &err));
    assert_int_equal(err.origin, ORIGIN_PEER);
    assert_int_equal(err.notify, NOTIFY_INVALID_SYNTAX);
    assert_true(strlen(err.text) > 10);
    key_exchange_free(ke);
}

static void a_public_value_of_wrong_length_is_refused(void **state) {
    (void)state;
    uint8_t peer[KE_PUBLIC_MAX + 1];
    memset(peer, 5, sizeof peer);
    static const uint16_t group[] = {KE_MODP_2048, KE_ECP_256, KE_ECP_521, KE_CURVE25519, KE_CURVE448};
    for (size_t i = 0; i < sizeof group / sizeof group[0]; i++) {
        refused(group[i], peer, 0);
        refused(group[i], peer, key_exchange_public_length(group[i]) - 1);
        refused(group[i], peer, key_exchange_public_length(group[i]) + 1);
    }
}

static void points_of_small_order_are_refused_on_x25519_and_x448(void **state) {
    (void)state;
    uint8_t peer[56] = {0};
    refused(KE_CURVE25519, peer, 32);
    refused(KE_CURVE448, peer, 56);
    peer[0] = 1;
    refused(KE_CURVE25519, peer, 32);
    refused(KE_CURVE448, peer, 56);
    static const char *small[] = {/* order 8, then p-1, p, p+1 */
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        uint8_t octets[HEX_MAX];
        refused(KE_CURVE25519, octets, unhex(small[i], octets));
    }
}

static void points_off_the_curve_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        if (!is_ecp(published[i].group))
            continue;
        uint8_t peer[HEX_MAX];
        size_t length = unhex(published[i].public_b, peer);
        for (size_t at = 0; at < length; at += 7) {
            peer[at] ^= 1;
            refused(published[i].group, peer, length);
            peer[at] ^= 1;
        }
        memset(peer, 0, length);
        refused(published[i].group, peer, length);
        memset(peer, 0xff, length);
        refused(published[i].group, peer, length);
    }
}

static void a_coordinate_that_is_not_below_the_prime_is_refused(void **state) {
    (void)state;
    /* x = p + 5 with the y of x = 5: on the curve modulo p, and yet no encoding of a point (RFC 6989, section 2.3). */
    uint8_t peer[HEX_MAX];
    size_t length = unhex("ffffffff00000001000000000000000000000001000000000000000000000004"
                          "459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc",
        peer);
    struct error err;
    uint8_t seed[KE_SEED_MAX] = {1}, out[KE_SECRET_MAX], reduced[64] = {0};
    reduced[31] = 5;
    memcpy(reduced + 32, peer + 32, 32);
    struct key_exchange *ke = key_exchange_new(KE_ECP_256, seed, &err);
    assert_true(key_exchange_shared(ke, span_of(reduced, sizeof reduced), out, &err));
    key_exchange_free(ke);
    refused(KE_ECP_256, peer, length);
}

static void modp_values_outside_2_to_p_minus_2_are_refused(void **state) {
    (void)state;
    static const struct {
        uint16_t group;
        const char *prime;
    } modp[] = {{KE_MODP_2048, MODP_2048_PRIME}, {KE_MODP_3072, MODP_3072_PRIME}, {KE_MODP_4096, MODP_4096_PRIME}};
    for (size_t i = 0; i < sizeof modp / sizeof modp[0]; i++) {
        uint8_t prime[HEX_MAX], peer[KE_PUBLIC_MAX] = {0}, out[KE_SECRET_MAX], seed[KE_SEED_MAX] = {3};
        size_t length = unhex(modp[i].prime, prime);
        struct error err;
        refused(modp[i].group, peer, length); /* 0 */
        peer[length - 1] = 1;
        refused(modp[i].group, peer, length);
        refused(modp[i].group, prime, length); /* p */
        prime[length - 1]--;
        refused(modp[i].group, prime, length); /* p-1 */
        memset(peer, 0xff, length);
        refused(modp[i].group, peer, length);
        struct key_exchange *ke = key_exchange_new(modp[i].group, seed, &err);
        prime[length - 1]--; /* p-2 */
        assert_true(key_exchange_shared(ke, span_of(prime, length), out, &err));
        memset(peer, 0, length);
        peer[length - 1] = 2;
        assert_true(key_exchange_shared(ke, span_of(peer, length), out, &err));
        key_exchange_free(ke);
    }
}

static void an_unknown_group_is_refused(void **state) {
    (void)state;
    static const uint16_t unknown[] = {0, 1, 2, 5, 13, 17, 18, 22, 23, 24, 25, 30, 33, 65535};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        struct error err = {0};
        uint8_t seed[KE_SEED_MAX] = {0};
        assert_false(key_exchange_supported(unknown[i]));
        assert_int_equal(key_exchange_public_length(unknown[i]), 0);
        assert_int_equal(key_exchange_secret_length(unknown[i]), 0);
        assert_int_equal(key_exchange_seed_length(unknown[i]), 0);
        assert_null(key_exchange_new(unknown[i], seed, &err));
        assert_int_equal(err.origin, ORIGIN_OURS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_exchanges_come_out_as_published),
        cmocka_unit_test(modp_exchanges_use_rfc3526_primes),
        cmocka_unit_test(a_secret_keeps_its_leading_zeros),
        cmocka_unit_test(any_seed_makes_a_valid_half_even_one_beyond_the_order),
        cmocka_unit_test(a_public_value_of_wrong_length_is_refused),
        cmocka_unit_test(points_of_small_order_are_refused_on_x25519_and_x448),
        cmocka_unit_test(points_off_the_curve_are_refused),
        cmocka_unit_test(a_coordinate_that_is_not_below_the_prime_is_refused),
        cmocka_unit_test(modp_values_outside_2_to_p_minus_2_are_refused),
        cmocka_unit_test(an_unknown_group_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
