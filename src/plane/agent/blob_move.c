/* Content between agents, over links of their own: whoever needs it pulls it, piece by piece.
 *
 *   fetcher:  {"call":7,"verb":"blob","in":{"digest":"sha256:…","offset":0,"length":1048576}}
 *   holder:   byte frames of stream 7, then {"reply":7,"out":{"size":…}} (of the whole content)
 *
 * The fetcher decides when the next piece is asked for, which is the flow control, and where the wide area's twin
 * lies: a fetch begins one round trip late, and its pieces together never exceed the link's bandwidth, whichever
 * fetches from that peer they belong to. One fetch a digest, shared by all who wait for it. A broken connection is
 * tried again from where it broke; content that is not what its digest says is thrown away. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/pki.h"
#include "plane/agent/blob_private.h"

enum {
    PIECE_MOST = 1 << 20, PIECE_LEAST = 4096,
    TRIES = 6, RETRY_FIRST_US = 200000, RETRY_MOST_US = 5000000, ANSWER_US = 15000000, IDLE_US = 30000000,
    PACE_STEP_US = 20000, PACE_CREDIT_US = 5000, FETCHES_MAX = 4096,
};

struct waiter {
    struct blobs *b; /* NULL: the store has gone */
    struct fetch *fetch; /* NULL: its result is on the way */
    fetched_fn *fn;  /* NULL: cancelled */
    void *ctx;
    int rc;
    double moved_bytes;
    struct err err;
    struct waiter *next, **at;
};

struct blob_peer {
    struct blobs *b;
    char address[64], name[64];
    struct wire_link *link;
    bool is_open;
    int64_t free_us; /* mono: when the wide area has carried what was asked for */
    struct timer idle;
    struct blob_peer *next, **at;
};

struct fetch {
    struct blobs *b;
    struct blob_peer *peer;
    char hex[BLOB_HEX], digest[72], part[BLOB_PATH];
    int fd;
    int64_t have, size; /* size -1 until a reply has said it */
    int64_t expected;   /* by the asker; 0 = not known */
    double bps;
    EVP_MD_CTX *hash;
    uint64_t number;    /* of the piece under way; 0 = none */
    int64_t asked, got, due_us; /* of that piece; mono time before which it cannot have arrived */
    int tries;
    double moved_bytes;
    struct timer timer;
    struct fetch *next, **at;
};

/* Into and out of a list whose members know what points at them. */
#define LINK_IN(list, x) ((x)->next = (list), (x)->at = &(list), (x)->next ? ((x)->next->at = &(x)->next) : 0, (list) = (x))
#define LINK_OUT(x) (*(x)->at = (x)->next, (x)->next ? ((x)->next->at = (x)->at) : 0)

static void fetch_next(void *ctx);

/* -- waiters -- */

static void deliver(void *ctx) {
    struct waiter *w = ctx;
    if (w->b)
        LINK_OUT(w);
    if (w->fn)
        w->fn(w->ctx, w->rc, w->moved_bytes, &w->err);
    free(w);
}

static void waiter_end(struct waiter *w, int rc, double moved_bytes, const struct err *e) {
    w->fetch = NULL;
    w->rc = rc;
    w->moved_bytes = moved_bytes;
    if (rc && e)
        w->err = *e;
    loop_defer(w->b->a->loop, deliver, w);
}

static void fetch_free(struct fetch *f) {
    timer_cancel(f->b->a->loop, &f->timer);
    if (f->fd >= 0)
        part_drop(f->fd, f->part);
    EVP_MD_CTX_free(f->hash);
    LINK_OUT(f);
    free(f);
}

/* Who waited first has moved it; for the others it was here. */
static void fetch_end(struct fetch *f, int rc, const struct err *e) {
    struct waiter *first = NULL;
    for (struct waiter *w = f->b->waiters; w; w = w->next)
        if (w->fetch == f)
            first = w; /* the list's newest stands in front */
    for (struct waiter *w = f->b->waiters; w; w = w->next)
        if (w->fetch == f)
            waiter_end(w, rc, w == first ? f->moved_bytes : 0, e);
    fetch_free(f);
}

/* -- the peer's link -- */

