/* The scheduler: what each policy prefers, why, who is refused for what, that it follows the estate, what it costs. */
#include "../world/estate_text.h"
#include "core/loop.h"
#include "sched/sched.h"
#include "tap.h"

/* Three centres: `coal` is cheap and dirty, `sun` clean and dear, `hill` between, with the only accelerators. */
static const char region[] =
    "estate: region\n"
    "grid:\n"
    "  - {name: coal, factor_kg_per_kwh: 0.9, price_per_kwh: [0.3]}\n"
    "  - {name: sun, factor_kg_per_kwh: 0.1, price_per_kwh: [0.6]}\n"
    "  - {name: mixed, factor_kg_per_kwh: 0.5, price_per_kwh: [0.45]}\n"
    "model:\n"
    "  - {name: srv, cores: 64, memory_bytes: 256 GiB, power_curve_w: [100, 400], price_per_core_h: 0.1}\n"
    "  - {name: acc, cores: 64, memory_bytes: 256 GiB, power_curve_w: [100, 400], price_per_core_h: 0.1,\n"
    "     accelerator_family: ascend, accelerators: 8}\n"
    "centre:\n"
    "  - name: coal\n"
    "    grid: coal\n"
    "    pue_ratio: 1.2\n"
    "    agent: [{name: a, centre: coal}]\n"
    "    hall: [{name: h, rack: [{name: r, node: [{name: 'n[1-2]', model: srv}]}]}]\n"
    "  - name: sun\n"
    "    grid: sun\n"
    "    pue_ratio: 1.2\n"
    "    agent: [{name: a, centre: sun}]\n"
    "    hall: [{name: h, rack: [{name: r, node: [{name: 'n[1-2]', model: srv}]}]}]\n"
    "  - name: hill\n"
    "    grid: mixed\n"
    "    pue_ratio: 1.2\n"
    "    agent: [{name: a, centre: hill}]\n"
    "    hall: [{name: h, rack: [{name: r, node: [{name: n1, model: acc}, {name: n2, model: srv}]}]}]\n"
    "link:\n"
    "  - {name: coal-sun, from: coal, to: sun, delay_us: 10ms, bandwidth_bps: 1 Gbit/s, price_per_gb: 0.2}\n"
    "  - {name: sun-hill, from: sun, to: hill, delay_us: 5ms, bandwidth_bps: 10 Gbit/s, price_per_gb: 0.1}\n";

static const struct sched_config prices = {.carbon_cny_per_kg = 0.09, .time_cny_per_h = 1, .default_core_s = 3600};
static struct decision d;
static struct err e;

static oid find(const struct estate *s, const char *path) {
    oid id = 0;
    if (estate_lookup_path(s, path, &id, NULL))
        printf("# there is no %s\n", path);
    return id;
}

static void connect_all(struct estate *s) {
    for (oid i = 0; (i = estate_next(s, "agent", i));)
        estate_move(s, i, AGENT_CONNECTED, NULL);
}

static const char *decide(struct sched *c, const struct estate *s, const char *policy, const struct sched_request *r) {
    e = (struct err){0};
    int rc = sched_decide(c, policy, &prices, r, 1767225600000000, &d, &e);
    return rc ? err_name(rc) : estate_name(s, d.centre);
}

static const char *refused(const struct estate *s, const char *centre) {
    for (uint32_t i = 0; i < d.n_candidates; i++)
        if (!strcmp(estate_name(s, d.candidates[i].centre), centre))
            return d.candidates[i].refused;
    return "not even a candidate";
}

static void test_policies(struct estate *s, struct sched *c) {
    struct sched_request r = {.cores = 4, .memory_bytes = 1 << 20};
    is_str(decide(c, s, "cheapest", &r), "coal", "cheapest goes where energy is cheap");
    is_str(decide(c, s, "greenest", &r), "sun", "greenest goes where energy is clean");
    is_str(decide(c, s, "balanced", &r), "coal", "balanced follows money at a carbon price of 0.09 CNY/kg");
    struct sched_config dear = prices;
    dear.carbon_cny_per_kg = 5;
    sched_decide(c, "balanced", &dear, &r, 0, &d, &e);
    is_str(estate_name(s, d.centre), "sun", "at 5 CNY/kg it goes where energy is clean");
    const struct candidate *b = &d.candidates[0];
    double sum = b->energy_cny + b->carbon_cny + b->compute_cny + b->data_cny + b->time_cny;
    is_near(b->score_cny, sum, 1e-15, "the score of balanced is the sum of its terms");
    /* One core hour at 400 W / 64 cores and PUE 1.2. */
    is_near(b->energy_kwh, 3600 * 400.0 / 64 * 1.2 / 3.6e6, 1e-12, "energy is core seconds x watts a core x PUE");
    is_near(b->carbon_kg, b->energy_kwh * 0.9, 1e-12, "carbon is energy x the grid's factor");
    ok(!strcmp(decide(c, s, "chepest", &r), "not-found") && strstr(e.hint, "cheapest"), "a misspelt policy gets a hint");
    oid busy[] = {find(s, "centre/coal"), find(s, "centre/coal"), find(s, "centre/hill")};
    r.busy = busy;
    r.n_busy = 3;
    is_str(decide(c, s, "spread", &r), "sun", "spread avoids centres that have tasks of the same job");
}

