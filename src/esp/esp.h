/* esp.h: the face of esp/: ESP SAs (RFC 4303) in user space: keys, sequence numbers, replay windows, selectors; seal and
 * open of batches, in place. Pure: packets in, packets out. One `struct esp_sa` is a Child SA with both directions.
 *
 * One thread (the worker that owns the SA) seals, opens and admits; counters may be read by any thread. */
#ifndef IKETCP_ESP_ESP_H
#define IKETCP_ESP_ESP_H

#include "crypto/crypto.h"
#include "wire/wire.h"

#define ESP_HEADER_LENGTH ((size_t)8) /* SPI, sequence number */
#define ESP_BATCH_MAX ((size_t)64) /* packets per call */
#define ESP_REPLAY_MIN 64u
#define ESP_REPLAY_MAX 4096u

struct esp_config {
    uint32_t spi_in, spi_out;
    struct cipher_suite suite;
    struct span key_in, key_out, integ_in, integ_out; /* read during esp_sa_new only */
    bool esn, transport;
    bool aggfrag; /* negotiated (RFC 9347): all that goes either way is AGGFRAG payloads; tunnel mode only */
    bool whole_only; /* AGGFRAG: the peer takes no pieces of packets (its D flag) */
    uint32_t
        aggfrag_mtu; /* AGGFRAG: over UDP no payload carries more than one inner packet so long; 0: 1,500 outside */
    uint32_t replay_window; /* 64 to 4,096; 0: replay protection is off */
    struct selector_list local, remote; /* what the inner packets may be; transport: of one host each */
    struct address peer_local, peer_remote; /* transport: what the peer calls us and itself; family 0: as we do */
    uint64_t soft_packets; /* outbound sequence number that asks for a rekey; 0: a default well before the
                                         * last (2^32 without ESN) */
    bool keep_keys; /* esp_sa_keys has them as long as the SA lives: the kernel may have to do its work */
};

struct esp_counters { /* relaxed atomics: any thread may read, the owner writes */
    _Atomic uint64_t bytes_in, bytes_out; /* inner octets */
    _Atomic uint64_t packets_in, packets_out; /* inner packets */
    _Atomic uint64_t
        bursts_wanted; /* that were to go out by this SA, whether they left or wait; counted by who has them wait */
    _Atomic uint64_t replay_drops; /* seen before or left of the window */
    _Atomic uint64_t auth_drops; /* failed authentication */
    _Atomic uint64_t policy_drops; /* authentic, outside the selectors or malformed inside */
    _Atomic uint64_t last_in_ms; /* time of the last authentic fresh packet, 0: none */
};

struct esp_sa;
struct esp_sa *esp_sa_new(const struct esp_config *, struct error *); /* NULL and *err; owned by the caller */
void esp_sa_free(struct esp_sa *); /* wipes; NULL is fine */
uint32_t esp_sa_spi_in(const struct esp_sa *);
uint32_t esp_sa_spi_out(const struct esp_sa *);
struct esp_counters *esp_sa_counters(struct esp_sa *);
/* What an SA keeps of struct esp_config: all but keys. */
struct esp_kept {
    uint32_t spi_in, spi_out;
    struct cipher_suite suite;
    bool esn, transport, aggfrag, whole_only, keep_keys;
    uint32_t replay_window;
    size_t aggfrag_mtu;
    const struct selector_list *local, *remote; /* the SA's, for reading */
    struct address peer_local, peer_remote;
    uint64_t soft_packets;
};
const struct esp_kept *esp_sa_config(const struct esp_sa *);
struct esp_key_spans {
    struct span key_in, key_out, integ_in, integ_out;
};
/* Where keep_keys says so, for as long as the SA lives; else empty. */
struct esp_key_spans esp_sa_keys(const struct esp_sa *);

/* How far an SA is: what somebody else (the kernel's ESP) needs to go on with it, and what we need when it comes back. */
struct esp_numbers {
    uint32_t spi_in;
    uint64_t out, in; /* the last one used, the highest seen; 0: none */
};
struct esp_numbers esp_sa_numbers(const struct esp_sa *);
/* What came in up to these counts as seen. Where more was sent than by us another made IVs under this key, and nobody knows
 * which: it seals no more, as if its sequence numbers were used up, so that no IV is ever used twice (RFC 4106 section 3.1). */
void esp_sa_go_on(struct esp_sa *, const struct esp_numbers *);

/* True when a rekey is due because of the sequence numbers; esp_seal refuses (length 0) when they are used up. */
bool esp_sa_wants_rekey(const struct esp_sa *);

/* --- outbound ---
 * The inner packet lies at packet + esp_seal_offset(sa); behind it there must be room for esp_seal_trailer_max octets.
 * Sealing writes SPI and sequence number at `packet` and makes `length` the whole ESP packet's. */
size_t esp_seal_offset(const struct esp_sa *); /* ESP header and IV, octets */
size_t esp_seal_trailer_max(const struct esp_sa *); /* padding, 2, ICV */
/* Length of the ESP packet for an inner packet of `inner` octets, and the largest inner that fits in `packet`. */
size_t esp_sealed_length(const struct esp_sa *, size_t inner);
size_t esp_inner_max(const struct esp_sa *, size_t packet);

