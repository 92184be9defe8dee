/* The agent's life: its folder, its lock, its parts in order, its end. */
#include "plane/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "plane/agent/private.h"

static long pid_in(int fd) {
    char text[24] = {0};
    return pread(fd, text, sizeof text - 1, 0) > 0 ? strtol(text, NULL, 10) : 0;
}

/* One agent a folder: two would run the same spool. The lock goes with the process, however it ends; runners do not
 * inherit it (close-on-exec), so the next agent gets in while they live on. */
static int folder_lock(const char *folder, int *out, struct err *e) {
    char path[512], pid[24];
    if (mkdir(folder, 0700) && errno != EEXIST)
        return err_errno(e, errno, "cannot make the agent's folder %s", folder);
    if (snprintf(path, sizeof path, "%s/lock", folder) >= (int)sizeof path)
        return err_set(e, E_LIMIT, "the agent's folder has a path longer than %zu bytes", sizeof path - 8);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(e, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int rc = errno == EWOULDBLOCK
                     ? err_set(e, E_CONFLICT, "another agent (process %ld) works in %s", pid_in(fd), folder)
                     : err_errno(e, errno, "cannot lock %s", path);
        err_hint(e, "stop that process first, or give this agent a folder of its own");
        close(fd);
        return rc;
    }
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n) {
        int rc = err_errno(e, errno, "cannot write %s", path);
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

/* A folder that stands may get its agent back, which sweeps its own groups. */
static bool is_there(const char *folder) { return !access(folder, F_OK) || (errno != ENOENT && errno != ENOTDIR); }

static void own_cgroup(char *text, size_t size) {
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);
    text[n > 0 ? n : 0] = 0;
    if (fd >= 0)
        close(fd);
}

static void cgroups_open(struct agent_state *a) {
    char own[4096], name[CG_NAME];
    own_cgroup(own, sizeof own);
    cgroup_name(a->config->name, a->config->folder, name);
    cgroup_probe(&a->cgroups, "/sys/fs/cgroup", own, name);
    cgroup_mark(&a->cgroups, a->config->folder);
    cgroup_sweep_dead(&a->cgroups, is_there);
}

static void on_signal(void *ctx, int signo) {
    struct agent_state *a = ctx;
    log_info("agent", "got %s: stopping", strsignal(signo));
    loop_stop(a->loop);
}

static int parts_open(struct agent_state *a, struct err *e) {
    int rc = blobs_open(a, e);
    if (!rc)
        rc = tasks_open(a, e);
    if (!rc)
        rc = functions_open(a, e);
    /* The link last: who can ask finds everything there. */
    return rc ? rc : serve_open(a, e);
}

/* Each close is harmless for a part that was not opened. */
static void parts_close(struct agent_state *a) {
    serve_close(a);
    functions_close(a);
    tasks_close(a);
    blobs_close(a);
}

int agent_run(const struct agent_config *config, struct err *e) {
    struct agent_state a = {.config = config};
    int lock = -1;
    int rc = folder_lock(config->folder, &lock, e);
    if (rc)
        return rc;
    a.loop = loop_new(LOOP_REAL, 0);
    signal(SIGPIPE, SIG_IGN);
    rc = loop_signal(a.loop, SIGTERM, on_signal, &a);
    if (!rc)
        rc = loop_signal(a.loop, SIGINT, on_signal, &a);
    if (rc)
        err_set(e, rc, "cannot listen for signals");
    else {
        cgroups_open(&a); /* from here a signal ends the loop, and what was made is taken away again */
        rc = parts_open(&a, e);
    }
    if (!rc) {
        log_info("agent", "ready in %s, cgroups version %d", config->folder, a.cgroups.version);
        loop_run(a.loop);
    }
    parts_close(&a);
    while (loop_run_deferred(a.loop))
        ;
    cgroup_close(&a.cgroups);
    loop_free(a.loop);
    close(lock);
    return rc;
}
