/* aggfrag.c: USE_AGGFRAG (RFC 9347 section 5.1): agreed on where both sides want it, kept by rekeys, and refused where its flags
 * ask for what we can't. */
#include "pair.h"

#include <string.h>

static struct pair *two_sides(bool a_wants, bool b_wants) {
    struct pair *p = pair_new();
    p->side[A].config.child[0].aggfrag = a_wants;
    p->side[B].config.child[0].aggfrag = b_wants;
    return p;
}

static void both_have(struct pair *p, bool aggfrag) {
    for (int i = 0; i < 2; i++) {
        const struct ike_child *child = &side_newest(&p->side[i])->child;
        assert_int_equal(child->aggfrag, aggfrag);
        assert_false(child->aggfrag_whole_only);
    }
    assert_agree(p);
}

static void it_takes_both_sides(void **state) {
    (void)state;
    for (unsigned who = 0; who < 4; who++) {
        struct pair *p = two_sides(who & 1, who & 2);
        pair_up(p);
        both_have(p, who == 3);
        pair_free(p);
    }
}

static void a_rekey_from_either_side_keeps_it(void **state) {
    (void)state;
    for (unsigned who = 1; who < 4; who++) {
        struct pair *p = two_sides(who & 1, who & 2);
        pair_up(p);
        for (int i = 0; i < 2; i++) {
            struct side *s = &p->side[i];
            uint32_t old = side_newest(s)->child.spi_in;
            CALL(p, i, s->sa, ike_sa_rekey_child(sa, p->now, old, out));
            pair_run(p);
            assert_int_not_equal(side_newest(s)->child.spi_in, old);
            both_have(p, who == 3);
        }
        pair_free(p);
    }
}

static void it_is_never_together_with_transport_mode(void **state) {
    (void)state;
    for (int both = 0; both < 2; both++) {
        struct pair *p = two_sides(true, true);
        for (int i = 0; i < 2; i++) {
            struct ike_child_config *child = &p->side[i].config.child[0];
            child->local.count = child->remote.count = 0;
            selectors_of(&child->local, i == A ? "192.0.2.1/32" : "192.0.2.2/32");
            selectors_of(&child->remote, i == A ? "192.0.2.2/32" : "192.0.2.1/32");
            child->transport = i == A || both;
        }
        pair_up(p);
        assert_int_equal(side_newest(&p->side[A])->child.transport, both);
        both_have(p, false);
        pair_free(p);
    }
}

/* --- what a foreign peer may say --- */

struct said {
    uint8_t octets[8 + 4];
    struct payload_list list;
};

static void say(struct said *said, const uint8_t *flags, size_t count) {
    const uint8_t header[4] = {0, 0, NOTIFY_USE_AGGFRAG >> 8, NOTIFY_USE_AGGFRAG & 0xff};
    memset(said, 0, sizeof *said);
    memcpy(said->octets, header, sizeof header);
    if (count > 0)
        memcpy(said->octets + sizeof header, flags, count);
    said->list.count = 1;
    said->list.payload[0] =
        (struct payload){.type = PAYLOAD_NOTIFY, .body = span_of(said->octets, sizeof header + count)};
}

static const struct {
    const char *what;
    uint8_t flags[4];
    size_t count;
    bool can, whole_only;
} sayings[] = {
    {"no requirement", {0}, 1, true, false},
    {"no pieces", {1}, 1, true, true},
    {"congestion control", {2}, 1, false, false},
    {"both", {3}, 1, false, false},
    {"a flag of later days", {0x80}, 1, false, false},
    {"no flags", {0}, 0, false, false},
    {"two octets", {0, 0}, 2, false, false},
};

static void flags_that_ask_for_what_we_cannot_are_declined(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sayings / sizeof sayings[0]; i++) {
        struct said said;
        struct ike_child_config config = {.name = "c", .aggfrag = true};
        struct deal deal = {.config = &config};
        struct error err = {0};
        say(&said, sayings[i].flags, sayings[i].count);
        aggfrag_accept(&said.list, &deal);
        assert_int_equal(deal.aggfrag, sayings[i].can);
        assert_int_equal(deal.aggfrag_whole_only, sayings[i].whole_only);
        deal = (struct deal){.config = &config};
        assert_int_equal(aggfrag_confirm(&said.list, &deal, &err), sayings[i].can);
        assert_int_equal(deal.aggfrag, sayings[i].can);
        assert_int_equal(deal.aggfrag_whole_only, sayings[i].whole_only);
        if (!sayings[i].can)
            assert_contains(err.text, "aggfrag=no");
    }
}

static void an_answer_to_what_was_not_asked_is_an_error(void **state) {
    (void)state;
    struct said said;
    struct ike_child_config config = {.name = "c"};
    struct deal deal = {.config = &config};
    struct error err = {0};
    say(&said, (const uint8_t[]){0}, 1);
    assert_false(aggfrag_confirm(&said.list, &deal, &err));
    assert_contains(err.text, "not asked");
    aggfrag_accept(&said.list, &deal);
    assert_false(deal.aggfrag);
    config.aggfrag = deal.transport = true;
    assert_false(aggfrag_confirm(&said.list, &deal, &err));
    aggfrag_accept(&said.list, &deal);
    assert_false(deal.aggfrag);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_takes_both_sides),
        cmocka_unit_test(a_rekey_from_either_side_keeps_it),
        cmocka_unit_test(it_is_never_together_with_transport_mode),
        cmocka_unit_test(flags_that_ask_for_what_we_cannot_are_declined),
        cmocka_unit_test(an_answer_to_what_was_not_asked_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
