#include "plane/agent/task.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "core/log.h"

enum { RETRY_US = 1000000, CHECKPOINT_US = 500000, LAPSE_GRACE_US = 2000000, LOG_CHUNK_MAX = 1 << 20 };
enum { REWRITE_BYTES = 8 << 20 };

/* -- the table -- */

static struct attempt *find(const struct tasks *ts, const char *name) { return map_ptr(&ts->by_name, name); }

struct attempt *task_new(struct agent_state *a, const char *name, int64_t attempt) {
    struct attempt *t = calloc(1, sizeof *t);
    assert(t);
    t->a = a;
    t->attempt = t->report.attempt = attempt;
    str_copy(t->name, sizeof t->name, name);
    str_copy(t->report.task, sizeof t->report.task, name);
    return t;
}

static void table_put(struct tasks *ts, struct attempt *t) {
    map_del(&ts->by_name, t->name); /* the key is the old one's */
    map_put(&ts->by_name, t->name, NULL)->value.ptr = t;
}

void task_free(struct attempt *t) {
    struct tasks *ts = t->a->tasks;
    if (find(ts, t->name) == t)
        map_del(&ts->by_name, t->name);
    for (size_t i = 0; i < ts->old.n; i++)
        if (ts->old.p[i] == t)
            ts->old.p[i] = ts->old.p[--ts->old.n];
    if (t->n_fetching)
        blob_fetch_cancel(t->a, t);
    slot_wait_cancel(t->a, &t->slot_wait);
    timer_cancel(t->a->loop, &t->retry);
    vec_free(&t->waiting);
    free(t->start);
    free(t->ended);
    free(t);
}

void task_fenced(struct tasks *ts, const char *name, int64_t attempt) {
    struct map_entry *x = map_get(&ts->fenced, name);
    struct fence *f = x ? &ts->fences[x->value.num] : &ts->fences[ts->fence_next];
    if (!x) {
        if (f->attempt)
            map_del(&ts->fenced, f->name);
        str_copy(f->name, sizeof f->name, name);
        map_put(&ts->fenced, f->name, NULL)->value.num = ts->fence_next;
        ts->fence_next = (ts->fence_next + 1) % FENCES;
    }
    f->attempt = attempt;
}

static int64_t fence_of(const struct tasks *ts, const char *name) {
    struct map_entry *x = map_get(&ts->fenced, name);
    return x ? ts->fences[x->value.num].attempt : 0;
}

static int64_t plant_of(const struct attempt *t, int64_t mono) {
    return mono ? loop_now_us(t->a->loop) + (mono - loop_mono_us(t->a->loop)) : 0;
}

static void report(struct attempt *t) {
    if (!t->is_superseded)
        serve_report(t->a, &t->report);
}

/* A record of a table row, as JSON. */
static int spool_put(struct agent_state *a, enum spool_kind kind, const struct table *table, const void *row,
                     spooled_fn *fn, void *ctx, struct err *e) {
    struct arena ar = ARENA_INIT;
    struct text text = TEXT_INIT;
    json_print(&text, table_write(table, row, &ar, NULL, 0), 0);
    int rc = text.n <= SPOOL_RECORD_MAX ? spool_add(a->spool, kind, text.p, text.n, fn, ctx, e)
                                        : err_set(e, E_LIMIT, "a record of %zu bytes does not fit the spool", text.n);
    text_free(&text);
    arena_free(&ar);
    return rc;
}

/* -- folders -- */

/* A fresh folder; the checkpoint of an earlier attempt stays when the task keeps them. */
static int folder_make(struct attempt *t, struct err *e) {
    char path[600], keep[640], sub[640];
    struct stat st;
    bool is_kept = false;
    task_folder(t->a, t->name, path, sizeof path);
    snprintf(keep, sizeof keep, "%.400s/tasks/.keep.%s", t->a->config->folder, t->name);
    if (folder_new(t->a, path) && errno == EEXIST) {
        snprintf(sub, sizeof sub, "%s/ckpt/latest", path);
        is_kept = t->start->checkpoints && !lstat(sub, &st) && S_ISREG(st.st_mode) && !rename(sub, keep);
        folder_drop(t->a, path);
        if (folder_new(t->a, path))
            return err_errno(e, errno, "cannot make the task's folder %s", path);
    } else if (access(path, F_OK))
        return err_errno(e, errno, "cannot make the task's folder %s", path);
    if (!t->start->n_inputs && !is_kept && !t->start->checkpoint.name[0])
        return 0; /* the runner makes the rest */
    snprintf(sub, sizeof sub, "%s/in", path);
    int bad = mkdir(sub, 0755);
    snprintf(sub, sizeof sub, "%s/ckpt", path);
    bad |= mkdir(sub, 0700);
    snprintf(sub, sizeof sub, "%s/ckpt/latest", path);
    if (bad || (is_kept && rename(keep, sub)))
        return err_errno(e, errno, "cannot lay out the task's folder %s", path);
    return 0;
}

