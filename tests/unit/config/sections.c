/* sections.c: the lines of ipsec.conf, %default, also= and duplicates. */
#include "helper.h"

static void blanks_comments_and_carriage_returns_mean_nothing(void **state) {
    (void)state;
    struct config *config = meaning("version 2.0\r\n\r\n# a comment\r\nconn c # here too\r\n"
                                    "  \t\r\n\t# indented\r\n  left = 10.0.0.1\t# why\r\n\tright=\"10.0.0.2\"#close\r\n"
                                    "\n\tauthby=secret\n\tauto=add");
    assert_int_equal(config->connections, 1);
    assert_string_equal(config->connection[0].name, "c");
    assert_int_equal(config->connection[0].right.address.octets[3], 2);
    config_free(config);
    config = meaning("");
    assert_int_equal(config->connections, 0);
    config_free(config);
}

static void an_unquoted_value_may_contain_a_hash(void **state) {
    (void)state;
    struct config *config = meaning(conn_with("\tleftid=@#6b6579\n\trightid=@a#b\n"));
    assert_int_equal(config->connection[0].left.id.type, ID_KEY_ID);
    assert_memory_equal(config->connection[0].right.id.data, "a#b", 3);
    config_free(config);
}

static void default_fills_what_a_conn_does_not_say_wherever_it_stands(void **state) {
    (void)state;
    struct config *config =
        meaning("conn a\n\tleft=10.0.0.1\n\tright=10.0.0.2\n\tmtu=1300\n\tauto=add\n"
                "conn %default\n\tauthby=secret\n\tmtu=1400\n\tmobike=yes\n\tleftsubnets={10.5.0.0/16}\n"
                "conn %default\n\tdpddelay=5\n"
                "conn b\n\tleft=10.0.0.1\n\tright=10.0.0.3\n\tauto=add\n\tleftsubnets={10.6.0.0/16}\n");
    assert_int_equal(config->connections, 2);
    assert_int_equal(config->connection[0].mtu, 1300);
    assert_int_equal(config->connection[1].mtu, 1400);
    assert_true(config->connection[0].mobike && config->connection[1].mobike);
    assert_int_equal(config->connection[0].dpd_delay_s, 5);
    assert_int_equal(config->connection[0].left.subnets, 1);
    assert_int_equal(config->connection[1].left.subnets, 2);
    config_free(config);
}

static void also_takes_sections_before_and_after_and_what_they_take(void **state) {
    (void)state;
    struct config *config = meaning("conn base\n\tauthby=secret\n\tleft=10.0.0.1\n"
                                    "conn a\n\talso=base\n\talso=\"later more\"\n\tauto=add\n"
                                    "conn later\n\tright=10.0.0.2\n\talso=deep\n"
                                    "conn more\n\tmtu=1300\n\talso=deep\n"
                                    "conn deep\n\tmobike=yes\n");
    assert_int_equal(config->connections, 1);
    assert_int_equal(config->connection[0].mtu, 1300);
    assert_true(config->connection[0].mobike);
    assert_int_equal(config->connection[0].right.address.octets[3], 2);
    config_free(config);
}

