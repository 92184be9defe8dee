#include "core/verb.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "core/host.h"

enum { TIMEOUT_US = 10000000 };

/* -- registry -- */

struct verbs {
    VEC(const struct verb *) rows;
    struct map by_name; /* "on verb" */
    VEC(char *) keys;
};

struct verbs *verbs_new(void) { return calloc(1, sizeof(struct verbs)); }

void verbs_free(struct verbs *v) {
    for (size_t i = 0; v && i < v->keys.n; i++)
        free(v->keys.p[i]);
    if (v) {
        vec_free(&v->rows);
        vec_free(&v->keys);
        map_free(&v->by_name);
    }
    free(v);
}

void verbs_add(struct verbs *v, const struct verb *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct text key = TEXT_INIT;
        bool is_new;
        text_addf(&key, "%s %s", rows[i].on, rows[i].name);
        vec_push(&v->keys, text_take(&key));
        map_put(&v->by_name, v->keys.p[v->keys.n - 1], &is_new)->value.ptr = (void *)&rows[i];
        assert(is_new && "two verbs of one name");
        vec_push(&v->rows, &rows[i]);
    }
}

const struct verb *verbs_find(const struct verbs *v, const char *on, const char *name) {
    char key[160];
    snprintf(key, sizeof key, "%.79s %.79s", on, name);
    return map_ptr(&v->by_name, key);
}

size_t verbs_count(const struct verbs *v) { return v->rows.n; }
const struct verb *verbs_at(const struct verbs *v, size_t i) { return v->rows.p[i]; }

int verbs_lookup(const struct verbs *v, const char *on, const char *name, const struct verb **out, struct err *e) {
    if ((*out = verbs_find(v, on, name)))
        return 0;
    const char *names[256], *ons[256];
    size_t n = 0, m = 0;
    for (size_t i = 0; i < v->rows.n && n < 256 && m < 256; i++) {
        const struct verb *r = v->rows.p[i];
        if (!strcmp(r->on, on) || !strcmp(r->on, "*"))
            names[n++] = r->name;
        ons[m++] = r->on;
    }
    bool known = false;
    for (size_t i = 0; i < m; i++)
        known |= !strcmp(ons[i], on);
    err_set(e, E_NOTFOUND, "%.48s has no verb '%.48s'", on, name);
    const char *near = str_nearest(name, names, n), *near_on = known ? NULL : str_nearest(on, ons, m);
    if (near_on)
        err_hint(e, "did you mean '%s'?", near_on);
    else if (near && known)
        err_hint(e, "did you mean '%s %s'?", on, near);
    return E_NOTFOUND;
}

/* -- dispatch -- */

static void count(struct call *c, int rc) {
    struct host *h = c->host;
    extern const struct metric house_metrics[];
    const char *code = err_name(rc < 0 ? rc : 0);
    metric_series(h->metrics, &house_metrics[0], c->verb ? c->verb->on : "?", c->verb ? c->verb->name : "?", code, NULL)
        ->value += 1;
    struct series *s = metric_series(h->metrics, &house_metrics[1], NULL);
    metric_observe(&house_metrics[1], s, (double)(loop_mono_us(h->loop) - c->begun_us) * 1e-6);
}

/* What was asked, without secrets: by the verb's table, or the body of a free-form verb by its kind's. */
static struct doc *asked(struct call *c) {
    struct field_env env = estate_env(c->host->estate);
    if (c->verb->in)
        return c->in ? table_write(c->verb->in, c->in, &c->arena, &env, F_SECRET) : NULL;
    if (!(c->verb->flags & VERB_FREE_FORM) || !c->body || c->body->type != DOC_MAP || !c->body->list.n)
        return NULL;
    struct doc *out = doc_map(&c->arena);
    doc_each(d, c->body) {
        const struct field *f = c->kind ? table_find(c->kind->table, d->key) : NULL;
        if (!f || !(f->flags & F_SECRET))
            doc_put(out, d->key, doc_copy(&c->arena, d));
    }
    return out;
}

