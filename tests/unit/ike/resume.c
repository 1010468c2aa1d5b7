/* resume.c: session resumption (RFC 5723) between the two state machines. */
#include <string.h>

#include "pair.h"

static struct pair *first_life(struct ike_ticket_jar **jar, struct ike_ticket *ticket) {
    struct pair *p = pair_new();
    *jar = ike_ticket_jar_new(&p->side[B].random);
    assert_non_null(*jar);
    p->side[A].config.session_resumption = p->side[B].config.session_resumption = true;
    p->side[A].config.lifetime_ms = p->side[B].config.lifetime_ms = 3600 * SECOND;
    p->side[B].tickets = *jar;
    pair_up(p);
    assert_true(ike_sa_ticket(p->side[A].sa, ticket));
    return p;
}

/* Both forget the IKE SA without a word, as when one slept. */
static void lose(struct pair *p) {
    for (int side = 0; side < 2; side++)
        pair_lose(p, side);
}

static void resume(struct pair *p, const struct ike_ticket *ticket) {
    struct side *a = &p->side[A];
    p->side[A].psk = p->side[B].psk = NULL; /* nobody asks for it, or the test fails */
    a->sa = a->all[0] =
        ike_sa_new_initiator(&a->config, 0xbeef, &a->address, &p->side[B].address, p->reliable, p->now, a->random);
    assert_true(ike_sa_resume(a->sa, ticket));
    CALL(p, A, a->sa, ike_sa_start(sa, p->now, out));
}

static void assert_resumed(struct pair *p) {
    struct ike_info info;
    assert_agree(p);
    for (int side = 0; side < 2; side++) {
        ike_sa_info(p->side[side].sa, &info);
        assert_true(info.resumed);
    }
}

static void K16_a_lost_ike_sa_is_resumed_without_a_key_and_with_its_child_sa(void **state) {
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct ike_ticket_jar *jar;
        struct ike_ticket ticket, next;
        uint8_t before[32], after[32];
        struct pair *p = first_life(&jar, &ticket);
        p->reliable = reliable;
        ike_sa_fingerprint(p->side[A].sa, before);
        lose(p);
        resume(p, &ticket);
        assert_int_equal(p->wire[0].octets[18], 38); /* IKE_SESSION_RESUME */
        pair_run(p);
        assert_resumed(p);
        ike_sa_fingerprint(p->side[A].sa, after);
        assert_memory_not_equal(before, after, 32);
        assert_true(ike_sa_ticket(p->side[A].sa, &next)); /* with another ticket for the next time */
        assert_memory_not_equal(next.octets, ticket.octets, ticket.length);
        CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
        pair_run(p);
        assert_agree(p);
        pair_free(p);
        ike_ticket_jar_free(jar);
    }
}

/* SKEYSEED and the rest by hand, as section 5.1 writes them. */
static void K16_keys_come_from_the_old_sk_d_and_both_nonces(void **state) {
    (void)state;
    struct ike_keys old = {.prf = PRF_HMAC_SHA2_256}, keys = {.prf = PRF_HMAC_SHA2_256};
    uint8_t ni[32], nr[32], spis[16] = {0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2};
    uint8_t skeyseed[PRF_MAX], seed[PRF_MAX], material[SK_MAX], expected[SK_MAX];
    memset(old.sk_d, 0x5d, 32);
    memset(ni, 1, sizeof ni);
    memset(nr, 2, sizeof nr);
    keys.suite = (struct cipher_suite){.encr = ENCR_AES_GCM_16, .key_bits = 256};
    struct key_inputs in = {
        .ni = span_of(ni, 32), .nr = span_of(nr, 32), .shared = span_of("Resumption", 10), .spi_i = 1, .spi_r = 2};
    size_t length = keys_material(keys.prf, keys.suite, &in, &old, skeyseed, material);
    struct span first[] = {span_of("Resumption", 10), span_of(ni, 32), span_of(nr, 32)};
    assert_true(prf_compute(PRF_HMAC_SHA2_256, span_of(old.sk_d, 32), first, 3, seed));
    assert_memory_equal(skeyseed, seed, 32);
    struct span second[] = {span_of(ni, 32), span_of(nr, 32), span_of(spis, 16)};
    assert_true(prf_plus(PRF_HMAC_SHA2_256, span_of(seed, 32), second, 3, expected, length));
    assert_memory_equal(material, expected, length);
}

static void K16_a_ticket_is_taken_once_and_then_a_full_handshake_follows(void **state) {
    (void)state;
    struct ike_ticket_jar *jar;
    struct ike_ticket ticket;
    struct pair *p = first_life(&jar, &ticket);
    lose(p);
    resume(p, &ticket);
    pair_run(p);
    assert_resumed(p);
    lose(p);
    resume(p, &ticket);
    p->side[A].psk = p->side[B].psk = "a secret of both";
    pair_run(p);
    assert_agree(p);
    assert_int_equal(p->side[A].retry.error.notify, NOTIFY_TICKET_NACK);
    struct ike_info info;
    ike_sa_info(p->side[A].sa, &info);
    assert_false(info.resumed);
    pair_free(p);
    ike_ticket_jar_free(jar);
}

static void K16_who_cannot_prove_sk_d_gets_nothing_and_spends_nothing(void **state) {
    (void)state;
    struct ike_ticket_jar *jar;
    struct ike_ticket ticket, stolen;
    struct pair *p = first_life(&jar, &ticket);
    lose(p);
    stolen = ticket;
    stolen.sk_d[0] ^= 1; /* the ticket was seen on the wire, its keys were not */
    resume(p, &stolen);
    pair_wake(p, p->now + 120 * SECOND);
    assert_int_equal(p->side[A].count[IKE_EVENT_ESTABLISHED], 1);
    assert_int_equal(p->side[B].count[IKE_EVENT_ESTABLISHED], 1);
    assert_null(p->side[B].sa);
    resume(p, &ticket);
    pair_run(p);
    assert_resumed(p);
    pair_free(p);
    ike_ticket_jar_free(jar);
}

