/* What the parts of the world share. Private to this folder.
 *
 * Struct of arrays, because a year of 1,600 nodes is 841 million node-minutes: a step touches only the racks' air
 * nodes and those nodes whose load is redrawn in it (each rack every LOAD_EVERY steps, staggered). Power is constant
 * between changes, so a node's energy is settled when its power changes; the rack integrates its own power on its own,
 * which makes the balance of the two a real check. */
#ifndef SUAN_WORLD_PRIVATE_H
#define SUAN_WORLD_PRIVATE_H

#include <stdlib.h>
#include <string.h>

#include "base/fx.h"
#include "base/hash.h"
#include "base/heap.h"
#include "world/world.h"

#define STEP_US ((int64_t)60000000)
#define STEP_S 60.0
/* Fixed points of the model; each is a plain number of the twin, not of any vendor. */
#define PDU_LOSS_RATIO 0.02 /* of the load: cords, meter, branch breakers */
#define HOT_C 45.0          /* rack air at which processors throttle (ASHRAE A4 upper limit) */
#define HOT_CLEAR_C 42.0
#define HOT_LOAD_RATIO 0.7

enum { LOAD_EVERY = 5, NO_RACK = -1, WORK_MAX = 100000, FEEDS_MAX = 4 };

enum thing { THING_CENTRE, THING_RACK, THING_NODE, THING_PDU };
struct thing_index {
    oid id;
    enum thing type;
    uint32_t index;
    char name[ESTATE_NAME];
};

struct curve { /* of one kind of server */
    double w[POWER_POINTS];
    uint32_t n;
    double cap_min_w, cores;
};

struct world_model {
    struct thing_index *things; /* sorted by id */
    size_t n_things;
    uint32_t *places; /* by id - first_id: where in things, + 1; 0 = not of the world */
    oid first_id;
    size_t n_places;
    uint32_t n_centres, n_racks, n_nodes, n_pdus, n_curves;
    /* centres */
    double *c_pue, *c_wet_mean, *c_wet_amplitude, *c_utc_offset_h;
    oid *c_id;
    /* racks: nodes of a rack lie together */
    uint32_t *r_centre, *r_first_node, *r_n_nodes, *r_first_pdu, *r_n_pdus;
    double *r_supply, *r_mass, *r_conductance, *r_decay;
    oid *r_id;
    /* nodes */
    uint32_t *n_rack, *n_slot; /* slot: place in the rack, so its outlet */
    uint32_t *n_curve;
    oid *n_id;
    char (*n_name)[ESTATE_NAME];
    /* PDUs */
    uint32_t *p_rack;
    uint32_t *p_outlets;
    double *p_limit;
    oid *p_id;
    struct curve *curves;
};

struct work {
    struct heap_node event;
    int64_t handle;
    uint32_t node;
    double cores, left_core_s, rate; /* rate: core seconds a second */
    int64_t since_us;
    bool lost;
    world_work_fn *fn;
    void *ctx;
    struct work *next; /* of the same node, in order of placement */
};

struct world {
    const struct world_model *m;
    int64_t now_us, start_us, step_us; /* step_us: time of the next step */
    uint64_t steps;
    uint64_t seed;
    /* nodes */
    double *n_base, *n_swing; /* of the load: mean and daily swing, drawn once */
    double *n_noise, *n_demand, *n_util, *n_power, *n_energy_j, *n_cap, *n_forced;
    int64_t *n_since;
    bool *n_on, *n_failed;
    struct rng *n_rng;
    struct work **n_work;
    /* racks */
    double *r_power, *r_air, *r_energy_j, *r_supply;
    int64_t *r_since;
    bool *r_hot, *r_cut; /* cut: nothing feeds the rack */
    /* PDUs */
    double *p_power, *p_limit;
    bool (*p_outlet)[48];
    bool *p_tripped;
    uint32_t *p_over; /* whole steps above the limit */
    /* work */
    struct heap events;
    int64_t next_handle;
    uint32_t n_works;
};

/* Index of `id` as `type`, or E_NOTFOUND. */
int world_thing(const struct world_model *m, oid id, enum thing type, uint32_t *index, struct err *e);

/* electric.c */
double curve_power_w(const struct curve *c, double load);
double curve_load(const struct curve *c, double power_w); /* highest load that keeps within */
bool node_fed(const struct world *w, uint32_t n);
/* Bring a rack's nodes to their present demand, caps and feeds; sums the rack and its PDUs. */
void rack_settle(struct world *w, uint32_t r);
void rack_load_step(struct world *w, uint32_t r);
void pdu_trip_step(struct world *w, uint32_t r);

/* thermal.c */
void rack_air_to(struct world *w, uint32_t r, int64_t to_us); /* heat and energy up to then */
double wet_bulb_c(const struct world_model *m, uint32_t centre, int64_t at_us);

/* work.c */
void work_follow(struct world *w, uint32_t n); /* the node's speed has changed */
void work_lose(struct world *w, uint32_t n);   /* the node went dark */
bool work_fire(struct world *w, struct heap_node *ev);
void work_copy(struct world *to, const struct world *from);
void work_free(struct world *w);

#endif
