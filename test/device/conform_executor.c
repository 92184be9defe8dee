/* Conformance of class executor: what every backend keeps (src/device/class/executor.h), asked of each alike.
 * Again: build/test/device/conform_executor_twin, build/test/device/conform_executor_agent */
#include <unistd.h>

#include "conform_executor.h"

#include "../world/estate_text.h"
#include "core/log.h"
#include "device/live/agent/agent.h"
#include "device/twin/executor.h"
#include "tap.h"

enum { REPORTS_MAX = 200 };
#define S_US 1000000ll

static struct subject *now;
static struct exec_report reports[REPORTS_MAX];
static int n_reports;

/* -- a host for any subject -- */

int subject_host(struct subject *s, struct loop *loop, const char *backend, struct err *e) {
    char text[2048];
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    snprintf(text, sizeof text,
             ESTATE_HEAD "          - name: r\n"
                         "            node:\n"
                         "              - name: n[1-2]\n"
                         "                model: srv\n"
                         "    agent:\n"
                         "      - name: a\n"
                         "        backend: %s\n",
             backend);
    int rc = host_open(&s->host, loop, kinds_foundation, foundation_count(), NULL, NULL, 1, e);
    if (!rc)
        rc = yaml_parse(&a, "estate", text, strlen(text), NULL, &d, e);
    struct txn *t = rc ? NULL : estate_begin(s->host.estate);
    if (t && (rc = txn_import(t, d, "estate", e)))
        txn_abort(t);
    else if (t)
        rc = txn_commit(t, "test", "test", &revision, e);
    arena_free(&a);
    s->agent = rc ? 0 : estate_find(s->host.estate, "agent", "c-a");
    return rc;
}

int subject_devices(struct subject *s, struct err *e) {
    static const struct device_class *const classes[] = {&class_executor, NULL};
    static const struct backend_ops *const backends[] = {&backend_agent, &backend_twin_executor, NULL};
    return devices_open(&s->host, classes, backends, &s->host.devices, e);
}

/* -- asking -- */

struct req {
    struct device_request r;
    int done, rc;
    struct err err;
    struct text json; /* of a document in the answer */
    int64_t size_bytes;
};

static void req_done(struct device_request *r, int rc) {
    struct req *q = r->ctx;
    q->done++;
    q->rc = rc;
    q->err = r->err;
    text_reset(&q->json);
    if (rc)
        return;
    const struct doc *d = NULL;
    if (!strcmp(r->verb->name, "list"))
        d = ((struct exec_list *)r->out)->reports;
    else if (!strcmp(r->verb->name, "invoke"))
        d = ((struct exec_invoked *)r->out)->output;
    else if (!strcmp(r->verb->name, "logs")) {
        d = ((struct exec_log_chunk *)r->out)->text;
        q->size_bytes = ((struct exec_log_chunk *)r->out)->size_bytes;
    }
    if (d)
        json_print(&q->json, d, 0);
}

/* Turns until `n` reaches `want`, at most so long in the subject's own time. */
static bool wait_for(const int *n, int want, int64_t us) {
    int64_t until = loop_now_us(now->host.loop) + us;
    while (*n < want && loop_now_us(now->host.loop) < until)
        loop_run_until(now->host.loop, loop_now_us(now->host.loop) + 5000);
    return *n >= want;
}
static void pass(int64_t us) {
    int never = 0;
    wait_for(&never, 1, us);
}

static struct req answer;
static int ask(const char *verb, const void *in) {
    static struct exec_list list;
    static struct exec_log_chunk chunk;
    static struct exec_invoked invoked;
    void *out = !strcmp(verb, "list") ? (void *)&list : !strcmp(verb, "logs") ? (void *)&chunk : !strcmp(verb, "invoke") ? (void *)&invoked : NULL;
    text_free(&answer.json);
    memset(&answer, 0, sizeof answer);
    answer.r = (struct device_request){.in = in, .out = out, .done = req_done, .ctx = &answer};
    device_submit(now->host.devices, now->agent, verb, &answer.r);
    wait_for(&answer.done, 1, 60 * S_US);
    if (answer.rc)
        printf("# %s: %s\n", verb, answer.err.message);
    return answer.done == 1 ? answer.rc : -99;
}

