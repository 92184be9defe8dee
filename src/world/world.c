#include "world/world_private.h"

#include <assert.h>

/* Every array of the state, once: allocation, copy and free walk this list. */
struct part {
    size_t at;   /* of the pointer in struct world */
    size_t size; /* of one item */
    enum thing of;
};
#define PART(M, OF)                                                                                                    \
    { offsetof(struct world, M), sizeof(*((struct world *)0)->M), OF }
static const struct part parts[] = {
    PART(n_base, THING_NODE),     PART(n_swing, THING_NODE),  PART(n_noise, THING_NODE),    PART(n_demand, THING_NODE),
    PART(n_util, THING_NODE),     PART(n_power, THING_NODE),  PART(n_energy_j, THING_NODE), PART(n_cap, THING_NODE),
    PART(n_forced, THING_NODE),   PART(n_since, THING_NODE),  PART(n_on, THING_NODE),       PART(n_failed, THING_NODE),
    PART(n_rng, THING_NODE),      PART(n_work, THING_NODE),   PART(r_power, THING_RACK),    PART(r_air, THING_RACK),
    PART(r_energy_j, THING_RACK), PART(r_supply, THING_RACK), PART(r_since, THING_RACK),    PART(r_hot, THING_RACK),
    PART(r_cut, THING_RACK),
    PART(p_power, THING_PDU),     PART(p_limit, THING_PDU),   PART(p_outlet, THING_PDU),    PART(p_tripped, THING_PDU),
    PART(p_over, THING_PDU),
};
enum { PARTS = sizeof parts / sizeof parts[0] };

static size_t part_count(const struct world_model *m, const struct part *p) {
    return p->of == THING_NODE ? m->n_nodes : p->of == THING_RACK ? m->n_racks : m->n_pdus;
}
static void **part_slot(struct world *w, const struct part *p) {
    return (void **)(void *)((char *)w + p->at);
}

static void parts_alloc(struct world *w) {
    for (size_t i = 0; i < PARTS; i++) {
        size_t n = part_count(w->m, &parts[i]);
        void *p = calloc(n ? n : 1, parts[i].size);
        if (!p)
            abort();
        *part_slot(w, &parts[i]) = p;
    }
}

static void nodes_begin(struct world *w) {
    struct rng root = rng_new(w->seed);
    for (uint32_t n = 0; n < w->m->n_nodes; n++) {
        char name[ESTATE_NAME + 16] = "node/";
        memcpy(name + 5, w->m->n_name[n], strlen(w->m->n_name[n]) + 1);
        struct rng mine = rng_fork(&root, name);
        w->n_rng[n] = rng_fork(&mine, "load");
        struct rng profile = rng_fork(&mine, "profile");
        w->n_base[n] = 0.35 + 0.35 * rng_unit(&profile);
        w->n_swing[n] = 0.10 + 0.15 * rng_unit(&profile);
        w->n_on[n] = true;
        w->n_forced[n] = -1;
        w->n_since[n] = w->start_us;
        w->n_noise[n] = 0.1 * rng_normal(&w->n_rng[n]);
    }
}

struct world *world_new(const struct world_model *m, uint64_t seed, int64_t start_us) {
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->m = m;
    w->seed = seed;
    w->start_us = w->now_us = start_us;
    w->step_us = start_us + STEP_US;
    parts_alloc(w);
    nodes_begin(w);
    for (uint32_t p = 0; p < m->n_pdus; p++) {
        w->p_limit[p] = m->p_limit[p];
        for (uint32_t o = 0; o < m->p_outlets[p]; o++)
            w->p_outlet[p][o] = true;
    }
    for (uint32_t r = 0; r < m->n_racks; r++) {
        w->r_supply[r] = m->r_supply[r];
        w->r_since[r] = start_us;
        rack_load_step(w, r);
        /* Begin in balance: a cold rack would be a transient that no centre has. */
        w->r_air[r] = w->r_supply[r] + w->r_power[r] / m->r_conductance[r];
    }
    return w;
}

struct world *world_copy(const struct world *from) {
    struct world *w = malloc(sizeof *w);
    if (!w)
        abort();
    *w = *from;
    parts_alloc(w);
    for (size_t i = 0; i < PARTS; i++)
        memcpy(*part_slot(w, &parts[i]), *part_slot((struct world *)(uintptr_t)from, &parts[i]),
               part_count(w->m, &parts[i]) * parts[i].size);
    work_copy(w, from);
    return w;
}

void world_free(struct world *w) {
    if (!w)
        return;
    work_free(w);
    for (size_t i = 0; i < PARTS; i++)
        free(*part_slot(w, &parts[i]));
    free(w);
}

