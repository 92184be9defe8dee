/* ingest → freeze → decide → arbitrate → journal → commit → act. One thread, one order. */
#include "core/cycle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

enum { GAP_US = 5000, RETRY_US = 1000000, AFTER_ALL = 1000 };

static void run(void *ctx);

void host_kick(struct host *h) {
    struct cycle *c = h->cycle;
    if (c->is_scheduled || !c->is_started)
        return;
    c->is_scheduled = true;
    if (loop_is_warping(h->loop)) {
        timer_at(h->loop, &c->timer, loop_now_us(h->loop), AFTER_ALL, run, h);
        return;
    }
    int64_t since = loop_mono_us(h->loop) - c->last_mono_us;
    timer_mono_in(h->loop, &c->timer, since >= GAP_US || since < 0 ? 0 : GAP_US - since, run, h);
}

void host_after_commit(struct host *h, void (*fn)(void *ctx), void *ctx) {
    vec_push(&h->cycle->after, (struct later){fn, ctx});
    host_kick(h);
}

void host_answer_after_commit(struct host *h, struct call *c) {
    vec_push(&h->cycle->answers, c);
    host_kick(h);
}

/* A caller is told the truth: recorded, or not. What could not be recorded stays in memory and is, with room again. */
static void answer(struct host *h, const struct err *failed) {
    struct cycle *c = h->cycle;
    __typeof__(c->answers) now = c->answers;
    memset(&c->answers, 0, sizeof c->answers);
    for (size_t i = 0; i < now.n; i++) {
        struct call *one = now.p[i];
        if (failed) {
            err_set(&one->err, E_UNAVAIL, "the change could not be recorded: %s", failed->message);
            str_copy(one->err.detail, sizeof one->err.detail, failed->detail);
            err_hint(&one->err, "it is recorded as soon as the store can be written again; look before you repeat it");
            one->rc = E_UNAVAIL;
        }
        one->answer(one, one->rc);
    }
    vec_free(&now);
}

int64_t host_journal(struct host *h, const char *kind, const char *by, const char *object, struct doc *reasons,
                     const char *format, ...) {
    struct cycle *c = h->cycle;
    if (c->rows.n >= PENDING_MAX && !store_ok(h->store, NULL)) {
        c->rows_dropped++;
        metric_series(h->metrics, &house_metrics[5], NULL)->value++;
        return 0;
    }
    struct text t = TEXT_INIT, json = TEXT_INIT;
    char message[600];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    text_add(&t, message);
    if (reasons)
        json_print(&json, reasons, 0);
    else
        text_add(&json, "");
    int64_t sequence = journal_last(h->store) + (int64_t)c->rows.n + 1;
    vec_push(&c->rows, (struct pending_row){sequence, loop_now_us(h->loop), strdup(kind), strdup(by ? by : ""),
                                            strdup(object ? object : ""), text_take(&t), text_take(&json)});
    metric_series(h->metrics, &house_metrics[4], NULL)->value = (double)c->rows.n;
    host_kick(h);
    return sequence;
}

/* -- which capabilities are due -- */

static size_t kind_index(const struct host *h, const struct kind *k) {
    size_t n = estate_kind_count(h->estate);
    for (size_t i = 0; i < n; i++)
        if (estate_kind_at(h->estate, i) == k)
            return i;
    return 127;
}

static void ingest(struct host *h) {
    struct cycle *c = h->cycle;
    struct change ch;
    const struct kind *last = NULL;
    size_t at = 0;
    int got;
    while ((got = estate_changes(h->estate, &c->cursor_watch, &ch))) {
        if (got > 0 && ch.op == CHANGE_CONDITION)
            continue; /* what was said about an object; deciding on it would answer one's own words for ever */
        if (got > 0 && ch.kind != last) {
            last = ch.kind;
            at = kind_index(h, last);
        }
        for (size_t i = 0; i < c->n_caps; i++)
            c->caps[i].due |= got < 0 || (c->caps[i].watch_mask[at / 64] >> (at % 64) & 1);
    }
}

/* -- decide and apply -- */

