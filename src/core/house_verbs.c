/* Verbs of the house: the same for every kind, and those of journal, time, tokens and capabilities. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/civil.h"
#include "base/vec.h"
#include "core/draft.h"
#include "core/host.h"
#include "core/list.h"
#include "core/telemetry.h"

/* -- every kind: show, create, set, delete; list is in list.c -- */

static int64_t number_in(const struct doc *body, const char *key, int64_t fallback) {
    const struct doc *d = doc_get(body, key);
    if (d && d->type == DOC_STR)
        return strtoll(d->str.p, NULL, 10);
    return d && d->type == DOC_INT ? d->integer : fallback;
}

static int verb_show(struct call *c) {
    c->reply = estate_object_doc(c->host->estate, c->object, &c->arena);
    return 0;
}

static struct doc *without(struct call *c, const char *const *keys) {
    struct doc *out = doc_map(&c->arena);
    if (c->body) {
        out->line = c->body->line;
        out->column = c->body->column;
    }
    for (struct doc *d = c->body ? c->body->list.first : NULL, *next; d; d = next) {
        bool skip = false;
        next = d->next;
        for (size_t i = 0; keys[i]; i++)
            skip |= !strcmp(keys[i], d->key);
        if (!skip)
            doc_put(out, d->key, doc_copy(&c->arena, d));
    }
    return out;
}

/* Work is made, moved and ended by its own verbs: a change by hand would leave reserved cores and running processes. */
static int by_hand(struct call *c, const char *what) {
    if (!(c->kind->flags & KIND_RUNTIME))
        return 0;
    err_set(&c->err, E_INVAL, "a %s is not %s by hand", c->kind->name, what);
    err_hint(&c->err, "suan job submit FILE makes jobs, tasks and functions; job cancel and job delete end them");
    return E_INVAL;
}

static int verb_create(struct call *c) {
    static const char *const own[] = {"name", "parent", "draft", NULL};
    struct step step = {STEP_CREATE, c->kind->name, doc_get_str(c->body, "name", NULL), doc_get_str(c->body, "parent", NULL),
                        without(c, own), c->source};
    if (!step.name)
        return err_set(&c->err, E_INVAL, "name is missing: what shall the %s be called?", c->kind->name);
    int rc = by_hand(c, "created");
    return rc ? rc : step_run(c, &step, "create");
}

static int verb_set(struct call *c) {
    static const char *const own[] = {"name", "parent", "draft", NULL};
    struct step step = {STEP_SET, c->kind->name, estate_name(c->host->estate, c->object), NULL, without(c, own), c->source};
    int rc = by_hand(c, "changed");
    return rc ? rc : step_run(c, &step, "set");
}

static int verb_delete(struct call *c) {
    const char *tree = doc_get_str(c->body, "tree", "");
    bool whole = *tree || doc_get_bool(c->body, "tree", false);
    struct step step = {whole ? STEP_DELETE_TREE : STEP_DELETE, c->kind->name, estate_name(c->host->estate, c->object)};
    int rc = by_hand(c, "deleted");
    return rc ? rc : step_run(c, &step, "delete");
}

/* -- estate -- */

static int verb_export(struct call *c) {
    c->reply = estate_export(c->host->estate, &c->arena, false);
    return 0;
}

struct import_in {
    struct doc *document;
    char source[160];
    int64_t draft;
};
static const struct field import_fields[] = {
    FIELD_DOC(struct import_in, document, .flags = F_REQUIRED, .doc = "The estate: a map, or its YAML text."),
    FIELD_TEXT(struct import_in, source, .dflt = "estate", .doc = "Name of the file, for error places."),
    FIELD_INT(struct import_in, draft, .min = 0, .max = 1e15, .doc = "Only note it in this draft; 0 = commit it."),
};
static const struct table table_import = TABLE(import_in, import_fields, "An estate document.");

static int verb_import(struct call *c) {
    const struct import_in *in = c->in;
    struct doc *d = in->document;
    int rc = d->type == DOC_STR ? yaml_parse(&c->arena, in->source, d->str.p, d->str.n, NULL, &d, &c->err) : 0;
    if (rc)
        return rc;
    struct step step = {.op = STEP_IMPORT, .fields = d, .source = in->source};
    return step_run(c, &step, "import");
}

