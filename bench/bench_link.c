/* What the link to an agent costs: start, its answer, two reports, forget, its answer; six messages of real tables over
 * mutual TLS, between two processes. What the agent runs is nothing, so the link is all there is to measure.
 * CPU time of both processes together, because wall time on a shared machine is noise: starts a second one core bears. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test/world/estate_text.h"
#include "core/log.h"
#include "core/pki.h"
#include "device/live/agent/agent.h"
#include "plane/agent/private.h"

enum { WINDOW = 64, MESSAGES = 6 };

/* -- the agent that runs nothing -- */

void task_start(struct agent_state *a, const struct exec_start *in, started_fn *fn, void *ctx) {
    static struct exec_report r;
    r = (struct exec_report){.attempt = in->attempt, .state = EXEC_RUNNING, .pid = 4711, .started_us = loop_now_us(a->loop)};
    str_copy(r.task, sizeof r.task, in->task);
    fn(ctx, 0, NULL);
    serve_report(a, &r);
    r.state = EXEC_DONE;
    r.ended_us = loop_now_us(a->loop);
    r.cpu_s = 0.0123;
    r.n_outputs = 1;
    r.outputs[0] = (struct artifact_ref){.name = "part.csv", .size_bytes = 12345};
    snprintf(r.outputs[0].digest, sizeof r.outputs[0].digest, "sha256:%064d", 1);
    str_copy(r.cpu_from, sizeof r.cpu_from, "cgroup");
    serve_report(a, &r);
}
int task_stop(struct agent_state *a, const struct exec_stop *in, struct err *e) { return (void)a, (void)in, (void)e, 0; }
int task_forget(struct agent_state *a, const struct exec_task *in, struct err *e) { return (void)a, (void)in, (void)e, 0; }
struct doc *task_list(struct agent_state *a, struct arena *ar) { return (void)a, doc_seq(ar); }
int task_logs(struct agent_state *a, const struct exec_logs *in, struct exec_log_chunk *out, struct arena *ar, struct err *e) {
    return (void)a, (void)in, (void)out, (void)ar, (void)e, 0;
}
int task_lease(struct agent_state *a, const struct exec_lease *in, struct err *e) { return (void)a, (void)in, (void)e, 0; }
int function_deploy(struct agent_state *a, const struct exec_function *in, struct err *e) { return (void)a, (void)in, (void)e, 0; }
int function_retire(struct agent_state *a, const struct exec_function *in, struct err *e) { return (void)a, (void)in, (void)e, 0; }
void function_invoke(struct agent_state *a, const struct exec_invoke *in, invoked_fn *fn, void *ctx) {
    (void)a, (void)in;
    fn(ctx, 0, &(struct exec_invoked){0}, NULL);
}

static char root[200];
static const char *in_root(const char *name) {
    static char path[4][300];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", root, name);
    return path[i];
}

static void agent_process(void) {
    struct agent_config c = {.name = "c-a", .folder = root, .controller_file = in_root("controller.json"), .cert = in_root("pki/agent-c-a.crt"),
                             .key = in_root("pki/agent-c-a.key"), .ca = in_root("pki/ca.crt"), .address = "127.0.0.1"};
    struct agent_state a = {.config = &c, .loop = loop_new(LOOP_REAL, 0)};
    struct err e = {0};
    if (blobs_open(&a, &e) || serve_open(&a, &e))
        _exit(1);
    loop_run(a.loop);
    _exit(0);
}

/* -- the controller -- */

static struct host host;
static oid agent;
static int64_t wanted, sent, answered, done, forgotten, failed;
static struct one {
    struct device_request r;
    struct exec_start in;
    struct exec_task task;
} ones[WINDOW], forgets[WINDOW];

static void start_done(struct device_request *r, int rc);
static void start_next(struct one *x) {
    if (sent == wanted)
        return;
    snprintf(x->in.task, sizeof x->in.task, "job-20260101-%07lld", (long long)sent++);
    x->r = (struct device_request){.in = &x->in, .done = start_done, .ctx = x};
    device_submit(host.devices, agent, "start", &x->r);
}
static void start_done(struct device_request *r, int rc) {
    answered++;
    failed += rc != 0;
    start_next(r->ctx);
}
static void forget_done(struct device_request *r, int rc) {
    (void)r;
    forgotten++;
    failed += rc != 0;
}
static void on_report(void *ctx, oid who, const struct exec_report *r) {
    (void)ctx;
    if (r->state != EXEC_DONE)
        return;
    struct one *x = &forgets[done++ % WINDOW];
    str_copy(x->task.task, sizeof x->task.task, r->task);
    x->task.attempt = r->attempt;
    x->r = (struct device_request){.in = &x->task, .done = forget_done, .ctx = x};
    device_submit(host.devices, who, "forget", &x->r);
}

