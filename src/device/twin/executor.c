/* Class executor on the world: a task is so many core seconds on a node, from $SUAN_CORE_S of its environment or a
 * default, so caps, heat and neighbours make it slower and a dark node loses it. It keeps the contract of the class
 * (device/class/executor.h): fencing by attempt, results kept until forgotten, a lease that stops everything.
 *
 * It is not nicer than an agent: answers take time, a cut agent is silent both ways and goes on working until its lease
 * ends, a fetch takes its link's time. Nothing it reports is measured, so `cpu_from` stays empty. Content does not
 * exist in the twin: a digest is made of names, a checkpoint's digest holds the work that is done. */
#include "device/twin/executor.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "device/twin/executor_private.h"

enum { RUNS_MAX = 4000, SEEN_MAX = 200000, ASKS_MAX = 1024, LOG_BYTES = 1024 };
#define CORE_S_DEFAULT 60.0
#define CHECKPOINT_S 60.0 /* between checkpoints, at full speed */

struct run { /* one attempt, until it is forgotten */
    struct executor *x;
    struct exec_start in;
    struct exec_report report;
    double core_s, done_core_s, piece_core_s;
    oid node;
    int64_t handle; /* of the world's work; 0 = none */
    struct timer timer, limit; /* what comes next; time limit */
    bool is_dark;
    struct run *next;
};

struct seen { /* the newest attempt of a task, kept after it is forgotten: fencing */
    char task[ESTATE_NAME];
    int64_t attempt;
};

static struct executor *executors; /* of every host of this process, newest first */

static struct executor *executor_of(const struct host *h, oid agent) {
    struct executor *x = executors;
    while (x && (x->b.host != h || x->b.id != agent))
        x = x->next;
    return x;
}

static struct run *run_find(const struct executor *x, const char *task, int64_t attempt) {
    struct run *r = x->runs;
    while (r && (strcmp(r->in.task, task) || r->in.attempt != attempt))
        r = r->next;
    return r;
}

static bool is_over(const struct run *r) { return r->report.state >= EXEC_DONE; }

/* -- reports -- */

static void tell(struct run *r) {
    if (!r->x->is_cut)
        executor_report(r->x->b.host, r->x->b.id, &r->report);
}

/* A name for content that does not exist: 64 hex digits of the names that would have made it. */
static void digest_make(char out[72], const char *what, const char *name, int64_t number) {
    uint64_t word[4];
    char text[200];
    for (unsigned i = 0; i < 4; i++) {
        int n = snprintf(text, sizeof text, "%s/%s/%lld/%u", what, name, (long long)number, i);
        word[i] = hash_once(text, (size_t)n, i);
    }
    snprintf(out, 72, "sha256:%016llx%016llx%016llx%016llx", (unsigned long long)word[0], (unsigned long long)word[1],
             (unsigned long long)word[2], (unsigned long long)word[3]);
}

static void run_end(struct run *r, enum exec_state state, const char *why) {
    struct host *h = r->x->b.host;
    int64_t now = loop_now_us(h->loop);
    if (r->handle)
        world_work_stop(twin_world(h->twin), r->handle);
    r->handle = 0;
    timer_cancel(h->loop, &r->timer);
    timer_cancel(h->loop, &r->limit);
    r->report.state = state;
    r->report.ended_us = now;
    if (!r->report.started_us)
        r->report.started_us = now;
    if (state != EXEC_DONE) { /* no more than its cores could have done since the last piece */
        double most = (double)(now - r->report.started_us) * 1e-6 * (double)r->in.cores;
        r->done_core_s = r->done_core_s + r->piece_core_s < most ? r->done_core_s + r->piece_core_s : most;
    }
    r->report.cpu_s = r->done_core_s;
    str_copy(r->report.reason, sizeof r->report.reason, why);
    if (state == EXEC_FAILED)
        r->report.exit_status = 1 << 8;
    for (uint32_t i = 0; state == EXEC_DONE && i < r->in.n_outputs; i++) {
        struct artifact_ref *o = &r->report.outputs[r->report.n_outputs++];
        str_copy(o->name, sizeof o->name, r->in.outputs[i].name);
        digest_make(o->digest, r->in.task, o->name, 0);
        o->size_bytes = 1 << 20;
    }
    tell(r);
}

/* -- working -- */

static void piece_start(struct run *r);

