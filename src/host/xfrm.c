/* xfrm.c: IPsec states and policies in messages to the kernel (linux/xfrm.h): a Child SA is two states, whose encapsulation is a
 * TCP stream (RFC 9329), and three policies. The out policy names its state by SPI, so that it is ours to say which of two
 * Child SAs with the same selectors is used. */
#include <linux/udp.h> /* TCP_ENCAP_ESPINTCP */
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "host/internal.h"

#ifndef TCP_ENCAP_ESPINTCP
#define TCP_ENCAP_ESPINTCP 7
#endif
#define PRIORITY 4000u /* less what a selector is narrow: the kernel takes the lowest */
#define REPLAY_MAX 4096u /* packets of a window */
#define UNDO_MAX 4096 /* in one pass */
#define UNDO_PASSES 16

/* ---------------------------------------------------------------- selectors ---- */

static bool network_of(const struct selector *selector, struct prefix *out) {
    return range_prefixes(&selector->first, &selector->last, out, 1) == 1;
}

static bool any_port(const struct selector *selector) {
    return selector->port_first == 0 && selector->port_last == UINT16_MAX;
}

bool xfrm_expressible(const struct selector *selector, struct error *err) {
    struct prefix network;
    char first[ADDRESS_TEXT_MAX], last[ADDRESS_TEXT_MAX];
    if (!network_of(selector, &network))
        return fail(err, HOST, 0, "%s to %s is no network, and the kernel takes no others",
            address_text(&selector->first, first), address_text(&selector->last, last));
    bool has_ports =
        selector->protocol == IPPROTO_TCP || selector->protocol == IPPROTO_UDP || selector->protocol == IPPROTO_SCTP;
    if (any_port(selector) || (has_ports && selector->port_first == selector->port_last))
        return true;
    return fail(err, HOST, 0, "the kernel takes all ports or one of TCP, UDP or SCTP, not %u to %u of protocol %u",
        (unsigned)selector->port_first, (unsigned)selector->port_last, (unsigned)selector->protocol);
}

static void set_address(xfrm_address_t *out, const struct address *address) {
    memcpy(out, address->octets, address_octets(address));
}

static void set_port(const struct selector *selector, __be16 *port, __be16 *mask) {
    if (any_port(selector))
        return;
    *port = htons(selector->port_first);
    *mask = htons(UINT16_MAX);
}

/* From `source` to `destination`, as packets go. */
static struct xfrm_selector selector_of(const struct selector *source, const struct selector *destination) {
    struct xfrm_selector out = {.family = (__u16)family_of(&source->first)};
    struct prefix from = {0}, to = {0};
    (void)network_of(source, &from);
    (void)network_of(destination, &to);
    set_address(&out.saddr, &from.address);
    set_address(&out.daddr, &to.address);
    out.prefixlen_s = from.length;
    out.prefixlen_d = to.length;
    out.proto = source->protocol != 0 ? source->protocol : destination->protocol;
    set_port(source, &out.sport, &out.sport_mask);
    set_port(destination, &out.dport, &out.dport_mask);
    return out;
}

static const struct xfrm_lifetime_cfg for_ever = {.soft_byte_limit = XFRM_INF,
    .hard_byte_limit = XFRM_INF,
    .soft_packet_limit = XFRM_INF,
    .hard_packet_limit = XFRM_INF};

/* ---------------------------------------------------------------- states ---- */

static const char *auth_name(uint16_t integ, unsigned *icv_bits) {
    *icv_bits = integ == AUTH_HMAC_SHA2_256_128 ? 128 : integ == AUTH_HMAC_SHA2_384_192 ? 192 : 256;
    return integ == AUTH_HMAC_SHA2_256_128   ? "hmac(sha256)"
           : integ == AUTH_HMAC_SHA2_384_192 ? "hmac(sha384)"
                                             : "hmac(sha512)";
}

/* An algorithm and its key behind it. */
static bool put_keyed(
    struct nl_msg *m, int attribute, const void *header, size_t header_length, const uint8_t *key, size_t length) {
    uint8_t octets[sizeof(struct xfrm_algo_auth) + HOST_INTEG_KEY_MAX];
    if (header_length + length > sizeof octets)
        return false;
    memcpy(octets, header, header_length);
    memcpy(octets + header_length, key, length);
    bool room = nla_put(m, attribute, (int)(header_length + length), octets) == 0;
    wipe(octets, sizeof octets);
    return room;
}

