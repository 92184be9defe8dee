/* The verb `list` of every kind: filter, search, sort, page. Made for tables of 100,000 rows: what is not on the
 * page is never written out. */
#include "core/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/field_item.h"
#include "base/vec.h"
#include "core/host.h"

static const char *const own_words[] = {"limit", "after", "offset", "fields", "parent", "q", "sort"};
enum { OWN_WORDS = sizeof own_words / sizeof own_words[0], LIMIT_MAX = 100000 };

struct row { /* one match, with what it is sorted by */
    oid id;
    double number;
    const char *text; /* NULL: by number */
};

struct listing {
    struct call *c;
    const struct estate *estate;
    int64_t limit, offset;
    oid after, parent;
    const char *q;
    const struct field *sort; /* NULL: in order of creation, or by name */
    bool by_name, descending, filters;
    VEC(struct row) rows; /* only when sorted */
    struct doc *items;
    const char *last;
    int64_t matched;
    bool more;
};

static bool is_own(const char *key) {
    for (size_t i = 0; i < OWN_WORDS; i++)
        if (!strcmp(key, own_words[i]))
            return true;
    return false;
}

static bool filters_match(struct listing *l, oid id) {
    struct field_env env = estate_env(l->estate);
    doc_each(w, l->c->body) {
        const struct field *f = is_own(w->key) ? NULL : table_find(l->c->kind->table, w->key);
        if (!f || w->type != DOC_STR)
            continue;
        struct doc *v = field_write(f, estate_data(l->estate, id), &l->c->arena, &env);
        struct text t = TEXT_INIT;
        if (v->type == DOC_STR)
            text_add(&t, v->str.p);
        else
            json_print(&t, v, 0);
        bool same = !strcmp(text_str(&t), w->str.p);
        text_free(&t);
        if (!same)
            return false;
    }
    return true;
}

/* Search: a part of the name, or of a text field called title…, whatever the case. */
static bool searched(const struct listing *l, oid id) {
    const struct table *t = l->c->kind->table;
    if (!l->q || strcasestr(estate_name(l->estate, id), l->q))
        return true;
    for (uint32_t i = 0; i < t->nfields; i++)
        if (t->fields[i].type == FIELD_TEXT && !t->fields[i].count_max && str_starts(t->fields[i].name, "title") &&
            strcasestr((const char *)estate_data(l->estate, id) + t->fields[i].offset, l->q))
            return true;
    return false;
}

static struct row row_of(const struct listing *l, oid id) {
    struct row r = {.id = id};
    const struct field *f = l->sort;
    if (l->by_name)
        r.text = estate_name(l->estate, id);
    if (!f)
        return r;
    const void *p = field_item(f, estate_data(l->estate, id), 0);
    int64_t i;
    int word;
    oid ref;
    switch (f->type) {
    case FIELD_BOOL:
        r.number = *(const bool *)p;
        break;
    case FIELD_REAL:
        memcpy(&r.number, p, sizeof r.number);
        break;
    case FIELD_ENUM:
        memcpy(&word, p, sizeof word);
        r.number = word;
        break;
    case FIELD_REF:
        memcpy(&ref, p, sizeof ref);
        r.text = estate_alive(l->estate, ref) ? estate_name(l->estate, ref) : "";
        break;
    case FIELD_TEXT:
        r.text = p;
        break;
    default:
        memcpy(&i, p, sizeof i);
        r.number = (double)i;
    }
    return r;
}

static int compare(const void *x, const void *y, void *ctx) {
    const struct row *a = x, *b = y;
    const struct listing *l = ctx;
    int by = a->text ? strcmp(a->text, b->text) : (a->number > b->number) - (a->number < b->number);
    if (!by) /* equal ones in order of creation */
        return (a->id > b->id) - (a->id < b->id);
    return l->descending ? -by : by;
}

static struct doc *chosen(struct call *c, struct doc *object, const char *fields) {
    struct doc *out = doc_map(&c->arena);
    char *list = arena_strdup(&c->arena, fields), *rest = list;
    doc_put_str(&c->arena, out, "name", doc_get_str(object, "name", ""));
    for (char *f; (f = strsep(&rest, ","));) {
        struct doc *d = doc_get(object, f);
        if (d && strcmp(f, "name"))
            doc_put(out, f, doc_copy(&c->arena, d));
    }
    return out;
}

static void item_add(struct listing *l, oid id) {
    const char *fields = doc_get_str(l->c->body, "fields", NULL);
    struct doc *d = estate_object_doc(l->estate, id, &l->c->arena);
    doc_push(l->items, fields ? chosen(l->c, d, fields) : d);
    l->last = estate_name(l->estate, id);
}

