/* Transactions: applied at once with an undo log; feed, revision and history come with the commit. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "estate/graph.h"

struct txn *estate_begin(struct estate *s) {
    assert(!s->in_txn && "one transaction at a time: the control thread owns the estate");
    struct txn *t = calloc(1, sizeof *t);
    t->s = s;
    s->in_txn = true;
    return t;
}

static int parent_check(const struct estate *s, const struct kind *k, oid parent, struct object **out, struct err *e) {
    *out = graph_object(s, parent);
    if (!k->parents)
        return parent ? err_set(e, E_INVAL, "a %s has no parent", k->name) : 0;
    if (!*out) {
        err_set(e, E_INVAL, "a %s needs a parent of kind %s", k->name, k->parents[0]);
        return E_INVAL;
    }
    for (size_t i = 0; k->parents[i]; i++)
        if (!strcmp(k->parents[i], (*out)->kind->name))
            return 0;
    return err_set(e, E_INVAL, "a %s stands below a %s, not below %s/%s", k->name, k->parents[0], (*out)->kind->name,
                   (*out)->name);
}

static int prepare(struct txn *t, const char *kind, const char *name, oid parent, const struct kind **k,
                   struct object **p, struct err *e) {
    int rc = estate_kind_find(t->s, kind, k, e);
    if (rc)
        return rc;
    if (!str_is_name(name)) {
        err_set(e, E_INVAL, "'%.64s' is not a name", name);
        err_hint(e, "a-z, 0-9, and . _ - inside; at most 63 bytes");
        return E_INVAL;
    }
    if (estate_find(t->s, kind, name))
        return err_set(e, E_EXISTS, "there is already a %s '%s'", kind, name);
    return parent_check(t->s, *k, parent, p, e);
}

int txn_insert(struct txn *t, const char *kind, const char *name, oid parent, const void *data, oid *out,
               struct err *e) {
    const struct kind *k;
    struct object *p;
    int rc = prepare(t, kind, name, parent, &k, &p, e);
    if (rc)
        return rc;
    struct object *o = graph_insert(t->s, k, name, p);
    memcpy(o->data, data, k->table->size);
    vec_push(&t->log, (struct undo){.op = CHANGE_CREATE, .o = o});
    if (out)
        *out = o->id;
    return 0;
}

int txn_create(struct txn *t, const char *kind, const char *name, oid parent, const struct doc *fields,
               const char *source, oid *out, struct err *e) {
    const struct kind *k;
    struct object *p;
    int rc = prepare(t, kind, name, parent, &k, &p, e);
    if (rc)
        return rc;
    void *data = calloc(1, k->table->size);
    struct field_env env = estate_env(t->s);
    table_defaults(k->table, data);
    if ((rc = table_read(k->table, data, fields, source, &env, TABLE_CREATE, e)))
        err_context(e, "%s/%s", kind, name);
    else
        rc = txn_insert(t, kind, name, parent, data, out, e);
    free(data);
    return rc;
}

int txn_set(struct txn *t, oid id, const struct doc *fields, const char *source, struct err *e) {
    struct object *o = graph_object(t->s, id);
    if (!o)
        return err_set(e, E_NOTFOUND, "the object has gone");
    size_t size = o->kind->table->size;
    void *before = malloc(size);
    assert(before);
    memcpy(before, o->data, size);
    struct field_env env = estate_env(t->s);
    int rc = table_read(o->kind->table, o->data, fields, source, &env, TABLE_SET, e);
    if (rc) {
        free(before);
        return err_context(e, "%s/%s", o->kind->name, o->name);
    }
    vec_push(&t->log, (struct undo){.op = CHANGE_CONFIG, .o = o, .before = before});
    return 0;
}

static void remove_one(struct txn *t, struct object *o) {
    /* `before` keeps the kind: unlink clears it in the object. */
    vec_push(&t->log, (struct undo){.op = CHANGE_DELETE, .o = o, .before = (void *)o->kind});
    graph_unlink(t->s, o);
}

