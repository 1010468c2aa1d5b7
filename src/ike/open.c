/* open.c: a message of the peer's: outer payloads, then what SK or SKF protects. RFC 7296 section 3.14, RFC 7383. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

struct inbound *inbound_new(struct span message) {
    struct inbound *in = calloc(1, sizeof *in);
    if (in == NULL)
        return NULL;
    in->octets = malloc(message.length + 1);
    if (in->octets == NULL) {
        free(in);
        return NULL;
    }
    if (message.length > 0)
        memcpy(in->octets, message.at, message.length);
    in->length = message.length;
    return in;
}

void inbound_free(struct inbound *in) {
    if (in == NULL)
        return;
    wipe(in->octets, in->length);
    if (in->joined != NULL)
        wipe(in->joined, in->joined_length);
    free(in->octets);
    free(in->joined);
    free(in);
}

/* Decrypts `body` where it lies in in->octets and checks the padding. */
static bool decrypt(struct ike_sa *sa, struct inbound *in, struct reader *body) {
    struct cipher_suite suite = sa->keys.suite;
    size_t iv_length = cipher_iv_length(suite), icv_length = cipher_icv_length(suite);
    size_t iv_at = in->length - body->left; /* SK ends the message */
    if (body->left < iv_length + icv_length + 1)
        return false;
    size_t length = body->left - iv_length - icv_length;
    if (length % cipher_block(suite) != 0)
        return false;
    uint8_t *iv = in->octets + iv_at;
    struct cipher_job job = {.aad = in->octets,
        .aad_length = iv_at,
        .iv = iv,
        .text = iv + iv_length,
        .length = length,
        .icv = iv + iv_length + length};
    struct cipher *cipher = keys_cipher(&sa->keys, false);
    bool authentic = cipher != NULL && cipher_open(cipher, &job, 1) == 1;
    cipher_free(cipher);
    if (!authentic)
        return false;
    size_t padding = (size_t)job.text[length - 1] + 1;
    if (padding > length)
        return false;
    in->inner = span_of(job.text, length - padding);
    return true;
}

enum opened inbound_open(struct ike_sa *sa, struct inbound *in) {
    struct error ignored;
    struct span chain = span_of(in->octets + IKE_HEADER_LENGTH, in->length - IKE_HEADER_LENGTH);
    if (!payload_chain_read(in->header.next_payload, chain, &in->list, &in->first, &ignored))
        return OPEN_CORRUPT;
    const struct payload *last = in->list.count > 0 ? &in->list.payload[in->list.count - 1] : NULL;
    if (last == NULL || (last->type != PAYLOAD_SK && last->type != PAYLOAD_SKF))
        return OPEN_UNPROTECTED;
    struct reader body = reader_over(last->body.at, last->body.length);
    if (last->type == PAYLOAD_SKF && (!reader_u16(&body, &in->fragment) || !reader_u16(&body, &in->fragments) ||
                                         in->fragment == 0 || in->fragment > in->fragments))
        return OPEN_CORRUPT;
    return decrypt(sa, in, &body) ? OPENED : OPEN_CORRUPT;
}
