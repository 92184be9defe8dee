/* Listener → connection → transaction. It asks the unit's instrument and answers when that does.
 * Transactions outlive their connection (a command that has arrived is carried out whether or not somebody still
 * listens). */
#include "device/wire/modbus.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "device/class/pdu.h"
#include "device/live/modbus/pdu_map.h"

struct server;
struct unit {
    oid id;
    struct backend *instrument;
};

struct connection {
    struct server *server;
    struct watch watch;
    int fd;
    uint32_t line; /* for loop_hold_message */
    struct timer idle;
    uint8_t in[MODBUS_FRAME_MAX * 2];
    size_t n_in;
    struct text out;
    int in_flight;
    struct connection *next, **from;
};

struct transaction {
    struct wire_modbus *wire;
    struct connection *connection; /* NULL: gone meanwhile */
    struct unit *unit;
    struct device_request request;
    struct modbus_frame frame;
    struct modbus_ask ask;
    bool was_held;    /* the asker lives in this process */
    uint16_t written; /* outlets of a write of many that are done */
    union {
        struct pdu_switch outlet;
        struct pdu_limit limit;
    } in;
    struct pdu_reading reading;
    struct transaction *next, **from;
};

struct server {
    struct wire_modbus *wire;
    struct watch watch;
    struct timer accept_again; /* after running out of descriptors */
    int fd;
    uint16_t port;
    struct unit units[WIRE_MODBUS_UNITS];
    size_t n_units;
    struct connection *connections;
    int n_connections;
};

struct wire_modbus {
    struct host *host;
    const struct backend_ops *ops;
    struct wire_modbus_options options;
    struct wire_modbus_stats stats;
    struct server *servers;
    size_t n_servers;
    struct transaction *transactions;
};

/* -- connections -- */

static struct loop *loop_of(const struct connection *c) {
    return c->server->wire->host->loop;
}

static void connection_close(struct connection *c) {
    struct wire_modbus *w = c->server->wire;
    for (struct transaction *t = w->transactions; t; t = t->next)
        if (t->connection == c)
            t->connection = NULL;
    loop_release_line(loop_of(c), c->line);
    timer_cancel(loop_of(c), &c->idle);
    watch_stop(loop_of(c), &c->watch);
    close(c->fd);
    text_free(&c->out);
    *c->from = c->next;
    if (c->next)
        c->next->from = c->from;
    c->server->n_connections--;
    free(c);
}

static void on_idle(void *ctx) {
    struct connection *c = ctx;
    c->server->wire->stats.idle_closes++;
    connection_close(c);
}

static void idle_watch(struct connection *c) {
    timer_mono_in(loop_of(c), &c->idle, c->server->wire->options.idle_timeout_us, on_idle, c);
}

/* More is left in the socket, so that whoever asks too much, or does not read, waits by himself. */
static bool is_full(const struct connection *c) {
    int max = c->server->wire->options.in_flight_max;
    return c->in_flight >= max || c->out.n >= (size_t)max * MODBUS_FRAME_MAX;
}

static void flush(struct connection *c) {
    size_t from = 0;
    while (from < c->out.n) {
        ssize_t n = send(c->fd, c->out.p + from, c->out.n - from, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            connection_close(c);
            return;
        }
        from += (size_t)n;
    }
    if (from) {
        memmove(c->out.p, c->out.p + from, c->out.n - from);
        c->out.n -= from;
    }
    watch_events(loop_of(c), &c->watch, (is_full(c) ? 0 : WATCH_READ) | (c->out.n ? WATCH_WRITE : 0));
}

/* -- transactions -- */

static void transaction_free(struct transaction *t) {
    *t->from = t->next;
    if (t->next)
        t->next->from = t->from;
    free(t);
}

/* Puts the answer into the connection's buffer; sending it is connection_serve's. */
static void transaction_answer(struct transaction *t, const uint8_t *pdu, size_t n) {
    struct connection *c = t->connection;
    uint8_t bytes[MODBUS_FRAME_MAX];
    if (!c) {
        transaction_free(t);
        return;
    }
    memcpy(t->frame.pdu, pdu, n);
    t->frame.n = n;
    if (t->was_held)
        loop_hold_message(loop_of(c), c->line, t->frame.transaction);
    text_add_n(&c->out, bytes, modbus_frame_write(&t->frame, bytes));
    c->in_flight--;
    transaction_free(t);
}

