/* outbound.c: from the TUN to a carrier. One read gives a packet or a burst of one flow, which waits in the queue until its
 * turn comes and its carrier takes more; then its packets are cut to where they will be sealed, behind their length field,
 * ESP header and IV, and all leave in one write. */
#include "dataplane/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT_IPV4 4
#define NEXT_IPV6 41
#define BROKEN_MS 100

/* ---- what leaves ---- */

static void write_stream(struct worker *worker, struct outbound *out) {
    struct link *link = out->link;
    struct error error = {0};
    enum stream_result result = stream_write_frames(link->stream, out->frames, out->used, &error);
    counter_add(&worker->counters.stream_writes, 1);
    if (result == STREAM_AGAIN) {
        counter_add(&worker->counters.drops_queue, out->packets);
    } else if (result != STREAM_OK) {
        out->link = NULL;
        link_lost(link, result, &error);
        return;
    }
    link_after_write(link);
    link_pace(link, dataplane_now());
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
        size_t lost = 0;
        for (size_t i = sealed; i < out->jobs; i++)
            lost += out->job[i].packets;
        out->used = (size_t)(out->job[sealed].packet - out->field - out->frames);
        out->packets -= lost;
        counter_add(&worker->counters.drops_no_sa, lost);
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
    for (size_t i = sent; i < sealed; i++)
        counter_add(&worker->counters.drops_queue, out->job[i].packets);
    out->used = out->packets = 0;
}

void outbound_seal_if_full(struct worker *worker) {
    struct outbound *out = &worker->out;
    if (out->jobs == ESP_BATCH_MAX || (out->field == 0 && out->used >= SEND_AT))
        seal(worker, out);
}

/* All that was gathered leaves. */
static void send_all(struct worker *worker) {
    struct outbound *out = &worker->out;
    if (out->route.sa == NULL)
        return;
    aggregate_close(worker);
    seal(worker, out);
    if (out->link != NULL && out->used > 0)
        write_stream(worker, out);
    out->used = out->packets = 0;
    out->route.sa = NULL;
}

static bool same_route(const struct outbound *out, const struct traffic_route *route) {
    return out->route.sa == route->sa && out->route.carrier == route->carrier;
}

/* Nothing is gathered now; false: this route leads nowhere. */
static bool begin(struct worker *worker, const struct traffic_route *route) {
    struct outbound *out = &worker->out;
    bool stream = route->carrier->transport != TRANSPORT_UDP;
    struct link *link = stream ? link_find(worker, route->carrier->stream) : NULL;
    if (route->carrier->transport == TRANSPORT_NONE || (stream && (link == NULL || link->full)))
        return false;
    out->route = *route;
    out->link = link;
    out->field = stream ? FRAME_LENGTH_FIELD : 0;
    out->offset = esp_seal_offset(route->sa);
    return true;
}

/* Cuts up to `most` octets of packets into frames; a full batch is sealed on the way. Returns how many octets. */
static size_t pack(struct worker *worker, struct cut *cut, size_t most) {
    struct outbound *out = &worker->out;
    const size_t strip = out->route.strip;
    uint8_t next_header = strip > 0 ? out->route.next_header : cut->version == 4 ? NEXT_IPV4 : NEXT_IPV6;
    size_t inner, known = 0, sealed = 0, octets = 0;
    while (octets < most && out->used < SEND_AT + FRAME_MAX && (inner = cut_next_length(cut)) > 0) {
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
            (struct esp_seal_job){.packet = packet, .inner = inner - strip, .next_header = next_header, .packets = 1};
        out->used += out->field + sealed;
        out->packets++;
        octets += inner;
        outbound_seal_if_full(worker);
    }
    return octets;
}

