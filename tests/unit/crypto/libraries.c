/* libraries.c: ipsec-mb beside libcrypto: the same octets at every length and alignment, nothing read or written beyond the
 * ends, forgeries refused and their packets left as they came, many threads at once. */
#include "helper.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define LENGTH_MAX ((size_t)2100)
#define AAD_MAX ((size_t)64)
#define LEAD (AAD_MAX + CIPHER_IV_MAX)
#define ROOM (LEAD + LENGTH_MAX + CIPHER_ICV_MAX)
#define BATCH ((size_t)70) /* more than the library is given at once */

static const struct cipher_suite every_suite[] = {
    {ENCR_AES_GCM_16, 128, AUTH_NONE},
    {ENCR_AES_GCM_16, 256, AUTH_NONE},
    {ENCR_CHACHA20_POLY1305, 0, AUTH_NONE},
    {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_512_256},
    {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_256_128},
    {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_384_192},
    {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_512_256},
};
#define SUITES (sizeof every_suite / sizeof every_suite[0])

static enum cipher_library other; /* than libcrypto */

static uint8_t octet_at(size_t i) {
    return (uint8_t)(i * 167 + (i >> 8) * 31 + 5);
}

static void fill(uint8_t *at, size_t length) {
    for (size_t i = 0; i < length; i++)
        at[i] = octet_at(i);
}

static struct cipher *new_by(enum cipher_library library, struct cipher_suite suite, bool seal) {
    uint8_t key[CIPHER_KEY_MAX], integ[INTEG_KEY_MAX];
    struct error err = {0};
    fill(key, sizeof key);
    fill(integ, sizeof integ);
    cipher_library_choose(library);
    struct cipher *c = cipher_new(
        suite, seal, span_of(key, cipher_key_length(suite)), span_of(integ, cipher_integ_length(suite)), &err);
    assert_non_null(c);
    if (cipher_library_runs(library, suite))
        assert_int_equal(cipher_library_of(c), library);
    return c;
}

/* aad | iv | text | icv, as ESP has it. */
static struct cipher_job job_at(uint8_t *at, struct cipher_suite suite, size_t aad, size_t length) {
    size_t iv = cipher_iv_length(suite);
    return (struct cipher_job){.aad = at,
        .aad_length = aad,
        .iv = at + aad,
        .text = at + aad + iv,
        .length = length,
        .icv = at + aad + iv + length};
}

static size_t whole(struct cipher_suite suite, size_t aad, size_t length) {
    return aad + cipher_iv_length(suite) + length + cipher_icv_length(suite);
}

/* One packet of each length, shifted in memory, sealed by one library and compared with the other's. */
struct lot {
    uint8_t octets[BATCH][ROOM + 80];
    struct cipher_job job[BATCH];
    size_t aad[BATCH], length[BATCH], shift[BATCH];
    size_t count;
};

static void prepare(struct lot *lot, struct cipher_suite suite) {
    static const uint8_t tail[4] = {9, 8, 7, 6};
    for (size_t i = 0; i < lot->count; i++) {
        fill(lot->octets[i], sizeof lot->octets[i]);
        lot->job[i] = job_at(lot->octets[i] + lot->shift[i], suite, lot->aad[i], lot->length[i]);
        if (!cipher_is_aead(suite.encr) && lot->length[i] % 32 == 0) {
            lot->job[i].tail = tail;
            lot->job[i].tail_length = sizeof tail;
        }
    }
}

static void assert_untouched_around(const struct lot *lot, struct cipher_suite suite) {
    for (size_t i = 0; i < lot->count; i++) {
        size_t begin = lot->shift[i] + lot->aad[i] + cipher_iv_length(suite);
        size_t end = lot->shift[i] + whole(suite, lot->aad[i], lot->length[i]);
        for (size_t at = 0; at < begin; at++)
            assert_int_equal(lot->octets[i][at], octet_at(at));
        for (size_t at = end; at < sizeof lot->octets[i]; at++)
            assert_int_equal(lot->octets[i][at], octet_at(at));
    }
}

