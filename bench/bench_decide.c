/* A whole cycle at 100,000 objects: each tick 1,000 nodes report, a capability reads every node, moves the caps of
 * 1,000 and notes 10 decisions; all of it is arbitrated, journaled, hashed and committed to a store in memory.
 * First the caps are always of the same nodes and their leases renewed; then of others each tick, so that the leases of
 * the last ones lapse in it too: about 2,000 rows of the journal a tick. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/host.h"
#include "estate/kinds.h"

static bool lapses;
static size_t turn;

static int decide(const struct view *v, struct plan *p, struct err *e) {
    double sum = 0;
    size_t n = 0;
    (void)e;
    for (oid id = 0; (id = estate_next(v->estate, "node", id)); n++) {
        sum += estate_get(v->estate, id, node)->power_w;
        if (n % 100 == (lapses ? turn % 100 : 7))
            plan_claim(p, id, "cap_w", 300 + (double)rng_below(v->rng, 50), CLAIM_EFFICIENCY, lapses ? 500000 : 3000000,
                       "total %.0f W", sum);
    }
    turn++;
    for (int i = 0; i < 10; i++)
        plan_note(p, "", NULL, "%zu nodes draw %.0f W", n, sum);
    return 0;
}

static const struct property properties[] = {{.kind = "node", .field = "cap_w", .safe = 0, .min_step = 1}};
static const struct cap bench_cap = {.name = "bench", .title = "Bench", .title_zh = "Bench", .family = "operations", .mode = MODE_ACT,
                                     .period_us = 1000000, .properties = properties, .nproperties = 1, .decide = decide};
static const struct cap *const caps[] = {&bench_cap, NULL};

static int by_time(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Ticks of a second each; whatever cycles run in it count as one. Returns the p99 in ms. */
static double measure(const char *goal, struct host *h, const oid *nodes, size_t n, int ticks) {
    enum { TICKS = 400 };
    static int64_t took[TICKS];
    struct rng r = rng_new(3);
    struct loop *l = h->loop;
    int64_t rows = journal_last(h->store);
    for (int i = 0; i < ticks; i++) {
        for (int k = 0; k < 1000; k++)
            estate_observe(h->estate, nodes[rng_below(&r, n)], node)->power_w = (double)rng_below(&r, 500);
        int64_t begin = loop_cpu_us();
        loop_run_until(l, loop_now_us(l) + 1000000);
        host_cycle(h);
        took[i] = loop_cpu_us() - begin;
    }
    rows = journal_last(h->store) - rows;
    qsort(took, (size_t)ticks, sizeof *took, by_time);
    double p99 = (double)took[ticks * 99 / 100] * 1e-3, p50 = (double)took[ticks / 2] * 1e-3;
    printf("{\"goal\":\"%s\",\"value\":%.1f,\"unit\":\"ms p99 (CPU)\",\"target\":50,\"peer\":null,\"ok\":%s,\"p50\":%.1f,"
           "\"objects\":%zu,\"rows_a_tick\":%lld}\n", goal, p99, p99 < 50 ? "true" : "false", p50,
           estate_count(h->estate, NULL), (long long)rows / ticks);
    return p99;
}

int main(int argc, char **argv) {
    static const char estate[] = "model: [{name: m}]\ncentre: [{name: c, hall: [{name: 'h[1-10]', rack: [{name: 'r[1-100]', "
                                 "node: [{name: 'n[1-99]', model: m}]}]}]}]\n";
    int ticks = argc > 1 && !strcmp(argv[1], "--quick") ? 100 : 400;
    struct loop *l = loop_new(LOOP_VIRTUAL, 1764000000000000);
    struct host h;
    struct err e = {0};
    struct arena a = ARENA_INIT;
    struct doc *d = NULL;
    size_t n = 0;
    while (kinds_foundation[n])
        n++;
    int rc = host_open(&h, l, kinds_foundation, n, caps, NULL, 1, &e);
    rc = rc ? rc : yaml_parse(&a, "estate", estate, sizeof estate - 1, NULL, &d, &e);
    struct txn *t = estate_begin(h.estate);
    rc = rc ? rc : txn_import(t, d, "estate", &e);
    rc = rc ? rc : txn_commit(t, "bench", "", NULL, &e);
    rc = rc ? rc : host_start(&h, &e);
    if (rc) {
        fprintf(stderr, "%s: %s\n", e.place, e.message);
        return 2;
    }
    host_cycle(&h);
    oid *nodes = malloc(estate_count(h.estate, "node") * sizeof *nodes);
    n = 0;
    for (oid id = 0; (id = estate_next(h.estate, "node", id));)
        nodes[n++] = id;
    double steady = measure("decide-tick", &h, nodes, n, ticks);
    lapses = true;
    double lapsing = measure("decide-lapse", &h, nodes, n, ticks);
    free(nodes);
    host_close(&h);
    loop_free(l);
    arena_free(&a);
    return steady < 50 && lapsing < 50 ? 0 : 1;
}
