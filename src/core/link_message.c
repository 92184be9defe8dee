/* The three shapes of a JSON message on a link: call, reply, event. */
#include <string.h>

#include "core/link.h"

static int code_of(const char *name) {
    for (int code = E_INTERNAL; code < 0; code++)
        if (!strcmp(err_name(code), name))
            return code;
    return E_INTERNAL; /* a newer peer's word */
}

static void err_read(const struct doc *d, struct err *e) {
    err_set(e, code_of(doc_get_str(d, "code", "")), "%s", doc_get_str(d, "message", "it gave no reason"));
    str_copy(e->detail, sizeof e->detail, doc_get_str(d, "detail", ""));
    str_copy(e->hint, sizeof e->hint, doc_get_str(d, "hint", ""));
    str_copy(e->place, sizeof e->place, doc_get_str(d, "place", ""));
}

static int number_read(const struct doc *n, struct link_message *m, struct err *e) {
    if (n->type != DOC_INT || n->integer <= 0)
        return err_set(e, E_INVAL, "a message's number must be a positive integer");
    m->number = (uint64_t)n->integer;
    return 0;
}

static int name_read(const struct doc *name, struct link_message *m, struct err *e) {
    if (!name || name->type != DOC_STR || !name->str.n || strlen(name->str.p) != name->str.n)
        return err_set(e, E_INVAL, "a message's verb or event must be a word");
    m->name = name->str.p;
    return 0;
}

int link_message_read(const struct doc *d, struct link_message *m, struct err *e) {
    const struct doc *n;
    int rc;
    memset(m, 0, sizeof *m);
    if (d->type != DOC_MAP)
        return err_set(e, E_INVAL, "a message must be a map");
    if ((n = doc_get(d, "call"))) {
        m->kind = LINK_CALL;
        m->body = doc_get(d, "in");
        rc = number_read(n, m, e);
        return rc ? rc : name_read(doc_get(d, "verb"), m, e);
    }
    if ((n = doc_get(d, "reply"))) {
        const struct doc *err = doc_get(d, "err");
        m->kind = LINK_REPLY;
        m->body = doc_get(d, "out");
        if (err && err->type != DOC_MAP)
            return err_set(e, E_INVAL, "a reply's err must be a map");
        if (err)
            err_read(err, &m->err);
        return number_read(n, m, e);
    }
    m->kind = LINK_EVENT;
    m->body = doc_get(d, "data");
    if (!(n = doc_get(d, "event")))
        return err_set(e, E_INVAL, "a message must be a call, a reply or an event");
    return name_read(n, m, e);
}

static int send_with(struct wire_link *l, struct arena *a, struct doc *d, const char *key, struct doc *body,
                     struct err *e) {
    if (body)
        doc_put(d, key, body);
    int rc = link_send(l, d, e);
    arena_free(a);
    return rc;
}

int link_call(struct wire_link *l, uint64_t number, const char *verb, struct doc *in, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d = doc_map(&a);
    doc_put_int(&a, d, "call", (int64_t)number);
    doc_put_str(&a, d, "verb", verb);
    return send_with(l, &a, d, "in", in, e);
}

int link_reply(struct wire_link *l, uint64_t number, int rc, struct doc *out, const struct err *why, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d = doc_map(&a), *err = NULL;
    doc_put_int(&a, d, "reply", (int64_t)number);
    if (rc < 0) {
        err = doc_map(&a);
        doc_put_str(&a, err, "code", err_name(rc));
        doc_put_str(&a, err, "message", why && *why->message ? why->message : err_name(rc));
        if (why && *why->detail)
            doc_put_str(&a, err, "detail", why->detail);
        if (why && *why->hint)
            doc_put_str(&a, err, "hint", why->hint);
        if (why && *why->place)
            doc_put_str(&a, err, "place", why->place);
    }
    return send_with(l, &a, d, rc < 0 ? "err" : "out", rc < 0 ? err : out, e);
}

int link_event(struct wire_link *l, const char *name, struct doc *data, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d = doc_map(&a);
    doc_put_str(&a, d, "event", name);
    return send_with(l, &a, d, "data", data, e);
}
