/* monitor_channel.c: one record over the socket pair between monitor and engine, with at most one descriptor. */
#include "daemon/monitor_channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union one_descriptor { /* aligned room for the ancillary data of one descriptor */
    char room[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

enum channel_result channel_send(int fd, struct span record, int passed) {
    struct iovec vector = {.iov_base = (void *)(uintptr_t)record.at, .iov_len = record.length};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    union one_descriptor control = {0};
    if (passed >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &passed, sizeof passed);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return CHANNEL_DONE;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? CHANNEL_LATER : CHANNEL_GONE;
}

/* The only descriptor of a message; -1: none. */
static int descriptor_of(struct msghdr *message) {
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    int fd = -1;
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

enum channel_result channel_receive(int fd, uint8_t *buffer, size_t capacity, size_t *length, int *passed) {
    struct iovec vector = {.iov_base = buffer, .iov_len = capacity};
    union one_descriptor control = {0};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (passed != NULL) {
        *passed = -1;
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
    }
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? CHANNEL_LATER : CHANNEL_GONE;
    int came = passed != NULL ? descriptor_of(&message) : -1;
    /* Where no descriptor is left for it, the one that came is lost, not the channel; whoever wants none gets none. */
    int cut = passed == NULL ? MSG_TRUNC | MSG_CTRUNC : MSG_TRUNC;
    if (got == 0 || (message.msg_flags & cut) != 0) {
        if (came >= 0)
            close(came);
        return CHANNEL_GONE;
    }
    if (passed != NULL)
        *passed = came;
    *length = (size_t)got;
    return CHANNEL_DONE;
}
