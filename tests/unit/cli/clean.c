/* clean.c: what an engine that is somebody else's would write to a terminal. */
#include "cli/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void nothing_that_is_shown_is_obeyed_by_a_terminal(void **state) {
    (void)state;
    json_error_t where;
    json_t *said =
        json_loads("{\"text\": \"\\u001b]0;mine\\u0007 \\u009b2J \\u007f\\r\", \"list\": [{\"deep\": \"\\u0008\"}, 7]}",
            0, &where);
    assert_non_null(said);
    json_clean(said);
    assert_string_equal(json_string_value(json_object_get(said, "text")), "?]0;mine? ??2J ??");
    const json_t *first = json_array_get(json_object_get(said, "list"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "deep")), "?");
    json_decref(said);
}

static void letters_of_all_languages_and_lines_stay(void **state) {
    (void)state;
    const char *text = "a line\n\tüß Ω 日本 \xc2\xa0";
    json_t *said = json_string(text);
    json_clean(said);
    assert_string_equal(json_string_value(said), text);
    json_decref(said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_is_shown_is_obeyed_by_a_terminal),
        cmocka_unit_test(letters_of_all_languages_and_lines_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
