/* reports.c: what the worker has to say: IKE messages, streams that are gone, SAs that are free again. */
#include "daemon/engine/internal.h"

#include <event2/event.h>
#include <stdlib.h>

#define REPORTS_AT_ONCE 64

static void stream_gone(struct engine *engine, const struct worker_report *report) {
    if (!streams_gone(engine, report->carrier.stream))
        return;
    log_debug("stream %u is gone: %s", report->carrier.stream,
        report->error.origin == ORIGIN_NONE ? "the peer closed it" : report->error.text);
    engine_apply(engine, peers_stream_lost(engine->peers, engine_now(), report->carrier.stream, &report->error));
}

static void traffic_report(struct engine *engine, const struct worker_report *report) {
    switch (report->traffic.kind) {
    case TRAFFIC_RETIRED:
        kernel_forget(engine, report->traffic.sa);
        esp_sa_free(report->traffic.sa);
        return;
    case TRAFFIC_CORRUPT: /* the worker closes the stream, and says so */
        log_debug("stream %u: %s", report->traffic.carrier.stream, report->traffic.error.text);
        return;
    case TRAFFIC_NO_SA: /* comes as WORKER_ONDEMAND */
        return;
    case TRAFFIC_MOVED:
    case TRAFFIC_SOFT_EXPIRY:
    case TRAFFIC_UNKNOWN_SPI:
        engine_apply(engine, peers_traffic(engine->peers, engine_now(), &report->traffic));
    }
}

static void take(struct engine *engine, const struct worker_report *report) {
    uint64_t now = engine_now();
    switch (report->kind) {
    case WORKER_IKE:
        engine_apply(
            engine, peers_receive(engine->peers, now, &report->carrier, span_of(report->octets, report->length)));
        break;
    case WORKER_TRAFFIC_REPORT:
        traffic_report(engine, report);
        break;
    case WORKER_STREAM_GONE:
        stream_gone(engine, report);
        break;
    case WORKER_UDP_ERROR:
        engine_apply(engine, peers_udp_failed(engine->peers, now, &report->carrier, &report->error));
        break;
    case WORKER_LENT:
        kernel_lent(engine, report);
        break;
    case WORKER_ONDEMAND:
        engine_apply(engine, peers_ondemand(engine->peers, now, report->device, report->octets, report->length));
        break;
    }
}

/* Level-triggered: what is left comes with the next round of the loop, after timers and other sockets had their turn. */
static void on_reports(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct engine *engine = context;
    struct worker_report *report = calloc(REPORTS_AT_ONCE, sizeof *report);
    if (report == NULL)
        return;
    size_t count = worker_take(engine->worker, report, REPORTS_AT_ONCE);
    for (size_t i = 0; i < count; i++) {
        take(engine, &report[i]);
        free(report[i].octets);
    }
    free(report);
}

bool reports_open(struct engine *engine) {
    engine->reports =
        event_new(engine->base, worker_report_fd(engine->worker), EV_READ | EV_PERSIST, on_reports, engine);
    return engine->reports != NULL && event_add(engine->reports, NULL) == 0;
}

void reports_close(struct engine *engine) {
    if (engine->reports != NULL)
        event_free(engine->reports);
    engine->reports = NULL;
}
