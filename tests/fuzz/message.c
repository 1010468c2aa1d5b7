/* message.c: an IKE message with all its payloads, and single payload bodies (the first octet says which). What was read
 * must be inside the input, and written again it must read the same. */
#include "wire/wire.h"

#include <stdlib.h>
#include <string.h>

static struct proposal_list proposals, proposals_again;

static void read_proposals(struct span body) {
    struct error err;
    static uint8_t octets[65536];
    if (!sa_read(body, &proposals, &err))
        return;
    bool known = true; /* attributes that we don't know are not written again */
    for (size_t i = 0; i < proposals.count; i++)
        for (size_t k = 0; k < proposals.proposal[i].transforms; k++)
            known &= !proposals.proposal[i].transform[k].unknown;
    struct writer w = writer_over(octets, sizeof octets);
    sa_write(&w, &proposals);
    if (!known)
        return;
    if (!writer_ok(&w) || !sa_read(span_of(octets, w.length), &proposals_again, &err) ||
        proposals_again.count != proposals.count)
        abort();
    for (size_t i = 0; i < proposals.count; i++) {
        const struct proposal *a = &proposals.proposal[i], *b = &proposals_again.proposal[i];
        if (a->number != b->number || a->protocol != b->protocol || a->spi != b->spi ||
            a->transforms != b->transforms ||
            memcmp(a->transform, b->transform, a->transforms * sizeof a->transform[0]) != 0)
            abort();
    }
}

static void read_selectors(struct span body) {
    struct error err;
    struct selector_list list, again;
    uint8_t octets[4 + 40 * SELECTORS_MAX];
    if (!selectors_read(body, &list, &err))
        return;
    struct writer w = writer_over(octets, sizeof octets);
    selectors_write(&w, &list);
    if (!writer_ok(&w) || !selectors_read(span_of(octets, w.length), &again, &err) || again.count != list.count)
        abort();
    for (size_t i = 0; i < list.count; i++) {
        struct selector both, same;
        struct prefix prefix[4];
        if (!selector_equal(&list.selector[i], &again.selector[i]))
            abort();
        if (range_prefixes(&list.selector[i].first, &list.selector[i].last, prefix, 4) == 0)
            abort();
        if (!selector_intersect(&list.selector[i], &list.selector[0], &both))
            continue;
        if (!selector_intersect(&both, &list.selector[i], &same) || !selector_equal(&both, &same))
            abort(); /* what is in common is in each of them */
    }
}

static void read_identity(struct span body) {
    struct error err;
    struct identity id, again;
    uint8_t octets[4 + IDENTITY_MAX];
    char text[IDENTITY_TEXT_MAX];
    if (!identity_read(body, &id, &err))
        return;
    if (strlen(identity_text(&id, text)) >= sizeof text)
        abort();
    struct writer w = writer_over(octets, sizeof octets);
    identity_write(&w, &id);
    if (!writer_ok(&w) || !identity_read(span_of(octets, w.length), &again, &err) || !identity_equal(&id, &again))
        abort();
}

static void inside(struct span part, struct span body) {
    if (part.length > 0 && (part.at < body.at || part.at + part.length > body.at + body.length))
        abort();
}

static void read_body(uint8_t type, struct span body) {
    struct error err;
    struct span span;
    uint16_t group;
    uint8_t method;
    struct notify notify;
    struct delete_payload deleted;
    switch (type) {
    case PAYLOAD_SA:
        read_proposals(body);
        break;
    case PAYLOAD_TSI:
    case PAYLOAD_TSR:
        read_selectors(body);
        break;
    case PAYLOAD_IDI:
    case PAYLOAD_IDR:
        read_identity(body);
        break;
    case PAYLOAD_KE:
        if (ke_read(body, &group, &span, &err))
            inside(span, body);
        break;
    case PAYLOAD_AUTH:
        if (auth_read(body, &method, &span, &err))
            inside(span, body);
        break;
    case PAYLOAD_NONCE:
        if (nonce_read(body, &span, &err))
            inside(span, body);
        break;
    case PAYLOAD_NOTIFY:
        if (notify_read(body, &notify, &err)) {
            inside(notify.spi, body);
            inside(notify.data, body);
        }
        break;
    case PAYLOAD_DELETE:
        if (delete_read(body, &deleted, &err) && deleted.count > 64)
            abort();
        break;
    default:
        break;
    }
}

static void read_chain(uint8_t first, struct span octets) {
    static struct payload_list list;
    struct error err;
    struct notify notify;
    uint8_t inner_first = 0;
    list.count = 0;
    (void)!payload_chain_read(first, octets, &list, &inner_first, &err);
    for (size_t i = 0; i < list.count; i++) {
        inside(list.payload[i].body, octets);
        read_body(list.payload[i].type, list.payload[i].body);
    }
    notify_find(&list, NOTIFY_COOKIE, &notify);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ike_header header;
    struct error err;
    uint64_t spi_i, spi_r;
    struct reader r = reader_over(data, size);
    uint8_t type;
    if (ike_header_read(span_of(data, size), &header, &err) &&
        (!ike_spis_peek(span_of(data, size), &spi_i, &spi_r) || spi_i != header.spi_i || spi_r != header.spi_r))
        abort();
    if (!reader_u8(&r, &type))
        return 0;
    read_body(type, reader_rest(&r));
    read_chain(type, reader_rest(&r));
    return 0;
}
