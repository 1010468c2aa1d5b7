/* address_text.c: addresses and prefixes from text and to text (RFC 4291 section 2.2, RFC 5952). Numbers only: no names
 * are looked up. */
#include "base/address.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A decimal number without a sign or leading zeros, at most `most`; moves *at behind it. */
static bool decimal(const char **at, uint32_t most, uint32_t *out) {
    const char *p = *at;
    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    uint64_t value = 0;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > most)
            return false;
    }
    *at = p;
    *out = (uint32_t)value;
    return true;
}

static bool parse_v4(const char **at, uint8_t out[4]) {
    const char *p = *at;
    for (int i = 0; i < 4; i++) {
        uint32_t octet;
        if (i > 0 && *p++ != '.')
            return false;
        if (!decimal(&p, 255, &octet))
            return false;
        out[i] = (uint8_t)octet;
    }
    *at = p;
    return true;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* 1 to 4 hexadecimal digits. */
static bool group(const char **at, uint8_t out[2]) {
    const char *p = *at;
    unsigned value = 0;
    while (hex_digit(*p) >= 0 && p - *at < 4)
        value = value << 4 | (unsigned)hex_digit(*p++);
    if (p == *at || hex_digit(*p) >= 0)
        return false;
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    *at = p;
    return true;
}

/* Whether an IPv4 address stands here, as in ::ffff:192.0.2.1. */
static bool is_dotted(const char *p) {
    return p[strspn(p, "0123456789")] == '.';
}

static bool parse_v6(const char **at, uint8_t out[16]) {
    const char *p = *at;
    size_t length = 0, gap = 17; /* 17: no "::" so far */
    if (p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (hex_digit(*p) >= 0) {
        if (is_dotted(p)) {
            if (length > 12 || !parse_v4(&p, out + length))
                return false;
            length += 4;
            break;
        }
        if (length == 16 || !group(&p, out + length))
            return false;
        length += 2;
        if (*p != ':')
            break;
        p++;
        if (*p == ':') {
            if (gap != 17)
                return false;
            gap = length;
            p++;
        } else if (hex_digit(*p) < 0) {
            return false; /* a colon at the end */
        }
    }
    if (gap == 17 ? length != 16 : length > 14)
        return false;
    if (gap != 17) {
        memmove(out + gap + (16 - length), out + gap, length - gap);
        memset(out + gap, 0, 16 - length);
    }
    *at = p;
    return true;
}

/* Whatever address stands at *at; moves behind it. */
static bool parse_any(const char **at, struct address *out) {
    *out = (struct address){0};
    if (is_dotted(*at)) {
        out->family = 4;
        return parse_v4(at, out->octets);
    }
    if (strchr(*at, ':') == NULL)
        return false;
    out->family = 6;
    return parse_v6(at, out->octets);
}

bool address_parse(const char *text, struct address *out, struct error *err) {
    const char *at = text;
    bool good = parse_any(&at, out);
    if (good && out->family == 6 && *at == '%') {
        at++;
        good = decimal(&at, UINT32_MAX, &out->scope);
    }
    if (good && *at == 0)
        return true;
    *out = (struct address){0};
    return fail(err, CONFIG, 0, "'%.60s' is no IPv4 or IPv6 address", text);
}

bool prefix_parse(const char *text, struct prefix *out, struct error *err) {
    const char *at = text;
    *out = (struct prefix){0};
    struct prefix prefix = {0};
    if (!parse_any(&at, &prefix.address))
        return fail(err, CONFIG, 0, "'%.60s' does not begin with an IPv4 or IPv6 address", text);
    uint32_t bits = 8 * (uint32_t)address_octets(&prefix.address), length = bits;
    if (*at == '/') {
        at++;
        if (!decimal(&at, bits, &length))
            return fail(err, CONFIG, 0, "the prefix length of '%.60s' must be 0 to %" PRIu32, text, bits);
    }
    if (*at != 0)
        return fail(err, CONFIG, 0, "'%.60s' is no prefix: '%.20s' is left over", text, at);
    prefix.length = (uint8_t)length;
    struct prefix masked = prefix;
    struct address last;
    prefix_range(&prefix, &masked.address, &last);
    if (!address_same_host(&masked.address, &prefix.address)) {
        char right[ADDRESS_TEXT_MAX];
        return fail(err, CONFIG, 0, "'%.60s' has host bits set; the network is %s", text, prefix_text(&masked, right));
    }
    *out = prefix;
    return true;
}

/* RFC 5952: lower case, the longest run of two or more zero groups is "::", the first of equal ones. */
static int text_v6(const uint8_t *octets, char *out, size_t size) {
    unsigned value[8];
    for (int i = 0; i < 8; i++)
        value[i] = (unsigned)octets[2 * i] << 8 | octets[2 * i + 1];
    int best = 8, best_length = 1;
    for (int i = 0; i < 8; i++) {
        int j = i;
        while (j < 8 && value[j] == 0)
            j++;
        if (j - i > best_length) {
            best = i;
            best_length = j - i;
        }
    }
    bool mapped = best == 0 && best_length == 5 && value[5] == 0xffff;
    int length = 0;
    for (int i = 0; i < (mapped ? 6 : 8); i++) {
        if (i == best) {
            length += snprintf(out + length, size - (size_t)length, "::");
            i += best_length - 1;
            continue;
        }
        bool colon = i > 0 && i != best + best_length;
        length += snprintf(out + length, size - (size_t)length, "%s%x", colon ? ":" : "", value[i]);
    }
    if (mapped)
        length += snprintf(
            out + length, size - (size_t)length, ":%u.%u.%u.%u", octets[12], octets[13], octets[14], octets[15]);
    return length;
}

const char *address_text(const struct address *address, char *out) {
    const uint8_t *o = address->octets;
    if (address->family == 4) {
        snprintf(out, ADDRESS_TEXT_MAX, "%u.%u.%u.%u", o[0], o[1], o[2], o[3]);
    } else if (address->family == 6) {
        int length = text_v6(o, out, ADDRESS_TEXT_MAX);
        if (address->scope != 0)
            snprintf(out + length, ADDRESS_TEXT_MAX - (size_t)length, "%%%" PRIu32, address->scope);
    } else {
        snprintf(out, ADDRESS_TEXT_MAX, "unspecified");
    }
    return out;
}

const char *address_port_text(const struct address *address, char *out) {
    char host[ADDRESS_TEXT_MAX];
    address_text(address, host);
    if (address->family == 6)
        snprintf(out, ADDRESS_TEXT_MAX, "[%.64s]:%u", host, address->port);
    else
        snprintf(out, ADDRESS_TEXT_MAX, "%.64s:%u", host, address->port);
    return out;
}

const char *prefix_text(const struct prefix *prefix, char *out) {
    char host[ADDRESS_TEXT_MAX];
    snprintf(out, ADDRESS_TEXT_MAX, "%.64s/%u", address_text(&prefix->address, host), prefix->length);
    return out;
}
