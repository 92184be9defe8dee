/* What the parts of the agent share. Private to this folder.
 *
 *   serve.c  the link to the controller: hello, calls in, replies and reports out        agent.c  life cycle
 *   blob.c   content by digest: local store, peers' fetches in and out, paced as the WAN
 *   task.c   attempts: accept, fetch, run, report, forget          spool.c  what is accepted, durable
 *   slot.c   runners that wait, one a slot, each in its cgroup     runner.c, sandbox.c  inside the slot
 *   folder.c  task folders come and go
 *   function.c  warm instances                                     reattach.c  after a restart */
#ifndef SUAN_PLANE_AGENT_PRIVATE_H
#define SUAN_PLANE_AGENT_PRIVATE_H

#include "core/loop.h"
#include "device/class/executor.h"
#include "plane/agent/agent.h"
#include "plane/agent/cgroup.h"

struct tasks;     /* task.c */
struct slots;     /* slot.c */
struct spool;     /* spool.c */
struct functions; /* function.c */
struct blobs;     /* blob.c */
struct folders;   /* folder.c */
struct serve;     /* serve.c */

struct agent_state {
    struct loop *loop;
    const struct agent_config *config;
    struct cgroup_set cgroups;
    struct spool *spool;
    struct slots *slots;
    struct tasks *tasks;
    struct functions *functions;
    struct blobs *blobs;
    struct folders *folders;
    struct serve *serve;
    char confined[256]; /* for the hello: "fully", or "without …"; set when the first runner stands */
};

/* -- task.c: the verbs. All on the loop's thread; `e` is filled on failure -- */
int tasks_open(struct agent_state *a, struct err *e); /* re-attaches (reattach.c) and sweeps what nobody owns */
void tasks_close(struct agent_state *a);              /* stops everything that runs */
/* rc 0 = durably accepted (or known already); E_CONFLICT = a newer attempt was seen, or this one was forgotten. fn is
 * called exactly once: at once for what needs no disk, else after the sync that many starts share. `in` may go when
 * this returns. */
typedef void started_fn(void *ctx, int rc, const struct err *e);
void task_start(struct agent_state *a, const struct exec_start *in, started_fn *fn, void *ctx);
int task_stop(struct agent_state *a, const struct exec_stop *in, struct err *e);
int task_forget(struct agent_state *a, const struct exec_task *in, struct err *e);
/* Sequence of reports by table_exec_report. */
struct doc *task_list(struct agent_state *a, struct arena *ar);
int task_logs(struct agent_state *a, const struct exec_logs *in, struct exec_log_chunk *out, struct arena *ar,
              struct err *e);
/* A new epoch's holder, or a renewal; when `lease_us` passes without a word every task and instance is stopped. */
int task_lease(struct agent_state *a, const struct exec_lease *in, struct err *e);

/* -- function.c -- */
typedef void invoked_fn(void *ctx, int rc, const struct exec_invoked *out, const struct err *e);
int functions_open(struct agent_state *a, struct err *e);
void functions_close(struct agent_state *a);
void functions_lapse(struct agent_state *a); /* the lease has: every instance is stopped, who waits is told */
int function_deploy(struct agent_state *a, const struct exec_function *in, struct err *e);
int function_retire(struct agent_state *a, const struct exec_function *in, struct err *e);
/* fn is called exactly once, later; `in` may go when this returns. */
void function_invoke(struct agent_state *a, const struct exec_invoke *in, invoked_fn *fn, void *ctx);

/* -- serve.c -- */
int serve_open(struct agent_state *a, struct err *e);
void serve_close(struct agent_state *a);
/* Event "task" to the controller when it is connected; otherwise dropped: `list` tells it after the next hello. */
void serve_report(struct agent_state *a, const struct exec_report *r);
/* Event "function"; dropped like a report, and told again when it is deployed after the next hello. */
void serve_instances(struct agent_state *a, const struct exec_instances *x);

/* -- blob.c: content under <folder>/blobs/<64 hex digits>, read-only files -- */
typedef void fetched_fn(void *ctx, int rc, double moved_bytes, const struct err *e);
int blobs_open(struct agent_state *a, struct err *e);
void blobs_close(struct agent_state *a); /* waiting fetches end with E_CANCELLED */
/* Copies a file in (the source stays; it may still be written to), fsyncs, fills digest "sha256:…" and size. */
int blob_put(struct agent_state *a, const char *path, char digest[72], int64_t *size, struct err *e);
/* Path of local content, or E_NOTFOUND. What is in use is linked (link(2)) or used within a minute: content with one
 * name only that was not asked for in the last minute may go when the quota is reached. */
int blob_path(struct agent_state *a, const char *digest, char *out, size_t size, struct err *e);
/* Makes the content local: already here, or from in->peer (digest verified, partial files resumed or dropped).
 * fn is called once, later, never inside this call; moved_bytes is 0 for what was here already. */
void blob_fetch(struct agent_state *a, const struct exec_input *in, fetched_fn *fn, void *ctx);
void blob_fetch_cancel(struct agent_state *a, void *ctx); /* fn of this ctx will not be called */
/* Our door for peers: opened at the first call, with our certificate as it is now at every call. */
int blob_listen(struct agent_state *a, struct err *e);
void blob_address(struct agent_state *a, char out[64]); /* "127.0.0.1:41017"; "" before blob_listen */

#endif
