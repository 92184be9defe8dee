/* One request on its way through one backend: deadline, cancel, the deferred done(). Knows no table of devices. */
#include <assert.h>
#include <string.h>

#include "device/device.h"

const struct verb *device_verb(const struct device_class *cls, const char *name) {
    for (size_t i = 0; i < cls->nverbs; i++)
        if (!strcmp(cls->verbs[i].name, name))
            return &cls->verbs[i];
    return NULL;
}

/* done() may free the request, so the arena is taken out of it first. */
static void deliver(void *ctx) {
    struct device_request *r = ctx;
    struct arena a = r->arena;
    r->arena = ARENA_INIT;
    r->documents = &a;
    r->done(r, r->rc);
    arena_free(&a);
}

struct arena device_documents(struct device_request *r) {
    struct arena a = *r->documents;
    *r->documents = ARENA_INIT;
    return a;
}

void device_finish(struct device_request *r, int rc) {
    assert(!r->is_done);
    r->is_done = true;
    r->rc = rc;
    if (rc < 0 && !r->err.code)
        err_set(&r->err, rc, "%s %s: %s", r->verb->on, r->verb->name, err_name(rc));
    timer_cancel(r->backend->host->loop, &r->timer);
    loop_defer(r->backend->host->loop, deliver, r);
}

static void give_up(struct device_request *r, int rc) {
    if (r->backend->ops->cancel)
        r->backend->ops->cancel(r->backend, r);
    if (!r->is_done)
        device_finish(r, rc);
}

static void on_deadline(void *ctx) {
    struct device_request *r = ctx;
    err_set(&r->err, E_TIMEOUT, "%s %s: no answer in time", r->verb->on, r->verb->name);
    give_up(r, E_TIMEOUT);
}

void device_cancel(struct device_request *r) {
    if (!r->is_done && r->backend)
        give_up(r, E_CANCELLED);
}

void backend_submit(struct backend *b, struct device_request *r) {
    struct loop *l = b->host->loop;
    assert(r->out || !r->verb->out);
    assert(r->in || !r->verb->in);
    r->backend = b;
    r->is_done = false;
    err_clear(&r->err);
    if (r->out && r->verb->out)
        memset(r->out, 0, r->verb->out->size);
    if (r->deadline_us != DEVICE_NO_DEADLINE) {
        int64_t timeout_us = r->verb->timeout_us ? r->verb->timeout_us : 10000000;
        if (!r->deadline_us)
            r->deadline_us = loop_now_us(l) + timeout_us;
        timer_at(l, &r->timer, r->deadline_us, 0, on_deadline, r);
    }
    b->ops->submit(b, r);
}