static void walk(struct listing *l) {
    bool sorted = l->sort || l->by_name || l->descending;
    for (oid id = l->after; (id = estate_next(l->estate, l->c->kind->name, id));) {
        if ((l->parent && estate_parent(l->estate, id) != l->parent) || !searched(l, id) ||
            (l->filters && !filters_match(l, id)))
            continue;
        l->matched++;
        if (sorted)
            vec_push(&l->rows, row_of(l, id));
        else if (l->matched > l->offset && l->items->list.n < (size_t)l->limit)
            item_add(l, id);
        else
            l->more |= l->matched > l->offset;
        /* Without a filter the number of matches is known without looking. */
        if (l->more && !l->filters && !l->parent && !l->q)
            break;
    }
    if (!sorted)
        return;
    if (!l->sort && !l->by_name)
        for (size_t i = 0, k = l->rows.n; k > i + 1; i++) {
            struct row swap = l->rows.p[--k];
            l->rows.p[k] = l->rows.p[i];
            l->rows.p[i] = swap;
        }
    else if (l->rows.n)
        qsort_r(l->rows.p, l->rows.n, sizeof *l->rows.p, compare, l);
    for (size_t i = (size_t)l->offset; i < l->rows.n && l->items->list.n < (size_t)l->limit; i++)
        item_add(l, l->rows.p[i].id);
    l->more = l->rows.n > (size_t)l->offset + l->items->list.n;
}

static int unknown(struct call *c, const char *what, const char *word) {
    const struct table *t = c->kind->table;
    const char *names[256];
    size_t n = 0;
    for (uint32_t i = 0; i < t->nfields && n < 256; i++)
        names[n++] = t->fields[i].name;
    err_set(&c->err, E_INVAL, "%s'%.48s' is neither a field of %s nor limit, after, offset, fields, parent, q, sort", what,
            word, c->kind->name);
    const char *near = str_nearest(word, names, n);
    if (near)
        err_hint(&c->err, "did you mean '%s'?", near);
    return E_INVAL;
}

static int number_read(struct call *c, const char *key, int64_t fallback, int64_t min, int64_t max, int64_t *out) {
    const struct doc *d = doc_get(c->body, key);
    char *end = NULL;
    *out = fallback;
    if (!d)
        return 0;
    if (d->type == DOC_STR)
        *out = strtoll(d->str.p, &end, 10);
    else if (d->type == DOC_INT)
        *out = d->integer;
    else
        end = (char *)"?";
    if ((end && *end) || *out < min || *out > max)
        return err_set(&c->err, E_INVAL, "%s: a number from %lld to %lld is wanted", key, (long long)min, (long long)max);
    return 0;
}

static int read_call(struct listing *l) {
    struct call *c = l->c;
    const char *after = doc_get_str(c->body, "after", NULL), *parent = doc_get_str(c->body, "parent", NULL);
    const char *sort = doc_get_str(c->body, "sort", NULL);
    int rc = 0;
    doc_each(w, c->body) {
        bool own = is_own(w->key);
        if (!own && !table_find(c->kind->table, w->key))
            return unknown(c, "", w->key);
        l->filters |= !own;
    }
    l->q = doc_get_str(c->body, "q", NULL);
    l->q = l->q && *l->q ? l->q : NULL;
    if ((rc = number_read(c, "limit", 1000, 1, LIMIT_MAX, &l->limit)) ||
        (rc = number_read(c, "offset", 0, 0, INT32_MAX, &l->offset)))
        return rc;
    if (sort && *sort) {
        l->descending = *sort == '-';
        sort += l->descending;
        l->by_name = !strcmp(sort, "name");
        l->sort = l->by_name || !*sort ? NULL : table_find(c->kind->table, sort);
        if (*sort && !l->by_name && (!l->sort || l->sort->count_max || l->sort->type == FIELD_GROUP || l->sort->type == FIELD_DOC))
            return unknown(c, "sort: ", sort);
        if (after)
            return err_set(&c->err, E_INVAL, "after: goes with the order of creation; a sorted list is paged by offset");
    }
    if (after)
        rc = estate_lookup(l->estate, c->kind->name, after, &l->after, &c->err);
    if (!rc && parent)
        rc = estate_lookup_path(l->estate, parent, &l->parent, &c->err);
    return rc;
}

int verb_list(struct call *c) {
    struct listing l = {.c = c, .estate = c->host->estate};
    int rc = read_call(&l);
    if (rc)
        return rc;
    l.items = doc_seq(&c->arena);
    walk(&l);
    int64_t total = (int64_t)estate_count(l.estate, c->kind->name);
    c->reply = doc_map(&c->arena);
    doc_put(c->reply, "items", l.items);
    doc_put_int(&c->arena, c->reply, "count", (int64_t)l.items->list.n);
    doc_put_int(&c->arena, c->reply, "matched", l.filters || l.parent || l.q || l.after ? l.matched : total);
    doc_put_int(&c->arena, c->reply, "total", total);
    if (l.more && !l.rows.n)
        doc_put_str(&c->arena, c->reply, "next", l.last);
    vec_free(&l.rows);
    return 0;
}
