/* rules.c: the routing rules, which bring routes of ours before all others without swallowing the outer connection: sockets
 * with the mark pass them by. They stand while a route of ours does. Every instance has two tables of its own, T and T2. */
#include <linux/fib_rules.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/internal.h"

#define PRIORITY UINT32_C(220)
#define TABLE_FIRST UINT32_C(52000)
#define INSTANCES_MAX 250 /* pairs of tables */
#define FLUSH_MAX 4096 /* routes taken in one pass */
#define FLUSH_PASSES 64

static int rule_change(
    struct host *h, bool v6, enum rule_kind kind, bool add, uint32_t mark, uint32_t table, uint32_t table_default) {
    /* RULE_MAIN is for all; its mark tells instances' rules apart, and nobody has that mark. */
    const uint32_t marks[] = {mark, table_default, mark};
    const uint32_t tables[] = {table, RT_TABLE_MAIN, table_default};
    struct fib_rule_hdr header = {.family = v6 ? AF_INET6 : AF_INET, .action = FR_ACT_TO_TBL, .flags = FIB_RULE_INVERT};
    struct nl_msg *m =
        netlink_message(add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0, &header, sizeof header);
    bool room = m != NULL && nla_put_u32(m, FRA_PRIORITY, PRIORITY + (uint32_t)kind) == 0 &&
                nla_put_u32(m, FRA_FWMARK, marks[kind]) == 0 && nla_put_u32(m, FRA_FWMASK, UINT32_MAX) == 0 &&
                nla_put_u32(m, FRA_TABLE, tables[kind]) == 0 &&
                (kind != RULE_MAIN || nla_put_u32(m, FRA_SUPPRESS_PREFIXLEN, 0) == 0);
    if (!room) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send(h, m);
}

/* ---------------------------------------------------------------- tables ---- */

struct used_tables {
    bool pair[INSTANCES_MAX];
};

static void use_table(struct used_tables *used, uint32_t table) {
    if (table >= TABLE_FIRST && table < TABLE_FIRST + 2 * INSTANCES_MAX)
        used->pair[(table - TABLE_FIRST) / 2] = true;
}

static void see_rule(struct nlmsghdr *header, void *context) {
    struct nlattr *attribute[FRA_MAX + 1];
    if (nlmsg_parse(header, sizeof(struct fib_rule_hdr), attribute, FRA_MAX, NULL) == 0 && attribute[FRA_TABLE] != NULL)
        use_table(context, nla_get_u32(attribute[FRA_TABLE]));
}

static void see_route(struct nlmsghdr *header, void *context) {
    struct nlattr *attribute[RTA_MAX + 1];
    if (nlmsg_parse(header, sizeof(struct rtmsg), attribute, RTA_MAX, NULL) == 0 && attribute[RTA_TABLE] != NULL)
        use_table(context, nla_get_u32(attribute[RTA_TABLE]));
}

/* Two that nobody uses from the n-th pair on; the file knows them before the kernel does. */
static bool tables_from(struct host *h, size_t first, struct error *err) {
    struct used_tables used = {0};
    for (int v6 = 0; v6 < 2; v6++) {
        struct fib_rule_hdr rule = {.family = v6 ? AF_INET6 : AF_INET};
        struct rtmsg route = {.rtm_family = rule.family};
        int failed = netlink_dump(h, RTM_GETRULE, &rule, sizeof rule, see_rule, &used);
        if (failed == 0)
            failed = netlink_dump(h, RTM_GETROUTE, &route, sizeof route, see_route, &used);
        if (failed != 0 && !v6)
            return fail(err, HOST, 0, "rules and routes can't be listed: %s", nl_geterror(failed));
    }
    for (size_t i = first; i < INSTANCES_MAX; i++) {
        if (used.pair[i])
            continue;
        h->table = TABLE_FIRST + 2 * (uint32_t)i;
        h->table_default = h->table + 1;
        if (state_write(h, err))
            return true;
        h->table = h->table_default = 0;
        return false;
    }
    return fail(
        err, HOST, 0, "routing tables %u to %u are all in use", TABLE_FIRST, TABLE_FIRST + 2 * INSTANCES_MAX - 1);
}

bool tables_choose(struct host *h, struct error *err) {
    return h->table != 0 || tables_from(h, 0, err);
}

