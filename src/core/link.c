/* Mutual TLS frames. OpenSSL works on memory here: it reads and writes two BIOs, we move the bytes; so one state
 * machine serves both directions and a renegotiation can never block the loop. */
#include "core/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/vec.h"

enum { HEAD = 5, CHUNK = 65536, HANDSHAKE_US = 10000000, ENCRYPT_EARLY = 1 << 18, ACCEPT_PAUSE_US = 100000 };

struct link_identity {
    SSL_CTX *ctx;
};

struct wire_link {
    struct loop *loop;
    int fd;
    struct watch watch;
    struct timer timer; /* until open: end of the handshake's time; then the keep-alive beat */
    SSL *ssl;
    BIO *from_net, *to_net;
    bool is_open, is_closing, is_connecting, is_paused, is_flush_due, is_broken, was_high;
    int64_t heard_us, said_us, moved_us; /* mono: last bytes in, last frame out, last bytes the socket took */
    char expect[96], peer[96], fingerprint[65];
    struct link_handler handler;
    void *ctx;
    struct text in;  /* plain bytes not yet a frame */
    size_t in_at;
    struct text plain; /* frames not yet encrypted */
    struct text out;   /* cipher bytes not yet sent */
    size_t out_at;
    struct link_listener *listener;  /* while its handshake is not finished: in the listener's list */
    struct wire_link *older, *newer;
};

struct link_listener {
    struct loop *loop;
    int fd, port;
    struct watch watch;
    struct link_identity *id;
    struct link_handler handler;
    void *ctx;
    struct timer pause;
    struct wire_link *oldest, *newest; /* handshakes */
    int handshakes;
};

static int ssl_fail(struct err *e, const char *what) {
    char detail[200];
    err_set(e, E_IO, "%s", what);
    ERR_error_string_n(ERR_get_error(), detail, sizeof detail);
    if (e)
        snprintf(e->detail, sizeof e->detail, "%s", detail);
    ERR_clear_error();
    return E_IO;
}

/* The name a refused certificate claims, for whoever reads of the refusal; without this it is lost. */
static int verify_seen(int good, X509_STORE_CTX *s) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(s, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct wire_link *l = ssl ? SSL_get_app_data(ssl) : NULL;
    X509 *c = X509_STORE_CTX_get0_cert(s);
    if (!good && l && c)
        X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, l->peer, sizeof l->peer);
    return good;
}

int link_identity_load(const char *cert_pem, const char *key_pem, const char *ca_pem, struct link_identity **out,
                       struct err *e) {
    SSL_CTX *c = SSL_CTX_new(TLS_method());
    bool good = c && SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) == 1 &&
                SSL_CTX_use_certificate_file(c, cert_pem, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_use_PrivateKey_file(c, key_pem, SSL_FILETYPE_PEM) == 1 &&
                SSL_CTX_load_verify_locations(c, ca_pem, NULL) == 1;
    if (!good) {
        SSL_CTX_free(c);
        return ssl_fail(e, "cannot load the certificate, its key or the authority");
    }
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_seen);
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_num_tickets(c, 0);
    struct link_identity *i = calloc(1, sizeof *i);
    i->ctx = c;
    *out = i;
    return 0;
}

void link_identity_free(struct link_identity *i) {
    if (i)
        SSL_CTX_free(i->ctx);
    free(i);
}

/* -- end -- */

static void destroy(void *ctx) {
    struct wire_link *l = ctx;
    SSL_free(l->ssl);
    text_free(&l->in);
    text_free(&l->plain);
    text_free(&l->out);
    free(l);
}

/* The handshake is over, one way or the other. */
static void listener_leave(struct wire_link *l) {
    struct link_listener *ll = l->listener;
    if (!ll)
        return;
    *(l->older ? &l->older->newer : &ll->oldest) = l->newer;
    *(l->newer ? &l->newer->older : &ll->newest) = l->older;
    l->listener = NULL;
    ll->handshakes--;
}

static void listener_enter(struct link_listener *ll, struct wire_link *l) {
    l->listener = ll;
    l->older = ll->newest;
    *(ll->newest ? &ll->newest->newer : &ll->oldest) = l;
    ll->newest = l;
    ll->handshakes++;
}