static void audit(struct call *c, int rc) {
    struct doc *d = asked(c);
    const char *on = c->kind ? c->kind->name : c->verb->on;
    if (d) {
        struct text t = TEXT_INIT;
        json_print(&t, d, 0);
        if (t.n > 4096)
            d = NULL; /* a whole job stands in its own objects */
        text_free(&t);
    }
    host_journal(c->host, "verb", c->who.name, c->path, d, "%s %s%s%s: %s", on, c->verb->name, *c->path ? " " : "", c->path,
                 rc ? err_name(rc) : c->dry_run ? "dry run" : "done");
}

static void finish(struct call *c, int rc) {
    assert(!c->is_finished);
    c->is_finished = true;
    c->rc = rc;
    timer_cancel(c->host->loop, &c->deadline);
    if (rc && !c->err.code)
        err_set(&c->err, rc, "%s", err_name(rc));
    count(c, rc);
    bool changing = c->verb && !(c->verb->flags & (VERB_READ | VERB_QUIET));
    if (changing)
        audit(c, rc);
    /* What was changed is durable before anybody hears of it. */
    if (changing && !rc && !c->dry_run) {
        host_answer_after_commit(c->host, c);
        host_kick(c->host);
    } else {
        c->answer(c, rc);
    }
}

static void on_deadline(void *ctx) {
    struct call *c = ctx;
    err_set(&c->err, E_TIMEOUT, "%s %s did not end in time", c->verb->on, c->verb->name);
    if (c->cancel)
        c->cancel(c);
    if (!c->is_finished)
        finish(c, E_TIMEOUT);
}

void call_done(struct call *c, int rc) {
    if (!c->is_finished)
        finish(c, rc);
}

/* Whose is it? The object's own tenant, else the owner of the nearest ancestor that has one. */
static const char *tenant_of(const struct estate *s, oid id) {
    for (; id; id = estate_parent(s, id)) {
        const struct kind *k = estate_kind_of(s, id);
        const struct field *f = table_find(k->table, "tenant");
        f = f ? f : table_find(k->table, "owner");
        oid tenant;
        if (!f || f->type != FIELD_REF)
            continue;
        memcpy(&tenant, (const char *)estate_data(s, id) + f->offset, sizeof tenant);
        if (estate_alive(s, tenant))
            return estate_name(s, tenant);
    }
    return "";
}

static int state_permits(struct call *c) {
    const struct kind *k = estate_kind_of(c->host->estate, c->object);
    const struct field *f = table_find(k->table, "state");
    if (!c->verb->permitted_states || !f)
        return 0;
    int state;
    memcpy(&state, (const char *)estate_data(c->host->estate, c->object) + f->offset, sizeof state);
    const char *word = f->words[state], *all = c->verb->permitted_states;
    size_t n = strlen(word);
    for (const char *p = all; (p = strstr(p, word)); p += n)
        if ((p[n] == '\0' || p[n] == ' ') && (p == all || p[-1] == ' '))
            return 0;
    err_set(&c->err, E_STATE, "%s %s is %s", k->name, estate_name(c->host->estate, c->object), word);
    err_hint(&c->err, "%s needs it to be one of: %s", c->verb->name, c->verb->permitted_states);
    return E_STATE;
}

