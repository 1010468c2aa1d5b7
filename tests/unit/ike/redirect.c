/* redirect.c: another gateway (RFC 5685), as the two state machines say and take it. */
#include <string.h>

#include "pair.h"

static struct pair *ready(void) {
    struct pair *p = pair_new();
    p->side[A].config.accept_redirect = true;
    return p;
}

static void assert_sent_to(const struct side *s, const char *gateway) {
    assert_int_equal(s->count[IKE_EVENT_REDIRECT], 1);
    assert_string_equal(s->redirect.gateway, gateway);
}

/* The payloads of an IKE_SA_INIT message that waits. */
static bool says(const struct pair *p, uint16_t type, struct notify *out) {
    struct ike_header header;
    struct payload_list list = {0};
    struct error err;
    struct span message = span_of(p->wire[0].octets, p->wire[0].length);
    assert_true(ike_header_read(message, &header, &err));
    assert_true(payload_chain_read(header.next_payload,
        span_of(message.at + IKE_HEADER_LENGTH, message.length - IKE_HEADER_LENGTH), &list, NULL, &err));
    return notify_find(&list, type, out);
}

static void answer_with_redirect(struct pair *p, const char *gateway) {
    pair_begin(p);
    assert_true(ike_redirect_first(span_of(p->wire[0].octets, p->wire[0].length), gateway, &p->out));
    pair_took(p, B, NULL);
    pair_drop_from(p, A);
}

static void K9_a_gateway_is_an_address_or_a_name_and_nothing_else(void **state) {
    (void)state;
    static const char *const good[] = {"192.0.2.7", "2001:db8::7", "vpn2.example.net"};
    uint8_t octets[300];
    char gateway[GATEWAY_MAX];
    struct span nonce;
    struct error err;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct writer w = writer_over(octets, sizeof octets);
        redirect_write(&w, good[i], span_of("nonce", 5));
        assert_true(redirect_read(span_of(octets, w.length), gateway, &nonce, &err));
        assert_string_equal(gateway, good[i]);
        assert_int_equal(nonce.length, 5);
        for (size_t cut = 0; cut + 5 < w.length; cut++)
            assert_false(redirect_read(span_of(octets, cut), gateway, &nonce, &err));
    }
    const struct span bad[] = {span_of("\1\4\0\0\0\0", 6), span_of("\1\3\1\2\3", 5), span_of("\3\0", 2),
        span_of("\3\5a\0b.c", 7), span_of("\3\5a b.c", 7), span_of("\3\4$(x)", 6), span_of("\4\4\1\2\3\4", 6),
        span_of("\3\7"
                "1.2.3.4",
            9),
        span_of("\2\4\1\2\3\4", 6)};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(redirect_read(bad[i], gateway, &nonce, &err));
}

static void K9_only_who_accepts_says_so(void **state) {
    (void)state;
    struct notify notify;
    struct pair *p = pair_new();
    pair_start(p);
    assert_false(says(p, NOTIFY_REDIRECT_SUPPORTED, &notify));
    pair_begin(p);
    assert_false(ike_redirect_first(span_of(p->wire[0].octets, p->wire[0].length), "192.0.2.7", &p->out));
    assert_int_equal(p->out.datagrams, 0);
    pair_free(p);
    p = ready();
    pair_start(p);
    assert_true(says(p, NOTIFY_REDIRECT_SUPPORTED, &notify));
    pair_free(p);
}

static void K9_who_was_redirected_says_from_where_instead(void **state) {
    (void)state;
    struct notify notify;
    struct pair *p = ready();
    struct side *a = &p->side[A];
    a->sa = a->all[0] = ike_sa_new_initiator(&a->config, 7, &a->address, &p->side[B].address, false, p->now, a->random);
    ike_sa_redirected_from(a->sa, "192.0.2.9");
    CALL(p, A, a->sa, ike_sa_start(sa, p->now, out));
    assert_false(says(p, NOTIFY_REDIRECT_SUPPORTED, &notify));
    assert_true(says(p, NOTIFY_REDIRECTED_FROM, &notify));
    assert_int_equal(notify.data.length, 6);
    assert_memory_equal(notify.data.at, "\1\4\300\0\2\11", 6);
    answer_with_redirect(p, "vpn3.example.net"); /* it may be redirected again */
    pair_run(p);
    assert_sent_to(a, "vpn3.example.net");
    pair_free(p);
}

static void K9_ike_sa_init_is_answered_without_any_state_and_ends_there(void **state) {
    (void)state;
    struct pair *p = ready();
    pair_start(p);
    answer_with_redirect(p, "192.0.2.7");
    pair_run(p);
    assert_sent_to(&p->side[A], "192.0.2.7");
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa);
    assert_contains(p->side[A].closed.error.text, "redirects us to 192.0.2.7");
    pair_free(p);
}