static int file_copy(const char *from, const char *to, struct err *e) {
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    ssize_t n = in < 0 || out < 0 ? -1 : 1;
    while (n > 0)
        n = copy_file_range(in, NULL, out, NULL, 1 << 30, 0);
    int rc = n < 0 ? err_errno(e, errno, "cannot copy %s to %s", from, to) : 0;
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return rc;
}

/* An input is a second name of the stored content where no task can write to it: that is, where its user is not ours. */
static int input_lay(struct attempt *t, const struct exec_input *in, const char *at, bool may_write, struct err *e) {
    char from[600], to[700];
    struct stat st;
    task_folder(t->a, t->name, to, sizeof to);
    size_t n = strlen(to);
    snprintf(to + n, sizeof to - n, "/%s", at);
    if (strchr(in->name, '/') || in->name[0] == '.')
        return err_set(e, E_INVAL, "'%s' is not the name of an input file", in->name);
    int rc = blob_path(t->a, in->digest, from, sizeof from, e);
    if (rc)
        return rc;
    unlink(to);
    if (!geteuid() && !may_write && !stat(from, &st) && (st.st_mode & S_IROTH) && !link(from, to))
        return 0;
    return file_copy(from, to, e);
}

static int inputs_lay(struct attempt *t, struct err *e) {
    char at[80];
    int rc = 0;
    for (uint32_t i = 0; !rc && i < t->start->n_inputs; i++) {
        snprintf(at, sizeof at, "in/%s", t->start->inputs[i].name);
        rc = input_lay(t, &t->start->inputs[i], at, false, e);
    }
    if (!rc && t->start->checkpoint.name[0])
        rc = input_lay(t, &t->start->checkpoint, "ckpt/latest", true, e);
    return rc;
}

/* Takes <task folder>/<sub>/<name> in. No link on the way is followed: the agent must not read for the task what the
 * task may not read. */
static int file_take(struct attempt *t, const char *sub, const char *name, char digest[72], int64_t *size, struct err *e) {
    char path[600];
    struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};
    task_folder(t->a, t->name, path, sizeof path);
    int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    int in = folder < 0 ? -1 : (int)syscall(SYS_openat2, folder, sub, &how, sizeof how);
    int rc = in < 0 ? err_errno(e, errno, "there is no %s in the task's folder", sub) : 0;
    if (!rc && strchr(name, '/'))
        rc = err_set(e, E_INVAL, "'%s' is not the name of a file", name);
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", in, name);
    if (!rc)
        rc = blob_put(t->a, path, digest, size, e);
    if (in >= 0)
        close(in);
    if (folder >= 0)
        close(folder);
    return rc;
}

/* -- checkpoints -- */

/* Changed since it was last taken in? A rename gives another inode, or at least another time. */
static bool checkpoint_is_new(struct attempt *t) {
    char path[640];
    struct stat st;
    task_folder(t->a, t->name, path, 500);
    strcat(path, "/ckpt/latest");
    if (lstat(path, &st) || !S_ISREG(st.st_mode))
        return false;
    uint64_t seen = (uint64_t)st.st_ino * 1000003u + (uint64_t)st.st_mtim.tv_sec * 1000000007u +
                    (uint64_t)st.st_mtim.tv_nsec + (uint64_t)st.st_size;
    bool is_new = seen != t->checkpoint_seen;
    t->checkpoint_seen = seen;
    return is_new;
}

