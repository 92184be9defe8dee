/* Values in: from documents with places, and from text. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/field.h"
#include "base/field_item.h"

#define SPAN_MAX_US 2e15 /* 63 years: up to here seconds as a double give each microsecond back */

static int enum_read(const struct field *f, void *item, const char *s, struct err *e) {
    size_t n = 0;
    for (; f->words[n]; n++)
        if (!strcmp(f->words[n], s)) {
            int v = (int)n;
            memcpy(item, &v, sizeof v);
            return 0;
        }
    err_set(e, E_INVAL, "'%.48s' is not one of its words", s);
    const char *near = str_nearest(s, f->words, n);
    if (near) {
        err_hint(e, "did you mean '%s'?", near);
    } else if (e) {
        char list[sizeof e->hint] = "";
        for (size_t i = 0; i < n && strlen(list) + strlen(f->words[i]) + 3 < sizeof list; i++) {
            strcat(list, i ? ", " : "");
            strcat(list, f->words[i]);
        }
        err_hint(e, "one of: %s", list);
    }
    return E_INVAL;
}

static int whole(double v, const char *s, int64_t *out, struct err *e) {
    if (v != floor(v) || fabs(v) > 9.2e18)
        return err_set(e, E_INVAL, "'%.48s' is not a whole number", s);
    *out = (int64_t)v;
    return 0;
}

static int int_text(const struct field *f, const char *s, int64_t *out, struct err *e) {
    char *end;
    errno = 0;
    *out = strtoll(s, &end, 10);
    if (end != s && !*end && !errno)
        return 0;
    double v;
    int rc = unit_parse(s, f->unit, &v, e);
    return rc ? rc : whole(v, s, out, e);
}

static int span_text(const char *s, int64_t *out, struct err *e) {
    double v;
    int rc = unit_parse(s, "s", &v, e); /* a bare number is seconds */
    if (rc)
        return rc;
    v *= 1e6;
    if (fabs(v) > SPAN_MAX_US)
        return err_set(e, E_INVAL, "'%.48s' is too long a time", s);
    *out = (int64_t)(v < 0 ? v - 0.5 : v + 0.5);
    return 0;
}

static int bool_text(const char *s, bool *out, struct err *e) {
    if (!strcmp(s, "true") || !strcmp(s, "yes") || !strcmp(s, "on") || !strcmp(s, "1"))
        *out = true;
    else if (!strcmp(s, "false") || !strcmp(s, "no") || !strcmp(s, "off") || !strcmp(s, "0"))
        *out = false;
    else
        return err_set(e, E_INVAL, "'%.48s' is neither true nor false", s);
    return 0;
}

static int ref_text(const struct field *f, const char *s, const struct field_env *env, oid *out, struct err *e) {
    *out = 0;
    if (!*s)
        return 0;
    if (!env)
        return err_set(e, E_INVAL, "'%.48s': references cannot be resolved here", s);
    return env->resolve(env->ctx, f->ref, s, out, e);
}

int field_item_text(const struct field *f, void *item, const char *s, const struct field_env *env, struct err *e) {
    int64_t i = 0;
    double v;
    bool b = false;
    oid id;
    int rc;
    switch (f->type) {
    case FIELD_BOOL:
        if (!(rc = bool_text(s, &b, e)))
            memcpy(item, &b, sizeof b);
        return rc;
    case FIELD_INT:
        if (!(rc = int_text(f, s, &i, e)))
            memcpy(item, &i, sizeof i);
        return rc;
    case FIELD_REAL:
        if (!(rc = unit_parse(s, f->unit, &v, e)))
            memcpy(item, &v, sizeof v);
        return rc;
    case FIELD_SPAN:
        if (!(rc = span_text(s, &i, e)))
            memcpy(item, &i, sizeof i);
        return rc;
    case FIELD_TIME:
        if (!*s || !strcmp(s, "never"))
            i = 0;
        else if (!civil_parse(s, &i))
            return err_set(e, E_INVAL, "'%.48s' is not a time such as 2026-11-24T16:00:00Z", s);
        memcpy(item, &i, sizeof i);
        return 0;
    case FIELD_TEXT:
        if (strlen(s) >= f->size)
            return err_set(e, E_LIMIT, "%zu bytes of text, the limit is %u", strlen(s), f->size - 1);
        if (!str_is_utf8(s, strlen(s)))
            return err_set(e, E_INVAL, "the text is not UTF-8");
        memset(item, 0, f->size);
        memcpy(item, s, strlen(s));
        return 0;
    case FIELD_ENUM:
        return enum_read(f, item, s, e);
    case FIELD_REF:
        if (!(rc = ref_text(f, s, env, &id, e)))
            memcpy(item, &id, sizeof id);
        return rc;
    default:
        return err_set(e, E_INVAL, "a map is wanted, not '%.48s'", s);
    }
}

