/* algorithms.c: ike= and esp= in Libreswan's spelling and in strongSwan's; what they become as proposals. */
#include "helper.h"

/* "ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 ...", proposals after a bar; a static buffer. */
static const char *proposals_text(const struct proposal_list *list) {
    static char out[8192];
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        assert_int_equal(list->proposal[i].number, i + 1);
        used += (size_t)snprintf(out + used, sizeof out - used, "%s", i ? " | " : "");
        for (size_t j = 0; j < list->proposal[i].transforms; j++) {
            const struct transform *t = &list->proposal[i].transform[j];
            char name[IANA_NAME_MAX];
            used += (size_t)snprintf(
                out + used, sizeof out - used, "%s%s", j ? " " : "", transform_text(t->type, t->id, t->key_bits, name));
        }
    }
    return out;
}

static const char *ike_of(const char *value) {
    char more[300];
    snprintf(more, sizeof more, "\tike=\"%s\"\n", value);
    struct config *config = meaning(conn_with(more));
    assert_int_equal(config->connection[0].ike.proposal[0].protocol, PROTOCOL_IKE);
    const char *text = proposals_text(&config->connection[0].ike);
    config_free(config);
    return text;
}

static const char *esp_of(const char *value, const char *further) {
    char more[300];
    snprintf(more, sizeof more, "\tesp=\"%s\"\n\tesn=no\n%s", value, further);
    struct config *config = meaning(conn_with(more));
    assert_int_equal(config->connection[0].esp.proposal[0].protocol, PROTOCOL_ESP);
    const char *text = proposals_text(&config->connection[0].esp);
    config_free(config);
    return text;
}

#define G "KE_CURVE25519 KE_ECP_256 KE_ECP_384 KE_ECP_521 KE_CURVE448 KE_MODP_2048 KE_MODP_3072 KE_MODP_4096"
#define P "PRF_HMAC_SHA2_512 PRF_HMAC_SHA2_256 PRF_HMAC_SHA2_384"
#define I "AUTH_HMAC_SHA2_512_256 AUTH_HMAC_SHA2_256_128 AUTH_HMAC_SHA2_384_192"

static void the_default_lists_put_fast_and_strong_first(void **state) {
    (void)state;
    struct config *config = meaning(conn_with(""));
    assert_string_equal(proposals_text(&config->connection[0].ike),
        "ENCR_AES_GCM_16-256 " P " " G " | ENCR_AES_GCM_16-128 " P " " G " | ENCR_CHACHA20_POLY1305 " P " " G
        " | ENCR_AES_CBC-256 " P " " I " " G " | ENCR_AES_CBC-128 " P " " I " " G);
    assert_string_equal(proposals_text(&config->connection[0].esp),
        "ENCR_AES_GCM_16-256 ESN_YES ESN_NO | ENCR_AES_GCM_16-128 ESN_YES ESN_NO | ENCR_CHACHA20_POLY1305 ESN_YES "
        "ESN_NO | "
        "ENCR_AES_CBC-256 AUTH_HMAC_SHA2_512_256 AUTH_HMAC_SHA2_256_128 ESN_YES ESN_NO | "
        "ENCR_AES_CBC-128 AUTH_HMAC_SHA2_512_256 AUTH_HMAC_SHA2_256_128 ESN_YES ESN_NO");
    config_free(config);
}

