/* lossy.c: a line that delays every frame and loses some: joins two interfaces by AF_PACKET, where a kernel has no netem. What
 * holds the rate (tbf) stands behind it, on the interfaces. Their far ends must not hand over bursts: frames longer than
 * the MTU end it (ethtool -K ... tso off gso off).
 *
 * usage: lossy INTERFACE INTERFACE DELAY-MS LOSS-PERCENT [SEED]     each way; says on standard error what it lost, at the end */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX ((size_t)1600)
#define WAITING_MAX ((size_t)8192) /* 20 ms of 100 Mbit/s are 170 frames of full size */

struct frame {
    uint64_t due_ns;
    uint32_t length;
    uint8_t octets[FRAME_MAX];
};
struct way {
    int in, out;
    struct frame *ring; /* WAITING_MAX; due in order, since all wait equally long */
    size_t first, count;
    uint64_t passed, lost, no_room;
};

static volatile sig_atomic_t ended;

static void end(int signal) {
    (void)signal;
    ended = 1;
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int open_interface(const char *name) {
    int one = 1, buffer = 4 << 20, fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
    struct packet_mreq all = {.mr_ifindex = at.sll_ifindex, .mr_type = PACKET_MR_PROMISC};
    if (fd < 0 || at.sll_ifindex == 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0)
        die(name);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        die(name);
    return fd;
}

/* xorshift64*: the same losses for the same seed */
static double dice(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (double)((*state * UINT64_C(2685821657736338717)) >> 11) / 9007199254740992.0;
}

static void take(struct way *way, uint64_t delay_ns, double loss, uint64_t *random) {
    for (int most = 64; most > 0; most--) {
        uint8_t spill[FRAME_MAX];
        struct frame *frame = &way->ring[(way->first + way->count) % WAITING_MAX];
        bool room = way->count < WAITING_MAX;
        ssize_t length = recv(way->in, room ? frame->octets : spill, FRAME_MAX, MSG_TRUNC);
        if (length < 0 && errno != EAGAIN && errno != EINTR && errno != ENETDOWN)
            die("recv");
        if (length < 0)
            return;
        if ((size_t)length > FRAME_MAX) {
            fprintf(stderr, "lossy: a frame of %zd octets: switch segmentation off at the far ends\n", length);
            exit(1);
        }
        if (!room) {
            way->no_room++;
        } else if (dice(random) < loss) {
            way->lost++;
        } else {
            frame->due_ns = now_ns() + delay_ns;
            frame->length = (uint32_t)length;
            way->count++;
        }
    }
}

static void give(struct way *way, uint64_t now) {
    for (; way->count > 0 && way->ring[way->first].due_ns <= now; way->count--) {
        const struct frame *frame = &way->ring[way->first];
        /* ENOBUFS: the queue behind us is full and drops it, as queues do */
        if (send(way->out, frame->octets, frame->length, 0) < 0 && errno != ENOBUFS && errno != EAGAIN &&
            errno != ENETDOWN)
            die("send");
        way->passed++;
        way->first = (way->first + 1) % WAITING_MAX;
    }
}

static struct timespec until_next(const struct way way[2], uint64_t now) {
    uint64_t wait = 1000000000;
    for (int i = 0; i < 2; i++) {
        uint64_t due = way[i].count > 0 ? way[i].ring[way[i].first].due_ns : UINT64_MAX;
        if (due <= now)
            wait = 0;
        else if (due - now < wait)
            wait = due - now;
    }
    return (struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
}

int main(int count, char **word) {
    if (count < 5) {
        fputs("usage: lossy INTERFACE INTERFACE DELAY-MS LOSS-PERCENT [SEED]\n", stderr);
        return 2;
    }
    uint64_t delay_ns = (uint64_t)(atof(word[3]) * 1e6), random = count > 5 ? strtoull(word[5], NULL, 0) : 1;
    double loss = atof(word[4]) / 100;
    random = random * UINT64_C(0x9e3779b97f4a7c15) | 1;
    int a = open_interface(word[1]), b = open_interface(word[2]);
    struct way way[2] = {{.in = a, .out = b}, {.in = b, .out = a}};
    for (int i = 0; i < 2; i++)
        if ((way[i].ring = malloc(WAITING_MAX * sizeof *way[i].ring)) == NULL)
            die("memory");
    signal(SIGTERM, end);
    signal(SIGINT, end);
    while (!ended) {
        struct pollfd wait[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
        struct timespec most = until_next(way, now_ns());
        if (ppoll(wait, 2, &most, NULL) < 0 && errno != EINTR)
            die("ppoll");
        for (int i = 0; i < 2; i++) {
            take(&way[i], delay_ns, loss, &random);
            give(&way[i], now_ns());
        }
    }
    for (int i = 0; i < 2; i++)
        fprintf(stderr, "%s: passed %lu, lost %lu, no room for %lu\n", word[i + 1], way[i].passed, way[i].lost,
            way[i].no_room);
    return 0;
}
