/* options.c: every option of ipsec.conf: what it sets, and what is said when it is wrong. */
#include "helper.h"

static struct config_connection only(struct config *config) {
    assert_int_equal(config->connections, 1);
    struct config_connection c = config->connection[0];
    config_free(config);
    return c;
}

static struct config_connection conn(const char *more) {
    return only(meaning(conn_with(more)));
}

static void defaults_are_those_of_libreswan_but_for_enable_tcp(void **state) {
    (void)state;
    struct config_connection c = conn("");
    assert_string_equal(c.name, "c");
    assert_int_equal(c.start, AUTO_ADD);
    assert_int_equal(c.us, -1);
    assert_true(c.pfs && c.rekey && c.fragmentation && c.esn_yes && c.esn_no);
    assert_false(c.mobike || c.transport);
    assert_true(c.mobike_nat && c.udp_retry_s == 60 && !c.staggered);
    assert_int_equal(c.encapsulation, ENCAPSULATION_AUTO);
    assert_int_equal(c.ike_lifetime_s, 8 * 3600);
    assert_int_equal(c.sa_lifetime_s, 8 * 3600);
    assert_int_equal(c.rekey_margin_s, 540);
    assert_int_equal(c.rekey_fuzz_percent, 100);
    assert_int_equal(c.dpd_delay_s, 0);
    assert_int_equal(c.dpd_action, DPD_HOLD);
    assert_int_equal(c.retransmit_interval_ms, 500);
    assert_int_equal(c.retransmit_timeout_ms, 60000);
    assert_int_equal(c.keying_tries, 0);
    assert_int_equal(c.enable_tcp, CHOICE_FALLBACK);
    assert_int_equal(c.tcp_remote_port, 4500);
    assert_int_equal(c.replay_window, 128);
    assert_int_equal(c.mtu, 0);
    assert_int_equal(c.left.subnets, 0);
    assert_int_equal(c.left.id.type, ID_IPV4_ADDR);
    assert_memory_equal(c.left.id.data, "\xc0\x00\x02\x01", 4);
}

static void setup_defaults_and_options(void **state) {
    (void)state;
    struct config *config = meaning("");
    assert_int_equal(config->listen_tcps, 0);
    assert_true(config->listen_udp);
    assert_int_equal(config->udp_port, 500);
    assert_int_equal(config->udp_nat_port, 4500);
    assert_int_equal(config->listen.family, 0);
    assert_string_equal(config->tun_name, "iketcp0");
    config_free(config);
    config = meaning("config setup\n listen-tcp=yes\n listen-udp=no\n listen=2001:db8::1\n tun-name=vpn-1\n");
    assert_int_equal(config->listen_tcps, 1);
    assert_int_equal(config->listen_tcp[0], 4500);
    assert_false(config->listen_udp);
    assert_int_equal(config->listen.family, 6);
    assert_string_equal(config->tun_name, "vpn-1");
    config_free(config);
    config = meaning("config setup\n listen-tcp=\"443, 4500 443\"\n");
    assert_int_equal(config->listen_tcps, 2);
    assert_int_equal(config->listen_tcp[0], 443);
    assert_int_equal(config->listen_tcp[1], 4500);
    config_free(config);
    config = meaning("config setup\n listen-tcp=no\n");
    assert_int_equal(config->listen_tcps, 0);
    config_free(config);
}

static void a_congestion_control_is_a_name_as_the_kernel_has_them(void **state) {
    (void)state;
    struct config *config = meaning("config setup\n listen-tcp-congestion=cubic\n");
    assert_string_equal(config->listen_tcp_congestion, "cubic");
    config_free(config);
    config = meaning(conn_with(""));
    assert_string_equal(config->listen_tcp_congestion, "");
    assert_string_equal(config->connection[0].tcp_congestion, "");
    config_free(config);
    static const char *const bad[] = {"a_name_as_long_16", "../x", "two words"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "config setup\n listen-tcp-congestion=\"%s\"\n", bad[i]);
        assert_non_null(strstr(said(text), "the name of a congestion control has 1 to 15 letters"));
    }
}