static void on_report(void *ctx, oid agent, const struct exec_report *r) {
    (void)ctx, (void)agent;
    if (n_reports < REPORTS_MAX)
        reports[n_reports++] = *r;
}

static const struct exec_report *find(const char *task, int64_t attempt, int state) {
    for (int i = 0; i < n_reports; i++)
        if (!strcmp(reports[i].task, task) && reports[i].attempt == attempt &&
            (state < 0 ? reports[i].state >= EXEC_DONE : reports[i].state == state))
            return &reports[i];
    return NULL;
}
static int count(const char *task, int64_t attempt, int state) {
    int64_t pid = 0;
    int n = 0;
    for (int i = 0; i < n_reports; i++)
        if (!strcmp(reports[i].task, task) && reports[i].attempt == attempt && reports[i].state == state &&
            (state != EXEC_RUNNING || reports[i].pid != pid)) {
            pid = reports[i].pid;
            n++;
        }
    return n;
}
/* state -1: any end. */
static const struct exec_report *await(const char *task, int64_t attempt, int state, int64_t us) {
    int64_t until = loop_now_us(now->host.loop) + us;
    while (!find(task, attempt, state) && loop_now_us(now->host.loop) < until)
        pass(10000);
    return find(task, attempt, state);
}

/* A task of a second (the twin's by its model, a real one sooner), or one that does not end by itself. */
static struct exec_start *task(const char *name, int64_t attempt, bool is_long) {
    static struct exec_start in;
    in = (struct exec_start){.attempt = attempt, .cores = 1, .memory_bytes = 64 << 20, .n_argv = 2, .n_env = 1};
    str_copy(in.task, sizeof in.task, name);
    str_copy(in.argv[0], sizeof in.argv[0], is_long ? "/bin/sleep" : "/bin/echo");
    str_copy(in.argv[1], sizeof in.argv[1], is_long ? "300" : "hello");
    str_copy(in.env[0], sizeof in.env[0], is_long ? "SUAN_CORE_S=300" : "SUAN_CORE_S=1");
    return &in;
}

/* `line` names what must hold, with the backend in front. */
static void holds(bool good, const char *line) {
    char text[200];
    snprintf(text, sizeof text, "%s: %s", now->name, line);
    ok(good, text);
}

/* -- the contract -- */

static void test_once(void) {
    const struct exec_report *r;
    struct exec_task done = {.task = "once", .attempt = 3};
    holds(ask("start", task("once", 3, false)) == 0, "a start is accepted");
    holds((r = await("once", 3, EXEC_DONE, 20 * S_US)) != NULL, "and ends well");
    if (!r)
        r = &reports[0];
    holds(find("once", 3, EXEC_RUNNING) && r->started_us > 0 && r->ended_us >= r->started_us && r->exit_status == 0,
          "it was seen running, its times are in order");
    holds(ask("start", task("once", 3, false)) == 0, "the same attempt is accepted again");
    pass(2 * S_US);
    holds(count("once", 3, EXEC_RUNNING) == 1, "and not run again");
    holds(ask("start", task("once", 2, false)) == E_CONFLICT, "a lower attempt is refused");
    pass(S_US);
    holds(!find("once", 2, EXEC_RUNNING) && !find("once", 2, EXEC_FETCHING), "and never runs");
    holds(ask("list", NULL) == 0 && strstr(text_str(&answer.json), "\"once\""), "what ended is listed until it is forgotten");
    struct exec_logs logs = {.task = "once", .limit_bytes = 65536};
    holds(ask("logs", &logs) == 0 && answer.size_bytes > 0 && answer.json.n > 2, "its log can be read");
    int64_t size = answer.size_bytes;
    logs.offset_bytes = size;
    holds(ask("logs", &logs) == 0 && answer.size_bytes == size && answer.json.n == 2, "beyond its end there is nothing");
    holds(ask("forget", &done) == 0, "what ended can be forgotten");
    holds(ask("list", NULL) == 0 && !strstr(text_str(&answer.json), "\"once\""), "then it is not listed");
    holds(ask("forget", &done) == 0, "forgetting twice is once");
    n_reports = 0;
    ask("start", task("once", 3, false));
    pass(2 * S_US);
    holds(!find("once", 3, EXEC_RUNNING), "a forgotten attempt is not run again");
    holds(ask("start", task("once", 4, false)) == 0 && await("once", 4, EXEC_DONE, 20 * S_US), "a newer attempt is");
    done.attempt = 4;
    ask("forget", &done);
}

