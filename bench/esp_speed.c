/* esp_speed.c: how fast esp/ seals and opens batches of 1,400-octet packets over each library, beside libcrypto's AEADs
 * alone on the same octets. One thread's CPU time, best batch and mean: nanoseconds per packet and Gbit/s of inner octets.
 * Not a test.
 *
 * usage: esp_speed [--library=fastest|libcrypto|ipsec-mb|ipsec-mb-avx2]     without: one after the other */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "esp/esp.h"

#define BATCH ((size_t)45) /* a 64 KiB burst of the TUN */
#define INNER ((size_t)1400)
#define ROOM ((size_t)1600)
#define ROUNDS 3000

static uint8_t packet[BATCH][ROOM];

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct timing {
    double best, sum; /* of batches, ns */
};

static void timing_add(struct timing *t, double ns) {
    if (t->sum == 0 || ns < t->best)
        t->best = ns;
    t->sum += ns;
}

static void report(const char *name, const char *what, const struct timing *t) {
    double best = t->best / (double)BATCH, mean = t->sum / (double)(BATCH * ROUNDS);
    printf("%-38s %-5s best %5.0f ns/packet %6.2f Gbit/s, mean %5.0f ns\n", name, what, best, (double)INNER * 8 / best,
        mean);
}

static void die(const char *what) {
    fprintf(stderr, "esp_speed: %s\n", what);
    exit(1);
}

/* An IPv4 UDP packet from 10.0.1.1 to 10.0.2.1. */
static void inner_packet(uint8_t *at) {
    static const uint8_t header[28] = {0x45, 0, INNER >> 8, INNER & 255, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 1, 1, 10, 0,
        2, 1, 0x13, 0x88, 0x13, 0x89, (INNER - 20) >> 8, (INNER - 20) & 255};
    memset(at, 0x5a, INNER);
    memcpy(at, header, sizeof header);
}

static struct esp_sa *sa_new(struct cipher_suite suite, bool sender) {
    static const uint8_t key[CIPHER_KEY_MAX] = {1, 2, 3}, integ[INTEG_KEY_MAX] = {4, 5, 6};
    struct prefix left, right;
    struct error err;
    if (!prefix_parse("10.0.1.0/24", &left, &err) || !prefix_parse("10.0.2.0/24", &right, &err))
        die(err.text);
    struct span k = span_of(key, cipher_key_length(suite)), i = span_of(integ, cipher_integ_length(suite));
    struct esp_config config = {.spi_in = 0x1001,
        .spi_out = 0x1001,
        .suite = suite,
        .key_in = k,
        .key_out = k,
        .integ_in = i,
        .integ_out = i,
        .esn = true,
        .replay_window = 1024};
    config.local.count = config.remote.count = 1;
    config.local.selector[0] = selector_of_prefix(sender ? &left : &right);
    config.remote.selector[0] = selector_of_prefix(sender ? &right : &left);
    struct esp_sa *sa = esp_sa_new(&config, &err);
    if (sa == NULL)
        die(err.text);
    return sa;
}

static void seal_batch(struct esp_sa *sa, struct esp_seal_job *job) {
    for (size_t i = 0; i < BATCH; i++)
        job[i] = (struct esp_seal_job){.packet = packet[i], .inner = INNER, .next_header = 4};
    if (esp_seal(sa, job, BATCH) != BATCH)
        die("a packet was not sealed");
}

static void open_batch(struct esp_sa *sa, const struct esp_seal_job *sealed) {
    struct esp_open_job job[BATCH];
    for (size_t i = 0; i < BATCH; i++)
        job[i] = (struct esp_open_job){.packet = sealed[i].packet, .length = sealed[i].length};
    if (esp_open(sa, 1, job, BATCH) != BATCH || job[BATCH - 1].verdict != ESP_INNER)
        die("a packet was not opened");
}