static bool break_nonce(struct pair *p, struct on_wire *w) {
    (void)p;
    w->octets[w->length - 1] ^= 1;
    return true;
}

static void K9_a_redirect_without_our_nonce_is_passed_over_even_over_tcp(void **state) {
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct pair *p = ready();
        p->reliable = reliable;
        pair_start(p);
        struct on_wire request = p->wire[0];
        uint8_t copy[2000];
        memcpy(copy, request.octets, request.length);
        answer_with_redirect(p, "192.0.2.7");
        p->tap = break_nonce;
        assert_true(pair_step(p));
        p->tap = NULL;
        assert_int_equal(p->side[A].count[IKE_EVENT_REDIRECT], 0);
        assert_non_null(p->side[A].sa);
        pair_deliver(p, B, span_of(copy, request.length)); /* the true one answers */
        pair_run(p);
        assert_agree(p);
        pair_free(p);
    }
}

static void K9_ike_auth_proves_the_peer_and_then_sends_it_away(void **state) {
    (void)state;
    struct pair *p = ready();
    strcpy(p->side[B].config.redirect_to, "vpn2.example.net");
    pair_start(p);
    pair_run(p);
    assert_sent_to(&p->side[A], "vpn2.example.net");
    assert_sent_to(&p->side[B], "vpn2.example.net");
    assert_int_equal(p->side[A].count[IKE_EVENT_ESTABLISHED], 0);
    assert_int_equal(p->side[B].count[IKE_EVENT_ESTABLISHED], 0);
    assert_int_equal(p->side[B].children, 0);
    assert_null(p->side[A].sa);
    assert_null(p->side[B].sa); /* the DELETE came */
    assert_int_equal(p->side[B].closed.error.origin, ORIGIN_NONE);
    pair_free(p);
}

static void K9_a_gateway_forgets_who_left_without_a_word(void **state) {
    (void)state;
    struct pair *p = ready();
    strcpy(p->side[B].config.redirect_to, "192.0.2.7");
    pair_start(p);
    while (p->side[A].sa != NULL)
        assert_true(pair_step(p));
    pair_drop(p); /* the DELETE */
    assert_non_null(p->side[B].sa);
    pair_wake(p, p->now + 11 * SECOND);
    assert_null(p->side[B].sa);
    pair_free(p);
}

static void K9_who_cannot_be_redirected_gets_its_tunnel(void **state) {
    (void)state;
    struct pair *p = pair_new();
    strcpy(p->side[B].config.redirect_to, "192.0.2.7");
    pair_up(p);
    assert_agree(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REDIRECT], 0);
    CALL(p, B, p->side[B].sa, ike_sa_redirect(sa, p->now, "192.0.2.7", out));
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REDIRECT], 0);
    pair_free(p);
}

static void K9_a_wrong_key_is_no_redirect(void **state) {
    (void)state;
    struct pair *p = ready();
    strcpy(p->side[B].config.redirect_to, "192.0.2.7");
    p->side[B].psk = "another";
    pair_start(p);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_REDIRECT], 0);
    assert_int_equal(p->side[B].count[IKE_EVENT_REDIRECT], 0);
    assert_null(p->side[A].sa);
    pair_free(p);
}

static void K9_an_established_ike_sa_is_redirected_and_lives_on(void **state) {
    (void)state;
    struct pair *p = ready();
    pair_up(p);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out)); /* a successor knows it too */
    pair_run(p);
    CALL(p, B, p->side[B].sa, ike_sa_redirect(sa, p->now, "2001:db8::7", out));
    pair_run(p);
    assert_sent_to(&p->side[A], "2001:db8::7");
    assert_agree(p);
    assert_false(ike_sa_awaits_answer(p->side[B].sa));
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    pair_run(p);
    assert_null(p->side[B].sa);
    pair_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K9_a_gateway_is_an_address_or_a_name_and_nothing_else),
        cmocka_unit_test(K9_only_who_accepts_says_so),
        cmocka_unit_test(K9_who_was_redirected_says_from_where_instead),
        cmocka_unit_test(K9_ike_sa_init_is_answered_without_any_state_and_ends_there),
        cmocka_unit_test(K9_a_redirect_without_our_nonce_is_passed_over_even_over_tcp),
        cmocka_unit_test(K9_ike_auth_proves_the_peer_and_then_sends_it_away),
        cmocka_unit_test(K9_a_gateway_forgets_who_left_without_a_word),
        cmocka_unit_test(K9_who_cannot_be_redirected_gets_its_tunnel),
        cmocka_unit_test(K9_a_wrong_key_is_no_redirect),
        cmocka_unit_test(K9_an_established_ike_sa_is_redirected_and_lives_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
