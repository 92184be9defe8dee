/* Cgroups of an agent: one parent "suan-<name>-<hash of its folder>" a hierarchy, below it one child a slot. The hash keeps
 * two regions on one machine apart whose agents have equal names; it is the same after every restart.
 *
 * Both layouts are driven: v1 (also hybrid: one folder a controller) and v2 (one folder, controllers switched on in
 * the parents). A probe chooses: whichever offers cpu, memory and pids to us. Nothing writable = version 0, and the
 * agent says so in its hello.
 *
 * Moving a process between cgroups waits for an RCU grace period (up to 13 ms measured), so nothing is moved at a
 * start: a slot's runner enters its cgroup once, and its tasks are born there. Limits are rewritten for each task,
 * counters are read as differences. */
#ifndef SUAN_PLANE_AGENT_CGROUP_H
#define SUAN_PLANE_AGENT_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { CG_CPU = 1, CG_MEMORY = 2, CG_PIDS = 4, CG_CPUACCT = 8, CG_PATH = 256, CG_NAME = 64 };

struct cgroup_set {
    int version;       /* 0 = none usable, 1, 2 */
    uint32_t have;     /* CG_* that can be limited or read */
    char cpu[CG_PATH], cpuacct[CG_PATH], memory[CG_PATH], pids[CG_PATH]; /* parents of the slots */
};
struct cgroup_limits {
    int64_t cores, memory_bytes, pids; /* 0 = none */
};
struct cgroup_usage {
    int64_t cpu_us, memory_bytes, memory_peak_bytes, oom_kills, pids_refused;
};

void cgroup_name(const char *agent, const char *folder, char out[CG_NAME]);
/* `root` is "/sys/fs/cgroup", `own` the text of /proc/self/cgroup; both given so that a test can invent a layout. */
void cgroup_probe(struct cgroup_set *s, const char *root, const char *own, const char *name);
int cgroup_make(const struct cgroup_set *s, const char *slot, struct err *e);
int cgroup_enter(const struct cgroup_set *s, const char *slot, struct err *e); /* the calling process */
int cgroup_limit(const struct cgroup_set *s, const char *slot, const struct cgroup_limits *l, struct err *e);
void cgroup_read(const struct cgroup_set *s, const char *slot, struct cgroup_usage *u);
void cgroup_reset_peak(const struct cgroup_set *s, const char *slot);
void cgroup_kill(const struct cgroup_set *s, const char *slot); /* every process in it */
bool cgroup_remove(const struct cgroup_set *s, const char *slot); /* false: still busy */
/* For each slot folder that `keep` does not want: kill and remove. */
void cgroup_sweep(const struct cgroup_set *s, bool (*keep)(void *ctx, const char *slot), void *ctx);
/* The folder is written on the parents: so groups whose state folder is gone, and whose agent thus never comes back to
 * sweep them (a kill -9 of everything), can be told from a neighbour's. Needs the right to trusted.* attributes. */
void cgroup_mark(const struct cgroup_set *s, const char *folder);
/* Removes the parents beside ours that are marked with a folder that is not there any more. Only empty groups go. */
void cgroup_sweep_dead(const struct cgroup_set *s, bool (*is_there)(const char *folder));
void cgroup_close(const struct cgroup_set *s); /* removes the parents when empty */

#endif
