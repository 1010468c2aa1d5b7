/* message_payloads.c: the small payloads: KE, AUTH, Nonce, Notify and Delete. RFC 7296 sections 3.4 and 3.8 to 3.11. */
#include "wire/message.h"

#include "wire/internal.h"

bool ke_read(struct span body, uint16_t *group, struct span *public_value, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    if (!reader_u16(&r, group) || !reader_skip(&r, 2))
        return syntax(err, "a key exchange payload of %zu octets is cut off", body.length);
    if (reader_end(&r))
        return syntax(err, "a key exchange payload for group %u has no data", *group);
    *public_value = reader_rest(&r);
    return true;
}

void ke_write(struct writer *w, uint16_t group, struct span public_value) {
    writer_u16(w, group);
    writer_u16(w, 0);
    writer_span(w, public_value);
}

bool auth_read(struct span body, uint8_t *method, struct span *data, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    if (!reader_u8(&r, method) || !reader_skip(&r, 3))
        return syntax(err, "an authentication payload of %zu octets is cut off", body.length);
    *data = reader_rest(&r);
    return true;
}

void auth_write(struct writer *w, uint8_t method, struct span data) {
    writer_u8(w, method);
    writer_zero(w, 3);
    writer_span(w, data);
}

bool nonce_read(struct span body, struct span *nonce, struct error *err) {
    if (body.length < NONCE_MIN || body.length > NONCE_MAX)
        return syntax(err, "a nonce of %zu octets; %zu to %zu are allowed", body.length, NONCE_MIN, NONCE_MAX);
    *nonce = body;
    return true;
}

bool notify_read(struct span body, struct notify *out, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    uint8_t spi_length;
    *out = (struct notify){0};
    if (!reader_u8(&r, &out->protocol) || !reader_u8(&r, &spi_length) || !reader_u16(&r, &out->type))
        return syntax(err, "a notification of %zu octets is cut off", body.length);
    if (spi_length != 0 && spi_length != 4 && spi_length != 8)
        return syntax(err, "notification %u has an SPI of %u octets", out->type, spi_length);
    if (!reader_span(&r, spi_length, &out->spi))
        return syntax(err, "the SPI of notification %u is cut off", out->type);
    out->data = reader_rest(&r);
    return true;
}

void notify_write(struct writer *w, const struct notify *notify) {
    writer_u8(w, notify->protocol);
    writer_u8(w, (uint8_t)notify->spi.length);
    writer_u16(w, notify->type);
    writer_span(w, notify->spi);
    writer_span(w, notify->data);
}

bool notify_find(const struct payload_list *list, uint16_t type, struct notify *out) {
    const struct payload *payload;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_NOTIFY, n)) != NULL; n++) {
        struct error ignored;
        struct notify notify;
        if (notify_read(payload->body, &notify, &ignored) && notify.type == type) {
            *out = notify;
            return true;
        }
    }
    return false;
}

bool delete_read(struct span body, struct delete_payload *out, struct error *err) {
    struct reader r = reader_over(body.at, body.length);
    uint8_t spi_length;
    uint16_t count;
    *out = (struct delete_payload){0};
    if (!reader_u8(&r, &out->protocol) || !reader_u8(&r, &spi_length) || !reader_u16(&r, &count))
        return syntax(err, "a delete payload of %zu octets is cut off", body.length);
    if (spi_length != (out->protocol == PROTOCOL_IKE ? 0 : 4))
        return syntax(err, "a delete payload for protocol %u with SPIs of %u octets", out->protocol, spi_length);
    const size_t most = sizeof out->esp_spi / sizeof out->esp_spi[0];
    if (out->protocol != PROTOCOL_IKE) {
        if (count > most)
            return syntax(err, "a delete payload with %u SPIs; %zu are the most", count, most);
        for (; out->count < count; out->count++)
            if (!reader_u32(&r, &out->esp_spi[out->count]))
                return syntax(err, "a delete payload announces %u SPIs and has %zu", count, out->count);
    }
    if (!reader_end(&r))
        return syntax(err, "%zu octets are left over in a delete payload", r.left);
    return true;
}

void delete_write(struct writer *w, const struct delete_payload *deleted) {
    bool ike = deleted->protocol == PROTOCOL_IKE;
    writer_u8(w, deleted->protocol);
    writer_u8(w, ike ? 0 : 4);
    writer_u16(w, ike ? 0 : (uint16_t)deleted->count);
    for (size_t i = 0; !ike && i < deleted->count; i++)
        writer_u32(w, deleted->esp_spi[i]);
}