static void end(struct wire_link *l, int code, const char *why) {
    struct err e;
    if (l->is_closing)
        return;
    l->is_closing = true;
    err_set(&e, code, "%s", why);
    listener_leave(l);
    timer_cancel(l->loop, &l->timer);
    watch_stop(l->loop, &l->watch);
    close(l->fd);
    l->fd = -1;
    if (l->handler.closed)
        l->handler.closed(l->ctx, l, &e);
    /* Freed later: whoever called us may still hold it on its stack. */
    loop_defer(l->loop, destroy, l);
}

/* -- sending -- */

static void collect(struct wire_link *l) {
    char buffer[16384];
    int n;
    while ((n = BIO_read(l->to_net, buffer, sizeof buffer)) > 0)
        text_add_n(&l->out, buffer, (size_t)n);
}

static void encrypt(struct wire_link *l) {
    for (size_t at = 0; at < l->plain.n;) {
        size_t left = l->plain.n - at;
        int k = SSL_write(l->ssl, l->plain.p + at, left > CHUNK ? CHUNK : (int)left);
        if (k <= 0) {
            ERR_clear_error();
            l->is_broken = true;
            break;
        }
        at += (size_t)k;
        collect(l);
    }
    text_reset(&l->plain);
}

/* What the socket takes now. An error is left to the reader or the timer, so that sending never ends a link. */
static void push(struct wire_link *l) {
    collect(l);
    while (l->out_at < l->out.n && !l->is_connecting && !l->is_broken) {
        ssize_t n = send(l->fd, l->out.p + l->out_at, l->out.n - l->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            break;
        if (n < 0) {
            l->is_broken = true;
            break;
        }
        l->out_at += (size_t)n;
        l->moved_us = loop_mono_us(l->loop);
    }
    if (l->out_at == l->out.n || l->is_broken) {
        text_reset(&l->out);
        l->out_at = 0;
    } else if (l->out_at > 1 << 20) {
        memmove(l->out.p, l->out.p + l->out_at, l->out.n - l->out_at);
        l->out.n -= l->out_at;
        l->out_at = 0;
    }
}

void link_close(struct wire_link *l) {
    if (!l || l->is_closing)
        return;
    /* What was queued goes out if the socket takes it now. */
    if (l->is_open)
        encrypt(l);
    push(l);
    end(l, E_CANCELLED, "closed here");
}

static void flush(struct wire_link *l) {
    if (l->is_open)
        encrypt(l);
    push(l);
    if (l->is_broken) {
        end(l, E_UNAVAIL, "the connection broke");
        return;
    }
    watch_events(l->loop, &l->watch,
                 (l->is_paused ? 0 : WATCH_READ) | (l->out.n || l->is_connecting ? WATCH_WRITE : 0));
    if (l->was_high && link_queued(l) < LINK_QUEUE_LOW) {
        l->was_high = false;
        if (l->handler.drained)
            l->handler.drained(l->ctx, l);
    }
}

static void flush_due(void *ctx) {
    struct wire_link *l = ctx;
    l->is_flush_due = false;
    if (!l->is_closing)
        flush(l);
}

static void flush_soon(struct wire_link *l) {
    if (l->is_flush_due)
        return;
    l->is_flush_due = true;
    loop_defer(l->loop, flush_due, l);
}

size_t link_queued(const struct wire_link *l) { return l->plain.n + l->out.n - l->out_at; }

/* Begin a frame in the queue; the caller appends its payload and calls frame_end. */
static int frame_begin(struct wire_link *l, char type, struct err *e) {
    char head[HEAD] = {0, 0, 0, 0, type};
    if (!l->is_open || l->is_closing)
        return err_set(e, E_UNAVAIL, "the link is not open");
    if (link_queued(l) > LINK_QUEUE_MAX)
        return err_set(e, E_LIMIT, "the link's queue is full: the other side does not read");
    text_add_n(&l->plain, head, HEAD);
    return 0;
}

static int frame_end(struct wire_link *l, size_t begin, struct err *e) {
    size_t size = l->plain.n - begin - HEAD;
    if (size > LINK_FRAME_MAX) {
        l->plain.n = begin;
        return err_set(e, E_LIMIT, "a message of %zu bytes is larger than the limit of %d", size, LINK_FRAME_MAX);
    }
    for (int i = 0; i < 4; i++)
        l->plain.p[begin + (size_t)i] = (char)(unsigned char)(size >> (24 - 8 * i));
    l->said_us = loop_mono_us(l->loop);
    if (l->plain.n > ENCRYPT_EARLY)
        encrypt(l);
    l->was_high |= link_queued(l) >= LINK_QUEUE_LOW;
    flush_soon(l);
    return 0;
}

int link_send(struct wire_link *l, const struct doc *d, struct err *e) {
    size_t begin = l->plain.n;
    int rc = frame_begin(l, 'J', e);
    if (rc)
        return rc;
    json_print(&l->plain, d, 0);
    return frame_end(l, begin, e);
}

int link_send_bytes(struct wire_link *l, uint64_t stream, const void *p, size_t n, struct err *e) {
    char id[8];
    size_t begin = l->plain.n;
    int rc = frame_begin(l, 'B', e);
    if (rc)
        return rc;
    for (int i = 0; i < 8; i++)
        id[i] = (char)(unsigned char)(stream >> (56 - 8 * i));
    text_add_n(&l->plain, id, sizeof id);
    text_add_n(&l->plain, p, n);
    return frame_end(l, begin, e);
}

/* Paused, we read nothing; then a socket that takes our bytes is the sign of life. */
static void beat(void *ctx) {
    struct wire_link *l = ctx;
    int64_t now = loop_mono_us(l->loop), life = l->heard_us;
    if (l->is_paused && l->moved_us > life)
        life = l->moved_us;
    if (now - life > LINK_SILENCE_US) {
        end(l, E_TIMEOUT, "nothing was heard from the peer in time");
        return;
    }
    size_t begin = l->plain.n;
    if (now - l->said_us >= LINK_BEAT_US / 2 && !frame_begin(l, 'P', NULL))
        frame_end(l, begin, NULL);
    timer_mono_in(l->loop, &l->timer, LINK_BEAT_US, beat, l);
}

/* -- receiving -- */

static bool one_frame(struct wire_link *l) {
    size_t have = l->in.n - l->in_at;
    if (have < HEAD)
        return false;
    const unsigned char *p = (const unsigned char *)l->in.p + l->in_at;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > LINK_FRAME_MAX) {
        end(l, E_LIMIT, "the peer sent a message larger than the limit");
        return false;
    }
    if (have < HEAD + n)
        return false;
    l->in_at += HEAD + n;
    if (p[4] == 'J') {
        static const struct doc_limits limits = {.bytes_max = LINK_FRAME_MAX, .depth_max = 32, .nodes_max = 500000};
        struct arena a = ARENA_INIT;
        struct doc *d = NULL;
        struct err e = {0};
        if (json_parse(&a, "link", (const char *)p + HEAD, n, &limits, &d, &e)) {
            err_context(&e, "the peer sent no JSON");
            end(l, E_PARSE, e.message);
        } else if (d->type != DOC_MAP)
            end(l, E_PARSE, "the peer sent a message that is not a map");
        else if (l->handler.message)
            l->handler.message(l->ctx, l, d, &a);
        arena_free(&a);
    } else if (p[4] == 'B' && n >= 8) {
        uint64_t id = 0;
        for (int i = 0; i < 8; i++)
            id = id << 8 | p[HEAD + i];
        if (l->handler.bytes)
            l->handler.bytes(l->ctx, l, id, p + HEAD + 8, n - 8);
    } else if (p[4] != 'P' || n) {
        end(l, E_PARSE, "the peer sent a message of unknown type");
    }
    return !l->is_closing;
}

