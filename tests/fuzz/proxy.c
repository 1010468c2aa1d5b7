/* proxy.c: what proxies answer: cut anywhere it means the same, what is said of it is printable, and what we say fits. The first
 * octet chooses the kind and whether we have a password, the second where it is cut. */
#include "transport/proxy.h"

#include <stdlib.h>
#include <string.h>

struct said {
    enum proxy_verdict verdict;
    size_t used, spoken;
    struct error err;
};

static struct said talk_in(uint8_t choice, const uint8_t *octets, size_t length, size_t step) {
    struct proxy_wanted wanted = {.kind = choice & 1 ? PROXY_HTTP : PROXY_SOCKS5, .host = "gate.example", .port = 443};
    struct said said = {.verdict = PROXY_MORE};
    struct proxy_talk talk;
    if (choice & 2) {
        memcpy(wanted.user, "me", 3);
        memcpy(wanted.password, "hush", 5);
    }
    if (!proxy_begin(&talk, &wanted, &said.err))
        abort();
    while (said.verdict == PROXY_MORE && said.used < length) {
        size_t part = step < length - said.used ? step : length - said.used, used = 0;
        said.verdict = proxy_take(&talk, octets + said.used, part, &used, &said.err);
        if (used > part || (said.verdict == PROXY_MORE && used != part) || talk.said > sizeof talk.say)
            abort();
        said.used += used;
    }
    said.spoken = talk.said;
    return said;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3)
        return 0;
    struct said whole = talk_in(data[0], data + 2, size - 2, size);
    struct said cut = talk_in(data[0], data + 2, size - 2, 1 + data[1]);
    if (whole.verdict != cut.verdict || whole.used != cut.used || whole.spoken != cut.spoken)
        abort();
    if (whole.verdict != PROXY_REFUSED)
        return 0;
    for (const char *at = whole.err.text; *at; at++)
        if (*at < 0x20 || *at >= 0x7f)
            abort();
    return 0;
}
