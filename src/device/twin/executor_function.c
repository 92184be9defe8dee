/* Functions on the twin's executor: instances come on demand, serve one call at a time, go when idle. A call costs a
 * fixed time, a cold start another; its output is its input, because the twin has no program to run. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "device/twin/executor_private.h"

enum { FUNCTIONS_MAX = 1000, CALLS_MAX = 10000, CALL_US = 4000, COLD_US = 120000 };

struct calling {
    struct deployed *f;
    struct device_request *q;
    struct timer timer;
    bool is_running, is_cold;
    int64_t begun_us;
    struct calling *next;
};

struct deployed {
    struct executor *x;
    struct exec_function in;
    struct calling *calls; /* in order of arrival */
    uint32_t n_calls;
    int64_t instances, busy;
    struct timer idle, told;
    struct deployed *next;
};

static struct deployed *deployed_find(const struct executor *x, const char *name) {
    struct deployed *f = x->functions;
    while (f && strcmp(f->in.function, name))
        f = f->next;
    return f;
}

static void call_start_next(struct deployed *f);

static void call_drop(struct calling *c) {
    struct deployed *f = c->f;
    struct calling **at = &f->calls;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    f->n_calls--;
    f->busy -= c->is_running;
    timer_cancel(f->x->b.host->loop, &c->timer);
    free(c);
}

static void tell(void *ctx) {
    const struct deployed *f = ctx;
    struct exec_instances x = {.instances = f->instances};
    str_copy(x.function, sizeof x.function, f->in.function);
    if (!f->x->is_cut)
        executor_instances(f->x->b.host, f->x->b.id, &x);
}

/* One at a time, as long as none is busy: the last instance keeps the function warm for its whole idle time. */
static void on_idle(void *ctx) {
    struct deployed *f = ctx;
    f->instances = f->busy;
    tell(f);
}

static void call_done_now(void *ctx) {
    struct calling *c = ctx;
    struct deployed *f = c->f;
    struct device_request *q = c->q;
    struct loop *l = f->x->b.host->loop;
    const struct exec_invoke *in = q->in;
    struct exec_invoked *out = q->out;
    if (!f->x->is_cut) {
        out->output = in->input ? doc_copy(&q->arena, in->input) : doc_null(&q->arena);
        out->cold = c->is_cold;
        out->wall_s = (double)(loop_now_us(l) - c->begun_us) * 1e-6;
        out->cpu_s = CALL_US * 1e-6;
        out->instances = f->instances;
    }
    bool is_silent = f->x->is_cut;
    call_drop(c);
    timer_in(l, &f->idle, f->in.idle_us, on_idle, f);
    call_start_next(f);
    if (is_silent)
        device_finish(q, err_set(&q->err, E_UNAVAIL, "the agent was cut off"));
    else
        device_finish(q, 0);
}

static void call_start_next(struct deployed *f) {
    struct loop *l = f->x->b.host->loop;
    for (struct calling *c = f->calls; c; c = c->next) {
        if (c->is_running)
            continue;
        if (f->busy == f->instances && f->instances >= f->in.instances_max)
            return;
        c->is_cold = f->busy == f->instances;
        f->instances += c->is_cold;
        f->busy++;
        c->is_running = true;
        c->begun_us = loop_now_us(l);
        timer_cancel(l, &f->idle);
        timer_in(l, &c->timer, CALL_US + (c->is_cold ? COLD_US : 0), call_done_now, c);
    }
}

int executor_deploy(struct executor *x, const struct exec_function *in, struct err *e) {
    struct deployed *f = deployed_find(x, in->function);
    size_t n = 0;
    for (const struct deployed *i = x->functions; i; i = i->next)
        n++;
    if (!f && n >= FUNCTIONS_MAX)
        return err_set(e, E_LIMIT, "%d functions are deployed, which is the limit", FUNCTIONS_MAX);
    if (!f) {
        f = calloc(1, sizeof *f);
        assert(f);
        f->x = x;
        f->next = x->functions;
        x->functions = f;
    }
    f->in = *in;
    timer_in(x->b.host->loop, &f->told, 0, tell, f);
    return 0;
}

static void calls_end(struct deployed *f, int code, const char *why) {
    timer_cancel(f->x->b.host->loop, &f->idle);
    while (f->calls) {
        struct device_request *q = f->calls->q;
        call_drop(f->calls);
        device_finish(q, err_set(&q->err, code, "%s", why));
    }
    f->instances = 0;
}

static void deployed_free(struct deployed *f) {
    struct deployed **at = &f->x->functions;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    timer_cancel(f->x->b.host->loop, &f->told);
    free(f);
}

void executor_retire(struct executor *x, const char *function) {
    struct deployed *f = deployed_find(x, function);
    if (!f)
        return;
    calls_end(f, E_CANCELLED, "the function was retired");
    deployed_free(f);
}

void executor_invoke(struct executor *x, struct device_request *q) {
    const struct exec_invoke *in = q->in;
    struct deployed *f = deployed_find(x, in->function);
    if (!f) {
        device_finish(q, err_set(&q->err, E_NOTFOUND, "no function %s is deployed here", in->function));
        return;
    }
    if (f->n_calls >= CALLS_MAX) {
        device_finish(q, err_set(&q->err, E_UNAVAIL, "%d calls of %s wait already", CALLS_MAX, in->function));
        return;
    }
    struct calling *c = calloc(1, sizeof *c), **at = &f->calls;
    assert(c);
    *c = (struct calling){.f = f, .q = q};
    while (*at)
        at = &(*at)->next;
    *at = c;
    f->n_calls++;
    call_start_next(f);
}

void executor_invoke_cancel(struct executor *x, struct device_request *q) {
    for (struct deployed *f = x->functions; f; f = f->next)
        for (struct calling *c = f->calls; c; c = c->next)
            if (c->q == q) {
                call_drop(c);
                call_start_next(f);
                return;
            }
}

void executor_functions_stop(struct executor *x) {
    for (struct deployed *f = x->functions; f; f = f->next) {
        calls_end(f, E_UNAVAIL, "the executor stopped its instances");
        timer_in(x->b.host->loop, &f->told, 0, tell, f);
    }
}

void executor_functions_free(struct executor *x) {
    while (x->functions)
        deployed_free(x->functions);
}
