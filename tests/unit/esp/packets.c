/* packets.c: ESP packets on the wire: published ones, every suite there and back, padding, truncations, forgeries. */
#include "helper.h"

#include <stdio.h>

static size_t unhex(const char *text, uint8_t *out) {
    size_t n = 0;
    unsigned value;
    for (; sscanf(text, "%2x", &value) == 1; text += 2)
        out[n++] = (uint8_t)value;
    return n;
}

/* RFC 7634, appendix A: a ping from 198.51.100.5 to 192.0.2.5, SPI 01020304, sequence number 5. */
static const char rfc7634_inner[] =
    "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637";
static const char rfc7634_packet[] = "01020304000000051011121314151617"
                                     "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c6"
                                     "14ee8099d52844eb61aa95dfab4c02f72aa71e7c4c4f64c9befe2facc638e8f3"
                                     "cbec163fac469b502773f6fb94e664da9165b82829f641e0"
                                     "76aaa8266b7fb0f7b11b369907e1ad43";

static struct esp_sa *rfc7634_sa(bool sender) {
    uint8_t key[64];
    size_t length = unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3", key);
    struct esp_config config = config_of(every_suite[2], false, 64, true);
    config.spi_in = config.spi_out = 0x01020304;
    config.key_in = config.key_out = span_of(key, length);
    config.local.count = config.remote.count = 1;
    config.local.selector[0] = selector_of(sender ? "198.51.100.0/24" : "192.0.2.0/24");
    config.remote.selector[0] = selector_of(sender ? "192.0.2.0/24" : "198.51.100.0/24");
    return sa_of(&config);
}

static void esp_seals_the_packet_of_rfc7634(void **state) {
    (void)state;
    uint8_t packet[ROOM], inner[ROOM], expected[ROOM];
    size_t inner_length = unhex(rfc7634_inner, inner), length = unhex(rfc7634_packet, expected);
    struct esp_sa *sender = rfc7634_sa(true), *receiver = rfc7634_sa(false);
    sender->sequence_out = 4;
    sender->iv_counter = UINT64_C(0x1011121314151616);
    assert_int_equal(seal_one(sender, packet, inner, inner_length, ESP_NEXT_IPV4), length);
    assert_memory_equal(packet, expected, length);
    struct esp_open_job job = {.packet = packet, .length = length};
    assert_int_equal(esp_open(receiver, 1, &job, 1), 1);
    assert_int_equal(job.verdict, ESP_INNER);
    assert_int_equal(job.inner_length, inner_length);
    assert_memory_equal(job.inner, inner, inner_length);
    esp_sa_free(sender);
    esp_sa_free(receiver);
}

/* The first of the "Test Cases for the use of GCM in IPsec ESP": sequence number 87654321 00000000. */
static void esp_opens_a_published_gcm_packet_with_an_extended_number(void **state) {
    (void)state;
    uint8_t packet[ROOM], key[64];
    size_t length =
        unhex("00004321000000004956ed7e3b244cfefecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34"
              "cfa2436f14a3f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732459018148f6cbe72"
              "2fd04796562dfdb4",
            packet);
    struct esp_config config = config_of(every_suite[0], true, 64, true);
    config.spi_in = 0x4321;
    config.key_in = span_of(key, unhex("4c80cdefbb5d10da906ac73c3613a6342e443b68", key));
    make_transport(&config);
    struct esp_sa *sa = sa_of(&config);
    sa->window.top = UINT64_C(0x87654320fffffff0);
    struct esp_open_job job = {.packet = packet, .length = length};
    assert_int_equal(esp_open(sa, 1, &job, 1), 1);
    assert_int_equal(job.verdict, ESP_INNER);
    assert_int_equal(job.next_header, 1);
    assert_int_equal(job.inner_length, 68);
    assert_true(sa->window.top == UINT64_C(0x8765432100000000));
    esp_sa_free(sa);
}

