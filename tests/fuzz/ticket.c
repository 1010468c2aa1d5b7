/* ticket.c: resumption tickets: what nobody sealed is refused, one that was sealed is taken as it was, and not when a single octet
 * of it is another. */
#include "ike/internal.h"

#include <stdlib.h>

static struct ike_ticket_jar *jar;
static uint64_t seed = 1;
static struct random_source source;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t octets[IKE_TICKET_MAX];
    struct ike_ticket ticket = {.until = 1000, .prf = PRF_HMAC_SHA2_256, .ke = KE_CURVE25519};
    struct ike_ticket out;
    uint64_t serial, same;
    if (!jar) {
        source = random_seeded(&seed);
        jar = ike_ticket_jar_new(&source);
    }
    if (!jar || size < 4)
        return 0;
    if (ticket_open(jar, 0, span_of(data, size), &out, &serial))
        abort(); /* the key is nobody's but ours */
    ticket.suite = (struct cipher_suite){.encr = ENCR_AES_GCM_16, .key_bits = 256};
    ticket.remote_id = (struct identity){.type = ID_FQDN, .length = size < IDENTITY_MAX ? size : IDENTITY_MAX};
    memcpy(ticket.remote_id.data, data, ticket.remote_id.length);
    size_t length = ticket_seal(jar, &ticket, &serial, octets);
    if (length == 0)
        return 0;
    if (!ticket_open(jar, 999, span_of(octets, length), &out, &same) || same != serial ||
        !identity_equal(&out.remote_id, &ticket.remote_id) ||
        ticket_open(jar, 1000, span_of(octets, length), &out, &same))
        abort();
    octets[((size_t)data[0] << 8 | data[1]) % length] ^= (uint8_t)(data[2] | 1);
    if (ticket_open(jar, 0, span_of(octets, length), &out, &same) || !ticket_spend(jar, serial) ||
        ticket_spend(jar, serial))
        abort();
    return 0;
}
