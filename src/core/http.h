/* HTTP: libmicrohttpd (external epoll) driven by our loop.
 *
 *   GET  /                       the console (embedded)          GET /healthz /readyz
 *   GET  /metrics                OpenMetrics                     GET /api/v1/openapi.json  /api/v1/schema
 *   GET  /api/v1/<kind>          list: core/list.h says its words
 *   POST /api/v1/<kind>          create {name, parent, fields…}
 *   GET|PATCH|DELETE /api/v1/<kind>/<name>      If-Match: "<revision>" honoured; ETag sent
 *   POST /api/v1/<kind>/<name>/<verb>    POST /api/v1/<on>/<verb>     GET for VERB_READ verbs, fields as query
 *   GET  /api/v1/events          server-sent events (?kinds=job,task), Last-Event-ID replays from the feed
 *   ?dry_run=1 on every changing call.
 * Authorization: Bearer <token>; the console keeps it in a cookie `suan` (HttpOnly, SameSite=Strict) set by
 * POST /api/v1/session {token} and cleared by DELETE. Refused within limits: head > 32 KiB, body > 4 MiB, more than 256
 * connections, a request slower than 30 s, JSON deeper than 32. Errors are application/problem+json. Binds loopback
 * unless told otherwise. */
#ifndef SUAN_CORE_HTTP_H
#define SUAN_CORE_HTTP_H

#include "base/err.h"
#include "core/host.h"

struct asset { /* of the console, embedded by app */
    const char *path, *type;
    const unsigned char *p;
    size_t n;
    bool gzip; /* content is gzip-encoded */
};

struct http_config {
    const char *address; /* "127.0.0.1" */
    int port;            /* 0 = any free one */
    const char *tls_cert, *tls_key; /* PEM files or NULL */
    const struct asset *assets;
    size_t nassets;
};
struct http;
int http_open(struct host *h, const struct http_config *config, struct http **out, struct err *e);
void http_close(struct http *s);
int http_port(const struct http *s);

#endif