static void transaction_refuse(struct transaction *t, int exception) {
    uint8_t pdu[2];
    t->wire->stats.exceptions++;
    transaction_answer(t, pdu, modbus_exception_write(t->frame.pdu[0], exception, pdu));
}

/* A slice of what the unit shows, when the addresses exist. */
static int slice(const struct transaction *t, struct modbus_answer *a) {
    uint16_t inputs[PDU_MAP_INPUTS], holdings[PDU_MAP_HOLDINGS];
    size_t end = (size_t)t->ask.address + t->ask.count;
    switch (t->ask.function) {
    case MODBUS_READ_INPUT:
        if (end > PDU_MAP_INPUTS)
            return MODBUS_ILLEGAL_ADDRESS;
        pdu_map_encode(&t->reading, inputs);
        memcpy(a->words, inputs + t->ask.address, t->ask.count * sizeof inputs[0]);
        return 0;
    case MODBUS_READ_HOLDING:
        if (end > PDU_MAP_HOLDINGS)
            return MODBUS_ILLEGAL_ADDRESS;
        pdu_map_encode_holdings(&t->reading, holdings);
        memcpy(a->words, holdings + t->ask.address, t->ask.count * sizeof holdings[0]);
        return 0;
    default: /* coils */
        if (end > t->reading.n_outlet_on)
            return MODBUS_ILLEGAL_ADDRESS;
        memcpy(a->bits, t->reading.outlet_on + t->ask.address, t->ask.count * sizeof(bool));
        return 0;
    }
}

static void transaction_submit(struct transaction *t, const char *verb, const void *in);
static void connection_serve(struct connection *c);

static void on_answer(struct device_request *r, int rc) {
    struct transaction *t = r->ctx;
    struct connection *c = t->connection;
    struct modbus_answer a;
    uint8_t pdu[MODBUS_PDU_MAX];
    if (!rc && t->ask.function == MODBUS_WRITE_COILS && ++t->written < t->ask.count) {
        t->in.outlet = (struct pdu_switch){.outlet = t->ask.address + 1 + t->written, .on = t->ask.bits[t->written]};
        transaction_submit(t, "switch", &t->in.outlet);
        return;
    }
    int exception = rc ? modbus_error_exception(rc) : r->verb->flags & VERB_READ ? slice(t, &a) : 0;
    if (exception)
        transaction_refuse(t, exception);
    else
        transaction_answer(t, pdu, modbus_answer_write(&t->ask, &a, pdu));
    if (c)
        connection_serve(c);
}

static void transaction_submit(struct transaction *t, const char *verb, const void *in) {
    t->request = (struct device_request){.cls = &class_pdu,
                                         .verb = device_verb(&class_pdu, verb),
                                         .in = in,
                                         .out = &t->reading,
                                         .done = on_answer,
                                         .ctx = t,
                                         .id = t->unit->id};
    backend_submit(t->unit->instrument, &t->request);
}

/* Which verb a transaction is, or the exception it meets before the unit sees it. */
static int transaction_begin(struct transaction *t) {
    int exception = modbus_ask_read(t->frame.pdu, t->frame.n, &t->ask);
    size_t end = (size_t)t->ask.address + t->ask.count;
    if (exception)
        return exception;
    switch (t->ask.function) {
    case MODBUS_READ_COILS:
    case MODBUS_READ_HOLDING:
    case MODBUS_READ_INPUT:
        transaction_submit(t, "read", NULL);
        return 0;
    case MODBUS_WRITE_COIL:
    case MODBUS_WRITE_COILS:
        if (end > PDU_MAP_COILS)
            return MODBUS_ILLEGAL_ADDRESS;
        t->in.outlet = (struct pdu_switch){.outlet = t->ask.address + 1, .on = t->ask.bits[0]};
        transaction_submit(t, "switch", &t->in.outlet);
        return 0;
    case MODBUS_WRITE_REGISTER: /* half of a 32-bit number, or nothing at all */
        return end > PDU_MAP_HOLDINGS ? MODBUS_ILLEGAL_ADDRESS : MODBUS_ILLEGAL_VALUE;
    case MODBUS_WRITE_REGISTERS:
        if (end > PDU_MAP_HOLDINGS)
            return MODBUS_ILLEGAL_ADDRESS;
        if (t->ask.count != PDU_MAP_HOLDINGS)
            return MODBUS_ILLEGAL_VALUE;
        t->in.limit.limit_w = pdu_map_join(t->ask.words);
        if (table_check(&table_pdu_limit, &t->in.limit, NULL))
            return MODBUS_ILLEGAL_VALUE;
        transaction_submit(t, "set limit", &t->in.limit);
        return 0;
    default:
        return MODBUS_ILLEGAL_FUNCTION;
    }
}