static void fetch_retry(struct fetch *f, const struct err *why) {
    struct loop *l = f->b->a->loop;
    uint32_t spread = 0;
    f->number = 0;
    if (++f->tries >= TRIES) {
        struct err e = *why;
        err_context(&e, "%s from %s after %d tries", f->digest, f->peer->name, f->tries);
        fetch_end(f, e.code, &e);
        return;
    }
    int64_t wait = (int64_t)RETRY_FIRST_US << (f->tries - 1);
    wait = wait > RETRY_MOST_US ? RETRY_MOST_US : wait;
    random_bytes(&spread, sizeof spread, NULL);
    timer_mono_in(l, &f->timer, wait / 2 + (int64_t)(spread % 1024) * (wait / 2) / 1024, fetch_next, f);
}

static void on_opened(void *ctx, struct wire_link *l, const char *name, const char *fingerprint) {
    struct blob_peer *p = ctx;
    (void)l, (void)name, (void)fingerprint;
    p->is_open = true;
    for (struct fetch *f = p->b->fetches, *next; f; f = next) {
        next = f->next;
        if (f->peer == p && !f->number && !timer_is_set(&f->timer))
            fetch_next(f);
    }
}

static void on_closed(void *ctx, struct wire_link *l, const struct err *why) {
    struct blob_peer *p = ctx;
    struct err e = *why;
    (void)l;
    p->link = NULL;
    p->is_open = false;
    if (e.code == E_CANCELLED)
        e.code = E_UNAVAIL;
    for (struct fetch *f = p->b->fetches, *next; f; f = next) {
        next = f->next;
        if (f->peer != p || (!f->number && timer_is_set(&f->timer)))
            continue;
        if (e.code == E_AUTH) /* it is somebody else, and will be next time */
            fetch_end(f, e.code, &e);
        else
            fetch_retry(f, &e);
    }
}

static struct fetch *by_number(const struct blob_peer *p, uint64_t number) {
    for (struct fetch *f = p->b->fetches; f; f = f->next)
        if (f->peer == p && f->number == number)
            return f;
    return NULL; /* given up meanwhile */
}

static void on_piece(void *ctx, struct wire_link *l, uint64_t stream, const void *data, size_t n) {
    struct fetch *f = by_number(ctx, stream);
    struct err e = {0};
    (void)l;
    if (!f)
        return;
    if (f->got + (int64_t)n > f->asked) {
        err_set(&e, E_INVAL, "%s: %s sent more than it was asked for", f->digest, f->peer->name);
        fetch_end(f, e.code, &e);
        return;
    }
    for (size_t at = 0; at < n;) {
        ssize_t k = write(f->fd, (const char *)data + at, n - at);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0) {
            err_errno(&e, errno, "cannot write content %s", f->digest);
            fetch_end(f, e.code, &e);
            return;
        }
        at += (size_t)k;
    }
    EVP_DigestUpdate(f->hash, data, n);
    f->got += (int64_t)n;
    f->have += (int64_t)n;
    f->moved_bytes += (double)n;
}

static void fetch_whole(struct fetch *f) {
    unsigned char digest[32];
    char hex[BLOB_HEX];
    struct err e = {0};
    EVP_DigestFinal_ex(f->hash, digest, NULL);
    hex_encode(hex, digest, sizeof digest);
    int rc = strcmp(hex, f->hex)
                 ? err_set(&e, E_CONFLICT, "what %s sent as %s is something else", f->peer->name, f->digest)
                 : store_room(f->b, f->have, &e);
    if (!rc) {
        int fd = f->fd;
        f->fd = -1;
        rc = part_finish(f->b, fd, f->part, f->hex, f->have, &e);
    }
    fetch_end(f, rc, &e);
}

static void on_reply(struct fetch *f, const struct link_message *m) {
    struct loop *l = f->b->a->loop;
    struct err e = m->err;
    int64_t size = doc_get_int(m->body, "size", -1), now = loop_mono_us(l);
    timer_cancel(l, &f->timer);
    f->number = 0;
    int64_t missing = f->asked - f->got;
    if (e.code == E_UNAVAIL || e.code == E_LIMIT) {
        fetch_retry(f, &e);
        return;
    }
    if (!e.code && (size < f->have || (f->size >= 0 && size != f->size) || (missing && f->have != size)))
        err_set(&e, E_INVAL, "%s: %s answers %lld bytes of %lld", f->digest, f->peer->name, (long long)f->have, (long long)size);
    if (!e.code && f->expected && size != f->expected)
        err_set(&e, E_CONFLICT, "%s has %lld bytes at %s, not %lld", f->digest, (long long)size, f->peer->name,
                (long long)f->expected);
    if (!e.code && f->size < 0)
        store_room(f->b, size, &e);
    f->size = size;
    if (e.code) {
        err_context(&e, "%s", f->peer->name);
        fetch_end(f, e.code, &e);
        return;
    }
    f->tries = 0;
    timer_mono_in(l, &f->timer, f->due_us > now ? f->due_us - now : 0, fetch_next, f);
}

