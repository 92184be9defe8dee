#include "core/telemetry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/field_item.h"
#include "base/map.h"
#include "base/vec.h"
#include "core/host.h"

enum { POINTS = 720, EVERY_US = 5000000, SMALL_KIND = 64, ASKED_MAX = 256, NUMBERS_MAX = 24 };

struct track { /* one object: a ring for each of its numbers */
    oid id;
    const struct kind *kind;
    const struct field *fields[NUMBERS_MAX];
    uint32_t n;
    uint64_t asked; /* 0: recorded because its kind is small */
    float *points;  /* n rings */
};

struct telemetry {
    struct host *host;
    struct timer timer;
    VEC(struct track *) tracks;
    struct map by_id;
    int64_t times[POINTS];
    size_t n_points;
    uint64_t asks;
};

struct telemetry *telemetry_new(struct host *h) {
    struct telemetry *t = calloc(1, sizeof *t);
    t->host = h;
    return t;
}

static void track_free(struct telemetry *t, size_t i) {
    struct track *k = t->tracks.p[i];
    map_del_n(&t->by_id, (const char *)&k->id, sizeof k->id);
    t->tracks.p[i] = t->tracks.p[--t->tracks.n];
    free(k->points);
    free(k);
}

void telemetry_free(struct telemetry *t) {
    if (!t)
        return;
    telemetry_stop(t);
    while (t->tracks.n)
        track_free(t, t->tracks.n - 1);
    vec_free(&t->tracks);
    map_free(&t->by_id);
    free(t);
}

static bool is_number(const struct field *f) {
    return (f->flags & F_VOLATILE) && !f->count_max && (f->type == FIELD_REAL || f->type == FIELD_INT);
}

static struct track *track_of(struct telemetry *t, oid id) {
    bool is_new;
    struct map_entry *e = map_get_n(&t->by_id, (const char *)&id, sizeof id);
    if (e)
        return e->value.ptr;
    struct track *k = calloc(1, sizeof *k);
    k->id = id;
    k->kind = estate_kind_of(t->host->estate, id);
    for (uint32_t i = 0; i < k->kind->table->nfields && k->n < NUMBERS_MAX; i++)
        if (is_number(&k->kind->table->fields[i]))
            k->fields[k->n++] = &k->kind->table->fields[i];
    k->points = malloc((k->n * POINTS + 1) * sizeof *k->points);
    for (size_t i = 0; i < (size_t)k->n * POINTS; i++)
        k->points[i] = NAN;
    vec_push(&t->tracks, k);
    map_put_n(&t->by_id, (const char *)&k->id, sizeof k->id, &is_new)->value.ptr = k;
    return k;
}

/* Asked for by name: kept while it is among the last 256 that were. */
static struct track *track_asked(struct telemetry *t, oid id) {
    struct track *k = track_of(t, id);
    size_t n = 0, oldest = 0;
    if (estate_count(t->host->estate, k->kind->name) > SMALL_KIND)
        k->asked = ++t->asks;
    for (size_t i = 0; i < t->tracks.n; i++) {
        if (!t->tracks.p[i]->asked)
            continue;
        if (!n++ || t->tracks.p[i]->asked < t->tracks.p[oldest]->asked)
            oldest = i;
    }
    if (n > ASKED_MAX)
        track_free(t, oldest);
    return k;
}

static float number(const struct field *f, const void *object) {
    const void *p = field_item(f, object, 0);
    int64_t i;
    double v;
    if (f->type == FIELD_REAL) {
        memcpy(&v, p, sizeof v);
        return (float)v;
    }
    memcpy(&i, p, sizeof i);
    return (float)i;
}

void telemetry_sample(struct telemetry *t) {
    struct estate *s = t->host->estate;
    int64_t now = loop_now_us(t->host->loop);
    if (t->n_points && t->times[(t->n_points - 1) % POINTS] >= now)
        return; /* plant time stands */
    for (size_t i = 0; i < estate_kind_count(s); i++) {
        const struct kind *k = estate_kind_at(s, i);
        bool flows = false;
        for (uint32_t f = 0; f < k->table->nfields && !flows; f++)
            flows = is_number(&k->table->fields[f]);
        if (!flows || estate_count(s, k->name) > SMALL_KIND)
            continue;
        for (oid id = 0; (id = estate_next(s, k->name, id));)
            track_of(t, id);
    }
    size_t at = t->n_points++ % POINTS;
    t->times[at] = now;
    for (size_t i = t->tracks.n; i-- > 0;) {
        struct track *k = t->tracks.p[i];
        if (!estate_alive(s, k->id)) {
            track_free(t, i);
            continue;
        }
        const void *object = estate_data(s, k->id);
        for (uint32_t f = 0; f < k->n; f++)
            k->points[f * POINTS + at] = number(k->fields[f], object);
    }
    metric_sample(t->host->metrics, now);
}

