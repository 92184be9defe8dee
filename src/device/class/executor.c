#include "device/class/executor.h"

#include <stdlib.h>

const char *const exec_state_words[] = {"fetching", "running", "done", "failed", "stopped", "lost", NULL};

#define S struct exec_input
static const struct field exec_input_fields[] = {
    FIELD_TEXT(S, name, .doc = "File name in the task's input folder."),
    FIELD_TEXT(S, digest, .doc = "Content, as sha256:hex."),
    FIELD_INT(S, size_bytes, .unit = "B", .doc = "Size of the content."),
    FIELD_TEXT(S, peer, .doc = "Address of the agent that has it; empty is local or the share folder."),
    FIELD_TEXT(S, peer_name, .doc = "Name the peer's certificate must show."),
    FIELD_REAL(S, wan_bandwidth_bps, .unit = "bit/s", .doc = "Pace of the fetch; 0 is unpaced."),
    FIELD_REAL(S, wan_delay_us, .unit = "us", .doc = "Delay added to the fetch."),
};
#undef S
const struct table table_exec_input = TABLE(exec_input, exec_input_fields, "One input of a task.");

#define S struct artifact_ref
static const struct field exec_output_fields[] = {
    FIELD_TEXT(S, name, .doc = "File name in the task's output folder."),
    FIELD_TEXT(S, digest, .doc = "Content, as sha256:hex; empty until known."),
    FIELD_INT(S, size_bytes, .unit = "B", .doc = "Size of the content."),
};
#undef S
/* Over the link an output has no object references: the two sides share names and digests, not ids. */
static const struct table table_exec_output = TABLE(artifact_ref, exec_output_fields, "One output of a task.");

#define S struct exec_start
static const struct field exec_start_fields[] = {
    FIELD_TEXT(S, task, .flags = F_REQUIRED, .doc = "Task name."),
    FIELD_INT(S, attempt, .min = 1, .max = 1e9, .flags = F_REQUIRED, .doc = "Attempt; an older one is refused."),
    FIELD_ARRAY(S, argv, FIELD_TEXT, char[160], .doc = "Program and arguments."),
    FIELD_ARRAY(S, env, FIELD_TEXT, char[96], .doc = "Environment, NAME=VALUE."),
    FIELD_ARRAY(S, inputs, FIELD_GROUP, struct exec_input, .group = &table_exec_input, .doc = "Files to lay out."),
    FIELD_ARRAY(S, outputs, FIELD_GROUP, struct artifact_ref, .group = &table_exec_output, .doc = "Files to keep."),
    FIELD_INT(S, cores, .min = 1, .max = 100000, .dflt = "1", .doc = "Processor cores."),
    FIELD_INT(S, memory_bytes, .unit = "B", .doc = "Memory limit; 0 is none."),
    FIELD_SPAN(S, time_limit_us, .unit = "us", .doc = "Time after which the task is stopped; 0 is none."),
    FIELD_BOOL(S, checkpoints, .doc = "Keep the checkpoint folder across attempts."),
    FIELD_GROUP(S, checkpoint, struct exec_input, .group = &table_exec_input,
                .doc = "Checkpoint to unpack before the start; an empty name is none."),
};
#undef S
const struct table table_exec_start = TABLE(exec_start, exec_start_fields, "Start one attempt of a task.");

#define S struct exec_report
static const struct field exec_report_fields[] = {
    FIELD_TEXT(S, task, .flags = F_REQUIRED, .doc = "Task name."),
    FIELD_INT(S, attempt, .flags = F_REQUIRED, .doc = "Attempt."),
    FIELD_ENUM(S, state, .words = exec_state_words, .doc = "What it does now, or how it ended."),
    FIELD_INT(S, pid, .doc = "Process id on the executor; 0 is none."),
    FIELD_INT(S, exit_status, .doc = "As waitpid gives it."),
    FIELD_TIME(S, fetched_us, .doc = "When the inputs were there."),
    FIELD_TIME(S, started_us, .doc = "When the first instruction ran."),
    FIELD_TIME(S, ended_us, .doc = "When it ended."),
    FIELD_REAL(S, cpu_s, .unit = "s", .doc = "CPU time used."),
    FIELD_REAL(S, memory_peak_bytes, .unit = "B", .doc = "Most memory used at once."),
    FIELD_REAL(S, moved_bytes, .unit = "B", .doc = "Bytes fetched from other centres."),
    FIELD_TEXT(S, cpu_from, .doc = "Where cpu_s comes from."),
    FIELD_TEXT(S, result, .doc = "Last line of output that begins with \"result \"."),
    FIELD_TEXT(S, reason, .doc = "Why it ended as it did."),
    FIELD_ARRAY(S, outputs, FIELD_GROUP, struct artifact_ref, .group = &table_exec_output, .doc = "Files it left."),
    FIELD_TEXT(S, checkpoint, .doc = "Digest of the last checkpoint."),
    FIELD_INT(S, checkpoint_bytes, .unit = "B", .doc = "Size of the last checkpoint."),
};
#undef S
const struct table table_exec_report = TABLE(exec_report, exec_report_fields, "What an executor says of one attempt.");