/* The world says so in the middle of its own advance: what follows waits until that has returned. */
static void piece_follow(void *ctx) {
    struct run *r = ctx;
    if (r->is_dark) {
        run_end(r, EXEC_LOST, "its node went dark");
        return;
    }
    r->done_core_s += r->piece_core_s;
    r->piece_core_s = 0;
    if (r->done_core_s >= r->core_s - 1e-9) {
        snprintf(r->report.result, sizeof r->report.result, "{\"core_s\":%.3f}", r->core_s);
        run_end(r, EXEC_DONE, "");
        return;
    }
    snprintf(r->report.checkpoint, sizeof r->report.checkpoint, "sha256:%064llx",
             (unsigned long long)(r->done_core_s * 1000));
    r->report.checkpoint_bytes = 1 << 20;
    tell(r);
    piece_start(r);
}

static void piece_done(void *ctx, int64_t handle, bool finished) {
    struct run *r = ctx;
    struct loop *l = r->x->b.host->loop;
    (void)handle;
    r->handle = 0;
    r->is_dark = !finished;
    timer_at(l, &r->timer, loop_now_us(l), 0, piece_follow, r);
}

static void piece_start(struct run *r) {
    double left = r->core_s - r->done_core_s, piece = CHECKPOINT_S * (double)r->in.cores;
    r->piece_core_s = r->in.checkpoints && piece < left ? piece : left;
    r->handle = world_work(twin_world(r->x->b.host->twin), r->node, (double)r->in.cores, r->piece_core_s, piece_done, r);
    if (r->handle < 0) {
        r->handle = 0;
        run_end(r, EXEC_LOST, "the world takes no more work");
    }
}

static void on_limit(void *ctx) { run_end(ctx, EXEC_FAILED, "it ran longer than its time limit"); }

static void work_begin(void *ctx) {
    struct run *r = ctx;
    struct loop *l = r->x->b.host->loop;
    int64_t now = loop_now_us(l);
    /* "None runs twice": across all executors of the house. */
    for (const struct executor *x = executors; x; x = x->next)
        for (const struct run *o = x->b.host == r->x->b.host ? x->runs : NULL; o; o = o->next)
            if (o != r && !is_over(o) && o->report.state == EXEC_RUNNING && !strcmp(o->in.task, r->in.task))
                r->x->overlaps++;
    r->report.state = EXEC_RUNNING;
    r->report.fetched_us = r->report.started_us = now;
    r->report.pid = (int64_t)(2 + hash_once(r->in.task, strlen(r->in.task), 0) % 30000);
    if (r->in.time_limit_us)
        timer_in(l, &r->limit, r->in.time_limit_us, on_limit, r);
    tell(r);
    piece_start(r);
}

/* The node that placement chose; without one (a foreign start) the first of the centre. */
static oid node_of(const struct executor *x, const struct exec_start *in) {
    const struct estate *s = x->b.host->estate;
    oid task = estate_find(s, "task", in->task), centre = estate_get(s, x->b.id, agent)->centre;
    oid node = task ? estate_get(s, task, task)->node : 0;
    centre = centre ? centre : estate_ancestor(s, x->b.id, "centre");
    if (node && estate_alive(s, node) && estate_ancestor(s, node, "centre") == centre)
        return node;
    for (oid i = 0; (i = estate_next(s, "node", i));)
        if (estate_ancestor(s, i, "centre") == centre && estate_get(s, i, node)->state == NODE_UP)
            return i;
    return 0;
}

static double env_number(const struct exec_start *in, const char *name, double fallback) {
    size_t n = strlen(name);
    for (uint32_t i = 0; i < in->n_env; i++)
        if (!strncmp(in->env[i], name, n) && in->env[i][n] == '=') {
            double v = strtod(in->env[i] + n + 1, NULL);
            return v > 0 && v < 1e9 ? v : fallback;
        }
    return fallback;
}

static double fetch_us(const struct exec_input *in) {
    if (!*in->peer && !(in->wan_bandwidth_bps > 0))
        return 0;
    double bps = in->wan_bandwidth_bps > 0 ? in->wan_bandwidth_bps : 1e9;
    return 2 * in->wan_delay_us + (double)in->size_bytes * 8 / bps * 1e6;
}

/* -- the verbs -- */

static struct seen *seen_of(struct executor *x, const char *task, bool make) {
    struct seen *k = map_ptr(&x->seen, task);
    bool is_new;
    if (k || !make || x->seen.n >= SEEN_MAX)
        return k;
    k = calloc(1, sizeof *k);
    assert(k);
    str_copy(k->task, sizeof k->task, task);
    map_put(&x->seen, k->task, &is_new)->value.ptr = k;
    return k;
}

