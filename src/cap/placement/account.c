/* Account: energy, carbon and cost of work, from CPU time and the node's power curve.
 *
 *   energy = [ (P(1) - P(0)) × cpu_s / cores  +  P(0) × reserved / cores × wall_s ] × PUE
 * The first term is what the work drew above idle, the second its share of idle by what it kept for itself
 * (Green Software Foundation, SCI 1.0, "reserved resources"). CPU time is measured; the rest is modelled, and says so;
 * a grid or model without figures makes the result "default", not silently zero. */
#include "cap/placement/placement.h"

static int weaker(int a, int b) { return a < b ? a : b; }

void account_task(const struct estate *s, const struct task *t, oid node, double wall_s, double cpu_s, bool cpu_measured,
                  double moved_bytes, int64_t at_us, struct account *out) {
    *out = (struct account){.wall_s = wall_s, .cpu_s = cpu_s, .moved_bytes = moved_bytes,
                            .cpu_source = cpu_measured ? FIGURE_MEASURED : FIGURE_MODELLED};
    if (!estate_alive(s, node))
        return;
    const struct node *n = estate_get(s, node, node);
    oid centre_id = estate_ancestor(s, node, "centre");
    const struct centre *c = centre_id ? estate_get(s, centre_id, centre) : NULL;
    const struct model *m = estate_alive(s, n->model) ? estate_get(s, n->model, model) : NULL;
    const struct grid *g = c && estate_alive(s, c->grid) ? estate_get(s, c->grid, grid) : NULL;
    if (m && m->cores > 0) {
        double idle = model_power_w(m, 0), full = model_power_w(m, 1), cores = (double)m->cores;
        double joule = (full - idle) * cpu_s / cores + idle * ((double)t->cores / cores) * wall_s;
        out->energy_kwh = joule * (c && c->pue_ratio > 0 ? c->pue_ratio : 1) / 3.6e6;
        out->energy_source = FIGURE_MODELLED;
        out->cost_cny = cpu_s / 3600 * m->price_per_core_h;
    }
    out->carbon_source = out->cost_source = weaker(out->energy_source, g ? FIGURE_MODELLED : FIGURE_DEFAULT);
    if (!g)
        return;
    out->carbon_kg = out->energy_kwh * g->factor_kg_per_kwh;
    if (g->n_price_per_kwh) {
        int64_t hour = ((at_us / 1000000 + (int64_t)(g->utc_offset_h * 3600)) / 3600) % 24;
        out->cost_cny += out->energy_kwh * g->price_per_kwh[g->n_price_per_kwh == 24 ? hour : 0];
    } else {
        out->cost_source = FIGURE_DEFAULT;
    }
}

void account_add(struct account *sum, const struct account *one) {
    sum->cpu_source = sum->cpu_source ? weaker(sum->cpu_source, one->cpu_source) : one->cpu_source;
    sum->energy_source = sum->energy_source ? weaker(sum->energy_source, one->energy_source) : one->energy_source;
    sum->carbon_source = sum->carbon_source ? weaker(sum->carbon_source, one->carbon_source) : one->carbon_source;
    sum->cost_source = sum->cost_source ? weaker(sum->cost_source, one->cost_source) : one->cost_source;
    sum->wall_s += one->wall_s;
    sum->cpu_s += one->cpu_s;
    sum->energy_kwh += one->energy_kwh;
    sum->carbon_kg += one->carbon_kg;
    sum->cost_cny += one->cost_cny;
    sum->moved_bytes += one->moved_bytes;
}
