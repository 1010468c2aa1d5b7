/* resume.c: a laptop that slept comes back with a ticket (RFC 5723): no new authentication, over what a new SA would take. */
#include "net.h"
#include "peer/internal.h"

static void prepare(struct net *net) {
    net->end[WEST].config->ike.session_resumption = net->end[EAST].config->ike.session_resumption = true;
    net_bring_up(net);
    assert_non_null(net_said(net, WEST, "IKE SA established"));
}

static size_t sentences(const struct net *net, int end, const char *part) {
    size_t count = 0;
    for (size_t i = 0; i < net->lines; i++)
        count += net->line[i].end == end && strstr(net->line[i].text, part) != NULL;
    return count;
}

/* Longer than both sides wait for an answer; the network is back before west's second attempt. */
static void sleep_well(struct net *net) {
    net->udp_blocked = net->tcp_dropped = true;
    net_break_silently(net);
    for (int i = 0; i < 400 && (!net_said(net, WEST, "trying again in") || net_totals(net, EAST).ike_sas > 0); i++)
        net_run(net, SECOND / 2);
    net_cut(net);
    net->udp_blocked = net->tcp_dropped = false;
}

static void assert_back(struct net *net, const char *how, enum transport transport) {
    if (sentences(net, WEST, how) == 0 || net_status(net, WEST)->state != PEER_STATE_UP)
        net_print(net);
    assert_int_not_equal(sentences(net, WEST, how), 0);
    assert_int_equal(net_status(net, WEST)->transport, transport);
    assert_int_equal(net_totals(net, WEST).ike_sas, 1);
    assert_int_equal(net_totals(net, EAST).ike_sas, 1);
    assert_true(net_ping(net, WEST, EAST));
    assert_true(net_ping(net, EAST, WEST));
}

static void K16_after_a_long_sleep_the_session_is_resumed(void **state) {
    struct net *net = *state;
    prepare(net);
    sleep_well(net);
    net->auth_refused = true; /* no key is asked for */
    net_run(net, 80 * SECOND);
    assert_back(net, "IKE SA resumed with @east", TRANSPORT_UDP);
    assert_int_equal(sentences(net, EAST, "IKE SA resumed with @west"), 1);
}

/* The gateway sends all away (global-redirect): who resumes goes too, where another key makes tickets. */
static void K9_K16_who_resumes_is_redirected_as_well(void **state) {
    struct net *net = *state;
    net->end[WEST].config->ike.accept_redirect = true;
    net_config(net->end[NORTH].config, EAST);
    net_configure(net, NORTH);
    prepare(net);
    sleep_well(net);
    peers_set_redirect(net->end[EAST].peers, PEER_REDIRECT_YES, "192.0.2.3");
    net_run(net, 80 * SECOND);
    if (net_totals(net, NORTH).ike_sas != 1)
        net_print(net);
    assert_non_null(net_said(net, WEST, "192.0.2.2 redirects us to 192.0.2.3"));
    assert_int_equal(net_totals(net, NORTH).ike_sas, 1);
    assert_int_equal(net_totals(net, EAST).ike_sas, 0);
    assert_int_equal(sentences(net, WEST, "IKE SA resumed"), 0);
}

static void K16_where_auth_of_a_resumed_session_fails_a_full_handshake_follows_at_once(void **state) {
    struct net *net = *state;
    net->end[WEST].config->ike.remote_id = (struct identity){0};
    prepare(net);
    sleep_well(net);
    struct ike_ticket *ticket = net->end[WEST].peers->conns->ticket;
    assert_non_null(ticket);
    ticket->remote_id.data[0] ^= 1; /* it calls itself something else now */
    net_run(net, 80 * SECOND);
    assert_back(net, "IKE SA established with @east", TRANSPORT_UDP);
    const struct net_line *line = net_said(net, WEST, "the session is not resumed");
    assert_non_null(line);
    const struct net_line *up = NULL;
    for (size_t i = 0; i < net->lines; i++)
        if (net->line[i].end == WEST && strstr(net->line[i].text, "IKE SA established"))
            up = &net->line[i];
    assert_in_range(up->at, line->at, line->at + SECOND);
}

static void K16_C4_udp_is_first_again_when_a_session_is_resumed(void **state) {
    struct net *net = *state;
    net->udp_blocked = true;
    prepare(net);
    assert_int_equal(net_status(net, WEST)->transport, TRANSPORT_TCP);
    sleep_well(net);
    net_run(net, 80 * SECOND);
    assert_back(net, "IKE SA resumed with @east", TRANSPORT_UDP);
}

static void K16_where_udp_is_blocked_it_falls_back_to_tcp_with_its_ticket(void **state) {
    struct net *net = *state;
    prepare(net);
    sleep_well(net);
    net->udp_blocked = true;
    net_run(net, 80 * SECOND);
    assert_back(net, "IKE SA resumed with @east", TRANSPORT_TCP);
}

static void K16_a_gateway_that_restarted_refuses_the_ticket_and_a_full_handshake_follows(void **state) {
    struct net *net = *state;
    prepare(net);
    net_restart(net, EAST);
    net->end[EAST].config->ike.session_resumption = true;
    net_configure(net, EAST);
    sleep_well(net);
    net_run(net, 80 * SECOND);
    assert_back(net, "IKE_SA_INIT again: the peer does not take our ticket", TRANSPORT_UDP);
    assert_int_equal(sentences(net, WEST, "resumed"), 0);
    assert_null(net_said(net, EAST, "failed"));
}

static void K16_a_reload_of_the_gateway_ends_its_tickets(void **state) {
    struct net *net = *state;
    prepare(net);
    net_configure(net, EAST);
    sleep_well(net);
    net_run(net, 80 * SECOND);
    assert_back(net, "does not take our ticket", TRANSPORT_UDP);
}

static void K16_what_was_ended_on_purpose_is_not_resumed(void **state) {
    struct net *net = *state;
    size_t found;
    prepare(net);
    net_take(net, WEST, peers_down(net->end[WEST].peers, net->now, "office", &found));
    net_run(net, SECOND);
    net_up(net, WEST);
    net_run(net, SECOND);
    assert_back(net, "IKE SA established", TRANSPORT_UDP);
    assert_int_equal(sentences(net, WEST, "resumed"), 0);
    assert_int_equal(sentences(net, WEST, "ticket"), 0);
}

static void K16_nobody_resumes_who_was_not_told_to(void **state) {
    struct net *net = *state;
    net->end[EAST].config->ike.session_resumption = true;
    net_bring_up(net);
    sleep_well(net);
    net_run(net, 80 * SECOND);
    assert_back(net, "IKE SA established", TRANSPORT_UDP);
    assert_int_equal(sentences(net, WEST, "resumed"), 0);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, net_setup, net_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            K16_where_auth_of_a_resumed_session_fails_a_full_handshake_follows_at_once, net_setup, net_teardown),
        cmocka_unit_test_setup_teardown(K9_K16_who_resumes_is_redirected_as_well, net_setup, net_teardown),
        T(K16_after_a_long_sleep_the_session_is_resumed),
        T(K16_C4_udp_is_first_again_when_a_session_is_resumed),
        T(K16_where_udp_is_blocked_it_falls_back_to_tcp_with_its_ticket),
        T(K16_a_gateway_that_restarted_refuses_the_ticket_and_a_full_handshake_follows),
        T(K16_a_reload_of_the_gateway_ends_its_tickets),
        T(K16_what_was_ended_on_purpose_is_not_resumed),
        T(K16_nobody_resumes_who_was_not_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
