/* Server-sent events: changes, events, journal rows, as they happen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_private.h"

enum { HEARTBEAT_US = 15000000 };

void stream_wake(struct stream *s) {
    if (!s->is_suspended)
        return;
    s->is_suspended = false;
    MHD_resume_connection(s->connection);
    http_turn(s->http);
}

static bool wanted(const struct stream *s, const struct doc *d) {
    const char *kind = doc_get_str(d, "kind", NULL);
    if (!*s->kinds || !kind)
        return true;
    size_t n = strlen(kind);
    for (const char *p = s->kinds; (p = strstr(p, kind)); p += n)
        if ((p == s->kinds || p[-1] == ',') && (p[n] == ',' || !p[n]))
            return true;
    return false;
}

static void on_event(void *ctx, const char *event, const struct doc *data) {
    struct stream *s = ctx;
    if (!strcmp(event, "change") && !wanted(s, data))
        return;
    if (s->queue.n - s->sent > STREAM_MAX) {
        /* A slow reader loses events, and is told so once: it reads everything again. */
        if (!s->is_lost)
            text_add(&s->queue, "event: resync\ndata: {}\n\n");
        s->is_lost = true;
        return;
    }
    s->is_lost = false;
    int64_t id = doc_get_int(data, "revision", -1);
    if (id >= 0)
        text_addf(&s->queue, "id: %lld\n", (long long)id);
    text_addf(&s->queue, "event: %s\ndata: ", event);
    json_print(&s->queue, data, 0);
    text_add(&s->queue, "\n\n");
    stream_wake(s);
}

static void heartbeat(void *ctx) {
    struct stream *s = ctx;
    text_add(&s->queue, ": \n\n");
    timer_mono_in(s->http->host->loop, &s->heartbeat, HEARTBEAT_US, heartbeat, s);
    stream_wake(s);
}

static ssize_t reader(void *ctx, uint64_t at, char *to, size_t max) {
    struct stream *s = ctx;
    (void)at;
    size_t n = s->queue.n - s->sent;
    if (!n && s->http->is_closing)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (!n) {
        text_reset(&s->queue);
        s->sent = 0;
        s->is_suspended = true;
        MHD_suspend_connection(s->connection);
        return 0;
    }
    n = n < max ? n : max;
    memcpy(to, s->queue.p + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

static void gone(void *ctx) {
    struct stream *s = ctx;
    struct http *http = s->http;
    for (size_t i = 0; i < http->streams.n; i++)
        if (http->streams.p[i] == s)
            http->streams.p[i] = http->streams.p[--http->streams.n];
    host_unsubscribe(s->http->host, s->subscription);
    timer_cancel(s->http->host->loop, &s->heartbeat);
    text_free(&s->queue);
    free(s);
}

enum MHD_Result stream_begin(struct request *r) {
    struct host *h = r->http->host;
    struct principal p;
    struct err e = {0};
    const char *bearer = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Authorization");
    const char *cookie = MHD_lookup_connection_value(r->connection, MHD_COOKIE_KIND, "suan");
    const char *secret = bearer && !strncasecmp(bearer, "Bearer ", 7) ? bearer + 7 : cookie ? cookie : "";
    const char *kinds = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "kinds");
    const char *last = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Last-Event-ID");
    r->is_begun = true;
    if (auth_check(h->auth, secret, loop_now_us(h->loop), &p, &e)) {
        http_problem(r, &e);
        struct MHD_Response *no = MHD_create_response_from_buffer(r->out.n, r->out.p, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result rc = MHD_queue_response(r->connection, 401, no);
        MHD_destroy_response(no);
        return rc;
    }
    struct stream *s = calloc(1, sizeof *s);
    s->http = r->http;
    s->connection = r->connection;
    str_copy(s->kinds, sizeof s->kinds, kinds ? kinds : "");
    text_add(&s->queue, ": hello\n\n");
    /* Where the client left off cannot be replayed object by object more cheaply than by reading again. */
    if (last && strtoull(last, NULL, 10) != estate_sequence(h->estate))
        text_add(&s->queue, "event: resync\ndata: {}\n\n");
    vec_push(&s->http->streams, s);
    s->subscription = host_subscribe(h, on_event, s);
    timer_mono_in(h->loop, &s->heartbeat, HEARTBEAT_US, heartbeat, s);
    struct MHD_Response *p2 = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, reader, s, gone);
    MHD_add_response_header(p2, "Content-Type", "text/event-stream");
    MHD_add_response_header(p2, "Cache-Control", "no-store");
    MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    enum MHD_Result rc = MHD_queue_response(r->connection, 200, p2);
    MHD_destroy_response(p2);
    return rc;
}
