/* filter.c: strict reverse path filtering on the outer interface drops what the peer sends there, once a route into the
 * tunnel covers the peer's own address: the kernel asks for the way back without our mark. Seen and said, not changed. */
#include <stdio.h>

#include "host/internal.h"

#define STRICT 1

int rp_filter(const char *name) {
    char path[96];
    int value = 0;
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/rp_filter", name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%1d", &value) != 1)
        value = 0;
    fclose(file);
    return value;
}

void warn_of_strict_filter(struct host *h, const struct host_route_set *set) {
    struct route_found found;
    struct error ignored;
    char name[IF_NAMESIZE], text[ADDRESS_TEXT_MAX];
    bool covered = false;
    for (size_t i = 0; i < set->remotes; i++)
        covered = covered || (set->remote[i].address.family == set->outer_remote.family &&
                                 prefix_contains(&set->remote[i], &set->outer_remote));
    if (!covered || set->outer_remote.family != 4 || !route_lookup(h, &set->outer_remote, &found, &ignored) ||
        if_indextoname((unsigned)found.interface, name) == NULL)
        return;
    int all = rp_filter("all"), own = rp_filter(name);
    if ((all > own ? all : own) == STRICT)
        snprintf(h->warning, sizeof h->warning,
            "rp_filter is strict (1) on %s, so the kernel may drop what %s sends, whose address is routed into the "
            "tunnel; "
            "set net.ipv4.conf.%s.rp_filter=2",
            name, address_text(&set->outer_remote, text), name);
}
