/* cipher.c: ciphers against RFC 7634, the ESP test cases for AES-GCM, SP 800-38A and RFC 4868; forgeries refused. */
#include "helper.h"

struct aead_case {
    struct cipher_suite suite;
    const char *key, *salt, *aad, *iv, *plain, *sealed; /* sealed: with the tag */
};

#define GCM(bits) \
    { .encr = ENCR_AES_GCM_16, .key_bits = (bits), .integ = AUTH_NONE }
#define CHACHA \
    { .encr = ENCR_CHACHA20_POLY1305, .key_bits = 0, .integ = AUTH_NONE }

static const struct aead_case aead[] = {
    /* "Test Cases for the use of GCM in IPsec ESP": extended sequence number, padding, a dummy packet, 256 bits */
    {GCM(128), "4c80cdefbb5d10da906ac73c3613a634", "2e443b68", "000043218765432100000000", "4956ed7e3b244cfe",
        "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f756470037369700963796265"
        "726369747902646b000021000101020201",
        "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff"
        "6247aeabb786b93bce61bc17d768fd9732459018148f6cbe722fd04796562dfdb4"},
    {GCM(128), "feffe9928665731c6d6a8f9467308308", "cafebabe", "0000a5f80000000a", "facedbaddecaf888",
        "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d001000001000000000000037369700963796265726369747902"
        "646b00000100010001",
        "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f51330d0eec416642cfbb85a5b47e48"
        "a4ec3b9ba95d918bd183b70d3aa8bc6ee4c309e9d85a41ad4a"},
    {GCM(256), "abbccddef00112233445566778899aababbccddef00112233445566778899aab", "11223344", "4a2cbfe300000002",
        "0102030405060708",
        "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b40101040201020201",
        "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f0545659f14e99def842d8eb335f4"
        "eecfdbf831824b4c4915956c96"},
    {GCM(128), "7d773d00c144c525ac619d18c84a3f47", "d9664267", "335467aeffffffff", "43457e9182443bc6", "01020201",
        "437f866bcb3f699fe9b0822bac961c4504bef270"},
    {GCM(256), "6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961", "7475726e",
        "796b6963ffffffffffffffff", "333021696765746d",
        "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f707172737401020201",
        "f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a864cd3d78ca4ae68a32b42458fb57dbe821dcc63b9d0937b"
        "a2945f669368661a329fb4c053"},
    /* RFC 7634, appendix A */
    {CHACHA, "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "a0a1a2a3", "0102030400000005",
        "1011121314151617",
        "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f1011121314151617"
        "18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204",
        "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64"
        "c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e076aaa8266b7fb0f7b11b369907e1ad43"},
};

static struct cipher *keyed(const struct aead_case *c, bool seal) {
    uint8_t key[HEX_MAX];
    struct error err;
    size_t length = unhex(c->key, key);
    length += unhex(c->salt, key + length);
    assert_int_equal(length, cipher_key_length(c->suite));
    struct cipher *cipher = cipher_new(c->suite, seal, span_of(key, length), span_of(NULL, 0), &err);
    assert_non_null(cipher);
    return cipher;
}

static void aeads_seal_and_open_published_packets(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof aead / sizeof aead[0]; i++) {
        const struct aead_case *c = &aead[i];
        uint8_t aad[HEX_MAX], iv[HEX_MAX], text[HEX_MAX];
        struct cipher *seal = keyed(c, true), *open = keyed(c, false);
        struct cipher_job job = {.aad = aad, .aad_length = unhex(c->aad, aad), .iv = iv, .text = text};
        assert_int_equal(unhex(c->iv, iv), cipher_iv_length(c->suite));
        for (int round = 0; round < 3; round++) { /* the contexts are used again */
            job.length = unhex(c->plain, text);
            job.icv = text + job.length;
            assert_int_equal(cipher_seal(seal, &job, 1), 1);
            assert_true(job.ok);
            assert_octets(text, job.length + cipher_icv_length(c->suite), c->sealed);
            assert_int_equal(cipher_open(open, &job, 1), 1);
            assert_true(job.ok);
            assert_octets(text, job.length, c->plain);
        }
        cipher_free(seal);
        cipher_free(open);
    }
}

