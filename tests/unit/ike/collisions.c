/* collisions.c: both sides rekey and delete at once, with nonces that we choose. RFC 7296 sections 2.8 and 2.25. */
#include <string.h>

#include "pair.h"

/* Nonces of a request of A, a response of A, a request of B, a response of B: their first octets. */
struct lean {
    int ask_a, answer_a, ask_b, answer_b;
};

static const struct lean a_asks_lowest = {0x10, 0x80, 0x90, 0xa0}, b_asks_lowest = {0x90, 0x80, 0x10, 0xa0},
                         a_answers_lowest = {0x90, 0x10, 0x80, 0xa0}, b_answers_lowest = {0x90, 0xa0, 0x80, 0x10};

static struct pair *up(bool reliable) {
    struct pair *p = pair_new();
    p->reliable = reliable;
    pair_up(p);
    return p;
}

static uint32_t spi_of(struct pair *p, int side) {
    return side_newest(&p->side[side])->child.spi_in;
}

/* Both requests are out, neither has arrived. */
static void rekey_both_children(struct pair *p, const struct lean *lean) {
    p->side[A].lean = lean->ask_a;
    p->side[B].lean = lean->ask_b;
    uint32_t a = spi_of(p, A), b = spi_of(p, B);
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, a, out));
    CALL(p, B, p->side[B].sa, ike_sa_rekey_child(sa, p->now, b, out));
    p->side[A].lean = lean->answer_a;
    p->side[B].lean = lean->answer_b;
}

static void rekey_both_ike(struct pair *p, const struct lean *lean) {
    p->side[A].lean = lean->ask_a;
    p->side[B].lean = lean->ask_b;
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    CALL(p, B, p->side[B].sa, ike_sa_rekey(sa, p->now, out));
    p->side[A].lean = lean->answer_a;
    p->side[B].lean = lean->answer_b;
}

static void settle(struct pair *p) {
    pair_run(p);
    pair_wake(p, p->now + 20 * SECOND);
    assert_agree(p);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    assert_int_equal(p->side[A].closed.timed_out, false);
    assert_int_equal(p->side[B].closed.timed_out, false);
}

/* Who made the Child SA that stays, and that the other's was deleted by its maker. */
static void child_case(const struct lean *lean, int winner) {
    struct pair *p = up(false);
    rekey_both_children(p, lean);
    settle(p);
    assert_true(side_newest(&p->side[winner])->child.initiator);
    assert_false(side_newest(&p->side[!winner])->child.initiator);
    assert_int_equal(p->side[winner].count[IKE_EVENT_CHILD_UP], 3); /* first, redundant, new */
    assert_int_equal(p->side[!winner].count[IKE_EVENT_CHILD_UP], 2); /* the redundant one is never shown */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p->side[i].count[IKE_EVENT_CHILD_FAILED], 0);
        assert_false(p->side[i].again);
    }
    pair_free(p);
}

static void the_lowest_nonce_of_a_child_rekey_loses_whoever_made_it(void **state) {
    (void)state;
    child_case(&a_asks_lowest, B);
    child_case(&b_asks_lowest, A);
    child_case(&a_answers_lowest, A); /* A's answer is in B's exchange: that one loses */
    child_case(&b_answers_lowest, B);
}

static void L8_the_lowest_nonce_of_an_ike_rekey_loses_and_children_follow_the_winner(void **state) {
    (void)state;
    static const struct {
        const struct lean *lean;
        int winner;
    } cases[] = {{&a_asks_lowest, B}, {&b_asks_lowest, A}, {&a_answers_lowest, A}, {&b_answers_lowest, B}};
    for (size_t i = 0; i < 4; i++) {
        struct pair *p = up(i % 2 == 0);
        rekey_both_ike(p, cases[i].lean);
        settle(p);
        assert_int_equal(ike_sa_role(p->side[cases[i].winner].sa), IKE_INITIATOR);
        for (int side = 0; side < 2; side++) {
            assert_int_equal(p->side[side].count[IKE_EVENT_REKEYED], 1);
            assert_int_equal(p->side[side].count[IKE_EVENT_EXTRA], 1);
            assert_int_equal(p->side[side].count[IKE_EVENT_CLOSED], 2); /* the old one and the loser */
            assert_int_equal(p->side[side].count[IKE_EVENT_CHILD_DOWN], 0);
            assert_int_equal(p->side[side].closed.error.origin, ORIGIN_NONE);
        }
        pair_free(p);
    }
}