static void test_data(struct estate *s, struct sched *c) {
    struct artifact_ref in[2] = {{.name = "x", .size_bytes = 2000000000, .centre = find(s, "centre/sun")},
                                 {.name = "y", .size_bytes = 1000000000, .centre = find(s, "centre/sun")}};
    struct sched_request r = {.cores = 4, .memory_bytes = 1 << 20, .inputs = in, .n_inputs = 2};
    is_str(decide(c, s, "nearest-data", &r), "sun", "nearest-data goes to the data");
    is_str(decide(c, s, "cheapest", &r), "sun", "moving 3 GB costs more than cheap energy saves");
    for (uint32_t i = 0; i < d.n_candidates; i++)
        if (d.candidates[i].centre == find(s, "centre/coal")) {
            is_near(d.candidates[i].moved_bytes, 3e9, 1, "all inputs of a centre are moved");
            is_near(d.candidates[i].transfer_s, 24.02, 1e-9, "they share its link: 24 Gbit at 1 Gbit/s and a round trip");
            is_near(d.candidates[i].data_cny, 0.6, 1e-12, "at its price");
        }
    in[0].centre = find(s, "centre/coal");
    in[1].centre = find(s, "centre/hill");
    decide(c, s, "cheapest", &r);
    is_str(refused(s, "coal"), "no link to where the inputs lie", "no link, no place");
    is_str(refused(s, "sun"), "", "the centre between has both links");
}

static void test_refusals(struct estate *s, struct sched *c) {
    struct sched_request r = {.cores = 4, .memory_bytes = 1 << 20, .pin_centre = "hill"};
    is_str(decide(c, s, "cheapest", &r), "hill", "a pinned task goes where it is pinned");
    is_str(refused(s, "coal"), "the task is pinned elsewhere", "and the others say why not");
    r = (struct sched_request){.cores = 4, .memory_bytes = 1 << 20, .accelerator_family = "ascend"};
    is_str(decide(c, s, "cheapest", &r), "hill", "an accelerator is looked for by its family");
    is_str(estate_name(s, d.node), "hill-h-r-n1", "on the node that has it");
    r = (struct sched_request){.cores = 65, .memory_bytes = 1 << 20};
    is_str(decide(c, s, "cheapest", &r), "unavailable", "65 cores fit on no node of 64");
    ok(strstr(e.message, "coal (no node") && strstr(e.message, "hill (no node"), "and the message names every centre");
    estate_move(s, find(s, "agent/coal-a"), AGENT_AWAY, NULL);
    r.cores = 4;
    is_str(decide(c, s, "cheapest", &r), "hill", "a centre whose agent is away is left out");
    is_str(refused(s, "coal"), "its agent is away", "and says so");
    estate_move(s, find(s, "agent/coal-a"), AGENT_CONNECTED, NULL);
    r.avoid_centre = "coal";
    is_str(decide(c, s, "cheapest", &r), "hill", "the centre of a failed attempt is avoided");
}

static void test_capacity(struct estate *s, struct sched *c) {
    struct sched_request r = {.cores = 40, .memory_bytes = 1 << 20, .pin_centre = "coal"};
    decide(c, s, "cheapest", &r);
    oid first = d.node;
    sched_hold(c, d.node, 40, 1 << 20);
    decide(c, s, "cheapest", &r);
    ok(d.node && d.node != first, "what is held is not given twice");
    sched_hold(c, d.node, 40, 1 << 20);
    is_str(decide(c, s, "cheapest", &r), "unavailable", "and then the centre is full");
    r.cores = 24;
    is_str(decide(c, s, "cheapest", &r), "coal", "24 cores fit in what is left");
    /* The estate shows it: the hold goes over into cores_used. */
    estate_observe(s, first, node)->cores_used = 10;
    r.cores = 54;
    decide(c, s, "cheapest", &r);
    is_int(d.node, first, "the index follows the estate's feed");
    estate_move(s, first, NODE_DOWN, NULL);
    is_str(decide(c, s, "cheapest", &r), "unavailable", "a node that is down has nothing to give");
    estate_move(s, first, NODE_UP, NULL);
    estate_observe(s, first, node)->cores_used = 0;
    oid other = find(s, "node/coal-h-r-n2");
    estate_observe(s, other, node)->cores_used = 50;
    r.cores = 8;
    decide(c, s, "cheapest", &r);
    is_int(d.node, other, "best fit: the fuller node takes the small task");
    struct offer offers[8];
    is_int(sched_offers(c, 0, offers, 8), 3, "one offer a centre");
    is_int(offers[0].cores_free, 64 + 14, "with its free cores");
    estate_observe(s, other, node)->cores_used = 0;
}