static bool checkpoint_take(struct attempt *t) {
    struct err e = {0};
    if (!t->start || !t->start->checkpoints || !checkpoint_is_new(t))
        return false;
    if (!file_take(t, "ckpt", "latest", t->report.checkpoint, &t->report.checkpoint_bytes, &e))
        return true;
    t->checkpoint_seen = 0; /* again at the next look */
    log_err(t->name, &e);
    return false;
}

static void on_checkpoints(void *ctx) {
    struct agent_state *a = ctx;
    bool any = false;
    for (size_t i = 0; i < a->tasks->by_name.n; i++) {
        struct attempt *t = a->tasks->by_name.entries[i].value.ptr;
        if (t->phase != TASK_RUN || !t->start || !t->start->checkpoints)
            continue;
        any = true;
        if (checkpoint_take(t))
            report(t);
    }
    if (any)
        timer_mono_in(a->loop, &a->tasks->checkpoints, CHECKPOINT_US, on_checkpoints, a);
}

static void checkpoints_watch(struct attempt *t) {
    if (t->start && t->start->checkpoints && !timer_is_set(&t->a->tasks->checkpoints))
        timer_mono_in(t->a->loop, &t->a->tasks->checkpoints, CHECKPOINT_US, on_checkpoints, t->a);
}

/* -- ends -- */

static void over(struct attempt *t) {
    char path[600];
    struct attempt *heir = t->heir;
    snprintf(path, sizeof path, "%.400s/tasks/.end.%s", t->a->config->folder, t->name);
    if (t->ended)
        unlink(path); /* what a runner without agent left; in the spool now */
    free(t->ended);
    t->ended = NULL;
    free(t->start);
    t->start = NULL;
    if (t->slot)
        slot_done(t->slot);
    t->slot = NULL;
    if (!t->is_superseded)
        return;
    task_free(t);
    if (heir) {
        heir->behind = NULL;
        task_begin(heir);
    }
}

static void on_end_synced(void *ctx, int rc, const struct err *e) {
    struct attempt *t = ctx;
    if (t->is_superseded) {
        over(t);
        return;
    }
    if (rc) { /* the spool is broken and says so to every start; this end stays with us until the agent starts again */
        log_err(t->name, e);
        return;
    }
    t->phase = TASK_OVER;
    report(t);
}

static void end_put(void *ctx) {
    struct attempt *t = ctx;
    struct err e = {0};
    slot_wait_cancel(t->a, &t->slot_wait);
    if (t->is_superseded) {
        over(t);
        return;
    }
    t->phase = TASK_END;
    if (spool_put(t->a, SPOOL_END, &table_exec_report, &t->report, on_end_synced, t, &e)) {
        log_err(t->name, &e); /* no room: the runner keeps it; again in a moment */
        timer_mono_in(t->a->loop, &t->retry, RETRY_US, end_put, t);
        return;
    }
    over(t);
}

void task_over(struct attempt *t, int state, const char *reason) {
    if (t->n_fetching)
        blob_fetch_cancel(t->a, t);
    t->n_fetching = 0;
    t->report.state = state;
    t->report.ended_us = loop_now_us(t->a->loop);
    t->report.pid = 0;
    str_copy(t->report.reason, sizeof t->report.reason, reason);
    end_put(t);
}

static void outputs_take(struct attempt *t) {
    struct exec_report *r = &t->report;
    struct err e = {0};
    r->n_outputs = 0;
    for (uint32_t i = 0; i < t->start->n_outputs; i++) {
        struct artifact_ref *o = &r->outputs[r->n_outputs];
        *o = (struct artifact_ref){0};
        str_copy(o->name, sizeof o->name, t->start->outputs[i].name);
        int rc = file_take(t, "out", o->name, o->digest, &o->size_bytes, &e);
        if (!rc)
            r->n_outputs++;
        else if (r->state == EXEC_DONE) {
            r->state = EXEC_FAILED;
            snprintf(r->reason, sizeof r->reason, rc == E_NOTFOUND ? "its output '%s' is missing" : "its output '%s': %s",
                     o->name, e.message);
        }
    }
}

