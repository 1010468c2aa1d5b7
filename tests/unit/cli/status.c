/* The status for people: what is asked most is on the first lines; nothing that is missing breaks it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/internal.h"

static char *printed(const char *json) {
    json_t *status = json_loads(json, 0, NULL);
    assert_non_null(status);
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    status_print(out, status);
    fclose(out);
    json_decref(status);
    return text;
}

static void expect(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, text);
}

#define UP \
    "{\"version\":\"1\",\"listen\":[{\"proto\":\"udp\",\"address\":\"0.0.0.0\",\"port\":500}," \
    "{\"proto\":\"udp\",\"address\":\"::\",\"port\":500},{\"proto\":\"tcp\",\"address\":\"::\",\"port\":443}]," \
    "\"connections\":[{\"name\":\"office\",\"state\":\"up\",\"transport\":\"tcp\",\"ike_sa\":{\"local\":\"192.0.2.10:" \
    "41\"," \
    "\"remote\":\"198.51.100.10:4500\",\"local_id\":\"@west\",\"remote_id\":\"@east\",\"role\":\"initiator\"," \
    "\"encryption\":\"ENCR_AES_GCM_16-256\",\"integrity\":null,\"prf\":\"PRF_HMAC_SHA2_512\"," \
    "\"key_exchange\":\"KE_CURVE25519\",\"age_s\":61,\"rekey_in_s\":3600,\"rekeys\":0,\"reconnects\":1}," \
    "\"child_sas\":[{\"spi_in\":\"0a\",\"spi_out\":\"0b\",\"ts_local\":[\"10.1.0.0/24\"],\"ts_remote\":[\"10.2.0.0/" \
    "24\"]," \
    "\"tun\":\"iketcp0\",\"encryption\":\"ENCR_AES_GCM_16-128\",\"bytes_in\":1500,\"packets_in\":1,\"age_s\":5," \
    "\"replay_drops\":2}]}]}"

static void a_connection_that_is_up_says_how_to_whom_and_for_what(void **state) {
    (void)state;
    char *text = printed(UP);
    expect(text, "iketcpd 1 listens on UDP 500, TCP 443\n");
    expect(text, "office: up over TCP\n");
    expect(text, "@east at 198.51.100.10:4500");
    expect(text, "age 1 min 01 s, new keys in 1 h 00 min, 1 reconnect\n");
    expect(text, "10.1.0.0/24 <-> 10.2.0.0/24 on iketcp0");
    expect(text, "in 1.5 kB (1 packet), out 0 B (0 packets), 2 dropped: replayed\n");
    free(text);
}

static void a_table_and_a_mark_of_its_own_are_said_whether_it_is_up_or_not(void **state) {
    (void)state;
    char *text = printed("{\"version\":\"1\",\"listen\":[],\"connections\":[{\"name\":\"office\",\"state\":\"down\","
                         "\"transport\":null,\"tun\":\"ipsec5\",\"route_table\":100,\"mark_out\":\"0x5/0xff\","
                         "\"ike_sa\":null,\"child_sas\":[]},{\"name\":\"home\",\"state\":\"down\",\"tun\":\"ipsec6\","
                         "\"route_table\":101,\"mark_out\":null,\"mark_in\":\"0x6/0xff\",\"child_sas\":[]}]}");
    expect(text, "office: down\n    routes  in table 100 to ipsec5, for packets with mark 0x5/0xff\n");
    expect(
        text, "home: down\n    routes  in table 101 to ipsec6\n    marks   what comes out of ipsec6 with 0x6/0xff\n");
    free(text);
}

static void a_connection_that_is_down_is_one_line(void **state) {
    (void)state;
    char *text = printed("{\"version\":\"1\",\"listen\":[],\"connections\":[{\"name\":\"office\",\"state\":\"down\","
                         "\"transport\":null,\"ike_sa\":null,\"child_sas\":[]}]}");
    assert_string_equal(text, "iketcpd 1 listens nowhere\n\noffice: down\n");
    free(text);
}

static void what_is_missing_breaks_nothing(void **state) {
    (void)state;
    char *text = printed("{\"connections\":[{\"ike_sa\":{},\"child_sas\":[{}]}]}");
    expect(text, "-: -");
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_is_up_says_how_to_whom_and_for_what),
        cmocka_unit_test(a_connection_that_is_down_is_one_line),
        cmocka_unit_test(a_table_and_a_mark_of_its_own_are_said_whether_it_is_up_or_not),
        cmocka_unit_test(what_is_missing_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
