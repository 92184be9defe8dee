/* After a restart: what the spool says, what still runs, and what neither knows.
 *
 * The order matters. First the spool. Then the runners that live: each answers at its socket with what it does. Then
 * what runners without an agent have written: one that ended while we were asking has written before its socket closed.
 * What was launched and is in none of these died with the last agent. What was accepted and not launched is begun now,
 * unless the machine was restarted: LAUNCH is not synced, so then nobody knows, and running twice is worse than lost.
 * Last, folders and cgroups that belong to nothing are removed; mounts went with their runners' namespaces. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "core/log.h"
#include "plane/agent/task.h"

/* -- the spool -- */

static struct attempt *known(struct agent_state *a, const char *name, int64_t attempt) {
    struct attempt *t = map_ptr(&a->tasks->by_name, name);
    return t && t->attempt == attempt ? t : NULL;
}

static void on_start_row(struct agent_state *a, struct exec_start *in) {
    struct attempt *old = map_ptr(&a->tasks->by_name, in->task);
    if (old)
        task_free(old);
    struct attempt *t = task_new(a, in->task, in->attempt);
    t->start = malloc(sizeof *in);
    if (!t->start)
        abort();
    *t->start = *in;
    t->is_accepted = true;
    map_put(&a->tasks->by_name, t->name, NULL)->value.ptr = t;
}

static void on_report_row(struct agent_state *a, const struct exec_report *r, bool is_end) {
    struct attempt *t = known(a, r->task, r->attempt);
    if (!t && is_end) { /* of a rewritten spool: its start is not kept */
        t = task_new(a, r->task, r->attempt);
        map_put(&a->tasks->by_name, t->name, NULL)->value.ptr = t;
    }
    if (!t)
        return;
    t->report = *r;
    t->was_launched = true;
    if (is_end) {
        t->phase = TASK_OVER;
        free(t->start);
        t->start = NULL;
    }
}

static void on_forget_row(struct agent_state *a, const struct exec_task *in) {
    struct attempt *t = known(a, in->task, in->attempt);
    if (t)
        task_free(t);
    task_fenced(a->tasks, in->task, in->attempt);
}

static const struct table *const tables[] = {[SPOOL_START] = &table_exec_start, [SPOOL_LAUNCH] = &table_exec_report,
                                             [SPOOL_END] = &table_exec_report, [SPOOL_FORGET] = &table_exec_task,
                                             [SPOOL_LEASE] = &table_exec_lease};

static void on_record(void *ctx, enum spool_kind kind, const char *p, size_t n) {
    static union {
        struct exec_start start;
        struct exec_report report;
        struct exec_task task;
        struct exec_lease lease;
    } row;
    struct agent_state *a = ctx;
    struct arena ar = ARENA_INIT;
    struct doc *d;
    struct err e = {0};
    if (kind <= SPOOL_BOOT || kind > SPOOL_LEASE)
        return; /* of a newer agent */
    memset(&row, 0, sizeof row);
    int rc = json_parse(&ar, "spool", p, n, NULL, &d, &e);
    if (!rc)
        rc = table_read(tables[kind], &row, d, "spool", NULL, TABLE_RESTORE, &e);
    if (rc)
        log_err(a->config->name, &e);
    else if (kind == SPOOL_START)
        on_start_row(a, &row.start);
    else if (kind == SPOOL_LAUNCH || kind == SPOOL_END)
        on_report_row(a, &row.report, kind == SPOOL_END);
    else if (kind == SPOOL_FORGET)
        on_forget_row(a, &row.task);
    else if (row.lease.epoch > a->tasks->epoch)
        a->tasks->epoch = row.lease.epoch;
    arena_free(&ar);
}

int tasks_replay(struct agent_state *a, struct err *e) {
    char path[512];
    snprintf(path, sizeof path, "%.400s/spool", a->config->folder);
    int rc = spool_open(a->loop, path, on_record, a, &a->spool, e);
    if (!rc && spool_dropped_bytes(a->spool))
        log_warn(a->config->name, "the spool's torn end (%lld bytes) was cut off: it was never accepted",
                 (long long)spool_dropped_bytes(a->spool));
    return rc;
}

/* -- a shorter spool -- */

static int row_put(struct spool *s, enum spool_kind kind, const void *row, struct err *e) {
    struct arena ar = ARENA_INIT;
    struct text text = TEXT_INIT;
    json_print(&text, table_write(tables[kind], row, &ar, NULL, 0), 0);
    int rc = spool_add(s, kind, text.p, text.n, NULL, NULL, e);
    text_free(&text);
    arena_free(&ar);
    return rc;
}

