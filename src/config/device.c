/* device.c: a connection's own device: ipsec-interface=, leftinterface-ip=; and what is routed there: route-table=, mark=,
 * mark-in=, mark-out=. */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MOST UINT64_C(65535)

const char *config_device_name(uint32_t device, char out[CONFIG_DEVICE_NAME_MAX]) {
    snprintf(out, CONFIG_DEVICE_NAME_MAX, "ipsec%u", (unsigned)(device - 1));
    return out;
}

bool number_at(const char *text, uint64_t most, uint64_t *value, const char **rest) {
    char *end;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (!isxdigit((unsigned char)(hex ? text[2] : text[0])) || (!hex && !isdigit((unsigned char)text[0])))
        return false;
    if (strspn(text + (hex ? 2 : 0), "0123456789abcdefABCDEF") > 15)
        return false;
    *value = strtoull(text, &end, hex ? 16 : 10);
    *rest = end;
    return *value <= most;
}

static bool wrong(const struct reading *reading, const char *what) {
    complain(reading->diagnostics, reading->setting->value_place, "'%.60s' is not right: %s", reading->value, what);
    return false;
}

bool read_interface(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint32_t *device = at;
    uint64_t number;
    const char *rest;
    bool yes;
    (void)keyword;
    if (isdigit((unsigned char)reading->value[0])) {
        if (!number_at(reading->value, NUMBER_MOST, &number, &rest) || *rest)
            return wrong(reading, "write yes (for ipsec1), no, or a number up to 65535 (5 for ipsec5)");
        *device = (uint32_t)number + 1;
        return true;
    }
    if (!bool_parse(reading->value, &yes))
        return wrong(reading, "write yes (for ipsec1), no, or a number up to 65535 (5 for ipsec5)");
    *device = yes ? 2 : 0;
    return true;
}

bool read_interface_ip(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config_end *end = at;
    (void)keyword;
    if (!cidr_parse(reading->value, &end->interface_ip, &end->interface_bits) || address_is_any(&end->interface_ip))
        return wrong(reading, "write the device's own address and its network, such as 10.9.0.1/30");
    return true;
}

/* Linux names these; and iketcp takes some for all other routes. */
static bool is_taken_table(uint64_t table) {
    return table == 0 || (table >= 253 && table <= 255) || (table >= 52000 && table < 52500);
}

bool read_table(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t table;
    const char *rest;
    (void)keyword;
    if (!number_at(reading->value, UINT32_MAX, &table, &rest) || *rest || is_taken_table(table))
        return wrong(reading,
            "write the number of a routing table that is nobody else's, such as 100; not 253 to 255 (default, main, "
            "local) nor 52000 to 52499 (iketcp's)");
    *(uint32_t *)at = (uint32_t)table;
    return true;
}

const char *config_mark_text(const struct config_mark *mark, char out[CONFIG_MARK_TEXT_MAX]) {
    snprintf(out, CONFIG_MARK_TEXT_MAX, "%#x/%#x", mark->value, mark->mask);
    return out;
}

bool read_mark(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t value, mask = UINT32_MAX;
    const char *rest;
    (void)keyword;
    bool right = number_at(reading->value, UINT32_MAX, &value, &rest);
    if (right && *rest == '/')
        right = number_at(rest + 1, UINT32_MAX, &mask, &rest);
    if (!right || *rest)
        return wrong(reading, "write a mark, or a mark and its mask, such as 5 or 0x50/0xff");
    if (value == 0 || mask == 0)
        return wrong(reading, "packets without a mark would have it; write one that is not 0");
    if ((value & ~mask) != 0)
        return wrong(reading, "bits of the mark lie outside of its mask, so no packet could have it");
    *(struct config_mark *)at = (struct config_mark){.value = (uint32_t)value, .mask = (uint32_t)mask};
    return true;
}

static void check_others(struct builder *b, const struct setting *at) {
    const struct config_connection *c = b->connection;
    char name[CONFIG_DEVICE_NAME_MAX];
    if (strcmp(config_device_name(c->device, name), b->config->tun_name) == 0)
        complain(b->diagnostics, at->value_place, "conn %s: %s is the common device already (tun-name)", c->name, name);
    for (size_t i = 0; i < b->config->connections; i++)
        if (b->config->connection[i].device == c->device)
            complain(b->diagnostics, at->value_place,
                "conn %s: %s is conn %s's already, and a device is one connection's alone; write another number",
                c->name, name, b->config->connection[i].name);
}

static const struct setting *said(const struct builder *b, const char *name) {
    return chosen_by_name(&b->chosen, name, SIDE_LEFT);
}

/* What needs what. */
static void check_routing(struct builder *b) {
    struct config_connection *c = b->connection;
    const struct setting *table = said(b, "route-table"), *in = said(b, "mark-in");
    const struct setting *mark = said(b, "mark-out") ? said(b, "mark-out") : said(b, "mark");
    if (!in)
        c->mark_in = c->mark;
    if (!said(b, "mark-out"))
        c->mark_out = c->mark;
    if (table && c->device == 0)
        complain(b->diagnostics, table->value_place,
            "conn %s: route-table needs a device of its own to lead to; write ipsec-interface= too", c->name);
    if (in && c->device == 0)
        complain(b->diagnostics, in->value_place,
            "conn %s: mark-in is for what comes out of a device of its own; write ipsec-interface= too", c->name);
    if (!mark || c->mark_out.mask == 0)
        return;
    if (c->route_table == 0)
        complain(b->diagnostics, mark->value_place,
            "conn %s: %s needs a table in which packets with that mark are routed; write route-table= too", c->name,
            mark->keyword->name);
    for (size_t i = 0; i < b->config->connections; i++) {
        const struct config_connection *other = &b->config->connection[i];
        uint32_t common = c->mark_out.mask & other->mark_out.mask;
        if (common != 0 && (c->mark_out.value & common) == (other->mark_out.value & common) &&
            c->route_table != other->route_table)
            complain(b->diagnostics, mark->value_place,
                "conn %s: there are packets that have this mark and that of conn %s, whose table is another one",
                c->name, other->name);
    }
}

void check_device(struct builder *b) {
    const struct setting *device = chosen_by_name(&b->chosen, "ipsec-interface", SIDE_LEFT);
    for (int side = 0; side < 2; side++) {
        const struct setting *address = chosen_by_name(&b->chosen, "interface-ip", side);
        if (address && b->connection->device == 0)
            complain(b->diagnostics, address->value_place,
                "conn %s: interface-ip is the address of a device of its own; write ipsec-interface= too",
                b->connection->name);
    }
    if (b->connection->device != 0)
        check_others(b, device);
    check_routing(b);
}
