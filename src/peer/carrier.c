/* carrier.c: when two carriers are the same: a stream by its number, a UDP flow by its two addresses. */
#include "peer/peer.h"

bool carrier_equal(const struct carrier *a, const struct carrier *b) {
    if (a->transport != b->transport || a->stream != b->stream)
        return false;
    return a->transport != TRANSPORT_UDP ||
           (address_equal(&a->local, &b->local) && address_equal(&a->remote, &b->remote));
}
