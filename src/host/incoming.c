/* incoming.c: the mark of packets that come out of a device, which a TUN can't give them: a rule of the kernel's packet filter does,
 * before those of others. Its table ends with our socket, so that a kill leaves nothing, and nobody else can flush it. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/internal.h"

#define PRIORITY (-160) /* just before mangle, where people's own rules look at marks */
#define BATCH_OCTETS 4096

/* Messages that are carried out all or not at all. */
struct batch {
    char table[32];
    uint8_t octets[BATCH_OCTETS];
    size_t used;
    uint32_t sequence;
    bool broken; /* no room or no memory */
};

static void add(struct batch *batch, struct nl_msg *message) {
    const struct nlmsghdr *header = message != NULL ? nlmsg_hdr(message) : NULL;
    if (header == NULL || header->nlmsg_len > sizeof batch->octets - batch->used) {
        batch->broken = true;
    } else {
        struct nlmsghdr copy = *header;
        copy.nlmsg_seq = batch->sequence++;
        copy.nlmsg_pid = 0;
        memcpy(batch->octets + batch->used, header, header->nlmsg_len);
        memcpy(batch->octets + batch->used, &copy, sizeof copy);
        batch->used += NLMSG_ALIGN(header->nlmsg_len);
    }
    nlmsg_free(message);
}

static struct nl_msg *message_of(int type, int flags, uint8_t family, uint16_t resource) {
    struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    return netlink_message(type, NLM_F_REQUEST | flags, &header, sizeof header);
}