static size_t largest_inner(const struct tun *tun, const struct traffic_route *route) {
    size_t header = esp_sa_config(route->sa)->aggfrag ? AGGFRAG_HEADER_LENGTH : 0;
    if (route->carrier->transport != TRANSPORT_UDP)
        return esp_inner_max(route->sa, FRAME_PAYLOAD_MAX) - header;
    size_t fits = esp_inner_max(route->sa, UDP_PAYLOAD_MAX) - header, mtu = tun != NULL ? tun->mtu : 0;
    if (route->strip > 0) /* no pieces of packets, but pieces of datagrams */
        return fits;
    return mtu > 0 && mtu < fits ? mtu : fits;
}

/* ---- whose turn it is ---- */

void outlet_init(struct outlet *outlet, struct link *link, uint32_t number) {
    outlet->link = link;
    outlet->ready = false;
    queue_line_init(&outlet->line, number, QUEUE_QUANTUM_MAX);
}

void outlet_ready(struct worker *worker, struct outlet *outlet) {
    if (outlet->ready || queue_line_empty(&outlet->line) || (outlet->link != NULL && outlet->link->full))
        return;
    outlet->ready = true;
    TAILQ_INSERT_TAIL(&worker->ready, outlet, next);
}

void outlet_rest(struct worker *worker, struct outlet *outlet) {
    if (outlet->ready)
        TAILQ_REMOVE(&worker->ready, outlet, next);
    outlet->ready = false;
}

void outlet_clear(struct worker *worker, struct outlet *outlet) {
    outlet_rest(worker, outlet);
    counter_add(&worker->counters.drops_queue, queue_line_clear(worker->queue, &outlet->line));
}

/* While it waited SAs may have come and gone, and its anchor may have moved. */
static bool route_again(struct worker *worker, struct queue_burst *burst) {
    if (burst->generation == worker->generation)
        return true;
    burst->generation = worker->generation;
    return traffic_route(worker->traffic, burst->device, burst->cut.packet, burst->cut.length, &burst->route) &&
           cut_longest(&burst->cut) <= largest_inner(tun_find(worker, burst->device), &burst->route);
}

/* Something of one flow, or of an outlet that has nothing more. Returns how many octets. */
static size_t one_turn(struct worker *worker, struct outlet *outlet, uint64_t now) {
    size_t most;
    struct queue_burst *burst = queue_next(worker->queue, &outlet->line, now, &most);
    if (burst == NULL) {
        outlet_rest(worker, outlet);
        return 0;
    }
    bool led = route_again(worker, burst);
    if (led && worker->out.route.sa != NULL && !same_route(&worker->out, &burst->route)) {
        send_all(worker); /* a stream may end by that, and all that waits for it: begin anew */
        return 0;
    }
    if (!led || (worker->out.route.sa == NULL && !begin(worker, &burst->route))) {
        counter_add(&worker->counters.drops_queue, queue_drop(worker->queue, burst));
        return 0;
    }
    worker->out.route = burst->route; /* of another protocol, maybe */
    bool aggregates = esp_sa_config(burst->route.sa)->aggfrag;
    size_t octets = aggregates ? aggregate_pack(worker, &burst->cut, most) : pack(worker, &burst->cut, most);
    queue_took(worker->queue, burst, octets);
    if (TAILQ_NEXT(outlet, next) != NULL) {
        TAILQ_REMOVE(&worker->ready, outlet, next);
        TAILQ_INSERT_TAIL(&worker->ready, outlet, next);
    }
    if (outbound_gathered(&worker->out) >= outlet->line.quantum)
        send_all(worker); /* the outlet may be gone with its stream */
    return octets;
}

/* Those that the queue itself chose. */
static void count_queue_drops(struct worker *worker) {
    const struct queue_counters *now = queue_counters(worker->queue);
    counter_add(&worker->counters.drops_queue, now->dropped + now->shed - worker->queue_drops);
    worker->queue_drops = now->dropped + now->shed;
}

