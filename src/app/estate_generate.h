/* An estate of any size, for measuring: `suan estate generate nodes=10000 seed=1`.
 * The same (nodes, seed) gives the same bytes. Places and mixture are drawn; machines are those of share/estates. Nodes,
 * PDUs and agents are of the twin: nothing is waited for. */
#ifndef SUAN_APP_ESTATE_GENERATE_H
#define SUAN_APP_ESTATE_GENERATE_H

#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

enum { GENERATE_NODES_MAX = 150000 };

/* Appends a YAML document that txn_import reads. E_INVAL when `nodes` is not 1 .. GENERATE_NODES_MAX. */
int estate_generate(int64_t nodes, uint64_t seed, struct text *out, struct err *e);

#endif
