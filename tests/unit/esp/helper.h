/* helper.h: two ends of a Child SA, and inner packets to send through it. */
#ifndef IKETCP_TEST_ESP_HELPER_H
#define IKETCP_TEST_ESP_HELPER_H

#include "esp/esp.h"
#include "esp/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../crypto/libraries.h"

#define ROOM ((size_t)2048)
#define UDP 17

static const struct cipher_suite every_suite[] = {
    {ENCR_AES_GCM_16, 128, AUTH_NONE},
    {ENCR_AES_GCM_16, 256, AUTH_NONE},
    {ENCR_CHACHA20_POLY1305, 0, AUTH_NONE},
    {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_512_256},
};
#define SUITES (sizeof every_suite / sizeof every_suite[0])

struct ends {
    struct esp_sa *left, *right; /* left: 10.0.1.0/24 and 2001:db8:1::/64; right: 10.0.2.0/24 and 2001:db8:2::/64 */
};

static inline struct selector selector_of(const char *text) {
    struct prefix prefix;
    struct error err;
    assert_true(prefix_parse(text, &prefix, &err));
    return selector_of_prefix(&prefix);
}

static inline struct esp_config config_of(struct cipher_suite suite, bool esn, uint32_t window, bool left) {
    static const uint8_t octets[128] = {
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, [64] = 99, 98, 97, 96, 95, 94, 93};
    size_t key = cipher_key_length(suite), integ = cipher_integ_length(suite);
    struct span to_right = span_of(octets, key), to_left = span_of(octets + 64, key);
    struct span integ_right = span_of(octets + 10, integ), integ_left = span_of(octets + 64, integ);
    struct selector_list l = {.count = 2}, r = {.count = 2};
    l.selector[0] = selector_of("10.0.1.0/24");
    l.selector[1] = selector_of("2001:db8:1::/64");
    r.selector[0] = selector_of("10.0.2.0/24");
    r.selector[1] = selector_of("2001:db8:2::/64");
    return (struct esp_config){
        .spi_in = left ? 0x0a0b0c0d : 0x01020304,
        .spi_out = left ? 0x01020304 : 0x0a0b0c0d,
        .suite = suite,
        .key_in = left ? to_left : to_right,
        .key_out = left ? to_right : to_left,
        .integ_in = left ? integ_left : integ_right,
        .integ_out = left ? integ_right : integ_left,
        .esn = esn,
        .replay_window = window,
        .local = left ? l : r,
        .remote = left ? r : l,
    };
}

/* Between the first host of one network and that of the other. */
static inline void make_transport(struct esp_config *config) {
    config->transport = true;
    config->local.count = config->remote.count = 1;
    config->local.selector[0].last = config->local.selector[0].first;
    config->remote.selector[0].last = config->remote.selector[0].first;
}

static inline struct esp_sa *sa_of(const struct esp_config *config) {
    struct error err = {0};
    struct esp_sa *sa = esp_sa_new(config, &err);
    if (sa == NULL)
        print_error("%s\n", err.text);
    assert_non_null(sa);
    return sa;
}

static inline struct ends ends_of(struct cipher_suite suite, bool esn, uint32_t window) {
    struct esp_config left = config_of(suite, esn, window, true), right = config_of(suite, esn, window, false);
    return (struct ends){sa_of(&left), sa_of(&right)};
}

static inline void ends_free(struct ends ends) {
    esp_sa_free(ends.left);
    esp_sa_free(ends.right);
}

/* An IPv4 packet of `length` (>= 24) octets from 10.0.FROM.1 to 10.0.TO.1. */
static inline void make_v4(uint8_t *at, size_t length, uint8_t from, uint8_t to, uint8_t protocol, uint16_t source_port,
    uint16_t destination_port) {
    const uint8_t header[24] = {0x45, 0, (uint8_t)(length >> 8), (uint8_t)length, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0,
        from, 1, 10, 0, to, 1, (uint8_t)(source_port >> 8), (uint8_t)source_port, (uint8_t)(destination_port >> 8),
        (uint8_t)destination_port};
    memcpy(at, header, sizeof header);
    for (size_t i = sizeof header; i < length; i++)
        at[i] = (uint8_t)(i * 31);
}

/* An IPv6 UDP packet of `length` (>= 48) octets from 2001:db8:FROM::1 to 2001:db8:TO::1. */
static inline void make_v6(uint8_t *at, size_t length, uint8_t from, uint8_t to) {
    const uint8_t header[48] = {0x60, 0, 0, 0, (uint8_t)((length - 40) >> 8), (uint8_t)(length - 40), UDP, 64, 0x20, 1,
        0x0d, 0xb8, 0, from, [23] = 1, [24] = 0x20, 1, 0x0d, 0xb8, 0, to, [39] = 1, [40] = 1, 2, 3, 4};
    memcpy(at, header, sizeof header);
    for (size_t i = sizeof header; i < length; i++)
        at[i] = (uint8_t)(i * 37);
}

/* Seals one packet of `inner` octets that lies at `inner_at`; returns the ESP packet's length. */
static inline size_t seal_one(
    struct esp_sa *sa, uint8_t *packet, const uint8_t *inner_at, size_t inner, uint8_t next_header) {
    assert_true(esp_seal_offset(sa) + inner + esp_seal_trailer_max(sa) <= ROOM);
    if (inner > 0)
        memcpy(packet + esp_seal_offset(sa), inner_at, inner);
    struct esp_seal_job job = {.packet = packet, .inner = inner, .next_header = next_header};
    assert_int_equal(esp_seal(sa, &job, 1), 1);
    return job.length;
}

/* Left's next packet: 100 octets of IPv4 UDP to right. */
static inline size_t seal_next(struct esp_sa *left, uint8_t *packet) {
    uint8_t inner[100];
    make_v4(inner, sizeof inner, 1, 2, UDP, 1000, 2000);
    return seal_one(left, packet, inner, sizeof inner, ESP_NEXT_IPV4);
}

static inline enum esp_verdict open_one(struct esp_sa *sa, uint8_t *packet, size_t length) {
    struct esp_open_job job = {.packet = packet, .length = length};
    size_t fresh = esp_open(sa, 1, &job, 1);
    assert_int_equal(fresh, job.verdict == ESP_INNER || job.verdict == ESP_DUMMY || job.verdict == ESP_POLICY);
    return job.verdict;
}

#endif
