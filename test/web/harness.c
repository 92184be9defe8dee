/* A controller for the console's test: the real house, placement and HTTP front, with an executor whose work is made
 * up, so that what the pages show is the same each time. Prints {"port":…,"token":…}; ends when its input closes.
 *
 *   harness ESTATE [--full]     --full: with an hour of telemetry, jobs in every state, conditions */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/console.h"
#include "cap/placement/placement.h"
#include "core/host.h"
#include "core/telemetry.h"
#include "device/class/executor.h"
#include "device/class/node.h"
#include "device/class/pdu.h"
#include "estate/kinds.h"

enum { RUNS_MAX = 512, TICK_US = 200000 };

/* -- the executor: every task runs for a time that its name says, and prints a line a second -- */

struct run {
    oid agent;
    char task[ESTATE_NAME], program[160];
    int64_t attempt, started_us, lasts_us;
    struct artifact_ref outputs[TASK_OUTPUTS];
    uint32_t n_outputs;
    bool is_running, is_over;
};

static struct {
    struct host host;
    struct loop *loop;
    struct run runs[RUNS_MAX];
    size_t n;
    struct timer timer;
} h;

static uint32_t number_of(const char *s) { /* FNV-1a: the same for the same name */
    uint32_t x = 2166136261u;
    for (; *s; s++)
        x = (x ^ (unsigned char)*s) * 16777619u;
    return x;
}

static struct run *run_find(const char *task) {
    for (size_t i = h.n; i-- > 0;)
        if (!strcmp(h.runs[i].task, task))
            return &h.runs[i];
    return NULL;
}

static void run_start(oid agent, const struct exec_start *in) {
    struct run *old = run_find(in->task);
    if ((old && old->attempt >= in->attempt) || h.n == RUNS_MAX)
        return;
    struct run *r = &h.runs[h.n++];
    *r = (struct run){.agent = agent, .attempt = in->attempt, .started_us = loop_now_us(h.loop), .n_outputs = in->n_outputs};
    strcpy(r->task, in->task);
    strcpy(r->program, in->argv[0]);
    memcpy(r->outputs, in->outputs, sizeof r->outputs);
    r->lasts_us = strcmp(r->program, "forecast-train") ? 20000000 + number_of(r->task) % 40 * 1000000 : 86400000000;
}

/* What it has printed by now. */
static void run_log(const struct run *r, struct text *out) {
    int64_t lines = (loop_now_us(h.loop) - r->started_us) / 1000000;
    lines = lines < r->lasts_us / 1000000 ? lines : r->lasts_us / 1000000;
    lines = lines < 20000 ? lines : 20000;
    text_addf(out, "%s: attempt %lld\n", r->program, (long long)r->attempt);
    for (int64_t i = 1; i <= lines; i++)
        if (!strcmp(r->program, "forecast-train"))
            text_addf(out, "epoch %4lld  loss %.4f  checkpoint saved\n", (long long)i, 0.08 + 0.9 / (double)(i + 1));
        else
            text_addf(out, "read %lld rows, wet bulb mean %.2f degC\n", (long long)i * 744, 11.0 + (double)(i % 7) / 10);
    if (r->is_over && !strcmp(r->program, "fail"))
        text_add(out, "error: input is not a table: row 1 has 3 columns, not 8\n");
}

static void submit(struct backend *b, struct device_request *r) {
    const char *verb = r->verb->name;
    if (!strcmp(verb, "start"))
        run_start(b->id, r->in);
    if (!strcmp(verb, "stop") && run_find(((const struct exec_stop *)r->in)->task))
        run_find(((const struct exec_stop *)r->in)->task)->is_over = true;
    if (!strcmp(verb, "list"))
        ((struct exec_list *)r->out)->reports = doc_seq(&r->arena);
    if (!strcmp(verb, "logs")) {
        const struct exec_logs *in = r->in;
        struct exec_log_chunk *out = r->out;
        const struct run *run = run_find(in->task);
        struct text t = TEXT_INIT;
        if (run)
            run_log(run, &t);
        size_t at = (size_t)in->offset_bytes < t.n ? (size_t)in->offset_bytes : t.n;
        size_t n = t.n - at < (size_t)in->limit_bytes ? t.n - at : (size_t)in->limit_bytes;
        out->text = doc_strn(&r->arena, text_str(&t) + at, n);
        out->size_bytes = (int64_t)t.n;
        text_free(&t);
    }
    device_finish(r, 0);
}

