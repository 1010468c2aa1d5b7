/* secrets.c: ipsec.secrets: forms of keys and ids, which key a pair gets, and that nobody else may read the file. */
#include "helper.h"

#include <sys/stat.h>
#include <unistd.h>

static const char *said_about(const char *text) {
    struct diagnostics d;
    struct secrets *secrets = secrets_parse("s", text, &d);
    assert_true((secrets == NULL) == (d.errors > 0));
    secrets_free(secrets);
    return lines_of(&d);
}

static struct secrets *secrets_of(const char *text) {
    struct diagnostics d;
    struct secrets *secrets = secrets_parse("s", text, &d);
    const char *lines = lines_of(&d);
    if (!secrets)
        wrong("%s", lines);
    return secrets;
}

static struct identity name(const char *text) {
    struct identity id = {.type = ID_NONE};
    if (strcmp(text, "%any") == 0)
        return id;
    struct address address;
    struct error err;
    if (address_parse(text, &address, &err)) {
        id.type = address.family == 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR;
        id.length = address_octets(&address);
        memcpy(id.data, address.octets, id.length);
        return id;
    }
    id.type = text[0] == '@' ? ID_FQDN : ID_RFC822_ADDR;
    text += text[0] == '@';
    id.length = strlen(text);
    memcpy(id.data, text, id.length);
    return id;
}

/* The key as text, "" for none; a static buffer. */
static const char *key_for(const struct secrets *secrets, const char *local, const char *remote) {
    static char out[100];
    struct identity us = name(local), them = name(remote);
    struct span psk;
    out[0] = '\0';
    if (secrets_psk(secrets, &us, &them, &psk)) {
        assert_true(psk.length < sizeof out);
        memcpy(out, psk.at, psk.length);
        out[psk.length] = '\0';
    }
    return out;
}

static void keys_come_quoted_in_hex_in_base64_and_as_text(void **state) {
    (void)state;
    static const struct {
        const char *key, *octets;
    } rows[] = {{"\"a secret # with 'blanks' \"", "a secret # with 'blanks' "},
        {"'single \"quotes\"'", "single \"quotes\""}, {"0x6120736563726574", "a secret"}, {"0X", NULL},
        {"0x6120_7365_6372_6574", "a secret"}, {"0sYSBzZWNyZXQgb2YgZWFzdA==", "a secret of east"},
        {"0sYSBzZWNyZXQgb2YgZWFz", "a secret of eas"}, {"0sYSBzZWNyZXQgb2YgZWE=", "a secret of ea"},
        {"0sYSBzZWNyZXQgb2YgZWE", "a secret of ea"}, {"0ta secret # to the end  \t", "a secret # to the end"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "@west @east : PSK %s\n", rows[i].key);
        if (!rows[i].octets) {
            assert_string_not_equal(said_about(text), "");
            continue;
        }
        struct secrets *secrets = secrets_of(text);
        assert_string_equal(key_for(secrets, "@west", "@east"), rows[i].octets);
        assert_string_equal(key_for(secrets, "@east", "@west"), rows[i].octets);
        secrets_free(secrets);
    }
}

static void entries_go_on_on_indented_lines_and_the_colon_may_stick(void **state) {
    (void)state;
    struct secrets *secrets = secrets_of("# comment\n\n@west @east: PSK \"first one\" # comment\n"
                                         "@north\n\t@south # comment\n\n\t:\n\tpsk\n\t\"second one\"\n"
                                         "2001:db8::1 192.0.2.7 : PSK \"third one\"\n: PSK \"fourth one\"");
    assert_string_equal(key_for(secrets, "@west", "@east"), "first one");
    assert_string_equal(key_for(secrets, "@south", "@north"), "second one");
    assert_string_equal(key_for(secrets, "192.0.2.7", "2001:db8::1"), "third one");
    assert_string_equal(key_for(secrets, "@nobody", "@noone"), "fourth one");
    secrets_free(secrets);
}

