/* handshakes.c: many clients in one process: each makes an IKE SA and a Child SA with a gateway, by a PSK, with ike/'s own
 * Initiators. So many at a time as IN-FLIGHT says, from eight addresses, so that no cookie is asked for. Over UDP all are
 * forgotten when they are up; over TCP their connections stay open until standard input ends: idle clients. With SECONDS all of
 * them then send as much as the gateway takes (senders.h).
 *
 * usage: handshakes udp|tcp GATEWAY FIRST-SOURCE COUNT IN-FLIGHT [SECONDS]      FIRST-SOURCE and the seven addresses behind it are ours
 * Says on standard output: done=N failed=N seconds=S per_s=R p50_ms=M p95_ms=M. The gateway's conn has right=%any, rightid
 * unset, leftid=@gateway, leftsubnet=10.200.0.0/16, rightsubnet=10.0.0.0/8, AES-128-GCM, DH 31 and the PSK `bench`. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "senders.h"

#define SOURCES 8
#define IN_FLIGHT_MAX ((size_t)512)
#define GIVE_UP_MS (20 * SECOND)

struct client {
    struct ike_sa *sa; /* NULL: free */
    struct ike_config config;
    struct address local, remote;
    int fd; /* TCP: its own */
    uint64_t began_us;
    bool up, over;
    uint8_t received[16384];
    size_t octets;
};

static struct client *clients;
static struct ike_output out = {.octets = NULL};
static struct random_source randomness;
static bool tcp;
static int epoll, udp[SOURCES];
static size_t wanted, begun, done, failed;
static unsigned sending_s; /* 0: nobody sends */
static uint32_t *took_us;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static uint64_t now_ms(void) {
    return now_us() / 1000;
}

static struct sockaddr_in sockaddr_of(const struct address *address) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(address->port)};
    memcpy(&at.sin_addr, address->octets, 4);
    return at;
}

static void add_transform(struct proposal *p, uint8_t type, uint16_t id, uint16_t bits) {
    p->transform[p->transforms++] = (struct transform){.type = type, .id = id, .key_bits = bits};
}

static void identity_named(struct identity *id, const char *name) {
    *id = (struct identity){.type = ID_FQDN, .length = strlen(name)};
    memcpy(id->data, name, id->length);
}

/* Client `number` is @client-NUMBER and has 10.a.b.c/32 behind it. */
static void configure(struct ike_config *c, size_t number) {
    char name[32], net[32];
    struct prefix prefix;
    struct error err;
    snprintf(name, sizeof name, "client-%zu", number);
    *c = (struct ike_config){.name = "bench", .children = 1, .fragmentation = true};
    c->retransmit_interval_ms = 500;
    c->retransmit_timeout_ms = GIVE_UP_MS;
    identity_named(&c->local_id, name);
    identity_named(&c->remote_id, "gateway");
    struct proposal *ike = &c->proposals.proposal[0], *esp = &c->child_proposals.proposal[0];
    c->proposals.count = c->child_proposals.count = 1;
    *ike = (struct proposal){.number = 1, .protocol = PROTOCOL_IKE};
    *esp = (struct proposal){.number = 1, .protocol = PROTOCOL_ESP};
    add_transform(ike, TRANSFORM_ENCR, ENCR_AES_GCM_16, 128);
    add_transform(ike, TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0);
    add_transform(ike, TRANSFORM_KE, KE_CURVE25519, 0);
    add_transform(esp, TRANSFORM_ENCR, ENCR_AES_GCM_16, 128);
    add_transform(esp, TRANSFORM_ESN, ESN_YES, 0);
    c->child[0] = (struct ike_child_config){.name = "bench", .replay_window = 64};
    snprintf(net, sizeof net, "10.%zu.%zu.%zu/32", 100 + number / 65536, number / 256 % 256, number % 256);
    if (!prefix_parse(net, &prefix, &err))
        die(net);
    c->child[0].local.selector[c->child[0].local.count++] = selector_of_prefix(&prefix);
    if (!prefix_parse("10.200.0.0/16", &prefix, &err))
        die("prefix");
    c->child[0].remote.selector[c->child[0].remote.count++] = selector_of_prefix(&prefix);
}

/* ---- what leaves ---- */

static void send_one(struct client *client, const uint8_t *message, size_t length, bool first) {
    static uint8_t octets[65536];
    size_t at = 0;
    if (tcp && first) {
        memcpy(octets, STREAM_PREFIX, STREAM_PREFIX_LENGTH);
        at = STREAM_PREFIX_LENGTH;
    }
    if (tcp) {
        frame_header(octets + at, NON_ESP_MARKER_LENGTH + length);
        at += FRAME_LENGTH_FIELD;
    }
    memset(octets + at, 0, NON_ESP_MARKER_LENGTH);
    memcpy(octets + at + NON_ESP_MARKER_LENGTH, message, length);
    at += NON_ESP_MARKER_LENGTH + length;
    if (tcp) {
        if (write(client->fd, octets, at) != (ssize_t)at)
            client->over = true; /* a few hundred octets: what does not fit at once, never will */
        return;
    }
    struct sockaddr_in to = sockaddr_of(&client->remote);
    int fd = udp[(size_t)(client - clients) % SOURCES];
    if (sendto(fd, octets, at, 0, (struct sockaddr *)&to, sizeof to) < 0 && errno != EAGAIN && errno != ENOBUFS)
        die("sendto");
}

