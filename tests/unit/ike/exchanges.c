/* exchanges.c: whole exchanges in every algorithm: both sides agree on keys, selectors and what happened. */
#include <string.h>

#include "pair.h"

static const uint16_t groups[] = {
    KE_CURVE25519, KE_CURVE448, KE_ECP_256, KE_ECP_384, KE_ECP_521, KE_MODP_2048, KE_MODP_3072, KE_MODP_4096};

static void come_up(const struct suite *ike, const struct suite *esp) {
    struct pair *p = pair_new();
    for (int i = 0; i < 2; i++) {
        proposals_of(&p->side[i].config.proposals, PROTOCOL_IKE, ike, 1);
        proposals_of(&p->side[i].config.child_proposals, PROTOCOL_ESP, esp, 1);
    }
    pair_up(p);
    assert_agree(p);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    assert_int_equal(side_newest(&p->side[A])->child.suite.encr, esp->encr);
    struct ike_info info;
    ike_sa_info(p->side[A].sa, &info);
    assert_int_equal(info.ke, ike->ke);
    assert_int_equal(info.prf, ike->prf);
    assert_int_equal(info.suite.encr, ike->encr);
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_run(p);
    assert_agree(p);
    CALL(p, B, p->side[B].sa, ike_sa_rekey(sa, p->now, out));
    pair_run(p);
    assert_agree(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REKEYED], 1);
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_run(p);
    assert_agree(p);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    pair_free(p);
}

static void every_group_makes_an_ike_sa_rekeys_it_and_its_child_with_pfs(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
        struct suite ike = GCM, esp = {ENCR_AES_GCM_16, 128, AUTH_NONE, 0, groups[i]};
        ike.ke = groups[i];
        come_up(&ike, &esp);
    }
}

static void every_cipher_and_prf_protects_ike_and_makes_child_keys(void **state) {
    (void)state;
    static const struct suite suites[] = {
        {ENCR_AES_GCM_16, 128, AUTH_NONE, PRF_HMAC_SHA2_256, KE_CURVE25519},
        {ENCR_AES_GCM_16, 256, AUTH_NONE, PRF_HMAC_SHA2_384, KE_CURVE25519},
        {ENCR_CHACHA20_POLY1305, 0, AUTH_NONE, PRF_HMAC_SHA2_512, KE_CURVE25519},
        {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128, PRF_HMAC_SHA2_256, KE_CURVE25519},
        {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_384_192, PRF_HMAC_SHA2_384, KE_CURVE25519},
        {ENCR_AES_CBC, 256, AUTH_HMAC_SHA2_512_256, PRF_HMAC_SHA2_512, KE_CURVE25519},
    };
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        for (size_t j = 0; j < sizeof suites / sizeof suites[0]; j++) {
            struct suite esp = suites[j];
            esp.ke = KE_NONE;
            come_up(&suites[i], &esp);
        }
}

static void keys_are_told_where_asked_and_both_sides_tell_the_same(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_up(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_SECRETS] + p->side[B].count[IKE_EVENT_SECRETS], 0);
    pair_free(p);
    p = pair_new();
    p->side[A].config.keylog = p->side[B].config.keylog = true;
    for (int i = 0; i < 2; i++)
        proposals_of(&p->side[i].config.proposals, PROTOCOL_IKE, &CBC, 1);
    pair_up(p);
    for (unsigned times = 1; times <= 2; times++) {
        const struct ike_secrets *a = &p->side[A].secrets, *b = &p->side[B].secrets;
        assert_int_equal(p->side[A].count[IKE_EVENT_SECRETS], times);
        assert_int_equal(a->spi_i, ike_sa_spi_i(p->side[A].sa));
        assert_int_equal(a->spi_r, ike_sa_spi_r(p->side[A].sa));
        assert_memory_equal(a, b, sizeof *a);
        assert_memory_not_equal(a->encr_i, a->encr_r, 16);
        assert_memory_not_equal(a->integ_i, a->integ_r, 16);
        assert_memory_not_equal(a->encr_i, (uint8_t[16]){0}, 16);
        if (times == 1)
            CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
        pair_run(p);
    }
    pair_free(p);
}

