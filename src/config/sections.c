/* sections.c: statements into sections, each setting with its keyword; also= and %default. */
#include "config/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const struct config_source *source;
    struct sections *sections;
    struct diagnostics *diagnostics;
    uint32_t file; /* where we are */
    size_t current; /* section + 1; 0: none */
};

static char *copy_piece(struct piece piece) {
    return strndup(piece.length ? piece.at : "", piece.length);
}

const struct section *section_find(const struct sections *sections, const char *name, size_t length) {
    for (size_t i = 0; i < sections->count; i++) {
        const struct section *section = &sections->list[i];
        if (section->name && !section->is_default && strlen(section->name) == length &&
            memcmp(section->name, name, length) == 0)
            return section;
    }
    return NULL;
}

static const char *name_problem(struct piece name) {
    if (name.length >= sizeof((struct config_connection *)0)->name)
        return "the name of a conn is at most 63 octets long";
    for (size_t i = 0; i < name.length; i++)
        if (isspace((unsigned char)name.at[i]) || iscntrl((unsigned char)name.at[i]))
            return "the name of a conn contains no blanks";
    return name.at[0] == '%' ? "only %default begins with %" : NULL;
}

/* The same %default or config setup may come several times; a conn may not. */
static void begin_section(struct walk *walk, const struct statement *what, struct place place) {
    struct sections *sections = walk->sections;
    bool setup = what->kind == STATEMENT_SETUP;
    bool is_default = !setup && piece_is(what->value, "%default");
    walk->current = 0;
    for (size_t i = 0; (setup || is_default) && i < sections->count; i++)
        if (setup ? !sections->list[i].name : sections->list[i].is_default)
            walk->current = i + 1;
    if (walk->current)
        return;
    struct place name_place = place;
    name_place.column = what->value_column;
    const char *problem = setup || is_default ? NULL : name_problem(what->value);
    const struct section *old = setup || is_default ? NULL : section_find(sections, what->value.at, what->value.length);
    if (problem)
        complain(walk->diagnostics, name_place, "%s", problem);
    else if (old)
        complain(walk->diagnostics, name_place, "conn %s is there already, at %s:%d; give one of them another name",
            old->name, old->place.file, old->place.line);
    if (sections->count == SECTIONS_MAX) {
        complain(walk->diagnostics, place, "more than %zu sections", SECTIONS_MAX);
        return;
    }
    struct section *grown = realloc(sections->list, (sections->count + 1) * sizeof *grown);
    char *name = setup ? NULL : copy_piece(what->value);
    if (grown)
        sections->list = grown;
    if (!grown || (!setup && !name)) {
        sections->no_memory = true;
        free(name);
        return;
    }
    grown[sections->count++] = (struct section){.name = name, .place = place, .is_default = is_default};
    walk->current = sections->count;
}

static void add_setting(struct walk *walk, struct section *section, const struct setting *one, struct piece value) {
    struct setting *grown = realloc(section->setting, (section->settings + 1) * sizeof *grown);
    if (grown)
        section->setting = grown;
    char *copy = grown ? copy_piece(value) : NULL;
    if (!copy) {
        walk->sections->no_memory = true;
        return;
    }
    grown[section->settings] = *one;
    grown[section->settings++].value = copy;
}

static bool is_harmless(const struct keyword *keyword, struct piece value) {
    char word[40] = " ";
    if (!keyword->harmless || value.length == 0 || value.length > sizeof word - 3)
        return false;
    for (size_t i = 0; i < value.length; i++)
        word[i + 1] = (char)tolower((unsigned char)value.at[i]);
    word[value.length + 1] = ' ';
    return strstr(keyword->harmless, word) != NULL;
}

static void say_unknown(struct walk *walk, const struct section *section, struct piece key, struct place place) {
    char near[64];
    int shown = key.length < 60 ? (int)key.length : 60;
    const char *guess = keyword_nearest(key, section->name ? SCOPE_CONN | SCOPE_END : SCOPE_SETUP, near);
    if (guess)
        complain(walk->diagnostics, place, "there is no option '%.*s'; did you mean '%s'?", shown, key.at, guess);
    else
        complain(walk->diagnostics, place, "there is no option '%.*s'; iketcp.conf(5) lists those of a %s", shown,
            key.at, section->name ? "conn" : "config setup");
}

