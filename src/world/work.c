/* Work placed on nodes: each piece has so many core seconds left and a rate; when the rate of a node changes (cap,
 * heat, neighbours) what is left is settled and the end moves. Ends fire at their exact microsecond. */
#include "world/world_private.h"

static void work_settle(struct world *w, struct work *k) {
    double done = k->rate * ((double)(w->now_us - k->since_us) * 1e-6);
    k->left_core_s = done < k->left_core_s ? k->left_core_s - done : 0;
    k->since_us = w->now_us;
}

static void work_schedule(struct world *w, struct work *k) {
    if (k->event.index)
        heap_remove(&w->events, &k->event);
    if (k->rate <= 0 && k->left_core_s > 0)
        return; /* stands still; comes back with the next change */
    double us = k->left_core_s > 0 ? k->left_core_s / k->rate * 1e6 : 0;
    k->event.at = us < 9e17 ? w->now_us + (int64_t)(us + 0.5) : INT64_MAX / 2;
    heap_push(&w->events, &k->event);
}

void work_follow(struct world *w, uint32_t n) {
    const struct curve *c = &w->m->curves[w->m->n_curve[n]];
    double demand = 0;
    for (struct work *k = w->n_work[n]; k; k = k->next)
        demand += k->cores;
    double share = demand > 0 ? w->n_util[n] * c->cores / demand : 0;
    for (struct work *k = w->n_work[n]; k; k = k->next) {
        double rate = k->cores * (share < 1 ? share : 1);
        if (k->lost || (rate == k->rate && k->event.index))
            continue;
        work_settle(w, k);
        k->rate = rate;
        work_schedule(w, k);
    }
}

void work_lose(struct world *w, uint32_t n) {
    for (struct work *k = w->n_work[n]; k; k = k->next) {
        if (k->lost)
            continue;
        work_settle(w, k);
        k->lost = true;
        k->rate = 0;
        if (k->event.index)
            heap_remove(&w->events, &k->event);
        k->event.at = w->now_us;
        heap_push(&w->events, &k->event);
    }
}

static void work_unlink(struct world *w, struct work *k) {
    struct work **at = &w->n_work[k->node];
    while (*at != k)
        at = &(*at)->next;
    *at = k->next;
    w->n_works--;
}

bool work_fire(struct world *w, struct heap_node *ev) {
    struct work *k = (struct work *)(void *)((char *)ev - offsetof(struct work, event));
    uint32_t node = k->node;
    work_unlink(w, k);
    rack_settle(w, w->m->n_rack[node]);
    if (k->fn)
        k->fn(k->ctx, k->handle, !k->lost);
    free(k);
    return true;
}

int64_t world_work(struct world *w, oid node, double cores, double work_core_s, world_work_fn *fn, void *ctx) {
    uint32_t n;
    if (world_thing(w->m, node, THING_NODE, &n, NULL) || !(cores > 0) || !(work_core_s >= 0))
        return E_INVAL;
    if (w->n_works >= WORK_MAX)
        return E_LIMIT;
    struct work *k = calloc(1, sizeof *k);
    if (!k)
        abort();
    *k = (struct work){.handle = ++w->next_handle,
                       .node = n,
                       .cores = cores,
                       .left_core_s = work_core_s,
                       .since_us = w->now_us,
                       .fn = fn,
                       .ctx = ctx};
    struct work **at = &w->n_work[n];
    while (*at)
        at = &(*at)->next;
    *at = k;
    w->n_works++;
    rack_settle(w, w->m->n_rack[n]);
    return k->handle;
}

void world_work_stop(struct world *w, int64_t handle) {
    for (uint32_t n = 0; n < w->m->n_nodes; n++)
        for (struct work *k = w->n_work[n]; k; k = k->next)
            if (k->handle == handle) {
                if (k->event.index)
                    heap_remove(&w->events, &k->event);
                work_unlink(w, k);
                free(k);
                rack_settle(w, w->m->n_rack[n]);
                return;
            }
}

/* The copy's work ends without telling anybody: a fork is for asking "what if", its ends are nobody's news. Events
 * are pushed in the order of the original's sequence so that equal times keep their order. */
static int work_order(const void *x, const void *y) {
    const struct work *a = *(struct work *const *)x, *b = *(struct work *const *)y;
    return a->event.sequence < b->event.sequence ? -1 : a->event.sequence > b->event.sequence;
}

void work_copy(struct world *to, const struct world *from) {
    struct work **queued = calloc(from->n_works + 1, sizeof(struct work *));
    if (!queued)
        abort();
    size_t n_queued = 0;
    for (uint32_t n = 0; n < from->m->n_nodes; n++) {
        struct work **at = &to->n_work[n];
        *at = NULL;
        for (const struct work *k = from->n_work[n]; k; k = k->next) {
            struct work *c = malloc(sizeof *c);
            if (!c)
                abort();
            *c = *k;
            c->fn = NULL;
            c->next = NULL;
            if (k->event.index)
                queued[n_queued++] = c;
            c->event.index = 0;
            *at = c;
            at = &c->next;
        }
    }
    qsort(queued, n_queued, sizeof(struct work *), work_order);
    to->events = (struct heap){0};
    for (size_t i = 0; i < n_queued; i++)
        heap_push(&to->events, &queued[i]->event);
    free(queued);
}

void work_free(struct world *w) {
    heap_free(&w->events);
    for (uint32_t n = 0; n < w->m->n_nodes; n++)
        for (struct work *k = w->n_work[n], *next; k; k = next) {
            next = k->next;
            free(k);
        }
}