/* A number given as a number: exact for integers, in the field's own unit. */
static int item_number(const struct field *f, void *item, const struct doc *d, const struct field_env *env,
                       struct err *e) {
    double v = d->type == DOC_INT ? (double)d->integer : d->real;
    int64_t i = 0;
    char s[40];
    int rc;
    switch (f->type) {
    case FIELD_INT:
        if (d->type == DOC_INT) {
            memcpy(item, &d->integer, sizeof i);
            return 0;
        }
        snprintf(s, sizeof s, "%.17g", v);
        if (!(rc = whole(v, s, &i, e)))
            memcpy(item, &i, sizeof i);
        return rc;
    case FIELD_REAL:
        memcpy(item, &v, sizeof v);
        return 0;
    case FIELD_SPAN:
        if (fabs(v) > SPAN_MAX_US * 1e-6)
            return err_set(e, E_INVAL, "too long a time");
        i = (int64_t)(v < 0 ? v * 1e6 - 0.5 : v * 1e6 + 0.5);
        memcpy(item, &i, sizeof i);
        return 0;
    case FIELD_TEXT:
        snprintf(s, sizeof s, d->type == DOC_INT ? "%.0f" : "%.15g", v);
        if (d->type == DOC_INT)
            snprintf(s, sizeof s, "%lld", (long long)d->integer);
        return field_item_text(f, item, s, env, e);
    default:
        return err_set(e, E_INVAL, "a number stands where %s is wanted",
                       f->type == FIELD_BOOL   ? "true or false"
                       : f->type == FIELD_ENUM ? "a word"
                       : f->type == FIELD_REF  ? "a name"
                       : f->type == FIELD_TIME ? "a time"
                                               : "a map");
    }
}

static int item_doc(const struct field *f, void *item, const struct doc *d, const char *source,
                    const struct field_env *env, enum table_mode mode, struct err *e) {
    if (f->type == FIELD_DOC) {
        memcpy(item, &d, sizeof d);
        return 0;
    }
    if (f->type == FIELD_GROUP) {
        memset(item, 0, f->size);
        table_defaults(f->group, item);
        return table_read(f->group, item, d, source, env, mode, e);
    }
    switch (d->type) {
    case DOC_STR:
        if (strlen(d->str.p) != d->str.n)
            return err_set(e, E_INVAL, "the text holds a NUL");
        return field_item_text(f, item, d->str.p, env, e);
    case DOC_BOOL:
        if (f->type == FIELD_BOOL) {
            memcpy(item, &d->boolean, sizeof d->boolean);
            return 0;
        }
        return field_item_text(f, item, d->boolean ? "true" : "false", env, e);
    case DOC_INT:
    case DOC_REAL:
        return item_number(f, item, d, env, e);
    default:
        return err_set(e, E_INVAL, "a %s stands where one value is wanted", doc_type_name(d->type));
    }
}

static void shown(const struct doc *d, char *out, size_t size) {
    struct text t = TEXT_INIT;
    json_print(&t, d, 0);
    str_copy(out, size, text_str(&t));
    if (t.n >= size && size > 4)
        memcpy(out + strlen(out) - 3, "...", 3);
    text_free(&t);
}

/* Put the value's place and the field's name to an error that has none yet. */
static int at(struct err *e, const struct field *f, const struct doc *d, const char *source, int rc) {
    if (e && !*e->place) {
        char value[48];
        shown(d, value, sizeof value);
        err_context(e, "%s = %s", f->name, value);
        if (d->line)
            err_place(e, "%s:%u:%u", source, d->line, d->column);
        else
            err_place(e, "%s", source);
    }
    return rc;
}

static int field_doc(const struct field *f, void *object, const struct doc *d, const char *source,
                     const struct field_env *env, enum table_mode mode, struct err *e) {
    if (d->type == DOC_NULL && f->type != FIELD_DOC) { /* null = back to the default */
        memset(field_item_mut(f, object, 0), 0, (size_t)f->size * (f->count_max ? f->count_max : 1));
        field_set_count(f, object, 0);
        if (f->type == FIELD_GROUP && !f->count_max)
            table_defaults(f->group, field_item_mut(f, object, 0));
        return f->dflt ? field_read_text(f, object, f->dflt, env, e) : 0;
    }
    if (!f->count_max)
        return at(e, f, d, source, item_doc(f, field_item_mut(f, object, 0), d, source, env, mode, e));
    if (d->type != DOC_SEQ) { /* one value for a list of one */
        if (d->type == DOC_MAP && f->type != FIELD_GROUP)
            return at(e, f, d, source, err_set(e, E_INVAL, "a list is wanted"));
        field_set_count(f, object, 1);
        return at(e, f, d, source, item_doc(f, field_item_mut(f, object, 0), d, source, env, mode, e));
    }
    if (d->list.n > f->count_max)
        return at(e, f, d, source, err_set(e, E_LIMIT, "%zu values, the limit is %u", d->list.n, f->count_max));
    memset(field_item_mut(f, object, 0), 0, (size_t)f->size * f->count_max);
    field_set_count(f, object, (uint32_t)d->list.n);
    uint32_t i = 0;
    doc_each(item, d) {
        int rc = item_doc(f, field_item_mut(f, object, i++), item, source, env, mode, e);
        if (rc)
            return at(e, f, item, source, rc);
    }
    return 0;
}

