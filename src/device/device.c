/* The table of devices: which backend answers for which object, polling, and arbitrated set points.
 *
 * `backend: retry:n=3|modbus:host=127.0.0.1,port=1502,unit=1` is a stack: filters from the left, the transport last. */
#include "device/device.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/vec.h"
#include "estate/kinds.h"

enum { STACK_MAX = 8, POLL_FAILURES = 3, LANE_US = 1000000, ACTS_MAX = 65536 };

struct device {
    struct devices *all;
    oid id;
    const struct device_class *cls;
    struct backend *stack[STACK_MAX]; /* [0] is the transport, the last one is asked */
    size_t n;
    char spec[BACKEND_TEXT]; /* what the stack was opened from */
    uint64_t revision;       /* of the estate, when that was last compared */
    struct timer poll_timer;
    struct device_request poll;
    void *poll_out;
    bool polling;
    int failures;
};

/* A set point on its way. */
struct act {
    struct device_request r;
    struct devices *all;
    struct command command;
    struct act *next, **at;
    _Alignas(16) char in[];
};

struct devices {
    struct host *host;
    const struct device_class *const *classes;
    const struct backend_ops *const *backends;
    struct map by_id; /* keys lie in the devices */
    VEC(struct device *) list;
    struct act *acts;
    size_t n_acts;
    VEC(struct verb) verbs;
    struct backend nowhere; /* of requests that reach no device */
};

/* -- specs -- */

int backend_spec_parse(struct arena *a, const char *spec, char name[32], struct doc **options, struct err *e) {
    const char *colon = strchr(spec, ':');
    size_t n = colon ? (size_t)(colon - spec) : strlen(spec);
    if (!n || n >= 32)
        return err_set(e, E_INVAL, "backend '%.60s': the form is name or name:key=value,…", spec);
    memcpy(name, spec, n);
    name[n] = 0;
    *options = doc_map(a);
    for (const char *p = colon ? colon + 1 : ""; *p;) {
        size_t len = strcspn(p, ",");
        const char *eq = memchr(p, '=', len);
        if (!eq || eq == p)
            return err_set(e, E_INVAL, "backend '%.60s': '%.*s' is not key=value", spec, (int)len, p);
        char *key = arena_strndup(a, p, (size_t)(eq - p));
        if (doc_get(*options, key))
            return err_set(e, E_INVAL, "backend '%.60s': '%s' stands twice", spec, key);
        doc_put(*options, key, doc_strn(a, eq + 1, len - (size_t)(eq + 1 - p)));
        p += len + (p[len] == ',');
    }
    return 0;
}

static const struct backend_ops *ops_find(const struct devices *d, const char *name, const char *cls) {
    for (size_t i = 0; d->backends[i]; i++)
        if (!strcmp(d->backends[i]->name, name) && !strcmp(d->backends[i]->cls, cls))
            return d->backends[i];
    return NULL;
}

static int layer_open(struct devices *d, struct device *v, const char *spec, bool filter, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *options;
    char name[32];
    int rc = backend_spec_parse(&a, spec, name, &options, e);
    if (!rc && v->n == STACK_MAX)
        rc = err_set(e, E_LIMIT, "a device takes at most %d layers", STACK_MAX);
    const struct backend_ops *ops = rc ? NULL : ops_find(d, name, filter ? "*" : v->cls->name);
    if (!rc && !ops) {
        rc = err_set(e, E_NOTFOUND, "no %s '%s' for class %s", filter ? "filter" : "backend", name, v->cls->name);
        const char *words[32];
        size_t n = 0;
        for (size_t i = 0; d->backends[i] && n < 32; i++)
            if (!strcmp(d->backends[i]->cls, filter ? "*" : v->cls->name))
                words[n++] = d->backends[i]->name;
        const char *near = n ? str_nearest(name, words, n) : NULL;
        if (near)
            err_hint(e, "did you mean '%s'?", near);
    }
    struct backend *b = NULL;
    if (!rc)
        rc = ops->open(d->host, v->id, options, v->n ? v->stack[v->n - 1] : NULL, &b, e);
    if (!rc) {
        b->ops = ops;
        b->host = d->host;
        b->id = v->id;
        v->stack[v->n++] = b;
    }
    arena_free(&a);
    return rc;
}

static void stack_close(struct device *v) {
    while (v->n) {
        struct backend *b = v->stack[--v->n];
        b->ops->close(b);
    }
}

