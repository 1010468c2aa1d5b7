/* fixture.h: a path with two targets, of seeded randomness, and what its tests ask again and again. */
#ifndef IKETCP_TESTS_PATH_FIXTURE_H
#define IKETCP_TESTS_PATH_FIXTURE_H

#include "path/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct path_config config;
    struct path_memory memory;
    struct path path;
    struct path_target target[3];
    uint64_t rng;
};

static struct path_target target_at(const char *text) {
    struct path_target target = {0};
    struct error err;
    assert_true(address_parse(text, &target.remote, &err));
    return target;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    path_config_defaults(&f->config);
    f->rng = 7;
    f->target[0] = target_at("192.0.2.1");
    f->target[1] = target_at("2001:db8::1");
    path_init(&f->path, &f->config, &f->memory, 1, random_seeded(&f->rng));
    *state = f;
    return 0;
}

static int teardown(void **state) {
    free(*state);
    return 0;
}

static void assert_step(struct path_step step, enum path_verb verb, enum transport transport, uint16_t port) {
    assert_int_equal(step.verb, verb);
    assert_int_equal(step.transport, transport);
    assert_int_equal(step.remote.port, port);
}

static struct error refusal(const char *text) {
    struct error why = {.origin = ORIGIN_PEER};
    snprintf(why.text, sizeof why.text, "%s", text);
    return why;
}

/* UDP is unanswered as ike/ sends it: at 0, 500 and 1,500 ms. Ends with the step at 1,500. */
static inline struct path_step unanswered_udp(struct fixture *f, uint64_t from) {
    path_sent(&f->path, from);
    path_sent(&f->path, from + 500);
    return path_wake(&f->path, from + 1500);
}

#endif
