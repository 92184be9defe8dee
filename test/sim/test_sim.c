/* Random estates, random jobs, random faults in virtual time, through the whole house: placement, leases, powercap, the
 * twin's executors. What must hold, whatever happens:
 *   no job is lost (after the faults every one ends well), no attempt overlaps another of the same task, no node gives
 *   more cores than it has, every cap that reaches a server is one its firmware takes, the energy balance closes, the
 *   journal's chain holds, and the same seed ends in the same state.
 *
 *   test_sim [FIRST [COUNT]]      one seed is one universe: test_sim 17 1 repeats the 17th */
#include "app/house.h"
#include "base/hash.h"
#include "core/loop.h"
#include "device/twin/executor.h"
#include "estate/kinds.h"
#include "tap.h"

static const int64_t T0 = 1767225600000000, SECOND = 1000000; /* 2026-01-01 */
enum { FAULTS_S = 2400, END_S = 60000, LOOK_S = 5, TEXT = 32768 };

struct sim {
    struct loop *loop;
    struct house house;
    struct rng rng;
    uint64_t seed;
    struct timer look, fault;
    char broken[256]; /* the first invariant that did not hold */
    int jobs, faults;
};

static void broke(struct sim *s, const char *what, oid id) {
    char path[ESTATE_PATH] = "";
    if (id)
        estate_path(s->house.host.estate, id, path);
    if (!*s->broken)
        snprintf(s->broken, sizeof s->broken, "%s %s at second %lld", what, path,
                 (long long)((loop_now_us(s->loop) - T0) / SECOND));
}

static uint64_t pick(struct sim *s, uint64_t from, uint64_t to) { return from + rng_below(&s->rng, to - from + 1); }

/* -- universes -- */

static void estate_make(struct sim *s, char *text) {
    int centres = (int)pick(s, 2, 4), n = 0;
    n += sprintf(text + n, "estate: sim\n"
                           "grid:\n  - {name: a, factor_kg_per_kwh: 0.6, price_per_kwh: [0.4]}\n"
                           "  - {name: b, factor_kg_per_kwh: 0.2, price_per_kwh: [0.6]}\n"
                           "model:\n"
                           "  - {name: big, cores: 64, memory_bytes: 256 GiB, cap_min_w: 150, power_curve_w: [100, 430]}\n"
                           "  - {name: small, cores: 16, memory_bytes: 64 GiB, cap_min_w: 90, power_curve_w: [60, 200]}\n"
                           "centre:\n");
    for (int c = 0; c < centres; c++) {
        int racks = (int)pick(s, 1, 2);
        n += sprintf(text + n,
                     "  - name: c%d\n    grid: %s\n    pue_ratio: 1.2\n    agent: [{name: a, centre: c%d, backend: twin}]\n"
                     "    hall:\n      - name: h\n        rack:\n",
                     c, pick(s, 0, 1) ? "a" : "b", c);
        for (int r = 0; r < racks; r++) {
            /* One draw a statement: the order of arguments is the compiler's. */
            int budget = (int)pick(s, 700, 2500), limit = (int)pick(s, 1500, 9000);
            int big = (int)pick(s, 1, 4), small = (int)pick(s, 1, 3);
            n += sprintf(text + n,
                         "          - name: r%d\n            budget_w: %d\n            pdu: [{name: p, limit_w: %d}]\n"
                         "            node:\n"
                         "              - {name: 'n[1-%d]', model: big, priority: 3}\n"
                         "              - {name: 'm[1-%d]', model: small, priority: 7}\n",
                         r, budget, limit, big, small);
        }
    }
    n += sprintf(text + n, "link:\n");
    for (int x = 0; x < centres; x++)
        for (int y = x + 1; y < centres; y++)
            n += sprintf(text + n,
                         "  - {name: l%d%d, from: c%d, to: c%d, delay_us: %dms, bandwidth_bps: 1 Gbit/s}\n", x, y, x, y,
                         (int)pick(s, 2, 40));
}

/* A few layers of tasks; each reads from some of the layer before. */
static void job_make(struct sim *s, int number, char *text) {
    int layers = (int)pick(s, 1, 3), n = 0, before = 0;
    n += sprintf(text + n, "job: j%d\ntype: batch\npolicy: %s\ntasks:\n", number, pick(s, 0, 1) ? "spread" : "balanced");
    for (int l = 0; l < layers; l++) {
        int width = (int)pick(s, 1, 5);
        for (int t = 0; t < width; t++) {
            int core_s = (int)pick(s, 1, 4000), cores = (int)pick(s, 1, 16);
            bool checkpoints = pick(s, 0, 1);
            n += sprintf(text + n,
                         "  - name: t%d-%d\n    argv: [work]\n    env: [SUAN_CORE_S=%d]\n    cores: %d\n"
                         "    memory_bytes: 64 MiB\n    time_limit_us: 24h\n    outputs: [out]\n    checkpoints: %s\n",
                         l, t, core_s, cores, checkpoints ? "true" : "false");
            if (l)
                n += sprintf(text + n, "    inputs: [t%d-%d/out]\n", l - 1, (int)pick(s, 0, (uint64_t)before - 1));
        }
        before = width;
    }
}

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

