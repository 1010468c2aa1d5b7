/* route_table.c: the sets of routes that there are, found by their owner and by what they lead to: a gateway has one for each client. */
#include <stdlib.h>

#include "host/internal.h"

static struct route_list *owner_bucket(struct host *h, uint32_t owner) {
    return &h->by_owner[owner % HOST_BUCKETS];
}

/* FNV-1a; prefixes come from peers that proved who they are. */
static struct route_prefix_list *prefix_bucket(struct host *h, const struct prefix *prefix) {
    uint32_t hash = (UINT32_C(2166136261) ^ prefix->length) * UINT32_C(16777619);
    for (size_t i = 0; i < address_octets(&prefix->address); i++)
        hash = (hash ^ prefix->address.octets[i]) * UINT32_C(16777619);
    return &h->by_prefix[hash % HOST_BUCKETS];
}

struct route_entry *route_new(const struct host_route_set *set, bool leads_nowhere) {
    size_t remotes = leads_nowhere ? 0 : set->remotes;
    struct route_entry *entry =
        calloc(1, sizeof *entry + remotes * sizeof entry->remote[0] + set->locals * sizeof *entry->local);
    if (entry == NULL)
        return NULL;
    entry->owner = set->owner;
    entry->source = set->source;
    entry->source6 = set->source6;
    entry->mtu = set->mtu;
    entry->advmss4 = set->advmss4;
    entry->advmss6 = set->advmss6;
    entry->remotes = remotes;
    entry->locals = set->locals;
    entry->local = (struct prefix *)(void *)&entry->remote[remotes];
    for (size_t i = 0; i < remotes; i++)
        entry->remote[i] = (struct route_prefix){.prefix = set->remote[i], .entry = entry};
    for (size_t i = 0; i < set->locals; i++)
        entry->local[i] = set->local[i];
    return entry;
}

struct route_entry *route_find(struct host *h, uint32_t owner) {
    struct route_entry *entry;
    LIST_FOREACH(entry, owner_bucket(h, owner), next) {
        if (entry->owner == owner)
            return entry;
    }
    return NULL;
}

const struct route_entry *route_with_prefix(struct host *h, const struct prefix *prefix, int index) {
    const struct route_prefix *one;
    LIST_FOREACH(one, prefix_bucket(h, prefix), next) {
        if (one->entry->index == index && prefix_equal(&one->prefix, prefix))
            return one->entry;
    }
    return NULL;
}

/* What rules and exceptions are wanted for; a table of its own needs none. */
static void count(struct host *h, const struct route_entry *entry, bool more) {
    for (size_t i = 0; i < entry->remotes && entry->table == 0; i++) {
        const struct prefix *p = &entry->remote[i].prefix;
        bool v6 = p->address.family == 6, wide = p->length > 0 && p->length < 8 * address_octets(&p->address);
        size_t *kind = p->length == 0 ? &h->whole[v6] : &h->specific[v6];
        *kind = more ? *kind + 1 : *kind - 1;
        if (wide)
            h->wide = more ? h->wide + 1 : h->wide - 1;
    }
}

static bool make_room(struct host *h) {
    if (h->entries < h->capacity)
        return true;
    size_t capacity = h->capacity != 0 ? 2 * h->capacity : 16;
    struct route_entry **longer = realloc(h->entry, capacity * sizeof(struct route_entry *));
    if (longer == NULL)
        return false;
    h->entry = longer;
    h->capacity = capacity;
    return true;
}

bool route_enter(struct host *h, struct route_entry *entry) {
    if (!make_room(h))
        return false;
    entry->at = h->entries;
    h->entry[h->entries++] = entry;
    LIST_INSERT_HEAD(owner_bucket(h, entry->owner), entry, next);
    for (size_t i = 0; i < entry->remotes; i++)
        LIST_INSERT_HEAD(prefix_bucket(h, &entry->remote[i].prefix), &entry->remote[i], next);
    count(h, entry, true);
    return true;
}

void route_leave(struct host *h, struct route_entry *entry) {
    struct route_entry *last = h->entry[--h->entries];
    h->entry[entry->at] = last;
    last->at = entry->at;
    LIST_REMOVE(entry, next);
    for (size_t i = 0; i < entry->remotes; i++)
        LIST_REMOVE(&entry->remote[i], next);
    count(h, entry, false);
}
