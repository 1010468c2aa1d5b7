/* span.h: octets somewhere else, and how secrets end. */
#ifndef IKETCP_BASE_SPAN_H
#define IKETCP_BASE_SPAN_H

#include <stddef.h>
#include <stdint.h>

/* A view of octets that somebody else owns; valid as long as the owner says. */
struct span {
    const uint8_t *at;
    size_t length; /* octets */
};

static inline struct span span_of(const void *at, size_t length) {
    return (struct span){.at = at, .length = length};
}

/* Constant time in the content; lengths are public. True when both are equal. */
int span_equal_secret(struct span a, struct span b);
/* For public octets. */
int span_equal(struct span a, struct span b);

/* Overwrites a secret; the compiler can't drop it. */
void wipe(void *secret, size_t length);

#endif