struct esp_seal_job {
    uint8_t *packet;
    size_t inner; /* octets */
    uint8_t next_header; /* 4 IPv4, 41 IPv6 (tunnel), the protocol (transport), 144 AGGFRAG, 59 dummy */
    size_t packets; /* AGGFRAG: inner packets that begin in it, for the counters */
    size_t length; /* out: octets from packet, 0: not sealed (sequence numbers used up) */
};
/* In order; returns how many were sealed. No allocation. jobs <= ESP_BATCH_MAX. */
size_t esp_seal(struct esp_sa *, struct esp_seal_job *, size_t jobs);

/* --- inbound --- */
enum esp_verdict {
    ESP_INNER = 0, /* authentic, fresh, inside the selectors: *inner is set */
    ESP_AGGREGATE, /* authentic and fresh, *inner is an AGGFRAG payload: aggfrag_open says what is inside */
    ESP_DUMMY, /* authentic, fresh, next header 59: drop silently */
    ESP_FORGED, /* failed authentication */
    ESP_MALFORMED, /* too short, bad padding */
    ESP_REPLAYED, /* seen before or too old: not corruption (L10) */
    ESP_POLICY, /* authentic and fresh, but its inner packet is not what was negotiated */
};
struct esp_open_job {
    uint8_t *packet; /* SPI first */
    size_t length;
    enum esp_verdict verdict; /* out */
    uint8_t *inner; /* out: in place; TFC padding behind it is cut off */
    size_t inner_length;
    uint8_t next_header;
    uint64_t sequence; /* of what is authentic and fresh */
};
/* All jobs have this SA's SPI. Opens, then admits in order: replay window and selectors, and counts. `now` for
 * last_in_ms. jobs <= ESP_BATCH_MAX. Returns how many were authentic and fresh (ESP_INNER, ESP_AGGREGATE, ESP_DUMMY, ESP_POLICY). */
size_t esp_open(struct esp_sa *, uint64_t now, struct esp_open_job *, size_t jobs);

/* --- AGGFRAG (RFC 9347): many inner packets in one ESP packet, and one inner packet in pieces ---
 * Out: a payload is filled where it will be sealed, its header first. */
#define ESP_NEXT_AGGFRAG ((uint8_t)144)
#define AGGFRAG_HEADER_LENGTH ((size_t)4)
struct aggfrag_fill {
    uint8_t *payload; /* NULL: none is being filled */
    size_t used, room; /* octets, header included */
    size_t packets; /* inner packets that begin here */
};
/* `rest`: octets of an inner packet that began in the payload before, of the same SA, and are not yet sent. */
void aggfrag_begin(struct aggfrag_fill *, uint8_t *payload, size_t room, size_t rest);
/* Where an inner packet of `length` octets goes; NULL: there is no room for all of it. */
uint8_t *aggfrag_whole(struct aggfrag_fill *, size_t length);
/* Copies as much of packet[done..length) as there is room for, and returns how many octets. What is left must go first
 * into the SA's next payload. */
size_t aggfrag_part(struct aggfrag_fill *, const uint8_t *packet, size_t length, size_t done);

/* In: what an ESP_AGGREGATE job carried, one inner packet after the other, in the order of their SA's payloads as they came. Whole
 * ones lie in place; one that came in pieces is put together in memory of the SA, where it stays until the next call. All
 * are inside the selectors; others are counted as policy_drops. Pieces that never become a packet are forgotten when
 * newer ones need their place. */
struct aggfrag_walk {
    struct esp_sa *sa; /* must live as long as the walk */
    uint8_t *at;
    size_t left;
    uint64_t sequence;
    bool opened; /* the header was read */
};
void aggfrag_open(struct aggfrag_walk *, struct esp_sa *, const struct esp_open_job *);
/* False: no more. *pieced: it was put together, and must be done with before the next call. */
bool aggfrag_next(struct aggfrag_walk *, uint8_t **inner, size_t *length, bool *pieced);

/* --- transport mode (RFC 4303 section 3.1.1): the IP header stays behind, and is made again from the selectors' hosts ---
 * Octets in front of what is sealed, and its next header. False: a fragment, which can't be sent so. */
MUST_USE bool esp_transport_strip(const uint8_t *inner, size_t length, size_t *strip, uint8_t *next_header);
/* Writes the packet that an ESP_INNER job carried to `out`, checksums of TCP, UDP and ICMPv6 made right for our view of the
 * addresses (RFC 7296 section 2.23.1, RFC 3948 section 3.1.2). Returns its length, 0: too long for `capacity` or for IP. */
#define ESP_TRANSPORT_HEADER_MAX ((size_t)40)
size_t esp_transport_rebuild(
    const struct esp_sa *, const uint8_t *inner, size_t length, uint8_t next_header, uint8_t *out, size_t capacity);

/* Whether an outbound inner packet is inside the selectors. */
bool esp_sa_takes(const struct esp_sa *, const struct flow *);

#endif
