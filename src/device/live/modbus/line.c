#include "device/live/modbus/line.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RETRY_MIN_US = 1000000, RETRY_MAX_US = 30000000, MESSAGE_CONNECT = 1 << 16 };

enum line_state { LINE_CLOSED, LINE_CONNECTING, LINE_OPEN };

struct line_message {
    struct line_message *next;
    line_fn *fn; /* NULL: nobody waits any more */
    const void *owner;
    void *ctx;
    int64_t sent_us;
    struct modbus_frame frame;
};

struct queue {
    struct line_message *first, **last;
    size_t n;
};

struct line {
    struct host *host;
    char name[64]; /* "127.0.0.1:1502" */
    struct sockaddr_storage address;
    socklen_t address_size;
    uint16_t port;
    int users;
    int64_t timeout_us;
    enum line_state state;
    struct watch watch;
    int fd;
    uint32_t id; /* of the connection, for loop_hold_message */
    struct timer silence;
    struct queue waiting, sent;
    uint16_t transaction;
    uint8_t in[MODBUS_FRAME_MAX * 4], out[MODBUS_FRAME_MAX * LINE_IN_FLIGHT_MAX];
    size_t n_in, n_out;
    int failures;
    int64_t retry_us;
    struct rng rng;
    struct err why; /* of the last failure */
    struct line *next;
};

/* Of this process: an address of a host has one line. Few, and walked at open only. */
static struct line *lines;

static void pump(struct line *l);
static void line_down(struct line *l, const struct err *e);

/* -- queues -- */

static void queue_init(struct queue *q) {
    q->first = NULL;
    q->last = &q->first;
    q->n = 0;
}

static void queue_add(struct queue *q, struct line_message *m) {
    m->next = NULL;
    *q->last = m;
    q->last = &m->next;
    q->n++;
}

static struct line_message *queue_take(struct queue *q, struct line_message **at) {
    struct line_message *m = *at;
    *at = m->next;
    if (!*at)
        q->last = at;
    q->n--;
    return m;
}

/* Removes `m` when it is there. */
static bool queue_drop(struct queue *q, struct line_message *m) {
    for (struct line_message **at = &q->first; *at; at = &(*at)->next)
        if (*at == m) {
            queue_take(q, at);
            return true;
        }
    return false;
}

/* -- life -- */

static int address_read(struct line *l, const char *address, uint16_t port, struct err *e) {
    struct sockaddr_in *v4 = (void *)&l->address;
    struct sockaddr_in6 *v6 = (void *)&l->address;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        l->address_size = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        l->address_size = sizeof *v6;
        return 0;
    }
    err_set(e, E_INVAL, "host '%.48s' is not a numeric address", address);
    err_hint(e, "names are not looked up: that would make control wait for a name server");
    return E_INVAL;
}

int line_use(struct host *h, const char *address, uint16_t port, int64_t timeout_us, struct line **out, struct err *e) {
    char name[64];
    snprintf(name, sizeof name, strchr(address, ':') ? "[%.48s]:%u" : "%.48s:%u", address, port);
    for (struct line *l = lines; l; l = l->next)
        if (l->host == h && !strcmp(l->name, name)) {
            l->users++;
            if (timeout_us > l->timeout_us)
                l->timeout_us = timeout_us; /* of different wishes, the most patient */
            *out = l;
            return 0;
        }
    struct line *l = calloc(1, sizeof *l);
    assert(l);
    int rc = address_read(l, address, port, e);
    if (rc) {
        free(l);
        return rc;
    }
    snprintf(l->name, sizeof l->name, "%s", name);
    l->host = h;
    l->port = port;
    l->users = 1;
    l->timeout_us = timeout_us;
    l->fd = -1;
    l->rng = rng_fork(&h->rng, l->name);
    queue_init(&l->waiting);
    queue_init(&l->sent);
    l->next = lines;
    lines = l;
    *out = l;
    return 0;
}

static void line_close(struct line *l) {
    struct loop *loop = l->host->loop;
    timer_cancel(loop, &l->silence);
    if (l->fd >= 0) {
        loop_release_line(loop, l->id);
        watch_stop(loop, &l->watch);
        close(l->fd);
    }
    l->fd = -1;
    l->n_in = l->n_out = 0;
    l->state = LINE_CLOSED;
}

static void message_end(struct line_message *m, int rc, const uint8_t *pdu, size_t n, const struct err *e) {
    line_fn *fn = m->fn;
    void *ctx = m->ctx;
    free(m);
    if (fn)
        fn(ctx, rc, pdu, n, e);
}

