/* marks.c: rules that bring packets with a mark to the table of a connection's device. What carries tunnels is passed by, whatever
 * marks are chosen, and so is what came out of the device: else it could go round in a circle. */
#include <linux/fib_rules.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host/internal.h"

enum { PRIORITY_PASS = 217, PRIORITY_MARK, PRIORITY_ON };

struct rule {
    uint32_t priority;
    uint8_t action;
    uint32_t mark, mask; /* mask 0: of all */
    const char *from; /* NULL: of all */
    uint32_t table, go_on;
};

static int change(struct host *h, bool v6, bool add, const struct rule *rule) {
    struct fib_rule_hdr header = {.family = v6 ? AF_INET6 : AF_INET, .action = rule->action};
    struct nl_msg *m = netlink_message(add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE : 0, &header, sizeof header);
    bool room = m != NULL && nla_put_u32(m, FRA_PRIORITY, rule->priority) == 0;
    if (rule->mask != 0)
        room = room && nla_put_u32(m, FRA_FWMARK, rule->mark) == 0 && nla_put_u32(m, FRA_FWMASK, rule->mask) == 0;
    if (rule->from != NULL)
        room = room && nla_put_string(m, FRA_IIFNAME, rule->from) == 0;
    if (rule->table != 0)
        room = room && nla_put_u32(m, FRA_TABLE, rule->table) == 0;
    if (rule->go_on != 0)
        room = room && nla_put_u32(m, FRA_GOTO, rule->go_on) == 0;
    if (!room) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send(h, m);
}

#define RULES 4
/* In the order in which they are made: what the others lead to first. The first and the last are all devices'. */
static void list(uint32_t outer_mark, const struct mark_rules *of, struct rule out[RULES]) {
    out[0] = (struct rule){.priority = PRIORITY_ON, .action = FR_ACT_NOP};
    out[1] = (struct rule){
        .priority = PRIORITY_PASS, .action = FR_ACT_GOTO, .mark = outer_mark, .mask = UINT32_MAX, .go_on = PRIORITY_ON};
    out[2] = (struct rule){.priority = PRIORITY_PASS, .action = FR_ACT_GOTO, .from = of->name, .go_on = PRIORITY_ON};
    out[3] = (struct rule){
        .priority = PRIORITY_MARK, .action = FR_ACT_TO_TBL, .mark = of->mark, .mask = of->mask, .table = of->table};
}

/* Each instance has its own copies of those that are all devices', so that none is missing when another ends. */
bool mark_rules_add(struct host *h, const struct mark_rules *of, bool first, struct error *err) {
    struct rule rule[RULES];
    list(h->mark, of, rule);
    for (int v6 = 0; v6 < 2; v6++)
        for (size_t i = first ? 0 : 2; i < RULES; i++) {
            int result = change(h, v6, true, &rule[i]);
            if (result == -NLE_AF_NOSUPPORT && v6)
                break; /* a host without IPv6 */
            if (result != 0)
                return fail(err, HOST, 0, "rules for the mark %#x of %s: %s", of->mark, of->name, nl_geterror(result));
        }
    return true;
}

void mark_rules_remove(struct host *h, uint32_t outer_mark, const struct mark_rules *of, bool last) {
    struct rule rule[RULES];
    list(outer_mark, of, rule);
    for (int v6 = 0; v6 < 2; v6++)
        for (size_t i = RULES; i-- > (last ? 0 : 2);)
            (void)change(h, v6, false, &rule[i]);
}
