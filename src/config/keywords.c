/* keywords.c: what ipsec.conf may say and iketcp does: one row a keyword. doc/man/iketcp.conf.5 explains each; a test
 * compares. What Libreswan knows besides is in known.c. */
#include "config/internal.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Scope, offset and size of a field; the others take the whole struct and know their fields themselves. */
#define FIELD_OF(scope, type, field) scope, offsetof(type, field), sizeof(((type *)0)->field)
#define SETUP(field) FIELD_OF(SCOPE_SETUP, struct config, field)
#define CONN(field) FIELD_OF(SCOPE_CONN, struct config_connection, field)
#define WHOLE_SETUP SCOPE_SETUP, 0, 0
#define WHOLE_CONN SCOPE_CONN, 0, 0
#define WHOLE_END SCOPE_END, 0, 0
#define RANGE(low, high) .least = (low), .most = (high)

static const struct choice autos[] = {{"ignore", AUTO_IGNORE, NULL}, {"add", AUTO_ADD, NULL},
    {"ondemand", AUTO_ONDEMAND, NULL}, {"route", AUTO_ONDEMAND, NULL}, {"start", AUTO_START, NULL},
    {"up", AUTO_START, NULL}, {"keep", AUTO_ADD, "auto=keep is done as auto=add, with dpdaction as it is set"},
    {NULL, 0, NULL}};
static const struct choice tcps[] = {
    {"no", CHOICE_NO, NULL}, {"yes", CHOICE_YES, NULL}, {"fallback", CHOICE_FALLBACK, NULL}, {NULL, 0, NULL}};
static const struct choice transports[] = {{"one-by-one", 0, NULL}, {"staggered", 1, NULL}, {NULL, 0, NULL}};
static const struct choice dpds[] = {{"hold", DPD_HOLD, NULL}, {"clear", DPD_CLEAR, NULL},
    {"restart", DPD_RESTART, NULL}, {"restart_by_peer", DPD_RESTART, NULL}, {NULL, 0, NULL}};
static const struct choice encapsulations[] = {{"auto", ENCAPSULATION_AUTO, NULL}, {"yes", ENCAPSULATION_YES, NULL},
    {"no", -1, "ESP in user space is always carried in UDP or TCP; write encapsulation=yes or leave it out"},
    {NULL, 0, NULL}};
static const struct choice fragmentations[] = {{"yes", 1, NULL}, {"no", 0, NULL}, {"never", 0, NULL},
    {"force", 1, "large messages are always sent in fragments where both sides can: taken as yes"},
    {"insist", 1, "large messages are always sent in fragments where both sides can: taken as yes"}, {NULL, 0, NULL}};
#define NO_SHUNT \
    "packets would go through unprotected or be lost for ever by a rule that iketcp can't set; use nftables"
static const struct choice types[] = {{"tunnel", 0, NULL}, {"transport", 1, NULL}, {"passthrough", -1, NO_SHUNT},
    {"pass", -1, NO_SHUNT}, {"drop", -1, NO_SHUNT}, {"reject", -1, NO_SHUNT}, {NULL, 0, NULL}};
#define NO_IKEV1 "iketcp speaks IKEv2 alone; write ikev2=insist or leave it out"
static const struct choice ikev2s[] = {{"insist", 1, NULL}, {"yes", 1, NULL}, {"always", 1, NULL}, {"propose", 1, NULL},
    {"permit", -1, NO_IKEV1}, {"no", -1, NO_IKEV1}, {"never", -1, NO_IKEV1}, {NULL, 0, NULL}};
static const struct choice keyexchanges[] = {
    {"ike", 1, NULL}, {"ikev2", 1, NULL}, {"ikev1", -1, NO_IKEV1}, {NULL, 0, NULL}};
#define NO_AH "AH is not encrypted and never carried over TCP (RFC 9329); write esp= instead"
static const struct choice phase2s[] = {{"esp", 1, NULL}, {"default", 1, NULL}, {"ah", -1, NO_AH}, {NULL, 0, NULL}};
#define ONLY_SECRET "pre-shared keys are all that iketcp can check yet; write secret"
static const struct choice auths[] = {{"secret", 1, NULL}, {"psk", 1, NULL}, {"rsasig", -1, ONLY_SECRET},
    {"rsa", -1, ONLY_SECRET}, {"ecdsa", -1, ONLY_SECRET}, {"null", -1, ONLY_SECRET}, {"never", -1, ONLY_SECRET},
    {"eaponly", -1, ONLY_SECRET}, {"pubkey", -1, ONLY_SECRET}, {"eap", -1, ONLY_SECRET}, {NULL, 0, NULL}};