static void take_output(struct client *client);

static void authenticate(struct client *client, const struct ike_event *event) {
    static uint8_t octets[65536];
    struct ike_auth_values values = {0};
    struct span psk = span_of("bench", 5);
    size_t length = ike_sa_local_octets(client->sa, &client->config.local_id, octets, sizeof octets);
    if (!psk_auth(event->auth.prf, psk, span_of(octets, length), values.local_auth) ||
        !psk_auth(event->auth.prf, psk, event->auth.remote_octets, values.expected))
        die("psk_auth");
    ike_output_wipe(&out);
    ike_sa_auth(client->sa, now_ms(), &values, &out);
    take_output(client);
}

/* Sends what is to be sent and notes what happened. An answer to AUTH_WANTED makes another output: it is the last. */
static void take_output(struct client *client) {
    const struct ike_event *wanted_auth = NULL;
    for (size_t i = 0; i < out.datagrams; i++)
        send_one(client, out.octets + out.datagram[i].at, out.datagram[i].length,
            ike_sa_state(client->sa) == IKE_STATE_INIT && ike_sa_spi_r(client->sa) == 0);
    for (size_t i = 0; i < out.events; i++) {
        if (out.event[i].kind == IKE_EVENT_AUTH_WANTED)
            wanted_auth = &out.event[i];
        client->up |= out.event[i].kind == IKE_EVENT_CHILD_UP;
        if (out.event[i].kind == IKE_EVENT_CHILD_UP && tcp && sending_s > 0)
            senders_add(client->fd, &out.event[i].child);
        client->over |= out.event[i].kind == IKE_EVENT_CLOSED || out.event[i].kind == IKE_EVENT_CHILD_FAILED;
        if (out.event[i].error.text[0] != 0 && failed < 3)
            fprintf(stderr, "%s\n", out.event[i].error.text);
    }
    if (wanted_auth != NULL)
        authenticate(client, wanted_auth);
}

/* ---- one client ---- */

static int connect_from(const struct address *local, const struct address *remote) {
    struct sockaddr_in from = sockaddr_of(local), to = sockaddr_of(remote);
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
        bind(fd, (struct sockaddr *)&from, sizeof from) != 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    socklen_t length = sizeof from;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || getsockname(fd, (struct sockaddr *)&from, &length) != 0)
        die("connect");
    return fd;
}

static void begin(struct client *client) {
    size_t slot = (size_t)(client - clients);
    configure(&client->config, begun++);
    client->up = client->over = false;
    client->octets = 0;
    client->began_us = now_us();
    if (tcp) {
        client->fd = connect_from(&client->local, &client->remote);
        struct sockaddr_in at;
        socklen_t length = sizeof at;
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = slot};
        if (getsockname(client->fd, (struct sockaddr *)&at, &length) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
            die("epoll");
        client->local.port = ntohs(at.sin_port);
    }
    /* the slot in the SPI, so that an answer finds it */
    uint64_t spi = (uint64_t)random_u32(&randomness) << 32 | (uint64_t)begun << 10 | slot;
    client->sa = ike_sa_new_initiator(&client->config, spi, &client->local, &client->remote, tcp, now_ms(), randomness);
    if (client->sa == NULL)
        die("memory");
    ike_output_wipe(&out);
    ike_sa_start(client->sa, now_ms(), &out);
    take_output(client);
    if (tcp)
        client->local.port = 0;
}

static void settle(struct client *client) {
    if (!client->up && !client->over)
        return;
    if (client->up)
        took_us[done++] = (uint32_t)(now_us() - client->began_us);
    else
        failed++;
    ike_sa_free(client->sa);
    client->sa = NULL;
    if (tcp && client->up)
        (void)epoll_ctl(epoll, EPOLL_CTL_DEL, client->fd, NULL); /* and stays open */
    else if (tcp)
        close(client->fd);
    if (begun < wanted)
        begin(client);
}

static void receive_message(struct client *client, struct span payload) {
    struct span message;
    if (client->sa == NULL || payload_classify(payload, &message) != PAYLOAD_IS_IKE)
        return;
    ike_output_wipe(&out);
    ike_sa_receive(client->sa, now_ms(), message, &client->local, &client->remote, tcp, &out);
    take_output(client);
    settle(client);
}

