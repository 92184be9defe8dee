/* How many processes one agent starts and reaps, through task_start: accepted durably, in a sandbox of its own, limits
 * set, log kept, end reported. And how long one start takes from the call to the first instruction.
 *
 *   bench_agent_spawn [--quick | TASKS [AT ONCE]]     prints one line of JSON a goal */
#include "agent/rig.h"

enum { LATENCY_ROUNDS = 200 };

static int64_t called_us, first_us[LATENCY_ROUNDS];
static size_t n_first;

static void on_report(struct rig *r, const struct exec_report *x) {
    (void)r;
    if (x->state == EXEC_RUNNING && n_first < LATENCY_ROUNDS && called_us)
        first_us[n_first++] = x->started_us - called_us;
}

static int by_value(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

static size_t answered, refused;
static void count(void *ctx, int rc, const struct err *e) {
    (void)ctx;
    answered++;
    if (rc && !refused++)
        fprintf(stderr, "%s\n", e->message);
}

static struct exec_start program(const char *prefix, size_t i) {
    struct exec_start in = {.attempt = 1, .n_argv = 1, .cores = 1, .memory_bytes = 256 << 20};
    snprintf(in.task, sizeof in.task, "%s%zu", prefix, i);
    str_copy(in.argv[0], 160, "true");
    return in;
}

/* What the slots have used: runners and tasks. */
static int64_t slots_cpu_us(const struct rig *r) {
    struct cgroup_usage u;
    cgroup_read(&r->a.cgroups, "", &u);
    return u.cpu_us;
}

/* As the controller does once a result is durable, here in batches: what was forgotten makes room for what comes. */
static void forget(struct rig *r, const char *prefix, size_t from, size_t to) {
    struct exec_task row = {.attempt = 1};
    struct err e = {0};
    for (size_t i = from; i < to; i++) {
        snprintf(row.task, sizeof row.task, "%s%zu", prefix, i);
        task_forget(&r->a, &row, &e);
    }
}

static void rate(struct rig *r, size_t n, size_t at_once) {
    struct exec_start in;
    size_t base = r->n_ended, sent = 0, forgotten = 0;
    int64_t begin = loop_mono_fresh_us(), cpu = loop_cpu_us(), slots = slots_cpu_us(r);
    while (r->n_ended - base < n) {
        while (sent < n && sent - (r->n_ended - base) < at_once) {
            in = program("rate-", sent++);
            task_start(&r->a, &in, count, NULL);
        }
        loop_turn(r->a.loop, 1000000);
        for (; forgotten + at_once < r->n_ended - base; forgotten++)
            forget(r, "rate-", forgotten, forgotten + 1);
    }
    double s = (double)(loop_mono_fresh_us() - begin) / 1e6;
    printf("{\"goal\":\"agent-starts\",\"value\":%.0f,\"unit\":\"1/s\",\"target\":800,\"peer\":null,\"tasks\":%zu,\"agent_cpu_us\":%.0f,\"slots_cpu_us\":%.0f,\"ok\":%s}\n",
           (double)n / s, n, (double)(loop_cpu_us() - cpu) / (double)n,
           (double)(slots_cpu_us(r) - slots) / (double)n,
           (double)n / s >= 800 ? "true" : "false");
}

static void latency(struct rig *r) {
    struct exec_start in;
    r->on_report = on_report;
    for (size_t i = 0; i < LATENCY_ROUNDS; i++) {
        size_t ended = r->n_ended;
        in = program("one-", i);
        rig_turn_for(r, 2000);
        called_us = loop_now_us(r->a.loop);
        task_start(&r->a, &in, count, NULL);
        while (r->n_ended == ended)
            loop_turn(r->a.loop, 1000000);
    }
    r->on_report = NULL;
    qsort(first_us, n_first, sizeof *first_us, by_value);
    printf("{\"goal\":\"agent-start-latency\",\"value\":%.2f,\"unit\":\"ms\",\"target\":20,\"peer\":null,\"p99\":%.2f,\"ok\":%s}\n",
           (double)first_us[n_first / 2] / 1e3, (double)first_us[n_first * 99 / 100] / 1e3,
           first_us[n_first / 2] <= 20000 ? "true" : "false");
}

int main(int argc, char **argv) {
    static struct rig r;
    struct err e = {0};
    if (argc > 1 && !strcmp(argv[1], "runner"))
        return runner_main();
    bool quick = argc > 1 && !strcmp(argv[1], "--quick");
    size_t n = quick ? 1000 : argc > 1 ? (size_t)atoi(argv[1]) : 4000, at_once = argc > 2 ? (size_t)atoi(argv[2]) : 64;
    if (rig_open(&r, NULL, &e)) {
        fprintf(stderr, "%s: %s\n", e.message, e.detail);
        return 1;
    }
    latency(&r);
    rate(&r, n, at_once);
    fprintf(stderr, "confined: %s\n", r.a.confined[0] ? r.a.confined : "not said");
    bool good = !refused && answered == n + LATENCY_ROUNDS && r.n_ended == answered;
    rig_close(&r);
    return good ? 0 : 1;
}
