/* selectors.c: narrowing of traffic selectors, RFC 7296 section 2.9. */
#include <string.h>

#include "ike/internal.h"

void selectors_effective(
    const struct selector_list *configured, const struct address *address, struct selector_list *out) {
    struct prefix prefix = {.address = *address, .length = (uint8_t)(8 * address_octets(address))};
    prefix.address.port = 0;
    prefix.address.scope = 0;
    const struct selector host = selector_of_prefix(&prefix);
    *out = *configured;
    if (out->count == 0)
        out->selector[out->count++] = host;
    for (size_t i = 0; i < out->count; i++)
        if (out->selector[i].first.family == 0) {
            out->selector[i].first = host.first;
            out->selector[i].last = host.last;
        }
}

static bool contains(const struct selector_list *list, const struct selector *selector) {
    for (size_t i = 0; i < list->count; i++) {
        struct selector both;
        if (selector_intersect(&list->selector[i], selector, &both) && selector_equal(&both, selector))
            return true;
    }
    return false;
}

bool selectors_narrow(
    const struct selector_list *offered, const struct selector_list *ours, struct selector_list *out) {
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < offered->count; i++)
        for (size_t j = 0; j < ours->count && out->count < SELECTORS_MAX; j++) {
            struct selector both;
            if (selector_intersect(&offered->selector[i], &ours->selector[j], &both) && !contains(out, &both))
                out->selector[out->count++] = both;
        }
    return out->count > 0;
}

bool selectors_host(const struct selector_list *list, struct address *out) {
    for (size_t i = 0; i < list->count; i++) {
        const struct selector *s = &list->selector[i];
        if (!address_same_host(&s->first, &s->last) || !address_same_host(&s->first, &list->selector[0].first))
            return false;
    }
    if (list->count > 0)
        *out = list->selector[0].first;
    return list->count > 0;
}

void selectors_rehost(struct selector_list *list, const struct address *address) {
    struct address host = *address;
    host.port = 0;
    host.scope = 0;
    for (size_t i = 0; i < list->count; i++)
        list->selector[i].first = list->selector[i].last = host;
}

bool selectors_within(const struct selector_list *inner, const struct selector_list *outer) {
    for (size_t i = 0; i < inner->count; i++)
        if (!contains(outer, &inner->selector[i]))
            return false;
    return true;
}
