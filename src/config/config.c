/* config.c: texts in, structs out: config_parse, and which side of a connection is this host. */
#include "config/internal.h"

#include <stdlib.h>
#include <string.h>

static struct config *config_new(void) {
    struct config *config = calloc(1, sizeof *config);
    if (!config)
        return NULL;
    config->listen_udp = true;
    config->udp_port = 500;
    config->udp_nat_port = 4500;
    memcpy(config->tun_name, "iketcp0", sizeof "iketcp0");
    return config;
}

void config_free(struct config *config) {
    if (!config)
        return;
    for (size_t i = 0; i < config->files; i++) {
        if (config->file[i].text)
            wipe(config->file[i].text, strlen(config->file[i].text));
        free(config->file[i].text);
        free(config->file[i].path);
    }
    free(config->file);
    free(config->connection);
    free(config);
}

const char *config_file_text(const struct config *config, const char *path) {
    for (size_t i = 0; i < config->files; i++)
        if (config->file[i].path && strcmp(config->file[i].path, path) == 0)
            return config->file[i].text;
    return NULL;
}

/* Files that settings name; what could not be read was complained about. */
static bool keep_files(const struct config_source *source, struct config *config) {
    config->file = calloc(source->files, sizeof *config->file);
    if (!config->file)
        return false;
    for (size_t i = 0; i < source->files; i++) {
        const struct source_file *from = &source->file[i];
        if (!from->named || !from->text || config_file_text(config, from->path))
            continue;
        struct config_file *to = &config->file[config->files];
        *to = (struct config_file){.path = strdup(from->path), .text = strdup(from->text)};
        if (!to->path || !to->text) {
            free(to->path);
            free(to->text);
            return false;
        }
        config->files++;
    }
    return true;
}

/* A key without its certificate is as useless as the other way round. */
static void check_redirect(struct sections *sections, const struct config *config, struct diagnostics *diagnostics) {
    if (config->global_redirect == REDIRECT_NO || config->global_redirect_to[0])
        return;
    for (size_t i = 0; i < sections->count; i++)
        for (size_t j = 0; !sections->list[i].name && j < sections->list[i].settings; j++) {
            const struct setting *setting = &sections->list[i].setting[j];
            if (strcmp(setting->keyword->name, "global-redirect") == 0)
                complain(diagnostics, setting->key_place,
                    "global-redirect=%s needs global-redirect-to=, the gateways to which peers are sent",
                    setting->value);
        }
}

static void check_setup(struct sections *sections, const struct config *config, struct diagnostics *diagnostics) {
    check_redirect(sections, config, diagnostics);
    if (!config->tls_cert[0] == !config->tls_key[0])
        return;
    for (size_t i = 0; i < sections->count; i++)
        for (size_t j = 0; !sections->list[i].name && j < sections->list[i].settings; j++) {
            const struct setting *setting = &sections->list[i].setting[j];
            if (setting->keyword->read == (config->tls_cert[0] ? read_pem : read_private_pem))
                complain(diagnostics, setting->key_place, "%s is missing: tls-cert and tls-key belong together",
                    config->tls_cert[0] ? "tls-key" : "tls-cert");
        }
}

/* Each value once, where it stands, whether a conn uses it or not. Settings of config setup go into *config. */
static bool check_values(struct sections *sections, struct config *config, struct diagnostics *diagnostics) {
    struct config_connection *scratch = malloc(sizeof *scratch);
    for (size_t i = 0; scratch && i < sections->count; i++) {
        const struct section *section = &sections->list[i];
        const struct setting *seen[KEYWORDS_DONE_MAX] = {NULL};
        for (size_t j = 0; j < section->settings; j++) {
            const struct setting *setting = &section->setting[j];
            struct reading reading = {.diagnostics = diagnostics, .setting = setting, .value = setting->value};
            *scratch = (struct config_connection){0};
            uint8_t *base = !section->name                         ? (uint8_t *)config
                            : setting->keyword->scope == SCOPE_END ? (uint8_t *)&scratch->left
                                                                   : (uint8_t *)scratch;
            const struct setting **old = &seen[keyword_index(setting->keyword)];
            if (!section->name && *old && strcmp((*old)->value, setting->value) != 0)
                complain(diagnostics, setting->key_place,
                    "'%s' is in config setup already, with another value at %s:%d", setting->keyword->name,
                    (*old)->key_place.file, (*old)->key_place.line);
            *old = setting;
            (void)setting->keyword->read(&reading, setting->keyword, base + setting->keyword->offset);
        }
    }
    free(scratch);
    return scratch != NULL;
}

