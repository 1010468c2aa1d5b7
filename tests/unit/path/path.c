/* path.c: which transport comes next and when, with exact times. Rows C1, C3, C4, C6, L1, T4. */
#include "fixture.h"

static void C1_udp_is_first_and_tcp_follows_after_two_sends_and_exactly_1500_ms(void **state) {
    struct fixture *f = *state;
    assert_step(path_begin(&f->path, 1000, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
    path_sent(&f->path, 1000);
    assert_int_equal(path_deadline(&f->path), 61000);
    path_sent(&f->path, 1500);
    assert_int_equal(path_deadline(&f->path), 2500);
    assert_int_equal(path_wake(&f->path, 2499).verb, PATH_WAIT);
    struct path_step step = path_wake(&f->path, 2500);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500 did not answer 2 times in 1.5 s");
    assert_int_equal(step.local.port, 0); /* C6: any local port */
}

static void C7_ike_auth_without_an_answer_gives_way_to_tcp_after_two_sends_and_exactly_1500_ms(void **state) {
    struct fixture *f = *state;
    path_begin(&f->path, 1000, f->target, 1);
    path_sent(&f->path, 1000);
    path_answered(&f->path, 1020);
    assert_int_equal(path_deadline(&f->path), 61000); /* our own AUTH value may take its time */
    path_sent(&f->path, 3000);
    assert_int_equal(path_deadline(&f->path), 61000);
    path_sent(&f->path, 3500);
    assert_int_equal(path_deadline(&f->path), 4500);
    assert_int_equal(path_wake(&f->path, 4499).verb, PATH_WAIT);
    struct path_step step = path_wake(&f->path, 4500);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:4500 did not answer IKE_AUTH 2 times in 1.5 s");
    path_connected(&f->path, 4600);
    path_answered(&f->path, 4700);
    path_sent(&f->path, 4800); /* over a stream nothing falls back any more */
    path_sent(&f->path, 9800);
    assert_int_equal(path_deadline(&f->path), 61000);
}

static void C7_without_tcp_ike_auth_is_waited_for(void **state) {
    struct fixture *f = *state;
    f->config.tcp = PATH_NO;
    path_begin(&f->path, 1000, f->target, 1);
    path_sent(&f->path, 1000);
    path_answered(&f->path, 1020);
    path_sent(&f->path, 3000);
    path_sent(&f->path, 3500);
    assert_int_equal(path_deadline(&f->path), 61000);
}

static void C1_one_send_is_not_enough_however_long_ago(void **state) {
    struct fixture *f = *state;
    path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    assert_int_equal(path_wake(&f->path, 5000).verb, PATH_WAIT);
    path_sent(&f->path, 6000);
    assert_int_equal(path_deadline(&f->path), 6000);
    assert_step(path_wake(&f->path, 6000), PATH_TRY, TRANSPORT_TCP, 4500);
}

static void C1_an_icmp_error_waits_for_the_second_send(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("UDP 192.0.2.1:500 is refused");
    path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    assert_int_equal(path_failed(&f->path, 10, &why).verb, PATH_WAIT);
    path_sent(&f->path, 500);
    struct path_step step = path_failed(&f->path, 510, &why);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500 is refused");
}

static void C1_a_request_wanted_again_is_counted_anew(void **state) {
    struct fixture *f = *state;
    path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    path_retried(&f->path, 400);
    path_sent(&f->path, 400);
    path_sent(&f->path, 900);
    assert_int_equal(path_deadline(&f->path), 1900);
}

static void C1_nobody_falls_back_once_the_peer_has_answered(void **state) {
    struct fixture *f = *state;
    path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    path_answered(&f->path, 100);
    assert_int_equal(path_deadline(&f->path), 60000);
    struct path_step step = path_wake(&f->path, 60000);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500 answered, but IKE_AUTH was not finished in 60 s");
}

static void C3_udp_only_never_tries_tcp(void **state) {
    struct fixture *f = *state;
    f->config.tcp = PATH_NO;
    path_begin(&f->path, 0, f->target, 1);
    for (uint64_t at = 0; at < 60000; at += 10000)
        path_sent(&f->path, at);
    assert_int_equal(path_deadline(&f->path), 60000);
    struct path_step step = path_wake(&f->path, 60000);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500 did not answer 6 times in 60 s");
}

static void C3_tcp_only_never_tries_udp_and_takes_its_port_from_the_configuration(void **state) {
    struct fixture *f = *state;
    f->config.tcp = PATH_YES;
    f->config.tcp_port = 443;
    assert_step(path_begin(&f->path, 0, f->target, 1), PATH_TRY, TRANSPORT_TCP, 443);
    struct error why = refusal("TCP 192.0.2.1:443 refused the connection: nothing listens there");
    struct path_step step = path_failed(&f->path, 5, &why);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text, why.text);
    assert_int_equal(path_deadline(&f->path), NEVER);
}

static void K4_a_refusal_over_udp_is_not_believed_but_said(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("the peer refuses our proposal");
    path_begin(&f->path, 0, f->target, 1);
    path_sent(&f->path, 0);
    path_doubted(&f->path, &why);
    path_sent(&f->path, 500);
    struct path_step step = path_wake(&f->path, 1500);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500: the peer refuses our proposal");
    why = refusal("TCP 192.0.2.1:4500 refused the connection: nothing listens there");
    assert_string_equal(path_failed(&f->path, 1600, &why).why.text,
        "UDP 192.0.2.1:500: the peer refuses our proposal; "
        "TCP 192.0.2.1:4500 refused the connection: nothing listens there");
}

static void C3_when_both_fail_the_sentence_names_both(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("TCP 192.0.2.1:4500 refused the connection: nothing listens there");
    path_begin(&f->path, 0, f->target, 1);
    unanswered_udp(f, 0);
    struct path_step step = path_failed(&f->path, 1600, &why);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500 did not answer 2 times in 1.5 s; "
                                       "TCP 192.0.2.1:4500 refused the connection: nothing listens there");
}