static int backend_open(struct host *host, oid id, const struct doc *options, struct backend *under,
                        struct backend **out, struct err *e) {
    (void)options, (void)under, (void)e;
    *out = calloc(1, sizeof **out);
    (*out)->host = host;
    (*out)->id = id;
    return 0;
}
static void backend_close(struct backend *b) { free(b); }
static const struct backend_ops executor_ops = {.name = "agent", .cls = "executor", .open = backend_open, .close = backend_close, .submit = submit};

static void report(struct run *r, int state, const char *reason) {
    struct exec_report x = {.attempt = r->attempt, .state = state, .started_us = r->started_us, .pid = 4000 + (int64_t)(r - h.runs)};
    strcpy(x.task, r->task);
    strcpy(x.cpu_from, "cgroup");
    strcpy(x.reason, reason);
    x.ended_us = state >= EXEC_DONE ? loop_now_us(h.loop) : 0;
    x.exit_status = state == EXEC_FAILED ? 256 : 0;
    x.cpu_s = (double)r->lasts_us * 0.93e-6;
    x.moved_bytes = number_of(r->task) % 9000000;
    x.n_outputs = state == EXEC_DONE ? r->n_outputs : 0;
    for (uint32_t i = 0; i < x.n_outputs; i++) {
        strcpy(x.outputs[i].name, r->outputs[i].name);
        snprintf(x.outputs[i].digest, sizeof x.outputs[i].digest, "sha256:%064x", number_of(r->task));
        x.outputs[i].size_bytes = 120000 + number_of(r->task) % 900000;
    }
    if (state == EXEC_DONE)
        snprintf(x.result, sizeof x.result, "{\"rows\":%u,\"free_cooling_h\":%u}", 26304 + number_of(r->task) % 40, 3000 + number_of(r->task) % 2500);
    executor_report(&h.host, r->agent, &x);
}

static void runs_follow(void) {
    for (size_t i = 0; i < h.n; i++) {
        struct run *r = &h.runs[i];
        if (r->is_over)
            continue;
        if (!r->is_running) {
            r->is_running = true;
            report(r, EXEC_RUNNING, "");
        } else if (loop_now_us(h.loop) - r->started_us >= r->lasts_us) {
            r->is_over = true;
            report(r, strcmp(r->program, "fail") ? EXEC_DONE : EXEC_FAILED, strcmp(r->program, "fail") ? "" : "it ended with status 1");
        }
    }
}

/* -- what flows: the power curve of every node at a load that its name and the hour say -- */

static double load_of(const struct estate *s, oid node, int64_t now_us) {
    double phase = (double)(now_us / 1000000 % 3600) / 3600 * 6.2832 + number_of(estate_name(s, estate_ancestor(s, node, "centre"))) % 628 / 100.0;
    double base = 0.2 + number_of(estate_name(s, node)) % 100 / 250.0 + 0.18 * sin(phase) + 0.05 * sin(phase * 7);
    return base < 0.02 ? 0.02 : base > 1 ? 1 : base;
}