/* state and reason, from what the runner and the cgroup say. */
static void verdict(struct attempt *t, const struct runner_ended *m, const struct cgroup_usage *u) {
    struct exec_report *r = &t->report;
    struct text limit = TEXT_INIT;
    bool is_good = WIFEXITED(m->status) && !WEXITSTATUS(m->status);
    static const struct {
        int state;
        const char *reason;
    } by_end[END_WORDS] = {[END_TIME_LIMIT] = {EXEC_FAILED, "time limit of %s exceeded"},
                           [END_STOPPED] = {EXEC_STOPPED, "stopped%s"},
                           [END_LEASE] = {EXEC_STOPPED, "the controller's lease lapsed%s"}};
    r->state = is_good ? EXEC_DONE : EXEC_FAILED;
    r->reason[0] = 0;
    if (m->end == END_CANNOT)
        str_copy(r->reason, sizeof r->reason, m->reason);
    else if (m->end == END_TIME_LIMIT || m->end == END_STOPPED || m->end == END_LEASE) {
        if (m->end == END_TIME_LIMIT && t->start)
            unit_print((double)t->start->time_limit_us, "us", &limit);
        r->state = by_end[m->end].state;
        snprintf(r->reason, sizeof r->reason, by_end[m->end].reason, text_str(&limit));
    } else if (!is_good && u->oom_kills > 0) {
        unit_print(t->start ? (double)t->start->memory_bytes : 0, "B", &limit);
        snprintf(r->reason, sizeof r->reason, "memory limit of %s exceeded", text_str(&limit));
    } else if (WIFSIGNALED(m->status))
        snprintf(r->reason, sizeof r->reason, "killed by signal %d (%s)", WTERMSIG(m->status),
                 strsignal(WTERMSIG(m->status)));
    else if (!is_good)
        snprintf(r->reason, sizeof r->reason, "exit status %d%s", WEXITSTATUS(m->status),
                 u->pids_refused > 0 ? " (it reached its process limit)" : "");
    if (m->end == END_CANNOT)
        r->state = EXEC_FAILED;
    if (r->state == EXEC_STOPPED && t->stop_reason[0])
        str_copy(r->reason, sizeof r->reason, t->stop_reason);
    text_free(&limit);
}

void task_ended(struct attempt *t, const struct runner_ended *m, const struct cgroup_usage *u) {
    struct exec_report *r = &t->report;
    bool has_cpu = t->a->cgroups.have & CG_CPUACCT;
    t->ended = malloc(sizeof *m);
    assert(t->ended);
    *t->ended = *m;
    r->pid = 0;
    r->exit_status = m->status;
    r->started_us = m->started_us ? plant_of(t, m->started_us) : r->started_us;
    r->ended_us = plant_of(t, m->ended_us);
    r->cpu_s = (double)(has_cpu ? u->cpu_us : m->cpu_us) / 1e6;
    r->memory_peak_bytes = (double)(u->memory_peak_bytes > m->rss_bytes ? u->memory_peak_bytes : m->rss_bytes);
    str_copy(r->cpu_from, sizeof r->cpu_from, has_cpu ? "cgroup" : "rusage");
    str_copy(r->result, sizeof r->result, m->result);
    verdict(t, m, u);
    if (t->start && !t->is_superseded) {
        checkpoint_take(t);
        outputs_take(t);
    }
    end_put(t);
}

static void on_started(void *ctx, const struct runner_started *m) {
    struct attempt *t = ctx;
    if (m->attempt != t->attempt)
        return;
    t->report.started_us = plant_of(t, m->at_us);
    t->report.pid = slot_task_pid(t->slot);
    t->report.state = EXEC_RUNNING;
    report(t);
    checkpoints_watch(t);
}

static void on_ended(void *ctx, const struct runner_ended *m) {
    struct attempt *t = ctx;
    struct cgroup_usage u;
    if (m->attempt != t->attempt || t->phase != TASK_RUN)
        return;
    slot_usage(t->slot, &m->base, &u);
    task_ended(t, m, &u);
}

static void on_died(void *ctx) {
    struct attempt *t = ctx;
    t->slot = NULL;
    if (t->phase == TASK_RUN)
        task_over(t, EXEC_LOST, "its runner died");
}

const struct slot_owner task_owner = {.started = on_started, .ended = on_ended, .died = on_died};

/* -- the way to a process -- */

static size_t strings_put(char *out, size_t at, const char *s) {
    size_t n = strlen(s) + 1;
    memcpy(out + at, s, n);
    return at + n;
}

