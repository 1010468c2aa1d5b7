/* refusals.c: everything that one side may not like, and what both sides say about it. */
#include <stdlib.h>
#include <string.h>

#include "pair.h"

static void offer(struct pair *p, int side, const struct suite *ike) {
    proposals_of(&p->side[side].config.proposals, PROTOCOL_IKE, ike, 1);
}

static void esp(struct pair *p, int side, struct suite suite) {
    proposals_of(&p->side[side].config.child_proposals, PROTOCOL_ESP, &suite, 1);
}

static void lists_add(struct ike_config *c, uint8_t type, uint16_t id) {
    struct proposal *q = &c->proposals.proposal[0];
    q->transform[q->transforms++] = (struct transform){.type = type, .id = id};
}

static void assert_both_gone(struct pair *p) {
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_int_equal(p->side[A].count[IKE_EVENT_CLOSED], 1);
    assert_int_equal(p->side[B].count[IKE_EVENT_CLOSED], 1);
}

/* --- IKE_SA_INIT --- */

static void K4_no_common_proposal_is_believed_at_once_over_tcp_and_both_offers_are_named(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->reliable = true;
    offer(p, B, &CBC);
    pair_start(p);
    pair_run(p);
    assert_both_gone(p);
    assert_contains(p->side[A].closed.error.text, "NO_PROPOSAL_CHOSEN");
    assert_contains(p->side[A].closed.error.text, "ENCR_AES_GCM_16-256");
    assert_contains(p->side[B].closed.error.text, "the peer offers ENCR_AES_GCM_16-256");
    assert_contains(p->side[B].closed.error.text, "we accept ENCR_AES_CBC-256");
    assert_false(p->side[A].closed.timed_out);
    pair_free(p);
}

static void K4_no_common_proposal_is_reported_after_the_timeout_over_udp(void **state) {
    (void)state;
    struct pair *p = pair_new();
    offer(p, B, &CBC);
    pair_start(p);
    pair_run(p);
    assert_non_null(p->side[A].sa); /* a better answer may still come */
    pair_wake(p, p->now + 59 * SECOND);
    assert_non_null(p->side[A].sa);
    pair_wake(p, p->now + 2 * SECOND);
    assert_null(p->side[A].sa);
    assert_contains(p->side[A].closed.error.text, "NO_PROPOSAL_CHOSEN");
    pair_free(p);
}

/* A forged refusal arrives first, then the real answer. */
static void K4_a_better_answer_after_a_forged_refusal_wins_over_udp(void **state) {
    (void)state;
    struct pair *p = pair_new(), *liar = pair_new();
    offer(liar, B, &CBC);
    pair_start(p);
    pair_deliver(liar, B, span_of(p->wire[0].octets, p->wire[0].length)); /* SPI and all are A's */
    assert_int_equal(liar->waiting, 1);
    pair_deliver(p, A, span_of(liar->wire[0].octets, liar->wire[0].length));
    pair_run(p);
    assert_agree(p);
    pair_free(p);
    pair_free(liar);
}

static void K12_another_group_is_asked_for_and_taken_with_the_same_spi(void **state) {
    (void)state;
    struct pair *p = pair_new();
    lists_add(&p->side[A].config, TRANSFORM_KE, KE_ECP_256);
    struct suite ecp = GCM;
    ecp.ke = KE_ECP_256;
    offer(p, B, &ecp);
    pair_start(p);
    pair_run(p);
    assert_agree(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_RETRY], 1);
    assert_contains(p->side[A].retry.error.text, "KE_ECP_256");
    assert_int_equal(ike_sa_spi_i(p->side[A].sa), 0xa11ce);
    assert_int_equal(p->side[B].closed.error.notify, NOTIFY_INVALID_KE_PAYLOAD); /* its first state */
    pair_free(p);
}

static uint8_t *payload_at(struct on_wire *w, uint8_t type, size_t *length) {
    struct payload_list list = {0};
    struct error err;
    assert_true(payload_chain_read(w->octets[16], span_of(w->octets + 28, w->length - 28), &list, NULL, &err));
    const struct payload *payload = payload_find(&list, type, 0);
    assert_non_null(payload);
    *length = payload->body.length;
    return w->octets + (payload->body.at - w->octets);
}

