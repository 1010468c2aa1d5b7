/* seal.c: outbound packets of an SA, in batches and in place (RFC 4303 section 3.3). */
#include <assert.h>

#include "esp/internal.h"

/* Padding 1, 2, 3, ..., pad length, next header; returns the length of the text. RFC 4303 section 2.4. */
static size_t add_trailer(const struct esp_sa *sa, uint8_t *inner, size_t length, uint8_t next_header) {
    size_t text = (length + 2 + sa->align - 1) / sa->align * sa->align;
    size_t pad = text - length - 2;
    for (size_t i = 0; i < pad; i++)
        inner[length + i] = (uint8_t)(i + 1);
    inner[text - 2] = (uint8_t)pad;
    inner[text - 1] = next_header;
    return text;
}

static void prepare(
    struct esp_sa *sa, const struct esp_seal_job *job, struct esp_aad *aad, struct cipher_job *cipher_job) {
    uint8_t *packet = job->packet;
    uint8_t *iv = packet + ESP_HEADER_LENGTH;
    uint8_t *inner = iv + sa->iv_length;
    uint64_t sequence = ++sa->sequence_out;
    store_u32(packet, sa->config.spi_out);
    store_u32(packet + 4, (uint32_t)sequence);
    sa->iv_counter++;
    if (sa->aead)
        store_u64(iv, sa->iv_counter);
    else
        iv_maker_next(sa->iv_maker, sa->iv_counter, iv);
    cipher_job->iv = iv;
    cipher_job->text = inner;
    cipher_job->length = add_trailer(sa, inner, job->inner, job->next_header);
    cipher_job->icv = inner + cipher_job->length;
    esp_aad_set(sa, packet, sequence, aad, cipher_job);
}

size_t esp_seal(struct esp_sa *sa, struct esp_seal_job *job, size_t jobs) {
    assert(jobs <= ESP_BATCH_MAX);
    struct cipher_job cipher_job[ESP_BATCH_MAX];
    struct esp_aad aad[ESP_BATCH_MAX];
    uint64_t left = sa->sequence_last - sa->sequence_out;
    size_t count = left < jobs ? (size_t)left : jobs;
    if (sa->out == NULL && !cipher_out_ready(sa))
        count = 0;
    for (size_t i = 0; i < count; i++)
        prepare(sa, &job[i], &aad[i], &cipher_job[i]);
    size_t sealed = count > 0 ? cipher_seal(sa->out, cipher_job, count) : 0;
    uint64_t packets = 0, octets = 0;
    for (size_t i = 0; i < jobs; i++) {
        job[i].length = 0;
        if (i >= count || !cipher_job[i].ok)
            continue;
        job[i].length = (size_t)(cipher_job[i].icv - job[i].packet) + sa->icv_length;
        if (job[i].next_header == ESP_NEXT_NONE)
            continue;
        bool many = job[i].next_header == ESP_NEXT_AGGFRAG;
        packets += many ? job[i].packets : 1;
        octets += job[i].inner - (many ? AGGFRAG_HEADER_LENGTH : 0);
    }
    counter_add(&sa->counters.packets_out, packets);
    counter_add(&sa->counters.bytes_out, octets);
    return sealed;
}