static void agree(struct lot *ours, struct lot *theirs, struct cipher_suite suite, struct cipher *const by[4]) {
    *theirs = *ours;
    prepare(ours, suite);
    prepare(theirs, suite);
    assert_int_equal(cipher_seal(by[0], ours->job, ours->count), ours->count);
    assert_int_equal(cipher_seal(by[1], theirs->job, theirs->count), theirs->count);
    assert_memory_equal(ours->octets, theirs->octets, ours->count * sizeof ours->octets[0]);
    assert_untouched_around(ours, suite);
    assert_int_equal(cipher_open(by[2], ours->job, ours->count), ours->count);
    assert_int_equal(cipher_open(by[3], theirs->job, theirs->count), theirs->count);
    assert_memory_equal(ours->octets, theirs->octets, ours->count * sizeof ours->octets[0]);
    assert_untouched_around(ours, suite);
    for (size_t i = 0; i < ours->count; i++)
        for (size_t at = 0; at < ours->length[i]; at++)
            assert_int_equal(ours->job[i].text[at], octet_at((size_t)(ours->job[i].text - ours->octets[i]) + at));
}

static void both_libraries_give_the_same_octets_at_every_length(void **state) {
    (void)state;
    static struct lot ours, theirs;
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *const by[4] = {new_by(other, suite, true), new_by(CIPHER_LIBCRYPTO, suite, true),
            new_by(other, suite, false), new_by(CIPHER_LIBCRYPTO, suite, false)};
        size_t step = cipher_block(suite), most = 1;
        for (size_t length = 0; length <= LENGTH_MAX;) {
            size_t i = 0;
            for (; i < most && length <= LENGTH_MAX; i++, length += step) {
                ours.length[i] = length;
                ours.aad[i] = (length / step) % (AAD_MAX + 1);
                ours.shift[i] = (length / step * 7) % 64;
            }
            ours.count = i;
            agree(&ours, &theirs, suite, by);
            most = most % BATCH + 1;
        }
        for (size_t i = 0; i < 4; i++)
            cipher_free(by[i]);
    }
}

static void both_libraries_agree_at_every_length_of_the_aad(void **state) {
    (void)state;
    static struct lot ours, theirs;
    static const size_t length[] = {0, 1, 15, 16, 17, 64, 250, 1400};
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *const by[4] = {new_by(other, suite, true), new_by(CIPHER_LIBCRYPTO, suite, true),
            new_by(other, suite, false), new_by(CIPHER_LIBCRYPTO, suite, false)};
        for (size_t aad = 0; aad <= AAD_MAX; aad++) {
            ours.count = sizeof length / sizeof length[0];
            for (size_t i = 0; i < ours.count; i++) {
                ours.aad[i] = aad;
                ours.shift[i] = (aad + i) % 16;
                ours.length[i] = length[i] / cipher_block(suite) * cipher_block(suite);
            }
            agree(&ours, &theirs, suite, by);
        }
        for (size_t i = 0; i < 4; i++)
            cipher_free(by[i]);
    }
}

static void both_libraries_agree_on_packets_that_fill_a_frame_and_more(void **state) {
    (void)state;
    static const size_t length[] = {16384, 65424, 65488, 65504, 65520, 65536, 131072};
    uint8_t *ours = malloc(5 * (131072 + 128)), *theirs = malloc(5 * (131072 + 128));
    assert_non_null(ours);
    assert_non_null(theirs);
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal[2] = {new_by(other, suite, true), new_by(CIPHER_LIBCRYPTO, suite, true)};
        struct cipher *open = new_by(other, suite, false);
        for (size_t l = 0; l < sizeof length / sizeof length[0]; l++) {
            struct cipher_job a[5], b[5];
            size_t room = length[l] + 128;
            fill(ours, 5 * room);
            fill(theirs, 5 * room);
            for (size_t i = 0; i < 5; i++) {
                a[i] = job_at(ours + i * room, suite, 8, length[l]);
                b[i] = job_at(theirs + i * room, suite, 8, length[l]);
            }
            assert_int_equal(cipher_seal(seal[0], a, 5), 5);
            assert_int_equal(cipher_seal(seal[1], b, 5), 5);
            assert_memory_equal(ours, theirs, 5 * room);
            assert_int_equal(cipher_open(open, a, 5), 5);
        }
        cipher_free(seal[0]);
        cipher_free(seal[1]);
        cipher_free(open);
    }
    free(ours);
    free(theirs);
}

