/* move.c: what carries a peer now, and what may change that: a fresh authentic message on another connection moves a
 * Responder (L5), fresh messages from another UDP address move a flow over UDP. From TCP to UDP (C5) or from UDP to TCP
 * only MOBIKE moves it (roam.c, follow.c) or a new IKE SA does (C2), else whoever has a datagram of ours that got lost
 * could take the SA away. With MOBIKE no other IKE message moves a flow over UDP (RFC 4555 section 3.8), and ESP only
 * follows a NAT to another port. */
#include "peer/internal.h"

/* An Initiator behind a NAT keeps the peer's address: who can delay a packet could send it from anywhere. */
static bool pinned(const struct peer *peer) {
    return peer->initiator && (peer->behind_nat || peer->mobike);
}

static bool same_remote(const struct carrier *a, const struct carrier *b) {
    return a->transport == b->transport && address_equal(&a->remote, &b->remote);
}

bool may_move(const struct peer *peer, const struct carrier *to, enum move_by by) {
    if (peer->phase == PHASE_OVER || peer->phase == PHASE_CLOSING || carrier_equal(&peer->carrier, to))
        return false;
    if (to->transport == TRANSPORT_UDP && peer->mobike)
        return !peer->over_stream && !peer->initiator && by == MOVE_BY_ESP &&
               address_same_host(&peer->carrier.remote, &to->remote);
    if (to->transport == TRANSPORT_UDP)
        return !peer->over_stream && (!pinned(peer) || same_remote(&peer->carrier, to));
    return !peer->initiator && peer->over_stream; /* the Originator chooses its connection itself */
}

void anchor_command(struct peers *peers, const struct peer *peer, enum traffic_verb verb) {
    struct traffic_command *command = action_traffic(peers, peer, verb);
    command->carrier = peer->carrier;
    command->pinned = pinned(peer);
    command->roams = peer->mobike;
}

void tell_anchor(struct peers *peers, struct peer *peer) {
    if (peer->anchor)
        anchor_command(peers, peer, TRAFFIC_ANCHOR_MOVE);
}

/* Our own address becoming known is no move worth words. */
static bool worth_words(const struct carrier *from, const struct carrier *to) {
    return from->transport != to->transport || !address_equal(&from->remote, &to->remote);
}

void move_to(struct peers *peers, struct peer *peer, const struct carrier *carrier, const struct sa *knows) {
    struct carrier before = peer->carrier;
    bool was_lost = before.transport == TRANSPORT_NONE;
    peer->carrier = *carrier;
    if (peer->phase == PHASE_UP)
        silence_begin(peers, peer);
    peer_touch(peers, peer);
    peer->addresses_due = peer->mobike;
    peer->over_stream = carrier->transport != TRANSPORT_UDP;
    if (peer->over_stream) {
        streams_superseded(peers, peer, stream_find(peers, carrier));
    }
    tell_anchor(peers, peer);
    char text[CARRIER_TEXT_MAX];
    if (peer->phase == PHASE_UP && was_lost) {
        peer->reconnects++;
        action_say(peers, peer, STEP_RECONNECTED, "back over %s", carrier_text(carrier, text));
    } else if (peer->phase == PHASE_UP && worth_words(&before, carrier)) {
        peer->reconnects += carrier->transport != TRANSPORT_UDP;
        action_say(peers, peer, STEP_MOVED, "moved to %s", carrier_text(carrier, text));
    }
    if (peer->phase == PHASE_UP)
        exchange_carried(peers, peer, knows);
}

/* Another connection of the same peer that is still open: the one that said something valid last. */
static const struct stream *another_stream(const struct peer *peer) {
    const struct stream *best = NULL;
    for (const struct stream *stream = peer->streams; stream; stream = stream->owner_next)
        if (stream->valid && (!best || stream->valid_at > best->valid_at))
            best = stream;
    return best;
}

static void responder_lost(struct peers *peers, struct peer *peer, const struct error *why) {
    const struct stream *other = another_stream(peer);
    if (other) {
        struct carrier carrier = other->carrier;
        move_to(peers, peer, &carrier, NULL);
        return;
    }
    tell_anchor(peers, peer);
    if (peer->phase == PHASE_UP)
        action_say(peers, peer, STEP_LOST, "%s; waiting for the peer to connect again", why->text);
}

void carrier_gone(struct peers *peers, struct peer *peer, const struct error *why) {
    peer->carrier = (struct carrier){0};
    peer->lost_at = peers->now;
    peer_touch(peers, peer);
    struct path_step step;
    switch (peer->phase) {
    case PHASE_CLOSING: /* L9: nobody reconnects for a DELETE */
        peer_down(peers, peer, &peer->why, "deleted");
        break;
    case PHASE_UP:
        if (peer->initiator)
            reconnect_lost(peers, peer, why);
        else
            responder_lost(peers, peer, why);
        break;
    case PHASE_INIT:
    case PHASE_AUTH:
        if (!peer->initiator)
            break; /* it may go on over another connection until its time is up (K3) */
        step = path_failed(peer->path, peers->now, why);
        initiate_step(peers, peer, &step);
        break;
    default:
        break;
    }
}

/* The worker saw authentic fresh ESP come over another carrier and moved the anchor; here the rest learns of it. */
static void moved_by_esp(struct peers *peers, const struct traffic_report *report) {
    struct peer *peer = table_get(&peers->by_anchor, report->anchor);
    if (!peer)
        return;
    struct stream *stream = NULL;
    if (report->carrier.transport != TRANSPORT_UDP)
        stream = stream_find(peers, &report->carrier);
    bool foreign = report->carrier.transport != TRANSPORT_UDP && (!stream || (stream->owner && stream->owner != peer));
    if (foreign ||
        (!may_move(peer, &report->carrier, MOVE_BY_ESP) && !carrier_equal(&peer->carrier, &report->carrier))) {
        tell_anchor(peers, peer); /* back to where it belongs */
        return;
    }
    if (stream)
        stream_proved(peers, stream, peer);
    if (carrier_equal(&peer->carrier, &report->carrier))
        tell_anchor(peers, peer); /* confirmed */
    else
        move_to(peers, peer, &report->carrier, NULL);
    struct sa *sa = peer_sa(peer);
    if (sa)
        ike_sa_heard(sa->ike, peers->now);
    peer_touch(peers, peer);
}

struct peer_output peers_traffic(struct peers *peers, uint64_t now, const struct traffic_report *report) {
    peers_begin(peers, now);
    struct peer *peer = table_get(&peers->by_anchor, report->anchor);
    struct stream *stream;
    switch (report->kind) {
    case TRAFFIC_MOVED:
        moved_by_esp(peers, report);
        break;
    case TRAFFIC_SOFT_EXPIRY:
        if (peer && peer->phase == PHASE_UP)
            exchange_rekey_child(peers, peer, report->spi_in);
        break;
    case TRAFFIC_CORRUPT:
        stream = stream_find(peers, &report->carrier);
        if (stream)
            stream_close(peers, stream, report->error.text);
        break;
    case TRAFFIC_UNKNOWN_SPI:
        notice_unknown_esp(peers, &report->carrier, report->spi_in);
        break;
    case TRAFFIC_RETIRED:
    case TRAFFIC_NO_SA:
        break;
    }
    return peers_finish(peers);
}
