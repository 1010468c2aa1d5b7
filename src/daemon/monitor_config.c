/* monitor_config.c: reads ipsec.conf and ipsec.secrets for the monitor, and again when asked; keeps what it has when the
 * new ones are wrong. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/monitor_internal.h"

#define TEXT_MAX ((size_t)100000) /* fits a record with room */

/* Appends a line per diagnostic to *text. */
static void append_diagnostics(const struct diagnostics *d, char **text) {
    char line[1024];
    for (size_t i = 0; i < d->count; i++) {
        diagnostic_text(&d->list[i], line, sizeof line);
        size_t have = *text != NULL ? strlen(*text) : 0, more = strlen(line);
        if (have + more + 2 > TEXT_MAX)
            return;
        char *longer = realloc(*text, have + more + 2);
        if (longer == NULL)
            return;
        snprintf(longer + have, more + 2, "%s\n", line);
        *text = longer;
    }
}

bool monitor_config_load(const char *path, struct monitor_loaded *loaded, char **text) {
    struct diagnostics d = {0};
    struct config_source *source = config_source_read(path);
    *loaded = (struct monitor_loaded){0};
    if (source == NULL)
        return false;
    loaded->config = config_parse(source, &d);
    if (loaded->config != NULL)
        loaded->packed = config_source_pack(source, &loaded->length);
    config_source_free(source);
    append_diagnostics(&d, text);
    diagnostics_free(&d);
    if (loaded->packed != NULL)
        return true;
    monitor_loaded_free(loaded);
    return false;
}

void monitor_loaded_free(struct monitor_loaded *loaded) {
    config_free(loaded->config);
    if (loaded->packed != NULL)
        wipe(loaded->packed, loaded->length); /* the TLS key is in it */
    free(loaded->packed);
    *loaded = (struct monitor_loaded){0};
}

struct secrets *monitor_secrets_load(const char *path, char **text) {
    struct diagnostics d = {0};
    struct secrets *secrets = secrets_read(path, &d);
    append_diagnostics(&d, text);
    diagnostics_free(&d);
    return secrets;
}

void monitor_log_text(enum log_level level, const char *text) {
    while (text != NULL && *text != 0) {
        size_t length = strcspn(text, "\n");
        log_line(level, "%.*s", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

bool monitor_config_reload(struct monitor *m, struct monitor_loaded *loaded, char **text, struct error *err) {
    bool good = monitor_config_load(m->options->config_path, loaded, text);
    struct secrets *secrets = monitor_secrets_load(m->options->secrets_path, text);
    if (!good || secrets == NULL) {
        monitor_loaded_free(loaded);
        secrets_free(secrets);
        return fail(err, CONFIG, 0, "the new configuration has errors; the old one stays");
    }
    config_free(m->config);
    secrets_free(m->secrets);
    m->config = loaded->config;
    m->secrets = secrets;
    loaded->config = NULL;
    return true;
}

/* The texts in a memory file that can't change any more. */
static int memory_file(const uint8_t *octets, size_t length) {
    int fd = memfd_create("iketcp-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    size_t done = 0;
    while (fd >= 0 && done < length) {
        ssize_t wrote = write(fd, octets + done, length - done);
        if (wrote <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)wrote;
    }
    if (fd >= 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

void monitor_serve_reload(struct monitor *m, const struct monitor_request *q, struct monitor_answer *a) {
    struct monitor_loaded loaded = {0};
    char *text = NULL;
    (void)q;
    if (monitor_config_reload(m, &loaded, &text, &a->error)) {
        log_info("configuration and secrets were read again");
        a->length = loaded.length;
        a->fd = memory_file(loaded.packed, loaded.length);
        if (a->fd < 0)
            fail(&a->error, HOST, 0, "no memory file for the configuration: %s", strerror(errno));
    } else {
        log_error("%s", a->error.text);
    }
    monitor_log_text(a->error.origin != ORIGIN_NONE ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, text);
    monitor_loaded_free(&loaded);
    a->text = text; /* freed with the answer */
}
