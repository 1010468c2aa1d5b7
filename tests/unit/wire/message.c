/* message.c: IKE messages written, read again, cut short and damaged. RFC 7296 section 3. */
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct span text(const char *s) {
    return span_of(s, strlen(s));
}

static void add_proposals(struct proposal_list *list) {
    list->proposal[0] = (struct proposal){.number = 1, .protocol = PROTOCOL_IKE, .transforms = 4};
    struct transform *t = list->proposal[0].transform;
    t[0] = (struct transform){.type = TRANSFORM_ENCR, .id = ENCR_AES_GCM_16, .key_bits = 256};
    t[1] = (struct transform){.type = TRANSFORM_PRF, .id = PRF_HMAC_SHA2_256};
    t[2] = (struct transform){.type = TRANSFORM_KE, .id = KE_CURVE25519};
    t[3] = (struct transform){.type = TRANSFORM_KE, .id = KE_ECP_256};
    list->proposal[1] =
        (struct proposal){.number = 2, .protocol = PROTOCOL_ESP, .spi_length = 4, .spi = 0x01020304, .transforms = 1};
    list->proposal[1].transform[0] = (struct transform){.type = TRANSFORM_ENCR, .id = ENCR_AES_CBC, .key_bits = 128};
    list->proposal[2] = (struct proposal){
        .number = 3, .protocol = PROTOCOL_IKE, .spi_length = 8, .spi = UINT64_C(0x0102030405060708), .transforms = 1};
    list->proposal[2].transform[0] = (struct transform){.type = TRANSFORM_ESN, .id = ESN_NO};
    list->count = 3;
}

static struct selector_list both_selectors(void) {
    struct selector_list list = {.count = 2};
    struct prefix prefix;
    struct error err;
    assert_true(prefix_parse("10.1.0.0/16", &prefix, &err));
    list.selector[0] = selector_of_prefix(&prefix);
    assert_true(prefix_parse("2001:db8::/32", &prefix, &err));
    list.selector[1] = selector_of_prefix(&prefix);
    list.selector[1].protocol = 6;
    list.selector[1].port_first = 80;
    list.selector[1].port_last = 443;
    return list;
}

static struct ike_header header_of(void) {
    return (struct ike_header){.spi_i = UINT64_C(0x1122334455667788),
        .spi_r = UINT64_C(0x99aabbccddeeff00),
        .version = IKE_VERSION,
        .exchange = CREATE_CHILD_SA,
        .flags = IKE_FLAG_INITIATOR,
        .message_id = 7};
}

/* A message with every payload that we write. */
static size_t write_all(uint8_t *out, size_t capacity) {
    struct writer w = writer_over(out, capacity);
    struct ike_header header = header_of();
    struct message_writer m = message_begin(&w, &header);
    static struct proposal_list proposals;
    add_proposals(&proposals);
    payload_begin(&m, PAYLOAD_SA);
    sa_write(&w, &proposals);
    payload_end(&m);
    payload_begin(&m, PAYLOAD_KE);
    ke_write(&w, KE_CURVE25519, text("public value of 32 octets, nearly"));
    payload_end(&m);
    payload_begin(&m, PAYLOAD_NONCE);
    writer_span(&w, text("a nonce of 20 octets"));
    payload_end(&m);
    payload_begin(&m, PAYLOAD_IDI);
    identity_write(&w, &(struct identity){.type = ID_FQDN, .data = "east.example", .length = 12});
    payload_end(&m);
    payload_begin(&m, PAYLOAD_AUTH);
    auth_write(&w, AUTH_METHOD_PSK, text("authentic"));
    payload_end(&m);
    payload_begin(&m, PAYLOAD_NOTIFY);
    notify_write(&w,
        &(struct notify){
            .protocol = PROTOCOL_ESP, .type = NOTIFY_REKEY_SA, .spi = span_of("\1\2\3\4", 4), .data = text("data")});
    payload_end(&m);
    payload_begin(&m, PAYLOAD_DELETE);
    delete_write(&w, &(struct delete_payload){.protocol = PROTOCOL_ESP, .esp_spi = {5, 6}, .count = 2});
    payload_end(&m);
    struct selector_list selectors = both_selectors();
    payload_begin(&m, PAYLOAD_TSI);
    selectors_write(&w, &selectors);
    payload_end(&m);
    message_end(&m);
    return writer_ok(&w) ? w.length : 0;
}

