#include "app/client.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 256 << 20 };

struct client {
    CURL *curl;
    struct curl_slist *headers;
    char url[APP_PATH], token[128];
    char error[CURL_ERROR_SIZE];
};

static int url_find(const struct options *o, struct client *c, struct err *e) {
    const char *given = o->url ? o->url : getenv("SUAN_URL");
    if (given && *given) {
        str_copy(c->url, sizeof c->url, given);
        size_t n = strlen(c->url);
        if (n && c->url[n - 1] == '/')
            c->url[n - 1] = '\0';
        return 0;
    }
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    char state[APP_PATH];
    int rc = place_state(o, state, e);
    if (!rc)
        rc = controller_read(state, &a, &d, e);
    if (!rc)
        str_copy(c->url, sizeof c->url, doc_get_str(d, "url", ""));
    arena_free(&a);
    return rc;
}

/* The token never stands in argv, where any user of the machine could read it. */
static int token_find(const struct options *o, struct client *c, struct err *e) {
    const char *given = o->token_file ? o->token_file : getenv("SUAN_TOKEN_FILE");
    char path[APP_PATH + 16], state[APP_PATH];
    struct text t = TEXT_INIT;
    if (given && *given) {
        str_copy(path, sizeof path, given);
    } else {
        int rc = place_state(o, state, e);
        if (rc)
            return rc;
        snprintf(path, sizeof path, "%s/token", state);
    }
    int rc = file_read(path, 1024, &t, e);
    while (t.n && (t.p[t.n - 1] == '\n' || t.p[t.n - 1] == ' '))
        t.p[--t.n] = '\0';
    if (!rc && !str_copy(c->token, sizeof c->token, text_str(&t)))
        rc = err_set(e, E_INVAL, "%s does not hold a token", path);
    if (rc)
        err_hint(e, "name a file that holds your token: --token-file FILE or $SUAN_TOKEN_FILE");
    text_free(&t);
    return rc;
}

int client_open(const struct options *o, struct client **out, struct err *e) {
    struct client *c = calloc(1, sizeof *c);
    char line[256];
    int rc = url_find(o, c, e);
    if (!rc)
        rc = token_find(o, c, e);
    if (!rc && !(c->curl = curl_easy_init()))
        rc = err_set(e, E_INTERNAL, "libcurl does not start");
    if (rc) {
        free(c);
        return rc;
    }
    snprintf(line, sizeof line, "Authorization: Bearer %s", c->token);
    c->headers = curl_slist_append(NULL, line);
    c->headers = curl_slist_append(c->headers, "Content-Type: application/json");
    c->headers = curl_slist_append(c->headers, "Expect:");
    *out = c;
    return 0;
}

void client_close(struct client *c) {
    if (!c)
        return;
    curl_slist_free_all(c->headers);
    curl_easy_cleanup(c->curl);
    explicit_bzero(c->token, sizeof c->token);
    free(c);
}

void client_encode(struct text *out, const char *text) {
    for (; *text; text++)
        if ((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') || (*text >= '0' && *text <= '9') ||
            strchr("-._~", *text))
            text_add_char(out, *text);
        else
            text_addf(out, "%%%02X", (unsigned char)*text);
}

static size_t receive(char *p, size_t size, size_t n, void *ctx) {
    struct text *t = ctx;
    if (t->n + size * n > ANSWER_MAX)
        return 0;
    text_add_n(t, p, size * n);
    return size * n;
}

/* The controller's problem document, word for word. */
static int problem(long status, const struct text *t, struct err *e) {
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    int code = E_INTERNAL;
    if (json_parse(&a, "answer", text_str(t), t->n, NULL, &d, NULL)) {
        err_set(e, E_INTERNAL, "the controller answered %ld without saying why", status);
    } else {
        const char *name = doc_get_str(d, "code", "internal");
        for (int i = -1; i >= E_INTERNAL; i--)
            if (!strcmp(err_name(i), name))
                code = i;
        err_set(e, code, "%s", doc_get_str(d, "message", name));
        str_copy(e->detail, sizeof e->detail, doc_get_str(d, "detail", ""));
        str_copy(e->hint, sizeof e->hint, doc_get_str(d, "hint", ""));
        str_copy(e->place, sizeof e->place, doc_get_str(d, "place", ""));
    }
    arena_free(&a);
    return code;
}

int client_call(struct client *c, const char *path, const struct doc *body, struct text *out, struct err *e) {
    char url[APP_PATH * 4];
    struct text json = TEXT_INIT;
    long status = 0;
    if (snprintf(url, sizeof url, "%s/api/v1/%s", c->url, path) >= (int)sizeof url)
        return err_set(e, E_LIMIT, "the request's path is too long");
    curl_easy_reset(c->curl);
    if (body)
        json_print(&json, body, 0);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, out);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*"); /* a controller is called directly, whatever the environment says */
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 660L);
    if (body) {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, text_str(&json));
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)json.n);
    }
    c->error[0] = '\0';
    CURLcode got = curl_easy_perform(c->curl);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    text_free(&json);
    if (got != CURLE_OK) {
        err_set(e, E_UNAVAIL, "no controller answers at %s", c->url);
        str_copy(e->detail, sizeof e->detail, *c->error ? c->error : curl_easy_strerror(got));
        err_hint(e, "start one: suan up ESTATE; or name another: --url or --state");
        return E_UNAVAIL;
    }
    return status >= 400 ? problem(status, out, e) : 0;
}

int client_doc(struct client *c, const char *path, const struct doc *body, struct arena *a, struct doc **out,
               struct err *e) {
    struct text t = TEXT_INIT;
    int rc = client_call(c, path, body, &t, e);
    if (!rc)
        rc = json_parse(a, "answer", text_str(&t), t.n, NULL, out, e);
    text_free(&t);
    return rc;
}
