/* inbound.c: the frames of one read: IKE goes up, ESP is opened in batches of one SA, and what came authentic and fresh
 * moves its anchor to the carrier it came on (L5). Corruption closes the stream that delivered it, nothing else (L10). */
#include "peer/traffic.h"

struct inbound {
    struct traffic *traffic;
    uint64_t now;
    const struct carrier *carrier;
    uint32_t tolerance;
    uint32_t *strikes; /* NULL over UDP */
    struct traffic_reports *reports;
    struct traffic_frame *at; /* being judged */
    const char *corrupt; /* why the stream is to be closed; NULL: it is not */
};

static void corrupt(struct inbound *in, const char *why) {
    in->corrupt = why;
    in->at->verdict = TRAFFIC_IS_CORRUPT;
}

static void strike(struct inbound *in, const char *why) {
    if (in->strikes && ++*in->strikes > in->tolerance)
        corrupt(in, why);
}

static bool report_moved(struct inbound *in, const struct anchor *anchor) {
    struct traffic_report *report = report_add(in->reports, TRAFFIC_MOVED);
    if (!report)
        return false;
    report->anchor = anchor->number;
    report->carrier = *in->carrier;
    return true;
}

static void move_anchor(struct inbound *in, struct anchor *anchor) {
    if (carrier_equal(&anchor->carrier, in->carrier)) {
        if (anchor->unconfirmed && ++anchor->batches % REPORT_AGAIN == 0)
            report_moved(in, anchor);
        return;
    }
    if (!anchor_may_move(in->traffic, anchor, in->carrier) || !report_moved(in, anchor))
        return; /* a full list: the next packet moves it */
    anchor_carry(in->traffic, anchor, in->carrier);
    anchor->unconfirmed = true;
    anchor->batches = 0;
}

/* Puts the IP header back that transport mode left behind. No room: the packet is lost. */
static void rebuild(struct inbound *in, const struct installed *installed, const struct esp_open_job *job) {
    struct traffic *traffic = in->traffic;
    struct traffic_frame *frame = in->at;
    uint8_t *out = traffic->rebuilt + traffic->rebuilt_used;
    size_t length = esp_transport_rebuild(installed->sa, job->inner, job->inner_length, job->next_header, out,
        REBUILT_OCTETS_MAX - traffic->rebuilt_used);
    frame->rebuilt = true;
    frame->inner = out;
    frame->inner_length = length;
    traffic->rebuilt_used += length;
    if (length == 0)
        frame->verdict = TRAFFIC_IS_NOTHING;
}

static void judge(struct inbound *in, const struct installed *installed, const struct esp_open_job *job) {
    struct traffic_frame *frame = in->at;
    frame->verdict = TRAFFIC_IS_NOTHING;
    switch (job->verdict) {
    case ESP_INNER:
        frame->verdict = TRAFFIC_IS_INNER;
        frame->inner = job->inner;
        frame->inner_length = job->inner_length;
        frame->anchor = installed->anchor->number;
        frame->device = installed->device;
        if (esp_sa_config(installed->sa)->transport)
            rebuild(in, installed, job);
        break;
    case ESP_AGGREGATE:
        frame->verdict = TRAFFIC_IS_AGGREGATE;
        frame->anchor = installed->anchor->number;
        frame->device = installed->device;
        aggfrag_open(&frame->walk, installed->sa, job);
        break;
    case ESP_FORGED:
        if (in->strikes)
            corrupt(in, "an ESP packet failed its integrity check");
        break;
    case ESP_MALFORMED:
        strike(in, "ESP packets that cannot be parsed");
        break;
    case ESP_DUMMY:
    case ESP_REPLAYED:
    case ESP_POLICY:
        break;
    }
}

static void open_batch(struct inbound *in, struct installed *installed, struct traffic_frame *frame, size_t frames) {
    struct esp_open_job job[ESP_BATCH_MAX];
    for (size_t i = 0; i < frames; i++)
        job[i] = (struct esp_open_job){.packet = frame[i].payload, .length = frame[i].length};
    size_t fresh = esp_open(installed->sa, in->now, job, frames);
    for (size_t i = 0; i < frames && !in->corrupt; i++) {
        in->at = &frame[i];
        judge(in, installed, &job[i]);
    }
    if (fresh == 0)
        return;
    if (in->strikes && !in->corrupt)
        *in->strikes = 0;
    if (installed->draining)
        return; /* deleted: what is late says nothing of now */
    move_anchor(in, installed->anchor);
    if (!installed->outbound)
        policy_enter(in->traffic, installed); /* the peer uses it, so may we */
}