static void owner_end(struct line *l, const void *owner, const struct err *e) {
    for (struct line_message **at = &l->waiting.first; *at;)
        if ((*at)->owner == owner)
            message_end(queue_take(&l->waiting, at), e->code, NULL, 0, e);
        else
            at = &(*at)->next;
    for (struct line_message *m = l->sent.first; m; m = m->next)
        if (m->owner == owner && m->fn) {
            m->fn(m->ctx, e->code, NULL, 0, e);
            m->fn = NULL;
        }
}

void line_leave(struct line *l, const void *owner) {
    struct err e = {0};
    err_set(&e, E_CANCELLED, "%s: the device is closed", l->name);
    owner_end(l, owner, &e);
    if (--l->users)
        return;
    for (struct line **at = &lines; *at; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            break;
        }
    line_down(l, &e);
    free(l);
}

/* Everything on the way ends with `e`. */
static void line_down(struct line *l, const struct err *e) {
    line_close(l);
    l->why = *e;
    struct line_message *all[2] = {l->sent.first, l->waiting.first};
    queue_init(&l->sent);
    queue_init(&l->waiting);
    for (int i = 0; i < 2; i++)
        for (struct line_message *m = all[i], *next; m; m = next) {
            next = m->next;
            message_end(m, e->code, NULL, 0, e);
        }
}

/* The first loss after success may be a restart over there: try again at once. After that, wait longer and longer. */
static void line_failed(struct line *l, int code, const char *what) {
    struct err e = {0};
    struct loop *loop = l->host->loop;
    if (l->failures || l->state == LINE_CONNECTING || l->state == LINE_CLOSED) {
        int doublings = l->failures < 5 ? l->failures : 5;
        int64_t wait = (int64_t)RETRY_MIN_US << doublings;
        if (wait > RETRY_MAX_US)
            wait = RETRY_MAX_US;
        l->retry_us = loop_mono_us(loop) + (int64_t)((double)wait * (0.75 + 0.5 * rng_unit(&l->rng)));
    }
    l->failures++;
    err_set(&e, code, "%s: %s", l->name, what);
    line_down(l, &e);
}

static void on_silence(void *ctx) {
    struct line *l = ctx;
    line_failed(l, E_TIMEOUT,
                l->state == LINE_CONNECTING ? "no connection in time" : "silent although answers are due");
}

static void silence_watch(struct line *l) {
    if (l->state == LINE_CONNECTING || l->sent.n)
        timer_mono_in(l->host->loop, &l->silence, l->timeout_us, on_silence, l);
    else
        timer_cancel(l->host->loop, &l->silence);
}

/* -- in and out -- */

static void answer_take(struct line *l, const struct modbus_frame *f) {
    struct line_message **at = &l->sent.first;
    while (*at && (*at)->frame.transaction != f->transaction)
        at = &(*at)->next;
    if (!*at)
        return; /* so late that nobody remembers it */
    if ((*at)->frame.unit != f->unit) {
        line_failed(l, E_PARSE, "answers for another unit");
        return;
    }
    struct line_message *m = queue_take(&l->sent, at);
    loop_release_message(l->host->loop, l->id, f->transaction);
    l->failures = 0;
    message_end(m, 0, f->pdu, f->n, NULL);
}

static void frames_take(struct line *l) {
    struct modbus_frame f;
    size_t from = 0;
    int used = 0;
    while (l->state == LINE_OPEN && (used = modbus_frame_read(l->in + from, l->n_in - from, &f)) > 0) {
        from += (size_t)used;
        answer_take(l, &f);
    }
    if (l->state != LINE_OPEN)
        return;
    if (used < 0) {
        line_failed(l, E_PARSE, "does not speak Modbus TCP");
        return;
    }
    memmove(l->in, l->in + from, l->n_in - from);
    l->n_in -= from;
}

static void receive(struct line *l) {
    while (l->state == LINE_OPEN) {
        ssize_t n = recv(l->fd, l->in + l->n_in, sizeof l->in - l->n_in, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (n <= 0) {
            line_failed(l, E_UNAVAIL, n ? strerror(errno) : "the connection was closed over there");
            return;
        }
        l->n_in += (size_t)n;
        silence_watch(l);
        frames_take(l);
    }
}

static void flush(struct line *l) {
    size_t from = 0;
    while (from < l->n_out) {
        ssize_t n = send(l->fd, l->out + from, l->n_out - from, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            line_failed(l, E_UNAVAIL, strerror(errno));
            return;
        }
        from += (size_t)n;
    }
    memmove(l->out, l->out + from, l->n_out - from);
    l->n_out -= from;
    watch_events(l->host->loop, &l->watch, WATCH_READ | (l->n_out ? WATCH_WRITE : 0));
}

static void connected(struct line *l) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    loop_release_message(l->host->loop, l->id, MESSAGE_CONNECT);
    if (error) {
        line_failed(l, E_UNAVAIL, strerror(error));
        return;
    }
    l->state = LINE_OPEN;
    watch_events(l->host->loop, &l->watch, WATCH_READ);
}

