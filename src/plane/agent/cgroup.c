#include "plane/agent/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/text.h"

enum { PERIOD_US = 100000, FOLDER_MAX = 4096 };
static const char mark[] = "trusted.suan.folder";

static bool put(const char *folder, const char *slot, const char *file, int64_t value, const char *word) {
    char path[CG_PATH + 128], text[32];
    snprintf(path, sizeof path, "%s/%s%s%s", folder, slot, *slot ? "/" : "", file);
    int n = word ? snprintf(text, sizeof text, "%s", word) : snprintf(text, sizeof text, "%lld", (long long)value);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool good = write(fd, text, (size_t)n) == n;
    close(fd);
    return good;
}

static int64_t get(const char *folder, const char *slot, const char *file, const char *key) {
    char path[CG_PATH + 128], text[1024];
    snprintf(path, sizeof path, "%s/%s/%s", folder, slot, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    if (!key)
        return strtoll(text, NULL, 10);
    size_t k = strlen(key);
    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (!strncmp(p, key, k) && p[k] == ' ')
            return strtoll(p + k, NULL, 10);
    }
    return 0;
}

/* The line of /proc/self/cgroup for this controller ("" = v2): our own path, which we may divide further. */
static void own_path(const char *own, const char *controller, char *out, size_t size) {
    str_copy(out, size, "");
    for (const char *p = own; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
        const char *list = strchr(p, ':'), *path = list ? strchr(list + 1, ':') : NULL;
        if (!path)
            return;
        char names[128];
        snprintf(names, sizeof names, ",%.*s,", (int)(path - list - 1), list + 1);
        char want[64];
        snprintf(want, sizeof want, ",%s,", controller);
        if (*controller ? !strstr(names, want) : path != list + 1)
            continue;
        size_t n = strcspn(path + 1, "\n");
        snprintf(out, size, "%.*s", (int)n, path + 1);
        if (!strcmp(out, "/"))
            out[0] = 0;
        return;
    }
}

void cgroup_name(const char *agent, const char *folder, char out[CG_NAME]) {
    char whole[FOLDER_MAX];
    if (!realpath(folder, whole))
        str_copy(whole, sizeof whole, folder);
    snprintf(out, CG_NAME, "%.40s-%08x", agent, (unsigned)hash_once(whole, strlen(whole), 0));
}

static bool parent_make(const char *root, const char *controller, const char *own, const char *name, char *out) {
    char path[160];
    own_path(own, controller, path, sizeof path);
    /* In a container our path may not be visible: then the mount's root is ours. */
    for (int inside = 1; inside >= 0; inside--) {
        snprintf(out, CG_PATH, "%.80s%s%s%.120s/suan-%.50s", root, *controller ? "/" : "", controller, inside ? path : "", name);
        if (!mkdir(out, 0755) || errno == EEXIST)
            return !access(out, W_OK);
    }
    out[0] = 0;
    return false;
}

static bool v1_probe(struct cgroup_set *s, const char *root, const char *own, const char *name) {
    static const char *const names[] = {"cpu", "cpuacct", "memory", "pids"};
    char *const folders[] = {s->cpu, s->cpuacct, s->memory, s->pids};
    static const uint32_t bits[] = {CG_CPU, CG_CPUACCT, CG_MEMORY, CG_PIDS};
    for (size_t i = 0; i < 4; i++) {
        char mount[160];
        snprintf(mount, sizeof mount, "%.100s/%s", root, names[i]);
        if (!access(mount, W_OK) && parent_make(root, names[i], own, name, folders[i]))
            s->have |= bits[i];
        else
            folders[i][0] = 0;
    }
    return s->have != 0;
}

static bool v2_probe(struct cgroup_set *s, const char *root, const char *own, const char *name) {
    char controllers[512] = "", path[CG_PATH + 32];
    snprintf(path, sizeof path, "%.200s/cgroup.controllers", root);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, controllers, sizeof controllers - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0 || !strstr(controllers, "memory") || !strstr(controllers, "pids"))
        return false;
    /* A group with processes cannot pass controllers on (only the root can), so ours stands beside, not below, us. */
    static const char *const want[] = {"+cpu", "+memory", "+pids"};
    for (size_t i = 0; i < 3; i++)
        put(root, "", "cgroup.subtree_control", 0, want[i]);
    if (!parent_make(root, "", "", name, s->cpu))
        return false;
    for (size_t i = 0; i < 3; i++)
        put(s->cpu, "", "cgroup.subtree_control", 0, want[i]);
    str_copy(s->cpuacct, CG_PATH, s->cpu);
    str_copy(s->memory, CG_PATH, s->cpu);
    str_copy(s->pids, CG_PATH, s->cpu);
    s->have = CG_MEMORY | CG_PIDS | CG_CPUACCT | (strstr(controllers, "cpu") ? CG_CPU : 0);
    s->version = 2;
    return true;
}

