/* config.h: the face of config/: ipsec.conf and ipsec.secrets as people know them (ipsec.conf(5) as Libreswan reads it).
 * Reading files and parsing texts are apart, so that the monitor reads (it may) and the engine parses (it must not read):
 * config_source_read, then config_parse on both sides. Pure but for the *_read functions. */
#ifndef IKETCP_CONFIG_CONFIG_H
#define IKETCP_CONFIG_CONFIG_H

#include "base/base.h"
#include "wire/wire.h"

/* ---- diagnostics: every error in one pass, with its place ---- */
struct diagnostic {
    char *file; /* owned by the list */
    int line, column;
    bool is_error; /* else a warning */
    char text[320]; /* what, and what would be right */
};
struct diagnostics {
    struct diagnostic *list;
    size_t count, errors;
};
void diagnostics_free(struct diagnostics *);
/* "FILE:LINE:COLUMN: text" or "FILE:LINE:COLUMN: warning: text" */
void diagnostic_text(const struct diagnostic *, char *out, size_t size);

/* ---- texts ---- */
struct
    config_source; /* the main file, all that it includes and all that it names (certificates, keys), by path and text */
/* Reads `path` and its includes (globs; relative to the file that includes). Unreadable files become diagnostics when
 * parsed. NULL only when memory is short. */
struct config_source *config_source_read(const char *path);
struct config_source *config_source_from_text(
    const char *name, const char *text); /* for tests; includes find nothing */
void config_source_free(struct config_source *);
/* For sending it to the engine: malloc'd octets; and back. NULL: malformed. */
uint8_t *config_source_pack(const struct config_source *, size_t *length);
struct config_source *config_source_unpack(const uint8_t *, size_t length);

/* ---- what it means ---- */
enum config_auto { AUTO_IGNORE, AUTO_ADD, AUTO_START, AUTO_ONDEMAND };
enum config_host_kind { HOST_ADDRESS, HOST_NAME, HOST_DEFAULT_ROUTE, HOST_ANY };
enum config_choice { CHOICE_NO, CHOICE_YES, CHOICE_FALLBACK };
enum config_dpd_action { DPD_HOLD, DPD_CLEAR, DPD_RESTART };
enum config_encapsulation { ENCAPSULATION_AUTO, ENCAPSULATION_YES };

#define CONFIG_SUBNETS_MAX 16
#define CONFIG_PORTS_MAX 8

#define CONFIG_PATH_MAX 256
#define CONFIG_CONGESTION_MAX 16 /* Linux' TCP_CA_NAME_MAX */
#define CONFIG_GATEWAYS_MAX 512

enum config_redirect { REDIRECT_NO, REDIRECT_YES, REDIRECT_UNDER_LOAD }; /* global-redirect=no|yes|auto */

enum config_proxy_kind { CONFIG_PROXY_NONE, CONFIG_PROXY_HTTP, CONFIG_PROXY_SOCKS5 };
struct config_proxy {
    enum config_proxy_kind kind;
    char user[256], password[256]; /* user empty: neither */
    char host[256]; /* an address, without brackets, or a name */
    uint16_t port;
};

/* Which of the packets: those of a protocol, 0: all; and ports, as struct selector has them. */
struct config_protoport {
    uint8_t protocol;
    uint16_t first, last;
};

/* Of packets: those whose mark, as far as the mask reaches, is this one. */
struct config_mark {
    uint32_t value, mask; /* mask 0: none */
};

struct config_end {
    enum config_host_kind kind;
    struct address address; /* HOST_ADDRESS */
    char name[256]; /* HOST_NAME */
    struct identity id; /* ID_NONE: %any, or (left empty) the address once it is known: id_from_address */
    bool id_from_address;
    struct prefix subnet[CONFIG_SUBNETS_MAX];
    uint8_t subnet_group[CONFIG_SUBNETS_MAX]; /* leftsubnet=a,b: one Child SA has both; leftsubnets=a,b: one each */
    struct config_protoport subnet_protoport[CONFIG_SUBNETS_MAX]; /* its own [protocol/port], or the end's */
    size_t subnets; /* 0: the end's own address */
    struct config_protoport protoport; /* leftprotoport */
    struct address source_ip; /* leftsourceip */
    bool source_ip_set;
    struct address interface_ip; /* leftinterface-ip: of its own device; unspecified: none */
    uint8_t interface_bits;
};

