/* Both ends of the agent's link at once: the gate of a real host and the agent's serve.c, over real mutual TLS, on one
 * loop. What the agent runs is invented here (an attempt runs until told to end), so that only the link is tested. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../device/room.h"
#include "core/log.h"
#include "core/pki.h"
#include "device/live/agent/agent.h"
#include "plane/agent/private.h"
#include "tap.h"

/* -- the invented tasks: two agents may run in this process -- */

struct tasks {
    struct exec_report reports[64];
    int n, starts, leases;
    started_fn *held; /* starts that are not answered yet */
    void *held_ctx[4];
    int n_held;
    bool holds;
};

void task_start(struct agent_state *a, const struct exec_start *in, started_fn *fn, void *ctx) {
    struct tasks *t = a->tasks;
    struct err e = {0};
    for (int i = 0; i < t->n; i++)
        if (!strcmp(t->reports[i].task, in->task) && in->attempt < t->reports[i].attempt) {
            err_set_at(&e, E_CONFLICT, in->task, "attempt %d is old", (int)in->attempt);
            err_hint(&e, "a newer one was seen");
            fn(ctx, E_CONFLICT, &e);
            return;
        }
    t->starts++;
    struct exec_report *r = &t->reports[t->n++];
    *r = (struct exec_report){.attempt = in->attempt, .state = EXEC_RUNNING, .pid = 77, .started_us = 1767225600123456,
                              .cpu_s = 1.0 / 3};
    str_copy(r->task, sizeof r->task, in->task);
    snprintf(r->result, sizeof r->result, "%s|%s|%d|%s|%.0f|%d|%d", in->argv[1], in->env[0], (int)in->n_inputs,
             in->inputs[1].digest, in->inputs[1].wan_bandwidth_bps, (int)in->time_limit_us, in->checkpoints);
    if (t->holds) {
        t->held = fn;
        t->held_ctx[t->n_held++] = ctx;
        return;
    }
    fn(ctx, 0, NULL);
    serve_report(a, r);
}
int task_stop(struct agent_state *a, const struct exec_stop *in, struct err *e) {
    (void)a;
    return in->grace_us == 1500000 ? 0 : err_set(e, E_NOTFOUND, "grace is %lld", (long long)in->grace_us);
}
int task_forget(struct agent_state *a, const struct exec_task *in, struct err *e) {
    (void)e, (void)in;
    ((struct tasks *)a->tasks)->n = 0;
    return 0;
}
struct doc *task_list(struct agent_state *a, struct arena *ar) {
    struct doc *list = doc_seq(ar);
    struct tasks *t = a->tasks;
    for (int i = 0; i < t->n; i++)
        doc_push(list, table_write(&table_exec_report, &t->reports[i], ar, NULL, 0));
    return list;
}
int task_logs(struct agent_state *a, const struct exec_logs *in, struct exec_log_chunk *out, struct arena *ar, struct err *e) {
    (void)a, (void)e;
    out->text = doc_str(ar, "line 1\n\xe7\xae\x97\n");
    out->offset_bytes = in->offset_bytes;
    out->size_bytes = 11;
    return 0;
}
int task_lease(struct agent_state *a, const struct exec_lease *in, struct err *e) {
    (void)e;
    ((struct tasks *)a->tasks)->leases = (int)in->epoch;
    return 0;
}
int function_deploy(struct agent_state *a, const struct exec_function *in, struct err *e) {
    (void)a;
    return err_set(e, E_LIMIT, "%s: no room", in->function);
}
int function_retire(struct agent_state *a, const struct exec_function *in, struct err *e) {
    (void)a, (void)in, (void)e;
    return 0;
}
void function_invoke(struct agent_state *a, const struct exec_invoke *in, invoked_fn *fn, void *ctx) {
    struct exec_invoked out = {.output = in->input, .cold = true, .wall_s = 0.25, .instances = 3};
    (void)a;
    fn(ctx, 0, &out, NULL);
}