/* The name in a certificate; one with a NUL inside, or too long, is none. */
static bool name_take(struct wire_link *l) {
    X509 *c = SSL_get1_peer_certificate(l->ssl);
    unsigned char digest[32];
    unsigned n = 0;
    X509_NAME *subject = c ? X509_get_subject_name(c) : NULL;
    int size = subject ? X509_NAME_get_text_by_NID(subject, NID_commonName, NULL, 0) : -1;
    bool good = size > 0 && size < (int)sizeof l->peer &&
                X509_NAME_get_text_by_NID(subject, NID_commonName, l->peer, sizeof l->peer) == size &&
                strlen(l->peer) == (size_t)size && X509_digest(c, EVP_sha256(), digest, &n) == 1;
    if (good)
        hex_encode(l->fingerprint, digest, sizeof digest);
    else
        l->peer[0] = 0;
    X509_free(c);
    return good;
}

static void opened(struct wire_link *l) {
    if (!name_take(l)) {
        end(l, E_AUTH, "the peer showed no name");
        return;
    }
    if (*l->expect && strcmp(l->expect, l->peer)) {
        char why[256];
        snprintf(why, sizeof why, "the peer is '%.90s', not '%.90s'", l->peer, l->expect);
        end(l, E_AUTH, why);
        return;
    }
    listener_leave(l);
    l->is_open = true;
    l->heard_us = l->said_us = l->moved_us = loop_mono_us(l->loop);
    timer_mono_in(l->loop, &l->timer, LINK_BEAT_US, beat, l);
    if (l->handler.opened)
        l->handler.opened(l->ctx, l, l->peer, l->fingerprint);
}