/* The object's `backend` text; a kind without such a field uses the first backend of its class. */
static int spec_of(struct devices *d, struct device *v, char spec[BACKEND_TEXT], struct err *e) {
    const struct kind *k = estate_kind_of(d->host->estate, v->id);
    const struct field *f = table_find(k->table, "backend");
    spec[0] = 0;
    if (f && f->type == FIELD_TEXT)
        str_copy(spec, BACKEND_TEXT, (const char *)estate_data(d->host->estate, v->id) + f->offset);
    for (size_t i = 0; !spec[0] && d->backends[i]; i++)
        if (!strcmp(d->backends[i]->cls, v->cls->name))
            str_copy(spec, BACKEND_TEXT, d->backends[i]->name);
    return spec[0] ? 0 : err_set(e, E_UNSUPPORTED, "no backend for class %s", v->cls->name);
}

static int stack_open(struct devices *d, struct device *v, struct err *e) {
    char spec[BACKEND_TEXT];
    int rc = spec_of(d, v, spec, e);
    str_copy(v->spec, sizeof v->spec, spec);
    for (bool filter = false; !rc; filter = true) {
        char *bar = strrchr(spec, '|');
        rc = layer_open(d, v, bar ? bar + 1 : spec, filter, e);
        if (!bar)
            break;
        *bar = 0;
    }
    if (rc)
        stack_close(v);
    if (rc && e && !e->place[0]) {
        char path[ESTATE_PATH];
        estate_path(d->host->estate, v->id, path);
        err_place(e, "%s", path);
    }
    return rc;
}

/* The operator may have given the object another backend since. What was on its way through the old one ends as
 * cancelled; filters that were stacked at run time go with it. */
static int stack_renew(struct devices *d, struct device *v, struct err *e) {
    uint64_t revision = estate_revision(d->host->estate);
    if (v->n && v->revision == revision)
        return 0;
    char spec[BACKEND_TEXT];
    int rc = spec_of(d, v, spec, e);
    v->revision = revision;
    if (!rc && v->n && !strcmp(spec, v->spec))
        return 0;
    stack_close(v);
    return rc ? rc : stack_open(d, v, e);
}

static const struct device_class *class_of(const struct devices *d, const char *kind) {
    for (size_t i = 0; d->classes[i]; i++)
        if (!strcmp(d->classes[i]->kind ? d->classes[i]->kind : d->classes[i]->name, kind))
            return d->classes[i];
    return NULL;
}

static int device_find(struct devices *d, oid id, struct device **out, struct err *e) {
    struct map_entry *x = map_get_n(&d->by_id, (const char *)&id, sizeof id);
    if (!estate_alive(d->host->estate, id))
        return err_set(e, E_NOTFOUND, "no such object");
    if (x) {
        *out = x->value.ptr;
        return stack_renew(d, *out, e);
    }
    char path[ESTATE_PATH];
    estate_path(d->host->estate, id, path);
    const struct device_class *cls = class_of(d, estate_kind_of(d->host->estate, id)->name);
    if (!cls)
        return err_set_at(e, E_UNSUPPORTED, path, "%s is not a device", path);
    struct device *v = calloc(1, sizeof *v);
    assert(v);
    v->all = d;
    v->id = id;
    v->cls = cls;
    int rc = stack_open(d, v, e);
    if (rc) {
        free(v);
        return rc;
    }
    const struct verb *poll = cls->poll_verb ? device_verb(cls, cls->poll_verb) : NULL;
    v->poll_out = poll ? calloc(1, poll->out->size) : NULL;
    bool is_new;
    map_put_n(&d->by_id, (const char *)&v->id, sizeof v->id, &is_new)->value.ptr = v;
    vec_push(&d->list, v);
    *out = v;
    return 0;
}

/* What could not even be submitted is answered like everything else: by done(), from the loop. */
static void nowhere_submit(struct backend *b, struct device_request *r) {
    (void)b, (void)r;
}
static const struct backend_ops nowhere_ops = {.name = "nowhere", .cls = "*", .submit = nowhere_submit};

int devices_open(struct host *h, const struct device_class *const *classes, const struct backend_ops *const *backends,
                 struct devices **out, struct err *e) {
    struct devices *d = calloc(1, sizeof *d);
    (void)e;
    assert(d);
    d->host = h;
    d->classes = classes;
    d->backends = backends;
    d->nowhere = (struct backend){.ops = &nowhere_ops, .host = h};
    *out = d;
    return 0;
}

static void act_free(struct act *a) {
    *a->at = a->next;
    if (a->next)
        a->next->at = a->at;
    a->all->n_acts--;
    free(a);
}

static void device_close(struct device *v) {
    timer_cancel(v->all->host->loop, &v->poll_timer);
    stack_close(v);
    free(v->poll_out);
    free(v);
}

