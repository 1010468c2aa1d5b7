/* senders.c: see senders.h. What a socket took in part is kept and goes on first, so that the stream stays whole. */
#include "senders.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define INNER ((size_t)1400)
#define PACKETS 16
#define ROOM (PACKETS * (INNER + 128))

struct sender {
    int fd;
    struct esp_sa *sa;
    uint8_t inner[28]; /* IPv4 and UDP headers */
    uint8_t *rest; /* ROOM; what was sealed and not yet taken: rest[done..length) */
    size_t done, length;
    double octets;
};

static struct sender *senders;
static size_t count, capacity;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void headers(struct sender *s, const struct ike_child *child) {
    uint8_t *ip = s->inner, *udp = ip + 20;
    ip[0] = 0x45;
    ip[2] = INNER >> 8;
    ip[3] = INNER & 0xff;
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, child->local.selector[0].first.octets, 4);
    memcpy(ip + 16, child->remote.selector[0].first.octets, 4);
    ip[19] = 1;
    uint16_t sum = checksum_fold(checksum_add(0, ip, 20));
    memcpy(ip + 10, &sum, sizeof sum);
    udp[1] = udp[3] = 9;
    udp[4] = (INNER - 20) >> 8;
    udp[5] = (INNER - 20) & 0xff; /* checksum 0: none */
}

void senders_add(int fd, const struct ike_child *child) {
    struct error err;
    if (count == capacity) {
        capacity = capacity == 0 ? 64 : 2 * capacity;
        senders = realloc(senders, capacity * sizeof *senders);
    }
    size_t key = cipher_key_length(child->suite);
    struct esp_config config = {.spi_in = child->spi_in,
        .spi_out = child->spi_out,
        .suite = child->suite,
        .key_in = span_of(child->key_in, key),
        .key_out = span_of(child->key_out, key),
        .esn = child->esn,
        .replay_window = 64,
        .local = child->local,
        .remote = child->remote};
    if (senders == NULL)
        die("memory");
    struct sender *s = &senders[count++];
    *s = (struct sender){.fd = fd, .sa = esp_sa_new(&config, &err), .rest = malloc(ROOM)};
    if (s->sa == NULL || s->rest == NULL)
        die("a Child SA");
    headers(s, child);
}

static void seal_more(struct sender *s) {
    struct esp_seal_job job[PACKETS];
    size_t offset = esp_seal_offset(s->sa), sealed = esp_sealed_length(s->sa, INNER);
    s->done = s->length = 0;
    for (size_t i = 0; i < PACKETS; i++) {
        uint8_t *frame = s->rest + s->length, *packet = frame + FRAME_LENGTH_FIELD;
        frame_header(frame, sealed);
        memcpy(packet + offset, s->inner, sizeof s->inner);
        memset(packet + offset + sizeof s->inner, 0, INNER - sizeof s->inner);
        job[i] = (struct esp_seal_job){.packet = packet, .inner = INNER, .next_header = 4};
        s->length += FRAME_LENGTH_FIELD + sealed;
    }
    if (esp_seal(s->sa, job, PACKETS) != PACKETS)
        die("seal");
}

/* One write a turn: here, too, nobody is served twice before the others. */
static void send_some(struct sender *s) {
    if (s->done == s->length)
        seal_more(s);
    ssize_t taken = send(s->fd, s->rest + s->done, s->length - s->done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (taken < 0 && errno != EAGAIN)
        die("the gateway closed a connection");
    if (taken > 0) {
        s->done += (size_t)taken;
        s->octets += (double)taken;
    }
}

static void report(double seconds) {
    double sum = 0, squares = 0, least = 1e300, most = 0;
    for (size_t i = 0; i < count; i++) {
        int waits = 0; /* in our socket: not taken */
        (void)ioctl(senders[i].fd, SIOCOUTQ, &waits);
        double x = senders[i].octets - (double)waits;
        sum += x;
        squares += x * x;
        least = x < least ? x : least;
        most = x > most ? x : most;
    }
    printf("clients=%zu mbps=%.0f jain=%.4f least_kb=%.0f most_kb=%.0f\n", count, sum * 8 / 1e6 / seconds,
        squares > 0 ? sum * sum / ((double)count * squares) : 0, least / 1e3, most / 1e3);
    fflush(stdout);
}

void senders_run(unsigned seconds) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        struct epoll_event event = {.events = EPOLLOUT, .data.u64 = i};
        if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, senders[i].fd, &event) != 0)
            die("epoll");
    }
    double began = now_s(), ends = began + seconds;
    while (now_s() < ends) {
        struct epoll_event event[256];
        int events = epoll_wait(epoll, event, 256, 100);
        for (int i = 0; i < events; i++)
            send_some(&senders[event[i].data.u64]);
    }
    report(now_s() - began);
    close(epoll);
}
