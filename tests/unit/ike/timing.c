/* timing.c: retransmission to the millisecond, stored responses, new carriers, liveness and lifetimes. */
#include <string.h>

#include "pair.h"

static struct pair *up(bool reliable) {
    struct pair *p = pair_new();
    p->reliable = reliable;
    pair_up(p);
    return p;
}

static size_t datagrams_at(struct pair *p, uint64_t now) {
    size_t before = p->sent;
    p->now = now;
    if (p->side[A].sa != NULL)
        CALL(p, A, p->side[A].sa, ike_sa_wake(sa, p->now, out));
    return p->sent - before;
}

static void C1_a_request_over_udp_is_sent_again_at_doubling_intervals_then_given_up(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    uint64_t start = p->now, at = start, interval = 500;
    for (uint32_t sends = 2; at + interval < start + 60 * SECOND; sends++, interval *= 2) {
        at += interval;
        assert_int_equal(ike_sa_deadline(p->side[A].sa), at);
        assert_int_equal(datagrams_at(p, at - 1), 0);
        assert_int_equal(datagrams_at(p, at), 1);
        assert_int_equal(ike_sa_sends(p->side[A].sa), sends);
    }
    assert_int_equal(p->sent, 7); /* 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s */
    for (size_t i = 1; i < p->waiting; i++) { /* octet for octet the same */
        assert_int_equal(p->wire[i].length, p->wire[0].length);
        assert_memory_equal(p->wire[i].octets, p->wire[0].octets, p->wire[0].length);
    }
    assert_int_equal(ike_sa_deadline(p->side[A].sa), start + 60 * SECOND);
    assert_int_equal(datagrams_at(p, start + 60 * SECOND), 0);
    assert_null(p->side[A].sa);
    assert_true(p->side[A].closed.timed_out);
    assert_contains(p->side[A].closed.error.text, "no answer to IKE_SA_INIT");
    pair_free(p);
}

static void K1_a_request_over_tcp_is_sent_once_and_has_its_timeout(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->reliable = true;
    pair_start(p);
    uint64_t start = p->now;
    assert_int_equal(ike_sa_deadline(p->side[A].sa), start + 60 * SECOND);
    assert_int_equal(datagrams_at(p, start + 60 * SECOND - 1), 0);
    assert_int_equal(datagrams_at(p, start + 60 * SECOND), 0);
    assert_true(p->side[A].closed.timed_out);
    pair_free(p);
}

static void carried(struct pair *p, int side, bool reliable, bool replaced) {
    struct side *s = &p->side[side];
    CALL(p, side, s->sa, ike_sa_carried(sa, p->now, &s->address, &p->side[!side].address, reliable, replaced, out));
}

static void K1_a_new_connection_gets_the_outstanding_request_at_once_and_no_new_timeout(void **state) {
    (void)state;
    struct pair *p = up(true);
    uint64_t start = p->now;
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
    pair_drop(p); /* with the connection */
    p->now += 40 * SECOND;
    carried(p, A, true, true);
    assert_int_equal(p->waiting, 1);
    assert_int_equal(ike_sa_sends(p->side[A].sa), 2);
    assert_int_equal(ike_sa_deadline(p->side[A].sa), start + 60 * SECOND); /* L12 */
    carried(p, A, true, false); /* the same connection: nothing */
    assert_int_equal(p->waiting, 1);
    pair_run(p);
    assert_false(ike_sa_awaits_answer(p->side[A].sa));
    pair_free(p);
}

static void K1_moving_to_udp_starts_retransmission_and_moving_to_tcp_stops_it(void **state) {
    (void)state;
    struct pair *p = up(true);
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
    carried(p, A, false, true);
    assert_int_equal(ike_sa_deadline(p->side[A].sa), p->now + 500);
    assert_int_equal(datagrams_at(p, p->now + 500), 1);
    carried(p, A, true, true);
    assert_true(ike_sa_deadline(p->side[A].sa) > p->now + 50 * SECOND);
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

static void K2_a_request_that_comes_again_gets_the_stored_response_where_it_came(void **state) {
    (void)state;
    struct pair *p = up(true);
    CALL(p, A, p->side[A].sa, ike_sa_new_child(sa, p->now, &p->side[A].config.child[0], out));
    struct on_wire *w = &p->wire[0];
    static uint8_t request[4096], response[4096];
    size_t length = w->length;
    memcpy(request, w->octets, length);
    pair_step(p);
    assert_true(p->side[B].fresh && p->side[B].authentic);
    assert_true(p->wire[0].reply);
    size_t response_length = p->wire[0].length;
    memcpy(response, p->wire[0].octets, response_length);
    for (int i = 0; i < 3; i++) {
        pair_deliver(p, B, span_of(request, length));
        assert_false(p->side[B].fresh); /* L5: it moves nothing */
        assert_true(p->side[B].authentic);
        struct on_wire *again = &p->wire[p->waiting - 1];
        assert_true(again->reply);
        assert_int_equal(again->length, response_length);
        assert_memory_equal(again->octets, response, response_length);
    }
    assert_int_equal(p->side[B].count[IKE_EVENT_CHILD_UP], 2);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_UP], 2);
    assert_agree(p);
    pair_free(p);
}

