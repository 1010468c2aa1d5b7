/* values.c: readers of plain values: yes and no, choices, times, numbers, percents, ports. Each complains for itself. */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

struct place place_in(const struct setting *setting, size_t offset) {
    struct place place = setting->value_place;
    place.column += (int)offset;
    return place;
}

bool piece_next(const char *text, size_t *at, const char *separators, struct piece *out) {
    if (*at > strlen(text))
        return false;
    const char *start = text + *at;
    size_t length = strcspn(start, separators);
    *at += length + 1;
    while (length && isspace((unsigned char)*start)) {
        start++;
        length--;
    }
    while (length && isspace((unsigned char)start[length - 1]))
        length--;
    *out = (struct piece){start, length};
    return true;
}

static bool wrong(const struct reading *reading, const char *what) {
    complain(reading->diagnostics, reading->setting->value_place, "'%.60s' is not right: %s", reading->value, what);
    return false;
}

bool bool_parse(const char *text, bool *out) {
    static const struct {
        const char *name;
        bool value;
    } names[] = {{"yes", true}, {"y", true}, {"true", true}, {"on", true}, {"no", false}, {"n", false},
        {"false", false}, {"off", false}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcasecmp(text, names[i].name) == 0) {
            *out = names[i].value;
            return true;
        }
    return false;
}

bool read_bool(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)keyword;
    return bool_parse(reading->value, at) || wrong(reading, "write yes or no");
}

bool read_tcponly(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)at; /* it is enable-tcp in other words: connection.c */
    bool yes;
    return read_bool(reading, keyword, &yes);
}

static const struct choice *find_choice(const struct reading *reading, const struct keyword *keyword) {
    const struct choice *choice = keyword->choice;
    while (choice->name && strcasecmp(choice->name, reading->value) != 0)
        choice++;
    if (choice->name && choice->value >= 0) {
        if (choice->why)
            warn_at(reading->diagnostics, reading->setting->value_place, "%s", choice->why);
        return choice;
    }
    if (choice->name) {
        complain(
            reading->diagnostics, reading->setting->value_place, "'%s' is not possible: %s", choice->name, choice->why);
        return NULL;
    }
    char names[160] = "";
    size_t used = 0;
    for (choice = keyword->choice; choice->name && used < sizeof names; choice++)
        if (choice->value >= 0)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? ", " : "", choice->name);
    complain(reading->diagnostics, reading->setting->value_place, "'%.60s' is not right: write one of %s",
        reading->value, names);
    return NULL;
}

bool read_choice(const struct reading *reading, const struct keyword *keyword, void *at) {
    const struct choice *choice = find_choice(reading, keyword);
    if (!choice)
        return false;
    if (keyword->size == sizeof(bool))
        *(bool *)at = choice->value != 0;
    else
        *(int *)at = choice->value;
    return true;
}

bool read_check(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)at;
    return find_choice(reading, keyword) != NULL;
}

/* Digits only; false when there are none or too many. *rest is what follows. */
static bool number_parse(const char *text, uint64_t *out, const char **rest) {
    *out = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at); at++) {
        if (*out > UINT64_MAX / 100000000000 / 10)
            return false;
        *out = *out * 10 + (uint64_t)(*at - '0');
    }
    *rest = at;
    return at != text;
}

/* Into milliseconds; `unit_ms` is for numbers that name no unit. */
static bool time_parse(const char *text, uint64_t unit_ms, uint64_t *out) {
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000}};
    const char *unit;
    if (!number_parse(text, out, &unit))
        return false;
    for (size_t i = 0; *unit && i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(unit, units[i].name) == 0) {
            *out *= units[i].ms;
            return true;
        }
    *out *= unit_ms;
    return *unit == '\0';
}

static bool in_range(const struct reading *reading, const struct keyword *keyword, uint64_t value, const char *unit) {
    if (value >= keyword->least && value <= keyword->most)
        return true;
    complain(reading->diagnostics, reading->setting->value_place, "'%.60s' is out of range: %llu%s to %llu%s",
        reading->value, (unsigned long long)keyword->least, unit, (unsigned long long)keyword->most, unit);
    return false;
}

