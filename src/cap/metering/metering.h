/* Metering: sums what instruments read up the containment tree: nodes and PDUs into racks, racks into halls and
 * centres. Private to this folder.
 *
 * A watt goes one way: instrument → rack → hall → centre, where the design PUE turns IT power into facility power and
 * the grid's factor turns that into carbon. A byte that a task had fetched counts on the link between the two centres
 * for a minute after the task's start. Cost: one pass over the estate a period (about 0.1 us an object). */
#ifndef SUAN_CAP_METERING_H
#define SUAN_CAP_METERING_H

#include "core/host.h"
#include "estate/kinds.h"

struct metering_config {
    int64_t stale_us; /* a PDU reading older than this does not count */
};

/* What one object's sums became; apply() writes those that changed. */
struct sum {
    oid id;
    double power_w, carbon_g_per_h, inlet_c, used_bps;
    int64_t cores_total, cores_used;
};
struct metering_plan {
    struct sum *racks, *halls, *centres, *links;
    uint32_t n_racks, n_halls, n_centres, n_links;
};

int metering_decide(const struct view *v, struct plan *p, struct err *e);
extern const struct cap cap_metering;

#endif
