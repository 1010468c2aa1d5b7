/* span.c: comparing octets, and the end of secrets. */
#include "base/span.h"

#include <string.h>

int span_equal_secret(struct span a, struct span b) {
    if (a.length != b.length)
        return 0;
    volatile uint8_t different = 0; /* volatile: no early way out */
    for (size_t i = 0; i < a.length; i++)
        different = (uint8_t)(different | (a.at[i] ^ b.at[i]));
    return different == 0;
}

int span_equal(struct span a, struct span b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.at, b.at, a.length) == 0);
}

void wipe(void *secret, size_t length) {
    if (length > 0)
        explicit_bzero(secret, length);
}
