/* proxy.c: talks with proxies, cut at every octet; refusals, garbage, too much of everything. Row T4. */
#include "support.h"

#include "transport/proxy.h"

#include <stdio.h>
#include <string.h>

static struct proxy_wanted wanted(enum proxy_kind kind, const char *user, const char *password, const char *host) {
    struct proxy_wanted w = {.kind = kind, .port = 443};
    snprintf(w.user, sizeof w.user, "%s", user);
    snprintf(w.password, sizeof w.password, "%s", password);
    snprintf(w.host, sizeof w.host, "%s", host);
    return w;
}

static struct proxy_talk begin(struct proxy_wanted w) {
    struct proxy_talk talk;
    struct error err;
    assert_true(proxy_begin(&talk, &w, &err));
    assert_true(talk.said > 0);
    return talk;
}

/* What it says next, and takes off. */
static void assert_says(struct proxy_talk *talk, const void *octets, size_t length) {
    assert_int_equal(talk->said, length);
    assert_memory_equal(talk->say, octets, length);
    talk->said = 0;
}

static enum proxy_verdict give(struct proxy_talk *talk, const void *octets, size_t length, struct error *err) {
    size_t used;
    enum proxy_verdict verdict = proxy_take(talk, octets, length, &used, err);
    if (verdict == PROXY_MORE)
        assert_int_equal(used, length);
    return verdict;
}

static void T4_connect_asks_as_RFC_9110_has_it(void **state) {
    (void)state;
    static const char plain[] = "CONNECT gate.example:443 HTTP/1.1\r\nHost: gate.example:443\r\n\r\n";
    struct proxy_talk talk = begin(wanted(PROXY_HTTP, "", "", "gate.example"));
    assert_says(&talk, plain, sizeof plain - 1);
    static const char ipv6[] = "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n";
    talk = begin(wanted(PROXY_HTTP, "", "", "2001:db8::1"));
    assert_says(&talk, ipv6, sizeof ipv6 - 1);
    static const char basic[] = "CONNECT g:443 HTTP/1.1\r\nHost: g:443\r\n"
                                "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"; /* RFC 7617's */
    talk = begin(wanted(PROXY_HTTP, "Aladdin", "open sesame", "g"));
    assert_says(&talk, basic, sizeof basic - 1);
    /* No padding, and one; the vectors of RFC 4648 shifted behind a user */
    talk = begin(wanted(PROXY_HTTP, "fo", "", "g"));
    assert_non_null(strstr((char *)talk.say, "Basic Zm86\r\n"));
    talk = begin(wanted(PROXY_HTTP, "foob", "", "g"));
    assert_non_null(strstr((char *)talk.say, "Basic Zm9vYjo=\r\n"));
}

static void T4_the_longest_names_fit(void **state) {
    (void)state;
    struct proxy_wanted w = {.kind = PROXY_HTTP, .port = 65535};
    memset(w.user, 'u', 255);
    memset(w.password, 'p', 255);
    memset(w.host, 'h', 255);
    struct proxy_talk talk = begin(w);
    assert_memory_equal(talk.say + talk.said - 4, "\r\n\r\n", 4);
    w.kind = PROXY_SOCKS5;
    struct error err;
    talk = begin(w);
    assert_says(&talk, "\5\2\0\2", 4);
    assert_int_equal(give(&talk, "\5\2", 2, &err), PROXY_MORE);
    assert_int_equal(talk.said, 1 + 1 + 255 + 1 + 255);
    talk.said = 0;
    assert_int_equal(give(&talk, "\1\0", 2, &err), PROXY_MORE);
    assert_int_equal(talk.said, 4 + 1 + 255 + 2);
}

