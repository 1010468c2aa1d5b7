/* proxy_socks.c: SOCKS 5 (RFC 1928), with a user and a password (RFC 1929) where they are known: a greeting, a login, a
 * request; each has one answer. */
#include "transport/proxy.h"

#include <string.h>

#define SOCKS_VERSION 5
#define LOGIN_VERSION 1
#define COMMAND_CONNECT 1
enum { METHOD_NONE = 0, METHOD_LOGIN = 2, METHOD_REFUSED = 0xff };
enum { ADDRESS_IPV4 = 1, ADDRESS_NAME = 3, ADDRESS_IPV6 = 4 };
enum state { GREETED, LOGGING_IN, ASKED };

static bool begin_saying(struct proxy_talk *talk, const struct writer *w, enum state state) {
    talk->said = w->length;
    talk->state = state;
    talk->taken = 0;
    return writer_ok(w);
}

bool socks_begin(struct proxy_talk *talk, struct error *err) {
    bool login = talk->wanted.user[0] != 0;
    struct writer w = writer_over(talk->say, sizeof talk->say);
    writer_u8(&w, SOCKS_VERSION);
    writer_u8(&w, login ? 2 : 1);
    writer_u8(&w, METHOD_NONE);
    if (login)
        writer_u8(&w, METHOD_LOGIN);
    return begin_saying(talk, &w, GREETED) || fail(err, OURS, 0, "the greeting does not fit");
}

static void write_text(struct writer *w, const char *text) {
    writer_u8(w, (uint8_t)strlen(text));
    writer_octets(w, text, strlen(text));
}

static enum proxy_verdict log_in(struct proxy_talk *talk) {
    struct writer w = writer_over(talk->say, sizeof talk->say);
    writer_u8(&w, LOGIN_VERSION);
    write_text(&w, talk->wanted.user);
    write_text(&w, talk->wanted.password);
    (void)begin_saying(talk, &w, LOGGING_IN); /* both have 255 octets at most */
    return PROXY_MORE;
}

static enum proxy_verdict ask(struct proxy_talk *talk) {
    struct address numeric;
    struct error not_numeric;
    struct writer w = writer_over(talk->say, sizeof talk->say);
    writer_u8(&w, SOCKS_VERSION);
    writer_u8(&w, COMMAND_CONNECT);
    writer_u8(&w, 0);
    if (address_parse(talk->wanted.host, &numeric, &not_numeric)) {
        writer_u8(&w, numeric.family == 4 ? ADDRESS_IPV4 : ADDRESS_IPV6);
        writer_octets(&w, numeric.octets, address_octets(&numeric));
    } else {
        writer_u8(&w, ADDRESS_NAME);
        write_text(&w, talk->wanted.host);
    }
    writer_u16(&w, talk->wanted.port);
    (void)begin_saying(talk, &w, ASKED);
    return PROXY_MORE;
}

/* How long the present answer is, as far as its octets tell; 0: not yet known. */
static size_t answer_length(const struct proxy_talk *talk) {
    if (talk->state != ASKED)
        return 2;
    if (talk->taken < 5)
        return 0;
    switch (talk->answer[3]) {
    case ADDRESS_IPV4:
        return 4 + 4 + 2;
    case ADDRESS_IPV6:
        return 4 + 16 + 2;
    case ADDRESS_NAME:
        return (size_t)4 + 1 + talk->answer[4] + 2;
    default:
        return 4; /* nobody knows where it ends: judged as it is */
    }
}

static enum proxy_verdict no_socks(struct error *err, unsigned octet) {
    fail(err, PEER, 0, "does not speak SOCKS 5: its answer begins with octet 0x%02x", octet);
    return PROXY_REFUSED;
}

static enum proxy_verdict judge_method(struct proxy_talk *talk, struct error *err) {
    uint8_t method = talk->answer[1];
    if (talk->answer[0] != SOCKS_VERSION)
        return no_socks(err, talk->answer[0]);
    if (method == METHOD_NONE)
        return ask(talk);
    if (method == METHOD_LOGIN && talk->wanted.user[0] != 0)
        return log_in(talk);
    if (talk->wanted.user[0] == 0)
        fail(err, PEER, 0, "wants a user and a password");
    else
        fail(err, PEER, 0, "takes neither nobody nor a user with a password (method 0x%02x)", method);
    return PROXY_REFUSED;
}

static enum proxy_verdict judge_login(struct proxy_talk *talk, struct error *err) {
    if (talk->answer[1] == 0)
        return ask(talk);
    fail(err, PEER, 0, "does not take the user '%.60s' with this password (status %u)", talk->wanted.user,
        talk->answer[1]);
    return PROXY_REFUSED;
}

static enum proxy_verdict judge_reply(const struct proxy_talk *talk, struct error *err) {
    static const char *const words[] = {"", "general failure", "its rules do not allow it", "network unreachable",
        "host unreachable", "connection refused", "TTL expired", "it does not know CONNECT",
        "it does not know this kind of address"};
    uint8_t code = talk->answer[1];
    if (talk->answer[0] != SOCKS_VERSION)
        return no_socks(err, talk->answer[0]);
    if (code == 0 && answer_length(talk) > 4)
        return PROXY_OPEN;
    if (code < sizeof words / sizeof words[0] && code > 0)
        fail(err, PEER, 0, "refused to connect to %.120s port %u: %s", talk->wanted.host, talk->wanted.port,
            words[code]);
    else
        fail(err, PEER, 0, "refused to connect to %.120s port %u: code %u", talk->wanted.host, talk->wanted.port, code);
    return PROXY_REFUSED;
}

enum proxy_verdict socks_take(struct proxy_talk *talk, uint8_t octet, struct error *err) {
    talk->answer[talk->taken++] = octet; /* judged before it is full: answer_length() is at most its size */
    if (talk->taken == 1 && octet != SOCKS_VERSION && talk->state != LOGGING_IN)
        return no_socks(err, octet);
    if (talk->state == ASKED && talk->taken == 2 && octet != 0) /* some say no more than that */
        return judge_reply(talk, err);
    size_t length = answer_length(talk);
    if (length == 0 || talk->taken < length)
        return PROXY_MORE;
    switch ((enum state)talk->state) {
    case GREETED:
        return judge_method(talk, err);
    case LOGGING_IN:
        return judge_login(talk, err);
    case ASKED:
        break;
    }
    return judge_reply(talk, err);
}
