/* check.c: do both files fit together: does each connection find a key? For `iketcpd --check`. */
#include "config/internal.h"

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