static int launch(struct attempt *t, struct err *e) {
    struct runner_run run = {.attempt = t->attempt, .time_limit_us = t->start->time_limit_us,
                             .n_argv = t->start->n_argv, .n_env = t->start->n_env};
    struct cgroup_limits limits = {.cores = t->start->cores, .memory_bytes = t->start->memory_bytes};
    size_t at = 0;
    run.has_checkpoints = t->start->checkpoints || t->start->checkpoint.name[0];
    str_copy(run.task, sizeof run.task, t->name);
    for (uint32_t i = 0; i < run.n_argv; i++)
        at = strings_put(run.strings, at, t->start->argv[i]);
    for (uint32_t i = 0; i < run.n_env; i++)
        at = strings_put(run.strings, at, t->start->env[i]);
    int rc = folder_make(t, e);
    rc = rc ? rc : inputs_lay(t, e);
    rc = rc ? rc : spool_put(t->a, SPOOL_LAUNCH, &table_exec_report, &t->report, NULL, NULL, e);
    if (rc)
        return rc;
    t->was_launched = true;
    t->phase = TASK_RUN;
    slot_own(t->slot, &task_owner, t);
    return slot_run(t->slot, &run, &limits, NULL, e);
}

static void on_slot(void *ctx, struct slot *s) {
    struct attempt *t = ctx;
    struct err e = {0};
    t->slot = s;
    if (!launch(t, &e))
        return;
    t->report.state = EXEC_FAILED;
    char why[256];
    snprintf(why, sizeof why, "%.120s%s%.120s", e.message, e.detail[0] ? ": " : "", e.detail);
    if (t->phase == TASK_RUN) { /* the runner has it half: it must not live */
        slot_kill(s);
        t->slot = NULL;
    }
    task_over(t, EXEC_FAILED, why);
}

static void wait_for_slot(struct attempt *t) {
    t->phase = TASK_WAIT;
    t->report.fetched_us = loop_now_us(t->a->loop);
    slot_wait(t->a, &t->slot_wait, on_slot, t);
}

static void on_fetched(void *ctx, int rc, double moved_bytes, const struct err *e) {
    struct attempt *t = ctx;
    char why[256];
    t->report.moved_bytes += moved_bytes;
    t->n_fetching--;
    if (rc) {
        snprintf(why, sizeof why, "an input could not be fetched: %.200s", e->message);
        task_over(t, EXEC_FAILED, why);
    } else if (!t->n_fetching && t->phase == TASK_FETCH)
        wait_for_slot(t);
}

void task_begin(struct attempt *t) {
    if (t->behind || !t->is_accepted)
        return; /* called again when the other one has come */
    t->phase = TASK_FETCH;
    t->report.state = EXEC_FETCHING;
    if (!t->start->n_inputs && !t->start->checkpoint.name[0]) {
        wait_for_slot(t);
        return;
    }
    report(t);
    t->n_fetching = t->start->n_inputs + !!t->start->checkpoint.name[0];
    for (uint32_t i = 0; i < t->start->n_inputs; i++)
        blob_fetch(t->a, &t->start->inputs[i], on_fetched, t);
    if (t->start->checkpoint.name[0])
        blob_fetch(t->a, &t->start->checkpoint, on_fetched, t);
}

/* -- stop -- */

static void stop(struct attempt *t, enum runner_end end, int64_t grace_us, const char *reason) {
    if (t->phase == TASK_RUN) {
        str_copy(t->stop_reason, sizeof t->stop_reason, reason);
        slot_stop(t->slot, t->attempt, end, grace_us);
    } else if (t->phase < TASK_RUN && t->phase != TASK_ACCEPT)
        task_over(t, EXEC_STOPPED, reason);
    else if (t->phase == TASK_ACCEPT) { /* its start is not answered yet */
        t->stop_asked = true;
        str_copy(t->stop_reason, sizeof t->stop_reason, reason);
    }
}

/* A newer attempt is here: this one ends, unheard, and the newer one begins when it is dead. */
static void supersede(struct attempt *old, struct attempt *fresh) {
    if (old->phase == TASK_OVER) {
        task_free(old);
        return;
    }
    old->is_superseded = true;
    old->heir = fresh;
    fresh->behind = old;
    vec_push(&old->a->tasks->old, old);
    stop(old, END_STOPPED, 0, "superseded");
}

