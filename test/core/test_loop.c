/* The loop: order of timers in both kinds, what callbacks may do to them, descriptors, signals, children, and time: pace,
 * warp, and a step of the wall clock. The two clocks are the test's: the linker puts its own in front (meson.build). */
#include "tap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/loop.h"

static const int64_t T0 = 1767225600000000, SECOND = 1000000;
static bool is_faked;
static int64_t fake_mono, fake_wall;
int64_t __real_loop_mono_fresh_us(void);
int64_t __real_loop_wall_us(void);
int64_t __wrap_loop_mono_fresh_us(void);
int64_t __wrap_loop_wall_us(void);
int64_t __wrap_loop_mono_fresh_us(void) { return is_faked ? fake_mono : __real_loop_mono_fresh_us(); }
int64_t __wrap_loop_wall_us(void) { return is_faked ? fake_wall : __real_loop_wall_us(); }

static void fake(bool on) {
    is_faked = on;
    fake_mono = 1000 * SECOND;
    fake_wall = T0;
}
static void pass(int64_t us) {
    fake_mono += us;
    fake_wall += us;
}

/* -- what happened, as letters -- */
static char seen[256];
static size_t n_seen;
static struct loop *loop;
struct letter {
    struct timer timer;
    char c;
    int64_t at;
};
static void see(char c) {
    if (n_seen + 1 < sizeof seen)
        seen[n_seen++] = c;
    seen[n_seen] = '\0';
}
static void forget(void) { seen[n_seen = 0] = '\0'; }
static void on_letter(void *ctx) {
    struct letter *x = ctx;
    x->at = loop_now_us(loop);
    see(x->c);
}
static void on_defer(void *ctx) { see(*(const char *)ctx); }

static void order(enum loop_kind kind, const char *name) {
    struct letter l[6] = {{.c = 'a'}, {.c = 'b'}, {.c = 'c'}, {.c = 'd'}, {.c = 'e'}, {.c = 'f'}};
    fake(true);
    loop = loop_new(kind, T0);
    forget();
    timer_at(loop, &l[0].timer, T0 + 30, 0, on_letter, &l[0]);
    timer_at(loop, &l[1].timer, T0 + 20, 5, on_letter, &l[1]);
    timer_at(loop, &l[2].timer, T0 + 20, 5, on_letter, &l[2]);
    timer_at(loop, &l[3].timer, T0 + 20, -1, on_letter, &l[3]);
    timer_at(loop, &l[4].timer, T0 + 10, 9, on_letter, &l[4]);
    timer_at(loop, &l[5].timer, T0 + 20, 5, on_letter, &l[5]);
    pass(100);
    for (int i = 0; i < 10; i++)
        loop_turn(loop, 0);
    is_str(seen, "edbcfa", name);
    if (kind == LOOP_VIRTUAL)
        ok(l[4].at == T0 + 10 && l[1].at == T0 + 20 && l[0].at == T0 + 30, "each sees the time it was set for");
    loop_free(loop);
    fake(false);
}

/* -- callbacks that change timers -- */
static struct letter one = {.c = '1'}, two = {.c = '2'}, three = {.c = '3'};
static int again;
static void on_cancel_other(void *ctx) {
    (void)ctx;
    see('x');
    timer_cancel(loop, &two.timer);
}
static void on_again(void *ctx) {
    struct timer *t = ctx;
    see('r');
    if (++again < 3)
        timer_in(loop, t, 10, on_again, t);
}
static void changed_in_callbacks(enum loop_kind kind) {
    struct timer cancel = {0}, repeat = {0};
    fake(true);
    loop = loop_new(kind, T0);
    forget();
    again = 0;
    one.timer = two.timer = three.timer = (struct timer){0};
    timer_at(loop, &cancel, T0 + 5, 0, on_cancel_other, NULL);
    timer_at(loop, &two.timer, T0 + 5, 1, on_letter, &two);
    timer_at(loop, &one.timer, T0 + 5, 2, on_letter, &one);
    timer_at(loop, &three.timer, T0 + 5, 3, on_letter, &three);
    timer_at(loop, &three.timer, T0 + 90, 3, on_letter, &three); /* set anew: the old time is forgotten */
    timer_at(loop, &repeat, T0 + 10, 0, on_again, &repeat);
    for (int i = 0; i < 20; i++) {
        pass(10);
        loop_turn(loop, 0);
    }
    is_str(seen, "x1rrr3", kind == LOOP_VIRTUAL ? "virtual: cancelled, set anew and repeated in callbacks"
                                                : "real: cancelled, set anew and repeated in callbacks");
    ok(!timer_is_set(&two.timer) && !timer_is_set(&repeat), "none is left set");
    timer_cancel(loop, &two.timer);
    loop_free(loop);
    fake(false);
}