/* Which of several entries a pair gets: Libreswan's order, row by row. */
static void the_entry_that_fits_best_is_taken(void **state) {
    (void)state;
#define BOTH "@us @them : PSK \"both are named\"\n"
#define OURS_ANY "@us %any : PSK \"ours and any\"\n"
#define OURS "@us : PSK \"ours alone\"\n"
#define THEIRS_ANY "%any @them : PSK \"theirs and any\"\n"
#define ANY "%any : PSK \"any at all\"\n"
#define NONE ": PSK \"no ids at all\"\n"
#define THEIRS "@them : PSK \"theirs alone\"\n"
#define OURS_OTHER "@us @other : PSK \"ours and another\"\n"
    static const struct {
        const char *text, *key;
    } rows[] = {
        {NONE ANY THEIRS_ANY OURS OURS_ANY BOTH THEIRS, "both are named"},
        {BOTH THEIRS OURS_ANY OURS THEIRS_ANY ANY NONE, "both are named"},
        {NONE THEIRS_ANY OURS OURS_ANY THEIRS, "ours and any"},
        {NONE THEIRS_ANY OURS THEIRS, "ours alone"},
        {NONE THEIRS_ANY THEIRS, "theirs and any"},
        {ANY THEIRS NONE, "any at all"}, /* the first of two that fit alike */
        {NONE THEIRS ANY, "no ids at all"},
        {THEIRS, ""}, /* the peer's name alone is no fit */
        {OURS_OTHER, ""}, /* ours, but for another peer */
        {OURS_OTHER NONE, "no ids at all"},
        {"@us @other @them : PSK \"one of three\"\n", "one of three"},
        {"@US.  @Them : PSK \"names disregard case\"\n", "names disregard case"},
        {"us@them : PSK \"a mail address\"\n", ""},
        {"@us @them : PSK \"the first of two\"\n@them @us : PSK \"the second of two\"\n", "the first of two"},
        {"@us @them : XAUTH \"a password\"\n", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct secrets *secrets = secrets_of(rows[i].text);
        const char *key = key_for(secrets, "@us", "@them");
        if (strcmp(key, rows[i].key) != 0)
            wrong("row %zu: '%s' instead of '%s'", i, key, rows[i].key);
        secrets_free(secrets);
    }
    struct secrets *secrets = secrets_of(OURS_ANY OURS_OTHER);
    assert_string_equal(key_for(secrets, "@us", "%any"), "ours and any"); /* a peer not known yet */
    secrets_free(secrets);
}

static void each_error_says_where_and_what_and_never_the_key(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"  @west : PSK \"hush hush\"\n",
            "s:1:3: an entry begins in the first column; indented lines go on with one\n"},
        {"@west @east\n", "s:1:1: an entry is 'id id : PSK \"...\"'; the colon is missing\n"},
        {"@west @east\n@a : PSK \"hush hush\"\n", "s:1:1: an entry is 'id id : PSK \"...\"'; the colon is missing\n"},
        {"@west @east\n: PSK \"hush hush\"\n", "s:1:1: an entry is 'id id : PSK \"...\"'; the colon is missing\n"},
        {"@west :\n", "s:1:7: after the colon comes PSK\n"},
        {"@west :\n@east : PSK \"hush hush\"\n", "s:1:7: after the colon comes PSK\n"},
        {"@west : hush\n", "s:1:9: after the colon comes PSK\n"},
        {"@west : PSK\n", "s:1:9: after PSK comes the key, in double quotes\n"},
        {"@west : PSK\n@east : PSK \"hush hush\"\n", "s:1:9: after PSK comes the key, in double quotes\n"},
        {"@west : PSK hush\n",
            "s:1:13: a key stands in double quotes, or begins with 0x (hex), 0s (base64) or 0t (text)\n"},
        {"@west : PSK \"hush\n", "s:1:13: the closing quote is missing on this line\n"},
        {"@west : PSK \"\"\n", "s:1:13: the key is empty\n"},
        {"@west : PSK 0xhush\n", "s:1:13: after 0x come hex digits\n"},
        {"@west : PSK 0x123\n", "s:1:13: after 0x comes an even number of hex digits\n"},
        {"@west : PSK 0s!\n", "s:1:13: after 0s comes base64\n"},
        {"@west : PSK 0sabcde\n", "s:1:13: after 0s comes base64, in whole groups of four\n"},
        {"@west : PSK 0sab=\n", "s:1:13: after 0s comes base64, in whole groups of four\n"},
        {"@west : PSK \"hush hush\" more\n",
            "s:1:25: the entry goes on after its key; the next one begins in the first column\n"},
        {"@west : PSK \"short\"\n",
            "s:1:13: warning: a key of 5 octets can be guessed; take 16 random octets or more\n"},
        {"@west : RSA {\n\tModulus: 0x1\n\t}\n@a : PSK \"hush hush\"\n",
            "s:1:9: warning: only PSK is done yet: this entry is ignored\n"},
        {"@west @east : PSK \"hush hush\"\n@east @west : PSK \"hush hush\"\n", ""},
        {"@west @east : PSK \"hush hush\"\n@east @west : PSK \"another one\"\n",
            "s:2:1: warning: the same ids have another key at s:1 already: that one is used\n"},
        {"@#12x : PSK \"hush hush\"\n", "s:1:1: this is no id: a key id is an even number of hex digits after @#\n"},
        {"%fromcert : PSK \"hush hush\"\n", "s:1:1: this is no id: certificates are not done yet; write @name, "
                                            "user@name, an address, @#hex or @[key id]\n"},
        {"include\n", "s:1:1: after include comes a file\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *says = said_about(rows[i].text);
        if (strcmp(says, rows[i].says) != 0)
            wrong("%s\n%sinstead of\n%s", rows[i].text, says, rows[i].says);
        assert_null(strstr(says, "hush"));
    }
}

