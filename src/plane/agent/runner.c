/* The process of a slot. See runner.h for what it is; here: its messages, its one task, its end. */
#include "plane/agent/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "core/loop.h"
#include "plane/agent/agent.h"
#include "plane/agent/sandbox.h"

enum { ORPHAN_US = 60000000, LINE_MAX_BYTES = 1024, PUMP_BYTES = 65536, STACK_BYTES = 65536, GRACE_US = 2000000 };

struct stream {
    struct watch watch;
    int fd; /* our end of the pipe, or -1 */
};

struct runner {
    struct loop *loop;
    struct sandbox box;
    struct runner_setup setup;
    int agent; /* -1: none */
    struct watch agent_watch, listen_watch;
    int state; /* RUNNER_IDLE … */
    struct runner_run run;
    char folder[RUNNER_PATH + 80];
    int stdio[3]; /* the task's ends */
    struct stream streams[2];
    int log;
    int64_t log_bytes;
    char line[LINE_MAX_BYTES]; /* of stdout, as far as it was read */
    size_t line_n;
    pid_t pid;
    int64_t started_us;
    int64_t cpu_base_us; /* of children reaped before this task */
    int end;             /* why it was stopped: enum runner_end */
    int oom;
    char oom_own[16];
    struct timer limit, lease, kill;
    struct runner_ended ended;
};

static char child_stack[STACK_BYTES] __attribute__((aligned(64)));

/* -- the end of processes -- */

/* Where we are no pid 1: as subreaper, so that what loses its parent comes to us and this ends. */
static void kill_children(void) {
    char path[64];
    int pid;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    while (f && fscanf(f, "%d", &pid) == 1)
        kill(pid, SIGKILL);
    if (f)
        fclose(f);
}

/* Who has no child left is alone: what loses its parent comes to us. kill(-1) looks at every process of the machine, and
 * most tasks leave none behind. */
static void kill_all(const struct runner *r) {
    for (pid_t pid; (pid = wait4(-1, NULL, WNOHANG, NULL)) != 0;)
        if (pid < 0 && errno == ECHILD)
            return;
    for (;;) {
        if (r->box.own_pids)
            kill(-1, SIGKILL); /* all but us, atomically: a fork sees the signal or is seen by it */
        else
            kill_children();
        if (wait4(-1, NULL, 0, NULL) < 0 && errno == ECHILD)
            return;
    }
}

