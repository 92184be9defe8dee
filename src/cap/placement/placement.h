/* Placement: jobs and tasks from submission to their account. Private to this folder.
 *
 * A job is a graph of tasks (graph.c). A task waits for the ones it comes after, is placed by the scheduler (decide.c),
 * started on the centre's executor, followed by its reports (reconcile.c), and accounted (account.c).
 *
 * Never lost, never twice: a placement (task, attempt, agent) is committed before the executor hears of it; an executor
 * runs an attempt once; a new attempt exists only when the old one is known to be over, or its executor's lease has
 * lapsed by more than a margin. */
#ifndef SUAN_CAP_PLACEMENT_H
#define SUAN_CAP_PLACEMENT_H

#include "base/map.h"
#include "base/vec.h"
#include "core/host.h"
#include "device/class/executor.h"
#include "sched/sched.h"

struct placement_config {
    char policy[32];
    double carbon_cny_per_kg, time_cny_per_h, default_core_s;
    int64_t lease_us;        /* an agent that hears nothing for this long stops its tasks */
    int64_t lease_margin_us; /* waited on top before work is placed again */
    int64_t jobs_max, tasks_max; /* unfinished ones at once */
    int64_t tasks_kept;          /* of ended jobs */
};
extern const struct table placement_config_table;

struct known_agent {
    oid agent;
    int64_t epoch;               /* of its connection that was reconciled */
    int64_t lease_until_mono_us; /* leases are measured by the clock that no clock step moves, as the agent does */
    int64_t granted_us;          /* the longest lease it may be counting on */
    bool is_away;
    bool is_unsure;              /* something may not have reached it: compare lists again */
};

struct placement {
    struct host *host;
    const struct placement_config *config;
    struct sched *sched;
    struct decision decision; /* scratch of decide: large, so not on the stack */
    struct timer lease_timer;
    VEC(oid) ready;           /* tasks to place, in order; rebuilt at start, kept by task_ready() */
    VEC(struct known_agent) agents;
    uint64_t finished;
};

/* What decide hands to apply and act. */
struct placed {
    oid task, centre, node, agent;
    uint32_t note;            /* index of its journal note */
    char why[512];
};
struct placement_plan {
    struct placed *placed;
    uint32_t n;
    struct {
        oid task;
        const char *why;
    } *waiting;
    uint32_t n_waiting;
};

/* decide.c */
int placement_decide(const struct view *v, struct plan *p, struct err *e);
void placement_apply(struct host *h, void *state, const struct plan *p);
void placement_act(struct host *h, void *state, const struct plan *p);

/* job.c: states and the verbs job submit/cancel, task logs … */
enum { PLACEMENT_VERBS = 8 };
extern const struct verb placement_verbs[PLACEMENT_VERBS];
void task_ready(struct placement *p, oid task);
/* The attempt is over without a result: again, or failed when its retries are spent. */
void task_retry(struct placement *p, oid task, const char *why);
void task_finish(struct placement *p, oid task, int to, const char *why);
void job_follow(struct placement *p, oid job); /* move the job after one of its tasks moved */
void placement_resume(struct placement *p);    /* after a restart: rebuild what is not stored */
void task_reserve(struct estate *s, oid task);    /* its cores, of the node and of the tenant's quota */
void task_release(struct placement *p, oid task); /* give them back */

/* ended.c: what has ended is kept for a while */
void jobs_prune(struct placement *p); /* drops the jobs that ended first while more is kept than configured */
int verb_job_delete(struct call *c);

/* graph.c: a job document into objects of one transaction */
int job_build(struct placement *p, struct txn *t, const struct doc *d, const char *source, const char *user, oid *job,
              struct err *e);

/* reconcile.c: executors */
void reconcile_report(void *ctx, oid agent, const struct exec_report *r);
void reconcile_start(struct placement *p, oid task); /* send start to the task's agent */
void reconcile_stop(struct placement *p, oid task, oid agent, int64_t attempt);
void reconcile_agents(struct placement *p);
void reconcile_tick(void *ctx); /* leases: renew, lapse */
struct known_agent *agent_known(struct placement *p, oid agent);

/* account.c */
void account_task(const struct estate *s, const struct task *t, oid node, double wall_s, double cpu_s, bool cpu_measured,
                  double moved_bytes, int64_t at_us, struct account *out);
void account_add(struct account *sum, const struct account *one);

/* function.c */
int verb_function_invoke(struct call *c);
extern const struct table table_invoke_in, table_invoke_out;
void function_end(struct placement *p, const char *name); /* its job has: instances stop, calls are refused */
void function_instances(void *ctx, oid agent, const struct exec_instances *x);
void functions_gone(struct placement *p, oid agent); /* its lease has ended: it has stopped them all */
void function_redeploy(struct placement *p, oid agent); /* tell a (re)connected agent what it serves */

extern const struct cap cap_placement;

#endif
