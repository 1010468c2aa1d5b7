/* message_selectors.c: Traffic Selectors on the wire, and what two of them have in common. RFC 7296 section 3.13. */
#include "wire/message.h"

#include <stdlib.h>
#include <string.h>

#include "wire/internal.h"

#define SELECTOR_HEADER_LENGTH 4 /* type, protocol, length */

static bool is_opaque(const struct selector *s) {
    return s->port_first == UINT16_MAX && s->port_last == 0;
}

static bool body_read(struct reader *r, uint8_t family, struct selector *out, struct error *err) {
    out->first.family = out->last.family = family;
    size_t octets = address_octets(&out->first);
    if (!reader_u16(r, &out->port_first) || !reader_u16(r, &out->port_last) ||
        !reader_copy(r, octets, out->first.octets) || !reader_copy(r, octets, out->last.octets) || !reader_end(r))
        return syntax(err, "a traffic selector for IPv%u has the wrong length", family);
    if (address_compare(&out->first, &out->last) > 0)
        return syntax(err, "a traffic selector ends before it begins");
    if (out->port_first > out->port_last && !is_opaque(out))
        return syntax(err, "a traffic selector for ports %u to %u", out->port_first, out->port_last);
    return true;
}

static size_t used_octets(const struct selector_list *list) {
    return offsetof(struct selector_list, selector) + list->count * sizeof list->selector[0];
}

const struct selector_list *selectors_keep(const struct selector_list *list) {
    void *kept = malloc(used_octets(list));
    if (kept != NULL)
        memcpy(kept, list, used_octets(list));
    return kept;
}

void selectors_copy(const struct selector_list *from, struct selector_list *to) {
    memcpy(to, from, used_octets(from));
}

void selectors_forget(const struct selector_list *list) {
    free((void *)(uintptr_t)list);
}

bool selectors_read(struct span body, struct selector_list *out, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    uint8_t count;
    out->count = 0;
    if (!reader_u8(&r, &count) || !reader_skip(&r, 3))
        return syntax(err, "a traffic selector payload of %zu octets is cut off", body.length);
    for (uint8_t i = 0; i < count; i++) {
        uint8_t type, protocol;
        uint16_t length;
        struct reader one;
        if (!reader_u8(&r, &type) || !reader_u8(&r, &protocol) || !reader_u16(&r, &length) ||
            length < SELECTOR_HEADER_LENGTH || !reader_sub(&r, length - SELECTOR_HEADER_LENGTH, &one))
            return syntax(err, "traffic selector %u of %u is cut off", i + 1u, count);
        if (type != TS_IPV4_ADDR_RANGE && type != TS_IPV6_ADDR_RANGE)
            continue;
        if (out->count >= SELECTORS_MAX)
            return syntax(err, "more than %d traffic selectors", SELECTORS_MAX);
        struct selector *selector = &out->selector[out->count++];
        *selector = (struct selector){.protocol = protocol};
        if (!body_read(&one, type == TS_IPV4_ADDR_RANGE ? 4 : 6, selector, err))
            return false;
    }
    if (!reader_end(&r))
        return syntax(err, "%zu octets are left over behind the traffic selectors", r.left);
    return true;
}

void selectors_write(struct writer *w, const struct selector_list *list) {
    writer_u8(w, (uint8_t)list->count);
    writer_zero(w, 3);
    for (size_t i = 0; i < list->count; i++) {
        const struct selector *s = &list->selector[i];
        writer_u8(w, s->first.family == 4 ? TS_IPV4_ADDR_RANGE : TS_IPV6_ADDR_RANGE);
        writer_u8(w, s->protocol);
        struct mark length = writer_open_u16(w, 2);
        writer_u16(w, s->port_first);
        writer_u16(w, s->port_last);
        writer_octets(w, s->first.octets, address_octets(&s->first));
        writer_octets(w, s->last.octets, address_octets(&s->first));
        writer_close(w, length);
    }
}

struct selector selector_of_prefix(const struct prefix *prefix) {
    struct selector selector = {.port_last = UINT16_MAX};
    prefix_range(prefix, &selector.first, &selector.last);
    return selector;
}

static bool any_port(const struct selector *s) {
    return s->port_first == 0 && s->port_last == UINT16_MAX;
}

/* ANY includes OPAQUE, which has nothing in common with a port (RFC 4301 section 4.4.1.1). */
static bool intersect_ports(const struct selector *a, const struct selector *b, struct selector *out) {
    if (is_opaque(a) || is_opaque(b)) {
        out->port_first = UINT16_MAX;
        out->port_last = 0;
        return (is_opaque(a) || any_port(a)) && (is_opaque(b) || any_port(b));
    }
    out->port_first = a->port_first > b->port_first ? a->port_first : b->port_first;
    out->port_last = a->port_last < b->port_last ? a->port_last : b->port_last;
    return out->port_first <= out->port_last;
}

bool selector_intersect(const struct selector *a, const struct selector *b, struct selector *out) {
    struct selector both = {0};
    if (a->first.family != b->first.family)
        return false;
    if (a->protocol != 0 && b->protocol != 0 && a->protocol != b->protocol)
        return false;
    both.protocol = a->protocol != 0 ? a->protocol : b->protocol;
    if (!intersect_ports(a, b, &both))
        return false;
    both.first = address_compare(&a->first, &b->first) > 0 ? a->first : b->first;
    both.last = address_compare(&a->last, &b->last) < 0 ? a->last : b->last;
    if (address_compare(&both.first, &both.last) > 0)
        return false;
    *out = both;
    return true;
}

bool selector_equal(const struct selector *a, const struct selector *b) {
    return a->protocol == b->protocol && a->port_first == b->port_first && a->port_last == b->port_last &&
           address_same_host(&a->first, &b->first) && address_same_host(&a->last, &b->last);
}
