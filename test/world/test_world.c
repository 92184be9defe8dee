/* The world against analytic solutions, its own balances, bad input and, where the data is present, real servers. */
#include "estate_text.h"
#include "tap.h"
#include "world/world.h"

static const int64_t T0 = 1767225600000000; /* 2026-01-01 */
#define MINUTES(n) ((int64_t)(n)*60000000)

static struct estate *s;
static struct world_model *m;

static oid node(const char *name) {
    return estate_find(s, "node", name);
}

static void heat(void) {
    /* Constant load on every node: T(t) = T_eq + (T0 - T_eq) exp(-G t / C) exactly, whatever the step. */
    struct world *w = world_new(m, 1, T0);
    struct err e = {0};
    oid r = estate_find(s, "rack", "c-h-r001");
    const struct rack *d = estate_get(s, r, rack);
    double before = world_rack_inlet_c(w, r);
    is_int(world_poke(w, "load rack/c-h-r001 1", &e), 0, "every node of a rack is fully loaded");
    double power = 16 * 430 * 1.02;
    double settled = d->supply_c + power / d->conductance_w_per_k;
    double worst = 0;
    for (int i = 1; i <= 20; i++) {
        double t = i * 7.7; /* off the grid of steps on purpose */
        world_advance(w, T0 + (int64_t)(t * 1e6));
        double want = settled + (before - settled) * exp(-t * d->conductance_w_per_k / d->thermal_mass_j_per_k);
        worst = fmax(worst, fabs(world_rack_inlet_c(w, r) - want));
    }
    ok(worst < 1e-9, "rack air follows the analytic solution within 1e-9 K");
    world_advance(w, T0 + MINUTES(60));
    is_near(world_rack_inlet_c(w, r), settled, 1e-9, "and settles where heat in equals heat out");
    is_near(world_energy_kwh(w, r), power / 1000, 1e-9, "one hour at constant power is that many kWh");
    world_free(w);
}

static void balance(void) {
    struct world *w = world_new(m, 7, T0);
    for (int i = 0; i < 200; i++) {
        world_set_cap(w, node("c-h-r001-n01"), i % 2 ? 200 : 0, NULL);
        world_set_outlet(w, estate_find(s, "pdu", "c-h-r002-p"), 1 + i % 16, i % 3 != 0, NULL);
        world_advance(w, T0 + MINUTES(13) * (i + 1) + 777);
    }
    ok(world_energy_residual_ratio(w) < 1e-12, "energy of nodes and racks balances after 400 switchings");
    double racks = world_energy_kwh(w, estate_find(s, "rack", "c-h-r001")) +
                   world_energy_kwh(w, estate_find(s, "rack", "c-h-r002"));
    is_near(world_energy_kwh(w, estate_find(s, "centre", "c")), 1.25 * racks, 1e-6, "centre energy = racks x PUE");
    world_free(w);
}

static void caps(void) {
    struct world *w = world_new(m, 1, T0);
    struct world_node r;
    struct err e = {0};
    oid n = node("c-h-r001-n01");
    world_poke(w, "load node/c-h-r001-n01 1", NULL);
    world_node(w, n, &r, &e);
    is_near(r.power_w, 430, 0, "full load draws the last point of the curve");
    is_int(world_set_cap(w, n, 310, &e), 0, "a cap is taken");
    world_node(w, n, &r, &e);
    is_near(r.power_w, 310, 1e-9, "power stops at the cap");
    is_near(r.utilisation_ratio, 0.7, 1e-12, "and the load at the point of the curve that the cap allows");
    is_int(world_set_cap(w, n, 149.9, &e), E_INVAL, "a cap below the firmware's lowest is refused");
    is_int(world_set_cap(w, n, NAN, &e), E_INVAL, "so is one that is no number");
    is_int(world_set_cap(w, n, -1, &e), E_INVAL, "and one below zero");
    is_int(world_set_cap(w, n, 150, &e), 0, "the lowest itself is taken");
    is_int(world_set_cap(w, estate_find(s, "rack", "c-h-r001"), 200, &e), E_NOTFOUND, "a rack is not a node");
    is_int(world_set_cap(w, 0, 200, &e), E_NOTFOUND, "nor is nothing");
    world_free(w);
}

