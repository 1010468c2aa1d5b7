/* name_relay.c: evdns makes sockets of its own, which a tunnel for all traffic would swallow: the gateway's name would be asked
 * about through the very tunnel that waits for it. So evdns asks a socket on loopback, and what comes there goes on to the
 * name server over a socket of the monitor's, whose mark leads it past the tunnel's routes. An answer that does not fit
 * into a datagram is asked for again over TCP (RFC 7766), which evdns can't do. */
#include "daemon/engine/internal.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUESTIONS_MAX 8 /* that wait at once: A and AAAA of one name, sent again now and then */
#define QUESTION_MAX ((size_t)512)
#define ANSWER_MAX ((size_t)1400) /* evdns reads no more than 1,500 octets */
#define DATAGRAM_MAX ((size_t)4096)
#define TCP_SECONDS 5 /* for the connection, and for the answer */
#define DNS_PORT 53

struct question {
    struct name_relay *relay;
    struct sockaddr_in from;
    uint16_t id;
    bool waits; /* for an answer */
    bool over_tcp; /* it is being asked so */
    uint8_t octets[QUESTION_MAX];
    size_t length;
    uint8_t partial[ANSWER_MAX]; /* what the answer that was cut off had: better than nothing */
    size_t partial_length;
    struct bufferevent *tcp;
};

struct name_relay {
    LIST_ENTRY(name_relay) next;
    struct engine *engine;
    struct address server;
    int inner, outer; /* towards evdns, towards the server; -1: not open */
    struct event *inner_readable, *outer_readable;
    struct question question[QUESTIONS_MAX];
    size_t next_question;
    unsigned asked; /* sockets of the monitor, whose answers will come */
    bool closed; /* freed with the last of them */
    name_relay_ready ready;
    void *context;
};

static void relay_free(struct name_relay *relay) {
    LIST_REMOVE(relay, next);
    free(relay);
}

static void question_end(struct question *q) {
    if (q->tcp != NULL)
        bufferevent_free(q->tcp);
    q->tcp = NULL;
    q->waits = q->over_tcp = false;
}

/* ---------------------------------------------------------------- answers ---- */

static void answer(struct question *q, uint8_t *octets, size_t length) {
    size_t left = dns_shorten(octets, length, ANSWER_MAX);
    if (left > 0)
        (void)sendto(q->relay->inner, octets, left, 0, (const struct sockaddr *)&q->from, sizeof q->from);
    question_end(q);
}

/* At once, so that another server is asked. */
static void refuse(struct question *q) {
    dns_refuse(q->octets);
    answer(q, q->octets, q->length);
}

static void tcp_failed(struct question *q) {
    if (q->partial_length > 0)
        answer(q, q->partial, q->partial_length);
    else
        refuse(q);
}

/* ---------------------------------------------------------------- over TCP ---- */

static void on_tcp_readable(struct bufferevent *tcp, void *context) {
    struct question *q = context;
    struct evbuffer *input = bufferevent_get_input(tcp);
    uint8_t length[2];
    uint16_t id;
    bool truncated;
    if (evbuffer_copyout(input, length, sizeof length) != (ev_ssize_t)sizeof length)
        return;
    size_t whole = (size_t)length[0] << 8 | length[1];
    if (evbuffer_get_length(input) < sizeof length + whole)
        return;
    uint8_t *message = evbuffer_pullup(input, (ev_ssize_t)(sizeof length + whole));
    if (message != NULL && dns_is_answer(span_of(message + sizeof length, whole), &id, &truncated) && id == q->id)
        answer(q, message + sizeof length, whole);
    else
        tcp_failed(q);
}

static void on_tcp_event(struct bufferevent *tcp, short what, void *context) {
    (void)tcp;
    if ((what & (BEV_EVENT_ERROR | BEV_EVENT_EOF | BEV_EVENT_TIMEOUT)) != 0)
        tcp_failed(context);
}

