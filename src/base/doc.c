#include "base/doc.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

const char *doc_type_name(enum doc_type t) {
    static const char *const names[] = {"null", "true/false", "integer", "number", "text", "list", "map"};
    return names[t];
}

static struct doc *node(struct arena *a, enum doc_type type) {
    struct doc *d = arena_new(a, struct doc);
    d->type = type;
    return d;
}

struct doc *doc_null(struct arena *a) { return node(a, DOC_NULL); }
struct doc *doc_seq(struct arena *a) { return node(a, DOC_SEQ); }
struct doc *doc_map(struct arena *a) { return node(a, DOC_MAP); }

struct doc *doc_bool(struct arena *a, bool v) {
    struct doc *d = node(a, DOC_BOOL);
    d->boolean = v;
    return d;
}

struct doc *doc_int(struct arena *a, int64_t v) {
    struct doc *d = node(a, DOC_INT);
    d->integer = v;
    return d;
}

struct doc *doc_real(struct arena *a, double v) {
    struct doc *d = node(a, DOC_REAL);
    d->real = v;
    return d;
}

struct doc *doc_strn(struct arena *a, const char *s, size_t n) {
    struct doc *d = node(a, DOC_STR);
    d->str.p = arena_strndup(a, s, n);
    d->str.n = n;
    return d;
}

struct doc *doc_str(struct arena *a, const char *s) { return doc_strn(a, s, strlen(s)); }

void doc_push(struct doc *seq, struct doc *item) {
    item->next = NULL;
    if (seq->list.last)
        seq->list.last->next = item;
    else
        seq->list.first = item;
    seq->list.last = item;
    seq->list.n++;
}

void doc_put(struct doc *map, const char *key, struct doc *value) {
    value->key = key;
    doc_push(map, value);
}

void doc_put_str(struct arena *a, struct doc *map, const char *key, const char *s) { doc_put(map, key, doc_str(a, s)); }
void doc_put_int(struct arena *a, struct doc *map, const char *key, int64_t v) { doc_put(map, key, doc_int(a, v)); }
void doc_put_real(struct arena *a, struct doc *map, const char *key, double v) { doc_put(map, key, doc_real(a, v)); }
void doc_put_bool(struct arena *a, struct doc *map, const char *key, bool v) { doc_put(map, key, doc_bool(a, v)); }

struct doc *doc_get(const struct doc *map, const char *key) {
    if (!map || map->type != DOC_MAP)
        return NULL;
    if (map->list.index)
        return map_ptr(map->list.index, key);
    doc_each(d, map) {
        if (!strcmp(d->key, key))
            return d;
    }
    return NULL;
}

const char *doc_get_str(const struct doc *map, const char *key, const char *fallback) {
    const struct doc *d = doc_get(map, key);
    return d && d->type == DOC_STR ? d->str.p : fallback;
}

int64_t doc_get_int(const struct doc *map, const char *key, int64_t fallback) {
    const struct doc *d = doc_get(map, key);
    return d && d->type == DOC_INT ? d->integer : fallback;
}

double doc_get_real(const struct doc *map, const char *key, double fallback) {
    const struct doc *d = doc_get(map, key);
    if (d && d->type == DOC_INT)
        return (double)d->integer;
    return d && d->type == DOC_REAL ? d->real : fallback;
}

bool doc_get_bool(const struct doc *map, const char *key, bool fallback) {
    const struct doc *d = doc_get(map, key);
    return d && d->type == DOC_BOOL ? d->boolean : fallback;
}

struct doc *doc_at(const struct doc *root, const char *path) {
    struct doc *d = (struct doc *)root;
    char key[128];
    while (d && *path) {
        if (*path == '[') {
            char *end;
            unsigned long i = strtoul(path + 1, &end, 10);
            if (*end != ']' || d->type != DOC_SEQ)
                return NULL;
            path = end + 1;
            d = d->list.first;
            while (d && i--)
                d = d->next;
        } else {
            size_t n = strcspn(path, ".[");
            if (n >= sizeof key)
                return NULL;
            memcpy(key, path, n);
            key[n] = '\0';
            path += n;
            d = doc_get(d, key);
        }
        if (*path == '.')
            path++;
    }
    return d;
}

struct doc *doc_copy(struct arena *a, const struct doc *d) {
    struct doc *c = arena_copy(a, d, sizeof *d);
    c->next = NULL;
    c->key = d->key ? arena_strdup(a, d->key) : NULL;
    if (d->type == DOC_STR)
        c->str.p = arena_strndup(a, d->str.p, d->str.n);
    if (d->type == DOC_SEQ || d->type == DOC_MAP) {
        c->list.first = c->list.last = NULL;
        c->list.n = 0;
        c->list.index = NULL;
        doc_each(item, d)
            doc_push(c, doc_copy(a, item));
    }
    return c;
}

static bool number_equal(const struct doc *x, const struct doc *y) {
    double a = x->type == DOC_INT ? (double)x->integer : x->real, b = y->type == DOC_INT ? (double)y->integer : y->real;
    return x->type == DOC_INT && y->type == DOC_INT ? x->integer == y->integer : !(a < b) && !(b < a);
}

bool doc_equal(const struct doc *x, const struct doc *y) {
    bool xn = x->type == DOC_INT || x->type == DOC_REAL, yn = y->type == DOC_INT || y->type == DOC_REAL;
    if (xn && yn)
        return number_equal(x, y);
    if (x->type != y->type)
        return false;
    if (x->type == DOC_BOOL)
        return x->boolean == y->boolean;
    if (x->type == DOC_STR)
        return x->str.n == y->str.n && !memcmp(x->str.p, y->str.p, x->str.n);
    if (x->type == DOC_NULL)
        return true;
    if (x->list.n != y->list.n)
        return false;
    const struct doc *b = y->list.first;
    doc_each(item, x) {
        const struct doc *other = x->type == DOC_MAP ? doc_get(y, item->key) : b;
        if (!other || !doc_equal(item, other))
            return false;
        b = b ? b->next : NULL;
    }
    return true;
}
