/* clean.c: what the engine says is shown on a terminal that may be root's. The engine reads the network, so it may one day be
 * somebody else's: nothing that it says moves a cursor, renames a window or answers for who sits there. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* C0 but tab and newline, DEL, and C1, which UTF-8 writes as 0xc2 and an octet below 0xa0. */
static void clean_text(char *text) {
    for (unsigned char *at = (unsigned char *)text; *at != 0; at++) {
        if ((*at < 0x20 && *at != '\n' && *at != '\t') || *at == 0x7f)
            *at = '?';
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            at[0] = at[1] = '?';
    }
}

static void clean_string(json_t *string) {
    char *copy = strdup(json_string_value(string));
    if (copy == NULL) {
        (void)json_string_set(string, "");
        return;
    }
    clean_text(copy);
    (void)json_string_set_nocheck(string, copy); /* two octets for two: it is UTF-8 still */
    free(copy);
}

void json_clean(json_t *value) {
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_string(value))
        clean_string(value);
    json_object_foreach(value, key, member) json_clean(member);
    json_array_foreach(value, i, member) json_clean(member);
}
