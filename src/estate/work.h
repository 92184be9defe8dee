/* The nouns of work: jobs, their tasks, functions, and the account of what they spent. Part of the foundation's nouns
 * (estate/kinds.h has the places and machines); made by verbs, durable.
 *
 * A job is a graph of tasks; a task runs in attempts, of which only the newest counts. Every figure of an account says
 * where it comes from. */
#ifndef SUAN_ESTATE_WORK_H
#define SUAN_ESTATE_WORK_H

#include "estate/estate.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED };
enum task_state { TASK_WAITING, TASK_READY, TASK_PLACED, TASK_RUNNING, TASK_DONE, TASK_FAILED, TASK_CANCELLED };
enum job_type { JOB_BATCH, JOB_FUNCTION, JOB_TRAIN };
enum figure_source { FIGURE_NONE, FIGURE_DEFAULT, FIGURE_MODELLED, FIGURE_MEASURED };
extern const char *const figure_words[];

/* What was spent; every figure says where it comes from. */
struct account {
    double wall_s, cpu_s;
    int cpu_source;
    double energy_kwh;
    int energy_source;
    double carbon_kg;
    int carbon_source;
    double cost_cny;
    int cost_source;
    double moved_bytes; /* between centres */
};

struct job {
    int type;               /* enum job_type */
    oid tenant;
    char user[48];
    int64_t priority;
    int64_t retries_max;
    char policy[32];         /* scheduling policy by name; "" = the capability's */
    int64_t invocations_target; /* function jobs: done after this many invocations; 0 = runs until cancelled */
    int64_t submitted_us;
    /* state */
    int state;
    int64_t started_us, ended_us;
    int64_t tasks, tasks_done, tasks_failed;
    struct account account;
    char result[512];        /* one line for a person, as JSON: what the last task printed as its result */
    char reason[192];        /* why it waits, failed, was cancelled */
};

enum { TASK_ARGV = 16, TASK_AFTER = 64, TASK_INPUTS = 64, TASK_OUTPUTS = 8 };
struct artifact_ref {
    char name[64];           /* file name in the task's input folder */
    oid task;                /* producer; 0 = from the share folder of the job */
    char digest[72];         /* "sha256:…", once known */
    int64_t size_bytes;
    oid centre;              /* where it lies */
};
struct task {
    char argv[TASK_ARGV][160];
    uint32_t n_argv;
    char env[8][96];
    uint32_t n_env;
    oid after[TASK_AFTER];
    uint32_t n_after;
    struct artifact_ref inputs[TASK_INPUTS];
    uint32_t n_inputs;
    struct artifact_ref outputs[TASK_OUTPUTS];
    uint32_t n_outputs;
    int64_t cores;
    int64_t memory_bytes;
    int64_t time_limit_us;
    bool checkpoints;        /* keeps ckpt/ across attempts and centres */
    char pin_centre[ESTATE_NAME]; /* "" = free */
    /* state */
    int state;
    int64_t attempt;         /* fencing: an agent acts on the newest only */
    int64_t failures;        /* attempts that ended by the task's own fault */
    oid centre, node, agent;
    int64_t placed_us, started_us, ended_us;
    int64_t exit_status;     /* as waitpid gives it */
    char checkpoint[72];     /* digest of the last saved checkpoint */
    int64_t checkpoint_bytes;
    oid checkpoint_centre;
    struct account account;
    char result[512];
    char reason[256];
    char why[512];           /* of the placement, one line */
    int64_t decision;        /* journal sequence of the placement: suan explain */
};

struct function {
    char argv[TASK_ARGV][160];
    uint32_t n_argv;
    oid tenant;
    int64_t cores;           /* a warm instance */
    int64_t memory_bytes;
    int64_t instances_max;
    int64_t idle_us;         /* an instance idle for this long stops */
    int64_t timeout_us;      /* of one invocation */
    /* state */
    int state;               /* function_states */
    oid centre;
    int64_t instances;
    int64_t invocations, failures, cold_starts;
    struct account account;
    char why[512];
    int64_t decision;
};

#endif
