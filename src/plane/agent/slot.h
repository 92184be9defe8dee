/* Slots: runners, each in its cgroup, waiting for work or doing it.
 *
 * `warm` of them wait ready; more are started while work waits, up to `most`: at once below two a processor, above
 * that only when for 50 ms no slot came free (short tasks then share what is there; long ones get new slots). Idle
 * ones above `warm` end after ten seconds. One owner a slot while it is taken: a task or a function's instance. */
#ifndef SUAN_PLANE_AGENT_SLOT_H
#define SUAN_PLANE_AGENT_SLOT_H

#include "plane/agent/private.h"
#include "plane/agent/runner.h"

struct slot;
struct slot_owner {
    void (*started)(void *ctx, const struct runner_started *m);
    void (*ended)(void *ctx, const struct runner_ended *m); /* then slot_done, when that is safe */
    void (*died)(void *ctx);                                /* the runner itself; the slot is no more */
};
/* One that waits for a slot. The struct is the caller's and must not move while it waits. */
struct slot_wait {
    void (*fn)(void *ctx, struct slot *s);
    void *ctx;
    struct slot_wait *next, **at;
};

int slots_open(struct agent_state *a, struct err *e);
void slots_close(struct agent_state *a); /* kills and removes all */
void slot_wait(struct agent_state *a, struct slot_wait *w, void (*fn)(void *, struct slot *), void *ctx);
void slot_wait_cancel(struct agent_state *a, struct slot_wait *w); /* harmless when it does not wait */
void slot_own(struct slot *s, const struct slot_owner *owner, void *ctx);

/* run->word, base are filled here; fds: NULL or stdin, stdout, stderr (they stay the caller's). */
int slot_run(struct slot *s, struct runner_run *run, const struct cgroup_limits *limits, const int fds[3],
             struct err *e);
void slot_stop(struct slot *s, int64_t attempt, enum runner_end end, int64_t grace_us);
void slot_lease(struct agent_state *a, int64_t until_us); /* to all that run */
void slot_done(struct slot *s); /* the end is safe: the runner may forget it; the slot is free again */
void slot_kill(struct slot *s); /* the runner too; no callback follows */
/* Counters now, less `base`; the peak is of this run. */
void slot_usage(struct slot *s, const struct cgroup_usage *base, struct cgroup_usage *out);
pid_t slot_task_pid(const struct slot *s); /* the task's, as seen from here; the runner's if that cannot be told */
const char *slot_name(const struct slot *s);

/* For reattach.c: take over the runner behind <folder>/run/<name>; NULL = it is dead (or of another version: killed). */
struct slot *slot_adopt(struct agent_state *a, const char *name, struct runner_hello *h);
void slots_sweep(struct agent_state *a); /* cgroups of no slot of ours */
void slots_warm(struct agent_state *a);  /* start what should wait */
#endif