struct ended {
    int n;
    bool finished;
    struct world *w;
    int64_t at_us;
};
static void on_end(void *ctx, int64_t handle, bool finished) {
    struct ended *x = ctx;
    (void)handle;
    x->n++;
    x->finished = finished;
    x->at_us = world_now_us(x->w);
}

static void work(void) {
    struct world *w = world_new(m, 1, T0);
    struct ended a = {.w = w}, b = {.w = w};
    oid n = node("c-h-r001-n01");
    ok(world_work(w, n, 32, 3200, on_end, &a) > 0, "work is placed");
    world_advance(w, T0 + 99999999);
    is_int(a.n, 0, "32 cores need 100 s for 3,200 core seconds");
    world_advance(w, T0 + 100000000);
    ok(a.n == 1 && a.finished && a.at_us == T0 + 100000000, "and end at that microsecond");

    /* 64 cores on a full machine; after 50 s a cap to 70 % of the load: 50 + 50 / 0.7 s. */
    a.n = 0;
    world_work(w, n, 64, 6400, on_end, &a);
    world_advance(w, world_now_us(w) + 50000000);
    world_set_cap(w, n, 310, NULL);
    world_advance(w, world_now_us(w) + MINUTES(10));
    is_near((double)(a.at_us - T0 - 100000000), 50e6 + 50e6 / 0.7, 1, "a cap makes work take longer by its load");

    a.n = 0;
    world_work(w, n, 1, 1e9, on_end, &a);
    int64_t h = world_work(w, n, 1, 1e9, on_end, &b);
    world_work_stop(w, h);
    world_poke(w, "fail node/c-h-r001-n01", NULL);
    world_advance(w, world_now_us(w) + 1);
    ok(a.n == 1 && !a.finished, "a failed node loses its work and says so");
    is_int(b.n, 0, "stopped work says nothing");
    is_int(world_work(w, n, 0, 1, on_end, &a), E_INVAL, "no cores, no work");
    is_int(world_work(w, n, 1, NAN, on_end, &a), E_INVAL, "work must be a number");
    is_int(world_set_on(w, n, true, NULL), E_STATE, "a failed node does not start");
    world_free(w);
}

static void feeds(void) {
    struct world *w = world_new(m, 1, T0);
    struct world_pdu p;
    struct world_node r;
    struct err e = {0};
    oid pdu = estate_find(s, "pdu", "c-h-r001-p");
    world_pdu(w, pdu, &p, &e);
    is_int(p.n_outlet_on, 24, "the unit shows its outlets");
    is_int(world_set_outlet(w, pdu, 1, false, &e), 0, "an outlet is switched off");
    world_node(w, node("c-h-r001-n01"), &r, &e);
    ok(!r.on && r.power_w == 0, "and its node is dark");
    is_int(world_set_outlet(w, pdu, 0, false, &e), E_INVAL, "there is no outlet 0");
    is_int(world_set_outlet(w, pdu, 25, false, &e), E_INVAL, "nor 25");
    world_set_outlet(w, pdu, 1, true, &e);
    world_poke(w, "load rack/c-h-r001 1", &e);
    world_pdu(w, pdu, &p, &e);
    is_near(p.power_w, 16 * 430 * 1.02, 1e-6, "the unit carries its rack and its own loss");
    world_set_pdu_limit(w, pdu, 5000, &e);
    world_advance(w, T0 + MINUTES(1));
    world_pdu(w, pdu, &p, &e);
    ok(!p.tripped, "one minute above the limit does not trip it");
    world_advance(w, T0 + MINUTES(2));
    world_pdu(w, pdu, &p, &e);
    ok(p.tripped && p.power_w == 0, "two do, and it feeds nothing");
    world_poke(w, "reset pdu/c-h-r001-p", &e);
    world_pdu(w, pdu, &p, &e);
    ok(!p.tripped && p.power_w > 0, "reset feeds again");
    is_int(world_set_pdu_limit(w, pdu, -1, &e), E_INVAL, "a limit below zero is refused");
    world_free(w);
}