#define S struct exec_task
static const struct field exec_task_fields[] = {
    FIELD_TEXT(S, task, .flags = F_REQUIRED, .doc = "Task name."),
    FIELD_INT(S, attempt, .doc = "Attempt."),
};
#undef S
const struct table table_exec_task = TABLE(exec_task, exec_task_fields, "One attempt of a task.");

#define S struct exec_stop
static const struct field exec_stop_fields[] = {
    FIELD_TEXT(S, task, .flags = F_REQUIRED, .doc = "Task name."),
    FIELD_INT(S, attempt, .doc = "Attempt."),
    FIELD_SPAN(S, grace_us, .unit = "us", .dflt = "5s", .doc = "Time between TERM and KILL."),
};
#undef S
const struct table table_exec_stop = TABLE(exec_stop, exec_stop_fields, "Stop one attempt of a task.");

#define S struct exec_logs
static const struct field exec_logs_fields[] = {
    FIELD_TEXT(S, task, .flags = F_REQUIRED, .doc = "Task name."),
    FIELD_INT(S, offset_bytes, .unit = "B", .doc = "Where to begin."),
    FIELD_INT(S, limit_bytes, .unit = "B", .min = 0, .max = 1048576, .dflt = "65536", .doc = "Most to return."),
};
#undef S
const struct table table_exec_logs = TABLE(exec_logs, exec_logs_fields, "Read a part of a task's log.");

#define S struct exec_log_chunk
static const struct field exec_log_chunk_fields[] = {
    FIELD_DOC(S, text, .doc = "The text."),
    FIELD_INT(S, offset_bytes, .unit = "B", .doc = "Where it begins."),
    FIELD_INT(S, size_bytes, .unit = "B", .doc = "Size of the whole log."),
};
#undef S
const struct table table_exec_log_chunk = TABLE(exec_log_chunk, exec_log_chunk_fields, "A part of a task's log.");

#define S struct exec_list
static const struct field exec_list_fields[] = {
    FIELD_DOC(S, reports, .doc = "Sequence of reports."),
};
#undef S
const struct table table_exec_list = TABLE(exec_list, exec_list_fields, "What an executor runs or has not forgotten.");

#define S struct exec_lease
static const struct field exec_lease_fields[] = {
    FIELD_INT(S, epoch, .doc = "Grows with each new lease holder."),
    FIELD_SPAN(S, lease_us, .unit = "us", .doc = "How long the executor goes on without a word."),
};
#undef S
const struct table table_exec_lease = TABLE(exec_lease, exec_lease_fields, "Renew the lease of an executor.");

#define S struct exec_function
static const struct field exec_function_fields[] = {
    FIELD_TEXT(S, function, .flags = F_REQUIRED, .doc = "Function name."),
    FIELD_ARRAY(S, argv, FIELD_TEXT, char[160], .doc = "Program and arguments."),
    FIELD_INT(S, cores, .dflt = "1", .doc = "Cores of one instance."),
    FIELD_INT(S, memory_bytes, .unit = "B", .doc = "Memory limit of one instance; 0 is none."),
    FIELD_INT(S, instances_max, .dflt = "4", .doc = "Most instances at once."),
    FIELD_SPAN(S, idle_us, .unit = "us", .dflt = "30s", .doc = "An instance idle for this long stops."),
    FIELD_SPAN(S, timeout_us, .unit = "us", .dflt = "10s", .doc = "Longest invocation."),
};
#undef S
const struct table table_exec_function = TABLE(exec_function, exec_function_fields, "Deploy a function.");

#define S struct exec_invoke
static const struct field exec_invoke_fields[] = {
    FIELD_TEXT(S, function, .flags = F_REQUIRED, .doc = "Function name."),
    FIELD_DOC(S, input, .doc = "Input, any shape."),
};
#undef S
const struct table table_exec_invoke = TABLE(exec_invoke, exec_invoke_fields, "Invoke a function.");

#define S struct exec_invoked
static const struct field exec_invoked_fields[] = {
    FIELD_DOC(S, output, .doc = "Output, any shape."),
    FIELD_BOOL(S, cold, .doc = "An instance was started for it."),
    FIELD_REAL(S, wall_s, .unit = "s", .doc = "Time in the instance."),
    FIELD_REAL(S, cpu_s, .unit = "s", .doc = "CPU time of the invocation."),
    FIELD_INT(S, instances, .doc = "Instances now."),
};
#undef S
const struct table table_exec_invoked = TABLE(exec_invoked, exec_invoked_fields, "Answer of a function.");

