/* icmp.c: answers into the TUN about packets that can't go: no tunnel takes them, or they are too big for theirs. */
#include "dataplane/internal.h"

#include <stdlib.h>
#include <string.h>

#define ANSWER_MAX ((size_t)1280)

static void answer(struct worker *worker, uint32_t device, const uint8_t *packet, size_t length, uint32_t mtu) {
    struct tun *tun = tun_find(worker, device);
    if (tun == NULL || !allowance_take(&worker->icmp, dataplane_now()))
        return;
    struct virtio_net_hdr header = {0};
    struct address anybody = {0};
    uint8_t out[ANSWER_MAX];
    size_t octets = inner_icmp_error(packet, length, &anybody, mtu, out, sizeof out);
    struct iovec part[2] = {{.iov_base = &header, .iov_len = sizeof header}, {.iov_base = out, .iov_len = octets}};
    if (octets > 0)
        tun->joiner.emit(tun, part, 2);
}

void icmp_demand_set(struct worker *worker, struct worker_demand *list, size_t count) {
    free(worker->demand);
    worker->demand = list;
    worker->demands = count;
}

static bool is_demanded(const struct worker *worker, uint32_t device, const uint8_t *packet, size_t length) {
    struct flow flow;
    size_t total;
    if (worker->demands == 0 || !inner_parse(packet, length, &flow, &total))
        return false;
    for (size_t i = 0; i < worker->demands; i++)
        if (worker->demand[i].device == device && prefix_contains(&worker->demand[i].to, &flow.destination))
            return true;
    return false;
}

/* A tunnel is about to come up for what is on demand: its first packets wait, so no ICMP discourages who sends them. */
bool icmp_no_tunnel(struct worker *worker, uint32_t device, const uint8_t *packet, size_t length) {
    bool demanded = is_demanded(worker, device, packet, length);
    if (demanded) {
        if (allowance_take(&worker->ondemand, dataplane_now()))
            report_ondemand(worker, device, packet, length);
        return true;
    }
    counter_add(&worker->counters.drops_no_sa, 1);
    answer(worker, device, packet, length, 0);
    return false;
}

void icmp_too_big(struct worker *worker, uint32_t device, const uint8_t *packet, size_t length, size_t mtu) {
    answer(worker, device, packet, length, (uint32_t)mtu);
}
