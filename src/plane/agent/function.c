/* Functions: processes that stay. An instance reads one JSON line and answers with one, then the next.
 *
 * Instances live in slots like tasks, with stdin and stdout here and stderr in a log. An invocation goes to an idle
 * instance, the one used last (so that the others grow idle and end); if there is none, one is started, up to
 * instances_max, and it waits. An instance that dies, answers with something else than JSON, or does not answer in
 * time takes the one invocation it had with it; the others go on. CPU is the difference of its cgroup's counter.
 *
 * Limits: QUEUE_MAX invocations wait a function, a line holds LINE_BYTES_MAX. Nothing of this is durable: an
 * invocation is answered or it is not, and the controller deploys again after our hello. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/map.h"
#include "base/text.h"
#include "core/log.h"
#include "plane/agent/slot.h"
#include "plane/agent/task.h"

enum { QUEUE_MAX = 4096, LINE_BYTES_MAX = 1 << 20, STOP_GRACE_US = 1000000 };
enum { LOG_KEEP_BYTES = 4 << 20 };

struct invocation {
    struct deployed *f;
    char *line; /* with its newline */
    size_t n, sent;
    invoked_fn *fn;
    void *ctx;
    bool cold;
    int64_t since_us; /* mono */
    struct timer limit;
    struct invocation *next;
};

struct instance {
    struct deployed *f;
    int64_t number;
    struct slot *slot; /* NULL: it waits for one */
    struct slot_wait wait;
    int in, out;
    struct watch in_watch, out_watch;
    struct invocation *now;
    struct text answer;
    struct cgroup_usage base; /* counters when its invocation began */
    int64_t used_us;
    bool has_served, is_stopping;
    char why[160]; /* why we stop it */
    struct timer idle;
    struct instance *next;
};

struct deployed {
    struct agent_state *a;
    struct exec_function row;
    struct instance *instances;
    struct invocation *queue, **tail;
    size_t n_queue, n_instances;
    bool is_retired;
};

struct functions {
    struct map by_name;
    int64_t numbers;
};

static void feed(struct deployed *f);
static const struct slot_owner instance_owner;

/* -- answers -- */

/* The caller's fn is told last: it may do anything. */
static void answer(struct invocation *v, int rc, struct exec_invoked *out, const struct err *e) {
    invoked_fn *fn = v->fn;
    void *ctx = v->ctx;
    timer_cancel(v->f->a->loop, &v->limit);
    out->cold = v->cold;
    out->wall_s = (double)(loop_mono_fresh_us() - v->since_us) / 1e6;
    out->instances = (int64_t)v->f->n_instances;
    free(v->line);
    free(v);
    fn(ctx, rc, out, e);
}

static void fail(struct invocation *v, int code, const char *name, const char *why) {
    struct exec_invoked out = {0};
    struct err e = {0};
    err_set(&e, code, "function %s: %s", name, why);
    answer(v, code, &out, &e);
}

static struct invocation *queue_pop(struct deployed *f) {
    struct invocation *v = f->queue;
    if (!v)
        return NULL;
    f->queue = v->next;
    if (!f->queue)
        f->tail = &f->queue;
    f->n_queue--;
    v->next = NULL;
    return v;
}

static void queue_fail(struct deployed *f, int code, const char *why) {
    char name[ESTATE_NAME];
    struct invocation *v = f->queue;
    str_copy(name, sizeof name, f->row.function);
    f->queue = NULL; /* whole: an answer may bring the next one, and f may go */
    f->tail = &f->queue;
    f->n_queue = 0;
    while (v) {
        struct invocation *next = v->next;
        fail(v, code, name, why);
        v = next;
    }
}

/* -- instances -- */

static void pipes_close(struct instance *x) {
    struct loop *l = x->f->a->loop;
    watch_stop(l, &x->in_watch);
    watch_stop(l, &x->out_watch);
    if (x->in >= 0)
        close(x->in);
    if (x->out >= 0)
        close(x->out);
    x->in = x->out = -1;
}

static void instance_folder(const struct instance *x, char *out, size_t size) {
    char name[ESTATE_NAME + 32];
    snprintf(name, sizeof name, ".fn-%lld", (long long)x->number);
    task_folder(x->f->a, name, out, size);
}

