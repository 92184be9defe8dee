/* Tables: finding, defaults, comparing, hashing, checking. */
#include "base/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/field_item.h"
#include "base/hash.h"

const struct field *table_find(const struct table *t, const char *name) {
    for (uint32_t i = 0; t && i < t->nfields; i++)
        if (!strcmp(t->fields[i].name, name))
            return &t->fields[i];
    return NULL;
}

void table_defaults(const struct table *t, void *object) {
    for (uint32_t i = 0; i < t->nfields; i++) {
        const struct field *f = &t->fields[i];
        struct err e;
        if (f->type == FIELD_GROUP && !f->count_max)
            table_defaults(f->group, field_item_mut(f, object, 0));
        /* A default that does not read is a bug of the table; tidy reads every one. */
        if (f->dflt && field_read_text(f, object, f->dflt, NULL, &e))
            fprintf(stderr, "suan: bad default of %s.%s: %s\n", t->name, f->name, e.message);
    }
}

static bool item_equal(const struct field *f, const void *x, const void *y) {
    switch (f->type) {
    case FIELD_TEXT:
        return !strncmp(x, y, f->size);
    case FIELD_REAL: {
        double a, b;
        memcpy(&a, x, sizeof a);
        memcpy(&b, y, sizeof b);
        return !(a < b) && !(b < a);
    }
    case FIELD_GROUP:
        for (uint32_t i = 0; i < f->group->nfields; i++)
            if (!field_equal(&f->group->fields[i], x, y))
                return false;
        return true;
    default:
        return !memcmp(x, y, f->size);
    }
}

bool field_equal(const struct field *f, const void *x, const void *y) {
    uint32_t n = field_count(f, x);
    if (n != field_count(f, y))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!item_equal(f, field_item(f, x, i), field_item(f, y, i)))
            return false;
    return true;
}

static void hash_item(struct hash *h, const struct field *f, const void *p) {
    switch (f->type) {
    case FIELD_TEXT:
        hash_bytes(h, p, strnlen(p, f->size));
        break;
    case FIELD_REAL: {
        double v;
        memcpy(&v, p, sizeof v);
        hash_real(h, v);
        break;
    }
    case FIELD_GROUP:
        hash_u64(h, table_hash(f->group, p, 0));
        break;
    case FIELD_DOC:
        break;
    default:
        hash_bytes(h, p, f->size);
    }
}

uint64_t table_hash(const struct table *t, const void *object, uint64_t seed) {
    struct hash h;
    hash_begin(&h, seed);
    for (uint32_t i = 0; i < t->nfields; i++) {
        const struct field *f = &t->fields[i];
        if (f->flags & F_VOLATILE)
            continue;
        uint32_t n = field_count(f, object);
        hash_u64(&h, n);
        for (uint32_t k = 0; k < n; k++)
            hash_item(&h, f, field_item(f, object, k));
    }
    return hash_end(&h);
}

static void value_print(const struct field *f, double v, struct text *out) {
    char span[CIVIL_TEXT];
    if (f->type != FIELD_SPAN) {
        unit_print(v, f->unit, out);
        return;
    }
    span_print(span, (int64_t)v);
    text_add(out, span);
}

static int range_check(const struct field *f, const void *p, struct err *e) {
    double v;
    if (f->type == FIELD_REAL)
        memcpy(&v, p, sizeof v);
    else if (f->type == FIELD_INT || f->type == FIELD_SPAN) {
        int64_t i;
        memcpy(&i, p, sizeof i);
        v = (double)i;
    } else
        return 0;
    if ((f->min == 0 && f->max == 0) || (v >= f->min && v <= f->max))
        return 0;
    struct text value = TEXT_INIT, lo = TEXT_INIT, hi = TEXT_INIT;
    value_print(f, v, &value);
    value_print(f, f->min, &lo);
    value_print(f, f->max, &hi);
    err_set(e, E_INVAL, "%s: %s is out of range", f->name, text_str(&value));
    err_hint(e, "from %s to %s", text_str(&lo), text_str(&hi));
    text_free(&value);
    text_free(&lo);
    text_free(&hi);
    return E_INVAL;
}

int table_check(const struct table *t, const void *object, struct err *e) {
    for (uint32_t i = 0; i < t->nfields; i++) {
        const struct field *f = &t->fields[i];
        uint32_t n = field_count(f, object);
        for (uint32_t k = 0; k < n; k++) {
            const void *p = field_item(f, object, k);
            int rc = f->type == FIELD_GROUP ? table_check(f->group, p, e) : range_check(f, p, e);
            if (rc)
                return rc;
        }
        int rc = f->check ? f->check(object, f, e) : 0;
        if (rc)
            return rc;
    }
    return 0;
}
