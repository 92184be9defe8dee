/* delay: requests reach the device later, by a least time and an exponential tail. Their order is kept. */
#include "device/filter/filter.h"

struct delay {
    struct filter f;
    struct options {
        int64_t least_us, tail_us;
    } o;
    int64_t last_us; /* when the one before reaches the device */
};

#define S struct options
static const struct field fields[] = {
    FIELD_SPAN(S, least_us, .max = 3600e6, .unit = "us", .dflt = "100ms", .doc = "Least delay."),
    FIELD_SPAN(S, tail_us, .max = 3600e6, .unit = "us", .doc = "Mean of what comes on top."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter delay.");

static void pass(struct filter *f, struct call_through *c) {
    (void)f;
    filter_pass(c, 0);
}

static void asked(struct filter *f, struct call_through *c) {
    struct delay *x = (struct delay *)f;
    int64_t at = c->begun_us + x->o.least_us + (int64_t)rng_exponential(&f->rng, (double)x->o.tail_us);
    x->last_us = at > x->last_us ? at : x->last_us;
    filter_later(c, x->last_us - c->begun_us, pass);
}

static const struct filter_row row = {.name = "delay",
                                      .size = sizeof(struct delay),
                                      .options = &table,
                                      .options_at = offsetof(struct delay, o),
                                      .asked = asked};
FILTER_OPS(delay, row, "least_us=SPAN (100ms), tail_us=SPAN (0; mean of an exponential tail)");
