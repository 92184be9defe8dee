/* The account of a task against figures worked out by hand, and against what is missing. */
#include "cap/placement/placement.h"
#include "tap.h"

static const char estate_text[] =
    "grid:\n"
    "  - name: g\n    factor_kg_per_kwh: 0.5\n    factor_source: test\n    price_per_kwh: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,"
    " 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]\n"
    "  - name: flat\n    factor_kg_per_kwh: 0.4\n    price_per_kwh: [0.5]\n    utc_offset_h: -3\n"
    "  - name: hydro\n    factor_source: all hydro\n    price_per_kwh: [0.5]\n"
    "  - name: bare\n"
    "model:\n"
    "  - name: m\n    cores: 10\n    power_curve_w: [100, 300]\n    price_per_core_h: 0.2\n"
    "  - name: curve\n    cores: 10\n    power_curve_w: [100, 290, 290, 290, 290, 290, 290, 290, 290, 290, 300]\n"
    "  - name: blank\n    cores: 10\n"
    "centre:\n"
    "  - name: a\n    grid: g\n    pue_ratio: 1.5\n    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m},"
    " {name: k, model: blank}, {name: c, model: curve}]}]}]\n"
    "  - name: b\n    grid: flat\n    pue_ratio: 1\n    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]\n"
    "  - name: c\n    grid: bare\n    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]\n"
    "  - name: d\n    grid: hydro\n    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]\n"
    "  - name: e\n    hall: [{name: h, rack: [{name: r, node: [{name: n, model: m}]}]}]\n"
    "link:\n"
    "  - {name: ab, from: a, to: b, price_per_gb: 1}\n"
    "  - {name: ca, from: c, to: a, price_per_gb: 4}\n";

static struct estate *s;
static const int64_t T = 1767225600000000; /* 2026-01-01T00:00Z = 08:00 local */

static oid node(const char *name) { return estate_find(s, "node", name); }

static struct account spend(const char *name, int64_t cores, double wall_s, double cpu_s, double moved, int64_t at_us) {
    struct task t = {.cores = cores};
    struct account a;
    account_task(s, &t, node(name), wall_s, cpu_s, true, moved, at_us, &a);
    return a;
}

static void open_estate(void) {
    struct arena a = ARENA_INIT;
    struct doc *d;
    struct err e = {0};
    uint64_t revision;
    size_t kinds = 0;
    while (kinds_foundation[kinds])
        kinds++;
    s = estate_new(kinds_foundation, kinds);
    int rc = yaml_parse(&a, "test", estate_text, strlen(estate_text), NULL, &d, &e);
    struct txn *t = estate_begin(s);
    rc = rc ? rc : txn_import(t, d, "test", &e);
    rc = rc ? rc : txn_commit(t, "test", "test", &revision, &e);
    if (!ok(rc == 0, "the estate of the test imports"))
        printf("#   %s: %s\n", e.place, e.message);
    arena_free(&a);
}

static void energy(void) {
    struct account a = spend("a-h-r-n", 2, 3600, 1800, 0, T);
    /* (300-100) x 1800/10 = 36,000 J above idle; 100 x 2/10 x 3600 = 72,000 J of idle; x 1.5 */
    is_near(a.energy_kwh, 108000 * 1.5 / 3.6e6, 1e-12, "energy: above idle by CPU time, idle by what is reserved, times PUE");
    is_near(a.carbon_kg, a.energy_kwh * 0.5, 1e-12, "carbon: times the grid's factor");
    is_int(a.cpu_source, FIGURE_MEASURED, "CPU time is measured");
    is_int(a.energy_source, FIGURE_MODELLED, "energy is modelled");
    is_int(a.carbon_source, FIGURE_MODELLED, "carbon is modelled");
    is_int(a.cost_source, FIGURE_MODELLED, "cost is modelled");
    is_near(spend("a-h-r-n", 10, 10, 100, 0, T).energy_kwh, 3000 * 1.5 / 3.6e6, 1e-12, "a full node for 10 s is 10 s of full power");
    is_near(spend("a-h-r-n", 2, 3600, 0, 0, T).energy_kwh, 72000 * 1.5 / 3.6e6, 1e-12, "sleeping work pays its idle");
    is_near(spend("a-h-r-c", 2, 3600, 1800, 0, T).energy_kwh, 108000 * 1.5 / 3.6e6, 1e-12,
            "the share above idle is by CPU time, whatever the shape between the ends");
}