static int serve_start(struct executor *x, struct device_request *q) {
    const struct exec_start *in = q->in;
    struct seen *newest = seen_of(x, in->task, true);
    if (!newest || x->n_runs >= RUNS_MAX)
        return err_set(&q->err, E_UNAVAIL, "this executor holds %u attempts, which is its limit", x->n_runs);
    if (in->attempt < newest->attempt)
        return err_set(&q->err, E_CONFLICT, "attempt %lld of %s is old: %lld was seen", (long long)in->attempt, in->task,
                       (long long)newest->attempt);
    if (in->attempt == newest->attempt)
        return 0; /* accepted before; it is never run twice */
    oid node = node_of(x, in);
    if (!node)
        return err_set(&q->err, E_UNAVAIL, "no node of the centre is up");
    for (struct run *old = x->runs; old; old = old->next)
        if (!is_over(old) && !strcmp(old->in.task, in->task))
            run_end(old, EXEC_STOPPED, "a newer attempt was started");
    newest->attempt = in->attempt;
    struct run *r = calloc(1, sizeof *r);
    assert(r);
    r->x = x;
    r->in = *in;
    r->node = node;
    r->core_s = env_number(in, "SUAN_CORE_S", CORE_S_DEFAULT);
    str_copy(r->report.task, sizeof r->report.task, in->task);
    r->report.attempt = in->attempt;
    struct run **at = &x->runs;
    while (*at)
        at = &(*at)->next;
    *at = r;
    x->n_runs++;
    double us = 0;
    for (uint32_t i = 0; i < in->n_inputs; i++) {
        us += fetch_us(&in->inputs[i]);
        r->report.moved_bytes += *in->inputs[i].peer ? (double)in->inputs[i].size_bytes : 0;
    }
    if (*in->checkpoint.name) {
        us += fetch_us(&in->checkpoint);
        bool is_ours = str_starts(in->checkpoint.digest, "sha256:");
        double done = is_ours ? (double)strtoull(in->checkpoint.digest + 7, NULL, 16) / 1000 : 0;
        r->done_core_s = done < r->core_s ? done : r->core_s;
        str_copy(r->report.checkpoint, sizeof r->report.checkpoint, in->checkpoint.digest);
        r->report.checkpoint_bytes = in->checkpoint.size_bytes;
    }
    r->report.state = EXEC_FETCHING;
    timer_in(x->b.host->loop, &r->timer, us < 1e15 ? (int64_t)us : (int64_t)1e15, work_begin, r);
    return 0;
}

static int serve_stop(struct executor *x, struct device_request *q) {
    const struct exec_stop *in = q->in;
    struct run *r = run_find(x, in->task, in->attempt);
    if (r && !is_over(r))
        run_end(r, EXEC_STOPPED, "it was stopped");
    return 0; /* what does not run is stopped */
}

static int serve_list(struct executor *x, struct device_request *q) {
    struct exec_list *out = q->out;
    struct field_env env = estate_env(x->b.host->estate);
    out->reports = doc_seq(&q->arena);
    for (struct run *r = x->runs; r; r = r->next)
        doc_push(out->reports, table_write(&table_exec_report, &r->report, &q->arena, &env, 0));
    return 0;
}

static void run_free(struct executor *x, struct run *r) {
    struct run **at = &x->runs;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    x->n_runs--;
    timer_cancel(x->b.host->loop, &r->timer);
    timer_cancel(x->b.host->loop, &r->limit);
    free(r);
}

static int serve_forget(struct executor *x, struct device_request *q) {
    const struct exec_task *in = q->in;
    struct run *r = run_find(x, in->task, in->attempt);
    if (!r)
        return 0;
    if (!is_over(r))
        return err_set(&q->err, E_STATE, "attempt %lld of %s still runs", (long long)in->attempt, in->task);
    run_free(x, r);
    return 0;
}

