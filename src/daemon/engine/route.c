/* route.c: selectors and transport of a peer that is up become routes with an MTU, as the monitor wants them. Pure. */
#include "daemon/engine/internal.h"

#include <string.h>

#define OUTER_MTU 1500u
#define UDP_HEADER 8u
#define HOST_TO_HOST_MTU 65000u /* the kernel cuts nothing before the tunnel, where pieces could not pass */
#define MTU_LEAST 1280u /* IPv6 wants so much */

static bool add_prefixes(const struct selector_list *list, struct prefix *out, size_t *count, struct error *err) {
    for (size_t i = 0; i < list->count; i++) {
        size_t room = HOST_PREFIXES_MAX - *count;
        size_t needed = range_prefixes(&list->selector[i].first, &list->selector[i].last, out + *count, room);
        if (needed > room)
            return fail(err, OURS, 0, "the traffic selectors need more than %d routes", HOST_PREFIXES_MAX);
        *count += needed;
    }
    return true;
}

/* Selectors of several Child SAs often name the same network. */
static void drop_doubles(struct prefix *list, size_t *count) {
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        size_t j = 0;
        while (j < kept && !prefix_equal(&list[j], &list[i]))
            j++;
        if (j == kept)
            list[kept++] = list[i];
    }
    *count = kept;
}

/* Over UDP a sealed packet must fit the outer network. Over a stream nothing must; the same keeps S7, and an SA may be
 * moved to UDP without a new MTU. */
static uint32_t tunnel_mtu(const struct peer_host_setup *setup, uint32_t tun_mtu) {
    if (setup->mtu != 0)
        return setup->mtu < tun_mtu ? setup->mtu : tun_mtu;
    uint32_t mtu = tun_mtu < TUN_MTU_DEFAULT ? tun_mtu : TUN_MTU_DEFAULT;
    uint32_t outer = (setup->outer_remote.family == 6 ? 40 : 20) + UDP_HEADER;
    uint32_t overhead = setup->overhead < 200 ? (uint32_t)setup->overhead : 200;
    if (mtu > OUTER_MTU - outer - overhead)
        mtu = OUTER_MTU - outer - overhead;
    return mtu < MTU_LEAST ? MTU_LEAST : mtu;
}

bool route_set_of(peer_id peer, const struct peer_host_setup *setup, uint32_t tun_mtu, struct host_route_set *out,
    struct error *err) {
    memset(out, 0, sizeof *out);
    out->owner = peer;
    if (setup->device != 0)
        (void)config_device_name(setup->device, out->device);
    if (!add_prefixes(&setup->remote, out->remote, &out->remotes, err) ||
        !add_prefixes(&setup->local, out->local, &out->locals, err))
        return false;
    drop_doubles(out->remote, &out->remotes);
    drop_doubles(out->local, &out->locals);
    if (setup->source_ip.family == 4)
        out->source = setup->source_ip;
    else if (setup->source_ip.family == 6)
        out->source6 = setup->source_ip;
    out->mtu = tunnel_mtu(setup, tun_mtu);
    uint32_t segment = out->mtu; /* TCP keeps to it in either mode */
    if (setup->host_to_host)
        out->mtu = HOST_TO_HOST_MTU;
    out->advmss4 = segment > 140 ? segment - 40 : 100;
    out->advmss6 = segment > 160 ? segment - 60 : 100;
    out->outer_remote = setup->outer_remote;
    return true;
}