void outbound_serve(struct worker *worker) {
    uint64_t now = dataplane_now();
    size_t octets = 0;
    while (octets < OCTETS_PER_WAKE && !TAILQ_EMPTY(&worker->ready)) {
        octets += one_turn(worker, TAILQ_FIRST(&worker->ready), now);
        if (TAILQ_EMPTY(&worker->ready))
            send_all(worker); /* which may make one ready again, or none */
    }
    send_all(worker);
    count_queue_drops(worker);
    if (!TAILQ_EMPTY(&worker->ready))
        event_active(worker->on_serve, EV_TIMEOUT, 0); /* after the others had their turn */
}

/* ---- what comes ---- */

static struct outlet *outlet_of(struct worker *worker, const struct carrier *carrier) {
    if (carrier->transport == TRANSPORT_UDP)
        return &worker->udp_outlet;
    struct link *link = carrier->transport == TRANSPORT_NONE ? NULL : link_find(worker, carrier->stream);
    return link == NULL ? NULL : &link->outlet;
}

/* Finds out whose it is; NULL: it goes nowhere. */
static struct outlet *admit(struct worker *worker, struct queue_burst *burst) {
    struct cut *cut = &burst->cut;
    if (!traffic_route(worker->traffic, burst->device, cut->packet, cut->length, &burst->route)) {
        if (icmp_no_tunnel(worker, burst->device, cut->packet, cut->length))
            hold_add(worker, burst->device, burst->octets, burst->length);
        return NULL;
    }
    burst->generation = worker->generation;
    counter_add(&esp_sa_counters(burst->route.sa)->bursts_wanted, 1);
    struct outlet *outlet = outlet_of(worker, burst->route.carrier);
    if (outlet == NULL) {
        counter_add(&worker->counters.drops_queue, 1);
        return NULL;
    }
    size_t most = largest_inner(tun_find(worker, burst->device), &burst->route);
    if (cut_longest(cut) <= most)
        return outlet;
    counter_add(&worker->counters.drops_policy, 1);
    icmp_too_big(worker, burst->device, cut->packet, cut->length, most);
    return NULL;
}

static void one_read(struct worker *worker, uint32_t device, size_t length, uint64_t now) {
    struct queue_burst *burst = queue_read(worker->queue, length);
    if (burst == NULL) {
        counter_add(&worker->counters.drops_policy, 1);
        return;
    }
    burst->device = device;
    struct outlet *outlet = admit(worker, burst);
    if (outlet == NULL) {
        queue_forget(worker->queue, burst);
        return;
    }
    queue_enter(worker->queue, &outlet->line, burst, now);
    outlet_ready(worker, outlet);
}

/* Leaves now: it waited long enough, and its memory is the caller's. */
void outbound_again(struct worker *worker, uint32_t device, const uint8_t *octets, size_t length) {
    struct iovec part[2];
    queue_room(worker->queue, part);
    size_t front = length < part[0].iov_len ? length : part[0].iov_len;
    memcpy(part[0].iov_base, octets, front);
    memcpy(part[1].iov_base, octets + front, length - front);
    one_read(worker, device, length, dataplane_now());
    outbound_serve(worker);
}

/* More is read than is sent, so that a packet of a flow that sends little does not wait in the TUN behind the others'. */
void outbound_readable(int fd, short what, void *context) {
    (void)what;
    struct tun *tun = context;
    struct worker *worker = tun->worker;
    uint64_t now = dataplane_now();
    size_t octets = 0;
    for (int i = 0; i < READS_PER_WAKE && octets < READ_PER_WAKE; i++) {
        struct iovec part[2];
        queue_room(worker->queue, part);
        ssize_t length = readv(fd, part, 2);
        if (length <= 0) {
            if (length == 0 || (errno != EAGAIN && errno != EINTR))
                tun_pause(tun, BROKEN_MS); /* the device went away or is down: don't turn in circles */
            break;
        }
        counter_add(&worker->counters.tun_reads, 1);
        octets += (size_t)length;
        one_read(worker, tun->device, (size_t)length, now);
    }
    outbound_serve(worker);
}