/* For agent_run: its parts, as far as they are invented. */
int tasks_open(struct agent_state *a, struct err *e) {
    static struct tasks t;
    (void)e;
    a->tasks = &t;
    return 0;
}
void tasks_close(struct agent_state *a) { (void)a; }
int functions_open(struct agent_state *a, struct err *e) { return (void)a, (void)e, 0; }
void functions_close(struct agent_state *a) { (void)a; }

/* -- the two sides -- */

static char root[200];
static struct room room;
static struct agent_gate *gate;
static struct link_identity *controller;
static oid agent;

struct one {
    struct agent_state a;
    struct agent_config config;
    struct tasks tasks;
    char folder[300], cert[300], key[300], ca[300], file[300];
};
static struct one zjk, other;

static const char *in_root(const char *name) {
    static char path[4][300];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", root, name);
    return path[i];
}

static void announce(int port) {
    FILE *f = fopen(in_root("controller.json"), "w");
    fprintf(f, "{\"url\":\"x\",\"link\":\"127.0.0.1:%d\",\"pid\":1}\n", port);
    fclose(f);
}

static void one_open(struct one *o, const char *folder, const char *pki, const char *file) {
    struct err e = {0};
    memset(o, 0, sizeof *o);
    snprintf(o->folder, sizeof o->folder, "%s/%s", root, folder);
    snprintf(o->cert, sizeof o->cert, "%s/%s/%s.crt", root, pki, file);
    snprintf(o->key, sizeof o->key, "%s/%s/%s.key", root, pki, file);
    snprintf(o->ca, sizeof o->ca, "%s/pki/ca.crt", root);
    snprintf(o->file, sizeof o->file, "%s/controller.json", root);
    if (access(o->folder, F_OK) && system(strcat(strcpy((char[400]){0}, "mkdir "), o->folder)))
        printf("# no folder\n");
    o->config = (struct agent_config){.name = folder, .folder = o->folder, .controller_file = o->file, .cert = o->cert,
                                      .key = o->key, .ca = o->ca, .address = "127.0.0.1"};
    o->a = (struct agent_state){.loop = room.loop, .config = &o->config, .tasks = &o->tasks,
                                .cgroups = {.version = 1, .have = CG_CPU | CG_CPUACCT | CG_PIDS}};
    if (blobs_open(&o->a, &e) || serve_open(&o->a, &e))
        printf("# %s\n", e.message);
}

static void one_close(struct one *o) {
    serve_close(&o->a);
    blobs_close(&o->a);
}

static const struct agent *seen(void) { return estate_get(room.host.estate, agent, agent); }

static bool until(bool (*is)(void), int64_t most_us) {
    int64_t stop = loop_mono_fresh_us() + most_us;
    while (!is() && loop_mono_fresh_us() < stop)
        loop_turn(room.loop, 10000);
    return is();
}
static bool is_connected(void) { return seen()->state == AGENT_CONNECTED; }
static bool is_away(void) { return seen()->state == AGENT_AWAY; }
static bool never(void) { return false; }

/* -- requests -- */

struct req {
    struct device_request r;
    int done, rc;
    struct err err;
};
static void req_done(struct device_request *r, int rc) {
    struct req *q = r->ctx;
    q->done++;
    q->rc = rc;
    q->err = r->err;
}
static void send_req(struct req *q, const char *verb, const void *in, void *out) {
    *q = (struct req){.r = {.in = in, .out = out, .done = req_done, .ctx = q}};
    device_submit(room.devices, agent, verb, &q->r);
}
static int wait_req(struct req *q) {
    int64_t stop = loop_mono_fresh_us() + 3000000;
    while (!q->done && loop_mono_fresh_us() < stop)
        loop_turn(room.loop, 10000);
    return q->done == 1 ? q->rc : -99;
}
static int call(const char *verb, const void *in, void *out, struct err *e) {
    struct req q;
    send_req(&q, verb, in, out);
    int rc = wait_req(&q);
    if (e)
        *e = q.err;
    return rc;
}