static void C4_a_fallback_is_remembered_on_the_same_network(void **state) {
    struct fixture *f = *state;
    path_begin(&f->path, 0, f->target, 1);
    unanswered_udp(f, 0);
    path_connected(&f->path, 1600);
    path_answered(&f->path, 1700);
    path_established(&f->path, 1800);
    struct path again;
    path_init(&again, &f->config, &f->memory, 1, random_seeded(&f->rng));
    assert_step(path_begin(&again, 5000, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
    path_init(&again, &f->config, &f->memory, 2, random_seeded(&f->rng));
    assert_step(path_begin(&again, 6000, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
    path_established(&again, 6500);
    path_init(&again, &f->config, &f->memory, 1, random_seeded(&f->rng)); /* and back: each network has its own */
    assert_step(path_begin(&again, 7000, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
}

static void C4_after_the_configured_time_udp_is_tried_again(void **state) {
    struct fixture *f = *state;
    f->config.udp_again_after_ms = 100000;
    f->memory.at[0] = (struct path_worked){.network = 1, .worked = TRANSPORT_TCP, .since = 1000};
    assert_step(path_begin(&f->path, 100999, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
    path_established(&f->path, 100999);
    assert_int_equal(f->memory.at[0].since, 1000);
    assert_step(path_begin(&f->path, 101000, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
}

static void C4_a_remembered_tcp_that_fails_leads_back_to_udp(void **state) {
    struct fixture *f = *state;
    f->memory.at[0] = (struct path_worked){.network = 1, .worked = TRANSPORT_TCP, .since = 0};
    struct error why = refusal("TCP 192.0.2.1:4500 refused the connection");
    path_begin(&f->path, 10, f->target, 1);
    assert_step(path_failed(&f->path, 20, &why), PATH_TRY, TRANSPORT_UDP, 500);
}

static void T4_the_order_is_udp_tcp_tls_as_configured(void **state) {
    struct fixture *f = *state;
    static const struct {
        enum path_choice tcp, tls;
        enum transport order[PATH_TRANSPORTS];
    } cases[] = {
        {PATH_NO, PATH_NO, {TRANSPORT_UDP}},
        {PATH_FALLBACK, PATH_NO, {TRANSPORT_UDP, TRANSPORT_TCP}},
        {PATH_YES, PATH_NO, {TRANSPORT_TCP}},
        {PATH_NO, PATH_FALLBACK, {TRANSPORT_UDP, TRANSPORT_TLS}},
        {PATH_FALLBACK, PATH_FALLBACK, {TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS}},
        {PATH_YES, PATH_FALLBACK, {TRANSPORT_TCP, TRANSPORT_TLS}},
        {PATH_NO, PATH_YES, {TRANSPORT_TLS}},
        {PATH_FALLBACK, PATH_YES, {TRANSPORT_TLS}},
    };
    static const uint16_t ports[] = {[TRANSPORT_UDP] = 500, [TRANSPORT_TCP] = 4500, [TRANSPORT_TLS] = 443};
    struct error why = refusal("refused");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f->config.tcp = cases[i].tcp;
        f->config.tls = cases[i].tls;
        struct path_step step = path_begin(&f->path, 0, f->target, 1);
        for (size_t j = 0; j < PATH_TRANSPORTS && cases[i].order[j] != TRANSPORT_NONE; j++) {
            enum transport transport = cases[i].order[j];
            assert_step(step, PATH_TRY, transport, ports[transport]);
            if (transport == TRANSPORT_UDP) {
                path_sent(&f->path, 0);
                path_sent(&f->path, 500);
            }
            step = path_failed(&f->path, 600, &why);
        }
        assert_int_equal(step.verb, PATH_GIVE_UP);
    }
}

static void T4_tcp_that_swallows_everything_costs_four_seconds_before_tls(void **state) {
    struct fixture *f = *state;
    f->config.tls = PATH_FALLBACK;
    f->config.tls_port = 8443;
    path_begin(&f->path, 0, f->target, 1);
    assert_step(unanswered_udp(f, 0), PATH_TRY, TRANSPORT_TCP, 4500);
    assert_int_equal(path_deadline(&f->path), 5500);
    struct path_step step = path_wake(&f->path, 5500);
    assert_step(step, PATH_TRY, TRANSPORT_TLS, 8443);
    assert_string_equal(step.why.text, "TCP 192.0.2.1:4500 did not take the connection in 4 s");
    assert_int_equal(path_deadline(&f->path), 15500); /* nothing comes behind it: 10 s */
    struct error why = refusal("TLS 192.0.2.1:8443 refused the connection: nothing listens there");
    step = path_failed(&f->path, 5600, &why);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text, "UDP 192.0.2.1:500 did not answer 2 times in 1.5 s; "
                                       "TCP 192.0.2.1:4500 did not take the connection in 4 s; "
                                       "TLS 192.0.2.1:8443 refused the connection: nothing listens there");
}

static void T4_a_tcp_stream_without_an_answer_leads_to_tls(void **state) {
    struct fixture *f = *state;
    f->config.tcp = PATH_YES;
    f->config.tls = PATH_FALLBACK;
    path_begin(&f->path, 0, f->target, 1);
    path_connected(&f->path, 100);
    path_sent(&f->path, 100);
    assert_int_equal(path_deadline(&f->path), 4000);
    assert_step(path_wake(&f->path, 4000), PATH_TRY, TRANSPORT_TLS, 443);
}

static void T4_a_peer_that_only_a_proxy_knows_is_tried_over_streams_alone(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    f->config.tls = PATH_FALLBACK;
    f->target[0].remote = (struct address){.family = 4};
    assert_step(path_begin(&f->path, 0, f->target, 1), PATH_TRY, TRANSPORT_TCP, 4500);
    struct path_step step = path_wake(&f->path, 4000);
    assert_step(step, PATH_TRY, TRANSPORT_TLS, 443);
    assert_string_equal(step.why.text, "TCP port 4500 did not take the connection in 4 s");
    assert_int_equal(path_failed(&f->path, 4100, &why).verb, PATH_GIVE_UP);
    f->config.tcp = f->config.tls = PATH_NO;
    step = path_begin(&f->path, 0, f->target, 1);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_string_equal(step.why.text, "there is no address to try");
}

static void C4_what_worked_is_first_and_the_others_follow_in_their_order(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    f->config.tls = PATH_FALLBACK;
    f->memory.at[0] = (struct path_worked){.network = 1, .worked = TRANSPORT_TLS, .since = 0};
    assert_step(path_begin(&f->path, 10, f->target, 1), PATH_TRY, TRANSPORT_TLS, 443);
    assert_step(path_failed(&f->path, 20, &why), PATH_TRY, TRANSPORT_UDP, 500);
    assert_step(unanswered_udp(f, 20), PATH_TRY, TRANSPORT_TCP, 4500);
    path_connected(&f->path, 1600);
    path_answered(&f->path, 1700);
    path_established(&f->path, 1800);
    assert_int_equal(f->memory.at[0].worked, TRANSPORT_TCP);
    f->config.tcp = PATH_NO; /* what is remembered but no longer wanted is not tried */
    assert_step(path_begin(&f->path, 5000, f->target, 1), PATH_TRY, TRANSPORT_UDP, 500);
}

static void targets_are_tried_in_turn_all_over_udp_before_any_over_tcp(void **state) {
    struct fixture *f = *state;
    struct path_step step = path_begin(&f->path, 0, f->target, 2);
    assert_int_equal(step.remote.family, 4);
    step = unanswered_udp(f, 0);
    assert_step(step, PATH_TRY, TRANSPORT_UDP, 500);
    assert_int_equal(step.remote.family, 6);
    step = unanswered_udp(f, 1500);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_string_equal(step.why.text, "UDP [2001:db8::1]:500 did not answer 2 times in 1.5 s");
    assert_int_equal(step.remote.family, 4);
    assert_int_equal(path_deadline(&f->path), 13000); /* connect timeout of 10 s */
    step = path_wake(&f->path, 13000);
    assert_step(step, PATH_TRY, TRANSPORT_TCP, 4500);
    assert_int_equal(step.remote.family, 6);
    assert_string_equal(step.why.text, "TCP 192.0.2.1:4500 did not take the connection in 10 s");
}

static void a_target_without_a_route_costs_no_time(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("no route");
    path_begin(&f->path, 0, f->target, 2);
    struct path_step step = path_failed(&f->path, 0, &why);
    assert_step(step, PATH_TRY, TRANSPORT_UDP, 500);
    assert_int_equal(step.remote.family, 6);
}

static void udp_only_goes_round_its_targets_with_growing_patience(void **state) {
    struct fixture *f = *state;
    f->config.tcp = PATH_NO;
    path_begin(&f->path, 0, f->target, 2);
    assert_int_equal(unanswered_udp(f, 0).remote.family, 6);
    assert_int_equal(unanswered_udp(f, 1500).remote.family, 4);
    path_sent(&f->path, 3000);
    path_sent(&f->path, 3500);
    assert_int_equal(path_deadline(&f->path), 6000); /* twice 1,500 */
    assert_int_equal(path_wake(&f->path, 60000).verb, PATH_GIVE_UP);
}

static void an_attempt_timeout_ends_all_transports_and_targets(void **state) {
    struct fixture *f = *state;
    f->config.attempt_timeout_ms = 5000;
    path_begin(&f->path, 0, f->target, 2);
    unanswered_udp(f, 0);
    unanswered_udp(f, 1500);
    assert_int_equal(path_deadline(&f->path), 5000);
    struct path_step step = path_wake(&f->path, 5000);
    assert_int_equal(step.verb, PATH_GIVE_UP);
    assert_non_null(strstr(step.why.text, "did not take the connection in 2 s"));
}

static void attempts_that_fail_make_the_next_more_patient(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    path_begin(&f->path, 0, f->target, 1);
    unanswered_udp(f, 0);
    assert_int_equal(path_failed(&f->path, 1600, &why).verb, PATH_GIVE_UP);
    path_begin(&f->path, 10000, f->target, 1);
    path_sent(&f->path, 10000);
    path_sent(&f->path, 10500);
    assert_int_equal(path_deadline(&f->path), 13000);
}

static void a_stream_that_takes_the_connection_and_says_nothing_is_given_up_for_the_next(void **state) {
    struct fixture *f = *state;
    f->config.tcp = PATH_YES;
    path_begin(&f->path, 0, f->target, 2);
    path_connected(&f->path, 50);
    path_sent(&f->path, 50);
    assert_int_equal(path_deadline(&f->path), 10000);
    struct path_step step = path_wake(&f->path, 10000);
    assert_int_equal(step.remote.family, 6);
    assert_string_equal(step.why.text, "TCP 192.0.2.1:4500 took the connection but did not answer in 10 s");
}

/* --- L1 --- */

static void establish_over_tcp(struct fixture *f, uint64_t at) {
    f->config.tcp = PATH_YES;
    path_begin(&f->path, at, f->target, 1);
    path_connected(&f->path, at);
    path_answered(&f->path, at);
    path_established(&f->path, at);
    assert_int_equal(path_deadline(&f->path), NEVER);
}

static void L1_a_lost_stream_is_opened_again_at_once(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("reset");
    establish_over_tcp(f, 0);
    assert_step(path_lost(&f->path, 100000, &why), PATH_RECONNECT, TRANSPORT_TCP, 4500);
    path_connected(&f->path, 100050);
    path_recovered(&f->path, 100100);
    assert_int_equal(f->path.reconnects, 1);
    assert_int_equal(path_deadline(&f->path), NEVER);
}

static void L1_backoff_doubles_with_a_quarter_of_jitter_up_to_its_bound(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    establish_over_tcp(f, 0);
    uint64_t now = 100000, expected = 1000, different = 0;
    path_lost(&f->path, now, &why);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(path_failed(&f->path, now, &why).verb, PATH_WAIT);
        uint64_t wait = path_deadline(&f->path) - now;
        assert_in_range(wait, expected - expected / 4, expected + expected / 4);
        different += wait != expected;
        now = path_deadline(&f->path);
        assert_int_equal(path_wake(&f->path, now - 1).verb, PATH_WAIT);
        assert_int_equal(path_wake(&f->path, now).verb, PATH_RECONNECT);
        expected = expected * 2 < 30000 ? expected * 2 : 30000;
    }
    assert_true(different > 8);
}

static void L1_success_starts_the_backoff_anew(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("refused");
    establish_over_tcp(f, 0);
    path_lost(&f->path, 100000, &why);
    path_failed(&f->path, 100000, &why);
    path_wake(&f->path, 102000);
    path_connected(&f->path, 102010);
    path_recovered(&f->path, 102020);
    assert_int_equal(path_lost(&f->path, 200000, &why).verb, PATH_RECONNECT);
    path_failed(&f->path, 200000, &why);
    assert_in_range(path_deadline(&f->path), 200750, 201250);
}

static void L1_a_stream_that_dies_as_soon_as_it_works_makes_no_storm(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("reset");
    establish_over_tcp(f, 0);
    path_lost(&f->path, 100000, &why);
    path_connected(&f->path, 100010);
    path_recovered(&f->path, 100020);
    assert_int_equal(path_lost(&f->path, 100030, &why).verb, PATH_WAIT);
    assert_in_range(path_deadline(&f->path), 100030 + 750, 100030 + 1250);
}

static void L1_a_connect_without_an_answer_is_tried_again(void **state) {
    struct fixture *f = *state;
    struct error why = refusal("reset");
    establish_over_tcp(f, 0);
    path_lost(&f->path, 100000, &why);
    assert_int_equal(path_deadline(&f->path), 110000);
    assert_int_equal(path_wake(&f->path, 110000).verb, PATH_WAIT);
    assert_in_range(path_deadline(&f->path), 110750, 111250);
    assert_int_equal(path_wake(&f->path, 111250).verb, PATH_RECONNECT);
    path_connected(&f->path, 111300);
    assert_int_equal(path_deadline(&f->path), 121300);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(C1_udp_is_first_and_tcp_follows_after_two_sends_and_exactly_1500_ms),
        T(C7_ike_auth_without_an_answer_gives_way_to_tcp_after_two_sends_and_exactly_1500_ms),
        T(C7_without_tcp_ike_auth_is_waited_for),
        T(C1_one_send_is_not_enough_however_long_ago),
        T(C1_an_icmp_error_waits_for_the_second_send),
        T(C1_a_request_wanted_again_is_counted_anew),
        T(C1_nobody_falls_back_once_the_peer_has_answered),
        T(C3_udp_only_never_tries_tcp),
        T(C3_tcp_only_never_tries_udp_and_takes_its_port_from_the_configuration),
        T(K4_a_refusal_over_udp_is_not_believed_but_said),
        T(C3_when_both_fail_the_sentence_names_both),
        T(C4_a_fallback_is_remembered_on_the_same_network),
        T(C4_after_the_configured_time_udp_is_tried_again),
        T(C4_a_remembered_tcp_that_fails_leads_back_to_udp),
        T(T4_the_order_is_udp_tcp_tls_as_configured),
        T(T4_tcp_that_swallows_everything_costs_four_seconds_before_tls),
        T(T4_a_tcp_stream_without_an_answer_leads_to_tls),
        T(T4_a_peer_that_only_a_proxy_knows_is_tried_over_streams_alone),
        T(C4_what_worked_is_first_and_the_others_follow_in_their_order),
        T(targets_are_tried_in_turn_all_over_udp_before_any_over_tcp),
        T(a_target_without_a_route_costs_no_time),
        T(udp_only_goes_round_its_targets_with_growing_patience),
        T(an_attempt_timeout_ends_all_transports_and_targets),
        T(attempts_that_fail_make_the_next_more_patient),
        T(a_stream_that_takes_the_connection_and_says_nothing_is_given_up_for_the_next),
        T(L1_a_lost_stream_is_opened_again_at_once),
        T(L1_backoff_doubles_with_a_quarter_of_jitter_up_to_its_bound),
        T(L1_success_starts_the_backoff_anew),
        T(L1_a_stream_that_dies_as_soon_as_it_works_makes_no_storm),
        T(L1_a_connect_without_an_answer_is_tried_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
