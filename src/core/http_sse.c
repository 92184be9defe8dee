/* Server-sent events: changes, events, journal rows, as they happen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/http_private.h"

enum { HEARTBEAT_US = 15000000, REPLAY_MAX = 1000 };

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

static void row(struct stream *s, const char *event, const struct doc *data) {
    int64_t id = doc_get_int(data, "revision", -1);
    if (id >= 0)
        text_addf(&s->queue, "id: %08x-%lld\n", s->http->epoch, (long long)id);
    text_addf(&s->queue, "event: %s\ndata: ", event);
    json_print(&s->queue, data, 0);
    text_add(&s->queue, "\n\n");
}

static void on_replay(void *ctx, const char *event, const struct doc *data) {
    if (wanted(ctx, data))
        row(ctx, event, data);
}

/* What changed since the last event that the client has seen; or the word to read everything again, when that was
 * another start of the controller, too long ago, or too much. */
static void replay(struct stream *s, const char *last) {
    unsigned epoch = 0;
    unsigned long long sequence = 0;
    size_t from = s->queue.n;
    bool is_ours = sscanf(last, "%8x-%llu", &epoch, &sequence) == 2 && epoch == s->http->epoch;
    if (is_ours && host_replay(s->http->host, sequence, REPLAY_MAX, on_replay, s) && s->queue.n <= STREAM_MAX)
        return;
    s->queue.n = from;
    text_add(&s->queue, "event: resync\ndata: {}\n\n");
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
    row(s, event, data);
    stream_wake(s);
}

static void heartbeat(void *ctx) {
    struct stream *s = ctx;
    s->is_ended = !auth_is_valid(s->http->host->auth, s->who, loop_wall_us());
    text_add(&s->queue, ": \n\n");
    timer_mono_in(s->http->host->loop, &s->heartbeat, HEARTBEAT_US, heartbeat, s);
    stream_wake(s);
}

static ssize_t reader(void *ctx, uint64_t at, char *to, size_t max) {
    struct stream *s = ctx;
    (void)at;
    size_t n = s->queue.n - s->sent;
    if ((!n && s->http->is_closing) || s->is_ended)
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
    if (s->sent > STREAM_MAX / 4) { /* a reader that never quite catches up must not make the queue grow */
        memmove(s->queue.p, s->queue.p + s->sent, s->queue.n - s->sent);
        s->queue.n -= s->sent;
        s->sent = 0;
    }
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
    const char *kinds = MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, "kinds");
    const char *last = MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, "Last-Event-ID");
    r->is_begun = true;
    int rc = http_who(r, &p, &e);
    if (!rc && r->http->streams.n >= STREAMS_MAX)
        rc = err_set(&e, E_LIMIT, "%d event streams are open, which is the limit", STREAMS_MAX);
    if (rc) {
        http_problem(r, &e);
        return http_queue(r);
    }
    struct stream *s = calloc(1, sizeof *s);
    s->http = r->http;
    s->connection = r->connection;
    str_copy(s->who, sizeof s->who, p.name);
    str_copy(s->kinds, sizeof s->kinds, kinds ? kinds : "");
    text_add(&s->queue, ": hello\n\n");
    if (last)
        replay(s, last);
    vec_push(&s->http->streams, s);
    s->subscription = host_subscribe(h, on_event, s);
    timer_mono_in(h->loop, &s->heartbeat, HEARTBEAT_US, heartbeat, s);
    struct MHD_Response *p2 = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, reader, s, gone);
    MHD_add_response_header(p2, "Content-Type", "text/event-stream");
    MHD_add_response_header(p2, "Cache-Control", "no-store");
    MHD_set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    enum MHD_Result queued = MHD_queue_response(r->connection, 200, p2);
    MHD_destroy_response(p2);
    return queued;
}
