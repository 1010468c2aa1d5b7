/* policy.c: which SA an outbound inner packet takes. A hash table per length of prefix in one: a packet's destination is
 * looked up under each length that is in use, longest first, so ten thousand clients with an address each cost as much
 * as one. Narrower selectors win, then newer SAs. */
#include "peer/traffic.h"

#include <string.h>

/* The longest prefix that holds first..last. */
static uint8_t cover_length(const struct address *first, const struct address *last) {
    uint8_t length = 0;
    for (size_t i = 0; i < address_octets(first); i++) {
        uint8_t differ = first->octets[i] ^ last->octets[i];
        if (differ == 0) {
            length = (uint8_t)(length + 8);
            continue;
        }
        while (!(differ & 0x80)) {
            differ = (uint8_t)(differ << 1);
            length++;
        }
        break;
    }
    return length;
}

static uint64_t cover_key(const struct traffic *traffic, const struct address *address, uint8_t length) {
    uint8_t octets[18] = {address->family, length};
    memcpy(octets + 2, address->octets, length / 8);
    if (length % 8)
        octets[2 + length / 8] = address->octets[length / 8] & (uint8_t)(0xff << (8 - length % 8));
    return table_hash(traffic->policy.secret, octets, sizeof octets);
}

/* Among equal remote prefixes: the longest local one that is allowed, a protocol, fewer ports. */
static uint32_t narrowness_of(const struct selector_list *own, const struct selector *remote) {
    uint32_t local = 0;
    for (size_t i = 0; i < own->count; i++) {
        uint32_t length = cover_length(&own->selector[i].first, &own->selector[i].last);
        local = length > local ? length : local;
    }
    uint32_t ports = remote->port_first <= remote->port_last ? (uint32_t)(remote->port_last - remote->port_first) : 0;
    return local * 4 + (remote->protocol != 0) * 2 + (ports < 65535);
}

static bool entry_put(struct traffic *traffic, struct policy_entry *entry) {
    struct policy_entry *first = table_get(&traffic->policy, entry->key), *before = NULL;
    for (struct policy_entry *at = first; at && at->narrowness > entry->narrowness; at = at->next)
        before = at;
    entry->next = before ? before->next : first;
    if (before)
        before->next = entry;
    else if (!table_put(&traffic->policy, entry->key, entry))
        return false;
    traffic->covers[entry->family == 6][entry->length]++;
    return true;
}

void policy_enter(struct traffic *traffic, struct installed *installed) {
    if (installed->outbound)
        return;
    installed->outbound = true;
    const struct selector_list *list = esp_sa_config(installed->sa)->remote;
    for (size_t i = 0; i < list->count; i++) {
        const struct selector *remote = &list->selector[i];
        struct policy_entry *entry = &installed->entry[installed->entries];
        uint8_t length = cover_length(&remote->first, &remote->last);
        *entry = (struct policy_entry){
            .owner = installed,
            .key = cover_key(traffic, &remote->first, length),
            .family = remote->first.family,
            .length = length,
            .narrowness = narrowness_of(esp_sa_config(installed->sa)->local, remote),
        };
        if (entry_put(traffic, entry))
            installed->entries++;
    }
}

static void entry_take(struct traffic *traffic, struct policy_entry *entry) {
    struct policy_entry *first = table_get(&traffic->policy, entry->key);
    traffic->covers[entry->family == 6][entry->length]--;
    if (first == entry && !entry->next) {
        table_remove(&traffic->policy, entry->key);
        return;
    }
    if (first == entry) {
        if (!table_put(&traffic->policy, entry->key, entry->next))
            return; /* replacing needs no memory */
        return;
    }
    for (struct policy_entry *at = first; at; at = at->next)
        if (at->next == entry) {
            at->next = entry->next;
            return;
        }
}

void policy_leave(struct traffic *traffic, struct installed *installed) {
    for (size_t i = 0; i < installed->entries; i++)
        entry_take(traffic, &installed->entry[i]);
    installed->entries = 0;
    installed->outbound = false;
}

static struct installed *taker(
    const struct traffic *traffic, uint32_t device, const struct flow *flow, uint8_t length) {
    struct policy_entry *entry = table_get(&traffic->policy, cover_key(traffic, &flow->destination, length));
    for (; entry; entry = entry->next)
        if (entry->owner->device == device && esp_sa_takes(entry->owner->sa, flow))
            return entry->owner;
    return NULL;
}

/* What carries the SA itself: the kernel's own answers on its ports, which bear no mark, must not go through it. */
static bool is_outer(const struct carrier *carrier, const struct flow *flow) {
    uint8_t protocol = carrier->transport == TRANSPORT_UDP ? 17 : 6;
    return flow->protocol == protocol && flow->has_ports && flow->source.port == carrier->local.port &&
           flow->destination.port == carrier->remote.port && address_same_host(&flow->source, &carrier->local) &&
           address_same_host(&flow->destination, &carrier->remote);
}

/* Transport mode: false for what can't go so. */
static bool strip(const uint8_t *inner, size_t length, const struct flow *flow, struct traffic_route *route) {
    return !esp_sa_config(route->sa)->transport ||
           (!is_outer(route->carrier, flow) && esp_transport_strip(inner, length, &route->strip, &route->next_header));
}

/* Of an SA that the kernel has: its policy takes the packets before they get here, but for those on their way. And of one
 * that it will have in a moment. */
static const struct carrier nowhere = {.transport = TRANSPORT_NONE};

bool traffic_route(
    struct traffic *traffic, uint32_t device, const uint8_t *inner, size_t length, struct traffic_route *route) {
    struct flow flow;
    size_t total;
    if (!inner_parse(inner, length, &flow, &total))
        return false;
    const uint32_t *covers = traffic->covers[flow.destination.family == 6];
    for (int bits = flow.destination.family == 6 ? 128 : 32; bits >= 0; bits--) {
        if (covers[bits] == 0)
            continue;
        struct installed *installed = taker(traffic, device, &flow, (uint8_t)bits);
        if (!installed)
            continue;
        *route = (struct traffic_route){.sa = installed->sa,
            .anchor = installed->anchor->number,
            .carrier = installed->lent || installed->mute ? &nowhere : &installed->anchor->carrier};
        return strip(inner, length, &flow, route);
    }
    return false;
}

void traffic_sealed(struct traffic *traffic, const struct traffic_route *route, struct traffic_reports *reports) {
    if (!esp_sa_wants_rekey(route->sa))
        return;
    struct installed *installed = table_get(&traffic->by_spi, esp_sa_spi_in(route->sa));
    if (!installed || installed->soft_calls++ % REPORT_AGAIN != 0)
        return;
    struct traffic_report *report = report_add(reports, TRAFFIC_SOFT_EXPIRY);
    if (!report) {
        installed->soft_calls = 0; /* with the next packet */
        return;
    }
    report->anchor = route->anchor;
    report->spi_in = installed->spi_in;
}
