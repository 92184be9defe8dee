/* libmicrohttpd on our loop: its epoll descriptor is one of ours. */
#include "core/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_private.h"
#include "core/log.h"
#include "core/pki.h"
#include "core/telemetry.h"

static void turn(void *ctx) {
    struct http *s = ctx;
    MHD_UNSIGNED_LONG_LONG ms = 0;
    s->is_due = false;
    if (!s->daemon)
        return;
    MHD_run(s->daemon);
    if (s->is_due)
        return; /* asked for meanwhile: at once */
    if (MHD_get_timeout(s->daemon, &ms) == MHD_YES) {
        if (ms == 0)
            http_turn(s);
        else
            timer_mono_in(s->host->loop, &s->timer, (int64_t)ms * 1000, turn, s);
    } else {
        timer_cancel(s->host->loop, &s->timer);
    }
}

void http_turn(struct http *s) {
    if (s->is_due)
        return;
    s->is_due = true;
    timer_mono_in(s->host->loop, &s->timer, 0, turn, s);
}

static void readable(void *ctx, int fd, int events) {
    (void)fd;
    (void)events;
    turn(ctx);
}

enum MHD_Result http_queue(struct request *r) {
    size_t n = r->out.n;
    struct MHD_Response *p = MHD_create_response_from_buffer(n, n ? text_take(&r->out) : (void *)"",
                                                             n ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!p)
        return MHD_NO;
    MHD_add_response_header(p, "Content-Type", r->type ? r->type : "text/plain");
    MHD_add_response_header(p, "Cache-Control", "no-store");
    MHD_add_response_header(p, "X-Content-Type-Options", "nosniff");
    if (*r->etag)
        MHD_add_response_header(p, "ETag", r->etag);
    if (*r->extra_name)
        MHD_add_response_header(p, r->extra_name, r->extra_value);
    enum MHD_Result rc = MHD_queue_response(r->connection, (unsigned)r->status, p);
    MHD_destroy_response(p);
    return rc;
}

static void request_free(struct request *r) {
    text_free(&r->body);
    text_free(&r->out);
    text_free(&r->call.raw);
    arena_free(&r->call.arena);
    free(r);
}

static void waiting_remove(struct request *r) {
    struct http *s = r->http;
    for (size_t i = 0; i < s->waiting.n; i++)
        if (s->waiting.p[i] == r)
            s->waiting.p[i] = s->waiting.p[--s->waiting.n];
}

void http_answer(struct request *r, int status, const char *type) {
    if (r->is_gone) {
        request_free(r);
        return;
    }
    r->status = status;
    r->type = type;
    r->is_answered = true;
    if (r->is_suspended) {
        r->is_suspended = false;
        waiting_remove(r);
        MHD_resume_connection(r->connection);
        http_turn(r->http);
    }
}

void http_problem(struct request *r, const struct err *e) {
    struct arena a = ARENA_INIT;
    text_reset(&r->out);
    json_print(&r->out, problem_doc(&a, e), 0);
    arena_free(&a);
    if (e->code == E_AUTH) {
        strcpy(r->extra_name, "WWW-Authenticate");
        strcpy(r->extra_value, "Bearer realm=\"suan\"");
    }
    http_answer(r, problem_status(e->code), "application/problem+json");
}

