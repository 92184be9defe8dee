/* Events: what happened, to whoever listens. A listener that is slow is the listener's matter (HTTP drops it). */
#include <stdlib.h>
#include <string.h>

#include "core/cycle.h"

uint64_t host_subscribe(struct host *h, event_fn *fn, void *ctx) {
    struct cycle *c = h->cycle;
    vec_push(&c->listeners, (struct listener){++c->last_listener, fn, ctx});
    return c->last_listener;
}

void host_unsubscribe(struct host *h, uint64_t id) {
    struct cycle *c = h->cycle;
    for (size_t i = 0; i < c->listeners.n; i++)
        if (c->listeners.p[i].id == id)
            c->listeners.p[i].fn = NULL; /* swept later: a listener may leave while being called */
}

void events_send(struct host *h, const char *event, const struct doc *data) {
    struct cycle *c = h->cycle;
    for (size_t i = 0; i < c->listeners.n; i++)
        if (c->listeners.p[i].fn)
            c->listeners.p[i].fn(c->listeners.p[i].ctx, event, data);
    size_t kept = 0;
    for (size_t i = 0; i < c->listeners.n; i++)
        if (c->listeners.p[i].fn)
            c->listeners.p[kept++] = c->listeners.p[i];
    c->listeners.n = kept;
}

void host_event(struct host *h, const char *name, enum severity sev, const char *object, struct doc *fields,
                const char *text) {
    struct arena a = ARENA_INIT;
    struct doc *d = doc_map(&a);
    doc_put_str(&a, d, "name", name);
    doc_put_str(&a, d, "severity", severity_words[sev]);
    doc_put_str(&a, d, "object", object ? object : "");
    doc_put_str(&a, d, "text", text ? text : "");
    if (fields)
        doc_put(d, "fields", doc_copy(&a, fields));
    host_journal(h, "event", name, object, d, "%s: %s", name, text ? text : "");
    if (h->cycle->listeners.n)
        events_send(h, "event", d);
    arena_free(&a);
}

static struct doc *change_doc(struct host *h, const struct change *ch, struct arena *a) {
    static const char *const ops[] = {"create", "config", "state", "condition", "delete"};
    struct doc *d = doc_map(a);
    doc_put_str(a, d, "op", ops[ch->op]);
    doc_put_str(a, d, "kind", ch->kind->name);
    doc_put_str(a, d, "path", arena_printf(a, "%s/%s", ch->kind->name, ch->name));
    doc_put_int(a, d, "revision", (int64_t)ch->sequence);
    if (ch->op != CHANGE_DELETE && estate_alive(h->estate, ch->id))
        doc_put(d, "object", estate_object_doc(h->estate, ch->id, a));
    return d;
}

/* Whether the object has changed again since: then only the last of its changes is told, with the object as it is. A
 * creation is told in any case. */
static bool is_stale(const struct host *h, const struct change *ch) {
    return (ch->op == CHANGE_STATE || ch->op == CHANGE_CONDITION) && estate_alive(h->estate, ch->id) &&
           estate_revision_of(h->estate, ch->id) > ch->sequence;
}

bool host_replay(struct host *h, uint64_t after, size_t most, event_fn *fn, void *ctx) {
    uint64_t cursor = after, until = h->cycle->cursor_events;
    struct change ch;
    struct arena a = ARENA_INIT;
    bool good = after <= until;
    while (good && cursor < until) {
        int got = estate_changes(h->estate, &cursor, &ch);
        good = got > 0 && most-- > 0;
        if (good && !is_stale(h, &ch))
            fn(ctx, "change", change_doc(h, &ch, &a));
    }
    arena_free(&a);
    return good;
}

/* Changes since the last call, to the listeners; at most so many a cycle, so that telling does not hold up deciding.
 * Returns whether more are waiting. */
bool events_changes(struct host *h) {
    enum { MOST = 2000 };
    struct cycle *c = h->cycle;
    if (!c->listeners.n) {
        c->cursor_events = estate_sequence(h->estate);
        return false;
    }
    struct change ch;
    int got = 0;
    struct arena a = ARENA_INIT;
    for (size_t n = 0; n < MOST && (got = estate_changes(h->estate, &c->cursor_events, &ch));) {
        if (got > 0 && is_stale(h, &ch))
            continue;
        events_send(h, got < 0 ? "resync" : "change", got < 0 ? doc_map(&a) : change_doc(h, &ch, &a));
        n++;
        if (a.used_bytes > 4u << 20)
            arena_reset(&a);
    }
    arena_free(&a);
    return got != 0;
}