/* Every order in which the messages of a collision can arrive, as far as eight choices reach. */
static void collisions_end_well_in_every_order_of_arrival(void **state) {
    (void)state;
    static const struct lean *const leans[] = {&a_asks_lowest, &b_asks_lowest, &a_answers_lowest, &b_answers_lowest};
    for (int ike = 0; ike < 2; ike++)
        for (size_t lean = 0; lean < 4; lean++)
            for (unsigned order = 0; order < 256; order++) {
                struct pair *p = up(order % 2 == 0);
                if (ike)
                    rekey_both_ike(p, leans[lean]);
                else
                    rekey_both_children(p, leans[lean]);
                for (unsigned bit = 0; bit < 8; bit++)
                    if (!pair_step_from(p, (order >> bit & 1) != 0 ? B : A))
                        pair_step(p);
                settle(p);
                pair_free(p);
            }
}

/* Over UDP any of the messages may be lost; retransmission brings all to the same end. */
static void collisions_end_well_with_any_two_messages_lost(void **state) {
    (void)state;
    for (int ike = 0; ike < 2; ike++)
        for (unsigned first = 0; first < 8; first++)
            for (unsigned second = first; second < 8; second++) {
                struct pair *p = up(false);
                if (ike)
                    rekey_both_ike(p, &a_asks_lowest);
                else
                    rekey_both_children(p, &b_answers_lowest);
                for (unsigned n = 0; n < 8 && p->waiting > 0; n++)
                    if (n == first || n == second)
                        pair_drop(p);
                    else
                        pair_step(p);
                pair_wake(p, p->now + 90 * SECOND);
                settle(p);
                pair_free(p);
            }
}

/* Section 2.8.1, second sequence: A's request is late, B is done and has deleted the old one. */
static void a_late_child_rekey_is_told_CHILD_SA_NOT_FOUND_and_forgets_it(void **state) {
    (void)state;
    struct pair *p = up(false);
    rekey_both_children(p, &a_asks_lowest);
    pair_drop_from(p, A);
    while (pair_step(p))
        ;
    assert_int_equal(side_live_children(&p->side[A]), 1); /* B's is there, the old one gone */
    p->now += 500;
    CALL(p, A, p->side[A].sa, ike_sa_wake(sa, p->now, out));
    pair_run(p);
    assert_agree(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_FAILED], 0);
    assert_false(p->side[A].again);
    pair_free(p);
}

static void a_rekey_of_an_unknown_child_makes_its_owner_begin_anew(void **state) {
    (void)state;
    struct pair *p = up(false);
    struct child *lost = p->side[B].sa->children; /* B forgets it without a word */
    child_down(lost, false, false);
    CALL(p, B, p->side[B].sa, ike_sa_wake(sa, p->now, out));
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, spi_of(p, A), out));
    pair_run(p);
    assert_int_equal(side_live_children(&p->side[A]), 0);
    assert_true(p->side[A].again);
    pair_free(p);
}

static void crossing_deletes_of_a_child_are_answered_empty_and_reported_once(void **state) {
    (void)state;
    struct pair *p = up(false);
    uint32_t a = spi_of(p, A), b = spi_of(p, B);
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
    pair_step(p);
    size_t empty = p->wire[0].length;
    pair_run(p);
    CALL(p, A, p->side[A].sa, ike_sa_delete_child(sa, p->now, a, out));
    CALL(p, B, p->side[B].sa, ike_sa_delete_child(sa, p->now, b, out));
    assert_true(p->wire[0].length > empty && p->wire[1].length > empty);
    pair_step(p);
    pair_step(p);
    assert_int_equal(p->waiting, 2);
    assert_int_equal(p->wire[0].length, empty);
    assert_int_equal(p->wire[1].length, empty);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_DOWN], 1);
    assert_int_equal(p->side[B].count[IKE_EVENT_CHILD_DOWN], 1);
    assert_agree(p);
    pair_free(p);
}

static void a_delete_that_meets_a_rekey_of_the_same_child_wins(void **state) {
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct pair *p = up(false);
        uint32_t a = spi_of(p, A), b = spi_of(p, B);
        CALL(p, A, p->side[A].sa, ike_sa_delete_child(sa, p->now, a, out));
        CALL(p, B, p->side[B].sa, ike_sa_rekey_child(sa, p->now, b, out));
        pair_step_from(p, first);
        pair_wake(p, p->now + 20 * SECOND);
        assert_agree(p);
        assert_int_equal(side_live_children(&p->side[A]), 0);
        pair_free(p);
    }
}