#define S struct exec_instances
static const struct field exec_instances_fields[] = {
    FIELD_TEXT(S, function, .flags = F_REQUIRED, .doc = "Function name."),
    FIELD_INT(S, instances, .doc = "Instances now."),
};
#undef S
const struct table table_exec_instances = TABLE(exec_instances, exec_instances_fields, "How many instances a function has.");

#define ROW(NAME, IN, OUT, ROLE, FLAGS, TIMEOUT, DOC)                                                                  \
    { .name = NAME, .on = "agent", .on_object = true, .in = IN, .out = OUT, .role = ROLE, .flags = FLAGS,              \
      .timeout_us = TIMEOUT, .doc = DOC, .example = "agent " NAME " zjk" }
static const struct verb executor_verbs[] = {
    ROW("start", &table_exec_start, NULL, ROLE_ADMIN, VERB_IDEMPOTENT, 30000000, "Accept one attempt of a task."),
    ROW("stop", &table_exec_stop, NULL, ROLE_ADMIN, VERB_IDEMPOTENT, 30000000, "Stop one attempt of a task."),
    ROW("list", NULL, &table_exec_list, ROLE_VIEWER, VERB_READ, 30000000, "Every attempt it has not forgotten."),
    ROW("forget", &table_exec_task, NULL, ROLE_ADMIN, VERB_IDEMPOTENT, 30000000, "Acknowledge what has ended."),
    ROW("logs", &table_exec_logs, &table_exec_log_chunk, ROLE_VIEWER, VERB_READ, 10000000, "Read a part of a log."),
    ROW("lease", &table_exec_lease, NULL, ROLE_ADMIN, VERB_IDEMPOTENT, 10000000, "Renew the lease."),
    ROW("fetch", &table_exec_input, NULL, ROLE_ADMIN, VERB_IDEMPOTENT | VERB_SLOW, 600000000,
        "Make this content local: for replicas of checkpoints."),
    ROW("deploy", &table_exec_function, NULL, ROLE_ADMIN, VERB_IDEMPOTENT, 10000000, "Deploy a function."),
    ROW("retire", &table_exec_function, NULL, ROLE_ADMIN, VERB_IDEMPOTENT, 10000000, "Stop all of a function."),
    ROW("invoke", &table_exec_invoke, &table_exec_invoked, ROLE_OPERATOR, VERB_QUIET, 60000000, "Invoke a function."),
};
#undef ROW

const struct device_class class_executor = {
    .name = "executor",
    .kind = "agent",
    .verbs = executor_verbs,
    .nverbs = sizeof executor_verbs / sizeof executor_verbs[0],
    .doc = "What runs work in a centre: our agent, or the twin's.",
};

/* One listener a host; a small list because tests open several hosts in one process. */
enum { REPORT_HOSTS_MAX = 16 };
static struct report_listener {
    struct host *host;
    executor_report_fn *fn;
    executor_instances_fn *instances;
    void *ctx;
} report_listeners[REPORT_HOSTS_MAX];

void executor_on_report(struct host *h, executor_report_fn *fn, void *ctx) {
    struct report_listener *hole = NULL;
    for (size_t i = 0; i < REPORT_HOSTS_MAX; i++) {
        struct report_listener *l = &report_listeners[i];
        if (l->host == h) {
            *l = fn ? (struct report_listener){h, fn, NULL, ctx} : (struct report_listener){0};
            return;
        }
        if (!l->host && !hole)
            hole = l;
    }
    if (!fn)
        return;
    if (!hole)
        abort(); /* a limit of this process, not of any input */
    *hole = (struct report_listener){h, fn, NULL, ctx};
}

void executor_report(struct host *h, oid agent, const struct exec_report *r) {
    for (size_t i = 0; i < REPORT_HOSTS_MAX; i++)
        if (report_listeners[i].host == h)
            report_listeners[i].fn(report_listeners[i].ctx, agent, r);
}

void executor_on_instances(struct host *h, executor_instances_fn *fn) {
    for (size_t i = 0; i < REPORT_HOSTS_MAX; i++)
        if (report_listeners[i].host == h)
            report_listeners[i].instances = fn;
}

void executor_instances(struct host *h, oid agent, const struct exec_instances *x) {
    for (size_t i = 0; i < REPORT_HOSTS_MAX; i++)
        if (report_listeners[i].host == h && report_listeners[i].instances)
            report_listeners[i].instances(report_listeners[i].ctx, agent, x);
}