/* Reads all payloads of a list as what they say they are; false: one is malformed. */
static bool read_bodies(const struct payload_list *list) {
    static struct proposal_list proposals;
    struct error err;
    struct identity id;
    struct span span;
    uint16_t group;
    uint8_t method;
    struct notify notify;
    struct delete_payload deleted;
    struct selector_list selectors;
    bool good = true;
    for (size_t i = 0; i < list->count; i++) {
        struct span body = list->payload[i].body;
        switch (list->payload[i].type) {
        case PAYLOAD_SA:
            good &= sa_read(body, &proposals, &err);
            break;
        case PAYLOAD_KE:
            good &= ke_read(body, &group, &span, &err);
            break;
        case PAYLOAD_NONCE:
            good &= nonce_read(body, &span, &err);
            break;
        case PAYLOAD_IDI:
            good &= identity_read(body, &id, &err);
            break;
        case PAYLOAD_AUTH:
            good &= auth_read(body, &method, &span, &err);
            break;
        case PAYLOAD_NOTIFY:
            good &= notify_read(body, &notify, &err);
            break;
        case PAYLOAD_DELETE:
            good &= delete_read(body, &deleted, &err);
            break;
        case PAYLOAD_TSI:
            good &= selectors_read(body, &selectors, &err);
            break;
        default:
            break;
        }
    }
    return good;
}

static bool read_all(const uint8_t *octets, size_t length, struct payload_list *list) {
    struct ike_header header;
    struct error err;
    list->count = 0;
    return ike_header_read(span_of(octets, length), &header, &err) &&
           payload_chain_read(header.next_payload, span_of(octets + IKE_HEADER_LENGTH, length - IKE_HEADER_LENGTH),
               list, NULL, &err) &&
           read_bodies(list);
}

static void what_is_written_is_read_again(void **state) {
    (void)state;
    uint8_t octets[1024];
    size_t length = write_all(octets, sizeof octets);
    assert_true(length > 0);
    struct ike_header header, expected = header_of();
    struct error err;
    assert_true(ike_header_read(span_of(octets, length), &header, &err));
    assert_true(header.spi_i == expected.spi_i && header.spi_r == expected.spi_r);
    assert_int_equal(header.next_payload, PAYLOAD_SA);
    assert_int_equal(header.version, 0x20);
    assert_int_equal(header.exchange, CREATE_CHILD_SA);
    assert_int_equal(header.flags, IKE_FLAG_INITIATOR);
    assert_int_equal(header.message_id, 7);
    assert_int_equal(header.length, length);
    uint64_t spi_i, spi_r;
    assert_true(ike_spis_peek(span_of(octets, length), &spi_i, &spi_r));
    assert_true(spi_i == expected.spi_i && spi_r == expected.spi_r);
    struct payload_list list;
    assert_true(read_all(octets, length, &list));
    static const uint8_t order[] = {
        PAYLOAD_SA, PAYLOAD_KE, PAYLOAD_NONCE, PAYLOAD_IDI, PAYLOAD_AUTH, PAYLOAD_NOTIFY, PAYLOAD_DELETE, PAYLOAD_TSI};
    assert_int_equal(list.count, sizeof order);
    for (size_t i = 0; i < sizeof order; i++)
        assert_int_equal(list.payload[i].type, order[i]);

    struct notify notify;
    assert_true(notify_find(&list, NOTIFY_REKEY_SA, &notify));
    assert_int_equal(notify.protocol, PROTOCOL_ESP);
    assert_true(span_equal(notify.spi, span_of("\1\2\3\4", 4)) && span_equal(notify.data, text("data")));
    assert_false(notify_find(&list, NOTIFY_COOKIE, &notify));
    assert_null(payload_find(&list, PAYLOAD_NOTIFY, 1));
    struct identity id;
    assert_true(identity_read(payload_find(&list, PAYLOAD_IDI, 0)->body, &id, &err));
    assert_true(identity_equal(&id, &(struct identity){.type = ID_FQDN, .data = "east.example", .length = 12}));
    struct delete_payload deleted;
    assert_true(delete_read(payload_find(&list, PAYLOAD_DELETE, 0)->body, &deleted, &err));
    assert_true(deleted.count == 2 && deleted.esp_spi[0] == 5 && deleted.esp_spi[1] == 6);
}

static void proposals_keep_all_that_was_offered(void **state) {
    (void)state;
    static struct proposal_list in, out;
    struct error err;
    uint8_t octets[256];
    struct writer w = writer_over(octets, sizeof octets);
    add_proposals(&in);
    sa_write(&w, &in);
    assert_true(writer_ok(&w));
    assert_true(sa_read(span_of(octets, w.length), &out, &err));
    assert_int_equal(out.count, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct proposal *a = &in.proposal[i], *b = &out.proposal[i];
        assert_true(a->number == b->number && a->protocol == b->protocol && a->spi_length == b->spi_length);
        assert_true(a->spi == b->spi && a->transforms == b->transforms);
        assert_memory_equal(a->transform, b->transform, a->transforms * sizeof a->transform[0]);
    }
}