static void test_stop(void) {
    struct exec_stop stop = {.task = "long", .attempt = 1, .grace_us = S_US};
    struct exec_task it = {.task = "long", .attempt = 1};
    const struct exec_report *r;
    n_reports = 0;
    holds(ask("start", task("long", 1, true)) == 0 && await("long", 1, EXEC_RUNNING, 10 * S_US), "a long task runs");
    holds(ask("forget", &it) == E_STATE, "what runs cannot be forgotten");
    holds(ask("stop", &stop) == 0, "it can be stopped");
    r = await("long", 1, -1, 10 * S_US);
    holds(r && r->state == EXEC_STOPPED, "and is reported as stopped");
    holds(ask("stop", &stop) == 0, "stopping twice is once");
    holds(ask("forget", &it) == 0, "then it can be forgotten");
    n_reports = 0;
    ask("start", task("fence", 1, true));
    await("fence", 1, EXEC_RUNNING, 10 * S_US);
    holds(ask("start", task("fence", 2, true)) == 0, "a newer attempt is accepted while the older one runs");
    holds(await("fence", 2, EXEC_RUNNING, 10 * S_US), "the newer one runs");
    ask("list", NULL);
    holds(!strstr(text_str(&answer.json), "\"fence\",\"attempt\":1,\"state\":\"running\""), "the older one does not");
    str_copy(stop.task, sizeof stop.task, "fence");
    stop.attempt = 1;
    ask("stop", &stop);
    pass(2 * S_US);
    holds(!find("fence", 2, -1), "a stop of the older attempt does not touch it");
    stop.attempt = 2;
    ask("stop", &stop);
    await("fence", 2, -1, 10 * S_US);
    for (it.attempt = 1; it.attempt <= 2; it.attempt++) {
        str_copy(it.task, sizeof it.task, "fence");
        ask("forget", &it);
    }
}

static void test_limit(void) {
    struct exec_start *in = task("limit", 1, true);
    struct exec_task it = {.task = "limit", .attempt = 1};
    const struct exec_report *r;
    n_reports = 0;
    in->time_limit_us = 2 * S_US;
    ask("start", in);
    r = await("limit", 1, -1, 20 * S_US);
    holds(r && r->state == EXEC_FAILED && *r->reason, "a task beyond its time fails, and says why");
    ask("forget", &it);
}

static void test_unknown(void) {
    struct exec_logs logs = {.task = "nobody", .limit_bytes = 100};
    struct exec_invoke invoke = {.function = "nobody"};
    struct arena a = ARENA_INIT;
    invoke.input = doc_map(&a);
    holds(ask("logs", &logs) == E_NOTFOUND, "the log of an unknown task is not found");
    holds(ask("invoke", &invoke) == E_NOTFOUND, "nor is an unknown function");
    arena_free(&a);
}

static void test_function(void) {
    struct exec_function f = {.function = "echo", .argv = {"/bin/cat"}, .n_argv = 1, .cores = 1, .memory_bytes = 64 << 20,
                              .instances_max = 2, .idle_us = 30 * S_US, .timeout_us = 5 * S_US};
    struct exec_invoke invoke = {.function = "echo"};
    struct arena a = ARENA_INIT;
    invoke.input = doc_map(&a);
    doc_put_int(&a, invoke.input, "x", 42);
    holds(ask("deploy", &f) == 0 && ask("deploy", &f) == 0, "a function is deployed, and again");
    holds(ask("invoke", &invoke) == 0, "and answers");
    holds(answer.json.n > 0, "with a document");
    const struct exec_invoked *out = answer.r.out;
    holds(out->cold && out->instances >= 1, "its first call started an instance");
    holds(ask("invoke", &invoke) == 0 && !out->cold, "its second found it warm");
    holds(ask("retire", &f) == 0 && ask("retire", &f) == 0, "it is retired, and again");
    holds(ask("invoke", &invoke) == E_NOTFOUND, "then it is not found");
    arena_free(&a);
}

