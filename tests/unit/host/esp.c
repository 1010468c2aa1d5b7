/* esp.c: which states and policies a Child SA leaves behind that the kernel takes only in part; the kernel is this test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#undef fail /* base/error.h has another one */
#include <stdlib.h>

#include "host/internal.h"

static int calls, fails_at; /* which call is the first that fails; 0: none */
static int states_in, states_out, policies_in, policies_out; /* made less taken away */
static const struct esp_entry *in_entry;

static int call(int *count, bool add) {
    if (add && ++calls == fails_at)
        return -1;
    *count += add ? 1 : -1;
    return 0;
}

int xfrm_state_add(struct host *h, const struct host_esp *esp, bool out) {
    (void)h;
    (void)esp;
    return call(out ? &states_out : &states_in, true);
}

int xfrm_state_delete(struct host *h, const struct esp_entry *entry, bool out) {
    (void)h;
    (void)entry;
    return call(out ? &states_out : &states_in, false);
}

int xfrm_state_read(struct host *h, const struct esp_entry *entry, bool out, struct host_esp_state *state) {
    (void)h;
    (void)entry;
    (void)out;
    (void)state;
    return 0;
}

int xfrm_policies_in(struct host *h, const struct esp_entry *entry, bool add) {
    (void)h;
    if (add && ++calls == fails_at)
        return -1;
    in_entry = add ? entry : NULL;
    policies_in = add;
    return 0;
}

int xfrm_policy_out(struct host *h, const struct esp_entry *entry, bool add) {
    (void)h;
    (void)entry;
    if (add && ++calls == fails_at)
        return -1;
    policies_out = add;
    return 0;
}

bool xfrm_expressible(const struct selector *selector, struct error *err) {
    (void)selector;
    (void)err;
    return true;
}

void xfrm_undo(struct nl_sock *socket, uint32_t reqid) {
    (void)socket;
    (void)reqid;
}

bool tables_choose(struct host *h, struct error *err) {
    (void)h;
    (void)err;
    return true;
}

bool netlink_open(struct nl_sock **out, int protocol, struct error *err) {
    (void)out;
    (void)protocol;
    (void)err;
    return false;
}

static bool set(struct host *h, uint32_t spi_in, int fails) {
    struct host_esp esp = {.spi_in = spi_in, .spi_out = 9, .outbound = true, .encr = ENCR_AES_GCM_16};
    struct error err = {0};
    calls = 0;
    fails_at = fails;
    return host_esp_set(h, &esp, &err);
}

/* Another peer behind the same address may choose the same SPI: the state that is there already is not ours to take away. */
static void O5_what_the_kernel_does_not_take_leaves_what_was_there_before(void **state) {
    (void)state;
    static char socket;
    for (int fails = 1; fails <= 4; fails++) {
        for (int before = 0; before < 2; before++) {
            struct host h = {.xfrm = (struct nl_sock *)(void *)&socket, .table = 1};
            states_in = states_out = policies_in = policies_out = 0;
            if (before)
                assert_true(set(&h, 1, 0));
            assert_false(set(&h, 2, fails));
            assert_int_equal(h.esps, before);
            assert_int_equal(states_in, before);
            assert_int_equal(states_out, before);
            assert_int_equal(policies_in, before);
            assert_int_equal(policies_out, before);
            if (before)
                assert_true(in_entry->spi_in == 1 && h.esp[0].outbound);
            assert_true(set(&h, 2, 0));
            esp_remove_all(&h);
            assert_int_equal(states_in + states_out + policies_in + policies_out, 0);
            free(h.esp);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(O5_what_the_kernel_does_not_take_leaves_what_was_there_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