/* -- the lease -- */

static void on_lapse(void *ctx) {
    struct agent_state *a = ctx;
    struct tasks *ts = a->tasks;
    int64_t left = ts->lease_until_us - loop_mono_us(a->loop);
    if (left > 0) { /* it was renewed meanwhile: the timer is not moved at each word */
        timer_mono_in(a->loop, &ts->lease, left, on_lapse, a);
        return;
    }
    ts->has_lapsed = true;
    log_warn(a->config->name, "the controller's lease lapsed: stopping what runs");
    for (size_t i = ts->by_name.n; i-- > 0;)
        stop(ts->by_name.entries[i].value.ptr, END_LEASE, LAPSE_GRACE_US, "the controller's lease lapsed");
    functions_lapse(a);
}

/* Any word of the controller. Runners are told when an eighth of the lease has gone since they last were. */
static void renew(struct agent_state *a) {
    struct tasks *ts = a->tasks;
    int64_t now = loop_mono_us(a->loop);
    if (!ts->lease_us)
        return;
    ts->has_lapsed = false;
    ts->lease_until_us = now + ts->lease_us;
    if (!timer_is_set(&ts->lease))
        timer_mono_in(a->loop, &ts->lease, ts->lease_us, on_lapse, a);
    if (now - ts->lease_told_us >= ts->lease_us / 8) {
        ts->lease_told_us = now;
        slot_lease(a, ts->lease_until_us);
    }
}

int task_lease(struct agent_state *a, const struct exec_lease *in, struct err *e) {
    struct tasks *ts = a->tasks;
    if (in->epoch < ts->epoch)
        return err_set(e, E_CONFLICT, "lease epoch %lld is over: %lld was seen", (long long)in->epoch, (long long)ts->epoch);
    if (in->lease_us <= 0)
        return err_set(e, E_INVAL, "a lease lasts longer than %lld us", (long long)in->lease_us);
    if (in->epoch > ts->epoch) {
        int rc = spool_put(a, SPOOL_LEASE, &table_exec_lease, in, NULL, NULL, e);
        if (rc)
            return rc;
        ts->epoch = in->epoch;
    }
    if (in->lease_us != ts->lease_us)
        timer_cancel(a->loop, &ts->lease);
    ts->lease_us = in->lease_us;
    ts->lease_told_us = 0;
    renew(a);
    return 0;
}

/* -- the verbs -- */

static void accepted_tell(struct attempt *t, int rc, const struct err *e) {
    for (size_t i = 0; i < t->waiting.n; i++)
        t->waiting.p[i].fn(t->waiting.p[i].ctx, rc, e);
    vec_free(&t->waiting);
}

static void on_accepted(void *ctx, int rc, const struct err *e) {
    struct attempt *t = ctx;
    struct err old = {0};
    if (t->a->tasks->is_closing) {
        accepted_tell(t, rc, e); /* in the spool: the next agent begins it */
        return;
    }
    if (t->is_superseded) {
        accepted_tell(t, err_set(&old, E_CONFLICT, "a newer attempt of %s came meanwhile", t->name), &old);
        over(t);
        return;
    }
    t->is_accepted = true;
    accepted_tell(t, rc, e);
    if (rc) {
        task_free(t); /* whether it is in the file, nobody knows; nobody was told that it is */
        return;
    }
    if (t->stop_asked)
        task_over(t, EXEC_STOPPED, t->stop_reason);
    else
        task_begin(t);
}