static void decide(struct host *h, size_t i) {
    struct cycle *c = h->cycle;
    struct cap_slot *slot = &c->caps[i];
    const struct cap *cap = h->caps[i];
    int64_t now = loop_now_us(h->loop);
    slot->due = false;
    slot->next_us = cap->period_us ? now + cap->period_us : 0;
    if (!cap->decide || slot->mode == MODE_OFF)
        return;
    char stream[96];
    snprintf(stream, sizeof stream, "%s/%llu", cap->name, (unsigned long long)c->number);
    struct rng rng = rng_fork(&h->rng, stream);
    struct view v = {.estate = h->estate, .now_us = now, .config = slot->config, .state = h->cap_state[i], .rng = &rng};
    arena_reset(&slot->arena);
    slot->plan = (struct plan){.arena = &slot->arena};
    struct err e = {0};
    int64_t begin = loop_mono_fresh_us();
    int rc = cap->decide(&v, &slot->plan, &e);
    metric_observe(&house_metrics[2], metric_series(h->metrics, &house_metrics[2], cap->name, NULL),
                   (double)(loop_mono_fresh_us() - begin) * 1e-6);
    if (rc) {
        log_err(cap->name, &e);
        return;
    }
    slot->has_plan = true;
    if (slot->plan.next_us && (!slot->next_us || slot->plan.next_us < slot->next_us))
        slot->next_us = slot->plan.next_us;
    if (slot->plan.dropped)
        metric_series(h->metrics, &house_metrics[3], cap->name, NULL)->value += slot->plan.dropped;
}

static void apply(struct host *h, size_t i) {
    struct cap_slot *slot = &h->cycle->caps[i];
    const struct cap *cap = h->caps[i];
    struct plan *p = &slot->plan;
    int64_t now = loop_now_us(h->loop);
    if (!slot->has_plan)
        return;
    const char *kind = slot->mode == MODE_ACT ? "decision" : "advice";
    for (uint32_t k = 0; k < p->n_notes; k++)
        p->notes[k].sequence =
            host_journal(h, kind, cap->name, p->notes[k].object, p->notes[k].reasons, "%s", p->notes[k].text);
    for (uint32_t k = 0; k < p->n_conditions; k++)
        if (estate_alive(h->estate, p->conditions[k].object))
            estate_condition(h->estate, p->conditions[k].object, p->conditions[k].name, p->conditions[k].severity,
                             cap->name, now, p->conditions[k].text);
    if (slot->mode != MODE_ACT)
        return;
    for (uint32_t k = 0; k < p->n_claims; k++) {
        const struct plan_claim *pc = &p->claims[k];
        if (!estate_alive(h->estate, pc->object))
            continue;
        struct claim cl = {.object = pc->object, .kind = estate_kind_of(h->estate, pc->object)->name,
                           .field = pc->field, .value = pc->value, .cls = pc->cls,
                           .by = cap->name, .order = (int)i, .until_us = now + pc->lease_us};
        struct err e = {0};
        str_copy(cl.why, sizeof cl.why, pc->why);
        if (arbiter_claim(h->arbiter, &cl, &e))
            log_err(cap->name, &e);
    }
    if (cap->apply)
        cap->apply(h, h->cap_state[i], p);
}

static void arbitrate(struct host *h) {
    struct cycle *c = h->cycle;
    if (c->n_commands)
        return; /* the last ones are still waiting for their commit */
    c->n_commands = arbiter_settle(h->arbiter, h->estate, loop_now_us(h->loop), c->commands, COMMANDS_MAX);
    for (size_t i = 0; i < c->n_commands; i++) {
        char path[ESTATE_PATH];
        estate_path(h->estate, c->commands[i].object, path);
        host_journal(h, "decision", c->commands[i].by, path, NULL, "set %s of %s to %.10g: %s",
                     c->commands[i].property->field, path, c->commands[i].value, c->commands[i].why);
    }
}

/* -- commit -- */

static uint64_t state_hash(const struct host *h, oid id) {
    return table_hash(estate_kind_of(h->estate, id)->table, estate_data(h->estate, id), 1);
}

