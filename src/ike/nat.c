/* nat.c: NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP, RFC 7296 section 2.23. Over TCP the ports are TCP's
 * (K13); what is found changes no encapsulation there (K5). */
#include <string.h>

#include "ike/internal.h"

static bool hash(uint64_t spi_i, uint64_t spi_r, const struct address *address, uint8_t out[NAT_HASH_LENGTH]) {
    uint8_t octets[8 + 8 + 16 + 2];
    struct writer w = writer_over(octets, sizeof octets);
    writer_u64(&w, spi_i);
    writer_u64(&w, spi_r);
    writer_octets(&w, address->octets, address_octets(address));
    writer_u16(&w, address->port);
    struct span part = span_of(octets, w.length);
    return nat_hash(&part, 1, out);
}

bool nat_write(const struct ike_sa *sa, const struct turn *turn, uint64_t spi_r, struct message_writer *m) {
    uint8_t source[NAT_HASH_LENGTH], destination[NAT_HASH_LENGTH];
    if (!hash(sa->spi_i, spi_r, &turn->local, source) || !hash(sa->spi_i, spi_r, &turn->remote, destination))
        return false;
    if (sa->config->force_encapsulation) /* no address hashes to this: the peer sees a NAT and encapsulates */
        random_fill(&sa->random, source, sizeof source);
    notify_add(m, NOTIFY_NAT_DETECTION_SOURCE_IP, span_of(source, sizeof source));
    notify_add(m, NOTIFY_NAT_DETECTION_DESTINATION_IP, span_of(destination, sizeof destination));
    return true;
}

/* There may be several sources (a host with several addresses): one that matches is enough. */
static bool none_matches(const struct payload_list *list, uint16_t type, const uint8_t expected[NAT_HASH_LENGTH]) {
    bool seen = false;
    const struct payload *payload;
    for (size_t n = 0; (payload = payload_find(list, PAYLOAD_NOTIFY, n)) != NULL; n++) {
        struct notify notify;
        struct error ignored;
        if (!notify_read(payload->body, &notify, &ignored) || notify.type != type)
            continue;
        seen = true;
        if (span_equal(notify.data, span_of(expected, NAT_HASH_LENGTH)))
            return false;
    }
    return seen;
}

void nat_read(const struct ike_sa *sa, const struct turn *turn, const struct payload_list *list, uint64_t spi_r,
    bool *nat_local, bool *nat_remote) {
    uint8_t ours[NAT_HASH_LENGTH], theirs[NAT_HASH_LENGTH];
    *nat_local = *nat_remote = false;
    if (!hash(sa->spi_i, spi_r, &turn->local, ours) || !hash(sa->spi_i, spi_r, &turn->remote, theirs))
        return;
    *nat_local = none_matches(list, NOTIFY_NAT_DETECTION_DESTINATION_IP, ours);
    *nat_remote = none_matches(list, NOTIFY_NAT_DETECTION_SOURCE_IP, theirs);
}

bool nat_asked(const struct payload_list *list) {
    struct notify notify;
    return notify_find(list, NOTIFY_NAT_DETECTION_SOURCE_IP, &notify) ||
           notify_find(list, NOTIFY_NAT_DETECTION_DESTINATION_IP, &notify);
}

bool nat_seen(struct ike_sa *sa, const struct payload_list *list) {
    struct notify notify;
    if (!notify_find(list, NOTIFY_NAT_DETECTION_DESTINATION_IP, &notify) || notify.data.length != NAT_HASH_LENGTH)
        return false;
    bool changed = sa->has_seen_as && !span_equal(notify.data, span_of(sa->seen_as, NAT_HASH_LENGTH));
    memcpy(sa->seen_as, notify.data.at, NAT_HASH_LENGTH);
    sa->has_seen_as = true;
    return changed;
}
