/* inbound.c: from a carrier to the TUN: one read, all whole messages opened in place, joined into bursts, written. IKE
 * messages go up to the control thread. */
#include "dataplane/internal.h"

#include <event2/event.h>

/* What was put together lies where the next one will. */
static void add_aggregate(struct tun *tun, struct aggfrag_walk *walk) {
    uint8_t *inner;
    size_t length;
    bool pieced;
    while (aggfrag_next(walk, &inner, &length, &pieced)) {
        if (tun == NULL)
            continue;
        join_add(&tun->joiner, inner, length);
        if (pieced)
            join_flush(&tun->joiner);
    }
}

/* Sorts what traffic_receive found; false: corrupt. */
static bool sort(struct worker *worker, const struct carrier *carrier, size_t count) {
    struct tun *tun;
    bool rebuilt = false; /* lives in memory that the next call uses again */
    for (size_t i = 0; i < count; i++) {
        struct traffic_frame *frame = &worker->frame[i];
        switch (frame->verdict) {
        case TRAFFIC_IS_INNER:
            if ((tun = tun_find(worker, frame->device)) != NULL)
                join_add(&tun->joiner, frame->inner, frame->inner_length);
            rebuilt = rebuilt || frame->rebuilt;
            break;
        case TRAFFIC_IS_AGGREGATE:
            add_aggregate(tun_find(worker, frame->device), &frame->walk);
            break;
        case TRAFFIC_IS_IKE:
            report_ike(worker, carrier, frame->message);
            break;
        case TRAFFIC_IS_NOTHING:
            break;
        case TRAFFIC_IS_CORRUPT:
            tuns_flush(worker);
            return false;
        }
    }
    if (rebuilt)
        tuns_flush(worker);
    return true;
}

bool inbound_frames(struct worker *worker, const struct carrier *carrier, bool marker, uint32_t *strikes, size_t count,
    struct error *err) {
    traffic_receive(worker->traffic, dataplane_now(), carrier, marker, worker->options.corrupt_tolerance, strikes,
        worker->frame, count, &worker->traffic_reports);
    report_traffic(worker, err);
    return sort(worker, carrier, count);
}

bool inbound_link(struct link *link) {
    struct worker *worker = link->worker;
    for (;;) {
        /* IKE from a stream is never dropped: it would not be sent again (K1). */
        if (!reports_have_room(worker, ESP_BATCH_MAX)) {
            link_hold(link);
            tuns_flush(worker);
            stream_park(link->stream);
            return false;
        }
        struct error error = {0};
        size_t count = 0;
        enum stream_result result = stream_payloads(link->stream, worker->payload, ESP_BATCH_MAX, &count, &error);
        bool whole = result == STREAM_OK || result == STREAM_AGAIN;
        for (size_t i = 0; whole && i < count; i++) /* the stream's own buffer: it may be written */
            worker->frame[i] = (struct traffic_frame){
                .payload = (uint8_t *)worker->payload[i].at, .length = worker->payload[i].length};
        if (!whole || (count > 0 && !inbound_frames(worker, &link->carrier, true, &link->strikes, count, &error))) {
            tuns_flush(worker);
            link_lost(link, STREAM_CORRUPT, &error);
            return false;
        }
        if (count == 0) {
            tuns_flush(worker);
            stream_park(link->stream);
            return true;
        }
    }
}

/* One read a wake-up: whoever has more is heard again after the others. */
void inbound_readable(int fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct link *link = context;
    struct error error = {0};
    if (link->held || link->lending == LEND_RESTS)
        return;
    enum stream_result result = stream_read(link->stream, &error);
    counter_add(&link->worker->counters.stream_reads, 1);
    if (result == STREAM_OK) {
        if (inbound_link(link) && lend_on(link) && stream_pending(link->stream))
            event_active(link->readable, EV_READ, 0);
    } else if (result == STREAM_AGAIN) {
        stream_park(link->stream);
    } else {
        link_lost(link, result, &error);
    }
}
