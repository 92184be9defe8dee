#include "plane/agent/slot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "base/vec.h"
#include "core/log.h"

enum { WARM = 2, MOST = 512, STARTING_MOST = 4, TASK_PIDS = 512, UID_FIRST = 61184 };
enum { GROW_US = 50000, IDLE_US = 10000000, HELLO_US = 2000000, CLOSE_US = 1500000 };

enum slot_state { SLOT_STARTING, SLOT_IDLE, SLOT_TAKEN };

struct slot {
    struct agent_state *a;
    char name[32];
    int index, fd;
    pid_t pid;
    enum slot_state state;
    bool own_pids, is_running, has_limits;
    struct watch watch;
    struct child child;
    const struct slot_owner *owner;
    void *ctx;
    struct cgroup_limits limits; /* as last written */
    struct cgroup_usage last;    /* counters when it last came free */
    int64_t idle_since;
};

struct slots {
    VEC(struct slot *) all;
    struct slot_wait *waiting, **waiting_tail;
    size_t n_waiting;
    int warm, processors, run_folder;
    int64_t freed_us; /* when a slot last came free */
    int64_t lease_until_us;
    struct timer grow, shrink;
    size_t confinement; /* index into the ways tried */
    char run[RUNNER_PATH], tasks[RUNNER_PATH], share[RUNNER_PATH], programs[RUNNER_PATH];
    bool is_closing, is_serving;
};

const char *slot_name(const struct slot *s) { return s->name; }

static void grow(struct agent_state *a);

/* -- sockets by a short path: sun_path holds 108 bytes, a folder may be deeper -- */

static void run_address(const struct slots *ss, const char *name, struct sockaddr_un *to) {
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(to->sun_path, sizeof to->sun_path, "/proc/self/fd/%d/%s", ss->run_folder, name);
}

static int listen_make(const struct slots *ss, const char *name) {
    struct sockaddr_un at;
    run_address(ss, name, &at);
    unlinkat(ss->run_folder, name, 0);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at))
        return fd; /* the runner listens: then the kernel shows its pid to who connects */
    if (fd >= 0)
        close(fd);
    return -1;
}

/* -- the end of a slot -- */

static void slot_remove(struct slot *s) {
    struct slots *ss = s->a->slots;
    for (size_t i = 0; i < ss->all.n; i++)
        if (ss->all.p[i] == s)
            ss->all.p[i] = ss->all.p[--ss->all.n];
    watch_stop(s->a->loop, &s->watch);
    watch_stop(s->a->loop, &s->child.watch);
    if (s->fd >= 0)
        close(s->fd);
    unlinkat(ss->run_folder, s->name, 0);
    cgroup_kill(&s->a->cgroups, s->name); /* nobody, unless there was no pid namespace */
    cgroup_remove(&s->a->cgroups, s->name);
    free(s);
}

static void on_death(void *ctx, pid_t pid, int status) {
    struct slot *s = ctx;
    const struct slot_owner *owner = s->owner;
    struct agent_state *a = s->a;
    void *owner_ctx = s->ctx;
    (void)pid, (void)status;
    s->child.watch.fd = -1; /* the loop has closed it */
    slot_remove(s);
    if (owner)
        owner->died(owner_ctx);
    grow(a);
}

void slot_kill(struct slot *s) {
    s->owner = NULL;
    s->state = SLOT_TAKEN;
    /* Without a pid namespace it must kill its task itself; a first process of one does not hear anything milder. */
    kill(s->pid, s->own_pids ? SIGKILL : SIGTERM);
}

/* -- messages -- */

