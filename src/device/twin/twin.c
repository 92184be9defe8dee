/* The world and its clockwork. */
#include "device/twin/twin.h"

#include <assert.h>
#include <stdlib.h>

struct twin {
    struct host *host;
    struct world_model *model;
    struct world *world;
    struct rng rng;
    struct timer timer;
};

static void on_time(void *ctx) {
    struct twin *t = ctx;
    struct loop *l = t->host->loop;
    world_advance(t->world, loop_now_us(l));
    timer_at(l, &t->timer, world_next_us(t->world), 0, on_time, t);
}

int twin_open(struct host *h, uint64_t seed, struct twin **out, struct err *e) {
    assert(!h->twin);
    struct world_model *m;
    int rc = world_compile(h->estate, &m, e);
    if (rc)
        return err_context(e, "the twin's world cannot be made from this estate");
    struct twin *t = calloc(1, sizeof *t);
    assert(t);
    struct rng root = rng_new(seed);
    t->host = h;
    t->model = m;
    t->world = world_new(m, seed, loop_now_us(h->loop));
    t->rng = rng_fork(&root, "twin");
    h->twin = t;
    on_time(t);
    *out = t;
    return 0;
}

void twin_close(struct twin *t) {
    if (!t)
        return;
    timer_cancel(t->host->loop, &t->timer);
    t->host->twin = NULL;
    world_free(t->world);
    world_model_free(t->model);
    free(t);
}

/* What the caller changes can bring the next event forward, hence the second look: a timer for this very instant. */
struct world *twin_world(struct twin *t) {
    struct loop *l = t->host->loop;
    world_advance(t->world, loop_now_us(l));
    timer_at(l, &t->timer, loop_now_us(l), 0, on_time, t);
    return t->world;
}

const struct world *twin_look(struct twin *t) {
    world_advance(t->world, loop_now_us(t->host->loop));
    return t->world;
}

const struct rng *twin_rng(const struct twin *t) {
    return &t->rng;
}
