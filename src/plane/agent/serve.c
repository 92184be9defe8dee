/* The agent's end of the link: it dials, says hello, serves the verbs of class executor, and reports.
 *
 * The controller's address is read again before every dial, and so are our certificate and key: a controller that came
 * back elsewhere and a certificate that was issued again are found without a restart. Between dials it waits 0.1 s,
 * doubling to 5 s, each wait spread by a random half so that a region of agents does not knock at once.
 *
 * Backpressure: while the controller does not read, its calls are not read either; and reports that would pile up end
 * the link instead, since `list` tells everything after the next hello. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/link.h"
#include "core/log.h"
#include "core/pki.h"
#include "plane/agent/private.h"

enum { DIAL_FIRST_US = 100000, DIAL_MOST_US = 5000000, REPORT_QUEUE_MAX = 16 << 20, CONTROLLER_FILE_MAX = 64 << 10 };
enum { SERVE_LATER = 1 };

struct serve {
    struct agent_state *a;
    struct link_identity *id;
    struct wire_link *link;
    bool is_open;
    uint64_t generation; /* of the link: answers of an older one go nowhere */
    struct timer dial;
    int64_t wait_us;
    char said[256]; /* the last failure that was logged: the same one is not said again */
    struct later *later;
    union {
        struct exec_start start;
        struct exec_stop stop;
        struct exec_task task;
        struct exec_logs logs;
        struct exec_lease lease;
        struct exec_input input;
        struct exec_function function;
        struct exec_invoke invoke;
    } in; /* of the call being served */
};

/* A call whose answer comes later. */
struct later {
    struct serve *s;
    uint64_t number, generation;
    struct later *next, **at;
};

static void dial_again(struct serve *s);

/* -- answers -- */

static void reply(struct serve *s, uint64_t number, int rc, struct doc *out, const struct err *why) {
    struct err e = {0};
    if (!s->is_open)
        return;
    int bad = link_reply(s->link, number, rc, out, why, &e);
    if (bad == E_LIMIT && !rc) /* too large to send: say so */
        bad = link_reply(s->link, number, bad, NULL, &e, NULL);
    if (bad)
        log_warn("link", "an answer was lost: %s", e.message);
    if (link_queued(s->link) > LINK_QUEUE_LOW)
        link_pause(s->link, true); /* drained() reads on */
}

static struct later *later_new(struct serve *s, uint64_t number) {
    struct later *x = calloc(1, sizeof *x);
    x->s = s;
    x->number = number;
    x->generation = s->generation;
    x->next = s->later;
    x->at = &s->later;
    if (x->next)
        x->next->at = &x->next;
    s->later = x;
    return x;
}

/* After serve_close its later answers have nowhere to go. */
static void later_done(struct later *x, int rc, struct doc *out, const struct err *why) {
    struct serve *s = x->s;
    if (s) {
        *x->at = x->next;
        if (x->next)
            x->next->at = x->at;
        if (x->generation == s->generation)
            reply(s, x->number, rc, out, why);
    }
    free(x);
}

/* -- the verbs -- */

static void started(void *ctx, int rc, const struct err *e) { later_done(ctx, rc, NULL, e); }

static int on_start(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)ar, (void)out, (void)e;
    task_start(s->a, &s->in.start, started, later_new(s, number));
    return SERVE_LATER;
}

static int on_stop(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number, (void)ar, (void)out;
    return task_stop(s->a, &s->in.stop, e);
}

static int on_forget(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number, (void)ar, (void)out;
    return task_forget(s->a, &s->in.task, e);
}

static int on_list(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number, (void)e;
    struct exec_list list = {.reports = task_list(s->a, ar)};
    *out = table_write(&table_exec_list, &list, ar, NULL, 0);
    return 0;
}

static int on_logs(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number;
    struct exec_log_chunk chunk = {0};
    int rc = task_logs(s->a, &s->in.logs, &chunk, ar, e);
    if (!rc)
        *out = table_write(&table_exec_log_chunk, &chunk, ar, NULL, 0);
    return rc;
}

static int on_lease(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number, (void)ar, (void)out;
    return task_lease(s->a, &s->in.lease, e);
}

static void fetched(void *ctx, int rc, double moved_bytes, const struct err *e) {
    (void)moved_bytes;
    later_done(ctx, rc, NULL, e);
}

static int on_fetch(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)ar, (void)out, (void)e;
    blob_fetch(s->a, &s->in.input, fetched, later_new(s, number));
    return SERVE_LATER;
}

static int on_deploy(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number, (void)ar, (void)out;
    return function_deploy(s->a, &s->in.function, e);
}

