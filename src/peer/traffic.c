/* traffic.c: the worker's half: anchors with what carries them, and the Child SAs that are installed on them. */
#include "peer/traffic.h"

#include <stdlib.h>

struct traffic *traffic_new(uint8_t worker) {
    struct traffic *traffic = calloc(1, sizeof *traffic);
    if (!traffic)
        return NULL;
    traffic->worker = worker;
    /* Anchors, streams and inbound SPIs are numbers of ours and prefixes come from authenticated peers, so a fixed
     * secret does. */
    const uint64_t secret[2] = {UINT64_C(0x9e3779b97f4a7c15), worker};
    table_init(&traffic->by_anchor, secret);
    table_init(&traffic->by_spi, secret);
    table_init(&traffic->by_stream, secret);
    table_init(&traffic->policy, secret);
    return traffic;
}

struct traffic_report *report_add(struct traffic_reports *reports, enum traffic_report_kind kind) {
    if (reports->count == sizeof reports->report / sizeof reports->report[0])
        return NULL;
    struct traffic_report *report = &reports->report[reports->count++];
    *report = (struct traffic_report){.kind = kind};
    return report;
}

/* --- anchors --- */

bool anchor_carry(struct traffic *traffic, struct anchor *anchor, const struct carrier *carrier) {
    if (anchor->carrier.stream && table_get(&traffic->by_stream, anchor->carrier.stream) == anchor)
        table_remove(&traffic->by_stream, anchor->carrier.stream);
    anchor->carrier = *carrier;
    anchor->unconfirmed = false;
    if (carrier->transport != TRANSPORT_NONE)
        anchor->over_stream = carrier->transport != TRANSPORT_UDP;
    if (carrier->stream && !table_put(&traffic->by_stream, carrier->stream, anchor)) {
        anchor->carrier = (struct carrier){0};
        return false;
    }
    return true;
}

/* L5 asks for authentic fresh ESP, which the caller has; C2, C5 and L7 are asked here. */
bool anchor_may_move(const struct traffic *traffic, const struct anchor *anchor, const struct carrier *to) {
    if (to->transport == TRANSPORT_UDP && anchor->roams)
        return !anchor->over_stream && !anchor->pinned && address_same_host(&anchor->carrier.remote, &to->remote);
    if (to->transport == TRANSPORT_UDP)
        return !anchor->over_stream && (!anchor->pinned || address_equal(&anchor->carrier.remote, &to->remote));
    if (anchor->carrier.transport == TRANSPORT_UDP)
        return false;
    const struct anchor *other = table_get(&traffic->by_stream, to->stream);
    return !other || other == anchor;
}

static void anchor_add(struct traffic *traffic, const struct traffic_command *command) {
    uint32_t number = command->anchor;
    struct anchor *anchor = table_get(&traffic->by_anchor, number);
    if (!anchor) {
        anchor = calloc(1, sizeof *anchor);
        if (!anchor || !table_put(&traffic->by_anchor, number, anchor)) {
            free(anchor);
            return;
        }
        anchor->number = number;
        traffic->anchors++;
    }
    anchor->pinned = command->pinned;
    anchor->roams = command->roams;
    anchor_carry(traffic, anchor, &command->carrier);
}

/* --- SAs --- */

static struct installed *find_sa(const struct traffic *traffic, uint32_t spi_in) {
    return table_get(&traffic->by_spi, spi_in);
}

static void give_back(struct esp_sa *sa, struct traffic_reports *reports) {
    struct traffic_report *report = report_add(reports, TRAFFIC_RETIRED);
    if (report)
        report->sa = sa;
    else
        esp_sa_free(sa); /* its counters are nobody's any more: peers forgot them before it said so */
}

static void install(struct traffic *traffic, const struct traffic_command *command, struct traffic_reports *reports) {
    struct anchor *anchor = table_get(&traffic->by_anchor, command->anchor);
    uint32_t spi_in = esp_sa_spi_in(command->sa);
    size_t room = sizeof(struct installed) + esp_sa_config(command->sa)->remote->count * sizeof(struct policy_entry);
    struct installed *installed = anchor && !find_sa(traffic, spi_in) ? calloc(1, room) : NULL;
    if (installed && esp_sa_config(command->sa)->transport && !traffic->rebuilt)
        traffic->rebuilt = malloc(REBUILT_OCTETS_MAX);
    bool ready = installed && (traffic->rebuilt || !esp_sa_config(command->sa)->transport);
    if (!ready || !table_put(&traffic->by_spi, spi_in, installed)) {
        free(installed);
        give_back(command->sa, reports);
        return;
    }
    installed->anchor = anchor;
    installed->sa = command->sa;
    installed->spi_in = spi_in;
    installed->lent = command->lent;
    installed->mute = command->mute;
    installed->replaces = command->replaces;
    installed->device = command->device;
    installed->next = anchor->sas;
    anchor->sas = installed;
    traffic->sas++;
    const struct installed *old = command->replaces ? find_sa(traffic, command->replaces) : NULL;
    if (command->outbound_now || !old)
        policy_enter(traffic, installed);
}