static const struct {
    const char *name;
    enum cipher_library library;
} libraries[] = {{"libcrypto", CIPHER_LIBCRYPTO}, {"ipsec-mb", CIPHER_IPSEC_MB},
    {"ipsec-mb-avx2", CIPHER_IPSEC_MB_AVX2}, {"fastest", CIPHER_FASTEST}};
#define LIBRARIES (sizeof libraries / sizeof libraries[0])

static void measure(const char *name, struct cipher_suite suite) {
    struct esp_sa *sender = sa_new(suite, true), *receiver = sa_new(suite, false);
    struct esp_seal_job sealed[BATCH];
    struct timing sealing = {0}, opening = {0};
    for (size_t i = 0; i < BATCH; i++)
        inner_packet(packet[i] + esp_seal_offset(sender));
    for (size_t round = 0; round < ROUNDS; round++) {
        double t0 = now_ns();
        seal_batch(sender, sealed);
        double t1 = now_ns();
        open_batch(receiver, sealed);
        double t2 = now_ns();
        timing_add(&sealing, t1 - t0);
        timing_add(&opening, t2 - t1);
    }
    report(name, "seal", &sealing);
    report(name, "open", &opening);
    esp_sa_free(sender);
    esp_sa_free(receiver);
}

/* libcrypto alone: an AEAD's calls for a packet and nothing else. */
static void raw(const char *name, const EVP_CIPHER *cipher) {
    static const uint8_t key[32] = {1, 2, 3};
    uint8_t nonce[12] = {0}, tag[16];
    int n;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context == NULL || EVP_EncryptInit_ex(context, cipher, NULL, key, nonce) != 1)
        die("libcrypto");
    struct timing sealing = {0};
    for (size_t round = 0; round < ROUNDS; round++) {
        double t0 = now_ns();
        for (size_t i = 0; i < BATCH; i++) {
            memcpy(nonce, &round, 8);
            memcpy(nonce + 8, &i, 4);
            if (EVP_EncryptInit_ex(context, NULL, NULL, NULL, nonce) != 1 ||
                EVP_EncryptUpdate(context, NULL, &n, packet[i], 12) != 1 ||
                EVP_EncryptUpdate(context, packet[i] + 16, &n, packet[i] + 16, INNER + 4) != 1 ||
                EVP_EncryptFinal_ex(context, tag, &n) != 1 ||
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag) != 1)
                die("libcrypto");
        }
        timing_add(&sealing, now_ns() - t0);
    }
    report(name, "seal", &sealing);
    EVP_CIPHER_CTX_free(context);
}

static void measure_library(size_t which) {
    static const struct {
        const char *name;
        struct cipher_suite suite;
    } suites[] = {{"AES_GCM_16-128", {ENCR_AES_GCM_16, 128, AUTH_NONE}},
        {"AES_GCM_16-256", {ENCR_AES_GCM_16, 256, AUTH_NONE}},
        {"CHACHA20_POLY1305", {ENCR_CHACHA20_POLY1305, 0, AUTH_NONE}},
        {"AES_CBC-128 SHA2_256_128", {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128}},
        {"AES_CBC-256 SHA2_512_256", {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_512_256}}};
    cipher_library_choose(libraries[which].library);
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s %s", libraries[which].name, suites[i].name);
        if (cipher_library_runs(libraries[which].library, suites[i].suite))
            measure(name, suites[i].suite);
    }
}

int main(int count, char **word) {
    const char *wish = count == 2 && strncmp(word[1], "--library=", 10) == 0 ? word[1] + 10 : NULL;
    if (count > 1 && wish == NULL)
        die("usage: esp_speed [--library=fastest|libcrypto|ipsec-mb|ipsec-mb-avx2]");
    if (wish == NULL) {
        raw("libcrypto alone AES-128-GCM", EVP_aes_128_gcm());
        raw("libcrypto alone ChaCha20-Poly1305", EVP_chacha20_poly1305());
    }
    for (size_t i = 0; i < LIBRARIES; i++)
        if (wish == NULL ? libraries[i].library != CIPHER_FASTEST : strcmp(wish, libraries[i].name) == 0)
            measure_library(i);
    return 0;
}