int txn_delete(struct txn *t, oid id, struct err *e) {
    struct object *o = graph_object(t->s, id);
    if (!o)
        return err_set(e, E_NOTFOUND, "the object has gone");
    if (o->first_child) {
        err_set(e, E_STATE, "%s/%s still has %s/%s below it", o->kind->name, o->name, o->first_child->kind->name,
                o->first_child->name);
        err_hint(e, "delete what is below first, or the whole tree");
        return E_STATE;
    }
    remove_one(t, o);
    return 0;
}

int txn_delete_tree(struct txn *t, oid id, struct err *e) {
    struct object *o = graph_object(t->s, id);
    if (!o)
        return err_set(e, E_NOTFOUND, "the object has gone");
    while (o->first_child) {
        int rc = txn_delete_tree(t, o->first_child->id, e);
        if (rc)
            return rc;
    }
    return txn_delete(t, id, e);
}

/* -- check -- */

static int ref_check(const struct estate *s, const struct object *o, const struct field *f, oid id, struct err *e) {
    if (!id)
        return 0;
    const struct object *to = graph_object(s, id);
    if (to && (!strcmp(f->ref, "*") || !strcmp(f->ref, to->kind->name)))
        return 0;
    err_set(e, E_STATE, "%s/%s refers to a %s by %s that is to be deleted", o->kind->name, o->name, f->ref, f->name);
    err_hint(e, "change %s of %s/%s first", f->name, o->kind->name, o->name);
    return E_STATE;
}

static int refs_check(const struct estate *s, const struct object *o, const struct table *t, const void *data,
                      struct err *e) {
    for (uint32_t i = 0; i < t->nfields; i++) {
        const struct field *f = &t->fields[i];
        uint32_t n = 1;
        if (f->type != FIELD_REF && f->type != FIELD_GROUP)
            continue;
        if (f->count_max)
            memcpy(&n, (const char *)data + f->count_offset, sizeof n);
        for (uint32_t k = 0; k < n; k++) {
            const char *item = (const char *)data + f->offset + (size_t)k * f->size;
            oid id;
            memcpy(&id, item, sizeof id);
            /* State may remember what has gone (where a task once ran); configuration may not. */
            int rc = f->type == FIELD_GROUP        ? refs_check(s, o, f->group, item, e)
                     : f->flags & (F_STATE | F_VOLATILE) ? 0
                                                         : ref_check(s, o, f, id, e);
            if (rc)
                return rc;
        }
    }
    return 0;
}