static void transaction_new(struct connection *c, const struct modbus_frame *f) {
    struct wire_modbus *w = c->server->wire;
    struct transaction *t = calloc(1, sizeof *t);
    assert(t);
    t->wire = w;
    t->connection = c;
    t->frame = *f;
    t->was_held = loop_release_message(w->host->loop, c->line, f->transaction);
    t->next = w->transactions;
    t->from = &w->transactions;
    if (w->transactions)
        w->transactions->from = &t->next;
    w->transactions = t;
    w->stats.requests++;
    c->in_flight++;
    if (f->unit >= 1 && f->unit <= c->server->n_units)
        t->unit = &c->server->units[f->unit - 1];
    int exception = t->unit ? transaction_begin(t) : MODBUS_NO_PATH;
    if (exception)
        transaction_refuse(t, exception);
}

/* -- input and output -- */

static void connection_serve(struct connection *c) {
    struct modbus_frame f;
    size_t from = 0;
    int used = 0;
    while (!is_full(c) && (used = modbus_frame_read(c->in + from, c->n_in - from, &f)) > 0) {
        from += (size_t)used;
        transaction_new(c, &f);
    }
    if (used < 0) {
        c->server->wire->stats.bad_streams++;
        connection_close(c);
        return;
    }
    memmove(c->in, c->in + from, c->n_in - from);
    c->n_in -= from;
    idle_watch(c);
    flush(c);
}

static void on_ready(void *ctx, int fd, int events) {
    struct connection *c = ctx;
    if (events & WATCH_READ && is_full(c)) {
        connection_close(c); /* it was not asked for input: this is a hang-up */
        return;
    }
    if (events & WATCH_READ) {
        ssize_t n = recv(fd, c->in + c->n_in, sizeof c->in - c->n_in, 0);
        if (!n || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            connection_close(c);
            return;
        }
        c->n_in += n > 0 ? (size_t)n : 0;
    }
    connection_serve(c);
}

static void connection_new(struct server *s, int fd, uint16_t port) {
    struct wire_modbus *w = s->wire;
    int one = 1;
    struct connection *c = calloc(1, sizeof *c);
    assert(c);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    *c = (struct connection){.server = s, .fd = fd, .next = s->connections, .from = &s->connections};
    c->line = (uint32_t)port << 16 | s->port;
    if (s->connections)
        s->connections->from = &c->next;
    s->connections = c;
    s->n_connections++;
    w->stats.connections++;
    idle_watch(c);
    if (watch_start(w->host->loop, &c->watch, fd, WATCH_READ, on_ready, c))
        connection_close(c);
}

static void on_accept_again(void *ctx) {
    struct server *s = ctx;
    watch_events(s->wire->host->loop, &s->watch, WATCH_READ);
}

static void on_accept(void *ctx, int fd, int events) {
    struct server *s = ctx;
    (void)events;
    for (;;) {
        struct sockaddr_in peer;
        socklen_t size = sizeof peer;
        int got = accept4(fd, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (got < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            /* Out of descriptors: the caller stays in the backlog; look again soon instead of spinning. */
            watch_events(s->wire->host->loop, &s->watch, 0);
            timer_mono_in(s->wire->host->loop, &s->accept_again, 1000000, on_accept_again, s);
        }
        if (got < 0)
            return;
        if (s->n_connections < s->wire->options.connections_max) {
            connection_new(s, got, ntohs(peer.sin_port));
        } else {
            s->wire->stats.refused_connections++;
            close(got);
        }
    }
}

/* -- life -- */

static int server_listen(struct server *s, uint16_t port, struct err *e) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int one = 1;
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return err_errno(e, errno, "no socket for Modbus");
    setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->fd, (struct sockaddr *)&a, sizeof a) || listen(s->fd, 64) ||
        getsockname(s->fd, (struct sockaddr *)&a, &size) ||
        watch_start(s->wire->host->loop, &s->watch, s->fd, WATCH_READ, on_accept, s)) {
        int error = errno;
        close(s->fd);
        s->fd = -1;
        return err_errno(e, error, "cannot serve Modbus on 127.0.0.1:%u", port);
    }
    s->port = ntohs(a.sin_port);
    return 0;
}

