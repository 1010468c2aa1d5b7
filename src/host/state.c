/* state.c: the clean-up file. It names the routing tables and the mark, which is all that the next start needs to take rules
 * and routes back; device and addresses end with the engine's descriptor. On disk before the first change. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "host/internal.h"

#define HEADING "iketcp clean-up 1"

/* A rename is on disk when its directory is. */
static void sync_directory(const char *path) {
    char copy[HOST_PATH_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

bool state_write(const struct host *h, struct error *err) {
    char temporary[HOST_PATH_MAX + 8], text[128];
    int length = snprintf(text, sizeof text, HEADING "\nmark %u\ntables %u %u\n", h->mark, h->table, h->table_default);
    snprintf(temporary, sizeof temporary, "%s.new", h->state_path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool written = fd >= 0 && write(fd, text, (size_t)length) == length && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (written && rename(temporary, h->state_path) == 0) {
        sync_directory(h->state_path);
        return true;
    }
    if (written)
        why = errno;
    (void)unlink(temporary);
    return fail(err, HOST, 0, "the clean-up file %s: %s", h->state_path, strerror(why));
}

bool state_read(const char *path, uint32_t *mark, uint32_t *table, uint32_t *table_default) {
    char text[256];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), end = 0;
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (got <= 0)
        return false;
    text[got] = 0;
    return sscanf(text, HEADING " mark %10u tables %10u %10u%n", mark, table, table_default, &end) == 3 && end > 0;
}

void state_remove(const struct host *h) {
    (void)unlink(h->state_path);
}
