/* mobike.c: MOBIKE's messages (RFC 4555) as RFC 9329 section 8 wants them: who asks, who follows, what is refused. */
#include <string.h>

#include "pair.h"

static void offer(struct pair *p) {
    p->side[A].config.mobike = p->side[B].config.mobike = true;
}

static struct pair *up(bool reliable) {
    struct pair *p = pair_new();
    p->reliable = reliable;
    offer(p);
    pair_up(p);
    return p;
}

/* A is somewhere else from now on, over what `reliable` says; what is outstanding goes out again. */
static void move_to(struct pair *p, const char *address, uint16_t port, bool reliable) {
    p->side[A].address = address_of(address, port);
    p->reliable = reliable;
    CALL(
        p, A, p->side[A].sa, ike_sa_carried(sa, p->now, &p->side[A].address, &p->side[B].address, reliable, true, out));
}

static void update(struct pair *p) {
    CALL(p, A, p->side[A].sa, ike_sa_update(sa, p->now, out));
}

/* The waiting message as its receiver reads it: the notification's data, or an unspecified span; `there` says whether. */
static struct span notified(struct pair *p, size_t at, uint16_t type, bool *there) {
    static uint8_t kept[64];
    struct on_wire *w = &p->wire[at];
    struct inbound *in = inbound_new(span_of(w->octets, w->length));
    struct payload_list list;
    struct notify notify = {0};
    struct error err;
    assert_non_null(in);
    assert_true(ike_header_read(span_of(w->octets, w->length), &in->header, &err));
    assert_int_equal(inbound_open(p->side[!w->from].sa, in), OPENED);
    memset(&list, 0, sizeof list);
    assert_true(payload_chain_read(in->first, in->inner, &list, NULL, &err));
    *there = notify_find(&list, type, &notify);
    size_t length = *there && notify.data.length <= sizeof kept ? notify.data.length : 0;
    if (length > 0)
        memcpy(kept, notify.data.at, length);
    inbound_free(in);
    return span_of(kept, length);
}

static bool says(struct pair *p, size_t at, uint16_t type) {
    bool there;
    (void)notified(p, at, type, &there);
    return there;
}

static void MOBIKE_is_on_when_both_sides_want_it(void **state) {
    (void)state;
    for (int wants = 0; wants < 4; wants++) {
        struct pair *p = pair_new();
        p->side[A].config.mobike = wants & 1;
        p->side[B].config.mobike = wants & 2;
        pair_up(p);
        struct ike_info a, b;
        ike_sa_info(p->side[A].sa, &a);
        ike_sa_info(p->side[B].sa, &b);
        assert_int_equal(a.mobike, wants == 3);
        assert_int_equal(b.mobike, wants == 3);
        assert_int_equal(ike_sa_may_move(p->side[A].sa), wants == 3);
        assert_false(ike_sa_may_move(p->side[B].sa));
        update(p);
        assert_int_equal(p->waiting, wants == 3); /* nothing is asked of who doesn't know it */
        pair_run(p);
        pair_free(p);
    }
}

static void K8_the_peer_follows_to_where_the_update_came_from(void **state) {
    (void)state;
    struct pair *p = up(false);
    move_to(p, "198.51.100.7", 4500, false);
    assert_int_equal(p->waiting, 0); /* nothing was outstanding */
    update(p);
    assert_int_equal(p->waiting, 1);
    assert_true(says(p, 0, NOTIFY_UPDATE_SA_ADDRESSES));
    assert_true(says(p, 0, NOTIFY_NAT_DETECTION_SOURCE_IP) && says(p, 0, NOTIFY_NAT_DETECTION_DESTINATION_IP));
    assert_false(says(p, 0, NOTIFY_NO_NATS_ALLOWED));
    pair_step(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 1);
    assert_false(p->side[B].moved.init.nat_remote); /* recomputed for the new address: no NAT between */
    assert_true(says(p, 0, NOTIFY_NAT_DETECTION_SOURCE_IP));
    pair_step(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_UPDATED], 1);
    assert_int_equal(p->side[A].updated.error.origin, ORIGIN_NONE);
    assert_false(p->side[A].updated.stale || p->side[A].updated.init.nat_local);
    assert_int_equal(p->waiting, 0);
    assert_agree(p);
    pair_free(p);
}