static void a_rekey_of_a_child_that_is_being_deleted_is_told_TEMPORARY_FAILURE(void **state) {
    (void)state;
    struct pair *p = up(false);
    uint32_t a = spi_of(p, A), b = spi_of(p, B);
    CALL(p, A, p->side[A].sa, ike_sa_delete_child(sa, p->now, a, out));
    CALL(p, B, p->side[B].sa, ike_sa_rekey_child(sa, p->now, b, out));
    pair_step_from(p, B); /* A answers while its DELETE is out */
    pair_step_from(p, A); /* the DELETE */
    pair_step_from(p, A); /* the refusal */
    assert_int_equal(p->side[B].sa->queued, 0); /* the Child SA is gone: nothing to retry */
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

static void deletes_of_the_ike_sa_that_cross_end_it_once_on_each_side(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    CALL(p, B, p->side[B].sa, ike_sa_delete(sa, p->now, out));
    pair_run(p);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(p->side[i].count[IKE_EVENT_CLOSED], 1);
        assert_int_equal(p->side[i].closed.error.origin, ORIGIN_NONE);
        assert_null(p->side[i].sa);
    }
    pair_free(p);
}

static void a_delete_of_the_ike_sa_beats_a_rekey_of_it(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    CALL(p, B, p->side[B].sa, ike_sa_delete(sa, p->now, out));
    pair_step_from(p, B); /* the DELETE arrives at A, which forgets its rekey */
    assert_null(p->side[A].sa);
    pair_run(p);
    pair_wake(p, p->now + 5 * SECOND);
    assert_null(p->side[B].sa);
    assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 0);
    pair_free(p);
}

static void a_rekey_of_an_ike_sa_that_is_being_deleted_is_told_TEMPORARY_FAILURE(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    CALL(p, B, p->side[B].sa, ike_sa_delete(sa, p->now, out));
    pair_step_from(p, A);
    pair_step_from(p, B);
    pair_run(p);
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_int_equal(p->side[B].count[IKE_EVENT_REKEYED], 0);
    pair_free(p);
}

static void a_child_exchange_meets_an_ike_rekey_waits_and_works_on_the_successor(void **state) {
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct pair *p = up(false);
        uint32_t b = spi_of(p, B);
        CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
        CALL(p, B, p->side[B].sa, ike_sa_rekey_child(sa, p->now, b, out));
        pair_step_from(p, first);
        pair_run(p);
        assert_int_equal(side_live_children(&p->side[A]), 1);
        pair_wake(p, p->now + 20 * SECOND);
        assert_agree(p);
        assert_int_equal(side_live_children(&p->side[A]), 1);
        assert_int_not_equal(spi_of(p, B), b);
        assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 1);
        pair_free(p);
    }
}

static void TEMPORARY_FAILURE_is_retried_after_a_few_seconds_not_at_once(void **state) {
    (void)state;
    struct pair *p = up(false);
    uint32_t b = spi_of(p, B);
    CALL(p, B, p->side[B].sa, ike_sa_rekey_child(sa, p->now, b, out));
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    pair_step_from(p, A); /* refused by B, whose child rekey is out */
    pair_step_from(p, B); /* refused by A, whose rekey is out */
    pair_run(p);
    uint64_t due = ike_sa_deadline(p->side[A].sa);
    assert_in_range(due - p->now, 2 * SECOND, 6 * SECOND);
    pair_wake(p, p->now + 20 * SECOND);
    assert_agree(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 1);
    pair_free(p);
}

/* A peer that says TEMPORARY_FAILURE for ever. */
static bool always_temporary(struct pair *p, struct on_wire *w) {
    (void)w;
    p->side[B].sa->request.active = true; /* looks as if B rekeyed a Child SA all the time */
    p->side[B].sa->request.answered = true;
    p->side[B].sa->request.give_up_at = NEVER;
    p->side[B].sa->request.task.exchange = &child_rekey_exchange;
    return true;
}

static void TEMPORARY_FAILURE_for_minutes_ends_the_ike_sa(void **state) {
    (void)state;
    struct pair *p = up(false);
    p->tap = always_temporary;
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    pair_wake(p, p->now + 100 * SECOND);
    assert_non_null(p->side[A].sa);
    pair_wake(p, p->now + 100 * SECOND);
    assert_null(p->side[A].sa);
    assert_contains(p->side[A].closed.error.text, "TEMPORARY_FAILURE");
    p->tap = NULL;
    memset(&p->side[B].sa->request.task, 0, sizeof p->side[B].sa->request.task);
    pair_free(p);
}

