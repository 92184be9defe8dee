/* record: writes each request with its answer to a file that replay reads. */
#include <errno.h>
#include <stdio.h>

#include "device/filter/recording.h"

struct record {
    struct filter f;
    struct options {
        char file[RECORDING_PATH];
        int64_t size_max_bytes;
    } o;
    FILE *out;
};

#define S struct options
static const struct field fields[] = {
    FIELD_TEXT(S, file, .flags = F_REQUIRED, .doc = "File to append to; several devices may share one."),
    FIELD_INT(S, size_max_bytes, .unit = "B", .min = 1, .max = 1e12, .dflt = "67108864",
              .doc = "Nothing more is written to a file of this size."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter record.");

static int opened(struct filter *f, struct err *e) {
    struct record *x = (struct record *)f;
    x->out = fopen(x->o.file, "ae");
    return x->out ? 0 : err_errno(e, errno, "record: cannot write %s", x->o.file);
}

static void closed(struct filter *f) {
    fclose(((struct record *)f)->out);
}

static void write_line(struct record *x, struct call_through *c, int rc) {
    struct host *h = x->f.b.host;
    struct device_request *r = c->outer;
    struct field_env env = estate_env(h->estate);
    struct arena a = ARENA_INIT;
    struct text t = TEXT_INIT;
    char path[ESTATE_PATH];
    if (ftell(x->out) >= x->o.size_max_bytes) {
        estate_condition(h->estate, x->f.b.id, "recording-full", SEV_WARNING, "record", loop_now_us(h->loop),
                         "the recording has reached its largest size; nothing more is written");
        return;
    }
    struct doc *line = doc_map(&a);
    estate_path(h->estate, x->f.b.id, path);
    doc_put_int(&a, line, "us", c->begun_us);
    doc_put_str(&a, line, "object", path);
    doc_put_str(&a, line, "verb", r->verb->name);
    if (r->verb->in)
        doc_put(line, "in", table_write(r->verb->in, r->in, &a, &env, 0));
    doc_put_int(&a, line, "took_us", loop_now_us(h->loop) - c->begun_us);
    doc_put_int(&a, line, "rc", rc);
    doc_put_str(&a, line, "error", rc ? r->err.message : "");
    if (r->verb->out && !rc)
        doc_put(line, "out", table_write(r->verb->out, r->out, &a, &env, 0));
    json_print(&t, line, 0);
    text_add_char(&t, '\n');
    /* One write a line, at the end of the file: lines of devices that share it do not mix. */
    fwrite(t.p, 1, t.n, x->out);
    fflush(x->out);
    text_free(&t);
    arena_free(&a);
}

static void answered(struct filter *f, struct call_through *c, int rc) {
    write_line((struct record *)f, c, rc);
    filter_end(c, rc);
}

static void given_up(struct filter *f, struct call_through *c, int why) {
    write_line((struct record *)f, c, why);
}

static const struct filter_row row = {.name = "record",
                                      .size = sizeof(struct record),
                                      .options = &table,
                                      .options_at = offsetof(struct record, o),
                                      .opened = opened,
                                      .closed = closed,
                                      .answered = answered,
                                      .given_up = given_up};
FILTER_OPS(record, row, "file=PATH (appended to), size_max_bytes=N (64 MiB; nothing is written beyond)");
