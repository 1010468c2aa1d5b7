/* address.c: IP addresses and prefixes as values: comparing, ranges, prefixes. */
#include "base/address.h"

#include <string.h>

bool address_same_host(const struct address *a, const struct address *b) {
    return a->family == b->family && a->scope == b->scope && memcmp(a->octets, b->octets, address_octets(a)) == 0;
}

bool address_equal(const struct address *a, const struct address *b) {
    return a->port == b->port && address_same_host(a, b);
}

bool address_is_any(const struct address *address) {
    for (size_t i = 0; i < address_octets(address); i++)
        if (address->octets[i] != 0)
            return false;
    return true;
}

int address_compare(const struct address *a, const struct address *b) {
    return memcmp(a->octets, b->octets, address_octets(a));
}

/* The mask's part in octet `i` of an address: ones for the network's bits. */
static uint8_t mask_octet(uint8_t length, size_t i) {
    if (length >= 8 * (i + 1))
        return 0xff;
    if (length <= 8 * i)
        return 0;
    return (uint8_t)(0xff << (8 - length % 8));
}

bool prefix_contains(const struct prefix *prefix, const struct address *address) {
    if (prefix->address.family == 0 || prefix->address.family != address->family)
        return false;
    for (size_t i = 0; i < address_octets(address); i++)
        if (((prefix->address.octets[i] ^ address->octets[i]) & mask_octet(prefix->length, i)) != 0)
            return false;
    return true;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b) {
    return a->length == b->length && address_same_host(&a->address, &b->address);
}

void prefix_range(const struct prefix *prefix, struct address *first, struct address *last) {
    *first = *last = (struct address){.family = prefix->address.family};
    for (size_t i = 0; i < address_octets(first); i++) {
        uint8_t mask = mask_octet(prefix->length, i);
        first->octets[i] = prefix->address.octets[i] & mask;
        last->octets[i] = (uint8_t)(first->octets[i] | (uint8_t)~mask);
    }
}

/* An address as a number; both families fit. */
__extension__ typedef unsigned __int128 number;

static number number_of(const struct address *address) {
    number value = 0;
    for (size_t i = 0; i < address_octets(address); i++)
        value = value << 8 | address->octets[i];
    return value;
}

static struct address address_of(uint8_t family, number value) {
    struct address address = {.family = family};
    for (size_t i = address_octets(&address); i-- > 0; value >>= 8)
        address.octets[i] = (uint8_t)value;
    return address;
}

size_t range_prefixes(const struct address *first, const struct address *last, struct prefix *out, size_t max) {
    unsigned bits = 8 * (unsigned)address_octets(first);
    if (bits == 0 || first->family != last->family)
        return 0;
    number from = number_of(first), to = number_of(last);
    size_t count = 0;
    /* At most 2 * bits - 2 rounds: blocks grow and then shrink. */
    while (from <= to) {
        unsigned host = 0; /* bits of the block that begins at `from` */
        number span = 0; /* its size - 1 */
        while (host < bits) {
            number wider = span << 1 | 1;
            if ((from & wider) != 0 || to - from < wider)
                break;
            span = wider;
            host++;
        }
        if (count < max)
            out[count] = (struct prefix){.address = address_of(first->family, from), .length = (uint8_t)(bits - host)};
        count++;
        if (to - from == span)
            break; /* `from` could overflow past the last address of all */
        from += span + 1;
    }
    return count;
}
