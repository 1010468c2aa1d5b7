/* sum.c: the Internet checksum's sum over payloads, alone or in the same pass as the one copy of the fast path. Written
 * with vectors of the compiler's, so that it is as fast as the processor's memory allows (AVX2 is chosen at run time). */
#include "dataplane/offload.h"

#include <string.h>

typedef uint64_t lanes __attribute__((vector_size(32)));

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE uint64_t tail_sum(const uint8_t *from, size_t length) {
    uint64_t sum = 0;
    for (; length >= 4; from += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, from, 4);
        sum += word;
    }
    if (length > 0) { /* as if zeros followed */
        uint32_t word = 0;
        memcpy(&word, from, length);
        sum += word;
    }
    return sum;
}

/* Sums 32-bit words into 64-bit lanes, which 2^32 steps can't overflow; the order of octets stays the host's. */
static ALWAYS_INLINE uint64_t body(uint8_t *to, const uint8_t *from, size_t length) {
    const lanes low = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};
    lanes even = {0}, odd = {0};
    size_t at = 0;
    for (; length - at >= 2 * sizeof(lanes); at += 2 * sizeof(lanes)) {
        lanes a, b;
        memcpy(&a, from + at, sizeof a);
        memcpy(&b, from + at + sizeof a, sizeof b);
        if (to != NULL) {
            memcpy(to + at, &a, sizeof a);
            memcpy(to + at + sizeof a, &b, sizeof b);
        }
        even += (a & low) + (b & low);
        odd += (a >> 32) + (b >> 32);
    }
    if (to != NULL)
        memcpy(to + at, from + at, length - at);
    even += odd;
    return even[0] + even[1] + even[2] + even[3] + tail_sum(from + at, length - at);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t sum_avx2(const uint8_t *octets, size_t length) {
    return body(NULL, octets, length);
}

__attribute__((target("avx2"))) static uint64_t copy_avx2(uint8_t *to, const uint8_t *from, size_t length) {
    return body(to, from, length);
}

#define TRY_AVX2(call) \
    if (__builtin_cpu_supports("avx2")) \
    return call
#else
#define TRY_AVX2(call)
#endif

uint64_t sum_of(const uint8_t *octets, size_t length) {
    TRY_AVX2(sum_avx2(octets, length));
    return body(NULL, octets, length);
}

uint64_t sum_copy(uint8_t *to, const uint8_t *from, size_t length) {
    TRY_AVX2(copy_avx2(to, from, length));
    return body(to, from, length);
}