void cgroup_probe(struct cgroup_set *s, const char *root, const char *own, const char *name) {
    memset(s, 0, sizeof *s);
    if (v2_probe(s, root, own, name))
        return;
    s->version = v1_probe(s, root, own, name) ? 1 : 0;
}

/* The distinct folders: four in v1, one in v2. */
static size_t folders(const struct cgroup_set *s, const char *out[4]) {
    size_t n = 0;
    if (s->version == 2) {
        out[n++] = s->cpu;
        return n;
    }
    const char *all[] = {s->cpu, s->cpuacct, s->memory, s->pids};
    for (size_t i = 0; i < 4; i++)
        if (all[i][0])
            out[n++] = all[i];
    return n;
}

int cgroup_make(const struct cgroup_set *s, const char *slot, struct err *e) {
    const char *f[4];
    size_t n = folders(s, f);
    for (size_t i = 0; i < n; i++) {
        char path[CG_PATH + 80];
        snprintf(path, sizeof path, "%s/%s", f[i], slot);
        if (mkdir(path, 0755) && errno != EEXIST)
            return err_errno(e, errno, "cannot make cgroup %s", path);
    }
    return 0;
}

int cgroup_enter(const struct cgroup_set *s, const char *slot, struct err *e) {
    const char *f[4];
    size_t n = folders(s, f);
    for (size_t i = 0; i < n; i++)
        if (!put(f[i], slot, "cgroup.procs", 0, NULL))
            return err_errno(e, errno, "cannot enter cgroup %s/%s", f[i], slot);
    return 0;
}

static bool limit_v2(const struct cgroup_set *s, const char *slot, const struct cgroup_limits *l) {
    char cpu[48] = "max 100000";
    if (l->cores)
        snprintf(cpu, sizeof cpu, "%lld %d", (long long)l->cores * PERIOD_US, PERIOD_US);
    bool good = !(s->have & CG_CPU) || put(s->cpu, slot, "cpu.max", 0, cpu);
    int64_t weight = l->cores ? l->cores * 100 : 100;
    put(s->cpu, slot, "cpu.weight", weight > 10000 ? 10000 : weight, NULL);
    good &= put(s->memory, slot, "memory.max", l->memory_bytes, l->memory_bytes ? NULL : "max");
    return good & put(s->pids, slot, "pids.max", l->pids, l->pids ? NULL : "max");
}

static bool limit_v1(const struct cgroup_set *s, const char *slot, const struct cgroup_limits *l) {
    bool good = true;
    if (s->have & CG_CPU) {
        int64_t shares = l->cores ? l->cores * 1024 : 1024;
        good &= put(s->cpu, slot, "cpu.shares", shares > 262144 ? 262144 : shares, NULL);
        good &= put(s->cpu, slot, "cpu.cfs_quota_us", l->cores ? l->cores * PERIOD_US : -1, NULL);
    }
    if (s->have & CG_MEMORY)
        good &= put(s->memory, slot, "memory.limit_in_bytes", l->memory_bytes ? l->memory_bytes : -1, NULL);
    if (s->have & CG_PIDS)
        good &= put(s->pids, slot, "pids.max", l->pids, l->pids ? NULL : "max");
    return good;
}

int cgroup_limit(const struct cgroup_set *s, const char *slot, const struct cgroup_limits *l, struct err *e) {
    if (!s->version || (s->version == 2 ? limit_v2(s, slot, l) : limit_v1(s, slot, l)))
        return 0;
    return err_errno(e, errno, "cannot set the limits of cgroup %s", slot);
}

void cgroup_read(const struct cgroup_set *s, const char *slot, struct cgroup_usage *u) {
    memset(u, 0, sizeof *u);
    if (s->version == 2) {
        u->cpu_us = get(s->cpu, slot, "cpu.stat", "usage_usec");
        u->memory_bytes = get(s->memory, slot, "memory.current", NULL);
        u->memory_peak_bytes = get(s->memory, slot, "memory.peak", NULL);
        u->oom_kills = get(s->memory, slot, "memory.events", "oom_kill");
        u->pids_refused = get(s->pids, slot, "pids.events", "max");
        return;
    }
    if (s->have & CG_CPUACCT)
        u->cpu_us = get(s->cpuacct, slot, "cpuacct.usage", NULL) / 1000;
    if (s->have & CG_MEMORY) {
        u->memory_bytes = get(s->memory, slot, "memory.usage_in_bytes", NULL);
        u->memory_peak_bytes = get(s->memory, slot, "memory.max_usage_in_bytes", NULL);
        u->oom_kills = get(s->memory, slot, "memory.oom_control", "oom_kill");
    }
    if (s->have & CG_PIDS)
        u->pids_refused = get(s->pids, slot, "pids.events", "max");
}