/* Answers every IKE_SA_INIT with one notification. */
static void answer_with(struct pair *p, uint16_t type, const void *data, size_t length) {
    uint8_t octets[256];
    struct ike_header h;
    struct error err;
    assert_true(ike_header_read(span_of(p->wire[0].octets, p->wire[0].length), &h, &err));
    h.flags = IKE_FLAG_RESPONSE;
    struct writer w = writer_over(octets, sizeof octets);
    struct message_writer m = message_begin(&w, &h);
    notify_add(&m, type, span_of(data, length));
    message_end(&m);
    pair_drop(p);
    pair_deliver(p, A, span_of(octets, w.length));
}

static void a_group_that_we_did_not_offer_ends_the_attempt(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->reliable = true;
    pair_start(p);
    answer_with(p, NOTIFY_INVALID_KE_PAYLOAD, "\x00\x05", 2);
    assert_null(p->side[A].sa);
    assert_contains(p->side[A].closed.error.text, "did not offer");
    pair_free(p);
}

static void groups_that_are_asked_for_in_turns_end_the_attempt(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->reliable = true;
    lists_add(&p->side[A].config, TRANSFORM_KE, KE_ECP_256);
    pair_start(p);
    for (int i = 0; i < INIT_RETRIES_MAX; i++) {
        answer_with(p, NOTIFY_INVALID_KE_PAYLOAD, i % 2 == 0 ? "\x00\x13" : "\x00\x1f", 2);
        assert_non_null(p->side[A].sa);
        assert_int_equal(p->waiting, 1);
    }
    answer_with(p, NOTIFY_INVALID_KE_PAYLOAD, "\x00\x13", 2);
    assert_null(p->side[A].sa);
    pair_free(p);
}

