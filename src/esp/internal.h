/* internal.h: what the files of esp/ share: the SA itself and its replay window. */
#ifndef IKETCP_ESP_INTERNAL_H
#define IKETCP_ESP_INTERNAL_H

#include <stdatomic.h>

#include "esp/esp.h"

#define ESP_NEXT_IPV4 ((uint8_t)4)
#define ESP_NEXT_IPV6 ((uint8_t)41)
#define ESP_NEXT_NONE ((uint8_t)59) /* a dummy packet, RFC 4303 section 2.6 */

/* A ring of bits, one per sequence number, RFC 6479's way: moving forward clears whole words and shifts nothing. There
 * is always at least one word more than the window needs, so that a word's bits are of one age. */

struct replay_window {
    uint64_t top; /* highest sequence number seen, 0: none */
    uint32_t size; /* numbers that may still come: top-size+1 .. top; 0: replay protection is off */
    size_t words; /* a power of two */
    uint64_t *word;
};
MUST_USE bool window_open(struct replay_window *, uint32_t size); /* allocates `word`, which its owner frees */

/* Not seen, not 0, not left of the window. */
bool window_fresh(const struct replay_window *, uint64_t sequence);
/* Marks a number that is fresh and whose packet is authentic. */
void window_mark(struct replay_window *, uint64_t sequence);
/* The whole number of a packet that carries the lower half (RFC 4303 appendix A2). False: it lies so little behind the
 * window that it is a late packet rather than one of the next 2^32, or before the first number of all. */
MUST_USE bool window_extend(const struct replay_window *, uint32_t low, uint64_t *sequence);
/* All numbers up to `sequence` count as seen; one that is not above the highest seen changes nothing. */
void window_skip(struct replay_window *, uint64_t sequence);

struct pieces; /* pieces.c: of AGGFRAG payloads */

struct esp_sa {
    struct esp_kept config;
    struct cipher *out, *in; /* NULL: not needed yet (ciphers.c) */
    struct esp_keys *keys; /* of those that are NULL, or with keep_keys; NULL: both are there */
    struct iv_maker *iv_maker; /* CBC only */
    uint64_t sequence_last; /* the highest that may be used */
    uint64_t sequence_out; /* the last one used; the first packet has 1 */
    uint64_t iv_counter; /* the last one used, for AEADs and iv_maker */
    size_t iv_length, icv_length, align; /* octets */
    bool aead;
    uint64_t
        checksum_shift; /* transport: to be added to a checksum's sum; 0: the peer sees the addresses that we see */
    struct replay_window window;
    struct pieces *pieces; /* NULL before the first one came */
    struct esp_counters counters;
};

/* The octets that are authenticated and not encrypted, RFC 4303 section 3.3.2 and RFC 4106 section 5: SPI and sequence
 * number, with ESN's upper half between them (AEAD) or behind the text (encrypt-then-MAC). */
struct esp_aad {
    uint8_t octets[12];
    uint8_t tail[4];
};
void esp_aad_set(
    const struct esp_sa *, const uint8_t *packet, uint64_t sequence, struct esp_aad *, struct cipher_job *);

/* pieces.c: inner packets that came in pieces (RFC 9347 section 2.2.3), in any order of the outer packets. A piece is what one
 * payload has of a packet: its end or its middle in front, its beginning behind. An empty piece that neither begins nor ends
 * is a payload that is all padding. Memory is bounded: PIECES_RUNS packets may be incomplete at once. */
#define PIECES_RUNS 8
#define INNER_MAX ((size_t)65575) /* the longest packet: IPv6 without jumbograms */
struct piece {
    uint64_t sequence; /* of the ESP packet */
    bool begins, ends;
    const uint8_t *octets;
    size_t length;
};
struct pieces *pieces_new(void); /* NULL: no memory */
void pieces_free(struct pieces *);
/* Takes a piece; the whole packet, in memory that stays as it is until the next call, or empty. */
struct span pieces_add(struct pieces *, const struct piece *);
/* The payload of that number has no end of an earlier packet, or no beginning of a later one: who waits for it waits in vain. */
void pieces_none_before(struct pieces *, uint64_t sequence);
void pieces_none_behind(struct pieces *, uint64_t sequence);

/* transport.c: what is needed once, and whether a payload may come from the other host. */
MUST_USE bool transport_set(struct esp_sa *, struct error *);
bool transport_allows_in(const struct esp_sa *, const struct esp_open_job *);

/* open.c: a whole IP packet inside the selectors, behind which there may be more: *total octets are its own. */
bool inner_allowed(const struct esp_sa *, const uint8_t *packet, size_t length, uint8_t family, size_t *total);

/* ciphers.c: a cipher is made for the first packet of its direction: most clients of a gateway are idle, and a cipher costs more than
 * all else of an SA. */
struct esp_keys {
    uint8_t encr_in[CIPHER_KEY_MAX], encr_out[CIPHER_KEY_MAX], integ_in[INTEG_KEY_MAX], integ_out[INTEG_KEY_MAX];
};
MUST_USE bool ciphers_keep(
    struct esp_sa *, const struct esp_config *, struct error *); /* the keys, if there is such a cipher */
MUST_USE bool cipher_out_ready(struct esp_sa *); /* false: no memory */
MUST_USE bool cipher_in_ready(struct esp_sa *);
void ciphers_free(struct esp_sa *); /* wipes */

/* Whether a packet that came out may come from `remote` and go to `local`. */
bool esp_sa_allows_in(const struct esp_sa *, const struct flow *);

/* The owner is the only writer, so that a load and a store are enough. */
static inline void counter_add(_Atomic uint64_t *counter, uint64_t n) {
    if (n > 0)
        atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void store_u32(uint8_t *out, uint32_t value) {
    out[0] = (uint8_t)(value >> 24);
    out[1] = (uint8_t)(value >> 16);
    out[2] = (uint8_t)(value >> 8);
    out[3] = (uint8_t)value;
}

static inline void store_u64(uint8_t *out, uint64_t value) {
    store_u32(out, (uint32_t)(value >> 32));
    store_u32(out + 4, (uint32_t)value);
}

#endif