/* A timer that is always due must not keep descriptors from being served: a warp works in such slices. */
static int spins;
static bool was_read;
static void on_spin(void *ctx) {
    struct timer *t = ctx;
    if (++spins < 1000 && !was_read)
        timer_mono_in(loop, t, 0, on_spin, t);
}
static void on_pipe(void *ctx, int fd, int events) {
    char c;
    (void)ctx, (void)events;
    was_read |= read(fd, &c, 1) == 1;
}
static void always_due(void) {
    int p[2];
    struct watch w = {0};
    struct timer t = {0};
    if (pipe(p))
        return;
    fake(true);
    loop = loop_new(LOOP_REAL, 0);
    spins = 0;
    was_read = false;
    watch_start(loop, &w, p[0], WATCH_READ, on_pipe, NULL);
    timer_mono_in(loop, &t, 0, on_spin, &t);
    loop_turn(loop, 0);
    ok(write(p[1], "x", 1) == 1, "somebody asks");
    for (int i = 0; i < 5; i++)
        loop_turn(loop, 0);
    ok(was_read && spins < 10, "between two rounds of a timer that is always due descriptors are served");
    printf("#   %d rounds of the timer before it\n", spins);
    timer_cancel(loop, &t);
    watch_stop(loop, &w);
    loop_free(loop);
    close(p[0]);
    close(p[1]);
    fake(false);
}

/* -- deferred -- */
static void on_defer_more(void *ctx) {
    see('p');
    loop_defer(loop, on_defer, ctx);
    see('q');
}
static void deferred(void) {
    loop = loop_new(LOOP_VIRTUAL, T0);
    forget();
    one.timer = (struct timer){0};
    timer_at(loop, &one.timer, T0 + 1, 0, on_letter, &one);
    loop_defer(loop, on_defer_more, (void *)"z");
    loop_defer(loop, on_defer, (void *)"y");
    while (loop_turn(loop, 0))
        ;
    is_str(seen, "pqyz1", "deferred: in order, never inside the caller, before time goes on");
    ok(!loop_run_deferred(loop), "and none is left");
    loop_free(loop);
}

/* -- hold -- */
static void hold(void) {
    loop = loop_new(LOOP_VIRTUAL, T0);
    forget();
    one.timer = (struct timer){0};
    timer_at(loop, &one.timer, T0 + 1, 0, on_letter, &one);
    loop_hold(loop);
    loop_hold_message(loop, 7, 1);
    loop_hold_message(loop, 7, 1);
    loop_hold_message(loop, 7, 2);
    for (int i = 0; i < 3; i++)
        loop_turn(loop, 1000);
    ok(!*seen && loop_now_us(loop) == T0, "virtual time stands while something is held");
    loop_release(loop);
    ok(loop_release_message(loop, 7, 1) && !loop_release_message(loop, 7, 1), "a message is held once, however often it is said");
    ok(!loop_release_message(loop, 8, 2), "what nobody holds cannot be released");
    loop_turn(loop, 1000);
    ok(!*seen, "one message is still on its way");
    loop_release_line(loop, 7);
    loop_turn(loop, 1000);
    is_str(seen, "1", "a line that closes lets go of all of its messages");
    loop_free(loop);
}

/* -- pace and warp -- */
static void pace(void) {
    fake(true);
    loop = loop_new(LOOP_REAL, T0);
    loop_pace(loop, 60);
    pass(SECOND);
    loop_turn(loop, 0);
    is_int(loop_now_us(loop) - T0, 60 * SECOND, "pace 60: a minute a second");
    loop_pace(loop, 0);
    forget();
    one.timer = two.timer = (struct timer){0};
    timer_in(loop, &one.timer, 1, on_letter, &one);
    timer_mono_in(loop, &two.timer, SECOND, on_letter, &two);
    pass(3600 * SECOND);
    for (int i = 0; i < 3; i++)
        loop_turn(loop, 0);
    is_int(loop_now_us(loop) - T0, 60 * SECOND, "pace 0: time stands");
    is_str(seen, "2", "no timer of the plant fires, those of the machine do");
    loop_pace(loop, -5);
    ok(loop_pace_now(loop) == 0, "time does not run back");
    loop_pace(loop, 1);
    pass(1);
    loop_turn(loop, 0);
    is_str(seen, "21", "and it goes on from where it stood");
    is_int(loop_now_us(loop) - T0, 60 * SECOND + 1, "without a jump");
    loop_free(loop);
    fake(false);
}

