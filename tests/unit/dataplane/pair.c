/* pair.c: see pair.h. */
#include "pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/transport.h"

#define PATIENCE_MS 5000

static const struct pair_mode usual = {.tun_mtu = 1400};

static struct esp_sa *sa_new(uint32_t in, uint32_t out, const struct pair_mode *mode) {
    static uint8_t key[64];
    struct error error = {0};
    struct esp_config config = {.spi_in = in,
        .spi_out = out,
        .suite = {.encr = ENCR_AES_GCM_16, .key_bits = 128, .integ = AUTH_NONE},
        .aggfrag = mode->aggfrag,
        .whole_only = mode->whole_only,
        .aggfrag_mtu = mode->aggfrag_mtu,
        .replay_window = 1024};
    size_t length = cipher_key_length(config.suite);
    memset(key, 0x5a, sizeof key);
    config.key_in = config.key_out = span_of(key, length);
    struct selector any = {.first = {.family = 4}, .last = {.family = 4}, .port_last = 65535};
    memset(any.last.octets, 0xff, 4);
    config.local.selector[0] = config.remote.selector[0] = any;
    any.first.family = any.last.family = 6;
    memset(any.last.octets, 0xff, 16);
    config.local.selector[1] = config.remote.selector[1] = any;
    config.local.count = config.remote.count = 2;
    struct esp_sa *sa = esp_sa_new(&config, &error);
    assert_non_null(sa);
    return sa;
}

struct esp_sa *pair_sa(uint32_t in, uint32_t out) {
    return sa_new(in, out, &usual);
}

void post(struct side *side, struct worker_command command) {
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (worker_post(side->worker, &command))
            return;
        usleep(1000);
    }
    assert_true(false);
}

static void tun_open(int tun[2]) {
    int size = 4 << 20;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, tun), 0);
    for (int i = 0; i < 2; i++)
        setsockopt(tun[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
}

static void side_open(struct side *side, uint32_t in, uint32_t out, const struct pair_mode *mode) {
    int tun[2];
    tun_open(tun);
    struct worker_options options = {
        .number = 0, .tun_fd = tun[1], .tun_mtu = mode->tun_mtu, .tun_offload = true, .corrupt_tolerance = 3};
    struct error error = {0};
    side->tun = tun[0];
    side->worker = worker_new(&options, &error);
    assert_non_null(side->worker);
    side->sa = sa_new(in, out, mode);
    post(side, (struct worker_command){
                   .kind = WORKER_TRAFFIC, .fd = -1, .traffic = {.verb = TRAFFIC_ANCHOR_ADD, .anchor = ANCHOR}});
    post(side, (struct worker_command){.kind = WORKER_TRAFFIC,
                   .fd = -1,
                   .traffic = {.verb = TRAFFIC_INSTALL, .anchor = ANCHOR, .sa = side->sa, .outbound_now = true}});
}

struct pair pair_open_as(struct pair_mode mode) {
    struct pair pair;
    side_open(&pair.west, SPI_WEST, SPI_EAST, &mode);
    side_open(&pair.east, SPI_EAST, SPI_WEST, &mode);
    return pair;
}

struct pair pair_open(void) {
    return pair_open_as(usual);
}

static struct side side_device(
    const struct side *side, uint32_t device, uint32_t anchor, struct carrier carrier, uint32_t in, uint32_t out) {
    int tun[2];
    tun_open(tun);
    struct side own = {.worker = side->worker, .tun = tun[0], .sa = sa_new(in, out, &usual)};
    post(&own,
        (struct worker_command){.kind = WORKER_TUN, .device = device, .fd = tun[1], .mtu = 1400, .offload = true});
    post(&own, (struct worker_command){.kind = WORKER_TRAFFIC,
                   .fd = -1,
                   .traffic = {.verb = TRAFFIC_ANCHOR_ADD, .anchor = anchor, .carrier = carrier}});
    post(&own,
        (struct worker_command){.kind = WORKER_TRAFFIC,
            .fd = -1,
            .traffic = {
                .verb = TRAFFIC_INSTALL, .anchor = anchor, .sa = own.sa, .device = device, .outbound_now = true}});
    return own;
}

struct pair pair_device(const struct pair *pair, uint32_t device, uint32_t anchor, struct carrier carrier) {
    return (struct pair){
        .west = side_device(&pair->west, device, anchor, carrier, SPI_WEST + device, SPI_EAST + device),
        .east = side_device(&pair->east, device, anchor, carrier, SPI_EAST + device, SPI_WEST + device)};
}

void pair_close(struct pair *pair) {
    worker_free(pair->west.worker);
    worker_free(pair->east.worker);
    close(pair->west.tun);
    close(pair->east.tun);
}

int listening(struct address *bound) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    address_from_sockaddr(&name, bound);
    return fd;
}

