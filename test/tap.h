/* TAP in one header: each check prints a line that `./check` counts. A failing check prints where and what, and
 * the program ends non-zero. Usage:
 *   int main(void) { ok(1 + 1 == 2, "adds"); is_int(f(), 7, "f"); is_str(s, "x", "s"); return tap_done(); } */
#ifndef SUAN_TEST_TAP_H
#define SUAN_TEST_TAP_H

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count, tap_failed;

static inline bool tap_ok(bool good, const char *file, int line, const char *name) {
    printf("%s %d - %s\n", good ? "ok" : "not ok", ++tap_count, name);
    if (!good) {
        tap_failed++;
        printf("#   failed at %s:%d\n", file, line);
    }
    fflush(stdout);
    return good;
}

#define ok(cond, name) tap_ok((cond), __FILE__, __LINE__, (name))
#define is_int(got, want, name)                                                                       \
    do {                                                                                              \
        int64_t g_ = (int64_t)(got), w_ = (int64_t)(want);                                            \
        if (!tap_ok(g_ == w_, __FILE__, __LINE__, (name)))                                            \
            printf("#   got %" PRId64 ", want %" PRId64 "\n", g_, w_);                                \
    } while (0)
#define is_str(got, want, name)                                                                       \
    do {                                                                                              \
        const char *g_ = (got), *w_ = (want);                                                         \
        if (!tap_ok(g_ && w_ && !strcmp(g_, w_), __FILE__, __LINE__, (name)))                         \
            printf("#   got  %s\n#   want %s\n", g_ ? g_ : "(null)", w_ ? w_ : "(null)");             \
    } while (0)
#define is_near(got, want, tol, name)                                                                 \
    do {                                                                                              \
        double g_ = (got), w_ = (want);                                                               \
        if (!tap_ok(fabs(g_ - w_) <= (tol), __FILE__, __LINE__, (name)))                              \
            printf("#   got %.17g, want %.17g +- %g\n", g_, w_, (double)(tol));                       \
    } while (0)
/* For what is not on this machine: counted as skipped, and says why. */
#define skip(why) printf("ok %d # SKIP %s\n", ++tap_count, (why))

static inline int tap_done(void) {
    printf("1..%d\n", tap_count);
    fflush(stdout); /* a child that ends by _exit would lose it */
    return tap_failed ? 1 : 0;
}

#endif
