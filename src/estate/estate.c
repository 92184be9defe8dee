/* The graph: objects, names, lists. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "estate/graph.h"

const char *const severity_words[] = {"info", "notice", "warning", "error", "critical", NULL};

struct estate *estate_new(const struct kind *const *kinds, size_t nkinds) {
    struct estate *s = calloc(1, sizeof *s);
    assert(s && nkinds <= ESTATE_KINDS_MAX);
    for (size_t i = 0; i < nkinds; i++) {
        s->kinds[i].kind = kinds[i];
        const struct field *f = table_find(kinds[i]->table, "state");
        s->kinds[i].machine.state = kinds[i]->states && f && f->type == FIELD_ENUM ? f : NULL;
    }
    s->n_kinds = nkinds;
    return s;
}

void estate_free(struct estate *s) {
    if (!s)
        return;
    for (size_t p = 0; p < s->n_pages; p++) {
        for (size_t i = 0; s->pages[p] && i < PAGE; i++) {
            free(s->pages[p][i].data);
            free(s->pages[p][i].conditions);
        }
        free(s->pages[p]);
    }
    for (size_t i = 0; i < s->n_kinds; i++)
        map_free(&s->kinds[i].by_name);
    for (size_t i = 0; i < HISTORY; i++) {
        for (size_t k = 0; k < s->past[i].n_ops; k++)
            free(s->past[i].ops[k].before);
        free(s->past[i].ops);
    }
    free(s->pages);
    free(s->alive_in_page);
    free(s);
}

size_t estate_kind_count(const struct estate *s) { return s->n_kinds; }
const struct kind *estate_kind_at(const struct estate *s, size_t i) { return s->kinds[i].kind; }

struct kind_list *graph_kind(const struct estate *s, const char *name) {
    for (size_t i = 0; i < s->n_kinds; i++)
        if (!strcmp(s->kinds[i].kind->name, name))
            return (struct kind_list *)&s->kinds[i];
    return NULL;
}

const struct kind *estate_kind(const struct estate *s, const char *name) {
    const struct kind_list *k = graph_kind(s, name);
    return k ? k->kind : NULL;
}

int estate_kind_find(const struct estate *s, const char *name, const struct kind **out, struct err *e) {
    if ((*out = estate_kind(s, name)))
        return 0;
    const char *names[ESTATE_KINDS_MAX];
    for (size_t i = 0; i < s->n_kinds; i++)
        names[i] = s->kinds[i].kind->name;
    err_set(e, E_NOTFOUND, "there is no kind '%.64s'", name);
    const char *near = str_nearest(name, names, s->n_kinds);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    return E_NOTFOUND;
}

struct object *graph_object(const struct estate *s, oid id) {
    if (!id || id > s->last_id)
        return NULL;
    struct object *page = s->pages[(id - 1) / PAGE];
    struct object *o = page ? &page[(id - 1) % PAGE] : NULL;
    return o && o->kind ? o : NULL;
}

oid estate_find(const struct estate *s, const char *kind, const char *name) {
    const struct kind_list *k = graph_kind(s, kind);
    const struct object *o = k ? map_ptr(&k->by_name, name) : NULL;
    return o ? o->id : 0;
}

int estate_lookup(const struct estate *s, const char *kind, const char *name, oid *out, struct err *e) {
    const struct kind *k;
    int rc = estate_kind_find(s, kind, &k, e);
    if (rc)
        return rc;
    if ((*out = estate_find(s, kind, name)))
        return 0;
    err_set(e, E_NOTFOUND, "there is no %s '%.64s'", kind, name);
    const char *names[512];
    size_t n = 0;
    for (const struct object *o = graph_kind(s, kind)->first; o && n < 512; o = o->kind_next)
        names[n++] = o->name;
    const char *near = str_nearest(name, names, n);
    if (near)
        err_hint(e, "did you mean '%s'?", near);
    else
        err_hint(e, "suan %s list shows them", kind);
    return E_NOTFOUND;
}

int estate_lookup_path(const struct estate *s, const char *path, oid *out, struct err *e) {
    char kind[ESTATE_NAME];
    const char *slash = strchr(path, '/');
    *out = 0;
    if (!slash || (size_t)(slash - path) >= sizeof kind)
        return err_set(e, E_INVAL, "'%.96s' is not kind/name", path);
    memcpy(kind, path, (size_t)(slash - path));
    kind[slash - path] = '\0';
    return estate_lookup(s, kind, slash + 1, out, e);
}

bool estate_alive(const struct estate *s, oid id) { return graph_object(s, id) != NULL; }

static struct object *must(const struct estate *s, oid id) {
    struct object *o = graph_object(s, id);
    assert(o && "a stale id was used");
    return o;
}

const struct kind *estate_kind_of(const struct estate *s, oid id) {
    const struct object *o = graph_object(s, id);
    return o ? o->kind : NULL;
}

const char *estate_name(const struct estate *s, oid id) {
    const struct object *o = graph_object(s, id);
    return o ? o->name : "";
}

void estate_path(const struct estate *s, oid id, char out[ESTATE_PATH]) {
    const struct object *o = graph_object(s, id);
    if (o)
        snprintf(out, ESTATE_PATH, "%.30s/%s", o->kind->name, o->name);
    else
        out[0] = '\0';
}

oid estate_parent(const struct estate *s, oid id) {
    const struct object *o = graph_object(s, id);
    return o && o->parent ? o->parent->id : 0;
}

oid estate_ancestor(const struct estate *s, oid id, const char *kind) {
    for (const struct object *o = graph_object(s, id); o; o = o->parent)
        if (!strcmp(o->kind->name, kind))
            return o->id;
    return 0;
}

uint64_t estate_revision_of(const struct estate *s, oid id) { return must(s, id)->sequence; }
const void *estate_data(const struct estate *s, oid id) { return must(s, id)->data; }

const void *estate_data_of(const struct estate *s, oid id, const char *kind) {
    const struct object *o = must(s, id);
    assert(!strcmp(o->kind->name, kind) && "an id of another kind was used");
    return o->data;
}

size_t estate_count(const struct estate *s, const char *kind) {
    const struct kind_list *k = kind ? graph_kind(s, kind) : NULL;
    return kind ? (k ? k->n : 0) : s->n_objects;
}

oid estate_next(const struct estate *s, const char *kind, oid after) {
    if (!kind) {
        while (++after <= s->last_id)
            if (graph_object(s, after))
                return after;
        return 0;
    }
    const struct object *o = NULL;
    if (after) {
        const struct object *last = graph_object(s, after);
        assert(last && "iterating over an object that has gone");
        o = last->kind_next;
    } else {
        const struct kind_list *k = graph_kind(s, kind);
        o = k ? k->first : NULL;
    }
    return o ? o->id : 0;
}

oid estate_child(const struct estate *s, oid parent, const char *kind, oid after) {
    const struct object *o = after ? must(s, after)->sibling_next : must(s, parent)->first_child;
    while (o && kind && strcmp(o->kind->name, kind))
        o = o->sibling_next;
    return o ? o->id : 0;
}

/* -- references -- */

