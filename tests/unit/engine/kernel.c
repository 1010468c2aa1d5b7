/* kernel.c: what goes to the kernel and what comes back (row O5): the worker and the monitor are this test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail /* base/error.h has another one */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/internal.h"

#define ANCHOR 7
#define POSTS_MAX 64

static struct engine engine;
static struct peer_config connection = {.kernel_esp = true};
static struct worker_command posted[POSTS_MAX];
static struct esp_numbers numbers[POSTS_MAX]; /* that came with them, if any */
static size_t posts;
static struct request {
    bool set, remove;
    uint32_t spi_in;
    struct host_esp esp;
    monitor_done done;
    void *context;
} requests[POSTS_MAX];
static size_t request_count;
static bool is_kernel;
static struct esp_sa *made[8];
static size_t makes;

/* ---- what kernel.c asks of others ---- */

void outbox_post(struct engine *e, const struct worker_command *command) {
    (void)e;
    assert_true(posts < POSTS_MAX && command->length <= sizeof numbers[0]);
    posted[posts] = *command;
    numbers[posts] = (struct esp_numbers){0};
    if (command->length > 0)
        memcpy(&numbers[posts], command->octets, sizeof numbers[0]);
    posts++;
    free(command->octets);
}

void monitor_esp_set(
    struct monitor_client *c, const char *name, const struct host_esp *esp, monitor_done done, void *context) {
    (void)c;
    (void)name;
    requests[request_count++] =
        (struct request){.set = true, .spi_in = esp->spi_in, .esp = *esp, .done = done, .context = context};
}

void monitor_esp_read(struct monitor_client *c, uint32_t spi_in, bool remove, monitor_done done, void *context) {
    (void)c;
    requests[request_count++] = (struct request){.remove = remove, .spi_in = spi_in, .done = done, .context = context};
}

void monitor_esp_probe(struct monitor_client *c, monitor_done done, void *context) {
    (void)c;
    (void)done;
    (void)context;
}

void engine_fail(struct engine *e, const char *why) {
    (void)e;
    print_error("%s\n", why);
    assert_true(false);
}

uint64_t engine_now(void) {
    return 1000;
}

const struct peer_config *engine_connection(const struct engine *e, const char *name) {
    (void)e;
    (void)name;
    return &connection;
}

void engine_apply(struct engine *e, struct peer_output output) {
    (void)e;
    (void)output;
}

void actions_send_late(struct engine *e, peer_id peer) {
    (void)e;
    (void)peer;
}

void streams_set_kernel(struct engine *e, uint32_t stream) {
    (void)e;
    (void)stream;
    is_kernel = true;
}

bool streams_is_kernel(struct engine *e, uint32_t stream) {
    (void)e;
    return is_kernel && stream == 1;
}

void streams_close(struct engine *e, uint32_t stream) {
    (void)e;
    (void)stream;
}

/* ---- what happens ---- */

static struct carrier tcp(uint32_t stream) {
    return (struct carrier){.transport = TRANSPORT_TCP, .stream = stream};
}

static struct traffic_command command(struct traffic_command traffic) {
    struct peer_action action = {.kind = PEER_TRAFFIC, .connection = "tunnel"};
    traffic.anchor = ANCHOR;
    action.traffic = traffic;
    kernel_before(&engine, &action, &traffic);
    kernel_after(&engine, &traffic);
    return traffic;
}

static void carried_by(struct carrier carrier) {
    command((struct traffic_command){.verb = TRAFFIC_ANCHOR_MOVE, .carrier = carrier});
}

static struct traffic_command install(uint32_t spi_in, size_t selectors, uint32_t replaces) {
    static uint8_t key[CIPHER_KEY_MAX];
    struct esp_config config = {.spi_in = spi_in,
        .spi_out = spi_in + 1,
        .suite = {.encr = ENCR_AES_GCM_16, .key_bits = 128},
        .replay_window = 64,
        .keep_keys = true};
    struct error err;
    config.key_in = config.key_out = span_of(key, cipher_key_length(config.suite));
    for (size_t i = 0; i < selectors; i++) {
        struct prefix prefix = {.address = {.family = 4, .octets = {10, (uint8_t)i}}, .length = 16};
        config.local.selector[config.local.count++] = config.remote.selector[config.remote.count++] =
            selector_of_prefix(&prefix);
    }
    struct esp_sa *sa = made[makes++] = esp_sa_new(&config, &err);
    assert_non_null(sa);
    return command((struct traffic_command){
        .verb = TRAFFIC_INSTALL, .sa = sa, .spi_in = spi_in, .outbound_now = true, .replaces = replaces});
}

static const struct worker_command *last_of(enum worker_command_kind kind) {
    for (size_t i = posts; i-- > 0;)
        if (posted[i].kind == kind)
            return &posted[i];
    return NULL;
}

static const struct esp_numbers *returned(uint32_t spi_in) {
    for (size_t i = posts; i-- > 0;)
        if (posted[i].kind == WORKER_RETURN && numbers[i].spi_in == spi_in)
            return &numbers[i];
    return NULL;
}

/* The worker says what it lent: one SA. */
static void lent(uint32_t round, uint32_t spi_in, uint64_t out) {
    struct esp_numbers one = {.spi_in = spi_in, .out = out};
    struct worker_report report = {.kind = WORKER_LENT,
        .carrier = tcp(1),
        .traffic = {.anchor = ANCHOR},
        .round = round,
        .octets = (uint8_t *)&one,
        .length = sizeof one};
    posts = 0;
    kernel_lent(&engine, &report);
}

