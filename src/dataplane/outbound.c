/* outbound.c: from the TUN to a carrier. One read gives a packet or a burst of one flow; its packets are cut to where they
 * will be sealed, behind their length field, ESP header and IV, and all leave in one write. */
#include "dataplane/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <unistd.h>

#define NEXT_IPV4 4
#define NEXT_IPV6 41
#define OTHERS_MS 1000 /* who sent in that time counts as sending */
#define WAIT_MOST_MS 20 /* how long others may stand still for one that is full */
#define BROKEN_MS 100

/* Whether nobody but this one sends: then the TUN's own queue is the best place for packets to wait. */
static bool alone(const struct worker *worker, uint64_t now) {
    return traffic_anchors(worker->traffic) <= 1 || now - worker->other_at > OTHERS_MS;
}

static void note_sender(struct worker *worker, uint32_t stream) {
    uint64_t now = dataplane_now();
    if (stream != worker->sender) {
        worker->other_at = worker->sender_at;
        worker->sender = stream;
    }
    worker->sender_at = now;
}

/* A full stream stops the TUN, rather than losing the middle of a burst; but others don't wait for it for long. */
static void wait_for(struct worker *worker, struct link *link) {
    if (traffic_anchors(worker->traffic) <= 1) {
        tun_pause(worker, 0);
    } else if (alone(worker, dataplane_now()) && !link->waited) {
        link->waited = true;
        tun_pause(worker, WAIT_MOST_MS);
    }
}

static void write_stream(struct worker *worker, struct outbound *out) {
    struct link *link = out->link;
    struct error error = {0};
    enum stream_result result = stream_write_frames(link->stream, out->frames, out->used, &error);
    counter_add(&worker->counters.stream_writes, 1);
    if (result == STREAM_AGAIN) {
        link->refused = true;
        counter_add(&worker->counters.drops_queue, out->packets);
    } else if (result != STREAM_OK) {
        out->link = NULL;
        link_lost(link, result, &error);
        return;
    }
    link_after_write(link);
    if (link->full)
        wait_for(worker, link);
}

/* Seals what was cut since. An SA whose sequence numbers are used up seals no more: the rest is dropped. */
static void seal(struct worker *worker, struct outbound *out) {
    if (out->jobs == 0)
        return;
    size_t sealed = 0;
    esp_seal(out->route.sa, out->job, out->jobs);
    while (sealed < out->jobs && out->job[sealed].length > 0)
        sealed++;
    if (sealed < out->jobs) {
        out->used = (size_t)(out->job[sealed].packet - out->field - out->frames);
        out->packets -= out->jobs - sealed;
        counter_add(&worker->counters.drops_no_sa, out->jobs - sealed);
    }
    traffic_sealed(worker->traffic, &out->route, &worker->traffic_reports);
    report_traffic(worker, NULL);
    out->jobs = 0;
    if (out->field > 0)
        return;
    for (size_t i = 0; i < sealed; i++)
        out->datagram[i] = (struct udp_datagram){.octets = out->job[i].packet,
            .length = out->job[i].length,
            .local = out->route.carrier->local,
            .remote = out->route.carrier->remote};
    size_t sent = udp_send_packets(worker, out->datagram, sealed);
    counter_add(&worker->counters.drops_queue, sealed - sent);
    out->used = out->packets = 0;
}

/* All that was gathered leaves. */
static void send_all(struct worker *worker) {
    struct outbound *out = &worker->out;
    if (out->route.sa == NULL)
        return;
    seal(worker, out);
    if (out->used > 0)
        write_stream(worker, out);
    out->used = out->packets = 0;
    out->route.sa = NULL;
}

static bool begin(struct worker *worker, const struct traffic_route *route) {
    struct outbound *out = &worker->out;
    if (out->route.sa == route->sa && out->route.carrier == route->carrier) {
        out->route = *route; /* of another protocol, maybe */
        return true;
    }
    send_all(worker);
    bool stream = route->carrier->transport != TRANSPORT_UDP;
    struct link *link = stream ? link_find(worker, route->carrier->stream) : NULL;
    if (route->carrier->transport == TRANSPORT_NONE || (stream && link == NULL))
        return false;
    if (stream && link->refused) {
        wait_for(worker, link);
        return false;
    }
    out->route = *route;
    out->link = link;
    out->field = stream ? FRAME_LENGTH_FIELD : 0;
    out->offset = esp_seal_offset(route->sa);
    note_sender(worker, route->carrier->stream);
    return true;
}

