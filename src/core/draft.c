/* Drafts: steps noted now, replayed at each look and at the commit. */
#include "core/draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/vec.h"
#include "core/host.h"

enum { DRAFTS_MAX = 64, STEPS_MAX = 10000 };
#define KEEP_US INT64_C(86400000000)

struct draft {
    int64_t number, begun_us, touched_mono_us;
    char who[64];
    struct arena arena; /* of its steps */
    VEC(struct step) steps;
};

struct drafts {
    VEC(struct draft *) open;
    int64_t last;
};

/* -- the list -- */

static void drop(struct drafts *all, size_t i) {
    struct draft *d = all->open.p[i];
    all->open.p[i] = all->open.p[--all->open.n];
    vec_free(&d->steps);
    arena_free(&d->arena);
    free(d);
}

void drafts_free(struct drafts *all) {
    while (all && all->open.n)
        drop(all, 0);
    if (all)
        vec_free(&all->open);
    free(all);
}

static int find(struct call *c, int64_t number, size_t *at) {
    struct drafts *all = c->host->drafts;
    for (size_t i = 0; all && i < all->open.n; i++) {
        struct draft *d = all->open.p[i];
        if (d->number != number)
            continue;
        if (c->who.role < ROLE_ADMIN && strcmp(d->who, c->who.name))
            return err_set(&c->err, E_DENIED, "draft %lld is of %s", (long long)number, d->who);
        d->touched_mono_us = loop_mono_us(c->host->loop);
        *at = i;
        return 0;
    }
    err_set(&c->err, E_NOTFOUND, "there is no draft %lld", (long long)number);
    err_hint(&c->err, "suan estate drafts lists them; suan estate begin makes one; a restart drops them");
    return E_NOTFOUND;
}

/* -- steps -- */

static int step_apply(struct txn *t, struct estate *s, const struct step *x, struct err *e) {
    oid id = 0, parent = 0;
    int rc = 0;
    switch (x->op) {
    case STEP_CREATE:
        rc = x->parent ? estate_lookup_path(s, x->parent, &parent, e) : 0;
        return rc ? rc : txn_create(t, x->kind, x->name, parent, x->fields, x->source, &id, e);
    case STEP_IMPORT:
        return txn_import(t, x->fields, x->source, e);
    case STEP_SET:
        rc = estate_lookup(s, x->kind, x->name, &id, e);
        return rc ? rc : txn_set(t, id, x->fields, x->source, e);
    case STEP_DELETE:
    case STEP_DELETE_TREE:
        rc = estate_lookup(s, x->kind, x->name, &id, e);
        return rc ? rc : x->op == STEP_DELETE ? txn_delete(t, id, e) : txn_delete_tree(t, id, e);
    }
    return E_INTERNAL;
}

static int replay(const struct draft *d, struct txn *t, struct estate *s, struct err *e) {
    for (size_t i = 0; i < d->steps.n; i++) {
        int rc = step_apply(t, s, &d->steps.p[i], e);
        if (rc)
            return err_context(e, "draft %lld, step %zu", (long long)d->number, i + 1);
    }
    return 0;
}

static const char *kept(struct arena *a, const char *text) { return text ? arena_strdup(a, text) : NULL; }

static int step_keep(struct call *c, struct draft *d, const struct step *x) {
    struct arena *a = &d->arena;
    if (d->steps.n >= STEPS_MAX) {
        err_set(&c->err, E_LIMIT, "draft %lld has %d steps, which is the limit", (long long)d->number, STEPS_MAX);
        err_hint(&c->err, "one import can make any number of changes");
        return E_LIMIT;
    }
    vec_push(&d->steps, (struct step){x->op, kept(a, x->kind), kept(a, x->name), kept(a, x->parent),
                                      x->fields ? doc_copy(a, x->fields) : NULL, kept(a, x->source)});
    return 0;
}

/* Check and commit, or with dry_run only say what would change. */
static int end(struct call *c, struct txn *t, int rc, const char *why) {
    uint64_t revision = 0;
    if (!rc)
        rc = txn_check(t, &c->err);
    if (!rc)
        doc_put(c->reply, "changes", txn_diff(t, &c->arena));
    if (rc || c->dry_run) {
        txn_abort(t);
        return rc;
    }
    if (!(rc = txn_commit(t, c->who.name, why, &revision, &c->err)))
        doc_put_int(&c->arena, c->reply, "revision", (int64_t)revision);
    return rc;
}

/* The number may come as text: `draft=7` on a command line. */
static int draft_named(struct call *c, struct draft **out) {
    const struct doc *d = doc_get(c->body, "draft");
    char *tail = NULL;
    size_t at;
    int64_t number = !d ? 0 : d->type == DOC_STR ? strtoll(d->str.p, &tail, 10) : d->type == DOC_INT ? d->integer : -1;
    *out = NULL;
    if (!d || (!number && !tail))
        return 0;
    if (tail && (*tail || number < 1))
        number = -1;
    int rc = number < 0 ? err_set(&c->err, E_INVAL, "draft: the number of a draft is wanted") : find(c, number, &at);
    *out = rc ? NULL : c->host->drafts->open.p[at];
    return rc;
}