/* aad, iv, text and icv with a gap in front of one of them. */
static void lay_apart(uint8_t octets[8][512], struct cipher_job *job, struct cipher_suite suite) {
    static const uint8_t tail[4] = {1, 2, 3, 4};
    for (size_t i = 0; i < 8; i++) {
        size_t gap = i % 4; /* in front of iv, text, icv, or none */
        fill(octets[i], sizeof octets[i]);
        job[i] = job_at(octets[i], suite, 8, 96);
        job[i].iv += gap == 1 ? 16 : 0;
        job[i].text += gap == 1 || gap == 2 ? 16 : 0;
        job[i].icv += gap == 0 ? 0 : 16;
        job[i].tail = cipher_is_aead(suite.encr) ? NULL : tail;
        job[i].tail_length = cipher_is_aead(suite.encr) ? 0 : sizeof tail;
    }
}

static void both_libraries_agree_on_packets_in_pieces(void **state) {
    (void)state;
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal[2] = {new_by(other, suite, true), new_by(CIPHER_LIBCRYPTO, suite, true)};
        struct cipher *open = new_by(other, suite, false);
        uint8_t ours[8][512], theirs[8][512];
        struct cipher_job a[8], b[8];
        lay_apart(ours, a, suite);
        lay_apart(theirs, b, suite);
        assert_int_equal(cipher_seal(seal[0], a, 8), 8);
        assert_int_equal(cipher_seal(seal[1], b, 8), 8);
        assert_memory_equal(ours, theirs, sizeof ours);
        assert_int_equal(cipher_open(open, a, 8), 8);
        cipher_free(seal[0]);
        cipher_free(seal[1]);
        cipher_free(open);
    }
}

/* --- nothing beyond the ends --- */

#define PAGES ((size_t)2)

/* Memory of PAGES between two pages that nobody may touch. */
static uint8_t *fenced(size_t *size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *at = mmap(NULL, (PAGES + 2) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(at, MAP_FAILED);
    assert_int_equal(mprotect(at + page, PAGES * page, PROT_READ | PROT_WRITE), 0);
    *size = PAGES * page;
    return at + page;
}

static void unfence(uint8_t *at) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    munmap(at - page, (PAGES + 2) * page);
}

static uint8_t *placed(uint8_t *fence, size_t size, size_t length, bool at_end) {
    return at_end ? fence + size - length : fence;
}

static void run_both_ways(struct cipher *seal, struct cipher *open, struct cipher_job *job) {
    assert_int_equal(cipher_seal(seal, job, 1), 1);
    assert_int_equal(cipher_open(open, job, 1), 1);
    job->icv[0] ^= 1;
    assert_int_equal(cipher_open(open, job, 1), 0);
}

/* Each span in memory of its own, against the fence in front or behind. */
static void neither_library_reads_beyond_spans_that_lie_apart(void **state) {
    (void)state;
    uint8_t *fence[4], copy[CIPHER_IV_MAX];
    size_t size = 0;
    fill(copy, sizeof copy);
    for (size_t i = 0; i < 4; i++)
        fence[i] = fenced(&size);
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal = new_by(other, suite, true), *open = new_by(other, suite, false);
        for (size_t length = 0; length <= 1500; length += cipher_block(suite)) {
            bool end = (length / cipher_block(suite)) % 3 != 0;
            size_t aad = length % (AAD_MAX + 1), iv = cipher_iv_length(suite), icv = cipher_icv_length(suite);
            struct cipher_job job = {.aad = placed(fence[0], size, aad, end),
                .aad_length = aad,
                .text = placed(fence[2], size, length, end),
                .length = length,
                .icv = placed(fence[3], size, icv, end)};
            job.iv = memcpy(placed(fence[1], size, iv, end), copy, iv);
            run_both_ways(seal, open, &job);
        }
        cipher_free(seal);
        cipher_free(open);
    }
    for (size_t i = 0; i < 4; i++)
        unfence(fence[i]);
}