static bool tcp_begin(struct question *q, int fd) {
    struct sockaddr_storage to;
    struct timeval patience = {.tv_sec = TCP_SECONDS};
    uint8_t length[2] = {(uint8_t)(q->length >> 8), (uint8_t)q->length};
    int room = (int)address_to_sockaddr(&q->relay->server, &to);
    q->tcp = bufferevent_socket_new(q->relay->engine->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (q->tcp == NULL) {
        close(fd);
        return false;
    }
    bufferevent_setcb(q->tcp, on_tcp_readable, NULL, on_tcp_event, q);
    bufferevent_set_timeouts(q->tcp, &patience, &patience);
    bufferevent_setwatermark(q->tcp, EV_READ, 0, sizeof length + DNS_MESSAGE_MAX);
    return bufferevent_write(q->tcp, length, sizeof length) == 0 &&
           bufferevent_write(q->tcp, q->octets, q->length) == 0 &&
           bufferevent_enable(q->tcp, EV_READ | EV_WRITE) == 0 &&
           bufferevent_socket_connect(q->tcp, (const struct sockaddr *)&to, room) == 0;
}

static void on_tcp_socket(void *context, const struct monitor_answer *answered) {
    struct question *q = context;
    struct name_relay *relay = q->relay;
    relay->asked--;
    if (relay->closed) {
        if (answered->fd >= 0)
            close(answered->fd);
        if (relay->asked == 0)
            relay_free(relay);
        return;
    }
    if (answered->fd < 0 || !tcp_begin(q, answered->fd))
        tcp_failed(q);
}

static void ask_over_tcp(struct question *q, uint8_t *partial, size_t length) {
    q->partial_length = dns_shorten(partial, length, sizeof q->partial);
    memcpy(q->partial, partial, q->partial_length);
    q->over_tcp = true;
    q->relay->asked++;
    struct address any = {.family = q->relay->server.family};
    monitor_socket(q->relay->engine->monitor, HOST_TCP, &any, on_tcp_socket, q);
}

/* ---------------------------------------------------------------- over UDP ---- */

static struct question *question_of(struct name_relay *relay, uint16_t id) {
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        if (relay->question[i].waits && relay->question[i].id == id)
            return &relay->question[i];
    return NULL;
}

/* The same one sent again has its place; another takes the place of the oldest that is not being asked over TCP. */
static struct question *place_for(struct name_relay *relay, uint16_t id) {
    struct question *q = question_of(relay, id);
    for (size_t i = 0; i < QUESTIONS_MAX && q == NULL; i++) {
        struct question *oldest = &relay->question[relay->next_question++ % QUESTIONS_MAX];
        if (!oldest->over_tcp)
            q = oldest;
    }
    return q != NULL && !q->over_tcp ? q : NULL;
}

static void on_question(evutil_socket_t fd, short what, void *context) {
    struct name_relay *relay = context;
    struct sockaddr_in from = {0};
    socklen_t room = sizeof from;
    uint8_t octets[QUESTION_MAX];
    uint16_t id;
    (void)what;
    ssize_t got = recvfrom(fd, octets, sizeof octets, MSG_TRUNC, (struct sockaddr *)&from, &room);
    if (got <= 0 || (size_t)got > sizeof octets || !dns_is_question(span_of(octets, (size_t)got), &id))
        return;
    struct question *q = place_for(relay, id);
    if (q == NULL)
        return; /* it is being asked over TCP, or too many are */
    q->relay = relay;
    q->from = from;
    q->id = id;
    q->waits = true;
    q->length = (size_t)got;
    q->partial_length = 0;
    memcpy(q->octets, octets, q->length);
    if (send(relay->outer, q->octets, q->length, 0) < 0 && errno != EAGAIN)
        refuse(q);
}

static void refuse_all(struct name_relay *relay) {
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        if (relay->question[i].waits && !relay->question[i].over_tcp)
            refuse(&relay->question[i]);
}

static void on_answer(evutil_socket_t fd, short what, void *context) {
    struct name_relay *relay = context;
    uint8_t octets[DATAGRAM_MAX];
    uint16_t id;
    bool truncated;
    (void)what;
    ssize_t got = recv(fd, octets, sizeof octets, 0);
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        refuse_all(relay); /* nobody listens there, says ICMP */
    if (got <= 0 || !dns_is_answer(span_of(octets, (size_t)got), &id, &truncated))
        return;
    struct question *q = question_of(relay, id);
    if (q == NULL || q->over_tcp)
        return;
    if (truncated)
        ask_over_tcp(q, octets, (size_t)got);
    else
        answer(q, octets, (size_t)got);
}

/* ---------------------------------------------------------------- life ---- */

static bool open_inner(struct name_relay *relay, struct sockaddr_in *at) {
    socklen_t room = sizeof *at;
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    relay->inner = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return relay->inner >= 0 && bind(relay->inner, (const struct sockaddr *)at, sizeof *at) == 0 &&
           getsockname(relay->inner, (struct sockaddr *)at, &room) == 0;
}

/* Connected, so that nobody else's datagrams come. Errors come from reads, not from a queue that has to be emptied. */
static bool open_outer(struct name_relay *relay, int fd) {
    struct sockaddr_storage to;
    const int off = 0;
    bool v6 = relay->server.family == 6;
    socklen_t room = address_to_sockaddr(&relay->server, &to);
    relay->outer = fd;
    return setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_RECVERR : IP_RECVERR, &off, sizeof off) == 0 &&
           connect(fd, (const struct sockaddr *)&to, room) == 0;
}