static void an_ike_sa_init_request_that_comes_again_gets_the_same_response(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    p->now += 500;
    CALL(p, A, p->side[A].sa, ike_sa_wake(sa, p->now, out));
    assert_int_equal(p->waiting, 2);
    pair_step(p);
    pair_step(p);
    assert_int_equal(p->waiting, 2);
    assert_int_equal(p->wire[0].length, p->wire[1].length);
    assert_memory_equal(p->wire[0].octets, p->wire[1].octets, p->wire[0].length);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_KEYS], 1);
    assert_agree(p);
    pair_free(p);
}

static void a_duplicate_of_every_message_changes_nothing(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    CALL(p, A, p->side[A].sa, ike_sa_wake(sa, p->now, out));
    for (int i = 0; i < 200 && p->waiting > 0; i++) {
        static uint8_t copy[65536];
        struct on_wire *w = &p->wire[0];
        size_t length = w->length;
        int to = !w->from;
        memcpy(copy, w->octets, length);
        pair_step(p);
        if (p->side[to].sa != NULL && i < 12)
            pair_deliver(p, to, span_of(copy, length));
    }
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_UP], 1);
    assert_int_equal(p->side[B].count[IKE_EVENT_CHILD_UP], 1);
    assert_agree(p);
    pair_free(p);
}

static void any_one_message_over_udp_may_be_lost(void **state) {
    (void)state;
    for (unsigned lost = 0; lost < 12; lost++) {
        struct pair *p = pair_new();
        p->side[A].config.children = p->side[B].config.children = 1;
        pair_start(p);
        for (unsigned n = 0; n < 12; n++) {
            if (p->waiting == 0 && p->side[A].count[IKE_EVENT_CHILD_UP] == 1)
                CALL(p, B, p->side[B].sa, ike_sa_rekey(sa, p->now, out));
            if (n == lost && p->waiting > 0)
                pair_drop(p);
            else if (!pair_step(p))
                pair_wake(p, p->now + 500);
        }
        pair_wake(p, p->now + 10 * SECOND);
        assert_agree(p);
        assert_int_equal(side_live_children(&p->side[A]), 1);
        pair_free(p);
    }
}

static void one_request_at_a_time_the_others_wait_in_their_order(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_new_child(sa, p->now, &p->side[A].config.child[0], out));
    CALL(p, A, p->side[A].sa, ike_sa_delete_child(sa, p->now, p->side[A].child[0].child.spi_in, out));
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out)); /* a request is out: not needed (L2) */
    assert_int_equal(p->waiting, 1);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 1);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    assert_agree(p);
    pair_free(p);
}

/* --- liveness --- */

static void K6_silence_is_asked_about_after_dpd_delay_and_ends_in_timed_out(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.dpd_delay_ms = 30 * SECOND;
    pair_up(p);
    uint64_t heard = p->now;
    assert_int_equal(ike_sa_deadline(p->side[A].sa), heard + 30 * SECOND);
    assert_int_equal(datagrams_at(p, heard + 30 * SECOND - 1), 0);
    assert_int_equal(datagrams_at(p, heard + 30 * SECOND), 1);
    pair_run(p); /* it lives */
    assert_int_equal(ike_sa_deadline(p->side[A].sa), heard + 60 * SECOND);
    ike_sa_heard(p->side[A].sa, heard + 50 * SECOND); /* ESP came */
    assert_int_equal(ike_sa_deadline(p->side[A].sa), heard + 80 * SECOND);
    assert_int_equal(datagrams_at(p, heard + 80 * SECOND), 1);
    while (p->side[A].sa != NULL) {
        while (p->waiting > 0)
            pair_drop(p);
        p->now = ike_sa_deadline(p->side[A].sa);
        CALL(p, A, p->side[A].sa, ike_sa_wake(sa, p->now, out));
    }
    assert_int_equal(p->now, heard + 140 * SECOND);
    assert_true(p->side[A].closed.timed_out);
    assert_int_equal(side_live_children(&p->side[A]), 0);
    assert_contains(p->side[A].closed.error.text, "no answer");
    pair_free(p);
}

