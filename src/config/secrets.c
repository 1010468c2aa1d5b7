/* secrets.c: the text of ipsec.secrets into pre-shared keys. A record begins in the first column and goes on on indented
 * lines: `id id : PSK "..."`. No sentence of these diagnostics ever quotes what might be a secret. */
#include "config/internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define IDS_MAX ((size_t)64) /* of one record */
#define SECRETS_MAX ((size_t)65536)
#define PSK_WEAK 8 /* octets; Libreswan's */

struct lexer {
    const char *at, *line_start;
    int line;
    bool record; /* the token is the first of a record */
    char quote; /* the token was quoted with it, else 0 */
    struct piece token;
};
struct parser {
    struct lexer lexer;
    struct secrets *secrets;
    const char *path;
    int depth;
    struct diagnostics *diagnostics;
    void (*include)(struct secrets *, struct place, const char *, int, struct diagnostics *);
};

/* To the next character that may begin a token; false at the end. */
static bool skip_space(struct lexer *l) {
    for (; *l->at; l->at++) {
        if (*l->at == '#')
            l->at += strcspn(l->at, "\n");
        if (!*l->at)
            return false;
        if (*l->at == '\n') {
            l->line++;
            l->line_start = l->at + 1;
        } else if (!isspace((unsigned char)*l->at)) {
            return true;
        }
    }
    return false;
}

/* False: end of the text. An unterminated quote gives a token with length 0 and quote '?'. */
static bool next_token(struct lexer *l) {
    l->record = false;
    if (!skip_space(l))
        return false;
    l->record = l->at == l->line_start;
    l->quote = *l->at == '"' || *l->at == '\'' ? *l->at : '\0';
    size_t rest = strcspn(l->at, "\n");
    if (l->quote) {
        const char *close = memchr(l->at + 1, l->quote, rest - 1);
        l->token = close ? (struct piece){l->at + 1, (size_t)(close - l->at - 1)} : (struct piece){l->at, 0};
        l->quote = close ? l->quote : '?';
        l->at = close ? close + 1 : l->at + rest;
        return true;
    }
    size_t length = strcspn(l->at, " \t\r\n\f\v");
    if (strncmp(l->at, "0t", 2) == 0) { /* text to the end of the line */
        length = rest;
        while (length && isspace((unsigned char)l->at[length - 1]))
            length--;
    }
    if (length > 1 && l->at[length - 1] == ':' && strncmp(l->at, "0t", 2) != 0)
        length--;
    l->token = (struct piece){l->at, length};
    l->at += length;
    return true;
}

static struct place here(const struct parser *p) {
    int column = (int)(p->lexer.token.at - p->lexer.line_start) + 1;
    return (struct place){p->path, p->lexer.line, column - (p->lexer.quote && p->lexer.quote != '?')};
}

/* Moves to the first token of the next record; false at the end of the text. */
static bool next_record(struct parser *p) {
    while (next_token(&p->lexer))
        if (p->lexer.record)
            return true;
    return false;
}

static int digit_of(char c, const char *digits) {
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

static const char *decode_hex(struct piece text, uint8_t *out, size_t *length) {
    bool high = true;
    *length = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.at[i] == '_') /* Libreswan lets people group digits */
            continue;
        int digit = digit_of((char)tolower((unsigned char)text.at[i]), "0123456789abcdef");
        if (digit < 0)
            return "after 0x come hex digits";
        out[*length] = high ? (uint8_t)(digit << 4) : (uint8_t)(out[*length] | digit);
        *length += !high;
        high = !high;
    }
    return high ? NULL : "after 0x comes an even number of hex digits";
}

static const char *decode_base64(struct piece text, uint8_t *out, size_t *length) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t held = 0, count = 0, end = text.length;
    *length = 0;
    while (end && text.at[end - 1] == '=' && text.length - end < 2)
        end--;
    for (; count < end; count++) {
        int digit = digit_of(text.at[count], digits);
        if (digit < 0)
            return "after 0s comes base64";
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        out[(*length)++] = (uint8_t)(bits >> held);
    }
    wipe(&bits, sizeof bits);
    bool padded = text.length != end;
    return count % 4 == 1 || (padded && text.length % 4 != 0) ? "after 0s comes base64, in whole groups of four" : NULL;
}