static void on_message(void *ctx, struct wire_link *l, struct doc *d, struct arena *a) {
    struct blob_peer *p = ctx;
    struct link_message m;
    struct err e = {0};
    (void)a;
    struct fetch *f;
    if (link_message_read(d, &m, &e) || m.kind != LINK_REPLY)
        link_close(l); /* we serve nothing on a link we dialled */
    else if ((f = by_number(p, m.number)))
        on_reply(f, &m);
}

static const struct link_handler peer_handler = {
    .opened = on_opened, .message = on_message, .bytes = on_piece, .closed = on_closed};

static void peer_idle(void *ctx) {
    struct blob_peer *p = ctx;
    for (struct fetch *f = p->b->fetches; f; f = f->next)
        if (f->peer == p) {
            timer_mono_in(p->b->a->loop, &p->idle, IDLE_US, peer_idle, p);
            return;
        }
    if (p->link)
        link_close(p->link);
    LINK_OUT(p);
    free(p);
}

static int peer_dial(struct blob_peer *p, struct err *e) {
    char address[64];
    const char *colon = strrchr(p->address, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || *end || port < 1 || port > 65535)
        return err_set(e, E_INVAL, "'%.60s' is not address:port", p->address);
    if (!p->b->id)
        return err_set(e, E_UNAVAIL, "this agent has no certificate yet");
    memcpy(address, p->address, (size_t)(colon - p->address));
    address[colon - p->address] = 0;
    return link_connect(p->b->a->loop, address, (int)port, p->name, p->b->id, &peer_handler, p, &p->link, e);
}

static struct blob_peer *peer_of(struct blobs *b, const struct exec_input *in) {
    for (struct blob_peer *p = b->peers; p; p = p->next)
        if (!strcmp(p->address, in->peer) && !strcmp(p->name, in->peer_name))
            return p;
    struct blob_peer *p = calloc(1, sizeof *p);
    p->b = b;
    str_copy(p->address, sizeof p->address, in->peer);
    str_copy(p->name, sizeof p->name, in->peer_name);
    LINK_IN(b->peers, p);
    timer_mono_in(b->a->loop, &p->idle, IDLE_US, peer_idle, p);
    return p;
}

/* -- one fetch -- */

static void too_late(void *ctx) {
    struct fetch *f = ctx;
    struct err e = {0};
    err_set(&e, E_TIMEOUT, "a piece did not come in time");
    fetch_retry(f, &e);
}

/* When the wide area has carried the piece: its share of the link begins when what was asked before has passed. */
static int64_t pace(struct fetch *f, int64_t length, int64_t now) {
    struct blob_peer *p = f->peer;
    if (f->bps <= 0)
        return now;
    int64_t from = p->free_us > now - PACE_CREDIT_US ? p->free_us : now - PACE_CREDIT_US;
    p->free_us = from + (int64_t)((double)length * 8e6 / f->bps);
    return p->free_us;
}

static int64_t piece_length(const struct fetch *f) {
    double most = f->bps > 0 ? f->bps / 8e6 * PACE_STEP_US : PIECE_MOST;
    int64_t n = most > PIECE_MOST ? PIECE_MOST : most < PIECE_LEAST ? PIECE_LEAST : (int64_t)most;
    int64_t known = f->size >= 0 ? f->size : f->expected;
    return known > f->have && known - f->have < n ? known - f->have : n;
}

static void fetch_next(void *ctx) {
    struct fetch *f = ctx;
    struct blob_peer *p = f->peer;
    struct loop *l = f->b->a->loop;
    struct arena a = ARENA_INIT;
    struct err e = {0};
    if (f->size >= 0 && f->have == f->size) {
        fetch_whole(f);
        return;
    }
    int rc = p->link ? 0 : peer_dial(p, &e);
    if (rc || !p->is_open) { /* on_opened or on_closed goes on */
        if (rc)
            fetch_retry(f, &e);
        return;
    }
    struct doc *in = doc_map(&a);
    f->asked = piece_length(f);
    f->got = 0;
    f->number = ++f->b->last_number;
    f->due_us = pace(f, f->asked, loop_mono_us(l));
    doc_put_str(&a, in, "digest", f->digest);
    doc_put_int(&a, in, "offset", f->have);
    doc_put_int(&a, in, "length", f->asked);
    rc = link_call(p->link, f->number, "blob", in, &e);
    arena_free(&a);
    if (rc)
        fetch_retry(f, &e);
    else
        timer_mono_in(l, &f->timer, ANSWER_US, too_late, f);
}

