#include "core/metric.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "base/civil.h"

enum { LABELS = 4, POINTS = 720, SERIES_MAX = 1000 };

struct kept { /* one series with its labels and its ring */
    struct series s;
    const char *labels[LABELS];
    char *key;
    float *ring; /* values; time by position */
};

struct family {
    const struct metric *row;
    struct map by_key;
    VEC(struct kept *) series;
    struct series dropped;
};

struct metrics {
    struct map by_name;
    VEC(struct family *) families;
    int64_t times[POINTS];
    size_t n_points; /* ever */
};

struct metrics *metrics_new(void) { return calloc(1, sizeof(struct metrics)); }

void metrics_free(struct metrics *m) {
    for (size_t i = 0; m && i < m->families.n; i++) {
        struct family *f = m->families.p[i];
        for (size_t k = 0; k < f->series.n; k++) {
            free(f->series.p[k]->s.buckets);
            free(f->series.p[k]->key);
            free(f->series.p[k]->ring);
            free(f->series.p[k]);
        }
        vec_free(&f->series);
        map_free(&f->by_key);
        free(f->dropped.buckets);
        free(f);
    }
    if (m) {
        vec_free(&m->families);
        map_free(&m->by_name);
    }
    free(m);
}

static size_t bucket_count(const struct metric *row) {
    size_t n = 0;
    while (row->bounds && isfinite(row->bounds[n]))
        n++;
    return n;
}

static struct family *family(struct metrics *m, const struct metric *row) {
    bool is_new;
    struct map_entry *e = map_put(&m->by_name, row->name, &is_new);
    if (is_new) {
        struct family *f = calloc(1, sizeof *f);
        f->row = row;
        f->dropped.buckets = calloc(bucket_count(row) + 1, sizeof *f->dropped.buckets);
        vec_push(&m->families, f);
        e = map_get(&m->by_name, row->name);
        e->value.ptr = f;
    }
    return e->value.ptr;
}

void metrics_add_table(struct metrics *m, const struct metric *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        family(m, &rows[i]);
}

struct series *metric_series(struct metrics *m, const struct metric *row, ...) {
    struct family *f = family(m, row);
    const char *values[LABELS] = {0};
    struct text key = TEXT_INIT;
    va_list args;
    va_start(args, row);
    size_t n = 0;
    for (const char *v; (v = va_arg(args, const char *));) {
        assert(n < LABELS);
        values[n++] = v;
        text_add(&key, v);
        text_add_char(&key, '\x1f');
    }
    va_end(args);
    size_t want = 0;
    while (row->labels && row->labels[want])
        want++;
    assert(n == want && "label values as the row says");
    struct kept *k = map_ptr(&f->by_key, text_str(&key));
    if (!k && f->series.n < (row->series_max ? row->series_max : SERIES_MAX)) {
        bool is_new;
        k = calloc(1, sizeof *k);
        k->key = strdup(text_str(&key));
        char *at = k->key;
        for (size_t i = 0; i < n; i++) {
            k->labels[i] = at;
            at += strlen(values[i]);
            at++;
        }
        k->s.buckets = calloc(bucket_count(row) + 1, sizeof *k->s.buckets);
        vec_push(&f->series, k);
        map_put(&f->by_key, k->key, &is_new)->value.ptr = k;
    }
    text_free(&key);
    return k ? &k->s : &f->dropped;
}

void metric_observe(const struct metric *row, struct series *s, double value) {
    size_t n = bucket_count(row), i = 0;
    while (i < n && value > row->bounds[i])
        i++;
    s->buckets[i]++;
    s->count++;
    s->value += value;
}

/* -- OpenMetrics 1.0 text -- */

static void label_value(struct text *out, const char *v) {
    for (; *v && *v != '\x1f'; v++) {
        if (*v == '\n')
            text_add(out, "\\n");
        else if (*v == '"' || *v == '\\') {
            text_add_char(out, '\\');
            text_add_char(out, *v);
        } else
            text_add_char(out, *v);
    }
}