/* The key of the current token into `secret`; a sentence or NULL. */
static const char *take_key(const struct lexer *l, struct secret *secret) {
    struct piece text = l->token;
    if (l->quote == '?')
        return "the closing quote is missing on this line";
    secret->psk = malloc(text.length + 1);
    if (!secret->psk)
        return "no memory";
    const char *problem = NULL;
    char prefix = !l->quote && text.length > 1 && text.at[0] == '0' ? text.at[1] : '\0';
    struct piece rest = prefix ? (struct piece){text.at + 2, text.length - 2} : text;
    if (l->quote || prefix == 't') {
        memcpy(secret->psk, rest.at, rest.length);
        secret->length = rest.length;
    } else if (prefix == 'x') {
        problem = decode_hex(rest, secret->psk, &secret->length);
    } else if (prefix == 's') {
        problem = decode_base64(rest, secret->psk, &secret->length);
    } else {
        problem = "a key stands in double quotes, or begins with 0x (hex), 0s (base64) or 0t (text)";
    }
    return problem ? problem : secret->length == 0 ? "the key is empty" : NULL;
}

static void drop_secret(struct secret *secret) {
    if (secret->psk) {
        wipe(secret->psk, secret->length);
        free(secret->psk);
    }
    free(secret->id);
    *secret = (struct secret){0};
}

static bool has_id(const struct secret *secret, const struct identity *id) {
    for (size_t i = 0; i < secret->ids; i++)
        if (identity_matches(&secret->id[i], id))
            return true;
    return false;
}

static bool same_ids(const struct secret *a, const struct secret *b) {
    if (a->any != b->any)
        return false;
    for (size_t i = 0; i < a->ids; i++)
        if (!has_id(b, &a->id[i]))
            return false;
    for (size_t i = 0; i < b->ids; i++)
        if (!has_id(a, &b->id[i]))
            return false;
    return true;
}

static void say_duplicate(struct parser *p, const struct secret *one) {
    for (size_t i = 0; i < p->secrets->count; i++) {
        const struct secret *old = &p->secrets->list[i];
        bool same_key = old->length == one->length &&
                        span_equal_secret(span_of(old->psk, old->length), span_of(one->psk, one->length));
        if (!same_key && same_ids(old, one)) {
            warn_at(p->diagnostics, one->place, "the same ids have another key at %s:%d already: that one is used",
                old->place.file, old->place.line);
            return;
        }
    }
}

static void keep_secret(struct parser *p, struct secret *one) {
    struct secrets *secrets = p->secrets;
    say_duplicate(p, one);
    struct secret *grown =
        secrets->count < SECRETS_MAX ? realloc(secrets->list, (secrets->count + 1) * sizeof *grown) : NULL;
    if (!grown) {
        complain(p->diagnostics, one->place, "no memory for this key, or too many of them");
        drop_secret(one);
        return;
    }
    secrets->list = grown;
    grown[secrets->count++] = *one;
    *one = (struct secret){0};
}

/* Behind the colon. True: the lexer stands at the next record already. */
static bool take_kind(struct parser *p, struct secret *secret) {
    static const char *const others[] = {
        "rsa", "ecdsa", "pubkey", "xauth", "ppks", "pin", "eap", "ntlm", "pkcs8", "pkcs12", "p12"};
    struct lexer *l = &p->lexer;
    struct place place = here(p);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (piece_is(l->token, others[i])) {
            warn_at(p->diagnostics, place, "only PSK is done yet: this entry is ignored");
            return false;
        }
    if (!piece_is(l->token, "psk")) {
        complain(p->diagnostics, place, "after the colon comes PSK");
        return false;
    }
    if (!next_token(l) || l->record) {
        complain(p->diagnostics, place, "after PSK comes the key, in double quotes");
        return l->record;
    }
    place = here(p);
    const char *problem = take_key(l, secret);
    if (problem) {
        complain(p->diagnostics, place, "%s", problem);
        return false;
    }
    if (secret->length < PSK_WEAK)
        warn_at(
            p->diagnostics, place, "a key of %zu octets can be guessed; take 16 random octets or more", secret->length);
    bool more = next_token(l);
    if (more && !l->record)
        complain(p->diagnostics, here(p), "the entry goes on after its key; the next one begins in the first column");
    else
        keep_secret(p, secret);
    return more && l->record;
}

