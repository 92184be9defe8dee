/* Class executor: what runs work in a centre. The estate object is of kind `agent`.
 * Backends: `agent` (our node agent over mutual TLS), `twin` (durations from the task's model); slurm and kubernetes
 * later behind the same verbs.
 *
 * Contract every backend keeps (conformance: test/device/conform_executor.c):
 *  - start is idempotent by (task, attempt): the same attempt is never run twice, a lower attempt than the newest seen
 *    is refused (E_CONFLICT): fencing.
 *  - start answers when the work was durably accepted. Progress comes as reports.
 *  - what ended is kept and reported again (list) until forget acknowledges it: no result is lost in a cut.
 *  - the executor holds a lease, renewed by `lease` and by no word older than the end of its link. When it lapses, the
 *    executor stops its tasks by itself, with 2 s of grace; the controller re-places only a lease and a margin (at least
 *    3 s) after the last moment at which the executor can have had a word of it, both by monotonic clocks. So no task runs twice. */
#ifndef SUAN_DEVICE_CLASS_EXECUTOR_H
#define SUAN_DEVICE_CLASS_EXECUTOR_H

#include "device/device.h"
#include "estate/kinds.h"

enum { EXEC_TEXT = 512 };

struct exec_input {
    char name[64];
    char digest[72];   /* "sha256:…"; the agent has it, or fetches it from `peer` */
    int64_t size_bytes;
    char peer[64];     /* address of the agent that has it, "" = local or share folder */
    char peer_name[64];
    double wan_bandwidth_bps, wan_delay_us; /* twin of the WAN: the fetch is paced to this; 0 = unpaced */
};

struct exec_start {
    char task[ESTATE_NAME];
    int64_t attempt;
    char argv[TASK_ARGV][160];
    uint32_t n_argv;
    char env[8][96];
    uint32_t n_env;
    struct exec_input inputs[TASK_INPUTS];
    uint32_t n_inputs;
    struct artifact_ref outputs[TASK_OUTPUTS]; /* name only: files to keep from the output folder */
    uint32_t n_outputs;
    int64_t cores, memory_bytes, time_limit_us;
    bool checkpoints;
    struct exec_input checkpoint; /* name "" = none: unpacked into ckpt/ before the start */
};

enum exec_state { EXEC_FETCHING, EXEC_RUNNING, EXEC_DONE, EXEC_FAILED, EXEC_STOPPED, EXEC_LOST };
extern const char *const exec_state_words[];

/* A report: as event "task" and in `list`. */
struct exec_report {
    char task[ESTATE_NAME];
    int64_t attempt;
    int state; /* enum exec_state */
    int64_t pid;
    int64_t exit_status;
    int64_t fetched_us, started_us, ended_us;
    double cpu_s, memory_peak_bytes, moved_bytes;
    char cpu_from[16];       /* "cgroup" or "rusage" */
    char result[512];        /* last stdout line starting with "result " (without it) */
    char reason[256];
    struct artifact_ref outputs[TASK_OUTPUTS]; /* digest, size filled */
    uint32_t n_outputs;
    char checkpoint[72];
    int64_t checkpoint_bytes;
};

struct exec_task {
    char task[ESTATE_NAME];
    int64_t attempt;
};
struct exec_stop {
    char task[ESTATE_NAME];
    int64_t attempt;
    int64_t grace_us; /* TERM, then KILL */
};
struct exec_logs {
    char task[ESTATE_NAME];
    int64_t offset_bytes, limit_bytes;
};
struct exec_log_chunk {
    struct doc *text; /* string */
    int64_t offset_bytes, size_bytes; /* of the chunk; size of the whole log */
};
struct exec_list {
    struct doc *reports; /* seq of exec_report */
};
struct exec_lease {
    int64_t epoch;
    int64_t lease_us;
};
/* Functions: instances are started on demand, one JSON line in, one JSON line out. */
struct exec_function {
    char function[ESTATE_NAME];
    char argv[TASK_ARGV][160];
    uint32_t n_argv;
    int64_t cores, memory_bytes, instances_max, idle_us, timeout_us;
};
struct exec_invoke {
    char function[ESTATE_NAME];
    struct doc *input;
};
struct exec_invoked {
    struct doc *output;
    bool cold;
    double wall_s, cpu_s;
    int64_t instances;
};

struct exec_instances {
    char function[ESTATE_NAME];
    int64_t instances;
};

/* Reports of every executor of this host, from live/agent and twin alike: one listener a host (fn NULL removes it).
 * Backends call executor_report() from the loop, never inside submit(). */
typedef void executor_report_fn(void *ctx, oid agent, const struct exec_report *r);
void executor_on_report(struct host *h, executor_report_fn *fn, void *ctx);
void executor_report(struct host *h, oid agent, const struct exec_report *r);
/* How many instances a function has: when one ended, and after each deploy. A start is told by the answer of its
 * invocation. The listener is the one of the reports, with its ctx; set it after that one. */
typedef void executor_instances_fn(void *ctx, oid agent, const struct exec_instances *i);
void executor_on_instances(struct host *h, executor_instances_fn *fn);
void executor_instances(struct host *h, oid agent, const struct exec_instances *i);

extern const struct device_class class_executor;
extern const struct table table_exec_input, table_exec_start, table_exec_report, table_exec_task, table_exec_stop, table_exec_logs,
    table_exec_log_chunk, table_exec_list, table_exec_lease, table_exec_function, table_exec_invoke, table_exec_invoked, table_exec_instances;

#endif