static int verb_history(struct call *c) {
    c->reply = doc_map(&c->arena);
    doc_put_int(&c->arena, c->reply, "revision", (int64_t)estate_revision(c->host->estate));
    doc_put(c->reply, "rows", estate_history(c->host->estate, &c->arena, 0, (size_t)number_in(c->body, "limit", 50)));
    return 0;
}

struct rollback_in {
    int64_t revision;
};
static const struct field rollback_fields[] = {
    FIELD_INT(struct rollback_in, revision, .min = 0, .max = 1e15, .flags = F_REQUIRED, .doc = "Revision to go back to."),
};
static const struct table table_rollback = TABLE(rollback_in, rollback_fields, "Where to go back to.");

static int verb_rollback(struct call *c) {
    const struct rollback_in *in = c->in;
    uint64_t revision;
    if (c->dry_run)
        return 0;
    int rc = estate_rollback(c->host->estate, (uint64_t)in->revision, c->who.name, &revision, &c->err);
    if (!rc) {
        c->reply = doc_map(&c->arena);
        doc_put_int(&c->arena, c->reply, "revision", (int64_t)revision);
    }
    return rc;
}

static int verb_hash(struct call *c) {
    c->reply = doc_map(&c->arena);
    doc_put_str(&c->arena, c->reply, "hash",
                arena_printf(&c->arena, "%016llx", (unsigned long long)estate_hash(c->host->estate)));
    return 0;
}

/* -- journal -- */

struct rows {
    struct call *c;
    struct doc *list;
};

static int row_doc(void *ctx, const struct journal_row *r) {
    struct rows *x = ctx;
    struct arena *a = &x->c->arena;
    struct doc *d = doc_map(a), *reasons = NULL;
    char when[CIVIL_TEXT];
    civil_print(when, r->time_us);
    doc_put_int(a, d, "sequence", r->sequence);
    doc_put_str(a, d, "time", when);
    doc_put_str(a, d, "kind", r->kind);
    doc_put_str(a, d, "by", r->by);
    doc_put_str(a, d, "object", r->object);
    doc_put_str(a, d, "text", r->text);
    if (*r->json && !json_parse(a, "journal", r->json, strlen(r->json), NULL, &reasons, NULL))
        doc_put(d, "reasons", reasons);
    doc_put_str(a, d, "hash", r->hash);
    doc_push(x->list, d);
    return 0;
}

static int verb_journal(struct call *c) {
    struct rows x = {c, doc_seq(&c->arena)};
    struct journal_query q = {.after = number_in(c->body, "after", 0), .before = number_in(c->body, "before", 0),
                              .newest_first = !doc_get(c->body, "after"), .kind = doc_get_str(c->body, "kind", NULL),
                              .by = doc_get_str(c->body, "by", NULL), .object = doc_get_str(c->body, "object", NULL),
                              .limit = number_in(c->body, "limit", 100)};
    if (q.limit < 1 || q.limit > 10000)
        return err_set(&c->err, E_INVAL, "limit: from 1 to 10000, not %lld", (long long)q.limit);
    int rc = journal_read(c->host->store, &q, row_doc, &x, &c->err);
    c->reply = doc_map(&c->arena);
    doc_put(c->reply, "rows", x.list);
    doc_put_int(&c->arena, c->reply, "first", journal_first(c->host->store));
    doc_put_int(&c->arena, c->reply, "last", journal_last(c->host->store));
    return rc;
}

static int verb_verify(struct call *c) {
    int64_t rows = 0;
    int rc = journal_verify(c->host->store, &rows, &c->err);
    c->reply = doc_map(&c->arena);
    doc_put_int(&c->arena, c->reply, "rows", rows);
    doc_put_bool(&c->arena, c->reply, "ok", !rc);
    return rc;
}

