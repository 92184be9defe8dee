/* From a path to a verb, and the answer back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_private.h"

static const struct doc_limits body_limits = {.bytes_max = BODY_MAX, .depth_max = 32, .nodes_max = 200000};

static void refuse(struct request *r, int code, const char *message, const char *hint) {
    struct err e;
    err_set(&e, code, "%s", message);
    if (hint)
        err_hint(&e, "%s", hint);
    http_problem(r, &e);
}

int http_who(struct request *r, struct principal *p, struct err *e) {
    const char *h = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");
    const char *c = MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, "suan");
    const char *secret = h && !strncasecmp(h, "Bearer ", 7) ? h + 7 : NULL;
    r->has_cookie = !secret && c;
    if (!secret && !c) {
        err_set(e, E_AUTH, "no token was sent");
        err_hint(e, "send Authorization: Bearer TOKEN; the first one lies in the state folder's file `token`");
        return E_AUTH;
    }
    return auth_check(r->http->host->auth, secret ? secret : c, loop_wall_us(), p, e);
}

/* With a cookie the browser sends the name of the page that asks: only our own may change anything. */
static bool origin_is_ours(struct request *r) {
    const char *origin = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Origin");
    const char *host = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Host");
    if (!r->has_cookie)
        return true;
    const char *name = origin ? strstr(origin, "://") : NULL;
    return name && host && !strcmp(name + 3, host); /* browsers always say so when something changes */
}

static void answer(struct call *c, int rc) {
    struct request *r = c->transport_ctx;
    if (rc) {
        http_problem(r, &c->err);
        return;
    }
    if (c->verb->flags & VERB_RAW) {
        r->out = c->raw;
        c->raw = TEXT_INIT;
        http_answer(r, 200, c->raw_type);
        return;
    }
    if (c->object && estate_alive(c->host->estate, c->object))
        snprintf(r->etag, sizeof r->etag, "\"%llu\"", (unsigned long long)estate_revision_of(c->host->estate, c->object));
    text_reset(&r->out);
    json_print(&r->out, call_output(c), 0);
    http_answer(r, 200, "application/json");
}

static enum MHD_Result query_add(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value) {
    struct call *c = ctx;
    (void)kind;
    if (!strcmp(key, "dry_run")) {
        c->dry_run = !value || strcmp(value, "0");
        return MHD_YES;
    }
    if (!c->body)
        c->body = doc_map(&c->arena);
    if (!doc_get(c->body, key) && c->body->list.n < 64)
        doc_put(c->body, arena_strdup(&c->arena, key), doc_str(&c->arena, value ? value : ""));
    return MHD_YES;
}

static int body_read(struct request *r, struct call *c) {
    struct doc *d = NULL;
    if (!r->body.n)
        return 0;
    const char *type = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Content-Type");
    if (type && !strncmp(type, "application/yaml", 16)) {
        int rc = yaml_parse(&c->arena, "body", r->body.p, r->body.n, &body_limits, &d, &c->err);
        c->body = rc ? c->body : d;
        return rc;
    }
    if (type && strncmp(type, "application/json", 16) && strncmp(type, "application/merge-patch+json", 28)) {
        err_set(&c->err, E_UNSUPPORTED, "a body of type %.64s cannot be read", type);
        err_hint(&c->err, "send application/json or application/yaml");
        return E_UNSUPPORTED;
    }
    int rc = json_parse(&c->arena, "body", r->body.p, r->body.n, &body_limits, &d, &c->err);
    if (!rc && d->type != DOC_MAP)
        rc = err_set_at(&c->err, E_INVAL, "body:1:1", "a map is wanted, not a %s", doc_type_name(d->type));
    c->body = rc ? c->body : d;
    return rc;
}

static int if_match(struct request *r, struct call *c, const char *on, const char *name) {
    const char *tag = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "If-Match");
    oid id = tag && name ? estate_find(c->host->estate, on, name) : 0;
    if (!id || !strcmp(tag, "*"))
        return 0;
    unsigned long long now = estate_revision_of(c->host->estate, id), then = strtoull(tag + (*tag == '"'), NULL, 10);
    if (now == then)
        return 0;
    err_set(&c->err, E_CONFLICT, "%s/%s has changed since: it is at %llu, not %llu", on, name, now, then);
    err_hint(&c->err, "read it again, then change it");
    return E_CONFLICT;
}