/* Requests of this table end first; their done() is deferred, so the loop has to turn before memory goes. */
void devices_close(struct devices *d) {
    if (!d)
        return;
    struct loop *l = d->host->loop;
    for (struct act *a = d->acts; a; a = a->next)
        device_cancel(&a->r);
    for (size_t i = 0; i < d->list.n; i++) {
        timer_cancel(l, &d->list.p[i]->poll_timer);
        if (d->list.p[i]->polling)
            device_cancel(&d->list.p[i]->poll);
    }
    for (int turns = 0; turns < 8; turns++) {
        bool busy = d->acts != NULL;
        for (size_t i = 0; i < d->list.n; i++)
            busy |= d->list.p[i]->polling;
        if (!busy)
            break;
        loop_run_deferred(l);
    }
    /* Closing a backend ends what others still ask of it; they hear of it before the table goes. */
    for (size_t i = 0; i < d->list.n; i++)
        stack_close(d->list.p[i]);
    loop_run_deferred(l);
    for (size_t i = 0; i < d->list.n; i++)
        device_close(d->list.p[i]);
    vec_free(&d->list);
    vec_free(&d->verbs);
    map_free(&d->by_id);
    free(d);
}

/* -- requests -- */

static void refuse(struct devices *d, struct device_request *r) {
    static const struct verb none = {.name = "?", .on = "?"};
    if (!r->verb)
        r->verb = &none;
    r->backend = &d->nowhere;
    r->is_done = false;
    device_finish(r, r->err.code);
}

static void submit(struct devices *d, struct device *v, const char *verb, struct device_request *r) {
    r->cls = v->cls;
    r->verb = device_verb(v->cls, verb);
    if (!r->verb) {
        err_set(&r->err, E_UNSUPPORTED, "class %s has no verb '%.40s'", v->cls->name, verb);
        refuse(d, r);
        return;
    }
    if (r->verb->in && r->in && table_check(r->verb->in, r->in, &r->err)) {
        refuse(d, r);
        return;
    }
    backend_submit(v->stack[v->n - 1], r);
}

void device_submit(struct devices *d, oid id, const char *verb, struct device_request *r) {
    struct device *v;
    r->id = id;
    r->verb = NULL;
    err_clear(&r->err);
    if (device_find(d, id, &v, &r->err))
        refuse(d, r);
    else
        submit(d, v, verb, r);
}

int device_filter(struct devices *d, oid id, const char *spec, struct err *e) {
    struct device *v;
    int rc = device_find(d, id, &v, e);
    return rc ? rc : layer_open(d, v, spec, true, e);
}

/* Only the topmost filter of a name goes, and only while it is topmost: the ones above it point at it. */
int device_unfilter(struct devices *d, oid id, const char *name, struct err *e) {
    struct device *v;
    int rc = device_find(d, id, &v, e);
    if (rc)
        return rc;
    struct backend *top = v->stack[v->n - 1];
    if (v->n < 2 || strcmp(top->ops->name, name))
        return err_set(e, E_NOTFOUND, "'%.32s' is not the outermost filter of this device", name);
    if (v->polling)
        device_cancel(&v->poll);
    v->n--;
    top->ops->close(top);
    return 0;
}

/* -- polling -- */

static void poll_next(struct device *v);

static void poll_done(struct device_request *r, int rc) {
    struct device *v = r->ctx;
    struct host *h = v->all->host;
    v->polling = false;
    if (!estate_alive(h->estate, v->id))
        return; /* deleted meanwhile: its table entry stays, unpolled, until the house closes */
    int64_t now = loop_now_us(h->loop);
    if (rc == 0) {
        v->failures = 0;
        v->cls->observe(h->estate, v->id, v->poll_out, now);
        estate_condition(h->estate, v->id, "unreachable", SEV_ERROR, "device", now, NULL);
    } else if (rc != E_CANCELLED && ++v->failures >= POLL_FAILURES) {
        if (estate_condition(h->estate, v->id, "unreachable", SEV_ERROR, "device", now, r->err.message))
            host_kick(h);
    }
    poll_next(v);
}

static void poll_now(void *ctx) {
    struct device *v = ctx;
    if (v->polling || !estate_alive(v->all->host->estate, v->id))
        return;
    v->polling = true;
    v->poll = (struct device_request){.out = v->poll_out, .done = poll_done, .ctx = v, .id = v->id};
    if (stack_renew(v->all, v, &v->poll.err))
        refuse(v->all, &v->poll);
    else
        submit(v->all, v, v->cls->poll_verb, &v->poll);
}

/* Devices keep to their own lane of the period, one a second: a hall is not read in one burst, and the controller sleeps
 * between two lanes. */
static void poll_next(struct device *v) {
    struct loop *l = v->all->host->loop;
    int64_t period = v->cls->period_us, lanes = period > LANE_US ? period / LANE_US : 1;
    int64_t lane = (int64_t)(v->id % (uint64_t)lanes) * LANE_US;
    int64_t next = (loop_now_us(l) - lane) / period * period + lane + period;
    timer_at(l, &v->poll_timer, next, 0, poll_now, v);
}

