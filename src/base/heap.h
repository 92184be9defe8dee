/* Heap: an intrusive 8-ary min-heap, ordered by (at, priority, sequence). The one ordering of the house:
 * timers of the loop and events of the world both use it, so equal times always fire in the same order.
 * Cost: push and pop touch log8(n) nodes. The node must not move while it is in. */
#ifndef SUAN_BASE_HEAP_H
#define SUAN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t at;
    uint64_t sequence;  /* set by heap_push */
    uint32_t index;     /* position + 1; 0 = not in a heap */
    int32_t priority;   /* lower fires first at the same time */
};

struct heap {
    struct heap_slot *slots; /* times beside the pointers: no cache miss to compare */
    size_t n, cap;
    uint64_t next_sequence;
};

void heap_push(struct heap *h, struct heap_node *node);
void heap_remove(struct heap *h, struct heap_node *node);
struct heap_node *heap_min(const struct heap *h); /* NULL when empty */
struct heap_node *heap_pop(struct heap *h);
void heap_free(struct heap *h);

#endif