static const char *header(struct request *r, const char *name) {
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

static const struct asset *asset(const struct http *s, const char *url) {
    for (size_t i = 0; i < s->nassets; i++)
        if (!strcmp(s->assets[i].path, url))
            return &s->assets[i];
    return NULL;
}

static enum MHD_Result send_asset(struct request *r, const struct asset *a) {
    struct MHD_Response *p = MHD_create_response_from_buffer(a->n, (void *)a->p, MHD_RESPMEM_PERSISTENT);
    if (!p)
        return MHD_NO;
    MHD_add_response_header(p, "Content-Type", a->type);
    MHD_add_response_header(p, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(p, "X-Frame-Options", "DENY");
    MHD_add_response_header(p, "Referrer-Policy", "no-referrer");
    /* Files below /assets/ carry a hash of their content in their name; the page that names them does not. */
    bool is_hashed = str_starts(a->path, "/assets/");
    MHD_add_response_header(p, "Cache-Control", is_hashed ? "public, max-age=31536000, immutable" : "no-cache");
    MHD_add_response_header(p, "Content-Security-Policy",
                            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
                            "frame-ancestors 'none'; base-uri 'none'; form-action 'self'");
    if (a->gzip)
        MHD_add_response_header(p, "Content-Encoding", "gzip");
    enum MHD_Result rc = MHD_queue_response(r->connection, 200, p);
    MHD_destroy_response(p);
    return rc;
}

/* A page elsewhere must not reach us under a name of its own (DNS rebinding). */
static bool host_is_ours(struct request *r) {
    const char *host = header(r, "Host");
    if (!r->http->is_loopback || !host)
        return true;
    static const char *const ours[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(ours[i]);
        if (!strncmp(host, ours[i], n) && (host[n] == '\0' || host[n] == ':'))
            return true;
    }
    return false;
}

static void too_large(struct request *r) {
    struct err e = {0};
    err_set(&e, E_LIMIT, "the body is larger than %zu bytes, which is the limit", r->body_max);
    if (r->body_max < BODY_MAX)
        err_hint(&e, "without a valid token no more is read");
    http_problem(r, &e);
    r->status = 413;
}

static void begin(struct request *r, const char *url, const char *method) {
    struct err e = {0};
    r->is_begun = true;
    if (r->body.n > r->body_max) {
        too_large(r);
    } else if (!host_is_ours(r)) {
        err_set(&e, E_DENIED, "this server is not called '%.64s'", header(r, "Host"));
        err_hint(&e, "use 127.0.0.1 or localhost");
        http_problem(r, &e);
    } else {
        api_request(r, url, method);
    }
}

static void slow(void *ctx) {
    struct peer *p = ctx;
    shutdown(p->fd, SHUT_RDWR); /* the library sees the end and lets the connection go */
}

/* A request that trickles in may be busy for ever: the library's own limit is for silence only. 0 = none. */
static void peer_deadline(struct request *r, int64_t in_us) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct peer *p = i ? i->socket_context : NULL;
    if (p && in_us)
        timer_mono_in(r->http->host->loop, &p->deadline, in_us, slow, p);
    else if (p)
        timer_cancel(r->http->host->loop, &p->deadline);
}

static void connected(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code) {
    struct http *s = cls;
    struct peer *p = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        p = *context = calloc(1, sizeof *p);
        p->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        timer_mono_in(s->host->loop, &p->deadline, SLOW_S * 1000000LL, slow, p);
    } else if (p) {
        timer_cancel(s->host->loop, &p->deadline);
        free(p);
        *context = NULL;
        /* At its limit of connections the library looks away from the port, and back only in its next round: without this
         * one there would be none, when all have left together. */
        if (!s->is_closing)
            http_turn(s);
    }
}

/* The head is there. What is certain to be refused is refused before its body is read, and strangers get little room. */
static enum MHD_Result head(struct request *r) {
    const char *length = header(r, "Content-Length");
    bool has_body = header(r, "Transfer-Encoding") || (length && strcmp(length, "0"));
    struct principal p;
    r->body_max = BODY_MAX;
    if (!has_body)
        return MHD_YES;
    peer_deadline(r, SLOW_S * 1000000LL);
    if (http_who(r, &p, NULL))
        r->body_max = STRANGER_MAX;
    if (length && strtoull(length, NULL, 10) > r->body_max) {
        r->is_begun = true;
        too_large(r);
        return http_queue(r);
    }
    return MHD_YES;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **ctx) {
    struct request *r = *ctx;
    (void)version;
    if (!r) {
        r = *ctx = calloc(1, sizeof *r);
        if (!r)
            return MHD_NO;
        r->http = cls;
        r->connection = connection;
        return head(r);
    }
    if (*size) {
        /* What is over the limit is read and dropped, so that the refusal can be heard. */
        if (r->body.n <= r->body_max)
            text_add_n(&r->body, data, *size);
        *size = 0;
        return MHD_YES;
    }
    peer_deadline(r, 0);
    bool is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD");
    const struct asset *a = is_get && !r->is_begun ? asset(r->http, !strcmp(url, "/") ? "/index.html" : url) : NULL;
    if (a && host_is_ours(r))
        return send_asset(r, a);
    if (!r->is_begun && is_get && !strcmp(url, "/api/v1/events"))
        return stream_begin(r);
    if (!r->is_begun)
        begin(r, url, method);
    if (r->is_answered)
        return http_queue(r);
    r->is_suspended = true;
    vec_push(&r->http->waiting, r);
    MHD_suspend_connection(connection);
    return MHD_YES;
}

