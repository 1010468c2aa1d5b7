/* ticket.c: a Responder's tickets (RFC 5723 sections 4.3.1 and 6): an IKE SA's SK_d, algorithms and identities, sealed by
 * value, so that whoever holds one costs us a number alone. */
#include <stdlib.h>
#include <string.h>

#include "ike/internal.h"

#define TICKET_VERSION 1
#define TICKETS_MAX ((size_t)16384) /* remembered; those before are taken no more */
#define IV_LENGTH ((size_t)8)
#define ICV_LENGTH ((size_t)16)

static const struct cipher_suite suite = {.encr = ENCR_AES_GCM_16, .key_bits = 256};

struct ike_ticket_jar {
    struct random_source random;
    struct cipher *seal, *open;
    uint64_t serial; /* of the last one; its IV as well */
    uint64_t live[TICKETS_MAX]; /* by serial modulo the size: its serial, or 0 when it was used */
};

static bool new_key(struct ike_ticket_jar *jar) {
    uint8_t key[CIPHER_KEY_MAX];
    struct error ignored;
    size_t length = cipher_key_length(suite);
    cipher_free(jar->seal);
    cipher_free(jar->open);
    random_fill(&jar->random, key, length);
    jar->seal = cipher_new(suite, true, span_of(key, length), span_of(NULL, 0), &ignored);
    jar->open = cipher_new(suite, false, span_of(key, length), span_of(NULL, 0), &ignored);
    wipe(key, sizeof key);
    memset(jar->live, 0, sizeof jar->live);
    return jar->seal != NULL && jar->open != NULL;
}

struct ike_ticket_jar *ike_ticket_jar_new(const struct random_source *random) {
    struct ike_ticket_jar *jar = calloc(1, sizeof *jar);
    if (jar == NULL)
        return NULL;
    jar->random = *random;
    if (new_key(jar))
        return jar;
    ike_ticket_jar_free(jar);
    return NULL;
}

void ike_ticket_jar_forget(struct ike_ticket_jar *jar) {
    (void)new_key(jar); /* without one, none is given or taken */
}

void ike_ticket_jar_free(struct ike_ticket_jar *jar) {
    if (jar == NULL)
        return;
    cipher_free(jar->seal);
    cipher_free(jar->open);
    free(jar);
}

/* --- what is in one --- */

static void write_state(struct writer *w, const struct ike_ticket *ticket) {
    writer_u8(w, TICKET_VERSION);
    writer_u64(w, ticket->until);
    writer_u16(w, ticket->prf);
    writer_u16(w, ticket->ke);
    writer_u16(w, ticket->suite.encr);
    writer_u16(w, ticket->suite.key_bits);
    writer_u16(w, ticket->suite.integ);
    writer_octets(w, ticket->sk_d, prf_length(ticket->prf));
    identity_pack(w, &ticket->local_id);
    identity_pack(w, &ticket->remote_id);
}

static bool read_state(struct reader r, struct ike_ticket *ticket) {
    uint8_t version;
    return reader_u8(&r, &version) && version == TICKET_VERSION && reader_u64(&r, &ticket->until) &&
           reader_u16(&r, &ticket->prf) && reader_u16(&r, &ticket->ke) && reader_u16(&r, &ticket->suite.encr) &&
           reader_u16(&r, &ticket->suite.key_bits) && reader_u16(&r, &ticket->suite.integ) &&
           prf_supported(ticket->prf) && cipher_supported(ticket->suite) &&
           reader_copy(&r, prf_length(ticket->prf), ticket->sk_d) && identity_unpack(&r, &ticket->local_id) &&
           identity_unpack(&r, &ticket->remote_id) && reader_end(&r);
}

size_t ticket_seal(
    struct ike_ticket_jar *jar, const struct ike_ticket *ticket, uint64_t *serial, uint8_t out[IKE_TICKET_MAX]) {
    struct writer w = writer_over(out, IKE_TICKET_MAX);
    writer_u64(&w, jar->serial + 1);
    write_state(&w, ticket);
    if (!writer_ok(&w) || w.length + ICV_LENGTH > IKE_TICKET_MAX || jar->seal == NULL)
        return 0;
    struct cipher_job job = {.iv = out, .text = out + IV_LENGTH, .length = w.length - IV_LENGTH, .icv = out + w.length};
    if (cipher_seal(jar->seal, &job, 1) != 1)
        return 0;
    *serial = ++jar->serial;
    jar->live[*serial % TICKETS_MAX] = *serial;
    return w.length + ICV_LENGTH;
}

bool ticket_open(
    struct ike_ticket_jar *jar, uint64_t now, struct span octets, struct ike_ticket *out, uint64_t *serial) {
    uint8_t copy[IKE_TICKET_MAX];
    struct reader r = reader_over(octets.at, octets.length);
    if (octets.length > sizeof copy || octets.length < IV_LENGTH + ICV_LENGTH + 1 || jar->open == NULL ||
        !reader_u64(&r, serial) || *serial == 0 || jar->live[*serial % TICKETS_MAX] != *serial)
        return false;
    memcpy(copy, octets.at, octets.length);
    size_t length = octets.length - IV_LENGTH - ICV_LENGTH;
    struct cipher_job job = {.iv = copy, .text = copy + IV_LENGTH, .length = length, .icv = copy + IV_LENGTH + length};
    bool ok =
        cipher_open(jar->open, &job, 1) == 1 && read_state(reader_over(job.text, length), out) && now < out->until;
    wipe(copy, sizeof copy);
    return ok;
}

bool ticket_spend(struct ike_ticket_jar *jar, uint64_t serial) {
    uint64_t *live = &jar->live[serial % TICKETS_MAX];
    if (serial == 0 || *live != serial)
        return false;
    *live = 0;
    return true;
}