static void instances_tell(const struct deployed *f) {
    struct exec_instances x = {.instances = (int64_t)f->n_instances};
    str_copy(x.function, sizeof x.function, f->row.function);
    serve_instances(f->a, &x);
}

/* Its slot is free or gone. */
static void instance_free(struct instance *x) {
    struct deployed *f = x->f;
    char folder[600];
    for (struct instance **p = &f->instances; *p; p = &(*p)->next)
        if (*p == x) {
            *p = x->next;
            break;
        }
    f->n_instances--;
    instances_tell(f);
    pipes_close(x);
    timer_cancel(f->a->loop, &x->idle);
    slot_wait_cancel(f->a, &x->wait);
    instance_folder(x, folder, sizeof folder);
    folder_drop(f->a, folder);
    text_free(&x->answer);
    free(x);
}

static void instance_stop(struct instance *x, const char *why, int64_t grace_us) {
    if (x->is_stopping)
        return;
    x->is_stopping = true;
    str_copy(x->why, sizeof x->why, why);
    if (x->slot)
        slot_stop(x->slot, x->number, END_STOPPED, grace_us);
}

/* It ended, by itself or because we stopped it. One that never served takes an invocation with it even if it had none
 * yet: a program that dies at once must not be started for ever. */
static void instance_gone(struct instance *x, const char *why) {
    struct deployed *f = x->f;
    struct invocation *v = x->now;
    char name[ESTATE_NAME], reason[256];
    str_copy(name, sizeof name, f->row.function);
    str_copy(reason, sizeof reason, x->why[0] ? x->why : why);
    if (!v && !x->has_served && !x->is_stopping)
        v = queue_pop(f);
    instance_free(x);
    bool is_last = f->is_retired && !f->instances;
    if (!is_last)
        feed(f);
    if (v)
        fail(v, E_UNAVAIL, name, reason);
    if (is_last)
        free(f);
}

static void on_ended(void *ctx, const struct runner_ended *m) {
    struct instance *x = ctx;
    struct cgroup_usage u;
    char why[160];
    slot_usage(x->slot, &m->base, &u);
    if (m->end == END_CANNOT)
        str_copy(why, sizeof why, m->reason);
    else if (u.oom_kills > 0)
        str_copy(why, sizeof why, "its instance exceeded its memory limit");
    else if (WIFSIGNALED(m->status))
        snprintf(why, sizeof why, "its instance was killed by signal %d (%s)", WTERMSIG(m->status),
                 strsignal(WTERMSIG(m->status)));
    else
        snprintf(why, sizeof why, "its instance ended with exit status %d", WEXITSTATUS(m->status));
    struct slot *s = x->slot;
    x->slot = NULL;
    slot_done(s);
    instance_gone(x, why);
}

static void on_died(void *ctx) {
    struct instance *x = ctx;
    x->slot = NULL;
    instance_gone(x, "its instance's runner died");
}

static void on_started(void *ctx, const struct runner_started *m) { (void)ctx, (void)m; }

static const struct slot_owner instance_owner = {.started = on_started, .ended = on_ended, .died = on_died};

static void on_idle(void *ctx) { instance_stop(ctx, "idle", STOP_GRACE_US); }

static void on_limit(void *ctx) {
    struct invocation *v = ctx;
    char why[160];
    struct text limit = TEXT_INIT;
    unit_print((double)v->f->row.timeout_us, "us", &limit);
    snprintf(why, sizeof why, "no answer within %s", text_str(&limit));
    text_free(&limit);
    for (struct instance *x = v->f->instances; x; x = x->next)
        if (x->now == v)
            instance_stop(x, why, 0);
}

/* -- one invocation -- */

static void send_more(struct instance *x) {
    struct invocation *v = x->now;
    while (v && v->sent < v->n) {
        ssize_t n = write(x->in, v->line + v->sent, v->n - v->sent);
        if (n < 0) {
            if (errno != EAGAIN)
                break; /* it died: its end says how */
            watch_events(x->f->a->loop, &x->in_watch, WATCH_WRITE);
            return;
        }
        v->sent += (size_t)n;
    }
    watch_events(x->f->a->loop, &x->in_watch, 0);
}

