/* message.c: the IKE header and the chain of payloads, in and out. RFC 7296 sections 3.1 and 3.2. */
#include "wire/message.h"

#include "wire/internal.h"

bool ike_header_read(struct span message, struct ike_header *out, struct error *err) {
    struct reader r = reader_over(message.at, message.length);
    if (!reader_u64(&r, &out->spi_i) || !reader_u64(&r, &out->spi_r) || !reader_u8(&r, &out->next_payload) ||
        !reader_u8(&r, &out->version) || !reader_u8(&r, &out->exchange) || !reader_u8(&r, &out->flags) ||
        !reader_u32(&r, &out->message_id) || !reader_u32(&r, &out->length))
        return syntax(
            err, "an IKE message of %zu octets is shorter than its header of %zu", message.length, IKE_HEADER_LENGTH);
    if (out->length != message.length)
        return syntax(err, "the IKE header says %u octets, but %zu came", out->length, message.length);
    return true;
}

bool ike_spis_peek(struct span message, uint64_t *spi_i, uint64_t *spi_r) {
    struct reader r = reader_over(message.at, message.length);
    return message.length >= IKE_HEADER_LENGTH && reader_u64(&r, spi_i) && reader_u64(&r, spi_r);
}

static bool read_one(struct reader *r, uint8_t type, struct payload *out, uint8_t *next, struct error *err) {
    uint8_t flags;
    uint16_t length;
    size_t left = r->left;
    if (!reader_u8(r, next) || !reader_u8(r, &flags) || !reader_u16(r, &length))
        return syntax(err, "%zu octets are left for a payload of type %u, whose header needs %zu", left, type,
            PAYLOAD_HEADER_LENGTH);
    if (length < PAYLOAD_HEADER_LENGTH)
        return syntax(err, "a payload of type %u says %u octets, less than its header", type, length);
    *out = (struct payload){.type = type, .critical = (flags & 0x80) != 0};
    if (!reader_span(r, length - PAYLOAD_HEADER_LENGTH, &out->body))
        return syntax(err, "a payload of type %u says %u octets; %zu are left", type, length, left);
    return true;
}

bool payload_chain_read(
    uint8_t first, struct span octets, struct payload_list *list, uint8_t *inner_first, struct error *err) {
    struct reader r = reader_over(octets.at, octets.length);
    for (uint8_t type = first; type != PAYLOAD_NONE;) {
        if (list->count >= IKE_PAYLOADS_MAX)
            return syntax(err, "more than %d payloads in one message", IKE_PAYLOADS_MAX);
        uint8_t next = PAYLOAD_NONE;
        if (!read_one(&r, type, &list->payload[list->count], &next, err))
            return false;
        list->count++;
        if (type == PAYLOAD_SK || type == PAYLOAD_SKF) { /* its "next" is inside: section 3.14 */
            if (inner_first != NULL)
                *inner_first = next;
            break;
        }
        type = next;
    }
    if (!reader_end(&r))
        return syntax(err, "%zu octets are left over behind the last payload", r.left);
    return true;
}

const struct payload *payload_find(const struct payload_list *list, uint8_t type, size_t n) {
    for (size_t i = 0; i < list->count; i++)
        if (list->payload[i].type == type && n-- == 0)
            return &list->payload[i];
    return NULL;
}

/* Offsets in the header of what is filled later. */
#define AT_NEXT_PAYLOAD 16
#define AT_LENGTH 24

struct message_writer message_begin(struct writer *out, const struct ike_header *header) {
    struct message_writer m = {.out = out, .start = out->length, .next_field = out->length + AT_NEXT_PAYLOAD};
    writer_u64(out, header->spi_i);
    writer_u64(out, header->spi_r);
    writer_u8(out, header->next_payload); /* until there is a payload */
    writer_u8(out, header->version);
    writer_u8(out, header->exchange);
    writer_u8(out, header->flags);
    writer_u32(out, header->message_id);
    writer_u32(out, 0);
    return m;
}

struct message_writer chain_begin(struct writer *out, uint8_t *first) {
    *first = PAYLOAD_NONE;
    return (struct message_writer){.out = out, .start = out->length, .first = first};
}

void payload_begin(struct message_writer *m, uint8_t type) {
    if (m->first != NULL) {
        *m->first = type;
        m->first = NULL;
    } else if (writer_ok(m->out)) {
        m->out->start[m->next_field] = type;
    }
    m->next_field = m->out->length;
    writer_u8(m->out, PAYLOAD_NONE);
    writer_u8(m->out, 0);
    m->open = writer_open_u16(m->out, 2);
}

void payload_end(struct message_writer *m) {
    writer_close(m->out, m->open);
}

void message_end(struct message_writer *m) {
    if (!writer_ok(m->out))
        return;
    size_t length = m->out->length - m->start;
    if (length > UINT32_MAX) {
        m->out->overflow = true;
        return;
    }
    struct writer field = writer_over(m->out->start + m->start + AT_LENGTH, sizeof(uint32_t));
    writer_u32(&field, (uint32_t)length);
}
