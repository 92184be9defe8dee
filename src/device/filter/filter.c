#include "device/filter/filter.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int filter_open(const struct filter_row *row, struct host *h, oid id, const struct doc *options, struct backend *under,
                struct backend **out, struct err *e) {
    char stream[ESTATE_PATH + 40], path[ESTATE_PATH];
    struct filter *f = calloc(1, row->size);
    assert(f && under);
    estate_path(h->estate, id, path);
    snprintf(stream, sizeof stream, "filter/%s/%s", row->name, path);
    f->row = row;
    f->under = under;
    f->rng = rng_fork(&h->rng, stream);
    f->b = (struct backend){.host = h, .id = id};
    int rc = 0;
    struct doc none = {.type = DOC_MAP};
    void *at = (char *)f + row->options_at;
    if (row->options) {
        table_defaults(row->options, at);
        rc = table_read(row->options, at, options ? options : &none, row->name, NULL, TABLE_CREATE, e);
    } else if (options && options->list.n) {
        rc = err_set(e, E_INVAL, "%s takes no options", row->name);
    }
    if (!rc && row->opened)
        rc = row->opened(f, e);
    if (rc)
        free(f);
    else
        *out = &f->b;
    return rc;
}

static void unlink_call(struct call_through *c) {
    if (!c->filter)
        return;
    timer_cancel(c->filter->b.host->loop, &c->timer);
    *c->from = c->next;
    if (c->next)
        c->next->from = c->from;
    c->filter->n_calls--;
    c->filter = NULL;
}

/* The outer request is over. The call goes with it, unless the inner one still has to come back. */
static void forget(struct call_through *c) {
    c->outer = NULL;
    unlink_call(c);
    if (c->is_below)
        device_cancel(&c->inner);
    else
        free(c);
}

void filter_end(struct call_through *c, int rc) {
    struct device_request *outer = c->outer;
    forget(c);
    device_finish(outer, rc);
}

static void on_inner(struct device_request *inner, int rc) {
    struct call_through *c = inner->ctx;
    c->is_below = false;
    if (!c->outer) {
        free(c);
        return;
    }
    c->outer->err = inner->err;
    arena_free(&c->outer->arena); /* of an earlier try */
    c->outer->arena = device_documents(inner);
    if (c->filter->row->answered)
        c->filter->row->answered(c->filter, c, rc);
    else
        filter_end(c, rc);
}

void filter_pass(struct call_through *c, int64_t within_us) {
    struct device_request *o = c->outer;
    assert(!c->is_below);
    c->is_below = true;
    c->tries++;
    c->inner = (struct device_request){.cls = o->cls,
                                       .verb = o->verb,
                                       .in = o->in,
                                       .out = o->out,
                                       .done = on_inner,
                                       .ctx = c,
                                       .id = o->id,
                                       .deadline_us = DEVICE_NO_DEADLINE};
    if (within_us)
        c->inner.deadline_us = loop_now_us(c->filter->b.host->loop) + within_us;
    backend_submit(c->filter->under, &c->inner);
}

static void on_later(void *ctx) {
    struct call_through *c = ctx;
    c->later(c->filter, c);
}

void filter_later(struct call_through *c, int64_t delay_us, void (*later)(struct filter *f, struct call_through *c)) {
    c->later = later;
    timer_in(c->filter->b.host->loop, &c->timer, delay_us, on_later, c);
}

bool filter_may_repeat(const struct verb *v) {
    return v->flags & (VERB_READ | VERB_IDEMPOTENT);
}

void filter_submit(struct backend *b, struct device_request *r) {
    struct filter *f = (struct filter *)b;
    if (f->n_calls >= FILTER_CALLS_MAX) {
        device_finish(r, err_set(&r->err, E_LIMIT, "%s: %d requests wait already", f->row->name, FILTER_CALLS_MAX));
        return;
    }
    struct call_through *c = calloc(1, sizeof *c);
    assert(c);
    c->filter = f;
    c->outer = r;
    c->begun_us = loop_now_us(b->host->loop);
    c->next = f->calls;
    c->from = &f->calls;
    if (f->calls)
        f->calls->from = &c->next;
    f->calls = c;
    f->n_calls++;
    r->backend_ctx = c;
    if (f->row->asked)
        f->row->asked(f, c);
    else
        filter_pass(c, 0);
}

void filter_cancel(struct backend *b, struct device_request *r) {
    struct filter *f = (struct filter *)b;
    struct call_through *c = r->backend_ctx;
    if (f->row->given_up)
        f->row->given_up(f, c, r->err.code == E_TIMEOUT ? E_TIMEOUT : E_CANCELLED);
    forget(c);
}

void filter_close(struct backend *b) {
    struct filter *f = (struct filter *)b;
    while (f->calls)
        filter_end(f->calls, E_CANCELLED);
    if (f->row->closed)
        f->row->closed(f);
    free(f);
}