static int serve_logs(struct executor *x, struct device_request *q) {
    const struct exec_logs *in = q->in;
    struct exec_log_chunk *out = q->out;
    const struct run *r = NULL;
    char log[LOG_BYTES];
    for (const struct run *i = x->runs; i; i = i->next)
        if (!strcmp(i->in.task, in->task))
            r = i;
    if (!r)
        return err_set(&q->err, E_NOTFOUND, "this executor has no log of %s", in->task);
    int n = snprintf(log, sizeof log, "twin: %s, attempt %lld: %.1f core s on %lld cores\n%s%s%s",
                     r->in.n_argv ? r->in.argv[0] : "?", (long long)r->in.attempt, r->core_s, (long long)r->in.cores,
                     *r->report.result ? "result " : "", r->report.result, *r->report.result ? "\n" : "");
    out->size_bytes = n < (int)sizeof log ? n : (int)sizeof log - 1;
    out->offset_bytes = in->offset_bytes < out->size_bytes ? in->offset_bytes : out->size_bytes;
    int64_t size = out->size_bytes - out->offset_bytes, most = in->limit_bytes ? in->limit_bytes : size;
    out->text = doc_strn(&q->arena, log + out->offset_bytes, (size_t)(size < most ? size : most));
    return 0;
}

static void on_lapse(void *ctx) {
    struct executor *x = ctx;
    for (struct run *r = x->runs; r; r = r->next)
        if (!is_over(r))
            run_end(r, EXEC_STOPPED, "the lease ended without a word from the controller");
    executor_functions_stop(x);
}

static void lease_renew(struct executor *x) {
    if (x->lease_us > 0)
        timer_in(x->b.host->loop, &x->lease, x->lease_us, on_lapse, x);
}

static int serve_lease(struct executor *x, struct device_request *q) {
    const struct exec_lease *in = q->in;
    if (in->epoch < x->epoch)
        return err_set(&q->err, E_CONFLICT, "epoch %lld is old: %lld holds the lease", (long long)in->epoch,
                       (long long)x->epoch);
    x->epoch = in->epoch;
    x->lease_us = in->lease_us;
    lease_renew(x);
    return 0;
}

static int serve_deploy(struct executor *x, struct device_request *q) { return executor_deploy(x, q->in, &q->err); }
static int serve_retire(struct executor *x, struct device_request *q) {
    executor_retire(x, ((const struct exec_function *)q->in)->function);
    return 0;
}

/* -- requests: each is served after the latency of its way, in order -- */

struct ask {
    struct executor *x;
    struct device_request *q;
    struct timer timer;
    struct ask *next;
};

static void ask_drop(struct executor *x, struct ask *a) {
    struct ask **at = &x->asks;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    x->n_asks--;
    timer_cancel(x->b.host->loop, &a->timer);
    free(a);
}

static void ask_answer(void *ctx) {
    struct ask *a = ctx;
    struct executor *x = a->x;
    struct device_request *q = a->q;
    static const struct {
        const char *verb;
        int (*fn)(struct executor *x, struct device_request *q);
    } rows[] = {{"start", serve_start}, {"stop", serve_stop},   {"list", serve_list},     {"forget", serve_forget},
                {"logs", serve_logs},   {"lease", serve_lease}, {"deploy", serve_deploy}, {"retire", serve_retire}};
    if (x->is_cut)
        return; /* silence until the asker's deadline */
    if (!strcmp(q->verb->name, "invoke")) {
        ask_drop(x, a);
        lease_renew(x);
        executor_invoke(x, q);
        return;
    }
    int rc = strcmp(q->verb->name, "fetch") ? E_UNSUPPORTED : 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strcmp(rows[i].verb, q->verb->name))
            rc = rows[i].fn(x, q);
    lease_renew(x);
    ask_drop(x, a);
    device_finish(q, rc);
}

static void submit(struct backend *b, struct device_request *q) {
    struct executor *x = (struct executor *)b;
    int64_t now = loop_now_us(b->host->loop);
    if (x->n_asks >= ASKS_MAX) {
        device_finish(q, err_set(&q->err, E_UNAVAIL, "%d requests wait for this executor already", ASKS_MAX));
        return;
    }
    struct ask *a = calloc(1, sizeof *a);
    assert(a);
    *a = (struct ask){.x = x, .q = q, .next = x->asks};
    x->asks = a;
    x->n_asks++;
    q->backend_ctx = a;
    double fetch = strcmp(q->verb->name, "fetch") ? 0 : fetch_us(q->in);
    int64_t way = LATENCY_US + (int64_t)(rng_exponential(&x->rng, 1) * TAIL_US);
    int64_t at = now + way > x->last_us ? now + way : x->last_us; /* one link: nothing overtakes */
    x->last_us = at;
    timer_at(b->host->loop, &a->timer, at + (int64_t)(fetch < 1e15 ? fetch : 1e15), 0, ask_answer, a);
}

static void cancel(struct backend *b, struct device_request *q) {
    struct executor *x = (struct executor *)b;
    for (struct ask *a = x->asks; a; a = a->next)
        if (a->q == q) {
            ask_drop(x, a);
            return;
        }
    executor_invoke_cancel(x, q);
}