static int on_retire(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)number, (void)ar, (void)out;
    return function_retire(s->a, &s->in.function, e);
}

static void invoked(void *ctx, int rc, const struct exec_invoked *out, const struct err *e) {
    struct arena ar = ARENA_INIT;
    later_done(ctx, rc, rc ? NULL : table_write(&table_exec_invoked, out, &ar, NULL, 0), e);
    arena_free(&ar);
}

static int on_invoke(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e) {
    (void)ar, (void)out, (void)e;
    function_invoke(s->a, &s->in.invoke, invoked, later_new(s, number));
    return SERVE_LATER;
}

/* In and out are said by the class; here is only who does it. */
static const struct served {
    const char *verb;
    int (*fn)(struct serve *s, uint64_t number, struct arena *ar, struct doc **out, struct err *e);
} served[] = {
    {"start", on_start}, {"stop", on_stop},   {"list", on_list},     {"forget", on_forget}, {"logs", on_logs},
    {"lease", on_lease}, {"fetch", on_fetch}, {"deploy", on_deploy}, {"retire", on_retire}, {"invoke", on_invoke},
};

static void on_call(struct serve *s, const struct link_message *m, struct arena *ar) {
    const struct verb *v = device_verb(&class_executor, m->name);
    const struct served *f = NULL;
    struct doc *out = NULL, *in = m->body;
    struct err e = {0};
    int rc = 0;
    for (size_t i = 0; i < sizeof served / sizeof served[0]; i++)
        if (!strcmp(served[i].verb, m->name))
            f = &served[i];
    if (!v || !f)
        rc = err_set(&e, E_UNSUPPORTED, "an agent has no verb '%.40s'", m->name);
    if (!rc && v->in) {
        memset(&s->in, 0, v->in->size);
        table_defaults(v->in, &s->in);
        rc = table_read(v->in, &s->in, in ? in : doc_map(ar), m->name, NULL, TABLE_RESTORE, &e);
    }
    if (!rc)
        rc = f->fn(s, m->number, ar, &out, &e);
    if (rc != SERVE_LATER)
        reply(s, m->number, rc, out, &e);
}

/* -- the link -- */

static void say(struct serve *s, enum log_level level, const char *text) {
    if (!strcmp(s->said, text))
        return;
    str_copy(s->said, sizeof s->said, text);
    log_line(level, "link", "%s", text);
}

static void on_opened(void *ctx, struct wire_link *l, const char *peer, const char *fingerprint) {
    struct serve *s = ctx;
    const struct cgroup_set *g = &s->a->cgroups;
    static const struct {
        uint32_t bit;
        const char *lacks;
    } wanted[] = {{CG_CPU, "cpu limits"}, {CG_MEMORY, "memory limits"}, {CG_PIDS, "process limits"}, {CG_CPUACCT, "cpu accounts"}};
    struct arena ar = ARENA_INIT;
    struct doc *d = doc_map(&ar), *lacks = doc_seq(&ar);
    (void)peer, (void)fingerprint;
    char address[64];
    s->is_open = true;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!(g->have & wanted[i].bit))
            doc_push(lacks, doc_str(&ar, wanted[i].lacks));
    blob_address(s->a, address);
    doc_put_str(&ar, d, "agent", s->a->config->name);
    doc_put_str(&ar, d, "address", address);
    doc_put_int(&ar, d, "pid", getpid());
    doc_put_int(&ar, d, "cgroups", g->version);
    doc_put(d, "lacks", lacks);
    doc_put_str(&ar, d, "confined", s->a->confined);
    doc_put_str(&ar, d, "version", SUAN_VERSION);
    link_event(l, "hello", d, NULL);
    arena_free(&ar);
}

static void on_message(void *ctx, struct wire_link *l, struct doc *d, struct arena *ar) {
    struct serve *s = ctx;
    struct link_message m;
    struct err e = {0};
    if (link_message_read(d, &m, &e)) {
        say(s, LOG_LEVEL_WARN, e.message);
        link_close(l);
        return;
    }
    if (m.kind == LINK_CALL) {
        if (s->wait_us) /* a controller that calls has taken us in: the next dial may be quick again */
            say(s, LOG_LEVEL_INFO, "connected to the controller");
        s->wait_us = 0;
        on_call(s, &m, ar);
    } else if (m.kind == LINK_EVENT && !strcmp(m.name, "refused")) {
        char text[256];
        snprintf(text, sizeof text, "the controller refused us: %.200s", doc_get_str(m.body, "message", "no reason given"));
        say(s, LOG_LEVEL_ERROR, text);
    }
}

static void on_drained(void *ctx, struct wire_link *l) {
    (void)ctx;
    link_pause(l, false);
}