static int fill(void *ctx, struct spool *s, struct err *e) {
    struct agent_state *a = ctx;
    struct tasks *ts = a->tasks;
    struct exec_lease lease = {.epoch = ts->epoch, .lease_us = ts->lease_us};
    int rc = ts->epoch ? row_put(s, SPOOL_LEASE, &lease, e) : 0;
    for (size_t i = 0; !rc && i < FENCES; i++) { /* from the oldest */
        const struct fence *f = &ts->fences[(ts->fence_next + i) % FENCES];
        struct exec_task row = {.attempt = f->attempt};
        str_copy(row.task, sizeof row.task, f->name);
        rc = f->attempt ? row_put(s, SPOOL_FORGET, &row, e) : 0;
    }
    for (size_t i = 0; !rc && i < ts->by_name.n; i++) {
        const struct attempt *t = ts->by_name.entries[i].value.ptr;
        if (t->phase == TASK_OVER || t->phase == TASK_END) {
            rc = row_put(s, SPOOL_END, &t->report, e);
            continue;
        }
        rc = row_put(s, SPOOL_START, t->start, e);
        if (!rc && t->was_launched)
            rc = row_put(s, SPOOL_LAUNCH, &t->report, e);
    }
    return rc;
}

int tasks_rewrite(struct agent_state *a, struct err *e) {
    int rc = spool_rewrite(a->spool, fill, a, e);
    int64_t again = spool_bytes(a->spool) * 3;
    if (again > a->tasks->rewrite_bytes || !rc)
        a->tasks->rewrite_bytes = again > 8 << 20 ? again : 8 << 20;
    return rc;
}

/* -- what lives -- */

static void names(const char *folder, void (*fn)(struct agent_state *a, const char *name), struct agent_state *a) {
    VEC(char *) list = {0};
    DIR *d = opendir(folder);
    for (struct dirent *x; d && (x = readdir(d));)
        if (strcmp(x->d_name, ".") && strcmp(x->d_name, ".."))
            vec_push(&list, strdup(x->d_name));
    if (d)
        closedir(d);
    for (size_t i = 0; i < list.n; i++) {
        fn(a, list.p[i]);
        free(list.p[i]);
    }
    vec_free(&list);
}

static void adopt(struct agent_state *a, const char *name) {
    struct runner_hello h;
    struct slot *s = slot_adopt(a, name, &h);
    struct attempt *t = s ? known(a, h.task, h.attempt) : NULL;
    if (!s)
        return;
    if (!t || t->phase == TASK_OVER) { /* its end is in the spool: only the runner has not heard it */
        slot_kill(s);
        return;
    }
    t->phase = TASK_RUN;
    t->slot = s;
    t->base = h.base;
    slot_own(s, &task_owner, t);
    if (h.state == RUNNER_BUSY)
        task_owner.started(t, &(struct runner_started){.attempt = h.attempt, .at_us = h.started_us});
}

/* The cgroup of its slot still has the numbers. */
static void end_read(struct agent_state *a, const char *name) {
    char path[640];
    struct runner_ended m;
    struct cgroup_usage now, u = {0};
    if (!str_starts(name, ".end."))
        return;
    snprintf(path, sizeof path, "%.400s/tasks/%.200s", a->config->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good = fd >= 0 && read(fd, &m, sizeof m) == (ssize_t)sizeof m && m.version == RUNNER_VERSION;
    if (fd >= 0)
        close(fd);
    m.task[sizeof m.task - 1] = m.slot[sizeof m.slot - 1] = m.result[sizeof m.result - 1] = m.reason[sizeof m.reason - 1] = 0;
    struct attempt *t = good ? known(a, m.task, m.attempt) : NULL;
    if (!t || t->phase == TASK_OVER || t->phase == TASK_RUN) {
        unlink(path);
        return;
    }
    cgroup_read(&a->cgroups, m.slot, &now);
    u.cpu_us = now.cpu_us > m.base.cpu_us ? now.cpu_us - m.base.cpu_us : m.cpu_us;
    u.oom_kills = now.oom_kills - m.base.oom_kills;
    u.memory_peak_bytes = now.memory_peak_bytes - m.base.memory_bytes;
    task_ended(t, &m, &u);
}

static void folder_sweep(struct agent_state *a, const char *name) {
    char path[640];
    if (map_ptr(&a->tasks->by_name, name) || str_starts(name, ".end."))
        return;
    snprintf(path, sizeof path, "%.400s/tasks/%.200s", a->config->folder, name);
    folder_drop(a, path);
}

void tasks_reattach(struct agent_state *a) {
    struct tasks *ts = a->tasks;
    char runs[512], tasks[512];
    size_t n_live = 0, n_lost = 0, n_begun = 0;
    snprintf(runs, sizeof runs, "%.400s/run", a->config->folder);
    snprintf(tasks, sizeof tasks, "%.400s/tasks", a->config->folder);
    names(runs, adopt, a);
    names(tasks, end_read, a);
    names(tasks, folder_sweep, a);
    slots_sweep(a);
    for (size_t i = 0; i < ts->by_name.n; i++) {
        struct attempt *t = ts->by_name.entries[i].value.ptr;
        n_live += t->phase == TASK_RUN;
        if (t->phase != TASK_ACCEPT)
            continue;
        if (!spool_same_boot(a->spool) || t->was_launched) {
            n_lost++;
            task_over(t, EXEC_LOST, spool_same_boot(a->spool) ? "it died with its agent" : "the machine was restarted");
        } else {
            n_begun++;
            task_begin(t);
        }
    }
    if (n_live + n_lost + n_begun)
        log_info(a->config->name, "after a restart: %zu tasks go on, %zu begin, %zu are lost", n_live, n_begun, n_lost);
}