struct config_connection {
    char name[64];
    enum config_auto start;
    struct config_end left, right;
    int us; /* 0: left is us, 1: right is us, -1: not known before the host's addresses are: config_orient */
    struct proposal_list ike, esp; /* PROTOCOL_IKE and PROTOCOL_ESP, in the file's order, or the defaults */
    bool pfs, transport, mobike, esn_yes, esn_no; /* esn=yes|no|either: proposals carry them already */
    bool aggfrag; /* many packets in one of ESP, where the peer can (RFC 9347) */
    bool mobike_nat; /* moves over UDP through a NAT are wanted */
    uint64_t udp_retry_s; /* MOBIKE: how often UDP is tried while TCP or TLS carries; 0: never */
    bool fragmentation;
    bool nat_keepalive; /* over UDP, while a NAT is in front of us */
    enum config_encapsulation encapsulation;
    uint64_t ike_lifetime_s, sa_lifetime_s, rekey_margin_s;
    uint32_t rekey_fuzz_percent;
    bool rekey;
    uint64_t dpd_delay_s, dpd_timeout_s;
    enum config_dpd_action dpd_action;
    uint64_t retransmit_interval_ms, retransmit_timeout_ms;
    uint32_t keying_tries; /* 0: for ever */
    enum config_choice enable_tcp;
    uint16_t tcp_remote_port;
    char tcp_congestion[CONFIG_CONGESTION_MAX]; /* of the connections that we open; empty: the host's default */
    enum config_choice enable_tls; /* not CHOICE_YES together with enable_tcp */
    uint16_t tls_remote_port;
    bool staggered; /* transports=staggered: the next is tried while those before may still answer */
    char tls_server_name[256]; /* empty: the name or address that is dialled */
    char tls_alpn[64]; /* with commas between them; empty: none */
    bool tls_verify;
    char tls_ca[CONFIG_PATH_MAX]; /* for config_file_text; empty: the system's */
    struct config_proxy proxy;
    uint32_t replay_window;
    uint32_t mtu; /* 0: automatic */
    uint32_t device; /* of its own, one more than the number in ipsec-interface; 0: the common one */
    uint32_t route_table; /* where its routes are; 0: where all are */
    struct config_mark mark; /* of both, where they say nothing else: */
    struct config_mark mark_out; /* packets with it are routed by that table */
    struct config_mark mark_in; /* packets that come out of the device get it */
    bool session_resumption;
    bool kernel_esp; /* over TCP, where the kernel can */
    bool accept_redirect;
    char accept_redirect_to[CONFIG_GATEWAYS_MAX]; /* addresses and names with commas between them; empty: any */
    bool send_redirect; /* in IKE_AUTH, to ... */
    char redirect_to[256]; /* an address or a name */
    uint64_t revision; /* hash of all of the above */
};

struct config {
    uint16_t listen_tcp[CONFIG_PORTS_MAX];
    size_t listen_tcps; /* 0: no */
    uint16_t listen_tls[CONFIG_PORTS_MAX];
    size_t listen_tlss; /* 0: no */
    char listen_tcp_congestion[CONFIG_CONGESTION_MAX]; /* of what is accepted, TLS too; empty: the host's default */
    char tls_cert[CONFIG_PATH_MAX], tls_key[CONFIG_PATH_MAX]; /* for config_file_text; both or none */
    char keylog[CONFIG_PATH_MAX]; /* a directory for the keys of all SAs, absolute; empty: they are told to nobody */
    char web_host[256]; /* web-fallback, an address without brackets, or a name; empty: none */
    uint16_t web_port;
    enum config_redirect global_redirect;
    char global_redirect_to[CONFIG_GATEWAYS_MAX]; /* as accept_redirect_to */
    bool listen_udp;
    uint16_t udp_port, udp_nat_port; /* 500, 4500 */
    struct address listen; /* listen=, unspecified: all */
    char tun_name[16]; /* iketcp0 */
    struct config_connection *connection; /* auto=ignore ones are left out */
    size_t connections;
    struct config_file *file; /* see config_file_text */
    size_t files;
};
/* NULL when there were errors (or no memory); *diagnostics is filled in both cases, owned by the caller. */
struct config *config_parse(const struct config_source *, struct diagnostics *);
void config_free(struct config *);
/* "ipsec1" for 2, and so on. */
#define CONFIG_DEVICE_NAME_MAX 16
const char *config_device_name(uint32_t device, char out[CONFIG_DEVICE_NAME_MAX]);
#define CONFIG_MARK_TEXT_MAX 24
const char *config_mark_text(const struct config_mark *, char out[CONFIG_MARK_TEXT_MAX]); /* "0x5/0xff" */
/* The text of a file that the configuration names (tls-cert, tls-key, tls-ca). NULL: it was not read. */
const char *config_file_text(const struct config *, const char *path);

/* The n-th keyword that ipsec.conf may contain, done or merely known; false behind the last. For checks of the
 * documentation and for completion. */
struct config_keyword_info {
    const char *name; /* of an end: without left or right, "" is left= and right= */
    bool of_setup, of_end; /* neither: of a conn */
    bool done; /* else a warning says that it is ignored ... */
    bool refused; /* ... or an error says why it can't be */
};
bool config_keyword(size_t n, struct config_keyword_info *);

/* Which side is us, as Libreswan finds it: by the host's addresses, %defaultroute, and %any being the other. Sets `us`;
 * false and *err (without the connection's name) when neither or both could be. */
MUST_USE bool config_orient(
    struct config_connection *, bool (*is_local)(void *context, const struct address *), void *context, struct error *);
static inline const struct config_end *config_us(const struct config_connection *c) {
    return c->us == 1 ? &c->right : &c->left;
}
static inline const struct config_end *config_them(const struct config_connection *c) {
    return c->us == 1 ? &c->left : &c->right;
}

/* ---- secrets: the monitor only ---- */
struct secrets;
/* Reads ipsec.secrets with its includes: `id id : PSK "..."`, 0x hex, 0s base64, 0t text. A file that others may read
 * (mode & 077) or that is not there is a diagnostic. NULL when there were errors. */
struct secrets *secrets_read(const char *path, struct diagnostics *);
struct secrets *secrets_parse(const char *name, const char *text, struct diagnostics *); /* for tests */
void secrets_free(struct secrets *); /* wipes */
/* The PSK for this pair as Libreswan chooses: both named beats one named beats none (%any). False: there is none. */
bool secrets_psk(const struct secrets *, const struct identity *local, const struct identity *remote, struct span *psk);
/* For `iketcpd --check`: adds a warning (at path:1:1) for each connection whose identities are known and have no key. */
void config_check_secrets(
    const struct config *, const struct secrets *, const char *secrets_path, struct diagnostics *);
/* For `iketcpd --check`: adds a warning (at path:1:1) for each congestion control that is not among `available`, names with
 * blanks between them, as /proc/sys/net/ipv4/tcp_available_congestion_control lists those that are loaded. */
void config_check_congestion(
    const struct config *, const char *available, const char *config_path, struct diagnostics *);

#endif
