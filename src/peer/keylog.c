/* keylog.c: the keys of SAs go to a file where the configuration says so (keylog=), for who looks at a capture. */
#include "peer/internal.h"

#include <string.h>

void secrets_tell(struct peers *peers, const struct peer *peer, const struct ike_secrets *secrets) {
    if (!peer->conn->config.ike.keylog || secrets->spi_r == 0)
        return;
    action_add(peers, PEER_SECRETS, peer)->secrets.keys = *secrets;
}

void secrets_tell_child(struct peers *peers, const struct peer *peer, const struct ike_child *child) {
    if (!peer->conn->config.ike.keylog)
        return;
    struct peer_secrets *secrets = &action_add(peers, PEER_SECRETS, peer)->secrets;
    secrets->esp = true;
    secrets->keys = (struct ike_secrets){.spi_i = child->spi_in, .spi_r = child->spi_out, .suite = child->suite};
    memcpy(secrets->keys.encr_i, child->key_in, sizeof child->key_in);
    memcpy(secrets->keys.encr_r, child->key_out, sizeof child->key_out);
    memcpy(secrets->keys.integ_i, child->integ_in, sizeof child->integ_in);
    memcpy(secrets->keys.integ_r, child->integ_out, sizeof child->integ_out);
}