static void begin(struct batch *batch) {
    *batch = (struct batch){.sequence = 1};
    snprintf(batch->table, sizeof batch->table, "iketcp-%d", (int)getpid());
    add(batch, message_of(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
}

static struct nl_msg *nft(int type, int flags) {
    return message_of(NFNL_SUBSYS_NFTABLES << 8 | type, flags, NFPROTO_INET, 0);
}

/* Whatever is put into no message is no fault: `add` finds out. */
static bool text(struct nl_msg *m, int attribute, const char *value) {
    return m != NULL && nla_put_string(m, attribute, value) == 0;
}

static bool number(struct nl_msg *m, int attribute, uint32_t value) {
    return m != NULL && nla_put_u32(m, attribute, htonl(value)) == 0;
}

static void add_table(struct batch *batch) {
    struct nl_msg *m = nft(NFT_MSG_NEWTABLE, NLM_F_CREATE);
    batch->broken |= !text(m, NFTA_TABLE_NAME, batch->table) || !number(m, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER);
    add(batch, m);
}

static void add_chain(struct batch *batch, const char *name) {
    struct nl_msg *m = nft(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    bool room = text(m, NFTA_CHAIN_TABLE, batch->table) && text(m, NFTA_CHAIN_NAME, name);
    struct nlattr *hook = room ? nla_nest_start(m, NFTA_CHAIN_HOOK) : NULL;
    room = hook != NULL && number(m, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING) &&
           number(m, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY);
    if (room)
        nla_nest_end(m, hook);
    batch->broken |= !room || !text(m, NFTA_CHAIN_TYPE, "filter");
    add(batch, m);
}

/* ---------------------------------------------------------------- the rule ---- */

/* Of `name`, with two numbers, which is what each has. */
static bool expression(struct nl_msg *m, const char *name, int first, uint32_t a, int second, uint32_t b) {
    struct nlattr *element = nla_nest_start(m, NFTA_LIST_ELEM);
    struct nlattr *data = element != NULL && text(m, NFTA_EXPR_NAME, name) ? nla_nest_start(m, NFTA_EXPR_DATA) : NULL;
    if (data == NULL || !number(m, first, a) || !number(m, second, b))
        return false;
    nla_nest_end(m, data);
    nla_nest_end(m, element);
    return true;
}

/* In the host's order, as registers have indexes and marks. */
static bool value(struct nl_msg *m, int attribute, uint32_t value) {
    struct nlattr *nest = nla_nest_start(m, attribute);
    if (nest == NULL || nla_put_u32(m, NFTA_DATA_VALUE, value) != 0)
        return false;
    nla_nest_end(m, nest);
    return true;
}

static bool compare(struct nl_msg *m, uint32_t with) {
    struct nlattr *element = nla_nest_start(m, NFTA_LIST_ELEM);
    struct nlattr *data = element != NULL && text(m, NFTA_EXPR_NAME, "cmp") ? nla_nest_start(m, NFTA_EXPR_DATA) : NULL;
    if (data == NULL || !number(m, NFTA_CMP_SREG, NFT_REG_1) || !number(m, NFTA_CMP_OP, NFT_CMP_EQ) ||
        !value(m, NFTA_CMP_DATA, with))
        return false;
    nla_nest_end(m, data);
    nla_nest_end(m, element);
    return true;
}

static bool keep_and_add(struct nl_msg *m, uint32_t keep, uint32_t more) {
    struct nlattr *element = nla_nest_start(m, NFTA_LIST_ELEM);
    struct nlattr *data =
        element != NULL && text(m, NFTA_EXPR_NAME, "bitwise") ? nla_nest_start(m, NFTA_EXPR_DATA) : NULL;
    if (data == NULL || !number(m, NFTA_BITWISE_SREG, NFT_REG_1) || !number(m, NFTA_BITWISE_DREG, NFT_REG_1) ||
        !number(m, NFTA_BITWISE_LEN, sizeof keep) || !value(m, NFTA_BITWISE_MASK, keep) ||
        !value(m, NFTA_BITWISE_XOR, more))
        return false;
    nla_nest_end(m, data);
    nla_nest_end(m, element);
    return true;
}

/* iif INDEX meta mark set (meta mark & ~MASK) ^ MARK */
static bool expressions(struct nl_msg *m, int index, uint32_t mark, uint32_t mask) {
    struct nlattr *list = nla_nest_start(m, NFTA_RULE_EXPRESSIONS);
    if (list == NULL || !expression(m, "meta", NFTA_META_DREG, NFT_REG_1, NFTA_META_KEY, NFT_META_IIF) ||
        !compare(m, (uint32_t)index) ||
        !expression(m, "meta", NFTA_META_DREG, NFT_REG_1, NFTA_META_KEY, NFT_META_MARK) ||
        !keep_and_add(m, ~mask, mark) ||
        !expression(m, "meta", NFTA_META_KEY, NFT_META_MARK, NFTA_META_SREG, NFT_REG_1))
        return false;
    nla_nest_end(m, list);
    return true;
}

static void add_rule(struct batch *batch, const struct host_device *of, int index) {
    struct nl_msg *m = nft(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK);
    batch->broken |= !text(m, NFTA_RULE_TABLE, batch->table) || !text(m, NFTA_RULE_CHAIN, of->name) ||
                     !expressions(m, index, of->mark_in, of->mark_in_mask);
    add(batch, m);
}

/* ---------------------------------------------------------------- carrying out ---- */

/* All answers are there when the batch was sent. 0, or the first error, an errno. */
static int take_answers(int fd) {
    uint8_t octets[BATCH_OCTETS];
    bool answered = false;
    int why = 0;
    for (;;) {
        ssize_t got = recv(fd, octets, sizeof octets, MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        int left = (int)got;
        for (struct nlmsghdr *h = (struct nlmsghdr *)(void *)octets; nlmsg_ok(h, left); h = nlmsg_next(h, &left)) {
            if (h->nlmsg_type != NLMSG_ERROR || !nlmsg_valid_hdr(h, sizeof(struct nlmsgerr)))
                continue;
            const struct nlmsgerr *answer = nlmsg_data(h);
            answered = true;
            if (why == 0)
                why = -answer->error;
        }
    }
    return answered ? why : EIO;
}

static int carry_out(struct host *h, struct batch *batch) {
    add(batch, message_of(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    if (batch->broken)
        return ENOMEM;
    return nl_sendto(h->filter, batch->octets, batch->used) < 0 ? EIO : take_answers(nl_socket_get_fd(h->filter));
}

static bool open_socket(struct host *h, struct error *err) {
    h->filter = nl_socket_alloc();
    int failed = h->filter != NULL ? nl_connect(h->filter, NETLINK_NETFILTER) : -NLE_NOMEM;
    if (failed == 0)
        return true;
    nl_socket_free(h->filter);
    h->filter = NULL;
    return fail(err, HOST, 0, "mark-in: this kernel's packet filter can't be reached: %s", nl_geterror(failed));
}

bool incoming_mark(struct host *h, const struct host_device *of, int index, struct error *err) {
    struct batch batch;
    bool first = h->filter == NULL;
    if (of->mark_in_mask == 0)
        return true;
    if (first && !open_socket(h, err))
        return false;
    begin(&batch);
    if (first)
        add_table(&batch);
    add_chain(&batch, of->name);
    add_rule(&batch, of, index);
    int why = carry_out(h, &batch);
    if (why == 0)
        return true;
    if (first) {
        nl_socket_free(h->filter);
        h->filter = NULL;
    }
    return fail(err, HOST, 0, "mark-in needs nf_tables, with table owners (Linux 5.12): %s", strerror(why));
}

void incoming_unmark(struct host *h, const struct host_device *of) {
    struct batch batch;
    if (of->mark_in_mask == 0 || h->filter == NULL)
        return;
    begin(&batch);
    struct nl_msg *rule = nft(NFT_MSG_DELRULE, 0), *chain = nft(NFT_MSG_DELCHAIN, NLM_F_ACK);
    batch.broken |= !text(rule, NFTA_RULE_TABLE, batch.table) || !text(rule, NFTA_RULE_CHAIN, of->name);
    add(&batch, rule);
    batch.broken |= !text(chain, NFTA_CHAIN_TABLE, batch.table) || !text(chain, NFTA_CHAIN_NAME, of->name);
    add(&batch, chain);
    (void)carry_out(h, &batch);
}