/* ---------------------------------------------------------------- rules ---- */

static bool no_rule_stands(const struct host *h) {
    for (int v6 = 0; v6 < 2; v6++)
        for (int kind = 0; kind < RULE_KINDS; kind++)
            if (h->rules[v6][kind])
                return false;
    return true;
}

static bool wants(enum rule_kind kind, bool specific, bool whole) {
    return kind == RULE_SPECIFIC ? specific : whole;
}

bool rules_add(struct host *h, bool v6, bool specific, bool whole, struct error *err) {
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        if (!wants((enum rule_kind)kind, specific, whole) || h->rules[v6][kind])
            continue;
        int result = rule_change(h, v6, (enum rule_kind)kind, true, h->mark, h->table, h->table_default);
        /* Another instance chose the same tables at the same moment, and was first. */
        while (result == -NLE_EXIST && no_rule_stands(h) && h->entries <= 1) {
            if (!tables_from(h, (h->table - TABLE_FIRST) / 2 + 1, err))
                return false;
            result = rule_change(h, v6, (enum rule_kind)kind, true, h->mark, h->table, h->table_default);
        }
        if (result != 0)
            return fail(err, HOST, 0, "a rule for IPv%d routes: %s", v6 ? 6 : 4, nl_geterror(result));
        h->rules[v6][kind] = true;
    }
    return true;
}

void rules_trim(struct host *h, bool v6, bool specific, bool whole) {
    for (int kind = RULE_KINDS - 1; kind >= 0; kind--) {
        if (wants((enum rule_kind)kind, specific, whole) || !h->rules[v6][kind])
            continue;
        (void)rule_change(h, v6, (enum rule_kind)kind, false, h->mark, h->table, h->table_default);
        h->rules[v6][kind] = false;
    }
}

/* ---------------------------------------------------------------- undoing ---- */

struct flush {
    uint32_t table, table_default;
    struct nl_msg *message[FLUSH_MAX];
    size_t count;
};

static void collect_route(struct nlmsghdr *header, void *context) {
    struct flush *flush = context;
    struct nlattr *attribute[RTA_MAX + 1];
    if (flush->count == FLUSH_MAX || nlmsg_parse(header, sizeof(struct rtmsg), attribute, RTA_MAX, NULL) != 0 ||
        attribute[RTA_TABLE] == NULL)
        return;
    uint32_t table = nla_get_u32(attribute[RTA_TABLE]);
    if (table != flush->table && table != flush->table_default)
        return;
    struct nl_msg *message = nlmsg_convert(header);
    if (message == NULL)
        return;
    nlmsg_hdr(message)->nlmsg_type = RTM_DELROUTE;
    nlmsg_hdr(message)->nlmsg_flags = NLM_F_REQUEST;
    nlmsg_hdr(message)->nlmsg_seq = NL_AUTO_SEQ;
    nlmsg_hdr(message)->nlmsg_pid = NL_AUTO_PORT;
    flush->message[flush->count++] = message;
}

static void flush_tables(struct host *h, bool v6, uint32_t table, uint32_t table_default) {
    struct rtmsg route = {.rtm_family = v6 ? AF_INET6 : AF_INET};
    struct flush *flush = calloc(1, sizeof *flush);
    for (int pass = 0; flush != NULL && pass < FLUSH_PASSES; pass++) {
        *flush = (struct flush){.table = table, .table_default = table_default};
        (void)netlink_dump(h, RTM_GETROUTE, &route, sizeof route, collect_route, flush);
        for (size_t i = 0; i < flush->count; i++)
            (void)netlink_send(h, flush->message[i]);
        if (flush->count == 0)
            break;
    }
    free(flush);
}

void rules_undo(struct host *h, uint32_t mark, uint32_t table, uint32_t table_default) {
    if (table < TABLE_FIRST || table_default != table + 1 || table_default >= TABLE_FIRST + 2 * INSTANCES_MAX)
        return; /* never anybody else's */
    for (int v6 = 0; v6 < 2; v6++) {
        for (int kind = RULE_KINDS - 1; kind >= 0; kind--)
            (void)rule_change(h, v6, (enum rule_kind)kind, false, mark, table, table_default);
        flush_tables(h, v6, table, table_default);
    }
}
