/* names.c: names of connections that outlive every configuration (peer/ and ike/ keep pointers to them), and the distance
 * between a name that was typed and one that exists. */
#include "daemon/engine/internal.h"

#include <stdlib.h>
#include <string.h>

const char *name_keep(struct name_list *names, const char *text) {
    struct name *name;
    SLIST_FOREACH(name, names, next) {
        if (strcmp(name->text, text) == 0)
            return name->text;
    }
    size_t length = strlen(text) + 1;
    name = malloc(sizeof *name + length);
    if (name == NULL)
        return "";
    memcpy(name->text, text, length);
    SLIST_INSERT_HEAD(names, name, next);
    return name->text;
}

void names_free(struct name_list *names) {
    while (!SLIST_EMPTY(names)) {
        struct name *name = SLIST_FIRST(names);
        SLIST_REMOVE_HEAD(names, next);
        free(name);
    }
}

static size_t least(size_t a, size_t b, size_t c) {
    size_t least_ab = a < b ? a : b;
    return least_ab < c ? least_ab : c;
}

size_t name_distance(const char *a, const char *b) {
    enum { MOST = 64 };
    size_t rows = strnlen(a, MOST), columns = strnlen(b, MOST);
    size_t row[MOST + 1];
    for (size_t j = 0; j <= columns; j++)
        row[j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= columns; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[columns];
}
