/* tcp_options.c: what every stream's socket gets, whichever side opened it. */
#include "transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>

#define USER_TIMEOUT_MS \
    15000 /* what was sent and is not taken for so long has met a black hole: not TCP's quarter hour */
#define KEEPALIVE_S 60 /* for the NATs' sake; whether the peer lives is IKE's business (K6) */

static bool set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) == 0;
}

bool tcp_prepare(int fd, struct error *err) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return fail(err, HOST, 0, "a TCP socket can't be made non-blocking: %s", strerror(errno));
    if (!set(fd, IPPROTO_TCP, TCP_NODELAY, 1) || !set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) ||
        !set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S) || !set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S) ||
        !set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS))
        return fail(err, HOST, 0, "a TCP socket does not take its options: %s", strerror(errno));
    return true;
}

uint64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec / 1000000;
}
