/* message_sa.c: Security Association payloads: proposals, transforms, key lengths. RFC 7296 section 3.3. */
#include "wire/message.h"

#include "wire/internal.h"

#define MORE_PROPOSALS 2
#define MORE_TRANSFORMS 3
#define PROPOSAL_HEADER_LENGTH 8
#define TRANSFORM_HEADER_LENGTH 8
#define ATTRIBUTE_SHORT 0x8000 /* the value stands where else the length is */
#define ATTRIBUTE_KEY_LENGTH 14

static bool attributes_read(struct reader *r, struct transform *out, struct error *err) {
    while (!reader_end(r)) {
        uint16_t type, value;
        if (!reader_u16(r, &type) || !reader_u16(r, &value))
            return syntax(err, "a transform attribute is cut off");
        if ((type & ATTRIBUTE_SHORT) == 0 && !reader_skip(r, value))
            return syntax(err, "a transform attribute says %u octets; %zu are left", value, r->left);
        if (type == (ATTRIBUTE_SHORT | ATTRIBUTE_KEY_LENGTH) && out->key_bits == 0 && value != 0)
            out->key_bits = value;
        else
            out->unknown = true;
    }
    return true;
}

static bool transform_read(struct reader *r, struct transform *out, bool *more, struct error *err) {
    uint8_t last, reserved;
    uint16_t length;
    struct reader body;
    size_t left = r->left;
    if (!reader_u8(r, &last) || !reader_u8(r, &reserved) || !reader_u16(r, &length))
        return syntax(err, "a transform is cut off after %zu octets", left);
    if (last != 0 && last != MORE_TRANSFORMS)
        return syntax(err, "a transform is marked %u, which is neither last (0) nor more (3)", last);
    if (length < TRANSFORM_HEADER_LENGTH || !reader_sub(r, length - 4u, &body))
        return syntax(err, "a transform says %u octets; %zu are left", length, left);
    *out = (struct transform){0};
    if (!reader_u8(&body, &out->type) || !reader_u8(&body, &reserved) || !reader_u16(&body, &out->id))
        return syntax(err, "a transform is cut off");
    *more = last == MORE_TRANSFORMS;
    return attributes_read(&body, out, err);
}

static bool transforms_read(struct reader *r, uint8_t announced, struct proposal *out, struct error *err) {
    bool more = announced > 0;
    while (more) {
        if (out->transforms >= TRANSFORMS_MAX)
            return syntax(err, "proposal %u has more than %d transforms", out->number, TRANSFORMS_MAX);
        if (!transform_read(r, &out->transform[out->transforms], &more, err))
            return false;
        out->transforms++;
    }
    if (out->transforms != announced)
        return syntax(err, "proposal %u announces %u transforms and has %zu", out->number, announced, out->transforms);
    if (!reader_end(r))
        return syntax(err, "%zu octets are left over in proposal %u", r->left, out->number);
    return true;
}

static bool spi_read(struct reader *r, struct proposal *out, struct error *err) {
    uint32_t spi = 0;
    bool good = out->spi_length == 0 || out->spi_length == 4 || out->spi_length == 8;
    if (good && out->protocol == PROTOCOL_IKE)
        good = out->spi_length != 4;
    if (good && (out->protocol == PROTOCOL_ESP || out->protocol == PROTOCOL_AH))
        good = out->spi_length == 4;
    if (!good)
        return syntax(
            err, "proposal %u for protocol %u has an SPI of %u octets", out->number, out->protocol, out->spi_length);
    if (out->spi_length == 8)
        good = reader_u64(r, &out->spi);
    else if (out->spi_length == 4)
        good = reader_u32(r, &spi);
    if (!good)
        return syntax(err, "the SPI of proposal %u is cut off", out->number);
    if (out->spi_length == 4)
        out->spi = spi;
    return true;
}

static bool proposal_read(struct reader *r, struct proposal *out, bool *more, struct error *err) {
    uint8_t last, reserved, announced;
    uint16_t length;
    struct reader body;
    size_t left = r->left;
    if (!reader_u8(r, &last) || !reader_u8(r, &reserved) || !reader_u16(r, &length))
        return syntax(err, "a proposal is cut off after %zu octets", left);
    if (last != 0 && last != MORE_PROPOSALS)
        return syntax(err, "a proposal is marked %u, which is neither last (0) nor more (2)", last);
    if (length < PROPOSAL_HEADER_LENGTH || !reader_sub(r, length - 4u, &body))
        return syntax(err, "a proposal says %u octets; %zu are left", length, left);
    out->spi = 0;
    out->transforms = 0;
    if (!reader_u8(&body, &out->number) || !reader_u8(&body, &out->protocol) || !reader_u8(&body, &out->spi_length) ||
        !reader_u8(&body, &announced))
        return syntax(err, "a proposal is cut off");
    *more = last == MORE_PROPOSALS;
    return spi_read(&body, out, err) && transforms_read(&body, announced, out, err);
}

bool sa_read(struct span body, struct proposal_list *out, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    out->count = 0;
    bool more = true;
    while (more) {
        if (out->count >= PROPOSALS_MAX)
            return syntax(err, "more than %d proposals", PROPOSALS_MAX);
        if (!proposal_read(&r, &out->proposal[out->count], &more, err))
            return false;
        out->count++;
    }
    if (!reader_end(&r))
        return syntax(err, "%zu octets are left over behind the last proposal", r.left);
    return true;
}

static void transform_write(struct writer *w, const struct transform *transform, bool more) {
    writer_u8(w, more ? MORE_TRANSFORMS : 0);
    writer_u8(w, 0);
    struct mark length = writer_open_u16(w, 2);
    writer_u8(w, transform->type);
    writer_u8(w, 0);
    writer_u16(w, transform->id);
    if (transform->key_bits != 0) {
        writer_u16(w, ATTRIBUTE_SHORT | ATTRIBUTE_KEY_LENGTH);
        writer_u16(w, transform->key_bits);
    }
    writer_close(w, length);
}

static void proposal_write(struct writer *w, const struct proposal *proposal, bool more) {
    writer_u8(w, more ? MORE_PROPOSALS : 0);
    writer_u8(w, 0);
    struct mark length = writer_open_u16(w, 2);
    writer_u8(w, proposal->number);
    writer_u8(w, proposal->protocol);
    writer_u8(w, proposal->spi_length);
    writer_u8(w, (uint8_t)proposal->transforms);
    if (proposal->spi_length == 8)
        writer_u64(w, proposal->spi);
    else if (proposal->spi_length == 4)
        writer_u32(w, (uint32_t)proposal->spi);
    for (size_t i = 0; i < proposal->transforms; i++)
        transform_write(w, &proposal->transform[i], i + 1 < proposal->transforms);
    writer_close(w, length);
}

void sa_write(struct writer *w, const struct proposal_list *list) {
    for (size_t i = 0; i < list->count; i++)
        proposal_write(w, &list->proposal[i], i + 1 < list->count);
}
