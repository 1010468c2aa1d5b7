/* keylog.c: the keys of each SA as a line of ikev2_decryption_table and esp_sa, which Wireshark reads. The monitor opens the
 * files; nothing is written unless keylog= says so. */
#include "daemon/engine/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Names as Wireshark has them. Its lists have no ChaCha20-Poly1305. */
static const struct algorithm_name {
    uint16_t id, bits; /* bits 0: any */
    const char *ike, *esp;
} ciphers[] =
    {
        {ENCR_AES_GCM_16, 128, "AES-GCM-128 with 16 octet ICV [RFC5282]", "AES-GCM with 16 octet ICV [RFC4106]"},
        {ENCR_AES_GCM_16, 256, "AES-GCM-256 with 16 octet ICV [RFC5282]", "AES-GCM with 16 octet ICV [RFC4106]"},
        {ENCR_AES_CBC, 128, "AES-CBC-128 [RFC3602]", "AES-CBC [RFC3602]"},
        {ENCR_AES_CBC, 256, "AES-CBC-256 [RFC3602]", "AES-CBC [RFC3602]"},
},
  macs[] = {
      {0, 0, "NONE [RFC4306]", "NULL"},
      {AUTH_HMAC_SHA2_256_128, 0, "HMAC_SHA2_256_128 [RFC4868]", "HMAC-SHA-256-128 [RFC4868]"},
      {AUTH_HMAC_SHA2_384_192, 0, "HMAC_SHA2_384_192 [RFC4868]", "HMAC-SHA-384-192 [RFC4868]"},
      {AUTH_HMAC_SHA2_512_256, 0, "HMAC_SHA2_512_256 [RFC4868]", "HMAC-SHA-512-256 [RFC4868]"},
};

static const struct algorithm_name *find(const struct algorithm_name *list, size_t count, uint16_t id, uint16_t bits) {
    for (size_t i = 0; i < count; i++)
        if (list[i].id == id && (list[i].bits == 0 || list[i].bits == bits))
            return &list[i];
    return NULL;
}

#define HEX_MAX (2 * INTEG_KEY_MAX + 1)
_Static_assert(INTEG_KEY_MAX >= CIPHER_KEY_MAX, "HEX_MAX holds both");

static const char *hex(const uint8_t *octets, size_t length, char out[HEX_MAX]) {
    for (size_t i = 0; i < length; i++)
        snprintf(out + 2 * i, 3, "%02x", octets[i]);
    out[2 * length] = 0;
    return out;
}

/* Whatever the outer addresses are, now or after a move: SPIs are enough. */
static void esp_lines(const struct ike_secrets *k, const char *cipher, const char *mac, char *out) {
    char encr[HEX_MAX], integ[HEX_MAX];
    size_t encr_length = cipher_key_length(k->suite), integ_length = cipher_integ_length(k->suite), used = 0;
    for (int i = 0; i < 4; i++) {
        bool in = i < 2;
        int length = snprintf(out + used, KEYLOG_LINES_MAX - used,
            "\"IPv%d\",\"*\",\"*\",\"0x%08llx\",\"%s\",\"0x%s\",\"%s\",\"%s%s\"\n", i % 2 == 0 ? 4 : 6,
            (unsigned long long)(in ? k->spi_i : k->spi_r), cipher, hex(in ? k->encr_i : k->encr_r, encr_length, encr),
            mac, integ_length > 0 ? "0x" : "", hex(in ? k->integ_i : k->integ_r, integ_length, integ));
        used += length > 0 ? (size_t)length : 0;
    }
    wipe(encr, sizeof encr);
    wipe(integ, sizeof integ);
}

static void ike_line(const struct ike_secrets *k, const char *cipher, const char *mac, char *out) {
    char encr[2][HEX_MAX], integ[2][HEX_MAX];
    size_t encr_length = cipher_key_length(k->suite), integ_length = cipher_integ_length(k->suite);
    snprintf(out, KEYLOG_LINES_MAX, "%016llx,%016llx,%s,%s,\"%s\",%s,%s,\"%s\"\n", (unsigned long long)k->spi_i,
        (unsigned long long)k->spi_r, hex(k->encr_i, encr_length, encr[0]), hex(k->encr_r, encr_length, encr[1]),
        cipher, hex(k->integ_i, integ_length, integ[0]), hex(k->integ_r, integ_length, integ[1]), mac);
    wipe(encr, sizeof encr);
    wipe(integ, sizeof integ);
}

void keylog_lines(const struct peer_secrets *secrets, char out[KEYLOG_LINES_MAX]) {
    const struct ike_secrets *k = &secrets->keys;
    const struct algorithm_name *cipher =
        find(ciphers, sizeof ciphers / sizeof ciphers[0], k->suite.encr, k->suite.key_bits);
    const struct algorithm_name *mac = find(macs, sizeof macs / sizeof macs[0], k->suite.integ, 0);
    out[0] = 0;
    if (cipher == NULL || mac == NULL)
        return;
    if (secrets->esp)
        esp_lines(k, cipher->esp, mac->esp, out);
    else
        ike_line(k, cipher->ike, mac->ike, out);
}

/* A disk that is full or slow is no reason to stop a tunnel. */
void keylog_write(struct engine *engine, const struct peer_secrets *secrets) {
    char lines[KEYLOG_LINES_MAX];
    int fd = engine->keylog.fd[secrets->esp ? KEYLOG_ESP : KEYLOG_IKE];
    if (fd < 0)
        return;
    keylog_lines(secrets, lines);
    size_t length = strlen(lines);
    if (length == 0)
        log_warning("keylog: Wireshark can't decrypt ChaCha20-Poly1305; the keys of this SA are not written");
    else if (write(fd, lines, length) != (ssize_t)length)
        log_error("keylog: %s", strerror(errno));
    wipe(lines, sizeof lines);
}

/* ---- open and closed ---- */

void keylog_close(struct engine *engine) {
    for (int i = 0; i < 2; i++) {
        if (engine->keylog.fd[i] >= 0)
            close(engine->keylog.fd[i]);
        engine->keylog.fd[i] = -1;
    }
}

static void on_file(void *context, const struct monitor_answer *answer) {
    struct engine *engine = context;
    struct keylog *keylog = &engine->keylog;
    if (answer->error.origin != ORIGIN_NONE) {
        keylog_close(engine);
        keylog->done(engine, &answer->error);
        return;
    }
    keylog->fd[keylog->asked] = answer->fd;
    if (keylog->asked == KEYLOG_ESP) {
        keylog->done(engine, &answer->error);
        return;
    }
    keylog->asked = KEYLOG_ESP;
    monitor_keylog(engine->monitor, KEYLOG_ESP, on_file, engine);
}

void keylog_apply(
    struct engine *engine, const struct config *config, void (*done)(struct engine *, const struct error *)) {
    keylog_close(engine);
    if (config->keylog[0] == 0) {
        done(engine, &(struct error){0});
        return;
    }
    engine->keylog.done = done;
    engine->keylog.asked = KEYLOG_IKE;
    monitor_keylog(engine->monitor, KEYLOG_IKE, on_file, engine);
}
