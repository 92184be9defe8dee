/* Account: energy, carbon and cost of work.
 *
 *   energy = [ (P(1) - P(0)) x cpu_s / cores  +  P(0) x reserved / cores x wall_s ] x PUE
 *   carbon = energy x factor of the grid
 *   cost   = energy x price over the hours it ran  +  reserved core hours x price  +  moved bytes x price of the links
 *
 * The first term of the energy is what the work drew above idle (a straight line between the ends of the node's power curve:
 * what else ran beside it is not known here), the second its share of idle by what it kept for itself (Green Software
 * Foundation, SCI 1.0, "reserved resources"). CPU time is measured; what is computed from it with figures of the estate is
 * "modelled". Where the estate has no figure, a published or plain one below stands in and the result says "default":
 * never silently zero. A sum is as good as its weakest part. */
#include "cap/placement/placement.h"

static const double default_idle_w = 1.28, default_full_w = 7.93; /* a core of two threads, Cascade Lake: Cloud Carbon Footprint coefficients */
static const double default_factor_kg_per_kwh = 0.5306;           /* China, national average 2023: MEE and NBS */
static const double default_price_per_kwh = 0.6;                  /* CNY; a plain assumption */

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

static int weaker(int a, int b) { return a < b ? a : b; }

static void energy(const struct task *t, const struct model *m, const struct centre *c, double wall_s, double cpu_s,
                   struct account *out) {
    bool known = m && m->cores > 0 && m->n_power_curve_w >= 2;
    double cores = known ? (double)m->cores : 1;
    double idle_w = known ? model_power_w(m, 0) : default_idle_w, full_w = known ? model_power_w(m, 1) : default_full_w;
    double joule = (full_w - idle_w) * cpu_s / cores + idle_w * ((double)t->cores / cores) * wall_s;
    out->energy_kwh = joule * (c && c->pue_ratio > 0 ? c->pue_ratio : 1) / 3.6e6;
    out->energy_source = known && c ? FIGURE_MODELLED : FIGURE_DEFAULT;
}

/* Mean price of a kWh over [end - wall, end], by local hour; the work is taken as even. */
static double price_mean(const struct grid *g, double wall_s, int64_t end_us) {
    if (g->n_price_per_kwh != 24)
        return g->price_per_kwh[0];
    int64_t end = end_us / 1000000 + (int64_t)(g->utc_offset_h * HOUR_S);
    int64_t span = wall_s < 1 ? 1 : wall_s > 1e10 ? (int64_t)1e10 : (int64_t)wall_s, at = end - span;
    double sum = 0, day = 0;
    for (int h = 0; h < 24; h++)
        day += g->price_per_kwh[h] * HOUR_S;
    sum = day * (double)(span / DAY_S);
    at += span / DAY_S * DAY_S;
    while (at < end) {
        int64_t second = (at % DAY_S + DAY_S) % DAY_S, next = at + HOUR_S - second % HOUR_S;
        next = next < end ? next : end;
        sum += g->price_per_kwh[second / HOUR_S] * (double)(next - at);
        at = next;
    }
    return sum / (double)span;
}

/* Mean price of what was moved: the links to the inputs by their size; all links of the centre when those are not known. */
static double link_price(const struct estate *s, const struct task *t, oid centre) {
    double money = 0, bytes = 0, any = 0, links = 0;
    for (oid i = 0; (i = estate_next(s, "link", i));) {
        const struct link *l = estate_get(s, i, link);
        if (l->from != centre && l->to != centre)
            continue;
        oid other = l->from == centre ? l->to : l->from;
        any += l->price_per_gb;
        links++;
        for (uint32_t k = 0; k < t->n_inputs; k++)
            if (t->inputs[k].centre == other) {
                money += (double)t->inputs[k].size_bytes * l->price_per_gb;
                bytes += (double)t->inputs[k].size_bytes;
            }
    }
    return bytes > 0 ? money / bytes : links > 0 ? any / links : 0;
}

void account_task(const struct estate *s, const struct task *t, oid node, double wall_s, double cpu_s, bool cpu_measured,
                  double moved_bytes, int64_t at_us, struct account *out) {
    *out = (struct account){.wall_s = wall_s, .cpu_s = cpu_s, .moved_bytes = moved_bytes,
                            .cpu_source = cpu_measured ? FIGURE_MEASURED : FIGURE_MODELLED};
    const struct node *n = estate_alive(s, node) ? estate_get(s, node, node) : NULL;
    oid centre_id = n ? estate_ancestor(s, node, "centre") : 0;
    const struct centre *c = centre_id ? estate_get(s, centre_id, centre) : NULL;
    const struct model *m = n && estate_alive(s, n->model) ? estate_get(s, n->model, model) : NULL;
    const struct grid *g = c && estate_alive(s, c->grid) ? estate_get(s, c->grid, grid) : NULL;
    energy(t, m, c, wall_s, cpu_s, out);
    bool factor = g && (g->factor_kg_per_kwh > 0 || *g->factor_source);
    out->carbon_kg = out->energy_kwh * (factor ? g->factor_kg_per_kwh : default_factor_kg_per_kwh);
    out->carbon_source = weaker(out->energy_source, factor ? FIGURE_MODELLED : FIGURE_DEFAULT);
    bool price = g && g->n_price_per_kwh;
    out->cost_cny = out->energy_kwh * (price ? price_mean(g, wall_s, at_us) : default_price_per_kwh);
    out->cost_cny += m ? (double)t->cores * wall_s / HOUR_S * m->price_per_core_h : 0;
    out->cost_cny += moved_bytes > 0 && centre_id ? moved_bytes / 1e9 * link_price(s, t, centre_id) : 0;
    out->cost_source = weaker(out->energy_source, price ? FIGURE_MODELLED : FIGURE_DEFAULT);
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
