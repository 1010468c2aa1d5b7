/* info.c: questions about an IKE SA that change nothing. */
#include <string.h>

#include "ike/internal.h"

uint64_t ike_sa_spi_i(const struct ike_sa *sa) {
    return sa->spi_i;
}

uint64_t ike_sa_spi_r(const struct ike_sa *sa) {
    return sa->spi_r;
}

uint64_t ike_sa_spi_local(const struct ike_sa *sa) {
    return sa_is_initiator(sa) ? sa->spi_i : sa->spi_r;
}

enum ike_role ike_sa_role(const struct ike_sa *sa) {
    return sa->role;
}

enum ike_state ike_sa_state(const struct ike_sa *sa) {
    return sa->state;
}

const struct ike_config *ike_sa_config(const struct ike_sa *sa) {
    return sa->config;
}

bool ike_sa_awaits_answer(const struct ike_sa *sa) {
    return sa->request.active && !sa->request.answered;
}

uint32_t ike_sa_sends(const struct ike_sa *sa) {
    return sa->request.active ? sa->request.sends : 0;
}

void ike_sa_info(const struct ike_sa *sa, struct ike_info *out) {
    memset(out, 0, sizeof *out);
    out->spi_i = sa->spi_i;
    out->spi_r = sa->spi_r;
    out->role = sa->role;
    auth_local_identity(sa, &out->local_id);
    out->remote_id = sa->remote_id;
    out->suite = sa->keys.suite;
    out->prf = sa->keys.prf;
    out->ke = sa->keys.ke;
    out->established_at = sa->established_at;
    out->rekey_at = sa->rekey_at;
    out->mobike = sa->mobike;
    out->peer_addresses = ike_sa_peer_addresses(sa, out->peer_address);
    out->resumed = sa->resumed;
    out->fragmentation = sa->fragmentation;
}

void ike_sa_fingerprint(const struct ike_sa *sa, uint8_t out[32]) {
    uint8_t digest[PRF_MAX] = {0};
    struct span label = span_of("iketcp fingerprint", 18);
    if (!sa->has_keys ||
        !prf_compute(sa->keys.prf, span_of(sa->keys.sk_d, prf_length(sa->keys.prf)), &label, 1, digest))
        memset(digest, 0, sizeof digest);
    memcpy(out, digest, 32);
}