/* What needs no disk: known already, refused. False = it is new. */
static bool start_known(struct agent_state *a, const struct exec_start *in, started_fn *fn, void *ctx) {
    struct attempt *t = find(a->tasks, in->task);
    int64_t seen = t ? t->attempt : fence_of(a->tasks, in->task);
    struct err e = {0};
    int rc = 0;
    if (!str_is_name(in->task) || in->attempt < 1 || !in->n_argv || !in->argv[0][0])
        rc = err_set(&e, E_INVAL, "task '%s': a start needs a name, an attempt above 0 and a program", in->task);
    else if (in->attempt < seen || (!t && in->attempt == seen))
        rc = err_set(&e, E_CONFLICT, "attempt %lld of %s is not run: attempt %lld was seen%s", (long long)in->attempt, in->task,
                     (long long)seen, t ? "" : " and forgotten");
    else if (t && in->attempt == seen && t->phase == TASK_ACCEPT) {
        vec_push(&t->waiting, (struct started_wait){fn, ctx});
        return true;
    } else if (a->tasks->has_lapsed) {
        rc = err_set(&e, E_STATE, "the lease lapsed: renew it before starting %s", in->task);
    } else if (!t || in->attempt > seen)
        return false;
    fn(ctx, rc, &e);
    return true;
}

void task_start(struct agent_state *a, const struct exec_start *in, started_fn *fn, void *ctx) {
    struct err e = {0};
    if (start_known(a, in, fn, ctx))
        return;
    renew(a);
    struct attempt *t = task_new(a, in->task, in->attempt), *old = find(a->tasks, in->task);
    int rc = spool_put(a, SPOOL_START, &table_exec_start, in, on_accepted, t, &e);
    if (rc) {
        task_free(t);
        fn(ctx, rc, &e);
        return;
    }
    t->start = malloc(sizeof *in);
    assert(t->start);
    *t->start = *in;
    vec_push(&t->waiting, (struct started_wait){fn, ctx});
    table_put(a->tasks, t);
    if (old)
        supersede(old, t);
}

int task_stop(struct agent_state *a, const struct exec_stop *in, struct err *e) {
    struct attempt *t = find(a->tasks, in->task);
    if (!t)
        return err_set(e, E_NOTFOUND, "no task %s is here", in->task);
    renew(a);
    if (!in->attempt || in->attempt == t->attempt)
        stop(t, END_STOPPED, in->grace_us, "stopped");
    return 0; /* another attempt: an older one is dead or dying, a newer one is not what was meant */
}

int task_forget(struct agent_state *a, const struct exec_task *in, struct err *e) {
    char path[600];
    struct attempt *t = find(a->tasks, in->task);
    if (!t || (in->attempt && in->attempt < t->attempt))
        return 0; /* forgotten already */
    if (in->attempt > t->attempt)
        return err_set(e, E_NOTFOUND, "attempt %lld of %s is not known here", (long long)in->attempt, in->task);
    if (t->phase != TASK_OVER)
        return err_set(e, E_STATE, "%s has not ended: it cannot be forgotten", in->task);
    struct exec_task row = {.attempt = t->attempt};
    str_copy(row.task, sizeof row.task, t->name);
    int rc = spool_put(a, SPOOL_FORGET, &table_exec_task, &row, NULL, NULL, e);
    if (rc)
        return rc;
    renew(a);
    log_keep(a, t->name);
    task_folder(a, t->name, path, sizeof path);
    folder_drop(a, path);
    task_fenced(a->tasks, row.task, row.attempt);
    task_free(t);
    if (spool_bytes(a->spool) > a->tasks->rewrite_bytes)
        rc = tasks_rewrite(a, e);
    return rc;
}

struct doc *task_list(struct agent_state *a, struct arena *ar) {
    struct doc *list = doc_seq(ar);
    for (size_t i = 0; i < a->tasks->by_name.n; i++) {
        struct attempt *t = a->tasks->by_name.entries[i].value.ptr;
        struct exec_report r = t->report;
        struct cgroup_usage u;
        if (t->phase == TASK_END) /* not before it is on the disk */
            r = (struct exec_report){.attempt = r.attempt, .state = EXEC_RUNNING, .fetched_us = r.fetched_us,
                                     .started_us = r.started_us};
        str_copy(r.task, sizeof r.task, t->name);
        if (t->phase == TASK_RUN && (a->cgroups.have & CG_CPUACCT)) {
            slot_usage(t->slot, &t->base, &u);
            r.cpu_s = (double)u.cpu_us / 1e6;
            r.memory_peak_bytes = (double)u.memory_peak_bytes;
            str_copy(r.cpu_from, sizeof r.cpu_from, "cgroup");
        }
        doc_push(list, table_write(&table_exec_report, &r, ar, NULL, 0));
    }
    return list;
}

/* -- logs -- */