/* A whole dialogue, our side's words passed over, in pieces of every size; returns the last verdict and sentence. */
static enum proxy_verdict every_cut(
    struct proxy_wanted w, const void *answer, size_t length, size_t behind, struct error *err) {
    const uint8_t *octets = answer;
    enum proxy_verdict verdict = PROXY_MORE;
    for (size_t piece = 1; piece <= length; piece++) {
        struct proxy_talk talk = begin(w);
        size_t at = 0, used = 0;
        verdict = PROXY_MORE;
        while (at < length && verdict == PROXY_MORE) {
            size_t part = length - at < piece ? length - at : piece;
            talk.said = 0;
            verdict = proxy_take(&talk, octets + at, part, &used, err);
            at += used;
        }
        if (verdict == PROXY_OPEN)
            assert_int_equal(at, length - behind); /* not an octet of the peer's is taken */
    }
    return verdict;
}

static void T4_consent_is_understood_however_it_is_cut(void **state) {
    (void)state;
    struct error err;
    static const char *const http[] = {
        "HTTP/1.1 200 Connection established\r\n\r\nPEER",
        "HTTP/1.0 200\r\n\r\nPEER",
        "HTTP/1.1 204 fine\r\nProxy-Agent: x\r\nVia: 1.1 y\r\n\r\nPEER",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nPEER",
        "HTTP/1.1 200 OK\nA: b\n\nPEER",
        "\r\nHTTP/1.1 200 OK\r\n\r\nPEER",
    };
    struct proxy_wanted w = wanted(PROXY_HTTP, "", "", "gate.example");
    for (size_t i = 0; i < sizeof http / sizeof http[0]; i++)
        assert_int_equal(every_cut(w, http[i], strlen(http[i]), 4, &err), PROXY_OPEN);
    w = wanted(PROXY_SOCKS5, "", "", "198.51.100.10");
    assert_int_equal(every_cut(w, "\5\0\5\0\0\1\1\2\3\4\5\6PEER", 12 + 4, 4, &err), PROXY_OPEN);
    assert_int_equal(
        every_cut(w, "\5\0\5\0\0\4\1\2\3\4\5\6\7\10\1\2\3\4\5\6\7\10\0\0PEER", 24 + 4, 4, &err), PROXY_OPEN);
    assert_int_equal(every_cut(w, "\5\0\5\0\0\3\2ab\5\6PEER", 11 + 4, 4, &err), PROXY_OPEN);
    assert_int_equal(every_cut(w, "\5\0\5\0\0\3\0\5\6PEER", 9 + 4, 4, &err), PROXY_OPEN);
    w = wanted(PROXY_SOCKS5, "me", "hush", "gate.example");
    assert_int_equal(every_cut(w, "\5\2\1\0\5\0\0\1\1\2\3\4\5\6PEER", 14 + 4, 4, &err), PROXY_OPEN);
    assert_int_equal(every_cut(w, "\5\0\5\0\0\1\1\2\3\4\5\6PEER", 12 + 4, 4, &err), PROXY_OPEN); /* needs no login */
}

static void T4_socks_asks_by_address_or_by_name(void **state) {
    (void)state;
    struct error err;
    static const struct {
        const char *host, *asks;
        size_t length;
    } rows[] = {
        {"198.51.100.10", "\5\1\0\1\306\63\144\12\1\273", 10},
        {"2001:db8::1", "\5\1\0\4\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\1\273", 22},
        {"gate.example", "\5\1\0\3\14gate.example\1\273", 19},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct proxy_talk talk = begin(wanted(PROXY_SOCKS5, "", "", rows[i].host));
        assert_says(&talk, "\5\1\0", 3);
        assert_int_equal(give(&talk, "\5\0", 2, &err), PROXY_MORE);
        assert_says(&talk, rows[i].asks, rows[i].length);
    }
    struct proxy_talk talk = begin(wanted(PROXY_SOCKS5, "me", "hush", "gate.example"));
    assert_says(&talk, "\5\2\0\2", 4);
    assert_int_equal(give(&talk, "\5\2", 2, &err), PROXY_MORE);
    assert_says(&talk, "\1\2me\4hush", 9);
}

