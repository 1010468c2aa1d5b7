/* monitor_keylog.c: the files that keylog= asks for, which give all traffic away to who reads them: in a directory that only
 * root can write to, mode 0600, root's, never through a link. The engine gets them open, for appending. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/monitor_internal.h"

static const char *const files[] = {[KEYLOG_IKE] = "ikev2_decryption_table", [KEYLOG_ESP] = "esp_sa"};

static int open_directory(const char *path, struct error *err) {
    struct stat is;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        fail(err, HOST, 0, "keylog=%s: it can't be made: %s", path, strerror(errno));
        return -1;
    }
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0 || fstat(directory, &is) != 0) {
        fail(err, HOST, 0, "keylog=%s: %s", path, strerror(errno));
    } else if (is.st_uid != geteuid() || (is.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        fail(err, CONFIG, 0, "keylog=%s: others than root may write to this directory", path);
    } else {
        return directory;
    }
    if (directory >= 0)
        close(directory);
    return -1;
}

/* One that is there already must be as we would have made it: else others read along. */
static bool is_private(int fd) {
    struct stat is;
    return fstat(fd, &is) == 0 && S_ISREG(is.st_mode) && is.st_uid == geteuid() && is.st_nlink == 1 &&
           (is.st_mode & 0177) == 0;
}

void monitor_serve_keylog(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    const char *path = m->config->keylog, *name = files[q->keylog];
    if (path[0] == 0) {
        fail(&a->error, CONFIG, 0, "the configuration has no keylog=");
        return;
    }
    int directory = open_directory(path, &a->error);
    if (directory < 0)
        return;
    int fd =
        openat(directory, name, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
    if (fd < 0) {
        fail(&a->error, HOST, 0, "keylog=%s: %s: %s", path, name, strerror(errno));
    } else if (!is_private(fd)) {
        fail(&a->error, CONFIG, 0, "keylog=%s: %s is no file of root's alone with mode 0600", path, name);
        close(fd);
    } else {
        a->fd = fd;
        log_warning("keys are written to %s/%s: whoever reads it reads the traffic", path, name);
    }
    close(directory);
}