int step_run(struct call *c, const struct step *x, const char *why) {
    struct estate *s = c->host->estate;
    struct draft *d;
    int rc = draft_named(c, &d);
    if (rc)
        return rc;
    struct txn *t = estate_begin(s);
    c->reply = doc_map(&c->arena);
    if (d)
        rc = replay(d, t, s, &c->err);
    if (!rc)
        rc = step_apply(t, s, x, &c->err);
    if (!d)
        return end(c, t, rc, why);
    if (!rc) {
        doc_put_int(&c->arena, c->reply, "draft", d->number);
        doc_put(c->reply, "changes", txn_diff(t, &c->arena));
    }
    txn_abort(t);
    return rc || c->dry_run ? rc : step_keep(c, d, x);
}

/* -- verbs -- */

struct draft_in {
    int64_t draft;
    char why[120];
};
static const struct field draft_in_fields[] = {
    FIELD_INT(struct draft_in, draft, .min = 1, .max = 1e15, .flags = F_REQUIRED, .doc = "Its number."),
};
const struct table table_draft_in = TABLE(draft_in, draft_in_fields, "A draft.");
static const struct field commit_fields[] = {
    FIELD_INT(struct draft_in, draft, .min = 1, .max = 1e15, .flags = F_REQUIRED, .doc = "Its number."),
    FIELD_TEXT(struct draft_in, why, .dflt = "draft", .doc = "Kept with the revision."),
};
const struct table table_draft_commit = TABLE(draft_in, commit_fields, "A draft to commit.");
struct draft_begun {
    int64_t draft, revision;
};
static const struct field begun_fields[] = {
    FIELD_INT(struct draft_begun, draft, .doc = "Number of the new draft."),
    FIELD_INT(struct draft_begun, revision, .doc = "Revision of the estate now."),
};
const struct table table_draft_begun = TABLE(draft_begun, begun_fields, "A draft that has begun.");

int verb_draft_begin(struct call *c) {
    struct host *h = c->host;
    struct draft_begun *out = c->out;
    int64_t now = loop_mono_us(h->loop);
    struct drafts *all = h->drafts = h->drafts ? h->drafts : calloc(1, sizeof *all);
    for (size_t i = all->open.n; i-- > 0;)
        if (now - all->open.p[i]->touched_mono_us > KEEP_US)
            drop(all, i);
    if (all->open.n >= DRAFTS_MAX) {
        err_set(&c->err, E_LIMIT, "%d drafts are open, which is the limit", DRAFTS_MAX);
        err_hint(&c->err, "commit or abort one: suan estate drafts");
        return E_LIMIT;
    }
    out->revision = (int64_t)estate_revision(h->estate);
    out->draft = all->last + 1;
    if (c->dry_run)
        return 0;
    struct draft *d = calloc(1, sizeof *d);
    *d = (struct draft){.number = ++all->last, .begun_us = loop_now_us(h->loop), .touched_mono_us = now};
    str_copy(d->who, sizeof d->who, c->who.name);
    vec_push(&all->open, d);
    return 0;
}

int verb_draft_list(struct call *c) {
    struct arena *a = &c->arena;
    const struct drafts *all = c->host->drafts;
    struct doc *items = doc_seq(a);
    for (size_t i = 0; all && i < all->open.n; i++) {
        const struct draft *d = all->open.p[i];
        struct doc *row = doc_map(a);
        char begun[CIVIL_TEXT];
        civil_print(begun, d->begun_us);
        doc_put_int(a, row, "draft", d->number);
        doc_put_str(a, row, "by", d->who);
        doc_put_str(a, row, "begun", begun);
        doc_put_int(a, row, "steps", (int64_t)d->steps.n);
        doc_push(items, row);
    }
    c->reply = doc_map(a);
    doc_put(c->reply, "items", items);
    return 0;
}

static int look(struct call *c, bool checked) {
    const struct draft_in *in = c->in;
    struct estate *s = c->host->estate;
    size_t at;
    int rc = find(c, in->draft, &at);
    if (rc)
        return rc;
    struct txn *t = estate_begin(s);
    rc = replay(c->host->drafts->open.p[at], t, s, &c->err);
    if (!rc && checked)
        rc = txn_check(t, &c->err);
    if (!rc) {
        c->reply = doc_map(&c->arena);
        doc_put_int(&c->arena, c->reply, "draft", in->draft);
        doc_put(c->reply, "changes", txn_diff(t, &c->arena));
    }
    txn_abort(t);
    return rc;
}

int verb_draft_diff(struct call *c) { return look(c, false); }
int verb_draft_check(struct call *c) { return look(c, true); }

int verb_draft_commit(struct call *c) {
    const struct draft_in *in = c->in;
    struct estate *s = c->host->estate;
    size_t at;
    int rc = find(c, in->draft, &at);
    if (rc)
        return rc;
    struct txn *t = estate_begin(s);
    c->reply = doc_map(&c->arena);
    rc = end(c, t, replay(c->host->drafts->open.p[at], t, s, &c->err), in->why);
    if (!rc && !c->dry_run)
        drop(c->host->drafts, at);
    return rc;
}

int verb_draft_abort(struct call *c) {
    const struct draft_in *in = c->in;
    size_t at;
    int rc = find(c, in->draft, &at);
    if (!rc && !c->dry_run)
        drop(c->host->drafts, at);
    return rc;
}
