/* tls.c: readers of what a stream needs besides a port: files in PEM form, names for TLS, a web server behind our port, a
 * proxy in front of theirs. Whether a certificate is one is for who uses it. */
#include "config/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool wrong(const struct reading *reading, const char *what) {
    complain(reading->diagnostics, reading->setting->value_place, "'%.60s' is not right: %s", reading->value, what);
    return false;
}

bool read_tls_ports(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config *config = at;
    (void)keyword;
    return ports_parse(reading, config->listen_tls, &config->listen_tlss, 443);
}

bool read_pem(const struct reading *reading, const struct keyword *keyword, void *at) {
    const struct source_file *named = reading->setting->named;
    const char *path = named ? named->path : reading->value;
    if (path[0] == '\0' || strlen(path) >= keyword->size)
        return wrong(reading, "write the name of a file, of 255 octets at most");
    if (named && !named->text) {
        complain(reading->diagnostics, reading->setting->value_place, "%s", named->problem);
        return false;
    }
    snprintf(at, keyword->size, "%s", path);
    return true;
}

bool read_private_pem(const struct reading *reading, const struct keyword *keyword, void *at) {
    return read_pem(reading, keyword, at);
}

static bool is_host(const char *text) {
    struct address numeric;
    struct error err;
    return address_parse(text, &numeric, &err) || is_host_name(text);
}

/* "host:port" or "[address]:port". */
static bool host_and_port(struct piece text, char host[256], uint16_t *port) {
    const char *colon = memrchr(text.at, ':', text.length), *begin = text.at;
    if (!colon)
        return false;
    size_t length = (size_t)(colon - begin), digits = text.length - length - 1;
    if (length >= 2 && begin[0] == '[' && begin[length - 1] == ']') {
        begin++;
        length -= 2;
    } else if (memchr(begin, ':', length)) {
        return false; /* an IPv6 address without brackets: which colon is the port's? */
    }
    if (length == 0 || length > 255 || digits == 0 || digits > 5)
        return false;
    char number[6] = "";
    memcpy(number, colon + 1, digits);
    for (size_t i = 0; i < digits; i++)
        if (!isdigit((unsigned char)number[i]))
            return false;
    unsigned long value = strtoul(number, NULL, 10);
    memcpy(host, begin, length);
    host[length] = '\0';
    *port = (uint16_t)value;
    return value > 0 && value <= 65535 && is_host(host);
}

bool read_web(const struct reading *reading, const struct keyword *keyword, void *at) {
    struct config *config = at;
    (void)keyword;
    config->web_host[0] = '\0';
    config->web_port = 0;
    if (strcasecmp(reading->value, "no") == 0)
        return true;
    return host_and_port((struct piece){reading->value, strlen(reading->value)}, config->web_host, &config->web_port) ||
           wrong(reading, "write host:port of a web server, such as 127.0.0.1:8080, or no");
}

bool read_server_name(const struct reading *reading, const struct keyword *keyword, void *at) {
    if (strlen(reading->value) >= keyword->size || !is_host(reading->value))
        return wrong(reading, "write a host name, such as www.example.org, or an address");
    snprintf(at, keyword->size, "%s", reading->value);
    return true;
}

bool read_alpn(const struct reading *reading, const struct keyword *keyword, void *at) {
    size_t length = strlen(reading->value);
    bool graphic = true;
    for (size_t i = 0; i < length; i++)
        graphic &= isgraph((unsigned char)reading->value[i]) != 0;
    if (length == 0 || length >= keyword->size || !graphic)
        return wrong(reading, "write names of protocols with commas between them, such as http/1.1");
    snprintf(at, keyword->size, "%s", reading->value);
    return true;
}

/* What a proxy's URL says may be a password: no sentence repeats it. */
static bool no_proxy(const struct reading *reading, const char *what) {
    complain(reading->diagnostics, reading->setting->value_place,
        "%s; write http://host:port, "
        "socks5://host:port, with user:password@ before the host, or no",
        what);
    return false;
}

static int hex_digit(char c) {
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* A part of a URL with its %41 undone. */
static bool undo_percent(struct piece part, char out[256]) {
    size_t used = 0;
    for (size_t i = 0; i < part.length && used < 255; i++) {
        char c = part.at[i];
        if (c == '%') {
            int high = i + 2 < part.length ? hex_digit(part.at[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(part.at[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (iscntrl((unsigned char)c))
            return false;
        out[used++] = c;
        if (used == 255 && i + 1 < part.length)
            return false;
    }
    out[used] = '\0';
    return true;
}

static bool take_user(struct piece part, struct config_proxy *proxy) {
    const char *colon = memchr(part.at, ':', part.length);
    struct piece user = {part.at, colon ? (size_t)(colon - part.at) : part.length};
    struct piece password = {colon ? colon + 1 : "", colon ? part.length - user.length - 1 : 0};
    return user.length > 0 && undo_percent(user, proxy->user) && undo_percent(password, proxy->password) &&
           !strchr(proxy->user, ':');
}

bool read_proxy(const struct reading *reading, const struct keyword *keyword, void *at) {
    static const struct {
        const char *scheme;
        enum config_proxy_kind kind;
    } schemes[] = {
        {"http://", CONFIG_PROXY_HTTP}, {"socks5://", CONFIG_PROXY_SOCKS5}, {"socks5h://", CONFIG_PROXY_SOCKS5}};
    struct config_proxy *proxy = at;
    const char *rest = NULL;
    (void)keyword;
    *proxy = (struct config_proxy){.kind = CONFIG_PROXY_NONE};
    if (strcasecmp(reading->value, "no") == 0)
        return true;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (strncasecmp(reading->value, schemes[i].scheme, strlen(schemes[i].scheme)) == 0) {
            proxy->kind = schemes[i].kind;
            rest = reading->value + strlen(schemes[i].scheme);
        }
    if (!rest)
        return no_proxy(reading, "this is no proxy of a kind that is done");
    const char *sign = strrchr(rest, '@');
    if (sign && !take_user((struct piece){rest, (size_t)(sign - rest)}, proxy))
        return no_proxy(reading, "the user or the password can't be read");
    rest = sign ? sign + 1 : rest;
    size_t length = strlen(rest);
    if (length > 0 && rest[length - 1] == '/')
        length--;
    return host_and_port((struct piece){rest, length}, proxy->host, &proxy->port) ||
           no_proxy(reading, "the proxy's host or port can't be read");
}
