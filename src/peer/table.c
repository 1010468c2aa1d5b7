/* table.c: open addressing with linear probing; a removal shifts what follows back, so there are no tombstones. */
#include "peer/table.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_FIRST ((size_t)16)

static uint64_t rotate(uint64_t value, unsigned by) {
    return value << by | value >> (64 - by);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t table_hash(const uint64_t secret[2], const void *octets, size_t length) {
    uint64_t v[4] = {secret[0] ^ UINT64_C(0x736f6d6570736575), secret[1] ^ UINT64_C(0x646f72616e646f6d),
        secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ UINT64_C(0x7465646279746573)};
    const uint8_t *at = octets;
    for (size_t done = 0; done <= length; done += 8) {
        uint64_t word = 0;
        size_t part = length - done < 8 ? length - done : 8;
        if (part > 0)
            memcpy(&word, at + done, part);
        if (part < 8)
            word |= (uint64_t)length << 56;
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void table_init(struct table *table, const uint64_t secret[2]) {
    *table = (struct table){.secret = {secret[0], secret[1]}};
}

void table_free(struct table *table) {
    free(table->slot);
    table->slot = NULL;
    table->capacity = table->count = 0;
}

static size_t home(const struct table *table, uint64_t key) {
    return (size_t)table_hash(table->secret, &key, sizeof key) & (table->capacity - 1);
}

/* Where the key is, or the free slot where it would be. There is always a free one. */
static size_t find(const struct table *table, uint64_t key) {
    size_t at = home(table, key);
    while (table->slot[at].value && table->slot[at].key != key)
        at = (at + 1) & (table->capacity - 1);
    return at;
}

void *table_get(const struct table *table, uint64_t key) {
    return table->capacity ? table->slot[find(table, key)].value : NULL;
}

static bool grow(struct table *table) {
    struct table old = *table;
    size_t capacity = old.capacity ? old.capacity * 2 : TABLE_FIRST;
    struct table_slot *slot = calloc(capacity, sizeof *slot);
    if (!slot)
        return false;
    table->slot = slot;
    table->capacity = capacity;
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slot[i].value)
            table->slot[find(table, old.slot[i].key)] = old.slot[i];
    free(old.slot);
    return true;
}

bool table_put(struct table *table, uint64_t key, void *value) {
    if (!table_get(table, key) && (table->count + 1) * 2 > table->capacity && !grow(table))
        return false;
    struct table_slot *slot = &table->slot[find(table, key)];
    table->count += slot->value == NULL;
    *slot = (struct table_slot){.key = key, .value = value};
    return true;
}

void table_remove(struct table *table, uint64_t key) {
    if (!table->capacity)
        return;
    size_t mask = table->capacity - 1, hole = find(table, key);
    if (!table->slot[hole].value)
        return;
    table->count--;
    for (size_t at = (hole + 1) & mask; table->slot[at].value; at = (at + 1) & mask) {
        size_t from = home(table, table->slot[at].key);
        if (((at - from) & mask) < ((at - hole) & mask))
            continue; /* its home lies behind the hole */
        table->slot[hole] = table->slot[at];
        hole = at;
    }
    table->slot[hole] = (struct table_slot){0};
}