static void sample(struct text *out, const struct metric *row, const struct kept *k, const char *suffix,
                   const char *le, double value) {
    text_addf(out, "%s%s", row->name, suffix);
    bool any = false;
    for (size_t i = 0; row->labels && row->labels[i]; i++) {
        text_addf(out, "%s%s=\"", any ? "," : "{", row->labels[i]);
        label_value(out, k->labels[i]);
        text_add_char(out, '"');
        any = true;
    }
    if (le) {
        text_addf(out, "%sle=\"%s\"", any ? "," : "{", le);
        any = true;
    }
    text_add(out, any ? "} " : " ");
    if (isfinite(value))
        text_add_real(out, value);
    else
        text_add(out, isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf");
    text_add_char(out, '\n');
}

static void histogram(struct text *out, const struct metric *row, const struct kept *k) {
    uint64_t sum = 0;
    size_t n = bucket_count(row);
    for (size_t i = 0; i < n; i++) {
        struct text le = TEXT_INIT;
        sum += k->s.buckets[i];
        text_add_real(&le, row->bounds[i]);
        sample(out, row, k, "_bucket", text_str(&le), (double)sum);
        text_free(&le);
    }
    sample(out, row, k, "_bucket", "+Inf", (double)k->s.count);
    sample(out, row, k, "_count", NULL, (double)k->s.count);
    sample(out, row, k, "_sum", NULL, k->s.value);
}

void metrics_print(struct metrics *m, struct text *out) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    for (size_t i = 0; i < m->families.n; i++) {
        const struct family *f = m->families.p[i];
        const struct metric *row = f->row;
        text_addf(out, "# TYPE %s %s\n", row->name, types[row->type]);
        if (row->unit && str_ends(row->name, row->unit))
            text_addf(out, "# UNIT %s %s\n", row->name, row->unit);
        text_addf(out, "# HELP %s ", row->name);
        label_value(out, row->doc ? row->doc : "");
        text_add_char(out, '\n');
        for (size_t k = 0; k < f->series.n; k++) {
            if (row->type == METRIC_HISTOGRAM)
                histogram(out, row, f->series.p[k]);
            else
                sample(out, row, f->series.p[k], row->type == METRIC_COUNTER ? "_total" : "", NULL,
                       f->series.p[k]->s.value);
        }
    }
    text_add(out, "# EOF\n");
}

struct doc *metrics_schema(struct metrics *m, struct arena *a) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct doc *list = doc_seq(a);
    for (size_t i = 0; i < m->families.n; i++) {
        const struct metric *row = m->families.p[i]->row;
        struct doc *d = doc_map(a), *labels = doc_seq(a);
        doc_put_str(a, d, "name", row->name);
        doc_put_str(a, d, "type", types[row->type]);
        doc_put_str(a, d, "unit", row->unit ? row->unit : "");
        for (size_t k = 0; row->labels && row->labels[k]; k++)
            doc_push(labels, doc_str(a, row->labels[k]));
        doc_put(d, "labels", labels);
        doc_put_str(a, d, "doc", row->doc ? row->doc : "");
        doc_push(list, d);
    }
    return list;
}

/* -- history -- */

void metric_sample(struct metrics *m, int64_t now_us) {
    size_t at = m->n_points++ % POINTS;
    m->times[at] = now_us;
    for (size_t i = 0; i < m->families.n; i++) {
        struct family *f = m->families.p[i];
        for (size_t k = 0; k < f->series.n && f->row->type != METRIC_HISTOGRAM; k++) {
            struct kept *s = f->series.p[k];
            if (!s->ring) {
                s->ring = malloc(POINTS * sizeof *s->ring);
                for (size_t p = 0; p < POINTS; p++)
                    s->ring[p] = NAN;
            }
            s->ring[at] = (float)s->s.value;
        }
    }
}

struct doc *metric_history(struct metrics *m, const char *name, const char *const *label_values, struct arena *a) {
    struct doc *out = doc_seq(a);
    struct family *f = map_ptr(&m->by_name, name);
    for (size_t k = 0; f && k < f->series.n; k++) {
        const struct kept *s = f->series.p[k];
        bool match = true;
        struct doc *d = doc_map(a), *labels = doc_map(a), *points = doc_seq(a);
        for (size_t i = 0; f->row->labels && f->row->labels[i]; i++) {
            struct text v = TEXT_INIT;
            for (const char *c = s->labels[i]; *c && *c != '\x1f'; c++)
                text_add_char(&v, *c);
            match &= !label_values || !label_values[i] || !strcmp(label_values[i], text_str(&v));
            doc_put(labels, f->row->labels[i], doc_str(a, text_str(&v)));
            text_free(&v);
        }
        if (!match || !s->ring)
            continue;
        size_t n = m->n_points < POINTS ? m->n_points : POINTS;
        for (size_t p = m->n_points - n; p < m->n_points; p++) {
            if (isnan((double)s->ring[p % POINTS]))
                continue;
            struct doc *pair = doc_seq(a);
            doc_push(pair, doc_int(a, m->times[p % POINTS] / 1000));
            doc_push(pair, doc_real(a, (double)s->ring[p % POINTS]));
            doc_push(points, pair);
        }
        doc_put(d, "labels", labels);
        doc_put(d, "points", points);
        doc_push(out, d);
    }
    return out;
}
