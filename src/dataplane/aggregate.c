/* aggregate.c: packets on their way to an SA in AGGFRAG mode (RFC 9347): they are cut into a payload, one behind the other, until
 * it is full or nothing more is there to be sent now; it never waits. A stream takes payloads half as long as what leaves in one
 * write, since the other side can open one only when all of it is there. Over UDP a payload fits the path, and a packet that
 * does not goes in pieces. */
#include "dataplane/internal.h"

#define OUTER_MTU ((size_t)1500) /* as routes assume (daemon/engine/route.c) */
#define UDP_HEADER ((size_t)8)
#define PIECE_MIN ((size_t)128) /* a beginning that is shorter is not worth the risk that its end is lost */

/* Octets of a payload for that carrier, header included. */
static size_t room_of(const struct outbound *out) {
    const struct esp_sa *sa = out->route.sa;
    if (out->link != NULL) {
        size_t half = out->link->outlet.line.quantum / 2;
        return half < AGGREGATE_MAX ? half : AGGREGATE_MAX;
    }
    size_t headers = (out->route.carrier->remote.family == 6 ? 40 : 20) + UDP_HEADER;
    size_t room = esp_inner_max(sa, OUTER_MTU - headers), mtu = esp_sa_config(sa)->aggfrag_mtu;
    return mtu > 0 && mtu + AGGFRAG_HEADER_LENGTH < room ? mtu + AGGFRAG_HEADER_LENGTH : room;
}

void aggregate_close(struct worker *worker) {
    struct outbound *out = &worker->out;
    if (out->fill.payload == NULL)
        return;
    size_t sealed = esp_sealed_length(out->route.sa, out->fill.used);
    uint8_t *frame = out->frames + out->used;
    if (out->field > 0)
        frame_header(frame, sealed);
    out->job[out->jobs++] = (struct esp_seal_job){.packet = frame + out->field,
        .inner = out->fill.used,
        .next_header = ESP_NEXT_AGGFRAG,
        .packets = out->fill.packets};
    out->used += out->field + sealed;
    out->packets += out->fill.packets;
    out->fill.payload = NULL;
    outbound_seal_if_full(worker);
}

static void begin(struct outbound *out, size_t room, size_t rest) {
    aggfrag_begin(&out->fill, out->frames + out->used + out->field + out->offset, room, rest);
}

static uint8_t *place(struct worker *worker, size_t room, size_t length) {
    struct outbound *out = &worker->out;
    uint8_t *at = out->fill.payload == NULL ? NULL : aggfrag_whole(&out->fill, length);
    if (at != NULL)
        return at;
    aggregate_close(worker);
    begin(out, room < length + AGGFRAG_HEADER_LENGTH ? length + AGGFRAG_HEADER_LENGTH : room, 0);
    return aggfrag_whole(&out->fill, length);
}

static void in_pieces(struct worker *worker, struct cut *cut, size_t room, size_t length) {
    struct outbound *out = &worker->out;
    cut_next(cut, out->whole);
    if (out->fill.payload != NULL && out->fill.room < out->fill.used + PIECE_MIN)
        aggregate_close(worker);
    for (size_t done = 0; done < length;) {
        if (out->fill.payload == NULL)
            begin(out, room, done > 0 ? length - done : 0);
        done += aggfrag_part(&out->fill, out->whole, length, done);
        if (done < length)
            aggregate_close(worker);
    }
}

size_t aggregate_pack(struct worker *worker, struct cut *cut, size_t most) {
    struct outbound *out = &worker->out;
    const size_t room = room_of(out);
    const bool pieces = out->link == NULL && !esp_sa_config(out->route.sa)->whole_only;
    size_t inner, octets = 0;
    while (octets < most && outbound_gathered(out) < SEND_AT + FRAME_MAX && (inner = cut_next_length(cut)) > 0) {
        if (pieces && inner + AGGFRAG_HEADER_LENGTH > room)
            in_pieces(worker, cut, room, inner);
        else
            cut_next(cut, place(worker, room, inner));
        octets += inner;
    }
    return octets;
}
