/* Loop: the only place where time passes, descriptors become ready and threads start.
 *
 * Two clocks:
 *  - plant time (loop_now_us): what controllers, the world and records use. UTC microseconds. It runs with the wall
 *    clock times `pace`; it can be stopped or warped (twin runs only).
 *  - mono time (loop_mono_us): for I/O timeouts, back-off and measuring cost. Never jumps.
 * A clock step of the machine moves neither: plant time is anchored at start and advanced by the monotonic clock;
 * a step above one second is reported through loop_on_step so that the daemon raises a condition, and re-anchored
 * only forwards (time in records never runs back).
 *
 * Kinds: LOOP_REAL waits in epoll. LOOP_VIRTUAL jumps to the next timer when nothing is ready: a year in seconds,
 * bit for bit the same each time. Order of timers: (time, priority, insertion). In a virtual loop a descriptor whose
 * answer is on its way (loop_hold) keeps time from jumping, so real protocols on loopback take zero plant time:
 * the sender holds, the reader of the complete message releases.
 *
 * Cost: a timer set+fire is about 200 ns at 100,000 timers (bench/run timers); idle costs nothing: no periodic tick.
 * One thread. core/pool.h gives work to others and brings results back here. */
#ifndef SUAN_CORE_LOOP_H
#define SUAN_CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/heap.h"

enum loop_kind { LOOP_REAL, LOOP_VIRTUAL };
enum timer_clock { CLOCK_PLANT, CLOCK_MONO };

struct loop;
struct loop *loop_new(enum loop_kind kind, int64_t start_us /* virtual: plant time at start; 0 = now */);
void loop_free(struct loop *l);
int loop_run(struct loop *l);                       /* until loop_stop */
int loop_run_until(struct loop *l, int64_t plant_us); /* virtual or paced: until plant time reaches it */
bool loop_turn(struct loop *l, int64_t wait_us);    /* one round, waiting at most so long; false = nothing was done */
void loop_stop(struct loop *l);

int64_t loop_now_us(const struct loop *l);
int64_t loop_mono_us(const struct loop *l); /* read once a round; loop_mono_fresh_us reads the clock */
int64_t loop_mono_fresh_us(void);
int64_t loop_wall_us(void);                 /* UTC wall clock, for the outside world's certificates and logs only */
int64_t loop_cpu_us(void);                  /* CPU time of this process */

/* -- twin time control; LOOP_REAL too, refused by the daemon when a live device is attached -- */
void loop_pace(struct loop *l, double pace); /* 0 = stopped, 1 = real, 60 = a minute a second */
double loop_pace_now(const struct loop *l);
/* Fires everything due on the way to `until_us`, in order; gives up after about `budget_us` of real time (0 = none), so
 * that the outside is served between slices. True when it arrived. Only plant timers fire; see loop_is_warping. */
bool loop_warp(struct loop *l, int64_t until_us, int64_t budget_us);
bool loop_is_warping(const struct loop *l); /* the cycle then keeps plant time, or controllers would sleep through it */
void loop_hold(struct loop *l);
void loop_release(struct loop *l);
/* The same for messages on a connection, safe against ends that die: a message in flight is known by a line (both ends
 * can tell it: their two ports) and a number within it. Holding twice is holding once; releasing what is not held does
 * nothing (false), so a peer in another process, who never holds, is served all the same. Whoever closes a connection
 * releases its line. */
void loop_hold_message(struct loop *l, uint32_t line, uint32_t message);
bool loop_release_message(struct loop *l, uint32_t line, uint32_t message);
void loop_release_line(struct loop *l, uint32_t line);

/* -- timers: the struct is the caller's and must not move while set -- */
typedef void timer_fn(void *ctx);
struct timer {
    struct heap_node node;
    timer_fn *fn;
    void *ctx;
    enum timer_clock clock;
};
void timer_at(struct loop *l, struct timer *t, int64_t plant_us, int priority, timer_fn *fn, void *ctx);
void timer_in(struct loop *l, struct timer *t, int64_t delay_us, timer_fn *fn, void *ctx); /* plant clock */
void timer_mono_in(struct loop *l, struct timer *t, int64_t delay_us, timer_fn *fn, void *ctx);
void timer_cancel(struct loop *l, struct timer *t); /* harmless when not set */
bool timer_is_set(const struct timer *t);

/* -- descriptors -- */
enum { WATCH_READ = 1, WATCH_WRITE = 2 };
typedef void watch_fn(void *ctx, int fd, int events); /* events include an error or hang-up as READ */
struct watch {
    int fd;
    int events;
    watch_fn *fn;
    void *ctx;
    uint64_t serial; /* so that an event of a closed and reused fd is not delivered */
};
int watch_start(struct loop *l, struct watch *w, int fd, int events, watch_fn *fn, void *ctx);
void watch_events(struct loop *l, struct watch *w, int events);
void watch_stop(struct loop *l, struct watch *w); /* before close(fd) */

/* -- the rest -- */
void loop_defer(struct loop *l, void (*fn)(void *ctx), void *ctx); /* after the current callback, same round */
bool loop_run_deferred(struct loop *l); /* now: for closing, when the loop turns no more; whether there was any */
int loop_signal(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx);
/* Called when the child ends (pidfd); status as from waitpid. */
struct child {
    struct watch watch;
    pid_t pid;
    void (*fn)(void *ctx, pid_t pid, int status);
    void *ctx;
    struct loop *loop;
};
int child_watch(struct loop *l, struct child *c, pid_t pid, void (*fn)(void *, pid_t, int), void *ctx);
void loop_on_step(struct loop *l, void (*fn)(void *ctx, int64_t by_us), void *ctx);

#endif
