/* documentation.c: iketcp.conf(5) speaks of every keyword that there is and of none that there is not; the examples are
 * without fault. */
#include "helper.h"

static char *read_whole(const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/doc/%s", SOURCE_ROOT, name);
    FILE *file = fopen(path, "r");
    if (!file)
        wrong("there is no %s", path);
    static char text[200000];
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    return strdup(text);
}

/* Copies the first word of a ".B" line as a reader sees it: "\-" is a minus sign, "\fR" ends it. False: no such line. */
static bool bold_word(const char *line, char out[64]) {
    if (strncmp(line, ".B ", 3) != 0)
        return false;
    size_t used = 0;
    for (const char *at = line + 3; *at && *at != '\n' && *at != ' ' && used < 63; at++) {
        if (at[0] == '\\' && at[1] != '-')
            break;
        if (*at != '\\')
            out[used++] = *at;
    }
    out[used] = '\0';
    return used > 0;
}

static bool is_keyword(const char *word, bool done) {
    struct config_keyword_info info;
    for (size_t i = 0; config_keyword(i, &info); i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", info.of_end && info.done ? "left" : "", info.name);
        if (info.done == done && strcmp(name, word) == 0)
            return true;
    }
    return false;
}

/* From the heading to the next one. */
static const char *section_of(const char *page, const char *heading, const char **end) {
    char line[100];
    snprintf(line, sizeof line, "\n.SH %s\n", heading);
    const char *at = strstr(page, line);
    if (!at)
        wrong("there is no section %s", heading);
    at += strlen(line);
    *end = strstr(at, "\n.SH ");
    return at;
}

#define SECTIONS 4
static const char *const sections[SECTIONS] = {
    "OPTIONS OF CONFIG SETUP", "OPTIONS OF AN END", "OPTIONS OF A CONN", "OPTIONS OF LIBRESWAN THAT ARE NOT DONE"};

/* How often a section begins an entry, or (of what is not done) a line, with that word. */
static int mentions(const char *page, int section, const char *word) {
    const char *end, *at = section_of(page, sections[section], &end);
    int count = 0;
    bool entry = false;
    for (; at && at < end; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
        char found[64];
        if ((entry || section == 3) && bold_word(at, found) && strcmp(found, word) == 0)
            count++;
        entry = strncmp(at, ".TP\n", 4) == 0;
    }
    return count;
}

static void the_manual_explains_every_keyword_once_in_its_section(void **state) {
    (void)state;
    char *page = read_whole("man/iketcp.conf.5");
    struct config_keyword_info info;
    for (size_t i = 0; config_keyword(i, &info); i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s", info.of_end && info.done ? "left" : "", info.name);
        int section = !info.done ? 3 : info.of_setup ? 0 : info.of_end ? 1 : 2;
        if (mentions(page, section, name) != 1)
            wrong("'%s' is in section %s %d times", name, sections[section], mentions(page, section, name));
    }
    free(page);
}

static void the_manual_explains_nothing_that_is_not_there(void **state) {
    (void)state;
    char *page = read_whole("man/iketcp.conf.5");
    for (int section = 0; section < SECTIONS; section++) {
        const char *end, *at = section_of(page, sections[section], &end);
        bool entry = false;
        for (; at && at < end; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL) {
            char found[64];
            if ((entry || section == 3) && bold_word(at, found) && !is_keyword(found, section != 3))
                wrong("'%s' in section %s is no keyword", found, sections[section]);
            entry = strncmp(at, ".TP\n", 4) == 0;
        }
    }
    free(page);
}

static void refused_options_are_listed_as_errors(void **state) {
    (void)state;
    char *page = read_whole("man/iketcp.conf.5");
    const char *end, *at = section_of(page, sections[3], &end);
    const char *errors = strstr(at, "These are errors");
    assert_true(errors && end && errors < end);
    struct config_keyword_info info;
    for (size_t i = 0; config_keyword(i, &info); i++) {
        if (info.done)
            continue;
        bool listed = false;
        for (const char *line = errors; line && line < end; line = strchr(line, '\n') + 1) {
            char found[64];
            listed |= bold_word(line, found) && strcmp(found, info.name) == 0;
        }
        if (listed != info.refused)
            wrong("'%s' is %s as an error", info.name, listed ? "listed" : "not listed");
    }
    free(page);
}

static void the_examples_are_without_fault(void **state) {
    (void)state;
    static const char *const names[] = {"examples/west.conf", "examples/east.conf"};
    char *keys = read_whole("examples/ipsec.secrets");
    struct diagnostics d;
    struct secrets *secrets = secrets_parse("ipsec.secrets", keys, &d);
    assert_string_equal(lines_of(&d), "");
    for (size_t i = 0; i < 2; i++) {
        char *text = read_whole(names[i]);
        assert_string_equal(said(text), "");
        struct config *config = meaning(text);
        assert_int_equal(config->connections, 1);
        assert_int_equal(config->connection[0].left.subnets, 2);
        d = (struct diagnostics){0};
        config_check_secrets(config, secrets, "ipsec.secrets", &d);
        assert_string_equal(lines_of(&d), "");
        config_free(config);
        free(text);
    }
    secrets_free(secrets);
    free(keys);
}

static void the_example_of_policy_routing_has_a_device_a_table_and_a_mark_each(void **state) {
    (void)state;
    char *text = read_whole("examples/marks.conf"), name[CONFIG_DEVICE_NAME_MAX], mark[CONFIG_MARK_TEXT_MAX];
    assert_string_equal(said(text), "");
    struct config *config = meaning(text);
    assert_int_equal(config->connections, 2);
    assert_string_equal(config_device_name(config->connection[1].device, name), "ipsec2");
    assert_int_equal(config->connection[1].route_table, 102);
    assert_string_equal(config_mark_text(&config->connection[1].mark_out, mark), "0x2/0xff");
    assert_int_equal(config->connection[1].right.address.octets[0], 198);
    config_free(config);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_explains_every_keyword_once_in_its_section),
        cmocka_unit_test(the_manual_explains_nothing_that_is_not_there),
        cmocka_unit_test(refused_options_are_listed_as_errors),
        cmocka_unit_test(the_examples_are_without_fault),
        cmocka_unit_test(the_example_of_policy_routing_has_a_device_a_table_and_a_mark_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