/* NULL: complained, or nothing to be kept. */
static const struct keyword *recognize(
    struct walk *walk, const struct section *section, const struct statement *what, struct place place, int *side) {
    bool bare;
    struct piece key = what->key;
    int shown = (int)key.length; /* known names are short */
    const struct keyword *keyword = keyword_find(key, side, &bare);
    if (!keyword) {
        say_unknown(walk, section, key, place);
        return NULL;
    }
    if ((keyword->scope == SCOPE_SETUP) != !section->name) {
        complain(walk->diagnostics, place, "'%.*s' belongs into %s", shown, key.at,
            section->name ? "config setup" : "a conn");
        return NULL;
    }
    if (!what->value.at) {
        warn_at(walk->diagnostics, place, "'%.*s' has no value: ignored", shown, key.at);
        return NULL;
    }
    if (bare)
        warn_at(walk->diagnostics, place, "'%.*s' without left or right is taken as 'right%.*s', as Libreswan does",
            shown, key.at, shown, key.at);
    if (keyword->read)
        return keyword;
    if (is_harmless(keyword, what->value))
        return NULL;
    if (keyword->refused)
        complain(walk->diagnostics, place,
            "'%.*s' is a Libreswan option that iketcp does not do yet, and ignoring it is no good: %s", shown, key.at,
            keyword->refused);
    else if (keyword->ours)
        warn_at(walk->diagnostics, place, "'%.*s' is not done yet: ignored", shown, key.at);
    else
        warn_at(walk->diagnostics, place, "'%.*s' is a Libreswan option that iketcp does not do yet: ignored", shown,
            key.at);
    return NULL;
}

/* The file that a setting on this line names. */
static const struct source_file *named_at(const struct walk *walk, int line) {
    for (uint32_t i = walk->file + 1; i < walk->source->files; i++) {
        const struct source_file *file = &walk->source->file[i];
        if (file->named && file->parent == walk->file && file->line == (uint32_t)line)
            return file;
    }
    return NULL;
}

static void take_setting(struct walk *walk, const struct statement *what, struct place place) {
    if (!walk->current) {
        complain(walk->diagnostics, place,
            "an indented line belongs to a section; write 'config setup' or 'conn NAME' in the first column before it");
        return;
    }
    struct section *section = &walk->sections->list[walk->current - 1];
    struct setting one = {.key_place = place, .value_place = place};
    one.value_place.column = what->value_column;
    one.keyword = recognize(walk, section, what, place, &one.side);
    if (!one.keyword)
        return;
    if (one.keyword->read == read_pem || one.keyword->read == read_private_pem)
        one.named = named_at(walk, what->line);
    if (one.keyword->read == read_also && section->is_default)
        complain(walk->diagnostics, place, "also= is not for conn %%default; write it into the conns themselves");
    else
        add_setting(walk, section, &one, what->value);
}

static void walk_file(struct walk *, uint32_t file);

static void walk_includes(struct walk *walk, uint32_t file, const struct statement *what, struct place place) {
    uint32_t line = (uint32_t)what->line;
    place.column = what->value_column;
    for (uint32_t i = file + 1; i < walk->source->files; i++) {
        const struct source_file *child = &walk->source->file[i];
        if (child->parent != file || child->line != line || child->named)
            continue;
        if (child->text)
            walk_file(walk, i);
        else if (child->serious)
            complain(walk->diagnostics, place, "%s", child->problem);
        else
            warn_at(walk->diagnostics, place, "%s", child->problem);
    }
    walk->file = file;
    walk->current = 0;
}

/* Goes deeper only into files that come later in the list, so it ends. */
static void walk_file(struct walk *walk, uint32_t file) {
    const struct source_file *self = &walk->source->file[file];
    struct line_reader reader = {.at = self->text};
    struct statement what;
    walk->file = file;
    walk->current = 0;
    while (!walk->sections->no_memory && statement_next(&reader, &what)) {
        struct place place = {self->path, what.line, what.column};
        switch (what.kind) {
        case STATEMENT_VERSION:
            break;
        case STATEMENT_BAD:
            complain(walk->diagnostics, place, "%s", what.problem);
            break;
        case STATEMENT_SETUP:
        case STATEMENT_CONN:
            begin_section(walk, &what, place);
            break;
        case STATEMENT_INCLUDE:
            walk_includes(walk, file, &what, place);
            break;
        case STATEMENT_SETTING:
            take_setting(walk, &what, place);
            break;
        }
    }
}

void sections_read(const struct config_source *source, struct sections *sections, struct diagnostics *diagnostics) {
    *sections = (struct sections){0};
    struct walk walk = {.source = source, .sections = sections, .diagnostics = diagnostics};
    const struct source_file *main_file = &source->file[0];
    if (main_file->text)
        walk_file(&walk, 0);
    else
        complain(diagnostics, (struct place){main_file->path, 1, 1}, "%s", main_file->problem);
}

void sections_free(struct sections *sections) {
    for (size_t i = 0; i < sections->count; i++) {
        for (size_t j = 0; j < sections->list[i].settings; j++)
            free(sections->list[i].setting[j].value);
        free(sections->list[i].setting);
        free(sections->list[i].name);
    }
    free(sections->list);
    *sections = (struct sections){0};
}
