/* Content out: pieces for peers who ask. One piece at a time a link, as fast as the peer reads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "plane/agent/blob_private.h"

enum { FRAME = 1 << 16, PIECE_MOST = 1 << 20, CONNS_MAX = 1024 };

static void answer(struct blob_conn *c, uint64_t number, int64_t size, const struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *out = doc_map(&a);
    doc_put_int(&a, out, "size", size);
    link_reply(c->link, number, e->code, out, e, NULL);
    arena_free(&a);
}

static void send_over(struct blob_conn *c) {
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->first = (c->first + 1) % SENDS_MAX;
    c->n--;
}

/* One frame of the first piece; false: the piece is over. */
static bool send_frame(struct blob_conn *c, struct send *s, struct content *here, struct err *e) {
    char buffer[FRAME];
    int64_t end = s->end < here->size ? s->end : here->size;
    size_t want = end - s->at > FRAME ? FRAME : end > s->at ? (size_t)(end - s->at) : 0;
    ssize_t n = want ? pread(c->fd, buffer, want, s->at) : 0;
    if (n < 0 || (want && !n)) {
        err_set(e, E_IO, "cannot read the content");
        return false;
    }
    if (n && link_send_bytes(c->link, s->number, buffer, (size_t)n, e))
        return false;
    s->at += n;
    return s->at < end;
}

static void send_more(struct blob_conn *c) {
    while (c->n && link_queued(c->link) < LINK_QUEUE_LOW) {
        struct send *s = &c->sends[c->first];
        struct content *here = content_find(c->owner, s->hex);
        struct err e = {0};
        if (here && c->fd < 0) {
            content_use(c->owner, here);
            c->fd = content_open(c->owner, here);
        }
        if (!here || c->fd < 0)
            err_set(&e, E_NOTFOUND, "content sha256:%s is not here", s->hex);
        else if (send_frame(c, s, here, &e))
            continue;
        answer(c, s->number, here ? here->size : 0, &e);
        send_over(c);
    }
}

static int asked(struct blob_conn *c, const struct link_message *m, struct err *e) {
    int64_t offset = doc_get_int(m->body, "offset", -1), length = doc_get_int(m->body, "length", -1);
    struct send *s = &c->sends[(c->first + c->n) % SENDS_MAX];
    if (strcmp(m->name, "blob"))
        return err_set(e, E_UNSUPPORTED, "between agents there is no verb '%.40s'", m->name);
    if (c->n == SENDS_MAX)
        return err_set(e, E_LIMIT, "%d pieces are asked for already", SENDS_MAX);
    if (offset < 0 || length < 0 || length > PIECE_MOST)
        return err_set(e, E_INVAL, "a piece has an offset, and a length of at most %d bytes", PIECE_MOST);
    int rc = digest_hex(doc_get_str(m->body, "digest", ""), s->hex, e);
    if (rc)
        return rc;
    s->number = m->number;
    s->at = offset;
    s->end = offset + length;
    c->n++;
    return 0;
}

static void on_message(void *ctx, struct wire_link *l, struct doc *d, struct arena *a) {
    struct blob_conn *c = ctx;
    struct link_message m;
    struct err e = {0};
    (void)a;
    if (link_message_read(d, &m, &e) || m.kind != LINK_CALL) {
        log_warn("content", "%s: %s", link_peer(l), *e.message ? e.message : "it answers what nobody asked");
        link_close(l);
    } else if (asked(c, &m, &e)) {
        answer(c, m.number, 0, &e);
    } else {
        send_more(c);
    }
}

static void on_drained(void *ctx, struct wire_link *l) {
    (void)l;
    send_more(ctx);
}

static void on_bytes(void *ctx, struct wire_link *l, uint64_t stream, const void *p, size_t n) {
    (void)ctx, (void)stream, (void)p, (void)n;
    link_close(l); /* nobody sends us what we did not ask for */
}

static void on_opened(void *ctx, struct wire_link *l, const char *peer, const char *fingerprint) {
    struct blobs *b = ctx;
    size_t n = 0;
    (void)fingerprint;
    for (struct blob_conn *c = b->conns; c; c = c->next)
        n++;
    if (!str_starts(peer, "agent/") || n >= CONNS_MAX) {
        log_warn("content", "refused '%s', who wants content: %s", peer,
                 n >= CONNS_MAX ? "too many are connected" : "only agents may");
        link_close(l);
        return;
    }
    struct blob_conn *c = calloc(1, sizeof *c);
    c->owner = b;
    c->link = l;
    c->fd = -1;
    c->next = b->conns;
    c->at = &b->conns;
    if (c->next)
        c->next->at = &c->next;
    b->conns = c;
    link_set_ctx(l, c);
}

static void on_closed(void *ctx, struct wire_link *l, const struct err *why) {
    struct blob_conn *c = ctx;
    (void)l;
    if ((void *)c->owner == ctx) { /* the store: it was never let in */
        log_debug("content", "a connection for content ended: %s", why->message);
        return;
    }
    if (c->fd >= 0)
        close(c->fd);
    *c->at = c->next;
    if (c->next)
        c->next->at = c->at;
    free(c);
}

static const struct link_handler handler = {
    .opened = on_opened, .message = on_message, .bytes = on_bytes, .closed = on_closed, .drained = on_drained};

int blob_listen(struct agent_state *a, struct err *e) {
    struct blobs *b = a->blobs;
    const struct agent_config *c = a->config;
    struct link_identity *fresh;
    int rc = link_identity_load(c->cert, c->key, c->ca, &fresh, e);
    if (rc)
        return rc;
    if (b->listener)
        link_listener_identity(b->listener, fresh);
    else
        rc = link_listen(a->loop, c->address, 0, fresh, &handler, b, &b->listener, e);
    link_identity_free(rc ? fresh : b->id);
    if (!rc)
        b->id = fresh;
    return rc;
}

void blob_address(struct agent_state *a, char out[64]) {
    const struct blobs *b = a->blobs;
    out[0] = 0;
    if (b->listener)
        snprintf(out, 64, "%.50s:%d", a->config->address, link_listener_port(b->listener));
}

void sends_close(struct blobs *b) {
    link_listener_free(b->listener);
    while (b->conns)
        link_close(b->conns->link);
    link_identity_free(b->id);
}
