/* World: the twin's physics and events. It knows nothing of controllers, devices or capabilities.
 *
 * A const model compiled from the estate (struct world_model: plain arrays, ids by object order) and a mutable state
 * that can be copied (struct world: checkpoint, fork, hash). Time moves only by world_advance; between events the
 * continuous part goes in fixed steps (60 s by default), events fire at their exact microsecond from one heap.
 *
 * Electrical: node power = model's curve at its load, limited by the cap (capping slows work down: the load follows
 *   the highest point of the curve that the cap allows); rack = nodes + PDU loss; centre = racks × PUE.
 * Thermal: one air node a rack, C dT/dt = P − G (T − T_supply), solved exactly over a step (exponential, base/fx.h):
 *   stable for any step. References: lumped capacitance, Incropera 7e, ch. 5.
 * Work: a seeded load process per node (diurnal + Ornstein-Uhlenbeck), or the tasks that the twin executor places.
 * Weather: yearly and daily sine of the centre's wet bulb.
 *
 * Deterministic: fixed iteration order, base/fx.h mathematics, named random streams: the same state hash from gcc
 * and clang. Cost: 100 racks × 16 nodes × one year of minutes in under 60 s on one core (bench/run world-year).
 * Scenarios move the world through world_poke only. */
#ifndef SUAN_WORLD_WORLD_H
#define SUAN_WORLD_WORLD_H

#include "base/rng.h"
#include "estate/kinds.h"

struct world_model;
struct world;

int world_compile(const struct estate *s, struct world_model **out, struct err *e);
void world_model_free(struct world_model *m);
struct world *world_new(const struct world_model *m, uint64_t seed, int64_t start_us);
struct world *world_copy(const struct world *w);
void world_free(struct world *w);
uint64_t world_hash(const struct world *w);
int64_t world_now_us(const struct world *w);
void world_advance(struct world *w, int64_t to_us);
/* Time of the next discrete event or step that an observer could see; the daemon sets its timer by it. */
int64_t world_next_us(const struct world *w);

/* -- what instruments can see: true values; quantisation, noise and delay are the device twin's -- */
struct world_node { double power_w, utilisation_ratio, temperature_c, cap_w; bool on, fed; }; /* fed: power reaches it */
struct world_pdu { double power_w, limit_w; bool outlet_on[48]; uint32_t n_outlet_on; bool tripped, fed; };
int world_node(const struct world *w, oid id, struct world_node *out, struct err *e);
bool world_node_fed(const struct world *w, oid id); /* false too when there is no such node */
int world_pdu(const struct world *w, oid id, struct world_pdu *out, struct err *e);
double world_rack_inlet_c(const struct world *w, oid rack);
double world_energy_kwh(const struct world *w, oid id); /* node, rack or centre, since start */
double world_wet_bulb_c(const struct world *w, oid centre);
/* Sum of node energies against rack energies, relative: must stay at rounding error. */
double world_energy_residual_ratio(const struct world *w);

/* -- what actuators do (device/twin calls these) -- */
int world_set_cap(struct world *w, oid node, double cap_w, struct err *e);
int world_set_on(struct world *w, oid node, bool on, struct err *e);
int world_set_outlet(struct world *w, oid pdu, int64_t outlet, bool on, struct err *e);
int world_set_pdu_limit(struct world *w, oid pdu, double limit_w, struct err *e);
/* Work placed on a node by the twin executor: `work_core_s` of CPU work on `cores`; fires done(ctx) when finished.
 * Capped or hot nodes take longer. Returns a handle > 0. */
typedef void world_work_fn(void *ctx, int64_t handle, bool finished);
int64_t world_work(struct world *w, oid node, double cores, double work_core_s, world_work_fn *fn, void *ctx);
void world_work_stop(struct world *w, int64_t handle);

/* -- the scenario's door -- "load node/n1 0.9", "trip pdu/p1", "fail node/n3", "repair node/n3", "supply rack/r1 30", "cut rack/r1", "feed rack/r1" */
int world_poke(struct world *w, const char *command, struct err *e);

#endif