static void a_replayed_message_does_not_count_as_a_sign_of_life(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, B, p->side[B].sa, ike_sa_liveness(sa, p->now, out));
    static uint8_t copy[4096];
    size_t length = p->wire[0].length;
    memcpy(copy, p->wire[0].octets, length);
    pair_run(p);
    uint64_t heard = p->side[A].sa->heard_at;
    p->now += 10 * SECOND;
    pair_deliver(p, A, span_of(copy, length));
    assert_int_equal(p->side[A].sa->heard_at, heard);
    pair_free(p);
}

static void a_responder_forgets_an_initiator_that_does_not_go_on(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    pair_step(p);
    pair_drop(p);
    uint64_t start = p->now;
    p->now = start + 60 * SECOND - 1;
    CALL(p, B, p->side[B].sa, ike_sa_wake(sa, p->now, out));
    assert_non_null(p->side[B].sa);
    p->now++;
    CALL(p, B, p->side[B].sa, ike_sa_wake(sa, p->now, out));
    assert_null(p->side[B].sa);
    assert_true(p->side[B].closed.timed_out);
    pair_free(p);
}

static void an_auth_value_that_never_comes_ends_both_sides(void **state) {
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct pair *p = pair_new();
        p->side[side].manual_auth = true;
        pair_start(p);
        pair_wake(p, p->now + 61 * SECOND);
        assert_null(p->side[A].sa);
        assert_null(p->side[B].sa);
        pair_free(p);
    }
}

/* --- lifetimes --- */

static void soft_lifetimes_rekey_within_margin_and_fuzz(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct pair *p = pair_new();
        struct ike_config *c = &p->side[A].config;
        p->side[A].seed = seed;
        c->lifetime_ms = 3600 * SECOND;
        c->child[0].lifetime_ms = 1000 * SECOND;
        c->rekey_margin_ms = 100 * SECOND;
        c->rekey_fuzz_percent = 50;
        pair_up(p);
        uint64_t child = p->side[A].sa->children->rekey_at, ike = p->side[A].sa->rekey_at;
        assert_in_range(child, p->now + 850 * SECOND, p->now + 900 * SECOND);
        assert_in_range(ike, p->now + 3450 * SECOND, p->now + 3500 * SECOND);
        pair_wake(p, child);
        assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_UP], 2);
        pair_wake(p, ike);
        assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 1);
        assert_agree(p);
        pair_free(p);
    }
}

static void a_day_of_rekeys_from_both_sides_keeps_one_child(void **state) {
    (void)state;
    struct pair *p = pair_new();
    for (int i = 0; i < 2; i++) {
        struct ike_config *c = &p->side[i].config;
        c->lifetime_ms = 36000 * SECOND;
        c->child[0].lifetime_ms = 7200 * SECOND;
        c->rekey_margin_ms = 540 * SECOND;
        c->rekey_fuzz_percent = 100;
        c->dpd_delay_ms = 300 * SECOND;
    }
    pair_up(p);
    for (int hour = 0; hour < 24; hour++) {
        p->side[A].events = p->side[B].events = 0;
        pair_wake(p, p->now + 3600 * SECOND);
        assert_agree(p);
        assert_int_equal(side_live_children(&p->side[A]), 1);
    }
    assert_true(p->side[A].count[IKE_EVENT_REKEYED] >= 2);
    assert_int_equal(p->side[A].closed.timed_out + p->side[B].closed.timed_out, 0);
    pair_free(p);
}

static bool refuse_create_child(struct pair *p, struct on_wire *w) {
    (void)p;
    return w->from == B || w->octets[18] != CREATE_CHILD_SA; /* lost, with every retransmission */
}

static void a_hard_lifetime_of_a_child_deletes_it_and_says_make_a_new_one(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.child[0].lifetime_ms = 1000 * SECOND;
    pair_up(p);
    p->side[A].sa->children->rekey_at = NEVER; /* the rekey never works */
    pair_wake(p, p->now + 1000 * SECOND);
    assert_int_equal(side_live_children(&p->side[A]), 0);
    assert_int_equal(side_live_children(&p->side[B]), 0);
    assert_true(p->side[A].again);
    assert_false(p->side[B].again);
    pair_free(p);
}

static void a_hard_lifetime_of_the_ike_sa_closes_it_with_a_sentence(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.lifetime_ms = 1000 * SECOND;
    pair_up(p);
    p->side[A].sa->rekey_at = NEVER;
    p->tap = refuse_create_child;
    pair_wake(p, p->now + 1001 * SECOND);
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_contains(p->side[A].closed.error.text, "lifetime");
    assert_true(p->side[A].closed.timed_out);
    assert_true(p->side[B].closed.by_peer);
    pair_free(p);
}

