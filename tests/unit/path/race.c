/* A staggered attempt: what begins when, what ends it, in which order ways are taken. Times are exact. */
#include "fixture.h"

static void staggered(struct fixture *f) {
    f->config.staggered = true;
    f->config.tls = PATH_FALLBACK;
}

/* UDP is sent at `from` and once more, and TCP begins beside it. */
static struct path_step udp_then_tcp(struct fixture *f, uint64_t from, struct path *tcp) {
    assert_step(path_begin(&f->path, from, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
    path_sent(&f->path, from);
    path_sent(&f->path, from + 500);
    assert_int_equal(path_wake(&f->path, from + 500).verb, PATH_BESIDE);
    return path_beside(&f->path, from + 500, tcp);
}

static void C8_C1_udp_is_sent_twice_then_tcp_begins_beside_it_and_tls_250_ms_later(void **state) {
    struct fixture *f = *state;
    struct path tcp, tls;
    staggered(f);
    assert_step(path_begin(&f->path, 1000, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
    path_sent(&f->path, 1000);
    assert_int_equal(path_deadline(&f->path), 1000 + f->config.attempt_timeout_ms);
    path_sent(&f->path, 1500);
    assert_int_equal(path_deadline(&f->path), 1500);
    assert_int_equal(path_wake(&f->path, 1500).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 1500, &tcp), PATH_TRY, TRANSPORT_TCP, 4500);
    assert_int_equal(path_deadline(&f->path), 1750);
    assert_int_equal(path_wake(&f->path, 1749).verb, PATH_WAIT);
    assert_int_equal(path_wake(&f->path, 1750).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 1750, &tls), PATH_TRY, TRANSPORT_TLS, 443);
    assert_int_equal(path_deadline(&f->path), 1000 + f->config.attempt_timeout_ms);
    assert_int_equal(path_deadline(&tcp), 1500 + f->config.connect_timeout_ms);
    assert_int_equal(path_deadline(&tls), 1750 + f->config.connect_timeout_ms);
    path_connected(&tls, 1900);
    assert_int_equal(path_deadline(&tls), 1000 + f->config.attempt_timeout_ms);
}

static void C8_udp_that_answers_within_its_head_start_is_alone(void **state) {
    struct fixture *f = *state;
    staggered(f);
    (void)path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    path_answered(&f->path, 480);
    path_sent(&f->path, 480);
    path_sent(&f->path, 980);
    assert_int_equal(path_deadline(&f->path), 480 + f->config.fallback_after_ms);
    path_established(&f->path, 990);
    assert_int_equal(path_deadline(&f->path), NEVER);
}

static void C8_a_cookie_gives_udp_its_head_start_again(void **state) {
    struct fixture *f = *state;
    staggered(f);
    (void)path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    path_retried(&f->path, 400);
    path_sent(&f->path, 400);
    assert_int_equal(path_wake(&f->path, 899).verb, PATH_WAIT);
    path_sent(&f->path, 900);
    assert_int_equal(path_wake(&f->path, 900).verb, PATH_BESIDE);
}

static void C8_C4_what_worked_here_begins_and_udp_follows_250_ms_later(void **state) {
    struct fixture *f = *state;
    struct path udp, tls;
    staggered(f);
    f->memory.at[0] = (struct path_worked){.network = 1, .worked = TRANSPORT_TCP};
    assert_step(path_begin(&f->path, 100, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
    assert_int_equal(path_deadline(&f->path), 350);
    assert_int_equal(path_wake(&f->path, 350).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 350, &udp), PATH_TRY, TRANSPORT_UDP, 500);
    path_sent(&udp, 350);
    assert_int_equal(path_wake(&f->path, 600).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 600, &tls), PATH_TRY, TRANSPORT_TLS, 443);
    path_sent(&udp, 850); /* it is silent, and nobody goes for that */
    assert_int_equal(path_deadline(&udp), 100 + f->config.attempt_timeout_ms);
}

static void C8_K3_opening_a_stream_again_keeps_nobody_waiting(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("closed");
    struct path udp;
    staggered(f);
    f->memory.at[0] = (struct path_worked){.network = 1, .worked = TRANSPORT_TCP};
    assert_step(path_begin(&f->path, 0, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
    path_connected(&f->path, 50);
    path_sent(&f->path, 50);
    path_retried(&f->path, 100);
    assert_step(path_failed(&f->path, 110, &why), PATH_RECONNECT, TRANSPORT_TCP, 4500);
    assert_int_equal(path_deadline(&f->path), 250);
    assert_int_equal(path_wake(&f->path, 250).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 250, &udp), PATH_TRY, TRANSPORT_UDP, 500);
}

static void C8_who_fails_lets_the_next_one_begin_at_once_but_no_stream_before_udp_was_sent_twice(void **state) {
    struct fixture *f = *state;
    struct path udp, tcp, tls;
    struct error why = refusal("refused");
    staggered(f);
    (void)path_begin(&f->path, 0, f->target, 2);
    path_sent(&f->path, 0);
    assert_int_equal(path_wake(&f->path, 250).verb, PATH_BESIDE); /* UDP to the other address */
    assert_step(path_beside(&f->path, 250, &udp), PATH_TRY, TRANSPORT_UDP, 500);
    assert_int_equal(udp.current, 1);
    path_sent(&udp, 250);
    assert_int_equal(path_failed(&udp, 260, &why).verb, PATH_WAIT); /* one ICMP message is not believed */
    path_sent(&udp, 400);
    assert_int_equal(path_failed(&udp, 410, &why).verb, PATH_GIVE_UP);
    assert_int_equal(path_beside_failed(&f->path, 410, &udp, &why).verb, PATH_WAIT);
    path_sent(&f->path, 500);
    assert_int_equal(path_wake(&f->path, 500).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 500, &tcp), PATH_TRY, TRANSPORT_TCP, 4500);
    assert_int_equal(path_failed(&tcp, 505, &why).verb, PATH_GIVE_UP);
    assert_int_equal(path_beside_failed(&f->path, 505, &tcp, &why).verb, PATH_BESIDE);
    assert_step(path_beside(&f->path, 505, &tls), PATH_TRY, TRANSPORT_TCP, 4500);
    assert_int_equal(tls.current, 1);
}

static void C8_all_ways_are_taken_once_by_diagonals(void **state) {
    struct fixture *f = *state;
    static const struct {
        enum transport transport;
        size_t target;
    } order[] = {{TRANSPORT_UDP, 1}, {TRANSPORT_TCP, 0}, {TRANSPORT_UDP, 2}, {TRANSPORT_TCP, 1}, {TRANSPORT_TLS, 0},
        {TRANSPORT_TCP, 2}, {TRANSPORT_TLS, 1}, {TRANSPORT_TLS, 2}};
    staggered(f);
    f->target[2] = target_at("192.0.2.3");
    (void)path_begin(&f->path, 0, f->target, 3);
    path_sent(&f->path, 0);
    path_sent(&f->path, 10);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        struct path beside;
        assert_int_equal(path_deadline(&f->path), 250 * (i + 1));
        assert_int_equal(path_wake(&f->path, 250 * (i + 1)).verb, PATH_BESIDE);
        assert_int_equal(path_beside(&f->path, 250 * (i + 1), &beside).transport, order[i].transport);
        assert_int_equal(beside.current, order[i].target);
        assert_int_equal(path_wake(&beside, path_deadline(&beside)).verb, PATH_GIVE_UP); /* and begins none itself */
    }
    assert_int_equal(path_deadline(&f->path), f->config.attempt_timeout_ms);
    assert_int_equal(path_wake(&f->path, f->config.attempt_timeout_ms).verb, PATH_GIVE_UP);
}

static void C8_who_is_answered_first_is_the_attempt_and_its_transport_is_remembered(void **state) {
    struct fixture *f = *state;
    struct path tcp;
    staggered(f);
    assert_step(udp_then_tcp(f, 0, &tcp), PATH_TRY, TRANSPORT_TCP, 4500);
    path_connected(&tcp, 520);
    path_take(&f->path, 540, &tcp);
    path_answered(&f->path, 540);
    assert_int_equal(path_deadline(&f->path), f->config.attempt_timeout_ms);
    path_established(&f->path, 560);
    assert_int_equal(f->memory.at[0].worked, TRANSPORT_TCP);
}

static void C8_C7_an_ike_auth_without_an_answer_lets_those_that_lost_begin_again(void **state) {
    struct fixture *f = *state;
    struct path tcp, tls;
    struct error why = refusal("refused");
    staggered(f);
    (void)udp_then_tcp(f, 0, &tcp);
    assert_int_equal(path_wake(&f->path, 750).verb, PATH_BESIDE);
    (void)path_beside(&f->path, 750, &tls);
    assert_int_equal(path_beside_failed(&f->path, 760, &tls, &why).verb, PATH_WAIT);
    path_answered(&f->path, 800); /* UDP; TCP is ended */
    path_sent(&f->path, 800);
    path_sent(&f->path, 1300);
    assert_int_equal(path_wake(&f->path, 2399).verb, PATH_WAIT);
    struct path_step step = path_wake(&f->path, 2400);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:4500 did not answer IKE_AUTH 2 times in 1.6 s");
    step = path_failed(&f->path, 2310, &why); /* TLS is known not to work, and UDP was answered */
    assert_int_equal(step.verb, PATH_GIVE_UP);
}

static void C8_C7_udp_that_took_long_for_the_first_answer_has_twice_that_for_the_second(void **state) {
    struct fixture *f = *state;
    struct path tcp;
    f->config.staggered = true;
    (void)udp_then_tcp(f, 0, &tcp);
    path_sent(&f->path, 1500);
    path_answered(&f->path, 2000);
    path_sent(&f->path, 2000);
    path_sent(&f->path, 2500);
    assert_int_equal(path_deadline(&f->path), 2000 + 2 * 2000);
}

static void C8_when_the_attempt_itself_fails_one_beside_it_goes_on(void **state) {
    struct fixture *f = *state;
    struct path tcp;
    struct error why = refusal("nobody listens there");
    f->config.staggered = true;
    (void)udp_then_tcp(f, 0, &tcp);
    assert_int_equal(path_failed(&f->path, 600, &why).verb, PATH_GIVE_UP); /* by what it knows */
    path_take(&f->path, 600, &tcp);
    assert_int_equal(path_deadline(&f->path), 500 + f->config.connect_timeout_ms);
    path_connected(&f->path, 700);
    struct path_step step = path_wake(&f->path, f->config.attempt_timeout_ms);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(
        step.why.text, "nobody listens there; TCP 192.0.2.1:4500 took the connection but did not answer in 59.5 s");
}

static void C8_when_every_stream_has_failed_silent_udp_goes_too_and_each_has_its_words(void **state) {
    struct fixture *f = *state;
    struct path tcp, tls;
    staggered(f);
    uint64_t end = f->config.attempt_timeout_ms;
    (void)udp_then_tcp(f, 0, &tcp);
    assert_int_equal(path_wake(&f->path, 750).verb, PATH_BESIDE);
    (void)path_beside(&f->path, 750, &tls);
    struct path_step step = path_wake(&tcp, 10500);
    assert_string_equal(step.why.text, "TCP 192.0.2.1:4500 did not take the connection in 10 s");
    (void)path_beside_failed(&f->path, 10500, &tcp, &step.why);
    assert_int_equal(path_deadline(&f->path), end);
    step = path_wake(&tls, 10750);
    (void)path_beside_failed(&f->path, 10750, &tls, &step.why);
    assert_int_equal(path_deadline(&f->path), 10750); /* UDP was silent for long enough */
    step = path_wake(&f->path, 10750);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text,
        "TCP 192.0.2.1:4500 did not take the connection in 10 s; TLS 192.0.2.1:443 did not take "
        "the connection in 10 s; UDP 192.0.2.1:500 did not answer 2 times in 10.8 s");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            C8_C1_udp_is_sent_twice_then_tcp_begins_beside_it_and_tls_250_ms_later, setup, teardown),
        cmocka_unit_test_setup_teardown(C8_udp_that_answers_within_its_head_start_is_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(C8_a_cookie_gives_udp_its_head_start_again, setup, teardown),
        cmocka_unit_test_setup_teardown(C8_C4_what_worked_here_begins_and_udp_follows_250_ms_later, setup, teardown),
        cmocka_unit_test_setup_teardown(C8_K3_opening_a_stream_again_keeps_nobody_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(
            C8_who_fails_lets_the_next_one_begin_at_once_but_no_stream_before_udp_was_sent_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(C8_all_ways_are_taken_once_by_diagonals, setup, teardown),
        cmocka_unit_test_setup_teardown(
            C8_who_is_answered_first_is_the_attempt_and_its_transport_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(
            C8_C7_an_ike_auth_without_an_answer_lets_those_that_lost_begin_again, setup, teardown),
        cmocka_unit_test_setup_teardown(
            C8_C7_udp_that_took_long_for_the_first_answer_has_twice_that_for_the_second, setup, teardown),
        cmocka_unit_test_setup_teardown(C8_when_the_attempt_itself_fails_one_beside_it_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(
            C8_when_every_stream_has_failed_silent_udp_goes_too_and_each_has_its_words, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
