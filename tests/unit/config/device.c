/* device.c: a connection's own device: what is taken, and what is said when it is wrong. */
#include "helper.h"

static struct config_connection conn(const char *more) {
    struct config *config = meaning(conn_with(more));
    assert_int_equal(config->connections, 1);
    struct config_connection c = config->connection[0];
    config_free(config);
    return c;
}

static void a_device_has_libreswans_name(void **state) {
    (void)state;
    char name[CONFIG_DEVICE_NAME_MAX];
    assert_int_equal(conn("").device, 0);
    assert_int_equal(conn("\tipsec-interface=no\n").device, 0);
    assert_string_equal(config_device_name(conn("\tipsec-interface=yes\n").device, name), "ipsec1");
    assert_string_equal(config_device_name(conn("\tipsec-interface=0\n").device, name), "ipsec0");
    assert_string_equal(config_device_name(conn("\tipsec-interface=1\n").device, name), "ipsec1");
    assert_string_equal(config_device_name(conn("\tipsec-interface=65535\n").device, name), "ipsec65535");
}

static void its_address_has_a_network(void **state) {
    (void)state;
    struct config_connection c =
        conn("\tipsec-interface=5\n\tleftinterface-ip=10.9.0.1/30\n\trightinterface-ip=2001:db8::2/64\n");
    char text[ADDRESS_TEXT_MAX];
    assert_string_equal(address_text(&c.left.interface_ip, text), "10.9.0.1");
    assert_int_equal(c.left.interface_bits, 30);
    assert_string_equal(address_text(&c.right.interface_ip, text), "2001:db8::2");
    assert_int_equal(c.right.interface_bits, 64);
}

static void a_mark_has_a_mask(void **state) {
    (void)state;
    char text[CONFIG_MARK_TEXT_MAX];
    struct config_connection c = conn("\tipsec-interface=5\n\troute-table=100\n\tmark-out=0x50/0xF0\n");
    assert_int_equal(c.route_table, 100);
    assert_string_equal(config_mark_text(&c.mark_out, text), "0x50/0xf0");
    c = conn("\tipsec-interface=5\n\troute-table=4294967295\n\tmark-out=17\n");
    assert_int_equal(c.route_table, UINT32_MAX);
    assert_string_equal(config_mark_text(&c.mark_out, text), "0x11/0xffffffff");
    assert_int_equal(conn("").mark_out.mask, 0);
    assert_int_equal(c.mark_in.mask, 0);
    c = conn("\tipsec-interface=5\n\troute-table=100\n\tmark=5\n");
    assert_string_equal(config_mark_text(&c.mark_out, text), "0x5/0xffffffff");
    assert_string_equal(config_mark_text(&c.mark_in, text), "0x5/0xffffffff");
    c = conn("\tipsec-interface=5\n\troute-table=100\n\tmark-in=6\n\tmark=5\n");
    assert_string_equal(config_mark_text(&c.mark_out, text), "0x5/0xffffffff");
    assert_string_equal(config_mark_text(&c.mark_in, text), "0x6/0xffffffff");
    c = conn("\tipsec-interface=5\n\tmark-in=6\n");
    assert_int_equal(c.mark_out.mask, 0);
}

static void the_revision_knows_the_device(void **state) {
    (void)state;
    const char *const lines[] = {"", "\tipsec-interface=1\n", "\tipsec-interface=2\n",
        "\tipsec-interface=2\n\tleftinterface-ip=10.9.0.1/30\n",
        "\tipsec-interface=2\n\tleftinterface-ip=10.9.0.1/29\n", "\tipsec-interface=2\n\troute-table=100\n",
        "\tipsec-interface=2\n\troute-table=100\n\tmark-out=5\n",
        "\tipsec-interface=2\n\troute-table=100\n\tmark-out=5/7\n",
        "\tipsec-interface=2\n\troute-table=100\n\tmark=5/7\n"};
    uint64_t revision[sizeof lines / sizeof lines[0]];
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        revision[i] = conn(lines[i]).revision;
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(revision[i], revision[j]);
    }
}

struct row {
    const char *more, *says;
};

static void expect_all(const struct row *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *says = said(conn_with(rows[i].more));
        if (strcmp(says, rows[i].says) != 0)
            wrong("%s:\n%sinstead of\n%s", rows[i].more, says, rows[i].says);
    }
}

static void what_is_no_device_is_said(void **state) {
    (void)state;
#define NO_DEVICE "is not right: write yes (for ipsec1), no, or a number up to 65535 (5 for ipsec5)\n"
#define NO_ADDRESS "is not right: write the device's own address and its network, such as 10.9.0.1/30\n"
    const struct row rows[] = {
        {"\tipsec-interface=maybe\n", "f:6:18: 'maybe' " NO_DEVICE},
        {"\tipsec-interface=65536\n", "f:6:18: '65536' " NO_DEVICE},
        {"\tipsec-interface=99999999999999999999\n", "f:6:18: '99999999999999999999' " NO_DEVICE},
        {"\tipsec-interface=5x\n", "f:6:18: '5x' " NO_DEVICE},
        {"\tipsec-interface=1\n\tleftinterface-ip=10.9.0.1\n", "f:7:19: '10.9.0.1' " NO_ADDRESS},
        {"\tipsec-interface=1\n\tleftinterface-ip=10.9.0.1/33\n", "f:7:19: '10.9.0.1/33' " NO_ADDRESS},
        {"\tipsec-interface=1\n\tleftinterface-ip=0.0.0.0/0\n", "f:7:19: '0.0.0.0/0' " NO_ADDRESS},
        {"\tleftinterface-ip=10.9.0.1/30\n",
            "f:6:19: conn c: interface-ip is the address of a device of its own; write ipsec-interface= too\n"},
    };
    expect_all(rows, sizeof rows / sizeof rows[0]);
}