#define CBC(bits, mac) \
    { .encr = ENCR_AES_CBC, .key_bits = (bits), .integ = (mac) }

static void cbc_gives_sp800_38a_values(void **state) {
    (void)state;
    static const struct {
        struct cipher_suite suite;
        const char *key, *sealed;
    } cases[] = {
        {CBC(128, AUTH_HMAC_SHA2_256_128), "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
            "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"},
        {CBC(256, AUTH_HMAC_SHA2_512_256), "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
            "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key[HEX_MAX], iv[HEX_MAX], text[HEX_MAX], icv[CIPHER_ICV_MAX], integ[INTEG_KEY_MAX] = {7};
        struct error err;
        struct cipher *seal = cipher_new(cases[i].suite, true, span_of(key, unhex(cases[i].key, key)),
            span_of(integ, cipher_integ_length(cases[i].suite)), &err);
        (void)unhex("000102030405060708090a0b0c0d0e0f", iv);
        struct cipher_job job = {.iv = iv, .text = text, .icv = icv};
        job.length = unhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
                           "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
            text);
        assert_int_equal(cipher_seal(seal, &job, 1), 1);
        assert_octets(text, job.length, cases[i].sealed);
        cipher_free(seal);
    }
}

/* RFC 4868, section 2.7.2, test case 3: 50 octets of 0xdd, here 2 of AAD, 16 of IV, 16 of text and 16 of tail. */
static void encrypt_then_mac_authenticates_as_rfc4868_says(void **state) {
    (void)state;
    static const struct {
        struct cipher_suite suite;
        const char *icv;
    } cases[] = {
        {CBC(128, AUTH_HMAC_SHA2_256_128), "cdcb1220d1ecccea91e53aba3092f962"},
        {CBC(128, AUTH_HMAC_SHA2_384_192), "809f439be00274321d4a538652164b53554a508184a0c316"},
        {CBC(256, AUTH_HMAC_SHA2_512_256), "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t key[CIPHER_KEY_MAX] = {1}, integ[INTEG_KEY_MAX], data[50], icv[HEX_MAX];
        struct error err;
        memset(integ, 0xaa, sizeof integ);
        memset(data, 0xdd, sizeof data);
        struct cipher *open = cipher_new(cases[i].suite, false, span_of(key, cipher_key_length(cases[i].suite)),
            span_of(integ, cipher_integ_length(cases[i].suite)), &err);
        struct cipher_job job = {.aad = data,
            .aad_length = 2,
            .iv = data + 2,
            .text = data + 18,
            .length = 16,
            .tail = data + 34,
            .tail_length = 16,
            .icv = icv};
        assert_int_equal(unhex(cases[i].icv, icv), cipher_icv_length(cases[i].suite));
        assert_int_equal(cipher_open(open, &job, 1), 1);
        memset(data, 0xdd, sizeof data);
        icv[cipher_icv_length(cases[i].suite) - 1] ^= 1;
        assert_int_equal(cipher_open(open, &job, 1), 0);
        cipher_free(open);
    }
}

static const struct cipher_suite every_suite[] = {
    GCM(128),
    GCM(256),
    CHACHA,
    CBC(128, AUTH_HMAC_SHA2_256_128),
    CBC(128, AUTH_HMAC_SHA2_384_192),
    CBC(128, AUTH_HMAC_SHA2_512_256),
    CBC(256, AUTH_HMAC_SHA2_256_128),
    CBC(256, AUTH_HMAC_SHA2_384_192),
    CBC(256, AUTH_HMAC_SHA2_512_256),
};
#define SUITES (sizeof every_suite / sizeof every_suite[0])

struct pair {
    struct cipher *seal, *open;
};

static struct pair pair_of(struct cipher_suite suite) {
    uint8_t key[CIPHER_KEY_MAX], integ[INTEG_KEY_MAX];
    struct error err;
    memset(key, 0x31, sizeof key);
    memset(integ, 0x32, sizeof integ);
    struct span k = span_of(key, cipher_key_length(suite)), i = span_of(integ, cipher_integ_length(suite));
    struct pair pair = {cipher_new(suite, true, k, i, &err), cipher_new(suite, false, k, i, &err)};
    assert_non_null(pair.seal);
    assert_non_null(pair.open);
    return pair;
}

static void pair_free(struct pair pair) {
    cipher_free(pair.seal);
    cipher_free(pair.open);
}

/* One message in one buffer: aad 12 | iv 16 | text 48 | tail 4 | icv 32. */
struct message {
    uint8_t octets[12 + 16 + 48 + 4 + CIPHER_ICV_MAX];
};

static struct cipher_job job_in(struct message *m, struct cipher_suite suite) {
    uint8_t *at = m->octets;
    bool mac = !cipher_is_aead(suite.encr);
    return (struct cipher_job){.aad = at,
        .aad_length = 12,
        .iv = at + 12,
        .text = at + 28,
        .length = 48,
        .tail = mac ? at + 76 : NULL,
        .tail_length = mac ? 4 : 0,
        .icv = at + 80};
}

static struct message filled_message(void) {
    struct message m;
    for (size_t i = 0; i < sizeof m.octets; i++)
        m.octets[i] = (uint8_t)(i * 7);
    return m;
}

static bool bit_matters(struct cipher_suite suite, size_t at) {
    if (at < 12)
        return true; /* aad */
    if (at < 28)
        return at < 12 + cipher_iv_length(suite);
    if (at < 76)
        return true; /* text */
    if (at < 80)
        return !cipher_is_aead(suite.encr); /* tail */
    return at < 80 + cipher_icv_length(suite);
}

static void every_flipped_bit_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct pair pair = pair_of(every_suite[i]);
        struct message sealed = filled_message();
        struct cipher_job job = job_in(&sealed, every_suite[i]);
        assert_int_equal(cipher_seal(pair.seal, &job, 1), 1);
        for (size_t bit = 0; bit < 8 * sizeof sealed.octets; bit++) {
            struct message m = sealed;
            m.octets[bit / 8] ^= (uint8_t)(1 << bit % 8);
            job = job_in(&m, every_suite[i]);
            assert_int_equal(cipher_open(pair.open, &job, 1), bit_matters(every_suite[i], bit / 8) ? 0 : 1);
        }
        pair_free(pair);
    }
}