static bool add_id(struct parser *p, struct secret *secret) {
    char text[IDENTITY_TEXT_MAX] = "";
    struct identity id;
    bool unset;
    if (p->lexer.token.length >= sizeof text) {
        complain(p->diagnostics, here(p), "this id is too long");
        return false;
    }
    memcpy(text, p->lexer.token.at, p->lexer.token.length);
    const char *problem = identity_parse(text, &id, &unset, NULL);
    if (problem) {
        complain(p->diagnostics, here(p), "this is no id: %s", problem);
        return false;
    }
    if (id.type == ID_NONE) {
        secret->any = true;
        return true;
    }
    struct identity *grown = secret->ids < IDS_MAX ? realloc(secret->id, (secret->ids + 1) * sizeof id) : NULL;
    if (!grown) {
        complain(p->diagnostics, here(p), "no memory for this id, or more than %zu of them", IDS_MAX);
        return false;
    }
    secret->id = grown;
    grown[secret->ids++] = id;
    return true;
}

static bool at_colon(const struct lexer *l) {
    return l->token.length == 1 && *l->token.at == ':' && !l->quote;
}

/* The ids up to the colon, at which the lexer stands then; false: there is none in this record. */
static bool take_ids(struct parser *p, struct secret *secret, bool *ok) {
    while (!at_colon(&p->lexer)) {
        *ok &= add_id(p, secret);
        if (!next_token(&p->lexer) || p->lexer.record)
            return false;
    }
    secret->any |= secret->ids == 0;
    return true;
}

/* The lexer stands at the first token of a record. True: it stands at the next one's when it comes back. */
static bool take_record(struct parser *p) {
    struct secret secret = {.place = here(p)};
    bool ok = true, ahead = false;
    if (!take_ids(p, &secret, &ok)) {
        complain(p->diagnostics, secret.place, "an entry is 'id id : PSK \"...\"'; the colon is missing");
        ahead = p->lexer.record;
    } else {
        struct place colon = here(p);
        if (!next_token(&p->lexer) || p->lexer.record) {
            complain(p->diagnostics, colon, "after the colon comes PSK");
            ahead = p->lexer.record;
        } else if (ok) {
            ahead = take_kind(p, &secret);
        }
    }
    drop_secret(&secret);
    return ahead;
}

static bool take_include(struct parser *p) {
    struct place place = here(p);
    bool more = next_token(&p->lexer);
    if (!more || p->lexer.record) {
        complain(p->diagnostics, place, "after include comes a file");
        return more;
    }
    char *pattern = include_pattern(p->path, p->lexer.token.at, p->lexer.token.length);
    if (pattern && p->include)
        p->include(p->secrets, here(p), pattern, p->depth + 1, p->diagnostics);
    free(pattern);
    return false;
}

void secrets_text(struct secrets *secrets, const char *path, const char *text, int depth,
    struct diagnostics *diagnostics,
    void (*include)(struct secrets *, struct place, const char *, int, struct diagnostics *)) {
    struct parser p = {.lexer = {.at = text, .line_start = text, .line = 1},
        .secrets = secrets,
        .path = path,
        .depth = depth,
        .diagnostics = diagnostics,
        .include = include};
    bool there = next_token(&p.lexer);
    if (there && !p.lexer.record) {
        complain(diagnostics, here(&p), "an entry begins in the first column; indented lines go on with one");
        there = next_record(&p);
    }
    while (there) {
        bool ahead = piece_is(p.lexer.token, "include") && !p.lexer.quote ? take_include(&p) : take_record(&p);
        there = ahead || next_record(&p);
    }
}

void secrets_free(struct secrets *secrets) {
    if (!secrets)
        return;
    for (size_t i = 0; i < secrets->count; i++)
        drop_secret(&secrets->list[i]);
    for (size_t i = 0; i < secrets->files; i++)
        free(secrets->file[i]);
    free(secrets->list);
    free(secrets);
}
