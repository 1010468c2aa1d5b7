/* open.c: inbound packets of an SA, in batches and in place: opened together, then admitted one after the other
 * (RFC 4303 section 3.4). */
#include <assert.h>

#include "esp/internal.h"

struct batch {
    struct cipher_job cipher_job[ESP_BATCH_MAX];
    struct esp_aad aad[ESP_BATCH_MAX];
    uint64_t sequence[ESP_BATCH_MAX];
    uint32_t job[ESP_BATCH_MAX]; /* whose the cipher_job is */
    size_t count;
};

struct tally { /* added to the counters once per batch */
    uint64_t packets, octets, replayed, forged, policy;
};

static bool sequence_of(const struct esp_sa *sa, uint32_t low, uint64_t *sequence) {
    *sequence = low;
    return (!sa->config.esn || window_extend(&sa->window, low, sequence)) && window_fresh(&sa->window, *sequence);
}

/* Adds the job to what is to be opened; what can't be authentic or fresh costs no decryption: false. */
static bool prepare(const struct esp_sa *sa, struct esp_open_job *job, uint32_t index, struct batch *batch) {
    struct reader r = reader_over(job->packet, job->length);
    size_t text_min = sa->align > 4 ? sa->align : 2; /* whole blocks of CBC; pad length and next header at least */
    uint32_t spi, low;
    struct span iv;
    job->verdict = ESP_MALFORMED;
    if (!reader_u32(&r, &spi) || !reader_u32(&r, &low) || !reader_span(&r, sa->iv_length, &iv) ||
        r.left < text_min + sa->icv_length)
        return false;
    struct cipher_job *cipher_job = &batch->cipher_job[batch->count];
    size_t offset = job->length - r.left;
    cipher_job->iv = iv.at;
    cipher_job->text = job->packet + offset;
    cipher_job->length = r.left - sa->icv_length;
    cipher_job->icv = cipher_job->text + cipher_job->length;
    if (!sa->aead && cipher_job->length % sa->align != 0)
        return false;
    job->verdict = ESP_REPLAYED;
    if (!sequence_of(sa, low, &batch->sequence[batch->count]))
        return false;
    esp_aad_set(sa, job->packet, batch->sequence[batch->count], &batch->aad[batch->count], cipher_job);
    batch->job[batch->count++] = index;
    return true;
}

/* Padding 1, 2, 3, ..., pad length, next header. RFC 4303 section 2.4 asks to look at the padding. */
static bool read_trailer(struct esp_open_job *job, const struct cipher_job *opened) {
    struct reader r = reader_over(opened->text, opened->length), body;
    struct span padding;
    uint8_t pad;
    if (!reader_sub(&r, opened->length - 2, &body) || !reader_u8(&r, &pad) || !reader_u8(&r, &job->next_header) ||
        pad > body.left)
        return false;
    job->inner = opened->text;
    job->inner_length = body.left - pad;
    if (!reader_skip(&body, job->inner_length) || !reader_span(&body, pad, &padding))
        return false;
    for (size_t i = 0; i < padding.length; i++) {
        if (padding.at[i] != i + 1)
            return false;
    }
    return true;
}

bool inner_allowed(const struct esp_sa *sa, const uint8_t *packet, size_t length, uint8_t family, size_t *total) {
    struct flow flow;
    return inner_parse(packet, length, &flow, total) && flow.source.family == family && esp_sa_allows_in(sa, &flow);
}

/* Tunnel mode: what lies behind the packet is TFC padding and cut off. */
static bool inside_selectors(const struct esp_sa *sa, struct esp_open_job *job) {
    uint8_t family = job->next_header == ESP_NEXT_IPV4 ? 4 : job->next_header == ESP_NEXT_IPV6 ? 6 : 0;
    return inner_allowed(sa, job->inner, job->inner_length, family, &job->inner_length);
}

static enum esp_verdict judge(const struct esp_sa *sa, struct esp_open_job *job, const struct cipher_job *opened) {
    if (!read_trailer(job, opened))
        return ESP_MALFORMED;
    if (job->next_header == ESP_NEXT_NONE)
        return ESP_DUMMY;
    if (sa->config.aggfrag) /* nothing else may go by such an SA (RFC 9347 section 2.3) */
        return job->next_header == ESP_NEXT_AGGFRAG ? ESP_AGGREGATE : ESP_POLICY;
    bool inside = sa->config.transport ? transport_allows_in(sa, job) : inside_selectors(sa, job);
    return inside ? ESP_INNER : ESP_POLICY;
}

/* In the order of arrival: an earlier packet of the batch may be this one's twin or have moved the window past it. */
static bool admit(struct esp_sa *sa, struct esp_open_job *job, uint64_t sequence, const struct cipher_job *opened,
    struct tally *tally) {
    if (!opened->ok) {
        job->verdict = ESP_FORGED;
        tally->forged++;
        return false;
    }
    if (!window_fresh(&sa->window, sequence)) {
        job->verdict = ESP_REPLAYED;
        tally->replayed++;
        return false;
    }
    window_mark(&sa->window, sequence);
    job->sequence = sequence;
    job->verdict = judge(sa, job, opened);
    if (job->verdict == ESP_INNER) {
        tally->packets++;
        tally->octets += job->inner_length;
    } else if (job->verdict != ESP_AGGREGATE) {
        job->inner = NULL;
        job->inner_length = 0;
    }
    tally->policy += job->verdict == ESP_POLICY || job->verdict == ESP_MALFORMED;
    return job->verdict != ESP_MALFORMED;
}

static void count(struct esp_counters *counters, const struct tally *tally) {
    counter_add(&counters->packets_in, tally->packets);
    counter_add(&counters->bytes_in, tally->octets);
    counter_add(&counters->replay_drops, tally->replayed);
    counter_add(&counters->auth_drops, tally->forged);
    counter_add(&counters->policy_drops, tally->policy);
}

size_t esp_open(struct esp_sa *sa, uint64_t now, struct esp_open_job *job, size_t jobs) {
    assert(jobs <= ESP_BATCH_MAX);
    struct batch batch;
    struct tally tally = {0};
    size_t accepted = 0;
    batch.count = 0;
    for (size_t i = 0; i < jobs; i++) {
        job[i].inner = NULL;
        job[i].inner_length = 0;
        job[i].next_header = 0;
        if (!prepare(sa, &job[i], (uint32_t)i, &batch))
            tally.replayed += job[i].verdict == ESP_REPLAYED;
    }
    if (batch.count > 0 && sa->in == NULL && !cipher_in_ready(sa))
        batch.count = 0; /* lost, as on the way: nothing is forged */
    if (batch.count > 0)
        (void)cipher_open(sa->in, batch.cipher_job, batch.count);
    for (size_t i = 0; i < batch.count; i++)
        accepted += admit(sa, &job[batch.job[i]], batch.sequence[i], &batch.cipher_job[i], &tally);
    if (accepted > 0)
        atomic_store_explicit(&sa->counters.last_in_ms, now, memory_order_relaxed);
    count(&sa->counters, &tally);
    return accepted;
}
