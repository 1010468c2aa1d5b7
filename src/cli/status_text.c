/* status_text.c: the status for people: one short paragraph per connection. */
#include "internal.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "-" : text;
}

static uint64_t number_of(const json_t *object, const char *key) {
    json_int_t number = json_integer_value(json_object_get(object, key));
    return number < 0 ? 0 : (uint64_t)number;
}

static const char *transport_name(const json_t *connection) {
    const char *transport = text_of(connection, "transport");
    return strcmp(transport, "udp") == 0   ? "UDP"
           : strcmp(transport, "tcp") == 0 ? "TCP"
           : strcmp(transport, "tls") == 0 ? "TLS"
                                           : "-";
}

static void print_list(FILE *out, const json_t *list) {
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
        fprintf(out, "%s%s", i == 0 ? "" : ", ", json_string_value(item) == NULL ? "?" : json_string_value(item));
    if (json_array_size(list) == 0)
        fputs("nothing", out);
}

/* "UDP 500 4500, TCP 443 4500": ports once, whatever the addresses. */
static void print_listen(FILE *out, const json_t *listen) {
    static const char *const protocols[][2] = {{"udp", "UDP"}, {"tcp", "TCP"}, {"tls", "TLS"}};
    bool any = false;
    for (size_t p = 0; p < sizeof protocols / sizeof protocols[0]; p++) {
        uint64_t seen[32];
        size_t count = 0, i;
        json_t *one;
        json_array_foreach((json_t *)(uintptr_t)listen, i, one) {
            uint64_t port = number_of(one, "port");
            size_t j = 0;
            while (j < count && seen[j] != port)
                j++;
            if (strcmp(text_of(one, "proto"), protocols[p][0]) != 0 || j < count || count == 32)
                continue;
            seen[count++] = port;
            if (count == 1)
                fprintf(out, "%s%s", any ? ", " : " listens on ", protocols[p][1]);
            fprintf(out, " %" PRIu64, port);
            any = true;
        }
    }
    fputs(any ? "\n" : " listens nowhere\n", out);
}

static void print_algorithms(FILE *out, const json_t *sa, bool prf) {
    fputs(text_of(sa, "encryption"), out);
    if (json_is_string(json_object_get(sa, "integrity")))
        fprintf(out, ", %s", text_of(sa, "integrity"));
    if (prf)
        fprintf(out, ", %s", text_of(sa, "prf"));
    if (json_is_string(json_object_get(sa, "key_exchange")))
        fprintf(out, ", %s", text_of(sa, "key_exchange"));
}

static void print_rekey(FILE *out, const json_t *ike) {
    char text[UNITS_TEXT_MAX];
    if (json_is_integer(json_object_get(ike, "rekey_in_s")))
        fprintf(out, ", new keys in %s", duration_text(number_of(ike, "rekey_in_s"), text));
}

static void print_ike(FILE *out, const json_t *ike) {
    char text[64];
    fprintf(out, "    us      %s at %s, %s\n", text_of(ike, "local_id"), text_of(ike, "local"), text_of(ike, "role"));
    fprintf(out, "    peer    %s at %s\n", text_of(ike, "remote_id"), text_of(ike, "remote"));
    fputs("    IKE SA  ", out);
    print_algorithms(out, ike, true);
    fprintf(out, "\n            age %s", duration_text(number_of(ike, "age_s"), text));
    print_rekey(out, ike);
    if (number_of(ike, "rekeys") > 0)
        fprintf(out, ", %s", count_text(number_of(ike, "rekeys"), "rekey", "rekeys", text, sizeof text));
    if (number_of(ike, "reconnects") > 0)
        fprintf(out, ", %s", count_text(number_of(ike, "reconnects"), "reconnect", "reconnects", text, sizeof text));
    fputc('\n', out);
}

