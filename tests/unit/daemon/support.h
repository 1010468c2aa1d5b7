/* support.h: what the tests of daemon/ share: cmocka beside base/, and sample values. */
#ifndef IKETCP_TESTS_DAEMON_SUPPORT_H
#define IKETCP_TESTS_DAEMON_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#undef fail /* base/ has one of its own */

#include "base/base.h"
#include "wire/wire.h"

/* cmocka's fail_msg, for the same reason */
#define stop_test(...) \
    do { \
        print_error("ERROR: " __VA_ARGS__); \
        print_error("\n"); \
        _fail(__FILE__, __LINE__); \
    } while (0)

static inline struct address address(const char *text) {
    struct address a;
    struct error err;
    if (!address_parse(text, &a, &err))
        stop_test("%s", err.text);
    return a;
}

static inline struct prefix prefix(const char *text) {
    struct prefix p;
    struct error err;
    if (!prefix_parse(text, &p, &err))
        stop_test("%s", err.text);
    return p;
}

static inline struct identity fqdn(const char *text) {
    struct identity id = {.type = ID_FQDN, .length = strlen(text)};
    memcpy(id.data, text, id.length);
    return id;
}

#endif