static int ask(struct sim *s, const char *on, const char *verb, const char *key1, const char *value1, const char *key2,
               const char *value2) {
    struct asked a = {0};
    a.c.host = &s->house.host;
    a.c.who.role = ROLE_ADMIN;
    strcpy(a.c.who.name, "sim");
    a.c.answer = answered;
    a.c.transport_ctx = &a;
    struct doc *body = doc_map(&a.c.arena);
    doc_put_str(&a.c.arena, body, key1, value1);
    doc_put_str(&a.c.arena, body, key2, value2);
    call_start(&a.c, on, NULL, verb, body, "sim");
    while (!a.done)
        loop_turn(s->loop, SECOND);
    if (a.rc)
        printf("# %s %s: %s (%s)\n", on, verb, a.c.err.message, a.c.err.place);
    text_free(&a.c.raw);
    arena_free(&a.c.arena);
    return a.rc;
}

/* -- faults -- */

static oid any(struct sim *s, const char *kind) {
    uint64_t n = rng_below(&s->rng, estate_count(s->house.host.estate, kind));
    oid id = estate_next(s->house.host.estate, kind, 0);
    while (n--)
        id = estate_next(s->house.host.estate, kind, id);
    return id;
}

static void poke(struct sim *s, const char *word, oid id) {
    char path[ESTATE_PATH], command[ESTATE_PATH + 16];
    struct err e = {0};
    estate_path(s->house.host.estate, id, path);
    snprintf(command, sizeof command, "%s %s", word, path);
    if (world_poke(twin_world(s->house.twin), command, &e))
        broke(s, e.message, id);
}

static void fault_next(void *ctx) {
    struct sim *s = ctx;
    struct host *h = &s->house.host;
    s->faults++;
    switch (pick(s, 0, 6)) {
    case 0:
    case 1:
        poke(s, "fail", any(s, "node"));
        break;
    case 2:
        poke(s, "repair", any(s, "node"));
        break;
    case 3:
        poke(s, "trip", any(s, "pdu"));
        break;
    case 4:
        poke(s, "reset", any(s, "pdu"));
        break;
    case 5:
        twin_executor_cut(h, any(s, "agent"), true, NULL);
        break;
    default:
        twin_executor_cut(h, any(s, "agent"), false, NULL);
    }
    if (loop_now_us(s->loop) < T0 + FAULTS_S * SECOND)
        timer_in(s->loop, &s->fault, (int64_t)pick(s, 5, 120) * SECOND, fault_next, s);
}

/* A part of the agents and PDUs answer unreliably all the time: what was asked may or may not have been done. */
static void faults_open(struct sim *s) {
    static const char *const specs[] = {NULL, NULL, "fault:rate_ratio=0.1,when=after,what=silent",
                                        "fault:rate_ratio=0.2,when=before,what=unavail"};
    struct host *h = &s->house.host;
    for (int k = 0; k < 2; k++)
        for (oid i = 0; (i = estate_next(h->estate, k ? "pdu" : "agent", i));) {
            const char *spec = specs[pick(s, 0, 3)];
            if (spec && device_filter(h->devices, i, spec, NULL))
                broke(s, "no such filter for", i);
        }
}

/* Everything is repaired; what powercap switched is its own business. */
static void heal(struct sim *s) {
    struct host *h = &s->house.host;
    for (oid i = 0; (i = estate_next(h->estate, "pdu", i));)
        poke(s, "reset", i);
    for (oid i = 0; (i = estate_next(h->estate, "node", i));)
        poke(s, "repair", i);
    for (oid i = 0; (i = estate_next(h->estate, "agent", i));)
        twin_executor_cut(h, i, false, NULL);
}

/* -- invariants, looked at every few seconds -- */

static int64_t cores_placed(const struct estate *s, oid node) {
    int64_t sum = 0;
    for (oid i = 0; (i = estate_next(s, "task", i));) {
        const struct task *t = estate_get(s, i, task);
        sum += t->node == node && (t->state == TASK_PLACED || t->state == TASK_RUNNING) ? t->cores : 0;
    }
    return sum;
}

static void look(void *ctx) {
    struct sim *s = ctx;
    const struct estate *e = s->house.host.estate;
    for (oid i = 0; (i = estate_next(e, "node", i));) {
        const struct node *n = estate_get(e, i, node);
        const struct model *m = estate_get(e, n->model, model);
        struct world_node w;
        if (cores_placed(e, i) > m->cores)
            broke(s, "more cores placed than there are on", i);
        if (cores_placed(e, i) != n->cores_used)
            broke(s, "cores_used is not the sum of what is placed on", i);
        world_node(twin_look(s->house.twin), i, &w, NULL);
        if (w.cap_w != 0 && (w.cap_w < m->cap_min_w || w.cap_w > model_power_w(m, 1)))
            broke(s, "a cap that the interlock forbids on", i);
    }
    if (twin_executor_overlaps(&s->house.host))
        broke(s, "two attempts of one task ran at once", 0);
    timer_in(s->loop, &s->look, LOOK_S * SECOND, look, s);
}

