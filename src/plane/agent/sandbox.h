/* Sandbox: what a task may not do.
 *
 *  - It sees a root of its own: the system's /usr /etc and the like, $SUAN_SHARE and the programs, all read-only, a
 *    /proc of its pid namespace, and its task folder. The agent's keys and spool are not there at all.
 *  - It has a user of its own (one a slot, from the range that systemd keeps for such), no capability, and no way to
 *    get one (no_new_privs, empty bounding set). Where the agent is not root, a user namespace gives all but the
 *    user: then the task has the agent's, and the other walls hold.
 *  - Landlock says again what the root says: reading and executing there, writing in the task folder only.
 *  - A system call filter (libseccomp, loaded once by the runner and inherited; loading costs more than a fork)
 *    refuses with EPERM what no job needs and kernels break by.
 *  - Its network is an own loopback.
 * What the machine does not offer is left out, and named in `lacks`; the agent says it in its hello. */
#ifndef SUAN_PLANE_AGENT_SANDBOX_H
#define SUAN_PLANE_AGENT_SANDBOX_H

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "plane/agent/runner.h"

enum { SANDBOX_PATHS = 24 };

struct sandbox {
    uint32_t uid;      /* 0 = ours */
    bool own_pids, own_root;
    bool new_ipc; /* each task needs an ipc namespace of its own: what one leaves cannot be removed here */
    DIR *queues;  /* POSIX message queues of the slot's; NULL = they cannot be seen */
    char tasks[RUNNER_PATH], share[RUNNER_PATH], programs[RUNNER_PATH]; /* as the task sees them */
    int landlock_abi;  /* 0 = none */
    struct {
        int fd;
        uint64_t access;
    } allowed[SANDBOX_PATHS]; /* the Landlock rules all tasks share */
    uint32_t n_allowed;
    char lacks[200];
};

/* Once, in the runner: after it entered its cgroup. Never fails: see `lacks`. */
void sandbox_open(struct sandbox *s, const struct runner_setup *setup);
void sandbox_lacks(struct sandbox *s, const char *what); /* adds to `lacks` */
void sandbox_ipc_clear(struct sandbox *s); /* after a task: its System V and POSIX ipc objects */
/* Before a task: its rules; -1 = no Landlock. The caller closes it. */
int sandbox_rules(const struct sandbox *s, const char *task_folder);
/* In the child, between clone and exec; only raw system calls, for its memory is the runner's. 0 or an errno. */
int sandbox_enter(const struct sandbox *s, int rules);

#endif