/* RFC 4303, section 3.3.2.1: the ICV is over the packet as sent, followed by the upper half of the number. */
static void with_esn_the_upper_half_is_authenticated_behind_the_text(void **state) {
    (void)state;
    static const uint16_t prf[] = {PRF_HMAC_SHA2_256, PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_512};
    static const uint8_t upper[4] = {0x12, 0x34, 0x56, 0x78};
    for (size_t i = 0; i < 3; i++) {
        struct esp_config config = config_of(every_suite[3 + i], true, 64, true);
        struct esp_sa *sa = sa_of(&config);
        sa->sequence_out = UINT64_C(0x123456789abcdef0);
        uint8_t packet[ROOM], mac[PRF_MAX];
        size_t icv = cipher_icv_length(config.suite), length = seal_next(sa, packet);
        const uint8_t header[8] = {1, 2, 3, 4, 0x9a, 0xbc, 0xde, 0xf1};
        assert_memory_equal(packet, header, sizeof header);
        const struct span part[] = {span_of(packet, length - icv), span_of(upper, sizeof upper)};
        assert_true(prf_compute(prf[i], config.integ_out, part, 2, mac));
        assert_memory_equal(packet + length - icv, mac, icv);
        esp_sa_free(sa);
    }
}

static void there_and_back(struct ends ends, const uint8_t *inner, size_t length, uint8_t next_header) {
    uint8_t packet[ROOM];
    memset(packet, 0xee, sizeof packet);
    size_t sealed = seal_one(ends.left, packet, inner, length, next_header);
    assert_int_equal(sealed, esp_sealed_length(ends.left, length));
    assert_true(sealed <= esp_seal_offset(ends.left) + length + esp_seal_trailer_max(ends.left));
    assert_int_equal(packet[sealed], 0xee);
    assert_true(esp_inner_max(ends.left, sealed) >= length);
    assert_true(esp_sealed_length(ends.left, esp_inner_max(ends.left, sealed)) == sealed);
    struct esp_open_job job = {.packet = packet, .length = sealed};
    assert_int_equal(esp_open(ends.right, 9, &job, 1), 1);
    assert_int_equal(job.verdict, ESP_INNER);
    assert_int_equal(job.next_header, next_header);
    assert_int_equal(job.inner_length, length);
    assert_memory_equal(job.inner, inner, length);
}

static void every_suite_carries_packets_of_every_length(void **state) {
    (void)state;
    uint8_t inner[ROOM];
    for (size_t i = 0; i < SUITES * 2; i++) {
        struct ends ends = ends_of(every_suite[i / 2], i % 2 == 0, 1024);
        size_t octets = 0, packets = 0;
        for (size_t length = 24; length <= 1500; length += length < 200 ? 1 : 67) {
            make_v4(inner, length, 1, 2, UDP, 5, 6);
            there_and_back(ends, inner, length, ESP_NEXT_IPV4);
            octets += length;
            packets++;
            if (length >= 48) {
                make_v6(inner, length, 1, 2);
                there_and_back(ends, inner, length, ESP_NEXT_IPV6);
                octets += length;
                packets++;
            }
        }
        struct esp_counters *in = esp_sa_counters(ends.right), *out = esp_sa_counters(ends.left);
        assert_int_equal(in->bytes_in, octets);
        assert_int_equal(out->bytes_out, octets);
        assert_int_equal(in->packets_in, packets);
        assert_int_equal(out->packets_out, packets);
        assert_int_equal(in->last_in_ms, 9);
        assert_int_equal(in->replay_drops + in->auth_drops + in->policy_drops, 0);
        ends_free(ends);
    }
}

static void sealed_packets_end_on_the_boundary_their_cipher_asks_for(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_of(every_suite[i], false, 64);
        size_t align = cipher_block(every_suite[i]) == 16 ? 16 : 4;
        size_t around = 8 + cipher_iv_length(every_suite[i]) + cipher_icv_length(every_suite[i]);
        for (size_t inner = 0; inner < 100; inner++) {
            size_t length = esp_sealed_length(ends.left, inner);
            assert_int_equal((length - around) % align, 0);
            assert_true(length - around >= inner + 2 && length - around < inner + 2 + align);
        }
        for (size_t packet = 0; packet < around + align; packet++)
            assert_int_equal(esp_inner_max(ends.left, packet), 0);
        for (size_t packet = around + align; packet < around + 200; packet++) {
            size_t inner = esp_inner_max(ends.left, packet);
            assert_true(esp_sealed_length(ends.left, inner) <= packet);
            assert_true(esp_sealed_length(ends.left, inner + 1) > packet);
        }
        ends_free(ends);
    }
}