static int prepare(struct call *c, const char *on, const char *object_name, const char *verb_name) {
    struct host *h = c->host;
    int rc;
    c->kind = estate_kind(h->estate, on);
    c->verb = verbs_find(h->verbs, on, verb_name);
    if (!c->verb && c->kind)
        c->verb = verbs_find(h->verbs, "*", verb_name);
    if (!c->verb)
        return verbs_lookup(h->verbs, on, verb_name, &c->verb, &c->err);
    if ((rc = auth_permit(&c->who, ROLE_VIEWER, "", &c->err)))
        return rc;
    if (c->verb->on_object) {
        if (!object_name || !*object_name) {
            err_set(&c->err, E_INVAL, "%s %s wants the name of a %s", on, verb_name, on);
            return E_INVAL;
        }
        snprintf(c->path, sizeof c->path, "%.31s/%.63s", on, object_name); /* for the audit, should it not be there */
        if ((rc = estate_lookup(h->estate, on, object_name, &c->object, &c->err)))
            return rc;
        estate_path(h->estate, c->object, c->path); /* now: a delete leaves nobody to ask */
    } else if (object_name && *object_name) {
        return err_set(&c->err, E_INVAL, "%s %s takes no object, but '%.64s' was named", on, verb_name, object_name);
    }
    /* An owner's verb without an object is for every owner; whose things it touches, the verb itself asks. */
    if ((rc = auth_permit(&c->who, c->verb->role, c->object ? tenant_of(h->estate, c->object)
                          : c->verb->role == ROLE_OWNER     ? c->who.tenant
                                                            : "", &c->err)))
        return rc;
    struct err why;
    if (!(c->verb->flags & VERB_READ) && !store_ok(h->store, &why)) {
        c->err = why;
        return why.code;
    }
    return c->object ? state_permits(c) : 0;
}

static int input(struct call *c) {
    const struct verb *v = c->verb;
    if (v->out)
        c->out = arena_zalloc(&c->arena, v->out->size);
    if (v->flags & VERB_FREE_FORM)
        return 0;
    if (!v->in) {
        if (c->body && c->body->type == DOC_MAP && c->body->list.n)
            return err_set(&c->err, E_INVAL, "%s %s takes no fields, but '%.48s' was given", v->on, v->name,
                           c->body->list.first->key);
        return 0;
    }
    void *in = arena_zalloc(&c->arena, v->in->size);
    struct field_env env = estate_env(c->host->estate);
    table_defaults(v->in, in);
    c->in = in;
    return table_read(v->in, in, c->body, c->source, &env, TABLE_CREATE, &c->err);
}

void call_start(struct call *c, const char *on, const char *object_name, const char *verb_name, struct doc *body,
                const char *source) {
    c->begun_us = loop_mono_us(c->host->loop);
    c->body = body;
    c->source = source;
    int rc = prepare(c, on, object_name, verb_name);
    if (!rc)
        rc = input(c);
    if (!rc) {
        timer_mono_in(c->host->loop, &c->deadline, c->verb->timeout_us ? c->verb->timeout_us : TIMEOUT_US, on_deadline, c);
        rc = c->verb->fn(c);
    }
    if (rc != CALL_LATER && !c->is_finished)
        finish(c, rc);
}

struct doc *call_output(struct call *c) {
    if (c->reply)
        return c->reply;
    struct field_env env = estate_env(c->host->estate);
    return c->verb->out ? table_write(c->verb->out, c->out, &c->arena, &env, 0) : doc_map(&c->arena);
}

int problem_status(int code) {
    switch (code) {
    case E_INVAL:
    case E_PARSE:
        return 400;
    case E_AUTH:
        return 401;
    case E_DENIED:
        return 403;
    case E_NOTFOUND:
        return 404;
    case E_EXISTS:
    case E_STATE:
    case E_CANCELLED:
        return 409;
    case E_CONFLICT:
        return 412;
    case E_LIMIT:
        return 429;
    case E_UNSUPPORTED:
        return 501;
    case E_UNAVAIL:
        return 503;
    case E_TIMEOUT:
        return 504;
    default:
        return 500;
    }
}

struct doc *problem_doc(struct arena *a, const struct err *e) {
    struct doc *d = doc_map(a);
    doc_put_str(a, d, "type", "about:blank");
    doc_put_str(a, d, "title", err_name(e->code));
    doc_put_int(a, d, "status", problem_status(e->code));
    doc_put_str(a, d, "code", err_name(e->code));
    doc_put_str(a, d, "message", e->message);
    if (*e->detail)
        doc_put_str(a, d, "detail", e->detail);
    if (*e->hint)
        doc_put_str(a, d, "hint", e->hint);
    if (*e->place)
        doc_put_str(a, d, "place", e->place);
    return d;
}
