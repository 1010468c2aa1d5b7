/* state.c: the clean-up file. It names the routing tables, the mark and the rules of devices with marks, which is all that the
 * next start needs to take rules and routes back; devices and addresses end with the engine's descriptors. On disk before the first change. */
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

static int write_text(const struct host *h, FILE *out) {
    (void)fprintf(out, HEADING "\nmark %u\ntables %u %u\n", h->mark, h->table, h->table_default);
    for (size_t i = 0; i < h->devices; i++) {
        struct mark_rules rules = mark_rules_of(&h->device[i].wanted);
        if (rules.mask != 0)
            (void)fprintf(out, "rules %s %u %u %u\n", rules.name, rules.table, rules.mark, rules.mask);
    }
    return fflush(out) == 0 && ferror(out) == 0 && fsync(fileno(out)) == 0 ? 0 : errno;
}

bool state_write(const struct host *h, struct error *err) {
    char temporary[HOST_PATH_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.new", h->state_path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    int why = out != NULL ? write_text(h, out) : errno;
    if (out != NULL)
        (void)fclose(out);
    else if (fd >= 0)
        close(fd);
    if (why == 0 && rename(temporary, h->state_path) == 0) {
        sync_directory(h->state_path);
        return true;
    }
    if (why == 0)
        why = errno;
    (void)unlink(temporary);
    return fail(err, HOST, 0, "the clean-up file %s: %s", h->state_path, strerror(why));
}

/* What does not look like a line of ours ends the list. */
static void read_rules(FILE *in, struct state *state) {
    struct mark_rules *rules = state->rules;
    while (state->rule_count < HOST_DEVICES_MAX &&
           fscanf(in, " rules %15s %10u %10u %10u", rules->name, &rules->table, &rules->mark, &rules->mask) == 4) {
        rules++;
        state->rule_count++;
    }
}

bool state_read(const char *path, struct state *state) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), end = 0;
    FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
    *state = (struct state){0};
    if (in == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = fscanf(in, HEADING " mark %10u tables %10u %10u%n", &state->mark, &state->table, &state->table_default,
                    &end) == 3 &&
                end > 0;
    if (good)
        read_rules(in, state);
    (void)fclose(in);
    return good;
}

void state_remove(const struct host *h) {
    (void)unlink(h->state_path);
}
