/* Inside the HTTP front: one request, one event stream. Private to core. */
#ifndef SUAN_CORE_HTTP_PRIVATE_H
#define SUAN_CORE_HTTP_PRIVATE_H

#include <microhttpd.h>

#include "base/vec.h"
#include "core/http.h"

enum { BODY_MAX = 4 << 20, HEAD_MAX = 32 << 10, CONNECTIONS_MAX = 256, SLOW_S = 30, STREAM_MAX = 1 << 20,
       STRANGER_MAX = 4096, STREAMS_MAX = 128 };

struct stream { /* one server-sent-events client */
    struct http *http;
    struct MHD_Connection *connection;
    struct text queue;
    size_t sent;
    bool is_suspended, is_lost; /* lost: the queue overflowed; the client is told to resync */
    bool is_ended;              /* its token is no more */
    char who[64];               /* the token's name: looked at again with each heartbeat */
    uint64_t subscription;
    struct timer heartbeat;
    char kinds[128]; /* "job,task": only these; "" = all */
};

struct peer { /* one connection: a request must be complete in time, however it trickles in */
    int fd;
    struct timer deadline;
};

struct http {
    struct host *host;
    uint32_t epoch; /* of this start: ids of another one's events mean nothing here */
    struct MHD_Daemon *daemon;
    struct watch watch;
    struct timer timer;
    bool is_due; /* MHD_run is deferred already */
    bool is_loopback;
    int port;
    const struct asset *assets;
    size_t nassets;
    bool is_closing;
    VEC(struct stream *) streams;   /* open ones */
    VEC(struct request *) waiting;  /* suspended until their call ends */
};

struct request {
    struct http *http;
    struct MHD_Connection *connection;
    struct text body;
    size_t body_max; /* small for strangers */
    struct call call;
    bool is_begun, is_answered, is_suspended, has_cookie;
    bool is_gone; /* the connection ended before its call: whoever answers frees it */
    int status;
    struct text out;
    const char *type;
    char etag[32], extra_name[32], extra_value[160]; /* one more header: Set-Cookie, Allow, WWW-Authenticate */
};

void http_turn(struct http *s); /* let the library run soon */
void stream_wake(struct stream *s);
/* Route and start; ends in http_answer, now or later. */
void api_request(struct request *r, const char *url, const char *method);
void http_answer(struct request *r, int status, const char *type);
void http_problem(struct request *r, const struct err *e);
enum MHD_Result stream_begin(struct request *r);
enum MHD_Result http_queue(struct request *r);
int http_who(struct request *r, struct principal *p, struct err *e);
struct doc *openapi_doc(struct host *h, struct arena *a);
struct doc *schema_doc(struct host *h, struct arena *a);

#endif