static void flows_set(void) {
    struct estate *s = h.host.estate;
    int64_t now = loop_now_us(h.loop);
    for (oid c = 0; (c = estate_next(s, "centre", c));) {
        struct centre *centre = estate_observe(s, c, centre);
        double sum = 0;
        centre->cores_total = centre->cores_used = 0;
        for (oid hall = 0; (hall = estate_child(s, c, "hall", hall));)
            for (oid rack = 0; (rack = estate_child(s, hall, "rack", rack));) {
                double rack_w = 0;
                for (oid n = 0; (n = estate_child(s, rack, "node", n));) {
                    struct node *node = estate_observe(s, n, node);
                    const struct model *m = estate_get(s, node->model, model);
                    node->utilisation_ratio = load_of(s, n, now);
                    node->power_w = model_power_w(m, node->utilisation_ratio);
                    node->temperature_c = 22 + 8 * node->utilisation_ratio;
                    centre->cores_total += m->cores;
                    centre->cores_used += (int64_t)(node->utilisation_ratio * (double)m->cores);
                    rack_w += node->power_w;
                }
                estate_observe(s, rack, rack)->power_w = rack_w;
                estate_observe(s, rack, rack)->inlet_c = 22 + rack_w / 2500;
                estate_observe(s, hall, hall)->power_w += rack_w;
                sum += rack_w;
            }
        centre->power_w = sum * centre->pue_ratio;
        if (estate_alive(s, centre->grid))
            centre->carbon_g_per_h = centre->power_w * estate_get(s, centre->grid, grid)->factor_kg_per_kwh;
        centre->agent_seen_us = now;
    }
    for (oid l = 0; (l = estate_next(s, "link", l));)
        estate_observe(s, l, link)->used_bps = number_of(estate_name(s, l)) % 4 ? 0 : 1e9 * (1 + number_of(estate_name(s, l)) % 70 / 10.0);
}

static void agents_come(void) {
    struct estate *s = h.host.estate;
    for (oid i = 0; (i = estate_next(s, "agent", i));) {
        struct agent *a = estate_observe(s, i, agent);
        a->epoch = 1;
        a->pid = 3000 + (int64_t)i;
        a->lease_until_us = loop_now_us(h.loop) + 3600000000;
        snprintf(a->address, sizeof a->address, "127.0.0.1:%u", 20000 + number_of(estate_name(s, i)) % 20000);
        estate_move(s, i, AGENT_CONNECTED, NULL);
        if (estate_alive(s, a->centre))
            estate_move(s, a->centre, CENTRE_UP, NULL);
    }
}

static void tick(void *ctx) {
    static int n;
    (void)ctx;
    runs_follow();
    if (++n % 10 == 0) /* what flows is read every two seconds */
        flows_set();
    timer_mono_in(h.loop, &h.timer, TICK_US, tick, NULL);
}

/* -- content -- */

static const char *const jobs[] = {
    "job: weather\ntype: batch\ntenant: met\npolicy: spread\ntasks:\n"
    "  - name: map-{city}-{month}\n    for: {city: [beijing, shanghai, guangzhou], month: 01..04}\n"
    "    argv: [weather-map, \"{city}\", \"{month}\"]\n    outputs: [part.csv]\n"
    "  - name: reduce-{city}\n    for: {city: [beijing, shanghai, guangzhou]}\n    argv: [weather-reduce, \"{city}\"]\n"
    "    inputs: [\"map-{city}-*/part.csv\"]\n    outputs: [city.csv]\n"
    "  - name: report\n    argv: [weather-report]\n    inputs: [\"reduce-*/city.csv\"]\n",
    "job: broken-input\ntype: batch\ntenant: campus\nretries_max: 1\ntasks:\n  - {name: parse, argv: [fail, table.csv]}\n",
    "job: forecast\ntype: train\ntenant: grid-lab\ntasks:\n"
    "  - {name: prepare, argv: [forecast-prepare], outputs: [grid.bin]}\n"
    "  - {name: train, argv: [forecast-train], inputs: [prepare/grid.bin], checkpoints: true, cores: 8}\n",
    "job: huge\ntype: batch\ntenant: campus\ntasks:\n  - {name: all, argv: [simulate], cores: 4000}\n",
    "job: weather\ntype: batch\ntenant: met\npolicy: greenest\ntasks:\n"
    "  - name: map-{city}\n    for: {city: [beijing, shanghai]}\n    argv: [weather-map, \"{city}\"]\n    outputs: [part.csv]\n"
    "  - {name: report, argv: [weather-report], inputs: [\"map-*/part.csv\"]}\n",
};

