/* Filters: what can be put in front of any backend of any class, written once over the generic submit.
 *
 *   backend: "retry:n=3|breaker:failures=5|modbus:host=127.0.0.1,port=1502,unit=1"
 *   or at run time: device_filter(devices, id, "fault:rate_ratio=0.1")
 *
 *   fault     fails a share of the requests            delay    answers later
 *   rate      lets so many a second through            retry    asks again what failed for now
 *   breaker   stops asking what fails all the time     dry_run  acknowledges changes and does not pass them on
 *   record    writes requests and answers to a file    replay   answers from such a file
 *
 * What they share lies here: each request that comes in (`outer`) has a call with a request of its own (`inner`) to the
 * backend below. A filter is a row: what it does when a request comes, when its answer comes, when the asker gives up.
 * The inner request shares the outer's `in` and `out`; it is cancelled with it, so neither is touched after its end. */
#ifndef SUAN_DEVICE_FILTER_FILTER_H
#define SUAN_DEVICE_FILTER_FILTER_H

#include "device/device.h"

struct filter;
struct call_through;
struct filter_row {
    const char *name;
    size_t size;                 /* of the filter's struct, which begins with struct filter */
    const struct table *options; /* of the struct that begins at options_at in it */
    size_t options_at;
    int (*opened)(struct filter *f, struct err *e);                      /* NULL = nothing to do */
    void (*closed)(struct filter *f);                                    /* NULL = nothing to do */
    void (*asked)(struct filter *f, struct call_through *c);             /* NULL = pass on */
    void (*answered)(struct filter *f, struct call_through *c, int rc);  /* NULL = hand on */
    void (*given_up)(struct filter *f, struct call_through *c, int why); /* E_TIMEOUT or E_CANCELLED; NULL = nothing */
};

struct filter {
    struct backend b;
    const struct filter_row *row;
    struct backend *under;
    struct rng rng; /* named by filter and object */
    struct call_through *calls;
    size_t n_calls;
};

enum { FILTER_CALLS_MAX = 1024 }; /* a filter */

struct call_through {
    struct filter *filter;        /* NULL: the filter is closed */
    struct device_request *outer; /* NULL: has ended */
    struct device_request inner;
    bool is_below; /* inner is on its way */
    struct timer timer;
    void (*later)(struct filter *f, struct call_through *c);
    int64_t begun_us; /* plant time of the request */
    int tries;        /* of inner */
    void *data;       /* the filter's own */
    struct call_through *next, **from;
};

/* Ask the backend below, once or again; within_us: a deadline of this try, 0 = the asker's own. */
void filter_pass(struct call_through *c, int64_t within_us);
/* Do something to the call after so long (plant time); it may end meanwhile, then nothing happens. */
void filter_later(struct call_through *c, int64_t delay_us, void (*later)(struct filter *f, struct call_through *c));
/* End the request; for rc < 0 outer->err says why (or is filled). In `answered`, rc of the answer hands it on. */
void filter_end(struct call_through *c, int rc);
bool filter_may_repeat(const struct verb *v);

int filter_open(const struct filter_row *row, struct host *h, oid id, const struct doc *options, struct backend *under,
                struct backend **out, struct err *e);
void filter_close(struct backend *b);
void filter_submit(struct backend *b, struct device_request *r);
void filter_cancel(struct backend *b, struct device_request *r);

#define FILTER_OPS(NAME, ROW, DOC)                                                                                     \
    static int NAME##_open(struct host *h, oid id, const struct doc *options, struct backend *under,                   \
                           struct backend **out, struct err *e) {                                                      \
        return filter_open(&(ROW), h, id, options, under, out, e);                                                     \
    }                                                                                                                  \
    const struct backend_ops filter_##NAME = {.name = #NAME,                                                           \
                                              .cls = "*",                                                              \
                                              .open = NAME##_open,                                                     \
                                              .close = filter_close,                                                   \
                                              .submit = filter_submit,                                                 \
                                              .cancel = filter_cancel,                                                 \
                                              .options_doc = (DOC)}

extern const struct backend_ops filter_fault, filter_delay, filter_rate, filter_retry, filter_breaker, filter_record,
    filter_replay, filter_dry_run;

#endif
