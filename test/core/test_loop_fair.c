/* A timer that sets itself again for now does not keep descriptors from their turn. */
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
    return tap_done();
}
