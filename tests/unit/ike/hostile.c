/* hostile.c: cut, corrupted, repeated, unknown and overlong messages; fragments. Run under the address sanitizer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

static struct pair *up(bool reliable) {
    struct pair *p = pair_new();
    p->reliable = reliable;
    pair_up(p);
    return p;
}

/* The messages of a session one by one; before each is delivered, `attack` may throw variants of it at the receiver. */
struct variant {
    void (*attack)(struct pair *, const struct on_wire *);
    const struct suite *ike;
};

static void session(const struct variant *v) {
    struct pair *p = pair_new();
    for (int i = 0; i < 2; i++)
        proposals_of(&p->side[i].config.proposals, PROTOCOL_IKE, v->ike, 1);
    pair_start(p);
    for (int n = 0; n < 40; n++) {
        struct side *a = &p->side[A], *b = &p->side[B];
        if (p->waiting == 0 && n < 30) {
            assert_agree(p);
            switch (n % 4) {
            case 0:
                CALL(p, A, a->sa, ike_sa_rekey_child(sa, p->now, side_newest(a)->child.spi_in, out));
                break;
            case 1:
                CALL(p, B, b->sa, ike_sa_rekey(sa, p->now, out));
                break;
            case 2:
                CALL(p, A, a->sa, ike_sa_new_child(sa, p->now, &a->config.child[0], out));
                break;
            default:
                CALL(p, B, b->sa, ike_sa_liveness(sa, p->now, out));
                break;
            }
        }
        if (p->waiting == 0)
            break;
        v->attack(p, &p->wire[0]);
        pair_step(p);
    }
    pair_run(p);
    assert_agree(p);
    assert_int_equal(p->side[A].closed.error.origin, ORIGIN_NONE);
    assert_int_equal(p->side[B].closed.error.origin, ORIGIN_NONE);
    pair_free(p);
}

/* Gives the variant to the receiver, if that has state for it; what it makes of it must be nothing. */
static void throw_at(struct pair *p, const struct on_wire *w, const uint8_t *octets, size_t length) {
    int to = !w->from;
    struct side *s = &p->side[to];
    if (s->sa == NULL)
        return;
    uint8_t *exact = malloc(length + 1); /* so that one octet beyond is seen */
    memcpy(exact, octets, length);
    size_t waiting = p->waiting, events = s->events;
    pair_deliver(p, to, span_of(exact, length));
    free(exact);
    assert_int_equal(s->events, events);
    assert_false(s->fresh);
    while (p->waiting > waiting) { /* a stored response may come out */
        struct on_wire *last = &p->wire[--p->waiting];
        free(last->octets);
    }
}

static void cut(struct pair *p, const struct on_wire *w) {
    static uint8_t copy[65536];
    for (size_t n = 0; n < w->length; n++) {
        memcpy(copy, w->octets, n);
        throw_at(p, w, copy, n);
        if (n < IKE_HEADER_LENGTH)
            continue;
        copy[24] = copy[25] = 0; /* the header says so too */
        copy[26] = (uint8_t)(n >> 8);
        copy[27] = (uint8_t)n;
        if (w->octets[18] != IKE_SA_INIT) /* those are not protected: see below */
            throw_at(p, w, copy, n);
    }
}

static void L10_no_cut_of_any_message_is_taken(void **state) {
    (void)state;
    session(&(struct variant){cut, &GCM});
    session(&(struct variant){cut, &CBC});
}

static void corrupt(struct pair *p, const struct on_wire *w) {
    static uint8_t copy[65536];
    static uint64_t seed = 1;
    struct random_source random = random_seeded(&seed);
    if (w->octets[18] == IKE_SA_INIT)
        return;
    for (int i = 0; i < 300; i++) {
        memcpy(copy, w->octets, w->length);
        size_t at = 17 + random_u32(&random) % (w->length - 17); /* all but the SPIs and the first type */
        uint8_t change = (uint8_t)(1U << random_u32(&random) % 8);
        if (at == 17 && (change & 0xf0) == 0)
            continue; /* a minor version is passed over (section 2.5), but covered by the ICV */
        copy[at] ^= change;
        throw_at(p, w, copy, w->length);
        assert_false(p->side[!w->from].authentic);
    }
}

static void L10_no_flipped_bit_of_a_protected_message_is_taken(void **state) {
    (void)state;
    session(&(struct variant){corrupt, &GCM});
    session(&(struct variant){corrupt, &CBC});
    session(&(struct variant){corrupt, &CHACHA});
}

