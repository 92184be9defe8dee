/* Cgroups in layouts made up in a folder: version 1, version 2, hybrid, none. The files are plain ones: what is written
 * where is the test; that the kernel heeds it is tested by test_task.c on the real ones. */
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "plane/agent/cgroup.h"
#include "tap.h"

static char root[128];

static void folder(const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", root, name);
    mkdir(path, 0755);
}

static void file(const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "we");
    if (f) {
        fputs(text, f);
        fclose(f);
    }
}

static const char *content(const char *name) {
    static char text[256];
    char path[400];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    return text;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void begin(void) {
    snprintf(root, sizeof root, "%s", "/tmp/suan-cgroup-XXXXXX");
    if (!mkdtemp(root))
        exit(1);
}

static void end(void) { nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS); }

static const struct cgroup_limits limits = {.cores = 2, .memory_bytes = 64 << 20, .pids = 100};

static void version_1(bool is_hybrid) {
    static const char *const own = "8:pids:/\n4:memory:/deep/inside\n2:cpuacct:/\n1:cpu:/\n0::/\n";
    struct cgroup_set s;
    struct cgroup_usage u;
    struct err e = {0};
    begin();
    folder("cpu"), folder("cpuacct"), folder("memory"), folder("pids");
    if (is_hybrid) {
        folder("unified");
        file("unified/cgroup.controllers", "");
    }
    cgroup_probe(&s, root, own, "x");
    ok(s.version == 1 && s.have == (CG_CPU | CG_CPUACCT | CG_MEMORY | CG_PIDS), is_hybrid ? "hybrid is version 1" : "version 1");
    is_int(cgroup_make(&s, "s0", &e), 0, "a slot is made");
    file("cpu/suan-x/s0/cpu.shares", ""), file("cpu/suan-x/s0/cpu.cfs_quota_us", "");
    file("memory/suan-x/s0/memory.limit_in_bytes", ""), file("pids/suan-x/s0/pids.max", "");
    is_int(cgroup_limit(&s, "s0", &limits, &e), 0, "limits are set");
    is_str(content("cpu/suan-x/s0/cpu.cfs_quota_us"), "200000", "two cores are 200 ms of each 100");
    is_str(content("memory/suan-x/s0/memory.limit_in_bytes"), "67108864", "memory in bytes, where our own path is not visible");
    is_str(content("pids/suan-x/s0/pids.max"), "100", "processes");
    file("cpuacct/suan-x/s0/cpuacct.usage", "1500000\n");
    file("memory/suan-x/s0/memory.max_usage_in_bytes", "4096\n");
    file("memory/suan-x/s0/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    file("pids/suan-x/s0/pids.events", "max 7\n");
    cgroup_read(&s, "s0", &u);
    ok(u.cpu_us == 1500 && u.memory_peak_bytes == 4096 && u.oom_kills == 3 && u.pids_refused == 7, "counters are read");
    ok(cgroup_limit(&s, "absent", &limits, &e) < 0 && strstr(e.message, "absent"), "a slot that is not there is an error");
    end();
}

static void version_2(void) {
    struct cgroup_set s;
    struct cgroup_usage u;
    struct err e = {0};
    begin();
    file("cgroup.controllers", "cpu io memory pids\n");
    file("cgroup.subtree_control", "");
    cgroup_probe(&s, root, "0::/some.slice/us\n", "x");
    ok(s.version == 2 && s.have == (CG_CPU | CG_CPUACCT | CG_MEMORY | CG_PIDS), "version 2");
    ok(strstr(content("cgroup.subtree_control"), "+") != NULL, "controllers are passed on");
    is_int(cgroup_make(&s, "s0", &e), 0, "a slot is made");
    file("suan-x/s0/cpu.max", ""), file("suan-x/s0/memory.max", ""), file("suan-x/s0/pids.max", "");
    is_int(cgroup_limit(&s, "s0", &limits, &e), 0, "limits are set");
    is_str(content("suan-x/s0/cpu.max"), "200000 100000", "cores");
    file("suan-x/s0/memory.max", "");
    is_int(cgroup_limit(&s, "s0", &(struct cgroup_limits){0}, &e), 0, "and taken away");
    is_str(content("suan-x/s0/memory.max"), "max", "no limit is 'max'");
    file("suan-x/s0/cpu.stat", "usage_usec 42\nuser_usec 40\n");
    file("suan-x/s0/memory.peak", "8192\n");
    file("suan-x/s0/memory.events", "low 0\noom 2\noom_kill 1\n");
    cgroup_read(&s, "s0", &u);
    ok(u.cpu_us == 42 && u.memory_peak_bytes == 8192 && u.oom_kills == 1, "counters are read");
    end();
}

static void none(void) {
    struct cgroup_set s;
    struct cgroup_usage u;
    begin();
    cgroup_probe(&s, root, "", "x");
    ok(s.version == 0 && !s.have, "nothing there is version 0");
    ok(!cgroup_make(&s, "s0", NULL) && !cgroup_limit(&s, "s0", &limits, NULL) && !cgroup_enter(&s, "s0", NULL),
       "and then nothing is done, and nothing fails");
    cgroup_read(&s, "s0", &u);
    ok(!u.cpu_us && !u.oom_kills, "nor counted");
    file("cgroup.controllers", "cpu io\n");
    cgroup_probe(&s, root, "0::/\n", "x");
    is_int(s.version, 0, "version 2 without memory and pids (as a hybrid's unified) is not used");
    end();
}

static void names(void) {
    char x[CG_NAME], y[CG_NAME], z[CG_NAME];
    cgroup_name("a", "/state/one", x);
    cgroup_name("a", "/state/two", y);
    cgroup_name("a", "/state/one", z);
    ok(!strncmp(x, "a-", 2) && strlen(x) == 10, "a group is named by the agent and eight digits");
    ok(strcmp(x, y) != 0, "two folders are two groups, though the agents have one name");
    is_str(z, x, "one folder is always the same");
}

static bool is_live(const char *folder) { return strstr(folder, "living"); }

/* On the real ones: marks are attributes of the file system. */
static void dead(void) {
    struct cgroup_set mine, gone, living, full;
    char own[4096] = "", folders[2][200];
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (f && !fread(own, 1, sizeof own - 1, f))
        own[0] = 0;
    if (f)
        fclose(f);
    begin();
    folder("dead"), folder("living");
    snprintf(folders[0], sizeof folders[0], "%s/dead", root);
    snprintf(folders[1], sizeof folders[1], "%s/living", root);
    char name[4][48];
    const char *words[] = {"mine", "dead", "living", "full"};
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "%s-%d", words[i], (int)getpid());
    cgroup_probe(&mine, "/sys/fs/cgroup", own, name[0]);
    cgroup_probe(&gone, "/sys/fs/cgroup", own, name[1]);
    cgroup_probe(&living, "/sys/fs/cgroup", own, name[2]);
    cgroup_probe(&full, "/sys/fs/cgroup", own, name[3]);
    cgroup_mark(&gone, folders[0]);
    cgroup_mark(&living, folders[1]);
    cgroup_make(&gone, "s0", NULL);
    cgroup_make(&full, "s0", NULL);
    if (mine.version && getxattr(gone.cpu, "trusted.suan.folder", own, sizeof own) > 0) {
        cgroup_sweep_dead(&mine, is_live);
        ok(access(gone.cpu, F_OK) && access(gone.pids, F_OK), "the groups of an agent that is no more are removed");
        ok(!access(living.cpu, F_OK), "those of a living one stay");
        ok(!access(full.cpu, F_OK), "so do those that carry no mark");
        ok(!access(mine.cpu, F_OK), "and ours");
    }
    cgroup_remove(&gone, "s0");
    cgroup_remove(&full, "s0");
    cgroup_close(&mine), cgroup_close(&gone), cgroup_close(&living), cgroup_close(&full);
    end();
}

int main(void) {
    names();
    dead();
    version_1(false);
    version_1(true);
    version_2();
    none();
    return tap_done();
}
