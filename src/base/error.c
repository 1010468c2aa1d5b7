/* error.c: errors are filled here; the sentence stays one line whatever a peer put into it. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control characters would break a log's lines or a terminal. */
static void store(struct error *err, const char *text) {
    size_t length = strnlen(text, sizeof err->text - 1);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        err->text[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
    }
    err->text[length] = 0;
}

bool fail_at(struct error *err, enum error_origin origin, uint16_t notify, const char *where, const char *format, ...) {
    char text[sizeof err->text]; /* an argument may be the old text */
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (written < 0)
        text[0] = 0;
    err->origin = origin;
    err->notify = notify;
    err->where = where;
    store(err, text);
    return false;
}

bool fail_context(struct error *err, const char *format, ...) {
    char text[sizeof err->text];
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (written < 0)
        return false;
    size_t used = strlen(text);
    size_t rest = strnlen(err->text, sizeof err->text - 1);
    if (rest > sizeof text - 1 - used)
        rest = sizeof text - 1 - used;
    memcpy(text + used, err->text, rest);
    text[used + rest] = 0;
    store(err, text);
    return false;
}
