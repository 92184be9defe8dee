/* Placement against executors that lose answers, jobs that fail wide, jobs that have ended and are kept, or not: the
 * whole house over the twin, in virtual time. */
#include "app/house.h"
#include "cap/placement/placement.h"
#include "device/twin/executor.h"
#include "tap.h"

static const int64_t T0 = 1767225600000000, SECOND = 1000000;
static const char one_centre[] =
    "estate: one\n"
    "model:\n  - {name: m, cores: 64, memory_bytes: 256 GiB, power_curve_w: [100, 430]}\n"
    "tenant:\n  - {name: lab, quota_cores: 2}\n"
    "centre:\n"
    "  - name: a\n    agent: [{name: a, centre: a, backend: twin}]\n"
    "    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]\n";

struct room {
    struct loop *loop;
    struct house house;
    struct estate *s;
    oid agent;
};

static bool room_open(struct room *m) {
    struct err e = {0};
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    memset(m, 0, sizeof *m);
    m->loop = loop_new(LOOP_VIRTUAL, T0);
    int rc = house_open(&m->house, m->loop, NULL, 1, &e);
    if (!rc)
        rc = yaml_parse(&a, "one", one_centre, strlen(one_centre), NULL, &d, &e);
    struct txn *t = rc ? NULL : estate_begin(m->house.host.estate);
    if (!rc && !(rc = txn_import(t, d, "one", &e)))
        rc = txn_commit(t, "test", "test", &revision, &e);
    if (!rc)
        rc = house_start(&m->house, 1, &e);
    arena_free(&a);
    if (rc)
        printf("# %s %s\n", e.place, e.message);
    m->s = m->house.host.estate;
    m->agent = rc ? 0 : estate_next(m->s, "agent", 0);
    if (!rc)
        loop_run_until(m->loop, T0 + 10 * SECOND);
    return !rc;
}

static void room_close(struct room *m) {
    house_close(&m->house);
    loop_free(m->loop);
}

static void later(struct room *m, int64_t seconds) { loop_run_until(m->loop, loop_now_us(m->loop) + seconds * SECOND); }

/* -- calls -- */

struct asked {
    struct call c;
    bool done;
    int rc;
};

static void answered(struct call *c, int rc) {
    struct asked *a = c->transport_ctx;
    a->done = true;
    a->rc = rc;
}

/* `body` is JSON. */
static int ask(struct room *m, const char *on, const char *object, const char *verb, const char *body) {
    struct asked a = {0};
    struct doc *d = NULL;
    a.c.host = &m->house.host;
    a.c.who.role = ROLE_ADMIN;
    strcpy(a.c.who.name, "test");
    a.c.answer = answered;
    a.c.transport_ctx = &a;
    if (body && json_parse(&a.c.arena, "test", body, strlen(body), NULL, &d, &a.c.err))
        printf("# %s\n", a.c.err.message);
    call_start(&a.c, on, object, verb, d, "test");
    while (!a.done)
        loop_turn(m->loop, SECOND);
    if (a.rc)
        printf("# %s %s: %s\n", on, verb, a.c.err.message);
    text_free(&a.c.raw);
    arena_free(&a.c.arena);
    return a.rc;
}

/* One job of `n` tasks of so many core seconds each. */
static int submit(struct room *m, const char *name, int n, int core_s) {
    char body[600];
    snprintf(body, sizeof body,
             "{\"job\": {\"job\": \"%s\", \"type\": \"batch\", \"tasks\": [{\"name\": \"t-{i}\", \"for\": {\"i\": \"1..%d\"}, "
             "\"argv\": [\"work\"], \"env\": [\"SUAN_CORE_S=%d\"], \"memory_bytes\": \"64 MiB\"}]}}",
             name, n, core_s);
    return ask(m, "job", NULL, "submit", body);
}

static int job_state(struct room *m, const char *name) {
    oid id = estate_find(m->s, "job", name);
    return id ? estate_get(m->s, id, job)->state : -1;
}