static void what_stands_wrong_is_said_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"\tpfs=yes\n", "f:1:2: an indented line belongs to a section; write 'config setup' or 'conn NAME' in the "
                        "first column before it\n"},
        {"conn c\npfs=yes\n",
            "f:2:1: 'pfs' must be indented: only 'config setup', 'conn' and 'include' begin in the first column\n"},
        {"ca x\n", "f:1:1: 'ca' begins no section: 'config setup', 'conn NAME' or 'include FILE' do\n"},
        {"=\n", "f:1:1: '=' begins no section: 'config setup', 'conn NAME' or 'include FILE' do\n"},
        {"conn\n", "f:1:5: 'conn' needs a name: 'conn NAME'\n"},
        {"conn \"\"\n", "f:1:7: 'conn' needs a name: 'conn NAME'\n"},
        {"include\n", "f:1:8: 'include' needs a file: 'include FILE'\n"},
        {"config\n", "f:1:7: 'config' is followed by 'setup' and nothing else\n"},
        {"config set up\n", "f:1:8: 'config' is followed by 'setup' and nothing else\n"},
        {"conn a b\n", "f:1:8: 'b' is too much: one value a line, in double quotes if it contains blanks\n"},
        {"conn \"a b\"\n", "f:1:7: the name of a conn contains no blanks\n"},
        {"conn %other\n", "f:1:6: only %default begins with %\n"},
        {"conn 1234567890123456789012345678901234567890123456789012345678901234\n",
            "f:1:6: the name of a conn is at most 63 octets long\n"},
        {"conn a\nconn b\nconn a\n", "f:3:6: conn a is there already, at f:1; give one of them another name\n"},
        {"conn %default\n also=a\nconn a\n",
            "f:2:2: also= is not for conn %default; write it into the conns themselves\n"},
        {"conn a\n also=b\n", "f:2:7: there is no conn 'b' that also= could mean\n"},
        {"conn a\n also=\"a2 b\"\nconn a2\n", "f:2:11: there is no conn 'b' that also= could mean\n"},
        {"conn a\n also=a\n", "f:2:7: also=a comes back to a conn that it began with: a loop\n"},
        {"conn a\n also=b\nconn b\n also=c\nconn c\n also=a\n",
            "f:6:7: also=a comes back to a conn that it began with: a loop\n"},
        {"conn a\n also=\" \"\n", "f:2:8: ' ' is not right: write the name of a conn\n"},
        {"conn a\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n also=b\n mtu=1300\nconn b\n mtu=1400\n",
            "f:9:2: 'mtu' is in conn a already, with another value at f:7; only those of %default may be overridden\n"},
        {"conn a\n auto=add\n authby=secret\n left=10.0.0.1\n right=10.0.0.2\n salifetime=2h\n keylife=1h\n",
            "f:7:2: 'salifetime' is in conn a already, with another value at f:6; only those of %default may be "
            "overridden\n"},
        {"config setup\n listen-tcp=yes\nconfig setup\n listen-tcp=no\n",
            "f:4:2: 'listen-tcp' is in config setup already, with another value at f:2\n"},
        {"conn a\n pfs=ye\x1bs\n mtu=x\n",
            "f:2:6: 'ye?s' is not right: write yes or no\nf:3:6: 'x' is not right: write a whole number\n"},
        {"include /etc/other\n", ""}, /* a text has no files */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *says = said(rows[i].text);
        if (strcmp(says, rows[i].says) != 0)
            wrong("%s:\n%sinstead of\n%s", rows[i].text, says, rows[i].says);
    }
}

static void a_section_used_by_many_is_complained_about_once(void **state) {
    (void)state;
    assert_string_equal(
        said("conn base\n authby=secret\n left=10.0.0.1\n mtu=x\n"
             "conn a\n also=base\n right=10.0.0.2\n auto=add\nconn b\n also=base\n right=10.0.0.3\n auto=add\n"),
        "f:4:6: 'x' is not right: write a whole number\n");
}

static void every_error_is_said_in_one_pass_in_order(void **state) {
    (void)state;
    assert_string_equal(
        said("conn a\n pfs=maybe\nbad\nconn b\n left=10.0.0.300\n auto=add\n right=%any\n authby=secret\nconn b\n"),
        "f:2:6: 'maybe' is not right: write yes or no\n"
        "f:3:1: 'bad' begins no section: 'config setup', 'conn NAME' or 'include FILE' do\n"
        "f:5:7: '10.0.0.300' is not right: write an IPv4 or IPv6 address, a host name, %defaultroute or %any\n"
        "f:9:6: conn b is there already, at f:4; give one of them another name\n");
}