static void events_come_in_order_on_both_sides(void **state) {
    (void)state;
    static const enum ike_event_kind a[] = {
        IKE_EVENT_KEYS, IKE_EVENT_AUTH_WANTED, IKE_EVENT_ESTABLISHED, IKE_EVENT_CHILD_UP};
    static const enum ike_event_kind b[] = {
        IKE_EVENT_KEYS, IKE_EVENT_AUTH_WANTED, IKE_EVENT_ESTABLISHED, IKE_EVENT_INITIAL_CONTACT, IKE_EVENT_CHILD_UP};
    struct pair *p = pair_new();
    p->side[A].config.initial_contact = true;
    pair_up(p);
    assert_int_equal(p->side[A].events, 4);
    assert_memory_equal(p->side[A].seen, a, sizeof a);
    assert_int_equal(p->side[B].events, 5);
    assert_memory_equal(p->side[B].seen, b, sizeof b);
    assert_int_equal(p->sent, 4);
    pair_free(p);
}

static void all_children_of_the_configuration_come_up_after_ike_auth(void **state) {
    (void)state;
    struct pair *p = pair_new();
    for (int i = 0; i < 2; i++) {
        struct ike_config *c = &p->side[i].config;
        c->children = 3;
        for (size_t n = 1; n < 3; n++) {
            c->child[n] = c->child[0];
            c->child[n].local.count = c->child[n].remote.count = 0;
        }
        selectors_of(i == A ? &c->child[1].local : &c->child[1].remote, "2001:db8:1::/48");
        selectors_of(i == A ? &c->child[1].remote : &c->child[1].local, "2001:db8:2::/48");
        selectors_of(i == A ? &c->child[2].local : &c->child[2].remote, "172.16.0.0/24");
        selectors_of(i == A ? &c->child[2].remote : &c->child[2].local, "172.16.1.0/24");
    }
    p->side[A].config.child[2].pfs = p->side[B].config.child[2].pfs = false;
    pair_up(p);
    assert_int_equal(side_live_children(&p->side[A]), 3);
    assert_agree(p);
    assert_int_equal(p->side[A].child[0].child.ke, KE_NONE); /* from IKE_AUTH */
    assert_int_equal(p->side[A].child[1].child.ke, KE_CURVE25519); /* PFS by the IKE SA's group */
    assert_int_equal(p->side[A].child[2].child.ke, KE_NONE);
    pair_free(p);
}

static void an_initiator_that_does_not_know_the_peers_name_asks_twice(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.remote_id.type = ID_NONE;
    pair_up(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_AUTH_WANTED], 2);
    assert_int_equal(p->side[B].count[IKE_EVENT_AUTH_WANTED], 1);
    assert_true(identity_equal(&p->side[A].wanted.auth.remote_id, &p->side[B].config.local_id));
    assert_int_equal(p->side[B].wanted.auth.local_id.type, ID_NONE); /* no IDr was sent */
    assert_agree(p);
    pair_free(p);
}

static void the_responder_may_take_another_configuration_by_the_peers_name(void **state) {
    (void)state;
    static struct ike_config other;
    struct pair *p = pair_new();
    p->side[B].manual_auth = true;
    other = p->side[B].config;
    identity_of(&p->side[B].config.remote_id, "somebody else");
    pair_start(p);
    pair_run(p);
    assert_true(identity_equal(&p->side[B].wanted.auth.remote_id, &p->side[A].config.local_id));
    assert_true(identity_equal(&p->side[B].wanted.auth.local_id, &p->side[A].config.remote_id));
    static uint8_t octets[8192];
    struct ike_auth_values values = {.config = &other};
    struct span psk = span_of(p->side[B].psk, strlen(p->side[B].psk));
    size_t length = ike_sa_local_octets(p->side[B].sa, &other.local_id, octets, sizeof octets);
    assert_true(psk_auth(PRF_HMAC_SHA2_256, psk, span_of(octets, length), values.local_auth));
    assert_true(psk_auth(PRF_HMAC_SHA2_256, psk, p->side[B].wanted.auth.remote_octets, values.expected));
    CALL(p, B, p->side[B].sa, ike_sa_auth(sa, p->now, &values, out));
    pair_run(p);
    assert_agree(p);
    assert_ptr_equal(ike_sa_config(p->side[B].sa), &other);
    pair_free(p);
}

static void the_responder_narrows_and_both_know_it(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.child[0].remote.count = 0;
    selectors_of(&p->side[A].config.child[0].remote, "0.0.0.0/0");
    pair_up(p);
    struct selector_list expected = {0};
    selectors_of(&expected, "10.2.0.0/16");
    struct ike_child *child = &side_newest(&p->side[A])->child;
    assert_int_equal(child->remote.count, 1);
    assert_true(selector_equal(&child->remote.selector[0], &expected.selector[0]));
    assert_agree(p);
    pair_free(p);
}

