#include "world/world_private.h"

static int thing_order(const void *x, const void *y) {
    const struct thing_index *a = x, *b = y;
    return a->id < b->id ? -1 : a->id > b->id;
}

int world_thing(const struct world_model *m, oid id, enum thing type, uint32_t *index, struct err *e) {
    oid at = id - m->first_id;
    const struct thing_index *t = at < m->n_places && m->places[at] ? &m->things[m->places[at] - 1] : NULL;
    if (!t || t->type != type)
        return err_set(e, E_NOTFOUND, "the world has no such object (id %llu)", (unsigned long long)id);
    *index = t->index;
    return 0;
}

static void *zeroed(size_t n, size_t size) {
    void *p = calloc(n ? n : 1, size);
    if (!p)
        abort();
    return p;
}

/* Sorted, and the place of each by its id. Ids of one estate lie close together; where they do not, the memory between
 * them is never touched. */
static void index_things(struct world_model *m) {
    qsort(m->things, m->n_things, sizeof *m->things, thing_order);
    free(m->places);
    m->places = NULL;
    m->first_id = m->n_things ? m->things[0].id : 0;
    m->n_places = m->n_things ? m->things[m->n_things - 1].id - m->first_id + 1 : 0;
    m->places = zeroed(m->n_places, sizeof *m->places);
    for (size_t i = 0; i < m->n_things; i++)
        m->places[m->things[i].id - m->first_id] = (uint32_t)i + 1;
}

static void model_alloc(struct world_model *m) {
    size_t c = m->n_centres, r = m->n_racks, n = m->n_nodes, p = m->n_pdus;
    m->things = zeroed(c + r + n + p, sizeof *m->things);
    m->c_pue = zeroed(c, sizeof(double));
    m->c_wet_mean = zeroed(c, sizeof(double));
    m->c_wet_amplitude = zeroed(c, sizeof(double));
    m->c_utc_offset_h = zeroed(c, sizeof(double));
    m->c_id = zeroed(c, sizeof(oid));
    m->r_centre = zeroed(r, sizeof(uint32_t));
    m->r_first_node = zeroed(r, sizeof(uint32_t));
    m->r_n_nodes = zeroed(r, sizeof(uint32_t));
    m->r_first_pdu = zeroed(r, sizeof(uint32_t));
    m->r_n_pdus = zeroed(r, sizeof(uint32_t));
    m->r_supply = zeroed(r, sizeof(double));
    m->r_mass = zeroed(r, sizeof(double));
    m->r_conductance = zeroed(r, sizeof(double));
    m->r_decay = zeroed(r, sizeof(double));
    m->r_id = zeroed(r, sizeof(oid));
    m->n_rack = zeroed(n, sizeof(uint32_t));
    m->n_slot = zeroed(n, sizeof(uint32_t));
    m->n_curve = zeroed(n, sizeof(uint32_t));
    m->n_id = zeroed(n, sizeof(oid));
    m->n_name = zeroed(n, sizeof *m->n_name);
    m->p_rack = zeroed(p, sizeof(uint32_t));
    m->p_outlets = zeroed(p, sizeof(uint32_t));
    m->p_limit = zeroed(p, sizeof(double));
    m->p_id = zeroed(p, sizeof(oid));
    m->curves = zeroed(m->n_curves, sizeof *m->curves);
}

void world_model_free(struct world_model *m) {
    if (!m)
        return;
    void *all[] = {m->things,   m->c_pue,    m->c_wet_mean,   m->c_wet_amplitude, m->c_utc_offset_h,
                   m->c_id,     m->r_centre, m->r_first_node, m->r_n_nodes,       m->r_first_pdu,
                   m->r_n_pdus, m->r_supply, m->r_mass,       m->r_conductance,   m->r_decay,
                   m->r_id,     m->n_rack,   m->n_slot,       m->n_curve,         m->n_id,
                   m->n_name,   m->p_rack,   m->p_outlets,    m->p_limit,         m->p_id,
                   m->curves,   m->places};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]);
    free(m);
}

static void add_thing(struct world_model *m, const struct estate *s, oid id, enum thing type, uint32_t index) {
    struct thing_index *t = &m->things[m->n_things++];
    *t = (struct thing_index){.id = id, .type = type, .index = index};
    str_copy(t->name, sizeof t->name, estate_name(s, id));
}

/* Position of a catalogue object in id order: the index of its curve. */
static int curve_index(const struct estate *s, oid model, uint32_t *out) {
    uint32_t at = 0;
    for (oid i = 0; (i = estate_next(s, "model", i)); at++)
        if (i == model) {
            *out = at;
            return 0;
        }
    return E_NOTFOUND;
}