static void every_suite_opens_what_it_sealed_at_every_length(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct pair pair = pair_of(every_suite[i]);
        size_t step = cipher_block(every_suite[i]);
        for (size_t length = 0; length <= 320; length += step) {
            uint8_t text[320], plain[320], icv[CIPHER_ICV_MAX], iv[CIPHER_IV_MAX] = {(uint8_t)length, 1};
            memset(text, 0x42, sizeof text);
            memcpy(plain, text, sizeof text);
            struct cipher_job job = {
                .aad = iv, .aad_length = length % 16, .iv = iv, .text = text, .length = length, .icv = icv};
            assert_int_equal(cipher_seal(pair.seal, &job, 1), 1);
            if (length >= 16)
                assert_memory_not_equal(text, plain, length);
            assert_int_equal(cipher_open(pair.open, &job, 1), 1);
            assert_memory_equal(text, plain, sizeof text);
        }
        pair_free(pair);
    }
}

static void a_batch_is_judged_job_by_job(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct pair pair = pair_of(every_suite[i]);
        struct message m[8];
        struct cipher_job job[8];
        for (size_t j = 0; j < 8; j++) {
            m[j] = filled_message();
            m[j].octets[19] = (uint8_t)j; /* another IV */
            job[j] = job_in(&m[j], every_suite[i]);
        }
        assert_int_equal(cipher_seal(pair.seal, job, 8), 8);
        m[0].octets[80] ^= 1;
        m[5].octets[40] ^= 1;
        assert_int_equal(cipher_open(pair.open, job, 8), 6);
        for (size_t j = 0; j < 8; j++) {
            assert_int_equal(job[j].ok, j != 0 && j != 5);
            if (job[j].ok)
                assert_memory_equal(m[j].octets + 28, filled_message().octets + 28, 48);
        }
        assert_int_equal(cipher_open(pair.open, job, 0), 0);
        pair_free(pair);
    }
}