static void a_congestion_control_that_is_not_loaded_is_a_warning_of_check(void **state) {
    (void)state;
    char text[9000];
    snprintf(text, sizeof text, "config setup\n listen-tcp-congestion=bbr\n%s", conn_with("\ttcp-congestion=vegas\n"));
    struct config *config = meaning(text);
    struct diagnostics d = {0};
    config_check_congestion(config, "reno bbr vegas\n", "f", &d);
    assert_string_equal(lines_of(&d), "");
    config_check_congestion(config, "reno bbr2 cubic\n", "f", &d);
    assert_string_equal(lines_of(&d),
        "f:1:1: warning: listen-tcp-congestion: the congestion control 'bbr' is not loaded here, but reno bbr2 cubic; "
        "unless the kernel has a module tcp_bbr to load, the host's default is used\n"
        "f:1:1: warning: conn c: the congestion control 'vegas' is not loaded here, but reno bbr2 cubic; "
        "unless the kernel has a module tcp_vegas to load, the host's default is used\n");
    config_free(config);
}

/* One row an option: a line, and a look at what it set. */
#define CHECK(line, what) \
    do { \
        struct config_connection c = conn("\t" line "\n"); \
        if (c.name[0] == '\0' || !(what)) \
            wrong("%s does not give %s", line, #what); \
    } while (0)

static void each_option_sets_its_field(void **state) {
    (void)state;
    CHECK("ikelifetime=2h", c.ike_lifetime_s == 7200);
    CHECK("salifetime=90m", c.sa_lifetime_s == 5400);
    CHECK("ipsec-lifetime=3h", c.sa_lifetime_s == 10800);
    CHECK("keylife=1d", c.sa_lifetime_s == 86400);
    CHECK("lifetime=3600", c.sa_lifetime_s == 3600);
    CHECK("rekeymargin=3m", c.rekey_margin_s == 180);
    CHECK("rekeyfuzz=50%", c.rekey_fuzz_percent == 50);
    CHECK("rekey=no", !c.rekey);
    CHECK("dpddelay=30", c.dpd_delay_s == 30);
    CHECK("dpddelay=1500ms", c.dpd_delay_s == 2);
    CHECK("dpdtimeout=1m", c.dpd_timeout_s == 60);
    CHECK("dpdaction=clear", c.dpd_action == DPD_CLEAR);
    CHECK("dpdaction=restart", c.dpd_action == DPD_RESTART);
    CHECK("dpdaction=restart_by_peer", c.dpd_action == DPD_RESTART);
    CHECK("dpdaction=hold", c.dpd_action == DPD_HOLD);
    CHECK("retransmit-interval=200", c.retransmit_interval_ms == 200);
    CHECK("retransmit-interval=1s", c.retransmit_interval_ms == 1000);
    CHECK("retransmit-timeout=10", c.retransmit_timeout_ms == 10000);
    CHECK("retransmit-timeout=2500ms", c.retransmit_timeout_ms == 2500);
    CHECK("keyingtries=3", c.keying_tries == 3);
    CHECK("keyingtries=%forever", c.keying_tries == 0);
    CHECK("enable-tcp=no", c.enable_tcp == CHOICE_NO);
    CHECK("enable-tcp=yes", c.enable_tcp == CHOICE_YES);
    CHECK("enable-tcp=fallback", c.enable_tcp == CHOICE_FALLBACK);
    CHECK("tcponly=yes", c.enable_tcp == CHOICE_YES);
    CHECK("tcponly=no", c.enable_tcp == CHOICE_FALLBACK);
    CHECK("tcp-remoteport=443", c.tcp_remote_port == 443);
    CHECK("tcp-congestion=bbr", strcmp(c.tcp_congestion, "bbr") == 0);
    CHECK("mobike=yes", c.mobike);
    CHECK("mobike-nat=no", !c.mobike_nat);
    CHECK("udp-retry=5m", c.udp_retry_s == 300);
    CHECK("udp-retry=0", c.udp_retry_s == 0);
    CHECK("transports=staggered", c.staggered);
    CHECK("transports=one-by-one", !c.staggered);
    CHECK("replay-window=4096", c.replay_window == 4096);
    CHECK("replay-window=32", c.replay_window == 64);
    CHECK("esn=yes", c.esn_yes && !c.esn_no);
    CHECK("esn=no", !c.esn_yes && c.esn_no);
    CHECK("esn=either", c.esn_yes && c.esn_no);
    CHECK("fragmentation=no", !c.fragmentation);
    CHECK("fragmentation=force", c.fragmentation);
    CHECK("encapsulation=yes", c.encapsulation == ENCAPSULATION_YES);
    CHECK("encapsulation=auto", c.encapsulation == ENCAPSULATION_AUTO);
    CHECK("mtu=1400", c.mtu == 1400);
    CHECK("session-resumption=yes", c.session_resumption);
    CHECK("kernel-esp=yes", c.kernel_esp);
    CHECK("kernel-esp=no", !c.kernel_esp);
    CHECK("accept-redirect=yes", c.accept_redirect && c.accept_redirect_to[0] == 0);
    CHECK("accept-redirect=yes\n accept-redirect-to=192.0.2.1,vpn.example",
        strcmp(c.accept_redirect_to, "192.0.2.1,vpn.example") == 0);
    CHECK(
        "send-redirect=always\n redirect-to=2001:db8::1", c.send_redirect && strcmp(c.redirect_to, "2001:db8::1") == 0);
    CHECK("pfs=no", !c.pfs);
    CHECK("type=tunnel", !c.transport);
    CHECK("ikev2=insist", true);
    CHECK("keyexchange=ikev2", true);
    CHECK("phase2=esp", true);
    CHECK("leftauth=secret", true);
}

static void booleans_and_keywords_disregard_case(void **state) {
    (void)state;
    CHECK("MOBIKE=Yes", c.mobike);
    CHECK("mobike=on", c.mobike);
    CHECK("mobike=true", c.mobike);
    CHECK("mobike=y", c.mobike);
    CHECK("pfs=off", !c.pfs);
    CHECK("pfs=false", !c.pfs);
    CHECK("pfs=n", !c.pfs);
}

static void auto_has_libreswans_words(void **state) {
    (void)state;
    static const struct {
        const char *word;
        enum config_auto start;
    } rows[] = {{"add", AUTO_ADD}, {"start", AUTO_START}, {"up", AUTO_START}, {"ondemand", AUTO_ONDEMAND},
        {"route", AUTO_ONDEMAND}, {"keep", AUTO_ADD}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "conn c\n left=%%defaultroute\n right=gw.example\n auto=%s\n", rows[i].word);
        struct config_connection c = only(meaning(text));
        assert_int_equal(c.start, rows[i].start);
    }
    struct config *config = meaning("conn c\n left=%defaultroute\n auto=ignore\nconn d\n right=gw.example\n");
    assert_int_equal(config->connections, 0);
    config_free(config);
}