static void a_side_without_selectors_is_its_own_address(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.child[0].local.count = p->side[B].config.child[0].remote.count = 0;
    pair_up(p);
    struct selector_list expected = {0};
    selectors_of(&expected, "192.0.2.1/32");
    assert_true(selector_equal(&side_newest(&p->side[B])->child.remote.selector[0], &expected.selector[0]));
    assert_agree(p);
    pair_free(p);
}

static void no_nat_is_seen_where_there_is_none(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_up(p);
    for (int i = 0; i < 2; i++) {
        assert_false(p->side[i].keys.init.nat_local);
        assert_false(p->side[i].keys.init.nat_remote);
    }
    pair_free(p);
}

static void forced_encapsulation_looks_like_a_nat_to_the_peer_alone(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.force_encapsulation = true;
    pair_up(p);
    assert_true(p->side[B].keys.init.nat_remote);
    assert_false(p->side[B].keys.init.nat_local);
    assert_false(p->side[A].keys.init.nat_remote);
    assert_false(p->side[A].keys.init.nat_local);
    pair_free(p);
}

/* A NAT: the Responder sees another address than the Initiator has. */
static void K13_a_changed_port_is_a_nat_in_front_of_the_initiator(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->reliable = true;
    pair_start(p);
    p->side[A].address.port = 61234; /* as B sees it */
    pair_step(p);
    assert_true(p->side[B].keys.init.nat_remote);
    assert_false(p->side[B].keys.init.nat_local);
    p->side[A].address.port = 4500;
    pair_run(p);
    assert_true(p->side[A].keys.init.nat_local);
    assert_false(p->side[A].keys.init.nat_remote);
    assert_agree(p);
    pair_free(p);
}

static void spis_carry_the_workers_number_and_are_never_reserved(void **state) {
    (void)state;
    static const uint8_t workers[] = {0, 1, 200, 255};
    for (size_t i = 0; i < sizeof workers; i++) {
        struct pair *p = pair_new();
        pair_start(p);
        ike_sa_set_worker(p->side[A].sa, workers[i]);
        pair_run(p);
        for (int n = 0; n < 8; n++) {
            uint32_t spi = side_newest(&p->side[A])->child.spi_in;
            assert_int_equal(spi >> 24, workers[i]);
            assert_true(spi > 255);
            CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, spi, out));
            pair_run(p);
        }
        CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
        pair_run(p);
        assert_int_equal(ike_sa_spi_local(p->side[A].sa) >> 56, workers[i]);
        assert_agree(p);
        pair_free(p);
    }
}

static void L8_a_rekey_moves_the_children_and_the_old_sa_ends_by_itself(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_up(p);
    uint64_t before = ike_sa_spi_i(p->side[A].sa);
    CALL(p, B, p->side[B].sa, ike_sa_rekey(sa, p->now, out));
    pair_run(p);
    assert_agree(p);
    assert_int_not_equal(ike_sa_spi_i(p->side[A].sa), before);
    assert_int_equal(ike_sa_role(p->side[B].sa), IKE_INITIATOR); /* of the new one */
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_DOWN], 0);
    assert_int_equal(p->side[A].count[IKE_EVENT_CLOSED], 1);
    assert_int_equal(p->side[B].count[IKE_EVENT_CLOSED], 1);
    assert_int_equal(p->side[A].closed.error.origin, ORIGIN_NONE);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    pair_free(p);
}

static void a_request_that_overtakes_the_ike_auth_response_is_taken_when_it_comes_again(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_start(p);
    while (p->side[B].count[IKE_EVENT_ESTABLISHED] == 0)
        assert_true(pair_step(p));
    assert_int_equal(p->waiting, 1);
    CALL(p, B, p->side[B].sa, ike_sa_liveness(sa, p->now, out));
    assert_int_equal(p->waiting, 2);
    struct on_wire response = p->wire[0];
    p->wire[0] = p->wire[1];
    p->wire[1] = response;
    assert_true(pair_step(p));
    assert_int_equal(p->waiting, 1); /* not answered */
    assert_false(p->side[A].fresh);
    pair_run(p);
    assert_agree(p);
    assert_true(ike_sa_awaits_answer(p->side[B].sa));
    pair_wake(p, p->now + SECOND);
    assert_false(ike_sa_awaits_answer(p->side[B].sa));
    pair_free(p);
}