static const struct choice redirects[] = {{"no", 0, NULL}, {"yes", 1, NULL}, {"always", 1, NULL},
    {"auto", 0, "iketcp redirects in IKE_AUTH always or never; never is taken"}, {NULL, 0, NULL}};
static const struct choice global_redirects[] = {
    {"no", REDIRECT_NO, NULL}, {"yes", REDIRECT_YES, NULL}, {"auto", REDIRECT_UNDER_LOAD, NULL}, {NULL, 0, NULL}};

#define YEAR_S UINT64_C(31536000)
const struct keyword keywords_done[] = {
    {"global-redirect", SETUP(global_redirect), .read = read_choice, .choice = global_redirects},
    {"global-redirect-to", SETUP(global_redirect_to), .read = read_gateways},
    {"keylog", SETUP(keylog), .read = read_keylog},
    {"listen", SETUP(listen), .read = read_listen},
    {"listen-tcp", WHOLE_SETUP, .read = read_ports},
    {"listen-tcp-congestion", SETUP(listen_tcp_congestion), .read = read_congestion},
    {"listen-tls", WHOLE_SETUP, .read = read_tls_ports},
    {"listen-udp", SETUP(listen_udp), .read = read_bool},
    {"tls-cert", SETUP(tls_cert), .read = read_pem},
    {"tls-key", SETUP(tls_key), .read = read_private_pem},
    {"tun-name", SETUP(tun_name), .read = read_tun_name},
    {"web-fallback", WHOLE_SETUP, .read = read_web},

    {"", WHOLE_END, .read = read_host},
    {"auth", WHOLE_END, .read = read_check, .choice = auths},
    {"id", WHOLE_END, .read = read_id},
    {"interface-ip", WHOLE_END, .read = read_interface_ip},
    {"protoport", WHOLE_END, .read = read_protoport},
    {"sourceip", WHOLE_END, .read = read_source_ip},
    {"subnet", WHOLE_END, .read = read_subnet},
    {"subnets", WHOLE_END, .read = read_subnets, .repeats = true},

    {"accept-redirect", CONN(accept_redirect), .read = read_bool},
    {"accept-redirect-to", CONN(accept_redirect_to), .read = read_gateways},
    {"aggfrag", CONN(aggfrag), .read = read_bool},
    {"iptfs", CONN(aggfrag), .read = read_bool, .same_as = "aggfrag"},
    {"also", WHOLE_CONN, .read = read_also, .repeats = true},
    {"authby", WHOLE_CONN, .read = read_authby},
    {"auto", CONN(start), .read = read_choice, .choice = autos},
    {"dpdaction", CONN(dpd_action), .read = read_choice, .choice = dpds},
    {"dpddelay", CONN(dpd_delay_s), .read = read_seconds, RANGE(0, YEAR_S)},
    {"dpdtimeout", CONN(dpd_timeout_s), .read = read_seconds, RANGE(0, YEAR_S)},
    {"enable-tcp", CONN(enable_tcp), .read = read_choice, .choice = tcps},
    {"enable-tls", CONN(enable_tls), .read = read_choice, .choice = tcps},
    {"encapsulation", CONN(encapsulation), .read = read_choice, .choice = encapsulations},
    {"esn", WHOLE_CONN, .read = read_esn},
    {"esp", CONN(esp), .read = read_esp},
    {"phase2alg", CONN(esp), .read = read_esp, .same_as = "esp"},
    {"fragmentation", CONN(fragmentation), .read = read_choice, .choice = fragmentations},
    {"ike", CONN(ike), .read = read_ike},
    {"ikelifetime", CONN(ike_lifetime_s), .read = read_seconds, RANGE(1, YEAR_S)},
    {"ikev2", WHOLE_CONN, .read = read_check, .choice = ikev2s},
    {"ipsec-interface", CONN(device), .read = read_interface},
    {"kernel-esp", CONN(kernel_esp), .read = read_bool},
    {"keyexchange", WHOLE_CONN, .read = read_check, .choice = keyexchanges},
    {"keyingtries", CONN(keying_tries), .read = read_tries},
    {"mark", CONN(mark), .read = read_mark},
    {"mark-in", CONN(mark_in), .read = read_mark},
    {"mark-out", CONN(mark_out), .read = read_mark},
    {"mobike", CONN(mobike), .read = read_bool},
    {"mobike-nat", CONN(mobike_nat), .read = read_bool},
    {"mtu", CONN(mtu), .read = read_u32, RANGE(576, 65000)},
    {"nat-keepalive", CONN(nat_keepalive), .read = read_bool},
    {"pfs", CONN(pfs), .read = read_bool},
    {"phase2", WHOLE_CONN, .read = read_check, .choice = phase2s},
    {"proxy", CONN(proxy), .read = read_proxy},
    {"redirect-to", CONN(redirect_to), .read = read_gateway},
    {"rekey", CONN(rekey), .read = read_bool},
    {"rekeyfuzz", CONN(rekey_fuzz_percent), .read = read_percent, RANGE(0, 10000)},
    {"rekeymargin", CONN(rekey_margin_s), .read = read_seconds, RANGE(0, YEAR_S)},
    {"replay-window", CONN(replay_window), .read = read_replay_window},
    {"retransmit-interval", CONN(retransmit_interval_ms), .read = read_milliseconds, RANGE(10, 60000)},
    {"retransmit-timeout", CONN(retransmit_timeout_ms), .read = read_timeout, RANGE(1, 3600)},
    {"salifetime", CONN(sa_lifetime_s), .read = read_seconds, RANGE(1, YEAR_S)},
    {"ipsec-lifetime", CONN(sa_lifetime_s), .read = read_seconds, RANGE(1, YEAR_S), .same_as = "salifetime"},
    {"keylife", CONN(sa_lifetime_s), .read = read_seconds, RANGE(1, YEAR_S), .same_as = "salifetime"},
    {"lifetime", CONN(sa_lifetime_s), .read = read_seconds, RANGE(1, YEAR_S), .same_as = "salifetime"},
    {"route-table", CONN(route_table), .read = read_table},
    {"send-redirect", CONN(send_redirect), .read = read_choice, .choice = redirects},
    {"session-resumption", CONN(session_resumption), .read = read_bool},
    {"tcp-congestion", CONN(tcp_congestion), .read = read_congestion},
    {"tcp-remoteport", CONN(tcp_remote_port), .read = read_u16, RANGE(1, 65535)},
    {"tcponly", WHOLE_CONN, .read = read_tcponly},
    {"tls-alpn", CONN(tls_alpn), .read = read_alpn},
    {"tls-ca", CONN(tls_ca), .read = read_pem},
    {"tls-remoteport", CONN(tls_remote_port), .read = read_u16, RANGE(1, 65535)},
    {"tls-servername", CONN(tls_server_name), .read = read_server_name},
    {"tls-verify", CONN(tls_verify), .read = read_bool},
    {"transports", CONN(staggered), .read = read_choice, .choice = transports},
    {"type", CONN(transport), .read = read_choice, .choice = types},
    {"udp-retry", CONN(udp_retry_s), .read = read_seconds, RANGE(0, YEAR_S)},
};
const size_t keywords_done_count = sizeof keywords_done / sizeof keywords_done[0];
_Static_assert(
    sizeof keywords_done / sizeof keywords_done[0] <= KEYWORDS_DONE_MAX, "struct chosen has a place for each");