static bool put(struct slot *s, const void *p, size_t n, const int *fds) {
    char control[CMSG_SPACE(3 * sizeof(int))] = {0};
    struct iovec v = {(void *)(uintptr_t)p, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    if (fds) {
        m.msg_control = control;
        m.msg_controllen = sizeof control;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(3 * sizeof(int))};
        memcpy(CMSG_DATA(c), fds, 3 * sizeof(int));
    }
    return sendmsg(s->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n;
}

static struct slot_wait *wait_pop(struct slots *ss) {
    struct slot_wait *w = ss->waiting;
    if (!w)
        return NULL;
    ss->waiting = w->next;
    if (w->next)
        w->next->at = &ss->waiting;
    else
        ss->waiting_tail = &ss->waiting;
    w->at = NULL;
    ss->n_waiting--;
    return w;
}

static void on_shrink(void *ctx);

static struct slot *slot_newest_idle(const struct slots *ss);

static void serve_waiting(void *ctx) {
    struct agent_state *a = ctx;
    struct slots *ss = a->slots;
    struct slot *s;
    if (!ss)
        return; /* closed meanwhile */
    ss->is_serving = false;
    while (ss->waiting && !ss->is_closing && (s = slot_newest_idle(ss))) {
        struct slot_wait *w = wait_pop(ss);
        s->state = SLOT_TAKEN;
        w->fn(w->ctx, s);
    }
}

/* Who waits is served later in this round: a start that fails at once must not call us again from inside. */
static void slot_free(struct slot *s) {
    struct slots *ss = s->a->slots;
    s->owner = NULL;
    s->is_running = false;
    s->state = SLOT_IDLE;
    s->idle_since = loop_mono_us(s->a->loop);
    if (ss->waiting && !ss->is_serving) {
        ss->is_serving = true;
        loop_defer(s->a->loop, serve_waiting, s->a);
    }
    if (!timer_is_set(&ss->shrink) && !ss->is_closing)
        timer_mono_in(s->a->loop, &ss->shrink, IDLE_US, on_shrink, s->a);
}

static void on_hello(struct slot *s, const struct runner_hello *h) {
    s->own_pids = !strstr(h->lacks, "pid namespace");
    snprintf(s->a->confined, sizeof s->a->confined, h->lacks[0] ? "without %s" : "fully", h->lacks);
    if (s->state != SLOT_STARTING)
        return;
    cgroup_read(&s->a->cgroups, s->name, &s->last);
    slot_free(s);
    grow(s->a);
}

static void on_runner(void *ctx, int fd, int events) {
    union {
        uint32_t word;
        struct runner_hello hello;
        struct runner_started started;
        struct runner_ended ended;
    } in;
    struct slot *s = ctx;
    (void)events;
    ssize_t n = recv(fd, &in, sizeof in, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < (ssize_t)sizeof in.word) { /* it has ended; its pidfd says so too, and that is what counts */
        watch_stop(s->a->loop, &s->watch);
        return;
    }
    if (in.word == RUNNER_HELLO && n == (ssize_t)sizeof in.hello)
        on_hello(s, &in.hello);
    else if (in.word == RUNNER_STARTED && n == (ssize_t)sizeof in.started && s->owner)
        s->owner->started(s->ctx, &in.started);
    else if (in.word == RUNNER_ENDED && n == (ssize_t)sizeof in.ended && s->owner) {
        s->is_running = false;
        s->owner->ended(s->ctx, &in.ended);
    }
}

/* -- starting a runner -- */

enum { ALONE = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS };
/* From the best down; which one works here is found once. */
static const uint64_t confinements[] = {ALONE | CLONE_NEWNET, ALONE | CLONE_NEWNET | CLONE_NEWUSER,
                                        ALONE | CLONE_NEWUSER, ALONE, 0};

static bool text_put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return good;
}