static void ike_lines_become_proposals(void **state) {
    (void)state;
    static const struct {
        const char *line, *proposals;
    } rows[] = {
        /* Libreswan's */
        {"aes_gcm256-sha2_256-dh19", "ENCR_AES_GCM_16-256 PRF_HMAC_SHA2_256 KE_ECP_256"},
        {"aes256-sha2_512;modp4096", "ENCR_AES_CBC-256 PRF_HMAC_SHA2_512 AUTH_HMAC_SHA2_512_256 KE_MODP_4096"},
        {"aes-sha2;dh14", "ENCR_AES_CBC-256 ENCR_AES_CBC-128 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_MODP_2048"},
        {"aes-256-sha2;dh14", "ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_MODP_2048"},
        {"aes_gcm-sha2;dh31", "ENCR_AES_GCM_16-256 ENCR_AES_GCM_16-128 PRF_HMAC_SHA2_256 KE_CURVE25519"},
        {"aes_gcm_16_128-sha2_384;dh20", "ENCR_AES_GCM_16-128 PRF_HMAC_SHA2_384 KE_ECP_384"},
        {"aes_gcm_c_256-none-sha2_384;dh21", "ENCR_AES_GCM_16-256 PRF_HMAC_SHA2_384 KE_ECP_521"},
        {"AES_CBC_128-HMAC_SHA2_256-MODP3072",
            "ENCR_AES_CBC-128 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_MODP_3072"},
        {"chacha20_poly1305-sha2_512-dh16", "ENCR_CHACHA20_POLY1305 PRF_HMAC_SHA2_512 KE_MODP_4096"},
        {"aes128+aes256-sha2_256+sha2_512-dh19+dh20",
            "ENCR_AES_CBC-128 ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 PRF_HMAC_SHA2_512 AUTH_HMAC_SHA2_256_128 "
            "AUTH_HMAC_SHA2_512_256 KE_ECP_256 KE_ECP_384"},
        {"aes128-hmac_sha2_256_128-sha2_512-dh19",
            "ENCR_AES_CBC-128 PRF_HMAC_SHA2_512 AUTH_HMAC_SHA2_256_128 KE_ECP_256"},
        {"aes256-sha2_256;dh15, aes_gcm256-sha2_256;dh15",
            "ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_MODP_3072 | ENCR_AES_GCM_16-256 "
            "PRF_HMAC_SHA2_256 KE_MODP_3072"},
        {"aes", "ENCR_AES_CBC-256 ENCR_AES_CBC-128 " P " " I " " G},
        {"aes_gcm128", "ENCR_AES_GCM_16-128 " P " " G},
        /* AEADs never share a proposal with others */
        {"aes256+aes_gcm256+chacha20_poly1305-sha2_256;dh19",
            "ENCR_AES_GCM_16-256 ENCR_CHACHA20_POLY1305 PRF_HMAC_SHA2_256 KE_ECP_256 | "
            "ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_ECP_256"},
        /* strongSwan's */
        {"aes256gcm16-prfsha256-ecp256", "ENCR_AES_GCM_16-256 PRF_HMAC_SHA2_256 KE_ECP_256"},
        {"aes128gcm128-prfsha384-ecp384!", "ENCR_AES_GCM_16-128 PRF_HMAC_SHA2_384 KE_ECP_384"},
        {"chacha20poly1305-prfsha512-x25519", "ENCR_CHACHA20_POLY1305 PRF_HMAC_SHA2_512 KE_CURVE25519"},
        {"aes128-aes256-sha256-sha384-curve25519-x448-modp2048",
            "ENCR_AES_CBC-128 ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 PRF_HMAC_SHA2_384 AUTH_HMAC_SHA2_256_128 "
            "AUTH_HMAC_SHA2_384_192 KE_CURVE25519 KE_CURVE448 KE_MODP_2048"},
        {"aes256-sha256-prfsha512-ecp521", "ENCR_AES_CBC-256 PRF_HMAC_SHA2_512 AUTH_HMAC_SHA2_256_128 KE_ECP_521"},
        /* said twice is once */
        {"aes256+aes256-sha2+sha256;dh19+ecp256,aes256-sha2;dh19",
            "ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_ECP_256"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(ike_of(rows[i].line), rows[i].proposals) != 0)
            wrong("%s:\n%s\ninstead of\n%s", rows[i].line, ike_of(rows[i].line), rows[i].proposals);
}

static void esp_lines_become_proposals(void **state) {
    (void)state;
    static const struct {
        const char *line, *proposals;
    } rows[] = {
        {"aes_gcm256", "ENCR_AES_GCM_16-256 ESN_NO"},
        {"aes_gcm-null", "ENCR_AES_GCM_16-256 ENCR_AES_GCM_16-128 ESN_NO"},
        {"aes_gcm256-none;dh19", "ENCR_AES_GCM_16-256 KE_ECP_256 ESN_NO"},
        {"aes128-sha2_512-dh14+dh19", "ENCR_AES_CBC-128 AUTH_HMAC_SHA2_512_256 KE_MODP_2048 KE_ECP_256 ESN_NO"},
        {"aes_gcm,aes128+aes256-sha2_512+sha2_256",
            "ENCR_AES_GCM_16-256 ENCR_AES_GCM_16-128 ESN_NO | "
            "ENCR_AES_CBC-128 ENCR_AES_CBC-256 AUTH_HMAC_SHA2_512_256 AUTH_HMAC_SHA2_256_128 ESN_NO"},
        {"aes", "ENCR_AES_CBC-256 ENCR_AES_CBC-128 AUTH_HMAC_SHA2_512_256 AUTH_HMAC_SHA2_256_128 ESN_NO"},
        {"aes256gcm16-ecp256,aes128-sha256-modp2048",
            "ENCR_AES_GCM_16-256 KE_ECP_256 ESN_NO | ENCR_AES_CBC-128 AUTH_HMAC_SHA2_256_128 KE_MODP_2048 ESN_NO"},
        {"chacha20poly1305", "ENCR_CHACHA20_POLY1305 ESN_NO"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(esp_of(rows[i].line, ""), rows[i].proposals) != 0)
            wrong("%s:\n%s\ninstead of\n%s", rows[i].line, esp_of(rows[i].line, ""), rows[i].proposals);
    assert_string_equal(esp_of("aes_gcm256;dh19", "\tpfs=no\n"), "ENCR_AES_GCM_16-256 ESN_NO");
}

static void every_spelling_of_an_algorithm_is_known(void **state) {
    (void)state;
    static const struct {
        const char *names, *transform; /* in the place of the cipher, the hash or the group of aes256-sha2_256;dh19 */
    } rows[] = {
        {"aes256 aes_256 aes_cbc256 aes_cbc_256 aescbc256", "ENCR_AES_CBC-256"},
        {"aes128 aes_128 aes_cbc128", "ENCR_AES_CBC-128"},
        {"aes_gcm256 aes_gcm_256 aes_gcm_16_256 aes_gcm_c256 aesgcm256 aes256gcm16 aes256gcm128 aes256gcm",
            "ENCR_AES_GCM_16-256"},
        {"aes_gcm128 aes_gcm_16_128 aes128gcm16 aes128gcm128 aes128gcm", "ENCR_AES_GCM_16-128"},
        {"chacha20_poly1305 chacha20poly1305", "ENCR_CHACHA20_POLY1305"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char names[200], *at = names;
        strcpy(names, rows[i].names);
        for (char *name = strsep(&at, " "); name; name = strsep(&at, " ")) {
            char line[100], *text = strdup(ike_of((snprintf(line, sizeof line, "%s-sha2_256;dh19", name), line)));
            assert_memory_equal(text, rows[i].transform, strlen(rows[i].transform));
            free(text);
        }
    }
    static const char *const hashes[] = {"sha2", "sha256", "sha2_256", "hmac_sha2_256", "hmac_sha256"};
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        char line[100];
        snprintf(line, sizeof line, "aes256-%s;dh19", hashes[i]);
        assert_string_equal(ike_of(line), "ENCR_AES_CBC-256 PRF_HMAC_SHA2_256 AUTH_HMAC_SHA2_256_128 KE_ECP_256");
    }
    static const char *const groups[][2] = {{"dh14", "KE_MODP_2048"}, {"modp2048", "KE_MODP_2048"},
        {"dh15", "KE_MODP_3072"}, {"modp3072", "KE_MODP_3072"}, {"dh16", "KE_MODP_4096"}, {"modp4096", "KE_MODP_4096"},
        {"dh19", "KE_ECP_256"}, {"ecp256", "KE_ECP_256"}, {"ecp_256", "KE_ECP_256"}, {"dh20", "KE_ECP_384"},
        {"ecp384", "KE_ECP_384"}, {"dh21", "KE_ECP_521"}, {"ecp521", "KE_ECP_521"}, {"dh31", "KE_CURVE25519"},
        {"curve25519", "KE_CURVE25519"}, {"x25519", "KE_CURVE25519"}, {"dh32", "KE_CURVE448"},
        {"curve448", "KE_CURVE448"}, {"x448", "KE_CURVE448"}};
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        char line[100], expected[100];
        snprintf(line, sizeof line, "aes_gcm256-sha2_256;%s", groups[i][0]);
        snprintf(expected, sizeof expected, "ENCR_AES_GCM_16-256 PRF_HMAC_SHA2_256 %s", groups[i][1]);
        assert_string_equal(ike_of(line), expected);
    }
}

static void weak_and_missing_algorithms_are_errors_that_say_so(void **state) {
    (void)state;
    static const char *const weak[] = {"3des", "3des-md5;modp1024", "aes256-md5;dh19", "aes256-sha1;dh19",
        "aes256-sha;dh19", "aes256-sha2;modp1024", "aes256-sha2;modp1536", "aes256-sha2;dh2", "aes256-sha2;dh5",
        "aes256-sha2;dh22", "aes256-sha2;dh23", "aes256-sha2;dh24", "aes_gcm_8_256", "aes_gcm_12", "aes256gcm8", "des",
        "aes256-sha2;ecp192"};
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        char more[100];
        snprintf(more, sizeof more, "\tike=%s\n", weak[i]);
        assert_non_null(strstr(said(conn_with(more)), "is too weak to be used (RFC 8221, RFC 8247); write "));
    }
    static const char *const missing[] = {"aes_ctr", "aes_ccm256", "camellia256", "aes256-sha2;dh18",
        "aes256-sha2;modp6144", "aes256-aes_xcbc", "aes256-sha2;ecp256bp", "twofish", "serpent128"};
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        char more[100];
        snprintf(more, sizeof more, "\tike=%s\n", missing[i]);
        assert_non_null(strstr(said(conn_with(more)), "is not done by iketcp; write "));
    }
}

