/* words.c: what a path says to people: who did not answer, how often, in what time. */
#include "path/internal.h"

#include <inttypes.h>
#include <stdio.h>

const char *transport_text(enum transport transport) {
    switch (transport) {
    case TRANSPORT_UDP:
        return "udp";
    case TRANSPORT_TCP:
        return "tcp";
    case TRANSPORT_TLS:
        return "tls";
    case TRANSPORT_NONE:
        break;
    }
    return "none";
}

static const char *transport_word(enum transport transport) {
    switch (transport) {
    case TRANSPORT_UDP:
        return "UDP";
    case TRANSPORT_TCP:
        return "TCP";
    case TRANSPORT_TLS:
        return "TLS";
    case TRANSPORT_NONE:
        break;
    }
    return "nothing";
}

const char *path_seconds_text(uint64_t ms, char *out) {
    uint64_t tenths = (ms + 50) / 100;
    if (tenths % 10 == 0)
        snprintf(out, PATH_WORDS_MAX, "%" PRIu64 " s", tenths / 10);
    else
        snprintf(out, PATH_WORDS_MAX, "%" PRIu64 ".%" PRIu64 " s", tenths / 10, tenths % 10);
    return out;
}

static const char *where_text(const struct path *path, uint16_t port, char *out) {
    struct address remote = path->target[path->current].remote;
    char text[ADDRESS_TEXT_MAX];
    remote.port = port;
    if (address_is_any(&remote)) /* a proxy knows whom */
        snprintf(out, PATH_WORDS_MAX, "%s port %u", transport_word(path->transport), port);
    else
        snprintf(out, PATH_WORDS_MAX, "%s %s", transport_word(path->transport), address_port_text(&remote, text));
    return out;
}

const char *path_where_text(const struct path *path, char *out) {
    return where_text(path, path_port(path), out);
}

/* Why the present try is given up, when nothing but the time says so. */
void path_say_silence(const struct path *path, uint64_t now, struct error *why) {
    char where[PATH_WORDS_MAX], time[PATH_WORDS_MAX];
    path_where_text(path, where);
    if (path->transport != TRANSPORT_UDP) {
        path_seconds_text(now - path->tried_at, time);
        if (path->connected)
            (void)fail(why, PEER, 0, "%s took the connection but did not answer in %s", where, time);
        else
            (void)fail(why, PEER, 0, "%s did not take the connection in %s", where, time);
        return;
    }
    if (path->doubt.origin != ORIGIN_NONE) {
        *why = path->doubt;
        (void)fail_context(why, "%s: ", where);
        return;
    }
    path_seconds_text(now - (path->first_sent_at == NEVER ? path->tried_at : path->first_sent_at), time);
    if (path->answered) /* from IKE_AUTH on over the other port */
        where_text(path, path->config->udp_nat_port, where);
    (void)fail(why, PEER, 0, "%s did not answer %s%" PRIu32 " time%s in %s", where,
        path->answered && !path->established ? "IKE_AUTH " : "", path->sends, path->sends == 1 ? "" : "s", time);
}

/* The whole attempt failed: what UDP met, what TCP met and what TLS met, each in its own words. */
void path_say_end(const struct path *path, uint64_t now, struct error *why) {
    char time[PATH_WORDS_MAX];
    if (path->targets == 0 || path->transports == 0) {
        (void)fail(why, HOST, 0, "there is no address to try");
        return;
    }
    if (path->answered) {
        char where[PATH_WORDS_MAX];
        (void)fail(why, PEER, 0, "%s answered, but IKE_AUTH was not finished in %s", path_where_text(path, where),
            path_seconds_text(now - path->began_at, time));
        return;
    }
    *why = path->last;
    size_t others = 0;
    for (size_t i = TRANSPORT_UDP; i <= TRANSPORT_TLS; i++)
        others += i != path->transport && path->last_over[i].origin != ORIGIN_NONE;
    int most = others > 1 ? 100 : 150; /* of a sentence's letters: all together have room in one */
    for (size_t i = TRANSPORT_TLS; i >= TRANSPORT_UDP; i--)
        if (i != path->transport && path->last_over[i].origin != ORIGIN_NONE)
            (void)fail_context(why, "%.*s; ", most, path->last_over[i].text);
}