static void test_explain(struct estate *s, struct sched *c) {
    struct sched_request r = {.cores = 4, .memory_bytes = 1 << 20};
    struct arena a = ARENA_INIT;
    estate_move(s, find(s, "agent/sun-a"), AGENT_AWAY, NULL);
    decide(c, s, "cheapest", &r);
    ok(strstr(d.why, "coal is best of 2 under cheapest") && strstr(d.why, "at hill"), "why: winner, field, runner-up");
    struct doc *doc = decision_doc(&d, s, &a);
    is_str(doc_get_str(doc, "centre", ""), "coal", "the document names the winner");
    is_int(doc_get(doc, "candidates")->list.n, 3, "and holds every candidate");
    is_str(doc_get_str(doc_at(doc, "candidates[1]"), "refused", ""), "its agent is away", "with its refusal");
    ok(doc_get_real(doc_at(doc, "candidates[0]"), "energy_cny", 0) > 0, "or its terms");
    estate_move(s, find(s, "agent/sun-a"), AGENT_CONNECTED, NULL);
    arena_free(&a);
}

/* Two equal centres: the name decides, not the order of creation. */
static void test_ties(void) {
    static const char twins[] =
        "estate: twins\n"
        "grid: [{name: g, factor_kg_per_kwh: 0.5}]\n"
        "model: [{name: srv, cores: 64, memory_bytes: 1 GiB, power_curve_w: [100, 400]}]\n"
        "centre:\n"
        "  - {name: zeta, grid: g, agent: [{name: a, centre: zeta}],\n"
        "     hall: [{name: h, rack: [{name: r, node: [{name: n, model: srv}]}]}]}\n"
        "  - {name: alpha, grid: g, agent: [{name: a, centre: alpha}],\n"
        "     hall: [{name: h, rack: [{name: r, node: [{name: n, model: srv}]}]}]}\n";
    struct estate *s = estate_from_text(twins);
    struct sched *c = sched_new(s);
    struct sched_request r = {.cores = 1, .memory_bytes = 1024};
    connect_all(s);
    for (const char *const *p = sched_policies(); *p; p++)
        is_str(decide(c, s, *p, &r), "alpha", *p);
    ok(strstr(d.why, "tie") != NULL, "and the reason says that it was a tie");
    sched_free(c);
    estate_free(s);
}

/* 10,000 nodes in 8 centres; CPU time, because the machine is shared. */
static void test_cost(void) {
    static char text[8192];
    int n = snprintf(text, sizeof text,
                     "estate: big\n"
                     "grid: [{name: g, factor_kg_per_kwh: 0.5}]\n"
                     "model: [{name: srv, cores: 64, memory_bytes: 256 GiB, power_curve_w: [100, 400]}]\n"
                     "centre:\n");
    for (int i = 0; i < 8; i++)
        n += snprintf(text + n, sizeof text - (size_t)n,
                      "  - {name: c%d, grid: g, agent: [{name: a, centre: c%d}],\n"
                      "     hall: [{name: h, rack: [{name: 'r[01-50]', node: [{name: 'n[01-25]', model: srv}]}]}]}\n",
                      i, i);
    struct estate *s = estate_from_text(text);
    struct sched *c = sched_new(s);
    struct sched_request r = {.cores = 4, .memory_bytes = 1 << 30};
    connect_all(s);
    is_int(estate_count(s, "node"), 10000, "an estate of 10,000 nodes");
    decide(c, s, "balanced", &r);
    enum { ROUNDS = 1000 };
    int64_t begin = loop_cpu_us();
    for (int i = 0; i < ROUNDS; i++) {
        decide(c, s, "balanced", &r);
        sched_hold(c, d.node, r.cores, r.memory_bytes);
        estate_observe(s, d.node, node)->cores_used += r.cores;
    }
    double us = (double)(loop_cpu_us() - begin) / ROUNDS;
    printf("# one decision at 10,000 nodes: %.1f us of CPU time\n", us);
    ok(us < 1000, "a decision at 10,000 nodes costs under a millisecond");
    sched_free(c);
    estate_free(s);
}

int main(void) {
    struct estate *s = estate_from_text(region);
    if (!s)
        return 1;
    struct sched *c = sched_new(s);
    struct sched_request any = {.cores = 4, .memory_bytes = 1 << 20};
    is_str(decide(c, s, "balanced", &any), "unavailable", "with every agent away nothing can be placed");
    connect_all(s);
    test_policies(s, c);
    test_data(s, c);
    test_refusals(s, c);
    test_capacity(s, c);
    test_explain(s, c);
    sched_free(c);
    estate_free(s);
    test_ties();
    test_cost();
    return tap_done();
}