static void on_writable(void *ctx, int fd, int events) {
    struct instance *x = ctx;
    (void)fd;
    if (events & WATCH_WRITE)
        send_more(x);
    else
        watch_stop(x->f->a->loop, &x->in_watch); /* hung up */
}

static void invocation_begin(struct instance *x, struct invocation *v) {
    struct deployed *f = x->f;
    timer_cancel(f->a->loop, &x->idle);
    x->now = v;
    x->used_us = loop_mono_us(f->a->loop);
    v->cold |= !x->has_served;
    if (f->a->cgroups.have & CG_CPUACCT)
        cgroup_read(&f->a->cgroups, slot_name(x->slot), &x->base);
    if (f->row.timeout_us && !timer_is_set(&v->limit))
        timer_mono_in(f->a->loop, &v->limit, f->row.timeout_us, on_limit, v);
    send_more(x);
}

static void invocation_end(struct instance *x, struct doc *output) {
    struct deployed *f = x->f;
    struct invocation *v = x->now;
    struct exec_invoked out = {.output = output};
    struct cgroup_usage u = {0};
    if (f->a->cgroups.have & CG_CPUACCT)
        cgroup_read(&f->a->cgroups, slot_name(x->slot), &u);
    out.cpu_s = (double)(u.cpu_us - x->base.cpu_us) / 1e6;
    x->now = NULL;
    x->has_served = true;
    text_reset(&x->answer);
    if (f->row.idle_us)
        timer_mono_in(f->a->loop, &x->idle, f->row.idle_us, on_idle, x);
    answer(v, 0, &out, NULL); /* may change what f has */
}

static void answer_read(struct instance *x) {
    struct arena ar = ARENA_INIT;
    struct err e = {0};
    struct doc *d;
    char why[160];
    static const struct doc_limits limits = {.bytes_max = LINE_BYTES_MAX, .depth_max = 32};
    struct agent_state *a = x->f->a;
    const char *p = text_str(&x->answer), *nl = memchr(p, '\n', x->answer.n);
    if (nl + 1 != p + x->answer.n)
        instance_stop(x, "it answered with more than one line", 0);
    else if (json_parse(&ar, "answer", p, (size_t)(nl - p), &limits, &d, &e)) {
        snprintf(why, sizeof why, "its answer is not JSON: %.120s", e.message);
        instance_stop(x, why, 0);
    } else {
        char name[ESTATE_NAME];
        str_copy(name, sizeof name, x->f->row.function);
        invocation_end(x, d);
        struct deployed *f = a->functions ? map_ptr(&a->functions->by_name, name) : NULL;
        if (f)
            feed(f);
    }
    arena_free(&ar);
}

static void on_readable(void *ctx, int fd, int events) {
    static char bytes[65536];
    struct instance *x = ctx;
    (void)events;
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        watch_stop(x->f->a->loop, &x->out_watch); /* it has ended, or else it ends now: nobody can hear it any more */
        slot_stop(x->slot, x->number, END_STOPPED, STOP_GRACE_US);
        return;
    }
    if (!x->now || x->is_stopping) {
        instance_stop(x, "it wrote without being asked", 0);
        return;
    }
    text_add_n(&x->answer, bytes, (size_t)n);
    if (x->answer.n > LINE_BYTES_MAX)
        instance_stop(x, "its answer is longer than 1 MiB", 0);
    else if (memchr(bytes, '\n', (size_t)n))
        answer_read(x);
}

/* -- starting instances -- */

static int log_open(struct deployed *f) {
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%.400s/functions", f->a->config->folder);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%.400s/functions/%s.log", f->a->config->folder, f->row.function);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && !fstat(fd, &st) && st.st_size > LOG_KEEP_BYTES && ftruncate(fd, 0))
        log_warn(f->row.function, "its log cannot be cut short");
    return fd;
}