size_t keyword_index(const struct keyword *keyword) {
    return (size_t)(keyword - keywords_done);
}

static const struct keyword *find_in(const struct keyword *table, size_t count, struct piece name, bool end) {
    for (size_t i = 0; i < count; i++)
        if ((table[i].scope == SCOPE_END) == end && piece_is(name, table[i].name))
            return &table[i];
    return NULL;
}

static const struct keyword *find_either(struct piece name, bool end) {
    const struct keyword *found = find_in(keywords_done, keywords_done_count, name, end);
    return found ? found : find_in(keywords_known, keywords_known_count, name, end);
}

const struct keyword *keyword_find(struct piece name, int *side, bool *bare) {
    *side = SIDE_LEFT;
    *bare = false;
    const struct keyword *found = find_either(name, false);
    static const char *const sides[] = {"left", "right"};
    for (int i = 0; !found && i < 2; i++) {
        size_t length = strlen(sides[i]);
        if (name.length >= length && strncasecmp(name.at, sides[i], length) == 0) {
            *side = i;
            found = find_either((struct piece){name.at + length, name.length - length}, true);
        }
    }
    if (!found && name.length) {
        found = find_either(name, true);
        *bare = found != NULL;
        *side = SIDE_RIGHT;
    }
    if (found && found->same_as)
        found = find_either((struct piece){found->same_as, strlen(found->same_as)}, found->scope == SCOPE_END);
    return found;
}

bool config_keyword(size_t n, struct config_keyword_info *out) {
    bool done = n < keywords_done_count;
    if (!done && n - keywords_done_count >= keywords_known_count)
        return false;
    const struct keyword *keyword = done ? &keywords_done[n] : &keywords_known[n - keywords_done_count];
    *out = (struct config_keyword_info){.name = keyword->name,
        .of_end = keyword->scope == SCOPE_END,
        .of_setup = keyword->scope == SCOPE_SETUP,
        .done = done,
        .refused = keyword->refused != NULL};
    return true;
}
