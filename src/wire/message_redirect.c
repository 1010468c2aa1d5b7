/* message_redirect.c: the data of REDIRECT and REDIRECTED_FROM (RFC 5685, sections 5 and 6): who the other gateway is, by
 * address or by name, and the nonce that an answer to IKE_SA_INIT proves itself with. */
#include "wire/message.h"

#include <ctype.h>
#include <string.h>

#include "wire/internal.h"

enum { GATEWAY_IPV4 = 1, GATEWAY_IPV6 = 2, GATEWAY_NAME = 3 };

bool gateway_name_ok(const char *name) {
    size_t length = strlen(name);
    bool letter = false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];
        if (!isalnum(c) && c != '-' && c != '_' && c != '.')
            return false;
        letter |= isalpha(c) != 0;
    }
    return letter && length < GATEWAY_MAX && name[0] != '.' && name[0] != '-';
}

static bool read_address(struct span identity, uint8_t family, char out[GATEWAY_MAX]) {
    struct address address = {.family = family};
    if (identity.length != address_octets(&address))
        return false;
    memcpy(address.octets, identity.at, identity.length);
    if (address_is_any(&address))
        return false;
    char text[ADDRESS_TEXT_MAX];
    address_text(&address, text);
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool read_name(struct span identity, char out[GATEWAY_MAX]) {
    if (identity.length == 0 || identity.length >= GATEWAY_MAX || memchr(identity.at, 0, identity.length) != NULL)
        return false;
    memcpy(out, identity.at, identity.length);
    out[identity.length] = '\0';
    return gateway_name_ok(out);
}

bool redirect_read(struct span data, char gateway[GATEWAY_MAX], struct span *nonce, struct error *err) {
    struct reader r = reader_over(data.at, data.length), identity;
    uint8_t type, length;
    if (!reader_u8(&r, &type) || !reader_u8(&r, &length) || !reader_sub(&r, length, &identity))
        return syntax(err, "a gateway's identity of %zu octets is cut off", data.length);
    struct span octets = span_of(identity.at, identity.left);
    bool ok = type == GATEWAY_IPV4   ? read_address(octets, 4, gateway)
              : type == GATEWAY_IPV6 ? read_address(octets, 6, gateway)
                                     : type == GATEWAY_NAME && read_name(octets, gateway);
    *nonce = span_of(r.at, r.left);
    return ok || syntax(err, "a gateway's identity of type %u that is none", type);
}

void redirect_write(struct writer *w, const char *gateway, struct span nonce) {
    struct address address;
    struct error ignored;
    bool numeric = address_parse(gateway, &address, &ignored);
    size_t length = numeric ? address_octets(&address) : strlen(gateway);
    writer_u8(w, !numeric ? GATEWAY_NAME : address.family == 4 ? GATEWAY_IPV4 : GATEWAY_IPV6);
    writer_u8(w, (uint8_t)length);
    writer_octets(w, numeric ? (const void *)address.octets : gateway, length);
    writer_span(w, nonce);
}
