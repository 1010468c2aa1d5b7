/* receive.c: whose an IKE message is, and whether it may come the way it came (C2, C5, L4, L7, L10). */
#include "peer/internal.h"

static struct sa *owner_of(const struct peers *peers, const struct ike_header *header) {
    uint64_t local = header->flags & IKE_FLAG_INITIATOR ? header->spi_r : header->spi_i;
    uint64_t remote = header->flags & IKE_FLAG_INITIATOR ? header->spi_i : header->spi_r;
    struct sa *sa = table_get(&peers->by_spi, local);
    if (!sa)
        return NULL;
    /* The flag says who began this IKE SA: never both sides. */
    bool we_began = ike_sa_role(sa->ike) == IKE_INITIATOR;
    if (we_began == ((header->flags & IKE_FLAG_INITIATOR) != 0))
        return NULL;
    uint64_t known = we_began ? ike_sa_spi_r(sa->ike) : ike_sa_spi_i(sa->ike);
    return known == 0 || known == remote || remote == 0 ? sa : NULL;
}

static void deliver(struct peers *peers, const struct carrier *carrier, struct stream *stream, struct span message) {
    struct ike_header header;
    struct error err;
    if (!ike_header_read(message, &header, &err)) {
        if (stream)
            stream_strike(peers, stream, "messages that cannot be parsed");
        return;
    }
    if (notice_receive(peers, carrier, stream, &header, message))
        return;
    bool first = header.spi_r == 0 && (header.flags & IKE_FLAG_INITIATOR) && !(header.flags & IKE_FLAG_RESPONSE);
    if (first) {
        respond_first(peers, carrier, stream, &header, message);
        return;
    }
    struct sa *sa = owner_of(peers, &header);
    if (!sa) {
        notice_unknown_ike(peers, carrier, &header, message.length);
        if (stream)
            stream_strike(peers, stream, "messages that name unknown SPIs");
        return;
    }
    if (stream && stream->owner && stream->owner != sa->peer) {
        stream_strike(peers, stream, "messages of another IKE SA");
        return; /* L7 */
    }
    if (!stream && sa->peer->over_stream && !sa->peer->mobike)
        return; /* C5: only MOBIKE moves it from a stream to UDP */
    exchange_receive(peers, sa, carrier, stream, message);
}

struct peer_output peers_receive(
    struct peers *peers, uint64_t now, const struct carrier *carrier, struct span message) {
    peers_begin(peers, now);
    struct stream *stream = NULL;
    if (carrier->transport != TRANSPORT_UDP) {
        stream = stream_find(peers, carrier);
        if (!stream)
            return peers_finish(peers); /* closed by us a moment ago */
        carrier = &stream->carrier;
    }
    struct carrier copy = *carrier;
    deliver(peers, &copy, stream, message);
    return peers_finish(peers);
}
