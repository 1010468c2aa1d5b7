/* reports.c: what the worker tells the control thread. The last slots of the ring are kept for what must arrive. */
#include "dataplane/internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool reports_have_room(struct worker *worker, size_t ike) {
    size_t room = ring_room(&worker->reports);
    return ike == 0 ? room >= REPORT_ROOM : room >= REPORT_RESERVE + REPORT_ROOM + ike;
}

static bool have_spare(struct worker *worker) {
    return ring_room(&worker->reports) > REPORT_RESERVE;
}

void report_discard(const struct worker_report *report) {
    free(report->octets);
    if (report->kind == WORKER_TRAFFIC_REPORT && report->traffic.kind == TRAFFIC_RETIRED)
        esp_sa_free(report->traffic.sa);
}

static bool push_octets(struct worker *worker, struct worker_report *report, struct span octets) {
    report->octets = malloc(octets.length == 0 ? 1 : octets.length);
    if (report->octets == NULL)
        return false;
    if (octets.length > 0)
        memcpy(report->octets, octets.at, octets.length);
    report->length = octets.length;
    if (ring_push(&worker->reports, report))
        return true;
    free(report->octets);
    return false;
}

bool report_ike(struct worker *worker, const struct carrier *carrier, struct span message) {
    struct worker_report report = {.kind = WORKER_IKE, .carrier = *carrier};
    if (have_spare(worker) && push_octets(worker, &report, message))
        return true;
    counter_add(&worker->counters.ike_dropped, 1);
    return false;
}

void report_gone(struct worker *worker, struct link *link) {
    struct worker_report report = {.kind = WORKER_STREAM_GONE, .carrier = link->carrier, .error = link->error};
    if (ring_room(&worker->reports) > REPORT_ROOM && ring_push(&worker->reports, &report)) {
        free(link);
        return;
    }
    LIST_INSERT_HEAD(&worker->gone, link, next);
    worker_retry_soon(worker);
}

void report_udp_error(struct worker *worker, const struct address *remote, const struct error *error) {
    struct worker_report report = {
        .kind = WORKER_UDP_ERROR, .carrier = {.transport = TRANSPORT_UDP, .remote = *remote}, .error = *error};
    if (have_spare(worker))
        ring_push(&worker->reports, &report);
}

void report_ondemand(struct worker *worker, uint32_t device, const uint8_t *packet, size_t length) {
    struct worker_report report = {.kind = WORKER_ONDEMAND, .device = device};
    if (have_spare(worker))
        push_octets(worker, &report, span_of(packet, length));
}

bool report_lent(struct worker *worker, const struct link *link, const struct esp_numbers *numbers, size_t count) {
    struct worker_report report = {
        .kind = WORKER_LENT, .carrier = link->carrier, .traffic = {.anchor = link->anchor}, .round = link->round};
    return have_spare(worker) && push_octets(worker, &report, span_of(numbers, count * sizeof *numbers));
}

void report_traffic(struct worker *worker, struct error *corrupt) {
    struct traffic_reports *list = &worker->traffic_reports;
    for (size_t i = 0; i < list->count; i++) {
        const struct traffic_report *traffic = &list->report[i];
        struct worker_report report = {.kind = WORKER_TRAFFIC_REPORT, .traffic = *traffic};
        if (traffic->kind == TRAFFIC_CORRUPT) {
            if (corrupt != NULL)
                *corrupt = traffic->error;
        } else if (traffic->kind == TRAFFIC_RETIRED) {
            bool pushed = ring_push(&worker->reports, &report);
            assert(pushed); /* whoever could cause it has asked reports_have_room */
            (void)pushed;
        } else if (have_spare(worker)) {
            ring_push(&worker->reports, &report);
        }
    }
    list->count = 0;
}
