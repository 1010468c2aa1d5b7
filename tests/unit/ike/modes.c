/* modes.c: transport mode is asked for, granted, declined, and seen through a NAT. RFC 7296 sections 1.3.1 and 2.23.1. */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

/* What each side sees: A is 10.0.0.5 behind a NAT that is 198.51.100.7, B is 192.168.1.2 behind one that is 203.0.113.9. */
static struct pair *two_hosts(bool a_wants, bool b_wants) {
    struct pair *p = pair_new();
    for (int i = 0; i < 2; i++) {
        struct ike_child_config *child = &p->side[i].config.child[0];
        child->local.count = child->remote.count = 0;
        selectors_of(&child->local, i == A ? "10.0.0.5/32" : "192.168.1.2/32");
        selectors_of(&child->remote, i == A ? "203.0.113.9/32" : "198.51.100.7/32");
        child->transport = i == A ? a_wants : b_wants;
    }
    return p;
}

static void is_host(const struct address *address, const char *text) {
    char out[ADDRESS_TEXT_MAX];
    assert_string_equal(address_text(address, out), text);
}

static void sees(const struct ike_child *child, const char *local, const char *remote, const char *peer_local,
    const char *peer_remote) {
    assert_true(child->transport);
    assert_int_equal(child->local.count, 1);
    assert_int_equal(child->remote.count, 1);
    is_host(&child->local.selector[0].first, local);
    is_host(&child->local.selector[0].last, local);
    is_host(&child->remote.selector[0].first, remote);
    is_host(&child->peer_local, peer_local);
    is_host(&child->peer_remote, peer_remote);
}

static void both_see_their_own(struct pair *p) {
    sees(&side_newest(&p->side[A])->child, "10.0.0.5", "203.0.113.9", "198.51.100.7", "192.168.1.2");
    sees(&side_newest(&p->side[B])->child, "192.168.1.2", "198.51.100.7", "203.0.113.9", "10.0.0.5");
}

static void K13_through_a_nat_each_side_keeps_its_own_view_and_learns_the_others(void **state) {
    (void)state;
    struct pair *p = two_hosts(true, true);
    pair_up(p);
    both_see_their_own(p);
    pair_free(p);
}

static void K13_a_rekey_from_either_side_keeps_mode_and_views(void **state) {
    (void)state;
    struct pair *p = two_hosts(true, true);
    pair_up(p);
    for (int i = 0; i < 2; i++) {
        struct side *s = &p->side[i];
        uint32_t old = side_newest(s)->child.spi_in;
        CALL(p, i, s->sa, ike_sa_rekey_child(sa, p->now, old, out));
        pair_run(p);
        assert_int_not_equal(side_newest(s)->child.spi_in, old);
        both_see_their_own(p);
    }
    pair_free(p);
}

static void declined_it_is_a_tunnel(void **state) {
    (void)state;
    struct pair *p = pair_new(); /* networks, so that a tunnel fits whatever the NAT */
    p->side[A].config.child[0].transport = true;
    pair_up(p);
    assert_int_equal(side_live_children(&p->side[A]), 1);
    assert_false(side_newest(&p->side[A])->child.transport);
    assert_false(side_newest(&p->side[B])->child.transport);
    uint32_t old = side_newest(&p->side[A])->child.spi_in; /* and stays one */
    CALL(p, A, p->side[A].sa, ike_sa_rekey_child(sa, p->now, old, out));
    pair_run(p);
    assert_int_not_equal(side_newest(&p->side[A])->child.spi_in, old);
    assert_false(side_newest(&p->side[A])->child.transport);
    assert_agree(p);
    pair_free(p);
}

static void nobody_is_given_what_he_did_not_ask_for(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[B].config.child[0].transport = true;
    pair_up(p);
    assert_false(side_newest(&p->side[A])->child.transport);
    assert_false(side_newest(&p->side[B])->child.transport);
    pair_free(p);
}

static void networks_are_never_in_transport_mode(void **state) {
    (void)state;
    struct pair *p = pair_new();
    p->side[A].config.child[0].transport = p->side[B].config.child[0].transport = true;
    pair_up(p);
    assert_false(side_newest(&p->side[B])->child.transport);
    pair_free(p);
}

static void K13_ports_go_along_with_the_host(void **state) {
    (void)state;
    struct pair *p = two_hosts(true, true);
    for (int i = 0; i < 2; i++) {
        struct ike_child_config *child = &p->side[i].config.child[0];
        child->local.selector[0].protocol = child->remote.selector[0].protocol = 17;
        struct selector *server = i == A ? &child->remote.selector[0] : &child->local.selector[0];
        server->port_first = server->port_last = 1701;
    }
    pair_up(p);
    both_see_their_own(p);
    const struct ike_child *child = &side_newest(&p->side[B])->child;
    assert_int_equal(child->local.selector[0].port_first, 1701);
    assert_int_equal(child->local.selector[0].port_last, 1701);
    assert_int_equal(child->remote.selector[0].port_last, 65535);
    assert_int_equal(child->remote.selector[0].protocol, 17);
    pair_free(p);
}

/* `said` as east's id, or its address where NULL; west knows its name alone. */
static bool accepted_by_name(const char *said) {
    struct pair *p = pair_new();
    p->side[A].config.remote_id = (struct identity){0};
    p->side[A].config.remote_name = "vpn.example";
    p->side[B].config.local_id = (struct identity){0};
    if (said != NULL)
        identity_of(&p->side[B].config.local_id, said);
    else
        p->side[B].config.local_id =
            (struct identity){.type = ID_IPV4_ADDR, .length = 4, .data = {192, 0, 2, 2}}; /* where pair.c has it */
    pair_start(p);
    pair_run(p);
    bool up = p->side[A].count[IKE_EVENT_ESTABLISHED] > 0;
    if (!up)
        assert_contains(p->side[A].closed.error.text, "not vpn.example or its address");
    pair_free(p);
    return up;
}

static void a_peer_known_by_name_is_that_name_or_its_address(void **state) {
    (void)state;
    assert_true(accepted_by_name("vpn.example"));
    assert_true(accepted_by_name("VPN.example"));
    assert_true(accepted_by_name(NULL));
    assert_false(accepted_by_name("vpn.example.org"));
    assert_false(accepted_by_name("mallory"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(K13_through_a_nat_each_side_keeps_its_own_view_and_learns_the_others),
        cmocka_unit_test(K13_a_rekey_from_either_side_keeps_mode_and_views),
        cmocka_unit_test(K13_ports_go_along_with_the_host),
        cmocka_unit_test(a_peer_known_by_name_is_that_name_or_its_address),
        cmocka_unit_test(declined_it_is_a_tunnel),
        cmocka_unit_test(nobody_is_given_what_he_did_not_ask_for),
        cmocka_unit_test(networks_are_never_in_transport_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
