/* dns.c: the header of a DNS message, and walking over records without reading them (RFC 1035, sections 4.1.1 to 4.1.4). */
#include "wire/dns.h"

#include "wire/reader.h"

#define FLAG_ANSWER 0x8000u
#define FLAG_TRUNCATED 0x0200u
#define RCODE_MASK 0x000fu
#define RCODE_REFUSED 5u
#define LABEL_POINTER 0xc0u
#define FIXED_OF_RECORD 8u /* type, class, TTL; the length of its data follows */
#define FIXED_OF_QUESTION 4u

struct dns_header {
    uint16_t id, flags, questions, answers, authorities, additional;
};

static bool read_header(struct reader *r, struct dns_header *h) {
    return reader_u16(r, &h->id) && reader_u16(r, &h->flags) && reader_u16(r, &h->questions) &&
           reader_u16(r, &h->answers) && reader_u16(r, &h->authorities) && reader_u16(r, &h->additional);
}

bool dns_is_question(struct span message, uint16_t *id) {
    struct reader r = reader_over(message.at, message.length);
    struct dns_header header;
    if (!read_header(&r, &header) || (header.flags & FLAG_ANSWER) != 0)
        return false;
    *id = header.id;
    return true;
}

bool dns_is_answer(struct span message, uint16_t *id, bool *truncated) {
    struct reader r = reader_over(message.at, message.length);
    struct dns_header header;
    if (!read_header(&r, &header) || (header.flags & FLAG_ANSWER) == 0)
        return false;
    *id = header.id;
    *truncated = (header.flags & FLAG_TRUNCATED) != 0;
    return true;
}

/* Labels up to the empty one, or up to a pointer, which is where a name ends as well. */
static bool skip_name(struct reader *r) {
    uint8_t label;
    do {
        if (!reader_u8(r, &label))
            return false;
        if ((label & LABEL_POINTER) == LABEL_POINTER)
            return reader_skip(r, 1);
        if ((label & LABEL_POINTER) != 0 || !reader_skip(r, label))
            return false;
    } while (label != 0);
    return true;
}

static bool skip_record(struct reader *r) {
    uint16_t length;
    return skip_name(r) && reader_skip(r, FIXED_OF_RECORD) && reader_u16(r, &length) && reader_skip(r, length);
}

static void put_u16(uint8_t *at, unsigned value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

size_t dns_shorten(uint8_t *message, size_t length, size_t most) {
    struct reader r = reader_over(message, length);
    struct dns_header header;
    uint16_t kept = 0;
    if (!read_header(&r, &header))
        return 0;
    for (uint16_t i = 0; i < header.questions; i++)
        if (!skip_name(&r) || !reader_skip(&r, FIXED_OF_QUESTION))
            return 0;
    size_t end = length - r.left;
    if (end > most)
        return 0;
    while (kept < header.answers && skip_record(&r) && length - r.left <= most) {
        end = length - r.left;
        kept++;
    }
    put_u16(message + 2, header.flags & ~FLAG_TRUNCATED);
    put_u16(message + 6, kept);
    put_u16(message + 8, 0);
    put_u16(message + 10, 0);
    return end;
}

void dns_refuse(uint8_t *message) {
    unsigned flags = (unsigned)message[2] << 8 | message[3];
    put_u16(message + 2, (flags & ~RCODE_MASK) | FLAG_ANSWER | RCODE_REFUSED);
}