uint64_t world_hash(const struct world *w) {
    struct hash h;
    hash_begin(&h, w->seed);
    hash_u64(&h, (uint64_t)w->now_us);
    for (uint32_t n = 0; n < w->m->n_nodes; n++) {
        const double v[] = {w->n_noise[n],    w->n_demand[n], w->n_util[n],  w->n_power[n],
                            w->n_energy_j[n], w->n_cap[n],    w->n_forced[n]};
        for (size_t i = 0; i < sizeof v / sizeof v[0]; i++)
            hash_real(&h, v[i]);
        hash_u64(&h, (uint64_t)w->n_on[n] | (uint64_t)w->n_failed[n] << 1);
        for (size_t i = 0; i < 4; i++)
            hash_u64(&h, w->n_rng[n].s[i]);
        for (const struct work *k = w->n_work[n]; k; k = k->next) {
            hash_u64(&h, (uint64_t)k->handle);
            hash_real(&h, k->left_core_s);
            hash_real(&h, k->rate);
        }
    }
    for (uint32_t r = 0; r < w->m->n_racks; r++) {
        hash_real(&h, w->r_power[r]);
        hash_real(&h, w->r_air[r]);
        hash_real(&h, w->r_energy_j[r]);
        hash_real(&h, w->r_supply[r]);
        hash_u64(&h, (uint64_t)w->r_hot[r] | (uint64_t)w->r_cut[r] << 1);
    }
    for (uint32_t p = 0; p < w->m->n_pdus; p++) {
        hash_real(&h, w->p_limit[p]);
        hash_u64(&h, w->p_tripped[p]);
        for (uint32_t o = 0; o < w->m->p_outlets[p]; o++)
            hash_u64(&h, w->p_outlet[p][o]);
    }
    return hash_end(&h);
}

int64_t world_now_us(const struct world *w) {
    return w->now_us;
}

int64_t world_next_us(const struct world *w) {
    const struct heap_node *ev = heap_min(&w->events);
    return ev && ev->at < w->step_us ? ev->at : w->step_us;
}

static void step(struct world *w) {
    w->steps++;
    for (uint32_t r = 0; r < w->m->n_racks; r++) {
        rack_air_to(w, r, w->now_us);
        bool hot = w->r_air[r] > (w->r_hot[r] ? HOT_CLEAR_C : HOT_C);
        bool turned = hot != w->r_hot[r];
        w->r_hot[r] = hot;
        /* Staggered, so that no minute is heavier than another. */
        if ((w->steps + r) % LOAD_EVERY == 0)
            rack_load_step(w, r);
        else if (turned)
            rack_settle(w, r);
        if (w->m->r_n_pdus[r])
            pdu_trip_step(w, r);
    }
    w->step_us += STEP_US;
}

void world_advance(struct world *w, int64_t to_us) {
    while (w->now_us < to_us || (heap_min(&w->events) && heap_min(&w->events)->at <= to_us)) {
        int64_t next = world_next_us(w);
        if (next > to_us) {
            w->now_us = to_us;
            return;
        }
        if (next > w->now_us)
            w->now_us = next;
        struct heap_node *ev = heap_min(&w->events);
        if (ev && ev->at <= w->now_us)
            work_fire(w, heap_pop(&w->events));
        else
            step(w);
    }
}

static double rack_inlet_c(const struct world *w, uint32_t r) {
    double settled = w->r_supply[r] + w->r_power[r] / w->m->r_conductance[r];
    double dt_s = (double)(w->now_us - w->r_since[r]) * 1e-6;
    double decay = dt_s > 0 ? fx_exp(-dt_s * w->m->r_conductance[r] / w->m->r_mass[r]) : 1;
    return settled + (w->r_air[r] - settled) * decay;
}

int world_node(const struct world *w, oid id, struct world_node *out, struct err *e) {
    uint32_t n;
    int rc = world_thing(w->m, id, THING_NODE, &n, e);
    if (rc)
        return rc;
    bool fed = node_fed(w, n);
    *out = (struct world_node){
        .power_w = w->n_power[n],
        .utilisation_ratio = w->n_util[n],
        .temperature_c = rack_inlet_c(w, w->m->n_rack[n]),
        .cap_w = w->n_cap[n],
        .on = w->n_on[n] && !w->n_failed[n] && fed,
        .fed = fed,
    };
    return 0;
}

bool world_node_fed(const struct world *w, oid id) {
    uint32_t n;
    return !world_thing(w->m, id, THING_NODE, &n, NULL) && node_fed(w, n);
}