/* In the child of the agent: a copy of it that only makes way for the runner. */
static void become_runner(int sock, int listener, bool is_user, uid_t uid, gid_t gid, const char *name) {
    char map[48];
    sigset_t none;
    setsid(); /* a Ctrl-C is the agent's to handle */
    if (is_user) {
        text_put("/proc/self/setgroups", "deny");
        snprintf(map, sizeof map, "0 %u 1", (unsigned)uid);
        bool good = text_put("/proc/self/uid_map", map);
        snprintf(map, sizeof map, "0 %u 1", (unsigned)gid);
        if (!good || !text_put("/proc/self/gid_map", map))
            _exit(1);
    }
    int high = fcntl(listener, F_DUPFD, 16); /* out of the way of 3 */
    dup2(sock, RUNNER_SOCKET);
    dup2(high, RUNNER_LISTEN);
    close_range(RUNNER_LISTEN + 1, ~0u, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    char *argv[] = {(char[]){"suan"}, (char[]){"runner"}, (char *)(uintptr_t)name, NULL};
    execv("/proc/self/exe", argv);
    _exit(1);
}

static pid_t runner_fork(struct agent_state *a, int sock, int listener, const char *name, bool *is_user) {
    struct slots *ss = a->slots;
    uid_t uid = geteuid();
    gid_t gid = getegid();
    for (size_t i = ss->confinement; i < sizeof confinements / sizeof confinements[0]; i++) {
        struct clone_args args = {.flags = confinements[i], .exit_signal = SIGCHLD};
        *is_user = confinements[i] & CLONE_NEWUSER;
        /* The last way asks for nothing new: it must work where clone3 itself is refused. */
        pid_t pid = confinements[i] ? (pid_t)syscall(SYS_clone3, &args, sizeof args) : fork();
        if (!pid)
            become_runner(sock, listener, *is_user, uid, gid, name);
        if (pid > 0) {
            ss->confinement = i;
            return pid;
        }
        if (errno == EAGAIN || errno == ENOMEM)
            return -1;
    }
    return -1;
}

static void setup_fill(const struct slot *s, bool is_user, struct runner_setup *m) {
    const struct slots *ss = s->a->slots;
    *m = (struct runner_setup){.word = RUNNER_SETUP, .version = RUNNER_VERSION, .cgroups = s->a->cgroups, .own_root = 1};
    m->uid = geteuid() || is_user ? 0 : (uint32_t)(UID_FIRST + s->index);
    str_copy(m->slot, sizeof m->slot, s->name);
    str_copy(m->tasks, sizeof m->tasks, ss->tasks);
    str_copy(m->run, sizeof m->run, ss->run);
    str_copy(m->share, sizeof m->share, ss->share);
    str_copy(m->programs, sizeof m->programs, ss->programs);
    str_copy(m->centre, sizeof m->centre, s->a->config->name);
}

static struct slot *slot_new(struct agent_state *a, int index) {
    struct slot *s = calloc(1, sizeof *s);
    assert(s);
    s->a = a;
    s->index = index;
    s->fd = -1;
    s->watch.fd = s->child.watch.fd = -1;
    snprintf(s->name, sizeof s->name, "s%d", index);
    vec_push(&a->slots->all, s);
    return s;
}

static int index_free(const struct slots *ss) {
    for (int i = 0;; i++) {
        bool used = false;
        for (size_t k = 0; k < ss->all.n; k++)
            used |= ss->all.p[k]->index == i;
        if (!used)
            return i;
    }
}

static int slot_start(struct agent_state *a, struct err *e) {
    struct slots *ss = a->slots;
    struct slot *s = slot_new(a, index_free(ss));
    struct runner_setup setup;
    bool is_user = false;
    int pair[2] = {-1, -1}, listener = listen_make(ss, s->name);
    int rc = listener < 0 ? err_errno(e, errno, "cannot make the socket of slot %s in %s", s->name, ss->run) : 0;
    if (!rc && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        rc = err_errno(e, errno, "cannot make a socket for slot %s", s->name);
    if (!rc)
        rc = cgroup_make(&a->cgroups, s->name, e);
    s->fd = pair[0];
    if (!rc) {
        s->pid = runner_fork(a, pair[1], listener, s->name, &is_user);
        s->own_pids = confinements[ss->confinement] & CLONE_NEWPID;
        setup_fill(s, is_user, &setup);
        if (s->pid < 0 || !put(s, &setup, sizeof setup, NULL) || child_watch(a->loop, &s->child, s->pid, on_death, s) ||
            watch_start(a->loop, &s->watch, s->fd, WATCH_READ, on_runner, s))
            rc = err_errno(e, errno, "cannot start the runner of slot %s", s->name);
    }
    if (pair[1] >= 0)
        close(pair[1]);
    if (listener >= 0)
        close(listener);
    if (rc) {
        if (s->pid > 0) {
            kill(s->pid, SIGKILL);
            waitpid(s->pid, NULL, 0);
        }
        slot_remove(s);
    }
    return rc;
}

/* -- how many -- */

static size_t count(const struct slots *ss, enum slot_state state) {
    size_t n = 0;
    for (size_t i = 0; i < ss->all.n; i++)
        n += ss->all.p[i]->state == state;
    return n;
}

static size_t wanted(const struct slots *ss) {
    size_t idle = count(ss, SLOT_IDLE), warm = (size_t)ss->warm;
    return ss->n_waiting + (idle < warm ? warm - idle : 0);
}

static void on_grow(void *ctx) {
    struct agent_state *a = ctx;
    struct slots *ss = a->slots;
    /* Above two a processor a new slot helps only where the old ones are held. */
    bool is_held = loop_mono_us(a->loop) - ss->freed_us >= GROW_US;
    struct err e = {0};
    while (is_held && wanted(ss) > count(ss, SLOT_STARTING) && count(ss, SLOT_STARTING) < STARTING_MOST && ss->all.n < MOST)
        if (slot_start(a, &e)) {
            log_err(a->config->name, &e);
            break;
        }
    grow(a);
}

static void grow(struct agent_state *a) {
    struct slots *ss = a->slots;
    struct err e = {0};
    if (ss->is_closing)
        return;
    while (wanted(ss) > count(ss, SLOT_STARTING) && count(ss, SLOT_STARTING) < STARTING_MOST &&
           ss->all.n < 2 * (size_t)ss->processors)
        if (slot_start(a, &e)) {
            log_err(a->config->name, &e);
            break;
        }
    if (wanted(ss) > count(ss, SLOT_STARTING) && ss->all.n < MOST && !timer_is_set(&ss->grow))
        timer_mono_in(a->loop, &ss->grow, e.code ? 20 * GROW_US : GROW_US, on_grow, a);
}

static void on_shrink(void *ctx) {
    struct agent_state *a = ctx;
    struct slots *ss = a->slots;
    int64_t now = loop_mono_us(a->loop);
    size_t idle = count(ss, SLOT_IDLE);
    for (size_t i = 0; i < ss->all.n && idle > (size_t)ss->warm; i++) {
        struct slot *s = ss->all.p[i];
        if (s->state != SLOT_IDLE || now - s->idle_since < IDLE_US)
            continue;
        s->state = SLOT_TAKEN; /* by nobody: a runner without agent and task ends */
        watch_stop(a->loop, &s->watch);
        close(s->fd);
        s->fd = -1;
        idle--;
    }
    if (idle > (size_t)ss->warm)
        timer_mono_in(a->loop, &ss->shrink, IDLE_US / 4, on_shrink, a);
}

void slots_warm(struct agent_state *a) { grow(a); }

/* -- use -- */

/* Its cgroup and pages are the warmest, and the others grow old enough to end. */
static struct slot *slot_newest_idle(const struct slots *ss) {
    struct slot *newest = NULL;
    for (size_t i = 0; i < ss->all.n; i++)
        if (ss->all.p[i]->state == SLOT_IDLE && (!newest || ss->all.p[i]->idle_since >= newest->idle_since))
            newest = ss->all.p[i];
    return newest;
}

void slot_wait(struct agent_state *a, struct slot_wait *w, void (*fn)(void *, struct slot *), void *ctx) {
    struct slots *ss = a->slots;
    *w = (struct slot_wait){.fn = fn, .ctx = ctx, .at = ss->waiting_tail};
    *ss->waiting_tail = w;
    ss->waiting_tail = &w->next;
    ss->n_waiting++;
    if (!ss->is_serving) {
        ss->is_serving = true;
        loop_defer(a->loop, serve_waiting, a);
    }
    grow(a);
}

void slot_wait_cancel(struct agent_state *a, struct slot_wait *w) {
    if (!w->at)
        return;
    *w->at = w->next;
    if (w->next)
        w->next->at = w->at;
    else
        a->slots->waiting_tail = w->at;
    w->at = NULL;
    a->slots->n_waiting--;
}

void slot_own(struct slot *s, const struct slot_owner *owner, void *ctx) {
    s->owner = owner;
    s->ctx = ctx;
}

int slot_run(struct slot *s, struct runner_run *run, const struct cgroup_limits *limits, const int fds[3],
             struct err *e) {
    struct cgroup_limits l = *limits;
    size_t n = 0;
    l.pids = l.pids ? l.pids : TASK_PIDS;
    if (!s->has_limits || memcmp(&l, &s->limits, sizeof l)) {
        int rc = cgroup_limit(&s->a->cgroups, s->name, &l, e);
        if (rc)
            return rc;
        s->limits = l;
        s->has_limits = true;
    }
    cgroup_reset_peak(&s->a->cgroups, s->name);
    run->word = RUNNER_RUN;
    run->base = s->last;
    run->lease_until_us = s->a->slots->lease_until_us;
    for (uint32_t i = 0; i < run->n_argv + run->n_env; i++)
        n += strlen(run->strings + n) + 1;
    s->is_running = true;
    if (!put(s, run, offsetof(struct runner_run, strings) + n, fds))
        return err_errno(e, errno, "the runner of slot %s does not answer", s->name);
    return 0;
}

void slot_stop(struct slot *s, int64_t attempt, enum runner_end end, int64_t grace_us) {
    struct runner_stop m = {.word = RUNNER_STOP, .end = end, .attempt = attempt, .grace_us = grace_us};
    if (!put(s, &m, sizeof m, NULL))
        kill(s->pid, SIGKILL);
}

void slot_lease(struct agent_state *a, int64_t until_us) {
    struct runner_lease m = {.word = RUNNER_LEASE, .until_us = until_us};
    a->slots->lease_until_us = until_us;
    for (size_t i = 0; i < a->slots->all.n; i++)
        if (a->slots->all.p[i]->is_running)
            put(a->slots->all.p[i], &m, sizeof m, NULL);
}

void slot_done(struct slot *s) {
    uint32_t ack = RUNNER_ACK;
    s->owner = NULL;
    s->a->slots->freed_us = loop_mono_us(s->a->loop);
    if (put(s, &ack, sizeof ack, NULL))
        slot_free(s);
    else
        slot_kill(s);
}

void slot_usage(struct slot *s, const struct cgroup_usage *base, struct cgroup_usage *out) {
    struct cgroup_usage now;
    cgroup_read(&s->a->cgroups, s->name, &now);
    *out = (struct cgroup_usage){.cpu_us = now.cpu_us - base->cpu_us, .memory_bytes = now.memory_bytes,
                                 .oom_kills = now.oom_kills - base->oom_kills,
                                 .pids_refused = now.pids_refused - base->pids_refused};
    /* In version 2 the peak cannot be reset: where an earlier task went higher, this one's is not known. */
    if (s->a->cgroups.version == 1 || now.memory_peak_bytes > base->memory_peak_bytes)
        out->memory_peak_bytes = now.memory_peak_bytes - base->memory_bytes;
    s->last = now;
}

pid_t slot_task_pid(const struct slot *s) {
    char path[64], text[24] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)s->pid, (int)s->pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && atoi(text) > 0 ? atoi(text) : s->pid;
}

/* -- after a restart -- */

struct slot *slot_adopt(struct agent_state *a, const char *name, struct runner_hello *h) {
    struct slots *ss = a->slots;
    struct sockaddr_un at;
    struct ucred peer = {0};
    struct timeval patience = {.tv_usec = HELLO_US % 1000000, .tv_sec = HELLO_US / 1000000};
    socklen_t n = sizeof peer;
    run_address(ss, name, &at);
    int fd = name[0] == 's' ? socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) || peer.pid <= 0) {
        if (fd >= 0)
            close(fd);
        unlinkat(ss->run_folder, name, 0);
        return NULL;
    }
    bool good = recv(fd, h, sizeof *h, 0) == (ssize_t)sizeof *h && h->version == RUNNER_VERSION &&
                h->word == RUNNER_HELLO && h->state != RUNNER_IDLE && !h->is_function;
    struct slot *s = slot_new(a, atoi(name + 1));
    s->fd = fd;
    s->pid = peer.pid;
    s->own_pids = good && !strstr(h->lacks, "pid namespace");
    s->state = SLOT_TAKEN;
    s->is_running = true;
    s->last = h->base;
    if (good && !child_watch(a->loop, &s->child, s->pid, on_death, s)) {
        watch_start(a->loop, &s->watch, fd, WATCH_READ, on_runner, s);
        return s;
    }
    kill(s->pid, SIGKILL);
    slot_remove(s);
    return NULL;
}

