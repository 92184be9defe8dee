/* breaker: after so many failures in a row the device is not asked for a while; then one request tries it, and its
 * success closes the breaker. A device that refuses (invalid, denied) has answered: only silence and breakage count. */
#include "device/filter/filter.h"

struct breaker {
    struct filter f;
    struct options {
        int64_t failures, open_us;
    } o;
    int64_t in_row, until_us; /* open until then; after that one may try */
    struct call_through *trying;
    char last[200];
};

#define S struct options
static const struct field fields[] = {
    FIELD_INT(S, failures, .min = 1, .max = 1000, .dflt = "5", .doc = "So many in a row open it."),
    FIELD_SPAN(S, open_us, .min = 1, .max = 86400e6, .unit = "us", .dflt = "30s", .doc = "So long nothing is asked."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter breaker.");

static void asked(struct filter *f, struct call_through *c) {
    struct breaker *x = (struct breaker *)f;
    int64_t left_us = x->until_us - c->begun_us;
    if (x->in_row >= x->o.failures && (left_us > 0 || x->trying)) {
        err_set(&c->outer->err, E_UNAVAIL, "not asked after %lld failures in a row, the last: %s", (long long)x->in_row,
                x->last);
        err_hint(&c->outer->err, "the next try is in %.1f s", left_us > 0 ? (double)left_us * 1e-6 : 0.0);
        filter_end(c, E_UNAVAIL);
        return;
    }
    if (x->in_row >= x->o.failures)
        x->trying = c;
    filter_pass(c, 0);
}

static void note(struct breaker *x, struct call_through *c, int rc) {
    if (x->trying == c)
        x->trying = NULL;
    if (rc == E_UNAVAIL || rc == E_TIMEOUT || rc == E_IO) {
        str_copy(x->last, sizeof x->last, c->outer->err.message);
        x->until_us = loop_now_us(x->f.b.host->loop) + x->o.open_us;
        x->in_row++;
    } else if (rc != E_CANCELLED) {
        x->in_row = 0;
    }
}

static void answered(struct filter *f, struct call_through *c, int rc) {
    note((struct breaker *)f, c, rc);
    filter_end(c, rc);
}

static void given_up(struct filter *f, struct call_through *c, int why) {
    note((struct breaker *)f, c, why);
}

static const struct filter_row row = {.name = "breaker",
                                      .size = sizeof(struct breaker),
                                      .options = &table,
                                      .options_at = offsetof(struct breaker, o),
                                      .asked = asked,
                                      .answered = answered,
                                      .given_up = given_up};
FILTER_OPS(breaker, row, "failures=N (5; in a row), open_us=SPAN (30s; so long nothing is asked)");