static void T4_refusals_come_in_the_proxys_own_words(void **state) {
    (void)state;
    static const struct {
        enum proxy_kind kind;
        const char *user, *answer;
        size_t length; /* 0: a string's */
        const char *says;
    } rows[] = {
        {PROXY_HTTP, "", "HTTP/1.1 403 Filtered by rule 7\r\n\r\n", 0,
            "refused to connect to gate.example port 443: 403 Filtered by rule 7"},
        {PROXY_HTTP, "", "HTTP/1.0 502 Bad\tGateway\x1b[2J\r\nA: b\r\n\r\n", 0,
            "refused to connect to gate.example port 443: 502 Bad?Gateway?[2J"},
        {PROXY_HTTP, "", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", 0,
            "wants a user and a password (407 Proxy Authentication Required)"},
        {PROXY_HTTP, "me", "HTTP/1.1 407 No\r\n\r\n", 0, "does not take the user 'me' with this password (407 No)"},
        {PROXY_HTTP, "", "HTTP/1.1 301\r\n\r\n", 0, "refused to connect to gate.example port 443: 301"},
        {PROXY_HTTP, "", "SSH-2.0-x\r\n", 0, "does not speak HTTP: its answer begins with 'S'"},
        {PROXY_HTTP, "", "HTTP/2 200 OK\r\n\r\n", 0, "does not speak HTTP: its answer begins with 'HTTP/2'"},
        {PROXY_HTTP, "", "HTTP/1.1 2000 OK\r\n\r\n", 0,
            "does not speak HTTP: its answer begins with 'HTTP/1.1 2000 OK'"},
        {PROXY_HTTP, "", "HTTP/1.1\r\n\r\n", 0, "does not speak HTTP: its answer begins with 'HTTP/1.1'"},
        {PROXY_SOCKS5, "", "\5\377", 2, "wants a user and a password"},
        {PROXY_SOCKS5, "me", "\5\377", 2, "takes neither nobody nor a user with a password (method 0xff)"},
        {PROXY_SOCKS5, "", "\5\2", 2, "wants a user and a password"},
        {PROXY_SOCKS5, "me", "\5\2\1\1", 4, "does not take the user 'me' with this password (status 1)"},
        {PROXY_SOCKS5, "", "\4\0", 2, "does not speak SOCKS 5: its answer begins with octet 0x04"},
        {PROXY_SOCKS5, "", "HTTP", 4, "does not speak SOCKS 5: its answer begins with octet 0x48"},
        {PROXY_SOCKS5, "", "\5\0\5\5\0\1\0\0\0\0\0\0", 12,
            "refused to connect to gate.example port 443: connection refused"},
        {PROXY_SOCKS5, "", "\5\0\5\2", 4, "refused to connect to gate.example port 443: its rules do not allow it"},
        {PROXY_SOCKS5, "", "\5\0\5\143", 4, "refused to connect to gate.example port 443: code 99"},
        {PROXY_SOCKS5, "", "\5\0\5\0\0\11\0", 7, "refused to connect to gate.example port 443: code 0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error err = {0};
        size_t length = rows[i].length > 0 ? rows[i].length : strlen(rows[i].answer);
        struct proxy_wanted w = wanted(rows[i].kind, rows[i].user, "hush", "gate.example");
        assert_int_equal(every_cut(w, rows[i].answer, length, 0, &err), PROXY_REFUSED);
        assert_string_equal(err.text, rows[i].says);
        assert_null(strstr(err.text, "hush"));
    }
}

static void T4_every_answer_that_stops_early_waits_for_more(void **state) {
    (void)state;
    static const char http[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
    static const char socks[] = "\5\2\1\0\5\0\0\3\2ab\5\6";
    for (size_t length = 0; length < sizeof http - 1; length++) {
        struct error err;
        struct proxy_talk talk = begin(wanted(PROXY_HTTP, "", "", "g"));
        assert_int_equal(give(&talk, http, length, &err), PROXY_MORE);
    }
    for (size_t length = 0; length < sizeof socks - 1; length++) {
        struct error err;
        struct proxy_talk talk = begin(wanted(PROXY_SOCKS5, "me", "hush", "g"));
        assert_int_equal(give(&talk, socks, length, &err), PROXY_MORE);
    }
}

static void T4_headers_without_end_are_refused_in_time(void **state) {
    (void)state;
    struct error err;
    struct proxy_talk talk = begin(wanted(PROXY_HTTP, "", "", "g"));
    size_t taken = 0;
    char line[600];
    memset(line, 'a', sizeof line);
    assert_int_equal(give(&talk, "HTTP/1.1 200 ", 13, &err), PROXY_MORE);
    assert_int_equal(give(&talk, line, sizeof line, &err), PROXY_MORE); /* a long first line */
    assert_int_equal(give(&talk, "\r\n", 2, &err), PROXY_MORE);
    enum proxy_verdict verdict = PROXY_MORE;
    for (; verdict == PROXY_MORE && taken < 100000; taken += sizeof line)
        verdict = give(&talk, line, sizeof line, &err);
    assert_int_equal(verdict, PROXY_REFUSED);
    assert_string_equal(err.text, "sends more than 16384 octets of headers");
    assert_in_range(taken, 15000, 17500);
    /* Interim answers for ever are bounded by the same. */
    talk = begin(wanted(PROXY_HTTP, "", "", "g"));
    int rounds = 0;
    while ((verdict = give(&talk, "HTTP/1.1 100 x\r\n\r\n", 18, &err)) == PROXY_MORE)
        assert_in_range(++rounds, 1, 1000);
    assert_int_equal(verdict, PROXY_REFUSED);
}

static void T4_garbage_is_refused_or_waited_for_and_harms_nobody(void **state) {
    (void)state;
    uint64_t seed = 11;
    struct random_source random = random_seeded(&seed);
    static const char *const beginnings[] = {"", "HTTP/1.1 ", "HTTP/1.1 200 ", "\5", "\5\0", "\5\0\5\0\0\3", "\5\2"};
    static const size_t lengths[] = {0, 9, 13, 1, 2, 6, 2};
    for (int i = 0; i < 3000; i++) {
        uint8_t octets[600];
        size_t which = random_u32(&random) % 7, length = lengths[which] + random_u32(&random) % 500, used;
        random_fill(&random, octets, sizeof octets);
        memcpy(octets, beginnings[which], lengths[which]);
        struct error err = {0};
        struct proxy_talk talk =
            begin(wanted(i % 2 == 0 ? PROXY_HTTP : PROXY_SOCKS5, i % 3 == 0 ? "me" : "", "hush", "gate.example"));
        enum proxy_verdict verdict = proxy_take(&talk, octets, length, &used, &err);
        assert_true(used <= length);
        assert_true(verdict != PROXY_REFUSED || err.text[0] != 0);
    }
}

/* They reach a log and a terminal. */
static void words_of_a_proxy_are_letters_and_no_commands_to_a_terminal(void **state) {
    (void)state;
    struct error err;
    struct proxy_talk talk = begin(wanted(PROXY_HTTP, "", "", "g"));
    static const char answer[] = "HTTP/1.1 403 \033]0;owned\007 \x9b"
                                 "2J no\tway\x7f\r\n\r\n";
    assert_int_equal(give(&talk, answer, sizeof answer - 1, &err), PROXY_REFUSED);
    assert_non_null(strstr(err.text, "403 ?]0;owned? ?2J no?way?"));
    talk = begin(wanted(PROXY_HTTP, "", "", "g"));
    assert_int_equal(give(&talk, "\033[2J", 4, &err), PROXY_REFUSED);
    assert_null(strchr(err.text, '\033'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_proxy_are_letters_and_no_commands_to_a_terminal),
        cmocka_unit_test(T4_connect_asks_as_RFC_9110_has_it),
        cmocka_unit_test(T4_the_longest_names_fit),
        cmocka_unit_test(T4_consent_is_understood_however_it_is_cut),
        cmocka_unit_test(T4_socks_asks_by_address_or_by_name),
        cmocka_unit_test(T4_refusals_come_in_the_proxys_own_words),
        cmocka_unit_test(T4_every_answer_that_stops_early_waits_for_more),
        cmocka_unit_test(T4_headers_without_end_are_refused_in_time),
        cmocka_unit_test(T4_garbage_is_refused_or_waited_for_and_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