static struct map_entry *stored(struct host *h, oid id, bool *is_new) {
    /* Keyed by id: ids are never reused. The key's bytes live in the entry's own allocation. */
    struct map_entry *e = map_get_n(&h->cycle->stored, (const char *)&id, sizeof id);
    *is_new = !e;
    if (e)
        return e;
    oid *key = malloc(sizeof *key);
    *key = id;
    return map_put_n(&h->cycle->stored, (const char *)key, sizeof *key, is_new);
}

static void forget_stored(struct host *h, oid id) {
    struct map_entry *e = map_get_n(&h->cycle->stored, (const char *)&id, sizeof id);
    if (!e)
        return;
    void *key = (void *)e->key;
    map_del_n(&h->cycle->stored, (const char *)&id, sizeof id);
    free(key);
}

void cycle_mark_stored(struct host *h, oid id) {
    bool is_new;
    stored(h, id, &is_new)->value.num = state_hash(h, id);
}

struct writing {
    struct host *h;
    bool begun;
    VEC(oid) written;
    VEC(oid) deleted;
    struct err e;
};

static int begin(struct writing *w) {
    if (w->begun)
        return 0;
    w->begun = true;
    return store_begin(w->h->store, &w->e);
}

static int write_object(struct writing *w, oid id) {
    struct host *h = w->h;
    const struct kind *k = estate_kind_of(h->estate, id);
    if (!(k->flags & KIND_DURABLE))
        return 0;
    struct map_entry *known = map_get_n(&h->cycle->stored, (const char *)&id, sizeof id);
    if (known && known->value.num == state_hash(h, id))
        return 0;
    struct arena a = ARENA_INIT;
    struct text json = TEXT_INIT;
    struct field_env env = estate_env(h->estate);
    char parent[ESTATE_PATH];
    json_print(&json, table_write(k->table, estate_data(h->estate, id), &a, &env, F_VOLATILE), 0);
    estate_path(h->estate, estate_parent(h->estate, id), parent);
    int rc = begin(w);
    if (!rc)
        rc = store_put_object(h->store, k->name, estate_name(h->estate, id), parent,
                              estate_revision_of(h->estate, id), text_str(&json), &w->e);
    vec_push(&w->written, id);
    text_free(&json);
    arena_free(&a);
    return rc;
}

/* Rows of objects that have gone while nobody read the feed. */
struct sweep {
    struct host *h;
    VEC(char *) names; /* kind, name, kind, name … */
};

static int sweep_row(void *ctx, const char *kind, const char *name, const char *parent, const char *json, struct err *e) {
    struct sweep *x = ctx;
    (void)parent;
    (void)json;
    (void)e;
    if (estate_kind(x->h->estate, kind) && !estate_find(x->h->estate, kind, name)) {
        vec_push(&x->names, strdup(kind));
        vec_push(&x->names, strdup(name));
    }
    return 0;
}

/* The feed ran over: the whole estate against the whole store. */
static int write_all(struct writing *w) {
    struct host *h = w->h;
    struct sweep x = {.h = h};
    int rc = begin(w);
    if (!rc)
        rc = store_each_object(h->store, sweep_row, &x, &w->e);
    for (size_t i = 0; i < x.names.n; i += 2) {
        if (!rc)
            rc = store_delete_object(h->store, x.names.p[i], x.names.p[i + 1], &w->e);
        free(x.names.p[i]);
        free(x.names.p[i + 1]);
    }
    vec_free(&x.names);
    for (size_t i = 0; i < h->cycle->stored.n; i++) {
        oid id;
        memcpy(&id, h->cycle->stored.entries[i].key, sizeof id);
        if (!estate_alive(h->estate, id))
            vec_push(&w->deleted, id);
    }
    for (oid id = 0; !rc && (id = estate_next(h->estate, NULL, id));)
        rc = write_object(w, id);
    return rc;
}

static int write_changes(struct writing *w, uint64_t *cursor) {
    struct host *h = w->h;
    struct change ch;
    int got, rc = 0;
    while (!rc && (got = estate_changes(h->estate, cursor, &ch))) {
        if (got < 0) {
            rc = write_all(w);
        } else if (ch.op == CHANGE_DELETE) {
            if ((ch.kind->flags & KIND_DURABLE) && !(rc = begin(w)))
                rc = store_delete_object(h->store, ch.kind->name, ch.name, &w->e);
            vec_push(&w->deleted, ch.id);
        } else if (estate_alive(h->estate, ch.id) &&
                   (ch.op == CHANGE_CREATE || estate_revision_of(h->estate, ch.id) == ch.sequence)) {
            /* At its last change; and at its creation, for the store gives parents back before children. */
            rc = write_object(w, ch.id);
        }
    }
    return rc;
}

