/* source.c: reads the main file and what it includes into memory, so that parsing needs no files. The only part of
 * config/ (with secrets_file.c) that touches the file system. */
#include "config/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool set_text(char **out, const char *text) {
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

bool source_add(struct config_source *source, const char *path, const char *text, const char *problem, bool serious,
    uint32_t parent, uint32_t line) {
    if (source->files == SOURCE_FILES_MAX)
        return false;
    struct source_file *grown = realloc(source->file, (source->files + 1) * sizeof *grown);
    if (!grown)
        return false;
    source->file = grown;
    struct source_file *file = &grown[source->files];
    *file = (struct source_file){.serious = serious, .parent = parent, .line = line};
    if (!set_text(&file->path, path) || !set_text(&file->text, text) || !set_text(&file->problem, problem)) {
        free(file->path);
        free(file->text);
        free(file->problem);
        return false;
    }
    source->files++;
    source->octets += text ? strlen(text) : 0;
    return true;
}

static const char *read_all(int fd, size_t most, char **out, size_t *length) {
    size_t room = 8192;
    *length = 0;
    *out = malloc(room + 1);
    while (*out) {
        if (*length == room) {
            char *grown = malloc(2 * room + 1); /* not realloc: what was there may be secret */
            if (grown)
                memcpy(grown, *out, *length);
            wipe(*out, *length);
            free(*out);
            *out = grown;
            room *= 2;
            continue;
        }
        ssize_t got = read(fd, *out + *length, room - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return strerror(errno);
        if (got == 0)
            break;
        *length += (size_t)got;
        if (*length > most)
            return "it is too long";
    }
    if (!*out)
        return "no memory";
    (*out)[*length] = '\0';
    return memchr(*out, '\0', *length) ? "it contains a NUL octet, which no text does" : NULL;
}

char *file_read(const char *path, size_t most, const char *(*check)(int fd), const char **problem) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        *problem = strerror(errno);
        return NULL;
    }
    char *text = NULL;
    size_t length = 0;
    struct stat status;
    if (fstat(fd, &status) != 0)
        *problem = strerror(errno);
    else if (S_ISDIR(status.st_mode))
        *problem = "it is a directory";
    else
        *problem = check ? check(fd) : NULL;
    if (!*problem)
        *problem = read_all(fd, most, &text, &length);
    close(fd);
    if (*problem && text) {
        wipe(text, length);
        free(text);
        text = NULL;
    }
    return text;
}

char *include_pattern(const char *includer, const char *pattern, size_t length) {
    const char *slash = strrchr(includer, '/');
    size_t directory = length && pattern[0] == '/' ? 0 : slash ? (size_t)(slash - includer) + 1 : 0;
    char *out = malloc(2 * directory + length + 1);
    if (!out)
        return NULL;
    char *to = out;
    for (size_t i = 0; i < directory; i++) { /* the directory's own name is no pattern */
        if (strchr("*?[]{}~\\", includer[i]))
            *to++ = '\\';
        *to++ = includer[i];
    }
    memcpy(to, pattern, length);
    to[length] = '\0';
    return out;
}

static bool read_file(struct config_source *, const char *path, uint32_t parent, uint32_t line, int depth);

static bool include_one(
    struct config_source *source, uint32_t parent, uint32_t line, const char *path, const char *problem, bool serious) {
    char text[400];
    snprintf(text, sizeof text, "%.200s: %s", path, problem);
    return source_add(source, path, NULL, text, serious, parent, line);
}

static bool include(struct config_source *source, uint32_t parent, const struct statement *what, int depth) {
    uint32_t line = (uint32_t)what->line;
    char *pattern = include_pattern(source->file[parent].path, what->value.at, what->value.length);
    if (!pattern)
        return false;
    glob_t found = {0};
    bool ok = true;
    int result = depth == SOURCE_DEPTH_MAX ? 0 : glob(pattern, GLOB_BRACE, NULL, &found);
    if (depth == SOURCE_DEPTH_MAX)
        ok = include_one(
            source, parent, line, pattern, "files include each other too deep (10 at most); is it a loop?", true);
    else if (result == GLOB_NOMATCH)
        ok = strpbrk(pattern, "*?[{") ||
             include_one(source, parent, line, pattern, "there is no such file: ignored", false);
    else if (result != 0)
        ok = include_one(source, parent, line, pattern, "it can't be searched for", true);
    for (size_t i = 0; ok && result == 0 && i < found.gl_pathc; i++)
        ok = read_file(source, found.gl_pathv[i], parent, line, depth + 1);
    globfree(&found);
    free(pattern);
    return ok;
}

