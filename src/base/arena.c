#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_FIRST = 4096, BLOCK_MOST = 1 << 20, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used; /* of data */
    _Alignas(ALIGN) unsigned char data[];
};

static void out_of_memory(size_t size) {
    fprintf(stderr, "suan: out of memory: %zu bytes refused\n", size);
    abort();
}

void *arena_alloc(struct arena *a, size_t size) {
    if (size > SIZE_MAX / 2)
        out_of_memory(size);
    size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (!size)
        size = ALIGN;
    struct arena_block *b = a->block;
    if (!b || b->size - b->used < size) {
        size_t want = b ? b->size * 2 : BLOCK_FIRST;
        if (want > BLOCK_MOST)
            want = BLOCK_MOST;
        if (want < size)
            want = size;
        struct arena_block *fresh = malloc(sizeof *fresh + want);
        if (!fresh)
            out_of_memory(want);
        fresh->next = b;
        fresh->size = want;
        fresh->used = 0;
        a->block = b = fresh;
    }
    void *p = b->data + b->used;
    b->used += size;
    a->used_bytes += size;
    return p;
}

void *arena_zalloc(struct arena *a, size_t size) {
    void *p = arena_alloc(a, size);
    memset(p, 0, size);
    return p;
}

void *arena_copy(struct arena *a, const void *p, size_t size) {
    void *to = arena_alloc(a, size);
    if (size)
        memcpy(to, p, size);
    return to;
}

char *arena_strndup(struct arena *a, const char *s, size_t n) {
    char *to = arena_alloc(a, n + 1);
    if (n)
        memcpy(to, s, n);
    to[n] = '\0';
    return to;
}

char *arena_strdup(struct arena *a, const char *s) { return arena_strndup(a, s, strlen(s)); }

char *arena_printf(struct arena *a, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
    vsnprintf(to, (size_t)(n < 0 ? 0 : n) + 1, format, again);
    va_end(again);
    return to;
}

void arena_reset(struct arena *a) {
    struct arena_block *keep = NULL;
    for (struct arena_block *b = a->block, *next; b; b = next) {
        next = b->next;
        if (!keep || b->size > keep->size) {
            free(keep);
            keep = b;
        } else {
            free(b);
        }
    }
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->block = keep;
    a->used_bytes = 0;
}

void arena_free(struct arena *a) {
    for (struct arena_block *b = a->block, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = ARENA_INIT;
}
