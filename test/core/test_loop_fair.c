/* A timer that sets itself again for now does not keep descriptors from their turn; one for soon comes soon. */
#include "tap.h"

#include <unistd.h>

#include "core/loop.h"

static struct loop *l;
static struct timer again;
static int turns, read_at;
static bool gave_up;

static void spin(void *ctx) {
    (void)ctx;
    gave_up = ++turns >= 100000;
    if (gave_up)
        loop_stop(l);
    else
        timer_in(l, &again, 0, spin, NULL);
}

static void readable(void *ctx, int fd, int events) {
    char c;
    (void)ctx, (void)events;
    read_at = read(fd, &c, 1) == 1 ? turns : -1;
    loop_stop(l);
}

static void fired(void *ctx) { *(bool *)ctx = true; }

/* The shortest of many: what the machine adds is not the loop's. */
static int64_t shortest_wait(int64_t us) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 100; i++) {
        struct timer t = {0};
        bool done = false;
        int64_t begin = loop_mono_fresh_us();
        loop_turn(l, 0);
        timer_mono_in(l, &t, us, fired, &done);
        for (int k = 0; k < 1000 && !done; k++)
            loop_turn(l, 1000000);
        int64_t took = loop_mono_fresh_us() - begin;
        least = took < least ? took : least;
    }
    return least;
}

int main(void) {
    int ends[2];
    struct watch w;
    l = loop_new(LOOP_REAL, 0);
    ok(!pipe(ends) && !watch_start(l, &w, ends[0], WATCH_READ, readable, NULL), "a pipe is watched");
    timer_in(l, &again, 0, spin, NULL);
    loop_turn(l, 0); /* fires once; what comes now must be seen before the 100,000th turn */
    ok(turns >= 1 && turns < 100000, "a timer set for now runs, but does not keep the round for ever");
    ok(write(ends[1], "x", 1) == 1, "a byte is written");
    loop_run(l);
    ok(read_at == turns && !gave_up, "the byte is read in the next round");
    timer_cancel(l, &again);
    watch_stop(l, &w);
    close(ends[0]);
    close(ends[1]);
    loop_free(l);
    l = loop_new(LOOP_REAL, 0);
    int64_t waited = shortest_wait(200);
    printf("# a timer in 200 us came after %lld us\n", (long long)waited);
    ok(waited >= 200 && waited < 950, "a timer in 200 us does not wait for a whole millisecond");
    loop_free(l);
    return tap_done();
}
