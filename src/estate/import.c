/* An estate document into a transaction.
 *
 *   estate: national-hubs            its name
 *   grid:                            kind -> list of objects
 *     - name: north
 *       factor_kg_per_kwh: 0.6361
 *   centre:
 *     - name: zjk
 *       grid: north
 *       hall:                        a kind that stands below this one: children, named parent-child (zjk-a)
 *         - name: a
 *           rack:
 *             - name: r[01-12]       ranges expand; several multiply
 *               budget_w: 40 kW
 *
 * Two passes: all objects first, then their fields, so that references may point forward. An object that exists
 * already is set, not created: importing the same file twice changes nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "estate/graph.h"

enum { OBJECTS_MAX = 200000, NAMES_MAX = 100000 };

struct pending {
    struct object *o;
    const struct doc *doc;
    bool is_new;
};

struct import {
    struct txn *t;
    const char *source;
    struct arena a;
    VEC(struct pending) list;
    struct err *e;
};

static int fail(struct import *im, const struct doc *d, int code, const char *message, const char *value) {
    err_set(im->e, code, "%s '%.64s'", message, value);
    err_place(im->e, "%s:%u:%u", im->source, d->line, d->column);
    return code;
}

struct range {
    long from, to;
    int width;
};

/* "r[01-12]" -> literal pieces and ranges. Returns the number of names, or 0 when the form is wrong. */
static size_t ranges_read(const char *form, struct range *ranges, size_t max, size_t *n) {
    size_t total = 1;
    *n = 0;
    for (const char *p = form; (p = strchr(p, '[')); p++) {
        int width = 0, end = 0;
        struct range *r = &ranges[*n];
        if (*n == max || sscanf(p, "[%ld%n-%ld]%n", &r->from, &width, &r->to, &end) < 2 || !end || r->from < 0 ||
            r->to < r->from || r->to - r->from >= NAMES_MAX)
            return 0;
        r->width = width - 1;
        (*n)++;
        total *= (size_t)(r->to - r->from + 1);
        if (total > NAMES_MAX)
            return 0;
    }
    return total;
}

static void name_at(const char *form, const struct range *ranges, size_t n, size_t i, char *out, size_t size) {
    long value[4];
    for (size_t k = n; k-- > 0;) {
        size_t count = (size_t)(ranges[k].to - ranges[k].from + 1);
        value[k] = ranges[k].from + (long)(i % count);
        i /= count;
    }
    size_t at = 0, k = 0;
    for (const char *p = form; *p && at + 1 < size;) {
        if (*p != '[') {
            out[at++] = *p++;
            continue;
        }
        int w = snprintf(out + at, size - at, "%0*ld", ranges[k].width, value[k]);
        at += w > 0 ? (size_t)w : 0;
        at = at < size ? at : size - 1;
        k++;
        p = strchr(p, ']') + 1;
    }
    out[at] = '\0';
}

static const struct kind *child_kind(const struct import *im, const struct kind *of, const char *key) {
    const struct kind *k = estate_kind(im->t->s, key);
    for (size_t i = 0; k && of && k->parents && k->parents[i]; i++)
        if (!strcmp(k->parents[i], of->name))
            return k;
    return k && !of && !k->parents ? k : NULL;
}

static int objects(struct import *im, const struct kind *k, struct object *parent, const struct doc *list);

