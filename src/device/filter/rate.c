/* rate: a token bucket. What exceeds the rate waits its turn; what would wait behind too many is refused. */
#include "device/filter/filter.h"

struct rate {
    struct filter f;
    struct options {
        double rate_hz;
        int64_t burst, queue_max;
    } o;
    int64_t full_us; /* when the bucket would be full again: the whole state of a token bucket (GCRA) */
    int64_t waiting;
};

#define S struct options
static const struct field fields[] = {
    FIELD_REAL(S, rate_hz, .unit = "Hz", .min = 0.001, .max = 1e6, .dflt = "10", .doc = "Requests a second."),
    FIELD_INT(S, burst, .min = 1, .max = 1000, .dflt = "1", .doc = "So many may come at once."),
    FIELD_INT(S, queue_max, .min = 0, .max = 1000, .dflt = "100", .doc = "So many wait; more are refused."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter rate.");

static void pass(struct filter *f, struct call_through *c) {
    ((struct rate *)f)->waiting--;
    filter_pass(c, 0);
}

static void asked(struct filter *f, struct call_through *c) {
    struct rate *x = (struct rate *)f;
    int64_t every_us = (int64_t)(1e6 / x->o.rate_hz), now = c->begun_us;
    int64_t from = x->full_us > now ? x->full_us : now;
    int64_t wait_us = from - now - (x->o.burst - 1) * every_us;
    if (wait_us > 0 && x->waiting >= x->o.queue_max) {
        err_set(&c->outer->err, E_LIMIT, "rate: %lld requests wait for their turn already", (long long)x->waiting);
        filter_end(c, E_LIMIT);
        return;
    }
    x->full_us = from + every_us;
    if (wait_us <= 0) {
        filter_pass(c, 0);
        return;
    }
    x->waiting++;
    filter_later(c, wait_us, pass);
}

/* A turn that is not taken is not given to another: the bucket does not know whose token it was. */
static void given_up(struct filter *f, struct call_through *c, int why) {
    (void)why;
    if (timer_is_set(&c->timer))
        ((struct rate *)f)->waiting--;
}

static const struct filter_row row = {.name = "rate",
                                      .size = sizeof(struct rate),
                                      .options = &table,
                                      .options_at = offsetof(struct rate, o),
                                      .asked = asked,
                                      .given_up = given_up};
FILTER_OPS(rate, row, "rate_hz=N (10), burst=N (1; at once), queue_max=N (100; more are refused)");
