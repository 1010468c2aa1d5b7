/* proxy_http.c: CONNECT (RFC 9110, section 9.3.6) with basic authentication (RFC 7617). Of the answer the status counts, and
 * the words behind it for a person; headers are passed over. */
#include "transport/proxy.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void base64(const char *text, char *out) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i += 3) {
        uint32_t three = (uint32_t)(uint8_t)text[i] << 16;
        three |= i + 1 < length ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
        three |= i + 2 < length ? (uint32_t)(uint8_t)text[i + 2] : 0;
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = i + 1 < length ? digits[three >> 6 & 63] : '=';
        *out++ = i + 2 < length ? digits[three & 63] : '=';
    }
    *out = 0;
}

bool http_begin(struct proxy_talk *talk, struct error *err) {
    const struct proxy_wanted *wanted = &talk->wanted;
    const bool is_ipv6 = strchr(wanted->host, ':') != NULL;
    char target[sizeof wanted->host + 10], both[sizeof wanted->user + sizeof wanted->password + 1];
    char encoded[(sizeof both + 2) / 3 * 4 + 1], credentials[sizeof encoded + 40] = "";
    snprintf(target, sizeof target, is_ipv6 ? "[%s]:%u" : "%s:%u", wanted->host, wanted->port);
    if (wanted->user[0] != 0) {
        snprintf(both, sizeof both, "%s:%s", wanted->user, wanted->password);
        base64(both, encoded);
        snprintf(credentials, sizeof credentials, "Proxy-Authorization: Basic %s\r\n", encoded);
    }
    int length = snprintf(
        (char *)talk->say, sizeof talk->say, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", target, target, credentials);
    wipe(both, sizeof both);
    wipe(encoded, sizeof encoded);
    wipe(credentials, sizeof credentials);
    if (length < 0 || (size_t)length >= sizeof talk->say)
        return fail(err, CONFIG, 0, "the names for the HTTP proxy are too long");
    talk->said = (size_t)length;
    talk->in_first_line = talk->blank = true;
    return true;
}

/* "HTTP/1.x NNN words"; 0: it is none. *words is the status with what follows. */
static int status_of(const char *line, const char **words) {
    if (strncmp(line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line[7]) || line[8] != ' ')
        return 0;
    *words = line + 9 + strspn(line + 9, " ");
    int status = 0;
    for (int i = 0; i < 3; i++) {
        if (!isdigit((unsigned char)(*words)[i]))
            return 0;
        status = status * 10 + ((*words)[i] - '0');
    }
    return (*words)[3] == ' ' || (*words)[3] == 0 ? status : 0;
}

static enum proxy_verdict refused(const struct proxy_talk *talk, int status, const char *words, struct error *err) {
    if (status == 407 && talk->wanted.user[0] == 0)
        fail(err, PEER, 0, "wants a user and a password (%s)", words);
    else if (status == 407)
        fail(err, PEER, 0, "does not take the user '%.60s' with this password (%s)", talk->wanted.user, words);
    else
        fail(err, PEER, 0, "refused to connect to %.120s port %u: %s", talk->wanted.host, talk->wanted.port, words);
    return PROXY_REFUSED;
}

/* The blank line behind the headers came. */
static enum proxy_verdict judge(struct proxy_talk *talk, struct error *err) {
    const char *words = "";
    int status = status_of(talk->line, &words);
    if (status == 0) {
        fail(err, PEER, 0, "does not speak HTTP: its answer begins with '%.60s'", talk->line);
        return PROXY_REFUSED;
    }
    if (status >= 200)
        return status < 300 ? PROXY_OPEN : refused(talk, status, words, err);
    talk->line_length = 0; /* 1xx: another answer follows; all together are bounded */
    talk->line[0] = 0;
    talk->in_first_line = true;
    return PROXY_MORE;
}

/* What is no HTTP should not be waited for until it says a blank line. */
static bool cannot_be_http(const struct proxy_talk *talk) {
    static const char begin[] = "HTTP/1.";
    size_t length = talk->line_length < sizeof begin - 1 ? talk->line_length : sizeof begin - 1;
    return strncmp(talk->line, begin, length) != 0;
}

enum proxy_verdict http_take(struct proxy_talk *talk, uint8_t octet, struct error *err) {
    if (++talk->taken > PROXY_ANSWER_MAX) {
        fail(err, PEER, 0, "sends more than %zu octets of headers", PROXY_ANSWER_MAX);
        return PROXY_REFUSED;
    }
    if (octet == '\r')
        return PROXY_MORE;
    if (octet != '\n') {
        talk->blank = false;
        if (talk->in_first_line && talk->line_length < PROXY_LINE_MAX) {
            talk->line[talk->line_length++] = (char)(octet >= 0x20 && octet < 0x7f ? octet : '?'); /* for a terminal */
            talk->line[talk->line_length] = 0;
        }
        return talk->in_first_line && cannot_be_http(talk) ? judge(talk, err) : PROXY_MORE;
    }
    bool was_blank = talk->blank, was_first = talk->in_first_line;
    talk->blank = true;
    talk->in_first_line = talk->in_first_line && was_blank; /* blank lines before it are let pass */
    return was_blank && !was_first ? judge(talk, err) : PROXY_MORE;
}
