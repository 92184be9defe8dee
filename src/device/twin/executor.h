/* The executor of the twin: runs tasks as work of the world (src/device/twin/executor.c). */
#ifndef SUAN_DEVICE_TWIN_EXECUTOR_H
#define SUAN_DEVICE_TWIN_EXECUTOR_H

#include "device/class/executor.h"
#include "device/twin/twin.h"

extern const struct backend_ops backend_twin_executor;

/* Agents dial in by themselves; the twin's do it here: every agent whose transport is "twin" connects. */
void twin_executors_start(struct host *h);
/* The scenario's door: cut an agent off (silence both ways, its lease goes on running), or let it back. */
int twin_executor_cut(struct host *h, oid agent, bool is_cut, struct err *e);
/* How often any attempt of `task` was begun while another one of it still ran, over all executors of the host: the
 * invariant "none runs twice" of the simulations. Must stay 0. */
uint64_t twin_executor_overlaps(const struct host *h);

#endif
