/* The one scheduler: where does this work go, and why.
 *
 * A policy is a row: a name and a pure function from (offer list, request) to a ranking. All see the same offers:
 * one per centre (its free shape, price, carbon, distance to data), made from the estate by sched_offers().
 * The answer is a decision with every candidate, its score by term, and for the refused the reason: it is journaled
 * whole and `suan explain` prints it.
 *
 * First policy, `balanced`: minimises  money + carbon price + waiting + data movement, all in CNY, so that the
 * weights are prices a person can argue about, not magic numbers:
 *   energy_kwh × price + carbon_kg × carbon_price + core_hours × core_price
 *   + moved_gb × link price + (transfer_s + queue_s) × value_of_time.
 * Ties: lower centre name. Others: `cheapest`, `greenest`, `nearest-data`, `spread`
 * (fewest tasks of the same job, then balanced). */
#ifndef SUAN_SCHED_SCHED_H
#define SUAN_SCHED_SCHED_H

#include "estate/kinds.h"

enum { SCHED_CENTRES_MAX = 256, SCHED_REFUSED_TEXT = 96 };

struct sched_request {
    oid task;                /* or 0 for what-if */
    int64_t cores, memory_bytes;
    double expected_core_s;  /* from the task's own history, or the default */
    const char *accelerator_family; /* NULL = none needed */
    const char *pin_centre;  /* NULL = free */
    const char *avoid_centre;/* NULL; where the last attempt failed */
    oid avoid_node;          /* 0; or on which node */
    const struct artifact_ref *inputs;
    uint32_t n_inputs;
    oid tenant;
    const oid *busy;         /* centres of the job's other unfinished tasks, with repeats: for `spread` */
    uint32_t n_busy;
};

struct offer {
    oid centre, node, agent; /* node: best fitting node; agent: who would run it */
    int64_t cores_free, memory_free_bytes;
    double price_per_kwh, factor_kg_per_kwh, pue_ratio, price_per_core_h, node_w_per_core;
    double queue_s;
    bool is_connected;
};

struct candidate {
    oid centre;
    double score_cny;        /* lower is better */
    double energy_cny, carbon_cny, compute_cny, data_cny, time_cny;
    double moved_bytes, transfer_s, energy_kwh, carbon_kg;
    double same_job;         /* tasks of the same job already there */
    char refused[SCHED_REFUSED_TEXT]; /* "" = possible */
};

struct decision {
    oid centre, node, agent; /* 0 = nowhere now */
    const char *policy;
    struct candidate candidates[SCHED_CENTRES_MAX];
    uint32_t n_candidates;
    char why[512];           /* one line */
};

struct sched_config {
    double carbon_cny_per_kg;    /* default 0.09: the national market's price of 2024 */
    double time_cny_per_h;       /* value of an hour of waiting */
    double default_core_s;
};

struct sched;
struct sched *sched_new(const struct estate *s); /* keeps free-capacity indexes by the change feed */
void sched_free(struct sched *c);
void sched_sync(struct sched *c);                /* catch up with the feed; O(changes) */
size_t sched_offers(struct sched *c, int64_t now_us, struct offer *out, size_t max);
/* `policy` by name; E_NOTFOUND with did-you-mean. Always fills the decision, also when nothing fits (E_UNAVAIL). */
int sched_decide(struct sched *c, const char *policy, const struct sched_config *config,
                 const struct sched_request *r, int64_t now_us, struct decision *out, struct err *e);
/* Hold capacity for placed work until the estate shows it (same cycle). */
void sched_hold(struct sched *c, oid node, int64_t cores, int64_t memory_bytes);
struct doc *decision_doc(const struct decision *d, const struct estate *s, struct arena *a);
const char *const *sched_policies(void); /* NULL-terminated */

#endif
