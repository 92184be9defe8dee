/* Values out: documents and text for people. */
#include <stdio.h>
#include <string.h>

#include "base/civil.h"
#include "base/field.h"
#include "base/field_item.h"

static const char *ref_name(const void *item, const struct field_env *env) {
    oid id;
    memcpy(&id, item, sizeof id);
    const char *name = id && env ? env->name_of(env->ctx, id) : NULL;
    return name ? name : "";
}

static const char *word_of(const struct field *f, const void *item) {
    int v;
    memcpy(&v, item, sizeof v);
    for (int i = 0; f->words[i]; i++)
        if (i == v)
            return f->words[i];
    return "?";
}

static struct doc *item_write(const struct field *f, const void *p, struct arena *a, const struct field_env *env) {
    int64_t i;
    double v;
    char s[CIVIL_TEXT];
    const struct doc *d;
    switch (f->type) {
    case FIELD_BOOL:
        return doc_bool(a, *(const bool *)p);
    case FIELD_INT:
        memcpy(&i, p, sizeof i);
        return doc_int(a, i);
    case FIELD_REAL:
        memcpy(&v, p, sizeof v);
        return doc_real(a, v);
    case FIELD_TEXT:
        return f->flags & F_SECRET ? doc_str(a, *(const char *)p ? "***" : "") : doc_str(a, p);
    case FIELD_ENUM:
        return doc_str(a, word_of(f, p));
    case FIELD_REF:
        return doc_str(a, ref_name(p, env));
    case FIELD_TIME:
        memcpy(&i, p, sizeof i);
        if (!i)
            return doc_null(a);
        civil_print(s, i);
        return doc_str(a, s);
    case FIELD_SPAN:
        memcpy(&i, p, sizeof i);
        return i % 1000000 ? doc_real(a, (double)i / 1e6) : doc_int(a, i / 1000000);
    case FIELD_GROUP:
        return table_write(f->group, p, a, env, 0);
    case FIELD_DOC:
        memcpy(&d, p, sizeof d);
        return d ? doc_copy(a, d) : doc_null(a);
    }
    return doc_null(a);
}

struct doc *field_write(const struct field *f, const void *object, struct arena *a, const struct field_env *env) {
    if (!f->count_max)
        return item_write(f, field_item(f, object, 0), a, env);
    struct doc *list = doc_seq(a);
    for (uint32_t i = 0; i < field_count(f, object); i++)
        doc_push(list, item_write(f, field_item(f, object, i), a, env));
    return list;
}

struct doc *table_write(const struct table *t, const void *object, struct arena *a, const struct field_env *env,
                        uint32_t flags_without) {
    struct doc *map = doc_map(a);
    for (uint32_t i = 0; i < t->nfields; i++)
        if (!(t->fields[i].flags & flags_without))
            doc_put(map, t->fields[i].name, field_write(&t->fields[i], object, a, env));
    return map;
}

static void item_print(const struct field *f, const void *p, const struct field_env *env, struct text *out) {
    int64_t i;
    double v;
    char s[CIVIL_TEXT];
    switch (f->type) {
    case FIELD_BOOL:
        text_add(out, *(const bool *)p ? "yes" : "no");
        break;
    case FIELD_INT:
        memcpy(&i, p, sizeof i);
        if (f->unit && i)
            unit_print((double)i, f->unit, out);
        else
            text_add_int(out, i);
        break;
    case FIELD_REAL:
        memcpy(&v, p, sizeof v);
        unit_print(v, f->unit, out);
        break;
    case FIELD_TEXT:
        text_add(out, f->flags & F_SECRET ? "***" : (const char *)p);
        break;
    case FIELD_ENUM:
        text_add(out, word_of(f, p));
        break;
    case FIELD_REF:
        text_add(out, ref_name(p, env));
        break;
    case FIELD_TIME:
    case FIELD_SPAN:
        memcpy(&i, p, sizeof i);
        if (f->type == FIELD_SPAN)
            span_print(s, i);
        else if (i)
            civil_print(s, i);
        else
            strcpy(s, "-");
        text_add(out, s);
        break;
    case FIELD_GROUP:
        for (uint32_t k = 0; k < f->group->nfields; k++) {
            text_addf(out, "%s%s=", k ? " " : "", f->group->fields[k].name);
            field_print(&f->group->fields[k], p, env, out);
        }
        break;
    case FIELD_DOC: {
        const struct doc *d;
        memcpy(&d, p, sizeof d);
        if (d)
            json_print(out, d, 0);
        break;
    }
    }
}

void field_print(const struct field *f, const void *object, const struct field_env *env, struct text *out) {
    for (uint32_t i = 0; i < field_count(f, object); i++) {
        if (i)
            text_add(out, ", ");
        item_print(f, field_item(f, object, i), env, out);
    }
}