/* In words: what is wrong with the peer's certificate, or what its alert says of ours. */
static void tls_failed(struct wire_link *l) {
    char why[200];
    long verdict = SSL_get_verify_result(l->ssl);
    unsigned long code = ERR_get_error();
    const char *reason = ERR_reason_error_string(code);
    if (verdict != X509_V_OK)
        snprintf(why, sizeof why, "the peer's certificate is refused: %s", X509_verify_cert_error_string(verdict));
    else
        snprintf(why, sizeof why, "TLS failed: %.150s", reason ? reason : "unknown");
    ERR_clear_error();
    push(l); /* the alert tells the other side why */
    end(l, E_AUTH, why);
}

static void frames(struct wire_link *l) {
    while (!l->is_closing && !l->is_paused && one_frame(l))
        ;
    if (!l->is_closing && l->in_at) {
        memmove(l->in.p, l->in.p + l->in_at, l->in.n - l->in_at);
        l->in.n -= l->in_at;
        l->in_at = 0;
    }
}

static void decrypt(struct wire_link *l) {
    char buffer[CHUNK];
    if (!l->is_open) {
        int rc = SSL_do_handshake(l->ssl);
        if (rc == 1) {
            collect(l);
            opened(l);
        } else if (SSL_get_error(l->ssl, rc) != SSL_ERROR_WANT_READ) {
            tls_failed(l);
            return;
        }
    }
    while (l->is_open && !l->is_closing && !l->is_paused) {
        int n = SSL_read(l->ssl, buffer, sizeof buffer);
        if (n <= 0) {
            int code = SSL_get_error(l->ssl, n);
            if (code == SSL_ERROR_SSL)
                tls_failed(l);
            else if (code != SSL_ERROR_WANT_READ)
                end(l, E_UNAVAIL, "the peer ended the link");
            break;
        }
        text_add_n(&l->in, buffer, (size_t)n);
        frames(l);
    }
}

static void resume(void *ctx) {
    struct wire_link *l = ctx;
    if (l->is_closing || l->is_paused)
        return;
    frames(l);
    if (!l->is_closing)
        decrypt(l);
    if (!l->is_closing)
        flush(l);
}

void link_pause(struct wire_link *l, bool paused) {
    if (l->is_closing || l->is_paused == paused)
        return;
    l->is_paused = paused;
    l->heard_us = loop_mono_us(l->loop); /* while paused nothing was to be heard */
    loop_defer(l->loop, paused ? flush_due : resume, l);
}

/* A process that was stopped, or a machine that slept, finds messages of a time when the other side still believed in
 * this link. By now it does not: to act on them (a lease renewed long ago) would be to act for nobody. */
static bool is_stale(const struct wire_link *l) {
    return l->is_open && !l->is_paused && loop_mono_us(l->loop) - l->heard_us > LINK_SILENCE_US;
}

static void ready(void *ctx, int fd, int events) {
    struct wire_link *l = ctx;
    char buffer[CHUNK];
    if (l->is_connecting) {
        int code = 0;
        socklen_t size = sizeof code;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &size);
        if (code) {
            end(l, E_UNAVAIL, strerror(code));
            return;
        }
        l->is_connecting = false;
    }
    if (events & WATCH_READ) {
        /* A bounded bite, so that one talkative peer does not starve the others. */
        for (int i = 0; i < 16 && !l->is_closing && !l->is_paused; i++) {
            ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                break;
            if (n <= 0) {
                end(l, E_UNAVAIL, n ? strerror(errno) : "the peer ended the connection");
                return;
            }
            if (is_stale(l)) {
                end(l, E_TIMEOUT, "this process stood still for too long: what came meanwhile is old");
                return;
            }
            l->heard_us = loop_mono_us(l->loop);
            BIO_write(l->from_net, buffer, (int)n);
            decrypt(l);
        }
    }
    if (!l->is_closing)
        flush(l);
}

static void late(void *ctx) { end(ctx, E_TIMEOUT, "the peer did not complete the handshake in time"); }