static int fill_curves(struct world_model *m, const struct estate *s, struct err *e) {
    uint32_t at = 0;
    for (oid i = 0; (i = estate_next(s, "model", i)); at++) {
        const struct model *d = estate_get(s, i, model);
        struct curve *c = &m->curves[at];
        if (d->n_power_curve_w < 2) {
            err_set(e, E_INVAL, "model/%s has no power curve", estate_name(s, i));
            err_hint(e, "give power_curve_w at least its idle and its full-load power");
            return E_INVAL;
        }
        memcpy(c->w, d->power_curve_w, sizeof c->w);
        c->n = d->n_power_curve_w;
        c->cap_min_w = d->cap_min_w;
        c->cores = d->cores > 0 ? (double)d->cores : 1;
        for (uint32_t k = 1; k < c->n; k++)
            if (c->w[k] < c->w[k - 1])
                return err_set(e, E_INVAL, "model/%s: power_curve_w falls at point %u: a cap could not be inverted",
                               estate_name(s, i), k);
    }
    return 0;
}

static int fill_rack(struct world_model *m, const struct estate *s, oid id, uint32_t r, uint32_t *n, uint32_t *p,
                     struct err *e) {
    const struct rack *d = estate_get(s, id, rack);
    oid centre = estate_ancestor(s, id, "centre");
    if (!centre || world_thing(m, centre, THING_CENTRE, &m->r_centre[r], NULL))
        return err_set(e, E_INVAL, "rack/%s is in no centre", estate_name(s, id));
    m->r_id[r] = id;
    m->r_supply[r] = d->supply_c;
    m->r_mass[r] = d->thermal_mass_j_per_k > 0 ? d->thermal_mass_j_per_k : 300000;
    m->r_conductance[r] = d->conductance_w_per_k > 0 ? d->conductance_w_per_k : 1500;
    m->r_decay[r] = fx_exp(-STEP_S * m->r_conductance[r] / m->r_mass[r]);
    m->r_first_node[r] = *n;
    m->r_first_pdu[r] = *p;
    for (oid i = 0; (i = estate_child(s, id, "node", i)); (*n)++) {
        m->n_rack[*n] = r;
        m->n_slot[*n] = *n - m->r_first_node[r];
        m->n_id[*n] = i;
        memcpy(m->n_name[*n], estate_name(s, i), strlen(estate_name(s, i)) + 1);
        if (curve_index(s, estate_get(s, i, node)->model, &m->n_curve[*n]))
            return err_set(e, E_INVAL, "node/%s has no model", estate_name(s, i));
    }
    for (oid i = 0; (i = estate_child(s, id, "pdu", i)); (*p)++) {
        const struct pdu *u = estate_get(s, i, pdu);
        m->p_rack[*p] = r;
        m->p_id[*p] = i;
        m->p_outlets[*p] = u->outlets < 0 ? 0 : u->outlets > 48 ? 48 : (uint32_t)u->outlets;
        m->p_limit[*p] = u->limit_w;
    }
    m->r_n_nodes[r] = *n - m->r_first_node[r];
    m->r_n_pdus[r] = *p - m->r_first_pdu[r];
    if (m->r_n_pdus[r] > FEEDS_MAX)
        return err_set(e, E_LIMIT, "rack/%s has %u pdus; the world knows at most %d feeds a rack", estate_name(s, id),
                       m->r_n_pdus[r], FEEDS_MAX);
    return 0;
}

int world_compile(const struct estate *s, struct world_model **out, struct err *e) {
    struct world_model *m = zeroed(1, sizeof *m);
    m->n_centres = (uint32_t)estate_count(s, "centre");
    m->n_racks = (uint32_t)estate_count(s, "rack");
    m->n_nodes = (uint32_t)estate_count(s, "node");
    m->n_pdus = (uint32_t)estate_count(s, "pdu");
    m->n_curves = (uint32_t)estate_count(s, "model");
    model_alloc(m);
    int rc = fill_curves(m, s, e);
    uint32_t c = 0, r = 0, n = 0, p = 0;
    for (oid i = 0; !rc && (i = estate_next(s, "centre", i)); c++) {
        const struct centre *d = estate_get(s, i, centre);
        m->c_id[c] = i;
        m->c_pue[c] = d->pue_ratio >= 1 ? d->pue_ratio : 1;
        m->c_wet_mean[c] = d->wet_bulb_mean_c;
        m->c_wet_amplitude[c] = d->wet_bulb_amplitude_c;
        m->c_utc_offset_h[c] = d->grid ? estate_get(s, d->grid, grid)->utc_offset_h : 8;
        add_thing(m, s, i, THING_CENTRE, c);
    }
    index_things(m); /* racks look their centre up */
    for (oid i = 0; !rc && (i = estate_next(s, "rack", i)); r++)
        rc = fill_rack(m, s, i, r, &n, &p, e);
    if (rc) {
        world_model_free(m);
        return rc;
    }
    /* Only what hangs in a rack is part of the world. */
    m->n_nodes = n;
    m->n_pdus = p;
    for (uint32_t i = 0; i < r; i++)
        add_thing(m, s, m->r_id[i], THING_RACK, i);
    for (uint32_t i = 0; i < n; i++)
        add_thing(m, s, m->n_id[i], THING_NODE, i);
    for (uint32_t i = 0; i < p; i++)
        add_thing(m, s, m->p_id[i], THING_PDU, i);
    index_things(m);
    *out = m;
    return 0;
}
