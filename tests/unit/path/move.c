/* move.c: an established IKE SA looks for another way: which one, when, and what each network is remembered for. */
#include "fixture.h"

/* An SA that is up over TCP, on network 1. */
static void up_over_tcp(struct fixture *f) {
    path_begin(&f->path, 0, f->target, 1);
    unanswered_udp(f, 0);
    path_connected(&f->path, 1600);
    path_answered(&f->path, 1700);
    path_established(&f->path, 1800);
}

static void K8_a_move_tries_udp_then_tcp_and_begins_again_after_a_backoff(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    up_over_tcp(f);
    assert_step(path_move(&f->path, 10000, f->target, 1, 2, false), PATH_MOVE, TRANSPORT_UDP, 4500);
    path_sent(&f->path, 10000);
    path_sent(&f->path, 10500);
    assert_int_equal(path_deadline(&f->path), 11500);
    struct path_step step = path_wake(&f->path, 11500);
    assert_step(step, PATH_MOVE, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:4500 did not answer 2 times in 1.5 s");
    assert_int_equal(path_failed(&f->path, 11600, &why).verb, PATH_WAIT);
    assert_in_range(path_deadline(&f->path), 11600 + 750, 11600 + 1250);
    assert_step(path_wake(&f->path, path_deadline(&f->path)), PATH_MOVE, TRANSPORT_UDP, 4500);
    path_moved(&f->path, 13000, TRANSPORT_UDP, &f->target[0].remote);
    assert_int_equal(path_deadline(&f->path), NEVER);
    struct path_step better;
    assert_false(path_better(&f->path, &better));
}

static void K8_udp_gets_a_third_where_it_did_not_pass_the_last_time(void **state) {
    struct fixture *f = *state;
    up_over_tcp(f);
    path_move(&f->path, 10000, f->target, 1, 1, false);
    path_sent(&f->path, 10000);
    assert_int_equal(path_deadline(&f->path), 10500);
    assert_step(path_wake(&f->path, 10500), PATH_MOVE, TRANSPORT_TCP, 4500);
}

static void C7_udp_that_died_comes_last(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    f->config.tls = PATH_FALLBACK;
    path_begin(&f->path, 0, f->target, 1);
    path_established(&f->path, 100);
    assert_step(path_move(&f->path, 10000, f->target, 1, 1, true), PATH_MOVE, TRANSPORT_TCP, 4500);
    assert_step(path_failed(&f->path, 10010, &why), PATH_MOVE, TRANSPORT_TLS, 443);
    assert_step(path_failed(&f->path, 10020, &why), PATH_MOVE, TRANSPORT_UDP, 4500);
}

/* Perhaps it was one address alone: the others get their turn over UDP first. */
static void udp_that_died_is_tried_at_the_other_addresses_first(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    path_begin(&f->path, 0, f->target, 1);
    path_established(&f->path, 100);
    struct path_target both[2] = {f->target[0], f->target[0]};
    both[1].remote.octets[3] = 99;
    struct path_step step = path_move(&f->path, 10000, both, 2, 1, true);
    assert_step(step, PATH_MOVE, TRANSPORT_UDP, 4500);
    assert_int_equal(step.remote.octets[3], 99);
    step = path_failed(&f->path, 10010, &why);
    assert_step(step, PATH_MOVE, TRANSPORT_TCP, 4500);
    assert_true(address_same_host(&step.remote, &both[0].remote));
}

static void C3_a_move_keeps_to_the_transports_that_are_allowed(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    struct path_step better;
    f->config.tcp = PATH_YES;
    path_begin(&f->path, 0, f->target, 1);
    path_established(&f->path, 100);
    assert_false(path_better(&f->path, &better));
    assert_step(path_move(&f->path, 10000, f->target, 1, 2, false), PATH_MOVE, TRANSPORT_TCP, 4500);
    assert_int_equal(path_failed(&f->path, 10010, &why).verb, PATH_WAIT);
}

static void C4_more_networks_than_are_remembered_push_out_the_oldest(void **state) {
    struct fixture *f = *state;
    for (uint64_t network = 1; network <= PATH_NETWORKS_MAX + 1; network++) {
        path_init(&f->path, &f->config, &f->memory, network, random_seeded(&f->rng));
        uint64_t at = network * 10000;
        path_begin(&f->path, at, f->target, 1);
        unanswered_udp(f, at);
        path_connected(&f->path, at + 1600);
        path_established(&f->path, at + 1800);
    }
    path_init(&f->path, &f->config, &f->memory, 1, random_seeded(&f->rng));
    assert_step(path_begin(&f->path, 200000, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
    path_init(&f->path, &f->config, &f->memory, 2, random_seeded(&f->rng));
    assert_step(path_begin(&f->path, 200000, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(K8_a_move_tries_udp_then_tcp_and_begins_again_after_a_backoff),
        T(K8_udp_gets_a_third_where_it_did_not_pass_the_last_time),
        T(C7_udp_that_died_comes_last),
        T(udp_that_died_is_tried_at_the_other_addresses_first),
        T(C3_a_move_keeps_to_the_transports_that_are_allowed),
        T(C4_more_networks_than_are_remembered_push_out_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
