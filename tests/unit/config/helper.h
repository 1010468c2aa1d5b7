/* helper.h: for the tests of config/: a text in, what is said about it and what it means out. */
#ifndef IKETCP_TESTS_CONFIG_HELPER_H
#define IKETCP_TESTS_CONFIG_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* base/error.h has another one */

#include "config/config.h"

#define wrong(...) \
    do { \
        print_error(__VA_ARGS__); \
        print_error("\n"); \
        _fail(__FILE__, __LINE__); \
    } while (0)

/* All diagnostics, a line each; a static buffer. */
static inline const char *lines_of(struct diagnostics *d) {
    static char all[65536];
    size_t used = 0;
    all[0] = '\0';
    for (size_t i = 0; i < d->count && used < sizeof all - 1100; i++) {
        diagnostic_text(&d->list[i], all + used, sizeof all - used);
        used += strlen(all + used);
        all[used++] = '\n';
        all[used] = '\0';
    }
    diagnostics_free(d);
    return all;
}

/* What config_parse says about a text whose file is called f. */
static inline const char *said(const char *text) {
    struct config_source *source = config_source_from_text("f", text);
    struct diagnostics d;
    struct config *config = config_parse(source, &d);
    assert_true((config == NULL) == (d.errors > 0));
    config_free(config);
    config_source_free(source);
    return lines_of(&d);
}

/* The meaning of a text that has no errors; the caller frees it. */
static inline struct config *meaning(const char *text) {
    struct config_source *source = config_source_from_text("f", text);
    struct diagnostics d;
    struct config *config = config_parse(source, &d);
    config_source_free(source);
    const char *lines = lines_of(&d);
    if (!config)
        wrong("%s", lines);
    return config;
}

/* A conn that is complete, `more` being further lines of it ("\tkey=value\n"). */
static inline const char *conn_with(const char *more) {
    static char text[8192];
    snprintf(text, sizeof text, "conn c\n\tleft=192.0.2.1\n\tright=192.0.2.2\n\tauthby=secret\n\tauto=add\n%s", more);
    return text;
}
#define MORE_LINE 6 /* the line that `more` begins on */

#endif
