#include "device/twin/instrument.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PENDING_MAX = 64 };
#define TAIL_MAX 20.0 /* means; an answer that is later than that is a lost one */

/* Mute: carried out, and the answer is lost. Silent: the request itself is lost. */
enum fate { FATE_ANSWERED, FATE_MUTE, FATE_SILENT };

struct pending {
    struct instrument *at;
    struct device_request *request; /* NULL: the asker has given up */
    const struct instrument_verb *verb;
    struct timer timer;
    enum fate fate;
    bool is_read;
    struct pending *next, **from;
    _Alignas(16) char in[];
};

#define S struct instrument_options
static const struct field option_fields[] = {
    FIELD_SPAN(S, latency_us, .max = 600e6, .unit = "us", .doc = "Least time of an answer; 0 is the class's own."),
    FIELD_REAL(S, loss_ratio, .unit = "1", .min = 0, .max = 1, .dflt = "0.0005", .doc = "Share without an answer."),
    FIELD_REAL(S, stuck_ratio, .unit = "1", .min = 0, .max = 1, .dflt = "0.0005", .doc = "Share of stuck switchings."),
};
#undef S
static const struct table option_table =
    TABLE(instrument_options, option_fields, "Options of the backends named twin.");
const char instrument_options_doc[] = "latency_us=SPAN (least time of an answer), loss_ratio=0..1 (requests without an "
                                      "answer), stuck_ratio=0..1 (switchings acknowledged and not carried out)";

int instrument_open(struct host *h, oid id, const struct doc *options, const struct instrument_row *row,
                    struct backend **out, struct err *e) {
    struct instrument_options o = {0};
    char path[ESTATE_PATH];
    table_defaults(&option_table, &o);
    int rc = table_read(&option_table, &o, options, "backend", NULL, TABLE_CREATE, e);
    if (rc)
        return rc;
    if (!h->twin) {
        err_set(e, E_STATE, "the backend is 'twin', and no twin runs in this process");
        err_hint(e, "start with the twin, or name a live backend");
        return E_STATE;
    }
    struct instrument *i = calloc(1, sizeof *i);
    assert(i);
    estate_path(h->estate, id, path);
    struct rng mine = rng_fork(twin_rng(h->twin), path);
    struct rng gain = rng_fork(&mine, "gain");
    i->row = row;
    i->options = o;
    i->late = rng_fork(&mine, "late");
    i->loss = rng_fork(&mine, "loss");
    i->stuck = rng_fork(&mine, "stuck");
    i->noise = rng_fork(&mine, "noise");
    i->gain_ratio = 1 + row->gain_ratio * rng_normal(&gain);
    *out = &i->b;
    return 0;
}

static void drop(struct pending *p) {
    timer_cancel(p->at->b.host->loop, &p->timer);
    *p->from = p->next;
    if (p->next)
        p->next->from = p->from;
    p->at->n_pending--;
    free(p);
}

void instrument_close(struct backend *b) {
    struct instrument *i = (struct instrument *)b;
    while (i->pending) {
        struct device_request *r = i->pending->request;
        drop(i->pending);
        if (r)
            device_finish(r, E_CANCELLED);
    }
    free(i);
}

/* A dark controller and a lost packet look the same from outside: silence, until the asker's deadline. */
static void on_time(void *ctx) {
    struct pending *p = ctx;
    struct instrument *i = p->at;
    struct device_request *r = p->request;
    struct err e = {0};
    bool dark = i->row->is_dark(i), silent = dark || p->fate != FATE_ANSWERED;
    bool carried_out = !dark && p->fate != FATE_SILENT && (!p->is_read || !silent);
    int rc = carried_out ? p->verb->fn(i, p->in, r ? r->out : NULL, &e) : 0;
    if (r && silent)
        return;
    drop(p);
    if (r) {
        r->err = e;
        device_finish(r, rc);
    }
}

static const struct instrument_verb *verb_find(const struct instrument *i, const char *name) {
    for (const struct instrument_verb *v = i->row->verbs; v->name; v++)
        if (!strcmp(v->name, name))
            return v;
    return NULL;
}

void instrument_submit(struct backend *b, struct device_request *r) {
    struct instrument *i = (struct instrument *)b;
    const struct instrument_verb *verb = verb_find(i, r->verb->name);
    int64_t now = loop_now_us(b->host->loop);
    if (!verb) {
        device_finish(r, err_set(&r->err, E_UNSUPPORTED, "the twin has no verb '%s'", r->verb->name));
        return;
    }
    double tail = rng_exponential(&i->late, 1), lost = rng_unit(&i->loss), where = rng_unit(&i->loss);
    if (i->n_pending >= PENDING_MAX) {
        device_finish(r, err_set(&r->err, E_LIMIT, "%d requests wait for this device already", PENDING_MAX));
        return;
    }
    size_t size = r->verb->in && r->in ? r->verb->in->size : 0;
    struct pending *p = calloc(1, sizeof *p + size);
    assert(p);
    *p = (struct pending){.at = i, .request = r, .verb = verb, .next = i->pending, .from = &i->pending};
    memcpy(p->in, size ? r->in : "", size);
    p->is_read = r->verb->flags & VERB_READ;
    p->fate = lost >= i->options.loss_ratio ? FATE_ANSWERED : where < 0.5 ? FATE_MUTE : FATE_SILENT;
    if (i->pending)
        i->pending->from = &p->next;
    i->pending = p;
    i->n_pending++;
    r->backend_ctx = p;
    int64_t least = i->options.latency_us ? i->options.latency_us : i->row->latency_us;
    int64_t from = i->busy_until_us > now ? i->busy_until_us : now;
    i->busy_until_us = from + least + (int64_t)((tail < TAIL_MAX ? tail : TAIL_MAX) * i->row->tail_us);
    timer_at(b->host->loop, &p->timer, i->busy_until_us, 0, on_time, p);
}

/* A command that was sent cannot be called back: it is only that nobody waits for its answer any more. */
void instrument_cancel(struct backend *b, struct device_request *r) {
    struct pending *p = r->backend_ctx;
    (void)b;
    if (p->is_read || !timer_is_set(&p->timer))
        drop(p);
    else
        p->request = NULL;
}

double instrument_meter(struct instrument *i, double truth) {
    char second[24];
    snprintf(second, sizeof second, "%lld", (long long)(loop_now_us(i->b.host->loop) / 1000000));
    struct rng sample = rng_fork(&i->noise, second);
    double shown = truth * i->gain_ratio * (1 + i->row->noise_ratio * rng_normal(&sample));
    return shown > 0 ? floor(shown + 0.5) : 0;
}

bool instrument_sticks(struct instrument *i) {
    return rng_unit(&i->stuck) < i->options.stuck_ratio;
}