void tcp_pair(int *originator, int *responder) {
    struct address bound;
    struct sockaddr_storage to;
    int listener = listening(&bound);
    socklen_t length = address_to_sockaddr(&bound, &to);
    *originator = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*originator, (struct sockaddr *)&to, length), 0);
    *responder = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(*responder >= 0);
    assert_int_equal(fcntl(*originator, F_SETFL, O_NONBLOCK), 0);
    close(listener);
}

struct carrier stream_carrier(uint32_t stream) {
    return (struct carrier){.transport = TRANSPORT_TCP, .stream = stream};
}

void pair_stream(struct pair *pair, uint32_t stream) {
    struct worker_command command = {.kind = WORKER_STREAM_ADD, .carrier = stream_carrier(stream)};
    int originator, responder;
    tcp_pair(&originator, &responder);
    command.fd = originator;
    command.originator = true;
    post(&pair->west, command);
    command.fd = responder;
    command.originator = false;
    post(&pair->east, command);
}

int udp_bound(struct address *bound) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &size, sizeof size); /* as the monitor makes them */
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    address_from_sockaddr(&name, bound);
    return fd;
}

struct carrier udp_carrier(const struct address *local, const struct address *remote) {
    return (struct carrier){.transport = TRANSPORT_UDP, .local = *local, .remote = *remote};
}

void side_move(struct side *side, struct carrier carrier) {
    post(side, (struct worker_command){.kind = WORKER_TRAFFIC,
                   .fd = -1,
                   .traffic = {.verb = TRAFFIC_ANCHOR_MOVE, .anchor = ANCHOR, .carrier = carrier}});
}

static struct worker_report next_report(struct side *side) {
    struct worker_report report;
    for (int i = 0; i < PATIENCE_MS; i += 10) {
        if (worker_take(side->worker, &report, 1) == 1)
            return report;
        struct pollfd waiting = {.fd = worker_report_fd(side->worker), .events = POLLIN};
        poll(&waiting, 1, 10);
    }
    print_error("no report came\n");
    assert_true(false);
    return report;
}

struct worker_report report_of(struct side *side, enum worker_report_kind kind) {
    for (;;) {
        struct worker_report report = next_report(side);
        if (report.kind == kind)
            return report;
        free(report.octets);
    }
}

struct worker_report traffic_report_of(struct side *side, enum traffic_report_kind kind) {
    for (;;) {
        struct worker_report report = report_of(side, WORKER_TRAFFIC_REPORT);
        if (report.traffic.kind == kind)
            return report;
    }
}

void tun_put(struct side *side, const struct packet *packet) {
    for (int i = 0; i < PATIENCE_MS; i++) {
        if (write(side->tun, packet->octets, packet->length) == (ssize_t)packet->length)
            return;
        assert_true(errno == EAGAIN || errno == ENOBUFS);
        usleep(1000);
    }
    assert_true(false);
}

bool tun_silent(struct side *side, int ms) {
    struct pollfd waiting = {.fd = side->tun, .events = POLLIN};
    return poll(&waiting, 1, ms) == 0;
}

void tun_get(struct side *side, struct packet *packet) {
    assert_false(tun_silent(side, PATIENCE_MS));
    ssize_t length = read(side->tun, packet->octets, sizeof packet->octets);
    assert_true(length > 0);
    packet->length = (size_t)length;
}

void burst_passes(struct random_source *random, struct side *from, struct side *to) {
    static struct packet burst, came, right;
    static uint8_t one[70000];
    struct burst_spec spec = spec_by_chance(random);
    if (spec.segment > 1300)
        spec.segment = 1300;
    burst_build(random, &spec, &burst);
    tun_put(from, &burst);
    for (size_t n = 0; n < burst_packets(&spec);) {
        struct cut cut;
        tun_get(to, &came);
        assert_true(cut_begin(&cut, came.octets, came.length));
        for (size_t length; (length = cut_next_length(&cut)) > 0; n++) {
            cut_next(&cut, one);
            reference_packet(&spec, &burst, n, &right);
            assert_int_equal(length, right.length - TUN_HEADER_LENGTH);
            assert_memory_equal(one, right.octets + TUN_HEADER_LENGTH, length);
        }
    }
}

void send_ike(struct side *side, struct carrier carrier, const void *message, size_t length) {
    struct worker_command command = {.kind = WORKER_SEND_IKE, .carrier = carrier, .fd = -1, .length = length};
    command.octets = malloc(length);
    assert_non_null(command.octets);
    memcpy(command.octets, message, length);
    post(side, command);
}
