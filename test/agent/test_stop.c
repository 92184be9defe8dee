/* The end of an agent: at any moment, under load, within five seconds, and nothing of it stays. */
#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "rig.h"
#include "tap.h"

enum { STOP_MOST_US = 5000000, TASKS = 60 };

static struct cgroup_set groups;

static bool groups_are_gone(void) {
    const char *all[] = {groups.cpu, groups.cpuacct, groups.memory, groups.pids};
    bool gone = true;
    for (size_t i = 0; i < 4; i++)
        if (all[i][0] && !access(all[i], F_OK)) {
            printf("# %s is left\n", all[i]);
            gone = false;
        }
    return gone;
}

static bool is_mounted(const char *folder) {
    char line[1024];
    FILE *f = fopen("/proc/self/mountinfo", "re");
    bool found = false;
    while (f && fgets(line, sizeof line, f))
        found |= strstr(line, folder) != NULL;
    if (f)
        fclose(f);
    return found;
}

static void stop_is_clean(struct rig *r, const char *when) {
    int64_t begin = loop_mono_fresh_us();
    groups = r->a.cgroups;
    rig_close(r);
    int64_t took = loop_mono_fresh_us() - begin;
    printf("# %s: stopped in %lld ms\n", when, (long long)took / 1000);
    ok(took < STOP_MOST_US, "it stops within five seconds");
    ok(groups_are_gone(), "its cgroups are gone");
    ok(access(r->folder, F_OK) && !is_mounted(r->folder), "its folder and its mounts too");
}

static void count(void *ctx, int rc, const struct err *e) {
    (void)e;
    *(int *)ctx += !rc;
}

static const char *const scripts[] = {
    "trap '' TERM; while :; do :; done",
    "dd if=/dev/zero of=out/x bs=1M count=64 conv=fsync; sleep 100",
    "sleep 100 & sleep 100",
};

static void load(struct rig *r, int *accepted) {
    for (int i = 0; i < TASKS; i++) {
        char name[32];
        snprintf(name, sizeof name, "load-%d", i);
        struct exec_start in = rig_shell(name, 1, scripts[i % 3]);
        task_start(&r->a, &in, count, accepted);
    }
}

/* A whole tree dies at once; what it leaves is swept by the next agent on the folder. */
static void killed(void) {
    static struct rig r;
    struct err e = {0};
    char folder[256];
    int told[2], accepted = 0;
    if (pipe(told))
        return;
    pid_t pid = fork();
    if (!pid) {
        static struct rig own;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (rig_open(&own, NULL, &e))
            _exit(9);
        load(&own, &accepted);
        rig_turn_for(&own, 1000000);
        if (write(told[1], &own.a.cgroups, sizeof groups) < 0 || write(told[1], own.folder, sizeof own.folder) < 0)
            _exit(9);
        for (;;)
            loop_turn(own.a.loop, 1000000);
    }
    close(told[1]);
    bool good = read(told[0], &groups, sizeof groups) == (ssize_t)sizeof groups &&
                read(told[0], folder, sizeof folder) == (ssize_t)sizeof folder;
    close(told[0]);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (!ok(good, "an agent with a load is killed"))
        return;
    DIR *d = opendir(groups.pids[0] ? groups.pids : groups.cpu);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_name[0] == 's')
            cgroup_kill(&groups, x->d_name); /* and so are its runners */
    if (d)
        closedir(d);
    /* What was orphaned is ours (see main): a zombie would keep its group busy. */
    for (int i = 0; i < 200; i++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        usleep(5000);
    }
    str_copy(r.name, sizeof r.name, folder + strlen(folder) - 6);
    memmove(r.name + 1, r.name, strlen(r.name) + 1);
    r.name[0] = 't';
    ok(!rig_open(&r, folder, &e), "the next one comes up");
    ok(!strcmp(groups.cpu, r.a.cgroups.cpu), "its cgroups have the same name");
    stop_is_clean(&r, "after a kill of the whole tree");
}

int main(int argc, char **argv) {
    struct err e = {0};
    if (argc > 1 && !strcmp(argv[1], "runner"))
        return runner_main();
    setlinebuf(stdout);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 3; i++) { /* its first runners do not stand yet */
        static struct rig r;
        memset(&r, 0, sizeof r);
        ok(!rig_open(&r, NULL, &e), "an agent");
        rig_turn_for(&r, i * 3000);
        stop_is_clean(&r, "as soon as it has begun");
    }
    for (int i = 0; i < 2; i++) {
        static struct rig r;
        int accepted = 0;
        memset(&r, 0, sizeof r);
        ok(!rig_open(&r, NULL, &e), "an agent with a load");
        load(&r, &accepted);
        rig_turn_for(&r, i ? 1500000 : 150000);
        ok(accepted == TASKS, "of tasks that spin, write and fork");
        stop_is_clean(&r, i ? "in the middle" : "while slots are being made");
    }
    killed();
    return tap_done();
}