static struct exec_report last;
static int reports;
static void on_report(void *ctx, oid who, const struct exec_report *r) {
    (void)ctx;
    if (who == agent) {
        last = *r;
        reports++;
    }
}
static bool has_report(void) { return reports > 0; }

static char events[20][300];
static int n_events;
static void on_event(void *ctx, const char *event, const struct doc *d) {
    (void)ctx;
    if (!strcmp(event, "event") && n_events < 20)
        snprintf(events[n_events++], sizeof events[0], "%s %s", doc_get_str(d, "name", ""), doc_get_str(d, "text", ""));
}
static bool told(const char *name, const char *text) {
    for (int i = 0; i < n_events; i++)
        if (str_starts(events[i], name) && strstr(events[i], text))
            return true;
    for (int i = 0; i < n_events; i++)
        printf("# event: %s\n", events[i]);
    return false;
}

/* -- the tests -- */

static void test_connect(void) {
    const struct condition *c;
    const char *lacks = "";
    oid centre = seen()->centre ? seen()->centre : estate_ancestor(room.host.estate, agent, "centre");
    is_int(call("list", NULL, &(struct exec_list){0}, NULL), E_UNAVAIL, "an agent that never came is unavailable");
    one_open(&zjk, "c-zjk", "pki", "agent-c-zjk");
    ok(until(is_connected, 3000000), "an agent dials in and is connected");
    is_int(seen()->epoch, 1, "its first epoch");
    is_int(seen()->pid, getpid(), "its process is known");
    char address[64];
    blob_address(&zjk.a, address);
    ok(*address && !strcmp(seen()->address, address), "and where peers fetch data from it");
    is_int(estate_get(room.host.estate, centre, centre)->state, CENTRE_UP, "its centre is up");
    for (size_t i = 0, n = estate_conditions(room.host.estate, agent, &c); i < n; i++)
        if (!strcmp(c[i].name, "limited"))
            lacks = c[i].text;
    is_str(lacks, "memory limits", "what its machine cannot do is a condition");
    ok(told("agent-connected", "epoch 1"), "and an event tells of it");
}

static void test_verbs(void) {
    struct err e;
    static struct exec_start in;
    in = (struct exec_start){.task = "t1", .attempt = 2, .argv = {"/bin/true", "\"quoted\" \\ \xe7\xae\x97"}, .n_argv = 2,
                             .env = {"A=b"}, .n_env = 1, .inputs = {{.name = "a"}, {.name = "b", .digest = "sha256:00", .wan_bandwidth_bps = 1e9}},
                             .n_inputs = 2, .cores = 1, .time_limit_us = 1234567, .checkpoints = true};
    reports = 0;
    is_int(call("start", &in, NULL, &e), 0, "start is accepted");
    ok(until(has_report, 1000000) && last.state == EXEC_RUNNING, "and the report comes");
    is_str(last.result, "\"quoted\" \\ \xe7\xae\x97|A=b|2|sha256:00|1000000000|1234567|1", "every field arrives as it was sent");
    ok(last.started_us == 1767225600123456 && last.cpu_s == 1.0 / 3, "times to the microsecond, numbers to the last bit");
    in.attempt = 1;
    is_int(call("start", &in, NULL, &e), E_CONFLICT, "an older attempt is refused");
    ok(!strcmp(e.message, "attempt 1 is old") && !strcmp(e.hint, "a newer one was seen") && !strcmp(e.place, "t1"),
       "with the agent's own words");
    struct exec_stop stop = {.task = "t1", .attempt = 2, .grace_us = 1500000};
    is_int(call("stop", &stop, NULL, &e), 0, "stop takes its span");
    struct exec_logs logs = {.task = "t1", .limit_bytes = 100, .offset_bytes = 3};
    struct exec_log_chunk chunk = {0};
    is_int(call("logs", &logs, &chunk, &e), 0, "logs answers");
    is_int(chunk.size_bytes, 11, "with its numbers");
    struct exec_lease lease = {.epoch = 1, .lease_us = 30000000};
    ok(call("lease", &lease, NULL, &e) == 0 && zjk.tasks.leases == 1, "lease tells the epoch");
    struct exec_function f = {.function = "f", .cores = 1, .instances_max = 1};
    is_int(call("deploy", &f, NULL, &e), E_LIMIT, "a refusal keeps its code");
    struct exec_input fetch = {.name = "x"};
    snprintf(fetch.digest, sizeof fetch.digest, "sha256:%064d", 1);
    is_int(call("fetch", &fetch, NULL, &e), E_NOTFOUND, "a call that is answered later is answered");
    fetch.digest[0] = 'x';
    is_int(call("fetch", &fetch, NULL, &e), E_INVAL, "also when it is wrong");
}

