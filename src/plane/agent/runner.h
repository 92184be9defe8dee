/* The words between agent and runner, and what a runner is.
 *
 * A runner is the first process of a slot: it enters the slot's cgroup and namespaces once, builds a root of its own,
 * loads the system call filter, and then runs one task after the other. It is pid 1 of its pid namespace, so killing
 * everything there is one system call without a race, and if the runner dies the kernel kills the rest.
 *
 * What each task would cost on the test machine (medians): pid namespace 45 us, mount 140, ipc 125, uts 40, net 700 and a
 * tail of 6 ms. So all belong to the slot: nothing of them outlives a task (its processes are dead, its mounts
 * impossible, the net is a loopback). System V and POSIX ipc objects do outlive processes: the runner removes them (four
 * calls when there are none); where it cannot see them all, each task gets an ipc namespace.
 * The task is made with CLONE_VM|CLONE_VFORK: no page table is copied (166 us for a fork, 60 for this).
 *
 * It outlives its agent: without a socket it goes on, keeps the log, and stops its task when the last lease it was
 * told of has passed. What ended without an agent is written to <task folder>/.end, durably, and the runner exits. A
 * new agent connects to <folder>/run/<slot> and is told what runs.
 *
 * Both ends are the same binary, or nearly: the version is compared, never guessed. Times are of the mono clock. */
#ifndef SUAN_PLANE_AGENT_RUNNER_H
#define SUAN_PLANE_AGENT_RUNNER_H

#include <stddef.h>
#include <stdint.h>

#include "device/class/executor.h"
#include "plane/agent/cgroup.h"

enum { RUNNER_VERSION = 1, RUNNER_SOCKET = 3, RUNNER_LISTEN = 4, RUNNER_PATH = 400 };
enum { RUNNER_STRINGS = TASK_ARGV * 160 + 8 * 96, LOG_BYTES_MAX = 16 << 20 };

enum runner_word {
    RUNNER_SETUP, RUNNER_RUN, RUNNER_STOP, RUNNER_LEASE, RUNNER_ACK, /* agent to runner */
    RUNNER_HELLO, RUNNER_STARTED, RUNNER_ENDED,                      /* runner to agent */
};

enum runner_end { END_EXIT, END_TIME_LIMIT, END_STOPPED, END_LEASE, END_CANNOT, END_WORDS };

struct runner_setup {
    uint32_t word, version;
    char slot[32];
    struct cgroup_set cgroups;
    char tasks[RUNNER_PATH], run[RUNNER_PATH], share[RUNNER_PATH], programs[RUNNER_PATH], centre[64];
    uint32_t uid;        /* of the tasks; 0 = ours */
    uint32_t own_root;   /* 0: share the file system and say so; for machines (and tests) without mount namespaces */
};

/* Sent short: only the used part of `strings` (argv, then env, each with its NUL). */
struct runner_run {
    uint32_t word;
    uint32_t is_function; /* its stdin, stdout and stderr come with the message */
    uint32_t has_checkpoints; /* it gets a ckpt/ */
    char task[ESTATE_NAME];
    int64_t attempt, time_limit_us, lease_until_us; /* 0 = none */
    struct cgroup_usage base;                       /* kept for the agent that hears of the end */
    uint32_t n_argv, n_env;
    char strings[RUNNER_STRINGS];
};

struct runner_stop {
    uint32_t word;
    uint32_t end;    /* enum runner_end: said again in the end */
    int64_t attempt; /* of which this is said: it may have ended meanwhile */
    int64_t grace_us;
};

struct runner_lease {
    uint32_t word;
    int64_t until_us;
};

struct runner_started {
    uint32_t word;
    int64_t attempt, at_us;
};

struct runner_ended {
    uint32_t word, version;
    char slot[32], task[ESTATE_NAME];
    int64_t attempt, started_us, ended_us;
    int32_t status; /* waitpid's */
    uint32_t end;   /* enum runner_end */
    int64_t cpu_us, rss_bytes; /* by rusage */
    struct cgroup_usage base;
    char result[512], reason[128]; /* reason: of END_CANNOT */
};

enum { RUNNER_IDLE, RUNNER_BUSY, RUNNER_OVER }; /* nothing; a task runs; one ended and was not acknowledged */
struct runner_hello {
    uint32_t word, version;
    char slot[32], task[ESTATE_NAME], lacks[200]; /* lacks: "" = confined in every way we know */
    int64_t attempt, started_us;
    struct cgroup_usage base;
    uint32_t state, is_function;
};

#endif
