/* check.c: does each connection find a key, and does this host have what the files name? For `iketcpd --check`. */
#include "config/internal.h"

#include <stdio.h>
#include <string.h>

void config_check_secrets(
    const struct config *config, const struct secrets *secrets, const char *path, struct diagnostics *diagnostics) {
    for (size_t i = 0; i < config->connections; i++) {
        const struct config_connection *c = &config->connection[i];
        const struct identity *left = &c->left.id, *right = &c->right.id;
        char left_text[IDENTITY_TEXT_MAX], right_text[IDENTITY_TEXT_MAX];
        struct span psk;
        if (left->type == ID_NONE || right->type == ID_NONE)
            continue; /* not known before somebody comes */
        if (!secrets_psk(secrets, left, right, &psk) && !secrets_psk(secrets, right, left, &psk))
            warn_at(diagnostics, (struct place){path, 1, 1},
                "there is no PSK for conn %s; an entry like '%s %s : PSK \"...\"' would be one", c->name,
                identity_text(left, left_text), identity_text(right, right_text));
    }
}

static bool is_listed(const char *name, const char *list) {
    struct piece piece;
    size_t at = 0;
    while (piece_next(list, &at, " \n", &piece))
        if (piece.length == strlen(name) && memcmp(piece.at, name, piece.length) == 0)
            return true;
    return false;
}

static void check_one(
    const char *name, const char *where, const char *available, const char *path, struct diagnostics *diagnostics) {
    if (name[0] && !is_listed(name, available))
        warn_at(diagnostics, (struct place){path, 1, 1},
            "%s: the congestion control '%s' is not loaded here, but %.*s; unless the kernel has a module tcp_%s to "
            "load, "
            "the host's default is used",
            where, name, (int)strcspn(available, "\n"), available, name);
}

void config_check_congestion(
    const struct config *config, const char *available, const char *path, struct diagnostics *diagnostics) {
    check_one(config->listen_tcp_congestion, "listen-tcp-congestion", available, path, diagnostics);
    for (size_t i = 0; i < config->connections; i++) {
        char where[sizeof config->connection[i].name + 8];
        snprintf(where, sizeof where, "conn %s", config->connection[i].name);
        check_one(config->connection[i].tcp_congestion, where, available, path, diagnostics);
    }
}