static bool all_over(const struct sim *s) {
    const struct estate *e = s->house.host.estate;
    for (oid i = 0; (i = estate_next(e, "job", i));)
        if (estate_get(e, i, job)->state < JOB_DONE)
            return false;
    return true;
}

static void judge_jobs(struct sim *s) {
    const struct estate *e = s->house.host.estate;
    int jobs = 0;
    for (oid i = 0; (i = estate_next(e, "job", i)); jobs++) {
        const struct job *j = estate_get(e, i, job);
        if (j->state != JOB_DONE)
            broke(s, j->state < JOB_DONE ? "never ended:" : j->reason, i);
        if (j->tasks_done != j->tasks)
            broke(s, "not every task of it is done:", i);
    }
    for (oid i = 0; (i = estate_next(e, "task", i));) {
        const struct task *t = estate_get(e, i, task);
        if (t->state != TASK_DONE)
            printf("#   task/%s: state %d, attempt %lld, %lld cores, %s\n", estate_name(e, i), t->state,
                   (long long)t->attempt, (long long)t->cores, t->reason);
        else if (t->account.cpu_s <= 0)
            broke(s, "no CPU time accounted to", i);
    }
    if (jobs != s->jobs)
        broke(s, "a job is lost", 0);
}

static void build(struct sim *s) {
    static char text[TEXT];
    struct err e = {0};
    struct arena a = ARENA_INIT;
    struct doc *d;
    uint64_t revision;
    s->rng = rng_new(s->seed);
    s->loop = loop_new(LOOP_VIRTUAL, T0);
    estate_make(s, text);
    int rc = house_open(&s->house, s->loop, NULL, s->seed, &e);
    if (!rc)
        rc = yaml_parse(&a, "sim", text, strlen(text), NULL, &d, &e);
    struct txn *t = estate_begin(s->house.host.estate);
    if (!rc)
        rc = txn_import(t, d, "sim", &e);
    if (!rc)
        rc = txn_commit(t, "sim", "sim", &revision, &e);
    if (!rc)
        rc = house_start(&s->house, s->seed, &e);
    arena_free(&a);
    if (rc) {
        printf("Bail out! %s: %s\n", e.place, e.message);
        exit(1);
    }
}

static uint64_t run(uint64_t seed, struct sim *out) {
    static char text[TEXT];
    struct sim *s = calloc(1, sizeof *s);
    struct err e = {0};
    struct hash x;
    int64_t rows;
    s->seed = seed;
    build(s);
    ask(s, "cap", "mode", "cap", "powercap", "mode", "act");
    faults_open(s);
    timer_in(s->loop, &s->look, LOOK_S * SECOND, look, s);
    timer_in(s->loop, &s->fault, 30 * SECOND, fault_next, s);
    for (int more = (int)pick(s, 3, 8); s->jobs < more; s->jobs++) {
        job_make(s, s->jobs, text);
        if (ask(s, "job", "submit", "source", "sim", "job", text))
            broke(s, "a job was refused", 0);
        loop_run_until(s->loop, loop_now_us(s->loop) + (int64_t)pick(s, 0, 300) * SECOND);
    }
    loop_run_until(s->loop, T0 + (FAULTS_S + 150) * SECOND);
    heal(s);
    while (!all_over(s) && loop_now_us(s->loop) < T0 + END_S * SECOND)
        loop_run_until(s->loop, loop_now_us(s->loop) + 60 * SECOND);
    judge_jobs(s);
    if (world_energy_residual_ratio(twin_look(s->house.twin)) > 1e-9)
        broke(s, "the energy balance does not close", 0);
    host_cycle(&s->house.host);
    if (journal_verify(s->house.host.store, &rows, &e))
        broke(s, e.message, 0);
    hash_begin(&x, 0);
    hash_u64(&x, journal_decision_hash(s->house.host.store));
    hash_u64(&x, estate_hash(s->house.host.estate));
    hash_u64(&x, world_hash(twin_look(s->house.twin)));
    timer_cancel(s->loop, &s->look);
    timer_cancel(s->loop, &s->fault);
    *out = *s;
    house_close(&s->house);
    loop_free(s->loop);
    free(s);
    return hash_end(&x);
}

int main(int argc, char **argv) {
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1, count = argc > 2 ? strtoull(argv[2], NULL, 10) : 50;
    int jobs = 0, faults = 0;
    uint64_t universes = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct sim s, again;
        char name[400];
        uint64_t hash = run(seed, &s);
        snprintf(name, sizeof name, "seed %llu: %d jobs, %d faults%s%s", (unsigned long long)seed, s.jobs, s.faults,
                 *s.broken ? ": " : "", s.broken);
        if (!ok(!*s.broken, name))
            printf("#   repeat: test_sim %llu 1\n", (unsigned long long)seed);
        universes = hash_once(&hash, sizeof hash, universes);
        jobs += s.jobs;
        faults += s.faults;
        if (seed % 10 == 0 || count == 1)
            ok(run(seed, &again) == hash, "and the same seed ends in the same state");
    }
    printf("# %d jobs, %d faults, all universes %016llx\n", jobs, faults, (unsigned long long)universes);
    return tap_done();
}