/* Documents of an answer live as long as done() runs. */
static char output[100];
static void invoke_done(struct device_request *r, int rc) {
    const struct exec_invoked *x = r->out;
    struct text t = TEXT_INIT;
    if (!rc && x->output)
        json_print(&t, x->output, 0);
    snprintf(output, sizeof output, "%s %d %.2f %d", text_str(&t), x->cold, x->wall_s, (int)x->instances);
    text_free(&t);
    ++*(int *)r->ctx;
}
static void test_invoke(void) {
    struct arena a = ARENA_INIT;
    static struct exec_invoked out;
    int done = 0;
    struct exec_invoke in = {.function = "wet", .input = doc_map(&a)};
    doc_put_real(&a, in.input, "t", 21.5);
    static struct device_request r;
    r = (struct device_request){.in = &in, .out = &out, .done = invoke_done, .ctx = &done};
    device_submit(room.devices, agent, "invoke", &r);
    arena_free(&a); /* what was sent needs the input no more */
    for (int64_t stop = loop_mono_fresh_us() + 2000000; !done && loop_mono_fresh_us() < stop;)
        loop_turn(room.loop, 10000);
    is_str(output, "{\"t\":21.5} 1 0.25 3", "an invocation's documents go there and back");
}

static bool holds_start(void) { return zjk.tasks.held != NULL; }

static int listed_done;
static void list_done(struct device_request *r, int rc) {
    const struct exec_list *list = r->out;
    listed_done = 0;
    doc_each(d, list->reports) {
        struct exec_report rep = {0};
        listed_done += !table_read(&table_exec_report, &rep, d, "list", NULL, TABLE_RESTORE, NULL) && rep.state == EXEC_DONE;
    }
    req_done(r, rc);
}

/* The cut: what was under way ends, what was reported meanwhile is told by list. */
static void test_cut(void) {
    static struct exec_start in;
    static struct exec_list list;
    struct req q, late;
    in = (struct exec_start){.task = "t2", .attempt = 1, .argv = {"x"}, .n_argv = 1, .cores = 1};
    zjk.tasks.holds = true;
    send_req(&q, "start", &in, NULL);
    until(holds_start, 1000000);
    send_req(&late, "start", &in, NULL);
    device_cancel(&late.r);
    loop_turn(room.loop, 0);
    is_int(late.rc, E_CANCELLED, "an asker may give up");
    int port = agent_gate_port(gate);
    agent_gate_close(gate); /* the controller dies */
    gate = NULL;
    is_int(wait_req(&q), E_UNAVAIL, "a request under way ends as unavailable");
    ok(is_away(), "the agent is away");
    ok(told("agent-away", ""), "and an event says so");
    for (int i = 0; i < zjk.tasks.n_held; i++)
        zjk.tasks.held(zjk.tasks.held_ctx[i], 0, NULL); /* answered into nowhere */
    zjk.tasks.holds = false;
    for (int i = 0; i < zjk.tasks.n; i++) {
        zjk.tasks.reports[i].state = EXEC_DONE;
        serve_report(&zjk.a, &zjk.tasks.reports[i]); /* dropped: nobody is there */
    }
    until(never, 300000);
    /* A new controller, elsewhere. */
    struct err e = {0};
    struct agent_gate_config gc = {.address = "127.0.0.1", .identity = controller};
    is_int(agent_gate_open(&room.host, &gc, &gate, &e), 0, "a controller comes back");
    ok(agent_gate_port(gate) != port, "at another port");
    announce(agent_gate_port(gate));
    ok(until(is_connected, 8000000), "the agent finds it by itself");
    is_int(seen()->epoch, 2, "in a new epoch");
    send_req(&q, "list", NULL, &list);
    q.r.done = list_done;
    is_int(wait_req(&q), 0, "list is asked after the hello");
    is_int(listed_done, 3, "and tells what ended in the cut");
}

