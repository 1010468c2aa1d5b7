/* seal.c: a chain of payloads becomes a message of ours: bare (IKE_SA_INIT), inside SK (RFC 7296 section 3.14), and in
 * fragments inside SKF (RFC 7383) for carriers that may lose them. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

#define SKF_FIELDS ((size_t)4) /* fragment number, total fragments */

struct piece { /* what goes into one SK or SKF */
    uint8_t first;
    struct span text;
    uint16_t number, total; /* 0: SK */
};

static void write_iv(struct ike_sa *sa, uint8_t *iv, size_t length) {
    if (!cipher_is_aead(sa->keys.suite.encr)) {
        random_fill(&sa->random, iv, length);
        return;
    }
    struct writer w = writer_over(iv, length);
    writer_u64(&w, sa->keys.next_iv++); /* never twice under a key */
}

/* Octets with padding and the pad length field. */
static size_t padded(const struct ike_sa *sa, size_t text) {
    size_t block = cipher_block(sa->keys.suite);
    return (text + 1 + block - 1) / block * block;
}

static bool seal_piece(
    struct ike_sa *sa, const struct ike_header *header, const struct piece *piece, struct writer *w) {
    struct cipher_suite suite = sa->keys.suite;
    struct message_writer m = message_begin(w, header);
    payload_begin(&m, piece->total != 0 ? PAYLOAD_SKF : PAYLOAD_SK);
    if (writer_ok(w))
        w->start[m.next_field] = piece->first;
    if (piece->total != 0) {
        writer_u16(w, piece->number);
        writer_u16(w, piece->total);
    }
    size_t aad = w->length - m.start, length = padded(sa, piece->text.length);
    uint8_t *iv = writer_reserve(w, cipher_iv_length(suite));
    uint8_t *text = writer_reserve(w, length);
    uint8_t *icv = writer_reserve(w, cipher_icv_length(suite));
    payload_end(&m);
    message_end(&m);
    if (!writer_ok(w) || iv == NULL || text == NULL || icv == NULL)
        return false;
    write_iv(sa, iv, cipher_iv_length(suite));
    memset(text, 0, length);
    if (piece->text.length > 0)
        memcpy(text, piece->text.at, piece->text.length);
    text[length - 1] = (uint8_t)(length - 1 - piece->text.length);
    struct cipher_job job = {
        .aad = w->start + m.start, .aad_length = aad, .iv = iv, .text = text, .length = length, .icv = icv};
    struct cipher *cipher = keys_cipher(&sa->keys, true);
    bool sealed = cipher != NULL && cipher_seal(cipher, &job, 1) == 1;
    cipher_free(cipher);
    return sealed;
}

/* Octets of the chain that one fragment takes. */
static size_t fragment_room(const struct ike_sa *sa) {
    struct cipher_suite suite = sa->keys.suite;
    size_t around =
        IKE_HEADER_LENGTH + PAYLOAD_HEADER_LENGTH + SKF_FIELDS + cipher_iv_length(suite) + cipher_icv_length(suite);
    size_t block = cipher_block(suite);
    return (FRAGMENT_OCTETS - around) / block * block - 1;
}

static bool seal_fragments(struct ike_sa *sa, const struct ike_header *header, uint8_t first, struct span chain,
    struct writer *w, struct sealed *out) {
    size_t room = fragment_room(sa), total = (chain.length + room - 1) / room;
    if (total > FRAGMENTS_OUT_MAX)
        return false;
    struct reader r = reader_over(chain.at, chain.length);
    for (size_t n = 1; n <= total; n++) {
        struct piece piece = {.first = n == 1 ? first : PAYLOAD_NONE, .number = (uint16_t)n, .total = (uint16_t)total};
        size_t before = w->length;
        if (!reader_span(&r, r.left < room ? r.left : room, &piece.text) || !seal_piece(sa, header, &piece, w))
            return false;
        out->fragment[out->fragments++] = w->length - before;
    }
    return true;
}

static bool seal_bare(const struct ike_header *header, uint8_t first, struct span chain, struct writer *w) {
    struct message_writer m = message_begin(w, header);
    if (writer_ok(w))
        w->start[m.next_field] = first;
    writer_span(w, chain);
    message_end(&m);
    return writer_ok(w);
}

bool seal(struct ike_sa *sa, const struct ike_header *header, uint8_t first, struct span chain, struct sealed *out,
    struct error *err) {
    uint8_t octets[2 * (MESSAGE_MAX + FRAGMENT_OCTETS)];
    struct writer w = writer_over(octets, sizeof octets);
    bool bare = exchange_is_first(header->exchange);
    struct piece whole = {.first = first, .text = chain};
    *out = (struct sealed){0};
    if (!(bare ? seal_bare(header, first, chain, &w) : seal_piece(sa, header, &whole, &w)) || w.length > MESSAGE_MAX)
        return fail(err, OURS, NOTIFY_NONE, "a message of %zu octets could not be sealed", chain.length);
    out->whole = w.length;
    if (!bare && sa->fragmentation && w.length > FRAGMENT_OCTETS && !seal_fragments(sa, header, first, chain, &w, out))
        return fail(err, OURS, NOTIFY_NONE, "a message of %zu octets could not be cut into fragments", chain.length);
    out->octets = malloc(w.length);
    if (out->octets == NULL)
        return fail(err, OURS, NOTIFY_NONE, "no memory for a message of %zu octets", w.length);
    memcpy(out->octets, octets, w.length);
    return true;
}

static void output_add(struct ike_output *out, const uint8_t *octets, size_t length, bool reply) {
    if (out->datagrams >= IKE_DATAGRAMS_MAX || length > IKE_OUTPUT_OCTETS - out->used)
        return; /* as if lost on the way: what came before asks for it again */
    memcpy(out->octets + out->used, octets, length);
    out->datagram[out->datagrams++] = (struct ike_datagram){.at = out->used, .length = length, .reply = reply};
    out->used += length;
}

void sealed_send(const struct ike_sa *sa, const struct sealed *sealed, struct ike_output *out, bool reply) {
    if (sealed->octets == NULL)
        return;
    if (sealed->fragments == 0 || sa->reliable) { /* K7 */
        output_add(out, sealed->octets, sealed->whole, reply);
        return;
    }
    size_t at = sealed->whole;
    for (size_t i = 0; i < sealed->fragments; i++) {
        output_add(out, sealed->octets + at, sealed->fragment[i], reply);
        at += sealed->fragment[i];
    }
}

void sealed_free(struct sealed *sealed) {
    free(sealed->octets);
    *sealed = (struct sealed){0};
}
