#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/vec.h"

/* Times lie beside the pointers, so a comparison of different times touches no node; eight children are two cache lines.
 * Above NEAR_MAX nodes the far ones are put aside: what a large heap costs is writing the index of nodes that are not in
 * the cache, one a level. A list up to NEAR_MAX becomes the heap as it is. */
enum { ARITY = 8, NEAR_MAX = 4096, NEAR_ALL = NEAR_MAX / 2, AHEAD = 8 };
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

static void put(struct heap_list *h, size_t i, struct heap_slot s) {
    h->slots[i] = s;
    s.node->index = (uint32_t)(i + 1);
}

static void up(struct heap_list *h, size_t i, struct heap_slot s) {
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

static void down(struct heap_list *h, size_t i, struct heap_slot s) {
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

static void append(struct heap_list *l, struct heap_slot s) {
    if (l->n == l->cap)
        l->slots = vec_grow_bytes(l->slots, &l->cap, l->n + 1, sizeof *l->slots);
    put(l, l->n++, s);
}

static void near_push(struct heap_list *near, struct heap_slot s) {
    append(near, s);
    up(near, near->n - 1, s);
}

static void near_remove(struct heap_list *near, size_t i) {
    struct heap_slot last = near->slots[--near->n];
    if (i == near->n)
        return;
    if (i && less(&last, &near->slots[(i - 1) / ARITY]))
        up(near, i, last);
    else
        down(near, i, last);
}

/* -- the lists of what comes later -- */

static uint64_t key_of(int64_t at) { return (uint64_t)at ^ UINT64_C(1) << 63; }

static bool is_near(const struct heap *h, int64_t at) { return !h->is_split || key_of(at) <= h->last; }

/* Where a later time lies: level x HEAP_DIGITS + digit. */
static size_t place_of(const struct heap *h, int64_t at) {
    uint64_t key = key_of(at);
    unsigned level = (unsigned)(63 - __builtin_clzll(key ^ h->last)) / 4;
    return level * HEAP_DIGITS + (key >> 4 * level & (HEAP_DIGITS - 1));
}

static void later_push(struct heap *h, struct heap_slot s) {
    size_t place = place_of(h, s.at);
    append(&h->later[place], s);
    h->filled[place / HEAP_DIGITS] |= (uint16_t)(1u << place % HEAP_DIGITS);
}

static void later_remove(struct heap *h, size_t place, size_t i) {
    struct heap_list *l = &h->later[place];
    struct heap_slot last = l->slots[--l->n];
    if (i < l->n)
        put(l, i, last);
    if (!l->n)
        h->filled[place / HEAP_DIGITS] &= (uint16_t)~(1u << place % HEAP_DIGITS);
}

/* Each to its tier. The nodes are anywhere in memory: they are asked for some ahead. */
static void deal(struct heap *h, const struct heap_list *from) {
    for (size_t i = 0; i < from->n; i++) {
        if (i + AHEAD < from->n)
            __builtin_prefetch(from->slots[i + AHEAD].node, 1);
        if (is_near(h, from->slots[i].at))
            near_push(&h->near, from->slots[i]);
        else
            later_push(h, from->slots[i]);
    }
}

/* The heap has grown past NEAR_MAX: all but its first instant become lists. */
static void split(struct heap *h) {
    struct heap_list all = h->near;
    h->near = (struct heap_list){0};
    if (!h->later) {
        size_t cap = 0, n = HEAP_LEVELS * HEAP_DIGITS;
        h->later = vec_grow_bytes(NULL, &cap, n, sizeof *h->later);
        memset(h->later, 0, n * sizeof *h->later);
    }
    h->is_split = true;
    h->last = key_of(all.slots[0].at);
    deal(h, &all);
    free(all.slots);
}

/* The heap is empty: the first list becomes it. A long one is dealt to lower levels first, where its first digit's list
 * is looked at in turn; at level 0 all have one time and there is nothing to deal. */
static void refill(struct heap *h) {
    while (!h->near.n && h->n) {
        unsigned level = 0;
        while (!h->filled[level])
            level++;
        unsigned digit = (unsigned)__builtin_ctz(h->filled[level]);
        struct heap_list *l = &h->later[level * HEAP_DIGITS + digit], from = *l;
        *l = (struct heap_list){0};
        h->filled[level] &= (uint16_t)~(1u << digit);
        uint64_t low = (UINT64_C(1) << 4 * level) - 1;
        uint64_t first = key_of(from.slots[0].at) & ~low;
        h->last = from.n <= NEAR_MAX ? first | low : first;
        deal(h, &from);
        free(from.slots);
    }
    if (h->near.n == h->n && h->n <= NEAR_ALL)
        h->is_split = false;
}

/* -- both -- */

void heap_push(struct heap *h, struct heap_node *node) {
    assert(!node->index);
    node->sequence = ++h->next_sequence;
    struct heap_slot s = {node->at, node};
    h->n++;
    if (!is_near(h, s.at)) {
        later_push(h, s);
        return;
    }
    near_push(&h->near, s);
    if (!h->is_split && h->n > NEAR_MAX)
        split(h);
}

void heap_remove(struct heap *h, struct heap_node *node) {
    assert(node->index);
    size_t i = node->index - 1;
    h->n--;
    if (is_near(h, node->at)) {
        assert(h->near.slots[i].node == node);
        near_remove(&h->near, i);
    } else {
        size_t place = place_of(h, node->at);
        assert(h->later[place].slots[i].node == node);
        later_remove(h, place, i);
    }
    node->index = 0;
    if (h->is_split && !h->near.n)
        refill(h);
}

struct heap_node *heap_min(const struct heap *h) { return h->near.n ? h->near.slots[0].node : NULL; }

struct heap_node *heap_pop(struct heap *h) {
    struct heap_node *node = heap_min(h);
    if (node)
        heap_remove(h, node);
    return node;
}

void heap_free(struct heap *h) {
    free(h->near.slots);
    for (size_t i = 0; h->later && i < HEAP_LEVELS * HEAP_DIGITS; i++)
        free(h->later[i].slots);
    free(h->later);
    *h = (struct heap){0};
}
