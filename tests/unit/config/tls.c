/* tls.c: TLS, proxies and a web server in ipsec.conf: options, and files that options name. Rows T2, T3, T4. */
#include "helper.h"

#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

static int make_directory(void **state) {
    (void)state;
    strcpy(directory, "/tmp/iketcp-config-tls-XXXXXX");
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void put(const char *name, const char *text, mode_t mode) {
    char path[160];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static struct config_source *read_main(void) {
    char path[160];
    snprintf(path, sizeof path, "%s/main", directory);
    return config_source_read(path);
}

static struct config_connection conn(const char *more) {
    struct config *config = meaning(conn_with(more));
    struct config_connection c = config->connection[0];
    config_free(config);
    return c;
}

static void T4_tls_is_off_by_default_and_has_port_443(void **state) {
    (void)state;
    struct config_connection c = conn("");
    assert_int_equal(c.enable_tls, CHOICE_NO);
    assert_int_equal(c.tls_remote_port, 443);
    assert_false(c.tls_verify);
    assert_string_equal(c.tls_server_name, "");
    assert_string_equal(c.tls_ca, "");
    assert_string_equal(c.tls_alpn, "");
    assert_int_equal(c.proxy.kind, CONFIG_PROXY_NONE);
}

static void T4_each_option_sets_its_field(void **state) {
    (void)state;
    assert_int_equal(conn("\tenable-tls=yes\n").enable_tls, CHOICE_YES);
    assert_int_equal(conn("\tenable-tls=fallback\n").enable_tls, CHOICE_FALLBACK);
    assert_int_equal(conn("\ttls-remoteport=8443\n").tls_remote_port, 8443);
    assert_true(conn("\ttls-verify=yes\n").tls_verify);
    assert_string_equal(conn("\ttls-servername=www.example.org\n").tls_server_name, "www.example.org");
    assert_string_equal(conn("\ttls-servername=2001:db8::1\n").tls_server_name, "2001:db8::1");
    assert_string_equal(conn("\ttls-alpn=h2,http/1.1\n").tls_alpn, "h2,http/1.1");
    assert_string_equal(conn("\ttls-verify=yes\n\ttls-ca=/etc/ca.pem\n").tls_ca, "/etc/ca.pem");
}

static void T3_listeners_of_both_kinds_on_several_ports(void **state) {
    (void)state;
    struct config *config = meaning("config setup\n listen-tls=yes\n");
    assert_int_equal(config->listen_tlss, 1);
    assert_int_equal(config->listen_tls[0], 443);
    assert_int_equal(config->listen_tcps, 0);
    config_free(config);
    config = meaning("config setup\n listen-tls=443,8443\n listen-tcp=443\n web-fallback=[::1]:80\n");
    assert_int_equal(config->listen_tlss, 2);
    assert_int_equal(config->listen_tls[1], 8443);
    assert_int_equal(config->listen_tcp[0], 443);
    assert_string_equal(config->web_host, "::1");
    assert_int_equal(config->web_port, 80);
    config_free(config);
    config = meaning("config setup\n web-fallback=www.example.org:8080\n");
    assert_string_equal(config->web_host, "www.example.org");
    assert_int_equal(config->web_port, 8080);
    config_free(config);
    config = meaning("config setup\n web-fallback=no\n");
    assert_int_equal(config->web_port, 0);
    config_free(config);
}

static void keys_are_told_to_nobody_unless_a_directory_is_named(void **state) {
    (void)state;
    struct config *config = meaning("config setup\n listen-tcp=yes\n");
    assert_string_equal(config->keylog, "");
    config_free(config);
    config = meaning("config setup\n keylog=no\n");
    assert_string_equal(config->keylog, "");
    config_free(config);
    assert_string_equal(said("config setup\n keylog=/root/keys\n"),
        "f:2:9: warning: the keys of all SAs are written to /root/keys: whoever reads them reads the traffic\n");
    assert_string_equal(said("config setup\n keylog=keys\n"),
        "f:2:9: 'keys' is no directory for keys: write an absolute path of at most 255 octets, or no\n");
}

static void proxies_are_urls(void **state) {
    (void)state;
    static const struct {
        const char *url;
        struct config_proxy proxy;
    } rows[] = {
        {"http://192.0.2.1:3128", {CONFIG_PROXY_HTTP, "", "", "192.0.2.1", 3128}},
        {"http://proxy.example:8080/", {CONFIG_PROXY_HTTP, "", "", "proxy.example", 8080}},
        {"HTTP://me:pass@proxy:80", {CONFIG_PROXY_HTTP, "me", "pass", "proxy", 80}},
        {"http://a%40b:p%3a%25:q@[2001:db8::1]:1", {CONFIG_PROXY_HTTP, "a@b", "p:%:q", "2001:db8::1", 1}},
        {"socks5://gw:1080", {CONFIG_PROXY_SOCKS5, "", "", "gw", 1080}},
        {"socks5h://me:@gw:65535", {CONFIG_PROXY_SOCKS5, "me", "", "gw", 65535}},
        {"socks5://me@gw:1080", {CONFIG_PROXY_SOCKS5, "me", "", "gw", 1080}},
        {"no", {CONFIG_PROXY_NONE, "", "", "", 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[200];
        snprintf(line, sizeof line, "\tproxy=%s\n", rows[i].url);
        struct config_proxy proxy = conn(line).proxy;
        assert_int_equal(proxy.kind, rows[i].proxy.kind);
        assert_string_equal(proxy.user, rows[i].proxy.user);
        assert_string_equal(proxy.password, rows[i].proxy.password);
        assert_string_equal(proxy.host, rows[i].proxy.host);
        assert_int_equal(proxy.port, rows[i].proxy.port);
    }
}

static void wrong_proxies_are_refused_and_no_password_is_repeated(void **state) {
    (void)state;
    static const char *const urls[] = {"ftp://h:1", "proxy:3128", "http://h", "http://:1", "http://h:0",
        "http://h:70000", "http://h:x", "http://u:hush@", "http://:hush@h:1", "http://u:hush%4@h:1",
        "http://u:hush%zz@h:1", "http://2001:db8::1:80", "http://u:hush%00@h:1", "http://u:hush@h:1/path",
        "http://u%3aw:hush@h:1"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        char line[200];
        snprintf(line, sizeof line, "\tproxy=%s\n", urls[i]);
        const char *says = said(conn_with(line));
        if (strncmp(says, "f:6:8: ", 7) != 0 || !strstr(says, "write http://host:port") || strstr(says, "hush"))
            wrong("%s: %s", urls[i], says);
    }
    char line[800], user[300];
    memset(user, 'u', sizeof user);
    user[256] = 0;
    snprintf(line, sizeof line, "\tproxy=http://%s@h:1\n", user);
    assert_non_null(strstr(said(conn_with(line)), "the user or the password"));
    snprintf(line, sizeof line, "\tproxy=http://%s@h:1\n", user + 1);
    assert_int_equal(strlen(conn(line).proxy.user), 255);
}

static void T4_what_contradicts_itself_is_said(void **state) {
    (void)state;
    static const struct {
        const char *more, *says;
    } rows[] = {
        {"\tenable-tls=yes\n\tenable-tcp=yes\n", "f:6:13: enable-tls=yes and enable-tcp=yes (or tcponly) contradict"},
        {"\ttcponly=yes\n\tenable-tls=yes\n", "f:7:13: enable-tls=yes and enable-tcp=yes"},
        {"\tenable-tls=maybe\n", "f:6:13: 'maybe' is not right: write one of no, yes, fallback"},
        {"\ttls-ca=x\n", "f:6:9: warning: tls-ca does nothing without tls-verify=yes"},
        {"\ttls-servername=a..b\n", "f:6:17: 'a..b' is not right: write a host name"},
        {"\ttls-alpn=\"a b\"\n", "f:6:12: 'a b' is not right: write names of protocols"},
        {"\ttls-remoteport=0\n", "f:6:17: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *says = said(conn_with(rows[i].more));
        if (strncmp(says, rows[i].says, strlen(rows[i].says)) != 0)
            wrong("%s: %s", rows[i].more, says);
    }
    assert_string_equal(said(conn_with("\tenable-tls=yes\n\tenable-tcp=fallback\n")), "");
    assert_string_equal(said(conn_with("\tenable-tls=fallback\n\tenable-tcp=yes\n")), "");
    assert_string_equal(said("config setup\n listen-tls=443\n tls-cert=a\n"),
        "f:3:2: tls-key is missing: tls-cert and tls-key belong together\n");
    assert_string_equal(
        said("config setup\n tls-key=a\n"), "f:2:2: tls-cert is missing: tls-cert and tls-key belong together\n");
    assert_string_equal(said("config setup\n web-fallback=localhost\n"),
        "f:2:15: 'localhost' is not right: write host:port of a web server, such as 127.0.0.1:8080, or no\n");
}

static void files_that_options_name_are_read_beside_the_configuration_and_packed(void **state) {
    (void)state;
    put("site.pem", "a certificate\n", 0644);
    put("site.key", "a key\n", 0600);
    put("ca.pem", "an authority\n", 0644);
    char text[600];
    snprintf(text, sizeof text,
        "config setup\n tls-cert=site.pem\n tls-key=%s/site.key\nconn c\n left=192.0.2.1\n right=192.0.2.2\n"
        " authby=secret\n auto=add\n tls-verify=yes\n tls-ca=ca.pem\n",
        directory);
    put("main", text, 0644);
    struct config_source *source = read_main();
    size_t length;
    uint8_t *packed = config_source_pack(source, &length);
    config_source_free(source);
    source = config_source_unpack(packed, length);
    free(packed);
    assert_non_null(source);
    struct diagnostics d;
    struct config *config = config_parse(source, &d);
    config_source_free(source);
    assert_string_equal(lines_of(&d), "");
    assert_string_equal(config_file_text(config, config->tls_cert), "a certificate\n");
    assert_string_equal(config_file_text(config, config->tls_key), "a key\n");
    assert_string_equal(config_file_text(config, config->connection[0].tls_ca), "an authority\n");
    assert_null(config_file_text(config, "main"));
    config_free(config);
}

static void a_file_that_is_named_is_no_part_of_the_configuration(void **state) {
    (void)state;
    put("conf", "conn d\n nonsense\n", 0644);
    put("main", "config setup\n tls-cert=conf\n tls-key=conf\n", 0644);
    char path[160];
    snprintf(path, sizeof path, "%s/conf", directory);
    assert_int_equal(chmod(path, 0600), 0);
    struct config_source *source = read_main();
    struct diagnostics d;
    struct config *config = config_parse(source, &d);
    config_source_free(source);
    assert_string_equal(lines_of(&d), "");
    assert_int_equal(config->connections, 0);
    config_free(config);
}

static void files_that_can_not_be_read_are_errors_where_they_are_named(void **state) {
    (void)state;
    put("site.pem", "a certificate\n", 0644);
    put("open.key", "a key\n", 0644);
    put("main", "config setup\n tls-cert=nowhere.pem\n tls-key=open.key\n", 0644);
    struct config_source *source = read_main();
    struct diagnostics d;
    assert_null(config_parse(source, &d));
    config_source_free(source);
    const char *says = lines_of(&d);
    if (!strstr(says, "main:2:11: can't read ") || !strstr(says, "nowhere.pem: No such file") ||
        !strstr(says, "main:3:10: can't read ") || !strstr(says, "open.key: others may read it; say chmod 600"))
        wrong("%s", says);
}

static void every_option_is_in_the_revision(void **state) {
    (void)state;
    static const char *const lines[] = {"", "\tenable-tls=yes\n", "\tenable-tls=fallback\n", "\ttls-remoteport=444\n",
        "\ttls-servername=a\n", "\ttls-verify=yes\n", "\ttls-verify=yes\n\ttls-ca=/a\n", "\ttls-alpn=a\n",
        "\tproxy=http://h:1\n", "\tproxy=http://h:2\n", "\tproxy=socks5://h:1\n", "\tproxy=http://u@h:1\n",
        "\tproxy=http://u:p@h:1\n"};
    uint64_t revision[sizeof lines / sizeof lines[0]];
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        revision[i] = conn(lines[i]).revision;
        for (size_t j = 0; j < i; j++)
            if (revision[i] == revision[j])
                wrong("%s is the same as %s", lines[i], lines[j]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(T4_tls_is_off_by_default_and_has_port_443),
        cmocka_unit_test(T4_each_option_sets_its_field),
        cmocka_unit_test(T3_listeners_of_both_kinds_on_several_ports),
        cmocka_unit_test(keys_are_told_to_nobody_unless_a_directory_is_named),
        cmocka_unit_test(proxies_are_urls),
        cmocka_unit_test(wrong_proxies_are_refused_and_no_password_is_repeated),
        cmocka_unit_test(T4_what_contradicts_itself_is_said),
        cmocka_unit_test(files_that_options_name_are_read_beside_the_configuration_and_packed),
        cmocka_unit_test(a_file_that_is_named_is_no_part_of_the_configuration),
        cmocka_unit_test(files_that_can_not_be_read_are_errors_where_they_are_named),
        cmocka_unit_test(every_option_is_in_the_revision),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