static void fault_at(struct room *m, oid device, const char *verb) {
    char spec[96];
    struct err e = {0};
    snprintf(spec, sizeof spec, "fault:rate_ratio=1,when=before,what=unavail,verb=%s", verb);
    if (device_filter(m->house.host.devices, device, spec, &e))
        printf("# %s\n", e.message);
}

static void fault(struct room *m, const char *verb) { fault_at(m, m->agent, verb); }

static void heal(struct room *m) { device_unfilter(m->house.host.devices, m->agent, "fault", NULL); }

/* -- what the executor holds -- */

struct listing {
    struct device_request r;
    struct exec_list out;
    size_t n, n_live;
    bool done;
};

static void listed(struct device_request *r, int rc) {
    struct listing *x = r->ctx;
    x->done = true;
    for (struct doc *d = rc || !x->out.reports ? NULL : x->out.reports->list.first; d; d = d->next) {
        const char *state = doc_get_str(d, "state", "");
        x->n++;
        x->n_live += !strcmp(state, "running") || !strcmp(state, "fetching");
    }
}

static struct listing held(struct room *m) {
    struct listing x = {.r = {.done = listed}};
    x.r.out = &x.out;
    x.r.ctx = &x;
    device_submit(m->house.host.devices, m->agent, "list", &x.r);
    while (!x.done)
        loop_turn(m->loop, SECOND);
    return x;
}

static void test_lost_answers(void) {
    struct room m;
    if (!ok(room_open(&m), "a centre"))
        return;
    is_int(submit(&m, "cut", 1, 60), 0, "a job of a minute");
    later(&m, 50);
    is_int(job_state(&m, "cut"), JOB_RUNNING, "runs");
    twin_executor_cut(&m.house.host, m.agent, true, NULL);
    later(&m, 20); /* it ends, unheard */
    fault(&m, "list");
    twin_executor_cut(&m.house.host, m.agent, false, NULL);
    later(&m, 5);
    is_int(job_state(&m, "cut"), JOB_RUNNING, "its end is not heard of: the list was lost");
    heal(&m);
    later(&m, 30);
    is_int(job_state(&m, "cut"), JOB_DONE, "the list is asked for again");

    fault(&m, "forget");
    is_int(submit(&m, "kept", 3, 10), 0, "three tasks, whose ends");
    later(&m, 60);
    is_int(job_state(&m, "kept"), JOB_DONE, "are heard of,");
    heal(&m);
    later(&m, 60);
    is_int(held(&m).n, 0, "and forgotten by the executor, although it was not reached at first");

    is_int(submit(&m, "endless", 3, 100000), 0, "three long tasks");
    later(&m, 20);
    fault(&m, "stop");
    is_int(ask(&m, "job", "endless", "cancel", NULL), 0, "are cancelled while the executor is not reached");
    later(&m, 20);
    is_int(held(&m).n_live, 3, "and run on,");
    heal(&m);
    later(&m, 60);
    is_int(held(&m).n, 0, "until it is");
    room_close(&m);
}

static int64_t cores_used(const struct room *m) { return estate_get(m->s, estate_next(m->s, "node", 0), node)->cores_used; }

static void test_wide_failure(void) {
    struct room m;
    if (!ok(room_open(&m), "a centre"))
        return;
    int rc = ask(&m, "job", NULL, "submit",
                 "{\"job\": {\"job\": \"wide\", \"type\": \"batch\", \"retries_max\": 0, \"tasks\": ["
                 "{\"name\": \"bad\", \"argv\": [\"work\"], \"env\": [\"SUAN_CORE_S=1000\"], \"time_limit_us\": \"1m\"},"
                 "{\"name\": \"t-{i}-{k}\", \"for\": {\"i\": \"1..8\", \"k\": \"1..500\"}, \"argv\": [\"work\"], "
                 "\"env\": [\"SUAN_CORE_S=100000\"], \"memory_bytes\": \"1 MiB\"}]}}");
    is_int(rc, 0, "a job of 4,001 tasks, of which one fails");
    later(&m, 30);
    is_int(cores_used(&m), 64, "takes every core,");
    int64_t before = loop_cpu_us();
    later(&m, 60);
    is_int(job_state(&m, "wide"), JOB_FAILED, "fails,");
    int cancelled = 0, failed = 0;
    for (oid i = 0; (i = estate_next(m.s, "task", i));) {
        const struct task *t = estate_get(m.s, i, task);
        cancelled += t->state == TASK_CANCELLED && strstr(t->reason, "failed");
        failed += t->state == TASK_FAILED;
    }
    is_int(failed, 1, "its one task has,");
    is_int(cancelled, 4000, "the others are cancelled and say why,");
    is_int(cores_used(&m), 0, "and every core is free");
    printf("# %.2f s of CPU\n", (double)(loop_cpu_us() - before) * 1e-6);
    room_close(&m);
}