/* RFC 5723 section 4.3.3: the identities are those of the ticket. */
static void K16_another_identity_of_the_gateway_resumes_nothing(void **state) {
    (void)state;
    struct ike_ticket_jar *jar;
    struct ike_ticket ticket;
    struct pair *p = first_life(&jar, &ticket);
    lose(p);
    p->side[A].config.remote_id = (struct identity){0};
    identity_of(&ticket.remote_id, "another.example"); /* it called itself that when it gave the ticket */
    resume(p, &ticket);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_ESTABLISHED], 1);
    assert_contains(p->side[A].closed.error.text, "another identity");
    pair_free(p);
    ike_ticket_jar_free(jar);
}

/* A redirect comes before the ticket is looked at, and with our nonce alone is it believed. */
static void K9_K16_who_resumes_is_redirected_by_who_saw_the_request(void **state) {
    (void)state;
    for (int forged = 0; forged < 2; forged++) {
        struct ike_ticket_jar *jar;
        struct ike_ticket ticket;
        struct pair *p = first_life(&jar, &ticket);
        lose(p);
        p->side[A].config.accept_redirect = true;
        resume(p, &ticket);
        pair_begin(p);
        assert_true(ike_redirect_first(span_of(p->wire[0].octets, p->wire[0].length), "192.0.2.7", &p->out));
        uint8_t answer[400];
        struct span sent = span_of(p->out.octets + p->out.datagram[0].at, p->out.datagram[0].length);
        assert_true(sent.length <= sizeof answer);
        memcpy(answer, sent.at, sent.length);
        answer[sent.length - 1] ^= (uint8_t)forged;
        pair_deliver(p, A, span_of(answer, sent.length));
        assert_int_equal(p->side[A].count[IKE_EVENT_REDIRECT], !forged);
        if (forged) {
            pair_run(p);
            assert_resumed(p);
        } else {
            assert_string_equal(p->side[A].redirect.gateway, "192.0.2.7");
            assert_contains(p->side[A].closed.error.text, "redirects us to 192.0.2.7");
            pair_drop(p);
        }
        pair_free(p);
        ike_ticket_jar_free(jar);
    }
}

static void K16_tickets_that_are_old_forged_or_of_another_life_are_refused(void **state) {
    (void)state;
    struct ike_ticket_jar *jar;
    struct ike_ticket ticket, out;
    uint64_t serial;
    struct pair *p = first_life(&jar, &ticket);
    struct span octets = span_of(ticket.octets, ticket.length);
    assert_true(ticket_open(jar, p->now, octets, &out, &serial));
    assert_memory_equal(out.sk_d, ticket.sk_d, 32);
    assert_false(ticket_open(jar, p->now + 3601 * SECOND, octets, &out, &serial));
    for (size_t i = 0; i < ticket.length; i++) {
        ticket.octets[i] ^= 0x10;
        assert_false(ticket_open(jar, p->now, octets, &out, &serial));
        ticket.octets[i] ^= 0x10;
        assert_false(ticket_open(jar, p->now, span_of(ticket.octets, i), &out, &serial));
    }
    ike_ticket_jar_forget(jar);
    assert_false(ticket_open(jar, p->now, octets, &out, &serial));
    pair_free(p);
    ike_ticket_jar_free(jar);
}

static void K16_a_delete_ends_the_ticket_a_rekey_does_not(void **state) {
    (void)state;
    struct ike_ticket_jar *jar;
    struct ike_ticket ticket, read;
    uint64_t serial;
    struct pair *p = first_life(&jar, &ticket);
    struct span octets = span_of(ticket.octets, ticket.length);
    CALL(p, A, p->side[A].sa, ike_sa_rekey(sa, p->now, out));
    pair_run(p);
    assert_true(ticket_open(jar, p->now, octets, &read, &serial));
    CALL(p, A, p->side[A].sa, ike_sa_delete(sa, p->now, out));
    pair_run(p);
    assert_false(ticket_open(jar, p->now, octets, &read, &serial));
    pair_free(p);
    ike_ticket_jar_free(jar);
}

static void K16_nobody_gets_a_ticket_who_did_not_ask_or_where_none_are_given(void **state) {
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct ike_ticket ticket;
        struct pair *p = pair_new();
        struct ike_ticket_jar *jar = ike_ticket_jar_new(&p->side[B].random);
        p->side[B].tickets = jar;
        p->side[side].config.session_resumption = true;
        pair_up(p);
        assert_false(ike_sa_ticket(p->side[A].sa, &ticket));
        pair_free(p);
        ike_ticket_jar_free(jar);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K16_a_lost_ike_sa_is_resumed_without_a_key_and_with_its_child_sa),
        cmocka_unit_test(K16_keys_come_from_the_old_sk_d_and_both_nonces),
        cmocka_unit_test(K16_a_ticket_is_taken_once_and_then_a_full_handshake_follows),
        cmocka_unit_test(K16_who_cannot_prove_sk_d_gets_nothing_and_spends_nothing),
        cmocka_unit_test(K16_another_identity_of_the_gateway_resumes_nothing),
        cmocka_unit_test(K9_K16_who_resumes_is_redirected_by_who_saw_the_request),
        cmocka_unit_test(K16_tickets_that_are_old_forged_or_of_another_life_are_refused),
        cmocka_unit_test(K16_a_delete_ends_the_ticket_a_rekey_does_not),
        cmocka_unit_test(K16_nobody_gets_a_ticket_who_did_not_ask_or_where_none_are_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