struct keep_in {
    int64_t rows;
};
static const struct field keep_fields[] = {
    FIELD_INT(struct keep_in, rows, .min = 1000, .max = 1e12, .flags = F_REQUIRED, .doc = "Rows that stay; the oldest go first."),
};
static const struct table table_keep = TABLE(keep_in, keep_fields, "How much of the journal is kept.");

static int verb_keep(struct call *c) {
    return c->dry_run ? 0 : host_journal_keep(c->host, ((const struct keep_in *)c->in)->rows, &c->err);
}

struct explain_in {
    char subject[ESTATE_PATH];
};
static const struct field explain_fields[] = {
    FIELD_TEXT(struct explain_in, subject, .flags = F_REQUIRED, .doc = "An object (kind/name) or a journal sequence."),
};
static const struct table table_explain = TABLE(explain_in, explain_fields, "What to explain.");

enum { EXPLAIN_ROWS_MAX = 200 };

static int rows_of(struct rows *x, oid id) {
    char path[ESTATE_PATH];
    estate_path(x->c->host->estate, id, path);
    struct journal_query q = {.newest_first = true, .object = path, .limit = 20};
    return journal_read(x->c->host->store, &q, row_doc, x, &x->c->err);
}

/* The chain of reasons: the row, or the object's decisions, newest first, with those of its ancestors and its parts. */
static int verb_explain(struct call *c) {
    const struct explain_in *in = c->in;
    struct rows x = {c, doc_seq(&c->arena)};
    char *tail;
    int64_t sequence = strtoll(in->subject, &tail, 10);
    int rc = 0;
    c->reply = doc_map(&c->arena);
    doc_put_str(&c->arena, c->reply, "subject", in->subject);
    if (!*tail && *in->subject) {
        struct journal_query q = {.after = sequence - 1, .before = sequence + 1, .limit = 1};
        rc = journal_read(c->host->store, &q, row_doc, &x, &c->err);
        if (!rc && !x.list->list.n) {
            rc = err_set(&c->err, E_NOTFOUND, "the journal has no row %lld", (long long)sequence);
            err_hint(&c->err, "it has the rows %lld to %lld; older ones were dropped: suan help journal keep",
                     (long long)journal_first(c->host->store), (long long)journal_last(c->host->store));
        }
    } else {
        const struct estate *s = c->host->estate;
        oid subject = 0;
        rc = estate_lookup_path(s, in->subject, &subject, &c->err);
        for (oid i = subject; !rc && i; i = estate_parent(s, i))
            rc = rows_of(&x, i);
        /* What was decided of a job was decided of its tasks. */
        for (oid i = 0; !rc && x.list->list.n < EXPLAIN_ROWS_MAX && (i = estate_child(s, subject, NULL, i));)
            rc = rows_of(&x, i);
        if (!rc)
            doc_put(c->reply, "claims", arbiter_doc(c->host->arbiter, s, subject, &c->arena));
    }
    doc_put(c->reply, "chain", x.list);
    return rc;
}

/* -- conditions -- */

struct found {
    struct condition condition;
    oid id;
};

static int worse(const void *x, const void *y) {
    const struct condition *a = &((const struct found *)x)->condition, *b = &((const struct found *)y)->condition;
    if (a->severity != b->severity)
        return a->severity > b->severity ? -1 : 1;
    return (a->since_us < b->since_us) - (a->since_us > b->since_us);
}

/* Every condition of the estate, the worst and newest first. */
static int verb_conditions(struct call *c) {
    const struct estate *s = c->host->estate;
    struct arena *a = &c->arena;
    int64_t limit = number_in(c->body, "limit", 100);
    VEC(struct found) all = {0};
    if (limit < 1 || limit > 10000)
        return err_set(&c->err, E_INVAL, "limit: from 1 to 10000, not %lld", (long long)limit);
    for (oid id = 0; (id = estate_next(s, NULL, id));) {
        const struct condition *list;
        size_t n = estate_conditions(s, id, &list);
        for (size_t i = 0; i < n; i++)
            vec_push(&all, (struct found){list[i], id});
    }
    if (all.n)
        qsort(all.p, all.n, sizeof *all.p, worse);
    struct doc *items = doc_seq(a);
    for (size_t i = 0; i < all.n && i < (size_t)limit; i++) {
        const struct condition *k = &all.p[i].condition;
        struct doc *d = doc_map(a);
        char path[ESTATE_PATH], since[CIVIL_TEXT];
        estate_path(s, all.p[i].id, path);
        civil_print(since, k->since_us);
        doc_put_str(a, d, "object", path);
        doc_put_str(a, d, "name", k->name);
        doc_put_str(a, d, "severity", severity_words[k->severity]);
        doc_put_str(a, d, "since", since);
        doc_put_str(a, d, "text", k->text);
        doc_put_str(a, d, "by", k->by);
        doc_push(items, d);
    }
    c->reply = doc_map(a);
    doc_put(c->reply, "items", items);
    doc_put_int(a, c->reply, "matched", (int64_t)all.n);
    vec_free(&all);
    return 0;
}

