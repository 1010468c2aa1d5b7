/* link_pace.c: asks a stream's socket how it gets on, and tells it how far ahead of the network it may run. Some hundred times
 * a second at most, while something is sent. */
#include "dataplane/internal.h"

#include <linux/tcp.h> /* newer than libc's netinet/tcp.h: tcp_info knows the rate */
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

static bool ask(const struct link *link, struct pace_sample *sample) {
    struct tcp_info info = {0};
    struct timespec now;
    socklen_t length = sizeof info;
    if (getsockopt(stream_fd(link->stream), IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
        length < offsetof(struct tcp_info, tcpi_delivered) + sizeof info.tcpi_delivered)
        return false;
    clock_gettime(CLOCK_MONOTONIC, &now);
    *sample = (struct pace_sample){.now = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000,
        .rtt = info.tcpi_rtt,
        .rtt_min = info.tcpi_min_rtt,
        .waits = queue_line_waits(&link->outlet.line),
        .delivered = info.tcpi_delivered, /* those behind a hole as well */
        .segment = info.tcpi_snd_mss};
    return true;
}

/* Differs by so much that it is worth a system call. */
static bool differs(uint64_t old, uint64_t new, uint64_t part) {
    uint64_t by = old < new ? new - old : old - new;
    return by > old / part;
}

static void tell(struct link *link) {
    int fd = stream_fd(link->stream), notsent = (int)link->pace.notsent;
    uint64_t rate = link->pace.rate == 0 ? UINT64_MAX : link->pace.rate;
    if (differs((uint64_t)link->notsent, link->pace.notsent, 8) &&
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof notsent) == 0)
        link->notsent = notsent;
    if (differs(link->rate, rate, 64) && setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof rate) == 0)
        link->rate = rate;
}

void link_pace_begin(struct link *link) {
    pace_init(&link->pace);
    link->rate = UINT64_MAX;
    tell(link);
}

void link_pace(struct link *link, uint64_t now) {
    struct pace_sample sample;
    if (now - link->paced_at < PACE_EVERY_MS)
        return;
    link->paced_at = now;
    if (!ask(link, &sample))
        return;
    pace_update(&link->pace, &sample);
    link->outlet.line.quantum = link->pace.quantum;
    tell(link);
}
