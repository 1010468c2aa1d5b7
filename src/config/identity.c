/* identity.c: identities as ipsec.conf and ipsec.secrets write them. RFC 7296 section 3.5; the spellings are Libreswan's. */
#include "config/internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *take(struct identity *id, uint8_t type, const char *text, size_t length) {
    if (length == 0)
        return "nothing follows the @; write @name, user@name, an address, @#hex or @[key id]";
    if (length > IDENTITY_MAX)
        return "an identity has at most 256 octets";
    id->type = type;
    id->length = length;
    memcpy(id->data, text, length);
    return NULL;
}

static int hex_digit(char c) {
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* "@#6b6579" and "@#0x6b6579". */
static const char *take_hex(struct identity *id, const char *text) {
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    size_t digits = strlen(text);
    if (digits == 0 || digits % 2 != 0 || digits / 2 > IDENTITY_MAX)
        return "a key id is an even number of hex digits after @#";
    for (size_t i = 0; i < digits; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return "a key id is an even number of hex digits after @#";
        id->data[i / 2] = (uint8_t)(high << 4 | low);
    }
    id->type = ID_KEY_ID;
    id->length = digits / 2;
    return NULL;
}

void identity_of_address(const struct address *address, struct identity *id) {
    *id = (struct identity){.type = address->family == 4 ? ID_IPV4_ADDR : ID_IPV6_ADDR};
    id->length = address_octets(address);
    memcpy(id->data, address->octets, id->length);
}

static const char *take_special(const char *text, bool *unset) {
    if (strcasecmp(text, "%any") == 0 || strcasecmp(text, "%any6") == 0 || strcmp(text, "0.0.0.0") == 0 ||
        strcmp(text, "::") == 0)
        return NULL;
    if (strcasecmp(text, "%none") == 0) {
        *unset = true;
        return NULL;
    }
    if (strcasecmp(text, "%fromcert") == 0)
        return "certificates are not done yet; write @name, user@name, an address, @#hex or @[key id]";
    if (strcasecmp(text, "%null") == 0)
        return "an identity that is not checked is not done; write @name, user@name or an address, or %any for any";
    return "write @name, user@name, an address, @#hex, @[key id] or %any";
}

static bool is_name(const char *text) {
    size_t length = strlen(text);
    if (length == 0 || length > 253)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-._", text[i]))
            return false;
    return true;
}

const char *identity_parse(const char *text, struct identity *id, bool *unset, const char **warning) {
    *id = (struct identity){.type = ID_NONE};
    *unset = false;
    size_t length = strlen(text);
    struct address address;
    struct error err;
    if (text[0] == '%' || strcmp(text, "0.0.0.0") == 0 || strcmp(text, "::") == 0)
        return take_special(text, unset);
    if (strncmp(text, "@[", 2) == 0)
        return take(id, ID_KEY_ID, text + 2, length - 2 - (length > 2 && text[length - 1] == ']'));
    if (strncmp(text, "@#", 2) == 0)
        return take_hex(id, text + 2);
    if (strncmp(text, "@~", 2) == 0 || strchr(text, '='))
        return "distinguished names come with certificates, which are not done yet; write @name or user@name";
    if (text[0] == '@')
        return take(id, ID_FQDN, text + 1, length - 1);
    if (strchr(text, '@'))
        return take(id, ID_RFC822_ADDR, text, length);
    if (address_parse(text, &address, &err)) {
        identity_of_address(&address, id);
        return NULL;
    }
    if (!is_name(text) || strspn(text, "0123456789.") == length)
        return "it is neither an address nor a name; write @name, user@name, an address, @#hex, @[key id] or %any";
    if (warning)
        *warning = "a name without @ is taken as it stands (Libreswan would look up its address); write it with @";
    return take(id, ID_FQDN, text, length);
}

static size_t without_dots(const struct identity *id) {
    size_t length = id->length;
    while (length && id->data[length - 1] == '.')
        length--;
    return length;
}

bool identity_matches(const struct identity *a, const struct identity *b) {
    if (a->type != b->type || a->type == ID_NONE)
        return false;
    if (a->type != ID_FQDN && a->type != ID_RFC822_ADDR)
        return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
    size_t length = without_dots(a);
    return length == without_dots(b) && strncasecmp((const char *)a->data, (const char *)b->data, length) == 0;
}
