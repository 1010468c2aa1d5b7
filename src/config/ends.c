/* ends.c: readers of what an end says about itself: left=, leftid=, leftsubnet=, leftsubnets=, leftsourceip=; listen=. */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool wrong(const struct reading *reading, const char *what) {
    complain(reading->diagnostics, reading->setting->value_place, "'%.60s' is not right: %s", reading->value, what);
    return false;
}

bool is_host_name(const char *text) {
    size_t length = strlen(text), label = 0;
    bool letter = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == '.' ? label == 0 : !isalnum((unsigned char)c) && c != '-' && c != '_')
            return false;
        label = c == '.' ? 0 : label + 1;
        if (label > 63)
            return false;
        letter |= !isdigit((unsigned char)c) && c != '.';
    }
    return length > 0 && length < 254 && letter;
}

static bool read_magic_host(const struct reading *reading, struct config_end *end) {
    const char *value = reading->value;
    if (strcasecmp(value, "%any") == 0 || strcasecmp(value, "%any6") == 0)
        end->kind = HOST_ANY;
    else if (strcasecmp(value, "%defaultroute") == 0 || strcasecmp(value, "%defaultroute6") == 0)
        end->kind = HOST_DEFAULT_ROUTE;
    else
        return wrong(reading, "of the words with % only %any and %defaultroute are done; write an address or a name");
    if (strcasecmp(value, "%any6") == 0 || strcasecmp(value, "%defaultroute6") == 0)
        end->address.family = 6;
    return true;
}

bool read_host(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config_end *end = at;
    struct error err;
    (void)keyword;
    end->address = (struct address){0};
    end->name[0] = '\0';
    if (reading->value[0] == '%')
        return read_magic_host(reading, end);
    if (address_parse(reading->value, &end->address, &err)) {
        end->kind = address_is_any(&end->address) ? HOST_ANY : HOST_ADDRESS;
        return true;
    }
    if (!is_host_name(reading->value))
        return wrong(reading, "write an IPv4 or IPv6 address, a host name, %defaultroute or %any");
    end->kind = HOST_NAME;
    snprintf(end->name, sizeof end->name, "%s", reading->value);
    return true;
}

bool read_id(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config_end *end = at;
    const char *warning = NULL;
    (void)keyword;
    bool unset;
    const char *problem = identity_parse(reading->value, &end->id, &unset, &warning);
    if (problem)
        return wrong(reading, problem);
    if (warning)
        warn_at(reading->diagnostics, reading->setting->value_place, "'%.60s': %s", reading->value, warning);
    end->id_from_address = unset;
    return true;
}

bool read_source_ip(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config_end *end = at;
    struct error err;
    (void)keyword;
    if (!address_parse(reading->value, &end->source_ip, &err) || address_is_any(&end->source_ip))
        return wrong(reading, "write an IPv4 or IPv6 address of this host inside the tunnel");
    end->source_ip_set = true;
    return true;
}

bool read_listen(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct error err;
    (void)keyword;
    return address_parse(reading->value, at, &err) || wrong(reading, "write one IPv4 or IPv6 address of this host");
}

/* A dotted mask as a number of bits; false when it is none. */
static bool mask_length(const struct address *mask, uint8_t *length) {
    if (mask->family != 4)
        return false;
    uint32_t bits = (uint32_t)mask->octets[0] << 24 | (uint32_t)mask->octets[1] << 16 | (uint32_t)mask->octets[2] << 8 |
                    mask->octets[3];
    *length = 0;
    for (; bits & UINT32_C(0x80000000); bits <<= 1)
        (*length)++;
    return bits == 0;
}

static bool prefix_bits(const char *text, const struct address *address, uint8_t *length) {
    struct address mask;
    struct error err;
    size_t digits = strspn(text, "0123456789");
    if (text[digits] == '\0' && digits > 0 && digits < 4) {
        unsigned value = 0;
        for (size_t i = 0; i < digits; i++)
            value = value * 10 + (unsigned)(text[i] - '0');
        *length = (uint8_t)value;
        return value <= 8 * address_octets(address);
    }
    return address->family == 4 && address_parse(text, &mask, &err) && mask_length(&mask, length);
}

bool cidr_parse(const char *text, struct address *address, uint8_t *bits) {
    char copy[64];
    struct error err;
    snprintf(copy, sizeof copy, "%s", text);
    char *slash = strchr(copy, '/');
    if (!slash || strlen(text) >= sizeof copy)
        return false;
    *slash++ = '\0';
    return address_parse(copy, address, &err) && prefix_bits(slash, address, bits);
}