/* Whole packets in batches, each against a fence. */
static void neither_library_reads_beyond_packets_of_a_batch(void **state) {
    (void)state;
    enum { COUNT = 17 };
    uint8_t *fence[COUNT];
    size_t size = 0;
    for (size_t i = 0; i < COUNT; i++)
        fence[i] = fenced(&size);
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal = new_by(other, suite, true), *open = new_by(other, suite, false);
        size_t block = cipher_block(suite);
        for (size_t length = block; length <= LENGTH_MAX - COUNT * block; length += 5 * block) {
            struct cipher_job job[COUNT];
            for (size_t i = 0; i < COUNT; i++) {
                size_t own = length + i * block;
                job[i] = job_at(placed(fence[i], size, whole(suite, 8, own), (length + i) % 4 != 0), suite, 8, own);
            }
            assert_int_equal(cipher_seal(seal, job, COUNT), COUNT);
            assert_int_equal(cipher_open(open, job, COUNT), COUNT);
        }
        cipher_free(seal);
        cipher_free(open);
    }
    for (size_t i = 0; i < COUNT; i++)
        unfence(fence[i]);
}

static void keys_are_not_read_beyond_their_ends(void **state) {
    (void)state;
    size_t size = 0;
    uint8_t *key = fenced(&size), *integ = fenced(&size);
    cipher_library_choose(other);
    for (size_t s = 0; s < SUITES; s++) {
        size_t k = cipher_key_length(every_suite[s]), n = cipher_integ_length(every_suite[s]);
        struct error err;
        struct cipher *c =
            cipher_new(every_suite[s], true, span_of(key + size - k, k), span_of(integ + size - n, n), &err);
        assert_non_null(c);
        cipher_free(c);
    }
    unfence(key);
    unfence(integ);
}

/* --- forgeries --- */

static void a_forged_packet_of_a_batch_is_refused_and_its_icv_left_as_it_came(void **state) {
    (void)state;
    static struct lot lot;
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal = new_by(other, suite, true), *open = new_by(other, suite, false);
        for (size_t where = 0; where < 5; where++) {
            uint8_t icv[BATCH][CIPHER_ICV_MAX];
            size_t length = cipher_icv_length(suite);
            lot.count = 66;
            for (size_t i = 0; i < lot.count; i++)
                lot.length[i] = 64 + 16 * i, lot.aad[i] = 8;
            prepare(&lot, suite);
            assert_int_equal(cipher_seal(seal, lot.job, lot.count), lot.count);
            for (size_t i = 0; i < lot.count; i += 3) {
                uint8_t *at[] = {(uint8_t *)(uintptr_t)lot.job[i].aad, (uint8_t *)(uintptr_t)lot.job[i].iv,
                    lot.job[i].text + lot.job[i].length - 1, lot.job[i].icv, lot.job[i].icv + length - 1};
                *at[where] ^= 0x80;
            }
            for (size_t i = 0; i < lot.count; i++)
                memcpy(icv[i], lot.job[i].icv, length);
            assert_int_equal(cipher_open(open, lot.job, lot.count), lot.count - lot.count / 3);
            for (size_t i = 0; i < lot.count; i++) {
                assert_int_equal(lot.job[i].ok, i % 3 != 0);
                assert_memory_equal(icv[i], lot.job[i].icv, length);
            }
        }
        cipher_free(seal);
        cipher_free(open);
    }
}

static void a_forged_tail_is_refused(void **state) {
    (void)state;
    for (size_t s = 3; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal = new_by(other, suite, true), *open = new_by(other, suite, false);
        uint8_t octets[8][256], tail[8][4] = {{0}};
        struct cipher_job job[8];
        for (size_t i = 0; i < 8; i++) {
            fill(octets[i], sizeof octets[i]);
            job[i] = job_at(octets[i], suite, 8, 96);
            job[i].tail = tail[i];
            job[i].tail_length = 4;
        }
        assert_int_equal(cipher_seal(seal, job, 8), 8);
        tail[5][3] = 1;
        assert_int_equal(cipher_open(open, job, 8), 7);
        assert_false(job[5].ok);
        cipher_free(seal);
        cipher_free(open);
    }
}