static bool put_aead(struct nl_msg *m, const char *name, const uint8_t *key, size_t length) {
    struct xfrm_algo_aead aead = {.alg_key_len = (unsigned)(8 * length), .alg_icv_len = 128};
    memcpy(aead.alg_name, name, strlen(name));
    return put_keyed(m, XFRMA_ALG_AEAD, &aead, sizeof aead, key, length);
}

static bool put_crypt(struct nl_msg *m, const uint8_t *key, size_t length) {
    static const char name[] = "cbc(aes)";
    struct xfrm_algo crypt = {.alg_key_len = (unsigned)(8 * length)};
    memcpy(crypt.alg_name, name, sizeof name);
    return put_keyed(m, XFRMA_ALG_CRYPT, &crypt, sizeof crypt, key, length);
}

static bool put_auth(struct nl_msg *m, uint16_t integ, const uint8_t *key, size_t length) {
    struct xfrm_algo_auth auth = {.alg_key_len = (unsigned)(8 * length)};
    const char *name = auth_name(integ, &auth.alg_trunc_len);
    memcpy(auth.alg_name, name, strlen(name));
    return put_keyed(m, XFRMA_ALG_AUTH_TRUNC, &auth, sizeof auth, key, length);
}

static bool put_algorithms(struct nl_msg *m, const struct host_esp *esp, bool out) {
    const uint8_t *key = out ? esp->key_out : esp->key_in;
    if (esp->encr == ENCR_AES_GCM_16)
        return put_aead(m, "rfc4106(gcm(aes))", key, esp->key_length);
    if (esp->encr == ENCR_CHACHA20_POLY1305)
        return put_aead(m, "rfc7539esp(chacha20,poly1305)", key, esp->key_length);
    return put_crypt(m, key, esp->key_length) &&
           put_auth(m, esp->integ, out ? esp->integ_out : esp->integ_in, esp->integ_length);
}

/* The long form, with ESN and without: the short one has a window of 32. All numbers up to the highest count as seen. */
static bool put_replay(struct nl_msg *m, const struct host_esp *esp, bool out) {
    const uint32_t window = out ? (esp->esn ? 64 : 0) : esp->replay_window;
    uint64_t seen = out ? 0 : esp->in, sent = out ? esp->out : 0;
    struct xfrm_replay_state_esn state = {.bmp_len = (window + 31) / 32,
        .replay_window = window,
        .seq = (uint32_t)seen,
        .oseq = (uint32_t)sent,
        .seq_hi = esp->esn ? (uint32_t)(seen >> 32) : 0,
        .oseq_hi = esp->esn ? (uint32_t)(sent >> 32) : 0};
    uint8_t octets[sizeof state + REPLAY_MAX / 8];
    if (window > REPLAY_MAX)
        return false;
    memcpy(octets, &state, sizeof state);
    memset(octets + sizeof state, seen > 0 ? 0xff : 0, 4 * (size_t)state.bmp_len);
    return nla_put(m, XFRMA_REPLAY_ESN_VAL, (int)(sizeof state + 4 * (size_t)state.bmp_len), octets) == 0;
}

int xfrm_state_add(struct host *h, const struct host_esp *esp, bool out) {
    const struct address *from = out ? &esp->local : &esp->remote, *to = out ? &esp->remote : &esp->local;
    const struct selector *source = out ? &esp->inner_local : &esp->inner_remote;
    const struct selector *destination = out ? &esp->inner_remote : &esp->inner_local;
    struct xfrm_usersa_info info = {.sel = selector_of(source, destination),
        .id = {.spi = htonl(out ? esp->spi_out : esp->spi_in), .proto = IPPROTO_ESP},
        .lft = for_ever,
        .reqid = h->reqid,
        .family = (__u16)family_of(from),
        .mode = XFRM_MODE_TUNNEL,
        .flags =
            (__u8)(XFRM_STATE_NOECN | (esp->esn ? XFRM_STATE_ESN : 0))}; /* K10: its outer header is the stream's */
    set_address(&info.saddr, from);
    set_address(&info.id.daddr, to);
    struct xfrm_encap_tmpl stream = {
        .encap_type = TCP_ENCAP_ESPINTCP, .encap_sport = htons(from->port), .encap_dport = htons(to->port)};
    struct nl_msg *m = netlink_message(XFRM_MSG_NEWSA, 0, &info, sizeof info);
    bool room = m != NULL && put_algorithms(m, esp, out) && nla_put(m, XFRMA_ENCAP, sizeof stream, &stream) == 0 &&
                put_replay(m, esp, out) && (!out || nla_put_u32(m, XFRMA_SET_MARK, h->mark) == 0);
    if (!room) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send_on(h->xfrm, m);
}

