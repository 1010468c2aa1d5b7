/* respond.c: a first IKE_SA_INIT request: is it worth a state, and under which connection. Everything here may come from
 * strangers: states are bounded in all and per source, answers are never longer than what was asked (K3, L7). */
#include "peer/internal.h"

/* The whole message, for its SPI alone may be said by somebody else behind the same NAT (RFC 7296 section 2.1), and comes
 * again with a cookie or another group. */
static uint64_t init_key(const struct peers *peers, struct span message, const struct address *remote) {
    struct {
        uint64_t message, family;
        uint8_t octets[16];
    } what = {.message = table_hash(peers->by_init.secret, message.at, message.length), .family = remote->family};
    for (size_t i = 0; i < sizeof what.octets; i++)
        what.octets[i] = remote->octets[i];
    uint64_t key = table_hash(peers->by_init.secret, &what, sizeof what);
    return key ? key : 1;
}

#define ERROR_LENGTH (IKE_HEADER_LENGTH + 2 * PAYLOAD_HEADER_LENGTH)

/* An IKE_SA_INIT answer with nothing but an error, unless that would be longer than what it answers. Over TCP it is believed at once, over UDP it is a hint (K4). */
static void answer_error(
    struct peers *peers, const struct carrier *carrier, const struct ike_header *request, uint16_t type) {
    struct ike_header header = {.spi_i = request->spi_i,
        .spi_r = request->spi_r,
        .version = IKE_VERSION,
        .exchange = request->exchange,
        .flags = IKE_FLAG_RESPONSE};
    if (request->length >= ERROR_LENGTH)
        notice_send(peers, carrier, &header, type, (struct span){0});
}

static void send_all(struct peers *peers, const struct carrier *carrier, const struct ike_output *out) {
    for (size_t i = 0; i < out->datagrams; i++)
        action_send(peers, NULL, carrier, span_of(out->octets + out->datagram[i].at, out->datagram[i].length));
}

static size_t half_open_of(const struct peers *peers, const struct address *remote) {
    return (uintptr_t)table_get(&peers->sources, source_key(peers, remote));
}

/* Well before a source has as many as it may: else whoever writes another's address on a few datagrams shuts it out. */
static bool under_load(const struct peers *peers, const struct address *remote) {
    return peers->half_open >= peers->limits.half_open_cookies ||
           half_open_of(peers, remote) >= peers->limits.half_open_per_source / 4;
}

/* Version, form and, under load, the cookie. What there is to answer was sent when it says no. */
static bool worth_a_state(
    struct peers *peers, const struct carrier *carrier, struct stream *stream, struct span message) {
    struct ike_output *out = output_take(peers);
    if (!out)
        return false;
    bool worth = ike_is_first_request(message, out);
    bool answered = out->datagrams > 0;
    if (worth && !stream && under_load(peers, &carrier->remote))
        worth = ike_cookie_check(&peers->jar, peers->now, &peers->random, message, &carrier->remote, out);
    if (!worth)
        send_all(peers, carrier, out);
    output_give(peers, out);
    if (!worth && !answered && stream)
        stream_strike(peers, stream, "messages that begin nothing");
    return worth;
}

static bool within_limits(const struct peers *peers, const struct address *remote) {
    return peers->half_open < peers->limits.half_open_max &&
           half_open_of(peers, remote) < peers->limits.half_open_per_source;
}

static bool count_half_open(struct peers *peers, struct peer *peer, uint64_t source) {
    uintptr_t count = (uintptr_t)table_get(&peers->sources, source);
    if (!table_put(&peers->sources, source, (void *)(count + 1)))
        return false;
    peer->source = source;
    peer->half_open = true;
    peers->half_open++;
    return true;
}

static struct sa *new_responder(struct peers *peers, struct conn *conn, const struct carrier *carrier) {
    struct peer *peer = peer_new(peers, conn, false);
    if (!peer)
        return NULL;
    uint64_t spi = peers_new_spi(peers);
    bool reliable = carrier->transport != TRANSPORT_UDP;
    struct ike_sa *ike = ike_sa_new_responder(
        &conn->config.ike, spi, &carrier->local, &carrier->remote, reliable, peers->now, peers->random);
    if (ike)
        ike_sa_set_worker(ike, peers->worker);
    if (ike && peers->tickets)
        ike_sa_set_tickets(ike, peers->tickets);
    peer->phase = PHASE_INIT;
    peer->carrier = *carrier;
    peer->over_stream = reliable;
    peer->due_at = peers->now + peers->limits.half_open_ms;
    if (!peer_sa_add(peers, peer, ike, spi) || !count_half_open(peers, peer, source_key(peers, &carrier->remote))) {
        peer_over(peers, peer);
        return NULL;
    }
    return peer->sas;
}

/* The same request again: a retransmission, or the Initiator goes on over another connection (K3). It proves nothing, so
 * that it is answered where it came and changes nothing: IKE_AUTH will say which connection is the one. */
static void begun_before(
    struct peers *peers, struct sa *sa, const struct carrier *carrier, struct stream *stream, struct span message) {
    struct peer *peer = sa->peer;
    if (peer->over_stream != (stream != NULL) || (stream && stream->owner && stream->owner != peer))
        return;
    exchange_receive(peers, sa, carrier, stream, message);
}

void respond_first(struct peers *peers, const struct carrier *carrier, struct stream *stream,
    const struct ike_header *header, struct span message) {
    uint64_t key = init_key(peers, message, &carrier->remote);
    struct sa *known = table_get(&peers->by_init, key);
    if (known) {
        begun_before(peers, known, carrier, stream, message);
        return;
    }
    if (peers->shutting_down || !worth_a_state(peers, carrier, stream, message))
        return;
    if (stream && stream->owner) { /* L7: a connection in use carries no second IKE SA */
        answer_error(peers, carrier, header, NOTIFY_NO_ADDITIONAL_SAS);
        stream_strike(peers, stream, "a second IKE SA on a connection in use");
        return;
    }
    if (redirect_first(peers, carrier, under_load(peers, &carrier->remote), message) ||
        !within_limits(peers, &carrier->remote))
        return;
    struct conn *conn = choose_by_address(peers, carrier);
    if (!conn) {
        answer_error(peers, carrier, header, NOTIFY_NO_PROPOSAL_CHOSEN);
        return;
    }
    struct sa *sa = new_responder(peers, conn, carrier);
    if (!sa)
        return;
    if (table_put(&peers->by_init, key, sa))
        sa->init_key = key;
    if (stream) {
        stream_own(stream, sa->peer);
        (void)timer_set(&peers->timers, &stream->timer, peers->now + peers->limits.silent_stream_ms);
    }
    exchange_receive(peers, sa, carrier, stream, message);
}
