/* Connections as the file says them become connections as peers want them. Uses real configuration texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/internal.h"
#undef fail /* cmocka has one of its own */
#include <cmocka.h>

static struct address ip(const char *text) {
    struct address address;
    struct error error;
    assert_true(address_parse(text, &address, &error));
    return address;
}

/* What one translation needs, and gave. */
struct translated {
    struct config *config;
    struct name_list names;
    struct fact fact[4];
    struct facts facts;
    struct peer_config out;
    struct error error;
};

static struct translated *begin(const char *text) {
    struct translated *t = calloc(1, sizeof *t);
    assert_non_null(t);
    struct diagnostics diagnostics = {0};
    struct config_source *source = config_source_from_text("test.conf", text);
    t->config = config_parse(source, &diagnostics);
    for (size_t i = 0; i < diagnostics.count; i++)
        print_message("%s\n", diagnostics.list[i].text);
    assert_non_null(t->config);
    diagnostics_free(&diagnostics);
    config_source_free(source);
    t->fact[0] = (struct fact){.address = ip("192.0.2.10"), .ours = true};
    t->fact[1] = (struct fact){.address = ip("198.51.100.10")};
    t->facts = (struct facts){.list = t->fact, .count = 2, .default4 = ip("192.0.2.10")};
    return t;
}

static bool translate(struct translated *t) {
    return translate_connection(t->config, &t->config->connection[0], &t->facts, &t->names, &t->out, &t->error);
}

static void end(struct translated *t) {
    config_free(t->config);
    names_free(&t->names);
    free(t);
}

#define TWO_HOSTS \
    "conn tunnel\n" \
    "    left=192.0.2.10\n" \
    "    leftid=@west\n" \
    "    leftsubnets={10.1.0.0/24,fd00:1::/64}\n" \
    "    right=198.51.100.10\n" \
    "    rightid=@east\n" \
    "    rightsubnets={10.2.0.0/24,fd00:2::/64}\n" \
    "    authby=secret\n" \
    "    auto=add\n"

static void a_device_of_its_own_has_a_number_that_is_not_0(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    assert_true(translate(t));
    uint64_t before = t->out.revision;
    assert_int_equal(t->out.device, 0);
    end(t);
    t = begin(TWO_HOSTS "    ipsec-interface=0\n");
    assert_true(translate(t));
    assert_int_equal(t->out.device, 1);
    assert_true(t->out.revision != before);
    end(t);
}

static void the_side_with_our_address_is_us(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    assert_true(translate(t));
    char text[ADDRESS_TEXT_MAX], id[IDENTITY_TEXT_MAX];
    assert_string_equal(t->out.name, "tunnel");
    assert_string_equal(address_text(&t->out.local, text), "192.0.2.10");
    assert_string_equal(t->out.remote_host, "198.51.100.10");
    assert_true(t->out.may_initiate);
    assert_string_equal(identity_text(&t->out.ike.local_id, id), "@west");
    assert_string_equal(identity_text(&t->out.ike.remote_id, id), "@east");
    end(t);
}

static void when_right_is_us_all_is_swapped(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    t->fact[0].ours = false;
    t->fact[1].ours = true;
    assert_true(translate(t));
    char text[ADDRESS_TEXT_MAX];
    assert_string_equal(address_text(&t->out.local, text), "198.51.100.10");
    assert_string_equal(t->out.remote_host, "192.0.2.10");
    struct prefix ours;
    struct error error;
    assert_true(prefix_parse("10.2.0.0/24", &ours, &error));
    struct selector wanted = selector_of_prefix(&ours);
    assert_true(selector_equal(&t->out.ike.child[0].local.selector[0], &wanted));
    end(t);
}

static void neither_side_ours_is_an_error_that_names_the_connection(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    t->fact[0].ours = false;
    assert_false(translate(t));
    assert_non_null(strstr(t->error.text, "tunnel"));
    end(t);
}

static void subnets_pair_within_their_family(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    assert_true(translate(t));
    assert_int_equal(t->out.ike.children, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            t->out.ike.child[i].local.selector[0].first.family, t->out.ike.child[i].remote.selector[0].first.family);
    assert_string_not_equal(t->out.ike.child[0].name, t->out.ike.child[1].name);
    end(t);
}

