/* plane.c: the data plane alone, to be measured beside bound.c: one worker, one SA with fixed keys, no IKE. It takes the
 * first connection (or makes one), or a pair of UDP ports, and carries the TUN until it is killed.
 *
 * usage: plane TUN listen|connect ADDRESS PORT tcp|udp PEER-ADDRESS [aggfrag] */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/dataplane.h"
#include "transport/transport.h"

#define ANCHOR 1u

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int tun_open(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
        die("TUN");
    return fd;
}

static struct esp_sa *sa_new(uint32_t in, uint32_t out, bool aggfrag) {
    static uint8_t key[64] = "a key for measuring";
    struct error error = {0};
    struct esp_config config = {.spi_in = in,
        .spi_out = out,
        .suite = {.encr = ENCR_AES_GCM_16, .key_bits = 128, .integ = AUTH_NONE},
        .aggfrag = aggfrag,
        .replay_window = 1024};
    config.key_in = config.key_out = span_of(key, cipher_key_length(config.suite));
    struct selector any = {.first = {.family = 4}, .last = {.family = 4}, .port_last = 65535};
    memset(any.last.octets, 0xff, 4);
    config.local.selector[0] = config.remote.selector[0] = any;
    config.local.count = config.remote.count = 1;
    struct esp_sa *sa = esp_sa_new(&config, &error);
    if (sa == NULL) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    return sa;
}

static int stream_open(bool listens, const struct sockaddr_in *at) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listens) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, (const struct sockaddr *)at, sizeof *at) < 0 || listen(fd, 1) < 0)
            die("listen");
        fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    } else {
        while (connect(fd, (const struct sockaddr *)at, sizeof *at) < 0) {
            close(fd);
            usleep(100000);
            fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        }
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static int udp_open(const struct sockaddr_in *at) {
    int one = 1, size = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (bind(fd, (const struct sockaddr *)at, sizeof *at) < 0)
        die("bind");
    return fd;
}

static void post(struct worker *worker, struct worker_command command) {
    while (!worker_post(worker, &command))
        usleep(1000);
}

static void report_for_ever(struct worker *worker) {
    for (;;) {
        struct pollfd waiting = {.fd = worker_report_fd(worker), .events = POLLIN};
        struct worker_report report;
        poll(&waiting, 1, -1);
        while (worker_take(worker, &report, 1) == 1) {
            free(report.octets);
            if (report.kind == WORKER_STREAM_GONE) {
                const struct worker_counters *c = worker_counters(worker);
                fprintf(stderr,
                    "gone: %s\nTUN reads %lu writes %lu, stream reads %lu writes %lu, dropped: queue %lu, no SA %lu\n",
                    report.error.text, atomic_load(&c->tun_reads), atomic_load(&c->tun_writes),
                    atomic_load(&c->stream_reads), atomic_load(&c->stream_writes), atomic_load(&c->drops_queue),
                    atomic_load(&c->drops_no_sa));
                return;
            }
        }
    }
}

int main(int count, char **word) {
    bool aggfrag = count == 8 && strcmp(word[7], "aggfrag") == 0;
    if (count != 7 && !aggfrag) {
        fprintf(stderr, "usage: plane TUN listen|connect ADDRESS PORT tcp|udp PEER-ADDRESS [aggfrag]\n");
        return 2;
    }
    bool listens = word[2][0] == 'l', udp = word[5][0] == 'u';
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(word[4]))}, peer = at;
    if (inet_pton(AF_INET, word[3], &at.sin_addr) != 1 || inet_pton(AF_INET, word[6], &peer.sin_addr) != 1)
        die("address");
    struct error error = {0};
    struct worker_options options = {
        .tun_fd = tun_open(word[1]), .tun_mtu = 1400, .tun_offload = true, .corrupt_tolerance = 8};
    struct worker *worker = worker_new(&options, &error);
    if (worker == NULL)
        die("worker");
    struct carrier carrier = {.transport = udp ? TRANSPORT_UDP : TRANSPORT_TCP, .stream = udp ? 0 : 1};
    carrier.local = (struct address){.family = 4, .port = ntohs(at.sin_port)};
    carrier.remote = (struct address){.family = 4, .port = ntohs(peer.sin_port)};
    memcpy(carrier.local.octets, &at.sin_addr, 4);
    memcpy(carrier.remote.octets, &peer.sin_addr, 4);
    if (udp)
        post(worker, (struct worker_command){.kind = WORKER_UDP_ADD, .fd = udp_open(&at), .port = ntohs(at.sin_port)});
    else
        post(worker, (struct worker_command){.kind = WORKER_STREAM_ADD,
                         .carrier = carrier,
                         .fd = stream_open(listens, listens ? &at : &peer),
                         .originator = !listens});
    post(worker, (struct worker_command){.kind = WORKER_TRAFFIC,
                     .traffic = {.verb = TRAFFIC_ANCHOR_ADD, .anchor = ANCHOR, .carrier = carrier}});
    post(worker, (struct worker_command){.kind = WORKER_TRAFFIC,
                     .traffic = {.verb = TRAFFIC_INSTALL,
                         .anchor = ANCHOR,
                         .sa = listens ? sa_new(0x1000, 0x2000, aggfrag) : sa_new(0x2000, 0x1000, aggfrag),
                         .outbound_now = true}});
    report_for_ever(worker);
    worker_free(worker);
    return 0;
}
