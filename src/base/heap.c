#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/vec.h"

/* Times lie beside the pointers, so a comparison of different times touches no node; eight children are two cache lines,
 * and a tree of 100,000 has six levels: each level writes one node's index, which is what a pop costs. */
enum { ARITY = 8 };
struct heap_slot {
    int64_t at;
    struct heap_node *node;
};

static bool less(const struct heap_slot *a, const struct heap_slot *b) {
    if (a->at != b->at)
        return a->at < b->at;
    const struct heap_node *x = a->node, *y = b->node;
    return x->priority != y->priority ? x->priority < y->priority : x->sequence < y->sequence;
}

static void put(struct heap *h, size_t i, struct heap_slot s) {
    h->slots[i] = s;
    s.node->index = (uint32_t)(i + 1);
}

static void up(struct heap *h, size_t i, struct heap_slot s) {
    while (i) {
        size_t parent = (i - 1) / ARITY;
        if (!less(&s, &h->slots[parent]))
            break;
        put(h, i, h->slots[parent]);
        i = parent;
    }
    put(h, i, s);
}

/* The first in order of slots first … end-1. Times are compared without a branch, which would be a coin's toss each;
 * equal ones, which are rare, in a second look. */
static size_t least(const struct heap_slot *slots, size_t first, size_t end) {
    size_t best = first, same = 0;
    int64_t at = slots[first].at;
    for (size_t k = first + 1; k < end; k++) {
        bool is_less = slots[k].at < at;
        best = is_less ? k : best;
        at = is_less ? slots[k].at : at;
    }
    for (size_t k = first; k < end; k++)
        same += slots[k].at == at;
    for (size_t k = first; same > 1 && k < end; k++)
        if (less(&slots[k], &slots[best]))
            best = k;
    return best;
}

static void down(struct heap *h, size_t i, struct heap_slot s) {
    for (;;) {
        size_t first = ARITY * i + 1, best;
        if (first >= h->n)
            break;
        size_t end = first + ARITY < h->n ? first + ARITY : h->n;
        best = least(h->slots, first, end);
        if (!less(&h->slots[best], &s))
            break;
        put(h, i, h->slots[best]);
        i = best;
    }
    put(h, i, s);
}

void heap_push(struct heap *h, struct heap_node *node) {
    assert(!node->index);
    node->sequence = ++h->next_sequence;
    if (h->n == h->cap)
        h->slots = vec_grow_bytes(h->slots, &h->cap, h->n + 1, sizeof *h->slots);
    struct heap_slot s = {node->at, node};
    up(h, h->n++, s);
}

void heap_remove(struct heap *h, struct heap_node *node) {
    assert(node->index && h->slots[node->index - 1].node == node);
    size_t i = node->index - 1;
    struct heap_slot last = h->slots[--h->n];
    node->index = 0;
    if (last.node == node)
        return;
    if (i && less(&last, &h->slots[(i - 1) / ARITY]))
        up(h, i, last);
    else
        down(h, i, last);
}

struct heap_node *heap_min(const struct heap *h) { return h->n ? h->slots[0].node : NULL; }

struct heap_node *heap_pop(struct heap *h) {
    struct heap_node *node = heap_min(h);
    if (node)
        heap_remove(h, node);
    return node;
}

void heap_free(struct heap *h) {
    free(h->slots);
    *h = (struct heap){0};
}