/* What waited for the old one to go may be used now. */
static void release_waiting(struct traffic *traffic, struct anchor *anchor, uint32_t retired) {
    for (struct installed *waiting = anchor->sas; waiting; waiting = waiting->next)
        if (!waiting->outbound && !waiting->draining && waiting->replaces == retired)
            policy_enter(traffic, waiting);
}

static void retire(struct traffic *traffic, struct installed *installed, struct traffic_reports *reports) {
    struct anchor *anchor = installed->anchor;
    uint32_t spi_in = installed->spi_in;
    policy_leave(traffic, installed);
    table_remove(&traffic->by_spi, spi_in);
    struct installed **at = &anchor->sas;
    while (*at != installed)
        at = &(*at)->next;
    *at = installed->next;
    traffic->sas--;
    give_back(installed->sa, reports);
    free(installed);
    release_waiting(traffic, anchor, spi_in);
}

static void drain(struct traffic *traffic, struct installed *installed) {
    installed->draining = true;
    policy_leave(traffic, installed);
    release_waiting(traffic, installed->anchor, installed->spi_in);
}

static void anchor_remove(struct traffic *traffic, struct anchor *anchor, struct traffic_reports *reports) {
    for (struct installed *installed = anchor->sas, *next; installed; installed = next) {
        next = installed->next;
        retire(traffic, installed, reports);
    }
    anchor_carry(traffic, anchor, &(struct carrier){0});
    table_remove(&traffic->by_anchor, anchor->number);
    traffic->anchors--;
    free(anchor);
}

void traffic_apply(
    struct traffic *traffic, uint64_t now, const struct traffic_command *command, struct traffic_reports *reports) {
    (void)now;
    struct anchor *anchor = table_get(&traffic->by_anchor, command->anchor);
    struct installed *installed;
    switch (command->verb) {
    case TRAFFIC_ANCHOR_ADD:
        anchor_add(traffic, command);
        break;
    case TRAFFIC_ANCHOR_MOVE:
        if (anchor) {
            anchor->pinned = command->pinned;
            anchor->roams = command->roams;
            anchor_carry(traffic, anchor, &command->carrier);
        }
        break;
    case TRAFFIC_ANCHOR_REMOVE:
        if (anchor)
            anchor_remove(traffic, anchor, reports);
        break;
    case TRAFFIC_INSTALL:
        install(traffic, command, reports);
        break;
    case TRAFFIC_DRAIN:
        installed = find_sa(traffic, command->spi_in);
        if (installed && installed->anchor == anchor)
            drain(traffic, installed);
        break;
    case TRAFFIC_RETIRE:
        installed = find_sa(traffic, command->spi_in);
        if (installed && installed->anchor == anchor)
            retire(traffic, installed, reports);
        break;
    }
}

size_t traffic_lend(struct traffic *traffic, uint32_t number, struct esp_numbers *numbers, size_t most) {
    const struct anchor *anchor = table_get(&traffic->by_anchor, number);
    size_t count = 0;
    for (const struct installed *installed = anchor ? anchor->sas : NULL; installed; installed = installed->next)
        count += !installed->draining;
    if (count > most)
        return 0;
    count = 0;
    for (struct installed *installed = anchor ? anchor->sas : NULL; installed; installed = installed->next) {
        if (installed->draining) /* on a stream all that was sent on it has come before its DELETE */
            continue;
        installed->lent = true;
        numbers[count++] = esp_sa_numbers(installed->sa);
    }
    return count;
}

void traffic_return(struct traffic *traffic, const struct esp_numbers *numbers) {
    struct installed *installed = find_sa(traffic, numbers->spi_in);
    if (!installed)
        return;
    esp_sa_go_on(installed->sa, numbers);
    installed->lent = installed->mute = false;
}

void traffic_free(struct traffic *traffic) {
    if (!traffic)
        return;
    for (size_t i = 0; i < traffic->by_spi.capacity; i++) {
        struct installed *installed = traffic->by_spi.slot[i].value;
        if (installed)
            esp_sa_free(installed->sa);
        free(installed);
    }
    for (size_t i = 0; i < traffic->by_anchor.capacity; i++)
        free(traffic->by_anchor.slot[i].value);
    free(traffic->rebuilt);
    table_free(&traffic->by_anchor);
    table_free(&traffic->by_spi);
    table_free(&traffic->by_stream);
    table_free(&traffic->policy);
    free(traffic);
}

size_t traffic_anchors(const struct traffic *traffic) {
    return traffic->anchors;
}

size_t traffic_sas(const struct traffic *traffic) {
    return traffic->sas;
}
