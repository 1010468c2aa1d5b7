/* mutations.c: texts changed at random, thousands of times, from a fixed seed: parsing ends, leaks nothing, reads nothing
 * it may not (the sanitizers look), and always says why when it gives nothing. SEED and ROUNDS in the environment. */
#include "helper.h"

static const char *const configs[] = {
    "version 2.0\nconfig setup\n\tlisten-tcp=443,4500\n\tuniqueids=yes\nconn "
    "%default\n\tauthby=secret\n\tikelifetime=8h\n"
    "conn base\n\tleft=%defaultroute\n\tleftid=@west\n\talso=more\nconn more\n\tleftsubnets={10.1.0.0/16 10.2.0.0/16}\n"
    "conn west\n\talso=base\n\tright=192.0.2.2 # there\n\trightid=\"@[a group]\"\n\trightsubnets={2001:db8::/32 "
    "10.8.0.0/16}\n"
    "\tike=aes_gcm256-sha2_256-dh19,aes256-sha2_512;modp4096,aes-128+chacha20_poly1305\n\tesp=aes256gcm16-ecp256\n"
    "\tauto=start\n\tsalifetime=60s\n\tretransmit-interval=500ms\n\trekeyfuzz=100%\n",
    "conn c\n\tleft=10.0.0.1\n\tright=%any\n\tauto=add\n\tauthby=secret\n\tesn=no\n\treplay-window=4096\n"
    "\tdpddelay=30\n\tleftsourceip=10.9.9.9\n\tencapsulation=yes\n\ttype=tunnel\n\tx-note=anything\n",
};
static const char *const secret_texts[] = {
    "# keys\n@west @east : PSK \"correct horse battery\"\n192.0.2.1 %any: PSK 0x0123456789abcdef\n"
    "user@example.org @#6b6579\n\t: PSK 0sYSBzZWNyZXQgb2YgZWFzdA==\n: PSK 0tto the end\ninclude other\n",
};
static const char *const words[] = {"=", "\"", "{", "}", "\n", "\n\t", "#", "%", "@", ",", "+", "-", ";", "also=west",
    "conn ", "conn %default\n", "0x", "0s", " : PSK ", "99999999999999999999", "\xff", "aes", "/", ":", "::", "left",
    "\r", "include "};

/* A few changes: octets flipped, removed, doubled, words put in, parts cut out or moved. */
static void mutate(char *text, size_t room, const struct random_source *random) {
    for (uint32_t changes = 1 + random_u32(random) % 6; changes; changes--) {
        size_t length = strlen(text), at = random_u32(random) % (length + 1);
        const char *word = words[random_u32(random) % (sizeof words / sizeof words[0])];
        size_t size = strlen(word), cut = random_u32(random) % 30;
        switch (random_u32(random) % 4) {
        case 0:
            if (at < length)
                text[at] = (char)(1 + random_u32(random) % 255);
            break;
        case 1:
            if (length + size < room) {
                memmove(text + at + size, text + at, length - at + 1);
                memcpy(text + at, word, size);
            }
            break;
        case 2:
            if (at + cut < length)
                memmove(text + at, text + at + cut, length - at - cut + 1);
            break;
        default:
            if (at + cut < length && length + cut < room) {
                memmove(text + at + cut, text + at, length - at + 1);
            }
            break;
        }
    }
}

static uint64_t number_from(const char *variable, uint64_t otherwise) {
    const char *text = getenv(variable);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* An exact allocation, so that a read behind the end is seen. */
static char *mutant_of(const char *text, const struct random_source *random) {
    static char room[8192];
    snprintf(room, sizeof room, "%s", text);
    mutate(room, sizeof room, random);
    return strdup(room);
}

static void mutated_configurations_end_with_a_meaning_or_a_reason(void **state) {
    (void)state;
    uint64_t seed = number_from("SEED", 1), rounds = number_from("ROUNDS", 1500);
    size_t good = 0;
    struct random_source random = random_seeded(&seed);
    for (uint64_t i = 0; i < rounds; i++) {
        char *text = mutant_of(configs[i % 2], &random);
        struct config_source *source = config_source_from_text("f", text);
        struct diagnostics d;
        struct config *config = config_parse(source, &d);
        assert_true((config == NULL) == (d.errors > 0));
        good += config != NULL;
        config_free(config);
        diagnostics_free(&d);
        config_source_free(source);
        free(text);
    }
    assert_true(good > rounds / 50); /* the mutations are not all nonsense */
}

static void mutated_secrets_end_with_keys_or_a_reason(void **state) {
    (void)state;
    uint64_t seed = number_from("SEED", 2), rounds = number_from("ROUNDS", 4000);
    size_t good = 0;
    struct random_source random = random_seeded(&seed);
    for (uint64_t i = 0; i < rounds; i++) {
        char *text = mutant_of(secret_texts[0], &random);
        struct diagnostics d;
        struct secrets *secrets = secrets_parse("s", text, &d);
        assert_true((secrets == NULL) == (d.errors > 0));
        struct identity id = {.type = ID_FQDN, .data = "west", .length = 4};
        struct span psk;
        if (secrets && secrets_psk(secrets, &id, &id, &psk))
            assert_true(psk.length > 0);
        good += secrets != NULL;
        secrets_free(secrets);
        diagnostics_free(&d);
        free(text);
    }
    assert_true(good > rounds / 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutated_configurations_end_with_a_meaning_or_a_reason),
        cmocka_unit_test(mutated_secrets_end_with_keys_or_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
