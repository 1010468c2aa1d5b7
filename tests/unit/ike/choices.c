/* choices.c: what is chosen from an offer, and how selectors are narrowed. RFC 7296 sections 2.7, 2.9 and 3.3. */
#include <string.h>

#include "pair.h"

static void put(struct proposal_list *list, uint8_t type, uint16_t id, uint16_t bits) {
    struct proposal *p = &list->proposal[list->count - 1];
    p->transform[p->transforms++] = (struct transform){.type = type, .id = id, .key_bits = bits};
}

static void open_proposal(struct proposal_list *list, uint8_t protocol) {
    struct proposal *p = &list->proposal[list->count++];
    memset(p, 0, sizeof *p);
    p->number = (uint8_t)list->count;
    p->protocol = protocol;
    if (protocol == PROTOCOL_ESP) {
        p->spi_length = 4;
        p->spi = 0x12345678;
    }
}

/* Configured: AES-GCM-256, AES-CBC-256, ChaCha in this order, SHA2-256 and 512, X25519 and ECP-256. */
static void mixed(struct proposal_list *config) {
    const struct suite suites[] = {GCM, CBC, CHACHA};
    proposals_of(config, PROTOCOL_IKE, suites, 3);
}

static void aeads_and_others_are_proposals_of_their_own(void **state) {
    (void)state;
    struct proposal_list config, out;
    mixed(&config);
    proposals_ours(&config, PROTOCOL_IKE, KE_REQUIRED, 0, 0, &out);
    assert_int_equal(out.count, 2);
    for (size_t i = 0; i < out.count; i++) {
        assert_int_equal(out.proposal[i].number, i + 1);
        for (size_t t = 0; t < out.proposal[i].transforms; t++) {
            const struct transform *x = &out.proposal[i].transform[t];
            if (x->type == TRANSFORM_ENCR)
                assert_int_equal(cipher_is_aead(x->id), i == 0);
            if (x->type == TRANSFORM_INTEG)
                assert_int_equal(i, 1);
        }
    }
}

