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

static int delete_below(struct txn *t, struct object *o, struct err *e) {
    while (o->first_child) {
        int rc = delete_below(t, o->first_child, e);
        if (rc)
            return rc;
    }
    return txn_delete(t, o->id, e);
}

int txn_delete_tree(struct txn *t, oid id, struct err *e) {
    struct object *o = graph_object(t->s, id);
    if (!o)
        return err_set(e, E_NOTFOUND, "the object has gone");
    size_t mark = t->log.n;
    int rc = delete_below(t, o, e);
    if (rc)
        txn_back_to(t, mark);
    return rc;
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

void txn_back_to(struct txn *t, size_t mark) {
    while (t->log.n > mark) {
        struct undo *u = &t->log.p[--t->log.n];
        if (u->op == CHANGE_CREATE) {
            graph_unlink(t->s, u->o);
            graph_free(t->s, u->o);
        } else if (u->op == CHANGE_CONFIG) {
            memcpy(u->o->data, u->before, u->o->kind->table->size);
            free(u->before);
        } else {
            graph_relink(t->s, u->o, u->before);
        }
    }
}

void txn_abort(struct txn *t) {
    txn_back_to(t, 0);
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

/* What a transaction comes to for one object, however often it was touched. */
struct net {
    enum change_op op;
    struct object *o;
    const struct kind *kind;
    void *before; /* data at the begin; NULL = it was not there */
};
typedef VEC(struct net) net_list;

/* In order of first touch, deletions in order of deletion; what was made and deleted again has never been. */
static net_list net_effects(const struct txn *t) {
    net_list out = {0};
    struct map m = {0};
    for (size_t i = 0; i < t->log.n; i++) {
        const struct undo *u = &t->log.p[i];
        bool is_new;
        struct map_entry *x = map_put_n(&m, (const char *)&u->o, sizeof u->o, &is_new);
        if (is_new) {
            x->value.num = out.n;
            vec_push(&out, (struct net){u->op, u->o, u->o->kind, u->op == CHANGE_CREATE   ? NULL
                                                                 : u->op == CHANGE_CONFIG ? u->before
                                                                                          : u->o->data});
        }
        if (u->op == CHANGE_DELETE) { /* its place is where it goes: after its children, before its parent */
            struct net gone = {CHANGE_DELETE, u->o, u->before, out.p[x->value.num].before};
            out.p[x->value.num].o = NULL;
            x->value.num = out.n;
            vec_push(&out, gone);
        }
    }
    map_free(&m);
    size_t kept = 0;
    for (size_t i = 0; i < out.n; i++)
        if (out.p[i].o && (out.p[i].op != CHANGE_DELETE || out.p[i].before))
            out.p[kept++] = out.p[i];
    out.n = kept;
    return out;
}

/* JSON of the data as it was before, through a short swap: writers read the object. */
static char *before_json(struct estate *s, const struct net *n) {
    if (!n->before)
        return NULL;
    void *data = n->o->data;
    n->o->data = n->before;
    char *json = graph_config_json(s, n->o);
    n->o->data = data;
    return json;
}

static void remember(struct estate *s, const net_list *list, const char *who, const char *why) {
    struct past *p = &s->past[s->n_past++ % HISTORY];
    for (size_t k = 0; k < p->n_ops; k++)
        free(p->ops[k].before);
    free(p->ops);
    *p = (struct past){.revision = s->revision, .ops = calloc(list->n ? list->n : 1, sizeof *p->ops)};
    str_copy(p->who, sizeof p->who, who);
    str_copy(p->why, sizeof p->why, why);
    /* Deleted ones have their kind back meanwhile: they are parents and are written. */
    for (size_t i = 0; i < list->n; i++)
        list->p[i].o->kind = list->p[i].kind;
    for (size_t i = 0; i < list->n; i++) {
        const struct net *n = &list->p[i];
        if (n->kind->flags & KIND_RUNTIME)
            continue;
        struct past_op *op = &p->ops[p->n_ops++];
        op->op = n->op;
        op->kind = n->kind;
        memcpy(op->name, n->o->name, sizeof op->name);
        if (n->o->parent)
            snprintf(op->parent, sizeof op->parent, "%.30s/%s", n->o->parent->kind->name, n->o->parent->name);
        op->before = before_json(s, n);
    }
    for (size_t i = 0; i < list->n; i++)
        if (list->p[i].op == CHANGE_DELETE)
            list->p[i].o->kind = NULL;
}

int txn_commit(struct txn *t, const char *who, const char *why, uint64_t *revision, struct err *e) {
    struct estate *s = t->s;
    int rc = txn_check(t, e);
    if (rc) {
        txn_abort(t);
        return rc;
    }
    net_list list = net_effects(t);
    bool configured = false;
    for (size_t i = 0; i < list.n; i++)
        configured |= !(list.p[i].kind->flags & KIND_RUNTIME);
    /* Work (jobs, tasks) comes and goes by the thousand: it makes no configuration revision. */
    if (configured) {
        s->revision++;
        remember(s, &list, who, why);
    }
    /* Deletions first: a name may be free for another object of the same transaction. */
    for (size_t i = 0; i < list.n; i++)
        if (list.p[i].op == CHANGE_DELETE)
            feed_add(s, CHANGE_DELETE, list.p[i].o, list.p[i].kind, s->revision);
    for (size_t i = 0; i < list.n; i++)
        if (list.p[i].op != CHANGE_DELETE)
            feed_add(s, list.p[i].op, list.p[i].o, list.p[i].kind, s->revision);
    vec_free(&list);
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
    net_list list = net_effects(t);
    for (size_t i = 0; i < list.n; i++) {
        const struct net *n = &list.p[i];
        const char *path = arena_printf(a, "%s/%s", n->kind->name, n->o->name);
        if (n->op == CHANGE_CONFIG) {
            diff_fields(t->s, a, out, path, n->kind->table, n->before, n->o->data);
            continue;
        }
        struct doc *row = doc_map(a);
        doc_put_str(a, row, "op", n->op == CHANGE_CREATE ? "create" : "delete");
        doc_put_str(a, row, "object", path);
        doc_push(out, row);
    }
    vec_free(&list);
    return out;
}

/* -- history and rollback -- */

/* Revisions are remembered one after the other, so a revision's place in the ring is known. */
static const struct past *past_at(const struct estate *s, uint64_t revision) {
    uint64_t back = s->revision - revision;
    if (!revision || revision > s->revision || back >= HISTORY || back >= s->n_past)
        return NULL;
    return &s->past[(s->n_past - 1 - back) % HISTORY];
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

/* First pass, newest change first: which objects are there. Their fields come later, when all can be referred to. */
static int undo_existence(struct txn *t, const struct past_op *op, struct err *e) {
    oid id = estate_find(t->s, op->kind->name, op->name), parent = 0;
    int rc = 0;
    if (op->op == CHANGE_CREATE)
        return id ? txn_delete(t, id, e) : 0;
    if (op->op == CHANGE_CONFIG || id)
        return 0;
    if (*op->parent)
        rc = estate_lookup_path(t->s, op->parent, &parent, e);
    void *blank = calloc(1, op->kind->table->size);
    table_defaults(op->kind->table, blank);
    if (!rc)
        rc = txn_insert(t, op->kind->name, op->name, parent, blank, NULL, e);
    free(blank);
    return rc;
}

/* Second pass: the fields as they were before the oldest of the changes taken back. */
static int undo_fields(struct txn *t, const struct past_op *op, struct err *e) {
    struct object *o = graph_object(t->s, estate_find(t->s, op->kind->name, op->name));
    struct arena a = ARENA_INIT;
    struct doc *fields = NULL;
    struct field_env env = estate_env(t->s);
    if (!o || !op->before)
        return 0;
    int rc = json_parse(&a, "history", op->before, strlen(op->before), NULL, &fields, e);
    if (!rc) {
        size_t size = op->kind->table->size;
        void *before = malloc(size);
        assert(before);
        memcpy(before, o->data, size);
        vec_push(&t->log, (struct undo){.op = CHANGE_CONFIG, .o = o, .before = before});
        rc = table_read(op->kind->table, o->data, fields, "history", &env, TABLE_RESTORE, e);
    }
    arena_free(&a);
    return rc ? err_context(e, "%s/%s", op->kind->name, op->name) : 0;
}

static int undo_all(struct txn *t, uint64_t to_revision, struct err *e) {
    struct estate *s = t->s;
    struct map seen = {0};
    struct arena names = ARENA_INIT;
    int rc = 0;
    for (uint64_t r = s->revision; r > to_revision && !rc; r--) {
        const struct past *p = past_at(s, r);
        for (size_t i = p->n_ops; i-- > 0 && !rc;)
            rc = undo_existence(t, &p->ops[i], e);
    }
    for (uint64_t r = to_revision + 1; r <= s->revision && !rc; r++) {
        const struct past *p = past_at(s, r);
        for (size_t i = 0; i < p->n_ops && !rc; i++) {
            bool is_first;
            map_put(&seen, arena_printf(&names, "%s/%s", p->ops[i].kind->name, p->ops[i].name), &is_first);
            rc = is_first ? undo_fields(t, &p->ops[i], e) : 0;
        }
    }
    map_free(&seen);
    arena_free(&names);
    return rc;
}

int estate_rollback(struct estate *s, uint64_t to_revision, const char *who, uint64_t *revision, struct err *e) {
    if (to_revision >= s->revision || !past_at(s, to_revision + 1)) {
        err_set(e, E_NOTFOUND, "revision %llu cannot be gone back to", (unsigned long long)to_revision);
        err_hint(e, "the present one is %llu and the last 1,024 are kept: suan estate history",
                 (unsigned long long)s->revision);
        return E_NOTFOUND;
    }
    struct txn *t = estate_begin(s);
    int rc = undo_all(t, to_revision, e);
    if (rc) {
        txn_abort(t);
        return rc;
    }
    char why[64];
    snprintf(why, sizeof why, "back to revision %llu", (unsigned long long)to_revision);
    return txn_commit(t, who, why, revision, e);
}
