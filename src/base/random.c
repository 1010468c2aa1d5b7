/* random.c: the operating system's randomness, and a seeded one that a simulation can replay. */
#include "base/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void fill_system(void *context, uint8_t *out, size_t length) {
    (void)context;
    while (length > 0) {
        ssize_t got = getrandom(out, length, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            abort(); /* no key may ever come from anything else */
        }
        out += got;
        length -= (size_t)got;
    }
}

struct random_source random_system(void) {
    return (struct random_source){.fill = fill_system, .context = NULL};
}

/* SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t split_mix(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Octets are taken low ones first, so that big-endian machines replay the same. */
static void fill_seeded(void *context, uint8_t *out, size_t length) {
    while (length > 0) {
        uint64_t value = split_mix(context);
        size_t step = length < sizeof value ? length : sizeof value;
        for (size_t i = 0; i < step; i++)
            out[i] = (uint8_t)(value >> 8 * i);
        out += step;
        length -= step;
    }
}

struct random_source random_seeded(uint64_t *state) {
    return (struct random_source){.fill = fill_seeded, .context = state};
}