static void throttle(void) {
    struct world *w = world_new(m, 1, T0);
    struct world_node r;
    world_poke(w, "load rack/c-h-r001 1", NULL);
    world_poke(w, "supply rack/c-h-r001 50", NULL);
    world_advance(w, T0 + MINUTES(10));
    world_node(w, node("c-h-r001-n01"), &r, NULL);
    is_near(r.utilisation_ratio, 0.7, 1e-12, "above 45 degC processors throttle");
    world_poke(w, "supply rack/c-h-r001 20", NULL);
    world_advance(w, T0 + MINUTES(20));
    world_node(w, node("c-h-r001-n01"), &r, NULL);
    is_near(r.utilisation_ratio, 1, 0, "and recover when it is cool");
    world_free(w);
}

static void copies(void) {
    struct world *w = world_new(m, 3, T0);
    struct ended a = {.w = w};
    world_work(w, node("c-h-r001-n02"), 4, 5e4, on_end, &a);
    world_advance(w, T0 + MINUTES(31));
    struct world *fork = world_copy(w);
    ok(world_hash(fork) == world_hash(w), "a copy has the same hash");
    world_advance(fork, T0 + MINUTES(600));
    is_int(a.n, 0, "a fork's work ends silently");
    world_advance(w, T0 + MINUTES(600));
    is_int(a.n, 1, "the original's does not");
    ok(world_hash(fork) == world_hash(w), "both reach the same state");
    struct world *fine = world_new(m, 3, T0), *other = world_new(m, 4, T0);
    for (int i = 1; i <= 100; i++)
        world_advance(fine, T0 + i * MINUTES(6) - 1);
    world_advance(fine, T0 + MINUTES(600));
    world_advance(other, T0 + MINUTES(600));
    ok(world_hash(fine) != world_hash(other), "another seed is another universe");
    struct world_node x, y;
    world_node(fine, node("c-h-r002-n09"), &x, NULL);
    world_node(w, node("c-h-r002-n09"), &y, NULL);
    ok(x.power_w == y.power_w, "a neighbour's work and the size of advances change nobody else's draws");
    ok(world_next_us(w) == T0 + MINUTES(601), "the next thing to see is the next step");
    world_free(fork), world_free(fine), world_free(other), world_free(w);
}

static void pokes(void) {
    static const char *const bad[] = {"",
                                      "load",
                                      "load node/none 1",
                                      "load node/c-h-r001-n01",
                                      "load node/c-h-r001-n01 1.1",
                                      "load node/c-h-r001-n01 nan",
                                      "trip pdu/c-h-r001-p 1",
                                      "trip node/c-h-r001-n01",
                                      "explode rack/c-h-r001",
                                      "supply rack/c-h-r001 500",
                                      "load node/c-h-r001-n01 1 1"};
    struct world *w = world_new(m, 1, T0);
    uint64_t before = world_hash(w);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err e = {0};
        ok(world_poke(w, bad[i], &e) < 0 && e.message[0], bad[i][0] ? bad[i] : "an empty command is refused");
    }
    ok(world_hash(w) == before, "refused commands change nothing");
    world_free(w);
}

static void weather(void) {
    struct world *w = world_new(m, 1, T0);
    oid c = estate_find(s, "centre", "c");
    double least = 1e9, most = -1e9, sum = 0;
    for (int d = 0; d < 365 * 4; d++) {
        world_advance(w, T0 + d * MINUTES(360));
        double t = world_wet_bulb_c(w, c);
        least = fmin(least, t), most = fmax(most, t), sum += t;
    }
    is_near(sum / (365 * 4), 10, 0.2, "the yearly mean wet bulb is the centre's");
    ok(most > 10 + 11 && most < 10 + 15 && least < 10 - 11 && least > 10 - 15, "and its swing is the centre's");
    world_free(w);
}

