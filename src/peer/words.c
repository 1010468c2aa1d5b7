/* words.c: carriers, selectors and suites as people read them. */
#include "peer/internal.h"

#include <stdio.h>
#include <string.h>

const char *carrier_text(const struct carrier *carrier, char *out) {
    char text[ADDRESS_TEXT_MAX];
    const char *word = carrier->transport == TRANSPORT_UDP   ? "UDP"
                       : carrier->transport == TRANSPORT_TCP ? "TCP"
                       : carrier->transport == TRANSPORT_TLS ? "TLS"
                                                             : NULL;
    if (word && address_is_any(&carrier->remote)) /* a proxy knows whom */
        snprintf(out, CARRIER_TEXT_MAX, "%s port %u", word, carrier->remote.port);
    else if (word)
        snprintf(out, CARRIER_TEXT_MAX, "%s %s", word, address_port_text(&carrier->remote, text));
    else
        snprintf(out, CARRIER_TEXT_MAX, "a lost connection");
    return out;
}

static void append(char *out, size_t size, const char *text) {
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s", text);
}

static void selector_text(const struct selector *selector, char *out, size_t size) {
    struct prefix prefix;
    char first[ADDRESS_TEXT_MAX], last[ADDRESS_TEXT_MAX];
    if (range_prefixes(&selector->first, &selector->last, &prefix, 1) == 1)
        snprintf(out, size, "%s", prefix_text(&prefix, first));
    else
        snprintf(out, size, "%s-%s", address_text(&selector->first, first), address_text(&selector->last, last));
    char more[32];
    if (selector->protocol) {
        snprintf(more, sizeof more, "[%u/%u-%u]", selector->protocol, selector->port_first, selector->port_last);
        append(out, size, more);
    }
}

const char *selectors_text(const struct selector_list *list, char *out) {
    out[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        char text[2 * ADDRESS_TEXT_MAX + 40];
        selector_text(&list->selector[i], text, sizeof text);
        if (strlen(out) + strlen(text) + 8 > SELECTORS_TEXT_MAX) {
            append(out, SELECTORS_TEXT_MAX, ", ...");
            break;
        }
        if (i > 0)
            append(out, SELECTORS_TEXT_MAX, ",");
        append(out, SELECTORS_TEXT_MAX, text);
    }
    return out;
}

static void add_transform(char *out, uint8_t type, uint16_t id, uint16_t bits) {
    char name[IANA_NAME_MAX];
    const char *text = transform_text(type, id, bits, name);
    const char *rest = strchr(text, '_'); /* "ENCR_" and so on say nothing new here */
    if (out[0])
        append(out, SUITE_TEXT_MAX, ", ");
    append(out, SUITE_TEXT_MAX, rest ? rest + 1 : text);
}

const char *suite_text(const struct ike_info *info, char *out) {
    out[0] = '\0';
    add_transform(out, TRANSFORM_ENCR, info->suite.encr, info->suite.key_bits);
    if (info->suite.integ != AUTH_NONE)
        add_transform(out, TRANSFORM_INTEG, info->suite.integ, 0);
    add_transform(out, TRANSFORM_PRF, info->prf, 0);
    add_transform(out, TRANSFORM_KE, info->ke, 0);
    return out;
}
