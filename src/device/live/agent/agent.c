/* Requests to agents and their answers: the backend's half. Who is connected is gate.c's matter. */
#include <stdlib.h>
#include <string.h>

#include "device/live/agent/gate.h"

static struct pending *pending_find(struct agent_peer *p, uint64_t number) {
    struct map_entry *x = map_get_n(&p->pending, (const char *)&number, sizeof number);
    return x ? x->value.ptr : NULL;
}

static void pending_drop(struct agent_peer *p, struct pending *x) {
    map_del_n(&p->pending, (const char *)&x->number, sizeof x->number);
    free(x);
}

/* Every request of this peer ends: the link has. */
void pending_fail(struct agent_peer *p, const char *why) {
    while (p->pending.n) {
        struct pending *x = p->pending.entries[p->pending.n - 1].value.ptr;
        struct device_request *r = x->r;
        pending_drop(p, x);
        r->backend_ctx = NULL;
        err_set(&r->err, E_UNAVAIL, "agent/%s: %s", p->name, why);
        device_finish(r, E_UNAVAIL);
    }
}

/* The answer's documents must live as long as the request, so they are copied into its arena. */
static int answer_read(struct device_request *r, const struct doc *out) {
    const struct table *t = r->verb->out;
    if (!t || !r->out)
        return 0;
    if (!out)
        return err_set(&r->err, E_INVAL, "the agent's answer has no body");
    struct doc *own = doc_copy(&r->arena, out);
    return table_read(t, r->out, own, "answer", NULL, TABLE_RESTORE, &r->err);
}

void pending_answer(struct agent_peer *p, const struct link_message *m) {
    struct pending *x = pending_find(p, m->number);
    if (!x)
        return; /* its asker gave up */
    struct device_request *r = x->r;
    pending_drop(p, x);
    r->backend_ctx = NULL;
    int rc = m->err.code;
    if (rc)
        r->err = m->err;
    else
        rc = answer_read(r, m->body);
    device_finish(r, rc);
}

/* -- backend -- */

static int backend_open(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                        struct err *e) {
    (void)h, (void)id, (void)under;
    if (options && options->list.n)
        return err_set(e, E_INVAL, "backend agent takes no options, but '%.40s' is given", options->list.first->key);
    *out = calloc(1, sizeof **out); /* all it needs is whose it is; the peer is looked up at use */
    return 0;
}

static void backend_close(struct backend *b) {
    struct agent_peer *p = gate_peer(b->host, b->id);
    if (p)
        pending_fail(p, "the device was closed");
    free(b);
}

static void backend_submit_call(struct backend *b, struct device_request *r) {
    struct agent_peer *p = gate_peer(b->host, b->id);
    struct arena a = ARENA_INIT;
    struct err e = {0};
    if (!p || !p->link) {
        err_set(&r->err, E_UNAVAIL, "agent/%s is not connected", estate_name(b->host->estate, b->id));
        device_finish(r, E_UNAVAIL);
        return;
    }
    int rc = p->pending.n >= PENDING_MAX ? err_set(&e, E_LIMIT, "%d requests wait for its answer already", PENDING_MAX) : 0;
    struct doc *in = !rc && r->verb->in && r->in ? table_write(r->verb->in, r->in, &a, NULL, 0) : NULL;
    uint64_t number = ++p->gate->last_number;
    if (!rc)
        rc = link_call(p->link, number, r->verb->name, in, &e);
    arena_free(&a);
    if (rc) {
        /* "Not now" is no verdict on what was asked. One message that can never be sent is. */
        bool never = rc == E_LIMIT && link_queued(p->link) < LINK_QUEUE_MAX && p->pending.n < PENDING_MAX;
        r->err = e;
        r->err.code = never ? rc : E_UNAVAIL;
        err_context(&r->err, "agent/%s", p->name);
        if (!never)
            metric_series(b->host->metrics, &agent_metrics[METRIC_REFUSED_FULL], p->name, NULL)->value++;
        device_finish(r, r->err.code);
        return;
    }
    struct pending *x = calloc(1, sizeof *x);
    bool is_new;
    x->number = number;
    x->r = r;
    r->backend_ctx = x;
    map_put_n(&p->pending, (const char *)&x->number, sizeof x->number, &is_new)->value.ptr = x;
    p->calls->value++;
}

static void backend_cancel(struct backend *b, struct device_request *r) {
    struct agent_peer *p = gate_peer(b->host, b->id);
    struct pending *x = r->backend_ctx;
    r->backend_ctx = NULL;
    if (p && x)
        pending_drop(p, x);
}

const struct backend_ops backend_agent = {
    .name = "agent",
    .cls = "executor",
    .open = backend_open,
    .close = backend_close,
    .submit = backend_submit_call,
    .cancel = backend_cancel,
    .options_doc = "None: the agent of the object's name dials in with its certificate.",
};