static void test_by_hand(void) {
    struct room m;
    if (!ok(room_open(&m), "a centre"))
        return;
    is_int(submit(&m, "long", 4, 1000), 0, "a job that runs");
    later(&m, 20);
    is_int(cores_used(&m), 4, "on four cores");
    is_int(ask(&m, "job", "long", "delete", NULL), E_STATE, "is not deleted while it runs");
    is_int(ask(&m, "task", "long-t-1", "delete", NULL), E_INVAL, "nor one of its tasks,");
    is_int(ask(&m, "task", "long-t-1", "set", "{\"cores\": 3}"), E_INVAL, "nor does one become wider");
    is_int(ask(&m, "job", "long", "cancel", NULL), 0, "it is cancelled");
    is_int(ask(&m, "job", "long", "delete", NULL), 0, "and deleted,");
    is_int(job_state(&m, "long"), -1, "the job");
    is_int((int64_t)estate_count(m.s, "task"), 0, "and its tasks");
    is_int(cores_used(&m), 0, "no core is left behind");
    later(&m, 60);
    is_int((int64_t)held(&m).n, 0, "nor anything with the executor");
    room_close(&m);
}

static void test_function_ends(void) {
    struct room m;
    if (!ok(room_open(&m), "a centre"))
        return;
    int rc = ask(&m, "job", NULL, "submit",
                 "{\"job\": {\"job\": \"f\", \"type\": \"function\", \"function\": {\"argv\": [\"f\"]}}}");
    is_int(rc, 0, "a function");
    is_int(ask(&m, "function", "f", "invoke", "{\"input\": 1}"), 0, "answers");
    is_int(ask(&m, "job", "f", "cancel", NULL), 0, "its job is cancelled");
    is_int(ask(&m, "function", "f", "invoke", "{\"input\": 1}"), E_STATE, "and it answers no more");
    is_int(ask(&m, "job", "f", "delete", NULL), 0, "the job is deleted");
    is_int((int64_t)estate_count(m.s, "function"), 0, "and the function with it");
    room_close(&m);
}

static int count_row(void *ctx, const struct journal_row *r) {
    (void)r;
    ++*(int *)ctx;
    return 0;
}

static void test_ended_jobs(void) {
    struct room m;
    char name[16];
    if (!ok(room_open(&m), "a centre"))
        return;
    is_int(ask(&m, "cap", NULL, "config", "{\"cap\": \"placement\", \"tasks_kept\": 10, \"tasks_max\": 20}"), 0, "ten tasks are kept");
    is_int(submit(&m, "long", 2, 100000), 0, "of jobs that have ended: one that runs");
    for (int i = 1; i <= 6; i++) {
        snprintf(name, sizeof name, "j%d", i);
        submit(&m, name, 4, 10);
        later(&m, 60);
    }
    is_int(job_state(&m, "long"), JOB_RUNNING, "stays,");
    is_int(job_state(&m, "j4"), -1, "and of six the first four go");
    is_int(job_state(&m, "j5"), JOB_DONE, "the last two are there");
    is_int((int64_t)estate_count(m.s, "task"), 10, "with their tasks");
    struct journal_query q = {.kind = "decision", .object = "job/j1", .limit = 10};
    int rows = 0;
    journal_read(m.house.host.store, &q, count_row, &rows, NULL);
    is_int(rows, 1, "the journal says that they went");
    is_int(submit(&m, "many", 19, 10), E_LIMIT, "more unfinished tasks than configured are refused");
    is_int(submit(&m, "some", 18, 10), 0, "as many are not");
    room_close(&m);
}

