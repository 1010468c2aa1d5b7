/* aggfrag.c: AGGFRAG payloads of any octets, in any order: what comes out lies within its bounds, is a packet inside the selectors,
 * and has its own length. Each payload is a number, a length and so many octets of the input. */
#include "esp/esp.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOADS_MAX 64

static struct esp_sa *sa_new(void) {
    static const uint8_t key[64];
    struct esp_config config = {.spi_in = 1,
        .spi_out = 2,
        .suite = {.encr = ENCR_AES_GCM_16, .key_bits = 128, .integ = AUTH_NONE},
        .aggfrag = true,
        .replay_window = 64};
    config.key_in = config.key_out = span_of(key, cipher_key_length(config.suite));
    struct selector any = {
        .first = {.family = 4}, .last = {.family = 4, .octets = {127, 255, 255, 255}}, .port_last = 65535};
    config.local.selector[0] = config.remote.selector[0] = any;
    any.first.family = any.last.family = 6;
    memset(any.last.octets, 0xff, 16);
    config.local.selector[1] = config.remote.selector[1] = any;
    config.local.count = config.remote.count = 2;
    struct error error = {0};
    struct esp_sa *sa = esp_sa_new(&config, &error);
    if (sa == NULL)
        abort();
    return sa;
}

static void check(const uint8_t *inner, size_t length, bool pieced, const uint8_t *payload, size_t octets) {
    struct flow flow;
    size_t total;
    if (!inner_parse(inner, length, &flow, &total) || total != length)
        abort();
    if (flow.source.family == 4 && (flow.source.octets[0] > 127 || flow.destination.octets[0] > 127))
        abort();
    if (!pieced && (inner < payload || inner + length > payload + octets))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct esp_sa *sa = sa_new();
    for (int i = 0; i < PAYLOADS_MAX && size >= 3; i++) {
        uint64_t sequence = data[0];
        size_t length = (size_t)data[1] << 8 | data[2];
        data += 3;
        size -= 3;
        length = length < size ? length : size;
        uint8_t *payload = malloc(length == 0 ? 1 : length),
                *inner; /* of its own, so that the sanitizer knows where it ends */
        if (payload == NULL)
            abort();
        memcpy(payload, data, length);
        data += length;
        size -= length;
        const struct esp_open_job job = {.inner = payload, .inner_length = length, .sequence = sequence};
        struct aggfrag_walk walk;
        bool pieced;
        aggfrag_open(&walk, sa, &job);
        for (size_t octets; aggfrag_next(&walk, &inner, &octets, &pieced);)
            check(inner, octets, pieced, payload, length);
        free(payload);
    }
    esp_sa_free(sa);
    return 0;
}
