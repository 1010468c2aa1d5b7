/* helper.h: published vectors are hexadecimal; tests want octets. */
#ifndef IKETCP_TEST_CRYPTO_HELPER_H
#define IKETCP_TEST_CRYPTO_HELPER_H

#include "crypto/crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libraries.h"

#define HEX_MAX ((size_t)2048)

static inline uint8_t hex_digit(char c) {
    const char *digits = "0123456789abcdef";
    const char *at = strchr(digits, c);
    assert_true(c != '\0' && at != NULL);
    return (uint8_t)(at - digits);
}

/* Spaces are passed over. Returns how many octets there are; `out` takes HEX_MAX. */
static inline size_t unhex(const char *text, uint8_t *out) {
    size_t digits = 0;
    for (; *text != '\0'; text++) {
        if (*text == ' ')
            continue;
        assert_true(digits / 2 < HEX_MAX);
        uint8_t value = hex_digit(*text);
        out[digits / 2] = (uint8_t)(digits % 2 == 0 ? value << 4 : out[digits / 2] | value);
        digits++;
    }
    assert_true(digits % 2 == 0);
    return digits / 2;
}

#define assert_octets(is, length, expected_text) \
    do { \
        uint8_t expected_[HEX_MAX]; \
        assert_int_equal((length), unhex((expected_text), expected_)); \
        assert_memory_equal((is), expected_, (length)); \
    } while (0)

#endif