static void the_old_ike_sa_goes_by_itself_when_its_delete_never_comes(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    pair_step(p); /* B has a successor */
    struct ike_sa *old = p->side[B].all[0];
    assert_int_equal(ike_sa_state(old), IKE_STATE_REKEYED);
    assert_int_equal(ike_sa_deadline(old), p->now + REKEYED_LINGER);
    while (p->waiting > 0)
        pair_drop(p);
    p->now += REKEYED_LINGER;
    CALL(p, B, old, ike_sa_wake(sa, p->now, out));
    assert_int_equal(p->side[B].count[IKE_EVENT_CLOSED], 1);
    assert_int_equal(p->side[B].closed.error.origin, ORIGIN_NONE);
    assert_int_equal(side_live_children(&p->side[B]), 1);
    pair_free(p);
}

static size_t alive(const struct side *side) {
    size_t count = 0;
    for (size_t i = 0; i < SAS_MAX; i++)
        count += side->all[i] != NULL;
    return count;
}

static bool all_is_lost(struct pair *p, struct on_wire *w) {
    (void)p;
    (void)w;
    return false;
}

/* Its successor is there: nothing depends on the answer, which may have been lost with who forgot the old IKE SA. */
static void the_delete_of_a_rekeyed_ike_sa_is_given_up_after_ten_seconds(void **state) {
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct pair *p = up(reliable);
        CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
        assert_true(pair_step(p)); /* the request */
        assert_true(pair_step(p)); /* its response, and the DELETE waits */
        assert_int_equal(alive(&p->side[A]), 2);
        struct ike_sa *successor = p->side[A].sa;
        uint64_t began = p->now;
        p->tap = all_is_lost;
        pair_wake(p, began + 10 * SECOND - 1);
        assert_int_equal(alive(&p->side[A]), 2);
        pair_wake(p, began + 10 * SECOND);
        assert_int_equal(alive(&p->side[A]), 1);
        assert_ptr_equal(p->side[A].sa, successor);
        assert_int_equal(ike_sa_state(successor), IKE_STATE_ESTABLISHED);
        assert_int_equal(side_live_children(&p->side[A]), 1);
        p->tap = NULL;
        pair_wake(p, began + 120 * SECOND); /* the other side forgets it by itself */
        assert_int_equal(alive(&p->side[B]), 1);
        assert_agree(p);
        pair_free(p);
    }
}

static void down_before_ike_auth_ends_at_once_and_during_it_afterwards(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    assert_null(p->side[A].sa);
    pair_free(p);

    p = pair_new();
    pair_start(p);
    pair_step(p);
    pair_step(p); /* IKE_AUTH is out */
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    assert_non_null(p->side[A].sa);
    pair_run(p);
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_int_equal(side_live_children(&p->side[B]), 0);
    pair_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(C1_a_request_over_udp_is_sent_again_at_doubling_intervals_then_given_up),
        cmocka_unit_test(K1_a_request_over_tcp_is_sent_once_and_has_its_timeout),
        cmocka_unit_test(K1_a_new_connection_gets_the_outstanding_request_at_once_and_no_new_timeout),
        cmocka_unit_test(K1_moving_to_udp_starts_retransmission_and_moving_to_tcp_stops_it),
        cmocka_unit_test(K2_a_request_that_comes_again_gets_the_stored_response_where_it_came),
        cmocka_unit_test(an_ike_sa_init_request_that_comes_again_gets_the_same_response),
        cmocka_unit_test(a_duplicate_of_every_message_changes_nothing),
        cmocka_unit_test(any_one_message_over_udp_may_be_lost),
        cmocka_unit_test(one_request_at_a_time_the_others_wait_in_their_order),
        cmocka_unit_test(K6_silence_is_asked_about_after_dpd_delay_and_ends_in_timed_out),
        cmocka_unit_test(a_replayed_message_does_not_count_as_a_sign_of_life),
        cmocka_unit_test(a_responder_forgets_an_initiator_that_does_not_go_on),
        cmocka_unit_test(an_auth_value_that_never_comes_ends_both_sides),
        cmocka_unit_test(soft_lifetimes_rekey_within_margin_and_fuzz),
        cmocka_unit_test(a_day_of_rekeys_from_both_sides_keeps_one_child),
        cmocka_unit_test(a_hard_lifetime_of_a_child_deletes_it_and_says_make_a_new_one),
        cmocka_unit_test(a_hard_lifetime_of_the_ike_sa_closes_it_with_a_sentence),
        cmocka_unit_test(the_delete_of_a_rekeyed_ike_sa_is_given_up_after_ten_seconds),
        cmocka_unit_test(the_old_ike_sa_goes_by_itself_when_its_delete_never_comes),
        cmocka_unit_test(down_before_ike_auth_ends_at_once_and_during_it_afterwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
