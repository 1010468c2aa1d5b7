/* commands.c: what the control thread wants, carried out in order. A command waits while its reports might find no room,
 * so that no SA is ever lost on its way back. */
#include "dataplane/internal.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void command_discard(const struct worker_command *command) {
    free(command->octets);
    if (command->kind == WORKER_STREAM_ADD)
        tls_free(command->tls);
    bool has_fd = command->kind == WORKER_STREAM_ADD || command->kind == WORKER_UDP_ADD || command->kind == WORKER_TUN;
    if (has_fd && command->fd >= 0)
        close(command->fd);
    if (command->kind == WORKER_TRAFFIC && command->traffic.verb == TRAFFIC_INSTALL)
        esp_sa_free(command->traffic.sa);
}

static void send_ike(struct worker *worker, const struct worker_command *command) {
    struct span message = span_of(command->octets, command->length);
    if (command->carrier.transport == TRANSPORT_UDP) {
        udp_send_ike(worker, &command->carrier, message, command->bare);
        return;
    }
    struct link *link = link_find(worker, command->carrier.stream);
    if (link == NULL)
        return; /* gone: the control thread has been told, or will be */
    struct error error = {0};
    enum stream_result result = stream_send_ike(link->stream, message, &error);
    if (result == STREAM_OK || result == STREAM_AGAIN)
        link_after_write(link);
    else
        link_lost(link, result, &error);
}

/* SAs first: what waits for the stream may be theirs. */
static void take_back(struct worker *worker, const struct worker_command *command) {
    struct esp_numbers numbers;
    worker->generation++;
    for (size_t at = 0; at + sizeof numbers <= command->length; at += sizeof numbers) {
        memcpy(&numbers, command->octets + at, sizeof numbers);
        traffic_return(worker->traffic, &numbers);
    }
    struct link *link = link_find(worker, command->carrier.stream);
    if (link != NULL)
        lend_over(link);
}

static void apply(struct worker *worker, const struct worker_command *command) {
    struct link *link;
    switch (command->kind) {
    case WORKER_TRAFFIC:
        worker->generation++;
        traffic_apply(worker->traffic, dataplane_now(), &command->traffic, &worker->traffic_reports);
        report_traffic(worker, NULL);
        if (command->traffic.verb == TRAFFIC_INSTALL)
            hold_release(worker);
        break;
    case WORKER_STREAM_ADD:
        link_add(worker, command);
        break;
    case WORKER_STREAM_CLOSE:
        link = link_find(worker, command->carrier.stream);
        if (link != NULL)
            link_close(link);
        break;
    case WORKER_SEND_IKE:
        send_ike(worker, command);
        break;
    case WORKER_UDP_ADD:
        udp_add(worker, command->fd, command->port);
        break;
    case WORKER_UDP_CLEAR:
        udp_clear(worker);
        break;
    case WORKER_TUN:
        tun_set(worker, command->device, command->fd, command->mtu, command->offload);
        break;
    case WORKER_LEND:
        link = link_find(worker, command->carrier.stream);
        if (link != NULL)
            lend_begin(link, command->traffic.anchor, command->round);
        break;
    case WORKER_KERNEL:
        link = link_find(worker, command->carrier.stream);
        if (link != NULL)
            lend_decided(link);
        break;
    case WORKER_RETURN:
        take_back(worker, command);
        break;
    case WORKER_DEMAND:
        icmp_demand_set(
            worker, (struct worker_demand *)(void *)command->octets, command->length / sizeof(struct worker_demand));
        return; /* kept */
    }
    free(command->octets);
}

void commands_run(struct worker *worker) {
    for (int i = 0; i < COMMANDS_PER_WAKE; i++) {
        if (!worker->command_waits && !ring_pop(&worker->commands, &worker->command)) {
            ring_sleep(&worker->commands);
            return;
        }
        worker->command_waits = !reports_have_room(worker, 0);
        if (worker->command_waits) {
            event_del(worker->on_command);
            worker_retry_soon(worker);
            return;
        }
        event_add(worker->on_command, NULL); /* it may have been off */
        apply(worker, &worker->command);
    } /* there may be more: the eventfd still says so */
}
