#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/vec.h"

enum { EVENTS = 128, SIGNALS = 8, STEP_US = 1000000, STEP_CHECK_US = 5000000, FIRE_MAX = 1024 };
static const int64_t WAIT_MOST_US = 3600000000;

struct deferred {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    enum loop_kind kind;
    bool stop, is_warping, is_coarse;
    int epoll;
    struct heap plant, mono; /* timers of the two clocks */
    int64_t now_plant, now_mono;
    int64_t anchor_plant, anchor_mono; /* plant = anchor_plant + pace * (mono - anchor_mono) */
    double pace;
    int holds;
    VEC(uint64_t) messages; /* in flight, each with a hold */
    VEC(struct deferred) deferred, running;
    struct watch **by_fd;
    size_t n_fds;
    uint64_t serial;
    struct {
        int signo;
        void (*fn)(void *ctx, int signo);
        void *ctx;
    } signals[SIGNALS];
    int n_signals;
    struct watch signal_watch;
    sigset_t signal_set;
    int64_t wall_offset, step_checked; /* wall - mono at the last look */
    int64_t ahead;                     /* of the wall clock, since that was set back */
    void (*on_step)(void *ctx, int64_t by_us);
    void *step_ctx;
};

struct loop *loop_new(enum loop_kind kind, int64_t start_us) {
    struct loop *l = calloc(1, sizeof *l);
    assert(l);
    l->kind = kind;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    assert(l->epoll >= 0);
    l->now_mono = l->anchor_mono = kind == LOOP_VIRTUAL ? 0 : loop_mono_fresh_us();
    l->now_plant = l->anchor_plant = start_us ? start_us : kind == LOOP_VIRTUAL ? 0 : loop_wall_us();
    l->pace = 1;
    l->wall_offset = loop_wall_us() - loop_mono_fresh_us();
    l->signal_watch.fd = -1;
    sigemptyset(&l->signal_set);
    return l;
}

void loop_free(struct loop *l) {
    if (!l)
        return;
    if (l->signal_watch.fd >= 0)
        close(l->signal_watch.fd);
    close(l->epoll);
    heap_free(&l->plant);
    heap_free(&l->mono);
    vec_free(&l->messages);
    vec_free(&l->deferred);
    vec_free(&l->running);
    free(l->by_fd);
    free(l);
}

int64_t loop_now_us(const struct loop *l) { return l->now_plant; }
int64_t loop_mono_us(const struct loop *l) { return l->now_mono; }

/* -- time -- */

static int64_t plant_at(const struct loop *l, int64_t mono) {
    return l->anchor_plant + (int64_t)((double)(mono - l->anchor_mono) * l->pace);
}

static void re_anchor(struct loop *l) {
    l->anchor_plant = l->now_plant;
    l->anchor_mono = l->now_mono;
}

/* A step of the wall clock: tell it; follow it only forwards, so that time in records never runs back. */
static void step_check(struct loop *l) {
    if (l->now_mono - l->step_checked < STEP_CHECK_US)
        return;
    l->step_checked = l->now_mono;
    int64_t offset = loop_wall_us() - loop_mono_fresh_us(), by = offset - l->wall_offset;
    if (by < STEP_US && by > -STEP_US)
        return;
    l->wall_offset = offset;
    if (l->pace == 1.0) {
        int64_t follow = by > l->ahead ? by - l->ahead : 0;
        l->ahead = by < l->ahead ? l->ahead - by : 0;
        l->now_plant += follow;
        re_anchor(l);
    }
    if (l->on_step)
        l->on_step(l->step_ctx, by);
}

static void time_update(struct loop *l) {
    if (l->kind == LOOP_VIRTUAL)
        return;
    l->now_mono = loop_mono_fresh_us();
    int64_t plant = plant_at(l, l->now_mono);
    if (plant > l->now_plant)
        l->now_plant = plant;
    step_check(l);
}

void loop_pace(struct loop *l, double pace) {
    time_update(l);
    re_anchor(l);
    l->pace = pace < 0 ? 0 : pace;
}
double loop_pace_now(const struct loop *l) { return l->pace; }
void loop_hold(struct loop *l) { l->holds++; }
void loop_release(struct loop *l) {
    assert(l->holds > 0);
    l->holds--;
}