int txn_check(struct txn *t, struct err *e) {
    bool deleted = false;
    for (size_t i = 0; i < t->log.n; i++) {
        struct object *o = t->log.p[i].o;
        deleted |= t->log.p[i].op == CHANGE_DELETE;
        if (!o->kind)
            continue;
        int rc = table_check(o->kind->table, o->data, e);
        if (!rc)
            rc = refs_check(t->s, o, o->kind->table, o->data, e);
        if (rc)
            return err_context(e, "%s/%s", o->kind->name, o->name);
    }
    for (oid id = 0; deleted && (id = estate_next(t->s, NULL, id));) {
        struct object *o = graph_object(t->s, id);
        int rc = o->kind->flags & KIND_RUNTIME ? 0 : refs_check(t->s, o, o->kind->table, o->data, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* -- end -- */

static void txn_end(struct txn *t) {
    for (size_t i = 0; i < t->log.n; i++)
        if (t->log.p[i].op == CHANGE_CONFIG)
            free(t->log.p[i].before);
    t->s->in_txn = false;
    vec_free(&t->log);
    free(t);
}

void txn_abort(struct txn *t) {
    for (size_t i = t->log.n; i-- > 0;) {
        struct undo *u = &t->log.p[i];
        if (u->op == CHANGE_CREATE) {
            graph_unlink(t->s, u->o);
            graph_free(t->s, u->o);
        } else if (u->op == CHANGE_CONFIG) {
            memcpy(u->o->data, u->before, u->o->kind->table->size);
        } else {
            graph_relink(t->s, u->o, u->before);
        }
    }
    txn_end(t);
}

char *graph_config_json(const struct estate *s, const struct object *o) {
    struct arena a = ARENA_INIT;
    struct text out = TEXT_INIT;
    struct field_env env = estate_env(s);
    json_print(&out, table_write(o->kind->table, o->data, &a, &env, F_STATE | F_VOLATILE), 0);
    arena_free(&a);
    return text_take(&out);
}

/* Whether an earlier entry of the log is about the same object: its first one holds the true "before". */
static bool seen(struct map *m, const struct undo *u) {
    bool is_new;
    map_put_n(m, (const char *)&u->o, sizeof u->o, &is_new);
    return !is_new;
}

/* JSON of the data as it was before, through a short swap: writers read the object. */
static char *before_json(struct txn *t, struct undo *u) {
    if (u->op == CHANGE_CREATE)
        return NULL;
    if (u->op == CHANGE_CONFIG) {
        void *now = u->o->data;
        u->o->data = u->before;
        char *s = graph_config_json(t->s, u->o);
        u->o->data = now;
        return s;
    }
    u->o->kind = u->before;
    char *s = graph_config_json(t->s, u->o);
    u->o->kind = NULL;
    return s;
}

static void remember(struct txn *t, const char *who, const char *why) {
    struct estate *s = t->s;
    struct past *p = &s->past[s->n_past++ % HISTORY];
    for (size_t k = 0; k < p->n_ops; k++)
        free(p->ops[k].before);
    free(p->ops);
    *p = (struct past){.revision = s->revision, .ops = calloc(t->log.n ? t->log.n : 1, sizeof *p->ops)};
    str_copy(p->who, sizeof p->who, who);
    str_copy(p->why, sizeof p->why, why);
    struct map m = {0};
    for (size_t i = 0; i < t->log.n; i++) {
        struct undo *u = &t->log.p[i];
        if (seen(&m, u) && u->op != CHANGE_DELETE)
            continue;
        struct past_op *op = &p->ops[p->n_ops++];
        op->op = u->op;
        op->kind = u->op == CHANGE_DELETE ? u->before : u->o->kind;
        memcpy(op->name, u->o->name, sizeof op->name);
        if (u->o->parent)
            snprintf(op->parent, sizeof op->parent, "%.30s/%s", u->o->parent->kind ? u->o->parent->kind->name : "?",
                     u->o->parent->name);
        op->before = before_json(t, u);
    }
    map_free(&m);
}

int txn_commit(struct txn *t, const char *who, const char *why, uint64_t *revision, struct err *e) {
    struct estate *s = t->s;
    int rc = txn_check(t, e);
    if (rc) {
        txn_abort(t);
        return rc;
    }
    bool configured = false;
    for (size_t i = 0; i < t->log.n; i++) {
        const struct kind *k = t->log.p[i].op == CHANGE_DELETE ? t->log.p[i].before : t->log.p[i].o->kind;
        configured |= k && !(k->flags & KIND_RUNTIME);
    }
    /* Work (jobs, tasks) comes and goes by the thousand: it makes no configuration revision. */
    if (configured) {
        s->revision++;
        remember(t, who, why);
    }
    for (size_t i = 0; i < t->log.n; i++) {
        struct undo *u = &t->log.p[i];
        if (u->op == CHANGE_DELETE) {
            feed_add(s, CHANGE_DELETE, u->o, u->before, s->revision);
        } else if (u->o->kind) {
            feed_add(s, u->op, u->o, u->o->kind, s->revision);
        }
    }
    for (size_t i = 0; i < t->log.n; i++)
        if (t->log.p[i].op == CHANGE_DELETE)
            graph_free(s, t->log.p[i].o);
    if (revision)
        *revision = s->revision;
    txn_end(t);
    return 0;
}

static void diff_fields(const struct estate *s, struct arena *a, struct doc *out, const char *path,
                        const struct table *table, const void *x, const void *y) {
    struct field_env env = estate_env(s);
    for (uint32_t i = 0; i < table->nfields; i++) {
        const struct field *f = &table->fields[i];
        if (f->flags & (F_STATE | F_VOLATILE) || field_equal(f, x, y))
            continue;
        struct doc *row = doc_map(a);
        doc_put_str(a, row, "op", "set");
        doc_put_str(a, row, "object", path);
        doc_put_str(a, row, "field", f->name);
        doc_put(row, "old", field_write(f, x, a, &env));
        doc_put(row, "new", field_write(f, y, a, &env));
        doc_push(out, row);
    }
}

struct doc *txn_diff(const struct txn *t, struct arena *a) {
    struct doc *out = doc_seq(a);
    struct map m = {0};
    for (size_t i = 0; i < t->log.n; i++) {
        const struct undo *u = &t->log.p[i];
        const struct kind *k = u->op == CHANGE_DELETE ? u->before : u->o->kind;
        if ((seen(&m, u) && u->op != CHANGE_DELETE) || !k)
            continue;
        const char *path = arena_printf(a, "%s/%s", k->name, u->o->name);
        if (u->op == CHANGE_CONFIG) {
            diff_fields(t->s, a, out, path, k->table, u->before, u->o->data);
            continue;
        }
        struct doc *row = doc_map(a);
        doc_put_str(a, row, "op", u->op == CHANGE_CREATE ? "create" : "delete");
        doc_put_str(a, row, "object", path);
        doc_push(out, row);
    }
    map_free(&m);
    return out;
}

/* -- history and rollback -- */

static const struct past *past_at(const struct estate *s, uint64_t revision) {
    const struct past *p = NULL;
    for (size_t i = 0; i < HISTORY && i < s->n_past; i++)
        if (s->past[i].revision == revision)
            p = &s->past[i];
    return p;
}

struct doc *estate_history(const struct estate *s, struct arena *a, uint64_t from, size_t limit) {
    struct doc *out = doc_seq(a);
    for (uint64_t r = s->revision; r && r >= from && limit; r--) {
        const struct past *p = past_at(s, r);
        if (!p)
            break;
        struct doc *row = doc_map(a);
        doc_put_int(a, row, "revision", (int64_t)r);
        doc_put_str(a, row, "who", p->who);
        doc_put_str(a, row, "why", p->why);
        doc_put_int(a, row, "changes", (int64_t)p->n_ops);
        doc_push(out, row);
        limit--;
    }
    return out;
}

static int undo_one(struct txn *t, const struct past_op *op, struct arena *a, struct err *e) {
    struct doc *fields = NULL;
    oid id = estate_find(t->s, op->kind->name, op->name), parent = 0;
    if (op->op == CHANGE_CREATE)
        return id ? txn_delete(t, id, e) : 0;
    int rc = json_parse(a, "history", op->before, strlen(op->before), NULL, &fields, e);
    if (rc)
        return rc;
    if (op->op == CHANGE_DELETE) {
        if (*op->parent && (rc = estate_lookup_path(t->s, op->parent, &parent, e)))
            return rc;
        return id ? 0 : txn_create(t, op->kind->name, op->name, parent, fields, "history", NULL, e);
    }
    if (!id)
        return err_set(e, E_CONFLICT, "%s/%s has gone since", op->kind->name, op->name);
    /* Fields that are set at creation only did not change either. */
    struct doc *settable = doc_map(a);
    for (struct doc *d = fields->list.first, *next; d; d = next) {
        next = d->next;
        const struct field *f = table_find(op->kind->table, d->key);
        if (f && !(f->flags & F_FINAL))
            doc_put(settable, d->key, d);
    }
    return txn_set(t, id, settable, "history", e);
}

int estate_rollback(struct estate *s, uint64_t to_revision, const char *who, uint64_t *revision, struct err *e) {
    if (to_revision >= s->revision || !past_at(s, to_revision + 1)) {
        err_set(e, E_NOTFOUND, "revision %llu cannot be gone back to", (unsigned long long)to_revision);
        err_hint(e, "the present one is %llu and the last 1,024 are kept: suan estate history",
                 (unsigned long long)s->revision);
        return E_NOTFOUND;
    }
    struct txn *t = estate_begin(s);
    struct arena a = ARENA_INIT;
    int rc = 0;
    for (uint64_t r = s->revision; r > to_revision && !rc; r--) {
        const struct past *p = past_at(s, r);
        for (size_t i = p->n_ops; i-- > 0 && !rc;)
            rc = undo_one(t, &p->ops[i], &a, e);
    }
    arena_free(&a);
    if (rc) {
        txn_abort(t);
        return rc;
    }
    char why[64];
    snprintf(why, sizeof why, "back to revision %llu", (unsigned long long)to_revision);
    return txn_commit(t, who, why, revision, e);
}