static void cost(void) {
    struct account a = spend("b-h-r-n", 2, 3600, 1800, 0, T);
    is_near(a.cost_cny, 0.03 * 0.5 + 2 * 0.2, 1e-12, "cost: energy at a flat price, and two reserved core hours");
    a = spend("b-h-r-n", 2, 3600, 0, 0, T);
    is_near(a.cost_cny, 0.02 * 0.5 + 2 * 0.2, 1e-12, "idle reserved cores are paid too");
    /* 07:30 to 08:30 local: half at price 8, half at 9. */
    a = spend("a-h-r-c", 2, 3600, 0, 0, T + 1800000000);
    is_near(a.cost_cny, 0.03 * 8.5, 1e-9, "time of use: each hour at its own price");
    a = spend("a-h-r-c", 2, 60, 0, 0, T + 60000000);
    is_near(a.cost_cny, 0.03 / 60 * 9, 1e-12, "a minute after 08:00 local is in the ninth hour");
    a = spend("a-h-r-c", 2, 60, 0, 0, T);
    is_near(a.cost_cny, 0.03 / 60 * 8, 1e-12, "a minute before it in the eighth");
    a = spend("a-h-r-c", 2, 49 * 3600, 0, 0, T + (int64_t)3600 * 1000000);
    is_near(a.cost_cny, 0.03 * (2 * 300 + 9), 1e-9, "two days and an hour pay every hour twice and one a third time");
    a = spend("a-h-r-c", 2, 60, 0, 0, 30000000);
    is_near(a.cost_cny, 0.03 / 60 * 8.5, 1e-9, "the first minute of 1970 does not fall out of the table");
    a = spend("a-h-r-c", 2, 0, 0, 0, T);
    is_near(a.cost_cny, 0, 0, "no time costs nothing");
}

static void moving(void) {
    struct task t = {.cores = 1, .n_inputs = 3};
    struct account a;
    t.inputs[0] = (struct artifact_ref){.centre = estate_find(s, "centre", "b"), .size_bytes = 3000000000};
    t.inputs[1] = (struct artifact_ref){.centre = estate_find(s, "centre", "c"), .size_bytes = 1000000000};
    t.inputs[2] = (struct artifact_ref){.centre = estate_find(s, "centre", "a"), .size_bytes = 9000000000};
    account_task(s, &t, node("a-h-r-k"), 0, 0, true, 4e9, T, &a);
    is_near(a.cost_cny, 3 * 1 + 1 * 4, 1e-9, "moved data cost what their links cost; what was here costs nothing");
    account_task(s, &t, node("a-h-r-k"), 0, 0, true, 2e9, T, &a);
    is_near(a.cost_cny, 2 * 1.75, 1e-9, "what was moved in part is paid in part");
    a = spend("a-h-r-k", 1, 0, 0, 2e9, T);
    is_near(a.cost_cny, 2 * 2.5, 1e-9, "bytes of unknown origin cost the mean of the centre's links");
    is_near(a.moved_bytes, 2e9, 0, "and are counted");
}

static void missing(void) {
    struct account a = spend("a-h-r-k", 2, 3600, 1800, 0, T);
    is_near(a.energy_kwh, (6.65 * 1800 + 1.28 * 2 * 3600) * 1.5 / 3.6e6, 1e-12, "a model without a curve: a stated default a core");
    is_int(a.energy_source, FIGURE_DEFAULT, "which says so");
    is_int(a.carbon_source, FIGURE_DEFAULT, "and so does what follows from it");
    a = spend("c-h-r-n", 2, 3600, 1800, 0, T);
    is_int(a.energy_source, FIGURE_MODELLED, "a grid without figures leaves the energy as it is");
    is_near(a.carbon_kg, a.energy_kwh * 0.5306, 1e-12, "its carbon is of the national average");
    is_int(a.carbon_source, FIGURE_DEFAULT, "and says so");
    is_near(a.cost_cny, a.energy_kwh * 0.6 + 0.4, 1e-12, "its price is the stated default");
    is_int(a.cost_source, FIGURE_DEFAULT, "and says so");
    a = spend("d-h-r-n", 2, 3600, 1800, 0, T);
    ok(a.carbon_kg == 0 && a.carbon_source == FIGURE_MODELLED, "a factor of zero with a source is a figure, not a gap");
    a = spend("e-h-r-n", 2, 3600, 1800, 0, T);
    ok(a.carbon_kg > 0 && a.carbon_source == FIGURE_DEFAULT, "a centre without a grid too is never silently zero");
    a = spend("none", 2, 3600, 1800, 0, T);
    ok(a.energy_kwh > 0 && a.energy_source == FIGURE_DEFAULT && a.cpu_source == FIGURE_MEASURED, "nor is a node that is gone");
}

static void sums(void) {
    struct account sum = {0}, one = spend("a-h-r-n", 2, 3600, 1800, 5, T), other = spend("c-h-r-n", 1, 60, 30, 7, T);
    account_add(&sum, &one);
    is_int(sum.carbon_source, FIGURE_MODELLED, "a sum of one is as good as the one");
    account_add(&sum, &other);
    is_int(sum.carbon_source, FIGURE_DEFAULT, "a sum is as good as its weakest part");
    is_int(sum.energy_source, FIGURE_MODELLED, "for each figure by itself");
    is_near(sum.cpu_s, 1830, 0, "CPU seconds add up");
    is_near(sum.energy_kwh, one.energy_kwh + other.energy_kwh, 1e-15, "and kWh");
    is_near(sum.cost_cny, one.cost_cny + other.cost_cny, 1e-15, "and CNY");
    is_near(sum.moved_bytes, 12, 0, "and bytes");
}

int main(void) {
    open_estate();
    energy();
    cost();
    moving();
    missing();
    sums();
    estate_free(s);
    return tap_done();
}