/* -- coming and going -- */

static void estate_came(struct executor *x) {
    struct host *h = x->b.host;
    int64_t now = loop_now_us(h->loop);
    struct agent *a = estate_observe(h->estate, x->b.id, agent);
    oid centre = a->centre ? a->centre : estate_ancestor(h->estate, x->b.id, "centre");
    a->seen_us = now;
    a->epoch++;
    str_copy(a->address, sizeof a->address, "twin");
    if (a->state != AGENT_CONNECTED)
        estate_move(h->estate, x->b.id, AGENT_CONNECTED, NULL);
    estate_condition(h->estate, x->b.id, "lapsed", SEV_ERROR, "placement", now, NULL);
    if (centre && estate_alive(h->estate, centre)) {
        estate_observe(h->estate, centre, centre)->agent_seen_us = now;
        if (estate_get(h->estate, centre, centre)->state != CENTRE_UP)
            estate_move(h->estate, centre, CENTRE_UP, NULL);
        estate_condition(h->estate, centre, "cut-off", SEV_CRITICAL, "placement", now, NULL);
    }
    host_kick(h);
}

int twin_executor_cut(struct host *h, oid agent, bool is_cut, struct err *e) {
    struct executor *x = executor_of(h, agent);
    if (!x)
        return err_set(e, E_NOTFOUND, "the twin has no executor for this agent");
    if (x->is_cut == is_cut)
        return 0;
    x->is_cut = is_cut;
    if (is_cut) {
        estate_move(h->estate, agent, AGENT_AWAY, NULL);
        host_kick(h);
    } else {
        estate_came(x);
    }
    return 0;
}

uint64_t twin_executor_overlaps(const struct host *h) {
    uint64_t n = 0;
    for (const struct executor *x = executors; x; x = x->next)
        n += x->b.host == h ? x->overlaps : 0;
    return n;
}

static int open(struct host *h, oid id, const struct doc *options, struct backend *under, struct backend **out,
                struct err *e) {
    char path[ESTATE_PATH];
    (void)under;
    if (options->list.n)
        return err_set(e, E_INVAL, "the twin's executor takes no options");
    if (!h->twin)
        return err_set(e, E_STATE, "the backend is 'twin', and no twin runs in this process");
    struct executor *x = calloc(1, sizeof *x);
    assert(x);
    estate_path(h->estate, id, path);
    x->b.host = h;
    x->b.id = id;
    x->rng = rng_fork(twin_rng(h->twin), path);
    x->next = executors;
    executors = x;
    estate_came(x);
    *out = &x->b;
    return 0;
}

static void close_executor(struct backend *b) {
    struct executor *x = (struct executor *)b, **at = &executors;
    timer_cancel(b->host->loop, &x->lease);
    while (x->asks) {
        struct device_request *q = x->asks->q;
        ask_drop(x, x->asks);
        device_finish(q, E_CANCELLED);
    }
    executor_functions_stop(x);
    executor_functions_free(x);
    while (x->runs) {
        if (x->runs->handle)
            world_work_stop(twin_world(b->host->twin), x->runs->handle);
        run_free(x, x->runs);
    }
    for (size_t i = 0; i < x->seen.n; i++)
        free(x->seen.entries[i].value.ptr);
    map_free(&x->seen);
    while (*at != x)
        at = &(*at)->next;
    *at = x->next;
    free(x);
}

static void knock_done(struct device_request *r, int rc) {
    (void)rc;
    free(r->ctx);
}

/* A first request opens the stack, and opening is how an executor of the twin dials in. */
void twin_executors_start(struct host *h) {
    struct knock {
        struct device_request r;
        struct exec_list out;
    };
    for (oid i = 0; (i = estate_next(h->estate, "agent", i));) {
        const char *spec = estate_get(h->estate, i, agent)->backend, *bar = strrchr(spec, '|');
        if (strcmp(bar ? bar + 1 : spec, "twin"))
            continue;
        struct knock *k = calloc(1, sizeof *k);
        assert(k);
        k->r = (struct device_request){.out = &k->out, .done = knock_done, .ctx = k};
        device_submit(h->devices, i, "list", &k->r);
    }
}

const struct backend_ops backend_twin_executor = {
    .name = "twin",
    .cls = "executor",
    .open = open,
    .close = close_executor,
    .submit = submit,
    .cancel = cancel,
    .options_doc = "none",
};