/* Length of the character at p, 0 = cut off by the end, -1 = not UTF-8. */
static int character(const unsigned char *p, size_t n) {
    int want = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3 : *p >= 0xf0 && *p < 0xf5 ? 4 : -1;
    for (int i = 1; i < want; i++) {
        if ((size_t)i == n)
            return 0;
        if ((p[i] & 0xc0) != 0x80)
            return -1;
    }
    return want < 1 || str_is_utf8((const char *)p, (size_t)want) ? want : -1;
}

/* Bytes that are no text become '?', one for one: so the reader's next offset is this one plus what it got. A character
 * that goes on behind the chunk is left for the next. */
static size_t text_clean(char *p, size_t n, bool is_last) {
    for (size_t i = 0; i < n;) {
        int k = character((unsigned char *)p + i, n - i);
        if (!k && !is_last && i)
            return i;
        if (k < 1)
            p[i] = '?';
        i += k < 1 ? 1 : (size_t)k;
    }
    return n;
}

int task_logs(struct agent_state *a, const struct exec_logs *in, struct exec_log_chunk *out, struct arena *ar,
              struct err *e) {
    char path[640];
    struct stat st = {0};
    if (find(a->tasks, in->task)) {
        task_folder(a, in->task, path, 600);
        strcat(path, "/log");
    } else if (!str_is_name(in->task) || (!log_find(a, in->task, path, sizeof path) && !fence_of(a->tasks, in->task))) {
        return err_set(e, E_NOTFOUND, "no task %s is here", in->task);
    }
    *out = (struct exec_log_chunk){.text = doc_str(ar, ""), .offset_bytes = in->offset_bytes};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return 0; /* it has not started */
    }
    size_t most = in->limit_bytes > 0 && in->limit_bytes < LOG_CHUNK_MAX ? (size_t)in->limit_bytes : LOG_CHUNK_MAX;
    char *p = arena_alloc(ar, most);
    ssize_t n = in->offset_bytes < 0 ? 0 : pread(fd, p, most, in->offset_bytes);
    close(fd);
    out->size_bytes = st.st_size;
    if (n > 0)
        out->text = doc_strn(ar, p, text_clean(p, (size_t)n, in->offset_bytes + n >= st.st_size));
    return 0;
}

/* -- life -- */

int tasks_open(struct agent_state *a, struct err *e) {
    struct tasks *ts = a->tasks = calloc(1, sizeof *ts);
    assert(ts);
    ts->fences = calloc(FENCES, sizeof *ts->fences);
    assert(ts->fences);
    ts->rewrite_bytes = REWRITE_BYTES;
    int rc = slots_open(a, e);
    rc = rc ? rc : folders_open(a, e);
    rc = rc ? rc : tasks_replay(a, e);
    if (rc)
        return rc;
    tasks_reattach(a);
    slots_warm(a);
    return 0;
}

void tasks_close(struct agent_state *a) {
    struct tasks *ts = a->tasks;
    if (!ts)
        return;
    for (size_t i = a->spool ? ts->by_name.n : 0; i-- > 0;) {
        struct attempt *t = ts->by_name.entries[i].value.ptr;
        struct cgroup_usage u = {0};
        if (t->phase == TASK_OVER || t->phase == TASK_END || t->phase == TASK_ACCEPT)
            continue; /* one that waits in the sync is told by spool_close */
        if (t->phase == TASK_RUN) {
            slot_usage(t->slot, &t->base, &u);
            t->report.cpu_s = (double)u.cpu_us / 1e6;
            slot_kill(t->slot);
            t->slot = NULL;
        }
        task_over(t, EXEC_STOPPED, "the agent was stopped");
    }
    slots_close(a);
    timer_cancel(a->loop, &ts->lease);
    timer_cancel(a->loop, &ts->checkpoints);
    ts->is_closing = true;
    spool_close(a->spool);
    a->spool = NULL;
    while (ts->old.n)
        task_free(ts->old.p[0]);
    while (ts->by_name.n)
        task_free(ts->by_name.entries[ts->by_name.n - 1].value.ptr);
    map_free(&ts->by_name);
    folders_close(a);
    map_free(&ts->fenced);
    vec_free(&ts->old);
    free(ts->fences);
    free(ts);
    a->tasks = NULL;
}
