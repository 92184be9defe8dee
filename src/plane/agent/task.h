/* Attempts: what task.c and reattach.c share.
 *
 *   accepted (START in the spool, synced) ─► fetch inputs ─► wait for a slot ─► LAUNCH in the spool ─► runs
 *     ─► ended: outputs taken in, END in the spool, synced ─► reported ─► forgotten (FORGET in the spool)
 *
 * One struct an attempt. A higher attempt of the same task takes its place in the table at once; it waits (`behind`)
 * until the old one is dead, since both use the same folder. LAUNCH is written, not synced: it must survive us, not
 * the machine, for after a reboot nothing that was accepted is run again (it is reported lost).
 *
 * Fencing survives forget: the newest attempt of the last FENCES forgotten tasks is remembered (and kept in the
 * spool); an attempt of these that is not higher is refused. A controller that forgets and then starts an old attempt
 * more than FENCES tasks later has broken its own lease long ago. */
#ifndef SUAN_PLANE_AGENT_TASK_H
#define SUAN_PLANE_AGENT_TASK_H

#include "base/map.h"
#include "base/vec.h"
#include "plane/agent/private.h"
#include "plane/agent/slot.h"
#include "plane/agent/spool.h"

enum { FENCES = 65536 };

enum task_phase { TASK_ACCEPT, TASK_FETCH, TASK_WAIT, TASK_RUN, TASK_END, TASK_OVER };

struct attempt {
    struct agent_state *a;
    char name[ESTATE_NAME];
    int64_t attempt;
    enum task_phase phase;
    bool is_accepted, was_launched, is_superseded;
    struct exec_start *start; /* until it has ended */
    struct exec_report report;
    struct attempt *behind, *heir; /* the older attempt we wait for; the newer one that waits for us */
    VEC(struct started_wait { started_fn *fn; void *ctx; }) waiting;
    uint32_t n_fetching;
    struct slot *slot;
    struct slot_wait slot_wait;
    struct cgroup_usage base;
    struct runner_ended *ended; /* while its end is not yet in the spool */
    struct timer retry;
    uint64_t checkpoint_seen; /* of the file that was last taken in */
    bool stop_asked;
    char stop_reason[96];
};

struct fence {
    char name[ESTATE_NAME];
    int64_t attempt; /* 0 = free */
};

struct tasks {
    struct map by_name; /* newest attempt of each */
    struct fence *fences; /* a ring */
    struct map fenced;  /* name -> index of the ring */
    size_t fence_next;
    VEC(struct attempt *) old; /* superseded and not yet dead */
    int64_t epoch, lease_us, lease_until_us, lease_told_us; /* mono */
    bool has_lapsed, is_closing;
    struct timer lease, checkpoints;
    int64_t rewrite_bytes; /* the spool is rewritten when it is longer */
    int64_t kept_tasks, kept_bytes; /* logs of forgotten tasks, in the newer generation */
};

extern const struct slot_owner task_owner;

struct attempt *task_new(struct agent_state *a, const char *name, int64_t attempt);
void task_free(struct attempt *t); /* out of the table too */
void task_begin(struct attempt *t); /* fetch, wait, run: once it is accepted and the older attempt is dead */
void task_fenced(struct tasks *ts, const char *name, int64_t attempt);
/* Ends it without a process: sets state and reason, writes END. */
void task_over(struct attempt *t, int state, const char *reason);
/* The runner's word about its end; the slot may be gone already (NULL). */
void task_ended(struct attempt *t, const struct runner_ended *m, const struct cgroup_usage *usage);

/* folder.c */
int folders_open(struct agent_state *a, struct err *e);
void folders_close(struct agent_state *a);
void task_folder(const struct agent_state *a, const char *name, char *out, size_t size);
int folder_new(struct agent_state *a, const char *path);   /* as mkdir: 0, or -1 and errno */
void folder_drop(struct agent_state *a, const char *path); /* gone when this returns; its contents are removed later */
void folder_remove(const char *path);                      /* now, whatever it holds */

/* log_kept.c: a log outlives forget */
void log_keep(struct agent_state *a, const char *task); /* moved out of the task's folder */
bool log_find(const struct agent_state *a, const char *task, char *path, size_t size);

/* reattach.c */
int tasks_replay(struct agent_state *a, struct err *e); /* opens the spool */
void tasks_reattach(struct agent_state *a);
int tasks_rewrite(struct agent_state *a, struct err *e);

#endif
