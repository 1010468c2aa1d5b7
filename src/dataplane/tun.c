/* tun.c: the worker's TUN queue: taken over, replaced, paused, and written to. */
#include "dataplane/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_again(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    tun_resume(context);
}

static void emit(void *context, const struct iovec *part, size_t parts) {
    struct worker *worker = context;
    ssize_t written;
    do
        written = writev(worker->tun, part, (int)parts);
    while (written < 0 && errno == EINTR);
    counter_add(&worker->counters.tun_writes, 1);
    if (written < 0)
        counter_add(&worker->counters.drops_queue, 1);
}

static void forget(struct worker *worker) {
    if (worker->tun_readable != NULL)
        event_free(worker->tun_readable);
    if (worker->tun_again != NULL)
        event_free(worker->tun_again);
    worker->tun_readable = worker->tun_again = NULL;
    if (worker->tun >= 0)
        close(worker->tun);
    worker->tun = -1;
    worker->tun_paused = false;
}

void tun_set(struct worker *worker, int fd, uint32_t mtu, bool offload) {
    forget(worker);
    worker->options.tun_mtu = mtu;
    if (fd < 0)
        return;
    worker->tun = fd;
    /* Kernels before 6.2 have no USO: then bursts of UDP are neither given nor taken. */
    unsigned long all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6;
    bool udp = offload && ioctl(fd, TUNSETOFFLOAD, all) == 0;
    joiner_init(&worker->joiner, offload, udp, emit, worker);
    worker->tun_readable = event_new(worker->base, fd, EV_READ | EV_PERSIST, outbound_readable, worker);
    worker->tun_again = evtimer_new(worker->base, on_again, worker);
    if (worker->tun_readable == NULL || worker->tun_again == NULL || event_add(worker->tun_readable, NULL) < 0)
        forget(worker);
}

void tun_pause(struct worker *worker, uint64_t most_ms) {
    if (worker->tun_readable == NULL)
        return;
    event_del(worker->tun_readable);
    worker->tun_paused = true;
    struct timeval after = {.tv_sec = (time_t)(most_ms / 1000), .tv_usec = (suseconds_t)(most_ms % 1000 * 1000)};
    if (most_ms > 0)
        evtimer_add(worker->tun_again, &after);
}

void tun_resume(struct worker *worker) {
    if (!worker->tun_paused)
        return;
    worker->tun_paused = false;
    evtimer_del(worker->tun_again);
    event_add(worker->tun_readable, NULL);
}
