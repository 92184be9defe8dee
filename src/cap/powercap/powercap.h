/* Powercap: keeps every rack under its budget. Private to this folder.
 *
 * A rack's power is the sum of its PDUs' readings. Three marks below the budget, one margin apart, make the controller
 * calm: above the first one caps are lowered so that the rack comes to the second; only below the third are they
 * raised again, slowly, and never beyond the second even if every raised node uses all it gets. So its own releases
 * can never make it cap again: without a change of load it comes to rest.
 *
 *   budget ─ margin = high        above: lower      budget ─ 2 margin = aim       budget ─ 3 margin = low: below: raise
 *
 * Who is capped: nodes of the lowest priority first, all of one priority by the same share of what they can give; no
 * node below its firmware's least cap or its idle power. Raised in the opposite order.
 * One step a measurement: after a change it waits until every PDU was read again (the reading must be able to know).
 * A PDU that was not read for too long blinds the rack: caps are then set so that the budget holds whatever the load. */
#ifndef SUAN_CAP_POWERCAP_H
#define SUAN_CAP_POWERCAP_H

#include "base/vec.h"
#include "core/host.h"

struct powercap_config {
    double margin_ratio;      /* of the budget, between the marks */
    double trip_margin_ratio; /* kept below a PDU's own limit */
    double release_ratio;     /* of the budget, most that one step gives back */
    int64_t release_after_us; /* calm needed before a step back */
    int64_t stale_us;         /* older readings count as none */
    int64_t lease_us;         /* of each cap */
};

/* What it keeps: written in apply, read in decide. Both lists are sorted by id. */
struct cap_keep {
    oid node;
    double cap_w; /* 0 = released; the record stays until the node shows it */
    int64_t changed_us;
};
struct rack_keep {
    oid rack;
    int64_t changed_us, lowered_us;
};
struct powercap {
    const struct powercap_config *config;
    int64_t started_us;
    VEC(struct cap_keep) caps;
    VEC(struct rack_keep) racks;
};
/* The typed part of the plan: the lists as they will be, and what goes to the arbiter beside the claims. */
struct powercap_plan {
    struct cap_keep *caps;
    struct rack_keep *racks;
    oid *released, *lost; /* lost: the node shows another cap than the one it was sent */
    uint32_t n_caps, n_racks, n_released, n_lost, n_over;
};

int powercap_decide(const struct view *v, struct plan *p, struct err *e);
const struct cap_keep *powercap_kept(const struct powercap *p, oid node); /* NULL = never capped */

extern const struct cap cap_powercap;

#endif