static void each_error_says_where_and_what(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"ike=aes256-sha265", "f:6:13: 'sha265' is no algorithm that iketcp knows; did you mean 'sha256'?\n"},
        {"ike=qqqqqqqq", "f:6:6: 'qqqqqqqq' is no algorithm that iketcp knows; iketcp.conf(5) lists them\n"},
        {"ike=aes256,", "f:6:13: '' is no algorithm: one is missing here\n"},
        {"ike=aes256--dh19", "f:6:13: '' is no algorithm: one is missing here\n"},
        {"ike=sha2_256", "f:6:6: 'sha2_256' names no cipher; write such as aes_gcm256-sha2_256;dh19\n"},
        {"ike=aes192-sha2", "f:6:6: 'aes192' is AES with a key of 192 bits, which is not done; write 256 or 128\n"},
        {"ike=aes-512", "f:6:6: 'aes-512' has no such key size; write 256 or 128\n"},
        {"ike=null-sha2", "f:6:6: 'null' would leave everything unencrypted; write aes_gcm256 or aes256-sha2_256\n"},
        {"ike=aes256-none", "f:6:13: 'none' leaves aes without integrity; write sha2_256, or take aes_gcm\n"},
        {"ike=aes_gcm256-sha2;none", "f:6:22: 'none' is no group; to do without one in ESP write pfs=no\n"},
        {"ike=aes_gcm256-sha2;dh0", "f:6:22: 'dh0' is no group; to do without one in ESP write pfs=no\n"},
        {"ike=aes_gcm256-sha2_256_128",
            "f:6:17: 'sha2_256_128' is too much: AES-GCM and ChaCha20-Poly1305 bring their own integrity\n"},
        {"esp=aes_gcm256-sha2_256",
            "f:6:17: 'sha2_256' is too much: AES-GCM and ChaCha20-Poly1305 bring their own integrity\n"},
        {"esp=aes256-prfsha256", "f:6:13: 'prfsha256' is a PRF, which esp= has none of; it belongs into ike=\n"},
        {"esp=aes256gcm16-esn", "f:6:18: 'esn' is not done by iketcp; write esn=yes on a line of its own\n"},
        {"esp=aes_gcm256;dh19,aes256",
            "f:6:6: either all or none of the proposals name a group; without one, that of the IKE SA is taken\n"},
        {"ike=\"3des, aes256-md5\"",
            "f:6:7: '3des' is too weak to be used (RFC 8221, RFC 8247); write aes_gcm256, aes_gcm128, "
            "chacha20_poly1305, aes256 or aes128\n"
            "f:6:20: 'md5' is too weak to be used (RFC 8221, RFC 8247); write sha2_256, sha2_384 or sha2_512\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char more[200];
        snprintf(more, sizeof more, "\t%s\n", rows[i].line);
        const char *says = said(conn_with(more));
        if (strcmp(says, rows[i].says) != 0)
            wrong("%s:\n%sinstead of\n%s", rows[i].line, says, rows[i].says);
    }
    assert_string_equal(said(conn_with("\tpfs=no\n\tesp=aes_gcm256;dh19\n")),
        "f:7:6: warning: the groups in esp= are ignored, since pfs=no\n");
}

static void too_long_lists_end_with_a_sentence(void **state) {
    (void)state;
    char more[4000] = "\tike=aes256-sha2;dh19";
    static const char *const groups[] = {"dh14", "dh15", "dh16", "dh19", "dh20", "dh21", "dh31"};
    for (size_t i = 0; i < 49; i++)
        snprintf(more + strlen(more), sizeof more - strlen(more), ",aes128-sha2;%s+%s", groups[i / 7], groups[i % 7]);
    strcat(more, "\n");
    assert_non_null(strstr(said(conn_with(more)), "is one proposal too many (24 at most)\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_lists_put_fast_and_strong_first),
        cmocka_unit_test(ike_lines_become_proposals),
        cmocka_unit_test(esp_lines_become_proposals),
        cmocka_unit_test(every_spelling_of_an_algorithm_is_known),
        cmocka_unit_test(weak_and_missing_algorithms_are_errors_that_say_so),
        cmocka_unit_test(each_error_says_where_and_what),
        cmocka_unit_test(too_long_lists_end_with_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
