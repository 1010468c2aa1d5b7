/* pack.c: texts of a configuration as octets, for the way from the monitor to the engine, and back. What comes back is
 * checked as if a stranger had sent it. */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

/* "ICS1", number of files, then for each: parent, line, flags (1 serious, 2 text, 4 problem, 8 named), path, text, problem; all
 * numbers 32 bits, texts with their length before them. */
#define MAGIC UINT32_C(0x49435331)
enum { FLAG_SERIOUS = 1, FLAG_TEXT = 2, FLAG_PROBLEM = 4, FLAG_NAMED = 8 };

static void write_text(struct writer *w, const char *text) {
    size_t length = text ? strlen(text) : 0;
    writer_u32(w, (uint32_t)length);
    writer_octets(w, text ? text : "", length);
}

static size_t packed_size(const struct config_source *source) {
    size_t size = 8;
    for (size_t i = 0; i < source->files; i++) {
        const struct source_file *file = &source->file[i];
        size += 24 + strlen(file->path) + (file->text ? strlen(file->text) : 0) +
                (file->problem ? strlen(file->problem) : 0);
    }
    return size;
}

uint8_t *config_source_pack(const struct config_source *source, size_t *length) {
    *length = packed_size(source);
    uint8_t *octets = malloc(*length);
    if (!octets)
        return NULL;
    struct writer w = writer_over(octets, *length);
    writer_u32(&w, MAGIC);
    writer_u32(&w, (uint32_t)source->files);
    for (size_t i = 0; i < source->files; i++) {
        const struct source_file *file = &source->file[i];
        writer_u32(&w, file->parent);
        writer_u32(&w, file->line);
        writer_u32(&w, (file->serious ? FLAG_SERIOUS : 0u) | (file->text ? FLAG_TEXT : 0u) |
                           (file->problem ? FLAG_PROBLEM : 0u) | (file->named ? FLAG_NAMED : 0u));
        write_text(&w, file->path);
        write_text(&w, file->text);
        write_text(&w, file->problem);
    }
    if (writer_ok(&w) && w.length == *length)
        return octets;
    free(octets);
    return NULL;
}

/* malloc'd; NULL: malformed. Texts have no NUL inside. */
static char *read_text(struct reader *r, size_t most) {
    uint32_t length;
    struct span text;
    if (!reader_u32(r, &length) || length > most || !reader_span(r, length, &text))
        return NULL;
    if (length && memchr(text.at, '\0', length))
        return NULL;
    char *out = malloc((size_t)length + 1);
    if (!out)
        return NULL;
    if (length)
        memcpy(out, text.at, length);
    out[length] = '\0';
    return out;
}

static bool read_one(struct reader *r, struct config_source *source) {
    uint32_t parent, line, flags;
    if (!reader_u32(r, &parent) || !reader_u32(r, &line) || !reader_u32(r, &flags))
        return false;
    /* A file comes after the one that includes it, the main file is nobody's. */
    if (flags > 15 || (source->files == 0 && (flags & FLAG_NAMED)) ||
        (source->files == 0 ? parent != 0 || line != 0 : parent >= source->files || line == 0))
        return false;
    char *path = read_text(r, 4096);
    char *text = path ? read_text(r, SOURCE_OCTETS_MAX - source->octets) : NULL;
    char *problem = text ? read_text(r, 1024) : NULL;
    bool ok = problem && ((flags & FLAG_TEXT) || !*text) && ((flags & FLAG_PROBLEM) || !*problem) &&
              !(flags & FLAG_TEXT) == !!(flags & FLAG_PROBLEM);
    if (ok)
        ok = source_add(source, path, flags & FLAG_TEXT ? text : NULL, flags & FLAG_PROBLEM ? problem : NULL,
            flags & FLAG_SERIOUS, parent, line);
    if (ok)
        source->file[source->files - 1].named = flags & FLAG_NAMED;
    if (text && (flags & FLAG_NAMED))
        wipe(text, strlen(text));
    free(path);
    free(text);
    free(problem);
    return ok;
}

struct config_source *config_source_unpack(const uint8_t *octets, size_t length) {
    struct reader r = reader_over(octets, length);
    uint32_t magic, files;
    if (!reader_u32(&r, &magic) || magic != MAGIC || !reader_u32(&r, &files) || files == 0 || files > SOURCE_FILES_MAX)
        return NULL;
    struct config_source *source = calloc(1, sizeof *source);
    bool ok = source != NULL;
    for (uint32_t i = 0; ok && i < files; i++)
        ok = read_one(&r, source);
    if (ok && reader_end(&r))
        return source;
    config_source_free(source);
    return NULL;
}
