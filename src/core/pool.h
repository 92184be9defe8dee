/* Worker pool: bounded threads for pure jobs on copied data; results come back on the loop, in submit order, so
 * that the outcome does not depend on which worker was faster. In a virtual loop submission holds time (loop_hold)
 * until the job has ended. */
#ifndef SUAN_CORE_POOL_H
#define SUAN_CORE_POOL_H

#include "base/err.h"

struct loop;
struct pool;
int pool_new(struct loop *l, int workers, int queue_max, struct pool **out, struct err *e);
void pool_free(struct pool *p); /* waits for what runs */
/* E_LIMIT when the queue is full. `work` runs on a worker; `done` on the loop. */
int pool_submit(struct pool *p, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx, struct err *e);

#endif