static struct xfrm_usersa_id id_of(const struct esp_entry *entry, bool out) {
    const struct address *to = out ? &entry->remote : &entry->local;
    struct xfrm_usersa_id id = {
        .spi = htonl(out ? entry->spi_out : entry->spi_in), .family = (__u16)family_of(to), .proto = IPPROTO_ESP};
    set_address(&id.daddr, to);
    return id;
}

int xfrm_state_delete(struct host *h, const struct esp_entry *entry, bool out) {
    struct xfrm_usersa_id id = id_of(entry, out);
    return netlink_send_on(h->xfrm, netlink_message(XFRM_MSG_DELSA, 0, &id, sizeof id));
}

struct reading {
    struct host_esp_state *state;
    bool out, done;
};

static void read_state(struct nlmsghdr *header, void *context) {
    struct reading *reading = context;
    struct nlattr *attribute[XFRMA_MAX + 1];
    struct xfrm_replay_state_esn replay;
    struct xfrm_lifetime_cur used;
    if (header->nlmsg_type != XFRM_MSG_NEWAE ||
        nlmsg_parse(header, sizeof(struct xfrm_aevent_id), attribute, XFRMA_MAX, NULL) != 0 ||
        attribute[XFRMA_REPLAY_ESN_VAL] == NULL || nla_len(attribute[XFRMA_REPLAY_ESN_VAL]) < (int)sizeof replay ||
        attribute[XFRMA_LTIME_VAL] == NULL || nla_len(attribute[XFRMA_LTIME_VAL]) < (int)sizeof used)
        return;
    memcpy(&replay, nla_data(attribute[XFRMA_REPLAY_ESN_VAL]), sizeof replay);
    memcpy(&used, nla_data(attribute[XFRMA_LTIME_VAL]), sizeof used);
    struct host_esp_state *state = reading->state;
    reading->done = true;
    if (reading->out) {
        state->out = (uint64_t)replay.oseq_hi << 32 | replay.oseq;
        state->packets_out = used.packets;
        state->octets_out = used.bytes;
    } else {
        state->in = (uint64_t)replay.seq_hi << 32 | replay.seq;
        state->packets_in = used.packets;
        state->octets_in = used.bytes;
    }
}

/* An event message: it brings the numbers without the keys. */
int xfrm_state_read(struct host *h, const struct esp_entry *entry, bool out, struct host_esp_state *state) {
    struct xfrm_aevent_id id = {.sa_id = id_of(entry, out)};
    struct reading reading = {.state = state, .out = out};
    set_address(&id.saddr, out ? &entry->local : &entry->remote);
    int result = netlink_ask_on(h->xfrm, netlink_message(XFRM_MSG_GETAE, 0, &id, sizeof id), read_state, &reading);
    return result != 0 || reading.done ? result : -NLE_OBJ_NOTFOUND;
}

/* ---------------------------------------------------------------- policies ---- */

static uint32_t priority_of(const struct xfrm_selector *selector) {
    return PRIORITY - 2u * selector->prefixlen_s - 2u * selector->prefixlen_d - (selector->proto != 0) -
           (selector->sport_mask != 0) - (selector->dport_mask != 0);
}

static int policy_change(struct host *h, const struct esp_entry *entry, uint8_t direction, bool add) {
    bool out = direction == XFRM_POLICY_OUT;
    const struct address *from = out ? &entry->local : &entry->remote, *to = out ? &entry->remote : &entry->local;
    struct xfrm_selector selector = out ? selector_of(&entry->inner_local, &entry->inner_remote)
                                        : selector_of(&entry->inner_remote, &entry->inner_local);
    if (!add) {
        struct xfrm_userpolicy_id id = {.sel = selector, .dir = direction};
        return netlink_send_on(h->xfrm, netlink_message(XFRM_MSG_DELPOLICY, 0, &id, sizeof id));
    }
    struct xfrm_userpolicy_info info = {.sel = selector,
        .lft = for_ever,
        .priority = priority_of(&selector),
        .dir = direction,
        .action = XFRM_POLICY_ALLOW};
    struct xfrm_user_tmpl template = {.id = {.proto = IPPROTO_ESP, .spi = out ? htonl(entry->spi_out) : 0},
        .family = (__u16)family_of(from),
        .reqid = h->reqid,
        .mode = XFRM_MODE_TUNNEL,
        .aalgos = UINT32_MAX,
        .ealgos = UINT32_MAX,
        .calgos = UINT32_MAX};
    set_address(&template.saddr, from);
    set_address(&template.id.daddr, to);
    struct nl_msg *m = netlink_message(XFRM_MSG_UPDPOLICY, 0, &info, sizeof info);
    if (m == NULL || nla_put(m, XFRMA_TMPL, sizeof template, &template) != 0) {
        nlmsg_free(m);
        return -NLE_NOMEM;
    }
    return netlink_send_on(h->xfrm, m);
}

