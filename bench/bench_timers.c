/* Timers set and fired a second by the loop, with 100,000 of them waiting: the loop and the world's events stand on it. */
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "core/loop.h"

enum { WAITING = 100000 };
static struct timer timers[WAITING];
static struct loop *loop;
static struct rng rng;
static int64_t fired;

static void fire(void *ctx) {
    fired++;
    timer_in(loop, ctx, 1 + (int64_t)rng_below(&rng, 1000000), fire, ctx);
}

int main(int argc, char **argv) {
    int64_t want = argc > 1 && !strcmp(argv[1], "--quick") ? 5000000 : 20000000;
    loop = loop_new(LOOP_VIRTUAL, 1);
    rng = rng_new(1);
    for (int i = 0; i < WAITING; i++)
        timer_in(loop, &timers[i], 1 + (int64_t)rng_below(&rng, 1000000), fire, &timers[i]);
    int64_t begin = loop_cpu_us();
    while (fired < want)
        loop_warp(loop, loop_now_us(loop) + 100000, 0);
    double rate = (double)fired / ((double)(loop_cpu_us() - begin) * 1e-6);
    printf("{\"goal\":\"timers\",\"value\":%.0f,\"unit\":\"1/s\",\"target\":3000000,\"peer\":null,\"ok\":%s}\n", rate,
           rate >= 3e6 ? "true" : "false");
    for (int i = 0; i < WAITING; i++)
        timer_cancel(loop, &timers[i]);
    loop_free(loop);
    return rate >= 3e6 ? 0 : 1;
}