static void ignored(struct call *c, int rc) {
    if (rc)
        fprintf(stderr, "harness: %s: %s\n", c->err.place, c->err.message);
}

static void job_submit(const char *yaml) {
    struct call *c = calloc(1, sizeof *c); /* lives as long as the process: its answer may come late */
    c->host = &h.host;
    c->who = (struct principal){.name = "lin", .role = ROLE_ADMIN};
    c->answer = ignored;
    struct doc *body = doc_map(&c->arena);
    doc_put_str(&c->arena, body, "job", yaml);
    call_start(c, "job", NULL, "submit", body, "harness");
}

/* An hour of plant time in a moment: a sample each ten seconds, work going on. */
static void hour_pass(void) {
    for (int i = 0; i < 360; i++) {
        if (i % 60 == 10 && (size_t)i / 60 < sizeof jobs / sizeof jobs[0])
            job_submit(jobs[i / 60]);
        loop_warp(h.loop, loop_now_us(h.loop) + 10000000, 0);
        runs_follow();
        flows_set();
        host_cycle(&h.host);
        while (loop_turn(h.loop, 0))
            ;
        telemetry_sample(h.host.telemetry);
    }
    struct estate *s = h.host.estate;
    oid rack = estate_next(s, "rack", 0);
    if (rack)
        estate_condition(s, rack, "over-budget", SEV_WARNING, "powercap", loop_now_us(h.loop) - 240000000, "7.4 kW is above its budget of 7 kW; 3 nodes are capped");
    oid cut = 0;
    for (oid i = 0; (i = estate_next(s, "centre", i));)
        cut = i;
    if (cut) {
        estate_move(s, cut, CENTRE_CUT_OFF, NULL);
        estate_condition(s, cut, "cut-off", SEV_CRITICAL, "placement", loop_now_us(h.loop) - 95000000, "its agent is not heard");
    }
    host_cycle(&h.host);
}

static void input_closed(void *ctx, int fd, int events) {
    char c;
    (void)ctx, (void)events;
    if (read(fd, &c, 1) <= 0)
        loop_stop(h.loop);
}

int main(int argc, char **argv) {
    static const struct cap *const caps[] = {&cap_placement, NULL};
    static const struct device_class *const classes[] = {&class_pdu, &class_node, &class_executor, NULL};
    static const struct backend_ops *const backends[] = {&executor_ops, NULL};
    struct http_config config = {.address = "127.0.0.1", .assets = console_assets, .nassets = console_nassets};
    struct http *http = NULL;
    struct watch input;
    struct err e = {0};
    char secret[65];
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    if (argc < 2)
        return 2;
    h.loop = loop_new(LOOP_REAL, 0);
    if (host_open(&h.host, h.loop, kinds_foundation, n, caps, NULL, 7, &e) || host_import(&h.host, argv[1], &e) ||
        devices_open(&h.host, classes, backends, &h.host.devices, &e) || host_start(&h.host, &e) ||
        auth_create(h.host.auth, "admin", ROLE_ADMIN, "", 0, secret, &e)) {
        fprintf(stderr, "harness: %s %s\n", e.place, e.message);
        return 1;
    }
    devices_add_verbs(h.host.devices, h.host.verbs);
    h.host.is_twin = true;
    agents_come();
    flows_set();
    if (argc > 2 && !strcmp(argv[2], "--full"))
        hour_pass();
    if (http_open(&h.host, &config, &http, &e)) {
        fprintf(stderr, "harness: %s\n", e.message);
        return 1;
    }
    tick(NULL);
    printf("{\"port\":%d,\"token\":\"%s\"}\n", http_port(http), secret);
    fflush(stdout);
    if (watch_start(h.loop, &input, STDIN_FILENO, WATCH_READ, input_closed, NULL))
        return 1;
    loop_run(h.loop);
    watch_stop(h.loop, &input);
    timer_cancel(h.loop, &h.timer);
    http_close(http);
    devices_close(h.host.devices);
    host_close(&h.host);
    loop_free(h.loop);
    return 0;
}
