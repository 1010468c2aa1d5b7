/* random.h: randomness as a parameter, so that a seed replays a whole session. */
#ifndef IKETCP_BASE_RANDOM_H
#define IKETCP_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random_source {
    void (*fill)(void *context, uint8_t *out, size_t length);
    void *context;
};

static inline void random_fill(const struct random_source *source, void *out, size_t length) {
    source->fill(source->context, out, length);
}

static inline uint32_t random_u32(const struct random_source *source) {
    uint32_t value;
    source->fill(source->context, (uint8_t *)&value, sizeof value);
    return value;
}

/* The operating system's generator (getrandom(2)); ends the process when that fails. For daemon/ and tools only. */
struct random_source random_system(void);

/* A seeded generator for tests and the simulator: SplitMix64, same seed same octets. Not for keys of anybody.
 * `state` is the caller's and must live as long as the source. */
struct random_source random_seeded(uint64_t *state);

#endif