static struct fetch *fetch_new(struct blobs *b, const struct exec_input *in, const char *hex, struct err *e) {
    char part[BLOB_PATH];
    if (!str_starts(in->peer_name, "agent/")) {
        err_set(e, E_INVAL, "'%.60s' is not the name of an agent", in->peer_name);
        return NULL;
    }
    int fd = part_open(b, hex, part, e);
    if (fd < 0)
        return NULL;
    struct fetch *f = calloc(1, sizeof *f);
    f->b = b;
    f->fd = fd;
    f->size = -1;
    f->expected = in->size_bytes;
    f->bps = in->wan_bandwidth_bps;
    str_copy(f->part, sizeof f->part, part);
    str_copy(f->hex, sizeof f->hex, hex);
    str_copy(f->digest, sizeof f->digest, in->digest);
    f->hash = EVP_MD_CTX_new();
    EVP_DigestInit_ex(f->hash, EVP_sha256(), NULL);
    f->peer = peer_of(b, in);
    LINK_IN(b->fetches, f);
    double delay = in->wan_delay_us > 0 ? 2 * in->wan_delay_us : 0;
    timer_mono_in(b->a->loop, &f->timer, delay < 60e6 ? (int64_t)delay : 60000000, fetch_next, f);
    return f;
}

void blob_fetch(struct agent_state *a, const struct exec_input *in, fetched_fn *fn, void *ctx) {
    struct blobs *b = a->blobs;
    struct waiter *w = calloc(1, sizeof *w);
    char hex[BLOB_HEX];
    struct err e = {0};
    size_t n = 0;
    w->b = b;
    w->fn = fn;
    w->ctx = ctx;
    LINK_IN(b->waiters, w);
    int rc = digest_hex(in->digest, hex, &e);
    if (!rc) {
        char path[BLOB_PATH];
        if (!blob_path(a, in->digest, path, sizeof path, NULL)) {
            waiter_end(w, 0, 0, NULL);
            return;
        }
        if (!*in->peer)
            rc = err_set(&e, E_NOTFOUND, "content %s is not here, and nobody is named who has it", in->digest);
    }
    for (struct fetch *f = b->fetches; f && !rc; f = f->next, n++)
        if (!strcmp(f->hex, hex)) {
            w->fetch = f;
            return;
        }
    if (!rc && n >= FETCHES_MAX)
        rc = err_set(&e, E_LIMIT, "%d fetches are under way already", FETCHES_MAX);
    if (!rc && !(w->fetch = fetch_new(b, in, hex, &e)))
        rc = e.code;
    if (rc)
        waiter_end(w, rc, 0, &e);
}

void blob_fetch_cancel(struct agent_state *a, void *ctx) {
    for (struct waiter *w = a->blobs->waiters, *next; w; w = next) {
        next = w->next;
        if (w->ctx != ctx || !w->fn)
            continue;
        struct fetch *f = w->fetch;
        w->fn = NULL;
        if (!f)
            continue; /* on its way: deliver() frees it */
        LINK_OUT(w);
        free(w);
        bool wanted = false;
        for (struct waiter *o = a->blobs->waiters; o; o = o->next)
            wanted |= o->fetch == f;
        if (!wanted)
            fetch_free(f);
    }
}

void fetches_close(struct blobs *b) {
    while (b->waiters) {
        struct waiter *w = b->waiters;
        struct err e = {0};
        bool is_coming = !w->fetch;
        fetched_fn *fn = w->fn;
        void *ctx = w->ctx;
        LINK_OUT(w);
        w->b = NULL;
        w->fn = NULL;
        if (!is_coming)
            free(w);
        err_set(&e, E_CANCELLED, "the agent is stopping");
        if (fn)
            fn(ctx, E_CANCELLED, 0, &e);
    }
    while (b->fetches)
        fetch_free(b->fetches);
    while (b->peers) {
        struct blob_peer *p = b->peers;
        timer_cancel(b->a->loop, &p->idle);
        if (p->link)
            link_close(p->link);
        LINK_OUT(p);
        free(p);
    }
}
