/* message_identity.c: identities, on the wire and as ipsec.conf writes them. RFC 7296 section 3.5. */
#include "wire/message.h"

#include <stdio.h>
#include <string.h>

#include "wire/internal.h"

bool identity_read(struct span body, struct identity *out, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    memset(out, 0, sizeof *out);
    if (!reader_u8(&r, &out->type) || !reader_skip(&r, 3))
        return syntax(err, "an identification payload of %zu octets is cut off", body.length);
    size_t length = r.left;
    if (out->type == ID_NULL) /* RFC 7619: well-formed, and proves nobody */
        return fail(err, PEER, NOTIFY_AUTHENTICATION_FAILED,
            "authentication failed: the peer wants to stay anonymous (ID_NULL), which is not done here");
    if (out->type == ID_NONE || length == 0)
        return syntax(err, "an identity of type %u with %zu octets", out->type, length);
    if ((out->type == ID_IPV4_ADDR && length != 4) || (out->type == ID_IPV6_ADDR && length != 16))
        return syntax(err, "an address as identity (type %u) with %zu octets", out->type, length);
    if (length > IDENTITY_MAX)
        return syntax(err, "an identity of %zu octets; %zu is the most", length, IDENTITY_MAX);
    out->length = length;
    return reader_copy(&r, length, out->data);
}

void identity_write(struct writer *w, const struct identity *id) {
    writer_u8(w, id->type);
    writer_zero(w, 3);
    writer_octets(w, id->data, id->length);
}

void identity_pack(struct writer *w, const struct identity *id) {
    writer_u8(w, id->type);
    writer_u16(w, (uint16_t)id->length);
    writer_octets(w, id->data, id->length);
}

bool identity_unpack(struct reader *r, struct identity *id) {
    uint16_t length;
    *id = (struct identity){0};
    if (!reader_u8(r, &id->type) || !reader_u16(r, &length) || length > sizeof id->data ||
        !reader_copy(r, length, id->data))
        return false;
    id->length = length;
    return id->type != ID_NONE || length == 0;
}

bool identity_equal(const struct identity *a, const struct identity *b) {
    return a->type == b->type && a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
}

/* Appends octets that print; the others are shown as '?'. */
static void printable(char *out, const char *before, const struct identity *id) {
    struct writer w = writer_over(out, IDENTITY_TEXT_MAX - 1);
    writer_octets(&w, before, strlen(before));
    for (size_t i = 0; i < id->length; i++)
        writer_u8(&w, id->data[i] > 0x20 && id->data[i] < 0x7f ? id->data[i] : '?');
    out[w.length] = 0;
}

/* Two digits an octet; what does not fit ends with "...". */
static void hexadecimal(char *out, const char *before, const struct identity *id) {
    static const char digit[] = "0123456789abcdef";
    struct writer w = writer_over(out, IDENTITY_TEXT_MAX - 4);
    writer_octets(&w, before, strlen(before));
    for (size_t i = 0; i < id->length && w.capacity - w.length >= 2; i++) {
        writer_u8(&w, (uint8_t)digit[id->data[i] >> 4]);
        writer_u8(&w, (uint8_t)digit[id->data[i] & 15]);
    }
    bool cut = w.length < strlen(before) + 2 * id->length;
    memcpy(out + w.length, cut ? "..." : "", cut ? 4 : 1);
}

const char *identity_text(const struct identity *id, char *out) {
    struct address address = {0};
    switch (id->type) {
    case ID_NONE:
        snprintf(out, IDENTITY_TEXT_MAX, "%%any");
        break;
    case ID_IPV4_ADDR:
    case ID_IPV6_ADDR:
        address.family = id->type == ID_IPV4_ADDR ? 4 : 6;
        memcpy(address.octets, id->data, address_octets(&address));
        address_text(&address, out);
        break;
    case ID_FQDN:
        printable(out, "@", id);
        break;
    case ID_RFC822_ADDR:
        printable(out, "", id);
        break;
    case ID_KEY_ID:
        hexadecimal(out, "@#", id);
        break;
    case ID_DER_ASN1_DN:
        hexadecimal(out, "@~", id);
        break;
    default: {
        char before[24];
        snprintf(before, sizeof before, "type %u: ", id->type);
        hexadecimal(out, before, id);
    }
    }
    return out;
}