static void on_closed(void *ctx, struct wire_link *l, const struct err *why) {
    struct serve *s = ctx;
    char text[256];
    (void)l;
    s->link = NULL;
    s->generation++;
    snprintf(text, sizeof text, "%s the controller: %.180s", s->is_open ? "lost" : "cannot reach", why->message);
    s->is_open = false;
    say(s, LOG_LEVEL_WARN, text);
    dial_again(s);
}

static const struct link_handler handler = {
    .opened = on_opened, .message = on_message, .closed = on_closed, .drained = on_drained};

/* {"link":"127.0.0.1:7781"} */
static int controller_find(const char *path, char address[64], int *port, struct err *e) {
    struct arena ar = ARENA_INIT;
    static const struct doc_limits limits = {.bytes_max = CONTROLLER_FILE_MAX, .depth_max = 4};
    struct doc *d;
    FILE *f = fopen(path, "re");
    if (!f)
        return err_set(e, E_NOTFOUND, "there is no %s yet: no controller has run", path);
    char *text = arena_alloc(&ar, CONTROLLER_FILE_MAX + 1);
    size_t n = fread(text, 1, CONTROLLER_FILE_MAX + 1, f);
    fclose(f);
    int rc = json_parse(&ar, path, text, n, &limits, &d, e);
    const char *link = rc ? "" : doc_get_str(d, "link", ""), *colon = strrchr(link, ':');
    char *end = NULL;
    long number = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!rc && (!colon || *end || number < 1 || number > 65535 || colon - link >= 64))
        rc = err_set(e, E_INVAL, "%s: link: '%.60s' is not address:port", path, link);
    if (!rc) {
        memcpy(address, link, (size_t)(colon - link));
        address[colon - link] = 0;
        *port = (int)number;
    }
    arena_free(&ar);
    return rc;
}

static void dial(void *ctx) {
    struct serve *s = ctx;
    const struct agent_config *c = s->a->config;
    struct link_identity *fresh;
    struct err e = {0};
    char address[64];
    int port = 0;
    int rc = controller_find(c->controller_file, address, &port, &e);
    if (!rc)
        rc = link_identity_load(c->cert, c->key, c->ca, &fresh, &e);
    if (!rc) {
        link_identity_free(s->id);
        s->id = fresh;
        rc = blob_listen(s->a, &e); /* hello says where */
    }
    if (!rc)
        rc = link_connect(s->a->loop, address, port, "controller", s->id, &handler, s, &s->link, &e);
    if (!rc)
        return;
    s->link = NULL;
    say(s, LOG_LEVEL_WARN, e.message);
    dial_again(s);
}

static void dial_again(struct serve *s) {
    uint32_t spread = 0;
    s->wait_us = !s->wait_us ? DIAL_FIRST_US : s->wait_us * 2 > DIAL_MOST_US ? DIAL_MOST_US : s->wait_us * 2;
    random_bytes(&spread, sizeof spread, NULL);
    int64_t wait = s->wait_us / 2 + (int64_t)(spread % 1024) * (s->wait_us / 2) / 1024;
    timer_mono_in(s->a->loop, &s->dial, wait, dial, s);
}

int serve_open(struct agent_state *a, struct err *e) {
    (void)e;
    struct serve *s = a->serve = calloc(1, sizeof *s);
    s->a = a;
    s->wait_us = 1; /* not connected yet */
    timer_mono_in(a->loop, &s->dial, 0, dial, s);
    return 0;
}

void serve_close(struct agent_state *a) {
    struct serve *s = a->serve;
    if (!s)
        return;
    a->serve = NULL;
    for (struct later *x = s->later; x; x = x->next)
        x->s = NULL;
    link_close(s->link);
    timer_cancel(a->loop, &s->dial);
    link_identity_free(s->id);
    free(s);
}

static void tell(struct agent_state *a, const char *event, const struct table *table, const void *row) {
    struct serve *s = a->serve;
    struct arena ar = ARENA_INIT;
    if (!s || !s->is_open)
        return;
    int rc = link_queued(s->link) > REPORT_QUEUE_MAX ? E_LIMIT : 0;
    if (!rc)
        rc = link_event(s->link, event, table_write(table, row, &ar, NULL, 0), NULL);
    arena_free(&ar);
    if (rc)
        link_close(s->link); /* the next hello is followed by `list`, so nothing is lost */
}

void serve_report(struct agent_state *a, const struct exec_report *r) { tell(a, "task", &table_exec_report, r); }

void serve_instances(struct agent_state *a, const struct exec_instances *x) {
    tell(a, "function", &table_exec_instances, x);
}