static void ends_take_addresses_names_and_magic_words(void **state) {
    (void)state;
    struct config_connection c = only(meaning("conn c\n left=%defaultroute\n right=gw.example.org\n auto=add\n"));
    assert_int_equal(c.left.kind, HOST_DEFAULT_ROUTE);
    assert_int_equal(c.right.kind, HOST_NAME);
    assert_string_equal(c.right.name, "gw.example.org");
    assert_int_equal(c.us, 0);
    assert_true(c.left.id_from_address && c.right.id_from_address);
    assert_int_equal(c.left.id.type, ID_NONE);
    c = only(meaning("conn c\n left=%any\n right=2001:db8::2\n auto=add\n"));
    assert_int_equal(c.left.kind, HOST_ANY);
    assert_int_equal(c.right.kind, HOST_ADDRESS);
    assert_int_equal(c.right.address.family, 6);
    assert_int_equal(c.us, 1);
    assert_false(c.left.id_from_address);
    assert_int_equal(c.left.id.type, ID_NONE);
    assert_int_equal(c.right.id.type, ID_IPV6_ADDR);
}

static void ids_are_read_as_libreswan_writes_them(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint8_t type;
        const char *data;
        size_t length;
    } rows[] = {{"@west.example", ID_FQDN, "west.example", 12},
        {"west@example.org", ID_RFC822_ADDR, "west@example.org", 16}, {"10.1.2.3", ID_IPV4_ADDR, "\x0a\x01\x02\x03", 4},
        {"2001:db8::1", ID_IPV6_ADDR, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16},
        {"@#6b6579", ID_KEY_ID, "key", 3}, {"@#0x6B6579", ID_KEY_ID, "key", 3}, {"@[a group]", ID_KEY_ID, "a group", 7},
        {"@[group", ID_KEY_ID, "group", 5}, {"west.example", ID_FQDN, "west.example", 12}, {"%any", ID_NONE, "", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char more[100];
        snprintf(more, sizeof more, "\tleftid=\"%s\"\n", rows[i].text);
        struct config_connection c = conn(more);
        assert_int_equal(c.left.id.type, rows[i].type);
        assert_int_equal(c.left.id.length, rows[i].length);
        assert_memory_equal(c.left.id.data, rows[i].data, rows[i].length);
        assert_false(c.left.id_from_address);
    }
    struct config_connection c = conn("\tleftid=%none\n");
    assert_int_equal(c.left.id.type, ID_IPV4_ADDR);
}