static void L10_a_wrong_icv_is_corrupt_and_an_unprotected_message_is_not(void **state) {
    (void)state;
    struct pair *p = up(true);
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
    static uint8_t copy[4096];
    size_t length = p->wire[0].length;
    memcpy(copy, p->wire[0].octets, length);
    copy[length - 1] ^= 1;
    pair_deliver(p, B, span_of(copy, length));
    assert_true(p->side[B].corrupt);
    assert_false(p->side[B].authentic);
    struct ike_header h;
    struct error err;
    assert_true(ike_header_read(span_of(p->wire[0].octets, length), &h, &err));
    struct writer w = writer_over(copy, sizeof copy);
    struct message_writer m = message_begin(&w, &h);
    notify_add(&m, NOTIFY_AUTHENTICATION_FAILED, span_of(NULL, 0));
    message_end(&m);
    pair_deliver(p, B, span_of(copy, w.length));
    assert_false(p->side[B].corrupt);
    assert_false(p->side[B].authentic);
    assert_non_null(p->side[B].sa);
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

/* IKE_SA_INIT is not protected: whatever comes may end the attempt, but nothing else. */
static void every_cut_and_many_corruptions_of_ike_sa_init_do_no_harm(void **state) {
    (void)state;
    uint64_t seed = 77;
    struct random_source random = random_seeded(&seed);
    struct pair *whole = pair_new();
    pair_start(whole);
    for (int which = 0; which < 2; which++) {
        size_t length = whole->wire[0].length;
        for (size_t n = 0; n < length + 1500; n++) {
            struct pair *p = pair_new();
            p->side[A].seed = p->side[B].seed = 4711;
            p->reliable = n % 2 == 0;
            pair_start(p);
            uint8_t *copy = malloc(length);
            memcpy(copy, whole->wire[0].octets, length);
            size_t cut_to = n < length ? n : length;
            if (n >= length)
                for (unsigned i = 0; i <= n % 4; i++)
                    copy[16 + random_u32(&random) % (length - 16)] = (uint8_t)random_u32(&random);
            if (cut_to >= IKE_HEADER_LENGTH) {
                copy[26] = (uint8_t)(cut_to >> 8);
                copy[27] = (uint8_t)cut_to;
            }
            uint8_t *exact = malloc(cut_to + 1);
            memcpy(exact, copy, cut_to);
            pair_deliver(p, which == 0 ? B : A, span_of(exact, cut_to));
            free(exact);
            free(copy);
            if (which == 1 && p->side[A].sa == NULL)
                assert_int_not_equal(p->side[A].closed.error.origin, ORIGIN_NONE);
            pair_free(p);
        }
        pair_step(whole);
    }
    pair_free(whole);
}

/* --- what an authentic peer may do wrong: sealed by the true keys of A --- */

struct forged {
    uint8_t octets[4096];
    struct writer w;
    uint8_t first;
    struct message_writer m;
};

static void forge_begin(struct forged *f) {
    f->w = writer_over(f->octets, sizeof f->octets);
    f->m = chain_begin(&f->w, &f->first);
}

static void forge_send(struct pair *p, struct forged *f, uint8_t exchange) {
    struct ike_sa *sa = p->side[A].sa;
    struct ike_header h = {.spi_i = sa->spi_i,
        .spi_r = sa->spi_r,
        .version = IKE_VERSION,
        .exchange = exchange,
        .flags = IKE_FLAG_INITIATOR,
        .message_id = sa->next_id++};
    struct sealed sealed;
    struct error err;
    assert_true(seal(sa, &h, f->first, span_of(f->octets, f->w.length), &sealed, &err));
    pair_deliver(p, B, span_of(sealed.octets, sealed.whole));
    sealed_free(&sealed);
}

/* The response of B, opened by A's keys: the type of its only notification. */
static uint16_t notify_answered(struct pair *p, uint8_t *data, size_t *length) {
    struct on_wire *w = &p->wire[p->waiting - 1];
    struct inbound *in = inbound_new(span_of(w->octets, w->length));
    struct error err;
    struct notify notify;
    assert_true(ike_header_read(span_of(w->octets, w->length), &in->header, &err));
    assert_int_equal(inbound_open(p->side[A].sa, in), OPENED);
    struct payload_list list = {0};
    assert_true(payload_chain_read(in->first, in->inner, &list, NULL, &err));
    uint16_t type = 0;
    const struct payload *payload = payload_find(&list, PAYLOAD_NOTIFY, 0);
    if (payload != NULL) {
        assert_true(notify_read(payload->body, &notify, &err));
        type = notify.type;
        if (data != NULL)
            memcpy(data, notify.data.at, *length = notify.data.length);
    }
    inbound_free(in);
    while (p->waiting > 0)
        pair_drop(p);
    return type;
}

static void unknown_critical_payloads_are_named_and_the_ike_sa_lives(void **state) {
    (void)state;
    struct pair *p = up(true);
    struct forged f;
    uint8_t data[16];
    size_t length = 0;
    forge_begin(&f);
    payload_add(&f.m, 201, span_of("?", 1));
    f.octets[1] = 0x80;
    forge_send(p, &f, INFORMATIONAL);
    assert_int_equal(notify_answered(p, data, &length), NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD);
    assert_int_equal(length, 1);
    assert_int_equal(data[0], 201);
    assert_non_null(p->side[B].sa);
    forge_begin(&f); /* not critical: passed over, wherever it stands */
    payload_add(&f.m, 201, span_of("?", 1));
    payload_add(&f.m, PAYLOAD_VENDOR, span_of("somebody", 8));
    notify_add(&f.m, 40000, span_of("status", 6));
    forge_send(p, &f, INFORMATIONAL);
    assert_int_equal(notify_answered(p, NULL, NULL), 0);
    assert_non_null(p->side[B].sa);
    pair_free(p);
}

/* RFC 6311 is not negotiated: IKEV2_MESSAGE_ID_SYNC (16422) changes no Message ID, and nobody asks when idle for its sake. */
static void K17_message_ids_are_not_synchronised_on_the_word_of_a_peer(void **state) {
    (void)state;
    struct pair *p = up(true);
    struct forged f;
    forge_begin(&f);
    notify_add(&f.m, 16422, span_of("\1\2\3\4\0\0\1\0\0\0\1\0", 12));
    forge_send(p, &f, INFORMATIONAL);
    assert_int_equal(notify_answered(p, NULL, NULL), 0);
    assert_non_null(p->side[B].sa);
    forge_begin(&f); /* the next one in turn is still the next one */
    forge_send(p, &f, INFORMATIONAL);
    assert_int_equal(notify_answered(p, NULL, NULL), 0);
    for (int side = A; side <= B; side++) {
        pair_wake(p, p->now + 600 * SECOND); /* no dpddelay: silence */
        assert_int_equal(p->waiting, 0);
    }
    pair_free(p);
}

static void assert_ended_by_syntax(struct pair *p) {
    assert_int_equal(notify_answered(p, NULL, NULL), NOTIFY_INVALID_SYNTAX);
    assert_null(p->side[B].sa);
    assert_int_equal(side_live_children(&p->side[B]), 0);
    assert_int_equal(p->side[B].closed.error.notify, NOTIFY_INVALID_SYNTAX);
    pair_free(p);
}

static void L11_a_syntax_error_in_an_authentic_message_ends_the_ike_sa(void **state) {
    (void)state;
    struct forged f;
    struct pair *p = up(true);
    forge_begin(&f); /* a payload that says more than there is */
    payload_add(&f.m, PAYLOAD_NOTIFY, span_of("1234", 4));
    f.octets[3] = 200;
    forge_send(p, &f, INFORMATIONAL);
    assert_ended_by_syntax(p);

    p = up(true);
    forge_begin(&f); /* no nonce, no selectors */
    payload_add(&f.m, PAYLOAD_SA, span_of("12345678", 8));
    forge_send(p, &f, CREATE_CHILD_SA);
    assert_ended_by_syntax(p);

    p = up(true);
    forge_begin(&f); /* out of turn */
    forge_send(p, &f, IKE_AUTH);
    assert_ended_by_syntax(p);

    p = up(true);
    forge_begin(&f); /* an exchange that nobody knows */
    forge_send(p, &f, 99);
    assert_ended_by_syntax(p);

    p = up(true);
    forge_begin(&f); /* a DELETE that lies about its count */
    payload_add(&f.m, PAYLOAD_DELETE, span_of("\3\4\0\7\1\2\3\4", 8));
    forge_send(p, &f, INFORMATIONAL);
    assert_ended_by_syntax(p);

    p = up(true);
    forge_begin(&f); /* a rekey of an SPI that is none: not a new Child SA */
    payload_add(&f.m, PAYLOAD_NOTIFY,
        span_of("\3\5\x40\x09"
                "12345",
            9));
    struct proposal_list offered;
    proposals_ours(&p->side[A].config.child_proposals, PROTOCOL_ESP, KE_ABSENT, 0, 0x12345678, &offered);
    sa_add(&f.m, &offered);
    payload_add(&f.m, PAYLOAD_NONCE, span_of("0123456789abcdef", 16));
    payload_begin(&f.m, PAYLOAD_TSI);
    selectors_write(&f.w, &p->side[A].config.child[0].local);
    payload_end(&f.m);
    payload_begin(&f.m, PAYLOAD_TSR);
    selectors_write(&f.w, &p->side[A].config.child[0].remote);
    payload_end(&f.m);
    forge_send(p, &f, CREATE_CHILD_SA);
    assert_ended_by_syntax(p);
}

static void last_words_of_the_peer_end_the_ike_sa_with_a_sentence(void **state) {
    (void)state;
    struct pair *p = up(true);
    struct forged f;
    forge_begin(&f);
    notify_add(&f.m, NOTIFY_AUTHENTICATION_FAILED, span_of(NULL, 0));
    forge_send(p, &f, INFORMATIONAL);
    assert_null(p->side[B].sa);
    assert_contains(p->side[B].closed.error.text, "AUTHENTICATION_FAILED");
    pair_free(p);
}

static void a_request_beyond_the_window_is_authentic_but_not_taken(void **state) {
    (void)state;
    struct pair *p = up(true);
    struct forged f;
    p->side[A].sa->next_id += 5;
    forge_begin(&f);
    forge_send(p, &f, INFORMATIONAL);
    assert_true(p->side[B].authentic);
    assert_false(p->side[B].fresh);
    assert_int_equal(p->waiting, 0);
    pair_free(p);
}

static void our_own_message_sent_back_is_ignored(void **state) {
    (void)state;
    struct pair *p = up(true);
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
    struct on_wire *w = &p->wire[0];
    pair_deliver(p, A, span_of(w->octets, w->length));
    assert_false(p->side[A].authentic);
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

/* A random chain inside a true SK: whatever the peer sends, the worst is the end of this IKE SA. */
static void random_payloads_of_an_authentic_peer_do_no_harm(void **state) {
    (void)state;
    uint64_t seed = 99;
    struct random_source random = random_seeded(&seed);
    static const uint8_t types[] = {PAYLOAD_SA, PAYLOAD_KE, PAYLOAD_NONCE, PAYLOAD_TSI, PAYLOAD_TSR, PAYLOAD_NOTIFY,
        PAYLOAD_DELETE, PAYLOAD_IDI, PAYLOAD_AUTH, PAYLOAD_SK, PAYLOAD_SKF, PAYLOAD_CP, 200};
    for (int i = 0; i < 1500; i++) {
        struct pair *p = up(true);
        struct forged f;
        forge_begin(&f);
        for (unsigned n = random_u32(&random) % 7; n > 0; n--) {
            uint8_t body[64];
            random_fill(&random, body, sizeof body);
            if (random_u32(&random) % 2)
                memset(body, 0, 8); /* so that lengths and types are plausible now and then */
            body[0] = (uint8_t)(random_u32(&random) % 4);
            payload_add(&f.m, types[random_u32(&random) % sizeof types], span_of(body, random_u32(&random) % 64));
        }
        if (random_u32(&random) % 3 == 0 && f.w.length > 4)
            f.octets[random_u32(&random) % f.w.length] ^= (uint8_t)random_u32(&random);
        forge_send(p, &f, (uint8_t)(35 + random_u32(&random) % 4));
        pair_run(p);
        pair_free(p);
    }
}

/* --- fragments --- */

static void many_selectors(struct pair *p) {
    for (int side = 0; side < 2; side++) {
        struct ike_child_config *c = &p->side[side].config.child[0];
        c->local.count = c->remote.count = 0;
        for (int i = 0; i < SELECTORS_MAX; i++) {
            char text[64];
            snprintf(text, sizeof text, "2001:db8:%x::/48", i + (side == A ? 0 : 100));
            selectors_of(&c->local, text);
            snprintf(text, sizeof text, "2001:db8:%x::/48", i + (side == A ? 100 : 0));
            selectors_of(&c->remote, text);
        }
    }
}

static void K7_long_messages_are_cut_over_udp_and_whole_over_tcp(void **state) {
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct pair *p = pair_new();
        p->reliable = reliable;
        many_selectors(p);
        pair_start(p);
        pair_step(p);
        pair_step(p);
        assert_int_equal(p->waiting, reliable ? 1 : 3); /* IKE_AUTH */
        for (size_t i = 0; i < p->waiting; i++)
            assert_true(reliable || p->wire[i].length <= FRAGMENT_OCTETS);
        pair_run(p);
        assert_agree(p);
        assert_int_equal(side_newest(&p->side[A])->child.local.count, SELECTORS_MAX);
        pair_free(p);
    }
}

static void K7_fragments_that_arrive_over_tcp_are_taken_and_in_any_order(void **state) {
    (void)state;
    struct pair *p = pair_new();
    many_selectors(p);
    pair_start(p);
    pair_step(p);
    p->side[B].sa->reliable = true;
    pair_step(p);
    struct on_wire swap = p->wire[0];
    p->wire[0] = p->wire[2];
    p->wire[2] = swap;
    pair_step(p);
    assert_int_equal(p->waiting, 2);
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

static void a_lost_fragment_brings_all_again_and_the_response_too(void **state) {
    (void)state;
    for (int lost = 0; lost < 6; lost++) {
        struct pair *p = pair_new();
        many_selectors(p);
        pair_start(p);
        pair_step(p);
        pair_step(p);
        for (int i = 0; i < 6 && p->waiting > 0; i++)
            if (i == lost)
                pair_drop(p);
            else
                pair_step(p);
        pair_wake(p, p->now + 5 * SECOND);
        assert_agree(p);
        assert_int_equal(side_live_children(&p->side[A]), 1);
        pair_free(p);
    }
}

static void K7_a_move_to_tcp_sends_the_outstanding_fragments_as_one_message(void **state) {
    (void)state;
    struct pair *p = pair_new();
    many_selectors(p);
    pair_start(p);
    pair_step(p);
    pair_step(p);
    while (p->waiting > 0)
        pair_drop(p);
    struct side *a = &p->side[A];
    CALL(p, A, a->sa, ike_sa_carried(sa, p->now, &a->address, &p->side[B].address, true, true, out));
    assert_int_equal(p->waiting, 1);
    assert_true(p->wire[0].length > FRAGMENT_OCTETS);
    pair_run(p);
    assert_agree(p);
    pair_free(p);
}

static void fragments_that_lie_about_their_number_cost_nothing(void **state) {
    (void)state;
    struct pair *p = up(false);
    struct assembly *assembly = NULL;
    struct inbound in = {.header = {.message_id = 7}, .first = PAYLOAD_NOTIFY};
    uint8_t octets[16] = {0};
    in.inner = span_of(octets, sizeof octets);
    in.fragment = 1;
    in.fragments = FRAGMENTS_IN_MAX + 1;
    assert_false(assembly_add(&assembly, &in));
    assert_null(assembly);
    in.fragments = 2;
    assert_false(assembly_add(&assembly, &in));
    assert_false(assembly_add(&assembly, &in)); /* twice the same */
    in.fragments = 3; /* cut anew: the old ones are dropped */
    assert_false(assembly_add(&assembly, &in));
    in.fragments = 2; /* older than that */
    in.fragment = 2;
    assert_false(assembly_add(&assembly, &in));
    in.fragments = 3;
    assert_false(assembly_add(&assembly, &in));
    in.fragment = 3;
    assert_true(assembly_add(&assembly, &in));
    assert_int_equal(in.inner.length, 48);
    assert_null(assembly);
    free(in.joined);
    pair_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(L10_no_cut_of_any_message_is_taken),
        cmocka_unit_test(L10_no_flipped_bit_of_a_protected_message_is_taken),
        cmocka_unit_test(L10_a_wrong_icv_is_corrupt_and_an_unprotected_message_is_not),
        cmocka_unit_test(every_cut_and_many_corruptions_of_ike_sa_init_do_no_harm),
        cmocka_unit_test(K17_message_ids_are_not_synchronised_on_the_word_of_a_peer),
        cmocka_unit_test(unknown_critical_payloads_are_named_and_the_ike_sa_lives),
        cmocka_unit_test(L11_a_syntax_error_in_an_authentic_message_ends_the_ike_sa),
        cmocka_unit_test(last_words_of_the_peer_end_the_ike_sa_with_a_sentence),
        cmocka_unit_test(a_request_beyond_the_window_is_authentic_but_not_taken),
        cmocka_unit_test(our_own_message_sent_back_is_ignored),
        cmocka_unit_test(random_payloads_of_an_authentic_peer_do_no_harm),
        cmocka_unit_test(K7_long_messages_are_cut_over_udp_and_whole_over_tcp),
        cmocka_unit_test(K7_fragments_that_arrive_over_tcp_are_taken_and_in_any_order),
        cmocka_unit_test(a_lost_fragment_brings_all_again_and_the_response_too),
        cmocka_unit_test(K7_a_move_to_tcp_sends_the_outstanding_fragments_as_one_message),
        cmocka_unit_test(fragments_that_lie_about_their_number_cost_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