static void text_that_is_no_whole_block_is_refused(void **state) {
    (void)state;
    struct pair pair = pair_of(every_suite[3]);
    struct message m = filled_message();
    struct cipher_job job = job_in(&m, every_suite[3]);
    for (job.length = 33; job.length < 48; job.length++) {
        assert_int_equal(cipher_seal(pair.seal, &job, 1), 0);
        assert_int_equal(cipher_open(pair.open, &job, 1), 0);
        assert_false(job.ok);
    }
    pair_free(pair);
}

static void lengths_are_those_of_the_rfcs(void **state) {
    (void)state;
    static const struct {
        size_t suite, key, integ, iv, icv, block;
    } expect[] = {{0, 20, 0, 8, 16, 1}, {1, 36, 0, 8, 16, 1}, {2, 36, 0, 8, 16, 1}, {3, 16, 32, 16, 16, 16},
        {4, 16, 48, 16, 24, 16}, {8, 32, 64, 16, 32, 16}};
    for (size_t i = 0; i < sizeof expect / sizeof expect[0]; i++) {
        struct cipher_suite suite = every_suite[expect[i].suite];
        assert_true(cipher_supported(suite));
        assert_int_equal(cipher_key_length(suite), expect[i].key);
        assert_int_equal(cipher_integ_length(suite), expect[i].integ);
        assert_int_equal(cipher_iv_length(suite), expect[i].iv);
        assert_int_equal(cipher_icv_length(suite), expect[i].icv);
        assert_int_equal(cipher_block(suite), expect[i].block);
    }
}

static void what_is_not_supported_or_has_a_wrong_key_is_refused(void **state) {
    (void)state;
    static const struct cipher_suite bad[] = {GCM(192), GCM(0), {ENCR_AES_GCM_16, 128, AUTH_HMAC_SHA2_256_128},
        {ENCR_CHACHA20_POLY1305, 256, AUTH_NONE}, CBC(128, AUTH_NONE), CBC(192, AUTH_HMAC_SHA2_256_128), CBC(128, 2),
        {3, 0, 2}, {0, 0, 0}};
    uint8_t key[64] = {0};
    struct error err = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(cipher_supported(bad[i]));
        assert_null(cipher_new(bad[i], true, span_of(key, 20), span_of(key, 0), &err));
        assert_int_equal(err.origin, ORIGIN_OURS);
    }
    for (size_t i = 0; i < SUITES; i++) {
        size_t k = cipher_key_length(every_suite[i]), n = cipher_integ_length(every_suite[i]);
        assert_null(cipher_new(every_suite[i], true, span_of(key, k - 1), span_of(key, n), &err));
        assert_null(cipher_new(every_suite[i], true, span_of(key, k), span_of(key, n + 1), &err));
    }
}

static void the_iv_maker_enciphers_the_counter(void **state) {
    (void)state;
    uint8_t key[HEX_MAX], out[16], again[16];
    (void)unhex("2b7e151628aed2a6abf7158809cf4f3c", key);
    struct iv_maker *maker = iv_maker_new(key);
    assert_non_null(maker);
    iv_maker_next(maker, 0, out);
    assert_octets(out, 16, "7df76b0c1ab899b33e42f047b91b546f"); /* AES of a zero block, RFC 4493 section 4 */
    iv_maker_next(maker, 1, again);
    assert_memory_not_equal(out, again, 16);
    iv_maker_next(maker, UINT64_C(1) << 32, out);
    assert_memory_not_equal(out, again, 16);
    iv_maker_next(maker, 1, out);
    assert_memory_equal(out, again, 16);
    iv_maker_free(maker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aeads_seal_and_open_published_packets),
        cmocka_unit_test(cbc_gives_sp800_38a_values),
        cmocka_unit_test(encrypt_then_mac_authenticates_as_rfc4868_says),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(every_suite_opens_what_it_sealed_at_every_length),
        cmocka_unit_test(a_batch_is_judged_job_by_job),
        cmocka_unit_test(text_that_is_no_whole_block_is_refused),
        cmocka_unit_test(lengths_are_those_of_the_rfcs),
        cmocka_unit_test(what_is_not_supported_or_has_a_wrong_key_is_refused),
        cmocka_unit_test(the_iv_maker_enciphers_the_counter),
    };
    return over_every_library(tests);
}