static bool replaced(void) { return seen()->epoch >= 4; }
static bool refused(void) {
    for (int i = 0; i < n_events; i++)
        if (str_starts(events[i], "agent-refused"))
            return true;
    return false;
}

static void test_rivals(void) {
    struct err e = {0};
    struct exec_list list = {0};
    int64_t epoch = seen()->epoch;
    /* The same certificate from another folder: the newest wins, and the old one comes back no faster than it may. */
    n_events = 0;
    one_open(&other, "other", "pki", "agent-c-zjk");
    other.config.name = "c-zjk";
    for (int64_t stop = loop_mono_fresh_us() + 3000000; seen()->epoch == epoch && loop_mono_fresh_us() < stop;)
        loop_turn(room.loop, 10000);
    ok(seen()->epoch > epoch && is_connected(), "a second connection of an agent replaces the first");
    one_close(&other);
    until(never, 700000);
    until(is_connected, 6000000);
    is_int(call("list", NULL, &list, &e), 0, "the first comes back when the second has gone");
    until(replaced, 0);
    /* Another certificate of our own authority, for the same name, not the pinned one. */
    n_events = 0;
    pki_issue(in_root("pki"), "rogue", "agent/c-zjk", &e);
    epoch = seen()->epoch;
    one_open(&other, "rogue", "pki", "rogue");
    other.config.name = "c-zjk";
    ok(until(refused, 3000000) && told("agent-refused", "pinned"), "another certificate of the same name is refused by its pin");
    is_int(seen()->epoch, epoch, "and disturbs nobody");
    one_close(&other);
    /* A name the estate does not know. */
    until(never, 1100000);
    n_events = 0;
    pki_issue(in_root("pki"), "agent-nobody", "agent/nobody", &e);
    one_open(&other, "nobody", "pki", "agent-nobody");
    ok(until(refused, 3000000) && told("agent-refused", "no agent of the estate"), "an unknown name is refused");
    one_close(&other);
    until(never, 1100000);
    n_events = 0;
    pki_open(in_root("foreign"), &e);
    pki_issue(in_root("foreign"), "agent-c-zjk", "agent/c-zjk", &e);
    one_open(&other, "foreign", "foreign", "agent-c-zjk");
    ok(until(refused, 3000000) && told("agent-refused", "agent/c-zjk"), "another authority's certificate is refused, and named");
    one_close(&other);
}

static void test_reissue(void) {
    struct err e = {0};
    int64_t epoch = seen()->epoch;
    unlink(in_root("pki/agent-c-zjk.crt"));
    pki_issue(in_root("pki"), "agent-c-zjk", "agent/c-zjk", &e);
    char print[65];
    pki_fingerprint(in_root("pki/agent-c-zjk.crt"), print, &e);
    ok(strcmp(print, seen()->fingerprint), "the certificate was issued again while the agent runs");
    int port = agent_gate_port(gate);
    agent_gate_close(gate);
    static char folder[300];
    str_copy(folder, sizeof folder, in_root("pki"));
    struct agent_gate_config gc = {.address = "127.0.0.1", .port = port, .identity = controller, .pki_folder = folder};
    is_int(agent_gate_open(&room.host, &gc, &gate, &e), 0, "the controller is back at the same port");
    ok(until(is_connected, 8000000) && seen()->epoch == epoch + 1, "the agent shows the new one at its next dial");
    is_str(seen()->fingerprint, print, "which is pinned from then on");
}