static void print_traffic(FILE *out, const json_t *child) {
    static const char *const drops[][2] = {
        {"replay_drops", "replayed"}, {"auth_drops", "forged"}, {"policy_drops", "outside the selectors"}};
    char octets[UNITS_TEXT_MAX], packets[UNITS_TEXT_MAX];
    fprintf(out, "            in %s (%s)", octets_text(number_of(child, "bytes_in"), octets),
        count_text(number_of(child, "packets_in"), "packet", "packets", packets, sizeof packets));
    fprintf(out, ", out %s (%s)", octets_text(number_of(child, "bytes_out"), octets),
        count_text(number_of(child, "packets_out"), "packet", "packets", packets, sizeof packets));
    for (size_t i = 0; i < sizeof drops / sizeof drops[0]; i++)
        if (number_of(child, drops[i][0]) > 0)
            fprintf(out, ", %" PRIu64 " dropped: %s", number_of(child, drops[i][0]), drops[i][1]);
    fputc('\n', out);
}

/* Where not all packets between the addresses go. */
static void print_protoports(FILE *out, const json_t *child) {
    const json_t *local = json_object_get(child, "protoport_local"),
                 *remote = json_object_get(child, "protoport_remote");
    if (!json_is_array(local) && !json_is_array(remote))
        return;
    fputs(", only ", out);
    if (json_is_array(local))
        print_list(out, local);
    fputs(" <-> ", out);
    if (json_is_array(remote))
        print_list(out, remote);
}

static void print_child(FILE *out, const json_t *child) {
    char age[UNITS_TEXT_MAX];
    fputs("    Child   ", out);
    print_list(out, json_object_get(child, "ts_local"));
    fputs(" <-> ", out);
    print_list(out, json_object_get(child, "ts_remote"));
    fprintf(out, " on %s%s%s", text_of(child, "tun"),
        strcmp(text_of(child, "mode"), "transport") == 0 ? ", transport mode" : "",
        json_is_true(json_object_get(child, "aggfrag")) ? ", AGGFRAG" : "");
    print_protoports(out, child);
    fputs("\n            ", out);
    print_algorithms(out, child, false);
    fprintf(out, ", age %s, SPI in %s, out %s\n", duration_text(number_of(child, "age_s"), age),
        text_of(child, "spi_in"), text_of(child, "spi_out"));
    print_traffic(out, child);
}

/* Where they are others than those of all connections. */
static void print_routing(FILE *out, const json_t *connection) {
    const char *tun = text_of(connection, "tun");
    if (json_is_integer(json_object_get(connection, "route_table"))) {
        fprintf(out, "    routes  in table %" PRIu64 " to %s", number_of(connection, "route_table"), tun);
        if (json_is_string(json_object_get(connection, "mark_out")))
            fprintf(out, ", for packets with mark %s", text_of(connection, "mark_out"));
        fputc('\n', out);
    }
    if (json_is_string(json_object_get(connection, "mark_in")))
        fprintf(out, "    marks   what comes out of %s with %s\n", tun, text_of(connection, "mark_in"));
}

static void print_connection(FILE *out, const json_t *connection) {
    const char *state = text_of(connection, "state");
    fprintf(out, "%s: %s", text_of(connection, "name"), state);
    if (json_is_string(json_object_get(connection, "transport")) && strcmp(state, "down") != 0)
        fprintf(out, " over %s", transport_name(connection));
    fputc('\n', out);
    const json_t *ike = json_object_get(connection, "ike_sa");
    if (json_is_object(ike))
        print_ike(out, ike);
    print_routing(out, connection);
    size_t i;
    json_t *child;
    json_array_foreach(json_object_get(connection, "child_sas"), i, child) print_child(out, child);
}

void status_print(FILE *out, const json_t *status) {
    fprintf(out, "iketcpd %s", text_of(status, "version"));
    print_listen(out, json_object_get(status, "listen"));
    const json_t *connections = json_object_get(status, "connections");
    if (json_array_size(connections) == 0)
        fputs("\nno connections\n", out);
    size_t i;
    json_t *connection;
    json_array_foreach((json_t *)(uintptr_t)connections, i, connection) {
        fputc('\n', out);
        print_connection(out, connection);
    }
}
