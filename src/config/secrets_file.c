/* secrets_file.c: reads ipsec.secrets and its includes from files that nobody else may read; finds the key of a pair. */
#include "config/internal.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MOST ((size_t)1 << 20)

const char *file_check_private(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0)
        return "its mode can't be seen";
    if (!S_ISREG(status.st_mode))
        return "it is no plain file";
    if (status.st_mode & 077)
        return "others may read it; say chmod 600";
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return "it belongs to another user; say chown root";
    return NULL;
}

/* A copy that lives as long as *secrets, for places; NULL: no memory or too many files. */
static const char *keep_name(struct secrets *secrets, const char *path) {
    if (secrets->files == sizeof secrets->file / sizeof secrets->file[0])
        return NULL;
    char *copy = strdup(path);
    if (copy)
        secrets->file[secrets->files++] = copy;
    return copy;
}

static void include(struct secrets *, struct place, const char *pattern, int depth, struct diagnostics *);

static void read_one(
    struct secrets *secrets, struct place place, const char *path, int depth, struct diagnostics *diagnostics) {
    const char *problem = NULL, *name = keep_name(secrets, path);
    if (!name) {
        complain(diagnostics, place, "%.150s: too many files of secrets (64 at most)", path);
        return;
    }
    if (!place.file)
        place = (struct place){name, 1, 1};
    char *text = file_read(path, FILE_MOST, file_check_private, &problem);
    if (!text) {
        complain(diagnostics, place, "can't take secrets from %.150s: %s", path, problem);
        return;
    }
    secrets_text(secrets, name, text, depth, diagnostics, include);
    wipe(text, strlen(text));
    free(text);
}

static void include(
    struct secrets *secrets, struct place place, const char *pattern, int depth, struct diagnostics *diagnostics) {
    glob_t found = {0};
    if (depth > SOURCE_DEPTH_MAX) {
        complain(diagnostics, place, "files include each other too deep (10 at most); is it a loop?");
        return;
    }
    int result = glob(pattern, GLOB_BRACE, NULL, &found);
    if (result == GLOB_NOMATCH && !strpbrk(pattern, "*?[{"))
        warn_at(diagnostics, place, "%.150s: there is no such file: ignored", pattern);
    else if (result != 0 && result != GLOB_NOMATCH)
        complain(diagnostics, place, "%.150s: it can't be searched for", pattern);
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
        read_one(secrets, place, found.gl_pathv[i], depth, diagnostics);
    globfree(&found);
}

struct secrets *secrets_read(const char *path, struct diagnostics *diagnostics) {
    *diagnostics = (struct diagnostics){0};
    struct secrets *secrets = calloc(1, sizeof *secrets);
    if (!secrets)
        return NULL;
    read_one(secrets, (struct place){0}, path, 0, diagnostics);
    if (diagnostics->errors == 0)
        return secrets;
    secrets_free(secrets);
    return NULL;
}

struct secrets *secrets_parse(const char *name, const char *text, struct diagnostics *diagnostics) {
    *diagnostics = (struct diagnostics){0};
    struct secrets *secrets = calloc(1, sizeof *secrets);
    const char *kept = secrets ? keep_name(secrets, name) : NULL;
    if (kept)
        secrets_text(secrets, kept, text, 0, diagnostics, NULL);
    if (kept && diagnostics->errors == 0)
        return secrets;
    secrets_free(secrets);
    return NULL;
}

/* Libreswan's order of how well an entry fits: the larger the better, 0: not at all. */
enum { FITS_ANYBODY = 1, FITS_ANY = 2, FITS_REMOTE = 4, FITS_LOCAL = 8 };

static unsigned fit(const struct secret *secret, const struct identity *local, const struct identity *remote) {
    unsigned bits = secret->any ? FITS_ANY : 0;
    for (size_t i = 0; i < secret->ids; i++) {
        bits |= identity_matches(&secret->id[i], local) ? FITS_LOCAL : 0;
        bits |= identity_matches(&secret->id[i], remote) ? FITS_REMOTE : 0;
    }
    if (bits == FITS_LOCAL && secret->ids == 1 && !secret->any)
        bits |= FITS_ANYBODY; /* our id alone: for every peer */
    /* Ours among others that are not the peer's, or the peer's alone, is no fit for a pre-shared key. */
    return bits == FITS_LOCAL || bits == FITS_REMOTE ? 0 : bits;
}

bool secrets_psk(
    const struct secrets *secrets, const struct identity *local, const struct identity *remote, struct span *psk) {
    const struct secret *best = NULL;
    unsigned best_fit = 0;
    for (size_t i = 0; i < secrets->count; i++) {
        unsigned bits = fit(&secrets->list[i], local, remote);
        if (bits <= best_fit)
            continue;
        best_fit = bits;
        best = &secrets->list[i];
    }
    if (best)
        *psk = span_of(best->psk, best->length);
    return best != NULL;
}
