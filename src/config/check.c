/* check.c: what `iketcpd --check` looks at: both files, and whether each connection finds a key. */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

static void append_all(struct diagnostics *to, const struct diagnostics *from) {
    for (size_t i = 0; i < from->count; i++) {
        const struct diagnostic *one = &from->list[i];
        struct place place = {one->file, one->line, one->column};
        (one->is_error ? complain : warn_at)(to, place, "%s", one->text);
    }
}

static void check_keys(
    const struct config *config, const struct secrets *secrets, const char *path, struct diagnostics *out) {
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_connection *c = &config->connection[i];
        char left[IDENTITY_TEXT_MAX], right[IDENTITY_TEXT_MAX];
        struct span psk;
        if (c->left.id.type == ID_NONE || c->right.id.type == ID_NONE)
            continue; /* not known before somebody comes */
        if (!secrets_psk(secrets, &c->left.id, &c->right.id, &psk) &&
            !secrets_psk(secrets, &c->right.id, &c->left.id, &psk))
            warn_at(out, (struct place){path, 1, 1}, "there is no PSK for conn %s: '%s %s : PSK \"...\"' would be one",
                c->name, identity_text(&c->left.id, left), identity_text(&c->right.id, right));
    }
}

bool config_check(const char *config_path, const char *secrets_path, struct diagnostics *out) {
    struct config_source *source = config_source_read(config_path);
    struct diagnostics more = {0};
    *out = (struct diagnostics){0};
    if (!source) {
        complain(out, (struct place){config_path, 1, 1}, "no memory to read it");
        return false;
    }
    struct config *config = config_parse(source, out);
    struct secrets *secrets = secrets_read(secrets_path, &more);
    append_all(out, &more);
    if (config && secrets)
        check_keys(config, secrets, secrets_path, out);
    bool ok = config && secrets;
    secrets_free(secrets);
    config_free(config);
    config_source_free(source);
    diagnostics_free(&more);
    return ok && out->errors == 0;
}