static void test_cancel(void) {
    static struct req q;
    static struct exec_list list;
    q = (struct req){.r = {.out = &list, .done = req_done, .ctx = &q}};
    device_submit(now->host.devices, now->agent, "list", &q.r);
    device_cancel(&q.r);
    wait_for(&q.done, 1, S_US);
    holds(q.done == 1 && q.rc == E_CANCELLED, "an asker may give up");
    pass(S_US);
    holds(q.done == 1 && ask("list", NULL) == 0, "and what was on its way harms nobody");
    text_free(&q.json);
}

/* What ended while nobody listened is told by list. */
static void test_cut(void) {
    struct exec_task it = {.task = "cut", .attempt = 1};
    struct err e = {0};
    int64_t epoch = estate_get(now->host.estate, now->agent, agent)->epoch;
    struct exec_start *in = task("cut", 1, false);
    n_reports = 0;
    str_copy(in->argv[0], sizeof in->argv[0], "/bin/sleep");
    str_copy(in->argv[1], sizeof in->argv[1], "1");
    holds(ask("start", in) == 0 && await("cut", 1, EXEC_RUNNING, 10 * S_US), "a task runs");
    holds(now->cut(now, true, &e) == 0, "the way to the executor is cut");
    pass(100000);
    holds(estate_get(now->host.estate, now->agent, agent)->state == AGENT_AWAY, "it is away");
    pass(3 * S_US);
    holds(!find("cut", 1, -1), "nothing is heard of the end");
    holds(now->cut(now, false, &e) == 0, "the way is open again");
    for (int i = 0; i < 1000 && estate_get(now->host.estate, now->agent, agent)->state != AGENT_CONNECTED; i++)
        pass(10000);
    holds(estate_get(now->host.estate, now->agent, agent)->epoch > epoch, "it is back, in a new epoch");
    holds(ask("list", NULL) == 0 && strstr(text_str(&answer.json), "\"cut\",\"attempt\":1,\"state\":\"done\""), "and tells how it ended");
    ask("forget", &it);
}

/* Last: it ends everything. */
static void test_lease(void) {
    int64_t epoch = estate_get(now->host.estate, now->agent, agent)->epoch;
    struct exec_lease lease = {.epoch = epoch, .lease_us = 60 * S_US};
    n_reports = 0;
    holds(ask("lease", &lease) == 0, "a lease is taken");
    lease.epoch = epoch - 1;
    holds(ask("lease", &lease) == E_CONFLICT, "one of an older epoch is refused");
    lease.epoch = epoch;
    lease.lease_us = 2 * S_US;
    ask("start", task("leased", 1, true));
    await("leased", 1, EXEC_RUNNING, 10 * S_US);
    ask("lease", &lease);
    for (int i = 0; i < 4; i++) {
        pass(S_US);
        ask("lease", &lease);
    }
    holds(!find("leased", 1, -1), "a lease renewed in time goes on");
    pass(6 * S_US);
    holds(ask("list", NULL) == 0 && strstr(text_str(&answer.json), "\"leased\"") && strstr(text_str(&answer.json), "\"stopped\""),
          "without a word the executor stops its tasks by itself, and keeps what it has to tell");
}

static void suite(struct subject *s) {
    struct err e = {0};
    now = s;
    n_reports = 0;
    if (s->open(s, &e)) {
        printf("# %s: %s\n", s->name, e.message);
        holds(false, "the backend opens");
        return;
    }
    executor_on_report(&s->host, on_report, NULL);
    holds(estate_get(s->host.estate, s->agent, agent)->state == AGENT_CONNECTED, "its agent is connected");
    test_once();
    test_stop();
    test_limit();
    test_unknown();
    test_function();
    test_cancel();
    test_cut();
    test_lease();
    executor_on_report(&s->host, NULL, NULL);
    s->close(s);
    text_free(&answer.json);
}

int main(int argc, char **argv) {
    int rc;
    if (subject_called(argc, argv, &rc))
        return rc;
    log_setup("conform", LOG_LEVEL_ERROR, false);
    suite(&subject);
    return tap_done();
}