int world_pdu(const struct world *w, oid id, struct world_pdu *out, struct err *e) {
    uint32_t p;
    int rc = world_thing(w->m, id, THING_PDU, &p, e);
    if (rc)
        return rc;
    *out = (struct world_pdu){.power_w = w->p_power[p],
                              .limit_w = w->p_limit[p],
                              .tripped = w->p_tripped[p],
                              .fed = !w->r_cut[w->m->p_rack[p]],
                              .n_outlet_on = w->m->p_outlets[p]};
    memcpy(out->outlet_on, w->p_outlet[p], sizeof out->outlet_on);
    return 0;
}

double world_rack_inlet_c(const struct world *w, oid rack) {
    uint32_t r;
    return world_thing(w->m, rack, THING_RACK, &r, NULL) ? 0 : rack_inlet_c(w, r);
}

static double node_energy_j(const struct world *w, uint32_t n) {
    return w->n_energy_j[n] + w->n_power[n] * ((double)(w->now_us - w->n_since[n]) * 1e-6);
}
static double rack_energy_j(const struct world *w, uint32_t r) {
    return w->r_energy_j[r] + w->r_power[r] * ((double)(w->now_us - w->r_since[r]) * 1e-6);
}

double world_energy_kwh(const struct world *w, oid id) {
    uint32_t i;
    double j = 0;
    if (!world_thing(w->m, id, THING_NODE, &i, NULL)) {
        j = node_energy_j(w, i);
    } else if (!world_thing(w->m, id, THING_RACK, &i, NULL)) {
        j = rack_energy_j(w, i);
    } else if (!world_thing(w->m, id, THING_CENTRE, &i, NULL)) {
        for (uint32_t r = 0; r < w->m->n_racks; r++)
            if (w->m->r_centre[r] == i)
                j += rack_energy_j(w, r);
        j *= w->m->c_pue[i];
    }
    return j / 3.6e6;
}

double world_wet_bulb_c(const struct world *w, oid centre) {
    uint32_t c;
    return world_thing(w->m, centre, THING_CENTRE, &c, NULL) ? 0 : wet_bulb_c(w->m, c, w->now_us);
}

double world_energy_residual_ratio(const struct world *w) {
    double nodes = 0, racks = 0;
    for (uint32_t n = 0; n < w->m->n_nodes; n++)
        nodes += node_energy_j(w, n);
    for (uint32_t r = 0; r < w->m->n_racks; r++)
        racks += rack_energy_j(w, r);
    if (racks <= 0)
        return nodes > 0 ? 1 : 0;
    double off = nodes * (1 + PDU_LOSS_RATIO) - racks;
    return (off < 0 ? -off : off) / racks;
}

int world_set_cap(struct world *w, oid node, double cap_w, struct err *e) {
    uint32_t n;
    int rc = world_thing(w->m, node, THING_NODE, &n, e);
    if (rc)
        return rc;
    double least = w->m->curves[w->m->n_curve[n]].cap_min_w;
    if (!(cap_w >= 0) || (cap_w > 0 && cap_w < least))
        return err_set(e, E_INVAL, "node/%s: a cap of %g W is refused; the firmware accepts 0 (none) or %g W and more",
                       w->m->n_name[n], cap_w, least);
    w->n_cap[n] = cap_w;
    rack_settle(w, w->m->n_rack[n]);
    return 0;
}

int world_set_on(struct world *w, oid node, bool on, struct err *e) {
    uint32_t n;
    int rc = world_thing(w->m, node, THING_NODE, &n, e);
    if (rc)
        return rc;
    if (on && w->n_failed[n])
        return err_set(e, E_STATE, "node/%s has failed and does not start", w->m->n_name[n]);
    w->n_on[n] = on;
    rack_settle(w, w->m->n_rack[n]);
    return 0;
}

int world_set_outlet(struct world *w, oid pdu, int64_t outlet, bool on, struct err *e) {
    uint32_t p;
    int rc = world_thing(w->m, pdu, THING_PDU, &p, e);
    if (rc)
        return rc;
    if (outlet < 1 || outlet > w->m->p_outlets[p])
        return err_set(e, E_INVAL, "outlet %lld: the unit has 1 to %u", (long long)outlet, w->m->p_outlets[p]);
    w->p_outlet[p][outlet - 1] = on;
    rack_settle(w, w->m->p_rack[p]);
    return 0;
}

int world_set_pdu_limit(struct world *w, oid pdu, double limit_w, struct err *e) {
    uint32_t p;
    int rc = world_thing(w->m, pdu, THING_PDU, &p, e);
    if (rc)
        return rc;
    if (!(limit_w >= 0))
        return err_set(e, E_INVAL, "a limit of %g W is below zero", limit_w);
    w->p_limit[p] = limit_w;
    return 0;
}