static void jobs_that_fit_no_library_are_refused_and_the_others_done(void **state) {
    (void)state;
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        struct cipher *seal = new_by(other, suite, true);
        uint8_t octets[8][256];
        struct cipher_job job[8];
        for (size_t i = 0; i < 8; i++)
            job[i] = job_at(octets[i], suite, 8, 96);
        fill(octets[0], sizeof octets);
        job[2].length = (size_t)1 << 21;
        job[6].aad_length = SIZE_MAX;
        assert_int_equal(cipher_seal(seal, job, 8), 6);
        assert_false(job[2].ok);
        assert_false(job[6].ok);
        cipher_free(seal);
    }
}

/* --- threads --- */

struct worker {
    pthread_t thread;
    struct cipher *seal, *open;
    uint8_t first;
    bool right;
};

static void *work(void *context) {
    struct worker *w = context;
    uint8_t octets[32][256];
    struct cipher_job job[32];
    w->right = true;
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < 32; i++) {
            memset(octets[i], w->first + (int)i, sizeof octets[i]);
            job[i] = job_at(octets[i], every_suite[w->first % SUITES], 8, 160);
        }
        w->right = w->right && cipher_seal(w->seal, job, 32) == 32 && cipher_open(w->open, job, 32) == 32;
        for (size_t i = 0; i < 32; i++)
            w->right = w->right && job[i].text[0] == (uint8_t)(w->first + (int)i) &&
                       job[i].text[159] == (uint8_t)(w->first + (int)i);
    }
    return NULL;
}

/* Made by one thread, used by another, as the engine does. */
static void ciphers_of_several_threads_do_not_disturb_each_other(void **state) {
    (void)state;
    enum { THREADS = 2 * SUITES };
    struct worker worker[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        struct cipher_suite suite = every_suite[i % SUITES];
        worker[i] = (struct worker){.first = (uint8_t)i};
        worker[i].seal = new_by(other, suite, true);
        worker[i].open = new_by(other, suite, false);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(worker[i].thread, NULL);
        assert_true(worker[i].right);
        cipher_free(worker[i].seal);
        cipher_free(worker[i].open);
    }
}

static void the_choice_falls_back_to_what_is_there(void **state) {
    (void)state;
    for (size_t s = 0; s < SUITES; s++) {
        struct cipher_suite suite = every_suite[s];
        assert_true(cipher_library_runs(CIPHER_FASTEST, suite));
        assert_true(cipher_library_runs(CIPHER_LIBCRYPTO, suite));
        struct cipher *c = new_by(CIPHER_LIBCRYPTO, suite, true);
        assert_int_equal(cipher_library_of(c), CIPHER_LIBCRYPTO);
        cipher_free(c);
        c = new_by(other, suite, true);
        bool has = cipher_library_runs(other, suite);
        assert_int_equal(cipher_library_of(c), has ? other : CIPHER_LIBCRYPTO);
        cipher_free(c);
    }
    struct cipher_suite none = {0, 0, 0};
    assert_false(cipher_library_runs(CIPHER_LIBCRYPTO, none));
    assert_false(cipher_library_runs(CIPHER_FASTEST, none));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_libraries_give_the_same_octets_at_every_length),
        cmocka_unit_test(both_libraries_agree_at_every_length_of_the_aad),
        cmocka_unit_test(both_libraries_agree_on_packets_that_fill_a_frame_and_more),
        cmocka_unit_test(both_libraries_agree_on_packets_in_pieces),
        cmocka_unit_test(neither_library_reads_beyond_spans_that_lie_apart),
        cmocka_unit_test(neither_library_reads_beyond_packets_of_a_batch),
        cmocka_unit_test(keys_are_not_read_beyond_their_ends),
        cmocka_unit_test(a_forged_packet_of_a_batch_is_refused_and_its_icv_left_as_it_came),
        cmocka_unit_test(a_forged_tail_is_refused),
        cmocka_unit_test(jobs_that_fit_no_library_are_refused_and_the_others_done),
        cmocka_unit_test(ciphers_of_several_threads_do_not_disturb_each_other),
        cmocka_unit_test(the_choice_falls_back_to_what_is_there),
    };
    int failed = 0;
    for (size_t i = 1; i < LIBRARIES; i++) { /* where one is not there, libcrypto stands beside itself */
        other = every_library[i];
        failed += cmocka_run_group_tests_name(library_name[i], tests, NULL, NULL);
    }
    return failed;
}
