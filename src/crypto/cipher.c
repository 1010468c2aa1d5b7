/* cipher.c: AEADs and encrypt-then-MAC behind one face, for IKE's SK payload and for ESP: their lives, and the choice of
 * the library that does the work. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "crypto/internal.h"

#define JOB_MAX ((size_t)1 << 20) /* octets; nothing of ours comes near, and libcrypto's lengths are ints */

static _Atomic enum cipher_library chosen = CIPHER_FASTEST;

void cipher_library_choose(enum cipher_library library) {
    atomic_store(&chosen, library);
}

enum cipher_library cipher_library_of(const struct cipher *c) {
    return c->library;
}

/* Makes the wish what it comes to. */
static const struct cipher_engine *engine_for(enum cipher_library *library, struct cipher_suite suite) {
    const struct cipher_engine *mb = *library == CIPHER_LIBCRYPTO ? NULL : cipher_mb(suite, *library);
    if (mb == NULL)
        *library = CIPHER_LIBCRYPTO;
    else if (*library == CIPHER_FASTEST)
        *library = CIPHER_IPSEC_MB;
    return mb != NULL ? mb : &cipher_evp;
}

bool cipher_library_runs(enum cipher_library library, struct cipher_suite suite) {
    enum cipher_library comes_to = library;
    (void)engine_for(&comes_to, suite);
    return cipher_supported(suite) && (library == CIPHER_FASTEST || comes_to == library);
}

struct cipher *cipher_new(
    struct cipher_suite suite, bool seal, struct span key, struct span integ_key, struct error *err) {
    if (!cipher_supported(suite)) {
        fail(err, OURS, NOTIFY_NONE, "cipher %u with %u-bit keys and integrity %u is not supported",
            (unsigned)suite.encr, (unsigned)suite.key_bits, (unsigned)suite.integ);
        return NULL;
    }
    if (key.length != cipher_key_length(suite) || integ_key.length != cipher_integ_length(suite)) {
        fail(err, OURS, NOTIFY_NONE, "keys are %zu and %zu octets; the cipher needs %zu and %zu", key.length,
            integ_key.length, cipher_key_length(suite), cipher_integ_length(suite));
        return NULL;
    }
    struct cipher *c = calloc(1, sizeof *c);
    if (c != NULL) {
        c->library = atomic_load(&chosen);
        c->engine = engine_for(&c->library, suite);
        c->suite = suite;
        c->seals = seal;
        c->icv_length = cipher_icv_length(suite);
        c->block = cipher_block(suite);
        if (cipher_is_aead(suite.encr))
            memcpy(c->nonce, key.at + key.length - SALT_LENGTH, SALT_LENGTH);
        if (c->engine->set_keys(c, key, integ_key))
            return c;
    }
    cipher_free(c);
    ERR_clear_error();
    fail(err, OURS, NOTIFY_NONE, "the cipher can't be set up: memory is short, or libcrypto lacks it");
    return NULL;
}

void cipher_free(struct cipher *c) {
    if (c == NULL)
        return;
    c->engine->forget_keys(c);
    wipe(c, sizeof *c);
    free(c);
}

bool cipher_job_fits(const struct cipher *c, const struct cipher_job *job) {
    return job->length <= JOB_MAX && job->aad_length <= JOB_MAX && job->length % c->block == 0;
}

static size_t count_ok(const struct cipher_job *job, size_t jobs) {
    size_t ok = 0;
    for (size_t i = 0; i < jobs; i++)
        ok += job[i].ok;
    return ok;
}

size_t cipher_seal(struct cipher *c, struct cipher_job *job, size_t jobs) {
    c->engine->seal(c, job, jobs);
    return count_ok(job, jobs);
}

size_t cipher_open(struct cipher *c, struct cipher_job *job, size_t jobs) {
    c->engine->open(c, job, jobs);
    return count_ok(job, jobs);
}
