/* strangers.c: what costs a sender nothing may not cost us more, and what a peer may do is bounded. */
#include <string.h>

#include "pair.h"

static struct pair *up(bool reliable) {
    struct pair *p = pair_new();
    p->reliable = reliable;
    pair_up(p);
    return p;
}

/* --- answers without a state --- */

static size_t answered(const struct pair *p) {
    return p->out.datagrams == 0 ? 0 : p->out.datagram[0].length;
}

static void K3_a_cookie_is_never_longer_than_what_asked_for_it(void **state) {
    (void)state;
    struct pair *p = pair_new();
    struct random_source random = random_seeded(&p->tap_state);
    struct ike_cookie_jar jar;
    struct address a = address_of("192.0.2.1", 500);
    ike_cookie_jar_init(&jar, p->now, &random);
    for (size_t nonce = NONCE_MIN; nonce < 60; nonce++) {
        uint8_t octets[256];
        struct writer w = writer_over(octets, sizeof octets);
        struct ike_header header = {
            .spi_i = 7, .version = IKE_VERSION, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
        struct message_writer m = message_begin(&w, &header);
        payload_begin(&m, PAYLOAD_NONCE);
        writer_zero(&w, nonce);
        payload_end(&m);
        message_end(&m);
        pair_begin(p);
        assert_false(ike_cookie_check(&jar, p->now, &random, span_of(octets, w.length), &a, &p->out));
        assert_true(answered(p) <= w.length);
        assert_true(w.length < 80 || answered(p) > 0);
    }
    pair_free(p);
}

static void a_refusal_is_never_longer_than_what_it_refuses(void **state) {
    (void)state;
    for (size_t more = 0; more < 40; more++) {
        struct pair *p = pair_new();
        uint8_t octets[256];
        struct writer w = writer_over(octets, sizeof octets);
        struct ike_header header = {
            .spi_i = 7, .version = IKE_VERSION, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
        struct message_writer m = message_begin(&w, &header);
        if (more >= PAYLOAD_HEADER_LENGTH) {
            payload_begin(&m, PAYLOAD_VENDOR);
            writer_zero(&w, more - PAYLOAD_HEADER_LENGTH);
            payload_end(&m);
        }
        message_end(&m);
        pair_deliver(p, B, span_of(octets, w.length));
        assert_null(p->side[B].sa);
        assert_true(p->waiting == 0 || p->wire[0].length <= w.length);
        assert_true(more < 8 || p->waiting == 1);
        pair_free(p);
    }
}

static void another_version_is_not_answered_at_length(void **state) {
    (void)state;
    struct pair *p = pair_new();
    for (size_t more = 0; more < 40; more++) {
        uint8_t octets[256];
        struct writer w = writer_over(octets, sizeof octets);
        struct ike_header header = {.spi_i = 7, .version = 0x30, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_INITIATOR};
        struct message_writer m = message_begin(&w, &header);
        writer_zero(&w, more);
        message_end(&m);
        pair_begin(p);
        assert_false(ike_is_first_request(span_of(octets, w.length), &p->out));
        assert_true(answered(p) <= w.length);
        assert_true(more < 8 || answered(p) > 0);
    }
    pair_free(p);
}

/* --- proofs --- */

/* "Leave `expected` alone where remote_octets is empty": then nothing is expected, least of all zeros. */
static void a_responder_that_has_nothing_to_compare_believes_nobody(void **state) {
    (void)state;
    struct pair *p = pair_new();
    struct side *b = &p->side[B];
    b->manual_auth = true;
    pair_start(p);
    pair_run(p);
    assert_int_equal(b->count[IKE_EVENT_AUTH_WANTED], 1);
    struct span psk = span_of(b->psk, strlen(b->psk));
    struct ike_auth_values values = {0};
    uint8_t octets[4096];
    struct octets *remote = &b->sa->handshake->octets_remote;
    assert_true(psk_auth(b->wanted.auth.prf, psk, octets_span(remote), values.expected)); /* the right value even */
    size_t length = ike_sa_local_octets(b->sa, &b->config.local_id, octets, sizeof octets);
    assert_true(psk_auth(b->wanted.auth.prf, psk, span_of(octets, length), values.local_auth));
    remote->length = 0; /* as when there was no memory for them */
    CALL(p, B, b->sa, ike_sa_auth(sa, p->now, &values, out));
    assert_int_equal(b->count[IKE_EVENT_ESTABLISHED], 0);
    assert_int_equal(b->count[IKE_EVENT_CLOSED], 1);
    pair_run(p);
    pair_free(p);
}

/* --- bounds --- */

static void an_ike_sa_that_waits_for_its_end_does_not_wake_for_its_child_sas(void **state) {
    (void)state;
    struct pair *p = pair_new();
    for (int i = 0; i < 2; i++) {
        p->side[i].config.child[0].lifetime_ms = 40 * SECOND;
        p->side[i].config.rekey_margin_ms = 10 * SECOND;
        p->side[i].config.dpd_delay_ms = 0;
    }
    p->reliable = true;
    pair_up(p);
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    pair_drop(p); /* nobody answers for a minute */
    for (uint64_t until = p->now + 59 * SECOND; p->now < until;) {
        p->now += 7 * SECOND;
        CALL(p, A, p->side[A].sa, ike_sa_wake(sa, p->now, out));
        if (p->side[A].sa != NULL)
            assert_true(ike_sa_deadline(p->side[A].sa) > p->now);
    }
    pair_wake(p, p->now + 2 * SECOND);
    assert_null(p->side[A].sa);
    pair_free(p);
}

static void a_full_ike_sa_can_still_rekey_its_child_sas(void **state) {
    (void)state;
    for (int by = A; by <= B; by++) {
        struct pair *p = up(true);
        for (int i = 0; i < IKE_CHILDREN_MAX + 3; i++) {
            CALL(p, A, p->side[A].sa, ike_sa_new_child(sa, p->now, &p->side[A].config.child[0], out));
            pair_run(p);
        }
        assert_int_equal(side_live_children(&p->side[A]), IKE_CHILDREN_MAX);
        for (int i = 0; i < 5; i++) {
            uint32_t old = p->side[by].child[i].child.spi_in;
            CALL(p, by, p->side[by].sa, ike_sa_rekey_child(sa, p->now, old, out));
            pair_run(p);
            assert_false(side_child(&p->side[by], old)->up);
        }
        assert_int_equal(side_live_children(&p->side[A]), IKE_CHILDREN_MAX);
        assert_agree(p);
        pair_free(p);
    }
}

/* A peer that never deletes what it rekeyed fills nothing without bound. */
static void rekeyed_child_sas_that_nobody_deletes_are_bounded(void **state) {
    (void)state;
    struct pair *p = up(true);
    for (int i = 0; i < IKE_CHILDREN_MAX + 3; i++) {
        CALL(p, A, p->side[A].sa, ike_sa_new_child(sa, p->now, &p->side[A].config.child[0], out));
        pair_run(p);
    }
    for (int i = 0; i < IKE_CHILDREN_MAX; i++) {
        struct ike_sa *a = p->side[A].sa;
        CALL(p, A, a, ike_sa_rekey_child(sa, p->now, p->side[A].child[i].child.spi_in, out));
        pair_step_from(p, A);
        pair_begin(p);
        while (p->waiting > 0) { /* the response arrives, the DELETE that follows is never said */
            pair_step_from(p, B);
            queue_clear(a);
            request_end(a);
            while (p->waiting > 0 && p->wire[0].from == A)
                pair_drop(p);
        }
        a->next_id = p->side[B].sa->expected_id;
        assert_true(children_count(p->side[B].sa) <= IKE_CHILDREN_MAX + IKE_CHILDREN_REKEYED_MAX);
        assert_true(children_count(a) <= IKE_CHILDREN_MAX + IKE_CHILDREN_REKEYED_MAX);
    }
    pair_free(p);
}

/* A connection that was gone for long: the rekey comes to its end when the old Child SA is past its own. */
static void a_child_sa_that_expires_while_its_rekey_is_outstanding_is_not_asked_for_again(void **state) {
    (void)state;
    struct pair *p = pair_new();
    struct side *a = &p->side[A];
    a->config.child[0].lifetime_ms = 40 * SECOND;
    a->config.rekey_margin_ms = 10 * SECOND;
    a->config.rekey_fuzz_percent = 0;
    a->config.dpd_delay_ms = p->side[B].config.dpd_delay_ms = 0;
    p->side[B].config.child[0].lifetime_ms = 0;
    p->reliable = true;
    pair_up(p);
    uint32_t old = side_newest(a)->child.spi_in;
    for (int i = 0; i < 45; i++) {
        p->now += SECOND;
        CALL(p, A, a->sa, ike_sa_wake(sa, p->now, out));
    }
    assert_int_equal(p->waiting, 1);
    pair_drop(p);
    CALL(p, A, a->sa, ike_sa_carried(sa, p->now, &a->address, &p->side[B].address, true, true, out));
    pair_run(p);
    assert_false(side_child(a, old)->up);
    assert_false(a->again);
    assert_int_equal(side_live_children(a), 1);
    assert_agree(p);
    pair_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K3_a_cookie_is_never_longer_than_what_asked_for_it),
        cmocka_unit_test(another_version_is_not_answered_at_length),
        cmocka_unit_test(a_refusal_is_never_longer_than_what_it_refuses),
        cmocka_unit_test(a_responder_that_has_nothing_to_compare_believes_nobody),
        cmocka_unit_test(an_ike_sa_that_waits_for_its_end_does_not_wake_for_its_child_sas),
        cmocka_unit_test(a_full_ike_sa_can_still_rekey_its_child_sas),
        cmocka_unit_test(rekeyed_child_sas_that_nobody_deletes_are_bounded),
        cmocka_unit_test(a_child_sa_that_expires_while_its_rekey_is_outstanding_is_not_asked_for_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
