/* monitor_files.c: what lies beside the control socket: its directory, the lock that makes one daemon per socket, the pid
 * file, the socket itself. Nothing appears half made. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/monitor_internal.h"

#define BACKLOG 64
#define LOCK_TRIES 10
#define PATH_ROOM (sizeof((struct sockaddr_un *)0)->sun_path)

void monitor_path_beside(const struct monitor *m, const char *suffix, char *out, size_t size) {
    snprintf(out, size, "%s%s", m->options->control_path, suffix);
}

static bool make_directory(const char *control_path, struct error *err) {
    char copy[PATH_ROOM];
    snprintf(copy, sizeof copy, "%s", control_path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0755) == 0 || errno == EEXIST)
        return true;
    return fail(err, HOST, 0, "the directory %s can't be made: %s", directory, strerror(errno));
}

static bool write_pid(int fd) {
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length;
}

static bool is_taken(int fd, const char *control_path, struct error *err) {
    char text[16] = "";
    ssize_t got = pread(fd, text, sizeof text - 1, 0);
    text[got > 0 ? got : 0] = 0;
    return fail(err, HOST, 0, "another iketcpd (pid %d) serves %s already", atoi(text), control_path);
}

/* The lock is the open file's, and its file goes when we go: so what was locked must still be what the path names. */
bool monitor_lock(struct monitor *m, struct error *err) {
    char path[PATH_ROOM + 16];
    struct stat ours, there;
    if (strlen(m->options->control_path) + sizeof ".new" > PATH_ROOM)
        return fail(
            err, CONFIG, 0, "the path of the control socket is longer than %zu octets", PATH_ROOM - sizeof ".new");
    if (!make_directory(m->options->control_path, err))
        return false;
    monitor_path_beside(m, ".lock", path, sizeof path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
            return fail(err, HOST, 0, "the lock file %s: %s", path, strerror(errno));
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            is_taken(fd, m->options->control_path, err);
            close(fd);
            return false;
        }
        if (fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
            ours.st_dev == there.st_dev && write_pid(fd)) {
            m->lock_fd = fd;
            return true;
        }
        close(fd);
    }
    return fail(err, HOST, 0, "the lock file %s does not stay", path);
}

void monitor_unlock(struct monitor *m) {
    char path[PATH_ROOM + 16];
    if (m->lock_fd < 0)
        return;
    monitor_path_beside(m, ".lock", path, sizeof path);
    (void)unlink(path);
    close(m->lock_fd);
    m->lock_fd = -1;
}

bool monitor_pid_write(const struct monitor *m, struct error *err) {
    char path[PATH_ROOM + 16], temporary[PATH_ROOM + 16];
    monitor_path_beside(m, ".pid", path, sizeof path);
    monitor_path_beside(m, ".pid.new", temporary, sizeof temporary);
    if (m->lock_fd >= 0)
        (void)write_pid(m->lock_fd); /* it was another process that took the lock, when we went to the background */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    bool written = fd >= 0 && write_pid(fd);
    if (fd >= 0)
        close(fd);
    if (written && rename(temporary, path) == 0)
        return true;
    fail(err, HOST, 0, "the pid file %s: %s", path, strerror(errno));
    (void)unlink(temporary);
    return false;
}

static bool open_to_group(const char *path, struct error *err) {
    const struct group *group = getgrnam("iketcp");
    if (chown(path, 0, group != NULL ? group->gr_gid : 0) != 0 || chmod(path, 0660) != 0)
        return fail(err, HOST, 0, "owner and mode of %s: %s", path, strerror(errno));
    return true;
}

bool monitor_control_open(const struct monitor *m, int *fd, struct error *err) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    monitor_path_beside(m, ".new", at.sun_path, sizeof at.sun_path);
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return fail(err, HOST, 0, "the control socket: %s", strerror(errno));
    (void)unlink(at.sun_path);
    mode_t before = umask(0177);
    bool bound = bind(*fd, (const struct sockaddr *)&at, sizeof at) == 0;
    int why = errno;
    umask(before);
    if (!bound)
        fail(err, HOST, 0, "the control socket %s: %s", at.sun_path, strerror(why));
    else if (!open_to_group(at.sun_path, err))
        bound = false;
    else if (listen(*fd, BACKLOG) != 0 || rename(at.sun_path, m->options->control_path) != 0)
        bound = fail(err, HOST, 0, "the control socket %s: %s", m->options->control_path, strerror(errno));
    if (bound)
        return true;
    (void)unlink(at.sun_path);
    close(*fd);
    *fd = -1;
    return false;
}

void monitor_files_remove(const struct monitor *m) {
    char path[PATH_ROOM + 16];
    (void)unlink(m->options->control_path);
    monitor_path_beside(m, ".pid", path, sizeof path);
    (void)unlink(path);
}