/* Times that are kept in seconds may be given in milliseconds: rounded up, so that 1ms is not never. */
bool read_seconds(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t ms;
    if (!time_parse(reading->value, 1000, &ms))
        return wrong(reading, "write a number and s, m, h, d or w, such as 30s or 8h; without a letter it is seconds");
    uint64_t seconds = ms / 1000 + (ms % 1000 != 0);
    if (!in_range(reading, keyword, seconds, "s"))
        return false;
    *(uint64_t *)at = seconds;
    return true;
}

/* Seconds without a unit, kept in milliseconds. */
bool read_timeout(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t seconds;
    if (!read_seconds(reading, keyword, &seconds))
        return false;
    return time_parse(reading->value, 1000, at);
}

bool read_milliseconds(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t ms;
    if (!time_parse(reading->value, 1, &ms))
        return wrong(reading, "write a number and ms or s, such as 500ms; without letters it is milliseconds");
    if (!in_range(reading, keyword, ms, "ms"))
        return false;
    *(uint64_t *)at = ms;
    return true;
}

bool read_percent(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t percent;
    const char *rest;
    if (!number_parse(reading->value, &percent, &rest) || strcmp(rest, "%") != 0)
        return wrong(reading, "write a whole number and a percent sign, such as 100%");
    if (!in_range(reading, keyword, percent, "%"))
        return false;
    *(uint32_t *)at = (uint32_t)percent;
    return true;
}

static bool read_number(const struct reading *reading, const struct keyword *keyword, uint64_t *out) {
    const char *rest;
    if (!number_parse(reading->value, out, &rest) || *rest)
        return wrong(reading, "write a whole number");
    return in_range(reading, keyword, *out, "");
}

bool read_u16(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t value;
    if (!read_number(reading, keyword, &value))
        return false;
    *(uint16_t *)at = (uint16_t)value;
    return true;
}

bool read_u32(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t value;
    if (!read_number(reading, keyword, &value))
        return false;
    *(uint32_t *)at = (uint32_t)value;
    return true;
}

bool read_tries(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t value = 0;
    const char *rest;
    (void)keyword;
    if (strcasecmp(reading->value, "%forever") != 0 &&
        (!number_parse(reading->value, &value, &rest) || *rest || value > 1000000))
        return wrong(reading, "write a whole number of tries, or 0 or %forever for no end");
    *(uint32_t *)at = (uint32_t)value;
    return true;
}

bool read_replay_window(const struct reading *reading, const struct keyword *keyword, void *at) {
    uint64_t value;
    const char *rest;
    (void)keyword;
    if (!number_parse(reading->value, &value, &rest) || *rest || value > 4096)
        return wrong(reading, "write a number of packets from 64 to 4096");
    if (value == 0)
        return wrong(reading, "replayed packets would be let in; write a number of packets from 64 to 4096");
    if (value < 64)
        warn_at(reading->diagnostics, reading->setting->value_place, "the smallest window is 64 packets: taken as 64");
    *(uint32_t *)at = value < 64 ? 64 : (uint32_t)value;
    return true;
}

bool read_esn(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config_connection *connection = at;
    (void)keyword;
    bool either = strcasecmp(reading->value, "either") == 0, yes = either;
    if (!either && !bool_parse(reading->value, &yes))
        return wrong(reading, "write yes, no or either");
    connection->esn_yes = yes;
    connection->esn_no = either || !yes;
    return true;
}

static bool has_port(const uint16_t *list, size_t count, uint16_t port) {
    for (size_t i = 0; i < count; i++)
        if (list[i] == port)
            return true;
    return false;
}

