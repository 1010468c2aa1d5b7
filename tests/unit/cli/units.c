/* Numbers as `iketcp status` says them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/internal.h"

static void octets_are_said_in_powers_of_a_thousand(void **state) {
    (void)state;
    char text[UNITS_TEXT_MAX];
    assert_string_equal(octets_text(0, text), "0 B");
    assert_string_equal(octets_text(999, text), "999 B");
    assert_string_equal(octets_text(1000, text), "1.0 kB");
    assert_string_equal(octets_text(33100000, text), "33.1 MB");
    assert_string_equal(octets_text(UINT64_MAX, text), "18.4 EB");
    assert_string_equal(octets_text(999999, text), "1.0 MB");
}

static void durations_keep_two_units(void **state) {
    (void)state;
    char text[UNITS_TEXT_MAX];
    assert_string_equal(duration_text(0, text), "0 s");
    assert_string_equal(duration_text(59, text), "59 s");
    assert_string_equal(duration_text(192, text), "3 min 12 s");
    assert_string_equal(duration_text(7 * 3600 + 120, text), "7 h 02 min");
    assert_string_equal(duration_text(3 * 86400 + 4 * 3600, text), "3 d 4 h");
}

static void one_is_singular(void **state) {
    (void)state;
    char text[UNITS_TEXT_MAX];
    assert_string_equal(count_text(1, "packet", "packets", text, sizeof text), "1 packet");
    assert_string_equal(count_text(0, "packet", "packets", text, sizeof text), "0 packets");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_are_said_in_powers_of_a_thousand),
        cmocka_unit_test(durations_keep_two_units),
        cmocka_unit_test(one_is_singular),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
