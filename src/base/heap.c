#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/vec.h"

/* Keys lie beside the pointers, so a comparison touches no node. Time, then priority and sequence in one word. */
struct heap_slot {
    int64_t at;
    uint64_t tie; /* priority (biased) in the top 16 bits, sequence below */
    struct heap_node *node;
};

static bool less(const struct heap_slot *a, const struct heap_slot *b) {
    return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

static void put(struct heap *h, size_t i, struct heap_slot s) {
    h->slots[i] = s;
    s.node->index = (uint32_t)(i + 1);
}

static void up(struct heap *h, size_t i, struct heap_slot s) {
    while (i) {
        size_t parent = (i - 1) / 4;
        if (!less(&s, &h->slots[parent]))
            break;
        put(h, i, h->slots[parent]);
        i = parent;
    }
    put(h, i, s);
}

static void down(struct heap *h, size_t i, struct heap_slot s) {
    for (;;) {
        size_t first = 4 * i + 1, best = first;
        if (first >= h->n)
            break;
        size_t end = first + 4 < h->n ? first + 4 : h->n;
        for (size_t k = first + 1; k < end; k++)
            if (less(&h->slots[k], &h->slots[best]))
                best = k;
        if (!less(&h->slots[best], &s))
            break;
        put(h, i, h->slots[best]);
        i = best;
    }
    put(h, i, s);
}

void heap_push(struct heap *h, struct heap_node *node) {
    assert(!node->index);
    assert(node->priority >= -32768 && node->priority < 32768);
    node->sequence = ++h->next_sequence;
    if (h->n == h->cap)
        h->slots = vec_grow_bytes(h->slots, &h->cap, h->n + 1, sizeof *h->slots);
    struct heap_slot s = {node->at, (uint64_t)(node->priority + 32768) << 48 | (node->sequence & 0xffffffffffff), node};
    up(h, h->n++, s);
}

void heap_remove(struct heap *h, struct heap_node *node) {
    assert(node->index && h->slots[node->index - 1].node == node);
    size_t i = node->index - 1;
    struct heap_slot last = h->slots[--h->n];
    node->index = 0;
    if (last.node == node)
        return;
    if (i && less(&last, &h->slots[(i - 1) / 4]))
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