static int slices;
static void on_hour(void *ctx) {
    struct timer *t = ctx;
    ok(loop_is_warping(loop), "who is woken knows that time is being warped");
    see('h');
    pass(10000); /* it costs 10 ms of real time */
    loop_defer(loop, on_defer, (void *)"d");
    timer_in(loop, t, 3600 * SECOND, on_hour, t);
}
static void on_stop(void *ctx) {
    (void)ctx;
    loop_stop(loop);
}
static void warp(void) {
    struct timer hour = {0}, stop = {0};
    int64_t until = T0 + 5 * 3600 * SECOND + 1;
    fake(true);
    loop = loop_new(LOOP_REAL, T0);
    forget();
    timer_in(loop, &hour, 3600 * SECOND, on_hour, &hour);
    ok(!loop_warp(loop, until, 25000), "a warp gives up when its budget is spent");
    is_str(seen, "hdhdhd", "having fired what was due on the way, and what that deferred");
    is_int(loop_now_us(loop), T0 + 3 * 3600 * SECOND, "and stands where it came to");
    for (slices = 1; !loop_warp(loop, until, 25000); slices++)
        ;
    is_int(slices, 1, "the next slice arrives");
    is_int(loop_now_us(loop), until, "exactly");
    is_str(seen, "hdhdhdhdhd", "nothing is left out");
    ok(!loop_is_warping(loop), "and it says that it is over");
    pass(SECOND);
    loop_turn(loop, 0);
    ok(loop_now_us(loop) >= until + SECOND && loop_now_us(loop) < until + 2 * SECOND, "time goes on from there");
    timer_in(loop, &stop, 60 * SECOND, on_stop, NULL);
    forget();
    ok(!loop_warp(loop, until + 10 * 3600 * SECOND, 0), "stopped on the way, it has not arrived");
    ok(!*seen && loop_now_us(loop) < until + 3600 * SECOND, "and does not jump over what is due");
    loop_free(loop);
    fake(false);
}

/* -- a step of the machine's clock -- */
static int64_t stepped;
static void on_step(void *ctx, int64_t by) {
    (void)ctx;
    stepped += by;
}
static int64_t plant_after(int64_t step) {
    fake_wall += step;
    pass(6 * SECOND);
    loop_turn(loop, 0);
    return loop_now_us(loop);
}
static void wall_step(void) {
    fake(true);
    loop = loop_new(LOOP_REAL, 0);
    loop_on_step(loop, on_step, NULL);
    is_int(loop_now_us(loop), T0, "a live loop begins with the wall clock");
    int64_t t = plant_after(0);
    is_int(t, T0 + 6 * SECOND, "and goes with it");
    is_int(plant_after(SECOND / 2), t += 6 * SECOND, "half a second of drift moves nothing");
    ok(!stepped, "and is not told");
    is_int(plant_after(3600 * SECOND - SECOND / 2), t += 3606 * SECOND, "an hour forwards is followed");
    ok(stepped > 3599 * SECOND, "and told");
    stepped = 0;
    is_int(plant_after(-7200 * SECOND), t += 6 * SECOND, "two hours backwards are not: time in records never runs back");
    is_int(stepped, -7200 * SECOND, "but told");
    is_int(plant_after(1800 * SECOND), t += 6 * SECOND, "forwards again by less than it was set back: still ahead, nothing to follow");
    is_int(plant_after(7200 * SECOND), t += 1806 * SECOND, "and by more: as far as the clock is now");
    is_int(t, fake_wall, "so both agree again");
    loop_pace(loop, 0);
    is_int(plant_after(3600 * SECOND), t, "time that stands follows no step");
    loop_free(loop);
    fake(false);
}

