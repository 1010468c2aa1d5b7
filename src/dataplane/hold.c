/* hold.c: first packets of on-demand tunnels, kept as the TUN gave them until a Child SA takes them: few, and not for long. */
#include "dataplane/internal.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_MS UINT64_C(30000)

static void drop_at(struct worker *worker, size_t i) {
    free(worker->held[i].octets);
    worker->held_octets -= worker->held[i].length;
    worker->helds--;
    memmove(&worker->held[i], &worker->held[i + 1], (worker->helds - i) * sizeof worker->held[0]);
}

static void drop_old(struct worker *worker, uint64_t now) {
    while (worker->helds > 0 && now - worker->held[0].at > HOLD_MS)
        drop_at(worker, 0);
}

void hold_add(struct worker *worker, uint32_t device, const uint8_t *octets, size_t length) {
    uint64_t now = dataplane_now();
    drop_old(worker, now);
    if (worker->helds == HOLD_PACKETS_MAX || worker->held_octets + length > HOLD_OCTETS_MAX)
        return; /* the first ones are those that count */
    uint8_t *copy = malloc(length);
    if (copy == NULL)
        return;
    memcpy(copy, octets, length);
    worker->held[worker->helds++] = (struct held){.device = device, .octets = copy, .length = length, .at = now};
    worker->held_octets += length;
}

static bool has_route(struct worker *worker, const struct held *held) {
    struct cut cut;
    struct traffic_route route;
    return cut_begin(&cut, held->octets, held->length) &&
           traffic_route(worker->traffic, held->device, cut.packet, cut.length, &route) &&
           route.carrier->transport != TRANSPORT_NONE;
}

void hold_release(struct worker *worker) {
    drop_old(worker, dataplane_now());
    for (size_t i = 0; i < worker->helds;) {
        if (!has_route(worker, &worker->held[i])) {
            i++;
            continue;
        }
        outbound_again(worker, worker->held[i].device, worker->held[i].octets, worker->held[i].length);
        drop_at(worker, i);
    }
}

void hold_clear(struct worker *worker) {
    while (worker->helds > 0)
        drop_at(worker, worker->helds - 1);
}
