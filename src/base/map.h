/* Map: string (or bytes, or u64) -> pointer-sized value. Open addressing with linear probing over a
 * keyed hash (SipHash-1-3, seeded per process by the caller) so that names chosen by a stranger cannot make it slow.
 * Keys are NOT copied: they must live as long as the entry. Iteration order is insertion order as long
 * as nothing is deleted (a deletion moves the last entry into the hole), so it is deterministic. */
#ifndef SUAN_BASE_MAP_H
#define SUAN_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_entry {
    const char *key;
    size_t key_size;
    uint64_t hash;
    union {
        void *ptr;
        uint64_t num;
    } value;
};

struct map {
    struct map_entry *entries; /* dense, n used */
    uint32_t *slots;           /* index + 1, 0 = empty */
    size_t n, cap, nslots;
    uint64_t seed[2];
};

struct map_entry *map_get(const struct map *m, const char *key); /* NULL when absent */
struct map_entry *map_get_n(const struct map *m, const char *key, size_t size);
struct map_entry *map_put(struct map *m, const char *key, bool *is_new); /* existing or new (value zero) */
struct map_entry *map_put_n(struct map *m, const char *key, size_t size, bool *is_new);
bool map_del(struct map *m, const char *key);
bool map_del_n(struct map *m, const char *key, size_t size);
void *map_ptr(const struct map *m, const char *key); /* value.ptr or NULL */
void map_free(struct map *m);
/* Seed an empty map with what the kernel drew for this process (AT_RANDOM): for keys that strangers choose. Nothing
 * visible depends on it: entries keep the order of insertion. */
void map_seed(struct map *m);

#endif