/* -- system, time -- */

static int verb_status(struct call *c) {
    struct host *h = c->host;
    struct doc *d = c->reply = doc_map(&c->arena), *counts = doc_map(&c->arena);
    struct err why = {0};
    char now[CIVIL_TEXT];
    civil_print(now, loop_now_us(h->loop));
    doc_put_str(&c->arena, d, "product", "Suan");
    doc_put_str(&c->arena, d, "version", SUAN_VERSION);
    doc_put_str(&c->arena, d, "time", now);
    doc_put_bool(&c->arena, d, "twin", h->is_twin);
    doc_put_bool(&c->arena, d, "store_ok", store_ok(h->store, &why));
    if (why.code)
        doc_put_str(&c->arena, d, "store_error", why.message);
    doc_put_int(&c->arena, d, "revision", (int64_t)estate_revision(h->estate));
    doc_put_int(&c->arena, d, "journal", journal_last(h->store));
    doc_put_real(&c->arena, d, "cpu_s", (double)loop_cpu_us() * 1e-6);
    for (size_t i = 0; i < estate_kind_count(h->estate); i++) {
        const char *k = estate_kind_at(h->estate, i)->name;
        doc_put_int(&c->arena, counts, k, (int64_t)estate_count(h->estate, k));
    }
    doc_put(d, "objects", counts);
    doc_put_str(&c->arena, d, "user", c->who.name);
    doc_put_str(&c->arena, d, "role", role_words[c->who.role]);
    return 0;
}

struct time_out {
    int64_t now_us;
    double pace_ratio;
    bool twin;
};
static const struct field time_out_fields[] = {
    FIELD_TIME(struct time_out, now_us, .doc = "Plant time."),
    FIELD_REAL(struct time_out, pace_ratio, .unit = "1", .doc = "Plant seconds a second."),
    FIELD_BOOL(struct time_out, twin, .doc = "Whether time can be controlled."),
};
static const struct table table_time = TABLE(time_out, time_out_fields, "Plant time.");

static int time_answer(struct call *c) {
    struct time_out *out = c->out;
    out->now_us = loop_now_us(c->host->loop);
    out->pace_ratio = loop_pace_now(c->host->loop);
    out->twin = c->host->is_twin;
    return 0;
}

static int twin_only(struct call *c) {
    if (c->host->is_twin)
        return 0;
    err_set(&c->err, E_STATE, "time is controlled in a twin run only, and a live device is attached");
    err_hint(&c->err, "suan up ESTATE --twin");
    return E_STATE;
}

struct pace_in {
    double pace_ratio;
};
static const struct field pace_fields[] = {
    FIELD_REAL(struct pace_in, pace_ratio, .unit = "1", .min = 0, .max = 100000, .dflt = "1", .doc = "Plant seconds a second; 0 stops."),
};
static const struct table table_pace = TABLE(pace_in, pace_fields, "How fast plant time goes.");

static int verb_pace(struct call *c) {
    const struct pace_in *in = c->in;
    int rc = twin_only(c);
    if (!rc && !c->dry_run)
        loop_pace(c->host->loop, in->pace_ratio);
    return rc ? rc : time_answer(c);
}

static int verb_stop(struct call *c) {
    int rc = twin_only(c);
    if (!rc && !c->dry_run)
        loop_pace(c->host->loop, 0);
    return rc ? rc : time_answer(c);
}