static int write_rows(struct writing *w) {
    struct cycle *c = w->h->cycle;
    int rc = c->rows.n ? begin(w) : 0;
    for (size_t i = 0; i < c->rows.n && !rc; i++) {
        struct pending_row *p = &c->rows.p[i];
        struct journal_row r = {.time_us = p->time_us, .kind = p->kind, .by = p->by, .object = p->object,
                                .text = p->text, .json = p->json};
        rc = journal_append(w->h->store, &r, &w->e);
    }
    if (!rc && c->rows.n)
        rc = journal_prune(w->h->store, w->h->journal_keep, loop_now_us(w->h->loop), &w->e);
    return rc;
}

static void rows_free(struct cycle *c) {
    for (size_t i = 0; i < c->rows.n; i++) {
        struct pending_row *p = &c->rows.p[i];
        free(p->kind);
        free(p->by);
        free(p->object);
        free(p->text);
        free(p->json);
    }
    c->rows.n = 0;
}

static void retry(void *ctx) { host_kick(ctx); }

/* All of the cycle or nothing. On failure everything stays pending and is tried again each second. */
static bool commit(struct host *h) {
    struct cycle *c = h->cycle;
    struct writing w = {.h = h};
    uint64_t cursor = c->cursor_store;
    /* A store that failed is tried by writing, also when nothing new is there to write. */
    int rc = store_ok(h->store, NULL) ? 0 : begin(&w);
    if (!rc && w.begun)
        rc = store_put(h->store, "retried", "1", &w.e);
    if (!rc)
        rc = write_changes(&w, &cursor);
    if (!rc)
        rc = write_rows(&w);
    if (!rc && w.begun)
        rc = store_commit(h->store, &w.e);
    else if (rc && w.begun)
        store_rollback(h->store);
    if (!rc) {
        bool is_new;
        c->cursor_store = cursor;
        for (size_t i = 0; i < w.written.n; i++)
            if (estate_alive(h->estate, w.written.p[i]))
                stored(h, w.written.p[i], &is_new)->value.num = state_hash(h, w.written.p[i]);
        for (size_t i = 0; i < w.deleted.n; i++)
            forget_stored(h, w.deleted.p[i]);
        for (size_t i = 0; i < c->rows.n && c->listeners.n; i++) {
            struct arena a = ARENA_INIT;
            struct doc *d = doc_map(&a);
            doc_put_int(&a, d, "sequence", c->rows.p[i].sequence);
            doc_put_str(&a, d, "kind", c->rows.p[i].kind);
            doc_put_str(&a, d, "by", c->rows.p[i].by);
            doc_put_str(&a, d, "object", c->rows.p[i].object);
            doc_put_str(&a, d, "text", c->rows.p[i].text);
            events_send(h, "journal", d);
            arena_free(&a);
        }
        rows_free(c);
        metric_series(h->metrics, &house_metrics[4], NULL)->value = 0;
        if (c->rows_dropped)
            host_journal(h, "alarm", "store", "", NULL, "%llu rows could not be kept while the store could not be written",
                         (unsigned long long)c->rows_dropped);
        c->rows_dropped = 0;
    } else {
        log_err("store", &w.e);
        answer(h, &w.e);
        timer_mono_in(h->loop, &c->retry_timer, RETRY_US, retry, h);
    }
    vec_free(&w.written);
    vec_free(&w.deleted);
    return !rc;
}

/* -- act -- */