/* A relative name is looked for beside the file that says it. malloc'd. */
static char *path_beside(const char *sayer, struct piece name) {
    const char *slash = strrchr(sayer, '/');
    size_t directory = name.at[0] == '/' || !slash ? 0 : (size_t)(slash - sayer) + 1;
    char *out = malloc(directory + name.length + 1);
    if (!out)
        return NULL;
    memcpy(out, sayer, directory);
    memcpy(out + directory, name.at, name.length);
    out[directory + name.length] = '\0';
    return out;
}

/* What a setting names is read too, since who parses may not read it. */
static bool take_named(struct config_source *source, uint32_t parent, const struct statement *what) {
    int side;
    bool bare, is_private;
    const struct keyword *keyword = keyword_find(what->key, &side, &bare);
    if (!keyword || !what->value.at || what->value.length == 0)
        return true;
    is_private = keyword->read == read_private_pem;
    if (!is_private && keyword->read != read_pem)
        return true;
    char *path = path_beside(source->file[parent].path, what->value);
    if (!path)
        return false;
    const char *problem = NULL;
    char sentence[300] = "",
         *text = file_read(path, SOURCE_OCTETS_MAX - source->octets, is_private ? file_check_private : NULL, &problem);
    if (!text)
        snprintf(sentence, sizeof sentence, "can't read %.150s: %s", path, problem);
    bool ok = source_add(source, path, text, text ? NULL : sentence, true, parent, (uint32_t)what->line);
    if (ok)
        source->file[source->files - 1].named = true;
    if (text)
        wipe(text, strlen(text));
    free(text);
    free(path);
    return ok;
}

/* False: no memory, or no room for more files (the last one says so). */
static bool read_file(struct config_source *source, const char *path, uint32_t parent, uint32_t line, int depth) {
    if (source->files == SOURCE_FILES_MAX - 1) {
        (void)include_one(source, parent, line, path, "too many files are included (256 at most)", true);
        return false;
    }
    const char *problem = NULL;
    char *text = file_read(path, SOURCE_OCTETS_MAX - source->octets, NULL, &problem);
    char sentence[300] = "";
    if (!text)
        snprintf(sentence, sizeof sentence, "can't read %.150s: %s", path, problem);
    uint32_t self = (uint32_t)source->files;
    bool ok = source_add(source, path, text, text ? NULL : sentence, true, parent, line);
    struct line_reader reader = {.at = text ? text : ""};
    struct statement statement;
    while (ok && statement_next(&reader, &statement))
        if (statement.kind == STATEMENT_INCLUDE)
            ok = include(source, self, &statement, depth);
        else if (statement.kind == STATEMENT_SETTING)
            ok = take_named(source, self, &statement);
    free(text);
    return ok;
}

struct config_source *config_source_read(const char *path) {
    struct config_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    if (!read_file(source, path, 0, 0, 0) && source->files < SOURCE_FILES_MAX) {
        config_source_free(source);
        return NULL;
    }
    return source;
}

struct config_source *config_source_from_text(const char *name, const char *text) {
    struct config_source *source = calloc(1, sizeof *source);
    if (source && !source_add(source, name, text, NULL, false, 0, 0)) {
        config_source_free(source);
        return NULL;
    }
    return source;
}

void config_source_free(struct config_source *source) {
    if (!source)
        return;
    for (size_t i = 0; i < source->files; i++) {
        if (source->file[i].text && source->file[i].named)
            wipe(source->file[i].text, strlen(source->file[i].text));
        free(source->file[i].path);
        free(source->file[i].text);
        free(source->file[i].problem);
    }
    free(source->file);
    free(source);
}
