/* inner.c: an inner packet is read within its bounds, and an ICMP error about it is a packet with a right checksum. */
#include "wire/wire.h"

#include <stdlib.h>

#define ICMP_MAX 1280

static void check_error(const uint8_t *packet, size_t length, uint32_t mtu) {
    uint8_t out[ICMP_MAX];
    struct flow flow;
    struct address from = {0};
    size_t total, n = inner_icmp_error(packet, length, &from, mtu, out, sizeof out);
    if (n == 0)
        return;
    if (!inner_parse(out, n, &flow, &total) || total != n || !flow.has_ports)
        abort();
    if (flow.source.family == 4 &&
        (checksum_fold(checksum_add(0, out, 20)) != 0 || checksum_fold(checksum_add(0, out + 20, n - 20)) != 0))
        abort();
    uint8_t again[ICMP_MAX]; /* nobody answers an error with an error */
    if (inner_icmp_error(out, n, &from, mtu, again, sizeof again) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct flow flow;
    size_t total;
    if (inner_parse(data, size, &flow, &total)) {
        if (total > size || flow.header_length > total || flow.source.family != flow.destination.family)
            abort();
        struct flow again;
        size_t same;
        if (!inner_parse(data, total, &again, &same) || same != total || again.header_length != flow.header_length)
            abort(); /* what is behind it does not matter */
    }
    check_error(data, size, 0);
    check_error(data, size, 1280);
    return 0;
}