struct warp_in {
    int64_t by_us;
};
static const struct field warp_fields[] = {
    FIELD_SPAN(struct warp_in, by_us, .min = 0, .max = 400.0 * 86400e6, .flags = F_REQUIRED, .doc = "How far to jump."),
};
static const struct table table_warp = TABLE(warp_in, warp_fields, "How far plant time jumps.");

enum { WARP_SLICE_US = 50000 };
struct warp {
    struct call *call; /* NULL: the caller has gone; the warp stops where it is */
    struct timer timer;
    struct loop *loop;
    int64_t until_us;
};

static void warp_gone(struct call *c) {
    struct warp *w = c->verb_ctx;
    w->call = NULL;
}

/* In slices: between two of them the house answers, and somebody may look how far it is. */
static void warp_slice(void *ctx) {
    struct warp *w = ctx;
    struct call *c = w->call;
    bool is_there = !c;
    if (c) {
        host_cycle(c->host);
        is_there = loop_warp(w->loop, w->until_us, WARP_SLICE_US);
        host_cycle(c->host);
    }
    if (!is_there) {
        timer_mono_in(w->loop, &w->timer, 0, warp_slice, w);
        return;
    }
    free(w);
    if (c) {
        time_answer(c);
        call_done(c, 0);
    }
}

static int verb_warp(struct call *c) {
    const struct warp_in *in = c->in;
    int rc = twin_only(c);
    if (rc || c->dry_run)
        return rc ? rc : time_answer(c);
    struct warp *w = calloc(1, sizeof *w);
    *w = (struct warp){.call = c, .loop = c->host->loop, .until_us = loop_now_us(c->host->loop) + in->by_us};
    c->verb_ctx = w;
    c->cancel = warp_gone;
    timer_mono_in(w->loop, &w->timer, 0, warp_slice, w);
    return CALL_LATER;
}

/* -- tokens -- */

struct token_in {
    char name[64];
    int role;
    char tenant[64];
    int64_t expires_us;
};
static const struct field token_in_fields[] = {
    FIELD_TEXT(struct token_in, name, .flags = F_REQUIRED, .doc = "Name of the token."),
    FIELD_ENUM(struct token_in, role, .words = role_words, .dflt = "viewer", .doc = "What it may do."),
    FIELD_TEXT(struct token_in, tenant, .doc = "Tenant of an owner."),
    FIELD_TIME(struct token_in, expires_us, .doc = "When it ends."),
};
static const struct table table_token_in = TABLE(token_in, token_in_fields, "A token to make.");

static int verb_token_create(struct call *c) {
    const struct token_in *in = c->in;
    char secret[65];
    if (c->dry_run)
        return 0;
    int rc = auth_create(c->host->auth, in->name, (enum role)in->role, in->tenant, in->expires_us, secret, &c->err);
    if (rc)
        return rc;
    c->reply = doc_map(&c->arena);
    doc_put_str(&c->arena, c->reply, "name", in->name);
    doc_put_str(&c->arena, c->reply, "token", secret);
    return 0;
}

static int verb_token_revoke(struct call *c) {
    const struct token_in *in = c->in;
    return c->dry_run ? 0 : auth_revoke(c->host->auth, in->name, &c->err);
}

static void token_row(void *ctx, const struct principal *p, int64_t created_us, int64_t expires_us) {
    struct rows *x = ctx;
    struct arena *a = &x->c->arena;
    struct doc *d = doc_map(a);
    (void)created_us;
    doc_put_str(a, d, "name", p->name);
    doc_put_str(a, d, "role", role_words[p->role]);
    doc_put_str(a, d, "tenant", p->tenant);
    doc_put_bool(a, d, "expires", expires_us != 0);
    doc_push(x->list, d);
}

static int verb_token_list(struct call *c) {
    struct rows x = {c, doc_seq(&c->arena)};
    auth_each(c->host->auth, token_row, &x);
    c->reply = doc_map(&c->arena);
    doc_put(c->reply, "items", x.list);
    return 0;
}