/* on / name / verb, from path and method. */
static void call_route(struct request *r, const char *on, const char *name, const char *verb, bool is_get) {
    struct call *c = &r->call;
    struct host *h = r->http->host;
    c->host = h;
    c->answer = answer;
    c->transport_ctx = r;
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, query_add, c);
    struct doc *query = c->body;
    int rc = http_who(r, &c->who, &c->err);
    if (!rc)
        rc = body_read(r, c);
    const struct verb *v = verbs_find(h->verbs, on, verb);
    v = v ? v : estate_kind(h->estate, on) ? verbs_find(h->verbs, "*", verb) : NULL;
    if (!rc && v && is_get && !(v->flags & VERB_READ)) {
        rc = err_set(&c->err, E_INVAL, "%s %s changes something, so it wants POST", on, verb);
        strcpy(r->extra_name, "Allow");
        strcpy(r->extra_value, "POST");
        http_problem(r, &c->err);
        r->status = 405;
        return;
    }
    if (!rc && !is_get && !origin_is_ours(r))
        rc = err_set(&c->err, E_DENIED, "a page of another site asked for this");
    if (!rc && !is_get)
        rc = if_match(r, c, on, name);
    if (rc) {
        http_problem(r, &c->err);
        return;
    }
    struct doc *body = c->body ? c->body : query;
    if (query && c->body != query) {
        /* A misspelt ?dry_run beside a body must not run for real. */
        err_set(&c->err, E_INVAL, "'%.48s' is not a parameter of the path when there is a body", query->list.first->key);
        err_hint(&c->err, "fields belong into the body; ?dry_run=1 is the only parameter");
        http_problem(r, &c->err);
        return;
    }
    call_start(c, on, name, verb, body, "body");
}

static void session(struct request *r) {
    struct host *h = r->http->host;
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    struct err e = {0};
    struct principal p = {0};
    int rc = json_parse(&a, "body", r->body.p ? r->body.p : "", r->body.n, &body_limits, &d, &e);
    const char *token = rc ? "" : doc_get_str(d, "token", "");
    if (!rc)
        rc = auth_check(h->auth, token, loop_wall_us(), &p, &e);
    if (rc) {
        http_problem(r, &e);
    } else {
        strcpy(r->extra_name, "Set-Cookie");
        snprintf(r->extra_value, sizeof r->extra_value, "suan=%s; Path=/; HttpOnly; SameSite=Strict", token);
        text_addf(&r->out, "{\"user\":\"%s\",\"role\":\"%s\"}", p.name, role_words[p.role]);
        http_answer(r, 200, "application/json");
    }
    arena_free(&a);
}

/* The browser cannot forget an HttpOnly cookie by itself. */
static void session_end(struct request *r) {
    strcpy(r->extra_name, "Set-Cookie");
    strcpy(r->extra_value, "suan=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    text_add(&r->out, "{}");
    http_answer(r, 200, "application/json");
}

/* Documents about the API itself, for whoever may read. */
static bool own_document(struct request *r, const char *path) {
    struct host *h = r->http->host;
    struct arena a = ARENA_INIT;
    struct err e = {0};
    struct principal p;
    struct doc *d = NULL;
    bool is_schema = !strcmp(path, "schema"), is_openapi = !strcmp(path, "openapi.json");
    if (!is_schema && !is_openapi && strcmp(path, "metrics/history"))
        return false;
    if (http_who(r, &p, &e)) {
        http_problem(r, &e);
        return true;
    }
    if (is_schema) {
        d = schema_doc(h, &a);
    } else if (is_openapi) {
        d = openapi_doc(h, &a);
    } else {
        const char *name = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "name");
        const char *label = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "label");
        const char *labels[] = {label, NULL, NULL, NULL};
        d = doc_map(&a);
        doc_put(d, "series", metric_history(h->metrics, name ? name : "", labels, &a));
    }
    json_print(&r->out, d, 0);
    arena_free(&a);
    http_answer(r, 200, "application/json");
    return true;
}

