/* nearest.c: "did you mean": the edit distance between what was written and what there is. */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static int lower(struct piece piece, size_t at) {
    return tolower((unsigned char)piece.at[at]);
}

size_t edit_distance(struct piece a, struct piece b) {
    if (a.length > WORD_MAX || b.length > WORD_MAX)
        return 1000;
    size_t row[3][WORD_MAX + 1]; /* the one before last, the last, this one */
    for (size_t j = 0; j <= b.length; j++)
        row[1][j] = j;
    memset(row[0], 0, sizeof row[0]);
    for (size_t i = 1; i <= a.length; i++) {
        row[2][0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            size_t other = lower(a, i - 1) != lower(b, j - 1);
            size_t best = least(least(row[1][j] + 1, row[2][j - 1] + 1), row[1][j - 1] + other);
            if (i > 1 && j > 1 && lower(a, i - 1) == lower(b, j - 2) && lower(a, i - 2) == lower(b, j - 1))
                best = least(best, row[0][j - 2] + 1);
            row[2][j] = best;
        }
        memcpy(row[0], row[1], sizeof row[0]);
        memcpy(row[1], row[2], sizeof row[1]);
    }
    return row[1][b.length];
}

static void consider(struct piece name, const char *candidate, size_t *best, char out[64]) {
    size_t distance = edit_distance(name, (struct piece){candidate, strlen(candidate)});
    if (distance >= *best)
        return;
    *best = distance;
    snprintf(out, 64, "%s", candidate);
}

static void consider_table(
    struct piece name, const struct keyword *table, size_t count, unsigned scope, size_t *best, char out[64]) {
    for (size_t i = 0; i < count; i++) {
        if (!(table[i].scope & scope))
            continue;
        char candidate[64];
        bool end = table[i].scope == SCOPE_END;
        snprintf(candidate, sizeof candidate, "%s%s", end ? "left" : "", table[i].name);
        consider(name, candidate, best, out);
        snprintf(candidate, sizeof candidate, "%s%s", end ? "right" : "", table[i].name);
        consider(name, candidate, best, out);
    }
}

const char *keyword_nearest(struct piece name, unsigned scope, char out[64]) {
    size_t best = name.length < 6 ? 3 : name.length / 3 + 2; /* farther is no help */
    size_t begin = best;
    consider_table(name, keywords_done, keywords_done_count, scope, &best, out);
    consider_table(name, keywords_known, keywords_known_count, scope, &best, out);
    return best < begin ? out : NULL;
}

const char *algorithm_nearest(struct piece name) {
    size_t best = name.length / 3 + 2;
    const char *found = NULL;
    for (size_t i = 0; algorithm_at(i); i++) {
        const struct algorithm *one = algorithm_at(i);
        if (one->kind == ALGORITHM_WEAK || one->kind == ALGORITHM_MISSING)
            continue;
        size_t distance = edit_distance(name, (struct piece){one->name, strlen(one->name)});
        if (distance >= best)
            continue;
        best = distance;
        found = one->name;
    }
    return found;
}