static void a_cookie_comes_back_first_with_the_same_spi_and_nonce(void **state) {
    (void)state;
    struct pair *p = pair_new();
    size_t length, again;
    pair_start(p);
    uint8_t nonce[64], *at = payload_at(&p->wire[0], PAYLOAD_NONCE, &length);
    memcpy(nonce, at, length);
    answer_with(p, NOTIFY_COOKIE, "biscuit", 7);
    assert_int_equal(p->waiting, 1);
    at = payload_at(&p->wire[0], PAYLOAD_NONCE, &again);
    assert_int_equal(length, again);
    assert_memory_equal(nonce, at, length);
    assert_int_equal(p->wire[0].octets[16], PAYLOAD_NOTIFY);
    at = payload_at(&p->wire[0], PAYLOAD_NOTIFY, &again);
    assert_memory_equal(at + again - 7, "biscuit", 7);
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

static void cookies_without_end_end_the_attempt(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->reliable = true;
    pair_start(p);
    for (int i = 0; i < INIT_RETRIES_MAX; i++)
        answer_with(p, NOTIFY_COOKIE, &i, sizeof i);
    assert_non_null(p->side[A].sa);
    answer_with(p, NOTIFY_COOKIE, "biscuit", 7);
    assert_null(p->side[A].sa);
    pair_free(p);
}

static void the_jar_gives_a_cookie_and_takes_it_until_its_secret_is_old(void **state) {
    (void)state;
    struct pair *p = pair_new();
    struct ike_cookie_jar jar;
    struct random_source random = p->side[B].random;
    struct address a = p->side[A].address, other_port = a, elsewhere = address_of("192.0.2.9", 4500);
    other_port.port = 999;
    ike_cookie_jar_init(&jar, p->now, &random);
    pair_start(p);
    pair_begin(p);
    assert_false(ike_cookie_check(&jar, p->now, &random, span_of(p->wire[0].octets, p->wire[0].length), &a, &p->out));
    assert_int_equal(p->out.datagrams, 1);
    static uint8_t answer[256];
    size_t length = p->out.datagram[0].length;
    memcpy(answer, p->octets, length);
    pair_drop(p);
    pair_deliver(p, A, span_of(answer, length));
    struct span repeat = span_of(p->wire[0].octets, p->wire[0].length);
    pair_begin(p);
    assert_true(ike_cookie_check(&jar, p->now + SECOND, &random, repeat, &a, &p->out));
    assert_true(ike_cookie_check(&jar, p->now + SECOND, &random, repeat, &other_port, &p->out)); /* K3 */
    assert_false(ike_cookie_check(&jar, p->now + SECOND, &random, repeat, &elsewhere, &p->out));
    assert_true(ike_cookie_check(&jar, p->now + 61 * SECOND, &random, repeat, &a, &p->out));
    assert_false(ike_cookie_check(&jar, p->now + 122 * SECOND, &random, repeat, &a, &p->out));
    for (size_t n = 0; n < repeat.length; n++) { /* no cut makes it valid, or worth more than silence */
        pair_begin(p);
        assert_false(ike_cookie_check(&jar, p->now + 123 * SECOND, &random, span_of(repeat.at, n), &a, &p->out));
    }
    pair_run(p);
    pair_free(p);
}

static void K12_another_major_version_is_told_ours(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    p->wire[0].octets[17] = 0x30;
    pair_begin(p);
    assert_false(ike_is_first_request(span_of(p->wire[0].octets, p->wire[0].length), &p->out));
    assert_int_equal(p->out.datagrams, 1);
    assert_int_equal(p->octets[17], IKE_VERSION);
    p->reliable = true;
    p->side[A].sa->reliable = true;
    static uint8_t answer[64];
    size_t length = p->out.datagram[0].length;
    memcpy(answer, p->octets, length);
    pair_deliver(p, A, span_of(answer, length));
    assert_null(p->side[A].sa);
    assert_contains(p->side[A].closed.error.text, "INVALID_MAJOR_VERSION");
    pair_free(p);
}

static void a_first_message_of_IKEv1_is_not_worth_an_answer(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    p->wire[0].octets[17] = 0x10;
    pair_begin(p);
    assert_false(ike_is_first_request(span_of(p->wire[0].octets, p->wire[0].length), &p->out));
    assert_int_equal(p->out.datagrams, 0);
    pair_free(p);
}

static void C2_a_late_answer_to_another_spi_is_not_ours(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    pair_step(p);
    p->wire[0].octets[7] ^= 1; /* of an attempt before */
    pair_begin(p);
    ike_sa_receive(p->side[A].sa, p->now, span_of(p->wire[0].octets, p->wire[0].length), &p->side[A].address,
        &p->side[B].address, false, &p->out);
    assert_int_equal(p->out.events, 0);
    assert_int_equal(ike_sa_state(p->side[A].sa), IKE_STATE_INIT);
    pair_free(p);
}

/* --- IKE_AUTH --- */

static void another_pre_shared_key_is_said_so_on_both_sides(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[B].psk = "another secret";
    pair_start(p);
    pair_run(p);
    assert_both_gone(p);
    assert_contains(p->side[B].closed.error.text, "authentication failed: the pre-shared key differs from the peer's");
    assert_contains(p->side[A].closed.error.text, "authentication failed: the peer refuses us");
    assert_int_equal(p->side[A].count[IKE_EVENT_ESTABLISHED] + p->side[B].count[IKE_EVENT_ESTABLISHED], 0);
    pair_free(p);
}

/* The Responder knows what the Initiator proves, but can't prove itself. */
static void a_responder_that_proves_nothing_is_told_AUTHENTICATION_FAILED(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[B].manual_auth = true;
    pair_start(p);
    pair_run(p);
    static uint8_t octets[8192];
    struct ike_auth_values values = {0};
    struct span psk = span_of(p->side[B].psk, strlen(p->side[B].psk));
    size_t length = ike_sa_local_octets(p->side[B].sa, &p->side[B].config.local_id, octets, sizeof octets);
    assert_true(psk_auth(PRF_HMAC_SHA2_256, psk, span_of(octets, length), values.local_auth));
    assert_true(psk_auth(PRF_HMAC_SHA2_256, psk, p->side[B].wanted.auth.remote_octets, values.expected));
    values.local_auth[31] ^= 1;
    CALL(p, B, p->side[B].sa, ike_sa_auth(sa, p->now, &values, out));
    assert_int_equal(p->side[B].count[IKE_EVENT_ESTABLISHED], 1);
    pair_run(p);
    assert_both_gone(p);
    assert_contains(p->side[A].closed.error.text, "the pre-shared key differs");
    assert_contains(p->side[B].closed.error.text, "AUTHENTICATION_FAILED");
    assert_int_equal(p->side[A].count[IKE_EVENT_ESTABLISHED], 0);
    assert_int_equal(side_live_children(&p->side[B]), 0);
    pair_free(p);
}

static void another_name_than_the_configured_is_refused_by_name(void **state) {
    (void)state;
    struct pair *p = pair_new();
    identity_of(&p->side[B].config.remote_id, "north");
    pair_start(p);
    pair_run(p);
    assert_both_gone(p);
    assert_contains(p->side[B].closed.error.text, "the peer says it is @west; the configuration expects @north");
    pair_free(p);

    p = pair_new();
    identity_of(&p->side[A].config.remote_id, "south");
    pair_start(p);
    pair_run(p);
    assert_both_gone(p);
    assert_contains(p->side[B].closed.error.text, "the peer asks for @south; we are @east");
    pair_free(p);
}

static void a_peer_without_a_key_is_refused_and_both_say_why(void **state) {
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct pair *p = pair_new();
        p->side[side].psk = NULL;
        pair_start(p);
        pair_run(p);
        assert_null(p->side[side].sa);
        assert_contains(p->side[side].closed.error.text, "no pre-shared key for this peer");
        pair_wake(p, p->now + 61 * SECOND);
        assert_both_gone(p);
        pair_free(p);
    }
}