static uint32_t spi_of(struct span packet) {
    struct reader reader = reader_over(packet.at, packet.length);
    uint32_t spi = 0;
    return reader_u32(&reader, &spi) ? spi : 0;
}

/* How many frames from the first on are ESP of one SPI, at most a batch. */
static size_t batch_length(const struct traffic_frame *frame, size_t frames, uint32_t spi) {
    size_t count = 1;
    struct span message;
    while (count < frames && count < ESP_BATCH_MAX) {
        struct span payload = span_of(frame[count].payload, frame[count].length);
        if (payload_classify(payload, &message) != PAYLOAD_IS_ESP || spi_of(payload) != spi)
            break;
        count++;
    }
    return count;
}

/* Over UDP its sender may be told: after a restart of ours it can't know (RFC 7296, section 1.5). */
static void report_unknown(struct inbound *in, const struct traffic_frame *frame, uint32_t spi) {
    struct traffic *traffic = in->traffic;
    if (in->now - traffic->unknown_since >= SECOND) {
        traffic->unknown_since = in->now;
        traffic->unknown = 0;
    }
    if (in->strikes || frame->length < UNKNOWN_LENGTH_MIN || traffic->unknown >= UNKNOWN_PER_SECOND)
        return;
    struct traffic_report *report = report_add(in->reports, TRAFFIC_UNKNOWN_SPI);
    if (!report)
        return;
    traffic->unknown++;
    report->carrier = *in->carrier;
    report->spi_in = spi;
}

static size_t take_esp(struct inbound *in, struct traffic_frame *frame, size_t frames) {
    uint32_t spi = spi_of(span_of(frame->payload, frame->length));
    struct installed *installed = table_get(&in->traffic->by_spi, spi);
    if (!installed) {
        report_unknown(in, frame, spi);
        strike(in, "ESP packets that name unknown SPIs");
        return 1;
    }
    size_t batch = batch_length(frame, frames, spi);
    if (installed->lent) { /* by what the kernel has seen since it may be a replay: it moves nothing (L5) */
        for (size_t i = 0; i < batch; i++)
            frame[i].verdict = TRAFFIC_IS_NOTHING;
        return batch;
    }
    open_batch(in, installed, frame, batch);
    return batch;
}

/* Returns how many frames are done with: one, or a batch of ESP. */
static size_t take(struct inbound *in, bool marker, struct traffic_frame *frame, size_t frames) {
    struct span payload = span_of(frame->payload, frame->length);
    frame->verdict = TRAFFIC_IS_NOTHING;
    frame->rebuilt = false;
    if (!marker) {
        frame->message = payload;
        if (payload.length >= IKE_HEADER_LENGTH)
            frame->verdict = TRAFFIC_IS_IKE;
        return 1;
    }
    switch (payload_classify(payload, &frame->message)) {
    case PAYLOAD_IS_IKE:
        frame->verdict = TRAFFIC_IS_IKE;
        break;
    case PAYLOAD_IS_ESP:
        return take_esp(in, frame, frames);
    case PAYLOAD_IS_RUNT:
        strike(in, "messages of one to three octets");
        break;
    case PAYLOAD_IS_KEEPALIVE:
    case PAYLOAD_IS_EMPTY:
        break;
    }
    return 1;
}

static void say_corrupt(const struct inbound *in) {
    struct traffic_report *report = report_add(in->reports, TRAFFIC_CORRUPT);
    if (!report)
        return; /* the caller closes the stream all the same */
    report->carrier = *in->carrier;
    (void)fail(&report->error, PEER, 0, "%s", in->corrupt);
}

void traffic_receive(struct traffic *traffic, uint64_t now, const struct carrier *carrier, bool marker,
    uint32_t tolerance, uint32_t *strikes, struct traffic_frame *frame, size_t frames,
    struct traffic_reports *reports) {
    struct inbound in = {.traffic = traffic,
        .now = now,
        .carrier = carrier,
        .tolerance = tolerance,
        .strikes = strikes,
        .reports = reports};
    size_t done = 0;
    traffic->rebuilt_used = 0;
    while (done < frames && !in.corrupt) {
        in.at = &frame[done];
        done += take(&in, marker, in.at, frames - done);
    }
    if (!in.corrupt)
        return;
    for (struct traffic_frame *rest = in.at + 1; rest < frame + frames; rest++)
        rest->verdict = TRAFFIC_IS_NOTHING;
    say_corrupt(&in);
}