static void answer(size_t i, const char *wrong, uint64_t out) {
    struct monitor_answer a = {.fd = -1, .esp = {.out = out, .in = out}};
    if (wrong != NULL)
        (void)fail(&a.error, HOST, 0, "%s", wrong);
    assert_true(i < request_count);
    requests[i].done(requests[i].context, &a);
}

static int setup(void **state) {
    (void)state;
    memset(&engine, 0, sizeof engine);
    engine.kernel.usable = true;
    posts = request_count = makes = 0;
    is_kernel = false;
    command((struct traffic_command){.verb = TRAFFIC_ANCHOR_ADD, .carrier = tcp(1)});
    install(0x100, 1, 0);
    assert_non_null(last_of(WORKER_LEND));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    kernel_free(&engine);
    for (size_t i = 0; i < makes; i++)
        esp_sa_free(made[i]);
    return 0;
}

static void in_kernel(void) {
    lent(last_of(WORKER_LEND)->round, 0x100, 0);
    assert_int_equal(request_count, 1);
    answer(0, NULL, 0);
    assert_non_null(last_of(WORKER_KERNEL));
    assert_true(kernel_has(&engine, ANCHOR));
    posts = 0;
}

/* ---- tests ---- */

static void O5_what_the_kernel_cannot_have_comes_back_too(void **state) {
    (void)state;
    in_kernel();
    assert_true(install(0x200, 2, 0).lent); /* two pairs of selectors */
    assert_int_equal(request_count, 1);
    carried_by((struct carrier){0});
    assert_non_null(returned(0x200));
    assert_int_equal(returned(0x200)->out, 0);
    assert_null(returned(0x100));
    assert_true(requests[1].remove);
    answer(1, NULL, 40);
    assert_true(returned(0x100)->out > 40);
    assert_int_equal(returned(0x100)->in, 40);
}

static void O5_an_sa_whose_numbers_the_kernel_lost_is_not_used_again(void **state) {
    (void)state;
    in_kernel();
    carried_by((struct carrier){0});
    answer(1, "the kernel lost the SPI 00000100", 0);
    assert_null(returned(0x100));
    assert_false(kernel_has(&engine, ANCHOR));
}

static void O5_an_sa_that_the_kernel_refused_after_all_was_asked_back_is_used_again(void **state) {
    (void)state;
    lent(last_of(WORKER_LEND)->round, 0x100, 0);
    carried_by((struct carrier){0});
    assert_int_equal(request_count, 2);
    answer(0, "the kernel does not take it", 0);
    answer(1, "the kernel does not have the SPI 00000100", 0);
    assert_non_null(returned(0x100));
    assert_int_equal(returned(0x100)->out, 0);
}

static void O5_no_key_that_sealed_here_goes_to_the_kernel(void **state) {
    (void)state;
    lent(last_of(WORKER_LEND)->round, 0x100, 1);
    assert_int_equal(request_count, 0);
    assert_non_null(returned(0x100));
    posts = 0;
    struct traffic_command next = install(0x200, 1, 0x100);
    assert_true(next.mute && !next.lent && !next.outbound_now); /* the old one sends, until it is deleted */
    assert_null(last_of(WORKER_LEND));
    command((struct traffic_command){.verb = TRAFFIC_RETIRE, .spi_in = 0x100});
    assert_non_null(last_of(WORKER_LEND));
    lent(last_of(WORKER_LEND)->round, 0x200, 0);
    assert_int_equal(request_count, 1);
    assert_true(requests[0].set && requests[0].spi_in == 0x200 && requests[0].esp.outbound);
    answer(0, NULL, 0);
}

static void O5_what_waits_for_the_kernel_is_used_here_when_something_else_carries_it(void **state) {
    (void)state;
    lent(last_of(WORKER_LEND)->round, 0x100, 1);
    assert_true(install(0x200, 1, 0x100).mute);
    posts = 0;
    carried_by((struct carrier){.transport = TRANSPORT_UDP});
    assert_non_null(returned(0x200));
    assert_false(install(0x300, 1, 0x200).mute);
}

static void O5_a_late_answer_of_the_worker_brings_no_old_numbers(void **state) {
    (void)state;
    uint32_t first = last_of(WORKER_LEND)->round;
    carried_by(tcp(2));
    carried_by(tcp(1));
    uint32_t now = last_of(WORKER_LEND)->round;
    assert_int_not_equal(first, now);
    lent(first, 0x100, 0);
    assert_int_equal(request_count, 0);
    lent(now, 0x100, 0);
    assert_int_equal(request_count, 1);
    answer(0, NULL, 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(O5_what_the_kernel_cannot_have_comes_back_too),
        T(O5_an_sa_whose_numbers_the_kernel_lost_is_not_used_again),
        T(O5_an_sa_that_the_kernel_refused_after_all_was_asked_back_is_used_again),
        T(O5_no_key_that_sealed_here_goes_to_the_kernel),
        T(O5_what_waits_for_the_kernel_is_used_here_when_something_else_carries_it),
        T(O5_a_late_answer_of_the_worker_brings_no_old_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
