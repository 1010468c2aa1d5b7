/* names.c: answers of name servers, and where gateways redirect us: shortened answers stay answers, and a gateway's name reads the
 * same again. */
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

static void answer(const uint8_t *data, size_t size, size_t most) {
    uint8_t *message = malloc(size + 1);
    uint16_t id, same;
    bool truncated;
    if (!message)
        return;
    memcpy(message, data, size);
    bool is_answer = dns_is_answer(span_of(message, size), &id, &truncated);
    if (is_answer && dns_is_question(span_of(message, size), &same))
        abort();
    size_t left = dns_shorten(message, size, most);
    if (left > size || left > most)
        abort();
    if (left > 0 && is_answer &&
        (!dns_is_answer(span_of(message, left), &same, &truncated) || same != id || truncated ||
            dns_shorten(message, left, most) != left))
        abort();
    if (left > 0) {
        dns_refuse(message);
        if (!dns_is_answer(span_of(message, left), &same, &truncated))
            abort();
    }
    free(message);
}

static void redirect(const uint8_t *data, size_t size) {
    char gateway[GATEWAY_MAX], again[GATEWAY_MAX];
    struct span nonce, same;
    struct error err;
    uint8_t octets[2048];
    if (size > 1024 || !redirect_read(span_of(data, size), gateway, &nonce, &err))
        return;
    struct writer w = writer_over(octets, sizeof octets);
    redirect_write(&w, gateway, nonce);
    if (!writer_ok(&w) || !redirect_read(span_of(octets, w.length), again, &same, &err) ||
        strcmp(gateway, again) != 0 || same.length != nonce.length)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    answer(data + 2, size - 2, (size_t)data[0] << 8 | data[1]);
    redirect(data + 2, size - 2);
    return 0;
}