static void an_end_without_subnet_is_its_own_address(void **state) {
    (void)state;
    struct translated *t = begin("conn hosts\n left=192.0.2.10\n right=198.51.100.10\n authby=secret\n auto=add\n");
    assert_true(translate(t));
    assert_int_equal(t->out.ike.children, 1);
    struct address west = ip("192.0.2.10");
    const struct selector *local = &t->out.ike.child[0].local.selector[0];
    assert_true(address_same_host(&local->first, &west) && address_same_host(&local->last, &west));
    assert_string_equal(t->out.ike.child[0].name, "hosts");
    end(t);
}

static void an_identity_left_out_is_the_address(void **state) {
    (void)state;
    struct translated *t = begin("conn hosts\n left=192.0.2.10\n right=198.51.100.10\n authby=secret\n auto=add\n");
    assert_true(translate(t));
    char id[IDENTITY_TEXT_MAX];
    assert_string_equal(identity_text(&t->out.ike.local_id, id), "192.0.2.10");
    assert_string_equal(identity_text(&t->out.ike.remote_id, id), "198.51.100.10");
    end(t);
}

static void what_may_move_and_how_is_as_configured(void **state) {
    (void)state;
    struct translated *t = begin("conn hosts\n left=%defaultroute\n right=198.51.100.10\n authby=secret\n auto=add\n"
                                 " mobike=yes\n mobike-nat=no\n udp-retry=2m\n enable-tcp=no\n"
                                 " transports=staggered\n");
    assert_true(translate(t));
    assert_true(t->out.ike.mobike && t->out.ike.refuse_nats && t->out.ike.refuse_reliable);
    assert_false(t->out.ike.refuse_unreliable);
    assert_true(t->out.local_may_change);
    assert_int_equal(t->out.path.better_after_ms, 120 * SECOND);
    assert_true(t->out.path.staggered);
    end(t);
    t = begin("conn hosts\n left=192.0.2.10\n right=198.51.100.10\n authby=secret\n auto=add\n udp-retry=0\n");
    assert_true(translate(t));
    assert_false(t->out.ike.mobike || t->out.ike.refuse_nats || t->out.ike.refuse_reliable || t->out.local_may_change);
    assert_int_equal(t->out.path.better_after_ms, NEVER);
    assert_false(t->out.path.staggered);
    end(t);
}

static void a_peer_of_any_address_only_calls_us(void **state) {
    (void)state;
    struct translated *t =
        begin("conn road\n left=192.0.2.10\n leftsubnet=10.1.0.0/24\n right=%any\n authby=secret\n auto=add\n");
    assert_true(translate(t));
    assert_false(t->out.may_initiate);
    assert_string_equal(t->out.remote_host, "");
    assert_int_equal(t->out.remote_any.length, 0);
    assert_int_equal(t->out.ike.child[0].remote.count, 0); /* the address it will come from */
    assert_int_equal(t->out.ike.remote_id.type, ID_NONE);
    end(t);
}

static void defaultroute_takes_its_address_from_the_host(void **state) {
    (void)state;
    static const char text[] = "conn d\n left=%defaultroute\n right=198.51.100.10\n authby=secret\n auto=add\n";
    struct translated *t = begin(text);
    assert_true(translate(t));
    char address[ADDRESS_TEXT_MAX];
    assert_string_equal(address_text(&t->out.local, address), "192.0.2.10");
    t->facts.default4 = (struct address){0};
    assert_false(translate(t));
    assert_non_null(strstr(t->error.text, "default route"));
    end(t);
}

