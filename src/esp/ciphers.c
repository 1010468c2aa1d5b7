/* ciphers.c: see internal.h. Until a cipher is made the SA has its key, as long as both directions need it. */
#include <stdlib.h>
#include <string.h>

#include "esp/internal.h"

static void copy(uint8_t *to, struct span key) {
    if (key.length > 0)
        memcpy(to, key.at, key.length);
}

bool ciphers_keep(struct esp_sa *sa, const struct esp_config *config, struct error *err) {
    struct cipher *proof = cipher_new(config->suite, true, config->key_out, config->integ_out, err);
    if (proof == NULL)
        return false;
    cipher_free(proof);
    proof = cipher_new(config->suite, false, config->key_in, config->integ_in, err);
    if (proof == NULL)
        return false;
    cipher_free(proof);
    sa->keys = calloc(1, sizeof *sa->keys);
    if (sa->keys == NULL)
        return fail(err, OURS, NOTIFY_NONE, "no memory for an ESP SA");
    copy(sa->keys->encr_in, config->key_in);
    copy(sa->keys->encr_out, config->key_out);
    copy(sa->keys->integ_in, config->integ_in);
    copy(sa->keys->integ_out, config->integ_out);
    return true;
}

static void forget_keys(struct esp_sa *sa) {
    if (sa->keys != NULL)
        wipe(sa->keys, sizeof *sa->keys);
    free(sa->keys);
    sa->keys = NULL;
}

static struct cipher *make(const struct esp_sa *sa, bool seal, const uint8_t *encr, const uint8_t *integ) {
    struct error ignored;
    struct cipher_suite suite = sa->config.suite;
    return cipher_new(
        suite, seal, span_of(encr, cipher_key_length(suite)), span_of(integ, cipher_integ_length(suite)), &ignored);
}

bool cipher_out_ready(struct esp_sa *sa) {
    if (sa->out == NULL)
        sa->out = make(sa, true, sa->keys->encr_out, sa->keys->integ_out);
    if (sa->out != NULL && sa->in != NULL && !sa->config.keep_keys)
        forget_keys(sa);
    return sa->out != NULL;
}

bool cipher_in_ready(struct esp_sa *sa) {
    if (sa->in == NULL)
        sa->in = make(sa, false, sa->keys->encr_in, sa->keys->integ_in);
    if (sa->out != NULL && sa->in != NULL && !sa->config.keep_keys)
        forget_keys(sa);
    return sa->in != NULL;
}

struct esp_key_spans esp_sa_keys(const struct esp_sa *sa) {
    size_t key = cipher_key_length(sa->config.suite), integ = cipher_integ_length(sa->config.suite);
    if (!sa->config.keep_keys)
        return (struct esp_key_spans){{0}, {0}, {0}, {0}};
    return (struct esp_key_spans){.key_in = span_of(sa->keys->encr_in, key),
        .key_out = span_of(sa->keys->encr_out, key),
        .integ_in = span_of(sa->keys->integ_in, integ),
        .integ_out = span_of(sa->keys->integ_out, integ)};
}

void ciphers_free(struct esp_sa *sa) {
    cipher_free(sa->out);
    cipher_free(sa->in);
    forget_keys(sa);
}