/* Section 2.8.2: the peer that did not notice deletes the old IKE SA; its exchange stands, ours is forgotten. */
static void a_delete_of_the_old_ike_sa_makes_the_rivals_the_successor(void **state) {
    (void)state;
    struct pair *p = up(false);
    rekey_both_ike(p, &b_asks_lowest);
    pair_drop_from(p, A); /* B does not see A's */
    pair_step_from(p, B); /* A answers, and notes the rival */
    pair_step_from(p, A); /* B has its successor, and deletes the old one */
    pair_run(p);
    assert_agree(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 1);
    assert_int_equal(p->side[A].count[IKE_EVENT_EXTRA], 0);
    assert_int_equal(ike_sa_role(p->side[A].sa), IKE_RESPONDER);
    pair_free(p);
}

static void down_during_our_own_rekey_deletes_the_successor_too(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    pair_run(p);
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_int_equal(side_live_children(&p->side[B]), 0);
    pair_free(p);
}

/* Any mixture of commands on both sides, in any order of arrival, seeded: both agree in the end and nothing is left. */
static void three_hundred_mixtures_end_in_agreement(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        uint64_t dice = seed;
        struct random_source random = random_seeded(&dice);
        struct pair *p = up(seed % 2 == 0);
        p->side[A].seed += seed * 7;
        for (int i = 0; i < 12; i++) {
            int side = (int)(random_u32(&random) & 1);
            struct side *s = &p->side[side];
            struct seen_child *child = side_newest(s);
            uint32_t spi = child != NULL ? child->child.spi_in : 0;
            switch (random_u32(&random) % 6) {
            case 0:
                CALL(p, side, s->sa, ike_sa_rekey(sa, p->now, out));
                break;
            case 1:
            case 2:
                CALL(p, side, s->sa, ike_sa_rekey_child(sa, p->now, spi, out));
                break;
            case 3:
                CALL(p, side, s->sa, ike_sa_new_child(sa, p->now, &s->config.child[0], out));
                break;
            case 4:
                CALL(p, side, s->sa, ike_sa_delete_child(sa, p->now, spi, out));
                break;
            default:
                CALL(p, side, s->sa, ike_sa_liveness(sa, p->now, out));
                break;
            }
            for (unsigned n = random_u32(&random) % 4; n > 0; n--)
                pair_step_from(p, (int)(random_u32(&random) & 1));
        }
        pair_run(p);
        pair_wake(p, p->now + 120 * SECOND);
        assert_agree(p);
        for (int side = 0; side < 2; side++) {
            size_t live = 0;
            for (int i = 0; i < SAS_MAX; i++)
                live += p->side[side].all[i] != NULL;
            assert_int_equal(live, 1);
            assert_int_equal(p->side[side].closed.error.origin, ORIGIN_NONE);
        }
        pair_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_nonce_of_a_child_rekey_loses_whoever_made_it),
        cmocka_unit_test(L8_the_lowest_nonce_of_an_ike_rekey_loses_and_children_follow_the_winner),
        cmocka_unit_test(collisions_end_well_in_every_order_of_arrival),
        cmocka_unit_test(collisions_end_well_with_any_two_messages_lost),
        cmocka_unit_test(a_late_child_rekey_is_told_CHILD_SA_NOT_FOUND_and_forgets_it),
        cmocka_unit_test(a_rekey_of_an_unknown_child_makes_its_owner_begin_anew),
        cmocka_unit_test(crossing_deletes_of_a_child_are_answered_empty_and_reported_once),
        cmocka_unit_test(a_delete_that_meets_a_rekey_of_the_same_child_wins),
        cmocka_unit_test(a_rekey_of_a_child_that_is_being_deleted_is_told_TEMPORARY_FAILURE),
        cmocka_unit_test(deletes_of_the_ike_sa_that_cross_end_it_once_on_each_side),
        cmocka_unit_test(a_delete_of_the_ike_sa_beats_a_rekey_of_it),
        cmocka_unit_test(a_rekey_of_an_ike_sa_that_is_being_deleted_is_told_TEMPORARY_FAILURE),
        cmocka_unit_test(a_child_exchange_meets_an_ike_rekey_waits_and_works_on_the_successor),
        cmocka_unit_test(TEMPORARY_FAILURE_is_retried_after_a_few_seconds_not_at_once),
        cmocka_unit_test(TEMPORARY_FAILURE_for_minutes_ends_the_ike_sa),
        cmocka_unit_test(a_delete_of_the_old_ike_sa_makes_the_rivals_the_successor),
        cmocka_unit_test(down_during_our_own_rekey_deletes_the_successor_too),
        cmocka_unit_test(three_hundred_mixtures_end_in_agreement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
