/* notice.c: messages outside of any IKE SA about SPIs that one side does not know any more, after a restart (RFC 7296,
 * sections 1.5 and 2.21.4). They prove nothing: what comes is a hint and no more, what goes out is bounded in all and per
 * source, is never longer than what it speaks of, and never answers a response. */
#include "peer/internal.h"

#define NOTICES_PER_SECOND 500u
#define HINTS_PER_SECOND 50u
#define NOTICE_EACH_MS SECOND /* to one address and port */
#define NOTICE_LENGTH (IKE_HEADER_LENGTH + 2 * PAYLOAD_HEADER_LENGTH)

void notice_send(struct peers *peers, const struct carrier *carrier, const struct ike_header *header, uint16_t type,
    struct span data) {
    uint8_t octets[64];
    struct writer writer = writer_over(octets, sizeof octets);
    struct message_writer message = message_begin(&writer, header);
    payload_begin(&message, PAYLOAD_NOTIFY);
    notify_write(&writer, &(struct notify){.type = type, .data = data});
    payload_end(&message);
    message_end(&message);
    if (writer_ok(&writer))
        action_send(peers, NULL, carrier, span_of(octets, writer.length));
}

static bool within(struct allowance *allowance, uint64_t now, uint32_t most) {
    if (now - allowance->since >= SECOND)
        *allowance = (struct allowance){.since = now};
    return allowance->count++ < most;
}

static bool may_send(struct peers *peers, const struct address *remote) {
    uint64_t key = source_key(peers, remote) + remote->port;
    struct notice_slot *slot = &peers->notice_slot[key % NOTICE_SLOTS];
    if (slot->key == key && peers->now - slot->at < NOTICE_EACH_MS)
        return false;
    if (!within(&peers->notices_sent, peers->now, NOTICES_PER_SECOND))
        return false;
    *slot = (struct notice_slot){.key = key, .at = peers->now};
    return true;
}

static bool is_protected(const struct ike_header *header) {
    return header->next_payload == PAYLOAD_SK || header->next_payload == PAYLOAD_SKF;
}

void notice_unknown_ike(
    struct peers *peers, const struct carrier *carrier, const struct ike_header *request, size_t length) {
    if (peers->shutting_down || !is_protected(request) || request->exchange == IKE_SA_INIT ||
        request->exchange == IKE_SESSION_RESUME || (request->flags & IKE_FLAG_RESPONSE) ||
        request->version >> 4 != IKE_VERSION >> 4 || length < NOTICE_LENGTH || !may_send(peers, &carrier->remote))
        return;
    struct ike_header header = {.spi_i = request->spi_i,
        .spi_r = request->spi_r,
        .version = IKE_VERSION,
        .exchange = request->exchange,
        .flags = IKE_FLAG_RESPONSE | (request->flags & IKE_FLAG_INITIATOR ? 0 : IKE_FLAG_INITIATOR),
        .message_id = request->message_id};
    notice_send(peers, carrier, &header, NOTIFY_INVALID_IKE_SPI, (struct span){0});
}

/* A Child SA that was rekeyed a moment ago, or comes with the next IKE_AUTH, is nothing to speak of: whoever has an IKE SA
 * with us learns of the rest by it. */
void notice_unknown_esp(struct peers *peers, const struct carrier *carrier, uint32_t spi) {
    for (const struct peer *peer = peers->peer_list; peer; peer = peer->next)
        if (carrier_equal(&peer->carrier, carrier))
            return;
    if (peers->shutting_down || !may_send(peers, &carrier->remote))
        return;
    uint8_t octets[4];
    struct writer writer = writer_over(octets, sizeof octets);
    writer_u32(&writer, spi);
    struct ike_header header = {.version = IKE_VERSION, .exchange = INFORMATIONAL, .flags = IKE_FLAG_INITIATOR};
    notice_send(peers, carrier, &header, NOTIFY_INVALID_SPI, span_of(octets, writer.length));
}

/* --- what others say --- */

/* The flag in such a response is not what every implementation sets, so both places are looked at. */
static struct sa *sa_by_spis(const struct peers *peers, const struct ike_header *header) {
    struct sa *sa = table_get(&peers->by_spi, header->spi_i);
    if (sa && ike_sa_role(sa->ike) == IKE_INITIATOR && ike_sa_spi_r(sa->ike) == header->spi_r)
        return sa;
    sa = table_get(&peers->by_spi, header->spi_r);
    return sa && ike_sa_role(sa->ike) == IKE_RESPONDER && ike_sa_spi_i(sa->ike) == header->spi_i ? sa : NULL;
}

/* Only the answer to a request that waits for one, from where it went: that is another way while the SAs look for one. */
static struct peer *peer_of_ike_spis(
    struct peers *peers, const struct carrier *carrier, const struct stream *stream, const struct ike_header *header) {
    struct sa *sa = sa_by_spis(peers, header);
    if (!sa || sa != peer_sa(sa->peer) || !ike_sa_awaits_answer(sa->ike))
        return NULL;
    const struct carrier *way = peer_way(sa->peer, sa);
    bool over_udp = way->transport == TRANSPORT_UDP && address_same_host(&way->remote, &carrier->remote);
    return (stream ? stream->owner == sa->peer : over_udp) ? sa->peer : NULL;
}

static bool has_outbound(const struct peer *peer, uint32_t spi) {
    for (const struct child *child = peer->children; child; child = child->next)
        if (child->ike.spi_out == spi)
            return true;
    return false;
}

static struct peer *peer_of_esp_spi(struct peers *peers, const struct carrier *carrier, struct span data) {
    struct reader reader = reader_over(data.at, data.length);
    uint32_t spi;
    if (!reader_u32(&reader, &spi))
        return NULL;
    for (struct peer *peer = peers->peer_list; peer; peer = peer->next)
        if (peer->phase == PHASE_UP && carrier_equal(&peer->carrier, carrier) && has_outbound(peer, spi))
            return peer;
    return NULL;
}

bool notice_receive(struct peers *peers, const struct carrier *carrier, const struct stream *stream,
    const struct ike_header *header, struct span message) {
    if (header->exchange == IKE_SA_INIT || header->exchange == IKE_SESSION_RESUME || is_protected(header))
        return false;
    struct payload_list list = {0};
    struct notify notify;
    struct error ignored;
    struct span chain = span_of(message.at + IKE_HEADER_LENGTH, message.length - IKE_HEADER_LENGTH);
    bool response = header->flags & IKE_FLAG_RESPONSE;
    if (!payload_chain_read(header->next_payload, chain, &list, NULL, &ignored) ||
        !notify_find(&list, response ? NOTIFY_INVALID_IKE_SPI : NOTIFY_INVALID_SPI, &notify))
        return false;
    if (!within(&peers->notices_taken, peers->now, HINTS_PER_SECOND))
        return true;
    struct peer *peer =
        response ? peer_of_ike_spis(peers, carrier, stream, header) : peer_of_esp_spi(peers, carrier, notify.data);
    if (peer)
        doubt_hint(peers, peer);
    return true;
}
