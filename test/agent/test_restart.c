/* kill -9 of the agent at random moments: what ran goes on, what was accepted is run, nothing is run twice, each end
 * is told. Each task writes one line to a file outside of the agent's reach to remove: its own log, read at the end. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "core/log.h"
#include "rig.h"
#include "tap.h"

enum { ROUNDS = 8, TASKS = 10 };

static char folder[256];
static uint64_t seed;

static uint64_t draw(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 33;
}

/* An agent in a process of its own; it starts what is not known yet, acknowledged or not, until it is killed. */
static pid_t agent_start(int round) {
    pid_t pid = fork();
    if (pid)
        return pid;
    static struct rig r;
    struct err e = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    str_copy(r.name, sizeof r.name, folder + strlen(folder) - 6);
    if (rig_open(&r, folder, &e))
        _exit(9);
    for (int i = 0; i < TASKS; i++) {
        char name[32];
        snprintf(name, sizeof name, "r%d-t%d", round, i);
        struct exec_start in = rig_shell(name, 1, "echo $$-$SUAN_TASK; sleep 0.$SUAN_ATTEMPT; echo result done");
        if (i % 2)
            str_copy(in.argv[2], 160, "echo $$-$SUAN_TASK; sleep 0.6; echo result done");
        rig_start(&r, &in);
    }
    for (;;)
        loop_turn(r.a.loop, 1000000);
}

static size_t lines_of(const char *task) {
    char path[400], text[4096];
    snprintf(path, sizeof path, "%s/tasks/%s/log", folder, task);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    size_t lines = 0;
    close(fd);
    text[n < 0 ? 0 : n] = 0;
    for (char *p = text; (p = strstr(p, "-r")); p++)
        lines++;
    return lines;
}

int main(int argc, char **argv) {
    static struct rig r;
    struct err e = {0};
    char path[300];
    if (argc > 1 && !strcmp(argv[1], "runner"))
        return runner_main();
    const char *tmp = getenv("TMPDIR"), *given = getenv("SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)loop_wall_us();
    printf("# to repeat: SEED=%llu\n", (unsigned long long)seed);
    snprintf(folder, sizeof folder, "%s/suan-exec-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(folder))
        return 1;
    chmod(folder, 0711);
    snprintf(path, sizeof path, "%s/blobs", folder);
    mkdir(path, 0700);
    int bad_starts = 0;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t pid = agent_start(round);
        int64_t until = loop_mono_fresh_us() + (int64_t)(draw() % 700000);
        struct loop *l = loop_new(LOOP_REAL, 0);
        while (loop_mono_fresh_us() < until)
            loop_turn(l, until - loop_mono_fresh_us());
        loop_free(l);
        kill(pid, SIGKILL);
        int status;
        waitpid(pid, &status, 0);
        bad_starts += !WIFSIGNALED(status);
    }
    is_int(bad_starts, 0, "every agent came up on what the one before left");
    str_copy(r.name, sizeof r.name, folder + strlen(folder) - 6);
    if (!ok(!rig_open(&r, folder, &e), "the last one too"))
        printf("# %s: %s\n", e.message, e.detail);
    for (int i = 0; i < 200; i++) {
        bool any = false;
        for (size_t k = 0; k < r.a.tasks->by_name.n; k++)
            any |= ((struct attempt *)r.a.tasks->by_name.entries[k].value.ptr)->phase != TASK_OVER;
        if (!any)
            break;
        rig_turn_for(&r, 50000);
    }
    size_t n = r.a.tasks->by_name.n, done = 0, lost = 0, twice = 0, never = 0, other = 0;
    for (size_t k = 0; k < n; k++) {
        struct attempt *t = r.a.tasks->by_name.entries[k].value.ptr;
        size_t lines = lines_of(t->name);
        done += t->report.state == EXEC_DONE && !strcmp(t->report.result, "done");
        lost += t->report.state == EXEC_LOST;
        other += t->report.state != EXEC_DONE && t->report.state != EXEC_LOST;
        if (t->report.state != EXEC_DONE && other < 3)
            printf("# %s: %s: %s\n", t->name, exec_state_words[t->report.state], t->report.reason);
        twice += lines > 1;
        never += t->report.state == EXEC_DONE && !lines;
    }
    printf("# %zu accepted, %zu done, %zu lost\n", n, done, lost);
    ok(n > 0 && done > 0, "tasks were accepted and done over the kills");
    is_int(twice, 0, "none ran twice");
    is_int(never, 0, "none is said to be done that was not");
    is_int(other, 0, "none ended otherwise");
    /* Lost: launched, but the message to its runner was not sent when the agent died. A window of a microsecond. */
    ok(lost <= ROUNDS, "at most one a kill is lost");
    rig_close(&r);
    ok(access(folder, F_OK) != 0, "nothing is left in the folder");
    snprintf(path, sizeof path, "/sys/fs/cgroup/pids/suan-%s", r.name);
    ok(access(path, F_OK) != 0, "nor in the cgroups");
    return tap_done();
}