static void method_refuse(struct request *r, const char *allow) {
    struct err e;
    err_set(&e, E_INVAL, "this method is not for this path");
    http_problem(r, &e);
    strcpy(r->extra_name, "Allow");
    str_copy(r->extra_value, sizeof r->extra_value, allow);
    r->status = 405;
}

/* Two or three parts: <on>, <on>/<name or verb>, <on>/<name>/<verb>. */
static void route(struct request *r, char *path, const char *method) {
    struct host *h = r->http->host;
    char *on = strsep(&path, "/"), *second = strsep(&path, "/"), *third = strsep(&path, "/");
    bool is_get = !strcmp(method, "GET") || !strcmp(method, "HEAD"), is_post = !strcmp(method, "POST");
    bool is_kind = estate_kind(h->estate, on) != NULL;
    if (path && *path) {
        refuse(r, E_NOTFOUND, "the path has too many parts", "/api/v1/<kind>/<name>/<verb>");
    } else if (third && *third) {
        if (is_get || is_post)
            call_route(r, on, second, third, is_get);
        else
            method_refuse(r, "GET, POST");
    } else if (second && *second) {
        const struct verb *v = verbs_find(h->verbs, on, second);
        bool is_verb = (v && !v->on_object) || !is_kind;
        if (is_verb && (is_get || is_post))
            call_route(r, on, NULL, second, is_get);
        else if (is_verb)
            method_refuse(r, "GET, POST");
        else if (is_get)
            call_route(r, on, second, "show", true);
        else if (!strcmp(method, "PATCH"))
            call_route(r, on, second, "set", false);
        else if (!strcmp(method, "DELETE"))
            call_route(r, on, second, "delete", false);
        else
            method_refuse(r, "GET, PATCH, DELETE");
    } else if (is_get) {
        call_route(r, on, NULL, "list", true);
    } else if (is_post) {
        call_route(r, on, NULL, "create", false);
    } else {
        method_refuse(r, "GET, POST");
    }
}

/* What a fixed path may be asked; NULL = it is none. */
static const char *fixed_allow(const char *url) {
    static const char *const read_only[] = {"/healthz", "/readyz", "/metrics", "/api/v1/schema", "/api/v1/openapi.json",
                                            "/api/v1/metrics/history", "/api/v1/events"};
    for (size_t i = 0; i < sizeof read_only / sizeof read_only[0]; i++)
        if (!strcmp(url, read_only[i]))
            return "GET, HEAD";
    return strcmp(url, "/api/v1/session") ? NULL : "POST, DELETE";
}

static bool is_allowed(const char *allow, const char *method) {
    size_t n = strlen(method);
    for (const char *p = allow; n && p; p = strstr(p, ", "), p = p ? p + 2 : NULL)
        if (!strncmp(p, method, n) && (p[n] == ',' || !p[n]))
            return true;
    return false;
}

void api_request(struct request *r, const char *url, const char *method) {
    struct host *h = r->http->host;
    struct err e = {0};
    struct principal p;
    const char *allow = fixed_allow(url);
    if (allow && !is_allowed(allow, method)) {
        method_refuse(r, allow);
    } else if (!strcmp(url, "/healthz") || !strcmp(url, "/readyz")) {
        bool good = url[1] == 'h' || store_ok(h->store, &e);
        text_add(&r->out, good ? "ok\n" : e.message);
        http_answer(r, good ? 200 : 503, "text/plain");
    } else if (!strcmp(url, "/metrics")) {
        if (http_who(r, &p, &e)) {
            http_problem(r, &e);
            return;
        }
        metrics_print(h->metrics, &r->out);
        http_answer(r, 200, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    } else if (!strcmp(url, "/api/v1/session") && !strcmp(method, "POST")) {
        session(r);
    } else if (!strcmp(url, "/api/v1/session") && !strcmp(method, "DELETE")) {
        session_end(r);
    } else if (!strncmp(url, "/api/v1/", 8) && url[8]) {
        char path[256];
        if (!str_copy(path, sizeof path, url + 8))
            refuse(r, E_LIMIT, "the path is longer than 255 bytes", NULL);
        else if (!own_document(r, path))
            route(r, path, method);
    } else {
        refuse(r, E_NOTFOUND, "nothing is here", "the API is below /api/v1/; /api/v1/openapi.json describes it");
    }
}