int xfrm_policies_in(struct host *h, const struct esp_entry *entry, bool add) {
    int result = policy_change(h, entry, XFRM_POLICY_IN, add);
    return result != 0 ? result : policy_change(h, entry, XFRM_POLICY_FWD, add);
}

int xfrm_policy_out(struct host *h, const struct esp_entry *entry, bool add) {
    return policy_change(h, entry, XFRM_POLICY_OUT, add);
}

bool xfrm_pass(int fd, bool v6) {
    static const uint8_t directions[] = {XFRM_POLICY_IN, XFRM_POLICY_OUT};
    for (size_t i = 0; i < sizeof directions; i++) {
        struct xfrm_userpolicy_info pass = {.sel = {.family = v6 ? AF_INET6 : AF_INET},
            .lft = for_ever,
            .dir = directions[i],
            .action = XFRM_POLICY_ALLOW};
        if (setsockopt(
                fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_XFRM_POLICY : IP_XFRM_POLICY, &pass, sizeof pass) != 0)
            return false;
    }
    return true;
}

/* ---------------------------------------------------------------- undoing ---- */

struct undo {
    uint32_t reqid;
    size_t count;
    struct nl_msg *message[UNDO_MAX];
};

static void add(struct undo *undo, int type, const void *header, size_t length) {
    struct nl_msg *message = undo->count < UNDO_MAX ? netlink_message(type, 0, header, length) : NULL;
    if (message != NULL)
        undo->message[undo->count++] = message;
}

static void see_policy(struct nlmsghdr *header, void *context) {
    struct undo *undo = context;
    struct nlattr *attribute[XFRMA_MAX + 1];
    struct xfrm_userpolicy_info info;
    struct xfrm_user_tmpl template;
    if (nlmsg_parse(header, sizeof info, attribute, XFRMA_MAX, NULL) != 0 || attribute[XFRMA_TMPL] == NULL ||
        nla_len(attribute[XFRMA_TMPL]) < (int)sizeof template)
        return;
    memcpy(&template, nla_data(attribute[XFRMA_TMPL]), sizeof template);
    memcpy(&info, nlmsg_data(header), sizeof info);
    struct xfrm_userpolicy_id id = {.sel = info.sel, .dir = info.dir};
    if (template.reqid == undo->reqid)
        add(undo, XFRM_MSG_DELPOLICY, &id, sizeof id);
}

static void see_state(struct nlmsghdr *header, void *context) {
    struct undo *undo = context;
    struct xfrm_usersa_info info;
    if (!nlmsg_valid_hdr(header, sizeof info))
        return;
    memcpy(&info, nlmsg_data(header), sizeof info);
    struct xfrm_usersa_id id = {
        .daddr = info.id.daddr, .spi = info.id.spi, .family = info.family, .proto = info.id.proto};
    if (info.reqid == undo->reqid)
        add(undo, XFRM_MSG_DELSA, &id, sizeof id);
}

static void undo_kind(struct nl_sock *socket, uint32_t reqid, int type, size_t length, netlink_each *each) {
    static const uint8_t nothing[sizeof(struct xfrm_userpolicy_id) + sizeof(struct xfrm_usersa_id)] = {0};
    struct undo *undo = calloc(1, sizeof *undo);
    for (int pass = 0; undo != NULL && pass < UNDO_PASSES; pass++) {
        *undo = (struct undo){.reqid = reqid};
        (void)netlink_dump_on(socket, type, nothing, length, each, undo);
        for (size_t i = 0; i < undo->count; i++)
            (void)netlink_send_on(socket, undo->message[i]);
        if (undo->count == 0)
            break;
    }
    free(undo);
}

void xfrm_undo(struct nl_sock *socket, uint32_t reqid) {
    undo_kind(socket, reqid, XFRM_MSG_GETPOLICY, sizeof(struct xfrm_userpolicy_id), see_policy);
    undo_kind(socket, reqid, XFRM_MSG_GETSA, sizeof(struct xfrm_usersa_id), see_state);
}
