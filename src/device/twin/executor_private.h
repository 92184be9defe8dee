/* What the two parts of the twin's executor share: tasks (executor.c) and functions (executor_function.c). */
#ifndef SUAN_DEVICE_TWIN_EXECUTOR_PRIVATE_H
#define SUAN_DEVICE_TWIN_EXECUTOR_PRIVATE_H

#include "base/map.h"
#include "device/twin/executor.h"

enum { LATENCY_US = 2000 };
#define TAIL_US 1000.0

struct run;
struct ask;
struct deployed;
struct executor {
    struct backend b;
    struct rng rng;
    struct run *runs; /* in order of acceptance */
    uint32_t n_runs, n_asks;
    struct map seen;
    struct ask *asks;
    struct deployed *functions;
    struct timer lease;
    int64_t lease_us, epoch, last_us;
    uint64_t overlaps;
    bool is_cut;
    struct executor *next;
};

int executor_deploy(struct executor *x, const struct exec_function *in, struct err *e);
void executor_retire(struct executor *x, const char *function);
/* Ends with device_finish, later or at once. */
void executor_invoke(struct executor *x, struct device_request *q);
void executor_invoke_cancel(struct executor *x, struct device_request *q);
void executor_functions_stop(struct executor *x); /* instances and calls; the functions stay deployed */
void executor_functions_free(struct executor *x);

#endif