static void our_order_decides_and_the_peers_number_goes_back(void **state) {
    (void)state;
    struct proposal_list config, ours, theirs = {0};
    struct chosen c;
    struct error err;
    mixed(&config);
    proposals_ours(&config, PROTOCOL_IKE, KE_REQUIRED, 0, 0, &ours);
    open_proposal(&theirs, PROTOCOL_IKE);
    put(&theirs, TRANSFORM_ENCR, ENCR_AES_CBC, 256);
    put(&theirs, TRANSFORM_INTEG, AUTH_HMAC_SHA2_256_128, 0);
    put(&theirs, TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0);
    put(&theirs, TRANSFORM_KE, KE_ECP_256, 0);
    open_proposal(&theirs, PROTOCOL_IKE);
    put(&theirs, TRANSFORM_ENCR, ENCR_CHACHA20_POLY1305, 0);
    put(&theirs, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
    put(&theirs, TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0);
    put(&theirs, TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0);
    put(&theirs, TRANSFORM_KE, KE_ECP_256, 0);
    put(&theirs, TRANSFORM_KE, KE_CURVE25519, 0);
    assert_true(proposal_choose(&ours, &theirs, false, KE_NONE, &c, &err));
    assert_int_equal(c.answer.number, 2);
    assert_int_equal(c.suite.encr, ENCR_AES_GCM_16);
    assert_int_equal(c.prf, PRF_HMAC_SHA2_256);
    assert_int_equal(c.ke, KE_CURVE25519);
    assert_int_equal(c.answer.transforms, 3);
    assert_true(proposal_choose(&ours, &theirs, false, KE_ECP_256, &c, &err)); /* the guess saves a round */
    assert_int_equal(c.ke, KE_ECP_256);
    assert_true(proposal_choose(&ours, &theirs, false, KE_MODP_4096, &c, &err)); /* a guess that nobody has */
    assert_int_equal(c.ke, KE_CURVE25519);
}

static bool chosen_from(void (*fill)(struct proposal_list *)) {
    const struct suite suites[] = {
        {ENCR_AES_GCM_16, 256, AUTH_NONE, 0, KE_NONE}, {ENCR_AES_CBC, 128, AUTH_HMAC_SHA2_256_128, 0, KE_NONE}};
    struct proposal_list config, ours, theirs = {0};
    struct chosen c;
    struct error err;
    proposals_of(&config, PROTOCOL_ESP, suites, 2);
    proposals_ours(&config, PROTOCOL_ESP, KE_ABSENT, 0, 0, &ours);
    open_proposal(&theirs, PROTOCOL_ESP);
    fill(&theirs);
    return proposal_choose(&ours, &theirs, false, KE_NONE, &c, &err);
}

static void good(struct proposal_list *t) {
    put(t, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
    put(t, TRANSFORM_ESN, ESN_NO, 0);
}
static void says_none_aloud(struct proposal_list *t) {
    good(t);
    put(t, TRANSFORM_INTEG, AUTH_NONE, 0);
    put(t, TRANSFORM_KE, KE_NONE, 0);
}
static void no_esn_transform(struct proposal_list *t) {
    put(t, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
}
static void other_key_length(struct proposal_list *t) {
    put(t, TRANSFORM_ENCR, ENCR_AES_GCM_16, 128);
    put(t, TRANSFORM_ESN, ESN_NO, 0);
}
static void no_key_length(struct proposal_list *t) {
    put(t, TRANSFORM_ENCR, ENCR_AES_GCM_16, 0);
    put(t, TRANSFORM_ESN, ESN_NO, 0);
}
static void unknown_attribute(struct proposal_list *t) {
    good(t);
    t->proposal[0].transform[0].unknown = true;
}
static void unknown_type(struct proposal_list *t) {
    good(t);
    put(t, 6, 36, 0); /* an additional key exchange, RFC 9370 */
}
static void esn_only(struct proposal_list *t) {
    put(t, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
    put(t, TRANSFORM_ESN, ESN_YES, 0);
}
static void pfs_where_none_is_wanted(struct proposal_list *t) {
    good(t);
    put(t, TRANSFORM_KE, KE_ECP_256, 0);
}
static void cbc_without_integrity(struct proposal_list *t) {
    put(t, TRANSFORM_ENCR, ENCR_AES_CBC, 128);
    put(t, TRANSFORM_ESN, ESN_NO, 0);
}
static void cbc_with_no_integrity_said_aloud(struct proposal_list *t) {
    cbc_without_integrity(t);
    put(t, TRANSFORM_INTEG, AUTH_NONE, 0);
}
static void aead_with_integrity(struct proposal_list *t) {
    good(t);
    put(t, TRANSFORM_INTEG, AUTH_HMAC_SHA2_256_128, 0);
}
static void one_of_fifty(struct proposal_list *t) {
    for (uint16_t id = 1000; id < 1050; id++)
        put(t, TRANSFORM_ENCR, id, 256);
    good(t);
}
static void another_protocol(struct proposal_list *t) {
    good(t);
    t->proposal[0].protocol = PROTOCOL_AH; /* S10 */
}

static void S10_what_can_be_chosen_and_what_can_not(void **state) {
    (void)state;
    assert_true(chosen_from(good));
    assert_true(chosen_from(says_none_aloud));
    assert_true(chosen_from(no_esn_transform));
    assert_true(chosen_from(one_of_fifty));
    assert_false(chosen_from(other_key_length));
    assert_false(chosen_from(no_key_length));
    assert_false(chosen_from(unknown_attribute));
    assert_false(chosen_from(unknown_type));
    assert_false(chosen_from(esn_only));
    assert_false(chosen_from(pfs_where_none_is_wanted));
    assert_false(chosen_from(cbc_without_integrity));
    assert_false(chosen_from(cbc_with_no_integrity_said_aloud));
    assert_false(chosen_from(aead_with_integrity));
    assert_false(chosen_from(another_protocol));
}

static void a_response_must_be_one_transform_of_each_type_that_we_offered(void **state) {
    (void)state;
    struct proposal_list config, ours, answer = {0};
    struct chosen c;
    struct error err;
    mixed(&config);
    proposals_ours(&config, PROTOCOL_IKE, KE_REQUIRED, 0, 0, &ours);
    open_proposal(&answer, PROTOCOL_IKE);
    put(&answer, TRANSFORM_ENCR, ENCR_AES_GCM_16, 256);
    put(&answer, TRANSFORM_PRF, PRF_HMAC_SHA2_512, 0);
    put(&answer, TRANSFORM_KE, KE_ECP_256, 0);
    assert_true(proposal_confirm(&ours, &answer, &c, &err));
    answer.proposal[0].number = 2; /* that was the one with CBC */
    assert_false(proposal_confirm(&ours, &answer, &c, &err));
    answer.proposal[0].number = 1;
    put(&answer, TRANSFORM_PRF, PRF_HMAC_SHA2_256, 0);
    assert_false(proposal_confirm(&ours, &answer, &c, &err));
    answer.proposal[0].transforms--;
    answer.proposal[0].transform[2].id = KE_MODP_2048; /* a downgrade */
    assert_false(proposal_confirm(&ours, &answer, &c, &err));
    answer.proposal[0].transform[2].id = KE_ECP_256;
    answer.count = 2;
    answer.proposal[1] = answer.proposal[0];
    assert_false(proposal_confirm(&ours, &answer, &c, &err));
    answer.count = 0;
    assert_false(proposal_confirm(&ours, &answer, &c, &err));
}

static void offers_in_sentences_are_whole_or_say_that_there_is_more(void **state) {
    (void)state;
    struct proposal_list list = {0};
    char text[PROPOSALS_TEXT_MAX];
    assert_string_equal(proposals_text(&list, text), "nothing");
    open_proposal(&list, PROTOCOL_ESP);
    good(&list);
    assert_string_equal(proposals_text(&list, text), "ENCR_AES_GCM_16-256");
    one_of_fifty(&list);
    assert_contains(proposals_text(&list, text), " ...");
}

/* --- selectors --- */

static void narrowing_keeps_what_both_have(void **state) {
    (void)state;
    struct selector_list offered = {0}, ours = {0}, out, expected = {0};
    selectors_of(&offered, "10.0.0.0/8");
    selectors_of(&offered, "2001:db8::/32");
    selectors_of(&ours, "10.1.0.0/16");
    selectors_of(&ours, "10.2.0.0/16");
    selectors_of(&ours, "2001:db8:7::/48");
    selectors_of(&ours, "192.168.0.0/16");
    assert_true(selectors_narrow(&offered, &ours, &out));
    assert_int_equal(out.count, 3);
    selectors_of(&expected, "10.1.0.0/16");
    selectors_of(&expected, "10.2.0.0/16");
    selectors_of(&expected, "2001:db8:7::/48");
    assert_true(selectors_within(&out, &expected) && selectors_within(&expected, &out));
    assert_false(selectors_within(&offered, &expected));
    struct selector_list other = {0};
    selectors_of(&other, "172.16.0.0/12");
    assert_false(selectors_narrow(&offered, &other, &out));
}

static void narrowing_by_protocol_and_port(void **state) {
    (void)state;
    struct selector_list offered = {0}, ours = {0}, out;
    selectors_of(&offered, "10.0.0.0/8");
    selectors_of(&ours, "10.1.0.0/16");
    ours.selector[0].protocol = 6;
    ours.selector[0].port_first = ours.selector[0].port_last = 443;
    assert_true(selectors_narrow(&offered, &ours, &out));
    assert_int_equal(out.selector[0].protocol, 6);
    assert_int_equal(out.selector[0].port_first, 443);
    offered.selector[0].protocol = 17;
    assert_false(selectors_narrow(&offered, &ours, &out));
}

static void narrowing_is_bounded_and_has_no_duplicates(void **state) {
    (void)state;
    struct selector_list many = {0}, out;
    for (int i = 0; i < SELECTORS_MAX; i++)
        selectors_of(&many, "10.1.0.0/16");
    assert_true(selectors_narrow(&many, &many, &out));
    assert_int_equal(out.count, 1);
    struct selector_list ports = many;
    for (int i = 0; i < SELECTORS_MAX; i++)
        ports.selector[i].port_first = (uint16_t)i; /* 32 that differ, 1024 pairs */
    assert_true(selectors_narrow(&ports, &ports, &out));
    assert_in_range(out.count, 1, SELECTORS_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aeads_and_others_are_proposals_of_their_own),
        cmocka_unit_test(our_order_decides_and_the_peers_number_goes_back),
        cmocka_unit_test(S10_what_can_be_chosen_and_what_can_not),
        cmocka_unit_test(a_response_must_be_one_transform_of_each_type_that_we_offered),
        cmocka_unit_test(offers_in_sentences_are_whole_or_say_that_there_is_more),
        cmocka_unit_test(narrowing_keeps_what_both_have),
        cmocka_unit_test(narrowing_by_protocol_and_port),
        cmocka_unit_test(narrowing_is_bounded_and_has_no_duplicates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