static int resolve(void *ctx, const char *kind, const char *name, oid *out, struct err *e) {
    return strcmp(kind, "*") ? estate_lookup(ctx, kind, name, out, e) : estate_lookup_path(ctx, name, out, e);
}

static const char *name_of(void *ctx, oid id) {
    const struct object *o = graph_object(ctx, id);
    return o ? o->name : NULL;
}

struct field_env estate_env(const struct estate *s) { return (struct field_env){resolve, name_of, (void *)s}; }

/* -- lists -- */

void graph_relink(struct estate *s, struct object *o, const struct kind *kind) {
    struct kind_list *k = graph_kind(s, kind->name);
    o->kind = kind;
    bool is_new;
    map_put(&k->by_name, o->name, &is_new)->value.ptr = o;
    assert(is_new);
    /* Back to its place: lists are in id order. */
    struct object *after = k->last;
    while (after && after->id > o->id)
        after = after->kind_prev;
    o->kind_prev = after;
    o->kind_next = after ? after->kind_next : k->first;
    *(after ? &after->kind_next : &k->first) = o;
    *(o->kind_next ? &o->kind_next->kind_prev : &k->last) = o;
    k->n++;
    s->n_objects++;
    struct object *p = o->parent;
    if (!p)
        return;
    after = p->last_child;
    while (after && after->id > o->id)
        after = after->sibling_prev;
    o->sibling_prev = after;
    o->sibling_next = after ? after->sibling_next : p->first_child;
    *(after ? &after->sibling_next : &p->first_child) = o;
    *(o->sibling_next ? &o->sibling_next->sibling_prev : &p->last_child) = o;
}

void graph_unlink(struct estate *s, struct object *o) {
    struct kind_list *k = graph_kind(s, o->kind->name);
    map_del(&k->by_name, o->name);
    *(o->kind_prev ? &o->kind_prev->kind_next : &k->first) = o->kind_next;
    *(o->kind_next ? &o->kind_next->kind_prev : &k->last) = o->kind_prev;
    struct object *p = o->parent;
    if (p) {
        *(o->sibling_prev ? &o->sibling_prev->sibling_next : &p->first_child) = o->sibling_next;
        *(o->sibling_next ? &o->sibling_next->sibling_prev : &p->last_child) = o->sibling_prev;
    }
    k->n--;
    s->n_objects--;
    o->kind = NULL;
}