/* A hostile agent: a certificate that is good, messages that are not. */
static struct wire_link *hostile;
static int hostile_open, hostile_closed;
static char hostile_told[300];
static void h_opened(void *ctx, struct wire_link *l, const char *p, const char *f) {
    (void)ctx, (void)l, (void)p, (void)f;
    hostile_open++;
}
static void h_message(void *ctx, struct wire_link *l, struct doc *d, struct arena *a) {
    (void)ctx, (void)l, (void)a;
    if (!strcmp(doc_get_str(d, "event", ""), "refused"))
        snprintf(hostile_told, sizeof hostile_told, "%s", doc_get_str(doc_get(d, "data"), "message", ""));
}
static void h_closed(void *ctx, struct wire_link *l, const struct err *e) {
    (void)ctx, (void)l, (void)e;
    hostile_closed++;
}
static const struct link_handler h_handler = {.opened = h_opened, .message = h_message, .closed = h_closed};
static bool h_is_open(void) { return hostile_open > 0; }
static bool h_is_closed(void) { return hostile_closed > 0; }

static void test_hostile(void) {
    static const struct {
        const char *text, *why;
        bool greets;
    } rows[] = {
        {"{\"x\":1}", "must be a call", false},
        {"{\"event\":\"task\",\"data\":{}}", "before its hello", false},
        {"{\"event\":\"hello\"}", "hello is not one", false},
        {"{\"event\":\"hello\",\"data\":[1]}", "hello is not one", false},
        {"{\"event\":\"hello\",\"data\":{\"agent\":\"other\",\"pid\":1}}", "hello is not one", false},
        {"{\"event\":\"hello\",\"data\":{\"agent\":\"c-zjk\",\"pid\":\"1\"}}", "hello is not one", false},
        {"{\"event\":\"task\"}", "no body", true},
        {"{\"event\":\"task\",\"data\":7}", "", true},
        {"{\"event\":\"task\",\"data\":{\"task\":\"t\",\"attempt\":\"x\"}}", "attempt", true},
        {"{\"event\":\"task\",\"data\":{\"task\":\"t\",\"attempt\":1,\"state\":\"flying\"}}", "flying", true},
        {"{\"event\":\"task\",\"data\":{\"task\":\"t\",\"attempt\":1,\"outputs\":[1,2,3]}}", "", true},
    };
    struct link_identity *id = NULL;
    struct err e = {0};
    one_close(&zjk); /* its identity is used here */
    until(is_away, 2000000);
    link_identity_load(in_root("pki/agent-c-zjk.crt"), in_root("pki/agent-c-zjk.key"), in_root("pki/ca.crt"), &id, &e);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[160];
        struct arena a = ARENA_INIT;
        struct doc *d;
        hostile_open = hostile_closed = 0;
        hostile_told[0] = 0;
        link_connect(room.loop, "127.0.0.1", agent_gate_port(gate), "controller", id, &h_handler, NULL, &hostile, &e);
        until(h_is_open, 2000000);
        if (rows[i].greets) {
            struct doc *hello = doc_map(&a);
            doc_put_str(&a, hello, "agent", "c-zjk");
            doc_put_int(&a, hello, "pid", 1);
            link_event(hostile, "hello", hello, NULL);
        }
        json_parse(&a, "t", rows[i].text, strlen(rows[i].text), NULL, &d, &e);
        link_send(hostile, d, NULL);
        until(h_is_closed, 2000000);
        snprintf(name, sizeof name, "%s ends the link: %s", rows[i].text, rows[i].why);
        if (!ok(hostile_closed == 1 && *hostile_told && strstr(hostile_told, rows[i].why), name))
            printf("#   told: %s\n", hostile_told);
        arena_free(&a);
    }
    link_identity_free(id);
}

static bool has_lock(void) {
    char text[24] = {0};
    FILE *f = fopen(in_root("life/lock"), "r");
    bool good = f && fgets(text, sizeof text, f) && atoi(text) > 0;
    if (f)
        fclose(f);
    return good;
}