static void tick(void *ctx) {
    struct telemetry *t = ctx;
    telemetry_sample(t);
    timer_mono_in(t->host->loop, &t->timer, EVERY_US, tick, t);
}

void telemetry_start(struct telemetry *t) {
    if (!timer_is_set(&t->timer))
        timer_mono_in(t->host->loop, &t->timer, 0, tick, t);
}

void telemetry_stop(struct telemetry *t) { timer_cancel(t->host->loop, &t->timer); }

/* -- the verb -- */

struct telemetry_in {
    char object[ESTATE_PATH];
    char kind[48];
    char field[48];
    int64_t points;
};
static const struct field telemetry_fields[] = {
    FIELD_TEXT(struct telemetry_in, object, .doc = "Object, kind/name; all its numbers unless `field` names one."),
    FIELD_TEXT(struct telemetry_in, kind, .doc = "Or all recorded objects of this kind."),
    FIELD_TEXT(struct telemetry_in, field, .doc = "Field; wanted with `kind`."),
    FIELD_INT(struct telemetry_in, points, .min = 1, .max = POINTS, .dflt = "720", .doc = "At most so many, the newest."),
};
const struct table table_telemetry = TABLE(telemetry_in, telemetry_fields, "Whose recent past.");

static void series_add(struct telemetry *t, struct call *c, struct doc *list, const struct track *k, uint32_t f,
                       size_t points) {
    struct arena *a = &c->arena;
    struct doc *d = doc_map(a), *values = doc_seq(a);
    char path[ESTATE_PATH];
    estate_path(t->host->estate, k->id, path);
    doc_put_str(a, d, "object", path);
    doc_put_str(a, d, "field", k->fields[f]->name);
    doc_put_str(a, d, "unit", k->fields[f]->unit ? k->fields[f]->unit : "");
    for (size_t p = t->n_points - points; p < t->n_points; p++) {
        float v = k->points[f * POINTS + p % POINTS];
        doc_push(values, isnan(v) ? doc_null(a) : doc_real(a, (double)v));
    }
    doc_put(d, "values", values);
    doc_push(list, d);
}

static void track_add(struct telemetry *t, struct call *c, struct doc *list, const struct track *k, size_t points) {
    const struct telemetry_in *in = c->in;
    for (uint32_t f = 0; f < k->n; f++)
        if (!*in->field || !strcmp(in->field, k->fields[f]->name))
            series_add(t, c, list, k, f, points);
}

static int field_find(struct call *c, const struct kind *k, const char *name) {
    const struct field *f = table_find(k->table, name);
    if (f && is_number(f))
        return 0;
    const char *names[NUMBERS_MAX];
    size_t n = 0;
    for (uint32_t i = 0; i < k->table->nfields && n < NUMBERS_MAX; i++)
        if (is_number(&k->table->fields[i]))
            names[n++] = k->table->fields[i].name;
    err_set(&c->err, E_INVAL, "field: '%.47s' is not a number of %s that flows", name, k->name);
    const char *near = str_nearest(name, names, n);
    if (near || n)
        err_hint(&c->err, near ? "did you mean '%s'?" : "for example '%s'", near ? near : names[0]);
    return E_INVAL;
}

int verb_telemetry(struct call *c) {
    const struct telemetry_in *in = c->in;
    struct telemetry *t = c->host->telemetry;
    const struct kind *kind = NULL;
    oid id = 0;
    int rc = *in->object ? estate_lookup_path(c->host->estate, in->object, &id, &c->err)
             : *in->kind ? estate_kind_find(c->host->estate, in->kind, &kind, &c->err)
                         : err_set(&c->err, E_INVAL, "object or kind is wanted");
    if (!rc && (*in->field || kind))
        rc = field_find(c, kind ? kind : estate_kind_of(c->host->estate, id), in->field);
    if (rc)
        return rc;
    struct track *one = id ? track_asked(t, id) : NULL;
    size_t points = t->n_points < POINTS ? t->n_points : POINTS;
    points = points < (size_t)in->points ? points : (size_t)in->points;
    struct doc *times = doc_seq(&c->arena), *list = doc_seq(&c->arena);
    for (size_t p = t->n_points - points; p < t->n_points; p++)
        doc_push(times, doc_int(&c->arena, t->times[p % POINTS] / 1000));
    for (oid i = 0; kind && (i = estate_next(c->host->estate, kind->name, i));) {
        struct map_entry *e = map_get_n(&t->by_id, (const char *)&i, sizeof i);
        if (e)
            track_add(t, c, list, e->value.ptr, points);
    }
    if (one)
        track_add(t, c, list, one, points);
    c->reply = doc_map(&c->arena);
    doc_put_int(&c->arena, c->reply, "every_s", EVERY_US / 1000000);
    doc_put(c->reply, "times", times);
    doc_put(c->reply, "series", list);
    return 0;
}