static void no_two_packets_share_an_iv_and_cbc_ivs_look_random(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_of(every_suite[i], false, 64);
        uint8_t packet[ROOM], last[16] = {0};
        size_t iv = cipher_iv_length(every_suite[i]), changed = 0;
        for (size_t n = 1; n <= 100; n++) {
            (void)seal_next(ends.left, packet);
            assert_memory_not_equal(packet + 8, last, iv);
            for (size_t at = 0; at < iv; at++)
                changed += packet[8 + at] != last[at];
            memcpy(last, packet + 8, iv);
        }
        if (iv == 16)
            assert_true(changed > 100 * 14);
        else
            assert_int_equal(last[7], 100); /* the counter */
        ends_free(ends);
    }
}

static void every_flipped_bit_is_noticed(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES * 2; i++) {
        struct ends ends = ends_of(every_suite[i / 2], i % 2 == 1, 64);
        uint8_t sealed[ROOM], packet[ROOM];
        size_t length = seal_next(ends.left, sealed);
        for (size_t bit = 0; bit < 8 * length; bit++) {
            memcpy(packet, sealed, length);
            packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
            enum esp_verdict verdict = open_one(ends.right, packet, length);
            bool number = bit / 8 >= 4 && bit / 8 < 8; /* 0, or before the first number of all */
            assert_true(verdict == ESP_FORGED || (number && verdict == ESP_REPLAYED));
        }
        assert_int_equal(esp_sa_counters(ends.right)->last_in_ms, 0);
        assert_int_equal(open_one(ends.right, sealed, length), ESP_INNER);
        ends_free(ends);
    }
}

/* Each length in an allocation of its own, so that the sanitizer sees a read past the end. */
static void a_packet_cut_anywhere_or_lengthened_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_of(every_suite[i], true, 64);
        uint8_t sealed[ROOM] = {0};
        size_t length = seal_next(ends.left, sealed);
        for (size_t cut = 0; cut < length + 40; cut++) {
            if (cut == length)
                continue;
            uint8_t *packet = malloc(cut > 0 ? cut : 1);
            assert_non_null(packet);
            memcpy(packet, sealed, cut);
            struct esp_open_job job = {.packet = packet, .length = cut};
            assert_int_equal(esp_open(ends.right, 1, &job, 1), 0);
            assert_true(job.verdict == ESP_MALFORMED || job.verdict == ESP_FORGED);
            assert_null(job.inner);
            free(packet);
        }
        assert_int_equal(open_one(ends.right, sealed, length), ESP_INNER);
        ends_free(ends);
    }
}

static void random_octets_are_never_taken_for_a_packet(void **state) {
    (void)state;
    uint64_t seed = 99;
    struct random_source random = random_seeded(&seed);
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_of(every_suite[i], i % 2 == 0, 4096);
        for (size_t round = 0; round < 300; round++) {
            struct esp_open_job job[ESP_BATCH_MAX];
            size_t jobs = 1 + random_u32(&random) % ESP_BATCH_MAX;
            for (size_t j = 0; j < jobs; j++) {
                size_t length = random_u32(&random) % 120;
                job[j] = (struct esp_open_job){.packet = malloc(length + 1), .length = length};
                assert_non_null(job[j].packet);
                random_fill(&random, job[j].packet, length);
            }
            assert_int_equal(esp_open(ends.right, 1, job, jobs), 0);
            for (size_t j = 0; j < jobs; j++)
                free(job[j].packet);
        }
        assert_int_equal(esp_sa_counters(ends.right)->packets_in, 0);
        ends_free(ends);
    }
}

static void tfc_padding_behind_the_inner_packet_is_cut_off(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], true, 64);
    uint8_t inner[1400] = {0}, packet[ROOM];
    static const size_t own[] = {24, 100, 1399, 1400};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        memset(inner, 0, sizeof inner);
        make_v4(inner, own[i], 1, 2, UDP, 1, 2);
        size_t length = seal_one(ends.left, packet, inner, sizeof inner, ESP_NEXT_IPV4);
        struct esp_open_job job = {.packet = packet, .length = length};
        assert_int_equal(esp_open(ends.right, 1, &job, 1), 1);
        assert_int_equal(job.verdict, ESP_INNER);
        assert_int_equal(job.inner_length, own[i]);
    }
    assert_int_equal(esp_sa_counters(ends.right)->bytes_in, 24 + 100 + 1399 + 1400);
    ends_free(ends);
}