static struct wire_link *link_new(struct loop *loop, int fd, struct link_identity *id, bool is_client,
                                  const struct link_handler *h, void *ctx) {
    struct wire_link *l = calloc(1, sizeof *l);
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    l->loop = loop;
    l->fd = fd;
    l->ssl = SSL_new(id->ctx);
    SSL_set_app_data(l->ssl, l);
    l->from_net = BIO_new(BIO_s_mem());
    l->to_net = BIO_new(BIO_s_mem());
    SSL_set_bio(l->ssl, l->from_net, l->to_net);
    if (is_client)
        SSL_set_connect_state(l->ssl);
    else
        SSL_set_accept_state(l->ssl);
    l->handler = *h;
    l->ctx = ctx;
    l->is_connecting = is_client;
    timer_mono_in(loop, &l->timer, HANDSHAKE_US, late, l);
    watch_start(loop, &l->watch, fd, WATCH_READ | (is_client ? WATCH_WRITE : 0), ready, l);
    if (is_client)
        SSL_do_handshake(l->ssl);
    return l;
}

static void accept_again(void *ctx) {
    struct link_listener *ll = ctx;
    watch_events(ll->loop, &ll->watch, WATCH_READ);
}

static void incoming(void *ctx, int fd, int events) {
    struct link_listener *ll = ctx;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            /* The connection stays in the kernel's queue: look again later instead of turning in place. */
            watch_events(ll->loop, &ll->watch, 0);
            timer_mono_in(ll->loop, &ll->pause, ACCEPT_PAUSE_US, accept_again, ll);
        }
        if (c < 0)
            return;
        if (ll->handshakes >= LINK_HANDSHAKES_MAX)
            end(ll->oldest, E_LIMIT, "too many connections are being set up");
        listener_enter(ll, link_new(ll->loop, c, ll->id, false, &ll->handler, ll->ctx));
    }
}

static int address_of(const char *address, int port, struct sockaddr_in *at, struct err *e) {
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, address, &at->sin_addr) == 1 ? 0 : err_set(e, E_INVAL, "'%.64s' is not an IPv4 address", address);
}

int link_listen(struct loop *loop, const char *address, int port, struct link_identity *id,
                const struct link_handler *h, void *ctx, struct link_listener **out, struct err *e) {
    struct sockaddr_in at;
    socklen_t size = sizeof at;
    int rc = address_of(address, port, &at, e), one = 1;
    if (rc)
        return rc;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 256) ||
        getsockname(fd, (struct sockaddr *)&at, &size)) {
        rc = err_errno(e, errno, "cannot listen on %s:%d", address, port);
        err_hint(e, "is the port taken? choose another, or 0 for any");
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct link_listener *ll = calloc(1, sizeof *ll);
    *ll = (struct link_listener){.loop = loop, .fd = fd, .port = ntohs(at.sin_port), .id = id, .handler = *h, .ctx = ctx};
    watch_start(loop, &ll->watch, fd, WATCH_READ, incoming, ll);
    *out = ll;
    return 0;
}

int link_listener_port(const struct link_listener *ll) { return ll->port; }

void link_listener_identity(struct link_listener *ll, struct link_identity *id) { ll->id = id; }

void link_listener_free(struct link_listener *ll) {
    if (!ll)
        return;
    while (ll->oldest) {
        ll->oldest->handler = (struct link_handler){0}; /* its ctx may go with the listener's owner */
        end(ll->oldest, E_CANCELLED, "closed here");
    }
    timer_cancel(ll->loop, &ll->pause);
    watch_stop(ll->loop, &ll->watch);
    close(ll->fd);
    free(ll);
}

int link_connect(struct loop *loop, const char *address, int port, const char *expect_peer, struct link_identity *id,
                 const struct link_handler *h, void *ctx, struct wire_link **out, struct err *e) {
    struct sockaddr_in at;
    int rc = address_of(address, port, &at, e);
    if (rc)
        return rc;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || (connect(fd, (struct sockaddr *)&at, sizeof at) && errno != EINPROGRESS)) {
        rc = err_errno(e, errno, "cannot connect to %s:%d", address, port);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    *out = link_new(loop, fd, id, true, h, ctx);
    str_copy((*out)->expect, sizeof (*out)->expect, expect_peer ? expect_peer : "");
    return 0;
}

void link_set_ctx(struct wire_link *l, void *ctx) { l->ctx = ctx; }
const char *link_peer(const struct wire_link *l) { return l->peer; }
