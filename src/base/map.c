#include "base/map.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/hash.h"
#include "base/vec.h"

void map_seed(struct map *m) {
    const void *drawn = (const void *)getauxval(AT_RANDOM);
    if (drawn)
        memcpy(m->seed, drawn, sizeof m->seed);
}

static uint64_t hash_of(const struct map *m, const char *key, size_t size) { return siphash13(key, size, m->seed); }

static size_t slot_of(const struct map *m, const char *key, size_t size, uint64_t h) {
    size_t mask = m->nslots - 1, i = h & mask;
    while (m->slots[i]) {
        const struct map_entry *e = &m->entries[m->slots[i] - 1];
        if (e->hash == h && e->key_size == size && !memcmp(e->key, key, size))
            break;
        i = (i + 1) & mask;
    }
    return i;
}

static void rehash(struct map *m, size_t nslots) {
    free(m->slots);
    m->slots = calloc(nslots, sizeof *m->slots);
    if (!m->slots)
        abort();
    m->nslots = nslots;
    for (size_t k = 0; k < m->n; k++) {
        size_t i = m->entries[k].hash & (nslots - 1);
        while (m->slots[i])
            i = (i + 1) & (nslots - 1);
        m->slots[i] = (uint32_t)(k + 1);
    }
}

struct map_entry *map_get_n(const struct map *m, const char *key, size_t size) {
    if (!m->n)
        return NULL;
    size_t i = slot_of(m, key, size, hash_of(m, key, size));
    return m->slots[i] ? &m->entries[m->slots[i] - 1] : NULL;
}

struct map_entry *map_get(const struct map *m, const char *key) { return map_get_n(m, key, strlen(key)); }

struct map_entry *map_put_n(struct map *m, const char *key, size_t size, bool *is_new) {
    if (m->nslots < 2 * (m->n + 1))
        rehash(m, m->nslots ? m->nslots * 2 : 16);
    uint64_t h = hash_of(m, key, size);
    size_t i = slot_of(m, key, size, h);
    if (is_new)
        *is_new = !m->slots[i];
    if (m->slots[i])
        return &m->entries[m->slots[i] - 1];
    if (m->n == m->cap)
        m->entries = vec_grow_bytes(m->entries, &m->cap, m->n + 1, sizeof *m->entries);
    m->entries[m->n] = (struct map_entry){.key = key, .key_size = size, .hash = h};
    m->slots[i] = (uint32_t)(++m->n);
    return &m->entries[m->n - 1];
}

struct map_entry *map_put(struct map *m, const char *key, bool *is_new) {
    return map_put_n(m, key, strlen(key), is_new);
}

/* Close the hole at slot i (Knuth 6.4 R): no tombstones, so look-ups stay short for ever. */
static void slot_clear(struct map *m, size_t i) {
    size_t mask = m->nslots - 1, j = i;
    for (;;) {
        m->slots[i] = 0;
        for (;;) {
            j = (j + 1) & mask;
            if (!m->slots[j])
                return;
            size_t home = m->entries[m->slots[j] - 1].hash & mask;
            if (((j - home) & mask) >= ((j - i) & mask))
                break;
        }
        m->slots[i] = m->slots[j];
        i = j;
    }
}

bool map_del_n(struct map *m, const char *key, size_t size) {
    if (!m->n)
        return false;
    size_t i = slot_of(m, key, size, hash_of(m, key, size));
    if (!m->slots[i])
        return false;
    size_t hole = m->slots[i] - 1, last = m->n - 1;
    slot_clear(m, i);
    if (hole != last) {
        const struct map_entry *moved = &m->entries[last];
        m->slots[slot_of(m, moved->key, moved->key_size, moved->hash)] = (uint32_t)(hole + 1);
        m->entries[hole] = *moved;
    }
    m->n--;
    return true;
}

bool map_del(struct map *m, const char *key) { return map_del_n(m, key, strlen(key)); }

void *map_ptr(const struct map *m, const char *key) {
    struct map_entry *e = map_get(m, key);
    return e ? e->value.ptr : NULL;
}

void map_free(struct map *m) {
    free(m->entries);
    free(m->slots);
    uint64_t s0 = m->seed[0], s1 = m->seed[1];
    *m = (struct map){.seed = {s0, s1}};
}