static void a_dummy_packet_is_authentic_and_counts_for_nothing(void **state) {
    (void)state;
    for (int transport = 0; transport < 2; transport++) {
        struct esp_config left = config_of(every_suite[0], false, 64, true),
                          right = config_of(every_suite[0], false, 64, false);
        if (transport) {
            make_transport(&left);
            make_transport(&right);
        }
        struct ends ends = {sa_of(&left), sa_of(&right)};
        uint8_t packet[ROOM], copy[ROOM];
        size_t length = seal_one(ends.left, packet, NULL, 0, ESP_NEXT_NONE);
        memcpy(copy, packet, length);
        assert_int_equal(open_one(ends.right, packet, length), ESP_DUMMY);
        assert_int_equal(open_one(ends.right, copy, length), ESP_REPLAYED);
        assert_int_equal(esp_sa_counters(ends.left)->packets_out, 0);
        assert_int_equal(esp_sa_counters(ends.right)->packets_in, 0);
        assert_int_equal(esp_sa_counters(ends.right)->policy_drops, 0);
        assert_int_equal(esp_sa_counters(ends.right)->last_in_ms, 1);
        ends_free(ends);
    }
}

/* An authentic packet whose decrypted text is `text`, as a peer with faults would send it. */
static enum esp_verdict open_text(const uint8_t *text, size_t length, uint32_t number) {
    struct esp_config config = config_of(every_suite[0], false, 64, false);
    struct esp_sa *sa = sa_of(&config);
    struct error err;
    struct cipher *cipher = cipher_new(config.suite, true, config.key_in, config.integ_in, &err);
    uint8_t packet[ROOM] = {1, 2, 3, 4, 0, 0, 0, (uint8_t)number, 0, 0, 0, 0, 0, 0, 0, 1};
    memcpy(packet + 16, text, length);
    struct cipher_job job = {.aad = packet,
        .aad_length = 8,
        .iv = packet + 8,
        .text = packet + 16,
        .length = length,
        .icv = packet + 16 + length};
    assert_int_equal(cipher_seal(cipher, &job, 1), 1);
    enum esp_verdict verdict = open_one(sa, packet, 16 + length + 16);
    if (verdict == ESP_MALFORMED || verdict == ESP_POLICY)
        assert_int_equal(esp_sa_counters(sa)->policy_drops, 1);
    cipher_free(cipher);
    esp_sa_free(sa);
    return verdict;
}

static void bad_padding_inside_an_authentic_packet_is_malformed(void **state) {
    (void)state;
    uint8_t text[600] = {0};
    make_v4(text, 100, 1, 2, UDP, 1, 2);
    memcpy(text + 100, (const uint8_t[]){1, 2, 2, 4}, 4);
    assert_int_equal(open_text(text, 104, 1), ESP_INNER);
    text[101] = 3; /* not 1, 2 */
    assert_int_equal(open_text(text, 104, 1), ESP_MALFORMED);
    text[101] = 2;
    text[102] = 103; /* longer than all there is */
    assert_int_equal(open_text(text, 104, 1), ESP_MALFORMED);
    text[102] = 255;
    assert_int_equal(open_text(text, 104, 1), ESP_MALFORMED);
    for (size_t i = 0; i < 255; i++)
        text[100 + i] = (uint8_t)(i + 1);
    text[355] = 255; /* as long as can be */
    text[356] = 4;
    assert_int_equal(open_text(text, 357, 1), ESP_INNER);
    text[354] = 0;
    assert_int_equal(open_text(text, 357, 1), ESP_MALFORMED);
    memcpy(text, (const uint8_t[]){0, 4}, 2); /* nothing but a trailer */
    assert_int_equal(open_text(text, 2, 1), ESP_POLICY);
    memcpy(text, (const uint8_t[]){1, 4}, 2);
    assert_int_equal(open_text(text, 2, 1), ESP_MALFORMED);
}

