/* udp.c: the worker's UDP sockets: which one a datagram leaves by, and what comes in, sorted by remote. On port 500 an
 * IKE message has no non-ESP marker (RFC 3948). */
#include "dataplane/internal.h"

#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IKE_PORT 500
#define ERRORS_PER_WAKE 16
#define IKE_DATAGRAM_MAX ((size_t)65535)

static bool has_marker(uint16_t port) {
    return port != IKE_PORT;
}

static bool same_carrier(const struct udp_datagram *a, const struct udp_datagram *b) {
    return address_equal(&a->remote, &b->remote) && address_equal(&a->local, &b->local);
}

static void take_errors(struct udp_entry *entry) {
    for (int i = 0; i < ERRORS_PER_WAKE; i++) {
        struct address remote = {0};
        struct error error = {0};
        if (!udp_take_error(entry->socket, &remote, &error))
            return;
        report_udp_error(entry->worker, &remote, &error);
    }
}

static void receive(struct udp_entry *entry, struct udp_datagram *datagram, size_t count) {
    struct worker *worker = entry->worker;
    for (size_t begin = 0, end; begin < count; begin = end) {
        struct carrier carrier = {
            .transport = TRANSPORT_UDP, .local = datagram[begin].local, .remote = datagram[begin].remote};
        for (end = begin; end < count && end - begin < ESP_BATCH_MAX && same_carrier(&datagram[begin], &datagram[end]);
             end++)
            worker->frame[end - begin] =
                (struct traffic_frame){.payload = datagram[end].octets, .length = datagram[end].length};
        struct error ignored;
        inbound_frames(worker, &carrier, has_marker(entry->port), NULL, end - begin, &ignored);
    }
    tuns_flush(worker);
}

static void on_readable(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct udp_entry *entry = context;
    struct worker *worker = entry->worker;
    if (!reports_have_room(worker, 0)) {
        event_del(entry->readable);
        worker->udp_held = true;
        worker_retry_soon(worker);
        return;
    }
    struct udp_datagram *datagram = NULL;
    struct error error = {0};
    int count = udp_receive(entry->socket, &datagram, &error);
    if (count > 0)
        receive(entry, datagram, (size_t)count);
    else
        take_errors(entry);
}

void udp_retry(struct worker *worker) {
    if (!worker->udp_held)
        return;
    if (!reports_have_room(worker, 0)) {
        worker_retry_soon(worker);
        return;
    }
    worker->udp_held = false;
    for (size_t i = 0; i < worker->udps; i++)
        event_add(worker->udp[i].readable, NULL);
}

void udp_add(struct worker *worker, int fd, uint16_t port) {
    if (worker->udps >= UDP_SOCKETS_MAX) {
        close(fd);
        return;
    }
    struct udp_entry *entry = &worker->udp[worker->udps];
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    struct error error = {0};
    *entry = (struct udp_entry){.worker = worker, .port = port};
    if (getsockname(fd, (struct sockaddr *)&bound, &length) == 0)
        address_from_sockaddr(&bound, &entry->bound);
    entry->socket = udp_socket_new(fd, port, &error);
    if (entry->socket == NULL) {
        report_udp_error(worker, &entry->bound, &error);
        return;
    }
    entry->readable = event_new(worker->base, fd, EV_READ | EV_PERSIST, on_readable, entry);
    if (entry->readable == NULL || event_add(entry->readable, NULL) < 0) {
        if (entry->readable != NULL)
            event_free(entry->readable);
        udp_socket_free(entry->socket);
        return;
    }
    worker->udps++;
}

void udp_clear(struct worker *worker) {
    for (size_t i = 0; i < worker->udps; i++) {
        event_free(worker->udp[i].readable);
        udp_socket_free(worker->udp[i].socket);
    }
    worker->udps = 0;
}

/* The one bound to that very address, else one bound to any. */
static struct udp_entry *choose(struct worker *worker, const struct address *local, const struct address *remote) {
    struct udp_entry *best = NULL;
    for (size_t i = 0; i < worker->udps; i++) {
        struct udp_entry *entry = &worker->udp[i];
        if (entry->port != local->port || entry->bound.family != remote->family)
            continue;
        if (address_same_host(&entry->bound, local))
            return entry;
        if (best == NULL && (address_is_any(&entry->bound) || address_is_any(local)))
            best = entry;
    }
    return best;
}

size_t udp_send_packets(struct worker *worker, const struct udp_datagram *datagram, size_t packets) {
    struct udp_entry *entry = packets == 0 ? NULL : choose(worker, &datagram[0].local, &datagram[0].remote);
    struct error error = {0};
    int sent = entry == NULL ? 0 : udp_send(entry->socket, datagram, packets, &error);
    return sent < 0 ? 0 : (size_t)sent;
}

void udp_send_ike(struct worker *worker, const struct carrier *carrier, struct span message, bool bare) {
    uint8_t octets[IKE_DATAGRAM_MAX];
    size_t marker = has_marker(carrier->local.port) && !bare ? NON_ESP_MARKER_LENGTH : 0;
    if (message.length + marker > sizeof octets)
        return;
    memset(octets, 0, marker);
    memcpy(octets + marker, message.at, message.length);
    struct udp_datagram datagram = {
        .octets = octets, .length = marker + message.length, .local = carrier->local, .remote = carrier->remote};
    udp_send_packets(worker, &datagram, 1);
}