/* Few are in flight at a time: a walk is the fastest set. */
void loop_hold_message(struct loop *l, uint32_t line, uint32_t message) {
    uint64_t key = (uint64_t)line << 32 | message;
    for (size_t i = 0; i < l->messages.n; i++)
        if (l->messages.p[i] == key)
            return;
    vec_push(&l->messages, key);
    loop_hold(l);
}

static void message_drop(struct loop *l, size_t i) {
    l->messages.p[i] = l->messages.p[--l->messages.n];
    loop_release(l);
}

bool loop_release_message(struct loop *l, uint32_t line, uint32_t message) {
    uint64_t key = (uint64_t)line << 32 | message;
    for (size_t i = 0; i < l->messages.n; i++)
        if (l->messages.p[i] == key) {
            message_drop(l, i);
            return true;
        }
    return false;
}

void loop_release_line(struct loop *l, uint32_t line) {
    for (size_t i = l->messages.n; i-- > 0;)
        if (l->messages.p[i] >> 32 == line)
            message_drop(l, i);
}

void loop_on_step(struct loop *l, void (*fn)(void *ctx, int64_t by_us), void *ctx) {
    l->on_step = fn;
    l->step_ctx = ctx;
}

/* -- timers -- */

bool timer_is_set(const struct timer *t) { return t->node.index != 0; }

void timer_cancel(struct loop *l, struct timer *t) {
    if (timer_is_set(t))
        heap_remove(t->clock == CLOCK_PLANT ? &l->plant : &l->mono, &t->node);
}

static void set(struct loop *l, struct timer *t, enum timer_clock clock, int64_t at, int priority, timer_fn *fn,
                void *ctx) {
    timer_cancel(l, t);
    /* In a virtual loop the two clocks are one: there is no outside to wait for. */
    if (l->kind == LOOP_VIRTUAL && clock == CLOCK_MONO) {
        at += l->now_plant - l->now_mono;
        clock = CLOCK_PLANT;
    }
    t->clock = clock;
    t->fn = fn;
    t->ctx = ctx;
    t->node.at = at;
    t->node.priority = priority;
    heap_push(clock == CLOCK_PLANT ? &l->plant : &l->mono, &t->node);
}

void timer_at(struct loop *l, struct timer *t, int64_t plant_us, int priority, timer_fn *fn, void *ctx) {
    set(l, t, CLOCK_PLANT, plant_us, priority, fn, ctx);
}
void timer_in(struct loop *l, struct timer *t, int64_t delay_us, timer_fn *fn, void *ctx) {
    set(l, t, CLOCK_PLANT, l->now_plant + delay_us, 0, fn, ctx);
}
void timer_mono_in(struct loop *l, struct timer *t, int64_t delay_us, timer_fn *fn, void *ctx) {
    set(l, t, CLOCK_MONO, l->now_mono + delay_us, 0, fn, ctx);
}

static struct timer *timer_of(struct heap_node *n) { return (struct timer *)n; }

/* Fire what is due at `until`, in order, but no more than FIRE_MAX: descriptors have their turn. What a callback sets for
 * now comes in the next round, too: work in slices of 50 ms, each of which asks for the next at once, must not keep the
 * house from answering. */
static bool fire(struct loop *l, struct heap *h, int64_t until) {
    int n = 0;
    uint64_t set_before = h->next_sequence;
    for (struct heap_node *due; n < FIRE_MAX && (due = heap_min(h)) && due->at <= until && due->sequence <= set_before && !l->stop; n++) {
        struct timer *t = timer_of(heap_pop(h));
        t->fn(t->ctx);
    }
    return n > 0;
}

bool loop_run_deferred(struct loop *l) {
    bool any = false;
    while (l->deferred.n) {
        __typeof__(l->deferred) swap = l->running;
        l->running.p = l->deferred.p;
        l->running.n = l->deferred.n;
        l->running.cap = l->deferred.cap;
        l->deferred.p = swap.p;
        l->deferred.cap = swap.cap;
        l->deferred.n = 0;
        for (size_t i = 0; i < l->running.n; i++)
            l->running.p[i].fn(l->running.p[i].ctx);
        l->running.n = 0;
        any = true;
    }
    return any;
}

