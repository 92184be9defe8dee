/* Pool: a bounded number of threads for pure work, results back on the loop in the order of submission.
 *
 * A job is a function of its own memory: it sees no estate, no host, no loop and no clock; whoever submits copies in what
 * it needs (architecture: "one thread for control"). When it has run, `done` is called on the loop's thread; jobs that
 * finish out of order wait for those before them, so a run gives the same results in the same order with one thread or
 * sixteen. In a virtual loop pending work holds time (loop_hold): it takes no plant time there.
 *
 * Memory: the job's `work` belongs to the submitter until done() and again after it. Limits: `depth` jobs waiting or
 * running, above it pool_submit refuses with E_LIMIT. pool_free waits for what runs, drops what waits (done gets
 * E_CANCELLED) and calls every done(). Cost: two lock round trips and one eventfd write a burst, about 5 us a job. */
#ifndef SUAN_CORE_POOL_H
#define SUAN_CORE_POOL_H

#include <stddef.h>

#include "base/err.h"
#include "core/loop.h"

enum { POOL_THREADS_MAX = 64 };

struct pool;
typedef int pool_work_fn(void *work);            /* on a worker thread; 0 or a negative code */
typedef void pool_done_fn(void *work, int rc);   /* on the loop's thread */

/* `threads` 0 = as many as processors this process may use, less one, at least one. */
int pool_new(struct loop *loop, size_t threads, size_t depth, struct pool **out, struct err *e);
void pool_free(struct pool *p);
int pool_submit(struct pool *p, pool_work_fn *fn, pool_done_fn *done, void *work, struct err *e);
size_t pool_pending(const struct pool *p); /* submitted and not yet done() */

#endif
