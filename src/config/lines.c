/* lines.c: the lines of ipsec.conf: what begins a section stands in the first column, what belongs to one is indented.
 * ipsec.conf(5) of Libreswan 4.10 is the rule; nothing continues on the next line. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct line {
    const char *start, *at, *end;
};

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static void skip_blanks(struct line *line) {
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
}

static bool line_over(const struct line *line) {
    return line->at == line->end || *line->at == '#';
}

static int column_of(const struct line *line) {
    return (int)(line->at - line->start) + 1;
}

static struct piece take_word(struct line *line) {
    struct piece word = {line->at, 0};
    while (line->at < line->end && !is_blank(*line->at) && *line->at != '=' && *line->at != '"')
        line->at++;
    word.length = (size_t)(line->at - word.at);
    return word;
}

bool piece_is(struct piece piece, const char *word) {
    return piece.length == strlen(word) && strncasecmp(piece.at, word, piece.length) == 0;
}

static void bad(struct statement *out, int column, const char *problem, struct piece about) {
    out->kind = STATEMENT_BAD;
    out->column = column;
    int length = about.length < 60 ? (int)about.length : 60;
    snprintf(out->problem, sizeof out->problem, "%s%.*s%s", about.length ? "'" : "", length, about.at ? about.at : "",
        about.length ? "'" : "");
    size_t used = strlen(out->problem);
    snprintf(out->problem + used, sizeof out->problem - used, "%s%s", used ? " " : "", problem);
}

/* "quoted", {braced} (where `braces` mean that) or a word without blanks; then nothing but a comment. */
static bool take_value(struct line *line, bool braces, struct statement *out) {
    skip_blanks(line);
    out->value = (struct piece){NULL, 0};
    out->value_column = column_of(line);
    if (line_over(line))
        return true;
    char close = *line->at == '"' ? '"' : *line->at == '{' && braces ? '}' : '\0';
    if (close) {
        line->at++;
        out->value_column++;
        const char *end = memchr(line->at, close, (size_t)(line->end - line->at));
        if (!end) {
            bad(out, out->value_column - 1,
                close == '"' ? "the closing double quote is missing on this line"
                             : "the closing } is missing on this line",
                (struct piece){NULL, 0});
            return false;
        }
        out->value = (struct piece){line->at, (size_t)(end - line->at)};
        line->at = end + 1;
    } else {
        out->value.at = line->at;
        while (line->at < line->end && !is_blank(*line->at))
            line->at++;
        out->value.length = (size_t)(line->at - out->value.at);
    }
    skip_blanks(line);
    if (line_over(line))
        return true;
    struct piece rest = {line->at, (size_t)(line->end - line->at)};
    bad(out, column_of(line), "is too much: one value a line, in double quotes if it contains blanks", rest);
    return false;
}

static void read_header(struct line *line, struct statement *out) {
    struct piece word = take_word(line);
    if (piece_is(word, "version")) {
        out->kind = STATEMENT_VERSION;
    } else if (piece_is(word, "conn") || piece_is(word, "include")) {
        bool conn = piece_is(word, "conn");
        if (!take_value(line, false, out))
            return;
        out->kind = conn ? STATEMENT_CONN : STATEMENT_INCLUDE;
        if (out->value.length == 0)
            bad(out, out->value_column, conn ? "needs a name: 'conn NAME'" : "needs a file: 'include FILE'", word);
    } else if (piece_is(word, "config")) {
        skip_blanks(line);
        int column = column_of(line);
        bool setup = piece_is(take_word(line), "setup");
        skip_blanks(line);
        out->kind = STATEMENT_SETUP;
        if (!setup || !line_over(line))
            bad(out, column, "is followed by 'setup' and nothing else", word);
    } else if (memchr(line->at, '=', (size_t)(line->end - line->at)) && word.length) {
        bad(out, out->column, "must be indented: only 'config setup', 'conn' and 'include' begin in the first column",
            word);
    } else {
        bad(out, out->column, "begins no section: 'config setup', 'conn NAME' or 'include FILE' do",
            word.length ? word : (struct piece){line->at, 1});
    }
}

/* False: a comment (x-anything=...), passed over. */
static bool read_setting(struct line *line, struct statement *out) {
    out->key = take_word(line);
    if (out->key.length > 1 && (*out->key.at == 'x' || *out->key.at == 'X') &&
        (out->key.at[1] == '-' || out->key.at[1] == '_'))
        return false;
    out->kind = STATEMENT_SETTING;
    skip_blanks(line);
    if (out->key.length == 0) {
        bad(out, out->column, "a line of a section is 'keyword=value'", (struct piece){NULL, 0});
    } else if (line->at < line->end && *line->at == '=') {
        line->at++;
        take_value(line, true, out);
    } else if (piece_is(out->key, "conn") || piece_is(out->key, "config") || piece_is(out->key, "include")) {
        bad(out, out->column, "must begin in the first column", out->key);
    } else {
        bad(out, column_of(line), "needs an equals sign after it: 'keyword=value'", out->key);
    }
    return true;
}

bool statement_next(struct line_reader *reader, struct statement *out) {
    while (*reader->at) {
        const char *newline = strchr(reader->at, '\n');
        struct line line = {.start = reader->at, .at = reader->at};
        line.end = newline ? newline : reader->at + strlen(reader->at);
        reader->at = newline ? newline + 1 : line.end;
        int number = ++reader->line;
        if (line.end > line.start && line.end[-1] == '\r')
            line.end--;
        skip_blanks(&line);
        if (line_over(&line))
            continue;
        *out = (struct statement){.line = number, .column = column_of(&line)};
        if (line.at == line.start) {
            read_header(&line, out);
            return true;
        }
        if (read_setting(&line, out))
            return true;
    }
    return false;
}
