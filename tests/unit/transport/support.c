/* support.c: what the transport tests share. */
#include "support.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct address loopback(uint8_t family) {
    struct address address;
    struct error err;
    assert_true(address_parse(family == 4 ? "127.0.0.1" : "::1", &address, &err));
    return address;
}

static int bound_socket(const struct address *address, int type, struct address *bound) {
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(address, &name);
    int fd = socket(name.ss_family, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&name, length), 0);
    length = sizeof name;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
    address_from_sockaddr(&name, bound);
    return fd;
}

int listening_socket(uint8_t family, int backlog, struct address *bound) {
    struct address address = loopback(family);
    int fd = bound_socket(&address, SOCK_STREAM, bound);
    assert_int_equal(listen(fd, backlog), 0);
    return fd;
}

int udp_bound(const struct address *address, struct address *bound) {
    return bound_socket(address, SOCK_DGRAM, bound);
}

int tcp_dial(const struct address *to) {
    struct sockaddr_storage name;
    socklen_t length = address_to_sockaddr(to, &name);
    int fd = socket(name.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&name, length), 0);
    struct timeval timeout = {.tv_sec = 2};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    int one = 1;
    assert_int_equal(setsockopt(fd, 6, 1, &one, sizeof one), 0); /* TCP_NODELAY */
    return fd;
}

void tcp_pair(uint8_t family, int fd[2]) {
    struct address at;
    int listener = listening_socket(family, 1, &at);
    fd[0] = tcp_dial(&at);
    fd[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd[1] >= 0);
    close(listener);
}

void send_all(int fd, const void *octets, size_t length) {
    const uint8_t *at = octets;
    while (length > 0) {
        ssize_t n = send(fd, at, length, MSG_NOSIGNAL);
        assert_true(n > 0);
        at += n;
        length -= (size_t)n;
    }
}

ssize_t read_to_end(int fd, uint8_t *out, size_t size) {
    size_t length = 0;
    while (length < size) {
        ssize_t n = recv(fd, out + length, size - length, 0);
        if (n < 0 && errno == ECONNRESET)
            return -1;
        if (n <= 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

void sleep_ms(unsigned ms) {
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

void loop_for(struct event_base *base, unsigned ms) {
    for (unsigned waited = 0; waited < ms; waited += 2) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        sleep_ms(2);
    }
}

void loop_until(struct event_base *base, const int *value, int at_least, unsigned ms) {
    for (unsigned waited = 0; *value < at_least && waited < ms; waited += 2) {
        event_base_loop(base, EVLOOP_NONBLOCK);
        if (*value < at_least)
            sleep_ms(2);
    }
    assert_true(*value >= at_least);
}

size_t ike_frame(uint8_t *out, uint64_t spi_i, uint64_t spi_r, uint8_t flags, size_t length) {
    struct ike_header header = {
        .spi_i = spi_i, .spi_r = spi_r, .version = IKE_VERSION, .exchange = IKE_SA_INIT, .flags = flags};
    frame_header(out, NON_ESP_MARKER_LENGTH + length);
    struct writer w = writer_over(out + FRAME_LENGTH_FIELD, NON_ESP_MARKER_LENGTH + length);
    writer_zero(&w, NON_ESP_MARKER_LENGTH);
    struct message_writer m = message_begin(&w, &header);
    writer_zero(&w, length - IKE_HEADER_LENGTH);
    message_end(&m);
    assert_true(writer_ok(&w));
    return FRAME_LENGTH_FIELD + NON_ESP_MARKER_LENGTH + length;
}

size_t esp_frame(uint8_t *out, uint32_t spi, size_t length, uint8_t fill) {
    assert_true(length >= 4);
    frame_header(out, length);
    struct writer w = writer_over(out + FRAME_LENGTH_FIELD, length);
    writer_u32(&w, spi);
    assert_true(writer_ok(&w));
    memset(out + FRAME_LENGTH_FIELD + 4, fill, length - 4);
    return FRAME_LENGTH_FIELD + length;
}