static int64_t cpu_us(int who) {
    struct rusage u;
    getrusage(who, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000ll + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static int setup(struct loop *loop, struct agent_gate **gate, struct link_identity **id, struct err *e) {
    static const struct device_class *const classes[] = {&class_executor, NULL};
    static const struct backend_ops *const backends[] = {&backend_agent, NULL};
    static const char estate[] = "centre:\n  - name: c\n    agent:\n      - name: a\n";
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    int rc = host_open(&host, loop, kinds_foundation, foundation_count(), NULL, NULL, 1, e);
    if (!rc)
        rc = yaml_parse(&a, "estate", estate, sizeof estate - 1, NULL, &d, e);
    struct txn *t = rc ? NULL : estate_begin(host.estate);
    if (!rc)
        rc = txn_import(t, d, "estate", e);
    if (!rc)
        rc = txn_commit(t, "bench", "bench", &revision, e);
    arena_free(&a);
    if (!rc)
        rc = devices_open(&host, classes, backends, &host.devices, e);
    if (!rc)
        rc = link_identity_load(in_root("pki/controller.crt"), in_root("pki/controller.key"), in_root("pki/ca.crt"), id, e);
    struct agent_gate_config gc = {.address = "127.0.0.1", .identity = *id};
    return rc ? rc : agent_gate_open(&host, &gc, gate, e);
}

int main(int argc, char **argv) {
    bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    const char *tmp = getenv("TMPDIR");
    struct agent_gate *gate = NULL;
    struct link_identity *id = NULL;
    struct err e = {0};
    wanted = quick ? 10000 : 50000;
    log_setup("bench", LOG_LEVEL_ERROR, false);
    snprintf(root, sizeof root, "%.150s/suan-bench-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root) || pki_open(in_root("pki"), &e) || pki_issue(in_root("pki"), "controller", "controller", &e) ||
        pki_issue(in_root("pki"), "agent-c-a", "agent/c-a", &e)) {
        fprintf(stderr, "link: %s\n", e.message);
        return 1;
    }
    pid_t child = fork();
    if (!child)
        agent_process();
    struct loop *loop = loop_new(LOOP_REAL, 0);
    if (setup(loop, &gate, &id, &e)) {
        fprintf(stderr, "link: %s\n", e.message);
        return 1;
    }
    FILE *f = fopen(in_root("controller.json"), "w");
    fprintf(f, "{\"link\":\"127.0.0.1:%d\"}\n", agent_gate_port(gate));
    fclose(f);
    agent = estate_find(host.estate, "agent", "c-a");
    executor_on_report(&host, on_report, NULL);
    int64_t stop = loop_mono_fresh_us() + 120000000;
    while (estate_get(host.estate, agent, agent)->state != AGENT_CONNECTED && loop_mono_fresh_us() < stop)
        loop_turn(loop, 10000);
    for (int i = 0; i < WINDOW; i++) {
        ones[i].in = (struct exec_start){.attempt = 1, .argv = {"reduce", "--month", "2024-07", "--city", "guiyang"}, .n_argv = 5,
                                         .n_inputs = 1, .n_outputs = 1, .outputs = {{.name = "part.csv"}}, .cores = 1,
                                         .memory_bytes = 64 << 20, .time_limit_us = 60000000};
        str_copy(ones[i].in.inputs[0].name, sizeof ones[i].in.inputs[0].name, "2024-07.csv");
        snprintf(ones[i].in.inputs[0].digest, sizeof ones[i].in.inputs[0].digest, "sha256:%064d", 2);
    }
    int64_t cpu = cpu_us(RUSAGE_SELF), begin = loop_mono_fresh_us();
    for (int i = 0; i < WINDOW; i++)
        start_next(&ones[i]);
    while (forgotten < wanted && !failed && loop_mono_fresh_us() < stop)
        loop_turn(loop, 10000);
    double wall = (double)(loop_mono_fresh_us() - begin) * 1e-6;
    double here = (double)(cpu_us(RUSAGE_SELF) - cpu);
    kill(child, SIGTERM);
    waitpid(child, NULL, 0);
    double there = (double)cpu_us(RUSAGE_CHILDREN);
    double rate = (double)forgotten * 1e6 / (here + there), target = 2000;
    bool good = forgotten == wanted && !failed && rate >= target;
    printf("{\"goal\":\"link-starts\",\"value\":%.0f,\"unit\":\"1/s\",\"target\":%g,\"peer\":null,\"ok\":%s,"
           "\"message_us\":%.2f,\"controller_us_per_start\":%.1f,\"agent_us_per_start\":%.1f,\"wall_starts_per_s\":%.0f}\n",
           rate, target, good ? "true" : "false", (here + there) / (double)(forgotten * MESSAGES), here / (double)forgotten,
           there / (double)forgotten, (double)forgotten / wall);
    agent_gate_close(gate);
    devices_close(host.devices);
    host_close(&host);
    loop_run_deferred(loop);
    link_identity_free(id);
    loop_free(loop);
    char command[260];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) || !good;
}