static int unit_open(struct wire_modbus *w, struct unit *u, oid id, const struct doc *options, struct err *e) {
    int rc = w->ops->open(w->host, id, options, NULL, &u->instrument, e);
    if (rc)
        return rc;
    u->id = id;
    u->instrument->ops = w->ops;
    u->instrument->host = w->host;
    u->instrument->id = id;
    return 0;
}

static int units_open(struct wire_modbus *w, const struct doc *options, struct err *e) {
    const struct estate *s = w->host->estate;
    size_t n = 0;
    for (oid id = 0; (id = estate_next(s, "pdu", id)); n++) {
        struct server *server = &w->servers[n / WIRE_MODBUS_UNITS];
        int rc = unit_open(w, &server->units[n % WIRE_MODBUS_UNITS], id, options, e);
        if (rc)
            return rc;
        server->n_units++;
    }
    return 0;
}

int wire_modbus_open(struct host *h, const struct backend_ops *pdu_ops, const char *instrument,
                     const struct wire_modbus_options *options, struct wire_modbus **out, struct err *e) {
    struct wire_modbus *w = calloc(1, sizeof *w);
    struct arena a = ARENA_INIT;
    struct doc *d;
    char name[32];
    assert(w);
    w->host = h;
    w->ops = pdu_ops;
    w->options = options ? *options : (struct wire_modbus_options){0};
    w->options.connections_max = w->options.connections_max ? w->options.connections_max : 32;
    w->options.in_flight_max = w->options.in_flight_max ? w->options.in_flight_max : 16;
    w->options.idle_timeout_us = w->options.idle_timeout_us ? w->options.idle_timeout_us : 60000000;
    w->n_servers = (estate_count(h->estate, "pdu") + WIRE_MODBUS_UNITS - 1) / WIRE_MODBUS_UNITS;
    w->servers = calloc(w->n_servers ? w->n_servers : 1, sizeof *w->servers);
    assert(w->servers);
    for (size_t i = 0; i < w->n_servers; i++) {
        w->servers[i].wire = w;
        w->servers[i].fd = -1;
    }
    int rc = backend_spec_parse(&a, instrument, name, &d, e);
    if (!rc)
        rc = units_open(w, d, e);
    for (size_t i = 0; !rc && i < w->n_servers; i++)
        rc = server_listen(&w->servers[i], w->options.port ? (uint16_t)(w->options.port + i) : 0, e);
    arena_free(&a);
    if (rc)
        wire_modbus_close(w);
    else
        *out = w;
    return rc;
}

static void server_close(struct server *s) {
    struct loop *l = s->wire->host->loop;
    while (s->connections)
        connection_close(s->connections);
    timer_cancel(l, &s->accept_again);
    if (s->fd >= 0) {
        watch_stop(l, &s->watch);
        close(s->fd);
    }
    for (size_t i = 0; i < s->n_units; i++)
        s->units[i].instrument->ops->close(s->units[i].instrument);
}

void wire_modbus_close(struct wire_modbus *w) {
    if (!w)
        return;
    /* A write of many coils asks again from its done(), so it takes turns until none is left. */
    while (w->transactions) {
        for (struct transaction *t = w->transactions; t; t = t->next) {
            t->connection = NULL;
            device_cancel(&t->request);
        }
        loop_run_deferred(w->host->loop);
    }
    for (size_t i = 0; i < w->n_servers; i++)
        server_close(&w->servers[i]);
    free(w->servers);
    free(w);
}

int wire_modbus_spec(const struct wire_modbus *w, oid pdu, char spec[BACKEND_TEXT], struct err *e) {
    for (size_t i = 0; i < w->n_servers; i++)
        for (size_t u = 0; u < w->servers[i].n_units; u++)
            if (w->servers[i].units[u].id == pdu) {
                snprintf(spec, BACKEND_TEXT, "modbus:host=127.0.0.1,port=%u,unit=%zu", w->servers[i].port, u + 1);
                return 0;
            }
    return err_set(e, E_NOTFOUND, "this pdu is not served over Modbus");
}

struct wire_modbus_stats wire_modbus_stats(const struct wire_modbus *w) {
    return w->stats;
}
