/* Keys as Wireshark reads them: one line for an IKE SA, one for each direction and family of ESP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "daemon/engine/internal.h"
#undef fail /* cmocka has one of its own */
#include <cmocka.h>

static struct peer_secrets secrets_of(bool esp, uint16_t encr, uint16_t bits, uint16_t integ) {
    struct peer_secrets s = {.esp = esp,
        .keys = {.spi_i = esp ? 0xc0ffee01 : 0x0102030405060708,
            .spi_r = esp ? 0xa2 : 0x1112131415161718,
            .suite = {.encr = encr, .key_bits = bits, .integ = integ}}};
    memset(s.keys.encr_i, 0xe1, sizeof s.keys.encr_i);
    memset(s.keys.encr_r, 0xe2, sizeof s.keys.encr_r);
    memset(s.keys.integ_i, 0xa1, sizeof s.keys.integ_i);
    memset(s.keys.integ_r, 0xa2, sizeof s.keys.integ_r);
    return s;
}

static void an_ike_sa_with_an_aead_has_keys_with_salt_and_no_integrity(void **state) {
    (void)state;
    char lines[KEYLOG_LINES_MAX];
    struct peer_secrets s = secrets_of(false, ENCR_AES_GCM_16, 128, 0);
    keylog_lines(&s, lines);
    assert_string_equal(lines,
        "0102030405060708,1112131415161718,e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1,"
        "e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2,\"AES-GCM-128 with 16 octet ICV [RFC5282]\",,,\"NONE [RFC4306]\"\n");
}

static void esp_with_cbc_has_four_lines_each_with_both_keys(void **state) {
    (void)state;
    char lines[KEYLOG_LINES_MAX];
    struct peer_secrets s = secrets_of(true, ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128);
    keylog_lines(&s, lines);
    static const char first[] =
        "\"IPv4\",\"*\",\"*\",\"0xc0ffee01\",\"AES-CBC [RFC3602]\",\"0xe1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1\","
        "\"HMAC-SHA-256-128 [RFC4868]\",\"0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\"\n";
    assert_memory_equal(lines, first, sizeof first - 1);
    size_t count = 0;
    for (const char *at = lines; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    assert_int_equal(count, 4);
    assert_non_null(strstr(lines, "\"IPv6\",\"*\",\"*\",\"0x000000a2\",\"AES-CBC [RFC3602]\",\"0xe2"));
}

static void the_longest_keys_fit_with_all_their_lines(void **state) {
    (void)state;
    char lines[KEYLOG_LINES_MAX];
    struct peer_secrets s = secrets_of(true, ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_512_256);
    keylog_lines(&s, lines);
    assert_true(strlen(lines) + 1 < sizeof lines);
    assert_int_equal(lines[strlen(lines) - 1], '\n');
    s.esp = false;
    keylog_lines(&s, lines);
    assert_true(strlen(lines) + 1 < sizeof lines);
}

static void what_wireshark_can_not_decrypt_is_left_out(void **state) {
    (void)state;
    char lines[KEYLOG_LINES_MAX] = "?";
    struct peer_secrets s = secrets_of(true, ENCR_CHACHA20_POLY1305, 0, 0);
    keylog_lines(&s, lines);
    assert_string_equal(lines, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ike_sa_with_an_aead_has_keys_with_salt_and_no_integrity),
        cmocka_unit_test(esp_with_cbc_has_four_lines_each_with_both_keys),
        cmocka_unit_test(the_longest_keys_fit_with_all_their_lines),
        cmocka_unit_test(what_wireshark_can_not_decrypt_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
