/* Power: curves, caps, feeds, trips.
 * Curve: SPECpower_ssj2008's eleven points, straight lines between them (test/world checks real results). */
#include "world/world_private.h"

double curve_power_w(const struct curve *c, double load) {
    double at = load * (double)(c->n - 1);
    if (at <= 0)
        return c->w[0];
    if (at >= (double)(c->n - 1))
        return c->w[c->n - 1];
    uint32_t i = (uint32_t)at;
    return c->w[i] + (c->w[i + 1] - c->w[i]) * (at - (double)i);
}

double curve_load(const struct curve *c, double power_w) {
    if (power_w >= c->w[c->n - 1])
        return 1;
    uint32_t i = c->n - 1;
    while (i > 0 && c->w[i] > power_w)
        i--;
    if (c->w[i] > power_w)
        return 0; /* below idle: the machine cannot do less than nothing */
    double rise = c->w[i + 1] - c->w[i];
    double part = rise > 0 ? (power_w - c->w[i]) / rise : 0;
    return ((double)i + part) / (double)(c->n - 1);
}

/* How many feeds reach the node: a node hangs on the outlet of its slot of every PDU of the rack. */
static uint32_t node_feeds(const struct world *w, uint32_t n) {
    const struct world_model *m = w->m;
    uint32_t r = m->n_rack[n], slot = m->n_slot[n], feeds = 0;
    for (uint32_t p = m->r_first_pdu[r]; p < m->r_first_pdu[r] + m->r_n_pdus[r]; p++)
        if (slot < m->p_outlets[p] && w->p_outlet[p][slot] && !w->p_tripped[p])
            feeds |= 1u << (p - m->r_first_pdu[r]);
    return feeds;
}

/* A slot above every PDU's outlets hangs on an unswitched, unmetered busway. */
static bool node_unswitched(const struct world_model *m, uint32_t n) {
    uint32_t r = m->n_rack[n];
    for (uint32_t p = m->r_first_pdu[r]; p < m->r_first_pdu[r] + m->r_n_pdus[r]; p++)
        if (m->n_slot[n] < m->p_outlets[p])
            return false;
    return true;
}

bool node_fed(const struct world *w, uint32_t n) {
    return !w->r_cut[w->m->n_rack[n]] && (node_unswitched(w->m, n) || node_feeds(w, n));
}

static double node_load_limit(const struct world *w, uint32_t n, const struct curve *c) {
    double limit = w->r_hot[w->m->n_rack[n]] ? HOT_LOAD_RATIO : 1;
    if (w->n_cap[n] > 0) {
        double by_cap = curve_load(c, w->n_cap[n]);
        if (by_cap < limit)
            limit = by_cap;
    }
    return limit;
}

static void node_settle(struct world *w, uint32_t n) {
    const struct curve *c = &w->m->curves[w->m->n_curve[n]];
    bool runs = w->n_on[n] && !w->n_failed[n] && node_fed(w, n);
    double util = 0, power = 0;
    if (runs) {
        double demand = w->n_demand[n];
        if (w->n_work[n]) {
            demand = 0;
            for (const struct work *k = w->n_work[n]; k; k = k->next)
                demand += k->cores;
            demand /= c->cores;
        } else if (w->n_forced[n] >= 0) {
            demand = w->n_forced[n];
        }
        double limit = node_load_limit(w, n, c);
        util = demand < limit ? demand : limit;
        power = curve_power_w(c, util);
    }
    if (power != w->n_power[n]) {
        w->n_energy_j[n] += w->n_power[n] * ((double)(w->now_us - w->n_since[n]) * 1e-6);
        w->n_since[n] = w->now_us;
        w->n_power[n] = power;
    }
    w->n_util[n] = util;
    if (w->n_work[n]) {
        if (runs)
            work_follow(w, n);
        else
            work_lose(w, n);
    }
}

void rack_settle(struct world *w, uint32_t r) {
    const struct world_model *m = w->m;
    rack_air_to(w, r, w->now_us);
    uint32_t first = m->r_first_node[r], last = first + m->r_n_nodes[r];
    uint32_t pdu0 = m->r_first_pdu[r], n_pdus = m->r_n_pdus[r];
    double sum = 0, by_pdu[FEEDS_MAX] = {0};
    for (uint32_t n = first; n < last; n++) {
        node_settle(w, n);
        double input = w->n_power[n] * (1 + PDU_LOSS_RATIO);
        sum += input;
        uint32_t feeds = n_pdus && !w->r_cut[r] ? node_feeds(w, n) : 0;
        double share = feeds ? input / (double)__builtin_popcount(feeds) : 0;
        for (uint32_t p = 0; feeds >> p; p++)
            if (feeds >> p & 1)
                by_pdu[p] += share;
    }
    w->r_power[r] = sum;
    for (uint32_t p = 0; p < n_pdus; p++)
        w->p_power[pdu0 + p] = by_pdu[p];
}

/* Ornstein-Uhlenbeck around a daily wave: exact discretisation over LOAD_EVERY minutes, relaxation time 2 h. */
void rack_load_step(struct world *w, uint32_t r) {
    const struct world_model *m = w->m;
    static const double keep = 0.9591894571091382; /* exp(-5/120) */
    static const double kick = 0.0282755;          /* 0.1 * sqrt(1 - keep^2) */
    double local_h = (double)(w->now_us / 1000000 % 86400) / 3600 + m->c_utc_offset_h[m->r_centre[r]];
    double wave = fx_sin((local_h - 9) * (6.283185307179586 / 24)); /* busiest at 15 h */
    for (uint32_t n = m->r_first_node[r]; n < m->r_first_node[r] + m->r_n_nodes[r]; n++) {
        w->n_noise[n] = keep * w->n_noise[n] + kick * rng_normal(&w->n_rng[n]);
        double u = w->n_base[n] + w->n_swing[n] * wave + w->n_noise[n];
        w->n_demand[n] = u < 0 ? 0 : u > 1 ? 1 : u;
    }
    rack_settle(w, r);
}

/* Thermal-magnetic breaker, as far as minutes see it: two whole steps above its limit trip it. */
void pdu_trip_step(struct world *w, uint32_t r) {
    const struct world_model *m = w->m;
    bool changed = false;
    for (uint32_t p = m->r_first_pdu[r]; p < m->r_first_pdu[r] + m->r_n_pdus[r]; p++) {
        bool over = w->p_limit[p] > 0 && w->p_power[p] > w->p_limit[p];
        w->p_over[p] = over ? w->p_over[p] + 1 : 0;
        if (w->p_over[p] >= 2 && !w->p_tripped[p])
            w->p_tripped[p] = changed = true;
    }
    if (changed)
        rack_settle(w, r);
}
