/* window.c: the replay window of an SA and the upper half of extended sequence numbers (RFC 4303 section 3.4.3 and
 * appendix A2). */
#include <stdlib.h>
#include <string.h>

#include "esp/internal.h"

/* How far behind the window a packet still counts as late. Left of the window RFC 4303 takes the next 2^32 for granted,
 * and the packet then fails authentication; over streams that is corruption (L10), which a late packet is not. */
#define LATE_MAX (UINT64_C(1) << 28)
#define EPOCH (UINT64_C(1) << 32)

bool window_open(struct replay_window *window, uint32_t size) {
    size_t words = 1;
    while (words * 64 < (size_t)size + 64)
        words *= 2;
    *window = (struct replay_window){.size = size, .words = words, .word = calloc(words, sizeof *window->word)};
    return window->word != NULL;
}

static size_t word_of(const struct replay_window *window, uint64_t sequence) {
    return (size_t)(sequence / 64) & (window->words - 1);
}

static uint64_t bit_of(uint64_t sequence) {
    return UINT64_C(1) << (sequence % 64);
}

bool window_fresh(const struct replay_window *window, uint64_t sequence) {
    if (window->size == 0 || sequence > window->top)
        return sequence != 0;
    if (sequence == 0 || window->top - sequence >= window->size)
        return false;
    return (window->word[word_of(window, sequence)] & bit_of(sequence)) == 0;
}

void window_mark(struct replay_window *window, uint64_t sequence) {
    if (sequence > window->top) {
        uint64_t words = sequence / 64 - window->top / 64;
        if (words >= window->words) {
            memset(window->word, 0, window->words * sizeof *window->word);
        } else {
            for (uint64_t i = 0; i < words; i++)
                window->word[word_of(window, sequence - 64 * i)] = 0;
        }
        window->top = sequence;
    }
    if (window->size > 0)
        window->word[word_of(window, sequence)] |= bit_of(sequence);
}

void window_skip(struct replay_window *window, uint64_t sequence) {
    if (sequence <= window->top)
        return;
    window->top = sequence;
    memset(window->word, 0xff, window->words * sizeof *window->word);
    window->word[word_of(window, sequence)] = bit_of(sequence) | (bit_of(sequence) - 1);
}

bool window_extend(const struct replay_window *window, uint32_t low, uint64_t *sequence) {
    /* Without replay protection every late packet is welcome, so that half of all numbers lie behind. */
    uint64_t size = window->size > 0 ? window->size : EPOCH / 2;
    uint64_t top_low = window->top % EPOCH, top_high = window->top / EPOCH;
    uint32_t bottom = (uint32_t)(top_low - size + 1); /* wraps when the window spans two epochs */
    uint64_t high = top_high;
    if (top_low >= size - 1) { /* case A: the window lies within one epoch */
        if (low < bottom)
            high++;
    } else if (low >= bottom) { /* case B: it began in the epoch before */
        if (high == 0)
            return false;
        high--;
    }
    if (high >= EPOCH)
        return false;
    *sequence = high * EPOCH + low;
    if (window->size == 0 || high == 0 || *sequence <= window->top)
        return true;
    return *sequence - window->top <= EPOCH - size - LATE_MAX;
}