void devices_poll(struct devices *d) {
    const struct estate *s = d->host->estate;
    for (size_t i = 0; d->classes[i]; i++) {
        const struct device_class *cls = d->classes[i];
        if (!cls->period_us || !cls->poll_verb)
            continue;
        for (oid id = 0; (id = estate_next(s, cls->kind ? cls->kind : cls->name, id));) {
            struct device *v;
            struct err e = {0};
            int64_t now = loop_now_us(d->host->loop);
            if (device_find(d, id, &v, &e))
                estate_condition(d->host->estate, id, "unreachable", SEV_ERROR, "device", now, e.message);
            else if (!v->polling && !timer_is_set(&v->poll_timer))
                poll_next(v);
        }
    }
}

/* -- set points -- */

/* "cap_w" is set by "set cap_w", or by "set cap": verbs may leave the unit out. */
static const struct verb *setter(const struct device_class *cls, const char *field) {
    for (size_t i = 0; i < cls->nverbs; i++) {
        const char *name = cls->verbs[i].name;
        if (!str_starts(name, "set ") || !cls->verbs[i].in || cls->verbs[i].in->nfields != 1)
            continue;
        size_t n = strlen(name + 4);
        if (!strncmp(name + 4, field, n) && (!field[n] || field[n] == '_'))
            return &cls->verbs[i];
    }
    return NULL;
}

static void act_done(struct device_request *r, int rc) {
    struct act *a = r->ctx;
    host_acted(a->all->host, &a->command, rc, rc ? &r->err : NULL);
    act_free(a);
}

void devices_act(struct host *h, const struct command *c) {
    struct devices *d = h->devices;
    struct device *v;
    struct err e = {0};
    int rc = device_find(d, c->object, &v, &e);
    const struct verb *verb = rc ? NULL : setter(v->cls, c->property->field);
    if (!rc && !verb)
        rc = err_set(&e, E_UNSUPPORTED, "class %s has no verb that sets %s", v->cls->name, c->property->field);
    if (!rc && d->n_acts >= ACTS_MAX)
        rc = err_set(&e, E_LIMIT, "%d set points are on their way already", ACTS_MAX);
    if (rc) {
        host_acted(h, c, rc, &e);
        return;
    }
    struct act *a = calloc(1, sizeof *a + verb->in->size);
    assert(a);
    a->all = d;
    a->command = *c;
    a->next = d->acts;
    a->at = &d->acts;
    if (d->acts)
        d->acts->at = &a->next;
    d->acts = a;
    d->n_acts++;
    *(double *)(void *)(a->in + verb->in->fields[0].offset) = c->value;
    a->r = (struct device_request){.in = a->in, .done = act_done, .ctx = a};
    device_submit(d, c->object, verb->name, &a->r);
}

/* -- the dispatcher's rows -- */

static void call_finished(struct device_request *r, int rc) {
    struct call *c = r->ctx;
    if (!c) { /* ended without us, and gone */
        free(r);
        return;
    }
    if (rc)
        c->err = r->err;
    /* Documents of the answer must outlive the request. */
    const struct table *out = rc ? NULL : c->verb->out;
    for (uint32_t i = 0; out && i < out->nfields; i++)
        if (out->fields[i].type == FIELD_DOC && !out->fields[i].count_max) {
            struct doc **d = (void *)((char *)c->out + out->fields[i].offset);
            *d = *d ? doc_copy(&c->arena, *d) : NULL;
        }
    c->verb_ctx = NULL;
    c->cancel = NULL;
    free(r);
    call_done(c, rc);
}

/* The dispatcher ends the call itself now and it goes; the request comes back later, to nobody. */
static void call_cancel(struct call *c) {
    struct device_request *r = c->verb_ctx;
    c->verb_ctx = NULL;
    if (r) {
        r->ctx = NULL;
        device_cancel(r);
    }
}

static int call_device(struct call *c) {
    if (c->dry_run)
        return 0;
    struct device_request *r = calloc(1, sizeof *r);
    assert(r);
    *r = (struct device_request){.in = c->in, .out = c->out, .done = call_finished, .ctx = c};
    c->verb_ctx = r;
    c->cancel = call_cancel;
    device_submit(c->host->devices, c->object, c->verb->name, r);
    return CALL_LATER;
}

bool device_verb_is_public(const struct device_class *cls, const struct verb *v) {
    return !str_starts(v->name, "set ") && strcmp(cls->name, "executor");
}

void devices_add_verbs(struct devices *d, struct verbs *v) {
    for (size_t i = 0; d->classes[i]; i++)
        for (size_t k = 0; k < d->classes[i]->nverbs; k++) {
            struct verb row = d->classes[i]->verbs[k];
            if (!device_verb_is_public(d->classes[i], &row))
                continue;
            row.fn = call_device;
            vec_push(&d->verbs, row);
        }
    verbs_add(v, d->verbs.p, d->verbs.n);
}