static void subnets_come_one_by_one_or_in_braces(void **state) {
    (void)state;
    char text[ADDRESS_TEXT_MAX];
    struct config_connection c =
        conn("\tleftsubnet=10.0.0.0/255.255.0.0\n\tleftsubnets={10.1.0.0/16,10.2.0.0/16 10.1.0.0/16}\n"
             "\trightsubnets=\"10.9.0.0/16 2001:db8::/32\"\n");
    assert_int_equal(c.left.subnets, 3);
    assert_string_equal(prefix_text(&c.left.subnet[0], text), "10.0.0.0/16");
    assert_string_equal(prefix_text(&c.left.subnet[1], text), "10.1.0.0/16");
    assert_string_equal(prefix_text(&c.left.subnet[2], text), "10.2.0.0/16");
    assert_int_equal(c.right.subnets, 2);
    assert_string_equal(prefix_text(&c.right.subnet[1], text), "2001:db8::/32");
    c = conn("\trightsubnet=0.0.0.0/0\n\tleftsourceip=10.3.3.3\n");
    assert_int_equal(c.right.subnet[0].length, 0);
    assert_true(c.left.source_ip_set);
    assert_int_equal(c.left.subnets, 1); /* as Libreswan: the source address, when there is no subnet */
    assert_string_equal(prefix_text(&c.left.subnet[0], text), "10.3.3.3/32");
}

static void subnets_of_one_line_are_of_one_sa_unless_it_is_leftsubnets(void **state) {
    (void)state;
    struct config_connection c =
        conn("\tleftsubnet=10.0.0.0/16,10.1.0.0/16\n\trightsubnets={10.8.0.0/16,10.9.0.0/16}\n");
    assert_int_equal(c.left.subnets, 2);
    assert_int_equal(c.left.subnet_group[0], c.left.subnet_group[1]);
    assert_int_equal(c.right.subnets, 2);
    assert_int_not_equal(c.right.subnet_group[0], c.right.subnet_group[1]);
}

static void a_protocol_and_ports_are_those_of_the_end_or_of_a_subnet(void **state) {
    (void)state;
    static const struct {
        const char *text;
        struct config_protoport is;
    } rows[] = {{"tcp", {6, 0, 65535}}, {"tcp/443", {6, 443, 443}}, {"17/1701", {17, 1701, 1701}},
        {"udp/%any", {17, 0, 65535}}, {"17/0", {17, 0, 65535}}, {"icmp/2048", {1, 2048, 2048}}, {"icmp/0", {1, 0, 0}},
        {"ipv6-icmp/34816", {58, 34816, 34816}}, {"udp/1024-65535", {17, 1024, 65535}}, {"%any", {0, 0, 65535}},
        {"132", {132, 0, 65535}}, {"tcp/https", {6, 443, 443}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char more[64];
        snprintf(more, sizeof more, "\tleftprotoport=%s\n", rows[i].text);
        struct config_connection c = conn(more);
        if (c.left.protoport.protocol != rows[i].is.protocol || c.left.protoport.first != rows[i].is.first ||
            c.left.protoport.last != rows[i].is.last)
            wrong("%s is %u/%u-%u", rows[i].text, c.left.protoport.protocol, c.left.protoport.first,
                c.left.protoport.last);
        assert_int_equal(c.right.protoport.protocol, rows[i].is.protocol); /* as Libreswan */
        assert_int_equal(c.right.protoport.first, 0);
        assert_int_equal(c.right.protoport.last, 65535);
    }
    struct config_connection c =
        conn("\tleftprotoport=tcp\n\tleftsubnet=10.1.0.0/16[udp/53],10.2.0.0/16,10.1.0.0/16[tcp/80]\n");
    assert_int_equal(c.left.subnets, 3);
    assert_int_equal(c.left.subnet_protoport[0].protocol, 17);
    assert_int_equal(c.left.subnet_protoport[0].first, 53);
    assert_int_equal(c.left.subnet_protoport[1].protocol, 6);
    assert_int_equal(c.left.subnet_protoport[1].last, 65535);
    assert_int_equal(c.left.subnet_protoport[2].last, 80);
}

static void a_margin_that_does_not_fit_is_made_smaller(void **state) {
    (void)state;
    struct config_connection c = conn("\tsalifetime=60s\n");
    assert_int_equal(c.rekey_margin_s, 15);
    assert_string_equal(said(conn_with("\tsalifetime=60s\n")),
        "f:6:13: warning: rekeymargin=540s and rekeyfuzz=100% do not fit into "
        "salifetime=60s: a margin of 15s is taken\n");
    c = conn("\tsalifetime=60s\n\trekeymargin=10s\n\trekeyfuzz=0%\n");
    assert_int_equal(c.rekey_margin_s, 10);
    c = conn("\tikelifetime=9d\n");
    assert_int_equal(c.ike_lifetime_s, 86400);
}

static void the_revision_is_of_the_meaning_not_of_the_text(void **state) {
    (void)state;
    uint64_t one = conn("\tleftsubnet=10.1.0.0/16\n\tike=aes256-sha2_256;dh19\n").revision;
    uint64_t same =
        conn("\t# a comment\n\n\tIKE = \"aes256-sha256-ecp256\" # strongSwan's\n\tleftsubnets={10.1.0.0/255.255.0.0}\n"
             "\tsalifetime=480m\n")
            .revision;
    assert_true(one == same);
    static const char *const others[] = {"leftsubnet=10.1.0.0/17", "leftid=@x", "rightid=@x", "mtu=1400", "pfs=no",
        "mobike=yes", "mobike-nat=no", "udp-retry=2m", "transports=staggered", "esn=no", "fragmentation=no",
        "encapsulation=yes", "ikelifetime=7h", "salifetime=7h", "rekeymargin=8m", "rekeyfuzz=99%", "rekey=no",
        "dpddelay=9", "dpdtimeout=99", "dpdaction=clear", "retransmit-interval=501", "retransmit-timeout=59",
        "keyingtries=1", "enable-tcp=no", "tcp-remoteport=443", "tcp-congestion=bbr", "replay-window=256", "ike=aes256",
        "esp=aes256", "leftsourceip=10.0.0.1", "leftprotoport=tcp", "leftsubnet=10.0.0.0/16,10.1.0.0/16",
        "leftsubnets={10.0.0.0/16,10.1.0.0/16}", "leftsubnet=10.0.0.0/16[udp]", "type=transport", "aggfrag=yes"};
    uint64_t seen[sizeof others / sizeof others[0] + 1] = {conn("").revision};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char more[64];
        snprintf(more, sizeof more, "\t%s\n", others[i]);
        seen[i + 1] = conn(more).revision;
        for (size_t j = 0; j <= i; j++)
            if (seen[j] == seen[i + 1])
                wrong("%s has the revision of row %zu", others[i], j);
    }
}

