/* cookie.c: what a Responder does before it keeps a state: cookies (RFC 7296 section 2.6; over UDP only, K3), and which
 * first messages are worth an IKE SA (other versions: section 2.5). */
#include <string.h>

#include "ike/internal.h"

#define COOKIE_SECRET_MS (60 * SECOND) /* the one before it stays valid as long again */
#define COOKIE_DIGEST ((size_t)32)

void ike_cookie_jar_init(struct ike_cookie_jar *jar, uint64_t now, const struct random_source *random) {
    random_fill(random, jar->secret, sizeof jar->secret);
    jar->version = 1;
    jar->changed_at = now;
}

static void renew(struct ike_cookie_jar *jar, uint64_t now, const struct random_source *random) {
    if (now - jar->changed_at < COOKIE_SECRET_MS)
        return;
    bool old = now - jar->changed_at >= 2 * COOKIE_SECRET_MS;
    memcpy(jar->secret[1], jar->secret[0], sizeof jar->secret[1]);
    random_fill(random, jar->secret[0], sizeof jar->secret[0]);
    if (old) /* nothing asked for one since: the one before is out of date as well */
        random_fill(random, jar->secret[1], sizeof jar->secret[1]);
    jar->version++;
    jar->changed_at = now;
}

/* Version | prf(secret, Ni | IPi | SPIi); never the port: K3. */
static bool bake(const uint8_t secret[32], uint8_t version, struct span nonce, const struct address *remote,
    uint64_t spi_i, uint8_t out[1 + PRF_MAX]) {
    uint8_t spi[8];
    struct writer w = writer_over(spi, sizeof spi);
    writer_u64(&w, spi_i);
    struct span part[] = {nonce, span_of(remote->octets, address_octets(remote)), span_of(spi, sizeof spi)};
    out[0] = version;
    return prf_compute(PRF_HMAC_SHA2_256, span_of(secret, 32), part, 3, out + 1);
}

static bool fresh_cookie(const struct ike_cookie_jar *jar, struct span cookie, struct span nonce,
    const struct address *remote, uint64_t spi_i) {
    uint8_t expected[1 + PRF_MAX];
    for (int i = 0; i < 2; i++) {
        uint8_t version = (uint8_t)(jar->version - i);
        if (bake(jar->secret[i], version, nonce, remote, spi_i, expected) &&
            span_equal_secret(cookie, span_of(expected, 1 + COOKIE_DIGEST)))
            return true;
    }
    return false;
}

/* Puts a bare response with one notification into *out, unless it would be longer than what it answers: nobody proved to
 * be where it would go. */
void answer_bare(const struct ike_header *request, uint16_t type, struct span data, struct ike_output *out) {
    struct ike_header header = {.spi_i = request->spi_i,
        .version = IKE_VERSION,
        .exchange = request->exchange,
        .flags = IKE_FLAG_RESPONSE,
        .message_id = request->message_id};
    if (out->datagrams >= IKE_DATAGRAMS_MAX)
        return;
    struct writer w = writer_over(out->octets + out->used, IKE_OUTPUT_OCTETS - out->used);
    struct message_writer m = message_begin(&w, &header);
    notify_add(&m, type, data);
    message_end(&m);
    if (!writer_ok(&w) || w.length > request->length)
        return;
    out->datagram[out->datagrams++] = (struct ike_datagram){.at = out->used, .length = w.length, .reply = true};
    out->used += w.length;
}

bool ike_cookie_check(struct ike_cookie_jar *jar, uint64_t now, const struct random_source *random, struct span message,
    const struct address *remote, struct ike_output *out) {
    struct ike_header header;
    struct payload_list list = {0};
    struct notify notify;
    struct span nonce;
    struct error ignored;
    uint8_t cookie[1 + PRF_MAX];
    renew(jar, now, random);
    if (!ike_header_read(message, &header, &ignored) ||
        !payload_chain_read(header.next_payload,
            span_of(message.at + IKE_HEADER_LENGTH, message.length - IKE_HEADER_LENGTH), &list, NULL, &ignored))
        return false;
    const struct payload *payload = payload_find(&list, PAYLOAD_NONCE, 0);
    if (payload == NULL || !nonce_read(payload->body, &nonce, &ignored))
        return false;
    if (notify_find(&list, NOTIFY_COOKIE, &notify) && fresh_cookie(jar, notify.data, nonce, remote, header.spi_i))
        return true;
    if (bake(jar->secret[0], jar->version, nonce, remote, header.spi_i, cookie))
        answer_bare(&header, NOTIFY_COOKIE, span_of(cookie, 1 + COOKIE_DIGEST), out);
    return false;
}

bool ike_is_first_request(struct span message, struct ike_output *out) {
    struct ike_header header;
    struct error ignored;
    if (!ike_header_read(message, &header, &ignored) || header.spi_i == 0 || header.spi_r != 0)
        return false;
    /* Where IKEv1 has other flags, and a future version anything: only what can't be a response is answered. */
    if (header.version >> 4 != IKE_VERSION >> 4) {
        if (header.version >> 4 > IKE_VERSION >> 4 && (header.flags & IKE_FLAG_RESPONSE) == 0)
            answer_bare(&header, NOTIFY_INVALID_MAJOR_VERSION, span_of(NULL, 0), out);
        return false;
    }
    return exchange_is_first(header.exchange) && header.message_id == 0 && (header.flags & IKE_FLAG_RESPONSE) == 0 &&
           (header.flags & IKE_FLAG_INITIATOR) != 0;
}
