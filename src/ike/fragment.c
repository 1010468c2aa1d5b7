/* fragment.c: fragments of the peer's become a message again, RFC 7383 section 2.6. One message at a time, bounded;
 * every fragment was authenticated before it comes here. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

struct assembly {
    struct ike_header header; /* of the first fragment that came; Message ID, exchange and flags name the message */
    uint16_t total;
    uint8_t first;
    struct octets part[FRAGMENTS_IN_MAX];
    size_t have, octets;
};

void assembly_free(struct assembly **assembly) {
    if (*assembly == NULL)
        return;
    for (size_t i = 0; i < FRAGMENTS_IN_MAX; i++) {
        struct octets *part = &(*assembly)->part[i];
        if (part->at != NULL)
            wipe(part->at, part->length);
        free(part->at);
    }
    free(*assembly);
    *assembly = NULL;
}

static bool same_message(const struct assembly *a, const struct ike_header *h) {
    return a->header.message_id == h->message_id && a->header.exchange == h->exchange && a->header.flags == h->flags;
}

static bool join(struct assembly **assembly, struct inbound *in) {
    struct assembly *a = *assembly;
    uint8_t *joined = malloc(a->octets + 1);
    if (joined == NULL)
        return false;
    struct writer w = writer_over(joined, a->octets);
    for (size_t i = 0; i < a->total; i++)
        writer_octets(&w, a->part[i].at, a->part[i].length);
    in->joined = joined;
    in->joined_length = w.length;
    in->inner = span_of(joined, w.length);
    in->first = a->first;
    assembly_free(assembly);
    return true;
}

bool assembly_add(struct assembly **assembly, struct inbound *in) {
    struct assembly *a = *assembly;
    if (in->fragments > FRAGMENTS_IN_MAX || in->fragment == 0 || in->fragment > in->fragments)
        return false;
    /* Another message, or the same one cut anew into more pieces (the sender found a smaller MTU): begin again. */
    if (a != NULL && (!same_message(a, &in->header) || in->fragments > a->total)) {
        assembly_free(assembly);
        a = NULL;
    }
    if (a == NULL) {
        a = *assembly = calloc(1, sizeof *a);
        if (a == NULL)
            return false;
        a->header = in->header;
        a->total = in->fragments;
    }
    struct octets *part = &a->part[in->fragment - 1];
    if (in->fragments < a->total || part->at != NULL || in->inner.length > ASSEMBLY_OCTETS_MAX - a->octets)
        return false;
    if (!octets_keep(part, in->inner))
        return false;
    if (in->fragment == 1)
        a->first = in->first;
    a->octets += in->inner.length;
    a->have++;
    return a->have == a->total && join(assembly, in);
}
