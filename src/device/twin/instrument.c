#include "device/twin/instrument.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PENDING_MAX = 64 };
#define TAIL_MAX 20.0 /* means; an answer that is later than that is a lost one */

struct pending {
    struct instrument *at;
    struct device_request *request;
    struct timer timer;
    bool is_lost, is_served; /* lost: no answer; served: carried out before the answer was lost */
    struct pending *next, **from;
};

#define S struct instrument_options
static const struct field option_fields[] = {
    FIELD_SPAN(S, latency_us, .max = 600e6, .unit = "us", .doc = "Least time of an answer; 0 is the class's own."),
    FIELD_REAL(S, loss_ratio, .unit = "1", .min = 0, .max = 1, .dflt = "0.0005", .doc = "Share without an answer."),
    FIELD_REAL(S, stuck_ratio, .unit = "1", .min = 0, .max = 1, .dflt = "0.0005", .doc = "Share of stuck switchings."),
};
#undef S
static const struct table option_table = TABLE(instrument_options, option_fields, "Options of the backends named twin.");
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
        device_finish(r, E_CANCELLED);
    }
    free(i);
}

/* A dark controller and a lost packet look the same from outside: silence, until the asker's deadline. */
static void on_time(void *ctx) {
    struct pending *p = ctx;
    struct instrument *i = p->at;
    struct device_request *r = p->request;
    if (i->row->is_dark(i) || (p->is_lost && !p->is_served))
        return;
    int rc = i->row->serve(i, r);
    if (p->is_lost)
        return;
    drop(p);
    device_finish(r, rc);
}

void instrument_submit(struct backend *b, struct device_request *r) {
    struct instrument *i = (struct instrument *)b;
    int64_t now = loop_now_us(b->host->loop);
    double tail = rng_exponential(&i->late, 1), lost = rng_unit(&i->loss), served = rng_unit(&i->loss);
    if (i->n_pending >= PENDING_MAX) {
        device_finish(r, err_set(&r->err, E_LIMIT, "%d requests wait for this device already", PENDING_MAX));
        return;
    }
    struct pending *p = calloc(1, sizeof *p);
    assert(p);
    *p = (struct pending){.at = i, .request = r, .next = i->pending, .from = &i->pending};
    p->is_lost = lost < i->options.loss_ratio;
    p->is_served = served < 0.5;
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

void instrument_cancel(struct backend *b, struct device_request *r) {
    (void)b;
    drop(r->backend_ctx);
}

double instrument_meter(struct instrument *i, double truth) {
    char second[24];
    snprintf(second, sizeof second, "%lld", (long long)(loop_now_us(i->b.host->loop) / 1000000));
    struct rng sample = rng_fork(&i->noise, second);
    double shown = truth * i->gain_ratio * (1 + i->row->noise_ratio * rng_normal(&sample));
    return shown > 0 ? floor(shown + 0.5) : 0;
}

bool instrument_sticks(struct instrument *i) { return rng_unit(&i->stuck) < i->options.stuck_ratio; }
