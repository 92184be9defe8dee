/* The estate out: as documents that import reads back, and put back from the store. */
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/hash.h"
#include "estate/graph.h"

/* A child's name without its parent's, when it was made that way. */
static const char *own_name(const struct object *o) {
    size_t n = o->parent ? strlen(o->parent->name) : 0;
    return n && !strncmp(o->name, o->parent->name, n) && o->name[n] == '-' ? o->name + n + 1 : o->name;
}

static struct doc *tree(const struct estate *s, const struct object *o, struct arena *a, uint32_t without) {
    struct field_env env = estate_env(s);
    struct doc *d = doc_map(a), *fields = table_write(o->kind->table, o->data, a, &env, without);
    doc_put_str(a, d, "name", own_name(o));
    for (struct doc *f = fields->list.first, *next; f; f = next) {
        next = f->next;
        doc_put(d, f->key, f);
    }
    for (size_t i = 0; i < s->n_kinds; i++) {
        struct doc *list = NULL;
        for (const struct object *c = o->first_child; c; c = c->sibling_next) {
            if (c->kind != s->kinds[i].kind || (c->kind->flags & KIND_RUNTIME))
                continue;
            list = list ? list : doc_seq(a);
            doc_push(list, tree(s, c, a, without));
        }
        if (list)
            doc_put(d, s->kinds[i].kind->name, list);
    }
    return d;
}

struct doc *estate_export(const struct estate *s, struct arena *a, bool with_state) {
    struct doc *d = doc_map(a);
    for (size_t i = 0; i < s->n_kinds; i++) {
        const struct kind *k = s->kinds[i].kind;
        if (k->parents || (k->flags & KIND_RUNTIME) || !s->kinds[i].n)
            continue;
        struct doc *list = doc_seq(a);
        for (const struct object *o = s->kinds[i].first; o; o = o->kind_next)
            doc_push(list, tree(s, o, a, with_state ? 0 : F_STATE | F_VOLATILE));
        doc_put(d, k->name, list);
    }
    return d;
}

struct doc *estate_object_doc(const struct estate *s, oid id, struct arena *a) {
    const struct object *o = graph_object(s, id);
    struct field_env env = estate_env(s);
    struct doc *d = doc_map(a), *conditions = doc_seq(a);
    doc_put_str(a, d, "kind", o->kind->name);
    doc_put_str(a, d, "name", o->name);
    doc_put(d, "path", doc_str(a, arena_printf(a, "%s/%s", o->kind->name, o->name)));
    doc_put(d, "parent", o->parent ? doc_str(a, arena_printf(a, "%s/%s", o->parent->kind->name, o->parent->name))
                                   : doc_null(a));
    doc_put_int(a, d, "revision", (int64_t)o->sequence);
    struct doc *fields = table_write(o->kind->table, o->data, a, &env, 0);
    for (struct doc *f = fields->list.first, *next; f; f = next) {
        next = f->next;
        doc_put(d, f->key, f);
    }
    for (uint32_t i = 0; i < o->n_conditions; i++) {
        const struct condition *c = &o->conditions[i];
        struct doc *row = doc_map(a);
        char since[CIVIL_TEXT];
        civil_print(since, c->since_us);
        doc_put_str(a, row, "name", c->name);
        doc_put_str(a, row, "severity", severity_words[c->severity]);
        doc_put_str(a, row, "since", since);
        doc_put_str(a, row, "text", c->text);
        doc_put_str(a, row, "by", c->by);
        doc_push(conditions, row);
    }
    doc_put(d, "conditions", conditions);
    return d;
}

int estate_restore(struct estate *s, const char *kind, const char *name, const char *parent_path,
                   const struct doc *fields, struct err *e) {
    const struct kind *k;
    oid parent = 0;
    int rc = estate_kind_find(s, kind, &k, e);
    if (!rc && parent_path && *parent_path)
        rc = estate_lookup_path(s, parent_path, &parent, e);
    if (rc)
        return rc;
    oid id = estate_find(s, kind, name);
    struct object *o = id ? graph_object(s, id) : graph_insert(s, k, name, graph_object(s, parent));
    if (!id)
        table_defaults(k->table, o->data);
    if (!fields)
        return 0;
    struct field_env env = estate_env(s);
    /* Fields that a later version dropped are skipped, not fatal: the store outlives versions. */
    struct arena a = ARENA_INIT;
    struct doc known = {.type = DOC_MAP};
    doc_each(f, fields) {
        if (table_find(k->table, f->key)) {
            struct doc *view = arena_copy(&a, f, sizeof *f);
            doc_push(&known, view);
        }
    }
    rc = table_read(k->table, o->data, &known, "state.db", &env, TABLE_RESTORE, e);
    arena_free(&a);
    if (!rc)
        feed_add(s, CHANGE_CREATE, o, k, 0);
    return rc ? err_context(e, "%s/%s", kind, name) : 0;
}

uint64_t estate_hash(const struct estate *s) {
    struct hash h;
    hash_begin(&h, 0);
    for (oid id = 0; (id = estate_next(s, NULL, id));) {
        const struct object *o = graph_object(s, id);
        hash_bytes(&h, o->name, strlen(o->name));
        hash_u64(&h, table_hash(o->kind->table, o->data, o->parent ? o->parent->id : 0));
    }
    return hash_end(&h);
}
