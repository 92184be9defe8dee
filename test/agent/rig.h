/* An agent without its link: task.c and what lies below, on a loop, in a folder of its own. What blob.c and serve.c do
 * is stood in for here: content lies under <folder>/blobs by name, reports are kept for the test to look at. */
#ifndef SUAN_TEST_AGENT_RIG_H
#define SUAN_TEST_AGENT_RIG_H

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "plane/agent/private.h"
#include "plane/agent/task.h"

enum { RIG_REPORTS = 64 };

struct rig {
    struct agent_state a;
    struct agent_config config;
    char folder[256], name[64];
    struct exec_report last[RIG_REPORTS]; /* newest of each of the first tasks */
    size_t n_reports, n_tasks, n_ended;
    int n_puts;
    void (*on_report)(struct rig *r, const struct exec_report *x);
    void *user;
};
static struct rig *the_rig;

void serve_instances(struct agent_state *a, const struct exec_instances *x) { (void)a, (void)x; }

void serve_report(struct agent_state *a, const struct exec_report *x) {
    struct rig *r = the_rig;
    size_t i = 0;
    (void)a;
    r->n_reports++;
    r->n_ended += x->state >= EXEC_DONE;
    while (i < r->n_tasks && strcmp(r->last[i].task, x->task))
        i++;
    if (i < RIG_REPORTS) {
        r->last[i] = *x;
        r->n_tasks += i == r->n_tasks;
    }
    if (r->on_report)
        r->on_report(r, x);
}

int blob_put(struct agent_state *a, const char *path, char digest[72], int64_t *size, struct err *e) {
    static char bytes[1 << 16];
    char to[400];
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    if (fd < 0 || n < 0) {
        int rc = err_errno(e, errno, "cannot read %s", path);
        if (fd >= 0)
            close(fd);
        return rc;
    }
    close(fd);
    snprintf(digest, 72, "sha256:put%d", ++the_rig->n_puts);
    snprintf(to, sizeof to, "%s/blobs/%s", a->config->folder, digest + 7);
    fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0444);
    *size = write(fd, bytes, (size_t)n);
    close(fd);
    return 0;
}

int blob_path(struct agent_state *a, const char *digest, char *out, size_t size, struct err *e) {
    snprintf(out, size, "%s/blobs/%s", a->config->folder, digest + 7);
    return access(out, R_OK) ? err_set(e, E_NOTFOUND, "content %s is not here", digest) : 0;
}

struct rig_fetch {
    struct agent_state *a;
    fetched_fn *fn;
    void *ctx;
    char digest[72];
    struct rig_fetch *next;
};
static struct rig_fetch *rig_fetches;

static inline void rig_fetched(void *ctx) {
    struct rig_fetch *f = ctx;
    struct err e = {0};
    char path[400];
    for (struct rig_fetch **p = &rig_fetches; *p; p = &(*p)->next)
        if (*p == f) {
            *p = f->next;
            break;
        }
    if (f->fn)
        f->fn(f->ctx, blob_path(f->a, f->digest, path, sizeof path, &e), 7, &e);
    free(f);
}

void blob_fetch(struct agent_state *a, const struct exec_input *in, fetched_fn *fn, void *ctx) {
    struct rig_fetch *f = calloc(1, sizeof *f);
    *f = (struct rig_fetch){.a = a, .fn = fn, .ctx = ctx, .next = rig_fetches};
    str_copy(f->digest, sizeof f->digest, in->digest);
    rig_fetches = f;
    loop_defer(a->loop, rig_fetched, f);
}

void blob_fetch_cancel(struct agent_state *a, void *ctx) {
    (void)a;
    for (struct rig_fetch *f = rig_fetches; f; f = f->next)
        if (f->ctx == ctx)
            f->fn = NULL;
}

static inline bool rig_content(struct rig *r, const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/blobs/%s", r->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0444);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return good;
}

/* This program, where a task may execute it. */
static inline bool rig_program(const char *path) {
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    ssize_t n;
    while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
        ;
    close(from);
    close(to);
    return !n;
}

/* folder NULL: a fresh one, removed by rig_close. Otherwise an agent comes back to it. */
static inline int rig_open(struct rig *r, const char *folder, struct err *e) {
    char path[300], own[4096] = "";
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, own, sizeof own - 1) < 0)
        own[0] = 0;
    close(fd);
    the_rig = r;
    const char *tmp = getenv("TMPDIR");
    if (folder)
        str_copy(r->folder, sizeof r->folder, folder);
    else {
        snprintf(r->folder, sizeof r->folder, "%s/suan-exec-XXXXXX", tmp ? tmp : "/tmp");
        if (!mkdtemp(r->folder))
            return err_errno(e, errno, "cannot make %s", r->folder);
        chmod(r->folder, 0711);
        snprintf(path, sizeof path, "%s/blobs", r->folder);
        mkdir(path, 0700);
    }
    if (!r->name[0])
        snprintf(r->name, sizeof r->name, "t%s", r->folder + strlen(r->folder) - 6);
    r->config.name = r->name;
    r->config.folder = r->folder;
    r->a.config = &r->config;
    r->a.loop = loop_new(LOOP_REAL, 0);
    cgroup_probe(&r->a.cgroups, "/sys/fs/cgroup", own, r->name);
    return tasks_open(&r->a, e);
}

static inline void rig_close(struct rig *r) {
    tasks_close(&r->a);
    while (loop_run_deferred(r->a.loop))
        ;
    cgroup_close(&r->a.cgroups);
    loop_free(r->a.loop);
    folder_remove(r->folder);
}

static inline struct exec_report *rig_report(struct rig *r, const char *task) {
    for (size_t i = 0; i < r->n_tasks; i++)
        if (!strcmp(r->last[i].task, task))
            return &r->last[i];
    return NULL;
}

struct rig_answer {
    int rc, calls;
    struct err e;
};
static inline void rig_started(void *ctx, int rc, const struct err *e) {
    struct rig_answer *x = ctx;
    x->rc = rc;
    x->calls++;
    if (e)
        x->e = *e;
}

/* `sh -c script`, one core. */
static inline struct exec_start rig_shell(const char *task, int64_t attempt, const char *script) {
    struct exec_start in = {.attempt = attempt, .n_argv = 3, .cores = 1};
    str_copy(in.task, sizeof in.task, task);
    str_copy(in.argv[0], 160, "sh");
    str_copy(in.argv[1], 160, "-c");
    str_copy(in.argv[2], 160, script);
    return in;
}

/* Turns the loop until the answer is there. */
static inline struct rig_answer rig_start(struct rig *r, const struct exec_start *in) {
    struct rig_answer x = {0};
    task_start(&r->a, in, rig_started, &x);
    for (int i = 0; i < 10000 && !x.calls; i++)
        loop_turn(r->a.loop, 100000);
    return x;
}

/* Until the task's newest report has this state or a later one; at most that long. */
static inline struct exec_report *rig_await(struct rig *r, const char *task, int state, int64_t us) {
    int64_t until = loop_mono_fresh_us() + us;
    struct exec_report *x;
    while (!((x = rig_report(r, task)) && x->state >= state) && loop_mono_fresh_us() < until)
        loop_turn(r->a.loop, 50000);
    return x;
}

static inline void rig_turn_for(struct rig *r, int64_t us) {
    for (int64_t until = loop_mono_fresh_us() + us, left; (left = until - loop_mono_fresh_us()) > 0;)
        loop_turn(r->a.loop, left);
}

#endif
