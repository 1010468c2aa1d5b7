/* tun.c: the worker's TUN queues, one a device: taken over, replaced, paused, and written to. */
#include "dataplane/internal.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void on_again(evutil_socket_t fd, short what, void *context) {
    (void)fd;
    (void)what;
    struct tun *tun = context;
    event_add(tun->readable, NULL);
}

static void emit(void *context, const struct iovec *part, size_t parts) {
    struct tun *tun = context;
    ssize_t written;
    do
        written = writev(tun->fd, part, (int)parts);
    while (written < 0 && errno == EINTR);
    counter_add(&tun->worker->counters.tun_writes, 1);
    if (written < 0)
        counter_add(&tun->worker->counters.drops_queue, 1);
}

static void forget(struct tun *tun) {
    LIST_REMOVE(tun, next);
    if (tun->readable != NULL)
        event_free(tun->readable);
    if (tun->again != NULL)
        event_free(tun->again);
    close(tun->fd);
    free(tun);
}

/* Most packets are of the device that the last one was of. */
struct tun *tun_find(struct worker *worker, uint32_t device) {
    struct tun *tun = LIST_FIRST(&worker->tuns);
    if (tun == NULL || tun->device == device)
        return tun;
    while (tun != NULL && tun->device != device)
        tun = LIST_NEXT(tun, next);
    if (tun != NULL) {
        LIST_REMOVE(tun, next);
        LIST_INSERT_HEAD(&worker->tuns, tun, next);
    }
    return tun;
}

void tun_set(struct worker *worker, uint32_t device, int fd, uint32_t mtu, bool offload) {
    struct tun *tun = tun_find(worker, device);
    if (tun != NULL)
        forget(tun);
    if (fd < 0)
        return;
    tun = calloc(1, sizeof *tun);
    if (tun == NULL) {
        close(fd);
        return;
    }
    tun->worker = worker;
    tun->device = device;
    tun->mtu = mtu;
    tun->fd = fd;
    /* Kernels before 6.2 have no USO: then bursts of UDP are neither given nor taken. */
    unsigned long all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_USO4 | TUN_F_USO6;
    bool udp = offload && ioctl(fd, TUNSETOFFLOAD, all) == 0;
    joiner_init(&tun->joiner, offload, udp, emit, tun);
    LIST_INSERT_HEAD(&worker->tuns, tun, next);
    tun->readable = event_new(worker->base, fd, EV_READ | EV_PERSIST, outbound_readable, tun);
    tun->again = evtimer_new(worker->base, on_again, tun);
    if (tun->readable == NULL || tun->again == NULL || event_add(tun->readable, NULL) < 0)
        forget(tun);
}

void tun_pause(struct tun *tun, uint64_t most_ms) {
    struct timeval after = {.tv_sec = (time_t)(most_ms / 1000), .tv_usec = (suseconds_t)(most_ms % 1000 * 1000)};
    event_del(tun->readable);
    evtimer_add(tun->again, &after);
}

void tuns_flush(struct worker *worker) {
    struct tun *tun;
    LIST_FOREACH(tun, &worker->tuns, next)
    join_flush(&tun->joiner);
}

void tuns_free(struct worker *worker) {
    for (struct tun *tun = LIST_FIRST(&worker->tuns), *following; tun != NULL; tun = following) {
        following = LIST_NEXT(tun, next);
        forget(tun);
    }
    LIST_INIT(&worker->tuns);
}
