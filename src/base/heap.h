/* Heap: a priority queue of the caller's nodes, ordered by (at, priority, sequence). The one ordering of the house:
 * timers of the loop and events of the world both use it, so equal times always fire in the same order.
 *
 * Two tiers. What comes soon lies in an 8-ary min-heap small enough for the cache; while there is little, that is all.
 * What comes later lies unsorted in lists, one for each (level, digit) where its time first differs from `last`, the
 * latest time the heap takes: `level` is the highest hexadecimal digit that differs. So a later time is always in a later
 * list, a push there is an append, and when the heap runs empty the first list becomes it (or, if long, is dealt to
 * the lists of lower levels). Cost: a node moves at most once a level, typically twice; push, remove and pop are
 * O(log n) amortised for any times, past ones and equal ones too. The node must not move, nor its time, while it is in. */
#ifndef SUAN_BASE_HEAP_H
#define SUAN_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t at;
    uint64_t sequence;  /* set by heap_push */
    uint32_t index;     /* position in its heap or list + 1; 0 = in none */
    int32_t priority;   /* lower fires first at the same time */
};

struct heap_list {
    struct heap_slot *slots; /* times beside the pointers: no cache miss to compare */
    size_t n, cap;
};

enum { HEAP_LEVELS = 16, HEAP_DIGITS = 16 };
struct heap {
    struct heap_list near;                  /* the heap: all up to `last`, or simply all when there are no lists */
    struct heap_list *later;                /* HEAP_LEVELS x HEAP_DIGITS lists, or NULL: never needed so far */
    uint16_t filled[HEAP_LEVELS];           /* by level, a bit for each digit whose list is not empty */
    bool is_split;
    uint64_t last;                          /* as a key: the time with its sign bit turned, so that order is unsigned */
    size_t n;                               /* of both tiers */
    uint64_t next_sequence;
};

void heap_push(struct heap *h, struct heap_node *node);
void heap_remove(struct heap *h, struct heap_node *node);
struct heap_node *heap_min(const struct heap *h); /* NULL when empty */
struct heap_node *heap_pop(struct heap *h);
void heap_free(struct heap *h);

#endif