static size_t largest_inner(const struct worker *worker, const struct outbound *out) {
    if (out->field > 0)
        return esp_inner_max(out->route.sa, FRAME_PAYLOAD_MAX);
    size_t fits = esp_inner_max(out->route.sa, UDP_PAYLOAD_MAX), mtu = worker->options.tun_mtu;
    if (out->route.strip > 0) /* no pieces of packets, but pieces of datagrams */
        return fits;
    return mtu > 0 && mtu < fits ? mtu : fits;
}

/* Cuts a burst into frames; a full batch is sealed on the way, full frames are sent. */
static void pack(struct worker *worker, struct cut *cut) {
    struct outbound *out = &worker->out;
    const size_t strip = out->route.strip;
    uint8_t next_header = strip > 0 ? out->route.next_header : cut->version == 4 ? NEXT_IPV4 : NEXT_IPV6;
    size_t inner, known = 0, sealed = 0;
    while (out->route.sa != NULL && (inner = cut_next_length(cut)) > 0) {
        if (inner != known) {
            known = inner;
            sealed = esp_sealed_length(out->route.sa, inner - strip);
        }
        uint8_t *packet = out->frames + out->used + out->field;
        cut_next(cut, packet + out->offset);
        if (strip > 0)
            memmove(packet + out->offset, packet + out->offset + strip, inner - strip);
        if (out->field > 0)
            frame_header(out->frames + out->used, sealed);
        out->job[out->jobs++] =
            (struct esp_seal_job){.packet = packet, .inner = inner - strip, .next_header = next_header};
        out->used += out->field + sealed;
        out->packets++;
        if (out->jobs == ESP_BATCH_MAX || (out->field == 0 && out->used >= SEND_AT))
            seal(worker, out);
        if (out->used >= SEND_AT + FRAME_MAX) { /* room for one more of any length is kept */
            struct traffic_route route = out->route;
            send_all(worker);
            if (!begin(worker, &route))
                return;
        }
    }
}

static void one_read(struct worker *worker, size_t length) {
    struct outbound *out = &worker->out;
    struct cut cut;
    struct traffic_route route;
    if (!cut_begin(&cut, out->read, length)) {
        counter_add(&worker->counters.drops_policy, 1);
        return;
    }
    if (!traffic_route(worker->traffic, cut.packet, cut.length, &route)) {
        if (icmp_no_tunnel(worker, cut.packet, cut.length))
            hold_add(worker, out->read, length);
        return;
    }
    if (!begin(worker, &route)) {
        counter_add(&worker->counters.drops_queue, 1);
        return;
    }
    size_t most = largest_inner(worker, out);
    if (cut_longest(&cut) > most) {
        counter_add(&worker->counters.drops_policy, 1);
        icmp_too_big(worker, cut.packet, cut.length, most);
        return;
    }
    pack(worker, &cut);
    if (out->used >= SEND_AT)
        send_all(worker);
}

void outbound_again(struct worker *worker, const uint8_t *octets, size_t length) {
    memcpy(worker->out.read, octets, length);
    one_read(worker, length);
    send_all(worker);
}

void outbound_readable(int fd, short what, void *context) {
    (void)what;
    struct worker *worker = context;
    size_t octets = 0;
    for (int i = 0; i < READS_PER_WAKE && octets < OCTETS_PER_WAKE && !worker->tun_paused; i++) {
        ssize_t length = read(fd, worker->out.read, sizeof worker->out.read);
        if (length <= 0) {
            if (length == 0 || (errno != EAGAIN && errno != EINTR))
                tun_pause(worker, BROKEN_MS); /* the device went away or is down: don't turn in circles */
            break;
        }
        counter_add(&worker->counters.tun_reads, 1);
        octets += (size_t)length;
        one_read(worker, (size_t)length);
    }
    send_all(worker);
}