static void transport_mode_carries_any_payload_and_its_protocol(void **state) {
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct esp_config left = config_of(every_suite[i], true, 64, true),
                          right = config_of(every_suite[i], true, 64, false);
        make_transport(&left);
        make_transport(&right);
        struct ends ends = {sa_of(&left), sa_of(&right)};
        uint8_t payload[64];
        memset(payload, 0x45, sizeof payload);
        for (size_t length = 0; length <= sizeof payload; length++)
            there_and_back(ends, payload, length, 6);
        ends_free(ends);
    }
}

static void a_batch_gets_a_verdict_for_each_packet(void **state) {
    (void)state;
    struct ends ends = ends_of(every_suite[0], true, 64);
    uint8_t inner[100], packet[6][ROOM];
    struct esp_open_job job[6];
    for (size_t i = 0; i < 6; i++)
        job[i] = (struct esp_open_job){.packet = packet[i], .length = seal_next(ends.left, packet[i])};
    packet[0][30] ^= 1;
    job[1].length = 20;
    memcpy(packet[3], packet[2], job[2].length);
    job[4].length = seal_one(ends.left, packet[4], NULL, 0, ESP_NEXT_NONE);
    make_v4(inner, sizeof inner, 1, 3, UDP, 1, 2); /* to 10.0.3.1 */
    job[5].length = seal_one(ends.left, packet[5], inner, sizeof inner, ESP_NEXT_IPV4);
    assert_int_equal(esp_open(ends.right, 1, job, 6), 3);
    static const enum esp_verdict expected[] = {
        ESP_FORGED, ESP_MALFORMED, ESP_INNER, ESP_REPLAYED, ESP_DUMMY, ESP_POLICY};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(job[i].verdict, expected[i]);
        assert_int_equal(job[i].inner != NULL, job[i].verdict == ESP_INNER);
    }
    assert_int_equal(esp_open(ends.right, 1, job, 0), 0);
    assert_int_equal(esp_seal(ends.left, NULL, 0), 0);
    ends_free(ends);
}

static void a_configuration_that_cannot_work_is_refused_with_a_sentence(void **state) {
    (void)state;
    struct esp_config good = config_of(every_suite[0], true, 64, true), bad[6] = {good, good, good, good, good, good};
    bad[0].spi_in = 0;
    bad[1].spi_out = 0;
    bad[2].replay_window = 63;
    bad[3].replay_window = 4097;
    bad[4].key_in.length--;
    bad[5].suite.key_bits = 192;
    for (size_t i = 0; i < 6; i++) {
        struct error err = {0};
        assert_null(esp_sa_new(&bad[i], &err));
        assert_int_equal(err.origin, ORIGIN_OURS);
        assert_true(strlen(err.text) > 10);
    }
    struct esp_sa *sa = sa_of(&good);
    assert_int_equal(esp_sa_spi_in(sa), good.spi_in);
    assert_int_equal(esp_sa_spi_out(sa), good.spi_out);
    esp_sa_free(sa);
    esp_sa_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(esp_seals_the_packet_of_rfc7634),
        cmocka_unit_test(esp_opens_a_published_gcm_packet_with_an_extended_number),
        cmocka_unit_test(with_esn_the_upper_half_is_authenticated_behind_the_text),
        cmocka_unit_test(every_suite_carries_packets_of_every_length),
        cmocka_unit_test(sealed_packets_end_on_the_boundary_their_cipher_asks_for),
        cmocka_unit_test(no_two_packets_share_an_iv_and_cbc_ivs_look_random),
        cmocka_unit_test(every_flipped_bit_is_noticed),
        cmocka_unit_test(a_packet_cut_anywhere_or_lengthened_is_refused),
        cmocka_unit_test(random_octets_are_never_taken_for_a_packet),
        cmocka_unit_test(tfc_padding_behind_the_inner_packet_is_cut_off),
        cmocka_unit_test(a_dummy_packet_is_authentic_and_counts_for_nothing),
        cmocka_unit_test(bad_padding_inside_an_authentic_packet_is_malformed),
        cmocka_unit_test(transport_mode_carries_any_payload_and_its_protocol),
        cmocka_unit_test(a_batch_gets_a_verdict_for_each_packet),
        cmocka_unit_test(a_configuration_that_cannot_work_is_refused_with_a_sentence),
    };
    return over_every_library(tests);
}
