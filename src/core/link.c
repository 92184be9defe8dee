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

enum { HEAD = 5, CHUNK = 65536, HANDSHAKE_US = 10000000 };

struct link_identity {
    SSL_CTX *ctx;
};

struct wire_link {
    struct loop *loop;
    int fd;
    struct watch watch;
    struct timer deadline; /* of connecting and the handshake */
    SSL *ssl;
    BIO *from_net, *to_net;
    bool is_open, is_closing, in_callback, is_connecting, was_full;
    char expect[96], peer[96], fingerprint[65];
    struct link_handler handler;
    void *ctx;
    struct text in;  /* plain bytes not yet a frame */
    size_t in_at;
    struct text out; /* cipher bytes not yet sent */
    size_t out_at;
    struct link_listener *listener;
};

struct link_listener {
    struct loop *loop;
    int fd, port;
    struct watch watch;
    struct link_identity *id;
    struct link_handler handler;
    void *ctx;
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
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
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
    text_free(&l->out);
    free(l);
}

static void end(struct wire_link *l, int code, const char *why) {
    struct err e;
    if (l->is_closing)
        return;
    l->is_closing = true;
    err_set(&e, code, "%s", why);
    timer_cancel(l->loop, &l->deadline);
    watch_stop(l->loop, &l->watch);
    close(l->fd);
    l->fd = -1;
    if (l->handler.closed)
        l->handler.closed(l->ctx, l, &e);
    /* Freed later: whoever called us may still hold it on its stack. */
    loop_defer(l->loop, destroy, l);
}

void link_close(struct wire_link *l) {
    if (!l || l->is_closing)
        return;
    /* What was queued goes out if the socket takes it now. */
    if (l->out.n > l->out_at) {
        ssize_t n = send(l->fd, l->out.p + l->out_at, l->out.n - l->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)n;
    }
    end(l, E_CANCELLED, "closed here");
}

/* -- sending -- */

static void collect(struct wire_link *l) {
    char buffer[16384];
    int n;
    while ((n = BIO_read(l->to_net, buffer, sizeof buffer)) > 0)
        text_add_n(&l->out, buffer, (size_t)n);
}

