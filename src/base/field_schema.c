/* JSON Schema (draft 2020-12) from rows. */
#include <string.h>

#include "base/field.h"

static const struct {
    uint32_t flag;
    const char *word;
} flag_words[] = {{F_REQUIRED, "required"}, {F_STATE, "state"},   {F_VOLATILE, "volatile"},
                  {F_SECRET, "secret"},     {F_FINAL, "final"},   {F_LIVE_SAFE, "live-safe"}};

static struct doc *item_schema(const struct field *f, struct arena *a) {
    static const char *const types[] = {
        [FIELD_BOOL] = "boolean", [FIELD_INT] = "integer", [FIELD_REAL] = "number", [FIELD_TEXT] = "string",
        [FIELD_ENUM] = "string",  [FIELD_REF] = "string",  [FIELD_TIME] = "string", [FIELD_SPAN] = "number",
    };
    if (f->type == FIELD_GROUP)
        return table_schema(f->group, a);
    struct doc *s = doc_map(a);
    if (f->type == FIELD_DOC)
        return s; /* anything */
    if (f->type == FIELD_TIME) {
        struct doc *both = doc_seq(a);
        doc_push(both, doc_str(a, "string"));
        doc_push(both, doc_str(a, "null"));
        doc_put(s, "type", both);
        doc_put_str(a, s, "format", "date-time");
    } else {
        doc_put_str(a, s, "type", types[f->type]);
    }
    if (f->type == FIELD_TEXT)
        doc_put_int(a, s, "maxLength", (int64_t)f->size - 1);
    if (f->type == FIELD_ENUM) {
        struct doc *words = doc_seq(a);
        for (int i = 0; f->words[i]; i++)
            doc_push(words, doc_str(a, f->words[i]));
        doc_put(s, "enum", words);
    }
    if (f->min != 0 || f->max != 0) {
        double scale = f->type == FIELD_SPAN ? 1e-6 : 1; /* kept in us, given in s */
        doc_put_real(a, s, "minimum", f->min * scale);
        doc_put_real(a, s, "maximum", f->max * scale);
    }
    if (f->type == FIELD_REF)
        doc_put_str(a, s, "x-ref", f->ref);
    if (f->type == FIELD_SPAN)
        doc_put_str(a, s, "x-unit", "s");
    else if (f->unit)
        doc_put_str(a, s, "x-unit", f->unit);
    return s;
}

struct doc *field_schema(const struct field *f, struct arena *a) {
    struct doc *s = item_schema(f, a);
    if (f->count_max) {
        struct doc *list = doc_map(a);
        doc_put_str(a, list, "type", "array");
        doc_put(list, "items", s);
        doc_put_int(a, list, "maxItems", f->count_max);
        s = list;
    }
    if (f->doc && !doc_get(s, "description"))
        doc_put_str(a, s, "description", f->doc);
    if (f->dflt)
        doc_put_str(a, s, "default", f->dflt);
    if (f->flags & (F_STATE | F_VOLATILE))
        doc_put_bool(a, s, "readOnly", true);
    if (f->flags) {
        struct doc *flags = doc_seq(a);
        for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++)
            if (f->flags & flag_words[i].flag)
                doc_push(flags, doc_str(a, flag_words[i].word));
        doc_put(s, "x-flags", flags);
    }
    return s;
}

struct doc *table_schema(const struct table *t, struct arena *a) {
    struct doc *s = doc_map(a), *properties = doc_map(a), *required = doc_seq(a);
    doc_put_str(a, s, "type", "object");
    doc_put_str(a, s, "title", t->name);
    if (t->doc)
        doc_put_str(a, s, "description", t->doc);
    for (uint32_t i = 0; i < t->nfields; i++) {
        doc_put(properties, t->fields[i].name, field_schema(&t->fields[i], a));
        if (t->fields[i].flags & F_REQUIRED)
            doc_push(required, doc_str(a, t->fields[i].name));
    }
    doc_put(s, "properties", properties);
    if (required->list.n)
        doc_put(s, "required", required);
    doc_put_bool(a, s, "additionalProperties", false);
    return s;
}