static bool is_ours(void *ctx, const char *name) {
    const struct slots *ss = ctx;
    for (size_t i = 0; i < ss->all.n; i++)
        if (!strcmp(ss->all.p[i]->name, name))
            return true;
    return false;
}

void slots_sweep(struct agent_state *a) { cgroup_sweep(&a->cgroups, is_ours, a->slots); }

/* -- life -- */

static int place(char *out, const char *folder, const char *sub, struct err *e) {
    char path[PATH_MAX], whole[PATH_MAX + 16];
    out[0] = 0;
    if (!folder)
        return 0;
    if (!realpath(folder, path))
        return err_errno(e, errno, "there is no folder %s", folder);
    snprintf(whole, sizeof whole, "%s%s", path, sub);
    if (!str_copy(out, RUNNER_PATH, whole))
        return err_set(e, E_LIMIT, "the path %s is longer than %d bytes", whole, RUNNER_PATH - 1);
    /* A task must get through to its own folder where it has no root of its own; 0711 shows it nothing else. */
    if (*sub && mkdir(out, 0711) && errno != EEXIST)
        return err_errno(e, errno, "cannot make %s", out);
    return 0;
}

int slots_open(struct agent_state *a, struct err *e) {
    struct slots *ss = a->slots = calloc(1, sizeof *ss);
    const struct agent_config *c = a->config;
    assert(ss);
    ss->waiting_tail = &ss->waiting;
    ss->warm = c->slots_warm ? c->slots_warm : WARM;
    ss->processors = (int)sysconf(_SC_NPROCESSORS_ONLN);
    ss->run_folder = -1;
    int rc = place(ss->run, c->folder, "/run", e);
    rc = rc ? rc : place(ss->tasks, c->folder, "/tasks", e);
    rc = rc ? rc : place(ss->share, c->share, "", e);
    rc = rc ? rc : place(ss->programs, c->programs, "", e);
    if (!rc && (ss->run_folder = open(ss->run, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        rc = err_errno(e, errno, "cannot open %s", ss->run);
    return rc;
}

/* Until all are dead or `until_us`; false = some live. */
static bool await_ends(struct slots *ss, int64_t until_us) {
    bool all = true;
    for (size_t i = 0; i < ss->all.n; i++) {
        struct pollfd end = {.fd = ss->all.p[i]->child.watch.fd, .events = POLLIN};
        int64_t left = until_us - loop_mono_fresh_us();
        all &= poll(&end, 1, left > 0 ? (int)(left / 1000) : 0) == 1;
    }
    return all;
}

/* Nothing here waits for ever: what the kernel does not let go (a write in a stuck disk) is the next agent's to sweep. */
static void slots_end(struct agent_state *a) {
    struct slots *ss = a->slots;
    for (size_t i = 0; i < ss->all.n; i++)
        slot_kill(ss->all.p[i]);
    if (await_ends(ss, loop_mono_fresh_us() + CLOSE_US))
        return;
    for (size_t i = 0; i < ss->all.n; i++) {
        cgroup_kill(&a->cgroups, ss->all.p[i]->name);
        kill(ss->all.p[i]->pid, SIGKILL);
    }
    if (!await_ends(ss, loop_mono_fresh_us() + CLOSE_US))
        log_warn(a->config->name, "the kernel holds processes that were killed: the next agent removes their groups");
}

void slots_close(struct agent_state *a) {
    struct slots *ss = a->slots;
    if (!ss)
        return;
    ss->is_closing = true;
    timer_cancel(a->loop, &ss->grow);
    timer_cancel(a->loop, &ss->shrink);
    slots_end(a);
    while (ss->all.n) {
        struct slot *s = ss->all.p[ss->all.n - 1];
        int pidfd = s->child.watch.fd;
        waitpid(s->pid, NULL, WNOHANG); /* an adopted one is not ours to wait for: init does */
        watch_stop(a->loop, &s->child.watch);
        close(pidfd);
        slot_remove(s);
    }
    if (ss->run_folder >= 0)
        close(ss->run_folder);
    rmdir(ss->run);
    vec_free(&ss->all);
    free(ss);
    a->slots = NULL;
}