static void read_udp(int fd) {
    static uint8_t octets[65536];
    ssize_t length;
    while ((length = recv(fd, octets, sizeof octets, 0)) > (ssize_t)(NON_ESP_MARKER_LENGTH + 8)) {
        const uint8_t *spi = octets + NON_ESP_MARKER_LENGTH;
        size_t slot = ((size_t)spi[6] << 8 | spi[7]) % 1024;
        if (slot < IN_FLIGHT_MAX)
            receive_message(&clients[slot], span_of(octets, (size_t)length));
    }
}

static void read_tcp(struct client *client) {
    ssize_t length = read(client->fd, client->received + client->octets, sizeof client->received - client->octets);
    if (length <= 0 && errno == EAGAIN && length < 0)
        return;
    if (length <= 0) {
        client->over = true;
        settle(client);
        return;
    }
    client->octets += (size_t)length;
    struct framer framer = framer_start(false);
    struct span payload;
    size_t used = 0;
    /* one answer at a time: behind it the slot may be another client's */
    if (framer_next(&framer, client->received, client->octets, &used, &payload) != FRAMER_MESSAGE)
        return;
    client->octets = 0;
    receive_message(client, payload);
}

static void wake(size_t in_flight) {
    for (size_t i = 0; i < in_flight; i++) {
        struct client *client = &clients[i];
        if (client->sa == NULL || ike_sa_deadline(client->sa) > now_ms())
            continue;
        ike_output_wipe(&out);
        ike_sa_wake(client->sa, now_ms(), &out);
        take_output(client);
        settle(client);
    }
}

static void open_sources(const char *gateway, const char *first, size_t in_flight) {
    struct error err;
    struct address remote, local;
    if (!address_parse(gateway, &remote, &err) || !address_parse(first, &local, &err))
        die(err.text);
    remote.port = 4500;
    for (size_t i = 0; i < in_flight; i++) {
        clients[i].local = local;
        clients[i].local.octets[3] = (uint8_t)(local.octets[3] + i % SOURCES);
        clients[i].local.port = tcp ? 0 : 4500;
        clients[i].remote = remote;
    }
    for (size_t i = 0; !tcp && i < SOURCES; i++) {
        struct sockaddr_in at = sockaddr_of(&clients[i].local);
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = IN_FLIGHT_MAX + i};
        udp[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (udp[i] < 0 || bind(udp[i], (struct sockaddr *)&at, sizeof at) != 0 ||
            epoll_ctl(epoll, EPOLL_CTL_ADD, udp[i], &event) != 0)
            die("UDP");
    }
}

static int by_size(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return (one > other) - (one < other);
}

static void report(double seconds) {
    qsort(took_us, done, sizeof *took_us, by_size);
    double p50 = done == 0 ? 0 : took_us[done / 2] / 1e3, p95 = done == 0 ? 0 : took_us[done * 95 / 100] / 1e3;
    printf("done=%zu failed=%zu seconds=%.2f per_s=%.0f p50_ms=%.1f p95_ms=%.1f\n", done, failed, seconds,
        (double)done / seconds, p50, p95);
    fflush(stdout);
}

int main(int count, char **word) {
    if (count != 6 && count != 7) {
        fputs("usage: handshakes udp|tcp GATEWAY FIRST-SOURCE COUNT IN-FLIGHT [SECONDS]\n", stderr);
        return 2;
    }
    tcp = strcmp(word[1], "tcp") == 0;
    wanted = strtoull(word[4], NULL, 10);
    size_t in_flight = strtoull(word[5], NULL, 10);
    sending_s = count == 7 ? (unsigned)strtoul(word[6], NULL, 10) : 0;
    if (in_flight < SOURCES || in_flight > IN_FLIGHT_MAX)
        die("IN-FLIGHT is 8 to 512");
    struct rlimit files = {.rlim_cur = 65536, .rlim_max = 65536};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    randomness = random_system();
    clients = calloc(IN_FLIGHT_MAX, sizeof *clients);
    took_us = calloc(wanted + 1, sizeof *took_us);
    out.octets = malloc(IKE_OUTPUT_OCTETS);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (clients == NULL || took_us == NULL || out.octets == NULL || epoll < 0)
        die("memory");
    open_sources(word[2], word[3], in_flight);
    uint64_t started = now_us();
    for (size_t i = 0; i < in_flight && begun < wanted; i++)
        begin(&clients[i]);
    for (uint64_t woke = 0; done + failed < wanted;) {
        struct epoll_event event[64];
        int events = epoll_wait(epoll, event, 64, 50);
        for (int i = 0; i < events; i++) {
            if (event[i].data.u64 >= IN_FLIGHT_MAX)
                read_udp(udp[event[i].data.u64 - IN_FLIGHT_MAX]);
            else
                read_tcp(&clients[event[i].data.u64]);
        }
        if (now_ms() >= woke + 50) {
            woke = now_ms();
            wake(in_flight);
        }
    }
    report((double)(now_us() - started) / 1e6);
    if (tcp && sending_s > 0)
        senders_run(sending_s);
    while (tcp && getchar() != EOF)
        ;
    return failed > 0;
}