static void too_many_also_end_with_a_sentence(void **state) {
    (void)state;
    static char text[20000];
    size_t used = 0;
    for (int i = 0; i < 50; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "conn c%d\n also=c%d\n", i, i + 1);
    snprintf(text + used, sizeof text - used, "conn c50\n authby=secret\n");
    const char *says = said(text);
    assert_non_null(strstr(says, "also= goes more than 32 sections deep\n"));
    assert_non_null(strstr(says, "a conn takes at most 32 sections by also=\n"));
}

static void diagnostics_are_bounded_and_none_is_lost(void **state) {
    (void)state;
    char *text = malloc(200000);
    strcpy(text, "conn a\n");
    for (int i = 0; i < 5000; i++)
        strcat(text + (i ? 0 : 0), " mtu=x\n");
    struct config_source *source = config_source_from_text("f", text);
    struct diagnostics d;
    assert_null(config_parse(source, &d));
    assert_true(d.count <= 1000);
    assert_true(d.errors > 1000);
    diagnostics_free(&d);
    config_source_free(source);
    free(text);
}

static bool is_one_or_two(void *context, const struct address *address) {
    (void)context;
    return address->family == 4 && address->octets[3] <= 2;
}

static void us_is_found_as_libreswan_finds_it(void **state) {
    (void)state;
    static const struct {
        const char *left, *right;
        int us; /* -1: not */
        const char *says;
    } rows[] = {
        {"10.0.0.1", "10.0.0.9", 0, ""},
        {"10.0.0.9", "10.0.0.1", 1, ""},
        {"%defaultroute", "10.0.0.9", 0, ""},
        {"gw.example", "%defaultroute", 1, ""},
        {"10.0.0.1", "%any", 0, ""},
        {"%any", "10.0.0.2", 1, ""},
        {"10.0.0.1", "gw.example", 0, ""},
        {"gw.example", "%any", 0, ""},
        {"10.0.0.1", "10.0.0.2", -1, "both left and right are this host"},
        {"%defaultroute", "10.0.0.2", -1, "both left and right are this host"},
        {"10.0.0.8", "10.0.0.9", -1,
            "neither left (10.0.0.8) nor right (10.0.0.9) is an address of this host; write %defaultroute for its own "
            "end"},
        {"10.0.0.8", "%any", -1,
            "neither left (10.0.0.8) nor right (%any) is an address of this host; write %defaultroute for its own end"},
        {"10.0.0.8", "gw.example", -1,
            "neither left (10.0.0.8) nor right (gw.example) is an address of this host; write %defaultroute for its "
            "own end"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        struct error err = {0};
        snprintf(
            text, sizeof text, "conn c\n left=%s\n right=%s\n auto=add\n authby=secret\n", rows[i].left, rows[i].right);
        struct config *config = meaning(text);
        struct config_connection *c = &config->connection[0];
        assert_true(config_orient(c, is_one_or_two, NULL, &err) == (rows[i].us >= 0));
        assert_int_equal(c->us, rows[i].us);
        assert_string_equal(err.text, rows[i].says);
        if (rows[i].us >= 0) {
            assert_ptr_equal(config_us(c), rows[i].us == 0 ? &c->left : &c->right);
            assert_ptr_equal(config_them(c), rows[i].us == 0 ? &c->right : &c->left);
        }
        config_free(config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks_comments_and_carriage_returns_mean_nothing),
        cmocka_unit_test(an_unquoted_value_may_contain_a_hash),
        cmocka_unit_test(default_fills_what_a_conn_does_not_say_wherever_it_stands),
        cmocka_unit_test(also_takes_sections_before_and_after_and_what_they_take),
        cmocka_unit_test(what_stands_wrong_is_said_with_its_place),
        cmocka_unit_test(a_section_used_by_many_is_complained_about_once),
        cmocka_unit_test(every_error_is_said_in_one_pass_in_order),
        cmocka_unit_test(too_many_also_end_with_a_sentence),
        cmocka_unit_test(diagnostics_are_bounded_and_none_is_lost),
        cmocka_unit_test(us_is_found_as_libreswan_finds_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