/* Virtual time goes from timer to timer; callbacks of one instant see the same now. */
static bool virtual_step(struct loop *l, int64_t until) {
    struct heap_node *n = heap_min(&l->plant);
    if (l->holds || !n || n->at > until)
        return false;
    if (n->at > l->now_plant) {
        l->now_mono += n->at - l->now_plant;
        l->now_plant = n->at;
    }
    struct timer *t = timer_of(heap_pop(&l->plant));
    t->fn(t->ctx);
    return true;
}

bool loop_is_warping(const struct loop *l) { return l->is_warping; }

bool loop_warp(struct loop *l, int64_t until_us, int64_t budget_us) {
    int64_t begun = loop_mono_fresh_us();
    struct heap_node *n;
    bool spent = false; /* or stopped: what is due then stays due */
    l->is_warping = true;
    while (!spent && (n = heap_min(&l->plant)) && n->at <= until_us) {
        if (n->at > l->now_plant)
            l->now_plant = n->at;
        struct timer *t = timer_of(heap_pop(&l->plant));
        t->fn(t->ctx);
        loop_run_deferred(l);
        spent = l->stop || (budget_us && loop_mono_fresh_us() - begun > budget_us);
    }
    l->is_warping = false;
    if (!spent && until_us > l->now_plant)
        l->now_plant = until_us;
    re_anchor(l);
    return !spent;
}

/* -- descriptors -- */

static uint32_t epoll_bits(int events) {
    return (events & WATCH_READ ? EPOLLIN | EPOLLRDHUP : 0u) | (events & WATCH_WRITE ? EPOLLOUT : 0u);
}

int watch_start(struct loop *l, struct watch *w, int fd, int events, watch_fn *fn, void *ctx) {
    *w = (struct watch){.fd = fd, .events = events, .fn = fn, .ctx = ctx, .serial = ++l->serial};
    if ((size_t)fd >= l->n_fds) {
        size_t n = l->n_fds ? l->n_fds : 64;
        while (n <= (size_t)fd)
            n *= 2;
        l->by_fd = realloc(l->by_fd, n * sizeof *l->by_fd);
        assert(l->by_fd);
        memset(l->by_fd + l->n_fds, 0, (n - l->n_fds) * sizeof *l->by_fd);
        l->n_fds = n;
    }
    /* The event carries fd and serial: one of a closed and reused descriptor is not delivered. */
    struct epoll_event ev = {.events = epoll_bits(events), .data.u64 = (uint64_t)(uint32_t)fd | w->serial << 32};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev)) {
        w->fd = -1;
        return E_IO;
    }
    l->by_fd[fd] = w;
    return 0;
}

void watch_events(struct loop *l, struct watch *w, int events) {
    if (w->fd < 0 || w->events == events)
        return;
    w->events = events;
    struct epoll_event ev = {.events = epoll_bits(events), .data.u64 = (uint64_t)(uint32_t)w->fd | w->serial << 32};
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &ev);
}

void watch_stop(struct loop *l, struct watch *w) {
    if (!w->fn || w->fd < 0 || (size_t)w->fd >= l->n_fds || l->by_fd[w->fd] != w)
        return;
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
    l->by_fd[w->fd] = NULL;
    w->fd = -1;
    w->fn = NULL;
}

/* To the microsecond where the kernel can (5.11): a timer in 0.2 ms would else wait for a whole one. */
static int wait_events(struct loop *l, struct epoll_event *ev, int64_t us) {
    us = us < WAIT_MOST_US ? us : WAIT_MOST_US;
    if (!l->is_coarse) {
        struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
        int n = epoll_pwait2(l->epoll, ev, EVENTS, &t, NULL);
        if (n >= 0 || (errno != ENOSYS && errno != EPERM))
            return n;
        l->is_coarse = true;
    }
    return epoll_wait(l->epoll, ev, EVENTS, (int)((us + 999) / 1000));
}

static bool poll_fds(struct loop *l, int64_t wait_us) {
    struct epoll_event ev[EVENTS];
    int n = wait_events(l, ev, wait_us);
    time_update(l);
    for (int i = 0; i < n; i++) {
        uint32_t fd = (uint32_t)ev[i].data.u64;
        struct watch *w = fd < l->n_fds ? l->by_fd[fd] : NULL;
        if (!w || (uint32_t)w->serial != (uint32_t)(ev[i].data.u64 >> 32))
            continue;
        int got = (ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP) ? WATCH_READ : 0) |
                  (ev[i].events & EPOLLOUT ? WATCH_WRITE : 0);
        w->fn(w->ctx, (int)fd, got);
        loop_run_deferred(l);
    }
    return n > 0;
}