static void C3_the_choice_of_tcp_and_its_port_are_passed_on(void **state) {
    (void)state;
    static const struct {
        const char *line;
        enum path_choice choice;
        bool accept_tcp;
    } cases[] = {
        {"", PATH_FALLBACK, true},
        {" enable-tcp=no\n", PATH_NO, false},
        {" enable-tcp=yes\n", PATH_YES, true},
        {" enable-tcp=fallback\n", PATH_FALLBACK, true},
        {" tcponly=yes\n", PATH_YES, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s tcp-remoteport=443\n%s", TWO_HOSTS, cases[i].line);
        struct translated *t = begin(text);
        assert_true(translate(t));
        assert_int_equal(t->out.path.tcp, cases[i].choice);
        assert_int_equal(t->out.path.tcp_port, 443);
        assert_int_equal(t->out.accept_tcp, cases[i].accept_tcp);
        assert_true(t->out.accept_udp);
        end(t);
    }
}

static void esp_in_user_space_always_asks_for_encapsulation(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    assert_true(translate(t));
    assert_true(t->out.ike.force_encapsulation);
    end(t);
}

static void a_new_address_of_ours_is_a_new_revision(void **state) {
    (void)state;
    struct translated *t = begin("conn d\n left=%defaultroute\n right=198.51.100.10\n authby=secret\n auto=add\n");
    assert_true(translate(t));
    uint64_t before = t->out.revision;
    assert_true(translate(t));
    assert_true(before == t->out.revision);
    t->facts.default4 = ip("192.0.2.11");
    assert_true(translate(t));
    assert_true(before != t->out.revision);
    end(t);
}

static void initial_contact_is_for_a_pair_of_identities_used_once(void **state) {
    (void)state;
    struct translated *t = begin(TWO_HOSTS);
    struct peer_config *list = calloc(2, sizeof *list);
    assert_non_null(list);
    assert_true(translate(t));
    list[0] = t->out;
    list[1] = t->out;
    translate_initial_contact(list, 1);
    assert_true(list[0].ike.initial_contact);
    translate_initial_contact(list, 2);
    assert_false(list[0].ike.initial_contact);
    assert_false(list[1].ike.initial_contact);
    free(list);
    end(t);
}

static void a_list_behind_leftsubnet_is_one_child_sa_and_leftsubnets_a_product(void **state) {
    (void)state;
    struct translated *t = begin("conn tunnel\n left=192.0.2.10\n right=198.51.100.10\n authby=secret\n auto=add\n"
                                 " leftsubnet=10.1.0.0/24,fd00:1::/64,10.3.0.0/24[tcp/443]\n"
                                 " rightsubnets={10.2.0.0/24,10.4.0.0/24,fd00:2::/64}\n");
    assert_true(translate(t));
    const struct ike_config *ike = &t->out.ike;
    assert_int_equal(ike->children, 3);
    assert_int_equal(ike->child[0].local.count, 2); /* no IPv6 at the other end of this one */
    assert_int_equal(ike->child[0].remote.count, 1);
    assert_int_equal(ike->child[0].local.selector[1].protocol, 6);
    assert_int_equal(ike->child[0].local.selector[1].port_first, 443);
    assert_int_equal(ike->child[2].local.count, 1);
    assert_int_equal(ike->child[2].local.selector[0].first.family, 6);
    assert_string_equal(ike->child[2].name, "tunnel/3");
    end(t);
}

static void a_protocol_of_an_address_that_is_not_known_yet_waits_for_it(void **state) {
    (void)state;
    struct translated *t = begin("conn tunnel\n left=192.0.2.10\n right=%any\n authby=secret\n auto=add\n"
                                 " leftprotoport=udp/1701\n rightprotoport=udp/%any\n");
    assert_true(translate(t));
    const struct ike_child_config *child = &t->out.ike.child[0];
    assert_int_equal(child->local.selector[0].first.family, 4);
    assert_int_equal(child->local.selector[0].port_last, 1701);
    assert_int_equal(child->remote.count, 1);
    assert_int_equal(child->remote.selector[0].first.family, 0);
    assert_int_equal(child->remote.selector[0].protocol, 17);
    assert_int_equal(child->remote.selector[0].port_last, 65535);
    end(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_side_with_our_address_is_us),
        cmocka_unit_test(a_device_of_its_own_has_a_number_that_is_not_0),
        cmocka_unit_test(a_list_behind_leftsubnet_is_one_child_sa_and_leftsubnets_a_product),
        cmocka_unit_test(a_protocol_of_an_address_that_is_not_known_yet_waits_for_it),
        cmocka_unit_test(when_right_is_us_all_is_swapped),
        cmocka_unit_test(neither_side_ours_is_an_error_that_names_the_connection),
        cmocka_unit_test(subnets_pair_within_their_family),
        cmocka_unit_test(an_end_without_subnet_is_its_own_address),
        cmocka_unit_test(an_identity_left_out_is_the_address),
        cmocka_unit_test(what_may_move_and_how_is_as_configured),
        cmocka_unit_test(a_peer_of_any_address_only_calls_us),
        cmocka_unit_test(defaultroute_takes_its_address_from_the_host),
        cmocka_unit_test(C3_the_choice_of_tcp_and_its_port_are_passed_on),
        cmocka_unit_test(esp_in_user_space_always_asks_for_encapsulation),
        cmocka_unit_test(a_new_address_of_ours_is_a_new_revision),
        cmocka_unit_test(initial_contact_is_for_a_pair_of_identities_used_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