static void bad_model(void) {
    struct world_model *none;
    struct err e = {0};
    struct estate *x = estate_from_text("estate: x\nmodel:\n  - name: bare\n");
    is_int(world_compile(x, &none, &e), E_INVAL, "a model without a power curve has no twin");
    estate_free(x);
    x = estate_from_text("estate: x\n");
    is_int(world_compile(x, &none, &e), 0, "an empty estate is an empty world");
    struct world *w = world_new(none, 1, T0);
    world_advance(w, T0 + MINUTES(10));
    ok(world_energy_residual_ratio(w) == 0, "where nothing happens");
    world_free(w);
    world_model_free(none);
    estate_free(x);
}

/* Real servers: a machine compiled from each SPECpower row draws the published watts at the published loads. */
static void specpower(void) {
    const char *root = getenv("SUAN_DATA");
    char path[512], line[1024];
    snprintf(path, sizeof path, "%s/energy/servers/specpower_11pt.csv", root ? root : SUAN_SOURCE "/../shared/data");
    FILE *f = fopen(path, "r");
    if (!f) {
        skip("specpower_11pt.csv is not here (set SUAN_DATA)");
        return;
    }
    int rows = 0;
    double worst = 0;
    while (fgets(line, sizeof line, f)) {
        double p[11];
        const char *at = NULL;
        int got = 0;
        /* The eleven watts are the longest run of numbers in the row. */
        for (char *c = line; *c && got < 11; c++)
            if (c == line || c[-1] == ',') {
                char *end;
                double v = strtod(c, &end);
                bool number = end != c && (*end == ',' || *end == '\n' || *end == '\r' || !*end);
                if (number)
                    p[got++] = v;
                else
                    got = 0;
                at = c;
            }
        (void)at;
        if (got < 11)
            continue;
        if (p[0] > p[10])
            continue;
        char text[2048];
        int n = snprintf(text, sizeof text, "estate: x\nmodel:\n  - name: srv\n    power_curve_w: [");
        for (int i = 0; i < 11; i++)
            n += snprintf(text + n, sizeof text - (size_t)n, "%s%.17g", i ? ", " : "", p[i]);
        snprintf(text + n, sizeof text - (size_t)n,
                 "]\ncentre:\n  - name: c\n    hall:\n      - name: h\n        rack:\n          - name: r\n"
                 "            node:\n              - name: n\n                model: srv\n");
        struct estate *x = estate_from_text(text);
        struct world_model *xm;
        if (!x || world_compile(x, &xm, NULL)) {
            estate_free(x);
            continue;
        }
        struct world *w = world_new(xm, 1, T0);
        for (int i = 0; i <= 10; i++) {
            struct world_node r;
            char poke[64];
            snprintf(poke, sizeof poke, "load node/c-h-r-n %.1f", i / 10.0);
            world_poke(w, poke, NULL);
            world_node(w, estate_find(x, "node", "c-h-r-n"), &r, NULL);
            worst = fmax(worst, fabs(r.power_w - p[i]) / p[i]);
        }
        rows++;
        world_free(w), world_model_free(xm), estate_free(x);
    }
    fclose(f);
    printf("# %d SPECpower rows, worst relative error %.2g\n", rows, worst);
    ok(rows >= 10 && worst < 1e-12, "node power equals the published SPECpower points");
}

int main(void) {
    s = estate_of_racks(2);
    struct err e = {0};
    if (!s || world_compile(s, &m, &e))
        return printf("Bail out! %s\n", e.message), 1;
    heat();
    balance();
    caps();
    work();
    feeds();
    throttle();
    copies();
    pokes();
    weather();
    bad_model();
    specpower();
    world_model_free(m);
    estate_free(s);
    return tap_done();
}
