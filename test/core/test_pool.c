/* Work on threads, results in order. */
#include "tap.h"

#include <unistd.h>

#include "base/rng.h"
#include "core/pool.h"

enum { JOBS = 2000 };

struct job {
    uint64_t seed, result;
    int number, rc;
};
static int order[JOBS + 8], n_done;
static struct pool *pool;

static int work(void *w) {
    struct job *j = w;
    struct rng r = rng_new(j->seed);
    for (uint64_t k = rng_below(&r, 3000); k; k--) /* uneven, so that they finish out of order */
        j->result ^= rng_u64(&r);
    return j->number % 7 ? 0 : E_INVAL;
}

static void done(void *w, int rc) {
    struct job *j = w;
    j->rc = rc;
    order[n_done++] = j->number;
}

static uint64_t run(enum loop_kind kind, size_t threads, bool *in_order, int *refused) {
    static struct job jobs[JOBS];
    struct loop *l = loop_new(kind, 1000000);
    struct err e = {0};
    uint64_t sum = 0;
    int64_t begin = loop_now_us(l);
    n_done = *refused = 0;
    if (pool_new(l, threads, 256, &pool, &e))
        return 0;
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (struct job){.seed = (uint64_t)i * 77 + 1, .number = i};
        while (pool_submit(pool, work, done, &jobs[i], &e) == E_LIMIT) {
            ++*refused;
            loop_turn(l, 100000);
        }
    }
    while (n_done < JOBS)
        loop_turn(l, 100000);
    *in_order = pool_pending(pool) == 0;
    for (int i = 0; i < JOBS; i++) {
        *in_order &= order[i] == i && jobs[i].rc == (i % 7 ? 0 : E_INVAL);
        sum = sum * 31 + jobs[i].result;
    }
    if (kind == LOOP_VIRTUAL)
        *in_order &= loop_now_us(l) == begin;
    pool_free(pool);
    loop_free(l);
    return sum;
}

static int resubmitted;
static void again(void *w, int rc) {
    struct err e;
    (void)rc;
    if (++resubmitted < 50)
        pool_submit(pool, work, again, w, &e);
}

static void far(void *ctx) { *(bool *)ctx = true; }

static int nap(void *w) {
    (void)w;
    usleep(30000);
    return 0;
}
static int cancelled, finished;
static void count(void *w, int rc) {
    (void)w;
    cancelled += rc == E_CANCELLED;
    finished += rc == 0;
}

int main(void) {
    bool a, b, c;
    int refused;
    uint64_t one = run(LOOP_REAL, 1, &a, &refused), four = run(LOOP_REAL, 4, &b, &refused), virt = run(LOOP_VIRTUAL, 3, &c, &refused);
    ok(a && b && c, "2,000 results come in the order of submission, with one thread, four, and in a virtual loop");
    ok(one && one == four && one == virt, "and are the same");
    ok(refused > 0, "a full pool refuses");

    struct loop *l = loop_new(LOOP_VIRTUAL, 1000000);
    struct err e = {0};
    struct job j = {.seed = 3, .number = 1};
    struct timer t = {0};
    bool fired = false;
    ok(!pool_new(l, 2, 4, &pool, &e), "a small pool");
    timer_in(l, &t, 3600000000, far, &fired);
    pool_submit(pool, nap, count, &j, &e);
    for (int i = 0; i < 3; i++)
        loop_turn(l, 1000);
    ok(!fired, "virtual time waits for work that is under way");
    while (!finished)
        loop_turn(l, 100000);
    loop_turn(l, 0);
    ok(fired, "and goes on after it");
    pool_submit(pool, work, again, &j, &e);
    while (resubmitted < 50)
        loop_turn(l, 100000);
    ok(true, "done() may submit more");
    finished = 0;
    for (int i = 0; i < 4; i++)
        pool_submit(pool, nap, count, &j, &e);
    is_int(pool_submit(pool, nap, count, &j, &e), E_LIMIT, "the fifth is refused");
    pool_free(pool);
    ok(cancelled + finished == 4 && cancelled >= 2, "closing finishes what runs and cancels what waits");
    ok(loop_run_until(l, loop_now_us(l) + 1000000) == 0, "nothing holds time any more");
    is_int(pool_new(l, 1000, 1, &pool, &e), E_INVAL, "a thousand threads are refused");
    loop_free(l);
    return tap_done();
}