/* -- descriptors -- */
static struct watch a, b, fresh;
static int pair_a[2], pair_b[2], pair_c[2];
static void on_wrong(void *ctx, int fd, int events) {
    (void)ctx, (void)fd, (void)events;
    see('w');
}
/* The first one that is served closes the other and takes its number for a new one, which has nothing to read. */
static void on_first(void *ctx, int fd, int events) {
    struct watch *other = fd == pair_a[0] ? &b : &a;
    int number = other->fd;
    (void)ctx, (void)events;
    char c;
    see('f');
    if (read(fd, &c, 1) != 1)
        see('!');
    watch_stop(loop, other);
    close(number);
    dup2(pair_c[0], number);
    watch_start(loop, &fresh, number, WATCH_READ, on_wrong, NULL);
}
static void reused(void) {
    loop = loop_new(LOOP_REAL, 0);
    forget();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair_a) || socketpair(AF_UNIX, SOCK_STREAM, 0, pair_b) ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair_c))
        return;
    watch_start(loop, &a, pair_a[0], WATCH_READ, on_first, NULL);
    watch_start(loop, &b, pair_b[0], WATCH_READ, on_first, NULL);
    ok(write(pair_a[1], "x", 1) == 1 && write(pair_b[1], "x", 1) == 1, "two descriptors are ready in one round");
    loop_turn(loop, 0);
    is_str(seen, "f", "the event of one that was closed is not given to the one that has its number now");
    ok(write(pair_c[1], "y", 1) == 1, "its own");
    loop_turn(loop, 0);
    is_str(seen, "fw", "is");
    watch_events(loop, &fresh, 0);
    loop_turn(loop, 0);
    is_str(seen, "fw", "one that waits for nothing is left alone");
    watch_stop(loop, &fresh);
    watch_stop(loop, &fresh);
    struct watch bad = {0};
    ok(watch_start(loop, &bad, 9999, WATCH_READ, on_wrong, NULL) == E_IO, "a descriptor that is none is refused");
    loop_free(loop);
    for (int i = 0; i < 2; i++) {
        close(pair_a[i]);
        close(pair_b[i]);
        close(pair_c[i]);
    }
}

/* -- signals and children -- */
static int signals[2];
static void on_signal(void *ctx, int signo) { signals[ctx == &signals[1]] += signo == SIGUSR1 ? 1 : signo == SIGUSR2 ? 10 : 100; }
static int child_status = -1, children;
static void on_child(void *ctx, pid_t pid, int status) {
    children += pid == *(pid_t *)ctx;
    child_status = status;
}
static void outside(void) {
    struct child c;
    loop = loop_new(LOOP_REAL, 0);
    ok(!loop_signal(loop, SIGUSR1, on_signal, &signals[0]) && !loop_signal(loop, SIGUSR2, on_signal, &signals[1]), "two signals");
    raise(SIGUSR1);
    raise(SIGUSR2);
    for (int i = 0; i < 10 && !(signals[0] && signals[1]); i++)
        loop_turn(loop, 10000);
    ok(signals[0] == 1 && signals[1] == 10, "each goes to its own");
    pid_t pid = fork();
    if (!pid)
        _exit(7);
    ok(!child_watch(loop, &c, pid, on_child, &pid), "a child is watched");
    for (int i = 0; i < 100 && !children; i++)
        loop_turn(loop, 100000);
    ok(children == 1 && WIFEXITED(child_status) && WEXITSTATUS(child_status) == 7, "its end is told once, with its status");
    ok(waitpid(pid, NULL, WNOHANG) < 0, "and no zombie stays");
    is_int(child_watch(loop, &c, pid, on_child, &pid), E_NOTFOUND, "one that is gone cannot be watched");
    loop_free(loop);
}

/* In a virtual loop the timers of both clocks go together, and a year is jumped over. */
static void year(void) {
    loop = loop_new(LOOP_VIRTUAL, T0);
    forget();
    one.timer = two.timer = (struct timer){0};
    int64_t begun = loop_mono_fresh_us();
    timer_mono_in(loop, &two.timer, 10, on_letter, &two);
    timer_in(loop, &one.timer, 365 * 86400 * SECOND, on_letter, &one);
    loop_run(loop);
    is_str(seen, "21", "timers of both clocks, in order");
    is_int(loop_now_us(loop) - T0, 365 * 86400 * SECOND, "a year");
    ok(loop_mono_fresh_us() - begun < SECOND, "in no time");
    is_int(loop_run_until(loop, T0 + 400 * 86400 * SECOND), 0, "without a timer");
    is_int(loop_now_us(loop) - T0, 400 * 86400 * SECOND, "time gets there too");
    loop_free(loop);
}

int main(void) {
    order(LOOP_VIRTUAL, "virtual: by time, then priority, then insertion");
    order(LOOP_REAL, "real: by time, then priority, then insertion");
    changed_in_callbacks(LOOP_VIRTUAL);
    changed_in_callbacks(LOOP_REAL);
    always_due();
    deferred();
    hold();
    pace();
    warp();
    wall_step();
    reused();
    outside();
    year();
    return tap_done();
}