static void selectors_keep_ranges_protocol_and_ports(void **state) {
    (void)state;
    struct selector_list in = both_selectors(), out;
    struct error err;
    uint8_t octets[256];
    struct writer w = writer_over(octets, sizeof octets);
    selectors_write(&w, &in);
    assert_int_equal(w.length, 4 + 16 + 40);
    assert_true(selectors_read(span_of(octets, w.length), &out, &err));
    assert_int_equal(out.count, 2);
    assert_true(selector_equal(&in.selector[0], &out.selector[0]));
    assert_true(selector_equal(&in.selector[1], &out.selector[1]));
    assert_false(selector_equal(&in.selector[0], &out.selector[1]));
}

/* Whatever is missing at the end, it is refused: the header's length tells. With a corrected length the chain tells. */
static void every_truncation_is_refused(void **state) {
    (void)state;
    uint8_t octets[1024];
    size_t length = write_all(octets, sizeof octets);
    struct payload_list list;
    for (size_t cut = 0; cut < length; cut++) {
        uint8_t *copy = malloc(cut + 1); /* exactly at the end of its memory, for the sanitizer */
        memcpy(copy + 1, octets, cut);
        assert_false(read_all(copy + 1, cut, &list));
        if (cut >= IKE_HEADER_LENGTH) {
            struct writer w = writer_over(copy + 1 + 24, 4);
            writer_u32(&w, (uint32_t)cut);
            assert_false(read_all(copy + 1, cut, &list));
        }
        free(copy);
    }
}

static void every_truncation_of_a_body_is_refused_or_shorter(void **state) {
    (void)state;
    uint8_t octets[1024];
    size_t length = write_all(octets, sizeof octets);
    struct payload_list list, cut;
    assert_true(read_all(octets, length, &list));
    for (size_t i = 0; i < list.count; i++) {
        const struct payload *p = &list.payload[i];
        for (size_t left = 0; left < p->body.length; left++) {
            uint8_t *copy = malloc(left + 1);
            memcpy(copy + 1, p->body.at, left);
            cut.count = 1;
            cut.payload[0] = (struct payload){.type = p->type, .body = span_of(copy + 1, left)};
            bool good = read_bodies(&cut);
            /* Structured bodies say how long they are; the others end in octets of any number. */
            if (p->type == PAYLOAD_SA || p->type == PAYLOAD_TSI || p->type == PAYLOAD_DELETE)
                assert_false(good);
            free(copy);
        }
    }
}

static void damaged_octets_never_lead_outside(void **state) {
    (void)state;
    uint8_t octets[1024];
    size_t length = write_all(octets, sizeof octets);
    uint64_t seed = 20;
    struct random_source random = random_seeded(&seed);
    struct payload_list list;
    size_t accepted = 0;
    for (int round = 0; round < 30000; round++) {
        uint8_t *copy = malloc(length + 1); /* the sanitizer watches both ends */
        memcpy(copy + 1, octets, length);
        for (uint32_t n = 1 + random_u32(&random) % 4; n > 0; n--)
            copy[1 + random_u32(&random) % length] = (uint8_t)random_u32(&random);
        accepted += read_all(copy + 1, length, &list);
        for (size_t i = 0; i < list.count; i++) {
            assert_true(list.payload[i].body.at >= copy + 1 + IKE_HEADER_LENGTH);
            assert_true(list.payload[i].body.at + list.payload[i].body.length <= copy + 1 + length);
        }
        free(copy);
    }
    assert_true(accepted > 0 && accepted < 30000);
}

static void a_short_writer_overflows_and_says_so(void **state) {
    (void)state;
    uint8_t octets[1024];
    size_t length = write_all(octets, sizeof octets);
    for (size_t capacity = 0; capacity < length; capacity++) {
        uint8_t *memory = malloc(capacity + 1);
        assert_int_equal(write_all(memory, capacity), 0);
        free(memory);
    }
    uint8_t *memory = malloc(length);
    assert_int_equal(write_all(memory, length), length);
    assert_memory_equal(memory, octets, length);
    free(memory);
}

static void the_length_of_the_header_must_be_what_came(void **state) {
    (void)state;
    uint8_t octets[64];
    struct writer w = writer_over(octets, sizeof octets);
    struct ike_header header = header_of();
    struct message_writer m = message_begin(&w, &header);
    message_end(&m);
    assert_int_equal(w.length, IKE_HEADER_LENGTH);
    struct error err;
    assert_true(ike_header_read(span_of(octets, 28), &header, &err));
    assert_false(ike_header_read(span_of(octets, 29), &header, &err));
    assert_int_equal(err.notify, NOTIFY_INVALID_SYNTAX);
    assert_int_equal(err.origin, ORIGIN_PEER);
    assert_string_equal(err.text, "the IKE header says 28 octets, but 29 came");
    uint64_t a, b;
    assert_false(ike_spis_peek(span_of(octets, 27), &a, &b));
}

