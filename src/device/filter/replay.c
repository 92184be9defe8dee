/* replay: answers from a file that record wrote, as late as the answers were then; the device below is never asked. The
 * same request gets its recorded answers in their order, each once. What was never recorded is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "device/filter/recording.h"

enum { SIZE_MAX_BYTES = 64 << 20 };

struct answer {
    const struct doc *line;
    struct answer *next;
};

struct replay {
    struct filter f;
    struct options {
        char file[RECORDING_PATH];
        bool wrap;
    } o;
    struct arena arena; /* the recording of this object */
    struct map by_key;  /* key -> struct stack; keys lie in the arena */
};
struct stack {
    struct answer *first, *last, *next;
};

#define S struct options
static const struct field fields[] = {
    FIELD_TEXT(S, file, .flags = F_REQUIRED, .doc = "File that record wrote."),
    FIELD_BOOL(S, wrap, .doc = "Begin again after the last answer of a request."),
};
#undef S
static const struct table table = TABLE(options, fields, "Options of the filter replay.");

static char *key_of(struct replay *x, struct arena *a, const char *verb, const struct doc *in) {
    struct text t = TEXT_INIT;
    recording_key(&t, &x->f, verb, in);
    char *key = arena_strndup(a, text_str(&t), t.n);
    text_free(&t);
    return key;
}

static void line_add(struct replay *x, const struct doc *line) {
    bool is_new;
    char *key = key_of(x, &x->arena, doc_get_str(line, "verb", ""), doc_get(line, "in"));
    struct map_entry *m = map_put(&x->by_key, key, &is_new);
    if (is_new)
        m->value.ptr = arena_new(&x->arena, struct stack);
    struct stack *s = m->value.ptr;
    struct answer *n = arena_new(&x->arena, struct answer);
    n->line = line;
    if (s->last)
        s->last->next = n;
    else
        s->first = s->next = n;
    s->last = n;
}

static int lines_read(struct replay *x, FILE *in, struct err *e) {
    char path[ESTATE_PATH], *line = NULL;
    size_t size = 0, total = 0;
    ssize_t n;
    int rc = 0;
    estate_path(x->f.b.host->estate, x->f.b.id, path);
    for (int at = 1; !rc && (n = getline(&line, &size, in)) > 0; at++) {
        struct doc *d;
        total += (size_t)n;
        if (total > SIZE_MAX_BYTES)
            rc = err_set(e, E_LIMIT, "replay: %s is above the limit of %d bytes", x->o.file, SIZE_MAX_BYTES);
        else if ((rc = json_parse(&x->arena, x->o.file, line, (size_t)n, NULL, &d, e)))
            err_context(e, "replay: line %d", at);
        else if (!strcmp(doc_get_str(d, "object", ""), path))
            line_add(x, d);
    }
    free(line);
    return rc;
}

static void closed(struct filter *f) {
    struct replay *x = (struct replay *)f;
    map_free(&x->by_key);
    arena_free(&x->arena);
}

static int opened(struct filter *f, struct err *e) {
    struct replay *x = (struct replay *)f;
    FILE *in = fopen(x->o.file, "re");
    if (!in)
        return err_errno(e, errno, "replay: cannot read %s", x->o.file);
    int rc = lines_read(x, in, e);
    fclose(in);
    if (rc)
        closed(f);
    return rc;
}

static void give(struct filter *f, struct call_through *c) {
    const struct doc *line = c->data;
    struct device_request *r = c->outer;
    struct field_env env = estate_env(f->b.host->estate);
    int rc = (int)doc_get_int(line, "rc", E_PARSE);
    const struct doc *out = doc_get(line, "out");
    if (rc < 0)
        err_set(&r->err, rc, "%s", doc_get_str(line, "error", "as recorded"));
    else if (rc == 0 && r->verb->out)
        rc = out ? table_read(r->verb->out, r->out, doc_copy(&r->arena, out), "replay", &env, TABLE_RESTORE, &r->err)
                 : err_set(&r->err, E_PARSE, "replay: the recorded answer is missing");
    filter_end(c, rc > 0 ? E_PARSE : rc);
}

static void asked(struct filter *f, struct call_through *c) {
    struct replay *x = (struct replay *)f;
    struct device_request *r = c->outer;
    struct field_env env = estate_env(f->b.host->estate);
    struct arena a = ARENA_INIT;
    const struct doc *in = r->verb->in ? table_write(r->verb->in, r->in, &a, &env, 0) : NULL;
    struct stack *s = map_ptr(&x->by_key, key_of(x, &a, r->verb->name, in));
    arena_free(&a);
    if (s && !s->next && x->o.wrap)
        s->next = s->first;
    if (!s || !s->next) {
        err_set(&r->err, E_NOTFOUND, "%s %s: %s", r->verb->on, r->verb->name,
                s ? "all recorded answers have been given" : "never recorded with this input");
        filter_end(c, E_NOTFOUND);
        return;
    }
    c->data = (void *)(uintptr_t)s->next->line;
    int64_t took_us = doc_get_int(s->next->line, "took_us", 0);
    s->next = s->next->next;
    filter_later(c, took_us > 0 ? took_us : 0, give);
}

static const struct filter_row row = {.name = "replay",
                                      .size = sizeof(struct replay),
                                      .options = &table,
                                      .options_at = offsetof(struct replay, o),
                                      .opened = opened,
                                      .closed = closed,
                                      .asked = asked};
FILTER_OPS(replay, row, "file=PATH (as record wrote it), wrap=true|false (begin again after the last answer)");