struct object *graph_insert(struct estate *s, const struct kind *kind, const char *name, struct object *parent) {
    uint64_t id = ++s->last_id;
    size_t page = (id - 1) / PAGE;
    if (page == s->n_pages) {
        if (s->n_pages == s->cap_pages) {
            size_t cap = s->cap_pages;
            s->pages = vec_grow_bytes(s->pages, &s->cap_pages, page + 1, sizeof *s->pages);
            s->alive_in_page = vec_grow_bytes(s->alive_in_page, &cap, s->cap_pages, sizeof *s->alive_in_page);
        }
        s->pages[page] = calloc(PAGE, sizeof **s->pages);
        s->alive_in_page[page] = 0;
        s->n_pages++;
    }
    struct object *o = &s->pages[page][(id - 1) % PAGE];
    s->alive_in_page[page]++;
    o->id = id;
    o->parent = parent;
    str_copy(o->name, sizeof o->name, name);
    o->data = calloc(1, kind->table->size);
    assert(o->data);
    graph_relink(s, o, kind);
    return o;
}

void graph_free(struct estate *s, struct object *o) {
    size_t page = (o->id - 1) / PAGE;
    bool last_of_full_page = !--s->alive_in_page[page] && s->last_id >= (page + 1) * PAGE;
    free(o->data);
    free(o->conditions);
    memset(o, 0, sizeof *o);
    if (last_of_full_page) {
        free(s->pages[page]);
        s->pages[page] = NULL;
    }
}

/* -- observe -- */

void *estate_touch(struct estate *s, oid id) {
    struct object *o = must(s, id);
    feed_add(s, CHANGE_STATE, o, o->kind, 0);
    return o->data;
}

void *estate_touch_of(struct estate *s, oid id, const char *kind) {
    estate_data_of(s, id, kind);
    return estate_touch(s, id);
}

int estate_move(struct estate *s, oid id, int to, struct err *e) {
    struct object *o = must(s, id);
    const struct field *f = graph_kind(s, o->kind->name)->machine.state;
    assert(f && "this kind has no state machine");
    int *state = (int *)((char *)o->data + f->offset);
    int rc = machine_check(o->kind->states, *state, to, e);
    if (rc) {
        if (e)
            snprintf(e->place, sizeof e->place, "%s/%s", o->kind->name, o->name);
        return rc;
    }
    *state = to;
    feed_add(s, CHANGE_STATE, o, o->kind, 0);
    return 0;
}

bool estate_condition(struct estate *s, oid id, const char *name, enum severity sev, const char *by, int64_t now_us,
                      const char *text) {
    struct object *o = must(s, id);
    uint32_t i = 0;
    while (i < o->n_conditions && strcmp(o->conditions[i].name, name))
        i++;
    if (!text) {
        if (i == o->n_conditions)
            return false;
        memmove(&o->conditions[i], &o->conditions[i + 1], (o->n_conditions - i - 1) * sizeof *o->conditions);
        o->n_conditions--;
        feed_add(s, CHANGE_CONDITION, o, o->kind, 0);
        return true;
    }
    if (!o->conditions)
        o->conditions = calloc(CONDITIONS, sizeof *o->conditions);
    bool is_new = i == o->n_conditions;
    if (is_new && o->n_conditions == CONDITIONS) {
        /* The mildest makes room, so that the worst is never hidden. */
        i = 0;
        for (uint32_t k = 1; k < CONDITIONS; k++)
            if (o->conditions[k].severity < o->conditions[i].severity)
                i = k;
        if (o->conditions[i].severity >= sev)
            return false;
    } else if (is_new) {
        o->n_conditions++;
    }
    struct condition *c = &o->conditions[i];
    if (!is_new && c->severity == sev && !strncmp(c->text, text, sizeof c->text - 1))
        return false;
    if (is_new) {
        str_copy(c->name, sizeof c->name, name);
        c->since_us = now_us;
    }
    c->severity = sev;
    str_copy(c->by, sizeof c->by, by);
    str_copy(c->text, sizeof c->text, text);
    feed_add(s, CHANGE_CONDITION, o, o->kind, 0);
    return true;
}

size_t estate_conditions(const struct estate *s, oid id, const struct condition **out) {
    const struct object *o = must(s, id);
    *out = o->conditions;
    return o->n_conditions;
}

uint64_t estate_revision(const struct estate *s) { return s->revision; }
