/* Arena: memory of one request, one tick or one parse, given back all at once.
 *
 * Blocks are chained and grow geometrically (4 KiB .. 1 MiB); arena_reset keeps the largest.
 * Allocation is a pointer bump (about 2 ns); nothing is freed alone. Allocation never returns NULL:
 * when the operating system has no memory left the process ends with a message (a control plane
 * that limps on without memory is worse than one that restarts and re-attaches). What protects
 * against hostile sizes is a limit where input enters, not here. */
#ifndef SUAN_BASE_ARENA_H
#define SUAN_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *block;
    size_t used_bytes; /* handed out since the last reset */
};

#define ARENA_INIT ((struct arena){0})

void *arena_alloc(struct arena *a, size_t size);        /* 16-byte aligned, not cleared */
void *arena_zalloc(struct arena *a, size_t size);       /* cleared */
void *arena_copy(struct arena *a, const void *p, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))

#endif