static void act(struct host *h) {
    struct cycle *c = h->cycle;
    answer(h, NULL);
    __typeof__(c->after) now = c->after;
    memset(&c->after, 0, sizeof c->after);
    for (size_t i = 0; i < now.n; i++)
        now.p[i].fn(now.p[i].ctx);
    vec_free(&now);
    size_t n = c->n_commands;
    c->n_commands = 0;
    for (size_t i = 0; i < n; i++)
        if (h->act)
            h->act(h, &c->commands[i]);
    for (size_t i = 0; i < c->n_caps; i++) {
        struct cap_slot *slot = &c->caps[i];
        if (slot->has_plan && slot->mode == MODE_ACT && h->caps[i]->act)
            h->caps[i]->act(h, h->cap_state[i], &slot->plan);
        slot->has_plan = false;
    }
}

static void schedule_next(struct host *h) {
    struct cycle *c = h->cycle;
    int64_t next = 0;
    for (size_t i = 0; i < c->n_caps; i++)
        if (c->caps[i].mode != MODE_OFF && c->caps[i].next_us && (!next || c->caps[i].next_us < next))
            next = c->caps[i].next_us;
    int64_t lease = arbiter_next_us(h->arbiter);
    if (lease && (!next || lease < next))
        next = lease;
    if (next)
        timer_at(h->loop, &c->due_timer, next, 0, (timer_fn *)host_kick, h);
    /* While the store is failing the retry timer alone wakes us. */
    if (store_ok(h->store, NULL) &&
        (c->cursor_watch != estate_sequence(h->estate) || c->rows.n || c->after.n || c->answers.n))
        host_kick(h);
}

void host_cycle(struct host *h) {
    struct cycle *c = h->cycle;
    if (c->is_running)
        return;
    c->is_running = true;
    timer_cancel(h->loop, &c->timer);
    c->is_scheduled = false;
    c->number++;
    c->last_mono_us = loop_mono_us(h->loop);
    int64_t now = loop_now_us(h->loop);
    /* While the store is failing nothing new is decided: it could not be journaled. */
    if (store_ok(h->store, NULL)) {
        ingest(h);
        for (size_t i = 0; i < c->n_caps; i++)
            if (c->caps[i].due || (c->caps[i].next_us && c->caps[i].next_us <= now))
                decide(h, i);
        for (size_t i = 0; i < c->n_caps; i++)
            apply(h, i);
        arbitrate(h);
    }
    if (commit(h))
        act(h);
    bool is_more = events_changes(h);
    c->is_running = false;
    schedule_next(h);
    if (is_more)
        host_kick(h);
}

static void run(void *ctx) { host_cycle(ctx); }

void cycle_init(struct host *h) {
    struct cycle *c = h->cycle = calloc(1, sizeof *c);
    for (size_t i = 0; h->caps && h->caps[i] && i < CAPS_MAX; i++) {
        struct cap_slot *slot = &c->caps[c->n_caps++];
        slot->mode = h->caps[i]->mode;
        slot->due = true;
        for (size_t k = 0; h->caps[i]->watches && h->caps[i]->watches[k]; k++) {
            const struct kind *kind = estate_kind(h->estate, h->caps[i]->watches[k]);
            size_t at = kind ? kind_index(h, kind) : 127;
            slot->watch_mask[at / 64] |= 1ull << (at % 64);
        }
        if (h->caps[i]->config) {
            slot->config = calloc(1, h->caps[i]->config->size);
            table_defaults(h->caps[i]->config, slot->config);
        }
    }
}

void cycle_start(struct host *h) {
    h->cycle->is_started = true;
    h->cycle->last_mono_us = loop_mono_us(h->loop) - GAP_US;
    host_kick(h);
}

void cycle_free(struct host *h) {
    struct cycle *c = h->cycle;
    if (!c)
        return;
    timer_cancel(h->loop, &c->timer);
    timer_cancel(h->loop, &c->due_timer);
    timer_cancel(h->loop, &c->retry_timer);
    rows_free(c);
    vec_free(&c->rows);
    vec_free(&c->after);
    vec_free(&c->answers);
    vec_free(&c->listeners);
    for (size_t i = 0; i < c->n_caps; i++) {
        arena_free(&c->caps[i].arena);
        free(c->caps[i].config);
    }
    for (size_t i = 0; i < c->stored.n; i++)
        free((void *)c->stored.entries[i].key);
    map_free(&c->stored);
    free(c);
    h->cycle = NULL;
}
