/* files.c: configurations in files: include with globs, loops, what can't be read; packing for the engine and back. */
#include "helper.h"

#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static const char *path_of(const char *name) {
    static char path[4][160];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", directory, name);
    return path[turn];
}

static void put(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_directory(void **state) {
    (void)state;
    strcpy(directory, "/tmp/iketcp-config-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

/* Diagnostics with the directory's name shown as D. */
static const char *said_of(const char *name, struct config **out) {
    static char short_lines[20000];
    struct config_source *source = config_source_read(path_of(name));
    struct diagnostics d;
    *out = config_parse(source, &d);
    config_source_free(source);
    const char *lines = lines_of(&d);
    char *to = short_lines;
    for (const char *at = lines; *at && to < short_lines + sizeof short_lines - 1;) {
        bool here = strncmp(at, directory, strlen(directory)) == 0;
        *to++ = here ? 'D' : *at;
        at += here ? strlen(directory) : 1;
    }
    *to = '\0';
    return short_lines;
}

#define ENDS "\tleft=10.0.0.1\n\tauthby=secret\n\tauto=add\n"

static void includes_are_globs_beside_the_file_that_includes(void **state) {
    (void)state;
    struct config *config;
    mkdir(path_of("conf[d]"), 0700); /* a name that is no pattern */
    put("main.conf", "config setup\n\tlisten-tcp=yes\ninclude conf[d]/*.conf\nconn z\n\tright=10.0.0.9\n" ENDS);
    put("conf[d]/b.conf", "conn b\n\tright=10.0.0.3\n" ENDS);
    put("conf[d]/a.conf", "conn a\n\tright=10.0.0.2\n" ENDS "include {more,other}.inc\n");
    put("conf[d]/more.inc", "conn m\n\tright=10.0.0.4\n" ENDS);
    put("conf[d]/other.inc", "conn o\n\tright=10.0.0.5\n" ENDS);
    put("conf[d]/c.txt", "nonsense\n");
    assert_string_equal(said_of("main.conf", &config), "");
    assert_non_null(config);
    assert_int_equal(config->connections, 1); /* the pattern's own brackets: conf[d] means confd */
    config_free(config);
    put("main.conf", "config setup\n\tlisten-tcp=yes\ninclude conf\\[d\\]/*.conf\nconn z\n\tright=10.0.0.9\n" ENDS);
    assert_string_equal(said_of("main.conf", &config), "");
    assert_int_equal(config->connections, 5);
    static const char *const names[] = {"a", "m", "o", "b", "z"};
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(config->connection[i].name, names[i]);
    config_free(config);
}

static void errors_name_the_file_they_are_in(void **state) {
    (void)state;
    struct config *config;
    put("one.conf", "include two.conf\n\tmtu=1\nconn a\n\tmtu=x\n");
    put("two.conf", "conn t\n\tmtu=y\n");
    assert_string_equal(said_of("one.conf", &config), "D/one.conf:2:2: an indented line belongs to a section; write "
                                                      "'config setup' or 'conn NAME' in the first column before it\n"
                                                      "D/one.conf:4:6: 'x' is not right: write a whole number\n"
                                                      "D/two.conf:2:6: 'y' is not right: write a whole number\n");
    assert_null(config);
}

static void a_file_that_includes_itself_ends_with_a_sentence(void **state) {
    (void)state;
    struct config *config;
    put("loop.conf", "include loop.conf\n");
    assert_string_equal(said_of("loop.conf", &config),
        "D/loop.conf:1:9: D/loop.conf: files include each other too deep (10 at most); is it a loop?\n");
    put("l1.conf", "include l?.conf\ninclude l?.conf\n");
    put("l2.conf", "include l?.conf\ninclude l?.conf\n");
    const char *says = said_of("l1.conf", &config);
    assert_null(config);
    assert_non_null(strstr(says, "too deep (10 at most)"));
    assert_non_null(strstr(says, "too many files are included (256 at most)"));
}

static void what_can_not_be_read_is_said(void **state) {
    (void)state;
    struct config *config;
    assert_string_equal(
        said_of("none.conf", &config), "D/none.conf:1:1: can't read D/none.conf: No such file or directory\n");
    put("missing.conf", "include none.conf\ninclude none*.conf\n");
    assert_string_equal(
        said_of("missing.conf", &config), "D/missing.conf:1:9: warning: D/none.conf: there is no such file: ignored\n");
    config_free(config);
    mkdir(path_of("dir.conf"), 0700);
    put("dir", "include dir.conf\n");
    assert_string_equal(said_of("dir", &config), "D/dir:1:9: can't read D/dir.conf: it is a directory\n");
    FILE *file = fopen(path_of("nul.conf"), "w");
    fwrite("conn a\0b\n", 1, 9, file);
    fclose(file);
    assert_string_equal(said_of("nul.conf", &config),
        "D/nul.conf:1:1: can't read D/nul.conf: it contains a NUL octet, which no text does\n");
    file = fopen(path_of("big.conf"), "w");
    for (int i = 0; i < 5 << 20; i++)
        putc('#', file);
    fclose(file);
    assert_string_equal(said_of("big.conf", &config), "D/big.conf:1:1: can't read D/big.conf: it is too long\n");
}

static struct config_source *packed_and_back(const struct config_source *source) {
    size_t length;
    uint8_t *octets = config_source_pack(source, &length);
    assert_non_null(octets);
    struct config_source *back = config_source_unpack(octets, length);
    free(octets);
    return back;
}

static void a_source_packed_and_unpacked_means_the_same(void **state) {
    (void)state;
    put("p.conf", "include q*.conf\ninclude none.conf\nconn z\n\tright=10.0.0.9\n" ENDS);
    put("q1.conf", "conn q\n\tright=10.0.0.3\n\tmtu=x\n" ENDS);
    put("q2.conf", "");
    struct config_source *source = config_source_read(path_of("p.conf"));
    struct config_source *back = packed_and_back(source);
    assert_non_null(back);
    struct diagnostics d;
    assert_null(config_parse(source, &d));
    char *before = strdup(lines_of(&d));
    assert_null(config_parse(back, &d));
    assert_string_equal(before, lines_of(&d));
    free(before);
    config_source_free(back);
    config_source_free(source);
}

/* Everything that begins like a packed source but is none: shortened, lengthened, every octet changed in turn. */
static void unpacking_is_strict(void **state) {
    (void)state;
    put("p.conf", "include q*.conf\nconn z\n");
    put("q1.conf", "conn q\n");
    struct config_source *source = config_source_read(path_of("p.conf"));
    size_t length;
    uint8_t *octets = config_source_pack(source, &length);
    config_source_free(source);
    for (size_t i = 0; i < length; i++) {
        uint8_t *copy = malloc(i ? i : 1); /* exact, so that ASan sees a read behind it */
        memcpy(copy, octets, i);
        assert_null(config_source_unpack(copy, i));
        free(copy);
    }
    uint8_t *longer = malloc(length + 1);
    memcpy(longer, octets, length);
    longer[length] = 0;
    assert_null(config_source_unpack(longer, length + 1));
    free(longer);
    for (size_t i = 0; i < length; i++)
        for (int value = 0; value < 256; value += 5) {
            uint8_t kept = octets[i];
            octets[i] = (uint8_t)value;
            struct config_source *back = config_source_unpack(octets, length);
            struct diagnostics d = {0};
            if (back)
                config_free(config_parse(back, &d));
            diagnostics_free(&d);
            config_source_free(back);
            octets[i] = kept;
        }
    free(octets);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(includes_are_globs_beside_the_file_that_includes),
        cmocka_unit_test(errors_name_the_file_they_are_in),
        cmocka_unit_test(a_file_that_includes_itself_ends_with_a_sentence),
        cmocka_unit_test(what_can_not_be_read_is_said),
        cmocka_unit_test(a_source_packed_and_unpacked_means_the_same),
        cmocka_unit_test(unpacking_is_strict),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
