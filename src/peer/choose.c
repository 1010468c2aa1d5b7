/* choose.c: which connection a Responder takes: by address at first, by the identities in IKE_AUTH. The most specific one
 * wins, the first of the file among equals. */
#include "peer/internal.h"

/* How well the remote's address fits, and behind that ours; -1: not at all. What %defaultroute was when the file was read it
 * may be no longer, and another connection may be meant for that very address. */
static int address_fits(const struct conn *conn, const struct carrier *carrier) {
    const struct peer_config *config = &conn->config;
    bool refused = (carrier->transport == TRANSPORT_UDP && !config->accept_udp) ||
                   (carrier->transport == TRANSPORT_TCP && !config->accept_tcp); /* TLS: who listens for it wants it */
    if (conn->gone || refused)
        return -1;
    bool ours = address_is_any(&config->local) || address_same_host(&config->local, &carrier->local);
    if (!ours && !(config->local_may_change && config->local.family == carrier->local.family))
        return -1;
    if (config->remote_any.length > 0 && !prefix_contains(&config->remote_any, &carrier->remote))
        return -1;
    return 2 * config->remote_any.length + ours;
}

struct conn *choose_by_address(const struct peers *peers, const struct carrier *carrier) {
    struct conn *best = NULL;
    int most = -1;
    for (struct conn *conn = peers->conns; conn; conn = conn->next) {
        int fits = address_fits(conn, carrier);
        if (fits > most) {
            best = conn;
            most = fits;
        }
    }
    return best;
}

static bool offers(const struct proposal *proposal, uint8_t type, uint16_t id, uint16_t bits) {
    bool any = false;
    for (size_t i = 0; i < proposal->transforms; i++) {
        const struct transform *transform = &proposal->transform[i];
        if (transform->type != type)
            continue;
        if (transform->id == id && transform->key_bits == bits)
            return true;
        any = true;
    }
    return !any && id == 0;
}

/* IKE_SA_INIT was negotiated under another connection's proposals: this one must allow what came out. */
static bool allows_suite(const struct conn *conn, const struct ike_info *info) {
    const struct proposal_list *list = &conn->config.ike.proposals;
    for (size_t i = 0; i < list->count; i++) {
        const struct proposal *proposal = &list->proposal[i];
        if (offers(proposal, TRANSFORM_ENCR, info->suite.encr, info->suite.key_bits) &&
            offers(proposal, TRANSFORM_PRF, info->prf, 0) && offers(proposal, TRANSFORM_KE, info->ke, 0) &&
            (cipher_is_aead(info->suite.encr) || offers(proposal, TRANSFORM_INTEG, info->suite.integ, 0)))
            return true;
    }
    return false;
}

/* 2: named, 1: any, 0: another one. */
static int identity_fits(const struct identity *configured, const struct identity *said) {
    if (configured->type == ID_NONE || said->type == ID_NONE)
        return 1;
    return identity_equal(configured, said) ? 2 : 0;
}

struct conn *choose_by_identity(const struct peers *peers, const struct peer *peer, const struct carrier *carrier,
    const struct identity *local, const struct identity *remote) {
    struct ike_info info;
    ike_sa_info(peer_sa(peer)->ike, &info);
    struct conn *best = NULL;
    int most = -1;
    for (struct conn *conn = peers->conns; conn; conn = conn->next) {
        int address = address_fits(conn, carrier);
        int here = identity_fits(&conn->config.ike.local_id, local);
        int there = identity_fits(&conn->config.ike.remote_id, remote);
        if (address < 0 || here == 0 || there == 0 || !allows_suite(conn, &info))
            continue;
        /* The remote's name says more than its address, and that more than what it calls us. */
        int fits = (there * 512 + address) * 4 + here * 2 + (conn == peer->conn);
        if (fits > most) {
            best = conn;
            most = fits;
        }
    }
    return best;
}
