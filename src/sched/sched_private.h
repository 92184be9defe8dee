/* Inside the scheduler: the capacity index that policies read. Private to src/sched. */
#ifndef SUAN_SCHED_PRIVATE_H
#define SUAN_SCHED_PRIVATE_H

#include "sched/sched.h"

#define SPREAD_CNY 1e6 /* for `spread`: one task of the same job counts for more than any money */

struct slot { /* one node */
    oid node, centre;
    int64_t cores, cores_free, memory_bytes, memory_free_bytes;
    const char *family;
    double w_per_core, price_per_core_h;
};

struct centre_slots { /* its nodes are slots[first .. first + n) */
    oid centre, agent;
    uint32_t first, n;
};

struct sched {
    const struct estate *estate;
    uint64_t cursor;
    bool stale;
    struct slot *slots;
    uint32_t n_slots, cap_slots;
    uint32_t *index; /* object index -> place in slots + 1 */
    uint32_t index_cap;
    struct centre_slots centres[SCHED_CENTRES_MAX];
    uint32_t n_centres;
};

const struct slot *sched_fit(const struct sched *c, const struct centre_slots *cs, const struct sched_request *r);
void sched_offer(struct sched *c, const struct centre_slots *cs, int64_t now_us, struct offer *out);
/* One line for a person: why the best won, or why nothing was possible. */
void sched_explain(struct decision *d, uint32_t best, const struct estate *s);
void sched_explain_nowhere(struct decision *d, const struct estate *s);

#endif