/* The life of an agent's process: one a folder, gone at a word, no trace of a dead one in the way of the next. */
static void test_life(void) {
    char folder[300];
    str_copy(folder, sizeof folder, in_root("life"));
    struct agent_config c = {.name = "life", .folder = folder, .controller_file = "/nowhere", .cert = "/nowhere",
                             .key = "/nowhere", .ca = "/nowhere", .address = "127.0.0.1"};
    for (int round = 0; round < 2; round++) {
        struct err e = {0};
        char pid_text[32];
        int status = -1;
        if (round && truncate(in_root("life/lock"), 0)) /* so that has_lock waits for the new one */
            printf("# no lock left\n");
        pid_t pid = fork();
        if (!pid) /* the loop's descriptors of the parent are of no use here, and do no harm */
            _exit(agent_run(&c, NULL) ? 1 : 0);
        until(has_lock, 3000000);
        snprintf(pid_text, sizeof pid_text, "process %d", (int)pid);
        ok(agent_run(&c, &e) == E_CONFLICT && strstr(e.message, pid_text) && strstr(e.message, "life"),
           round ? "an agent takes the folder of a dead one" : "a second agent in one folder is refused; the first is named");
        kill(pid, round ? SIGTERM : SIGKILL);
        waitpid(pid, &status, 0);
        if (round)
            is_int(status, 0, "an agent ends well when told to");
    }
}

int main(void) {
    static const struct device_class *const classes[] = {&class_executor, NULL};
    static const struct backend_ops *const backends[] = {&backend_agent, NULL};
    static const char estate[] = "centre:\n  - name: c\n    agent:\n      - name: zjk\n";
    const char *tmp = getenv("TMPDIR");
    struct err e = {0};
    snprintf(root, sizeof root, "%.150s/suan-serve-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        return 1;
    log_setup("test_serve", LOG_LEVEL_ERROR + 1, false);
    room.loop = loop_new(LOOP_REAL, 0);
    if (host_open(&room.host, room.loop, kinds_foundation, foundation_count(), NULL, NULL, 1, &e)) {
        printf("Bail out! %s\n", e.message);
        return 1;
    }
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    yaml_parse(&a, "estate", estate, sizeof estate - 1, NULL, &d, &e);
    struct txn *t = estate_begin(room.host.estate);
    if (txn_import(t, d, "estate", &e) || txn_commit(t, "test", "test", &revision, &e) ||
        devices_open(&room.host, classes, backends, &room.devices, &e)) {
        printf("Bail out! %s %s\n", e.place, e.message);
        return 1;
    }
    arena_free(&a);
    room.host.devices = room.devices;
    agent = estate_find(room.host.estate, "agent", "c-zjk");
    executor_on_report(&room.host, on_report, NULL);
    host_subscribe(&room.host, on_event, NULL);
    pki_open(in_root("pki"), &e);
    pki_issue(in_root("pki"), "controller", "controller", &e);
    pki_issue(in_root("pki"), "agent-c-zjk", "agent/c-zjk", &e);
    link_identity_load(in_root("pki/controller.crt"), in_root("pki/controller.key"), in_root("pki/ca.crt"), &controller, &e);
    struct agent_gate_config gc = {.address = "127.0.0.1", .identity = controller};
    if (agent_gate_open(&room.host, &gc, &gate, &e))
        printf("# %s\n", e.message);
    announce(agent_gate_port(gate));
    test_connect();
    test_verbs();
    test_invoke();
    test_cut();
    test_rivals();
    test_reissue();
    test_hostile();
    test_life();
    agent_gate_close(gate);
    devices_close(room.devices);
    executor_on_report(&room.host, NULL, NULL);
    loop_run_deferred(room.loop);
    host_close(&room.host);
    loop_run_deferred(room.loop);
    link_identity_free(controller);
    loop_free(room.loop);
    char command[260];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) ? 1 : tap_done();
}