/* -- capabilities, claims -- */

static struct doc *goal_doc(const struct host *h, struct arena *a, const struct goal *g) {
    struct doc *d = doc_map(a);
    const struct doc *last = h->measured ? doc_get(h->measured, g->name) : NULL;
    doc_put_str(a, d, "name", g->name);
    doc_put_real(a, d, "target", g->target);
    doc_put_real(a, d, "stretch", g->stretch);
    doc_put_str(a, d, "unit", g->unit);
    doc_put_str(a, d, "better", g->better);
    doc_put_str(a, d, "measured_by", g->measured_by);
    doc_put_str(a, d, "doc", g->doc);
    if (last && doc_get(last, "value")) {
        doc_put(d, "measured", doc_copy(a, doc_get(last, "value")));
        doc_put_str(a, d, "measured_at", doc_get_str(last, "date", ""));
        doc_put_str(a, d, "commit", doc_get_str(last, "commit", ""));
    }
    return d;
}

static int verb_caps(struct call *c) {
    struct arena *a = &c->arena;
    struct doc *list = doc_seq(a);
    for (size_t i = 0; c->host->caps && c->host->caps[i]; i++) {
        const struct cap *cap = c->host->caps[i];
        struct doc *d = doc_map(a), *goals = doc_seq(a);
        doc_put_str(a, d, "name", cap->name);
        doc_put_str(a, d, "title", cap->title);
        doc_put_str(a, d, "title_zh", cap->title_zh);
        doc_put_str(a, d, "family", cap->family);
        doc_put_str(a, d, "maturity", maturity_words[cap->maturity]);
        doc_put_str(a, d, "mode", cap_mode_words[host_cap_mode(c->host, i)]);
        for (size_t k = 0; k < cap->ngoals; k++)
            doc_push(goals, goal_doc(c->host, a, &cap->goals[k]));
        doc_put(d, "goals", goals);
        if (cap->config)
            doc_put(d, "config", host_cap_config(c->host, i, a));
        doc_push(list, d);
    }
    c->reply = doc_map(a);
    doc_put(c->reply, "items", list);
    return 0;
}

struct mode_in {
    char cap[48];
    int mode;
};
static const struct field mode_fields[] = {
    FIELD_TEXT(struct mode_in, cap, .flags = F_REQUIRED, .doc = "Capability."),
    FIELD_ENUM(struct mode_in, mode, .words = cap_mode_words, .flags = F_REQUIRED, .doc = "off, advise or act."),
};
static const struct table table_mode = TABLE(mode_in, mode_fields, "A capability's mode.");

static int verb_mode(struct call *c) {
    const struct mode_in *in = c->in;
    return c->dry_run ? 0 : host_cap_set_mode(c->host, in->cap, (enum cap_mode)in->mode, &c->err);
}

/* Body: cap=…, and the fields to change. */
static int verb_cap_config(struct call *c) {
    static const char *const own[] = {"cap", NULL};
    const char *cap = doc_get_str(c->body, "cap", "");
    c->reply = doc_map(&c->arena);
    return host_cap_configure(c->host, cap, without(c, own), c->source, c->dry_run, &c->err);
}

struct claim_in {
    char object[ESTATE_PATH];
    char field[48];
    double value;
    int64_t lease_us;
    char why[120];
};
static const struct field claim_fields[] = {
    FIELD_TEXT(struct claim_in, object, .flags = F_REQUIRED, .doc = "Object, kind/name."),
    FIELD_TEXT(struct claim_in, field, .flags = F_REQUIRED, .doc = "Property to command."),
    FIELD_REAL(struct claim_in, value, .doc = "Value, in the field's unit."),
    FIELD_SPAN(struct claim_in, lease_us, .min = 1e6, .max = 366 * 86400e6, .dflt = "1h", .doc = "It falls away after this."),
    FIELD_TEXT(struct claim_in, why, .dflt = "by hand", .doc = "Reason, for the journal."),
};
static const struct table table_claim = TABLE(claim_in, claim_fields, "A claim by hand.");