static void an_encrypted_payload_is_last_and_names_what_is_inside(void **state) {
    (void)state;
    uint8_t octets[128], inner_first = 0;
    struct writer w = writer_over(octets, sizeof octets);
    uint8_t first;
    struct message_writer chain = chain_begin(&w, &first);
    payload_begin(&chain, PAYLOAD_VENDOR);
    writer_u8(&w, 1);
    payload_end(&chain);
    payload_begin(&chain, PAYLOAD_SK);
    octets[chain.next_field] = PAYLOAD_IDI; /* of the first payload inside */
    writer_zero(&w, 40);
    payload_end(&chain);
    assert_int_equal(first, PAYLOAD_VENDOR);
    struct payload_list list = {.count = 0};
    struct error err;
    assert_true(payload_chain_read(first, span_of(octets, w.length), &list, &inner_first, &err));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.payload[1].body.length, 40);
    assert_int_equal(inner_first, PAYLOAD_IDI);
    writer_u8(&w, 0);
    list.count = 0;
    assert_false(payload_chain_read(first, span_of(octets, w.length), &list, &inner_first, &err));
}

static void a_bare_chain_may_be_empty(void **state) {
    (void)state;
    uint8_t first = 77;
    struct writer w = writer_over(NULL, 0);
    struct payload_list list = {.count = 0};
    struct error err;
    (void)chain_begin(&w, &first);
    assert_int_equal(first, PAYLOAD_NONE);
    assert_true(payload_chain_read(first, span_of(NULL, 0), &list, NULL, &err));
    assert_int_equal(list.count, 0);
    assert_false(payload_chain_read(PAYLOAD_NONE, span_of("a", 1), &list, NULL, &err));
}

static void unknown_payloads_keep_their_critical_bit(void **state) {
    (void)state;
    const uint8_t chain[] = {201, 0x80, 0, 5, 'a', 0, 0x7f, 0, 4};
    struct payload_list list = {.count = 0};
    struct error err;
    assert_true(payload_chain_read(200, span_of(chain, sizeof chain), &list, NULL, &err));
    assert_int_equal(list.count, 2);
    assert_true(list.payload[0].type == 200 && list.payload[0].critical);
    assert_true(list.payload[1].type == 201 && !list.payload[1].critical);
}

static void too_many_payloads_are_an_error(void **state) {
    (void)state;
    uint8_t chain[4 * (IKE_PAYLOADS_MAX + 1)] = {0};
    for (size_t i = 0; i <= IKE_PAYLOADS_MAX; i++) {
        chain[4 * i] = i == IKE_PAYLOADS_MAX ? 0 : PAYLOAD_VENDOR;
        chain[4 * i + 3] = 4;
    }
    struct payload_list list = {.count = 0};
    struct error err;
    assert_false(payload_chain_read(PAYLOAD_VENDOR, span_of(chain, sizeof chain), &list, NULL, &err));
    list.count = 0;
    assert_true(payload_chain_read(PAYLOAD_VENDOR, span_of(chain + 4, sizeof chain - 4), &list, NULL, &err));
    assert_int_equal(list.count, IKE_PAYLOADS_MAX);
}

static void a_payload_shorter_than_its_header_is_an_error(void **state) {
    (void)state;
    for (uint8_t length = 0; length < 4; length++) {
        const uint8_t chain[] = {0, 0, 0, length, 0, 0, 0, 0};
        struct payload_list list = {.count = 0};
        struct error err;
        assert_false(payload_chain_read(PAYLOAD_VENDOR, span_of(chain, sizeof chain), &list, NULL, &err));
        assert_int_equal(err.notify, NOTIFY_INVALID_SYNTAX);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(proposals_keep_all_that_was_offered),
        cmocka_unit_test(selectors_keep_ranges_protocol_and_ports),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_truncation_of_a_body_is_refused_or_shorter),
        cmocka_unit_test(damaged_octets_never_lead_outside),
        cmocka_unit_test(a_short_writer_overflows_and_says_so),
        cmocka_unit_test(the_length_of_the_header_must_be_what_came),
        cmocka_unit_test(an_encrypted_payload_is_last_and_names_what_is_inside),
        cmocka_unit_test(a_bare_chain_may_be_empty),
        cmocka_unit_test(unknown_payloads_keep_their_critical_bit),
        cmocka_unit_test(too_many_payloads_are_an_error),
        cmocka_unit_test(a_payload_shorter_than_its_header_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
