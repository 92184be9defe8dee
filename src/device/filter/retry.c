/* retry: asks again what failed for now (unavailable, time-out, I/O), with a back-off that doubles. Only verbs that may
 * be repeated: reads and idempotent ones. The asker's deadline stays what it is. */
#include "device/filter/filter.h"

struct retry {
    struct filter f;
    struct options {
        int64_t n, wait_us, try_us;
    } o;
};

#define S struct options
static const struct field fields[] = {
    FIELD_INT(S, n, .min = 1, .max = 100, .dflt = "3", .doc = "Tries in all."),
    FIELD_SPAN(S, wait_us, .max = 3600e6, .unit = "us", .dflt = "100ms", .doc = "Before the second try; then doubled."),
    FIELD_SPAN(S, try_us, .max = 3600e6, .unit = "us", .doc = "Deadline of one try; 0 is the asker's own."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter retry.");

static void pass(struct filter *f, struct call_through *c) {
    filter_pass(c, filter_may_repeat(c->outer->verb) ? ((struct retry *)f)->o.try_us : 0);
}

static void answered(struct filter *f, struct call_through *c, int rc) {
    const struct retry *x = (struct retry *)f;
    bool for_now = rc == E_UNAVAIL || rc == E_TIMEOUT || rc == E_IO;
    if (!for_now || c->tries >= x->o.n || !filter_may_repeat(c->outer->verb)) {
        if (for_now && c->tries > 1)
            err_context(&c->outer->err, "after %d tries", c->tries);
        filter_end(c, rc);
        return;
    }
    int doublings = c->tries - 1 < 20 ? c->tries - 1 : 20;
    filter_later(c, x->o.wait_us << doublings, pass);
}

static const struct filter_row row = {.name = "retry",
                                      .size = sizeof(struct retry),
                                      .options = &table,
                                      .options_at = offsetof(struct retry, o),
                                      .asked = pass,
                                      .answered = answered};
FILTER_OPS(retry, row, "n=N (3; tries in all), wait_us=SPAN (100ms, doubled), try_us=SPAN (0; deadline of one try)");
