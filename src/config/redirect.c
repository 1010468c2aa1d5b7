/* redirect.c: readers of gateways: one, or a list with commas between them, by address or by name. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>

static bool is_gateway(const char *text) {
    struct address numeric;
    struct error err;
    return address_parse(text, &numeric, &err) ? !address_is_any(&numeric) : is_host_name(text);
}

static bool wrong(const struct reading *reading, size_t offset, const char *text) {
    complain(reading->diagnostics, place_in(reading->setting, offset),
        "'%.60s' is not right: write an address or a name of a gateway", text);
    return false;
}

bool read_gateway(const struct reading *reading, const struct keyword *keyword, void *at) {
    if (strlen(reading->value) >= keyword->size || !is_gateway(reading->value))
        return wrong(reading, 0, reading->value);
    snprintf(at, keyword->size, "%s", reading->value);
    return true;
}

bool read_gateways(const struct reading *reading, const struct keyword *keyword, void *at) {
    char *out = at;
    struct piece piece;
    size_t used = 0, next = 0;
    for (size_t offset = 0; piece_next(reading->value, &next, ",", &piece); offset = next) {
        char one[256];
        snprintf(one, sizeof one, "%.*s", (int)(piece.length < 255 ? piece.length : 255), piece.at);
        if (piece.length >= sizeof one || (!is_gateway(one) && strcmp(one, "%any") != 0))
            return wrong(reading, offset, one);
        if (used + piece.length + 2 > keyword->size)
            return wrong(reading, offset, reading->value);
        used += (size_t)snprintf(out + used, keyword->size - used, "%s%s", used ? "," : "", one);
    }
    return true;
}
