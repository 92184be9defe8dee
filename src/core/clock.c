/* The only file that reads the machine's clocks. */
#include <time.h>

#include "core/loop.h"

static int64_t read_clock(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t loop_mono_fresh_us(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t loop_wall_us(void) { return read_clock(CLOCK_REALTIME); }
int64_t loop_cpu_us(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
