/* proxy.c: a talk with a proxy of either kind, octet by octet, so that no cut of the stream makes a difference. */
#include "transport/proxy.h"

bool proxy_begin(struct proxy_talk *talk, const struct proxy_wanted *wanted, struct error *err) {
    *talk = (struct proxy_talk){.wanted = *wanted};
    return wanted->kind == PROXY_HTTP ? http_begin(talk, err) : socks_begin(talk, err);
}

enum proxy_verdict proxy_take(
    struct proxy_talk *talk, const uint8_t *octets, size_t length, size_t *used, struct error *err) {
    struct reader r = reader_over(octets, length);
    enum proxy_verdict verdict = PROXY_MORE;
    uint8_t octet;
    while (verdict == PROXY_MORE && reader_u8(&r, &octet))
        verdict = talk->wanted.kind == PROXY_HTTP ? http_take(talk, octet, err) : socks_take(talk, octet, err);
    *used = length - r.left;
    return verdict;
}
