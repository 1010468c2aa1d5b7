/* diagnostics.c: what is wrong with a configuration, with its place; a bounded list of values. */
#include "config/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool said_already(const struct diagnostics *list, const struct diagnostic *one) {
    for (size_t i = 0; i < list->count; i++) {
        const struct diagnostic *old = &list->list[i];
        if (old->line == one->line && old->column == one->column && strcmp(old->text, one->text) == 0 &&
            strcmp(old->file, one->file) == 0)
            return true;
    }
    return false;
}

/* Octets that a terminal would act on do not belong into a sentence. */
static void make_printable(char *text) {
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

static void append(struct diagnostics *list, struct diagnostic *one) {
    if (list->count == DIAGNOSTICS_MAX - 1)
        snprintf(one->text, sizeof one->text, "more is wrong than these %zu lines say", DIAGNOSTICS_MAX);
    struct diagnostic *grown = realloc(list->list, (list->count + 1) * sizeof *grown);
    if (!grown)
        return; /* counted all the same: an error is never lost */
    list->list = grown;
    one->file = strdup(one->file);
    if (one->file)
        list->list[list->count++] = *one;
}

static void add(struct diagnostics *list, struct diagnostic *one, struct place place) {
    one->file = (char *)(uintptr_t)place.file;
    one->line = place.line;
    one->column = place.column;
    make_printable(one->text);
    if (said_already(list, one))
        return;
    list->errors += one->is_error;
    if (list->count < DIAGNOSTICS_MAX)
        append(list, one);
}

void complain(struct diagnostics *list, struct place place, const char *format, ...) {
    struct diagnostic one = {.is_error = true};
    va_list values;
    if (!list)
        return;
    va_start(values, format);
    vsnprintf(one.text, sizeof one.text, format, values);
    va_end(values);
    add(list, &one, place);
}

void warn_at(struct diagnostics *list, struct place place, const char *format, ...) {
    struct diagnostic one = {.is_error = false};
    va_list values;
    if (!list)
        return;
    va_start(values, format);
    vsnprintf(one.text, sizeof one.text, format, values);
    va_end(values);
    add(list, &one, place);
}

static size_t rank_of(const struct config_source *source, const struct diagnostic *one) {
    size_t rank = 0;
    while (rank < source->files && strcmp(source->file[rank].path, one->file) != 0)
        rank++;
    return rank;
}

static bool comes_after(const struct config_source *source, const struct diagnostic *a, const struct diagnostic *b) {
    size_t rank_a = rank_of(source, a), rank_b = rank_of(source, b);
    if (rank_a != rank_b)
        return rank_a > rank_b;
    return a->line != b->line ? a->line > b->line : a->column > b->column;
}

/* By insertion: equal ones stay in order, and most are in order already. */
void diagnostics_sort(struct diagnostics *list, const struct config_source *source) {
    for (size_t i = 1; i < list->count; i++) {
        struct diagnostic one = list->list[i];
        size_t at = i;
        for (; at > 0 && comes_after(source, &list->list[at - 1], &one); at--)
            list->list[at] = list->list[at - 1];
        list->list[at] = one;
    }
}

void diagnostics_free(struct diagnostics *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->list[i].file);
    free(list->list);
    *list = (struct diagnostics){0};
}

void diagnostic_text(const struct diagnostic *one, char *out, size_t size) {
    snprintf(
        out, size, "%s:%d:%d: %s%s", one->file, one->line, one->column, one->is_error ? "" : "warning: ", one->text);
}