static int running(struct room *m) {
    int n = 0;
    for (oid i = 0; (i = estate_next(m->s, "task", i));)
        n += estate_get(m->s, i, task)->state == TASK_RUNNING;
    return n;
}

static void test_quota(void) {
    struct room m;
    if (!ok(room_open(&m), "a centre, a tenant with a quota of two cores"))
        return;
    is_int(ask(&m, "job", NULL, "submit",
               "{\"job\": {\"job\": \"q\", \"type\": \"batch\", \"tenant\": \"lab\", \"tasks\": [{\"name\": \"t-{i}\", \"for\": "
               "{\"i\": \"1..5\"}, \"argv\": [\"work\"], \"env\": [\"SUAN_CORE_S=100\"]}]}}"), 0, "five tasks of a core");
    later(&m, 50);
    is_int(running(&m), 2, "two run at once");
    is_int(estate_get(m.s, estate_find(m.s, "tenant", "lab"), tenant)->used_cores, 2, "the tenant shows what it uses");
    is_str(estate_get(m.s, estate_find(m.s, "task", "q-t-5"), task)->reason,
           "the quota of tenant lab is 2 cores, and 2 are used", "and the others why they wait");
    is_int(ask(&m, "tenant", "lab", "set", "{\"quota_cores\": 3}"), 0, "a raised quota");
    later(&m, 5);
    is_int(running(&m), 3, "lets one more run");
    later(&m, 600);
    is_int(job_state(&m, "q"), JOB_DONE, "all are done in the end");
    is_int(estate_get(m.s, estate_find(m.s, "tenant", "lab"), tenant)->used_cores, 0, "and nothing is used");
    room_close(&m);
}

static void test_nodes(void) {
    struct room m;
    if (!ok(room_open(&m), "a centre of one node"))
        return;
    oid node = estate_next(m.s, "node", 0);
    const char *name = estate_name(m.s, node);
    is_int(submit(&m, "a", 1, 300), 0, "a job of five minutes");
    later(&m, 20);
    is_int(ask(&m, "node", name, "drain", NULL), 0, "its node is drained");
    is_int(submit(&m, "b", 1, 10), 0, "another job");
    later(&m, 60);
    is_int(running(&m), 1, "what runs there goes on");
    is_int(estate_get(m.s, estate_find(m.s, "task", "b-t-1"), task)->state, TASK_READY, "the other waits");
    is_int(ask(&m, "node", name, "return", NULL), 0, "the node is returned");
    later(&m, 60);
    is_int(job_state(&m, "b"), JOB_DONE, "and takes it");

    /* A power-off that only the node's controller sees: the executor, a real agent elsewhere, runs on. */
    fault_at(&m, node, "read"); /* the twin would say that it is up */
    is_int(estate_move(m.s, node, NODE_DOWN, NULL), 0, "the node goes down");
    later(&m, 3); /* longer than placement's tick */
    const struct task *t = estate_get(m.s, estate_find(m.s, "task", "a-t-1"), task);
    is_int(t->state, TASK_READY, "its task is stopped");
    is_int(held(&m).n_live, 0, "first where it ran");
    device_unfilter(m.house.host.devices, node, "fault", NULL);
    later(&m, 900);
    is_int(job_state(&m, "a"), JOB_DONE, "and runs again when there is a node");
    is_int(t->attempt, 2, "once");
    room_close(&m);
}

int main(void) {
    test_lost_answers();
    test_wide_failure();
    test_by_hand();
    test_function_ends();
    test_ended_jobs();
    test_quota();
    test_nodes();
    return tap_done();
}