static uint32_t message_id(const struct on_wire *w) {
    struct ike_header header;
    struct error err;
    assert_true(ike_header_read(span_of(w->octets, w->length), &header, &err));
    return header.message_id;
}

/* Over UDP nobody answers; the same octets go over TCP; then NAT detection is put right with another exchange. */
static void K8_K14_the_same_request_goes_over_tcp_and_another_exchange_follows(void **state) {
    (void)state;
    struct pair *p = up(false);
    move_to(p, "198.51.100.7", 4500, false);
    update(p);
    uint8_t first[512];
    size_t length = p->wire[0].length;
    uint32_t id = message_id(&p->wire[0]);
    memcpy(first, p->wire[0].octets, length);
    pair_drop(p);
    move_to(p, "198.51.100.7", 40123, true); /* a connection has a port of its own */
    assert_int_equal(p->waiting, 1);
    assert_int_equal(p->wire[0].length, length);
    assert_memory_equal(p->wire[0].octets, first, length);
    pair_step(p);
    assert_true(p->side[B].moved.init.nat_remote); /* the hashes are of UDP's port */
    pair_step(p);
    assert_true(p->side[A].updated.stale);
    assert_int_equal(p->waiting, 1); /* at once */
    assert_true(says(p, 0, NOTIFY_UPDATE_SA_ADDRESSES));
    assert_int_equal(message_id(&p->wire[0]), id + 1);
    pair_run(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 2);
    assert_false(p->side[B].moved.init.nat_remote); /* K13: TCP's ports */
    assert_false(p->side[A].updated.stale);
    assert_int_equal(p->side[A].count[IKE_EVENT_UPDATED], 2);
    pair_free(p);
}

/* Answered on the way it was written for, and yet the peer may have seen the other copy last. */
static void K14_a_request_that_went_two_ways_is_followed_by_another(void **state) {
    (void)state;
    struct pair *p = up(false);
    move_to(p, "198.51.100.7", 4500, false);
    update(p);
    pair_drop(p);
    move_to(p, "198.51.100.7", 40123, true);
    pair_drop(p);
    move_to(p, "198.51.100.7", 4500, false);
    assert_int_equal(p->waiting, 1);
    pair_step(p);
    pair_step(p);
    assert_true(p->side[A].updated.stale);
    pair_run(p);
    assert_false(p->side[A].updated.stale);
    assert_int_equal(p->side[A].count[IKE_EVENT_UPDATED], 2);
    pair_free(p);
}

static void K14_what_was_outstanding_goes_again_and_the_update_behind_it(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, side_newest(&p->side[A])->child.spi_in, out));
    pair_drop(p);
    move_to(p, "198.51.100.7", 40123, true);
    update(p);
    assert_int_equal(p->waiting, 1);
    assert_int_equal(p->wire[0].octets[18], CREATE_CHILD_SA);
    pair_run(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 1);
    assert_agree(p);
    pair_free(p);
}

static void K14_answers_that_always_come_another_way_are_not_asked_for_for_ever(void **state) {
    (void)state;
    struct pair *p = up(false);
    p->side[A].address = address_of("198.51.100.7", 4500); /* nobody told the IKE SA */
    for (int i = 0; i < 20; i++) {
        update(p);
        pair_step(p);
        p->side[A].address.port++; /* the answer comes another way each time */
        pair_step(p);
    }
    assert_true(p->sent < 4 + 100);
    pair_free(p);
}

static void K8_it_works_after_a_rekey_that_either_side_began(void **state) {
    (void)state;
    for (int side = A; side <= B; side++) {
        struct pair *p = up(false);
        CALL(p, side, p->side[side].sa, ike_sa_rekey(sa, p->now, out));
        pair_run(p);
        assert_agree(p);
        assert_true(ike_sa_may_move(p->side[A].sa));
        assert_false(ike_sa_may_move(p->side[B].sa));
        move_to(p, "198.51.100.7", 4500, false);
        update(p);
        pair_run(p);
        assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 1);
        assert_int_equal(p->side[A].count[IKE_EVENT_UPDATED], 1);
        pair_free(p);
    }
}