static void completed(void *cls, struct MHD_Connection *connection, void **ctx, enum MHD_RequestTerminationCode why) {
    struct request *r = *ctx;
    (void)cls;
    (void)connection;
    (void)why;
    *ctx = NULL;
    if (!r)
        return;
    if (!r->http->is_closing)
        peer_deadline(r, 2 * SLOW_S * 1000000LL); /* for the next one: idle, then its head */
    if (!r->is_gone)
        request_free(r);
}

static void complain(void *cls, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void complain(void *cls, const char *format, va_list args) {
    char s[256];
    (void)cls;
    vsnprintf(s, sizeof s, format, args);
    log_debug("http", "%s", s);
}

int http_open(struct host *h, const struct http_config *config, struct http **out, struct err *e) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)config->port)};
    if (config->tls_cert) {
        err_set(e, E_UNSUPPORTED, "TLS on the API port is not offered by this build");
        err_hint(e, "bind loopback and put a TLS front (haproxy, nginx) before it");
        return E_UNSUPPORTED;
    }
    if (inet_pton(AF_INET, config->address, &at.sin_addr) != 1)
        return err_set(e, E_INVAL, "'%.64s' is not an IPv4 address", config->address);
    struct http *s = calloc(1, sizeof *s);
    s->host = h;
    s->assets = config->assets;
    s->nassets = config->nassets;
    random_bytes(&s->epoch, sizeof s->epoch, NULL);
    s->is_loopback = (ntohl(at.sin_addr.s_addr) >> 24) == 127;
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, s,
                                 MHD_OPTION_EXTERNAL_LOGGER, complain, NULL, MHD_OPTION_SOCK_ADDR,
                                 (struct sockaddr *)&at, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)SLOW_S, MHD_OPTION_NOTIFY_COMPLETED, completed, NULL,
                                 MHD_OPTION_NOTIFY_CONNECTION, connected, s,
                                 MHD_OPTION_LISTENING_ADDRESS_REUSE, (unsigned)1, MHD_OPTION_END);
    if (!s->daemon) {
        free(s);
        err_set(e, E_IO, "cannot listen on %s:%d", config->address, config->port);
        err_hint(e, "is the port taken? choose another: --port N, or 0 for any");
        return E_IO;
    }
    s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    int fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    int rc = watch_start(h->loop, &s->watch, fd, WATCH_READ, readable, s);
    if (rc) {
        http_close(s);
        return err_set(e, rc, "cannot watch the HTTP port");
    }
    telemetry_start(h->telemetry);
    *out = s;
    return 0;
}

void http_close(struct http *s) {
    if (!s)
        return;
    timer_cancel(s->host->loop, &s->timer);
    watch_stop(s->host->loop, &s->watch);
    struct MHD_Daemon *d = s->daemon;
    /* The library insists that nothing is suspended when it stops. */
    s->is_closing = true;
    for (size_t i = 0; i < s->streams.n; i++)
        stream_wake(s->streams.p[i]);
    for (size_t i = 0; i < s->waiting.n; i++) {
        s->waiting.p[i]->is_gone = true;
        MHD_resume_connection(s->waiting.p[i]->connection);
    }
    timer_cancel(s->host->loop, &s->timer); /* waking set it again */
    s->daemon = NULL;
    MHD_stop_daemon(d);
    vec_free(&s->streams);
    vec_free(&s->waiting);
    free(s);
}

int http_port(const struct http *s) { return s->port; }