static int64_t children_cpu_us(void) {
    struct rusage u;
    getrusage(RUSAGE_CHILDREN, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * (int64_t)1000000 + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

/* -- output -- */

static void log_put(struct runner *r, const char *p, size_t n) {
    static const char note[] = "\n[the log was cut here: it may hold 16 MiB]\n";
    if (r->log < 0 || r->log_bytes > LOG_BYTES_MAX)
        return;
    size_t room = (size_t)(LOG_BYTES_MAX - r->log_bytes), take = n < room ? n : room;
    bool is_cut = n > room;
    r->log_bytes += (int64_t)take + is_cut;
    if ((take && write(r->log, p, take) < 0) || (is_cut && write(r->log, note, sizeof note - 1) < 0))
        r->log_bytes = LOG_BYTES_MAX + 1; /* disk full: the task goes on without a log */
}

static void line_end(struct runner *r) {
    static const char word[] = "result ";
    r->line[r->line_n < sizeof r->line ? r->line_n : sizeof r->line - 1] = 0;
    if (!strncmp(r->line, word, sizeof word - 1))
        str_copy(r->ended.result, sizeof r->ended.result, r->line + sizeof word - 1);
    r->line_n = 0;
}

static void lines_scan(struct runner *r, const char *p, size_t n) {
    while (n) {
        const char *nl = memchr(p, '\n', n);
        size_t part = nl ? (size_t)(nl - p) : n, room = sizeof r->line - 1 - r->line_n;
        memcpy(r->line + r->line_n, p, part < room ? part : room);
        r->line_n += part < room ? part : room;
        if (!nl)
            return;
        line_end(r);
        p += part + 1;
        n -= part + 1;
    }
}

/* One read; false = nothing there now. */
static bool pump_once(struct runner *r, struct stream *s) {
    static char bytes[PUMP_BYTES];
    ssize_t n = s->fd < 0 ? -1 : read(s->fd, bytes, sizeof bytes);
    if (n > 0) {
        log_put(r, bytes, (size_t)n);
        if (s == &r->streams[0])
            lines_scan(r, bytes, (size_t)n);
        return true;
    }
    if (!n) {
        watch_stop(r->loop, &s->watch);
        close(s->fd);
        s->fd = -1;
    }
    return false;
}

static void on_output(void *ctx, int fd, int events) {
    struct runner *r = ctx;
    (void)events;
    pump_once(r, fd == r->streams[0].fd ? &r->streams[0] : &r->streams[1]);
}

static void streams_close(struct runner *r) {
    for (int i = 0; i < 2; i++) {
        struct stream *s = &r->streams[i];
        while (pump_once(r, s)) /* what is still in the pipe; its writers are dead */
            ;
        if (s->fd >= 0) {
            watch_stop(r->loop, &s->watch);
            close(s->fd);
            s->fd = -1;
        }
    }
    if (r->line_n)
        line_end(r);
    if (r->log >= 0)
        close(r->log);
    r->log = -1;
}

/* -- ends -- */

static void leave(struct runner *r, int status) {
    char path[RUNNER_PATH + 40];
    kill_all(r);
    if (!r->box.own_root) {
        snprintf(path, sizeof path, "%.390s/%s", r->setup.run, r->setup.slot);
        unlink(path);
    }
    _exit(status);
}

static bool agent_send(struct runner *r, const void *p, size_t n) {
    return r->agent >= 0 && send(r->agent, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* <tasks>/.end.<task>: no task may write there, so none can write another's end, or lay a link. */
static void end_write(struct runner *r) {
    char path[RUNNER_PATH + 80], fresh[RUNNER_PATH + 80];
    snprintf(path, sizeof path, "%s/.end.%s", r->box.tasks, r->ended.task);
    snprintf(fresh, sizeof fresh, "%s/.new.%s", r->box.tasks, r->ended.task);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    bool good = write(fd, &r->ended, sizeof r->ended) == (ssize_t)sizeof r->ended && !fsync(fd);
    close(fd);
    if (good && !rename(fresh, path)) {
        fd = open(r->box.tasks, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fsync(fd);
        close(fd);
    }
}

/* Nobody there to hear of it. A function's instance has no end that matters. */
static void over_alone(struct runner *r) {
    if (!r->run.is_function)
        end_write(r);
    leave(r, 0);
}

static void over(struct runner *r) {
    r->state = RUNNER_OVER;
    r->ended.ended_us = loop_mono_fresh_us();
    r->ended.end = (uint32_t)r->end;
    timer_cancel(r->loop, &r->limit);
    timer_cancel(r->loop, &r->lease);
    timer_cancel(r->loop, &r->kill);
    if (r->agent < 0)
        over_alone(r);
    agent_send(r, &r->ended, sizeof r->ended); /* failing: the hang-up follows */
}

static void main_ended(struct runner *r, int status, const struct rusage *u) {
    r->pid = 0;
    kill_all(r);
    sandbox_ipc_clear(&r->box);
    r->ended.status = status;
    r->ended.cpu_us = children_cpu_us() - r->cpu_base_us;
    r->ended.rss_bytes = (int64_t)u->ru_maxrss * 1024;
    streams_close(r);
    over(r);
}

static void on_child(void *ctx, int signo) {
    struct runner *r = ctx;
    struct rusage u;
    int status;
    (void)signo;
    for (pid_t pid; (pid = wait4(-1, &status, WNOHANG, &u)) > 0;)
        if (pid == r->pid) {
            main_ended(r, status, &u);
            return;
        }
}

static void kill_now(void *ctx) {
    struct runner *r = ctx;
    if (r->pid > 0)
        kill(r->pid, SIGKILL); /* the rest dies when we hear of it */
}

static void stop(struct runner *r, int end, int64_t grace_us) {
    if (r->state != RUNNER_BUSY || r->pid <= 0)
        return;
    if (r->end == END_EXIT)
        r->end = end;
    kill(-r->pid, SIGTERM);
    kill(-r->pid, SIGCONT);
    if (grace_us > 0)
        timer_mono_in(r->loop, &r->kill, grace_us, kill_now, r);
    else
        kill_now(r);
}

static void on_limit(void *ctx) { stop(ctx, END_TIME_LIMIT, GRACE_US); }
static void on_lease(void *ctx) { stop(ctx, END_LEASE, GRACE_US); }

static void lease_set(struct runner *r, int64_t until_us) {
    timer_cancel(r->loop, &r->lease);
    if (until_us)
        timer_mono_in(r->loop, &r->lease, until_us - loop_mono_fresh_us(), on_lease, r);
}

/* -- the start -- */

static void own(const struct runner *r, const char *name, uint32_t uid, uint32_t gid, mode_t mode) {
    char path[RUNNER_PATH + 160];
    struct stat st;
    snprintf(path, sizeof path, "%s%s%s", r->folder, *name ? "/" : "", name);
    if (mkdir(path, mode) && errno != EEXIST)
        return; /* the start fails at chdir and says so */
    if (!r->box.uid || lstat(path, &st))
        return;
    if ((st.st_uid != uid || st.st_gid != gid) && lchown(path, uid, gid))
        return;
    if ((st.st_mode & 07777) != mode)
        chmod(path, mode);
}

/* All root's, the top one sticky: the task writes in them, but replaces neither in/, out/, ckpt/ nor its log. Only what
 * the task needs: on a disk where much was just deleted ext4 searches long for an inode, and that was the dearest part
 * of a start. in/ is the agent's to make. /tmp is the folder itself. */
static void folder_prepare(struct runner *r) {
    uint32_t uid = r->box.uid;
    char path[RUNNER_PATH + 160];
    snprintf(r->folder, sizeof r->folder, "%s/%s", r->box.tasks, r->run.task);
    own(r, "", 0, uid, uid ? 01770 : 0700);
    if (!r->run.is_function)
        own(r, "out", 0, uid, uid ? 0770 : 0700);
    if (r->run.has_checkpoints) {
        own(r, "ckpt", 0, uid, uid ? 0770 : 0700);
        snprintf(path, sizeof path, "%s/ckpt/latest", r->folder);
        if (uid && lchown(path, uid, uid))
            errno = 0; /* there is none yet */
    }
    if (r->box.own_root) {
        unlink("/var/tmp");
        if (symlink(r->folder, "/var/tmp"))
            unlink("/var/tmp"); /* no /tmp rather than the one of another task */
    }
    if (r->run.is_function)
        return; /* its stderr is its log */
    snprintf(path, sizeof path, "%s/log", r->folder);
    r->log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    r->log_bytes = 0;
}

/* Reads of the log go through the agent. */
static bool pipes_make(struct runner *r) {
    r->stdio[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 2; i++) {
        int p[2];
        if (pipe2(p, O_CLOEXEC))
            return false;
        fcntl(p[0], F_SETFL, O_NONBLOCK);
        r->streams[i].fd = p[0];
        r->stdio[i + 1] = p[1];
        watch_start(r->loop, &r->streams[i].watch, p[0], WATCH_READ, on_output, r);
    }
    return r->stdio[0] >= 0;
}

static void stdio_close(struct runner *r) {
    for (int i = 0; i < 3; i++) {
        if (r->stdio[i] >= 0)
            close(r->stdio[i]);
        r->stdio[i] = -1;
    }
}

/* What the child needs, and its word back: it shares our memory until its exec. */
struct birth {
    const struct runner *r;
    int rules;
    char *argv[TASK_ARGV + 1], *env[24];
    const char *stage;
    int errnum;
};

static int child_main(void *ctx) {
    struct birth *b = ctx;
    const struct runner *r = b->r;
    sigset_t none;
    setsid();
    for (int i = 0; i < 3; i++)
        dup2(r->stdio[i], i);
    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    b->stage = "cannot enter its folder";
    if (chdir(r->folder)) {
        b->errnum = errno;
        _exit(127);
    }
    b->stage = "cannot be confined";
    if ((b->errnum = sandbox_enter(&r->box, b->rules)))
        _exit(127);
    b->stage = "cannot be executed";
    execvpe(b->argv[0], b->argv, b->env); /* searches in our PATH, which is the task's */
    b->errnum = errno;
    _exit(127);
}

static void birth_env(struct birth *b, struct runner *r, char *text, size_t size) {
    size_t n = 0, at = 0;
    const char *p = r->run.strings;
    for (uint32_t i = 0; i < r->run.n_argv; i++, p += strlen(p) + 1)
        b->argv[i] = (char *)(uintptr_t)p;
    for (uint32_t i = 0; i < r->run.n_env; i++, p += strlen(p) + 1)
        b->env[n++] = (char *)(uintptr_t)p; /* first: a task's own word counts */
    const struct {
        const char *name, *value, *end;
    } vars[] = {{"PATH", getenv("PATH"), ""},       {"HOME", r->folder, ""},         {"TMPDIR", r->folder, ""},
                {"SUAN_SHARE", r->box.share, ""},   {"SUAN_TASK", r->run.task, ""},  {"SUAN_CENTRE", r->setup.centre, ""},
                {"LANG", "C.UTF-8", ""}};
    for (size_t i = 0; i < sizeof vars / sizeof vars[0]; i++) {
        b->env[n++] = text + at;
        at += (size_t)snprintf(text + at, size - at, "%s=%s%s", vars[i].name, vars[i].value, vars[i].end) + 1;
    }
    b->env[n++] = text + at;
    snprintf(text + at, size - at, "SUAN_ATTEMPT=%lld", (long long)r->run.attempt);
}

/* Opened once: a look-up in /proc for each task costs more than the two writes. */
static void oom_open(struct runner *r) {
    r->oom = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    ssize_t n = r->oom < 0 ? 0 : pread(r->oom, r->oom_own, sizeof r->oom_own - 1, 0);
    r->oom_own[n > 0 ? n : 0] = 0;
}

static void oom_adjust(struct runner *r, const char *value) {
    if (r->oom >= 0 && *r->oom_own && pwrite(r->oom, value, strlen(value), 0) < 0)
        *r->oom_own = 0; /* not allowed here: let it be */
}

static void task_begin(struct runner *r) {
    static char env[4 * RUNNER_PATH + 1024];
    struct birth b = {.r = r, .rules = sandbox_rules(&r->box, r->folder), .stage = "cannot be started"};
    birth_env(&b, r, env, sizeof env);
    int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
    oom_adjust(r, "1000"); /* inherited: the task goes before its runner */
    pid_t pid = clone(child_main, child_stack + sizeof child_stack, flags | (r->box.new_ipc ? CLONE_NEWIPC : 0), &b);
    if (pid < 0 && r->box.new_ipc) {
        r->box.new_ipc = false;
        pid = clone(child_main, child_stack + sizeof child_stack, flags, &b);
    }
    if (pid < 0)
        b.errnum = errno;
    oom_adjust(r, r->oom_own);
    if (b.rules >= 0)
        close(b.rules);
    stdio_close(r);
    if (!b.errnum) {
        r->pid = pid;
        r->started_us = r->ended.started_us = loop_mono_fresh_us();
        struct runner_started m = {.word = RUNNER_STARTED, .attempt = r->run.attempt, .at_us = r->started_us};
        agent_send(r, &m, sizeof m);
        return;
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
    snprintf(r->ended.reason, sizeof r->ended.reason, "'%.48s' %s: %s", r->run.strings, b.stage, strerror(b.errnum));
    r->end = END_CANNOT;
    streams_close(r);
    over(r);
}

static void on_run(struct runner *r, int fds[3]) {
    r->state = RUNNER_BUSY;
    r->end = END_EXIT;
    r->line_n = 0;
    r->started_us = 0;
    r->cpu_base_us = children_cpu_us();
    r->ended = (struct runner_ended){.word = RUNNER_ENDED, .version = RUNNER_VERSION, .attempt = r->run.attempt,
                                     .base = r->run.base};
    str_copy(r->ended.slot, sizeof r->ended.slot, r->setup.slot);
    str_copy(r->ended.task, sizeof r->ended.task, r->run.task);
    folder_prepare(r);
    if (fds[2] >= 0)
        memcpy(r->stdio, fds, sizeof r->stdio);
    else if (!pipes_make(r)) {
        snprintf(r->ended.reason, sizeof r->ended.reason, "no pipe for its output: %s", strerror(errno));
        r->end = END_CANNOT;
        stdio_close(r);
        streams_close(r);
        over(r);
        return;
    }
    lease_set(r, r->run.lease_until_us);
    if (r->run.time_limit_us)
        timer_mono_in(r->loop, &r->limit, r->run.time_limit_us, on_limit, r);
    task_begin(r);
}

/* -- the agent -- */

static void hello(struct runner *r) {
    struct runner_hello h = {.word = RUNNER_HELLO, .version = RUNNER_VERSION, .attempt = r->run.attempt,
                             .started_us = r->started_us, .base = r->run.base, .state = (uint32_t)r->state,
                             .is_function = r->run.is_function};
    str_copy(h.slot, sizeof h.slot, r->setup.slot);
    str_copy(h.task, sizeof h.task, r->run.task);
    str_copy(h.lacks, sizeof h.lacks, r->box.lacks);
    agent_send(r, &h, sizeof h);
    if (r->state == RUNNER_OVER)
        agent_send(r, &r->ended, sizeof r->ended);
}

static void agent_gone(struct runner *r) {
    watch_stop(r->loop, &r->agent_watch);
    close(r->agent);
    r->agent = -1;
    if (r->state == RUNNER_OVER)
        over_alone(r);
    if (r->state == RUNNER_IDLE || r->run.is_function)
        leave(r, 0);
    if (!timer_is_set(&r->lease))
        lease_set(r, loop_mono_fresh_us() + ORPHAN_US);
}

union runner_in {
    uint32_t word;
    struct runner_setup setup;
    struct runner_run run;
    struct runner_stop stop;
    struct runner_lease lease;
};

/* Bytes of the message, 0 = the agent is gone, -1 = nothing now. */
static ssize_t receive(int fd, union runner_in *in, int fds[3]) {
    char control[CMSG_SPACE(3 * sizeof(int))];
    struct iovec v = {in, sizeof *in};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    memset(fds, -1, 3 * sizeof *fds);
    ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(3 * sizeof(int)))
        memcpy(fds, CMSG_DATA(c), 3 * sizeof(int));
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? -1 : 0;
}

static void on_agent(void *ctx, int fd, int events) {
    static union runner_in in;
    struct runner *r = ctx;
    int fds[3];
    (void)events;
    ssize_t n = receive(fd, &in, fds);
    if (n < 0)
        return;
    if (n < (ssize_t)sizeof in.word) {
        agent_gone(r);
        return;
    }
    switch (in.word) {
    case RUNNER_RUN:
        memcpy(&r->run, &in.run, (size_t)n < sizeof r->run ? (size_t)n : sizeof r->run);
        on_run(r, fds);
        break;
    case RUNNER_STOP:
        if (in.stop.attempt == r->run.attempt)
            stop(r, (int)in.stop.end, in.stop.grace_us);
        break;
    case RUNNER_LEASE:
        if (r->state == RUNNER_BUSY)
            lease_set(r, in.lease.until_us);
        break;
    case RUNNER_ACK:
        if (r->state == RUNNER_OVER)
            r->state = RUNNER_IDLE;
        break;
    default:
        break;
    }
}

/* A new agent: it holds the folder's lock, so the old one is gone whether we heard of it or not. */
static void on_connect(void *ctx, int fd, int events) {
    struct runner *r = ctx;
    (void)events;
    int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (s < 0)
        return;
    if (r->agent >= 0) {
        watch_stop(r->loop, &r->agent_watch);
        close(r->agent);
    }
    r->agent = s;
    watch_start(r->loop, &r->agent_watch, s, WATCH_READ, on_agent, r);
    hello(r);
}

/* Only without a pid namespace: there SIGKILL would leave the task behind. */
static void on_term(void *ctx, int signo) {
    (void)signo;
    leave(ctx, 0);
}

static void surroundings(const struct runner *r) {
    char path[RUNNER_PATH + 64];
    clearenv();
    snprintf(path, sizeof path, "%s%s/usr/local/bin:/usr/bin:/bin", r->box.programs, r->box.programs[0] ? ":" : "");
    setenv("PATH", path, 1);
    umask(022);
    int null = open("/dev/null", O_RDWR);
    for (int i = 0; i < 3; i++)
        dup2(null, i);
    if (null > 2)
        close(null);
    if (!r->box.own_pids)
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

int runner_main(void) {
    static struct runner r;
    static union runner_in in;
    struct err e = {0};
    int fds[3];
    if (receive(RUNNER_SOCKET, &in, fds) < (ssize_t)sizeof in.setup || in.word != RUNNER_SETUP ||
        in.setup.version != RUNNER_VERSION)
        return 1;
    r.setup = in.setup;
    r.agent = RUNNER_SOCKET;
    r.log = r.streams[0].fd = r.streams[1].fd = -1;
    memset(r.stdio, -1, sizeof r.stdio);
    fcntl(RUNNER_SOCKET, F_SETFD, FD_CLOEXEC);
    fcntl(RUNNER_LISTEN, F_SETFD, FD_CLOEXEC);
    if (listen(RUNNER_LISTEN, 4))
        return 1;
    bool is_limited = !cgroup_enter(&r.setup.cgroups, r.setup.slot, &e);
    sandbox_open(&r.box, &r.setup);
    if (!is_limited || !r.setup.cgroups.version)
        sandbox_lacks(&r.box, "cgroup limits");
    surroundings(&r);
    oom_open(&r);
    r.loop = loop_new(LOOP_REAL, 0);
    if (loop_signal(r.loop, SIGCHLD, on_child, &r) || (!r.box.own_pids && loop_signal(r.loop, SIGTERM, on_term, &r)) ||
        watch_start(r.loop, &r.agent_watch, r.agent, WATCH_READ, on_agent, &r) ||
        watch_start(r.loop, &r.listen_watch, RUNNER_LISTEN, WATCH_READ, on_connect, &r))
        return 1;
    hello(&r);
    return loop_run(r.loop);
}
