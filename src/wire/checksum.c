/* checksum.c: RFC 1071's sum, four octets at a time in the machine's own order: the sum of ones' complement does not care
 * about the order of octets as long as it goes back the way it came. */
#include "wire/inner.h"

#include <string.h>

uint64_t checksum_add(uint64_t sum, const void *octets, size_t length) {
    const uint8_t *at = octets;
    for (; length >= 4; at += 4, length -= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    if (length >= 2) {
        uint16_t half;
        memcpy(&half, at, sizeof half);
        sum += half;
        at += 2;
        length -= 2;
    }
    if (length == 1) { /* padded with a zero octet behind it */
        uint16_t half = 0;
        memcpy(&half, at, 1);
        sum += half;
    }
    return sum;
}

uint16_t checksum_fold(uint64_t sum) {
    while (sum > UINT16_MAX)
        sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)~sum;
}