static int verb_claim_set(struct call *c) {
    const struct claim_in *in = c->in;
    struct claim cl = {.value = in->value, .cls = CLAIM_MANUAL, .by = "manual", .order = -1, .field = in->field,
                       .until_us = loop_now_us(c->host->loop) + in->lease_us};
    int rc = estate_lookup_path(c->host->estate, in->object, &cl.object, &c->err);
    str_copy(cl.why, sizeof cl.why, in->why);
    if (rc)
        return rc;
    cl.kind = estate_kind_of(c->host->estate, cl.object)->name;
    if (!arbiter_property(c->host->arbiter, cl.kind, in->field))
        return err_set(&c->err, E_NOTFOUND, "a %s has no property '%s' that can be commanded", cl.kind, in->field);
    if (!c->dry_run)
        rc = arbiter_claim(c->host->arbiter, &cl, &c->err);
    return rc;
}

static int verb_claim_release(struct call *c) {
    const struct claim_in *in = c->in;
    oid id;
    int rc = estate_lookup_path(c->host->estate, in->object, &id, &c->err);
    if (!rc && !c->dry_run)
        arbiter_release(c->host->arbiter, id, in->field, "manual");
    return rc;
}

static int verb_claim_list(struct call *c) {
    c->reply = doc_map(&c->arena);
    doc_put(c->reply, "items", arbiter_doc(c->host->arbiter, c->host->estate, 0, &c->arena));
    return 0;
}

