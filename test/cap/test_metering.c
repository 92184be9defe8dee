/* Metering against sums worked out by hand. */
#include "cap/metering/metering.h"
#include "tap.h"

static const char estate_text[] =
    "grid: [{name: g, factor_kg_per_kwh: 0.5}]\n"
    "model: [{name: m, cores: 10, power_curve_w: [100, 300]}]\n"
    "centre:\n"
    "  - name: a\n    grid: g\n    pue_ratio: 1.5\n    hall: [{name: h, rack: [{name: r, node: [{name: 'n[1-2]', model: m}],"
    " pdu: [{name: p}]}, {name: bare, node: [{name: n, model: m}]}]}]\n"
    "  - name: b\n    grid: g\n    pue_ratio: 1\n    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]\n"
    "link: [{name: ab, from: a, to: b}]\n";

static struct estate *s;
static struct arena arena;
static const int64_t NOW = 1767225600000000;

static void open_estate(void) {
    const struct kind *kinds[ESTATE_KINDS_MAX];
    size_t n = 0;
    struct err e = {0};
    struct doc *d = NULL;
    uint64_t revision;
    for (; kinds_foundation[n]; n++)
        kinds[n] = kinds_foundation[n];
    s = estate_new(kinds, n);
    ok(!yaml_parse(&arena, "test", estate_text, sizeof estate_text - 1, NULL, &d, &e), "the estate reads");
    struct txn *t = estate_begin(s);
    ok(!txn_import(t, d, "test", &e) && !txn_commit(t, "test", "", &revision, &e), "and is there");
}

static const struct metering_plan *decide(void) {
    static const struct metering_config config = {.stale_us = 30000000};
    struct plan p = {.arena = &arena};
    struct view v = {.estate = s, .now_us = NOW, .config = &config};
    ok(!metering_decide(&v, &p, NULL), "it decides");
    return p.own;
}

static const struct sum *of(const struct sum *list, uint32_t n, const char *kind, const char *name) {
    for (uint32_t i = 0; i < n; i++)
        if (list[i].id == estate_find(s, kind, name))
            return &list[i];
    return NULL;
}

static void node_reads(const char *name, double power_w, double temperature_c, int64_t cores) {
    struct node *n = estate_observe(s, estate_find(s, "node", name), node);
    n->power_w = power_w;
    n->temperature_c = temperature_c;
    n->cores_used = cores;
}

static void test_power(void) {
    node_reads("a-h-r-n1", 200, 20, 3);
    node_reads("a-h-r-n2", 100, 30, 0);
    node_reads("a-h-bare-n", 50, 0, 0);
    struct pdu *u = estate_observe(s, estate_find(s, "pdu", "a-h-r-p"), pdu);
    u->power_w = 330;
    u->read_us = NOW - 1000000;
    const struct metering_plan *m = decide();
    is_near(of(m->racks, m->n_racks, "rack", "a-h-r")->power_w, 330, 0, "a rack draws what its PDU reads");
    is_near(of(m->racks, m->n_racks, "rack", "a-h-r")->inlet_c, 25, 0, "and breathes what its nodes do, on average");
    is_near(of(m->racks, m->n_racks, "rack", "a-h-bare")->power_w, 50, 0, "one without a PDU draws what its nodes do");
    is_near(of(m->halls, m->n_halls, "hall", "a-h")->power_w, 380, 0, "a hall is its racks");
    const struct sum *c = of(m->centres, m->n_centres, "centre", "a");
    is_near(c->power_w, 570, 1e-9, "a centre is its racks and its cooling");
    is_near(c->carbon_g_per_h, 285, 1e-9, "at half a gram a watt-hour");
    is_int(c->cores_total, 30, "with its cores");
    is_int(c->cores_used, 3, "of which three are used");
    u->read_us = NOW - 60000000;
    m = decide();
    is_near(of(m->racks, m->n_racks, "rack", "a-h-r")->power_w, 300, 0, "a stale reading does not count: the nodes do");
}

static void test_link(void) {
    struct err e = {0};
    uint64_t revision;
    oid job = 0, task = 0;
    struct job j = {0};
    struct task t = {0};
    table_defaults(kind_job.table, &j);
    table_defaults(kind_task.table, &t);
    t.n_inputs = 2;
    t.inputs[0] = (struct artifact_ref){.name = "x", .centre = estate_find(s, "centre", "a"), .size_bytes = 750000};
    t.inputs[1] = (struct artifact_ref){.name = "y", .centre = estate_find(s, "centre", "b"), .size_bytes = 999};
    struct txn *x = estate_begin(s);
    ok(!txn_insert(x, "job", "j", 0, &j, &job, &e) && !txn_insert(x, "task", "j-t", job, &t, &task, &e) &&
           !txn_commit(x, "test", "", &revision, &e), "a task with two inputs");
    struct task *now = estate_observe(s, task, task);
    now->centre = estate_find(s, "centre", "b");
    const struct metering_plan *m = decide();
    is_near(m->links[0].used_bps, 0, 0, "nothing is fetched before it starts");
    now->started_us = NOW - 10000000;
    m = decide();
    is_near(m->links[0].used_bps, 100000, 1e-6, "then what came from the other centre, over a minute");
    now->started_us = NOW - 70000000;
    m = decide();
    is_near(m->links[0].used_bps, 0, 0, "and a minute later nothing again");
}

int main(void) {
    open_estate();
    test_power();
    test_link();
    estate_free(s);
    arena_free(&arena);
    return tap_done();
}