#define ANOTHER "conn d\n\tleft=192.0.2.1\n\tright=192.0.2.3\n\tauthby=secret\n\tauto=add\n"

static void a_device_is_one_connections_alone(void **state) {
    (void)state;
    const struct row rows[] = {
        {"\tipsec-interface=yes\n" ANOTHER "\tipsec-interface=1\n",
            "f:12:18: conn d: ipsec1 is conn c's already, and a device is one connection's alone; write another "
            "number\n"},
        {"\tipsec-interface=1\n" ANOTHER "\tipsec-interface=2\n", ""},
        {"\tipsec-interface=1\nconfig setup\n\ttun-name=ipsec1\n",
            "f:6:18: conn c: ipsec1 is the common device already (tun-name)\n"},
    };
    expect_all(rows, sizeof rows / sizeof rows[0]);
    assert_null(
        strstr(said(conn_with("\tipsec-interface=1\nconn d\n\tleft=192.0.2.1\n\tright=192.0.2.3\n\tauthby=secret\n"
                              "\tipsec-interface=1\n\tauto=ignore\n")),
            "already"));
}

#define TABLE_OF(number) "\tipsec-interface=1\n\troute-table=" number "\n"

static void what_is_no_table_or_no_mark_is_said(void **state) {
    (void)state;
#define NO_TABLE \
    "is not right: write the number of a routing table that is nobody else's, such as 100; not 253 to 255 (default, " \
    "main, " \
    "local) nor 52000 to 52499 (iketcp's)\n"
    const struct row rows[] = {
        {TABLE_OF("0"), "f:7:14: '0' " NO_TABLE},
        {TABLE_OF("254"), "f:7:14: '254' " NO_TABLE},
        {TABLE_OF("52001"), "f:7:14: '52001' " NO_TABLE},
        {TABLE_OF("4294967296"), "f:7:14: '4294967296' " NO_TABLE},
        {TABLE_OF("main"), "f:7:14: 'main' " NO_TABLE},
        {"\troute-table=100\n",
            "f:6:14: conn c: route-table needs a device of its own to lead to; write ipsec-interface= too\n"},
        {TABLE_OF("100") "\tmark-out=0\n",
            "f:8:11: '0' is not right: packets without a mark would have it; write one that is not 0\n"},
        {TABLE_OF("100") "\tmark-out=5/0\n",
            "f:8:11: '5/0' is not right: packets without a mark would have it; write one that is not 0\n"},
        {TABLE_OF("100") "\tmark-out=5/0xf0\n",
            "f:8:11: '5/0xf0' is not right: bits of the mark lie outside of its mask, so no packet could have it\n"},
        {TABLE_OF("100") "\tmark-out=-1\n",
            "f:8:11: '-1' is not right: write a mark, or a mark and its mask, such as 5 or 0x50/0xff\n"},
        {TABLE_OF("100") "\tmark-out=5/\n",
            "f:8:11: '5/' is not right: write a mark, or a mark and its mask, such as 5 or 0x50/0xff\n"},
        {"\tipsec-interface=1\n\tmark-out=5\n", "f:7:11: conn c: mark-out needs a table in which packets with that "
                                                "mark are routed; write route-table= too\n"},
        {"\tipsec-interface=1\n\tmark=5\n",
            "f:7:7: conn c: mark needs a table in which packets with that mark are routed; write route-table= too\n"},
        {"\tmark-in=5\n",
            "f:6:10: conn c: mark-in is for what comes out of a device of its own; write ipsec-interface= too\n"},
        {TABLE_OF("100") "\tmark-out=0x5/0xf\n" ANOTHER "\tipsec-interface=2\n\troute-table=101\n\tmark-out=0x15\n",
            "f:16:11: conn d: there are packets that have this mark and that of conn c, whose table is another one\n"},
        {TABLE_OF("100") "\tmark-out=5\n" ANOTHER "\tipsec-interface=2\n\troute-table=100\n\tmark-out=5\n", ""},
        {TABLE_OF("100") "\tmark-out=5\n" ANOTHER "\tipsec-interface=2\n\troute-table=101\n\tmark-out=6\n", ""},
    };
    expect_all(rows, sizeof rows / sizeof rows[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_has_libreswans_name),
        cmocka_unit_test(its_address_has_a_network),
        cmocka_unit_test(a_mark_has_a_mask),
        cmocka_unit_test(what_is_no_table_or_no_mark_is_said),
        cmocka_unit_test(the_revision_knows_the_device),
        cmocka_unit_test(what_is_no_device_is_said),
        cmocka_unit_test(a_device_is_one_connections_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