static void flush(struct wire_link *l) {
    collect(l);
    while (l->out_at < l->out.n && !l->is_connecting) {
        ssize_t n = send(l->fd, l->out.p + l->out_at, l->out.n - l->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            break;
        if (n < 0) {
            end(l, E_UNAVAIL, strerror(errno));
            return;
        }
        l->out_at += (size_t)n;
    }
    if (l->out_at == l->out.n) {
        text_reset(&l->out);
        l->out_at = 0;
    } else if (l->out_at > 1 << 20) {
        memmove(l->out.p, l->out.p + l->out_at, l->out.n - l->out_at);
        l->out.n -= l->out_at;
        l->out_at = 0;
    }
    watch_events(l->loop, &l->watch, WATCH_READ | (l->out.n || l->is_connecting ? WATCH_WRITE : 0));
    if (l->was_full && l->out.n - l->out_at < LINK_QUEUE_MAX / 2) {
        l->was_full = false;
        if (l->handler.drained)
            l->handler.drained(l->ctx, l);
    }
}

size_t link_queued(const struct wire_link *l) { return l->out.n - l->out_at; }

static int put(struct wire_link *l, const void *p, size_t n, struct err *e) {
    const char *at = p;
    while (n) {
        int k = SSL_write(l->ssl, at, n > CHUNK ? CHUNK : (int)n);
        if (k <= 0)
            return ssl_fail(e, "cannot encrypt");
        collect(l);
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

static int frame(struct wire_link *l, char type, const void *head, size_t head_n, const void *p, size_t n,
                 struct err *e) {
    unsigned char h[HEAD + 8];
    size_t size = head_n + n;
    if (!l->is_open || l->is_closing)
        return err_set(e, E_UNAVAIL, "the link is not open");
    if (size > LINK_FRAME_MAX)
        return err_set(e, E_LIMIT, "a message of %zu bytes is larger than the limit of %d", size, LINK_FRAME_MAX);
    if (link_queued(l) + size > LINK_QUEUE_MAX) {
        l->was_full = true;
        return err_set(e, E_LIMIT, "the link's queue is full: the other side does not read");
    }
    h[0] = (unsigned char)(size >> 24);
    h[1] = (unsigned char)(size >> 16);
    h[2] = (unsigned char)(size >> 8);
    h[3] = (unsigned char)size;
    h[4] = (unsigned char)type;
    if (head_n)
        memcpy(h + HEAD, head, head_n);
    int rc = put(l, h, HEAD + head_n, e);
    if (!rc)
        rc = put(l, p, n, e);
    if (!rc)
        flush(l);
    return rc;
}

int link_send(struct wire_link *l, const struct doc *d, struct err *e) {
    struct text t = TEXT_INIT;
    json_print(&t, d, 0);
    int rc = frame(l, 'J', NULL, 0, t.p, t.n, e);
    text_free(&t);
    return rc;
}

int link_send_bytes(struct wire_link *l, uint64_t stream, const void *p, size_t n, struct err *e) {
    unsigned char id[8];
    for (int i = 0; i < 8; i++)
        id[i] = (unsigned char)(stream >> (56 - 8 * i));
    return frame(l, 'B', id, sizeof id, p, n, e);
}

/* -- receiving -- */

static bool one_frame(struct wire_link *l) {
    const unsigned char *p = (const unsigned char *)l->in.p + l->in_at;
    size_t have = l->in.n - l->in_at;
    if (have < HEAD)
        return false;
    size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    if (n > LINK_FRAME_MAX) {
        end(l, E_LIMIT, "the peer sent a message larger than the limit");
        return false;
    }
    if (have < HEAD + n)
        return false;
    l->in_at += HEAD + n;
    if (p[4] == 'J') {
        static const struct doc_limits limits = {.bytes_max = LINK_FRAME_MAX, .depth_max = 32};
        struct arena a = ARENA_INIT;
        struct doc *d = NULL;
        struct err e = {0};
        if (json_parse(&a, "link", (const char *)p + HEAD, n, &limits, &d, &e))
            end(l, E_PARSE, e.message);
        else if (l->handler.message)
            l->handler.message(l->ctx, l, d, &a);
        arena_free(&a);
    } else if (p[4] == 'B' && n >= 8) {
        uint64_t id = 0;
        for (int i = 0; i < 8; i++)
            id = id << 8 | p[HEAD + i];
        if (l->handler.bytes)
            l->handler.bytes(l->ctx, l, id, p + HEAD + 8, n - 8);
    } else {
        end(l, E_PARSE, "the peer sent a message of unknown type");
    }
    return !l->is_closing;
}

static void opened(struct wire_link *l) {
    X509 *c = SSL_get1_peer_certificate(l->ssl);
    unsigned char digest[32];
    unsigned n = 0;
    if (!c || X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, l->peer, sizeof l->peer) < 0) {
        X509_free(c);
        end(l, E_AUTH, "the peer showed no name");
        return;
    }
    X509_digest(c, EVP_sha256(), digest, &n);
    X509_free(c);
    hex_encode(l->fingerprint, digest, sizeof digest);
    if (*l->expect && strcmp(l->expect, l->peer)) {
        end(l, E_AUTH, "the peer is somebody else");
        return;
    }
    timer_cancel(l->loop, &l->deadline);
    l->is_open = true;
    if (l->handler.opened)
        l->handler.opened(l->ctx, l, l->peer, l->fingerprint);
}

static void decrypt(struct wire_link *l) {
    if (!l->is_open) {
        int rc = SSL_do_handshake(l->ssl);
        if (rc == 1) {
            collect(l);
            opened(l);
        } else if (SSL_get_error(l->ssl, rc) != SSL_ERROR_WANT_READ) {
            char why[160];
            ERR_error_string_n(ERR_get_error(), why, sizeof why);
            ERR_clear_error();
            flush(l); /* the alert tells the other side why */
            end(l, E_AUTH, why);
            return;
        }
    }
    char buffer[CHUNK];
    while (l->is_open && !l->is_closing) {
        int n = SSL_read(l->ssl, buffer, sizeof buffer);
        if (n <= 0) {
            int code = SSL_get_error(l->ssl, n);
            if (code != SSL_ERROR_WANT_READ) {
                ERR_clear_error();
                end(l, E_UNAVAIL, "the peer ended the link");
            }
            break;
        }
        text_add_n(&l->in, buffer, (size_t)n);
        while (!l->is_closing && one_frame(l))
            ;
        if (!l->is_closing && l->in_at) {
            memmove(l->in.p, l->in.p + l->in_at, l->in.n - l->in_at);
            l->in.n -= l->in_at;
            l->in_at = 0;
        }
    }
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
        for (int i = 0; i < 16 && !l->is_closing; i++) {
            ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
                break;
            if (n <= 0) {
                end(l, E_UNAVAIL, n ? strerror(errno) : "the peer ended the connection");
                return;
            }
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
    timer_mono_in(loop, &l->deadline, HANDSHAKE_US, late, l);
    watch_start(loop, &l->watch, fd, WATCH_READ | (is_client ? WATCH_WRITE : 0), ready, l);
    if (is_client)
        SSL_do_handshake(l->ssl);
    return l;
}

static void incoming(void *ctx, int fd, int events) {
    struct link_listener *ll = ctx;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c < 0)
            return;
        link_new(ll->loop, c, ll->id, false, &ll->handler, ll->ctx);
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

void link_listener_free(struct link_listener *ll) {
    if (!ll)
        return;
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