/* Room for one more connection at the end; NULL: no memory. */
static struct config_connection *grow(struct config *config) {
    size_t size = (config->connections + 1) * sizeof *config->connection;
    struct config_connection *grown = realloc(config->connection, size);
    if (!grown)
        return NULL;
    config->connection = grown;
    return &grown[config->connections];
}

static bool build_all(struct sections *sections, struct config *config, struct diagnostics *diagnostics) {
    struct builder builder = {.sections = sections, .diagnostics = diagnostics, .config = config};
    for (size_t i = 0; i < sections->count; i++) {
        builder.section = &sections->list[i];
        if (!builder.section->name || builder.section->is_default)
            continue;
        builder.connection = grow(config);
        if (!builder.connection)
            return false;
        if (!connection_build(&builder))
            continue;
        if (config->connections == CONNECTIONS_MAX)
            complain(diagnostics, builder.section->place, "more than %zu connections", CONNECTIONS_MAX);
        else
            config->connections++;
    }
    return true;
}

struct config *config_parse(const struct config_source *source, struct diagnostics *diagnostics) {
    *diagnostics = (struct diagnostics){0};
    struct sections sections;
    struct config *config = config_new();
    if (!config)
        return NULL;
    sections_read(source, &sections, diagnostics);
    also_check(&sections, diagnostics);
    bool ok = !sections.no_memory && check_values(&sections, config, diagnostics) &&
              build_all(&sections, config, diagnostics) && keep_files(source, config);
    check_setup(&sections, config, diagnostics);
    sections_free(&sections);
    diagnostics_sort(diagnostics, source);
    if (ok && diagnostics->errors == 0)
        return config;
    config_free(config);
    return NULL;
}

/* What an end is to this host. */
enum locality { REMOTE, LOCAL, MAYBE };

static enum locality locality_of(
    const struct config_end *end, bool (*is_local)(void *context, const struct address *), void *context) {
    switch (end->kind) {
    case HOST_DEFAULT_ROUTE:
        return LOCAL;
    case HOST_ADDRESS:
        return is_local(context, &end->address) ? LOCAL : REMOTE;
    case HOST_NAME:
        return MAYBE;
    case HOST_ANY:
        break;
    }
    return REMOTE;
}

bool config_orient(struct config_connection *c, bool (*is_local)(void *context, const struct address *), void *context,
    struct error *err) {
    enum locality left = locality_of(&c->left, is_local, context), right = locality_of(&c->right, is_local, context);
    /* A name is us only where the other end is anybody: it is not looked up here. */
    if (left == MAYBE)
        left = c->right.kind == HOST_ANY ? LOCAL : REMOTE;
    if (right == MAYBE)
        right = c->left.kind == HOST_ANY ? LOCAL : REMOTE;
    c->us = -1;
    if (left == LOCAL && right == LOCAL)
        return fail(err, CONFIG, 0, "both left and right are this host");
    if (left != LOCAL && right != LOCAL) {
        char one[ADDRESS_TEXT_MAX] = "", other[ADDRESS_TEXT_MAX] = "";
        return fail(err, CONFIG, 0,
            "neither left (%s) nor right (%s) is an address of this host; write %%defaultroute for its own end",
            c->left.kind == HOST_ADDRESS ? address_text(&c->left.address, one)
            : c->left.kind == HOST_NAME  ? c->left.name
                                         : "%any",
            c->right.kind == HOST_ADDRESS ? address_text(&c->right.address, other)
            : c->right.kind == HOST_NAME  ? c->right.name
                                          : "%any");
    }
    c->us = right == LOCAL;
    return true;
}