void cgroup_reset_peak(const struct cgroup_set *s, const char *slot) {
    if (s->version == 1 && (s->have & CG_MEMORY))
        put(s->memory, slot, "memory.max_usage_in_bytes", 0, NULL);
}

void cgroup_kill(const struct cgroup_set *s, const char *slot) {
    const char *f[4];
    size_t n = folders(s, f);
    if (s->version == 2 && put(s->cpu, slot, "cgroup.kill", 1, NULL))
        return;
    for (size_t i = 0; i < n; i++) {
        char path[CG_PATH + 96];
        snprintf(path, sizeof path, "%s/%s/cgroup.procs", f[i], slot);
        FILE *list = fopen(path, "re");
        int pid;
        while (list && fscanf(list, "%d", &pid) == 1)
            if (pid > 1 && pid != getpid())
                kill(pid, SIGKILL);
        if (list)
            fclose(list);
    }
}

bool cgroup_remove(const struct cgroup_set *s, const char *slot) {
    const char *f[4];
    size_t n = folders(s, f);
    bool gone = true;
    for (size_t i = 0; i < n; i++) {
        char path[CG_PATH + 80];
        snprintf(path, sizeof path, "%s/%s", f[i], slot);
        gone &= !rmdir(path) || errno == ENOENT;
    }
    return gone;
}

void cgroup_sweep(const struct cgroup_set *s, bool (*keep)(void *ctx, const char *slot), void *ctx) {
    const char *f[4];
    size_t n = folders(s, f);
    for (size_t i = 0; i < n; i++) {
        DIR *d = opendir(f[i]);
        for (struct dirent *x; d && (x = readdir(d));)
            if (x->d_type == DT_DIR && x->d_name[0] != '.' && !keep(ctx, x->d_name)) {
                cgroup_kill(s, x->d_name);
                cgroup_remove(s, x->d_name);
            }
        if (d)
            closedir(d);
    }
}

/* -- groups of agents that are no more -- */

void cgroup_mark(const struct cgroup_set *s, const char *folder) {
    const char *f[4];
    size_t n = folders(s, f);
    char whole[FOLDER_MAX];
    for (size_t i = 0; realpath(folder, whole) && i < n; i++)
        setxattr(f[i], mark, whole, strlen(whole), 0);
}

/* Only what is empty goes: a group that holds processes is not removed by the kernel. */
static void remove_empty(const char *parent) {
    char path[CG_PATH + 300];
    DIR *d = opendir(parent);
    for (struct dirent *x; d && (x = readdir(d));)
        if (x->d_type == DT_DIR && x->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", parent, x->d_name);
            rmdir(path);
        }
    if (d)
        closedir(d);
    rmdir(parent);
}

static void sweep_beside(const char *ours, bool (*is_there)(const char *folder)) {
    char beside[CG_PATH], path[CG_PATH + 300], folder[FOLDER_MAX];
    str_copy(beside, sizeof beside, ours);
    char *name = strrchr(beside, '/');
    *name++ = 0;
    DIR *d = opendir(beside);
    for (struct dirent *x; d && (x = readdir(d));) {
        if (!str_starts(x->d_name, "suan-") || !strcmp(x->d_name, name))
            continue;
        snprintf(path, sizeof path, "%s/%s", beside, x->d_name);
        ssize_t n = getxattr(path, mark, folder, sizeof folder - 1);
        if (n <= 0)
            continue;
        folder[n] = 0;
        if (!is_there(folder))
            remove_empty(path);
    }
    if (d)
        closedir(d);
}

void cgroup_sweep_dead(const struct cgroup_set *s, bool (*is_there)(const char *folder)) {
    const char *f[4];
    size_t n = folders(s, f);
    for (size_t i = 0; i < n; i++)
        sweep_beside(f[i], is_there);
}

void cgroup_close(const struct cgroup_set *s) {
    const char *f[4];
    size_t n = folders(s, f);
    for (size_t i = 0; i < n; i++)
        rmdir(f[i]);
}