/* -- running -- */

static int64_t wait_for(const struct loop *l, int64_t wait_us) {
    struct heap_node *m = heap_min(&l->mono), *p = heap_min(&l->plant);
    if (l->deferred.n)
        return 0;
    if (m && m->at - l->now_mono < wait_us)
        wait_us = m->at - l->now_mono;
    if (p && l->pace > 0) {
        double until = (double)(p->at - l->now_plant) / l->pace;
        if (until < (double)wait_us)
            wait_us = (int64_t)until + 1;
    }
    return wait_us < 0 ? 0 : wait_us;
}

static bool real_turn(struct loop *l, int64_t wait_us) {
    bool any = poll_fds(l, wait_for(l, wait_us));
    any |= fire(l, &l->mono, l->now_mono);
    any |= fire(l, &l->plant, l->now_plant);
    any |= loop_run_deferred(l);
    return any;
}

static bool virtual_turn(struct loop *l, int64_t until, int64_t wait_us) {
    if (loop_run_deferred(l))
        return true;
    /* While an answer is on its way (hold), wait for it; else only look. */
    bool any = poll_fds(l, l->holds ? wait_us : 0);
    return any || loop_run_deferred(l) || virtual_step(l, until);
}

bool loop_turn(struct loop *l, int64_t wait_us) {
    return l->kind == LOOP_VIRTUAL ? virtual_turn(l, INT64_MAX, wait_us) : real_turn(l, wait_us);
}

int loop_run(struct loop *l) {
    l->stop = false;
    while (!l->stop)
        if (!loop_turn(l, INT64_MAX / 4) && l->kind == LOOP_VIRTUAL && !l->holds)
            break; /* nothing is left that could ever happen */
    return 0;
}

int loop_run_until(struct loop *l, int64_t plant_us) {
    l->stop = false;
    while (!l->stop && l->now_plant < plant_us) {
        if (l->kind == LOOP_REAL) {
            int64_t left = l->pace > 0 ? (int64_t)((double)(plant_us - l->now_plant) / l->pace) + 1 : 100000;
            real_turn(l, left);
        } else if (!virtual_turn(l, plant_us, 10000000) && !l->holds) {
            l->now_mono += plant_us - l->now_plant;
            l->now_plant = plant_us;
        }
    }
    return 0;
}

void loop_stop(struct loop *l) { l->stop = true; }

void loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx) {
    vec_push(&l->deferred, (struct deferred){fn, ctx});
}

/* -- signals and children -- */

static void on_signal(void *ctx, int fd, int events) {
    struct loop *l = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info)
        for (int i = 0; i < l->n_signals; i++)
            if (l->signals[i].signo == (int)info.ssi_signo)
                l->signals[i].fn(l->signals[i].ctx, l->signals[i].signo);
}

int loop_signal(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx) {
    if (l->n_signals == SIGNALS)
        return E_LIMIT;
    l->signals[l->n_signals].signo = signo;
    l->signals[l->n_signals].fn = fn;
    l->signals[l->n_signals++].ctx = ctx;
    sigaddset(&l->signal_set, signo);
    sigprocmask(SIG_BLOCK, &l->signal_set, NULL);
    int fd = signalfd(l->signal_watch.fd, &l->signal_set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return E_IO;
    return l->signal_watch.fd < 0 ? watch_start(l, &l->signal_watch, fd, WATCH_READ, on_signal, l) : 0;
}

static void on_child(void *ctx, int fd, int events) {
    struct child *c = ctx;
    int status = 0;
    (void)events;
    watch_stop(c->loop, &c->watch);
    close(fd);
    /* A process that is not ours (re-attached) cannot be waited for: its status comes from elsewhere. */
    if (waitpid(c->pid, &status, 0) < 0)
        status = -1;
    c->fn(c->ctx, c->pid, status);
}

int child_watch(struct loop *l, struct child *c, pid_t pid, void (*fn)(void *, pid_t, int), void *ctx) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH ? E_NOTFOUND : E_IO;
    *c = (struct child){.pid = pid, .fn = fn, .ctx = ctx, .loop = l};
    int rc = watch_start(l, &c->watch, fd, WATCH_READ, on_child, c);
    if (rc)
        close(fd);
    return rc;
}