static int unknown_key(const struct table *t, const struct doc *item, const char *source, struct err *e) {
    const char *names[256];
    size_t n = 0;
    for (uint32_t i = 0; i < t->nfields && n < 256; i++)
        names[n++] = t->fields[i].name;
    err_set(e, E_INVAL, "'%.48s' is not a field of %s", item->key, t->name);
    const char *near = str_nearest(item->key, names, n);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    if (item->line)
        err_place(e, "%s:%u:%u", source, item->line, item->column);
    else
        err_place(e, "%s", source);
    return E_INVAL;
}

static int refuse_mode(const struct field *f, const struct doc *item, const char *source, enum table_mode mode,
                       struct err *e) {
    bool state = f->flags & (F_STATE | F_VOLATILE);
    if (mode == TABLE_RESTORE || !(state || (mode == TABLE_SET && (f->flags & F_FINAL))))
        return 0;
    err_set(e, E_INVAL, "%s is %s", f->name, state ? "observed, not set" : "set at creation only");
    if (item->line)
        err_place(e, "%s:%u:%u", source, item->line, item->column);
    else
        err_place(e, "%s", source);
    return E_INVAL;
}

int table_read(const struct table *t, void *object, const struct doc *map, const char *source,
               const struct field_env *env, enum table_mode mode, struct err *e) {
    struct err own;
    e = e ? e : &own;
    err_clear(e);
    if (map && map->type != DOC_MAP) {
        err_set(e, E_INVAL, "a map of fields is wanted, not a %s", doc_type_name(map->type));
        err_place(e, "%s:%u:%u", source, map->line, map->column);
        return E_INVAL;
    }
    void *copy = malloc(t->size);
    if (!copy)
        abort();
    memcpy(copy, object, t->size);
    int rc = 0;
    for (const struct doc *item = map ? map->list.first : NULL; item && !rc; item = item->next) {
        const struct field *f = table_find(t, item->key);
        rc = f ? refuse_mode(f, item, source, mode, e) : unknown_key(t, item, source, e);
        if (!rc)
            rc = field_doc(f, copy, item, source, env, mode, e);
    }
    for (uint32_t i = 0; i < t->nfields && !rc && mode == TABLE_CREATE; i++) {
        const struct doc *given = doc_get(map, t->fields[i].name);
        bool is_empty = given && (given->type == DOC_NULL || (given->type == DOC_STR && !given->str.n));
        if ((t->fields[i].flags & F_REQUIRED) && (!given || (is_empty && t->fields[i].type != FIELD_DOC))) {
            rc = err_set(e, E_INVAL, "%s is missing", t->fields[i].name);
            err_hint(e, "%s", t->fields[i].doc ? t->fields[i].doc : "");
            err_place(e, "%s:%u:%u", source, map ? map->line : 0, map ? map->column : 0);
        }
    }
    if (!rc && mode != TABLE_RESTORE && (rc = table_check(t, copy, e)) && e && !*e->place) {
        /* Point at the value that is out of range, when it was given. */
        const struct doc *blame = map;
        for (uint32_t i = 0; i < t->nfields; i++)
            if (str_starts(e->message, t->fields[i].name) && doc_get(map, t->fields[i].name))
                blame = doc_get(map, t->fields[i].name);
        err_place(e, "%s:%u:%u", source, blame ? blame->line : 0, blame ? blame->column : 0);
    }
    if (!rc)
        memcpy(object, copy, t->size);
    free(copy);
    return rc;
}

int field_read_text(const struct field *f, void *object, const char *value, const struct field_env *env,
                    struct err *e) {
    if (!f->count_max)
        return field_item_text(f, field_item_mut(f, object, 0), value, env, e);
    if (f->type == FIELD_GROUP)
        return err_set(e, E_INVAL, "%s is a list of maps and cannot be given as text", f->name);
    uint32_t n = 0;
    char *copy = strdup(value), *rest = copy;
    int rc = copy ? 0 : err_set(e, E_INTERNAL, "out of memory");
    memset(field_item_mut(f, object, 0), 0, (size_t)f->size * f->count_max);
    for (char *part; !rc && *value && (part = strsep(&rest, ","));) {
        if (n == f->count_max)
            rc = err_set(e, E_LIMIT, "%s: more than %u values", f->name, f->count_max);
        else
            rc = field_item_text(f, field_item_mut(f, object, n++), part, env, e);
    }
    free(copy);
    if (!rc)
        field_set_count(f, object, n);
    return rc;
}
