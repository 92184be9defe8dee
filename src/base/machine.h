/* State machines as tables: states, allowed edges, and the reason an edge exists.
 * A kind names its machine; the estate refuses an edge that is not in the table, the documentation draws it. */
#ifndef SUAN_BASE_MACHINE_H
#define SUAN_BASE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/text.h"

struct edge {
    int from, to;
    const char *why; /* "agent reported the first instruction" */
};

struct machine {
    const char *name;
    const char *const *states; /* NULL-terminated; index = value of the field */
    const struct edge *edges;
    size_t nedges;
    int initial;
};

bool machine_allows(const struct machine *m, int from, int to);
/* E_STATE with "job is done; from there only: …" when the edge is missing. */
int machine_check(const struct machine *m, int from, int to, struct err *e);
void machine_draw(const struct machine *m, struct text *out); /* as a Mermaid stateDiagram */

#endif
