/* table.h: a hash table from numbers to pointers, keyed at random so that nobody can choose numbers that collide. */
#ifndef IKETCP_PEER_TABLE_H
#define IKETCP_PEER_TABLE_H

#include "base/base.h"

struct table_slot {
    uint64_t key;
    void *value; /* NULL: free */
};
struct table {
    uint64_t secret[2];
    struct table_slot *slot;
    size_t capacity, count; /* capacity: a power of two */
};

void table_init(struct table *, const uint64_t secret[2]);
void table_free(struct table *);
void *table_get(const struct table *, uint64_t key); /* NULL: not there */
MUST_USE bool table_put(struct table *, uint64_t key, void *value); /* replaces; false: no memory */
void table_remove(struct table *, uint64_t key);
/* SipHash-1-3 of octets under the table's secret, for keys that are longer than a number. */
uint64_t table_hash(const uint64_t secret[2], const void *octets, size_t length);

#endif