static void K8_an_update_that_waits_while_the_peer_rekeys_is_the_successors(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
    pair_drop(p); /* the window is taken */
    update(p);
    CALL(p, B, p->side[B].sa, ike_sa_rekey(sa, p->now, out));
    pair_step_from(p, B);
    pair_step_from(p, A);
    pair_wake(p, p->now + 5 * SECOND);
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_UPDATED], 1);
    assert_agree(p);
    pair_free(p);
}

static void who_may_not_move_is_answered_and_not_followed(void **state) {
    (void)state;
    struct pair *p = up(false);
    p->side[B].sa->mobile = true; /* it does what it must not */
    CALL(p, B, p->side[B].sa, ike_sa_update(sa, p->now, out));
    pair_run(p);
    assert_int_equal(p->side[A].count[IKE_EVENT_PEER_MOVED], 0);
    assert_int_equal(p->waiting, 0);
    assert_agree(p);
    pair_free(p);
}

static void K5_a_nat_that_appears_is_found_by_the_update(void **state) {
    (void)state;
    struct pair *p = up(true);
    p->side[A].address = address_of("10.9.9.9", 4500);
    p->reliable = false;
    CALL(p, A, p->side[A].sa, ike_sa_carried(sa, p->now, &p->side[A].address, &p->side[B].address, false, true, out));
    update(p);
    p->side[A].address = address_of("203.0.113.5", 61000); /* as B sees it */
    pair_step(p);
    assert_true(p->side[B].moved.init.nat_remote);
    p->side[A].address = address_of("10.9.9.9", 4500);
    pair_step(p);
    assert_true(p->side[A].updated.init.nat_local);
    assert_false(p->side[A].updated.stale);
    pair_free(p);
}

static void K15_no_nats_allowed_is_refused_behind_a_nat_and_ignored_over_tcp(void **state) {
    (void)state;
    for (int reliable = 0; reliable < 2; reliable++) {
        struct pair *p = pair_new();
        offer(p);
        p->side[A].config.refuse_nats = true;
        pair_up(p);
        move_to(p, "10.9.9.9", 4500, false);
        update(p);
        assert_true(says(p, 0, NOTIFY_NO_NATS_ALLOWED));
        p->reliable = reliable; /* the same request, over what is a connection for B */
        p->side[A].address = address_of("203.0.113.5", 61000);
        pair_step(p);
        assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], reliable);
        pair_step(p);
        assert_int_equal(p->side[A].updated.error.notify, reliable ? NOTIFY_NONE : NOTIFY_UNEXPECTED_NAT_DETECTED);
        pair_free(p);
    }
}

static void K15_no_nats_allowed_holds_without_a_nat_and_is_not_sent_over_tcp(void **state) {
    (void)state;
    struct pair *p = pair_new();
    offer(p);
    p->side[A].config.refuse_nats = true;
    pair_up(p);
    move_to(p, "198.51.100.7", 4500, false);
    update(p);
    pair_run(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 1);
    move_to(p, "198.51.100.7", 40123, true);
    update(p);
    assert_false(says(p, 0, NOTIFY_NO_NATS_ALLOWED));
    pair_run(p);
    pair_free(p);
}

static void a_transport_that_is_not_allowed_gets_unacceptable_addresses_and_ends_nothing(void **state) {
    (void)state;
    struct pair *p = pair_new();
    offer(p);
    p->side[B].config.refuse_reliable = true;
    pair_up(p);
    move_to(p, "198.51.100.7", 40123, true);
    update(p);
    pair_run(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 0);
    assert_int_equal(p->side[A].updated.error.notify, NOTIFY_UNACCEPTABLE_ADDRESSES);
    assert_contains(p->side[A].updated.error.text, "UNACCEPTABLE_ADDRESSES");
    move_to(p, "198.51.100.7", 4500, false);
    update(p);
    pair_run(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_PEER_MOVED], 1);
    assert_agree(p);
    pair_free(p);
}

