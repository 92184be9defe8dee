#include "app/estate_generate.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/fx.h"
#include "base/rng.h"

enum { NODES_A_RACK = 16, RACKS_A_HALL = 20, NODES_A_CENTRE = 1280, CENTRES_MAX = 24 };

static const char head[] = "grid:\n"
                           "  - name: north\n"
                           "    factor_kg_per_kwh: 0.6361\n"
                           "    factor_source: \"MEE and NBS, grid regions 2023: North China\"\n"
                           "    price_per_kwh: [0.45]\n"
                           "    price_source: assumption\n"
                           "  - name: west\n"
                           "    factor_kg_per_kwh: 0.5543\n"
                           "    factor_source: \"MEE and NBS, grid regions 2023: North-west China\"\n"
                           "    price_per_kwh: [0.40]\n"
                           "    price_source: assumption\n"
                           "  - name: south\n"
                           "    factor_kg_per_kwh: 0.4042\n"
                           "    factor_source: \"MEE and NBS, grid regions 2023: South China\"\n"
                           "    price_per_kwh: [0.60]\n"
                           "    price_source: assumption\n"
                           "tenant:\n"
                           "  - name: campus\n"
                           "    title: University campus\n"
                           "model:\n"
                           "  - name: cpu\n"
                           "    maker: Dell\n"
                           "    cores: 56\n"
                           "    memory_bytes: 192 GiB\n"
                           "    power_curve_w: [52.3, 129, 147, 170, 195, 224, 255, 292, 344, 408, 457]\n"
                           "    power_source: SPECpower_ssj2008 20170829-00780\n"
                           "    cap_min_w: 180\n"
                           "    price_per_core_h: 0.1\n"
                           "  - name: old\n"
                           "    maker: Huawei\n"
                           "    cores: 16\n"
                           "    memory_bytes: 64 GiB\n"
                           "    power_curve_w: [55.6, 79.4, 90.5, 102, 112, 128, 148, 172, 200, 238, 282]\n"
                           "    power_source: SPECpower_ssj2008 20120306-00438\n"
                           "    cap_min_w: 110\n"
                           "    price_per_core_h: 0.05\n"
                           "  - name: ascend\n"
                           "    maker: Huawei\n"
                           "    arch: aarch64\n"
                           "    cores: 192\n"
                           "    memory_bytes: 1 TiB\n"
                           "    accelerator: Ascend 910B\n"
                           "    accelerator_family: ascend\n"
                           "    accelerators: 8\n"
                           "    accelerator_memory_bytes: 64 GB\n"
                           "    accelerator_tflops: 313\n"
                           "    power_curve_w: [1300, 5600]\n"
                           "    power_source: \"nameplate 5.6 kW for 8 x 400 W and host; idle 1.3 kW assumed\"\n"
                           "    cap_min_w: 2600\n"
                           "    price_per_core_h: 0.3\n"
                           "centre:\n";

struct place {
    double latitude_deg, longitude_deg;
};

/* A rack, its PDU strong enough for what hangs on it. */
static void rack(struct text *out, int64_t number, int64_t nodes, struct rng *r) {
    static const struct {
        const char *model;
        double full_kw;
    } mix[] = {{"cpu", 0.457}, {"cpu", 0.457}, {"cpu", 0.457}, {"old", 0.282}, {"ascend", 5.6}};
    uint64_t k = rng_below(r, sizeof mix / sizeof mix[0]);
    double full_kw = mix[k].full_kw * (double)nodes;
    text_addf(out, "          - name: r%02" PRId64 "\n            budget_w: %.1f kW\n            conductance_w_per_k: %.0f\n",
              number, ceil(full_kw * 9.5) / 10, ceil(full_kw / 7.5) * 1000 + 1000);
    text_addf(out, "            node:\n              - name: n[01-%02" PRId64 "]\n                model: %s\n                priority: %d\n",
              nodes, mix[k].model, (int)rng_below(r, 10));
    text_addf(out, "            pdu:\n              - name: p1\n                limit_w: %.1f kW\n", ceil(full_kw * 12) / 10);
}

static struct place centre(struct text *out, int64_t number, int64_t nodes, const struct rng *root) {
    static const char *const grids[] = {"north", "west", "south"};
    char name[32];
    snprintf(name, sizeof name, "centre/%" PRId64, number);
    struct rng r = rng_fork(root, name);
    struct place at = {round((22 + 20 * rng_unit(&r)) * 100) / 100, round((98 + 22 * rng_unit(&r)) * 100) / 100};
    text_addf(out, "  - name: c%02" PRId64 "\n    title: Centre %" PRId64 "\n    grid: %s\n    owner: campus\n", number, number,
              grids[rng_below(&r, 3)]);
    text_addf(out, "    latitude_deg: %.2f\n    longitude_deg: %.2f\n    pue_ratio: %.2f\n    hall:\n", at.latitude_deg,
              at.longitude_deg, 1.15 + 0.01 * (double)rng_below(&r, 16));
    for (int64_t i = 0; nodes > 0; i++) {
        if (i % RACKS_A_HALL == 0)
            text_addf(out, "      - name: h%02" PRId64 "\n        rack:\n", i / RACKS_A_HALL + 1);
        int64_t here = nodes < NODES_A_RACK ? nodes : NODES_A_RACK;
        rack(out, i % RACKS_A_HALL + 1, here, &r);
        nodes -= here;
    }
    text_addf(out, "    agent:\n      - name: agent\n        centre: c%02" PRId64 "\n        backend: twin\n", number);
    return at;
}

/* Flat-earth distance is enough for a drawn place; the delay as in national-hubs.yaml. */
static void link(struct text *out, int64_t from, int64_t to, const struct place *a, const struct place *b) {
    double north = (a->latitude_deg - b->latitude_deg) * 111.2;
    double east = (a->longitude_deg - b->longitude_deg) * 111.2 * fx_cos(32 * 3.14159265358979 / 180);
    double km = __builtin_sqrt(north * north + east * east);
    text_addf(out, "  - {name: c%02" PRId64 "-c%02" PRId64 ", from: c%02" PRId64 ", to: c%02" PRId64
              ", delay_us: %.0f us, bandwidth_bps: 10 Gbit/s, price_per_gb: %s}\n", from, to, from, to, ceil(km * 7.5) + 10,
              km < 800 ? "0.07" : "0.14");
}

int estate_generate(int64_t nodes, uint64_t seed, struct text *out, struct err *e) {
    struct place at[CENTRES_MAX];
    struct rng root = rng_new(seed);
    if (nodes < 1 || nodes > GENERATE_NODES_MAX)
        return err_set(e, E_INVAL, "nodes: %" PRId64 " is out of range, 1 to %d", nodes, GENERATE_NODES_MAX);
    int64_t centres = (nodes + NODES_A_CENTRE - 1) / NODES_A_CENTRE, left = nodes;
    centres = centres > CENTRES_MAX ? CENTRES_MAX : centres;
    text_addf(out, "# suan estate generate nodes=%" PRId64 " seed=%" PRIu64 "\nestate: generated-%" PRId64 "\n", nodes, seed, nodes);
    text_add(out, head);
    for (int64_t i = 0; i < centres; i++) {
        int64_t here = left / (centres - i);
        at[i] = centre(out, i + 1, here, &root);
        left -= here;
    }
    text_add(out, centres > 1 ? "link:\n" : "");
    for (int64_t i = 0; i < centres; i++)
        for (int64_t k = i + 1; k < centres; k++)
            link(out, i + 1, k + 1, &at[i], &at[k]);
    return 0;
}
