/* fault: a share of the requests fails, before or after the device has done what it was asked. */
#include <string.h>

#include "device/filter/filter.h"

enum when { BEFORE, AFTER };
static const char *const when_words[] = {"before", "after", NULL};
enum what { UNAVAIL, IO, SILENT };
static const char *const what_words[] = {"unavail", "io", "silent", NULL};

struct fault {
    struct filter f;
    struct options {
        double rate_ratio;
        int when, what;
        char verb[32];
    } o;
};

#define S struct options
static const struct field fields[] = {
    FIELD_REAL(S, rate_ratio, .unit = "1", .min = 0, .max = 1, .dflt = "1", .doc = "Share of the requests that fail."),
    FIELD_ENUM(S, when, .words = when_words, .doc = "Before the device is asked, or after it has answered."),
    FIELD_ENUM(S, what, .words = what_words, .doc = "How: unavailable, an I/O error, or silence until the deadline."),
    FIELD_TEXT(S, verb, .doc = "Only this verb; empty is all."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter fault.");

static void fail(struct fault *x, struct call_through *c) {
    static const int codes[] = {E_UNAVAIL, E_IO};
    if (x->o.what == SILENT)
        return;
    err_clear(&c->outer->err);
    filter_end(c, err_set(&c->outer->err, codes[x->o.what], "%s %s: an injected fault", c->outer->verb->on,
                          c->outer->verb->name));
}

/* The draw is made when the request comes, so that a request more never shifts another's. */
static void asked(struct filter *f, struct call_through *c) {
    struct fault *x = (struct fault *)f;
    bool is_meant = !*x->o.verb || !strcmp(x->o.verb, c->outer->verb->name);
    bool fails = is_meant && rng_unit(&f->rng) < x->o.rate_ratio;
    if (fails && x->o.when == BEFORE) {
        fail(x, c);
        return;
    }
    c->data = fails ? x : NULL;
    filter_pass(c, 0);
}

static void answered(struct filter *f, struct call_through *c, int rc) {
    if (c->data)
        fail((struct fault *)f, c);
    else
        filter_end(c, rc);
}

static const struct filter_row row = {.name = "fault",
                                      .size = sizeof(struct fault),
                                      .options = &table,
                                      .options_at = offsetof(struct fault, o),
                                      .asked = asked,
                                      .answered = answered};
FILTER_OPS(fault, row,
           "rate_ratio=0..1 (1; share that fails), when=before|after (the device acts), what=unavail|io|silent, "
           "verb=NAME (only this one)");