static int instance_run(struct instance *x, struct err *e) {
    struct deployed *f = x->f;
    struct runner_run run = {.is_function = 1, .attempt = x->number, .n_argv = f->row.n_argv};
    struct cgroup_limits limits = {.cores = f->row.cores, .memory_bytes = f->row.memory_bytes};
    int in[2] = {-1, -1}, out[2] = {-1, -1}, log = log_open(f), rc = 0;
    size_t at = 0;
    snprintf(run.task, sizeof run.task, ".fn-%lld", (long long)x->number);
    for (uint32_t i = 0; i < run.n_argv; i++) {
        size_t n = strlen(f->row.argv[i]) + 1;
        memcpy(run.strings + at, f->row.argv[i], n);
        at += n;
    }
    if (log < 0 || pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
        rc = err_errno(e, errno, "no pipes for an instance of %s", f->row.function);
    if (!rc) {
        fcntl(in[1], F_SETFL, O_NONBLOCK);
        fcntl(out[0], F_SETFL, O_NONBLOCK);
        slot_own(x->slot, &instance_owner, x);
        rc = slot_run(x->slot, &run, &limits, (int[]){in[0], out[1], log}, e);
    }
    int ours[] = {in[0], out[1], log};
    for (int i = 0; i < 3; i++)
        if (ours[i] >= 0)
            close(ours[i]);
    x->in = in[1];
    x->out = out[0];
    if (rc)
        return rc;
    watch_start(f->a->loop, &x->in_watch, x->in, 0, on_writable, x);
    watch_start(f->a->loop, &x->out_watch, x->out, WATCH_READ, on_readable, x);
    return 0;
}

static void on_slot(void *ctx, struct slot *s) {
    struct instance *x = ctx;
    struct err e = {0};
    char why[160];
    x->slot = s;
    if (instance_run(x, &e)) {
        snprintf(why, sizeof why, "%.100s: %.50s", e.message, e.detail);
        slot_kill(s);
        x->slot = NULL;
        instance_gone(x, why);
        return;
    }
    feed(x->f);
}

static void instance_start(struct deployed *f) {
    struct instance *x = calloc(1, sizeof *x);
    assert(x);
    x->f = f;
    x->in = x->out = -1;
    x->number = ++f->a->functions->numbers;
    x->next = f->instances;
    f->instances = x;
    f->n_instances++;
    slot_wait(f->a, &x->wait, on_slot, x);
}

/* Gives what waits to who is idle; starts instances for the rest. */
static void feed(struct deployed *f) {
    size_t coming = 0;
    for (struct instance *x = f->instances; x; x = x->next)
        coming += !x->slot && !x->is_stopping;
    while (f->queue) {
        struct instance *idle = NULL;
        for (struct instance *x = f->instances; x; x = x->next)
            if (x->slot && !x->now && !x->is_stopping && (!idle || x->used_us > idle->used_us))
                idle = x;
        if (!idle)
            break;
        invocation_begin(idle, queue_pop(f));
    }
    while (f->n_queue > coming && (int64_t)f->n_instances < (f->row.instances_max > 1 ? f->row.instances_max : 1)) {
        for (struct invocation *v = f->queue; v; v = v->next)
            v->cold |= !f->instances; /* it waits for the first */
        instance_start(f);
        coming++;
    }
}

/* -- the verbs -- */

static void instances_stop(struct deployed *f, const char *why, int64_t grace_us) {
    for (struct instance *x = f->instances, *next; x; x = next) {
        next = x->next;
        if (x->slot) {
            instance_stop(x, why, grace_us);
            continue;
        }
        instance_free(x); /* it only waited for a slot */
    }
}

int function_deploy(struct agent_state *a, const struct exec_function *in, struct err *e) {
    struct deployed *f = map_ptr(&a->functions->by_name, in->function);
    if (!str_is_name(in->function) || !in->n_argv || !in->argv[0][0])
        return err_set(e, E_INVAL, "function '%s' needs a name and a program", in->function);
    if (f)
        instances_tell(f);
    if (f && table_hash(&table_exec_function, &f->row, 0) == table_hash(&table_exec_function, in, 0))
        return 0;
    if (f) {
        f->row = *in;
        instances_stop(f, "another version was deployed", STOP_GRACE_US);
        feed(f);
        return 0;
    }
    f = calloc(1, sizeof *f);
    assert(f);
    f->a = a;
    f->row = *in;
    f->tail = &f->queue;
    map_put(&a->functions->by_name, f->row.function, NULL)->value.ptr = f;
    instances_tell(f);
    return 0;
}

static void retire(struct deployed *f, const char *why, int64_t grace_us) {
    map_del(&f->a->functions->by_name, f->row.function);
    f->is_retired = true;
    instances_stop(f, why, grace_us);
    queue_fail(f, E_CANCELLED, why);
    if (!f->instances)
        free(f); /* else with its last instance */
}

int function_retire(struct agent_state *a, const struct exec_function *in, struct err *e) {
    struct deployed *f = map_ptr(&a->functions->by_name, in->function);
    (void)e;
    if (f)
        retire(f, "it was retired", STOP_GRACE_US);
    return 0;
}

struct refusal {
    invoked_fn *fn;
    void *ctx;
    struct err e;
};

static void refuse(void *ctx) {
    struct refusal *r = ctx;
    struct exec_invoked out = {0};
    r->fn(r->ctx, r->e.code, &out, &r->e);
    free(r);
}

/* Later, like every other answer. */
static void refuse_later(struct agent_state *a, invoked_fn *fn, void *ctx, int code, const char *name, const char *why) {
    struct refusal *r = calloc(1, sizeof *r);
    assert(r);
    *r = (struct refusal){.fn = fn, .ctx = ctx};
    err_set(&r->e, code, "function %s: %s", name, why);
    loop_defer(a->loop, refuse, r);
}

void function_invoke(struct agent_state *a, const struct exec_invoke *in, invoked_fn *fn, void *ctx) {
    struct deployed *f = map_ptr(&a->functions->by_name, in->function);
    struct text line = TEXT_INIT;
    const char *why = !f                        ? "it is not deployed here"
                      : f->n_queue >= QUEUE_MAX ? "too many invocations wait (4096)"
                                                : NULL;
    if (why) {
        refuse_later(a, fn, ctx, f ? E_UNAVAIL : E_NOTFOUND, in->function, why);
        return;
    }
    if (in->input)
        json_print(&line, in->input, 0);
    else
        text_add(&line, "null");
    text_add_char(&line, '\n');
    if (line.n > LINE_BYTES_MAX) {
        text_free(&line);
        refuse_later(a, fn, ctx, E_LIMIT, in->function, "its input is longer than 1 MiB");
        return;
    }
    struct invocation *v = calloc(1, sizeof *v);
    assert(v);
    *v = (struct invocation){.f = f, .n = line.n, .fn = fn, .ctx = ctx, .since_us = loop_mono_fresh_us()};
    v->line = text_take(&line);
    *f->tail = v;
    f->tail = &v->next;
    f->n_queue++;
    feed(f);
}

/* -- life -- */

int functions_open(struct agent_state *a, struct err *e) {
    (void)e;
    a->functions = calloc(1, sizeof *a->functions);
    assert(a->functions);
    return 0;
}

void functions_lapse(struct agent_state *a) {
    for (size_t i = a->functions ? a->functions->by_name.n : 0; i-- > 0;) {
        struct deployed *f = a->functions->by_name.entries[i].value.ptr;
        instances_stop(f, "the controller's lease lapsed", 0);
        queue_fail(f, E_UNAVAIL, "the controller's lease lapsed");
    }
}

void functions_close(struct agent_state *a) {
    struct functions *fs = a->functions;
    if (!fs)
        return;
    while (fs->by_name.n) {
        struct deployed *f = fs->by_name.entries[fs->by_name.n - 1].value.ptr;
        map_del(&fs->by_name, f->row.function);
        f->is_retired = true;
        while (f->instances) {
            struct instance *x = f->instances;
            struct invocation *v = x->now;
            if (x->slot)
                slot_kill(x->slot);
            instance_free(x);
            if (v)
                fail(v, E_CANCELLED, f->row.function, "the agent was stopped");
        }
        queue_fail(f, E_CANCELLED, "the agent was stopped");
        free(f);
    }
    map_free(&fs->by_name);
    free(fs);
    a->functions = NULL;
}