static void a_refused_child_leaves_the_ike_sa_up_and_both_know_why(void **state) {
    (void)state;
    struct pair *p = pair_new();
    esp(p, B, (struct suite){ENCR_CHACHA20_POLY1305, 0, AUTH_NONE, 0, KE_NONE});
    pair_up(p);
    assert_agree(p);
    assert_int_equal(side_live_children(&p->side[A]), 0);
    assert_contains(p->side[A].failed.error.text, "NO_PROPOSAL_CHOSEN");
    assert_contains(p->side[B].failed.error.text, "we accept ENCR_CHACHA20_POLY1305");
    assert_ptr_equal(p->side[A].failed.child_config, &p->side[A].config.child[0]);
    pair_free(p);

    p = pair_new();
    p->side[B].config.child[0].remote.count = 0;
    selectors_of(&p->side[B].config.child[0].remote, "172.16.0.0/12");
    pair_up(p);
    assert_int_equal(side_live_children(&p->side[A]), 0);
    assert_contains(p->side[A].failed.error.text, "TS_UNACCEPTABLE");
    assert_contains(p->side[B].failed.error.text, "10.1.0.0");
    pair_free(p);
}

static void an_initiator_without_children_says_so(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.children = 0;
    pair_start(p);
    pair_run(p);
    assert_null(p->side[A].sa);
    assert_contains(p->side[A].closed.error.text, "no Child SA to ask for");
    pair_free(p);
}

/* --- CREATE_CHILD_SA --- */

static void a_child_with_another_pfs_group_costs_one_round_more(void **state) {
    (void)state;
    struct pair *p = pair_new();
    struct suite both[] = {
        {ENCR_AES_GCM_16, 256, AUTH_NONE, 0, KE_ECP_384}, {ENCR_AES_GCM_16, 256, AUTH_NONE, 0, KE_ECP_256}};
    proposals_of(&p->side[A].config.child_proposals, PROTOCOL_ESP, both, 2);
    esp(p, B, both[1]);
    pair_up(p);
    size_t before = p->sent;
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_run(p);
    assert_int_equal(p->sent - before, 6); /* refused, made, deleted */
    assert_int_equal(side_newest(&p->side[A])->child.ke, KE_ECP_256);
    assert_agree(p);
    pair_free(p);
}