static int object(struct import *im, const struct kind *k, struct object *parent, const struct doc *d,
                  const char *name) {
    struct object *o = NULL;
    oid id = estate_find(im->t->s, k->name, name);
    bool is_new = !id;
    if (im->list.n >= OBJECTS_MAX)
        return fail(im, d, E_LIMIT, "more than 200,000 objects, at", name);
    if (is_new) {
        void *blank = calloc(1, k->table->size);
        int rc = txn_insert(im->t, k->name, name, parent ? parent->id : 0, blank, &id, im->e);
        free(blank);
        if (rc) {
            err_place(im->e, "%s:%u:%u", im->source, d->line, d->column);
            return rc;
        }
    }
    o = graph_object(im->t->s, id);
    if (o->parent != parent)
        return fail(im, d, E_CONFLICT, "it stands below another parent already:", name);
    vec_push(&im->list, (struct pending){o, d, is_new});
    doc_each(item, d) {
        const struct kind *c = child_kind(im, k, item->key);
        int rc = c ? objects(im, c, o, item) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

static int objects(struct import *im, const struct kind *k, struct object *parent, const struct doc *list) {
    if (list->type != DOC_SEQ)
        return fail(im, list, E_INVAL, "a list of objects is wanted below", k->name);
    doc_each(d, list) {
        const struct doc *name = doc_get(d, "name");
        struct range ranges[4];
        size_t n_ranges;
        if (d->type != DOC_MAP || !name || (name->type != DOC_STR && name->type != DOC_INT))
            return fail(im, d, E_INVAL, "every object has a name, also this", k->name);
        const char *form = name->type == DOC_STR ? name->str.p : arena_printf(&im->a, "%lld", (long long)name->integer);
        size_t n = ranges_read(form, ranges, 4, &n_ranges);
        if (!n) {
            fail(im, name, E_INVAL, "the range cannot be read, or has more than 100,000 names:", form);
            err_hint(im->e, "write r[01-12]");
            return E_INVAL;
        }
        for (size_t i = 0; i < n; i++) {
            char own[ESTATE_NAME * 2], full[ESTATE_NAME * 2 + 1];
            name_at(form, ranges, n_ranges, i, own, sizeof own);
            snprintf(full, sizeof full, "%s%s%s", parent ? parent->name : "", parent ? "-" : "", own);
            int rc = object(im, k, parent, d, full);
            if (rc)
                return rc;
        }
    }
    return 0;
}

/* The object's own fields: without its name and its children. */
static int fields(struct import *im, const struct pending *p) {
    struct estate *s = im->t->s;
    struct field_env env = estate_env(s);
    struct doc own = {.type = DOC_MAP, .line = p->doc->line, .column = p->doc->column};
    struct arena a = ARENA_INIT;
    doc_each(item, p->doc) {
        if (!strcmp(item->key, "name") || child_kind(im, p->o->kind, item->key))
            continue;
        struct doc *view = arena_copy(&a, item, sizeof *item);
        doc_push(&own, view);
    }
    int rc;
    if (p->is_new) {
        table_defaults(p->o->kind->table, p->o->data);
        rc = table_read(p->o->kind->table, p->o->data, &own, im->source, &env, TABLE_CREATE, im->e);
    } else {
        rc = txn_set(im->t, p->o->id, &own, im->source, im->e);
    }
    arena_free(&a);
    return rc && p->is_new ? err_context(im->e, "%s/%s", p->o->kind->name, p->o->name) : rc;
}

int txn_import(struct txn *t, const struct doc *d, const char *source, struct err *e) {
    struct err own;
    struct import im = {.t = t, .source = source, .e = e ? e : &own};
    size_t mark = t->log.n;
    int rc = d->type == DOC_MAP ? 0 : fail(&im, d, E_INVAL, "an estate is a map of kinds, not a", doc_type_name(d->type));
    for (const struct doc *item = rc ? NULL : d->list.first; item && !rc; item = item->next) {
        if (!strcmp(item->key, "estate") || !strcmp(item->key, "title"))
            continue;
        const struct kind *k = child_kind(&im, NULL, item->key);
        if (k && (k->flags & KIND_RUNTIME)) {
            rc = err_set(im.e, E_INVAL, "a %s is made by its verbs, not by an estate file", item->key);
        } else if (k) {
            rc = objects(&im, k, NULL, item);
            continue;
        }
        if (!rc)
            rc = estate_kind_find(t->s, item->key, &k, im.e);
        if (!rc) {
            rc = err_set(im.e, E_INVAL, "a %s stands below a %s, not at the top", item->key, k->parents[0]);
        }
        err_place(im.e, "%s:%u:%u", source, item->line, item->column);
    }
    for (size_t i = 0; i < im.list.n && !rc; i++)
        rc = fields(&im, &im.list.p[i]);
    vec_free(&im.list);
    arena_free(&im.a);
    if (rc)
        txn_back_to(t, mark);
    return rc;
}