static void on_ready(void *ctx, int fd, int events) {
    struct line *l = ctx;
    (void)fd;
    if (l->state == LINE_CONNECTING)
        connected(l);
    else if (events & WATCH_READ)
        receive(l);
    if (l->state == LINE_OPEN)
        pump(l);
}

static uint16_t port_of(const struct sockaddr_storage *s) {
    return ntohs(s->ss_family == AF_INET ? ((const struct sockaddr_in *)(const void *)s)->sin_port
                                         : ((const struct sockaddr_in6 *)(const void *)s)->sin6_port);
}

static void line_connect(struct line *l) {
    struct sockaddr_storage own = {0};
    socklen_t size = sizeof own;
    int one = 1, fd = socket(l->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        line_failed(l, E_IO, strerror(errno));
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if ((connect(fd, (struct sockaddr *)&l->address, l->address_size) && errno != EINPROGRESS) ||
        getsockname(fd, (struct sockaddr *)&own, &size) ||
        watch_start(l->host->loop, &l->watch, fd, WATCH_READ | WATCH_WRITE, on_ready, l)) {
        int error = errno;
        close(fd);
        line_failed(l, E_UNAVAIL, strerror(error));
        return;
    }
    l->fd = fd;
    l->state = LINE_CONNECTING;
    l->id = (uint32_t)port_of(&own) << 16 | l->port;
    loop_hold_message(l->host->loop, l->id, MESSAGE_CONNECT);
    silence_watch(l);
}

static bool transaction_is_free(const struct line *l, uint16_t t) {
    for (const struct line_message *m = l->sent.first; m; m = m->next)
        if (m->frame.transaction == t)
            return false;
    return true;
}

/* Forget transactions that nobody waits for and that were never answered. */
static void stale_drop(struct line *l) {
    int64_t before_us = loop_mono_us(l->host->loop) - l->timeout_us;
    for (struct line_message **at = &l->sent.first; *at;)
        if (!(*at)->fn && (*at)->sent_us < before_us)
            free(queue_take(&l->sent, at));
        else
            at = &(*at)->next;
}

static void pump(struct line *l) {
    stale_drop(l);
    while (l->state == LINE_OPEN && l->waiting.first && l->sent.n < LINE_IN_FLIGHT_MAX &&
           l->n_out + MODBUS_FRAME_MAX <= sizeof l->out) {
        struct line_message *m = queue_take(&l->waiting, &l->waiting.first);
        while (!transaction_is_free(l, ++l->transaction))
            ;
        m->frame.transaction = l->transaction;
        m->sent_us = loop_mono_us(l->host->loop);
        l->n_out += modbus_frame_write(&m->frame, l->out + l->n_out);
        loop_hold_message(l->host->loop, l->id, m->frame.transaction);
        if (!l->sent.n)
            timer_mono_in(l->host->loop, &l->silence, l->timeout_us, on_silence, l);
        queue_add(&l->sent, m);
    }
    if (l->state == LINE_OPEN)
        flush(l);
    if (l->state == LINE_OPEN && !l->sent.n)
        silence_watch(l);
}

struct line_message *line_send(struct line *l, const void *owner, uint8_t unit, const uint8_t *pdu, size_t n,
                               line_fn *fn, void *ctx, struct err *e) {
    if (l->waiting.n >= LINE_QUEUE_MAX) {
        err_set(e, E_LIMIT, "%s: %d requests wait for this line already", l->name, LINE_QUEUE_MAX);
        return NULL;
    }
    if (l->state == LINE_CLOSED) {
        int64_t wait_us = l->retry_us - loop_mono_us(l->host->loop);
        if (l->failures && wait_us > 0) {
            err_set(e, E_UNAVAIL, "%s", l->why.message);
            err_hint(e, "the next connection is tried in %.1f s", (double)wait_us * 1e-6);
            return NULL;
        }
        line_connect(l);
        if (l->state == LINE_CLOSED) {
            *e = l->why;
            return NULL;
        }
    }
    struct line_message *m = calloc(1, sizeof *m);
    assert(m && n >= 1 && n <= MODBUS_PDU_MAX);
    m->fn = fn;
    m->owner = owner;
    m->ctx = ctx;
    m->frame.unit = unit;
    m->frame.n = n;
    memcpy(m->frame.pdu, pdu, n);
    queue_add(&l->waiting, m);
    pump(l);
    return m;
}

void line_forget(struct line *l, struct line_message *m) {
    m->fn = NULL;
    if (queue_drop(&l->waiting, m))
        free(m);
}