bool ports_parse(const struct reading *reading, uint16_t list[CONFIG_PORTS_MAX], size_t *count, uint16_t standard) {
    char right[80];
    snprintf(right, sizeof right, "write yes (port %u), no, or ports such as 443,4500", standard);
    *count = 0;
    bool yes;
    if (bool_parse(reading->value, &yes)) {
        list[0] = standard;
        *count = yes;
        return true;
    }
    size_t offset = 0;
    struct piece piece;
    while (piece_next(reading->value, &offset, ", \t", &piece)) {
        char text[8] = "";
        uint64_t port = 0;
        const char *rest = "";
        if (piece.length == 0)
            continue;
        if (piece.length < sizeof text)
            memcpy(text, piece.at, piece.length);
        if (!number_parse(text, &port, &rest) || *rest || port == 0 || port > 65535)
            return wrong(reading, right);
        if (has_port(list, *count, (uint16_t)port))
            continue;
        if (*count == CONFIG_PORTS_MAX)
            return wrong(reading, "at most 8 ports");
        list[(*count)++] = (uint16_t)port;
    }
    return *count > 0 || wrong(reading, right);
}

bool read_ports(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config *config = at;
    (void)keyword;
    return ports_parse(reading, config->listen_tcp, &config->listen_tcps, 4500);
}

/* Nothing else in a configuration gives keys away, so that every look at it says so. */
bool read_keylog(const struct reading *reading, const struct keyword *keyword, void *at) {
    char *path = at;
    path[0] = '\0';
    if (strcasecmp(reading->value, "no") == 0)
        return true;
    if (reading->value[0] != '/' || strlen(reading->value) >= keyword->size) {
        complain(reading->diagnostics, reading->setting->value_place,
            "'%.60s' is no directory for keys: write an absolute path of at most %zu octets, or no", reading->value,
            keyword->size - 1);
        return false;
    }
    snprintf(path, keyword->size, "%s", reading->value);
    warn_at(reading->diagnostics, reading->setting->value_place,
        "the keys of all SAs are written to %s: whoever reads them reads the traffic", path);
    return true;
}

/* A name as the kernel takes it, with all octets behind it 0. */
static bool read_kernel_name(const struct reading *reading, const struct keyword *keyword, void *at, const char *what) {
    size_t length = strlen(reading->value);
    if (length == 0 || length >= keyword->size || reading->value[0] == '.')
        return wrong(reading, what);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)reading->value[i]) && !strchr("-_.", reading->value[i]))
            return wrong(reading, what);
    memset(at, 0, keyword->size);
    memcpy(at, reading->value, length);
    return true;
}

bool read_tun_name(const struct reading *reading, const struct keyword *keyword, void *at) {
    return read_kernel_name(
        reading, keyword, at, "the name of a network device has 1 to 15 letters, digits, '-', '_' or '.'");
}

bool read_congestion(const struct reading *reading, const struct keyword *keyword, void *at) {
    return read_kernel_name(reading, keyword, at,
        "the name of a congestion control has 1 to 15 letters, digits, '-', '_' or '.', such as cubic or bbr");
}

bool read_also(const struct reading *reading, const struct keyword *keyword, void *at) {
    (void)keyword;
    (void)at; /* also.c follows it */
    return reading->value[strspn(reading->value, " \t")] != '\0' || wrong(reading, "write the name of a conn");
}

bool read_authby(const struct reading *reading, const struct keyword *keyword, void *at) {
    static const char *const others[] = {"rsasig", "rsa", "rsa-sha1", "rsa-sha2", "rsa-sha2_256", "rsa-sha2_384",
        "rsa-sha2_512", "ecdsa", "ecdsa-sha2", "ecdsa-sha2_256", "ecdsa-sha2_384", "ecdsa-sha2_512", "null", "never",
        "pubkey", "cert"};
    (void)keyword;
    (void)at;
    bool secret = false, known = true;
    size_t offset = 0, count = 0;
    struct piece piece;
    while (piece_next(reading->value, &offset, ", \t|", &piece)) {
        bool other = false;
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            other |= piece_is(piece, others[i]);
        bool this_one = piece_is(piece, "secret") || piece_is(piece, "psk");
        secret |= this_one;
        known &= other || this_one || piece.length == 0;
        count += piece.length != 0;
    }
    if (!known)
        return wrong(reading, "write secret");
    if (!secret)
        return wrong(reading, "pre-shared keys are all that iketcp can check yet; write secret");
    if (count > 1)
        warn_at(reading->diagnostics, reading->setting->value_place,
            "only secret is done yet; the other ways are not accepted");
    return true;
}