/* What is said about one line in a conn that is complete otherwise. */
static void each_error_says_where_what_and_what_is_right(void **state) {
    (void)state;
    static const struct {
        const char *line, *says;
    } rows[] = {
        {"ikelifetime=5x", "f:6:14: '5x' is not right: write a number and s, m, h, d or w, such as 30s or 8h; without "
                           "a letter it is seconds\n"},
        {"salifetime=0", "f:6:13: '0' is out of range: 1s to 31536000s\n"},
        {"rekeyfuzz=100", "f:6:12: '100' is not right: write a whole number and a percent sign, such as 100%\n"},
        {"mobike=maybe", "f:6:9: 'maybe' is not right: write yes or no\n"},
        {"dpdaction=kill", "f:6:12: 'kill' is not right: write one of hold, clear, restart, restart_by_peer\n"
                           "f:6:12: warning: dpdaction does nothing without dpddelay\n"},
        {"dpdaction=clear", "f:6:12: warning: dpdaction does nothing without dpddelay\n"},
        {"dpdtimeout=30", "f:6:13: warning: dpdtimeout is not used: with IKEv2 a peer is dead after "
                          "retransmit-timeout, as in Libreswan\n"},
        {"retransmit-interval=5m", "f:6:22: '5m' is out of range: 10ms to 60000ms\n"},
        {"retransmit-interval=x", "f:6:22: 'x' is not right: write a number and ms or s, such as 500ms; without "
                                  "letters it is milliseconds\n"},
        {"retransmit-interval=60s",
            "f:1:1: retransmit-timeout=60000ms must be longer than retransmit-interval=60000ms\n"},
        {"keyingtries=often",
            "f:6:14: 'often' is not right: write a whole number of tries, or 0 or %forever for no end\n"},
        {"transports=all", "f:6:13: 'all' is not right: write one of one-by-one, staggered\n"},
        {"transports=staggered\n\tenable-tcp=no",
            "f:6:13: warning: transports=staggered does nothing: UDP to one address is all that may be tried\n"},
        {"transports=staggered\n\tenable-tcp=yes",
            "f:6:13: warning: transports=staggered does nothing: TCP to one address is all that may be tried\n"},
        {"transports=staggered", ""},
        {"enable-tcp=maybe", "f:6:13: 'maybe' is not right: write one of no, yes, fallback\n"},
        {"tcp-remoteport=0", "f:6:17: '0' is out of range: 1 to 65535\n"},
        {"tcp-remoteport=https", "f:6:17: 'https' is not right: write a whole number\n"},
        {"replay-window=0",
            "f:6:16: '0' is not right: replayed packets would be let in; write a number of packets from 64 to 4096\n"},
        {"replay-window=9999", "f:6:16: '9999' is not right: write a number of packets from 64 to 4096\n"},
        {"replay-window=32", "f:6:16: warning: the smallest window is 64 packets: taken as 64\n"},
        {"esn=maybe", "f:6:6: 'maybe' is not right: write yes, no or either\n"},
        {"encapsulation=no", "f:6:16: 'no' is not possible: ESP in user space is always carried in UDP or TCP; write "
                             "encapsulation=yes or leave it out\n"},
        {"mtu=1", "f:6:6: '1' is out of range: 576 to 65000\n"},
        {"type=passthrough", "f:6:7: 'passthrough' is not possible: packets would go through unprotected or be lost "
                             "for ever by a rule that iketcp can't set; use nftables\n"},
        {"ikev2=no", "f:6:8: 'no' is not possible: iketcp speaks IKEv2 alone; write ikev2=insist or leave it out\n"},
        {"keyexchange=ikev1",
            "f:6:14: 'ikev1' is not possible: iketcp speaks IKEv2 alone; write ikev2=insist or leave it out\n"},
        {"phase2=ah", "f:6:9: 'ah' is not possible: AH is not encrypted and never carried over TCP (RFC 9329); write "
                      "esp= instead\n"},
        {"ah=sha2_256", "f:6:2: 'ah' is a Libreswan option that iketcp does not do yet, and ignoring it is no good: AH "
                        "is not encrypted and never carried over TCP (RFC 9329); write esp= instead\n"},
        {"leftauth=rsasig",
            "f:6:11: 'rsasig' is not possible: pre-shared keys are all that iketcp can check yet; write secret\n"},
        {"leftid=", "f:6:2: warning: 'leftid' has no value: ignored\n"},
        {"leftid=\"\"", "f:6:10: '' is not right: it is neither an address nor a name; write @name, user@name, an "
                        "address, @#hex, @[key id] or %any\n"},
        {"leftid=@#6b6", "f:6:9: '@#6b6' is not right: a key id is an even number of hex digits after @#\n"},
        {"leftid=%fromcert", "f:6:9: '%fromcert' is not right: certificates are not done yet; write @name, user@name, "
                             "an address, @#hex or @[key id]\n"},
        {"leftid=\"C=US, CN=x\"", "f:6:10: 'C=US, CN=x' is not right: distinguished names come with certificates, "
                                  "which are not done yet; write @name or user@name\n"},
        {"leftid=west.example", "f:6:9: warning: 'west.example': a name without @ is taken as it stands (Libreswan "
                                "would look up its address); write it with @\n"},
        {"leftsubnet=10.0.0.0/33",
            "f:6:13: '10.0.0.0/33' is no subnet: write address/bits, such as 10.1.0.0/16 or 2001:db8::/32\n"},
        {"leftsubnets={10.0.0.0/8 x}",
            "f:6:26: 'x' is no subnet: write address/bits, such as 10.1.0.0/16 or 2001:db8::/32\n"},
        {"leftsubnet=vhost:%priv",
            "f:6:13: 'vhost:%priv' is not right: vhost: and vnet: are of IKEv1; write a subnet\n"},
        {"leftsubnet=10.0.0.1/8", "f:6:13: warning: '10.0.0.1/8' has bits behind its mask: taken as 10.0.0.0/8\n"},
        {"leftsourceip=here",
            "f:6:15: 'here' is not right: write an IPv4 or IPv6 address of this host inside the tunnel\n"},
        {"leftcert=mine", "f:6:2: 'leftcert' is a Libreswan option that iketcp does not do yet, and ignoring it is no "
                          "good: the peer would not be checked by it; only authby=secret is done yet\n"},
        {"leftprotoport=http", "f:6:16: 'http' is not right: write a protocol's number, tcp, udp, icmp, ipv6-icmp, "
                               "sctp, gre or %any, such as tcp/443 or 17/1701\n"},
        {"leftprotoport=tcp/9-1", "f:6:16: 'tcp/9-1' is not right: write a port's number, two with - between them, or "
                                  "%any, such as tcp/443 or udp/1024-65535\n"},
        {"leftprotoport=%any/80",
            "f:6:16: '%any/80' is not right: ports need a protocol before them, such as tcp/443\n"},
        {"leftsubnet=10.1.0.0/16[tcp", "f:6:13: '10.1.0.0/16[tcp' is not right: write the closing ]\n"},
        {"compress=yes", "f:6:2: warning: 'compress' is a Libreswan option that iketcp does not do yet: ignored\n"},
        {"compress=no", ""},
        {"failureshunt=drop",
            "f:6:2: 'failureshunt' is a Libreswan option that iketcp does not do yet, and ignoring it is no good: "
            "packets would leave unprotected while the tunnel is down; use nftables\n"},
        {"failureshunt=none", ""},
        {"letfid=@a", "f:6:2: there is no option 'letfid'; did you mean 'leftid'?\n"},
        {"ikelifetme=1h", "f:6:2: there is no option 'ikelifetme'; did you mean 'ikelifetime'?\n"},
        {"rihgtsubnet=10.0.0.0/8", "f:6:2: there is no option 'rihgtsubnet'; did you mean 'rightsubnet'?\n"},
        {"quantumflux=9", "f:6:2: there is no option 'quantumflux'; iketcp.conf(5) lists those of a conn\n"},
        {"listen-tcp=yes", "f:6:2: 'listen-tcp' belongs into config setup\n"},
        {"x-comment=anything at all \"", ""},
        {"x_other", ""},
        {"id=@x", "f:6:2: warning: 'id' without left or right is taken as 'rightid', as Libreswan does\n"},
        {"pfs=yes pfs=no", "f:6:10: 'pfs=no' is too much: one value a line, in double quotes if it contains blanks\n"},
        {"leftid=\"@a", "f:6:9: the closing double quote is missing on this line\n"},
        {"leftsubnets={10.0.0.0/8", "f:6:14: the closing } is missing on this line\n"},
        {"pfs", "f:6:5: 'pfs' needs an equals sign after it: 'keyword=value'\n"},
        {"=yes", "f:6:2: a line of a section is 'keyword=value'\n"},
        {"conn d", "f:6:2: 'conn' must begin in the first column\n"},
        {"auto=start", "f:6:2: 'auto' is in conn c already, with another value at f:5; only those of %default may be "
                       "overridden\n"},
        {"auto=add", "f:6:2: warning: 'auto' is in conn c twice, the first time at f:5\n"},
        {"authby=secret,rsasig", "f:6:2: 'authby' is in conn c already, with another value at f:4; only those of "
                                 "%default may be overridden\n"
                                 "f:6:9: warning: only secret is done yet; the other ways are not accepted\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char more[200];
        snprintf(more, sizeof more, "\t%s\n", rows[i].line);
        const char *says = said(conn_with(more));
        if (strcmp(says, rows[i].says) != 0)
            wrong("%s:\n%sinstead of\n%s", rows[i].line, says, rows[i].says);
    }
}

static void what_does_not_fit_together_is_said(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"conn c\n auto=add\n authby=secret\n left=%any\n",
            "f:1:1: conn c has no right=; write an address, a name, %defaultroute or %any\n"},
        {"conn c\n auto=add\n authby=secret\n left=%any\n right=0.0.0.0\n",
            "f:5:8: conn c has %any at both ends; one of them must be this host\n"},
        {"conn c\n auto=add\n authby=secret\n left=%defaultroute\n right=%defaultroute\n",
            "f:5:8: conn c has %defaultroute at both ends; one of them is the other host\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=2001:db8::1\n",
            "f:5:8: conn c has an IPv4 address at one end and an IPv6 address at the other\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.300\n",
            "f:5:8: '10.0.0.300' is not right: write an IPv4 or IPv6 address, a host name, %defaultroute or %any\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=%group\n",
            "f:5:8: '%group' is not right: of the words with % only %any and %defaultroute are done; write an address "
            "or a name\n"},
        {"conn c\n auto=add\n left=10.0.0.1\n right=10.0.0.2\n",
            "f:1:1: warning: conn c has no authby=: secret is taken (Libreswan's default are RSA and ECDSA keys)\n"},
        {"conn c\n auto=add\n authby=rsasig\n left=10.0.0.1\n right=10.0.0.2\n",
            "f:3:9: 'rsasig' is not right: pre-shared keys are all that iketcp can check yet; write secret\n"},
        {"conn c\n auto=add\n authby=seecret\n left=10.0.0.1\n right=10.0.0.2\n",
            "f:3:9: 'seecret' is not right: write secret\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n leftsubnet=10.1.0.0/16\n "
         "rightsubnet=2001:db8::/32\n",
            "f:7:14: conn c has IPv4 at one end of the tunnel and IPv6 at the other: nothing could pass\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n leftsubnet=10.1.0.0/16\n "
         "type=transport\n",
            "f:7:7: conn c: type=transport protects the two hosts themselves; drop subnets and source addresses or "
            "write type=tunnel\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n tcponly=yes\n enable-tcp=no\n",
            "f:6:10: tcponly=yes and enable-tcp=no contradict each other; drop one of them\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n"
         " leftsubnets={10.1.0.0/16 10.2.0.0/16 10.3.0.0/16}\n"
         " rightsubnets={10.4.0.0/16 10.5.0.0/16 10.6.0.0/16 10.7.0.0/16 10.8.0.0/16 10.9.0.0/16}\n",
            "f:1:1: conn c has 18 pairs of subnets, 16 at most; make several conns of it\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n leftprotoport=tcp\n rightprotoport=17\n",
            "f:7:17: leftprotoport and rightprotoport name different protocols\n"},
        {"config setup\n pfs=yes\n", "f:2:2: 'pfs' belongs into a conn\n"},
        {"config setup\n listen-tcp=70000\n",
            "f:2:13: '70000' is not right: write yes (port 4500), no, or ports such as 443,4500\n"},
        {"config setup\n listen-tcp=1,2,3,4,5,6,7,8,9\n",
            "f:2:13: '1,2,3,4,5,6,7,8,9' is not right: at most 8 ports\n"},
        {"config setup\n global-redirect=yes\n",
            "f:2:2: global-redirect=yes needs global-redirect-to=, the gateways to which peers are sent\n"},
        {"config setup\n global-redirect-to=a.example,1.2.3\n",
            "f:2:31: '1.2.3' is not right: write an address or a name of a gateway\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n"
         " send-redirect=yes\n",
            "f:6:16: send-redirect=yes needs redirect-to=, the gateway to which peers are sent\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n"
         " redirect-to=a.example\n accept-redirect-to=%any\n",
            "f:6:14: warning: redirect-to does nothing without send-redirect=yes\n"
            "f:7:21: warning: accept-redirect-to does nothing without accept-redirect=yes\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n type=transport\n kernel-esp=yes\n",
            "f:7:13: warning: kernel-esp=yes does nothing with type=transport: the kernel's ESP is for tunnels of the "
            "common "
            "device\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n ipsec-interface=yes\n kernel-esp=yes\n",
            "f:7:13: warning: kernel-esp=yes does nothing with ipsec-interface: the kernel's ESP is for tunnels of the "
            "common "
            "device\n"},
        {"conn c\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n"
         " redirect-to=a/b\n",
            "f:6:14: 'a/b' is not right: write an address or a name of a gateway\n"
            "f:6:14: warning: redirect-to does nothing without send-redirect=yes\n"},
        {"config setup\n listen=eth0\n", "f:2:9: 'eth0' is not right: write one IPv4 or IPv6 address of this host\n"},
        {"config setup\n tun-name=a/b\n",
            "f:2:11: 'a/b' is not right: the name of a network device has 1 to 15 letters, digits, '-', '_' or '.'\n"},
        {"config setup\n uniqueids=yes\n plutodebug=all\n",
            "f:3:2: warning: 'plutodebug' is a Libreswan option that iketcp does not do yet: ignored\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *says = said(rows[i].text);
        if (strcmp(says, rows[i].says) != 0)
            wrong("%s:\n%sinstead of\n%s", rows[i].text, says, rows[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_libreswan_but_for_enable_tcp),
        cmocka_unit_test(setup_defaults_and_options),
        cmocka_unit_test(a_congestion_control_is_a_name_as_the_kernel_has_them),
        cmocka_unit_test(a_congestion_control_that_is_not_loaded_is_a_warning_of_check),
        cmocka_unit_test(each_option_sets_its_field),
        cmocka_unit_test(booleans_and_keywords_disregard_case),
        cmocka_unit_test(auto_has_libreswans_words),
        cmocka_unit_test(ends_take_addresses_names_and_magic_words),
        cmocka_unit_test(ids_are_read_as_libreswan_writes_them),
        cmocka_unit_test(subnets_come_one_by_one_or_in_braces),
        cmocka_unit_test(subnets_of_one_line_are_of_one_sa_unless_it_is_leftsubnets),
        cmocka_unit_test(a_protocol_and_ports_are_those_of_the_end_or_of_a_subnet),
        cmocka_unit_test(a_margin_that_does_not_fit_is_made_smaller),
        cmocka_unit_test(the_revision_is_of_the_meaning_not_of_the_text),
        cmocka_unit_test(each_error_says_where_what_and_what_is_right),
        cmocka_unit_test(what_does_not_fit_together_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
