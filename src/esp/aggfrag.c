/* aggfrag.c: AGGFRAG payloads (RFC 9347 section 6.1): filled, and walked through. A payload is a header with BLOCK-OFFSET and
 * then data blocks: IPv4 and IPv6 packets, which tell their own lengths, and padding to the end. */
#include <string.h>

#include "esp/internal.h"

#define SUB_TYPE_PLAIN 0
#define SUB_TYPE_CONGESTION 1
#define CONGESTION_LENGTH ((size_t)20) /* what that header has more */
#define BLOCK_PAD 0
#define BLOCK_IPV4 4
#define BLOCK_IPV6 6
#define IPV4_HEADER_LENGTH ((size_t)20)
#define IPV6_HEADER_LENGTH ((size_t)40)

/* ---- out ---- */

void aggfrag_begin(struct aggfrag_fill *fill, uint8_t *payload, size_t room, size_t rest) {
    size_t offset = rest < UINT16_MAX ? rest : UINT16_MAX;
    *fill = (struct aggfrag_fill){.payload = payload, .used = AGGFRAG_HEADER_LENGTH, .room = room};
    payload[0] = SUB_TYPE_PLAIN;
    payload[1] = 0;
    payload[2] = (uint8_t)(offset >> 8);
    payload[3] = (uint8_t)offset;
}

uint8_t *aggfrag_whole(struct aggfrag_fill *fill, size_t length) {
    if (fill->used > fill->room || length > fill->room - fill->used)
        return NULL;
    uint8_t *at = fill->payload + fill->used;
    fill->used += length;
    fill->packets++;
    return at;
}

size_t aggfrag_part(struct aggfrag_fill *fill, const uint8_t *packet, size_t length, size_t done) {
    size_t part = length - done, room = fill->used < fill->room ? fill->room - fill->used : 0;
    if (part > room)
        part = room;
    memcpy(fill->payload + fill->used, packet + done, part);
    fill->used += part;
    fill->packets += done == 0 && part > 0;
    return part;
}

/* ---- in ---- */

void aggfrag_open(struct aggfrag_walk *walk, struct esp_sa *sa, const struct esp_open_job *job) {
    *walk = (struct aggfrag_walk){.sa = sa, .at = job->inner, .left = job->inner_length, .sequence = job->sequence};
}

static void pass(struct aggfrag_walk *walk, size_t octets) {
    walk->at += octets;
    walk->left -= octets;
}

static void end_badly(struct aggfrag_walk *walk) {
    walk->left = 0;
    counter_add(&walk->sa->counters.policy_drops, 1);
}

/* A packet that was whole or is put together now. */
static bool admit(struct esp_sa *sa, const uint8_t *packet, size_t length) {
    size_t total;
    if (!inner_allowed(sa, packet, length, packet[0] >> 4, &total) || total != length) {
        counter_add(&sa->counters.policy_drops, 1);
        return false;
    }
    counter_add(&sa->counters.packets_in, 1);
    counter_add(&sa->counters.bytes_in, length);
    return true;
}

/* False: it completes nothing that may come in. */
static bool add_piece(struct esp_sa *sa, const struct piece *piece, uint8_t **inner, size_t *length) {
    if (sa->pieces == NULL)
        sa->pieces = pieces_new();
    if (sa->pieces == NULL)
        return false;
    struct span whole = pieces_add(sa->pieces, piece);
    if (whole.length == 0 || !admit(sa, whole.at, whole.length))
        return false;
    *inner = (uint8_t *)whole.at; /* the SA's own memory */
    *length = whole.length;
    return true;
}

/* The header, and what belongs to an earlier packet. True: that is complete. */
static bool open_payload(struct aggfrag_walk *walk, uint8_t **inner, size_t *length) {
    struct reader r = reader_over(walk->at, walk->left);
    uint8_t sub_type;
    uint16_t offset;
    walk->opened = true;
    if (!reader_u8(&r, &sub_type) || !reader_skip(&r, 1) || !reader_u16(&r, &offset) ||
        sub_type > SUB_TYPE_CONGESTION || (sub_type == SUB_TYPE_CONGESTION && !reader_skip(&r, CONGESTION_LENGTH))) {
        end_badly(walk);
        return false;
    }
    pass(walk, walk->left - r.left);
    bool nothing = offset == 0 && (walk->left == 0 || walk->at[0] >> 4 == BLOCK_PAD);
    if (nothing) { /* may stand between the pieces of a packet */
        walk->left = 0;
        return walk->sa->pieces != NULL &&
               add_piece(walk->sa, &(struct piece){.sequence = walk->sequence}, inner, length);
    }
    if (offset == 0) {
        if (walk->sa->pieces != NULL)
            pieces_none_before(walk->sa->pieces, walk->sequence);
        return false;
    }
    const struct piece piece = {.sequence = walk->sequence,
        .ends = offset <= walk->left,
        .octets = walk->at,
        .length = offset <= walk->left ? offset : walk->left};
    pass(walk, piece.length);
    if (piece.ends && walk->left == 0 && walk->sa->pieces != NULL)
        pieces_none_behind(walk->sa->pieces, walk->sequence);
    return add_piece(walk->sa, &piece, inner, length);
}

/* What a packet says of its length; false: too little of it is here to tell. */
static bool block_length(const struct aggfrag_walk *walk, size_t *total) {
    struct reader r = reader_over(walk->at, walk->left);
    uint16_t field;
    bool v4 = walk->at[0] >> 4 == BLOCK_IPV4;
    if (!reader_skip(&r, v4 ? 2 : 4) || !reader_u16(&r, &field))
        return false;
    *total = v4 ? field : IPV6_HEADER_LENGTH + field;
    return true;
}

/* The rest of the payload begins a packet that goes on in the next one. */
static bool take_beginning(struct aggfrag_walk *walk, uint8_t **inner, size_t *length) {
    const struct piece piece = {.sequence = walk->sequence, .begins = true, .octets = walk->at, .length = walk->left};
    walk->left = 0;
    return add_piece(walk->sa, &piece, inner, length);
}

/* The data block in front. True: *inner is a packet. */
static bool take_block(struct aggfrag_walk *walk, uint8_t **inner, size_t *length, bool *pieced) {
    struct esp_sa *sa = walk->sa;
    uint8_t type = walk->at[0] >> 4;
    size_t total = walk->left;
    *pieced = true;
    if (type == BLOCK_IPV4 || type == BLOCK_IPV6) {
        if (!block_length(walk, &total) || total > walk->left)
            return take_beginning(walk, inner, length);
    }
    bool known = type == BLOCK_PAD || type == BLOCK_IPV6 || (type == BLOCK_IPV4 && total >= IPV4_HEADER_LENGTH);
    if (!known) { /* where the next one begins nobody can tell */
        end_badly(walk);
        return false;
    }
    *inner = walk->at;
    *length = total;
    *pieced = false;
    pass(walk, total);
    if (walk->left == 0 && sa->pieces != NULL)
        pieces_none_behind(sa->pieces, walk->sequence);
    return type != BLOCK_PAD && admit(sa, *inner, total);
}

bool aggfrag_next(struct aggfrag_walk *walk, uint8_t **inner, size_t *length, bool *pieced) {
    *pieced = true;
    if (!walk->opened && open_payload(walk, inner, length))
        return true;
    while (walk->left > 0)
        if (take_block(walk, inner, length, pieced))
            return true;
    return false;
}