/* Sets the octets behind `length` bits to zero; true when one was not. */
static bool clear_host_bits(struct prefix *prefix) {
    bool any = false;
    for (size_t i = 0; i < address_octets(&prefix->address); i++) {
        size_t keep = prefix->length > 8 * i ? prefix->length - 8 * i : 0;
        uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff00u >> keep);
        any |= (prefix->address.octets[i] & ~mask) != 0;
        prefix->address.octets[i] &= mask;
    }
    return any;
}

/* strongSwan's 10.1.0.0/16[tcp/443]: cuts the brackets off. False: complained. */
static bool take_brackets(
    const struct reading *reading, struct place place, struct piece *piece, struct config_protoport *out) {
    const char *open = memchr(piece->at, '[', piece->length);
    *out = (struct config_protoport){.last = UINT16_MAX};
    if (!open)
        return true;
    size_t before = (size_t)(open - piece->at);
    struct piece inside = {open + 1, piece->length - before - 1};
    const char *problem = "write the closing ]";
    if (inside.length > 0 && inside.at[inside.length - 1] == ']') {
        inside.length--;
        problem = protoport_parse(inside, out);
    }
    if (problem)
        complain(reading->diagnostics, place, "'%.*s' is not right: %s", piece->length < 60 ? (int)piece->length : 60,
            piece->at, problem);
    piece->length = before;
    return !problem;
}

static bool add_subnet(const struct reading *reading, struct place place, struct config_end *end,
    const struct prefix *prefix, const struct config_protoport *protoport, uint8_t group) {
    for (size_t i = 0; i < end->subnets; i++)
        if (prefix_equal(&end->subnet[i], prefix) && protoport_equal(&end->subnet_protoport[i], protoport))
            return true;
    if (end->subnets == CONFIG_SUBNETS_MAX) {
        complain(reading->diagnostics, place, "at most %d subnets an end", CONFIG_SUBNETS_MAX);
        return false;
    }
    end->subnet[end->subnets] = *prefix;
    end->subnet_protoport[end->subnets] = *protoport;
    end->subnet_group[end->subnets++] = group;
    return true;
}

/* One subnet into *end; Libreswan's forms: address/bits, address/mask. */
static bool take_subnet(const struct reading *reading, struct piece piece, struct config_end *end, uint8_t group) {
    struct place place = place_in(reading->setting, (size_t)(piece.at - reading->value));
    char text[64] = "", shown[ADDRESS_TEXT_MAX];
    struct prefix prefix = {0};
    struct config_protoport protoport;
    struct error err;
    if (!take_brackets(reading, place, &piece, &protoport))
        return false;
    if (piece.length < sizeof text)
        memcpy(text, piece.at, piece.length);
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    int width = piece.length < 60 ? (int)piece.length : 60;
    if (piece.length > 6 && (strncasecmp(text, "vhost:", 6) == 0 || strncasecmp(text, "vnet:", 5) == 0)) {
        complain(reading->diagnostics, place, "'%.*s' is not right: vhost: and vnet: are of IKEv1; write a subnet",
            width, piece.at);
        return false;
    }
    bool address = address_parse(text, &prefix.address, &err);
    if (!address || (slash && !prefix_bits(slash, &prefix.address, &prefix.length))) {
        complain(reading->diagnostics, place,
            "'%.*s' is no subnet: write address/bits, such as 10.1.0.0/16 or 2001:db8::/32", width, piece.at);
        return false;
    }
    if (!slash)
        prefix.length = (uint8_t)(8 * address_octets(&prefix.address));
    prefix.address.port = 0;
    prefix.address.scope = 0;
    if (clear_host_bits(&prefix))
        warn_at(reading->diagnostics, place, "'%.*s' has bits behind its mask: taken as %s", width, piece.at,
            prefix_text(&prefix, shown));
    return add_subnet(reading, place, end, &prefix, &protoport, group);
}

static bool take_list(const struct reading *reading, struct config_end *end, bool one_sa) {
    size_t offset = 0, count = 0;
    struct piece piece;
    bool ok = true;
    while (piece_next(reading->value, &offset, ", \t", &piece)) {
        if (piece.length == 0)
            continue;
        count++;
        ok &= take_subnet(reading, piece, end, one_sa ? 0 : (uint8_t)(end->subnets + 1));
    }
    return ok && (count > 0 || wrong(reading, "write subnets between braces, such as {10.1.0.0/16 10.2.0.0/16}"));
}

/* Libreswan's: every pair of a left and a right one is a Child SA of its own. */
bool read_subnets(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)keyword;
    return take_list(reading, at, false);
}

/* Libreswan has one here, strongSwan several, which are the traffic selectors of one Child SA. */
bool read_subnet(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)keyword;
    return take_list(reading, at, true);
}

bool read_protoport(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config_end *end = at;
    (void)keyword;
    const char *problem = protoport_parse((struct piece){reading->value, strlen(reading->value)}, &end->protoport);
    return !problem || wrong(reading, problem);
}
