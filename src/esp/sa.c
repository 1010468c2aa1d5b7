/* sa.c: an ESP SA's life, its sizes, and what is authenticated beside the text. */
#include <stdlib.h>
#include <string.h>

#include "esp/internal.h"

#define ESP_ALIGN ((size_t)4) /* RFC 4303 section 2.4 */

/* The IVs' own key comes from the encryption key: unpredictable for others, and no random octet is needed. */
static bool set_iv_maker(struct esp_sa *sa, struct span key_out) {
    static const char text[] = "iketcp ESP CBC IV";
    const struct span label = span_of(text, sizeof text - 1);
    uint8_t key[PRF_MAX];
    if (!prf_compute(PRF_HMAC_SHA2_256, key_out, &label, 1, key))
        return false;
    sa->iv_maker = iv_maker_new(key);
    wipe(key, sizeof key);
    return sa->iv_maker != NULL;
}

static bool check(const struct esp_config *config, struct error *err) {
    if (config->spi_in == 0 || config->spi_out == 0)
        return fail(err, OURS, NOTIFY_NONE, "an ESP SPI is never zero");
    if (config->replay_window != 0 &&
        (config->replay_window < ESP_REPLAY_MIN || config->replay_window > ESP_REPLAY_MAX))
        return fail(err, OURS, NOTIFY_NONE, "a replay window of %u packets; it is 0 or %u to %u",
            (unsigned)config->replay_window, ESP_REPLAY_MIN, ESP_REPLAY_MAX);
    if (config->aggfrag && config->transport)
        return fail(
            err, OURS, NOTIFY_NONE, "AGGFRAG is for tunnel mode (RFC 9347 section 5.1), and this is transport mode");
    if (config->local.count > SELECTORS_MAX || config->remote.count > SELECTORS_MAX)
        return fail(err, OURS, NOTIFY_NONE, "more than %d traffic selectors", SELECTORS_MAX);
    return true;
}

static void set_sizes(struct esp_sa *sa) {
    struct cipher_suite suite = sa->config.suite;
    sa->aead = cipher_is_aead(suite.encr);
    sa->iv_length = cipher_iv_length(suite);
    sa->icv_length = cipher_icv_length(suite);
    sa->align = cipher_block(suite) > ESP_ALIGN ? cipher_block(suite) : ESP_ALIGN;
    sa->sequence_last = sa->config.esn ? UINT64_MAX : UINT32_MAX;
    if (sa->config.soft_packets == 0)
        sa->config.soft_packets = sa->sequence_last / 8 * 7;
}

static bool keep(struct esp_sa *sa, const struct esp_config *config) {
    sa->config = (struct esp_kept){.spi_in = config->spi_in,
        .spi_out = config->spi_out,
        .suite = config->suite,
        .esn = config->esn,
        .transport = config->transport,
        .aggfrag = config->aggfrag,
        .whole_only = config->whole_only,
        .aggfrag_mtu = config->aggfrag_mtu,
        .local = selectors_keep(&config->local),
        .remote = selectors_keep(&config->remote),
        .peer_local = config->peer_local,
        .peer_remote = config->peer_remote,
        .soft_packets = config->soft_packets,
        .keep_keys = config->keep_keys,
        .replay_window = config->replay_window};
    return sa->config.local != NULL && sa->config.remote != NULL && window_open(&sa->window, config->replay_window);
}

struct esp_sa *esp_sa_new(const struct esp_config *config, struct error *err) {
    if (!check(config, err))
        return NULL;
    struct esp_sa *sa = calloc(1, sizeof *sa);
    if (sa == NULL) {
        fail(err, OURS, NOTIFY_NONE, "no memory for an ESP SA");
        return NULL;
    }
    if (!keep(sa, config)) {
        esp_sa_free(sa);
        fail(err, OURS, NOTIFY_NONE, "no memory for an ESP SA");
        return NULL;
    }
    if (!ciphers_keep(sa, config, err)) {
        esp_sa_free(sa);
        return NULL;
    }
    set_sizes(sa);
    if (config->transport && !transport_set(sa, err)) {
        esp_sa_free(sa);
        return NULL;
    }
    if (sa->aead || set_iv_maker(sa, config->key_out))
        return sa;
    esp_sa_free(sa);
    fail(err, OURS, NOTIFY_NONE, "libcrypto can't set up the IVs of an ESP SA");
    return NULL;
}

void esp_sa_free(struct esp_sa *sa) {
    if (sa == NULL)
        return;
    ciphers_free(sa);
    iv_maker_free(sa->iv_maker);
    pieces_free(sa->pieces);
    selectors_forget(sa->config.local);
    selectors_forget(sa->config.remote);
    free(sa->window.word);
    free(sa);
}

uint32_t esp_sa_spi_in(const struct esp_sa *sa) {
    return sa->config.spi_in;
}

uint32_t esp_sa_spi_out(const struct esp_sa *sa) {
    return sa->config.spi_out;
}

struct esp_counters *esp_sa_counters(struct esp_sa *sa) {
    return &sa->counters;
}

const struct esp_kept *esp_sa_config(const struct esp_sa *sa) {
    return &sa->config;
}

struct esp_numbers esp_sa_numbers(const struct esp_sa *sa) {
    return (struct esp_numbers){.spi_in = sa->config.spi_in, .out = sa->sequence_out, .in = sa->window.top};
}

void esp_sa_go_on(struct esp_sa *sa, const struct esp_numbers *numbers) {
    if (numbers->out > sa->sequence_out)
        sa->sequence_out = sa->sequence_last;
    window_skip(&sa->window, numbers->in);
}

bool esp_sa_wants_rekey(const struct esp_sa *sa) {
    return sa->sequence_out >= sa->config.soft_packets || sa->sequence_out == sa->sequence_last;
}

size_t esp_seal_offset(const struct esp_sa *sa) {
    return ESP_HEADER_LENGTH + sa->iv_length;
}

size_t esp_seal_trailer_max(const struct esp_sa *sa) {
    return sa->align - 1 + 2 + sa->icv_length;
}

size_t esp_sealed_length(const struct esp_sa *sa, size_t inner) {
    size_t text = (inner + 2 + sa->align - 1) / sa->align * sa->align;
    return esp_seal_offset(sa) + text + sa->icv_length;
}

size_t esp_inner_max(const struct esp_sa *sa, size_t packet) {
    size_t around = esp_seal_offset(sa) + sa->icv_length;
    if (packet < around + sa->align)
        return 0;
    return (packet - around) / sa->align * sa->align - 2;
}

void esp_aad_set(
    const struct esp_sa *sa, const uint8_t *packet, uint64_t sequence, struct esp_aad *aad, struct cipher_job *job) {
    job->aad = packet;
    job->aad_length = ESP_HEADER_LENGTH;
    job->tail = NULL;
    job->tail_length = 0;
    if (!sa->config.esn)
        return;
    if (!sa->aead) {
        store_u32(aad->tail, (uint32_t)(sequence >> 32));
        job->tail = aad->tail;
        job->tail_length = sizeof aad->tail;
        return;
    }
    memcpy(aad->octets, packet, 4);
    store_u64(aad->octets + 4, sequence);
    job->aad = aad->octets;
    job->aad_length = sizeof aad->octets;
}