static void a_refused_rekey_keeps_the_old_child_and_tries_later(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.child[0].lifetime_ms = 100 * SECOND;
    pair_up(p);
    esp(p, B, (struct suite){ENCR_CHACHA20_POLY1305, 0, AUTH_NONE, 0, KE_NONE});
    uint32_t spi = side_newest(&p->side[A])->child.spi_in;
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, spi, out));
    pair_run(p);
    assert_true(side_child(&p->side[A], spi)->up);
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_FAILED], 1);
    assert_contains(p->side[A].failed.error.text, "needs pfs=no here");
    esp(p, B, (struct suite){ENCR_AES_GCM_16, 256, AUTH_NONE, 0, KE_NONE});
    pair_wake(p, p->now + 30 * SECOND);
    assert_false(side_child(&p->side[A], spi)->up);
    assert_agree(p);
    pair_free(p);
}

static void pfs_that_one_side_alone_wants(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[B].config.child[0].pfs = false; /* takes it when offered */
    pair_up(p);
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_run(p);
    assert_int_equal(side_newest(&p->side[A])->child.ke, KE_CURVE25519);
    assert_agree(p);
    CALL(p, B, p->side[B].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[B])->child.spi_in, out));
    pair_run(p); /* A insists */
    assert_contains(p->side[B].failed.error.text, "NO_PROPOSAL_CHOSEN");
    assert_contains(p->side[B].failed.error.text, "by pfs=yes");
    assert_int_equal(side_live_children(&p->side[B]), 1);
    assert_agree(p);
    pair_free(p);
}

/* RFC 7619: well-formed, so it is no matter of syntax. */
static void who_stays_anonymous_is_not_authenticated(void **state) {
    (void)state;
    for (int side = A; side <= B; side++) {
        struct pair *p = pair_new();
        p->reliable = true;
        p->side[side].config.local_id = (struct identity){.type = ID_NULL};
        p->side[!side].config.remote_id = (struct identity){0};
        if (side == B)
            p->side[B].config.remote_id = (struct identity){0};
        pair_start(p);
        pair_run(p);
        assert_both_gone(p);
        assert_contains(p->side[!side].closed.error.text, "anonymous (ID_NULL)");
        assert_int_equal(p->side[!side].closed.error.notify, NOTIFY_AUTHENTICATION_FAILED);
        assert_contains(p->side[side].closed.error.text, "AUTHENTICATION_FAILED");
        pair_free(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K4_no_common_proposal_is_believed_at_once_over_tcp_and_both_offers_are_named),
        cmocka_unit_test(who_stays_anonymous_is_not_authenticated),
        cmocka_unit_test(K4_no_common_proposal_is_reported_after_the_timeout_over_udp),
        cmocka_unit_test(K4_a_better_answer_after_a_forged_refusal_wins_over_udp),
        cmocka_unit_test(K12_another_group_is_asked_for_and_taken_with_the_same_spi),
        cmocka_unit_test(a_group_that_we_did_not_offer_ends_the_attempt),
        cmocka_unit_test(groups_that_are_asked_for_in_turns_end_the_attempt),
        cmocka_unit_test(a_cookie_comes_back_first_with_the_same_spi_and_nonce),
        cmocka_unit_test(cookies_without_end_end_the_attempt),
        cmocka_unit_test(the_jar_gives_a_cookie_and_takes_it_until_its_secret_is_old),
        cmocka_unit_test(K12_another_major_version_is_told_ours),
        cmocka_unit_test(a_first_message_of_IKEv1_is_not_worth_an_answer),
        cmocka_unit_test(C2_a_late_answer_to_another_spi_is_not_ours),
        cmocka_unit_test(another_pre_shared_key_is_said_so_on_both_sides),
        cmocka_unit_test(a_responder_that_proves_nothing_is_told_AUTHENTICATION_FAILED),
        cmocka_unit_test(another_name_than_the_configured_is_refused_by_name),
        cmocka_unit_test(a_peer_without_a_key_is_refused_and_both_say_why),
        cmocka_unit_test(a_refused_child_leaves_the_ike_sa_up_and_both_know_why),
        cmocka_unit_test(an_initiator_without_children_says_so),
        cmocka_unit_test(a_child_with_another_pfs_group_costs_one_round_more),
        cmocka_unit_test(a_refused_rekey_keeps_the_old_child_and_tries_later),
        cmocka_unit_test(pfs_that_one_side_alone_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