static bool watch(struct name_relay *relay) {
    struct event_base *base = relay->engine->base;
    relay->inner_readable = event_new(base, relay->inner, EV_READ | EV_PERSIST, on_question, relay);
    relay->outer_readable = event_new(base, relay->outer, EV_READ | EV_PERSIST, on_answer, relay);
    return relay->inner_readable != NULL && relay->outer_readable != NULL &&
           event_add(relay->inner_readable, NULL) == 0 && event_add(relay->outer_readable, NULL) == 0;
}

static void on_outer_socket(void *context, const struct monitor_answer *answered) {
    struct name_relay *relay = context;
    struct error error = answered->error;
    struct sockaddr_in at;
    char text[ADDRESS_TEXT_MAX];
    relay->asked--;
    if (relay->closed) {
        if (answered->fd >= 0)
            close(answered->fd);
        relay_free(relay);
        return;
    }
    if (answered->fd >= 0 && (!open_outer(relay, answered->fd) || !open_inner(relay, &at) || !watch(relay)))
        (void)fail(&error, HOST, 0, "the name server %s can't be asked: %s", address_text(&relay->server, text),
            strerror(errno));
    relay->ready(relay->context, error.origin == ORIGIN_NONE ? (const struct sockaddr *)&at : NULL, sizeof at, &error);
}

struct name_relay *name_relay_open(
    struct engine *engine, const struct address *server, name_relay_ready ready, void *context) {
    struct name_relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL)
        return NULL;
    relay->engine = engine;
    relay->server = *server;
    if (relay->server.port == 0)
        relay->server.port = DNS_PORT;
    relay->inner = relay->outer = -1;
    relay->ready = ready;
    relay->context = context;
    relay->asked = 1;
    LIST_INSERT_HEAD(&engine->name_relays, relay, next);
    struct address any = {.family = server->family};
    monitor_socket(engine->monitor, HOST_UDP, &any, on_outer_socket, relay);
    return relay;
}

void name_relay_close(struct name_relay *relay) {
    struct event *events[] = {relay->inner_readable, relay->outer_readable};
    int sockets[] = {relay->inner, relay->outer};
    for (size_t i = 0; i < 2; i++) {
        if (events[i] != NULL)
            event_free(events[i]);
        if (sockets[i] >= 0)
            close(sockets[i]);
    }
    for (size_t i = 0; i < QUESTIONS_MAX; i++)
        question_end(&relay->question[i]);
    relay->inner_readable = relay->outer_readable = NULL;
    relay->inner = relay->outer = -1;
    relay->closed = true;
    if (relay->asked == 0)
        relay_free(relay);
}

void name_relays_free(struct engine *engine) {
    struct name_relay *relay, *following;
    for (relay = LIST_FIRST(&engine->name_relays); relay != NULL; relay = following) {
        following = LIST_NEXT(relay, next);
        relay->asked = 0; /* the monitor's client is gone */
        name_relay_close(relay);
    }
}