static char directory[64];

static void put(const char *file, const char *text, mode_t mode) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
    assert_int_equal(chmod(path, mode), 0);
}

static const char *said_of(const char *file, struct secrets **out) {
    static char lines[4000];
    char path[160];
    struct diagnostics d;
    snprintf(path, sizeof path, "%s/%s", directory, file);
    *out = secrets_read(path, &d);
    char *to = lines;
    for (const char *at = lines_of(&d); *at && to < lines + sizeof lines - 1;) {
        bool here = strncmp(at, directory, strlen(directory)) == 0;
        *to++ = here ? 'D' : *at;
        at += here ? strlen(directory) : 1;
    }
    *to = '\0';
    return lines;
}

static void files_that_others_may_read_are_refused(void **state) {
    (void)state;
    struct secrets *secrets;
    strcpy(directory, "/tmp/iketcp-secrets-XXXXXX");
    assert_non_null(mkdtemp(directory));
    put("good", "@us @them : PSK \"both are named\"\ninclude more*\ninclude nothing\n", 0600);
    put("more1", ": PSK \"no ids at all\"\n", 0400);
    assert_string_equal(said_of("good", &secrets), "D/good:3:9: warning: D/nothing: there is no such file: ignored\n");
    assert_string_equal(key_for(secrets, "@us", "@them"), "both are named");
    assert_string_equal(key_for(secrets, "@us", "@other"), "no ids at all");
    secrets_free(secrets);
    put("more2", "", 0604);
    assert_string_equal(said_of("good", &secrets),
        "D/good:2:9: can't take secrets from D/more2: others may read it; say chmod 600\n"
        "D/good:3:9: warning: D/nothing: there is no such file: ignored\n");
    assert_null(secrets);
    put("open", ": PSK \"no ids at all\"\n", 0640);
    assert_string_equal(
        said_of("open", &secrets), "D/open:1:1: can't take secrets from D/open: others may read it; say chmod 600\n");
    assert_null(secrets);
    assert_string_equal(
        said_of("none", &secrets), "D/none:1:1: can't take secrets from D/none: No such file or directory\n");
    put("loop", "include loop\n", 0600);
    assert_string_equal(
        said_of("loop", &secrets), "D/loop:1:9: files include each other too deep (10 at most); is it a loop?\n");
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0);
}

static void a_connection_without_a_key_is_a_warning_of_check(void **state) {
    (void)state;
    struct config *config = meaning(conn_with("\tleftid=@us\n\trightid=@them\n"));
    struct secrets *with = secrets_of(BOTH), *without = secrets_of(OURS_OTHER);
    struct diagnostics d = {0};
    config_check_secrets(config, with, "s", &d);
    assert_string_equal(lines_of(&d), "");
    config_check_secrets(config, without, "s", &d);
    assert_string_equal(lines_of(&d),
        "s:1:1: warning: there is no PSK for conn c; an entry like '@us @them : PSK \"...\"' would be one\n");
    secrets_free(with);
    secrets_free(without);
    config_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_quoted_in_hex_in_base64_and_as_text),
        cmocka_unit_test(entries_go_on_on_indented_lines_and_the_colon_may_stick),
        cmocka_unit_test(the_entry_that_fits_best_is_taken),
        cmocka_unit_test(each_error_says_where_and_what_and_never_the_key),
        cmocka_unit_test(files_that_others_may_read_are_refused),
        cmocka_unit_test(a_connection_without_a_key_is_a_warning_of_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
