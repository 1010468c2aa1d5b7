/* also.c: what a conn says in the end: its own settings, those of the sections it names by also=, and %default's. */
#include "config/internal.h"

#include <string.h>

enum { WHITE, GREY, BLACK };

/* Depth first over also=; `chain` is bounded by ALSO_MAX. A grey section that is met again closes a loop. */
static void visit(struct sections *sections, struct section *section, size_t depth, struct diagnostics *diagnostics) {
    section->colour = GREY;
    for (size_t i = 0; i < section->settings; i++) {
        const struct setting *setting = &section->setting[i];
        if (setting->keyword->read != read_also)
            continue;
        size_t at = 0;
        struct piece name;
        while (piece_next(setting->value, &at, " \t", &name)) {
            if (name.length == 0)
                continue;
            struct place place = place_in(setting, (size_t)(name.at - setting->value));
            struct section *other = (struct section *)(uintptr_t)section_find(sections, name.at, name.length);
            int shown = name.length < 64 ? (int)name.length : 64;
            if (!other)
                complain(diagnostics, place, "there is no conn '%.*s' that also= could mean", shown, name.at);
            else if (other->colour == GREY)
                complain(
                    diagnostics, place, "also=%.*s comes back to a conn that it began with: a loop", shown, name.at);
            else if (depth == ALSO_MAX)
                complain(diagnostics, place, "also= goes more than %zu sections deep", ALSO_MAX);
            else if (other->colour == WHITE)
                visit(sections, other, depth + 1, diagnostics);
        }
    }
    section->colour = BLACK;
}

void also_check(struct sections *sections, struct diagnostics *diagnostics) {
    for (size_t i = 0; i < sections->count; i++)
        if (sections->list[i].colour == WHITE)
            visit(sections, &sections->list[i], 0, diagnostics);
}

static void say_twice(
    const struct section *conn, const struct setting *old, const struct setting *one, struct diagnostics *diagnostics) {
    static const char *const sides[] = {"left", "right"};
    const char *side = one->keyword->scope == SCOPE_END ? sides[one->side] : "";
    const char *name = one->keyword->name;
    if (strcmp(old->value, one->value) == 0)
        warn_at(diagnostics, one->key_place, "'%s%s' is in conn %s twice, the first time at %s:%d", side, name,
            conn->name, old->key_place.file, old->key_place.line);
    else
        complain(diagnostics, one->key_place,
            "'%s%s' is in conn %s already, with another value at %s:%d; only those of %%default may be overridden",
            side, name, conn->name, old->key_place.file, old->key_place.line);
}

static void choose_from(const struct section *conn, const struct section *from, struct chosen *chosen, bool weak,
    struct diagnostics *diagnostics) {
    for (size_t i = 0; i < from->settings; i++) {
        const struct setting *one = &from->setting[i];
        const struct setting **slot = &chosen->setting[keyword_index(one->keyword)][one->side];
        if (one->keyword->repeats && one->keyword->scope == SCOPE_END) {
            if (chosen->mores[one->side] < CONFIG_SUBNETS_MAX)
                chosen->more[one->side][chosen->mores[one->side]++] = one;
            else
                complain(diagnostics, one->key_place, "at most %d lines of subnets", CONFIG_SUBNETS_MAX);
            *slot = one;
        } else if (one->keyword->repeats || weak || !*slot) {
            *slot = one;
        } else {
            say_twice(conn, *slot, one, diagnostics);
        }
    }
}

/* Puts the sections named by `section` behind the others in `queue`, each once. */
static void enqueue(const struct sections *sections, const struct section *section, const struct section **queue,
    size_t *count, struct diagnostics *diagnostics) {
    for (size_t i = 0; i < section->settings; i++) {
        const struct setting *setting = &section->setting[i];
        size_t at = 0;
        struct piece name;
        while (setting->keyword->read == read_also && piece_next(setting->value, &at, " \t", &name)) {
            const struct section *other = section_find(sections, name.at, name.length);
            bool there = !other;
            for (size_t j = 0; j < *count; j++)
                there |= queue[j] == other;
            if (there)
                continue;
            if (*count == ALSO_MAX)
                complain(diagnostics, setting->key_place, "a conn takes at most %zu sections by also=", ALSO_MAX);
            else
                queue[(*count)++] = other;
        }
    }
}

void settings_choose(const struct sections *sections, const struct section *conn, struct chosen *chosen,
    struct diagnostics *diagnostics) {
    *chosen = (struct chosen){0};
    struct chosen defaults = {0};
    for (size_t i = 0; i < sections->count; i++)
        if (sections->list[i].is_default)
            choose_from(conn, &sections->list[i], &defaults, true, diagnostics);
    const struct section *queue[ALSO_MAX] = {conn};
    size_t count = 1;
    for (size_t i = 0; i < count; i++) {
        choose_from(conn, queue[i], chosen, false, diagnostics);
        enqueue(sections, queue[i], queue, &count, diagnostics);
    }
    for (size_t i = 0; i < keywords_done_count; i++)
        for (int side = 0; side < 2; side++)
            if (!chosen->setting[i][side])
                chosen->setting[i][side] = defaults.setting[i][side];
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < defaults.mores[side] && chosen->mores[side] < CONFIG_SUBNETS_MAX; i++)
            chosen->more[side][chosen->mores[side]++] = defaults.more[side][i];
}

const struct setting *chosen_by_name(const struct chosen *chosen, const char *name, int side) {
    for (size_t i = 0; i < keywords_done_count; i++)
        if (strcmp(keywords_done[i].name, name) == 0)
            return chosen->setting[i][side];
    return NULL;
}
