/* daemon_link.c: the connection to iketcpd's control socket, and sentences for when there is none. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum exit_code no_daemon(const char *path, int why) {
    if (why == ENOENT || why == ENOTDIR)
        fprintf(stderr,
            "iketcp: iketcpd is not running: no socket at %s; start it with 'iketcpd' as root, or say where it "
            "listens with --control\n",
            path);
    else if (why == ECONNREFUSED)
        fprintf(stderr,
            "iketcp: iketcpd is not running: nobody listens at %s any more; start it with 'iketcpd' as root\n", path);
    else if (why == EACCES || why == EPERM)
        fprintf(
            stderr, "iketcp: no permission to talk to iketcpd at %s: be root or a member of the group iketcp\n", path);
    else
        fprintf(stderr, "iketcp: iketcpd can't be reached at %s: %s\n", path, strerror(why));
    return EXIT_NO_DAEMON;
}

enum exit_code link_open(struct daemon_link *out, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return no_daemon(path, ENAMETOOLONG);
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return no_daemon(path, errno);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int why = errno;
        close(fd);
        return no_daemon(path, why);
    }
    *out = (struct daemon_link){.stream = fdopen(fd, "r+"), .path = path};
    if (out->stream == NULL) {
        close(fd);
        return no_daemon(path, ENOMEM);
    }
    return EXIT_OK;
}

void link_close(struct daemon_link *link) {
    fclose(link->stream);
}

bool link_send(struct daemon_link *link, json_t *request) {
    char *text = request == NULL ? NULL : json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (text == NULL)
        return false;
    size_t length = strlen(text);
    text[length++] = '\n'; /* over its NUL */
    size_t sent = 0;
    while (sent < length) {
        ssize_t now = send(fileno(link->stream), text + sent, length - sent, MSG_NOSIGNAL);
        if (now < 0)
            break;
        sent += (size_t)now;
    }
    free(text);
    return sent == length;
}

json_t *link_receive(struct daemon_link *link) {
    char *line = NULL;
    size_t size = 0;
    errno = 0;
    ssize_t length = getline(&line, &size, link->stream);
    int why = errno;
    json_t *answer = length <= 0 ? NULL : json_loadb(line, (size_t)length, 0, NULL);
    free(line);
    json_clean(answer);
    errno = why;
    return answer;
}
