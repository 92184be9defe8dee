#include "core/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct slot { /* ring of jobs: [done_at, run_at) taken by workers, [run_at, end) waiting */
    pool_work_fn *fn;
    pool_done_fn *done;
    void *work;
    int rc;
    bool is_done;
};

struct pool {
    struct loop *loop;
    pthread_t threads[POOL_THREADS_MAX];
    size_t n_threads, depth;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct slot *ring;           /* depth slots; the counters below only rise */
    size_t done_at, run_at, end; /* under the lock */
    bool is_closing;
    int event;
    struct watch watch;
};

static void tell(struct pool *p) {
    uint64_t one = 1;
    if (write(p->event, &one, sizeof one) < 0) { /* full: it is readable already */
    }
}

static void *worker(void *ctx) {
    struct pool *p = ctx;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->run_at == p->end && !p->is_closing)
            pthread_cond_wait(&p->more, &p->lock);
        if (p->is_closing)
            break;
        struct slot *s = &p->ring[p->run_at++ % p->depth];
        pool_work_fn *fn = s->fn;
        void *work = s->work;
        pthread_mutex_unlock(&p->lock);
        int rc = fn(work);
        pthread_mutex_lock(&p->lock);
        s->rc = rc;
        s->is_done = true;
        /* Only the oldest can be handed back; the others come with it. */
        if (s == &p->ring[p->done_at % p->depth])
            tell(p);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Hand back everything that is done, in order. done() may submit more. */
static void hand_back(struct pool *p) {
    pthread_mutex_lock(&p->lock);
    while (p->done_at < p->run_at && p->ring[p->done_at % p->depth].is_done) {
        struct slot s = p->ring[p->done_at++ % p->depth];
        pthread_mutex_unlock(&p->lock);
        loop_release(p->loop);
        s.done(s.work, s.rc);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
}

static void readable(void *ctx, int fd, int events) {
    uint64_t n;
    (void)events;
    if (read(fd, &n, sizeof n) < 0) { /* somebody was quicker; the ring says what there is */
    }
    hand_back(ctx);
}

static size_t processors(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return n > 1 ? (size_t)n - 1 : 1;
}

int pool_new(struct loop *loop, size_t threads, size_t depth, struct pool **out, struct err *e) {
    if (threads > POOL_THREADS_MAX || !depth)
        return err_set(e, E_INVAL, "a pool has up to %d threads and room for one job at least", POOL_THREADS_MAX);
    struct pool *p = calloc(1, sizeof *p);
    size_t want = threads ? threads : processors();
    want = want < POOL_THREADS_MAX ? want : POOL_THREADS_MAX;
    p->loop = loop;
    p->depth = depth;
    p->ring = calloc(depth, sizeof *p->ring);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->more, NULL);
    p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = p->event < 0 ? err_errno(e, errno, "cannot make a pool") : watch_start(loop, &p->watch, p->event, WATCH_READ, readable, p);
    /* Signals are the control thread's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; !rc && p->n_threads < want; p->n_threads++) {
        int code = pthread_create(&p->threads[p->n_threads], NULL, worker, p);
        if (code) {
            rc = err_errno(e, code, "cannot start worker %zu of %zu", p->n_threads + 1, want);
            break;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc) {
        pool_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pool_free(struct pool *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->is_closing = true;
    pthread_cond_broadcast(&p->more);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    hand_back(p);
    for (; p->done_at < p->end; p->done_at++) {
        struct slot s = p->ring[p->done_at % p->depth];
        loop_release(p->loop);
        s.done(s.work, E_CANCELLED);
    }
    watch_stop(p->loop, &p->watch);
    if (p->event >= 0)
        close(p->event);
    pthread_cond_destroy(&p->more);
    pthread_mutex_destroy(&p->lock);
    free(p->ring);
    free(p);
}

int pool_submit(struct pool *p, pool_work_fn *fn, pool_done_fn *done, void *work, struct err *e) {
    pthread_mutex_lock(&p->lock);
    bool is_full = p->end - p->done_at == p->depth, is_closing = p->is_closing;
    if (!is_full && !is_closing) {
        p->ring[p->end++ % p->depth] = (struct slot){.fn = fn, .done = done, .work = work};
        pthread_cond_signal(&p->more);
    }
    pthread_mutex_unlock(&p->lock);
    if (is_closing)
        return err_set(e, E_CANCELLED, "the pool is closing");
    if (is_full)
        return err_set(e, E_LIMIT, "%zu jobs are waiting for a worker, which is the limit", p->depth);
    loop_hold(p->loop);
    return 0;
}

size_t pool_pending(const struct pool *p) { return p->end - p->done_at; /* both move on the loop's thread only */ }