static void K15_who_answers_with_our_cookie_is_there(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, B, p->side[B].sa, ike_sa_routability(sa, p->now, out));
    bool there;
    struct span cookie = notified(p, 0, NOTIFY_COOKIE2, &there);
    assert_true(there);
    assert_int_equal(cookie.length, 16);
    pair_step(p);
    assert_true(says(p, 0, NOTIFY_COOKIE2));
    pair_step(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_ROUTABLE], 1);
    pair_free(p);
}

static void K15_another_cookie_than_ours_ends_the_ike_sa(void **state) {
    (void)state;
    struct pair *p = up(false);
    CALL(p, B, p->side[B].sa, ike_sa_routability(sa, p->now, out));
    pair_step(p);
    p->side[B].sa->cookie2[0] ^= 1;
    pair_step(p);
    assert_int_equal(p->side[B].count[IKE_EVENT_ROUTABLE], 0);
    assert_contains(p->side[B].closed.error.text, "COOKIE2");
    pair_free(p);
}

static void a_nat_that_shows_us_as_another_is_noticed_by_liveness_and_told(void **state) {
    (void)state;
    struct pair *p = up(false);
    struct address inside = address_of("10.9.9.9", 4500), seen = address_of("203.0.113.5", 61000);
    p->side[A].sa->nat_local = true;
    p->side[A].sa->local = inside;
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            seen.port++; /* the NAT forgot us */
        CALL(p, A, p->side[A].sa, ike_sa_liveness(sa, p->now, out));
        assert_true(says(p, 0, NOTIFY_NAT_DETECTION_SOURCE_IP));
        p->side[A].address = seen;
        pair_step(p);
        assert_true(says(p, 0, NOTIFY_NAT_DETECTION_DESTINATION_IP));
        p->side[A].address = inside;
        pair_step(p);
        assert_int_equal(p->waiting, i == 2);
    }
    assert_true(says(p, 0, NOTIFY_UPDATE_SA_ADDRESSES));
    pair_run(p);
    pair_free(p);
}

static void additional_addresses_are_told_in_ike_auth_and_when_they_change(void **state) {
    (void)state;
    struct pair *p = pair_new();
    struct address told[IKE_ADDRESSES_MAX], ours[IKE_ADDRESSES_MAX + 1];
    offer(p);
    for (size_t i = 0; i < IKE_ADDRESSES_MAX + 1; i++)
        ours[i] = address_of("192.0.2.77", 0);
    ours[1] = address_of("2001:db8::7", 0);
    pair_start(p);
    CALL(p, A, p->side[A].sa, ike_sa_addresses(sa, p->now, ours, IKE_ADDRESSES_MAX + 1, out));
    pair_run(p);
    assert_int_equal(ike_sa_peer_addresses(p->side[B].sa, told), IKE_ADDRESSES_MAX);
    assert_true(address_same_host(&told[0], &ours[0]));
    assert_true(address_same_host(&told[1], &ours[1]));
    assert_int_equal(ike_sa_peer_addresses(p->side[A].sa, told), 0);
    CALL(p, B, p->side[B].sa, ike_sa_addresses(sa, p->now, &ours[1], 1, out));
    assert_int_equal(p->waiting, 1);
    assert_true(says(p, 0, NOTIFY_ADDITIONAL_IP6_ADDRESS));
    pair_run(p);
    assert_int_equal(ike_sa_peer_addresses(p->side[A].sa, told), 1);
    CALL(p, B, p->side[B].sa, ike_sa_addresses(sa, p->now, &ours[1], 1, out));
    assert_int_equal(p->waiting, 0); /* it is known */
    CALL(p, B, p->side[B].sa, ike_sa_rekey(sa, p->now, out));
    pair_run(p);
    assert_int_equal(ike_sa_peer_addresses(p->side[A].sa, told), 1);
    CALL(p, B, p->side[B].sa, ike_sa_addresses(sa, p->now, &ours[1], 1, out));
    assert_int_equal(p->waiting, 0); /* to the successor too */
    CALL(p, B, p->side[B].sa, ike_sa_addresses(sa, p->now, NULL, 0, out));
    assert_true(says(p, 0, NOTIFY_NO_ADDITIONAL_ADDRESSES));
    pair_run(p);
    assert_int_equal(ike_sa_peer_addresses(p->side[A].sa, told), 0);
    pair_free(p);
}