#define ANY VERB_READ | VERB_FREE_FORM
const struct verb house_verbs[] = {
    {"list", "*", false, NULL, NULL, ROLE_VIEWER, ANY, 0, NULL, "All objects of a kind, with filters.", "rack list limit=2", verb_list},
    {"show", "*", true, NULL, NULL, ROLE_VIEWER, ANY, 0, NULL, "One object with all its fields.", "centre show zhangjiakou", verb_show},
    {"create", "*", false, NULL, NULL, ROLE_OPERATOR, VERB_FREE_FORM, 0, NULL, "Make an object; with draft=N only note it there.", "tenant create name=lab title=Lab", verb_create},
    {"set", "*", true, NULL, NULL, ROLE_OPERATOR, VERB_FREE_FORM | VERB_IDEMPOTENT, 0, NULL, "Change fields of an object; with draft=N only note it there.", "tenant set lab title=Laboratory", verb_set},
    {"delete", "*", true, NULL, NULL, ROLE_OPERATOR, VERB_FREE_FORM | VERB_DANGEROUS, 0, NULL, "Delete an object; with draft=N only note it there.", "tenant delete lab", verb_delete},
    {"export", "estate", false, NULL, NULL, ROLE_VIEWER, ANY, 0, NULL, "The whole configuration; import reads it back.", "estate export", verb_export},
    {"import", "estate", false, &table_import, NULL, ROLE_ADMIN, 0, 30000000, NULL, "Merge a document into the estate.", "estate import share/estates/rack.yaml", verb_import},
    {"begin", "estate", false, NULL, &table_draft_begun, ROLE_OWNER, 0, 0, NULL, "Begin a draft: changes that are committed as one.", "estate begin", verb_draft_begin},
    {"drafts", "estate", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "Drafts that are open.", "estate drafts", verb_draft_list},
    {"diff", "estate", false, &table_draft_in, NULL, ROLE_OWNER, VERB_READ, 0, NULL, "What a draft would change.", "estate diff 1", verb_draft_diff},
    {"check", "estate", false, &table_draft_in, NULL, ROLE_OWNER, VERB_READ, 0, NULL, "Whether a draft could be committed now.", "estate check 1", verb_draft_check},
    {"commit", "estate", false, &table_draft_commit, NULL, ROLE_OWNER, 0, 0, NULL, "Commit a draft: all of it as one revision, or nothing.", "estate commit 1", verb_draft_commit},
    {"abort", "estate", false, &table_draft_in, NULL, ROLE_OWNER, 0, 0, NULL, "Forget a draft.", "estate abort 2", verb_draft_abort},
    {"history", "estate", false, NULL, NULL, ROLE_VIEWER, ANY, 0, NULL, "Revisions, newest first.", "estate history", verb_history},
    {"rollback", "estate", false, &table_rollback, NULL, ROLE_ADMIN, VERB_DANGEROUS, 0, NULL, "Go back to a revision, as a new one.", "estate rollback 1", verb_rollback},
    {"hash", "estate", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "Hash of all that is not volatile.", "estate hash", verb_hash},
    {"list", "journal", false, NULL, NULL, ROLE_VIEWER, ANY, 0, NULL, "Decisions, commits, calls and events.", "journal list limit=3", verb_journal},
    {"verify", "journal", false, NULL, NULL, ROLE_VIEWER, VERB_READ | VERB_SLOW, 60000000, NULL, "Check the hash chain.", "journal verify", verb_verify},
    {"keep", "journal", false, &table_keep, NULL, ROLE_ADMIN, VERB_IDEMPOTENT | VERB_DANGEROUS, 0, NULL, "Set how many rows of the journal are kept (at first 1,000,000).", "journal keep rows=1000000", verb_keep},
    {"explain", "system", false, &table_explain, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "Why something was decided.", "explain 1", verb_explain},
    {"list", "condition", false, NULL, NULL, ROLE_VIEWER, ANY, 0, NULL, "Every condition of the estate, the worst first.", "condition list", verb_conditions},
    {"status", "system", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "How the controller is.", "system status", verb_status},
    {"show", "time", false, NULL, &table_time, ROLE_VIEWER, VERB_READ, 0, NULL, "Plant time.", "time show", time_answer},
    {"show", "telemetry", false, &table_telemetry, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "The last hour of what flows: power, load, use.", "telemetry show kind=centre field=power_w", verb_telemetry},
    {"stop", "time", false, NULL, &table_time, ROLE_OPERATOR, 0, 0, NULL, "Stop plant time (twin).", "time stop", verb_stop},
    {"pace", "time", false, &table_pace, &table_time, ROLE_OPERATOR, 0, 0, NULL, "Set how fast plant time goes (twin).", "time pace 60", verb_pace},
    {"warp", "time", false, &table_warp, &table_time, ROLE_OPERATOR, VERB_SLOW, 600000000, NULL, "Jump forwards (twin).", "time warp 15m", verb_warp},
    {"create", "token", false, &table_token_in, NULL, ROLE_ADMIN, 0, 0, NULL, "Make a token; it is shown once.", "token create name=eye role=viewer", verb_token_create},
    {"revoke", "token", false, &table_token_in, NULL, ROLE_ADMIN, VERB_DANGEROUS, 0, NULL, "End a token at once.", "token revoke name=eye", verb_token_revoke},
    {"list", "token", false, NULL, NULL, ROLE_ADMIN, VERB_READ, 0, NULL, "Tokens and roles.", "token list", verb_token_list},
    {"list", "cap", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "Capabilities, modes and goals.", "cap list", verb_caps},
    {"mode", "cap", false, &table_mode, NULL, ROLE_OPERATOR, VERB_IDEMPOTENT, 0, NULL, "Switch a capability off, to advise, or to act.", "cap mode placement mode=act", verb_mode},
    {"config", "cap", false, NULL, NULL, ROLE_OPERATOR, VERB_FREE_FORM | VERB_IDEMPOTENT, 0, NULL, "Change a capability's configuration; kept over restarts.", "cap config cap=placement jobs_max=10000", verb_cap_config},
    {"set", "claim", false, &table_claim, NULL, ROLE_OPERATOR, 0, 0, NULL, "Command a property by hand.", "claim set node/zhangjiakou-a-r01-n01 cap_w 250 lease_us=10m", verb_claim_set},
    {"release", "claim", false, &table_claim, NULL, ROLE_OPERATOR, 0, 0, NULL, "End a claim by hand.", "claim release node/zhangjiakou-a-r01-n01 cap_w", verb_claim_release},
    {"list", "claim", false, NULL, NULL, ROLE_VIEWER, VERB_READ, 0, NULL, "Who claims what.", "claim list", verb_claim_list},
};
const size_t house_nverbs = sizeof house_verbs / sizeof house_verbs[0];