static void a_delete_ends_everything_on_both_sides(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_up(p);
    CALL(p, B, p->side[B].sa, ike_sa_delete(sa, p->now, out));
    pair_run(p);
    for (int i = 0; i < 2; i++) {
        assert_null(p->side[i].sa);
        assert_int_equal(side_live_children(&p->side[i]), 0);
        assert_int_equal(p->side[i].closed.error.origin, ORIGIN_NONE);
        assert_int_equal(p->side[i].closed.by_peer, i == A);
    }
    pair_free(p);
}

static void a_deleted_child_goes_on_both_sides_and_the_ike_sa_stays(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_up(p);
    CALL(p, A, p->side[A].sa, ike_sa_delete_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_run(p);
    assert_int_equal(side_live_children(&p->side[A]), 0);
    assert_agree(p);
    CALL(p, B, p->side[B].sa, ike_sa_new_child(sa, p->now, &p->side[B].config.child[0], out));
    pair_run(p);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    assert_agree(p);
    pair_free(p);
}

static void sixty_four_children_fit_and_all_end_in_a_few_calls(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.child[0].pfs = p->side[B].config.child[0].pfs = false;
    pair_up(p);
    for (int i = 0; i < IKE_CHILDREN_MAX + 3; i++) {
        CALL(p, A, p->side[A].sa, ike_sa_new_child(sa, p->now, &p->side[A].config.child[0], out));
        pair_run(p);
    }
    assert_int_equal(side_live_children(&p->side[A]), IKE_CHILDREN_MAX);
    assert_int_equal(p->side[A].count[IKE_EVENT_CHILD_FAILED], 4);
    assert_agree(p);
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    pair_run(p);
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_int_equal(p->side[B].count[IKE_EVENT_CHILD_DOWN], IKE_CHILDREN_MAX);
    pair_free(p);
}

/* The first two that are drawn are another IKE SA's: neither comes out. */
struct taken {
    uint32_t spi[2];
    unsigned asked;
};
static struct taken draws;
static bool first_two_are_taken(const void *context, uint32_t spi_in) {
    (void)context;
    if (draws.asked < 2)
        draws.spi[draws.asked] = spi_in;
    return draws.asked++ < 2;
}

static void an_esp_spi_of_another_ike_sa_is_not_chosen_even_after_a_rekey(void **state) {
    (void)state;
    struct pair *p = pair_new();
    pair_up(p);
    ike_sa_set_spi_check(p->side[A].sa, first_two_are_taken, NULL);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    pair_run(p);
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_run(p);
    assert_agree(p);
    assert_int_equal(draws.asked, 3);
    assert_int_not_equal(side_newest(&p->side[A])->child.spi_in, draws.spi[0]);
    assert_int_not_equal(side_newest(&p->side[A])->child.spi_in, draws.spi[1]);
    pair_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_group_makes_an_ike_sa_rekeys_it_and_its_child_with_pfs),
        cmocka_unit_test(every_cipher_and_prf_protects_ike_and_makes_child_keys),
        cmocka_unit_test(keys_are_told_where_asked_and_both_sides_tell_the_same),
        cmocka_unit_test(events_come_in_order_on_both_sides),
        cmocka_unit_test(all_children_of_the_configuration_come_up_after_ike_auth),
        cmocka_unit_test(an_initiator_that_does_not_know_the_peers_name_asks_twice),
        cmocka_unit_test(the_responder_may_take_another_configuration_by_the_peers_name),
        cmocka_unit_test(the_responder_narrows_and_both_know_it),
        cmocka_unit_test(a_side_without_selectors_is_its_own_address),
        cmocka_unit_test(no_nat_is_seen_where_there_is_none),
        cmocka_unit_test(forced_encapsulation_looks_like_a_nat_to_the_peer_alone),
        cmocka_unit_test(K13_a_changed_port_is_a_nat_in_front_of_the_initiator),
        cmocka_unit_test(spis_carry_the_workers_number_and_are_never_reserved),
        cmocka_unit_test(L8_a_rekey_moves_the_children_and_the_old_sa_ends_by_itself),
        cmocka_unit_test(a_request_that_overtakes_the_ike_auth_response_is_taken_when_it_comes_again),
        cmocka_unit_test(a_delete_ends_everything_on_both_sides),
        cmocka_unit_test(a_deleted_child_goes_on_both_sides_and_the_ike_sa_stays),
        cmocka_unit_test(sixty_four_children_fit_and_all_end_in_a_few_calls),
        cmocka_unit_test(an_esp_spi_of_another_ike_sa_is_not_chosen_even_after_a_rekey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