/* Each with its own length, as nobody of ours would send it; the answer is the peer's to choose, the IKE SA must not fall
 * over it. */
static void odd_notifications_of_mobike_end_nothing_but_by_their_own_fault(void **state) {
    (void)state;
    static const uint16_t types[] = {NOTIFY_ADDITIONAL_IP4_ADDRESS, NOTIFY_ADDITIONAL_IP6_ADDRESS,
        NOTIFY_NO_ADDITIONAL_ADDRESSES, NOTIFY_COOKIE2, NOTIFY_NO_NATS_ALLOWED, NOTIFY_UPDATE_SA_ADDRESSES};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        for (size_t length = 0; length < 80; length++) {
            struct pair *p = up(false);
            uint8_t chain[256] = {0}, data[80] = {0}, first;
            struct writer w = writer_over(chain, sizeof chain);
            struct message_writer m = chain_begin(&w, &first);
            struct sealed sealed;
            struct error err;
            notify_add(&m, types[i], span_of(data, length));
            struct ike_sa *sa = p->side[A].sa;
            struct ike_header header = {.spi_i = sa->spi_i,
                .spi_r = sa->spi_r,
                .version = IKE_VERSION,
                .exchange = INFORMATIONAL,
                .flags = IKE_FLAG_INITIATOR,
                .message_id = sa->next_id};
            assert_true(seal(sa, &header, first, span_of(chain, w.length), &sealed, &err));
            pair_deliver(p, B, span_of(sealed.octets, sealed.whole));
            assert_int_equal(p->waiting, 1); /* an answer */
            bool bad = types[i] == NOTIFY_COOKIE2 && (length < 8 || length > 64);
            assert_int_equal(p->side[B].sa == NULL, bad);
            sealed_free(&sealed);
            pair_free(p);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(MOBIKE_is_on_when_both_sides_want_it),
        cmocka_unit_test(K8_the_peer_follows_to_where_the_update_came_from),
        cmocka_unit_test(K8_K14_the_same_request_goes_over_tcp_and_another_exchange_follows),
        cmocka_unit_test(K14_a_request_that_went_two_ways_is_followed_by_another),
        cmocka_unit_test(K14_what_was_outstanding_goes_again_and_the_update_behind_it),
        cmocka_unit_test(K14_answers_that_always_come_another_way_are_not_asked_for_for_ever),
        cmocka_unit_test(K8_it_works_after_a_rekey_that_either_side_began),
        cmocka_unit_test(K8_an_update_that_waits_while_the_peer_rekeys_is_the_successors),
        cmocka_unit_test(who_may_not_move_is_answered_and_not_followed),
        cmocka_unit_test(K5_a_nat_that_appears_is_found_by_the_update),
        cmocka_unit_test(K15_no_nats_allowed_is_refused_behind_a_nat_and_ignored_over_tcp),
        cmocka_unit_test(K15_no_nats_allowed_holds_without_a_nat_and_is_not_sent_over_tcp),
        cmocka_unit_test(a_transport_that_is_not_allowed_gets_unacceptable_addresses_and_ends_nothing),
        cmocka_unit_test(K15_who_answers_with_our_cookie_is_there),
        cmocka_unit_test(K15_another_cookie_than_ours_ends_the_ike_sa),
        cmocka_unit_test(a_nat_that_shows_us_as_another_is_noticed_by_liveness_and_told),
        cmocka_unit_test(additional_addresses_are_told_in_ike_auth_and_when_they_change),
        cmocka_unit_test(odd_notifications_of_mobike_end_nothing_but_by_their_own_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
